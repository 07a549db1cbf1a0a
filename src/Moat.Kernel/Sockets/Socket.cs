using System.Runtime.CompilerServices;
using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets;

/// <summary>
/// A socket (man 7 socket) of any family. System calls and io_uring reach families through the virtual methods here alone.
/// </summary>
/// <remarks>
/// The contract of a family:
/// <list type="bullet">
/// <item>A family has one row in <see cref="SocketFamilies"/>, which makes its sockets.</item>
/// <item>No method ever waits, whatever O_NONBLOCK and MSG_DONTWAIT say: it finishes or answers EAGAIN. Having answered EAGAIN it
/// sees to it that <see cref="FileDescription.Waiters"/> is woken, with POLLIN (accept, receive) or POLLOUT (connect, send) among the
/// events, when another try may succeed. Callers enter the queue, try once more, and then wait; time-outs, O_NONBLOCK, signals and
/// SIGPIPE are theirs. <see cref="FileDescription.Waiters"/> is not null and never changes.</item>
/// <item>Arguments have been copied from the guest; lengths are in range, contents are not checked. <see cref="SocketMessage"/>
/// holds what a send or receive call was given. Its data are spans of guest memory, valid until the method returns.</item>
/// <item>A stream may move less than asked. The caller comes back with the rest: it advances <see cref="SocketMessage.Done"/>, which
/// counts what this call has moved already. Datagrams are whole or nothing.</item>
/// <item><see cref="Send"/> and <see cref="Receive"/> may be called by several threads at once, and with a ring's lock held.</item>
/// <item>read(2), write(2), splice(2) and READ/WRITE requests arrive as messages without name, control data and flags.</item>
/// <item>O_NONBLOCK is kept by the base (<see cref="FileDescription.IsNonBlocking"/>); host descriptors are always non-blocking.</item>
/// </list>
/// </remarks>
internal abstract class Socket : FileDescription
{
    [ThreadStatic]
    private static SocketMessage? s_plain;

    private readonly Timespec _created = RealTime.Now;
    private readonly Credentials _creator;

    /// <summary>Makes one; <paramref name="flags"/>: O_NONBLOCK.</summary>
    protected Socket(int family, int type, int protocol, OpenFlags flags, Credentials creator)
        : base(OpenFlags.O_RDWR | flags)
    {
        Family = family;
        Type = type;
        Protocol = protocol;
        _creator = creator;
    }

    /// <summary>AF_ number (SO_DOMAIN).</summary>
    public int Family { get; }

    /// <summary>SOCK_ number (SO_TYPE).</summary>
    public int Type { get; }

    /// <summary>SO_PROTOCOL.</summary>
    public int Protocol { get; }

    /// <summary>Inode number, also the socket's name in /proc.</summary>
    public ulong Number { get; } = AnonymousFileSystem.NextInode();

    /// <summary>True for streams, whose messages have no borders.</summary>
    public bool IsStream => Type == SocketType.SOCK_STREAM;

    /// <summary>SO_RCVTIMEO, nanoseconds; <see cref="Task.Forever"/>: none. For the callers that wait.</summary>
    public long ReceiveTimeout { get; private set; } = Task.Forever;

    /// <summary>SO_SNDTIMEO, nanoseconds; also the time-out of connect(2).</summary>
    public long SendTimeout { get; private set; } = Task.Forever;

    /// <summary>Fewest bytes that a waiting receive call of a stream returns (SO_RCVLOWAT).</summary>
    public virtual int ReceiveLowWater => 1;

    public abstract override WaitQueue Waiters { get; }

    public abstract override PollEvents Poll();

    /// <summary>bind(2) to an address as the guest gave it, up to 128 bytes. EINVAL, EADDRINUSE, EADDRNOTAVAIL, EACCES...</summary>
    public virtual Errno Bind(in Caller caller, ReadOnlySpan<byte> name) => Errno.EOPNOTSUPP;

    /// <summary>listen(2); any backlog. EOPNOTSUPP, EINVAL, EADDRINUSE.</summary>
    public virtual Errno Listen(in Caller caller, int backlog) => Errno.EOPNOTSUPP;

    /// <summary>
    /// accept4(2): a connection with one reference. EAGAIN: none there yet (POLLIN). EINVAL: not listening; EOPNOTSUPP.
    /// <paramref name="flags"/>: O_NONBLOCK of the new socket.
    /// </summary>
    public virtual Errno Accept(in Caller caller, OpenFlags flags, out Socket? accepted)
    {
        accepted = null;
        return Errno.EOPNOTSUPP;
    }

    /// <summary>
    /// connect(2). OK: connected. EINPROGRESS: begun (or, as EALREADY, begun before); who may wait does until POLLOUT and asks
    /// <see cref="FinishConnect"/>. EAGAIN: could not begin, come back with the same name after POLLOUT. Else the error.
    /// </summary>
    public virtual Errno Connect(in Caller caller, ReadOnlySpan<byte> name) => Errno.EOPNOTSUPP;

    /// <summary>What has become of a connect that was in progress: OK, EINPROGRESS (still is), or its error, which is then spent.</summary>
    public virtual Errno FinishConnect() => Errno.OK;

    /// <summary>
    /// getsockname(2): writes the address, 128 bytes of room, and says how long it is.
    /// </summary>
    public abstract Errno GetName(Span<byte> name, out int length);

    /// <summary>getpeername(2), and the name that accept(2) gives. ENOTCONN.</summary>
    public abstract Errno GetPeerName(Span<byte> name, out int length);

    /// <summary>
    /// Before each <see cref="Send"/>, without the memory manager's access: looks names up. Any error ends the call.
    /// </summary>
    public virtual Errno PrepareSend(SocketMessage message) => Errno.OK;

    /// <summary>
    /// Sends. Bytes taken, or EAGAIN (POLLOUT), EPIPE, ENOTCONN, EMSGSIZE, EDESTADDRREQ... SIGPIPE is raised by callers where
    /// <see cref="FileDescription.RaisesSigpipe"/>.
    /// </summary>
    public abstract SysResult Send(SocketMessage message);

    /// <summary>
    /// Receives into the message's data, name, control and result flags. Bytes, 0 at the end of a stream; with MSG_TRUNC the real
    /// length of a datagram. EAGAIN (POLLIN), ENOTCONN, EFAULT...
    /// </summary>
    public abstract SysResult Receive(SocketMessage message);

    /// <summary>shutdown(2); <paramref name="how"/> is one of SHUT_RD, SHUT_WR, SHUT_RDWR. ENOTCONN.</summary>
    public abstract Errno Shutdown(int how);

    /// <summary>Bytes to read (SIOCINQ, FIONREAD). EINVAL for a listener.</summary>
    public abstract SysResult GetInputQueued();

    /// <summary>Bytes sent and not yet taken by the other side (SIOCOUTQ).</summary>
    public abstract SysResult GetOutputQueued();

    /// <summary>Bytes to read as far as the protocol tells at once; -1: it does not. A stream at its end may say 1.</summary>
    public virtual int GetInputHint() => -1;

    /// <summary>A listener to which nobody will connect any more: who would wait for it is told EINVAL.</summary>
    public virtual bool AcceptsNoMore => false;

    /// <summary>True when it is known that another connection waits to be accepted.</summary>
    public virtual bool HasMoreToAccept => false;

    /// <summary>True when a part of a message that was asked for whole (MSG_WAITALL) may be continued.</summary>
    public bool CanContinue => Type is SocketType.SOCK_STREAM or SocketType.SOCK_SEQPACKET;

    /// <summary>Takes the next time of a send from the queue of errors, if the program has asked for times without their data.</summary>
    public virtual bool TryTakeStamp(out SendStamp stamp)
    {
        stamp = default;
        return false;
    }

    /// <summary>The protocol takes MSG_ZEROCOPY: TCP and UDP.</summary>
    public bool SupportsZeroCopy
        => Family is AddressFamily.AF_INET or AddressFamily.AF_INET6 && Type is SocketType.SOCK_STREAM or SocketType.SOCK_DGRAM;

    /// <summary>SIOCINQ and SIOCOUTQ are the protocol's own, which URING_CMD asks for.</summary>
    public bool SupportsQueueCommands => Family is AddressFamily.AF_INET or AddressFamily.AF_INET6;

    /// <summary>
    /// getsockopt(2). <paramref name="value"/> has as many bytes as the guest gave room for, up to 64 KiB; what does not fit is cut
    /// where Linux cuts. Returns the bytes written. ENOPROTOOPT, EINVAL, EOPNOTSUPP for an unknown level. Overriders try their own
    /// options first and then this.
    /// </summary>
    public virtual SysResult GetOption(in Caller caller, int level, int option, Span<byte> value)
    {
        if (level != SocketOption.SOL_SOCKET)
            return Errno.EOPNOTSUPP;
        return option switch
        {
            SocketOption.SO_TYPE => Put(value, Type),
            SocketOption.SO_DOMAIN => Put(value, Family),
            SocketOption.SO_PROTOCOL => Put(value, Protocol),
            SocketOption.SO_RCVTIMEO or SocketOption.SO_RCVTIMEO_NEW => SocketTime.Put(value, ReceiveTimeout),
            SocketOption.SO_SNDTIMEO or SocketOption.SO_SNDTIMEO_NEW => SocketTime.Put(value, SendTimeout),
            _ => Unknown(option),
        };
    }

    /// <summary>What is to be told of a message's sender or rights has no meaning where none are passed.</summary>
    private static Errno Unknown(int option)
        => option is SocketOption.SO_PASSCRED or SocketOption.SO_PASSSEC or SocketOption.SO_PASSPIDFD or SocketOption.SO_PASSRIGHTS
            ? Errno.EOPNOTSUPP : Errno.ENOPROTOOPT;

    /// <summary>
    /// setsockopt(2); the value has been copied, up to 64 KiB. EINVAL when it is too short, ENOPROTOOPT, EDOM (a time-out that is no
    /// time), EPERM. Overriders try their own options first and then this.
    /// </summary>
    public virtual Errno SetOption(in Caller caller, int level, int option, ReadOnlySpan<byte> value)
    {
        if (level != SocketOption.SOL_SOCKET)
            return Errno.ENOPROTOOPT;
        long time;
        Errno error;
        switch (option)
        {
            case SocketOption.SO_RCVTIMEO or SocketOption.SO_RCVTIMEO_NEW:
                error = SocketTime.Parse(value, out time);
                if (error == Errno.OK)
                    ReceiveTimeout = time;
                return error;
            case SocketOption.SO_SNDTIMEO or SocketOption.SO_SNDTIMEO_NEW:
                error = SocketTime.Parse(value, out time);
                if (error == Errno.OK)
                    SendTimeout = time;
                return error;
            default:
                return value.Length < sizeof(int) ? Errno.EINVAL : Unknown(option);
        }
    }

    /// <summary>Writes an option's value, cut to the room there is; returns the bytes written.</summary>
    protected static SysResult Put<T>(Span<byte> room, in T value)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));
        int length = Math.Min(room.Length, bytes.Length);
        bytes[..length].CopyTo(room);
        return length;
    }

    /// <summary>Reads an option's value. EINVAL when it is shorter.</summary>
    protected static Errno Parse<T>(ReadOnlySpan<byte> bytes, out T value)
        where T : unmanaged
    {
        value = default;
        if (bytes.Length < Unsafe.SizeOf<T>())
            return Errno.EINVAL;
        value = System.Runtime.InteropServices.MemoryMarshal.Read<T>(bytes);
        return Errno.OK;
    }

    public override string AnonymousName => $"socket:[{Number}]";

    public override bool RaisesSigpipe => IsStream;

    /// <inheritdoc/>
    public override bool HasAsyncNotice => true;

    protected override VfsPath MakePlace()
        => AnonymousFileSystem.MakePlace(new SocketInode(Number, _creator, _created), AnonymousName);

    public override long GetWaitTimeout(bool write) => write ? SendTimeout : ReceiveTimeout;

    public sealed override SysResult Read(IoVector to, ref long offset, RwFlags flags)
        => to.Remaining == 0 ? 0 : Receive(Plain(to));

    public sealed override SysResult Write(IoVector from, ref long offset, RwFlags flags) => Send(Plain(from));

    /// <summary>A message of data alone.</summary>
    private static SocketMessage Plain(IoVector data)
    {
        SocketMessage message = s_plain ??= new SocketMessage();
        message.SetPlain(data);
        return message;
    }

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        SysResult value;
        switch (command)
        {
            case SocketIoctl.SIOCINQ:
                value = GetInputQueued();
                break;
            case SocketIoctl.SIOCOUTQ:
                value = GetOutputQueued();
                break;
            default:
                return Inet.InterfaceIoctls.Serve(task, command, argument);
        }
        return value.IsError ? value : task.Mm.Write(new UserPtr<int>(argument), (int)value.Value);
    }
}
