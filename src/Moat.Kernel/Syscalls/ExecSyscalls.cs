using System.Text;
using Moat.Kernel.Loader;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>execve(2) and execveat(2).</summary>
internal static class ExecSyscalls
{
    private const int AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000, AT_EXECVE_CHECK = 0x10000;

    /// <summary>execve(2).</summary>
    [Syscall(59, "execve", Support.Partial, Note = "file capabilities are not honoured")]
    public static SysResult Execve(Task task, UserPath path, UserPtr argv, UserPtr envp)
        => Exec(task, Fd.AT_FDCWD, path, argv, envp, 0);

    /// <summary>execveat(2).</summary>
    [Syscall(322, "execveat", Support.Partial, Note = "file capabilities are not honoured")]
    public static SysResult ExecveAt(Task task, Fd directory, UserPath path, UserPtr argv, UserPtr envp, int flags)
        => (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK)) != 0
            ? Errno.EINVAL
            : Exec(task, directory.Value, path, argv, envp, flags);

    private static SysResult Exec(Task task, int dirfd, UserPath path, UserPtr argv, UserPtr envp, int flags)
    {
        Errno error = task.ReadPath(path, out ReadOnlySpan<char> name);
        if (error != Errno.OK)
            return error;
        Caller caller = new(task);
        LookupFlags lookup = ((flags & AT_SYMLINK_NOFOLLOW) == 0 ? LookupFlags.Follow : LookupFlags.None)
            | ((flags & AT_EMPTY_PATH) != 0 ? LookupFlags.Empty : LookupFlags.None);
        error = ExecutableFile.Open(in caller, dirfd, name, lookup, out FileDescription? file);
        if (error != Errno.OK)
            return error;
        if ((flags & AT_EXECVE_CHECK) != 0)
        {
            file!.DropReference();
            return 0;
        }
        string shown = dirfd == Fd.AT_FDCWD || name.StartsWith("/") ? name.ToString()
            : name.IsEmpty ? $"/dev/fd/{dirfd}" : $"/dev/fd/{dirfd}/{name}";
        ulong room = StackBuilder.LimitFor(task.Group.Limits.Get(Resource.RLIMIT_STACK).Current);
        List<byte[]> environment = [];
        error = ArgumentReader.Read(task.Mm, argv, ref room, out List<byte[]> arguments);
        if (error == Errno.OK)
            error = ArgumentReader.Read(task.Mm, envp, ref room, out environment);
        ProgramImage? image = null;
        bool committed = false;
        if (error == Errno.OK)
        {
            error = ProgramImage.Load(
                task.Sentry, in caller, file!, shown, arguments, environment, task.Group.Limits, out image, out committed);
        }
        file!.DropReference();
        if (error == Errno.OK)
            return task.Exec(image!);
        if (!committed)
            return error;
        task.Group.BeginExit(Signal.SIGSEGV);
        return Task.RegistersAreSet;
    }
}
