using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>
/// /proc/PID/mem (man 5 proc_pid_mem): a process's memory, by address. In one's own protections hold, other than on Linux; another's is for
/// whoever may trace it, by read(2) and write(2) alone.
/// </summary>
internal sealed class MemoryAccessInode(ProcFileSystem fileSystem, Task task) : PseudoInode(fileSystem, FileMode.S_IFREG | 0x180)
{
    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override Errno Open(in Caller caller, VfsPath path, OpenFlags flags, out FileDescription? file)
    {
        file = null;
        if (caller.Task is not { } opener || (opener.Group != task.Group && !ProcessMemorySyscalls.MayAccess(opener, task)))
            return Errno.EACCES;
        file = new MemoryAccessFile(task.Mm, flags);
        return Errno.OK;
    }
}

/// <summary>An open /proc/PID/mem: the address space as it was at the open, of which nothing is left once that has ended.</summary>
internal sealed class MemoryAccessFile(MemoryManager mm, OpenFlags flags) : FileDescription(flags)
{
    public override bool IsSeekable => true;

    public override bool CanSpliceFrom => false;

    /// <summary>Whose memory it is.</summary>
    public MemoryManager Memory => mm;

    /// <summary>
    /// Reads or writes another process's memory from a call of <paramref name="task"/>, piece by piece, so that never both address spaces are held.
    /// EIO when nothing is there, EFAULT; 0 when the process has ended.
    /// </summary>
    public SysResult Transfer(Task task, ulong address, ulong length, ulong there, bool writes)
    {
        if (!mm.TryAddUser())
            return 0;
        Span<byte> page = stackalloc byte[4096];
        ulong done = 0;
        Errno error = Errno.OK;
        while (done < length && error == Errno.OK)
        {
            Span<byte> piece = Piece(page, (long)(there + done), length - done);
            UserPtr own = new(address + done), other = new(there + done);
            if ((writes ? task.Mm.CopyIn(own, piece) : mm.CopyIn(other, piece)) != Errno.OK)
                error = writes ? Errno.EFAULT : Errno.EIO;
            else if (!writes)
                error = task.Mm.CopyOut(own, piece);
            else if (mm.Overwrite(other.Address, piece) != Errno.OK)
                error = Errno.EIO;
            if (error == Errno.OK)
                done += (ulong)piece.Length;
        }
        mm.DropUser();
        return done > 0 || length == 0 ? (long)done : error;
    }

    /// <summary>EIO when nothing is there. Only within a call of the same address space.</summary>
    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (Task.Current?.Mm != mm)
            return 0;
        Span<byte> page = stackalloc byte[4096];
        long done = 0;
        while (to.Remaining > 0)
        {
            Span<byte> piece = Piece(page, offset, to.Remaining);
            if (mm.CopyIn(new UserPtr((ulong)offset), piece) != Errno.OK)
                break;
            int copied = to.CopyFrom(piece);
            offset += copied;
            done += copied;
            if (copied < piece.Length)
                return done > 0 ? done : Errno.EFAULT;
        }
        return done > 0 || to.Remaining == 0 ? done : Errno.EIO;
    }

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
    {
        if (Task.Current?.Mm != mm)
            return 0;
        Span<byte> page = stackalloc byte[4096];
        long done = 0;
        while (from.Remaining > 0)
        {
            Span<byte> piece = Piece(page, offset, from.Remaining);
            int copied = from.CopyTo(piece);
            if (copied < piece.Length)
                break;
            bool written = mm.CopyOut(new UserPtr((ulong)offset), piece) == Errno.OK, isLast = false;
            if (!written && done == 0)
            {
                // Pages to copy first: that needs the lock which holds the vector's spans, unless they are the sentry's own. They are not used any more.
                bool holds = mm.IsAccessing;
                if (holds)
                    mm.EndAccess();
                bool made = mm.MakeOwn((ulong)offset, (ulong)piece.Length);
                if (holds)
                    mm.BeginAccess();
                written = made && mm.CopyOut(new UserPtr((ulong)offset), piece) == Errno.OK;
                isLast = true;
            }
            if (!written)
                break;
            offset += copied;
            done += copied;
            if (isLast)
                break;
        }
        return done > 0 || from.Remaining == 0 ? done : Errno.EIO;
    }

    public override SysResult Truncate(long length) => 0;

    /// <summary>Any address; only SEEK_SET and SEEK_CUR.</summary>
    public override SysResult Seek(long offset, int whence)
    {
        const int SEEK_SET = 0, SEEK_CUR = 1;
        if (whence is not (SEEK_SET or SEEK_CUR))
            return Errno.EINVAL;
        return Position = whence == SEEK_CUR ? Position + offset : offset;
    }

    /// <summary>Up to the next page boundary, so that what is mapped is reached before what is not.</summary>
    private static Span<byte> Piece(Span<byte> page, long offset, ulong wanted)
        => page[..(int)Math.Min((ulong)(4096 - (offset & 4095)), wanted)];
}
