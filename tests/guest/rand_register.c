// run: 1 12000
// run: 3 12000
// run: 4 12000
// run: 6 12000
// io_uring_setup, io_uring_register and io_uring_enter by chance: rings of every kind, valid and nearly valid registrations on several of them,
// requests that use what is registered, waits of every kind, mappings. Printed like rand_batches: a number for a block of steps, or
// from a step on. Further arguments: seed, steps, first step to print, how many.
#include "rand_register_ops.h"
#include "rand_register_use.h"
#include <sys/resource.h>

enum { BLOCK = 100, EPOCH = 150 };

static const uint32_t kinds[] = {0, 0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG};

static char *fresh_room(void)
{
    static size_t rooms;
    return OK(mmap(OWN + rooms++ * OWN_SIZE, OWN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
}

// One attempt; what becomes of it is kept when `keep` is set.
static bool set_up(struct slot *s, bool keep)
{
    struct io_uring_params p = {.flags = odds(16) ? IORING_SETUP_SQPOLL : kinds[pick(countof(kinds))], .sq_thread_idle = odds(4) ? some_number() & 0xfff : 1};
    uint32_t entries = odds(20) ? some_number() : 1 + pick(40);
    char *own = NULL;
    p.flags |= (odds(2) ? IORING_SETUP_SUBMIT_ALL : 0) | (odds(3) ? U_SETUP_NO_SQARRAY : 0) | (odds(4) ? IORING_SETUP_SQE128 : 0) | (odds(5) ? IORING_SETUP_R_DISABLED : 0);
    p.flags |= (odds(8) ? IORING_SETUP_CLAMP : 0) | (odds(4) ? IORING_SETUP_CQE32 : odds(3) ? U_SETUP_CQE_MIXED : 0) | (odds(6) ? U_SETUP_NO_MMAP : 0);
    p.flags |= odds(16) ? IORING_SETUP_IOPOLL | (odds(2) ? U_SETUP_HYBRID_IOPOLL : 0) : 0;
    p.flags |= odds(10) ? IORING_SETUP_ATTACH_WQ : 0;
    if (p.flags & U_SETUP_NO_MMAP && odds(2))
        p.flags |= U_SETUP_REGISTERED_FD_ONLY;
    if (odds(3)) {
        p.flags |= IORING_SETUP_CQSIZE;
        p.cq_entries = odds(10) ? some_number() : entries + pick(60);
    }
    if (p.flags & IORING_SETUP_SQPOLL && odds(3))
        p.flags |= IORING_SETUP_SQ_AFF, p.sq_thread_cpu = odds(3) ? some_number() : pick(2);
    p.wq_fd = (uint32_t)(odds(3) ? some_fd() : some_ring_fd());
    if (p.flags & U_SETUP_NO_MMAP) {
        own = fresh_room();
        p.cq_off.user_addr = (uintptr_t)own;
        p.sq_off.user_addr = (uintptr_t)own + OWN_SIZE / 4;
        if (entries > 64 && !odds(3))
            entries = 1 + pick(64);
        if (odds(8))
            *(odds(2) ? &p.cq_off.user_addr : &p.sq_off.user_addr) = odds(2) ? 0 : odds(2) ? (uintptr_t)own + 8 : odds(2) ? (uintptr_t)FIXED : (uintptr_t)bad_address();
    }
    if (odds(3))
        p.flags ^= 1u << pick(odds(6) ? 32 : 20);
    p.features = odds(8) ? some_number() : 0;
    p.resv[pick(3)] = reserved();
    if (p.flags & U_SETUP_NO_MMAP && p.cq_off.user_addr == 0 && !odds(8))
        p.flags &= ~(U_SETUP_NO_MMAP | U_SETUP_REGISTERED_FD_ONLY);
    bool fits = own != NULL && p.cq_off.user_addr == (uintptr_t)own && p.sq_off.user_addr == (uintptr_t)own + OWN_SIZE / 4;
    note("  setup %u flags %x cq %u\n", entries, p.flags, p.cq_entries);
    void *at = place(&p, sizeof p);
    int n = u_setup(entries, at);
    int e = errno;
    note("  = %d %s %x\n", n, error_of(n), placed_hash());
    if (placed && placed_size == sizeof p)
        memcpy(&p, (void *)placed, sizeof p);
    errno = e;
    if (n < 0) {
        if (own != NULL)
            OK(munmap(own, OWN_SIZE));
        return false;
    }
    if (loud)
        printf("    %u %u %x sq %u %u %u %u %u %u %u cq %u %u %u %u %u %u %u\n", p.sq_entries, p.cq_entries, p.features, p.sq_off.head, p.sq_off.tail, p.sq_off.ring_mask, p.sq_off.ring_entries,
               p.sq_off.flags, p.sq_off.dropped, p.sq_off.array, p.cq_off.head, p.cq_off.tail, p.cq_off.ring_mask, p.cq_off.ring_entries, p.cq_off.overflow, p.cq_off.cqes, p.cq_off.flags);
    for (int i = 0; i < 32; i++)
        tally_setup[i] += p.flags >> i & 1;
    bool by_index = p.flags & U_SETUP_REGISTERED_FD_ONLY;
    if (!keep || (p.flags & U_SETUP_NO_MMAP && (!fits || p.sq_entries > 128 || p.cq_entries > 1024)) || placed_size != sizeof p || p.cq_entries > 4096) {
        struct io_uring_rsrc_update u = {.offset = (uint32_t)n};
        if (by_index)
            OK(u_register(keeper, IORING_UNREGISTER_RING_FDS, &u, 1));
        else
            OK(close(n));
        if (own != NULL)
            OK(munmap(own, OWN_SIZE));
        return false;
    }
    memset(s, 0, sizeof *s);
    s->ring.p = p;
    s->ring.fd = by_index ? -1 : n;
    s->index = by_index ? n : -1;
    if (by_index)
        indices[n] = (int)(s - slots);
    s->eventfd = -1;
    s->own = own;
    s->open = true;
    s->disabled = p.flags & IORING_SETUP_R_DISABLED;
    map_rings(s);
    return true;
}

static void start_epoch(void)
{
    open_files();
    for (int i = 0; i < RINGS; i++) {
        slots[i].ring.fd = slots[i].index = -1;
        slots[i].open = false;
    }
    for (int i = 0; i < INDICES; i++)
        indices[i] = -1;
    memset(DATA, rand_step, DATA_SIZE);
    for (int i = 0; i < RINGS; i++)
        while (!set_up(&slots[i], true))
            continue;
}

static void end_epoch(void)
{
    for (int i = 0; i < RINGS; i++)
        close_ring(&slots[i]);
    close_files();
}

// Another ring in its place, when nothing is in flight that would end at any time.
static void replace(struct slot *s)
{
    struct io_uring_sync_cancel_reg all = {.flags = 5, .timeout = {-1, -1}};
    long n = plain_register(s, IORING_REGISTER_SYNC_CANCEL, &all, 1);
    if (n < 0 && errno != ENOENT)
        return;
    look_at(s);
    close_ring(s);
    while (!set_up(s, true))
        continue;
}

static void step(void)
{
    struct slot *s = &slots[pick(RINGS)];
    switch (pick(16)) {
    case 0: set_up(s, false); break;
    case 1:
        if (odds(4))
            replace(s);
        break;
    case 2:
    case 3: enter_any(s); break;
    case 4:
        if (odds(3))
            map_any(s);
        else if (odds(4))
            read_info(s);
        break;
    case 5: happen(); break;
    case 6:
    case 7:
    case 8:
    case 9: submit_some(s); break;
    default: register_something(s); break;
    }
}

int main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 1000, from = argc > 3 ? atoi(argv[3]) : INT_MAX, told = argc > 4 ? atoi(argv[4]) : 2 * BLOCK;
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, no_signal);
    signal(SIGALRM, no_signal);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    // What is said goes out by a descriptor that no list has by mistake.
    stdout = fdopen(OK(fcntl(1, F_DUPFD, 400)), "w");
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < 3; i++)
        OK(dup2(OK(open("/dev/null", O_RDWR)), i));
    keeper = OK(u_setup(1, &(struct io_uring_params){0}));
    OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){512, 512}));
    map_arena();
    for (rand_step = 0; rand_step < steps; rand_step++) {
        begin_step(from, told, BLOCK);
        if (rand_step % EPOCH == 0) {
            if (rand_step > 0)
                end_epoch();
            start_epoch();
        }
        step();
        for (int i = 0; i < RINGS; i++)
            look_at(&slots[i]);
        if (rand_step % 10 == 0)
            note("    memory %lx\n", (unsigned long)hash_words(DATA, DATA_SIZE));
    }
    end_epoch();
    for (int i = 0; i < 64; i++)
        if (tally_op[i] != 0)
            printf("registration %d: %u, %u done\n", i, tally_op[i], tally_done[i]);
    for (int i = 0; i < 20; i++)
        printf("set-up flag %d: %u\n", i, tally_setup[i]);
    printf("enters: %u\n%lu\n", tally_enter, (unsigned long)seen_hash);
    return rand_end();
}
