using Moat.Kernel.Events;
using Moat.Kernel.Terminals;
using Moat.Kernel.Vfs;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Wakes who waits for host descriptors.</summary>
    public HostNotifier Notifier { get; } = new();

    /// <summary>inotify descriptors and watches there are.</summary>
    internal int InotifyInstances, InotifyWatches;

    /// <summary>The terminal among the standard streams, or null.</summary>
    public HostStreamInode? Terminal { get; private set; }

    /// <summary>
    /// That terminal as the first process's controlling terminal. To the host all of the sandbox is one job; which group is in the
    /// foreground inside is the sandbox's own business.
    /// </summary>
    public TerminalSession? TerminalSession { get; private set; }

    /// <summary>Takes note of a standard stream that is a terminal; the first one counts.</summary>
    public void UseTerminal(HostStreamInode terminal)
    {
        if (Terminal is not null)
            return;
        Terminal = terminal;
        TerminalSession = new TerminalSession(terminal, terminal.GetStat(out FileStat stat) == Errno.OK ? stat.Rdev : 0);
    }
}
