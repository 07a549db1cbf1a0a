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

// The first operation's request completes on a worker; what is linked behind it goes on there, where RWF_NOWAIT is forgotten, a buffer of a
// ring is used up even by an error, and no signal is raised. With DEFER_TASKRUN the task goes on.
TEST(chain_on_a_worker)
{
    static char pool[256], some[16];
    int p[2], s[2], file = mt_file("f", 100);
    struct pbuf_ring bufs = {0};
    cqe_t c[2];
    signal(SIGPIPE, SIG_DFL);
    for (int defer = 0; defer < 2; defer++) {
        ring_init(&r, 8, defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0);
        pbuf_init(&r, &bufs, 4, 3);
        for (int i = 0; i < 4; i++)
            pbuf_add(&bufs, pool + i * 64, 64, i);
        OK(pipe(p));
        pair_of(SOCK_STREAM, s);
        for (int what = 0; what < 3; what++) {
            if (what == 2 && defer) // raises SIGPIPE
                continue;
            ADD(&r, FSYNC, file, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK;
            sqe_t *q = ring_sqe(&r);
            if (what == 0) {
                prep(q, IORING_OP_READ, p[0], some, 1, -1, 2)->rw_flags = RWF_NOWAIT;
            } else if (what == 1) {
                prep(q, IORING_OP_RECV, s[0], NULL, 0, 0, 2)->msg_flags = MSG_DONTWAIT;
                q->flags = IOSQE_BUFFER_SELECT;
                q->buf_group = 3;
            } else {
                drop(p);
                OK(pipe(p));
                OK(close(p[0]));
                p[0] = -1;
                prep(q, IORING_OP_WRITE, p[1], some, 1, -1, 2);
            }
            ring_submit(&r);
            if (what == 0 && !defer) {
                mt_sleep_us(2000);
                CHECK_EQ(write(p[1], "x", 1), 1);
            }
            ring_collect(&r, c, 2);
            CHECK_EQ(c[0].res, 0);
            CHECK_EQ(c[1].res, what == 0 ? (defer ? -EAGAIN : 1) : what == 1 ? -EAGAIN : -EPIPE);
            CHECK_EQ(c[1].flags, what == 1 && !defer ? IORING_CQE_F_BUFFER : 0);
        }
        if (p[0] >= 0)
            OK(close(p[0]));
        OK(close(p[1]));
        drop(s);
        OK(munmap(bufs.e, bufs.size));
        ring_exit(&r);
    }
    OK(close(file));
}

// What waited for a drain, and the drain itself, are a worker's.
TEST(behind_a_drain_on_a_worker)
{
    static char pool[256], some[16];
    int p[2], s[2], file = mt_file("f", 100);
    struct pbuf_ring bufs = {0};
    cqe_t c[2];
    for (int defer = 0; defer < 2; defer++) {
        ring_init(&r, 8, defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0);
        pbuf_init(&r, &bufs, 4, 3);
        pbuf_add(&bufs, pool, 64, 0);
        pbuf_add(&bufs, pool + 64, 64, 1);
        OK(pipe(p));
        pair_of(SOCK_STREAM, s);
        for (int what = 0; what < 3; what++) {
            add_nop(&r, 1)->flags = IOSQE_IO_DRAIN;
            sqe_t *q = ring_sqe(&r);
            if (what == 0) {
                prep(q, IORING_OP_RECV, s[0], NULL, 0, 0, 2)->msg_flags = MSG_DONTWAIT;
                q->flags = IOSQE_BUFFER_SELECT;
                q->buf_group = 3;
            } else {
                prep(q, what == 1 ? IORING_OP_WRITE : IORING_OP_READ, what == 1 ? file : p[0], some, 10, what == 1 ? 0 : -1, 2)->rw_flags = RWF_NOWAIT;
            }
            ring_submit(&r);
            ring_collect(&r, c, 2);
            CHECK_EQ(c[0].res, 0);
            CHECK_EQ(c[1].res, what == 1 ? 10 : -EAGAIN);
            CHECK_EQ(c[1].flags, what == 0 ? IORING_CQE_F_BUFFER : 0);
        }
        drop(p);
        drop(s);
        OK(munmap(bufs.e, bufs.size));
        ring_exit(&r);
    }
    OK(close(file));
}

// A negative length anywhere in an array of struct iovec outranks a range that cannot be; of the only one, just as much counts as one
// call moves. What is too short for a counter says so before it finds no memory.
TEST(vectors_that_cannot_be)
{
    static char some[16];
    struct iovec v[3] = {{some, 1}, {(void *)-4096l, 1}, {some, -1}}, far[2] = {{some, 1ul << 47}, {some, 1}};
    int s[2], e = OK(eventfd(5, EFD_NONBLOCK)), file = mt_file("f", 4);
    uint64_t count;
    ring_init(&r, 8, 0);
    pair_of(SOCK_STREAM, s);
    struct msghdr m = {.msg_iov = v};
    for (int n = 2; n < 4; n++) {
        int want = n == 3 ? EINVAL : EFAULT;
        m.msg_iovlen = (size_t)n;
        CHECK_ERR(writev(s[0], v, n), want);
        CHECK_ERR(sendmsg(s[0], &m, 0), want);
        CHECK_EQ(result_of(ADD(&r, WRITEV, s[0], v, n, 0, 1)), -want);
        CHECK_EQ(result_of(ADD(&r, SENDMSG, s[0], &m, 1, 0, 1)), -want);
    }
    CHECK(lseek(file, 0, SEEK_END) == 4 && readv(file, far, 1) == 0);
    CHECK_ERR(preadv(file, far, 2, 0), EFAULT);
    CHECK_EQ(result_of(ADD(&r, READV, file, far, 2, 0, 1)), -EFAULT);
    CHECK_EQ(result_of(ADD(&r, READ, e, NOWHERE, 3, -1, 1)), -EINVAL);
    CHECK_EQ(read(e, &count, 8), 8);
    drop(s);
    OK(close(e));
    OK(close(file));
    ring_exit(&r);
}

// The data of a message come before who receives it, and the sender's own state before the data. Nothing of a message is sent, and of a
// stream no piece, that is not all readable.
TEST(message_before_receiver)
{
    static char big[400000];
    struct sockaddr_un nobody = {AF_UNIX, "nobody"};
    struct iovec parts[3] = {{big, 10}, {NOWHERE, 5}, {big, 3}};
    int s[2];
    signal(SIGPIPE, SIG_IGN);
    int d = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    for (int named = 0; named < 2; named++) {
        void *to = named ? &nobody : NULL;
        socklen_t size = named ? sizeof nobody : 0;
        CHECK_ERR(sendto(d, big, 1, 0, to, size), named ? ENOENT : ENOTCONN);
        CHECK_ERR(sendto(d, NOWHERE, 1, 0, to, size), EFAULT);
        CHECK_ERR(sendto(d, big, sizeof big, 0, to, size), EMSGSIZE);
    }
    OK(shutdown(d, SHUT_WR));
    CHECK_ERR(send(d, NOWHERE, 1, 0), EPIPE);
    CHECK_ERR(send(d, big, sizeof big, 0), EMSGSIZE);
    OK(close(d));
    ring_init(&r, 8, 0);
    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        pair_of(type, s);
        CHECK_ERR(writev(s[0], parts, 3), EFAULT);
        CHECK_EQ(result_of(ADD(&r, WRITEV, s[0], parts, 3, 0, 1)), -EFAULT);
        CHECK_ERR(recv(s[1], big, 20, MSG_DONTWAIT), EAGAIN);
        drop(s);
    }
    OK(pipe(s));
    CHECK_ERR(writev(s[1], parts, 3), EFAULT);
    CHECK_EQ(result_of(ADD(&r, WRITEV, s[1], parts, 3, -1, 1)), -EFAULT);
    drop(s);
    ring_exit(&r);
}

// A ring that is closed tells its eventfd of what was cancelled.
TEST(a_closed_ring_tells_its_eventfd)
{
    int event = OK(eventfd(0, 0));
    uint64_t count = 0;
    struct __kernel_timespec ts = {1000, 0};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD, &event, 1));
    add_timeout(&r, &ts, 0, 0, 1);
    ring_submit(&r);
    ring_drop(&r);
    CHECK_EQ(read(event, &count, 8), 8);
    CHECK(count > 0);
    OK(close(event));
}

// Parts in a registered buffer may not be empty, whatever the socket.
TEST(sendmsg_zc_of_empty_parts)
{
    static char area[4096];
    int s[2];
    struct iovec fixed = {area, sizeof area}, parts[2] = {{area, 8}, {area, 0}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    tcp_pair(s);
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &fixed, 1));
    for (int i = 0; i < 3; i++) {
        parts[1].iov_len = i == 2 ? 1ul << 40 : (size_t)i;
        prep(ring_sqe(&r), U_OP_SENDMSG_ZC, s[0], &m, 1, 0, 1)->ioprio = U_FIXED_BUF;
        ring_submit(&r);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, i == 0 ? -EFAULT : i == 1 ? 9 : -ENOMEM);
        CHECK_EQ(c.flags, IORING_CQE_F_MORE);
        CHECK_EQ(ring_wait(&r).flags, U_CQE_NOTIF);
    }
    ring_exit(&r);
    drop(s);
}

// RECV and ACCEPT that poll first look later whether it is a socket.
TEST(polled_before_it_is_no_socket)
{
    int event = OK(eventfd(0, EFD_NONBLOCK));
    char byte;
    ring_init(&r, 8, 0);
    for (int i = 0; i < 2; i++) {
        sqe_t *s = i ? ADD(&r, ACCEPT, event, NULL, 0, 0, 1) : ADD(&r, RECV, event, &byte, 1, 0, 1);
        s->ioprio = i ? U_ACCEPT_POLL_FIRST : U_POLL_FIRST;
        ring_submit(&r);
        ring_quiet(&r);
        OK(eventfd_write(event, 1));
        CHECK_EQ(ring_wait(&r).res, -ENOTSOCK);
        eventfd_t got;
        OK(eventfd_read(event, &got));
    }
    ADD(&r, SEND, event, &byte, 1, 0, 1)->ioprio = U_POLL_FIRST;
    CHECK_EQ(ring_result(&r, 1), -ENOTSOCK);
    ring_exit(&r);
    OK(close(event));
}

// A LINK_TIMEOUT tells how many it has cancelled when that is counted: 1 of a futex.
TEST(a_link_timeout_of_a_futex)
{
    static uint32_t word;
    struct __kernel_timespec ts = {0, 1000000};
    cqe_t c[2];
    ring_init(&r, 8, 0);
    sqe_t *s = prep(ring_sqe(&r), 51, FUTEX_32, &word, 0, 0, 1);
    s->addr3 = ~0u;
    s->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 2);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, 1);
    ring_exit(&r);
}

static uint32_t chained_word;
static int chained_pipe[2];

static void *submits_a_chain(void *arg)
{
    static const struct __kernel_timespec ts = {1000, 0};
    add_timeout(&r, &ts, 0, 0, 1)->flags = IOSQE_IO_HARDLINK;
    ADD(&r, READ, chained_pipe[0], arg, 1, -1, 2)->flags = IOSQE_IO_LINK;
    prep(ring_sqe(&r), 52, FUTEX_32, &chained_word, 0, 1, 3)->addr3 = ~0u;
    add_timeout(&r, &ts, 0, 0, 4);
    ring_submit(&r);
    return NULL;
}

// What needs the task's memory does not outlive it, nor the chain that it is in; what else waits does.
TEST(a_chain_with_a_futex_ends_with_its_thread)
{
    static char byte;
    cqe_t c[3];
    OK(pipe(chained_pipe));
    ring_init(&r, 8, 0);
    OK0(pthread_join(mt_thread(submits_a_chain, &byte), NULL));
    ring_collect(&r, c, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(c[i].res, -ECANCELED);
    ring_quiet(&r);
    ring_drop(&r);
    drop(chained_pipe);
}

// Of provided buffers that differ in size the first one that was picked says how much a READ or RECV that waits gets later.
TEST(what_waits_asks_for_what_it_had_picked)
{
    static char pool[256];
    struct pbuf_ring b;
    int s[2];
    for (int i = 0; i < 2; i++) {
        if (i)
            pair_of(SOCK_STREAM, s);
        else
            OK(pipe(s));
        ring_init(&r, 8, 0);
        pbuf_init(&r, &b, 8, 3);
        pbuf_add(&b, pool, 10, 0);
        pbuf_add(&b, pool + 100, 100, 1);
        sqe_t *q = i ? ADD(&r, RECV, s[0], NULL, 0, 0, 1) : ADD(&r, READ, s[0], NULL, 0, -1, 1);
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 3;
        ring_submit(&r);
        int other[2];
        OK(pipe(other)); // somebody else takes the small one
        CHECK_EQ(write(other[1], pool, 5), 5);
        q = ADD(&r, READ, other[0], NULL, 0, -1, 2);
        q->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = 3;
        CHECK_EQ(ring_result(&r, 2), 5);
        CHECK_EQ(write(s[1], pool, 50), 50);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.res, 10);
        CHECK_EQ(c.flags >> 16, 1);
        ring_exit(&r);
        OK(munmap(b.e, b.size));
        drop(s);
        drop(other);
    }
}

// The length of a multishot RECVMSG is its first message's.
TEST(later_messages_get_whole_buffers)
{
    static char pool[256];
    struct pbuf_ring b;
    struct iovec part = {NULL, 40};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    int s[2];
    pair_of(SOCK_STREAM, s);
    ring_init(&r, 8, 0);
    pbuf_init(&r, &b, 8, 3);
    pbuf_add(&b, pool, 100, 0);
    pbuf_add(&b, pool + 100, 100, 1);
    sqe_t *q = ADD(&r, RECVMSG, s[0], &m, 1, 0, 1);
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 3;
    q->ioprio = U_RECV_MULTISHOT;
    CHECK_EQ(write(s[1], pool, 80), 80);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).res, 40);
    CHECK_EQ(ring_wait(&r).res, 80 - (40 - 16) + 16);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    OK(munmap(b.e, b.size));
    drop(s);
}

// The end of a file is no failure of a silent READ_MULTISHOT.
TEST(a_silent_multishot_read_ends)
{
    static char pool[64];
    struct pbuf_ring b;
    int p[2];
    OK(pipe(p));
    OK(close(p[1]));
    ring_init(&r, 8, 0);
    pbuf_init(&r, &b, 8, 3);
    pbuf_add(&b, pool, 64, 0);
    sqe_t *q = prep(ring_sqe(&r), U_OP_READ_MULTISHOT, p[0], NULL, 0, -1, 1);
    q->flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    q->buf_group = 3;
    ring_submit(&r);
    ring_quiet(&r);
    ring_exit(&r);
    OK(munmap(b.e, b.size));
    OK(close(p[0]));
}

// A timeout counts what multishots post, and begins in a chain behind what was submitted with it.
TEST(timeouts_count_what_multishots_post)
{
    struct __kernel_timespec ts = {1000, 0};
    int event = OK(eventfd(0, EFD_NONBLOCK));
    ring_init(&r, 8, 0);
    add_poll(&r, event, POLLIN | 1u << 31, 2)->len = 1;
    ring_submit(&r);
    add_nop(&r, 3)->flags = IOSQE_IO_LINK;
    add_timeout(&r, &ts, 2, 0, 1);
    add_nop(&r, 4);
    ring_submit(&r);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    CHECK_EQ(ring_wait(&r).user_data, 4);
    ring_quiet(&r);
    OK(eventfd_write(event, 1));
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_quiet(&r);
    OK(eventfd_write(event, 1));
    CHECK_EQ(ring_wait(&r).user_data, 2);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, 0);
    add_cancel(&r, 2, 0, 5);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    OK(close(event));
}

// Of equals the newest is cancelled first; a multishot that has gone on is as old as it was.
TEST(a_multishot_keeps_its_place)
{
    static char pool[64], byte;
    struct pbuf_ring b;
    int s[2], p[2];
    pair_of(SOCK_STREAM, s);
    OK(pipe(p));
    ring_init(&r, 8, 0);
    pbuf_init(&r, &b, 8, 3);
    for (int i = 0; i < 4; i++)
        pbuf_add(&b, pool + 16 * i, 16, i);
    sqe_t *q = ADD(&r, RECV, s[0], NULL, 0, 0, 7);
    q->flags = IOSQE_BUFFER_SELECT;
    q->buf_group = 3;
    q->ioprio = U_RECV_MULTISHOT;
    ADD(&r, READ, p[0], &byte, 1, -1, 7);
    ring_submit(&r);
    CHECK_EQ(write(s[1], pool, 3), 3);
    CHECK_EQ(ring_wait(&r).res, 3);
    add_cancel(&r, 7, 0, 8);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    CHECK_EQ(write(s[1], pool, 3), 3);
    CHECK_EQ(ring_wait(&r).res, 3);
    add_cancel(&r, 7, 0, 8);
    ring_submit(&r);
    ring_wait(&r);
    ring_wait(&r);
    ring_exit(&r);
    OK(munmap(b.e, b.size));
    drop(s);
    drop(p);
}

// Files that know no arrays move each part by itself, until one is not whole.
TEST(parts_of_what_knows_no_arrays)
{
    uint64_t v[2] = {1, 2}, got;
    struct { struct iovec part[2]; int count; } cases[] = {
        {{{v, 8}, {v + 1, 8}}, 16}, {{{v, 4}, {(char *)v + 4, 4}}, -EINVAL}, {{{v, 8}, {v, 4}}, 8},
    };
    ring_init(&r, 8, 0);
    for (int way = 0; way < 2; way++) {
        int fd = OK(eventfd(0, EFD_NONBLOCK));
        for (size_t i = 0; i < 3; i++) {
            long n = way ? result_of(ADD(&r, WRITEV, fd, cases[i].part, 2, -1, 1)) : writev(fd, cases[i].part, 2) < 0 ? -errno : -1;
            if (n != -1) // a system call that succeeds tells by the count
                CHECK_EQ(n, cases[i].count);
            CHECK_EQ(read(fd, &got, 8), cases[i].count < 0 ? -1 : 8);
            if (cases[i].count > 0)
                CHECK_EQ(got, cases[i].count == 16 ? 3 : 1);
        }
        OK(close(fd));
        char buf[600], name[20];
        struct iovec small[2] = {{buf, 8}, {buf + 8, 500}}, large[2] = {{buf, 300}, {buf + 300, 300}};
        fd = OK(inotify_init1(IN_NONBLOCK));
        OK(inotify_add_watch(fd, ".", IN_CREATE));
        snprintf(name, sizeof name, "f%d", way);
        OK(close(OK(open(name, O_CREAT | O_RDWR, 0600))));
        CHECK_EQ(way ? result_of(ADD(&r, READV, fd, small, 2, -1, 1)) : readv(fd, small, 2) < 0 ? -errno : 0, -EINVAL);
        CHECK_EQ(way ? result_of(ADD(&r, READV, fd, large, 2, -1, 1)) : readv(fd, large, 2), 32);
        OK(close(fd));
    }
    int comm = OK(open("/proc/self/comm", O_RDWR));
    struct iovec names[2] = {{(void *)"aa", 2}, {(void *)"bb", 2}};
    char name[20];
    CHECK_EQ(writev(comm, names, 2), 4);
    CHECK_EQ(lseek(comm, 0, SEEK_CUR), 0);
    CHECK_EQ(read(comm, name, 20), 3);
    CHECK(memcmp(name, "bb\n", 3) == 0);
    OK(close(comm));
    ring_exit(&r);
}

// What is a file, but of no disk, has nothing to write back and no room to give.
TEST(ranges_of_files_without_a_disk)
{
    const int fds[] = {OK(open("/proc/self/comm", O_RDWR)), OK((int)syscall(SYS_pidfd_open, getpid(), 0)), OK(open("/proc/self/mem", O_RDWR))};
    ring_init(&r, 8, 0);
    for (size_t i = 0; i < countof(fds); i++) {
        OK(sync_file_range(fds[i], 0, 10, 0));
        CHECK_EQ(result_of(ADD(&r, SYNC_FILE_RANGE, fds[i], NULL, 10, 0, 1)), 0);
        CHECK_ERR(fallocate(fds[i], 0, 0, 10), EOPNOTSUPP);
        CHECK_EQ(result_of(ADD(&r, FALLOCATE, fds[i], (void *)10, 0, 0, 1)), -EOPNOTSUPP);
        OK(close(fds[i]));
    }
    ring_exit(&r);
}

TEST(reading_ahead_of_generated_files)
{
    int fd = OK(open("/proc/self/status", O_RDONLY));
    OK(readahead(fd, 0, 100));
    OK(close(fd));
    fd = OK(open("/proc/self/mem", O_RDWR));
    OK(readahead(fd, 0, 100));
    OK(ftruncate(fd, 100));
    OK(close(fd));
}
