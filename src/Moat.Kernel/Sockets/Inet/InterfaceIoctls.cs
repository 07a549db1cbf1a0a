using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Sockets.Inet.Loopback;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>ioctl(2) about network interfaces (man 7 netdevice): any socket answers them. Nothing is changed through them: EPERM.</summary>
internal static class InterfaceIoctls
{
    private const uint SIOCGIFNAME = 0x8910, SIOCSIFLINK = 0x8911, SIOCGIFCONF = 0x8912, SIOCGIFFLAGS = 0x8913, SIOCGIFADDR = 0x8915,
        SIOCGIFDSTADDR = 0x8917, SIOCGIFBRDADDR = 0x8919, SIOCGIFNETMASK = 0x891b, SIOCGIFMETRIC = 0x891d, SIOCGIFMTU = 0x8921,
        SIOCGIFHWADDR = 0x8927, SIOCGIFINDEX = 0x8933, SIOCGIFTXQLEN = 0x8942, SIOCGIFMAP = 0x8970, SIOCETHTOOL = 0x8946;

    /// <summary>sizeof(struct ifreq).</summary>
    private const int RequestSize = 40;

    /// <summary>Interface requests lie between these.</summary>
    private const uint First = 0x890B, Last = 0x89FF;

    /// <summary>Serves one; ENOTTY when the command is none of these.</summary>
    public static SysResult Serve(Task task, uint command, ulong argument)
    {
        if (command is < First or > Last)
            return Errno.ENOTTY;
        switch (command)
        {
            case SIOCGIFCONF:
                return GetConfiguration(task, argument);
            case SIOCGIFNAME or SIOCGIFFLAGS or SIOCGIFADDR or SIOCGIFDSTADDR or SIOCGIFBRDADDR or SIOCGIFNETMASK or SIOCGIFMETRIC
                or SIOCGIFMTU or SIOCGIFHWADDR or SIOCGIFINDEX or SIOCGIFTXQLEN or SIOCGIFMAP:
                break;
            case SIOCETHTOOL:
                return Errno.EOPNOTSUPP;
            default:
                return IsChange(command) ? Errno.EPERM : Errno.ENOTTY;
        }
        Span<byte> request = stackalloc byte[RequestSize];
        Errno error = task.Mm.CopyIn(new UserPtr(argument), request);
        if (error != Errno.OK)
            return error;
        long r = task.Sentry.Interfaces.Ask(command, request);
        return r < 0 ? new SysResult(r) : task.Mm.CopyOut(new UserPtr(argument), request);
    }

    /// <summary>SIOCGIFCONF: addresses of the interfaces that are up, into a buffer that a struct ifconf tells of.</summary>
    private static SysResult GetConfiguration(Task task, ulong argument)
    {
        const int Most = 4096;
        UserPtr<int> lengthAt = new(argument);
        if (task.Mm.Read(lengthAt, out int length) != Errno.OK || task.Mm.Read(new UserPtr<ulong>(argument + 8), out ulong buffer) != Errno.OK)
            return Errno.EFAULT;
        Span<byte> entries = stackalloc byte[Most];
        long have = task.Sentry.Interfaces.List(entries);
        if (have < 0)
            return new SysResult(have);
        // Whole entries only; a null buffer asks how much room it takes.
        int given = buffer == 0 ? (int)have : (int)Math.Min(have, Math.Max(0, length) / RequestSize * RequestSize);
        Errno error = buffer == 0 ? Errno.OK : task.Mm.CopyOut(new UserPtr(buffer), entries[..given]);
        return error != Errno.OK ? error : task.Mm.Write(lengthAt, given);
    }

    /// <summary>Commands that set something about interfaces, addresses, ARP and routes.</summary>
    private static bool IsChange(uint command) => command is SIOCSIFLINK or 0x890B or 0x890C or 0x8914 or 0x8916 or 0x8918 or 0x891A or 0x891C
        or 0x891E or 0x8922 or 0x8923 or 0x8924 or 0x8931 or 0x8932 or 0x8936 or 0x8937 or 0x8943 or 0x8953 or 0x8955 or 0x8971;
}

/// <summary>The network interfaces of a sandbox, as ioctl(2) shows them.</summary>
internal sealed class NetworkInterfaces(NetworkMode mode)
{
    private readonly Lock _lock = new();
    private int _socket = -1;

    /// <summary>Serves a request on a struct ifreq in place. 0 or -errno: ENODEV, EADDRNOTAVAIL...</summary>
    public long Ask(uint command, Span<byte> request)
    {
        if (mode == NetworkMode.None)
            return LoopbackInterface.Ask(command, request);
        int socket = Open();
        return socket < 0 ? socket : HostStreamCalls.Ioctl(socket, command, request);
    }

    /// <summary>Fills in struct ifreq entries; returns their bytes or -errno.</summary>
    public long List(Span<byte> entries)
    {
        if (mode == NetworkMode.None)
            return LoopbackInterface.List(entries);
        int socket = Open();
        return socket < 0 ? socket : HostSockets.ListInterfaces(socket, entries);
    }

    /// <summary>A host socket to ask, kept.</summary>
    private int Open()
    {
        lock (_lock)
        {
            if (_socket < 0)
                _socket = HostSockets.Create(AddressFamily.AF_INET, SocketType.SOCK_DGRAM, 0);
            return _socket;
        }
    }
}
