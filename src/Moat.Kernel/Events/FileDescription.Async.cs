using Moat.Kernel.Events;
using Moat.Kernel.Tasks;

namespace Moat.Kernel.Vfs;

internal abstract partial class FileDescription
{
    private AsyncNotice? _async;

    /// <summary>O_ASYNC means something: pipes, sockets, terminals.</summary>
    public virtual bool HasAsyncNotice => false;

    /// <summary>Owner and signal of O_ASYNC, once somebody has set one.</summary>
    public AsyncNotice? AsyncNotice => Volatile.Read(ref _async);

    /// <summary>The same, made when it is not there.</summary>
    public AsyncNotice GetAsyncNotice(Sentry sentry)
    {
        if (AsyncNotice is { } notice)
            return notice;
        notice = new AsyncNotice(sentry);
        return Interlocked.CompareExchange(ref _async, notice, null) ?? notice;
    }
}
