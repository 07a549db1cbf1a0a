// Wrong descriptors and wrong addresses given to every call that takes them: the errno, and that nothing else happens.
#include "moat_test.h"
#include <sys/epoll.h>

#define BAD_FD 250
#define NO_ADDR 8ul                      // the first page is never mapped
#define KERNEL 0xffff888000000000ul      // beyond what a process may name

struct call {
    const char *name;
    long nr, a[6];
    int error;
};

static char path[] = "f", other[] = "g", buffer[8192];

// Makes every call of the table and fails with all that answer differently.
static void run(const struct call *calls, size_t n)
{
    char wrong[400] = "";
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const struct call *c = &calls[i];
        errno = 0;
        long r = syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
        if ((c->error == 0 ? r >= 0 : r == -1 && errno == c->error) || len >= sizeof wrong - 1)
            continue;
        len += snprintf(wrong + len, sizeof wrong - len, "%s%s: %s, expected %s", len ? "; " : "", c->name,
                        r == -1 ? mt_errno(errno) : "no error", c->error ? mt_errno(c->error) : "none");
    }
    if (len)
        FAIL("%s", wrong);
}

#define PATH ((long)path)
#define OTHER ((long)other)
#define BUF ((long)buffer)
#define CALL(name, error, ...) {#name, SYS_##name, {__VA_ARGS__}, error}

TEST(bad_descriptors)
{
    static long fds[] = {-1, BAD_FD, 100000, INT_MAX, INT_MIN, -100 /* AT_FDCWD is a place, not a file */};
    for (unsigned i = 0; i < countof(fds); i++) {
        long fd = fds[i];
        const struct call calls[] = {
            CALL(read, EBADF, fd, BUF, 1),
            CALL(write, EBADF, fd, BUF, 1),
            CALL(pread64, EBADF, fd, BUF, 1, 0),
            CALL(pwrite64, EBADF, fd, BUF, 1, 0),
            CALL(readv, EBADF, fd, BUF, 0),
            CALL(writev, EBADF, fd, BUF, 0),
            CALL(preadv, EBADF, fd, BUF, 0, 0),
            CALL(pwritev, EBADF, fd, BUF, 0, 0),
            CALL(preadv2, EBADF, fd, BUF, 0, 0, 0, 0),
            CALL(pwritev2, EBADF, fd, BUF, 0, 0, 0, 0),
            CALL(close, EBADF, fd),
            CALL(fstat, EBADF, fd, BUF),
            CALL(lseek, EBADF, fd, 0, SEEK_SET),
            CALL(ioctl, EBADF, fd, 0x541b, BUF),
            CALL(fcntl, EBADF, fd, F_GETFD, 0),
            CALL(dup, EBADF, fd),
            CALL(dup2, EBADF, fd, 120),
            CALL(dup3, EBADF, fd, 120, 0),
            CALL(fsync, EBADF, fd),
            CALL(fdatasync, EBADF, fd),
            CALL(ftruncate, EBADF, fd, 0),
            CALL(getdents64, EBADF, fd, BUF, 4096),
            CALL(fchdir, EBADF, fd),
            CALL(fchmod, EBADF, fd, 0644),
            CALL(fchown, EBADF, fd, -1, -1),
            CALL(fstatfs, EBADF, fd, BUF),
            CALL(flock, EBADF, fd, 1),
            CALL(fallocate, EBADF, fd, 0, 0, 1),
            CALL(fadvise64, EBADF, fd, 0, 0, 0),
            CALL(readahead, EBADF, fd, 0, 0),
            CALL(sync_file_range, EBADF, fd, 0, 0, 0),
            CALL(syncfs, EBADF, fd),
            CALL(sendfile, EBADF, fd, 0, 0, 1),
            CALL(splice, EBADF, fd, 0, 1, 0, 1, 0),
            CALL(tee, EBADF, fd, 1, 1, 0),
            CALL(epoll_ctl, EBADF, fd, EPOLL_CTL_DEL, 0, BUF),
            CALL(timerfd_settime, EBADF, fd, 0, BUF, 0),
            CALL(timerfd_gettime, EBADF, fd, BUF),
            CALL(flistxattr, EBADF, fd, BUF, 1),
            CALL(copy_file_range, EBADF, fd, 0, fd, 0, 1, 0),
            CALL(epoll_wait, EBADF, fd, BUF, 1, 0),
        };
        memset(buffer, 0, sizeof buffer);
        run(calls, countof(calls));
    }
}

TEST(bad_directory_descriptors)
{
    OK(close(mt_file("f", 10)));
    int file = OK(open("f", O_RDWR));
    static const int errors[] = {EBADF, EBADF, ENOTDIR};
    long fds[] = {-1, BAD_FD, file};
    for (int i = 0; i < 3; i++) {
        long fd = fds[i];
        int e = errors[i];
        const struct call calls[] = {
            CALL(openat, e, fd, PATH, O_RDONLY, 0),
            CALL(mkdirat, e, fd, PATH, 0700),
            CALL(mknodat, e, fd, PATH, S_IFREG | 0600, 0),
            CALL(unlinkat, e, fd, PATH, 0),
            CALL(renameat, e, fd, PATH, fd, OTHER),
            CALL(renameat2, e, fd, PATH, fd, OTHER, 0),
            CALL(linkat, e, fd, PATH, fd, OTHER, 0),
            CALL(symlinkat, e, PATH, fd, OTHER),
            CALL(readlinkat, e, fd, PATH, BUF, 10),
            CALL(fchmodat, e, fd, PATH, 0600),
            CALL(fchownat, e, fd, PATH, -1, -1, 0),
            CALL(newfstatat, e, fd, PATH, BUF, 0),
            CALL(statx, e, fd, PATH, 0, 0xfff, BUF),
            CALL(faccessat, e, fd, PATH, 0),
            CALL(utimensat, e, fd, PATH, 0, 0),
        };
        run(calls, countof(calls));
    }
    OK(close(file));
}

TEST(bad_paths)
{
    static const unsigned long addresses[] = {0, NO_ADDR, KERNEL, ~0ul};
    for (unsigned i = 0; i < countof(addresses); i++) {
        long p = (long)addresses[i];
        const struct call calls[] = {
            CALL(open, EFAULT, p, O_RDONLY, 0),
            CALL(openat, EFAULT, AT_FDCWD, p, O_RDONLY, 0),
            CALL(creat, EFAULT, p, 0600),
            CALL(stat, EFAULT, p, BUF),
            CALL(lstat, EFAULT, p, BUF),
            CALL(access, EFAULT, p, 0),
            CALL(chdir, EFAULT, p),
            CALL(mkdir, EFAULT, p, 0700),
            CALL(rmdir, EFAULT, p),
            CALL(unlink, EFAULT, p),
            CALL(rename, EFAULT, p, OTHER),
            CALL(link, EFAULT, p, OTHER),
            CALL(symlink, EFAULT, p, OTHER),
            CALL(symlink, EFAULT, PATH, p),
            CALL(readlink, EFAULT, p, BUF, 10),
            CALL(chmod, EFAULT, p, 0600),
            CALL(chown, EFAULT, p, -1, -1),
            CALL(truncate, EFAULT, p, 0),
            CALL(statfs, EFAULT, p, BUF),
            CALL(mknod, EFAULT, p, S_IFREG | 0600, 0),
            CALL(memfd_create, EFAULT, p, 0),
            CALL(getxattr, EFAULT, p, PATH, BUF, 10),
            CALL(listxattr, EFAULT, p, BUF, 10),
        };
        run(calls, countof(calls));
    }
}

TEST(bad_buffers)
{
    int fd = mt_file("f", 100), p[2], dir = OK(open(".", O_RDONLY)), ep = OK(epoll_create1(0));
    OK(symlink("f", "l"));
    OK(pipe(p));
    CHECK_EQ(write(p[1], "0123456789", 10), 10);
    static const unsigned long addresses[] = {NO_ADDR, KERNEL};
    for (unsigned i = 0; i < countof(addresses); i++) {
        long b = (long)addresses[i];
        const struct call calls[] = {
            CALL(read, EFAULT, fd, b, 10),
            CALL(write, EFAULT, fd, b, 10),
            CALL(pread64, EFAULT, fd, b, 10, 0),
            CALL(pwrite64, EFAULT, fd, b, 10, 0),
            CALL(read, EFAULT, p[0], b, 10),
            CALL(write, EFAULT, p[1], b, 10),
            CALL(readv, EFAULT, fd, b, 1),
            CALL(writev, EFAULT, p[1], b, 1),
            CALL(getdents64, EFAULT, dir, b, 4096),
            CALL(fstat, EFAULT, fd, b),
            CALL(newfstatat, EFAULT, AT_FDCWD, PATH, b, 0),
            CALL(statx, EFAULT, AT_FDCWD, PATH, 0, 0xfff, b),
            CALL(fstatfs, EFAULT, fd, b),
            CALL(readlink, EFAULT, (long)"l", b, 10),
            CALL(getcwd, EFAULT, b, 4096),
            CALL(pipe2, EFAULT, b, 0),
            CALL(uname, EFAULT, b),
            CALL(sysinfo, EFAULT, b),
            CALL(getrlimit, EFAULT, 0, b),
            CALL(setrlimit, EFAULT, 0, b),
            CALL(prlimit64, EFAULT, 0, 0, 0, b),
            CALL(clock_gettime, EFAULT, 1, b),
            CALL(clock_getres, EFAULT, 1, b),
            CALL(gettimeofday, EFAULT, b, 0),
            CALL(nanosleep, EFAULT, b, 0),
            CALL(clock_nanosleep, EFAULT, 1, 0, b, 0),
            CALL(times, EFAULT, b),
            CALL(getrandom, EFAULT, b, 10, 0),
            CALL(getrusage, EFAULT, 0, b),
            CALL(rt_sigaction, EFAULT, SIGUSR1, b, 0, 8),
            CALL(rt_sigprocmask, EFAULT, SIG_BLOCK, b, 0, 8),
            CALL(rt_sigpending, EFAULT, b, 8),
            CALL(sigaltstack, EFAULT, b, 0),
            CALL(poll, EFAULT, b, 1, 0),
            CALL(ppoll, EFAULT, BUF, 0, b, 0, 8),
            CALL(select, EFAULT, 8, b, 0, 0, 0),
            CALL(select, EFAULT, 0, 0, 0, 0, b),
            CALL(epoll_ctl, EFAULT, ep, EPOLL_CTL_ADD, p[0], b),
            CALL(timerfd_settime, EFAULT, -1, 0, b, 0), // read before the descriptor is looked at
            CALL(signalfd4, EFAULT, -1, b, 8, 0),
            CALL(ioctl, EFAULT, p[0], 0x541b, b),
            CALL(fcntl, EFAULT, fd, F_GETLK, b),
            CALL(sched_getaffinity, EFAULT, 0, 128, b),
            CALL(sched_setaffinity, EFAULT, 0, 128, b),
            CALL(sched_getparam, EFAULT, 0, b),
            CALL(getcpu, EFAULT, b, 0, 0),
            CALL(arch_prctl, EFAULT, 0x1003, b),
            CALL(prctl, EFAULT, 15, b),
            CALL(prctl, EFAULT, 16, b),
            CALL(getitimer, EFAULT, 0, b),
            CALL(getgroups, 0, 0, b),
            CALL(getresuid, EFAULT, b, BUF, BUF),
            CALL(io_uring_setup, EFAULT, 8, b),
        };
        run(calls, countof(calls));
    }
    const int fds[] = {fd, p[0], p[1], dir, ep};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(strings_at_the_end_of_memory)
{
    OK(close(mt_file("f", 10)));
    char *m = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    OK(mprotect(m + 4096, 4096, PROT_NONE));
    memcpy(m + 4094, "f", 2); // ends with the page
    struct stat st;
    OK(syscall(SYS_newfstatat, AT_FDCWD, m + 4094, &st, 0));
    memset(m + 4090, 'f', 6); // no end before the hole
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, m + 4090, &st, 0), EFAULT);
    memset(m, 'f', 4096);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, m, &st, 0), ENAMETOOLONG); // 4096 bytes without an end come first
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, m + 1, &st, 0), EFAULT);
    OK(munmap(m, 8192));
}

TEST(structures_across_a_hole)
{
    OK(close(mt_file("f", 10)));
    char *m = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct stat whole, *st = (struct stat *)(m + 4096 - sizeof(struct stat) / 2);
    OK(stat("f", st)); // across two pages
    OK(stat("f", &whole));
    CHECK_EQ(memcmp(st, &whole, sizeof whole), 0);
    OK(mprotect(m + 4096, 4096, PROT_READ));
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "f", st, 0), EFAULT);
    OK(munmap(m, 8192));
}

TEST(addresses_that_wrap)
{
    int fd = mt_file("f", 100);
    CHECK_ERR(syscall(SYS_pread64, fd, -10l, 100, 0), EFAULT);
    CHECK_ERR(syscall(SYS_pread64, fd, 0x7ffffffff000ul - 1, 100, 0), EFAULT);
    CHECK_ERR(syscall(SYS_pread64, fd, 0x8000000000000000ul, 100, 0), EFAULT);
    CHECK_ERR(syscall(SYS_pread64, fd, buffer, ~0ul, 0), EFAULT);
    OK(close(fd));
}

TEST(upper_halves_of_arguments)
{
    // Arguments of type int take the low half of the register only.
    int fd = mt_file("f", 100);
    CHECK_EQ(syscall(SYS_read, 0xdead00000000ul | (unsigned)fd, buffer, 10), 10);
    CHECK_EQ(syscall(SYS_lseek, 0x100000000ul | (unsigned)fd, 5, 0x100000000ul), 5);
    int copy = OK(syscall(SYS_openat, 0xffffffffffffff9cul & 0xffffffff, PATH, 0x700000000ul, 0));
    OK(syscall(SYS_close, 0xffffffff00000000ul | (unsigned)copy));
    OK(close(fd));
}

TEST(unknown_calls)
{
    static const long numbers[] = {337, 400, 423, 5000, 0x7fffffff, -1, 0xffff, (1l << 40) - 1};
    for (unsigned i = 0; i < countof(numbers); i++)
        CHECK_ERR(syscall(numbers[i], 0, 0, 0, 0, 0, 0), ENOSYS);
    CHECK_EQ(syscall(1l << 40 | SYS_getpid), getpid()); // the low half counts
}
