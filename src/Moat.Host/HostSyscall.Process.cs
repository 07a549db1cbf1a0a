namespace Moat.Host;

/// <summary>Host calls about processes, threads and their signals.</summary>
public static unsafe partial class HostSyscall
{
    private const int WEXITED = 4, WNOHANG = 1, P_PIDFD = 3, __WALL = 0x40000000;

    /// <summary>The sentry's own process id.</summary>
    public static int GetPid() => (int)CallQuick(39);

    /// <summary>Sends a signal to one thread of a process. Returns 0 or -errno (man 2 tgkill).</summary>
    public static int Tgkill(int tgid, int tid, int signal) => (int)CallQuick(234, tgid, tid, signal);

    /// <summary>A descriptor for a process, close-on-exec (man 2 pidfd_open), or -errno.</summary>
    public static int PidfdOpen(int pid) => (int)Call(434, pid);

    /// <summary>Ignores a signal in this process (man 2 sigaction, SIG_IGN).</summary>
    public static void Ignore(int signal)
    {
        // struct sigaction: handler, flags, restorer, mask.
        long* action = stackalloc long[4] { 1 /* SIG_IGN */, 0, 0, 0 };
        // SAFETY: action outlives the call.
        Call(13 /* rt_sigaction */, signal, (long)action, 0, 8);
    }

    /// <summary>Sends a signal to the process behind a pidfd. Returns 0 or -errno (man 2 pidfd_send_signal).</summary>
    public static int PidfdSendSignal(int pidfd, int signal) => (int)CallQuick(424, pidfd, signal);

    /// <summary>
    /// Waits for the end of the child behind a pidfd and reaps it. Returns 0, or -errno: ECHILD when someone else
    /// reaped it; with <paramref name="block"/> false, EAGAIN while it lives.
    /// </summary>
    public static int WaitPidfd(int pidfd, bool block)
    {
        long* info = stackalloc long[16]; // siginfo_t, 128 bytes
        info[0] = 0;
        while (true)
        {
            // SAFETY: info outlives the call.
            long r = Call(247 /* waitid */, P_PIDFD, pidfd, (long)info, WEXITED | __WALL | (block ? 0 : WNOHANG));
            if (r == -4 /* EINTR */)
                continue;
            if (r == 0 && !block && (int)info[0] == 0)
                return -11; // EAGAIN: si_signo stays zero while the child lives.
            return (int)r;
        }
    }

    /// <summary>
    /// Sleeps while a shared futex word holds <paramref name="value"/>. Returns 0 when woken, -EAGAIN when the word
    /// differs, -EINTR, or -ETIMEDOUT after <paramref name="timeoutNanoseconds"/> (negative: no limit).
    /// </summary>
    public static int FutexWait(uint* word, uint value, long timeoutNanoseconds = -1)
    {
        long* timespec = stackalloc long[2] { timeoutNanoseconds / 1_000_000_000, timeoutNanoseconds % 1_000_000_000 };
        // SAFETY: word lies in a mapping of the caller; timespec outlives the call.
        return (int)Call(202, (long)word, 0 /* FUTEX_WAIT */, value, timeoutNanoseconds < 0 ? 0 : (long)timespec);
    }

    /// <summary>Wakes up to <paramref name="count"/> waiters of a shared futex word. Returns how many, or -errno.</summary>
    public static int FutexWake(uint* word, int count) => (int)CallQuick(202, (long)word, 1 /* FUTEX_WAKE */, count);
}
