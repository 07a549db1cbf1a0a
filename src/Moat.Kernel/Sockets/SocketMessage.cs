using System.Runtime.InteropServices;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Sockets;

/// <summary>
/// A struct msghdr and what belongs to it, read from the guest once: what <see cref="Socket.Send"/> and
/// <see cref="Socket.Receive"/> work on. Belongs to one task or request and is reused; nothing is allocated once it has grown.
/// </summary>
/// <remarks>
/// Everything the guest can change is copied, but for the data themselves: those are translated anew for each attempt
/// (<see cref="Import"/>), from what <see cref="Done"/> has left of the copied vector.
/// </remarks>
internal sealed partial class SocketMessage
{
    /// <summary>sizeof(struct sockaddr_storage): no address is longer.</summary>
    public const int NameSize = 128;

    private const uint UIO_MAXIOV = 1024;

    private MemoryManager _mm = null!;
    private IoVec[] _vectors = new IoVec[8];
    private int _vectorCount;
    private ulong _nameAddress;
    private int _nameRoom;

    /// <summary>Who sends or receives; null on a worker that has data alone.</summary>
    public Task? Task { get; private set; }

    /// <summary>Where descriptors of control messages are looked up and installed.</summary>
    public FdTable? Files { get; private set; }

    /// <summary>With whose rights.</summary>
    public Caller Caller { get; private set; }

    /// <summary>The spans of guest memory of this attempt; the family consumes them.</summary>
    public IoVector Data { get; private set; } = null!;

    /// <summary>Bytes that the call asks for in all.</summary>
    public ulong Length { get; private set; }

    /// <summary>Bytes that this call has moved before this attempt. A peek skips as many.</summary>
    public ulong Done { get; set; }

    /// <summary>The flags of the call.</summary>
    public MsgFlags Flags { get; set; }

    /// <summary>msg_flags as a receive call returns them.</summary>
    public MsgFlags ResultFlags { get; set; }

    /// <summary>Set by Receive: what follows is not part of this call, whatever MSG_WAITALL says (other control data, a mark).</summary>
    public bool IsComplete { get; set; }

    /// <summary>The destination of a send, the source of what was received: <see cref="NameLength"/> bytes of it count.</summary>
    public byte[] Name { get; } = new byte[NameSize];

    /// <summary>Bytes in <see cref="Name"/>; 0: none.</summary>
    public int NameLength { get; set; }

    /// <summary>An address without any bytes was given: a datagram cannot go there.</summary>
    public bool HasEmptyName { get; private set; }

    /// <summary>What is wrong with the control data, which a request of io_uring is told when it sends.</summary>
    private Errno _controlError;

    /// <summary>The process and user that sent what is received, once known; only packets of the same sender join it.</summary>
    public UCred Sender;

    /// <summary><see cref="Sender"/> is known.</summary>
    public bool HasSender { get; set; }

    /// <summary>The control message that tells of it has been put.</summary>
    public bool SenderIsPut { get; set; }

    /// <summary>Buffers that a bundle of io_uring takes without a number to go by, if they are there: as many parts as a message here had before.</summary>
    public int BundleRoom { get; set; } = 1;

    /// <summary>A message here has so many parts.</summary>
    public void KeepRoom(int parts) => BundleRoom = Math.Max(BundleRoom, parts);

    /// <summary>Where <see cref="Name"/> leads, found by <see cref="Socket.PrepareSend"/>.</summary>
    public Socket? Destination { get; set; }

    /// <summary>Why there is no <see cref="Destination"/>: told once everything else about a send is right.</summary>
    public Errno DestinationError { get; set; }

    /// <summary>The address that a send was given.</summary>
    public ReadOnlySpan<byte> NameBytes => Name.AsSpan(0, NameLength);

    /// <summary>For a call of a task. Data are in its scratch vector.</summary>
    public void Begin(Task task, MsgFlags flags) => Begin(task, new Caller(task), task.Mm, task.Vector, flags);

    /// <summary>For a request of a ring, with a vector for its data.</summary>
    public void Begin(Submitter origin, IoVector data, MsgFlags flags) => Begin(origin.Task, origin.Caller, origin.Mm, data, flags);

    private void Begin(Task task, Caller caller, MemoryManager mm, IoVector data, MsgFlags flags)
    {
        Task = task;
        Caller = caller;
        Files = caller.Files;
        _mm = mm;
        Data = data;
        Flags = flags;
        // Linux keeps no more of them from one request to the next.
        const int MostKept = 64;
        if (BundleRoom > MostKept)
            BundleRoom = 1;
        Reset();
    }

    /// <summary>Data alone, already translated: read(2), write(2) and their like.</summary>
    public void SetPlain(IoVector data)
    {
        Task = Tasks.Task.Current;
        Caller = Task is null ? default : new Caller(Task);
        Files = null;
        Data = data;
        // One byte more stands for what is not accessible.
        Length = data.Remaining + (data.IsCut ? 1u : 0);
        Flags = MsgFlags.None;
        Reset();
    }

    /// <summary>Uses another vector for the spans of the next attempt.</summary>
    public void UseVector(IoVector data) => Data = data;

    private void Reset()
    {
        Done = 0;
        ResultFlags = MsgFlags.None;
        IsComplete = HasSender = SenderIsPut = false;
        Destination = null;
        NameLength = 0;
        HasEmptyName = false;
        _controlError = Errno.OK;
        _nameAddress = 0;
        _vectorCount = 0;
        ResetControl();
    }

    /// <summary>The data are one range. EFAULT when it is not in user space.</summary>
    public Errno SetRange(UserPtr address, ulong length)
    {
        _vectors[0] = new IoVec { Base = address.Address, Length = Math.Min(length, MemoryManager.MAX_RW_COUNT) };
        _vectorCount = 1;
        Length = _vectors[0].Length;
        return MemoryManager.IsUserRange(address.Address, Length) ? Errno.OK : Errno.EFAULT;
    }

    /// <summary>The data are a part of a registered buffer, which <see cref="ImportPinned"/> looks at.</summary>
    public void SetPinned(ulong address, ulong length)
    {
        _vectors[0] = new IoVec { Base = address, Length = length };
        _vectorCount = 1;
        Length = length;
    }

    /// <summary>The data are a guest array of struct iovec, copied here. <paramref name="tooMany"/> for more than 1024, EFAULT, EINVAL.</summary>
    public Errno SetVector(ulong address, ulong count, Errno tooMany = Errno.EMSGSIZE, bool isPinned = false)
    {
        if (count > UIO_MAXIOV)
            return tooMany;
        if (_vectors.Length < (int)count)
            _vectors = new IoVec[count];
        KeepRoom((int)count);
        Errno error = _mm.CopyIn(new UserPtr(address), MemoryMarshal.AsBytes(_vectors.AsSpan(0, (int)count)));
        return error == Errno.OK ? CheckVectors((int)count, isPinned) : error;
    }

    /// <summary>The data are these ranges. EFAULT, EINVAL.</summary>
    public Errno SetVectors(ReadOnlySpan<IoVec> ranges)
    {
        if (_vectors.Length < ranges.Length)
            _vectors = new IoVec[ranges.Length];
        ranges.CopyTo(_vectors);
        return CheckVectors(ranges.Length, isPinned: false);
    }

    /// <summary>Only so many of the data are meant, fewer than there are.</summary>
    public void Shorten(ulong length)
    {
        Length = length;
        foreach (ref IoVec vector in _vectors.AsSpan(0, _vectorCount))
        {
            vector.Length = Math.Min(vector.Length, length);
            length -= vector.Length;
        }
    }

    private Errno CheckVectors(int count, bool isPinned)
    {
        Span<IoVec> vectors = _vectors.AsSpan(0, count);
        Errno error = MemoryManager.CheckVectors(vectors, isOnly: count == 1, inUserSpace: !isPinned);
        if (error != Errno.OK)
            return error;
        _vectorCount = count;
        Length = MemoryManager.LimitVectors(vectors);
        return Errno.OK;
    }

    /// <summary>The address that a send goes to. EINVAL for a length that no address has, EFAULT.</summary>
    public Errno SetName(ulong address, int length)
    {
        if ((uint)length > NameSize)
            return Errno.EINVAL;
        NameLength = length;
        HasEmptyName = length == 0;
        return length == 0 ? Errno.OK : _mm.CopyIn(new UserPtr(address), Name.AsSpan(0, length));
    }

    /// <summary>
    /// Reads the struct msghdr of sendmsg(2) and all it points to; ranges of a registered buffer (<paramref name="isPinned"/>) are looked at
    /// later. EFAULT, EINVAL, EMSGSIZE. What is wrong with the control data only the attempt tells: EFAULT, ENOBUFS (too long).
    /// </summary>
    public Errno ReadForSend(UserPtr<MsgHdr> address, bool isPinned = false)
    {
        Errno error = _mm.Read(address, out MsgHdr header);
        if (error == Errno.OK && header.msg_name != 0)
            error = header.msg_namelen < 0 ? Errno.EINVAL : SetName(header.msg_name, Math.Min(header.msg_namelen, NameSize));
        // Here none is none.
        HasEmptyName = false;
        if (error == Errno.OK)
            error = SetVector(header.msg_iov, header.msg_iovlen, Errno.EMSGSIZE, isPinned);
        if (error == Errno.OK)
            _controlError = ReadControl(header.msg_control, header.msg_controllen);
        return error;
    }

    /// <summary>Reads the struct msghdr of recvmsg(2). EFAULT, EINVAL, EMSGSIZE.</summary>
    public Errno ReadForReceive(UserPtr<MsgHdr> address)
    {
        Errno error = _mm.Read(address, out MsgHdr header);
        if (error != Errno.OK)
            return error;
        if (header.msg_name != 0 && header.msg_namelen < 0)
            return Errno.EINVAL;
        error = SetVector(header.msg_iov, header.msg_iovlen);
        if (error == Errno.OK)
            SetReceiveRoom(in header);
        return error;
    }

    /// <summary>
    /// As <see cref="ReadForReceive"/> when the data go into a provided buffer: at most one struct iovec, of which only the length counts
    /// (<paramref name="wanted"/>, 0 for all of the buffer). A multishot puts name and control data there too.
    /// </summary>
    public Errno ReadForSelected(UserPtr<MsgHdr> address, bool isMultishot, out ulong wanted)
    {
        wanted = 0;
        Errno error = _mm.Read(address, out MsgHdr header);
        if (error != Errno.OK)
            return error;
        if (header.msg_name != 0 && header.msg_namelen < 0)
            return Errno.EINVAL;
        if (header.msg_iovlen > 1)
            return Errno.EINVAL;
        if (header.msg_iovlen == 1)
        {
            error = _mm.Read(new UserPtr<IoVec>(header.msg_iov), out IoVec vector);
            if (error == Errno.OK && (long)vector.Length < 0)
                error = Errno.EINVAL;
            if (error != Errno.OK)
                return error;
            wanted = vector.Length;
        }
        SetReceiveRoom(in header);
        // Their room is in the buffer then, and the header's pointers do not matter.
        if (isMultishot)
            SetControlRoom(ulong.MaxValue, header.msg_controllen);
        return Errno.OK;
    }

    /// <summary>Room for the source's name, as the header gives it; negative: none can have it.</summary>
    public int NameRoom => _nameRoom;

    /// <summary>The same header serves one message more (multishot).</summary>
    public void BeginAgain()
    {
        Done = 0;
        ResultFlags = Flags & MsgFlags.MSG_CMSG_CLOEXEC;
        IsComplete = HasSender = SenderIsPut = false;
        NameLength = 0;
        ResetUsed();
    }

    /// <summary>
    /// Writes struct io_uring_recvmsg_out, the name and the control data in front of a payload of so many bytes. EFAULT.
    /// </summary>
    public Errno WriteOut(MemoryManager mm, ulong address, uint payload)
    {
        const int OutSize = 16;
        IoUringRecvmsgOut head = new()
        {
            // Where there is no room at all nobody asks for a name.
            namelen = NameRoom == 0 ? 0 : (uint)NameLength,
            controllen = (uint)ControlUsed,
            payloadlen = payload,
            flags = (uint)(ResultFlags & ~MsgFlags.MSG_CMSG_COMPAT),
        };
        Errno error = mm.Write(new UserPtr<IoUringRecvmsgOut>(address), head);
        if (error == Errno.OK)
            error = mm.CopyOut(new UserPtr(address + OutSize), Name.AsSpan(0, Math.Min(NameLength, NameRoom)));
        return error == Errno.OK ? mm.CopyOut(new UserPtr(address + OutSize + (ulong)NameRoom), Control) : error;
    }

    private void SetReceiveRoom(in MsgHdr header)
    {
        _nameAddress = header.msg_name;
        _nameRoom = header.msg_namelen;
        SetControlRoom(header.msg_control, header.msg_controllen);
        ResultFlags = Flags & MsgFlags.MSG_CMSG_CLOEXEC;
    }

    /// <summary>
    /// Translates what is left of the data, within the memory manager's access. EFAULT when a part of what is to be sent is not accessible;
    /// if nothing is, only the socket finds out, once it needs the memory.
    /// </summary>
    public Errno Import(MapAccess access)
    {
        do
        {
            Data.Clear();
            ImportVectors(access);
        }
        while (Data.IsStale);
        if (!Data.IsCut)
            return Errno.OK;
        if (Data.Remaining == 0)
            Data.AddInaccessible(Length - Done);
        else if (access == MapAccess.Read)
            return Errno.EFAULT;
        return Errno.OK;
    }

    private void ImportVectors(MapAccess access)
    {
        ulong skip = Done;
        for (int i = 0; i < _vectorCount; i++)
        {
            ref IoVec vector = ref _vectors[i];
            if (skip >= vector.Length)
            {
                skip -= vector.Length;
                continue;
            }
            ulong wanted = vector.Length - skip;
            if (_mm.Translate(new UserPtr(vector.Base + skip), wanted, access, Data) != wanted)
            {
                Data.IsCut = true;
                break;
            }
            skip = 0;
        }
    }

    /// <summary>Attempts a send: translates and calls the socket.</summary>
    public SysResult TrySend(Socket socket)
    {
        SysResult result = _controlError == Errno.OK ? socket.PrepareSend(this) : _controlError;
        if (result.IsError)
            return result;
        _mm.BeginAccess();
        result = Import(MapAccess.Read);
        if (!result.IsError)
            result = socket.Send(this);
        else if (result.Error == Errno.EFAULT)
            result = socket.IsStream ? SendNowhere(socket) : SendPartly(socket);
        _mm.EndAccess();
        return result;
    }

    /// <summary>A stream that cannot send at all says so before it looks at memory.</summary>
    private SysResult SendNowhere(Socket socket)
    {
        Data.Clear();
        SysResult result = socket.Send(this);
        return result.IsError ? result : Errno.EFAULT;
    }

    /// <summary>A socket of messages finds the missing part when it copies, after what it looks at before.</summary>
    private SysResult SendPartly(Socket socket)
    {
        Data.AddInaccessible(Length - Done - Data.Remaining);
        return socket.Send(this);
    }

    /// <summary>Takes the spans of what is left from a registered buffer. EFAULT.</summary>
    public Errno ImportPinned(RegisteredBuffer buffer, bool inParts)
    {
        Data.Clear();
        Errno error = inParts ? RegisteredBuffer.CheckParts(_vectors.AsSpan(0, _vectorCount)) : Errno.OK;
        if (error != Errno.OK)
            return error;
        ulong skip = Done;
        for (int i = 0; i < _vectorCount; i++)
        {
            ref IoVec vector = ref _vectors[i];
            ulong part = Math.Min(skip, vector.Length);
            skip -= part;
            error = part == vector.Length && part != 0 ? Errno.OK : buffer.AddTo(Data, vector.Base + part, vector.Length - part);
            if (error != Errno.OK)
                return error;
        }
        return Errno.OK;
    }

    /// <summary>Attempts a send of what <see cref="ImportPinned"/> took.</summary>
    public SysResult TrySendPinned(Socket socket)
    {
        SysResult result = _controlError == Errno.OK ? socket.PrepareSend(this) : _controlError;
        return result.IsError ? result : socket.Send(this);
    }

    /// <summary>Attempts a receive.</summary>
    public SysResult TryReceive(Socket socket)
    {
        _mm.BeginAccess();
        SysResult result = Import(MapAccess.Write);
        if (!result.IsError)
            result = socket.Receive(this);
        _mm.EndAccess();
        return result;
    }

    /// <summary>Writes name, control data, and the fields of the struct msghdr that recvmsg(2) changes. EFAULT.</summary>
    public Errno WriteBack(UserPtr<MsgHdr> address)
    {
        const int NameLengthAt = 8, ControlLengthAt = 40, FlagsAt = 48;
        Errno error = WriteControl();
        if (error == Errno.OK && _nameAddress != 0)
        {
            error = _mm.CopyOut(new UserPtr(_nameAddress), Name.AsSpan(0, Math.Min(NameLength, _nameRoom)));
            if (error == Errno.OK)
                error = _mm.Write(new UserPtr<int>(address.Address + NameLengthAt), NameLength);
        }
        if (error == Errno.OK)
            error = _mm.Write(new UserPtr<uint>(address.Address + FlagsAt), (uint)ResultFlags);
        return error == Errno.OK ? _mm.Write(new UserPtr<ulong>(address.Address + ControlLengthAt), (ulong)ControlUsed) : error;
    }
}
