using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>Mounting and file handles: refused, as to a process without capabilities.</summary>
internal static class FileMountSyscalls
{
    private const string NoMounts = "EPERM: what is mounted is decided when the sandbox starts.";

    [Syscall(165, "mount", Support.ErrnoOnly, Note = NoMounts)]
    public static SysResult Mount(Task task, UserPath source, UserPath target, UserPtr type, ulong flags, UserPtr data) => Errno.EPERM;

    [Syscall(166, "umount2", Support.ErrnoOnly, Note = NoMounts)]
    public static SysResult Umount2(Task task, UserPath target, int flags) => Errno.EPERM;

    [Syscall(155, "pivot_root", Support.ErrnoOnly, Note = NoMounts)]
    public static SysResult PivotRoot(Task task, UserPath newRoot, UserPath putOld) => Errno.EPERM;

    [Syscall(303, "name_to_handle_at", Support.ErrnoOnly, Note = "EOPNOTSUPP: no file system here has handles.")]
    public static SysResult NameToHandleAt(Task task, Fd dirfd, UserPath path, UserPtr handle, UserPtr<int> mountId, int flags) => Errno.EOPNOTSUPP;

    [Syscall(304, "open_by_handle_at", Support.ErrnoOnly, Note = "EPERM, as without CAP_DAC_READ_SEARCH.")]
    public static SysResult OpenByHandleAt(Task task, Fd mount, UserPtr handle, OpenFlags flags) => Errno.EPERM;
}
