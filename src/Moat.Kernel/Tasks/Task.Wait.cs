namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>
    /// Waits for a child as wait4(2) and waitid(2) do. OK: the report has a process id, or none with WNOHANG. ECHILD, ERESTARTSYS.
    /// </summary>
    public Errno WaitForChild(in ChildWait wait, out ChildReport report)
    {
        Group.ChildWaiters.Add(_waitEntry, PollEvents.POLLIN);
        Errno error;
        while (true)
        {
            error = Sentry.Processes.Take(this, in wait, out report);
            if (error != Errno.OK || report.Pid != 0 || wait.Has(WaitOptions.WNOHANG))
                break;
            if (Block() == WaitOutcome.Interrupted)
            {
                error = Errno.ERESTARTSYS;
                break;
            }
        }
        Group.ChildWaiters.Remove(_waitEntry);
        return error;
    }
}
