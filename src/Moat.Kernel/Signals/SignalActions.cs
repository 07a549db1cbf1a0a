namespace Moat.Kernel.Signals;

/// <summary>What happens by default (man 7 signal).</summary>
internal enum DefaultAction
{
    Terminate,
    Ignore,
    Stop,
    Continue,
}

/// <summary>The handlers of a process (shared by CLONE_SIGHAND). Its lock is a leaf, inside the signal lock.</summary>
internal sealed class SignalActions
{
    private readonly Lock _lock = new();
    private readonly SigAction[] _actions = new SigAction[64];

    /// <summary>The signals that neither can be caught nor blocked nor ignored.</summary>
    public static readonly ulong Unblockable = Signal.Bit(Signal.SIGKILL) | Signal.Bit(Signal.SIGSTOP);

    /// <summary>The signals that stop a process by default.</summary>
    public static readonly ulong Stops = Signal.Bit(Signal.SIGSTOP) | Signal.Bit(Signal.SIGTSTP) | Signal.Bit(Signal.SIGTTIN)
        | Signal.Bit(Signal.SIGTTOU);

    /// <summary>What SIG_DFL means for a signal. Those that dump core on Linux terminate without a core here.</summary>
    public static DefaultAction GetDefault(int signal) => signal switch
    {
        Signal.SIGCHLD or Signal.SIGWINCH or Signal.SIGURG => DefaultAction.Ignore,
        Signal.SIGCONT => DefaultAction.Continue,
        Signal.SIGSTOP or Signal.SIGTSTP or Signal.SIGTTIN or Signal.SIGTTOU => DefaultAction.Stop,
        _ => DefaultAction.Terminate,
    };

    /// <summary>The action of a signal, 1 to 64.</summary>
    public SigAction Get(int signal)
    {
        lock (_lock)
            return _actions[signal - 1];
    }

    /// <summary>Replaces the action of a signal and returns the old one.</summary>
    public SigAction Set(int signal, in SigAction action)
    {
        lock (_lock)
        {
            SigAction old = _actions[signal - 1];
            _actions[signal - 1] = action;
            return old;
        }
    }

    /// <summary>True when a signal's arrival changes nothing: it is ignored, by choice or by default.</summary>
    public bool IsIgnored(int signal)
    {
        ulong handler = Get(signal).Handler;
        return handler == SigAction.SIG_IGN
            || (handler == SigAction.SIG_DFL && GetDefault(signal) is DefaultAction.Ignore or DefaultAction.Continue);
    }

    /// <summary>The signals that have a handler and those that are ignored, as /proc/PID/status shows them.</summary>
    public void GetSets(out ulong ignored, out ulong caught)
    {
        ignored = caught = 0;
        lock (_lock)
        {
            for (int i = 0; i < 64; i++)
            {
                if (_actions[i].Handler == SigAction.SIG_IGN)
                    ignored |= 1UL << i;
                else if (_actions[i].Handler != SigAction.SIG_DFL)
                    caught |= 1UL << i;
            }
        }
    }

    /// <summary>A copy of its own (fork(2)).</summary>
    public SignalActions Copy()
    {
        SignalActions copy = new();
        lock (_lock)
            _actions.CopyTo(copy._actions, 0);
        return copy;
    }

    /// <summary>A copy for a new program (execve(2)): handlers are gone, ignored signals stay ignored.</summary>
    public SignalActions CopyForExec()
    {
        SignalActions copy = new();
        lock (_lock)
        {
            for (int i = 0; i < 64; i++)
            {
                if (_actions[i].Handler == SigAction.SIG_IGN)
                    copy._actions[i].Handler = SigAction.SIG_IGN;
            }
        }
        return copy;
    }
}
