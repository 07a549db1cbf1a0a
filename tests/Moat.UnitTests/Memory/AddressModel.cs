using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Platform;
using Xunit;

namespace Moat.UnitTests.Memory;

/// <summary>What a guest sees of anonymous memory, one page a word, beside the real thing.</summary>
internal sealed class AddressModel(MemoryFixture f, Random random)
{
    private const ulong Page = 4096, Base = 0x10000000;
    private const int Pages = 160;
    private const MapAccess RW = MapAccess.Read | MapAccess.Write;

    private readonly Cell?[] _cells = new Cell?[Pages];

    private readonly record struct Cell(MapAccess Access, int Value);

    public void Step(int step)
    {
        int first = random.Next(Pages), count = 1 + random.Next(Math.Min(16, Pages - first));
        ulong start = At(first), length = (ulong)count * Page;
        Span<Cell?> cells = _cells.AsSpan(first, count);
        switch (random.Next(8))
        {
            case 0 or 1:
                MapAccess access = random.Next(3) switch { 0 => MapAccess.None, 1 => MapAccess.Read, _ => RW };
                Assert.Equal(start, f.Map(length, access, start));
                cells.Fill(new Cell(access, 0));
                break;
            case 2:
                Assert.Equal(Errno.OK, f.Mm.Unmap(start, length));
                cells.Clear();
                break;
            case 3:
                Protect(start, cells);
                break;
            case 4:
                DontNeed(start, cells);
                break;
            case 5:
                Move(first, count);
                break;
            default:
                Write(first, step + 1);
                break;
        }
        if (step % 16 == 0)
            Check();
    }

    private static ulong At(int page) => Base + ((ulong)page * Page);

    private void Protect(ulong start, Span<Cell?> cells)
    {
        MapAccess access = random.Next(3) switch { 0 => MapAccess.None, 1 => MapAccess.Read, _ => RW };
        Errno error = f.Mm.Protect(start, (ulong)cells.Length * Page, access);
        int hole = cells.IndexOf((Cell?)null);
        Assert.Equal(hole < 0 ? Errno.OK : Errno.ENOMEM, error);
        for (int i = 0; i < (hole < 0 ? cells.Length : hole); i++)
            cells[i] = cells[i]!.Value with { Access = access };
    }

    private void DontNeed(ulong start, Span<Cell?> cells)
    {
        Errno error = f.Mm.DontNeed(start, start + ((ulong)cells.Length * Page), locked: false);
        Assert.Equal(cells.Contains((Cell?)null) ? Errno.ENOMEM : Errno.OK, error);
        foreach (ref Cell? cell in cells)
        {
            if (cell is { } c)
                cell = c with { Value = 0 };
        }
    }

    private void Move(int first, int count)
    {
        int target = random.Next(Pages - count + 1);
        bool keeps = random.Next(4) == 0;
        RemapFlags flags = RemapFlags.MREMAP_MAYMOVE | RemapFlags.MREMAP_FIXED | (keeps ? RemapFlags.MREMAP_DONTUNMAP : 0);
        SysResult result = f.Mm.Remap(At(first), (ulong)count * Page, (ulong)count * Page, flags, At(target));
        if (target + count > first && first + count > target)
        {
            Assert.Equal(Errno.EINVAL, result.Error);
            return;
        }
        if (_cells[first] is null)
        {
            Assert.Equal(Errno.EFAULT, result.Error);
            return;
        }
        Assert.Equal((long)At(target), result.Value);
        for (int i = 0; i < count; i++)
        {
            Cell? from = _cells[first + i];
            _cells[target + i] = from;
            _cells[first + i] = keeps && from is { } kept ? kept with { Value = 0 } : null;
        }
    }

    private void Write(int page, int value)
    {
        bool writable = _cells[page] is { Access: RW };
        Assert.Equal(writable ? Errno.OK : Errno.EFAULT, f.Mm.Write(new UserPtr<int>(At(page) + 8), value));
        if (writable)
            _cells[page] = _cells[page]!.Value with { Value = value };
    }

    private void Check()
    {
        int mapped = 0;
        for (int i = 0; i < Pages; i++)
        {
            bool readable = _cells[i] is { } c && c.Access != MapAccess.None;
            mapped += _cells[i] is null ? 0 : 1;
            Assert.Equal(readable ? Errno.OK : Errno.EFAULT, f.Mm.Read(new UserPtr<int>(At(i) + 8), out int value));
            Assert.Equal(readable ? _cells[i]!.Value.Value : 0, value);
            bool inGuest = f.Space.Pages.TryGetValue(At(i), out FakeAddressSpace.Page behind);
            Assert.Equal(readable ? _cells[i]!.Value.Access : MapAccess.None, inGuest ? behind.Access : MapAccess.None);
            if (readable)
                Assert.Equal(_cells[i]!.Value.Value, f.ReadFrame(behind.Offset + 8));
        }
        Assert.Equal((ulong)mapped * Page, f.Mm.TotalBytes);
        Assert.Equal(f.Space.Pages.Count, f.Space.Pages.Values.Select(p => p.Offset).Distinct().Count());
    }
}
