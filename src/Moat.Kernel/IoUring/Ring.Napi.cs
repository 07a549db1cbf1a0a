using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>
/// Busy polling of network devices (NAPI): kept and told, but there is no device of the guest's to poll. Under the lock.
/// </summary>
internal sealed partial class Ring
{
    private const uint NapiDynamic = 0, NapiStatic = 1, NapiInactive = 255;

    /// <summary>Most devices that are named; a guest cannot make the sentry remember more.</summary>
    private const int MaxNapiIds = 4096;

    private IoUringNapi _napi = new() { op_param = NapiInactive };

    /// <summary>The devices to poll when they are named (static tracking).</summary>
    private readonly HashSet<uint> _napiIds = [];

    /// <summary>NAPI: sets how to poll, or names a device. EINVAL, EFAULT, EEXIST, ENOENT, ENOMEM; what was set before is told even then.</summary>
    private SysResult RegisterNapi(Task task, UserPtr argument)
    {
        const byte REGISTER_OP = 0, STATIC_ADD_ID = 1, STATIC_DEL_ID = 2;
        const uint LongestMicroseconds = 10_000;
        if ((Setup & IoUringSetup.IOPOLL) != 0)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringNapi>(argument.Address), out IoUringNapi napi);
        if (e != Errno.OK)
            return e;
        if ((napi.pad0 | napi.pad1) != 0 || napi.resv != 0)
            return Errno.EINVAL;
        e = task.Mm.Write(new UserPtr<IoUringNapi>(argument.Address), _napi);
        if (e != Errno.OK)
            return e;
        switch (napi.opcode)
        {
            case REGISTER_OP when napi.op_param is NapiDynamic or NapiStatic:
                _napi = new IoUringNapi
                {
                    busy_poll_to = Math.Min(napi.busy_poll_to, LongestMicroseconds),
                    prefer_busy_poll = (byte)(napi.prefer_busy_poll != 0 ? 1 : 0),
                    op_param = napi.op_param,
                };
                _napiIds.Clear();
                return 0;
            case STATIC_ADD_ID when _napi.op_param == NapiStatic:
                return AddNapiId(napi.op_param);
            case STATIC_DEL_ID when _napi.op_param == NapiStatic:
                return _napiIds.Remove(napi.op_param) ? 0 : Errno.ENOENT;
            default:
                return Errno.EINVAL;
        }
    }

    private SysResult AddNapiId(uint id)
    {
        // Lower numbers are processors.
        const uint FirstId = 8192;
        if (id < FirstId)
            return Errno.EINVAL;
        if (_napiIds.Contains(id))
            return Errno.EEXIST;
        if (_napiIds.Count == MaxNapiIds)
            return Errno.ENOMEM;
        _napiIds.Add(id);
        return 0;
    }

    private SysResult UnregisterNapi(Task task, UserPtr argument)
    {
        IoUringNapi before = _napi with { op_param = 0 };
        Errno e = argument.IsNull ? Errno.OK : task.Mm.Write(new UserPtr<IoUringNapi>(argument.Address), before);
        if (e != Errno.OK)
            return e;
        _napi = new IoUringNapi { op_param = NapiInactive };
        _napiIds.Clear();
        return 0;
    }
}
