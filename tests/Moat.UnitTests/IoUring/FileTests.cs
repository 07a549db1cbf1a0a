using System.Text;
using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Events;
using Moat.Kernel.IoUring;
using Moat.Kernel.Pipes;
using Moat.Kernel.Syscalls;
using Xunit;

namespace Moat.UnitTests.IoUring;

[Collection("io_uring")]
public sealed class FileTests
{
    private static (int Read, int Write) Pipe(RingHarness ring)
    {
        PipeFile.Create(0, ring.Task.Credentials, out PipeFile read, out PipeFile write);
        return (ring.Install(read), ring.Install(write));
    }

    private static void Transfer(ref IoUringSqe sqe, ulong address, uint length, ulong offset = ulong.MaxValue)
    {
        sqe.addr = address;
        sqe.len = length;
        sqe.off = offset;
    }

    private static string Text(RingHarness ring, ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.Equal(Errno.OK, ring.Task.Mm.CopyIn(new UserPtr(address), bytes));
        return Encoding.Latin1.GetString(bytes);
    }

    private static void Put(RingHarness ring, ulong address, string text)
        => Assert.Equal(Errno.OK, ring.Task.Mm.CopyOut(new UserPtr(address), Encoding.Latin1.GetBytes(text)));

    [Fact]
    public void PipeReadWaitsForData()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(8192);
        Put(ring, memory + 4096, "hello");
        Transfer(ref ring.Next(IoUringOp.READ, 1, fd: read), memory, 100);
        ring.Submit(1);
        Assert.Equal("", ring.Take());
        Transfer(ref ring.Next(IoUringOp.WRITE, 2, fd: write), memory + 4096, 5);
        ring.Submit(1);
        Assert.Equal("2:5 1:5", ring.Take(2));
        Assert.Equal("hello", Text(ring, memory, 5));
    }

    [Fact]
    public void VectorsAreCopiedAtSubmission()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(8192);
        Put(ring, memory + 4096, "abcdef");
        ulong vectors = ring.MapValue(new IoVec { Base = memory, Length = 2 });
        ring.Task.Mm.Write(new UserPtr<IoVec>(vectors + 16), new IoVec { Base = memory + 100, Length = 4 });
        Transfer(ref ring.Next(IoUringOp.READV, 1, fd: read), vectors, 2);
        ring.Submit(1);
        ring.Task.Mm.Write(new UserPtr<IoVec>(vectors), new IoVec { Base = 0, Length = 7 });
        Transfer(ref ring.Next(IoUringOp.WRITE, 2, fd: write), memory + 4096, 6);
        ring.Submit(1);
        Assert.Equal("2:6 1:6", ring.Take(2));
        Assert.Equal("ab", Text(ring, memory, 2));
        Assert.Equal("cdef", Text(ring, memory + 100, 4));
    }

    [Fact]
    public void ShortTransferBreaksTheChain()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(4096);
        Transfer(ref ring.Next(IoUringOp.WRITE, 1, fd: write), memory, 3);
        Transfer(ref ring.Next(IoUringOp.READ, 2, SqeFlags.IO_LINK, read), memory, 100);
        ring.Next(IoUringOp.NOP, 3);
        ring.Submit(3);
        Assert.Equal("1:3 2:3 3:-125", ring.Take(3));
    }

    [Fact]
    public void BadBuffersAndDescriptors()
    {
        using RingHarness ring = new(16);
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(4096);
        Transfer(ref ring.Next(IoUringOp.READ, 1, fd: 99), memory, 1);
        Transfer(ref ring.Next(IoUringOp.READ, 2, fd: write), memory, 1);
        Transfer(ref ring.Next(IoUringOp.WRITE, 3, fd: read), memory, 1);
        Transfer(ref ring.Next(IoUringOp.WRITE, 4, fd: write), 8, 1);
        Transfer(ref ring.Next(IoUringOp.READ, 5, SqeFlags.FIXED_FILE, 0), memory, 1);
        Transfer(ref ring.Next(IoUringOp.READ, 6, SqeFlags.BUFFER_SELECT, read), memory, 1);
        Transfer(ref ring.Next(IoUringOp.READ_FIXED, 7, fd: read), memory, 1);
        Assert.Equal(7, ring.Submit(7));
        Assert.Equal("1:-9 2:-9 3:-9 4:-14 5:-9 6:-105 7:-14", ring.Take());
        Transfer(ref ring.Next(IoUringOp.WRITE, 8, SqeFlags.BUFFER_SELECT, write), memory, 1);
        Assert.Equal(1, ring.Submit(1));
        Transfer(ref ring.Next(IoUringOp.READ, 9, fd: read), 0xffff800000000000, 1);
        Assert.Equal(1, ring.Submit(1));
        Transfer(ref ring.Next(IoUringOp.READV, 10, fd: read), 8, 1);
        Assert.Equal(1, ring.Submit(1));
        Assert.Equal("8:-95 9:-14 10:-14", ring.Take());
    }

    [Fact]
    public void RegisteredFilesAndBuffers()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(8192);
        Put(ring, memory + 4096, "fixed");
        ulong fds = ring.MapValue((uint)read | ((ulong)write << 32));
        ring.Task.Mm.Write(new UserPtr<int>(fds + 8), -1);
        Assert.Equal(0, ring.Register(IoUringRegisterOp.REGISTER_FILES, fds, 3));
        Assert.Equal(-(int)Errno.EBUSY, ring.Register(IoUringRegisterOp.REGISTER_FILES, fds, 3));
        ulong buffers = ring.MapValue(new IoVec { Base = memory, Length = 8192 });
        Assert.Equal(0, ring.Register(IoUringRegisterOp.REGISTER_BUFFERS, buffers, 1));
        // The registrations hold what they need.
        ring.Task.Files.Close(read);
        ring.Task.Files.Close(write);
        Transfer(ref ring.Next(IoUringOp.WRITE_FIXED, 1, SqeFlags.FIXED_FILE, 1), memory + 4096, 5);
        Transfer(ref ring.Next(IoUringOp.READ_FIXED, 2, SqeFlags.FIXED_FILE, 0), memory + 10, 100);
        Transfer(ref ring.Next(IoUringOp.READ_FIXED, 3, SqeFlags.FIXED_FILE, 2), memory, 1);
        Transfer(ref ring.Next(IoUringOp.READ_FIXED, 4, SqeFlags.FIXED_FILE, 0), memory + 8000, 1000);
        ring.Submit(4);
        Assert.Equal("1:5 2:5 3:-9 4:-14", ring.Take());
        Assert.Equal("fixed", Text(ring, memory + 10, 5));
        // A request in flight keeps its file although the table drops it.
        Transfer(ref ring.Next(IoUringOp.READ_FIXED, 5, SqeFlags.FIXED_FILE, 0), memory, 1);
        ring.Submit(1);
        ulong update = ring.MapValue(new IoUringRsrcUpdate { offset = 1, data = ring.MapValue(-1) });
        Assert.Equal(1, ring.Register(IoUringRegisterOp.REGISTER_FILES_UPDATE, update, 1));
        Assert.Equal("5:0", ring.Take(1));
        Assert.Equal(0, ring.Register(IoUringRegisterOp.UNREGISTER_FILES, 0, 0));
        Assert.Equal(-(int)Errno.ENXIO, ring.Register(IoUringRegisterOp.UNREGISTER_FILES, 0, 0));
        Assert.Equal(0, ring.Register(IoUringRegisterOp.UNREGISTER_BUFFERS, 0, 0));
    }

    [Fact]
    public void EventfdIsSignalled()
    {
        using RingHarness ring = new();
        EventFd eventfd = new(0, semaphore: false, 0);
        int fd = ring.Install(eventfd);
        Assert.Equal(0, ring.Register(IoUringRegisterOp.REGISTER_EVENTFD, ring.MapValue(fd), 1));
        Assert.Equal(-(int)Errno.EBUSY, ring.Register(IoUringRegisterOp.REGISTER_EVENTFD, ring.MapValue(fd), 1));
        for (uint i = 0; i < 5; i++)
            ring.Next(IoUringOp.NOP, i);
        ring.Submit(5);
        Assert.Equal(PollEvents.POLLIN, eventfd.Poll() & PollEvents.POLLIN);
        ulong memory = ring.Map(4096);
        unsafe
        {
            *ring.CqFlags = (uint)CqRingFlags.EVENTFD_DISABLED;
        }
        Transfer(ref ring.Next(IoUringOp.READ, 9, fd: fd), memory, 8);
        ring.Submit(1);
        Assert.Equal(PollEvents.None, eventfd.Poll() & PollEvents.POLLIN);
        ring.Take();
    }

    [Fact]
    public void PollsOnceAndManyTimes()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(4096);
        ring.Next(IoUringOp.POLL_ADD, 1, fd: read).poll32_events = (uint)PollEvents.POLLIN;
        ref IoUringSqe multi = ref ring.Next(IoUringOp.POLL_ADD, 2, fd: read);
        multi.poll32_events = (uint)PollEvents.POLLIN;
        multi.len = 1;
        ring.Submit(2);
        Assert.Equal("", ring.Take());
        for (int i = 0; i < 2; i++)
        {
            Transfer(ref ring.Next(IoUringOp.WRITE, 3, fd: write), memory, 1);
            ring.Submit(1);
        }
        string all = ring.Take(5);
        Assert.Equal(["1:1", "2:1:2", "2:1:2", "3:1", "3:1"], all.Split(' ').Order(StringComparer.Ordinal));
        ring.Next(IoUringOp.POLL_REMOVE, 4).addr = 2;
        ring.Next(IoUringOp.POLL_REMOVE, 5).addr = 1;
        ring.Submit(2);
        Assert.Equal("4:0 5:-2 2:-125", ring.Take());
    }

    [Fact]
    public void PollIsUpdated()
    {
        using RingHarness ring = new();
        (int read, _) = Pipe(ring);
        ring.Next(IoUringOp.POLL_ADD, 1, fd: read).poll32_events = (uint)PollEvents.POLLPRI;
        ref IoUringSqe update = ref ring.Next(IoUringOp.POLL_REMOVE, 2);
        update.addr = 1;
        update.off = 7;
        update.len = (uint)PollAddFlags.UPDATE_USER_DATA;
        ring.Submit(2);
        Assert.Equal("2:0", ring.Take());
        ring.Next(IoUringOp.ASYNC_CANCEL, 3).addr = 1;
        ring.Next(IoUringOp.ASYNC_CANCEL, 4).addr = 7;
        ring.Submit(2);
        Assert.Equal("3:-2 4:0 7:-125", ring.Take());
    }

    [Fact]
    public void CancelsByFileOpcodeAndAll()
    {
        using RingHarness ring = new(16);
        (int first, _) = Pipe(ring);
        (int second, _) = Pipe(ring);
        ulong memory = ring.Map(4096);
        void Start()
        {
            Transfer(ref ring.Next(IoUringOp.READ, 1, fd: first), memory, 1);
            Transfer(ref ring.Next(IoUringOp.READ, 2, fd: second), memory, 1);
            ring.Next(IoUringOp.POLL_ADD, 3, fd: second).poll32_events = (uint)PollEvents.POLLIN;
            ref IoUringSqe timeout = ref ring.Next(IoUringOp.TIMEOUT, 4);
            timeout.addr = ring.MapValue(new Timespec { Seconds = 1000 });
            timeout.len = 1;
            ring.Submit(4);
        }

        Start();
        ring.Next(IoUringOp.ASYNC_CANCEL, 10, fd: second).cancel_flags = (uint)(CancelFlags.FD | CancelFlags.ALL);
        ring.Submit(1);
        Assert.Equal(["10:2", "2:-125", "3:-125"], ring.Take().Split(' ').Order(StringComparer.Ordinal));
        ref IoUringSqe byOp = ref ring.Next(IoUringOp.ASYNC_CANCEL, 11);
        byOp.cancel_flags = (uint)CancelFlags.OP;
        byOp.len = (uint)IoUringOp.TIMEOUT;
        ring.Submit(1);
        Assert.Equal("11:0 4:-125", ring.Take());
        ring.Next(IoUringOp.ASYNC_CANCEL, 12).cancel_flags = (uint)CancelFlags.ANY;
        ring.Submit(1);
        Assert.Equal("12:1 1:-125", ring.Take());
        ring.Next(IoUringOp.ASYNC_CANCEL, 13).cancel_flags = (uint)CancelFlags.ANY;
        ring.Submit(1);
        Assert.Equal("13:0", ring.Take());
    }

    [Fact]
    public void AsyncGoesToAWorker()
    {
        using RingHarness ring = new(64);
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(4096);
        for (uint i = 0; i < 32; i++)
            ring.Next(IoUringOp.NOP, i, SqeFlags.ASYNC);
        Transfer(ref ring.Next(IoUringOp.READ, 100, SqeFlags.ASYNC, read), memory, 1);
        ring.Submit(33);
        Assert.Equal(32, ring.Take(32).Split(' ').Length);
        Transfer(ref ring.Next(IoUringOp.WRITE, 101, SqeFlags.ASYNC, write), memory, 1);
        ring.Submit(1);
        Assert.Equal(["100:1", "101:1"], ring.Take(2).Split(' ').Order(StringComparer.Ordinal));
        Assert.Equal(32, ring.Ring.Statistics.Count(IoUringOp.NOP, ServedBy.Worker));
        Assert.True(ring.Ring.Statistics.Percentile(0.5) > 0);
    }

    [Fact]
    public void SpliceWaitsForEitherSide()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        (int read2, int write2) = Pipe(ring);
        ulong memory = ring.Map(4096);
        ref IoUringSqe splice = ref ring.Next(IoUringOp.SPLICE, 1, fd: write2);
        splice.splice_fd_in = read;
        splice.splice_off_in = splice.off = ulong.MaxValue;
        splice.len = 5;
        ring.Submit(1);
        Assert.Equal("", ring.Take());
        Put(ring, memory, "hello");
        Transfer(ref ring.Next(IoUringOp.WRITE, 2, fd: write), memory, 5);
        ring.Submit(1);
        Assert.Equal("2:5 1:5", ring.Take(2));
        Transfer(ref ring.Next(IoUringOp.READ, 3, fd: read2), memory + 100, 10);
        ring.Submit(1);
        Assert.Equal("3:5", ring.Take());
        Assert.Equal("hello", Text(ring, memory + 100, 5));
    }

    [Fact]
    public void ARingThatPollsItselfEnds()
    {
        using RingHarness ring = new();
        AddReference(ring);
        int fd = ring.Install(ring.Ring);
        ref IoUringSqe multi = ref ring.Next(IoUringOp.POLL_ADD, 1, fd: fd);
        multi.poll32_events = (uint)PollEvents.POLLIN;
        multi.len = 1;
        ring.Submit(1);
        ring.Next(IoUringOp.NOP, 2);
        ring.Submit(1);
        Assert.Equal("2:0 1:1", ring.Take(2));
    }

    private static void AddReference(RingHarness ring) => ring.Ring.AddReference();

    [Fact]
    public void ATaskThatEndsCancelsItsRequests()
    {
        using RingHarness ring = new();
        (int read, int write) = Pipe(ring);
        ulong memory = ring.Map(4096);
        Moat.Kernel.Tasks.Task other = RingHarness.NewTask(RingHarness.Sentry, ring.Task);
        Transfer(ref ring.Next(IoUringOp.READ, 1, fd: read), memory, 1);
        ring.Publish();
        Assert.Equal(1, ring.Ring.Enter(other, 1, 0, 0, 0, 0).Value);
        other.EndIoUring(exec: false);
        Assert.Equal("", ring.Take());
        Transfer(ref ring.Next(IoUringOp.WRITE, 2, fd: write), memory, 1);
        ring.Submit(1);
        Assert.Equal("2:1 1:-125", ring.Take(2));
    }
}
