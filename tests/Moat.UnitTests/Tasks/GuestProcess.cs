using Iced.Intel;
using Moat.Abi;
using Moat.Host;
using Moat.Kernel;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.Platform;
using Moat.Platform.Trap;
using Xunit;
using Task = Moat.Kernel.Tasks.Task;

namespace Moat.UnitTests.Tasks;

/// <summary>A whole sandbox around a few instructions: code at <see cref="Code"/>, zeroed data, a stack.</summary>
internal static class GuestProcess
{
    public const ulong Code = 0x40_0000, Data = 0x50_0000, Stack = 0x60_0000, StackTop = Stack + 0x1_0000;

    /// <summary>Runs to the end; says how it ended, after checking that nothing is left.</summary>
    public static SentryExit Run(
        Action<Assembler> emit, Action<Sentry>? whileRunning = null, Action<MemoryManager>? before = null, Action<string>? report = null)
    {
        using MemoryFile memory = MemoryFile.Create();
        using TrapPlatform platform = new(memory);
        Sentry sentry = new(platform) { Report = report ?? (static text => Assert.Fail(text)) };
        MemoryManager mm = new(sentry, sentry.Platform.CreateAddressSpace());
        Map(mm, Code, MapAccess.Read | MapAccess.Write | MapAccess.Execute);
        Map(mm, Data, MapAccess.Read | MapAccess.Write);
        Map(mm, Stack, MapAccess.Read | MapAccess.Write);
        Assembler asm = new(64);
        emit(asm);
        using MemoryStream code = new();
        asm.Assemble(new StreamCodeWriter(code), Code);
        Assert.Equal(Errno.OK, mm.CopyOut(new UserPtr(Code), code.ToArray()));
        before?.Invoke(mm);
        int id = sentry.Tasks.Allocate();
        FdTable files = new();
        Task task = new(new ThreadGroup(sentry, id), id, mm, files, new FsContext(), new Credentials()) { Thread = mm.CreateThread() };
        task.Thread.Registers.Rip = Code;
        task.Thread.Registers.Rsp = StackTop;
        Assert.True(sentry.StartFirst(task));
        whileRunning?.Invoke(sentry);
        SentryExit exit = sentry.WaitForExit();
        sentry.Dispose();
        Assert.Equal(0, sentry.QueuedSignals);
        Assert.Equal(0, sentry.Futexes.WaiterCount);
        Assert.Null(sentry.Tasks.Find(id));
        return exit;
    }

    private static void Map(MemoryManager mm, ulong address, MapAccess access)
    {
        SysResult result = mm.Map(new MapRequest
        {
            Address = address,
            Length = 0x1_0000,
            Access = access,
            MaxAccess = MapRequest.All,
            Fixed = true,
        });
        Assert.Equal((long)address, result.Value);
    }
}

/// <summary>Short forms for what every guest does.</summary>
internal static class AssemblerCalls
{
    public static void Call(this Assembler a, int number, params ulong[] arguments)
    {
        AssemblerRegister64[] registers =
        [
            AssemblerRegisters.rdi, AssemblerRegisters.rsi, AssemblerRegisters.rdx, AssemblerRegisters.r10, AssemblerRegisters.r8,
            AssemblerRegisters.r9,
        ];
        for (int i = 0; i < arguments.Length; i++)
            a.mov(registers[i], arguments[i]);
        a.mov(AssemblerRegisters.eax, number);
        a.syscall();
    }

    /// <summary>exit_group(eax).</summary>
    public static void ExitWithResult(this Assembler a)
    {
        a.mov(AssemblerRegisters.edi, AssemblerRegisters.eax);
        a.mov(AssemblerRegisters.eax, 231);
        a.syscall();
    }
}
