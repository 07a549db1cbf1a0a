using System.Collections.Concurrent;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>
/// The loopback of a sandbox without the host's network: who is bound to which port, for TCP and UDP each. Its lock is held while
/// sockets are bound, connected, accepted and closed; looking up who is where takes none, and data do not pass through it.
/// </summary>
internal sealed class LoopbackNetwork
{
    /// <summary>net.ipv4.ip_local_port_range.</summary>
    private const int FirstEphemeral = 32768, LastEphemeral = 60999;

    /// <summary>Arrays are replaced, never changed.</summary>
    private readonly ConcurrentDictionary<ushort, LoopbackSocket[]> _streams = [], _datagrams = [];

    private ushort _next = (ushort)(FirstEphemeral + Random.Shared.Next(LastEphemeral - FirstEphemeral));

    /// <summary>Guards the tables and the states of listening and connecting.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Binds a socket; port 0: any that is free. EADDRNOTAVAIL, EADDRINUSE. Under the lock.</summary>
    public Errno Bind(LoopbackSocket socket, InetEndpoint wanted)
    {
        if (!wanted.IsAny && !wanted.IsLoopback)
            return Errno.EADDRNOTAVAIL;
        ConcurrentDictionary<ushort, LoopbackSocket[]> table = Table(socket);
        if (wanted.Port == 0)
        {
            ushort? free = FindFree(table);
            if (free is null)
                return Errno.EADDRINUSE;
            wanted = wanted with { Port = free.Value };
        }
        LoopbackSocket[] bound = table.GetValueOrDefault(wanted.Port) ?? [];
        foreach (LoopbackSocket other in bound)
        {
            if (socket.ConflictsWith(other, wanted))
                return Errno.EADDRINUSE;
        }
        socket.SetLocal(wanted);
        table[wanted.Port] = [.. bound, socket];
        return Errno.OK;
    }

    /// <summary>Ends a socket's binding. Under the lock.</summary>
    public void Unbind(LoopbackSocket socket)
    {
        ConcurrentDictionary<ushort, LoopbackSocket[]> table = Table(socket);
        ushort port = socket.Local.Port;
        if (!table.TryGetValue(port, out LoopbackSocket[]? bound) || !bound.Contains(socket))
            return;
        if (bound.Length == 1)
            table.TryRemove(port, out _);
        else
            table[port] = Array.FindAll(bound, other => other != socket);
    }

    /// <summary>
    /// Who listens at, or receives for, a destination: the most specific; of several alike one by the source's port. Null: nobody.
    /// </summary>
    public LoopbackSocket? Find(bool stream, InetEndpoint destination, InetEndpoint source)
    {
        if (!(stream ? _streams : _datagrams).TryGetValue(destination.Port, out LoopbackSocket[]? bound))
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

    private ConcurrentDictionary<ushort, LoopbackSocket[]> Table(LoopbackSocket socket) => socket.IsStream ? _streams : _datagrams;

    private ushort? FindFree(ConcurrentDictionary<ushort, LoopbackSocket[]> table)
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
