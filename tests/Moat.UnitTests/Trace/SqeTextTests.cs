using System.Text;
using Moat.Abi;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Trace;
using Moat.UnitTests.IoUring;
using Xunit;

namespace Moat.UnitTests.Trace;

[Collection("io_uring")]
public sealed class SqeTextTests
{
    private static string Text(RingHarness ring, in IoUringSqe sqe)
    {
        StringBuilder text = new();
        SqeText.Append(text, ring.Task.Mm, in sqe);
        return text.ToString();
    }

    [Fact]
    public void FieldsAreThoseOfTheOperation()
    {
        using RingHarness ring = new();
        ulong path = ring.Map(4096), time = ring.MapValue(new Timespec { Seconds = 1, Nanoseconds = 5 });
        Assert.Equal(Errno.OK, ring.Task.Mm.CopyOut(new UserPtr(path), "/a\nb\0"u8));
        IoUringSqe sqe = new() { opcode = (byte)IoUringOp.READ, fd = 3, addr = 0x1000, len = 10, off = ulong.MaxValue, rw_flags = 8, user_data = 0x77 };
        Assert.Equal("READ(fd=3, buf=0x1000, len=10, off=-1, rw_flags=RWF_NOWAIT), user_data=0x77", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.WRITE, flags = (byte)(SqeFlags.FIXED_FILE | SqeFlags.IO_LINK), addr = path, len = 4 };
        Assert.Equal("WRITE(fd=fixed 0, buf=\"/a\\nb\", len=4, off=0), flags=IOSQE_FIXED_FILE|IOSQE_IO_LINK, user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.OPENAT, fd = -100, addr = path, open_flags = 0x80041, len = 0x1a4, file_index = 3 };
        Assert.Equal("OPENAT(dfd=AT_FDCWD, path=\"/a\\nb\", open_flags=O_WRONLY|O_CREAT|O_CLOEXEC, mode=0644, file_index=2), user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.TIMEOUT, addr = time, off = 2, timeout_flags = 0x11 };
        Assert.Equal("TIMEOUT(ts={tv_sec=1, tv_nsec=5}, count=2, timeout_flags=IORING_TIMEOUT_ABS|IORING_LINK_TIMEOUT_UPDATE), user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.RECV, fd = 9, flags = (byte)SqeFlags.BUFFER_SELECT, ioprio = 3, buf_group = 5, personality = 6 };
        Assert.Equal("RECV(fd=9, buf=NULL, len=0, ioprio=IORING_RECVSEND_POLL_FIRST|IORING_RECV_MULTISHOT), flags=IOSQE_BUFFER_SELECT, buf_group=5, personality=6, "
            + "user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.SPLICE, splice_fd_in = 4, splice_off_in = ulong.MaxValue, fd = 5, len = 9, splice_flags = 0x80000011 };
        Assert.Equal("SPLICE(fd_in=4, off_in=-1, fd_out=5, off_out=0, len=9, splice_flags=SPLICE_F_MOVE|SPLICE_F_FD_IN_FIXED|0x10), user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = (byte)IoUringOp.FUTEX_WAKE, addr = 0x1000, addr2 = 1, addr3 = 0xff, fd = 0x82 };
        Assert.Equal("FUTEX_WAKE(uaddr=0x1000, val=1, mask=0xff, futex_flags=FUTEX2_SIZE_U32|FUTEX2_PRIVATE), user_data=0", Text(ring, in sqe));
        sqe = new IoUringSqe { opcode = 200, fd = 1 };
        Assert.Equal("<200>(fd=1, addr=NULL, len=0, off=0, rw_flags=0), user_data=0", Text(ring, in sqe));
    }

    [Fact]
    public void EveryOperationAndAnyFieldCanBeWritten()
    {
        using RingHarness ring = new();
        Random random = new(5);
        byte[] bytes = new byte[64];
        for (int round = 0; round < 20; round++)
        {
            for (int op = 0; op <= (int)IoUringOp.LAST; op++)
            {
                random.NextBytes(bytes);
                IoUringSqe sqe = System.Runtime.InteropServices.MemoryMarshal.Read<IoUringSqe>(bytes);
                sqe.opcode = (byte)op;
                string text = Text(ring, in sqe);
                Assert.StartsWith(OperationTable.NameOf((byte)op) + "(", text, StringComparison.Ordinal);
                Assert.Contains("user_data=0x", text, StringComparison.Ordinal);
            }
        }
    }
}
