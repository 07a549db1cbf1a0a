namespace Moat.Kernel.Aio;

/// <summary>The contexts of an address space, by their addresses.</summary>
internal sealed class AioTable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, AioContext> _contexts = [];

    public void Add(AioContext context)
    {
        lock (_lock)
            _contexts.Add(context.Address, context);
    }

    public AioContext? Find(ulong address)
    {
        lock (_lock)
            return _contexts.GetValueOrDefault(address);
    }

    /// <summary>Takes a context out; null when there is none.</summary>
    public AioContext? Remove(ulong address)
    {
        lock (_lock)
            return _contexts.Remove(address, out AioContext? context) ? context : null;
    }

    /// <summary>The address space ends.</summary>
    public void KillAll()
    {
        lock (_lock)
        {
            foreach (AioContext context in _contexts.Values)
                context.Kill();
            _contexts.Clear();
        }
    }
}
