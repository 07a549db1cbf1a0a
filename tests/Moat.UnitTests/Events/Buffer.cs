using System.Runtime.InteropServices;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;

namespace Moat.UnitTests.Events;

/// <summary>Memory outside the managed heap, read and written through vectors as guest memory is.</summary>
internal sealed unsafe class Buffer : IDisposable
{
    private readonly byte* _data;
    private readonly IoVector _vector = new();

    public Buffer(int length)
    {
        Length = length;
        _data = (byte*)NativeMemory.AllocZeroed((nuint)length);
    }

    public int Length { get; }

    public Span<byte> Bytes => new(_data, Length);

    /// <summary>A vector over part of it, in two spans so that boundaries are crossed.</summary>
    public IoVector Vector(int offset, int length)
    {
        _vector.Clear();
        int half = length / 3;
        _vector.Add(_data + offset, (ulong)half);
        _vector.Add(_data + offset + half, (ulong)(length - half));
        return _vector;
    }

    public SysResult Read(FileDescription file, int length) => file.ReadNext(Vector(0, length), Moat.Abi.RwFlags.None);

    public SysResult Write(FileDescription file, int length) => file.WriteNext(Vector(0, length), Moat.Abi.RwFlags.None);

    public void Dispose()
    {
        _vector.Dispose();
        NativeMemory.Free(_data);
    }
}
