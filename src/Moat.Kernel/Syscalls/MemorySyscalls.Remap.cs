using Moat.Kernel.Memory;
using Moat.Platform;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

internal static partial class MemorySyscalls
{
    /// <summary>mremap(2).</summary>
    [Syscall(25, "mremap", Support.Full)]
    public static SysResult Mremap(Task task, ulong address, ulong oldLength, ulong newLength, RemapFlags flags, ulong newAddress)
        => task.Mm.Remap(address, oldLength, newLength, flags, newAddress);

    /// <summary>remap_file_pages(2): an mmap(2) over a part of a shared file mapping.</summary>
    [Syscall(216, "remap_file_pages", Support.Full)]
    public static SysResult RemapFilePages(Task task, ulong address, ulong length, Protection prot, ulong pageOffset, MapFlags flags)
    {
        address &= ~PageMask;
        length &= ~PageMask;
        if (prot != Protection.PROT_NONE || address + length <= address
            || pageOffset + (length / MemoryManager.PageSize) < pageOffset || pageOffset >= 1UL << 51)
        {
            return Errno.EINVAL;
        }
        return task.Mm.RemapFilePages(address, length, pageOffset * MemoryManager.PageSize);
    }

    /// <summary>pkey_alloc(2), as on a machine without protection keys.</summary>
    [Syscall(330, "pkey_alloc", Support.ErrnoOnly, Note = "ENOSPC: no protection keys")]
    public static SysResult PkeyAlloc(Task task, ulong flags, ulong rights)
    {
        const ulong PKEY_DISABLE_ACCESS = 1, PKEY_DISABLE_WRITE = 2;
        return flags != 0 || (rights & ~(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE)) != 0 ? Errno.EINVAL : Errno.ENOSPC;
    }

    /// <summary>pkey_free(2): none was allocated.</summary>
    [Syscall(331, "pkey_free", Support.ErrnoOnly, Note = "EINVAL: no protection keys")]
    public static SysResult PkeyFree(Task task, int pkey) => Errno.EINVAL;

    /// <summary>pkey_mprotect(2): mprotect(2) without a key, or with key 0, which all memory has.</summary>
    [Syscall(329, "pkey_mprotect", Support.Partial, Note = "no protection keys but -1 and 0")]
    public static SysResult PkeyMprotect(Task task, ulong address, ulong length, Protection prot, int pkey)
        => pkey is -1 or 0 ? Mprotect(task, address, length, prot) : Errno.EINVAL;
}
