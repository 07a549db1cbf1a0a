using Moat.Kernel.Events;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

/// <summary>A task that waits for a file lock; and who waits for whom, to refuse deadlocks of POSIX locks (EDEADLK).</summary>
internal sealed class LockWait(Task task) : WaitEntry
{
    private static readonly Lock s_graphLock = new();
    private static readonly Dictionary<object, object> s_waitsFor = [];

    public override bool OnWake(PollEvents events)
    {
        task.Wake();
        return true;
    }

    /// <summary>Waits until a range is taken. EDEADLK, ERESTARTSYS.</summary>
    public static Errno TakeRange(Task task, FileLocks locks, in RangeLock wanted)
    {
        LockWait entry = new(task);
        locks.Waiters.Add(entry, PollEvents.POLLIN);
        Errno error;
        while ((error = locks.SetRange(in wanted, out object? inTheWay)) == Errno.EAGAIN)
        {
            if (wanted.Pid != RangeLock.NoPid && !TryWaitFor(wanted.Owner, inTheWay!))
            {
                error = Errno.EDEADLK;
                break;
            }
            bool interrupted = task.Block() == WaitOutcome.Interrupted;
            lock (s_graphLock)
                s_waitsFor.Remove(wanted.Owner);
            if (!interrupted)
                continue;
            error = Errno.ERESTARTSYS;
            break;
        }
        entry.Remove();
        return error;
    }

    /// <summary>Waits until a flock(2) is taken. ERESTARTSYS.</summary>
    public static Errno TakeWhole(Task task, FileLocks locks, FileDescription owner, bool exclusive)
    {
        LockWait entry = new(task);
        locks.Waiters.Add(entry, PollEvents.POLLIN);
        Errno error;
        while ((error = locks.SetWhole(owner, exclusive)) == Errno.EAGAIN)
        {
            if (task.Block() != WaitOutcome.Interrupted)
                continue;
            error = Errno.ERESTARTSYS;
            break;
        }
        entry.Remove();
        return error;
    }

    /// <summary>Notes that one owner waits for another; false when that one, through others, waits for the first.</summary>
    private static bool TryWaitFor(object waiter, object holder)
    {
        lock (s_graphLock)
        {
            object? at = holder;
            for (int depth = 0; at is not null && depth < 1000; depth++)
            {
                if (at == waiter)
                    return false;
                s_waitsFor.TryGetValue(at, out at);
            }
            s_waitsFor[waiter] = holder;
            return true;
        }
    }
}
