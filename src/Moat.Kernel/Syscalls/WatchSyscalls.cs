using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>inotify(7): not there, as on a kernel built without it.</summary>
internal static class WatchSyscalls
{
    [Syscall(253, "inotify_init", Support.ErrnoOnly, Note = "ENOSYS: nothing watches directories")]
    public static SysResult InotifyInit(Task task) => Errno.ENOSYS;

    [Syscall(294, "inotify_init1", Support.ErrnoOnly, Note = "ENOSYS: nothing watches directories")]
    public static SysResult InotifyInit1(Task task, int flags) => Errno.ENOSYS;

    [Syscall(254, "inotify_add_watch", Support.ErrnoOnly, Note = "ENOSYS: nothing watches directories")]
    public static SysResult InotifyAddWatch(Task task, Fd fd, UserPath path, uint mask) => Errno.ENOSYS;

    [Syscall(255, "inotify_rm_watch", Support.ErrnoOnly, Note = "ENOSYS: nothing watches directories")]
    public static SysResult InotifyRemoveWatch(Task task, Fd fd, int watch) => Errno.ENOSYS;
}
