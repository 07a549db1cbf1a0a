using System.Globalization;
using System.Text;

namespace Moat.Cli;

/// <summary>The file of <c>--debug-log</c>: what happened and when, stack traces, and the trace when there is one.</summary>
internal static class DebugLog
{
    private static readonly Lock s_lock = new();
    private static FileStream? s_file;

    /// <summary>The file for those who write whole lines themselves; null without a debug log.</summary>
    public static Stream? Sink => s_file;

    /// <summary>Opens the file anew. Throws <see cref="IOException"/> and <see cref="UnauthorizedAccessException"/>.</summary>
    public static void Open(string path)
        => s_file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);

    /// <summary>Writes lines with the time; nothing without a debug log.</summary>
    public static void Write(string text)
    {
        if (s_file is null)
            return;
        string time = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);
        byte[] line = Encoding.UTF8.GetBytes($"{time} {text}\n");
        lock (s_lock)
            s_file.Write(line);
    }
}
