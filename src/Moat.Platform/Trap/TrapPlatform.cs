using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The platform that needs no privilege: each address space is a stub process whose system calls the host turns into
/// SIGSYS (seccomp, SECCOMP_RET_TRAP); a handler in the stub hands them to the sentry through shared memory.
/// </summary>
public sealed class TrapPlatform : GuestPlatform
{
    private readonly MemoryFile _memory;
    private readonly Lock _gate = new();
    private readonly HashSet<TrapAddressSpace> _spaces = [];
    private readonly Lock _templateGate = new();
    private TrapAddressSpace? _template;
    private FpuFormat? _fpu;
    private bool _disposed;

    /// <summary>Makes the platform. Throws <see cref="HostException"/> when the host refuses what it needs.</summary>
    public TrapPlatform(MemoryFile memory)
        : this(memory, HostCpu.HasFsGsBase)
    {
    }

    internal TrapPlatform(MemoryFile memory, bool useFsGsBase)
    {
        ArgumentNullException.ThrowIfNull(memory);
        _memory = memory;
        HasFsGsBase = useFsGsBase;
        Image = StubImage.Create(useFsGsBase);
        MemoryFd = HostSyscall.MoveHigh((int)HostSyscall.Call(32 /* dup */, memory.Fd));
        HostException.Check(MemoryFd, "dup of the memory file");
        Keeper = new StubKeeper();
    }

    /// <inheritdoc/>
    public override MemoryFile Memory => _memory;

    /// <inheritdoc/>
    public override ulong MinAddress => 0;

    /// <inheritdoc/>
    public override ulong MaxAddress => StubLayout.GuestMax;

    /// <inheritdoc/>
    public override ulong Vdso => GetTemplate().Vdso;

    internal StubImage Image { get; }

    internal StubKeeper Keeper { get; }

    internal int MemoryFd { get; }

    internal bool HasFsGsBase { get; }

    /// <summary>The form of FPU frames; known once the first thread exists.</summary>
    internal FpuFormat? Fpu => Volatile.Read(ref _fpu);

    /// <inheritdoc/>
    public override AddressSpace CreateAddressSpace()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        TrapAddressSpace template = GetTemplate();
        try
        {
            return template.Fork();
        }
        catch (HostException) when (template.IsDead)
        {
            // Somebody killed it.
            return GetTemplate().Fork();
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        TrapAddressSpace[] spaces;
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
            spaces = [.. _spaces];
        }

        foreach (TrapAddressSpace space in spaces)
            space.Dispose();
        Keeper.Dispose();
        HostSyscall.Close(Image.Fd);
        HostSyscall.Close(MemoryFd);
    }

    // A stub that never runs a guest: copying it takes a third of the time that starting one does.
    private TrapAddressSpace GetTemplate()
    {
        lock (_templateGate)
        {
            if (_template is { IsDead: false } template)
                return template;
            _template?.Dispose();
            _template = new TrapAddressSpace(this);
            Add(_template);
            return _template;
        }
    }

    internal void Add(TrapAddressSpace space)
    {
        lock (_gate)
            _spaces.Add(space);
    }

    internal void Remove(TrapAddressSpace space)
    {
        lock (_gate)
            _spaces.Remove(space);
    }

    // The first thread of all has run no guest code, so its frame can be believed.
    internal void LearnFpu(ReadOnlySpan<byte> slot, int fpuOffset)
    {
        if (Fpu is null)
            Interlocked.CompareExchange(ref _fpu, FpuFormat.Read(slot, fpuOffset), null);
    }
}
