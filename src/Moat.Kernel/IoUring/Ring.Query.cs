using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Time;

namespace Moat.Kernel.IoUring;

/// <summary>Registrations that ask or set one thing: what there is, the clock, the workers' limits.</summary>
internal sealed partial class Ring
{
    /// <summary>Which clock waits in io_uring_enter(2) use (CLOCK).</summary>
    private int _clock = HostClock.CLOCK_MONOTONIC;

    private static SysResult Probe(Task task, UserPtr argument, uint count)
    {
        // The header and the operations lie in the guest as one run of 8-byte words; they have to be zero when handed in.
        const int HeaderWords = 2, MaxWords = HeaderWords + 256;
        Span<ulong> words = stackalloc ulong[MaxWords];
        // What is asked for beyond the operations there are is not looked at.
        int known = Math.Min((int)count, OperationTable.Last + 1);
        words = words[..(HeaderWords + known)];
        Span<byte> bytes = MemoryMarshal.AsBytes(words);
        Errno e = task.Mm.CopyIn(argument, bytes);
        if (e != Errno.OK)
            return e;
        if (bytes.ContainsAnyExcept((byte)0))
            return Errno.EINVAL;
        Unsafe.As<ulong, IoUringProbe>(ref words[0]) = new IoUringProbe { last_op = (byte)OperationTable.Last, ops_len = (byte)known };
        for (int i = 0; i < known; i++)
        {
            bool there = OperationTable.Operations[i] is not null && task.Sentry.Uring.Policy?.Allows((IoUringOp)i) != false;
            Unsafe.As<ulong, IoUringProbeOp>(ref words[HeaderWords + i]) = new IoUringProbeOp
            {
                op = (byte)i,
                flags = there ? IoUringConst.IO_URING_OP_SUPPORTED : (ushort)0,
            };
        }
        return task.Mm.CopyOut(argument, bytes);
    }

    /// <summary>
    /// QUERY: a chain of questions in guest memory, each with its own result. EFAULT, EINVAL (an argument count), ERANGE (more than 1000).
    /// </summary>
    public static SysResult Query(Task task, UserPtr argument, uint count)
    {
        const int Most = 1000;
        if (count != 0)
            return Errno.EINVAL;
        UserPtr<IoUringQueryHdr> at = new(argument.Address);
        for (int i = 0; at.Address != 0; i++)
        {
            if (i == Most)
                return Errno.ERANGE;
            Errno e = task.Mm.Read(at, out IoUringQueryHdr header);
            if (e == Errno.OK)
                e = Answer(task, ref header);
            if (e == Errno.OK)
                e = task.Mm.Write(at, header);
            if (e != Errno.OK)
                return e;
            at = new UserPtr<IoUringQueryHdr>(header.next_entry);
        }
        return 0;
    }

    private static Errno Answer(Task task, ref IoUringQueryHdr header)
    {
        const uint QUERY_OPCODES = 0;
        IoUringQueryOpcode answer = new()
        {
            nr_request_opcodes = (uint)OperationTable.Last + 1,
            nr_register_opcodes = (uint)IoUringRegisterOp.LAST,
            feature_flags = (ulong)Features,
            ring_setup_flags = (ulong)AllowedSetup(task),
            enter_flags = 0xff,
            sqe_flags = 0x7f & (ulong)(task.Sentry.Uring.Policy?.SqeFlags ?? (SqeFlags)0x7f),
            nr_query_opcodes = 1,
        };
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<IoUringQueryOpcode>(ref answer));
        uint size = header.size;
        Errno wrong = header.query_op != QUERY_OPCODES ? Errno.EOPNOTSUPP
            : (header.resv0 | header.resv1 | header.resv2) != 0 || header.result != 0 || size == 0 ? Errno.EINVAL : Errno.OK;
        header.result = -(int)wrong;
        header.size = wrong == Errno.OK ? Math.Min((uint)bytes.Length, size) : 0;
        // What is larger than the answer is filled up with zeros.
        int told = (int)header.size;
        Errno e = Clear(task.Mm, header.query_data + (ulong)told, size - (ulong)told);
        return e == Errno.OK ? task.Mm.CopyOut(new UserPtr(header.query_data), bytes[..told]) : e;
    }

    private static Errno Clear(MemoryManager mm, ulong address, ulong length)
    {
        ReadOnlySpan<byte> zeros = stackalloc byte[4096];
        for (ulong done = 0; done < length; done += (ulong)zeros.Length)
        {
            Errno e = mm.CopyOut(new UserPtr(address + done), zeros[..(int)Math.Min(length - done, (ulong)zeros.Length)]);
            if (e != Errno.OK)
                return e;
        }
        return Errno.OK;
    }

    private SysResult RegisterClock(Task task, UserPtr argument)
    {
        Errno e = task.Mm.Read(new UserPtr<IoUringClockRegister>(argument.Address), out IoUringClockRegister clock);
        if (e != Errno.OK)
            return e;
        if ((clock.resv0 | clock.resv1 | clock.resv2) != 0 || clock.clockid is not (HostClock.CLOCK_MONOTONIC or HostClock.CLOCK_BOOTTIME))
            return Errno.EINVAL;
        _clock = (int)clock.clockid;
        return 0;
    }
}
