using System.Globalization;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>Files about a task's memory: maps, smaps, statm, and the strings that its program was started with.</summary>
internal static class TaskMemoryFiles
{
    /// <summary>Most bytes of strings that are shown; execve(2) gives a quarter of the stack limit at most.</summary>
    private const ulong MostBytes = 8 << 20;

    public static Errno Maps(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        if (!ProcAccess.IsAllowed(in reader, task))
            return Errno.EACCES;
        if (!task.HasEnded)
            task.Mm.WriteMaps(text, details: false);
        return Errno.OK;
    }

    public static Errno DetailedMaps(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        if (!ProcAccess.IsAllowed(in reader, task))
            return Errno.EACCES;
        if (!task.HasEnded)
            task.Mm.WriteMaps(text, details: true);
        return Errno.OK;
    }

    /// <summary>statm, in pages: size resident shared text lib data dirty.</summary>
    public static Errno Sizes(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        const ulong Page = MemoryManager.PageSize;
        MemoryUsage use = task.HasEnded ? default : task.Mm.GetUsage();
        text.Append(CultureInfo.InvariantCulture, $"{use.Size / Page} {use.Resident / Page} {(use.ResidentFile + use.ResidentShared) / Page} ")
            .Append(CultureInfo.InvariantCulture, $"{use.Text / Page} 0 {(use.Data + use.Stack) / Page} 0\n");
        return Errno.OK;
    }

    /// <summary>
    /// argv as it lies in memory now. A program that wrote over the end of it (setproctitle) is shown up to the NUL it left,
    /// into the environment if need be.
    /// </summary>
    public static Errno CommandLine(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        if (task.HasEnded)
            return Errno.OK;
        ProgramArea program = task.Mm.Program;
        if (program.ArgumentEnd <= program.ArgumentStart)
            return Errno.OK;
        Span<byte> last = stackalloc byte[1];
        if (task.Mm.CopyIn(new UserPtr(program.ArgumentEnd - 1), last) != Errno.OK)
            return Errno.OK;
        if (last[0] == 0)
            return Append(task.Mm, program.ArgumentStart, program.ArgumentEnd, text);
        int from = text.Length;
        Append(task.Mm, program.ArgumentStart, Math.Max(program.EnvironmentEnd, program.ArgumentEnd), text);
        for (int i = from; i < text.Length; i++)
        {
            if (text[i] != '\0')
                continue;
            text.Length = i + 1;
            break;
        }
        return Errno.OK;
    }

    public static Errno Environment(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        if (!ProcAccess.IsAllowed(in reader, task))
            return Errno.EACCES;
        if (task.HasEnded)
            return Errno.OK;
        ProgramArea program = task.Mm.Program;
        return Append(task.Mm, program.EnvironmentStart, program.EnvironmentEnd, text);
    }

    /// <summary>The auxiliary vector: 64-bit words as they are, the ending AT_NULL included.</summary>
    public static Errno Auxv(Task task, bool isProcess, in Caller reader, StringBuilder text)
    {
        if (!ProcAccess.IsAllowed(in reader, task))
            return Errno.EACCES;
        if (task.HasEnded)
            return Errno.OK;
        foreach (ulong word in task.Mm.Program.AuxiliaryVector)
        {
            for (int shift = 0; shift < 64; shift += 8)
                text.Append((char)(byte)(word >> shift));
        }
        return Errno.OK;
    }

    private static Errno Append(MemoryManager mm, ulong start, ulong end, StringBuilder text)
    {
        Span<byte> piece = stackalloc byte[1024];
        end = Math.Min(end, start + MostBytes);
        while (start < end)
        {
            // Whole pieces first; at a hole byte by byte would tell no more than a program needs.
            Span<byte> now = piece[..(int)Math.Min((ulong)piece.Length, end - start)];
            if (mm.CopyIn(new UserPtr(start), now) != Errno.OK)
                break;
            foreach (byte b in now)
                text.Append((char)b);
            start += (ulong)now.Length;
        }
        return Errno.OK;
    }
}
