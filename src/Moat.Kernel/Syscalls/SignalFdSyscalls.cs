using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>signalfd(2).</summary>
internal static class SignalFdSyscalls
{
    /// <summary>signalfd without flags.</summary>
    [Syscall(282, "signalfd", Support.Full)]
    public static SysResult SignalFd(Task task, Fd fd, UserPtr<ulong> mask, nuint maskSize) => SignalFd4(task, fd, mask, maskSize, 0);

    /// <summary>signalfd4: a new one for -1, or another set for an existing one. EINVAL, EFAULT, EBADF.</summary>
    [Syscall(289, "signalfd4", Support.Full)]
    public static SysResult SignalFd4(Task task, Fd fd, UserPtr<ulong> mask, nuint maskSize, int flags)
    {
        const int SFD_CLOEXEC = (int)OpenFlags.O_CLOEXEC, SFD_NONBLOCK = (int)OpenFlags.O_NONBLOCK;
        if (maskSize != sizeof(ulong))
            return Errno.EINVAL;
        if (task.Mm.Read(mask, out ulong bits) != Errno.OK)
            return Errno.EFAULT;
        if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) != 0)
            return Errno.EINVAL;
        if (fd.Value == -1)
        {
            return AnonymousFiles.Install(task, new SignalFd(task, bits, (OpenFlags)flags & OpenFlags.O_NONBLOCK),
                (flags & SFD_CLOEXEC) != 0);
        }
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = Errno.EINVAL;
        if (file is SignalFd signals)
        {
            signals.SetMask(bits);
            result = fd.Value;
        }
        file.DropReference();
        return result;
    }
}
