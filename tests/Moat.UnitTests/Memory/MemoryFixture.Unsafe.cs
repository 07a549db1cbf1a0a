using Moat.Kernel.Memory;

namespace Moat.UnitTests.Memory;

internal static unsafe class MemoryFixtureExtensions
{
    /// <summary>The int at a memory-file offset.</summary>
    public static int ReadFrame(this MemoryFixture fixture, ulong offset)
        => *(int*)fixture.Frames.Pointer(offset); // SAFETY: memory-file bytes are always mapped.
}
