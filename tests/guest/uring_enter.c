// io_uring_enter: how much is taken, waiting and its arguments, errors of requests and of the call, overflow, the ring
// descriptor in poll and epoll, several threads, closing with requests in flight.
#include "uring.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void put(int fd)
{
    uint64_t v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
}

TEST(counts)
{
    struct ring r;
    ring_init(&r, 8, 0);
    CHECK_EQ(u_enter(r.fd, 0, 0, 0, NULL, 0), 0);
    CHECK_EQ(u_enter(r.fd, 5, 0, 0, NULL, 0), 0); // nothing there
    for (int i = 1; i <= 6; i++)
        add_nop(&r, i);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 2, 0, 0, NULL, 0), 2); // not more than asked for
    CHECK_EQ(*r.sq_head, 2);
    CHECK_EQ(u_enter(r.fd, 100, 0, 0, NULL, 0), 4); // not more than there is
    CHECK_EQ(*r.sq_head, 6);
    CHECK_EQ(ring_ready(&r), 6);
    for (int i = 1; i <= 6; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    CHECK_EQ(u_enter(r.fd, ~0u, 0, 0, NULL, 0), 0);
    ring_exit(&r);
}

// proves: IORING_OP_NOP
TEST(around_the_ring_many_times)
{
    struct ring r;
    ring_init(&r, 4, 0);
    uint64_t next = 0;
    for (int i = 0; i < 1000; i++) {
        int n = 1 + i % 4;
        for (int j = 0; j < n; j++)
            add_nop(&r, 0x1122334400000000 + next + j);
        ring_submit(&r);
        for (int j = 0; j < n; j++) {
            cqe_t c = ring_wait(&r);
            CHECK_EQ(c.user_data, 0x1122334400000000 + next++);
            CHECK_EQ(c.res, 0);
            CHECK_EQ(c.flags, 0);
        }
    }
    CHECK_EQ(*r.sq_head, next);
    CHECK_EQ(*r.cq_tail, next);
    ring_exit(&r);
}

// proves: IORING_ENTER_GETEVENTS
TEST(min_complete)
{
    struct ring r;
    ring_init(&r, 4, 0);
    for (int i = 0; i < 3; i++)
        add_nop(&r, i);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 3, 3, IORING_ENTER_GETEVENTS, NULL, 0), 3);
    CHECK_EQ(ring_ready(&r), 3);
    CHECK_EQ(u_enter(r.fd, 0, 3, IORING_ENTER_GETEVENTS, NULL, 0), 0); // there already
    CHECK_EQ(u_enter(r.fd, 0, 100, 0, NULL, 0), 0);                    // without GETEVENTS it does not wait
    for (int i = 0; i < 3; i++)
        ring_wait(&r);
    // More than the completion queue holds: waits for as many as that.
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++)
            add_nop(&r, i);
        ring_publish(&r);
        if (round == 0)
            CHECK_EQ(u_enter(r.fd, 4, 0, 0, NULL, 0), 4);
        else
            CHECK_EQ(u_enter(r.fd, 4, 1000, IORING_ENTER_GETEVENTS, NULL, 0), 4);
    }
    CHECK_EQ(ring_ready(&r), 8);
    for (int i = 0; i < 8; i++)
        ring_wait(&r);
    // And for what comes later.
    struct __kernel_timespec ts = {0, 20000000};
    add_timeout(&r, &ts, 0, 0, 9);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    CHECK_EQ(ring_ready(&r), 1);
    ring_wait(&r);
    ring_exit(&r);
}

TEST(wrong_descriptors)
{
    int ev = OK(eventfd(0, 0)), file = mt_file("f", 1), path = OK(open("f", O_PATH));
    CHECK_ERR(u_enter(ev, 0, 0, 0, NULL, 0), EOPNOTSUPP);
    CHECK_ERR(u_enter(file, 1, 0, 0, NULL, 0), EOPNOTSUPP);
    CHECK_ERR(u_enter(path, 1, 0, 0, NULL, 0), EBADF);
    CHECK_ERR(u_enter(-1, 1, 0, 0, NULL, 0), EBADF);
    CHECK_ERR(u_enter(250, 0, 0, 0, NULL, 0), EBADF);
    CHECK_ERR(u_register(ev, IORING_REGISTER_ENABLE_RINGS, NULL, 0), EOPNOTSUPP);
    CHECK_ERR(u_register(250, IORING_REGISTER_ENABLE_RINGS, NULL, 0), EBADF);
    OK(close(ev));
    OK(close(file));
    OK(close(path));
}

TEST(wrong_flags)
{
    struct ring r;
    ring_init(&r, 4, 0);
    for (int bit = 8; bit < 32; bit++)
        CHECK_ERR(u_enter(r.fd, 0, 0, 1u << bit, NULL, 0), EINVAL);
    CHECK_ERR(u_enter(250, 0, 0, 1u << 30, NULL, 0), EINVAL); // looked at before the descriptor
    CHECK_ERR(u_enter(r.fd, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EBADF); // none is registered
    CHECK_EQ(u_enter(r.fd, 0, 0, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT, NULL, 0), 0); // no polling thread: ignored
    ring_exit(&r);
}

TEST(the_index_array)
{
    struct ring r;
    ring_init(&r, 8, 0);
    for (int i = 0; i < 8; i++)
        add_nop(&r, i);
    for (int i = 0; i < 8; i++)
        r.sq_array[i] = 7 - i;
    ring_submit(&r);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(ring_wait(&r).user_data, 7 - i);
    for (int i = 0; i < 8; i++) {
        r.sq_array[i] = 3; // one request eight times
        r.tail++;
    }
    ring_submit(&r);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(ring_wait(&r).user_data, 3);
    ring_exit(&r);
}

// proves: IORING_SETUP_NO_SQARRAY
TEST(no_index_array)
{
    struct ring r;
    ring_init(&r, 8, U_SETUP_NO_SQARRAY);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            add_nop(&r, round * 5 + i);
        ring_submit(&r);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(ring_wait(&r).user_data, round * 5 + i);
    }
    ring_exit(&r);
}

TEST(bad_indices_are_dropped)
{
    struct ring r;
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++)
        add_nop(&r, i);
    r.sq_array[0] = 8; // just outside
    r.sq_array[2] = ~0u;
    ring_publish(&r);
    int taken = 0, calls = 0;
    while (*r.sq_head != *r.sq_tail && calls++ < 10)
        taken += OK(u_enter(r.fd, *r.sq_tail - *r.sq_head, 0, 0, NULL, 0));
    CHECK_EQ(taken, 2);
    CHECK_EQ(*r.sq_dropped, 2);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_EQ(ring_wait(&r).user_data, 3);
    CHECK_EQ(ring_ready(&r), 0);
    atomic_store(r.sq_dropped, 0);
    ring_exit(&r);
}

TEST(more_tail_than_entries)
{
    struct ring r;
    ring_init(&r, 4, 0);
    for (int i = 0; i < 4; i++)
        add_nop(&r, i);
    atomic_store(r.sq_tail, 1000);
    CHECK_EQ(u_enter(r.fd, 1000, 0, 0, NULL, 0), 4); // never more than the queue holds
    CHECK_EQ(*r.sq_head, 4);
    CHECK_EQ(ring_ready(&r), 4);
    atomic_store(r.cq_head, 4);
    ring_exit(&r);
}

TEST(tail_behind_the_head)
{
    struct ring r;
    ring_init(&r, 4, 0);
    add_nop(&r, 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    atomic_store(r.sq_tail, 0); // one less than the head: reads as four billion
    int n = OK(u_enter(r.fd, 2, 0, 0, NULL, 0));
    CHECK(n >= 0 && n <= 2);
    atomic_store(r.cq_head, *r.cq_tail);
    ring_exit(&r);
}

// Makes four requests, the second of them wrong, and says how many are taken.
static int with_an_error(uint32_t flags)
{
    struct ring r;
    ring_init(&r, 8, flags);
    for (int i = 0; i < 4; i++)
        add_nop(&r, i);
    r.sqes[1].opcode = 200;
    ring_publish(&r);
    int n = OK(u_enter(r.fd, 4, 0, 0, NULL, 0));
    CHECK_EQ(ring_ready(&r), n);
    for (int i = 0; i < n; i++) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, i);
        CHECK_EQ(c.res, i == 1 ? -EINVAL : 0);
    }
    CHECK_EQ(*r.sq_head, n);
    int rest = OK(u_enter(r.fd, 4, 0, 0, NULL, 0));
    CHECK_EQ(n + rest, 4);
    while (ring_ready(&r))
        CHECK_EQ(ring_wait(&r).res, 0);
    ring_exit(&r);
    return n;
}

TEST(an_error_ends_the_batch) { CHECK_EQ(with_an_error(0), 2); }
// proves: IORING_SETUP_SUBMIT_ALL
TEST(submit_all_goes_on) { CHECK_EQ(with_an_error(IORING_SETUP_SUBMIT_ALL), 4); }

TEST(wrong_requests)
{
    struct ring r;
    ring_init(&r, 8, 0);
    const int opcodes[] = {U_OP_LAST_6_18, 64, 100, 255};
    for (unsigned i = 0; i < countof(opcodes); i++) {
        prep(ring_sqe(&r), opcodes[i], -1, NULL, 0, 0, 5);
        CHECK_EQ(ring_result(&r, 5), -EINVAL);
    }
    add_nop(&r, 6)->flags = 0x80;
    CHECK_EQ(ring_result(&r, 6), -EINVAL);
    add_nop(&r, 7)->personality = 9;
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    add_nop(&r, 8)->flags = IOSQE_BUFFER_SELECT;
    CHECK_EQ(ring_result(&r, 8), -EOPNOTSUPP);
    add_nop(&r, 9)->rw_flags = 0x80000000;
    CHECK_EQ(ring_result(&r, 9), -EINVAL);
    sqe_t *s = add_nop(&r, 10); // what a NOP does not use it does not look at
    s->fd = 250;
    s->addr = 8;
    s->off = ~0ull;
    s->len = 77;
    CHECK_EQ(ring_result(&r, 10), 0);
    s = add_nop(&r, 11);
    s->rw_flags = U_NOP_INJECT_RESULT;
    s->len = (uint32_t)-1234;
    CHECK_EQ(ring_result(&r, 11), -1234);
    ring_exit(&r);
}

TEST(signal_mask_errors)
{
    struct ring r;
    ring_init(&r, 4, 0);
    sigset_t none;
    sigemptyset(&none);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, &none, 8), 1);
    ring_wait(&r);
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 4), EINVAL);
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, (void *)8, 8), EFAULT);
    CHECK_EQ(u_enter(r.fd, 0, 0, 0, (void *)8, 77), 0); // not looked at without waiting
    ring_exit(&r);
}

static atomic_int handled;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&handled, 1);
}

TEST(signal_mask_lets_in)
{
    struct ring r;
    ring_init(&r, 4, 0);
    sigset_t none, usr1, now;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL));
    OK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    atomic_store(&handled, 0);
    OK(raise(SIGUSR1));
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, &none, 8), EINTR);
    CHECK_EQ(handled, 1);
    OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK(sigismember(&now, SIGUSR1));
    add_nop(&r, 1);
    ring_publish(&r);
    OK(raise(SIGUSR1));
    int n = u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, &none, 8); // submitted and complete: no reason to wait
    CHECK_EQ(n, 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    OK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
    CHECK_EQ(handled, 2);
    ring_exit(&r);
}

struct kicked {
    pthread_t target;
    atomic_bool stop;
};

static void *kicks(void *arg)
{
    struct kicked *k = arg;
    for (; !atomic_load(&k->stop); mt_sleep_us(1000))
        pthread_kill(k->target, SIGUSR1);
    return NULL;
}

TEST(a_signal_interrupts)
{
    for (int restart = 0; restart < 2; restart++) {
        struct ring r;
        ring_init(&r, 4, 0);
        OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0}, NULL));
        struct kicked k = {.target = pthread_self()};
        pthread_t t = mt_thread(kicks, &k);
        int n = u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), e = errno;
        atomic_store(&k.stop, true);
        OK0(pthread_join(t, NULL));
        CHECK_EQ(n, -1);
        CHECK_EQ(e, EINTR); // with SA_RESTART too
        ring_exit(&r);
    }
}

static struct io_uring_getevents_arg wait_arg(const struct __kernel_timespec *ts, const sigset_t *mask)
{
    return (struct io_uring_getevents_arg){.sigmask = (uintptr_t)mask, .sigmask_sz = mask ? 8 : 0, .ts = (uintptr_t)ts};
}

#define EXT (IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG)

TEST(timed_wait)
{
    struct ring r;
    ring_init(&r, 4, 0);
    struct __kernel_timespec ts = {0, 10000000};
    struct io_uring_getevents_arg a = wait_arg(&ts, NULL);
    uint64_t start = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - start >= 10000000);
    ts = (struct __kernel_timespec){0, 0};
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), ETIME);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 2, EXT, &a, sizeof a), 1); // the count of those submitted wins over the time-out
    CHECK_EQ(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), 0); // one is there
    CHECK_EQ(u_enter(r.fd, 0, 2, EXT, &a, sizeof a), 0); // and that one wins over the time-out too
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), ETIME);
    a = wait_arg(NULL, NULL);
    add_nop(&r, 2);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 1, EXT, &a, sizeof a), 1); // no time: as long as it takes
    ring_wait(&r);
    ring_exit(&r);
}

// proves: IORING_ENTER_ABS_TIMER
TEST(timed_wait_absolute)
{
    struct ring r;
    ring_init(&r, 4, 0);
    uint64_t until = mt_now_ns(CLOCK_MONOTONIC) + 10000000;
    struct __kernel_timespec ts = {(long long)(until / 1000000000), (long long)(until % 1000000000)};
    struct io_uring_getevents_arg a = wait_arg(&ts, NULL);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT | U_ENTER_ABS_TIMER, &a, sizeof a), ETIME);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) >= until);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT | U_ENTER_ABS_TIMER, &a, sizeof a), ETIME); // past
    ring_exit(&r);
}

TEST(extended_argument_errors)
{
    struct ring r;
    ring_init(&r, 4, 0);
    struct __kernel_timespec ts = {0, 1000};
    struct io_uring_getevents_arg a = wait_arg(&ts, NULL);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a - 1), EINVAL);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, 8), EINVAL);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, (void *)8, sizeof a), EFAULT);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, NULL, sizeof a), EFAULT);
    a = wait_arg((void *)8, NULL);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), EFAULT);
    sigset_t none;
    sigemptyset(&none);
    a = wait_arg(&ts, &none);
    a.sigmask_sz = 5;
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), EINVAL);
    a = wait_arg(&ts, (void *)8);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), EFAULT);
    ring_exit(&r);
}

TEST(extended_argument_mask)
{
    struct ring r;
    ring_init(&r, 4, 0);
    sigset_t none, usr1;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL));
    OK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    atomic_store(&handled, 0);
    OK(raise(SIGUSR1));
    struct __kernel_timespec ts = {100, 0};
    struct io_uring_getevents_arg a = wait_arg(&ts, &none);
    CHECK_ERR(u_enter(r.fd, 0, 1, EXT, &a, sizeof a), EINTR);
    CHECK_EQ(handled, 1);
    OK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
    ring_exit(&r);
}

static void *puts_soon(void *arg)
{
    mt_sleep_us(5000);
    put(*(int *)arg);
    return NULL;
}

TEST(waiting_for_another_threads_event)
{
    const uint32_t kinds[] = {0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_SINGLE_ISSUER,
                              IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    for (unsigned i = 0; i < countof(kinds); i++) {
        struct ring r;
        int ev = OK(eventfd(0, 0));
        ring_init(&r, 4, kinds[i]);
        add_poll(&r, ev, POLLIN, 5);
        pthread_t t = mt_thread(puts_soon, &ev);
        CHECK_EQ(u_enter(r.fd, ring_publish(&r), 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
        CHECK_EQ(ring_ready(&r), 1);
        CHECK_EQ(ring_wait(&r).res, POLLIN);
        OK0(pthread_join(t, NULL));
        ring_exit(&r);
        OK(close(ev));
    }
}

static void *writes_one(void *fd)
{
    mt_sleep_us(5000);
    CHECK_EQ(write(*(int *)fd, "x", 1), 1);
    return NULL;
}

// What others bring does not interrupt the program: it is told by a flag, or finds it after any call.
// proves: IORING_SETUP_COOP_TASKRUN
TEST(a_cooperative_ring)
{
    struct ring r;
    int p[2];
    char b[4];
    OK(pipe(p));
    ring_init(&r, 8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    ADD(&r, READ, p[0], b, 4, -1, 1);
    ring_submit(&r);
    pthread_t t = mt_thread(writes_one, &p[1]);
    while (!(atomic_load(r.sq_flags) & IORING_SQ_TASKRUN) && ring_ready(&r) == 0)
        ;
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK_EQ(ring_ready(&r), 1);
    CHECK_EQ(ring_wait(&r).res, 1);
    CHECK(!(atomic_load(r.sq_flags) & IORING_SQ_TASKRUN));
    pthread_join(t, NULL);
    OK(close(p[0]));
    OK(close(p[1]));
    ring_exit(&r);
}

// proves: IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_DEFER_TASKRUN
TEST(deferred_completion_waits_for_enter)
{
    struct ring r;
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    add_nop(&r, 1);
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 1); // what completes at once is posted at once
    CHECK_EQ(ring_wait(&r).user_data, 1);
    add_poll(&r, ev, POLLIN, 2);
    ring_submit(&r);
    CHECK_EQ(*r.sq_flags & IORING_SQ_TASKRUN, 0);
    put(ev);
    CHECK_EQ(*r.sq_flags & IORING_SQ_TASKRUN, IORING_SQ_TASKRUN);
    struct pollfd p = {r.fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(u_enter(r.fd, 0, 0, 0, NULL, 0), 0); // does not ask for events
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0), 0);
    CHECK_EQ(ring_ready(&r), 1);
    CHECK_EQ(*r.sq_flags & IORING_SQ_TASKRUN, 0);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_exit(&r);
    OK(close(ev));
}

// proves: IORING_FEAT_NODROP
TEST(overflow_keeps_everything)
{
    struct ring r;
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4};
    ring_init_params(&r, 4, &p);
    for (int i = 0; i < 20; i += 4) {
        for (int j = 0; j < 4; j++)
            add_nop(&r, i + j);
        ring_submit(&r);
        CHECK_EQ(*r.sq_flags & IORING_SQ_CQ_OVERFLOW, i ? IORING_SQ_CQ_OVERFLOW : 0);
        CHECK_EQ(ring_ready(&r), 4);
    }
    for (int i = 0; i < 20; i++) {
        if (ring_ready(&r) == 0)
            CHECK_EQ(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0), 0); // brings the next four
        cqe_t c;
        CHECK(ring_peek(&r, &c));
        CHECK_EQ(c.user_data, i);
    }
    CHECK_EQ(*r.sq_flags & IORING_SQ_CQ_OVERFLOW, 0);
    CHECK_EQ(*r.cq_overflow, 0);
    ring_exit(&r);
}

TEST(waiting_flushes_the_overflow)
{
    struct ring r;
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4};
    ring_init_params(&r, 4, &p);
    for (int i = 0; i < 8; i++) {
        add_nop(&r, i);
        ring_submit(&r);
    }
    cqe_t c;
    CHECK(ring_peek(&r, &c));
    CHECK(ring_peek(&r, &c));
    CHECK_EQ(u_enter(r.fd, 0, 4, IORING_ENTER_GETEVENTS, NULL, 0), 0); // two in the ring, two of the four behind
    CHECK_EQ(ring_ready(&r), 4);
    CHECK_EQ(*r.sq_flags & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    for (int i = 2; i < 8; i++)
        CHECK_EQ(ring_wait(&r).user_data, i);
    ring_exit(&r);
}

TEST(hostile_cq_head)
{
    struct ring r;
    ring_init(&r, 4, 0);
    const uint32_t heads[] = {1000, ~0u, 0x80000000, 5, 0};
    for (unsigned i = 0; i < countof(heads); i++) {
        atomic_store(r.cq_head, heads[i]);
        for (int j = 0; j < 4; j++)
            add_nop(&r, j);
        uint32_t n = ring_publish(&r);
        CHECK_EQ(u_enter(r.fd, n, 0, IORING_ENTER_GETEVENTS, NULL, 0), n);
    }
    atomic_store(r.cq_head, *r.cq_tail);
    CHECK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
    ring_drop(&r); // the contents are the program's own fault; nothing hangs
}

// A completion may interrupt the call that its own thread waits in, without a signal.
static int poll_patient(struct pollfd *p, int timeout)
{
    int n;
    while ((n = poll(p, 1, timeout)) < 0 && errno == EINTR) {}
    return n;
}

static int epoll_patient(int ep, struct epoll_event *e, int timeout)
{
    int n;
    while ((n = epoll_wait(ep, e, 1, timeout)) < 0 && errno == EINTR) {}
    return n;
}

TEST(poll_of_the_ring)
{
    struct ring r;
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 4, 0);
    struct pollfd p = {r.fd, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    add_nop(&r, 1);
    ring_submit(&r);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    ring_wait(&r);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    for (int i = 0; i < 4; i++)
        add_nop(&r, i);
    ring_publish(&r); // full and not submitted
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(u_enter(r.fd, 4, 0, 0, NULL, 0), 4);
    for (int i = 0; i < 4; i++)
        ring_wait(&r);
    add_poll(&r, ev, POLLIN, 9);
    ring_submit(&r);
    pthread_t t = mt_thread(puts_soon, &ev);
    p.events = POLLIN;
    CHECK_EQ(poll_patient(&p, -1), 1); // woken by a completion
    CHECK_EQ(p.revents, POLLIN);
    CHECK_EQ(ring_wait(&r).user_data, 9);
    OK0(pthread_join(t, NULL));
    ring_exit(&r);
    OK(close(ev));
}

TEST(epoll_of_the_ring)
{
    struct ring r;
    int ev = OK(eventfd(0, 0)), ep = OK(epoll_create1(0));
    ring_init(&r, 4, 0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = 3};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &e));
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        add_poll(&r, ev, POLLIN, 9);
        ring_submit(&r);
        pthread_t t = mt_thread(puts_soon, &ev);
        CHECK_EQ(epoll_patient(ep, &e, -1), 1); // an edge for each completion
        OK0(pthread_join(t, NULL));
        CHECK_EQ(ring_wait(&r).user_data, 9);
        uint64_t v;
        CHECK_EQ(read(ev, &v, 8), 8);
        CHECK_EQ(epoll_patient(ep, &e, 0), 0);
    }
    ring_exit(&r);
    OK(close(ep));
    OK(close(ev));
}

TEST(a_ring_polls_another)
{
    struct ring a, b;
    ring_init(&a, 4, 0);
    ring_init(&b, 4, 0);
    add_poll(&a, b.fd, POLLIN, 1);
    ring_submit(&a);
    CHECK_EQ(ring_ready(&a), 0);
    add_nop(&b, 2);
    ring_submit(&b);
    CHECK_EQ(ring_wait(&a).res & POLLIN, POLLIN);
    CHECK_EQ(ring_wait(&b).user_data, 2);
    ring_exit(&a);
    ring_exit(&b);
}

struct shared {
    struct ring r;
    pthread_mutex_t lock;
    atomic_int submitted;
};

static void *submits(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&s->lock);
        bool room = s->r.tail - atomic_load(s->r.sq_head) < s->r.p.sq_entries;
        uint32_t n = 0;
        if (room) {
            add_nop(&s->r, 1);
            n = ring_publish(&s->r);
        }
        pthread_mutex_unlock(&s->lock);
        int done = u_enter(s->r.fd, n, 0, 0, NULL, 0); // may take another's request, or find its own taken
        if (done < 0)
            return (void *)(intptr_t)errno;
        atomic_fetch_add(&s->submitted, done);
    }
    return NULL;
}

TEST(threads_submit_to_one_ring)
{
    struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4096};
    ring_init_params(&s.r, 64, &p);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(submits, &s);
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK_EQ((intptr_t)ret, 0);
    }
    int rest = OK(u_enter(s.r.fd, 64, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK_EQ(s.submitted + rest, *s.r.sq_tail);
    CHECK_EQ(ring_ready(&s.r), *s.r.sq_tail);
    atomic_store(s.r.cq_head, *s.r.cq_tail);
    ring_exit(&s.r);
}

static void *waits_for_one(void *arg)
{
    return (void *)(intptr_t)u_enter(*(int *)arg, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

TEST(one_waits_another_submits)
{
    struct ring r;
    ring_init(&r, 4, 0);
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = mt_thread(waits_for_one, &r.fd);
    mt_sleep_us(5000);
    add_nop(&r, 1);
    ring_submit(&r);
    for (int i = 0; i < 3; i++) { // all of them see the one completion
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK_EQ((intptr_t)ret, 0);
    }
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

TEST(closing_with_requests_in_flight)
{
    struct ring r;
    int p[2], ev = OK(eventfd(0, 0));
    static char b[64];
    struct __kernel_timespec ts = {1000, 0};
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b, sizeof b, -1, 1);
    add_poll(&r, ev, POLLIN, 2);
    add_timeout(&r, &ts, 0, 0, 3);
    ADD(&r, READ, p[0], b, sizeof b, -1, 4)->flags = IOSQE_ASYNC;
    add_poll(&r, p[0], POLLIN, 5);
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 0);
    ring_drop(&r);
    // The pipe is the program's again: the requests die soon, and at most two bytes go to them until then.
    struct pollfd in = {p[0], POLLIN, 0};
    int written = 0;
    do {
        CHECK_EQ(write(p[1], "x", 1), 1);
        written++;
        mt_sleep_us(2000);
    } while (poll(&in, 1, 0) == 0);
    CHECK(written <= 3);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(ev));
}

TEST(closing_ends_when_the_last_goes)
{
    struct ring r;
    ring_init(&r, 4, 0);
    int copy = OK(dup(r.fd)), ev = OK(eventfd(0, 0));
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    OK(close(r.fd));
    put(ev); // the duplicate keeps the ring and its requests
    r.fd = copy;
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
    OK(close(ev));
}
