using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// A guest address space: the set of its mappings (VMAs) and the one door to guest memory. Guest addresses are hostile:
/// every access is translated, and what is not mapped with the right access is EFAULT.
/// </summary>
/// <remarks>
/// The mappings and what is mapped in the guest change together, under the write side of the access lock; a call that fails leaves
/// both as they were, or the range unmapped. Files are asked (<see cref="IMappable"/>) under that lock, so they may not access guest memory
/// from there.
/// </remarks>
internal sealed partial class MemoryManager
{
    /// <summary>Bytes of a page.</summary>
    public const ulong PageSize = FrameAllocator.PageSize;

    /// <summary>Most mappings (vm.max_map_count).</summary>
    public const int MaxMappings = 65530;

    /// <summary>Bytes kept free below a mapping that grows down (stack_guard_gap).</summary>
    public const ulong StackGuardGap = 256 * PageSize;

    /// <summary>Lowest address that mmap(2) may be told without CAP_SYS_RAWIO, and that is ever chosen (vm.mmap_min_addr).</summary>
    public const ulong MinMapAddress = 65536;

    private static long s_lastId;

    private readonly AccessLock _access = new();
    private readonly VmaSet _vmas = new();
    private readonly List<Vma> _old = [], _new = [];
    private int _users = 1;

    /// <summary>
    /// Makes an empty one that owns <paramref name="space"/>; mappings lie within [min, max), bytes.
    /// </summary>
    public MemoryManager(FrameAllocator frames, AddressSpace space, ulong minAddress, ulong maxAddress)
    {
        Frames = frames;
        Space = space;
        MinAddress = Math.Max(minAddress, MinMapAddress);
        LowestAddress = minAddress;
        MaxAddress = maxAddress;
        SetStackLimit(8 << 20);
        Id = (ulong)Interlocked.Increment(ref s_lastId);
    }

    /// <summary>Makes an empty one that owns <paramref name="space"/>. Over a draft: <see cref="BeReal"/> or <see cref="TakeOver"/> give it an address space.</summary>
    public MemoryManager(Sentry sentry, AddressSpace space)
        : this(sentry.Frames, space, sentry.Platform.MinAddress, sentry.Platform.MaxAddress)
    {
    }

    /// <summary>Unique number, never reused.</summary>
    public ulong Id { get; }

    /// <summary>Where memory comes from.</summary>
    public FrameAllocator Frames { get; }

    /// <summary>The guest side.</summary>
    public AddressSpace Space { get; private set; }

    /// <summary>Lowest address that is ever chosen.</summary>
    public ulong MinAddress { get; }

    /// <summary>Lowest address that can be mapped by naming it.</summary>
    public ulong LowestAddress { get; }

    /// <summary>First address that cannot be mapped any more.</summary>
    public ulong MaxAddress { get; }

    /// <summary>mmap(2) without an address places mappings downwards from here.</summary>
    public ulong MapTop { get; private set; }

    /// <summary>
    /// How far the main stack may grow, bytes (RLIMIT_STACK); mappings made with MAP_GROWSDOWN obey it too.
    /// </summary>
    public ulong StackLimit { get; set; }

    /// <summary>Most bytes of private writable memory but stacks (RLIMIT_DATA).</summary>
    public ulong DataLimit { get; set; } = ulong.MaxValue;

    /// <summary>Most bytes that may be mapped (RLIMIT_AS).</summary>
    public ulong AddressSpaceLimit { get; set; } = ulong.MaxValue;

    /// <summary>Sets <see cref="StackLimit"/> and leaves room for the stack: 128 MiB to 64 GiB. For an empty address space.</summary>
    public void SetStackLimit(ulong bytes)
    {
        StackLimit = bytes;
        MapTop = MaxAddress - PageDown(Math.Clamp(bytes, 128UL << 20, 64UL << 30)) - StackGuardGap;
    }

    /// <summary>Makes a guest thread in this address space; throws HostException when the host refuses.</summary>
    public GuestThread CreateThread() => Space.CreateThread();

    /// <summary>
    /// What was drafted is made in a new address space, which is this one's from here on, and its first thread. Throws HostException when
    /// the host refuses.
    /// </summary>
    public GuestThread BeReal(AddressSpace space)
    {
        using AddressSpace old = Space;
        Space = space;
        if (space.Vdso != old.Vdso)
            throw new HostException("the vDSO has moved");
        return space.CreateThread(((AddressSpaceDraft)old).Changes);
    }

    /// <summary>
    /// What was drafted takes the place of what another memory manager has mapped, whose address space and thread are this one's from here
    /// on. False: the host refuses, and the guest cannot go on.
    /// </summary>
    public bool TakeOver(MemoryManager other, GuestThread thread)
    {
        // Whoever else still looks at the other's memory changes nothing in the guest from here on.
        other._access.EnterWrite();
        (Space, other.Space) = (other.Space, Space);
        bool done = Space.Replace(thread, ((AddressSpaceDraft)other.Space).Changes) >= 0;
        other._access.ExitWrite();
        return done;
    }

    /// <summary>One user more: a task, a worker.</summary>
    public void AddUser() => Interlocked.Increment(ref _users);

    /// <summary>One user more, unless the address space has ended. For those who come from another process.</summary>
    public bool TryAddUser()
    {
        int users = Volatile.Read(ref _users);
        while (users > 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
                return true;
            users = seen;
        }
        return false;
    }

    /// <summary>True when there are no more than <paramref name="users"/>: nobody but the threads of one process.</summary>
    public bool HasOnly(int users) => Volatile.Read(ref _users) <= users;

    /// <summary>Who holds the address space's lock; see <see cref="AccessLock.GetHolders"/>.</summary>
    public int GetLockHolders(List<int> readers) => _access.GetHolders(readers);

    /// <summary>One user less; the last one ends the address space and frees its memory.</summary>
    public void DropUser()
    {
        if (Interlocked.Decrement(ref _users) != 0)
            return;
        AioIfAny?.KillAll();
        _access.EnterWrite();
        Space.Dispose();
        _vmas.Detach(0, ulong.MaxValue, _old);
        DiscardOld();
        _access.ExitWrite();
    }

    /// <summary>Gives back what is behind mappings that the guest no longer has.</summary>
    private void DiscardOld()
    {
        foreach (Vma vma in _old)
            Discard(vma);
        _old.Clear();
    }

    private void Discard(Vma vma)
    {
        if (vma.Kind == VmaKind.Frames)
            Frames.Free(vma.Offset, vma.Length);
        if ((vma.Flags & VmaFlags.Locked) != 0)
            LockedBytes -= vma.Length;
        vma.View?.DropReference();
        RemoveFromFile(vma);
        _vmas.Recycle(vma);
    }

    internal static ulong PageDown(ulong value) => value & ~(PageSize - 1);

    internal static ulong PageUp(ulong value) => (value + PageSize - 1) & ~(PageSize - 1);

    /// <summary>A host's -errno from the guest side, as a system call answers it.</summary>
    private static Errno FromHost(int result) => result >= 0 ? Errno.OK : result switch
    {
        -(int)Errno.EACCES => Errno.EACCES,
        -(int)Errno.EPERM => Errno.EPERM,
        _ => Errno.ENOMEM,
    };
}
