using Moat.Host;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>
/// Files about the machine that the sandbox shares with others: as the host shows them, which /sys does as well. What the host
/// lacks is empty.
/// </summary>
internal static class MachineFiles
{
    /// <summary>A file of the same name as the host's.</summary>
    public static TextFile FromHost(ProcFileSystem fs, string path) => new(fs, (_, text) => text.Append(HostText.Read(path)));

    /// <summary>/proc/pressure.</summary>
    public static StaticDirectory Pressure(ProcFileSystem fs)
        => new StaticDirectory(fs).Add("cpu", FromHost(fs, "/proc/pressure/cpu")).Add("io", FromHost(fs, "/proc/pressure/io"))
            .Add("memory", FromHost(fs, "/proc/pressure/memory"));

    /// <summary>/proc/sys/net: of the host's settings those that programs read.</summary>
    public static StaticDirectory Network(ProcFileSystem fs)
    {
        StaticDirectory core = new(fs), inet = new(fs), unix = new(fs);
        foreach (string name in (ReadOnlySpan<string>)["netdev_max_backlog", "optmem_max", "rmem_default", "rmem_max", "somaxconn", "wmem_default", "wmem_max"])
            core.Add(name, FromHost(fs, "/proc/sys/net/core/" + name));
        foreach (string name in (ReadOnlySpan<string>)
            ["ip_forward", "ip_local_port_range", "ip_local_reserved_ports", "ip_nonlocal_bind", "ip_unprivileged_port_start", "ping_group_range",
                "tcp_available_congestion_control", "tcp_congestion_control", "tcp_fastopen", "tcp_fin_timeout", "tcp_keepalive_intvl",
                "tcp_keepalive_probes", "tcp_keepalive_time", "tcp_max_syn_backlog", "tcp_rmem", "tcp_syncookies", "tcp_timestamps",
                "tcp_tw_reuse", "tcp_wmem", "udp_mem", "udp_rmem_min", "udp_wmem_min"])
            inet.Add(name, FromHost(fs, "/proc/sys/net/ipv4/" + name));
        unix.Add("max_dgram_qlen", FromHost(fs, "/proc/sys/net/unix/max_dgram_qlen"));
        return new StaticDirectory(fs).Add("core", core).Add("ipv4", inet).Add("unix", unix);
    }
}
