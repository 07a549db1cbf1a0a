using Moat.Kernel.Memory;
using Moat.Kernel.Time;

namespace Moat.Kernel.Terminals;

/// <summary>The line discipline's input (termios(3)): what is typed at the master, until the slave reads it. Under the lock.</summary>
internal sealed partial class Pty
{
    // Marks on typed characters: the last of a line, and one that ends a line without being part of it.
    private const ushort LineEnd = 0x100, EndOfFile = 0x200;
    private const int MaxLine = 4095;

    private readonly RingQueue<ushort> _input = new();
    private readonly ReadTimer _timer;

    // How many typed characters belong to finished lines; the rest can still be edited.
    private int _complete;
    private bool _literalNext, _stopped, _timeIsUp;

    /// <summary>Typed characters are taken: there is room, or only an unfinished line that is too long, which loses them.</summary>
    private bool MayReceive => _input.Count < QueueLimit || (_termios.Has(LocalModes.ICANON) && _complete == 0);

    private void Receive(byte c)
    {
        if (_hangups != 0 && _slaves == 0)
            return;
        if (_termios.Has(InputModes.ISTRIP))
            c &= 0x7f;
        if (_termios.Has(InputModes.IUCLC) && _termios.Has(LocalModes.IEXTEN) && c is >= (byte)'A' and <= (byte)'Z')
            c |= 0x20;
        if (_literalNext)
        {
            _literalNext = false;
            EchoTyped(c);
            Keep(c);
            return;
        }
        if (_termios.Has(LocalModes.EXTPROC))
        {
            Keep(c);
            return;
        }
        if (_termios.Has(InputModes.IXON) && TakeFlowControl(c))
            return;
        if (_stopped && _termios.Has(InputModes.IXON) && _termios.Has(InputModes.IXANY))
            Start();
        if (_termios.Has(LocalModes.ISIG) && TakeSignal(c))
            return;
        if (c == '\r')
        {
            if (_termios.Has(InputModes.IGNCR))
                return;
            if (_termios.Has(InputModes.ICRNL))
                c = (byte)'\n';
        }
        else if (c == '\n' && _termios.Has(InputModes.INLCR))
        {
            c = (byte)'\r';
        }
        if (_termios.Has(LocalModes.ICANON) && TakeEditing(c))
            return;
        if (c == '\n')
        {
            if (_termios.Has(LocalModes.ECHO))
                PutEcho(c);
        }
        else
        {
            EchoTyped(c);
        }
        if (c == 0xff && _termios.Has(InputModes.PARMRK))
            Keep(c);
        Keep(c);
    }

    private bool TakeFlowControl(byte c)
    {
        if (_termios.Is(ControlChar.VSTART, c))
        {
            Start();
            return true;
        }
        if (!_termios.Is(ControlChar.VSTOP, c))
            return false;
        Stop();
        return true;
    }

    private bool TakeSignal(byte c)
    {
        int signal = _termios.Is(ControlChar.VINTR, c) ? Signal.SIGINT
            : _termios.Is(ControlChar.VQUIT, c) ? Signal.SIGQUIT
            : _termios.Is(ControlChar.VSUSP, c) ? Signal.SIGTSTP : 0;
        if (signal == 0)
            return false;
        if (!_termios.Has(LocalModes.NOFLSH))
        {
            FlushInput();
            FlushOutput();
        }
        if (_termios.Has(InputModes.IXON))
            Start();
        if (_termios.Has(LocalModes.ECHO))
            EchoChar(c);
        Raise(signal);
        return true;
    }

    /// <summary>Characters that mean something while a line is typed. False: it is an ordinary one.</summary>
    private bool TakeEditing(byte c)
    {
        bool extended = _termios.Has(LocalModes.IEXTEN), echoes = _termios.Has(LocalModes.ECHO);
        if (_termios.Is(ControlChar.VERASE, c) || _termios.Is(ControlChar.VKILL, c) || (extended && _termios.Is(ControlChar.VWERASE, c)))
        {
            Erase(c);
            return true;
        }
        if (extended && _termios.Is(ControlChar.VLNEXT, c))
        {
            _literalNext = true;
            if (echoes && _termios.Has(LocalModes.ECHOCTL))
            {
                PutEcho((byte)'^');
                PutEcho((byte)'\b');
            }
            return true;
        }
        if (extended && echoes && _termios.Is(ControlChar.VREPRINT, c))
        {
            EchoChar(c);
            PutEcho((byte)'\n');
            for (int i = _complete; i < _input.Count; i++)
                EchoChar((byte)_input[i]);
            return true;
        }
        if (c == '\n')
        {
            if (echoes || _termios.Has(LocalModes.ECHONL))
                PutEcho(c);
            Finish(c);
            return true;
        }
        if (_termios.Is(ControlChar.VEOF, c))
        {
            Finish(EndOfFile);
            return true;
        }
        if (!_termios.Is(ControlChar.VEOL, c) && !(extended && _termios.Is(ControlChar.VEOL2, c)))
            return false;
        EchoTyped(c);
        Finish(c);
        return true;
    }

    private void Finish(ushort last)
    {
        _input.Add((ushort)(last | LineEnd));
        _complete = _input.Count;
    }

    private void Keep(byte c)
    {
        if (_termios.Has(LocalModes.ICANON))
        {
            if (_input.Count - _complete >= MaxLine)
            {
                if (_termios.Has(InputModes.IMAXBEL))
                    PutEcho(7);
                return;
            }
            _input.Add(c);
            return;
        }
        _input.Add(c);
        _complete = _input.Count;
    }

    private void FlushInput()
    {
        const int TIOCPKT_FLUSHREAD = 1;
        _input.Clear();
        _complete = 0;
        NotePacket(TIOCPKT_FLUSHREAD);
    }

    /// <summary>ICANON was switched: what was typed before stays readable.</summary>
    private void SwitchCanonical(bool isCanonical)
    {
        if (isCanonical && _input.Count != 0)
            _input[_input.Count - 1] |= LineEnd;
        _complete = _input.Count;
    }

    /// <summary>
    /// Reads a line, or with ICANON off what VMIN and VTIME ask for; bytes that are there already are given without waiting for VTIME
    /// between them. EAGAIN; 0 after a hangup.
    /// </summary>
    public SysResult ReadSlave(IoVector to, int hangups, bool waits)
    {
        if (to.Remaining == 0)
            return 0;
        SysResult result;
        lock (_lock)
        {
            if (hangups != _hangups)
                return 0;
            result = _termios.Has(LocalModes.ICANON) ? ReadLine(to) : ReadRaw(to, waits);
        }
        if (!result.IsError)
            MasterWaiters.Wake(Writable);
        return result;
    }

    private SysResult ReadLine(IoVector to)
    {
        if (_complete == 0)
            return Errno.EAGAIN;
        Span<byte> line = stackalloc byte[MaxLine + 1];
        int room = (int)Math.Min((ulong)line.Length, to.Remaining), length = 0, taken = 0;
        while (taken < _complete)
        {
            ushort c = _input[taken];
            if ((c & EndOfFile) != 0)
            {
                taken++;
                break;
            }
            if (length == room)
                break;
            line[length++] = (byte)c;
            taken++;
            if ((c & LineEnd) != 0)
                break;
        }
        int copied = to.CopyFrom(line[..length]);
        if (copied < length)
            taken = copied;
        if (copied == 0 && length != 0)
            return Errno.EFAULT;
        _input.RemoveFirst(taken);
        _complete -= taken;
        return copied;
    }

    private SysResult ReadRaw(IoVector to, bool waits)
    {
        const long Tenth = 100_000_000;
        int least = _termios.Chars[(int)ControlChar.VMIN], time = _termios.Chars[(int)ControlChar.VTIME];
        if (_input.Count == 0 && least == 0)
        {
            if (time == 0 || _timeIsUp)
            {
                _timeIsUp = false;
                return 0;
            }
            if (!_timer.IsArmed)
                _timer.Arm(_sentry.Timers, HostClock.After(time * Tenth));
            return Errno.EAGAIN;
        }
        if (_input.Count == 0 || (waits && time == 0 && (ulong)_input.Count < Math.Min((ulong)least, to.Remaining)))
            return Errno.EAGAIN;
        _timer.Cancel();
        _timeIsUp = false;
        Span<byte> piece = stackalloc byte[512];
        long done = 0;
        while (_input.Count != 0 && to.Remaining != 0)
        {
            int count = 0;
            while (count < piece.Length && count < _input.Count && (ulong)count < to.Remaining)
            {
                piece[count] = (byte)_input[count];
                count++;
            }
            int copied = to.CopyFrom(piece[..count]);
            _input.RemoveFirst(copied);
            done += copied;
            if (copied < count)
                break;
        }
        _complete = _input.Count;
        return done != 0 ? done : Errno.EFAULT;
    }

    /// <summary>VTIME has passed without a byte.</summary>
    private sealed class ReadTimer(Pty pty) : KernelTimer
    {
        protected internal override void OnExpired()
        {
            lock (pty._lock)
                pty._timeIsUp = true;
            pty.SlaveWaiters.Wake(Readable);
        }
    }
}
