using Moat.Kernel.Terminals;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Dev;

/// <summary>/dev: the devices that every program may expect, and no others.</summary>
internal sealed class DevFileSystem : FileSystem
{
    private const long TMPFS_MAGIC = 0x01021994;

    public DevFileSystem(Sentry sentry)
    {
        DeviceDirectory root = new(this, sentry, 0x1ed);
        root.Add("null", new CharacterDevice(this, 1, 3, static (_, flags) => new NullFile(flags)))
            .Add("zero", new CharacterDevice(this, 1, 5, static (_, flags) => new ZeroFile(flags, isFull: false)))
            .Add("full", new CharacterDevice(this, 1, 7, static (_, flags) => new ZeroFile(flags, isFull: true)))
            .Add("random", new CharacterDevice(this, 1, 8, static (_, flags) => new RandomFile(flags, hasReadiness: true)))
            .Add("urandom", new CharacterDevice(this, 1, 9, static (_, flags) => new RandomFile(flags, hasReadiness: false)))
            .Add("tty", new TerminalDevice(this))
            .Add("fd", new FixedLink(this, "/proc/self/fd"))
            .Add("stdin", new FixedLink(this, "/proc/self/fd/0"))
            .Add("stdout", new FixedLink(this, "/proc/self/fd/1"))
            .Add("stderr", new FixedLink(this, "/proc/self/fd/2"))
            .Add("shm", new DeviceDirectory(this, sentry, 0x3ff))
            .Add("pts", new DeviceDirectory(this, sentry, 0x1ed))
            .Add("ptmx", new PtyMultiplexer(this, sentry.Terminals));
        Root = root;
    }

    public override string TypeName => "tmpfs";

    public override Inode Root { get; }

    public override Errno GetStatFs(out StatFs stat)
    {
        stat = new StatFs { f_type = TMPFS_MAGIC, f_bsize = 4096, f_frsize = 4096, f_namelen = 255 };
        return Errno.OK;
    }
}
