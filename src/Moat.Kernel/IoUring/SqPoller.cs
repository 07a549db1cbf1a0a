using System.Runtime.Intrinsics.X86;
using Moat.Host;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

/// <summary>
/// The thread that looks for submissions (IORING_SETUP_SQPOLL), for one ring or several (ATTACH_WQ). It spins only while a core is free for it,
/// else it naps between looks; without work for the idle time it says so (IORING_SQ_NEED_WAKEUP) and sleeps.
/// </summary>
internal sealed class SqPoller
{
    private const long NapNanoseconds = 40_000, LongestNap = 1_000_000;
    private const int PausesPerLook = 64, LooksPerPermit = 64;

    private readonly Lock _lock = new();
    private readonly Parker _parker = new();
    private readonly long _idle;
    private Ring[] _rings = [];
    private readonly List<Ring> _leaving = [];
    private Ring[]? _known;
    private System.Threading.Thread? _thread;
    private volatile bool _dead;

    /// <summary>
    /// Makes one that sleeps after <paramref name="idleMilliseconds"/> without work (0: after a second), with a thread id <paramref name="id"/> of
    /// the sandbox. <paramref name="core"/>: the processor that the program asked for; negative: any.
    /// </summary>
    public SqPoller(Task maker, int id, uint idleMilliseconds, int core, IoWorkQueue workers)
    {
        ThreadGroup process = maker.Group;
        Process = process;
        Thread = IoThread.MakePoller(id, maker.Tid);
        Workers = workers;
        Core = core;
        _idle = (idleMilliseconds == 0 ? 1000L : idleMilliseconds) * 1_000_000;
        process.Sentry.AddPoller(this);
    }

    /// <summary>Whose rings it serves.</summary>
    public ThreadGroup Process { get; }

    /// <summary>What the sandbox knows the thread by.</summary>
    public int Id => Thread.Id;

    /// <summary>The thread as the process sees it.</summary>
    public IoThread Thread { get; }

    /// <summary>The workers of what it submits.</summary>
    public IoWorkQueue Workers { get; }

    /// <summary>The processor that the program wants it on (IORING_SETUP_SQ_AFF), or -1. The sentry's threads run where a core is free.</summary>
    public int Core { get; }

    /// <summary>Its process has ended, or executes another program, and it with that: nobody submits what is in its rings.</summary>
    public bool IsDead => _dead || Process.ThreadCount == 0;

    /// <summary>How long it has run, and how long it has had work, nanoseconds.</summary>
    public long TotalTime { get; private set; }

    /// <summary>See <see cref="TotalTime"/>.</summary>
    public long WorkTime { get; private set; }

    /// <summary>Looks after a ring from now on.</summary>
    public void Add(Ring ring)
    {
        lock (_lock)
        {
            Volatile.Write(ref _rings, [.. _rings, ring]);
            if (_thread is null)
            {
                _thread = HostThread.Create("moat-sqp", Run);
                _thread.Start();
                return;
            }
        }
        _parker.Wake();
    }

    /// <summary>No longer: <see cref="Ring.LeftPoller"/> tells when it does not look any more. With the last ring the thread ends.</summary>
    public void Remove(Ring ring)
    {
        lock (_lock)
        {
            if (_thread is null)
            {
                ring.LeftPoller();
                return;
            }
            Volatile.Write(ref _rings, Array.FindAll(_rings, r => r != ring));
            _leaving.Add(ring);
        }
        _parker.Wake();
    }

    /// <summary>Its process ends, or executes another program.</summary>
    public void Die()
    {
        _dead = true;
        _parker.Wake();
    }

    /// <summary>There is something to submit.</summary>
    public void Wake() => _parker.Wake();

    private void Run()
    {
        // It begins asleep, unless there is something to do already.
        Volatile.Write(ref Thread.Runs, true);
        long started = HostClock.Now, lastWork = started - _idle, nap = NapNanoseconds;
        while (true)
        {
            if (!TryGetRings(out Ring[] rings))
                return;
            if (_dead)
            {
                foreach (Ring ring in rings)
                    ring.LosePoller();
                WaitForEnd(rings);
                continue;
            }
            long before = HostClock.Now;
            bool worked = false;
            foreach (Ring ring in rings)
                worked |= ring.PollSubmissions();
            long now = HostClock.Now;
            TotalTime = now - started;
            if (worked)
            {
                WorkTime += now - before;
                lastWork = now;
                nap = NapNanoseconds;
            }
            else if (now - lastWork >= _idle)
            {
                Volatile.Write(ref Thread.Runs, false);
                Sleep(rings);
                Volatile.Write(ref Thread.Runs, true);
                lastWork = HostClock.Now;
                nap = NapNanoseconds;
            }
            else if (!TrySpin(rings))
            {
                _parker.Wait(now + nap);
                nap = Math.Min(nap * 2, LongestNap);
            }
        }
    }

    /// <summary>Looks in quick succession while a core is free for it. False: none is, or was.</summary>
    private static bool TrySpin(Ring[] rings)
    {
        if (!SpinBudget.TryTake())
            return false;
        bool found = false;
        for (int i = 0; i < LooksPerPermit && !found && SpinBudget.Fits; i++)
        {
            for (int k = 0; k < PausesPerLook; k++)
                X86Base.Pause();
            found = AnySubmissions(rings);
        }
        SpinBudget.Return();
        return found || SpinBudget.Fits;
    }

    /// <summary>Dead: only the end of a ring is news.</summary>
    private void WaitForEnd(Ring[] rings)
    {
        while (rings == Volatile.Read(ref _rings))
            _parker.Wait(long.MaxValue);
    }

    private void Sleep(Ring[] rings)
    {
        foreach (Ring ring in rings)
            ring.SetNeedWakeup(true);
        // A program that does not see the flag has published its tail before: one of both sees the other.
        Interlocked.MemoryBarrier();
        if (!_dead && !AnySubmissions(rings) && rings == Volatile.Read(ref _rings))
            _parker.Wait(long.MaxValue);
        foreach (Ring ring in rings)
            ring.SetNeedWakeup(false);
    }

    private static bool AnySubmissions(Ring[] rings)
    {
        foreach (Ring ring in rings)
        {
            if (ring.HasSubmissions)
                return true;
        }
        return false;
    }

    /// <summary>The rings to look after now; those that left are let go. False: there are none, the thread ends.</summary>
    private bool TryGetRings(out Ring[] rings)
    {
        rings = Volatile.Read(ref _rings);
        if (rings.Length != 0 && rings == _known)
            return true;
        lock (_lock)
        {
            _known = rings = _rings;
            foreach (Ring ring in _leaving)
                ring.LeftPoller();
            _leaving.Clear();
            if (rings.Length == 0)
            {
                _thread = null;
                Workers.End();
                Process.Sentry.RemovePoller(this);
            }
        }
        return rings.Length != 0;
    }
}
