using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    /// <summary>Size of struct io_uring_getevents_arg.</summary>
    private const ulong ExtArgSize = 24;

    /// <summary>
    /// io_uring_enter(2) on this ring; the flags are known ones. Returns how many SQEs were consumed, or an error: EBADFD (disabled),
    /// EOWNERDEAD (its polling thread has ended), EEXIST (another task's), and those of the wait when nothing was submitted.
    /// </summary>
    public SysResult Enter(Task task, uint toSubmit, uint minComplete, IoUringEnter flags, ulong argument, ulong argumentSize)
    {
        if (IsDisabled)
            return Errno.EBADFD;
        int submitted = 0;
        if (_poller is not null)
        {
            SysResult polled = EnterPolled(task, toSubmit, flags);
            if (polled.IsError)
                return polled;
            submitted = (int)polled.Value;
        }
        else if (toSubmit != 0)
        {
            if (IsForeign(task))
                return Errno.EEXIST;
            task.AddRing(this);
            GuestThread thread = task.Thread;
            SubmissionRing? place = PlaceFor(task);
            bool gathers = place is not null && thread.Gathers == place && toSubmit >= LeastGathered;
            _memory.Fetch(_sqHead, _cqTail, toSubmit, gathers);
            _lock.Enter();
            if (_stalled is not null)
                ResumeStalled();
            // What happened before comes before: on Linux it interrupts the program, and is over when that enters.
            if (!_defer && HasWork)
                RunWork();
            GatheredEntries gathered = default;
            if (gathers)
                thread.TryTakeGathered(out gathered);
            submitted = (int)Submit(task, toSubmit, gathered);
            // Deferred work runs here only when the task waits too.
            if (_defer && !PollsForEvents && (flags & IoUringEnter.GETEVENTS) != 0)
            {
                // What was complete at once goes first: what is linked behind it is ready then.
                if (_deferredHead is not null)
                    ReleaseDeferred();
                FlushBatch();
                if (HasWork)
                    RunDeferred(minComplete);
            }
            else if (!_defer)
            {
                // What was complete at once goes first: what is linked behind it is ready then.
                FlushBatch();
                if (HasWork || _deferredHead is not null)
                    RunWork();
            }
            else
            {
                if (_deferredHead is not null)
                    ReleaseDeferred();
                FlushBatch();
            }
            if (submitted != 0 && _memory.GuestSqes != 0)
                thread.Expect(_memory.Ahead(_sqHead, _cqTail, (uint)submitted, gathered.Count != 0));
            Unlock();
            if (submitted >= LeastGathered && place is not null && !gathers)
                thread.Gather(place);
            // What could not be submitted is told before anything is waited for.
            if (submitted != (int)toSubmit)
                return submitted;
        }
        if ((flags & IoUringEnter.GETEVENTS) == 0)
            return submitted;
        if (_defer && IsForeign(task))
            return submitted != 0 ? submitted : Errno.EEXIST;
        EnterWait wait = new() { MinComplete = minComplete, Deadline = Task.Forever, MinDeadline = Task.Forever };
        SysResult result = PollsForEvents ? CheckPolledWait(task, flags, argument, argumentSize)
            : ReadWaitArguments(task, flags, argument, argumentSize, ref wait);
        if (!result.IsError)
            result = WaitForEvents(task, wait);
        return submitted != 0 ? submitted : result;
    }

    /// <summary>What is told to a wait that polls has to be there, but says nothing: no mask, no time. EINVAL, EFAULT.</summary>
    private static Errno CheckPolledWait(Task task, IoUringEnter flags, ulong argument, ulong argumentSize)
    {
        if ((flags & IoUringEnter.EXT_ARG) == 0)
            return Errno.OK;
        if ((flags & IoUringEnter.EXT_ARG_REG) != 0 || argumentSize != ExtArgSize)
            return Errno.EINVAL;
        return task.Mm.Read(new UserPtr<IoUringGeteventsArg>(argument), out _);
    }

    /// <summary>Reads what the wait is told: a signal mask, or struct io_uring_getevents_arg. EINVAL, EFAULT.</summary>
    private SysResult ReadWaitArguments(Task task, IoUringEnter flags, ulong argument, ulong argumentSize, ref EnterWait wait)
    {
        if ((flags & IoUringEnter.EXT_ARG) == 0)
        {
            wait.SignalMask = argument;
            wait.SignalMaskSize = argumentSize;
            return SysResult.Ok;
        }
        if ((flags & IoUringEnter.EXT_ARG_REG) != 0)
            return ReadRegisteredWait(argument, argumentSize, flags, ref wait);
        if (argumentSize != ExtArgSize)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringGeteventsArg>(argument), out IoUringGeteventsArg ext);
        if (e != Errno.OK)
            return e;
        wait.SignalMask = ext.sigmask;
        wait.SignalMaskSize = ext.sigmask_sz;
        Timespec ts = default;
        e = ext.ts == 0 ? Errno.OK : task.Mm.Read(new UserPtr<Timespec>(ext.ts), out ts);
        if (e == Errno.OK)
            SetDeadlines(ref wait, ext.min_wait_usec, ext.ts != 0, in ts, flags);
        return e;
    }

    /// <summary>The same from the registered region. EINVAL, EFAULT.</summary>
    private Errno ReadRegisteredWait(ulong offset, ulong size, IoUringEnter flags, ref EnterWait wait)
    {
        const ulong RegWaitSize = 64;
        const uint REG_WAIT_TS = 1;
        if (size != RegWaitSize)
            return Errno.EINVAL;
        if (!_parametersAreWaits || !_parameters!.TryRead(offset, out RegWait entry))
            return Errno.EFAULT;
        if ((entry.Flags & ~REG_WAIT_TS) != 0)
            return Errno.EINVAL;
        wait.SignalMask = entry.SignalMask;
        wait.SignalMaskSize = entry.SignalMaskSize;
        SetDeadlines(ref wait, entry.MinWaitMicroseconds, (entry.Flags & REG_WAIT_TS) != 0, in entry.Time, flags);
        return Errno.OK;
    }

    private void SetDeadlines(ref EnterWait wait, uint minMicroseconds, bool hasTime, in Timespec ts, IoUringEnter flags)
    {
        long now = HostClock.Now;
        if (minMicroseconds != 0)
            wait.MinDeadline = now + (minMicroseconds * 1000L);
        if (!hasTime)
            return;
        long time = ToNanoseconds(ts);
        // Lengths are the same on every clock; what suspends the machine is not waited through in either.
        wait.Deadline = (flags & IoUringEnter.ABS_TIMER) == 0 ? HostClock.Add(now, time)
            : _clock == HostClock.CLOCK_MONOTONIC ? time : HostClock.Add(time, now - HostClock.Get(_clock));
    }

    /// <summary>A time as the kernel's ktime: any value is taken, what is too large is for ever.</summary>
    internal static long ToNanoseconds(in Timespec ts)
    {
        const long Second = 1_000_000_000;
        if (ts.Seconds >= long.MaxValue / Second)
            return long.MaxValue;
        if (ts.Seconds <= long.MinValue / Second)
            return long.MinValue;
        return HostClock.Add(ts.Seconds * Second, ts.Nanoseconds);
    }
}
