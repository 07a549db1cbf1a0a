using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Signals;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Events;

/// <summary>struct signalfd_siginfo (signalfd(2)), 128 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal struct SignalFdInfo
{
    public uint Signo;
    public int ErrorNumber, Code;
    public uint Pid, Uid;
    public int Fd;
    public uint TimerId, Band, Overrun, TrapNumber;
    public int Status, Int;
    public ulong Pointer, UserTime, SystemTime, Address;
    public ushort AddressLsb, Pad;
    public int Syscall;
    public ulong CallAddress;
    public uint Arch;
}

/// <summary>
/// Pending signals as a file (signalfd(2)): those of the task that reads or polls, whoever made it. Where no task asks
/// (a worker), those of its maker.
/// </summary>
internal sealed class SignalFd : AnonymousFile
{
    private readonly Task _maker;
    private ulong _mask;

    public SignalFd(Task maker, ulong mask, OpenFlags flags)
        : base(OpenFlags.O_RDWR | flags, "[signalfd]")
    {
        _maker = maker;
        _mask = mask & ~SignalActions.Unblockable;
    }

    private Task Reader => Task.Current ?? _maker;

    public override WaitQueue Waiters => Reader.Group.SignalWaiters;

    /// <summary>Changes the set of signals.</summary>
    public void SetMask(ulong mask)
    {
        Volatile.Write(ref _mask, mask & ~SignalActions.Unblockable);
        Waiters.Wake(PollEvents.POLLIN);
    }

    /// <inheritdoc/>
    public override bool CanTransfer(bool write) => !write;

    public override PollEvents Poll()
        => Reader.HasPending(Volatile.Read(ref _mask)) ? PollEvents.POLLIN : PollEvents.None;

    /// <summary>As many pending signals as there is room for. EINVAL for less than one, EAGAIN.</summary>
    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        const int Size = 128;
        ulong room = to.Remaining / (ulong)Size;
        if (room == 0)
            return Errno.EINVAL;
        long done = 0;
        Task reader = Reader;
        while (room-- > 0 && reader.Dequeue(Volatile.Read(ref _mask), out SigInfo info))
        {
            Convert(in info, out SignalFdInfo record);
            if (to.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<SignalFdInfo>(in record))) != Size)
                return done > 0 ? done : Errno.EFAULT;
            done += Size;
        }
        return done > 0 ? done : Errno.EAGAIN;
    }

    public override void AppendFdInfo(StringBuilder text)
        => text.Append(CultureInfo.InvariantCulture, $"sigmask:\t{Volatile.Read(ref _mask):x16}\n");

    /// <summary>Which fields a signal has depends on who sent it (sigaction(2), si_code).</summary>
    private static void Convert(in SigInfo info, out SignalFdInfo record)
    {
        record = new SignalFdInfo { Signo = (uint)info.Signo, ErrorNumber = info.ErrorNumber, Code = info.Code };
        bool fromKernel = info.Code is > 0 and < Signal.SI_KERNEL;
        if (fromKernel && info.Signo is Signal.SIGILL or Signal.SIGFPE or Signal.SIGSEGV or Signal.SIGBUS or Signal.SIGTRAP)
        {
            record.Address = info.Address;
            record.AddressLsb = (ushort)info.AddressLsb;
            return;
        }
        if (info.Code == Signal.SI_TIMER)
        {
            record.TimerId = (uint)info.TimerId;
            record.Overrun = (uint)info.Overrun;
            record.Pointer = info.Value;
            record.Int = (int)info.Value;
            return;
        }
        record.Pid = (uint)info.Pid;
        record.Uid = info.Uid;
        if (fromKernel && info.Signo == Signal.SIGCHLD)
        {
            record.Status = info.Status;
            record.UserTime = (ulong)info.UserTime;
            record.SystemTime = (ulong)info.SystemTime;
        }
        else if (info.Code < 0)
        {
            record.Pointer = info.Value;
            record.Int = (int)info.Value;
        }
    }
}
