using Moat.Kernel.Signals;
using Moat.Kernel.Terminals;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>
    /// Job control (credentials(7)): a process in the background that reads from its terminal, or changes it, gets SIGTTIN or SIGTTOU with
    /// all of its group. OK: go on. ERESTARTSYS: the signal was sent. EIO: a read by whom the signal would not stop.
    /// </summary>
    public Errno CheckForeground(TerminalSession terminal, int signal)
    {
        if (Group.Terminal != terminal || Group.ProcessGroupId == terminal.ForegroundGroup)
            return Errno.OK;
        Sentry sentry = Sentry;
        if ((Blocked & Signal.Bit(signal)) != 0 || Group.Actions.Get(signal).Handler == SigAction.SIG_IGN)
            return signal == Signal.SIGTTIN ? Errno.EIO : Errno.OK;
        if (sentry.Processes.IsOrphaned(Group.ProcessGroupId, Group.SessionId))
            return Errno.EIO;
        sentry.Processes.SendToGroup(Group.ProcessGroupId, new SigInfo { Signo = signal, Code = Signal.SI_KERNEL });
        return Errno.ERESTARTSYS;
    }
}
