using Moat.Kernel.Events;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Aio;

/// <summary>IOCB_CMD_POLL: ends when a file is ready, or cancelled with no events.</summary>
internal sealed class AioPoll : WorkItem
{
    private const int Armed = 0, Fired = 1, Cancelled = 2;

    private readonly AioContext _context;
    private readonly FileDescription _file;
    private readonly EventFd? _notice;
    private readonly PollEvents _mask;
    private readonly Entry _entry;
    private IoEvent _event;
    private int _state = Armed;
    private PollEvents _woken;

    /// <summary>Takes over the references to file and eventfd.</summary>
    public AioPoll(AioContext context, FileDescription file, in Iocb iocb, ulong address, EventFd? notice)
    {
        _context = context;
        _file = file;
        _notice = notice;
        _mask = (PollEvents)(ushort)iocb.aio_buf | PollEvents.POLLERR | PollEvents.POLLHUP;
        _event = new IoEvent { data = iocb.aio_data, obj = address };
        _entry = new Entry(this);
    }

    /// <summary>Address of the struct iocb, by which it is cancelled.</summary>
    public ulong Iocb => _event.obj;

    /// <summary>Looks, and waits when there is nothing.</summary>
    public void Start()
    {
        if (_file.Waiters is not { } queue)
        {
            Finish(_file.Poll() & _mask);
            return;
        }
        if (!_context.Add(this))
        {
            Finish(PollEvents.None);
            return;
        }
        queue.Add(_entry, _mask);
        if ((_file.Poll() & _mask) != 0)
            Fire(PollEvents.None);
    }

    /// <summary>False: it ends at this moment anyway.</summary>
    public bool Cancel()
    {
        if (Interlocked.CompareExchange(ref _state, Cancelled, Armed) != Armed)
            return false;
        _context.Sentry.UringWorkers.Queue(this);
        return true;
    }

    private bool Fire(PollEvents events)
    {
        if (Interlocked.CompareExchange(ref _state, Fired, Armed) != Armed)
            return false;
        _woken = events;
        _context.Sentry.UringWorkers.Queue(this);
        return true;
    }

    public override void Run()
    {
        _entry.Remove();
        PollEvents ready = PollEvents.None;
        if (Volatile.Read(ref _state) == Fired)
        {
            // A wake that says what it was is told as it is, as Linux does.
            ready = _woken != PollEvents.None ? _woken : _file.Poll() & _mask;
            if (ready == 0)
            {
                // Somebody was faster.
                Volatile.Write(ref _state, Armed);
                _file.Waiters!.Add(_entry, _mask);
                if ((_file.Poll() & _mask) != 0)
                    Fire(PollEvents.None);
                return;
            }
        }
        _context.Remove(this);
        Finish(ready);
    }

    private void Finish(PollEvents ready)
    {
        _file.DropReference();
        _event.res = (long)ready;
        _context.Complete(in _event, _notice);
    }

    private sealed class Entry(AioPoll poll) : WaitEntry
    {
        public override bool OnWake(PollEvents events) => poll.Fire(events);
    }
}
