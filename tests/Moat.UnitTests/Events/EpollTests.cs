using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Events;
using Xunit;

namespace Moat.UnitTests.Events;

public sealed class EpollTests : IDisposable
{
    private const uint In = (uint)PollEvents.POLLIN, Out = (uint)PollEvents.POLLOUT, Edge = (uint)PollEvents.EPOLLET,
        OneShot = (uint)PollEvents.EPOLLONESHOT;

    private readonly Buffer _buffer = new(4096);
    private readonly Epoll _epoll = new();
    private readonly EventFd _file = new(0, semaphore: false, OpenFlags.O_RDONLY);
    private readonly EpollEvent[] _events = new EpollEvent[16];

    public EpollTests() => _buffer.Bytes[0] = 1;

    public void Dispose() => _buffer.Dispose();

    private static EpollEvent Wanted(uint events, ulong data = 7) => new() { Events = events, Data = data };

    private void Signal(EventFd file) => Assert.Equal(8, _buffer.Write(file, 8).Value);

    private static void Take(EventFd file)
    {
        using Buffer buffer = new(8);
        Assert.Equal(8, buffer.Read(file, 8).Value);
    }

    [Fact]
    public void LevelComesAgainEdgeDoesNot()
    {
        Assert.Equal(Errno.OK, _epoll.Add(_file, 3, Wanted(In)));
        Assert.Equal(0, _epoll.Harvest(_events));
        Signal(_file);
        Assert.Equal(1, _epoll.Harvest(_events));
        Assert.Equal((In, 7UL), (_events[0].Events, _events[0].Data));
        Assert.Equal(1, _epoll.Harvest(_events));
        Assert.Equal(Errno.OK, _epoll.Modify(_file, 3, Wanted(In | Edge)));
        Assert.Equal(1, _epoll.Harvest(_events));
        Assert.Equal(0, _epoll.Harvest(_events));
        Signal(_file);
        Assert.Equal(1, _epoll.Harvest(_events));
        Take(_file);
        Signal(_file);
        Assert.Equal(1, _epoll.Harvest(_events));
    }

    [Fact]
    public void OneShotIsDisarmedUntilModified()
    {
        Signal(_file);
        Assert.Equal(Errno.OK, _epoll.Add(_file, 3, Wanted(In | OneShot)));
        Assert.Equal(1, _epoll.Harvest(_events));
        Signal(_file);
        Assert.Equal(0, _epoll.Harvest(_events));
        Assert.Equal(Errno.OK, _epoll.Modify(_file, 3, Wanted(In | OneShot)));
        Assert.Equal(1, _epoll.Harvest(_events));
    }

    [Fact]
    public void ReadyItemsTakeTurns()
    {
        EventFd[] files = [.. Enumerable.Range(0, 5).Select(_ => new EventFd(1, semaphore: false, OpenFlags.O_RDONLY))];
        for (int i = 0; i < files.Length; i++)
            Assert.Equal(Errno.OK, _epoll.Add(files[i], i, Wanted(In, (ulong)i)));
        List<ulong> seen = [];
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(2, _epoll.Harvest(_events.AsSpan(0, 2)));
            seen.Add(_events[0].Data);
            seen.Add(_events[1].Data);
        }
        Assert.All(seen.GroupBy(d => d), g => Assert.Equal(2, g.Count()));
    }

    [Fact]
    public void ReleasedFilesVanish()
    {
        Signal(_file);
        Assert.Equal(Errno.OK, _epoll.Add(_file, 3, Wanted(In)));
        Assert.Equal(Errno.OK, _epoll.Add(_file, 4, Wanted(In)));
        Assert.Equal(Errno.EEXIST, _epoll.Add(_file, 4, Wanted(In)));
        Assert.Equal(Errno.OK, _epoll.Remove(_file, 4));
        Assert.Equal(Errno.ENOENT, _epoll.Remove(_file, 4));
        _file.DropReference();
        Assert.Equal(0, _epoll.Harvest(_events));
        Assert.Equal(Errno.ENOENT, _epoll.Remove(_file, 3));
    }

    [Fact]
    public void NestsFourDeepAndNeverInARing()
    {
        Epoll[] tower = [.. Enumerable.Range(0, 6).Select(_ => new Epoll())];
        for (int i = 0; i < 4; i++)
            Assert.Equal(Errno.OK, tower[i + 1].Add(tower[i], i, Wanted(In)));
        Assert.Equal(Errno.ELOOP, tower[5].Add(tower[4], 9, Wanted(In)));
        Assert.Equal(Errno.ELOOP, tower[0].Add(tower[3], 9, Wanted(In)));
        Assert.Equal(Errno.ELOOP, tower[0].Add(tower[5], 9, Wanted(In)));
        Assert.Equal(Errno.OK, tower[0].Add(_file, 3, Wanted(In)));
        Assert.Equal(PollEvents.None, tower[4].Poll());
        Signal(_file);
        Assert.Equal(1, tower[4].Harvest(_events));
        Take(_file);
        Assert.Equal(0, tower[4].Harvest(_events));
    }

    [Fact]
    public void WarmUseAllocatesNothing()
    {
        Assert.Equal(Errno.OK, _epoll.Add(_file, 3, Wanted(In | Out)));
        for (int i = 0; i < 100; i++)
            Round();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            Round();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            _file.Signal();
            _epoll.Harvest(_events);
            _epoll.Remove(_file, 3);
            _epoll.Add(_file, 3, Wanted(In | Out));
        }
    }

    [Fact]
    public void ConcurrentUseLosesNoEdge()
    {
        // Writers signal, a reader takes each edge-triggered event once and drains: nothing may be left behind.
        EventFd[] files = [.. Enumerable.Range(0, 8).Select(_ => new EventFd(0, semaphore: false, OpenFlags.O_RDONLY))];
        for (int i = 0; i < files.Length; i++)
            Assert.Equal(Errno.OK, _epoll.Add(files[i], i, Wanted(In | Edge, (ulong)i)));
        const int Each = 5_000;
        Thread[] writers = [.. files.Select(f => new Thread(() =>
        {
            for (int i = 0; i < Each; i++)
                f.Signal();
        }))];
        Array.ForEach(writers, t => t.Start());
        long total = 0;
        using Buffer buffer = new(8);
        SpinWait spin = default;
        while (total < (long)Each * files.Length)
        {
            int count = _epoll.Harvest(_events);
            for (int i = 0; i < count; i++)
            {
                if (buffer.Read(files[_events[i].Data], 8).Value == 8)
                    total += BitConverter.ToInt64(buffer.Bytes);
            }
            spin.SpinOnce();
        }
        Array.ForEach(writers, t => t.Join());
        Assert.Equal((long)Each * files.Length, total);
    }
}
