using System.Text;

namespace Moat.Kernel.Vfs;

/// <summary>A place in the tree of mounts: a dentry as seen through a mount.</summary>
internal readonly record struct VfsPath(Mount Mount, Dentry Dentry)
{
    /// <summary>True for default: no place.</summary>
    public bool IsNull => Dentry is null;

    public Inode Inode => Dentry.Inode;

    /// <summary>
    /// The path as seen from a root directory, as getcwd(2) and /proc show it: one char per byte. Places outside the root start with
    /// "(unreachable)"; deleted ones get " (deleted)" when <paramref name="markDeleted"/>.
    /// </summary>
    public string ToText(VfsPath root, bool markDeleted = true)
    {
        if (IsNull)
            return "";
        string text;
        long moves;
        do
        {
            moves = Dentry.Moves;
            text = Build(root);
        }
        while ((moves & 1) != 0 || moves != Dentry.Moves);
        return markDeleted && Dentry.IsDeleted ? text + " (deleted)" : text;
    }

    private string Build(VfsPath root)
    {
        List<string> names = [];
        Mount mount = Mount;
        Dentry dentry = Dentry;
        bool reachable = true;
        // A bound, so that names torn by a concurrent move cannot make this endless; the caller then tries again.
        for (int depth = 0; depth < 65536; depth++)
        {
            if (mount == root.Mount && dentry == root.Dentry)
                break;
            if (dentry == mount.Root)
            {
                if (mount.Parent is null)
                {
                    reachable = root.IsNull;
                    break;
                }
                dentry = mount.MountPoint!;
                mount = mount.Parent;
                continue;
            }
            if (dentry.Parent is null)
            {
                names.Add(dentry.Name);
                reachable = false;
                break;
            }
            names.Add(dentry.Name);
            dentry = dentry.Parent;
        }
        StringBuilder text = new(reachable ? "" : "(unreachable)");
        for (int i = names.Count - 1; i >= 0; i--)
            text.Append('/').Append(names[i]);
        return names.Count == 0 ? text.Append('/').ToString() : text.ToString();
    }
}
