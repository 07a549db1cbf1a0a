using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>What the host's processor and kernel offer to user space.</summary>
public static partial class HostCpu
{
    /// <summary>The kernel lets user space read and write FS and GS bases (AT_HWCAP2, HWCAP2_FSGSBASE).</summary>
    public static bool HasFsGsBase { get; } = (GetAuxiliaryValue(26) & 2) != 0;

    [LibraryImport("libc", EntryPoint = "getauxval")]
    private static partial ulong GetAuxiliaryValue(ulong type);
}
