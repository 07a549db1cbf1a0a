using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>
/// One place of the registered files or buffers. The table holds one count, each request that uses it another; the last
/// one gives the resource back. Under the ring's lock.
/// </summary>
internal sealed class ResourceNode
{
    public FileDescription? File;
    public RegisteredBuffer? Buffer;

    /// <summary>User data of the CQE that tells of its end; 0: none.</summary>
    public ulong Tag;

    public int Count = 1;
}

/// <summary>Registered files and buffers.</summary>
internal sealed partial class Ring
{
    private ResourceNode?[]? _files, _buffers;

    /// <summary>Finds the file of sqe.fd, registered or not, and keeps it for the request. False: EBADF. Under the lock.</summary>
    private bool AssignFile(Request request) => AssignFile(request, request.Sqe.fd, (request.Flags & RequestFlags.FixedFile) != 0);

    /// <summary>As an operation finds its file itself, on a worker too.</summary>
    public bool TryAssignFile(Request request, IssueFlags flags, bool isFixed)
    {
        if ((flags & IssueFlags.Unlocked) == 0)
            return AssignFile(request, request.Sqe.fd, isFixed);
        _lock.Enter();
        bool found = AssignFile(request, request.Sqe.fd, isFixed);
        Unlock();
        return found;
    }

    /// <summary>Finds the registered buffer of sqe.buf_index and keeps it for the request. False: EFAULT.</summary>
    public bool TryAssignBuffer(Request request, IssueFlags flags)
    {
        if ((flags & IssueFlags.Unlocked) == 0)
            return AssignBuffer(request);
        _lock.Enter();
        bool found = AssignBuffer(request);
        Unlock();
        return found;
    }

    private bool AssignBuffer(Request request)
    {
        if (request.BufferNode is not null)
            return true;
        int index = request.Sqe.buf_index;
        if (_buffers is null || index >= _buffers.Length || _buffers[index] is not { } node)
            return false;
        node.Count++;
        request.BufferNode = node;
        return true;
    }

    private bool AssignFile(Request request, int fd, bool isFixed)
    {
        if (isFixed)
        {
            if (_files is null || (uint)fd >= (uint)_files.Length || _files[fd] is not { } node)
                return false;
            node.Count++;
            request.FileNode = node;
            request.File = node.File;
            return true;
        }
        FileDescription? file = GetFile(request.Origin.Files, fd);
        if (file is null)
            return false;
        request.File = file;
        if (file is Ring)
            request.Flags |= RequestFlags.Inflight;
        return true;
    }

    /// <summary>The open file of a descriptor with a reference, or null: EBADF. O_PATH descriptors are not open for I/O.</summary>
    public static FileDescription? GetFile(FdTable files, int fd)
    {
        FileDescription? file = files.Get(fd);
        if (file is not null && (file.Flags & OpenFlags.O_PATH) != 0)
        {
            file.DropReference();
            return null;
        }
        return file;
    }

    /// <summary>Finds a second file for a request and keeps it in Request.OtherFile. False: EBADF. Under the lock, or on a worker.</summary>
    public bool TryAssignOther(Request request, IssueFlags flags, int fd, bool isFixed)
    {
        if (!isFixed)
        {
            request.OtherFile = GetFile(request.Origin.Files, fd);
            return request.OtherFile is not null;
        }
        bool unlocked = (flags & IssueFlags.Unlocked) != 0;
        if (unlocked)
            _lock.Enter();
        ResourceNode? node = _files is not null && (uint)fd < (uint)_files.Length ? _files[fd] : null;
        if (node is not null)
        {
            node.Count++;
            request.OtherNode = node;
            request.OtherFile = node.File;
        }
        if (unlocked)
            Unlock();
        return node is not null;
    }

    /// <summary>Gives back what <see cref="TryAssignOther"/> or an operation has put into Request.OtherFile. Under the lock.</summary>
    public void DropOther(Request request)
    {
        if (request.OtherNode is not null)
            DropNode(request.OtherNode);
        else
            request.OtherFile?.DropReference();
        request.OtherNode = null;
        request.OtherFile = null;
        request.WaitFile = null;
    }

    /// <summary>The registered file at an index with a reference of its own, or null. Under the lock.</summary>
    public FileDescription? GetFixedFile(int index)
    {
        if (_files is null || (uint)index >= (uint)_files.Length || _files[index]?.File is not { } file)
            return null;
        file.AddReference();
        return file;
    }

    private void DropNodes(Request request)
    {
        if (request.FileNode is not null)
            DropNode(request.FileNode);
        else
            request.File?.DropReference();
        request.FileNode = null;
        if (request.BufferNode is not null)
            DropNode(request.BufferNode);
        request.BufferNode = null;
    }

    /// <summary>One use less; the last gives the resource back and posts its tag.</summary>
    private void DropNode(ResourceNode node)
    {
        if (--node.Count != 0)
            return;
        node.File?.DropReference();
        node.Buffer?.DropReference();
        if (node.Tag != 0)
            AddToBatch(node.Tag, 0, CqeFlags.None);
    }

    /// <summary>Drops a whole table. Without <paramref name="tell"/> no tag is posted: nobody knows of the resources yet.</summary>
    private void DropTable(ref ResourceNode?[]? table, bool tell)
    {
        ResourceNode?[]? nodes = table;
        table = null;
        if (nodes is null)
            return;
        // From the last to the first, which is the order in which tags come.
        for (int i = nodes.Length - 1; i >= 0; i--)
        {
            if (nodes[i] is not { } node)
                continue;
            if (!tell)
                node.Tag = 0;
            DropNode(node);
        }
    }
}
