// What random sequences found, each as small as it came to be.
#include "uring_net.h"
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define NOWHERE ((void *)8)

static struct ring r;

static int result_of(sqe_t *s)
{
    s->user_data = 1;
    return ring_result(&r, 1);
}

static int sys_read(int fd, void *to, uint32_t n) { return syscall(SYS_read, fd, to, n) < 0 ? -errno : 0; }
static int uring_read(int fd, void *to, uint32_t n) { return result_of(ADD(&r, READ, fd, to, n, -1, 1)); }

// Counters and queues of events have given away what they had when they find no memory to put it to.
TEST(events_read_into_nowhere)
{
    char buf[256];
    sigset_t set;
    ring_init(&r, 8, 0);
    for (int way = 0; way < 2; way++) {
        int fd = OK(eventfd(5, EFD_NONBLOCK));
        CHECK_EQ(way ? uring_read(fd, NOWHERE, 8) : sys_read(fd, NOWHERE, 8), -EFAULT);
        CHECK_ERR(read(fd, buf, 8), EAGAIN);
        OK(close(fd));
        fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
        OK(timerfd_settime(fd, 0, &(struct itimerspec){.it_value = {0, 1}}, NULL));
        CHECK_EQ(poll(&(struct pollfd){fd, POLLIN}, 1, -1), 1);
        CHECK_EQ(way ? uring_read(fd, NOWHERE, 8) : sys_read(fd, NOWHERE, 8), -EFAULT);
        CHECK_ERR(read(fd, buf, 8), EAGAIN);
        OK(close(fd));
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        OK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
        fd = OK(signalfd(-1, &set, SFD_NONBLOCK));
        OK(raise(SIGUSR1));
        CHECK_EQ(way ? uring_read(fd, NOWHERE, 128) : sys_read(fd, NOWHERE, 128), -EFAULT);
        CHECK_ERR(read(fd, buf, 128), EAGAIN);
        OK(close(fd));
        fd = OK(inotify_init1(IN_NONBLOCK));
        OK(inotify_add_watch(fd, ".", IN_CREATE));
        OK(close(OK(open(way ? "b" : "a", O_CREAT | O_RDWR, 0600))));
        CHECK_EQ(way ? uring_read(fd, NOWHERE, 128) : sys_read(fd, NOWHERE, 128), -EFAULT);
        CHECK_ERR(read(fd, buf, 128), EAGAIN);
        OK(close(fd));
    }
    ring_exit(&r);
}

// Nothing at all, in no parts: eventfd's EINVAL for less than 8 bytes is not asked for.
TEST(eventfd_write_of_nothing)
{
    uint64_t v = 3;
    struct iovec one = {&v, 0};
    ring_init(&r, 8, 0);
    int fd = OK(eventfd(0, EFD_NONBLOCK));
    CHECK_EQ(writev(fd, &one, 0), 0);
    CHECK_EQ(writev(fd, &one, 1), 0);
    CHECK_EQ(readv(fd, &one, 1), 0);
    CHECK_ERR(write(fd, &v, 0), EINVAL);
    CHECK_ERR(read(fd, &v, 0), EINVAL);
    CHECK_EQ(result_of(ADD(&r, WRITE, fd, &v, 0, -1, 1)), 0);
    CHECK_EQ(result_of(ADD(&r, WRITEV, fd, &one, 0, -1, 1)), 0);
    CHECK_EQ(result_of(ADD(&r, READ, fd, &v, 0, -1, 1)), -EINVAL);
    OK(close(fd));
    ring_exit(&r);
}

// FUTEX2_NUMA has the node in the word behind; FUTEX2_MPOL alone changes nothing.
TEST(futex_nodes)
{
    enum { U32 = 2, NUMA = 4, MPOL = 8 };
    _Alignas(16) uint32_t words[4] = {1, -1, 1, -1};
    struct futex_waitv two[2] = {{9, (uintptr_t)words, U32 | NUMA, 0}, {1, (uintptr_t)(words + 2), U32 | NUMA, 0}};
    ring_init(&r, 8, 0);
    for (int flags = 0; flags < 16; flags++) {
        bool known = (flags & 3) == U32;
        words[1] = -1;
        sqe_t *s = prep(ring_sqe(&r), 51, flags, words, 0, 5, 1);
        s->addr3 = ~0u;
        CHECK_EQ(result_of(s), known ? -EAGAIN : -EINVAL);
        CHECK_EQ(words[1], known && (flags & NUMA) ? 0 : -1u);
        words[1] = 7;
        s = prep(ring_sqe(&r), 52, flags, words, 0, 1, 1);
        s->addr3 = ~0u;
        CHECK_EQ(result_of(s), known && !(flags & NUMA) ? 0 : -EINVAL);
    }
    CHECK_ERR(syscall(454, words + 1, ~0u, 1, U32 | NUMA), EINVAL);
    words[1] = -1;
    CHECK_EQ(syscall(454, words, ~0u, 0, U32 | NUMA | MPOL), 0);
    CHECK_EQ(words[1], 0);
    words[3] = 7;
    CHECK_ERR(syscall(449, two, 2, 0, NULL, 0), EINVAL);
    CHECK_EQ(result_of(prep(ring_sqe(&r), 53, 0, two, 2, 0, 1)), -EINVAL);
    words[3] = 0;
    CHECK_ERR(syscall(449, two, 2, 0, NULL, 0), EAGAIN);
    two[1].flags = U32;
    two[0].val = 1;
    CHECK_ERR(syscall(456, two, 0, 1, 1), EINVAL);
    ring_exit(&r);
}

// A socket that finds no slot is an error that does not break the chain; other errors of SOCKET, and all of OPENAT and PIPE, do.
TEST(socket_without_slot_in_a_chain)
{
    int none[2] = {-1, -1}, fds[2];
    cqe_t c[2];
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, none, 2));
    for (int i = 0; i < 4; i++) {
        sqe_t *s = i < 2 ? ADD(&r, SOCKET, AF_UNIX, NULL, 0, i ? 99 : SOCK_STREAM, 1)
            : i == 2 ? ADD(&r, OPENAT, AT_FDCWD, ".", 0, 0, 1) : prep(ring_sqe(&r), 62, 0, fds, 0, 0, 1);
        s->file_index = 77;
        s->flags = IOSQE_IO_LINK;
        add_nop(&r, 2);
        ring_submit(&r);
        ring_collect(&r, c, 2);
        CHECK_EQ(c[0].res, -EINVAL);
        CHECK_EQ(c[1].res, i == 0 ? 0 : -ECANCELED);
    }
    ring_exit(&r);
}


// A LINK_TIMEOUT that is to be silent stays so when it is taken back, started or not; one that is not is told of although the request
// before it is silent and fails.
TEST(silent_link_timeout)
{
    static struct __kernel_timespec long_time = {100, 0};
    int p[2];
    cqe_t c;
    ring_init(&r, 8, 0);
    OK(pipe(p));
    for (int waits = 0; waits < 2; waits++) {
        sqe_t *s = waits ? ADD(&r, POLL_ADD, p[0], NULL, 0, 0, 1) : add_nop(&r, 1);
        s->poll32_events = waits ? POLLIN : 0;
        s->flags = IOSQE_IO_LINK;
        ADD(&r, LINK_TIMEOUT, -1, &long_time, 1, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
        ring_submit(&r);
        if (waits)
            CHECK_EQ(write(p[1], "x", 1), 1);
        CHECK_EQ(ring_wait(&r).user_data, 1);
        ring_quiet(&r);
    }
    sqe_t *s = ADD(&r, CLOSE, 250, NULL, 0, 0, 1);
    s->flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    ADD(&r, LINK_TIMEOUT, -1, &long_time, 1, 0, 2);
    ring_submit(&r);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, -EBADF);
    c = ring_wait(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK_EQ(c.res, -ECANCELED);
    OK(close(p[0]));
    OK(close(p[1]));
    ring_exit(&r);
}

// Without a child there is still a siginfo_t to fill with zeroes.
TEST(waitid_without_child)
{
    siginfo_t info;
    ring_init(&r, 8, 0);
    for (int way = 0; way < 2; way++)
        for (int bad = 0; bad < 2; bad++) {
            siginfo_t *to = bad ? NOWHERE : &info;
            memset(&info, 0xff, sizeof info);
            int got;
            if (way) {
                sqe_t *s = prep(ring_sqe(&r), 50, 0, NULL, P_ALL, (uintptr_t)to, 1);
                s->file_index = WEXITED;
                got = result_of(s);
            } else {
                got = syscall(SYS_waitid, P_ALL, 0, to, WEXITED, NULL) < 0 ? -errno : 0;
            }
            CHECK_EQ(got, bad ? -EFAULT : -ECHILD);
            CHECK_EQ(info.si_signo, bad ? -1 : 0);
            CHECK_EQ(info.si_pid, bad ? -1 : 0);
        }
    ring_exit(&r);
}

// A stream that is shut says so before it looks for the data; a wake-up of nobody looks at the word all the same.
TEST(nowhere_comes_last)
{
    int s[2];
    ring_init(&r, 8, 0);
    signal(SIGPIPE, SIG_IGN);
    pair_of(SOCK_STREAM, s);
    CHECK_ERR(send(s[0], NOWHERE, 8, 0), EFAULT);
    OK(shutdown(s[0], SHUT_WR));
    CHECK_ERR(send(s[0], NOWHERE, 8, 0), EPIPE);
    CHECK_EQ(result_of(ADD(&r, SEND, s[0], NOWHERE, 8, 0, 1)), -EPIPE);
    drop(s);
    CHECK_ERR(syscall(454, NOWHERE, ~0u, 0, 2), EFAULT);
    sqe_t *q = prep(ring_sqe(&r), 52, 2, NOWHERE, 0, 0, 1);
    q->addr3 = ~0u;
    CHECK_EQ(result_of(q), -EFAULT);
    ring_exit(&r);
}

// A bundle misses its group, other requests only a buffer.
TEST(bundle_without_group)
{
    int s[2];
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(write(s[1], "x", 1), 1);
    for (int bundle = 0; bundle < 2; bundle++) {
        sqe_t *q = ADD(&r, RECV, s[0], NULL, 0, 0, 1);
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 77;
        q->ioprio = bundle ? U_BUNDLE : 0;
        CHECK_EQ(result_of(q), bundle ? -ENOENT : -ENOBUFS);
    }
    drop(s);
    ring_exit(&r);
}
