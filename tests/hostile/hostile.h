// What the programs of tests/hostile have in common: they run in Moat only, told so by MOAT_HOSTILE, because natively what they
// call by chance could change the machine. Work is done by short-lived processes, one for each seed; how such a process
// ends is its own affair, that it ends is not.
#ifndef MOAT_HOSTILE_H
#define MOAT_HOSTILE_H

#include "../guest/uring.h"
#include <sys/mman.h>
#include <sys/wait.h>

// Of all processes: what was asked, in calls or requests; and of each number how many, and how many of these were done.
struct count {
    _Atomic uint64_t tried, good;
};
static struct counts {
    _Atomic uint64_t made;
    struct count requests[256], registrations[64], calls[480], acts[64];
} *counts;

// In a file, so that programs that are executed find them again.
static void open_counts(void)
{
    int fd = open("/tmp/hostile.counts", O_RDWR | O_CREAT, 0666);
    fchmod(fd, 0666);
    // Far from everything else: what is written by chance must not hit it.
    char *around = mmap(NULL, 64 << 20, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ftruncate(fd, sizeof *counts) != 0 ||
        (counts = mmap(around + (32 << 20), sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)) == MAP_FAILED)
        exit(1);
    close(fd);
}

// One of sixteen directories, shared by the processes that come by. In memory: a volume would be filled (FALLOC_FL_KEEP_SIZE knows no limit).
static inline bool enter_directory(uint64_t n)
{
    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/hostile.%lu", (unsigned long)n % 16);
    mkdir(dir, 0777);
    chmod(dir, 0777);
    return chdir(dir) == 0;
}

// Signals interrupt; those of faults still kill.
static inline void on_signal(int s) { (void)s; }
static inline void catch_signals(void)
{
    for (int s = 1; s < 32; s++)
        if (s != SIGSEGV && s != SIGBUS && s != SIGILL && s != SIGFPE && s != SIGSYS && s != SIGTRAP)
            signal(s, on_signal);
}

// A generator per thread.
static __thread uint64_t seed;
static inline uint32_t pick(uint32_t n) { return (uint32_t)(mt_random(&seed) >> 33) % n; }
static inline bool odds(uint32_t n) { return pick(n) == 0; } // one in n
static inline void sow(uint64_t n)
{
    seed = 0x9e3779b97f4a7c15ull * n + 1;
    for (int i = 0; i < 8; i++)
        mt_random(&seed);
}

// What this thread waits for is interrupted, again and again.
static void interrupt_every(long us)
{
    timer_t id;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    e._sigev_un._tid = gettid();
    struct itimerspec every = {{0, us * 1000}, {0, us * 1000}};
    if (timer_create(CLOCK_MONOTONIC, &e, &id) == 0)
        timer_settime(id, 0, &every, NULL);
}

// Tells the script that it may look at the sentry, and waits until it has.
static void pause_for_script(const char *what)
{
    char c;
    printf("%s %lu\n", what, (unsigned long)atomic_load(&counts->made));
    fflush(stdout);
    if (read(STDIN_FILENO, &c, 1) != 1)
        exit(1);
}

enum { AT_ONCE = 8 };
static struct {
    pid_t pid;
    uint64_t n, since;
} live[AT_ONCE];

// Ends what is neither this process nor one of those at work; how many there were.
static int kill_others(bool tell)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    int left = 0;
    while (d != NULL && (e = readdir(d)) != NULL) {
        pid_t pid = atoi(e->d_name);
        bool spared = pid <= 1 || pid == getpid();
        for (int i = 0; i < AT_ONCE; i++)
            spared |= pid == live[i].pid;
        if (spared)
            continue;
        left += kill(pid, SIGKILL) == 0;
        if (tell) {
            char path[64], what[300] = "";
            snprintf(path, sizeof path, "/proc/%d/stat", pid);
            int fd = open(path, O_RDONLY);
            if (fd >= 0 && read(fd, what, sizeof what - 1) > 0)
                fprintf(stderr, "process %d does not end: %.40s\n", pid, what);
            close(fd);
        }
    }
    closedir(d);
    return left;
}

// Runs `work(seed)` in processes, eight at a time, until `count` was asked; each has `limit` seconds.
static void in_processes(uint64_t first, uint64_t count, int limit, void (*work)(uint64_t))
{
    uint64_t next = first, goal = atomic_load(&counts->made) + count;
    int running = 0;
    while (running > 0 || atomic_load(&counts->made) < goal) {
        for (int i = 0; i < AT_ONCE && atomic_load(&counts->made) < goal; i++) {
            if (live[i].pid != 0)
                continue;
            pid_t pid = fork();
            if (pid == 0) {
                int none = open("/dev/null", O_RDWR);
                for (int fd = 0; fd < 3; fd++)
                    dup2(none, fd);
                setsid(); // signals to its group are its own
                work(next);
                _exit(0);
            }
            if (pid < 0) {
                printf("fork: %s\n", mt_errno(errno));
                exit(1);
            }
            live[i].pid = pid;
            live[i].n = next++;
            live[i].since = mt_now_ns(CLOCK_MONOTONIC);
            running++;
        }
        for (int i = 0; i < AT_ONCE; i++) {
            int st;
            if (live[i].pid == 0)
                continue;
            if (waitpid(live[i].pid, &st, WNOHANG) == live[i].pid) {
                live[i].pid = 0;
                running--;
            } else if (mt_now_ns(CLOCK_MONOTONIC) - live[i].since > limit * 1000000000ull) {
                kill(live[i].pid, SIGKILL);
                // One that is traced is dead for its parent only when its tracer has seen it, or is dead itself.
                if (mt_now_ns(CLOCK_MONOTONIC) - live[i].since > (limit + 10) * 1000000000ull)
                    kill_others(false);
                if (mt_now_ns(CLOCK_MONOTONIC) - live[i].since > (limit + 30) * 1000000000ull) {
                    printf("seed %lu: killed, and does not end\n", (unsigned long)live[i].n);
                    exit(1);
                }
            }
        }
        mt_sleep_us(1000);
    }
}

// What a process forked may outlive it: it is ended, too.
static void end_orphans(void)
{
    for (int i = 0, left = 1; left > 0 && i < 200; i++) {
        // One that a process has made its sibling (CLONE_PARENT) is this one's child.
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ;
        left = kill_others(i == 100);
        mt_sleep_us(20000);
    }
}

// Which numbers were tried and never done: the generator does not get far there, or what it asks is not to be had.
static void tell(const char *what, const struct count *c, int n)
{
    int tried = 0, good = 0;
    uint64_t all = 0, done = 0;
    for (int i = 0; i < n; i++) {
        tried += c[i].tried != 0;
        good += c[i].good != 0;
        all += c[i].tried;
        done += c[i].good;
    }
    if (tried == 0)
        return;
    printf("%s: %lu of %lu done, of %d numbers %d; never:", what, (unsigned long)done, (unsigned long)all, tried, good);
    for (int i = 0; i < n; i++)
        if (c[i].tried != 0 && c[i].good == 0)
            printf(" %d", i);
    printf("\n");
    for (int i = 0; i < n && getenv("MOAT_HOSTILE_COUNTS") != NULL; i++)
        if (c[i].tried != 0)
            printf("  %s %d: %lu of %lu\n", what, i, (unsigned long)c[i].good, (unsigned long)c[i].tried);
}

// PROGRAM SEED COUNT: a tenth of it to warm up, a look at the sentry, then all, then another look.
static int hostile_main(int argc, char **argv, int limit, void (*work)(uint64_t))
{
    if (getenv("MOAT_HOSTILE") == NULL || argc != 3) {
        fprintf(stderr, "usage, in Moat only: MOAT_HOSTILE=1 %s SEED COUNT\n", argv[0]);
        return 2;
    }
    uint64_t first = strtoull(argv[1], NULL, 0) * 1000000, count = strtoull(argv[2], NULL, 0);
    open_counts();
    signal(SIGCHLD, SIG_DFL);
    in_processes(first, count / 10, limit, work);
    end_orphans();
    pause_for_script("warm");
    in_processes(first + 500000, count, limit, work);
    end_orphans();
    struct io_uring_params p = {0};
    int fd = u_setup(8, &p), st;
    if (fd < 0 || u_enter(fd, 0, 0, 0, NULL, 0) != 0) {
        printf("a new ring: %s\n", mt_errno(errno));
        return 1;
    }
    close(fd);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    if (waitpid(pid, &st, 0) != pid || WEXITSTATUS(st) != 7) {
        printf("a new process: %x\n", st);
        return 1;
    }
    pause_for_script("done");
    tell("requests", counts->requests, U_OP_LAST_6_18);
    tell("registrations", counts->registrations, 36);
    tell("calls", counts->calls, countof(counts->calls));
    tell("acts", counts->acts, countof(counts->acts));
    return 0;
}

#endif
