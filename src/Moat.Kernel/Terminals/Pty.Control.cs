using System.Runtime.InteropServices;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Terminals;

/// <summary>ioctl_tty(2) of either end. What is about modes, size and session is about the slave at both.</summary>
internal sealed partial class Pty
{
    private const uint TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TCGETA = 0x5405, TCSETA = 0x5406, TCSETAW = 0x5407,
        TCSETAF = 0x5408, TCSBRK = 0x5409, TCXONC = 0x540A, TCFLSH = 0x540B, TIOCEXCL = 0x540C, TIOCNXCL = 0x540D, TIOCOUTQ = 0x5411,
        TIOCSTI = 0x5412, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, FIONREAD = 0x541B, TIOCSETD = 0x5423, TIOCGETD = 0x5424, TCSBRKP = 0x5425,
        TIOCSBRK = 0x5427, TIOCCBRK = 0x5428, TCGETS2 = 0x802C542A, TCSETS2 = 0x402C542B, TCSETSW2 = 0x402C542C, TCSETSF2 = 0x402C542D,
        TIOCGDEV = 0x80045432, TIOCGEXCL = 0x80045440, TIOCGLCKTRMIOS = 0x5456, TIOCSLCKTRMIOS = 0x5457;

    private const uint TIOCPKT = 0x5420, TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431, TIOCSIG = 0x40045436, TIOCGPKT = 0x80045438,
        TIOCGPTLCK = 0x80045439;

    /// <summary>What only the master knows; null: it is one of <see cref="Control"/>.</summary>
    public SysResult? ControlMaster(Task task, uint command, ulong argument)
    {
        UserPtr<int> address = new(argument);
        int value;
        switch (command)
        {
            case TIOCGPTN:
                return task.Mm.Write(address, Number);
            case TIOCGPTLCK:
                return task.Mm.Write(address, _locked ? 1 : 0);
            case TIOCGPKT:
                return task.Mm.Write(address, _packet ? 1 : 0);
            case TIOCSPTLCK:
                if (task.Mm.Read(address, out value) != Errno.OK)
                    return Errno.EFAULT;
                Volatile.Write(ref _locked, value != 0);
                return 0;
            case TIOCPKT:
                if (task.Mm.Read(address, out value) != Errno.OK)
                    return Errno.EFAULT;
                lock (_lock)
                {
                    if (value != 0 && !_packet)
                        _packetEvents = 0;
                    _packet = value != 0;
                }
                return 0;
            case TIOCSIG:
                if (argument is 0 or >= 64)
                    return Errno.EINVAL;
                Raise((int)argument);
                Announce();
                return 0;
            case FIONREAD:
                lock (_lock)
                    value = _output.Count;
                return task.Mm.Write(address, value);
            case TCFLSH when argument <= 2:
                // The other way round, seen from here.
                Flush(input: argument is 1 or 2, output: argument is 0 or 2);
                return 0;
            default:
                return null;
        }
    }

    /// <summary>Everything else. The caller has made sure that a background process may.</summary>
    public SysResult Control(Task task, uint command, ulong argument)
    {
        UserPtr<int> address = new(argument);
        UserPtr bytes = new(argument);
        switch (command)
        {
            case TCGETS or TCGETS2:
                Termios now;
                lock (_lock)
                    now = _termios;
                return task.Mm.CopyOut(bytes, MemoryMarshal.AsBytes(new Span<Termios>(ref now))[..(command == TCGETS ? Termios.OldSize : 44)]);
            case TCSETS or TCSETSW or TCSETSF:
                Span<byte> old = stackalloc byte[Termios.OldSize];
                if (task.Mm.CopyIn(bytes, old) != Errno.OK)
                    return Errno.EFAULT;
                return SetModes(_termios.With(old), flushes: command == TCSETSF);
            case TCSETS2 or TCSETSW2 or TCSETSF2:
                return task.Mm.Read(new UserPtr<Termios>(argument), out Termios wanted) != Errno.OK ? Errno.EFAULT : SetModes(wanted, command == TCSETSF2);
            case TIOCGLCKTRMIOS or TIOCSLCKTRMIOS:
                return ControlLocks(task, command, bytes);
            case TCGETA or TCSETA or TCSETAW or TCSETAF:
                return ControlOld(task, command, bytes);
            case TCSBRK or TCSBRKP or TIOCSBRK or TIOCCBRK:
                // What was written has arrived at the master, and there is no line to break.
                return 0;
            case TCXONC:
                return ControlFlow(argument);
            case TCFLSH:
                if (argument > 2)
                    return Errno.EINVAL;
                Flush(input: argument is 0 or 2, output: argument is 1 or 2);
                return 0;
            case TIOCEXCL or TIOCNXCL:
                Volatile.Write(ref _exclusive, command == TIOCEXCL);
                return 0;
            case TIOCGEXCL:
                return task.Mm.Write(address, _exclusive ? 1 : 0);
            case TIOCOUTQ:
                return task.Mm.Write(address, 0);
            case FIONREAD:
                return task.Mm.Write(address, CountReadable());
            case TIOCSTI:
                return Errno.EIO;
            case TIOCGDEV:
                return task.Mm.Write(address, (int)Session.Device);
            case TIOCGETD:
                return task.Mm.Write(address, 0);
            case TIOCSETD:
                return task.Mm.Read(address, out int discipline) != Errno.OK ? Errno.EFAULT : discipline == 0 ? 0 : Errno.EINVAL;
            case TIOCGWINSZ:
                return task.Mm.Write(new UserPtr<ulong>(argument), Volatile.Read(ref _window));
            case TIOCSWINSZ:
                if (task.Mm.Read(new UserPtr<ulong>(argument), out ulong window) != Errno.OK)
                    return Errno.EFAULT;
                if (Interlocked.Exchange(ref _window, window) != window)
                {
                    Raise(Signal.SIGWINCH);
                    Announce();
                }
                return 0;
            default:
                return Errno.ENOTTY;
        }
    }

    /// <summary>True for what a background process is stopped for (SIGTTOU).</summary>
    public static bool Changes(uint command) => command is TCSETS or TCSETSW or TCSETSF or TCSETA or TCSETAW or TCSETAF or TCSETS2 or TCSETSW2
        or TCSETSF2 or TCSBRK or TCSBRKP or TCXONC or TCFLSH or TIOCSETD;

    private int CountReadable()
    {
        int count = 0;
        lock (_lock)
        {
            for (int i = 0; i < _complete; i++)
                count += (_input[i] & EndOfFile) == 0 ? 1 : 0;
        }
        return count;
    }

    private SysResult SetModes(Termios wanted, bool flushes)
    {
        const int NoStop = 16, DoStop = 32;
        lock (_lock)
        {
            if (flushes)
                FlushInput();
            Termios before = _termios;
            wanted = wanted.Keeping(in before, in _locks);
            _termios = wanted;
            if (before.Has(LocalModes.ICANON) != wanted.Has(LocalModes.ICANON))
                SwitchCanonical(wanted.Has(LocalModes.ICANON));
            if (before.HasUsualFlowControl != wanted.HasUsualFlowControl)
                NotePacket(wanted.HasUsualFlowControl ? DoStop : NoStop);
            if (before.Has(InputModes.IXON) && !wanted.Has(InputModes.IXON))
                Start();
            _literalNext &= wanted.Has(LocalModes.ICANON);
        }
        SlaveWaiters.Wake(Readable | Writable);
        MasterWaiters.Wake(PollEvents.POLLPRI | Readable | Writable);
        return 0;
    }

    /// <summary>Which modes do not change any more, a struct termios of masks. EPERM without CAP_SYS_ADMIN.</summary>
    private SysResult ControlLocks(Task task, uint command, UserPtr address)
    {
        Span<byte> bytes = stackalloc byte[Termios.OldSize];
        if (command == TIOCSLCKTRMIOS)
        {
            if (!task.Credentials.Has(Capability.CAP_SYS_ADMIN))
                return Errno.EPERM;
            if (task.Mm.CopyIn(address, bytes) != Errno.OK)
                return Errno.EFAULT;
            lock (_lock)
                _locks = default(Termios).With(bytes);
            return 0;
        }
        Termios locks;
        lock (_lock)
            locks = _locks;
        return task.Mm.CopyOut(address, MemoryMarshal.AsBytes(new Span<Termios>(ref locks))[..Termios.OldSize]);
    }

    /// <summary>struct termio: the low halves of the modes, the line discipline, eight control characters.</summary>
    private SysResult ControlOld(Task task, uint command, UserPtr address)
    {
        const int Size = 18, Line = 8, Chars = 9, CharCount = 8;
        Span<byte> old = stackalloc byte[Size];
        old.Clear();
        if (command != TCGETA && task.Mm.CopyIn(address, old) != Errno.OK)
            return Errno.EFAULT;
        Span<ushort> modes = MemoryMarshal.Cast<byte, ushort>(old[..Line]);
        Termios termios;
        lock (_lock)
            termios = _termios;
        Span<byte> chars = termios.Chars;
        if (command == TCGETA)
        {
            (modes[0], modes[1], modes[2], modes[3]) = ((ushort)termios.Input, (ushort)termios.Output, (ushort)termios.Control, (ushort)termios.Local);
            old[Line] = termios.Line;
            chars[..CharCount].CopyTo(old[Chars..]);
            return task.Mm.CopyOut(address, old);
        }
        const uint High = 0xffff0000;
        termios.Input = (InputModes)(((uint)termios.Input & High) | modes[0]);
        termios.Output = (OutputModes)(((uint)termios.Output & High) | modes[1]);
        termios.Control = (termios.Control & High) | modes[2];
        termios.Local = (LocalModes)(((uint)termios.Local & High) | modes[3]);
        old.Slice(Chars, CharCount).CopyTo(chars);
        return SetModes(termios, flushes: command == TCSETAF);
    }

    private SysResult ControlFlow(ulong action)
    {
        const int TCOOFF = 0, TCOON = 1, TCIOFF = 2, TCION = 3;
        lock (_lock)
        {
            switch (action)
            {
                case TCOOFF:
                    Stop();
                    break;
                case TCOON:
                    Start();
                    break;
                case TCIOFF or TCION:
                    byte c = _termios.Chars[(int)(action == TCIOFF ? ControlChar.VSTOP : ControlChar.VSTART)];
                    if (c != 0)
                        _output.Add(c);
                    break;
                default:
                    return Errno.EINVAL;
            }
        }
        MasterWaiters.Wake(PollEvents.POLLPRI | Readable);
        return 0;
    }

    private void Flush(bool input, bool output)
    {
        lock (_lock)
        {
            if (input)
                FlushInput();
            if (output)
                FlushOutput();
        }
        MasterWaiters.Wake(PollEvents.POLLPRI | Readable | Writable);
    }
}
