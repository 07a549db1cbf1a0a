using Moat.Kernel.Events;
using Moat.Kernel.Sockets;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private SocketMessage? _message;

    /// <summary>The message of the call being served.</summary>
    public SocketMessage Message => _message ??= new SocketMessage();

    /// <summary>From here on the queue's wake-ups wake this task from <see cref="Block"/>; for one queue at a time.</summary>
    public void EnterQueue(WaitQueue queue, PollEvents events) => queue.Add(_waitEntry, events);

    /// <summary>Ends what <see cref="EnterQueue"/> began.</summary>
    public void LeaveQueue() => _waitEntry.Remove();
}
