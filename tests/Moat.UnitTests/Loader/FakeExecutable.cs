using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.UnitTests.Loader;

/// <summary>A file in memory that can be read and mapped.</summary>
internal sealed class FakeExecutable : FileDescription, IMappable
{
    private readonly FrameAllocator _frames;
    private readonly byte[] _content;
    private readonly ulong _offset, _length;

    public FakeExecutable(FrameAllocator frames, byte[] content)
        : base(OpenFlags.O_RDONLY)
    {
        _frames = frames;
        _content = content;
        _length = ((ulong)content.Length + 4095) & ~4095UL;
        if (_length == 0 || frames.Allocate(_length, out _offset) != Errno.OK)
            return;
        MemoryFixtureFill.Fill(frames, _offset, content);
    }

    /// <summary>Bytes mapped now.</summary>
    public long Mapped { get; private set; }

    public bool IsReleased { get; private set; }

    public string MapName => "/fake";

    public ulong MapDevice => 0x1234;

    public ulong MapInode => 77;

    public override SysResult Read(IoVector to, ref long offset, RwFlags flags)
    {
        if (offset < 0)
            return Errno.EINVAL;
        if (offset >= _content.Length)
            return 0;
        // Short reads happen.
        int n = to.CopyFrom(_content.AsSpan((int)offset, Math.Min(100, _content.Length - (int)offset)));
        offset += n;
        return n;
    }

    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = this;
        return Errno.OK;
    }

    public Errno Resolve(ulong offset, ulong length, out Backing backing)
    {
        backing = default;
        if (offset >= _length)
            return Errno.ENXIO;
        backing = new Backing { HostFd = -1, Offset = _offset + offset, Length = Math.Min(length, _length - offset) };
        return Errno.OK;
    }

    public void AddMapping(ulong offset, ulong length)
    {
        if (Mapped == 0)
            AddReference();
        Mapped += (long)length;
    }

    public void RemoveMapping(ulong offset, ulong length)
    {
        Mapped -= (long)length;
        if (Mapped == 0)
            DropReference();
    }

    protected override void Release()
    {
        IsReleased = true;
        _frames.Free(_offset, _length);
    }
}
