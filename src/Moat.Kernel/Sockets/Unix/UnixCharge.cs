using System.Numerics;

namespace Moat.Kernel.Sockets.Unix;

/// <summary>
/// What a packet counts against SO_SNDBUF and in SIOCOUTQ: the memory that Linux takes for it, which programs see. Small ones have one block
/// with a header and a tail, larger ones pages besides.
/// </summary>
internal static class UnixCharge
{
    /// <summary>Most bytes of a stream that make one packet.</summary>
    public const int LargestPart = PageBytes + LargestHead;

    private const int Page = 4096, Bookkeeping = 256, Tail = 320, SmallestBlock = 512, LargestHead = Page - Tail, PageBytes = 32768,
        LargestLinear = (4 * Page) - Tail, MostPages = 17 * Page;

    /// <summary>Bytes charged for a part of a stream.</summary>
    public static int OfPart(int length)
    {
        int pages = length <= LargestHead ? 0 : Math.Min(length, PageUp(length - LargestHead));
        return Linear(length - pages) + PageUp(pages);
    }

    /// <summary>Bytes charged for a datagram.</summary>
    public static int OfDatagram(int length)
    {
        int pages = length <= LargestLinear ? 0 : PageUp(Math.Min(length - LargestLinear, MostPages));
        return Linear(length - pages) + pages;
    }

    private static int Linear(int length)
        => Math.Max(SmallestBlock, (int)BitOperations.RoundUpToPowerOf2((uint)(((length + 63) & ~63) + Tail))) + Bookkeeping;

    private static int PageUp(int length) => (length + Page - 1) & ~(Page - 1);
}
