using System.Runtime.InteropServices;
using System.Text;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.Events;
using Moat.Kernel.FileSystems;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Trace;
using Moat.Kernel.Vfs;
using Moat.Platform.Trap;

namespace Moat.Cli;

/// <summary>One run of a program: makes the sentry, waits for its end, says how it ended.</summary>
internal static class Sandbox
{
    private static readonly (PosixSignal Signal, int Number)[] s_forwarded = [(PosixSignal.SIGTERM, 15), (PosixSignal.SIGHUP, 1)];

    private static readonly (PosixSignal Signal, int Number)[] s_ofTerminal =
    [
        (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGTSTP, 20), (PosixSignal.SIGWINCH, 28),
    ];

    /// <summary>Runs to the end; returns the exit code of <c>moat do</c>.</summary>
    public static int Run(SentryOptions options, bool trace, bool statistics)
    {
        DebugLog.Write("starting " + string.Join(' ', options.Arguments.Select(Encoding.UTF8.GetString)));
        if (trace)
            Tracer.Start(DebugLog.Sink ?? Console.OpenStandardError());
        if (statistics)
            CallStatistics.Start();
        using TrapPlatform platform = new(MemoryFile.Create());
        using UringMonitor? monitor = UringMonitor.Create(options.Arguments);
        using Sentry sentry = new(platform)
        {
            Log = DebugLog.Sink is null ? null : DebugLog.Write,
            Report = static text => Message.Fail(ExitCode.MoatFailure, text),
            Network = options.Network,
            Uring = options.Uring,
            UringMonitor = monitor,
            UringTrace = trace ? new UringTracer() : null,
        };
        Errno error = VfsRoot.Build(options, sentry.Frames, out MountTable? mounts, out HostHandleCache handles, out string problem);
        if (error == Errno.OK)
            error = GeneratedFileSystems.Mount(sentry, mounts!, out problem);
        if (error == Errno.OK)
            error = VfsRoot.MountVolumes(options, mounts!, handles, out problem);
        if (error != Errno.OK)
            return Message.Fail(ExitCode.MoatFailure, $"cannot use {problem}: {ErrnoText.Of(error)} ({error})");
        FsContext fs = new(mounts!.Root.RootPath);
        error = EnterDirectory(fs, options.WorkingDirectory);
        if (error != Errno.OK && !options.WorkingDirectoryIsDefault)
            return Message.Fail(ExitCode.MoatFailure, $"cannot start in {options.WorkingDirectory}: {ErrnoText.Of(error)} ({error})");
        FdTable files = new();
        StandardStreams.Install(sentry, files);
        error = sentry.Start(options, HostUser(), fs, files, ResourceLimits.OfCaller());
        if (error != Errno.OK)
            return CodeOf(options, new SentryExit(0, 0, error));
        List<PosixSignalRegistration> forwarding = [.. s_forwarded.Select(s => PosixSignalRegistration.Create(s.Signal, context =>
        {
            context.Cancel = true;
            sentry.SendSignal(s.Number);
        }))];
        // What nobody in the sandbox can stop and continue stops with the sandbox.
        forwarding.AddRange(s_ofTerminal.Select(s => PosixSignalRegistration.Create(s.Signal, context
            => context.Cancel = !sentry.SendTerminalSignal(s.Number))));
        using Watchdog? watchdog = options.Watchdog == WatchdogMode.None ? null
            : new Watchdog(sentry, options.Watchdog == WatchdogMode.Kill ? EndAtOnce : static () => { });
        SentryExit exit = sentry.WaitForExit();
        forwarding.ForEach(f => f.Dispose());
        DebugLog.Write($"ended: {exit}");
        if (statistics)
            StatisticsReport.Write(Console.Error, sentry.GetUringStatistics(), options.Uring.Faults);
        return CodeOf(options, exit);
    }

    /// <summary>Ends Moat without waiting for what may never end; the guests die with it.</summary>
    private static void EndAtOnce()
    {
        Console.Error.Flush();
        HostSyscall.Call(231 /* exit_group */, ExitCode.MoatFailure);
    }

    /// <summary>The exit code for an end; says why when the program never began.</summary>
    internal static int CodeOf(SentryOptions options, SentryExit exit)
    {
        if (exit.StartError == Errno.OK)
            return exit.Signal != 0 ? ExitCode.SignalBase + exit.Signal : exit.ExitCode;
        int code = exit.StartError switch
        {
            Errno.ENOENT => ExitCode.NotFound,
            Errno.ENOMEM or Errno.EAGAIN or Errno.ENOSYS => ExitCode.MoatFailure,
            _ => ExitCode.NotExecutable,
        };
        return Message.Fail(code, $"cannot run {Encoding.UTF8.GetString(options.Program)}: {ErrnoText.Of(exit.StartError)} ({exit.StartError})");
    }

    /// <summary>The user who runs Moat is the user in the sandbox.</summary>
    private static Credentials HostUser()
    {
        uint uid = (uint)HostSyscall.Call(102 /* getuid */), gid = (uint)HostSyscall.Call(104 /* getgid */);
        return new Credentials(uid, gid, HostProcess.Groups());
    }

    private static Errno EnterDirectory(FsContext fs, string path)
    {
        Caller caller = new(new Credentials(), fs, null, null);
        Errno error = PathOperations.Walk(
            in caller, Fd.AT_FDCWD, VfsRoot.Bytes(path), LookupFlags.Follow | LookupFlags.Directory, out VfsPath place);
        if (error == Errno.OK)
            fs.Current = place;
        return error;
    }
}
