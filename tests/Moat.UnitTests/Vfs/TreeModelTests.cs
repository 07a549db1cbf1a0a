using Moat.Abi;
using Moat.Kernel.Vfs;
using Xunit;

namespace Moat.UnitTests.Vfs;

/// <summary>Random changes on an overlay, a tmpfs and a volume, and the same on a host directory by the host itself.</summary>
public sealed class TreeModelTests : IDisposable
{
    private static readonly string[] s_names = ["a", "b", "c", "d", "e"];
    private readonly TestTree _lower = new(), _model = new();

    public void Dispose()
    {
        _lower.Dispose();
        _model.Dispose();
    }

    [Theory]
    [InlineData("overlay", 1)]
    [InlineData("overlay", 2)]
    [InlineData("overlay", 3)]
    [InlineData("overlay", 4)]
    [InlineData("tmp", 5)]
    [InlineData("tmp", 6)]
    [InlineData("volume", 7)]
    [InlineData("volume", 8)]
    public void Changes_as_the_host_does(string kind, int seed)
    {
        if (kind != "tmp")
        {
            Populate(_lower.HostPath);
            Populate(_model.HostPath);
        }
        TestFiles files = kind switch { "overlay" => _lower.Overlay(), "tmp" => TestTree.Tmp(), _ => _lower.Volume() };
        Random random = new(seed);
        for (int i = 0; i < 3000; i++)
        {
            string step = Step(files, random, out long expected, out Errno got);
            Assert.True((long)got == Math.Max(0, -expected), $"step {i}, {step}: {got}, the host {expected}");
            if (i % 100 == 99)
                Compare(files, "");
        }
        Compare(files, "");
        if (kind == "overlay")
            Assert.Equal(["a", "b", "c", "d", "e"], Directory.GetFileSystemEntries(_lower.HostPath).Select(p => Path.GetFileName(p)).Order());
    }

    private static void Populate(string root)
    {
        HostCalls.Mkdir(root + "/a");
        HostCalls.Mkdir(root + "/a/b");
        HostCalls.Mkdir(root + "/a/b/c");
        HostCalls.Mkdir(root + "/b");
        File.WriteAllText(root + "/a/d", "lower a/d");
        File.WriteAllText(root + "/a/b/e", "lower a/b/e");
        File.WriteAllText(root + "/c", "lower c");
        HostCalls.Link(root + "/c", root + "/b/d");
        HostCalls.Symlink("a/d", root + "/d");
        HostCalls.Symlink("d", root + "/b/e");
        File.WriteAllText(root + "/e", new string('e', 10000));
    }

    private static string RandomPath(Random random)
        => "/" + string.Join('/', Enumerable.Range(0, random.Next(1, 4)).Select(_ => s_names[random.Next(s_names.Length)]));

    private string Step(TestFiles files, Random random, out long expected, out Errno got)
    {
        string one = RandomPath(random), other = RandomPath(random), root = _model.HostPath;
        switch (random.Next(12))
        {
            case 0 or 1:
                expected = HostCalls.Mkdir(root + one, 0x1ed);
                got = files.Mkdir(one, 0x1ed);
                return "mkdir " + one;
            case 2:
                expected = HostCalls.Path(84, root + one);
                got = files.Rmdir(one);
                return "rmdir " + one;
            case 3:
                expected = HostCalls.Path(87, root + one);
                got = files.Unlink(one);
                return "unlink " + one;
            case 4:
                expected = HostCalls.Link(root + one, root + other);
                got = files.Link(one, other);
                return $"link {one} {other}";
            case 5:
                // Downwards only: absolute targets and those above the root mean different things to the two.
                expected = HostCalls.Symlink(other[1..], root + one);
                got = files.Symlink(other[1..], one);
                return $"symlink {other[1..]} {one}";
            case 6 or 7 or 8:
                RenameFlags flags = (RenameFlags)random.Next(3);
                expected = HostCalls.RenameAt2(root + one, root + other, (uint)flags);
                got = files.Rename(one, other, flags);
                return $"rename {one} {other} {flags}";
            case 9:
                int length = random.Next(20000);
                expected = HostCalls.Path(76, root + one, length);
                got = PathOperations.Truncate(files.Caller, one, length);
                return $"truncate {one} {length}";
            case 10:
                expected = HostCalls.Path(90, root + one, 0x180 | random.Next(0x40));
                got = expected < 0 ? (Errno)(-expected) : Chmod(files, one, (uint)(0x180 | random.Next(0x40)), root);
                return "chmod " + one;
            default:
                return Write(files, random, one, out expected, out got);
        }
    }

    private static Errno Chmod(TestFiles files, string path, uint mode, string root)
    {
        HostCalls.Path(90, root + path, mode);
        Errno error = PathOperations.Walk(files.Caller, TestFiles.Cwd, path, LookupFlags.Follow, out VfsPath place);
        return error == Errno.OK ? PathOperations.ChangeMode(files.Caller, place, mode) : error;
    }

    private string Write(TestFiles files, Random random, string path, out long expected, out Errno got)
    {
        OpenFlags flags = OpenFlags.O_RDWR | (random.Next(2) == 0 ? OpenFlags.O_CREAT : 0) | (random.Next(3) == 0 ? OpenFlags.O_EXCL : 0)
            | (random.Next(3) == 0 ? OpenFlags.O_TRUNC : 0) | (random.Next(5) == 0 ? OpenFlags.O_NOFOLLOW : 0);
        if ((flags & OpenFlags.O_CREAT) == 0)
            flags &= ~OpenFlags.O_EXCL;
        byte[] data = new byte[random.Next(9000)];
        random.NextBytes(data);
        long offset = random.Next(5000);
        expected = HostCalls.Open(_model.HostPath + path, flags, 0x1a4);
        got = files.TryOpen(path, flags, 0x1a4, out FileDescription? file);
        if (expected >= 0)
        {
            Moat.Host.HostFiles.Write((int)expected, data, offset);
            HostCalls.Close(expected);
        }
        if (file is not null)
        {
            Assert.Equal(data.Length, (int)Io.Write(file, data, offset).Value);
            file.DropReference();
        }
        return $"open {path} {flags}";
    }

    private void Compare(TestFiles files, string path)
    {
        string host = _model.HostPath + path;
        IEnumerable<string> expected = Directory.GetFileSystemEntries(host).Select(p => Path.GetFileName(p)).Concat([".", ".."]).Order(StringComparer.Ordinal);
        Assert.Equal(expected, files.List(path + "/", 128).Order(StringComparer.Ordinal));
        foreach (string name in Directory.GetFileSystemEntries(host).Select(p => Path.GetFileName(p)))
        {
            string child = path + "/" + name;
            int error = Moat.Host.HostFiles.StatAt(-100, host + "/" + name, out Statx stat);
            Assert.Equal(0, error);
            FileStat found = files.Stat(child);
            Assert.Equal(stat.stx_mode, (ushort)found.Mode);
            if (found.Type != Moat.Abi.FileMode.S_IFDIR)
                Assert.Equal((child, stat.stx_nlink, stat.stx_size), (child, found.Nlink, (ulong)found.Size));
            switch (found.Type)
            {
                case Moat.Abi.FileMode.S_IFDIR:
                    Compare(files, child);
                    break;
                case Moat.Abi.FileMode.S_IFREG:
                    Assert.Equal(File.ReadAllBytes(host + "/" + name), files.ReadAll(child));
                    break;
                case Moat.Abi.FileMode.S_IFLNK:
                    Assert.Equal(Errno.OK, PathOperations.ReadLink(files.Caller, TestFiles.Cwd, child, out string target));
                    Assert.Equal(new FileInfo(host + "/" + name).LinkTarget, target);
                    break;
            }
        }
    }
}
