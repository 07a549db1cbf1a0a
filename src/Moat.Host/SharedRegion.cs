namespace Moat.Host;

/// <summary>
/// A memory file of one process that others of the same user find by its name among that process's descriptors (man 5 proc, /proc/PID/fd) and
/// map. Nothing is left of it when its maker ends, however that comes about.
/// </summary>
public sealed unsafe class SharedRegion : IDisposable
{
    private const int PROT_READ_WRITE = 3, MAP_SHARED = 1, F_GET_SEALS = 1034, F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;

    private readonly byte* _base;
    private readonly int _length, _fd;

    private SharedRegion(byte* @base, int length, int fd)
    {
        _base = @base;
        _length = length;
        _fd = fd;
    }

    /// <summary>What is in it. Others change it at any time.</summary>
    public Span<byte> Bytes => new(_base, _length); // SAFETY: mapped until Dispose, of a file that cannot shrink.

    /// <summary>Makes one of so many bytes, zeros. <paramref name="name"/> ends in a zero byte. Null when the host refuses.</summary>
    public static SharedRegion? Create(ReadOnlySpan<byte> name, int length)
    {
        const int MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;
        int fd = HostSyscall.MoveHigh(HostSyscall.MemfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
        if (fd < 0)
            return null;
        if (HostSyscall.Ftruncate(fd, (ulong)length) == 0 && HostSyscall.AddSeals(fd, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0
            && Map(fd, length) is { } region)
        {
            return region;
        }
        HostSyscall.Close(fd);
        return null;
    }

    /// <summary>Maps one of another process. Null when it is gone, may not be opened, or is no such file.</summary>
    public static SharedRegion? Open(string path, int length)
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle? file = TryOpen(path);
        if (file is null)
            return null;
        int fd = (int)file.DangerousGetHandle();
        // What can shrink could be taken away under the reader.
        if ((HostSyscall.Call(72 /* fcntl */, fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0 || RandomAccess.GetLength(file) < length)
            return null;
        return Map(fd, length, keep: false);
    }

    /// <summary>
    /// Sleeps while the 32-bit word at a place (a multiple of 4) holds a value. <paramref name="timeout"/>: nanoseconds, negative for ever.
    /// </summary>
    public void Wait(int at, uint value, long timeout) => HostSyscall.FutexWait(WordAt(at), value, timeout);

    /// <summary>Wakes everybody who waits for the word.</summary>
    public void Wake(int at) => HostSyscall.FutexWake(WordAt(at), int.MaxValue);

    /// <summary>The 32-bit word at a place.</summary>
    public ref uint Word(int at) => ref *WordAt(at);

    /// <summary>Unmaps it; nobody may use it any more.</summary>
    public void Dispose()
    {
        HostSyscall.Munmap(_base, (ulong)_length);
        if (_fd >= 0)
            HostSyscall.Close(_fd);
    }

    private static SharedRegion? Map(int fd, int length, bool keep = true)
    {
        long address = HostSyscall.Mmap(null, (ulong)length, PROT_READ_WRITE, MAP_SHARED, fd, 0);
        return address < 0 ? null : new SharedRegion((byte*)address, length, keep ? fd : -1);
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle? TryOpen(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private uint* WordAt(int at)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)at, (uint)_length - sizeof(uint));
        return (uint*)(_base + at); // SAFETY: within the mapping.
    }
}
