using Xunit;

namespace Moat.UnitTests.Platform;

/// <summary>Tests that count the process's descriptors and processors run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class PlatformCollection
{
    public const string Name = "platform";
}
