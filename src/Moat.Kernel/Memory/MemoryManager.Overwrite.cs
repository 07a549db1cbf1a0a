using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>
    /// Writes as a tracer does, to private memory that the program itself may not write as well: the access is there for the moment only.
    /// EFAULT: nothing is there, or others share it.
    /// </summary>
    public Errno Overwrite(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (CopyOut(new UserPtr(address), bytes) == Errno.OK)
            return Errno.OK;
        while (!bytes.IsEmpty)
        {
            ulong page = PageDown(address);
            int now = (int)Math.Min((ulong)bytes.Length, page + PageSize - address);
            _access.EnterRead();
            Vma? vma = _vmas.Find(address);
            bool mayWrite = vma is { IsShared: false } && (vma.MaxAccess & MapAccess.Write) != 0;
            MapAccess access = vma?.Access ?? MapAccess.None;
            _access.ExitRead();
            if (!mayWrite)
                return Errno.EFAULT;
            Errno error = Protect(page, PageSize, access | MapAccess.Read | MapAccess.Write);
            if (error != Errno.OK)
                return error;
            error = CopyOut(new UserPtr(address), bytes[..now]);
            Errno back = Protect(page, PageSize, access);
            if (error != Errno.OK || back != Errno.OK)
                return error != Errno.OK ? error : back;
            address += (ulong)now;
            bytes = bytes[now..];
        }
        return Errno.OK;
    }
}
