using System.Diagnostics;
using System.Globalization;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.FileSystems.Tmp;
using Moat.Kernel.IoUring;
using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;
using Moat.UnitTests.IoUring;
using FileMode = Moat.Abi.FileMode;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.Bench;

/// <summary>
/// A ring driven in process, without a guest and without a switch: what a request costs from SQE to CQE, and what it allocates,
/// which has to be nothing.
/// </summary>
internal static unsafe class UringBench
{
    private const uint Entries = 256;

    private static string s_only = "";

    private static readonly Sentry s_sentry = new(new FakePlatform());

    public static int Run(string only)
    {
        s_only = only;
        Task task = NewTask();
        ulong memory = Map(task, 1 << 20);
        int tmp = Install(task, TmpFile(task)), host = Install(task, HostFile());
        bool clean = true;
        foreach (uint batch in (uint[])[1, 8, 32, 128])
        {
            clean &= Measure(task, $"NOP, batch {batch}", batch, 4_000_000, IoUringSetup.None, (ref IoUringSqe sqe, uint _) => sqe.opcode = (byte)IoUringOp.NOP);
        }
        clean &= Measure(task, "NOP, batch 32, deferred", 32, 4_000_000, IoUringSetup.DEFER_TASKRUN | IoUringSetup.SINGLE_ISSUER, (ref IoUringSqe sqe, uint _) => sqe.opcode = (byte)IoUringOp.NOP);
        clean &= Measure(task, "NOP, chains of 32", 32, 2_000_000, IoUringSetup.None, (ref IoUringSqe sqe, uint i) =>
        {
            sqe.opcode = (byte)IoUringOp.NOP;
            sqe.flags = i % 32 == 31 ? (byte)0 : (byte)SqeFlags.IO_LINK;
        });
        foreach ((string name, int fd) in (IEnumerable<(string, int)>)[("memory", tmp), ("host", host)])
        {
            foreach (uint batch in (uint[])[1, 32])
            {
                clean &= Measure(task, $"READ 4 KiB, {name} file, batch {batch}", batch, 400_000, IoUringSetup.None, (ref IoUringSqe sqe, uint i) =>
                {
                    sqe.opcode = (byte)IoUringOp.READ;
                    sqe.fd = fd;
                    sqe.addr = memory + ((i & 31) * 4096);
                    sqe.len = 4096;
                    sqe.off = (i & 63) * 4096;
                });
            }
        }
        clean &= Measure(task, "READ_FIXED 4 KiB, memory file, fixed, batch 32", 32, 400_000, IoUringSetup.None, (ref IoUringSqe sqe, uint i) =>
        {
            sqe.opcode = (byte)IoUringOp.READ_FIXED;
            sqe.flags = (byte)SqeFlags.FIXED_FILE;
            sqe.addr = memory + ((i & 31) * 4096);
            sqe.len = 4096;
            sqe.off = (i & 63) * 4096;
        }, (memory, 1 << 20, tmp));
        clean &= Measure(task, "POLL_ADD of a ready file, batch 32", 32, 1_000_000, IoUringSetup.None, (ref IoUringSqe sqe, uint _) =>
        {
            sqe.opcode = (byte)IoUringOp.POLL_ADD;
            sqe.fd = tmp;
            sqe.poll32_events = (uint)PollEvents.POLLIN;
        });
        Console.WriteLine(clean ? "nothing is allocated" : "REQUESTS ALLOCATE");
        return clean ? 0 : 1;
    }

    private delegate void Fill(ref IoUringSqe sqe, uint i);

    private static bool Measure(Task task, string name, uint batch, int requests, IoUringSetup flags, Fill fill, (ulong Buffer, ulong Length, int Fd)? register = null)
    {
        if (!name.Contains(s_only, StringComparison.Ordinal))
            return true;
        IoUringParams p = new() { flags = (uint)flags };
        Ring.Create(task, Entries, ref p, out Ring? made);
        Ring ring = made!;
        if (register is { } r)
        {
            ulong place = Map(task, 4096);
            task.Mm.Write(new Kernel.Syscalls.UserPtr<IoVec>(place), new IoVec { Base = r.Buffer, Length = r.Length });
            task.Mm.Write(new Kernel.Syscalls.UserPtr<int>(place + 16), r.Fd);
            ring.Register(task, IoUringRegisterOp.REGISTER_BUFFERS, new Kernel.Syscalls.UserPtr(place), 1);
            ring.Register(task, IoUringRegisterOp.REGISTER_FILES, new Kernel.Syscalls.UserPtr(place + 16), 1);
        }
        ring.Resolve(IoUringConst.IORING_OFF_SQ_RING, 4096, out Backing rings);
        ring.Resolve(IoUringConst.IORING_OFF_SQES, 4096, out Backing sqes);
        // SAFETY: the zones of a ring that lives until the end of this method.
        byte* sq = s_sentry.Frames.Pointer(rings.Offset);
        IoUringSqe* entries = (IoUringSqe*)s_sentry.Frames.Pointer(sqes.Offset);
        uint* array = (uint*)(sq + p.sq_off.array), sqTail = (uint*)(sq + p.sq_off.tail), cqHead = (uint*)(sq + p.cq_off.head), cqTail = (uint*)(sq + p.cq_off.tail);
        IoUringCqe* cqes = (IoUringCqe*)(sq + p.cq_off.cqes);
        for (uint i = 0; i < Entries; i++)
        {
            array[i] = i;
            entries[i] = default;
            entries[i].user_data = i;
            fill(ref entries[i], i);
        }
        uint tail = 0;
        long errors = 0;
        double best = double.MaxValue;
        long allocated = 0;
        // Many short rounds, of which the best counts: other processes do not disturb all of them.
        const int Warm = 20, Rounds = 100;
        for (int round = 0; round < Warm + Rounds; round++)
        {
            int batches = requests / (int)batch / Rounds;
            long before = GC.GetAllocatedBytesForCurrentThread(), begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < batches; i++)
            {
                tail += batch;
                Volatile.Write(ref *sqTail, tail);
                ring.Enter(task, batch, batch, IoUringEnter.GETEVENTS, 0, 8);
                uint end = Volatile.Read(ref *cqTail);
                for (uint at = *cqHead; at != end; at++)
                    errors += cqes[at & (p.cq_entries - 1)].res < 0 ? 1 : 0;
                Volatile.Write(ref *cqHead, end);
            }
            double each = Stopwatch.GetElapsedTime(begin).TotalNanoseconds / (batches * batch);
            if (round >= Warm)
            {
                best = Math.Min(best, each);
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            }
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name,-50} {best,7:F1} ns{(allocated != 0 ? $"  {allocated} bytes allocated" : "")}{(errors != 0 ? $"  {errors} ERRORS" : "")}"));
        ring.DropReference();
        return allocated == 0 && errors == 0;
    }

    private static Task NewTask()
    {
        int id = s_sentry.Tasks.Allocate();
        MemoryManager mm = new(s_sentry, s_sentry.Platform.CreateAddressSpace());
        return new Task(new ThreadGroup(s_sentry, id), id, mm, new FdTable(), new FsContext(), new Credentials()) { Thread = mm.CreateThread() };
    }

    private static ulong Map(Task task, ulong bytes)
        => (ulong)task.Mm.Map(new MapRequest { Length = bytes, Access = MapAccess.Read | MapAccess.Write, MaxAccess = MapRequest.All }).Value;

    private static int Install(Task task, FileDescription file) => (int)task.Files.Install(file, closeOnExec: false).Value;

    private static FileDescription TmpFile(Task task)
    {
        TmpFileSystem fs = new(s_sentry.Frames);
        VfsPath root = new MountTable(fs).Root.RootPath;
        Errno e = fs.Root.Create("f", new NewInode { Mode = FileMode.S_IFREG | 0x1b6 }, out Inode? inode);
        Dentry dentry = root.Dentry.Attach("f", inode!);
        VfsPath path = new(root.Mount, dentry);
        FileDescription? file = null;
        if (e == Errno.OK)
            e = inode!.Open(new Caller(task), path, OpenFlags.O_RDWR, out file);
        if (e != Errno.OK)
            throw new InvalidOperationException(e.ToString());
        file!.Path = path;
        byte[] data = new byte[64 * 4096];
        IoVector vector = new();
        fixed (byte* p = data)
        {
            // SAFETY: pinned for the write.
            vector.Add(p, (ulong)data.Length);
            long offset = 0;
            file.Write(vector, ref offset, RwFlags.None);
        }
        return file;
    }

    private static Kernel.FileSystems.Host.HostFile HostFile()
    {
        string name = Path.GetTempFileName();
        File.WriteAllBytes(name, new byte[64 * 4096]);
        fixed (byte* path = System.Text.Encoding.UTF8.GetBytes(name + "\0"))
        {
            long fd = HostSyscall.Call(2 /* open */, (long)path, 0);
            HostException.Check(fd, "opening a temporary file");
            File.Delete(name);
            return new Kernel.FileSystems.Host.HostFile(null, new Kernel.FileSystems.Host.HostHandle((int)fd), OpenFlags.O_RDONLY);
        }
    }
}
