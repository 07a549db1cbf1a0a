namespace Moat.Kernel.Sockets.Netlink;

/// <summary>
/// The datagrams that wait in a netlink socket, and the room that they, or those that will come, take. Under the socket's lock.
/// </summary>
internal sealed class NetlinkQueue
{
    /// <summary>What a datagram takes beyond its bytes.</summary>
    private const int Overhead = 1024;

    private readonly Queue<byte[]> _datagrams = new();
    private long _taken;

    /// <summary>SO_RCVBUF, bytes: with more taken nothing comes in.</summary>
    public int Room { get; set; } = SocketOptions.DefaultBuffer;

    public int Count => _datagrams.Count;

    /// <summary>Something did not fit, and nobody has been told yet.</summary>
    public bool HasLost { get; private set; }

    /// <summary>True once after something did not fit: ENOBUFS.</summary>
    public bool TakeLoss()
    {
        bool lost = HasLost;
        HasLost = false;
        return lost;
    }

    /// <summary>Adds one, which is lost when there is no room.</summary>
    public void TryAdd(byte[] datagram)
    {
        if (TryHold(datagram.Length))
            AddHeld(datagram);
        else
            HasLost = true;
    }

    /// <summary>Adds one that the host had room for.</summary>
    public void Add(byte[] datagram)
    {
        _taken += datagram.Length + Overhead;
        AddHeld(datagram);
    }

    /// <summary>Holds the room of one that comes later.</summary>
    public bool TryHold(int length)
    {
        if (_taken > Room)
            return false;
        _taken += length + Overhead;
        return true;
    }

    public void Unhold(int length) => _taken -= length + Overhead;

    /// <summary>Adds one whose room is held.</summary>
    public void AddHeld(byte[] datagram) => _datagrams.Enqueue(datagram);

    public byte[] Peek() => _datagrams.Peek();

    public byte[] Dequeue()
    {
        byte[] first = _datagrams.Dequeue();
        _taken -= first.Length + Overhead;
        return first;
    }
}
