using Moat.Kernel.Events;
using Moat.Kernel.Ipc;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>struct mq_attr.</summary>
internal struct QueueAttributes
{
    public long Flags, MaxMessages, MessageSize, Messages, Reserved0, Reserved1, Reserved2, Reserved3;
}

/// <summary>POSIX message queues: mq_overview(7). Names come without the slash, which the C library takes off.</summary>
internal static class PosixQueueSyscalls
{
    private const uint Priorities = 32768;

    /// <summary>mq_open(2). A descriptor that exec closes; ENOENT, EEXIST, EACCES, EINVAL, ENAMETOOLONG, ENOSPC, EMFILE.</summary>
    [Syscall(240, "mq_open", Support.Full)]
    public static SysResult MqOpen(Task task, UserPath name, OpenFlags flags, uint mode, UserPtr<QueueAttributes> attributes)
    {
        QueueAttributes wanted = new() { MaxMessages = PosixQueues.DefaultMessages, MessageSize = PosixQueues.DefaultSize };
        if (!attributes.IsNull && (flags & OpenFlags.O_CREAT) != 0 && task.Mm.Read(attributes, out wanted) != Errno.OK)
            return Errno.EFAULT;
        Errno error = ReadName(task, name, out string text);
        if (error != Errno.OK)
            return error;
        if ((flags & OpenFlags.O_ACCMODE) == OpenFlags.O_ACCMODE)
            return Errno.EINVAL;
        PosixQueues queues = task.Sentry.PosixQueues;
        PosixQueue? queue = queues.Find(text);
        bool made = false;
        if (queue is null)
        {
            if ((flags & OpenFlags.O_CREAT) == 0)
                return Errno.ENOENT;
            error = Create(task, text, mode, in wanted, out queue);
            made = error == Errno.OK;
            // Somebody was faster.
            if (error == Errno.EEXIST && (flags & OpenFlags.O_EXCL) == 0 && (queue = queues.Find(text)) is not null)
                error = Errno.OK;
            if (error != Errno.OK)
                return error;
        }
        else if ((flags & (OpenFlags.O_CREAT | OpenFlags.O_EXCL)) == (OpenFlags.O_CREAT | OpenFlags.O_EXCL))
        {
            return Errno.EEXIST;
        }
        if (!made)
        {
            AccessMask access = (flags & OpenFlags.O_ACCMODE) switch
            {
                OpenFlags.O_RDONLY => AccessMask.Read,
                OpenFlags.O_WRONLY => AccessMask.Write,
                _ => AccessMask.Read | AccessMask.Write,
            };
            error = queue!.CheckAccess(task.Credentials, access);
            if (error != Errno.OK)
                return error;
        }
        queue!.AddOpen();
        PosixQueueFile file = new(queue, flags & (OpenFlags.O_ACCMODE | OpenFlags.O_NONBLOCK))
        {
            Path = AnonymousFileSystem.MakePlace(queue, "/" + text),
        };
        return AnonymousFiles.Install(task, file, closeOnExec: true);
    }

    private static Errno Create(Task task, string name, uint mode, in QueueAttributes wanted, out PosixQueue? queue)
    {
        queue = null;
        bool free = task.Credentials.Has(Capability.CAP_SYS_RESOURCE);
        long mostMessages = free ? PosixQueues.HardMaxMessages : PosixQueues.MaxMessages;
        long mostBytes = free ? PosixQueues.HardMaxSize : PosixQueues.MaxSize;
        if (wanted.MaxMessages <= 0 || wanted.MessageSize <= 0 || wanted.MaxMessages > mostMessages || wanted.MessageSize > mostBytes)
            return Errno.EINVAL;
        InodePermissions permissions = new(
            FileMode.S_IFREG | (mode & 0xfff & ~task.Fs.Umask), task.Credentials.FsUid, task.Credentials.FsGid);
        queue = new PosixQueue(task.Sentry.PosixQueues, name, permissions, wanted.MaxMessages, wanted.MessageSize);
        return task.Sentry.PosixQueues.Add(queue, task.Group.Limits.Get(Resource.RLIMIT_MSGQUEUE).Current, free);
    }

    /// <summary>mq_unlink(2). ENOENT, EPERM.</summary>
    [Syscall(241, "mq_unlink", Support.Full)]
    public static SysResult MqUnlink(Task task, UserPath name)
    {
        Errno error = ReadName(task, name, out string text);
        if (error != Errno.OK)
            return error;
        if (task.Sentry.PosixQueues.Find(text) is not { } queue)
            return Errno.ENOENT;
        // As in a directory with the sticky bit.
        if (!AccessCheck.IsOwnerOrCapable(queue.Permissions, task.Credentials))
            return Errno.EPERM;
        if (!task.Sentry.PosixQueues.Remove(queue))
            return Errno.ENOENT;
        queue.DropName();
        return 0;
    }

    private static Errno ReadName(Task task, UserPath name, out string text)
    {
        const int MostChars = 255;
        text = "";
        Errno error = task.ReadPath(name, out ReadOnlySpan<char> read);
        if (error != Errno.OK)
            return error;
        if (read.Length == 0)
            return Errno.ENOENT;
        if (read.Length > MostChars)
            return Errno.ENAMETOOLONG;
        if (read is "." or ".." || read.Contains('/'))
            return Errno.EACCES;
        text = read.ToString();
        return Errno.OK;
    }

    /// <summary>mq_timedsend(2); the time is absolute. EMSGSIZE, EAGAIN, ETIMEDOUT, EINVAL, EBADF.</summary>
    [Syscall(242, "mq_timedsend", Support.Full)]
    public static SysResult MqTimedSend(Task task, Fd descriptor, UserPtr message, nuint length, uint priority, UserPtr<Timespec> timeout)
    {
        Errno error = ReadTime(task, timeout, out long time);
        if (error != Errno.OK)
            return error;
        if (priority >= Priorities)
            return Errno.EINVAL;
        if (Get(task, descriptor, out FileDescription? held) is not { } file || !file.CanWrite)
        {
            held?.DropReference();
            return Errno.EBADF;
        }
        SysResult result = Errno.EMSGSIZE;
        if (length <= (nuint)file.Queue.MostBytes)
        {
            byte[] bytes = new byte[(int)length];
            result = task.Mm.CopyIn(message, bytes);
            if (!result.IsError)
                result = Send(task, file, bytes, priority, time);
        }
        file.DropReference();
        return result;
    }

    private static SysResult Send(Task task, PosixQueueFile file, byte[] bytes, uint priority, long time)
    {
        while (true)
        {
            Errno error = file.Queue.Send(task, bytes, priority);
            if (error != Errno.EAGAIN || file.IsNonBlocking)
                return error;
            error = Wait(task, file.Queue, PollEvents.POLLOUT, time);
            if (error != Errno.OK)
                return error;
        }
    }

    /// <summary>mq_timedreceive(2): the message's length. EMSGSIZE, EAGAIN, ETIMEDOUT, EINVAL, EBADF.</summary>
    [Syscall(243, "mq_timedreceive", Support.Full)]
    public static SysResult MqTimedReceive(Task task, Fd descriptor, UserPtr message, nuint length, UserPtr<uint> priority, UserPtr<Timespec> timeout)
    {
        Errno error = ReadTime(task, timeout, out long time);
        if (error != Errno.OK)
            return error;
        if (Get(task, descriptor, out FileDescription? held) is not { } file || !file.CanRead)
        {
            held?.DropReference();
            return Errno.EBADF;
        }
        SysResult result = Errno.EMSGSIZE;
        if (length >= (nuint)file.Queue.MostBytes)
        {
            result = Receive(task, file, time, out byte[] bytes, out uint number);
            if (!result.IsError)
                result = task.Mm.CopyOut(message, bytes);
            if (!result.IsError && !priority.IsNull)
                result = task.Mm.Write(priority, number);
            if (!result.IsError)
                result = bytes.Length;
        }
        file.DropReference();
        return result;
    }

    private static Errno Receive(Task task, PosixQueueFile file, long time, out byte[] bytes, out uint priority)
    {
        while (true)
        {
            Errno error = file.Queue.Receive(out bytes, out priority);
            if (error != Errno.EAGAIN || file.IsNonBlocking)
                return error;
            file.Queue.CountReceiver(1);
            error = Wait(task, file.Queue, PollEvents.POLLIN, time);
            file.Queue.CountReceiver(-1);
            if (error != Errno.OK)
                return error;
        }
    }

    private static Errno Wait(Task task, PosixQueue queue, PollEvents what, long time)
    {
        task.BeginWait(queue.Waiters, what);
        WaitOutcome outcome = (queue.Poll() & what) != 0 ? WaitOutcome.Woken : task.BlockUntil(time, HostClock.CLOCK_REALTIME);
        task.EndWait(queue.Waiters);
        return outcome switch
        {
            WaitOutcome.Woken => Errno.OK,
            WaitOutcome.TimedOut => Errno.ETIMEDOUT,
            _ => Errno.ERESTARTSYS,
        };
    }

    private static Errno ReadTime(Task task, UserPtr<Timespec> timeout, out long time)
    {
        time = Task.Forever;
        if (timeout.IsNull)
            return Errno.OK;
        Errno error = task.Mm.Read(timeout, out Timespec value);
        if (error != Errno.OK)
            return error;
        if (!HostClock.IsValid(in value))
            return Errno.EINVAL;
        time = HostClock.ToNanoseconds(in value);
        return Errno.OK;
    }

    /// <summary>
    /// mq_notify(2). SIGEV_THREAD is for the C library: the signal's number is a netlink socket that gets a cookie, whose address is the value.
    /// EBUSY, EBADF, EINVAL; of the socket ENOTSOCK, EFAULT, EINTR.
    /// </summary>
    [Syscall(244, "mq_notify", Support.Full)]
    public static SysResult MqNotify(Task task, Fd descriptor, UserPtr<SignalEvent> address)
    {
        SignalEvent wanted = default;
        QueueCookie? cookie = null;
        if (!address.IsNull)
        {
            if (task.Mm.Read(address, out wanted) != Errno.OK)
                return Errno.EFAULT;
            if (wanted.Notify is not (QueueNotice.SIGEV_SIGNAL or QueueNotice.SIGEV_NONE or QueueNotice.SIGEV_THREAD)
                || (wanted.Notify == QueueNotice.SIGEV_SIGNAL && !Signal.IsValid(wanted.Signal)))
            {
                return Errno.EINVAL;
            }
            if (wanted.Notify == QueueNotice.SIGEV_THREAD)
            {
                Errno refused = QueueCookie.Take(task, wanted.Signal, new UserPtr(wanted.Value), out cookie);
                if (refused != Errno.OK)
                    return refused;
            }
        }
        Errno error = Errno.EBADF;
        if (Get(task, descriptor, out FileDescription? held) is { } file)
        {
            QueueNotice? notice = address.IsNull ? null : new QueueNotice(task.Group, wanted.Notify, wanted.Signal, wanted.Value, cookie);
            error = file.Queue.SetNotice(task.Group, notice);
        }
        held?.DropReference();
        if (error != Errno.OK)
            cookie?.Drop();
        return error;
    }

    /// <summary>mq_getsetattr(2): only O_NONBLOCK changes. EINVAL, EBADF, EFAULT.</summary>
    [Syscall(245, "mq_getsetattr", Support.Full)]
    public static SysResult MqGetSetAttr(Task task, Fd descriptor, UserPtr<QueueAttributes> wanted, UserPtr<QueueAttributes> old)
    {
        QueueAttributes changed = default;
        if (!wanted.IsNull && task.Mm.Read(wanted, out changed) != Errno.OK)
            return Errno.EFAULT;
        if ((changed.Flags & ~(long)OpenFlags.O_NONBLOCK) != 0)
            return Errno.EINVAL;
        if (Get(task, descriptor, out FileDescription? held) is not { } file)
        {
            held?.DropReference();
            return Errno.EBADF;
        }
        QueueAttributes before = new()
        {
            Flags = (long)(file.Flags & OpenFlags.O_NONBLOCK),
            MaxMessages = file.Queue.MostMessages,
            MessageSize = file.Queue.MostBytes,
            Messages = file.Queue.Count,
        };
        if (!wanted.IsNull)
            file.SetFlags((file.Flags & ~OpenFlags.O_NONBLOCK) | (OpenFlags)changed.Flags);
        file.DropReference();
        return old.IsNull ? 0 : task.Mm.Write(old, before);
    }

    /// <summary>The queue behind a descriptor; <paramref name="held"/> has the reference, whatever it is.</summary>
    private static PosixQueueFile? Get(Task task, Fd descriptor, out FileDescription? held)
    {
        held = task.Files.Get(descriptor.Value);
        return held as PosixQueueFile;
    }
}
