using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>
/// Finds AF_UNIX sockets that only packets still hold, packets in queues of such sockets: nobody can receive them any more. Sockets that are on
/// their way are counted; one whose references are all in packets, and whose packets all lie in sockets of that kind, is garbage,
/// and what lies in it is thrown away. Other descriptions cannot lead back to a socket (rings cannot be sent).
/// </summary>
/// <remarks>
/// A packet counts from before it is queued until after it is taken out, so one that is being moved looks as if held from outside: a wrong
/// answer is always "alive". Garbage itself cannot be reached, so nothing about it changes while it is looked at.
/// </remarks>
internal sealed class UnixGarbage
{
    private readonly Lock _lock = new();
    private readonly HashSet<UnixSocket> _inFlight = [];
    private readonly Lock _collecting = new();
    private bool _again;

    // Only what lies in itself, however deep, is held by nobody else. What closes such a circle lies in a socket that is on its way, or in a
    // connection that nobody has accepted, whose listener may be.
    private bool _mayCircle;

    /// <summary>Descriptions are about to be queued in <paramref name="to"/>.</summary>
    public void Entered(FileDescription[] rights, UnixSocket to)
    {
        foreach (FileDescription file in rights)
        {
            if (file is not UnixSocket socket)
                continue;
            lock (_lock)
            {
                if (socket.InFlight++ == 0)
                    _inFlight.Add(socket);
                Volatile.Write(ref _mayCircle, _mayCircle || to.InFlight > 0 || !to.IsAccepted);
            }
        }
    }

    /// <summary>Descriptions are out of the queue.</summary>
    public void Left(FileDescription[] rights)
    {
        foreach (FileDescription file in rights)
        {
            if (file is not UnixSocket socket)
                continue;
            lock (_lock)
            {
                if (--socket.InFlight == 0)
                    _inFlight.Remove(socket);
                Volatile.Write(ref _mayCircle, _mayCircle && _inFlight.Count > 0);
            }
        }
    }

    /// <summary>A socket is gone that may have been the way to others, or a descriptor of one that is on its way.</summary>
    public void CollectIfAny()
    {
        if (Volatile.Read(ref _mayCircle))
            Collect();
    }

    private void Collect()
    {
        Volatile.Write(ref _again, true);
        // Whoever holds it looks once more; purging garbage comes back here in the same thread.
        if (_collecting.IsHeldByCurrentThread || !_collecting.TryEnter())
            return;
        while (Interlocked.Exchange(ref _again, false))
        {
            foreach (UnixSocket garbage in FindGarbage())
                garbage.DiscardUnreachable();
        }
        _collecting.Exit();
    }

    private List<UnixSocket> FindGarbage()
    {
        lock (_lock)
        {
            List<UnixSocket> candidates = [];
            Dictionary<UnixSocket, int> held = [];
            foreach (UnixSocket socket in _inFlight)
            {
                if (socket.References == socket.InFlight)
                {
                    candidates.Add(socket);
                    held[socket] = 0;
                }
            }
            List<UnixSocket> inside = [];
            foreach (UnixSocket candidate in candidates)
            {
                inside.Clear();
                candidate.AddSocketsInFlight(inside);
                foreach (UnixSocket socket in inside)
                {
                    if (held.TryGetValue(socket, out int count))
                        held[socket] = count + 1;
                }
            }
            // What is held from outside is alive, and what lies in it too.
            Stack<UnixSocket> alive = new(candidates.Where(s => held[s] < s.InFlight));
            while (alive.TryPop(out UnixSocket? socket))
            {
                if (!held.Remove(socket))
                    continue;
                inside.Clear();
                socket.AddSocketsInFlight(inside);
                foreach (UnixSocket within in inside)
                    alive.Push(within);
            }
            return [.. held.Keys];
        }
    }
}
