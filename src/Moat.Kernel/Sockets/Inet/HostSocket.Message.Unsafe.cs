using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>Sending and receiving: data move between the host's socket and guest memory without a copy in between.</summary>
internal sealed unsafe partial class HostSocket
{
    private const MsgFlags SendFlags = MsgFlags.MSG_OOB | MsgFlags.MSG_DONTROUTE | MsgFlags.MSG_PROBE | MsgFlags.MSG_EOR | MsgFlags.MSG_CONFIRM
        | MsgFlags.MSG_MORE | MsgFlags.MSG_FASTOPEN;

    // MSG_WAITALL is the caller's to keep.
    private const MsgFlags ReceiveFlags = MsgFlags.MSG_OOB | MsgFlags.MSG_PEEK | MsgFlags.MSG_TRUNC | MsgFlags.MSG_ERRQUEUE;

    private const MsgFlags ShownFlags = MsgFlags.MSG_OOB | MsgFlags.MSG_TRUNC | MsgFlags.MSG_CTRUNC | MsgFlags.MSG_EOR | MsgFlags.MSG_ERRQUEUE;

    private const int ControlSize = 2048;

    /// <summary>Datagrams in more pieces than the host takes in one call are put together here.</summary>
    [ThreadStatic]
    private static byte[]? s_gathered;

    public override SysResult Send(SocketMessage message)
    {
        IoVector data = message.Data;
        int flags = (int)(message.Flags & SendFlags);
        if (message.HasEmptyName && !IsStream)
            return Errno.EINVAL;
        if (message.NameLength == 0 && message.ControlUsed == 0 && data.Count == 1)
            return Sent(message, HostSockets.Send(_fd, (void*)data.Items->Base, data.Items->Length, flags));
        Errno error = CheckControl(message, out bool hasForeign);
        if (error != Errno.OK)
            return error;
        byte* kept = stackalloc byte[ControlSize];
        HostMessage header = new() { Vector = data.Items, Count = (nuint)data.Count };
        IoVec whole;
        if (data.Count > HostSockets.IOV_MAX)
        {
            header.Count = HostSockets.IOV_MAX;
            if (!IsStream)
            {
                error = Gather(data, out whole);
                if (error != Errno.OK)
                    return error;
                header.Vector = &whole;
                header.Count = 1;
            }
        }
        // SAFETY: everything the header points to lives on this frame or is pinned until the call has returned; Gather's array is pinned
        // for ever, and the caller keeps the data's spans valid.
        fixed (byte* name = message.Name)
        {
            fixed (byte* control = message.Control)
            {
                if (message.NameLength > 0)
                {
                    header.Name = name;
                    header.NameLength = (uint)message.NameLength;
                }
                header.Control = control;
                header.ControlLength = (nuint)message.ControlUsed;
                if (hasForeign)
                {
                    header.Control = kept;
                    header.ControlLength = (nuint)KeepOwnControl(message, new Span<byte>(kept, ControlSize), out error);
                    if (error != Errno.OK)
                        return error;
                }
                return Sent(message, HostSockets.Send(_fd, &header, flags));
            }
        }
    }

    private SysResult Sent(SocketMessage message, long result)
    {
        if (result >= 0)
        {
            NoteChange();
            message.Data.Advance(Math.Min((ulong)result, message.Data.Remaining));
            message.DropControl();
        }
        else if (result == -(long)Errno.EINPROGRESS && !IsNonBlocking)
        {
            // A connection that MSG_FASTOPEN has begun: the data go when it is there.
            message.Flags &= ~MsgFlags.MSG_FASTOPEN;
            message.NameLength = 0;
            return Errno.EAGAIN;
        }
        return new SysResult(result);
    }

    public override SysResult Receive(SocketMessage message)
    {
        IoVector data = message.Data;
        int flags = (int)(message.Flags & ReceiveFlags);
        // Only once: another peek would bring the same bytes again.
        message.IsComplete |= (message.Flags & MsgFlags.MSG_PEEK) != 0;
        if ((message.Flags & MsgFlags.MSG_ERRQUEUE) != 0 && HasKeptErrors && TryReceiveKept(message, out SysResult kept))
            return kept;
        // The host is to find what the guest cannot access as it would there.
        if (data.IsCut && !data.IsInaccessible)
            data.AddInaccessible(message.Length - message.Done - data.Remaining);
        long result;
        if (IsStream && !message.WantsControl && data.Count == 1 && (message.Flags & MsgFlags.MSG_ERRQUEUE) == 0)
        {
            result = HostSockets.Receive(_fd, (void*)data.Items->Base, data.Items->Length, flags);
        }
        else
        {
            byte* control = stackalloc byte[ControlSize];
            HostMessage header = new()
            {
                Vector = data.Items,
                Count = (nuint)Math.Min(data.Count, HostSockets.IOV_MAX),
                Control = message.WantsControl ? control : null,
                ControlLength = message.WantsControl ? (nuint)ControlSize : 0,
                NameLength = SocketMessage.NameSize,
            };
            // SAFETY: as for Send.
            fixed (byte* name = message.Name)
            {
                header.Name = name;
                result = HostSockets.Receive(_fd, &header, flags);
            }
            if (result >= 0)
            {
                message.NameLength = (int)header.NameLength;
                message.ResultFlags |= (MsgFlags)header.Flags & ShownFlags;
                TranslateControl(message, new ReadOnlySpan<byte>(control, (int)header.ControlLength));
            }
        }
        if (result > 0)
        {
            NoteChange();
            data.Advance(Math.Min((ulong)result, data.Remaining));
        }
        // Who would wait for a datagram is told that none will come.
        else if (result == -(long)Errno.EAGAIN && _isReceiveShut && !IsNonBlocking && (message.Flags & (MsgFlags.MSG_DONTWAIT | MsgFlags.MSG_ERRQUEUE)) == 0)
            return 0;
        return new SysResult(result);
    }

    private static Errno Gather(IoVector data, out IoVec whole)
    {
        const int MaxDatagram = 65536;
        whole = default;
        if (data.Remaining > MaxDatagram)
            return Errno.EMSGSIZE;
        byte[] bytes = s_gathered ??= GC.AllocateUninitializedArray<byte>(MaxDatagram, pinned: true);
        int length = (int)data.Remaining;
        if (data.CopyTo(bytes.AsSpan(0, length)) != length)
            return Errno.EFAULT;
        // SAFETY: the array is pinned.
        whole = new IoVec { Base = (ulong)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(bytes)), Length = (ulong)length };
        return Errno.OK;
    }
}
