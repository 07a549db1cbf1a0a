using Moat.Kernel.FileSystems.Dev;
using Moat.Kernel.FileSystems.Proc;
using Moat.Kernel.Terminals;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems;

/// <summary>Mounts what every sandbox has besides its files: /dev, /dev/pts, /dev/shm and /proc.</summary>
internal static class GeneratedFileSystems
{
    /// <summary>Errors are those of the mount point, which <paramref name="problem"/> names.</summary>
    public static Errno Mount(Sentry sentry, MountTable mounts, out string problem)
    {
        const MountFlags Plain = MountFlags.RelAtime | MountFlags.NoSuid;
        problem = "/dev";
        Errno error = VfsRoot.MountAt(mounts, new DevFileSystem(sentry), problem, Plain);
        if (error != Errno.OK)
            return error;
        problem = "/dev/pts";
        error = VfsRoot.MountAt(mounts, new PtsFileSystem(sentry, mounts), problem, Plain | MountFlags.NoExec);
        if (error != Errno.OK)
            return error;
        problem = "/dev/shm";
        error = VfsRoot.MountShared(mounts, sentry.Frames);
        if (error != Errno.OK)
            return error;
        problem = "/proc";
        return VfsRoot.MountAt(mounts, new ProcFileSystem(sentry), problem, Plain | MountFlags.NoExec | MountFlags.NoDev);
    }
}
