// What the system says of itself and of processes: host names, namespaces, personalities, priorities of I/O, resource counts, comparisons.
#include "moat_test.h"
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>

// Runs a block in a child; true when it ends with 0, which it does if no NEED fails.
static int need;
#define CHILD(...)                                                                                                     \
    ({                                                                                                                 \
        pid_t mt_p = OK(fork());                                                                                       \
        if (mt_p == 0) {                                                                                               \
            __VA_ARGS__;                                                                                               \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        int mt_s;                                                                                                      \
        CHECK_EQ(waitpid(mt_p, &mt_s, 0), mt_p);                                                                       \
        mt_s;                                                                                                          \
    })
#define NEED(cond)                                                                                                     \
    do {                                                                                                               \
        if (need++, !(cond))                                                                                           \
            _exit(need);                                                                                               \
    } while (0)

static bool has_name(const char *wanted)
{
    struct utsname u;
    return uname(&u) == 0 && !strcmp(u.nodename, wanted);
}

TEST(host_names)
{
    if (geteuid() != 0)
        SKIP("for user 0");
    struct utsname before, after;
    OK(uname(&before));
    CHECK_EQ(CHILD({
        NEED(unshare(CLONE_NEWUTS) == 0 && has_name(before.nodename));
        NEED(sethostname("inside", 6) == 0 && has_name("inside"));
        NEED(setdomainname("example", 7) == 0);
        struct utsname u;
        NEED(uname(&u) == 0 && !strcmp(u.domainname, "example"));
        NEED(sethostname("x", -1) == -1 && errno == EINVAL);
        NEED(sethostname("x", 65) == -1 && errno == EINVAL);
        NEED(sethostname((void *)8, 5) == -1 && errno == EFAULT);
        char name[100] = "";
        int fd = open("/proc/sys/kernel/hostname", O_RDONLY);
        NEED(read(fd, name, 99) == 7 && !strcmp(name, "inside\n"));
        pid_t p = fork();
        if (p == 0)
            _exit(has_name("inside") && sethostname("both", 4) == 0 ? 7 : 1);
        int s;
        NEED(waitpid(p, &s, 0) == p && s == 7 << 8 && has_name("both"));
        p = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
        if (p == 0)
            _exit(has_name("both") && sethostname("third", 5) == 0 && has_name("third") ? 8 : 1);
        NEED(waitpid(p, &s, 0) == p && s == 8 << 8 && has_name("both"));
        NEED(setresuid(65534, 65534, 65534) == 0 && sethostname("x", 1) == -1 && errno == EPERM);
    }), 0);
    OK(uname(&after));
    CHECK(!memcmp(&before, &after, sizeof before));
}

static long link_of(pid_t pid, const char *type, char *out)
{
    char path[100];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, type);
    long n = readlink(path, out, 63);
    out[n < 0 ? 0 : n] = 0;
    return n;
}

TEST(namespace_links)
{
    static const struct { const char *file, *name; int type; } types[] = {
        { "cgroup", "cgroup", CLONE_NEWCGROUP }, { "ipc", "ipc", CLONE_NEWIPC }, { "mnt", "mnt", CLONE_NEWNS }, { "net", "net", CLONE_NEWNET },
        { "pid", "pid", CLONE_NEWPID }, { "pid_for_children", "pid", CLONE_NEWPID }, { "user", "user", CLONE_NEWUSER }, { "uts", "uts", CLONE_NEWUTS },
    };
    for (unsigned i = 0; i < countof(types); i++) {
        char text[64], path[64], format[64];
        unsigned long number;
        CHECK(link_of(getpid(), types[i].file, text) > 0);
        snprintf(format, sizeof format, "%s:[%%lu]", types[i].name);
        CHECK_EQ(sscanf(text, format, &number), 1);
        snprintf(path, sizeof path, "/proc/self/ns/%s", types[i].file);
        int fd = OK(open(path, O_RDONLY | O_CLOEXEC));
        struct stat st;
        OK(fstat(fd, &st));
        CHECK_EQ(st.st_ino, number);
        CHECK(S_ISREG(st.st_mode));
        CHECK_EQ(ioctl(fd, 0xb703 /* NS_GET_NSTYPE */), types[i].type);
        char c;
        CHECK_ERR(read(fd, &c, 1), EINVAL);
        CHECK_ERR(setns(fd, CLONE_NEWIPC | CLONE_NEWUTS), EINVAL);
        OK(close(fd));
        CHECK_ERR(open(path, O_RDWR), EPERM);
    }
}

TEST(joining_namespaces)
{
    if (geteuid() != 0)
        SKIP("for user 0");
    CHECK_ERR(setns(-1, 0), EBADF);
    int null = OK(open("/dev/null", O_RDONLY));
    CHECK_ERR(setns(null, 0), EINVAL);
    OK(close(null));
    CHECK_EQ(CHILD({
        char first[64];
        char second[64];
        int fd = open("/proc/self/ns/uts", O_RDONLY);
        NEED(fd >= 0 && link_of(getpid(), "uts", first) > 0);
        NEED(unshare(CLONE_NEWUTS) == 0 && sethostname("elsewhere", 9) == 0);
        NEED(link_of(getpid(), "uts", second) > 0 && strcmp(first, second));
        NEED(setns(fd, CLONE_NEWIPC) == -1 && errno == EINVAL);
        int pid_fd = syscall(SYS_pidfd_open, getpid(), 0);
        pid_t p = fork();
        if (p == 0) {
            NEED(setns(fd, CLONE_NEWUTS) == 0 && !has_name("elsewhere"));
            NEED(setns(pid_fd, 0) == -1 && errno == EINVAL);
            NEED(setns(pid_fd, CLONE_NEWUTS | CLONE_NEWIPC) == 0 && has_name("elsewhere"));
            NEED(setns(fd, 0) == 0 && link_of(getpid(), "uts", second) > 0 && !strcmp(first, second));
            int user = open("/proc/self/ns/user", O_RDONLY);
            NEED(setns(user, 0) == -1 && errno == EINVAL);
            NEED(setresuid(65534, 65534, 65534) == 0 && setns(fd, 0) == -1 && errno == EPERM);
            _exit(0);
        }
        int s;
        NEED(waitpid(p, &s, 0) == p && s == 0 && has_name("elsewhere"));
    }), 0);
}

TEST(personalities)
{
    CHECK_EQ(CHILD({
        struct utsname u;
        int old = personality(0xffffffff);
        NEED(personality(PER_LINUX32) == old && uname(&u) == 0 && !strcmp(u.machine, "i686"));
        NEED(personality(PER_LINUX32 | UNAME26) == PER_LINUX32 && uname(&u) == 0 && !strncmp(u.release, "2.6.", 4));
        NEED(personality(0) == (PER_LINUX32 | UNAME26) && uname(&u) == 0 && !strcmp(u.machine, "x86_64") && strncmp(u.release, "2.6.", 4));
    }), 0);
    // Code in memory that only says it can be read.
    CHECK_EQ(CHILD({
        NEED(personality(READ_IMPLIES_EXEC) >= 0);
        unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(code, "\xb8\x2a\0\0\0\xc3", 6); // mov eax, 42; ret
        NEED(((int (*)(void))code)() == 42);
        NEED(mprotect(code, 4096, PROT_NONE) == 0 && mprotect(code, 4096, PROT_READ) == 0 && ((int (*)(void))code)() == 42);
    }), 0);
}

TEST(io_priorities)
{
    enum { PROCESS = 1, GROUP, USER };
    CHECK_EQ(CHILD({
        NEED(setpgid(0, 0) == 0);
        NEED(syscall(SYS_ioprio_get, PROCESS, 0) == 0);
        NEED(syscall(SYS_ioprio_get, GROUP, 0) == (2 << 13 | 4)); // what follows from the nice value
        NEED(syscall(SYS_ioprio_set, GROUP, getpgrp(), 2 << 13 | 2) == 0);
        NEED(syscall(SYS_ioprio_get, PROCESS, 0) == (2 << 13 | 2));
        pid_t p = fork();
        if (p == 0) {
            NEED(syscall(SYS_ioprio_get, PROCESS, 0) == (2 << 13 | 2));
            NEED(syscall(SYS_ioprio_set, PROCESS, 0, 3 << 13) == 0);
            NEED(syscall(SYS_ioprio_get, PROCESS, 0) == 3 << 13);
            NEED(syscall(SYS_ioprio_get, GROUP, 0) == (2 << 13 | 2)); // the most urgent one's
            _exit(0);
        }
        int s;
        NEED(waitpid(p, &s, 0) == p && s == 0);
        NEED(syscall(SYS_ioprio_get, GROUP, 0x7ffffff0) == -1 && errno == ESRCH);
        NEED(syscall(SYS_ioprio_get, PROCESS, 0x7ffffff0) == -1 && errno == ESRCH);
        NEED(syscall(SYS_ioprio_get, USER, 0x7ffffff0) == -1 && errno == ESRCH);
        NEED(syscall(SYS_ioprio_get, 4, 0) == -1 && errno == EINVAL);
        NEED(syscall(SYS_ioprio_set, PROCESS, 0, 1) == -1 && errno == EINVAL);
        NEED(syscall(SYS_ioprio_set, PROCESS, 0, 4 << 13) == -1 && errno == EINVAL);
        NEED(syscall(SYS_ioprio_set, PROCESS, 0, 2 << 13 | 1 << 3 | 2) == 0);
        if (geteuid() == 0) {
            NEED(syscall(SYS_ioprio_set, PROCESS, 0, 1 << 13 | 2) == 0);
            NEED(setresuid(65534, 65534, 65534) == 0);
            NEED(syscall(SYS_ioprio_set, PROCESS, getppid(), 2 << 13 | 2) == -1 && errno == EPERM);
        }
        NEED(syscall(SYS_ioprio_set, PROCESS, 0, 1 << 13 | 2) == -1 && errno == EPERM);
    }), 0);
}

TEST(affinity_stays)
{
    cpu_set_t first, now;
    OK(sched_getaffinity(0, sizeof first, &first));
    int p[2], q[2];
    OK(pipe(p));
    OK(pipe(q));
    pid_t child = OK(fork());
    char c = 0;
    if (child == 0) {
        close(p[1]);
        while (read(p[0], &c, 1) == 1 && write(q[1], &c, 1) == 1)
            ;
        _exit(0);
    }
    for (int i = 0; i < 1000; i++) {
        CPU_ZERO(&now);
        CHECK_EQ(write(p[1], &c, 1), 1);
        CHECK_EQ(read(q[0], &c, 1), 1);
        OK(sched_getaffinity(0, sizeof now, &now));
        CHECK(CPU_EQUAL(&first, &now));
    }
    for (int i = 0; i < 2; i++) {
        OK(close(p[1 - i]));
        OK(close(q[i]));
    }
    OK(waitpid(child, NULL, 0));
}

TEST(resource_counts)
{
    struct rusage before, after;
    OK(getrusage(RUSAGE_SELF, &before));
    for (int i = 0; i < 20; i++)
        mt_sleep_us(1000);
    OK(getrusage(RUSAGE_SELF, &after));
    CHECK(after.ru_nvcsw >= before.ru_nvcsw + 20);
    CHECK(after.ru_maxrss > 0);
    OK(getrusage(RUSAGE_CHILDREN, &before));
    CHECK_EQ(CHILD({ for (int i = 0; i < 20; i++) usleep(1000); }), 0);
    OK(getrusage(RUSAGE_CHILDREN, &after));
    CHECK(after.ru_nvcsw >= before.ru_nvcsw + 20);
}

static long same(int type, long a, long b) { return syscall(SYS_kcmp, getpid(), getpid(), type, a, b); }

static void *compares(void *parent)
{
    pid_t p = getpid(), t = gettid();
    bool good = true;
    for (int type = KCMP_VM; type <= KCMP_SIGHAND; type++)
        good &= syscall(SYS_kcmp, p, t, type, 0, 0) == 0;
    return good ? parent : NULL;
}

TEST(comparing_processes)
{
    int a = OK(open("/dev/null", O_RDONLY)), b = OK(dup(a)), c = OK(open("/dev/null", O_RDONLY));
    CHECK_EQ(same(KCMP_FILE, a, a), 0);
    CHECK_EQ(same(KCMP_FILE, a, b), 0);
    long order = same(KCMP_FILE, a, c), back = same(KCMP_FILE, c, a);
    CHECK((order == 1 && back == 2) || (order == 2 && back == 1) || (order == 3 && back == 3));
    CHECK_ERR(same(KCMP_FILE, a, 9999), EBADF);
    CHECK_ERR(same(99, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_kcmp, 0x7ffffff0, getpid(), KCMP_VM, 0, 0), ESRCH);
    void *result;
    OK0(pthread_join(mt_thread(compares, &result), &result));
    CHECK(result != NULL);
    pid_t parent = getpid();
    CHECK_EQ(CHILD({
        NEED(syscall(SYS_kcmp, getpid(), parent, KCMP_FILE, a, b) == 0); // inherited
        for (int type = KCMP_VM; type <= KCMP_SIGHAND; type++)
            NEED(syscall(SYS_kcmp, getpid(), parent, type, 0, 0) > 0);
    }), 0);
    OK(close(a));
    OK(close(b));
    OK(close(c));
}

TEST(releasing_memory_of_the_dying)
{
    CHECK_ERR(syscall(448, -1, 0), EBADF);
    CHECK_ERR(syscall(448, -1, 1), EINVAL);
    int own = OK(syscall(SYS_pidfd_open, getpid(), 0));
    CHECK_ERR(syscall(448, own, 0), EINVAL); // not on its way out
    OK(close(own));
    pid_t p = OK(fork());
    if (p == 0)
        for (;;)
            pause();
    int fd = OK(syscall(SYS_pidfd_open, p, 0));
    OK(kill(p, SIGKILL));
    long r = syscall(448, fd, 0);
    CHECK(r == 0 || errno == ESRCH);
    OK(waitpid(p, NULL, 0));
    CHECK_ERR(syscall(448, fd, 0), ESRCH);
    OK(close(fd));
}

TEST(moving_pages)
{
    char *m = OK(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    m[0] = 1;
    OK(munmap(m + 8192, 4096));
    void *pages[] = { m, m + 8192 };
    int nodes[] = { 0, 0 }, status[] = { 77, 77 };
    OK(syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0));
    CHECK_EQ(status[0], 0);
    CHECK_EQ(status[1], -EFAULT);
    OK(syscall(SYS_move_pages, 0, 1, pages, nodes, status, 2));
    CHECK_EQ(status[0], 0);
    nodes[0] = 999;
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, nodes, status, 2), ENODEV);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, NULL, status, 1), EINVAL);
    CHECK_ERR(syscall(SYS_move_pages, 0x7ffffff0, 1, pages, NULL, status, 0), ESRCH);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, 8, NULL, status, 0), EFAULT);
    OK(munmap(m, 8192));
}

TEST(locks_are_listed)
{
    int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
    struct flock l = { .l_type = F_WRLCK, .l_start = 5, .l_len = 10 };
    OK(fcntl(fd, F_SETLK, &l));
    struct stat st;
    OK(fstat(fd, &st));
    char line[200], wanted[64];
    snprintf(wanted, sizeof wanted, ":%lu 5 14", (unsigned long)st.st_ino);
    FILE *f = fopen("/proc/locks", "r");
    CHECK(f != NULL);
    bool found = false;
    while (fgets(line, sizeof line, f)) {
        int pid;
        if (strstr(line, wanted) && sscanf(line, "%*d: POSIX ADVISORY WRITE %d", &pid) == 1 && pid == getpid())
            found = true;
    }
    fclose(f);
    CHECK(found);
    OK(close(fd));
}
