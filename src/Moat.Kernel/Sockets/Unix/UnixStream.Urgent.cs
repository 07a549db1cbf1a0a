using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>
/// MSG_OOB: the last byte sent with it is urgent. It stays at its place among the others, where it is the mark: no read goes past it that has
/// read something. Once it has been read by itself its packet stays there, empty, until a read comes by.
/// </summary>
internal sealed partial class UnixStream
{
    /// <summary>SO_OOBINLINE: urgent bytes are read as all others.</summary>
    private bool KeepsUrgentInline => Options.Has(SocketOption.SO_OOBINLINE);

    public override PollEvents Poll() => Queue.Urgent is null ? base.Poll() : base.Poll() | PollEvents.POLLPRI;

    /// <summary>recv(2) with MSG_OOB: the urgent byte alone. EINVAL: there is none, or it is to be read inline. EFAULT.</summary>
    private SysResult ReceiveUrgent(SocketMessage message)
    {
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        Intake intake = new(message, wantsSender: false);
        lock (Queue.ReadLock)
        {
            if (KeepsUrgentInline || Queue.Urgent is not { } packet)
                return Errno.EINVAL;
            int wanted = (int)Math.Min(message.Length, 1);
            intake.Faulted = packet.CopyTo(message.Data, 0, (int)Math.Min(message.Data.Remaining, 1)) < wanted;
            if (!peek)
            {
                Queue.ForgetUrgent(packet);
                Queue.Consume(packet, 1);
                // Two marks in a row are one.
                if (Queue.FindBefore(packet) is { Available: 0 } before)
                    Pass(before, ref intake);
            }
        }
        DropPassed(ref intake);
        if (intake.Faulted)
            return Errno.EFAULT;
        // Also when there was no room for it.
        message.ResultFlags |= MsgFlags.MSG_OOB;
        message.IsComplete = true;
        return 1;
    }

    /// <summary>
    /// The packet that a read at <paramref name="packet"/> comes to: past the mark when nothing has been read yet (the urgent byte is lost then,
    /// unless it is inline or only peeked at), else not. Null: there is none. Under the queue's read lock.
    /// </summary>
    private UnixPacket? FindReadable(UnixPacket? packet, SocketMessage message, ref Intake intake)
    {
        UnixPacket? urgent = Queue.Urgent;
        if (packet is null || (packet != urgent && packet.Available > 0))
            return packet;
        bool peek = (message.Flags & MsgFlags.MSG_PEEK) != 0, hasRead = message.Done > 0 || intake.Copied > 0;
        if (packet.Available == 0)
        {
            if (hasRead && urgent is null)
                return EndAtMark(message);
            UnixPacket? next = packet.Next;
            if (!peek)
                Pass(packet, ref intake);
            packet = next;
        }
        if (packet is null || packet != urgent)
            return packet;
        if (hasRead)
            return EndAtMark(message);
        if (peek)
            return KeepsUrgentInline ? packet : packet.Next;
        Queue.ForgetUrgent(packet);
        if (KeepsUrgentInline)
            return packet;
        Pass(packet, ref intake);
        return Queue.First;
    }

    private static UnixPacket? EndAtMark(SocketMessage message)
    {
        message.IsComplete = true;
        return null;
    }

    /// <summary>Takes out a packet that is not read. Its byte goes on counting (SIOCINQ), as on Linux. Under the queue's read lock.</summary>
    private void Pass(UnixPacket packet, ref Intake intake)
    {
        Queue.Remove(packet, 0);
        packet.Next = intake.Passed;
        intake.Passed = packet;
    }

    /// <summary>Gives back what a read went past.</summary>
    private void DropPassed(ref Intake intake)
    {
        while (intake.Passed is { } packet)
        {
            intake.Passed = packet.Next;
            Drop(packet);
        }
    }
}
