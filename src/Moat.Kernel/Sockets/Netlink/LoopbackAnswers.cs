using System.Runtime.InteropServices;
using Moat.Kernel.Sockets.Inet.Loopback;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>Sends an error, or OK, for a message.</summary>
internal delegate void AnswerError(NetlinkMessage header, ReadOnlySpan<byte> whole, Errno error);

/// <summary>What a sandbox without the host's network says of itself (man 7 rtnetlink): lo, its two addresses, no routes.</summary>
internal static class LoopbackAnswers
{
    private const ushort RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_GETADDR = 22;
    private const ushort IFLA_ADDRESS = 1, IFLA_BROADCAST = 2, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_QDISC = 6, IFLA_TXQLEN = 13, IFLA_OPERSTATE = 16, IFLA_LINKMODE = 17, IFLA_GROUP = 27;
    private const ushort IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_LABEL = 3, IFA_CACHEINFO = 6, IFA_FLAGS = 8;
    private const byte RT_SCOPE_HOST = 254, IFA_F_PERMANENT = 0x80;
    private const int LinkHeader = 16, AddressHeader = 8;

    private static ReadOnlySpan<byte> Name => "lo\0"u8;

    /// <summary>Answers a question: puts datagrams into <paramref name="into"/>, or an error through <paramref name="fail"/>.</summary>
    public static void Answer(in NetlinkMessage header, ReadOnlySpan<byte> whole, uint port, NetlinkQueue into, AnswerError fail)
    {
        bool dump = (header.Flags & NetlinkMessage.NLM_F_DUMP) == NetlinkMessage.NLM_F_DUMP;
        Writer writer = new(stackalloc byte[1024], in header, port, dump);
        byte family = whole.Length > NetlinkMessage.HeaderSize ? whole[NetlinkMessage.HeaderSize] : (byte)0;
        if (header.Type == RTM_GETLINK && (dump || IsAskedFor(whole)))
        {
            PutLink(ref writer);
        }
        else if (header.Type == RTM_GETLINK)
        {
            fail(header, whole, Errno.ENODEV);
            return;
        }
        else if (header.Type == RTM_GETADDR && dump)
        {
            if (family is AddressFamily.AF_UNSPEC or AddressFamily.AF_INET)
                PutAddress(ref writer, AddressFamily.AF_INET, 8, [127, 0, 0, 1]);
            if (family is AddressFamily.AF_UNSPEC or AddressFamily.AF_INET6)
                PutAddress(ref writer, AddressFamily.AF_INET6, 128, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        else if (!dump)
        {
            fail(header, whole, Errno.EOPNOTSUPP);
            return;
        }
        if (dump)
            writer.Done();
        into.TryAdd(writer.ToArray());
        if (!dump && (header.Flags & NetlinkMessage.NLM_F_ACK) != 0)
            fail(header, whole, Errno.OK);
    }

    /// <summary>True when RTM_GETLINK names lo, by index or by name.</summary>
    private static bool IsAskedFor(ReadOnlySpan<byte> whole)
    {
        if (whole.Length < NetlinkMessage.HeaderSize + LinkHeader)
            return false;
        int index = MemoryMarshal.Read<int>(whole[(NetlinkMessage.HeaderSize + 4)..]);
        if (index != 0)
            return index == LoopbackInterface.Index;
        ReadOnlySpan<byte> attributes = whole[(NetlinkMessage.HeaderSize + LinkHeader)..];
        while (attributes.Length >= 4)
        {
            int length = MemoryMarshal.Read<ushort>(attributes), type = MemoryMarshal.Read<ushort>(attributes[2..]);
            if (length < 4 || length > attributes.Length)
                return false;
            if (type == IFLA_IFNAME)
                return attributes[4..length].StartsWith("lo"u8) && (length == 6 || attributes[6] == 0);
            attributes = attributes[Math.Min(attributes.Length, NetlinkMessage.Align(length))..];
        }
        return false;
    }

    private static void PutLink(ref Writer writer)
    {
        const ushort ARPHRD_LOOPBACK = 772;
        writer.Begin(RTM_NEWLINK);
        Span<byte> link = writer.Take(LinkHeader);
        MemoryMarshal.Write(link[2..], ARPHRD_LOOPBACK);
        MemoryMarshal.Write(link[4..], LoopbackInterface.Index);
        MemoryMarshal.Write(link[8..], LoopbackInterface.Flags | 0x10000 /* IFF_LOWER_UP */);
        writer.Attribute(IFLA_IFNAME, Name);
        writer.Attribute(IFLA_TXQLEN, 1000);
        writer.Attribute(IFLA_OPERSTATE, [0]);
        writer.Attribute(IFLA_LINKMODE, [0]);
        writer.Attribute(IFLA_GROUP, 0);
        writer.Attribute(IFLA_MTU, LoopbackInterface.Mtu);
        writer.Attribute(IFLA_QDISC, "noqueue\0"u8);
        writer.Attribute(IFLA_ADDRESS, [0, 0, 0, 0, 0, 0]);
        writer.Attribute(IFLA_BROADCAST, [0, 0, 0, 0, 0, 0]);
        writer.End();
    }

    private static void PutAddress(ref Writer writer, int family, byte prefix, ReadOnlySpan<byte> address)
    {
        writer.Begin(RTM_NEWADDR);
        Span<byte> header = writer.Take(AddressHeader);
        (header[0], header[1], header[2], header[3]) = ((byte)family, prefix, IFA_F_PERMANENT, RT_SCOPE_HOST);
        MemoryMarshal.Write(header[4..], LoopbackInterface.Index);
        writer.Attribute(IFA_ADDRESS, address);
        if (family == AddressFamily.AF_INET)
        {
            writer.Attribute(IFA_LOCAL, address);
            writer.Attribute(IFA_LABEL, Name);
        }
        writer.Attribute(IFA_FLAGS, IFA_F_PERMANENT);
        // Preferred and valid for ever; made and changed at the start.
        writer.Attribute(IFA_CACHEINFO, [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.End();
    }

    /// <summary>Puts messages with their attributes one behind the other.</summary>
    private ref struct Writer
    {
        private readonly Span<byte> _room;
        private readonly uint _sequence, _port;
        private readonly bool _multi;
        private int _start, _used;

        public Writer(Span<byte> room, in NetlinkMessage question, uint port, bool multi)
        {
            room.Clear();
            _room = room;
            _sequence = question.Sequence;
            _port = port;
            _multi = multi;
        }

        public void Begin(ushort type)
        {
            _start = _used;
            NetlinkMessage header = new() { Type = type, Flags = _multi ? NetlinkMessage.NLM_F_MULTI : (ushort)0, Sequence = _sequence, Port = _port };
            MemoryMarshal.Write(Take(NetlinkMessage.HeaderSize), in header);
        }

        public Span<byte> Take(int length)
        {
            Span<byte> piece = _room.Slice(_used, length);
            _used += NetlinkMessage.Align(length);
            return piece;
        }

        public void Attribute(ushort type, ReadOnlySpan<byte> value)
        {
            Span<byte> piece = Take(4 + value.Length);
            MemoryMarshal.Write(piece, (ushort)(4 + value.Length));
            MemoryMarshal.Write(piece[2..], type);
            value.CopyTo(piece[4..]);
        }

        public void Attribute(ushort type, int value)
        {
            Attribute(type, [0, 0, 0, 0]);
            MemoryMarshal.Write(_room[(_used - sizeof(int))..], value);
        }

        public readonly void End() => MemoryMarshal.Write(_room[_start..], (uint)(_used - _start));

        public void Done()
        {
            Begin(NetlinkMessage.NLMSG_DONE);
            Take(sizeof(int));
            End();
        }

        public readonly byte[] ToArray() => _room[.._used].ToArray();
    }
}
