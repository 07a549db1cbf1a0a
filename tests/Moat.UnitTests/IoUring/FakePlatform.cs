using Moat.Host;
using Moat.Platform;

namespace Moat.UnitTests.IoUring;

/// <summary>A platform on which nothing runs: mappings are only remembered by the memory manager.</summary>
internal sealed class FakePlatform : GuestPlatform
{
    public override MemoryFile Memory { get; } = MemoryFile.Create();

    public override ulong MinAddress => 0x10000;

    public override ulong MaxAddress => 1UL << 46;

    public override ulong Vdso => 0;

    public override AddressSpace CreateAddressSpace() => new Space();

    public override void Dispose()
    {
    }

    private sealed class Space : AddressSpace
    {
        public override ulong Vdso => 0;

        public override int MapMemory(ulong address, ulong length, ulong fileOffset, MapAccess access) => 0;

        public override int MapHostFile(ulong address, ulong length, int hostFd, ulong fileOffset, MapAccess access, bool shared) => 0;

        public override int Unmap(ulong address, ulong length) => 0;

        public override int Protect(ulong address, ulong length, MapAccess access) => 0;

        public override int Barrier(bool core) => 0;

        public override int Populate(ulong address, ulong length, bool write) => 0;

        public override AddressSpace Fork() => new Space();

        public override GuestThread CreateThread(params ReadOnlySpan<MapChange> changes) => new FakeThread();

        public override void Dispose()
        {
        }
    }

    private sealed class FakeThread : GuestThread
    {
        private GuestRegisters _registers;

        public override ref GuestRegisters Registers => ref _registers;

        public override Span<byte> FpuState => default;

        public override bool RestoreFpuState(ReadOnlySpan<byte> state) => true;

        public override void ResetFpuState()
        {
        }

        public override StopReason Switch() => StopReason.Died;

        public override GuestFault Fault => default;

        public override ulong FsBase { get; set; }

        public override ulong GsBase { get; set; }

        public override void Interrupt()
        {
        }

        public override void Dispose()
        {
        }
    }
}
