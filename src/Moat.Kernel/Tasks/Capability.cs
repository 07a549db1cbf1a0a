namespace Moat.Kernel.Tasks;

/// <summary>Capabilities that something here asks for (capabilities(7)), with Linux names and numbers.</summary>
internal enum Capability
{
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_DAC_READ_SEARCH = 2,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_LINUX_IMMUTABLE = 9,
    CAP_NET_BIND_SERVICE = 10,
    CAP_NET_ADMIN = 12,
    CAP_NET_RAW = 13,
    CAP_IPC_LOCK = 14,
    CAP_IPC_OWNER = 15,
    CAP_SYS_RAWIO = 17,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_PTRACE = 19,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_MKNOD = 27,
    CAP_SETFCAP = 31,
    CAP_MAC_OVERRIDE = 32,
    CAP_WAKE_ALARM = 35,
    CAP_LAST_CAP = 40,
}

/// <summary>Secure bits (PR_SET_SECUREBITS), Linux names and values; the bit above each locks it.</summary>
[Flags]
internal enum SecureBits : uint
{
    None = 0,
    SECBIT_NOROOT = 1,
    SECBIT_NO_SETUID_FIXUP = 1 << 2,
    SECBIT_KEEP_CAPS = 1 << 4,
    SECBIT_KEEP_CAPS_LOCKED = 1 << 5,
    SECBIT_NO_CAP_AMBIENT_RAISE = 1 << 6,

    /// <summary>What an unprivileged task may set: hints for interpreters, which nothing here obeys.</summary>
    Unprivileged = 0xf00,

    /// <summary>All that there are.</summary>
    All = 0xfff,

    /// <summary>The locks.</summary>
    Locks = 0xaaa,
}
