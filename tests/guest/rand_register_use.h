// What rand_register.c does with what is registered: requests, waits and events; and looks at mappings and /proc.
#ifndef MOAT_RAND_REGISTER_USE_H
#define MOAT_RAND_REGISTER_USE_H

#include "rand_register.h"

static const struct __kernel_timespec long_time = {1000, 0};

static uint32_t some_index(const struct slot *s) { return odds(16) ? pick(100) : pick(s->files + 1); }

// Reads and writes, of a registered buffer or not. What cannot go on waits.
static void transfer(struct slot *s, sqe_t *q, uint64_t data)
{
    static struct iovec v[2];
    char *at = DATA + pick(0x8000);
    bool fixed = odds(2), reads = odds(2);
    prep(q, fixed ? reads ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED : reads ? IORING_OP_READ : IORING_OP_WRITE, odds(3) ? good_fd(s) : pipes[reads ? (uint32_t)(s - slots) : pick(PIPES)][!reads],
         at, 1 + pick(300), ~0ull, data);
    q->buf_index = fixed ? (uint16_t)(odds(16) ? pick(100) : pick(s->buffers + 1)) : 0;
    if (fixed && odds(4)) {
        v[0] = (struct iovec){at, pick(300)}, v[1] = (struct iovec){DATA + pick(0x8000), pick(300)};
        q->opcode = reads ? 60 : 61, q->addr = (uintptr_t)v, q->len = 1 + pick(2);
    }
}

// One that does not poll: a message to it is no worker's.
static int quiet_ring_fd(void)
{
    const struct slot *s = &slots[pick(RINGS)];
    return s->ring.p.flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL) ? -1 : s->ring.fd;
}

static void prepare_request(struct slot *s, sqe_t *q, uint64_t data)
{
    static int list[4];
    switch (pick(18)) {
    case 0:
    case 1:
        prep(q, IORING_OP_NOP, odds(2) ? -1 : some_fd(), NULL, odds(8) ? pick(100) : 0, 0, data)->rw_flags = odds(2) ? (int)(odds(8) ? some_number() : 1u << pick(6)) : 0;
        q->buf_index = (uint16_t)pick(s->buffers + 1);
        break;
    case 2:
    case 3:
    case 4:
    case 5: transfer(s, q, data); break;
    case 6: prep(q, IORING_OP_POLL_ADD, pipes[pick(PIPES)][0], NULL, 0, 0, data)->poll32_events = POLLIN; break;
    case 7:
        prep(q, odds(3) ? U_OP_READ_MULTISHOT : IORING_OP_READ, pipes[s - slots][0], NULL, 0, ~0ull, data)->flags = IOSQE_BUFFER_SELECT;
        q->buf_group = (uint16_t)(odds(12) ? 77 : pick(GROUPS));
        break;
    case 8: prep(q, IORING_OP_TIMEOUT, -1, &long_time, 1, odds(3) ? 1 + pick(4) : 0, data); break;
    case 9:
    case 10:
        for (int i = 0; i < 4; i++)
            list[i] = good_fd(s);
        prep(q, IORING_OP_FILES_UPDATE, -1, list, 1 + pick(3), odds(3) ? U_ALLOC : some_index(s), data);
        break;
    case 11: prep(q, IORING_OP_CLOSE, 0, NULL, 0, 0, data)->file_index = 1 + some_index(s); break;
    case 12: prep(q, IORING_OP_SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM, data)->file_index = odds(2) ? U_ALLOC : 1 + some_index(s); break;
    case 13:
        prep(q, IORING_OP_MSG_RING, quiet_ring_fd(), odds(2) ? (void *)1 : NULL, pick(50), data + 100000, data);
        if (q->addr == 1) {
            q->addr3 = some_index(s);
            q->file_index = odds(2) ? U_ALLOC : 1 + pick(12);
            q->len = 0;
        }
        break;
    case 14:
        prep(q, IORING_OP_ASYNC_CANCEL, odds(2) ? (int)some_index(s) : pipes[pick(PIPES)][0], (void *)(uintptr_t)(data - pick(12)), 0, 0, data)->cancel_flags = odds(2) ? 0 : pick(64);
        q->len = q->cancel_flags & 32 ? IORING_OP_POLL_ADD : 0;
        break;
    case 15: prep(q, IORING_OP_PROVIDE_BUFFERS, 1 + (int)pick(3), DATA + 0xc000, 100, pick(4), data)->buf_group = (uint16_t)(2 + pick(4)); break;
    case 16: prep(q, odds(2) ? IORING_OP_SEND : IORING_OP_RECV, s - slots < 2 ? fds[SOCKETS + (s - slots)] : pipes[0][0], DATA + pick(0x8000), 1 + pick(200), 0, data); break;
    default: prep(q, 54, (int)some_index(s), NULL, 0, 0, data)->flags = IOSQE_FIXED_FILE; break;
    }
}

static void submit_some(struct slot *s)
{
    struct ring *r = &s->ring;
    if (s->odd || s->disabled)
        return;
    uint32_t n = odds(4) ? 2 : 1;
    bool polls = r->p.flags & IORING_SETUP_SQPOLL;
    int shift = r->p.flags & IORING_SETUP_SQE128 ? 7 : 6;
    uint32_t room = r->p.sq_entries - (r->tail - atomic_load(r->sq_head));
    n = n < room ? n : room; // a link that nothing follows is a worker's
    for (uint32_t i = 0; i < n; i++) {
        sqe_t *q = (sqe_t *)((char *)r->sqes + ((size_t)(r->tail++ & (r->p.sq_entries - 1)) << shift));
        memset(q, 0, 1 << shift);
        uint64_t data = ++next_data;
        prepare_request(s, q, data);
        bool moves = q->opcode == IORING_OP_POLL_ADD || (q->opcode >= IORING_OP_READ_FIXED && q->opcode <= IORING_OP_WRITE_FIXED) || q->opcode == IORING_OP_READ ||
            q->opcode == IORING_OP_WRITE || q->opcode == U_OP_READ_MULTISHOT || q->opcode == IORING_OP_SEND || q->opcode == IORING_OP_RECV || q->opcode >= 60;
        // What waits there goes on at any time; so do descriptors that it makes.
        if (polls && (moves || q->opcode == IORING_OP_TIMEOUT || q->opcode == IORING_OP_MSG_RING || q->opcode == 54))
            q->opcode = IORING_OP_NOP, q->rw_flags = 0;
        if (moves && s->files != 0 && odds(2)) {
            q->flags |= IOSQE_FIXED_FILE;
            q->fd = (int)some_index(s);
        }
        q->personality = odds(6) ? (uint16_t)pick((uint32_t)s->personality + 2) : 0;
        q->flags |= i + 1 < n ? IOSQE_IO_LINK : 0;
        q->flags |= odds(60) ? IOSQE_CQE_SKIP_SUCCESS : odds(60) ? IOSQE_BUFFER_SELECT : odds(30) && i + 1 < n ? IOSQE_IO_HARDLINK : 0;
        note("  ring %d request %lu: op %u flags %x fd %d len %u off %lx rw %x buffer %u\n", (int)(s - slots), (unsigned long)data, q->opcode, q->flags, q->fd, q->len, (unsigned long)q->off,
             q->rw_flags, q->buf_index);
    }
    uint32_t all = ring_publish(r);
    for (uint32_t taken = 0; taken < all;) {
        int k = ring_enter(s, all - taken, 0, polls ? IORING_ENTER_SQ_WAKEUP : 0, NULL, 0);
        note("    enter %d %s\n", k, error_of(k));
        if (k <= 0)
            break;
        taken += (uint32_t)k;
    }
    for (int i = 0; polls && i < 20000 && atomic_load(r->sq_head) != atomic_load(r->sq_tail); i++) {
        ring_enter(s, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
        mt_sleep_us(10);
    }
}

// What somebody waits for.
static void happen(void)
{
    int *p = pipes[pick(PIPES)], n = 0;
    OK(ioctl(p[0], FIONREAD, &n));
    if (n < 1000 && odds(2)) {
        OK(write(p[1], DATA, 1 + pick(200)));
    } else if (n != 0) {
        static char all[4096];
        ssize_t got = OK(read(p[0], all, 1 + pick(300)));
        note("  had %zd %x\n", got, hash(all, (size_t)got));
    }
}

static void no_signal(int n) { (void)n; }

// io_uring_enter with any arguments. Nothing waits for ever: there is a time, or a signal that the mask lets in.
static void enter_any(struct slot *s)
{
    struct __kernel_timespec ts = {odds(16) ? (long long)some_number() - 100 : 0, odds(20) ? (long)some_number() : (long)pick(3) * 10000};
    struct { uint64_t sigmask; uint32_t size, min; uint64_t ts; } ext = {0, odds(20) ? pick(16) : 8, odds(3) ? pick(30) : 0, (uintptr_t)LISTS + 0x3f00};
    struct { struct __kernel_timespec ts; uint32_t min, flags; uint64_t sigmask; uint32_t size, pad[3]; uint64_t pad2[2]; } wait = {ts, ext.min, 1, 0, 8, {0}, {0}};
    uint64_t mask = 0;
    uint32_t flags = odds(3) ? 1 : pick(256) & ~16u, submit = odds(4) ? pick(4) : 0, min = odds(3) ? pick(4) : odds(8) ? some_number() : 0;
    flags = odds(40) ? flags ^ 1u << pick(32) : flags;
    flags &= ~16u;
    // Absolute: long ago, but not before the clock began, which 6.18 waits for until something else wakes the processor.
    if (ts.tv_sec > 0 || flags & 32)
        ts.tv_sec = 0;
    if (flags & 32 && ts.tv_nsec < 0)
        ts.tv_nsec = 0;
    wait.ts = ts;
    memcpy(LISTS + 0x3f00, &ts, sizeof ts);
    memcpy(LISTS + 0x3f40, &mask, sizeof mask);
    if (odds(6))
        ext.sigmask = wait.sigmask = odds(4) ? (uintptr_t)bad_address() : (uintptr_t)LISTS + 0x3f40;
    if (odds(30))
        ext.ts = (uintptr_t)bad_address();
    const void *arg = &ext;
    size_t size = sizeof ext;
    bool pending = false;
    if ((flags & 64) && s->region != 0) {
        uint32_t at = odds(8) ? some_number() : pick(PAGE / 64) * 64;
        wait.flags = odds(12) ? pick(4) | 1 : 1;
        if (at <= PAGE - 64)
            memcpy((char *)(uintptr_t)s->region + at, &wait, sizeof wait);
        arg = (void *)(uintptr_t)at;
        size = odds(20) ? some_number() : 64;
    } else if (flags & 8) {
        arg = place(&ext, sizeof ext);
        size = odds(20) ? some_number() : sizeof ext;
    } else {
        if (odds(16))
            arg = bad_address(), size = 8;
        else
            arg = LISTS + 0x3f40, size = odds(20) ? some_number() : 8;
        pending = true;
    }
    int fd = s->ring.fd, e;
    if (s->index >= 0 && (fd < 0 || odds(3)))
        fd = s->index, flags |= 16;
    if (odds(30))
        fd = some_fd(), flags ^= odds(4) ? 16 : 0;
    if (odds(30))
        fd = (int)some_number();
    // A ring that polls waits for what is in flight, whatever it is told.
    if (s->ring.p.flags & IORING_SETUP_IOPOLL)
        min = 0;
    if (pending || odds(10)) {
        raise(SIGUSR1);
        min &= INT_MAX; // fewer than none are there: the signal is looked at first
    }
    struct itimerval much = {{0, 0}, {3, 0}}, none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &much, NULL);
    int n = u_enter(fd, submit, min, flags, arg, size);
    e = errno;
    setitimer(ITIMER_REAL, &none, NULL);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigpending(&old);
    errno = e;
    note("  ring %d enter %d %u %u flags %x size %zx = %d %s signal %d\n", (int)(s - slots), fd, submit, min, flags, size, n, error_of(n), sigismember(&old, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    tally_enter++;
}

// What can be done to a ring's memory, beside using it.
static void map_any(struct slot *s)
{
    static const uint64_t zones[] = {0, 0x8000000, 0x10000000, 0x80000000, 0x80010000, 0x20000000, 0x18000000, 0x88000000};
    static const int advice[] = {0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 99};
    struct ring *r = &s->ring;
    if (r->fd < 0)
        return;
    uint64_t off = zones[pick(countof(zones))] + (odds(8) ? PAGE * pick(20) : 0);
    size_t size = odds(3) ? r->ring_size : odds(2) ? r->sqe_size : PAGE * (1 + pick(4));
    int prot = odds(8) ? (int)pick(8) : 3, flags = odds(8) ? MAP_PRIVATE : MAP_SHARED;
    flags |= odds(8) ? MAP_POPULATE : odds(12) ? MAP_FIXED : odds(12) ? MAP_FIXED_NOREPLACE : odds(20) ? MAP_LOCKED : odds(20) ? MAP_NORESERVE : 0;
    void *hint = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? NOWHERE : odds(8) ? NOWHERE : NULL;
    if (size == 0)
        size = PAGE;
    if (odds(20))
        hint = (char *)hint + 8;
    char *at = mmap(hint, size, prot, flags, r->fd, (off_t)off);
    note("  map %lx %zx %x %x hint %p: %s\n", off, size, prot, flags, hint, at == MAP_FAILED ? mt_errno(errno) : "done");
    if (at == MAP_FAILED)
        return;
    size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    note("    first %d last %d\n", fault(at, FAULT_READ), fault(at + whole - 1, FAULT_READ));
    int n = 0, a;
    switch (pick(9)) {
    case 0:
    case 1:
    case 2:
        a = advice[pick(countof(advice))];
        n = madvise(at, whole, a);
        note("    advice %d: %d %s %d\n", a, n, error_of(n), fault(at, FAULT_READ));
        break;
    case 3: a = (int)pick(8), n = mprotect(at, whole, a); note("    protect %d: %d %s %d\n", a, n, error_of(n), fault(at, FAULT_READ)); break;
    case 4: {
        char *to = mremap(at, whole, whole + (odds(2) ? 0 : PAGE), odds(2) ? MREMAP_MAYMOVE : MREMAP_MAYMOVE | 4);
        note("    remap %s\n", to == MAP_FAILED ? mt_errno(errno) : "done");
        if (to != MAP_FAILED && to != at)
            OK(munmap(to, whole)), OK(munmap(at, whole)), whole = 0;
        break;
    }
    case 5: n = mlock(at, whole); note("    lock %d %s\n", n, error_of(n)); break;
    case 6: n = msync(at, whole, (int)pick(8)); note("    sync %d %s\n", n, error_of(n)); break;
    case 7:
        if (whole > PAGE)
            OK(munmap(at, PAGE)), at += PAGE, whole -= PAGE;
        note("    rest %d\n", fault(at, FAULT_READ));
        break;
    default: break;
    }
    if (whole != 0)
        OK(munmap(at, whole));
}

// /proc/self/fdinfo, but for what depends on the machine.
static void read_info(struct slot *s)
{
    char path[64], line[512];
    uint64_t sum = 0;
    if (s->ring.fd < 0 || s->odd)
        return;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", s->ring.fd);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "ino:", 4) == 0 || strncmp(line, "mnt_id:", 7) == 0 || strncmp(line, "Sq", 2) == 0 || (strstr(line, "/") && strstr(line, "top")))
            continue;
        char *inode = strstr(line, ":[");
        if (inode != NULL)
            *inode = 0;
        if (strncmp(line, "  op=", 5) == 0)
            sum += hash(line, strlen(line)); // in any order
        else
            note("    %s", line);
    }
    note("    waiting %lx\n", (unsigned long)sum);
    fclose(f);
}

#endif
