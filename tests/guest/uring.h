// io_uring without a library: set-up, the three mappings, submission and completion, and the requests' fields.
#ifndef MOAT_URING_H
#define MOAT_URING_H

#include "moat_test.h"
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/uio.h>

// What the header of an older kernel may lack.
#define U_SETUP_NO_MMAP (1u << 14)
#define U_SETUP_REGISTERED_FD_ONLY (1u << 15)
#define U_SETUP_NO_SQARRAY (1u << 16)
#define U_SETUP_HYBRID_IOPOLL (1u << 17)
#define U_SETUP_CQE_MIXED (1u << 18)
#define U_ENTER_ABS_TIMER (1u << 5)
#define U_ENTER_EXT_ARG_REG (1u << 6)
#define U_ENTER_NO_IOWAIT (1u << 7)
#define U_TIMEOUT_MULTISHOT (1u << 6)
#define U_NOP_INJECT_RESULT (1u << 0)
#define U_OP_READ_MULTISHOT 49
#define U_OP_LAST_6_18 63

#ifndef SPLICE_F_FD_IN_FIXED
#define SPLICE_F_FD_IN_FIXED (1u << 31)
#endif

typedef struct io_uring_sqe sqe_t;
typedef struct {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
} cqe_t;

// Arguments of registrations.
struct rsrc_register {
    uint32_t nr, flags;
    uint64_t resv2, data, tags;
};

struct rsrc_update2 {
    uint32_t offset, resv;
    uint64_t data, tags;
    uint32_t nr, resv2;
};

struct clone_buffers {
    uint32_t src_fd, flags, src_off, dst_off, nr, pad[3];
};

struct rsrc_update {
    uint32_t offset, resv;
    uint64_t data;
};

struct ring {
    int fd;
    struct io_uring_params p;
    _Atomic uint32_t *sq_head, *sq_tail, *sq_flags, *sq_dropped, *cq_head, *cq_tail, *cq_flags, *cq_overflow;
    uint32_t *sq_array; // NULL with NO_SQARRAY
    sqe_t *sqes;
    cqe_t *cqes;
    void *ring_map, *sqe_map;
    size_t ring_size, sqe_size;
    uint32_t tail;      // of the requests made; published by ring_submit
    uint32_t published;
};

static inline int u_setup(uint32_t entries, struct io_uring_params *p)
{
    return (int)syscall(SYS_io_uring_setup, entries, p);
}

static inline int u_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags, const void *arg, size_t size)
{
    return (int)syscall(SYS_io_uring_enter, fd, to_submit, min_complete, flags, arg, size);
}

static inline int u_register(int fd, uint32_t opcode, const void *arg, uint32_t nr)
{
    return (int)syscall(SYS_io_uring_register, fd, opcode, arg, nr);
}

// For ordinary users the memory of rings counts as locked, and that of closed ones is given back late.
static inline int u_setup_patient(uint32_t entries, struct io_uring_params *p)
{
    struct io_uring_params asked = *p;
    for (int i = 0;; i++) {
        *p = asked;
        int fd = u_setup(entries, p);
        if (fd >= 0 || errno != ENOMEM || geteuid() == 0 || i == 100)
            return fd;
        mt_sleep_us(10000);
    }
}

// Maps the rings of a descriptor that io_uring_setup gave with r->p.
MT_UNUSED static void ring_map(struct ring *r)
{
    const struct io_uring_params *p = &r->p;
    size_t sq = p->sq_off.array + (p->flags & U_SETUP_NO_SQARRAY ? 0 : p->sq_entries * sizeof(uint32_t));
    size_t cq = p->cq_off.cqes + p->cq_entries * (sizeof(cqe_t) << !!(p->flags & IORING_SETUP_CQE32));
    r->ring_size = sq > cq ? sq : cq;
    r->sqe_size = p->sq_entries * (sizeof(sqe_t) << !!(p->flags & IORING_SETUP_SQE128));
    r->ring_map = OK(mmap(NULL, r->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING));
    r->sqe_map = OK(mmap(NULL, r->sqe_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES));
    char *m = r->ring_map;
    r->sq_head = (void *)(m + p->sq_off.head);
    r->sq_tail = (void *)(m + p->sq_off.tail);
    r->sq_flags = (void *)(m + p->sq_off.flags);
    r->sq_dropped = (void *)(m + p->sq_off.dropped);
    r->sq_array = p->flags & U_SETUP_NO_SQARRAY ? NULL : (void *)(m + p->sq_off.array);
    r->cq_head = (void *)(m + p->cq_off.head);
    r->cq_tail = (void *)(m + p->cq_off.tail);
    r->cq_flags = (void *)(m + p->cq_off.flags);
    r->cq_overflow = (void *)(m + p->cq_off.overflow);
    r->cqes = (void *)(m + p->cq_off.cqes);
    r->sqes = r->sqe_map;
    for (uint32_t i = 0; r->sq_array && i < p->sq_entries; i++)
        r->sq_array[i] = i;
    r->tail = r->published = atomic_load(r->sq_tail);
}

MT_UNUSED static void ring_init_params(struct ring *r, uint32_t entries, const struct io_uring_params *p)
{
    memset(r, 0, sizeof *r);
    r->p = *p;
    r->fd = OK(u_setup_patient(entries, &r->p));
    ring_map(r);
}

MT_UNUSED static void ring_init(struct ring *r, uint32_t entries, uint32_t flags)
{
    struct io_uring_params p = {.flags = flags};
    ring_init_params(r, entries, &p);
}

MT_UNUSED static uint32_t ring_ready(struct ring *r) { return atomic_load(r->cq_tail) - atomic_load(r->cq_head); }

// Closes and unmaps, whatever is still in the rings.
MT_UNUSED static void ring_drop(struct ring *r)
{
    OK(munmap(r->ring_map, r->ring_size));
    OK(munmap(r->sqe_map, r->sqe_size));
    OK(close(r->fd));
}

// Closes and unmaps; a completion that nobody waited for is an error.
MT_UNUSED static void ring_exit(struct ring *r)
{
    if (!(r->p.flags & IORING_SETUP_R_DISABLED))
        OK(u_enter(r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    if (ring_ready(r) != 0) {
        const cqe_t *c = &r->cqes[atomic_load(r->cq_head) & (r->p.cq_entries - 1)];
        FAIL("%u completions left, the first with data %lu, result %d", ring_ready(r), c->user_data, c->res);
    }
    CHECK_EQ(atomic_load(r->cq_overflow), 0);
    CHECK_EQ(atomic_load(r->sq_dropped), 0);
    ring_drop(r);
}

// The next request of the submission queue, zeroed.
MT_UNUSED static sqe_t *ring_sqe(struct ring *r)
{
    CHECK(r->tail - atomic_load(r->sq_head) < r->p.sq_entries);
    sqe_t *s = &r->sqes[r->tail++ & (r->p.sq_entries - 1)];
    memset(s, 0, sizeof *s);
    return s;
}

// Makes the requests visible without entering; returns their number.
MT_UNUSED static uint32_t ring_publish(struct ring *r)
{
    uint32_t n = r->tail - r->published;
    r->published = r->tail;
    atomic_store(r->sq_tail, r->tail);
    return n;
}

MT_UNUSED static int ring_submit(struct ring *r)
{
    uint32_t n = ring_publish(r);
    int done = OK(u_enter(r->fd, n, 0, 0, NULL, 0));
    CHECK_EQ(done, n);
    return done;
}

MT_UNUSED static bool ring_peek(struct ring *r, cqe_t *c)
{
    uint32_t head = atomic_load(r->cq_head);
    if (head == atomic_load(r->cq_tail))
        return false;
    *c = r->cqes[head & (r->p.cq_entries - 1)];
    atomic_store(r->cq_head, head + 1);
    return true;
}

// Waits for the next completion and takes it.
MT_UNUSED static cqe_t ring_wait(struct ring *r)
{
    cqe_t c = {0, 0, 0};
    while (!ring_peek(r, &c))
        if (u_enter(r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
            CHECK_EQ(errno, EINTR);
    return c;
}

// Submits what was made and waits for one completion; its result. It must carry this user_data.
MT_UNUSED static int ring_result(struct ring *r, uint64_t data)
{
    ring_submit(r);
    cqe_t c = ring_wait(r);
    CHECK_EQ(c.user_data, data);
    return c.res;
}

// Waits for n completions; out[user_data - 1] is the one with that user_data, which all must be 1..n.
MT_UNUSED static void ring_collect(struct ring *r, cqe_t *out, uint32_t n)
{
    bool seen[256] = {false};
    CHECK(n < 256);
    for (uint32_t i = 0; i < n; i++) {
        cqe_t c = ring_wait(r);
        if (c.user_data < 1 || c.user_data > n || seen[c.user_data])
            FAIL("a completion with data %lu and result %d", c.user_data, c.res);
        seen[c.user_data] = true;
        out[c.user_data - 1] = c;
    }
}

// Takes no completion for a while and looks that none comes: what must not happen gets its chance.
MT_UNUSED static void ring_quiet(struct ring *r)
{
    for (int i = 0; i < 5; i++) {
        mt_sleep_us(2000);
        OK(u_enter(r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    }
    CHECK_EQ(ring_ready(r), 0);
}

// A number that /proc/self/fdinfo tells of the ring; -99: it tells nothing of that name.
MT_UNUSED static int ring_field(const struct ring *r, const char *name)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", r->fd);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    int value = -99;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atoi(line + strlen(name));
    fclose(f);
    return value;
}

static inline sqe_t *prep(sqe_t *s, int op, int fd, const void *addr, uint32_t len, uint64_t off, uint64_t data)
{
    s->opcode = (uint8_t)op;
    s->fd = fd;
    s->addr = (uintptr_t)addr;
    s->len = len;
    s->off = off;
    s->user_data = data;
    return s;
}

#define ADD(r, op, ...) prep(ring_sqe(r), IORING_OP_##op, __VA_ARGS__)

static inline sqe_t *add_nop(struct ring *r, uint64_t data) { return ADD(r, NOP, -1, NULL, 0, 0, data); }

static inline sqe_t *add_poll(struct ring *r, int fd, uint32_t events, uint64_t data)
{
    sqe_t *s = ADD(r, POLL_ADD, fd, NULL, 0, 0, data);
    s->poll32_events = events;
    return s;
}

static inline sqe_t *add_timeout(struct ring *r, const struct __kernel_timespec *ts, uint32_t count, uint32_t flags,
                                 uint64_t data)
{
    sqe_t *s = ADD(r, TIMEOUT, -1, ts, 1, count, data);
    s->timeout_flags = flags;
    return s;
}

static inline sqe_t *add_cancel(struct ring *r, uint64_t target, uint32_t flags, uint64_t data)
{
    sqe_t *s = ADD(r, ASYNC_CANCEL, -1, (void *)(uintptr_t)target, 0, 0, data);
    s->cancel_flags = flags;
    return s;
}

#endif
