using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>Options: kept and shown; those that a loopback without packets has use for act.</summary>
internal abstract partial class LoopbackSocket
{
    private const int TCP_CONGESTION = 13, TCP_INFO = 11, IPV6_V6ONLY = 26;
    private const int TcpInfoSize = 232, Flag = sizeof(int);

    /// <summary>Bytes of a value that are remembered: no option that acts here has more.</summary>
    private const int MostKept = 256;

    private readonly Dictionary<(int Level, int Option), byte[]> _options = [];

    /// <summary>IPV6_V6ONLY.</summary>
    protected bool IsV6Only => Family == AddressFamily.AF_INET6 && GetNumber(SocketOption.SOL_IPV6, IPV6_V6ONLY) != 0;

    /// <summary>SO_RCVBUF and SO_SNDBUF, bytes.</summary>
    protected int BufferSize(int option) => GetNumber(SocketOption.SOL_SOCKET, option);

    /// <summary>SO_LINGER with a time of zero: closing resets.</summary>
    protected bool ResetsOnClose
    {
        get
        {
            lock (_options)
            {
                return _options.TryGetValue((SocketOption.SOL_SOCKET, SocketOption.SO_LINGER), out byte[]? value)
                    && MemoryMarshal.Read<Linger>(value) is { l_onoff: not 0, l_linger: 0 };
            }
        }
    }

    protected bool HasOption(int option) => GetNumber(SocketOption.SOL_SOCKET, option) != 0;

    private int GetNumber(int level, int option)
    {
        lock (_options)
            return _options.TryGetValue((level, option), out byte[]? value) ? MemoryMarshal.Read<int>(value) : Default(level, option);
    }

    /// <summary>What Linux has before anybody sets it.</summary>
    private int Default(int level, int option) => (level, option) switch
    {
        (SocketOption.SOL_SOCKET, SocketOption.SO_SNDBUF) => IsStream ? 2626560 : 212992,
        (SocketOption.SOL_SOCKET, SocketOption.SO_RCVBUF) => IsStream ? 131072 : 212992,
        (SocketOption.SOL_SOCKET, SocketOption.SO_RCVLOWAT or SocketOption.SO_SNDLOWAT) => 1,
        (SocketOption.SOL_SOCKET, SocketOption.SO_PEEK_OFF) => -1,
        (SocketOption.SOL_IP, 2 /* IP_TTL */) => 64,
        (SocketOption.SOL_IP, 10 /* IP_MTU_DISCOVER */ or 33 /* IP_MULTICAST_TTL */ or 34 /* IP_MULTICAST_LOOP */ or 49 /* IP_MULTICAST_ALL */) => 1,
        (SocketOption.SOL_IP, 14 /* IP_MTU */) => LoopbackInterface.Mtu,
        (SocketOption.SOL_IPV6, 16 /* IPV6_UNICAST_HOPS */) => 64,
        (SocketOption.SOL_IPV6, 18 /* IPV6_MULTICAST_HOPS */ or 19 /* IPV6_MULTICAST_LOOP */) => 1,
        (SocketOption.SOL_TCP, 2 /* TCP_MAXSEG */) => 65483,
        (SocketOption.SOL_TCP, 4 /* TCP_KEEPIDLE */) => 7200,
        (SocketOption.SOL_TCP, 5 /* TCP_KEEPINTVL */) => 75,
        (SocketOption.SOL_TCP, 6 /* TCP_KEEPCNT */) => 9,
        (SocketOption.SOL_TCP, 7 /* TCP_SYNCNT */) => 6,
        (SocketOption.SOL_TCP, 12 /* TCP_QUICKACK */) => 1,
        _ => 0,
    };

    public override SysResult GetOption(in Caller caller, int level, int option, Span<byte> value)
    {
        if (!IsKnown(level, option, OptionUse.Get))
            return level == SocketOption.SOL_SOCKET ? base.GetOption(in caller, level, option, value) : Errno.ENOPROTOOPT;
        switch (level, option)
        {
            case (SocketOption.SOL_SOCKET, SocketOption.SO_ERROR):
                return Put(value, (int)TakeError());
            case (SocketOption.SOL_SOCKET, SocketOption.SO_TYPE or SocketOption.SO_DOMAIN or SocketOption.SO_PROTOCOL):
                return base.GetOption(in caller, level, option, value);
            case (SocketOption.SOL_SOCKET, SocketOption.SO_ACCEPTCONN):
                return Put(value, IsListening ? 1 : 0);
            case (SocketOption.SOL_SOCKET, SocketOption.SO_PEERCRED):
                return Put(value, new UCred { pid = 0, uid = uint.MaxValue, gid = uint.MaxValue });
            case (SocketOption.SOL_SOCKET, SocketOption.SO_COOKIE):
                return value.Length < sizeof(ulong) ? Errno.EINVAL : Put(value, Number);
            case (SocketOption.SOL_TCP, TCP_INFO):
                int length = Math.Min(value.Length, TcpInfoSize);
                value[..length].Clear();
                if (length > 0)
                    value[0] = (byte)StateNumber;
                return length;
        }
        lock (_options)
        {
            if (_options.TryGetValue((level, option), out byte[]? kept))
            {
                int length = Math.Min(kept.Length, value.Length);
                kept.AsSpan(0, length).CopyTo(value);
                return length;
            }
        }
        return (level, option) switch
        {
            (SocketOption.SOL_TCP, TCP_CONGESTION) => PutName(value, "cubic"u8),
            (SocketOption.SOL_SOCKET, SocketOption.SO_LINGER) => Put(value, default(Linger)),
            _ => Put(value, Default(level, option)),
        };
    }

    public override Errno SetOption(in Caller caller, int level, int option, ReadOnlySpan<byte> value)
    {
        if (!IsKnown(level, option, OptionUse.Set))
            return level == SocketOption.SOL_SOCKET ? base.SetOption(in caller, level, option, value) : Errno.ENOPROTOOPT;
        OptionUse use = InetOptions.Find(level, option);
        if ((use & OptionUse.Privileged) != 0 && !caller.Credentials.Has(Capability.CAP_NET_ADMIN))
            return Errno.EPERM;
        if ((use & OptionUse.Filter) != 0)
            return Errno.ENOPROTOOPT;
        if (value.Length < (option == SocketOption.SO_LINGER && level == SocketOption.SOL_SOCKET ? 2 * Flag : Flag) && !HasShortValue(level, option))
            return Errno.EINVAL;
        byte[] kept = value[..Math.Min(value.Length, MostKept)].ToArray();
        if (level == SocketOption.SOL_SOCKET && kept.Length >= Flag)
            Adjust(option, kept);
        else if (level == SocketOption.SOL_IPV6 && option == IPV6_V6ONLY && IsBound)
            return Errno.EINVAL;
        lock (_options)
            _options[(level, option)] = kept;
        return Errno.OK;
    }

    /// <summary>What a connection takes over from its listener.</summary>
    protected void CopyOptions(LoopbackSocket from)
    {
        lock (from._options)
        {
            foreach (((int Level, int Option) key, byte[] value) in from._options)
                _options[key] = value;
        }
    }

    /// <summary>Sizes are doubled for bookkeeping and have a least; flags are 0 or 1.</summary>
    private static void Adjust(int option, byte[] value)
    {
        const int MinSend = 4608, MinReceive = 2304, Most = 212992;
        ref int number = ref MemoryMarshal.AsRef<int>(value.AsSpan());
        switch (option)
        {
            case SocketOption.SO_SNDBUF:
                number = Math.Max(Math.Clamp(number, 0, Most) * 2, MinSend);
                break;
            case SocketOption.SO_RCVBUF:
                number = Math.Max(Math.Clamp(number, 0, Most) * 2, MinReceive);
                break;
            case SocketOption.SO_RCVLOWAT:
                number = Math.Max(number, 1);
                break;
            case SocketOption.SO_REUSEADDR or SocketOption.SO_REUSEPORT or SocketOption.SO_KEEPALIVE or SocketOption.SO_BROADCAST or SocketOption.SO_OOBINLINE:
                number = number != 0 ? 1 : 0;
                break;
        }
    }

    /// <summary>IP options may be given as one byte; names may be short.</summary>
    private static bool HasShortValue(int level, int option)
        => level == SocketOption.SOL_IP || (level == SocketOption.SOL_TCP && option == TCP_CONGESTION) || (level == SocketOption.SOL_SOCKET && option == SocketOption.SO_BINDTODEVICE);

    private bool IsKnown(int level, int option, OptionUse use)
    {
        if ((InetOptions.Find(level, option) & use) == 0 || (level == SocketOption.SOL_TCP) != (IsStream && level == SocketOption.SOL_TCP))
            return false;
        return level != SocketOption.SOL_IPV6 || Family == AddressFamily.AF_INET6;
    }

    private static SysResult PutName(Span<byte> room, ReadOnlySpan<byte> name)
    {
        const int NameSize = 16;
        int length = Math.Min(room.Length, NameSize);
        room[..length].Clear();
        name[..Math.Min(name.Length, length)].CopyTo(room);
        return length;
    }
}
