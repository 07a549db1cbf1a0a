using System.Runtime.InteropServices;

namespace Moat.Kernel.Pipes;

/// <summary>
/// 4 KiB of native memory in a pipe, counted because tee(2) and splice(2) share it between pipes. Pages are recycled:
/// moving data through pipes allocates nothing once warm.
/// </summary>
internal sealed unsafe class PipePage
{
    /// <summary>Bytes in a page.</summary>
    public const int Size = 4096;

    /// <summary>Pages that the pool keeps: 1 MiB.</summary>
    private const int PoolLimit = 256;

    private static readonly Lock s_lock = new();
    private static PipePage? s_free;
    private static int s_freeCount, s_live;

    private readonly byte* _data;
    private PipePage? _next;
    private int _references;

    // SAFETY: the block is this object's own until Drop frees it, which only happens with no reference left.
    private PipePage() => _data = (byte*)NativeMemory.AlignedAlloc(Size, 64);

    /// <summary>The first byte.</summary>
    public byte* Data => _data;

    /// <summary>True while one pipe alone holds it, and may append to it.</summary>
    public bool IsExclusive => Volatile.Read(ref _references) == 1;

    /// <summary>What pipes need at least to work at all.</summary>
    public const ulong LeastLimit = 256;

    /// <summary>Most pages in use at a time: half of the memory that the sandbox may have, at most 1 GiB.</summary>
    public static int Limit { get; set; } = 1 << 18;

    /// <summary>A page with one reference, its contents undefined; null beyond the limit (ENOMEM).</summary>
    public static PipePage? Take()
    {
        PipePage? page;
        lock (s_lock)
        {
            if (s_live >= Limit)
                return null;
            s_live++;
            page = s_free;
            if (page is not null)
            {
                s_free = page._next;
                s_freeCount--;
            }
        }
        page ??= new PipePage();
        page._next = null;
        page._references = 1;
        return page;
    }

    /// <summary>One holder more.</summary>
    public void Share() => Interlocked.Increment(ref _references);

    /// <summary>One holder less; the last one returns the page to the pool.</summary>
    public void Drop()
    {
        if (Interlocked.Decrement(ref _references) != 0)
            return;
        lock (s_lock)
        {
            s_live--;
            if (s_freeCount < PoolLimit)
            {
                _next = s_free;
                s_free = this;
                s_freeCount++;
                return;
            }
        }
        NativeMemory.AlignedFree(_data); // SAFETY: nobody holds the page, and this object is not used again.
    }
}

/// <summary>What a slot of a pipe is, besides bytes.</summary>
[Flags]
internal enum PipeBufferFlags
{
    None = 0,

    /// <summary>Later writes may append.</summary>
    CanMerge = 1,

    /// <summary>A packet of an O_DIRECT write: one read takes no more than it.</summary>
    Packet = 2,
}

/// <summary>A slot of a pipe: part of a page.</summary>
internal struct PipeBuffer
{
    public PipePage? Page;
    public int Offset, Length;
    public PipeBufferFlags Flags;
}
