using System.Globalization;
using System.Text;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>/proc/net/unix: one line for each AF_UNIX socket of the sandbox (man 5 proc_pid_net).</summary>
internal static class UnixTable
{
    private const int SO_ACCEPTCON = 0x10000, SS_UNCONNECTED = 1, SS_CONNECTED = 3;

    /// <summary>Appends the whole file.</summary>
    public static void Append(Sentry sentry, StringBuilder text)
    {
        text.Append("Num       RefCount Protocol Flags    Type St Inode Path\n");
        foreach (UnixSocket socket in sentry.UnixNames.GetAll())
        {
            bool listens = socket.State == UnixState.Listening;
            text.Append(CultureInfo.InvariantCulture,
                $"0000000000000000: {socket.References + 1:X8} 00000000 {(listens ? SO_ACCEPTCON : 0):X8} {socket.Type:X4} {(socket.State == UnixState.Connected ? SS_CONNECTED : SS_UNCONNECTED):X2} {socket.Number,5}");
            if (socket.Address is { } address)
                text.Append(' ').Append(address.Text);
            text.Append('\n');
        }
    }
}
