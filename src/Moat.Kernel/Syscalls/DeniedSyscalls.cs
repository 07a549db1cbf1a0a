using Moat.Kernel.Tasks;

namespace Moat.Kernel.Syscalls;

/// <summary>
/// Calls that are refused by design: what needs privileges over the machine is EPERM, as for any process without
/// capabilities, and what Linux can be built without is ENOSYS.
/// </summary>
internal static class DeniedSyscalls
{
#pragma warning disable CS1591 // Each is what its name and note say.
    [Syscall(103, "syslog", Support.ErrnoOnly, Note = "EPERM: the kernel log is the host's")]
    public static SysResult SysLog(Task task, int type, UserPtr buffer, int length) => Errno.EPERM;

    [Syscall(153, "vhangup", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult VHangup(Task task) => Errno.EPERM;

    [Syscall(163, "acct", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult Acct(Task task, UserPath path) => Errno.EPERM;

    [Syscall(167, "swapon", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult SwapOn(Task task, UserPath path, int flags) => Errno.EPERM;

    [Syscall(168, "swapoff", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult SwapOff(Task task, UserPath path) => Errno.EPERM;

    [Syscall(169, "reboot", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult Reboot(Task task, int magic, int magic2, uint command, UserPtr argument) => Errno.EPERM;

    [Syscall(172, "iopl", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult IoPl(Task task, uint level) => Errno.EPERM;

    [Syscall(173, "ioperm", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult IoPerm(Task task, ulong from, ulong count, int on) => Errno.EPERM;

    [Syscall(175, "init_module", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult InitModule(Task task, UserPtr image, nuint length, UserPtr parameters) => Errno.EPERM;

    [Syscall(176, "delete_module", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult DeleteModule(Task task, UserPtr name, uint flags) => Errno.EPERM;

    [Syscall(179, "quotactl", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult QuotaCtl(Task task, uint command, UserPath special, uint id, UserPtr address) => Errno.EPERM;

    [Syscall(246, "kexec_load", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult KExecLoad(Task task, ulong entry, ulong count, UserPtr segments, ulong flags) => Errno.EPERM;

    [Syscall(248, "add_key", Support.ErrnoOnly, Note = "ENOSYS: no key rings")]
    public static SysResult AddKey(Task task, UserPtr type, UserPtr description, UserPtr payload, nuint length, int ring) => Errno.ENOSYS;

    [Syscall(249, "request_key", Support.ErrnoOnly, Note = "ENOSYS: no key rings")]
    public static SysResult RequestKey(Task task, UserPtr type, UserPtr description, UserPtr info, int ring) => Errno.ENOSYS;

    [Syscall(250, "keyctl", Support.ErrnoOnly, Note = "ENOSYS: no key rings")]
    public static SysResult KeyCtl(Task task, int command, ulong a2, ulong a3, ulong a4, ulong a5) => Errno.ENOSYS;

    [Syscall(298, "perf_event_open", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult PerfEventOpen(Task task, UserPtr attributes, int pid, int processor, int group, ulong flags) => Errno.EPERM;

    [Syscall(300, "fanotify_init", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult FanotifyInit(Task task, uint flags, uint eventFlags) => Errno.EPERM;

    [Syscall(313, "finit_module", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult FInitModule(Task task, Fd fd, UserPtr parameters, int flags) => Errno.EPERM;

    [Syscall(320, "kexec_file_load", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult KExecFileLoad(Task task, Fd kernel, Fd initrd, ulong length, UserPtr commandLine, ulong flags) => Errno.EPERM;

    [Syscall(321, "bpf", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult Bpf(Task task, int command, UserPtr attributes, uint size) => Errno.EPERM;

    [Syscall(323, "userfaultfd", Support.ErrnoOnly, Note = "EPERM, as with vm.unprivileged_userfaultfd=0")]
    public static SysResult UserFaultFd(Task task, int flags) => Errno.EPERM;

    [Syscall(334, "rseq", Support.ErrnoOnly, Note = "ENOSYS: the host would have to know of it; C libraries do without")]
    public static SysResult RSeq(Task task, UserPtr area, uint length, int flags, uint signature) => Errno.ENOSYS;
    [Syscall(154, "modify_ldt", Support.ErrnoOnly, Note = "ENOSYS: no segments of the program's own")]
    public static SysResult ModifyLdt(Task task, int function, UserPtr buffer, ulong length) => Errno.ENOSYS;

    [Syscall(428, "open_tree", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult OpenTree(Task task, Fd directory, UserPath path, uint flags) => Errno.EPERM;

    [Syscall(429, "move_mount", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult MoveMount(Task task, Fd from, UserPath fromPath, Fd to, UserPath toPath, uint flags) => Errno.EPERM;

    [Syscall(430, "fsopen", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult FsOpen(Task task, UserPtr name, uint flags) => Errno.EPERM;

    [Syscall(431, "fsconfig", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult FsConfig(Task task, Fd fd, uint command, UserPtr key, UserPtr value, int auxiliary) => Errno.EPERM;

    [Syscall(432, "fsmount", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult FsMount(Task task, Fd fd, uint flags, uint attributes) => Errno.EPERM;

    [Syscall(433, "fspick", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult FsPick(Task task, Fd directory, UserPath path, uint flags) => Errno.EPERM;

    [Syscall(442, "mount_setattr", Support.ErrnoOnly, Note = "EPERM: mounts are fixed")]
    public static SysResult MountSetAttr(Task task, Fd directory, UserPath path, uint flags, UserPtr attributes, nuint size) => Errno.EPERM;

    [Syscall(443, "quotactl_fd", Support.ErrnoOnly, Note = "EPERM")]
    public static SysResult QuotaCtlFd(Task task, Fd fd, uint command, uint id, UserPtr address) => Errno.EPERM;

    [Syscall(444, "landlock_create_ruleset", Support.ErrnoOnly, Note = "EOPNOTSUPP, as where Landlock is not enabled")]
    public static SysResult LandlockCreate(Task task, UserPtr attributes, nuint size, uint flags) => Errno.EOPNOTSUPP;

    [Syscall(445, "landlock_add_rule", Support.ErrnoOnly, Note = "EOPNOTSUPP, as where Landlock is not enabled")]
    public static SysResult LandlockAdd(Task task, Fd ruleset, int type, UserPtr attributes, uint flags) => Errno.EOPNOTSUPP;

    [Syscall(446, "landlock_restrict_self", Support.ErrnoOnly, Note = "EOPNOTSUPP, as where Landlock is not enabled")]
    public static SysResult LandlockRestrict(Task task, Fd ruleset, uint flags) => Errno.EOPNOTSUPP;

    [Syscall(447, "memfd_secret", Support.ErrnoOnly, Note = "ENOSYS, as where secretmem is not enabled")]
    public static SysResult MemFdSecret(Task task, uint flags) => Errno.ENOSYS;

    [Syscall(453, "map_shadow_stack", Support.ErrnoOnly, Note = "EOPNOTSUPP: no shadow stacks")]
    public static SysResult MapShadowStack(Task task, ulong address, ulong size, uint flags) => Errno.EOPNOTSUPP;
#pragma warning restore CS1591
}
