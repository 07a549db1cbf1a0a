namespace Moat.Kernel.Vfs;

internal abstract partial class Inode
{
    // Above zero: descriptions that may write. Below: processes whose program it is.
    private int _writers;

    /// <summary>Somebody may write to it: it cannot be executed (ETXTBSY).</summary>
    public bool HasWriters => Volatile.Read(ref _writers) > 0;

    /// <summary>It is the program of a process: it cannot be written (ETXTBSY).</summary>
    public bool IsBeingExecuted => Volatile.Read(ref _writers) < 0;

    /// <summary>One claim more of a kind, 1 to write or -1 to execute. False while there are claims of the other kind.</summary>
    internal bool TryClaim(int kind)
    {
        int n = Volatile.Read(ref _writers);
        while (n == 0 || (n > 0) == (kind > 0))
        {
            int seen = Interlocked.CompareExchange(ref _writers, n + kind, n);
            if (seen == n)
                return true;
            n = seen;
        }
        return false;
    }

    /// <summary>One claim less.</summary>
    internal void DropClaim(int kind) => Interlocked.Add(ref _writers, -kind);
}

internal abstract partial class FileDescription
{
    private int _claim;

    /// <summary>
    /// Claims the file for writing or, before it becomes a process's program, against writing (execve(2)). ETXTBSY where the other is
    /// under way. The claim ends with the description.
    /// </summary>
    internal Errno Claim(bool execute)
    {
        int kind = execute ? -1 : 1;
        if (_claim != 0 || !Inode.IsRegular)
            return Errno.OK;
        if (!Inode.TryClaim(kind))
            return Errno.ETXTBSY;
        _claim = kind;
        return Errno.OK;
    }

    private void DropClaim()
    {
        if (_claim != 0)
            Inode.DropClaim(_claim);
    }
}
