using Moat.Kernel.Events;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Pipes;

/// <summary>An end of a pipe, or an open FIFO, which may be both ends.</summary>
internal sealed partial class PipeFile : FileDescription
{
    private readonly int _writerOpensAtOpen;

    private PipeFile(Pipe pipe, OpenFlags flags, Credentials who)
        : base(flags)
    {
        Pipe = pipe;
        _writerOpensAtOpen = pipe.WriterOpens;
        pipe.Open(CanRead, CanWrite, who);
    }

    public Pipe Pipe { get; }

    public override bool RaisesSigpipe => true;

    /// <inheritdoc/>
    public override bool HasAsyncNotice => true;

    /// <summary>Readiness; for an open that waits for the other end, that end.</summary>
    public override WaitQueue Waiters => !IsConnected ? Pipe.OpenWaiters : !CanWrite ? Pipe.ReadWaiters : !CanRead ? Pipe.WriteWaiters : Pipe.BothWaiters;

    /// <summary>Both ends of a new pipe; <paramref name="flags"/>: O_NONBLOCK, O_DIRECT.</summary>
    public static void Create(OpenFlags flags, Credentials creator, out PipeFile readEnd, out PipeFile writeEnd)
    {
        Pipe pipe = new();
        VfsPath place = AnonymousFileSystem.MakePlace(new PipeInode(pipe, creator), pipe.Name);
        writeEnd = new PipeFile(pipe, OpenFlags.O_WRONLY | flags, creator) { SawWriter = true, Path = place };
        readEnd = new PipeFile(pipe, OpenFlags.O_RDONLY | flags, creator) { SawWriter = true, Path = place };
    }

    /// <summary>
    /// Opens a FIFO (fifo(7)) without waiting. ENXIO: O_WRONLY and O_NONBLOCK without a reader. <see cref="FinishOpen"/> waits. With
    /// <paramref name="waits"/> false it is a pipe that is opened by /proc/self/fd/N, which needs no other end.
    /// </summary>
    public static Errno OpenFifo(Pipe pipe, OpenFlags flags, Credentials who, bool waits, out FileDescription? file)
    {
        file = null;
        bool writeOnly = (flags & OpenFlags.O_ACCMODE) == OpenFlags.O_WRONLY;
        if (waits && writeOnly && (flags & OpenFlags.O_NONBLOCK) != 0 && pipe.Readers == 0)
            return Errno.ENXIO;
        int readers = pipe.Readers, writers = pipe.Writers, readerOpens = pipe.ReaderOpens, writerOpens = pipe.WriterOpens;
        PipeFile opened = new(pipe, flags, who);
        bool alone = waits && (opened.CanWrite ? !opened.CanRead && readers == 0 : writers == 0);
        if (alone && !opened.IsNonBlocking)
        {
            opened._waitsForOpens = true;
            opened._opensSeen = opened.CanWrite ? readerOpens : writerOpens;
        }
        opened.SawWriter = !alone || opened.CanWrite;
        file = opened;
        return Errno.OK;
    }

    private bool _waitsForOpens;
    private int _opensSeen;

    /// <summary>True once the other end was opened, which open(2) of a FIFO waits for.</summary>
    private bool IsConnected => !_waitsForOpens || (CanWrite ? Pipe.ReaderOpens : Pipe.WriterOpens) != _opensSeen;

    /// <summary>There was a writer since this end was opened: without one now it is hung up.</summary>
    private bool SawWriter { get; set; }

    public override Errno FinishOpen() => IsConnected ? Errno.OK : Errno.EAGAIN;

    public override SysResult PipeSize(long bytes) => bytes < 0 ? Pipe.Capacity : Pipe.SetCapacity((uint)bytes, Task.Current?.Credentials ?? new Credentials());

    public override PollEvents Poll()
    {
        if (!IsConnected)
            return PollEvents.None;
        PollEvents events = PollEvents.None;
        if (CanRead)
            events |= Pipe.PollRead(SawWriter || Pipe.WriterOpens != _writerOpensAtOpen);
        if (CanWrite)
            events |= Pipe.PollWrite();
        return events;
    }

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags) => Pipe.Read(to);

    public override SysResult Write(IoVector from, ref long offset, RwFlags flags)
        => Pipe.Write(from, (Flags & OpenFlags.O_DIRECT) != 0);

    public override SysResult Allocate(int mode, long offset, long length) => Errno.ESPIPE;

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        const uint FIONREAD = 0x541B;
        if (command != FIONREAD)
            return Errno.ENOTTY;
        return task.Mm.Write(new UserPtr<int>(argument), Pipe.BytesAvailable);
    }

    protected override void Release() => Pipe.Close(CanRead, CanWrite);
}
