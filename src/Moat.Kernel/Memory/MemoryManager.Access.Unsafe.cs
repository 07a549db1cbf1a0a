using System.Runtime.CompilerServices;
using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed unsafe partial class MemoryManager
{
    /// <summary>Most bytes of one transfer (MAX_RW_COUNT).</summary>
    public const ulong MAX_RW_COUNT = 0x7ffff000;

    /// <summary>Copies guest memory into <paramref name="destination"/>: all of it, or EFAULT.</summary>
    public Errno CopyIn(UserPtr source, Span<byte> destination)
    {
        _access.EnterRead();
        // SAFETY: pinned for the copy.
        fixed (byte* p = destination)
        {
            Errno error = Copy(source.Address, p, (ulong)destination.Length, toGuest: false, out _);
            _access.ExitRead();
            return error;
        }
    }

    /// <summary>Copies <paramref name="source"/> into guest memory: all of it, or EFAULT (a prefix may be written).</summary>
    public Errno CopyOut(UserPtr destination, ReadOnlySpan<byte> source)
    {
        // SAFETY: pinned for the copy; only read from.
        fixed (byte* p = source)
            return CopyToGuest(destination.Address, p, (ulong)source.Length);
    }

    /// <summary>Reads one <typeparamref name="T"/> from guest memory, once.</summary>
    public Errno Read<T>(UserPtr<T> source, out T value)
        where T : unmanaged
    {
        T copy = default;
        // SAFETY: a local of the size given.
        _access.EnterRead();
        Errno error = Copy(source.Address, (byte*)&copy, (ulong)sizeof(T), toGuest: false, out _);
        _access.ExitRead();
        value = copy;
        return error;
    }

    /// <summary>Writes one <typeparamref name="T"/> to guest memory.</summary>
    public Errno Write<T>(UserPtr<T> destination, in T value)
        where T : unmanaged
    {
        T copy = value;
        // SAFETY: a local of the size given.
        return CopyToGuest(destination.Address, (byte*)&copy, (ulong)sizeof(T));
    }

    /// <summary>
    /// Copies a NUL-terminated string. Returns its length without the NUL, EFAULT, or ENAMETOOLONG when no NUL is within
    /// <paramref name="destination"/>.
    /// </summary>
    public SysResult CopyInString(UserPtr source, Span<byte> destination)
    {
        const ulong Chunk = 128;
        ulong done = 0, room = (ulong)destination.Length;
        SysResult result = Errno.ENAMETOOLONG;
        _access.EnterRead();
        fixed (byte* p = destination)
        {
            while (done < room)
            {
                ulong at = source.Address + done;
                // Never past the page: what follows the string may be inaccessible.
                ulong n = Math.Min(Math.Min(Chunk, room - done), PageSize - (at & (PageSize - 1)));
                if (Copy(at, p + done, n, toGuest: false, out _) != Errno.OK)
                {
                    result = Errno.EFAULT;
                    break;
                }
                int nul = destination.Slice((int)done, (int)n).IndexOf((byte)0);
                if (nul >= 0)
                {
                    result = (long)done + nul;
                    break;
                }
                done += n;
            }
        }
        _access.ExitRead();
        return result;
    }

    /// <summary>
    /// Begins access by translation: until <see cref="EndAccess"/> spans got by <see cref="Translate"/> stay this guest's memory.
    /// Short, never around a wait. Nests in one thread.
    /// </summary>
    public void BeginAccess() => _access.EnterRead();

    /// <summary>Ends what <see cref="BeginAccess"/> began, in the same thread; spans are invalid from here on.</summary>
    public void EndAccess() => _access.ExitRead();

    /// <summary>This thread is between <see cref="BeginAccess"/> and <see cref="EndAccess"/>.</summary>
    public bool IsAccessing => _access.IsReading;

    /// <summary>
    /// Appends the host spans of a guest range to <paramref name="into"/>, as far as it is mapped with
    /// <paramref name="access"/>. Returns the bytes translated, fewer than <paramref name="length"/> when a page in the
    /// range is not accessible: the caller answers EFAULT when it gets none of a range that is not empty.
    /// </summary>
    /// <remarks>
    /// Private pages may have to be copied first; then the lock is left for a moment. If <paramref name="into"/> was not empty, it is stale
    /// afterwards (<see cref="IoVector.IsStale"/>).
    /// </remarks>
    public ulong Translate(UserPtr address, ulong length, MapAccess access, IoVector into)
    {
        bool mayLeave = into.Remaining == 0;
        ulong done = TranslatePieces(address.Address, length, access, into, out bool isBorrowed);
        while (isBorrowed && mayLeave)
        {
            into.Truncate(0);
            mayLeave = MakeOwnBetween(address.Address + done, length - done);
            done = TranslatePieces(address.Address, length, access, into, out isBorrowed);
        }
        if (isBorrowed && into.Remaining > done && MakeOwnBetween(address.Address + done, length - done))
            into.IsStale = true;
        return done;
    }

    private ulong TranslatePieces(ulong address, ulong length, MapAccess access, IoVector into, out bool isBorrowed)
    {
        ulong done = 0;
        bool write = (access & MapAccess.Write) != 0;
        isBorrowed = false;
        while (done < length)
        {
            if (!TryGetPiece(address + done, length - done, write, out Piece piece))
            {
                isBorrowed = piece.IsBorrowed;
                break;
            }
            into.Add(piece.Host, piece.Length);
            into.MayFault |= piece.MayFault;
            done += piece.Length;
        }
        return done;
    }

    /// <summary>
    /// Translates a guest array of struct iovec, at most 1024 entries and MAX_RW_COUNT bytes in all. Stops at the first
    /// inaccessible byte; <paramref name="total"/> tells how much was asked for. EFAULT when the array cannot be read or is not of
    /// user space, EINVAL for bad counts and lengths.
    /// </summary>
    public Errno TranslateVector(UserPtr iovec, int count, MapAccess access, IoVector into, out ulong total)
    {
        ulong before = into.Remaining;
        for (bool mayLeave = before == 0; ;)
        {
            Errno error = WalkVector(iovec, count, access, into, null, out total, out IoVec borrowed);
            if (error == Errno.OK && (borrowed.Length == 0 || !mayLeave))
                return Errno.OK;
            into.Truncate(before);
            if (error != Errno.OK)
                return error;
            mayLeave = MakeOwnBetween(borrowed.Base, borrowed.Length);
        }
    }

    /// <summary>Translates or pins. <paramref name="borrowed"/>: where it stopped because pages have to be copied first; length 0: nowhere.</summary>
    private Errno WalkVector(UserPtr iovec, int count, MapAccess access, IoVector? spans, PinnedRange? pins, out ulong total, out IoVec borrowed)
    {
        const int MaxEntries = 1024, Chunk = 64;
        borrowed = default;
        total = 0;
        if ((uint)count > MaxEntries)
            return Errno.EINVAL;
        IoVec* entries = stackalloc IoVec[Chunk];
        ulong translated = 0;
        Errno refused = Errno.OK;
        for (int i = 0; i < count; i += Chunk)
        {
            int n = Math.Min(Chunk, count - i);
            // SAFETY: a stack buffer of Chunk entries.
            Errno error = CopyIn(iovec + (ulong)(i * sizeof(IoVec)), new Span<byte>(entries, n * sizeof(IoVec)));
            if (error == Errno.OK)
                error = CheckVectors(new Span<IoVec>(entries, n), isOnly: count == 1);
            if (error == Errno.EINVAL || (error != Errno.OK && refused == Errno.OK))
                refused = error;
            // What is left may still be invalid, which outranks a range that is not of user space.
            for (int k = 0; k < n && refused == Errno.OK; k++)
            {
                ulong length = Math.Min(entries[k].Length, MAX_RW_COUNT - total);
                // After the first inaccessible byte the rest is only checked.
                if (translated == total)
                {
                    ulong start = entries[k].Base, done;
                    bool isBorrowed;
                    if (spans is null)
                        done = PinPieces(start, length, access, pins!, out isBorrowed);
                    else
                        done = TranslatePieces(start, length, access, spans, out isBorrowed);
                    if (isBorrowed)
                        borrowed = new IoVec { Base = start + done, Length = length - done };
                    translated += done;
                }
                total += length;
            }
        }
        return refused;
    }

    /// <summary>
    /// Checks struct iovecs as Linux does: EINVAL for a negative length anywhere, then EFAULT for a range that user space cannot have. Of the
    /// only one of an array just as much counts as one call moves, and with <paramref name="inUserSpace"/> false no place does.
    /// </summary>
    public static Errno CheckVectors(Span<IoVec> vectors, bool isOnly, bool inUserSpace = true)
    {
        foreach (ref readonly IoVec vector in vectors)
        {
            if ((long)vector.Length < 0)
                return Errno.EINVAL;
        }
        foreach (ref readonly IoVec vector in vectors)
        {
            if (inUserSpace && !IsUserRange(vector.Base, isOnly ? Math.Min(vector.Length, MAX_RW_COUNT) : vector.Length))
                return Errno.EFAULT;
        }
        return Errno.OK;
    }

    /// <summary>Shortens ranges so that all together are no more than one call moves; returns their sum.</summary>
    public static ulong LimitVectors(Span<IoVec> vectors)
    {
        ulong total = 0;
        foreach (ref IoVec vector in vectors)
        {
            vector.Length = Math.Min(vector.Length, MAX_RW_COUNT - total);
            total += vector.Length;
        }
        return total;
    }

    /// <summary>True for a range that user space can have at all (access_ok).</summary>
    public static bool IsUserRange(ulong address, ulong length)
    {
        const ulong TaskSize = 0x7ffffffff000;
        return address <= TaskSize && length <= TaskSize - address;
    }

    /// <summary>Contiguous sentry memory behind guest memory.</summary>
    private ref struct Piece
    {
        public byte* Host;
        public ulong Length;

        /// <summary>A host file's: only SafeCopy and host calls may touch it.</summary>
        public bool MayFault;

        /// <summary>No piece, but there will be one once <see cref="MakeOwn"/> has copied it.</summary>
        public bool IsBorrowed;

        /// <summary>Frames of another process too: not to be pinned.</summary>
        public bool SharesFrames;

        /// <summary>The mapping of a host file's piece.</summary>
        public HostView? View;
    }

    private Errno CopyToGuest(ulong address, byte* buffer, ulong length)
    {
        while (true)
        {
            _access.EnterRead();
            Errno error = Copy(address, buffer, length, toGuest: true, out ulong borrowed);
            _access.ExitRead();
            if (borrowed == 0 || !MakeOwn(borrowed, address + length - borrowed))
                return error;
        }
    }

    /// <summary><paramref name="borrowed"/>: the address that has to be copied before it can be written; 0: none.</summary>
    private Errno Copy(ulong address, byte* buffer, ulong length, bool toGuest, out ulong borrowed)
    {
        borrowed = 0;
        while (length > 0)
        {
            if (!TryGetPiece(address, length, toGuest, out Piece piece))
            {
                borrowed = piece.IsBorrowed ? address : 0;
                return Errno.EFAULT;
            }
            byte* from = toGuest ? buffer : piece.Host;
            byte* to = toGuest ? piece.Host : buffer;
            if (piece.MayFault)
            {
                if (SafeCopy.Copy(to, from, (nuint)piece.Length) != 0)
                    return Errno.EFAULT;
            }
            else
            {
                // SAFETY: memory-file bytes never fault, and the read lock keeps them this guest's.
                Unsafe.CopyBlockUnaligned(to, from, (uint)piece.Length);
            }
            address += piece.Length;
            buffer += piece.Length;
            length -= piece.Length;
        }
        return Errno.OK;
    }

    /// <summary>What is behind an address, up to <paramref name="length"/> bytes and 1 GiB. Under the lock, either side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGetPiece(ulong address, ulong length, bool write, out Piece piece)
    {
        piece = default;
        Vma? vma = _vmas.Find(address);
        // x86 has no write-only pages; execute-only ones are not readable where the machine has protection keys.
        if (vma is null || (vma.Access & (write ? MapAccess.Write : MapAccess.Read | MapAccess.Write)) == 0)
            return false;
        ulong within = address - vma.Start;
        piece.Length = Math.Min(Math.Min(length, vma.End - address), 1UL << 30);
        if (vma.Kind is VmaKind.Frames or VmaKind.FileMemory && !(write && vma.IsBorrowed))
        {
            piece.SharesFrames = vma.SharesFrames;
            piece.Host = Frames.Pointer(vma.Offset + within);
            return true;
        }
        return TryGetFilePiece(vma, within, write, ref piece);
    }

    private bool TryGetFilePiece(Vma vma, ulong within, bool write, ref Piece piece)
    {
        if (write && (vma.IsBorrowed || IsMissing(vma)))
        {
            piece.IsBorrowed = true;
            return false;
        }
        if (vma.Kind == VmaKind.HostFile)
        {
            piece.View = ViewOf(vma);
            if (piece.View is null)
                return false;
            piece.Host = piece.View.Pointer(vma.Offset + within);
            piece.MayFault = true;
            return true;
        }
        // Beyond the end of a file when it was mapped: the file may have grown.
        if (vma.File is null || vma.IsGuard || vma.IsSpecial)
            return false;
        ulong page = PageDown(within), offset = within - page;
        if (vma.File.Resolve(vma.FileOffset + page, PageUp(piece.Length + offset), out Backing backing) != Errno.OK
            || backing.HostFd >= 0 || backing.Length <= offset)
        {
            return false;
        }
        piece.Length = Math.Min(piece.Length, backing.Length - offset);
        piece.Host = Frames.Pointer(backing.Offset + offset);
        return true;
    }

    private static HostView? ViewOf(Vma vma)
    {
        HostView? view = Volatile.Read(ref vma.View);
        if (view is not null)
            return view;
        bool writable = vma.IsShared && (vma.MaxAccess & MapAccess.Write) != 0;
        view = HostView.Create(vma.HostFd, vma.Offset, vma.Length, writable);
        if (view is null)
            return null;
        HostView? winner = Interlocked.CompareExchange(ref vma.View, view, null);
        if (winner is null)
            return view;
        view.DropReference();
        return winner;
    }
}
