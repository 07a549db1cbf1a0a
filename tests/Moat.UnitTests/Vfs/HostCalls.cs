using System.Text;
using Moat.Abi;
using Moat.Host;

namespace Moat.UnitTests.Vfs;

/// <summary>The host kernel as oracle: raw calls on whole paths. Results as the kernel gives them: a value or -errno.</summary>
internal static unsafe class HostCalls
{
    public static long Path(long nr, string path, long a1 = 0, long a2 = 0)
    {
        fixed (byte* p = Encoding.Latin1.GetBytes(path + "\0"))
            return HostSyscall.Call(nr, (long)p, a1, a2);
    }

    public static long Paths(long nr, string one, string other, long a2 = 0)
    {
        fixed (byte* p = Encoding.Latin1.GetBytes(one + "\0"), q = Encoding.Latin1.GetBytes(other + "\0"))
            return HostSyscall.Call(nr, (long)p, (long)q, a2);
    }

    public static long RenameAt2(string from, string to, uint flags)
    {
        fixed (byte* p = Encoding.Latin1.GetBytes(from + "\0"), q = Encoding.Latin1.GetBytes(to + "\0"))
            return HostSyscall.Call(316, -100, (long)p, -100, (long)q, flags);
    }

    public static long Openat2(int dirfd, string path, ulong flags, ulong mode, ulong resolve)
    {
        OpenHow how = new() { Flags = flags, Mode = mode, Resolve = resolve };
        fixed (byte* p = Encoding.Latin1.GetBytes(path + "\0"))
            return HostSyscall.Call(437, dirfd, (long)p, (long)&how, sizeof(OpenHow));
    }

    public static long Mkdir(string path, uint mode = 0x1ff) => Path(83, path, mode);

    public static long Open(string path, OpenFlags flags, uint mode = 0) => Path(2, path, (long)flags, mode);

    public static long Symlink(string target, string path) => Paths(88, target, path);

    public static long Link(string from, string to) => Paths(86, from, to);

    public static void Close(long fd) => HostSyscall.Call(3, fd);
}
