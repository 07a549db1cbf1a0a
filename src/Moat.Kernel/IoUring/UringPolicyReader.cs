using System.Globalization;

namespace Moat.Kernel.IoUring;

/// <summary>
/// Reads a policy: one rule a line, <c>allow</c> or <c>deny</c>, a kind (<c>op</c>, <c>register</c>, <c>setup</c>, <c>sqe</c>) and names, which are Linux's, with
/// or without their prefix; <c>*</c> is all of the kind. <c>default allow</c> or <c>default deny</c>, with kinds or for all, is what holds for what no rule
/// names. Later rules outweigh earlier ones. A <c>#</c> begins a comment.
/// </summary>
internal sealed class UringPolicyReader
{
    private readonly Kind[] _kinds =
    [
        new("op", "operation", [.. Numbers(IoUringOp.LAST)], "IORING_OP_"),
        new("register", "registration", [.. Numbers(IoUringRegisterOp.LAST)], "IORING_"),
        new("setup", "setup flag", [.. Flags<IoUringSetup>()], "IORING_SETUP_"),
        new("sqe", "request flag", [.. Flags<SqeFlags>()], "IOSQE_"),
    ];

    /// <summary>Reads a whole file. Null, or what is wrong with it: one sentence that begins with file and line.</summary>
    public static string? Read(string fileName, string text, out UringPolicy? policy)
    {
        UringPolicyReader reader = new();
        policy = null;
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            if (reader.ReadLine(line) is { } problem)
                return string.Create(CultureInfo.InvariantCulture, $"{fileName}:{number}: {problem}");
        }
        Kind[] kinds = reader._kinds;
        policy = new UringPolicy(kinds[0].Result, kinds[1].Result, (IoUringSetup)kinds[2].Result, (SqeFlags)kinds[3].Result);
        return null;
    }

    /// <summary>The bits of an operation's name; 0 when there is none such.</summary>
    public static ulong OperationsOf(string name) => new UringPolicyReader()._kinds[0].BitsOf(name);

    private string? ReadLine(string line)
    {
        int comment = line.IndexOf('#');
        string[] words = (comment < 0 ? line : line[..comment]).Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
        return words switch
        {
            [] => null,
            ["default", "allow" or "deny", ..] => SetDefault(words[1] == "allow", words.AsSpan(2)),
            ["default", ..] => "default needs allow or deny",
            ["allow" or "deny"] => $"{words[0]} what? It takes a kind ({AllKinds}) and names",
            ["allow" or "deny", ..] => Apply(words[0] == "allow", words[1], words.AsSpan(2)),
            _ => $"no rule begins with {words[0]}; it is allow, deny or default",
        };
    }

    private string AllKinds => string.Join(", ", _kinds.Select(k => k.Word));

    private Kind? Find(string word) => Array.Find(_kinds, k => k.Word == word);

    private string? SetDefault(bool allow, ReadOnlySpan<string> kinds)
    {
        foreach (string word in kinds)
        {
            if (Find(word) is not { } kind)
                return $"there is no kind {word}; it is one of {AllKinds}";
            kind.Default = allow;
        }
        if (kinds.IsEmpty)
            Array.ForEach(_kinds, k => k.Default = allow);
        return null;
    }

    private string? Apply(bool allow, string kindWord, ReadOnlySpan<string> names)
    {
        if (Find(kindWord) is not { } kind)
            return $"there is no kind {kindWord}; it is one of {AllKinds}";
        if (names.IsEmpty)
            return $"which {kind.Title}s? Names have to follow, or *";
        foreach (string name in names)
        {
            ulong bits = kind.BitsOf(name);
            if (bits == 0)
                return $"there is no {kind.Title} {name}";
            kind.Set(allow, bits);
        }
        return null;
    }

    private static IEnumerable<(string, ulong)> Numbers<T>(T end)
        where T : struct, Enum
        => Enum.GetValues<T>().TakeWhile(v => !v.Equals(end)).Select((v, i) => (v.ToString(), 1UL << i));

    private static IEnumerable<(string, ulong)> Flags<T>()
        where T : struct, Enum
        => Enum.GetValues<T>().Select(v => (v.ToString(), Convert.ToUInt64(v, CultureInfo.InvariantCulture))).Where(v => v.Item2 != 0);

    /// <summary>What rules say of one kind of names.</summary>
    private sealed class Kind(string word, string title, (string Name, ulong Bits)[] all, string prefix)
    {
        private ulong _allowed, _denied;

        /// <summary>How rules call it.</summary>
        public string Word => word;

        /// <summary>How people call one of them.</summary>
        public string Title => title;

        /// <summary>Whether what no rule names is allowed.</summary>
        public bool Default { get; set; } = true;

        /// <summary>What is allowed in the end.</summary>
        public ulong Result => (Default ? Everything & ~_denied : 0) | _allowed;

        private ulong Everything => all.Aggregate(0UL, (bits, one) => bits | one.Bits);

        /// <summary>The bits of a name, 0 when there is none such.</summary>
        public ulong BitsOf(string name)
        {
            if (name == "*")
                return Everything;
            string bare = name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) ? name[prefix.Length..] : name;
            return Array.Find(all, one => Is(one.Name, bare) || Is(one.Name, "REGISTER_" + bare)).Bits;
        }

        /// <summary>A rule.</summary>
        public void Set(bool allow, ulong bits)
        {
            _allowed = allow ? _allowed | bits : _allowed & ~bits;
            _denied = allow ? _denied & ~bits : _denied | bits;
        }

        private static bool Is(string name, string asked) => name.Equals(asked, StringComparison.OrdinalIgnoreCase);
    }
}
