using System.Globalization;
using System.Text;
using Moat.Host;
using Moat.Platform;

namespace Moat.Kernel.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>
    /// Appends the text of /proc/PID/maps (man 5 proc_pid_maps), or with <paramref name="details"/> of smaps, one char a byte. What is
    /// one mapping to the guest is one line.
    /// </summary>
    public void WriteMaps(StringBuilder text, bool details = false)
    {
        _access.EnterRead();
        for (int i = 0; i < _vmas.Count;)
        {
            Vma first = _vmas[i];
            ulong end = first.End, resident = 0, anonymous = 0;
            int next = i + 1;
            while (next < _vmas.Count && _vmas[next - 1].LooksLikeOne(_vmas[next]))
                end = _vmas[next++].End;
            for (; i < next; i++)
            {
                ulong here = details ? CountResident(_vmas[i]) : 0;
                resident += here;
                if (_vmas[i].Kind == VmaKind.Frames)
                    anonymous += here;
            }
            string? name = (first.Flags & VmaFlags.Heap) != 0 ? "[heap]" : (first.Flags & VmaFlags.Stack) != 0 ? "[stack]" : first.File?.MapName;
            AppendLine(text, first.Start, end, first.Access, first.IsShared, first.File?.ShownOffset(first.FileOffset) ?? 0, first.File?.MapDevice ?? 0, first.File?.MapInode ?? 0, name);
            if (details)
                AppendDetails(text, first, end - first.Start, resident, anonymous);
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

    /// <summary>
    /// smaps' lines behind a mapping (man 5 proc_pid_smaps). The sentry does not know what else maps a file, so all that is resident
    /// counts as this process's own.
    /// </summary>
    private static void AppendDetails(StringBuilder text, Vma vma, ulong size, ulong resident, ulong anonymous)
    {
        Line("Size", size);
        Line("KernelPageSize", PageSize);
        Line("MMUPageSize", PageSize);
        Line("Rss", resident);
        Line("Pss", resident);
        Line("Pss_Dirty", anonymous);
        Line("Shared_Clean", 0);
        Line("Shared_Dirty", 0);
        Line("Private_Clean", resident - anonymous);
        Line("Private_Dirty", anonymous);
        Line("Referenced", resident);
        Line("Anonymous", anonymous);
        foreach (string name in s_never)
            Line(name, 0);
        Line("Locked", (vma.Flags & VmaFlags.Locked) != 0 ? resident : 0);
        text.Append("THPeligible:           0\nVmFlags:");
        Flag(" rd", (vma.Access & MapAccess.Read) != 0);
        Flag(" wr", (vma.Access & MapAccess.Write) != 0);
        Flag(" ex", (vma.Access & MapAccess.Execute) != 0);
        Flag(" sh", vma.IsShared);
        Flag(" mr", (vma.MaxAccess & MapAccess.Read) != 0);
        Flag(" mw", (vma.MaxAccess & MapAccess.Write) != 0);
        Flag(" me", (vma.MaxAccess & MapAccess.Execute) != 0);
        Flag(" ms", vma.IsShared);
        Flag(" gd", (vma.Flags & VmaFlags.GrowsDown) != 0);
        Flag(" lo", (vma.Flags & VmaFlags.Locked) != 0);
        Flag(" dc", (vma.Flags & VmaFlags.DontFork) != 0);
        Flag(" de", vma.IsSpecial);
        Flag(" ac", !vma.IsShared && (vma.Access & MapAccess.Write) != 0 && (vma.Flags & VmaFlags.NoReserve) == 0);
        Flag(" nr", (vma.Flags & VmaFlags.NoReserve) != 0);
        Flag(" wf", (vma.Flags & VmaFlags.WipeOnFork) != 0);
        Flag(" dd", (vma.Flags & VmaFlags.DontDump) != 0);
        Flag(" mm", vma.IsSpecial);
        Flag(" sl", (vma.Flags & VmaFlags.Sealed) != 0);
        text.Append(" \n");

        void Line(string name, ulong bytes) => text.Append(CultureInfo.InvariantCulture, $"{name + ":",-16}{bytes / 1024,8} kB\n");

        void Flag(string name, bool on) => text.Append(on ? name : "");
    }

    private static readonly string[] s_never =
    [
        "KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap", "SwapPss",
    ];

    /// <summary>Where a range of a file is mapped shared, whole and to be read; 0: nowhere. Takes time in proportion to the mappings.</summary>
    public ulong FindShared(IMappable file, ulong offset, ulong length)
    {
        ulong found = 0;
        _access.EnterRead();
        for (int i = 0; i < _vmas.Count && found == 0; i++)
        {
            Vma vma = _vmas[i];
            if (vma.File == file && vma.FileOffset == offset && vma.Length >= length && vma.IsShared && (vma.Access & MapAccess.Read) != 0)
                found = vma.Start;
        }
        _access.ExitRead();
        return found;
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
