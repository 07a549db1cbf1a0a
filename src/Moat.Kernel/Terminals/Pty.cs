using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Time;

namespace Moat.Kernel.Terminals;

/// <summary>
/// A pseudoterminal (pty(7)): what is written to the master passes the line discipline and is read at the slave; what is written to the
/// slave, and echoes, are read at the master. One lock guards it; queues are woken and signals sent without it.
/// </summary>
internal sealed partial class Pty
{
    // Bytes that wait at most in each direction.
    private const int QueueLimit = 16384;

    private readonly Lock _lock = new();
    private readonly Sentry _sentry;
    private readonly RingQueue<byte> _output = new();
    private Termios _termios = Termios.Standard;
    private Termios _locks;
    private ulong _window;
    private bool _masterClosed, _slaveClosed, _locked = true, _exclusive, _packet;
    private byte _packetEvents;
    private int _slaves, _hangups;

    private const PollEvents Readable = PollEvents.POLLIN | PollEvents.POLLRDNORM;
    private const PollEvents Writable = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    /// <summary>A pair whose master is being opened; <paramref name="number"/>: of /dev/pts/N.</summary>
    public Pty(Sentry sentry, int number, PtyInode inode)
    {
        _sentry = sentry;
        Number = number;
        Session = new TerminalSession(inode, inode.Rdev);
        _timer = new ReadTimer(this);
    }

    public int Number { get; }

    /// <summary>Who is controlled by it.</summary>
    public TerminalSession Session { get; }

    /// <summary>Who waits at the master, and at all descriptions of the slave.</summary>
    public WaitQueue MasterWaiters { get; } = new();

    public WaitQueue SlaveWaiters { get; } = new();

    /// <summary>How often it was hung up: descriptions of the slave opened before are dead.</summary>
    public int Hangups => Volatile.Read(ref _hangups);

    /// <summary>TOSTOP: writers in the background are stopped too.</summary>
    public bool StopsWriters => _termios.Has(LocalModes.TOSTOP);

    /// <summary>Opens the slave once more. EIO: the master is closed or locks it; EBUSY: TIOCEXCL.</summary>
    public Errno OpenSlave(bool isPrivileged)
    {
        lock (_lock)
        {
            if (_masterClosed || _locked)
                return Errno.EIO;
            if (_exclusive && !isPrivileged)
                return Errno.EBUSY;
            _slaves++;
            _slaveClosed = false;
        }
        return Errno.OK;
    }

    /// <summary>A description of the slave is gone.</summary>
    public void CloseSlave()
    {
        lock (_lock)
        {
            if (--_slaves > 0)
                return;
            _slaveClosed = true;
            _exclusive = false;
        }
        MasterWaiters.Wake(PollEvents.POLLHUP | Readable | Writable);
    }

    /// <summary>The master is gone: the slave is hung up for good, and its session's leader hears of it.</summary>
    public void CloseMaster()
    {
        lock (_lock)
            _masterClosed = true;
        HangUp();
        _sentry.UringWorkers.Queue(new TerminalNotice(_sentry, Session));
    }

    /// <summary>All descriptions of the slave are dead: reads end, writes are EIO (vhangup(2)).</summary>
    public void HangUp()
    {
        lock (_lock)
        {
            _hangups++;
            _input.Clear();
            _complete = 0;
            _stopped = false;
        }
        SlaveWaiters.Wake(PollEvents.POLLHUP | PollEvents.POLLERR | Readable | Writable);
    }

    public PollEvents PollMaster()
    {
        PollEvents events = PollEvents.None;
        lock (_lock)
        {
            if (_output.Count != 0)
                events |= Readable;
            if (_packet && _packetEvents != 0)
                events |= Readable | PollEvents.POLLPRI;
            if (MayReceive)
                events |= Writable;
            if (_slaveClosed)
                events |= PollEvents.POLLHUP;
        }
        return events;
    }

    public PollEvents PollSlave(int hangups)
    {
        lock (_lock)
        {
            if (hangups != _hangups)
                return Readable | Writable | PollEvents.POLLERR | PollEvents.POLLHUP;
            PollEvents events = PollEvents.None;
            int least = _termios.Chars[(int)ControlChar.VTIME] == 0 ? Math.Max((byte)1, _termios.Chars[(int)ControlChar.VMIN]) : 1;
            if (_termios.Has(LocalModes.ICANON) ? _complete != 0 : _input.Count >= least)
                events |= Readable;
            if (!_stopped && _output.Count < QueueLimit)
                events |= Writable;
            return events;
        }
    }

    /// <summary>Reads what the slave wrote, in packet mode behind a byte that says what it is. EAGAIN; EIO: the slave is closed.</summary>
    public SysResult ReadMaster(IoVector to)
    {
        long done = 0;
        lock (_lock)
        {
            if (_packet)
            {
                if (to.Remaining == 0)
                    return 0;
                if (_packetEvents == 0 && _output.Count == 0)
                    return _slaveClosed ? Errno.EIO : Errno.EAGAIN;
                if (to.CopyFrom([_packetEvents]) != 1)
                    return Errno.EFAULT;
                done = 1;
                if (_packetEvents != 0)
                {
                    _packetEvents = 0;
                    return done;
                }
            }
            else if (_output.Count == 0)
            {
                return to.Remaining == 0 ? 0 : _slaveClosed ? Errno.EIO : Errno.EAGAIN;
            }
            while (_output.Count != 0 && to.Remaining != 0)
            {
                ReadOnlySpan<byte> front = _output.Front;
                int copied = to.CopyFrom(front[..(int)Math.Min((ulong)front.Length, to.Remaining)]);
                if (copied == 0)
                    return done != 0 ? done : Errno.EFAULT;
                _output.RemoveFirst(copied);
                done += copied;
            }
        }
        SlaveWaiters.Wake(Writable);
        return done;
    }

    // Bytes that one call takes: a terminal that throws away what has no room takes without end, and its writer's memory is held meanwhile.
    private const int MostAtOnce = 1 << 18;

    /// <summary>What is typed: EAGAIN when the slave does not read. Bytes, EFAULT.</summary>
    public SysResult WriteMaster(IoVector from)
    {
        Span<byte> piece = stackalloc byte[512];
        long done = 0;
        Errno error = Errno.OK;
        while (from.Remaining != 0 && error == Errno.OK && done < MostAtOnce)
        {
            lock (_lock)
            {
                int room = MayReceive ? Math.Clamp(QueueLimit - _input.Count, 1, piece.Length) : 0;
                if (room == 0)
                {
                    error = Errno.EAGAIN;
                    break;
                }
                Span<byte> bytes = piece[..(int)Math.Min((ulong)room, from.Remaining)];
                int copied = from.CopyTo(bytes);
                if (copied == 0)
                    error = Errno.EFAULT;
                // A slave that nobody has opened yet takes it all the same.
                foreach (byte c in bytes[..copied])
                    Receive(c);
                done += copied;
            }
        }
        Announce();
        if (done != 0)
        {
            SlaveWaiters.Wake(Readable);
            MasterWaiters.Wake(Readable);
        }
        return done != 0 ? done : error;
    }

    /// <summary>Writes to the screen. EAGAIN when the master does not read or output is stopped; EIO after a hangup.</summary>
    public SysResult WriteSlave(IoVector from, int hangups)
    {
        Span<byte> piece = stackalloc byte[512];
        long done = 0;
        Errno error = Errno.OK;
        while (from.Remaining != 0 && error == Errno.OK && done < MostAtOnce)
        {
            lock (_lock)
            {
                if (hangups != _hangups)
                {
                    error = Errno.EIO;
                    break;
                }
                int room = _stopped ? 0 : Math.Min(QueueLimit - _output.Count, piece.Length);
                if (room <= 0)
                {
                    error = Errno.EAGAIN;
                    break;
                }
                Span<byte> bytes = piece[..(int)Math.Min((ulong)room, from.Remaining)];
                int copied = from.CopyTo(bytes);
                if (copied == 0)
                    error = Errno.EFAULT;
                if (_termios.Has(OutputModes.OPOST))
                {
                    foreach (byte c in bytes[..copied])
                        PutProcessed(c);
                }
                else
                {
                    _output.Add(bytes[..copied]);
                }
                done += copied;
            }
        }
        if (done != 0)
            MasterWaiters.Wake(Readable);
        return done != 0 ? done : error;
    }

    // Signals that came up under the lock, a bit each.
    private ulong _raised;

    /// <summary>Sends what came up, on another thread: writers may hold locks that sending takes, and Linux's terminals do the same.</summary>
    private void Announce()
    {
        ulong raised = Interlocked.Exchange(ref _raised, 0);
        if (raised != 0)
            _sentry.UringWorkers.Queue(new TerminalNotice(_sentry, Session, raised));
    }

    private void Raise(int signal) => Interlocked.Or(ref _raised, 1UL << signal);

    /// <summary>Tells the master about something in packet mode (TIOCPKT_ bits).</summary>
    private void NotePacket(int events)
    {
        const int Start = 8, Stop = 4, NoStop = 16, DoStop = 32;
        if (!_packet)
            return;
        int old = _packetEvents;
        if ((events & (Start | Stop)) != 0)
            old &= ~(Start | Stop);
        if ((events & (NoStop | DoStop)) != 0)
            old &= ~(NoStop | DoStop);
        _packetEvents = (byte)(old | events);
    }

    private sealed class TerminalNotice(Sentry sentry, TerminalSession session, ulong signals = 0) : WorkItem
    {
        public override void Run()
        {
            if (signals == 0)
            {
                session.HangUp(sentry);
                return;
            }
            for (int signal = 1; signal < 64; signal++)
            {
                if ((signals & (1UL << signal)) != 0 && session.ForegroundGroup is > 0 and int group)
                    sentry.Processes.SendToGroup(group, new SigInfo { Signo = signal, Code = Signal.SI_KERNEL });
            }
        }
    }
}
