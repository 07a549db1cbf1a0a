using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

/// <summary>
/// What the rings of each user hold of locked memory: RLIMIT_MEMLOCK of whoever asks for more bounds the sum over all processes of the user.
/// </summary>
internal sealed class LockedMemory
{
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, ulong> _bytes = [];

    /// <summary>The account for a task's rings; null with CAP_IPC_LOCK: nothing is counted.</summary>
    public LockedAccount? For(Task task)
        => task.Credentials.Has(Capability.CAP_IPC_LOCK) ? null : new LockedAccount(this, task.Credentials.Uid);

    /// <summary>Counts whole pages more, up to a limit. ENOMEM.</summary>
    public Errno Charge(uint user, ulong bytes, ulong limit)
    {
        lock (_lock)
        {
            ulong sum = _bytes.GetValueOrDefault(user) + bytes;
            if (sum > (limit & ~(MemoryManager.PageSize - 1UL)))
                return Errno.ENOMEM;
            _bytes[user] = sum;
        }
        return Errno.OK;
    }

    /// <summary>Counts so much less.</summary>
    public void Uncharge(uint user, ulong bytes)
    {
        lock (_lock)
        {
            ulong rest = _bytes.GetValueOrDefault(user) - bytes;
            if (rest == 0)
                _bytes.Remove(user);
            else
                _bytes[user] = rest;
        }
    }
}

/// <summary>Whose locked memory a ring's is: that of the user who made it.</summary>
internal sealed class LockedAccount(LockedMemory memory, uint user)
{
    /// <summary>Counts what a task has asked for. ENOMEM beyond its RLIMIT_MEMLOCK.</summary>
    public Errno Charge(Task task, ulong bytes)
        => memory.Charge(user, MemoryManager.PageUp(bytes), task.Group.Limits.Get(Resource.RLIMIT_MEMLOCK).Current);

    /// <summary>Gives it back.</summary>
    public void Uncharge(ulong bytes) => memory.Uncharge(user, MemoryManager.PageUp(bytes));
}
