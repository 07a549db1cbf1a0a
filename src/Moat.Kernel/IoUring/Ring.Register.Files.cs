using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>Registered files: descriptors of the ring's own.</summary>
internal sealed partial class Ring
{
    private const uint MaxFixedFiles = 1 << 20;
    private const int Sparse = -1;

    /// <summary>The part of the file table that IORING_FILE_INDEX_ALLOC takes from, [start, end).</summary>
    private uint _allocStart, _allocEnd, _allocHint;

    private SysResult Unregister(ref ResourceNode?[]? table)
    {
        if (table is null)
            return Errno.ENXIO;
        DropTable(ref table, tell: true);
        return 0;
    }

    /// <summary>FILES, FILES2: <paramref name="fds"/> 0: a table without files; <paramref name="tags"/> 0: none has a tag.</summary>
    private SysResult RegisterFiles(Task task, ulong fds, uint count, ulong tags)
    {
        if (_files is not null)
            return Errno.EBUSY;
        if (count == 0)
            return Errno.EINVAL;
        if (count > MaxFixedFiles || count > (uint)task.Files.Limit)
            return Errno.EMFILE;
        ResourceNode?[]? table = new ResourceNode?[count];
        for (uint i = 0; i < count; i++)
        {
            int fd = Sparse;
            Errno e = ReadTag(task.Mm, tags, i, out ulong tag);
            if (e == Errno.OK && fds != 0)
                e = task.Mm.Read(new UserPtr<int>(fds + (i * sizeof(int))), out fd);
            if (e == Errno.OK && fd != Sparse)
                e = MakeFileNode(task.Files, fd, tag, out table[i]);
            else if (e == Errno.OK && tag != 0)
                e = Errno.EINVAL;
            if (e == Errno.OK)
                continue;
            DropTable(ref table, tell: false);
            return e;
        }
        _files = table;
        _allocStart = _allocHint = 0;
        _allocEnd = count;
        return 0;
    }

    private static Errno ReadTag(MemoryManager mm, ulong tags, uint index, out ulong tag)
    {
        tag = 0;
        return tags == 0 ? Errno.OK : mm.Read(new UserPtr<ulong>(tags + (index * sizeof(ulong))), out tag);
    }

    /// <summary>A node for an open descriptor. EBADF, also for rings, which would keep each other alive.</summary>
    private static Errno MakeFileNode(FdTable files, int fd, ulong tag, out ResourceNode? node)
    {
        node = null;
        FileDescription? file = GetFile(files, fd);
        if (file is null)
            return Errno.EBADF;
        if (file is Ring)
        {
            file.DropReference();
            return Errno.EBADF;
        }
        node = new ResourceNode { File = file, Tag = tag };
        return Errno.OK;
    }

    private SysResult RegisterFilesUpdate(Task task, UserPtr argument, uint count)
    {
        if (count == 0)
            return Errno.EINVAL;
        Errno e = task.Mm.Read(new UserPtr<IoUringRsrcUpdate>(argument.Address), out IoUringRsrcUpdate update);
        if (e != Errno.OK)
            return e;
        return update.resv != 0 ? Errno.EINVAL : UpdateFiles(task.Mm, task.Files, update.offset, update.data, 0, count);
    }

    /// <summary>
    /// Replaces registered files by the descriptors of a guest array: -1 empties a place, IORING_REGISTER_FILES_SKIP keeps it; neither has a tag.
    /// Returns how many places were done before an error, or the error of the first. ENXIO, EOVERFLOW, EINVAL, EFAULT, EBADF. Under the lock.
    /// </summary>
    public SysResult UpdateFiles(MemoryManager mm, FdTable files, uint offset, ulong fds, ulong tags, uint count)
    {
        if (offset + (ulong)count > uint.MaxValue)
            return Errno.EOVERFLOW;
        if (_files is null)
            return Errno.ENXIO;
        if (offset + count > (uint)_files.Length)
            return Errno.EINVAL;
        for (uint i = 0; i < count; i++)
        {
            Errno e = ReadTag(mm, tags, i, out ulong tag);
            int fd = Sparse;
            if (e == Errno.OK)
                e = mm.Read(new UserPtr<int>(fds + (i * sizeof(int))), out fd);
            if (e == Errno.OK && tag != 0 && fd is Sparse or IoUringConst.IORING_REGISTER_FILES_SKIP)
                e = Errno.EINVAL;
            if (e == Errno.OK && fd != IoUringConst.IORING_REGISTER_FILES_SKIP)
            {
                RemoveFile(offset + i);
                ResourceNode? node = null;
                if (fd != Sparse)
                    e = MakeFileNode(files, fd, tag, out node);
                if (node is not null)
                    PutFile(offset + i, node);
            }
            if (e != Errno.OK)
                return i != 0 ? (int)i : e;
        }
        return (int)count;
    }

    /// <summary>FILE_ALLOC_RANGE. EOVERFLOW, EINVAL beyond the table.</summary>
    private SysResult SetAllocRange(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringFileIndexRange>(argument.Address), out IoUringFileIndexRange range);
        if (e != Errno.OK)
            return e;
        ulong end = (ulong)range.off + range.len;
        if (end > uint.MaxValue)
            return Errno.EOVERFLOW;
        if (range.resv != 0 || end > (ulong)(_files?.Length ?? 0))
            return Errno.EINVAL;
        _allocStart = _allocHint = range.off;
        _allocEnd = (uint)end;
        return 0;
    }

    /// <summary>
    /// Puts the descriptors of a guest array where the table has room, and writes each place back. Returns how many before an
    /// error, or the error of the first. Under the lock.
    /// </summary>
    public SysResult InstallFiles(MemoryManager mm, FdTable files, ulong fds, uint count)
    {
        if (_files is null)
            return Errno.ENXIO;
        for (uint i = 0; i < count; i++)
        {
            UserPtr<int> place = new(fds + (i * sizeof(int)));
            SysResult result = mm.Read(place, out int fd);
            FileDescription? file = result.IsError ? null : GetFile(files, fd);
            if (!result.IsError)
                result = file is null ? Errno.EBADF : InstallFile(file, IoUringConst.IORING_FILE_INDEX_ALLOC);
            if (result.IsError)
                file?.DropReference();
            else if (mm.Write(place, (int)result.Value) is var e and not Errno.OK)
            {
                RemoveFile((uint)result.Value);
                result = e;
            }
            if (result.IsError)
                return i != 0 ? (int)i : result;
        }
        return (int)count;
    }

    /// <summary>
    /// Puts a file into the table, taking over the caller's reference on success. <paramref name="slot"/> is sqe.file_index: the place plus
    /// one (returns 0), or IORING_FILE_INDEX_ALLOC (returns the place). ENXIO without a table, EINVAL beyond it, ENFILE for no free place, EBADF for a
    /// ring. Under the lock.
    /// </summary>
    public SysResult InstallFile(FileDescription file, uint slot)
    {
        if (file is Ring)
            return Errno.EBADF;
        bool allocate = slot == IoUringConst.IORING_FILE_INDEX_ALLOC;
        if (_files is null)
            return allocate ? Errno.ENFILE : Errno.ENXIO;
        uint index = allocate ? FindFreeFile() : slot - 1;
        if (allocate && index == uint.MaxValue)
            return Errno.ENFILE;
        if (index >= (uint)_files.Length)
            return Errno.EINVAL;
        PutFile(index, new ResourceNode { File = file });
        return allocate ? (int)index : 0;
    }

    /// <summary>As <see cref="InstallFile(FileDescription, uint)"/>, for an operation, which may run on a worker.</summary>
    public SysResult InstallFile(FileDescription file, uint slot, IssueFlags flags)
    {
        if ((flags & IssueFlags.Unlocked) == 0)
            return InstallFile(file, slot);
        _lock.Enter();
        SysResult result = InstallFile(file, slot);
        Unlock();
        return result;
    }

    /// <summary>Closes a direct descriptor. ENXIO without a table, EINVAL beyond it, EBADF when empty. Under the lock.</summary>
    public SysResult CloseFixed(uint index)
    {
        if (_files is null)
            return Errno.ENXIO;
        if (index >= (uint)_files.Length)
            return Errno.EINVAL;
        return RemoveFile(index) ? 0 : Errno.EBADF;
    }

    /// <summary>
    /// The first free place of the range, from where a file came or went last, then from the range's start (Linux's order).
    /// </summary>
    private uint FindFreeFile()
    {
        uint end = _allocEnd;
        if (_allocHint < _allocStart || _allocHint >= end)
            _allocHint = _allocStart;
        while (true)
        {
            for (uint i = _allocHint; i < end && i < (uint)_files!.Length; i++)
            {
                if (_files[i] is null)
                    return i;
            }
            if (_allocHint == _allocStart)
                return uint.MaxValue;
            end = _allocHint;
            _allocHint = _allocStart;
        }
    }

    /// <summary>Puts a node into a place of the table; what was there goes.</summary>
    private void PutFile(uint index, ResourceNode node)
    {
        ResourceNode? old = _files![index];
        _files[index] = node;
        if (old is null)
            _allocHint = index + 1;
        else
            DropNode(old);
    }

    private bool RemoveFile(uint index)
    {
        ResourceNode? node = _files![index];
        if (node is null)
            return false;
        _files[index] = null;
        _allocHint = index;
        DropNode(node);
        return true;
    }
}
