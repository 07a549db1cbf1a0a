using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc (proc(5)): the sandbox's own processes and settings, never the host's.</summary>
internal sealed class ProcFileSystem : FileSystem
{
    private const long PROC_SUPER_MAGIC = 0x9fa0;

    public ProcFileSystem(Sentry sentry)
    {
        Sentry = sentry;
        Network = NetworkFiles.Build(this);
        Root = new ProcRoot(this);
    }

    public Sentry Sentry { get; }

    /// <summary>/proc/PID/net: one network for all processes.</summary>
    public StaticDirectory Network { get; }

    public override string TypeName => "proc";

    public override Inode Root { get; }

    public override NameCaching Caching => NameCaching.Afresh;

    public override Errno GetStatFs(out StatFs stat)
    {
        stat = new StatFs { f_type = PROC_SUPER_MAGIC, f_bsize = 4096, f_frsize = 4096, f_namelen = 255 };
        return Errno.OK;
    }
}
