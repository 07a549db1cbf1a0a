// What outlives what: requests, rings, threads and programs; and who is told of it.
#include "uring.h"
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static struct ring r;
static char b[64];
static int p[2];
static volatile int hits;

static void on_signal(int sig)
{
    (void)sig;
    hits++;
}

static void *signal_later(void *thread)
{
    mt_sleep_us(30000);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

// The wait ends for a signal that only its own mask lets in. The call tells what it submitted; the handler runs all the same.
TEST(a_signal_after_a_submission)
{
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct sigaction act = {.sa_handler = on_signal};
    OK(sigaction(SIGUSR1, &act, NULL));
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    ADD(&r, READ, p[0], b, 8, -1, 1);
    add_nop(&r, 2);
    ring_publish(&r);
    pthread_t self = pthread_self(), t = mt_thread(signal_later, &self);
    uint64_t none = 0;
    CHECK_EQ(u_enter(r.fd, 2, 2, IORING_ENTER_GETEVENTS, &none, 8), 2);
    CHECK_EQ(hits, 1);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    CHECK(sigismember(&blocked, SIGUSR1));
    pthread_join(t, NULL);
    CHECK_EQ(ring_wait(&r).user_data, 2);
    ring_drop(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// A poll of the eventfd that tells of its own completion ends instead of feeding itself.
TEST(a_poll_of_the_rings_own_eventfd)
{
    int ev = OK(eventfd(0, EFD_NONBLOCK));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1));
    add_poll(&r, ev, POLLIN, 1)->len = IORING_POLL_ADD_MULTI;
    ring_submit(&r);
    add_nop(&r, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, POLLIN);
    CHECK_EQ(c[0].flags, 0);
    ring_quiet(&r);
    ring_exit(&r);
    OK(close(ev));
}

// That a LINK_TIMEOUT expires is no failure: with CQE_SKIP_SUCCESS nothing tells of it but the request it ends.
TEST(a_silent_link_timeout)
{
    OK(pipe(p));
    ring_init(&r, 8, 0);
    struct __kernel_timespec ts = {0, 10000000};
    ADD(&r, READ, p[0], b, 8, -1, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK_EQ(ring_result(&r, 1), -ECANCELED);
    ring_quiet(&r);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// A multishot read wants a buffer when there is something to read, not before.
TEST(a_multishot_read_without_buffers)
{
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, PROVIDE_BUFFERS, 1, b, 16, 0, 9)->buf_group = 1;
    CHECK_EQ(ring_result(&r, 9), 0);
    OK(write(p[1], "hello", 5));
    sqe_t *s = ADD(&r, NOP, p[0], NULL, 0, -1, 1);
    s->opcode = U_OP_READ_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 1;
    CHECK_EQ(ring_result(&r, 1), 5);
    ring_quiet(&r);
    OK(write(p[1], "x", 1));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags, 0);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

static void *submits_and_ends(void *arg)
{
    (void)arg;
    struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000};
    ring_init_params(&r, 8, &params);
    ADD(&r, READ, p[0], b, 8, -1, 1);
    OK(u_enter(r.fd, ring_publish(&r), 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
    UNTIL(atomic_load(r.sq_head) == 1);
    return NULL;
}

// With SQPOLL it is not the thread that made the ring who submits.
TEST(a_polled_ring_outlives_its_thread)
{
    OK(pipe(p));
    pthread_join(mt_thread(submits_and_ends, NULL), NULL);
    mt_sleep_us(20000);
    OK(write(p[1], "ab", 2));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, 2);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// A process that never had a ring of its own has no places for registered ones.
TEST(registered_rings_are_not_inherited)
{
    ring_init(&r, 8, 0);
    struct io_uring_rsrc_update u = {.offset = -1u, .data = (uint64_t)r.fd};
    CHECK_EQ(u_register(r.fd, IORING_REGISTER_RING_FDS, &u, 1), 1);
    pid_t child = OK(fork());
    if (child == 0)
        _exit(u_enter((int)u.offset, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0) == -1 && errno == EINVAL ? 0 : 1);
    int status;
    OK(waitpid(child, &status, 0));
    CHECK_EQ(status, 0);
    CHECK_EQ(u_enter((int)u.offset + 1, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), -1);
    CHECK_EQ(errno, EBADF);
    ring_exit(&r);
}

// What drains is cancelled by execve with what it waits for, and does not begin because that ends.
TEST(exec_cancels_what_drains)
{
    OK(pipe(p));
    ring_init(&r, 8, 0);
    pid_t child = OK(fork());
    if (child == 0) {
        ADD(&r, READ, p[0], b, 8, -1, 1);
        add_nop(&r, 2)->flags = IOSQE_IO_DRAIN;
        ring_submit(&r);
        char *const argv[] = {"/proc/self/exe", "no-such-subtest", NULL};
        close(1);
        close(2);
        execv(argv[0], argv);
        _exit(99);
    }
    int status;
    OK(waitpid(child, &status, 0));
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, -ECANCELED);
    ring_drop(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// The polling thread has an id and a processor of its own.
// proves: IORING_SETUP_SQ_AFF
TEST(the_polling_thread)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, .sq_thread_cpu = 1, .sq_thread_idle = 100};
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        SKIP("one processor");
    struct ring r;
    ring_init_params(&r, 8, &p);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 1, 1, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_GETEVENTS, NULL, 0), 1);
    ring_wait(&r);
    int thread = ring_field(&r, "SqThread:");
    CHECK(thread > 0 && thread != gettid() && thread != getpid());
    CHECK_EQ(ring_field(&r, "SqThreadCpu:"), 1);
    unsigned long mask[16] = {0};
    OK(syscall(SYS_sched_getaffinity, thread, sizeof mask, mask));
    CHECK_EQ(mask[0], 2);
    ring_exit(&r);
}

// Its process is gone: who still has the ring is told so.
TEST(a_polled_ring_whose_process_ended)
{
    int ends[2];
    OK(pipe(ends));
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 100};
    pid_t maker = OK(fork());
    if (maker == 0) {
        struct ring r;
        ring_init_params(&r, 8, &p);
        pid_t parent = getpid(), other = fork();
        if (other == 0) {
            while (getppid() == parent)
                mt_sleep_us(1000);
            mt_sleep_us(20000);
            add_nop(&r, 1);
            ring_publish(&r);
            int wrong = u_enter(r.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) != -1 || errno != EOWNERDEAD;
            wrong |= (u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) != -1 || errno != EOWNERDEAD) << 1;
            wrong |= (ring_ready(&r) != 0) << 2;
            wrong |= (ring_field(&r, "SqThread:") != -1) << 3;
            char byte = (char)wrong;
            _exit(write(ends[1], &byte, 1) != 1);
        }
        _exit(other < 0);
    }
    int status;
    OK(waitpid(maker, &status, 0));
    CHECK_EQ(status, 0);
    char byte = 99;
    OK(close(ends[1]));
    CHECK_EQ(OK(read(ends[0], &byte, 1)), 1);
    CHECK_EQ(byte, 0);
    OK(close(ends[0]));
}
