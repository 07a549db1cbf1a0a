using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Host;

namespace Moat.Kernel.Memory;

/// <summary>
/// Guest memory as the sentry reaches it: a list of host spans with a cursor. Made by the memory manager's translation,
/// consumed by files: handed to host calls as struct iovec as it is, or copied. One belongs to one task or request and is
/// reused; nothing is allocated once it has grown.
/// </summary>
internal sealed unsafe class IoVector : IDisposable
{
    private IoVec* _items;
    private int _capacity, _count, _index;

    /// <summary>Some span is backed by a host file that may be truncated: managed code must not touch it.</summary>
    public bool MayFault { get; set; }

    /// <summary>The guest gave more memory than this, but what follows is not accessible: whoever would need it answers EFAULT.</summary>
    public bool IsCut { get; set; }

    /// <summary>
    /// The memory manager's lock was left during a translation, so that spans got before may be somebody else's by now: clear, and
    /// translate all of it again.
    /// </summary>
    public bool IsStale { get; set; }

    /// <summary>None of what the guest gave is accessible: <see cref="AddInaccessible"/>.</summary>
    public bool IsInaccessible { get; private set; }

    /// <summary>Bytes not yet consumed.</summary>
    public ulong Remaining { get; private set; }

    /// <summary>Spans not yet consumed, for host calls; valid until the next change.</summary>
    public IoVec* Items => _items + _index;

    /// <summary>How many spans <see cref="Items"/> has.</summary>
    public int Count => _count - _index;

    /// <summary>Forgets everything, keeps the room.</summary>
    public void Clear()
    {
        _count = _index = 0;
        Remaining = 0;
        MayFault = IsCut = IsStale = IsInaccessible = false;
    }

    /// <summary>Appends a host span; neighbours merge.</summary>
    public void Add(byte* host, ulong length)
    {
        if (length == 0)
            return;
        Remaining += length;
        // SAFETY: _items has _capacity entries; indices stay below it.
        if (_count > _index && _items[_count - 1].Base + _items[_count - 1].Length == (ulong)host)
        {
            _items[_count - 1].Length += length;
            return;
        }
        if (_count == _capacity)
        {
            _capacity = _capacity == 0 ? 16 : _capacity * 2;
            _items = (IoVec*)NativeMemory.Realloc(_items, (nuint)(_capacity * sizeof(IoVec)));
        }
        _items[_count++] = new IoVec { Base = (ulong)host, Length = length };
    }

    /// <summary>
    /// Appends memory that the guest does not have. Files find out when they touch it, and not before: one that has nothing to read says so.
    /// </summary>
    public void AddInaccessible(ulong length)
    {
        if (length == 0)
            return;
        // SAFETY: nobody touches it but host calls and SafeCopy.
        Add(NoAccess.Start, Math.Min(length, NoAccess.Length));
        MayFault = IsInaccessible = true;
    }

    /// <summary>The addresses and lengths of all spans, or'ed: its low bits that are zero are aligned in all of them.</summary>
    public ulong GetAlignment()
    {
        ulong all = 0;
        // SAFETY: indices stay below _count.
        for (int i = _index; i < _count; i++)
            all |= _items[i].Base | _items[i].Length;
        return all;
    }

    /// <summary>Drops everything beyond <paramref name="bytes"/>.</summary>
    public void Truncate(ulong bytes)
    {
        if (bytes >= Remaining)
            return;
        ulong left = bytes;
        int i = _index;
        for (; i < _count && left > 0; i++)
        {
            if (_items[i].Length > left)
                _items[i].Length = left;
            left -= _items[i].Length;
        }
        _count = i;
        Remaining = bytes;
    }

    /// <summary>Moves the cursor past <paramref name="bytes"/> consumed ones.</summary>
    public void Advance(ulong bytes)
    {
        Remaining -= bytes;
        while (bytes > 0)
        {
            IoVec* item = _items + _index;
            if (bytes < item->Length)
            {
                item->Base += bytes;
                item->Length -= bytes;
                return;
            }
            bytes -= item->Length;
            _index++;
        }
    }

    /// <summary>Copies from host memory into the spans and advances. Returns bytes copied: fewer when a span faults.</summary>
    public ulong CopyFrom(byte* source, ulong length)
    {
        ulong done = 0;
        length = Math.Min(length, Remaining);
        while (done < length)
        {
            IoVec* item = _items + _index;
            ulong n = Math.Min(item->Length, length - done);
            ulong left = MoveBytes((byte*)item->Base, source + done, n);
            Advance(n - left);
            done += n - left;
            if (left != 0)
                break;
        }
        return done;
    }

    /// <summary>Copies a managed span into the spans and advances. Returns bytes copied.</summary>
    public int CopyFrom(ReadOnlySpan<byte> source)
    {
        fixed (byte* p = source)
            return (int)CopyFrom(p, (ulong)source.Length);
    }

    /// <summary>Copies from the spans into host memory and advances. Returns bytes copied: fewer when a span faults.</summary>
    public ulong CopyTo(byte* destination, ulong length)
    {
        ulong done = 0;
        length = Math.Min(length, Remaining);
        while (done < length)
        {
            IoVec* item = _items + _index;
            ulong n = Math.Min(item->Length, length - done);
            ulong left = MoveBytes(destination + done, (byte*)item->Base, n);
            Advance(n - left);
            done += n - left;
            if (left != 0)
                break;
        }
        return done;
    }

    /// <summary>Copies from the spans into a managed span and advances. Returns bytes copied.</summary>
    public int CopyTo(Span<byte> destination)
    {
        fixed (byte* p = destination)
            return (int)CopyTo(p, (ulong)destination.Length);
    }

    /// <summary>Writes zeroes and advances. Returns bytes written.</summary>
    public ulong Zero(ulong length)
    {
        length = Math.Min(length, Remaining);
        ulong done = 0;
        while (done < length)
        {
            IoVec* item = _items + _index;
            ulong n = Math.Min(item->Length, length - done);
            // SAFETY: writable guest memory is memory-file memory, or a shared host mapping, which MoveBytes below would
            // need; zeroing goes through it only when the vector may fault.
            NativeMemory.Clear((void*)item->Base, (nuint)n);
            Advance(n);
            done += n;
        }
        return done;
    }

    public void Dispose()
    {
        NativeMemory.Free(_items);
        _items = null;
        _capacity = _count = _index = 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong MoveBytes(byte* to, byte* from, ulong n)
    {
        if (MayFault)
            return SafeCopy.Copy(to, from, (nuint)n);
        // SAFETY: without MayFault every span is memory-file memory, which never faults.
        Buffer.MemoryCopy(from, to, n, n);
        return 0;
    }
}
