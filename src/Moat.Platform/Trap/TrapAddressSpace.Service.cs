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

    // Changes wait for EndGather; the first that failed before.
    private bool _gathers;
    private int _gatherError;

    /// <inheritdoc/>
    public override int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            DropPatches(address, length);
            Add(SYS_mmap, 0, address, length, (ulong)access, MAP_SHARED | MAP_FIXED, StubLayout.MemoryFd, fileOffset);
            return RunOrGather();
        }
    }

    /// <inheritdoc/>
    public override int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            if (_dead)
                return -ESRCH;
            DropPatches(address, length);
            int sent = HostSyscall.SendDescriptors(_socket, hostFd);
            if (sent < 0)
                return sent;
            WriteMessageHeader();
            // The stub has no other descriptors, so the one that comes gets the lowest free number.
            Add(SYS_recvmsg, 0, StubLayout.SocketFd, StubLayout.Slots + Control.MessageHeader, 0x40 /* MSG_DONTWAIT */);
            Add(SYS_mmap, 0, address, length, (ulong)access, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, StubLayout.ReceivedFd, fileOffset);
            Add(SYS_close, Control.Always | Control.IgnoreError, StubLayout.ReceivedFd);
            int result = RunOrGather();
            KillIfUnreceived(result);
            return result;
        }
    }

    /// <inheritdoc/>
    public override int Unmap(ulong address, ulong length)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            DropPatches(address, length);
            Add(SYS_munmap, 0, address, length);
            return RunOrGather();
        }
    }

    /// <inheritdoc/>
    public override int Protect(ulong address, ulong length, MapAccess access)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            Add(SYS_mprotect, 0, address, length, (ulong)access);
            return RunOrGather();
        }
    }

    /// <inheritdoc/>
    public override int Populate(ulong address, ulong length, bool write)
    {
        if (!InGuestSpace(address, length))
            return -EINVAL;
        lock (_requestGate)
        {
            Add(SYS_madvise, 0, address, length, write ? 23u : 22u /* MADV_POPULATE_WRITE, _READ */);
            return RunOrGather();
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
            while (changes.Length > 0)
            {
                int count = Math.Min(changes.Length, Control.MaxCalls - _calls);
                foreach (ref readonly MapChange change in changes[..count])
                {
                    if (!InGuestSpace(change.Address, change.Length))
                    {
                        _calls = 0;
                        return -EINVAL;
                    }

                    Add(in change);
                }

                int result = count < changes.Length ? RunRequest() : RunOrGather();
                if (result < 0)
                    return result;
                changes = changes[count..];
            }
        }

        return 0;
    }

    private void Add(in MapChange change)
    {
        switch (change.Kind)
        {
            case MapChangeKind.MapMemory:
                DropPatches(change.Address, change.Length);
                Add(SYS_mmap, 0, change.Address, change.Length, (ulong)change.Access, MAP_SHARED | MAP_FIXED, StubLayout.MemoryFd, change.FileOffset);
                break;
            case MapChangeKind.Unmap:
                DropPatches(change.Address, change.Length);
                Add(SYS_munmap, 0, change.Address, change.Length);
                break;
            case MapChangeKind.Protect:
                Add(SYS_mprotect, 0, change.Address, change.Length, (ulong)change.Access);
                break;
            default:
                Add(SYS_madvise, Control.IgnoreError, change.Address, change.Length, 23 /* MADV_POPULATE_WRITE */);
                break;
        }
    }

    private static bool InGuestSpace(ulong address, ulong length)
        => ((address | length) & 0xfff) == 0 && length != 0
            && address < StubLayout.GuestMax && length <= StubLayout.GuestMax - address
            && (address >= StubLayout.PatchTable + 0x1000 || address + length <= StubLayout.PatchTable);

    /// <inheritdoc/>
    public override void BeginGather() => _gathers = true;

    /// <inheritdoc/>
    public override int EndGather()
    {
        lock (_requestGate)
        {
            _gathers = false;
            int result = _calls == 0 ? 0 : RunRequest();
            KillIfUnreceived(result);
            result = _gatherError < 0 ? _gatherError : result;
            _gatherError = 0;
            return result;
        }
    }

    // Leaves the calls for later while there is room for as many again.
    private int RunOrGather()
    {
        const int MostOfOneChange = 8;
        if (!_gathers)
            return RunRequest();
        if (_calls > Control.MaxCalls - MostOfOneChange)
        {
            int result = RunRequest();
            KillIfUnreceived(result);
            if (_gatherError == 0)
                _gatherError = result;
        }

        return 0;
    }

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

        *(uint*)(_base + Control.Count) = (uint)_calls;
        _calls = 0;
        *(uint*)(_base + Control.Error) = 0;
        uint* request = (uint*)(_base + Control.Request);
        PlaceService();
        Volatile.Write(ref *request, ++_request);
        HostSyscall.FutexWake(request, 1);
        return AwaitRequest();
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
