using Moat.Kernel.Events;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Wakes who waits for host descriptors.</summary>
    public HostNotifier Notifier { get; } = new();

    /// <summary>The terminal's foreground process group (tcsetpgrp(3)); 0: the first process's.</summary>
    public int ForegroundGroup { get; set; }

    /// <summary>The process group that the terminal's signals go to, and that may read from it.</summary>
    public int GetForegroundGroup() => ForegroundGroup != 0 ? ForegroundGroup : First?.ProcessGroupId ?? 0;

    /// <summary>What /dev/tty opens: the terminal among the standard streams, or null.</summary>
    public HostStreamInode? Terminal { get; set; }
}
