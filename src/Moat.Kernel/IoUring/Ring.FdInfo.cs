using System.Globalization;
using System.Text;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.IoUring;

/// <summary>What /proc/PID/fdinfo/FD tells of a ring: every key of 6.18.</summary>
internal sealed partial class Ring
{
    /// <inheritdoc/>
    public override void AppendFdInfo(StringBuilder text)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        if (!_lock.TryEnter(TimeSpan.FromMilliseconds(100)))
            return;
        RingMemory memory = _memory;
        uint sqHead = _sqHead, sqTail = memory.SqTail, cqHead = memory.CqHead, cqTail = Volatile.Read(ref _cqTail);
        uint sqes = Math.Min(sqTail - sqHead, memory.SqEntries), cqes = Math.Min(cqTail - cqHead, memory.CqEntries);
        text.Append(plain, $"SqMask:\t0x{memory.SqEntries - 1:x}\nSqHead:\t{sqHead}\nSqTail:\t{sqTail}\nCachedSqHead:\t{sqHead}\n")
            .Append(plain, $"CqMask:\t0x{memory.CqEntries - 1:x}\nCqHead:\t{cqHead}\nCqTail:\t{cqTail}\nCachedCqTail:\t{cqTail}\n")
            .Append(plain, $"SQEs:\t{sqTail - sqHead}\n");
        // Which ones they are is told by the index array alone.
        for (uint i = 0; i < sqes && memory.Layout.HasArray; i++)
            AppendSqe(text, memory, memory.PeekIndex(sqHead + i));
        text.Append(plain, $"CQEs:\t{cqTail - cqHead}\n");
        for (uint i = 0; i < cqes; i++)
        {
            if (AppendCqe(text, memory, cqHead + i))
                i++;
        }
        bool polls = _poller is { IsDead: false };
        text.Append(plain, $"SqThread:\t{(polls ? _poller!.Id : -1)}\nSqThreadCpu:\t{(polls ? Math.Max(_poller!.Core, 0) : -1)}\n")
            .Append(plain, $"SqTotalTime:\t{(_poller?.TotalTime ?? 0) / 1000}\nSqWorkTime:\t{(_poller?.WorkTime ?? 0) / 1000}\n");
        AppendTables(text);
        text.Append("PollList:\n");
        foreach (Request? head in _hash)
        {
            for (Request? r = head; r is not null; r = r.HashNext)
            {
                if (r.State == RequestState.PollArmed && (r.Flags & RequestFlags.Polled) != 0)
                    text.Append(plain, $"  op={r.Sqe.opcode}, task_works={(r.IsPending ? 1 : 0)}\n");
            }
        }
        Unlock();
        text.Append("CqOverflowList:\n");
        lock (_cqLock)
        {
            for (int i = 0; i < _backlogCount; i++)
            {
                IoUringCqe cqe = _backlog[(_backlogHead + i) & (_backlog.Length - 1)].Cqe;
                text.Append(plain, $"  user_data={cqe.user_data}, res={cqe.res}, flags={cqe.flags:x}\n");
            }
        }
        AppendNapi(text);
    }

    private void AppendSqe(StringBuilder text, RingMemory memory, uint index)
    {
        if (index >= memory.SqEntries)
            return;
        CultureInfo plain = CultureInfo.InvariantCulture;
        IoUringSqe sqe = memory.PeekSqe(index);
        string name = sqe.opcode < (int)IoUringOp.LAST ? OperationTable.NameOf(sqe.opcode) : "INVALID";
        text.Append(plain, $"{index,5}: opcode:{name}, fd:{sqe.fd}, flags:{sqe.flags:x}, off:{sqe.off}, addr:0x{sqe.addr:x}, ")
            .Append(plain, $"rw_flags:0x{sqe.rw_flags:x}, buf_index:{sqe.buf_index} user_data:{sqe.user_data}");
        if ((Setup & IoUringSetup.SQE128) != 0)
        {
            for (int i = 0; i < 8; i++)
                text.Append(plain, $", e{i}:0x{memory.PeekSqeWord(index, i):x}");
        }
        text.Append('\n');
    }

    /// <summary>True when it takes two places.</summary>
    private bool AppendCqe(StringBuilder text, RingMemory memory, uint position)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        IoUringCqe cqe = memory.PeekPlace(position, out ulong first, out ulong second);
        bool isLarge = (Setup & IoUringSetup.CQE32) != 0 || (cqe.flags & (uint)CqeFlags.CQE32) != 0;
        text.Append(plain, $"{position & (memory.CqEntries - 1),5}: user_data:{cqe.user_data}, res:{cqe.res}, flag:{cqe.flags:x}");
        if (isLarge)
            text.Append(plain, $", extra1:{first}, extra2:{second}\n");
        text.Append('\n');
        return isLarge;
    }

    private void AppendTables(StringBuilder text)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        text.Append(plain, $"UserFiles:\t{_files?.Length ?? 0}\n");
        for (int i = 0; i < (_files?.Length ?? 0); i++)
        {
            if (_files![i]?.File is { } file)
                text.Append(plain, $"{i,5}: {NameOf(file)}\n");
        }
        text.Append(plain, $"UserBufs:\t{_buffers?.Length ?? 0}\n");
        for (int i = 0; i < (_buffers?.Length ?? 0); i++)
        {
            text.Append(_buffers![i]?.Buffer is { } buffer
                ? string.Create(plain, $"{i,5}: 0x{buffer.Address:x}/{buffer.Length}\n") : string.Create(plain, $"{i,5}: <none>\n"));
        }
    }

    private static string NameOf(FileDescription file)
    {
        VfsPath place = file.Path;
        return AnonymousFileSystem.Owns(place) || Tasks.Task.Current is not { } reader ? place.Dentry.Name : place.ToText(reader.Fs.Root);
    }

    private void AppendNapi(StringBuilder text)
    {
        if (_napi.op_param == NapiInactive)
        {
            text.Append("NAPI:\tdisabled\n");
            return;
        }
        text.Append(CultureInfo.InvariantCulture, $"NAPI:\tenabled\nnapi tracking:\t{(_napi.op_param == NapiDynamic ? "dynamic" : "static")}\n")
            .Append(CultureInfo.InvariantCulture, $"napi_busy_poll_dt:\t{(ulong)_napi.busy_poll_to * 1000}\n")
            .Append(CultureInfo.InvariantCulture, $"napi_prefer_busy_poll:\t{(_napi.prefer_busy_poll != 0 ? "true" : "false")}\n");
    }
}
