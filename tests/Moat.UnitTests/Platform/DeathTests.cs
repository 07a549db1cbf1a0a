using Iced.Intel;
using Moat.Host;
using Moat.Platform;
using Moat.Platform.Trap;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Moat.UnitTests.Platform;

[Collection(PlatformCollection.Name)]
public unsafe class DeathTests
{
    private const ulong GuestCode = 0x7000_0000_1000, ServiceCode = 0x7000_0000_2000, Slots = 0x7001_0000_0000;

    private static void Loop(Assembler c)
    {
        Label loop = c.CreateLabel();
        c.Label(ref loop);
        c.pause();
        c.jmp(loop);
    }

    [Fact]
    public void KilledFromOutside()
    {
        using var program = new GuestProgram(Loop);
        var reasons = new StopReason[3];
        var threads = new Thread[reasons.Length];
        using var inside = new CountdownEvent(reasons.Length);
        for (var i = 0; i < threads.Length; i++)
        {
            int me = i;
            threads[i] = new Thread(() =>
            {
                using GuestThread thread = program.Thread();
                inside.Signal();
                reasons[me] = thread.Switch();
                Assert.Equal(StopReason.Died, thread.Switch());
            });
            threads[i].Start();
        }

        inside.Wait();
        HostSyscall.PidfdSendSignal(((TrapAddressSpace)program.Space).PidFd, 9);
        foreach (Thread thread in threads)
            thread.Join();
        Assert.All(reasons, r => Assert.Equal(StopReason.Died, r));
        Assert.Equal(-3, program.Space.Unmap(GuestProgram.DataAddress, 0x1000));
        Assert.Throws<HostException>(() => program.Space.CreateThread());
    }

    [Fact]
    public void DisposeEndsARunningGuest()
    {
        using var program = new GuestProgram(Loop);
        using GuestThread guest = program.Thread();
        StopReason reason = default;
        var runner = new Thread(() => reason = guest.Switch());
        runner.Start();
        program.Space.Dispose();
        runner.Join();
        Assert.Equal(StopReason.Died, reason);
        Assert.Equal(GuestProgram.DataAddress + GuestProgram.DataSize, guest.Registers.Rsp);
        guest.Interrupt();
        program.Space.Dispose();
    }

    [Fact]
    public void LeavesNothing()
    {
        _ = GuestProgram.Shared();
        int descriptors = Descriptors(), mappings = Mappings();
        int pid;
        using (var program = new GuestProgram(c => c.syscall()))
        {
            pid = ((TrapAddressSpace)program.Space).Pid;
            Assert.True(Directory.Exists($"/proc/{pid}"));
            for (var i = 0; i < 20; i++)
                program.Thread().Dispose();
            using GuestThread thread = program.Thread();
            Assert.Equal(StopReason.Syscall, thread.Switch());
        }

        Assert.False(Directory.Exists($"/proc/{pid}"));
        Assert.Equal(descriptors, Descriptors());
        Assert.Equal(mappings, Mappings());
    }

    [Fact]
    public void AThreadsEndLeavesNoThread()
    {
        using var program = new GuestProgram(c => c.syscall());
        string tasks = $"/proc/{((TrapAddressSpace)program.Space).Pid}/task";
        for (var i = 0; i < 40; i++)
            program.Thread().Dispose();
        while (Directory.GetDirectories(tasks).Length != 1)
            Thread.Yield();
    }

    [Theory]
    [InlineData(39)] // getpid
    [InlineData(9)] // mmap
    [InlineData(56)] // clone
    [InlineData(317)] // seccomp
    [InlineData(16)] // ioctl
    public void ForbiddenCallsFromTheStubsCodeKill(int nr)
    {
        foreach (ulong page in (ReadOnlySpan<ulong>)[GuestCode, ServiceCode])
        {
            using var program = new GuestProgram(c =>
            {
                c.mov(eax, nr);
                c.mov(rcx, (long)FindSystemCall(page));
                c.jmp(rcx);
            });
            using GuestThread thread = program.Thread();
            Assert.Equal(StopReason.Died, thread.Switch());
        }
    }

    // Wherever a guest jumps to in the stub, with registers of its choice, the sentry gets an answer.
    [Fact]
    public void JumpsIntoTheStub()
    {
        using var program = new GuestProgram(c =>
        {
            c.mov(rdi, (long)GuestProgram.DataAddress);
            c.mov(rsi, rdi);
            c.mov(rdx, rdi);
            c.jmp(rcx);
        });
        GuestProgram current = program;
        for (ulong offset = 0; offset < 0x1a0; offset++)
        {
            GuestProgram fresh = current;
            var watchdog = new Timer(_ => fresh.Space.Dispose(), null, 2000, Timeout.Infinite);
            GuestThread thread;
            try
            {
                thread = fresh.Thread();
            }
            catch (HostException)
            {
                watchdog.Dispose();
                current = new GuestProgram(c =>
                {
                    c.mov(rdi, (long)GuestProgram.DataAddress);
                    c.mov(rsi, rdi);
                    c.mov(rdx, rdi);
                    c.jmp(rcx);
                });
                offset--;
                continue;
            }

            thread.Registers.Rcx = GuestCode + offset;
            thread.Registers.Rax = 1;
            for (var i = 0; i < 3; i++)
            {
                thread.Switch();
            }

            thread.Dispose();
            watchdog.Dispose();
        }

        current.Dispose();
    }

    [Fact]
    public void SlotsAreHostile()
    {
        // Garbage over the whole slot, again and again, by a second thread: the sentry survives and the first thread stops or dies.
        using var program = new GuestProgram(c =>
        {
            Label call = c.CreateLabel(), scribble = c.CreateLabel(), again = c.CreateLabel();
            c.test(r15, r15);
            c.jnz(scribble);
            c.Label(ref call);
            c.syscall();
            c.jmp(call);
            c.Label(ref scribble);
            c.mov(rax, r15);
            c.Label(ref again);
            c.mov(rdi, (long)Slots + 0x1_0000);
            c.mov(ecx, 0x1_0000 / 8);
            c.rep.stosq();
            c.imul(rax, rax, 1103515245);
            c.add(rax, 12345);
            c.jmp(again);
        });
        using GuestThread victim = program.Thread();
        Assert.Equal(0, ((TrapThread)victim).Index);
        Assert.Equal(StopReason.Syscall, victim.Switch());
        using GuestThread attacker = program.Thread();
        attacker.Registers.R15 = 0x1234567;
        var runner = new Thread(() => attacker.Switch());
        runner.Start();
        using var watchdog = new Timer(_ => program.Space.Dispose(), null, 1000, Timeout.Infinite);
        while (victim.Switch() != StopReason.Died)
        {
            _ = victim.Registers.Rax + victim.Fault.Address + (ulong)victim.FpuState.Length + victim.FsBase;
            victim.ResetFpuState();
        }

        runner.Join();
    }

    // A guest that returns from a signal of its own making can block the interrupt, and its thread's only.
    [Fact]
    public void KillCannotBeEvaded()
    {
        ulong systemCall = FindSystemCall(GuestCode);
        using var program = new GuestProgram(c =>
        {
            Label loop = c.CreateLabel();
            c.mov(rsp, (long)GuestProgram.DataAddress);
            c.mov(eax, 15); // rt_sigreturn
            c.mov(rcx, (long)systemCall);
            c.jmp(rcx);
            c.nop();
            c.Label(ref loop);
            c.@lock.inc(__qword_ptr[(long)GuestProgram.DataAddress + 0x1000]);
            c.jmp(loop);
        });
        const int rip = 5 + 16, segments = 5 + 18, mask = 37;
        byte[] code = new Span<byte>(program.Code, 64).ToArray();
        program.Data(rip) = GuestProgram.CodeAddress + (ulong)code.AsSpan().IndexOf((byte)0x90) + 1;
        program.Data(segments) = 0x33 | (0x2bUL << 48);
        program.Data(mask) = ulong.MaxValue;
        using GuestThread thread = program.Thread();
        StopReason reason = default;
        var runner = new Thread(() => reason = thread.Switch());
        runner.Start();
        while (Volatile.Read(ref program.Data(0x200)) == 0)
            Thread.Yield();
        thread.Interrupt();
        for (ulong seen = program.Data(0x200); Volatile.Read(ref program.Data(0x200)) < seen + 100_000;)
            Thread.Yield();
        Assert.True(runner.IsAlive);
        program.Space.Kill();
        runner.Join();
        Assert.Equal(StopReason.Died, reason);
    }

    [Fact]
    public void TheServicePageCannotBeWritten()
    {
        using var program = new GuestProgram(c => c.mov(__byte_ptr[rdi], 1));
        using GuestThread thread = program.Thread();
        thread.Registers.Rdi = Slots;
        Assert.Equal(StopReason.Fault, thread.Switch());
        Assert.Equal((11, 2, Slots), (thread.Fault.Signal, thread.Fault.Code, thread.Fault.Address));
    }

    [Fact]
    public void TheStubHoldsNothingElse()
    {
        using var program = new GuestProgram(c => c.syscall());
        string proc = $"/proc/{((TrapAddressSpace)program.Space).Pid}";
        Assert.Equal(["0", "1", "2"], Directory.GetFiles(proc + "/fd").Select(f => Path.GetFileName(f)!).Order());
        string[] maps = File.ReadAllLines(proc + "/maps");
        Assert.All(maps, line => Assert.Matches("moat-|\\[v", line));
        Assert.Empty(File.ReadAllText(proc + "/environ"));
        string status = File.ReadAllText(proc + "/status");
        Assert.Contains("NoNewPrivs:\t1", status, StringComparison.Ordinal);
        Assert.Contains("Seccomp:\t2", status, StringComparison.Ordinal);
    }

    private static int Descriptors() => Directory.GetFiles("/proc/self/fd").Length;

    private static int Mappings() => File.ReadLines("/proc/self/maps").Count(l => l.Contains("moat-slots", StringComparison.Ordinal));

    // Address of a system call instruction in a page of the stub.
    private static ulong FindSystemCall(ulong page)
    {
        Assembler code = page == GuestCode ? new StubGuestCode(useFsGsBase: true).Code : new StubServiceCode(1).Code;
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), page);
        return page + (ulong)stream.ToArray().AsSpan().IndexOf("\x0f\x05"u8);
    }
}
