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
        if (op == IoUringRegisterOp.REGISTER_SYNC_CANCEL)
            return argument.IsNull || count != 1 ? Errno.EINVAL : CancelAndWait(task, argument);
        _lock.Enter();
        SysResult result = IsForeign(task) ? Errno.EEXIST : IsForbidden(op) ? Errno.EACCES : RegisterLocked(task, op, argument, count);
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
                return argument.IsNull ? Errno.EFAULT : RegisterBuffers(task, argument.Address, count, 0);
            case IoUringRegisterOp.UNREGISTER_BUFFERS:
                return bare ? Unregister(ref _buffers) : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_FILES:
                return argument.IsNull ? Errno.EFAULT : RegisterFiles(task, argument.Address, count, 0);
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
            case IoUringRegisterOp.REGISTER_FILES2:
                return RegisterResources(task, argument, count, files: true);
            case IoUringRegisterOp.REGISTER_FILES_UPDATE2:
                return UpdateResources(task, argument, count, files: true);
            case IoUringRegisterOp.REGISTER_BUFFERS2:
                return RegisterResources(task, argument, count, files: false);
            case IoUringRegisterOp.REGISTER_BUFFERS_UPDATE:
                return UpdateResources(task, argument, count, files: false);
            case IoUringRegisterOp.REGISTER_FILE_ALLOC_RANGE:
                return argument.IsNull || count != 0 ? Errno.EINVAL : SetAllocRange(task, argument);
            case IoUringRegisterOp.REGISTER_CLONE_BUFFERS:
                return argument.IsNull || count != 1 ? Errno.EINVAL : CloneBuffers(task, argument);
            case IoUringRegisterOp.REGISTER_PERSONALITY:
                return bare ? RegisterPersonality(task) : Errno.EINVAL;
            case IoUringRegisterOp.UNREGISTER_PERSONALITY:
                return argument.IsNull ? UnregisterPersonality(count) : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_RESTRICTIONS:
                return RegisterRestrictions(task, argument, count);
            case IoUringRegisterOp.REGISTER_IOWQ_AFF:
                return argument.IsNull || count == 0 ? Errno.EINVAL : SetWorkerAffinity(task, argument, count);
            case IoUringRegisterOp.UNREGISTER_IOWQ_AFF:
                return bare ? SetProcessors(task, null) : Errno.EINVAL;
            case IoUringRegisterOp.REGISTER_IOWQ_MAX_WORKERS:
                return argument.IsNull || count != 2 ? Errno.EINVAL : ExchangeWorkerLimits(task, argument);
            case IoUringRegisterOp.REGISTER_RING_FDS:
                return task.RegisterRings(argument, count);
            case IoUringRegisterOp.UNREGISTER_RING_FDS:
                return task.UnregisterRings(argument, count);
            case IoUringRegisterOp.REGISTER_CLOCK:
                return argument.IsNull || count != 0 ? Errno.EINVAL : RegisterClock(task, argument);
            case IoUringRegisterOp.REGISTER_NAPI:
                return argument.IsNull || count != 1 ? Errno.EINVAL : RegisterNapi(task, argument);
            case IoUringRegisterOp.UNREGISTER_NAPI:
                return count != 1 ? Errno.EINVAL : UnregisterNapi(task, argument);
            case IoUringRegisterOp.REGISTER_RESIZE_RINGS:
                return argument.IsNull || count != 1 ? Errno.EINVAL : ResizeRings(task, argument);
            case IoUringRegisterOp.REGISTER_MEM_REGION:
                return argument.IsNull || count != 1 ? Errno.EINVAL : RegisterMemoryRegion(task, argument);
            case IoUringRegisterOp.REGISTER_QUERY:
                return Query(task, argument, count);
            case IoUringRegisterOp.REGISTER_ZCRX_IFQ:
                return argument.IsNull || count != 1 ? Errno.EINVAL : RegisterZeroCopyReceive(task, argument);
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
        _isRestricted = _restrictions is not null;
        _submitsPlainly &= !_isRestricted;
        Volatile.Write(ref _disabled, false);
        _poller?.Wake();
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
}
