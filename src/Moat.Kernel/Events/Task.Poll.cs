using Moat.Kernel.Events;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private const int PollBytesKept = 64 * 1024;

    private PollSet? _pollSet;
    private EpollCaller? _epollCaller;
    private PollRestart? _pollRestart;
    private byte[] _pollBytes = [];

    /// <summary>The set that this task's poll and select calls use; empty between calls.</summary>
    public PollSet PollSet => _pollSet ??= new PollSet(this);

    /// <summary>What an interrupted poll(2) goes on with.</summary>
    public PollRestart PollRestart => _pollRestart ??= new PollRestart();

    /// <summary>This task in the queue of an epoll.</summary>
    public EpollCaller EpollCaller => _epollCaller ??= new EpollCaller(this);

    /// <summary>Room for the pollfd or fd_set words of the call being served; kept for the next one unless it is large.</summary>
    public Span<byte> PollBytes(int length)
    {
        if (length > PollBytesKept)
            return new byte[length];
        if (length > _pollBytes.Length)
            _pollBytes = new byte[Math.Max(512, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length))];
        return _pollBytes.AsSpan(0, length);
    }
}
