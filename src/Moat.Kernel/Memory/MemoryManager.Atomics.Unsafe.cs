using Moat.Host;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    /// <summary>
    /// Compares a guest word with <paramref name="expected"/> and replaces it by <paramref name="value"/> in one step; the word's
    /// value before is <paramref name="seen"/>. EFAULT when it is not writable, EINVAL when not aligned.
    /// </summary>
    public Errno CompareExchange32(UserPtr address, uint expected, uint value, out uint seen)
    {
        seen = 0;
        if ((address.Address & 3) != 0)
            return Errno.EINVAL;
        while (true)
        {
            _access.EnterRead();
            Errno error = Errno.EFAULT;
            if (TryGetPiece(address.Address, sizeof(uint), write: true, out Piece piece))
            {
                // SAFETY: an aligned word lies within one page; memory-file bytes never fault.
                error = Errno.OK;
                if (!piece.MayFault)
                    seen = Interlocked.CompareExchange(ref *(uint*)piece.Host, value, expected);
                else if (!SafeCopy.CompareExchange32((uint*)piece.Host, expected, value, out seen))
                    error = Errno.EFAULT;
            }
            _access.ExitRead();
            if (!piece.IsBorrowed || !MakeOwn(address.Address, sizeof(uint)))
                return error;
        }
    }

    /// <summary>Reads an aligned guest word in one step. EFAULT, EINVAL.</summary>
    public Errno Load32(UserPtr address, out uint value)
    {
        value = 0;
        if ((address.Address & 3) != 0)
            return Errno.EINVAL;
        _access.EnterRead();
        Errno error = Errno.EFAULT;
        if (TryGetPiece(address.Address, sizeof(uint), write: false, out Piece piece))
        {
            // SAFETY: as above; a host file's word is read by the routine that survives faults.
            error = Errno.OK;
            if (!piece.MayFault)
                value = Volatile.Read(ref *(uint*)piece.Host);
            else if (!SafeCopy.Load32((uint*)piece.Host, out value))
                error = Errno.EFAULT;
        }
        _access.ExitRead();
        return error;
    }

    /// <summary>
    /// What word a futex address means; false: EFAULT. <paramref name="shared"/> false (FUTEX_PRIVATE_FLAG): the address in this
    /// memory, mapped or not. Else, in a shared mapping, the place in the memory file or the host file behind it.
    /// </summary>
    public bool TryGetFutexKey(UserPtr address, bool shared, out FutexKey key)
    {
        key = new FutexKey(Id, 0, address.Address);
        if (!shared)
            return address.Address < MaxAddress;
        _access.EnterRead();
        bool found = TryGetSharedKey(address.Address, ref key);
        _access.ExitRead();
        return found;
    }

    private bool TryGetSharedKey(ulong address, ref FutexKey key)
    {
        Vma? vma = _vmas.Find(address);
        if (vma is null || vma.Access == Platform.MapAccess.None)
            return false;
        ulong within = address - vma.Start;
        if (!vma.IsShared)
        {
            // Waiters with FUTEX_PRIVATE_FLAG and without do not meet, even on private memory.
            key = key with { Inode = 1 };
            return true;
        }
        if (vma.Kind == VmaKind.HostFile)
        {
            key = new FutexKey(vma.File!.MapDevice | (1UL << 63), vma.File.MapInode, vma.FileOffset + within);
            return true;
        }
        // SAFETY: only the difference of two addresses in the memory file is taken.
        if (!TryGetPiece(address, 1, write: false, out Piece piece))
            return false;
        key = new FutexKey(0, 0, (ulong)(piece.Host - Frames.File.Base));
        return true;
    }
}
