namespace Moat.Host;

/// <summary>Random bytes from the host's kernel.</summary>
public static unsafe class HostRandom
{
    /// <summary>Fills the buffer (getrandom(2)).</summary>
    public static void Fill(Span<byte> buffer)
    {
        const long EINTR = 4;
        fixed (byte* p = buffer)
        {
            for (int done = 0; done < buffer.Length;)
            {
                // SAFETY: pinned for the call.
                long n = HostSyscall.Call(318 /* getrandom */, (long)(p + done), buffer.Length - done, 0);
                if (n > 0)
                    done += (int)n;
                else if (n != -EINTR)
                    HostException.Check(n, "getrandom");
            }
        }
    }
}
