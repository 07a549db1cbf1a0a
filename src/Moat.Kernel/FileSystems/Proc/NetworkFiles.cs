using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Kernel.Sockets;
using Moat.Kernel.Sockets.Inet;
using Moat.Kernel.Sockets.Inet.Loopback;
using Moat.Kernel.Sockets.Unix;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>
/// /proc/net: interfaces and routes are the host's or, without its network, those of the loopback. Sockets are the sandbox's own; the
/// host's other sockets do not show.
/// </summary>
internal static class NetworkFiles
{
    private const string TcpHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    private const string Tcp6Header = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    private const string UdpHeader = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
    private const string Udp6Header = Tcp6Header + " ref pointer drops";
    private const int TcpWidth = 149, UdpWidth = 127;

    /// <summary>The directory.</summary>
    public static StaticDirectory Build(ProcFileSystem fs)
    {
        StaticDirectory net = new(fs);
        net.Add("dev", new TextFile(fs, static (sentry, text) => text.Append(sentry.Network == NetworkMode.Host ? HostText.Read("/proc/net/dev") : LoopbackDevice)))
            .Add("if_inet6", new TextFile(fs, static (sentry, text)
                => text.Append(sentry.Network == NetworkMode.Host ? HostText.Read("/proc/net/if_inet6") : "00000000000000000000000000000001 01 80 10 80       lo\n")))
            .Add("raw", Table(fs, "raw", SocketType.SOCK_RAW, AddressFamily.AF_INET, UdpHeader[1..], UdpWidth))
            .Add("raw6", Table(fs, "raw6", SocketType.SOCK_RAW, AddressFamily.AF_INET6, Udp6Header, 0))
            .Add("route", new TextFile(fs, static (sentry, text)
                => text.Append(sentry.Network == NetworkMode.Host ? HostText.Read("/proc/net/route") : RouteHeader.PadRight(UdpWidth) + "\n")))
            .Add("tcp", Table(fs, "tcp", SocketType.SOCK_STREAM, AddressFamily.AF_INET, TcpHeader, TcpWidth))
            .Add("tcp6", Table(fs, "tcp6", SocketType.SOCK_STREAM, AddressFamily.AF_INET6, Tcp6Header, 0))
            .Add("udp", Table(fs, "udp", SocketType.SOCK_DGRAM, AddressFamily.AF_INET, UdpHeader, UdpWidth))
            .Add("udp6", Table(fs, "udp6", SocketType.SOCK_DGRAM, AddressFamily.AF_INET6, Udp6Header, 0))
            .Add("unix", new TextFile(fs, static (sentry, text) => UnixTable.Append(sentry, text)));
        foreach (string name in (ReadOnlySpan<string>)["arp", "dev_mcast", "icmp", "igmp", "ipv6_route", "netstat", "psched", "snmp", "snmp6", "sockstat", "sockstat6", "softnet_stat"])
        {
            net.Add(name, new TextFile(fs, (sentry, text) =>
            {
                if (sentry.Network == NetworkMode.Host)
                    text.Append(HostText.Read("/proc/net/" + name));
            }));
        }
        return net;
    }

    private const string RouteHeader = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

    private const string LoopbackDevice = "Inter-|   Receive                                                |  Transmit\n"
        + " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
        + "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n";

    private static TextFile Table(ProcFileSystem fs, string name, int type, int family, string header, int width)
        => new(fs, (sentry, text) =>
        {
            text.Append(header.PadRight(width)).Append('\n');
            List<Socket> sockets = Collect(sentry, type, family);
            if (sentry.Network == NetworkMode.Host)
                AppendFromHost(text, "/proc/net/" + name, sockets, width);
            else
                AppendOwn(text, sockets, width);
        });

    /// <summary>The sockets of a kind that some descriptor stands for.</summary>
    private static List<Socket> Collect(Sentry sentry, int type, int family)
    {
        HashSet<FdTable> tables = [];
        HashSet<Socket> found = [];
        foreach (ThreadGroup group in sentry.Tasks.GetGroups())
        {
            foreach (Task task in group.GetTasks())
                tables.Add(task.Files);
        }
        foreach (FdTable table in tables)
        {
            for (int fd = table.NextOpen(0); fd >= 0; fd = table.NextOpen(fd + 1))
            {
                FileDescription? file = table.Get(fd);
                if (file is Socket socket && socket.Type == type && socket.Family == family)
                    found.Add(socket);
                file?.DropReference();
            }
        }
        return [.. found];
    }

    /// <summary>The host's lines about these sockets, with the sandbox's own inode numbers and owners.</summary>
    private static void AppendFromHost(StringBuilder text, string path, List<Socket> sockets, int width)
    {
        const int OwnerAt = 7, InodeAt = 9;
        Dictionary<string, HostSocket> byInode = new(StringComparer.Ordinal);
        foreach (Socket socket in sockets)
        {
            if (socket is HostSocket host && HostStreamCalls.GetStat(host.HostFd, out Stat stat) == 0)
                byInode[stat.st_ino.ToString(CultureInfo.InvariantCulture)] = host;
        }
        int number = 0;
        foreach (string line in byInode.Count == 0 ? [] : HostText.Read(path).Split('\n'))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length <= InodeAt || !byInode.TryGetValue(words[InodeAt], out HostSocket? socket) || socket.GetStat(out FileStat stat) != Errno.OK)
                continue;
            words[OwnerAt] = stat.Uid.ToString(CultureInfo.InvariantCulture).PadLeft(5);
            words[OwnerAt + 1] = words[OwnerAt + 1].PadLeft(8);
            words[InodeAt] = socket.Number.ToString(CultureInfo.InvariantCulture);
            words[0] = string.Create(CultureInfo.InvariantCulture, $"{number++,4}:");
            text.Append(string.Join(' ', words).PadRight(width)).Append('\n');
        }
    }

    private static void AppendOwn(StringBuilder text, List<Socket> sockets, int width)
    {
        int number = 0;
        foreach (Socket socket in sockets)
        {
            if (socket is not LoopbackSocket { IsBound: true } own)
                continue;
            string line = string.Create(CultureInfo.InvariantCulture,
                $"{number++,4}: {Show(own.Local, own.Family)} {Show(own.Remote, own.Family)} {own.StateNumber:X2} {own.GetOutputQueued().Value:X8}:{own.GetInputQueued().Value:X8} 00:00000000 00000000 {own.Owner.EffectiveUid,5} {0,8} {own.Number} 1 0000000000000000 0");
            text.Append(line.PadRight(width)).Append('\n');
        }
    }

    /// <summary>Address words as the kernel prints them: in host order each.</summary>
    private static string Show(InetEndpoint endpoint, int family)
    {
        UInt128 address = endpoint.Port == 0 && endpoint.Address == 0 ? 0 : endpoint.Address;
        StringBuilder text = new();
        for (int shift = family == AddressFamily.AF_INET ? 0 : 96; shift >= 0; shift -= 32)
            text.Append(CultureInfo.InvariantCulture, $"{System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)(address >> shift)):X8}");
        return text.Append(CultureInfo.InvariantCulture, $":{endpoint.Port:X4}").ToString();
    }
}
