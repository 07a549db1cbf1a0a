using System.Runtime.CompilerServices;
using System.Text;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private char[]? _path, _secondPath;

    /// <summary>
    /// Copies a path from the guest into this task's scratch; valid until the next one. EFAULT, ENAMETOOLONG.
    /// </summary>
    public Errno ReadPath(UserPath address, out ReadOnlySpan<char> path) => ReadPath(address, ref _path, out path);

    /// <summary>The second scratch, for calls with two paths.</summary>
    public Errno ReadSecondPath(UserPath address, out ReadOnlySpan<char> path) => ReadPath(address, ref _secondPath, out path);

    [SkipLocalsInit]
    private Errno ReadPath(UserPath address, ref char[]? scratch, out ReadOnlySpan<char> path)
    {
        Span<byte> bytes = stackalloc byte[PathWalker.PathMax];
        path = default;
        SysResult length = Mm.CopyInString(new UserPtr(address.Address), bytes);
        if (length.IsError)
            return length.Error;
        scratch ??= new char[PathWalker.PathMax];
        path = scratch.AsSpan(0, Encoding.Latin1.GetChars(bytes[..(int)length.Value], scratch));
        return Errno.OK;
    }
}
