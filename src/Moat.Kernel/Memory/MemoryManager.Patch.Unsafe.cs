using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    // What is looked at around a call: jumps near by.
    private const int PatchReach = 2048;

    /// <summary>
    /// Lets the platform replace a system call instruction that <paramref name="thread"/> executes often. Only text of a file
    /// that is mapped privately and not writable: there the file says what the bytes are.
    /// </summary>
    public void PatchCall(GuestThread thread, ulong site)
    {
        byte* code = stackalloc byte[2 * PatchReach];
        _access.EnterWrite();
        if (_vmas.Find(site) is { Kind: VmaKind.HostFile } vma && (vma.Flags & VmaFlags.Shared) == 0
            && (vma.Access & (MapAccess.Execute | MapAccess.Write)) == MapAccess.Execute)
        {
            ulong from = site - Math.Min(site - vma.Start, PatchReach);
            ulong to = site + Math.Min(vma.End - site, PatchReach);
            // SAFETY: code has room for twice the reach.
            long n = HostSyscall.Call(17 /* pread64 */, vma.HostFd, (long)code, (long)(to - from), (long)(vma.Offset + (from - vma.Start)));
            if (n > 0)
                Space.PatchCall(thread, site, new ReadOnlySpan<byte>(code, (int)n), (int)(site - from));
        }
        _access.ExitWrite();
    }
}
