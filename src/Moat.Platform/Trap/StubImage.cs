using System.Buffers.Binary;
using Iced.Intel;
using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The program that a stub process runs: a static ELF of four pages, made once per sentry and kept in a sealed memfd.
/// </summary>
internal sealed class StubImage
{
    private StubImage(int fd) => Fd = fd;

    /// <summary>The memfd to execute.</summary>
    public int Fd { get; }

    /// <summary>Makes the image. Throws <see cref="HostException"/> when the host refuses executable memfds.</summary>
    public static StubImage Create(bool useFsGsBase)
    {
        var image = new byte[StubLayout.ImageSize];
        // The handler and the entry point are the first instructions of their pages.
        Place(image, StubLayout.GuestCode, new StubGuestCode(useFsGsBase).Code);
        Place(image, StubLayout.ServiceCode, new StubServiceCode(HostSyscall.GetPid()).Code);
        WriteData(image.AsSpan((int)(StubLayout.Data - StubLayout.Image)));
        WriteElf(image, StubLayout.ServiceCode);

        const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_EXEC = 0x10;
        int fd = HostSyscall.MemfdCreate("moat-stub\0"u8, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (fd == -22) // EINVAL: a host before 6.3 knows no MFD_EXEC, and its memfds are executable.
            fd = HostSyscall.MemfdCreate("moat-stub\0"u8, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        fd = HostSyscall.MoveHigh(fd);
        HostException.Check(fd, "an executable memfd (see sysctl vm.memfd_noexec)");
        HostException.Check(HostSyscall.Pwrite(fd, image, 0), "writing the stub image");
        HostSyscall.AddSeals(fd, 0xF); // F_SEAL_SEAL, SHRINK, GROW, WRITE: hardening only.
        return new StubImage(fd);
    }

    private static void Place(byte[] image, ulong address, Assembler code)
    {
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), address);
        byte[] bytes = stream.ToArray();
        if (bytes.Length > 0x1000)
            throw new InvalidOperationException("the stub's code outgrew its page");
        bytes.CopyTo(image, (int)(address - StubLayout.Image));
    }

    private static void WriteData(Span<byte> data)
    {
        for (var i = 0; i < StubLayout.ErrorCount; i++)
            BinaryPrimitives.WriteInt32LittleEndian(data[(StubLayout.ErrorTable + 4 * i)..], i);

        // struct sigaction of the host: handler, flags, restorer (mandatory; the handler never returns to it), mask.
        const ulong SA_SIGINFO = 4, SA_ONSTACK = 0x0800_0000, SA_RESTORER = 0x0400_0000;
        Span<byte> action = data[StubLayout.Sigaction..];
        BinaryPrimitives.WriteUInt64LittleEndian(action, StubLayout.GuestCode);
        BinaryPrimitives.WriteUInt64LittleEndian(action[8..], SA_SIGINFO | SA_ONSTACK | SA_RESTORER);
        BinaryPrimitives.WriteUInt64LittleEndian(action[16..], StubLayout.GuestCode);
        BinaryPrimitives.WriteUInt64LittleEndian(action[24..], ulong.MaxValue);

        int next = StubLayout.Filters;
        next = WriteFilter(data, StubLayout.ServiceFilter, next, StubFilters.Service());
        next = WriteFilter(data, StubLayout.GuestFilter, next, StubFilters.Guest());
        if (next > StubLayout.TrapInstruction)
            throw new InvalidOperationException("the stub's filters outgrew their page");

        // syscall; hlt
        data[StubLayout.TrapInstruction] = 0x0f;
        data[StubLayout.TrapInstruction + 1] = 0x05;
        data[StubLayout.TrapInstruction + 2] = 0xf4;
    }

    // struct sock_fprog at its place, the instructions where there is room.
    private static int WriteFilter(Span<byte> data, int program, int at, byte[] filter)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(data[program..], (ushort)(filter.Length / 8));
        BinaryPrimitives.WriteUInt64LittleEndian(data[(program + 8)..], StubLayout.Data + (ulong)at);
        filter.CopyTo(data[at..]);
        return at + filter.Length;
    }

    private static void WriteElf(Span<byte> image, ulong entry)
    {
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0];
        identity.CopyTo(image);
        BinaryPrimitives.WriteUInt16LittleEndian(image[16..], 2); // ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(image[18..], 62); // EM_X86_64
        BinaryPrimitives.WriteUInt32LittleEndian(image[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(image[24..], entry);
        BinaryPrimitives.WriteUInt64LittleEndian(image[32..], 64); // e_phoff
        BinaryPrimitives.WriteUInt16LittleEndian(image[52..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(image[54..], 56);
        BinaryPrimitives.WriteUInt16LittleEndian(image[56..], 2); // e_phnum
        Span<byte> load = image[64..];
        BinaryPrimitives.WriteUInt32LittleEndian(load, 1); // PT_LOAD
        BinaryPrimitives.WriteUInt32LittleEndian(load[4..], 5); // PF_R | PF_X
        BinaryPrimitives.WriteUInt64LittleEndian(load[16..], StubLayout.Image);
        BinaryPrimitives.WriteUInt64LittleEndian(load[24..], StubLayout.Image);
        BinaryPrimitives.WriteUInt64LittleEndian(load[32..], StubLayout.ImageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(load[40..], StubLayout.ImageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(load[48..], 0x1000);
        Span<byte> stack = image[120..];
        BinaryPrimitives.WriteUInt32LittleEndian(stack, 0x6474e551); // PT_GNU_STACK
        BinaryPrimitives.WriteUInt32LittleEndian(stack[4..], 6); // PF_R | PF_W
    }
}
