using System.Globalization;

namespace Moat.Kernel.IoUring;

/// <summary>What can be done to a request (--uring-inject).</summary>
[Flags]
internal enum FaultKinds : byte
{
    None = 0,

    /// <summary>A transfer moves less than was asked for.</summary>
    Short = 1 << 0,

    /// <summary>It fails with EAGAIN and is not attempted.</summary>
    Again = 1 << 1,

    /// <summary>It fails with EINTR and is not attempted.</summary>
    Interrupted = 1 << 2,

    /// <summary>It is completed later.</summary>
    Delay = 1 << 3,

    /// <summary>Others that were behind it complete before it.</summary>
    Reorder = 1 << 4,

    /// <summary>Its CQE finds no room in the ring.</summary>
    Overflow = 1 << 5,

    /// <summary>The transfer has been shortened.</summary>
    Shortened = 1 << 6,

    /// <summary>What changes a request's result; at most one of them.</summary>
    OfResult = Short | Again | Interrupted,
}

/// <summary>What is planned for one request.</summary>
internal struct Fault
{
    public FaultKinds Kinds;

    /// <summary>A random number that decides how much.</summary>
    public uint Amount;
}

/// <summary>
/// Faults for the requests of a sandbox's rings. What happens to a request follows from the seed, its ring's number and its place in the
/// ring's order of submission, and from nothing else: another run does the same.
/// </summary>
internal sealed class UringFaults
{
    private const ulong Transfers = (1UL << (int)IoUringOp.READ) | (1UL << (int)IoUringOp.WRITE) | (1UL << (int)IoUringOp.READV)
        | (1UL << (int)IoUringOp.WRITEV) | (1UL << (int)IoUringOp.READ_FIXED) | (1UL << (int)IoUringOp.WRITE_FIXED)
        | (1UL << (int)IoUringOp.READV_FIXED) | (1UL << (int)IoUringOp.WRITEV_FIXED) | (1UL << (int)IoUringOp.SEND) | (1UL << (int)IoUringOp.RECV)
        | (1UL << (int)IoUringOp.SENDMSG) | (1UL << (int)IoUringOp.RECVMSG);

    private const ulong MayFailWithAgain = Transfers | (1UL << (int)IoUringOp.READ_MULTISHOT) | (1UL << (int)IoUringOp.SEND_ZC)
        | (1UL << (int)IoUringOp.SENDMSG_ZC) | (1UL << (int)IoUringOp.ACCEPT) | (1UL << (int)IoUringOp.CONNECT)
        | (1UL << (int)IoUringOp.SPLICE) | (1UL << (int)IoUringOp.TEE);

    private const ulong MayBeInterrupted = MayFailWithAgain | (1UL << (int)IoUringOp.FSYNC) | (1UL << (int)IoUringOp.OPENAT)
        | (1UL << (int)IoUringOp.OPENAT2) | (1UL << (int)IoUringOp.FALLOCATE) | (1UL << (int)IoUringOp.FTRUNCATE)
        | (1UL << (int)IoUringOp.EPOLL_WAIT) | (1UL << (int)IoUringOp.FUTEX_WAIT) | (1UL << (int)IoUringOp.FUTEX_WAITV)
        | (1UL << (int)IoUringOp.WAITID);

    /// <summary>Time is what these are about.</summary>
    private const ulong NeverLate = (1UL << (int)IoUringOp.TIMEOUT) | (1UL << (int)IoUringOp.LINK_TIMEOUT);

    private const int Kinds = 6;

    private readonly double[] _parts = new double[Kinds];
    private readonly long[] _counts = new long[Kinds];
    private ulong _operations = ulong.MaxValue;

    private UringFaults()
    {
    }

    /// <summary>Where the random numbers begin.</summary>
    public ulong Seed { get; private set; } = 1;

    /// <summary>How late a delayed completion is, nanoseconds.</summary>
    public long Delay { get; private set; } = 1_000_000;

    /// <summary>
    /// Reads <c>seed=N,short=P%,eagain=P%,eintr=P%,delay=P%[:TIME],reorder=P%,overflow=P%,op=NAME[+NAME]...</c>, each part once, in any order. Null, or
    /// what is wrong with it.
    /// </summary>
    public static string? Read(string text, out UringFaults? faults)
    {
        UringFaults made = new();
        faults = null;
        HashSet<string> seen = [];
        foreach (string part in text.Split(','))
        {
            int equals = part.IndexOf('=');
            string name = equals < 0 ? part : part[..equals], value = equals < 0 ? "" : part[(equals + 1)..];
            if (!made.TrySet(name, value))
                return $"there is no fault {(part.Length == 0 ? "''" : part)}";
            if (!seen.Add(name))
                return $"{name} is said twice";
        }
        if (made.Part(FaultKinds.Short) + made.Part(FaultKinds.Again) + made.Part(FaultKinds.Interrupted) > 1
            || made.Part(FaultKinds.Delay) + made.Part(FaultKinds.Reorder) > 1)
        {
            return "short, eagain and eintr exclude each other, as do delay and reorder: together they are 100% at most";
        }
        faults = made;
        return null;
    }

    /// <summary>A table whose operations do what is planned for each request.</summary>
    public Operation?[] Wrap(Operation?[] table)
        => [.. table.Select(o => o is null || (_operations >> (int)o.Number & 1) == 0 ? o : new FaultyOperation(o, this))];

    /// <summary>What happens to the request at a place in a ring's order.</summary>
    public Fault Plan(IoUringOp op, long ring, uint position)
    {
        ulong state = Mix(Mix(Seed + ((ulong)ring * 0x9E3779B97F4A7C15)) + position);
        FaultKinds kinds = Pick(Unit(state + 1), FaultKinds.Short, FaultKinds.Again, FaultKinds.Interrupted)
            | Pick(Unit(state + 2), FaultKinds.Delay, FaultKinds.Reorder) | Pick(Unit(state + 3), FaultKinds.Overflow);
        return new Fault { Kinds = kinds & PossibleFor(op), Amount = (uint)Mix(state + 4) };
    }

    /// <summary>A fault has taken place. Any thread.</summary>
    public void Count(FaultKinds kind) => Interlocked.Increment(ref _counts[IndexOf(kind)]);

    /// <summary>How often each took place, in words; empty when none did.</summary>
    public string Describe()
    {
        string[] names = ["short", "EAGAIN", "EINTR", "delayed", "reordered", "overflowed"];
        return string.Join(", ", names.Select((n, i) => (Name: n, Count: Interlocked.Read(ref _counts[i]))).Where(c => c.Count != 0)
            .Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Count} {c.Name}")));
    }

    /// <summary>A length shorter than one, in whole units: anything from one unit on. 0: there is none.</summary>
    public static ulong Cut(ulong length, ulong unit, uint random)
    {
        ulong units = (length + unit - 1) / unit;
        return units < 2 ? 0 : unit * (1 + (random % (units - 1)));
    }

    private static int IndexOf(FaultKinds kind) => System.Numerics.BitOperations.TrailingZeroCount((uint)kind);

    private double Part(FaultKinds kind) => _parts[IndexOf(kind)];

    /// <summary>At most one of some kinds: the one into whose part a random number falls.</summary>
    private FaultKinds Pick(double number, params ReadOnlySpan<FaultKinds> kinds)
    {
        foreach (FaultKinds kind in kinds)
        {
            number -= Part(kind);
            if (number < 0)
                return kind;
        }
        return FaultKinds.None;
    }

    private static FaultKinds PossibleFor(IoUringOp op)
    {
        ulong bit = 1UL << (int)op;
        FaultKinds kinds = FaultKinds.Overflow;
        if ((bit & NeverLate) == 0)
            kinds |= FaultKinds.Delay | FaultKinds.Reorder;
        if ((bit & Transfers) != 0)
            kinds |= FaultKinds.Short;
        if ((bit & MayFailWithAgain) != 0)
            kinds |= FaultKinds.Again;
        if ((bit & MayBeInterrupted) != 0)
            kinds |= FaultKinds.Interrupted;
        return kinds;
    }

    private bool TrySet(string name, string value)
    {
        switch (name)
        {
            case "seed":
                bool isSeed = ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed);
                Seed = seed;
                return isSeed;
            case "op":
                return TrySetOperations(value);
            case "delay":
                int colon = value.IndexOf(':');
                return TrySetPart(FaultKinds.Delay, colon < 0 ? value : value[..colon]) && (colon < 0 || TrySetDelay(value[(colon + 1)..]));
            case "short":
                return TrySetPart(FaultKinds.Short, value);
            case "eagain":
                return TrySetPart(FaultKinds.Again, value);
            case "eintr":
                return TrySetPart(FaultKinds.Interrupted, value);
            case "reorder":
                return TrySetPart(FaultKinds.Reorder, value);
            case "overflow":
                return TrySetPart(FaultKinds.Overflow, value);
            default:
                return false;
        }
    }

    private bool TrySetPart(FaultKinds kind, string text)
    {
        if (!text.EndsWith('%') || !double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percent)
            || percent is not (>= 0 and <= 100))
        {
            return false;
        }
        _parts[IndexOf(kind)] = percent / 100;
        return true;
    }

    private bool TrySetDelay(string text)
    {
        const double Longest = 60e9;
        int end = text.AsSpan().IndexOfAnyExcept("0123456789.");
        double unit = (end < 0 ? "" : text[end..]) switch { "us" => 1e3, "ms" => 1e6, "s" => 1e9, _ => 0 };
        if (unit == 0 || !double.TryParse(text.AsSpan(0, end), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            || number * unit > Longest)
        {
            return false;
        }
        Delay = (long)(number * unit);
        return true;
    }

    private bool TrySetOperations(string text)
    {
        _operations = 0;
        foreach (string name in text.Split('+'))
        {
            ulong bits = UringPolicyReader.OperationsOf(name);
            if (bits == 0)
                return false;
            _operations |= bits;
        }
        return true;
    }

    private static double Unit(ulong state) => (Mix(state) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Spreads a number over all 64 bits (the finalizer of SplitMix64).</summary>
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
