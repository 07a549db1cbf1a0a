using System.Runtime.InteropServices;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>struct nlmsghdr.</summary>
[StructLayout(LayoutKind.Sequential, Size = HeaderSize)]
internal struct NetlinkMessage
{
    public const int HeaderSize = 16;
    public const ushort NLMSG_ERROR = 2, NLMSG_DONE = 3, FirstOfProtocol = 16;
    public const ushort NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_DUMP = 0x300;

    public uint Length;
    public ushort Type;
    public ushort Flags;
    public uint Sequence;
    public uint Port;

    /// <summary>Where the next message begins.</summary>
    public static int Align(int length) => (length + 3) & ~3;

    /// <summary>
    /// The message at <paramref name="offset"/>, which moves on. False at the end, or where a length cannot be.
    /// </summary>
    public static bool Next(ReadOnlySpan<byte> bytes, ref int offset, out NetlinkMessage header, out ReadOnlySpan<byte> whole)
    {
        header = default;
        whole = default;
        if (bytes.Length - offset < HeaderSize)
            return false;
        header = MemoryMarshal.Read<NetlinkMessage>(bytes[offset..]);
        if (header.Length < HeaderSize || header.Length > (uint)(bytes.Length - offset))
            return false;
        whole = bytes.Slice(offset, (int)header.Length);
        offset = Math.Min(bytes.Length, offset + Align((int)header.Length));
        return true;
    }
}
