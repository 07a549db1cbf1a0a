// Actors: threads of this process and forked children that make one system call at a time, when the director gives them the turn. So
// the order of everything is given, while what is submitted is many tasks'.
#ifndef MOAT_RAND_LIFE_H
#define MOAT_RAND_LIFE_H

#include "rand_seen.h"
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

enum { THREADS = 3, KIDS = 2, ACTORS = 1 + THREADS + KIDS, FIRST_KID = 1 + THREADS };
enum what { CALL, END, FORK, EXEC };

struct actor {
    _Atomic uint32_t turn, begun, done;
    enum what what;
    long nr, args[6], result;
    int error;
    atomic_int tid, signals[2];
    pthread_t thread;
    bool alive, busy;
};

static struct actor *actors; // shared with the children; the first is the director itself
static __thread struct actor *self;
static pid_t director;

static long futex_on(_Atomic uint32_t *word, int op, uint32_t value, long seconds)
{
    struct timespec ts = {seconds, 0};
    return syscall(SYS_futex, word, op, value, &ts, NULL, 0);
}

static void on_signal(int s) { atomic_fetch_add(&self->signals[s == SIGUSR2], 1); }

static void serve(struct actor *a, uint32_t seen)
{
    self = a;
    atomic_store(&a->tid, (int)syscall(SYS_gettid));
    atomic_store(&a->done, seen);
    futex_on(&a->done, FUTEX_WAKE, INT_MAX, 0);
    for (;;) {
        while (atomic_load(&a->turn) == seen) {
            futex_on(&a->turn, FUTEX_WAIT, seen, 5);
            if (getpid() != director && getppid() != director)
                _exit(99); // nobody directs any more
        }
        seen = atomic_load(&a->turn);
        atomic_store(&a->begun, seen);
        errno = 0;
        switch (a->what) {
        case CALL: a->result = syscall(a->nr, a->args[0], a->args[1], a->args[2], a->args[3], a->args[4], a->args[5]); break;
        case END:
            if (getpid() != director)
                _exit((int)a->args[0]);
            return;
        case EXEC: {
            char code[12];
            snprintf(code, sizeof code, "%ld", a->args[0]);
            execl("/proc/self/exe", "rand_life", "--end", code, NULL);
            a->result = -1;
            break;
        }
        case FORK: {
            struct actor *kid = &actors[a->args[0]];
            uint32_t turn = atomic_load(&kid->turn);
            pid_t pid = fork();
            if (pid == 0)
                serve(kid, turn);
            a->result = pid;
            break;
        }
        }
        a->error = errno;
        atomic_store(&a->done, seen);
        futex_on(&a->done, FUTEX_WAKE, INT_MAX, 0);
    }
}

static void *thread_main(void *arg)
{
    struct actor *a = arg;
    serve(a, atomic_load(&a->turn));
    return NULL;
}

static bool is_kid(const struct actor *a) { return a - actors >= FIRST_KID; }

// R, S, Z: what /proc says of the actor.
static char state_of(const struct actor *a)
{
    char path[64], text[512], *p;
    if (is_kid(a))
        snprintf(path, sizeof path, "/proc/%d/stat", a->tid);
    else
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", a->tid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    close(fd);
    text[n > 0 ? n : 0] = 0;
    p = strrchr(text, ')');
    return p ? p[2] : '?';
}

static void stuck_in(const char *where, struct actor *a)
{
    printf("%d: stuck in %s: actor %d, state %c, call %ld\n", rand_step, where, (int)(a - actors), state_of(a), a->nr);
    for (int i = FIRST_KID; i < ACTORS; i++)
        if (actors[i].alive)
            kill(actors[i].tid, SIGKILL);
    _exit(1);
}

static void start_in(struct actor *a, enum what what, long nr, const long *args)
{
    a->what = what;
    a->nr = nr;
    memcpy(a->args, args, sizeof a->args);
    atomic_fetch_add(&a->turn, 1);
    futex_on(&a->turn, FUTEX_WAKE, INT_MAX, 0);
}

static bool is_done(struct actor *a) { return atomic_load(&a->done) == atomic_load(&a->turn); }

static void finish_in(struct actor *a)
{
    for (int i = 0; !is_done(a); i++) {
        if (i == 50)
            stuck_in("a call", a);
        uint32_t d = atomic_load(&a->done);
        struct timespec ts = {0, 200000000};
        if (d != atomic_load(&a->turn))
            syscall(SYS_futex, &a->done, FUTEX_WAIT, d, &ts, NULL, 0);
    }
}

// The actor makes the call; its result, errno too.
static long call_of(struct actor *a, long nr, const long *args)
{
    if (a == actors)
        return errno = 0, syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
    start_in(a, CALL, nr, args);
    finish_in(a);
    errno = a->error;
    return a->result;
}

#define CALL_IN(a, nr, ...) call_of(a, nr, (const long[6]){__VA_ARGS__})

static void start_thread(struct actor *a)
{
    atomic_store(&a->done, atomic_load(&a->turn) - 1);
    a->alive = true;
    a->busy = false;
    OK0(pthread_create(&a->thread, NULL, thread_main, a));
    finish_in(a);
}

static void start_kid(struct actor *parent, struct actor *a)
{
    atomic_store(&a->done, atomic_load(&a->turn) - 1);
    a->alive = true;
    a->busy = false;
    if (parent == actors) {
        pid_t pid = OK(fork());
        if (pid == 0)
            serve(a, atomic_load(&a->turn));
    } else {
        start_in(parent, FORK, 0, (const long[6]){a - actors});
        finish_in(parent);
        CHECK(parent->result > 0);
    }
    finish_in(a);
}

// What a busy actor waits in has ended, or it sleeps there.
static bool is_at_rest(struct actor *a)
{
    if (is_done(a))
        return true;
    if (atomic_load(&a->begun) != atomic_load(&a->turn))
        return false;
    char state = state_of(a);
    return state == 'S' || state == 'D';
}

#endif
