using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>Options (man 7 socket, ip, ipv6, tcp, udp): those of <see cref="InetOptions"/> pass to the host.</summary>
internal sealed partial class HostSocket
{
    private const int BPF_MAXINSNS = 4096, InstructionSize = 8;

    private int _receiveLowWater = 1;

    public override int ReceiveLowWater => _receiveLowWater;

    public override SysResult GetOption(in Caller caller, int level, int option, Span<byte> value)
    {
        OptionUse use = InetOptions.Find(level, option);
        if ((use & OptionUse.Get) == 0)
            return level == SocketOption.SOL_SOCKET ? base.GetOption(in caller, level, option, value) : Errno.ENOPROTOOPT;
        int r = HostSockets.GetOption(_fd, level, option, value, out int length);
        return r < 0 ? (Errno)(-r) : Math.Min(length, value.Length);
    }

    public override Errno SetOption(in Caller caller, int level, int option, ReadOnlySpan<byte> value)
    {
        OptionUse use = InetOptions.Find(level, option);
        if ((use & OptionUse.Set) == 0)
            return level == SocketOption.SOL_SOCKET ? base.SetOption(in caller, level, option, value) : Errno.ENOPROTOOPT;
        if ((use & OptionUse.Privileged) != 0 && !caller.Credentials.Has(Capability.CAP_NET_ADMIN))
            return option == SocketOption.SO_DEBUG ? Errno.EACCES : Errno.EPERM;
        if ((use & OptionUse.Filter) != 0)
            return SetFilter(in caller, option, value);
        Errno error = FromHost(HostSockets.SetOption(_fd, level, option, value));
        if (error == Errno.OK && level == SocketOption.SOL_SOCKET && option == SocketOption.SO_RCVLOWAT)
            _receiveLowWater = Math.Max(1, MemoryMarshal.Read<int>(value));
        return error;
    }

    /// <summary>SO_ATTACH_FILTER: a struct sock_fprog whose program lies in guest memory.</summary>
    private Errno SetFilter(in Caller caller, int option, ReadOnlySpan<byte> value)
    {
        if (value.Length != 16)
            return Errno.EINVAL;
        int count = MemoryMarshal.Read<ushort>(value);
        if (count is 0 or > BPF_MAXINSNS)
            return Errno.EINVAL;
        // Rare, and the host copies it: no room is kept.
        byte[] program = new byte[count * InstructionSize];
        if (caller.Task is null || caller.Task.Mm.CopyIn(new UserPtr(MemoryMarshal.Read<ulong>(value[8..])), program) != Errno.OK)
            return Errno.EFAULT;
        return FromHost(HostSockets.SetFilter(_fd, option, program));
    }
}
