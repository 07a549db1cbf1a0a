// What the tests of AF_UNIX sockets share: names, pairs, readiness.
#ifndef MOAT_SOCKETS_H
#define MOAT_SOCKETS_H

#include "moat_test.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <linux/sockios.h>

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif

MT_UNUSED static char big[1 << 18];

MT_UNUSED static void pair_of(int type, int s[2]) { OK(socketpair(AF_UNIX, type, 0, s)); }

MT_UNUSED static void drop(const int s[2])
{
    OK(close(s[0]));
    OK(close(s[1]));
}

MT_UNUSED static socklen_t path_name(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, path);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

// An abstract name that no other run has.
MT_UNUSED static socklen_t abstract_name(struct sockaddr_un *a, const char *tail)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "moat-test-%d-%s", getpid(), tail);
    return offsetof(struct sockaddr_un, sun_path) + 1 + n;
}

MT_UNUSED static int ready(int fd, int events)
{
    struct pollfd p = { .fd = fd, .events = events };
    OK(poll(&p, 1, 0));
    return p.revents;
}

#define ANY (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND)
#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)
#define READABLE (POLLIN | POLLRDNORM)

MT_UNUSED static void *drain(void *arg)
{
    int fd = (int)(long)arg;
    static char room[10000];
    long n = 0, r;
    while ((r = read(fd, room, sizeof room)) > 0)
        n += r;
    return (void *)n;
}

#endif
