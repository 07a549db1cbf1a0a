using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using Moat.Host;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;
using Moat.Platform;

namespace Moat.Kernel.Syscalls;

/// <summary>What the system says of itself.</summary>
internal static class SystemSyscalls
{
    private const int FieldSize = 65;

    /// <summary>The release that uname(2) tells: the interface that Moat follows.</summary>
    public const string Release = "6.18.0";

    /// <summary>uname(2)'s version field.</summary>
    public const string Version = "#1 SMP PREEMPT_DYNAMIC Moat";

    /// <summary>uname(2), as the caller's personality wants it.</summary>
    [Syscall(63, "uname", Support.Full)]
    public static SysResult UName(Task task, UserPtr name)
    {
        // Kernels of that time are 2.6 and not more than sixty versions behind.
        bool isOld = (task.Group.Personality & Personalities.UNAME26) != 0;
        bool is32 = (task.Group.Personality & Personalities.PER_MASK) == Personalities.PER_LINUX32;
        Span<byte> bytes = stackalloc byte[6 * FieldSize];
        bytes.Clear();
        "Linux"u8.CopyTo(bytes);
        task.Uts.Node.CopyTo(bytes[FieldSize..]);
        (isOld ? "2.6.78"u8 : s_release).CopyTo(bytes[(2 * FieldSize)..]);
        s_version.CopyTo(bytes[(3 * FieldSize)..]);
        (is32 ? "i686"u8 : "x86_64"u8).CopyTo(bytes[(4 * FieldSize)..]);
        task.Uts.Domain.CopyTo(bytes[(5 * FieldSize)..]);
        return task.Mm.CopyOut(name, bytes);
    }

    private static readonly byte[] s_release = Encoding.Latin1.GetBytes(Release), s_version = Encoding.Latin1.GetBytes(Version);

    /// <summary>sysinfo(2).</summary>
    [Syscall(99, "sysinfo", Support.Full)]
    public static SysResult SysInfo(Task task, UserPtr info)
    {
        Span<ulong> host = stackalloc ulong[14];
        HostSystem.GetSysInfo(host);
        // struct sysinfo: uptime, loads[3], total, free, shared and buffer RAM, swap, processes, high memory, unit.
        Span<byte> bytes = stackalloc byte[112];
        bytes.Clear();
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        host[..8].CopyTo(words);
        ulong limit = task.Sentry.Frames.Limit, used = task.Sentry.Frames.Used;
        if (limit < words[4])
        {
            words[4] = limit;
            words[5] = Math.Min(words[5], limit - Math.Min(used, limit));
            words[6] = words[7] = 0;
        }
        BitConverter.TryWriteBytes(bytes[80..], (ushort)Math.Min(task.Sentry.Tasks.GetGroups().Count, ushort.MaxValue));
        BitConverter.TryWriteBytes(bytes[104..], 1u);
        return task.Mm.CopyOut(info, bytes);
    }

    /// <summary>getrandom(2): always from the host's generator, which never runs dry.</summary>
    [Syscall(318, "getrandom", Support.Full)]
    public static SysResult GetRandom(Task task, UserPtr buffer, nuint length, uint flags)
    {
        const uint GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4;
        if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0
            || (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
            return Errno.EINVAL;
        ulong left = Math.Min((ulong)length, int.MaxValue), done = 0;
        Span<byte> piece = stackalloc byte[512];
        while (left > 0)
        {
            Span<byte> now = piece[..(int)Math.Min(left, (ulong)piece.Length)];
            HostRandom.Fill(now);
            if (task.Mm.CopyOut(buffer + done, now) != Errno.OK)
                return done != 0 ? done : Errno.EFAULT;
            done += (ulong)now.Length;
            left -= (ulong)now.Length;
            if (task.HasDeliverableSignal && left > 0)
                break;
        }
        return done;
    }

    /// <summary>getcpu(2). Guests come here only without a vDSO.</summary>
    [Syscall(309, "getcpu", Support.Partial, Note = "the processor on which the sentry runs, or one of those that the thread may use")]
    public static SysResult GetCpu(Task task, UserPtr<uint> processor, UserPtr<uint> node, UserPtr cache)
    {
        (uint cpu, uint home) = HostSystem.GetCpu();
        if (task.Affinity is { } mask && (cpu / 8 >= mask.Length || (mask[cpu / 8] >> (int)(cpu % 8) & 1) == 0))
        {
            int first = mask.AsSpan().IndexOfAnyExcept((byte)0);
            cpu = (uint)((first * 8) + BitOperations.TrailingZeroCount((uint)mask[first]));
        }
        if (!processor.IsNull && task.Mm.Write(processor, cpu) != Errno.OK)
            return Errno.EFAULT;
        return node.IsNull ? 0 : task.Mm.Write(node, home);
    }

    /// <summary>personality(2).</summary>
    [Syscall(135, "personality", Support.Partial, Note = "READ_IMPLIES_EXEC, UNAME26 and PER_LINUX32's machine name; the others are kept and reported")]
    public static SysResult Personality(Task task, uint persona)
    {
        uint old = task.Group.Personality;
        if (persona != uint.MaxValue)
            task.Group.Personality = persona;
        return old;
    }

    /// <summary>arch_prctl(2).</summary>
    [Syscall(158, "arch_prctl", Support.Partial, Note = "FS, GS, CPUID and XCOMP queries; no CPUID faulting, no AMX")]
    public static SysResult ArchPrctl(Task task, int code, ulong address)
    {
        const int ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004, ARCH_GET_CPUID = 0x1011,
            ARCH_SET_CPUID = 0x1012, ARCH_GET_XCOMP_SUPP = 0x1021, ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023;
        const ulong Amx = 3UL << 17;
        GuestThread thread = task.Thread;
        switch (code)
        {
            case ARCH_SET_FS or ARCH_SET_GS when address >= task.Sentry.Platform.MaxAddress:
                return Errno.EPERM;
            case ARCH_SET_FS:
                thread.FsBase = address;
                return 0;
            case ARCH_SET_GS:
                thread.GsBase = address;
                return 0;
            case ARCH_GET_FS:
                return task.Mm.Write(new UserPtr<ulong>(address), thread.FsBase);
            case ARCH_GET_GS:
                return task.Mm.Write(new UserPtr<ulong>(address), thread.GsBase);
            case ARCH_GET_CPUID:
                return 1;
            case ARCH_SET_CPUID:
                return Errno.ENODEV;
            case ARCH_GET_XCOMP_SUPP or ARCH_GET_XCOMP_PERM:
                return HostSystem.ReadArch(code, out ulong features) < 0
                    ? Errno.EINVAL
                    : task.Mm.Write(new UserPtr<ulong>(address), features & ~Amx);
            case ARCH_REQ_XCOMP_PERM:
                return address >= 64 ? Errno.EINVAL : Errno.EOPNOTSUPP;
            default:
                return Errno.EINVAL;
        }
    }
}
