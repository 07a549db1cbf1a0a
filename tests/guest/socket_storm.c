// Threads that do anything with a few sockets at once, by calls and through rings: nothing may break, hang or stay behind. What the
// calls answer is not looked at. MOAT_TEST_SEED and MOAT_TEST_COUNT (steps of each thread) make other storms.
#include "uring.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SLOTS 24
#define THREADS 4

static _Atomic int slots[SLOTS];
static char data[1 << 16];

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static socklen_t name_of(struct sockaddr_un *a, uint32_t r)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    int n = r & 8 ? snprintf(a->sun_path, 100, "s%u", r & 3) : 1 + snprintf(a->sun_path + 1, 100, "moat-storm-%d-%u", getpid(), r & 3);
    return offsetof(struct sockaddr_un, sun_path) + n + (r & 8 ? 1 : 0);
}

static void put(int i, int fd)
{
    int old = atomic_exchange(&slots[i], fd);
    if (old >= 0)
        close(old);
}

static void step(uint64_t *seed, struct ring *ring)
{
    uint32_t r = next(seed), q = next(seed);
    int i = r % SLOTS, k = q % SLOTS, fd = atomic_load(&slots[i]), other = atomic_load(&slots[k]), s[2];
    struct sockaddr_un a;
    socklen_t n = name_of(&a, q >> 5);
    char b[4096];
    int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET }, v = q;
    int wait = MSG_DONTWAIT;
    switch (r >> 8 & 31) {
    case 0 ... 3:
        if (socketpair(AF_UNIX, types[q % 3] | SOCK_NONBLOCK, 0, s) == 0) {
            put(i, s[0]);
            put(k, s[1]);
        }
        break;
    case 4 ... 5:
        put(i, socket(AF_UNIX, types[q % 3] | SOCK_NONBLOCK, 0));
        break;
    case 6:
        if (!(q & 8) || unlink(a.sun_path) == 0 || errno == ENOENT)
            bind(fd, (struct sockaddr *)&a, n);
        break;
    case 7:
        listen(fd, q % 5);
        break;
    case 8 ... 9:
        connect(fd, (struct sockaddr *)&a, n);
        break;
    case 10:
        put(k, accept4(fd, NULL, NULL, SOCK_NONBLOCK));
        break;
    case 11 ... 14:
        send(fd, data, q % 60000, wait | MSG_NOSIGNAL);
        break;
    case 15 ... 18:
        recv(fd, b, q % sizeof b, wait | (q & 0x10000 ? MSG_PEEK : 0) | (q & 0x20000 ? MSG_TRUNC : 0));
        break;
    case 19:
        sendto(fd, data, q % 2000, wait | MSG_NOSIGNAL, (struct sockaddr *)&a, n);
        break;
    case 20 ... 21: {
        char c[CMSG_SPACE(8)] = { 0 };
        struct iovec w = { data, q % 100 };
        struct msghdr m = { .msg_iov = &w, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), (int[]){ fd, other }, 8);
        sendmsg(q & 1024 ? fd : other, &m, wait | MSG_NOSIGNAL);
        break;
    }
    case 22 ... 23: {
        char c[256];
        struct iovec w = { b, q % 100 };
        struct msghdr m = { .msg_iov = &w, .msg_iovlen = 1, .msg_control = c, .msg_controllen = q % sizeof c };
        if (recvmsg(fd, &m, wait) >= 0) {
            for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
                if (h->cmsg_type == SCM_RIGHTS) {
                    for (size_t at = 0; CMSG_LEN(at + 4) <= h->cmsg_len; at += 4) {
                        int got;
                        memcpy(&got, CMSG_DATA(h) + at, 4);
                        if (at == 0)
                            put(k, got);
                        else
                            close(got);
                    }
                }
            }
        }
        break;
    }
    case 24:
        shutdown(fd, q % 3);
        break;
    case 25:
        put(i, -1);
        break;
    case 26:
        v &= 1;
        setsockopt(fd, SOL_SOCKET, q & 2 ? SO_PASSCRED : SO_PEEK_OFF, &v, sizeof v);
        break;
    case 27:
        v = q % 20000;
        setsockopt(fd, SOL_SOCKET, q & 0x8000 ? SO_SNDBUF : SO_RCVLOWAT, &v, sizeof v);
        break;
    case 28:
        ioctl(fd, q & 1 ? FIONREAD : TIOCOUTQ, &v);
        break;
    case 29: {
        struct sockaddr_un none = { .sun_family = AF_UNSPEC };
        connect(fd, (struct sockaddr *)&none, sizeof none);
        break;
    }
    default: {
        static __thread char into[4][4096];
        sqe_t *e = prep(ring_sqe(ring), q & 1 ? IORING_OP_SEND : IORING_OP_RECV, fd, q & 1 ? data : into[q >> 3 & 3], q % 4096, 0, 1 + (r & 7));
        e->msg_flags = q & 2 ? MSG_WAITALL : 0;
        e->flags = q & 4 ? IOSQE_ASYNC : 0;
        if (q % 5 == 0) {
            e = prep(ring_sqe(ring), IORING_OP_ACCEPT, fd, NULL, 0, 0, 1 + (r & 7));
            e->accept_flags = SOCK_NONBLOCK;
            e->ioprio = q & 32;
        }
        e = prep(ring_sqe(ring), IORING_OP_ASYNC_CANCEL, -1, (void *)(uintptr_t)(1 + (q & 7)), 0, 0, 100);
        ring_publish(ring);
        u_enter(ring->fd, ring->tail - atomic_load(ring->sq_head), 0, IORING_ENTER_GETEVENTS, NULL, 0);
        cqe_t c;
        while (ring_peek(ring, &c))
            ;
    }
    }
}

static void *storm(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    struct ring ring;
    ring_init(&ring, 64, IORING_SETUP_SUBMIT_ALL);
    const char *count = getenv("MOAT_TEST_COUNT");
    for (int i = 0; i < (count ? atoi(count) : 12000); i++)
        step(&seed, &ring);
    ring_drop(&ring);
    return NULL;
}

TEST(storm)
{
    for (int i = 0; i < SLOTS; i++)
        slots[i] = -1;
    pthread_t t[THREADS];
    const char *seed = getenv("MOAT_TEST_SEED");
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, storm, (void *)(uintptr_t)(i * 977 + 5 + (seed ? atoi(seed) : 0) * 7919));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        put(i, -1);
    // What accept requests gave is nobody's; it goes here, so that the harness finds nothing open.
    for (int fd = 3; fd < 1024; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
            close(fd);
    }
}
