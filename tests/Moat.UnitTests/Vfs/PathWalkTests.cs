using Moat.Abi;
using Moat.Host;
using Moat.Kernel.Vfs;
using Xunit;

namespace Moat.UnitTests.Vfs;

/// <summary>The path walker against the host's own (openat2(2) with RESOLVE_IN_ROOT on the same directory).</summary>
public sealed class PathWalkTests : IDisposable
{
    private readonly TestTree _tree = new();

    public PathWalkTests()
    {
        string root = _tree.HostPath;
        foreach (string directory in (string[])["/a", "/a/b", "/a/b/c", "/d"])
            HostCalls.Mkdir(root + directory);
        foreach (string file in (string[])["/f", "/a/f", "/a/b/c/f", "/d/x"])
            HostCalls.Close(HostCalls.Open(root + file, OpenFlags.O_CREAT | OpenFlags.O_RDWR, 0x1a4));
        (string To, string Name)[] links =
        [
            ("a", "/la"), ("/a/b", "/labs"), ("../d", "/a/up"), ("loop2", "/loop1"), ("loop1", "/loop2"), ("f", "/lf"), ("nowhere", "/dangling"),
            ("/", "/lroot"), ("..", "/a/dd"), ("b/c/../c/f", "/a/deep"), ("la/b/", "/slash"), ("lf/", "/badslash"), ("./a/./b", "/dots"), ("../../../..", "/d/out"),
        ];
        foreach ((string to, string name) in links)
            HostCalls.Symlink(to, root + name);
    }

    public void Dispose() => _tree.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Walks_as_the_host_does(int seed)
    {
        string[] parts = ["a", "b", "c", "d", "f", "x", ".", "..", "", "la", "labs", "up", "loop1", "lf", "dangling", "lroot", "dd", "deep", "slash", "badslash",
            "dots", "out", "missing", new string('n', 255), new string('n', 256)];
        Random random = new(seed);
        TestFiles[] trees = [_tree.Overlay(), _tree.Volume()];
        int dirfd = (int)HostCalls.Open(_tree.HostPath, OpenFlags.O_PATH | OpenFlags.O_DIRECTORY);
        for (int i = 0; i < 4000; i++)
        {
            string path = (random.Next(2) == 0 ? "/" : "") + string.Join('/', Enumerable.Range(0, random.Next(1, 7)).Select(_ => parts[random.Next(parts.Length)]))
                + (random.Next(4) == 0 ? "/" : "");
            if (path.Length == 0)
                continue;
            OpenFlags flags = OpenFlags.O_PATH | (random.Next(2) == 0 ? OpenFlags.O_NOFOLLOW : 0) | (random.Next(4) == 0 ? OpenFlags.O_DIRECTORY : 0);
            ResolveFlags resolve = (ResolveFlags)(random.Next(3) switch { 0 => 8, 1 => 4 | 16, _ => 16 });
            long expected = HostCalls.Openat2(dirfd, path, (ulong)flags, 0, (ulong)resolve);
            ulong number = 0;
            if (expected >= 0)
            {
                HostFiles.Stat((int)expected, out Statx stat);
                number = stat.stx_ino;
                HostCalls.Close(expected);
            }
            foreach (TestFiles tree in trees)
            {
                Errno error = PathOperations.Open(
                    tree.Caller, TestFiles.Cwd, path, new OpenHow { Flags = (ulong)flags, Resolve = (ulong)resolve }, out FileDescription? file);
                Assert.True((long)error == Math.Max(0, -expected), $"{path} {flags} {resolve}: {error}, the host {expected}");
                if (file is null)
                    continue;
                Assert.Equal(Errno.OK, file.GetStat(out FileStat found));
                Assert.True(found.Ino == number, path);
                file.DropReference();
            }
        }
        HostCalls.Close(dirfd);
    }

    [Fact]
    public void Dot_dot_stays_in_the_root_and_leaves_mounts()
    {
        TestFiles files = _tree.Overlay();
        Caller caller = files.Caller;
        Assert.Equal(Errno.OK, VfsRoot.MountAt(files.Mounts, new Kernel.FileSystems.Tmp.TmpFileSystem(TestTree.Frames), "/a/b", MountFlags.None));
        Assert.Equal(Errno.OK, files.Mkdir("/a/b/inside"));
        Assert.Equal(Errno.OK, PathOperations.Walk(in caller, TestFiles.Cwd, "/a/b/inside/../../b", LookupFlags.None, out VfsPath place));
        Assert.Equal("/a/b", place.ToText(files.Mounts.Root.RootPath));
        Assert.Equal(Errno.OK, PathOperations.Walk(in caller, TestFiles.Cwd, "/a/b/..", LookupFlags.None, out place));
        Assert.Equal("/a", place.ToText(files.Mounts.Root.RootPath));
        Assert.Equal(Errno.EXDEV, PathOperations.Walk(in caller, TestFiles.Cwd, "/a/b", LookupFlags.None, out _, ResolveFlags.RESOLVE_NO_XDEV));
        Assert.Equal(Errno.EBUSY, files.Rmdir("/a/b"));
        Assert.Equal(Errno.EXDEV, files.Rename("/f", "/a/b/f"));
        Assert.Equal(Errno.ENOENT, files.TryStat("/a/b/c", 0, out _));
    }

    [Fact]
    public void Remembered_walks_allocate_nothing()
    {
        TestFiles files = _tree.Overlay();
        Caller caller = files.Caller;
        const string Path = "/la/b/c/../../../labs/c/f";
        Assert.Equal(Errno.OK, PathOperations.Walk(in caller, TestFiles.Cwd, Path, LookupFlags.Follow, out _));
        for (int i = 0; i < 100; i++)
            PathOperations.Walk(in caller, TestFiles.Cwd, Path, LookupFlags.Follow, out _);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            PathOperations.Walk(in caller, TestFiles.Cwd, Path, LookupFlags.Follow, out _);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void A_directory_that_the_host_replaces_is_found_again()
    {
        TestFiles files = _tree.Overlay();
        Assert.Equal(Errno.OK, files.TryStat("/a/b/c/f", 0, out _));
        Directory.Delete(_tree.HostPath + "/a/b", true);
        HostCalls.Mkdir(_tree.HostPath + "/a/b");
        File.WriteAllText(_tree.HostPath + "/a/b/new", "new");
        Assert.Equal("new"u8.ToArray(), files.ReadAll("/a/b/new"));
    }
}
