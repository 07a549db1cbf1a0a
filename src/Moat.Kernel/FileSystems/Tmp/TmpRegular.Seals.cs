using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Tmp;

internal partial class TmpRegular
{
    private const uint ExecuteBits = 0x49;

    /// <summary>F_GET_SEALS.</summary>
    public Seals CurrentSeals => _seals;

    /// <summary>EPERM when F_SEAL_EXEC keeps who may execute it as it is.</summary>
    public override Errno SetAttributes(in AttributeChange change)
        => change.Has(AttributeMask.Mode) && (_seals & Seals.F_SEAL_EXEC) != 0 && ((change.Mode ^ Permissions.Mode) & ExecuteBits) != 0
            ? Errno.EPERM : base.SetAttributes(in change);

    /// <summary>memfd_create(2) with MFD_ALLOW_SEALING or MFD_NOEXEC_SEAL.</summary>
    internal void AllowSeals(Seals initial) => _seals = initial;

    /// <summary>
    /// F_ADD_SEALS: EPERM when sealed against seals, EBUSY for F_SEAL_WRITE while a writable shared mapping exists, EINVAL.
    /// </summary>
    internal Errno AddSeals(Seals seals)
    {
        const Seals Known = Seals.F_SEAL_SEAL | Seals.F_SEAL_SHRINK | Seals.F_SEAL_GROW | Seals.F_SEAL_WRITE | Seals.F_SEAL_FUTURE_WRITE | Seals.F_SEAL_EXEC;
        if ((seals & ~Known) != 0)
            return Errno.EINVAL;
        Errno error = Errno.OK;
        _data.EnterWrite();
        if ((_seals & Seals.F_SEAL_SEAL) != 0)
            error = Errno.EPERM;
        else if ((seals & Seals.F_SEAL_WRITE) != 0 && (_seals & Seals.F_SEAL_WRITE) == 0 && Volatile.Read(ref _writableBytes) != 0)
            error = Errno.EBUSY;
        else
        {
            // A file that may not be made executable and is: as F_SEAL_EXEC does, it may not be written either.
            if ((seals & Seals.F_SEAL_EXEC) != 0 && (Permissions.Mode & ExecuteBits) != 0)
                seals |= Seals.F_SEAL_SHRINK | Seals.F_SEAL_GROW | Seals.F_SEAL_WRITE | Seals.F_SEAL_FUTURE_WRITE;
            _seals |= seals;
        }
        _data.ExitWrite();
        return error;
    }

    /// <summary>What seals say to a write; one that would grow a file sealed against it stops at the last whole page.</summary>
    private Errno MayWrite(long start, ref long length)
    {
        if (_seals is Seals.None or Seals.F_SEAL_SEAL)
            return Errno.OK;
        if ((_seals & (Seals.F_SEAL_WRITE | Seals.F_SEAL_FUTURE_WRITE)) != 0)
            return Errno.EPERM;
        if ((_seals & Seals.F_SEAL_GROW) == 0 || start + length <= _size)
            return Errno.OK;
        length = (_size & ~(long)PageMask) - start;
        return length > 0 ? Errno.OK : Errno.EPERM;
    }
}
