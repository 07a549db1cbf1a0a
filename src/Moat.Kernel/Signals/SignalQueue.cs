using System.Numerics;

namespace Moat.Kernel.Signals;

/// <summary>One queued signal. Kept in a free list of its process.</summary>
internal sealed class SignalNode
{
    public SigInfo Info;
    public SignalNode? Next;
}

/// <summary>
/// Signals that wait for one thread, or for any thread of a process: a bit each, and a queue of their siginfo in order of
/// arrival. Guarded by the process's signal lock.
/// </summary>
internal sealed class SignalQueue
{
    private SignalNode? _head, _tail;

    /// <summary>SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS: taken before all others.</summary>
    private static readonly ulong s_synchronous = Signal.Bit(Signal.SIGSEGV) | Signal.Bit(Signal.SIGBUS) | Signal.Bit(Signal.SIGILL)
        | Signal.Bit(Signal.SIGTRAP) | Signal.Bit(Signal.SIGFPE) | Signal.Bit(Signal.SIGSYS);

    /// <summary>Which signals are pending.</summary>
    public ulong Bits { get; private set; }

    /// <summary>Queues a signal with its information.</summary>
    public void Add(SignalNode node)
    {
        node.Next = null;
        if (_tail is null)
            _head = node;
        else
            _tail.Next = node;
        _tail = node;
        Bits |= Signal.Bit(node.Info.Signo);
    }

    /// <summary>Makes a signal pending whose information was lost for want of room (RLIMIT_SIGPENDING).</summary>
    public void AddWithoutInfo(int signal) => Bits |= Signal.Bit(signal);

    /// <summary>The signal of <paramref name="allowed"/> that is taken next, or 0.</summary>
    public int First(ulong allowed)
    {
        ulong bits = Bits & allowed;
        if (bits == 0)
            return 0;
        ulong synchronous = bits & s_synchronous;
        return BitOperations.TrailingZeroCount(synchronous != 0 ? synchronous : bits) + 1;
    }

    /// <summary>
    /// Takes one pending signal; its node goes back to <paramref name="spare"/>. True when a node came free.
    /// </summary>
    public bool Take(int signal, out SigInfo info, ref SignalNode? spare)
    {
        SignalNode? previous = null, found = null, foundPrevious = null;
        bool more = false;
        for (SignalNode? n = _head; n is not null; previous = n, n = n.Next)
        {
            if (n.Info.Signo != signal)
                continue;
            if (found is not null)
            {
                more = true;
                break;
            }
            found = n;
            foundPrevious = previous;
        }
        if (!more)
            Bits &= ~Signal.Bit(signal);
        if (found is null)
        {
            info = new SigInfo { Signo = signal, Code = Signal.SI_USER };
            return false;
        }
        info = found.Info;
        Unlink(found, foundPrevious);
        found.Next = spare;
        spare = found;
        return true;
    }

    /// <summary>Forgets all signals of a set. Returns how many nodes came free, onto <paramref name="spare"/>.</summary>
    public int Discard(ulong set, ref SignalNode? spare)
    {
        if ((Bits & set) == 0)
            return 0;
        Bits &= ~set;
        int freed = 0;
        SignalNode? previous = null;
        for (SignalNode? n = _head; n is not null;)
        {
            SignalNode? next = n.Next;
            if ((Signal.Bit(n.Info.Signo) & set) != 0)
            {
                Unlink(n, previous);
                n.Next = spare;
                spare = n;
                freed++;
            }
            else
            {
                previous = n;
            }
            n = next;
        }
        return freed;
    }

    /// <summary>Forgets the signal of a timer (timer_create(2)) that was set anew or deleted. True when a node came free, onto <paramref name="spare"/>.</summary>
    public bool DropTimer(int timerId, ref SignalNode? spare)
    {
        SignalNode? previous = null;
        for (SignalNode? n = _head; n is not null; previous = n, n = n.Next)
        {
            if (n.Info.Code != Signal.SI_TIMER || n.Info.TimerId != timerId)
                continue;
            int signal = n.Info.Signo;
            Unlink(n, previous);
            n.Next = spare;
            spare = n;
            for (SignalNode? other = _head; other is not null; other = other.Next)
            {
                if (other.Info.Signo == signal)
                    return true;
            }
            Bits &= ~Signal.Bit(signal);
            return true;
        }
        return false;
    }

    private void Unlink(SignalNode node, SignalNode? previous)
    {
        if (previous is null)
            _head = node.Next;
        else
            previous.Next = node.Next;
        if (_tail == node)
            _tail = previous;
    }
}
