using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>
/// Host descriptors that one thread waits for together (poll(2)), besides its own wake token. Belongs to that thread and is reused;
/// nothing is allocated once it has grown.
/// </summary>
public sealed unsafe class HostPollList : IDisposable
{
    // struct pollfd: int fd; short events, revents. The first entry is the waiting thread's bell.
    private ulong* _entries;
    private int _capacity;

    /// <summary>How many descriptors there are.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a descriptor and what to look for (poll(2) bits); returns its place.</summary>
    public int Add(int fd, uint events)
    {
        if (Count + 1 >= _capacity)
        {
            _capacity = Math.Max(8, _capacity * 2);
            _entries = (ulong*)NativeMemory.Realloc(_entries, (nuint)(_capacity * sizeof(ulong)));
        }
        // SAFETY: Count + 1 lies within the capacity.
        _entries[Count + 1] = (uint)fd | ((ulong)(ushort)events << 32);
        return Count++;
    }

    /// <summary>What was ready of an entry at the last look.</summary>
    public uint Ready(int index) => (uint)(_entries[index + 1] >> 48);

    /// <summary>Forgets all descriptors.</summary>
    public void Clear() => Count = 0;

    /// <summary>Looks without waiting.</summary>
    public void Look()
    {
        if (Count > 0)
            HostSyscall.Call(7 /* poll */, (long)(_entries + 1), Count, 0);
    }

    /// <summary>
    /// Waits until a descriptor or <paramref name="bell"/> is readable, at most until <paramref name="deadline"/> (host
    /// CLOCK_MONOTONIC, nanoseconds; <see cref="long.MaxValue"/>: none). True when something is.
    /// </summary>
    internal bool Wait(HostEvent bell, long deadline)
    {
        const ulong POLLIN = 1;
        long* timeout = stackalloc long[2];
        if (deadline != long.MaxValue)
        {
            long left = Math.Max(0, deadline - HostTime.Get(1 /* CLOCK_MONOTONIC */));
            timeout[0] = left / 1_000_000_000;
            timeout[1] = left % 1_000_000_000;
        }
        // SAFETY: an empty list has no room for the bell yet; all else is in range.
        if (_entries is null)
        {
            Add(-1, 0);
            Clear();
        }
        _entries[0] = (uint)bell.Fd | (POLLIN << 32);
        long r = HostSyscall.Call(271 /* ppoll */, (long)_entries, Count + 1, deadline == long.MaxValue ? 0 : (long)timeout, 0, 8);
        if ((_entries[0] >> 48) != 0)
            bell.Clear();
        return r > 0;
    }

    /// <summary>Frees the entries; the list may be used again.</summary>
    public void Dispose()
    {
        NativeMemory.Free(_entries);
        _entries = null;
        _capacity = Count = 0;
    }
}
