using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct pollfd (poll(2)).</summary>
internal struct PollFd
{
    public int Fd;
    public ushort Events, Revents;
}

/// <summary>poll(2) and ppoll(2).</summary>
internal static class PollSyscalls
{
    /// <summary>poll(2): <paramref name="timeout"/> in milliseconds, negative for none.</summary>
    [Syscall(7, "poll", Support.Full)]
    public static SysResult Poll(Task task, UserPtr<PollFd> fds, uint count, int timeout)
        => PollOrRestart(task, fds, count, Deadline(timeout));

    /// <summary>ppoll(2). The timeout is updated to what is left, as Linux does it.</summary>
    [Syscall(271, "ppoll", Support.Full)]
    public static SysResult Ppoll(Task task, UserPtr<PollFd> fds, uint count, UserPtr<Timespec> timeout, UserPtr<ulong> mask, nuint maskSize)
    {
        Errno error = ReadDeadline(task, timeout, out long deadline);
        if (error == Errno.OK)
            error = SetMask(task, mask, maskSize);
        if (error != Errno.OK)
            return error;
        SysResult ready = PollUntil(task, fds, count, deadline);
        if (ready.Error == Errno.EINTR)
            ready = Errno.ERESTARTNOHAND;
        return WriteRemaining(task, timeout, deadline, ready);
    }

    /// <summary>poll(2) with a deadline; goes on through restart_syscall(2).</summary>
    public static SysResult PollOrRestart(Task task, UserPtr<PollFd> fds, uint count, long deadline)
    {
        SysResult ready = PollUntil(task, fds, count, deadline);
        return ready.Error == Errno.EINTR ? task.RestartWith(task.PollRestart.Set(fds, count, deadline)) : ready;
    }

    /// <summary>Installs the mask of a call that has one. EINVAL for its size, EFAULT.</summary>
    public static Errno SetMask(Task task, UserPtr<ulong> mask, nuint size)
    {
        if (mask.IsNull)
            return Errno.OK;
        if (size != sizeof(ulong))
            return Errno.EINVAL;
        Errno error = task.Mm.Read(mask, out ulong bits);
        if (error == Errno.OK)
            task.SetTemporaryMask(bits);
        return error;
    }

    /// <summary>A deadline from a relative time in guest memory: none for null, 0 (do not wait) for zero. EFAULT, EINVAL.</summary>
    public static Errno ReadDeadline(Task task, UserPtr<Timespec> timeout, out long deadline)
    {
        deadline = Task.Forever;
        if (timeout.IsNull)
            return Errno.OK;
        Errno error = task.Mm.Read(timeout, out Timespec time);
        if (error != Errno.OK)
            return error;
        if (!HostClock.IsValid(in time))
            return Errno.EINVAL;
        long nanoseconds = HostClock.ToNanoseconds(in time);
        // One short of "none", so that it is written back.
        deadline = nanoseconds == 0 ? 0 : Math.Min(HostClock.After(nanoseconds), Task.Forever - 1);
        return Errno.OK;
    }

    /// <summary>
    /// Writes what is left until a deadline. A timeout that cannot be written cannot be restarted with: EINTR; other results stand.
    /// </summary>
    public static SysResult WriteRemaining(Task task, UserPtr<Timespec> timeout, long deadline, SysResult result)
    {
        if (deadline is Task.Forever or 0)
            return result;
        Timespec left = HostClock.ToTimespec(Math.Max(0, deadline - HostClock.Now));
        return task.Mm.Write(timeout, in left) != Errno.OK && result.Error == Errno.ERESTARTNOHAND ? Errno.EINTR : result;
    }

    /// <summary>A deadline from milliseconds: 0 stays 0 (do not wait), negative never passes.</summary>
    public static long Deadline(int milliseconds) => milliseconds switch
    {
        < 0 => Task.Forever,
        0 => 0,
        _ => HostClock.Now + (milliseconds * 1_000_000L),
    };

    /// <summary>The core of both. EINTR: interrupted with nothing ready; EINVAL beyond RLIMIT_NOFILE; EFAULT.</summary>
    private static SysResult PollUntil(Task task, UserPtr<PollFd> address, uint count, long deadline)
    {
        if (count > (uint)task.Files.Limit)
            return Errno.EINVAL;
        int bytes = (int)count * 8;
        Span<byte> buffer = task.PollBytes(bytes);
        Errno error = task.Mm.CopyIn(address, buffer);
        if (error != Errno.OK)
            return error;
        Span<PollFd> fds = MemoryMarshal.Cast<byte, PollFd>(buffer);
        PollSet set = task.PollSet;
        foreach (ref readonly PollFd fd in fds)
        {
            if (fd.Fd < 0)
                set.AddIgnored();
            else
                set.Add(fd.Fd, (PollEvents)fd.Events);
        }
        SysResult ready = set.Wait(deadline);
        // Only revents is the kernel's to write, and most of it stays as it was.
        for (int i = 0; i < fds.Length && error == Errno.OK; i++)
        {
            ushort revents = (ushort)set.Ready(i);
            if (fds[i].Revents != revents)
                error = task.Mm.CopyOut(new UserPtr(address.Address + ((ulong)i * 8) + 6), MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(in revents)));
        }
        set.Clear();
        return error != Errno.OK ? error : ready;
    }
}
