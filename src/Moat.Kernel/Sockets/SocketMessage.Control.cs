using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;

namespace Moat.Kernel.Sockets;

internal sealed partial class SocketMessage
{
    /// <summary>net.core.optmem_max: most bytes of control data that a send takes.</summary>
    private const ulong OptmemMax = 131072;

    private static readonly int s_headerSize = Unsafe.SizeOf<CmsgHdr>();

    private byte[] _control = [];
    private ulong _controlAddress;
    private int _controlRoom;

    /// <summary>Bytes of control data: what a send was given, or what was put so far for a receive.</summary>
    public int ControlUsed { get; private set; }

    /// <summary>The control data of a send; see <see cref="NextControl"/>.</summary>
    public ReadOnlySpan<byte> Control => _control.AsSpan(0, ControlUsed);

    /// <summary>True when a receive call gave room for control data.</summary>
    public bool WantsControl => _controlRoom > 0;

    /// <summary>Bytes of room for control data that are left.</summary>
    public int ControlRoom => _controlRoom - ControlUsed;

    /// <summary>Bytes of room for control data in all.</summary>
    public ulong ControlCapacity => (ulong)_controlRoom;

    private void ResetUsed() => ControlUsed = 0;

    private void ResetControl()
    {
        ControlUsed = 0;
        _controlRoom = 0;
        _controlAddress = 0;
    }

    /// <summary>The control data have been taken by the part that was sent: the rest of the call has none.</summary>
    public void DropControl() => ControlUsed = 0;

    private Errno ReadControl(ulong address, ulong length)
    {
        if (address == 0 || length == 0)
            return Errno.OK;
        if (length > OptmemMax)
            return Errno.ENOBUFS;
        EnsureControl((int)length);
        ControlUsed = (int)length;
        return _mm.CopyIn(new UserPtr(address), _control.AsSpan(0, (int)length));
    }

    /// <summary>More room for control data than anybody needs.</summary>
    public const int MostControl = int.MaxValue - 64;

    private void SetControlRoom(ulong address, ulong room)
    {
        _controlAddress = address;
        _controlRoom = address == 0 ? 0 : (int)Math.Min(room, MostControl);
        ControlUsed = 0;
    }

    /// <summary>
    /// The control message of a send at <paramref name="offset"/>, which moves on. False at the end, or with EINVAL in
    /// <paramref name="error"/> at a length that cannot be.
    /// </summary>
    public bool NextControl(ref int offset, out CmsgHdr header, out ReadOnlySpan<byte> data, out Errno error)
    {
        header = default;
        data = default;
        error = Errno.OK;
        int left = ControlUsed - offset;
        if (left < s_headerSize)
            return false;
        header = MemoryMarshal.Read<CmsgHdr>(_control.AsSpan(offset));
        if (header.cmsg_len < (ulong)s_headerSize || header.cmsg_len > (ulong)left)
        {
            error = Errno.EINVAL;
            return false;
        }
        int length = (int)header.cmsg_len;
        data = _control.AsSpan(offset + s_headerSize, length - s_headerSize);
        offset += (length + 7) & ~7;
        return true;
    }

    /// <summary>
    /// Adds a control message to what a receive call returns. Without room for all of it MSG_CTRUNC is set and it is cut, or left
    /// out when not even its header fits (man 3 cmsg).
    /// </summary>
    public void PutControl(int level, int type, ReadOnlySpan<byte> data)
    {
        int room = ControlRoom;
        if (room < s_headerSize)
        {
            ResultFlags |= MsgFlags.MSG_CTRUNC;
            return;
        }
        int length = s_headerSize + data.Length;
        if (room < length)
        {
            ResultFlags |= MsgFlags.MSG_CTRUNC;
            length = room;
        }
        AppendControl(level, type, data[..(length - s_headerSize)]);
    }

    /// <summary>Adds SCM_TIMESTAMP or SCM_TIMESTAMPNS; <paramref name="time"/>: CLOCK_REALTIME, nanoseconds.</summary>
    public void PutTimestamp(long time, bool nanoseconds)
    {
        Timespec stamp = HostClock.ToTimespec(time);
        if (!nanoseconds)
            stamp.Nanoseconds /= 1000;
        PutControl(SocketOption.SOL_SOCKET, nanoseconds ? SocketOption.SO_TIMESTAMPNS : SocketOption.SO_TIMESTAMP,
            MemoryMarshal.AsBytes(new ReadOnlySpan<Timespec>(in stamp)));
    }

    /// <summary>Appends what fits: the next one begins at a multiple of eight bytes, or where the room ends.</summary>
    private void AppendControl(int level, int type, ReadOnlySpan<byte> data)
    {
        int length = s_headerSize + data.Length, space = Math.Min((length + 7) & ~7, ControlRoom);
        EnsureControl(ControlUsed + space);
        Span<byte> to = _control.AsSpan(ControlUsed, space);
        CmsgHdr header = new() { cmsg_len = (ulong)length, cmsg_level = level, cmsg_type = type };
        MemoryMarshal.Write(to, in header);
        data.CopyTo(to[s_headerSize..]);
        to[length..].Clear();
        ControlUsed += space;
    }

    private Errno WriteControl()
        => ControlUsed == 0 ? Errno.OK : _mm.CopyOut(new UserPtr(_controlAddress), _control.AsSpan(0, ControlUsed));

    private void EnsureControl(int length)
    {
        if (_control.Length < length)
            Array.Resize(ref _control, Math.Max(256, (length + 255) & ~255));
    }
}
