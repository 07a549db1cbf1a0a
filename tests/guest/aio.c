// Native asynchronous I/O: io_setup and its relatives.
#include "moat_test.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int setup(unsigned n, aio_context_t *c) { return syscall(SYS_io_setup, n, c); }
static int destroy(aio_context_t c) { return syscall(SYS_io_destroy, c); }
static int submit(aio_context_t c, long n, struct iocb **p) { return syscall(SYS_io_submit, c, n, p); }
static int cancel(aio_context_t c, struct iocb *i, struct io_event *e) { return syscall(SYS_io_cancel, c, i, e); }
static int events(aio_context_t c, long min, long n, struct io_event *e, struct timespec *t)
{
    return syscall(SYS_io_getevents, c, min, n, e, t);
}

struct header { unsigned id, nr, head, tail, magic, compat, incompat, length; };

static struct iocb request(int fd, int op, const void *b, size_t n, long long offset)
{
    struct iocb i = { .aio_fildes = fd, .aio_lio_opcode = op, .aio_buf = (uintptr_t)b, .aio_nbytes = n, .aio_offset = offset };
    return i;
}

static int submit_one(aio_context_t c, struct iocb *i) { return submit(c, 1, &i); }

// Submits, waits for the event and returns its result.
static long long do_one(aio_context_t c, struct iocb *i)
{
    struct io_event e = { 0 };
    i->aio_data = 77;
    if (submit_one(c, i) != 1)
        return -10000 - errno;
    CHECK_EQ(events(c, 1, 1, &e, NULL), 1);
    CHECK_EQ(e.data, 77);
    CHECK_EQ(e.obj, (uintptr_t)i);
    return e.res;
}

TEST(contexts)
{
    aio_context_t c = 0, other = 0, bad = 1;
    CHECK_EQ(setup(10, &c), 0);
    CHECK(c != 0);
    struct header *h = (void *)c;
    CHECK_EQ(h->magic, 0xa10a10a1);
    CHECK(h->nr > 10);
    CHECK_EQ(h->length, 32);
    CHECK_EQ(h->head, h->tail);
    CHECK_EQ(setup(1, &other), 0);
    CHECK(other != c);
    CHECK_ERR(setup(1, &bad), EINVAL);
    bad = 0;
    CHECK_ERR(setup(0, &bad), EINVAL);
    CHECK_ERR(setup(1u << 30, &bad), EINVAL);
    CHECK_ERR(setup(1u << 20, &bad), EAGAIN);
    CHECK_ERR(setup(1, NULL), EFAULT);
    CHECK_EQ(destroy(other), 0);
    CHECK_ERR(destroy(other), EINVAL);
    CHECK_ERR(destroy(4096), EINVAL);
    CHECK_ERR(submit(c, -1, NULL), EINVAL);
    CHECK_EQ(submit(c, 0, NULL), 0);
    CHECK_ERR(submit(c, 1, NULL), EFAULT);
    struct io_event e;
    struct timespec none = { 0, 0 };
    CHECK_EQ(events(c, 0, 1, &e, NULL), 0);
    CHECK_EQ(events(c, 1, 1, &e, &none), 0);
    CHECK_ERR(events(c, 2, 1, &e, &none), EINVAL);
    CHECK_ERR(events(c, -1, 1, &e, &none), EINVAL);
    CHECK_ERR(events(other, 0, 1, &e, &none), EINVAL);
    CHECK_EQ(destroy(c), 0);
}

TEST(files)
{
    aio_context_t c = 0;
    CHECK_EQ(setup(8, &c), 0);
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    char b[64];
    struct iocb i = request(fd, IOCB_CMD_PWRITE, "hello world", 11, 0);
    CHECK_EQ(do_one(c, &i), 11);
    i = request(fd, IOCB_CMD_PREAD, b, sizeof b, 6);
    CHECK_EQ(do_one(c, &i), 5);
    CHECK_EQ(memcmp(b, "world", 5), 0);
    i = request(fd, IOCB_CMD_PREAD, b, sizeof b, 100);
    CHECK_EQ(do_one(c, &i), 0);
    struct iovec v[2] = { { b, 3 }, { b + 10, 4 } };
    i = request(fd, IOCB_CMD_PREADV, v, 2, 0);
    CHECK_EQ(do_one(c, &i), 7);
    CHECK_EQ(memcmp(b, "hel", 3), 0);
    CHECK_EQ(memcmp(b + 10, "lo w", 4), 0);
    i = request(fd, IOCB_CMD_PWRITEV, v, 2, 11);
    CHECK_EQ(do_one(c, &i), 7);
    i = request(fd, IOCB_CMD_FSYNC, NULL, 0, 0);
    CHECK_EQ(do_one(c, &i), 0);
    i = request(fd, IOCB_CMD_FDSYNC, NULL, 0, 0);
    CHECK_EQ(do_one(c, &i), 0);
    i = request(fd, IOCB_CMD_PREAD, (void *)8, 8, 0);
    CHECK_EQ(do_one(c, &i), -EFAULT);
    i = request(fd, IOCB_CMD_NOOP, NULL, 0, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    i = request(fd, 99, NULL, 0, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    i = request(-1, IOCB_CMD_PREAD, b, 1, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EBADF);
    i = request(fd, IOCB_CMD_PREAD, b, 1, -5);
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    i = request(fd, IOCB_CMD_PREAD, b, 1, 0);
    i.aio_reserved2 = 1;
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    i = request(fd, IOCB_CMD_PREAD, b, 1, 0);
    i.aio_rw_flags = 1 << 20;
    CHECK_EQ(do_one(c, &i), -10000 - EOPNOTSUPP);
    i = request(fd, IOCB_CMD_PREAD, b, 1, 0);
    i.aio_flags = IOCB_FLAG_RESFD;
    i.aio_resfd = fd;
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    int dir = open(".", O_RDONLY), ro = open("f", O_RDONLY);
    i = request(dir, IOCB_CMD_PREAD, b, 1, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    i = request(ro, IOCB_CMD_PWRITE, b, 1, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EBADF);
    close(dir);
    close(ro);
    close(fd);
    CHECK_EQ(destroy(c), 0);
}

TEST(many_and_eventfd)
{
    aio_context_t c = 0;
    CHECK_EQ(setup(64, &c), 0);
    int fd = open("f", O_CREAT | O_RDWR, 0600), notice = eventfd(0, 0);
    struct iocb requests[32], *list[32];
    for (int i = 0; i < 32; i++) {
        requests[i] = request(fd, IOCB_CMD_PWRITE, "0123456789abcdef0123456789abcdef" + i, 1, i);
        requests[i].aio_flags = IOCB_FLAG_RESFD;
        requests[i].aio_resfd = notice;
        requests[i].aio_data = i;
        list[i] = &requests[i];
    }
    CHECK_EQ(submit(c, 32, list), 32);
    struct io_event e[32];
    int done = 0;
    while (done < 32) {
        int n = events(c, 1, 5, e + done, NULL);
        CHECK(n >= 1 && n <= 5);
        done += n;
    }
    uint64_t count, seen = 0;
    CHECK_EQ(read(notice, &count, 8), 8);
    CHECK_EQ(count, 32);
    for (int i = 0; i < 32; i++)
        seen |= 1ull << e[i].data;
    CHECK_EQ(seen, 0xffffffff);
    char b[33] = { 0 };
    CHECK_EQ(pread(fd, b, 32, 0), 32);
    CHECK_STR(b, "0123456789abcdef0123456789abcdef");
    // The second of three is wrong: the first counts.
    requests[1].aio_lio_opcode = 50;
    CHECK_EQ(submit(c, 3, list), 1);
    CHECK_ERR(submit(c, 1, list + 1), EINVAL);
    CHECK_EQ(events(c, 1, 32, e, NULL), 1);
    close(fd);
    close(notice);
    CHECK_EQ(destroy(c), 0);
}

TEST(full_ring)
{
    aio_context_t c = 0;
    CHECK_EQ(setup(1, &c), 0);
    unsigned nr = ((struct header *)c)->nr;
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    struct iocb i = request(fd, IOCB_CMD_PWRITE, "x", 1, 0);
    unsigned n = 0;
    while (n < 100000 && submit_one(c, &i) == 1)
        n++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(n >= 1 && n < nr);
    struct io_event *e = calloc(n, sizeof *e);
    CHECK_EQ(events(c, n, n, e, NULL), (int)n);
    CHECK_EQ(e[n - 1].res, 1);
    CHECK_EQ(submit_one(c, &i), 1);
    free(e);
    close(fd);
    CHECK_EQ(destroy(c), 0);
}

// What libaio and fio do without a call.
TEST(reaping_in_memory)
{
    aio_context_t c = 0;
    CHECK_EQ(setup(4, &c), 0);
    volatile struct header *h = (void *)c;
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 1000; i++) {
        struct iocb r = request(fd, IOCB_CMD_PWRITE, "abc", 3, i);
        r.aio_data = i;
        CHECK_EQ(submit_one(c, &r), 1);
        for (int wait = 0; h->head == h->tail && wait < 10000; wait++)
            usleep(100);
        struct io_event *e = (struct io_event *)(c + 32) + h->head;
        CHECK_EQ(e->data, i);
        CHECK_EQ(e->res, 3);
        h->head = (h->head + 1) % h->nr;
    }
    struct timespec none = { 0, 0 };
    struct io_event e;
    CHECK_EQ(events(c, 1, 1, &e, &none), 0);
    h->head = 0x7fffffff;
    h->tail = 3;
    CHECK(events(c, 0, 1, &e, &none) >= 0);
    close(fd);
    CHECK_EQ(destroy(c), 0);
}

TEST(polls)
{
    aio_context_t c = 0;
    int p[2];
    CHECK_EQ(setup(8, &c), 0);
    CHECK_EQ(pipe(p), 0);
    struct iocb i = request(p[0], IOCB_CMD_POLL, (void *)POLLIN, 0, 0), second = request(p[0], IOCB_CMD_POLL, (void *)POLLIN, 0, 0);
    struct timespec none = { 0, 0 };
    struct io_event e;
    CHECK_EQ(submit_one(c, &i), 1);
    CHECK_EQ(events(c, 0, 1, &e, &none), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(events(c, 1, 1, &e, NULL), 1);
    CHECK(e.res & POLLIN);
    CHECK_EQ(do_one(c, &i), POLLIN);
    char b;
    CHECK_EQ(read(p[0], &b, 1), 1);
    CHECK_EQ(submit_one(c, &second), 1);
    CHECK_ERR(cancel(c, &i, &e), EINVAL);
    CHECK_ERR(cancel(c, &second, &e), EINPROGRESS);
    CHECK_EQ(events(c, 1, 1, &e, NULL), 1);
    CHECK_EQ(e.obj, (uintptr_t)&second);
    CHECK_EQ(e.res, 0);
    i = request(p[0], IOCB_CMD_POLL, (void *)POLLIN, 1, 0);
    CHECK_EQ(do_one(c, &i), -10000 - EINVAL);
    // One left over when the context goes, and when its process does.
    CHECK_EQ(submit_one(c, &second), 1);
    CHECK_EQ(destroy(c), 0);
    pid_t pid = fork();
    if (pid == 0) {
        c = 0;
        _exit(setup(8, &c) != 0 || submit_one(c, &second) != 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(p[0]);
    close(p[1]);
}

static void on_alarm(int s) { (void)s; }

TEST(waiting)
{
    aio_context_t c = 0;
    int p[2];
    struct io_event e;
    CHECK_EQ(setup(8, &c), 0);
    CHECK_EQ(pipe(p), 0);
    struct timespec some = { 0, 30000000 };
    CHECK_EQ(events(c, 1, 1, &e, &some), 0);
    struct sigaction sa = { .sa_handler = on_alarm };
    sigaction(SIGUSR1, &sa, NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        usleep(50000);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    CHECK_ERR(events(c, 1, 1, &e, NULL), EINTR);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    // Blocked by the mask, it waits for the event.
    struct iocb i = request(p[0], IOCB_CMD_POLL, (void *)POLLIN, 0, 0);
    CHECK_EQ(submit_one(c, &i), 1);
    pid = fork();
    if (pid == 0) {
        kill(parent, SIGUSR1);
        usleep(50000);
        _exit(write(p[1], "x", 1) != 1);
    }
    uint64_t mask = 1ull << (SIGUSR1 - 1);
    struct { uint64_t *mask; size_t size; } sized = { &mask, 8 };
    CHECK_EQ(syscall(SYS_io_pgetevents, c, 1, 1, &e, NULL, &sized), 1);
    CHECK(e.res & POLLIN);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    // Not another process's.
    pid = fork();
    if (pid == 0)
        _exit(events(c, 0, 1, &e, NULL) == -1 && errno == EINVAL && destroy(c) == -1 && errno == EINVAL ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(destroy(c), 0);
    close(p[0]);
    close(p[1]);
}

TEST(direct)
{
    aio_context_t c = 0;
    CHECK_EQ(setup(64, &c), 0);
    int fd = open("d", O_CREAT | O_RDWR | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) {
        destroy(c);
        SKIP("no O_DIRECT here");
    }
    CHECK(fd >= 0);
    char *b = NULL;
    CHECK_EQ(posix_memalign((void **)&b, 4096, 64 * 4096), 0);
    memset(b, 7, 64 * 4096);
    struct iocb requests[32], *list[32];
    struct io_event e[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 32; i++) {
            requests[i] = request(fd, round ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE, b + (i + 32 * round) * 4096, 4096, i * 4096);
            list[i] = &requests[i];
        }
        CHECK_EQ(submit(c, 32, list), 32);
        CHECK_EQ(events(c, 32, 32, e, NULL), 32);
        for (int i = 0; i < 32; i++)
            CHECK_EQ(e[i].res, 4096);
    }
    CHECK_EQ(memcmp(b, b + 32 * 4096, 32 * 4096), 0);
    struct iocb i = request(fd, IOCB_CMD_PREAD, b + 1, 4096, 0);
    long long r = do_one(c, &i);
    CHECK(r == -EINVAL || r == 4096 || r == -10000 - EINVAL);
    close(fd);
    CHECK_EQ(destroy(c), 0);
    free(b);
}
