// Pipes: capacity, atomic writes, ends that close, blocking and not, sizes; and eventfd.
#include "moat_test.h"
#include <sys/resource.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static char big[1 << 20];

static void pair(int p[2], int flags) { OK(pipe2(p, flags)); }

static void drop(const int p[2])
{
    OK(close(p[0]));
    OK(close(p[1]));
}

static long fill(int fd)
{
    long n = 0;
    for (long w; (w = write(fd, big, sizeof big)) > 0;)
        n += w;
    CHECK_EQ(errno, EAGAIN);
    return n;
}

TEST(basics)
{
    int p[2];
    char b[16];
    pair(p, 0);
    CHECK_EQ(write(p[1], "hello", 5), 5);
    CHECK_EQ(write(p[1], "world", 5), 5);
    CHECK_EQ(read(p[0], b, 3), 3);
    CHECK_EQ(read(p[0], b, 16), 7); // a stream, without borders
    CHECK_EQ(memcmp(b, "loworld", 7), 0);
    CHECK_ERR(write(p[0], "x", 1), EBADF);
    CHECK_ERR(read(p[1], b, 1), EBADF);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
    CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY);
    CHECK_EQ(read(p[0], b, 0), 0); // does not wait
    CHECK_EQ(write(p[1], b, 0), 0);
    drop(p);
}

TEST(flags)
{
    int p[2];
    pair(p, O_NONBLOCK | O_CLOEXEC);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETFD), FD_CLOEXEC);
    drop(p);
    CHECK_ERR(pipe2(p, O_APPEND), EINVAL);
    CHECK_ERR(pipe2(p, O_TRUNC), EINVAL);
    CHECK_ERR(syscall(SYS_pipe, 8), EFAULT);
}

TEST(capacity)
{
    int p[2];
    pair(p, O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 65536);
    CHECK_EQ(fill(p[1]), 65536);
    CHECK_EQ(read(p[0], big, 1000), 1000);
    CHECK_ERR(write(p[1], big, 1001), EAGAIN); // up to 4096: all or nothing
    CHECK_EQ(read(p[0], big, 4096), 4096);
    CHECK_EQ(fill(p[1]), 4096); // room is given back in pages
    long n = 0;
    for (long r; (r = read(p[0], big, sizeof big)) > 0;)
        n += r;
    CHECK_EQ(n, 65536 - 1000);
    CHECK_ERR(read(p[0], big, 1), EAGAIN);
    drop(p);
}

TEST(small_writes_share_pages)
{
    int p[2];
    pair(p, O_NONBLOCK);
    int n = 0;
    while (write(p[1], "x", 1) == 1)
        n++;
    CHECK_EQ(n, 65536);
    drop(p);
}

TEST(resizing)
{
    int p[2];
    pair(p, O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 1), 4096);
    CHECK_EQ(fill(p[1]), 4096);
    CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ, 20000), 32768); // rounded up to a power of two
    CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 32768);
    CHECK_EQ(fill(p[1]), 28672);
    CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY); // more in it than that
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    CHECK_EQ(fill(p[1]), (1 << 20) - 32768);
    CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, -1), EINVAL);
    drop(p);
    int fd = mt_file("f", 10);
    CHECK_ERR(fcntl(fd, F_GETPIPE_SZ), EBADF);
    CHECK_ERR(fcntl(fd, F_SETPIPE_SZ, 4096), EBADF);
    OK(close(fd));
}

TEST(end_of_file)
{
    int p[2];
    char b[8];
    pair(p, 0);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    int copy = OK(dup(p[1]));
    OK(close(p[1]));
    CHECK_EQ(write(copy, "d", 1), 1);
    OK(close(copy));
    CHECK_EQ(read(p[0], b, 8), 4); // what was written comes first
    CHECK_EQ(read(p[0], b, 8), 0);
    CHECK_EQ(read(p[0], b, 8), 0);
    OK(close(p[0]));
}

TEST(broken_pipe)
{
    int p[2];
    OK(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    pair(p, 0);
    OK(close(p[0]));
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    CHECK_EQ(write(p[1], "", 0), 0);
    struct iovec v = {big, 10};
    CHECK_ERR(writev(p[1], &v, 1), EPIPE);
    OK(close(p[1]));
}

struct end {
    int fd;
    long want, result;
    int error;
    atomic_int done;
};

static void *reads(void *arg)
{
    struct end *e = arg;
    static char b[1 << 20];
    e->result = read(e->fd, b, e->want);
    e->error = errno;
    atomic_store(&e->done, 1);
    return NULL;
}

static void *writes(void *arg)
{
    struct end *e = arg;
    e->result = write(e->fd, big, e->want);
    e->error = errno;
    atomic_store(&e->done, 1);
    return NULL;
}

TEST(a_blocked_reader_wakes)
{
    int p[2];
    pair(p, 0);
    struct end e = {.fd = p[0], .want = 100};
    pthread_t t = mt_thread(reads, &e);
    mt_sleep_us(5000);
    CHECK_EQ(e.done, 0);
    CHECK_EQ(write(p[1], "12345", 5), 5);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(e.result, 5); // what is there, not all that was asked for
    e = (struct end){.fd = p[0], .want = 100};
    t = mt_thread(reads, &e);
    mt_sleep_us(5000);
    OK(close(p[1]));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(e.result, 0);
    OK(close(p[0]));
}

TEST(a_blocked_writer_writes_all)
{
    int p[2];
    pair(p, 0);
    struct end e = {.fd = p[1], .want = sizeof big};
    pthread_t t = mt_thread(writes, &e);
    long n = 0;
    static char b[10000];
    while (n < (long)sizeof big)
        n += OK(read(p[0], b, sizeof b));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(e.result, sizeof big);
    CHECK_EQ(n, sizeof big);
    drop(p);
}

TEST(a_blocked_writer_gets_epipe)
{
    int p[2];
    OK(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    pair(p, 0);
    struct end e = {.fd = p[1], .want = sizeof big};
    pthread_t t = mt_thread(writes, &e);
    struct pollfd out = {.fd = p[1], .events = POLLOUT};
    UNTIL(poll(&out, 1, 0) == 0); // full: the writer waits or is about to
    OK(close(p[0]));
    OK0(pthread_join(t, NULL));
    CHECK(e.result == 65536 || (e.result == -1 && e.error == EPIPE)); // short, as something was written
    CHECK_EQ(e.result, 65536);
    OK(close(p[1]));
}

static void *sends_records(void *arg)
{
    struct end *e = arg;
    char record[512];
    memset(record, (int)e->want, sizeof record);
    for (int i = 0; i < 300; i++)
        if (write(e->fd, record, sizeof record) != sizeof record)
            return (void *)1;
    return NULL;
}

TEST(small_writes_are_atomic)
{
    int p[2];
    pair(p, 0);
    struct end e[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        e[i] = (struct end){.fd = p[1], .want = 'a' + i};
        t[i] = mt_thread(sends_records, &e[i]);
    }
    int seen[4] = {0};
    for (int i = 0; i < 1200; i++) {
        char b[512];
        for (int n = 0; n < 512;)
            n += (int)OK(read(p[0], b + n, 512 - n));
        for (int j = 1; j < 512; j++)
            CHECK_EQ(b[j], b[0]);
        seen[b[0] - 'a']++;
    }
    for (int i = 0; i < 4; i++) {
        OK0(pthread_join(t[i], NULL));
        CHECK_EQ(seen[i], 300);
    }
    drop(p);
}

TEST(vectors_cross_pages)
{
    int p[2];
    pair(p, 0);
    static unsigned char in[20000], out[20000];
    mt_pattern(in, sizeof in, 0);
    struct iovec v[3] = {{in, 5000}, {in + 5000, 1}, {in + 5001, 14999}};
    CHECK_EQ(writev(p[1], v, 3), 20000);
    struct iovec w[3] = {{out, 9999}, {out + 9999, 2}, {out + 10001, 9999}};
    CHECK_EQ(readv(p[0], w, 3), 20000);
    CHECK_EQ(mt_differs(out, 20000, 0), -1);
    drop(p);
}

TEST(packets)
{
    int p[2];
    char b[64];
    pair(p, O_DIRECT);
    CHECK_EQ(write(p[1], "first", 5), 5);
    CHECK_EQ(write(p[1], "second", 6), 6);
    CHECK_EQ(read(p[0], b, 64), 5); // one packet each
    CHECK_EQ(read(p[0], b, 3), 3);  // and the rest of it is lost
    OK(fcntl(p[0], F_SETFL, O_NONBLOCK));
    CHECK_ERR(read(p[0], b, 64), EAGAIN);
    drop(p);
}

TEST(splices)
{
    int p[2], q[2], fd = mt_file("f", 10000), out = OK(open("g", O_CREAT | O_RDWR, 0600));
    static char b[10000];
    pair(p, 0);
    pair(q, 0);
    loff_t at = 1000;
    CHECK_EQ(splice(fd, &at, p[1], NULL, 5000, 0), 5000);
    CHECK_EQ(at, 6000);
    CHECK_EQ(tee(p[0], q[1], 2000, 0), 2000); // copied, not taken
    CHECK_EQ(splice(p[0], NULL, out, NULL, 10000, 0), 5000);
    CHECK_EQ(pread(out, b, sizeof b, 0), 5000);
    CHECK_EQ(mt_differs(b, 5000, 1000), -1);
    CHECK_EQ(read(q[0], b, sizeof b), 2000);
    CHECK_EQ(mt_differs(b, 2000, 1000), -1);
    CHECK_ERR(splice(fd, NULL, out, NULL, 10, 0), EINVAL); // no pipe
    CHECK_ERR(splice(p[0], &at, out, NULL, 10, 0), ESPIPE);
    CHECK_ERR(splice(p[0], NULL, p[1], NULL, 10, 0), EINVAL); // one pipe
    CHECK_ERR(splice(p[0], NULL, out, NULL, 10, 0x100), EINVAL);
    CHECK_ERR(splice(p[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERR(tee(p[0], fd, 10, 0), EINVAL);
    CHECK_EQ(splice(fd, NULL, p[1], NULL, 0, 0), 0);
    at = 10000;
    CHECK_EQ(splice(fd, &at, p[1], NULL, 10, 0), 0); // the end
    struct iovec v = {b, 100};
    CHECK_EQ(vmsplice(p[1], &v, 1, 0), 100);
    CHECK_EQ(splice(p[0], NULL, q[1], NULL, 100, 0), 100); // pipe to pipe
    CHECK_EQ(read(q[0], b, sizeof b), 100);
    drop(p);
    drop(q);
    OK(close(fd));
    OK(close(out));
}

TEST(reopened_through_proc)
{
    int p[2];
    char path[64], c;
    pair(p, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    int w = OK(open(path, O_WRONLY)); // the other end
    CHECK_EQ(write(w, "z", 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'z');
    OK(close(w));
    drop(p);
}

TEST(eventfd_counts)
{
    int fd = OK(eventfd(5, EFD_NONBLOCK));
    uint64_t v;
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(v, 5);
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    v = 3;
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(write(fd, &v, 8), 8);
    char long_buffer[32];
    CHECK_EQ(read(fd, long_buffer, 32), 8);
    memcpy(&v, long_buffer, 8);
    CHECK_EQ(v, 6);
    CHECK_ERR(read(fd, &v, 7), EINVAL);
    CHECK_ERR(write(fd, &v, 4), EINVAL);
    v = UINT64_MAX;
    CHECK_ERR(write(fd, &v, 8), EINVAL);
    v = UINT64_MAX - 1;
    CHECK_EQ(write(fd, &v, 8), 8);
    v = 1;
    CHECK_ERR(write(fd, &v, 8), EAGAIN); // would pass the limit
    v = 0;
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_ERR(read(fd, (void *)8, 8), EFAULT);
    CHECK_EQ(lseek(fd, 5, SEEK_SET), 0); // accepted and meaningless
    OK(close(fd));
}

TEST(eventfd_semaphore)
{
    int fd = OK(eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC));
    uint64_t v;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(read(fd, &v, 8), 8);
        CHECK_EQ(v, 1);
    }
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    OK(close(fd));
    CHECK_ERR(eventfd(0, 0x100), EINVAL);
}

static void *waits_event(void *arg)
{
    struct end *e = arg;
    uint64_t v;
    e->result = read(e->fd, &v, 8) == 8 ? (long)v : -errno;
    return NULL;
}

TEST(eventfd_blocks)
{
    struct end e = {.fd = OK(eventfd(0, 0))};
    pthread_t t = mt_thread(waits_event, &e);
    mt_sleep_us(5000);
    uint64_t v = 42;
    CHECK_EQ(write(e.fd, &v, 8), 8);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(e.result, 42);
    OK(close(e.fd));
}

enum { MANY = 1100 };

static void *many_pipes(void *arg)
{
    static int p[MANY][2];
    OK(syscall(SYS_setresuid, 4321, 4321, 4321));
    int small = 0;
    for (int i = 0; i < MANY; i++) {
        OK(pipe(p[i]));
        small += fcntl(p[i][0], F_GETPIPE_SZ) == 8192;
    }
    CHECK(small > 0 && small < MANY); // beyond 16384 pages
    CHECK_ERR(fcntl(p[MANY - 1][0], F_SETPIPE_SZ, 65536), EPERM);
    CHECK_EQ(fcntl(p[MANY - 1][0], F_SETPIPE_SZ, 4096), 4096);
    for (int i = 0; i < MANY; i++)
        drop(p[i]);
    OK(pipe(p[0]));
    CHECK_EQ(fcntl(p[0][0], F_GETPIPE_SZ), 65536); // they were given back
    drop(p[0]);
    return arg;
}

TEST(a_user_has_so_many_pages)
{
    struct rlimit old;
    OK(getrlimit(RLIMIT_NOFILE, &old));
    if (geteuid() != 0 || old.rlim_max < 4096)
        SKIP("for user 0 with many descriptors");
    OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){4096, old.rlim_max}));
    OK0(pthread_join(mt_thread(many_pipes, NULL), NULL));
    OK(setrlimit(RLIMIT_NOFILE, &old));
}
