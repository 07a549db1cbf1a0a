// io_uring_register: probe, fixed buffers, fixed files and their updates, eventfd, and what is refused.
#include "uring.h"
#include <sys/eventfd.h>

#define PAGE 4096ul

static char *pages(size_t n)
{
    return OK(mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

struct probe {
    struct io_uring_probe head;
    struct io_uring_probe_op ops[256];
};

TEST(probe)
{
    struct ring r;
    static struct probe p;
    ring_init(&r, 4, 0);
    memset(&p, 0, sizeof p);
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &p, 256));
    CHECK(p.head.last_op >= IORING_OP_TEE);
    CHECK(p.head.last_op < U_OP_LAST_6_18);
    CHECK_EQ(p.head.ops_len, p.head.last_op + 1);
    for (int i = 0; i <= p.head.last_op; i++)
        CHECK_EQ(p.ops[i].op, i);
    const int must[] = {
        IORING_OP_NOP,       IORING_OP_READV,          IORING_OP_WRITEV,       IORING_OP_FSYNC,      IORING_OP_READ_FIXED,
        IORING_OP_WRITE_FIXED, IORING_OP_POLL_ADD,     IORING_OP_POLL_REMOVE,  IORING_OP_SYNC_FILE_RANGE,
        IORING_OP_TIMEOUT,   IORING_OP_TIMEOUT_REMOVE, IORING_OP_ASYNC_CANCEL, IORING_OP_LINK_TIMEOUT,
        IORING_OP_FALLOCATE, IORING_OP_OPENAT,         IORING_OP_CLOSE,        IORING_OP_FILES_UPDATE,
        IORING_OP_STATX,     IORING_OP_READ,           IORING_OP_WRITE,        IORING_OP_FADVISE,    IORING_OP_MADVISE,
        IORING_OP_OPENAT2,   IORING_OP_EPOLL_CTL,      IORING_OP_SPLICE,       IORING_OP_TEE,        IORING_OP_RENAMEAT,
        IORING_OP_UNLINKAT,  IORING_OP_MKDIRAT,        IORING_OP_SYMLINKAT,    IORING_OP_LINKAT,
    };
    for (unsigned i = 0; i < countof(must); i++)
        if (!(p.ops[must[i]].flags & IO_URING_OP_SUPPORTED))
            FAIL("operation %d is not supported", must[i]);
    ring_exit(&r);
}

// proves: IORING_REGISTER_PROBE, IORING_REGISTER_QUERY
// The probe, the features of a set-up, IORING_REGISTER_QUERY and what is refused as unknown say the same.
TEST(one_story)
{
    struct { uint32_t ops, registers; uint64_t features, setup, enter, sqe; } q = {0};
    struct { uint64_t next, data; uint32_t op, size; int32_t result; uint32_t resv[3]; } h = {.data = (uintptr_t)&q, .size = sizeof q};
    enum { REGISTER_QUERY = 35 };
    struct ring r;
    static struct probe p;
    OK(u_register(-1, REGISTER_QUERY, &h, 0));
    CHECK_EQ(h.result, 0);
    ring_init(&r, 4, 0);
    memset(&p, 0, sizeof p);
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &p, 256));
    CHECK_EQ(p.head.last_op + 1u, q.ops);
    CHECK_EQ(r.p.features, q.features);
    for (uint32_t op = 0; op < q.ops; op++)
        CHECK_EQ(p.ops[op].flags, IO_URING_OP_SUPPORTED);
    prep(ring_sqe(&r), (int)q.ops, -1, NULL, 0, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    // No flag is missing from what is told, nor told and refused. Some need others.
    CHECK_EQ(q.setup & (q.setup + 1), 0);
    CHECK_EQ(q.enter & (q.enter + 1), 0);
    CHECK_EQ(q.sqe & (q.sqe + 1), 0);
    for (uint64_t bit = 1; bit <= (q.setup + 1) && bit < 1u << 31; bit <<= 1) {
        static const uint32_t with[][2] = {
            {IORING_SETUP_SQ_AFF, IORING_SETUP_SQPOLL}, {U_SETUP_REGISTERED_FD_ONLY, U_SETUP_NO_MMAP}, {U_SETUP_HYBRID_IOPOLL, IORING_SETUP_IOPOLL},
            {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER}, {IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_COOP_TASKRUN},
        };
        struct io_uring_params params = {.flags = (uint32_t)bit, .cq_entries = 8, .wq_fd = r.fd};
        for (unsigned i = 0; i < countof(with); i++)
            if (bit == with[i][0])
                params.flags |= with[i][1];
        int fd = u_setup(4, &params), e = errno;
        if (fd >= 0)
            OK(close(fd));
        if (bit > q.setup)
            CHECK(fd < 0 && e == EINVAL);
        else if (fd < 0)
            CHECK_EQ(e, EFAULT); // NO_MMAP without memory
    }
    CHECK_ERR(u_enter(r.fd, 0, 0, (uint32_t)q.enter + 1, NULL, 0), EINVAL);
    for (uint64_t bit = 1; bit <= q.sqe + 1 && bit < 256; bit <<= 1) {
        ADD(&r, NOP, -1, NULL, 0, 0, 2)->flags = (uint8_t)bit;
        ring_submit(&r);
        if (bit == IOSQE_CQE_SKIP_SUCCESS)
            continue;
        int res = ring_wait(&r).res;
        CHECK_EQ(res, bit > q.sqe ? -EINVAL : bit == IOSQE_BUFFER_SELECT ? -EOPNOTSUPP : 0);
    }
    CHECK_ERR(u_register(r.fd, q.registers, NULL, 0), EINVAL);
    ring_exit(&r);
}

TEST(probe_tells_the_truth)
{
    // What is not advertised fails with EINVAL; what is does not fail so for a request without any field.
    struct ring r;
    static struct probe p;
    ring_init(&r, 4, 0);
    memset(&p, 0, sizeof p);
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &p, 256));
    for (int op = 0; op < 256; op++) {
        if (op < 256 && p.ops[op].flags & IO_URING_OP_SUPPORTED)
            continue;
        prep(ring_sqe(&r), op, -1, NULL, 0, 0, op + 1);
        CHECK_EQ(ring_result(&r, op + 1), -EINVAL);
    }
    ring_exit(&r);
}

TEST(probe_errors)
{
    struct ring r;
    static struct probe p;
    ring_init(&r, 4, 0);
    memset(&p, 0, sizeof p);
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &p, 3)); // fewer are fine
    CHECK_EQ(p.head.ops_len, 3);
    CHECK_EQ(p.ops[2].op, 2);
    CHECK_EQ(p.ops[3].op, 0);
    memset(&p, 0, sizeof p);
    OK(u_register(r.fd, IORING_REGISTER_PROBE, &p, 0));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PROBE, &p, 257), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PROBE, NULL, 256), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PROBE, (void *)8, 256), EFAULT);
    memset(&p, 0, sizeof p);
    p.ops[5].flags = 1; // must come in as zeros
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PROBE, &p, 256), EINVAL);
    ring_exit(&r);
}

TEST(unknown_opcodes)
{
    struct ring r;
    ring_init(&r, 4, 0);
    const uint32_t bad[] = {36, 37, 64, 1000, 0x7fffffff};
    for (unsigned i = 0; i < countof(bad); i++)
        CHECK_ERR(u_register(r.fd, bad[i], NULL, 0), EINVAL);
    ring_exit(&r);
}

// proves: IORING_REGISTER_BUFFERS, IORING_UNREGISTER_BUFFERS
TEST(buffers)
{
    struct ring r;
    int fd = mt_file("f", 3 * PAGE);
    char *m = pages(4);
    struct iovec v[] = {{m, PAGE}, {m + PAGE + 100, 5000}};
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EBUSY);
    ADD(&r, READ_FIXED, fd, m + 10, 1000, 50, 1)->buf_index = 0;
    CHECK_EQ(ring_result(&r, 1), 1000);
    CHECK_EQ(mt_differs(m + 10, 1000, 50), -1);
    ADD(&r, READ_FIXED, fd, m + PAGE + 100, 5000, 0, 2)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 2), 5000);
    CHECK_EQ(mt_differs(m + PAGE + 100, 5000, 0), -1);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    ADD(&r, READ_FIXED, fd, m, 10, 0, 3)->buf_index = 0;
    CHECK_EQ(ring_result(&r, 3), -EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), ENXIO);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 1)); // and again
    ring_exit(&r);
    OK(munmap(m, 4 * PAGE));
    OK(close(fd));
}

TEST(buffer_ranges)
{
    struct ring r;
    int fd = mt_file("f", PAGE);
    char *m = pages(4);
    struct iovec v = {m + PAGE, PAGE};
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    const struct {
        long addr;
        uint32_t len;
        uint16_t index;
        int result;
    } cases[] = {
        {0, PAGE, 0, PAGE},    {PAGE - 1, 1, 0, 1},     {PAGE, 0, 0, 0},        {0, PAGE + 1, 0, -EFAULT},
        {-1, 1, 0, -EFAULT},   {PAGE - 1, 2, 0, -EFAULT}, {PAGE, 1, 0, -EFAULT}, {0, 1, 1, -EFAULT},
        {0, 1, 65535, -EFAULT}, {0, 0x7fffffff, 0, -EFAULT},
    };
    for (unsigned i = 0; i < countof(cases); i++) {
        ADD(&r, READ_FIXED, fd, m + PAGE + cases[i].addr, cases[i].len, 0, i)->buf_index = cases[i].index;
        int got = ring_result(&r, i);
        if (got != cases[i].result)
            FAIL("case %u: %d, expected %d", i, got, cases[i].result);
    }
    ADD(&r, READ_FIXED, fd, (void *)~0ul, 100, 0, 99)->buf_index = 0; // wraps
    CHECK_EQ(ring_result(&r, 99), -EFAULT);
    ring_exit(&r);
    OK(munmap(m, 4 * PAGE));
    OK(close(fd));
}

TEST(buffer_errors)
{
    struct ring r;
    char *m = pages(4);
    struct iovec v[2] = {{m, PAGE}, {m, PAGE}};
    ring_init(&r, 4, 0);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, NULL, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, (void *)8, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 16385), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, ~0u), EINVAL);
    v[1] = (struct iovec){NULL, PAGE};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT); // an address is needed, if there is a length
    v[1] = (struct iovec){m, 0};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT);
    v[1] = (struct iovec){m, (1ul << 30) + 1};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT);
    v[1] = (struct iovec){(void *)8, PAGE};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT);
    OK(munmap(m + 2 * PAGE, PAGE));
    v[1] = (struct iovec){m + PAGE, 2 * PAGE}; // runs into the hole
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT);
    OK(mprotect(m + PAGE, PAGE, PROT_READ));
    v[1] = (struct iovec){m + PAGE, PAGE}; // must be writable
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), ENXIO); // nothing was kept of all that
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_BUFFERS, v, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 1), EINVAL);
    ring_exit(&r);
    OK(munmap(m, 4 * PAGE));
}

TEST(buffers_sparse_slot)
{
    struct ring r;
    int fd = mt_file("f", PAGE);
    char *m = pages(1);
    struct iovec v[2] = {{NULL, 0}, {m, PAGE}}; // an empty place
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2));
    ADD(&r, READ_FIXED, fd, m, 10, 0, 1)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 1), 10);
    ADD(&r, READ_FIXED, fd, m, 10, 0, 2)->buf_index = 0;
    CHECK_EQ(ring_result(&r, 2), -EFAULT);
    ring_exit(&r);
    OK(munmap(m, PAGE));
    OK(close(fd));
}

TEST(buffers_survive_munmap)
{
    // They are pinned: requests on them go to the pages of registration, mapped or not.
    struct ring r;
    int fd = mt_file("f", PAGE);
    char *m = pages(1);
    struct iovec v = {m, PAGE};
    ring_init(&r, 4, 0);
    memset(m, 'p', PAGE);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    OK(munmap(m, PAGE));
    ADD(&r, WRITE_FIXED, fd, m, 100, 0, 1)->buf_index = 0;
    CHECK_EQ(ring_result(&r, 1), 100);
    char b[100];
    CHECK_EQ(pread(fd, b, 100, 0), 100);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(b[i], 'p');
    // Other memory at the same address is not what is registered.
    CHECK_EQ(mmap(m, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), m);
    ADD(&r, READ_FIXED, fd, m, 100, 100, 2)->buf_index = 0;
    CHECK_EQ(ring_result(&r, 2), 100);
    CHECK_EQ(m[0], 0);
    ring_exit(&r);
    OK(munmap(m, PAGE));
    OK(close(fd));
}

TEST(buffers_see_the_programs_writes)
{
    struct ring r;
    int fd = mt_file("f", 10 * PAGE);
    char *m = pages(3);
    struct iovec v = {m, 3 * PAGE};
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    for (int i = 0; i < 50; i++) {
        memset(m, i, 3 * PAGE);
        ADD(&r, WRITE_FIXED, fd, m + 50, 2 * PAGE, 0, 1)->buf_index = 0;
        CHECK_EQ(ring_result(&r, 1), 2 * PAGE);
        memset(m, 0, 3 * PAGE);
        ADD(&r, READ_FIXED, fd, m + 100, 2 * PAGE, 0, 2)->buf_index = 0;
        CHECK_EQ(ring_result(&r, 2), 2 * PAGE);
        CHECK_EQ(m[99], 0);
        CHECK_EQ(m[100], i);
        CHECK_EQ(m[100 + 2 * PAGE - 1], i);
        CHECK_EQ(m[100 + 2 * PAGE], 0);
    }
    ring_exit(&r);
    OK(munmap(m, 3 * PAGE));
    OK(close(fd));
}

TEST(many_buffers)
{
    enum { N = 1000 };
    struct ring r;
    int fd = mt_file("f", N * 64);
    char *m = pages(N * 64 / PAGE + 1);
    static struct iovec v[N];
    for (int i = 0; i < N; i++)
        v[i] = (struct iovec){m + i * 64, 64};
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, v, N));
    for (int i = 0; i < N; i += 37) {
        ADD(&r, READ_FIXED, fd, m + i * 64, 64, i * 64, 1)->buf_index = (uint16_t)i;
        CHECK_EQ(ring_result(&r, 1), 64);
        CHECK_EQ(mt_differs(m + i * 64, 64, i * 64), -1);
    }
    ring_exit(&r);
    OK(munmap(m, (N * 64 / PAGE + 1) * PAGE));
    OK(close(fd));
}

static int read_fixed(struct ring *r, int slot)
{
    char b[8];
    ADD(r, READ, slot, b, sizeof b, 0, 77)->flags = IOSQE_FIXED_FILE;
    return ring_result(r, 77);
}

// proves: IORING_REGISTER_FILES, IORING_UNREGISTER_FILES
TEST(files)
{
    struct ring r;
    int a = mt_file("a", 100), b = mt_file("b", 5);
    int fds[] = {a, -1, b};
    ring_init(&r, 4, 0);
    CHECK_EQ(read_fixed(&r, 0), -EBADF); // none registered
    OK(u_register(r.fd, IORING_REGISTER_FILES, fds, 3));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 3), EBUSY);
    OK(close(a));
    OK(close(b)); // the table keeps them
    CHECK_EQ(read_fixed(&r, 0), 8);
    CHECK_EQ(read_fixed(&r, 1), -EBADF);
    CHECK_EQ(read_fixed(&r, 2), 5);
    CHECK_EQ(read_fixed(&r, 3), -EBADF);
    CHECK_EQ(read_fixed(&r, -1), -EBADF);
    CHECK_EQ(read_fixed(&r, INT_MAX), -EBADF);
    CHECK_EQ(read_fixed(&r, INT_MIN), -EBADF);
    OK(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    CHECK_EQ(read_fixed(&r, 0), -EBADF);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0), ENXIO);
    ring_exit(&r);
}

TEST(file_errors)
{
    struct ring r;
    int f = mt_file("f", 10), fds[4] = {f, 250, f, f};
    ring_init(&r, 4, 0);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, NULL, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, (void *)8, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 4), EBADF);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 1 << 20), EMFILE);
    fds[1] = r.fd;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 4), EBADF); // a ring cannot hold itself or another
    fds[1] = -2;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, fds, 4), EBADF);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0), ENXIO);
    fds[1] = f;
    OK(u_register(r.fd, IORING_REGISTER_FILES, fds, 4)); // the same file in all
    CHECK_EQ(read_fixed(&r, 3), 8);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_FILES, fds, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 1), EINVAL);
    ring_exit(&r);
    OK(close(f));
}

static int update(struct ring *r, uint32_t offset, int *fds, uint32_t n)
{
    struct io_uring_files_update u = {.offset = offset, .fds = (uintptr_t)fds};
    return u_register(r->fd, IORING_REGISTER_FILES_UPDATE, &u, n);
}

// proves: IORING_REGISTER_FILES_UPDATE
TEST(file_updates)
{
    struct ring r;
    int a = mt_file("a", 3), b = mt_file("b", 5), fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = -1;
    ring_init(&r, 4, 0);
    CHECK_ERR(update(&r, 0, fds, 1), ENXIO);
    OK(u_register(r.fd, IORING_REGISTER_FILES, fds, 8)); // all empty
    CHECK_EQ(update(&r, 2, (int[]){a, b}, 2), 2); // as many as were changed
    CHECK_EQ(read_fixed(&r, 2), 3);
    CHECK_EQ(read_fixed(&r, 3), 5);
    CHECK_EQ(update(&r, 2, (int[]){b, IORING_REGISTER_FILES_SKIP, a}, 3), 3);
    CHECK_EQ(read_fixed(&r, 2), 5);
    CHECK_EQ(read_fixed(&r, 3), 5);
    CHECK_EQ(read_fixed(&r, 4), 3);
    CHECK_EQ(update(&r, 3, (int[]){-1}, 1), 1);
    CHECK_EQ(read_fixed(&r, 3), -EBADF);
    CHECK_EQ(update(&r, 0, (int[]){a, 250, b}, 3), 1); // up to the first that fails
    CHECK_EQ(read_fixed(&r, 0), 3);
    CHECK_EQ(read_fixed(&r, 1), -EBADF);
    CHECK_ERR(update(&r, 0, (int[]){250}, 1), EBADF);
    CHECK_ERR(update(&r, 8, (int[]){a}, 1), EINVAL);
    CHECK_ERR(update(&r, 7, (int[]){a, a}, 2), EINVAL);
    CHECK_ERR(update(&r, ~0u, (int[]){a, a}, 2), EOVERFLOW);
    CHECK_ERR(update(&r, 0, (int[]){a}, 0), EINVAL);
    CHECK_ERR(update(&r, 0, (int[]){r.fd}, 1), EBADF);
    CHECK_ERR(update(&r, 0, (int *)8, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES_UPDATE, (void *)8, 1), EFAULT);
    struct io_uring_files_update u = {.resv = 1, .fds = (uintptr_t)fds};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES_UPDATE, &u, 1), EINVAL);
    ring_exit(&r);
    OK(close(a));
    OK(close(b));
}

TEST(replaced_file_serves_requests_in_flight)
{
    struct ring r;
    int p[2], q[2];
    char b[8] = "";
    OK(pipe(p));
    OK(pipe(q));
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &p[0], 1));
    ADD(&r, READ, 0, b, sizeof b, -1, 1)->flags = IOSQE_FIXED_FILE;
    ring_submit(&r); // waits for the pipe
    CHECK_EQ(update(&r, 0, &q[0], 1), 1);
    OK(close(p[0]));
    CHECK_EQ(write(p[1], "old", 3), 3); // still a reader
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 3);
    CHECK_STR(b, "old");
    ring_exit(&r);
    OK(close(p[1]));
    OK(close(q[0]));
    OK(close(q[1]));
}

static uint64_t taken(int ev)
{
    uint64_t v = 0;
    return read(ev, &v, 8) == 8 ? v : 0;
}

// proves: IORING_REGISTER_EVENTFD, IORING_UNREGISTER_EVENTFD
TEST(eventfd_signals)
{
    struct ring r;
    int ev = OK(eventfd(0, EFD_NONBLOCK)), other = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1), EBUSY);
    add_nop(&r, 1);
    ring_submit(&r);
    CHECK(taken(ev) > 0);
    ring_wait(&r);
    for (int i = 0; i < 4; i++)
        add_nop(&r, i);
    ring_submit(&r);
    uint64_t n = taken(ev);
    CHECK(n >= 1 && n <= 4); // one or one each
    for (int i = 0; i < 4; i++)
        ring_wait(&r);
    CHECK_EQ(taken(ev), 0);
    // A completion that comes later signals as well.
    add_poll(&r, other, POLLIN, 5);
    ring_submit(&r);
    CHECK_EQ(taken(ev), 0);
    uint64_t one = 1;
    CHECK_EQ(write(other, &one, 8), 8);
    struct pollfd p = {ev, POLLIN, 0};
    int ready;
    while ((ready = poll(&p, 1, -1)) < 0) {}
    CHECK_EQ(ready, 1);
    CHECK_EQ(ring_wait(&r).user_data, 5);
    taken(ev);
    // Switched off by the program.
    atomic_store(r.cq_flags, IORING_CQ_EVENTFD_DISABLED);
    add_nop(&r, 6);
    CHECK_EQ(ring_result(&r, 6), 0);
    CHECK_EQ(taken(ev), 0);
    atomic_store(r.cq_flags, 0);
    OK(u_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0), ENXIO);
    add_nop(&r, 7);
    CHECK_EQ(ring_result(&r, 7), 0);
    CHECK_EQ(taken(ev), 0);
    ring_exit(&r);
    OK(close(ev));
    OK(close(other));
}

// proves: IORING_REGISTER_EVENTFD_ASYNC, IOSQE_ASYNC
TEST(eventfd_async)
{
    struct ring r;
    int ev = OK(eventfd(0, EFD_NONBLOCK)), other = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD_ASYNC, &ev, 1));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1), EBUSY);
    add_nop(&r, 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(taken(ev), 0); // not for what is done at once
    struct pollfd p = {ev, POLLIN, 0};
    add_nop(&r, 2)->flags = IOSQE_ASYNC; // but for what a worker does
    CHECK_EQ(ring_result(&r, 2), 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(taken(ev), 1);
    OK(u_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
    ring_exit(&r);
    OK(close(ev));
    OK(close(other));
}

TEST(eventfd_errors)
{
    struct ring r;
    int ev = OK(eventfd(0, 0)), file = mt_file("f", 1), bad = 250;
    ring_init(&r, 4, 0);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 2), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, NULL, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, (void *)8, 1), EFAULT);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &bad, 1), EBADF);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_EVENTFD, &file, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_EVENTFD, &ev, 0), EINVAL);
    ring_exit(&r);
    OK(close(ev));
    OK(close(file));
}

TEST(eventfd_outlives_its_descriptor)
{
    struct ring r;
    int ev = OK(eventfd(0, EFD_NONBLOCK)), copy = OK(dup(ev));
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1));
    OK(close(ev));
    add_nop(&r, 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(taken(copy), 1);
    ring_exit(&r);
    OK(close(copy));
}

TEST(before_the_ring_is_enabled)
{
    struct ring r;
    int f = mt_file("f", 8);
    char *m = pages(1);
    struct iovec v = {m, PAGE};
    ring_init(&r, 4, IORING_SETUP_R_DISABLED);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &f, 1));
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    r.p.flags &= ~IORING_SETUP_R_DISABLED;
    sqe_t *s = ADD(&r, READ_FIXED, 0, m, 8, 0, 1);
    s->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), 8);
    ring_exit(&r);
    OK(munmap(m, PAGE));
    OK(close(f));
}

TEST(a_table_dies_with_its_ring)
{
    struct ring r;
    int p[2];
    OK(pipe(p));
    ring_init(&r, 4, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &p[1], 1));
    OK(close(p[1]));
    ring_exit(&r);
    struct pollfd in = {p[0], POLLIN, 0};
    CHECK_EQ(poll(&in, 1, -1), 1); // the writing end goes with the table, soon
    CHECK_EQ(in.revents, POLLHUP);
    OK(close(p[0]));
}
