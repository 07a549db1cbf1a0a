using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>Personalities (credentials kept for later) and restrictions of a ring.</summary>
internal sealed partial class Ring
{
    private const int MaxPersonalities = ushort.MaxValue;

    private readonly Dictionary<ushort, Personality> _personalities = [];
    private ushort _lastPersonality;
    private Restrictions? _restrictions;

    /// <summary>The restrictions bind: the ring has been enabled since.</summary>
    private bool _isRestricted;

    /// <summary>Credentials that requests can run with, and the snapshot of the task that did so last.</summary>
    private sealed class Personality(Credentials credentials)
    {
        private Submitter? _origin;

        public Submitter OriginFor(Submitter origin)
        {
            if (_origin is null || !_origin.IsLike(origin))
                _origin = new Submitter(origin, credentials);
            return _origin;
        }
    }

    /// <summary>What a restricted ring still allows; everything else is EACCES.</summary>
    private sealed class Restrictions
    {
        public ulong Registrations, Operations;
        public byte AllowedFlags, RequiredFlags;
    }

    /// <summary>PERSONALITY: the id for sqe.personality. ENOMEM when all are taken.</summary>
    private SysResult RegisterPersonality(Task task)
    {
        if (_personalities.Count == MaxPersonalities)
            return Errno.ENOMEM;
        do
            _lastPersonality++;
        while (_lastPersonality == 0 || _personalities.ContainsKey(_lastPersonality));
        _personalities.Add(_lastPersonality, new Personality(task.Credentials));
        return (int)_lastPersonality;
    }

    private SysResult UnregisterPersonality(uint id)
        => id <= ushort.MaxValue && _personalities.Remove((ushort)id) ? 0 : Errno.EINVAL;

    /// <summary>The request runs with the credentials of sqe.personality. EINVAL when there is no such.</summary>
    private Errno UsePersonality(Request request)
    {
        if (!_personalities.TryGetValue(request.Sqe.personality, out Personality? personality))
            return Errno.EINVAL;
        request.Origin = personality.OriginFor(request.Origin);
        return Errno.OK;
    }

    /// <summary>RESTRICTIONS: once, before the ring is enabled. EBADFD, EBUSY, EINVAL, EFAULT.</summary>
    private SysResult RegisterRestrictions(Task task, UserPtr argument, uint count)
    {
        const uint Most = 4 + (uint)IoUringRegisterOp.LAST + (uint)IoUringOp.LAST;
        if (!_disabled)
            return Errno.EBADFD;
        if (_restrictions is not null)
            return Errno.EBUSY;
        if (argument.IsNull || count > Most)
            return Errno.EINVAL;
        Restrictions made = new();
        for (uint i = 0; i < count; i++)
        {
            const ulong Size = 16;
            Errno e = task.Mm.Read(new UserPtr<IoUringRestriction>(argument.Address + (i * Size)), out IoUringRestriction r);
            if (e == Errno.OK)
                e = AddRestriction(made, in r);
            if (e != Errno.OK)
                return e;
        }
        _restrictions = made;
        return 0;
    }

    private static Errno AddRestriction(Restrictions to, in IoUringRestriction r)
    {
        const ushort REGISTER_OP = 0, SQE_OP = 1, SQE_FLAGS_ALLOWED = 2, SQE_FLAGS_REQUIRED = 3;
        switch (r.opcode)
        {
            case REGISTER_OP when r.value < (uint)IoUringRegisterOp.LAST:
                to.Registrations |= 1UL << r.value;
                return Errno.OK;
            case SQE_OP when r.value < (uint)IoUringOp.LAST:
                to.Operations |= 1UL << r.value;
                return Errno.OK;
            case SQE_FLAGS_ALLOWED:
                to.AllowedFlags = r.value;
                return Errno.OK;
            case SQE_FLAGS_REQUIRED:
                to.RequiredFlags = r.value;
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }

    private bool IsForbidden(IoUringRegisterOp op) => _isRestricted && (_restrictions!.Registrations >> (int)op & 1) == 0;

    /// <summary>True when the restrictions do not allow this request.</summary>
    private bool IsForbidden(in IoUringSqe sqe)
    {
        Restrictions r = _restrictions!;
        return (r.Operations >> sqe.opcode & 1) == 0 || (sqe.flags & r.RequiredFlags) != r.RequiredFlags
            || (sqe.flags & ~(r.AllowedFlags | r.RequiredFlags)) != 0;
    }
}
