using System.Text;
using Moat.Host;
using Moat.Kernel.Loader;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Tasks;

/// <summary>A loaded program with a memory and a guest thread of its own, ready to become a task's (execve(2)).</summary>
internal sealed class ProgramImage
{
    private ProgramImage(MemoryManager memory, GuestThread thread, LoadedProgram program, Credentials credentials)
    {
        Credentials = credentials;
        Memory = memory;
        Thread = thread;
        Program = program;
    }

    public MemoryManager Memory { get; }

    public GuestThread Thread { get; }

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
        MemoryManager memory;
        try
        {
            memory = new MemoryManager(sentry);
        }
        catch (HostException e)
        {
            sentry.Log?.Invoke($"no address space: {e.Message}");
            return Errno.EAGAIN;
        }
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
        memory.Space.BeginGather();
        Errno error = ProgramLoader.Load(request, out LoadedProgram? program).Error;
        committed = request.Committed;
        if (error == Errno.OK)
        {
            try
            {
                image = new ProgramImage(memory, memory.CreateThread(), program!, request.Credentials);
                if (memory.Space.EndGather() >= 0)
                    return Errno.OK;
                image.Discard();
                image = null;
                committed = false;
                return Errno.ENOMEM;
            }
            catch (HostException e)
            {
                sentry.Log?.Invoke($"no thread: {e.Message}");
                program!.Executable.DropReference();
                error = Errno.EAGAIN;
                committed = false;
            }
        }
        memory.DropUser();
        return error;
    }

    /// <summary>Gives everything back; the image was not used.</summary>
    public void Discard()
    {
        Thread.Dispose();
        Memory.DropUser();
        Program.Executable.DropReference();
    }

    /// <summary>Sets the registers to the program's start.</summary>
    public void SetRegisters()
    {
        ref GuestRegisters regs = ref Thread.Registers;
        regs.Rip = Program.InstructionPointer;
        regs.Rsp = Program.StackPointer;
    }

    /// <summary>The thread's name.</summary>
    public byte[] Name => Encoding.Latin1.GetBytes(Program.Name);
}
