using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Kernel.Vfs;
using Moat.Platform;

namespace Moat.Kernel.Loader;

/// <summary>Where an ELF file came to lie.</summary>
internal readonly record struct LoadedImage(ulong Bias, ulong End)
{
    public ulong CodeStart { get; init; }

    public ulong CodeEnd { get; init; }

    public ulong DataStart { get; init; }

    public ulong DataEnd { get; init; }
}

/// <summary>Maps the segments of an ELF file.</summary>
internal static class ElfMapper
{
    /// <summary>Where position-independent programs go (ELF_ET_DYN_BASE).</summary>
    private const ulong ProgramBase = 0x5555_5555_4000;

    private const ulong PageMask = MemoryManager.PageSize - 1;

    /// <summary>
    /// Maps all of an ELF file. A program that may lie anywhere lies at a fixed place, leaving room for its break; its interpreter goes
    /// where mmap(2) puts things. EINVAL for impossible segments, ENOMEM, or an error of the file.
    /// </summary>
    public static Errno Map(MemoryManager mm, FileDescription file, ElfFile elf, bool isInterpreter, out LoadedImage image)
    {
        image = default;
        if (!elf.TryGetExtent(mm.MaxAddress, out ulong start, out ulong end))
            return Errno.EINVAL;
        Errno error = file.GetMappable(out IMappable? mappable);
        if (error != Errno.OK)
            return error;
        ulong bias = 0;
        if (elf.IsPositionIndependent)
        {
            ulong alignment = elf.GetAlignment();
            ulong length = MemoryManager.PageUp(end - start);
            ulong place = isInterpreter ? 0 : ProgramBase & ~(alignment - 1);
            place = place != 0 && mm.IsFree(place, length) ? place : mm.FindFree(length, alignment);
            if (place == 0)
                return Errno.ENOMEM;
            bias = place - (start & ~(alignment - 1));
        }
        foreach (ProgramHeader header in elf.Headers)
        {
            if (header.Type != ProgramHeader.PT_LOAD || header.MemorySize == 0)
                continue;
            error = MapSegment(mm, mappable!, in header, bias);
            if (error != Errno.OK)
                return error;
        }
        image = Describe(elf, bias, end);
        return Errno.OK;
    }

    private static LoadedImage Describe(ElfFile elf, ulong bias, ulong end)
    {
        ulong codeStart = ulong.MaxValue, codeEnd = 0, dataStart = 0, dataEnd = 0;
        foreach (ProgramHeader header in elf.Headers)
        {
            if (header.Type != ProgramHeader.PT_LOAD)
                continue;
            if ((header.Flags & ProgramHeader.PF_X) != 0)
            {
                codeStart = Math.Min(codeStart, header.Address);
                codeEnd = Math.Max(codeEnd, header.Address + header.FileSize);
            }
            dataStart = Math.Max(dataStart, header.Address);
            dataEnd = Math.Max(dataEnd, header.Address + header.FileSize);
        }
        return new LoadedImage(bias, end + bias)
        {
            CodeStart = codeEnd == 0 ? 0 : codeStart + bias,
            CodeEnd = codeEnd == 0 ? 0 : codeEnd + bias,
            DataStart = dataStart + bias,
            DataEnd = dataEnd + bias,
        };
    }

    private static Errno MapSegment(MemoryManager mm, IMappable file, in ProgramHeader header, ulong bias)
    {
        ulong address = header.Address + bias;
        ulong within = address & PageMask;
        ulong fileEnd = MemoryManager.PageUp(address + header.FileSize);
        MapAccess access = AccessOf(header.Flags);
        MapRequest request = new() { Access = access, MaxAccess = MapRequest.All, Fixed = true, CopiesNow = true };
        if (header.FileSize != 0)
        {
            if (((header.Offset - header.Address) & PageMask) != 0 || header.Offset < within)
                return Errno.EINVAL;
            request.Address = address - within;
            request.Length = fileEnd - request.Address;
            request.File = file;
            request.FileOffset = header.Offset - within;
            if (request.FileOffset + request.Length < request.FileOffset)
                return Errno.EOVERFLOW;
            SysResult result = mm.Map(in request);
            if (result.IsError)
                return result.Error;
            // The rest of the last page is not the file's. Not writable, it stays as it is.
            if (header.MemorySize > header.FileSize && (access & MapAccess.Write) != 0)
            {
                Errno error = Zero(mm, address + header.FileSize, fileEnd);
                if (error != Errno.OK)
                    return error;
            }
        }
        else
        {
            fileEnd = address - within;
        }
        ulong end = MemoryManager.PageUp(address + header.MemorySize);
        if (end <= fileEnd)
            return Errno.OK;
        request.Address = fileEnd;
        request.Length = end - fileEnd;
        request.File = null;
        request.FileOffset = 0;
        return mm.Map(in request).Error;
    }

    private static Errno Zero(MemoryManager mm, ulong start, ulong end)
    {
        Span<byte> zeroes = stackalloc byte[(int)MemoryManager.PageSize];
        zeroes.Clear();
        return mm.CopyOut(new UserPtr(start), zeroes[..(int)(end - start)]);
    }

    private static MapAccess AccessOf(uint flags)
        => ((flags & ProgramHeader.PF_R) != 0 ? MapAccess.Read : 0) | ((flags & ProgramHeader.PF_W) != 0 ? MapAccess.Write : 0)
            | ((flags & ProgramHeader.PF_X) != 0 ? MapAccess.Execute : 0);
}
