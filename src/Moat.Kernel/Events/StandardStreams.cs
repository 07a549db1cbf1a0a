using Moat.Kernel.Vfs;

namespace Moat.Kernel.Events;

/// <summary>The three streams that the first process starts with.</summary>
internal static class StandardStreams
{
    /// <summary>
    /// Puts the host's descriptors 0, 1 and 2 at the same numbers of a table that is empty. One that is not open on the host is
    /// not open for the guest. The first that is a terminal becomes the controlling one.
    /// </summary>
    public static void Install(Sentry sentry, FdTable files)
    {
        for (int fd = 0; fd <= 2; fd++)
        {
            HostStream? stream = HostStream.Create(sentry.Notifier, fd);
            if (stream is null)
                continue;
            if (stream.IsTerminal)
                sentry.UseTerminal((HostStreamInode)stream.Inode);
            if (files.InstallAt(fd, stream, closeOnExec: false).IsError)
                stream.DropReference();
        }
    }
}
