using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>A file without an inode of its own: eventfd, epoll, timerfd, signalfd, io_uring.</summary>
internal abstract class AnonymousFile(OpenFlags flags, string name) : FileDescription(flags)
{
    private readonly string _name = name;

    public override string AnonymousName => "anon_inode:" + _name;

    public override bool CanSpliceFrom => false;

    /// <summary>Seeking is accepted and does nothing; the position stays where it is.</summary>
    public override SysResult Seek(long offset, int whence) => 0;

    /// <summary>O_DIRECT is refused; the other flags change.</summary>
    public override Errno SetFlags(OpenFlags flags)
        => (flags & OpenFlags.O_DIRECT) != 0 ? Errno.EINVAL : base.SetFlags(flags);
}
