using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Xunit;

namespace Moat.UnitTests.Vfs;

/// <summary>Files in memory against an array.</summary>
public sealed class TmpFileTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Content_is_that_of_an_array(int seed)
    {
        const int Most = 3_000_000;
        TestFiles files = TestTree.Tmp(out FrameAllocator frames);
        ulong charged = frames.Charged;
        FileDescription file = files.OpenFile("/f", OpenFlags.O_RDWR | OpenFlags.O_CREAT);
        byte[] model = new byte[Most];
        int size = 0;
        Random random = new(seed);
        for (int i = 0; i < 2000; i++)
        {
            int offset = random.Next(random.Next(3) == 0 ? Most : 40000), length = Math.Min(random.Next(random.Next(4) == 0 ? 300000 : 5000), Most - offset);
            switch (random.Next(7))
            {
                case 0 or 1:
                    byte[] data = new byte[length];
                    random.NextBytes(data);
                    Assert.Equal(length, (int)Io.Write(file, data, offset).Value);
                    data.CopyTo(model, offset);
                    size = length == 0 ? size : Math.Max(size, offset + length);
                    break;
                case 2:
                    Assert.Equal(0, file.Truncate(offset).Value);
                    if (offset < size)
                        model.AsSpan(offset).Clear();
                    size = offset;
                    break;
                case 3 when length > 0:
                    Assert.Equal(0, file.Allocate(3 /* PUNCH_HOLE | KEEP_SIZE */, offset, length).Value);
                    model.AsSpan(offset, length).Clear();
                    break;
                case 4 when length > 0:
                    Assert.Equal(Errno.EOPNOTSUPP, file.Allocate(0x11 /* ZERO_RANGE | KEEP_SIZE */, offset, length).Error);
                    break;
                case 5 when length > 0:
                    Assert.Equal(0, file.Allocate(0, offset, length).Value);
                    size = Math.Max(size, offset + length);
                    break;
                default:
                    byte[] back = new byte[length];
                    int n = (int)Io.Read(file, back, offset).Value;
                    Assert.Equal(Math.Clamp(size - offset, 0, length), n);
                    Assert.True(back.AsSpan(0, n).SequenceEqual(model.AsSpan(offset, n)));
                    break;
            }
            Assert.Equal(Errno.OK, file.GetStat(out FileStat stat));
            Assert.Equal(size, stat.Size);
        }
        Assert.True(Io.ReadAll(file).AsSpan().SequenceEqual(model.AsSpan(0, size)));
        Assert.Equal(Errno.OK, files.Unlink("/f"));
        Assert.True(frames.Charged > charged);
        file.DropReference();
        Assert.Equal(charged, frames.Charged);
    }

    [Fact]
    public void Holes_are_found()
    {
        TestFiles files = TestTree.Tmp();
        FileDescription file = files.OpenFile("/f", OpenFlags.O_RDWR | OpenFlags.O_CREAT);
        const long Far = 1L << 40;
        Assert.Equal(4096, Io.Write(file, new byte[4096], 8192).Value);
        Assert.Equal(1, Io.Write(file, new byte[1], Far).Value);
        Assert.Equal(8192, file.Seek(0, 3).Value);
        Assert.Equal(12288, file.Seek(8192, 4).Value);
        Assert.Equal(Far, file.Seek(12288, 3).Value);
        Assert.Equal(Far + 1, file.Seek(Far, 4).Value);
        Assert.Equal(Errno.ENXIO, file.Seek(Far + 1, 3).Error);
        Assert.Equal(1, Io.Write(file, new byte[1], long.MaxValue - 1).Value);
        Assert.Equal(Errno.EINVAL, Io.Write(file, new byte[1], long.MaxValue).Error);
        Assert.Equal(Errno.OK, file.GetStat(out FileStat stat));
        Assert.Equal(24UL, stat.Blocks);
        file.DropReference();
        files.Unlink("/f");
    }

    [Fact]
    public void Mapped_pages_stay_until_they_are_unmapped()
    {
        TestFiles files = TestTree.Tmp(out FrameAllocator frames);
        ulong charged = frames.Charged;
        FileDescription file = files.OpenFile("/f", OpenFlags.O_RDWR | OpenFlags.O_CREAT);
        Io.Write(file, [1, 2, 3], 0);
        file.Truncate(3 * 4096);
        Assert.Equal(Errno.OK, file.GetMappable(out IMappable? mappable));
        mappable!.AddMapping(0, 3 * 4096);
        Assert.Equal(Errno.OK, mappable.Resolve(0, 3 * 4096, out Backing first));
        Assert.Equal(-1, first.HostFd);
        Assert.Equal(Errno.OK, mappable.Resolve(4096, 8192, out Backing second));
        Assert.Equal(8192UL, second.Length);
        Assert.Equal(Errno.ENXIO, mappable.Resolve(3 * 4096, 4096, out _));
        file.Truncate(0);
        file.Truncate(4096);
        Assert.Equal(Errno.OK, mappable.Resolve(0, 4096, out Backing again));
        Assert.Equal(first.Offset, again.Offset);
        Assert.Equal(new byte[4096], Io.ReadAll(file));
        files.Unlink("/f");
        file.DropReference();
        Assert.True(frames.Charged > charged);
        mappable.RemoveMapping(0, 4096);
        mappable.RemoveMapping(4096, 8192);
        Assert.Equal(charged, frames.Charged);
    }

    [Fact]
    public void A_listing_survives_changes()
    {
        TestFiles files = TestTree.Tmp();
        for (int i = 0; i < 200; i++)
            files.WriteAll("/f" + i, []);
        FileDescription directory = files.OpenFile("/", OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY);
        HashSet<string> seen = [];
        byte[] buffer = new byte[256];
        for (int round = 0; ; round++)
        {
            DirectoryEmitter emitter = new(buffer, false);
            Assert.Equal(Errno.OK, directory.ReadDirectory(ref emitter));
            if (emitter.Written == 0)
                break;
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, emitter.Written); rest.Length > 0;)
            {
                int size = rest[16];
                ReadOnlySpan<byte> name = rest[19..size];
                string text = System.Text.Encoding.Latin1.GetString(name[..name.IndexOf((byte)0)]);
                Assert.True(seen.Add(text));
                if (text.StartsWith('f') && int.Parse(text[1..]) % 2 == 1)
                    files.Unlink("/" + text);
                rest = rest[size..];
            }
        }
        for (int i = 0; i < 200; i++)
            Assert.Contains("f" + i, seen);
        Assert.Equal(102, files.List("/").Count);
        directory.DropReference();
    }
}
