using Moat.Kernel.Events;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Syscalls;

/// <summary>fcntl(2), "Managing signals": who hears of a description's readiness, and by which signal.</summary>
internal static class FileOwnerControl
{
    /// <summary>F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG, F_GETOWNER_UIDS. EINVAL, ESRCH, EFAULT.</summary>
    public static SysResult Fcntl(Task task, FileDescription file, int command, ulong argument)
    {
        AsyncNotice? notice = file.AsyncNotice;
        switch (command)
        {
            case FcntlCommand.F_GETOWN:
                FileOwner owner = Living(task, notice);
                return owner.Type == FileOwner.F_OWNER_PGRP ? -owner.Id : owner.Id;
            case FcntlCommand.F_GETOWN_EX:
                return task.Mm.Write(new UserPtr<FileOwner>(argument), Living(task, notice));
            case FcntlCommand.F_GETSIG:
                return notice?.SignalNumber ?? 0;
            case FcntlCommand.F_SETSIG:
                const int MaxSignal = 64;
                if (argument > MaxSignal)
                    return Errno.EINVAL;
                file.GetAsyncNotice(task.Sentry).SignalNumber = (int)argument;
                return 0;
            case FcntlCommand.F_SETOWN:
                var who = (int)argument;
                if (who == int.MinValue)
                    return Errno.EINVAL;
                return SetOwner(task, file, new FileOwner
                {
                    Type = who < 0 ? FileOwner.F_OWNER_PGRP : FileOwner.F_OWNER_PID,
                    Id = Math.Abs(who),
                });
            case FcntlCommand.F_SETOWN_EX:
                Errno error = task.Mm.Read(new UserPtr<FileOwner>(argument), out FileOwner wanted);
                if (error != Errno.OK)
                    return error;
                return (uint)wanted.Type > FileOwner.F_OWNER_PGRP ? Errno.EINVAL : SetOwner(task, file, wanted);
            default:
                (uint Uid, uint EffectiveUid) ids = notice?.Ids ?? default;
                return task.Mm.Write(new UserPtr<(uint Uid, uint EffectiveUid)>(argument), ids);
        }
    }

    private static SysResult SetOwner(Task task, FileDescription file, FileOwner owner)
    {
        if (owner.Id != 0 && !Exists(task, owner.Id))
            return Errno.ESRCH;
        file.GetAsyncNotice(task.Sentry).SetOwner(task, owner);
        return 0;
    }

    // Any use of the number will do, as a thread's, a process's or a group's.
    private static bool Exists(Task task, int id)
        => task.Sentry.Tasks.Find(id) is not null || task.Sentry.Tasks.FindGroup(id) is not null
            || task.Sentry.Tasks.GetGroups().Exists(g => g.ProcessGroupId == id || g.SessionId == id);

    private static FileOwner Living(Task task, AsyncNotice? notice)
    {
        FileOwner owner = notice?.Owner ?? new FileOwner { Type = FileOwner.F_OWNER_TID };
        if (owner.Id != 0 && !Exists(task, owner.Id))
            owner.Id = 0;
        return owner;
    }
}
