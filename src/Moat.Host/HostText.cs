using System.Text;

namespace Moat.Host;

/// <summary>Small host files that tell about the machine.</summary>
public static class HostText
{
    /// <summary>The content of a host file, one char per byte; empty when it cannot be read.</summary>
    public static string Read(string path)
    {
        try
        {
            return Encoding.Latin1.GetString(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
