using Moat.Host;

namespace Moat.Kernel.Time;

/// <summary>A thread that learns from the host when somebody sets CLOCK_REALTIME.</summary>
internal sealed class ClockWatch : IDisposable
{
    private readonly Thread _thread;
    private readonly Action _onSet;
    private readonly HostEvent _stop = new();

    /// <summary>Starts it; a host without timer descriptors leaves clock steps unseen.</summary>
    public ClockWatch(Action onSet)
    {
        _onSet = onSet;
        _thread = HostThread.Create("moat-clock", Run);
        _thread.Start();
    }

    /// <summary>Ends the thread.</summary>
    public void Dispose()
    {
        _stop.Signal();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        int fd = HostTime.CreateClockSetTimer();
        if (fd < 0)
            return;
        // Armed again before the news is spread: a step in between is news of its own.
        HostTime.ArmClockSetTimer(fd);
        while (HostTime.WaitForClockSet(fd, _stop.Fd))
        {
            HostTime.ArmClockSetTimer(fd);
            _onSet();
        }
        HostSyscall.Call(3 /* close */, fd);
    }
}
