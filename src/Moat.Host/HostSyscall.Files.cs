namespace Moat.Host;

/// <summary>Host calls about descriptors and mappings that the platform needs.</summary>
public static unsafe partial class HostSyscall
{
    // Descriptors that a child process receives under fixed low numbers are kept above these.
    private const int HighDescriptor = 16;
    private const int F_DUPFD_CLOEXEC = 1030;

    /// <summary>Closes a host descriptor. Returns 0 or -errno.</summary>
    public static int Close(int fd) => (int)Call(3, fd);

    /// <summary>Opens a file for reading, close-on-exec. The path ends in a zero byte. Returns the descriptor or -errno.</summary>
    public static int OpenReadOnly(ReadOnlySpan<byte> path)
    {
        // SAFETY: pinned for the call.
        fixed (byte* p = path)
            return (int)Call(257 /* openat */, -100 /* AT_FDCWD */, (long)p, 0x80000 /* O_CLOEXEC */);
    }

    /// <summary>Makes a memfd (man 2 memfd_create). <paramref name="name"/> ends in a zero byte. Returns the descriptor or -errno.</summary>
    public static int MemfdCreate(ReadOnlySpan<byte> name, uint flags)
    {
        // SAFETY: pinned for the call.
        fixed (byte* p = name)
            return (int)Call(319, (long)p, flags);
    }

    /// <summary>Sets a file's length in bytes. Returns 0 or -errno.</summary>
    public static int Ftruncate(int fd, ulong length) => (int)Call(77, fd, (long)length);

    /// <summary>Seals a memfd (man 2 fcntl, F_ADD_SEALS). Returns 0 or -errno.</summary>
    public static int AddSeals(int fd, int seals) => (int)Call(72, fd, 1033, seals);

    /// <summary>Writes at an offset. Returns the bytes written or -errno.</summary>
    public static long Pwrite(int fd, ReadOnlySpan<byte> data, ulong offset)
    {
        // SAFETY: pinned for the call.
        fixed (byte* p = data)
            return Call(18, fd, (long)p, data.Length, (long)offset);
    }

    /// <summary>Maps memory (man 2 mmap). Returns the address or -errno.</summary>
    public static long Mmap(void* address, ulong length, int prot, int flags, int fd, ulong offset)
        => Call(9, (long)address, (long)length, prot, flags, fd, (long)offset);

    /// <summary>Unmaps memory. Returns 0 or -errno.</summary>
    public static int Munmap(void* address, ulong length) => (int)Call(11, (long)address, (long)length);

    /// <summary>
    /// Moves a descriptor to a number above the ones that children receive, close-on-exec. The old one is closed,
    /// also on failure. Returns the new descriptor or -errno; passes a negative <paramref name="fd"/> through.
    /// </summary>
    public static int MoveHigh(int fd)
    {
        if (fd is < 0 or >= HighDescriptor)
            return fd;
        long high = Call(72 /* fcntl */, fd, F_DUPFD_CLOEXEC, HighDescriptor);
        Close(fd);
        return (int)high;
    }

    /// <summary>Makes an event counter, close-on-exec and non-blocking (man 2 eventfd). Returns the descriptor or -errno.</summary>
    public static int EventFd() => (int)Call(290, 0, 0x80800 /* EFD_CLOEXEC | EFD_NONBLOCK */);

    /// <summary>Reads into a buffer. Returns the bytes read or -errno.</summary>
    public static long Read(int fd, Span<byte> buffer)
    {
        // SAFETY: pinned for the call.
        fixed (byte* p = buffer)
            return Call(0, fd, (long)p, buffer.Length);
    }

    /// <summary>Adds to an event counter. Returns 0 or -errno.</summary>
    public static int EventFdSignal(int fd)
    {
        ulong one = 1;
        // SAFETY: one lives on the stack for the call.
        long r = Call(1, fd, (long)&one, 8);
        return r < 0 ? (int)r : 0;
    }

    /// <summary>Makes a pair of connected sequenced-packet sockets, close-on-exec (man 2 socketpair). Returns 0 or -errno.</summary>
    public static int SocketPair(out int first, out int second)
    {
        int* pair = stackalloc int[2];
        long r = Call(53, 1 /* AF_UNIX */, 5 | 0x80000 /* SOCK_SEQPACKET | SOCK_CLOEXEC */, 0, (long)pair);
        (first, second) = r < 0 ? (-1, -1) : (pair[0], pair[1]);
        return (int)r;
    }

    /// <summary>
    /// Sends one byte with one descriptor or two (SCM_RIGHTS) without blocking. Returns 0 or -errno (man 7 unix).
    /// </summary>
    public static int SendDescriptors(int socket, int fd, int second = -1)
    {
        byte data = 0;
        long* iov = stackalloc long[2] { (long)&data, 1 };
        // struct cmsghdr { size_t len; int level, type; } and the descriptor, padded to eight bytes.
        long* control = stackalloc long[3]
        {
            second < 0 ? 20 : 24, 1L | (1L << 32) /* SOL_SOCKET, SCM_RIGHTS */, (uint)fd | ((long)second << 32),
        };
        long* message = stackalloc long[7] { 0, 0, (long)iov, 1, (long)control, 24, 0 };
        // SAFETY: all four structures outlive the call.
        long r = Call(46 /* sendmsg */, socket, (long)message, 0x4040 /* MSG_NOSIGNAL | MSG_DONTWAIT */);
        return r < 0 ? (int)r : 0;
    }

    /// <summary>Makes a socket tell the process ids of those who send to it (SO_PASSCRED). Returns 0 or -errno.</summary>
    public static int PassCredentials(int socket)
    {
        int one = 1;
        // SAFETY: one lives on the stack for the call.
        return (int)Call(54 /* setsockopt */, socket, 1 /* SOL_SOCKET */, 16 /* SO_PASSCRED */, (long)&one, 4);
    }

    /// <summary>
    /// Waits for a message on a socket with <see cref="PassCredentials"/> and returns the sender's process id, which the host vouches
    /// for; 0 when all senders are gone, or -errno.
    /// </summary>
    public static int ReceiveSender(int socket)
    {
        const int SCM_CREDENTIALS = 2;
        long data = 0;
        long* iov = stackalloc long[2] { (long)&data, 1 };
        // struct cmsghdr and struct ucred { pid, uid, gid }, 28 bytes, padded to eight.
        long* control = stackalloc long[4];
        long* message = stackalloc long[7];
        while (true)
        {
            new Span<long>(control, 4).Clear();
            (message[0], message[1], message[2], message[3], message[4], message[5], message[6]) = (0, 0, (long)iov, 1, (long)control, 32, 0);
            // SAFETY: all structures outlive the call.
            long r = Call(47 /* recvmsg */, socket, (long)message, 0x40000000 /* MSG_CMSG_CLOEXEC */);
            if (r == -4 /* EINTR */)
                continue;
            if (r <= 0)
                return (int)r;
            return control[0] == 28 && control[1] == (1L | ((long)SCM_CREDENTIALS << 32)) ? (int)control[2] : -22;
        }
    }

    /// <summary>Bytes that a socket's peer has not received yet (SIOCOUTQ), or -errno.</summary>
    public static int UnreceivedBytes(int socket)
    {
        int value = 0;
        long r = Call(16 /* ioctl */, socket, 0x5411, (long)&value);
        return r < 0 ? (int)r : value;
    }

    /// <summary>Makes an epoll instance, close-on-exec. Returns the descriptor or -errno.</summary>
    public static int EpollCreate() => (int)Call(291, 0x80000);

    /// <summary>Watches a descriptor for EPOLLIN, level-triggered, with <paramref name="data"/> as its name. Returns 0 or -errno.</summary>
    public static int EpollAdd(int epoll, int fd, ulong data)
    {
        int* e = stackalloc int[3] { 1 /* EPOLLIN */, (int)data, (int)(data >> 32) };
        // SAFETY: the packed struct epoll_event outlives the call.
        return (int)Call(233, epoll, 1 /* EPOLL_CTL_ADD */, fd, (long)e);
    }

    /// <summary>Stops watching a descriptor. Returns 0 or -errno.</summary>
    public static int EpollRemove(int epoll, int fd) => (int)Call(233, epoll, 2 /* EPOLL_CTL_DEL */, fd);

    /// <summary>Waits without limit for one event; its name goes to <paramref name="data"/>. Returns 1, or -errno.</summary>
    public static int EpollWaitOne(int epoll, out ulong data)
    {
        int* e = stackalloc int[3];
        long r = Call(232, epoll, (long)e, 1, -1);
        data = r == 1 ? (uint)e[1] | ((ulong)(uint)e[2] << 32) : 0;
        return (int)r;
    }
}
