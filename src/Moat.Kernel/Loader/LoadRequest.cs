using Moat.Kernel.Memory;
using Moat.Kernel.Tasks;
using Moat.Kernel.Vfs;

namespace Moat.Kernel.Loader;

/// <summary>
/// Opens a file to be executed: an interpreter by its path, Latin-1 (one char a byte). Checks execute permission. The caller
/// gets a reference.
/// </summary>
internal delegate Errno OpenExecutable(string path, out FileDescription? file);

/// <summary>What execve(2) is to load, and into what.</summary>
internal sealed class LoadRequest
{
    /// <summary>A new, empty memory manager. When loading fails it is of no use any more.</summary>
    public required MemoryManager Memory { get; init; }

    /// <summary>The file to execute, open for reading; the caller keeps its reference.</summary>
    public required FileDescription File { get; init; }

    /// <summary>The path as execve(2) got it, Latin-1: AT_EXECFN, and what a script's interpreter is told.</summary>
    public required string Path { get; init; }

    /// <summary>Opens interpreters.</summary>
    public required OpenExecutable Open { get; init; }

    /// <summary>argv, without NULs.</summary>
    public required IReadOnlyList<byte[]> Arguments { get; init; }

    /// <summary>envp, without NULs.</summary>
    public required IReadOnlyList<byte[]> Environment { get; init; }

    /// <summary>The caller's; once loaded, what the program runs with.</summary>
    public required Credentials Credentials { get; set; }

    /// <summary>False: set-user-id and set-group-id bits count for nothing (PR_SET_NO_NEW_PRIVS).</summary>
    public bool HonoursSetIds { get; init; } = true;

    /// <summary>RLIMIT_STACK's soft limit, bytes.</summary>
    public ulong StackLimit { get; init; } = 8 << 20;

    /// <summary>RLIMIT_AS's soft limit, bytes.</summary>
    public ulong AddressSpaceLimit { get; init; } = ulong.MaxValue;

    /// <summary>RLIMIT_DATA's soft limit, bytes.</summary>
    public ulong DataLimit { get; init; } = ulong.MaxValue;

    /// <summary>
    /// Set when the file is one that Linux would have begun to load: from here on its execve(2) does not return an error but kills the
    /// program with SIGSEGV.
    /// </summary>
    public bool Committed { get; set; }
}

/// <summary>A program that is ready to run.</summary>
internal sealed class LoadedProgram
{
    /// <summary>Where execution starts: the interpreter's entry, or the program's own.</summary>
    public required ulong InstructionPointer { get; init; }

    /// <summary>At argc.</summary>
    public required ulong StackPointer { get; init; }

    /// <summary>Where the break area starts.</summary>
    public required ulong BreakStart { get; init; }

    /// <summary>The thread's name: the last part of the path, at most 15 bytes, Latin-1.</summary>
    public required string Name { get; init; }

    /// <summary>What /proc/self/exe is: the ELF file, for scripts that of the interpreter. The receiver owns the reference.</summary>
    public required FileDescription Executable { get; init; }
}
