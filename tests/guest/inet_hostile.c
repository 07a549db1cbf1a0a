// Socket calls with arguments from a random generator: whatever they answer, the process and its sockets go on to work.
#include "moat_test.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned char junk[4096];

static void *address(void)
{
    switch (next() % 6) {
    case 0: return NULL;
    case 1: return (void *)8;
    case 2: return (void *)(next() | 1ull << 63);
    default: return junk + next() % 2048;
    }
}

// A loopback address that nobody's server listens on.
#define NOBODY 0x7f4d0707

// A name that is nearly right: loopback of either family, or bytes. Never beyond this machine.
static socklen_t name(struct sockaddr_storage *to)
{
    memset(to, 0, sizeof *to);
    switch (next() % 4) {
    case 0:
        *(struct sockaddr_in *)to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = next(), .sin_addr.s_addr = htonl(NOBODY) };
        return next() % 8 ? sizeof(struct sockaddr_in) : next() % 130;
    case 1:
        *(struct sockaddr_in6 *)to = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = next() };
        inet_pton(AF_INET6, "::ffff:127.77.7.7", &((struct sockaddr_in6 *)to)->sin6_addr);
        return next() % 8 ? sizeof(struct sockaddr_in6) : next() % 130;
    case 2:
        to->ss_family = AF_UNSPEC;
        return sizeof(struct sockaddr_in);
    default:
        to->ss_family = 20 + next() % 100;
        return next() % 130;
    }
}

static void one(int fd)
{
    static const int levels[] = { SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, 270, 255, 999 };
    struct sockaddr_storage a;
    socklen_t n = name(&a);
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (next() % 3 ? 0 : next() & ~(uint64_t)(MSG_ZEROCOPY | MSG_FASTOPEN));
    switch (next() % 14) {
    case 0: bind(fd, (void *)&a, n); break;
    case 1: connect(fd, (void *)&a, n); break;
    case 2: listen(fd, next()); break;
    case 3: close(accept4(fd, next() % 2 ? address() : NULL, address(), SOCK_NONBLOCK)); break;
    case 4: sendto(fd, address(), next() % 3000, flags, (void *)&a, n); break;
    case 5: recvfrom(fd, junk, next() % 2000, flags, address(), address()); break;
    case 6:
    case 7: {
        int option = next() % 90;
        if (option == SO_LINGER || option == SO_BINDTODEVICE)
            break;
        unsigned value[4] = { next() % 3, next(), next(), next() };
        setsockopt(fd, levels[next() % countof(levels)], option, next() % 8 ? (void *)value : address(), next() % 20);
        break;
    }
    case 8: {
        socklen_t room = next() % 300;
        getsockopt(fd, levels[next() % countof(levels)], next() % 90, address(), next() % 8 ? &room : address());
        break;
    }
    case 9: shutdown(fd, next() % 4); break;
    case 10: {
        static const int commands[] = { 0x541b, 0x5411, 0x8905, 0x8906, 0x8910, 0x8912, 0x8913, 0x8915, 0x8921, 0x8927, 0x8933, 0x8946, 0x89f0, 0x5421 };
        int command = commands[next() % countof(commands)];
        if (command == 0x5421)
            break; // stays non-blocking
        ioctl(fd, command, address());
        break;
    }
    case 11:
    case 12: {
        struct iovec iov[3] = { { address(), next() % 1000 }, { junk, next() % 100 }, { address(), next() % 3 ? 10 : next() } };
        for (int i = 0; i < 64; i++)
            junk[i] = next();
        *(struct cmsghdr *)junk = (struct cmsghdr){ .cmsg_len = next() % 3 ? next() % 40 : next(), .cmsg_level = levels[next() % 8], .cmsg_type = next() % 90 };
        struct msghdr m = { .msg_name = &a, .msg_namelen = n, .msg_iov = iov, .msg_iovlen = next() % 8 ? next() % 4 : next(),
            .msg_control = next() % 3 ? junk : address(), .msg_controllen = next() % 8 ? next() % 128 : next() };
        if (next() % 2)
            sendmsg(fd, &m, flags);
        else
            recvmsg(fd, &m, flags);
        break;
    }
    default: getsockname(fd, address(), address()); getpeername(fd, address(), address()); break;
    }
}

static void storm(int family, int type, int protocol, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int fd = socket(family, type | SOCK_NONBLOCK, protocol);
        if (fd < 0)
            FAIL("socket: %s", strerror(errno));
        int calls = 1 + next() % 40;
        for (int k = 0; k < calls; k++)
            one(fd);
        OK(close(fd));
    }
}

TEST(streams) { storm(AF_INET, SOCK_STREAM, 0, 400); }

TEST(streams6) { storm(AF_INET6, SOCK_STREAM, 0, 400); }

TEST(datagrams) { storm(AF_INET, SOCK_DGRAM, 0, 400); }

TEST(datagrams6) { storm(AF_INET6, SOCK_DGRAM, 0, 400); }

TEST(netlink)
{
    for (int i = 0; i < 300; i++) {
        int fd = OK(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE));
        for (int k = 0; k < 8; k++) {
            // Questions and nonsense; never a message that changes something.
            for (int j = 0; j < 256; j++)
                junk[j] = next() % 4 ? 0 : next();
            struct nlmsghdr *h = (void *)junk;
            h->nlmsg_len = next() % 4 ? 16 + next() % 64 : next();
            h->nlmsg_type = next() % 4 ? 16 + (next() % 30) * 4 + 2 : next() % 16;
            h->nlmsg_flags = NLM_F_REQUEST | (next() % 2 ? NLM_F_DUMP : 0) | (next() % 4 ? 0 : NLM_F_ACK);
            send(fd, junk, next() % 256, MSG_NOSIGNAL);
            recv(fd, junk, sizeof junk, MSG_DONTWAIT | (next() % 3 ? 0 : MSG_PEEK | MSG_TRUNC));
        }
        for (int k = 0; k < 5; k++)
            one(fd);
        OK(close(fd));
    }
}
