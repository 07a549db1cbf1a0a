using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Time;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

/// <summary>What the watchdog says of a thread: what it does, what it waits for, who holds what it may wait for, who else is busy.</summary>
internal static class StuckReport
{
    /// <summary>One line. <paramref name="all"/>: every task of the sandbox.</summary>
    public static string Write(Task task, long duration, List<Task> all)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture,
            $"watchdog: {Name(task)} is stuck in {Call(task)} for {duration / HostClock.Second} s; its sentry thread {HostState(task)}");
        AppendHolders(text, task, all);
        foreach (Task other in all)
        {
            if (other != task && other.IsBusyInSentry)
                text.Append(CultureInfo.InvariantCulture, $"; {Name(other)} is in {Call(other)}, where its sentry thread {HostState(other)}");
        }
        return text.ToString();
    }

    private static string Name(Task task) => string.Create(CultureInfo.InvariantCulture, $"process {task.Group.Id}, thread {task.Tid} ({TaskText(task)})");

    private static string TaskText(Task task) => Encoding.Latin1.GetString(task.Name).TrimEnd('\0');

    private static string Call(Task task)
    {
        ref readonly SyscallArgs args = ref task.Args;
        return string.Create(CultureInfo.InvariantCulture,
            $"{SyscallTable.NameOf(args.Number) ?? "call " + args.Number}(0x{args.A0:x}, 0x{args.A1:x}, 0x{args.A2:x}, ...)");
    }

    /// <summary>What the host says of the sentry thread: the system call it waits in, or that it runs.</summary>
    private static string HostState(Task task)
    {
        string state = HostText.Read(string.Create(CultureInfo.InvariantCulture, $"/proc/self/task/{task.HostThreadId}/syscall"));
        int end = state.AsSpan().IndexOfAny(' ', '\n');
        ReadOnlySpan<char> first = end < 0 ? state : state.AsSpan(0, end);
        if (!int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            return first.SequenceEqual("running") ? "runs" : "does not say what it does";
        string name = SyscallTable.NameOf(number) ?? first.ToString();
        return name == "futex" ? "waits for a lock (futex on the host)" : "waits for the host in " + name;
    }

    /// <summary>The locks that the call may want and that somebody has.</summary>
    private static void AppendHolders(StringBuilder text, Task task, List<Task> all)
    {
        List<int> readers = [];
        int writer = task.Mm.GetLockHolders(readers);
        if (writer != 0)
            text.Append("; its memory is being changed by ").Append(Owner(writer, task, all));
        foreach (int reader in readers)
        {
            if (reader != task.SentryThread)
                text.Append("; its memory is being used by ").Append(Owner(reader, task, all));
        }
        Append(text, "the signals of its process", task.Group.SignalLock);
        if (SyscallTable.Find(task.Args.Number) is not { Parameters: [{ Kind: ParameterKind.Fd }, ..] } || task.Files.Get((int)task.Args.A0) is not { } file)
            return;
        Append(text, "the position of its file", file.PositionLock);
        if (file.Inode.IsDirectory)
            Append(text, "its directory", file.Inode.DirectoryLock);
        file.DropReference();
    }

    private static string Owner(int thread, Task task, List<Task> all)
        => thread == task.SentryThread ? "itself" : all.Find(t => t.SentryThread == thread) is { } owner ? Name(owner) : "a worker";

    /// <summary>Ordinary locks do not tell whose they are; that they are taken is known by trying.</summary>
    private static void Append(StringBuilder text, string what, Lock held)
    {
        if (held.TryEnter())
            held.Exit();
        else
            text.Append("; somebody holds the lock of ").Append(what);
    }
}
