using System.Text.Json;
using Moat.Abi;
using Moat.Cli;
using Moat.Host;
using Moat.Kernel.IoUring;
using Xunit;

namespace Moat.UnitTests.IoUring;

public sealed class MonitorTests
{
    private static readonly RingSample s_ring = new(3, 17, "fio", IoUringSetup.SQPOLL | IoUringSetup.CQSIZE, 128, 5, 256, 7, 9, 1, 2, 100, 20, 3);

    private static long[] Latencies(long nanoseconds, long count)
    {
        long[] all = new long[LatencyHistogram.Buckets];
        all[LatencyHistogram.BucketOf(nanoseconds)] = count;
        return all;
    }

    private static MonitorSnapshot Snapshot(long time = 1_000_000_000, long more = 0) => new()
    {
        Pid = 4711,
        Started = 5,
        Time = time,
        Program = "fio --name=x",
        RingCount = 300,
        Rings = [s_ring with { Inline = s_ring.Inline + more }],
        Operations = [new OperationSample(IoUringOp.READ, 100 + more, 20, 3, Latencies(1000, 100 + more))],
    };

    [Fact]
    public void WhatIsWrittenIsRead()
    {
        byte[] bytes = new byte[MonitorSnapshot.Size];
        Snapshot().Write(bytes);
        MonitorSnapshot read = MonitorSnapshot.Read(bytes)!;
        Assert.Equal((4711L, 5L, 1_000_000_000L, "fio --name=x", 300L), (read.Pid, read.Started, read.Time, read.Program, read.RingCount));
        Assert.Equal(s_ring, Assert.Single(read.Rings));
        OperationSample read0 = Assert.Single(read.Operations);
        Assert.Equal((IoUringOp.READ, 123L), (read0.Op, read0.Total));
        Assert.Equal(Latencies(1000, 100), read0.Latencies);
    }

    [Fact]
    public void ItHasRoomForEverything()
    {
        byte[] bytes = new byte[MonitorSnapshot.Size];
        new MonitorSnapshot
        {
            Program = new string('ü', 1000),
            Rings = [.. Enumerable.Range(0, 300).Select(i => s_ring with { Number = i, Name = "0123456789abcdefXYZ" })],
            Operations = [.. Enumerable.Range(0, (int)IoUringOp.LAST).Select(i => new OperationSample((IoUringOp)i, 1, 1, 1, Latencies(1L << 40, 1)))],
        }.Write(bytes);
        MonitorSnapshot read = MonitorSnapshot.Read(bytes)!;
        Assert.Equal(MonitorSnapshot.MaxRings, read.Rings.Count);
        Assert.Equal("0123456789abcdef", read.Rings[^1].Name);
        Assert.Equal(IoUringOp.PIPE, read.Operations[^1].Op);
        Assert.All(read.Program, c => Assert.Equal('ü', c));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(56)]
    [InlineData(64)]
    public void NonsenseIsRefused(int at)
    {
        byte[] bytes = new byte[MonitorSnapshot.Size];
        Snapshot().Write(bytes);
        bytes.AsSpan(at, 8).Fill(0xee);
        Assert.Null(MonitorSnapshot.Read(bytes));
        Assert.Null(MonitorSnapshot.Read(bytes.AsSpan(0, 100)));
    }

    [Fact]
    public void NamesCannotReachTheTerminal()
    {
        byte[] bytes = new byte[MonitorSnapshot.Size];
        new MonitorSnapshot { Rings = [s_ring with { Name = "a\u001b[2J\n" }] }.Write(bytes);
        Assert.Equal("a?[2J?", MonitorSnapshot.Read(bytes)!.Rings[0].Name);
    }

    [Fact]
    public void RatesAreOfTheTimeBetween()
    {
        string text = TopReport.Text([Snapshot(3_000_000_000, more: 500)], [Snapshot()]);
        Assert.Contains("300 rings, 250 requests/s, 623 so far", text, StringComparison.Ordinal);
        Assert.Contains("5/128", text, StringComparison.Ordinal);
        Assert.Contains("SQPOLL CQSIZE", text, StringComparison.Ordinal);
        Assert.Contains("and 299 more", text, StringComparison.Ordinal);
        Assert.Contains("100 %", text, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(TopReport.Json([Snapshot(3_000_000_000, more: 500)], [Snapshot()]));
        JsonElement one = json.RootElement[0];
        Assert.Equal(250, one.GetProperty("rings")[0].GetProperty("rate").GetDouble());
        Assert.Equal(623, one.GetProperty("operations")[0].GetProperty("requests").GetInt64());
        Assert.InRange(one.GetProperty("operations")[0].GetProperty("latency").GetProperty("p99.9").GetInt64(), 1000, 1150);
    }

    [Fact]
    public void LinesFitTheTerminal()
        => Assert.All(TopReport.Text([Snapshot()], [], 40).Split('\n'), l => Assert.InRange(l.Length, 0, 40));

    [Theory]
    [InlineData(0, "0")]
    [InlineData(1.26, "1.3")]
    [InlineData(99.96, "100")]
    [InlineData(99_999, "99999")]
    [InlineData(100_000, "100k")]
    [InlineData(99_999_600, "100M")]
    public void ShortNumbers(double number, string text) => Assert.Equal(text, TopReport.Short(number));

    [Fact]
    public void AnotherProcessFindsTheSameBytes()
    {
        using SharedRegion mine = SharedRegion.Create("moat-test\0"u8, 8192)!;
        mine.Bytes[5000] = 7;
        string fd = Directory.GetFiles("/proc/self/fd").First(f => new FileInfo(f).LinkTarget == "/memfd:moat-test (deleted)");
        using SharedRegion other = SharedRegion.Open(fd, 8192)!;
        Assert.Equal(7, other.Bytes[5000]);
        other.Word(16) = 5;
        Assert.Equal(5u, mine.Word(16));
        mine.Wait(16, 4, -1);
        mine.Wait(16, 5, 1000);
        Assert.Null(SharedRegion.Open(fd, 16384));
        Assert.Null(SharedRegion.Open("/proc/self/fd/9999", 1));
    }
}
