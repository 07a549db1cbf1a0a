namespace Moat.Host;

/// <summary>Trials of what the host allows with files.</summary>
public static unsafe class HostFile
{
    /// <summary>Makes and closes a memory file. Returns 0 or -errno.</summary>
    public static long TryMemfd()
    {
        const int MFD_CLOEXEC = 1;
        fixed (byte* name = "moat-check\0"u8)
        {
            // SAFETY: the name is a constant with its NUL.
            long fd = HostSyscall.Call(319 /* memfd_create */, (long)name, MFD_CLOEXEC);
            return fd < 0 ? fd : HostSyscall.Call(3 /* close */, fd);
        }
    }
}
