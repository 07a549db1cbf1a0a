using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Pipes;
using Moat.Kernel.Tasks;
using Xunit;

namespace Moat.UnitTests.Events;

public sealed class PipeTests : IDisposable
{
    private const PollEvents In = PollEvents.POLLIN | PollEvents.POLLRDNORM, Out = PollEvents.POLLOUT | PollEvents.POLLWRNORM;

    private readonly Buffer _buffer = new(1 << 20);
    private readonly PipeFile _read, _write;

    public PipeTests() => PipeFile.Create(OpenFlags.O_RDONLY, new Credentials(), out _read, out _write);

    public void Dispose() => _buffer.Dispose();

    [Fact]
    public void BytesComeOutInOrder()
    {
        Random random = new(1);
        byte next = 0, expected = 0;
        long inside = 0;
        for (int i = 0; i < 20_000; i++)
        {
            int length = random.Next(1, 6000);
            if (random.Next(2) == 0)
            {
                Span<byte> bytes = _buffer.Bytes[..length];
                for (int k = 0; k < length; k++)
                    bytes[k] = (byte)(next + k);
                SysResult r = _buffer.Write(_write, length);
                if (r.IsError)
                    Assert.Equal(Errno.EAGAIN, r.Error);
                else if (length <= Pipe.PIPE_BUF)
                    Assert.Equal(length, r.Value);
                next += (byte)Math.Max(0, r.Value);
                inside += Math.Max(0, r.Value);
            }
            else
            {
                SysResult r = _buffer.Read(_read, length);
                Assert.Equal(inside == 0 ? -(long)Errno.EAGAIN : Math.Min(inside, length), r.Value);
                for (int k = 0; k < r.Value; k++)
                    Assert.Equal(expected++, _buffer.Bytes[k]);
                inside -= Math.Max(0, r.Value);
            }
            Assert.Equal(inside, _read.Pipe.BytesAvailable);
        }
    }

    [Fact]
    public void FillsTo64KiBAndNoFurther()
    {
        Assert.Equal(65536, _buffer.Write(_write, 70000).Value);
        Assert.Equal(Errno.EAGAIN, _buffer.Write(_write, 1).Error);
        Assert.Equal(PollEvents.None, _write.Poll());
        Assert.Equal(1, _buffer.Read(_read, 1).Value);
        // A slot is free only when all of its bytes are out.
        Assert.Equal(Errno.EAGAIN, _buffer.Write(_write, 1).Error);
        Assert.Equal(4095, _buffer.Read(_read, 4095).Value);
        Assert.Equal(Out, _write.Poll());
        Assert.Equal(4096, _buffer.Write(_write, 4096).Value);
    }

    [Fact]
    public void SmallWritesShareASlot()
    {
        for (int i = 0; i < 65536; i++)
            Assert.Equal(1, _buffer.Write(_write, 1).Value);
        Assert.Equal(Errno.EAGAIN, _buffer.Write(_write, 1).Error);
    }

    [Fact]
    public void EndsAreSeen()
    {
        Assert.Equal(PollEvents.None, _read.Poll());
        Assert.Equal(3, _buffer.Write(_write, 3).Value);
        _write.DropReference();
        Assert.Equal(In | PollEvents.POLLHUP, _read.Poll());
        Assert.Equal(3, _buffer.Read(_read, 10).Value);
        Assert.Equal(0, _buffer.Read(_read, 10).Value);
        Assert.Equal(PollEvents.POLLHUP, _read.Poll());
    }

    [Fact]
    public void WithoutReadersWritingFails()
    {
        _read.DropReference();
        Assert.Equal(Errno.EPIPE, _buffer.Write(_write, 1).Error);
        Assert.Equal(0, _buffer.Write(_write, 0).Value);
        Assert.Equal(Out | PollEvents.POLLERR, _write.Poll());
    }

    [Fact]
    public void PacketsKeepTheirBounds()
    {
        _write.SetFlags(OpenFlags.O_DIRECT);
        Assert.Equal(5000, _buffer.Write(_write, 5000).Value);
        Assert.Equal(10, _buffer.Write(_write, 10).Value);
        Assert.Equal(4096, _buffer.Read(_read, 5000).Value);
        Assert.Equal(904, _buffer.Read(_read, 5000).Value);
        // What a read leaves of a packet is lost.
        Assert.Equal(4, _buffer.Read(_read, 4).Value);
        Assert.Equal(Errno.EAGAIN, _buffer.Read(_read, 4).Error);
    }

    [Theory]
    [InlineData(0, 4096)]
    [InlineData(5000, 8192)]
    [InlineData(12289, 16384)]
    [InlineData(1 << 20, 1 << 20)]
    [InlineData((1 << 20) + 1, 1 << 21)]
    public void CapacityIsRoundedUp(int bytes, int result) => Assert.Equal(result, _read.PipeSize(bytes).Value);

    [Fact]
    public void OthersThanRootGetNoLargePipes()
        => Assert.Equal(Errno.EPERM, ((PipeFile)_read).Pipe.SetCapacity((1 << 20) + 1, new Credentials(1000, 1000, [])).Error);

    [Fact]
    public void CapacityCannotShrinkBelowContents()
    {
        Assert.Equal(8192, _buffer.Write(_write, 8192).Value);
        Assert.Equal(Errno.EBUSY, _read.PipeSize(4096).Error);
        Assert.Equal(8192, _read.PipeSize(8192).Value);
        Assert.Equal(8192, _buffer.Read(_read, 10000).Value);
    }

    [Fact]
    public void SpliceMovesAndTeeCopies()
    {
        PipeFile.Create(OpenFlags.O_RDONLY, new Credentials(), out PipeFile read, out PipeFile write);
        for (int i = 0; i < 10_000; i++)
            _buffer.Bytes[i] = (byte)(i * 7);
        Assert.Equal(10_000, _buffer.Write(_write, 10_000).Value);
        long? none = null;
        Assert.Equal(100, SpliceOperations.Tee(_read, write, 100, out _).Value);
        Assert.Equal(5000, SpliceOperations.Splice(_read, ref none, write, ref none, 5000, out _).Value);
        Assert.Equal(5000, _read.Pipe.BytesAvailable);
        Assert.Equal(5100, read.Pipe.BytesAvailable);
        // Shared pages are not appended to: the first pipe's bytes stay its own.
        _buffer.Bytes[..50].Clear();
        Assert.Equal(50, _buffer.Write(write, 50).Value);
        Assert.Equal(5150, _buffer.Read(read, 6000).Value);
        for (int i = 0; i < 100; i++)
            Assert.Equal((byte)(i * 7), _buffer.Bytes[i]);
        for (int i = 0; i < 5000; i++)
            Assert.Equal((byte)(i * 7), _buffer.Bytes[100 + i]);
        Assert.Equal(5000, _buffer.Read(_read, 6000).Value);
        for (int i = 0; i < 5000; i++)
            Assert.Equal((byte)((5000 + i) * 7), _buffer.Bytes[i]);
        Assert.Equal(Errno.EAGAIN, SpliceOperations.Splice(_read, ref none, write, ref none, 1, out SpliceWait wait).Error);
        Assert.Same(_read, wait.File);
        _write.DropReference();
        Assert.Equal(0, SpliceOperations.Splice(_read, ref none, write, ref none, 1, out _).Value);
    }

    [Fact]
    public void FifoWaitsForItsOtherEnd()
    {
        Pipe fifo = new();
        Assert.Equal(Errno.ENXIO, PipeFile.OpenFifo(fifo, OpenFlags.O_WRONLY | OpenFlags.O_NONBLOCK, new Credentials(), waits: true, out _));
        Assert.Equal(Errno.OK, PipeFile.OpenFifo(fifo, OpenFlags.O_RDONLY, new Credentials(), waits: true, out Moat.Kernel.Vfs.FileDescription? reader));
        Assert.Equal(Errno.EAGAIN, reader!.FinishOpen());
        Assert.Same(fifo.OpenWaiters, reader.Waiters);
        Assert.Equal(Errno.OK, PipeFile.OpenFifo(fifo, OpenFlags.O_WRONLY, new Credentials(), waits: true, out Moat.Kernel.Vfs.FileDescription? writer));
        Assert.Equal(Errno.OK, writer!.FinishOpen());
        // A writer that came and went was there.
        writer.DropReference();
        Assert.Equal(Errno.OK, reader.FinishOpen());
        Assert.Equal(PollEvents.POLLHUP, reader.Poll());
        Assert.Equal(0, _buffer.Read(reader, 1).Value);
    }

    [Fact]
    public void FifoWithoutWriterYetIsNotHungUp()
    {
        Pipe fifo = new();
        Assert.Equal(Errno.OK, PipeFile.OpenFifo(fifo, OpenFlags.O_RDONLY | OpenFlags.O_NONBLOCK, new Credentials(), waits: true, out Moat.Kernel.Vfs.FileDescription? reader));
        Assert.Equal(Errno.OK, reader!.FinishOpen());
        Assert.Equal(PollEvents.None, reader.Poll());
        Assert.Equal(0, _buffer.Read(reader, 1).Value);
    }

    [Fact]
    public void ReadingAndWritingAllocateNothing()
    {
        for (int i = 0; i < 100; i++)
            Round();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            Round();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            _buffer.Write(_write, 9000);
            _buffer.Read(_read, 9000);
        }
    }
}
