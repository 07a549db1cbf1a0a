using System.Globalization;
using System.Text;
using Moat.Kernel.Events;

namespace Moat.Kernel.Tasks;

/// <summary>A descriptor of a process or a thread (pidfd_open(2)). Readable when it has ended.</summary>
internal sealed class PidFd(Task task, bool isThread, OpenFlags flags) : AnonymousFile(OpenFlags.O_RDWR | flags, "[pidfd]")
{
    /// <summary>The thread, or the leader that the process had when the descriptor was made.</summary>
    public Task Task { get; } = task;

    /// <summary>The process.</summary>
    public ThreadGroup Group => Task.Group;

    /// <summary>Made with PIDFD_THREAD.</summary>
    public bool IsThread { get; } = isThread;

    public override WaitQueue Waiters => Group.EndWaiters;

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => false;

    /// <inheritdoc/>
    public override SysResult Seek(long offset, int whence) => Errno.ESPIPE;

    /// <summary>It is a file of its file system, with nothing to write back.</summary>
    public override Errno SyncRange(long offset, long length, uint flags) => Errno.OK;

    /// <inheritdoc/>
    public override SysResult Allocate(int mode, long offset, long length) => Errno.EOPNOTSUPP;

    public override PollEvents Poll()
    {
        if (Group.IsReaped)
            return PollEvents.POLLIN | PollEvents.POLLRDNORM | PollEvents.POLLHUP;
        return Group.HasEnded || (IsThread && Task.HasEnded) ? PollEvents.POLLIN | PollEvents.POLLRDNORM : PollEvents.None;
    }

    public override void AppendFdInfo(StringBuilder text)
    {
        int pid = Group.IsReaped ? -1 : IsThread ? Task.Tid : Group.Id;
        text.Append(CultureInfo.InvariantCulture, $"Pid:\t{pid}\nNSpid:\t{pid}\n");
    }
}
