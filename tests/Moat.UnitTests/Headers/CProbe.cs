using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Moat.UnitTests.Headers;

/// <summary>Asks the C compiler and the system's headers: one small program, compiled and run.</summary>
internal static class CProbe
{
    private const string Head = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <poll.h>
        #include <sched.h>
        #include <signal.h>
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/epoll.h>
        #include <sys/resource.h>
        #include <sys/stat.h>
        #include <sys/statfs.h>
        #include <sys/syscall.h>
        #include <sys/uio.h>
        #include <linux/falloc.h>
        #include <linux/fs.h>
        #include <linux/io_uring.h>
        #include <linux/openat2.h>
        #include <linux/sched.h>
        #include <linux/time_types.h>
        int main(void)
        {

        """;

    /// <summary>The values of C integer expressions by name. Those whose macro <paramref name="guarded"/> is not defined are left out.</summary>
    public static Dictionary<string, long> Evaluate(IEnumerable<(string Name, string Expression, bool Guarded)> expressions)
    {
        StringBuilder source = new(Head);
        foreach ((string name, string expression, bool guarded) in expressions)
        {
            string print = $"printf(\"%s %lld\\n\", \"{name}\", (long long)({expression}));\n";
            source.Append(guarded ? $"#ifdef {expression}\n{print}#endif\n" : print);
        }
        source.Append("return 0;\n}\n");
        string directory = Directory.CreateTempSubdirectory("moat-abi").FullName;
        try
        {
            string file = Path.Combine(directory, "probe.c"), program = Path.Combine(directory, "probe");
            File.WriteAllText(file, source.ToString());
            Run("gcc", "-w", "-o", program, file);
            return Run(program).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
                .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string Run(string command, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        string output = process.StandardOutput.ReadToEnd();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Xunit.Assert.True(process.ExitCode == 0, $"{command}: {errors}");
        return output;
    }
}
