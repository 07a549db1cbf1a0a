using System.Runtime.InteropServices;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Sockets.Inet.Loopback;

/// <summary>Bytes on their way to one socket: a ring that grows up to what the receive buffer holds. Locks itself.</summary>
internal sealed unsafe class StreamBuffer : IDisposable
{
    private const int FirstSize = 16384;

    private readonly Lock _lock = new();
    private byte* _bytes;
    private int _size, _start, _used;
    private bool _closed;

    /// <summary>Most bytes it holds.</summary>
    public int Limit { get; set; } = 131072;

    /// <summary>Bytes there are. A hint.</summary>
    public int Used => Volatile.Read(ref _used);

    /// <summary>Enough room that waiting senders are worth a wake.</summary>
    public bool HasRoom => Used <= Limit - (Limit / 3);

    /// <summary>Appends as much as fits of the spans. Returns bytes; 0 when full or closed; <paramref name="faulted"/>: not readable.</summary>
    public int Write(IoVector from, out bool faulted)
    {
        faulted = false;
        lock (_lock)
        {
            int wanted = (int)Math.Min(from.Remaining, (ulong)Math.Max(0, Limit - _used)), done = 0;
            if (_closed || wanted == 0 || !Grow(_used + wanted))
                return 0;
            while (done < wanted)
            {
                int at = (_start + _used) % _size, piece = Math.Min(wanted - done, _size - at);
                // SAFETY: at + piece lies within the ring.
                int copied = (int)from.CopyTo(_bytes + at, (ulong)piece);
                Volatile.Write(ref _used, _used + copied);
                done += copied;
                faulted = copied < piece;
                if (faulted)
                    break;
            }
            return done;
        }
    }

    /// <summary>
    /// Takes bytes, from <paramref name="skip"/> on; with <paramref name="peek"/> they stay. Returns bytes.
    /// <paramref name="madeRoom"/>: from here on senders have room who had not.
    /// </summary>
    public int Read(IoVector to, bool peek, int skip, out bool faulted, out bool madeRoom)
    {
        faulted = madeRoom = false;
        lock (_lock)
        {
            int wanted = (int)Math.Min(to.Remaining, (ulong)Math.Max(0, _used - skip)), done = 0;
            while (done < wanted)
            {
                int at = (_start + skip + done) % _size, piece = Math.Min(wanted - done, _size - at);
                // SAFETY: as above.
                int copied = (int)to.CopyFrom(_bytes + at, (ulong)piece);
                done += copied;
                faulted = copied < piece;
                if (faulted)
                    break;
            }
            if (!peek)
                madeRoom = Drop(done);
            return done;
        }
    }

    /// <summary>Throws bytes away; returns how many.</summary>
    public int Discard(ulong most, out bool madeRoom)
    {
        lock (_lock)
        {
            int n = (int)Math.Min(most, (ulong)_used);
            madeRoom = Drop(n);
            return n;
        }
    }

    /// <summary>Nothing comes in any more, and what is there goes. Returns the bytes that nobody has read.</summary>
    public int Close()
    {
        lock (_lock)
        {
            int left = _used;
            _closed = true;
            NativeMemory.Free(_bytes);
            _bytes = null;
            Volatile.Write(ref _used, 0);
            _size = _start = 0;
            return left;
        }
    }

    public void Dispose() => Close();

    /// <summary>True when there is room now and was not. Under the lock: a sender that found none is seen here.</summary>
    private bool Drop(int bytes)
    {
        if (bytes == 0)
            return false;
        bool hadRoom = HasRoom;
        Volatile.Write(ref _used, _used - bytes);
        _start = _used == 0 ? 0 : (_start + bytes) % _size;
        return !hadRoom && HasRoom;
    }

    private bool Grow(int needed)
    {
        if (needed <= _size)
            return true;
        int size = Math.Max(FirstSize, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)needed));
        byte* larger = (byte*)NativeMemory.Alloc((nuint)size);
        int first = Math.Min(_used, _size - _start);
        // SAFETY: both pieces lie in the old ring, and fit into the larger one.
        Buffer.MemoryCopy(_bytes + _start, larger, size, first);
        Buffer.MemoryCopy(_bytes, larger + first, size - first, _used - first);
        NativeMemory.Free(_bytes);
        _bytes = larger;
        _size = size;
        _start = 0;
        return true;
    }
}
