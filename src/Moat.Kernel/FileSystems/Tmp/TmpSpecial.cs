using Moat.Kernel.Pipes;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

/// <summary>A symbolic link in memory.</summary>
internal sealed class TmpLink(TmpFileSystem fileSystem, in NewInode what, ulong device) : TmpInode(fileSystem, in what, device)
{
    private readonly string _target = what.LinkTarget!;

    public override long Size => _target.Length;

    public override Errno ReadLink(in Caller caller, out string target)
    {
        target = _target;
        return Errno.OK;
    }

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        return Errno.ELOOP;
    }
}

/// <summary>A FIFO or the name of a socket in memory.</summary>
internal sealed class TmpSpecial(TmpFileSystem fileSystem, in NewInode what, ulong device) : TmpInode(fileSystem, in what, device)
{
    private Pipe? _pipe;

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (Type != FileMode.S_IFIFO)
            return Errno.ENXIO;
        Pipe pipe = LazyInitializer.EnsureInitialized(ref _pipe, () => new Pipe());
        return PipeFile.OpenFifo(pipe, flags, caller.Credentials, waits: true, out file);
    }
}
