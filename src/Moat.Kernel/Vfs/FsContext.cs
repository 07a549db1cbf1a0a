namespace Moat.Kernel.Vfs;

/// <summary>What path walks start from, and the umask. Shared by threads (CLONE_FS), copied by fork.</summary>
internal sealed partial class FsContext
{
    /// <summary>Permission bits that creation clears (umask(2)).</summary>
    public uint Umask { get; set; } = 0x12;
}
