namespace Moat.Platform.Trap;

/// <summary>Where things lie in a stub process. Everything is above guest space.</summary>
internal static class StubLayout
{
    /// <summary>The image: ELF headers, guest page, service page, data page.</summary>
    public const ulong Image = 0x7000_0000_0000;

    /// <summary>Code that guest threads run between their events. Its system call instructions are theirs.</summary>
    public const ulong GuestCode = Image + 0x1000;

    /// <summary>Code of the service thread and of a new thread's start.</summary>
    public const ulong ServiceCode = Image + 0x2000;

    /// <summary>Constants, filters, and the instruction that traps on purpose.</summary>
    public const ulong Data = Image + 0x3000;

    /// <summary>Bytes of the image.</summary>
    public const ulong ImageSize = 0x4000;

    /// <summary>Addresses of patch entries, within reach of an absolute jump; the guest can map nothing there.</summary>
    public const ulong PatchTable = 0x6_0000;

    /// <summary>Code of patched call sites: <see cref="Control.PatchEntries"/> up to <see cref="Control.PatchEnd"/>.</summary>
    public const ulong PatchCode = Image + 0x10_0000;

    /// <summary>The part of <see cref="PatchCode"/> where calls have returned: guest code again.</summary>
    public const ulong PatchTails = PatchCode + Control.PatchTails - Control.PatchEntries;

    /// <summary>The slot file: control area, then slots.</summary>
    public const ulong Slots = 0x7001_0000_0000;

    /// <summary>Most guest threads of one address space.</summary>
    public const int MaxSlots = 16383;

    /// <summary>Bytes mapped at <see cref="Slots"/>; the file grows into them.</summary>
    public const ulong SlotsSize = Control.Size + MaxSlots * Slot.Size;

    /// <summary>First impossible guest address. There is no lowest: page 0 is the guest's too, where the host allows it.</summary>
    public const ulong GuestMax = 0x6fff_0000_0000;

    // Data page, offsets. ErrorTable: u32 i at index i, the source of error results.
    public const int ErrorTable = 0x000, ErrorCount = 256, Sigaction = 0x400, EmptyMask = 0x440;
    public const int ServiceFilter = 0x448, GuestFilter = 0x458, Filters = 0x480, TrapInstruction = 0xF00;

    // Descriptors of the stub.
    public const int SlotsFd = 0, MemoryFd = 1, SocketFd = 2, ReceivedFd = 3;
}
