using System.Buffers;
using Moat.Kernel.Events;

namespace Moat.Kernel.Ipc;

/// <summary>A message in a queue. Kept and reused.</summary>
internal sealed class Message
{
    internal Message? Next;

    public long Type { get; set; }

    public int Length { get; set; }

    public byte[] Bytes { get; set; } = [];

    public Span<byte> Text => Bytes.AsSpan(0, Length);
}

/// <summary>Which message msgrcv(2) takes.</summary>
internal readonly record struct MessageChoice(long Type, bool Except, bool ByNumber)
{
    public bool Takes(long type)
        => Type == 0 || (Type < 0 ? type <= (Type == long.MinValue ? long.MaxValue : -Type) : Except ? type != Type : type == Type);
}

/// <summary>A message queue (msgsnd(2)). Its lock guards all of it but what the table guards.</summary>
internal sealed class MessageQueue : IpcObject
{
    private Message? _first, _last;

    public Lock Lock { get; } = new();

    /// <summary>Who waits for a message, and for room.</summary>
    public WaitQueue Receivers { get; } = new();

    public WaitQueue Senders { get; } = new();

    /// <summary>Bytes in the queue, and how many there may be (msg_qbytes).</summary>
    public long Bytes { get; private set; }

    public ulong Limit { get; set; } = MessageQueues.MSGMNB;

    public int Count { get; private set; }

    public int LastSender { get; set; }

    public int LastReceiver { get; set; }

    public long SendTime { get; set; }

    public long ReceiveTime { get; set; }

    /// <summary>True when a message of that length fits now. Under the lock.</summary>
    public bool HasRoom(int length) => (ulong)(length + Bytes) <= Limit && (ulong)Count + 1 <= Limit;

    /// <summary>Appends. Under the lock.</summary>
    public void Add(Message message)
    {
        message.Next = null;
        if (_last is null)
            _first = message;
        else
            _last.Next = message;
        _last = message;
        Bytes += message.Length;
        Count++;
    }

    /// <summary>The message that a choice means, or null. Under the lock.</summary>
    public Message? Find(MessageChoice choice)
    {
        Message? best = null;
        long number = 0;
        for (Message? m = _first; m is not null; m = m.Next)
        {
            if (choice.ByNumber)
            {
                if (number++ == choice.Type)
                    return m;
                continue;
            }
            if (!choice.Takes(m.Type))
                continue;
            // A negative type asks for the lowest there is.
            if (choice.Type >= 0)
                return m;
            if (best is null || m.Type < best.Type)
                best = m;
        }
        return best;
    }

    /// <summary>Takes a message out. Under the lock.</summary>
    public void Remove(Message message)
    {
        Message? previous = null;
        for (Message? m = _first; m != message; m = m!.Next)
            previous = m;
        if (previous is null)
            _first = message.Next;
        else
            previous.Next = message.Next;
        if (_last == message)
            _last = previous;
        Bytes -= message.Length;
        Count--;
    }

    /// <summary>All messages at once, linked. Under the lock.</summary>
    public Message? TakeAll()
    {
        Message? all = _first;
        _first = _last = null;
        Bytes = 0;
        Count = 0;
        return all;
    }
}

/// <summary>All message queues of a sandbox.</summary>
internal sealed class MessageQueues
{
    /// <summary>MSGMNI queues, MSGMAX bytes a message, MSGMNB bytes a queue.</summary>
    public const int MSGMNI = 32000, MSGMAX = 8192, MSGMNB = 16384;

    /// <summary>Bytes in all queues, beyond which msgsnd(2) is ENOMEM: they are the sentry's memory.</summary>
    private const long MostBytes = 64 << 20;

    /// <summary>Messages that are kept for reuse.</summary>
    private const int Kept = 64;

    private readonly Lock _lock = new();
    private Message? _free;
    private int _freeCount;
    private long _bytes;
    private int _messages;

    public IpcTable<MessageQueue> Table { get; } = new(MSGMNI);

    /// <summary>Bytes and messages in all queues.</summary>
    public long TotalBytes => Volatile.Read(ref _bytes);

    public int TotalMessages => Volatile.Read(ref _messages);

    /// <summary>A message with room for <paramref name="length"/> bytes; null: ENOMEM.</summary>
    public Message? Take(int length)
    {
        if (Interlocked.Add(ref _bytes, length) > MostBytes)
        {
            Interlocked.Add(ref _bytes, -length);
            return null;
        }
        Interlocked.Increment(ref _messages);
        Message? message;
        lock (_lock)
        {
            message = _free;
            if (message is not null)
            {
                _free = message.Next;
                _freeCount--;
            }
        }
        message ??= new Message();
        message.Next = null;
        message.Length = length;
        message.Bytes = ArrayPool<byte>.Shared.Rent(length);
        return message;
    }

    /// <summary>Gives a message back that is in no queue.</summary>
    public void Return(Message message)
    {
        Interlocked.Add(ref _bytes, -message.Length);
        Interlocked.Decrement(ref _messages);
        ArrayPool<byte>.Shared.Return(message.Bytes);
        message.Bytes = [];
        lock (_lock)
        {
            if (_freeCount >= Kept)
                return;
            message.Next = _free;
            _free = message;
            _freeCount++;
        }
    }
}
