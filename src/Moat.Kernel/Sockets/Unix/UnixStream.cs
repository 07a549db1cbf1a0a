using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>SOCK_STREAM: bytes in order, without borders but where descriptors or other credentials come.</summary>
internal sealed class UnixStream(Sentry sentry, OpenFlags flags, Credentials creator)
    : UnixConnected(sentry, SocketType.SOCK_STREAM, flags, creator)
{
    /// <summary>What a part of a stream may not take of the send buffer's half.</summary>
    private const int Headroom = 64;

    protected override UnixConnected MakeSibling(Credentials creator) => new UnixStream(Sentry, OpenFlags.O_RDONLY, creator);

    public override int GetInputHint() => (int)Math.Min(Queue.Bytes, int.MaxValue);

    public override SysResult Send(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
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
            error = IsSendBufferFull ? Errno.EAGAIN : SendPart(peer, message, (int)Math.Min((ulong)largest, message.Data.Remaining), in sender, ref ancillary);
            if (error == Errno.OK)
                done = (long)(message.Length - message.Done - message.Data.Remaining);
        }
        return done > 0 || error == Errno.OK ? done : error;
    }

    private Errno SendPart(UnixSocket peer, SocketMessage message, int length, in UCred sender, ref UnixAncillary ancillary)
    {
        UnixPacket packet = peer.Queue.Rent(length);
        if (!packet.Fill(message.Data, length))
        {
            peer.Queue.Return(packet);
            return Errno.EFAULT;
        }
        return Deliver(peer, packet, UnixCharge.OfPart(length), in sender, ref ancillary);
    }

    public override SysResult Receive(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EINVAL;
        if (State != UnixState.Connected)
            return Errno.EINVAL;
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        Intake intake = new(message, PassesCredentials);
        lock (Queue.ReadLock)
        {
            if (peek)
                PeekParts(message, ref intake);
            else
                TakeParts(message, ref intake);
        }
        if (intake.Freed > 0)
            intake.Owner!.Uncharge(intake.Freed);
        Hand(message, ref intake, peek);
        if (intake.Copied > 0)
            return intake.Copied;
        if (intake.Faulted)
            return Errno.EFAULT;
        if (intake.Seen && message.Data.Remaining == 0)
            return 0;
        Errno error = message.Done > 0 ? Errno.OK : TakeError();
        if (error != Errno.OK)
            return error;
        return (ShutdownBits & ShutReceive) != 0 ? 0 : Errno.EAGAIN;
    }

    private void TakeParts(SocketMessage message, ref Intake intake)
    {
        UnixPacket? packet = Queue.First;
        intake.Seen = packet is not null;
        while (packet is not null && message.Data.Remaining > 0 && intake.Accepts(packet))
        {
            int got = packet.CopyTo(message.Data, 0, (int)Math.Min((ulong)packet.Available, message.Data.Remaining));
            intake.Faulted = got < packet.Available && message.Data.Remaining > 0;
            if (got == 0)
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
            Queue.Remove(packet);
            Queue.Return(packet);
            if (intake.Rights is not null || intake.Faulted)
                return;
            packet = Queue.First;
        }
        intake.Faulted |= intake.Seen && message.Data.Remaining == 0 && message.Data.IsCut;
    }

    private void PeekParts(SocketMessage message, ref Intake intake)
    {
        long skip = Options.PeekOffset >= 0 ? Options.PeekOffset : (long)message.Done;
        for (UnixPacket? packet = Queue.First; packet is not null; packet = packet.Next)
        {
            if (skip >= packet.Available)
            {
                skip -= packet.Available;
                continue;
            }
            intake.Seen = true;
            if (message.Data.Remaining == 0 || !intake.Accepts(packet))
                return;
            int wanted = (int)Math.Min((ulong)(packet.Available - skip), message.Data.Remaining);
            int got = packet.CopyTo(message.Data, (int)skip, wanted);
            intake.Faulted = got < wanted;
            intake.Copied += got;
            Options.MovePeek(got);
            skip = 0;
            if (packet.Rights is not null)
            {
                intake.Rights = UnixRights.Share(packet.Rights);
                return;
            }
            if (intake.Faulted)
                return;
        }
    }
}
