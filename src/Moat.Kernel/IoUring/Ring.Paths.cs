using System.Runtime.CompilerServices;
using System.Text;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>Paths that requests keep while they wait for their turn.</summary>
internal sealed partial class Ring
{
    private readonly Stack<char[]> _pathPool = new();

    /// <summary>Copies the first path of a request from the guest. EFAULT, ENAMETOOLONG, ENOENT when empty unless allowed. Under the lock.</summary>
    public Errno ReadPath(Request request, ulong address, bool allowEmpty = false)
        => ReadPath(request, address, allowEmpty, ref request.Path, out request.PathLength);

    /// <summary>Copies the second path.</summary>
    public Errno ReadSecondPath(Request request, ulong address)
        => ReadPath(request, address, allowEmpty: false, ref request.SecondPath, out request.SecondPathLength);

    /// <summary>Gives the buffers of the paths back. Under the lock.</summary>
    public void DropPaths(Request request)
    {
        if (request.Path is not null)
            _pathPool.Push(request.Path);
        if (request.SecondPath is not null)
            _pathPool.Push(request.SecondPath);
        request.Path = request.SecondPath = null;
        request.PathLength = request.SecondPathLength = 0;
    }

    [SkipLocalsInit]
    private Errno ReadPath(Request request, ulong address, bool allowEmpty, ref char[]? buffer, out int length)
    {
        Span<byte> bytes = stackalloc byte[PathWalker.PathMax];
        length = 0;
        SysResult read = request.Origin.Mm.CopyInString(new UserPtr(address), bytes);
        if (read.IsError)
            return read.Error;
        if (read.Value == 0 && !allowEmpty)
            return Errno.ENOENT;
        request.Flags |= RequestFlags.NeedCleanup;
        buffer = _pathPool.TryPop(out char[]? pooled) ? pooled : new char[PathWalker.PathMax];
        length = Encoding.Latin1.GetChars(bytes[..(int)read.Value], buffer);
        return Errno.OK;
    }
}
