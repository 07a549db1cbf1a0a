// Lock words that the kernel hands on (FUTEX_LOCK_PI and its kin), by raw calls and through mutexes.
#include "moat_test.h"
#include <linux/futex.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static _Atomic uint32_t word, other;
static atomic_int other_tid, step;

static long futex(_Atomic uint32_t *w, int op, const struct timespec *t) { return syscall(SYS_futex, w, op, 0, t, NULL, 0); }

static int tid(void) { return (int)syscall(SYS_gettid); }

TEST(alone)
{
    word = 0;
    OK(futex(&word, FUTEX_TRYLOCK_PI, NULL));
    CHECK_EQ(word, tid());
    CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI, NULL), EDEADLK);
    CHECK_ERR(futex(&word, FUTEX_LOCK_PI, NULL), EDEADLK);
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    CHECK_EQ(word, 0);
    CHECK_ERR(futex(&word, FUTEX_UNLOCK_PI, NULL), EPERM);
    word = FUTEX_OWNER_DIED;
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    CHECK_EQ(word, FUTEX_OWNER_DIED | tid());
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    word = FUTEX_WAITERS;
    OK(futex(&word, FUTEX_LOCK_PI2, NULL));
    CHECK_EQ(word, tid());
    word = 1 << 29; // nobody
    CHECK_ERR(futex(&word, FUTEX_LOCK_PI, NULL), ESRCH);
    CHECK_EQ(word, FUTEX_WAITERS | 1 << 29);
}

TEST(arguments)
{
    struct timespec t = {0, -1};
    word = 0;
    CHECK_ERR(syscall(SYS_futex, 2, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_futex, 16, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERR(syscall(SYS_futex, 16, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex(&word, FUTEX_LOCK_PI, &t), EINVAL);
    CHECK_ERR(futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, NULL), ENOSYS);
    CHECK_EQ(word, 0);
}

static void *locker(void *arg)
{
    other_tid = tid();
    long r = futex(&word, FUTEX_LOCK_PI, NULL);
    CHECK_EQ(word & FUTEX_TID_MASK, tid());
    if (arg)
        CHECK(word & FUTEX_OWNER_DIED);
    else
        OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    return (void *)r;
}

TEST(handed_over)
{
    word = 0;
    other_tid = 0;
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    pthread_t t = mt_thread(locker, NULL);
    UNTIL(word & FUTEX_WAITERS);
    mt_sleep_us(5000);
    CHECK_ERR(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1ul, &other, 0), EINVAL);
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(word & FUTEX_TID_MASK, 0);
}

static void *dies_with_it(void *arg)
{
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    atomic_store(&step, 1);
    UNTIL(word & FUTEX_WAITERS);
    mt_sleep_us(20000);
    return arg;
}

TEST(owner_dies)
{
    word = 0;
    step = 0;
    pthread_t t = mt_thread(dies_with_it, NULL);
    UNTIL(atomic_load(&step) == 1);
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    CHECK_EQ(word, FUTEX_OWNER_DIED | FUTEX_WAITERS | tid());
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    CHECK_EQ(word, 0);
    OK0(pthread_join(t, NULL));
}

static void *holds(void *arg)
{
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    atomic_store(&step, 1);
    UNTIL(atomic_load(&step) == 2);
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    return arg;
}

TEST(time_runs_out)
{
    for (int op = 0; op < 3; op++) {
        word = 0;
        step = 0;
        pthread_t t = mt_thread(holds, NULL);
        UNTIL(atomic_load(&step) == 1);
        struct timespec now;
        clock_gettime(op == 1 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
        now.tv_nsec += 20000000;
        if (now.tv_nsec >= 1000000000)
            now.tv_sec++, now.tv_nsec -= 1000000000;
        static const int ops[] = {FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME};
        CHECK_ERR(futex(&word, ops[op], &now), ETIMEDOUT);
        CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI, NULL), EAGAIN);
        atomic_store(&step, 2);
        OK0(pthread_join(t, NULL));
        CHECK_EQ(word, 0);
    }
}

static void *crosses(void *arg)
{
    OK(futex(&other, FUTEX_LOCK_PI, NULL));
    atomic_store(&step, 1);
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    OK(futex(&other, FUTEX_UNLOCK_PI, NULL));
    return arg;
}

TEST(deadlock_is_found)
{
    word = other = 0;
    step = 0;
    OK(futex(&word, FUTEX_LOCK_PI, NULL));
    pthread_t t = mt_thread(crosses, NULL);
    UNTIL(atomic_load(&step) == 1 && (word & FUTEX_WAITERS));
    mt_sleep_us(20000);
    CHECK_ERR(futex(&other, FUTEX_LOCK_PI, NULL), EDEADLK);
    OK(futex(&word, FUTEX_UNLOCK_PI, NULL));
    OK0(pthread_join(t, NULL));
}

static pthread_mutex_t mutex;
static int counter;

static void *adds(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        OK0(pthread_mutex_lock(&mutex));
        counter++;
        OK0(pthread_mutex_unlock(&mutex));
    }
    return arg;
}

TEST(mutexes)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    OK0(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
    OK0(pthread_mutex_init(&mutex, &attr));
    pthread_t t[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(adds, NULL);
    for (int i = 0; i < 4; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(counter, 8000);
    OK0(pthread_mutex_destroy(&mutex));
}

static void *keeps(void *arg)
{
    pthread_mutex_lock(&mutex);
    atomic_store(&step, 1);
    mt_sleep_us(20000);
    return arg;
}

TEST(robust_mutexes)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    OK0(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
    OK0(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    OK0(pthread_mutex_init(&mutex, &attr));
    step = 0;
    pthread_t t = mt_thread(keeps, NULL);
    UNTIL(atomic_load(&step) == 1);
    CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
    OK0(pthread_mutex_consistent(&mutex));
    OK0(pthread_mutex_unlock(&mutex));
    OK0(pthread_mutex_lock(&mutex));
    OK0(pthread_mutex_unlock(&mutex));
    OK0(pthread_join(t, NULL));
}

static _Atomic uint32_t condition;
static atomic_int got, waiting;

static void *condition_waiter(void *arg)
{
    const struct timespec *until = arg;
    waiting++;
    long r = syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 5, until, &other, 0);
    if (until) {
        CHECK_EQ(r, -1);
        CHECK_EQ(errno, ETIMEDOUT);
        return NULL;
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(other & FUTEX_TID_MASK, tid());
    got++;
    OK(futex(&other, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, NULL));
    return NULL;
}

static long requeue(int wake, long move, uint32_t value)
{
    return syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG, wake, move, &other, value);
}

TEST(requeued_to_a_lock)
{
    for (int held = 0; held < 2; held++) {
        pthread_t t[3];
        condition = 5;
        other = 0;
        got = waiting = 0;
        for (int i = 0; i < 3; i++)
            OK(pthread_create(&t[i], NULL, condition_waiter, NULL));
        while (waiting < 3)
            usleep(1000);
        usleep(50000);
        CHECK_ERR(requeue(0, 1, 5), EINVAL);
        CHECK_ERR(requeue(1, 1, 6), EAGAIN);
        CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), EINVAL);
        if (held)
            OK(futex(&other, FUTEX_TRYLOCK_PI | FUTEX_PRIVATE_FLAG, NULL));
        CHECK_EQ(requeue(1, 100, 5), 3);
        if (held) {
            CHECK_EQ(got, 0);
            CHECK(other & FUTEX_WAITERS);
            OK(futex(&other, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, NULL));
        }
        for (int i = 0; i < 3; i++)
            OK(pthread_join(t[i], NULL));
        CHECK_EQ(got, 3);
        CHECK_EQ(other, 0);
        CHECK_EQ(requeue(1, 100, 5), 0);
    }
    CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 6, NULL, &other, 0), EAGAIN);
    CHECK_ERR(syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 5, NULL, &condition, 0), EINVAL);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    condition_waiter(&until);
}
