using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Ipc;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>System V semaphores (semget(2), semop(2), semctl(2)).</summary>
internal static class SemaphoreSyscalls
{
    private const int GETPID = 11, GETVAL = 12, GETALL = 13, GETNCNT = 14, GETZCNT = 15, SETVAL = 16, SETALL = 17, SEM_STAT = 18,
        SEM_INFO = 19, SEM_STAT_ANY = 20;

    [StructLayout(LayoutKind.Explicit, Size = 104)]
    private struct SemidDs
    {
        [FieldOffset(0)]
        public IpcPermissions Permissions;
        [FieldOffset(48)]
        public long OperationTime;
        [FieldOffset(64)]
        public long ChangeTime;
        [FieldOffset(80)]
        public ulong Count;
    }

    private struct SemInfo
    {
        public int Map, Sets, Total, Undos, PerSet, Operations, UndosPerProcess, UndoSize, MaxValue, MaxAdjust;
    }

    /// <summary>semget(2).</summary>
    [Syscall(64, "semget", Support.Full)]
    public static SysResult SemGet(Task task, int key, int count, int flags)
    {
        if (count is < 0 or > SemaphoreSets.SEMMSL)
            return Errno.EINVAL;
        SemaphoreSets all = task.Sentry.Semaphores;
        return all.Table.Get(task, key, flags, existing => count > existing.Count ? Errno.EINVAL : Errno.OK, (out SemaphoreSet? made) =>
        {
            made = null;
            if (count == 0)
                return Errno.EINVAL;
            if (all.Total > SemaphoreSets.SEMMNS - count)
                return Errno.ENOSPC;
            all.Total += count;
            made = new SemaphoreSet(count);
            return Errno.OK;
        });
    }

    /// <summary>semop(2).</summary>
    [Syscall(65, "semop", Support.Full)]
    public static SysResult SemOp(Task task, int id, UserPtr<SemaphoreOperation> operations, uint count)
        => Operate(task, id, operations, count, Task.Forever);

    /// <summary>semtimedop(2).</summary>
    [Syscall(220, "semtimedop", Support.Full)]
    public static SysResult SemTimedOp(Task task, int id, UserPtr<SemaphoreOperation> operations, uint count, UserPtr<Timespec> timeout)
    {
        Errno error = PollSyscalls.ReadDeadline(task, timeout, out long deadline);
        if (error != Errno.OK)
            return error;
        return Operate(task, id, operations, count, deadline);
    }

    private static SysResult Operate(Task task, int id, UserPtr<SemaphoreOperation> from, uint count, long deadline)
    {
        if (count < 1 || id < 0)
            return Errno.EINVAL;
        if (count > SemaphoreSets.SEMOPM)
            return Errno.E2BIG;
        SemaphoreWaiter waiter = task.SemaphoreWaiter;
        Span<SemaphoreOperation> operations = waiter.Prepare((int)count);
        if (task.Mm.CopyIn(from, MemoryMarshal.AsBytes(operations)) != Errno.OK)
            return Errno.EFAULT;
        int highest = 0;
        bool alters = false, undoes = false;
        foreach (SemaphoreOperation op in operations)
        {
            highest = Math.Max(highest, op.Number);
            alters |= op.Change != 0;
            undoes |= op.IsUndone;
        }
        waiter.Alters = alters;
        waiter.Undo = undoes ? task.Group.SemaphoreUndo : null;
        SemaphoreSet? set = task.Sentry.Semaphores.Table.Find(id);
        if (set is null)
            return Errno.EINVAL;
        lock (set.Lock)
        {
            if (highest >= set.Count)
                return Errno.EFBIG;
            Errno error = set.CheckAccess(task.Credentials, alters ? IpcFlags.Write : IpcFlags.Read);
            if (error == Errno.OK && set.IsRemoved)
                error = Errno.EIDRM;
            if (error != Errno.OK)
                return error;
            error = set.TryAll(operations, waiter.Undo, task.Group.Id, out int blocking);
            if (error == Errno.OK && alters)
                set.WakeReady();
            if (error != Errno.EAGAIN || operations[blocking].DoesNotWait)
                return error;
            waiter.Blocking = operations[blocking];
            set.Enqueue(waiter);
        }
        WaitOutcome outcome;
        do
        {
            outcome = task.Block(deadline);
        }
        while (outcome == WaitOutcome.Woken && !waiter.IsDone);
        lock (set.Lock)
        {
            if (waiter.IsDone)
                return waiter.Result;
            set.Dequeue(waiter);
        }
        return outcome == WaitOutcome.TimedOut ? Errno.EAGAIN : Errno.EINTR;
    }

    /// <summary>semctl(2).</summary>
    [Syscall(66, "semctl", Support.Full)]
    public static SysResult SemCtl(Task task, int id, int number, int command, ulong argument)
    {
        if (id < 0)
            return Errno.EINVAL;
        SemaphoreSets all = task.Sentry.Semaphores;
        switch (command)
        {
            case IpcFlags.IPC_INFO or SEM_INFO:
                return Inform(task, all, command, new UserPtr<SemInfo>(argument));
            case IpcFlags.IPC_STAT or SEM_STAT or SEM_STAT_ANY:
                return Stat(task, all.Table, id, command, new UserPtr<SemidDs>(argument));
            case SETVAL when (int)argument is < 0 or > SemaphoreSet.MaxValue:
                return Errno.ERANGE;
            case GETALL or SETALL or GETVAL or GETPID or GETNCNT or GETZCNT or SETVAL:
                SemaphoreSet? set = all.Table.Find(id);
                return set is null ? Errno.EINVAL : Values(task, set, number, command, argument);
            case IpcFlags.IPC_SET or IpcFlags.IPC_RMID:
                SemidDs wanted = default;
                if (command == IpcFlags.IPC_SET && task.Mm.Read(new UserPtr<SemidDs>(argument), out wanted) != Errno.OK)
                    return Errno.EFAULT;
                return Change(task, all, id, command, in wanted.Permissions);
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult Inform(Task task, SemaphoreSets all, int command, UserPtr<SemInfo> buffer)
    {
        SemInfo info = new()
        {
            Map = SemaphoreSets.SEMMNS,
            Sets = SemaphoreSets.SEMMNI,
            Total = SemaphoreSets.SEMMNS,
            Undos = SemaphoreSets.SEMMNS,
            PerSet = SemaphoreSets.SEMMSL,
            Operations = SemaphoreSets.SEMOPM,
            UndosPerProcess = SemaphoreSets.SEMOPM,
            UndoSize = command == SEM_INFO ? all.Table.Count : 20,
            MaxValue = SemaphoreSet.MaxValue,
            MaxAdjust = command == SEM_INFO ? all.Total : SemaphoreSet.MaxValue,
        };
        return task.Mm.Write(buffer, in info) == Errno.OK ? all.Table.HighestIndex : Errno.EFAULT;
    }

    private static SysResult Stat(Task task, IpcTable<SemaphoreSet> table, int id, int command, UserPtr<SemidDs> buffer)
    {
        SemaphoreSet? set = command == IpcFlags.IPC_STAT ? table.Find(id) : table.At(id);
        if (set is null)
            return Errno.EINVAL;
        SemidDs stat;
        lock (set.Lock)
        {
            Errno error = command == SEM_STAT_ANY ? Errno.OK : set.CheckAccess(task.Credentials, IpcFlags.Read);
            if (error == Errno.OK && set.IsRemoved)
                error = Errno.EIDRM;
            if (error != Errno.OK)
                return error;
            stat = new SemidDs
            {
                Permissions = set.Describe(),
                OperationTime = set.OperationTime,
                ChangeTime = set.ChangeTime,
                Count = (ulong)set.Count,
            };
        }
        long result = command == IpcFlags.IPC_STAT ? 0 : set.Id;
        return task.Mm.Write(buffer, in stat) == Errno.OK ? result : Errno.EFAULT;
    }

    private static SysResult Values(Task task, SemaphoreSet set, int number, int command, ulong argument)
    {
        bool changes = command is SETVAL or SETALL;
        ushort[]? values = null;
        if (command is GETALL or SETALL)
            values = ArrayPool<ushort>.Shared.Rent(set.Count);
        SysResult result = 0;
        // Which is read before a set that forbids it is found out: EFAULT or EACCES, Linux looks at the permissions first.
        lock (set.Lock)
            result = set.CheckAccess(task.Credentials, changes ? IpcFlags.Write : IpcFlags.Read);
        if (!result.IsError && values is null && (uint)number >= (uint)set.Count)
            result = Errno.EINVAL;
        if (!result.IsError && command == SETALL)
        {
            result = task.Mm.CopyIn(new UserPtr(argument), MemoryMarshal.AsBytes(values.AsSpan(0, set.Count)));
            if (!result.IsError && values.AsSpan(0, set.Count).ContainsAnyExceptInRange((ushort)0, (ushort)SemaphoreSet.MaxValue))
                result = Errno.ERANGE;
        }
        if (!result.IsError)
        {
            lock (set.Lock)
                result = set.IsRemoved ? Errno.EIDRM : ValuesLocked(task, set, number, command, (int)argument, values);
        }
        if (!result.IsError && command == GETALL)
            result = task.Mm.CopyOut(new UserPtr(argument), MemoryMarshal.AsBytes(values.AsSpan(0, set.Count)));
        if (values is not null)
            ArrayPool<ushort>.Shared.Return(values);
        return result;
    }

    private static SysResult ValuesLocked(Task task, SemaphoreSet set, int number, int command, int value, ushort[]? values)
    {
        switch (command)
        {
            case GETALL:
                set.Values.CopyTo(values!, 0);
                return 0;
            case GETVAL:
                return (int)set.Values[number];
            case GETPID:
                return set.PidOf(number);
            case GETNCNT or GETZCNT:
                return set.CountWaiters(number, command == GETZCNT);
            default:
                if (values is null)
                    set.Set(number, value, task.Group.Id);
                for (int i = 0; values is not null && i < set.Count; i++)
                    set.Set(i, values[i], task.Group.Id);
                ForgetUndos(task, set, values is null ? number : -1);
                set.ChangeTime = IpcClock.Seconds;
                set.WakeReady();
                return 0;
        }
    }

    private static SysResult Change(Task task, SemaphoreSets all, int id, int command, in IpcPermissions wanted)
    {
        lock (all.Table.Lock)
        {
            SemaphoreSet? set = all.Table.Find(id);
            if (set is null)
                return Errno.EINVAL;
            Errno error = set.CheckOwner(task.Credentials);
            if (error != Errno.OK)
                return error;
            lock (set.Lock)
            {
                if (command == IpcFlags.IPC_SET)
                    return set.Update(in wanted);
                all.Table.Remove(set);
                all.Total -= set.Count;
                ForgetUndos(task, set, -1);
                set.WakeRemoved();
                return 0;
            }
        }
    }

    private static void ForgetUndos(Task task, SemaphoreSet set, int number)
    {
        foreach (ThreadGroup group in task.Sentry.Tasks.GetGroups())
            group.KnownSemaphoreUndo?.Forget(set, number);
    }
}
