using System.Runtime.InteropServices;
using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.Syscalls;

/// <summary>struct timeval.</summary>
internal struct Timeval
{
    public long Seconds, Microseconds;
}

/// <summary>The last argument of pselect6.</summary>
internal struct SizedMask
{
    public ulong Mask, Size;
}

/// <summary>select(2) and pselect6.</summary>
internal static class SelectSyscalls
{
    /// <summary>Bits beyond the table are ignored and not EBADF; a table never counts for less than a shell's child has.</summary>
    private const int SmallestTable = 256;

    private const PollEvents In = PollEvents.POLLRDNORM | PollEvents.POLLRDBAND | PollEvents.POLLIN | PollEvents.POLLHUP | PollEvents.POLLERR;
    private const PollEvents Out = PollEvents.POLLWRBAND | PollEvents.POLLWRNORM | PollEvents.POLLOUT | PollEvents.POLLERR;
    private const PollEvents Except = PollEvents.POLLPRI;

    /// <summary>select(2). The timeout is updated to what is left, as Linux does it.</summary>
    [Syscall(23, "select", Support.Full)]
    public static SysResult Select(Task task, int n, UserPtr<ulong> read, UserPtr<ulong> write, UserPtr<ulong> except, UserPtr<Timeval> timeout)
    {
        long deadline = Task.Forever;
        if (!timeout.IsNull)
        {
            Errno error = task.Mm.Read(timeout, out Timeval tv);
            if (error != Errno.OK)
                return error;
            if (tv.Seconds < 0 || tv.Microseconds < 0)
                return Errno.EINVAL;
            Timespec time = new() { Seconds = tv.Seconds + (tv.Microseconds / 1_000_000), Nanoseconds = tv.Microseconds % 1_000_000 * 1000 };
            if (!HostClock.IsValid(in time))
                return Errno.EINVAL;
            long nanoseconds = HostClock.ToNanoseconds(in time);
            deadline = nanoseconds == 0 ? 0 : Math.Min(HostClock.After(nanoseconds), Task.Forever - 1);
        }
        SysResult ready = SelectUntil(task, n, read, write, except, deadline);
        if (ready.Error == Errno.EINTR)
            ready = Errno.ERESTARTNOHAND;
        if (deadline is Task.Forever or 0)
            return ready;
        long left = Math.Max(0, deadline - HostClock.Now);
        Timeval rest = new() { Seconds = left / 1_000_000_000, Microseconds = left % 1_000_000_000 / 1000 };
        // A timeout that cannot be written back cannot be restarted with; the result itself stands.
        return task.Mm.Write(timeout, rest) != Errno.OK && ready.Error == Errno.ERESTARTNOHAND ? Errno.EINTR : ready;
    }

    /// <summary>pselect6: pselect(2) with a pointer to the mask and its size as the last argument.</summary>
    [Syscall(270, "pselect6", Support.Full)]
    public static SysResult Pselect6(Task task, int n, UserPtr<ulong> read, UserPtr<ulong> write, UserPtr<ulong> except, UserPtr<Timespec> timeout, UserPtr<SizedMask> mask)
    {
        SizedMask sized = default;
        if (!mask.IsNull && task.Mm.Read(mask, out sized) != Errno.OK)
            return Errno.EFAULT;
        Errno error = PollSyscalls.ReadDeadline(task, timeout, out long deadline);
        if (error == Errno.OK)
            error = PollSyscalls.SetMask(task, new UserPtr<ulong>(sized.Mask), (nuint)sized.Size);
        if (error != Errno.OK)
            return error;
        SysResult ready = SelectUntil(task, n, read, write, except, deadline);
        if (ready.Error == Errno.EINTR)
            ready = Errno.ERESTARTNOHAND;
        return PollSyscalls.WriteRemaining(task, timeout, deadline, ready);
    }

    /// <summary>
    /// The core of both. EBADF: a bit names no open descriptor; EINTR: interrupted with nothing ready; EINVAL: negative; EFAULT.
    /// </summary>
    private static SysResult SelectUntil(Task task, int n, UserPtr<ulong> read, UserPtr<ulong> write, UserPtr<ulong> except, long deadline)
    {
        if (n < 0)
            return Errno.EINVAL;
        n = Math.Min(n, Math.Max(task.Files.Capacity, SmallestTable));
        int words = (n + 63) / 64;
        Span<ulong> bits = MemoryMarshal.Cast<byte, ulong>(task.PollBytes(words * 3 * sizeof(ulong)));
        Errno error = ReadSet(task, read, bits[..words]);
        if (error == Errno.OK)
            error = ReadSet(task, write, bits.Slice(words, words));
        if (error == Errno.OK)
            error = ReadSet(task, except, bits.Slice(words * 2, words));
        if (error != Errno.OK)
            return error;
        if (n % 64 != 0)
        {
            // Bits beyond n in the last word are not asked for, and come back clear.
            for (int i = 1; i <= 3; i++)
                bits[(words * i) - 1] &= (1UL << (n % 64)) - 1;
        }
        PollSet set = task.PollSet;
        for (int fd = 0; fd < n && error == Errno.OK; fd++)
        {
            PollEvents wanted = Wanted(bits, words, fd);
            if (wanted != PollEvents.None)
                error = set.Add(fd, wanted);
        }
        SysResult ready = error != Errno.OK ? error : set.Wait(deadline);
        if (!ready.IsError)
        {
            ready = Collect(set, bits, words, n);
            error = WriteSet(task, read, bits[..words]);
            if (error == Errno.OK)
                error = WriteSet(task, write, bits.Slice(words, words));
            if (error == Errno.OK)
                error = WriteSet(task, except, bits.Slice(words * 2, words));
            if (error != Errno.OK)
                ready = error;
        }
        set.Clear();
        return ready;
    }

    private static PollEvents Wanted(Span<ulong> bits, int words, int fd)
    {
        int word = fd / 64;
        ulong bit = 1UL << (fd % 64);
        PollEvents wanted = (bits[word] & bit) != 0 ? In : PollEvents.None;
        if ((bits[words + word] & bit) != 0)
            wanted |= Out;
        if ((bits[(words * 2) + word] & bit) != 0)
            wanted |= Except;
        return wanted;
    }

    /// <summary>Leaves only the bits of what is ready; returns how many.</summary>
    private static int Collect(PollSet set, Span<ulong> bits, int words, int n)
    {
        int count = 0, index = 0;
        for (int fd = 0; fd < n; fd++)
        {
            if (Wanted(bits, words, fd) == PollEvents.None)
                continue;
            PollEvents ready = set.Ready(index++);
            count += Keep(ref bits[fd / 64], fd, (ready & In) != 0);
            count += Keep(ref bits[words + (fd / 64)], fd, (ready & Out) != 0);
            count += Keep(ref bits[(words * 2) + (fd / 64)], fd, (ready & Except) != 0);
        }
        return count;
    }

    private static int Keep(ref ulong word, int fd, bool ready)
    {
        ulong bit = 1UL << (fd % 64);
        if ((word & bit) == 0)
            return 0;
        if (ready)
            return 1;
        word &= ~bit;
        return 0;
    }

    private static Errno ReadSet(Task task, UserPtr<ulong> address, Span<ulong> bits)
    {
        if (!address.IsNull)
            return task.Mm.CopyIn(address, MemoryMarshal.AsBytes(bits));
        bits.Clear();
        return Errno.OK;
    }

    private static Errno WriteSet(Task task, UserPtr<ulong> address, ReadOnlySpan<ulong> bits)
        => address.IsNull ? Errno.OK : task.Mm.CopyOut(address, MemoryMarshal.AsBytes(bits));
}
