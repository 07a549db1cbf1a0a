using Moat.Kernel.Loader;

namespace Moat.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>Makes the guest thread that starts a program which has been loaded into this task's memory.</summary>
    internal void Begin(LoadedProgram program)
    {
        Thread = Mm.CreateThread();
        Thread.Registers.Rip = program.InstructionPointer;
        Thread.Registers.Rsp = program.StackPointer;
        Group.Executable = program.Executable;
    }
}
