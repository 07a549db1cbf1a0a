namespace Moat.Cli;

/// <summary>This process's arguments and environment as bytes: .NET's strings lose what is not UTF-8.</summary>
internal static class ProcessBytes
{
    /// <summary>The last <paramref name="count"/> arguments of this process.</summary>
    public static byte[][] LastArguments(int count)
    {
        List<byte[]> all = Split(File.ReadAllBytes("/proc/self/cmdline"));
        return [.. all.Skip(all.Count - count)];
    }

    /// <summary>The environment that this process was started with.</summary>
    public static List<byte[]> Environment() => Split(File.ReadAllBytes("/proc/self/environ"));

    /// <summary>NUL-terminated strings.</summary>
    internal static List<byte[]> Split(ReadOnlySpan<byte> bytes)
    {
        List<byte[]> strings = [];
        while (!bytes.IsEmpty)
        {
            int end = bytes.IndexOf((byte)0);
            strings.Add(bytes[..(end < 0 ? bytes.Length : end)].ToArray());
            bytes = end < 0 ? [] : bytes[(end + 1)..];
        }
        return strings;
    }
}
