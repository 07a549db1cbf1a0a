using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Terminals;

/// <summary>The master of a pseudoterminal: what opening /dev/ptmx gives. Closing it hangs the slave up.</summary>
internal sealed class PtyMaster(Pty pty, PtyTable table, OpenFlags flags) : FileDescription(flags)
{
    public override WaitQueue Waiters => pty.MasterWaiters;

    /// <inheritdoc/>
    public override bool HasAsyncNotice => true;

    public override PollEvents Poll() => pty.PollMaster();

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags) => pty.ReadMaster(to);

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags) => pty.WriteMaster(from);

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint TIOCGPTPEER = 0x5441;
        if (command == TIOCGPTPEER)
            return OpenPeer(task, (OpenFlags)argument);
        if (command is TerminalSession.TIOCGPGRP or TerminalSession.TIOCSPGRP or TerminalSession.TIOCGSID or TerminalSession.TIOCSCTTY)
            return pty.Session.Control(task, command, argument, isMaster: true);
        return pty.ControlMaster(task, command, argument) ?? pty.Control(task, command, argument);
    }

    /// <summary>The slave without its name, which another file system may hide.</summary>
    private SysResult OpenPeer(Task task, OpenFlags flags)
    {
        Caller caller = new(task);
        Errno error = pty.Session.Inode.Open(in caller, default, flags, out FileDescription? file);
        if (error != Errno.OK)
            return error;
        file!.Path = table.PlaceOf(pty.Number);
        return AnonymousFiles.Install(task, file, (flags & OpenFlags.O_CLOEXEC) != 0);
    }

    protected override void Release()
    {
        table.Remove(pty.Number);
        pty.CloseMaster();
    }
}

/// <summary>A description of the slave: a terminal to programs.</summary>
internal sealed class PtySlave(Pty pty, OpenFlags flags) : FileDescription(flags)
{
    // Those before this description was opened do not concern it.
    private readonly int _hangups = pty.Hangups;

    public override WaitQueue Waiters => pty.SlaveWaiters;

    /// <inheritdoc/>
    public override bool HasAsyncNotice => true;

    public override PollEvents Poll() => pty.PollSlave(_hangups);

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (Task.Current is { } reader && reader.CheckForeground(pty.Session, Signal.SIGTTIN) is var stop && stop != Errno.OK)
            return stop;
        return pty.ReadSlave(to, _hangups, waits: !IsNonBlocking);
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        if (pty.StopsWriters && Task.Current is { } writer && writer.CheckForeground(pty.Session, Signal.SIGTTOU) is var stop && stop != Errno.OK)
            return stop;
        return pty.WriteSlave(from, _hangups);
    }

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        if (_hangups != pty.Hangups)
            return command == TerminalSession.TIOCSPGRP ? Errno.ENOTTY : Errno.EIO;
        if (command is TerminalSession.TIOCGPGRP or TerminalSession.TIOCSPGRP or TerminalSession.TIOCGSID or TerminalSession.TIOCSCTTY
            or TerminalSession.TIOCNOTTY)
            return pty.Session.Control(task, command, argument);
        if (Pty.Changes(command) && task.CheckForeground(pty.Session, Signal.SIGTTOU) is var stop && stop != Errno.OK)
            return stop;
        return pty.Control(task, command, argument);
    }

    protected override void Release() => pty.CloseSlave();
}
