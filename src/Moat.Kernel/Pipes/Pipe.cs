using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Pipes;

/// <summary>
/// A pipe or FIFO (pipe(7)): a ring of slots with up to a page of bytes each, as Linux counts its capacity. Locks:
/// consumers take <see cref="ReadLock"/>, then the state lock; producers the state lock alone. The state lock is held
/// over copies to and from guest memory, never over a host call; the read lock may be, when splice(2) writes to a file.
/// Queues are woken without either.
/// </summary>
internal sealed partial class Pipe
{
    /// <summary>Slots of a new pipe: 64 KiB.</summary>
    public const int DefaultSlots = 16;

    /// <summary>Most slots that anybody gets: 64 MiB.</summary>
    private const uint MostSlots = 1 << 14;

    /// <summary>Slots of a new pipe of a user who has too many.</summary>
    public const int SmallSlots = 2;

    /// <summary>/proc/sys/fs/pipe-max-size, bytes.</summary>
    public const int MaxSize = 1 << 20;

    /// <summary>PIPE_BUF: writes up to it are atomic, bytes.</summary>
    public const int PIPE_BUF = 4096;

    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Writable = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    private readonly Lock _lock = new();
    private PipeBuffer[] _slots = new PipeBuffer[DefaultSlots];

    // Free-running slot counters; the slot is the counter modulo the ring's size, a power of two.
    private uint _head, _tail;

    // Free slots promised to splice(2) calls that are filling pages.
    private uint _reserved;

    private int _readers, _writers;

    // Whose slots they are; charged while somebody has the pipe open.
    private uint _user;

    // Opens so far: FIFO opens wait for these to move.
    private int _readerOpens, _writerOpens;

    /// <summary>Serializes consumers; taken before the state lock.</summary>
    public Lock ReadLock { get; } = new();

    /// <summary>Who waits at the read end, at the write end, and at ends opened O_RDWR.</summary>
    public WaitQueue ReadWaiters { get; } = new();

    public WaitQueue WriteWaiters { get; } = new();

    public WaitQueue BothWaiters { get; } = new();

    /// <summary>Who waits for the other end to be opened (FIFOs).</summary>
    public WaitQueue OpenWaiters { get; } = new();

    /// <summary>Inode number of an anonymous pipe; also the lock order between two pipes.</summary>
    public ulong Number { get; } = AnonymousFileSystem.NextInode();

    /// <summary>What /proc/self/fd shows.</summary>
    public string Name => $"pipe:[{Number}]";

    /// <summary>Capacity, bytes (F_GETPIPE_SZ).</summary>
    public int Capacity => Volatile.Read(ref _slots).Length * PipePage.Size;

    /// <summary>Bytes to read (FIONREAD).</summary>
    public int BytesAvailable
    {
        get
        {
            lock (_lock)
            {
                int bytes = 0;
                for (uint i = _tail; i != _head; i++)
                    bytes += Slot(i).Length;
                return bytes;
            }
        }
    }

    public int Readers => Volatile.Read(ref _readers);

    public int Writers => Volatile.Read(ref _writers);

    /// <summary>How often a read end was opened; FIFO opens for writing wait for it to move.</summary>
    public int ReaderOpens => Volatile.Read(ref _readerOpens);

    /// <summary>How often a write end was opened.</summary>
    public int WriterOpens => Volatile.Read(ref _writerOpens);

    private bool IsEmpty => Volatile.Read(ref _head) == Volatile.Read(ref _tail);

    private bool IsFull => _head - _tail + _reserved >= (uint)_slots.Length;

    /// <summary>Readiness of a read end. A FIFO whose writers have not come yet is not hung up.</summary>
    public PollEvents PollRead(bool sawWriter)
    {
        PollEvents events = IsEmpty ? PollEvents.None : Readable;
        if (Writers == 0 && sawWriter)
            events |= PollEvents.POLLHUP;
        return events;
    }

    /// <summary>Readiness of a write end.</summary>
    public PollEvents PollWrite()
    {
        PollEvents events;
        lock (_lock)
            events = IsFull ? PollEvents.None : Writable;
        if (Readers == 0)
            events |= PollEvents.POLLERR;
        return events;
    }

    /// <summary>
    /// Changes the capacity (F_SETPIPE_SZ): rounded up to a power of two of pages. Returns the new one, bytes; EINVAL, EPERM beyond
    /// <see cref="MaxSize"/> or the user's share, EBUSY when what is in the pipe needs more.
    /// </summary>
    public SysResult SetCapacity(uint bytes, Credentials who)
    {
        if (bytes > 1u << 31)
            return Errno.EINVAL;
        uint slots = System.Numerics.BitOperations.RoundUpToPowerOf2(Math.Max(1, (bytes + PipePage.Size - 1) / PipePage.Size));
        lock (_lock)
        {
            int change = (int)slots - _slots.Length;
            if (change > 0 && (ulong)slots * PipePage.Size > MaxSize && !who.Has(Capability.CAP_SYS_RESOURCE))
                return Errno.EPERM;
            if (slots > MostSlots)
                return Errno.ENOMEM;
            if (PipeAccounts.Charge(_user, change) > PipeAccounts.SoftLimit && change > 0 && !PipeAccounts.IsPrivileged(who))
            {
                PipeAccounts.Charge(_user, -change);
                return Errno.EPERM;
            }
            uint used = _head - _tail;
            if (used + _reserved > slots)
            {
                PipeAccounts.Charge(_user, -change);
                return Errno.EBUSY;
            }
            if (change != 0)
            {
                PipeBuffer[] moved = new PipeBuffer[slots];
                for (uint i = 0; i < used; i++)
                    moved[i] = Slot(_tail + i);
                Volatile.Write(ref _slots, moved);
                _tail = 0;
                _head = used;
            }
        }
        // As Linux: without saying what happened, so that watchers of errors look too.
        WriteWaiters.Wake(PollEvents.None);
        BothWaiters.Wake(PollEvents.None);
        return (int)(slots * PipePage.Size);
    }

    /// <summary>An end is opened by <paramref name="who"/>; see <see cref="Close"/>.</summary>
    public void Open(bool read, bool write, Credentials who)
    {
        lock (_lock)
        {
            if (_readers == 0 && _writers == 0)
                Begin(who);
            if (read)
            {
                _readers++;
                _readerOpens++;
            }
            if (write)
            {
                _writers++;
                _writerOpens++;
            }
        }
        OpenWaiters.Wake(Readable | Writable);
    }

    /// <summary>An end is closed. With the last one of both kinds what was not read is gone.</summary>
    public void Close(bool read, bool write)
    {
        bool oneSided;
        lock (_lock)
        {
            if (read)
                _readers--;
            if (write)
                _writers--;
            oneSided = (_readers == 0) != (_writers == 0);
            if (_readers == 0 && _writers == 0)
            {
                for (; _tail != _head; _tail++)
                    Release(ref Slot(_tail));
                PipeAccounts.Charge(_user, -_slots.Length);
            }
        }
        if (!oneSided)
            return;
        ReadWaiters.Wake(PollEvents.None, all: true);
        WriteWaiters.Wake(PollEvents.None, all: true);
        BothWaiters.Wake(PollEvents.None, all: true);
    }

    /// <summary>A pipe that nobody has open gets its size anew.</summary>
    private void Begin(Credentials who)
    {
        _user = who.Uid;
        int slots = DefaultSlots;
        if (PipeAccounts.Charge(_user, slots) > PipeAccounts.SoftLimit && !PipeAccounts.IsPrivileged(who))
        {
            PipeAccounts.Charge(_user, SmallSlots - slots);
            slots = SmallSlots;
        }
        if (_slots.Length != slots)
            Volatile.Write(ref _slots, new PipeBuffer[slots]);
        _head = _tail = 0;
    }

    private ref PipeBuffer Slot(uint counter) => ref _slots[counter & (uint)(_slots.Length - 1)];

    private void Push(PipePage page, int offset, int length, PipeBufferFlags flags)
    {
        ref PipeBuffer slot = ref Slot(_head);
        slot.Page = page;
        slot.Offset = offset;
        slot.Length = length;
        slot.Flags = flags;
        Volatile.Write(ref _head, _head + 1);
    }

    private static void Release(ref PipeBuffer slot)
    {
        slot.Page!.Drop();
        slot = default;
    }

    private void Wake(PollEvents events)
    {
        ((events & Readable) != 0 ? ReadWaiters : WriteWaiters).Wake(events);
        BothWaiters.Wake(events);
    }
}
