namespace Moat.Host;

/// <summary>The host refuses something that Moat cannot run without. Only start-up throws it.</summary>
public sealed class HostException : Exception
{
    /// <summary>Makes one with a sentence for the user.</summary>
    public HostException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with a sentence for the user and its cause.</summary>
    public HostException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Makes one without details.</summary>
    public HostException()
    {
    }

    /// <summary>Throws when <paramref name="result"/> is -errno.</summary>
    public static void Check(long result, string what)
    {
        if (result is < 0 and >= -4095)
            throw new HostException($"the host refuses {what} (errno {-result})");
    }
}
