using System.Text;
using Moat.Kernel.Loader;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    private MemoryManager CreateMemory() => new(this);

    // Finds the program, loads it into the task's empty memory, makes the task's first guest thread.
    private static Errno LoadFirst(Task task, SentryOptions options)
    {
        Caller caller = new(task);
        Errno error = ExecutableFile.Find(in caller, Encoding.Latin1.GetString(options.Program), SearchPath(options), out FileDescription? file, out string path);
        if (error != Errno.OK)
            return error;
        LoadRequest request = new()
        {
            Memory = task.Mm,
            File = file!,
            Path = path,
            Open = (string name, out FileDescription? interpreter) => ExecutableFile.Open(new Caller(task), name, out interpreter),
            Arguments = options.Arguments,
            Environment = options.Environment,
            Credentials = task.Credentials,
            StackLimit = task.Group.Limits.Get(Resource.RLIMIT_STACK).Current,
        };
        SysResult result = ProgramLoader.Load(request, out LoadedProgram? program);
        file!.DropReference();
        if (result.IsError)
            return result.Error;
        task.Begin(program!);
        return Errno.OK;
    }

    private static string SearchPath(SentryOptions options)
    {
        foreach (byte[] variable in options.Environment)
        {
            if (variable.AsSpan().StartsWith("PATH="u8))
                return Encoding.Latin1.GetString(variable.AsSpan(5));
        }
        return "/usr/local/bin:/usr/bin:/bin";
    }
}
