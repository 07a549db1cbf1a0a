namespace Moat.Platform.Trap;

/// <summary>
/// The slot: 64 KiB shared by one guest thread and the sentry. Offsets in bytes. The guest can write all of it, at any time.
/// </summary>
internal static class Slot
{
    /// <summary>Size and alignment.</summary>
    public const ulong Size = 0x10000;

    // The first line carries a system call and its result, so that a round trip moves one cache line there and back: with event
    // and command on lines of their own it takes twice as long. Event, number, kind and arguments are written by the stub,
    // command, operation and result by the sentry, in turns.
    // Event is also the word that the host clears when the thread ends (CLONE_CHILD_CLEARTID): event numbers are never zero,
    // and zero says that the thread is gone.
    public const int Event = 0x000, Command = 0x004, Number = 0x008, Kind = 0x00C, Operation = 0x00E, Arguments = 0x010;

    /// <summary>Where the first argument was: the result, or the number of the host call that the stub shall make.</summary>
    public const int Result = Arguments;

    /// <summary>C0 to C5 of a command; written by the sentry only.</summary>
    public const int CommandArguments = 0x050;

    // Each flag is written by its owner only.
    public const int SentrySleeps = 0x080, StubSleeps = 0x0C0;

    /// <summary>How long the stub may spin for a reply, in steps; written by the sentry only.</summary>
    public const int Spins = 0x100;

    /// <summary>
    /// Lines that the guest will touch, as <see cref="GuestLines"/> has them; written by the sentry only, which sends them behind a result.
    /// </summary>
    public const int Lines = 0x180, LineRanges = 3;

    // The fast path: where a patched call returns to; the stub's own address of the slot (written by the sentry); RDI, RSI, RDX, R10, R8
    // and R9 while the stub sleeps or gathers.
    public const int FastRip = 0x140, Self = 0x148, FastSaved = 0x240;

    // The submission ring whose entries the stub gathers (SubmissionRing): its descriptor, mask and addresses; written by the sentry only.
    public const int GatherDescriptor = 0x200, GatherMask = 0x204, GatherEntries = 0x208, GatherArray = 0x210, GatherWords = 0x218;

    // What it has gathered: after which event, the first place, how many entries, how many bytes of words; a byte for each entry with its
    // parts, and their words: 0 and 4 of each entry, then 1 to 3 if it has addresses, then 5 to 7 if it has others.
    public const int GatheredEvent = 0x2C0, GatheredFirst = 0x2C4, GatheredCount = 0x2C8, GatheredBytes = 0x2CC, GatheredParts = 0x2D0;
    public const int GatheredWords = 0x300, HasAddresses = 1, HasOthers = 2;

    /// <summary>Entries that are gathered at most, and below which gathering does not pay; bytes that each takes at most.</summary>
    public const int MostGathered = 48, LeastGathered = 4, EntryBytes = 64;

    // The SIGNAL event: u32 number, u32 si_code, u64 addresses of siginfo and ucontext; u32 si_arch. The DONE event: a result.
    // Context and bases are there after a CALL event as well.
    public const int SignalNumber = 0x1C0, SignalCode = 0x1C4, SignalInfo = 0x1C8, Context = 0x1D0, HostResult = 0x1D8;
    public const int FsBase = 0x1E0, GsBase = 0x1E8, SignalArch = 0x1F0;

    /// <summary>End of the stack that a new thread boots on; the signal stack begins here.</summary>
    public const int SignalStack = 0x1000;

    /// <summary>
    /// Values of <see cref="Kind"/>, the low bits of a word of 16. A CALL is a SIGSYS whose number and arguments the stub has copied to the first
    /// line.
    /// </summary>
    public const ushort KindSignal = 1, KindFast = 2, KindDone = 3, KindStart = 4, KindCall = 5;

    /// <summary>
    /// Values of <see cref="Operation"/>, the low bits of a word of 16. Resume: C0 bit 0 sets FS base to C1, bit 1 GS base to C2. Result: the same, with
    /// <see cref="Result"/> to rax. SystemCall: the number in <see cref="Result"/>, C0 to C5. Trap: after a FAST event, make the call again
    /// as a trap, so that there is a frame. ResultLines: after a FAST event, Result and behind it what is in <see cref="Lines"/>. Clone and SetFs are
    /// reserved.
    /// </summary>
    public const ushort OpResume = 1, OpSystemCall = 2, OpTrap = 3, OpClone = 4, OpSetFs = 5, OpExit = 6, OpResult = 7, OpResultLines = 8;

    /// <summary>
    /// Above kind and operation each side notes the processor it ran on. Nobody spins for the one whose core he takes; with processors beyond the
    /// width of the note two may be taken for one, and then sleep.
    /// </summary>
    public const int CoreShift = 4, KindMask = (1 << CoreShift) - 1;

    // Offsets in the host's struct ucontext and siginfo_t.
    public const int ContextRegisters = 40, ContextRax = ContextRegisters + 13 * 8, ContextRip = ContextRegisters + 16 * 8;
    public const int ContextStack = 16, ContextFpuPointer = 224, ContextMask = 296, ContextEnd = 304;
    public const int InfoCode = 8, InfoAddress = 16, InfoSize = 128;
}

/// <summary>
/// The control area at the start of the slot file: requests to the service thread. The guest can read its first half and
/// write none of it: results come as pwrite from memory that the guest cannot change.
/// </summary>
internal static class Control
{
    /// <summary>Size of the area; slots follow.</summary>
    public const ulong Size = 0x10000;

    /// <summary>Where the part begins that the stub can write.</summary>
    public const ulong Scratch = 0x8000;

    // Written by the sentry: request number, count of calls.
    public const int Request = 0x000, Count = 0x004;

    // Written by the service thread through its descriptor: number of the request that is done; its first error.
    public const int Done = 0x080, Error = 0x084;

    /// <summary>stack_t of the thread being made.</summary>
    public const int StackT = 0x0C0;

    /// <summary>Host calls: u32 number, u32 flags, u64 unused, six arguments; 64 bytes each.</summary>
    public const int Calls = 0x100, CallSize = 64, MaxCalls = 48;

    /// <summary>In place of a call's number: store the second argument at the address in the first, eight bytes in one go.</summary>
    public const uint Poke = 0xF000;

    // Patched call sites, in the part that the guest cannot write: addresses of entries, the entries, what follows a call.
    public const int PatchTable = 0x1000, PatchEntries = 0x2000, PatchTails = 0x6000, PatchEnd = 0x8000;

    /// <summary>Flags of a call: run it even after an error; its own error does not count.</summary>
    public const uint Always = 1, IgnoreError = 2;

    // In the writable part: what the stub found at its start, the new thread's id, the structures of recvmsg.
    public const int BootVdso = 0x8000, NewTid = 0x8010, MessageHeader = 0x8040, MessageVector = 0x8080;
    public const int MessageControl = 0x80A0, MessageData = 0x80C0;
}
