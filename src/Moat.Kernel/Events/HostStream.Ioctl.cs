using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

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
        if (command is TIOCGPGRP or TIOCSPGRP or TIOCGSID or TIOCSCTTY or TIOCNOTTY)
            return IsTerminal ? ControlJobs(task, command, argument) : Errno.ENOTTY;
        if (!Describe(command, out int size, out Direction direction))
            return Errno.ENOTTY;
        bool changes = direction == Direction.Value || (direction == Direction.In && command != TIOCSWINSZ);
        if (IsTerminal && changes && task.CheckForeground(Signal.SIGTTOU) is var stop && stop != Errno.OK)
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

    private const uint TIOCSCTTY = 0x540E, TIOCGPGRP = 0x540F, TIOCSPGRP = 0x5410, TIOCNOTTY = 0x5422, TIOCGSID = 0x5429, TIOCSWINSZ = 0x5414;

    /// <summary>
    /// Job control as seen inside: the terminal belongs to the session of the sandbox's first process, which is in the foreground
    /// until a shell says otherwise. To the host all of the sandbox is one job.
    /// </summary>
    private static SysResult ControlJobs(Task task, uint command, ulong argument)
    {
        Sentry sentry = task.Sentry;
        int session = sentry.First?.SessionId ?? 0;
        if (task.Group.SessionId != session)
            return command is TIOCSCTTY ? Errno.EPERM : Errno.ENOTTY;
        UserPtr<int> address = new(argument);
        switch (command)
        {
            case TIOCGPGRP:
                return task.Mm.Write(address, sentry.GetForegroundGroup());
            case TIOCGSID:
                return task.Mm.Write(address, session);
            case TIOCSPGRP:
                if (task.Mm.Read(address, out int wanted) != Errno.OK)
                    return Errno.EFAULT;
                if (task.CheckForeground(Signal.SIGTTOU) is var stop && stop != Errno.OK)
                    return stop;
                if (wanted < 0)
                    return Errno.EINVAL;
                ThreadGroup? member = sentry.Tasks.GetGroups().Find(g => g.ProcessGroupId == wanted);
                if (member is null)
                    return Errno.ESRCH;
                if (member.SessionId != session)
                    return Errno.EPERM;
                sentry.ForegroundGroup = wanted;
                return 0;
            default:
                // TIOCSCTTY of the terminal one has; TIOCNOTTY has no effect that anybody else could see.
                return 0;
        }
    }

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
