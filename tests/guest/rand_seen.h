// What random sequences on rings see: told as one number for each block of steps, or as it is, and completions of rings of every kind.
#ifndef MOAT_RAND_SEEN_H
#define MOAT_RAND_SEEN_H

#include "rand.h"
#include "uring_net.h"

// Everything that is seen goes through here: into the block's hash, and to the output when it is asked for.
static uint64_t seen_hash;
static bool loud;

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

MT_UNUSED static int enter_for(struct ring *ring, uint32_t submit, uint32_t wait, long ms)
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

// A step begins: from step `from` on so many are told, and every `block` steps a number stands for all that was seen.
MT_UNUSED static void begin_step(int from, int told, int block)
{
    loud = rand_step >= from && rand_step < from + told;
    if (rand_step % block == 0)
        printf("%d %lx\n", rand_step, (unsigned long)seen_hash);
    note("step %d\n", rand_step);
}

#endif
