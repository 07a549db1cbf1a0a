using System.Text;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Files that exist only in memory (man 2 memfd_create).</summary>
internal static class FileMemorySyscalls
{
    [Syscall(319, "memfd_create", Support.Partial, Note = "MFD_HUGETLB is ENOSYS: no huge pages.")]
    public static SysResult MemfdCreate(Task task, UserPtr name, uint flags)
    {
        const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_NOEXEC_SEAL = 8, MFD_EXEC = 16;
        const int LongestName = 249;
        if ((flags & MFD_HUGETLB) != 0)
            return Errno.ENOSYS;
        if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) != 0
            || (flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC))
            return Errno.EINVAL;
        Span<byte> bytes = stackalloc byte[LongestName + 1];
        SysResult length = task.Mm.CopyInString(name, bytes);
        if (length.IsError)
            return length.Error == Errno.ENAMETOOLONG ? Errno.EINVAL : length;
        Seals? seals = (flags & MFD_NOEXEC_SEAL) != 0 ? Seals.F_SEAL_EXEC : (flags & MFD_ALLOW_SEALING) != 0 ? Seals.None : null;
        TmpFile file = TmpFile.CreateMemoryFile(
            task.Sentry.MemoryFiles, task.Credentials, Encoding.Latin1.GetString(bytes[..(int)length.Value]), (flags & MFD_NOEXEC_SEAL) == 0, seals);
        SysResult fd = task.Files.Install(file, (flags & MFD_CLOEXEC) != 0);
        if (fd.IsError)
            file.DropReference();
        return fd;
    }

    /// <summary>cachestat(2): pages of a file in memory; EPERM for who may neither write nor owns it.</summary>
    [Syscall(451, "cachestat", Support.Full)]
    public static SysResult CacheStat(Task task, Fd fd, UserPtr<CacheRange> range, UserPtr<CacheCounts> counts, uint flags)
    {
        FileDescription? file = task.Files.Get(fd.Value);
        if (file is null)
            return Errno.EBADF;
        CacheRange wanted = default;
        Errno error = (file.Flags & OpenFlags.O_PATH) != 0 ? Errno.EBADF : task.Mm.Read(range, out wanted);
        CacheCounts found = default;
        if (error == Errno.OK && !file.CanWrite && !(file.IsRegular && MayChange(task, file)))
            error = Errno.EPERM;
        if (error == Errno.OK && flags != 0)
            error = Errno.EINVAL;
        if (error == Errno.OK)
            error = file.GetCacheCounts(in wanted, out found);
        file.DropReference();
        return error == Errno.OK ? task.Mm.Write(counts, in found) : error;
    }

    private static bool MayChange(Task task, FileDescription file)
        => AccessCheck.IsOwnerOrCapable(file.Inode.Permissions, task.Credentials)
            || file.Inode.CheckAccess(task.Credentials, AccessMask.Write) == Errno.OK;
}
