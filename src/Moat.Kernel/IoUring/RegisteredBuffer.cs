using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Platform;

namespace Moat.Kernel.IoUring;

/// <summary>Guest memory registered with IORING_REGISTER_BUFFERS, pinned until the last ring that has it gives it back.</summary>
internal sealed class RegisteredBuffer
{
    /// <summary>
    /// Most parts of a request, and pages that they cover: what Linux keeps of either has to fit one allocation of 4 MiB.
    /// </summary>
    public const uint MostParts = (4u << 20) / 16;

    private const ulong MaxLength = 1 << 30;

    private readonly PinnedRange _pin = new();
    private readonly ulong _address, _length;
    private int _references = 1;

    private readonly MemoryManager _mm;
    private LockedAccount? _account;

    private RegisteredBuffer(MemoryManager mm, ulong address, ulong length)
    {
        _mm = mm;
        _address = address;
        _length = length;
    }

    /// <summary>The pages that it touches.</summary>
    private ulong PinnedBytes => MemoryManager.PageUp((_address & (MemoryManager.PageSize - 1)) + _length);

    /// <summary>
    /// Pins a range; an empty one at 0 is no buffer (null). EFAULT for what is not writable, a file's own pages, empty or larger than 1 GiB,
    /// EINVAL for a negative length, EOVERFLOW beyond the address space, ENOMEM beyond RLIMIT_MEMLOCK when it counts for an account.
    /// </summary>
    public static Errno Create(Task task, IoVec range, LockedAccount? account, out RegisteredBuffer? buffer)
    {
        buffer = null;
        if ((long)range.Length < 0)
            return Errno.EINVAL;
        if (range.Base == 0)
            return range.Length != 0 ? Errno.EFAULT : Errno.OK;
        if (range.Base > ulong.MaxValue - MemoryManager.PageUp(range.Length))
            return Errno.EOVERFLOW;
        if (range.Length is 0 or > MaxLength)
            return Errno.EFAULT;
        RegisteredBuffer made = new(task.Mm, range.Base, range.Length);
        Errno e = task.Mm.Pin(new UserPtr(range.Base), range.Length, MapAccess.Write, made._pin);
        if (e == Errno.OK && task.Mm.IsWrittenBack(range.Base, range.Base + range.Length))
        {
            made._pin.Dispose();
            e = Errno.EFAULT;
        }
        if (e != Errno.OK)
            return e;
        e = account?.Charge(task, made.PinnedBytes) ?? Errno.OK;
        if (e != Errno.OK)
        {
            made._pin.Dispose();
            return e;
        }
        made._account = account;
        task.Mm.CountPinned((long)made.PinnedBytes);
        buffer = made;
        return Errno.OK;
    }

    /// <summary>Appends the host spans of a guest range that lies within the buffer. EFAULT when it does not.</summary>
    public Errno AddTo(IoVector into, ulong address, ulong length)
    {
        ulong offset = address - _address;
        if (offset > _length || length > _length - offset)
            return Errno.EFAULT;
        _pin.AddTo(into, offset, length);
        return Errno.OK;
    }

    /// <summary>Looks at the parts of a request, wherever they are. EFAULT: an empty one; ENOMEM: more pages than Linux can keep track of.</summary>
    public static Errno CheckParts(ReadOnlySpan<IoVec> parts)
    {
        ulong pages = 0;
        bool anyEmpty = false;
        foreach (IoVec part in parts)
        {
            anyEmpty |= part.Length == 0;
            pages += (part.Length / MemoryManager.PageSize) + 2;
        }
        return pages > MostParts ? Errno.ENOMEM : anyEmpty ? Errno.EFAULT : Errno.OK;
    }

    /// <summary>Guest address of the first byte.</summary>
    public ulong Address => _address;

    /// <summary>Bytes.</summary>
    public ulong Length => _length;

    /// <summary>Another ring has it too.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>A ring gives it back; the last one unpins.</summary>
    public void DropReference()
    {
        if (Interlocked.Decrement(ref _references) != 0)
            return;
        _pin.Dispose();
        _account?.Uncharge(PinnedBytes);
        _mm.CountPinned(-(long)PinnedBytes);
    }
}
