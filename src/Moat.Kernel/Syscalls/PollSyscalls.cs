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
    {
        SysResult ready = PollUntil(task, fds, count, Deadline(timeout));
        return ready.Error == Errno.EINTR ? Errno.ERESTARTNOHAND : ready;
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
