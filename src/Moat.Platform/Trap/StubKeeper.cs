using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The one permanent thread of a platform: it starts stub processes, whose lives end with the thread that started them
/// (PR_SET_PDEATHSIG), and learns of their deaths.
/// </summary>
internal sealed class StubKeeper : IDisposable
{
    private const ulong WakeName = 0;

    private readonly Lock _gate = new();
    private readonly Queue<Job> _jobs = new();
    private readonly Dictionary<ulong, TrapAddressSpace> _watched = [];
    private readonly int _epoll;
    private readonly int _wake;
    private readonly Thread _thread;
    private ulong _nextName = WakeName + 1;
    private bool _stop;

    public StubKeeper()
    {
        _epoll = HostSyscall.MoveHigh(HostSyscall.EpollCreate());
        HostException.Check(_epoll, "epoll");
        _wake = HostSyscall.MoveHigh(HostSyscall.EventFd());
        HostException.Check(_wake, "eventfd");
        HostException.Check(HostSyscall.EpollAdd(_epoll, _wake, WakeName), "epoll");
        _thread = HostThread.Create("moat-stubs", Run);
        _thread.Start();
    }

    /// <summary>
    /// Starts the stub of an address space and watches it: <see cref="TrapAddressSpace.OnStubDeath"/> runs when it ends.
    /// Throws <see cref="HostException"/> when the host refuses.
    /// </summary>
    public void Start(TrapAddressSpace space)
    {
        var job = new Job(space);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop, this);
            _jobs.Enqueue(job);
        }

        HostSyscall.EventFdSignal(_wake);
        job.Done.Wait();
        job.Done.Dispose();
        HostException.Check(job.Result, "a stub process");
    }

    /// <summary>Watches an address space whose stub runs. Returns 0 or -errno.</summary>
    public int Watch(TrapAddressSpace space)
    {
        lock (_gate)
        {
            space.WatchName = _nextName++;
            int result = HostSyscall.EpollAdd(_epoll, space.PidFd, space.WatchName);
            if (result >= 0)
                _watched.Add(space.WatchName, space);
            return result;
        }
    }

    /// <summary>Stops watching an address space, whose stub is about to be reaped.</summary>
    public void Forget(TrapAddressSpace space)
    {
        lock (_gate)
        {
            if (space.WatchName == WakeName || !_watched.Remove(space.WatchName))
                return;
            HostSyscall.EpollRemove(_epoll, space.PidFd);
        }
    }

    /// <summary>Ends the thread. Stubs that still live die with it.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stop)
                return;
            _stop = true;
        }

        HostSyscall.EventFdSignal(_wake);
        _thread.Join();
        HostSyscall.Close(_epoll);
        HostSyscall.Close(_wake);
    }

    private void Run()
    {
        Span<byte> counter = stackalloc byte[8];
        while (true)
        {
            if (HostSyscall.EpollWaitOne(_epoll, out ulong name) != 1)
                continue; // EINTR
            if (name != WakeName)
            {
                Died(name);
                continue;
            }

            HostSyscall.Read(_wake, counter);
            while (true)
            {
                Job? job;
                lock (_gate)
                {
                    if (!_jobs.TryDequeue(out job))
                    {
                        if (_stop)
                            return;
                        break;
                    }
                }

                Start(job);
            }
        }
    }

    private void Start(Job job)
    {
        TrapAddressSpace space = job.Space;
        int result = space.Spawn();
        job.Result = result < 0 ? result : Math.Min(Watch(space), 0);
        job.Done.Set();
    }

    private void Died(ulong name)
    {
        TrapAddressSpace? space;
        lock (_gate)
        {
            if (!_watched.Remove(name, out space))
                return;
            HostSyscall.EpollRemove(_epoll, space.PidFd);

            // Under the gate: Forget waits for it, and with Forget the address space that unmaps its slots.
            space.OnStubDeath();
        }

        if (!space.IsKilled)
            space.Platform.Lost?.Invoke(space);
    }

    private sealed class Job(TrapAddressSpace space)
    {
        public TrapAddressSpace Space { get; } = space;

        public ManualResetEventSlim Done { get; } = new(initialState: false, spinCount: 0);

        public int Result { get; set; }
    }
}
