using System.Text;
using Moat.Abi;
using Moat.Kernel;
using Moat.Kernel.Loader;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;
using Moat.UnitTests.Memory;
using Xunit;

namespace Moat.UnitTests.Loader;

public sealed class ProgramLoaderTests
{
    private static byte[] Bytes(string s) => Encoding.Latin1.GetBytes(s);

    /// <summary>Loads a file into a fresh memory manager; others are found by path.</summary>
    private static SysResult Load(
        MemoryFixture f, byte[] content, out LoadedProgram? program, Dictionary<string, byte[]>? others = null, string[]? arguments = null,
        ulong stack = 8 << 20)
    {
        FakeExecutable file = new(f.Frames, content);
        LoadRequest request = new()
        {
            Memory = f.Mm,
            File = file,
            Path = "/bin/prog",
            Open = (string path, out FileDescription? found) =>
            {
                found = others is not null && others.TryGetValue(path, out byte[]? bytes) ? new FakeExecutable(f.Frames, bytes) : null;
                return found is null ? Errno.ENOENT : Errno.OK;
            },
            Arguments = [.. (arguments ?? ["prog", "one"]).Select(Bytes)],
            Environment = [Bytes("A=1"), Bytes("B=2")],
            Credentials = new Credentials { Uid = 5, EffectiveUid = 5, Gid = 6, EffectiveGid = 6 },
            StackLimit = stack,
        };
        SysResult result = ProgramLoader.Load(request, out program);
        file.DropReference();
        Assert.Equal(result.IsError, program is null);
        Assert.False(!result.IsError && program!.Executable is FakeExecutable { IsReleased: true });
        return result;
    }

    private static string Text(MemoryFixture f, ulong address)
    {
        byte[] buffer = new byte[300];
        SysResult length = f.Mm.CopyInString(new UserPtr(address), buffer);
        Assert.False(length.IsError);
        return Encoding.Latin1.GetString(buffer, 0, (int)length.Value);
    }

    private static ulong Word(MemoryFixture f, ulong address)
    {
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<ulong>(address), out ulong value));
        return value;
    }

    private static List<string> Arguments(MemoryFixture f, LoadedProgram program)
    {
        List<string> arguments = [];
        for (ulong i = 0; i < Word(f, program.StackPointer); i++)
            arguments.Add(Text(f, Word(f, program.StackPointer + 8 + (i * 8))));
        return arguments;
    }

    private static Dictionary<ulong, ulong> Vector(MemoryFixture f, LoadedProgram program)
    {
        ulong at = program.StackPointer + 8 + ((Word(f, program.StackPointer) + 1) * 8);
        while (Word(f, at) != 0)
            at += 8;
        Dictionary<ulong, ulong> vector = [];
        for (at += 8; Word(f, at) != 0; at += 16)
            vector.Add(Word(f, at), Word(f, at + 8));
        return vector;
    }

    [Fact]
    public void StaticProgramsAreMappedWithTheirZeroedMemory()
    {
        using MemoryFixture f = new();
        Assert.False(Load(f, ElfBuilder.Usual().Build(), out LoadedProgram? program).IsError);
        Assert.Equal(0x400123UL, program!.InstructionPointer);
        Assert.Equal(0x404000UL, program.BreakStart);
        Assert.Equal("prog", program.Name);
        Assert.Equal(0UL, program.StackPointer & 15);
        Assert.Equal(["prog", "one"], Arguments(f, program));
        byte[] data = new byte[0x2000];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(0x402000), data));
        Assert.Equal("data"u8.ToArray(), data[..4]);
        Assert.Equal(-1, data.AsSpan(4).IndexOfAnyExcept((byte)0));
        Dictionary<ulong, ulong> vector = Vector(f, program);
        Assert.Equal(0x400040UL, vector[3]);
        Assert.Equal(56UL, vector[4]);
        Assert.Equal(2UL, vector[5]);
        Assert.Equal(0UL, vector[7]);
        Assert.Equal(0x400123UL, vector[9]);
        Assert.Equal((5UL, 6UL), (vector[11], vector[13]));
        Assert.Equal("/bin/prog", Text(f, vector[31]));
        Assert.Equal("x86_64", Text(f, vector[15]));
        byte[] random = new byte[16];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(vector[25]), random));
        Assert.NotEqual(new byte[16], random);
        // The environment's strings lie one behind the other, arguments below.
        byte[] strings = new byte[f.Mm.Program.EnvironmentEnd - f.Mm.Program.ArgumentStart];
        Assert.Equal(Errno.OK, f.Mm.CopyIn(new UserPtr(f.Mm.Program.ArgumentStart), strings));
        Assert.Equal("prog\0one\0A=1\0B=2\0", Encoding.Latin1.GetString(strings));
        Assert.Equal((0x400000UL, 0x401000UL), (f.Mm.Program.CodeStart, f.Mm.Program.CodeEnd));
        f.Mm.DropUser();
        Assert.Equal(0, ((FakeExecutable)program.Executable).Mapped);
        program.Executable.DropReference();
        Assert.Equal(0UL, f.Frames.Charged);
    }

    [Fact]
    public void InterpretersAreMappedElsewhereAndStartFirst()
    {
        using MemoryFixture f = new();
        ElfBuilder main = new ElfBuilder { Type = 3, Entry = 0x111 }
            .Add(1, 5, 0, 0, 0x1000, 0x1000).Add(1, 6, 0x2000, 0x2000, 0x800, 0x2000).Add(3, 4, 0x3000, 0x3000, 8, 8).Put(0x3000, "/lib/ld\0"u8);
        ElfBuilder loader = new ElfBuilder { Type = 3, Entry = 0x77 }.Add(1, 5, 0, 0, 0x1000, 0x1000, 0x200000);
        Assert.False(Load(f, main.Build(), out LoadedProgram? program, new() { ["/lib/ld"] = loader.Build() }).IsError);
        Dictionary<ulong, ulong> vector = Vector(f, program!);
        Assert.Equal(0x555555554000UL + 0x111, vector[9]);
        Assert.Equal(vector[7] + 0x77, program!.InstructionPointer);
        Assert.Equal(0UL, vector[7] & 0x1fffff);
        Assert.Equal(Errno.OK, f.Mm.Read(new UserPtr<uint>(vector[7]), out uint magic));
        Assert.Equal(0x464c457fu, magic);
        using MemoryFixture g = new();
        Assert.Equal(Errno.ENOENT, Load(g, main.Build(), out _).Error);
        using MemoryFixture h = new();
        Assert.Equal(Errno.ELIBBAD, Load(h, main.Build(), out _, new() { ["/lib/ld"] = new byte[300] }).Error);
        using MemoryFixture i = new();
        Assert.Equal(Errno.EIO, Load(i, main.Build(), out _, new() { ["/lib/ld"] = new byte[10] }).Error);
    }

    [Fact]
    public void ScriptsRunTheirInterpreter()
    {
        using MemoryFixture f = new();
        Dictionary<string, byte[]> others = new() { ["/bin/sh"] = ElfBuilder.Usual().Build(), ["/two"] = Bytes("#!/bin/sh\n") };
        Assert.False(Load(f, Bytes("#! \t/two  -e  x \t\nrest"), out LoadedProgram? program, others).IsError);
        Assert.Equal(["/bin/sh", "/two", "-e  x", "/bin/prog", "one"], Arguments(f, program!));
        Assert.Equal("/bin/prog", Text(f, Vector(f, program!)[31]));
        Assert.Equal("prog", program!.Name);
    }

    [Theory]
    [InlineData("")]
    [InlineData("#!")]
    [InlineData("#!\n/bin/sh")]
    [InlineData("#!   \t\n")]
    [InlineData("echo hello")]
    [InlineData("\u007fELF")]
    public void WhatIsNoProgramIsEnoexec(string content)
    {
        using MemoryFixture f = new();
        Assert.Equal(Errno.ENOEXEC, Load(f, Bytes(content), out _).Error);
        Assert.Equal(0UL, f.Mm.TotalBytes);
    }

    [Fact]
    public void LongInterpreterLinesAndDeepNesting()
    {
        using MemoryFixture f = new();
        Dictionary<string, byte[]> others = new() { ["/bin/sh"] = ElfBuilder.Usual().Build() };
        Assert.Equal(Errno.ENOEXEC, Load(f, Bytes("#!/" + new string('x', 400)), out _, others).Error);
        // The argument may be cut off, the path may not.
        Assert.False(Load(f, Bytes("#!/bin/sh " + new string('x', 400)), out LoadedProgram? program, others).IsError);
        Assert.Equal(256 - 10, Arguments(f, program!)[1].Length);
        for (int i = 1; i <= 6; i++)
            others["/s" + i] = Bytes(i == 1 ? "#!/bin/sh\n" : "#!/s" + (i - 1) + "\n");
        using MemoryFixture g = new();
        Assert.False(Load(g, Bytes("#!/s4\n"), out _, others).IsError);
        using MemoryFixture h = new();
        Assert.Equal(Errno.ELOOP, Load(h, Bytes("#!/s5\n"), out _, others).Error);
    }

    [Fact]
    public void TooLongArgumentsAreE2big()
    {
        using MemoryFixture f = new();
        byte[] elf = ElfBuilder.Usual().Build();
        Assert.Equal(Errno.E2BIG, Load(f, elf, out _, arguments: [new string('x', 131072)]).Error);
        Assert.Equal(Errno.E2BIG, Load(f, elf, out _, arguments: [.. Enumerable.Repeat(new string('x', 131000), 17)]).Error);
        Assert.Equal(Errno.E2BIG, Load(f, elf, out _, arguments: [.. Enumerable.Repeat(new string('x', 1000), 140)], stack: 100 << 10).Error);
        Assert.False(Load(f, elf, out LoadedProgram? program, arguments: [.. Enumerable.Repeat(new string('x', 131000), 15)]).IsError);
        Assert.Equal(15UL, Word(f, program!.StackPointer));
    }

    /// <summary>Headers full of garbage: an errno or a program, never an exception, and everything is given back.</summary>
    [Theory]
    [InlineData(41)]
    [InlineData(42)]
    public void GarbageNeverThrows(int seed)
    {
        Random random = new(seed);
        ulong[] nasty = [0, 1, 0xfff, 0x1000, 0x400000, 1UL << 40, 1UL << 46, 1UL << 47, long.MaxValue, ulong.MaxValue, ulong.MaxValue - 0xfff];
        for (int round = 0; round < 400; round++)
        {
            using MemoryFixture f = new();
            ElfBuilder builder = ElfBuilder.Usual();
            builder.Type = (ushort)(2 + random.Next(2));
            byte[] file = builder.Build();
            for (int changes = 1 + random.Next(4); changes > 0; changes--)
            {
                if (random.Next(2) == 0)
                    file[random.Next(64 + 112)] = (byte)random.Next(256);
                else
                    BitConverter.TryWriteBytes(file.AsSpan(64 + (random.Next(14) * 8)), nasty[random.Next(nasty.Length)]);
            }
            if (random.Next(5) == 0)
                Array.Resize(ref file, random.Next(file.Length));
            Load(f, file, out LoadedProgram? program);
            program?.Executable.DropReference();
            f.Mm.DropUser();
            Assert.Equal(0UL, f.Frames.Charged);
        }
    }
}
