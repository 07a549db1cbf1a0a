using System.Buffers.Binary;
using Iced.Intel;
using Moat.Host;

namespace Moat.Platform.Trap;

/// <summary>
/// The program that a stub process runs: a static ELF of four pages, made once per sentry and kept in a sealed memfd.
/// </summary>
internal sealed class StubImage
{
    private StubImage(int fd, ulong fastEntry)
    {
        Fd = fd;
        FastEntry = fastEntry;
    }

    /// <summary>Where the entries of patched call sites go.</summary>
    public ulong FastEntry { get; }

    /// <summary>The memfd to execute.</summary>
    public int Fd { get; }

    /// <summary>Makes the image. Throws <see cref="HostException"/> when the host refuses executable memfds.</summary>
    public static StubImage Create(bool useFsGsBase)
    {
        var image = new byte[StubLayout.ImageSize];
        // The handler and the entry point are the first instructions of their pages.
        var guest = new StubGuestCode(useFsGsBase);
        AssemblerResult places = Place(image, StubLayout.GuestCode, guest.Code);
        Place(image, StubLayout.ServiceCode, new StubServiceCode(HostSyscall.GetPid()).Code);
        WriteData(image.AsSpan((int)(StubLayout.Data - StubLayout.Image)));
        StaticElf.WriteHeaders(image, StubLayout.Image, StubLayout.ServiceCode);
        return new StubImage(StaticElf.CreateFile("moat-stub\0"u8, image), places.GetLabelRIP(guest.FastEntry));
    }

    private static AssemblerResult Place(byte[] image, ulong address, Assembler code)
    {
        using var stream = new MemoryStream();
        AssemblerResult places = code.Assemble(new StreamCodeWriter(stream), address, BlockEncoderOptions.ReturnNewInstructionOffsets);
        byte[] bytes = stream.ToArray();
        if (bytes.Length > 0x1000)
            throw new InvalidOperationException("the stub's code outgrew its page");
        bytes.CopyTo(image, (int)(address - StubLayout.Image));
        return places;
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
}
