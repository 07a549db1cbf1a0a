namespace Moat.Abi;

/// <summary>Flags of clone(2) and clone3(2) (include/uapi/linux/sched.h).</summary>
[Flags]
public enum CloneFlags : ulong
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    CSIGNAL = 0xff,
    CLONE_NEWTIME = 0x80,
    CLONE_VM = 0x100,
    CLONE_FS = 0x200,
    CLONE_FILES = 0x400,
    CLONE_SIGHAND = 0x800,
    CLONE_PIDFD = 0x1000,
    CLONE_PTRACE = 0x2000,
    CLONE_VFORK = 0x4000,
    CLONE_PARENT = 0x8000,
    CLONE_THREAD = 0x10000,
    CLONE_NEWNS = 0x20000,
    CLONE_SYSVSEM = 0x40000,
    CLONE_SETTLS = 0x80000,
    CLONE_PARENT_SETTID = 0x100000,
    CLONE_CHILD_CLEARTID = 0x200000,
    CLONE_DETACHED = 0x400000,
    CLONE_UNTRACED = 0x800000,
    CLONE_CHILD_SETTID = 0x1000000,
    CLONE_NEWCGROUP = 0x2000000,
    CLONE_NEWUTS = 0x4000000,
    CLONE_NEWIPC = 0x8000000,
    CLONE_NEWUSER = 0x10000000,
    CLONE_NEWPID = 0x20000000,
    CLONE_NEWNET = 0x40000000,
    CLONE_IO = 0x80000000,
    CLONE_CLEAR_SIGHAND = 0x100000000,
    CLONE_INTO_CGROUP = 0x200000000,
#pragma warning restore CS1591
}

/// <summary>struct clone_args of clone3(2), as of Linux 5.7.</summary>
public struct CloneArgs
{
    /// <summary>Sizes that grew with kernel versions, bytes.</summary>
    public const ulong CLONE_ARGS_SIZE_VER0 = 64, CLONE_ARGS_SIZE_VER2 = 88;

#pragma warning disable CS1591 // Linux's own names.
    public CloneFlags Flags;
    public ulong Pidfd, ChildTid, ParentTid, ExitSignal, Stack, StackSize, Tls, SetTid, SetTidSize, Cgroup;
#pragma warning restore CS1591
}
