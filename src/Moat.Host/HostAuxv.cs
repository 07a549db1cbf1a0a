using System.Buffers.Binary;

namespace Moat.Host;

/// <summary>What the host's kernel told this process about the machine (man 3 getauxval).</summary>
public static class HostAuxv
{
    private static readonly byte[] s_vector = Load();

    /// <summary>AT_HWCAP, AT_CLKTCK, AT_MINSIGSTKSZ.</summary>
    public const ulong AT_HWCAP = 16, AT_CLKTCK = 17, AT_MINSIGSTKSZ = 51;

    /// <summary>The value of an entry, or <paramref name="fallback"/> when the host gives none.</summary>
    public static ulong Get(ulong type, ulong fallback)
    {
        for (int i = 0; i + 16 <= s_vector.Length; i += 16)
        {
            if (BinaryPrimitives.ReadUInt64LittleEndian(s_vector.AsSpan(i)) == type)
                return BinaryPrimitives.ReadUInt64LittleEndian(s_vector.AsSpan(i + 8));
        }
        return fallback;
    }

    private static byte[] Load()
    {
        try
        {
            return File.ReadAllBytes("/proc/self/auxv");
        }
        catch (IOException)
        {
            return [];
        }
        catch (UnauthorizedAccessException)
        {
            return [];
        }
    }
}
