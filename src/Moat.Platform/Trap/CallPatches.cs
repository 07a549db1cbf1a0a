using System.Buffers.Binary;

namespace Moat.Platform.Trap;

/// <summary>One patch: eight bytes of guest code to be replaced in one store.</summary>
internal readonly record struct CallPatch(ulong Site, ulong Address, ulong Bytes, int Index, ulong Tail)
{
    /// <summary>Instructions were moved behind the call: <see cref="Tail"/> is where.</summary>
    public bool HasTail => Tail != 0;
}

/// <summary>
/// System call instructions that were replaced by a jump: no trap, no signal frame. Two forms, both of eight bytes that lie in one
/// cache line and are stored in one go:
/// <c>mov eax, number; syscall</c> becomes <c>jmp [entry]</c>, and whoever jumps to the old <c>syscall</c> finds 06, which is no instruction
/// (<see cref="IsOldCall"/>); <c>syscall; cmp rax, limit</c> becomes the same jump, and the comparison moves behind the call (its tail).
/// The second form has no good answer for a thread that is between the two: it is made while no other thread is in guest code, and whoever
/// goes back there behind the call goes to the tail.
/// </summary>
internal sealed unsafe class CallPatches
{
    private const int EntrySize = 32, MaxEntries = (Control.PatchTails - Control.PatchEntries) / EntrySize;
    private const int MaxTails = (Control.PatchEnd - Control.PatchTails) / EntrySize;

    // The jump that replaces the call: ff 24 25 and an absolute address of four bytes.
    private const int JumpLength = 7;

    private readonly byte* _base;
    private readonly ulong _fastEntry;
    // Places in _entries, one more, by the hash of the site; 0: none. Twice as many as entries ever are.
    private const int Places = 2 * MaxEntries;
    private readonly int[] _places = new int[Places];
    private CallPatch[] _entries = [];
    private int _count, _tails;

    public CallPatches(byte* control, ulong fastEntry)
    {
        _base = control;
        _fastEntry = fastEntry;
    }

    /// <summary>The same patches in the control area of a copied address space.</summary>
    public CallPatches Copy(byte* control)
    {
        var copy = new CallPatches(control, _fastEntry) { _tails = _tails };
        copy._entries = _entries[.._count];
        _places.CopyTo(copy._places, 0);
        Copy(Control.PatchTable, _count * sizeof(ulong));
        Copy(Control.PatchEntries, _count * EntrySize);
        Copy(Control.PatchTails, _tails * EntrySize);
        copy._count = _count;
        return copy;

        void Copy(int offset, int length) => new ReadOnlySpan<byte>(_base + offset, length).CopyTo(new Span<byte>(control + offset, length));
    }

    /// <summary>
    /// Decides whether a site can be patched, and writes its entry. <paramref name="code"/> has the site at <paramref name="offset"/>;
    /// <paramref name="alone"/>: no other thread is in guest code.
    /// </summary>
    public bool Prepare(ulong site, ReadOnlySpan<byte> code, int offset, uint number, bool alone, out CallPatch patch)
    {
        patch = default;
        if (_count == MaxEntries || Find(site) >= 0 || code.Length < offset + 8 || offset < 6 || code[offset] != 0x0f || code[offset + 1] != 0x05)
            return false;
        // rt_sigreturn: the frame is the point of it.
        if (number == 15)
            return false;
        bool isMove = code[offset - 5] == 0xb8 && (code[offset - 6] & 0xf0) != 0x40
            && BinaryPrimitives.ReadUInt32LittleEndian(code[(offset - 4)..]) == number;
        bool isCompare = code[offset + 2] == 0x48 && code[offset + 3] == 0x3d;
        if (!isMove && !(isCompare && alone && _tails < MaxTails && !IsTarget(code, offset)))
            return false;
        ulong address = isMove ? site - 5 : site;
        if ((address & 63) > 56 || Overlaps(address))
            return false;
        Span<byte> bytes = stackalloc byte[8];
        code.Slice(isMove ? offset - 5 : offset, 8).CopyTo(bytes);
        bytes[0] = 0xff;
        bytes[1] = 0x24;
        bytes[2] = 0x25;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[3..], (uint)StubLayout.PatchTable + (uint)(_count * 8));
        if (!isMove)
            bytes[JumpLength] = 0x90;
        ulong tail = isMove ? 0 : WriteTail(site, code.Slice(offset + 2, 6));
        WriteEntry(isMove ? number : null, isMove ? site + 2 : tail);
        patch = new CallPatch(site, address, BinaryPrimitives.ReadUInt64LittleEndian(bytes), _count, tail);
        return true;
    }

    /// <summary>The patch is about to be in the guest.</summary>
    public void Commit(in CallPatch patch)
    {
        // Who looks up without a lock has the old array or the new one.
        if (patch.Index == _entries.Length)
            Array.Resize(ref _entries, Math.Max(16, 2 * _entries.Length));
        _entries[patch.Index] = patch;
        if (patch.HasTail)
            _tails++;
        _count = patch.Index + 1;
        int place = PlaceOf(patch.Site);
        while (_places[place] != 0)
            place = (place + 1) % Places;
        Volatile.Write(ref _places[place], _count);
    }

    /// <summary>Forgets the sites in a range. Their entries stay for threads that are in them.</summary>
    public void Drop(ulong from, ulong to)
    {
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i].Site >= from && _entries[i].Site < to)
                _entries[i] = default;
        }
    }

    /// <summary>True when a fault at this address is a jump to a call that a patch has replaced.</summary>
    public bool IsOldCall(ulong rip) => Find(rip) is >= 0 and var i && !_entries[i].HasTail;

    /// <summary>Where a thread must go on whose instruction pointer is behind a replaced call: there, or in the call's tail.</summary>
    public ulong ToStub(ulong rip) => Find(rip - 2) is >= 0 and var i && _entries[i].HasTail ? _entries[i].Tail : rip;

    /// <summary>What the guest shall see of an address where a patched call returns.</summary>
    public ulong ToGuest(ulong rip)
    {
        if (rip < StubLayout.PatchTails || rip >= StubLayout.PatchTails + MaxTails * EntrySize)
            return rip;
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i].Tail == rip)
                return _entries[i].Site + 2;
        }

        return rip;
    }

    /// <summary>Makes every entry trap: <c>mov eax, number; syscall; mov rcx, return; jmp rcx</c>.</summary>
    public void Disarm()
    {
        for (var i = 0; i < _count; i++)
        {
            byte* entry = _base + Control.PatchEntries + i * EntrySize;
            bool hasMove = *entry == 0xb8;
            byte* at = entry + (hasMove ? 5 : 0);
            ulong target = *(ulong*)(at + 2);
            at[0] = 0x0f;
            at[1] = 0x05;
            at[2] = 0x48;
            at[3] = 0xb9;
            *(ulong*)(at + 4) = target;
            at[12] = 0xff;
            at[13] = 0xe1;
        }
    }

    private bool Overlaps(ulong address)
    {
        foreach (ref readonly CallPatch e in _entries.AsSpan(0, _count))
        {
            if (e.Address < address + 8 && address < e.Address + 8)
                return true;
        }

        return false;
    }

    // Without a lock. What was dropped keeps its place, and its entry says nothing.
    private int Find(ulong site)
    {
        for (int place = PlaceOf(site), index; (index = Volatile.Read(ref _places[place])) != 0; place = (place + 1) % Places)
        {
            if (_entries[index - 1].Site == site)
                return index - 1;
        }

        return -1;
    }

    private static int PlaceOf(ulong site) => (int)((site * 0x9E3779B97F4A7C15) >> 32) & (Places - 1);

    // The comparison that followed the call, then jmp [rip+0] to what follows it.
    private ulong WriteTail(ulong site, ReadOnlySpan<byte> compare)
    {
        byte* tail = _base + Control.PatchTails + _tails * EntrySize;
        compare.CopyTo(new Span<byte>(tail, 6));
        tail[6] = 0xff;
        tail[7] = 0x25;
        *(uint*)(tail + 8) = 0;
        *(ulong*)(tail + 12) = site + 8;
        return StubLayout.PatchTails + (ulong)(_tails * EntrySize);
    }

    // mov eax, number, if it was replaced; mov rcx, back; jmp fast. And its address for the jump from the site.
    private void WriteEntry(uint? number, ulong back)
    {
        byte* entry = _base + Control.PatchEntries + _count * EntrySize;
        ulong address = StubLayout.PatchCode + (ulong)(_count * EntrySize);
        var length = 0;
        if (number is { } value)
        {
            entry[length++] = 0xb8;
            *(uint*)(entry + length) = value;
            length += 4;
        }

        entry[length++] = 0x48;
        entry[length++] = 0xb9;
        *(ulong*)(entry + length) = back;
        length += 8;
        entry[length++] = 0xe9;
        *(int*)(entry + length) = (int)(_fastEntry - (address + (ulong)length + 4));
        *(ulong*)(_base + Control.PatchTable + _count * 8) = address;
    }

    // A jump near by to the comparison, the one instruction inside the replaced bytes; judged at every offset, so that it errs towards refusal.
    private static bool IsTarget(ReadOnlySpan<byte> code, int offset)
    {
        int moved = offset + 2;
        for (var i = 0; i + 6 <= code.Length; i++)
        {
            int near = code[i] == 0xeb || (code[i] & 0xf0) == 0x70 ? i + 2 + (sbyte)code[i + 1] : -1;
            int far = code[i] is 0xe9 or 0xe8 ? i + 5 + BinaryPrimitives.ReadInt32LittleEndian(code[(i + 1)..])
                : code[i] == 0x0f && (code[i + 1] & 0xf0) == 0x80 ? i + 6 + BinaryPrimitives.ReadInt32LittleEndian(code[(i + 2)..]) : -1;
            if (near == moved || far == moved)
                return true;
        }

        return false;
    }
}
