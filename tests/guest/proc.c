// /proc and /dev: what programs read there.
#include "moat_test.h"
#include <sys/auxv.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static char text[1 << 20];

// The whole of a file, in small reads.
static const char *slurp(const char *path)
{
    int fd = OK(open(path, O_RDONLY));
    size_t n = 0;
    for (ssize_t r; (r = OK(read(fd, text + n, n % 2 ? 100 : 777))) > 0;)
        n += r;
    CHECK(n < sizeof text - 1);
    text[n] = 0;
    OK(close(fd));
    return text;
}

static bool has_line(const char *start)
{
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p += !!p)
        if (strncmp(p, start, strlen(start)) == 0)
            return true;
    return false;
}

static long value(const char *key)
{
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p += !!p)
        if (strncmp(p, key, strlen(key)) == 0)
            return strtol(p + strlen(key), NULL, 0);
    FAIL("no %s", key);
}

static char *link_of(const char *path)
{
    static char b[PATH_MAX];
    ssize_t n = OK(readlink(path, b, sizeof b - 1));
    b[n] = 0;
    return b;
}

TEST(self)
{
    char pid[32], path[64];
    snprintf(pid, sizeof pid, "%d", getpid());
    CHECK_STR(link_of("/proc/self"), pid);
    snprintf(path, sizeof path, "%d/task/%d", getpid(), gettid());
    CHECK_STR(link_of("/proc/thread-self"), path);
    struct stat st;
    OK(stat("/proc/self/", &st));
    CHECK(S_ISDIR(st.st_mode));
    snprintf(path, sizeof path, "/proc/%d/status", getpid());
    OK(access(path, R_OK));
    CHECK_ERR(stat("/proc/999999999", &st), ENOENT);
    CHECK_ERR(stat("/proc/nonsense", &st), ENOENT);
    CHECK_ERR(open("/proc/self/nonsense", O_RDONLY), ENOENT);
    CHECK_ERR(mkdir("/proc/x", 0755), ENOENT);
    CHECK_ERR(open("/proc/x", O_CREAT | O_RDWR, 0600), ENOENT);
}

TEST(self_exe)
{
    char *exe = strdup(link_of("/proc/self/exe"));
    CHECK(exe[0] == '/');
    struct stat a, b;
    OK(stat(exe, &a));
    OK(stat("/proc/self/exe", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK(S_ISREG(b.st_mode));
    int fd = OK(open("/proc/self/exe", O_RDONLY));
    char magic[4];
    CHECK_EQ(read(fd, magic, 4), 4);
    CHECK_EQ(memcmp(magic, "\177ELF", 4), 0);
    OK(close(fd));
    CHECK_ERR(open("/proc/self/exe", O_WRONLY), access(exe, W_OK) == 0 ? ETXTBSY : EACCES);
    free(exe);
}

TEST(self_cwd_and_root)
{
    char here[PATH_MAX];
    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK_STR(link_of("/proc/self/cwd"), here);
    CHECK_STR(link_of("/proc/self/root"), "/");
    OK(mkdir("sub", 0755));
    OK(access("/proc/self/cwd/sub", F_OK));
    OK(chdir("sub"));
    CHECK(strcmp(strrchr(link_of("/proc/self/cwd"), '/'), "/sub") == 0);
    OK(access("/proc/self/root/proc/self/cwd", F_OK));
}

TEST(self_fd)
{
    int fd = mt_file("a file", 10), p[2], copy;
    char path[64], here[PATH_MAX + 16];
    OK(pipe(p));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(getcwd(here, PATH_MAX) != NULL);
    strcat(here, "/a file");
    CHECK_STR(link_of(path), here);
    struct stat a, b;
    OK(fstat(fd, &a));
    OK(stat(path, &b)); // through the link
    CHECK_EQ(a.st_ino, b.st_ino);
    OK(lstat(path, &b));
    CHECK(S_ISLNK(b.st_mode));
    OK(lseek(fd, 5, SEEK_SET));
    copy = OK(open(path, O_RDONLY)); // a new open file
    CHECK_EQ(lseek(copy, 0, SEEK_CUR), 0);
    OK(close(copy));
    OK(unlink("a file"));
    strcat(here, " (deleted)");
    CHECK_STR(link_of(path), here);
    copy = OK(open(path, O_RDWR)); // still there
    OK(close(copy));
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    OK(fstat(p[0], &a));
    char name[64];
    snprintf(name, sizeof name, "pipe:[%lu]", (unsigned long)a.st_ino);
    CHECK_STR(link_of(path), name);
    CHECK_ERR(readlink("/proc/self/fd/250", name, sizeof name), ENOENT);
    CHECK_ERR(readlink("/proc/self/fd/x", name, sizeof name), ENOENT);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(listing_self_fd)
{
    int fd = OK(fcntl(0, F_DUPFD, 77));
    DIR *d = opendir("/proc/self/fd");
    CHECK(d != NULL);
    bool seen[4] = {false};
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        int n = atoi(e->d_name);
        CHECK(fcntl(n, F_GETFD) != -1);
        CHECK(e->d_type == DT_LNK);
        if (n <= 2)
            seen[n] = true;
        seen[3] |= n == 77;
    }
    OK(closedir(d));
    CHECK(seen[0] && seen[1] && seen[2] && seen[3]);
    OK(close(fd));
}

TEST(self_fdinfo)
{
    int fd = mt_file("f", 100);
    char path[64];
    OK(lseek(fd, 42, SEEK_SET));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    slurp(path);
    CHECK_EQ(value("pos:"), 42);
    CHECK_EQ(value("flags:"), O_RDWR | O_CLOEXEC | 0100000);
    CHECK(has_line("mnt_id:"));
    OK(close(fd));
}

TEST(self_status)
{
    slurp("/proc/self/status");
    CHECK_EQ(value("Pid:"), getpid());
    CHECK_EQ(value("Tgid:"), getpid());
    CHECK_EQ(value("PPid:"), getppid());
    CHECK_EQ(value("Uid:"), getuid());
    CHECK_EQ(value("Gid:"), getgid());
    CHECK(value("Threads:") >= 1);
    CHECK(value("VmSize:") > 0);
    CHECK(value("VmRSS:") > 0);
    CHECK(value("FDSize:") > 0);
    CHECK(has_line("Name:\tproc"));
    CHECK(has_line("State:\tR"));
    CHECK(has_line("SigBlk:") && has_line("SigPnd:") && has_line("SigCgt:") && has_line("ShdPnd:"));
    CHECK(has_line("Cpus_allowed:"));
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    OK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    OK(raise(SIGUSR1));
    slurp("/proc/self/status");
    CHECK(has_line("SigBlk:\t0000000000000200"));
    CHECK(has_line("SigPnd:\t0000000000000200"));
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
}

TEST(self_stat)
{
    slurp("/proc/self/stat");
    int pid, ppid;
    char state, *name = strchr(text, '('), *rest = strrchr(text, ')');
    CHECK(name && rest);
    CHECK_EQ(sscanf(text, "%d", &pid), 1);
    CHECK_EQ(sscanf(rest + 2, "%c %d", &state, &ppid), 2);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(ppid, getppid());
    CHECK_EQ(state, 'R');
    int fields = 2;
    for (char *p = rest + 1; *p; p++)
        fields += *p == ' ';
    CHECK_EQ(fields, 52);
    unsigned long size, resident;
    slurp("/proc/self/statm");
    CHECK_EQ(sscanf(text, "%lu %lu", &size, &resident), 2);
    CHECK(size > 0 && resident > 0 && resident <= size);
}

TEST(self_comm)
{
    int fd = OK(open("/proc/self/comm", O_RDWR));
    char b[32] = "";
    CHECK_EQ(pread(fd, b, sizeof b, 0), 5);
    CHECK_STR(b, "proc\n");
    CHECK_EQ(write(fd, "a-name-longer-than-it-may-be", 28), 28);
    memset(b, 0, sizeof b);
    CHECK_EQ(pread(fd, b, sizeof b, 0), 16);
    CHECK_STR(b, "a-name-longer-t\n");
    CHECK_EQ(write(fd, "proc", 4), 4); // wherever the offset is
    OK(close(fd));
    CHECK_STR(slurp("/proc/self/comm"), "proc\n");
}

TEST(self_cmdline_and_environ)
{
    slurp("/proc/self/cmdline");
    char *end = strrchr(text, '/');
    CHECK(end && strncmp(end, "/proc", 5) == 0);
    slurp("/proc/self/environ"); // readable, whatever is in it
}

static void *waits(void *arg)
{
    char c;
    if (read(*(int *)arg, &c, 1) != 0)
        return arg;
    return NULL;
}

TEST(self_task)
{
    int p[2], before = 0, now = 0;
    OK(pipe(p));
    for (int i = 0; i < 2; i++) {
        pthread_t t[3];
        for (int j = 0; i && j < 3; j++)
            t[j] = mt_thread(waits, &p[0]);
        DIR *d = opendir("/proc/self/task");
        CHECK(d != NULL);
        int n = 0;
        for (struct dirent *e; (e = readdir(d));) {
            char path[300];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "/proc/self/task/%s/stat", e->d_name);
            slurp(path);
            CHECK_EQ(atoi(text), atoi(e->d_name));
            n++;
        }
        OK(closedir(d));
        *(i ? &now : &before) = n;
        if (i == 0)
            continue;
        OK(close(p[1]));
        for (int j = 0; j < 3; j++)
            OK0(pthread_join(t[j], NULL));
    }
    CHECK_EQ(now, before + 3);
    OK(close(p[0]));
}

TEST(self_maps)
{
    slurp("/proc/self/maps");
    CHECK(strstr(text, "[stack]") != NULL);
    CHECK(strstr(text, "/proc\n") != NULL); // the program's own file
    unsigned long last = 0;
    for (char *p = text; *p; p = strchr(p, '\n') + 1) {
        unsigned long from, to;
        CHECK_EQ(sscanf(p, "%lx-%lx", &from, &to), 2);
        CHECK(from >= last && from < to);
        last = to;
    }
    slurp("/proc/self/limits");
    CHECK(strstr(text, "Max open files") != NULL);
    slurp("/proc/self/mountinfo");
    slurp("/proc/self/cgroup");
    slurp("/proc/self/oom_score_adj");
}

TEST(self_auxv)
{
    int fd = OK(open("/proc/self/auxv", O_RDONLY));
    unsigned long v[128];
    long n = OK(read(fd, v, sizeof v));
    OK(close(fd));
    CHECK(n >= 32 && n % 16 == 0);
    CHECK_EQ(v[n / 8 - 2], 0); // AT_NULL
    for (long i = 0; i < n / 8; i += 2)
        if (v[i] == AT_PAGESZ || v[i] == AT_ENTRY || v[i] == AT_PHDR)
            CHECK_EQ(v[i + 1], getauxval(v[i]));
}

TEST(self_mem)
{
    static long here = 0x1122334455667788;
    long got = 0;
    int fd = OK(open("/proc/self/mem", O_RDWR));
    CHECK_EQ(pread(fd, &got, 8, (off_t)(uintptr_t)&here), 8);
    CHECK_EQ(got, 0x1122334455667788);
    long set = 42;
    CHECK_EQ(pwrite(fd, &set, 8, (off_t)(uintptr_t)&here), 8);
    CHECK_EQ(*(volatile long *)&here, 42);
    CHECK_ERR(pread(fd, &got, 8, 8), EIO);
    OK(close(fd));
}

TEST(cpuinfo_meminfo_and_others)
{
    slurp("/proc/cpuinfo");
    CHECK(has_line("processor\t: 0"));
    CHECK(has_line("flags"));
    int cpus = 0;
    for (char *p = text; (p = strstr(p, "processor\t:")); p++)
        cpus++;
    CHECK_EQ(cpus, sysconf(_SC_NPROCESSORS_ONLN));
    slurp("/proc/meminfo");
    CHECK(value("MemTotal:") > 0);
    CHECK(value("MemFree:") > 0);
    CHECK(value("MemAvailable:") > 0);
    CHECK(has_line("SwapTotal:"));
    double up, idle;
    slurp("/proc/uptime");
    CHECK_EQ(sscanf(text, "%lf %lf", &up, &idle), 2);
    CHECK(up > 0);
    slurp("/proc/loadavg");
    slurp("/proc/stat");
    CHECK(has_line("cpu "));
    CHECK(has_line("btime "));
    slurp("/proc/version");
    CHECK(strncmp(text, "Linux version ", 14) == 0);
    slurp("/proc/filesystems");
    CHECK(strstr(text, "proc") != NULL);
}

TEST(mounts)
{
    slurp("/proc/mounts");
    CHECK(strstr(text, " / ") != NULL);
    CHECK(strstr(text, " /proc proc ") != NULL);
    CHECK_STR(link_of("/proc/mounts"), "self/mounts");
    slurp("/proc/self/mounts");
    CHECK(strstr(text, " /proc proc ") != NULL);
}

TEST(sys_kernel)
{
    struct utsname u;
    char want[200];
    OK(uname(&u));
    snprintf(want, sizeof want, "%s\n", u.release);
    CHECK_STR(slurp("/proc/sys/kernel/osrelease"), want);
    snprintf(want, sizeof want, "%s\n", u.nodename);
    CHECK_STR(slurp("/proc/sys/kernel/hostname"), want);
    CHECK_STR(slurp("/proc/sys/kernel/ostype"), "Linux\n");
    CHECK(atoi(slurp("/proc/sys/kernel/pid_max")) > 300);
    CHECK(atoi(slurp("/proc/sys/kernel/threads-max")) > 100);
    CHECK_EQ(strlen(slurp("/proc/sys/kernel/random/boot_id")), 37);
    CHECK_EQ(strlen(slurp("/proc/sys/kernel/random/uuid")), 37);
    CHECK(atol(slurp("/proc/sys/fs/file-max")) > 100);
    CHECK(atol(slurp("/proc/sys/fs/pipe-max-size")) >= 4096);
    CHECK(atol(slurp("/proc/sys/vm/max_map_count")) > 1000);
    slurp("/proc/sys/vm/overcommit_memory");
    CHECK_EQ(atoi(slurp("/proc/sys/kernel/io_uring_disabled")), 0);
}

TEST(reading_in_pieces)
{
    // Offsets, short buffers and seeking give the same bytes as one read.
    static char whole[65536], b[256];
    const char *const files[] = {"/proc/cpuinfo", "/proc/filesystems", "/proc/version", "/proc/self/limits"};
    for (unsigned i = 0; i < countof(files); i++) {
        int fd = OK(open(files[i], O_RDONLY));
        long n = 0;
        for (long r; (r = OK(read(fd, whole + n, sizeof whole - n))) > 0;)
            n += r;
        CHECK(n > 10);
        CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
        for (long at = 0; at < n && at < 300; at++) {
            CHECK_EQ(read(fd, b, 1), 1);
            CHECK_EQ(b[0], whole[at]);
        }
        CHECK_EQ(pread(fd, b, 5, 7), 5);
        CHECK_EQ(memcmp(b, whole + 7, 5), 0);
        OK(close(fd));
    }
}

TEST(dev_null_zero_full)
{
    char b[100] = "x";
    int fd = OK(open("/dev/null", O_RDWR));
    CHECK_EQ(write(fd, b, 100), 100);
    CHECK_EQ(read(fd, b, 100), 0);
    CHECK_EQ(lseek(fd, 55, SEEK_SET), 0);
    OK(close(fd));
    fd = OK(open("/dev/zero", O_RDWR));
    memset(b, 1, sizeof b);
    CHECK_EQ(read(fd, b, 100), 100);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(b[i], 0);
    CHECK_EQ(write(fd, b, 100), 100);
    OK(close(fd));
    fd = OK(open("/dev/full", O_RDWR));
    CHECK_ERR(write(fd, b, 1), ENOSPC);
    CHECK_EQ(read(fd, b, 100), 100);
    OK(close(fd));
    fd = OK(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT | O_APPEND, 0600));
    CHECK_ERR(ftruncate(fd, 0), EINVAL);
    OK(close(fd));
    struct stat st;
    OK(stat("/dev/full", &st));
    CHECK_EQ(st.st_rdev, makedev(1, 7));
}

TEST(dev_random)
{
    static unsigned char a[5000], b[5000];
    const char *const files[] = {"/dev/urandom", "/dev/random"};
    for (int i = 0; i < 2; i++) {
        int fd = OK(open(files[i], O_RDONLY));
        CHECK_EQ(read(fd, a, sizeof a), sizeof a);
        CHECK_EQ(read(fd, b, sizeof b), sizeof b);
        CHECK(memcmp(a, b, sizeof a) != 0);
        int seen[256] = {0}, kinds = 0;
        for (size_t j = 0; j < sizeof a; j++)
            kinds += seen[a[j]]++ == 0;
        CHECK(kinds > 200);
        OK(close(fd));
    }
}

TEST(dev_links)
{
    CHECK_STR(link_of("/dev/fd"), "/proc/self/fd");
    CHECK_STR(link_of("/dev/stdin"), "/proc/self/fd/0");
    CHECK_STR(link_of("/dev/stdout"), "/proc/self/fd/1");
    CHECK_STR(link_of("/dev/stderr"), "/proc/self/fd/2");
    int p[2];
    char path[64], c;
    OK(pipe(p));
    snprintf(path, sizeof path, "/dev/fd/%d", p[0]);
    int fd = OK(open(path, O_RDONLY));
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(read(fd, &c, 1), 1);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(dev_shm)
{
    char name[64];
    snprintf(name, sizeof name, "/dev/shm/moat-test.%d", getpid());
    int fd = OK(open(name, O_CREAT | O_EXCL | O_RDWR, 0600));
    OK(ftruncate(fd, 8192));
    char *p = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    int again = OK(open(name, O_RDWR));
    char *q = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0));
    p[5000] = 'm';
    CHECK_EQ(q[5000], 'm');
    OK(munmap(p, 8192));
    OK(munmap(q, 8192));
    OK(close(fd));
    OK(close(again));
    OK(unlink(name));
}
