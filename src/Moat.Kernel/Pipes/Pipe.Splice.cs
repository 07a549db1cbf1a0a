using Moat.Kernel.Events;

namespace Moat.Kernel.Pipes;

internal sealed partial class Pipe
{
    /// <summary>
    /// Moves (or with <paramref name="copy"/> shares) up to <paramref name="length"/> bytes from one pipe to another without touching
    /// them. Returns bytes; 0 at the end of the input; EPIPE; EAGAIN, and <paramref name="outputFull"/> tells which side is not ready.
    /// </summary>
    public static SysResult Transfer(Pipe input, Pipe output, long length, bool copy, out bool outputFull)
    {
        long done = 0;
        bool wasFull, empty;
        outputFull = false;
        (Pipe first, Pipe second) = input.Number < output.Number ? (input, output) : (output, input);
        lock (input.ReadLock)
        {
            lock (first._lock)
            {
                lock (second._lock)
                {
                    if (output._readers == 0 && (!copy || !input.IsEmpty))
                        return Errno.EPIPE;
                    empty = input.IsEmpty;
                    wasFull = input.IsFull;
                    for (uint at = input._tail; at != input._head && done < length; at++)
                    {
                        outputFull = output.IsFull;
                        if (outputFull)
                            break;
                        done += input.Give(output, at, length - done, copy);
                    }
                    wasFull &= !input.IsFull;
                }
            }
        }
        if (wasFull)
            input.Wake(Writable);
        if (done > 0)
        {
            output.Wake(Readable);
            return done;
        }
        if (empty && input.Writers == 0)
            return 0;
        return Errno.EAGAIN;
    }

    /// <summary>Gives the slot at <paramref name="at"/>, or the part of it that is asked for, to another pipe. Both state locks are held.</summary>
    private long Give(Pipe output, uint at, long wanted, bool copy)
    {
        ref PipeBuffer slot = ref Slot(at);
        int length = (int)Math.Min(slot.Length, wanted);
        // What two pipes hold nobody may append to.
        PipeBufferFlags flags = slot.Flags & ~PipeBufferFlags.CanMerge;
        if (!copy && length == slot.Length)
        {
            output.Push(slot.Page!, slot.Offset, length, flags);
            slot = default;
            Volatile.Write(ref _tail, at + 1);
            return length;
        }
        slot.Page!.Share();
        output.Push(slot.Page, slot.Offset, length, flags);
        if (!copy)
        {
            slot.Offset += length;
            slot.Length -= length;
        }
        return length;
    }

    /// <summary>
    /// Appends the bytes to read to <paramref name="vector"/>, up to <paramref name="length"/>, for a host call. The caller holds
    /// <see cref="ReadLock"/> until <see cref="Consume"/>. Returns bytes.
    /// </summary>
    public long Peek(Memory.IoVector vector, long length)
    {
        long found = 0;
        lock (_lock)
        {
            for (uint at = _tail; at != _head && found < length; at++)
            {
                ref PipeBuffer slot = ref Slot(at);
                int part = (int)Math.Min(slot.Length, length - found);
                Append(vector, slot.Page!, slot.Offset, part);
                found += part;
            }
        }
        return found;
    }

    /// <summary>Takes out bytes that <see cref="Peek"/> showed.</summary>
    public void Consume(long bytes)
    {
        bool wasFull;
        lock (_lock)
        {
            wasFull = IsFull;
            while (bytes > 0)
            {
                ref PipeBuffer slot = ref Slot(_tail);
                if (bytes < slot.Length)
                {
                    slot.Offset += (int)bytes;
                    slot.Length -= (int)bytes;
                    break;
                }
                bytes -= slot.Length;
                Release(ref slot);
                Volatile.Write(ref _tail, _tail + 1);
            }
            wasFull &= !IsFull;
        }
        if (wasFull)
            Wake(Writable);
    }
}
