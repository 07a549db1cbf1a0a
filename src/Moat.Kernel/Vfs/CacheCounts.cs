namespace Moat.Kernel.Vfs;

/// <summary>struct cachestat: pages of a file that are in memory, and what of them.</summary>
internal struct CacheCounts
{
    public ulong Cached, Dirty, Writeback, Evicted, RecentlyEvicted;
}

/// <summary>struct cachestat_range: bytes; length 0: to the end.</summary>
internal struct CacheRange
{
    public ulong Offset, Length;
}
