namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>
/// The loopback of a sandbox without the host's network: who is bound to which port, for TCP and UDP each. Its lock is held while
/// sockets are bound, connected, accepted and closed; data do not pass through it.
/// </summary>
internal sealed class LoopbackNetwork
{
    /// <summary>net.ipv4.ip_local_port_range.</summary>
    private const int FirstEphemeral = 32768, LastEphemeral = 60999;

    private readonly Dictionary<ushort, List<LoopbackSocket>> _streams = [], _datagrams = [];
    private ushort _next = (ushort)(FirstEphemeral + Random.Shared.Next(LastEphemeral - FirstEphemeral));

    /// <summary>Guards the tables and the states of listening and connecting.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Binds a socket; port 0: any that is free. EADDRNOTAVAIL, EADDRINUSE. Under the lock.</summary>
    public Errno Bind(LoopbackSocket socket, InetEndpoint wanted)
    {
        if (!wanted.IsAny && !wanted.IsLoopback)
            return Errno.EADDRNOTAVAIL;
        Dictionary<ushort, List<LoopbackSocket>> table = Table(socket);
        if (wanted.Port == 0)
        {
            ushort? free = FindFree(table);
            if (free is null)
                return Errno.EADDRINUSE;
            wanted = wanted with { Port = free.Value };
        }
        if (!table.TryGetValue(wanted.Port, out List<LoopbackSocket>? bound))
            table.Add(wanted.Port, bound = []);
        foreach (LoopbackSocket other in bound)
        {
            if (socket.ConflictsWith(other, wanted))
                return Errno.EADDRINUSE;
        }
        bound.Add(socket);
        socket.SetLocal(wanted);
        return Errno.OK;
    }

    /// <summary>Ends a socket's binding. Under the lock.</summary>
    public void Unbind(LoopbackSocket socket)
    {
        Dictionary<ushort, List<LoopbackSocket>> table = Table(socket);
        if (!table.TryGetValue(socket.Local.Port, out List<LoopbackSocket>? bound))
            return;
        bound.Remove(socket);
        if (bound.Count == 0)
            table.Remove(socket.Local.Port);
    }

    /// <summary>
    /// Who listens at, or receives for, a destination: the most specific; of several alike one by the source's port. Null: nobody. Under
    /// the lock.
    /// </summary>
    public LoopbackSocket? Find(bool stream, InetEndpoint destination, InetEndpoint source)
    {
        if (!(stream ? _streams : _datagrams).TryGetValue(destination.Port, out List<LoopbackSocket>? bound))
            return null;
        int best = 0, alike = 0;
        foreach (LoopbackSocket socket in bound)
        {
            int score = socket.Score(destination, source);
            alike = score > best ? 1 : score == best ? alike + 1 : alike;
            best = Math.Max(best, score);
        }
        if (best == 0)
            return null;
        int chosen = source.Port % alike;
        foreach (LoopbackSocket socket in bound)
        {
            if (socket.Score(destination, source) == best && chosen-- == 0)
                return socket;
        }
        return null;
    }

    /// <summary>All bound sockets of a kind, for /proc/net.</summary>
    public List<LoopbackSocket> List(bool stream)
    {
        lock (Lock)
            return [.. (stream ? _streams : _datagrams).Values.SelectMany(static bound => bound)];
    }

    private Dictionary<ushort, List<LoopbackSocket>> Table(LoopbackSocket socket) => socket.IsStream ? _streams : _datagrams;

    private ushort? FindFree(Dictionary<ushort, List<LoopbackSocket>> table)
    {
        for (int i = FirstEphemeral; i <= LastEphemeral; i++)
        {
            ushort port = _next;
            _next = port >= LastEphemeral ? (ushort)FirstEphemeral : (ushort)(port + 1);
            if (!table.ContainsKey(port))
                return port;
        }
        return null;
    }
}
