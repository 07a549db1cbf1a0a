namespace Moat.Kernel.Vfs;

/// <summary>
/// An open directory whose entries the inode itself enumerates by stable positions (<see cref="Inode.ReadEntries"/>).
/// </summary>
internal class DirectoryDescription(OpenFlags flags) : FileDescription(flags)
{
    public override bool IsSeekable => true;

    public override bool CanSpliceFrom => false;

    /// <inheritdoc/>
    public override bool SkipsEmpty(bool write) => true;

    /// <inheritdoc/>
    public override bool SupportsNoWait => false;

    public override SysResult Read(Memory.IoVector to, ref long offset, RwFlags flags) => Errno.EISDIR;

    public override SysResult Seek(long offset, int whence) => SeekPosition(offset, whence);

    public override SysResult Sync(bool dataOnly) => 0;

    public override Errno SyncRange(long offset, long length, uint flags) => Errno.OK;

    public override Errno ReadDirectory(ref DirectoryEmitter into)
    {
        if (Path.Dentry.IsDeleted)
            return Errno.ENOENT;
        if (!into.EmitDots(Path, ref Position))
            return Errno.OK;
        return Inode.ReadEntries(ref Position, ref into);
    }
}

/// <summary>A descriptor made with O_PATH: a place, and nothing to read or write (EBADF).</summary>
internal sealed class PathDescription(OpenFlags flags) : FileDescription(flags)
{
    public override Errno SetFlags(OpenFlags flags) => Errno.EBADF;
}
