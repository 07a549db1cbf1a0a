using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

internal abstract partial class UnixSocket
{
    /// <summary>What a receive call has gathered.</summary>
    protected ref struct Intake(SocketMessage message, bool wantsSender)
    {
        private readonly bool _wantsSender = wantsSender;
        private readonly SocketMessage _message = message;

        /// <summary>Bytes for the guest.</summary>
        public long Copied;

        /// <summary>There was something.</summary>
        public bool Seen;

        /// <summary>Guest memory gave out.</summary>
        public bool Faulted;

        /// <summary>What is to be given back to the sender, bytes.</summary>
        public int Freed;
        public UnixSocket? Owner;

        /// <summary>Packets that were taken out unread.</summary>
        public UnixPacket? Passed;

        /// <summary>Descriptions that came along, with references.</summary>
        public FileDescription[]? Rights;

        /// <summary>When the packet was sent; 0: not known.</summary>
        public long Time;

        /// <summary>Whoever sent this packet: false when it is another one than before, and that counts. Notes name and credentials.</summary>
        public bool Accepts(UnixPacket packet)
        {
            SocketMessage into = _message;
            if (_wantsSender)
            {
                if (into.HasSender && !IsSame(into.Sender, packet.Sender))
                {
                    into.IsComplete = true;
                    return false;
                }
                into.HasSender = true;
                into.Sender = packet.Sender;
            }
            if (into.NameLength == 0 && packet.Owner?.Address is { } address)
            {
                address.Bytes.CopyTo(into.Name);
                into.NameLength = address.Bytes.Length;
            }
            return true;
        }

        private static bool IsSame(in UCred a, in UCred b) => a.pid == b.pid && a.uid == b.uid && a.gid == b.gid;
    }

    /// <summary>Who is said to have sent: what the message claims, else the caller, where either side asked for credentials.</summary>
    protected UCred IdentifySender(SocketMessage message, in UnixAncillary ancillary, UnixSocket peer)
    {
        if (ancillary.HasCredentials)
            return ancillary.Credentials;
        if (!PassesCredentials && !peer.PassesCredentials)
            return UnixAncillary.Unknown;
        if (message.Task is not { } task)
            return UnixAncillary.Unknown;
        Credentials own = message.Caller.Credentials;
        return new UCred { pid = task.Group.Id, uid = own.Uid, gid = own.Gid };
    }

    protected bool PassesCredentials => Options.Has(SocketOption.SO_PASSCRED) || Options.Has(SocketOption.SO_PASSPIDFD);

    /// <summary>Puts a filled packet into another socket's queue. EPIPE when nobody will read it; the packet is gone either way.</summary>
    protected Errno Deliver(UnixSocket to, UnixPacket packet, int charge, in UCred sender, ref UnixAncillary ancillary)
    {
        packet.Owner = this;
        packet.Charge = charge;
        packet.Sender = sender;
        packet.Rights = ancillary.Rights;
        if (to.Options.Has(SocketOption.SO_TIMESTAMP) || to.Options.Has(SocketOption.SO_TIMESTAMPNS))
            packet.Time = HostClock.RealtimeNow;
        if (packet.Rights is not null)
            Sentry.UnixGarbage.Entered(packet.Rights, to);
        Charge(charge);
        if (to.IsReceiveShut || !to.Queue.TryPush(packet))
        {
            if (packet.Rights is not null)
                Sentry.UnixGarbage.Left(packet.Rights);
            to.Queue.Return(packet);
            Uncharge(charge);
            return Errno.EPIPE;
        }
        // The packet has the references now.
        ancillary.Rights = null;
        if (packet.IsUrgent)
            to.AsyncNotice?.NoteUrgent();
        to.WakeInput();
        return Errno.OK;
    }

    /// <summary>The message's data as one packet of a queue; null when it is not all readable.</summary>
    protected static UnixPacket? Pack(SocketMessage message, UnixQueue queue)
    {
        int length = (int)message.Data.Remaining;
        UnixPacket packet = queue.Rent(length);
        if (packet.Fill(message.Data, length))
            return packet;
        queue.Return(packet);
        return null;
    }

    /// <summary>Sends a packet of the receiver's queue, which is gone either way. Bytes sent, or EPIPE, EPERM (SO_PASSRIGHTS is off).</summary>
    protected SysResult SendPacket(SocketMessage message, UnixPacket packet, UnixSocket to, ref UnixAncillary ancillary)
    {
        if (ancillary.Rights is not null && !to.Options.Has(SocketOption.SO_PASSRIGHTS))
        {
            to.Queue.Return(packet);
            return Errno.EPERM;
        }
        int length = packet.Length;
        Errno error = Deliver(to, packet, UnixCharge.OfDatagram(length), IdentifySender(message, in ancillary, to), ref ancillary);
        return error == Errno.OK ? length : error;
    }

    /// <summary>Puts the control messages of what was received into the message, and installs descriptors.</summary>
    protected void Hand(SocketMessage message, ref Intake intake, bool peek)
    {
        if (intake.Time != 0 && Options.Has(SocketOption.SO_TIMESTAMP))
            message.PutTimestamp(intake.Time, nanoseconds: Options.Has(SocketOption.SO_TIMESTAMPNS));
        bool tellsSender = message.HasSender && !message.SenderIsPut;
        if (tellsSender)
        {
            message.SenderIsPut = true;
            if (Options.Has(SocketOption.SO_PASSCRED))
                message.PutControl(SocketOption.SOL_SOCKET, ControlType.SCM_CREDENTIALS, MemoryMarshal.AsBytes(new ReadOnlySpan<UCred>(in message.Sender)));
        }
        if (intake.Rights is { } rights)
        {
            message.IsComplete = true;
            if (!peek)
                Sentry.UnixGarbage.Left(rights);
            UnixRights.Deliver(message, rights);
        }
        if (tellsSender && Options.Has(SocketOption.SO_PASSPIDFD) && message.Sender.pid != 0)
            PutProcess(message);
    }

    /// <summary>SCM_PIDFD: a descriptor of the sender's process, or why there is none.</summary>
    private void PutProcess(SocketMessage message)
    {
        if (message.Files is not { } files || message.ControlRoom < Unsafe.SizeOf<CmsgHdr>() + sizeof(int))
        {
            message.ResultFlags |= MsgFlags.MSG_CTRUNC;
            return;
        }
        int number = (int)InstallProcess(files, Sentry.Tasks.FindGroup(message.Sender.pid)).Value;
        message.PutControl(SocketOption.SOL_SOCKET, ControlType.SCM_PIDFD, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number)));
    }

    /// <summary>Installs a descriptor of a process. ESRCH, EMFILE.</summary>
    private static SysResult InstallProcess(FdTable files, ThreadGroup? process)
    {
        if (process is null)
            return Errno.ESRCH;
        PidFd file = new(process.Leader, isThread: false, OpenFlags.O_RDONLY);
        SysResult fd = files.Install(file, closeOnExec: true);
        if (fd.IsError)
            file.DropReference();
        return fd;
    }

    /// <summary>
    /// Receives one packet of a socket whose messages have borders. EAGAIN, EFAULT, an error that waits.
    /// </summary>
    protected SysResult ReceivePacket(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        Errno error = TakeError();
        if (error != Errno.OK)
            return error;
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        Intake intake = new(message, PassesCredentials);
        int whole;
        lock (Queue.ReadLock)
        {
            int skip = 0;
            UnixPacket? packet = peek ? FindPeeked(out skip) : Queue.First;
            if (packet is null)
                return Errno.EAGAIN;
            whole = packet.Length - skip;
            int wanted = (int)Math.Min((ulong)whole, message.Length - message.Done);
            if (wanted < whole)
                message.ResultFlags |= MsgFlags.MSG_TRUNC;
            intake.Accepts(packet);
            intake.Copied = packet.CopyTo(message.Data, skip, wanted);
            intake.Faulted = intake.Copied < wanted;
            intake.Time = packet.Time;
            Options.MovePeek(peek ? wanted : -packet.Length);
            if (peek)
            {
                packet.Peeked = true;
                intake.Rights = packet.Rights is null ? null : UnixRights.Share(packet.Rights);
            }
            else
            {
                intake.Rights = packet.Rights;
                intake.Owner = packet.Owner;
                intake.Freed = packet.Charge;
                Queue.Remove(packet, packet.Available);
                Queue.Return(packet);
            }
        }
        if (!peek)
        {
            RoomWaiters.Wake(Output);
            intake.Owner!.Uncharge(intake.Freed);
        }
        if (intake.Faulted && intake.Rights is { } lost)
        {
            if (peek)
                UnixRights.DropShared(lost);
            else
                UnixRights.Discard(Sentry, lost);
            return Errno.EFAULT;
        }
        if (intake.Faulted)
            return Errno.EFAULT;
        Hand(message, ref intake, peek);
        return (message.Flags & MsgFlags.MSG_TRUNC) != 0 ? whole : intake.Copied;
    }

    /// <summary>The packet that SO_PEEK_OFF points into.</summary>
    private UnixPacket? FindPeeked(out int skip)
    {
        int offset = Options.PeekOffset;
        skip = 0;
        if (offset < 0)
            return Queue.First;
        for (UnixPacket? packet = Queue.First; packet is not null; packet = packet.Next)
        {
            if (offset < packet.Length || (packet.Length == 0 && offset == 0 && !packet.Peeked))
            {
                skip = offset;
                return packet;
            }
            offset -= packet.Length;
        }
        return null;
    }

    /// <summary>Adds the sockets that are on their way to here.</summary>
    public virtual void AddSocketsInFlight(List<UnixSocket> into) => Queue.AddSocketsInFlight(into);

    /// <summary>Nobody can reach this socket: throws away what lies in it.</summary>
    public virtual void DiscardUnreachable() => Purge();
}
