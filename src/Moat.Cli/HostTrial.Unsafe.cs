using Moat.Host;
using Moat.Platform;
using Moat.Platform.Trap;

namespace Moat.Cli;

/// <summary>The last of the checks: a guest of two instructions, for real.</summary>
internal static unsafe class HostTrial
{
    private const ulong Address = 0x40_0000, Page = 4096;
    private const int NR_getpid = 39;

    /// <summary>Null when a guest runs and its system call arrives, else why not.</summary>
    public static string? Run()
    {
        try
        {
            MemoryFile memory = MemoryFile.Create();
            using TrapPlatform platform = new(memory);
            using AddressSpace space = platform.CreateAddressSpace();
            ReadOnlySpan<byte> code = [0xb8, NR_getpid, 0, 0, 0, 0x0f, 0x05]; // mov eax, 39; syscall
            // SAFETY: the memory file's first page is there and nobody else uses this one.
            code.CopyTo(new Span<byte>(memory.Base, (int)Page));
            HostException.Check(space.MapMemory(Address, Page, 0, MapAccess.Read | MapAccess.Execute), "mapping memory into a guest");
            using GuestThread thread = space.CreateThread();
            thread.Registers.Rip = Address;
            StopReason reason = thread.Switch();
            return reason == StopReason.Syscall && thread.Registers.Rax == NR_getpid ? null
                : $"a trial guest does not run as it should ({reason})";
        }
        catch (HostException e)
        {
            return e.Message;
        }
    }
}
