using System.Collections.Immutable;
using System.Globalization;
using Microsoft.CodeAnalysis;

namespace Moat.Generators;

/// <summary>
/// Makes SyscallTable (dispatch, descriptors, names) from the methods with [Syscall] and the list of x86-64 names.
/// </summary>
[Generator(LanguageNames.CSharp)]
public sealed class SyscallGenerator : IIncrementalGenerator
{
    private const string Namespace = "Moat.Kernel.Syscalls";

    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        IncrementalValueProvider<ImmutableArray<Call>> calls = context.SyntaxProvider
            .ForAttributeWithMetadataName(Namespace + ".SyscallAttribute", (_, _) => true, (c, _) => Read(c))
            .Collect();
        IncrementalValueProvider<EquatableList<string>> names = context.AdditionalTextsProvider
            .Where(file => Path.GetFileName(file.Path) == "names-x86_64.tsv")
            .Select((file, cancel) => file.GetText(cancel)?.ToString() ?? "")
            .Collect()
            .Select((texts, _) => new EquatableList<string>([.. texts.SelectMany(t => t.Split('\n')).Where(l => l.Length > 0)]));
        context.RegisterSourceOutput(calls.Combine(names), (output, pair) => Produce(output, pair.Left, pair.Right.Items));
    }

    private static void Produce(SourceProductionContext output, ImmutableArray<Call> calls, ImmutableArray<string> lines)
    {
        SortedDictionary<int, string> names = [];
        foreach (string line in lines)
        {
            string[] columns = line.Trim().Split('\t');
            names[int.Parse(columns[0], CultureInfo.InvariantCulture)] = columns[1];
        }
        SortedDictionary<int, Call> good = [];
        Dictionary<string, Call> byName = [];
        foreach (Call call in calls)
        {
            if (call.Problem is not null)
                Report(Diagnostics.BadSignature, call, call.Method, call.Problem);
            else if (good.TryGetValue(call.Number, out Call? other) || byName.TryGetValue(call.Name, out other))
                Report(Diagnostics.Duplicate, call, call.Number + " (" + call.Name + ")", other.Method, call.Method);
            else if (names.TryGetValue(call.Number, out string? name) && name != call.Name)
                Report(Diagnostics.WrongName, call, call.Number, name, call.Name);
            else if (call.Support != "Full" && call.Note.Trim().Length == 0)
                Report(Diagnostics.MissingNote, call, call.Name, call.Support);
            else
            {
                good.Add(call.Number, call);
                byName.Add(call.Name, call);
            }
        }
        output.AddSource("SyscallTable.g.cs", Emitter.Emit(good.Values, names));

        void Report(DiagnosticDescriptor descriptor, Call call, params object[] arguments)
            => output.ReportDiagnostic(Diagnostic.Create(descriptor, call.Location, arguments));
    }

    private static Call Read(GeneratorAttributeSyntaxContext context)
    {
        IMethodSymbol method = (IMethodSymbol)context.TargetSymbol;
        AttributeData attribute = context.Attributes[0];
        ImmutableArray<TypedConstant> arguments = attribute.ConstructorArguments;
        string note = attribute.NamedArguments.FirstOrDefault(a => a.Key == "Note").Value.Value as string ?? "";
        string support = arguments.Length == 3 ? SupportName(arguments[2]) : "Full";
        List<Parameter> parameters = [];
        string? problem = Check(method, parameters);
        if (arguments.Length != 3 || arguments[0].Value is not int number || arguments[1].Value is not string name)
            (number, name, problem) = (-1, "", "needs a number, a name and a support level");
        return new Call(
            number,
            name,
            support,
            note,
            method.ContainingType.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat) + "." + method.Name,
            new EquatableList<Parameter>([.. parameters]),
            method.Locations.FirstOrDefault(),
            problem);
    }

    private static string SupportName(TypedConstant constant)
        => constant.Type!.GetMembers().OfType<IFieldSymbol>().FirstOrDefault(f => Equals(f.ConstantValue, constant.Value))?.Name ?? "Full";

    private static string? Check(IMethodSymbol method, List<Parameter> parameters)
    {
        if (!method.IsStatic || method.IsGenericMethod || method.ContainingType.IsGenericType)
            return "has to be a static method without type parameters";
        for (ISymbol? s = method; s is not null and not INamespaceSymbol; s = s.ContainingSymbol)
        {
            if (s.DeclaredAccessibility is Accessibility.Private or Accessibility.Protected or Accessibility.ProtectedAndInternal)
                return "has to be internal or public, and so its type";
        }
        if (method.ReturnType.ToDisplayString() != "Moat.Kernel.SysResult")
            return "has to return SysResult";
        if (method.Parameters.Length == 0 || method.Parameters[0].Type.ToDisplayString() != "Moat.Kernel.Tasks.Task")
            return "has to take the calling Task first";
        if (method.Parameters.Length > 7)
            return "takes more than six arguments";
        foreach (IParameterSymbol parameter in method.Parameters)
        {
            if (parameter.RefKind != RefKind.None)
                return "passes '" + parameter.Name + "' by reference";
            if (parameter.Ordinal == 0)
                continue;
            if (Classify(parameter) is not { } classified)
                return "has a parameter '" + parameter.Name + "' of a type that no register becomes";
            parameters.Add(classified);
        }
        return null;
    }

    private static Parameter? Classify(IParameterSymbol parameter)
    {
        ITypeSymbol type = parameter.Type;
        string full = type.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);
        Kind? kind = type.SpecialType switch
        {
            SpecialType.System_Int32 or SpecialType.System_Int64 or SpecialType.System_IntPtr => Kind.Signed,
            SpecialType.System_UInt32 or SpecialType.System_UInt64 or SpecialType.System_UIntPtr => Kind.Unsigned,
            _ => null,
        };
        string pointee = "";
        if (type.TypeKind == TypeKind.Enum)
            kind = Kind.Enumeration;
        else if (type.ContainingNamespace?.ToDisplayString() == Namespace && type is INamedTypeSymbol named)
        {
            kind = named.Name switch { "Fd" => Kind.Fd, "UserPath" => Kind.Path, "UserPtr" => Kind.Pointer, _ => null };
            if (named.Name == "UserPtr" && named.TypeArguments.Length == 1)
                pointee = named.TypeArguments[0].ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);
        }
        return kind is { } k ? new Parameter(parameter.Name, k, full, pointee) : null;
    }
}
