using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Loader;

/// <summary>Reads argv and envp of execve(2) out of guest memory.</summary>
internal static class ArgumentReader
{
    /// <summary>
    /// Reads a null-terminated array of strings; null is an empty one. <paramref name="left"/>: bytes that strings and pointers may
    /// still take (<see cref="StackBuilder.LimitFor"/>), which goes down. EFAULT, E2BIG.
    /// </summary>
    public static Errno Read(MemoryManager mm, UserPtr array, ref ulong left, out List<byte[]> strings)
    {
        strings = [];
        if (array.IsNull)
            return Errno.OK;
        byte[] buffer = new byte[4096];
        for (ulong i = 0; ; i++)
        {
            Errno error = mm.Read(new UserPtr<ulong>(array.Address + (i * sizeof(ulong))), out ulong address);
            if (error != Errno.OK)
                return error;
            if (address == 0)
                return Errno.OK;
            SysResult length = mm.CopyInString(new UserPtr(address), buffer);
            while (length.Error == Errno.ENAMETOOLONG && buffer.Length < StackBuilder.MaxString)
            {
                buffer = new byte[buffer.Length * 2];
                length = mm.CopyInString(new UserPtr(address), buffer);
            }
            if (length.IsError)
                return length.Error == Errno.ENAMETOOLONG ? Errno.E2BIG : length.Error;
            ulong cost = (ulong)length.Value + 1 + sizeof(ulong);
            if (cost > left)
                return Errno.E2BIG;
            left -= cost;
            strings.Add(buffer.AsSpan(0, (int)length.Value).ToArray());
        }
    }
}
