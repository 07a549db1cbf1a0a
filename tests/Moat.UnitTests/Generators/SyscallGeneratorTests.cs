using System.Collections.Immutable;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;
using Moat.Generators;
using Xunit;

namespace Moat.UnitTests.Generators;

public sealed class SyscallGeneratorTests
{
    private const string Declarations = """
        namespace Moat.Kernel { internal readonly record struct SysResult(long Value); }
        namespace Moat.Kernel.Tasks { internal sealed class Task; }
        namespace Moat.Kernel.Syscalls
        {
            internal enum Support { Full, Partial, ErrnoOnly }
            [System.AttributeUsage(System.AttributeTargets.Method)]
            internal sealed class SyscallAttribute(int number, string name, Support support) : System.Attribute { public string Note { get; init; } = ""; }
            internal readonly record struct Fd(int Value);
            internal readonly record struct UserPtr(ulong Address);
            internal readonly record struct UserPtr<T>(ulong Address) where T : unmanaged;
            internal readonly record struct UserPath(ulong Address);
        }
        """;

    [Fact]
    public void TypedArgumentsComeFromTheirRegisters()
    {
        (string source, ImmutableArray<Diagnostic> diagnostics) = Generate("""
            [Syscall(257, "openat", Support.Full)]
            public static SysResult Open(Task task, Fd fd, UserPath path, Color flags, UserPtr<int> p, ulong wide, int narrow) => default;
            """);
        Assert.Empty(diagnostics);
        Assert.Contains("case 257: return Serve_openat(task, in args);", source, StringComparison.Ordinal);
        Assert.Contains(
            "Calls.Open(task, new global::Moat.Kernel.Syscalls.Fd((int)args.A0), new global::Moat.Kernel.Syscalls.UserPath(args.A1), "
            + "(global::Color)args.A2, new global::Moat.Kernel.Syscalls.UserPtr<int>(args.A3), (ulong)args.A4, (int)args.A5)", source, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingIsServedWithoutDeclarations()
    {
        (string source, ImmutableArray<Diagnostic> diagnostics) = Generate("");
        Assert.Empty(diagnostics);
        Assert.Contains("default: return Unknown(task, in args);", source, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public SysResult A(Task t) => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] private static SysResult A(Task t) => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static long A(Task t) => 0;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static SysResult A() => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static SysResult A(Task t, string s) => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static SysResult A(Task t, ref int s) => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static SysResult A<T>(Task t) => default;""")]
    [InlineData("MOAT001", """[Syscall(0, "read", Support.Full)] public static SysResult A(Task t, int a, int b, int c, int d, int e, int f, int g) => default;""")]
    [InlineData("MOAT002", """[Syscall(0, "read", Support.Full)] public static SysResult A(Task t) => default; [Syscall(0, "read", Support.Full)] public static SysResult B(Task t) => default;""")]
    [InlineData("MOAT003", """[Syscall(0, "read", Support.Partial)] public static SysResult A(Task t) => default;""")]
    [InlineData("MOAT003", """[Syscall(0, "read", Support.ErrnoOnly, Note = " ")] public static SysResult A(Task t) => default;""")]
    [InlineData("MOAT004", """[Syscall(0, "write", Support.Full)] public static SysResult A(Task t) => default;""")]
    public void MistakesAreErrors(string id, string methods)
    {
        (_, ImmutableArray<Diagnostic> diagnostics) = Generate(methods);
        Diagnostic diagnostic = Assert.Single(diagnostics);
        Assert.Equal(id, diagnostic.Id);
        Assert.Equal(DiagnosticSeverity.Error, diagnostic.Severity);
    }

    private static (string Source, ImmutableArray<Diagnostic> Diagnostics) Generate(string methods)
    {
        string code = $$"""
            using Moat.Kernel;
            using Moat.Kernel.Syscalls;
            using Moat.Kernel.Tasks;
            internal enum Color { Red }
            internal static partial class Calls
            {
            {{methods}}
            }
            """;
        CSharpCompilation compilation = CSharpCompilation.Create(
            "test",
            [CSharpSyntaxTree.ParseText(Declarations), CSharpSyntaxTree.ParseText(code)],
            [MetadataReference.CreateFromFile(typeof(object).Assembly.Location)],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        GeneratorDriver driver = CSharpGeneratorDriver
            .Create(new SyscallGenerator())
            .AddAdditionalTexts([new Names("0\tread\n1\twrite\n257\topenat\n")])
            .RunGenerators(compilation);
        GeneratorDriverRunResult result = driver.GetRunResult();
        return (string.Concat(result.GeneratedTrees.Select(t => t.ToString())), result.Diagnostics);
    }

    private sealed class Names(string text) : AdditionalText
    {
        public override string Path => "names-x86_64.tsv";

        public override SourceText GetText(CancellationToken cancellationToken = default) => SourceText.From(text, Encoding.UTF8);
    }
}
