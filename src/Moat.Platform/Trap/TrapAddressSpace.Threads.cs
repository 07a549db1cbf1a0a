using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>Guest threads and their slots.</summary>
public sealed unsafe partial class TrapAddressSpace
{
    private const uint SYS_clone = 56;

    // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, PARENT_SETTID, CHILD_CLEARTID.
    private const ulong CloneFlags = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x10_0000 | 0x20_0000;

    // More ending threads than this are given the chance to end before another slot is used, so many times.
    private const int ManyDying = 8, MostYields = 16;

    private int _threadsMade;

    /// <summary>No second guest thread was ever made.</summary>
    internal bool HadOneThread => Volatile.Read(ref _threadsMade) == 1;

    /// <inheritdoc/>
    public override bool CanReplace => HadOneThread && !_dead;

    /// <inheritdoc/>
    public override GuestThread CreateThread(params ReadOnlySpan<MapChange> changes)
    {
        lock (_requestGate)
        {
            int index = TakeSlot();
            int result = Gather(changes);
            byte* slot = _base + SlotOffset(index);
            ulong stubSlot = StubLayout.Slots + SlotOffset(index);
            // A recycled slot: what the sentry owns starts afresh. Event 1 is "nothing happened yet".
            new Span<byte>(slot, 0x200).Clear();
            *(uint*)(slot + Slot.Event) = 1;
            ulong* stack = (ulong*)(_base + Control.StackT);
            stack[0] = stubSlot + Slot.SignalStack;
            stack[1] = 0;
            stack[2] = Slot.Size - Slot.SignalStack;
            if (result >= 0)
            {
                Add(SYS_clone, 0, CloneFlags, stubSlot + Slot.SignalStack, StubLayout.Slots + Control.NewTid, stubSlot + Slot.Event, 0);
                result = RunRequest();
            }

            if (result < 0)
            {
                ReturnSlot(index);
                HostException.Check(result, "a thread in a stub process");
            }

            _threadsMade++;
            int tid = *(int*)(_base + Control.NewTid);
            // It has inherited the core of its maker.
            HostAffinity.Unpin(tid);
            var thread = new TrapThread(this, slot, stubSlot, index, tid);
            Interlocked.Increment(ref _users);
            lock (_slotsGate)
                _threads[index] = thread;
            if (_dead || !thread.AwaitStart())
            {
                thread.Dispose();
                throw new HostException("a thread of a stub process ended at its start");
            }

            return thread;
        }
    }

    /// <summary>The thread is told to end; its slot is free once it has.</summary>
    internal void Retire(TrapThread thread)
    {
        lock (_slotsGate)
        {
            _threads[thread.Index] = null;
            _dying.Enqueue(thread.Index);
        }

        ReleaseSlots();
    }

    private static ulong SlotOffset(int index) => Control.Size + (ulong)index * Slot.Size;

    private int TakeSlot()
    {
        lock (_slotsGate)
        {
            if (_dead)
                throw new HostException("the stub process has ended");
            // The host clears a thread's event word when it no longer touches its memory. Threads that are to end may wait for this very core.
            for (var i = 0; ; i++)
            {
                while (_dying.TryPeek(out int ended) && Volatile.Read(ref *(uint*)(_base + SlotOffset(ended))) == 0)
                    _free.Push(_dying.Dequeue());
                if (_free.Count != 0 || _dying.Count < ManyDying || i == MostYields)
                    break;
                HostThread.Yield();
            }

            if (_free.TryPop(out int index))
                return index;
            if (_slotsUsed == StubLayout.MaxSlots)
                throw new HostException("too many threads in one address space");
            if (SlotOffset(_slotsUsed) == _fileSize)
            {
                HostException.Check(HostSyscall.Ftruncate(_slotsFd, _fileSize + FileChunk), "memory for thread slots");
                _fileSize += FileChunk;
            }

            if (_slotsUsed == _threads.Length)
                Array.Resize(ref _threads, Math.Min(_threads.Length * 4, StubLayout.MaxSlots));
            return _slotsUsed++;
        }
    }

    private void ReturnSlot(int index)
    {
        lock (_slotsGate)
            _free.Push(index);
    }
}
