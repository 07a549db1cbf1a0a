using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Events;

/// <summary>An interrupted poll(2): its arguments, and the deadline as it was.</summary>
internal sealed class PollRestart : RestartBlock
{
    private UserPtr<PollFd> _fds;
    private uint _count;
    private long _deadline;

    public PollRestart Set(UserPtr<PollFd> fds, uint count, long deadline)
    {
        _fds = fds;
        _count = count;
        _deadline = deadline;
        return this;
    }

    public override SysResult Restart(Task task) => PollSyscalls.PollOrRestart(task, _fds, _count, _deadline);
}
