using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Loader;

/// <summary>Reads files into the sentry's own buffers.</summary>
internal static unsafe class FileReader
{
    /// <summary>Reads at an offset until the buffer is full or the file ends. Returns bytes or an errno.</summary>
    public static SysResult ReadAt(FileDescription file, long offset, Span<byte> buffer)
    {
        using IoVector vector = new();
        long done = 0;
        fixed (byte* p = buffer)
        {
            while (done < buffer.Length)
            {
                vector.Clear();
                // SAFETY: pinned while the file writes into it.
                vector.Add(p + done, (ulong)(buffer.Length - done));
                SysResult result = file.Read(vector, ref offset, RwFlags.None);
                if (result.IsError)
                    return result;
                if (result.Value == 0)
                    break;
                done += result.Value;
            }
        }
        return done;
    }
}
