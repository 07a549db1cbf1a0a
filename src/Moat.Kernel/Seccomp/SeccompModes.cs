namespace Moat.Kernel.Seccomp;

/// <summary>Constants of seccomp(2).</summary>
internal static class SeccompModes
{
    public const int SECCOMP_MODE_STRICT = 1, SECCOMP_MODE_FILTER = 2;

    /// <summary>si_code of a SIGSYS that a filter sends.</summary>
    public const int SYS_SECCOMP = 1;

    /// <summary>MAX_ERRNO: the largest error that a filter can make a call return.</summary>
    public const uint MaxErrno = 4095;
}
