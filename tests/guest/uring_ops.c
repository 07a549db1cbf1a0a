// The later operations: pipes, extended attributes, truncation, epoll, futexes, children, vectors in registered buffers.
#include "uring.h"
#include <sys/epoll.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { OP_WAITID = 50, OP_FUTEX_WAIT, OP_FUTEX_WAKE, OP_FUTEX_WAITV, OP_FTRUNCATE = 55, OP_EPOLL_WAIT = 59, OP_READV_FIXED, OP_WRITEV_FIXED, OP_PIPE };
#define PRIVATE_U32 (128 | 2)
#define ANY 0xffffffffu

static struct ring r;

static int pipe_op(int fd, void *at, uint32_t slot, uint32_t flags)
{
    sqe_t *s = prep(ring_sqe(&r), OP_PIPE, fd, at, 0, 0, 1);
    s->file_index = slot;
    s->rw_flags = (int)flags;
    return ring_result(&r, 1);
}

// proves: IORING_OP_PIPE
TEST(pipes)
{
    int f[2], none[6] = {-1, -1, -1, -1, -1, -1};
    char b[4];
    ring_init(&r, 8, 0);
    CHECK_EQ(pipe_op(0, f, 0, 0), 0);
    CHECK_EQ(write(f[1], "abc", 3), 3);
    CHECK_EQ(read(f[0], b, 4), 3);
    OK(close(f[0]));
    OK(close(f[1]));
    CHECK_EQ(pipe_op(0, f, 0, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_EQ(fcntl(f[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(f[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    OK(close(f[0]));
    OK(close(f[1]));
    CHECK_EQ(pipe_op(0, f, 0, O_APPEND), -EINVAL);
    CHECK_EQ(pipe_op(1, f, 0, 0), -EINVAL);
    CHECK_EQ(pipe_op(0, (void *)8, 0, 0), -EFAULT);
    CHECK_EQ(pipe_op(0, f, 1, 0), -ENXIO);
    OK(u_register(r.fd, IORING_REGISTER_FILES, none, 6));
    CHECK_EQ(pipe_op(0, f, 1, 0), 0);
    CHECK(f[0] == 0 && f[1] == 1);
    CHECK_EQ(pipe_op(0, f, ~0u, 0), 0);
    CHECK(f[0] == 2 && f[1] == 3);
    CHECK_EQ(pipe_op(0, f, 6, 0), -EINVAL); // no place for the second
    CHECK_EQ(pipe_op(0, f, 1, O_CLOEXEC), -EINVAL);
    CHECK_EQ(pipe_op(0, (void *)8, ~0u, 0), -EFAULT);
    CHECK_EQ(pipe_op(0, f, ~0u, 0), 0);
    CHECK(f[0] == 4 && f[1] == 5);
    CHECK_EQ(pipe_op(0, f, ~0u, 0), -ENFILE);
    ADD(&r, WRITE, 5, "xyz", 3, -1, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), 3);
    ADD(&r, READ, 4, b, 4, -1, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), 3);
    ring_exit(&r);
}

static int xattr(int op, int fd, const char *name, const void *value, uint32_t len, uint32_t flags, const char *path)
{
    sqe_t *s = prep(ring_sqe(&r), op, fd, name, len, (uintptr_t)value, 1);
    s->addr3 = (uintptr_t)path;
    s->xattr_flags = flags;
    return ring_result(&r, 1);
}

// proves: IORING_OP_FSETXATTR, IORING_OP_SETXATTR, IORING_OP_FGETXATTR, IORING_OP_GETXATTR
TEST(extended_attributes)
{
    int fd = mt_file("f", 100);
    char b[100];
    if (fsetxattr(fd, "user.t", "1", 1, 0) < 0)
        SKIP("none here");
    ring_init(&r, 8, 0);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "user.x", "val", 3, 0, NULL), 0);
    CHECK_EQ(fgetxattr(fd, "user.x", b, 100), 3);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.x", b, 100, 0, NULL), 3);
    CHECK_EQ(memcmp(b, "val", 3), 0);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.x", b, 0, 0, NULL), 3);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.x", b, 1, 0, NULL), -ERANGE);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.y", b, 9, 0, NULL), -ENODATA);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.x", b, 9, 1, NULL), -EINVAL);
    CHECK_EQ(xattr(IORING_OP_FGETXATTR, fd, "user.x", (void *)8, 9, 0, NULL), -EFAULT);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "user.x", "val", 3, XATTR_CREATE, NULL), -EEXIST);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "user.x", "val", 3, 4, NULL), -EINVAL);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "", "val", 3, 0, NULL), -ERANGE);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "user.x", "val", 70000, 0, NULL), -E2BIG);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, fd, "user.x", (void *)8, 7, 0, NULL), -EFAULT);
    CHECK_EQ(xattr(IORING_OP_FSETXATTR, 250, "user.x", "v", 1, 0, NULL), -EBADF);
    CHECK_EQ(xattr(IORING_OP_SETXATTR, 250, "user.p", "v", 1, 0, "f"), 0);
    CHECK_EQ(xattr(IORING_OP_GETXATTR, 0, "user.p", b, 10, 0, "f"), 1);
    CHECK_EQ(xattr(IORING_OP_GETXATTR, 0, "user.p", b, 10, 0, "none"), -ENOENT);
    CHECK_EQ(xattr(IORING_OP_GETXATTR, 0, "user.p", b, 10, 0, (void *)8), -EFAULT);
    CHECK_EQ(xattr(IORING_OP_GETXATTR, 0, "user.p", b, 10, 0, ""), -ENOENT);
    CHECK_EQ(xattr(IORING_OP_GETXATTR, 0, (void *)8, b, 10, 0, "f"), -EFAULT);
    sqe_t *s = prep(ring_sqe(&r), IORING_OP_GETXATTR, 0, "user.p", 10, (uintptr_t)b, 1);
    s->addr3 = (uintptr_t)"f";
    s->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_OP_FTRUNCATE
TEST(truncation)
{
    int fd = mt_file("f", 100), ro = OK(open("f", O_RDONLY)), p[2];
    struct stat st;
    OK(pipe(p));
    ring_init(&r, 8, 0);
#define TRUNCATE(fd, to) (prep(ring_sqe(&r), OP_FTRUNCATE, fd, NULL, 0, to, 1), ring_result(&r, 1))
    CHECK_EQ(TRUNCATE(fd, 50), 0);
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 50);
    CHECK_EQ(TRUNCATE(fd, 5000), 0);
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 5000);
    CHECK_EQ(TRUNCATE(fd, -1ull), -EINVAL);
    CHECK_EQ(TRUNCATE(p[1], 5), -EINVAL);
    CHECK_EQ(TRUNCATE(ro, 5), -EINVAL);
    CHECK_EQ(TRUNCATE(250, 5), -EBADF);
    prep(ring_sqe(&r), OP_FTRUNCATE, fd, NULL, 1, 5, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
    OK(close(fd));
    OK(close(ro));
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_OP_EPOLL_WAIT
TEST(waiting_on_epoll)
{
    int ep = OK(epoll_create1(0)), p[2], q[2], fd = mt_file("f", 10);
    struct epoll_event ev = {EPOLLIN, {.u64 = 5}}, out[4];
    OK(pipe(p));
    OK(pipe(q));
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
    ev.data.u64 = 6;
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, q[0], &ev));
    ring_init(&r, 8, 0);
#define EPOLL(fd, n, at, off) prep(ring_sqe(&r), OP_EPOLL_WAIT, fd, at, (uint32_t)(n), off, 1)
    EPOLL(ep, 4, out, 0);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 1);
    CHECK_EQ(out[0].data.u64, 5);
    CHECK_EQ(out[0].events, EPOLLIN);
    CHECK_EQ(write(q[1], "x", 1), 1);
    EPOLL(ep, 4, out, 0);
    CHECK_EQ(ring_result(&r, 1), 2);
    EPOLL(ep, 1, out, 0);
    CHECK_EQ(ring_result(&r, 1), 1);
    EPOLL(ep, 0, out, 0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    EPOLL(ep, -1, out, 0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    EPOLL(ep, 4, (void *)8, 0);
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    EPOLL(p[0], 4, out, 0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    EPOLL(fd, 4, out, 0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    EPOLL(ep, 4, out, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    EPOLL(250, 4, out, 0);
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    OK(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    OK(epoll_ctl(ep, EPOLL_CTL_DEL, q[0], NULL));
    EPOLL(ep, 4, out, 0);
    ring_submit(&r);
    ring_quiet(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t both[2];
    ring_collect(&r, both, 2);
    CHECK_EQ(both[0].res, -ECANCELED);
    CHECK_EQ(both[1].res, 0);
    ring_exit(&r);
    OK(close(ep));
    OK(close(fd));
    for (int i = 0; i < 2; i++) {
        OK(close(p[i]));
        OK(close(q[i]));
    }
}

static sqe_t *futex(int op, uint32_t *at, uint64_t value, uint64_t mask, int flags, uint64_t data)
{
    sqe_t *s = prep(ring_sqe(&r), op, flags, at, 0, value, data);
    s->addr3 = mask;
    return s;
}

static int futex_call(uint32_t *at, int op, int n) { return (int)syscall(SYS_futex, at, op | 128, n, NULL, NULL, 0); }

// proves: IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAKE
TEST(futexes)
{
    static uint32_t word, other;
    word = 5;
    ring_init(&r, 8, 0);
    futex(OP_FUTEX_WAIT, &word, 4, ANY, PRIVATE_U32, 1);
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    futex(OP_FUTEX_WAIT, &word, 5, ANY, PRIVATE_U32, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(futex_call(&word, 1, 1), 1);
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(futex_call(&word, 1, 1), 0);
    for (int i = 1; i <= 3; i++)
        futex(OP_FUTEX_WAIT, &word, 5, 1u << i, PRIVATE_U32, i);
    ring_submit(&r);
    futex(OP_FUTEX_WAKE, &word, 10, 1u << 2, PRIVATE_U32, 9);
    ring_submit(&r);
    cqe_t a = ring_wait(&r), b = ring_wait(&r);
    if (a.user_data != 9) {
        cqe_t t = a;
        a = b;
        b = t;
    }
    CHECK_EQ(a.res, 1);
    CHECK_EQ(b.user_data, 2);
    futex(OP_FUTEX_WAKE, &word, 10, ANY, PRIVATE_U32, 9);
    ring_submit(&r);
    for (int i = 0; i < 3; i++)
        CHECK_EQ((a = ring_wait(&r)).res, a.user_data == 9 ? 2 : 0);
    futex(OP_FUTEX_WAKE, &word, 1, ANY, PRIVATE_U32, 9);
    CHECK_EQ(ring_result(&r, 9), 0);
    futex(OP_FUTEX_WAIT, &word, 5, ANY, PRIVATE_U32, 1);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t both[2];
    ring_collect(&r, both, 2);
    CHECK_EQ(both[0].res, -ECANCELED);
    CHECK_EQ(both[1].res, 1); // how many
    CHECK_EQ(futex_call(&word, 1, 1), 0);
#define BAD(e, ...) do { __VA_ARGS__; CHECK_EQ(ring_result(&r, 1), e); } while (0)
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, &word, 5, 0, PRIVATE_U32, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAKE, &word, 5, 0, PRIVATE_U32, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, &word, 5, ANY, 128, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, &word, 1ull << 32, ANY, PRIVATE_U32, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, &word, 5, 1ull << 32, PRIVATE_U32, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, (uint32_t *)((char *)&word + 1), 5, ANY, PRIVATE_U32, 1));
    BAD(-EFAULT, futex(OP_FUTEX_WAIT, (uint32_t *)8, 5, ANY, PRIVATE_U32, 1));
    BAD(-EINVAL, futex(OP_FUTEX_WAIT, &word, 5, ANY, PRIVATE_U32, 1)->len = 1);
    BAD(-EINVAL, futex(OP_FUTEX_WAKE, &word, 5, ANY, PRIVATE_U32, 1)->rw_flags = 1);
    BAD(0, futex(OP_FUTEX_WAKE, &other, 0, ANY, PRIVATE_U32, 1));
    futex(OP_FUTEX_WAIT, &word, 5, ANY, PRIVATE_U32, 1); // closed with it
    ring_submit(&r);
    ring_drop(&r);
}

struct waitv {
    uint64_t val, addr;
    uint32_t flags, resv;
};

// proves: IORING_OP_FUTEX_WAITV
TEST(several_futexes)
{
    static uint32_t word[4] = {1, 2, 3, 4};
    struct waitv w[4];
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++)
        w[i] = (struct waitv){i + 1, (uintptr_t)&word[i], PRIVATE_U32, 0};
#define WAITV(n) prep(ring_sqe(&r), OP_FUTEX_WAITV, 0, w, n, 0, 1)
    for (int i = 0; i < 4; i++) {
        WAITV(4);
        ring_submit(&r);
        ring_quiet(&r);
        CHECK_EQ(futex_call(&word[i], 1, 1), 1);
        CHECK_EQ(ring_wait(&r).res, i);
        CHECK_EQ(futex_call(&word[(i + 1) % 4], 1, 1), 0);
    }
    // One word several times: the first that is woken counts, though all are.
    for (int i = 0; i < 4; i++)
        w[i] = (struct waitv){word[i % 2], (uintptr_t)&word[i % 2], PRIVATE_U32, 0};
    WAITV(4);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(futex_call(&word[1], 1, 5), 2);
    CHECK_EQ(ring_wait(&r).res, 1);
    for (int i = 0; i < 4; i++)
        w[i] = (struct waitv){i + 1, (uintptr_t)&word[i], PRIVATE_U32, 0};
    w[2].val = 7;
    WAITV(4);
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    CHECK_EQ(futex_call(&word[0], 1, 1), 0);
    w[2].val = 3;
    w[3].flags = 128;
    WAITV(4);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    WAITV(0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    WAITV(129);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    WAITV(2)->off = 1;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    WAITV(2)->addr = 8;
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    WAITV(3);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t both[2];
    ring_collect(&r, both, 2);
    CHECK_EQ(both[0].res, -ECANCELED);
    ring_exit(&r);
}

static uint32_t shared_word;

static void *wakes(void *p)
{
    for (int i = 0; i < 2000; i++)
        futex_call(&shared_word, 1, 1);
    return p;
}

TEST(waits_cancelled_while_woken)
{
    pthread_t t;
    ring_init(&r, 8, 0);
    OK(-pthread_create(&t, NULL, wakes, NULL));
    for (int i = 0; i < 1000; i++) {
        futex(OP_FUTEX_WAIT, &shared_word, 0, ANY, PRIVATE_U32, 1);
        add_cancel(&r, 1, 0, 2);
        ring_submit(&r);
        cqe_t both[2];
        ring_collect(&r, both, 2);
        CHECK(both[0].res == 0 || both[0].res == -ECANCELED);
    }
    OK(-pthread_join(t, NULL));
    ring_exit(&r);
}

static pid_t child(int status)
{
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(status);
    return pid;
}

static sqe_t *wait_child(int type, int id, siginfo_t *si, uint32_t options)
{
    sqe_t *s = prep(ring_sqe(&r), OP_WAITID, id, NULL, (uint32_t)type, (uintptr_t)si, 1);
    s->file_index = options;
    return s;
}

// proves: IORING_OP_WAITID
TEST(children)
{
    siginfo_t si;
    memset(&si, 0, sizeof si);
    ring_init(&r, 8, 0);
    wait_child(P_ALL, 0, &si, WEXITED);
    CHECK_EQ(ring_result(&r, 1), -ECHILD);
    pid_t pid = child(7);
    wait_child(P_PID, pid, &si, WEXITED);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(si.si_signo, SIGCHLD);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_code, CLD_EXITED);
    CHECK_EQ(si.si_status, 7);
    int p[2];
    OK(pipe(p));
    pid = OK(fork());
    if (pid == 0) {
        char b;
        close(p[1]);
        _exit(read(p[0], &b, 1) == 0 ? 3 : 4);
    }
    wait_child(P_PID, pid, &si, WEXITED | WNOHANG);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(si.si_pid, 0);
    wait_child(P_PID, pid, &si, WEXITED);
    ring_submit(&r);
    ring_quiet(&r);
    OK(close(p[1]));
    CHECK_EQ(ring_wait(&r).res, 0);
    CHECK_EQ(si.si_status, 3);
    pid = child(1);
    wait_child(P_ALL, 0, NULL, WEXITED | WNOWAIT);
    CHECK_EQ(ring_result(&r, 1), 0);
    int st;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    pid = OK(fork());
    if (pid == 0) {
        alarm(20);
        for (;;)
            pause();
    }
    wait_child(P_PID, pid, &si, WEXITED);
    ring_submit(&r);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t both[2];
    ring_collect(&r, both, 2);
    CHECK_EQ(both[0].res, -ECANCELED);
    CHECK_EQ(both[1].res, 1);
    OK(kill(pid, SIGKILL));
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    wait_child(P_PID, pid, &si, 0);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    wait_child(9, pid, &si, WEXITED);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    wait_child(P_ALL, 0, &si, WEXITED)->addr = 1;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
    OK(close(p[0]));
}

// proves: IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED
TEST(vectors_in_registered_buffers)
{
    static char area[8192] __attribute__((aligned(4096)));
    int fd = mt_file("f", 1000);
    struct iovec whole = {area, 8192}, v[3] = {{area + 10, 100}, {area + 4090, 50}, {area + 8000, 192}};
    ring_init(&r, 8, 0);
    prep(ring_sqe(&r), OP_READV_FIXED, fd, v, 3, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &whole, 1));
    prep(ring_sqe(&r), OP_READV_FIXED, fd, v, 3, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 342);
    CHECK_EQ(mt_differs(area + 10, 100, 0), -1);
    CHECK_EQ(mt_differs(area + 4090, 50, 100), -1);
    CHECK_EQ(mt_differs(area + 8000, 192, 150), -1);
    prep(ring_sqe(&r), OP_WRITEV_FIXED, fd, v, 2, 2000, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), 150);
    char b[150];
    CHECK_EQ(pread(fd, b, 150, 2000), 150);
    CHECK_EQ(mt_differs(b, 150, 0), -1);
    v[2].iov_len = 193;
    prep(ring_sqe(&r), OP_READV_FIXED, fd, v, 3, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    prep(ring_sqe(&r), OP_READV_FIXED, fd, v, 3, 0, 1)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    prep(ring_sqe(&r), OP_READV_FIXED, fd, v, 1, 0, 1)->flags = IOSQE_BUFFER_SELECT;
    CHECK_EQ(ring_result(&r, 1), -EOPNOTSUPP);
    ring_exit(&r);
    OK(close(fd));
}
