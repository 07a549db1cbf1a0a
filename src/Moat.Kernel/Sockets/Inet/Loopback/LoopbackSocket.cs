using Moat.Kernel.Events;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>A socket of the sandbox's own loopback: names, binding, errors, what ends.</summary>
internal abstract partial class LoopbackSocket : Socket
{
    protected const int ShutReceive = 1, ShutSend = 2;

    private int _error;
    private int _shutdown;

    protected LoopbackSocket(LoopbackNetwork network, int family, int type, int protocol, OpenFlags flags, Credentials creator)
        : base(family, type, protocol, flags, creator)
    {
        Network = network;
        Owner = creator;
        Local = new InetEndpoint(AnyAddress, 0);
    }

    protected LoopbackNetwork Network { get; }

    /// <summary>Who made it.</summary>
    public Credentials Owner { get; }

    /// <summary>Its own address. Port 0: not bound.</summary>
    public InetEndpoint Local { get; private set; }

    /// <summary>The other side's address; default: none.</summary>
    public InetEndpoint Remote { get; protected set; }

    /// <summary>State as /proc/net/tcp numbers it.</summary>
    public abstract int StateNumber { get; }

    public override WaitQueue Waiters { get; } = new();

    public bool IsBound => Local.Port != 0;

    private UInt128 AnyAddress => Family == AddressFamily.AF_INET ? InetEndpoint.Any4 : InetEndpoint.Any6;

    /// <summary>ShutReceive and ShutSend bits.</summary>
    protected int ShutdownBits => Volatile.Read(ref _shutdown);

    protected void AddShutdown(int bits) => Interlocked.Or(ref _shutdown, bits);

    /// <summary>An error for the next call that asks (SO_ERROR).</summary>
    protected void SetError(Errno error) => Volatile.Write(ref _error, (int)error);

    protected Errno TakeError() => Volatile.Read(ref _error) == 0 ? Errno.OK : (Errno)Interlocked.Exchange(ref _error, 0);

    protected bool HasError => Volatile.Read(ref _error) != 0;

    internal void SetLocal(InetEndpoint local) => Local = local;

    /// <summary>
    /// How well a destination fits: 0 not at all, more for an own address and for a peer that is the source.
    /// </summary>
    public virtual int Score(InetEndpoint destination, InetEndpoint source)
    {
        if (Local.Address == destination.Address)
            return 3;
        if (Local.Address == InetEndpoint.Any4)
            return destination.IsV4 ? 2 : 0;
        return Local.Address == InetEndpoint.Any6 && (!destination.IsV4 || !IsV6Only) ? 1 : 0;
    }

    /// <summary>True when this socket cannot have an address because of one that is bound to the same port.</summary>
    public bool ConflictsWith(LoopbackSocket other, InetEndpoint wanted)
    {
        if (!Overlaps(wanted, IsV6Only, other.Local, other.IsV6Only))
            return false;
        if (HasOption(SocketOption.SO_REUSEPORT) && other.HasOption(SocketOption.SO_REUSEPORT) && Owner.EffectiveUid == other.Owner.EffectiveUid)
            return false;
        return !(HasOption(SocketOption.SO_REUSEADDR) && other.HasOption(SocketOption.SO_REUSEADDR) && !other.IsListening);
    }

    protected virtual bool IsListening => false;

    private static bool Overlaps(InetEndpoint a, bool aOnly6, InetEndpoint b, bool bOnly6)
    {
        if (a.Address == b.Address)
            return true;
        return Covers(a, aOnly6, b) || Covers(b, bOnly6, a);

        static bool Covers(InetEndpoint any, bool only6, InetEndpoint other)
            => any.Address == InetEndpoint.Any4 ? other.IsV4 || other.Address == InetEndpoint.Any6
                : any.Address == InetEndpoint.Any6 && (!other.IsV4 || !only6);
    }

    public override Errno Bind(in Caller caller, ReadOnlySpan<byte> name)
    {
        const int FirstUnprivileged = 1024;
        Errno error = InetEndpoint.Parse(Family, name, out InetEndpoint wanted);
        if (error != Errno.OK)
            return error;
        if (wanted.Port is > 0 and < FirstUnprivileged && !caller.Credentials.Has(Capability.CAP_NET_BIND_SERVICE))
            return Errno.EACCES;
        lock (Network.Lock)
            return IsBound ? Errno.EINVAL : Network.Bind(this, wanted);
    }

    /// <summary>Gets any port, with the address that talks to <paramref name="destination"/>. Under the network's lock.</summary>
    protected Errno EnsureBound(InetEndpoint destination)
    {
        if (!IsBound)
        {
            Errno error = Network.Bind(this, new InetEndpoint(Local.Address, 0));
            if (error != Errno.OK)
                return error;
        }
        if (Local.IsAny && IsStream)
            Local = Local with { Address = SourceFor(destination) };
        return Errno.OK;
    }

    /// <summary>The address that a datagram or connection to a destination comes from.</summary>
    protected InetEndpoint SourceOf(InetEndpoint destination) => Local.IsAny ? Local with { Address = SourceFor(destination) } : Local;

    private static UInt128 SourceFor(InetEndpoint destination) => destination.IsV4 ? InetEndpoint.Loopback4 : InetEndpoint.Loopback6;

    /// <summary>Reads where to. ENETUNREACH beyond the loopback, EAFNOSUPPORT, EINVAL.</summary>
    protected Errno ParseDestination(ReadOnlySpan<byte> name, out InetEndpoint destination)
    {
        Errno error = InetEndpoint.Parse(Family, name, out destination);
        if (error != Errno.OK)
            return error;
        destination = destination.Destination;
        if (!destination.IsLoopback)
            return Errno.ENETUNREACH;
        return destination.IsV4 && Family == AddressFamily.AF_INET6 && IsV6Only ? Errno.ENETUNREACH : Errno.OK;
    }

    public override Errno GetName(Span<byte> name, out int length)
    {
        length = Local.Write(Family, name);
        return Errno.OK;
    }

    public override Errno GetPeerName(Span<byte> name, out int length)
    {
        length = 0;
        if (Remote.Port == 0)
            return Errno.ENOTCONN;
        length = Remote.Write(Family, name);
        return Errno.OK;
    }
}
