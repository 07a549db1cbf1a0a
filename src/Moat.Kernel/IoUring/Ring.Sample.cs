using System.Text;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.IoUring;

internal sealed partial class Ring
{
    private readonly ThreadGroup _maker;

    /// <summary>
    /// What it is at and has done, for <c>moat uring top</c>. Waits a moment for the lock at most: of a ring that is busy for longer the counts are told.
    /// <paramref name="nameRoom"/>: bytes of the process's name.
    /// </summary>
    public RingSample Sample(int nameRoom)
    {
        const int Patience = 10;
        ReadOnlySpan<byte> name = _maker.Leader.Name;
        int end = name.IndexOf((byte)0);
        name = name[..Math.Min(end < 0 ? name.Length : end, nameRoom)];
        RingSample sample = new(_number, _maker.Id, Encoding.UTF8.GetString(name), Setup, 0, 0, 0, 0, Volatile.Read(ref _live), Volatile.Read(ref _backlogCount),
            Volatile.Read(ref _overflow), _stats.Count(ServedBy.Inline), _stats.Count(ServedBy.Poll), _stats.Count(ServedBy.Worker));
        if (!_lock.TryEnter(Patience))
            return sample;
        // The rings' words go with the last request of a ring that nobody has open.
        if (_memory is not null && !_freed)
        {
            sample = sample with
            {
                SqEntries = _memory.SqEntries,
                SqReady = Math.Min(_memory.SqTail - _sqHead, _memory.SqEntries),
                CqEntries = _memory.CqEntries,
                CqReady = Math.Min(Volatile.Read(ref _cqTail) - _memory.CqHead, _memory.CqEntries),
                InFlight = _live,
            };
        }
        // What a ring that has ended still has to do, the sentry's thread does.
        if (_released)
            ExitLock();
        else
            Unlock();
        return sample;
    }
}
