// The state of the random requests: rings of every kind, and lanes. What runs at the same time runs in different lanes, and lanes
// share nothing; so every result is given, while the order of completions of different lanes is open.
#ifndef MOAT_RAND_BATCHES_H
#define MOAT_RAND_BATCHES_H

#include "rand_seen.h"
#include <linux/futex.h>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/xattr.h>

#define U_OP_FD_INSTALL 54

enum {
    LANES = 8, CHAIN = 6, AREA = 16384, SLOTS = 8, SPARE = 4, TABLE = LANES * SLOTS + 8,
    BARRIER = 9999, BUFS = 8, BUF_SIZE = 512, RING_GROUP = 32,
};

// What was asked for and what came of it: by operation and errno, by flag of requests and of rings.
enum { OPS = 64, ERRNOS = 134, ENDS = 1024 };
static uint32_t tally_op[OPS][ERRNOS], tally_flag[8], tally_setup[20];

struct lane {
    char dir[8];
    int files[2], pipe[2], more[2], pair[2], event, epoll;
    char *area;          // what requests read and write
    char *pool;          // provided buffers: BUFS of the legacy group, then BUFS of the ring group
    struct pbuf_ring bufs;
    uint32_t word;       // a futex nobody waits for
    struct futex_waitv words[2];
    struct statx stats;
    siginfo_t child;
    struct sockaddr_un name;
    struct iovec vectors[CHAIN][4];
    struct msghdr messages[CHAIN];
    char paths[10][24];
    bool used;
    // The chain of this step: its operations and flags; what it waits for is the last one's completion, or that of one before it
    // that was to be silent and is not.
    uint8_t ops[CHAIN], flags[CHAIN];
    int length;
    bool ended;
};

static struct lane lanes[LANES];
static struct ring r, peer;
static bool sq_polls, large_sqe;
static bool drains; // of a ring: some of its requests have IO_DRAIN
static bool skips;  // of a ring: some of its requests are to be silent
static bool alone; // the request in the making is its whole chain
static char *every_area;
static uint64_t requests_made;

static sqe_t *next_sqe(void)
{
    CHECK(r.tail - atomic_load(r.sq_head) < r.p.sq_entries);
    sqe_t *s = (sqe_t *)((char *)r.sqes + ((size_t)(r.tail++ & (r.p.sq_entries - 1)) << (6 + large_sqe)));
    memset(s, 0, 64 << large_sqe);
    requests_made++;
    return s;
}

// What came of a request: counted; a descriptor that it made is closed, and its number, which depends on what ran before, not told.
static void settle(struct seen *c)
{
    uint64_t at = c->data - 1000;
    if (at >= LANES * 16 || at % 16 >= CHAIN)
        return;
    struct lane *l = &lanes[at / 16];
    uint8_t op = l->ops[at % 16];
    uint32_t e = c->res < 0 ? -(uint32_t)c->res : 0;
    tally_op[op < OPS ? op : OPS - 1][e < ERRNOS ? e : ERRNOS - 1]++;
    if (c->res > 2 && (op == IORING_OP_OPENAT || op == IORING_OP_OPENAT2 || op == IORING_OP_SOCKET || op == IORING_OP_ACCEPT || op == U_OP_FD_INSTALL)) {
        OK(close(c->res));
        c->res = 3;
    }
    bool last = (int)(at % 16) == l->length - 1;
    bool silenced = l->flags[at % 16] & IOSQE_CQE_SKIP_SUCCESS;
    if (!(c->flags & IORING_CQE_F_MORE) && (last || silenced))
        l->ended = true;
}

static void tell_tally(void)
{
    for (int op = 0; op < OPS; op++) {
        printf("op %d:", op);
        for (int e = 0; e < ERRNOS; e++)
            if (tally_op[op][e] != 0)
                printf(" %s %u", e ? mt_errno(e) : "ok", tally_op[op][e]);
        printf("\n");
    }
    for (int i = 0; i < 8; i++)
        printf("flag %x: %u\n", 1 << i, tally_flag[i]);
    for (int i = 0; i < 20; i++)
        if (tally_setup[i] != 0)
            printf("setup %x: %u\n", 1 << i, tally_setup[i]);
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

// How many chains of this step have not ended.
static int running(void)
{
    int n = 0;
    for (int i = 0; i < LANES; i++)
        n += lanes[i].used && !lanes[i].ended;
    return n;
}

// What has completed by now, or within 5 s until `want` requests have ended, or the barrier has come (-1), or all chains have ended (-2).
// False: they did not come.
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
            settle(&all[*n]);
            (*n)++;
        }
        missing = want == -2 ? running() : want < 0 ? !barrier : want - ended;
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
