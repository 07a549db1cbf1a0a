using System.CommandLine;
using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.IoUring;

namespace Moat.Cli;

/// <summary><c>moat uring top</c>: the rings of this user's running sandboxes.</summary>
internal sealed class TopCommand : Command
{
    // The other screen of a terminal, without its cursor; and back.
    private const string Enter = "\e[?1049h\e[?25l", Leave = "\e[?25h\e[?1049l", Home = "\e[H", ClearLine = "\e[K", ClearRest = "\e[J";

    private readonly Option<bool> _once = new("--once") { Description = "Say what happens in one interval, and end" };

    private readonly Option<double> _interval = new("--interval")
    {
        Description = "Time between looks; with --once, 0 says what happened since each sandbox began",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 1,
    };

    private readonly Option<string> _format = new("--format") { Description = "How to print it", HelpName = "table|json", DefaultValueFactory = _ => "table" };

    public TopCommand()
        : base("top", "Show the rings of running sandboxes: depth, rate, how requests are served, latencies; q ends it")
    {
        _format.AcceptOnlyFromAmong("table", "json");
        Options.Add(_once);
        Options.Add(_interval);
        Options.Add(_format);
        SetAction(Run);
    }

    private int Run(ParseResult parsed)
    {
        const double Longest = 86400;
        double seconds = parsed.GetValue(_interval);
        bool once = parsed.GetValue(_once), json = parsed.GetValue(_format) == "json";
        if (!(seconds >= 0 && seconds <= Longest) || (seconds == 0 && !once))
            return Message.Usage($"--interval: {(seconds == 0 ? "0 goes with --once alone" : "not a number of seconds up to a day")}", "moat uring top --help");
        TimeSpan interval = TimeSpan.FromSeconds(seconds);
        using UringWatch watch = new();
        if (!once && !json && !Console.IsOutputRedirected)
            Live(watch, interval);
        else
            Print(watch, interval, once, json);
        return ExitCode.Ok;
    }

    private static void Print(UringWatch watch, TimeSpan interval, bool once, bool json)
    {
        List<MonitorSnapshot> before = interval == TimeSpan.Zero ? [] : watch.Ask();
        do
        {
            Thread.Sleep(interval);
            List<MonitorSnapshot> now = watch.Ask();
            Console.Out.Write(json ? TopReport.Json(now, before) : TopReport.Text(now, before));
            if (!once && !json)
                Console.Out.WriteLine();
            Console.Out.Flush();
            before = now;
        }
        while (!once);
    }

    private static void Live(UringWatch watch, TimeSpan interval)
    {
        using ManualResetEventSlim end = new();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        if (!Console.IsInputRedirected)
            HostThread.Create("moat-keys", ReadKeys).Start();
        Console.Out.Write(Enter);
        List<MonitorSnapshot> before = [];
        do
        {
            List<MonitorSnapshot> now = watch.Ask();
            string[] lines = TopReport.Text(now, before, Math.Max(Console.WindowWidth - 1, 20)).Split('\n');
            int room = Math.Max(Console.WindowHeight - 1, 1);
            Console.Out.Write(Home + string.Join(ClearLine + "\n", lines.Take(room)) + ClearLine + ClearRest);
            Console.Out.Flush();
            before = now;
        }
        while (!end.Wait(interval));
        Console.Out.Write(Leave);
        Console.Out.Flush();

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            end.Set();
        }

        void ReadKeys()
        {
            while (Console.ReadKey(intercept: true).KeyChar is not ('q' or 'Q'))
                continue;
            end.Set();
        }
    }
}
