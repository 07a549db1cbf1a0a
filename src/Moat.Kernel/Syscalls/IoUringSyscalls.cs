using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>io_uring_setup(2), io_uring_enter(2), io_uring_register(2).</summary>
internal static class IoUringSyscalls
{
    private const string RegisterNote = "NAPI: there is no device to poll; ZCRX_IFQ: no device has it";

    /// <summary>io_uring_setup(2): EPERM (kernel.io_uring_disabled), EFAULT, EINVAL, ENOMEM, EMFILE.</summary>
    [Syscall(425, "io_uring_setup", Support.Full)]
    public static SysResult Setup(Task task, uint entries, UserPtr<IoUringParams> parameters)
    {
        if (!task.Sentry.Uring.Admits(task.Credentials))
            return Errno.EPERM;
        Errno e = task.Mm.Read(parameters, out IoUringParams p);
        if (e != Errno.OK)
            return e;
        e = Ring.Create(task, entries, ref p, out Ring? ring);
        if (e != Errno.OK)
            return e;
        e = task.Mm.Write(parameters, p);
        SysResult result = e != Errno.OK ? e : (p.flags & (uint)IoUringSetup.REGISTERED_FD_ONLY) != 0 ? task.RegisterRing(ring!, uint.MaxValue)
            : task.Files.Install(ring!, closeOnExec: true);
        if (result.IsError)
            ring!.DropReference();
        else
            task.AddRing(ring!);
        return result;
    }

    /// <summary>io_uring_enter(2): EBADF, EOPNOTSUPP (no ring), EINVAL, EBADFD, EEXIST, EFAULT, ETIME, EINTR, EBADR.</summary>
    [Syscall(426, "io_uring_enter", Support.Full)]
    public static SysResult Enter(Task task, Fd fd, uint toSubmit, uint minComplete, IoUringEnter flags, UserPtr argument, ulong argumentSize)
    {
        const IoUringEnter Known = IoUringEnter.GETEVENTS | IoUringEnter.SQ_WAKEUP | IoUringEnter.SQ_WAIT | IoUringEnter.EXT_ARG
            | IoUringEnter.REGISTERED_RING | IoUringEnter.ABS_TIMER | IoUringEnter.EXT_ARG_REG | IoUringEnter.NO_IOWAIT;
        if ((flags & ~Known) != 0)
            return Errno.EINVAL;
        Errno e = task.GetRing(fd.Value, (flags & IoUringEnter.REGISTERED_RING) != 0, out FileDescription? file);
        if (e != Errno.OK)
            return e;
        SysResult result = ((Ring)file!).Enter(task, toSubmit, minComplete, flags, argument.Address, argumentSize);
        file.DropReference();
        return result;
    }

    /// <summary>io_uring_register(2): EBADF, EOPNOTSUPP (no ring), EINVAL, EEXIST and those of each registration.</summary>
    [Syscall(427, "io_uring_register", Support.Partial, Note = RegisterNote)]
    public static SysResult Register(Task task, Fd fd, IoUringRegisterOp op, UserPtr argument, uint count)
    {
        bool registered = (op & IoUringRegisterOp.USE_REGISTERED_RING) != 0;
        op &= ~IoUringRegisterOp.USE_REGISTERED_RING;
        if (op >= IoUringRegisterOp.LAST)
            return Errno.EINVAL;
        if (task.Sentry.Uring.Policy?.Allows(op) == false)
            return Errno.EACCES;
        // Some need no ring.
        if (fd.Value == -1)
        {
            return op switch
            {
                IoUringRegisterOp.REGISTER_SEND_MSG_RING => argument.IsNull || count != 1 ? Errno.EINVAL : Ring.SendMessage(task, argument),
                IoUringRegisterOp.REGISTER_QUERY => Ring.Query(task, argument, count),
                _ => Errno.EINVAL,
            };
        }
        Errno e = task.GetRing(fd.Value, registered, out FileDescription? file);
        if (e != Errno.OK)
            return e;
        SysResult result = ((Ring)file!).Register(task, op, argument, count);
        file.DropReference();
        return result;
    }
}
