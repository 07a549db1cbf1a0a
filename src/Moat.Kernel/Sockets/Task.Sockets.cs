using Moat.Kernel.Events;
using Moat.Kernel.Sockets;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private SocketMessage? _message;
    private byte[] _optionBytes = [];

    /// <summary>The message of the call being served.</summary>
    public SocketMessage Message => _message ??= new SocketMessage();

    /// <summary>Room for an option's value in the call being served, zeroed.</summary>
    public Span<byte> OptionBytes(int length)
    {
        if (_optionBytes.Length < length)
            _optionBytes = new byte[Math.Max(256, (length + 255) & ~255)];
        Span<byte> bytes = _optionBytes.AsSpan(0, length);
        bytes.Clear();
        return bytes;
    }

    /// <summary>From here on the queue's wake-ups wake this task from <see cref="Block"/>; for one queue at a time.</summary>
    public void EnterQueue(WaitQueue queue, PollEvents events) => queue.Add(_waitEntry, events);

    /// <summary>Ends what <see cref="EnterQueue"/> began.</summary>
    public void LeaveQueue() => _waitEntry.Remove();
}
