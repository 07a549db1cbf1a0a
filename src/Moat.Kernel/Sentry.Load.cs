using System.Text;
using Moat.Kernel.Loader;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel;

internal sealed partial class Sentry
{
    /// <summary>Finds and loads the first program, for a process that is not known yet.</summary>
    private Errno LoadFirst(SentryOptions options, in Caller caller, ResourceLimits limits, out ProgramImage? image)
    {
        image = null;
        Errno error = ExecutableFile.Find(
            in caller, Encoding.Latin1.GetString(options.Program), SearchPath(options), out FileDescription? file, out string path);
        if (error != Errno.OK)
            return error;
        error = ProgramImage.Load(this, in caller, file!, path, options.Arguments, options.Environment, limits, out image, out _);
        file!.DropReference();
        return error;
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
