using Moat.Kernel.Memory;

namespace Moat.Kernel.FileSystems.Tmp;

internal partial class TmpRegular
{
    private FileMappers? _mappers;
    private long _mapped;
    private Seals _seals = Seals.F_SEAL_SEAL;
    private long _writableBytes;

    /// <summary>What mmap(2) asks for: the pages themselves. Holes get pages, as a shared mapping's first touch would.</summary>
    internal Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        _data.EnterWrite();
        ulong page = offset >> PageShift, end = ((ulong)_size + PageMask) >> PageShift;
        Errno error = Errno.ENXIO;
        if (page < end)
        {
            error = Provide(page, Math.Min((length + PageMask) >> PageShift, end - page), out ulong run, out ulong memory, out _, MemoryNeed.Unlikely);
            if (error == Errno.OK)
            {
                // Pages that happen to follow each other in memory are one piece.
                ulong all = _pages.Run(page, Math.Min((length + PageMask) >> PageShift, end - page), out _);
                backing = new Backing { HostFd = -1, Offset = memory, Length = Math.Max(run, all) << PageShift };
            }
        }
        _data.ExitWrite();
        return error == Errno.ENOSPC ? Errno.ENOMEM : error;
    }

    /// <summary>Pages that are there in a range of bytes; length 0: to the end.</summary>
    internal ulong CountPages(ulong offset, ulong length)
    {
        ulong found = 0, page = offset >> PageShift;
        ulong end = length == 0 || offset + length < offset ? ulong.MaxValue >> PageShift : (offset + length + PageMask) >> PageShift;
        _data.EnterRead();
        end = Math.Min(end, ((ulong)_size + PageMask) >> PageShift);
        while (page < end && _pages.NextAllocated(ref page, end))
        {
            ulong run = Math.Max(1, _pages.Run(page, end - page, out _));
            found += run;
            page += run;
        }
        _data.ExitRead();
        return found;
    }

    /// <summary>The address spaces that show the pages.</summary>
    internal FileMappers Mappers => LazyInitializer.EnsureInitialized(ref _mappers);

    internal void AddMapping(ulong length) => Interlocked.Add(ref _mapped, (long)length);

    /// <summary>Bytes of shared mappings that can write.</summary>
    internal void AddWritable(long length) => Interlocked.Add(ref _writableBytes, length);

    internal void RemoveMapping(ulong length)
    {
        if (Interlocked.Add(ref _mapped, -(long)length) != 0)
            return;
        // What truncation left for the mappings goes now.
        _data.EnterWrite();
        if (Volatile.Read(ref _mapped) == 0)
            FreePages(((ulong)_size + PageMask) >> PageShift, LastPage);
        _data.ExitWrite();
        Unused();
    }
}
