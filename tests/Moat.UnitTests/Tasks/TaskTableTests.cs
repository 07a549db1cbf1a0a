using Moat.Kernel.Tasks;
using Xunit;

namespace Moat.UnitTests.Tasks;

public sealed class TaskTableTests
{
    [Fact]
    public void NumbersRiseAndAreNotReusedAtOnce()
    {
        TaskTable table = new();
        Assert.Equal(1, table.Allocate());
        Assert.Equal(2, table.Allocate());
        table.Free(1);
        Assert.Equal(3, table.Allocate());
    }

    [Fact]
    public void NumbersWrapAndSkipWhatIsTaken()
    {
        TaskTable table = new();
        int first = table.Allocate();
        for (int i = first + 1; i < TaskTable.Limit; i++)
            table.Free(table.Allocate());
        int wrapped = table.Allocate();
        Assert.InRange(wrapped, 300, 400);
        Assert.NotEqual(wrapped, table.Allocate());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(int.MaxValue)]
    [InlineData(TaskTable.Limit)]
    [InlineData(12345)]
    public void NobodyIsFoundByNumbersThatAreNotTaken(int id)
    {
        TaskTable table = new();
        Assert.Null(table.Find(id));
        Assert.Null(table.FindGroup(id));
    }
}
