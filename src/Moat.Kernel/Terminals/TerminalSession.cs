using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Terminals;

/// <summary>
/// A terminal as the controlling terminal of a session (credentials(7)): whose it is, and which group of processes is in the foreground.
/// The relations are guarded by the lock of the process tree.
/// </summary>
internal sealed class TerminalSession(Inode inode, ulong device)
{
    /// <summary>ioctl_tty(2).</summary>
    public const uint TIOCSCTTY = 0x540E, TIOCGPGRP = 0x540F, TIOCSPGRP = 0x5410, TIOCNOTTY = 0x5422, TIOCGSID = 0x5429;

    private int _session, _foreground;

    /// <summary>What /dev/tty opens.</summary>
    public Inode Inode { get; } = inode;

    /// <summary>st_rdev.</summary>
    public ulong Device { get; } = device;

    /// <summary>The session; 0: none.</summary>
    public int SessionId => Volatile.Read(ref _session);

    /// <summary>The process group that the terminal's signals go to, and that may read from it; 0: none.</summary>
    public int ForegroundGroup => Volatile.Read(ref _foreground);

    /// <summary>Makes it the terminal of a session leader and its group the foreground. Under the tree's lock, or before there are others.</summary>
    public void Take(ThreadGroup leader)
    {
        Volatile.Write(ref _session, leader.SessionId);
        Volatile.Write(ref _foreground, leader.ProcessGroupId);
        leader.Terminal = this;
    }

    /// <summary>A session leader without a terminal opened it without O_NOCTTY, and no session has it.</summary>
    public void TakeAtOpen(Task task)
    {
        lock (task.Sentry.Processes.Lock)
        {
            if (task.Group.SessionId == task.Group.Id && task.Group.Terminal is null && SessionId == 0)
                Take(task.Group);
        }
    }

    /// <summary>
    /// TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID. <paramref name="isMaster"/>: through the other end of a pseudoterminal, which need
    /// not be one's own. EPERM, ENOTTY, ESRCH, EINVAL, EFAULT, or a signal to a background process.
    /// </summary>
    public SysResult Control(Task task, uint command, ulong argument, bool isMaster = false)
    {
        ThreadGroup group = task.Group;
        UserPtr<int> address = new(argument);
        bool isOwn = group.Terminal == this;
        switch (command)
        {
            case TIOCSCTTY:
                lock (task.Sentry.Processes.Lock)
                    return SetControlling(task, argument);
            case TIOCNOTTY:
                return isOwn ? GiveUp(group) : Errno.ENOTTY;
            case TIOCGPGRP:
                return isOwn || isMaster ? task.Mm.Write(address, ForegroundGroup) : Errno.ENOTTY;
            case TIOCGSID:
                return (isOwn || isMaster) && SessionId != 0 ? task.Mm.Write(address, SessionId) : Errno.ENOTTY;
            default:
                if (task.CheckForeground(this, Signal.SIGTTOU) is var stop && stop != Errno.OK)
                    return stop;
                if (!isOwn || group.SessionId != SessionId)
                    return Errno.ENOTTY;
                if (task.Mm.Read(address, out int wanted) != Errno.OK)
                    return Errno.EFAULT;
                if (wanted < 0)
                    return Errno.EINVAL;
                ThreadGroup? member = task.Sentry.Tasks.GetGroups().Find(g => g.ProcessGroupId == wanted);
                if (member is null)
                    return Errno.ESRCH;
                if (member.SessionId != group.SessionId)
                    return Errno.EPERM;
                Volatile.Write(ref _foreground, wanted);
                return 0;
        }
    }

    private Errno SetControlling(Task task, ulong steals)
    {
        ThreadGroup group = task.Group;
        bool isLeader = group.SessionId == group.Id;
        if (isLeader && group.Terminal == this && SessionId == group.SessionId)
            return Errno.OK;
        if (!isLeader || group.Terminal is not null)
            return Errno.EPERM;
        if (SessionId != 0)
        {
            if (steals != 1 || !task.Credentials.Has(Capability.CAP_SYS_ADMIN))
                return Errno.EPERM;
            Forget(group.Sentry, SessionId);
        }
        Take(group);
        return Errno.OK;
    }

    private SysResult GiveUp(ThreadGroup group)
    {
        ProcessTree processes = group.Sentry.Processes;
        lock (processes.Lock)
        {
            if (group.SessionId != group.Id)
            {
                group.Terminal = null;
                return 0;
            }
            int foreground = ForegroundGroup;
            Forget(group.Sentry, group.SessionId);
            processes.SendToGroup(foreground, new SigInfo { Signo = Signal.SIGHUP, Code = Signal.SI_KERNEL });
            processes.SendToGroup(foreground, new SigInfo { Signo = Signal.SIGCONT, Code = Signal.SI_KERNEL });
            return 0;
        }
    }

    /// <summary>The session leader has ended: the foreground group gets SIGHUP, and nobody has the terminal any more. Under the tree's lock.</summary>
    public void LeaderEnded(ThreadGroup leader)
    {
        if (SessionId != leader.SessionId)
            return;
        int foreground = ForegroundGroup;
        Forget(leader.Sentry, leader.SessionId);
        if (foreground != 0)
        {
            leader.Sentry.Processes.SendToGroup(foreground, new SigInfo { Signo = Signal.SIGHUP, Code = Signal.SI_KERNEL });
            leader.Sentry.Processes.SendToGroup(foreground, new SigInfo { Signo = Signal.SIGCONT, Code = Signal.SI_KERNEL });
        }
        (Inode as PtyInode)?.Pty.HangUp();
    }

    /// <summary>The terminal is gone: its session's leader gets SIGHUP and SIGCONT. Holding no lock.</summary>
    public void HangUp(Sentry sentry)
    {
        lock (sentry.Processes.Lock)
        {
            if (SessionId == 0)
                return;
            ThreadGroup? leader = sentry.Tasks.FindGroup(SessionId);
            Forget(sentry, SessionId);
            leader?.Send(new SigInfo { Signo = Signal.SIGHUP, Code = Signal.SI_KERNEL });
            leader?.Send(new SigInfo { Signo = Signal.SIGCONT, Code = Signal.SI_KERNEL });
        }
    }

    private void Forget(Sentry sentry, int session)
    {
        foreach (ThreadGroup member in sentry.Tasks.GetGroups())
        {
            if (member.SessionId == session && member.Terminal == this)
                member.Terminal = null;
        }
        Volatile.Write(ref _session, 0);
        Volatile.Write(ref _foreground, 0);
    }
}
