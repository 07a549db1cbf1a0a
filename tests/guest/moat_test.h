// The harness of the guest test programs. A program is one C file: subtests written as TEST(name) { ... } and run
// one after the other in one process. `prog` runs all, `prog NAME...` some, `prog --list` prints their names.
// One line per subtest (`ok NAME`, `FAIL NAME: why`, `skip NAME: why`), then `N passed, N failed, N skipped`.
//
// Each subtest starts in a fresh directory below $TMPDIR (or /tmp) with default signals and must leave no descriptor
// open. A watchdog thread ends the process when one takes longer than 20 s (MOAT_TEST_TIMEOUT=SECONDS; 0: no thread).
#ifndef MOAT_TEST_H
#define MOAT_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// Arguments that are wrong on purpose.
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Warray-bounds"

#define MT_UNUSED __attribute__((unused))
#define MT_MAX 400
#define MT_FDS 256
#define countof(a) (sizeof(a) / sizeof((a)[0]))

static struct {
    const char *names[MT_MAX];
    void (*fns[MT_MAX])(void);
    int count;
    pthread_t thread;           // the thread that runs the subtests
    sigjmp_buf out;
    atomic_int failed, skipped; // of the current subtest
    atomic_int done;            // count of finished subtests, looked at by the watchdog
    const char *_Atomic name;
    char why[512];
    char base[PATH_MAX - 64];
    char dir[PATH_MAX];         // the subtest's own directory, also its cwd
    int timeout;
} mt;

static inline void mt_register(const char *name, void (*fn)(void))
{
    if (mt.count == MT_MAX)
        abort();
    mt.names[mt.count] = name;
    mt.fns[mt.count++] = fn;
}

#define TEST(name)                                                                                                     \
    static void test_##name(void);                                                                                     \
    __attribute__((constructor)) static void mt_reg_##name(void) { mt_register(#name, test_##name); }                  \
    static void test_##name(void)

static inline void mt_put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void mt_put(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof line - 1)
        n = sizeof line - 1;
    for (char *p = line; n > 0;) {
        ssize_t w = write(STDOUT_FILENO, p, n);
        if (w <= 0)
            break;
        p += w;
        n -= w;
    }
}

// Ends the subtest; called on another thread it ends that thread, and the subtest fails when its own thread is done.
MT_UNUSED __attribute__((noreturn, format(printf, 3, 4)))
static void mt_fail(const char *file, int line, const char *fmt, ...)
{
    if (!atomic_exchange(&mt.failed, 1)) {
        const char *base = strrchr(file, '/');
        int n = snprintf(mt.why, sizeof mt.why, "%s:%d: ", base ? base + 1 : file, line);
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(mt.why + n, sizeof mt.why - n, fmt, ap);
        va_end(ap);
    }
    if (!pthread_equal(pthread_self(), mt.thread))
        pthread_exit(NULL);
    siglongjmp(mt.out, 1);
}

MT_UNUSED __attribute__((noreturn, format(printf, 1, 2))) static void mt_skip(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(mt.why, sizeof mt.why, fmt, ap);
    va_end(ap);
    atomic_store(&mt.skipped, 1);
    siglongjmp(mt.out, 1);
}

#define FAIL(...) mt_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) mt_skip(__VA_ARGS__)

// libc declares many calls as leaves, which change no variable of the caller's file; a handler they run may.
#define MT_RELOAD() __asm__ volatile("" ::: "memory")

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        MT_RELOAD();                                                                                                   \
        if (!(cond)) {                                                                                                 \
            int mt_e = errno;                                                                                          \
            FAIL("%s is false (errno %d)", #cond, mt_e);                                                               \
        }                                                                                                              \
    } while (0)

#define CHECK_EQ(a, b)                                                                                                 \
    do {                                                                                                               \
        MT_RELOAD();                                                                                                   \
        long long mt_a = (long long)(a);                                                                               \
        int mt_e = errno;                                                                                              \
        long long mt_b = (long long)(b);                                                                               \
        if (mt_a != mt_b)                                                                                              \
            FAIL("%s is %lld (0x%llx), expected %s: %lld (0x%llx); errno %d", #a, mt_a, mt_a, #b, mt_b, mt_b, mt_e);   \
    } while (0)

#define CHECK_STR(a, b)                                                                                                \
    do {                                                                                                               \
        const char *mt_a = (a), *mt_b = (b);                                                                           \
        if (strcmp(mt_a, mt_b) != 0)                                                                                   \
            FAIL("%s is \"%.150s\", expected \"%.150s\"", #a, mt_a, mt_b);                                             \
    } while (0)

// The call fails with -1 and this errno.
#define CHECK_ERR(expr, err)                                                                                           \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long long mt_a = (long long)(expr);                                                                            \
        int mt_e = errno;                                                                                              \
        if (mt_a != -1)                                                                                                \
            FAIL("%s is %lld, expected -1 with %s", #expr, mt_a, mt_errno(err));                                       \
        if (mt_e != (err))                                                                                             \
            FAIL("%s: errno %s, expected %s", #expr, mt_errno(mt_e), mt_errno(err));                                   \
    } while (0)

// The call does not fail; the value is the call's.
#define OK(expr)                                                                                                       \
    ({                                                                                                                 \
        errno = 0;                                                                                                     \
        __auto_type mt_a = (expr);                                                                                     \
        if ((long long)mt_a == -1)                                                                                     \
            FAIL("%s failed: %s", #expr, mt_errno(errno));                                                             \
        mt_a;                                                                                                          \
    })

// A pthread_* call returns 0 (these return the error itself).
#define OK0(expr)                                                                                                      \
    do {                                                                                                               \
        int mt_a = (expr);                                                                                             \
        if (mt_a != 0)                                                                                                 \
            FAIL("%s failed: %s", #expr, mt_errno(mt_a));                                                              \
    } while (0)

// Waits for a condition that another thread makes true; the watchdog is the limit.
#define UNTIL(cond)                                                                                                    \
    do {                                                                                                               \
        while (!(cond))                                                                                                \
            mt_sleep_us(500);                                                                                          \
    } while (0)

static inline const char *mt_errno(int e)
{
    const char *s = strerrorname_np(e);
    return s ? s : "(unknown errno)";
}

static inline void mt_sleep_us(long us)
{
    struct timespec ts = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&ts, NULL);
}

static inline uint64_t mt_now_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

// A seeded generator (xorshift64*): the same sequence in every run.
static inline uint64_t mt_random(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 0x2545f4914f6cdd1dull;
}

static inline pthread_t mt_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, fn, arg);
    if (e)
        FAIL("pthread_create: %s", mt_errno(e));
    return t;
}

// The byte that mt_fill puts at a file offset; neighbouring pages and sectors differ.
static inline unsigned char mt_byte(uint64_t off) { return (unsigned char)(off * 7 + (off >> 8) * 13 + (off >> 16)); }

static inline void mt_pattern(void *buf, size_t len, uint64_t off)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)buf)[i] = mt_byte(off + i);
}

// Index of the first byte that differs from the pattern, or -1.
static inline long mt_differs(const void *buf, size_t len, uint64_t off)
{
    for (size_t i = 0; i < len; i++)
        if (((const unsigned char *)buf)[i] != mt_byte(off + i))
            return (long)i;
    return -1;
}

// Creates a file of the pattern and returns it open for reading and writing, offset 0.
static inline int mt_file(const char *name, size_t size)
{
    int fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    static unsigned char buf[65536];
    for (size_t off = 0; off < size;) {
        size_t n = size - off < sizeof buf ? size - off : sizeof buf;
        mt_pattern(buf, n, off);
        CHECK_EQ(pwrite(fd, buf, n, off), n);
        off += n;
    }
    return fd;
}

static void mt_remove_at(int dirfd, const char *name, int depth)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return;
    fchmodat(dirfd, name, 0700, 0);
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    for (int n = 0; d && depth < 64 && n < 100000 && (e = readdir(d)); n++)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            mt_remove_at(fd, e->d_name, depth + 1);
    if (d)
        closedir(d);
    unlinkat(dirfd, name, AT_REMOVEDIR);
}

static void mt_open_fds(bool *open)
{
    for (int fd = 0; fd < MT_FDS; fd++)
        open[fd] = fcntl(fd, F_GETFD) != -1;
}

static void mt_defaults(void)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int s = 1; s <= SIGRTMAX; s++)
        if (s != SIGKILL && s != SIGSTOP)
            sigaction(s, &dfl, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
}

static void *mt_watchdog(void *arg)
{
    (void)arg;
    int seen = -1;
    for (int ticks = 0;; ticks++) {
        struct timespec second = {1, 0};
        nanosleep(&second, NULL);
        int now = atomic_load(&mt.done);
        if (now != seen) {
            seen = now;
            ticks = 0;
        }
        if (ticks < mt.timeout)
            continue;
        if (atomic_load(&mt.failed))
            mt_put("FAIL %s: %s (and then it hangs)\n", mt.name, mt.why);
        else
            mt_put("FAIL %s: hang\n", mt.name);
        _exit(1);
    }
    return NULL;
}

static void mt_run(int i, int *count)
{
    bool before[MT_FDS], after[MT_FDS];
    atomic_store(&mt.failed, 0);
    atomic_store(&mt.skipped, 0);
    mt.why[0] = 0;
    mt.name = mt.names[i];
    mt_open_fds(before);
    if (sigsetjmp(mt.out, 1) == 0) {
        int made = -1;
        for (int n = 0; made < 0 && n < 100 && (n == 0 || errno == EEXIST); n++) { // a dead program's may be in the way
            snprintf(mt.dir, sizeof mt.dir, "%s/moat-test.%d.%d.%d", mt.base, (int)getpid(), i, n);
            made = mkdir(mt.dir, 0755);
        }
        OK(made);
        OK(chdir(mt.dir));
        mt.fns[i]();
    }
    mt_open_fds(after);
    for (int fd = 0; fd < MT_FDS; fd++) {
        if (before[fd] == after[fd])
            continue;
        if (!atomic_load(&mt.skipped) && !atomic_exchange(&mt.failed, 1))
            snprintf(mt.why, sizeof mt.why, "descriptor %d %s", fd, after[fd] ? "leaked" : "vanished");
        if (after[fd])
            close(fd);
    }
    mt_defaults();
    if (chdir("/") == 0)
        mt_remove_at(AT_FDCWD, mt.dir, 0);
    if (atomic_load(&mt.failed))
        count[1]++, mt_put("FAIL %s: %s\n", mt.name, mt.why);
    else if (atomic_load(&mt.skipped))
        count[2]++, mt_put("skip %s: %s\n", mt.name, mt.why);
    else
        count[0]++, mt_put("ok %s\n", mt.name);
    atomic_fetch_add(&mt.done, 1);
}

MT_UNUSED static int mt_main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR"), *limit = getenv("MOAT_TEST_TIMEOUT");
    snprintf(mt.base, sizeof mt.base, "%s", tmp && *tmp ? tmp : "/tmp");
    mt.timeout = limit ? atoi(limit) : 20;
    mt.thread = pthread_self();
    mt.name = "?";
    for (int a = 1; a < argc; a++) {
        int found = strcmp(argv[a], "--list") == 0;
        for (int i = 0; i < mt.count && !found; i++)
            found = strcmp(argv[a], mt.names[i]) == 0;
        if (!found) {
            fprintf(stderr, "%s: no subtest %s\n", argv[0], argv[a]);
            return 2;
        }
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < mt.count; i++)
            mt_put("%s\n", mt.names[i]);
        return 0;
    }
    for (int fd = 3; fd < MT_FDS; fd++)
        close(fd); // what the shell left open
    mt_defaults();
    if (mt.timeout > 0) {
        sigset_t all, old;
        pthread_t t;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        if (pthread_create(&t, NULL, mt_watchdog, NULL) != 0)
            mt_put("# no watchdog thread\n");
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    int count[3] = {0, 0, 0};
    for (int i = 0; i < mt.count; i++) {
        bool wanted = argc == 1;
        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], mt.names[i]) == 0;
        if (wanted)
            mt_run(i, count);
    }
    mt_put("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
    return count[1] != 0;
}

#ifndef MT_OWN_MAIN
int main(int argc, char **argv) { return mt_main(argc, argv); }
#endif

#endif
