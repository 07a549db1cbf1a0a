using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    private volatile bool _inGuest;
    private volatile bool _exitRequested;
    private int _exitStatus;

    /// <summary>
    /// What a call returns whose result is already in the registers: rt_sigreturn(2), execve(2). Never seen by guests.
    /// </summary>
    public static SysResult RegistersAreSet => new(-600);

    /// <summary>Ends this thread when the call being served returns (exit(2)). <paramref name="status"/> as wait(2) tells.</summary>
    public void RequestExit(int status)
    {
        _exitStatus = status;
        _exitRequested = true;
        _attention = true;
    }

    /// <summary>Ends this thread because another one of the process replaces the program. Under the signal lock.</summary>
    internal void EndForExec()
    {
        _exitRequested = true;
        Interrupt();
    }

    /// <summary>Runs the guest thread to its end, on the sentry thread that belongs to it.</summary>
    internal void Run()
    {
        s_current = this;
        try
        {
            BeginTimes();
            BeforeFirstRun();
            BeginIoUring();
            RunGuest();
        }
#pragma warning disable CA1031 // Whatever a handler throws ends this guest with a report, and nothing else.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _inGuest = false;
            Sentry.ReportFailure(this, e);
            Group.Fail();
        }
        try
        {
            TraceExit();
            Exit();
        }
#pragma warning disable CA1031
        catch (Exception e)
#pragma warning restore CA1031
        {
            Sentry.ReportFailure(this, e);
            Group.Fail();
        }
        finally
        {
            s_current = null;
            Finish();
        }
    }

    private void RunGuest()
    {
        lock (Group.SignalLock)
            Recalculate();
        AfterStop(default, inCall: false);
        while (!IsKilled)
        {
            StopReason reason = SwitchToGuest();
            _services++;
            switch (reason)
            {
                case StopReason.Syscall:
                    ServeCall();
                    break;
                case StopReason.Fault:
                    ServeFault();
                    break;
                case StopReason.Interrupted:
                    AfterStop(default, inCall: false);
                    break;
                default:
                    // Killed from outside, or the guest made its stub do what its filter forbids.
                    Group.BeginExit(Signal.SIGKILL);
                    break;
            }
        }
    }

    private StopReason SwitchToGuest()
    {
        TellHostChanges();
        _inGuest = true;
        Interlocked.MemoryBarrier();
        RunIoUringWork();
        StopReason reason = _attention ? StopReason.Interrupted : Thread.Switch();
        _inGuest = false;
        return reason;
    }

    private void ServeCall()
    {
        if (_tracing is null && Thread.TakeHotCall() is not 0 and ulong site)
            Mm.PatchCall(Thread, site);
        GuestCall call = Thread.Call;
        // The number is 32 bits wide; the rest of rax is ignored.
        Args.Number = (int)call.Number;
        Args.A0 = call.A0;
        Args.A1 = call.A1;
        Args.A2 = call.A2;
        Args.A3 = call.A3;
        Args.A4 = call.A4;
        Args.A5 = call.A5;
        while (true)
        {
            SysResult result = IsWatched ? DispatchWatched() : SyscallTable.Dispatch(this, in Args);
            if (!_attention && !_hasSavedMask && !IsInternal(result))
            {
                Thread.SetResult((ulong)result.Value);
                return;
            }
            if (!AfterStop(result, inCall: true))
                return;
        }
    }

    private void ServeFault()
    {
        GuestFault fault = Thread.Fault;
        FaultOutcome outcome = Mm.HandleFault(in fault);
        _faults++;
        if (!outcome.Resume)
        {
            if (_tracing is not null)
                SetTrapFlag(false);
            FaultTrap = fault.TrapNumber;
            FaultError = fault.ErrorCode;
            FaultAddress = fault.Address;
            ForceSignal(new SigInfo { Signo = outcome.Signal, Code = outcome.Code, Address = outcome.Address });
        }
        if (_attention)
            AfterStop(default, inCall: false);
    }

    /// <summary>True for results that are not for the guest: restart codes and <see cref="RegistersAreSet"/>.</summary>
    private static bool IsInternal(SysResult result) => (ulong)(-512 - result.Value) < 200;
}
