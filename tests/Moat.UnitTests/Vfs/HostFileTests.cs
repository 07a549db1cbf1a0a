using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Xunit;

namespace Moat.UnitTests.Vfs;

/// <summary>Files of the host: below an overlay and in a volume.</summary>
public sealed class HostFileTests : IDisposable
{
    private readonly TestTree _tree = new();
    private readonly byte[] _content = new byte[300_000];

    public HostFileTests()
    {
        new Random(1).NextBytes(_content);
        File.WriteAllBytes(_tree.HostPath + "/f", _content);
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void Small_reads_of_a_lower_file_are_right_and_allocate_nothing()
    {
        FileDescription file = _tree.Overlay().OpenFile("/f", OpenFlags.O_RDONLY);
        Random random = new(2);
        byte[] buffer = new byte[5000];
        for (int i = 0; i < 5000; i++)
        {
            int offset = random.Next(_content.Length + 2000);
            int n = (int)Io.Read(file, buffer, offset).Value;
            Assert.Equal(Math.Clamp(_content.Length - offset, 0, buffer.Length), n);
            Assert.True(buffer.AsSpan(0, n).SequenceEqual(_content.AsSpan(Math.Min(offset, _content.Length), n)));
        }
        Assert.Equal(0, AllocatedByReads(file));
        // The host cuts it off: what is gone is gone.
        using (FileStream host = File.OpenWrite(_tree.HostPath + "/f"))
            host.SetLength(100_000);
        Assert.Equal(0, Io.Read(file, buffer, 200_000).Value);
        Assert.Equal(5000, Io.Read(file, buffer, 50_000).Value);
        Assert.True(buffer.AsSpan().SequenceEqual(_content.AsSpan(50_000, 5000)));
        file.DropReference();
    }

    [Theory]
    [InlineData("volume")]
    [InlineData("tmp")]
    public void Warm_reads_and_writes_allocate_nothing(string kind)
    {
        TestFiles files = kind == "tmp" ? TestTree.Tmp() : _tree.Volume();
        FileDescription file = files.OpenFile("/g", OpenFlags.O_RDWR | OpenFlags.O_CREAT);
        Assert.Equal(_content.Length, (int)Io.Write(file, _content, 0).Value);
        Assert.Equal(0, AllocatedByReads(file));
        file.DropReference();
        files.Unlink("/g");
    }

    [Fact]
    public void A_reader_sees_what_is_written_after_it_opened()
    {
        TestFiles files = _tree.Overlay();
        FileDescription reader = files.OpenFile("/f", OpenFlags.O_RDONLY), writer = files.OpenFile("/f", OpenFlags.O_RDWR);
        Io.Write(writer, "changed"u8.ToArray(), 10);
        byte[] buffer = new byte[7];
        Io.Read(reader, buffer, 10);
        Assert.Equal("changed"u8.ToArray(), buffer);
        writer.Truncate(12);
        Assert.Equal(2, Io.Read(reader, buffer, 10).Value);
        Assert.Equal(_content.AsSpan(10, 7).ToArray(), File.ReadAllBytes(_tree.HostPath + "/f").AsSpan(10, 7).ToArray());
        reader.DropReference();
        writer.DropReference();
    }

    [Fact]
    public void Numbers_stay_when_a_file_is_copied_up()
    {
        TestFiles files = _tree.Overlay();
        FileStat before = files.Stat("/f");
        files.WriteAll("/f", [1]);
        FileStat after = files.Stat("/f");
        Assert.Equal((before.Dev, before.Ino), (after.Dev, after.Ino));
        Assert.Equal(Errno.OK, files.Rename("/f", "/h"));
        Assert.Equal(before.Ino, files.Stat("/h").Ino);
        Assert.Equal(before.Dev, files.Stat("/").Dev);
    }

    [Fact]
    public void A_volume_appends_at_the_end_whatever_the_offset()
    {
        TestFiles files = _tree.Volume();
        FileDescription file = files.OpenFile("/log", OpenFlags.O_WRONLY | OpenFlags.O_CREAT | OpenFlags.O_APPEND);
        Io.Write(file, "one "u8.ToArray(), -1);
        File.AppendAllText(_tree.HostPath + "/log", "host ");
        Io.Write(file, "two"u8.ToArray(), 0);
        Assert.Equal(4, file.Position);
        Io.Write(file, " three"u8.ToArray(), -1);
        Assert.Equal("one host two three".Length, file.Position);
        file.DropReference();
        Assert.Equal("one host two three", File.ReadAllText(_tree.HostPath + "/log"));
    }

    private static unsafe long AllocatedByReads(FileDescription file)
    {
        using IoVector vector = new();
        byte* buffer = stackalloc byte[4096];
        long before = 0;
        for (int i = 0; i < 2000; i++)
        {
            if (i == 1000)
                before = GC.GetAllocatedBytesForCurrentThread();
            vector.Clear();
            vector.Add(buffer, 4096);
            FileOperations.Read(file, vector, 4096 * (i % 20), RwFlags.None);
            if (file.CanWrite)
            {
                vector.Clear();
                vector.Add(buffer, 4096);
                FileOperations.Write(file, vector, 4096 * (i % 20), RwFlags.None);
            }
            file.GetStat(out _);
            file.Seek(i, 0);
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
