using System.Buffers.Binary;

namespace Moat.UnitTests.Loader;

/// <summary>Makes small ELF files.</summary>
internal sealed class ElfBuilder
{
    private readonly List<(uint Type, uint Flags, ulong Offset, ulong Address, ulong FileSize, ulong MemorySize, ulong Align)> _headers = [];
    private readonly byte[] _content = new byte[0x5000];

    public ushort Type { get; set; } = 2;

    public ulong Entry { get; set; } = 0x400123;

    public ElfBuilder Add(uint type, uint flags, ulong offset, ulong address, ulong fileSize, ulong memorySize, ulong align = 4096)
    {
        _headers.Add((type, flags, offset, address, fileSize, memorySize, align));
        return this;
    }

    public ElfBuilder Put(int offset, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_content.AsSpan(offset));
        return this;
    }

    /// <summary>Text at 0x400000, data with 0x1800 bytes of zeroed memory behind it at 0x402000.</summary>
    public static ElfBuilder Usual() => new ElfBuilder()
        .Add(1, 5, 0, 0x400000, 0x1000, 0x1000)
        .Add(1, 6, 0x2000, 0x402000, 0x800, 0x2000)
        .Put(0x2000, "data"u8)
        .Put(0x2800, "beyond the file's part"u8);

    public byte[] Build()
    {
        byte[] file = (byte[])_content.Clone();
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(file);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(16), Type);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(18), 62);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(20), 1);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(24), Entry);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(32), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(52), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(54), 56);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(56), (ushort)_headers.Count);
        for (int i = 0; i < _headers.Count; i++)
        {
            Span<byte> h = file.AsSpan(64 + (i * 56));
            BinaryPrimitives.WriteUInt32LittleEndian(h, _headers[i].Type);
            BinaryPrimitives.WriteUInt32LittleEndian(h[4..], _headers[i].Flags);
            BinaryPrimitives.WriteUInt64LittleEndian(h[8..], _headers[i].Offset);
            BinaryPrimitives.WriteUInt64LittleEndian(h[16..], _headers[i].Address);
            BinaryPrimitives.WriteUInt64LittleEndian(h[24..], _headers[i].Address);
            BinaryPrimitives.WriteUInt64LittleEndian(h[32..], _headers[i].FileSize);
            BinaryPrimitives.WriteUInt64LittleEndian(h[40..], _headers[i].MemorySize);
            BinaryPrimitives.WriteUInt64LittleEndian(h[48..], _headers[i].Align);
        }
        return file;
    }
}
