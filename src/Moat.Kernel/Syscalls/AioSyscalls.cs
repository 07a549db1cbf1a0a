using Moat.Kernel.Aio;
using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Syscalls;

/// <summary>Native asynchronous I/O: io_setup(2) and its relatives.</summary>
internal static class AioSyscalls
{
    /// <summary>fs.aio-max-nr.</summary>
    public const int MaxEvents = 65536;

    private const int MaxVectors = 1024;

    /// <summary>io_setup(2). EINVAL, EAGAIN beyond <see cref="MaxEvents"/> in all, ENOMEM, EFAULT.</summary>
    [Syscall(206, "io_setup", Support.Full)]
    public static SysResult IoSetup(Task task, uint events, UserPtr<ulong> name)
    {
        const uint Absurd = 0x10000000 / IoEvent.Size;
        Errno error = task.Mm.Read(name, out ulong old);
        if (error != Errno.OK)
            return error;
        if (old != 0 || events == 0 || events > Absurd)
            return Errno.EINVAL;
        if (Interlocked.Add(ref task.Sentry.AioEvents, (int)events) is var all && (all < 0 || all > MaxEvents))
        {
            Interlocked.Add(ref task.Sentry.AioEvents, -(int)events);
            return Errno.EAGAIN;
        }
        error = Make(task, events, out AioContext? context);
        if (error == Errno.OK)
            error = task.Mm.Write(name, context!.Address);
        if (error == Errno.OK)
            return 0;
        if (context is null)
            Interlocked.Add(ref task.Sentry.AioEvents, -(int)events);
        else
            Destroy(task, context);
        return error;
    }

    private static Errno Make(Task task, uint events, out AioContext? context)
    {
        context = null;
        MapRequest map = new()
        {
            Length = MemoryManager.PageUp(AioRing.HeaderSize + ((ulong)(events + 2) * IoEvent.Size)),
            Access = MapAccess.Read | MapAccess.Write,
            MaxAccess = MapAccess.Read | MapAccess.Write,
            Flags = VmaFlags.Shared | VmaFlags.DontFork,
        };
        SysResult mapped = task.Mm.Map(in map);
        if (mapped.IsError)
            return mapped.Error;
        AioContext made = new(task.Sentry, (ulong)mapped.Value) { Events = (int)events, MappedBytes = map.Length };
        Errno error = made.Attach(task.Mm);
        if (error != Errno.OK)
        {
            task.Mm.Unmap(made.Address, made.MappedBytes);
            return error;
        }
        task.Mm.GetAio().Add(made);
        context = made;
        return Errno.OK;
    }

    /// <summary>io_destroy(2): waits until what is under way has ended. EINVAL.</summary>
    [Syscall(207, "io_destroy", Support.Full)]
    public static SysResult IoDestroy(Task task, ulong name)
    {
        if (task.Mm.AioIfAny?.Find(name) is not { } context)
            return Errno.EINVAL;
        return Destroy(task, context) ? 0 : Errno.EINVAL;
    }

    private static bool Destroy(Task task, AioContext context)
    {
        if (!context.Kill())
            return false;
        task.Mm.AioIfAny?.Remove(context.Address);
        task.BeginWait(context.Waiters, PollEvents.POLLIN);
        while (context.UnderWay != 0 && task.BlockKillable() != WaitOutcome.Interrupted)
        {
        }
        task.EndWait(context.Waiters);
        task.Mm.Unmap(context.Address, context.MappedBytes);
        return true;
    }

    /// <summary>io_submit(2): how many of the requests began, or why the first did not.</summary>
    [Syscall(209, "io_submit", Support.Full)]
    public static SysResult IoSubmit(Task task, ulong name, nint count, UserPtr<ulong> requests)
    {
        if (count < 0 || task.Mm.AioIfAny?.Find(name) is not { } context)
            return Errno.EINVAL;
        nint done = 0;
        for (; done < count; done++)
        {
            Errno error = task.Mm.Read(new UserPtr<ulong>(requests.Address + ((ulong)done * sizeof(ulong))), out ulong address);
            if (error == Errno.OK)
                error = Submit(task, context, address);
            if (error != Errno.OK)
                return done != 0 ? done : error;
        }
        return done;
    }

    private static Errno Submit(Task task, AioContext context, ulong address)
    {
        Errno error = task.Mm.Read(new UserPtr<Iocb>(address), out Iocb iocb);
        if (error != Errno.OK)
            return error;
        if (iocb.aio_reserved2 != 0 || (long)iocb.aio_nbytes < 0)
            return Errno.EINVAL;
        error = context.Begin();
        if (error != Errno.OK)
            return error;
        error = Start(task, context, in iocb, address);
        if (error != Errno.OK)
            context.Abandon();
        return error;
    }

    private static Errno Start(Task task, AioContext context, in Iocb iocb, ulong address)
    {
        FileDescription? file = task.Files.Get(iocb.aio_fildes);
        if (file is null || (file.Flags & OpenFlags.O_PATH) != 0)
        {
            file?.DropReference();
            return Errno.EBADF;
        }
        EventFd? notice = null;
        Errno error = Errno.OK;
        if ((iocb.aio_flags & Iocb.IOCB_FLAG_RESFD) != 0)
            error = GetNotice(task, iocb.aio_resfd, out notice);
        if (error == Errno.OK)
            error = task.Mm.Write(new UserPtr<uint>(address + Iocb.KeyOffset), 0u);
        if (error == Errno.OK && (iocb.aio_flags & Iocb.IOCB_FLAG_IOPRIO) != 0)
            error = SchedulerSyscalls.CheckIoPriority(task.Credentials, (ushort)iocb.aio_reqprio);
        if (error == Errno.OK)
            error = Start(task, context, file, in iocb, address, notice);
        if (error != Errno.OK)
        {
            notice?.DropReference();
            file.DropReference();
        }
        return error;
    }

    private static Errno GetNotice(Task task, int fd, out EventFd? notice)
    {
        FileDescription? file = task.Files.Get(fd);
        notice = file as EventFd;
        if (notice is null)
            file?.DropReference();
        return file is null ? Errno.EBADF : notice is null ? Errno.EINVAL : Errno.OK;
    }

    /// <summary>OK takes over the references to file and eventfd.</summary>
    private static Errno Start(Task task, AioContext context, FileDescription file, in Iocb iocb, ulong address, EventFd? notice)
    {
        switch (iocb.aio_lio_opcode)
        {
            case AioCommand.IOCB_CMD_PREAD or AioCommand.IOCB_CMD_PREADV:
                return Transfer(task, context, file, in iocb, address, notice, write: false);
            case AioCommand.IOCB_CMD_PWRITE or AioCommand.IOCB_CMD_PWRITEV:
                return Transfer(task, context, file, in iocb, address, notice, write: true);
            case AioCommand.IOCB_CMD_FSYNC or AioCommand.IOCB_CMD_FDSYNC:
                if (iocb.aio_buf != 0 || iocb.aio_offset != 0 || iocb.aio_nbytes != 0 || iocb.aio_rw_flags != 0 || file.Waiters is not null)
                    return Errno.EINVAL;
                context.Rent().Start(file, in iocb, address, notice);
                return Errno.OK;
            case AioCommand.IOCB_CMD_POLL:
                if (iocb.aio_buf > ushort.MaxValue || iocb.aio_offset != 0 || iocb.aio_nbytes != 0 || iocb.aio_rw_flags != 0)
                    return Errno.EINVAL;
                new AioPoll(context, file, in iocb, address, notice).Start();
                return Errno.OK;
            default:
                return Errno.EINVAL;
        }
    }

    private static Errno Transfer(Task task, AioContext context, FileDescription file, in Iocb iocb, ulong address, EventFd? notice, bool write)
    {
        bool isVector = iocb.aio_lio_opcode is AioCommand.IOCB_CMD_PREADV or AioCommand.IOCB_CMD_PWRITEV;
        RwFlags flags = (RwFlags)iocb.aio_rw_flags;
        if (write ? !file.CanWrite : !file.CanRead)
            return Errno.EBADF;
        if (file.Inode.IsDirectory || (file.IsSeekable && iocb.aio_offset < 0) || (isVector && iocb.aio_nbytes > MaxVectors))
            return Errno.EINVAL;
        Errno error = FileOperations.CheckFlags(file, flags, write);
        if (error != Errno.OK)
            return error;
        UserPtr memory = new(iocb.aio_buf);
        if (file.IsDirect)
            return TransferLater(task, context, file, in iocb, address, notice, memory, isVector, write);
        UserBuffer buffer = isVector ? UserBuffer.Vector(memory, iocb.aio_nbytes) : UserBuffer.Range(memory, iocb.aio_nbytes);
        long offset = file.IsSeekable ? iocb.aio_offset : -1;
        SysResult result = write ? FileIo.Write(task, iocb.aio_fildes, in buffer, offset, flags) : FileIo.Read(task, iocb.aio_fildes, in buffer, offset, flags);
        if (result.Error == Errno.ERESTARTSYS)
            result = Errno.EINTR;
        file.DropReference();
        context.Complete(new IoEvent { data = iocb.aio_data, obj = address, res = result.Value }, notice);
        return Errno.OK;
    }

    /// <summary>Without the page cache each transfer waits for the disk: on a worker, the guest's memory pinned.</summary>
    private static Errno TransferLater(
        Task task, AioContext context, FileDescription file, in Iocb iocb, ulong address, EventFd? notice, UserPtr memory, bool isVector, bool write)
    {
        AioTransfer transfer = context.Rent();
        MapAccess access = write ? MapAccess.Read : MapAccess.Write;
        ulong length = Math.Min(iocb.aio_nbytes, FileOperations.MaxCount);
        Errno error = isVector ? task.Mm.PinVector(memory, (int)iocb.aio_nbytes, access, transfer.Memory)
            : task.Mm.PinPartly(memory, length, access, transfer.Memory) == 0 && length != 0 ? Errno.EFAULT : Errno.OK;
        if (error == Errno.OK)
        {
            transfer.Vector.Clear();
            transfer.Memory.AddTo(transfer.Vector, 0, transfer.Memory.Length);
            transfer.Vector.IsCut = !isVector && transfer.Memory.Length < length;
            if (write)
                error = FileOperations.LimitWrite(task, file, transfer.Vector, iocb.aio_offset, (RwFlags)iocb.aio_rw_flags);
        }
        if (error != Errno.OK)
        {
            transfer.Memory.Unpin();
            context.Recycle(transfer);
            return error;
        }
        transfer.Start(file, in iocb, address, notice);
        return Errno.OK;
    }

    /// <summary>io_cancel(2): EINPROGRESS for a poll, whose event comes; EINVAL for what cannot be cancelled.</summary>
    [Syscall(210, "io_cancel", Support.Full)]
    public static SysResult IoCancel(Task task, ulong name, UserPtr<Iocb> request, UserPtr<IoEvent> result)
    {
        if (task.Mm.Read(request, out Iocb iocb) != Errno.OK)
            return Errno.EFAULT;
        if (iocb.aio_key != 0 || task.Mm.AioIfAny?.Find(name) is not { } context)
            return Errno.EINVAL;
        return context.Cancel(request.Address);
    }

    /// <summary>io_getevents(2). How many events; EINVAL, EFAULT, EINTR.</summary>
    [Syscall(208, "io_getevents", Support.Full)]
    public static SysResult IoGetEvents(Task task, ulong name, nint least, nint most, UserPtr<IoEvent> events, UserPtr<Timespec> timeout)
    {
        Errno error = ReadDeadline(task, timeout, out long deadline);
        return error != Errno.OK ? error : GetEvents(task, name, least, most, events, deadline);
    }

    /// <summary>io_pgetevents(2): with a signal mask meanwhile.</summary>
    [Syscall(333, "io_pgetevents", Support.Full)]
    public static SysResult IoPGetEvents(
        Task task, ulong name, nint least, nint most, UserPtr<IoEvent> events, UserPtr<Timespec> timeout, UserPtr<SizedMask> mask)
    {
        SizedMask sized = default;
        Errno error = ReadDeadline(task, timeout, out long deadline);
        if (error == Errno.OK && !mask.IsNull)
            error = task.Mm.Read(mask, out sized);
        if (error == Errno.OK)
            error = PollSyscalls.SetMask(task, new UserPtr<ulong>(sized.Mask), (nuint)sized.Size);
        if (error != Errno.OK)
            return error;
        SysResult taken = GetEvents(task, name, least, most, events, deadline);
        return taken.Error == Errno.EINTR ? Errno.ERESTARTNOHAND : taken;
    }

    /// <summary>As Linux reads it here: without a look at its fields; what is below zero never comes.</summary>
    private static Errno ReadDeadline(Task task, UserPtr<Timespec> timeout, out long deadline)
    {
        deadline = Task.Forever;
        if (timeout.IsNull)
            return Errno.OK;
        Errno error = task.Mm.Read(timeout, out Timespec time);
        if (error == Errno.OK && time.Seconds >= 0 && time.Nanoseconds >= 0)
            deadline = time.Seconds == 0 && time.Nanoseconds == 0 ? 0 : HostClock.After(HostClock.Add(HostClock.ToNanoseconds(new Timespec { Seconds = time.Seconds }), time.Nanoseconds));
        return error;
    }

    private static SysResult GetEvents(Task task, ulong name, nint least, nint most, UserPtr<IoEvent> events, long deadline)
    {
        if (least < 0 || most < 0 || least > most || task.Mm.AioIfAny?.Find(name) is not { } context)
            return Errno.EINVAL;
        int done = 0, wanted = (int)Math.Min(most, MaxEvents);
        WaitOutcome outcome = WaitOutcome.Woken;
        while (true)
        {
            SysResult taken = context.Take(task.Mm, new UserPtr(events.Address + ((ulong)done * IoEvent.Size)), wanted - done);
            if (taken.IsError)
                return done != 0 ? done : taken;
            done += (int)taken.Value;
            if (done >= least || deadline == 0 || outcome == WaitOutcome.TimedOut)
                return done;
            if (outcome == WaitOutcome.Interrupted)
                return done != 0 ? done : Errno.EINTR;
            task.BeginWait(context.Waiters, PollEvents.POLLIN);
            outcome = context.CountEvents().Value == 0 ? task.Block(deadline) : WaitOutcome.Woken;
            task.EndWait(context.Waiters);
        }
    }
}
