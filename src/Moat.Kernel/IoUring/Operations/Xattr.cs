using System.Buffers;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>
/// IORING_OP_FSETXATTR, IORING_OP_SETXATTR, IORING_OP_FGETXATTR, IORING_OP_GETXATTR: the name at sqe.addr, the value at sqe.addr2, a path
/// at sqe.addr3. A worker does it.
/// </summary>
internal sealed class Xattr(bool isSet, bool byPath) : PathOperation
{
    /// <summary>What is copied when the request is prepared.</summary>
    private sealed class Attribute
    {
        public string Name = "";
        public byte[]? Value;
    }

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        if (byPath && (request.Flags & RequestFlags.FixedFile) != 0)
            return Errno.EBADF;
        const uint XATTR_CREATE = 1, XATTR_REPLACE = 2;
        if ((sqe.xattr_flags & ~(isSet ? XATTR_CREATE | XATTR_REPLACE : 0)) != 0)
            return Errno.EINVAL;
        Attribute attribute = request.Data as Attribute ?? new Attribute();
        request.Data = attribute;
        Errno e = FileXattrSyscalls.ReadName(request.Origin.Mm, new UserPtr(sqe.addr), out attribute.Name);
        if (e == Errno.OK && isSet)
            e = ReadValue(request, attribute);
        return e == Errno.OK && byPath ? request.Ring.ReadPath(request, sqe.addr3) : e;
    }

    private static Errno ReadValue(Request request, Attribute attribute)
    {
        int size = (int)Math.Min(request.Sqe.len, int.MaxValue);
        if (size > PathOperations.MaxXattr)
            return Errno.E2BIG;
        attribute.Value = ArrayPool<byte>.Shared.Rent(size);
        request.Flags |= RequestFlags.NeedCleanup;
        return request.Origin.Mm.CopyIn(new UserPtr(request.Sqe.addr2), attribute.Value.AsSpan(0, size));
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        if ((flags & IssueFlags.NonBlock) != 0)
            return IssueStatus.WouldBlock;
        ref IoUringSqe sqe = ref request.Sqe;
        Caller caller = request.Origin.Caller;
        VfsPath place = default;
        if (byPath)
        {
            Errno e = PathOperations.Walk(in caller, Fd.AT_FDCWD, request.PathText, LookupFlags.Follow, out place);
            if (e != Errno.OK)
                return request.Return(e);
        }
        else
        {
            place = request.File!.Path;
        }
        Attribute attribute = (Attribute)request.Data!;
        return request.Return(isSet
            ? PathOperations.SetXattr(in caller, place, attribute.Name, attribute.Value.AsSpan(0, (int)sqe.len), (int)sqe.xattr_flags)
            : FileXattrSyscalls.Get(request.Origin.Mm, in caller, place, attribute.Name, new UserPtr(sqe.addr2), sqe.len));
    }

    /// <inheritdoc/>
    public override void Cleanup(Request request)
    {
        if (request.Data is Attribute { Value: { } value } attribute)
        {
            ArrayPool<byte>.Shared.Return(value);
            attribute.Value = null;
        }
        base.Cleanup(request);
    }
}
