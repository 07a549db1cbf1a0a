// Requests in batches from one place that enters again and again: whoever runs the program may look at the submission queue before its kernel does.
// What it finds there, by which address, and what becomes of that meanwhile must make no difference.
#include "uring.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { ENTRIES = 64, ROUNDS = 300 };

#define U_REGISTER_RESIZE_RINGS 33

static uint64_t next_data = 1;

// The only call of io_uring_enter here that is made often.
__attribute__((noinline)) static int enter(int fd, uint32_t n)
{
    int done;
    while ((done = u_enter(fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0)) < 0 && errno == EINTR) {
    }
    return done;
}

static void expect(struct ring *r, uint64_t data, int res)
{
    uint32_t head = atomic_load(r->cq_head), shift = r->p.flags & IORING_SETUP_CQE32 ? 1 : 0;
    CHECK(head != atomic_load(r->cq_tail));
    const cqe_t *c = &r->cqes[(head & (r->p.cq_entries - 1)) << shift];
    CHECK_EQ(c->user_data, data);
    CHECK_EQ(c->res, res);
    CHECK_EQ(c->flags, 0);
    atomic_store(r->cq_head, head + 1);
}

static void nops(struct ring *r, uint32_t n)
{
    uint64_t first = next_data;
    uint32_t shift = r->p.flags & IORING_SETUP_SQE128 ? 1 : 0;
    for (uint32_t i = 0; i < n; i++) {
        sqe_t *s = &r->sqes[(r->tail++ & (r->p.sq_entries - 1)) << shift];
        memset(s, 0, sizeof *s);
        s->user_data = next_data++;
    }
    ring_publish(r);
    CHECK_EQ(enter(r->fd, n), n);
    for (uint32_t i = 0; i < n; i++)
        expect(r, first + i, 0);
}

static void warm(struct ring *r)
{
    for (int i = 0; i < ROUNDS; i++)
        nops(r, 8);
}

static void all_sizes(uint32_t flags)
{
    struct ring r;
    ring_init(&r, ENTRIES, flags);
    for (int i = 0; i < ROUNDS; i++)
        nops(&r, 1 + i % ENTRIES);
    ring_exit(&r);
}

TEST(sizes) { all_sizes(0); }
TEST(sizes_without_array) { all_sizes(U_SETUP_NO_SQARRAY); }
TEST(sizes_of_large_requests) { all_sizes(IORING_SETUP_SQE128); }
TEST(sizes_of_large_results) { all_sizes(IORING_SETUP_CQE32); }
TEST(sizes_deferred) { all_sizes(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN); }

// The array says which request comes next.
TEST(backwards)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (uint32_t i = 0; i < ENTRIES; i++)
        r.sq_array[i] = ENTRIES - 1 - i;
    for (int i = 0; i < ROUNDS; i++) {
        memset(r.sqes, 0, r.sqe_size);
        for (uint32_t k = 0; k < 16; k++)
            r.sqes[ENTRIES - 1 - (r.tail + k) % ENTRIES].user_data = next_data + k;
        r.tail += 16;
        ring_publish(&r);
        CHECK_EQ(enter(r.fd, 16), 16);
        for (uint32_t k = 0; k < 16; k++)
            expect(&r, next_data++, 0);
    }
    ring_exit(&r);
}

// Every field counts, and what is no plain NOP among NOPs is not taken for one.
TEST(mixed)
{
    struct ring r;
    char text[64], back[16], path[] = "/tmp/gather.XXXXXX";
    int fd = OK(mkstemp(path));
    OK(unlink(path));
    for (int i = 0; i < 64; i++)
        text[i] = (char)('0' + i);
    CHECK_EQ(write(fd, text, 64), 64);
    ring_init(&r, ENTRIES, IORING_SETUP_SUBMIT_ALL);
    struct iovec v = {back, sizeof back};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t d = next_data;
        add_nop(&r, next_data++);
        sqe_t *s = add_nop(&r, next_data++); // a result of its own
        s->len = 77;
        s->rw_flags = U_NOP_INJECT_RESULT;
        add_nop(&r, next_data++);
        s = add_nop(&r, next_data++); // nobody
        s->personality = 99;
        s = add_nop(&r, next_data++); // what a NOP does not look at
        s->off = 1;
        s->addr = 2;
        s->len = 3;
        s = add_nop(&r, next_data++);
        s->rw_flags = 1 << 20;
        s = ADD(&r, READ_FIXED, fd, back + 4, 8, i % 32, next_data++);
        s->buf_index = 0;
        s = ADD(&r, READ_FIXED, fd, back, 8, 0, next_data++);
        s->buf_index = 1;
        s = add_nop(&r, next_data++);
        s->ioprio = 1;
        s = add_nop(&r, next_data++);
        s->opcode = 200;
        add_nop(&r, next_data++)->fd = 1000;
        add_nop(&r, next_data++)->splice_fd_in = 5;
        ring_publish(&r);
        memset(back, 0, sizeof back);
        CHECK_EQ(enter(r.fd, 12), 12);
        const int results[] = {0, 77, 0, -EINVAL, 0, -EINVAL, 8, -EFAULT, -EINVAL, -EINVAL, 0, 0};
        for (uint32_t k = 0; k < 12; k++)
            expect(&r, d + k, results[k]);
        CHECK(memcmp(back + 4, text + i % 32, 8) == 0 && back[0] == 0 && back[12] == 0);
    }
    ring_exit(&r);
    OK(close(fd));
}

// Without SUBMIT_ALL the first bad request is the last of its batch, and the rest is still there.
TEST(stops_at_a_bad_one)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t d = next_data;
        for (int k = 0; k < 10; k++)
            add_nop(&r, next_data++)->rw_flags = k == 4 ? 1 << 20 : 0;
        ring_publish(&r);
        CHECK_EQ(enter(r.fd, 10), 5);
        CHECK_EQ(enter(r.fd, 5), 5);
        for (int k = 0; k < 10; k++)
            expect(&r, d + (uint64_t)k, k == 4 ? -EINVAL : 0);
    }
    ring_exit(&r);
}

TEST(index_outside)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t d = next_data;
        uint32_t bad = (r.tail + 5) % ENTRIES;
        for (int k = 0; k < 10; k++)
            add_nop(&r, next_data++);
        r.sq_array[bad] = ENTRIES + (uint32_t)i;
        ring_publish(&r);
        CHECK_EQ(enter(r.fd, 10), 5);
        CHECK_EQ(atomic_load(r.sq_dropped), i + 1);
        r.sq_array[bad] = bad;
        CHECK_EQ(enter(r.fd, 4), 4);
        for (int k = 0; k < 10; k++)
            if (k != 5)
                expect(&r, d + (uint64_t)k, 0);
    }
    ring_drop(&r);
}

// The kernel has the requests, wherever the program has mapped them or no longer has.
TEST(unmapped)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (int round = 0; round < 3; round++) {
        warm(&r);
        uint64_t d = next_data;
        for (int k = 0; k < 8; k++)
            add_nop(&r, next_data++);
        ring_publish(&r);
        OK(munmap(r.sqe_map, r.sqe_size));
        CHECK_EQ(enter(r.fd, 8), 8);
        for (uint64_t k = 0; k < 8; k++)
            expect(&r, d + k, 0);
        // Something else is there, and the ring elsewhere.
        char *other = OK(mmap(r.sqe_map, r.sqe_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        memset(other, 99, r.sqe_size);
        void *old = r.sqe_map;
        r.sqes = r.sqe_map = OK(mmap(NULL, r.sqe_size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQES));
        warm(&r);
        OK(munmap(old, r.sqe_size));
    }
    ring_exit(&r);
}

TEST(protected)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (int round = 0; round < 20; round++) {
        warm(&r);
        uint64_t d = next_data;
        for (int k = 0; k < 8; k++)
            add_nop(&r, next_data++);
        ring_publish(&r);
        OK(mprotect(r.sqe_map, r.sqe_size, PROT_NONE));
        CHECK_EQ(enter(r.fd, 8), 8);
        OK(mprotect(r.sqe_map, r.sqe_size, PROT_READ | PROT_WRITE));
        for (uint64_t k = 0; k < 8; k++)
            expect(&r, d + k, 0);
    }
    ring_exit(&r);
}

// Another descriptor takes the number.
TEST(number_of_another)
{
    struct ring a, b;
    ring_init(&a, ENTRIES, 0);
    ring_init(&b, ENTRIES, 0);
    int spare = OK(dup(a.fd)), number = a.fd;
    for (int i = 0; i < 20; i++) {
        warm(&a);
        OK(dup2(b.fd, number));
        for (int k = 0; k < 8; k++)
            add_nop(&a, 1000);
        ring_publish(&a); // in the other one, which nobody enters
        struct ring c = b;
        c.fd = number;
        nops(&c, 8);
        warm(&c);
        b.tail = c.tail;
        b.published = c.published;
        OK(dup2(spare, number));
        CHECK_EQ(enter(number, 8), 8);
        for (int k = 0; k < 8; k++)
            expect(&a, 1000, 0);
    }
    OK(close(spare));
    ring_exit(&a);
    ring_exit(&b);
}

static void wait_for(pid_t child)
{
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

// Two processes have one ring, each at places of its own.
TEST(forked)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (int i = 0; i < 10; i++) {
        warm(&r);
        pid_t child = OK(fork());
        if (child == 0) {
            warm(&r);
            if (i % 2) {
                memset(OK(mmap(r.sqe_map, r.sqe_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)), 99, r.sqe_size);
                r.sqes = OK(mmap(NULL, r.sqe_size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQES));
                warm(&r);
            }
            _exit(0);
        }
        wait_for(child);
        r.tail = r.published = atomic_load(r.sq_tail);
        warm(&r);
    }
    ring_exit(&r);
}

struct own {
    struct ring *ring;
    pthread_mutex_t *turn;
};

static void *in_turns(void *arg)
{
    struct own *o = arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(o->turn);
        uint32_t n = 4 + (uint32_t)i % 9;
        for (uint32_t k = 0; k < n; k++)
            add_nop(o->ring, k);
        ring_publish(o->ring);
        CHECK_EQ(enter(o->ring->fd, n), n);
        for (uint32_t k = 0; k < n; k++)
            expect(o->ring, k, 0);
        pthread_mutex_unlock(o->turn);
    }
    return NULL;
}

TEST(threads_share)
{
    struct ring r;
    pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    ring_init(&r, ENTRIES, 0);
    struct own o = {&r, &turn};
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        OK0(pthread_create(&t[i], NULL, in_turns, &o));
    for (int i = 0; i < 3; i++)
        OK0(pthread_join(t[i], NULL));
    ring_exit(&r);
}

static atomic_bool over;

static void *protects(void *arg)
{
    struct ring *r = arg;
    while (!over) {
        OK(mprotect(r->sqe_map, r->sqe_size, PROT_NONE));
        OK(mprotect(r->sqe_map, r->sqe_size, PROT_READ | PROT_WRITE));
        mt_sleep_us(50);
    }
    return NULL;
}

// What the program cannot read at that moment its kernel can.
TEST(protected_meanwhile)
{
    struct ring r;
    ring_init(&r, ENTRIES, 0);
    for (uint32_t i = 0; i < ENTRIES; i++)
        r.sqes[i].user_data = i;
    over = false;
    pthread_t t;
    OK0(pthread_create(&t, NULL, protects, &r));
    for (int i = 0; i < 5 * ROUNDS; i++) {
        uint32_t first = r.tail;
        r.tail += 16;
        ring_publish(&r);
        CHECK_EQ(enter(r.fd, 16), 16);
        for (uint32_t k = 0; k < 16; k++)
            expect(&r, (first + k) % ENTRIES, 0);
    }
    over = true;
    OK0(pthread_join(t, NULL));
    ring_exit(&r);
}

static volatile int alarms;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
}

TEST(interrupted)
{
    struct ring r;
    struct sigaction a = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    ring_init(&r, ENTRIES, 0);
    OK(sigaction(SIGALRM, &a, NULL));
    OK(setitimer(ITIMER_REAL, &every, NULL));
    int rounds = 0;
    for (alarms = 0; rounds < 10 * ROUNDS || alarms < 20; rounds++)
        nops(&r, 4 + (uint32_t)rounds % 44);
    OK(setitimer(ITIMER_REAL, &never, NULL));
    ring_exit(&r);
}

TEST(resized)
{
    struct ring r;
    ring_init(&r, ENTRIES, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | U_SETUP_NO_SQARRAY);
    for (int i = 0; i < 10; i++) {
        warm(&r);
        struct io_uring_params p = {.sq_entries = i % 2 ? 64 : 128, .cq_entries = 256, .flags = IORING_SETUP_CQSIZE};
        OK(munmap(r.ring_map, r.ring_size));
        OK(munmap(r.sqe_map, r.sqe_size));
        OK(u_register(r.fd, U_REGISTER_RESIZE_RINGS, &p, 1));
        p.flags = r.p.flags;
        r.p = p;
        ring_map(&r);
        warm(&r);
    }
    ring_exit(&r);
}
