using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Sockets.Inet;

/// <summary>ioctl(2) of sockets (man 7 socket, tcp): those that bring back a value pass.</summary>
internal sealed partial class HostSocket
{
    private const uint SIOCGSTAMP = 0x8906, SIOCGSTAMPNS = 0x8907, SIOCGSTAMP_NEW = 0x80108906, SIOCGSTAMPNS_NEW = 0x80108907, SIOCOUTQNSD = 0x894B;

    public override SysResult Ioctl(Task task, uint command, ulong argument)
    {
        int size;
        switch (command)
        {
            case SocketIoctl.SIOCATMARK or SIOCOUTQNSD:
                size = sizeof(int);
                break;
            case SIOCGSTAMP or SIOCGSTAMPNS or SIOCGSTAMP_NEW or SIOCGSTAMPNS_NEW:
                size = 16;
                break;
            default:
                return base.Ioctl(task, command, argument);
        }
        Span<byte> value = stackalloc byte[size];
        value.Clear();
        long r = HostStreamCalls.Ioctl(_fd, command, value);
        return r < 0 ? new SysResult(r) : task.Mm.CopyOut(new UserPtr(argument), value);
    }
}
