using System.Runtime.CompilerServices;
using Moat.Platform.Trap;

namespace Moat.Platform;

/// <summary>A submission ring in guest memory, as a program has mapped it: hints, whatever is there now.</summary>
public sealed class SubmissionRing(object owner, ulong words, ulong entries, ulong array, uint mask)
{
    /// <summary>Whose memory the addresses mean.</summary>
    public object Owner => owner;

    /// <summary>Address of the head; the tail follows. 32 bits each.</summary>
    public ulong Words => words;

    /// <summary>Address of the entries of 64 bytes.</summary>
    public ulong Entries => entries;

    /// <summary>Address of the index array; 0: none.</summary>
    public ulong Array => array;

    /// <summary>Entries less one.</summary>
    public uint Mask => mask;
}

/// <summary>Entries of a submission ring that the guest's core has gathered, to be read once and in order. The guest can write them meanwhile.</summary>
public unsafe struct GatheredEntries
{
    private readonly byte* _parts;
    private ulong* _words;

    internal GatheredEntries(byte* slot)
    {
        First = *(uint*)(slot + Slot.GatheredFirst);
        Count = Math.Min(*(uint*)(slot + Slot.GatheredCount), Slot.MostGathered);
        _parts = slot + Slot.GatheredParts;
        _words = (ulong*)(slot + Slot.GatheredWords);
    }

    /// <summary>Place of the first one, as the guest's head says.</summary>
    public uint First { get; }

    /// <summary>How many they are.</summary>
    public uint Count { get; }

    /// <summary>Reads entry <paramref name="index"/>, below <see cref="Count"/>, into 64 bytes; each index once, from 0 on. Returns its first word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Read(uint index, ref byte entry)
    {
        // SAFETY: at most MostGathered entries, each of at most eight words, which is what the slot has room for.
        int parts = _parts[index];
        ulong first = Volatile.Read(ref _words[0]);
        ref ulong to = ref Unsafe.As<byte, ulong>(ref entry);
        to = first;
        Unsafe.Add(ref to, 4) = _words[1];
        _words += 2;
        Take((parts & Slot.HasAddresses) != 0, ref Unsafe.Add(ref to, 1));
        Take((parts & Slot.HasOthers) != 0, ref Unsafe.Add(ref to, 5));
        return first;
    }

    /// <summary>Takes an entry if all its words but the descriptor, and user_data, are zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTakeNop(uint index, out ulong userData)
    {
        userData = 0;
        if (_parts[index] != 0 || (uint)Volatile.Read(ref _words[0]) != 0)
            return false;
        userData = _words[1];
        _words += 2;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Take(bool isThere, ref ulong to)
    {
        if (isThere)
        {
            to = _words[0];
            Unsafe.Add(ref to, 1) = _words[1];
            Unsafe.Add(ref to, 2) = _words[2];
            _words += 3;
        }
        else
        {
            to = Unsafe.Add(ref to, 1) = Unsafe.Add(ref to, 2) = 0;
        }
    }
}
