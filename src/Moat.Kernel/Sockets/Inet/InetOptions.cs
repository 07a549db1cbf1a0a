using System.Collections.Frozen;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>How an option of a host socket is handled.</summary>
[Flags]
internal enum OptionUse
{
    None = 0,

    /// <summary>getsockopt(2) passes.</summary>
    Get = 1,

    /// <summary>setsockopt(2) passes.</summary>
    Set = 2,

    /// <summary>Setting needs CAP_NET_ADMIN or CAP_NET_RAW, as the sandbox has them.</summary>
    Privileged = 4,

    /// <summary>The value is a classic BPF program, which the guest's value points to.</summary>
    Filter = 8,
}

/// <summary>
/// The options that pass to host sockets: those whose values mean the same on both sides. What holds pointers or descriptors, turns
/// a socket into something else, or is for the machine's administration is not among them: ENOPROTOOPT.
/// </summary>
internal static class InetOptions
{
    private const int SOL_RAW = 255, SOL_ICMPV6 = 58;
    private const OptionUse Both = OptionUse.Get | OptionUse.Set;

    private static readonly FrozenDictionary<long, OptionUse> s_options = Build().ToFrozenDictionary();

    /// <summary>How to handle an option; None: not known here.</summary>
    public static OptionUse Find(int level, int option) => s_options.GetValueOrDefault(Key(level, option));

    private static long Key(int level, int option) => ((long)level << 32) | (uint)option;

    private static Dictionary<long, OptionUse> Build()
    {
        Dictionary<long, OptionUse> table = [];
        // The numbers are Linux's: include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h.
        Add(SocketOption.SOL_SOCKET, Both, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 25, 29, 34, 35, 37, 40, 41, 42, 43, 44, 45, 46, 47, 49, 54,
            61, 62, 63, 64, 65, 69, 70, 72, 73, 74, 75, 82);
        Add(SocketOption.SOL_SOCKET, OptionUse.Get, 3, 4, 17, 19, 28, 30, 31, 38, 39, 48, 55, 56, 57, 59, 60, 71);
        Add(SocketOption.SOL_SOCKET, OptionUse.Set, 27);
        Add(SocketOption.SOL_SOCKET, OptionUse.Set | OptionUse.Filter, SocketOption.SO_ATTACH_FILTER);
        Add(SocketOption.SOL_SOCKET, Both | OptionUse.Privileged, SocketOption.SO_DEBUG, SocketOption.SO_MARK, SocketOption.SO_SNDBUFFORCE, SocketOption.SO_RCVBUFFORCE);

        AddRange(SocketOption.SOL_IP, Both, 1, 15);
        Add(SocketOption.SOL_IP, Both, 18, 20, 21, 22, 23, 24, 25, 26, 49, 50, 51, 52);
        Add(SocketOption.SOL_IP, Both | OptionUse.Privileged, 19);
        AddRange(SocketOption.SOL_IP, Both, 32, 34);
        AddRange(SocketOption.SOL_IP, OptionUse.Set, 35, 48);
        Add(SocketOption.SOL_IP, OptionUse.Get, 80);

        AddRange(SocketOption.SOL_IPV6, Both, 2, 11);
        AddRange(SocketOption.SOL_IPV6, Both, 16, 19);
        AddRange(SocketOption.SOL_IPV6, OptionUse.Set, 20, 21);
        AddRange(SocketOption.SOL_IPV6, Both, 22, 33);
        Add(SocketOption.SOL_IPV6, Both, 36);
        AddRange(SocketOption.SOL_IPV6, OptionUse.Set, 42, 48);
        AddRange(SocketOption.SOL_IPV6, Both, 49, 62);
        Add(SocketOption.SOL_IPV6, Both, 66, 67, 70, 72, 73, 74, 76, 77, 78);
        Add(SocketOption.SOL_IPV6, Both | OptionUse.Privileged, 75);
        Add(SocketOption.SOL_IPV6, OptionUse.Get, 80);

        AddRange(SocketOption.SOL_TCP, Both, 1, 10);
        Add(SocketOption.SOL_TCP, Both, 12, 13, 14, 16, 17, 18, 23, 24, 25, 27, 30, 33, 34, 36, 37, 45);
        Add(SocketOption.SOL_TCP, OptionUse.Get, 11, 26, 28, 44);

        Add(SocketOption.SOL_UDP, Both, 1, 101, 102, 103, 104);
        Add(SOL_RAW, Both, 1);
        Add(SOL_ICMPV6, Both, 1);
        return table;

        void Add(int level, OptionUse use, params ReadOnlySpan<int> options)
        {
            foreach (int option in options)
                table.Add(Key(level, option), use);
        }

        void AddRange(int level, OptionUse use, int first, int last)
        {
            for (int option = first; option <= last; option++)
                table.Add(Key(level, option), use);
        }
    }
}
