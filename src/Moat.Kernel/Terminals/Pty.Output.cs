namespace Moat.Kernel.Terminals;

/// <summary>The line discipline's output: processing, echo, erasing on the screen, flow control. Under the lock.</summary>
internal sealed partial class Pty
{
    // Where the cursor is, and where it was when the line being typed began.
    private int _column, _lineColumn;

    private static bool IsControl(byte c) => c is < 0x20 or 0x7f;

    private bool IsContinuation(byte c) => _termios.Has(InputModes.IUTF8) && (c & 0xc0) == 0x80;

    /// <summary>One byte of output as OPOST has it.</summary>
    private void PutProcessed(byte c)
    {
        switch (c)
        {
            case (byte)'\n':
                if (_termios.Has(OutputModes.ONLRET))
                    _column = 0;
                if (_termios.Has(OutputModes.ONLCR))
                {
                    _column = 0;
                    _output.Add((byte)'\r');
                }
                break;
            case (byte)'\r':
                if (_termios.Has(OutputModes.ONOCR) && _column == 0)
                    return;
                if (_termios.Has(OutputModes.OCRNL))
                {
                    c = (byte)'\n';
                    if (_termios.Has(OutputModes.ONLRET))
                        _column = 0;
                    break;
                }
                _column = 0;
                break;
            case (byte)'\t':
                int spaces = 8 - (_column & 7);
                _column += spaces;
                if ((_termios.Output & OutputModes.XTABS) == OutputModes.XTABS)
                {
                    _output.Add("        "u8[..spaces]);
                    return;
                }
                break;
            case (byte)'\b':
                if (_column > 0)
                    _column--;
                break;
            default:
                if (IsControl(c))
                    break;
                if (_termios.Has(OutputModes.OLCUC) && c is >= (byte)'a' and <= (byte)'z')
                    c -= 0x20;
                if (!IsContinuation(c))
                    _column++;
                break;
        }
        _output.Add(c);
    }

    /// <summary>Echo that nobody reads is lost rather than kept for ever.</summary>
    private void PutEcho(byte c)
    {
        if (_output.Count >= 4 * QueueLimit)
            return;
        if (_termios.Has(OutputModes.OPOST))
            PutProcessed(c);
        else
            _output.Add(c);
    }

    private void EchoTyped(byte c)
    {
        if (!_termios.Has(LocalModes.ECHO))
            return;
        if (_complete == _input.Count)
            _lineColumn = _column;
        EchoChar(c);
    }

    private void EchoChar(byte c)
    {
        if (_termios.Has(LocalModes.ECHOCTL) && IsControl(c) && c != '\t')
        {
            PutEcho((byte)'^');
            PutEcho((byte)(c ^ 0x40));
            return;
        }
        PutEcho(c);
    }

    /// <summary>VERASE, VWERASE or VKILL was typed.</summary>
    private void Erase(byte c)
    {
        if (_input.Count == _complete)
            return;
        bool echoes = _termios.Has(LocalModes.ECHO), kills = _termios.Is(ControlChar.VKILL, c), wordwise = !kills && !_termios.Is(ControlChar.VERASE, c);
        if (kills && (!echoes || !_termios.Has(LocalModes.ECHOK) || !_termios.Has(LocalModes.ECHOKE) || !_termios.Has(LocalModes.ECHOE)))
        {
            while (_input.Count > _complete)
                _input.RemoveLast();
            if (echoes)
            {
                EchoChar(c);
                if (_termios.Has(LocalModes.ECHOK))
                    PutEcho((byte)'\n');
            }
            return;
        }
        bool inWord = false;
        while (_input.Count > _complete)
        {
            int start = _input.Count - 1;
            while (start > _complete && IsContinuation((byte)_input[start]))
                start--;
            byte erased = (byte)_input[start];
            if (wordwise)
            {
                bool isWord = char.IsAsciiLetterOrDigit((char)erased) || erased == '_' || erased >= 0x80;
                if (inWord && !isWord)
                    break;
                inWord |= isWord;
            }
            while (_input.Count > start)
                _input.RemoveLast();
            if (echoes)
                EraseOnScreen(erased, c, single: !kills && !wordwise);
            if (!kills && !wordwise)
                break;
        }
    }

    private void EraseOnScreen(byte erased, byte typed, bool single)
    {
        if (single && !_termios.Has(LocalModes.ECHOE))
        {
            EchoChar(typed);
            return;
        }
        if (erased == '\t')
        {
            int columns = 0, at = _input.Count;
            while (at > _complete && _input[at - 1] != '\t')
            {
                byte before = (byte)_input[--at];
                if (IsControl(before))
                    columns += _termios.Has(LocalModes.ECHOCTL) ? 2 : 0;
                else if (!IsContinuation(before))
                    columns++;
            }
            if (at == _complete)
                columns += _lineColumn;
            for (int i = 8 - (columns & 7); i > 0; i--)
                PutEcho((byte)'\b');
            return;
        }
        bool control = IsControl(erased), shown = !control || _termios.Has(LocalModes.ECHOCTL);
        for (int i = control && shown ? 2 : shown ? 1 : 0; i > 0; i--)
        {
            PutEcho((byte)'\b');
            PutEcho((byte)' ');
            PutEcho((byte)'\b');
        }
    }

    private void Stop()
    {
        const int TIOCPKT_STOP = 4;
        if (_stopped)
            return;
        _stopped = true;
        NotePacket(TIOCPKT_STOP);
    }

    private void Start()
    {
        const int TIOCPKT_START = 8;
        if (!_stopped)
            return;
        _stopped = false;
        NotePacket(TIOCPKT_START);
        // Only wakes; nobody's lock is taken in turn.
        SlaveWaiters.Wake(Writable);
    }

    private void FlushOutput()
    {
        const int TIOCPKT_FLUSHWRITE = 2;
        _output.Clear();
        NotePacket(TIOCPKT_FLUSHWRITE);
        SlaveWaiters.Wake(Writable);
    }
}
