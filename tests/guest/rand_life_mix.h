// The objects of the actors, and one request or chain by chance. What takes data takes it from things of the submitter's own.
#ifndef MOAT_RAND_LIFE_MIX_H
#define MOAT_RAND_LIFE_MIX_H

#include "rand_life.h"

#define U_OP_WAITID 50
#define U_OP_FUTEX_WAIT 51
#define U_OP_FUTEX_WAKE 52
#define U_SEND_MSG_RING 31

enum { BLOCK = 50, EPOCH = 50, RINGS = 4, SETS = ACTORS + RINGS, WORDS = 3, ROOMS = 512, ROOM = 64, ENTRIES = 16 };

// What one task reads from: its own, so that no two race for data.
struct set {
    int pipe[2], pair[2], event;
};

struct slot {
    struct ring r;
    bool open, mapped;
    int owner, set; // who runs what is deferred; whose things its poller takes data from
};

static struct arena {
    struct actor actors[ACTORS];
    uint32_t words[SETS * WORDS];
    char rooms[ROOMS][ROOM];
    siginfo_t infos[ROOMS];
    struct io_uring_params params;
    struct __kernel_timespec ts;
    struct { uint64_t sigmask; uint32_t size, min_wait; uint64_t ts; } arg;
    uint64_t sigmask;
    char data[256];
} *arena;

static struct set sets[SETS];
static struct slot rings[RINGS];
static int epoll, notice[RINGS];
static int kid_of_step = -1; // the child that a request in the making waits for, or -1
static bool waited[KIDS]; // a request waits for the child: whose end is its own
static uint64_t next_data;
static uint32_t tally[64], ended[64], actions[40];
static uint8_t op_of[1 << 20];
static bool slow; // what the step does goes on in tasks of the kernel
static const struct __kernel_timespec long_time = {1000, 0}, short_time = {0, 1000000};

static struct actor *any_idle(void)
{
    for (;;) {
        struct actor *a = &actors[pick(ACTORS)];
        if (a->alive && !a->busy)
            return a;
    }
}

static void make_set(struct set *s, int i)
{
    OK(pipe2(s->pipe, O_NONBLOCK));
    if (i % 2)
        OK(fcntl(s->pipe[0], F_SETFL, 0));
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->pair));
    s->event = OK(eventfd(0, EFD_NONBLOCK));
}

static void drop_set(struct set *s)
{
    drop(s->pipe);
    drop(s->pair);
    OK(close(s->event));
}

// Mostly one that somebody may wait for.
static struct set *any_set(void) { return &sets[odds(5) ? pick(SETS) : pick(ACTORS)]; }

static int any_fd(void)
{
    struct set *s = any_set();
    const int fds[] = {s->pipe[0], s->pipe[0], s->pipe[1], s->pair[0], s->pair[0], s->pair[1], s->event, s->event};
    return fds[pick(countof(fds))];
}

static uint64_t some_data(void) { return odds(8) ? 1 << 30 : next_data - pick(next_data < 12 ? (uint32_t)next_data + 1 : 12); }

// Something that waits; what it takes is of the submitter's own set.
static void prepare_wait(sqe_t *s, struct set *own)
{
    uint64_t data = s->user_data;
    char *at = arena->rooms[data % ROOMS];
    switch (pick(10)) {
    case 0:
    case 1:
    case 2: {
        static const uint32_t some[] = {POLLIN, POLLIN, POLLOUT | POLLIN, POLLHUP, POLLRDHUP, 1u << 31 | POLLIN, 1u << 30 | POLLIN};
        if (odds(4)) { // of a ring, only once: it may be ready often at a time
            prep(s, IORING_OP_POLL_ADD, odds(4) ? epoll : rings[pick(RINGS)].r.fd, NULL, 0, 0, data)->poll32_events = POLLIN;
            return;
        }
        prep(s, IORING_OP_POLL_ADD, any_fd(), NULL, odds(2) ? 1 : 0, 0, data)->poll32_events = some[pick(countof(some))];
        return;
    }
    case 3:
    case 4: prep(s, IORING_OP_READ, own->pipe[0], at, 1 + pick(ROOM), ~0ull, data); return;
    case 5: prep(s, IORING_OP_RECV, own->pair[0], at, 1 + pick(ROOM), 0, data)->msg_flags = odds(3) ? MSG_WAITALL : 0; return;
    case 6: prep(s, IORING_OP_READ, own->event, at, 8, ~0ull, data); return;
    case 7:
        prep(s, U_OP_FUTEX_WAIT, FUTEX_32, &arena->words[pick(WORDS)], 0, odds(8), data)->addr3 = odds(3) ? 1u << pick(3) : ~0u;
        return;
    case 8:
        prep(s, IORING_OP_TIMEOUT, -1, &long_time, 1, odds(2) ? 1 + pick(4) : 0, data);
        return;
    default: {
        int kid = pick(KIDS);
        if (waited[kid] || kid_of_step >= 0 || !actors[FIRST_KID + kid].alive) {
            prep(s, IORING_OP_NOP, -1, NULL, 0, 0, data);
            return;
        }
        kid_of_step = kid;
        prep(s, U_OP_WAITID, actors[FIRST_KID + kid].tid, NULL, P_PID, (uintptr_t)&arena->infos[data % ROOMS], data)->file_index = WEXITED;
    }
    }
}

// Something that ends at once and may end what others wait for.
static void prepare_event(sqe_t *s)
{
    uint64_t data = s->user_data;
    static const uint32_t keys[] = {0, 0, 0, 1, 2, 3, 4, 5, 16};
    switch (pick(10)) {
    case 0: prep(s, IORING_OP_WRITE, any_set()->pipe[1], arena->data + pick(64), 1 + pick(90), ~0ull, data); return;
    case 1: prep(s, IORING_OP_SEND, any_set()->pair[1], arena->data + pick(64), 1 + pick(90), 0, data)->msg_flags = MSG_NOSIGNAL; return;
    case 2: prep(s, IORING_OP_WRITE, any_set()->event, &arena->params.resv[0], 8, ~0ull, data); return;
    case 3: prep(s, U_OP_FUTEX_WAKE, FUTEX_32, &arena->words[pick(WORDS)], 0, 1 + pick(3), data)->addr3 = odds(3) ? 1u << pick(3) : ~0u; return;
    case 4:
    case 5: prep(s, IORING_OP_ASYNC_CANCEL, any_fd(), (void *)some_data(), 0, 0, data)->cancel_flags = keys[pick(countof(keys))]; return;
    case 6:
        prep(s, IORING_OP_POLL_REMOVE, -1, (void *)some_data(), odds(2) ? 0 : 1 + pick(3), odds(2) ? ++next_data : 0, data);
        s->poll32_events = s->len & 2 ? POLLIN | POLLOUT : 0;
        return;
    case 7:
    case 8: prep(s, IORING_OP_MSG_RING, rings[pick(RINGS)].r.fd, NULL, pick(100), data + (1 << 21), data)->msg_ring_flags = odds(5); return;
    default: prep(s, IORING_OP_NOP, -1, NULL, 0, 0, data); return;
    }
}

static sqe_t *begin(struct slot *k)
{
    sqe_t *s = &k->r.sqes[k->r.tail++ & (k->r.p.sq_entries - 1)];
    memset(s, 0, sizeof *s);
    s->user_data = ++next_data;
    return s;
}

static void told_sqe(const sqe_t *s)
{
    tally[s->opcode & 63]++;
    if (s->user_data < sizeof op_of)
        op_of[s->user_data] = s->opcode;
    note("  %lu: op %d flags %x len %u rw %x\n", (unsigned long)s->user_data, s->opcode, s->flags, s->len, s->rw_flags);
    if (loud)
        printf("      fd %d off %lx addr %lx\n", s->fd, s->off < 1 << 22 ? (unsigned long)s->off : 0xaddul, s->addr < 1 << 22 ? (unsigned long)s->addr : 0xaddul);
}

// Makes requests: one of any kind, or a chain that waits and ends with an event.
static uint32_t make_requests(struct slot *k, int who)
{
    struct set *own = &sets[k->r.p.flags & IORING_SETUP_SQPOLL ? k->set : who];
    int n = odds(3) ? 2 + (int)pick(3) : 1;
    for (int i = 0; i < n; i++) {
        sqe_t *s = begin(k);
        bool limit = i == 1 && odds(3);
        if (limit) {
            bool soon = odds(2);
            prep(s, IORING_OP_LINK_TIMEOUT, -1, soon ? &short_time : &long_time, 1, 0, s->user_data);
            slow |= soon;
        } else if (n == 1 ? odds(2) : i == n - 1) {
            prepare_event(s);
        } else {
            prepare_wait(s, own);
        }
        s->flags |= i < n - 1 ? odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK : 0;
        told_sqe(s);
    }
    return ring_publish(&k->r);
}

static struct slot *any_ring(void)
{
    for (int i = 0; i < 20; i++) {
        struct slot *k = &rings[pick(RINGS)];
        if (k->open && k->mapped)
            return k;
    }
    return NULL;
}

#endif
