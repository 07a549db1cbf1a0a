using System.Text;

namespace Moat.Host;

/// <summary>A name or path of one char per byte in the form that host calls take, on the stack or, when long, in the heap.</summary>
internal unsafe ref struct HostName
{
    /// <summary>Room that callers give on their stack, bytes.</summary>
    public const int StackSize = 512;

    private readonly Span<byte> _bytes;

    /// <summary>Encodes; no NUL may be inside.</summary>
    public HostName(ReadOnlySpan<char> name, Span<byte> stack)
    {
        _bytes = name.Length < stack.Length ? stack : new byte[name.Length + 1];
        Encoding.Latin1.GetBytes(name, _bytes);
        _bytes[name.Length] = 0;
    }

    /// <summary>For <c>fixed</c>.</summary>
    public readonly ref byte GetPinnableReference() => ref _bytes[0];
}
