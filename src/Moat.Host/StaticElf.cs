using System.Buffers.Binary;

namespace Moat.Host;

/// <summary>The headers of a static ELF program that is mapped whole, read and execute only.</summary>
public static class StaticElf
{
    /// <summary>Bytes of the headers, at the image's start.</summary>
    public const int HeaderSize = 64 + 2 * 56;

    /// <summary>Writes the headers for an image that begins at a page-aligned address. man 5 elf.</summary>
    public static void WriteHeaders(Span<byte> image, ulong address, ulong entry)
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
        BinaryPrimitives.WriteUInt64LittleEndian(load[16..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(load[24..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(load[32..], (ulong)image.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(load[40..], (ulong)image.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(load[48..], 0x1000);
        Span<byte> stack = image[120..];
        BinaryPrimitives.WriteUInt32LittleEndian(stack, 0x6474e551); // PT_GNU_STACK
        BinaryPrimitives.WriteUInt32LittleEndian(stack[4..], 6); // PF_R | PF_W
    }

    /// <summary>
    /// Puts an image into an executable, sealed memfd above the descriptors that children receive. Returns it, or throws
    /// <see cref="HostException"/> when the host refuses. <paramref name="name"/> ends in a zero byte.
    /// </summary>
    public static int CreateFile(ReadOnlySpan<byte> name, ReadOnlySpan<byte> image)
    {
        const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_EXEC = 0x10;
        int fd = HostSyscall.MemfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (fd == -22) // EINVAL: a host before 6.3 knows no MFD_EXEC, and its memfds are executable.
            fd = HostSyscall.MemfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        fd = HostSyscall.MoveHigh(fd);
        HostException.Check(fd, "an executable memfd (see sysctl vm.memfd_noexec)");
        HostException.Check(HostSyscall.Pwrite(fd, image, 0), "writing a program image");
        HostSyscall.AddSeals(fd, 0xF); // F_SEAL_SEAL, SHRINK, GROW, WRITE: hardening only.
        return fd;
    }
}
