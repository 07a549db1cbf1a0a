using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>A place for one thread to sleep: a futex word with one wake token. Any thread may wake it.</summary>
public sealed unsafe class Parker : IDisposable
{
    // What the word says: nobody is there and no token, a token, the owner sleeps on descriptors.
    private const int Empty = 0, Token = 1, Beside = -1;

    private readonly int* _word = (int*)NativeMemory.AlignedAlloc(64, 64);
    private HostEvent? _bell;

    /// <summary>Descriptors that the owner waits for besides a token; the owner's alone.</summary>
    public HostPollList Descriptors { get; } = new();

    /// <summary>Makes one without a token.</summary>
    public Parker() => *_word = Empty;

    /// <summary>
    /// Sleeps until a token is there, and takes it. <paramref name="deadline"/>: host CLOCK_MONOTONIC, nanoseconds;
    /// <see cref="long.MaxValue"/> for none. False when the deadline passed without a token.
    /// </summary>
    public bool Wait(long deadline)
    {
        const int FUTEX_WAIT_BITSET_PRIVATE = 9 | 128, ETIMEDOUT = 110;
        long* ts = stackalloc long[2];
        if (deadline != long.MaxValue)
        {
            ts[0] = Math.Max(deadline, 0) / 1_000_000_000;
            ts[1] = Math.Max(deadline, 0) % 1_000_000_000;
        }
        // SAFETY: _word is this object's own aligned memory.
        while (Interlocked.Exchange(ref *_word, 0) == 0)
        {
            long r = HostSyscall.Call(202, (long)_word, FUTEX_WAIT_BITSET_PRIVATE, 0, deadline == long.MaxValue ? 0 : (long)ts, 0, -1);
            if (r == -ETIMEDOUT)
                return Interlocked.Exchange(ref *_word, 0) != 0;
        }
        return true;
    }

    /// <summary>Spins for a token at most so many steps (<see cref="Handoff.Steps"/>). True: it is there, and not taken.</summary>
    public bool Spin(uint steps) => Handoff.Spin((uint*)_word, Empty, steps) != Empty;

    /// <summary>
    /// As <see cref="Wait"/>, but also returns when one of <see cref="Descriptors"/> is ready. False only when the deadline passed.
    /// </summary>
    public bool WaitBeside(long deadline)
    {
        _bell ??= new HostEvent();
        // SAFETY: _word is this object's own aligned memory.
        if (Interlocked.CompareExchange(ref *_word, Beside, Empty) == Token)
        {
            Volatile.Write(ref *_word, Empty);
            return true;
        }
        bool ready = Descriptors.Wait(_bell, deadline);
        return Interlocked.Exchange(ref *_word, Empty) == Token || ready;
    }

    /// <summary>Leaves a token; wakes the sleeper.</summary>
    public void Wake()
    {
        const int FUTEX_WAKE_PRIVATE = 1 | 128;
        switch (Interlocked.Exchange(ref *_word, Token))
        {
            case Empty:
                HostSyscall.CallQuick(202, (long)_word, FUTEX_WAKE_PRIVATE, 1);
                break;
            case Beside:
                _bell!.Signal();
                break;
        }
    }

    /// <summary>Frees the word; nobody may use it any more.</summary>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_word);
        Descriptors.Dispose();
        _bell?.Dispose();
    }
}
