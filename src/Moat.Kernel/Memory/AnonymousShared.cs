namespace Moat.Kernel.Memory;

/// <summary>
/// Anonymous shared memory (MAP_SHARED with MAP_ANONYMOUS, or of /dev/zero): memory-file bytes that live until the last mapping of any
/// part of them is gone, as in Linux, where it is an unnamed file.
/// </summary>
internal sealed class AnonymousShared : IMappable
{
    private static long s_lastInode = 1000;

    private readonly FrameAllocator _frames;
    private readonly ulong _offset, _length;
    private long _mapped;

    private AnonymousShared(FrameAllocator frames, ulong offset, ulong length)
    {
        _frames = frames;
        _offset = offset;
        _length = length;
        MapInode = (ulong)Interlocked.Increment(ref s_lastInode);
    }

    public string MapName => "/dev/zero (deleted)";

    public ulong MapDevice => 1;

    public ulong MapInode { get; }

    /// <summary>Allocates zeroed memory. It is freed when mapped and unmapped again. ENOMEM.</summary>
    public static Errno Create(FrameAllocator frames, ulong length, ulong hint, out AnonymousShared? memory, MemoryNeed need = MemoryNeed.Likely)
    {
        memory = null;
        Errno error = frames.AllocateNear(length, hint, out ulong offset, need);
        if (error == Errno.OK)
            memory = new AnonymousShared(frames, offset, length);
        return error;
    }

    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        if (offset >= _length)
            return Errno.ENXIO;
        backing = new Backing { HostFd = -1, Offset = _offset + offset, Length = Math.Min(length, _length - offset) };
        return Errno.OK;
    }

    public void AddMapping(ulong offset, ulong length) => Interlocked.Add(ref _mapped, (long)length);

    public void RemoveMapping(ulong offset, ulong length)
    {
        if (Interlocked.Add(ref _mapped, -(long)length) == 0)
            _frames.Free(_offset, _length);
    }
}

/// <summary>
/// What /dev/zero answers when it is to be mapped: the memory manager makes anonymous memory of it. Never resolved.
/// </summary>
internal sealed class ZeroDevice : IMappable
{
    /// <summary>The only one.</summary>
    public static ZeroDevice Instance { get; } = new();

    public string MapName => "/dev/zero";

    public ulong MapDevice => 0;

    public ulong MapInode => 0;

    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        return Errno.ENXIO;
    }

    public void AddMapping(ulong offset, ulong length)
    {
    }

    public void RemoveMapping(ulong offset, ulong length)
    {
    }
}
