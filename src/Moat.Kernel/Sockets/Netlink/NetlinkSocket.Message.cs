using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Netlink;

/// <summary>Questions and answers.</summary>
internal sealed partial class NetlinkSocket
{
    /// <summary>Most bytes of one send: more than any question has.</summary>
    private const int MaxRequest = 32768;

    /// <summary>The host is asked for pieces that small, which every program has room for; single messages may be longer.</summary>
    private const int Piece = 4096;

    public override SysResult Send(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        uint to = _peer, groups = 0;
        if (message.NameLength > 0)
        {
            Errno error = Parse(message.NameBytes, out to, out groups);
            if (error != Errno.OK)
                return error;
        }
        if (groups != 0 && !message.Caller.Credentials.Has(Capability.CAP_NET_ADMIN))
            return Errno.EPERM;
        // Other programs do not listen here.
        if (to != 0)
            return Errno.ECONNREFUSED;
        if (message.Data.Remaining > MaxRequest)
            return Errno.EMSGSIZE;
        int length = (int)message.Data.Remaining;
        byte[] request = new byte[length];
        if (message.Data.CopyTo(request) != length)
            return Errno.EFAULT;
        lock (_lock)
        {
            EnsureBound(message.Caller);
            _answers.Room = ReceiveRoom;
            int at = 0;
            while (NetlinkMessage.Next(request, ref at, out NetlinkMessage header, out ReadOnlySpan<byte> whole))
                Ask(in header, whole);
        }
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
        return length;
    }

    private void Ask(in NetlinkMessage header, ReadOnlySpan<byte> whole)
    {
        if ((header.Flags & NetlinkMessage.NLM_F_REQUEST) == 0 || header.Type < NetlinkMessage.FirstOfProtocol)
        {
            if ((header.Flags & NetlinkMessage.NLM_F_ACK) != 0)
                Acknowledge(in header, whole, Errno.OK);
            return;
        }
        // Messages come in fours: new, delete, get, set.
        const int KindGet = 2;
        if (((header.Type - NetlinkMessage.FirstOfProtocol) & 3) != KindGet)
            Acknowledge(in header, whole, Errno.EPERM);
        else if (!IsQuestion(header.Type))
            Acknowledge(in header, whole, Errno.EOPNOTSUPP);
        else if (_host >= 0)
            AskHost(in header, whole);
        else
            LoopbackAnswers.Answer(in header, whole, _port, _answers, (h, w, e) => Acknowledge(in h, w, e));
    }

    /// <summary>
    /// Links, addresses, routes, neighbours, rules, queues, classes, neighbour tables, address labels, configuration, next hops. Others
    /// may make the host load modules.
    /// </summary>
    private static bool IsQuestion(ushort type) => type is 18 or 22 or 26 or 30 or 34 or 38 or 42 or 66 or 74 or 82 or 106;

    private void AskHost(in NetlinkMessage header, ReadOnlySpan<byte> whole)
    {
        long r = HostSockets.SendBytes(_host, whole);
        if (r < 0)
            Acknowledge(in header, whole, (Errno)(-r));
    }

    /// <summary>NLMSG_ERROR: a struct nlmsgerr, which is an acknowledgement when the error is zero.</summary>
    private void Acknowledge(in NetlinkMessage header, ReadOnlySpan<byte> whole, Errno error)
    {
        // The question comes back whole with an error, and its header alone else.
        ReadOnlySpan<byte> back = error == Errno.OK || _shortAcknowledgements ? whole[..NetlinkMessage.HeaderSize] : whole;
        byte[] answer = new byte[NetlinkMessage.HeaderSize + 4 + NetlinkMessage.Align(back.Length)];
        NetlinkMessage reply = new()
        {
            Length = (uint)(NetlinkMessage.HeaderSize + 4 + back.Length),
            Type = NetlinkMessage.NLMSG_ERROR,
            Sequence = header.Sequence,
            Port = _port,
        };
        MemoryMarshal.Write(answer, in reply);
        MemoryMarshal.Write(answer.AsSpan(NetlinkMessage.HeaderSize), -(int)error);
        back.CopyTo(answer.AsSpan(NetlinkMessage.HeaderSize + 4));
        _answers.TryAdd(answer);
    }

    public override SysResult Receive(SocketMessage message)
    {
        if ((message.Flags & MsgFlags.MSG_OOB) != 0)
            return Errno.EOPNOTSUPP;
        bool peeks = (message.Flags & MsgFlags.MSG_PEEK) != 0;
        byte[]? answer;
        lock (_lock)
        {
            if (_answers.TakeLoss())
                return Errno.ENOBUFS;
            if (_answers.Count == 0 && !TakeFromHost())
                return Errno.EAGAIN;
            answer = peeks ? _answers.Peek() : _answers.Dequeue();
        }
        // Who holds room for a cookie may wait for it.
        if (!peeks)
            Waiters.Wake(PollEvents.POLLOUT | PollEvents.POLLWRNORM);
        ulong room = message.Data.Remaining;
        if (message.Data.IsCut && room < (ulong)answer.Length)
            return Errno.EFAULT;
        int copied = message.Data.CopyFrom(answer);
        if (copied < answer.Length)
            message.ResultFlags |= MsgFlags.MSG_TRUNC;
        // From the kernel, which is port 0.
        message.NameLength = PutAddress(message.Name, 0, 0);
        return (message.Flags & MsgFlags.MSG_TRUNC) != 0 ? answer.Length : copied;
    }

    /// <summary>Fetches one more piece of the host's answers. Under the lock.</summary>
    private bool TakeFromHost()
    {
        if (_host < 0)
            return false;
        const int MSG_PEEK = 2, MSG_TRUNC = 0x20;
        long length = HostSockets.ReceiveBytes(_host, default, MSG_PEEK | MSG_TRUNC);
        if (length < 0)
            return false;
        byte[] answer = new byte[Math.Max(Piece, length)];
        length = HostSockets.ReceiveBytes(_host, answer, 0);
        if (length <= 0)
            return false;
        Array.Resize(ref answer, (int)Math.Min(length, answer.Length));
        int at = 0;
        Span<byte> bytes = answer;
        while (bytes.Length - at >= NetlinkMessage.HeaderSize)
        {
            ref NetlinkMessage header = ref MemoryMarshal.AsRef<NetlinkMessage>(bytes[at..]);
            if (header.Length < NetlinkMessage.HeaderSize || header.Length > (uint)(bytes.Length - at))
                break;
            header.Port = _port;
            at += NetlinkMessage.Align((int)header.Length);
        }
        _answers.Add(answer);
        return true;
    }

    /// <summary>SO_RCVBUF, bytes: the host's part keeps it.</summary>
    private int ReceiveRoom
    {
        get
        {
            int room = SocketOptions.DefaultBuffer;
            GetOption(default, SocketOption.SOL_SOCKET, SocketOption.SO_RCVBUF, MemoryMarshal.AsBytes(new Span<int>(ref room)));
            return room;
        }
    }

    /// <summary>Holds room for a message of the sandbox's own; false when there is none now: POLLOUT tells.</summary>
    public bool TryHold(int length)
    {
        lock (_lock)
        {
            _answers.Room = ReceiveRoom;
            return _answers.TryHold(length);
        }
    }

    /// <summary>Room that was held is not needed.</summary>
    public void Unhold(int length)
    {
        lock (_lock)
            _answers.Unhold(length);
        Waiters.Wake(PollEvents.POLLOUT | PollEvents.POLLWRNORM);
    }

    /// <summary>A message whose room is held. Nobody reads it when the socket is closed.</summary>
    public void Deliver(byte[] message)
    {
        lock (_lock)
            _answers.AddHeld(message);
        Waiters.Wake(PollEvents.POLLIN | PollEvents.POLLRDNORM);
    }
}
