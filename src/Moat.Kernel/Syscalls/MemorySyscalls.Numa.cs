using Moat.Kernel.Memory;
using Capability = Moat.Kernel.Tasks.Capability;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Kernel.Syscalls;

/// <summary>Memory policies (man 7 numa) of a machine with one node, number 0: checked, and without effect.</summary>
internal static partial class MemorySyscalls
{
    private const int MPOL_DEFAULT = 0, MPOL_PREFERRED = 1, MPOL_LOCAL = 4, MPOL_WEIGHTED_INTERLEAVE = 6;
    private const int MPOL_F_STATIC_NODES = 1 << 15, MPOL_F_RELATIVE_NODES = 1 << 14, MPOL_F_NUMA_BALANCING = 1 << 13;

    /// <summary>set_mempolicy(2).</summary>
    [Syscall(238, "set_mempolicy", Support.Partial, Note = "one node; get_mempolicy always tells the default policy")]
    public static SysResult SetMempolicy(Task task, int mode, UserPtr nodes, ulong maxNode) => CheckPolicy(task.Mm, mode, nodes, maxNode);

    /// <summary>mbind(2).</summary>
    [Syscall(237, "mbind", Support.Partial, Note = "one node; the policy is checked and forgotten")]
    public static SysResult Mbind(Task task, ulong address, ulong length, int mode, UserPtr nodes, ulong maxNode, uint flags)
    {
        const uint MPOL_MF_STRICT = 1, MPOL_MF_MOVE = 2, MPOL_MF_MOVE_ALL = 4;
        if ((flags & ~(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) != 0)
            return Errno.EINVAL;
        if ((flags & MPOL_MF_MOVE_ALL) != 0 && !task.Credentials.Has(Capability.CAP_SYS_NICE))
            return Errno.EPERM;
        if ((address & PageMask) != 0)
            return Errno.EINVAL;
        ulong rounded = (length + PageMask) & ~PageMask;
        if (address + rounded < address)
            return Errno.EINVAL;
        Errno error = CheckPolicy(task.Mm, mode, nodes, maxNode);
        if (error != Errno.OK || rounded == 0)
            return error;
        return task.Mm.ChangeFlags(address, address + rounded, VmaFlags.None, VmaFlags.None, privateMemoryOnly: false) == Errno.OK
            ? SysResult.Ok : Errno.EFAULT;
    }

    /// <summary>get_mempolicy(2).</summary>
    [Syscall(239, "get_mempolicy", Support.Partial, Note = "one node, the default policy")]
    public static SysResult GetMempolicy(Task task, UserPtr<int> mode, UserPtr nodes, ulong maxNode, ulong address, uint flags)
    {
        const uint MPOL_F_NODE = 1, MPOL_F_ADDR = 2, MPOL_F_MEMS_ALLOWED = 4;
        if ((flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) != 0 || (!nodes.IsNull && maxNode == 0))
            return Errno.EINVAL;
        ulong first = 0;
        if ((flags & MPOL_F_MEMS_ALLOWED) != 0)
        {
            if ((flags & (MPOL_F_NODE | MPOL_F_ADDR)) != 0)
                return Errno.EINVAL;
            first = 1;
        }
        else if ((flags & MPOL_F_ADDR) != 0)
        {
            if (task.Mm.CopyIn(new UserPtr(address), stackalloc byte[1]) != Errno.OK)
                return Errno.EFAULT;
        }
        else if (address != 0 || (flags & MPOL_F_NODE) != 0)
        {
            return Errno.EINVAL;
        }
        Errno error = mode.IsNull ? Errno.OK : task.Mm.Write(mode, MPOL_DEFAULT);
        if (error == Errno.OK && !nodes.IsNull)
            error = WriteNodes(task.Mm, nodes, maxNode, first);
        return error;
    }

    /// <summary>set_mempolicy_home_node(2).</summary>
    [Syscall(450, "set_mempolicy_home_node", Support.Partial, Note = "ENOENT: no range has a policy of its own")]
    public static SysResult SetHomeNode(Task task, ulong start, ulong length, ulong node, ulong flags)
    {
        if ((start & PageMask) != 0 || flags != 0 || node != 0)
            return Errno.EINVAL;
        ulong end = start + ((length + PageMask) & ~PageMask);
        return end < start ? Errno.EINVAL : end == start ? Errno.OK : Errno.ENOENT;
    }

    /// <summary>migrate_pages(2): all pages are where they can be.</summary>
    [Syscall(256, "migrate_pages", Support.Partial, Note = "one node: nothing to move; only the caller itself")]
    public static SysResult MigratePages(Task task, int pid, ulong maxNode, UserPtr oldNodes, UserPtr newNodes)
    {
        Errno error = ReadNodes(task.Mm, oldNodes, maxNode, out _);
        if (error == Errno.OK)
            error = ReadNodes(task.Mm, newNodes, maxNode, out ulong _);
        if (error != Errno.OK)
            return error;
        return pid == 0 || pid == task.Group.Id ? SysResult.Ok : Errno.ESRCH;
    }

    /// <summary>What a policy must look like: known mode, nodes that exist where it needs some, none where it takes none.</summary>
    private static Errno CheckPolicy(MemoryManager mm, int mode, UserPtr nodes, ulong maxNode)
    {
        int flags = mode & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING);
        mode &= ~flags;
        if (mode is < 0 or > MPOL_WEIGHTED_INTERLEAVE
            || (flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)) == (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES))
        {
            return Errno.EINVAL;
        }
        Errno error = ReadNodes(mm, nodes, maxNode, out ulong first);
        if (error != Errno.OK)
            return error;
        if (mode is MPOL_DEFAULT or MPOL_LOCAL)
            return first == 0 && (flags == 0 || mode == MPOL_DEFAULT) ? Errno.OK : Errno.EINVAL;
        if (mode == MPOL_PREFERRED && first == 0)
            return flags == 0 ? Errno.OK : Errno.EINVAL;
        return (first & 1) != 0 ? Errno.OK : Errno.EINVAL;
    }

    /// <summary>Reads a node mask; bits beyond the first word must be clear. EINVAL, EFAULT.</summary>
    private static Errno ReadNodes(MemoryManager mm, UserPtr nodes, ulong maxNode, out ulong first)
    {
        const ulong MostBits = 4096 * 8;
        first = 0;
        // Linux counts one bit too many, so does everybody who calls it.
        if (maxNode-- <= 1 || nodes.IsNull)
            return Errno.OK;
        if (maxNode > MostBits)
            return Errno.EINVAL;
        ulong words = (maxNode + 63) / 64;
        for (ulong i = 0; i < words; i++)
        {
            Errno error = mm.Read(new UserPtr<ulong>(nodes.Address + (i * sizeof(ulong))), out ulong word);
            if (error != Errno.OK)
                return error;
            if (i == words - 1 && maxNode % 64 != 0)
                word &= (1UL << (int)(maxNode % 64)) - 1;
            if (i == 0)
                first = word;
            else if (word != 0)
                return Errno.EINVAL;
        }
        return Errno.OK;
    }

    private static Errno WriteNodes(MemoryManager mm, UserPtr nodes, ulong maxNode, ulong first)
    {
        const ulong MostBytes = 4096;
        ulong bytes = (((maxNode - 1) + 63) & ~63UL) / 8;
        if (bytes > MostBytes)
            return Errno.EINVAL;
        for (ulong at = 0; at < bytes; at += sizeof(ulong))
        {
            Errno error = mm.Write(new UserPtr<ulong>(nodes.Address + at), at == 0 ? first : 0);
            if (error != Errno.OK)
                return error;
        }
        return Errno.OK;
    }
}
