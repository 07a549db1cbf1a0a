using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>inotify(7).</summary>
internal static class WatchSyscalls
{
    private const string Note = "what is changed inside the sandbox; not what the host changes in volumes";

    /// <summary>inotify_init(2).</summary>
    [Syscall(253, "inotify_init", Support.Full)]
    public static SysResult InotifyInit(Task task) => InotifyInit1(task, 0);

    /// <summary>inotify_init1(2). EINVAL, EMFILE.</summary>
    [Syscall(294, "inotify_init1", Support.Full)]
    public static SysResult InotifyInit1(Task task, int flags)
    {
        const int IN_CLOEXEC = (int)OpenFlags.O_CLOEXEC, IN_NONBLOCK = (int)OpenFlags.O_NONBLOCK;
        if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) != 0)
            return Errno.EINVAL;
        Errno error = Inotify.Create(task.Sentry, (OpenFlags)flags & OpenFlags.O_NONBLOCK, out Inotify? made);
        return error == Errno.OK ? AnonymousFiles.Install(task, made!, (flags & IN_CLOEXEC) != 0) : error;
    }

    /// <summary>inotify_add_watch(2). EINVAL, EBADF, EACCES, EEXIST, ENOSPC and those of paths.</summary>
    [Syscall(254, "inotify_add_watch", Support.Partial, Note = Note)]
    public static SysResult InotifyAddWatch(Task task, Fd fd, UserPath path, InotifyMask mask)
    {
        const InotifyMask Meant = InotifyMask.IN_ALL_EVENTS | InotifyMask.IN_UNMOUNT | InotifyMask.IN_Q_OVERFLOW | InotifyMask.IN_IGNORED
            | InotifyMask.IN_ONLYDIR | InotifyMask.IN_DONT_FOLLOW | InotifyMask.IN_EXCL_UNLINK | InotifyMask.IN_MASK_CREATE
            | InotifyMask.IN_MASK_ADD | InotifyMask.IN_ISDIR | InotifyMask.IN_ONESHOT;
        const InotifyMask Contradiction = InotifyMask.IN_MASK_ADD | InotifyMask.IN_MASK_CREATE;
        if ((mask & Meant) == 0)
            return Errno.EINVAL;
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        SysResult result = (mask & Contradiction) == Contradiction || file is not Inotify queue ? Errno.EINVAL : AddWatch(task, queue, path, mask);
        file.DropReference();
        return result;
    }

    private static SysResult AddWatch(Task task, Inotify queue, UserPath path, InotifyMask mask)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> text);
        if (error != Errno.OK)
            return error;
        LookupFlags lookup = ((mask & InotifyMask.IN_DONT_FOLLOW) == 0 ? LookupFlags.Follow : 0)
            | ((mask & InotifyMask.IN_ONLYDIR) != 0 ? LookupFlags.Directory : 0);
        Caller caller = new(task);
        error = PathOperations.Walk(in caller, Fd.AT_FDCWD, text, lookup, out VfsPath place);
        if (error == Errno.OK)
            error = place.Inode.CheckAccess(task.Credentials, AccessMask.Read);
        return error == Errno.OK ? queue.Watch(place, mask) : error;
    }

    /// <summary>inotify_rm_watch(2). EBADF, EINVAL.</summary>
    [Syscall(255, "inotify_rm_watch", Support.Full)]
    public static SysResult InotifyRemoveWatch(Task task, Fd fd, int watch)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        Errno error = file is Inotify queue ? queue.Unwatch(watch) : Errno.EINVAL;
        file.DropReference();
        return error;
    }
}
