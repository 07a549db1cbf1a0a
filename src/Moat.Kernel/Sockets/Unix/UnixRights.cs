using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>What a send call passes besides bytes: descriptors and credentials (man 7 unix, ancillary messages).</summary>
internal struct UnixAncillary
{
    /// <summary>SCM_MAX_FD: most descriptors of one message.</summary>
    private const int MostRights = 253;

    /// <summary>overflowuid: the owner of what says nothing about itself.</summary>
    private const uint Nobody = 65534;

    /// <summary>Descriptions with a reference each; null: none.</summary>
    public FileDescription[]? Rights;

    /// <summary>What SCM_CREDENTIALS said, when <see cref="HasCredentials"/>.</summary>
    public UCred Credentials;

    public bool HasCredentials;

    /// <summary>What a packet says about its sender when nobody asked.</summary>
    public static UCred Unknown => new() { uid = Nobody, gid = Nobody };

    /// <summary>
    /// Reads the control messages of a send call. EINVAL, EBADF, EPERM (credentials that are not one's own), ESRCH. Once part of
    /// the call has been sent its descriptors are gone with it, and are not looked at again.
    /// </summary>
    public static Errno Parse(SocketMessage message, Sentry sentry, out UnixAncillary found)
    {
        found = default;
        int at = 0;
        bool takeRights = message.Done == 0;
        while (true)
        {
            if (!message.NextControl(ref at, out CmsgHdr header, out ReadOnlySpan<byte> data, out Errno error))
                return error == Errno.OK ? error : found.Fail(error);
            if (header.cmsg_level != SocketOption.SOL_SOCKET)
                continue;
            error = header.cmsg_type switch
            {
                ControlType.SCM_RIGHTS => takeRights ? found.AddRights(message.Files, data) : Errno.OK,
                ControlType.SCM_CREDENTIALS => found.SetCredentials(message, sentry, data),
                _ => Errno.EINVAL,
            };
            if (error != Errno.OK)
                return found.Fail(error);
        }
    }

    /// <summary>Gives the references back: the message was not sent.</summary>
    public readonly void Drop()
    {
        foreach (FileDescription file in Rights ?? [])
            file.DropReference();
    }

    private readonly Errno Fail(Errno error)
    {
        Drop();
        return error;
    }

    private Errno AddRights(FdTable? files, ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<int> numbers = MemoryMarshal.Cast<byte, int>(data);
        int before = Rights?.Length ?? 0;
        if (numbers.Length + before > MostRights)
            return Errno.EINVAL;
        if (numbers.Length == 0)
            return Errno.OK;
        FileDescription[] all = new FileDescription[before + numbers.Length];
        Rights?.CopyTo(all, 0);
        for (int i = 0; i < numbers.Length; i++)
        {
            FileDescription? file = files?.Get(numbers[i]);
            // A ring may hold sockets: one inside a socket could keep itself alive for ever.
            Errno error = file is null ? Errno.EBADF : file is Ring ? Errno.EINVAL : Errno.OK;
            if (error != Errno.OK)
            {
                file?.DropReference();
                for (int k = before; k < before + i; k++)
                    all[k].DropReference();
                return error;
            }
            all[before + i] = file!;
        }
        Rights = all;
        return Errno.OK;
    }

    private Errno SetCredentials(SocketMessage message, Sentry sentry, ReadOnlySpan<byte> data)
    {
        if (data.Length != Unsafe.SizeOf<UCred>() || message.Task is not { } task)
            return Errno.EINVAL;
        UCred claimed = MemoryMarshal.Read<UCred>(data);
        Credentials own = message.Caller.Credentials;
        bool pidIsOwn = claimed.pid == task.Group.Id;
        bool uidIsOwn = claimed.uid == own.Uid || claimed.uid == own.EffectiveUid || claimed.uid == own.SavedUid;
        bool gidIsOwn = claimed.gid == own.Gid || claimed.gid == own.EffectiveGid || claimed.gid == own.SavedGid;
        if ((!pidIsOwn && !own.Has(Capability.CAP_SYS_ADMIN)) || (!uidIsOwn && !own.Has(Capability.CAP_SETUID))
            || (!gidIsOwn && !own.Has(Capability.CAP_SETGID)))
            return Errno.EPERM;
        if (!pidIsOwn && sentry.Tasks.FindGroup(claimed.pid) is null)
            return Errno.ESRCH;
        if (claimed.uid == uint.MaxValue || claimed.gid == uint.MaxValue)
            return Errno.EINVAL;
        Credentials = claimed;
        HasCredentials = true;
        return Errno.OK;
    }
}

/// <summary>Descriptions on their way through AF_UNIX sockets.</summary>
internal static class UnixRights
{
    [ThreadStatic]
    private static Stack<FileDescription>? s_pending;

    /// <summary>
    /// Drops descriptions that were never received. A socket among them may be the last holder of others, and so on for as many as a
    /// program cares to nest: they are dropped one after the other, not one inside the other.
    /// </summary>
    public static void Discard(Sentry sentry, FileDescription[] rights)
    {
        sentry.UnixGarbage.Left(rights);
        if (s_pending is { } running)
        {
            foreach (FileDescription file in rights)
                running.Push(file);
            return;
        }
        Stack<FileDescription> pending = s_pending = new Stack<FileDescription>(rights);
        while (pending.TryPop(out FileDescription? file))
            file.DropReference();
        s_pending = null;
    }

    /// <summary>
    /// Installs received descriptions and puts SCM_RIGHTS into a message, as far as there is room and descriptors are free; else MSG_CTRUNC.
    /// Takes over the references.
    /// </summary>
    public static void Deliver(SocketMessage message, FileDescription[] rights)
    {
        int headerSize = Unsafe.SizeOf<CmsgHdr>();
        int room = message.Files is null ? 0 : Math.Max(0, (message.ControlRoom - headerSize) / sizeof(int));
        bool closeOnExec = (message.Flags & MsgFlags.MSG_CMSG_CLOEXEC) != 0;
        Span<int> numbers = stackalloc int[Math.Min(room, rights.Length)];
        int count = 0;
        while (count < numbers.Length)
        {
            SysResult fd = message.Files!.Install(rights[count], closeOnExec);
            if (fd.IsError)
                break;
            numbers[count++] = (int)fd.Value;
        }
        if (count > 0)
            message.PutControl(SocketOption.SOL_SOCKET, ControlType.SCM_RIGHTS, MemoryMarshal.AsBytes(numbers[..count]));
        if (count == rights.Length)
            return;
        message.ResultFlags |= MsgFlags.MSG_CTRUNC;
        for (int i = count; i < rights.Length; i++)
            rights[i].DropReference();
    }

    /// <summary>Gives back what <see cref="Share"/> made.</summary>
    public static void DropShared(FileDescription[] rights)
    {
        foreach (FileDescription file in rights)
            file.DropReference();
    }

    /// <summary>The same descriptions once more, with references of their own (MSG_PEEK).</summary>
    public static FileDescription[] Share(FileDescription[] rights)
    {
        foreach (FileDescription file in rights)
            file.AddReference();
        return [.. rights];
    }
}
