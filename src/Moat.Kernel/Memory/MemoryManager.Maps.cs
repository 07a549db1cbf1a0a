using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>
    /// Appends the text of /proc/PID/maps (man 5 proc_pid_maps), one char a byte. What is one mapping to the guest is one line.
    /// </summary>
    public void WriteMaps(StringBuilder text)
    {
        _access.EnterRead();
        for (int i = 0; i < _vmas.Count;)
        {
            Vma first = _vmas[i];
            ulong end = first.End;
            for (i++; i < _vmas.Count && _vmas[i - 1].LooksLikeOne(_vmas[i]); i++)
                end = _vmas[i].End;
            string? name = (first.Flags & VmaFlags.Heap) != 0 ? "[heap]" : (first.Flags & VmaFlags.Stack) != 0 ? "[stack]" : first.File?.MapName;
            AppendLine(text, first.Start, end, first.Access, first.IsShared, first.FileOffset, first.File?.MapDevice ?? 0, first.File?.MapInode ?? 0, name);
        }
        _access.ExitRead();
        if (Space.Vdso != 0)
            AppendLine(text, Space.Vdso, Space.Vdso + HostVdso.Length, MapAccess.Read | MapAccess.Execute, false, 0, 0, 0, "[vdso]");
    }

    private static void AppendLine(
        StringBuilder text, ulong start, ulong end, MapAccess access, bool shared, ulong offset, ulong device, ulong inode, string? name)
    {
        const int NameColumn = 73;
        // dev_t as stat(2) has it.
        ulong major = ((device >> 8) & 0xfff) | ((device >> 32) & ~0xfffUL), minor = (device & 0xff) | ((device >> 12) & ~0xffUL);
        int from = text.Length;
        text.Append(CultureInfo.InvariantCulture, $"{start:x8}-{end:x8} ");
        text.Append((access & MapAccess.Read) != 0 ? 'r' : '-').Append((access & MapAccess.Write) != 0 ? 'w' : '-');
        text.Append((access & MapAccess.Execute) != 0 ? 'x' : '-').Append(shared ? 's' : 'p');
        text.Append(CultureInfo.InvariantCulture, $" {offset:x8} {major:x2}:{minor:x2} {inode} ");
        if (!string.IsNullOrEmpty(name))
        {
            text.Append(' ', Math.Max(0, NameColumn - (text.Length - from)));
            text.Append(name.Replace("\n", "\\012", StringComparison.Ordinal));
        }
        text.Append('\n');
    }

    /// <summary>Sizes for /proc/PID/status, statm and stat. Takes time in proportion to the mappings.</summary>
    public MemoryUsage GetUsage()
    {
        MemoryUsage usage = new() { Size = TotalBytes, Peak = PeakBytes, Locked = LockedBytes };
        ProgramArea program = Program;
        _access.EnterRead();
        for (int i = 0; i < _vmas.Count; i++)
        {
            Vma vma = _vmas[i];
            ulong resident = CountResident(vma);
            if (vma.IsShared && vma.Kind != VmaKind.HostFile)
                usage.ResidentShared += resident;
            else if (vma.Kind == VmaKind.Frames)
                usage.ResidentAnonymous += resident;
            else
                usage.ResidentFile += resident;
            if ((vma.Flags & VmaFlags.Stack) != 0)
                usage.Stack += vma.Length;
            else if (!vma.IsShared && (vma.Access & MapAccess.Write) != 0)
                usage.Data += vma.Length;
            if ((vma.Access & (MapAccess.Write | MapAccess.Execute)) == MapAccess.Execute)
                usage.Library += vma.Length;
        }
        _access.ExitRead();
        usage.Text = PageUp(program.CodeEnd) - PageDown(program.CodeStart);
        usage.Library -= Math.Min(usage.Library, usage.Text);
        if (usage.Resident > _peakResident)
            _peakResident = usage.Resident;
        usage.PeakResident = _peakResident;
        return usage;
    }

    private ulong _peakResident;
}

/// <summary>Sizes of an address space, bytes, named after the Vm fields of man 5 proc_pid_status.</summary>
internal struct MemoryUsage
{
    public ulong Size, Peak, Locked, Data, Stack, Text, Library;

    /// <summary>RssAnon, RssFile, RssShmem.</summary>
    public ulong ResidentAnonymous, ResidentFile, ResidentShared;

    /// <summary>VmHWM, as far as it was ever looked at.</summary>
    public ulong PeakResident;

    /// <summary>VmRSS.</summary>
    public readonly ulong Resident => ResidentAnonymous + ResidentFile + ResidentShared;
}
