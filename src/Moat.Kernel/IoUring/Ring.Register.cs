using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>io_uring_register(2).</summary>
internal sealed partial class Ring
{
    /// <summary>Serves one registration call. EINVAL for what is not known; EEXIST for another task's ring.</summary>
    public SysResult Register(Task task, IoUringRegisterOp op, UserPtr argument, uint count)
    {
        _lock.Enter();
        SysResult result = IsForeign(task) ? Errno.EEXIST : RegisterLocked(task, op, argument, count);
        // Tags of resources that nobody uses any more.
        FlushBatch();
        Unlock();
        return result;
    }

    private SysResult RegisterLocked(Task task, IoUringRegisterOp op, UserPtr argument, uint count)
    {
        bool bare = argument.IsNull && count == 0;
        switch (op)
        {
            case IoUringRegisterOp.REGISTER_BUFFERS:
                return argument.IsNull ? Errno.EFAULT : RegisterBuffers(task, argument, count);
            case IoUringRegisterOp.UNREGISTER_BUFFERS:
                return bare ? Unregister(ref _buffers) : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_FILES:
                return argument.IsNull ? Errno.EFAULT : RegisterFiles(task, argument, count);
            case IoUringRegisterOp.UNREGISTER_FILES:
                return bare ? Unregister(ref _files) : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_FILES_UPDATE:
                return RegisterFilesUpdate(task, argument, count);
            case IoUringRegisterOp.REGISTER_EVENTFD:
                return count != 1 ? Errno.EINVAL : RegisterEventfd(task, argument, async: false);
            case IoUringRegisterOp.REGISTER_EVENTFD_ASYNC:
                return count != 1 ? Errno.EINVAL : RegisterEventfd(task, argument, async: true);
            case IoUringRegisterOp.UNREGISTER_EVENTFD:
                return bare ? UnregisterEventfd() : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_PROBE:
                return argument.IsNull || count > 256 ? Errno.EINVAL : Probe(task, argument, count);
            case IoUringRegisterOp.REGISTER_PBUF_RING:
                return argument.IsNull || count != 1 ? Errno.EINVAL : RegisterBufferRing(task, argument);
            case IoUringRegisterOp.UNREGISTER_PBUF_RING:
                return argument.IsNull || count != 1 ? Errno.EINVAL : UnregisterBufferRing(task, argument);
            case IoUringRegisterOp.REGISTER_PBUF_STATUS:
                return argument.IsNull || count != 1 ? Errno.EINVAL : BufferRingStatus(task, argument);
            case IoUringRegisterOp.REGISTER_ENABLE_RINGS:
                return bare ? EnableRings(task) : Errno.EINVAL;
            default:
                return Errno.EINVAL;
        }
    }

    private SysResult EnableRings(Task task)
    {
        if (!_disabled)
            return Errno.EBADFD;
        if ((Setup & IoUringSetup.SINGLE_ISSUER) != 0)
            _issuer ??= task;
        Volatile.Write(ref _disabled, false);
        return 0;
    }

    private SysResult RegisterEventfd(Task task, UserPtr argument, bool async)
    {
        if (_eventfd is not null)
            return Errno.EBUSY;
        Errno e = task.Mm.Read(new UserPtr<int>(argument.Address), out int fd);
        if (e != Errno.OK)
            return e;
        FileDescription? file = GetFile(task.Files, fd);
        if (file is null)
            return Errno.EBADF;
        if (file is not EventFd eventfd)
        {
            file.DropReference();
            return Errno.EINVAL;
        }
        _eventfdAsync = async;
        Volatile.Write(ref _eventfd, eventfd);
        return 0;
    }

    private SysResult UnregisterEventfd()
    {
        EventFd? eventfd = _eventfd;
        if (eventfd is null)
            return Errno.ENXIO;
        Volatile.Write(ref _eventfd, null);
        eventfd.DropReference();
        return 0;
    }

    private static SysResult Probe(Task task, UserPtr argument, uint count)
    {
        // The header and the operations lie in the guest as one run of 8-byte words; they have to be zero when handed in.
        const int HeaderWords = 2, MaxWords = HeaderWords + 256;
        Span<ulong> words = stackalloc ulong[MaxWords];
        words = words[..(HeaderWords + (int)count)];
        Span<byte> bytes = MemoryMarshal.AsBytes(words);
        Errno e = task.Mm.CopyIn(argument, bytes);
        if (e != Errno.OK)
            return e;
        if (bytes.ContainsAnyExcept((byte)0))
            return Errno.EINVAL;
        int known = Math.Min((int)count, OperationTable.Last + 1);
        Unsafe.As<ulong, IoUringProbe>(ref words[0]) = new IoUringProbe { last_op = (byte)OperationTable.Last, ops_len = (byte)known };
        for (int i = 0; i < known; i++)
        {
            bool there = OperationTable.Operations[i] is not null;
            Unsafe.As<ulong, IoUringProbeOp>(ref words[HeaderWords + i]) = new IoUringProbeOp
            {
                op = (byte)i,
                flags = there ? IoUringConst.IO_URING_OP_SUPPORTED : (ushort)0,
            };
        }
        return task.Mm.CopyOut(argument, bytes);
    }
}
