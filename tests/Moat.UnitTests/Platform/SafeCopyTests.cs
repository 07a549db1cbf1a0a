using Moat.Host;
using Xunit;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public sealed unsafe class SafeCopyTests : IDisposable
{
    private const int Page = 4096;
    private readonly int _fd;
    private readonly byte* _file; // two pages of a file that has one
    private readonly byte* _hole; // a page of memory, and one without access

    public SafeCopyTests()
    {
        _fd = HostSyscall.MemfdCreate("safe\0"u8, 1);
        Assert.Equal(0, HostSyscall.Ftruncate(_fd, Page));
        _file = (byte*)HostSyscall.Mmap(null, 2 * Page, 3, 1, _fd, 0);
        _hole = (byte*)HostSyscall.Mmap(null, 2 * Page, 3, 0x22, -1, 0);
        Assert.Equal(0, HostSyscall.Call(10, (long)_hole + Page, Page, 0, 0));
        for (var i = 0; i < Page; i++)
            _file[i] = _hole[i] = (byte)(i * 7 + 1);
    }

    public void Dispose()
    {
        HostSyscall.Munmap(_file, 2 * Page);
        HostSyscall.Munmap(_hole, 2 * Page);
        HostSyscall.Close(_fd);
    }

    [Fact]
    public void CopiesUpToTheFault()
    {
        byte[] buffer = new byte[2 * Page];
        fixed (byte* memory = buffer)
        {
            foreach (nint source in (ReadOnlySpan<nint>)[(nint)_file, (nint)_hole])
            {
                for (var start = 0; start < Page; start += start is > 300 and < 3700 ? 97 : 1)
                {
                    foreach (int length in (ReadOnlySpan<int>)[0, 1, 8, 31, 127, 128, 129, 500, 4096, 5000])
                    {
                        buffer.AsSpan().Clear();
                        int good = Math.Min(length, Page - start);
                        nuint left = SafeCopy.Copy(memory, (byte*)source + start, (nuint)length);
                        Assert.Equal((nuint)(length - good), left);
                        Assert.True(new Span<byte>((byte*)source + start, good).SequenceEqual(buffer.AsSpan(0, good)));
                        Assert.False(buffer.AsSpan(good).ContainsAnyExcept((byte)0));
                    }
                }
            }
        }
    }

    [Fact]
    public void StopsWhereTheDestinationFaults()
    {
        byte[] buffer = new byte[2 * Page];
        new Random(1).NextBytes(buffer);
        fixed (byte* memory = buffer)
        {
            Assert.Equal((nuint)Page, SafeCopy.Copy(_file, memory, 2 * Page));
            Assert.True(new Span<byte>(_file, Page).SequenceEqual(buffer.AsSpan(0, Page)));
            Assert.Equal((nuint)(Page + 5), SafeCopy.Copy(_hole + 5, memory, 2 * Page));
            Assert.Equal((nuint)100, SafeCopy.Copy((byte*)0x1234, memory, 100));
        }
    }

    [Fact]
    public void Words()
    {
        *(uint*)_file = 5;
        Assert.True(SafeCopy.Load32((uint*)_file, out uint value));
        Assert.Equal(5U, value);
        Assert.True(SafeCopy.CompareExchange32((uint*)_file, 5, 6, out uint seen));
        Assert.Equal((5U, 6U), (seen, *(uint*)_file));
        Assert.True(SafeCopy.CompareExchange32((uint*)_file, 5, 7, out seen));
        Assert.Equal((6U, 6U), (seen, *(uint*)_file));
        Assert.False(SafeCopy.Load32((uint*)(_file + Page), out _));
        Assert.False(SafeCopy.CompareExchange32((uint*)(_hole + Page), 0, 1, out _));
    }

    [Fact]
    public void TheRuntimesOwnFaultsStillWork()
    {
        Assert.False(SafeCopy.Load32((uint*)(_hole + Page), out _));
        string? nothing = Environment.GetEnvironmentVariable("no such variable");
        for (var i = 0; i < 10; i++)
            Assert.Throws<NullReferenceException>(() => nothing!.Length);
    }

    [Fact]
    public void UnderTruncationAndCollections()
    {
        bool stop = false;
        var truncating = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                HostSyscall.Ftruncate(_fd, 0);
                HostSyscall.Ftruncate(_fd, Page);
            }
        });
        var collecting = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                GC.Collect();
                Thread.Sleep(1);
            }
        });
        truncating.Start();
        collecting.Start();
        byte[] buffer = GC.AllocateArray<byte>(Page, pinned: true);
        long whole = 0, cut = 0;
        for (var i = 0; i < 50_000 || ((whole == 0 || cut == 0) && i < 5_000_000); i++)
        {
            fixed (byte* memory = buffer)
            {
                if (SafeCopy.Copy(memory, _file, Page) == 0)
                    whole++;
                else
                    cut++;
            }
        }

        Volatile.Write(ref stop, true);
        truncating.Join();
        collecting.Join();
        Assert.NotEqual(0, whole);
        Assert.NotEqual(0, cut);
    }
}
