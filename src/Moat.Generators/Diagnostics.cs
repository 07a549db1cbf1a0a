using Microsoft.CodeAnalysis;

namespace Moat.Generators;

/// <summary>What the generator refuses.</summary>
internal static class Diagnostics
{
    public static readonly DiagnosticDescriptor BadSignature = Error(
        "MOAT001", "System call method cannot be dispatched", "'{0}' {1}");

    public static readonly DiagnosticDescriptor Duplicate = Error(
        "MOAT002", "System call declared twice", "System call {0} is declared twice: '{1}' and '{2}'");

    public static readonly DiagnosticDescriptor MissingNote = Error(
        "MOAT003", "Support needs a note", "System call '{0}' is {1}: its Note has to say what is missing or which errno, and why");

    public static readonly DiagnosticDescriptor WrongName = Error(
        "MOAT004", "Number and name disagree", "System call {0} is '{1}' on x86-64, not '{2}'");

    private static DiagnosticDescriptor Error(string id, string title, string format)
        => new(id, title, format, "Moat", DiagnosticSeverity.Error, isEnabledByDefault: true);
}
