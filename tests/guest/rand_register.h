// Rings, memory and descriptors of rand_register.c, and how it hands an argument to the kernel: mostly well, now and then at an odd place.
#ifndef MOAT_RAND_REGISTER_H
#define MOAT_RAND_REGISTER_H

#include "rand_seen.h"
#include "fault.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define PAGE 4096ul
#define USE_REGISTERED (1u << 31)
#define user_addr resv2 // as newer headers call it

enum { RINGS = 4, PIPES = RINGS, GROUPS = 4, FDS = 20, INDICES = 16 };

// All that arguments point to lies where it is the same in every run: arguments that come back are compared as they are.
#define ARENA (1ul << 44)
#define ARGS (char *)(ARENA)            // what a call is handed
#define LISTS (char *)(ARENA + 0x8000)  // arrays that arguments point to
#define EDGE (char *)(ARENA + 0x10000)  // one page, and none behind it
#define FIXED (char *)(ARENA + 0x20000) // one page, read-only
#define DATA (char *)(ARENA + 0x30000)
#define BUFFERS (char *)(ARENA + 0x50000) // buffer rings, a page for each ring and group
#define REGIONS (char *)(ARENA + 0x80000) // a page for each ring
#define OWN (char *)(ARENA + 0x100000)    // for rings without mmap: each has one that nobody had before, for a closed one ends later
#define NOWHERE (char *)(ARENA + 0xf0000)
enum { DATA_SIZE = 0x10000, OWN_SIZE = 0x40000 };

struct slot {
    struct ring ring;     // fd -1: reached by its index alone
    int index;            // among the task's registered rings; -1
    bool open, odd;       // odd: its rings are not where they can be looked at
    bool disabled;
    char *own;
    uint32_t stale;       // flags that another size has set, for the program to come by; how long is left open
    uint32_t files, buffers;
    int eventfd, personality;
    struct pbuf_ring groups[GROUPS];
    bool group_mapped[GROUPS];
    uint64_t region;      // where its waits are read from; 0: none
};

static struct slot slots[RINGS];
static int keeper; // a ring that nothing is done to
static int indices[INDICES]; // which ring is registered there; -1
static int fds[FDS], pipes[PIPES][2], events[RINGS];
static uint64_t next_data;
static uint32_t tally_op[64], tally_done[64], tally_setup[32], tally_enter;

static inline uint32_t some_number(void)
{
    static const uint32_t some[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 64, 255, 256, 1024, 4096, 32767, 32768, 65535, 65536, 1u << 20, 0x7fffffff, 1u << 31, ~0u - 1, ~0u};
    return some[pick(countof(some))];
}

static inline char *bad_address(void)
{
    static char *const some[] = {(char *)8, (char *)0x7ffffffff000, (char *)0xffff800000000000, (char *)~7ull};
    return odds(3) ? NOWHERE : some[pick(countof(some))];
}

// Copies an argument to where the call is to find it; what is behind it is zero, or not there.
static size_t placed, placed_size;
static void *place(const void *data, size_t size)
{
    char *at;
    placed_size = size;
    switch (pick(40)) {
    case 0: placed = 0; return NULL;
    case 1: placed = 0; return bad_address();
    case 2: at = EDGE + PAGE - size; break;
    case 3:
        placed_size = pick((uint32_t)size);
        at = EDGE + PAGE - placed_size;
        break;
    case 4:
        at = FIXED;
        OK(mprotect(FIXED, PAGE, PROT_READ | PROT_WRITE));
        memset(FIXED, 0, PAGE);
        memcpy(at, data, size);
        OK(mprotect(FIXED, PAGE, PROT_READ));
        placed = (size_t)at;
        return at;
    case 5: at = ARGS + 1 + pick(64); break;
    default: at = ARGS; break;
    }
    memset(ARGS, 0, 2 * PAGE);
    memcpy(at, data, placed_size);
    placed = (size_t)at;
    return at;
}

static uint32_t placed_hash(void) { return placed ? hash((void *)placed, placed_size) : 0; }

// By its descriptor or its index; not by chance, for some calls are made until something has happened.
static int handle_of(const struct slot *s, uint32_t *flag, uint32_t bit)
{
    static uint32_t turn;
    if (s->index >= 0 && (s->ring.fd < 0 || turn++ % 3 == 0)) {
        *flag |= bit;
        return s->index;
    }
    return s->ring.fd;
}

static long plain_register(struct slot *s, uint32_t op, void *arg, uint32_t nr)
{
    uint32_t bits = op;
    int fd = handle_of(s, &bits, USE_REGISTERED);
    return u_register(fd, bits, arg, nr);
}

static bool exact; // the next call has the number it is given

// Any registration: `arg` has what came back when it was to be had.
static long call(struct slot *s, uint32_t op, void *arg, size_t size, uint32_t nr)
{
    void *at = arg ? place(arg, size) : odds(30) ? ARGS : NULL;
    if (!arg)
        placed = 0;
    if (odds(25) && !exact)
        nr = odds(2) ? nr + 1 : some_number();
    exact = false;
    long n = plain_register(s, op, at, nr);
    int e = errno;
    note("  ring %d register %u nr %u = %ld %s %x\n", (int)(s - slots), op, nr, n, error_of(n), placed_hash());
    tally_op[op & 63]++;
    tally_done[op & 63] += n >= 0;
    if (placed && placed_size == size)
        memcpy(arg, (void *)placed, size);
    errno = e;
    return n;
}

static int ring_enter(struct slot *s, uint32_t submit, uint32_t wait, uint32_t flags, const void *arg, size_t size)
{
    int fd = handle_of(s, &flags, 16);
    return u_enter(fd, submit, wait, flags, arg, size);
}

static int enter_a_while(struct slot *s, uint32_t submit, uint32_t wait, long ms)
{
    struct __kernel_timespec ts = {ms / 1000, ms % 1000 * 1000000};
    struct {
        uint64_t sigmask;
        uint32_t size, pad;
        uint64_t ts;
    } arg = {0, 8, 0, (uintptr_t)&ts};
    return ring_enter(s, submit, wait, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | (s->ring.p.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0), &arg, sizeof arg);
}

// What one step makes complete is told by number: the order of cancellation is open.
static void look_at(struct slot *s)
{
    static struct seen seen[4096];
    static char probe[16];
    int n = 0;
    if (!s->open || s->odd)
        return;
    if (s->ring.p.flags & IORING_SETUP_SQPOLL) {
        memset(probe, 0, sizeof probe);
        plain_register(s, IORING_REGISTER_PROBE, probe, 0); // the polling thread is done with what it has taken
    }
    if (!s->disabled)
        enter_a_while(s, 0, 0, 0);
    while (n < (int)countof(seen) && take(&s->ring, &seen[n])) {
        n++;
        if (!s->disabled && atomic_load(s->ring.cq_head) == atomic_load(s->ring.cq_tail))
            enter_a_while(s, 0, 0, 0); // what has overflowed
    }
    tell(seen, n, "cqe");
    uint64_t v = 0;
    // With deferred work it tells of what there is to do and again of what is done, or not.
    if (s->eventfd >= 0 && n != 0 && read(events[s->eventfd], &v, 8) != 8 && !(s->ring.p.flags & IORING_SETUP_DEFER_TASKRUN))
        note("    told of nothing\n");
    if (!(s->ring.p.flags & IORING_SETUP_SQPOLL))
        note("    ring %d flags %x overflow %u dropped %u head %u\n", (int)(s - slots), atomic_load(s->ring.sq_flags) & ~s->stale, atomic_load(s->ring.cq_overflow),
             atomic_load(s->ring.sq_dropped), atomic_load(s->ring.sq_head));
}

static void map_rings(struct slot *s)
{
    struct ring *r = &s->ring;
    if (!(r->p.flags & U_SETUP_NO_MMAP)) {
        ring_map(r);
        return;
    }
    const struct io_uring_params *p = &r->p;
    char *m = (char *)(uintptr_t)p->cq_off.user_addr;
    r->sqes = (void *)(uintptr_t)p->sq_off.user_addr;
    r->sq_head = (void *)(m + p->sq_off.head);
    r->sq_tail = (void *)(m + p->sq_off.tail);
    r->sq_flags = (void *)(m + p->sq_off.flags);
    r->sq_dropped = (void *)(m + p->sq_off.dropped);
    r->cq_head = (void *)(m + p->cq_off.head);
    r->cq_tail = (void *)(m + p->cq_off.tail);
    r->cq_flags = (void *)(m + p->cq_off.flags);
    r->cq_overflow = (void *)(m + p->cq_off.overflow);
    r->cqes = (void *)(m + p->cq_off.cqes);
    if (!(p->flags & U_SETUP_NO_SQARRAY)) {
        r->sq_array = (void *)(m + p->sq_off.array);
        for (uint32_t i = 0; i < p->sq_entries; i++)
            r->sq_array[i] = i;
    }
    r->tail = r->published = atomic_load(r->sq_tail);
}

static void unmap_rings(struct ring *r)
{
    if (r->ring_map != NULL) {
        OK(munmap(r->ring_map, r->ring_size));
        OK(munmap(r->sqe_map, r->sqe_size));
    }
    r->ring_map = r->sqe_map = NULL;
}

static void drop_group(struct slot *s, int g)
{
    if (s->group_mapped[g] && s->groups[g].e != NULL)
        OK(munmap(s->groups[g].e, s->groups[g].size));
    s->groups[g].e = NULL;
    s->group_mapped[g] = false;
}

static void forget_index(int i)
{
    struct io_uring_rsrc_update u = {.offset = (uint32_t)i};
    OK(u_register(keeper, IORING_UNREGISTER_RING_FDS, &u, 1));
    indices[i] = -1;
}

static void close_ring(struct slot *s)
{
    if (!s->open)
        return;
    for (int i = 0; i < INDICES; i++)
        if (indices[i] == s - slots)
            forget_index(i);
    s->index = -1;
    unmap_rings(&s->ring);
    if (s->ring.fd >= 0)
        OK(close(s->ring.fd));
    if (s->own != NULL)
        OK(munmap(s->own, OWN_SIZE));
    for (int g = 0; g < GROUPS; g++)
        drop_group(s, g);
    s->open = false;
}

static void map_arena(void)
{
    static const struct { char *at; size_t size; int prot; } parts[] = {{ARGS, 2 * PAGE, 3}, {LISTS, 4 * PAGE, 3}, {EDGE, PAGE, 3}, {FIXED, PAGE, 1}, {DATA, DATA_SIZE, 3},
        {BUFFERS, RINGS * GROUPS * PAGE, 3}, {REGIONS, RINGS * 2 * PAGE, 3}};
    for (size_t i = 0; i < countof(parts); i++)
        OK(mmap(parts[i].at, parts[i].size, parts[i].prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0));
}

// The first GOOD ones can be waited for, or are never in the way: no request on them is a worker's.
enum { GOOD = 2 * PIPES + 5, SOCKETS = 2 * PIPES + 2 };

static void open_files(void)
{
    int n = 0;
    for (int i = 0; i < PIPES; i++) {
        OK(pipe(pipes[i]));
        fds[n++] = pipes[i][0], fds[n++] = pipes[i][1];
    }
    for (int i = 0; i < RINGS; i++)
        events[i] = OK(eventfd(0, EFD_NONBLOCK));
    for (int i = 0; i < 2; i++)
        fds[n++] = OK(eventfd(0, EFD_NONBLOCK));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, &fds[n])), n += 2;
    fds[n++] = OK(open("/dev/null", O_RDWR));
    CHECK(n == GOOD);
    fds[n++] = OK(epoll_create1(0));
    fds[n++] = OK(open(".", O_PATH));
    fds[n++] = 900;
    fds[n++] = -1;
    for (; n < FDS; n++)
        fds[n] = fds[pick(GOOD)];
}

static void close_files(void)
{
    for (int i = 0; i < GOOD + 2; i++)
        OK(close(fds[i]));
    for (int i = 0; i < RINGS; i++)
        OK(close(events[i]));
}

// A good descriptor whose data no other ring takes: which of several rings gets it first is open.
static int good_fd(const struct slot *s)
{
    int i = (int)pick(GOOD), own = (int)(s - slots);
    if ((i < 2 * PIPES && i % 2 == 0) || ((i == SOCKETS || i == SOCKETS + 1) && i - SOCKETS != own))
        i = 2 * own;
    return fds[i];
}

static int some_ring_fd(void) { return slots[pick(RINGS)].ring.fd; }

static int some_fd(void)
{
    if (odds(12))
        return some_ring_fd();
    return odds(8) ? -1 : odds(12) ? -2 : odds(40) ? (int)some_number() : fds[pick(FDS)];
}

#endif
