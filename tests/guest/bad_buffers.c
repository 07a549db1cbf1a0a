// Memory that is not there: who reads or writes finds out when it is touched, and not before.
#include "uring.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static struct ring r;
static char *bad; // no memory, but an address that could have some

static int one(int op, int fd, const void *p, uint32_t n)
{
    prep(ring_sqe(&r), op, fd, p, n, ~0ull, 1);
    return ring_result(&r, 1);
}

static void begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    ring_init(&r, 8, 0);
    bad = OK(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void end(void)
{
    ring_exit(&r);
    OK(munmap(bad, 4096));
}

static void both_read(int fd, int result)
{
    struct iovec v = {bad, 10};
    if (result < 0) {
        CHECK_ERR(read(fd, bad, 10), -result);
        CHECK_ERR(readv(fd, &v, 1), -result);
    } else {
        CHECK_EQ(read(fd, bad, 10), result);
        CHECK_EQ(readv(fd, &v, 1), result);
    }
    CHECK_EQ(one(IORING_OP_READ, fd, bad, 10), result);
}

static void both_write(int fd, int result)
{
    struct iovec v = {bad, 10};
    if (result < 0) {
        CHECK_ERR(write(fd, bad, 10), -result);
        CHECK_ERR(writev(fd, &v, 1), -result);
    } else {
        CHECK_EQ(write(fd, bad, 10), result);
        CHECK_EQ(writev(fd, &v, 1), result);
    }
    CHECK_EQ(one(IORING_OP_WRITE, fd, bad, 10), result);
}

TEST(an_end_needs_none)
{
    begin();
    int p[2];
    OK(pipe(p));
    OK(close(p[1]));
    both_read(p[0], 0);
    OK(close(p[0]));
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (unsigned i = 0; i < countof(types); i++) {
        OK(socketpair(AF_UNIX, types[i], 0, p));
        OK(close(p[1]));
        both_read(p[0], 0);
        CHECK_EQ(recv(p[0], bad, 10, 0), 0);
        OK(close(p[0]));
    }
    int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
    both_read(fd, 0);
    both_write(fd, -EFAULT);
    OK(close(fd));
    end();
}

TEST(nor_does_what_goes_wrong_before)
{
    begin();
    int p[2];
    OK(pipe(p));
    OK(close(p[0]));
    both_write(p[1], -EPIPE);
    OK(close(p[1]));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    OK(close(p[1]));
    both_write(p[0], -EPIPE);
    CHECK_ERR(send(p[0], bad, 10, 0), EPIPE);
    OK(close(p[0]));
    int s = OK(socket(AF_INET, SOCK_STREAM, 0));
    both_read(s, -ENOTCONN);
    both_write(s, -EPIPE);
    OK(listen(s, 1));
    both_read(s, -ENOTCONN);
    CHECK_ERR(recv(s, bad, 10, MSG_DONTWAIT), ENOTCONN);
    OK(close(s));
    int d = OK(open(".", O_RDONLY | O_DIRECTORY));
    both_read(d, -EISDIR);
    CHECK_ERR(pread(d, bad, 10, 0), EISDIR);
    OK(close(d));
    int e = OK(eventfd(0, EFD_NONBLOCK));
    both_write(e, -EINVAL);
    CHECK_ERR(read(e, bad, 10), EAGAIN);
    OK(close(e));
    int t = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    both_write(t, -EINVAL);
    CHECK_ERR(read(t, bad, 10), EAGAIN);
    OK(close(t));
    end();
}

TEST(what_is_not_ready_is_waited_for)
{
    begin();
    int p[2];
    OK(pipe2(p, O_NONBLOCK));
    CHECK_ERR(read(p[0], bad, 10), EAGAIN);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(pipe(p));
    ADD(&r, READ, p[0], bad, 10, -1, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(ring_wait(&r).res, -EFAULT);
    char b[10];
    CHECK_EQ(read(p[0], b, 10), 3); // nothing is lost
    // One that comes to an end in the middle of what is to be read fails too.
    char *edge = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    OK(mprotect(edge + 4096, 4096, PROT_NONE));
    CHECK_EQ(write(p[1], "abcdefghij", 10), 10);
    CHECK_EQ(one(IORING_OP_READ, p[0], edge + 4090, 10), -EFAULT);
    struct iovec v = {edge + 4090, 10};
    CHECK_ERR(readv(p[0], &v, 1), EFAULT);
    CHECK_EQ(read(p[0], b, 10), 10);
    int e = OK(eventfd(0, 0));
    ADD(&r, READ, e, edge + 4090, 10, -1, 2);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(e, &(uint64_t){1}, 8), 8);
    CHECK_EQ(ring_wait(&r).res, -EFAULT);
    OK(close(e));
    OK(munmap(edge, 8192));
    OK(close(p[0]));
    OK(close(p[1]));
    end();
}

TEST(devices_look_only_if_they_must)
{
    begin();
    int fd = OK(open("/dev/null", O_RDWR));
    both_read(fd, 0);
    both_write(fd, 10);
    OK(close(fd));
    fd = OK(open("/dev/zero", O_RDWR));
    both_read(fd, -EFAULT);
    both_write(fd, 10);
    OK(close(fd));
    fd = OK(open("/dev/full", O_RDWR));
    both_write(fd, -ENOSPC);
    OK(close(fd));
    fd = OK(open("/dev/urandom", O_RDWR));
    both_read(fd, -EFAULT);
    both_write(fd, -EFAULT);
    OK(close(fd));
    fd = OK(open("/proc/self/stat", O_RDONLY));
    both_read(fd, -EFAULT);
    OK(close(fd));
    end();
}

TEST(vectors_without_bytes)
{
    begin();
    struct iovec none = {NULL, 0}, kernel = {(void *)0xffff800000000000ul, 0};
    int e = OK(eventfd(0, 0)), d = OK(open(".", O_RDONLY | O_DIRECTORY)), f = OK(open("/dev/full", O_RDWR)), p = OK(epoll_create1(0));
    CHECK_EQ(readv(e, &none, 1), 0);
    CHECK_EQ(writev(e, &none, 1), 0);
    CHECK_EQ(readv(d, &none, 1), 0);
    CHECK_ERR(read(d, NULL, 0), EISDIR);
    CHECK_EQ(writev(f, &none, 1), 0);
    CHECK_ERR(write(f, NULL, 0), ENOSPC);
    CHECK_ERR(readv(p, &none, 1), EINVAL); // it has no read at all
    CHECK_ERR(read(p, bad, 10), EINVAL);
    CHECK_ERR(write(p, bad, 10), EINVAL);
    CHECK_ERR(readv(e, &kernel, 1), EFAULT);
    // The ring does not get as far as the file with nothing, but for those that say more.
    CHECK_EQ(one(IORING_OP_READ, d, NULL, 0), 0);
    CHECK_EQ(one(IORING_OP_WRITE, e, NULL, 0), 0);
    CHECK_EQ(one(IORING_OP_WRITE, f, NULL, 0), 0);
    CHECK_EQ(one(IORING_OP_READ, e, NULL, 0), -EINVAL);
    OK(close(e));
    OK(close(d));
    OK(close(f));
    OK(close(p));
    end();
}

TEST(a_place_in_a_stream_is_told_first)
{
    int p[2];
    char b[4];
    OK(pipe(p));
    CHECK_ERR(pread(p[1], b, 1, 0), ESPIPE);
    CHECK_ERR(pwrite(p[0], b, 1, 0), ESPIPE);
    OK(close(p[0]));
    OK(close(p[1]));
}
