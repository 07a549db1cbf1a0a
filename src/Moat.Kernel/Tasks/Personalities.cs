namespace Moat.Kernel.Tasks;

/// <summary>Parts of a personality (man 2 personality).</summary>
internal static class Personalities
{
    /// <summary>The execution domain.</summary>
    public const uint PER_MASK = 0xff;

    /// <summary>uname(2) tells a machine of 32 bits.</summary>
    public const uint PER_LINUX32 = 0x0008;

    /// <summary>uname(2) tells a kernel 2.6.</summary>
    public const uint UNAME26 = 0x0020000;

    /// <summary>What mmap(2) and mprotect(2) make readable is executable too.</summary>
    public const uint READ_IMPLIES_EXEC = 0x0400000;
}
