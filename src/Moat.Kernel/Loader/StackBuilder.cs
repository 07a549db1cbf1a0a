using System.Buffers.Binary;
using System.Runtime.Intrinsics.X86;
using System.Text;
using Moat.Host;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;
using Moat.Platform;

namespace Moat.Kernel.Loader;

/// <summary>
/// A new program's stack, from the top: a null word, the path, environment and argument strings, the platform's name and random
/// bytes; then, below, the auxiliary vector, envp, argv and argc (System V ABI, AMD64, 3.4.1).
/// </summary>
internal sealed class StackBuilder(LoadRequest request, List<byte[]> arguments)
{
    /// <summary>Most bytes of one string with its NUL (MAX_ARG_STRLEN).</summary>
    public const int MaxString = 32 * 4096;

    private const ulong AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_FLAGS = 8, AT_ENTRY = 9, AT_UID = 11,
        AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_PLATFORM = 15, AT_SECURE = 23, AT_RANDOM = 25, AT_HWCAP2 = 26, AT_EXECFN = 31,
        AT_SYSINFO_EHDR = 33;

    private readonly MemoryManager _mm = request.Memory;
    private readonly byte[] _path = Encoding.Latin1.GetBytes(request.Path);
    private readonly List<ulong> _words = [];
    private byte[] _bytes = [];
    private ulong _top;

    /// <summary>
    /// Most bytes of strings and pointers to them: a quarter of the stack, at most 6 MiB, at least 128 KiB (execve(2)).
    /// </summary>
    public static ulong LimitFor(ulong stackLimit) => Math.Max(Math.Min(stackLimit / 4, 6 << 20), 32 * 4096);

    /// <summary>E2BIG when arguments and environment do not fit.</summary>
    public static Errno CheckSize(LoadRequest request, List<byte[]> arguments)
    {
        ulong total = (ulong)request.Path.Length + 1;
        foreach (byte[] s in arguments.Concat(request.Environment))
        {
            if (s.Length >= MaxString)
                return Errno.E2BIG;
            total += (ulong)s.Length + 1 + sizeof(ulong);
        }
        return total > LimitFor(request.StackLimit) ? Errno.E2BIG : Errno.OK;
    }

    /// <summary>
    /// Maps the stack at the top of guest space: all of it, up to a bound; it grows beyond that when touched.
    /// </summary>
    public Errno Map(bool isExecutable)
    {
        _top = _mm.MaxAddress;
        ulong needed = MemoryManager.PageUp(2 * (ulong)Size() + (128 << 10));
        ulong bound = Math.Clamp(_mm.Frames.Limit / 64, 8UL << 20, 256 << 20);
        ulong length = Math.Max(MemoryManager.PageDown(Math.Min(request.StackLimit, bound)), needed);
        MapRequest map = new()
        {
            Address = _top - length,
            Length = length,
            Access = MapAccess.Read | MapAccess.Write | (isExecutable ? MapAccess.Execute : 0),
            MaxAccess = MapRequest.All,
            Flags = VmaFlags.Stack | VmaFlags.GrowsDown,
            Fixed = true,
        };
        return _mm.Map(in map).Error;
    }

    /// <summary>Writes the stack. <paramref name="stackPointer"/> is where argc lies, 16-byte aligned.</summary>
    public Errno Fill(ElfFile elf, in LoadedImage image, ulong interpreterBase, out ulong stackPointer)
    {
        _bytes = new byte[Size()];
        int at = _bytes.Length - sizeof(ulong);
        ulong pathAddress = Push(_path, ref at);
        ulong[] environment = PushAll(request.Environment, ref at, out ulong environmentStart, out ulong environmentEnd);
        ulong[] argv = PushAll(arguments, ref at, out ulong argumentStart, out ulong argumentEnd);
        at &= ~15;
        ulong platform = Push("x86_64"u8, ref at);
        Span<byte> random = stackalloc byte[16];
        HostRandom.Fill(random);
        at -= 16;
        random.CopyTo(_bytes.AsSpan(at));
        ulong randomAddress = AddressOf(at);

        _words.Add((ulong)argv.Length);
        AddPointers(argv);
        AddPointers(environment);
        int vectorStart = _words.Count;
        AddVector(elf, in image, interpreterBase, pathAddress, platform, randomAddress);
        stackPointer = (AddressOf(at) - ((ulong)_words.Count * sizeof(ulong))) & ~15UL;
        int start = (int)(stackPointer - AddressOf(0));
        for (int i = 0; i < _words.Count; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan(start + (i * sizeof(ulong))), _words[i]);
        _mm.Program = new ProgramArea
        {
            CodeStart = image.CodeStart,
            CodeEnd = image.CodeEnd,
            DataStart = image.DataStart,
            DataEnd = image.DataEnd,
            ArgumentStart = argumentStart,
            ArgumentEnd = argumentEnd,
            EnvironmentStart = environmentStart,
            EnvironmentEnd = environmentEnd,
            StackStart = stackPointer,
            AuxiliaryVector = [.. _words.Skip(vectorStart)],
        };
        return _mm.CopyOut(new UserPtr(stackPointer), _bytes.AsSpan(start));
    }

    private void AddVector(ElfFile elf, in LoadedImage image, ulong interpreterBase, ulong path, ulong platform, ulong random)
    {
        ulong headers = elf.GetHeadersAddress();
        Tasks.Credentials who = request.Credentials;
        if (_mm.Space.Vdso != 0)
            Add(AT_SYSINFO_EHDR, _mm.Space.Vdso);
        Add(HostAuxv.AT_MINSIGSTKSZ, HostAuxv.Get(HostAuxv.AT_MINSIGSTKSZ, 2048));
        Add(HostAuxv.AT_HWCAP, HostAuxv.Get(HostAuxv.AT_HWCAP, X86Base.IsSupported ? (uint)X86Base.CpuId(1, 0).Edx : 0));
        Add(AT_PAGESZ, MemoryManager.PageSize);
        Add(HostAuxv.AT_CLKTCK, 100);
        Add(AT_PHDR, headers == 0 ? 0 : headers + image.Bias);
        Add(AT_PHENT, ProgramHeader.Size);
        Add(AT_PHNUM, (ulong)elf.Headers.Length);
        Add(AT_BASE, interpreterBase);
        Add(AT_FLAGS, 0);
        Add(AT_ENTRY, elf.Entry + image.Bias);
        Add(AT_UID, who.Uid);
        Add(AT_EUID, who.EffectiveUid);
        Add(AT_GID, who.Gid);
        Add(AT_EGID, who.EffectiveGid);
        Add(AT_SECURE, who.Uid != who.EffectiveUid || who.Gid != who.EffectiveGid ? 1UL : 0);
        Add(AT_RANDOM, random);
        // Without HWCAP2_FSGSBASE: the base registers are the platform's, programs go through arch_prctl(2).
        Add(AT_HWCAP2, 0);
        Add(AT_EXECFN, path);
        Add(AT_PLATFORM, platform);
        Add(0, 0);
    }

    private void Add(ulong type, ulong value)
    {
        _words.Add(type);
        _words.Add(value);
    }

    private void AddPointers(ulong[] pointers)
    {
        _words.AddRange(pointers);
        _words.Add(0);
    }

    private ulong[] PushAll(IReadOnlyList<byte[]> strings, ref int at, out ulong start, out ulong end)
    {
        ulong[] addresses = new ulong[strings.Count];
        end = AddressOf(at);
        for (int i = strings.Count - 1; i >= 0; i--)
            addresses[i] = Push(strings[i], ref at);
        start = AddressOf(at);
        return addresses;
    }

    private ulong Push(ReadOnlySpan<byte> s, ref int at)
    {
        at -= s.Length + 1;
        s.CopyTo(_bytes.AsSpan(at));
        return AddressOf(at);
    }

    private ulong AddressOf(int at) => _top - (ulong)(_bytes.Length - at);

    /// <summary>At least the bytes that all of it takes.</summary>
    private int Size()
    {
        int size = 1024 + _path.Length;
        foreach (byte[] s in arguments)
            size += s.Length + 1 + sizeof(ulong);
        foreach (byte[] s in request.Environment)
            size += s.Length + 1 + sizeof(ulong);
        return size;
    }
}
