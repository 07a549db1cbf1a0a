using System.Globalization;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/PID/ns.</summary>
internal static class NamespaceDirectory
{
    public static Inode Build(ProcFileSystem fs, Task task)
    {
        StaticDirectory directory = new(fs);
        foreach (Namespace type in Namespace.Types)
        {
            directory.Add(type.Name, new NamespaceLink(fs, task, type));
            // Those whose change concerns children alone.
            if (type.Type is CloneFlags.CLONE_NEWPID or CloneFlags.CLONE_NEWTIME)
                directory.Add(type.Name + "_for_children", new NamespaceLink(fs, task, type));
        }
        return directory;
    }
}

/// <summary>A link to a namespace: it leads to the object and not through its text.</summary>
internal sealed class NamespaceLink(ProcFileSystem fileSystem, Task task, Namespace type) : PseudoLink(fileSystem)
{
    public override (uint Uid, uint Gid) Owner => (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);

    public override bool IsMagicLink => true;

    public override Errno ReadLink(in Caller caller, out string target)
    {
        Errno error = Find(in caller, out Namespace? space);
        target = error == Errno.OK ? NameOf(space!) : "";
        return error;
    }

    public override Errno FollowMagic(in Caller caller, out VfsPath target)
    {
        Errno error = Find(in caller, out Namespace? space);
        target = error == Errno.OK ? AnonymousFileSystem.MakePlace(new NamespaceInode(space!), NameOf(space!)) : default;
        return error;
    }

    private Errno Find(in Caller caller, out Namespace? space)
    {
        space = null;
        if (fileSystem.Sentry.Tasks.Find(task.Tid) != task)
            return Errno.ENOENT;
        if (!ProcAccess.IsAllowed(in caller, task))
            return Errno.EACCES;
        space = Namespace.Of(task, type);
        return Errno.OK;
    }

    private static string NameOf(Namespace space) => string.Create(CultureInfo.InvariantCulture, $"{space.Name}:[{space.Number}]");
}
