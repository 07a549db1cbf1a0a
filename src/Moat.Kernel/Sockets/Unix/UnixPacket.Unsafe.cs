using System.Runtime.InteropServices;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>
/// What one send call (of a stream: a part of one) put into a receive queue: bytes in native memory and what goes with them.
/// Recycled by the queue it was made for.
/// </summary>
internal sealed unsafe class UnixPacket
{
    private readonly byte* _data;

    /// <summary>Makes one with room for <paramref name="capacity"/> bytes.</summary>
    public UnixPacket(int capacity)
    {
        Capacity = capacity;
        _data = (byte*)NativeMemory.Alloc((nuint)capacity); // SAFETY: this object's own until Free.
    }

    /// <summary>Bytes of room.</summary>
    public int Capacity { get; }

    /// <summary>The next one in the queue.</summary>
    public UnixPacket? Next;

    /// <summary>Bytes that were sent, and how many of them have been read (streams).</summary>
    public int Length, Offset;

    /// <summary>What the sender is charged for it (SO_SNDBUF), bytes.</summary>
    public int Charge;

    /// <summary>Who sent it: charged for it, and named by its address.</summary>
    public UnixSocket? Owner;

    /// <summary>The sender's process and user, where anybody asked for them (SO_PASSCRED).</summary>
    public UCred Sender;

    /// <summary>Descriptions on their way (SCM_RIGHTS), each with a reference; null: none.</summary>
    public FileDescription[]? Rights;

    /// <summary>When it was sent, CLOCK_REALTIME nanoseconds; 0: nobody asked (SO_TIMESTAMP).</summary>
    public long Time;

    /// <summary>One byte sent with MSG_OOB.</summary>
    public bool IsUrgent;

    /// <summary>A peek has shown it: an empty datagram is passed over by the next one (SO_PEEK_OFF).</summary>
    public bool Peeked;

    /// <summary>Bytes not yet read.</summary>
    public int Available => Length - Offset;

    /// <summary>Fills it with the next bytes of a vector. False: EFAULT.</summary>
    public bool Fill(IoVector from, int length)
    {
        Length = length;
        Offset = 0;
        return from.CopyTo(_data, (ulong)length) == (ulong)length; // SAFETY: the caller made it for at least as many bytes.
    }

    /// <summary>Copies unread bytes from <paramref name="skip"/> on; returns how many: fewer when guest memory faults.</summary>
    public int CopyTo(IoVector to, int skip, int length)
        => (int)to.CopyFrom(_data + Offset + skip, (ulong)length); // SAFETY: the caller keeps skip + length within Available.

    /// <summary>Forgets what it carried.</summary>
    public void Clear()
    {
        Next = null;
        Owner = null;
        Rights = null;
        Time = 0;
        Peeked = IsUrgent = false;
    }

    /// <summary>Gives the memory back; the object is not used again.</summary>
    public void Free() => NativeMemory.Free(_data); // SAFETY: nobody else has the packet.
}
