using System.Text;
using Moat.Host;
using Moat.Kernel.Loader;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

/// <summary>A loaded program, ready to become a task's (execve(2)).</summary>
internal sealed class ProgramImage
{
    private ProgramImage(MemoryManager memory, GuestThread? thread, LoadedProgram program, Credentials credentials)
    {
        Credentials = credentials;
        Memory = memory;
        Thread = thread;
        Program = program;
    }

    /// <summary>The program's memory; a draft while <see cref="Thread"/> is null.</summary>
    public MemoryManager Memory { get; }

    /// <summary>The program's thread; null: it takes over the address space and the thread of the task that executes it.</summary>
    public GuestThread? Thread { get; }

    public LoadedProgram Program { get; }

    /// <summary>What the program runs with.</summary>
    public Credentials Credentials { get; }

    /// <summary>
    /// Loads a file. <paramref name="committed"/>: it is one that Linux would have begun to load, so that a failure ends the
    /// process. EAGAIN: the host gives no address space or thread; else as execve(2).
    /// </summary>
    public static Errno Load(
        Sentry sentry, in Caller caller, FileDescription file, string path, IReadOnlyList<byte[]> arguments, IReadOnlyList<byte[]> environment,
        ResourceLimits limits, out ProgramImage? image, out bool committed)
    {
        image = null;
        committed = false;
        LoadedProgram? program = null;
        MemoryManager? memory = null;
        try
        {
            ulong vdso = sentry.Platform.Vdso;
            memory = new MemoryManager(sentry, new AddressSpaceDraft(vdso));
            Caller who = caller;
            LoadRequest request = new()
            {
                Memory = memory,
                File = file,
                Path = path,
                Open = (string interpreter, out FileDescription? opened)
                    => ExecutableFile.Open(in who, interpreter, out opened),
                Arguments = arguments,
                Environment = environment,
                Credentials = caller.Credentials,
                HonoursSetIds = caller.Task is not { NoNewPrivileges: true },
                StackLimit = limits.Get(Resource.RLIMIT_STACK).Current,
                AddressSpaceLimit = limits.Get(Resource.RLIMIT_AS).Current,
                DataLimit = limits.Get(Resource.RLIMIT_DATA).Current,
            };
            Errno error = ProgramLoader.Load(request, out program).Error;
            committed = request.Committed;
            if (error != Errno.OK)
            {
                memory.DropUser();
                return error;
            }
            bool takesOver = ReferenceEquals(request.Credentials, caller.Credentials) && CanTakeOver(caller.Task, vdso);
            GuestThread? thread = takesOver ? null : memory.BeReal(sentry.Platform.CreateAddressSpace());
            image = new ProgramImage(memory, thread, program!, request.Credentials);
            return Errno.OK;
        }
        catch (HostException e)
        {
            sentry.Log?.Invoke($"no address space or thread: {e.Message}");
            program?.Executable.DropReference();
            memory?.DropUser();
            committed = false;
            return Errno.EAGAIN;
        }
    }

    // A process of one thread that shares its memory with nobody goes on in its own address space. For other rights it gets a new one: what
    // it has left behind in its own shall not matter to them.
    private static bool CanTakeOver(Task? task, ulong vdso)
        => task is not null && task.Group.ThreadCount == 1 && task.Mm.HasOnly(1) && task.Mm.Space.CanReplace && task.Mm.Space.Vdso == vdso;

    /// <summary>Gives everything back; the image was not used.</summary>
    public void Discard()
    {
        Thread?.Dispose();
        Memory.DropUser();
        Program.Executable.DropReference();
    }

    /// <summary>Sets the registers to the program's start.</summary>
    public void SetRegisters(GuestThread thread)
    {
        ref GuestRegisters regs = ref thread.Registers;
        regs.Rip = Program.InstructionPointer;
        regs.Rsp = Program.StackPointer;
    }

    /// <summary>The thread's name.</summary>
    public byte[] Name => Encoding.Latin1.GetBytes(Program.Name);
}
