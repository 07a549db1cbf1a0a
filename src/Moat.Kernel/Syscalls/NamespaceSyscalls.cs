using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>Namespaces: of host names there may be several, of everything else the sandbox is one itself.</summary>
internal static class NamespaceSyscalls
{
    /// <summary>CLONE_NEW*.</summary>
    internal const CloneFlags All = CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWCGROUP | CloneFlags.CLONE_NEWUTS | CloneFlags.CLONE_NEWIPC
        | CloneFlags.CLONE_NEWUSER | CloneFlags.CLONE_NEWPID | CloneFlags.CLONE_NEWNET | CloneFlags.CLONE_NEWTIME;

    /// <summary>Whether a task may make the namespaces that it asks for: EPERM.</summary>
    internal static Errno Check(Task task, CloneFlags flags)
    {
        CloneFlags wanted = flags & All;
        if (wanted == 0)
            return Errno.OK;
        return wanted == CloneFlags.CLONE_NEWUTS && task.Credentials.Has(Capability.CAP_SYS_ADMIN) ? Errno.OK : Errno.EPERM;
    }

    /// <summary>unshare(2).</summary>
    [Syscall(272, "unshare", Support.Partial, Note = "of namespaces only CLONE_NEWUTS, others EPERM")]
    public static SysResult Unshare(Task task, CloneFlags flags)
    {
        const CloneFlags Shared = CloneFlags.CLONE_FS | CloneFlags.CLONE_FILES | CloneFlags.CLONE_SYSVSEM;
        const CloneFlags Single = CloneFlags.CLONE_THREAD | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_VM;
        if ((flags & ~(Shared | Single | All)) != 0)
            return Errno.EINVAL;
        if ((flags & Single) != 0 && task.Group.ThreadCount > 1)
            return Errno.EINVAL;
        Errno error = Check(task, flags);
        if (error != Errno.OK)
            return error;
        task.Unshare((flags & CloneFlags.CLONE_FS) != 0, (flags & CloneFlags.CLONE_FILES) != 0);
        if ((flags & CloneFlags.CLONE_NEWUTS) != 0)
            task.Uts = task.Uts.Copy();
        return 0;
    }

    /// <summary>setns(2). Joining a namespace that one is in is allowed, except for that of users.</summary>
    [Syscall(308, "setns", Support.Full)]
    public static SysResult SetNs(Task task, Fd fd, int type)
    {
        if (task.Files.Get(fd.Value) is not { } file)
            return Errno.EBADF;
        CloneFlags wanted = (CloneFlags)(uint)type;
        SysResult result = file switch
        {
            NamespaceFile one => wanted != 0 && wanted != one.Space.Type ? Errno.EINVAL : Join(task, one.Space),
            PidFd other => Join(task, other.Task, wanted),
            _ => Errno.EINVAL,
        };
        file.DropReference();
        return result;
    }

    private static SysResult Join(Task task, Task other, CloneFlags types)
    {
        if (types == 0 || (types & ~All) != 0)
            return Errno.EINVAL;
        if (other.Group.IsReaped || other.HasEnded)
            return Errno.ESRCH;
        foreach (Namespace type in Namespace.Types)
        {
            SysResult result = (types & type.Type) != 0 ? Join(task, Namespace.Of(other, type)) : 0;
            if (result.IsError)
                return result;
        }
        return 0;
    }

    private static SysResult Join(Task task, Namespace space)
    {
        if (space.Type == CloneFlags.CLONE_NEWUSER)
            return Errno.EINVAL;
        if (!task.Credentials.Has(Capability.CAP_SYS_ADMIN))
            return Errno.EPERM;
        if (space is UtsNamespace uts)
            task.Uts = uts;
        return 0;
    }

    /// <summary>sethostname(2): inside the sandbox only.</summary>
    [Syscall(170, "sethostname", Support.Full)]
    public static SysResult SetHostName(Task task, UserPtr name, int length)
    {
        SysResult result = ReadName(task, name, length, out byte[] text);
        if (!result.IsError)
            task.Uts.Node = text;
        return result;
    }

    /// <summary>setdomainname(2).</summary>
    [Syscall(171, "setdomainname", Support.Full)]
    public static SysResult SetDomainName(Task task, UserPtr name, int length)
    {
        SysResult result = ReadName(task, name, length, out byte[] text);
        if (!result.IsError)
            task.Uts.Domain = text;
        return result;
    }

    private static SysResult ReadName(Task task, UserPtr name, int length, out byte[] text)
    {
        text = [];
        if (!task.Credentials.Has(Capability.CAP_SYS_ADMIN))
            return Errno.EPERM;
        if (length is < 0 or > UtsNamespace.MaxName)
            return Errno.EINVAL;
        text = new byte[length];
        return task.Mm.CopyIn(name, text);
    }
}
