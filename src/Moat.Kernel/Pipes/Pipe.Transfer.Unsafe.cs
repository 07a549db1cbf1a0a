using Moat.Kernel.Memory;

namespace Moat.Kernel.Pipes;

internal sealed unsafe partial class Pipe
{
    /// <summary>Takes bytes out. 0 at the end (no writers), EAGAIN when empty, EFAULT.</summary>
    public SysResult Read(IoVector to)
    {
        if (to.Remaining == 0)
            return 0;
        long done = 0;
        bool wasFull, faulted = false;
        lock (ReadLock)
        {
            lock (_lock)
            {
                wasFull = IsFull;
                while (_tail != _head && to.Remaining > 0)
                {
                    ref PipeBuffer slot = ref Slot(_tail);
                    int wanted = (int)Math.Min((ulong)slot.Length, to.Remaining);
                    // A buffer of the pipe is read whole or not at all.
                    if (to.IsCut && wanted < slot.Length)
                    {
                        faulted = true;
                        break;
                    }
                    // SAFETY: a slot's range lies within its page, which the slot holds.
                    int copied = (int)to.CopyFrom(slot.Page!.Data + slot.Offset, (ulong)wanted);
                    done += copied;
                    faulted = copied < wanted;
                    if (faulted && copied == 0)
                        break;
                    bool packet = (slot.Flags & PipeBufferFlags.Packet) != 0;
                    if (packet || copied == slot.Length)
                    {
                        // What a read leaves of a packet is lost (pipe(2), O_DIRECT).
                        Release(ref slot);
                        Volatile.Write(ref _tail, _tail + 1);
                    }
                    else
                    {
                        slot.Offset += copied;
                        slot.Length -= copied;
                    }
                    if (packet || faulted)
                        break;
                }
                wasFull &= !IsFull;
            }
        }
        if (wasFull)
            Wake(Writable);
        if (done > 0)
            return done;
        if (faulted)
            return Errno.EFAULT;
        return Writers == 0 ? 0 : Errno.EAGAIN;
    }

    /// <summary>
    /// Puts bytes in: all of up to <see cref="PIPE_BUF"/> or none, of more as many as fit. EPIPE without readers,
    /// EAGAIN when full, EFAULT.
    /// </summary>
    public SysResult Write(IoVector from, bool packets)
    {
        if (from.Remaining == 0)
            return 0;
        long done = 0;
        bool faulted = false, noMemory = false, broken;
        lock (_lock)
        {
            broken = _readers == 0;
            if (!broken && !packets && _head != _tail)
                done = Append(from, ref faulted);
            while (!broken && !faulted && from.Remaining > 0 && !IsFull)
            {
                PipePage? page = PipePage.Take();
                noMemory = page is null;
                if (page is null)
                    break;
                ulong wanted = Math.Min(PipePage.Size, from.Remaining);
                ulong copied = from.CopyTo(page.Data, wanted); // SAFETY: a page has PipePage.Size bytes.
                faulted = copied < wanted;
                if (copied == 0)
                {
                    page.Drop();
                    break;
                }
                Push(page, 0, (int)copied, packets ? PipeBufferFlags.Packet : PipeBufferFlags.CanMerge);
                done += (long)copied;
            }
        }
        // Also when nothing was written: edge-triggered watchers have come to count on one event for each write.
        Wake(Readable);
        return done > 0 ? done : broken ? Errno.EPIPE : faulted ? Errno.EFAULT : noMemory ? Errno.ENOMEM : Errno.EAGAIN;
    }

    /// <summary>Appends part of a page to a vector, for host calls and files.</summary>
    public static void Append(IoVector vector, PipePage page, int offset, int length)
        => vector.Add(page.Data + offset, (ulong)length); // SAFETY: the caller holds the page, and the range lies in it.

    /// <summary>
    /// The part of a write beyond whole pages goes behind the newest bytes if it fits there, so that small writes do not
    /// take a slot each.
    /// </summary>
    private long Append(IoVector from, ref bool faulted)
    {
        ulong odd = from.Remaining % PipePage.Size;
        ref PipeBuffer last = ref Slot(_head - 1);
        int end = last.Offset + last.Length;
        if (odd == 0 || (last.Flags & PipeBufferFlags.CanMerge) == 0 || end + (int)odd > PipePage.Size || !last.Page!.IsExclusive)
            return 0;
        ulong copied = from.CopyTo(last.Page.Data + end, odd); // SAFETY: end + odd lies within the page.
        last.Length += (int)copied;
        faulted = copied < odd;
        return (long)copied;
    }
}
