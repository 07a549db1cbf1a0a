using System.Runtime.InteropServices;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>The only interface of a sandbox without a network: lo, index 1, 127.0.0.1/8 and ::1/128.</summary>
internal static class LoopbackInterface
{
    /// <summary>Index and MTU of lo.</summary>
    public const int Index = 1, Mtu = 65536;

    /// <summary>IFF_UP | IFF_LOOPBACK | IFF_RUNNING.</summary>
    public const int Flags = 0x49;

    private const int NameSize = 16;
    private const ushort ARPHRD_LOOPBACK = 772;

    private static ReadOnlySpan<byte> Name => "lo\0"u8;

    /// <summary>Serves a request on a struct ifreq in place. 0, -ENODEV, -ENOTTY.</summary>
    public static long Ask(uint command, Span<byte> request)
    {
        Span<byte> value = request[NameSize..];
        if (command == 0x8910 /* SIOCGIFNAME */)
        {
            if (MemoryMarshal.Read<int>(value) != Index)
                return -(long)Errno.ENODEV;
            request[..NameSize].Clear();
            Name.CopyTo(request);
            return 0;
        }
        if (!request.StartsWith(Name))
            return -(long)Errno.ENODEV;
        value.Clear();
        switch (command)
        {
            case 0x8913: // SIOCGIFFLAGS
                MemoryMarshal.Write(value, (short)Flags);
                return 0;
            case 0x8915 or 0x8917: // SIOCGIFADDR, SIOCGIFDSTADDR
                PutAddress(value, 127, 0, 0, 1);
                return 0;
            case 0x8919: // SIOCGIFBRDADDR: none
                PutAddress(value, 0, 0, 0, 0);
                return 0;
            case 0x891b: // SIOCGIFNETMASK
                PutAddress(value, 255, 0, 0, 0);
                return 0;
            case 0x891d: // SIOCGIFMETRIC
                return 0;
            case 0x8921: // SIOCGIFMTU
                MemoryMarshal.Write(value, Mtu);
                return 0;
            case 0x8927: // SIOCGIFHWADDR
                MemoryMarshal.Write(value, ARPHRD_LOOPBACK);
                return 0;
            case 0x8933: // SIOCGIFINDEX
                MemoryMarshal.Write(value, Index);
                return 0;
            case 0x8942: // SIOCGIFTXQLEN
                MemoryMarshal.Write(value, 1000);
                return 0;
            case 0x8970: // SIOCGIFMAP
                return 0;
            default:
                return -(long)Errno.ENOTTY;
        }
    }

    /// <summary>Fills in the one struct ifreq of SIOCGIFCONF; returns its bytes.</summary>
    public static long List(Span<byte> entries)
    {
        const int RequestSize = 40;
        Span<byte> entry = entries[..RequestSize];
        entry.Clear();
        Name.CopyTo(entry);
        PutAddress(entry[NameSize..], 127, 0, 0, 1);
        return RequestSize;
    }

    private static void PutAddress(Span<byte> to, byte a, byte b, byte c, byte d)
    {
        MemoryMarshal.Write(to, (ushort)AddressFamily.AF_INET);
        (to[4], to[5], to[6], to[7]) = (a, b, c, d);
    }
}
