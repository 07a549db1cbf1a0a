using System.Collections.Immutable;
using Microsoft.CodeAnalysis;

namespace Moat.Generators;

/// <summary>How an argument register becomes a typed argument; the same names as the kernel's ParameterKind.</summary>
internal enum Kind
{
    Fd,
    Pointer,
    Path,
    Signed,
    Unsigned,
    Enumeration,
}

/// <summary>One parameter of a system call behind the task.</summary>
/// <param name="Name">As the method names it.</param>
/// <param name="Kind">How it is decoded and shown.</param>
/// <param name="Type">Fully qualified type.</param>
/// <param name="Pointee">For UserPtr of T: the fully qualified T; else empty.</param>
internal sealed record Parameter(string Name, Kind Kind, string Type, string Pointee);

/// <summary>One method with [Syscall], or what is wrong with it.</summary>
internal sealed record Call(
    int Number,
    string Name,
    string Support,
    string Note,
    string Method,
    EquatableList<Parameter> Parameters,
    Location? Location,
    string? Problem);

/// <summary>A list that compares by content, so that the incremental pipeline can stop early.</summary>
internal sealed class EquatableList<T>(ImmutableArray<T> items) : IEquatable<EquatableList<T>>
    where T : IEquatable<T>
{
    public ImmutableArray<T> Items { get; } = items;

    public bool Equals(EquatableList<T>? other) => other is not null && Items.SequenceEqual(other.Items);

    public override bool Equals(object? obj) => Equals(obj as EquatableList<T>);

    public override int GetHashCode() => Items.Aggregate(17, (hash, item) => (hash * 31) + item.GetHashCode());
}
