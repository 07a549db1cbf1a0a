using System.Runtime.InteropServices;

namespace Moat.Kernel.Aio;

/// <summary>IOCB_CMD_ numbers of io_submit(2).</summary>
internal enum AioCommand : ushort
{
    IOCB_CMD_PREAD = 0,
    IOCB_CMD_PWRITE = 1,
    IOCB_CMD_FSYNC = 2,
    IOCB_CMD_FDSYNC = 3,
    IOCB_CMD_POLL = 5,
    IOCB_CMD_NOOP = 6,
    IOCB_CMD_PREADV = 7,
    IOCB_CMD_PWRITEV = 8,
}

/// <summary>struct iocb, with Linux's names.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Iocb
{
    public const int Size = 64, KeyOffset = 8;

    /// <summary>Flags: an eventfd is told of the end; aio_reqprio means something.</summary>
    public const uint IOCB_FLAG_RESFD = 1, IOCB_FLAG_IOPRIO = 2;

    public ulong aio_data;
    public uint aio_key;
    public int aio_rw_flags;
    public AioCommand aio_lio_opcode;
    public short aio_reqprio;
    public int aio_fildes;
    public ulong aio_buf;
    public ulong aio_nbytes;
    public long aio_offset;
    public ulong aio_reserved2;
    public uint aio_flags;
    public int aio_resfd;
}

/// <summary>struct io_event: what io_getevents(2) gives.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoEvent
{
    public const int Size = 32;

    public ulong data;

    /// <summary>Address of the struct iocb.</summary>
    public ulong obj;
    public long res;
    public long res2;
}
