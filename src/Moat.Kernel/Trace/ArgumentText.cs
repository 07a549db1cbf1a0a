using System.Globalization;
using System.Numerics;
using System.Text;
using Moat.Kernel.Memory;
using Moat.Kernel.Syscalls;

namespace Moat.Kernel.Trace;

/// <summary>
/// Writes arguments of system calls in the form of strace(1). It only looks: what it cannot read it shows as an address.
/// </summary>
internal static class ArgumentText
{
    private const int PrefixBytes = 32, LongestPath = 4096, MostStrings = 32;

    /// <summary>Writes one argument that the call reads or that needs no memory.</summary>
    public static void Append(StringBuilder text, MemoryManager mm, SyscallParameter parameter, ulong value)
    {
        switch (parameter.Kind)
        {
            case ParameterKind.Fd:
                text.Append((int)value == Fd.AT_FDCWD ? "AT_FDCWD" : ((int)value).ToString(CultureInfo.InvariantCulture));
                break;
            case ParameterKind.Path:
                AppendString(text, mm, value);
                break;
            case ParameterKind.Enumeration:
                AppendEnum(text, parameter.Type, value);
                break;
            case ParameterKind.Pointer when parameter.Type == typeof(Timespec):
                AppendTimespec(text, mm, value);
                break;
            case ParameterKind.Pointer:
                AppendAddress(text, value);
                break;
            default:
                AppendInteger(text, parameter, value);
                break;
        }
    }

    /// <summary>An address, or NULL.</summary>
    public static void AppendAddress(StringBuilder text, ulong value)
    {
        if (value == 0)
            text.Append("NULL");
        else
            text.Append(CultureInfo.InvariantCulture, $"0x{value:x}");
    }

    /// <summary>A NUL-terminated string of the guest's, quoted and whole.</summary>
    public static void AppendString(StringBuilder text, MemoryManager mm, ulong address)
    {
        byte[] bytes = new byte[LongestPath];
        SysResult length = address == 0 ? Errno.EFAULT : mm.CopyInString(new UserPtr(address), bytes);
        if (length.IsError)
            AppendAddress(text, address);
        else
            AppendQuoted(text, bytes.AsSpan(0, (int)length.Value));
    }

    /// <summary>The first bytes of a buffer, quoted; dots when there are more.</summary>
    public static void AppendBuffer(StringBuilder text, MemoryManager mm, ulong address, ulong length)
    {
        Span<byte> prefix = stackalloc byte[(int)Math.Min(length, PrefixBytes)];
        if (address == 0 || mm.CopyIn(new UserPtr(address), prefix) != Errno.OK)
        {
            AppendAddress(text, address);
            return;
        }
        AppendQuoted(text, prefix);
        if (length > PrefixBytes)
            text.Append("...");
    }

    /// <summary>A NULL-terminated array of strings (execve(2)).</summary>
    public static void AppendStrings(StringBuilder text, MemoryManager mm, ulong address)
    {
        if (address == 0)
        {
            text.Append("NULL");
            return;
        }
        text.Append('[');
        for (int i = 0; i < MostStrings; i++)
        {
            if (mm.Read(new UserPtr<ulong>(address + ((ulong)i * 8)), out ulong item) != Errno.OK || item == 0)
            {
                text.Append(']');
                return;
            }
            if (i > 0)
                text.Append(", ");
            AppendString(text, mm, item);
        }
        text.Append(", ...]");
    }

    /// <summary>Two descriptors (pipe(2)).</summary>
    public static void AppendPair(StringBuilder text, MemoryManager mm, ulong address)
    {
        if (mm.Read(new UserPtr<ulong>(address), out ulong pair) == Errno.OK)
            text.Append(CultureInfo.InvariantCulture, $"[{(int)pair}, {(int)(pair >> 32)}]");
        else
            AppendAddress(text, address);
    }

    /// <summary>Bytes as a C string literal.</summary>
    public static void AppendQuoted(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        text.Append('"');
        for (int i = 0; i < bytes.Length; i++)
        {
            byte b = bytes[i];
            switch (b)
            {
                case (byte)'"' or (byte)'\\':
                    text.Append('\\').Append((char)b);
                    break;
                case (byte)'\n':
                    text.Append("\\n");
                    break;
                case (byte)'\r':
                    text.Append("\\r");
                    break;
                case (byte)'\t':
                    text.Append("\\t");
                    break;
                case >= 32 and < 127:
                    text.Append((char)b);
                    break;
                default:
                    // Three digits where a digit follows, so that the text reads back as the same bytes.
                    bool digit = i + 1 < bytes.Length && bytes[i + 1] is >= (byte)'0' and <= (byte)'7';
                    text.Append('\\').Append(Convert.ToString(b, 8).PadLeft(digit ? 3 : 1, '0'));
                    break;
            }
        }
        text.Append('"');
    }

    /// <summary>Names joined by a bar; bits without a name in hexadecimal.</summary>
    public static void AppendEnum(StringBuilder text, Type type, ulong value)
    {
        bool wide = Enum.GetUnderlyingType(type) == typeof(long) || Enum.GetUnderlyingType(type) == typeof(ulong);
        value = wide ? value : (uint)value;
        if (type == typeof(OpenFlags))
        {
            text.Append(((OpenFlags)(int)value & OpenFlags.O_ACCMODE).ToString());
            value &= ~(ulong)OpenFlags.O_ACCMODE;
            if (value != 0)
                text.Append('|');
            else
                return;
        }
        bool isFlags = type.IsDefined(typeof(FlagsAttribute), inherit: false);
        if (value == 0 && isFlags)
        {
            text.Append('0');
            return;
        }
        if (type != typeof(OpenFlags) && Enum.GetName(type, Boxed(type, value)) is { } exact)
        {
            text.Append(UringNames.Whole(type, exact));
            return;
        }
        if (!isFlags)
        {
            text.Append(CultureInfo.InvariantCulture, $"{value:#x}");
            return;
        }
        AppendBits(text, type, value);
    }

    private static void AppendBits(StringBuilder text, Type type, ulong value)
    {
        Array values = Enum.GetValuesAsUnderlyingType(type);
        bool narrow = Enum.GetUnderlyingType(type) == typeof(int);
        bool first = true;
        // Names of several bits before those of one: O_SYNC before the O_DSYNC that it contains.
        for (int i = 0; i < values.Length * 2 && value != 0; i++)
        {
            object item = values.GetValue(i % values.Length)!;
            ulong bits = unchecked((ulong)Convert.ToInt64(item, CultureInfo.InvariantCulture));
            if (narrow)
                bits = (uint)bits;
            if (bits == 0 || (value & bits) != bits || BitOperations.IsPow2(bits) == i < values.Length)
                continue;
            text.Append(first ? "" : "|").Append(UringNames.Whole(type, Enum.GetName(type, item)!));
            first = false;
            value &= ~bits;
        }
        if (value != 0)
            text.Append(first ? "" : "|").Append(CultureInfo.InvariantCulture, $"0x{value:x}");
        else if (first)
            text.Append('0');
    }

    private static object Boxed(Type type, ulong value) => Enum.ToObject(type, value);

    private static void AppendTimespec(StringBuilder text, MemoryManager mm, ulong address)
    {
        if (address != 0 && mm.Read(new UserPtr<Timespec>(address), out Timespec time) == Errno.OK)
            text.Append(CultureInfo.InvariantCulture, $"{{tv_sec={time.Seconds}, tv_nsec={time.Nanoseconds}}}");
        else
            AppendAddress(text, address);
    }

    private static void AppendInteger(StringBuilder text, SyscallParameter parameter, ulong value)
    {
        bool narrow = parameter.Type == typeof(int) || parameter.Type == typeof(uint);
        value = narrow ? (uint)value : value;
        if (parameter.Name is "mode" or "mask")
            text.Append('0').Append(Convert.ToString(unchecked((long)value), 8));
        else if (IsAddressOrBits(parameter.Name) && value != 0)
            text.Append(CultureInfo.InvariantCulture, $"0x{value:x}");
        else if (parameter.Kind == ParameterKind.Unsigned)
            text.Append(value.ToString(CultureInfo.InvariantCulture));
        else
            text.Append((narrow ? (int)value : (long)value).ToString(CultureInfo.InvariantCulture));
    }

    private static bool IsAddressOrBits(string name)
        => name.EndsWith("ddress", StringComparison.Ordinal) || name.EndsWith("addr", StringComparison.Ordinal)
            || name.EndsWith("lags", StringComparison.Ordinal) || name is "prot" or "command" or "request" or "cmd";
}
