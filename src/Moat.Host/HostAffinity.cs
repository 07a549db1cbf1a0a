using System.Runtime.InteropServices;

namespace Moat.Host;

/// <summary>On which processors threads may run (man 2 sched_setaffinity). A new thread inherits its maker's.</summary>
public static unsafe class HostAffinity
{
    private const int SYS_sched_setaffinity = 203, SYS_sched_getaffinity = 204, SYS_getcpu = 309, Bytes = 128;

    // SAFETY: allocated once and never freed.
    private static readonly ulong* s_all = (ulong*)NativeMemory.AlignedAlloc(Bytes, 64);
    private static readonly int s_size;

    static HostAffinity()
    {
        NativeMemory.Clear(s_all, Bytes);
        // SAFETY: the kernel writes at most so many bytes.
        s_size = Math.Max(0, (int)HostSyscall.Call(SYS_sched_getaffinity, 0, Bytes, (long)s_all));
    }

    /// <summary>Lets a thread run on the processors of a mask, at most 128 bytes. Returns 0 or -errno.</summary>
    public static int Restrict(int tid, ReadOnlySpan<byte> mask)
    {
        fixed (byte* p = mask)
        {
            // SAFETY: the kernel reads so many bytes.
            return (int)HostSyscall.CallQuick(SYS_sched_setaffinity, tid, mask.Length, (long)p);
        }
    }

    /// <summary>The processors on which Moat may run, as it was at its start: a bit each, as many bytes as the kernel's own masks have.</summary>
    public static ReadOnlySpan<byte> Ours => new(s_all, s_size);

    /// <summary>Processors that are told apart.</summary>
    public const int MaxCores = Bytes * 8;

    /// <summary>The processor that the caller runs on, now; 0 when the number is beyond <see cref="MaxCores"/>.</summary>
    public static int Current
    {
        get
        {
            uint cpu;
            // SAFETY: the kernel writes one word.
            return HostSyscall.CallQuick(SYS_getcpu, (long)&cpu) == 0 && cpu < MaxCores ? (int)cpu : 0;
        }
    }

    /// <summary>True when Moat may run there, as it was at its start.</summary>
    public static bool IsOurs(int core) => (s_all[core / 64] >> (core % 64) & 1) != 0;

    /// <summary>Lets a thread run on one processor only. <paramref name="tid"/> 0: the caller. Returns 0 or -errno.</summary>
    public static int Pin(int tid, int core)
    {
        ulong* mask = stackalloc ulong[Bytes / sizeof(ulong)];
        new Span<ulong>(mask, Bytes / sizeof(ulong)).Clear();
        mask[core / 64] = 1UL << (core % 64);
        return (int)HostSyscall.CallQuick(SYS_sched_setaffinity, tid, Bytes, (long)mask);
    }

    /// <summary>Moves another thread off the caller's processor, and lets it run wherever Moat may from then on. Returns 0 or -errno.</summary>
    public static int SendAway(int tid)
    {
        ulong* mask = stackalloc ulong[Bytes / sizeof(ulong)];
        new Span<ulong>(s_all, Bytes / sizeof(ulong)).CopyTo(new Span<ulong>(mask, Bytes / sizeof(ulong)));
        int core = Current;
        mask[core / 64] &= ~(1UL << (core % 64));
        int result = (int)HostSyscall.CallQuick(SYS_sched_setaffinity, tid, Bytes, (long)mask);
        return result < 0 ? result : Unpin(tid);
    }

    /// <summary>Lets a thread run wherever Moat may. <paramref name="tid"/> 0: the caller. Returns 0 or -errno.</summary>
    public static int Unpin(int tid) => (int)HostSyscall.CallQuick(SYS_sched_setaffinity, tid, Bytes, (long)s_all);
}
