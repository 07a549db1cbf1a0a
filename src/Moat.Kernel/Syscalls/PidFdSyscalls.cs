using Moat.Kernel.FileSystems.Proc;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Descriptors of processes.</summary>
internal static class PidFdSyscalls
{
    /// <summary>pidfd_open(2).</summary>
    [Syscall(434, "pidfd_open", Support.Full)]
    public static SysResult PidFdOpen(Task task, int pid, uint flags)
    {
        const uint PIDFD_NONBLOCK = (uint)OpenFlags.O_NONBLOCK, PIDFD_THREAD = (uint)OpenFlags.O_EXCL;
        if ((flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD)) != 0 || pid <= 0)
            return Errno.EINVAL;
        if (task.Sentry.Tasks.Find(pid) is not { } target)
            return Errno.ESRCH;
        bool isThread = (flags & PIDFD_THREAD) != 0;
        if (!isThread && target.Group.Id != pid)
            return Errno.ENOENT;
        return AnonymousFiles.Install(task, new PidFd(target, isThread, (OpenFlags)flags & OpenFlags.O_NONBLOCK), closeOnExec: true);
    }

    /// <summary>pidfd_send_signal(2).</summary>
    [Syscall(424, "pidfd_send_signal", Support.Full)]
    public static SysResult PidFdSendSignal(Task task, Fd fd, int signal, UserPtr<SigInfo> info, uint flags)
    {
        const uint PIDFD_SIGNAL_THREAD = 1, PIDFD_SIGNAL_THREAD_GROUP = 2, PIDFD_SIGNAL_PROCESS_GROUP = 4;
        if (flags is not (0 or PIDFD_SIGNAL_THREAD or PIDFD_SIGNAL_THREAD_GROUP or PIDFD_SIGNAL_PROCESS_GROUP))
            return Errno.EINVAL;
        Errno error = GetTarget(task, fd.Value, out Task? target, out bool isThread);
        if (error != Errno.OK)
            return error;
        bool toThread = flags == PIDFD_SIGNAL_THREAD || (flags == 0 && isThread);
        SigInfo value = new()
        {
            Signo = signal,
            Code = toThread ? Signal.SI_TKILL : Signal.SI_USER,
            Pid = task.Group.Id,
            Uid = task.Credentials.Uid,
        };
        if (!info.IsNull)
        {
            if (task.Mm.Read(info, out value) != Errno.OK)
                return Errno.EFAULT;
            if (value.Signo != signal)
                return Errno.EINVAL;
            // Only to oneself may one claim to be kill, tgkill or the kernel.
            if (target != task && (value.Code >= 0 || value.Code == Signal.SI_TKILL))
                return Errno.EPERM;
        }
        if (signal != 0 && !Signal.IsValid(signal))
            return Errno.EINVAL;
        if (flags == PIDFD_SIGNAL_PROCESS_GROUP)
            return SignalSendSyscalls.SendToGroup(task, target!.Group.Id, in value);
        return target!.Group.IsReaped ? Errno.ESRCH : SignalSendSyscalls.SendTo(task, target.Group, toThread ? target : null, in value);
    }

    /// <summary>Whom a pidfd or an open /proc/PID means. EBADF for everything else.</summary>
    private static Errno GetTarget(Task task, int fd, out Task? target, out bool isThread)
    {
        target = null;
        isThread = false;
        if (task.Files.Get(fd) is not { } file)
            return Errno.EBADF;
        if (file is PidFd pidFd)
            (target, isThread) = (pidFd.Task, pidFd.IsThread);
        else if (file.Inode is TaskDirectory { IsProcess: true } directory)
            target = directory.Task;
        file.DropReference();
        return target is null ? Errno.EBADF : Errno.OK;
    }

    /// <summary>pidfd_getfd(2).</summary>
    [Syscall(438, "pidfd_getfd", Support.Full)]
    public static SysResult PidFdGetFd(Task task, Fd fd, Fd target, uint flags)
    {
        if (flags != 0)
            return Errno.EINVAL;
        Errno error = Get(task, fd.Value, out PidFd? file);
        if (error != Errno.OK)
            return error;
        using PidFdReference reference = new(file!);
        if (file!.Task.HasEnded || file.Group.IsReaped)
            return Errno.ESRCH;
        if (file.Group != task.Group && !LimitSyscalls.IsSameUser(task.Credentials, file.Task.Credentials))
            return Errno.EPERM;
        if (file.Task.Files.Get(target.Value) is not { } found)
            return Errno.EBADF;
        return AnonymousFiles.Install(task, found, closeOnExec: true);
    }

    /// <summary>The pidfd behind a descriptor, with a reference. EBADF for everything else.</summary>
    internal static Errno Get(Task task, int fd, out PidFd? file)
    {
        FileDescription? found = task.Files.Get(fd);
        file = found as PidFd;
        if (file is not null)
            return Errno.OK;
        found?.DropReference();
        return Errno.EBADF;
    }

    private readonly ref struct PidFdReference(PidFd file)
    {
        public void Dispose() => file.DropReference();
    }
}
