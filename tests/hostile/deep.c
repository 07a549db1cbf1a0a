// io_uring requests and registrations that are right, or right but for one field, so that they come far: linked, drained, with direct
// descriptors, provided buffers and workers, waited for, cancelled; while another thread changes what they name, buffers are unmapped,
// rings resized, closed and made anew, the process forks, executes another program or is killed.
#define MT_OWN_MAIN
#include "deep.h"

static void any_request(struct ring *r, sqe_t *s)
{
    sqe_t q = {0};
    uint8_t op = odds(200) ? (uint8_t)pick(256) : (uint8_t)pick(U_OP_LAST_6_18);
    if ((r->p.flags & IORING_SETUP_IOPOLL) && !odds(8))
        op = (uint8_t)ONE_OF(IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READ_FIXED, IORING_OP_WRITEV, IORING_OP_READV);
    uint32_t k = right(&q, op);
    if (r->p.flags & IORING_SETUP_IOPOLL && k < KINDS && !odds(8))
        k = DIRECT, q.addr = (q.addr & ~511ull), q.len &= op == IORING_OP_READV || op == IORING_OP_WRITEV ? 3u : ~511u;
    if (k < KINDS) {
        if (op != 54 && odds(4))
            q.flags |= IOSQE_FIXED_FILE;
        q.fd = q.flags & IOSQE_FIXED_FILE ? (int)k : files[k];
    }
    if (odds(4))
        q.flags |= (uint8_t)ONE_OF(IOSQE_IO_LINK, IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_ASYNC, IOSQE_ASYNC, IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN);
    if (odds(4)) // the one that is wrong
        switch (pick(12)) {
        case 0: q.addr = any_number(); break;
        case 1: q.off = any_number(); break;
        case 2: q.len = (uint32_t)any_number(); break;
        case 3: q.rw_flags = (int)any_number(); break;
        case 4: q.ioprio = (uint16_t)any_number(); break;
        case 5: q.buf_index = (uint16_t)any_number(); break;
        case 6: q.file_index = (uint32_t)any_number(); break;
        case 7: q.addr3 = any_number(); break;
        case 8: q.fd = odds(2) ? (int)any_number() : files[pick(KINDS)]; break;
        case 9: q.flags = (uint8_t)any_number(); break;
        case 10: q.personality = (uint16_t)pick(5); break;
        default: q.__pad2[0] = any_number(); break;
        }
    bool big = (r->p.flags & IORING_SETUP_SQE128) != 0;
    static __thread sqe_t *before;
    if (op == IORING_OP_LINK_TIMEOUT && before != NULL)
        before->flags |= IOSQE_IO_LINK;
    before = s;
    *s = q;
    if (big)
        memset(s + 1, 0, sizeof *s);
    atomic_fetch_add(&counts->requests[op].tried, 1);
}

// A registration that Linux would take, in words[]; its number of arguments, and what is registered.
static uint32_t right_registration(struct ring *r, uint32_t op, uint64_t *w, void **at)
{
    struct iovec *v = (void *)slot();
    int *n = (void *)slot();
    for (int i = 0; i < BUFFERS; i++)
        v[i] = (struct iovec){odds(9) ? NULL : area + i * BUFFER, BUFFER};
    for (int i = 0; i < BUFFERS; i++)
        if (v[i].iov_base == NULL)
            v[i].iov_len = 0;
    for (int i = 0; i < KINDS + OPEN_SLOTS; i++)
        n[i] = i < KINDS && i != RING_A && i != RING_B ? files[i] : -1; // Linux takes no rings here
    uint64_t *tags = (void *)slot();
    for (int i = 0; i < KINDS + OPEN_SLOTS; i++)
        tags[i] = odds(2) || n[i] < 0 || v[i % BUFFERS].iov_base == NULL ? 0 : data_of(IORING_OP_NOP);
    switch (op) {
    case IORING_REGISTER_BUFFERS: *at = v; return BUFFERS;
    case IORING_REGISTER_BUFFERS2: w[0] = BUFFERS; w[2] = (uintptr_t)v; w[3] = odds(2) ? (uintptr_t)tags : 0; return 32;
    case IORING_REGISTER_FILES: *at = n; return KINDS + OPEN_SLOTS;
    case IORING_REGISTER_FILES2: w[0] = KINDS + OPEN_SLOTS; w[2] = (uintptr_t)n; w[3] = odds(2) ? (uintptr_t)tags : 0; return 32;
    case IORING_REGISTER_FILES_UPDATE: w[0] = KINDS + pick(OPEN_SLOTS - 4); w[1] = (uintptr_t)n; return 1 + pick(4);
    case IORING_REGISTER_FILES_UPDATE2: w[0] = KINDS + pick(OPEN_SLOTS - 4); w[1] = (uintptr_t)n; w[2] = (uintptr_t)tags; w[3] = 1 + pick(4); return 32;
    case IORING_REGISTER_BUFFERS_UPDATE: w[0] = pick(4); w[1] = (uintptr_t)(v + w[0]); w[2] = odds(2) ? (uintptr_t)tags : 0; w[3] = 1 + pick(4); return 32;
    case IORING_REGISTER_EVENTFD: case IORING_REGISTER_EVENTFD_ASYNC: *(int *)w = files[EVENT]; return 1;
    case IORING_UNREGISTER_BUFFERS: case IORING_UNREGISTER_FILES: case IORING_UNREGISTER_EVENTFD: case IORING_REGISTER_PERSONALITY:
    case IORING_REGISTER_ENABLE_RINGS: case IORING_UNREGISTER_IOWQ_AFF: *at = NULL; return 0;
    case IORING_REGISTER_PROBE: memset(*at = slot(), 0, SLOT); return 50;
    case IORING_UNREGISTER_PERSONALITY: *at = NULL; return 1 + pick(3);
    case IORING_REGISTER_RESTRICTIONS: ((uint16_t *)w)[0] = 1; ((uint8_t *)w)[2] = (uint8_t)pick(63); return 1;
    case IORING_REGISTER_IOWQ_AFF: w[0] = 1 + pick(3); return 8;
    case IORING_REGISTER_IOWQ_MAX_WORKERS: ((uint32_t *)w)[0] = pick(4); ((uint32_t *)w)[1] = pick(4); return 2;
    case IORING_REGISTER_RING_FDS: w[0] = odds(2) ? ~0u : pick(16); w[1] = (uint64_t)r->fd; return 1;
    case IORING_UNREGISTER_RING_FDS: w[0] = pick(16); return 1;
    case IORING_REGISTER_PBUF_RING: case IORING_UNREGISTER_PBUF_RING: {
        struct io_uring_buf_reg reg = {.bgid = (uint16_t)pick(4)};
        if (op == IORING_REGISTER_PBUF_RING) {
            reg.ring_entries = BRING;
            ((uint16_t *)&reg)[7] = (uint16_t)(reg.bgid == 3 ? 2 : odds(5)); // flags: INC, MMAP
            reg.ring_addr = ((uint16_t *)&reg)[7] & 1 ? 0 : (uintptr_t)buffer_ring(reg.bgid);
        }
        memcpy(w, &reg, sizeof reg);
        return 1;
    }
    case IORING_REGISTER_SYNC_CANCEL: w[0] = any_data(); ((int *)w)[2] = files[pick(KINDS)]; ((uint32_t *)w)[3] = pick(16); w[2] = 0; w[3] = pick(200000); return 1;
    case IORING_REGISTER_FILE_ALLOC_RANGE: ((uint32_t *)w)[0] = KINDS; ((uint32_t *)w)[1] = 1 + pick(OPEN_SLOTS); return 0;
    case 26: ((uint32_t *)w)[0] = pick(GROUPS); return 1;
    case 27: ((uint32_t *)w)[0] = pick(50); return 1;
    case 28: return 1;
    case 29: ((uint32_t *)w)[0] = odds(2) ? CLOCK_MONOTONIC : CLOCK_BOOTTIME; return 0;
    case 30: ((uint32_t *)w)[0] = (uint32_t)files[odds(2) ? RING_A : RING_B]; ((uint32_t *)w)[1] = odds(2) ? 2 : 0; return 1;
    case 31: {
        sqe_t q = {.opcode = IORING_OP_MSG_RING, .fd = files[odds(2) ? RING_A : RING_B], .off = any_data(), .len = pick(9)};
        memcpy(w, &q, sizeof q);
        return 1;
    }
    case 33: {
        struct io_uring_params p = {.sq_entries = ENTRIES >> pick(3), .cq_entries = ENTRIES << pick(5), .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP};
        memcpy(w, &p, sizeof p);
        return 1;
    }
    case 34: {
        uint64_t *d = (void *)slot();
        memset(d, 0, 64);
        d[0] = odds(2) ? (uintptr_t)area + AREA - PAGE : 0;
        d[1] = PAGE;
        ((uint32_t *)d)[4] = d[0] != 0;
        w[0] = (uintptr_t)d;
        w[1] = odds(2);
        return 1;
    }
    case 35: w[0] = odds(3) ? (uintptr_t)slot() : 0; w[1] = (uintptr_t)slot(); ((uint32_t *)w)[4] = pick(3); ((uint32_t *)w)[5] = 8 + pick(40); return 0;
    default: return 1;
    }
}

static void new_ring(int me);

static void a_registration(struct ring *r, uint32_t op)
{
    uint64_t w[32] = {0};
    void *at = w;
    uint32_t n = right_registration(r, op, w, &at);
    if (odds(5))
        switch (pick(5)) {
        case 0: n = (uint32_t)any_number() % 70000; break;
        case 1: at = odds(2) ? NULL : (void *)(uintptr_t)any_number(); break;
        default: ((uint32_t *)w)[pick(16)] = (uint32_t)any_number(); break;
        }
    atomic_fetch_add(&counts->registrations[op].tried, 1);
    int e = u_register(op == 31 ? -1 : r->fd, op | (odds(60) ? 1u << 31 : 0), at, n);
    if (e < 0)
        return;
    atomic_fetch_add(&counts->registrations[op].good, 1);
    if (op == 33) {
        // The new rings are mapped in the place of the old ones; what does not fit is cut.
        struct io_uring_params p;
        memcpy(&p, w, sizeof p);
        struct ring old = *r, new = old;
        new.p = p;
        new.p.flags = old.p.flags;
        size_t sq = p.sq_off.array + (old.sq_array ? p.sq_entries * 4 : 0), cq = p.cq_off.cqes + p.cq_entries * (16ul << !!(old.p.flags & IORING_SETUP_CQE32));
        char *m = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
        char *s = mmap(NULL, p.sq_entries * (64ul << !!(old.p.flags & IORING_SETUP_SQE128)), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
        if (m == MAP_FAILED || s == MAP_FAILED)
            return;
        new.sq_head = (void *)(m + p.sq_off.head);
        new.sq_tail = (void *)(m + p.sq_off.tail);
        new.sq_flags = (void *)(m + p.sq_off.flags);
        new.sq_array = old.sq_array ? (void *)(m + p.sq_off.array) : NULL;
        new.cq_head = (void *)(m + p.cq_off.head);
        new.cq_tail = (void *)(m + p.cq_off.tail);
        new.cqes = (void *)(m + p.cq_off.cqes);
        new.sqes = (void *)s;
        for (uint32_t i = 0; new.sq_array && i < p.sq_entries; i++)
            new.sq_array[i] = i;
        *r = new;
    }
}

// More buffers for the groups, in rings as they are registered.
static void provide(void)
{
    uint32_t group = pick(4);
    struct io_uring_buf *b = (void *)buffer_ring(group);
    uint16_t tail = *(uint16_t *)((char *)b + 14);
    for (uint32_t i = 0; i < 8; i++, tail++) {
        struct io_uring_buf *e = &b[tail & (BRING - 1)];
        e->addr = (uintptr_t)area + pick(BUFFERS) * BUFFER;
        e->len = 1 + pick(800);
        e->bid = (uint16_t)pick(BRING);
    }
    __atomic_store_n((uint16_t *)((char *)b + 14), tail, __ATOMIC_RELEASE);
}

static void reap(struct ring *r)
{
    uint32_t head = atomic_load(r->cq_head), tail = atomic_load(r->cq_tail), n = tail - head, wide = !!(r->p.flags & IORING_SETUP_CQE32);
    for (uint32_t i = 0; i < n && i < r->p.cq_entries; i++) {
        cqe_t c = r->cqes[((head + i) & (r->p.cq_entries - 1)) << wide];
        uint8_t op = (uint8_t)c.user_data;
        if ((c.res >= 0 || c.res == -ETIME) && !(c.flags & 32))
            atomic_fetch_add(&counts->requests[op].good, 1);
        if ((r->p.flags & U_SETUP_CQE_MIXED) && (c.flags & 1u << 15))
            i++;
    }
    atomic_store(r->cq_head, tail);
}

static void submit(struct ring *r, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        any_request(r, &r->sqes[(r->tail++ & (r->p.sq_entries - 1)) << !!(r->p.flags & IORING_SETUP_SQE128)]);
    r->tail = atomic_load(r->sq_head) + count;
    atomic_store(r->sq_tail, r->tail);
    struct { uint64_t mask; uint32_t size, min_us; uint64_t ts; } x = {0, 8, pick(100), (uintptr_t)soon()};
    uint32_t flags = odds(3) ? 0 : IORING_ENTER_GETEVENTS;
    bool waits = flags != 0 && odds(4);
    if (waits)
        flags |= IORING_ENTER_EXT_ARG | (odds(9) ? IORING_ENTER_SQ_WAIT : 0) | (odds(9) ? U_ENTER_NO_IOWAIT : 0) | (odds(9) ? U_ENTER_ABS_TIMER : 0);
    if (r->p.flags & IORING_SETUP_SQPOLL)
        flags |= IORING_ENTER_SQ_WAKEUP;
    if (odds(100))
        flags |= (uint32_t)any_number();
    int n = u_enter(r->fd, count, waits ? pick(5) : 0, flags, waits ? &x : NULL, waits ? sizeof x : 0);
    if (n > 0)
        atomic_fetch_add(&counts->made, (uint64_t)n);
    reap(r);
}

// What happens to rings and to the process meanwhile.
static void chaos(int me)
{
    struct ring *r = &rings[me];
    char *at = area + pick(BUFFERS) * BUFFER + pick(8) * PAGE;
    int st;
    switch (pick(13)) {
    case 0: mmap(at, PAGE * (1 + pick(3)), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
    case 1: mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, files[odds(2) ? REG : MEMFD], PAGE * pick(4)); break;
    case 2: mprotect(at, PAGE, (int)pick(4)); break;
    case 3: munmap(at, PAGE); break;
    case 4:
        mmap(area, DATA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
    case 5: case 6: {
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 3; i++)
                submit(&rings[pick(2)], pick(8));
            if (odds(3))
                execl("/bin/true", "true", NULL);
            if (odds(2))
                kill(getpid(), SIGKILL);
            _exit(0);
        }
        if (pid > 0)
            child = pid;
        while (odds(2) && waitpid(-1, &st, WNOHANG) > 0)
            ;
        break;
    }
    case 7: // closed with all that is in flight; its descriptor's number is somebody else's soon
        if (odds(3)) {
            close(r->fd);
            new_ring(me);
        }
        break;
    case 8: { // a view more, and gone
        char *m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, odds(2) ? IORING_OFF_SQ_RING : IORING_OFF_SQES);
        if (m != MAP_FAILED)
            munmap(m, 16 * PAGE);
        break;
    }
    case 9: { // the other's ring takes a place here, and a full pipe is emptied
        char b[4096];
        if (read(files[FULL_R], b, sizeof b) >= 0 && write(files[FULL_W], area, 600) < 0)
            dup3(files[RING_A], files[BARE], 0);
        break;
    }
    case 10: { // into the file again, that reads find something
        struct iovec v = {area, BUFFER};
        pwritev(files[REG], &v, 1, 0);
        write(files[PIPE_W], "something", 9);
        send(files[STREAM_B], "something", 9, MSG_DONTWAIT | MSG_NOSIGNAL);
        send(files[TCP_B], "something", 9, MSG_DONTWAIT | MSG_NOSIGNAL);
        sendto(files[UDP_B], "some", 4, MSG_DONTWAIT, (void *)&udp_name, sizeof udp_name);
        break;
    }
    case 11: close_range((unsigned)files[KINDS - 1] + 40, ~0u, 0); break;
    default:
        if (odds(60))
            kill(getpid(), SIGKILL);
        break;
    }
}

static void new_ring(int me)
{
    static const uint32_t kinds[] = {0, 0, IORING_SETUP_SUBMIT_ALL, U_SETUP_NO_SQARRAY | IORING_SETUP_SUBMIT_ALL, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL, IORING_SETUP_CQE32,
        U_SETUP_CQE_MIXED, IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL, IORING_SETUP_SQPOLL | IORING_SETUP_SUBMIT_ALL, IORING_SETUP_SQE128,
        IORING_SETUP_IOPOLL | U_SETUP_HYBRID_IOPOLL, IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED,
        IORING_SETUP_R_DISABLED, IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SQE128 | IORING_SETUP_CQE32, IORING_SETUP_ATTACH_WQ};
    struct ring n = {.fd = -1};
    n.p.flags = kinds[pick(countof(kinds))] | (odds(3) ? IORING_SETUP_CQSIZE : 0);
    n.p.cq_entries = ENTRIES << pick(4);
    n.p.sq_thread_idle = 1;
    n.p.wq_fd = (uint32_t)files[RING_A];
    bool disabled = (n.p.flags & IORING_SETUP_R_DISABLED) != 0;
    n.fd = u_setup(ENTRIES, &n.p);
    if (n.fd < 0) {
        n.p.flags = 0;
        n.fd = u_setup(ENTRIES, &n.p);
    }
    if (n.fd < 0)
        _exit(0);
    ring_map(&n);
    if (dup3(n.fd, files[RING_A + me], 0) >= 0) {
        close(n.fd);
        n.fd = files[RING_A + me];
    }
    rings[me] = n;
    if (disabled && odds(3))
        a_registration(&rings[me], IORING_REGISTER_RESTRICTIONS);
    if (disabled)
        a_registration(&rings[me], IORING_REGISTER_ENABLE_RINGS);
    a_registration(&rings[me], odds(2) ? IORING_REGISTER_FILES : IORING_REGISTER_FILES2);
    a_registration(&rings[me], odds(2) ? IORING_REGISTER_BUFFERS : IORING_REGISTER_BUFFERS2);
    for (int i = 0; i < 6; i++)
        a_registration(&rings[me], IORING_REGISTER_PBUF_RING);
}

static void *lives(void *arg)
{
    uint64_t n = (uintptr_t)arg;
    int me = n & 1;
    sow(n);
    interrupt_every(5000);
    new_ring(me);
    for (int i = 0; i < ENTERS; i++) {
        struct ring *r = &rings[odds(20) ? !me : me];
        if (r->fd <= 0)
            continue;
        if (odds(4))
            a_registration(r, odds(3) ? IORING_REGISTER_PBUF_RING : pick(36));
        if (odds(10))
            chaos(me);
        if (odds(3))
            provide();
        submit(r, 1 + pick(16));
    }
    return NULL;
}

// Changes what requests are made of while they are read: seldom enough that most stay what they were.
static void *scribbles(void *arg)
{
    sow((uintptr_t)arg);
    while (!atomic_load(&done)) {
        struct ring *r = &rings[pick(2)];
        mt_sleep_us(20);
        if (r->fd <= 0)
            continue;
        switch (pick(8)) {
        case 0: ((volatile unsigned char *)r->sqes)[pick(r->p.sq_entries * 64)] = (unsigned char)any_number(); break;
        case 1: atomic_store(r->sq_tail, atomic_load(r->sq_head) + pick(ENTRIES)); break;
        case 2: if (odds(9)) atomic_store(r->cq_tail, (uint32_t)any_number()); break;
        case 3: ((volatile uint64_t *)slot())[pick(16)] = any_number(); break;
        case 4: ((volatile uint64_t *)buffer_ring(pick(4)))[pick(2 * BRING)] = any_number(); break;
        case 5: *(volatile uint32_t *)area = pick(3); break;
        case 6: if (r->sq_array) __atomic_store_n(&r->sq_array[pick(r->p.sq_entries)], pick(r->p.sq_entries), __ATOMIC_RELAXED); break;
        default: provide(); break;
        }
    }
    return NULL;
}

static void pair(int a, int b, int type, bool pipes)
{
    int two[2] = {-1, -1};
    if (pipes ? pipe2(two, odds(2) ? O_NONBLOCK : 0) : socketpair(AF_UNIX, type, 0, two))
        return;
    files[a] = two[0];
    files[b] = two[1];
}

static int listener(int family, void *name, socklen_t size)
{
    int s = socket(family, SOCK_STREAM, 0);
    if (s >= 0 && bind(s, name, size) == 0 && listen(s, 16) == 0)
        getsockname(s, name, &size);
    return s;
}

static void make_files(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    files[REG] = open("a0", O_RDWR | O_CREAT, 0666);
    files[DIRECT] = open("a1", O_RDWR | O_CREAT | O_DIRECT, 0666);
    files[DIR_FD] = open(".", O_RDONLY | O_DIRECTORY);
    for (int i = REG; i <= DIRECT; i++)
        for (int k = 0; k < 8; k++)
            if (files[i] >= 0)
                pwrite(files[i], area, PAGE, k * PAGE);
    pair(PIPE_R, PIPE_W, 0, true);
    pair(FULL_R, FULL_W, 0, true);
    write(files[FULL_W], area, 4096);
    pair(STREAM_A, STREAM_B, SOCK_STREAM, false);
    pair(DGRAM_A, DGRAM_B, SOCK_DGRAM, false);
    pair(SEQ_A, SEQ_B, SOCK_SEQPACKET, false);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    tcp_name = udp_name = any;
    files[TCP_L] = listener(AF_INET, &tcp_name, sizeof tcp_name);
    files[TCP_B] = socket(AF_INET, SOCK_STREAM, 0);
    files[TCP_A] = connect(files[TCP_B], (void *)&tcp_name, sizeof tcp_name) == 0 ? accept(files[TCP_L], NULL, NULL) : -1;
    files[UDP_A] = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t size = sizeof udp_name;
    if (bind(files[UDP_A], (void *)&udp_name, size) == 0)
        getsockname(files[UDP_A], (void *)&udp_name, &size);
    files[UDP_B] = socket(AF_INET, SOCK_DGRAM, 0);
    unix_name.sun_family = AF_UNIX;
    snprintf(unix_name.sun_path + 1, 40, "hostile %d", getpid());
    files[UNIX_L] = listener(AF_UNIX, &unix_name, sizeof unix_name);
    files[EVENT] = eventfd(1, EFD_NONBLOCK);
    files[TIMER] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    timerfd_settime(files[TIMER], 0, &every, NULL);
    files[EPOLL] = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {0}};
    epoll_ctl(files[EPOLL], EPOLL_CTL_ADD, files[EVENT], &e);
    files[INOTIFY] = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(files[INOTIFY], ".", IN_ALL_EVENTS);
    files[PIDFD] = (int)syscall(SYS_pidfd_open, getpid(), 0);
    files[MEMFD] = memfd_create("m", MFD_ALLOW_SEALING);
    if (ftruncate(files[MEMFD], 64 * PAGE) != 0)
        return;
    files[ZERO] = open("/dev/zero", O_RDWR);
    files[RING_A] = dup(files[ZERO]);
    files[RING_B] = dup(files[ZERO]);
    files[PTY_M] = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    int unlocked = 0;
    files[PTY_S] = ioctl(files[PTY_M], _IOW('T', 0x31, int), &unlocked) == 0 ? ioctl(files[PTY_M], _IO('T', 0x41), O_RDWR | O_NOCTTY) : -1;
    files[SIGNALS] = signalfd(-1, &set, SFD_NONBLOCK);
    files[BARE] = dup(files[ZERO]);
}

static void a_process(uint64_t n)
{
    sow(n);
    area = mmap(NULL, AREA + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!enter_directory(n))
        return;
    mkdir("d", 0777);
    catch_signals();
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){4 << 20, 4 << 20});
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){400, 400});
    make_files();
    if (odds(2) && setuid(65534) != 0)
        return;
    pthread_t t[2];
    if (pthread_create(&t[0], NULL, lives, (void *)(n * 2)) != 0 || (odds(2) && pthread_create(&t[1], NULL, scribbles, (void *)(n + 77)) != 0))
        return;
    lives((void *)(n * 2 + 1));
    switch (pick(4)) { // the other thread may be anywhere
    case 0: execl("/bin/true", "true", NULL); break;
    case 1: kill(getpid(), SIGKILL); break;
    case 2: return;
    default: pthread_join(t[0], NULL); break;
    }
    atomic_store(&done, true);
}

int main(int argc, char **argv) { return hostile_main(argc, argv, 3, a_process); }
