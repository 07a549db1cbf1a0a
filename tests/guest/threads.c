// Threads through libc and through clone itself: creation, thread-local storage, locks, cancellation, identities.
#include "moat_test.h"
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/wait.h>

static void *returns_arg(void *arg) { return arg; }

TEST(create_and_join_100)
{
    for (intptr_t i = 0; i < 100; i++) {
        pthread_t t = mt_thread(returns_arg, (void *)i);
        void *ret;
        OK0(pthread_join(t, &ret));
        CHECK_EQ((intptr_t)ret, i);
    }
}

TEST(create_100_at_once)
{
    static pthread_t t[100];
    for (intptr_t i = 0; i < 100; i++)
        t[i] = mt_thread(returns_arg, (void *)(i * 3));
    for (intptr_t i = 0; i < 100; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK_EQ((intptr_t)ret, i * 3);
    }
}

static __thread int tls_set = 1234;
static __thread char tls_zero[3000];

static void *uses_tls(void *arg)
{
    CHECK_EQ(tls_set, 1234);
    for (size_t i = 0; i < sizeof tls_zero; i++)
        CHECK(tls_zero[i] == 0);
    tls_set = (int)(intptr_t)arg;
    memset(tls_zero, (char)(intptr_t)arg, sizeof tls_zero);
    for (int i = 0; i < 200; i++) {
        sched_yield();
        CHECK_EQ(tls_set, (intptr_t)arg);
        CHECK_EQ(tls_zero[i], (char)(intptr_t)arg);
    }
    errno = (int)(intptr_t)arg;
    sched_yield();
    CHECK_EQ(errno, (intptr_t)arg);
    return NULL;
}

TEST(thread_local_storage)
{
    pthread_t t[8];
    tls_set = 1234;
    for (intptr_t i = 0; i < 8; i++)
        t[i] = mt_thread(uses_tls, (void *)(i + 1));
    for (int i = 0; i < 8; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(tls_set, 1234);
    CHECK_EQ(tls_zero[5], 0);
}

static pthread_key_t key;
static atomic_int destroyed;

static void destructor(void *value) { atomic_fetch_add(&destroyed, (int)(intptr_t)value); }

static void *sets_key(void *arg)
{
    OK0(pthread_setspecific(key, arg));
    return NULL;
}

TEST(key_destructors)
{
    atomic_store(&destroyed, 0);
    OK0(pthread_key_create(&key, destructor));
    pthread_t a = mt_thread(sets_key, (void *)5), b = mt_thread(sets_key, (void *)7);
    OK0(pthread_join(a, NULL));
    OK0(pthread_join(b, NULL));
    CHECK_EQ(destroyed, 12);
    OK0(pthread_key_delete(key));
}

struct ids {
    pid_t pid, tid, ppid;
};

static void *tells_ids(void *arg)
{
    *(struct ids *)arg = (struct ids){getpid(), gettid(), getppid()};
    return NULL;
}

TEST(identities)
{
    CHECK_EQ(getpid(), gettid()); // the subtests run on the first thread
    struct ids a, b;
    pthread_t t = mt_thread(tells_ids, &a), u = mt_thread(tells_ids, &b);
    OK0(pthread_join(t, NULL));
    OK0(pthread_join(u, NULL));
    CHECK_EQ(a.pid, getpid());
    CHECK_EQ(b.pid, getpid());
    CHECK_EQ(a.ppid, getppid());
    CHECK(a.tid != b.tid && a.tid != getpid() && b.tid != getpid());
    // A thread is joined when its id is cleared in memory, which is a moment before nobody finds it any more.
    UNTIL(syscall(SYS_tgkill, a.pid, a.tid, 0) == -1 && errno == ESRCH);
    CHECK_EQ(syscall(SYS_tgkill, getpid(), gettid(), 0), 0);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), gettid(), 65), EINVAL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *adds(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

TEST(mutex_contention)
{
    pthread_t t[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(adds, NULL);
    for (int i = 0; i < 4; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(counter, 80000);
}

static void *tries(void *arg) { return (void *)(intptr_t)pthread_mutex_trylock(arg); }

static void *tries_until(void *arg)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 5000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }
    return (void *)(intptr_t)pthread_mutex_timedlock(arg, &ts);
}

TEST(mutex_kinds)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t m;
    void *ret;
    OK0(pthread_mutexattr_init(&attr));
    OK0(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
    OK0(pthread_mutex_init(&m, &attr));
    OK0(pthread_mutex_lock(&m));
    CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
    OK0(pthread_join(mt_thread(tries, &m), &ret));
    CHECK_EQ((intptr_t)ret, EBUSY);
    OK0(pthread_join(mt_thread(tries_until, &m), &ret));
    CHECK_EQ((intptr_t)ret, ETIMEDOUT);
    OK0(pthread_mutex_unlock(&m));
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    OK0(pthread_mutex_destroy(&m));
    OK0(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE));
    OK0(pthread_mutex_init(&m, &attr));
    for (int i = 0; i < 10; i++)
        OK0(pthread_mutex_lock(&m));
    for (int i = 0; i < 10; i++)
        OK0(pthread_mutex_unlock(&m));
    OK0(pthread_mutex_destroy(&m));
    OK0(pthread_mutexattr_destroy(&attr));
}

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    int items[8], head, count;
    long sum;
};

static void *produces(void *arg)
{
    struct queue *q = arg;
    for (int i = 1; i <= 3000; i++) {
        pthread_mutex_lock(&q->lock);
        while (q->count == 8)
            pthread_cond_wait(&q->not_full, &q->lock);
        q->items[(q->head + q->count++) % 8] = i;
        pthread_cond_signal(&q->not_empty);
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

static void *consumes(void *arg)
{
    struct queue *q = arg;
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&q->lock);
        while (q->count == 0)
            pthread_cond_wait(&q->not_empty, &q->lock);
        q->sum += q->items[q->head];
        q->head = (q->head + 1) % 8;
        q->count--;
        pthread_cond_signal(&q->not_full);
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

TEST(condition_variables)
{
    struct queue q = {.lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER,
                      .not_full = PTHREAD_COND_INITIALIZER};
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(i % 2 ? consumes : produces, &q);
    for (int i = 0; i < 4; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(q.sum, 2 * 3000l * 3001 / 2);
    CHECK_EQ(q.count, 0);
}

TEST(condition_timeout)
{
    pthread_cond_t c;
    pthread_condattr_t attr;
    for (int monotonic = 0; monotonic < 2; monotonic++) {
        clockid_t clock = monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
        OK0(pthread_condattr_init(&attr));
        OK0(pthread_condattr_setclock(&attr, clock));
        OK0(pthread_cond_init(&c, &attr));
        struct timespec ts;
        uint64_t start = mt_now_ns(clock), until = start + 20000000;
        ts.tv_sec = until / 1000000000;
        ts.tv_nsec = until % 1000000000;
        OK0(pthread_mutex_lock(&mutex));
        CHECK_EQ(pthread_cond_timedwait(&c, &mutex, &ts), ETIMEDOUT);
        OK0(pthread_mutex_unlock(&mutex));
        CHECK(mt_now_ns(clock) >= until);
        OK0(pthread_cond_destroy(&c));
        OK0(pthread_condattr_destroy(&attr));
    }
}

static pthread_cond_t all = PTHREAD_COND_INITIALIZER;
static int waiting, released;

static void *waits_for_all(void *arg)
{
    pthread_mutex_lock(&mutex);
    waiting++;
    while (!released)
        pthread_cond_wait(&all, &mutex);
    waiting--;
    pthread_mutex_unlock(&mutex);
    return arg;
}

TEST(condition_broadcast)
{
    pthread_t t[16];
    waiting = released = 0;
    for (int i = 0; i < 16; i++)
        t[i] = mt_thread(waits_for_all, NULL);
    for (int seen = 0; seen < 16;) {
        pthread_mutex_lock(&mutex);
        seen = waiting; // under the lock: all of them wait
        if (seen == 16)
            released = 1;
        pthread_mutex_unlock(&mutex);
        sched_yield();
    }
    OK0(pthread_cond_broadcast(&all));
    for (int i = 0; i < 16; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(waiting, 0);
}

static pthread_barrier_t barrier;
static atomic_int phase[50], serials;

static void *meets(void *arg)
{
    for (int i = 0; i < 50; i++) {
        atomic_fetch_add(&phase[i], 1);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            atomic_fetch_add(&serials, 1);
        CHECK_EQ(phase[i], 5);
    }
    return arg;
}

TEST(barriers)
{
    pthread_t t[5];
    memset(phase, 0, sizeof phase);
    serials = 0;
    OK0(pthread_barrier_init(&barrier, NULL, 5));
    for (int i = 0; i < 5; i++)
        t[i] = mt_thread(meets, NULL);
    for (int i = 0; i < 5; i++)
        OK0(pthread_join(t[i], NULL));
    OK0(pthread_barrier_destroy(&barrier));
    CHECK_EQ(serials, 50);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long pair[2];

static void *reads_pair(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_rdlock(&rwlock);
        long a = pair[0], b = pair[1];
        pthread_rwlock_unlock(&rwlock);
        CHECK_EQ(a, b);
    }
    return arg;
}

static void *writes_pair(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        pthread_rwlock_wrlock(&rwlock);
        pair[0]++;
        if (i % 50 == 0)
            sched_yield();
        pair[1]++;
        pthread_rwlock_unlock(&rwlock);
    }
    return arg;
}

TEST(rwlocks)
{
    pthread_t t[6];
    pair[0] = pair[1] = 0;
    for (int i = 0; i < 6; i++)
        t[i] = mt_thread(i < 4 ? reads_pair : writes_pair, NULL);
    for (int i = 0; i < 6; i++)
        OK0(pthread_join(t[i], NULL));
    CHECK_EQ(pair[0], 2000);
    CHECK_EQ(pair[1], 2000);
}

static sem_t ping, pong;

static void *answers(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        while (sem_wait(&ping) != 0) {}
        sem_post(&pong);
    }
    return arg;
}

TEST(semaphores)
{
    OK(sem_init(&ping, 0, 0));
    OK(sem_init(&pong, 0, 0));
    pthread_t t = mt_thread(answers, NULL);
    for (int i = 0; i < 2000; i++) {
        OK(sem_post(&ping));
        OK(sem_wait(&pong));
    }
    OK0(pthread_join(t, NULL));
    CHECK_ERR(sem_trywait(&pong), EAGAIN);
    struct timespec past = {1, 0};
    CHECK_ERR(sem_timedwait(&pong, &past), ETIMEDOUT);
    OK(sem_destroy(&ping));
    OK(sem_destroy(&pong));
}

static void *dies_with_lock(void *arg)
{
    OK0(pthread_mutex_lock(arg));
    return NULL;
}

TEST(robust_mutex)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t m;
    OK0(pthread_mutexattr_init(&attr));
    OK0(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    OK0(pthread_mutex_init(&m, &attr));
    for (int i = 0; i < 5; i++) {
        OK0(pthread_join(mt_thread(dies_with_lock, &m), NULL));
        CHECK_EQ(pthread_mutex_lock(&m), EOWNERDEAD);
        OK0(pthread_mutex_consistent(&m));
        OK0(pthread_mutex_unlock(&m));
    }
    OK0(pthread_join(mt_thread(dies_with_lock, &m), NULL));
    CHECK_EQ(pthread_mutex_lock(&m), EOWNERDEAD);
    OK0(pthread_mutex_unlock(&m)); // not made consistent
    CHECK_EQ(pthread_mutex_lock(&m), ENOTRECOVERABLE);
    OK0(pthread_mutex_destroy(&m));
    OK0(pthread_mutexattr_destroy(&attr));
}

static pthread_mutex_t robust;
static atomic_int taken;

static void *holds_then_dies(void *arg)
{
    OK0(pthread_mutex_lock(&robust));
    atomic_store(&taken, 1);
    mt_sleep_us(20000);
    return arg;
}

TEST(robust_mutex_wakes_the_waiter)
{
    pthread_mutexattr_t attr;
    OK0(pthread_mutexattr_init(&attr));
    OK0(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    OK0(pthread_mutex_init(&robust, &attr));
    atomic_store(&taken, 0);
    pthread_t t = mt_thread(holds_then_dies, NULL);
    UNTIL(atomic_load(&taken));
    CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD); // asleep in it while the owner dies
    OK0(pthread_mutex_consistent(&robust));
    OK0(pthread_mutex_unlock(&robust));
    OK0(pthread_join(t, NULL));
    OK0(pthread_mutex_destroy(&robust));
    OK0(pthread_mutexattr_destroy(&attr));
}

static atomic_int cleaned;

static void cleanup(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void *waits_in_read(void *arg)
{
    char c;
    pthread_cleanup_push(cleanup, &cleaned);
    while (read(*(int *)arg, &c, 1) != 1) {}
    pthread_cleanup_pop(0);
    return NULL;
}

TEST(cancel_a_blocked_thread)
{
    int p[2];
    void *ret;
    atomic_store(&cleaned, 0);
    OK(pipe(p));
    pthread_t t = mt_thread(waits_in_read, &p[0]);
    mt_sleep_us(5000);
    OK0(pthread_cancel(t));
    OK0(pthread_join(t, &ret));
    CHECK(ret == PTHREAD_CANCELED);
    CHECK_EQ(cleaned, 1);
    OK(close(p[0]));
    OK(close(p[1]));
}

static atomic_int detached_done;

static void *detached(void *arg)
{
    atomic_fetch_add(&detached_done, 1);
    return arg;
}

TEST(detached_threads)
{
    pthread_attr_t attr;
    atomic_store(&detached_done, 0);
    OK0(pthread_attr_init(&attr));
    OK0(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    OK0(pthread_attr_setstacksize(&attr, 65536));
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        OK0(pthread_create(&t, &attr, detached, NULL));
    }
    UNTIL(atomic_load(&detached_done) == 20);
    OK0(pthread_attr_destroy(&attr));
}

// A thread of clone alone: it shares this thread's TLS, so it makes raw calls only.
static struct raw {
    atomic_int parent_tid, child_tid, seen_tid;
} raw;

static long raw_call1(long nr, long a)
{
    long ret;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a) : "rcx", "r11", "memory");
    return ret;
}

static int raw_body(void *arg)
{
    (void)arg;
    atomic_store(&raw.seen_tid, (int)raw_call1(SYS_gettid, 0));
    raw_call1(SYS_exit, 0);
    return 0;
}

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

TEST(clone_tid_words)
{
    char *stack = OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
    for (int i = 0; i < 20; i++) {
        memset(&raw, 0, sizeof raw);
        atomic_store(&raw.child_tid, -1);
        int tid = OK(clone(raw_body, stack + 65536, THREAD_FLAGS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID, NULL,
                           &raw.parent_tid, NULL, &raw.child_tid));
        CHECK_EQ(raw.parent_tid, tid); // set before clone returns
        for (int v; (v = atomic_load(&raw.child_tid)) != 0;)
            syscall(SYS_futex, &raw.child_tid, FUTEX_WAIT, v, NULL, NULL, 0); // woken by the exit
        CHECK_EQ(raw.seen_tid, tid);
        CHECK(tid != getpid());
    }
    OK(munmap(stack, 65536));
}

static int sets_address(void *arg)
{
    (void)arg;
    long tid = raw_call1(SYS_set_tid_address, (long)&raw.child_tid);
    atomic_store(&raw.seen_tid, (int)tid);
    raw_call1(SYS_exit, 0);
    return 0;
}

TEST(set_tid_address_takes_effect)
{
    char *stack = OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(&raw, 0, sizeof raw);
    atomic_store(&raw.child_tid, 77);
    int tid = OK(clone(sets_address, stack + 65536, THREAD_FLAGS, NULL));
    while (atomic_load(&raw.child_tid) != 0)
        syscall(SYS_futex, &raw.child_tid, FUTEX_WAIT, 77, NULL, NULL, 0);
    CHECK_EQ(raw.seen_tid, tid); // it returns the caller's tid
    OK(munmap(stack, 65536));
}

TEST(clone_errors)
{
    char *stack = OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *top = stack + 65536;
    CHECK_ERR(clone(raw_body, top, CLONE_VM | CLONE_THREAD, NULL), EINVAL);   // THREAD needs SIGHAND
    CHECK_ERR(clone(raw_body, top, CLONE_SIGHAND, NULL), EINVAL);             // SIGHAND needs VM
    CHECK_ERR(clone(raw_body, top, CLONE_SIGHAND | CLONE_THREAD, NULL), EINVAL);
    CHECK_ERR(clone(raw_body, top, CLONE_FS | CLONE_NEWNS, NULL), EINVAL);
    uint64_t args[11] = {THREAD_FLAGS};
    CHECK_ERR(syscall(SYS_clone3, args, 32), EINVAL); // too short
    CHECK_ERR(syscall(SYS_clone3, args, 8192), E2BIG);
    CHECK_ERR(syscall(SYS_clone3, 8, 64), EFAULT);
    args[4] = SIGCHLD; // an exit signal and CLONE_THREAD
    CHECK_ERR(syscall(SYS_clone3, args, 64), EINVAL);
    args[4] = 0;
    args[5] = (uintptr_t)stack; // a stack without a size
    CHECK_ERR(syscall(SYS_clone3, args, 64), EINVAL);
    args[5] = 0;
    args[6] = 4096; // and a size without a stack
    CHECK_ERR(syscall(SYS_clone3, args, 64), EINVAL);
    args[6] = 0;
    args[10] = 1; // cgroup without CLONE_INTO_CGROUP is fine, but an unknown flag is not
    args[0] |= 1ull << 40;
    CHECK_ERR(syscall(SYS_clone3, args, 88), EINVAL);
    uint64_t longer[16] = {THREAD_FLAGS};
    longer[14] = 1; // not zero in a part the kernel does not know
    CHECK_ERR(syscall(SYS_clone3, longer, 128), E2BIG);
    OK(munmap(stack, 65536));
}

static void *spins(void *arg)
{
    while (!atomic_load((atomic_bool *)arg)) {} // no system call at all
    return NULL;
}

TEST(a_spinning_thread_does_not_starve_others)
{
    atomic_bool stop = false;
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = mt_thread(spins, &stop);
    for (int i = 0; i < 50; i++)
        OK0(pthread_join(mt_thread(returns_arg, NULL), NULL));
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        OK0(pthread_join(t[i], NULL));
}

static void *many_calls(void *arg)
{
    for (int i = 0; i < 20000; i++)
        if (getppid() < 0)
            return arg;
    return NULL;
}

TEST(calls_from_many_threads)
{
    pthread_t t[8];
    for (int i = 0; i < 8; i++)
        t[i] = mt_thread(many_calls, (void *)1);
    for (int i = 0; i < 8; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
}

TEST(no_children_to_wait_for)
{
    int status;
    OK0(pthread_join(mt_thread(returns_arg, NULL), NULL)); // a thread is no child
    CHECK_ERR(waitpid(-1, &status, WNOHANG), ECHILD);
    CHECK_ERR(waitpid(-1, &status, __WALL), ECHILD);
}
