using Moat.Kernel.Events;

namespace Moat.Kernel.Sockets.Unix;

internal abstract partial class UnixSocket
{
    private readonly Lock _roomLock = new();
    private List<RoomEntry>? _roomEntries;

    /// <summary>
    /// From the next time that <paramref name="other"/> has room, <see cref="Waiters"/> hears of it, once. The caller looks again after
    /// this whether there is room already.
    /// </summary>
    protected void WaitForRoom(UnixSocket other)
    {
        lock (_roomLock)
        {
            List<RoomEntry> entries = _roomEntries ??= [];
            RoomEntry? free = null;
            foreach (RoomEntry entry in entries)
            {
                if (!entry.InUse)
                    free ??= entry;
                else if (entry.Target == other)
                    return;
            }
            if (free is null)
                entries.Add(free = new RoomEntry(this));
            free.Target = other;
            free.InUse = true;
            other.RoomWaiters.Add(free, Output);
        }
    }

    private void LeaveRoomQueues()
    {
        lock (_roomLock)
        {
            foreach (RoomEntry entry in _roomEntries ?? [])
                entry.Remove();
            _roomEntries = null;
        }
    }

    /// <summary>A sender in the queue of one receiver.</summary>
    private sealed class RoomEntry(UnixSocket sender) : WaitEntry
    {
        /// <summary>Cleared last by the callback: from then on the entry may be used again.</summary>
        public volatile bool InUse;

        public UnixSocket? Target;

        public override bool OnWake(PollEvents events)
        {
            Queue!.RemoveFromCallback(this);
            Target = null;
            InUse = false;
            sender.Waiters.Wake(Output);
            return true;
        }
    }
}
