using System.Text;
using Moat.Kernel.Events;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Vfs.Pseudo;

/// <summary>
/// A file whose text is generated: derive and append to a StringBuilder (one char per byte). The text is made when reading
/// starts at position 0 and stays for the reads that follow, so a reader sees one consistent version.
/// </summary>
internal abstract class PseudoFile(FileSystem fileSystem, uint permissions = 0x124)
    : PseudoInode(fileSystem, FileMode.S_IFREG | permissions)
{
    /// <summary>Appends the whole content. <paramref name="opener"/>: who opened it. An error is what read(2) returns (ESRCH, EACCES).</summary>
    public abstract Errno Generate(in Caller opener, StringBuilder text);

    /// <summary>Takes what is written, whole (man 5 proc). Returns bytes taken or an errno; read-only files answer EIO.</summary>
    public virtual SysResult Accept(in Caller opener, ReadOnlySpan<byte> text, long offset) => Errno.EIO;

    /// <summary>False: what is written leaves the position where it was.</summary>
    public virtual bool MovesWhenWritten => true;

    /// <summary>Where to wait until the content changes (POLLPRI); null: nobody waits for that.</summary>
    public virtual WaitQueue? Waiters => null;

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = new PseudoFileDescription(this, in caller, flags);
        return Errno.OK;
    }
}

/// <summary>An open generated file.</summary>
internal sealed class PseudoFileDescription(PseudoFile inode, in Caller opener, OpenFlags flags) : FileDescription(flags)
{
    private const int MaxWrite = 65536;

    private readonly Caller _opener = opener;
    private readonly Lock _lock = new();
    private byte[]? _content;

    public override bool IsSeekable => true;

    public override bool CanSpliceFrom => false;

    public override WaitQueue? Waiters => inode.Waiters;

    public override PollEvents Poll() => inode.Waiters is null ? base.Poll() : PollEvents.POLLIN | PollEvents.POLLRDNORM;

    public override bool SupportsNoWait => false;

    public override bool TakesParts(bool write) => write;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        lock (_lock)
        {
            if (_content is null || offset == 0)
            {
                StringBuilder text = new();
                Errno error = inode.Generate(in _opener, text);
                if (error != Errno.OK)
                    return error;
                byte[] content = new byte[text.Length];
                int filled = 0;
                foreach (ReadOnlyMemory<char> chunk in text.GetChunks())
                    filled += Encoding.Latin1.GetBytes(chunk.Span, content.AsSpan(filled));
                _content = content;
            }
            if (offset >= _content.Length)
                return 0;
            int copied = to.CopyFrom(_content.AsSpan((int)offset));
            offset += copied;
            return copied == 0 && to.Remaining > 0 ? Errno.EFAULT : copied;
        }
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        byte[] text = new byte[Math.Min(from.Remaining, MaxWrite)];
        int length = from.CopyTo(text);
        if (length == 0 && text.Length > 0)
            return Errno.EFAULT;
        SysResult result = inode.Accept(in _opener, text.AsSpan(0, length), offset);
        if (!result.IsError && inode.MovesWhenWritten)
            offset += result.Value;
        return result;
    }

    public override SysResult Seek(long offset, int whence) => SeekPosition(offset, whence);

    public override SysResult Truncate(long length) => 0;
}
