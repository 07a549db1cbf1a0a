using Moat.Kernel.Sockets;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>What the network operations need of the ring.</summary>
internal sealed partial class Ring
{
    /// <summary>
    /// Gives a new file its number: in the descriptor table, or (sqe.file_index) among the registered files. Takes the reference over, and
    /// drops it when there is no place.
    /// </summary>
    public SysResult InstallNew(Request request, FileDescription file, bool closeOnExec, IssueFlags flags)
    {
        uint slot = request.Sqe.file_index;
        SysResult result = slot != 0 ? InstallFile(file, slot, flags) : request.Origin.Files.Install(file, closeOnExec);
        if (result.IsError)
            file.DropReference();
        return result;
    }

    // Those that no request uses; the last one is the next.
    private SocketMessage?[] _messages = new SocketMessage?[16];
    private int _messageCount;

    /// <summary>
    /// A message for a request that is prepared. As on Linux it is the one that was given back last: how many buffers a bundle takes at first depends
    /// on what it was used for. Under the lock.
    /// </summary>
    public SocketMessage TakeMessage(Request request)
    {
        if (_messageCount != 0)
            return _messages[--_messageCount]!;
        // What was cancelled has kept its own, of which nothing is to be remembered.
        SocketMessage message = request.Message ?? new SocketMessage();
        message.BundleRoom = 1;
        return message;
    }

    /// <summary>The request is complete: its message is for others. Under the lock.</summary>
    public void KeepMessage(Request request)
    {
        const int Most = 256;
        if (_messageCount == Most)
            return;
        if (_messageCount == _messages.Length)
            Array.Resize(ref _messages, _messageCount * 2);
        _messages[_messageCount++] = request.Message;
        request.Message = null;
    }

    /// <summary>Posts the second CQE of a zero-copy send, right behind the first. Under the lock.</summary>
    public void PostNotification(Request request, int result) => AddToBatch(request.Sqe.user_data, result, CqeFlags.NOTIF);

    /// <summary>True when the request's group of provided buffers is a list. Under the lock, or on a worker.</summary>
    public bool PicksFromList(Request request, IssueFlags flags)
    {
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        bool isList = FindGroup(request.Sqe.buf_group) is { Ring: null };
        if (unlocked)
            Unlock();
        return isList;
    }

    /// <summary>True when there is the request's group of provided buffers. Under the lock, or on a worker.</summary>
    public bool HasGroup(Request request, IssueFlags flags)
    {
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        bool has = FindGroup(request.Sqe.buf_group) is not null;
        if (unlocked)
            Unlock();
        return has;
    }

    /// <summary>True when the request's group of provided buffers has one more. Under the lock, or on a worker.</summary>
    public bool HasProvidedBuffers(Request request, IssueFlags flags)
    {
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        bool has = FindGroup(request.Sqe.buf_group) is { } group && (group.Ring is { } ring ? ring.Available != 0 : group.Count != 0);
        if (unlocked)
            Unlock();
        return has;
    }
}
