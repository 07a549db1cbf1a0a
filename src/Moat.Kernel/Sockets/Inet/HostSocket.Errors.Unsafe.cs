using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>
/// The queue of errors (MSG_ERRQUEUE of recv(2)). When only the times of sends are wanted from it, what else comes out, which cannot be put
/// back, is kept here for the program to read.
/// </summary>
internal sealed unsafe partial class HostSocket
{
    private const int KeptSize = 2048, MostKept = 64;

    /// <summary>Errors taken from the host and not yet read, the oldest first; guarded by the socket's lock.</summary>
    private Queue<KeptError>? _kept;

    private bool HasKeptErrors => Volatile.Read(ref _kept) is { Count: > 0 };

    private sealed record KeptError(byte[] Data, byte[] Control, byte[] Name, MsgFlags Flags);

    public override bool TryTakeStamp(out SendStamp stamp)
    {
        const int SOF_TIMESTAMPING_SOFTWARE = 1 << 4, SOF_TIMESTAMPING_OPT_TSONLY = 1 << 11, Wanted = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
        stamp = default;
        int set = 0;
        HostSockets.GetOption(_fd, SocketOption.SOL_SOCKET, SocketOption.SO_TIMESTAMPING, MemoryMarshal.AsBytes(new Span<int>(ref set)), out _);
        // Times that nobody wants to be told, or that come with the data, stay where they are.
        if ((set & Wanted) != Wanted)
            return false;
        byte* data = stackalloc byte[KeptSize], control = stackalloc byte[ControlSize], name = stackalloc byte[SocketMessage.NameSize];
        while (_kept is null || _kept.Count < MostKept)
        {
            // SAFETY: all of it lives on this frame.
            IoVec room = new() { Base = (ulong)data, Length = KeptSize };
            HostMessage header = new()
            {
                Vector = &room,
                Count = 1,
                Control = control,
                ControlLength = ControlSize,
                Name = name,
                NameLength = SocketMessage.NameSize,
            };
            long length = HostSockets.Receive(_fd, &header, (int)MsgFlags.MSG_ERRQUEUE);
            if (length < 0)
                return false;
            ReadOnlySpan<byte> told = new(control, (int)header.ControlLength);
            if (length == 0 && TryReadStamp(told, out stamp))
                return true;
            // Rare: allocates.
            KeptError error = new(new ReadOnlySpan<byte>(data, (int)length).ToArray(), told.ToArray(),
                new ReadOnlySpan<byte>(name, (int)header.NameLength).ToArray(), (MsgFlags)header.Flags & ShownFlags);
            lock (_lock)
                (_kept ??= []).Enqueue(error);
        }
        return false;
    }

    private static bool TryReadStamp(ReadOnlySpan<byte> control, out SendStamp stamp)
    {
        const int IP_RECVERR = 11, IPV6_RECVERR = 25, OriginAt = 4, InfoAt = 8, DataAt = 12, SO_EE_ORIGIN_TIMESTAMPING = 4, ErrorSize = 16;
        bool hasTime = false, hasKey = false;
        stamp = default;
        while (control.Length >= s_headerSize)
        {
            CmsgHdr header = MemoryMarshal.Read<CmsgHdr>(control);
            if (header.cmsg_len < (ulong)s_headerSize || header.cmsg_len > (ulong)control.Length)
                break;
            ReadOnlySpan<byte> data = control[s_headerSize..(int)header.cmsg_len];
            switch (header.cmsg_level, header.cmsg_type)
            {
                case (SocketOption.SOL_SOCKET, SocketOption.SO_TIMESTAMPING or SocketOption.SO_TIMESTAMPING_NEW) when data.Length >= 48:
                    // struct scm_timestamping: by software, nothing, by the device.
                    ReadOnlySpan<Timespec> times = MemoryMarshal.Cast<byte, Timespec>(data);
                    stamp.IsHardware = times[2] is not { Seconds: 0, Nanoseconds: 0 };
                    stamp.Time = times[stamp.IsHardware ? 2 : 0];
                    hasTime = true;
                    break;
                case (SocketOption.SOL_IP, IP_RECVERR) or (SocketOption.SOL_IPV6, IPV6_RECVERR) when data.Length >= ErrorSize:
                    hasKey = data[OriginAt] == SO_EE_ORIGIN_TIMESTAMPING;
                    stamp.Kind = MemoryMarshal.Read<uint>(data[InfoAt..]);
                    stamp.Key = MemoryMarshal.Read<uint>(data[DataAt..]);
                    break;
            }
            control = control[Math.Min((int)(header.cmsg_len + 7) & ~7, control.Length)..];
        }
        return hasTime && hasKey;
    }

    /// <summary>A receive with MSG_ERRQUEUE of what is kept here. False: nothing is.</summary>
    private bool TryReceiveKept(SocketMessage message, out SysResult result)
    {
        KeptError? error;
        lock (_lock)
        {
            error = null;
            _kept?.TryDequeue(out error);
        }
        result = default;
        if (error is null)
            return false;
        error.Name.CopyTo(message.Name, 0);
        message.NameLength = error.Name.Length;
        message.ResultFlags |= error.Flags;
        TranslateControl(message, error.Control);
        int length = (int)Math.Min((ulong)error.Data.Length, message.Data.Remaining);
        if (length < error.Data.Length)
            message.ResultFlags |= MsgFlags.MSG_TRUNC;
        // SAFETY: pinned for the copy.
        fixed (byte* data = error.Data)
            result = message.Data.CopyFrom(data, (ulong)length) == (ulong)length ? length : Errno.EFAULT;
        return true;
    }
}
