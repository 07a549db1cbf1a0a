using Moat.Host;

namespace Moat.Platform;

/// <summary>Access of a guest mapping: the PROT_ bits of mmap(2).</summary>
[Flags]
public enum MapAccess
{
    /// <summary>PROT_NONE.</summary>
    None = 0,

    /// <summary>PROT_READ.</summary>
    Read = 1,

    /// <summary>PROT_WRITE.</summary>
    Write = 2,

    /// <summary>PROT_EXEC.</summary>
    Execute = 4,
}

/// <summary>Guest execution: makes address spaces. The waist between the kernel and the way guests run.</summary>
public abstract class GuestPlatform : IDisposable
{
    /// <summary>The memory file that backs guest memory.</summary>
    public abstract MemoryFile Memory { get; }

    /// <summary>Lowest address that a guest may map, bytes.</summary>
    public abstract ulong MinAddress { get; }

    /// <summary>First address above guest space, bytes; everything from here on is the platform's or the host's.</summary>
    public abstract ulong MaxAddress { get; }

    /// <summary>
    /// Told of each address space whose guest execution ended although nobody here asked for it, by <see cref="AddressSpace.Kill"/> or
    /// Dispose: whatever its threads wait for outside the guest, they never run again. Called on a thread of the platform.
    /// </summary>
    public Action<AddressSpace>? Lost { get; set; }

    /// <summary>Where address spaces have a vDSO image; 0 if there is none. Throws <see cref="HostException"/> when the host refuses.</summary>
    public abstract ulong Vdso { get; }

    /// <summary>Makes an empty address space. Throws <see cref="HostException"/> when the host refuses.</summary>
    public abstract AddressSpace CreateAddressSpace();

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>What <see cref="AddressSpace.Apply"/> does to a range.</summary>
public enum MapChangeKind
{
    /// <summary>As <see cref="AddressSpace.MapMemory"/>.</summary>
    MapMemory,

    /// <summary>As <see cref="AddressSpace.MapHostFile"/>.</summary>
    MapHostFile,

    /// <summary>As <see cref="AddressSpace.Unmap"/>.</summary>
    Unmap,

    /// <summary>As <see cref="AddressSpace.Protect"/>.</summary>
    Protect,

    /// <summary>As <see cref="AddressSpace.Populate"/>, for writing.</summary>
    Populate,
}

/// <summary>One change of an address space, of several that are made together.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Address">Where; page-aligned bytes.</param>
/// <param name="Length">How much; page-aligned bytes.</param>
/// <param name="FileOffset">Offset in the memory file or the host file, for a mapping.</param>
/// <param name="Access">Access afterwards, for a mapping or a protection.</param>
/// <param name="HostFd">The host file, for a mapping of one.</param>
/// <param name="IsShared">A host file is mapped MAP_SHARED.</param>
public readonly record struct MapChange(
    MapChangeKind Kind, ulong Address, ulong Length, ulong FileOffset = 0, MapAccess Access = MapAccess.None, int HostFd = -1, bool IsShared = false);

/// <summary>
/// One guest address space. Calls are serialized by the caller (the memory manager's write lock); each is
/// complete in the guest when it returns. Results: 0, or -errno of the host.
/// </summary>
public abstract class AddressSpace : IDisposable
{
    /// <summary>Where the guest finds a vDSO image (AT_SYSINFO_EHDR); 0 if there is none.</summary>
    public abstract ulong Vdso { get; }

    /// <summary>Maps memory-file bytes, replacing what was there. Addresses, lengths, offsets: page-aligned bytes.</summary>
    public abstract int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access);

    /// <summary>
    /// Maps a host file, replacing what was there. <paramref name="shared"/> false maps MAP_PRIVATE and must
    /// not be writable; true maps MAP_SHARED with the descriptor's own rights. The descriptor may be closed afterwards.
    /// </summary>
    public abstract int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared);

    /// <summary>Removes all mappings in a range.</summary>
    public abstract int Unmap(ulong address, ulong length);

    /// <summary>Changes access of a range that is mapped throughout.</summary>
    public abstract int Protect(ulong address, ulong length, MapAccess access);

    /// <summary>Populates a range (MADV_POPULATE_WRITE or _READ), so that later touches do not fault. Errors are harmless.</summary>
    public abstract int Populate(ulong address, ulong length, bool write);

    /// <summary>
    /// A memory barrier on every processor that runs guest threads (membarrier(2)); <paramref name="core"/>: one that makes changed code
    /// visible to them as well.
    /// </summary>
    public abstract int Barrier(bool core);

    /// <summary>
    /// Makes several changes in order, at the price of one where the platform can. 0, or -errno of the first that failed; those
    /// behind it are not made.
    /// </summary>
    public virtual int Apply(ReadOnlySpan<MapChange> changes)
    {
        foreach (MapChange change in changes)
        {
            int result = change.Kind switch
            {
                MapChangeKind.MapMemory => MapMemory(change.Address, change.Length, change.FileOffset, change.Access),
                MapChangeKind.MapHostFile
                    => MapHostFile(change.Address, change.Length, change.HostFd, change.FileOffset, change.Access, change.IsShared),
                MapChangeKind.Unmap => Unmap(change.Address, change.Length),
                MapChangeKind.Protect => Protect(change.Address, change.Length, change.Access),
                _ => Populate(change.Address, change.Length, write: true),
            };
            if (result < 0)
                return result;
        }

        return 0;
    }

    /// <summary>The address space never had another thread than one, so that it can take another program (<see cref="Replace"/>).</summary>
    public virtual bool CanReplace => false;

    /// <summary>
    /// Another program (execve(2)): everything that is mapped goes, the changes are made, and the only thread, which is stopped, is as new. 0, or
    /// -errno: then the address space is of no use any more. For programs of the same rights: what the old one left in its thread's slot is not wiped.
    /// </summary>
    public virtual int Replace(GuestThread thread, ReadOnlySpan<MapChange> changes) => throw new NotSupportedException();

    /// <summary>
    /// Makes an address space that maps what this one maps, patched system call instructions included, and has no threads. What the
    /// two shall not share the caller maps anew. Throws <see cref="HostException"/> when the host refuses.
    /// </summary>
    public abstract AddressSpace Fork();

    /// <summary>
    /// Replaces a system call instruction by something faster, if the code around it allows. <paramref name="code"/>: the bytes of the
    /// file that is mapped there, privately and not writable, with the instruction at <paramref name="offset"/>. The guest sees no
    /// difference but in its own code bytes. False: nothing was changed, and asking again is of no use.
    /// </summary>
    public virtual bool PatchCall(GuestThread thread, ulong site, ReadOnlySpan<byte> code, int offset) => false;

    /// <summary>
    /// Makes a guest thread that is ready for <see cref="GuestThread.Switch"/>; its registers are zero until set. Before it come
    /// <paramref name="changes"/>, at the price of none where the platform can. Any sentry thread may call it. Throws
    /// <see cref="HostException"/> when the host refuses (EAGAIN).
    /// </summary>
    public abstract GuestThread CreateThread(params ReadOnlySpan<MapChange> changes);

    /// <summary>
    /// Ends all guest execution at once: every <see cref="GuestThread.Switch"/> returns <see cref="StopReason.Died"/> soon.
    /// Unlike <see cref="GuestThread.Interrupt"/>, no guest can evade it. Any thread may call it; never blocks.
    /// </summary>
    public virtual void Kill() => Dispose();

    /// <summary>Ends all guest execution in this address space and frees it. Idempotent.</summary>
    public abstract void Dispose();
}

/// <summary>Why <see cref="GuestThread.Switch"/> returned.</summary>
public enum StopReason
{
    /// <summary>The guest executed a system call: number in Rax, arguments in Rdi, Rsi, Rdx, R10, R8, R9; Rip is past it.</summary>
    Syscall,

    /// <summary>The guest faulted: see <see cref="GuestThread.Fault"/>.</summary>
    Fault,

    /// <summary><see cref="GuestThread.Interrupt"/> was called; the registers are the guest's own.</summary>
    Interrupted,

    /// <summary>The stub died (killed from outside, or by its filter): this thread never runs again.</summary>
    Died,
}

/// <summary>A synchronous fault of the guest, as sigaction(2) describes siginfo_t.</summary>
public struct GuestFault
{
    /// <summary>SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP.</summary>
    public int Signal;

    /// <summary>si_code.</summary>
    public int Code;

    /// <summary>si_addr.</summary>
    public ulong Address;

    /// <summary>Trap number and error code of the frame (mcontext REG_TRAPNO, REG_ERR).</summary>
    public ulong TrapNumber, ErrorCode;
}

/// <summary>Guest registers, in the order of the kernel's mcontext_t (sigcontext, asm/sigcontext.h).</summary>
public struct GuestRegisters
{
#pragma warning disable CS1591 // The registers' own names.
    public ulong R8, R9, R10, R11, R12, R13, R14, R15;
    public ulong Rdi, Rsi, Rbp, Rbx, Rdx, Rax, Rcx, Rsp, Rip, Rflags;
    public ushort Cs, Gs, Fs, Ss;
    public ulong Err, TrapNo, OldMask, Cr2;
#pragma warning restore CS1591
}

/// <summary>A system call as the guest made it: number (rax) and arguments (rdi, rsi, rdx, r10, r8, r9).</summary>
public struct GuestCall
{
    /// <summary>The low half of rax; the other half means nothing.</summary>
    public uint Number;

    /// <summary>The arguments, in order.</summary>
    public ulong A0, A1, A2, A3, A4, A5;
}

/// <summary>Ranges of cache lines in guest memory: hints, whatever is there. Made by <see cref="Range"/>; 0: none.</summary>
public struct GuestLines
{
    /// <summary>Lines that the guest is about to read.</summary>
    public ulong Results;

    /// <summary>Lines that it is about to write, or to read and write.</summary>
    public ulong Shared;

    /// <summary>Lines that it writes before its next call.</summary>
    public ulong Requests;

    /// <summary>Above the address is the count.</summary>
    internal const int CountShift = 48;

    /// <summary>The lines that hold so many bytes, at most 65,535 lines.</summary>
    public static ulong Range(ulong address, ulong bytes)
    {
        const ulong Line = Moat.Host.CacheLines.Size, Most = (1UL << (64 - CountShift)) - 1;
        if (bytes == 0)
            return 0;
        ulong first = address & ~(Line - 1), count = Math.Min((address + bytes - first + Line - 1) / Line, Most);
        return (first & ((1UL << CountShift) - 1)) | (count << CountShift);
    }
}

/// <summary>
/// One guest thread. Owned by one sentry thread, which alone calls everything here but <see cref="Interrupt"/>.
/// Registers and FPU state live in memory that the guest can write: read each word once, trust none.
/// </summary>
public abstract class GuestThread : IDisposable
{
    /// <summary>The guest's registers, in place; valid while the sentry has control.</summary>
    public abstract ref GuestRegisters Registers { get; }

    /// <summary>
    /// The call, after <see cref="StopReason.Syscall"/>: what <see cref="Registers"/> holds, at less cost, since the
    /// registers stay where the guest runs until somebody asks for them.
    /// </summary>
    public virtual GuestCall Call
    {
        get
        {
            ref GuestRegisters r = ref Registers;
            return new GuestCall { Number = (uint)r.Rax, A0 = r.Rdi, A1 = r.Rsi, A2 = r.Rdx, A3 = r.R10, A4 = r.R8, A5 = r.R9 };
        }
    }

    /// <summary>
    /// Sets the guest's rax, at less cost than through <see cref="Registers"/>, of which a reference taken earlier does not
    /// show it.
    /// </summary>
    public virtual void SetResult(ulong value) => Registers.Rax = value;

    /// <summary>
    /// After <see cref="StopReason.Syscall"/>: memory that the guest will touch next and the sentry just did. Whoever runs the guest may bring
    /// it to that core with the result, all of it at once, before the guest asks for one line after the other.
    /// </summary>
    public virtual void Expect(in GuestLines lines)
    {
    }

    /// <summary>The ring whose entries the guest's core gathers for io_uring_enter(2); null: none.</summary>
    public virtual SubmissionRing? Gathers => null;

    /// <summary>
    /// In an io_uring_enter(2): from the next one with this descriptor on, the guest's core may hand over the new entries of that ring with
    /// the call. It has them at hand, and what is not zero of them takes fewer lines.
    /// </summary>
    public virtual void Gather(SubmissionRing ring)
    {
    }

    /// <summary>In an io_uring_enter(2): what came with the call. False: nothing. Valid until the guest runs again.</summary>
    public virtual bool TryTakeGathered(out GatheredEntries entries)
    {
        entries = default;
        return false;
    }

    /// <summary>
    /// The guest's FPU state, in place: an XSAVE area in the form the kernel puts into a signal frame
    /// (struct _fpstate with its fp_sw magic), length as CPUID 0xD gives for the enabled features plus the trailing magic word.
    /// </summary>
    public abstract Span<byte> FpuState { get; }

    /// <summary>
    /// Writes a signal frame's FPU state back (rt_sigreturn). Invalid headers are repaired so that resuming cannot fail:
    /// false when the state is rejected and the initial state was put in place of it.
    /// </summary>
    public abstract bool RestoreFpuState(ReadOnlySpan<byte> state);

    /// <summary>Puts the FPU into its initial state (a new program, a signal handler's start).</summary>
    public abstract void ResetFpuState();

    /// <summary>
    /// The address of a system call instruction that this thread executes often and that could be patched
    /// (<see cref="AddressSpace.PatchCall"/>); 0: none. Told once, after a stop for a system call.
    /// </summary>
    public virtual ulong TakeHotCall() => 0;

    /// <summary>Resumes the guest and waits until it stops.</summary>
    public abstract StopReason Switch();

    /// <summary>The fault, after <see cref="StopReason.Fault"/>.</summary>
    public abstract GuestFault Fault { get; }

    /// <summary>FS base: the guest's thread pointer.</summary>
    public abstract ulong FsBase { get; set; }

    /// <summary>GS base. Setting it costs a host call at the next switch.</summary>
    public abstract ulong GsBase { get; set; }

    /// <summary>
    /// Makes the current or the next <see cref="Switch"/> return <see cref="StopReason.Interrupted"/> soon, unless it
    /// returns for another reason first (then the request is consumed). Any thread may call it; never blocks.
    /// A guest that is written to evade it can: what must end goes by <see cref="AddressSpace.Kill"/>.
    /// </summary>
    public abstract void Interrupt();

    /// <summary>
    /// On which processors the guest's code may run, a bit each; null: on all. Any thread may call it. Platforms that do not choose let it run anywhere.
    /// </summary>
    public virtual void SetProcessors(byte[]? mask)
    {
    }

    /// <summary>Processor time that the guest's code has used, nanoseconds. Any thread may ask; 0 when it is not known.</summary>
    public virtual long GetCpuTime() => 0;

    /// <summary>
    /// The owner is about to sleep in the sentry: the thread no longer counts as runnable, and nobody spins for it.
    /// </summary>
    public virtual void BeginBlock()
    {
    }

    /// <summary>After <see cref="BeginBlock"/>: spins a little for what ends the wait, if a core is free for that and it pays.</summary>
    public virtual void SpinBlocked(Moat.Host.Parker parker)
    {
    }

    /// <summary>The owner is awake again.</summary>
    public virtual void EndBlock()
    {
    }

    /// <summary>Ends the stub thread. Idempotent.</summary>
    public abstract void Dispose();
}
