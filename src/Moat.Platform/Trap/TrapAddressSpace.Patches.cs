namespace Moat.Platform.Trap;

/// <summary>Patched call sites of this address space; see <see cref="CallPatches"/>.</summary>
public sealed unsafe partial class TrapAddressSpace
{
    private CallPatches? _patches;
    private volatile bool _patchingStopped;
    private int _tailsBegun, _tailsDone;

    internal bool CanPatch => !_patchingStopped;

    /// <summary>
    /// Patches with a tail that were begun, and those that are in the guest's code or given up. A thread that goes back to guest code and finds
    /// some begun since the last time that were not there then may have to go to a tail.
    /// </summary>
    internal int TailsBegun => Volatile.Read(ref _tailsBegun);

    internal int TailsDone => Volatile.Read(ref _tailsDone);

    private bool IsAlone(GuestThread thread)
    {
        lock (_slotsGate)
        {
            foreach (TrapThread? other in _threads.AsSpan(0, _slotsUsed))
            {
                if (other is not null && other != thread && other.IsInGuest)
                    return false;
            }
        }

        return true;
    }

    /// <summary>The patches, null while there are none. Look-ups take no lock.</summary>
    internal CallPatches? Patches => Volatile.Read(ref _patches);

    /// <inheritdoc/>
    public override bool PatchCall(GuestThread thread, ulong site, ReadOnlySpan<byte> code, int offset)
    {
        lock (_requestGate)
        {
            if (_dead || _patchingStopped)
                return false;
            CallPatches patches = _patches ?? new CallPatches(_base, _platform.Image.FastEntry);
            if (!patches.Prepare(site, code, offset, ((TrapThread)thread).Call.Number, IsAlone(thread), out CallPatch patch))
                return false;
            // Known before it is there: whoever meets it at once finds it.
            patches.Commit(in patch);
            Volatile.Write(ref _patches, patches);
            bool done = patch.HasTail ? PutTail(thread, in patch) : Put(in patch);
            if (!done)
                patches.Drop(site, site + 1);
            return done;
        }
    }

    private bool Put(in CallPatch patch)
    {
        ulong page = patch.Address & ~0xfffUL;
        Add(SYS_mprotect, 0, page, 0x1000, 7 /* read, write, execute */);
        Add(Control.Poke, 0, patch.Address, patch.Bytes);
        Add(SYS_mprotect, Control.Always, page, 0x1000, 5 /* read, execute */);
        return RunRequest() >= 0;
    }

    private bool PutTail(GuestThread thread, in CallPatch patch)
    {
        Volatile.Write(ref _tailsBegun, _tailsBegun + 1);
        // A thread says that it is in guest code and then looks at what was begun: either it sees this one, or it is seen.
        Interlocked.MemoryBarrier();
        bool done = IsAlone(thread) && Put(in patch);
        Volatile.Write(ref _tailsDone, _tailsBegun);
        return done;
    }

    /// <summary>
    /// The guest wants the GS register for itself: patched calls trap again, and no new ones are made.
    /// </summary>
    internal void StopPatching()
    {
        lock (_requestGate)
        {
            if (!_patchingStopped && !_dead)
                _patches?.Disarm();
            _patchingStopped = true;
        }
    }

    private void MapPatches()
    {
        const ulong PROT_READ = 1, PROT_EXEC = 4;
        Add(SYS_mmap, 0, StubLayout.PatchTable, 0x1000, PROT_READ, MAP_SHARED | MAP_FIXED, StubLayout.SlotsFd, Control.PatchTable);
        Add(SYS_mmap, 0, StubLayout.PatchCode, Control.PatchEnd - Control.PatchEntries, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
            StubLayout.SlotsFd, Control.PatchEntries);
    }

    // What is mapped there from now on has not been patched.
    private void DropPatches(ulong address, ulong length) => _patches?.Drop(address, address + length);
}
