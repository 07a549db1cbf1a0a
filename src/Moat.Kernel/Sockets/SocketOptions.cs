using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets;

/// <summary>
/// The options of SOL_SOCKET that Linux keeps for sockets of every family (man 7 socket), for families that live in the sentry.
/// </summary>
internal sealed class SocketOptions
{
    /// <summary>net.core.wmem_default and rmem_default, bytes.</summary>
    public const int DefaultBuffer = 212992;

    /// <summary>net.core.wmem_max and rmem_max, bytes.</summary>
    private const int MaxBuffer = 4 * 1024 * 1024;

    private const int SmallestSendBuffer = 4608, SmallestReceiveBuffer = 2304, HighestFreePriority = 6;

    private ulong _flags;
    private int _sendBuffer = DefaultBuffer, _receiveBuffer = DefaultBuffer, _lowWater = 1, _peekOffset = -1, _priority, _mark, _bufferLock;
    private Linger _linger;

    /// <summary>SO_SNDBUF as getsockopt(2) gives it, bytes.</summary>
    public int SendBuffer => Volatile.Read(ref _sendBuffer);

    /// <summary>SO_RCVBUF, bytes.</summary>
    public int ReceiveBuffer => Volatile.Read(ref _receiveBuffer);

    /// <summary>SO_RCVLOWAT, bytes.</summary>
    public int ReceiveLowWater => Volatile.Read(ref _lowWater);

    /// <summary>SO_PEEK_OFF: where the next peek begins; -1: peeks begin at the front.</summary>
    public int PeekOffset => Volatile.Read(ref _peekOffset);

    /// <summary>True when an on-or-off option is on; see <see cref="IsSwitch"/>.</summary>
    public bool Has(int option) => (Volatile.Read(ref _flags) & Bit(option)) != 0;

    /// <summary>Sets an on-or-off option.</summary>
    public void Set(int option, bool on)
    {
        if (on)
            Interlocked.Or(ref _flags, Bit(option));
        else
            Interlocked.And(ref _flags, ~Bit(option));
    }

    /// <summary>A peek went forward, or bytes before its place were read (negative). Does nothing without SO_PEEK_OFF.</summary>
    public void MovePeek(int bytes)
    {
        int old = PeekOffset;
        if (old >= 0)
            Volatile.Write(ref _peekOffset, Math.Max(0, old + bytes));
    }

    /// <summary>Takes over what a listener passes on to its connections.</summary>
    public void Inherit(SocketOptions listener)
    {
        _flags = listener._flags;
        _sendBuffer = listener._sendBuffer;
        _receiveBuffer = listener._receiveBuffer;
    }

    /// <summary>getsockopt(2): false when it is no option of these.</summary>
    public bool TryGet(int option, Span<byte> room, out SysResult result)
    {
        int value;
        switch (option)
        {
            case SocketOption.SO_SNDBUF:
                value = SendBuffer;
                break;
            case SocketOption.SO_RCVBUF:
                value = ReceiveBuffer;
                break;
            case SocketOption.SO_RCVLOWAT:
                value = ReceiveLowWater;
                break;
            case SocketOption.SO_SNDLOWAT:
                value = 1;
                break;
            case SocketOption.SO_PEEK_OFF:
                value = PeekOffset;
                break;
            case SocketOption.SO_PRIORITY:
                value = _priority;
                break;
            case SocketOption.SO_MARK:
                value = _mark;
                break;
            case SocketOption.SO_BUF_LOCK:
                value = _bufferLock;
                break;
            case SocketOption.SO_INCOMING_CPU:
                value = -1;
                break;
            case SocketOption.SO_BSDCOMPAT or SocketOption.SO_INCOMING_NAPI_ID or SocketOption.SO_BUSY_POLL or SocketOption.SO_NO_CHECK
                or SocketOption.SO_LOCK_FILTER or SocketOption.SO_NOFCS or SocketOption.SO_WIFI_STATUS:
                value = 0;
                break;
            case SocketOption.SO_LINGER:
                result = Cut(room, MemoryMarshal.AsBytes(new ReadOnlySpan<Linger>(in _linger)));
                return true;
            default:
                if (!IsSwitch(option))
                {
                    result = default;
                    return false;
                }
                value = Has(option) ? 1 : 0;
                break;
        }
        result = Cut(room, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));
        return true;
    }

    /// <summary>setsockopt(2): false when it is no option of these. EINVAL: too short. EPERM, EACCES, EOPNOTSUPP.</summary>
    public bool TrySet(in Caller caller, int option, ReadOnlySpan<byte> bytes, out Errno error)
    {
        error = bytes.Length < sizeof(int) ? Errno.EINVAL : Errno.OK;
        int value = error == Errno.OK ? MemoryMarshal.Read<int>(bytes) : 0;
        bool isAdmin = caller.Credentials.Has(Capability.CAP_NET_ADMIN);
        switch (option)
        {
            case SocketOption.SO_SNDBUF or SocketOption.SO_SNDBUFFORCE or SocketOption.SO_RCVBUF or SocketOption.SO_RCVBUFFORCE:
                if (error == Errno.OK)
                    error = SetBuffer(option, value, isAdmin);
                return true;
            case SocketOption.SO_RCVLOWAT:
                if (error == Errno.OK)
                    Volatile.Write(ref _lowWater, value < 0 ? int.MaxValue : Math.Max(1, value));
                return true;
            case SocketOption.SO_PEEK_OFF:
                if (error == Errno.OK)
                    Volatile.Write(ref _peekOffset, value);
                return true;
            case SocketOption.SO_PRIORITY:
                if (error == Errno.OK && value is < 0 or > HighestFreePriority && !isAdmin)
                    error = Errno.EPERM;
                if (error == Errno.OK)
                    _priority = value;
                return true;
            case SocketOption.SO_MARK:
                if (error == Errno.OK && !isAdmin)
                    error = Errno.EPERM;
                if (error == Errno.OK)
                    _mark = value;
                return true;
            case SocketOption.SO_LINGER:
                if (bytes.Length < Marshal.SizeOf<Linger>())
                    error = Errno.EINVAL;
                else
                    _linger = Normalize(MemoryMarshal.Read<Linger>(bytes));
                return true;
            case SocketOption.SO_BSDCOMPAT:
                return true;
            case SocketOption.SO_REUSEPORT:
                if (error == Errno.OK && value != 0)
                    error = Errno.EOPNOTSUPP;
                return true;
            case SocketOption.SO_DEBUG when value != 0 && !isAdmin:
                error = Errno.EACCES;
                return true;
            default:
                if (!IsSwitch(option))
                    return false;
                if (error == Errno.OK)
                    Set(option, value != 0);
                return true;
        }
    }

    private Errno SetBuffer(int option, int value, bool isAdmin)
    {
        bool force = option is SocketOption.SO_SNDBUFFORCE or SocketOption.SO_RCVBUFFORCE;
        if (force && !isAdmin)
            return Errno.EPERM;
        // What is asked for is doubled: half is thought to be for bookkeeping (man 7 socket).
        value = force ? Math.Clamp(value, 0, int.MaxValue / 2) : (int)Math.Min((uint)value, MaxBuffer);
        if (option is SocketOption.SO_SNDBUF or SocketOption.SO_SNDBUFFORCE)
        {
            Volatile.Write(ref _sendBuffer, Math.Max(value * 2, SmallestSendBuffer));
            _bufferLock |= 1;
        }
        else
        {
            Volatile.Write(ref _receiveBuffer, Math.Max(value * 2, SmallestReceiveBuffer));
            _bufferLock |= 2;
        }
        return Errno.OK;
    }

    private static Linger Normalize(Linger linger) => new() { l_onoff = linger.l_onoff != 0 ? 1 : 0, l_linger = linger.l_linger };

    /// <summary>Options that are on or off.</summary>
    private static bool IsSwitch(int option)
        => option is SocketOption.SO_DEBUG or SocketOption.SO_REUSEADDR or SocketOption.SO_REUSEPORT or SocketOption.SO_DONTROUTE
            or SocketOption.SO_BROADCAST or SocketOption.SO_KEEPALIVE or SocketOption.SO_OOBINLINE or SocketOption.SO_PASSCRED
            or SocketOption.SO_TIMESTAMP or SocketOption.SO_TIMESTAMPNS or SocketOption.SO_RXQ_OVFL or SocketOption.SO_SELECT_ERR_QUEUE
            or SocketOption.SO_PASSSEC or SocketOption.SO_PASSPIDFD;

    private static ulong Bit(int option) => 1UL << (option & 63);

    private static SysResult Cut(Span<byte> room, ReadOnlySpan<byte> value)
    {
        int length = Math.Min(room.Length, value.Length);
        value[..length].CopyTo(room);
        return length;
    }
}
