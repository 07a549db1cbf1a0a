using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Seccomp;

/// <summary>What a filter says of a call (man 2 seccomp). The least, as a signed number, wins.</summary>
internal enum FilterAction : uint
{
    SECCOMP_RET_KILL_PROCESS = 0x80000000,
    SECCOMP_RET_KILL_THREAD = 0,
    SECCOMP_RET_TRAP = 0x00030000,
    SECCOMP_RET_ERRNO = 0x00050000,
    SECCOMP_RET_USER_NOTIF = 0x7fc00000,
    SECCOMP_RET_TRACE = 0x7ff00000,
    SECCOMP_RET_LOG = 0x7ffc0000,
    SECCOMP_RET_ALLOW = 0x7fff0000,
}

/// <summary>
/// The filters of a thread: the newest, and behind it those that were there before. Never changed, so that threads and children share it.
/// </summary>
internal sealed class CallFilter
{
    /// <summary>AUDIT_ARCH_X86_64, the only way to call here.</summary>
    public const uint Architecture = 0xc000003e;

    /// <summary>SECCOMP_RET_DATA: the low half of what a filter returns.</summary>
    public const uint DataMask = 0xffff;

    // MAX_INSNS_PER_PATH; each program that is there already counts as four instructions more.
    private const int MaxPath = 32768, Penalty = 4;

    private readonly CallFilter? _previous;
    private readonly FilterProgram _program;
    private readonly int _path;

    /// <summary>One bit for each number of a call that all filters allow whatever its arguments are.</summary>
    private readonly ulong[] _always;

    private CallFilter(CallFilter? previous, FilterProgram program)
    {
        _previous = previous;
        _program = program;
        _path = program.Cost + Penalty + (previous?._path ?? 0);
        Count = (previous?.Count ?? 0) + 1;
        ReadsPointer = program.ReadsPointer || previous is { ReadsPointer: true };
        _always = new ulong[(SyscallTable.LastKnown / 64) + 1];
        for (int number = 0; number < _always.Length * 64; number++)
        {
            if (previous is not null && !previous.AlwaysAllows(number))
                continue;
            CallData call = new() { Number = number, Architecture = Architecture };
            if (program.Run(in call, out bool onlyNumber) == (uint)FilterAction.SECCOMP_RET_ALLOW && onlyNumber)
                _always[number / 64] |= 1UL << (number % 64);
        }
    }

    /// <summary>How many filters there are (/proc/PID/status).</summary>
    public int Count { get; }

    /// <summary>One of them looks at the instruction pointer.</summary>
    public bool ReadsPointer { get; }

    /// <summary>Puts a program before the filters that are there. Null: together they are too long.</summary>
    public static CallFilter? Add(CallFilter? previous, FilterProgram program)
        => program.Cost + (previous?._path ?? 0) > MaxPath ? null : new CallFilter(previous, program);

    /// <summary>True when nothing but the number matters, and it is allowed.</summary>
    public bool AlwaysAllows(int number)
        => (uint)number < (uint)(_always.Length * 64) && (_always[number / 64] & (1UL << (number % 64))) != 0;

    /// <summary>True when <paramref name="other"/> is this one or was there before it.</summary>
    public bool Extends(CallFilter? other)
    {
        for (CallFilter? f = this; f is not null; f = f._previous)
        {
            if (f == other)
                return true;
        }
        return other is null;
    }

    /// <summary>Asks all filters. The result is the action that wins, with the data of the newest filter that says so.</summary>
    public uint Judge(in CallData call)
    {
        uint result = (uint)FilterAction.SECCOMP_RET_ALLOW;
        for (CallFilter? f = this; f is not null; f = f._previous)
        {
            uint now = f._program.Run(in call, out _);
            if ((int)(now & ~DataMask) < (int)(result & ~DataMask))
                result = now;
        }
        return result;
    }
}
