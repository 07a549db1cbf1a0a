using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// Guest memory that stays reachable without translation and without a lock, whatever the guest does to its mappings: registered buffers
/// of a ring, buffers of a transfer that a worker or a blocking host call makes. Filled by <see cref="MemoryManager.Pin"/>; owners keep and
/// reuse it. Several threads may call <see cref="AddTo"/> at once; pinning and unpinning is for one.
/// </summary>
internal sealed unsafe class PinnedRange : IDisposable
{
    private FrameAllocator? _frames;
    private Piece[] _pieces = new Piece[1];
    private int _count;

    private struct Piece
    {
        /// <summary>Where in the pinned range it begins.</summary>
        public ulong Start;
        public ulong Length;
        public byte* Host;

        /// <summary>The whole pages that are pinned; nothing when <see cref="View"/> holds them.</summary>
        public ulong PinStart, PinLength;
        public HostView? View;
    }

    /// <summary>Bytes pinned; 0 when nothing is.</summary>
    public ulong Length { get; private set; }

    /// <summary>Some bytes are a host file's: only SafeCopy and host calls may touch them.</summary>
    public bool MayFault { get; private set; }

    /// <summary>
    /// Appends the host spans of a part of the range. Returns the bytes appended: fewer when the range ends before. The range
    /// must stay pinned as long as the spans are used.
    /// </summary>
    public ulong AddTo(IoVector into, ulong offset, ulong length)
    {
        if (offset >= Length)
            return 0;
        length = Math.Min(length, Length - offset);
        ulong done = 0;
        for (int i = FindPiece(offset); done < length; i++)
        {
            ref Piece piece = ref _pieces[i];
            ulong within = offset + done - piece.Start;
            ulong n = Math.Min(piece.Length - within, length - done);
            // SAFETY: the piece is pinned, so its bytes stay mapped in the sentry and belong to nobody else.
            into.Add(piece.Host + within, n);
            done += n;
        }
        into.MayFault |= MayFault;
        return length;
    }

    /// <summary>True when all bytes follow each other in the sentry, from <paramref name="first"/> on. Not for what may fault.</summary>
    internal bool IsContiguous(out byte* first)
    {
        first = _count > 0 ? _pieces[0].Host : null;
        byte* next = first;
        for (int i = 0; i < _count; i++)
        {
            if (_pieces[i].Host != next)
                return false;
            next += _pieces[i].Length; // SAFETY: compared, never followed.
        }
        return first != null && !MayFault;
    }

    /// <summary>Maps all pieces, which have to be whole pages of the memory file, one behind the other at an address. 0 or -errno.</summary>
    internal long MapAt(long address)
    {
        for (int i = 0; i < _count; i++)
        {
            ref Piece piece = ref _pieces[i];
            long result = HostMapping.MapInto(address + (long)piece.Start, _frames!.File.Fd, piece.PinStart, piece.Length);
            if (result < 0)
                return result;
        }
        return 0;
    }

    /// <summary>Lets go of everything; the object may be filled again. Idempotent.</summary>
    public void Unpin()
    {
        for (int i = 0; i < _count; i++)
        {
            ref Piece piece = ref _pieces[i];
            if (piece.View is null)
                _frames!.Unpin(piece.PinStart, piece.PinLength);
            else
                piece.View.DropReference();
            piece = default;
        }
        _count = 0;
        Length = 0;
        MayFault = false;
    }

    /// <summary>The same as <see cref="Unpin"/>.</summary>
    public void Dispose() => Unpin();

    /// <summary>Appends a piece, pinning it. Only the memory manager calls it, under its lock.</summary>
    internal void Append(FrameAllocator frames, byte* host, ulong length, HostView? view)
    {
        _frames = frames;
        Piece piece = new() { Start = Length, Length = length, Host = host, View = view };
        if (view is null)
        {
            // SAFETY: only the difference of two addresses in the memory file is taken.
            ulong offset = (ulong)(host - frames.File.Base);
            piece.PinStart = MemoryManager.PageDown(offset);
            piece.PinLength = MemoryManager.PageUp(offset + length) - piece.PinStart;
            frames.Pin(piece.PinStart, piece.PinLength);
        }
        else
        {
            view.AddReference();
            MayFault = true;
        }
        if (_count == _pieces.Length)
            Array.Resize(ref _pieces, _count * 2);
        _pieces[_count++] = piece;
        Length += length;
    }

    private int FindPiece(ulong offset)
    {
        int low = 0, high = _count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) >>> 1;
            if (_pieces[middle].Start <= offset)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
}

internal sealed unsafe partial class MemoryManager
{
    /// <summary>
    /// Pins a guest range, replacing what <paramref name="into"/> held. All of it must be mapped with
    /// <paramref name="access"/>, else EFAULT and nothing is pinned.
    /// </summary>
    public Errno Pin(UserPtr address, ulong length, MapAccess access, PinnedRange into)
    {
        into.Unpin();
        ulong pinned = PinMore(address, length, access, into);
        if (pinned == length)
            return Errno.OK;
        into.Unpin();
        return Errno.EFAULT;
    }

    /// <summary>
    /// Pins what a struct iovec array names, with the rules of <see cref="TranslateVector"/>: as far as it is accessible, EFAULT when
    /// nothing is, EINVAL for bad counts and lengths.
    /// </summary>
    public Errno PinVector(UserPtr iovec, int count, MapAccess access, PinnedRange into)
    {
        into.Unpin();
        for (bool mayCopy = true; ;)
        {
            _access.EnterRead();
            Errno error = WalkVector(iovec, count, access, null, into, out ulong total, out IoVec borrowed);
            _access.ExitRead();
            if (error == Errno.OK && (borrowed.Length == 0 || !mayCopy))
                return total != 0 && into.Length == 0 ? Errno.EFAULT : Errno.OK;
            into.Unpin();
            if (error != Errno.OK)
                return error;
            mayCopy = MakeOwn(borrowed.Base, borrowed.Length);
        }
    }

    /// <summary>
    /// Pins a guest range as far as it is accessible. Returns the bytes pinned; the caller answers EFAULT when it gets none
    /// of a range that is not empty.
    /// </summary>
    public ulong PinPartly(UserPtr address, ulong length, MapAccess access, PinnedRange into)
    {
        into.Unpin();
        return PinMore(address, length, access, into);
    }

    /// <summary>As <see cref="PinPartly"/>, behind what <paramref name="into"/> holds already.</summary>
    public ulong PinMore(UserPtr address, ulong length, MapAccess access, PinnedRange into)
    {
        ulong pinned = 0;
        while (true)
        {
            _access.EnterRead();
            pinned += PinPieces(address.Address + pinned, length - pinned, access, into, out bool isBorrowed);
            _access.ExitRead();
            if (!isBorrowed || !MakeOwn(address.Address + pinned, length - pinned))
                return pinned;
        }
    }

    private ulong PinPieces(ulong address, ulong length, MapAccess access, PinnedRange into, out bool isBorrowed)
    {
        ulong done = 0;
        bool write = (access & MapAccess.Write) != 0;
        isBorrowed = false;
        while (done < length)
        {
            // What is pinned stays this process's, whoever writes near by.
            if (!TryGetPiece(address + done, length - done, write, out Piece piece) || piece.SharesFrames)
            {
                isBorrowed = piece.IsBorrowed || piece.SharesFrames;
                break;
            }
            into.Append(Frames, piece.Host, piece.Length, piece.View);
            done += piece.Length;
        }
        return done;
    }
}
