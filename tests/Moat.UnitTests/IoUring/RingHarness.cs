using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;
using Xunit;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.UnitTests.IoUring;

/// <summary>A ring driven in process: this class is the guest, it writes SQEs and reads CQEs through the memory file.</summary>
internal sealed unsafe class RingHarness : IDisposable
{
    private static readonly FakePlatform s_platform = new();

    private readonly uint* _sqHead, _sqTail, _cqHead, _cqTail, _array;
    private readonly IoUringSqe* _sqes;
    private readonly IoUringCqe* _cqes;
    private uint _tail;

    public RingHarness(uint entries = 8, IoUringSetup flags = 0, uint cqEntries = 0)
    {
        Params.flags = (uint)flags | (cqEntries != 0 ? (uint)IoUringSetup.CQSIZE : 0);
        Params.cq_entries = cqEntries;
        Task = NewTask(Sentry);
        Assert.Equal(Errno.OK, Ring.Create(Task, entries, ref Params, out Ring? ring));
        Ring = ring!;
        byte* sq = Zone(IoUringConst.IORING_OFF_SQ_RING), cq = Zone(IoUringConst.IORING_OFF_CQ_RING);
        _sqHead = (uint*)(sq + Params.sq_off.head);
        _sqTail = (uint*)(sq + Params.sq_off.tail);
        SqFlags = (uint*)(sq + Params.sq_off.flags);
        Dropped = (uint*)(sq + Params.sq_off.dropped);
        _array = (flags & IoUringSetup.NO_SQARRAY) != 0 ? null : (uint*)(sq + Params.sq_off.array);
        _cqHead = (uint*)(cq + Params.cq_off.head);
        _cqTail = (uint*)(cq + Params.cq_off.tail);
        Overflow = (uint*)(cq + Params.cq_off.overflow);
        CqFlags = (uint*)(cq + Params.cq_off.flags);
        _cqes = (IoUringCqe*)(cq + Params.cq_off.cqes);
        _sqes = (IoUringSqe*)Zone(IoUringConst.IORING_OFF_SQES);
    }

    public static Sentry Sentry { get; } = new(s_platform);

    public IoUringParams Params;

    public Ring Ring { get; }

    public Task Task { get; }

    public uint* SqFlags { get; }

    public uint* Dropped { get; }

    public uint* Overflow { get; }

    public uint* CqFlags { get; }

    public uint SqHead => Volatile.Read(ref *_sqHead);

    public uint Waiting => Volatile.Read(ref *_cqTail) - *_cqHead;

    public static Task NewTask(Sentry sentry, Task? process = null)
    {
        int id = sentry.Tasks.Allocate();
        ThreadGroup group = process?.Group ?? new ThreadGroup(sentry, id);
        MemoryManager mm = process?.Mm ?? new MemoryManager(sentry, sentry.Platform.CreateAddressSpace());
        return new Task(group, id, mm, process?.Files ?? new FdTable(), process?.Fs ?? new FsContext(), new Credentials())
        {
            Thread = mm.CreateThread(),
        };
    }

    /// <summary>Fills the next SQE; it is published with the next <see cref="Submit"/>.</summary>
    public ref IoUringSqe Next(IoUringOp op, ulong userData, SqeFlags flags = 0, int fd = -1)
    {
        uint index = _tail++ & (Params.sq_entries - 1);
        if (_array != null)
            _array[index] = index;
        _sqes[index] = new IoUringSqe { opcode = (byte)op, flags = (byte)flags, fd = fd, user_data = userData };
        return ref _sqes[index];
    }

    /// <summary>Writes the index array's word for the SQE written last.</summary>
    public void SetIndex(uint value) => _array[(_tail - 1) & (Params.sq_entries - 1)] = value;

    public void Publish(uint? tail = null) => Volatile.Write(ref *_sqTail, tail ?? _tail);

    public void SetCqHead(uint head) => Volatile.Write(ref *_cqHead, head);

    public long Submit(uint count, uint wait = 0)
    {
        Publish();
        return Ring.Enter(Task, count, wait, wait != 0 ? IoUringEnter.GETEVENTS : 0, 0, 8).Value;
    }

    public long Wait(uint count, Task? task = null) => Ring.Enter(task ?? Task, 0, count, IoUringEnter.GETEVENTS, 0, 8).Value;

    public long Register(IoUringRegisterOp op, ulong argument, uint count)
        => Ring.Register(Task, op, new UserPtr(argument), count).Value;

    public bool TryTake(out IoUringCqe cqe)
    {
        cqe = default;
        uint head = *_cqHead;
        if (head == Volatile.Read(ref *_cqTail))
            return false;
        cqe = _cqes[head & (Params.cq_entries - 1)];
        Volatile.Write(ref *_cqHead, head + 1);
        return true;
    }

    /// <summary>All CQEs that are there, as "user_data:res" words, with the flags in hexadecimal when there are any.</summary>
    public string Take()
    {
        List<string> all = [];
        while (TryTake(out IoUringCqe cqe))
            all.Add($"{cqe.user_data}:{cqe.res}" + (cqe.flags != 0 ? $":{cqe.flags:x}" : ""));
        return string.Join(' ', all);
    }

    /// <summary>Waits for CQEs that come by themselves.</summary>
    public string Take(uint count)
    {
        Assert.True(SpinWait.SpinUntil(() => Waiting >= count, TimeSpan.FromSeconds(10)), $"{Waiting} of {count} completions");
        return Take();
    }

    /// <summary>Maps guest memory and returns its guest address.</summary>
    public ulong Map(ulong bytes)
    {
        SysResult r = Task.Mm.Map(new MapRequest
        {
            Length = bytes,
            Access = MapAccess.Read | MapAccess.Write,
            MaxAccess = MapRequest.All,
        });
        Assert.False(r.IsError);
        return (ulong)r.Value;
    }

    /// <summary>Maps memory that holds one value.</summary>
    public ulong MapValue<T>(in T value)
        where T : unmanaged
    {
        ulong address = Map(4096);
        Assert.Equal(Errno.OK, Task.Mm.Write(new UserPtr<T>(address), value));
        return address;
    }

    /// <summary>Installs a file in the task's table.</summary>
    public int Install(FileDescription file) => (int)Task.Files.Install(file, closeOnExec: false).Value;

    public void Dispose()
    {
        long before = Ring.LiveRequests;
        Task.Files.DropUser();
        Ring.DropReference();
        Assert.True(SpinWait.SpinUntil(() => !Sentry.GetRings().Contains(Ring), TimeSpan.FromSeconds(10)), "the ring does not end");
        Assert.True(Ring.LiveRequests <= before);
        Task.Mm.DropUser();
    }

    private byte* Zone(ulong offset)
    {
        Assert.Equal(Errno.OK, Ring.Resolve(offset, 4096, out Backing backing));
        return Sentry.Frames.Pointer(backing.Offset);
    }
}
