using System.Diagnostics;
using System.Runtime.CompilerServices;
using Moat.Host;

namespace Moat.Kernel.Memory;

/// <summary>
/// The reader/writer lock of an address space. Readers access guest memory by translation, writers change mappings. Uncontended
/// it costs a reader one interlocked instruction and a writer a look at every slot; no kernel call, no allocation.
/// </summary>
/// <remarks>
/// A reader owns one of a few slots, each on its own cache line: owner thread and depth. A thread that already reads goes deeper without
/// looking for writers, so reading nests; a new reader backs off while a writer is in or waits, so writers are not starved. Writers exclude
/// each other by an ordinary lock, raise the flag and wait for the slots to drain. Entering readers and the writer's flag meet through full
/// fences. A leaving reader has none: a writer that is about to sleep pays for it with a process-wide barrier.
/// </remarks>
internal sealed unsafe class AccessLock
{
    private const int Slots = 16, Stride = 16, SpinLimit = 100;

    // Ints per cache line: slots first, then the writer's flag, then the drain word.
    private readonly int[] _memory = GC.AllocateArray<int>((Slots + 3) * Stride, pinned: true);
    private readonly int* _slots;
    private readonly int* _writer; // 0 none, 1 a writer, 2 a writer and readers that sleep
    private readonly int* _drain; // 1 while the writer sleeps until readers leave
    private readonly Lock _writers = new();
    private int _writerThread;
    private int _displaced; // readers that sit in another slot than their own

    public AccessLock()
    {
        // SAFETY: the array is pinned for its life, which is this object's; there is a line to spare for alignment.
        fixed (int* p = _memory)
            _slots = (int*)(((ulong)p + 63) & ~63UL);
        _writer = _slots + (Slots * Stride);
        _drain = _writer + Stride;
    }

    /// <summary>Begins reading. Nests in one thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void EnterRead()
    {
        int me = Environment.CurrentManagedThreadId;
        int* slot = _slots + ((me & (Slots - 1)) * Stride);
        // SAFETY: slots lie in the pinned array. Only the owner changes an owned slot.
        if (Volatile.Read(ref *slot) == me)
        {
            slot[1]++;
            return;
        }
        if (Volatile.Read(ref _displaced) == 0 && Interlocked.CompareExchange(ref *slot, me, 0) == 0)
        {
            slot[1] = 1;
            if (Volatile.Read(ref *_writer) == 0)
                return;
            Leave(slot);
        }
        EnterReadSlowly(me);
    }

    /// <summary>Ends what <see cref="EnterRead"/> began, in the same thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void ExitRead()
    {
        int me = Environment.CurrentManagedThreadId;
        int* slot = _slots + ((me & (Slots - 1)) * Stride);
        // SAFETY: as above.
        if (Volatile.Read(ref *slot) != me)
        {
            slot = FindSlot(me);
            Debug.Assert(slot != null, "ExitRead without EnterRead");
            if (--slot[1] == 0)
            {
                Leave(slot);
                Interlocked.Decrement(ref _displaced);
            }
            return;
        }
        if (--slot[1] == 0)
            Leave(slot);
    }

    /// <summary>Begins writing: waits for all readers to leave. Not while reading; does not nest.</summary>
    public void EnterWrite()
    {
        _writers.Enter();
        Interlocked.Exchange(ref *_writer, 1);
        int me = Environment.CurrentManagedThreadId;
        _writerThread = me;
        for (int i = 0; i < Slots; i++)
        {
            int* slot = _slots + (i * Stride);
            int owner = Volatile.Read(ref *slot);
            if (owner == 0)
                continue;
            Debug.Assert(owner != me, "EnterWrite while reading");
            WaitForReader(slot);
        }
    }

    /// <summary>Ends writing and lets readers in.</summary>
    public void ExitWrite()
    {
        const int FUTEX_WAKE_PRIVATE = 1 | 128;
        _writerThread = 0;
        // SAFETY: the words lie in the pinned array.
        if (Interlocked.Exchange(ref *_writer, 0) == 2)
            HostSyscall.CallQuick(202, (long)_writer, FUTEX_WAKE_PRIVATE, int.MaxValue);
        _writers.Exit();
    }

    /// <summary>Who is in right now, as managed thread ids: the writer, or 0, and the readers. For reports; may be stale at once.</summary>
    public int GetHolders(List<int> readers)
    {
        for (int i = 0; i < Slots; i++)
        {
            // SAFETY: slots lie in the pinned array.
            if (Volatile.Read(ref *(_slots + (i * Stride))) is not 0 and int owner)
                readers.Add(owner);
        }
        return Volatile.Read(ref _writerThread);
    }

    /// <summary>True when the calling thread reads.</summary>
    public bool IsReading => FindSlot(Environment.CurrentManagedThreadId) != null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Leave(int* slot)
    {
        const int FUTEX_WAKE_PRIVATE = 1 | 128;
        Volatile.Write(ref *slot, 0);
        if (Volatile.Read(ref *_drain) != 0)
        {
            Volatile.Write(ref *_drain, 0);
            HostSyscall.CallQuick(202, (long)_drain, FUTEX_WAKE_PRIVATE, 1);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterReadSlowly(int me)
    {
        int* held = FindSlot(me);
        if (held != null)
        {
            held[1]++;
            return;
        }
        while (true)
        {
            WaitForWriter();
            for (int i = 0; i < Slots; i++)
            {
                int* slot = _slots + (((me + i) & (Slots - 1)) * Stride);
                // Counted before the slot is taken: who sees no displaced reader need not search.
                if (i > 0)
                    Interlocked.Increment(ref _displaced);
                if (Interlocked.CompareExchange(ref *slot, me, 0) == 0)
                {
                    slot[1] = 1;
                    if (Volatile.Read(ref *_writer) == 0)
                        return;
                    Leave(slot);
                    if (i > 0)
                        Interlocked.Decrement(ref _displaced);
                    break;
                }
                if (i > 0)
                    Interlocked.Decrement(ref _displaced);
            }
            // All slots are taken by others, or a writer came: those inside hold slots already and will leave.
            Thread.Yield();
        }
    }

    private int* FindSlot(int me)
    {
        for (int i = 0; i < Slots; i++)
        {
            int* slot = _slots + (i * Stride);
            if (Volatile.Read(ref *slot) == me)
                return slot;
        }
        return null;
    }

    private void WaitForWriter()
    {
        const int FUTEX_WAIT_PRIVATE = 0 | 128;
        for (int spins = 0; Volatile.Read(ref *_writer) != 0; spins++)
        {
            if (spins < SpinLimit)
            {
                Thread.SpinWait(1);
                continue;
            }
            if (Interlocked.CompareExchange(ref *_writer, 2, 1) != 0)
                HostSyscall.Call(202, (long)_writer, FUTEX_WAIT_PRIVATE, 2, 0);
        }
    }

    private void WaitForReader(int* slot)
    {
        const int FUTEX_WAIT_PRIVATE = 0 | 128;
        for (int spins = 0; Volatile.Read(ref *slot) != 0; spins++)
        {
            if (spins < SpinLimit)
            {
                Thread.SpinWait(1);
                continue;
            }
            Volatile.Write(ref *_drain, 1);
            // After this barrier every leaving reader either has left, which the look below sees, or sees the drain word.
            Interlocked.MemoryBarrierProcessWide();
            if (Volatile.Read(ref *slot) != 0)
                HostSyscall.Call(202, (long)_drain, FUTEX_WAIT_PRIVATE, 1, 0);
            Volatile.Write(ref *_drain, 0);
        }
    }
}
