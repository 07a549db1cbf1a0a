using Moat.Kernel.Memory;

namespace Moat.Kernel.Ipc;

/// <summary>A segment of System V shared memory: memory-file bytes and who has attached them. Guarded by the table's lock.</summary>
internal sealed class SharedSegment(SharedSegments owner, ulong offset, ulong size) : IpcObject
{
    /// <summary>In the mode: it goes with its last attachment.</summary>
    public const uint SHM_DEST = 0x200;

    /// <summary>In the mode: SHM_LOCK.</summary>
    public const uint SHM_LOCKED = 0x400;

    private readonly List<SharedAttachment> _attachments = [];

    /// <summary>Bytes, as asked for.</summary>
    public ulong Size => size;

    /// <summary>Bytes in whole pages.</summary>
    public ulong Length => MemoryManager.PageUp(size);

    /// <summary>Where it lies in the memory file.</summary>
    public ulong Offset => offset;

    public long AttachTime { get; set; }

    public long DetachTime { get; set; }

    public int CreatorPid { get; init; }

    public int LastPid { get; set; }

    /// <summary>Attachments, each address space counted.</summary>
    public int AttachCount => _attachments.Sum(static a => a.Mappers.Count);

    /// <summary>True when nobody has it attached or is about to.</summary>
    public bool IsUnused => _attachments.Count == 0;

    internal void Add(SharedAttachment attachment) => _attachments.Add(attachment);

    /// <summary>One attachment less, for good; whoever calls holds a memory manager's lock, or none.</summary>
    internal void Detached(SharedAttachment attachment, int pid)
    {
        lock (owner.Table.Lock)
        {
            _attachments.Remove(attachment);
            if (pid != 0)
                LastPid = pid;
            DetachTime = IpcClock.Seconds;
            if ((Mode & SHM_DEST) != 0 && IsUnused && !IsRemoved)
                owner.Destroy(this);
        }
    }
}

/// <summary>
/// What one shmat(2) maps; fork(2) gives the child a share in it. Its pieces may be unmapped one by one, and it ends with the last.
/// </summary>
internal sealed class SharedAttachment(SharedSegment segment) : IMappable
{
    private long _mapped;

    public SharedSegment Segment { get; } = segment;

    public FileMappers Mappers { get; } = new();

    public string MapName { get; } = $"/SYSV{segment.Key:x8} (deleted)";

    public ulong MapDevice => 1;

    public ulong MapInode => (ulong)Segment.Id;

    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        if (offset >= Segment.Length)
            return Errno.ENXIO;
        backing = new Backing { HostFd = -1, Offset = Segment.Offset + offset, Length = Math.Min(length, Segment.Length - offset) };
        return Errno.OK;
    }

    public void AddMapping(ulong offset, ulong length) => Interlocked.Add(ref _mapped, (long)length);

    public void RemoveMapping(ulong offset, ulong length)
    {
        if (Interlocked.Add(ref _mapped, -(long)length) == 0)
            Segment.Detached(this, Tasks.Task.Current?.Group.Id ?? 0);
    }

    /// <summary>It was not mapped after all.</summary>
    public void Abandon()
    {
        if (Interlocked.Read(ref _mapped) == 0)
            Segment.Detached(this, 0);
    }
}

/// <summary>All segments of a sandbox.</summary>
internal sealed class SharedSegments(FrameAllocator frames)
{
    /// <summary>SHMMNI, SHMMIN.</summary>
    public const int SHMMNI = 4096, SHMMIN = 1;

    /// <summary>SHMMAX, bytes, and SHMALL, pages: no limit but memory.</summary>
    public const ulong SHMMAX = ulong.MaxValue - (1UL << 24), SHMALL = SHMMAX;

    public IpcTable<SharedSegment> Table { get; } = new(SHMMNI);

    /// <summary>Pages of all segments.</summary>
    public ulong Pages { get; private set; }

    /// <summary>Makes a segment; under the table's lock. EINVAL for sizes, ENOSPC, ENOMEM.</summary>
    public Errno Create(ulong size, int pid, out SharedSegment? segment)
    {
        segment = null;
        if (size is < SHMMIN or > SHMMAX)
            return Errno.EINVAL;
        ulong length = MemoryManager.PageUp(size);
        if (frames.Allocate(length, out ulong offset) != Errno.OK)
            return Errno.ENOMEM;
        segment = new SharedSegment(this, offset, size) { CreatorPid = pid };
        Pages += length / MemoryManager.PageSize;
        return Errno.OK;
    }

    /// <summary>Frees a segment that nobody has attached; under the table's lock.</summary>
    internal void Destroy(SharedSegment segment)
    {
        Table.Remove(segment);
        frames.Free(segment.Offset, segment.Length);
        Pages -= segment.Length / MemoryManager.PageSize;
    }
}
