using Moat.Kernel.Events;

namespace Moat.Kernel.Vfs;

internal abstract partial class Inode
{
    private InotifyWatch[]? _watches;
    private int _descriptions;

    /// <summary>Who watches it; an array that never changes once it is here.</summary>
    internal InotifyWatch[] Watches
    {
        get => Volatile.Read(ref _watches) ?? [];
        set => Volatile.Write(ref _watches, value.Length == 0 ? null : value);
    }

    /// <summary>Descriptions that stand for it.</summary>
    internal int Descriptions => Volatile.Read(ref _descriptions);

    /// <summary>A description came (1) or went (-1).</summary>
    internal void CountDescription(int change) => Interlocked.Add(ref _descriptions, change);
}
