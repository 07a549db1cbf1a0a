namespace Moat.Kernel.Pipes;

internal sealed partial class Pipe
{
    /// <summary>
    /// Promises up to <paramref name="slots"/> free slots to the caller, who fills pages without holding a lock and then calls
    /// <see cref="Commit"/> or <see cref="Cancel"/> for each. Returns how many, EAGAIN when the pipe is full, EPIPE without readers.
    /// </summary>
    public SysResult Reserve(int slots)
    {
        lock (_lock)
        {
            if (_readers == 0)
                return Errno.EPIPE;
            uint free = (uint)_slots.Length - (_head - _tail + _reserved);
            uint taken = Math.Min(free, (uint)slots);
            _reserved += taken;
            return taken == 0 ? Errno.EAGAIN : (int)taken;
        }
    }

    /// <summary>Puts a filled page into a promised slot; the pipe takes over the reference. <see cref="Notify"/> follows.</summary>
    public void Commit(PipePage page, int offset, int length, PipeBufferFlags flags)
    {
        lock (_lock)
        {
            _reserved--;
            Push(page, offset, length, flags);
        }
    }

    /// <summary>Gives promised slots back.</summary>
    public void Cancel(int slots)
    {
        if (slots == 0)
            return;
        bool wasFull;
        lock (_lock)
        {
            wasFull = IsFull;
            _reserved -= (uint)slots;
        }
        if (wasFull)
            Wake(Writable);
    }

    /// <summary>Tells readers of committed slots.</summary>
    public void Notify() => Wake(Readable);
}
