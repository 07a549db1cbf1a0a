// Random requests and registrations of every number on rings of every kind, with fields that are valid, nearly so, or anything;
// nothing is checked but that the program comes through, and that a new ring works at the end.
#include "uring.h"
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define PAGE 4096ul

static uint64_t seed;
static uint32_t pick(uint32_t n) { return (uint32_t)(mt_random(&seed) >> 33) % n; }

static char *area;
static int files[8];
static struct ring r;

static uint64_t any_address(void)
{
    switch (pick(8)) {
    case 0: return 0;
    case 1: return mt_random(&seed);
    case 2: return 8;
    case 3: return (uintptr_t)r.ring_map + pick(4096);
    default: return (uintptr_t)area + pick(60000) * (pick(2) ? 1 : 8) % 60000;
    }
}

static uint64_t any_number(void)
{
    switch (pick(8)) {
    case 0: return mt_random(&seed);
    case 1: return ~0ull;
    case 2: return 1ull << pick(64);
    case 3: return any_address();
    default: return pick(2) ? pick(4) : pick(5000);
    }
}

static int any_file(void) { return pick(12) ? files[pick(8)] : pick(2) ? -(int)pick(20) : 3 + (int)pick(300); }

static void any_request(sqe_t *s)
{
    uint8_t op = (uint8_t)(pick(20) ? pick(U_OP_LAST_6_18) : pick(256));
    // Not what ends the process, changes the world, or waits for what is not there.
    static const uint8_t spare[] = {IORING_OP_MADVISE, IORING_OP_CLOSE, IORING_OP_UNLINKAT, IORING_OP_RENAMEAT};
    for (unsigned i = 0; i < countof(spare); i++)
        if (op == spare[i])
            op = IORING_OP_NOP;
    prep(s, op, any_file(), (void *)(uintptr_t)any_address(), (uint32_t)any_number(), any_number(), pick(50));
    s->flags = pick(3) ? 0 : (uint8_t)pick(128);
    s->ioprio = pick(4) ? 0 : (uint16_t)any_number();
    s->rw_flags = pick(3) ? 0 : (int)any_number();
    s->buf_index = pick(3) ? 0 : (uint16_t)any_number();
    s->personality = pick(20) ? 0 : (uint16_t)pick(4);
    s->file_index = pick(3) ? 0 : (uint32_t)any_number();
    s->addr3 = pick(3) ? 0 : any_number();
}

static void any_registration(void)
{
    uint32_t op = pick(40);
    uint64_t words[16];
    for (unsigned i = 0; i < countof(words); i++)
        words[i] = pick(3) ? 0 : any_number();
    if (op == 20 || op == 21 || op == 31) // rings that would be lost, or lose us
        return;
    void *at = pick(4) ? (void *)words : (void *)(uintptr_t)any_address();
    u_register(r.fd, op, pick(5) ? at : NULL, pick(3) ? pick(3) : (uint32_t)any_number() % 70000);
}

static void a_run(uint64_t n)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_SUBMIT_ALL, U_SETUP_NO_SQARRAY, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_CQE32, U_SETUP_CQE_MIXED, IORING_SETUP_IOPOLL, IORING_SETUP_R_DISABLED};
    seed = n * 7919 + 1;
    area = OK(mmap(NULL, 64 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 0; i < 64 * 1024; i += 8)
        *(uint64_t *)(area + i) = mt_random(&seed) >> pick(60);
    int p[2];
    OK(pipe2(p, O_NONBLOCK));
    ring_init(&r, 16, kinds[n % countof(kinds)] | IORING_SETUP_CLAMP);
    files[0] = mt_file("f", 9000);
    files[1] = p[0];
    files[2] = p[1];
    files[3] = OK(eventfd(0, EFD_NONBLOCK));
    files[4] = r.fd;
    files[5] = OK(open("/dev/zero", O_RDONLY));
    files[6] = OK(open("f", O_RDONLY));
    files[7] = OK(open(".", O_RDONLY | O_DIRECTORY));
    for (int step = 0; step < 400; step++) {
        if (pick(3) == 0)
            any_registration();
        uint32_t count = pick(8);
        for (uint32_t i = 0; i < count && r.tail - atomic_load(r.sq_head) < r.p.sq_entries; i++)
            any_request(&r.sqes[r.tail++ & (r.p.sq_entries - 1)]);
        ring_publish(&r);
        u_enter(r.fd, count, 0, pick(2) ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
        atomic_store(r.cq_head, atomic_load(r.cq_tail));
    }
    munmap(r.ring_map, r.ring_size);
    munmap(r.sqe_map, r.sqe_size);
    close(r.fd);
    _exit(0);
}

static void runs(uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n < last; n++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            signal(SIGPIPE, SIG_IGN);
            signal(SIGXFSZ, SIG_IGN);
            alarm(15);
            a_run(n);
        }
        int st;
        CHECK_EQ(waitpid(pid, &st, 0), pid); // how it ended is its own affair: buffers may be anywhere
    }
    ring_init(&r, 8, 0);
    add_nop(&r, 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    ring_exit(&r);
}

TEST(some) { runs(1, 30); }

TEST(more) { runs(1000, 1030); }
