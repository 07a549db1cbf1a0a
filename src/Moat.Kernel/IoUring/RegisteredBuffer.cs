namespace Moat.Kernel.IoUring;

/// <summary>Guest memory registered with IORING_REGISTER_BUFFERS, pinned until it is given back.</summary>
internal sealed class RegisteredBuffer : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
