using System.Text;
using Moat.Host;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.FileSystems.Overlay;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>Puts the file tree of a sandbox together.</summary>
internal static class VfsRoot
{
    /// <summary>
    /// The root as <paramref name="options"/> say. Generated file systems (/proc, /dev) are the caller's to mount, then the
    /// volumes; all share <paramref name="handles"/>. Errors are the host's about the root, which <paramref name="problem"/> names.
    /// </summary>
    public static Errno Build(SentryOptions options, Memory.FrameAllocator frames, out MountTable? mounts, out HostHandleCache handles, out string problem)
    {
        mounts = null;
        // Modes of files made in volumes are the guest's; its own umask has been applied.
        HostFiles.ClearUmask();
        handles = new(HostFileSystem.HandlesFor(HostFiles.RaiseDescriptorLimit()));
        Errno error = HostFileSystem.Open(Bytes(options.Root), isLower: true, isReadOnly: true, handles, out HostFileSystem? lower);
        problem = options.Root;
        if (error == Errno.OK)
            mounts = new MountTable(new OverlayFileSystem(lower!, frames));
        return error;
    }

    /// <summary>Mounts the volumes, behind everything else, so that they may lie below /dev. <paramref name="problem"/> as above.</summary>
    public static Errno MountVolumes(SentryOptions options, MountTable mounts, HostHandleCache handles, out string problem)
    {
        foreach (Volume volume in options.Volumes)
        {
            problem = volume.Source;
            Errno error = HostFileSystem.Open(Bytes(volume.Source), isLower: false, volume.ReadOnly, handles, out HostFileSystem? host);
            if (error != Errno.OK)
                return error;
            problem = volume.Destination;
            error = MountAt(mounts, host!, Bytes(volume.Destination), MountFlags.RelAtime | (volume.ReadOnly ? MountFlags.ReadOnly : 0));
            if (error != Errno.OK)
                return error;
        }
        problem = "";
        return Errno.OK;
    }

    /// <summary>Mounts memory at /dev/shm; after /dev itself.</summary>
    public static Errno MountShared(MountTable mounts, Memory.FrameAllocator frames)
        => MountAt(mounts, new TmpFileSystem(frames), "/dev/shm", MountFlags.RelAtime | MountFlags.NoSuid | MountFlags.NoDev);

    /// <summary>Mounts a file system at a path of the sandbox; directories that are missing are made. ENOTDIR, EROFS, ELOOP.</summary>
    public static Errno MountAt(MountTable mounts, FileSystem fileSystem, string path, MountFlags flags)
    {
        Caller maker = Maker(mounts);
        Errno error = PathOperations.Walk(in maker, Syscalls.Fd.AT_FDCWD, path, LookupFlags.Follow | LookupFlags.Directory, out VfsPath place);
        if (error == Errno.ENOENT)
        {
            error = MakeDirectories(in maker, path);
            if (error == Errno.OK)
                error = PathOperations.Walk(in maker, Syscalls.Fd.AT_FDCWD, path, LookupFlags.Follow | LookupFlags.Directory, out place);
        }
        if (error == Errno.OK)
            mounts.Mount(fileSystem, place, flags);
        return error;
    }

    /// <summary>A path of the command line, which .NET decoded, in the form of all paths here: one char per byte.</summary>
    public static string Bytes(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    /// <summary>The sandbox itself as a caller: user 0, from the root.</summary>
    public static Caller Maker(MountTable mounts) => new(new Credentials(), new FsContext(mounts.Root.RootPath), null, null);

    private static Errno MakeDirectories(in Caller maker, string path)
    {
        for (int slash = path.IndexOf('/', 1); ; slash = path.IndexOf('/', slash + 1))
        {
            ReadOnlySpan<char> prefix = slash < 0 ? path : path.AsSpan(0, slash);
            Errno error = PathOperations.MakeDirectory(in maker, Syscalls.Fd.AT_FDCWD, prefix, 0x1ed);
            if (error is not (Errno.OK or Errno.EEXIST))
                return error;
            if (slash < 0)
                return Errno.OK;
        }
    }
}
