using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>
/// The packets that wait in a socket, oldest first. Readers take <see cref="ReadLock"/> for as long as they look at packets; they alone take
/// packets out. The queue's own lock is held for the links only, never over a copy.
/// </summary>
internal sealed class UnixQueue
{
    /// <summary>Sizes of packets that are kept for the next sender, and how many of each.</summary>
    private static readonly int[] s_sizes = [512, 4096, 40960];
    private static readonly int[] s_kept = [16, 8, 4];

    private readonly Lock _lock = new();
    private readonly UnixPacket?[] _free = new UnixPacket?[s_sizes.Length];
    private readonly int[] _freeCount = new int[s_sizes.Length];
    private UnixPacket? _head, _tail, _urgent;
    private int _count;
    private long _bytes;
    private bool _closed;

    /// <summary>Serializes readers; taken before the queue's lock.</summary>
    public Lock ReadLock { get; } = new();

    /// <summary>Packets in the queue.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Bytes that can be read.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>The oldest packet. Under <see cref="ReadLock"/>, which keeps it and its successors in place.</summary>
    public UnixPacket? First => Volatile.Read(ref _head);

    /// <summary>The last byte that was sent with MSG_OOB, as long as nobody has read it or read past it.</summary>
    public UnixPacket? Urgent => Volatile.Read(ref _urgent);

    /// <summary>Something is there that nobody has read. Under <see cref="ReadLock"/>.</summary>
    public bool HasUnread => First is { } first && (first.Available > 0 || !first.IsUrgent || first.Next is not null);

    /// <summary>True when the next byte comes behind the mark, which is where an urgent byte is or was (SIOCATMARK).</summary>
    public bool IsAtMark
    {
        get
        {
            lock (ReadLock)
            {
                UnixPacket? first = First, urgent = Urgent;
                return first is not null && (first == urgent || (first.Available == 0 && (urgent is null || first.Next == urgent)));
            }
        }
    }

    /// <summary>A packet with room for <paramref name="length"/> bytes, for a sender to fill.</summary>
    public UnixPacket Rent(int length)
    {
        int size = SizeClass(length);
        if (size < 0)
            return new UnixPacket(length);
        lock (_lock)
        {
            if (_free[size] is { } packet)
            {
                _free[size] = packet.Next;
                _freeCount[size]--;
                packet.Next = null;
                return packet;
            }
        }
        return new UnixPacket(s_sizes[size]);
    }

    /// <summary>Gives a packet back that carries nothing any more.</summary>
    public void Return(UnixPacket packet)
    {
        packet.Clear();
        int size = SizeClass(packet.Capacity);
        lock (_lock)
        {
            if (size >= 0 && packet.Capacity == s_sizes[size] && _freeCount[size] < s_kept[size] && !_closed)
            {
                packet.Next = _free[size];
                _free[size] = packet;
                _freeCount[size]++;
                return;
            }
        }
        packet.Free();
    }

    /// <summary>Puts a packet behind the others. False: nobody will read it.</summary>
    public bool TryPush(UnixPacket packet)
    {
        lock (_lock)
        {
            if (_closed)
                return false;
            if (_tail is null)
                Volatile.Write(ref _head, packet);
            else
                Volatile.Write(ref _tail.Next, packet);
            _tail = packet;
            if (packet.IsUrgent)
                Volatile.Write(ref _urgent, packet);
            Volatile.Write(ref _count, _count + 1);
            Volatile.Write(ref _bytes, _bytes + packet.Length);
            return true;
        }
    }

    /// <summary>Bytes of the oldest packet have been read. Under <see cref="ReadLock"/>.</summary>
    public void Consume(UnixPacket packet, int bytes)
    {
        lock (_lock)
        {
            packet.Offset += bytes;
            Volatile.Write(ref _bytes, _bytes - bytes);
        }
    }

    /// <summary>The urgent byte becomes an ordinary one, unless another has come. Under <see cref="ReadLock"/>.</summary>
    public void ForgetUrgent(UnixPacket packet) => Interlocked.CompareExchange(ref _urgent, null, packet);

    /// <summary>The packet in front of another one. Under <see cref="ReadLock"/>.</summary>
    public UnixPacket? FindBefore(UnixPacket packet)
    {
        UnixPacket? before = null;
        for (UnixPacket? p = First; p != packet; p = p!.Next)
            before = p;
        return before;
    }

    /// <summary>
    /// Takes a packet out, wherever it is. <paramref name="uncount"/>: bytes that nobody reads any more. Under <see cref="ReadLock"/>.
    /// </summary>
    public void Remove(UnixPacket packet, int uncount)
    {
        lock (_lock)
        {
            UnixPacket? before = FindBefore(packet);
            if (before is null)
                Volatile.Write(ref _head, packet.Next);
            else
                Volatile.Write(ref before.Next, packet.Next);
            if (_tail == packet)
                _tail = before;
            Volatile.Write(ref _count, _count - 1);
            Volatile.Write(ref _bytes, _bytes - uncount);
            ForgetUrgent(packet);
        }
    }

    /// <summary>No packet is put in any more; those that are there stay.</summary>
    public void Close()
    {
        lock (_lock)
            _closed = true;
    }

    /// <summary>Takes all packets out. Under <see cref="ReadLock"/>.</summary>
    public UnixPacket? TakeAll()
    {
        lock (_lock)
        {
            UnixPacket? all = _head;
            Volatile.Write(ref _head, null);
            _tail = null;
            Volatile.Write(ref _urgent, null);
            Volatile.Write(ref _count, 0);
            Volatile.Write(ref _bytes, 0);
            return all;
        }
    }

    /// <summary>Frees the packets kept for senders; the queue is closed.</summary>
    public void FreeKept()
    {
        lock (_lock)
        {
            for (int size = 0; size < _free.Length; size++)
            {
                while (_free[size] is { } packet)
                {
                    _free[size] = packet.Next;
                    packet.Free();
                }
                _freeCount[size] = 0;
            }
        }
    }

    /// <summary>Adds the sockets that are on their way in this queue, once for each time.</summary>
    public void AddSocketsInFlight(List<UnixSocket> into)
    {
        lock (_lock)
        {
            for (UnixPacket? packet = _head; packet is not null; packet = packet.Next)
            {
                foreach (FileDescription file in packet.Rights ?? [])
                {
                    if (file is UnixSocket socket)
                        into.Add(socket);
                }
            }
        }
    }

    private static int SizeClass(int length)
    {
        for (int i = 0; i < s_sizes.Length; i++)
        {
            if (length <= s_sizes[i])
                return i;
        }
        return -1;
    }
}
