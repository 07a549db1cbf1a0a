using Moat.Kernel.Pipes;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring.Operations;

/// <summary>IORING_OP_PIPE: both ends into the descriptor table, or (sqe.file_index) into the registered files; their numbers to sqe.addr.</summary>
internal sealed class MakePipe : Operation
{
    private const OpenFlags O_NOTIFICATION_PIPE = OpenFlags.O_EXCL;

    /// <inheritdoc/>
    public override Errno Prepare(Request request)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        const OpenFlags Known = OpenFlags.O_CLOEXEC | OpenFlags.O_NONBLOCK | OpenFlags.O_DIRECT | O_NOTIFICATION_PIPE;
        return sqe.fd != 0 || sqe.off != 0 || sqe.addr3 != 0 || ((OpenFlags)sqe.pipe_flags & ~Known) != 0 ? Errno.EINVAL : Errno.OK;
    }

    /// <inheritdoc/>
    public override IssueStatus Issue(Request request, IssueFlags flags)
    {
        ref IoUringSqe sqe = ref request.Sqe;
        OpenFlags how = (OpenFlags)sqe.pipe_flags;
        bool closeOnExec = (how & OpenFlags.O_CLOEXEC) != 0;
        if ((how & O_NOTIFICATION_PIPE) != 0)
            return request.Done(Errno.ENOPKG);
        if (sqe.file_index != 0 && closeOnExec)
            return request.Done(Errno.EINVAL);
        Submitter origin = request.Origin;
        PipeFile.Create(how & ~OpenFlags.O_CLOEXEC, origin.Credentials, out PipeFile readEnd, out PipeFile writeEnd);
        SysResult first = Install(request, readEnd, sqe.file_index, closeOnExec);
        uint next = sqe.file_index is 0 or IoUringConst.IORING_FILE_INDEX_ALLOC ? sqe.file_index : sqe.file_index + 1;
        SysResult second = first.IsError ? first : Install(request, writeEnd, next, closeOnExec);
        SysResult result = second.IsError ? second
            : origin.Mm.Write(new UserPtr<ulong>(sqe.addr), (uint)first.Value | ((ulong)second.Value << 32));
        if (result.IsError)
        {
            Undo(request, readEnd, first);
            Undo(request, writeEnd, second);
        }
        return request.Done(result);
    }

    private static SysResult Install(Request request, FileDescription file, uint slot, bool closeOnExec)
    {
        if (slot == 0)
            return request.Origin.Files.Install(file, closeOnExec);
        SysResult result = request.Ring.InstallFile(file, slot);
        return result.IsError || slot == IoUringConst.IORING_FILE_INDEX_ALLOC ? result : slot - 1;
    }

    private static void Undo(Request request, FileDescription file, SysResult installed)
    {
        if (installed.IsError)
            file.DropReference();
        else if (request.Sqe.file_index == 0)
            request.Origin.Files.Close((int)installed.Value);
        else
            request.Ring.CloseFixed((uint)installed.Value);
    }
}
