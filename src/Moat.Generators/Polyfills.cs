namespace System.Runtime.CompilerServices;

/// <summary>What netstandard2.0 lacks for init accessors and records.</summary>
internal static class IsExternalInit;
