using System.Runtime.InteropServices;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>SOCK_STREAM: bytes in order, without borders but where descriptors or other credentials come.</summary>
internal sealed partial class UnixStream(Sentry sentry, OpenFlags flags, Credentials creator)
    : UnixConnected(sentry, SocketType.SOCK_STREAM, flags, creator)
{
    /// <summary>What a part of a stream may not take of the send buffer's half.</summary>
    private const int Headroom = 64;

    protected override UnixConnected MakeSibling(Credentials creator) => new UnixStream(Sentry, OpenFlags.O_RDONLY, creator);

    public override int GetInputHint() => (int)Math.Min(Queue.Bytes, int.MaxValue);

    public override SysResult Send(SocketMessage message)
    {
        UnixAncillary ancillary = default;
        if (message.ControlUsed > 0)
        {
            Errno error = UnixAncillary.Parse(message, Sentry, out ancillary);
            if (error != Errno.OK)
                return error;
        }
        SysResult result = SendParts(message, ref ancillary);
        ancillary.Drop();
        return result;
    }

    private SysResult SendParts(SocketMessage message, ref UnixAncillary ancillary)
    {
        uint urgent = (message.Flags & MsgFlags.MSG_OOB) != 0 ? 1u : 0;
        if (urgent > message.Data.Remaining)
            return Errno.EOPNOTSUPP;
        if (message.NameLength > 0)
            return State == UnixState.Connected ? Errno.EISCONN : Errno.EOPNOTSUPP;
        if (Peer is not { } peer)
            return Errno.ENOTCONN;
        if ((ShutdownBits & ShutSend) != 0)
            return Errno.EPIPE;
        if (ancillary.Rights is not null && !peer.Options.Has(SocketOption.SO_PASSRIGHTS))
            return Errno.EPERM;
        UCred sender = IdentifySender(message, in ancillary, peer);
        int largest = Math.Min((Options.SendBuffer / 2) - Headroom, UnixCharge.LargestPart);
        long done = 0;
        Errno error = Errno.OK;
        while (message.Data.Remaining > 0 && error == Errno.OK)
        {
            // The last byte goes by itself.
            bool isUrgent = message.Data.Remaining == urgent;
            int length = isUrgent ? 1 : (int)Math.Min((ulong)largest, message.Data.Remaining - urgent);
            error = IsSendBufferFull ? Errno.EAGAIN : SendPart(peer, message, length, isUrgent, in sender, ref ancillary);
            if (error == Errno.OK)
                done = (long)(message.Length - message.Done - message.Data.Remaining);
        }
        return done > 0 || error == Errno.OK ? done : error;
    }

    private Errno SendPart(UnixSocket peer, SocketMessage message, int length, bool isUrgent, in UCred sender, ref UnixAncillary ancillary)
    {
        UnixPacket packet = peer.Queue.Rent(length);
        packet.IsUrgent = isUrgent;
        if (!packet.Fill(message.Data, length))
        {
            peer.Queue.Return(packet);
            return Errno.EFAULT;
        }
        return Deliver(peer, packet, UnixCharge.OfPart(length), in sender, ref ancillary);
    }

    public override SysResult Receive(SocketMessage message)
    {
        if (State != UnixState.Connected)
            return Errno.EINVAL;
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return ReceiveUrgent(message);
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        Intake intake = new(message, PassesCredentials);
        lock (Queue.ReadLock)
        {
            if (peek)
                PeekParts(message, ref intake);
            else
                TakeParts(message, ref intake);
        }
        DropPassed(ref intake);
        if (intake.Freed > 0)
            intake.Owner!.Uncharge(intake.Freed);
        Hand(message, ref intake, peek);
        if (intake.Copied > 0)
        {
            // Who waits for more is told of an error by a short count, and by that alone.
            if ((message.Flags & MsgFlags.MSG_WAITALL) != 0 && message.Data.Remaining > 0 && !message.IsComplete)
                TakeError();
            TellLeft(message);
            return intake.Copied;
        }
        if (intake.Faulted)
            return Errno.EFAULT;
        if (intake.Seen && message.Data.Remaining == 0)
            return 0;
        Errno error = TakeError();
        if (error != Errno.OK && message.Done == 0)
            return error;
        return (ShutdownBits & ShutReceive) != 0 ? 0 : Errno.EAGAIN;
    }

    /// <summary>SCM_INQ: what can still be read, where that is wanted (SO_INQ).</summary>
    private void TellLeft(SocketMessage message)
    {
        if (!Options.Has(SocketOption.SO_INQ))
            return;
        int left = GetInputHint();
        message.PutControl(SocketOption.SOL_SOCKET, SocketOption.SO_INQ, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in left)));
    }

    private void TakeParts(SocketMessage message, ref Intake intake)
    {
        do
        {
            if (FindReadable(Queue.First, message, ref intake) is not { } packet)
                break;
            intake.Seen = true;
            if (!intake.Accepts(packet) || message.Data.Remaining == 0)
                break;
            int got = CopyPart(packet, 0, message, ref intake);
            if (intake.Faulted)
                return;
            intake.Copied += got;
            Options.MovePeek(-got);
            if (packet.Rights is not null)
            {
                intake.Rights = packet.Rights;
                packet.Rights = null;
            }
            Queue.Consume(packet, got);
            if (packet.Available > 0)
                return;
            intake.Owner = packet.Owner;
            intake.Freed += packet.Charge;
            Queue.Remove(packet, 0);
            Queue.Return(packet);
            if (intake.Rights is not null)
                return;
        }
        while (message.Data.Remaining > 0);
        intake.Faulted |= intake.Seen && message.Data.Remaining == 0 && message.Data.IsCut;
    }

    /// <summary>Copies what is wanted of a part: all of it, or (the intake is faulted) it counts as not read.</summary>
    private static int CopyPart(UnixPacket packet, long skip, SocketMessage message, ref Intake intake)
    {
        int wanted = (int)Math.Min((ulong)(packet.Available - skip), message.Length - message.Done - (ulong)intake.Copied);
        int got = packet.CopyTo(message.Data, (int)skip, (int)Math.Min((ulong)wanted, message.Data.Remaining));
        intake.Faulted = got < wanted;
        return got;
    }

    private void PeekParts(SocketMessage message, ref Intake intake)
    {
        // Only once: another peek would bring the same bytes again.
        message.IsComplete = true;
        long skip = Math.Max(Options.PeekOffset, 0);
        for (UnixPacket? packet = Queue.First; packet is not null; packet = packet.Next)
        {
            packet = FindReadable(packet, message, ref intake);
            while (packet is not null && skip >= packet.Available)
            {
                skip -= packet.Available;
                packet = packet.Next;
            }
            // Also one that wants nothing goes on to the end, or to the mark.
            intake.Seen = packet is not null || intake.Copied > 0;
            if (packet is null || !intake.Accepts(packet))
                return;
            int got = CopyPart(packet, skip, message, ref intake);
            if (intake.Faulted)
                return;
            intake.Copied += got;
            Options.MovePeek(got);
            skip = 0;
            if (packet.Rights is not null)
            {
                intake.Rights = UnixRights.Share(packet.Rights);
                return;
            }
        }
    }
}
