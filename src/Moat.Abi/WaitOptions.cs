namespace Moat.Abi;

/// <summary>Options of wait4(2) and waitid(2) (include/uapi/linux/wait.h).</summary>
[Flags]
public enum WaitOptions : uint
{
#pragma warning disable CS1591 // Linux's own names.
    None = 0,
    WNOHANG = 1,
    WUNTRACED = 2,
    WSTOPPED = WUNTRACED,
    WEXITED = 4,
    WCONTINUED = 8,
    WNOWAIT = 0x01000000,
    __WNOTHREAD = 0x20000000,
    __WALL = 0x40000000,
    __WCLONE = 0x80000000,
#pragma warning restore CS1591
}
