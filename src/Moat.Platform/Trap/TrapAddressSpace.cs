using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>A stub process and the slot file that the sentry shares with it.</summary>
public sealed unsafe partial class TrapAddressSpace : AddressSpace
{
    internal const int SIGKILL = 9;
    private const ulong FileChunk = 16 * Slot.Size;

    private readonly TrapPlatform _platform;

    // Guards the slots and their threads. Nothing is taken under it.
    private readonly Lock _slotsGate = new();
    private TrapThread?[] _threads = new TrapThread?[4];
    private readonly Stack<int> _free = new();
    private readonly Queue<int> _dying = new();
    private int _slotsUsed;
    private ulong _fileSize = Control.Size;

    private byte* _base;
    private int _slotsFd = -1, _socket = -1, _stubSocket = -1;
    private int _pid;
    private int _users = 1;
    private int _disposed;
    private int _senders;
    private int _closing;
    private volatile bool _dead, _killed;
    private ulong _vdso;

    internal TrapAddressSpace(TrapPlatform platform)
    {
        _platform = platform;
        try
        {
            OpenFiles();
            Boot();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override ulong Vdso => _vdso;

    /// <summary>Process id of the stub.</summary>
    internal int Pid => _pid;

    internal int PidFd { get; private set; } = -1;

    /// <summary>The keeper's name for this address space; 0 before it watches.</summary>
    internal ulong WatchName { get; set; }

    internal TrapPlatform Platform => _platform;

    internal bool IsDead => _dead;

    /// <summary>The sentry itself ends or has ended the stub.</summary>
    internal bool IsKilled => _killed;

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _killed = true;
        if (PidFd >= 0)
        {
            _platform.Keeper.Forget(this);
            HostSyscall.PidfdSendSignal(PidFd, SIGKILL);

            // Nobody may signal by number once the number can belong to someone else.
            Interlocked.Exchange(ref _closing, 1);
            var wait = default(SpinWait);
            while (Volatile.Read(ref _senders) != 0)
                wait.SpinOnce();
            HostSyscall.WaitPidfd(PidFd, block: true);
            OnStubDeath();
        }

        lock (_requestGate)
        {
            CloseFd(ref _slotsFd);
            CloseFd(ref _socket);
            CloseFd(ref _stubSocket);
            int pidfd = PidFd;
            PidFd = -1;
            CloseFd(ref pidfd);
        }

        _platform.Remove(this);
        ReleaseSlots();
    }

    /// <summary>Starts the stub process; runs on the keeper's thread. Returns 0 or -errno.</summary>
    internal int Spawn()
    {
        int pid = ChildProcess.Spawn(_platform.Image.Fd, _slotsFd, _platform.MemoryFd, _stubSocket, "moat-stub\0"u8, out int pidfd);
        if (pid < 0)
            return pid;
        _pid = pid;
        PidFd = pidfd;
        return 0;
    }

    /// <summary>The stub has ended: everyone who waits for it learns of it. May run twice.</summary>
    internal void OnStubDeath()
    {
        _dead = true;
        uint* done = (uint*)(_base + Control.Done);
        Volatile.Write(ref *done, uint.MaxValue);
        HostSyscall.FutexWake(done, int.MaxValue);
        lock (_slotsGate)
        {
            for (var i = 0; i < _slotsUsed; i++)
                _threads[i]?.WakeDead();
        }
    }

    /// <inheritdoc/>
    public override void Kill()
    {
        _killed = true;
        Interlocked.Increment(ref _senders);
        if (Volatile.Read(ref _closing) == 0)
            HostSyscall.PidfdSendSignal(PidFd, SIGKILL);
        Interlocked.Decrement(ref _senders);
    }

    /// <summary>Signals one thread of the stub. Allocates nothing, never blocks.</summary>
    internal void Signal(int tid, int signal)
    {
        Interlocked.Increment(ref _senders);
        if (Volatile.Read(ref _closing) == 0)
            HostSyscall.Tgkill(_pid, tid, signal);
        Interlocked.Decrement(ref _senders);
    }

    /// <summary>One user of the slot mapping less; the last one unmaps it.</summary>
    internal void ReleaseSlots()
    {
        if (Interlocked.Decrement(ref _users) != 0 || _base == null)
            return;
        HostSyscall.Munmap(_base, StubLayout.SlotsSize);
        _base = null;
    }

    private static void CloseFd(ref int fd)
    {
        if (fd >= 0)
            HostSyscall.Close(fd);
        fd = -1;
    }

    private void OpenFiles()
    {
        _slotsFd = HostSyscall.MoveHigh(HostSyscall.MemfdCreate("moat-slots\0"u8, 1 /* MFD_CLOEXEC */));
        HostException.Check(_slotsFd, "memfd_create");
        HostException.Check(HostSyscall.Ftruncate(_slotsFd, _fileSize), "ftruncate of the slot file");
        const int PROT_READ = 1, PROT_WRITE = 2, MAP_NORESERVE = 0x4000;
        long address = HostSyscall.Mmap(
            null, StubLayout.SlotsSize, PROT_READ | PROT_WRITE, (int)MAP_SHARED | MAP_NORESERVE, _slotsFd, 0);
        HostException.Check(address, "mapping the slot file");
        _base = (byte*)address;
        HostException.Check(HostSyscall.SocketPair(out _socket, out _stubSocket), "socketpair");
        _socket = HostSyscall.MoveHigh(_socket);
        HostException.Check(_socket, "a descriptor");
        _stubSocket = HostSyscall.MoveHigh(_stubSocket);
        HostException.Check(_stubSocket, "a descriptor");
    }
}
