using System.Runtime.CompilerServices;

namespace Moat.Abi;

#pragma warning disable CS1591 // Linux's own names; io_uring_setup(2) and io_uring_register(2) describe each.

/// <summary>struct io_sqring_offsets: where the words of the submission ring are in its mapping, bytes.</summary>
public struct IoSqringOffsets
{
    public uint head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    public ulong user_addr;
}

/// <summary>struct io_cqring_offsets: where the words of the completion ring are in its mapping, bytes.</summary>
public struct IoCqringOffsets
{
    public uint head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    public ulong user_addr;
}

/// <summary>struct io_uring_params: 120 bytes, in and out of io_uring_setup(2).</summary>
public struct IoUringParams
{
    public uint sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv0, resv1, resv2;
    public IoSqringOffsets sq_off;
    public IoCqringOffsets cq_off;
}

/// <summary>struct io_uring_getevents_arg: the argument of IORING_ENTER_EXT_ARG.</summary>
public struct IoUringGeteventsArg
{
    public ulong sigmask;
    public uint sigmask_sz, min_wait_usec;
    public ulong ts;
}

/// <summary>struct io_uring_probe_op.</summary>
public struct IoUringProbeOp
{
    public byte op, resv;
    public ushort flags;
    public uint resv2;
}

/// <summary>struct io_uring_probe without its array of operations: 16 bytes.</summary>
public struct IoUringProbe
{
    public byte last_op, ops_len;
    public ushort resv;
    public uint resv2_0, resv2_1, resv2_2;
}

/// <summary>struct io_uring_files_update, which struct io_uring_rsrc_update equals.</summary>
public struct IoUringRsrcUpdate
{
    public uint offset, resv;
    public ulong data;
}

/// <summary>struct io_uring_rsrc_register: FILES2 and BUFFERS2.</summary>
public struct IoUringRsrcRegister
{
    public uint nr, flags;
    public ulong resv2, data, tags;
}

/// <summary>struct io_uring_rsrc_update2: FILES_UPDATE2 and BUFFERS_UPDATE.</summary>
public struct IoUringRsrcUpdate2
{
    public uint offset, resv;
    public ulong data, tags;
    public uint nr, resv2;
}

/// <summary>struct io_uring_file_index_range: FILE_ALLOC_RANGE.</summary>
public struct IoUringFileIndexRange
{
    public uint off, len;
    public ulong resv;
}

/// <summary>struct io_uring_sync_cancel_reg: 64 bytes.</summary>
public struct IoUringSyncCancelReg
{
    public ulong addr;
    public int fd;
    public uint flags;
    public Timespec timeout;
    public byte opcode;
    public Pad7 pad;
    public ulong pad2_0, pad2_1, pad2_2;

    /// <summary>Seven bytes that must be zero.</summary>
    [InlineArray(7)]
    public struct Pad7
    {
        private byte _first;
    }
}

/// <summary>struct io_uring_clone_buffers: 32 bytes.</summary>
public struct IoUringCloneBuffers
{
    public uint src_fd, flags, src_off, dst_off, nr, pad0, pad1, pad2;
}

/// <summary>struct io_uring_restriction: 16 bytes; <see cref="value"/> is register_op, sqe_op or sqe_flags.</summary>
public struct IoUringRestriction
{
    public ushort opcode;
    public byte value, resv;
    public uint resv2_0, resv2_1, resv2_2;
}

/// <summary>struct io_uring_napi: 16 bytes.</summary>
public struct IoUringNapi
{
    public uint busy_poll_to;
    public byte prefer_busy_poll, opcode, pad0, pad1;
    public uint op_param, resv;
}

/// <summary>struct io_uring_query_hdr: QUERY; 40 bytes.</summary>
public struct IoUringQueryHdr
{
    public ulong next_entry, query_data;
    public uint query_op, size;
    public int result;
    public uint resv0, resv1, resv2;
}

/// <summary>struct io_uring_query_opcode: 48 bytes.</summary>
public struct IoUringQueryOpcode
{
    public uint nr_request_opcodes, nr_register_opcodes;
    public ulong feature_flags, ring_setup_flags, enter_flags, sqe_flags;
    public uint nr_query_opcodes, pad;
}

/// <summary>struct io_uring_mem_region_reg: MEM_REGION; 32 bytes.</summary>
public struct IoUringMemRegionReg
{
    public ulong region_uptr, flags, resv0, resv1;
}

/// <summary>struct io_uring_region_desc: 64 bytes.</summary>
public struct IoUringRegionDesc
{
    public ulong user_addr, size;
    public uint flags, id;
    public ulong mmap_offset, resv0, resv1, resv2, resv3;
}

/// <summary>struct io_uring_zcrx_ifq_reg: ZCRX_IFQ; 96 bytes.</summary>
public struct IoUringZcrxIfqReg
{
    /// <summary>sizeof(struct io_uring_zcrx_area_reg).</summary>
    public const int AreaSize = 48;

    public uint if_idx, if_rxq, rq_entries, flags;
    public ulong area_ptr, region_ptr;

    /// <summary>struct io_uring_zcrx_offsets.</summary>
    public uint head, tail, rqes, off_resv2;
    public ulong off_resv0, off_resv1;
    public uint zcrx_id, pad;
    public ulong resv0, resv1, resv2;
}

/// <summary>struct io_uring_buf: one entry of a buffer ring; the first one's resv is the ring's tail.</summary>
public struct IoUringBuf
{
    public ulong addr;
    public uint len;
    public ushort bid, resv;
}

/// <summary>struct io_uring_buf_reg: PBUF_RING; 40 bytes.</summary>
public struct IoUringBufReg
{
    public ulong ring_addr;
    public uint ring_entries;
    public ushort bgid, flags;
    public uint min_left, resv0;
    public ulong resv1, resv2;
}

/// <summary>struct io_uring_buf_status: PBUF_STATUS; 40 bytes.</summary>
public struct IoUringBufStatus
{
    public uint buf_group, head;
    public ulong resv0, resv1, resv2, resv3;
}

/// <summary>struct io_uring_clock_register: 16 bytes.</summary>
public struct IoUringClockRegister
{
    public uint clockid, resv0, resv1, resv2;
}
#pragma warning restore CS1591
