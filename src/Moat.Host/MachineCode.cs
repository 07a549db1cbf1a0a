using Iced.Intel;

namespace Moat.Host;

/// <summary>Machine code of the sentry itself: assembled at start, never freed.</summary>
public static unsafe class MachineCode
{
    /// <summary>
    /// Assembles a position-independent routine into memory that is read and execute only. Follows the System V calling
    /// convention by the caller's own care. Throws <see cref="HostException"/> when the host refuses executable memory.
    /// </summary>
    public static void* Install(Assembler code) => Install(code, out _);

    /// <summary>The same, with the places of the code's labels.</summary>
    public static void* Install(Assembler code, out AssemblerResult places)
    {
        ArgumentNullException.ThrowIfNull(code);
        const int PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
        const int size = 4096;
        long page = HostSyscall.Mmap(null, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        HostException.Check(page, "memory for machine code");
        using var stream = new MemoryStream(size);
        places = code.Assemble(new StreamCodeWriter(stream), (ulong)page, BlockEncoderOptions.ReturnNewInstructionOffsets);
        // SAFETY: a fresh private page, longer than the code; written once, then sealed.
        stream.ToArray().CopyTo(new Span<byte>((void*)page, size));
        HostException.Check(HostSyscall.Call(10 /* mprotect */, page, size, PROT_READ | PROT_EXEC), "executable memory");
        return (void*)page;
    }
}
