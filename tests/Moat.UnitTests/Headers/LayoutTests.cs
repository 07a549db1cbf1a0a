using System.Reflection;
using System.Runtime.InteropServices;
using Moat.Abi;
using Xunit;

namespace Moat.UnitTests.Headers;

/// <summary>Sizes and offsets of Moat's structs are those of the system's headers.</summary>
public sealed class LayoutTests
{
    /// <summary>
    /// Struct, C's type, and C's names of fields that have another name here; "" for fields that C's headers lack or spell as
    /// arrays and padding.
    /// </summary>
    private static readonly (Type Type, string C, string Fields)[] s_structs =
    [
        (typeof(IoVec), "struct iovec", "Base=iov_base Length=iov_len"),
        (typeof(Timespec), "struct __kernel_timespec", "Seconds=tv_sec Nanoseconds=tv_nsec"),
        (typeof(Stat), "struct stat", "__pad0= st_atime=st_atim st_mtime=st_mtim st_ctime=st_ctim __unused0= __unused1= __unused2="),
        (typeof(StatxTimestamp), "struct statx_timestamp", "__reserved="),
        (typeof(Statx), "struct statx",
            "__spare0= __spare2= __spare3= stx_subvol= stx_atomic_write_unit_min= stx_atomic_write_unit_max= stx_atomic_write_segments_max="
            + " stx_dio_read_offset_align= stx_atomic_write_unit_max_opt="),
        (typeof(StatFs), "struct statfs", "f_fsid0=f_fsid f_fsid1= f_spare0=f_spare f_spare1= f_spare2= f_spare3="),
        (typeof(OpenHow), "struct open_how", "Flags=flags Mode=mode Resolve=resolve"),
        (typeof(ResourceLimit), "struct rlimit", "Current=rlim_cur Maximum=rlim_max"),
        (typeof(SignalStack), "stack_t", "Base=ss_sp Flags=ss_flags Pad= Size=ss_size"),
        (typeof(SigInfo), "siginfo_t",
            "Signo=si_signo ErrorNumber=si_errno Code=si_code Pid=si_pid Uid=si_uid Value=si_value Status=si_status Address=si_addr"
            + " TimerId=si_timerid Overrun=si_overrun UserTime=si_utime SystemTime=si_stime AddressLsb=si_addr_lsb Band=si_band"
            + " FileDescriptor=si_fd CallAddress=si_call_addr SystemCall=si_syscall Architecture=si_arch"),
        (typeof(CloneArgs), "struct clone_args",
            "Flags=flags Pidfd=pidfd ChildTid=child_tid ParentTid=parent_tid ExitSignal=exit_signal Stack=stack StackSize=stack_size Tls=tls"
            + " SetTid=set_tid SetTidSize=set_tid_size Cgroup=cgroup"),
        (typeof(IoUringSqe), "struct io_uring_sqe", "*"),
        (typeof(IoUringCqe), "struct io_uring_cqe", ""),
        (typeof(IoSqringOffsets), "struct io_sqring_offsets", "user_addr= resv1="),
        (typeof(IoCqringOffsets), "struct io_cqring_offsets", "user_addr= resv1="),
        (typeof(IoUringParams), "struct io_uring_params", "resv0=resv resv1= resv2="),
        (typeof(IoUringGeteventsArg), "struct io_uring_getevents_arg", "min_wait_usec=pad"),
        (typeof(IoUringProbeOp), "struct io_uring_probe_op", ""),
        (typeof(IoUringRsrcUpdate), "struct io_uring_rsrc_update", ""),
        (typeof(IoUringRsrcUpdate2), "struct io_uring_rsrc_update2", ""),
        (typeof(IoUringRsrcRegister), "struct io_uring_rsrc_register", ""),
        (typeof(IoUringFileIndexRange), "struct io_uring_file_index_range", ""),
    ];

    /// <summary>Fields of an SQE that the oldest supported headers have.</summary>
    private static readonly string[] s_sqeFields =
    [
        "opcode", "flags", "ioprio", "fd", "off", "addr2", "addr", "splice_off_in", "len", "rw_flags", "fsync_flags", "poll_events",
        "poll32_events", "sync_range_flags", "msg_flags", "timeout_flags", "accept_flags", "cancel_flags", "open_flags", "statx_flags",
        "fadvise_advice", "splice_flags", "rename_flags", "unlink_flags", "hardlink_flags", "user_data", "buf_index", "buf_group",
        "personality", "splice_fd_in", "file_index", "addr3",
    ];

    [Fact]
    public void SizesAndOffsetsAreLinuxs()
    {
        Dictionary<string, long> mine = [];
        List<(string, string, bool)> questions = [];
        foreach ((Type type, string c, string fields) in s_structs)
        {
            mine[type.Name] = Marshal.SizeOf(type);
            questions.Add((type.Name, $"sizeof({c})", false));
            Dictionary<string, string> names = fields is "*" or "" ? [] : fields.Split(' ').Select(f => f.Split('=')).ToDictionary(f => f[0], f => f[1]);
            foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
            {
                string name = names.GetValueOrDefault(field.Name, field.Name);
                if (name.Length == 0 || (fields == "*" && !s_sqeFields.Contains(name)))
                    continue;
                mine[$"{type.Name}.{field.Name}"] = Marshal.OffsetOf(type, field.Name);
                questions.Add(($"{type.Name}.{field.Name}", $"__builtin_offsetof({c}, {name})", false));
            }
        }
        Dictionary<string, long> theirs = CProbe.Evaluate(questions);
        Assert.Equal(mine.OrderBy(e => e.Key), theirs.OrderBy(e => e.Key));
    }
}
