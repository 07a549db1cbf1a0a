using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Moat.Kernel.IoUring;
using Moat.Kernel.Syscalls;

namespace Moat.Cli;

/// <summary><c>moat syscalls</c> and <c>moat uring ops</c>: what is served, and how far. <c>moat uring top</c> hangs on here.</summary>
internal static class TableCommands
{
    private static readonly JsonWriterOptions s_json = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>One row of a support table.</summary>
    internal sealed record Row(int Number, string Name, string Support, string Note);

    public static Command Syscalls() => Table("syscalls", "List Linux's system calls and how far each is served", SyscallRows);

    public static Command Uring()
    {
        Command uring = new("uring", "What Moat's io_uring offers, and what it does in running sandboxes");
        uring.Subcommands.Add(Table("ops", "List io_uring's operations and how far each is served", UringRows));
        uring.Subcommands.Add(new TopCommand());
        uring.SetAction(_ => Message.Usage("uring needs a command", "moat uring --help"));
        return uring;
    }

    private static Command Table(string name, string description, Func<List<Row>> rows)
    {
        Option<string> format = new("--format") { Description = "How to print it", HelpName = "table|json", DefaultValueFactory = _ => "table" };
        format.AcceptOnlyFromAmong("table", "json");
        Command command = new(name, description) { format };
        command.SetAction(parsed =>
        {
            List<Row> all = rows();
            Console.Out.Write(parsed.GetValue(format) == "json" ? Json(all) : Text(all));
            return ExitCode.Ok;
        });
        return command;
    }

    internal static List<Row> SyscallRows()
    {
        List<Row> rows = [];
        for (int number = 0; number <= SyscallTable.LastKnown; number++)
        {
            if (SyscallTable.NameOf(number) is not { } name)
                continue;
            SyscallDescriptor? served = SyscallTable.Find(number);
            rows.Add(served is null ? new Row(number, name, "none", "ENOSYS")
                : new Row(number, name, Word(served.Support), served.Note));
        }
        return rows;
    }

    internal static List<Row> UringRows()
    {
        List<Row> rows = [];
        for (int number = 0; number < OperationTable.Count; number++)
        {
            Operation? served = OperationTable.Operations[number];
            rows.Add(served is null ? new Row(number, OperationTable.NameOf((byte)number), "none", "EINVAL")
                : new Row(number, OperationTable.NameOf((byte)number), Word(served.Support), served.Note));
        }
        return rows;
    }

    private static string Word(Support support) => support switch { Support.Full => "full", Support.Partial => "partial", _ => "errno" };

    private static string Text(List<Row> rows)
    {
        int width = rows.Count == 0 ? 0 : rows.Max(r => r.Name.Length);
        return string.Concat(rows.Select(r => $"{r.Number,3}  {r.Name.PadRight(width)}  {r.Support,-7}  {r.Note}".TrimEnd() + "\n"));
    }

    private static string Json(List<Row> rows)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, s_json))
        {
            json.WriteStartArray();
            foreach (Row row in rows)
            {
                json.WriteStartObject();
                json.WriteNumber("number", row.Number);
                json.WriteString("name", row.Name);
                json.WriteString("support", row.Support);
                json.WriteString("note", row.Note);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }
}
