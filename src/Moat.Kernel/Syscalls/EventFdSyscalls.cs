using Moat.Kernel.Events;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>eventfd(2).</summary>
internal static class EventFdSyscalls
{
    /// <summary>eventfd(2) without flags.</summary>
    [Syscall(284, "eventfd", Support.Full)]
    public static SysResult EventFd(Task task, uint initial) => EventFd2(task, initial, 0);

    /// <summary>eventfd2: EFD_SEMAPHORE, EFD_CLOEXEC, EFD_NONBLOCK; else EINVAL.</summary>
    [Syscall(290, "eventfd2", Support.Full)]
    public static SysResult EventFd2(Task task, uint initial, int flags)
    {
        const int EFD_SEMAPHORE = 1, EFD_CLOEXEC = (int)OpenFlags.O_CLOEXEC, EFD_NONBLOCK = (int)OpenFlags.O_NONBLOCK;
        if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0)
            return Errno.EINVAL;
        return AnonymousFiles.Install(task, new EventFd(initial, (flags & EFD_SEMAPHORE) != 0, (OpenFlags)flags & OpenFlags.O_NONBLOCK),
            (flags & EFD_CLOEXEC) != 0);
    }
}

/// <summary>Installing new files.</summary>
internal static class AnonymousFiles
{
    /// <summary>Puts a new file at the lowest free number; drops it when there is none (EMFILE).</summary>
    public static SysResult Install(Task task, Vfs.FileDescription file, bool closeOnExec)
    {
        SysResult fd = task.Files.Install(file, closeOnExec);
        if (fd.IsError)
            file.DropReference();
        return fd;
    }

    /// <summary>Puts two new files at the lowest free numbers and writes both numbers to the guest. EMFILE, EFAULT: neither stays.</summary>
    public static SysResult InstallPair(Task task, Vfs.FileDescription first, Vfs.FileDescription second, bool closeOnExec, UserPtr<ulong> fds)
    {
        SysResult one = Install(task, first, closeOnExec);
        if (one.IsError)
        {
            second.DropReference();
            return one;
        }
        SysResult two = Install(task, second, closeOnExec);
        Errno error = two.IsError ? two.Error : task.Mm.Write(fds, (uint)one.Value | ((ulong)two.Value << 32));
        if (error == Errno.OK)
            return 0;
        task.Files.Close((int)one.Value);
        if (!two.IsError)
            task.Files.Close((int)two.Value);
        return error;
    }
}
