namespace Moat.Cli;

/// <summary>
/// Cuts the command line of <c>moat do</c> before PROGRAM: what follows belongs to the program, whatever it looks like, and
/// no parser sees it.
/// </summary>
internal static class ArgumentSplit
{
    /// <summary>
    /// How many of <paramref name="args"/> are Moat's own. <paramref name="takesValue"/>: whether an option consumes the next argument.
    /// Everything is Moat's own unless the command is <c>do</c>.
    /// </summary>
    public static (int Own, int Program) Find(ReadOnlySpan<string> args, Func<string, bool> takesValue)
    {
        bool inDo = false;
        for (int i = 0; i < args.Length; i++)
        {
            string arg = args[i];
            if (arg == "--")
                return inDo ? (i, i + 1) : (args.Length, args.Length);
            if (arg.StartsWith('-') && arg.Length > 1)
            {
                if (!arg.Contains('=') && takesValue(arg))
                    i++;
                continue;
            }
            if (inDo)
                return (i, i);
            if (arg != "do")
                break;
            inDo = true;
        }
        return (args.Length, args.Length);
    }
}
