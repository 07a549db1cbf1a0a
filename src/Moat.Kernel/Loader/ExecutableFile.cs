using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Loader;

/// <summary>Opens files to be executed, as execve(2) and execvp(3) choose them.</summary>
internal static class ExecutableFile
{
    /// <summary>Opens a regular file that the caller may execute, with one reference. EACCES, ENOENT, ELOOP, ETXTBSY and so on.</summary>
    public static Errno Open(in Caller caller, ReadOnlySpan<char> path, out FileDescription? file)
        => Open(in caller, Fd.AT_FDCWD, path, LookupFlags.Follow, out file);

    /// <summary>As above, from a directory. A symbolic link that is not followed is ELOOP.</summary>
    public static Errno Open(in Caller caller, int dirfd, ReadOnlySpan<char> path, LookupFlags flags, out FileDescription? file)
    {
        file = null;
        Errno error = PathOperations.Walk(in caller, dirfd, path, flags, out VfsPath place);
        if (error != Errno.OK)
            return error;
        if (place.Inode.IsSymlink)
            return Errno.ELOOP;
        if (!place.Inode.IsRegular || (place.Mount.Flags & MountFlags.NoExec) != 0)
            return Errno.EACCES;
        error = place.Inode.CheckAccess(caller.Credentials, AccessMask.Execute);
        if (error != Errno.OK)
            return error;
        if (place.Inode.HasWriters)
            return Errno.ETXTBSY;
        // Reading is the sentry's: a program that may be executed but not read still runs.
        error = place.Inode.Open(in caller, place, OpenFlags.O_RDONLY, out file);
        if (error == Errno.OK)
            file!.Path = place;
        return error;
    }

    /// <summary>
    /// Opens <paramref name="program"/>: a path when it has a slash, else the first match along <paramref name="searchPath"/>.
    /// </summary>
    public static Errno Find(in Caller caller, string program, string searchPath, out FileDescription? file, out string path)
    {
        path = program;
        file = null;
        if (program.Length == 0)
            return Errno.ENOENT;
        if (program.Contains('/'))
            return Open(in caller, program, out file);
        Errno refused = Errno.ENOENT;
        foreach (string directory in searchPath.Split(':'))
        {
            path = directory.Length == 0 ? "./" + program : directory + "/" + program;
            Errno error = Open(in caller, path, out file);
            if (error == Errno.OK)
                return error;
            if (error == Errno.EACCES)
                refused = error;
        }
        path = program;
        return refused;
    }
}
