// Random requests and registrations of a seeded generator, in a directory and on descriptors where they can do no harm.
// What counts: no hang, no crash, results that are errnos or counts, and rings made afterwards that work.
#include "uring.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define PAGE 4096ul
#define GUARD (5ul << 30) // more than any 32-bit length reaches
#define SCRATCH (64 * 1024ul)

static uint64_t seed;

static uint32_t pick(uint32_t n) { return (uint32_t)(mt_random(&seed) >> 33) % n; }

// 64 KiB that requests may do anything to, with nothing mapped for gigabytes on both sides.
static char *scratch, *reserve;

static void make_scratch(void)
{
    reserve = OK(mmap(NULL, 2 * GUARD + SCRATCH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    scratch = reserve + GUARD;
    OK(mprotect(scratch, SCRATCH, PROT_READ | PROT_WRITE));
}

static void drop_scratch(void) { OK(munmap(reserve, 2 * GUARD + SCRATCH)); }

static void a_new_ring_works(void)
{
    struct ring r;
    ring_init(&r, 4, 0);
    add_nop(&r, 4711);
    CHECK_EQ(ring_result(&r, 4711), 0);
    ring_exit(&r);
}

enum { FDS = 100, NFDS = 12 };

// Harmless descriptors at 100..111: any request may use or close them.
static void make_fds(void)
{
    int p[2], f = OK(open("kept", O_CREAT | O_RDWR, 0600)), e = OK(eventfd(0, 0)), d = OK(open(".", O_RDONLY));
    int ep = OK(epoll_create1(0)), null = OK(open("/dev/null", O_RDWR)), path = OK(open("kept", O_PATH));
    OK(pipe2(p, O_NONBLOCK));
    const int fds[NFDS] = {f, e, d, ep, null, path, p[0], p[1], f, e, p[0], f};
    for (int i = 0; i < NFDS; i++)
        CHECK_EQ(dup2(fds[i], FDS + i), FDS + i);
    for (int i = 0; i < 8; i++)
        OK(close(fds[i]));
}

// Closes all but what was open before; a worker may still be opening, so until nothing comes for a while.
static void drop_fds(int ring_fd)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        for (int fd = 3; fd < MT_FDS; fd++)
            if (fd != ring_fd && close(fd) == 0)
                quiet = 0;
        mt_sleep_us(3000);
    }
}

static int any_fd(void)
{
    switch (pick(12)) {
    case 0: return -1;
    case 1: return AT_FDCWD;
    case 2: return 250;
    default: return FDS + (int)pick(NFDS);
    }
}

static const char *const names[] = {"a", "b", "c", "d", "d/a", "d/b", "l", "m", "", "a/b", "loop"};
static char long_name[400];

static uint64_t any_name(void)
{
    switch (pick(16)) {
    case 0: return 0;
    case 1: return 8;
    case 2: return 0xffff888000000000;
    case 3: return (uintptr_t)long_name;
    default: return (uintptr_t)names[pick(countof(names))];
    }
}

static uint64_t any_address(void)
{
    switch (pick(12)) {
    case 0: return 0;
    case 1: return 8;
    case 2: return 0xffff888000000000;
    case 3: return ~0ull - pick(100);
    case 4: return (uintptr_t)scratch + SCRATCH - pick(200);
    default: return (uintptr_t)scratch + pick(SCRATCH);
    }
}

static uint32_t any_length(void)
{
    switch (pick(6)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return pick(2000000000) * 2;
    case 3: return 0xffffffff;
    default: return pick(70000);
    }
}

static uint64_t any_offset(void)
{
    switch (pick(6)) {
    case 0: return 0;
    case 1: return ~0ull;
    case 2: return mt_random(&seed);
    default: return pick(200000);
    }
}

static bool takes_names(int op)
{
    const int ops[] = {IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_STATX, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT,
                       IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT, IORING_OP_FSETXATTR, IORING_OP_SETXATTR,
                       IORING_OP_FGETXATTR, IORING_OP_GETXATTR};
    for (unsigned i = 0; i < countof(ops); i++)
        if (ops[i] == op)
            return true;
    return false;
}

#define IOVECS 0     // where in the scratch memory things lie that requests point to
#define TIMES 256
#define EVENT 512

static bool odd(void) { return pick(40) == 0; }

// A request that could well be right ...
static void plausible(sqe_t *s, int op)
{
    s->fd = FDS + (int)pick(NFDS);
    s->addr = (uintptr_t)scratch + 1024 + pick(60000);
    s->len = pick(3000);
    s->off = pick(3) ? pick(5000) : ~0ull;
    switch (op) {
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        s->addr = (uintptr_t)scratch + IOVECS;
        s->len = pick(9);
        break;
    case IORING_OP_FSYNC:
    case IORING_OP_CLOSE:
    case IORING_OP_NOP:
        s->addr = s->len = 0;
        s->off = 0;
        break;
    case IORING_OP_POLL_ADD:
        s->addr = s->off = 0;
        s->len = pick(3) ? 0 : IORING_POLL_ADD_MULTI;
        s->poll32_events = 1u << pick(6);
        break;
    case IORING_OP_POLL_REMOVE:
    case IORING_OP_TIMEOUT_REMOVE:
    case IORING_OP_ASYNC_CANCEL:
        s->addr = pick(40);
        s->len = 0;
        s->off = 0;
        s->cancel_flags = pick(2) ? 0 : pick(64);
        break;
    case IORING_OP_TIMEOUT:
    case IORING_OP_LINK_TIMEOUT:
        s->addr = (uintptr_t)scratch + TIMES + pick(4) * 16;
        s->len = 1;
        s->off = op == IORING_OP_TIMEOUT ? pick(4) : 0;
        s->timeout_flags = pick(2) ? 0 : pick(128);
        break;
    case IORING_OP_OPENAT:
        s->open_flags = pick(4) | (pick(2) ? O_CREAT : 0) | (pick(4) ? 0 : 1u << pick(24));
        s->len = pick(01000);
        s->file_index = pick(3) ? 0 : pick(6);
        break;
    case IORING_OP_STATX:
        s->len = pick(0x1000);
        s->off = (uintptr_t)scratch + pick(60000);
        break;
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
        s->splice_off_in = op == IORING_OP_TEE || pick(2) ? ~0ull : pick(100);
        s->splice_fd_in = FDS + (int)pick(NFDS);
        break;
    case IORING_OP_EPOLL_CTL:
        s->fd = FDS + 3;
        s->addr = (uintptr_t)scratch + EVENT;
        s->len = 1 + pick(3);
        s->off = FDS + pick(NFDS);
        break;
    case IORING_OP_FILES_UPDATE:
        s->len = 1 + pick(4);
        s->off = pick(8);
        break;
    case IORING_OP_RENAMEAT:
    case IORING_OP_LINKAT:
        s->len = (uint32_t)AT_FDCWD;
        break;
    case IORING_OP_MKDIRAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_SYMLINKAT:
        s->len = op == IORING_OP_MKDIRAT ? 0700 : 0;
        break;
    default:
        break;
    }
    if (takes_names(op)) {
        s->fd = AT_FDCWD;
        s->addr = (uintptr_t)names[pick(countof(names))];
        if (op != IORING_OP_STATX && op != IORING_OP_OPENAT2)
            s->off = (uintptr_t)names[pick(countof(names))];
        if (op == IORING_OP_MKDIRAT || op == IORING_OP_UNLINKAT || op == IORING_OP_OPENAT)
            s->off = 0;
    }
}

// ... and then is not, here and there.
static void garbage(sqe_t *s, int op, uint64_t data)
{
    memset(s, 0, sizeof *s);
    plausible(s, op);
    s->opcode = (uint8_t)op;
    s->user_data = data;
    s->flags = pick(3) ? 0 : 1u << pick(7);
    if (odd())
        s->flags = (uint8_t)mt_random(&seed);
    if (odd())
        s->ioprio = (uint16_t)mt_random(&seed);
    if (odd())
        s->fd = any_fd();
    if (odd())
        s->len = any_length();
    if (odd())
        s->rw_flags = pick(2) ? 1u << pick(32) : (uint32_t)mt_random(&seed);
    if (odd())
        s->buf_index = (uint16_t)mt_random(&seed);
    if (odd())
        s->personality = (uint16_t)pick(5);
    if (odd())
        s->splice_fd_in = any_fd();
    if (odd())
        s->addr3 = any_address();
    if (odd())
        s->addr = takes_names(op) ? any_name() : any_address();
    if (odd())
        s->off = takes_names(op) && op != IORING_OP_OPENAT2 && op != IORING_OP_STATX ? any_name()
                 : pick(2) ? any_offset() : any_address();
    if ((op == IORING_OP_OPENAT2 || op == IORING_OP_STATX) && odd())
        s->off = any_address();
    if (op == IORING_OP_RENAMEAT || op == IORING_OP_LINKAT)
        s->len = odd() ? (uint32_t)any_fd() : s->len;
    switch (op) { // where a value could reach beyond the sandbox
    case IORING_OP_NOP:
        s->rw_flags &= ~U_NOP_INJECT_RESULT; // any result is right then
        break;
    case IORING_OP_MADVISE:
        s->addr = (uintptr_t)scratch + pick(16) * PAGE;
        s->off = pick(SCRATCH);
        s->fadvise_advice = pick(26);
        break;
    case IORING_OP_FALLOCATE:
        s->off = pick(8) ? pick(1 << 20) : ~0ull;
        s->addr = pick(8) ? pick(1 << 20) : ~0ull;
        break;
    case IORING_OP_PROVIDE_BUFFERS:
        s->len = pick(4096);
        break;
    case IORING_OP_EPOLL_CTL:
        s->off = odd() ? (uint64_t)any_fd() : s->off;
        break;
    case 55: // ftruncate
        s->off = pick(1 << 20);
        break;
    default:
        break;
    }
}

static void fill_scratch(void)
{
    for (size_t i = 0; i < SCRATCH; i += 8) {
        uint64_t v = mt_random(&seed);
        memcpy(scratch + i, &v, 8);
    }
    struct iovec v[8];
    for (int i = 0; i < 8; i++)
        v[i] = (struct iovec){odd() ? (void *)any_address() : scratch + 2048 + pick(50000), odd() ? any_length() : pick(900)};
    memcpy(scratch + IOVECS, v, sizeof v);
    for (int i = 0; i < 4; i++) {
        struct __kernel_timespec ts = {pick(3) ? 0 : (long)pick(1000), pick(5000000)};
        memcpy(scratch + TIMES + i * 16, &ts, sizeof ts);
    }
    struct epoll_event e = {.events = pick(64), .data.u64 = 1};
    memcpy(scratch + EVENT, &e, sizeof e);
    int fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = odd() ? any_fd() : FDS + (int)pick(NFDS);
    memcpy(scratch + 1024, fds, sizeof fds);
}

static void reap(struct ring *r)
{
    cqe_t c;
    while (ring_peek(r, &c))
        // A notification tells how bytes were sent, in its highest bit.
        if (c.res < -4095 && !(c.flags & IORING_CQE_F_NOTIF))
            FAIL("request %lu: result %d", c.user_data, c.res);
}

// Rounds of random requests on fresh rings; the seed makes each round the same everywhere.
static void storm(uint64_t first_seed, int rounds, uint32_t flags)
{
    seed = first_seed;
    make_scratch();
    memset(long_name, 'n', sizeof long_name - 1);
    OK(mkdir("d", 0700));
    OK(symlink("loop", "loop"));
    for (int round = 0; round < rounds; round++) {
        struct ring r;
        ring_init(&r, 32, flags);
        make_fds();
        fill_scratch();
        int files[6];
        for (int i = 0; i < 6; i++)
            files[i] = pick(3) ? FDS + (int)pick(5) : -1;
        OK(u_register(r.fd, IORING_REGISTER_FILES, files, 6));
        struct iovec fixed = {scratch, SCRATCH};
        OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &fixed, 1));
        for (int batch = 0; batch < 4; batch++) {
            int n = 1 + (int)pick(32);
            while (r.tail - atomic_load(r.sq_head) < r.p.sq_entries && n-- > 0)
                garbage(ring_sqe(&r), pick(10) ? (int)pick(U_OP_LAST_6_18) : (int)pick(256), round * 1000 + batch * 100 + n);
            ring_publish(&r);
            // A batch ends at a wrong request: enter again for the rest.
            for (int i = 0; i < 40 && r.tail != atomic_load(r.sq_head); i++) {
                int got = u_enter(r.fd, r.tail - atomic_load(r.sq_head), 0, IORING_ENTER_GETEVENTS, NULL, 0);
                if (got < 0)
                    CHECK(errno == EBUSY || errno == EAGAIN || errno == EINTR);
                reap(&r);
            }
        }
        // Whatever waits is told to stop, and the ring goes with what is left.
        if (r.tail - atomic_load(r.sq_head) < r.p.sq_entries)
            add_cancel(&r, 0, IORING_ASYNC_CANCEL_ANY, 5);
        ring_publish(&r);
        u_enter(r.fd, r.tail - atomic_load(r.sq_head), 0, IORING_ENTER_GETEVENTS, NULL, 0);
        reap(&r);
        drop_fds(r.fd);
        ring_drop(&r);
    }
    drop_fds(-1);
    drop_scratch();
    a_new_ring_works();
}

TEST(random_requests) { storm(1, 25, 0); }
TEST(random_requests_submit_all) { storm(2, 25, IORING_SETUP_SUBMIT_ALL); }
TEST(random_requests_no_array) { storm(3, 25, U_SETUP_NO_SQARRAY | IORING_SETUP_COOP_TASKRUN); }
TEST(random_requests_deferred) { storm(4, 25, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN); }

TEST(every_opcode_with_zeros_and_ones)
{
    // A request of zeros and one of ones for each opcode; those that would wait are cancelled.
    struct ring r;
    ring_init(&r, 4, 0);
    int keep[3];
    for (int i = 0; i < 3; i++)
        keep[i] = OK(dup(i)); // a CLOSE of descriptor 0 is among them
    for (int op = 0; op < 256; op++) {
        for (int ones = 0; ones < 2; ones++) {
            sqe_t *s = ring_sqe(&r);
            memset(s, ones ? 0xff : 0, sizeof *s);
            s->opcode = (uint8_t)op;
            s->user_data = op;
            if (ones)
                s->flags = 0;
            ring_publish(&r);
            OK(u_enter(r.fd, 1, 0, 0, NULL, 0));
            add_cancel(&r, op, IORING_ASYNC_CANCEL_ALL, 1000);
            ring_publish(&r);
            OK(u_enter(r.fd, 1, 0, 0, NULL, 0));
            for (uint64_t data = 0; data != 1000;) {
                cqe_t c = ring_wait(&r);
                CHECK(c.res >= -4095);
                data = c.user_data;
            }
            reap(&r);
        }
    }
    for (int i = 0; i < 3; i++) {
        OK(dup2(keep[i], i));
        OK(close(keep[i]));
    }
    ring_drop(&r);
    drop_fds(-1);
    a_new_ring_works();
}

TEST(random_registrations)
{
    seed = 99;
    make_scratch();
    for (int round = 0; round < 60; round++) {
        struct ring r;
        ring_init(&r, 8, pick(4) ? 0 : IORING_SETUP_R_DISABLED);
        make_fds();
        for (int i = 0; i < 20; i++) {
            for (int j = 0; j < 256; j++) {
                // Small numbers pass for descriptors, counts and flags; anything larger is no address of the program.
                uint64_t v = pick(3) ? pick(4) : pick(2) ? FDS + pick(NFDS) : mt_random(&seed) | 1ull << 62;
                memcpy(scratch + j * 8, &v, 8);
            }
            uint32_t op = pick(10) ? pick(40) : (uint32_t)mt_random(&seed);
            if (op == 33) // resizing moves the rings away from their mappings
                continue;
            void *arg = pick(5) ? scratch + pick(100) * 8 : (void *)(uintptr_t)any_address();
            int n = u_register(r.fd, op, pick(6) ? arg : NULL, pick(3) ? pick(20) : (uint32_t)mt_random(&seed));
            CHECK(n >= -1);
        }
        if (r.tail == 0 && !(r.p.flags & IORING_SETUP_R_DISABLED)) {
            garbage(ring_sqe(&r), IORING_OP_READ_FIXED, 1);
            ring_publish(&r);
            u_enter(r.fd, 1, 0, 0, NULL, 0);
        }
        drop_fds(r.fd);
        ring_drop(&r);
    }
    drop_fds(-1);
    drop_scratch();
    a_new_ring_works();
}
