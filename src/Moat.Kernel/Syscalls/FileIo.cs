using Moat.Kernel.FileSystems.Proc;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Syscalls;

/// <summary>Guest memory that a call reads from or writes to: one range, or an array of struct iovec.</summary>
internal readonly struct UserBuffer
{
    private readonly UserPtr _address;
    private readonly ulong _length;
    private readonly bool _isVector;

    private UserBuffer(UserPtr address, ulong length, bool isVector)
    {
        _address = address;
        _length = length;
        _isVector = isVector;
    }

    /// <summary>A range; beyond MAX_RW_COUNT it is cut.</summary>
    public static UserBuffer Range(UserPtr address, ulong length) => new(address, length, false);

    /// <summary>An array of struct iovec.</summary>
    public static UserBuffer Vector(UserPtr iovec, ulong count) => new(iovec, count, true);

    /// <summary>An array of struct iovec, perhaps one that names no bytes at all.</summary>
    public bool IsVector => _isVector;

    /// <summary>How many parts an array has, which has been translated before; else bytes.</summary>
    public ulong Length => _length;

    /// <summary>One part of an array. EFAULT.</summary>
    public Errno GetPart(MemoryManager mm, ulong index, out UserBuffer part)
    {
        const ulong Size = 16;
        Errno error = mm.Read(new UserPtr<IoVec>(_address.Address + (index * Size)), out IoVec vector);
        part = Range(new UserPtr(vector.Base), vector.Length);
        return error;
    }

    /// <summary>The range, unless it is an array.</summary>
    public bool TryGetRange(out ulong address, out ulong length)
    {
        address = _address.Address;
        length = Math.Min(_length, FileOperations.MaxCount);
        return !_isVector;
    }

    /// <summary>
    /// Translates into a vector that is empty. EFAULT: not of user space; EINVAL. <paramref name="isCut"/>: an inaccessible byte ends the range
    /// early. Of a range that has no accessible byte only whoever touches it finds out (<see cref="IoVector.AddInaccessible"/>).
    /// </summary>
    public Errno Translate(MemoryManager mm, MapAccess access, IoVector into, out bool isCut)
    {
        isCut = false;
        ulong wanted = 0;
        if (_isVector)
        {
            Errno error = _length > 1024 ? Errno.EINVAL : mm.TranslateVector(_address, (int)_length, access, into, out wanted);
            if (error != Errno.OK)
                return error;
        }
        else
        {
            // Whole ranges have to lie in user space, also the part beyond MAX_RW_COUNT.
            if (!MemoryManager.IsUserRange(_address.Address, _length))
                return Errno.EFAULT;
            wanted = Math.Min(_length, FileOperations.MaxCount);
            mm.Translate(_address, wanted, access, into);
        }
        isCut = into.Remaining < wanted && into.Remaining != 0;
        if (into.Remaining == 0)
            into.AddInaccessible(wanted);
        return Errno.OK;
    }
}

/// <summary>What read(2), write(2) and all their relatives do: translate, try, wait, try again.</summary>
internal static class FileIo
{
    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Writable = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    /// <summary>Reads at the position (<paramref name="offset"/> -1) or an offset.</summary>
    public static SysResult Read(Task task, int fd, in UserBuffer buffer, long offset, RwFlags flags)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
            return Errno.EBADF;
        SysResult result = CheckMode(file, offset, flags, write: false);
        if (result.IsError)
        {
            file.DropReference();
            return result;
        }
        if (file is MemoryAccessFile memory && memory.Memory != task.Mm)
        {
            result = Foreign(task, memory, in buffer, offset, writes: false);
            file.DropReference();
            return result;
        }
        result = buffer.IsVector && file.TakesParts(write: false) ? MoveParts(task, file, in buffer, offset, flags, write: false)
            : ReadOne(task, file, in buffer, offset, flags);
        file.DropReference();
        return result;
    }

    private static SysResult ReadOne(Task task, FileDescription file, in UserBuffer buffer, long offset, RwFlags flags)
    {
        long deadline = 0;
        while (true)
        {
            IoVector vector = task.Vector;
            vector.Clear();
            task.Mm.BeginAccess();
            Errno error = buffer.Translate(task.Mm, MapAccess.Write, vector, out bool isCut);
            vector.IsCut = isCut;
            SysResult result = error != Errno.OK ? error : buffer.IsVector && vector.Remaining == 0 ? 0 : FileOperations.Read(file, vector, offset, flags);
            task.Mm.EndAccess();
            if (result.Error != Errno.EAGAIN || file.IsNonBlocking || (flags & RwFlags.RWF_NOWAIT) != 0)
                return result;
            Errno end = Wait(task, file, write: false, ref deadline);
            if (end != Errno.OK)
                return end;
        }
    }

    /// <summary>Reads or writes the parts of an array one after the other, until one is not whole.</summary>
    private static SysResult MoveParts(Task task, FileDescription file, in UserBuffer buffer, long offset, RwFlags flags, bool write)
    {
        task.Vector.Clear();
        task.Mm.BeginAccess();
        Errno error = buffer.Translate(task.Mm, write ? MapAccess.Read : MapAccess.Write, task.Vector, out _);
        task.Mm.EndAccess();
        ulong wanted = 0;
        UserBuffer part;
        for (ulong i = 0; error == Errno.OK && i < buffer.Length; i++, wanted += part.Length)
            error = buffer.GetPart(task.Mm, i, out part);
        if (error != Errno.OK)
            return error;
        long done = 0;
        for (ulong i = 0; (ulong)done < wanted; i++)
        {
            error = buffer.GetPart(task.Mm, i, out part);
            long at = offset < 0 ? offset : offset + done;
            SysResult moved = error != Errno.OK ? error : write ? WriteAll(task, file, in part, at, flags) : ReadOne(task, file, in part, at, flags);
            if (moved.IsError)
                return done > 0 ? done : moved;
            done += moved.Value;
            if ((ulong)moved.Value != part.Length)
                break;
        }
        return done;
    }

    /// <summary>Writes; as <see cref="Read"/>. A stream that blocks takes all before the call returns (POSIX write).</summary>
    public static SysResult Write(Task task, int fd, in UserBuffer buffer, long offset, RwFlags flags)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
            return Errno.EBADF;
        SysResult result = CheckMode(file, offset, flags, write: true);
        if (!result.IsError)
        {
            result = file is MemoryAccessFile memory && memory.Memory != task.Mm
                ? Foreign(task, memory, in buffer, offset, writes: true)
                : buffer.IsVector && file.TakesParts(write: true) ? MoveParts(task, file, in buffer, offset, flags, write: true)
                : WriteAll(task, file, in buffer, offset, flags);
        }
        file.DropReference();
        return result;
    }

    /// <summary>Another process's memory, which no vector can span. EINVAL for arrays.</summary>
    private static SysResult Foreign(Task task, MemoryAccessFile memory, in UserBuffer buffer, long offset, bool writes)
    {
        if (!buffer.TryGetRange(out ulong address, out ulong length))
            return Errno.EINVAL;
        long there = offset < 0 ? memory.Position : offset;
        SysResult result = memory.Transfer(task, address, length, (ulong)there, writes);
        if (offset < 0 && !result.IsError)
            memory.Position = there + result.Value;
        return result;
    }

    private static SysResult WriteAll(Task task, FileDescription file, in UserBuffer buffer, long offset, RwFlags flags)
    {
        ulong done = 0;
        long deadline = 0;
        while (true)
        {
            IoVector vector = task.Vector;
            vector.Clear();
            task.Mm.BeginAccess();
            SysResult result = buffer.Translate(task.Mm, MapAccess.Read, vector, out bool isCut);
            if (isCut && !file.IsSeekable && (!buffer.IsVector || file is Sockets.Socket or Pipes.PipeFile))
                FileOperations.CutWrite(file, vector);
            if (vector.IsInaccessible && file.IsRegular)
                result = Errno.EFAULT;
            if (!result.IsError)
                result = FileOperations.LimitWrite(task, file, vector, offset, flags);
            if (!result.IsError)
            {
                vector.Advance(Math.Min(done, vector.Remaining));
                result = vector.Remaining == 0 && (done > 0 || buffer.IsVector) ? 0 : FileOperations.Write(file, vector, offset, flags);
            }
            bool finished = vector.Remaining == 0;
            task.Mm.EndAccess();
            if (!result.IsError)
            {
                done += (ulong)result.Value;
                if (finished || result.Value == 0 || file.IsSeekable || file.IsRegular || task.HasDeliverableSignal)
                    return (long)done;
                continue;
            }
            if (result.Error == Errno.EAGAIN && !file.IsNonBlocking && (flags & RwFlags.RWF_NOWAIT) == 0)
            {
                Errno end = Wait(task, file, write: true, ref deadline);
                if (end == Errno.OK)
                    continue;
                result = end;
            }
            if (result.Error == Errno.EPIPE && file.RaisesSigpipe && (flags & RwFlags.RWF_NOSIGNAL) == 0)
                task.SendSigpipe();
            return done > 0 ? (long)done : result;
        }
    }

    /// <summary>
    /// Waits for readiness: OK, try again. EAGAIN: a socket's time-out is up; ERESTARTSYS, with a time-out EINTR: a signal.
    /// <paramref name="deadline"/> is 0 until the first wait of the call.
    /// </summary>
    private static Errno Wait(Task task, FileDescription file, bool write, ref long deadline)
    {
        long timeout = file.GetWaitTimeout(write);
        if (deadline == 0)
            deadline = timeout == Task.Forever ? Task.Forever : HostClock.After(timeout);
        return task.WaitFor(file, write ? Writable : Readable, deadline) switch
        {
            WaitOutcome.Woken => Errno.OK,
            WaitOutcome.TimedOut => Errno.EAGAIN,
            _ => timeout == Task.Forever ? Errno.ERESTARTSYS : Errno.EINTR,
        };
    }

    private static SysResult CheckMode(FileDescription file, long offset, RwFlags flags, bool write)
    {
        if (offset >= 0 && !file.IsSeekable && (file.Flags & OpenFlags.O_PATH) == 0)
            return Errno.ESPIPE;
        if (write ? !file.CanWrite : !file.CanRead)
            return Errno.EBADF;
        if (!file.CanTransfer(write))
            return Errno.EINVAL;
        return FileOperations.CheckFlags(file, flags, write);
    }
}
