using System.Globalization;
using System.Text;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>/proc/PID/mounts and mountinfo: the mounts that can be reached from a task's root.</summary>
internal static class MountFiles
{
    /// <summary>fstab(5)'s six fields.</summary>
    public static Errno Mounts(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        VfsPath root = task.Fs.Root;
        if (root.IsNull)
            return Errno.OK;
        foreach (Mount mount in root.Mount.Table.All)
        {
            if (!TryGetPath(mount, root, out string path))
                continue;
            Escape(text, mount.FileSystem.Source);
            text.Append(' ');
            Escape(text, path);
            text.Append(CultureInfo.InvariantCulture, $" {mount.FileSystem.TypeName} {Options(mount, withFileSystem: true)} 0 0\n");
        }
        return Errno.OK;
    }

    /// <summary>man 5 proc_pid_mountinfo; no mount propagates.</summary>
    public static Errno MountInfo(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        VfsPath root = task.Fs.Root;
        if (root.IsNull)
            return Errno.OK;
        foreach (Mount mount in root.Mount.Table.All)
        {
            if (!TryGetPath(mount, root, out string path))
                continue;
            ulong device = mount.FileSystem.Device;
            text.Append(CultureInfo.InvariantCulture, $"{mount.Id} {mount.Parent?.Id ?? 1} {DeviceNumber.Major(device)}:{DeviceNumber.Minor(device)} / ");
            Escape(text, path);
            text.Append(CultureInfo.InvariantCulture, $" {Options(mount, withFileSystem: false)} - {mount.FileSystem.TypeName} ");
            Escape(text, mount.FileSystem.Source);
            text.Append(mount.FileSystem.IsReadOnly ? " ro\n" : " rw\n");
        }
        return Errno.OK;
    }

    private static bool TryGetPath(Mount mount, VfsPath root, out string path)
    {
        path = mount.RootPath.ToText(root);
        return path.StartsWith('/');
    }

    private static string Options(Mount mount, bool withFileSystem)
    {
        MountFlags flags = mount.Flags;
        bool readOnly = (flags & MountFlags.ReadOnly) != 0 || (withFileSystem && mount.FileSystem.IsReadOnly);
        StringBuilder options = new(readOnly ? "ro" : "rw");
        if ((flags & MountFlags.NoSuid) != 0)
            options.Append(",nosuid");
        if ((flags & MountFlags.NoDev) != 0)
            options.Append(",nodev");
        if ((flags & MountFlags.NoExec) != 0)
            options.Append(",noexec");
        if ((flags & MountFlags.NoAtime) != 0)
            options.Append(",noatime");
        if ((flags & MountFlags.RelAtime) != 0)
            options.Append(",relatime");
        return options.ToString();
    }

    /// <summary>Blanks, tabs, line feeds and backslashes in octal, so that fields stay apart.</summary>
    private static void Escape(StringBuilder text, string field)
    {
        foreach (char c in field)
        {
            if (c is ' ' or '\t' or '\n' or '\\' or '#')
                text.Append('\\').Append(Convert.ToString(c, 8).PadLeft(3, '0'));
            else
                text.Append(c);
        }
    }
}
