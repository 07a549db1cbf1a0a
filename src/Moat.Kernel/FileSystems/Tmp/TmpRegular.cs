using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>
/// A regular file in memory. Its pages are freed when it has no name, no description and no mapping. Locks: the data lock
/// guards pages and size; then <see cref="TmpInode.State"/>; then the frame allocator.
/// </summary>
internal partial class TmpRegular : TmpInode
{
    private readonly DataLock _data = new();
    private readonly PageMap _pages = new();
    private long _size;
    private int _users;
    private bool _unnamed, _neverLinked, _gone;

    public TmpRegular(TmpFileSystem fileSystem, in NewInode what, ulong device)
        : base(fileSystem, in what, device)
    {
    }

    protected TmpRegular(TmpFileSystem fileSystem, HostInode lower, TmpDirectory? foundIn, string foundAs)
        : base(fileSystem, lower, foundIn, foundAs)
    {
    }

    public override long Size => Volatile.Read(ref _size);

    protected override ulong Blocks => _pages.Count * (FrameAllocator.PageSize / 512);

    /// <summary>It was made without a name (O_TMPFILE, memfd_create).</summary>
    internal void MakeUnnamed(bool forGood)
    {
        _unnamed = true;
        _neverLinked = forGood;
        LinkCount = 0;
    }

    /// <summary>One more name. ENOENT when the last one is gone; only what was made without one can get a first.</summary>
    internal Errno TakeName()
    {
        Errno error = Own();
        if (error != Errno.OK)
            return error;
        lock (State)
        {
            if (_gone || (LinkCount == 0 && (!_unnamed || _neverLinked)))
                return Errno.ENOENT;
            LinkCount++;
            _unnamed = false;
        }
        Changed();
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (!TryAddUser())
            return Errno.ESTALE;
        file = new TmpFile(this, flags);
        return Errno.OK;
    }

    /// <summary>A description or another path descriptor holds the file. False: it is gone already.</summary>
    protected bool TryAddUser()
    {
        lock (State)
        {
            if (_gone)
                return false;
            _users++;
            LookAtAtimeAgain();
            return true;
        }
    }

    public override void AddUser() => TryAddUser();

    public override void DropUser()
    {
        lock (State)
            _users--;
        Unused();
    }

    protected override void Unused()
    {
        lock (State)
        {
            if (_gone || !IsOwn || LinkCount != 0 || _users > 0 || Volatile.Read(ref _mapped) != 0)
                return;
            _gone = true;
        }
        _data.EnterWrite();
        FreePages(0, ulong.MaxValue >> 12);
        _data.ExitWrite();
    }

    /// <summary>
    /// Brings the content up from a lower file before it is changed or mapped, at least the first <paramref name="keep"/> bytes.
    /// Not under the data lock.
    /// </summary>
    protected internal virtual Errno BringUp(long keep) => Errno.OK;

    /// <summary>
    /// Copies at most <paramref name="keep"/> bytes of a lower file into memory, once, and then says so in
    /// <paramref name="isUp"/>. Nobody sees a part of it. ENOSPC or the host's error, and nothing is kept.
    /// </summary>
    protected Errno CopyUp(int hostFd, long keep, ref bool isUp)
    {
        Errno error = Errno.OK;
        _data.EnterWrite();
        if (!Volatile.Read(ref isUp))
        {
            SysResult copied = hostFd < 0 ? 0 : FillFrom(hostFd, keep);
            error = copied.Error;
            if (error == Errno.OK)
            {
                Volatile.Write(ref _size, copied.Value);
                Volatile.Write(ref isUp, true);
            }
            else
                FreePages(0, LastPage);
        }
        _data.ExitWrite();
        return error;
    }

    protected override Errno Resize(long size)
    {
        Errno error = BringUp(size);
        return error == Errno.OK ? SetSize(size) : error;
    }
}
