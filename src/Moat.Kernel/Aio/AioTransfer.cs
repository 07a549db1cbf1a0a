using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Aio;

/// <summary>A transfer or fsync that a worker makes; the guest's buffers are pinned meanwhile. Kept by its context for reuse.</summary>
internal sealed class AioTransfer(AioContext context) : WorkItem
{
    private FileDescription _file = null!;
    private EventFd? _notice;
    private AioCommand _command;
    private RwFlags _flags;
    private IoEvent _event;
    private long _offset;

    public PinnedRange Memory { get; } = new();

    public IoVector Vector { get; } = new();

    /// <summary>Queues it; takes over the references to file and eventfd.</summary>
    public void Start(FileDescription file, in Iocb iocb, ulong address, EventFd? notice)
    {
        _file = file;
        _notice = notice;
        _command = iocb.aio_lio_opcode;
        _flags = (RwFlags)iocb.aio_rw_flags;
        _offset = iocb.aio_offset;
        _event = new IoEvent { data = iocb.aio_data, obj = address };
        context.Sentry.UringWorkers.Queue(this);
    }

    public override void Run()
    {
        SysResult result = _command switch
        {
            AioCommand.IOCB_CMD_FSYNC or AioCommand.IOCB_CMD_FDSYNC => _file.Sync(_command == AioCommand.IOCB_CMD_FDSYNC),
            _ => FileOperations.Move(_file, Vector, _offset, _flags, _command is AioCommand.IOCB_CMD_PWRITE or AioCommand.IOCB_CMD_PWRITEV),
        };
        Vector.Clear();
        Memory.Unpin();
        _file.DropReference();
        IoEvent ended = _event;
        ended.res = result.Value;
        EventFd? notice = _notice;
        context.Recycle(this);
        context.Complete(in ended, notice);
    }
}
