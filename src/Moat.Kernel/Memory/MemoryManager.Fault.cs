using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>What follows from a guest fault: resume the guest, or deliver a signal with this siginfo.</summary>
internal readonly struct FaultOutcome
{
    /// <summary>The cause is removed: the instruction runs again.</summary>
    public bool Resume { get; init; }

    /// <summary>Signal number; 0 with <see cref="Resume"/>.</summary>
    public int Signal { get; init; }

    /// <summary>si_code.</summary>
    public int Code { get; init; }

    /// <summary>si_addr.</summary>
    public ulong Address { get; init; }
}

internal sealed partial class MemoryManager
{
    private const int SIGBUS = 7, SIGSEGV = 11, SEGV_MAPERR = 1, SEGV_ACCERR = 2, SEGV_PKUERR = 4, BUS_ADRERR = 2;
    private const ulong PageFault = 14, WriteFault = 2, FetchFault = 16;

    /// <summary>
    /// Looks at a synchronous fault of the guest: makes present what is only reserved, grows stacks, or says which signal it is.
    /// Faults that memory cannot cause are passed on as they are.
    /// </summary>
    public FaultOutcome HandleFault(in GuestFault fault)
    {
        if (fault.Signal is not (SIGSEGV or SIGBUS) || fault.TrapNumber != PageFault)
            return new FaultOutcome { Signal = fault.Signal, Code = fault.Code, Address = fault.Address };
        MapAccess needed = (fault.ErrorCode & WriteFault) != 0 ? MapAccess.Write
            : (fault.ErrorCode & FetchFault) != 0 ? MapAccess.Execute
            : MapAccess.Read | MapAccess.Write;
        _access.EnterWrite();
        (int signal, int code) = HandleFaultLocked(fault, needed);
        _access.ExitWrite();
        return new FaultOutcome { Resume = signal == 0, Signal = signal, Code = code, Address = fault.Address };
    }

    private (int Signal, int Code) HandleFaultLocked(in GuestFault fault, MapAccess needed)
    {
        Vma? vma = _vmas.Find(fault.Address) ?? GrowStack(fault.Address);
        if (vma is null || vma.IsGuard)
            return (SIGSEGV, SEGV_MAPERR);
        // Execute-only memory is guarded by a protection key where the machine has them.
        if (fault.Signal == SIGSEGV && fault.Code == SEGV_PKUERR)
            return (SIGSEGV, SEGV_PKUERR);
        if ((vma.Access & needed) == 0)
            return (SIGSEGV, SEGV_ACCERR);
        if (needed == MapAccess.Write && vma.IsBorrowed)
            return CopyForFault(vma, PageDown(fault.Address)) ? (0, 0) : (SIGBUS, BUS_ADRERR);
        if (fault.Signal == SIGBUS)
            return (SIGBUS, fault.Code);
        if (vma.Kind == VmaKind.Reserved)
        {
            // A file piece beyond the end: the file may have grown since it was mapped.
            if (vma.IsSpecial || Remake(vma, vma.Access) != Errno.OK || _vmas.Find(fault.Address)?.Kind is null or VmaKind.Reserved)
                return (SIGBUS, BUS_ADRERR);
            return (0, 0);
        }
        // Another thread changed the mapping between the fault and now, or the guest lost it: put it there again.
        return MapInGuest(vma, hadPages: false) >= 0 ? (0, 0) : (SIGBUS, BUS_ADRERR);
    }

    /// <summary>
    /// A file in memory shrank: its pages from an offset on disappear from the guest, until a fault finds them there again.
    /// </summary>
    internal void DropBeyond(FileMappers file, ulong offset)
    {
        _access.EnterWrite();
        for (int i = 0; i < _vmas.Count; i++)
        {
            Vma vma = _vmas[i];
            // Private copies of what the file has no more go too.
            if (vma.Kind is not (VmaKind.FileMemory or VmaKind.Frames) || vma.FileOffset + vma.Length <= offset || vma.File is null || !ReferenceEquals(vma.File.Mappers, file))
                continue;
            if (vma.FileOffset < offset)
            {
                _vmas.SplitAt(vma.Start + (offset - vma.FileOffset));
                continue;
            }
            if (Space.Unmap(vma.Start, vma.Length) < 0)
                continue;
            if (vma.Kind == VmaKind.Frames)
                Frames.Free(vma.Offset, vma.Length);
            vma.Kind = VmaKind.Reserved;
            vma.SharesFrames = false;
        }
        _access.ExitWrite();
    }

    /// <summary>Extends a mapping that grows down to an address below it; null when there is none or it may not.</summary>
    private Vma? GrowStack(ulong address)
    {
        int i = _vmas.IndexAtOrAbove(address);
        if (i == _vmas.Count || (_vmas[i].Flags & VmaFlags.GrowsDown) == 0)
            return null;
        Vma stack = _vmas[i];
        ulong start = PageDown(address);
        if (start < MinAddress || stack.End - start > StackLimit)
            return null;
        if (i > 0 && _vmas[i - 1].Access != MapAccess.None && start - _vmas[i - 1].End < StackGuardGap)
            return null;
        if (i > 0 && _vmas[i - 1].End > start)
            return null;
        MapRequest request = new()
        {
            Address = start,
            Length = stack.Start - start,
            Access = stack.Access,
            MaxAccess = stack.MaxAccess,
            Flags = stack.Flags,
            Fixed = true,
            IsOwed = true,
        };
        return MapLocked(in request).IsError ? null : _vmas.Find(address);
    }
}
