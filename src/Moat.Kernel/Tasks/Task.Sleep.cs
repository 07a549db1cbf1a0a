using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private SleepRestart? _sleepRestart;

    /// <summary>
    /// Sleeps until a time on a clock. Interrupted, an absolute sleep is ERESTARTNOHAND; a relative one writes what is left
    /// and goes on through restart_syscall(2) when no handler runs.
    /// </summary>
    public SysResult Sleep(long time, int clock, UserPtr<Timespec> remaining, bool isAbsolute = false)
    {
        WaitOutcome outcome;
        do
        {
            outcome = BlockUntil(time, clock);
        }
        while (outcome == WaitOutcome.Woken);
        if (outcome == WaitOutcome.TimedOut)
            return 0;
        if (isAbsolute)
            return Errno.ERESTARTNOHAND;
        long left = HostClock.Add(time, -HostClock.Get(clock));
        if (left <= 0)
            return 0;
        if (!remaining.IsNull && Mm.Write(remaining, HostClock.ToTimespec(left)) != Errno.OK)
            return Errno.EFAULT;
        _sleepRestart ??= new SleepRestart();
        _sleepRestart.Set(time, clock, remaining);
        return RestartWith(_sleepRestart);
    }

    /// <summary>As <see cref="Sleep"/>, on a CPU clock, which is looked at now and then.</summary>
    public SysResult SleepOnCpu(long time, int clock, UserPtr<Timespec> remaining, bool isAbsolute)
    {
        const long LeastLook = 1_000_000;
        while (true)
        {
            SysResult now = CpuClock.Get(this, clock);
            if (now.IsError)
                return now;
            long left = time - now.Value;
            if (left <= 0)
                return 0;
            WaitOutcome outcome = Block(HostClock.After(Math.Max(left / Math.Max(1, Group.ThreadCount), LeastLook)));
            if (outcome != WaitOutcome.Interrupted)
                continue;
            if (isAbsolute)
                return Errno.ERESTARTNOHAND;
            if (!remaining.IsNull && Mm.Write(remaining, HostClock.ToTimespec(left)) != Errno.OK)
                return Errno.EFAULT;
            _sleepRestart ??= new SleepRestart();
            _sleepRestart.Set(time, clock, remaining);
            return RestartWith(_sleepRestart);
        }
    }

    private sealed class SleepRestart : RestartBlock
    {
        private long _time;
        private int _clock;
        private UserPtr<Timespec> _remaining;

        public void Set(long time, int clock, UserPtr<Timespec> remaining)
        {
            _time = time;
            _clock = clock;
            _remaining = remaining;
        }

        public override SysResult Restart(Task task)
            => TimeSyscalls.IsCpuClock(_clock) ? task.SleepOnCpu(_time, _clock, _remaining, isAbsolute: false) : task.Sleep(_time, _clock, _remaining);
    }
}
