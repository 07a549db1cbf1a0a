using System.Globalization;

namespace Moat.Host;

/// <summary>The vDSO that the host's kernel gives every process.</summary>
public static class HostVdso
{
    /// <summary>Bytes of its image; the same in every process of this kernel.</summary>
    public static ulong Length { get; } = Find();

    private static ulong Find()
    {
        const ulong Usual = 8192;
        try
        {
            foreach (string line in File.ReadLines("/proc/self/maps"))
            {
                if (!line.EndsWith("[vdso]", StringComparison.Ordinal))
                    continue;
                ReadOnlySpan<char> range = line.AsSpan(0, line.IndexOf(' '));
                int dash = range.IndexOf('-');
                return ulong.Parse(range[(dash + 1)..], NumberStyles.HexNumber, CultureInfo.InvariantCulture)
                    - ulong.Parse(range[..dash], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            }
        }
        catch (IOException)
        {
            // No /proc: the size is shown to guests, nothing depends on it.
        }
        return Usual;
    }
}
