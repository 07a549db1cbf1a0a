using System.Text;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>Appends the content of a file about the whole sandbox.</summary>
internal delegate void WriteText(Sentry sentry, StringBuilder text);

/// <summary>A read-only file about the whole sandbox. Writing is refused even to user 0: EPERM.</summary>
internal sealed class TextFile(ProcFileSystem fileSystem, WriteText write, uint permissions = 0x124) : PseudoFile(fileSystem, permissions)
{
    public override Errno Generate(in Caller opener, StringBuilder text)
    {
        write(fileSystem.Sentry, text);
        return Errno.OK;
    }

    public override SysResult Accept(in Caller opener, ReadOnlySpan<byte> text, long offset) => Errno.EPERM;
}
