using System.Buffers.Binary;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Loader;

/// <summary>One program header (man 5 elf).</summary>
internal readonly record struct ProgramHeader(uint Type, uint Flags, ulong Offset, ulong Address, ulong FileSize, ulong MemorySize, ulong Align)
{
    public const uint PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551;
    public const uint PF_X = 1, PF_W = 2, PF_R = 4;

    /// <summary>Bytes of one in the file.</summary>
    public const int Size = 56;
}

/// <summary>The headers of an x86-64 ELF file, checked for form: every number in them is still hostile.</summary>
internal sealed class ElfFile
{
    private const int HeaderSize = 64;
    private const ushort ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62;

    private ElfFile(bool isDynamic, ulong entry, ulong headersOffset, ProgramHeader[] headers)
    {
        IsPositionIndependent = isDynamic;
        Entry = entry;
        HeadersOffset = headersOffset;
        Headers = headers;
    }

    /// <summary>ET_DYN: may be loaded anywhere.</summary>
    public bool IsPositionIndependent { get; }

    /// <summary>e_entry.</summary>
    public ulong Entry { get; }

    /// <summary>e_phoff.</summary>
    public ulong HeadersOffset { get; }

    /// <summary>The program headers.</summary>
    public ProgramHeader[] Headers { get; }

    /// <summary>Reads the headers; <paramref name="head"/> is the beginning of the file. ENOEXEC, EIO, or a read's error.</summary>
    public static Errno Read(FileDescription file, ReadOnlySpan<byte> head, out ElfFile? elf)
    {
        elf = null;
        if (head.Length < HeaderSize || !head.StartsWith("\u007fELF\u0002\u0001"u8))
            return Errno.ENOEXEC;
        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(head[16..]);
        ushort machine = BinaryPrimitives.ReadUInt16LittleEndian(head[18..]);
        ulong entry = BinaryPrimitives.ReadUInt64LittleEndian(head[24..]);
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(head[32..]);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(head[54..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(head[56..]);
        if (type is not (ET_EXEC or ET_DYN) || machine != EM_X86_64 || entrySize != ProgramHeader.Size)
            return Errno.ENOEXEC;
        if (count == 0 || count * entrySize > 65536 || offset > long.MaxValue - 65536)
            return Errno.ENOEXEC;
        byte[] table = new byte[count * entrySize];
        SysResult result = FileReader.ReadAt(file, (long)offset, table);
        if (result.IsError)
            return result.Error;
        if (result.Value != table.Length)
            return Errno.EIO;
        ProgramHeader[] headers = new ProgramHeader[count];
        for (int i = 0; i < count; i++)
            headers[i] = Parse(table.AsSpan(i * ProgramHeader.Size));
        elf = new ElfFile(type == ET_DYN, entry, offset, headers);
        return Errno.OK;
    }

    /// <summary>
    /// Lowest page and first byte above of all that is to be loaded; false when there is nothing, or a size or address is
    /// out of range of <paramref name="limit"/>.
    /// </summary>
    public bool TryGetExtent(ulong limit, out ulong start, out ulong end)
    {
        start = ulong.MaxValue;
        end = 0;
        foreach (ref readonly ProgramHeader header in Headers.AsSpan())
        {
            if (header.Type != ProgramHeader.PT_LOAD)
                continue;
            if (header.FileSize > header.MemorySize || header.MemorySize > limit || header.Address > limit - header.MemorySize)
                return false;
            start = Math.Min(start, header.Address & ~4095UL);
            end = Math.Max(end, header.Address + header.MemorySize);
        }
        return end > start;
    }

    /// <summary>The largest alignment that a segment asks for, at least a page.</summary>
    public ulong GetAlignment()
    {
        ulong alignment = 4096;
        foreach (ref readonly ProgramHeader header in Headers.AsSpan())
        {
            if (header.Type == ProgramHeader.PT_LOAD && ulong.IsPow2(header.Align))
                alignment = Math.Max(alignment, header.Align);
        }
        return alignment;
    }

    /// <summary>The address of the program headers in memory, before the load bias; 0 when no segment holds them.</summary>
    public ulong GetHeadersAddress()
    {
        foreach (ref readonly ProgramHeader header in Headers.AsSpan())
        {
            if (header.Type == ProgramHeader.PT_LOAD && HeadersOffset >= header.Offset && HeadersOffset - header.Offset < header.FileSize)
                return HeadersOffset - header.Offset + header.Address;
        }
        return 0;
    }

    private static ProgramHeader Parse(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]));
}
