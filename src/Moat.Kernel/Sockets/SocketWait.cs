using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Sockets;

/// <summary>
/// How a system call waits on a socket: enters its queue, tries again, sleeps, tries again, until the time-out or a signal.
/// </summary>
internal ref struct SocketWait(Task task, Socket socket, PollEvents events, long timeout)
{
    private readonly Task _task = task;
    private readonly Socket _socket = socket;
    private readonly PollEvents _events = events;
    private readonly long _timeout = timeout;
    private long _deadline;
    private bool _entered;
    private int _descriptor = -1;

    /// <summary>
    /// After an attempt that would block: true, try again. False: the time is up (<paramref name="end"/> OK: the attempt's answer stands)
    /// or a signal came (ERESTARTSYS, with a time-out EINTR).
    /// </summary>
    public bool TryAgain(out Errno end)
    {
        end = Errno.OK;
        if (!_entered)
        {
            _entered = true;
            _deadline = _timeout == Task.Forever ? Task.Forever : HostClock.After(_timeout);
            if (_socket.PollsOnHost)
                _descriptor = _socket.PollDescriptor;
            else
                _task.EnterQueue(_socket.Waiters, _events);
            // Waiting in the host begins with a look.
            if (_descriptor < 0)
                return true;
        }
        switch (_descriptor < 0 ? _task.Block(_deadline) : _task.BlockOn(_descriptor, _events, _deadline))
        {
            case WaitOutcome.Woken:
                return true;
            case WaitOutcome.Interrupted:
                end = _timeout == Task.Forever ? Errno.ERESTARTSYS : Errno.EINTR;
                return false;
            default:
                return false;
        }
    }

    public void Dispose()
    {
        if (_entered)
            _task.LeaveQueue();
    }
}
