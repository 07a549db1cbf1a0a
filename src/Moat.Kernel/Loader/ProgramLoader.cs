using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Loader;

/// <summary>
/// Loads programs (execve(2)): ELF files, their interpreters, and scripts. Whatever is in a file, loading ends with a program or
/// an errno.
/// </summary>
internal static class ProgramLoader
{
    /// <summary>What is looked at to tell what a file is (BINPRM_BUF_SIZE).</summary>
    private const int HeadSize = 256;

    /// <summary>Most interpreters in a row.</summary>
    private const int MaxDepth = 5;

    /// <summary>PATH_MAX.</summary>
    private const ulong PathMax = 4096;

    /// <summary>
    /// Loads a program into the request's memory. ENOEXEC (no known format), ELOOP (scripts of scripts), E2BIG, ELIBBAD (bad ELF
    /// interpreter), EIO (truncated), ENOMEM, or what opening an interpreter answers.
    /// </summary>
    public static SysResult Load(LoadRequest request, out LoadedProgram? program)
    {
        program = null;
        List<byte[]> arguments = [.. request.Arguments];
        if (arguments.Count == 0)
            arguments.Add([]);
        Errno error = StackBuilder.CheckSize(request, arguments);
        if (error != Errno.OK)
            return error;
        FileDescription file = request.File;
        file.AddReference();
        string path = request.Path;
        byte[] head = new byte[HeadSize];
        for (int depth = 0; ; depth++)
        {
            SysResult read = FileReader.ReadAt(file, 0, head);
            error = read.Error;
            if (error != Errno.OK)
                break;
            ReadOnlySpan<byte> seen = head.AsSpan(0, (int)read.Value);
            if (!seen.StartsWith("#!"u8))
            {
                error = LoadElf(request, file, seen, arguments, out program);
                break;
            }
            error = ParseScript(seen, out string interpreter, out byte[]? argument);
            if (error == Errno.OK && depth >= MaxDepth)
                error = Errno.ELOOP;
            FileDescription? next = null;
            if (error == Errno.OK)
                error = request.Open(interpreter, out next);
            if (error != Errno.OK)
                break;
            file.DropReference();
            file = next!;
            arguments[0] = Encoding.Latin1.GetBytes(path);
            if (argument is not null)
                arguments.Insert(0, argument);
            arguments.Insert(0, Encoding.Latin1.GetBytes(interpreter));
            path = interpreter;
        }
        file.DropReference();
        return error;
    }

    /// <summary>
    /// Takes a script's first line apart: interpreter and at most one argument, blanks around both. ENOEXEC when there is
    /// no interpreter or its path does not fit.
    /// </summary>
    internal static Errno ParseScript(ReadOnlySpan<byte> head, out string interpreter, out byte[]? argument)
    {
        interpreter = "";
        argument = null;
        ReadOnlySpan<byte> line = head[2..];
        int newline = line.IndexOf((byte)'\n');
        bool isWhole = newline >= 0 || head.Length < HeadSize;
        if (newline >= 0)
            line = line[..newline];
        // A file's end, or a NUL, ends the line as well.
        int nul = line.IndexOf((byte)0);
        if (nul >= 0)
        {
            line = line[..nul];
            isWhole = true;
        }
        line = line.Trim(" \t"u8);
        int blank = line.IndexOfAny((byte)' ', (byte)'\t');
        if (line.IsEmpty || (!isWhole && blank < 0))
            return Errno.ENOEXEC;
        interpreter = Encoding.Latin1.GetString(blank < 0 ? line : line[..blank]);
        if (blank >= 0)
            argument = line[blank..].TrimStart(" \t"u8).ToArray();
        return Errno.OK;
    }

    private static Errno LoadElf(
        LoadRequest request, FileDescription file, ReadOnlySpan<byte> head, List<byte[]> arguments, out LoadedProgram? program)
    {
        program = null;
        Errno error = StackBuilder.CheckSize(request, arguments);
        if (error != Errno.OK)
            return error;
        error = ElfFile.Read(file, head, out ElfFile? elf);
        if (error != Errno.OK)
            return error;
        error = OpenInterpreter(request, file, elf!, out FileDescription? interpreterFile, out ElfFile? interpreter);
        if (error == Errno.OK)
            error = Build(request, file, elf!, interpreterFile, interpreter, arguments, out program);
        interpreterFile?.DropReference();
        return error;
    }

    private static Errno OpenInterpreter(
        LoadRequest request, FileDescription file, ElfFile elf, out FileDescription? interpreterFile, out ElfFile? interpreter)
    {
        interpreterFile = null;
        interpreter = null;
        foreach (ProgramHeader header in elf.Headers)
        {
            if (header.Type != ProgramHeader.PT_INTERP)
                continue;
            if (header.FileSize is < 2 or > PathMax || header.Offset > long.MaxValue - PathMax)
                return Errno.ENOEXEC;
            byte[] path = new byte[header.FileSize];
            SysResult read = FileReader.ReadAt(file, (long)header.Offset, path);
            if (read.IsError || read.Value != path.Length)
                return read.IsError ? read.Error : Errno.EIO;
            if (path[^1] != 0)
                return Errno.ENOEXEC;
            Errno error = request.Open(Encoding.Latin1.GetString(path, 0, Array.IndexOf(path, (byte)0)), out interpreterFile);
            if (error != Errno.OK)
                return error;
            byte[] head = new byte[HeadSize];
            read = FileReader.ReadAt(interpreterFile!, 0, head);
            if (read.IsError)
                return read.Error;
            if (read.Value < 64)
                return Errno.EIO;
            error = ElfFile.Read(interpreterFile!, head, out interpreter);
            return error == Errno.ENOEXEC ? Errno.ELIBBAD : error;
        }
        return Errno.OK;
    }

    private static Errno Build(
        LoadRequest request, FileDescription file, ElfFile elf, FileDescription? interpreterFile, ElfFile? interpreter,
        List<byte[]> arguments, out LoadedProgram? program)
    {
        program = null;
        request.Committed = true;
        if (!file.Path.IsNull)
        {
            bool honoured = request.HonoursSetIds && (file.Path.Mount.Flags & MountFlags.NoSuid) == 0;
            request.Credentials = request.Credentials.ForProgram(file.Path.Inode.Permissions, honoured);
        }
        MemoryManager mm = request.Memory;
        mm.SetStackLimit(request.StackLimit);
        mm.AddressSpaceLimit = request.AddressSpaceLimit;
        mm.DataLimit = request.DataLimit;
        StackBuilder stack = new(request, arguments);
        Errno error = stack.Map(IsStackExecutable(elf));
        if (error != Errno.OK)
            return error;
        error = ElfMapper.Map(mm, file, elf, isInterpreter: false, out LoadedImage image);
        if (error != Errno.OK)
            return error;
        LoadedImage interpreterImage = default;
        if (interpreter is not null)
        {
            error = ElfMapper.Map(mm, interpreterFile!, interpreter, isInterpreter: true, out interpreterImage);
            if (error != Errno.OK)
                return error;
        }
        error = stack.Fill(elf, in image, interpreterImage.Bias, out ulong stackPointer);
        if (error != Errno.OK)
            return error;
        ulong breakStart = MemoryManager.PageUp(image.End);
        mm.SetBreakStart(breakStart);
        file.AddReference();
        program = new LoadedProgram
        {
            InstructionPointer = interpreter is null ? elf.Entry + image.Bias : interpreter.Entry + interpreterImage.Bias,
            StackPointer = stackPointer,
            BreakStart = breakStart,
            Name = NameOf(request.Path),
            Executable = file,
        };
        return Errno.OK;
    }

    private static bool IsStackExecutable(ElfFile elf)
    {
        foreach (ProgramHeader header in elf.Headers)
        {
            if (header.Type == ProgramHeader.PT_GNU_STACK)
                return (header.Flags & ProgramHeader.PF_X) != 0;
        }
        return false;
    }

    private static string NameOf(string path)
    {
        string name = path[(path.LastIndexOf('/') + 1)..];
        return name.Length > 15 ? name[..15] : name;
    }
}
