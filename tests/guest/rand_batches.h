// The state of the random requests: rings of every kind, and lanes. What runs at the same time runs in different lanes, and lanes
// share nothing; so every result is given, while the order of completions of different lanes is open.
#ifndef MOAT_RAND_BATCHES_H
#define MOAT_RAND_BATCHES_H

#include "rand.h"
#include "uring_net.h"
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/xattr.h>

enum {
    LANES = 8, CHAIN = 6, AREA = 16384, SLOTS = 8, SPARE = 4, TABLE = LANES * SLOTS + 8,
    BARRIER = 9999, BUFS = 8, BUF_SIZE = 512, RING_GROUP = 32,
};

struct lane {
    char dir[8];
    int files[2], pipe[2], more[2], pair[2], event, epoll;
    char *area;          // what requests read and write
    char *pool;          // provided buffers: BUFS of the legacy group, then BUFS of the ring group
    struct pbuf_ring bufs;
    uint32_t word;       // a futex nobody waits for
    struct statx stats;
    siginfo_t child;
    struct sockaddr_un name;
    struct iovec vectors[CHAIN][4];
    struct msghdr messages[CHAIN];
    char paths[10][24];
    bool used;
};

static struct lane lanes[LANES];
static struct ring r, peer;
static bool sq_polls, large_sqe;
static bool drains; // of a ring: some of its requests have IO_DRAIN
static bool alone; // the request in the making is its whole chain
static char *every_area;

// Everything that is seen goes through here: into the block's hash, and to the output when it is asked for.
static uint64_t seen_hash;
static bool loud;
static uint64_t requests_made;

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (int i = 0; i < n; i++)
        seen_hash = (seen_hash ^ (unsigned char)line[i]) * 0x100000001b3ull;
    if (loud)
        fputs(line, stdout);
}

static uint64_t hash_words(const void *p, size_t size)
{
    uint64_t h = 1469598103934665603ull;
    const uint64_t *w = p;
    for (size_t i = 0; i < size / 8; i++)
        h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
    return h;
}

struct seen {
    uint64_t data, extra[2];
    int32_t res;
    uint32_t flags;
};

// The next completion of a ring of any kind.
static bool take(struct ring *ring, struct seen *out)
{
    for (;;) {
        uint32_t head = atomic_load(ring->cq_head), mask = ring->p.cq_entries - 1;
        bool wide = ring->p.flags & IORING_SETUP_CQE32;
        if (head == atomic_load(ring->cq_tail))
            return false;
        const cqe_t *c = &ring->cqes[(head & mask) << wide];
        bool two = !wide && (c->flags & 1u << 15) && (ring->p.flags & U_SETUP_CQE_MIXED);
        *out = (struct seen){.data = c->user_data, .res = c->res, .flags = c->flags};
        if (wide || two)
            memcpy(out->extra, c + 1, 16);
        atomic_store(ring->cq_head, head + 1 + two);
        if (!(ring->p.flags & U_SETUP_CQE_MIXED) || !(out->flags & 1u << 5)) // a gap at the ring's end
            return true;
    }
}

static sqe_t *next_sqe(void)
{
    CHECK(r.tail - atomic_load(r.sq_head) < r.p.sq_entries);
    sqe_t *s = (sqe_t *)((char *)r.sqes + ((size_t)(r.tail++ & (r.p.sq_entries - 1)) << (6 + large_sqe)));
    memset(s, 0, 64 << large_sqe);
    requests_made++;
    return s;
}

static int enter_for(struct ring *ring, uint32_t submit, uint32_t wait, long ms)
{
    struct __kernel_timespec ts = {ms / 1000, ms % 1000 * 1000000};
    struct {
        uint64_t sigmask;
        uint32_t size, pad;
        uint64_t ts;
    } arg = {0, 8, 0, (uintptr_t)&ts};
    uint32_t flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (ring->p.flags & IORING_SETUP_SQPOLL)
        flags |= IORING_ENTER_SQ_WAKEUP;
    return u_enter(ring->fd, submit, wait, flags, &arg, sizeof arg);
}

static int by_data(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return x->data != y->data ? (x->data < y->data ? -1 : 1) : 0;
}

static void tell(struct seen *all, int n, const char *where)
{
    // Stable: completions of one request keep their order.
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && by_data(&all[j - 1], &all[j]) > 0; j--) {
            struct seen t = all[j];
            all[j] = all[j - 1];
            all[j - 1] = t;
        }
    for (int i = 0; i < n; i++)
        note("    %s %lu: %s %d flags %x %lx %lx\n", where, (unsigned long)all[i].data, all[i].res < 0 ? mt_errno(-all[i].res) : "",
             all[i].res < 0 ? 0 : all[i].res, all[i].flags, (unsigned long)all[i].extra[0], (unsigned long)all[i].extra[1]);
}

// Submits what was made, request by request where a wrong one ends the batch; the results of entering are part of what is seen.
static void submit_all(void)
{
    uint32_t n = ring_publish(&r);
    if (sq_polls) {
        enter_for(&r, n, 0, 0);
        return;
    }
    for (uint32_t taken = 0; taken < n;) {
        int k = u_enter(r.fd, n - taken, 0, 0, NULL, 0);
        note("    enter %d %s\n", k, error_of(k));
        if (k <= 0)
            break;
        taken += (uint32_t)k;
    }
}

// What has completed by now, or within 5 s until `want` requests have ended or the barrier has come. False: they did not come.
static bool collect(struct seen *all, int *n, int most, int want)
{
    uint64_t end = mt_now_ns(CLOCK_MONOTONIC) + 5000000000ull;
    bool barrier = false;
    int ended = 0;
    for (int i = 0; i < *n; i++)
        ended += !(all[i].flags & IORING_CQE_F_MORE);
    for (int missing = 0;;) {
        while (*n < most && take(&r, &all[*n])) {
            barrier |= all[*n].data == BARRIER;
            ended += !(all[*n].flags & IORING_CQE_F_MORE);
            (*n)++;
        }
        missing = want < 0 ? !barrier : want - ended;
        if (missing <= 0 || mt_now_ns(CLOCK_MONOTONIC) > end)
            return missing <= 0;
        enter_for(&r, 0, want < 0 ? 1 : (uint32_t)missing, 1000);
    }
}

// Ends what should have ended by itself, so that the difference shows and the run goes on.
static void stuck(struct seen *all, int *n, int most)
{
    note("    stuck\n");
    sqe_t *s = prep(next_sqe(), IORING_OP_ASYNC_CANCEL, -1, NULL, 0, 0, 8888);
    s->cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    submit_all();
        collect(all, n, most, -1);
}

#endif
