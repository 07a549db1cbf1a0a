using System.Text;
using Moat.Kernel.IoUring;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Kernel.Vfs.Pseudo;

namespace Moat.Kernel.FileSystems.Proc;

/// <summary>
/// /proc/PID/task/TID of a thread that io_uring has in a process: all that it shares with the process's leader is the leader's.
/// </summary>
internal sealed class IoThreadDirectory(ProcFileSystem fileSystem, IoThread thread, Task leader, TaskDirectory shared) : PseudoDirectory(fileSystem)
{
    private readonly IoThreadFile _comm = new(fileSystem, thread, leader, static (thread, _, in _, text) =>
    {
        text.Append(thread.Name).Append('\n');
        return Errno.OK;
    });

    private readonly IoThreadFile _stat = new(fileSystem, thread, leader, TaskStat.Write);
    private readonly IoThreadFile _status = new(fileSystem, thread, leader, TaskStatus.Write);

    public override (uint Uid, uint Gid) Owner => shared.Owner;

    public override uint LinkCount => 4;

    public override Errno Lookup(ReadOnlySpan<char> name, out Inode? child)
    {
        child = name switch
        {
            "comm" => _comm,
            "stat" => _stat,
            "status" => _status,
            _ => null,
        };
        return child is not null ? Errno.OK : shared.Lookup(name, out child);
    }

    public override Errno ReadEntries(ref long position, ref DirectoryEmitter into) => shared.ReadEntries(ref position, ref into);
}

/// <summary>Appends the content of a file about a thread of io_uring.</summary>
internal delegate Errno WriteIoThreadText(IoThread thread, Task leader, in Caller reader, StringBuilder text);

/// <summary>A file about a thread of io_uring.</summary>
internal sealed class IoThreadFile(ProcFileSystem fileSystem, IoThread thread, Task leader, WriteIoThreadText write) : PseudoFile(fileSystem)
{
    public override (uint Uid, uint Gid) Owner => (leader.Credentials.EffectiveUid, leader.Credentials.EffectiveGid);

    public override Errno Generate(in Caller opener, StringBuilder text)
        => fileSystem.Sentry.GetIoThreads(leader.Group).Contains(thread) ? write(thread, leader, in opener, text) : Errno.ESRCH;
}
