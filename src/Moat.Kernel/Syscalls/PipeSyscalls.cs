using Moat.Kernel.Pipes;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>pipe(2) and pipe2(2).</summary>
internal static class PipeSyscalls
{
    /// <summary>pipe(2).</summary>
    [Syscall(22, "pipe", Support.Full)]
    public static SysResult Pipe(Task task, UserPtr<ulong> fds) => Pipe2(task, fds, 0);

    /// <summary>pipe2(2). ENOPKG: O_NOTIFICATION_PIPE, as a kernel without watch queues answers.</summary>
    [Syscall(293, "pipe2", Support.Full)]
    public static SysResult Pipe2(Task task, UserPtr<ulong> fds, OpenFlags flags)
    {
        const OpenFlags O_NOTIFICATION_PIPE = OpenFlags.O_EXCL;
        if ((flags & ~(OpenFlags.O_CLOEXEC | OpenFlags.O_NONBLOCK | OpenFlags.O_DIRECT | O_NOTIFICATION_PIPE)) != 0)
            return Errno.EINVAL;
        if ((flags & O_NOTIFICATION_PIPE) != 0)
            return Errno.ENOPKG;
        bool closeOnExec = (flags & OpenFlags.O_CLOEXEC) != 0;
        PipeFile.Create(flags & ~OpenFlags.O_CLOEXEC, task.Credentials, out PipeFile readEnd, out PipeFile writeEnd);
        return AnonymousFiles.InstallPair(task, readEnd, writeEnd, closeOnExec, fds);
    }
}
