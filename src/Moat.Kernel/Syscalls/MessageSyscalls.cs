using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Ipc;
using Moat.Kernel.Tasks;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>System V message queues (msgget(2), msgop(2), msgctl(2)).</summary>
internal static class MessageSyscalls
{
    private const int MSG_NOERROR = 0x1000, MSG_EXCEPT = 0x2000, MSG_COPY = 0x4000;
    private const int MSG_STAT = 11, MSG_INFO = 12, MSG_STAT_ANY = 13;

    [StructLayout(LayoutKind.Sequential, Size = 120)]
    private struct MsqidDs
    {
        public IpcPermissions Permissions;
        public long SendTime, ReceiveTime, ChangeTime;
        public ulong Bytes, Count, Limit;
        public int LastSender, LastReceiver;
    }

    private struct MsgInfo
    {
        public int Pool, Map, Max, QueueBytes, Queues, SegmentSize, Messages;
        public ushort Segments;
    }

    /// <summary>msgget(2).</summary>
    [Syscall(68, "msgget", Support.Full)]
    public static SysResult MsgGet(Task task, int key, int flags)
        => task.Sentry.MessageQueues.Table.Get(task, key, flags, static _ => Errno.OK, static (out MessageQueue? made) =>
        {
            made = new MessageQueue();
            return Errno.OK;
        });

    /// <summary>msgsnd(2): the buffer is a long, the type, and the text.</summary>
    [Syscall(69, "msgsnd", Support.Full)]
    public static SysResult MsgSnd(Task task, int id, UserPtr buffer, nuint size, int flags)
    {
        if (task.Mm.Read(new UserPtr<long>(buffer.Address), out long type) != Errno.OK)
            return Errno.EFAULT;
        if (size > MessageQueues.MSGMAX || id < 0 || type < 1)
            return Errno.EINVAL;
        MessageQueues all = task.Sentry.MessageQueues;
        Message? message = all.Take((int)size);
        if (message is null)
            return Errno.ENOMEM;
        message.Type = type;
        SysResult result = task.Mm.CopyIn(buffer + sizeof(long), message.Text);
        if (!result.IsError)
        {
            MessageQueue? queue = all.Table.Find(id);
            result = queue is null ? Errno.EINVAL : Send(task, queue, message, (flags & IpcFlags.IPC_NOWAIT) != 0);
        }
        if (result.IsError)
            all.Return(message);
        return result;
    }

    private static SysResult Send(Task task, MessageQueue queue, Message message, bool doesNotWait)
    {
        while (true)
        {
            lock (queue.Lock)
            {
                if (queue.IsRemoved)
                    return Errno.EIDRM;
                Errno error = queue.CheckAccess(task.Credentials, IpcFlags.Write);
                if (error != Errno.OK)
                    return error;
                if (queue.HasRoom(message.Length))
                {
                    queue.Add(message);
                    queue.LastSender = task.Group.Id;
                    queue.SendTime = IpcClock.Seconds;
                    break;
                }
                if (doesNotWait)
                    return Errno.EAGAIN;
                task.BeginWait(queue.Senders, PollEvents.POLLOUT);
            }
            bool interrupted = task.Block() == WaitOutcome.Interrupted;
            task.EndWait(queue.Senders);
            if (interrupted)
                return Errno.ERESTARTNOHAND;
        }
        queue.Receivers.Wake(PollEvents.POLLIN);
        return 0;
    }

    /// <summary>msgrcv(2).</summary>
    [Syscall(70, "msgrcv", Support.Full)]
    public static SysResult MsgRcv(Task task, int id, UserPtr buffer, nuint size, long type, int flags)
    {
        if (id < 0 || (long)size < 0)
            return Errno.EINVAL;
        bool copies = (flags & MSG_COPY) != 0;
        if (copies && ((flags & MSG_EXCEPT) != 0 || (flags & IpcFlags.IPC_NOWAIT) == 0))
            return Errno.EINVAL;
        MessageQueues all = task.Sentry.MessageQueues;
        MessageQueue? queue = all.Table.Find(id);
        if (queue is null)
            return Errno.EINVAL;
        MessageChoice choice = new(type, (flags & MSG_EXCEPT) != 0, copies);
        SysResult result = Receive(task, all, queue, choice, size, flags, out Message? message);
        if (result.IsError)
            return result;
        int length = (int)Math.Min((nuint)message!.Length, size);
        bool written = task.Mm.Write(new UserPtr<long>(buffer.Address), message.Type) == Errno.OK
            && task.Mm.CopyOut(buffer + sizeof(long), message.Text[..length]) == Errno.OK;
        all.Return(message);
        return written ? length : Errno.EFAULT;
    }

    private static SysResult Receive(
        Task task, MessageQueues all, MessageQueue queue, MessageChoice choice, nuint size, int flags, out Message? message)
    {
        message = null;
        while (true)
        {
            lock (queue.Lock)
            {
                // Who waited learns that the queue is gone; who came with an old id was told before.
                if (queue.IsRemoved)
                    return Errno.EIDRM;
                Errno error = queue.CheckAccess(task.Credentials, IpcFlags.Read);
                if (error != Errno.OK)
                    return error;
                if (queue.Find(choice) is { } found)
                {
                    if ((nuint)found.Length > size && (flags & MSG_NOERROR) == 0)
                        return Errno.E2BIG;
                    if (choice.ByNumber)
                    {
                        message = all.Take(found.Length);
                        if (message is null)
                            return Errno.ENOMEM;
                        message.Type = found.Type;
                        found.Text.CopyTo(message.Bytes);
                        return 0;
                    }
                    queue.Remove(found);
                    queue.LastReceiver = task.Group.Id;
                    queue.ReceiveTime = IpcClock.Seconds;
                    message = found;
                    break;
                }
                if ((flags & IpcFlags.IPC_NOWAIT) != 0)
                    return Errno.ENOMSG;
                task.BeginWait(queue.Receivers, PollEvents.POLLIN);
            }
            bool interrupted = task.Block() == WaitOutcome.Interrupted;
            task.EndWait(queue.Receivers);
            if (interrupted)
                return Errno.ERESTARTNOHAND;
        }
        queue.Senders.Wake(PollEvents.POLLOUT);
        return 0;
    }

    /// <summary>msgctl(2).</summary>
    [Syscall(71, "msgctl", Support.Full)]
    public static SysResult MsgCtl(Task task, int id, int command, UserPtr buffer)
    {
        if (id < 0 || command < 0)
            return Errno.EINVAL;
        MessageQueues all = task.Sentry.MessageQueues;
        switch (command)
        {
            case IpcFlags.IPC_INFO or MSG_INFO:
                bool limits = command == IpcFlags.IPC_INFO;
                MsgInfo info = new()
                {
                    Pool = limits ? MessageQueues.MSGMNI * (MessageQueues.MSGMNB / 1024) : all.Table.Count,
                    Map = limits ? MessageQueues.MSGMNB : all.TotalMessages,
                    Max = MessageQueues.MSGMAX,
                    QueueBytes = MessageQueues.MSGMNB,
                    Queues = MessageQueues.MSGMNI,
                    SegmentSize = 16,
                    Messages = limits ? MessageQueues.MSGMNB : (int)all.TotalBytes,
                    Segments = 0xffff,
                };
                return task.Mm.Write(new UserPtr<MsgInfo>(buffer.Address), in info) == Errno.OK ? all.Table.HighestIndex : Errno.EFAULT;
            case IpcFlags.IPC_STAT or MSG_STAT or MSG_STAT_ANY:
                return Stat(task, all.Table, id, command, new UserPtr<MsqidDs>(buffer.Address));
            case IpcFlags.IPC_SET or IpcFlags.IPC_RMID:
                MsqidDs wanted = default;
                if (command == IpcFlags.IPC_SET && task.Mm.Read(new UserPtr<MsqidDs>(buffer.Address), out wanted) != Errno.OK)
                    return Errno.EFAULT;
                return Change(task, all, id, command, in wanted);
            default:
                return Errno.EINVAL;
        }
    }

    private static SysResult Stat(Task task, IpcTable<MessageQueue> table, int id, int command, UserPtr<MsqidDs> buffer)
    {
        MessageQueue? queue = command == IpcFlags.IPC_STAT ? table.Find(id) : table.At(id);
        if (queue is null)
            return Errno.EINVAL;
        MsqidDs stat;
        lock (queue.Lock)
        {
            Errno error = command == MSG_STAT_ANY ? Errno.OK : queue.CheckAccess(task.Credentials, IpcFlags.Read);
            if (error == Errno.OK && queue.IsRemoved)
                error = Errno.EIDRM;
            if (error != Errno.OK)
                return error;
            stat = new MsqidDs
            {
                Permissions = queue.Describe(),
                SendTime = queue.SendTime,
                ReceiveTime = queue.ReceiveTime,
                ChangeTime = queue.ChangeTime,
                Bytes = (ulong)queue.Bytes,
                Count = (ulong)queue.Count,
                Limit = queue.Limit,
                LastSender = queue.LastSender,
                LastReceiver = queue.LastReceiver,
            };
        }
        long result = command == IpcFlags.IPC_STAT ? 0 : queue.Id;
        return task.Mm.Write(buffer, in stat) == Errno.OK ? result : Errno.EFAULT;
    }

    private static SysResult Change(Task task, MessageQueues all, int id, int command, in MsqidDs wanted)
    {
        Message? rest = null;
        MessageQueue? queue;
        lock (all.Table.Lock)
        {
            queue = all.Table.Find(id);
            if (queue is null)
                return Errno.EINVAL;
            Errno error = queue.CheckOwner(task.Credentials);
            if (error != Errno.OK)
                return error;
            lock (queue.Lock)
            {
                if (command == IpcFlags.IPC_SET)
                {
                    if (wanted.Limit > MessageQueues.MSGMNB && !task.Credentials.Has(Capability.CAP_SYS_RESOURCE))
                        return Errno.EPERM;
                    error = queue.Update(in wanted.Permissions);
                    if (error != Errno.OK)
                        return error;
                    queue.Limit = wanted.Limit;
                }
                else
                {
                    all.Table.Remove(queue);
                    rest = queue.TakeAll();
                }
            }
        }
        // Receivers may be allowed no more, senders may find room; all look again.
        queue.Receivers.Wake(PollEvents.None, all: true);
        queue.Senders.Wake(PollEvents.None, all: true);
        while (rest is { } message)
        {
            rest = message.Next;
            all.Return(message);
        }
        return 0;
    }
}
