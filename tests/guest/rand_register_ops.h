// The registrations of rand_register.c: mostly as they should be, now and then not quite.
#ifndef MOAT_RAND_REGISTER_OPS_H
#define MOAT_RAND_REGISTER_OPS_H

#include "rand_register.h"
#include <sched.h>

struct buf_reg {
    uint64_t addr;
    uint32_t entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};

struct buf_status {
    uint32_t group, head, resv[8];
};

struct region_desc {
    uint64_t addr, size;
    uint32_t flags, id;
    uint64_t off, resv[4];
};

struct mem_reg {
    uint64_t uptr, flags, resv[2];
};

struct napi_reg {
    uint32_t to;
    uint8_t prefer, op, pad[2];
    uint32_t param, resv;
};

struct query_hdr {
    uint64_t next, data;
    uint32_t op, size;
    int32_t result;
    uint32_t resv[3];
};

static uint32_t odd_flags(uint32_t flags) { return odds(25) ? flags ^ 1u << pick(32) : flags; }

// A reserved word: zero, nearly always.
static uint32_t reserved(void) { return odds(60) ? 1u << pick(32) : 0; }

static uint64_t some_tag(void) { return odds(3) ? 0 : ++next_data; }

// Arrays lie in LISTS, at its end now and then; an odd one is somewhere else.
static uint64_t list_at(size_t offset, size_t size) { return odds(60) ? (uintptr_t)bad_address() : (uintptr_t)LISTS + offset + (odds(40) ? 0x2000 - offset - size + 4 : 0); }

static uint64_t list_of_files(uint32_t n)
{
    int *v = (int *)LISTS;
    for (uint32_t i = 0; i < n && i < 64; i++)
        v[i] = some_fd();
    return list_at(0, n * 4);
}

static void some_buffer(struct iovec *v)
{
    *v = (struct iovec){DATA + pick(8) * PAGE + (odds(3) ? pick(4000) : 0), odds(3) ? PAGE : 1 + pick(3 * PAGE)};
    if (odds(12))
        *v = (struct iovec){NULL, 0};
    if (odds(60))
        v->iov_base = odds(2) ? FIXED : bad_address();
    if (odds(60))
        v->iov_len = odds(2) ? 0 : (size_t)1 << (28 + pick(36));
}

static uint64_t list_of_buffers(uint32_t n)
{
    struct iovec *v = (struct iovec *)(LISTS + 0x1000);
    for (uint32_t i = 0; i < n && i < 64; i++)
        some_buffer(&v[i]);
    return list_at(0x1000, n * 16);
}

static uint64_t list_of_tags(uint32_t n)
{
    uint64_t *v = (uint64_t *)(LISTS + 0x800);
    if (odds(3))
        return 0;
    for (uint32_t i = 0; i < n && i < 64; i++)
        v[i] = some_tag();
    return list_at(0x800, n * 8);
}

// What has no tag, as far as the list tells, so that most calls go through.
static void clear_tags(uint32_t n, bool files)
{
    uint64_t *tags = (uint64_t *)(LISTS + 0x800);
    for (uint32_t i = 0; i < n && i < 64; i++)
        if (!odds(40) && (files ? ((int *)LISTS)[i] < 0 : ((struct iovec *)(LISTS + 0x1000))[i].iov_base == NULL))
            tags[i] = 0;
}

// Most descriptors of a table are good ones.
static void mend_files(const struct slot *s, uint32_t n, bool skips)
{
    int *v = (int *)LISTS;
    for (uint32_t i = 0; i < n && i < 64; i++)
        while ((v[i] == -2 && !skips) || (v[i] != -1 && v[i] != -2 && (v[i] < 0 || v[i] >= 900 || v[i] == fds[GOOD + 1])))
            if (odds(30))
                break;
            else
                v[i] = odds(4) ? -1 : good_fd(s);
    for (uint32_t i = 0; i < n && i < 64; i++) {
        for (int k = 0; k < RINGS; k++)
            if (v[i] == slots[k].ring.fd && v[i] >= 0 && !odds(30))
                v[i] = good_fd(s);
        for (int k = 0; k < GOOD; k++)
            if (v[i] == fds[k])
                v[i] = good_fd(s);
    }
}

static void register_files(struct slot *s)
{
    uint32_t n = 1 + pick(12);
    long r = -1;
    uint64_t data = list_of_files(n);
    mend_files(s, n, false);
    if (odds(4)) {
        r = call(s, IORING_REGISTER_FILES, LISTS, n * 4, n);
    } else {
        struct rsrc_register a = {n, odd_flags(odds(4)), reserved(), data, list_of_tags(n)};
        if (a.flags & 1 && !odds(12))
            a.data = 0;
        clear_tags(n, true);
        if (a.data == 0 && !odds(12))
            a.tags = 0;
        r = call(s, IORING_REGISTER_FILES2, &a, sizeof a, sizeof a);
    }
    if (r >= 0)
        s->files = n;
}

static void update_files(struct slot *s)
{
    if (s->files == 0 && !odds(6)) {
        register_files(s);
        return;
    }
    uint32_t n = 1 + pick(4), at = odds(16) ? some_number() : pick(s->files + 1);
    uint64_t data = list_of_files(n);
    mend_files(s, n, true);
    if (at + n > s->files && !odds(8))
        at = 0;
    if (odds(3)) {
        struct rsrc_update a = {at, reserved(), data};
        call(s, IORING_REGISTER_FILES_UPDATE, &a, sizeof a, n);
    } else {
        struct rsrc_update2 a = {at, reserved(), data, list_of_tags(n), odds(40) ? some_number() : n, reserved()};
        clear_tags(n, true);
        call(s, IORING_REGISTER_FILES_UPDATE2, &a, sizeof a, sizeof a);
    }
}

static void register_buffers(struct slot *s)
{
    uint32_t n = 1 + pick(8);
    long r = -1;
    uint64_t data = list_of_buffers(n);
    if (odds(4)) {
        r = call(s, IORING_REGISTER_BUFFERS, LISTS + 0x1000, n * 16, n);
    } else {
        struct rsrc_register a = {n, odd_flags(odds(4)), reserved(), data, list_of_tags(n)};
        if (a.flags & 1 && !odds(12))
            a.data = 0;
        clear_tags(n, false);
        if (a.data == 0 && !odds(12))
            a.tags = 0;
        r = call(s, IORING_REGISTER_BUFFERS2, &a, sizeof a, sizeof a);
    }
    if (r >= 0)
        s->buffers = n;
}

static void update_buffers(struct slot *s)
{
    if (s->buffers == 0 && !odds(6)) {
        register_buffers(s);
        return;
    }
    uint32_t n = 1 + pick(4), at = odds(16) ? some_number() : pick(s->buffers + 1);
    struct rsrc_update2 a = {at, reserved(), list_of_buffers(n), list_of_tags(n), odds(40) ? some_number() : n, reserved()};
    if (at + n > s->buffers && !odds(8))
        a.offset = 0;
    clear_tags(n, false);
    call(s, IORING_REGISTER_BUFFERS_UPDATE, &a, sizeof a, sizeof a);
}

static void clone_buffers(struct slot *s)
{
    struct slot *from = &slots[pick(RINGS)];
    for (int i = 0; i < 4 && (from->buffers == 0 || from == s); i++)
        from = &slots[pick(RINGS)];
    struct clone_buffers a = {(uint32_t)from->ring.fd, odd_flags(odds(2) ? 2 : 0), 0, 0, 0, {0}};
    if (from->index >= 0 && (from->ring.fd < 0 || odds(2)))
        a.src_fd = (uint32_t)from->index, a.flags |= 1;
    if (odds(20))
        a.src_fd = odds(2) ? (uint32_t)some_fd() : some_number();
    if (odds(2)) {
        a.nr = 1 + pick(from->buffers + 1);
        a.src_off = pick(from->buffers + 1);
        a.dst_off = odds(20) ? some_number() : pick(6);
        if (a.src_off + a.nr > from->buffers && !odds(8))
            a.src_off = 0;
    }
    if (odds(40))
        a.nr = some_number();
    a.pad[pick(3)] = reserved();
    if (call(s, 30, &a, sizeof a, 1) >= 0) {
        uint32_t n = a.nr ? a.nr + a.dst_off : from->buffers;
        s->buffers = n > s->buffers ? n : s->buffers;
    }
}

static void register_indices(struct slot *s)
{
    struct rsrc_update a[3];
    uint32_t n = odds(3) ? 2 : 1;
    memset(a, 0, sizeof a);
    for (uint32_t i = 0; i < n; i++)
        a[i] = (struct rsrc_update){odds(2) ? ~0u : odds(16) ? some_number() : pick(INDICES), reserved(), odds(12) ? (uint32_t)some_fd() : (uint32_t)some_ring_fd()};
    uint64_t asked[3] = {a[0].data, a[1].data, a[2].data};
    exact = true;
    long r = call(s, IORING_REGISTER_RING_FDS, a, sizeof a, n);
    if (placed_size != sizeof a || placed == (size_t)FIXED) {
        // Which places were taken was not to be read: they are given back.
        for (uint32_t i = 0; i < INDICES; i++)
            if (indices[i] < 0)
                OK(u_register(keeper, IORING_UNREGISTER_RING_FDS, &(struct rsrc_update){.offset = i}, 1));
        return;
    }
    for (long i = 0; i < r && i < 3; i++)
        for (int k = 0; k < RINGS; k++)
            if (slots[k].open && slots[k].ring.fd == (int)asked[i] && a[i].offset < INDICES) {
                indices[a[i].offset] = k;
                if (slots[k].index < 0)
                    slots[k].index = (int)a[i].offset;
            }
}

static void unregister_indices(struct slot *s)
{
    struct rsrc_update a = {odds(12) ? some_number() : pick(INDICES), reserved(), odds(30)};
    // Not the only way to reach a ring.
    if (a.offset < INDICES && indices[a.offset] >= 0) {
        struct slot *k = &slots[indices[a.offset]];
        if (k->index == (int)a.offset && k->ring.fd < 0)
            return;
    }
    exact = true;
    if (call(s, IORING_UNREGISTER_RING_FDS, &a, sizeof a, 1) != 1 || a.offset >= INDICES || indices[a.offset] < 0)
        return;
    struct slot *k = &slots[indices[a.offset]];
    indices[a.offset] = -1;
    if (k->index != (int)a.offset)
        return;
    k->index = -1;
    for (int i = 0; i < INDICES; i++)
        if (indices[i] == k - slots)
            k->index = i;
}

static void register_eventfd(struct slot *s)
{
    int which = (int)(s - slots), fd = odds(12) ? some_fd() : events[which];
    if (fd == fds[2 * PIPES] || fd == fds[2 * PIPES + 1])
        fd = events[which]; // how often one is signalled is open
    uint64_t v;
    if (call(s, odds(3) ? IORING_REGISTER_EVENTFD_ASYNC : IORING_REGISTER_EVENTFD, &fd, sizeof fd, 1) >= 0) {
        s->eventfd = which;
        read(events[which], &v, 8);
    }
}

static void restrict_ring(struct slot *s)
{
    struct io_uring_restriction a[100];
    uint32_t n = 0;
    memset(a, 0, sizeof a);
    for (uint32_t op = 0; op < 36; op++)
        if (!odds(12))
            a[n++] = (struct io_uring_restriction){.opcode = 0, .register_op = (uint8_t)op};
    for (uint32_t op = 0; op < 63; op++)
        if (!odds(8))
            a[n++] = (struct io_uring_restriction){.opcode = 1, .sqe_op = (uint8_t)op};
    if (odds(2) && n < 100)
        n = 98, a[98] = (struct io_uring_restriction){.opcode = 2, .sqe_flags = (uint8_t)(odds(2) ? 0x7f : pick(128))};
    if (odds(4))
        a[99] = (struct io_uring_restriction){.opcode = 3, .sqe_flags = (uint8_t)(1u << pick(7))}, n = 100;
    if (odds(8))
        a[pick(n)].opcode = (uint16_t)pick(6);
    if (odds(16))
        a[pick(n)].register_op = (uint8_t)pick(256);
    if (odds(16))
        n = pick(110);
    call(s, IORING_REGISTER_RESTRICTIONS, a, sizeof a, n);
}

static void worker_settings(struct slot *s)
{
    uint64_t mask[2] = {1u + pick(3), reserved()};
    uint32_t limits[2] = {odds(2) ? 0 : 1 + pick(16), odds(2) ? 0 : 1 + pick(16)};
    switch (pick(4)) {
    case 0: call(s, IORING_REGISTER_IOWQ_AFF, mask, sizeof mask, 1 + pick(16)); break;
    case 1: call(s, IORING_UNREGISTER_IOWQ_AFF, odds(12) ? mask : NULL, sizeof mask, odds(12)); break;
    default:
        // What the machine allows is not told.
        if (limits[0] == 0 || limits[1] == 0)
            plain_register(s, IORING_REGISTER_IOWQ_MAX_WORKERS, (uint32_t[]){3, 4}, 2);
        call(s, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, sizeof limits, 2);
    }
}

static void register_group(struct slot *s)
{
    int g = (int)pick(GROUPS);
    uint32_t entries = odds(12) ? some_number() : 1u << pick(7);
    struct buf_reg a = {(uintptr_t)BUFFERS + ((uintptr_t)(s - slots) * GROUPS + (uintptr_t)g) * PAGE, entries, (uint16_t)g, (uint16_t)odd_flags(odds(3) ? 1 : 0), {0}};
    a.flags |= odds(3) ? 2 : 0;
    a.resv[pick(3)] = reserved();
    if (odds(30))
        a.addr += odds(2) ? 8 : PAGE * pick(16);
    if (odds(40))
        a.addr = odds(2) ? 0 : (uintptr_t)bad_address();
    if (call(s, IORING_REGISTER_PBUF_RING, &a, sizeof a, 1) < 0)
        return;
    drop_group(s, g);
    if (a.bgid != g || placed_size != sizeof a)
        return;
    struct pbuf_ring *b = &s->groups[g];
    *b = (struct pbuf_ring){(void *)(uintptr_t)a.addr, entries, 0, (entries * 16 + PAGE - 1) / PAGE * PAGE};
    if (a.flags & 1) {
        b->e = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->ring.fd, 0x80000000ll | (long long)g << 16);
        if (b->e == MAP_FAILED) // by its index alone
            b->e = NULL;
        else
            s->group_mapped[g] = true;
    } else {
        memset(b->e, 0, b->size);
    }
    if (b->e == NULL)
        return;
    for (uint32_t i = 0; i < entries && i < 8; i++)
        pbuf_add(b, DATA + 0xc000 + pick(64) * 256, 1 + pick(256), (int)i);
}

static void unregister_group(struct slot *s)
{
    int g = (int)pick(GROUPS);
    struct buf_reg a = {reserved(), reserved(), (uint16_t)g, (uint16_t)reserved(), {0}};
    a.resv[pick(3)] = reserved();
    if (call(s, IORING_UNREGISTER_PBUF_RING, &a, sizeof a, 1) >= 0)
        drop_group(s, a.bgid & (GROUPS - 1));
}

static void group_status(struct slot *s)
{
    struct buf_status a = {odds(16) ? some_number() : pick(GROUPS), pick(100), {0}};
    a.resv[pick(8)] = reserved();
    call(s, 26, &a, sizeof a, 1);
}

static void sync_cancel(struct slot *s)
{
    static const uint32_t some[] = {0, 0, 1, 2, 3, 4, 5, 10, 11, 16, 17, 18, 32, 33, 34, 35, 48, 49, 50, 64, 8, 12, 36};
    struct io_uring_sync_cancel_reg a = {.addr = next_data - pick(next_data < 30 ? (uint32_t)next_data + 1 : 30), .fd = odds(3) ? (int)pick(12) : pipes[s - slots][0],
        .flags = some[pick(countof(some))], .timeout = {-1, -1}};
    static const uint8_t ops[] = {IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_READ_FIXED, IORING_OP_NOP, 200};
    a.pad[pick(4)] = reserved();
    a.pad[0] = a.flags & 32 || odds(20) ? ops[pick(countof(ops))] : 0; // the opcode's byte and its neighbours
    if (odds(30))
        a.timeout = (struct __kernel_timespec){0, 1000 * pick(3)};
    call(s, IORING_REGISTER_SYNC_CANCEL, &a, sizeof a, 1);
}

static void register_napi(struct slot *s)
{
    struct napi_reg a = {odds(3) ? some_number() : pick(200), (uint8_t)pick(3), (uint8_t)(odds(2) ? 0 : pick(4)), {0}, odds(2) ? 0 : odds(2) ? 1 : odds(2) ? 255 : 8192 + pick(4), reserved()};
    if (a.op == 1 || a.op == 2)
        a.param = odds(6) ? some_number() : 8192 + pick(4);
    a.pad[pick(2)] = odds(60);
    call(s, odds(4) ? 28 : 27, odds(12) ? NULL : &a, sizeof a, 1);
}

static void send_message(struct slot *s)
{
    sqe_t q;
    memset(&q, 0, sizeof q);
    uint64_t data = ++next_data;
    prep(&q, IORING_OP_MSG_RING, odds(12) ? some_fd() : slots[pick(RINGS)].ring.fd, odds(30) ? (void *)1 : NULL, pick(100), data, data);
    q.rw_flags = odds(6) ? (int)(odds(2) ? 2 : pick(8)) : 0;
    q.file_index = q.rw_flags & 2 || odds(30) ? pick(16) : 0;
    q.flags = odds(40) ? (uint8_t)(1u << pick(8)) : 0;
    q.opcode = odds(60) ? (uint8_t)pick(70) : q.opcode;
    q.ioprio = (uint16_t)(odds(60) ? 1 : 0);
    q.personality = (uint16_t)(odds(60) ? 1 : 0);
    q.buf_index = (uint16_t)(odds(60) ? 1 : 0);
    q.addr3 = odds(60) ? 1 : 0;
    if (odds(16)) {
        call(s, 31, &q, sizeof q, 1);
        return;
    }
    void *at = place(&q, sizeof q);
    long n = u_register(-1, odds(30) ? 31 | USE_REGISTERED : 31, at, odds(25) ? pick(3) : 1);
    note("  message %d: %ld %s\n", q.rw_flags, n, error_of(n));
    tally_op[31]++, tally_done[31] += n >= 0;
}

static void resize(struct slot *s)
{
    struct io_uring_params p = {.flags = odds(2) ? IORING_SETUP_CQSIZE : odds(4) ? IORING_SETUP_CLAMP : 0, .sq_entries = odds(20) ? some_number() : 1 + pick(40)};
    p.cq_entries = p.flags & IORING_SETUP_CQSIZE ? (odds(20) ? some_number() : p.sq_entries + pick(80)) : odds(20);
    p.flags = odd_flags(p.flags);
    p.features = reserved();
    p.resv[pick(3)] = reserved();
    p.sq_off.resv1 = reserved();
    if (s->ring.p.flags & U_SETUP_NO_MMAP) {
        // The same place again, or the other half.
        char *at = s->own + (odds(2) ? OWN_SIZE / 2 : 0);
        p.cq_off.user_addr = (uintptr_t)at;
        p.sq_off.user_addr = (uintptr_t)at + OWN_SIZE / 4;
        if (p.sq_entries > 64)
            p.sq_entries = 1 + pick(64);
        if (p.cq_off.user_addr == s->ring.p.cq_off.user_addr)
            return;
    }
    if (s->odd || (p.sq_entries > 4096 && !odds(4)))
        return;
    if (call(s, 33, &p, sizeof p, 1) < 0)
        return;
    if (placed_size != sizeof p) {
        s->odd = true;
        return;
    }
    uint32_t published = s->ring.published;
    s->stale = IORING_SQ_NEED_WAKEUP | IORING_SQ_TASKRUN;
    struct io_uring_params before = s->ring.p;
    unmap_rings(&s->ring);
    s->ring.p = p;
    s->ring.p.flags |= before.flags;
    if (s->ring.fd < 0 && !(p.flags & U_SETUP_NO_MMAP)) {
        s->odd = true;
        return;
    }
    if (!(before.flags & U_SETUP_NO_SQARRAY))
        s->ring.p.sq_off.array = (((p.cq_off.cqes + p.cq_entries * 16) << !!(before.flags & IORING_SETUP_CQE32)) + 63) & ~63u;
    map_rings(s);
    CHECK_EQ(atomic_load(s->ring.sq_flags) & s->stale, s->stale);
    note("    resized %u %u: tail %u of %u\n", p.sq_entries, p.cq_entries, s->ring.tail, published);
}

static void register_region(struct slot *s)
{
    struct region_desc d = {(uintptr_t)REGIONS + (uintptr_t)(s - slots) * 2 * PAGE, odds(3) ? 2 * PAGE : PAGE, 1, reserved(), reserved(), {0}};
    struct mem_reg a = {(uintptr_t)LISTS + 0x3000, odd_flags(odds(4) ? 0 : 1), {0}};
    if (odds(4))
        d.addr = 0, d.flags = 0;
    if (odds(12))
        d.addr += odds(2) ? 8 : PAGE * pick(3);
    if (odds(20))
        d.size = odds(2) ? 0 : odds(2) ? 100 : 1ul << (44 + pick(20));
    d.flags = odd_flags(d.flags);
    d.resv[pick(4)] = reserved();
    a.resv[pick(2)] = reserved();
    if (!s->disabled && !odds(8))
        a.flags &= ~1u;
    memcpy(LISTS + 0x3000, &d, sizeof d);
    if (odds(20))
        a.uptr = odds(2) ? (uintptr_t)bad_address() : (uintptr_t)FIXED;
    long n = call(s, 34, &a, sizeof a, 1);
    note("    %x\n", hash(LISTS + 0x3000, sizeof d));
    if (n >= 0 && a.flags & 1 && d.addr != 0 && placed_size == sizeof a)
        s->region = d.addr;
}

static void ask(struct slot *s)
{
    struct query_hdr *h = (struct query_hdr *)(LISTS + 0x3800);
    uint32_t n = 1 + pick(4);
    memset(LISTS + 0x3000, 0x55, 0x800);
    for (uint32_t i = 0; i < n; i++) {
        h[i] = (struct query_hdr){i + 1 < n ? (uintptr_t)&h[i + 1] : 0, (uintptr_t)LISTS + 0x3000 + pick(8) * 8, odds(6) ? pick(4) : 0, odds(3) ? pick(200) : 48, 0, {0}};
        h[i].resv[pick(3)] = reserved();
        h[i].result = odds(40);
        if (odds(40))
            h[i].data = (uintptr_t)bad_address();
        if (odds(60))
            h[i].next = (uintptr_t)(odds(2) ? (char *)h : bad_address());
        if (odds(60))
            h[i].size = some_number();
    }
    uint32_t nr = odds(30);
    long r = odds(3) ? u_register(-1, 35, h, nr) : plain_register(s, 35, h, nr);
    note("  query = %ld %s %x %x\n", r, error_of(r), hash(h, n * sizeof *h), hash(LISTS + 0x3000, 0x800));
    tally_op[35]++, tally_done[35] += r >= 0;
}

static void probe_operations(struct slot *s)
{
    static char all[16 + 256 * 8];
    memset(all, 0, sizeof all);
    if (odds(12))
        all[pick(sizeof all)] = 1;
    call(s, IORING_REGISTER_PROBE, all, sizeof all, odds(4) ? pick(300) : 256);
}

static void no_such_device(struct slot *s)
{
    struct { uint32_t if_idx, if_rxq, rq_entries, flags; uint64_t area, region; uint32_t offsets[12]; uint64_t resv[3]; } z;
    memset(&z, 0, sizeof z);
    z.rq_entries = 1 + pick(20);
    z.flags = reserved();
    call(s, 32, &z, sizeof z, 1);
}

// One registration of any kind on a ring.
static void register_something(struct slot *s)
{
    uint32_t words[8] = {0};
    switch (pick(40)) {
    case 0: case 1: case 2: register_files(s); break;
    case 3: case 4: case 5: update_files(s); break;
    case 6: case 7: case 8: register_buffers(s); break;
    case 9: case 10: case 11: update_buffers(s); break;
    case 12: case 13: clone_buffers(s); break;
    case 14: register_indices(s); break;
    case 15: unregister_indices(s); break;
    case 16: register_eventfd(s); break;
    case 17:
        if (call(s, IORING_UNREGISTER_EVENTFD, odds(20) ? words : NULL, 8, odds(20)) >= 0)
            s->eventfd = -1;
        break;
    case 18: {
        long n = call(s, IORING_REGISTER_PERSONALITY, odds(20) ? words : NULL, 8, odds(20));
        s->personality = n > 0 ? (int)n : s->personality;
        break;
    }
    case 19: call(s, IORING_UNREGISTER_PERSONALITY, odds(20) ? words : NULL, 8, odds(8) ? some_number() : 1 + pick((uint32_t)s->personality + 1)); break;
    case 20: case 21: register_group(s); break;
    case 22: unregister_group(s); break;
    case 23: group_status(s); break;
    case 24: case 25: sync_cancel(s); break;
    case 26:
        words[0] = odds(8) ? some_number() : pick(s->files + 1);
        words[1] = odds(8) ? some_number() : pick(s->files + 1);
        words[2] = reserved(), words[3] = reserved();
        call(s, IORING_REGISTER_FILE_ALLOC_RANGE, words, 16, 0);
        break;
    case 27: register_napi(s); break;
    case 28:
        words[0] = odds(2) ? CLOCK_BOOTTIME : odds(2) ? CLOCK_MONOTONIC : pick(16);
        words[1 + pick(3)] = reserved();
        call(s, 29, words, 16, 0);
        break;
    case 29: send_message(s); break;
    case 30: case 31: resize(s); break;
    case 32: register_region(s); break;
    case 33: ask(s); break;
    case 34: probe_operations(s); break;
    case 35: worker_settings(s); break;
    case 36: restrict_ring(s); break;
    case 37:
        if (call(s, IORING_REGISTER_ENABLE_RINGS, odds(20) ? words : NULL, 8, odds(20)) >= 0)
            s->disabled = false;
        break;
    case 38:
        if (odds(2))
            call(s, IORING_UNREGISTER_FILES, odds(20) ? words : NULL, 8, odds(20));
        else
            call(s, IORING_UNREGISTER_BUFFERS, odds(20) ? words : NULL, 8, odds(20));
        break;
    default:
        if (odds(2))
            no_such_device(s);
        else
            call(s, odds(2) ? 36 + pick(40) : some_number() & ~USE_REGISTERED, words, sizeof words, pick(2));
        break;
    }
}

#endif
