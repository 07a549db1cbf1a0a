// The futex call itself: every operation, its counts, its errors, time-outs and signals.
#include "moat_test.h"
#include <linux/futex.h>

typedef _Atomic uint32_t word;

static long futex(word *addr, int op, uint32_t val, const void *timeout_or_val2, word *addr2, uint32_t val3)
{
    return syscall(SYS_futex, addr, op, val, timeout_or_val2, addr2, val3);
}

static long wake(word *addr, int n) { return OK(futex(addr, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0)); }

struct waiter {
    word *addr;
    int op;
    uint32_t value, bitset;
    pthread_t thread;
    long result;
    int error;
    atomic_bool started;
};

static void *waiter(void *arg)
{
    struct waiter *w = arg;
    atomic_store(&w->started, true);
    w->result = futex(w->addr, w->op, w->value, NULL, NULL, w->bitset);
    w->error = errno;
    return NULL;
}

static void start(struct waiter *w, word *addr, int op, uint32_t bitset)
{
    *w = (struct waiter){.addr = addr, .op = op, .value = *addr, .bitset = bitset};
    w->thread = mt_thread(waiter, w);
}

static void finish(struct waiter *w)
{
    OK0(pthread_join(w->thread, NULL));
    CHECK_EQ(w->result, 0);
}

// Starts n threads on `first` and moves them to `at`: when it returns all of them wait there.
static void gather(struct waiter *w, int n, word *first, word *at)
{
    for (int i = 0; i < n; i++)
        start(&w[i], first, FUTEX_WAIT_PRIVATE, 0);
    for (int moved = 0; moved < n;) {
        moved += OK(futex(first, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)(intptr_t)INT_MAX, at, *first));
        mt_sleep_us(200);
    }
}

TEST(wait_value_differs)
{
    word f = 5;
    CHECK_ERR(futex(&f, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
    CHECK_ERR(futex(&f, FUTEX_WAIT_PRIVATE, 6, NULL, NULL, 0), EAGAIN);
    CHECK_ERR(futex(&f, FUTEX_WAIT_BITSET, 6, NULL, NULL, ~0u), EAGAIN);
    CHECK_EQ(wake(&f, 1), 0); // nobody there
}

TEST(argument_errors)
{
    _Alignas(8) word f[2] = {0, 0};
    struct timespec negative = {-1, 0}, nanos = {0, 1000000000}, good = {0, 1000};
    word *odd = (word *)((char *)f + 1), *unmapped = (word *)8;
    CHECK_ERR(futex(odd, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(odd, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(unmapped, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex((word *)(1ul << 60), FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    CHECK_EQ(futex(unmapped, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0); // a private wake does not look at memory
    CHECK_ERR(futex(unmapped, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);   // a shared one does
    CHECK_ERR(futex(f, FUTEX_WAIT, 0, &negative, NULL, 0), EINVAL);
    CHECK_ERR(futex(f, FUTEX_WAIT, 0, &nanos, NULL, 0), EINVAL);
    CHECK_ERR(futex(f, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
    CHECK_ERR(futex(f, FUTEX_WAIT_BITSET, 0, &good, NULL, 0), EINVAL);
    CHECK_ERR(futex(f, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(f, 77, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(f, FUTEX_FD, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(f, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(f, FUTEX_REQUEUE, -1, NULL, f + 1, 0), EINVAL);
    CHECK_ERR(futex(f, FUTEX_CMP_REQUEUE, 1, NULL, odd, 0), EINVAL);
}

TEST(wait_times_out)
{
    word f = 0;
    struct timespec t = {0, 5000000};
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_ERR(futex(&f, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 5000000);
    t = (struct timespec){0, 0};
    CHECK_ERR(futex(&f, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
    CHECK_ERR(futex(&f, FUTEX_WAIT_BITSET, 0, &t, NULL, ~0u), ETIMEDOUT); // absolute: long past
    uint64_t until = mt_now_ns(CLOCK_REALTIME) + 5000000;
    t = (struct timespec){until / 1000000000, until % 1000000000};
    CHECK_ERR(futex(&f, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, ~0u), ETIMEDOUT);
    CHECK(mt_now_ns(CLOCK_REALTIME) >= until);
    until = mt_now_ns(CLOCK_MONOTONIC) + 5000000;
    t = (struct timespec){until / 1000000000, until % 1000000000};
    CHECK_ERR(futex(&f, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, 1), ETIMEDOUT);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) >= until);
    CHECK_EQ(wake(&f, INT_MAX), 0); // nobody was left behind
}

TEST(wake_counts)
{
    word first = 0, at = 0;
    struct waiter w[5];
    gather(w, 5, &first, &at);
    CHECK_EQ(wake(&at, 1), 1);
    CHECK_EQ(wake(&at, 2), 2);
    CHECK_EQ(wake(&at, 100), 2);
    CHECK_EQ(wake(&at, 100), 0);
    for (int i = 0; i < 5; i++)
        finish(&w[i]);
}

TEST(wake_zero_wakes_one)
{
    // Linux wakes before it compares the count.
    word first = 0, at = 0;
    struct waiter w[2];
    gather(w, 2, &first, &at);
    CHECK_EQ(wake(&at, 0), 1);
    CHECK_EQ(wake(&at, 1), 1);
    finish(&w[0]);
    finish(&w[1]);
}

TEST(private_and_shared_do_not_meet)
{
    word f = 0;
    struct waiter w;
    start(&w, &f, FUTEX_WAIT_PRIVATE, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(futex(&f, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
        mt_sleep_us(500);
    }
    UNTIL(wake(&f, 1) == 1);
    finish(&w);
}

TEST(bitsets_select)
{
    word f = 0;
    struct waiter w[2];
    start(&w[0], &f, FUTEX_WAIT_BITSET_PRIVATE, 1);
    start(&w[1], &f, FUTEX_WAIT_BITSET_PRIVATE, 6);
    UNTIL(OK(futex(&f, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 4)) == 1); // only the second
    finish(&w[1]);
    CHECK_EQ(futex(&f, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2 | 8), 0);
    UNTIL(OK(futex(&f, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, ~0u)) == 1);
    finish(&w[0]);
}

TEST(plain_wake_matches_every_bitset)
{
    word f = 0;
    struct waiter w;
    start(&w, &f, FUTEX_WAIT_BITSET_PRIVATE, 0x40);
    UNTIL(wake(&f, 1) == 1);
    finish(&w);
}

TEST(requeue)
{
    word first = 0, a = 0, b = 0;
    struct waiter w[4];
    gather(w, 4, &first, &a);
    CHECK_EQ(futex(&a, FUTEX_REQUEUE_PRIVATE, 1, (void *)2, &b, 0), 3); // woken and moved
    CHECK_EQ(wake(&a, 10), 1);
    CHECK_EQ(wake(&b, 10), 2);
    for (int i = 0; i < 4; i++)
        finish(&w[i]);
}

TEST(cmp_requeue)
{
    word first = 0, a = 7, b = 0;
    struct waiter w[4];
    gather(w, 4, &first, &a);
    CHECK_ERR(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &b, 8), EAGAIN);
    CHECK_EQ(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &b, 7), 3); // woken and moved
    CHECK_EQ(wake(&a, 10), 1);
    CHECK_EQ(wake(&b, 10), 2);
    for (int i = 0; i < 4; i++)
        finish(&w[i]);
}

TEST(requeued_waiter_checks_nothing_again)
{
    // A waiter that was moved sleeps on, whatever the new word holds.
    word first = 0, a = 0;
    struct waiter w[1];
    gather(w, 1, &first, &a);
    atomic_store(&first, 99);
    atomic_store(&a, 99);
    CHECK_EQ(wake(&first, 10), 0);
    CHECK_EQ(wake(&a, 10), 1);
    finish(&w[0]);
}

TEST(wake_op)
{
    word a = 0, b;
    struct {
        int op, arg, cmp, cmparg;
        uint32_t before, after;
        bool second;
    } cases[] = {
        {FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 3, 3, 9, true},
        {FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 3, 4, 9, false},
        {FUTEX_OP_ADD, 5, FUTEX_OP_CMP_NE, 3, 4, 9, true},
        {FUTEX_OP_ADD, -1, FUTEX_OP_CMP_GT, 0, 1, 0, true},
        {FUTEX_OP_OR, 6, FUTEX_OP_CMP_LT, 1, 1, 7, false},
        {FUTEX_OP_ANDN, 5, FUTEX_OP_CMP_LE, 7, 7, 2, true},
        {FUTEX_OP_XOR, 3, FUTEX_OP_CMP_GE, 6, 5, 6, false},
        {FUTEX_OP_OR | 8 /* FUTEX_OP_ARG_SHIFT */, 4, FUTEX_OP_CMP_LT, 0, -5, -5 | 16, true}, // signed comparison
    };
    for (unsigned i = 0; i < countof(cases); i++) {
        struct waiter w[2];
        word first = 0, second = 0;
        atomic_store(&b, 0);
        gather(w, 1, &first, &a);
        gather(w + 1, 1, &second, &b);
        atomic_store(&b, cases[i].before);
        long n = OK(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b,
                          FUTEX_OP(cases[i].op, cases[i].arg, cases[i].cmp, cases[i].cmparg)));
        CHECK_EQ(b, cases[i].after);
        CHECK_EQ(n, cases[i].second ? 2 : 1);
        CHECK_EQ(wake(&b, 1), cases[i].second ? 0 : 1);
        finish(&w[0]);
        finish(&w[1]);
    }
    CHECK_ERR(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, FUTEX_OP(7, 0, 0, 0)), ENOSYS);
    CHECK_ERR(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, FUTEX_OP(0, 0, 9, 0)), ENOSYS);
    CHECK_ERR(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, (word *)8, FUTEX_OP(0, 0, 0, 0)), EFAULT);
}

TEST(shared_through_two_mappings)
{
    int fd = OK(memfd_create("futex", 0));
    OK(ftruncate(fd, 4096));
    word *p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    word *q = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    struct waiter w;
    start(&w, p + 3, FUTEX_WAIT, 0);
    UNTIL(OK(futex(q + 3, FUTEX_WAKE, 1, NULL, NULL, 0)) == 1);
    finish(&w);
    CHECK_EQ(futex(q + 4, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    OK(munmap(p, 4096));
    OK(munmap(q, 4096));
    OK(close(fd));
}

TEST(shared_follows_a_moved_mapping)
{
    int fd = OK(memfd_create("futex", 0));
    OK(ftruncate(fd, 8192));
    word *p = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    word *second = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
    struct waiter w;
    start(&w, p + 1024, FUTEX_WAIT, 0); // the file's second page
    UNTIL(OK(futex(second, FUTEX_WAKE, 1, NULL, NULL, 0)) == 1);
    finish(&w);
    OK(munmap(p, 8192));
    OK(munmap(second, 4096));
    OK(close(fd));
}

TEST(read_only_memory)
{
    int fd = OK(memfd_create("futex", 0));
    OK(ftruncate(fd, 4096));
    word *ro = OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
    word *none = OK(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct timespec t = {0, 1000};
    CHECK_ERR(futex(ro, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
    CHECK_ERR(futex(ro, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
    CHECK_ERR(futex(none, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), EFAULT);
    OK(munmap(ro, 4096));
    OK(munmap(none, 4096));
    OK(close(fd));
}

static atomic_int handled;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

struct interrupted {
    word f;
    const struct timespec *timeout;
    atomic_int done;
    long result;
    int error;
};

static void *waits_interruptibly(void *arg)
{
    struct interrupted *w = arg;
    w->result = futex(&w->f, FUTEX_WAIT, 0, w->timeout, NULL, 0);
    w->error = errno;
    atomic_store(&w->done, 1);
    return NULL;
}

static void interrupt(int flags, const struct timespec *timeout, long result, int error)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = flags};
    OK(sigaction(SIGUSR1, &act, NULL));
    struct interrupted w = {.timeout = timeout};
    atomic_store(&handled, 0);
    pthread_t t = mt_thread(waits_interruptibly, &w);
    for (int n = 0; !atomic_load(&w.done); n++) {
        OK0(pthread_kill(t, SIGUSR1));
        mt_sleep_us(1000);
        if ((flags & SA_RESTART) && !timeout && n == 20) {
            CHECK_EQ(w.done, 0);
            CHECK(handled > 0);
            UNTIL(OK(futex(&w.f, FUTEX_WAKE, 1, NULL, NULL, 0)) == 1);
            break;
        }
    }
    OK0(pthread_join(t, NULL));
    CHECK_EQ(w.result, result);
    if (result < 0)
        CHECK_EQ(w.error, error);
    CHECK(handled > 0);
}

static const struct timespec minutes = {300, 0};

TEST(eintr) { interrupt(0, NULL, -1, EINTR); }
TEST(restarted_without_timeout) { interrupt(SA_RESTART, NULL, 0, 0); }
TEST(eintr_with_timeout) { interrupt(0, &minutes, -1, EINTR); }
TEST(eintr_with_timeout_and_sa_restart) { interrupt(SA_RESTART, &minutes, -1, EINTR); }

struct pingpong {
    word turn;
    int rounds;
};

static void take_turns(struct pingpong *p, uint32_t me)
{
    for (int i = 0; i < p->rounds; i++) {
        for (uint32_t v; (v = atomic_load(&p->turn)) != me;)
            futex(&p->turn, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0);
        atomic_store(&p->turn, !me);
        futex(&p->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *second_player(void *arg)
{
    take_turns(arg, 1);
    return NULL;
}

TEST(no_wake_is_lost)
{
    struct pingpong p = {.rounds = 4000};
    pthread_t t = mt_thread(second_player, &p);
    take_turns(&p, 0);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(p.turn, 0);
}

static word robust_word;

static struct {
    struct robust_list_head head;
    struct robust_list entry; // followed by nothing: the futex word is at futex_offset from it
} robust;

static void *dies_owning(void *arg)
{
    robust.head.list.next = &robust.entry;
    robust.entry.next = &robust.head.list;
    robust.head.futex_offset = (char *)&robust_word - (char *)&robust.entry;
    robust.head.list_op_pending = NULL;
    OK(syscall(SYS_set_robust_list, &robust.head, sizeof robust.head));
    atomic_store(&robust_word, (uint32_t)gettid() | FUTEX_WAITERS);
    *(pid_t *)arg = gettid();
    return NULL;
}

TEST(robust_list_marks_and_wakes)
{
    pid_t tid = 0;
    OK0(pthread_join(mt_thread(dies_owning, &tid), NULL));
    CHECK(tid > 0);
    UNTIL(atomic_load(&robust_word) & FUTEX_OWNER_DIED); // joined at CLEARTID, which comes just after the list
    CHECK_EQ(robust_word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
}

TEST(robust_list_calls)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;
    OK(syscall(SYS_get_robust_list, 0, &head, &size));
    CHECK_EQ(size, sizeof *head);
    CHECK(head != NULL); // libc's own
    CHECK_ERR(syscall(SYS_set_robust_list, head, sizeof *head - 1), EINVAL);
    CHECK_ERR(syscall(SYS_get_robust_list, 0, (void *)8, &size), EFAULT);
    CHECK_ERR(syscall(SYS_get_robust_list, 0x7ffffff0, &head, &size), ESRCH);
}

// A list that runs in a circle or points nowhere must not hold up the thread's exit.
static struct robust_list circle[2];
static struct robust_list_head hostile;

static void *dies_hostile(void *arg)
{
    hostile.futex_offset = 1 << 20;
    hostile.list_op_pending = (struct robust_list *)0xdead;
    if (arg) {
        circle[0].next = &circle[1];
        circle[1].next = &circle[0];
        hostile.list.next = &circle[0];
    } else {
        hostile.list.next = (struct robust_list *)(intptr_t)-64;
    }
    OK(syscall(SYS_set_robust_list, &hostile, sizeof hostile));
    return NULL;
}

TEST(hostile_robust_lists)
{
    OK0(pthread_join(mt_thread(dies_hostile, NULL), NULL));
    OK0(pthread_join(mt_thread(dies_hostile, &circle), NULL));
}
