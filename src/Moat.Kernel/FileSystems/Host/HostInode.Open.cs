using Moat.Host;
using Moat.Kernel.Pipes;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Host;

internal sealed partial class HostInode
{
    // What the host's description has to know of the guest's flags.
    private const OpenFlags HostsOwn = OpenFlags.O_DIRECT | OpenFlags.O_NOATIME | OpenFlags.O_DSYNC | OpenFlags.O_SYNC;

    // The descriptor that made the file, kept for the open that follows: the mode may forbid opening it again.
    private HostHandle? _made;

    // What a FIFO carries.
    private Pipe? _pipe;

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (Type == FileMode.S_IFIFO)
        {
            // Who opens it meets whoever else does inside the sandbox.
            Pipe pipe = LazyInitializer.EnsureInitialized(ref _pipe, static () => new Pipe());
            return PipeFile.OpenFifo(pipe, flags, caller.Credentials, waits: true, out file);
        }
        if (!IsRegular && !IsDirectory)
            return Errno.ENXIO;
        HostHandle? handle = (flags & OpenFlags.O_CREAT) != 0 ? Interlocked.Exchange(ref _made, null) : null;
        if (handle is null)
        {
            Errno error = OpenHandle(flags, out handle);
            if (error != Errno.OK)
                return error;
        }
        Opened(handle!);
        file = IsDirectory ? new HostDirectory(this, handle!, flags) : new HostFile(this, handle!, flags);
        return Errno.OK;
    }

    /// <summary>A description has this descriptor, which stands for the file until <see cref="Closed"/>.</summary>
    internal void Opened(HostHandle handle)
    {
        lock (_lock)
        {
            handle.NextOpen = _open;
            _open = handle;
        }
    }

    /// <summary>A description is gone: its descriptor no longer stands for this file.</summary>
    internal void Closed(HostHandle handle)
    {
        lock (_lock)
        {
            if (_open == handle)
            {
                _open = handle.NextOpen;
                return;
            }
            for (HostHandle? h = _open; h is not null; h = h.NextOpen)
            {
                if (h.NextOpen == handle)
                {
                    h.NextOpen = handle.NextOpen;
                    return;
                }
            }
        }
    }

    /// <summary>A fresh descriptor of this very file. ESTALE when the name now leads to another.</summary>
    internal Errno OpenHandle(OpenFlags flags, out HostHandle? handle)
    {
        handle = null;
        // O_NONBLOCK: if somebody put a FIFO or a device in the file's place, opening it neither waits nor acts.
        OpenFlags host = (flags & (OpenFlags.O_ACCMODE | HostsOwn))
            | OpenFlags.O_NONBLOCK | OpenFlags.O_NOCTTY | OpenFlags.O_NOFOLLOW;
        if (IsDirectory)
            host = OpenFlags.O_DIRECTORY | OpenFlags.O_NOFOLLOW;
        else if ((flags & OpenFlags.O_ACCMODE) == OpenFlags.O_ACCMODE)
            host = (host & ~OpenFlags.O_ACCMODE) | OpenFlags.O_RDWR;
        int fd;
        HostHandle? known = _rootHandle;
        if (known is not null)
            fd = HostFiles.Reopen(known.Fd, (int)host);
        else if (PinOpen(out known) || (known = PinPath()) is not null)
        {
            fd = HostFiles.Reopen(known!.Fd, (int)host);
            known.DropReference();
        }
        else
        {
            Location location = _location;
            Errno error = location.Parent!.Pin(out HostHandle? parent);
            if (error != Errno.OK)
                return error;
            fd = HostFiles.OpenAt(parent!.Fd, location.Name, (int)host);
            parent.DropReference();
            if (fd is -(int)Errno.ENOENT or -(int)Errno.ELOOP or -(int)Errno.ENOTDIR)
                return Errno.ESTALE;
        }
        if (fd < 0)
            return (Errno)(-fd);
        Errno same = Compare(fd, out Statx stat);
        if (same != Errno.OK)
        {
            HostFiles.Close(fd);
            return same;
        }
        Remember(in stat);
        handle = new HostHandle(fd);
        return Errno.OK;
    }

    private HostHandle? PinPath()
        => Volatile.Read(ref _path) is { } path && path.TryAddReference() ? path : null;
}
