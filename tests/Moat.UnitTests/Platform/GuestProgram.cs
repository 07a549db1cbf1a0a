using Iced.Intel;
using Moat.Host;
using Moat.Platform;
using Moat.Platform.Trap;
using Xunit;

namespace Moat.UnitTests.Platform;

/// <summary>A platform, an address space with a page of code and some of data, and threads in it.</summary>
internal sealed unsafe class GuestProgram : IDisposable
{
    public const ulong CodeAddress = 0x40_0000, DataAddress = 0x80_0000, DataSize = 0x1_0000;
    private const ulong CodeOffset = 0x10_0000, DataOffset = 0x20_0000;
    private static readonly Lock s_gate = new();
    private static TrapPlatform? s_platform;
    private static int s_next;

    private readonly ulong _offset;

    public GuestProgram(Action<Assembler> code)
        : this(Shared(), code)
    {
    }

    public GuestProgram(GuestPlatform platform, Action<Assembler> code)
    {
        Platform = platform;
        _offset = (ulong)Interlocked.Increment(ref s_next) * 0x100_0000;
        var assembler = new Assembler(64);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), CodeAddress);
        stream.ToArray().CopyTo(new Span<byte>(platform.Memory.Base + _offset + CodeOffset, 0x1000));
        Space = platform.CreateAddressSpace();
        Assert.Equal(0, Space.MapMemory(CodeAddress, 0x1000, _offset + CodeOffset, MapAccess.Read | MapAccess.Execute));
        Assert.Equal(0, Space.MapMemory(DataAddress, DataSize, _offset + DataOffset, MapAccess.Read | MapAccess.Write));
    }

    public GuestPlatform Platform { get; }

    public AddressSpace Space { get; }

    /// <summary>File offset of the data area.</summary>
    public ulong DataFileOffset => _offset + DataOffset;

    public static TrapPlatform Shared()
    {
        lock (s_gate)
            return s_platform ??= new TrapPlatform(MemoryFile.Create());
    }

    /// <summary>The page of code, as the sentry sees it.</summary>
    public byte* Code => Platform.Memory.Base + _offset + CodeOffset;

    public GuestThread Thread(ulong rip = CodeAddress)
    {
        GuestThread thread = Space.CreateThread();
        thread.Registers.Rip = rip;
        thread.Registers.Rsp = DataAddress + DataSize;
        return thread;
    }

    public ref ulong Data(int index) => ref ((ulong*)(Platform.Memory.Base + DataFileOffset))[index];

    public void Dispose() => Space.Dispose();
}
