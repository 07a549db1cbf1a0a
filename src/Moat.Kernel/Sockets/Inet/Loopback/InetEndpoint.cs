using System.Buffers.Binary;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>An address and a port. IPv4 addresses are mapped ones (::ffff:a.b.c.d).</summary>
internal readonly record struct InetEndpoint(UInt128 Address, ushort Port)
{
    /// <summary>sizeof(struct sockaddr_in) and of sockaddr_in6; the latter is valid without its last field.</summary>
    public const int Size4 = 16, Size6 = 28, Shortest6 = 24;

    private static readonly UInt128 s_mapped = (UInt128)0xffff << 32;

    /// <summary>127.0.0.1, 0.0.0.0, ::1 and ::.</summary>
    public static UInt128 Loopback4 => s_mapped | 0x7f000001;

    public static UInt128 Any4 => s_mapped;

    public static UInt128 Loopback6 => UInt128.One;

    public static UInt128 Any6 => UInt128.Zero;

    public bool IsV4 => Address >> 32 == 0xffff;

    /// <summary>0.0.0.0 or ::.</summary>
    public bool IsAny => Address == Any4 || Address == Any6;

    /// <summary>127.0.0.0/8 or ::1: what a sandbox without a network reaches.</summary>
    public bool IsLoopback => Address == Loopback6 || (IsV4 && (byte)(uint)(Address >> 24) == 127);

    /// <summary>What a destination of "any" means: this host.</summary>
    public InetEndpoint Destination => Address == Any4 ? this with { Address = Loopback4 } : Address == Any6 ? this with { Address = Loopback6 } : this;

    /// <summary>Reads a struct sockaddr of a family. EINVAL (too short), EAFNOSUPPORT.</summary>
    public static Errno Parse(int family, ReadOnlySpan<byte> name, out InetEndpoint endpoint)
    {
        endpoint = default;
        if (name.Length < (family == AddressFamily.AF_INET ? Size4 : Shortest6))
            return Errno.EINVAL;
        if (BinaryPrimitives.ReadUInt16LittleEndian(name) != family)
            return Errno.EAFNOSUPPORT;
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        endpoint = family == AddressFamily.AF_INET
            ? new InetEndpoint(s_mapped | BinaryPrimitives.ReadUInt32BigEndian(name[4..]), port)
            : new InetEndpoint(BinaryPrimitives.ReadUInt128BigEndian(name[8..]), port);
        return Errno.OK;
    }

    /// <summary>Writes the struct sockaddr of a family; returns its length.</summary>
    public int Write(int family, Span<byte> name)
    {
        int size = family == AddressFamily.AF_INET ? Size4 : Size6;
        name[..size].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(name, (ushort)family);
        BinaryPrimitives.WriteUInt16BigEndian(name[2..], Port);
        if (family == AddressFamily.AF_INET)
            BinaryPrimitives.WriteUInt32BigEndian(name[4..], (uint)Address);
        else
            BinaryPrimitives.WriteUInt128BigEndian(name[8..], Address);
        return size;
    }
}
