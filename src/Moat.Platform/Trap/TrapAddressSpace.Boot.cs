using System.Buffers.Text;
using System.Globalization;
using Moat.Host;

namespace Moat.Platform.Trap;

public sealed unsafe partial class TrapAddressSpace
{
    private const uint SYS_rt_sigaction = 13, SYS_prctl = 157, SYS_seccomp = 317;

    // Signals that the stub handles: the traps, the faults, and the sentry's interrupt.
    private static ReadOnlySpan<int> HandledSignals => [SIGILL, SIGTRAP, SIGBUS, SIGFPE, TrapThread.InterruptSignal, SIGSEGV, SIGSYS];

    internal const int SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGSYS = 31;

    private void Boot()
    {
        // The stub finds request 1, which is empty, and reports it done when it is ready.
        _request = 1;
        *(uint*)(_base + Control.Request) = 1;
        _platform.Keeper.Start(this);
        CloseFd(ref _stubSocket);
        HostException.Check(AwaitRequest(), "the start of a stub process");
        _vdso = *(ulong*)(_base + Control.BootVdso);

        lock (_requestGate)
        {
            UnmapLeftovers();
            MapPatches();
            foreach (int signal in HandledSignals)
                Add(SYS_rt_sigaction, 0, (ulong)signal, StubLayout.Data + StubLayout.Sigaction, 0, 8);
            Add(SYS_prctl, 0, 38 /* PR_SET_NO_NEW_PRIVS */, 1);
            // No core dumps of guest memory, no tracing by others of the same user.
            Add(SYS_prctl, 0, 4 /* PR_SET_DUMPABLE */, 0);
            Add(SYS_seccomp, 0, 1 /* SECCOMP_SET_MODE_FILTER */, 0, StubLayout.Data + StubLayout.ServiceFilter);
            HostException.Check(RunRequest(), "the confinement of a stub process");
        }
    }

    // The host's own stack and whatever else exec mapped. What cannot be read stays: it lies above guest space.
    private void UnmapLeftovers()
    {
        Span<byte> path = stackalloc byte[32];
        System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/{_pid}/maps\0"), path);
        int fd = HostSyscall.OpenReadOnly(path);
        if (fd < 0)
            return;
        Span<byte> text = stackalloc byte[4096];
        int length = 0;
        while (length < text.Length && HostSyscall.Read(fd, text[length..]) is > 0 and var n)
            length += (int)n;
        HostSyscall.Close(fd);
        text = text[..length];
        while (text.IndexOf((byte)'\n') is >= 0 and var end)
        {
            ReadOnlySpan<byte> line = text[..end];
            text = text[(end + 1)..];
            if (!Utf8Parser.TryParse(line, out ulong from, out int used, 'x')
                || !Utf8Parser.TryParse(line[(used + 1)..], out ulong to, out _, 'x'))
                continue;
            bool own = from >= StubLayout.Image && from < StubLayout.Slots + StubLayout.SlotsSize;
            if (!own && line.IndexOf("[v"u8) < 0) // [vdso], [vvar], [vvar_vclock], [vsyscall]
                Add(SYS_munmap, Control.IgnoreError, from, to - from);
        }
    }
}
