using Microsoft.Win32.SafeHandles;
using Moat.Abi;
using Moat.Kernel.Memory;

namespace Moat.UnitTests.Memory;

/// <summary>A real file that can be mapped.</summary>
internal sealed class HostFile : IMappable, IDisposable
{
    private readonly string _path = Path.GetTempFileName();
    private readonly SafeFileHandle _handle;

    public HostFile(byte[] content)
    {
        File.WriteAllBytes(_path, content);
        _handle = File.OpenHandle(_path, System.IO.FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
    }

    /// <summary>Bytes registered as mapped.</summary>
    public long Mapped { get; private set; }

    public string MapName => "/host";

    public ulong MapDevice => 0x801;

    public ulong MapInode => 99;

    public byte[] Content => File.ReadAllBytes(_path);

    public void SetLength(long length) => RandomAccess.SetLength(_handle, length);

    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = new Backing { HostFd = (int)_handle.DangerousGetHandle(), Offset = offset, Length = length };
        return Errno.OK;
    }

    public void AddMapping(ulong offset, ulong length) => Mapped += (long)length;

    public void RemoveMapping(ulong offset, ulong length) => Mapped -= (long)length;

    public void Dispose()
    {
        _handle.Dispose();
        File.Delete(_path);
    }
}
