using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Terminals;

namespace Moat.Kernel.Events;

/// <summary>
/// ioctl(2) of terminals (ioctl_tty(2)): a white list with sizes. What would let a guest reach beyond its own stream,
/// such as TIOCSTI, is not in it and answers EPERM or ENOTTY.
/// </summary>
internal sealed partial class HostStream
{
    private enum Direction
    {
        In,
        Out,
        Value,
    }

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint TIOCSTI = 0x5412, TIOCLINUX = 0x541C, TIOCCONS = 0x541D;
        if (command is TIOCSTI or TIOCLINUX or TIOCCONS)
            return IsTerminal ? Errno.EPERM : Errno.ENOTTY;
        if (command is TerminalSession.TIOCGPGRP or TerminalSession.TIOCSPGRP or TerminalSession.TIOCGSID or TerminalSession.TIOCSCTTY
            or TerminalSession.TIOCNOTTY)
            return IsTerminal ? task.Sentry.TerminalSession!.Control(task, command, argument) : Errno.ENOTTY;
        if (!Describe(command, out int size, out Direction direction))
            return Errno.ENOTTY;
        bool changes = direction == Direction.Value || (direction == Direction.In && command != TIOCSWINSZ);
        if (IsTerminal && changes && task.CheckForeground(task.Sentry.TerminalSession!, Signal.SIGTTOU) is var stop && stop != Errno.OK)
            return stop;
        if (direction == Direction.Value)
            return FromHost(HostStreamCalls.IoctlValue(_fd, command, argument));
        Span<byte> buffer = stackalloc byte[64];
        buffer = buffer[..size];
        buffer.Clear();
        if (direction == Direction.In)
        {
            Errno error = task.Mm.CopyIn(new UserPtr(argument), buffer);
            return error != Errno.OK ? error : FromHost(HostStreamCalls.Ioctl(_fd, command, buffer));
        }
        SysResult result = FromHost(HostStreamCalls.Ioctl(_fd, command, buffer));
        if (result.IsError)
            return result;
        Errno copied = task.Mm.CopyOut(new UserPtr(argument), buffer);
        return copied != Errno.OK ? copied : result;
    }

    private const uint TIOCSWINSZ = 0x5414;

    /// <summary>The commands that are passed on: how many bytes they carry (struct termios 36, termio 18, termios2 44, winsize 8).</summary>
    private static bool Describe(uint command, out int size, out Direction direction)
    {
        (size, direction) = command switch
        {
            0x5401 => (36, Direction.Out), // TCGETS
            0x5402 or 0x5403 or 0x5404 => (36, Direction.In), // TCSETS, TCSETSW, TCSETSF
            0x5405 => (18, Direction.Out), // TCGETA
            0x5406 or 0x5407 or 0x5408 => (18, Direction.In), // TCSETA, TCSETAW, TCSETAF
            0x5409 or 0x540A or 0x540B or 0x5425 => (0, Direction.Value), // TCSBRK, TCXONC, TCFLSH, TCSBRKP
            0x802C542A => (44, Direction.Out), // TCGETS2
            0x402C542B or 0x402C542C or 0x402C542D => (44, Direction.In), // TCSETS2, TCSETSW2, TCSETSF2
            0x5413 => (8, Direction.Out), // TIOCGWINSZ
            0x5414 => (8, Direction.In), // TIOCSWINSZ
            0x5411 or 0x541B => (4, Direction.Out), // TIOCOUTQ, FIONREAD
            _ => (-1, Direction.Value),
        };
        return size >= 0;
    }
}
