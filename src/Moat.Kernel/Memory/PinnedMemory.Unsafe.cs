using Moat.Host;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Memory;

/// <summary>
/// Whole guest pages that the sentry shares with the guest in place for a long time: pinned, and contiguous in the sentry whatever is behind
/// them. Never a host file's: those may fault.
/// </summary>
internal sealed unsafe class PinnedMemory : IDisposable
{
    private readonly PinnedRange _pin = new();
    private long _view;

    private PinnedMemory()
    {
    }

    /// <summary>The first byte; valid until <see cref="Dispose"/>.</summary>
    public byte* Pointer { get; private set; }

    /// <summary>Bytes.</summary>
    public ulong Length => _pin.Length;

    /// <summary>
    /// Pins writable memory from a page boundary on. EFAULT for what is not there, not writable or a host file's; ENOMEM.
    /// </summary>
    public static Errno Create(MemoryManager mm, ulong address, ulong length, out PinnedMemory? memory)
    {
        memory = null;
        length = MemoryManager.PageUp(length);
        PinnedMemory made = new();
        Errno e = mm.Pin(new UserPtr(address), length, MapAccess.Write, made._pin);
        if (e == Errno.OK && (made._pin.MayFault || mm.IsWrittenBack(address, address + length)))
            e = Errno.EFAULT;
        if (e == Errno.OK)
            e = made.MakeContiguous();
        if (e != Errno.OK)
        {
            made.Dispose();
            return e;
        }
        memory = made;
        return Errno.OK;
    }

    /// <summary>Unpins; nobody uses the pointer any more.</summary>
    public void Dispose()
    {
        if (_view != 0)
            HostMapping.Unmap(_view, _pin.Length);
        _view = 0;
        _pin.Dispose();
    }

    private Errno MakeContiguous()
    {
        if (_pin.IsContiguous(out byte* first))
        {
            Pointer = first;
            return Errno.OK;
        }
        long view = HostMapping.Reserve(_pin.Length);
        if (view is < 0 and > -4096)
            return Errno.ENOMEM;
        _view = view;
        // SAFETY: the reserved range is as long as all pieces together, and each is mapped over its part of it.
        Pointer = (byte*)view;
        return _pin.MapAt(view) < 0 ? Errno.ENOMEM : Errno.OK;
    }
}
