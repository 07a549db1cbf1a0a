using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// Stub processes made from others: the host copies the mappings, patched pages included, and the copy takes a slot file and a socket of
/// its own. To the host it is the sentry's child like the others (CLONE_PARENT), and dies with it.
/// </summary>
public sealed unsafe partial class TrapAddressSpace
{
    private const ulong CLONE_PARENT = 0x8000, SIGCHLD = 17;

    private TrapAddressSpace(TrapAddressSpace parent)
    {
        _platform = parent._platform;
        try
        {
            OpenFiles();
            HostException.Check(HostSyscall.PassCredentials(_socket), "credentials of a stub process");
            _vdso = parent._vdso;
            parent.ForkInto(this);
            CloseFd(ref _stubSocket);
            int pid = HostSyscall.ReceiveSender(_socket);
            if (pid == 0)
                throw new HostException("a copy of a stub process ended at its start");
            HostException.Check(pid, "the start of a copied stub process");
            _pid = pid;
            _serviceCore = parent._serviceCore;
            // It is a child that nobody has waited for, so the number is still its own.
            PidFd = HostSyscall.PidfdOpen(pid);
            if (PidFd < 0)
                HostSyscall.Tgkill(pid, pid, SIGKILL);
            HostException.Check(PidFd, "pidfd_open");
            HostException.Check(_platform.Keeper.Watch(this), "epoll");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override AddressSpace Fork()
    {
        var copy = new TrapAddressSpace(this);
        _platform.Add(copy);
        return copy;
    }

    private void ForkInto(TrapAddressSpace copy)
    {
        lock (_requestGate)
        {
            if (_dead)
                throw new HostException("the stub process has ended");
            copy._patchingStopped = _patchingStopped;
            copy._patches = _patches?.Copy(copy._base);
            HostException.Check(HostSyscall.SendDescriptors(_socket, copy._slotsFd, copy._stubSocket), "descriptors for a stub process");
            WriteMessageHeader();
            Add(SYS_recvmsg, 0, StubLayout.SocketFd, StubLayout.Slots + Control.MessageHeader, 0x40 /* MSG_DONTWAIT */);
            Add(SYS_clone, 0, CLONE_PARENT | SIGCHLD);
            Add(SYS_close, Control.Always | Control.IgnoreError, StubLayout.ReceivedFd);
            Add(SYS_close, Control.Always | Control.IgnoreError, StubLayout.ReceivedFd + 1);
            int result = RunRequest();
            HostException.Check(result, "a copy of a stub process");
        }
    }
}
