using Moat.Host;

namespace Moat.Kernel.Tasks;

/// <summary>
/// The sentry threads that run guest threads, one each. One that is done waits a while for the next guest thread: making
/// an operating-system thread costs more than all the rest of clone(2).
/// </summary>
internal sealed class TaskRunner
{
    private const int StackSize = 512 * 1024, MostIdle = 16;
    private const long IdleTime = 5 * Time.HostClock.Second;
    private static readonly Lock s_lock = new();
    private static readonly List<TaskRunner> s_idle = [];

    private readonly Parker _parker = ParkerPool.Rent();
    private Task? _task;

    /// <summary>Runs a task to its end. False: the host gives no thread.</summary>
    public static bool TryStart(Task task)
    {
        TaskRunner? runner = null;
        lock (s_lock)
        {
            if (s_idle.Count > 0)
            {
                runner = s_idle[^1];
                s_idle.RemoveAt(s_idle.Count - 1);
            }
        }
        if (runner is not null)
        {
            Volatile.Write(ref runner._task, task);
            runner._parker.Wake();
            return true;
        }
        runner = new TaskRunner { _task = task };
        try
        {
            Thread thread = HostThread.Create("moat-task", runner.Run, StackSize);
            thread.Start();
            return true;
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            ParkerPool.Return(runner._parker);
            return false;
        }
    }

    private void Run()
    {
        while (Volatile.Read(ref _task) is { } task)
        {
            task.Run();
            Volatile.Write(ref _task, null);
            lock (s_lock)
            {
                if (s_idle.Count >= MostIdle)
                    break;
                s_idle.Add(this);
            }
            WaitForTask();
        }
        ParkerPool.Return(_parker);
    }

    private void WaitForTask()
    {
        long deadline = Time.HostClock.After(IdleTime);
        while (Volatile.Read(ref _task) is null)
        {
            if (_parker.Wait(deadline) || Volatile.Read(ref _task) is not null)
                continue;
            lock (s_lock)
            {
                // Still idle: leaves. Taken: its task is on the way.
                if (s_idle.Remove(this))
                    return;
            }
            deadline = long.MaxValue;
        }
    }
}
