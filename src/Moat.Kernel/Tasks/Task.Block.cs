using Moat.Host;
using Moat.Kernel.Events;
using Moat.Kernel.Trace;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

/// <summary>How a wait ended.</summary>
internal enum WaitOutcome
{
    /// <summary>Something happened; look again. May be spurious.</summary>
    Woken,

    /// <summary>A signal wants to be delivered, or the task is to die: return ERESTARTSYS or its like.</summary>
    Interrupted,

    /// <summary>The deadline passed.</summary>
    TimedOut,
}

internal sealed partial class Task
{
    private readonly Parker _parker = ParkerPool.Rent();
    private readonly TaskWaitEntry _waitEntry;

    /// <summary>No deadline.</summary>
    public const long Forever = long.MaxValue;

    /// <summary>
    /// Sleeps until <see cref="Wake"/>, a deliverable signal, or the deadline (host CLOCK_MONOTONIC, nanoseconds). Only this task's
    /// own sentry thread calls it, holding no lock.
    /// </summary>
    public WaitOutcome Block(long deadline = Forever) => BlockAny(deadline, beside: false, killable: false);

    /// <summary>
    /// As <see cref="Block"/>, but only the end of the process interrupts it: for waits that Linux calls killable.
    /// </summary>
    public WaitOutcome BlockKillable(long deadline = Forever) => BlockAny(deadline, beside: false, killable: true);

    private WaitOutcome BlockAny(long deadline, bool beside, bool killable)
    {
        TellHostChanges();
        _blocked = true;
        // Orders "no longer in guest code" before the look; see Interrupt.
        Interlocked.MemoryBarrier();
        RunIoUringWork();
        if (killable ? IsKilled : HasDeliverableSignal)
        {
            _blocked = false;
            return WaitOutcome.Interrupted;
        }
        if (Tracer.Active)
            Tracer.Unfinished(this);
        _sleeps++;
        Thread.BeginBlock();
        if (!beside)
            Thread.SpinBlocked(_parker);
        bool token = beside ? _parker.WaitBeside(deadline) : _parker.Wait(deadline);
        Thread.EndBlock();
        _blocked = false;
        if (killable ? IsKilled : HasDeliverableSignal)
            return WaitOutcome.Interrupted;
        return token ? WaitOutcome.Woken : WaitOutcome.TimedOut;
    }

    /// <summary>
    /// Descriptors of the host that <see cref="BlockBeside"/> waits for as well; empty between waits.
    /// </summary>
    public HostPollList HostDescriptors => _parker.Descriptors;

    /// <summary>As <see cref="Block"/>, but readiness of one of <see cref="HostDescriptors"/> ends it too.</summary>
    public WaitOutcome BlockBeside(long deadline = Forever) => BlockAny(deadline, beside: true, killable: false);

    /// <summary>As <see cref="Block"/>, but readiness of one host descriptor ends it too.</summary>
    public WaitOutcome BlockOn(int hostDescriptor, PollEvents events, long deadline = Forever)
    {
        HostDescriptors.Add(hostDescriptor, (uint)events);
        WaitOutcome outcome = BlockBeside(deadline);
        HostDescriptors.Clear();
        return outcome;
    }

    /// <summary>Wakes the task from <see cref="Block"/>, or keeps it from sleeping the next time. Any thread, any lock held.</summary>
    public void Wake() => _parker.Wake();

    /// <summary>
    /// Waits until a file is ready for <paramref name="mask"/> (the caller's operation answered EAGAIN). Woken means: try again.
    /// </summary>
    public WaitOutcome WaitFor(FileDescription file, PollEvents mask, long deadline = Forever)
    {
        WaitQueue? queue = file.Waiters;
        if (queue is null)
            return WaitOutcome.Woken;
        int descriptor = file.PollDescriptor;
        queue.Add(_waitEntry, mask, besideHost: descriptor >= 0);
        WaitOutcome outcome;
        if (!file.PollsOnHost && (file.Poll() & _waitEntry.Mask) != 0)
        {
            outcome = WaitOutcome.Woken;
        }
        else if (descriptor < 0)
        {
            outcome = Block(deadline);
        }
        else
        {
            outcome = BlockOn(descriptor, file.PollsOnHost ? mask : PollEvents.POLLIN, deadline);
        }
        queue.Remove(_waitEntry);
        return outcome;
    }

    /// <summary>Enters a queue; look at the state again before <see cref="Block"/>, or hold the lock that changes it.</summary>
    public void BeginWait(WaitQueue queue, PollEvents mask) => queue.Add(_waitEntry, mask);

    /// <summary>Leaves the queue.</summary>
    public void EndWait(WaitQueue queue) => queue.Remove(_waitEntry);

    private sealed class TaskWaitEntry(Task task) : WaitEntry
    {
        public override bool OnWake(PollEvents events)
        {
            task.Wake();
            return true;
        }
    }
}
