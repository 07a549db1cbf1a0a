using System.Globalization;
using Moat.Host;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>What of the host's network configuration the sentry itself has to know.</summary>
internal static class HostNetwork
{
    private const int Usual = 1024;

    private static readonly Lazy<int> s_firstUnprivileged = new(static ()
        => int.TryParse(HostText.Read("/proc/sys/net/ipv4/ip_unprivileged_port_start").AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            ? port : Usual);

    /// <summary>The lowest port that everybody may bind (net.ipv4.ip_unprivileged_port_start).</summary>
    public static int FirstUnprivilegedPort => s_firstUnprivileged.Value;
}
