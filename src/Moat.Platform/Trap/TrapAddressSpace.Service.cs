using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>Requests to the service thread: several host calls in one hand-off.</summary>
public sealed unsafe partial class TrapAddressSpace
{
    private const uint SYS_close = 3, SYS_mmap = 9, SYS_mprotect = 10, SYS_munmap = 11, SYS_madvise = 28, SYS_recvmsg = 47, SYS_membarrier = 324;
    private const int EINVAL = 22, ESRCH = 3;
    private const ulong MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10;

    // One request at a time.
    private readonly Lock _requestGate = new();
    private uint _request;
    private int _calls;

    // The core that the service thread is bound to; -1: any.
    private int _serviceCore = -1;

    /// <inheritdoc/>
    public override int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access)
        => Apply([new MapChange(MapChangeKind.MapMemory, address, length, fileOffset, access)]);

    /// <inheritdoc/>
    public override int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared)
        => Apply([new MapChange(MapChangeKind.MapHostFile, address, length, fileOffset, access, hostFd, shared)]);

    /// <inheritdoc/>
    public override int Unmap(ulong address, ulong length) => Apply([new MapChange(MapChangeKind.Unmap, address, length)]);

    /// <inheritdoc/>
    public override int Protect(ulong address, ulong length, MapAccess access)
        => Apply([new MapChange(MapChangeKind.Protect, address, length, 0, access)]);

    /// <inheritdoc/>
    public override int Populate(ulong address, ulong length, bool write)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            Add(SYS_madvise, 0, address, length, write ? 23u : 22u /* MADV_POPULATE_WRITE, _READ */);
            return RunRequest();
        }
    }

    /// <inheritdoc/>
    public override int Barrier(bool core)
    {
        const uint PrivateExpedited = 8, RegisterPrivateExpedited = 16, PrivateExpeditedCore = 32, RegisterPrivateExpeditedCore = 64;
        lock (_requestGate)
        {
            // Registering again costs next to nothing.
            Add(SYS_membarrier, 0, core ? RegisterPrivateExpeditedCore : RegisterPrivateExpedited);
            Add(SYS_membarrier, 0, core ? PrivateExpeditedCore : PrivateExpedited);
            return RunRequest();
        }
    }

    /// <inheritdoc/>
    public override int Apply(ReadOnlySpan<MapChange> changes)
    {
        lock (_requestGate)
        {
            int result = Gather(changes);
            return result < 0 ? result : RunRequest();
        }
    }

    /// <inheritdoc/>
    public override int Replace(GuestThread thread, ReadOnlySpan<MapChange> changes)
    {
        var only = (TrapThread)thread;
        // It stands in a patched call, perhaps: so its state is asked for while the patches are known.
        _ = only.Registers;
        lock (_requestGate)
        {
            Volatile.Write(ref _patches, null);
            _patchingStopped = false;
            Add(SYS_munmap, 0, 0, StubLayout.PatchTable);
            Add(SYS_munmap, 0, StubLayout.PatchTable + 0x1000, StubLayout.GuestMax - StubLayout.PatchTable - 0x1000);
            int result = Apply(changes);
            if (result >= 0)
                only.Begin();
            return result;
        }
    }

    // Adds changes to the request under construction and runs it whenever it is full.
    private int Gather(ReadOnlySpan<MapChange> changes)
    {
        const int MostOfOneChange = 3, Reserve = 1;
        foreach (ref readonly MapChange change in changes)
        {
            int result = _calls > Control.MaxCalls - MostOfOneChange - Reserve ? RunRequest() : 0;
            if (result >= 0)
                result = Add(in change);
            if (result < 0)
            {
                _calls = 0;
                KillIfUnreceived(result);
                return result;
            }
        }

        return 0;
    }

    private int Add(in MapChange change)
    {
        if (!InGuestSpace(change.Address, change.Length))
            return -EINVAL;
        switch (change.Kind)
        {
            case MapChangeKind.MapMemory:
                DropPatches(change.Address, change.Length);
                Add(SYS_mmap, 0, change.Address, change.Length, (ulong)change.Access, MAP_SHARED | MAP_FIXED, StubLayout.MemoryFd, change.FileOffset);
                return 0;
            case MapChangeKind.MapHostFile:
                return AddHostFile(in change);
            case MapChangeKind.Unmap:
                DropPatches(change.Address, change.Length);
                Add(SYS_munmap, 0, change.Address, change.Length);
                return 0;
            case MapChangeKind.Protect:
                Add(SYS_mprotect, 0, change.Address, change.Length, (ulong)change.Access);
                return 0;
            default:
                Add(SYS_madvise, Control.IgnoreError, change.Address, change.Length, 23 /* MADV_POPULATE_WRITE */);
                return 0;
        }
    }

    private int AddHostFile(in MapChange change)
    {
        if (_dead)
            return -ESRCH;
        DropPatches(change.Address, change.Length);
        int sent = HostSyscall.SendDescriptors(_socket, change.HostFd);
        if (sent < 0)
            return sent;
        WriteMessageHeader();
        // The stub has no other descriptors, so the one that comes gets the lowest free number.
        Add(SYS_recvmsg, 0, StubLayout.SocketFd, StubLayout.Slots + Control.MessageHeader, 0x40 /* MSG_DONTWAIT */);
        Add(SYS_mmap, 0, change.Address, change.Length, (ulong)change.Access, (change.IsShared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED,
            StubLayout.ReceivedFd, change.FileOffset);
        Add(SYS_close, Control.Always | Control.IgnoreError, StubLayout.ReceivedFd);
        return 0;
    }

    private static bool InGuestSpace(ulong address, ulong length)
        => ((address | length) & 0xfff) == 0 && length != 0
            && address < StubLayout.GuestMax && length <= StubLayout.GuestMax - address
            && (address >= StubLayout.PatchTable + 0x1000 || address + length <= StubLayout.PatchTable);

    // Adds a host call to the request under construction. The caller holds the gate.
    private void Add(uint nr, uint flags, params ReadOnlySpan<ulong> arguments)
    {
        if (_dead)
            return; // RunRequest answers; the memory may be gone.
        if (_calls == Control.MaxCalls)
            throw new InvalidOperationException("too many host calls in one request");
        byte* call = _base + Control.Calls + _calls++ * Control.CallSize;
        *(uint*)call = nr;
        *(uint*)(call + 4) = flags;
        for (var i = 0; i < 6; i++)
            *(ulong*)(call + 16 + 8 * i) = i < arguments.Length ? arguments[i] : 0;
    }

    // Runs the request: 0, or -errno of the first host call that failed; the ones after it did not run, unless marked so.
    private int RunRequest()
    {
        if (_dead)
        {
            _calls = 0;
            return -ESRCH;
        }

        if (_calls == 0)
            return 0;
        *(uint*)(_base + Control.Count) = (uint)_calls;
        _calls = 0;
        *(uint*)(_base + Control.Error) = 0;
        uint* request = (uint*)(_base + Control.Request);
        PlaceService();
        Volatile.Write(ref *request, ++_request);
        HostSyscall.FutexWake(request, 1);
        int result = AwaitRequest();
        KillIfUnreceived(result);
        return result;
    }

    // The service thread runs on the core that its caller sleeps on: that one is free at once. On another it may have to wait for a guest
    // thread that spins, or for an idle core to wake, and a caller that spins for it takes the very core that it was woken on.
    private void PlaceService()
    {
        int core = HostAffinity.Current;
        if (core == _serviceCore || _pid == 0)
            return;
        _serviceCore = core;
        HostAffinity.Pin(_pid, core);
    }

    private int AwaitRequest()
    {
        uint* done = (uint*)(_base + Control.Done);
        while (true)
        {
            uint seen = Volatile.Read(ref *done);
            if (_dead)
                return -ESRCH;
            if (seen == _request)
                return -*(int*)(_base + Control.Error);
            HostSyscall.FutexWait(done, seen);
        }
    }

    // The message header is in memory that the guest can write. A descriptor that stays in the queue would be mapped in place of
    // the next one.
    private void KillIfUnreceived(int result)
    {
        if (result < 0 && HostSyscall.UnreceivedBytes(_socket) != 0)
            Kill();
    }

    private void WriteMessageHeader()
    {
        ulong* header = (ulong*)(_base + Control.MessageHeader);
        ulong* vector = (ulong*)(_base + Control.MessageVector);
        vector[0] = StubLayout.Slots + Control.MessageData;
        vector[1] = 1;
        header[0] = header[1] = 0;
        header[2] = StubLayout.Slots + Control.MessageVector;
        header[3] = 1;
        header[4] = StubLayout.Slots + Control.MessageControl;
        header[5] = 24;
        header[6] = 0;
    }
}
