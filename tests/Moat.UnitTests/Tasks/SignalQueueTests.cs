using System.Runtime.CompilerServices;
using Moat.Abi;
using Moat.Kernel.Signals;
using Xunit;
using Signal = Moat.Abi.Signal;

namespace Moat.UnitTests.Tasks;

public sealed class SignalQueueTests
{
    [Fact]
    public void TheFrameHasLinuxsLayout()
    {
        Assert.Equal(440, Unsafe.SizeOf<SignalFrame>());
        Assert.Equal(128, Unsafe.SizeOf<SigInfo>());
        Assert.Equal(32, Unsafe.SizeOf<SigAction>());
        Assert.Equal(24, Unsafe.SizeOf<SignalStack>());
        Assert.Equal(88, Unsafe.SizeOf<CloneArgs>());
    }

    [Fact]
    public void FaultsComeFirstThenTheLowestNumber()
    {
        SignalQueue queue = new();
        SignalNode? spare = null;
        foreach (int signal in new[] { 40, Signal.SIGTERM, Signal.SIGHUP, Signal.SIGSEGV })
            queue.Add(new SignalNode { Info = new SigInfo { Signo = signal } });
        foreach (int expected in new[] { Signal.SIGSEGV, Signal.SIGHUP, Signal.SIGTERM, 40 })
        {
            Assert.Equal(expected, queue.First(ulong.MaxValue));
            Assert.True(queue.Take(expected, out _, ref spare));
        }
        Assert.Equal(0, queue.First(ulong.MaxValue));
    }

    [Fact]
    public void ASignalWithoutRoomForItsInformationIsStillThere()
    {
        SignalQueue queue = new();
        SignalNode? spare = null;
        queue.AddWithoutInfo(Signal.SIGINT);
        Assert.Equal(Signal.SIGINT, queue.First(ulong.MaxValue));
        Assert.False(queue.Take(Signal.SIGINT, out SigInfo info, ref spare));
        Assert.Equal(Signal.SIGINT, info.Signo);
        Assert.Equal(0UL, queue.Bits);
    }

    /// <summary>The queue against a plain list.</summary>
    [Fact]
    public void BehavesLikeAList()
    {
        Random random = new(7);
        SignalQueue queue = new();
        List<(int Signo, int Order)> model = [];
        SignalNode? spare = null;
        for (int order = 0; order < 20_000; order++)
        {
            int signal = random.Next(1, 65);
            switch (random.Next(8))
            {
                case < 5:
                    SignalNode node = spare ?? new SignalNode();
                    spare = node.Next;
                    node.Info = new SigInfo { Signo = signal, Pid = order };
                    queue.Add(node);
                    model.Add((signal, order));
                    break;
                case < 7:
                    signal = queue.First(ulong.MaxValue);
                    if (signal == 0)
                        break;
                    Assert.True(queue.Take(signal, out SigInfo info, ref spare));
                    Assert.Equal(model.First(m => m.Signo == signal).Order, info.Pid);
                    model.Remove((signal, info.Pid));
                    break;
                default:
                    ulong set = 0xFUL << random.Next(61);
                    Assert.Equal(model.RemoveAll(m => (Signal.Bit(m.Signo) & set) != 0), queue.Discard(set, ref spare));
                    break;
            }
            Assert.Equal(model.Aggregate(0UL, (b, m) => b | Signal.Bit(m.Signo)), queue.Bits);
        }
    }
}
