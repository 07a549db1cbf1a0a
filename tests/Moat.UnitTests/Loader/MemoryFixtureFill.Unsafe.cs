using Moat.Kernel.Memory;

namespace Moat.UnitTests.Loader;

internal static unsafe class MemoryFixtureFill
{
    /// <summary>Writes bytes into frames.</summary>
    public static void Fill(FrameAllocator frames, ulong offset, ReadOnlySpan<byte> bytes)
        => bytes.CopyTo(new Span<byte>(frames.Pointer(offset), bytes.Length)); // SAFETY: allocated for these bytes.
}
