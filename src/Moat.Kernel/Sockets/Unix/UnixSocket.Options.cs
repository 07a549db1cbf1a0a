using System.Runtime.InteropServices;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

internal abstract partial class UnixSocket
{
    public sealed override SysResult GetOption(in Caller caller, int level, int option, Span<byte> value)
    {
        if (level != SocketOption.SOL_SOCKET)
            return Errno.EOPNOTSUPP;
        switch (option)
        {
            case SocketOption.SO_ERROR:
                return Put(value, (int)TakeError());
            case SocketOption.SO_ACCEPTCONN:
                return Put(value, State == UnixState.Listening ? 1 : 0);
            case SocketOption.SO_PEERCRED:
                return Put(value, PeerIdentity?.Credentials ?? new UCred { uid = uint.MaxValue, gid = uint.MaxValue });
            case SocketOption.SO_PEERGROUPS:
                return GetPeerGroups(value);
            case SocketOption.SO_PEERPIDFD:
                return GetPeerProcess(in caller, value);
            case SocketOption.SO_COOKIE:
                return value.Length < sizeof(ulong) ? Errno.EINVAL : Put(value, Number);
            case SocketOption.SO_PASSRIGHTS:
                return Put(value, Options.Has(option) ? 1 : 0);
            default:
                return Options.TryGet(option, value, out SysResult result) ? result : base.GetOption(in caller, level, option, value);
        }
    }

    public sealed override Errno SetOption(in Caller caller, int level, int option, ReadOnlySpan<byte> value)
    {
        if (level != SocketOption.SOL_SOCKET)
            return Errno.EOPNOTSUPP;
        if (option == SocketOption.SO_PASSRIGHTS)
        {
            Errno e = Parse(value, out int on);
            if (e == Errno.OK)
                Options.Set(option, on != 0);
            return e;
        }
        if (option == SocketOption.SO_INQ && IsStream)
        {
            if (value.Length != sizeof(int) || MemoryMarshal.Read<uint>(value) > 1)
                return Errno.EINVAL;
            Options.Set(option, MemoryMarshal.Read<int>(value) != 0);
            return Errno.OK;
        }
        if (!Options.TrySet(in caller, option, value, out Errno error))
            return base.SetOption(in caller, level, option, value);
        // More room may be all that a sender waits for.
        if (error == Errno.OK && option is SocketOption.SO_SNDBUF or SocketOption.SO_SNDBUFFORCE && IsWritable)
            Waiters.Wake(Output);
        return error;
    }

    public sealed override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        if (command != SocketIoctl.SIOCATMARK)
            return base.Ioctl(task, command, argument);
        return IsStream ? task.Mm.Write(new UserPtr<int>(argument), Queue.IsAtMark ? 1 : 0) : Errno.EOPNOTSUPP;
    }

    private SysResult GetPeerProcess(in Caller caller, Span<byte> value)
    {
        if (PeerIdentity?.Process is not { } process || caller.Files is not { } files)
            return Errno.ENODATA;
        SysResult fd = InstallProcess(files, process);
        return fd.IsError ? fd : Put(value, (int)fd.Value);
    }

    private SysResult GetPeerGroups(Span<byte> value)
    {
        if (PeerIdentity is not { } identity)
            return Errno.ENODATA;
        ReadOnlySpan<byte> groups = MemoryMarshal.AsBytes(identity.Groups.AsSpan());
        if (value.Length < groups.Length)
            return Errno.ERANGE;
        groups.CopyTo(value);
        return groups.Length;
    }
}
