using System.Runtime.InteropServices;
using System.Text;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.FileSystems.Host;
using Moat.Kernel.FileSystems.Overlay;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Xunit;

namespace Moat.UnitTests.Vfs;

/// <summary>A host directory of its own and file trees over it.</summary>
internal sealed class TestTree : IDisposable
{
    private static readonly Lazy<FrameAllocator> s_frames = new(() => new FrameAllocator(MemoryFile.Create()));
    private readonly HostHandleCache _handles = new(64);

    public TestTree()
    {
        HostFiles.ClearUmask();
        HostPath = Directory.CreateTempSubdirectory("moat-vfs-").FullName;
    }

    public string HostPath { get; }

    public static FrameAllocator Frames => s_frames.Value;

    public void Dispose()
    {
        _handles.Clear();
        Directory.Delete(HostPath, true);
    }

    public HostFileSystem OpenHost(bool isLower)
    {
        Assert.Equal(Errno.OK, HostFileSystem.Open(HostPath, isLower, isLower, _handles, out HostFileSystem? host));
        return host!;
    }

    public TestFiles Overlay() => new(new OverlayFileSystem(OpenHost(true), Frames));

    public TestFiles Volume() => new(OpenHost(false));

    public static TestFiles Tmp() => new(new TmpFileSystem(Frames));

    /// <summary>A tmpfs whose memory nobody else uses.</summary>
    public static TestFiles Tmp(out FrameAllocator frames)
    {
        frames = new FrameAllocator(MemoryFile.Create());
        return new TestFiles(new TmpFileSystem(frames));
    }
}

/// <summary>Operations on a tree from its root as user 0, with the results of system calls.</summary>
internal sealed class TestFiles(FileSystem root)
{
    public MountTable Mounts { get; } = new(root);

    public Caller Caller
    {
        get
        {
            _fs ??= new FsContext(Mounts.Root.RootPath) { Umask = 0 };
            return new Caller(new Credentials(), _fs, _files, null);
        }
    }

    private readonly FdTable _files = new();
    private FsContext? _fs;

    public const int Cwd = -100;

    public FileDescription OpenFile(string path, OpenFlags flags, uint mode = 0x1a4)
    {
        Errno error = TryOpen(path, flags, mode, out FileDescription? file);
        Assert.Equal(Errno.OK, error);
        return file!;
    }

    public Errno TryOpen(string path, OpenFlags flags, uint mode, out FileDescription? file)
        => PathOperations.Open(Caller, Cwd, path, PathOperations.HowFor(flags, mode), out file);

    public Errno Mkdir(string path, uint mode = 0x1ff) => PathOperations.MakeDirectory(Caller, Cwd, path, mode);

    public Errno Symlink(string target, string path) => PathOperations.MakeLink(Caller, target, Cwd, path);

    public Errno Link(string from, string to) => PathOperations.Link(Caller, Cwd, from, Cwd, to, 0);

    public Errno Unlink(string path) => PathOperations.Unlink(Caller, Cwd, path, 0);

    public Errno Rmdir(string path) => PathOperations.Unlink(Caller, Cwd, path, AtFlags.AT_REMOVEDIR);

    public Errno Rename(string from, string to, RenameFlags flags = 0) => PathOperations.Rename(Caller, Cwd, from, Cwd, to, flags);

    public FileStat Stat(string path, AtFlags flags = AtFlags.AT_SYMLINK_NOFOLLOW)
    {
        Assert.Equal(Errno.OK, TryStat(path, flags, out FileStat stat));
        return stat;
    }

    public Errno TryStat(string path, AtFlags flags, out FileStat stat) => PathOperations.Stat(Caller, Cwd, path, flags, out stat, out _);

    public void WriteAll(string path, byte[] content)
    {
        FileDescription file = OpenFile(path, OpenFlags.O_WRONLY | OpenFlags.O_CREAT | OpenFlags.O_TRUNC);
        Assert.Equal(content.Length, (int)Io.Write(file, content, 0).Value);
        file.DropReference();
    }

    public byte[] ReadAll(string path)
    {
        FileDescription file = OpenFile(path, OpenFlags.O_RDONLY);
        byte[] content = Io.ReadAll(file);
        file.DropReference();
        return content;
    }

    public List<string> List(string path, int bufferSize = 4096)
    {
        FileDescription file = OpenFile(path, OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY);
        List<string> names = Io.List(file, bufferSize);
        file.DropReference();
        return names;
    }
}

/// <summary>Reading and writing descriptions from managed arrays.</summary>
internal static unsafe class Io
{
    public static SysResult Read(FileDescription file, byte[] buffer, long offset)
    {
        fixed (byte* p = buffer)
        {
            using IoVector vector = new();
            vector.Add(p, (ulong)buffer.Length);
            return FileOperations.Read(file, vector, offset, RwFlags.None);
        }
    }

    public static SysResult Write(FileDescription file, byte[] data, long offset, RwFlags flags = RwFlags.None)
    {
        fixed (byte* p = data)
        {
            using IoVector vector = new();
            vector.Add(p, (ulong)data.Length);
            return FileOperations.Write(file, vector, offset, flags);
        }
    }

    public static byte[] ReadAll(FileDescription file)
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[65536];
        for (long at = 0; ;)
        {
            SysResult n = Read(file, buffer, at);
            Assert.False(n.IsError);
            if (n.Value == 0)
                return all.ToArray();
            all.Write(buffer, 0, (int)n.Value);
            at += n.Value;
        }
    }

    public static List<string> List(FileDescription file, int bufferSize)
    {
        List<string> names = [];
        byte[] buffer = new byte[bufferSize];
        while (true)
        {
            DirectoryEmitter emitter = new(buffer, false);
            Assert.Equal(Errno.OK, file.ReadDirectory(ref emitter));
            if (emitter.Written == 0)
                return names;
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, emitter.Written); rest.Length > 0;)
            {
                int size = MemoryMarshal.Read<ushort>(rest[16..]);
                ReadOnlySpan<byte> name = rest[19..size];
                names.Add(Encoding.Latin1.GetString(name[..name.IndexOf((byte)0)]));
                rest = rest[size..];
            }
        }
    }
}
