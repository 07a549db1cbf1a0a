using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Moat.Kernel.Terminals;

/// <summary>c_iflag of termios(3).</summary>
[Flags]
internal enum InputModes : uint
{
    ISTRIP = 0x20,
    INLCR = 0x40,
    IGNCR = 0x80,
    ICRNL = 0x100,
    IUCLC = 0x200,
    IXON = 0x400,
    IXANY = 0x800,
    IMAXBEL = 0x2000,
    IUTF8 = 0x4000,
    PARMRK = 8,
}

/// <summary>c_oflag.</summary>
[Flags]
internal enum OutputModes : uint
{
    OPOST = 1,
    OLCUC = 2,
    ONLCR = 4,
    OCRNL = 8,
    ONOCR = 0x10,
    ONLRET = 0x20,
    XTABS = 0x1800,
}

/// <summary>c_lflag.</summary>
[Flags]
internal enum LocalModes : uint
{
    ISIG = 1,
    ICANON = 2,
    ECHO = 8,
    ECHOE = 0x10,
    ECHOK = 0x20,
    ECHONL = 0x40,
    NOFLSH = 0x80,
    TOSTOP = 0x100,
    ECHOCTL = 0x200,
    ECHOKE = 0x800,
    IEXTEN = 0x8000,
    EXTPROC = 0x10000,
}

/// <summary>Places in c_cc.</summary>
internal enum ControlChar
{
    VINTR,
    VQUIT,
    VERASE,
    VKILL,
    VEOF,
    VTIME,
    VMIN,
    VSWTC,
    VSTART,
    VSTOP,
    VSUSP,
    VEOL,
    VREPRINT,
    VDISCARD,
    VWERASE,
    VLNEXT,
    VEOL2,
}

/// <summary>c_cc of the kernel's struct termios.</summary>
[InlineArray(Length)]
internal struct ControlChars
{
    public const int Length = 19;

    private byte _first;
}

/// <summary>struct termios2; its first <see cref="OldSize"/> bytes are the kernel's struct termios.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Termios
{
    /// <summary>Bytes of struct termios.</summary>
    public const int OldSize = 36;

    public InputModes Input;
    public OutputModes Output;
    public uint Control;
    public LocalModes Local;
    public byte Line;
    public ControlChars Chars;
    public uint InputSpeed, OutputSpeed;

    /// <summary>What a terminal starts with (tty_std_termios): 38400 8N1, cooked.</summary>
    public static Termios Standard
    {
        get
        {
            const uint B38400CS8CREAD = 0xbf;
            Termios termios = new()
            {
                Input = InputModes.ICRNL | InputModes.IXON,
                Output = OutputModes.OPOST | OutputModes.ONLCR,
                Control = B38400CS8CREAD,
                Local = LocalModes.ISIG | LocalModes.ICANON | LocalModes.ECHO | LocalModes.ECHOE | LocalModes.ECHOK | LocalModes.ECHOCTL
                    | LocalModes.ECHOKE | LocalModes.IEXTEN,
                InputSpeed = 38400,
                OutputSpeed = 38400,
            };
            ReadOnlySpan<byte> chars = [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0xf, 0x17, 0x16, 0, 0, 0];
            chars.CopyTo(termios.Chars);
            return termios;
        }
    }

    public readonly bool Has(InputModes modes) => (Input & modes) != 0;

    public readonly bool Has(OutputModes modes) => (Output & modes) != 0;

    public readonly bool Has(LocalModes modes) => (Local & modes) != 0;

    /// <summary>True when <paramref name="c"/> is what a place in c_cc says, and that is not disabled.</summary>
    public readonly bool Is(ControlChar which, byte c) => c != 0 && Chars[(int)which] == c;

    /// <summary>The struct termios that a program gave; speeds follow the bits of c_cflag elsewhere and are kept.</summary>
    public readonly Termios With(ReadOnlySpan<byte> old)
    {
        Termios changed = this;
        old[..OldSize].CopyTo(MemoryMarshal.AsBytes(new Span<Termios>(ref changed)));
        return changed;
    }

    /// <summary>These modes, but what <paramref name="locks"/> has bits of as it was <paramref name="before"/> (TIOCSLCKTRMIOS).</summary>
    public readonly Termios Keeping(in Termios before, in Termios locks)
    {
        Termios kept = this;
        kept.Input = (before.Input & locks.Input) | (Input & ~locks.Input);
        kept.Output = (before.Output & locks.Output) | (Output & ~locks.Output);
        kept.Control = (before.Control & locks.Control) | (Control & ~locks.Control);
        kept.Local = (before.Local & locks.Local) | (Local & ~locks.Local);
        kept.Line = locks.Line != 0 ? before.Line : Line;
        for (int i = 0; i < ControlChars.Length; i++)
        {
            if (locks.Chars[i] != 0)
                kept.Chars[i] = before.Chars[i];
        }
        return kept;
    }

    /// <summary>Packet mode tells whether the usual flow control is on (TIOCPKT_DOSTOP).</summary>
    public readonly bool HasUsualFlowControl => Has(InputModes.IXON) && Chars[(int)ControlChar.VSTOP] == 0x13 && Chars[(int)ControlChar.VSTART] == 0x11;
}
