using Moat.Host;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Tasks;

/// <summary>
/// A namespace (man 7 namespaces) as /proc/PID/ns shows it. A sandbox has one of each type, but for host names, of which a program may
/// make more.
/// </summary>
internal class Namespace(string name, CloneFlags type, ulong number)
{
    private static long s_last = 4026532000;

    /// <summary>The types in order of their names, with the one namespace that most of them have. Numbers are those of Linux's first ones.</summary>
    public static Namespace[] Types { get; } =
    [
        new("cgroup", CloneFlags.CLONE_NEWCGROUP, 4026531835), new("ipc", CloneFlags.CLONE_NEWIPC, 4026531839),
        new("mnt", CloneFlags.CLONE_NEWNS, 4026531832), new("net", CloneFlags.CLONE_NEWNET, 4026531833),
        new("pid", CloneFlags.CLONE_NEWPID, 4026531836), new("time", CloneFlags.CLONE_NEWTIME, 4026531834),
        new("user", CloneFlags.CLONE_NEWUSER, 4026531837), new("uts", CloneFlags.CLONE_NEWUTS, 4026531838),
    ];

    /// <summary>As in uts:[4026531838].</summary>
    public string Name { get; } = name;

    /// <summary>CLONE_NEW*.</summary>
    public CloneFlags Type { get; } = type;

    /// <summary>The inode's number, which tells namespaces apart.</summary>
    public ulong Number { get; } = number;

    /// <summary>A number that no other namespace has.</summary>
    protected static ulong NextNumber() => (ulong)Interlocked.Increment(ref s_last);

    /// <summary>The namespace of a type that a task is in.</summary>
    public static Namespace Of(Task task, Namespace type) => type.Type == CloneFlags.CLONE_NEWUTS ? task.Uts : type;
}

/// <summary>The names that uname(2) tells (man 7 uts_namespaces).</summary>
internal sealed class UtsNamespace : Namespace
{
    /// <summary>__NEW_UTS_LEN: bytes of a name.</summary>
    public const int MaxName = 64;

    // Names are replaced whole.
    private volatile byte[] _node, _domain;

    private UtsNamespace(byte[] node, byte[] domain, ulong number)
        : base("uts", CloneFlags.CLONE_NEWUTS, number)
    {
        _node = node;
        _domain = domain;
    }

    /// <summary>sethostname(2), setdomainname(2).</summary>
    public byte[] Node { get => _node; set => _node = value; }

    public byte[] Domain { get => _domain; set => _domain = value; }

    /// <summary>The sandbox's: it begins with the host's name.</summary>
    public static UtsNamespace MakeFirst()
        => new(System.Text.Encoding.Latin1.GetBytes(HostSystem.GetHostName()), "(none)"u8.ToArray(), Types[^1].Number);

    /// <summary>A new one with the same names.</summary>
    public UtsNamespace Copy() => new(_node, _domain, NextNumber());
}
