using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Moat.Host;

/// <summary>What the host's processor and kernel offer to user space.</summary>
public static partial class HostCpu
{
    /// <summary>The kernel lets user space read and write FS and GS bases (AT_HWCAP2, HWCAP2_FSGSBASE).</summary>
    public static bool HasFsGsBase { get; } = (GetAuxiliaryValue(26) & 2) != 0;

    /// <summary>
    /// The processor has AVX and the kernel saves its registers. Asked of the processor itself: ahead-of-time code takes
    /// <c>Avx.IsSupported</c> for what it was compiled for.
    /// </summary>
    public static bool HasAvx { get; } = X86Base.IsSupported && (X86Base.CpuId(1, 0).Ecx & (3 << 27)) == 3 << 27;

    /// <summary>The processor tells user space its number (RDPID).</summary>
    public static bool HasRdpid { get; } = X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 0).Ecx & (1 << 22)) != 0;

    [LibraryImport("libc", EntryPoint = "getauxval")]
    private static partial ulong GetAuxiliaryValue(ulong type);
}
