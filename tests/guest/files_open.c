// open and its flags, the descriptor table, fcntl and locks.
#include "moat_test.h"
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

static long openat2_(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {flags, mode, resolve};
    return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static void create(const char *name)
{
    OK(close(OK(open(name, O_CREAT | O_WRONLY | O_EXCL, 0644))));
}

TEST(lowest_descriptor)
{
    create("f");
    int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY)), c = OK(open("f", O_RDONLY));
    CHECK_EQ(b, a + 1);
    CHECK_EQ(c, a + 2);
    OK(close(a));
    CHECK_EQ(open("f", O_RDONLY), a);
    OK(close(a));
    OK(close(b));
    OK(close(c));
    CHECK_ERR(close(c), EBADF);
}

TEST(create_and_exclusive)
{
    CHECK_ERR(open("f", O_RDONLY), ENOENT);
    int fd = OK(open("f", O_CREAT | O_RDWR, 0640));
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_nlink, 1);
    OK(close(fd));
    CHECK_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    OK(symlink("nowhere", "dangling"));
    CHECK_ERR(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    CHECK_ERR(open("dangling", O_RDWR), ENOENT);
    OK(close(OK(open("dangling", O_CREAT | O_RDWR, 0600)))); // makes the target
    OK(access("nowhere", F_OK));
    OK(mkdir("d", 0755));
    CHECK_ERR(open("d", O_CREAT | O_RDONLY, 0600), EISDIR);
    CHECK_ERR(open("d", O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERR(open("d", O_WRONLY), EISDIR);
    CHECK_ERR(open("d", O_RDWR), EISDIR);
    CHECK_ERR(open("new/", O_CREAT | O_RDWR, 0600), EISDIR);
    CHECK_ERR(open("no/file", O_CREAT | O_RDWR, 0600), ENOENT);
    CHECK_ERR(open("", O_RDONLY), ENOENT);
}

TEST(mode_without_write_permission_still_writes)
{
    int fd = OK(open("f", O_CREAT | O_RDWR, 0400)); // the mode counts for later opens
    CHECK_EQ(write(fd, "x", 1), 1);
    OK(close(fd));
    if (geteuid() != 0)
        CHECK_ERR(open("f", O_WRONLY), EACCES);
}

TEST(truncate_on_open)
{
    OK(close(mt_file("f", 1000)));
    struct stat st;
    OK(stat("f", &st));
    CHECK_EQ(st.st_size, 1000);
    OK(close(OK(open("f", O_WRONLY | O_TRUNC))));
    OK(stat("f", &st));
    CHECK_EQ(st.st_size, 0);
}

TEST(append)
{
    int fd = OK(open("f", O_CREAT | O_RDWR | O_APPEND, 0600)), other = OK(open("f", O_WRONLY));
    CHECK_EQ(write(fd, "one", 3), 3);
    CHECK_EQ(pwrite(other, "TWOTWO", 6, 3), 6);
    OK(lseek(fd, 0, SEEK_SET));
    CHECK_EQ(write(fd, "end", 3), 3); // at the end, wherever the offset was
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 12);
    CHECK_EQ(pwrite(fd, "!", 1, 0), 1); // Linux appends here too
    char b[16];
    CHECK_EQ(pread(fd, b, 16, 0), 13);
    CHECK_EQ(memcmp(b, "oneTWOTWOend!", 13), 0);
    OK(fcntl(fd, F_SETFL, 0)); // no longer
    CHECK_EQ(pwrite(fd, "O", 1, 0), 1);
    CHECK_EQ(pread(fd, b, 1, 0), 1);
    CHECK_EQ(b[0], 'O');
    OK(close(fd));
    OK(close(other));
}

TEST(access_modes)
{
    OK(close(mt_file("f", 10)));
    char b[4];
    int ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY)), none = OK(open("f", 3));
    CHECK_ERR(write(ro, "x", 1), EBADF);
    CHECK_ERR(read(wo, b, 1), EBADF);
    CHECK_ERR(read(none, b, 1), EBADF);
    CHECK_ERR(write(none, b, 1), EBADF);
    CHECK_ERR(ftruncate(ro, 0), EINVAL);
    CHECK_EQ(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(wo, F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_EQ(fcntl(none, F_GETFL) & O_ACCMODE, 3);
    OK(close(ro));
    OK(close(wo));
    OK(close(none));
}

TEST(directory_and_nofollow)
{
    create("f");
    OK(mkdir("d", 0755));
    OK(symlink("d", "to_d"));
    OK(symlink("f", "to_f"));
    CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("to_f/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("to_f", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("to_d", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("to_d", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    OK(close(OK(open("to_d", O_RDONLY | O_DIRECTORY))));
    OK(close(OK(open("to_d/", O_RDONLY | O_NOFOLLOW)))); // the slash follows it
    CHECK_ERR(open("x", O_CREAT | O_DIRECTORY | O_RDWR, 0600), EINVAL);
    CHECK_ERR(read(OK(open("d", O_RDONLY)), NULL, 0), EISDIR);
    OK(close(3));
}

TEST(path_descriptors)
{
    OK(close(mt_file("f", 100)));
    OK(mkdir("d", 0755));
    create("d/inner");
    OK(symlink("f", "link"));
    char b[PATH_MAX];
    int fd = OK(open("f", O_PATH));
    CHECK_ERR(read(fd, b, 1), EBADF);
    CHECK_ERR(write(fd, b, 1), EBADF);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), EBADF);
    CHECK_ERR(ftruncate(fd, 0), EBADF);
    CHECK_ERR(fchmod(fd, 0600), EBADF);
    CHECK_ERR(ioctl(fd, 0x5401, b), EBADF);
    CHECK_ERR(fsync(fd), EBADF);
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 100);
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
    int copy = OK(dup(fd));
    OK(close(copy));
    OK(close(fd));
    int dir = OK(open("d", O_PATH | O_DIRECTORY));
    OK(close(OK(openat(dir, "inner", O_RDONLY))));
    CHECK_ERR(getdents64(dir, b, sizeof b), EBADF);
    OK(fchdir(dir));
    OK(access("inner", F_OK));
    OK(chdir(".."));
    OK(close(dir));
    int link = OK(open("link", O_PATH | O_NOFOLLOW)); // the link itself
    OK(fstat(link, &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(readlinkat(link, "", b, sizeof b), 1);
    CHECK_EQ(b[0], 'f');
    OK(fstatat(link, "", &st, AT_EMPTY_PATH));
    CHECK(S_ISLNK(st.st_mode));
    OK(close(link));
}

TEST(cloexec)
{
    create("f");
    int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY | O_CLOEXEC));
    CHECK_EQ(fcntl(a, F_GETFD), 0);
    CHECK_EQ(fcntl(b, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(b, F_GETFL) & O_CLOEXEC, 0); // of the descriptor, not of the file
    OK(fcntl(a, F_SETFD, FD_CLOEXEC));
    CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
    int c = OK(dup(b));
    CHECK_EQ(fcntl(c, F_GETFD), 0);
    OK(close(a));
    OK(close(b));
    OK(close(c));
}

TEST(tmpfile)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0 && errno == EOPNOTSUPP)
        SKIP("the file system has no O_TMPFILE");
    OK(fd);
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    CHECK_EQ(write(fd, "hidden", 6), 6);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 1);
    OK(close(fd));
    OK(stat("named", &st));
    CHECK_EQ(st.st_size, 6);
    fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW), ENOENT);
    OK(close(fd));
    CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERR(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    CHECK_ERR(open("gone", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

TEST(unknown_flags)
{
    create("f");
    OK(close(OK(open("f", O_RDONLY | (1 << 30))))); // open ignores what it does not know
    CHECK_ERR(openat2_(AT_FDCWD, "f", O_RDONLY | (1 << 30), 0, 0), EINVAL);
    CHECK_ERR(openat2_(AT_FDCWD, "f", O_RDONLY | (1ull << 40), 0, 0), EINVAL);
}

TEST(openat2_resolve)
{
    create("f");
    OK(mkdir("d", 0755));
    create("d/inner");
    OK(symlink("inner", "d/link"));
    OK(symlink("../f", "d/out"));
    OK(symlink("/", "d/root"));
    int dir = OK(open("d", O_RDONLY | O_DIRECTORY));
    OK(close(OK(openat2_(dir, "inner", O_RDONLY, 0, RESOLVE_BENEATH))));
    OK(close(OK(openat2_(dir, "link", O_RDONLY, 0, RESOLVE_BENEATH))));
    OK(close(OK(openat2_(dir, "../f", O_RDONLY, 0, 0))));
    CHECK_ERR(openat2_(dir, "../f", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(dir, "out", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(dir, "root", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(dir, "/etc", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(dir, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    OK(close(OK(openat2_(dir, "root", O_RDONLY, 0, RESOLVE_IN_ROOT))));
    OK(close(OK(openat2_(dir, "/inner", O_RDONLY, 0, RESOLVE_IN_ROOT))));
    OK(close(OK(openat2_(dir, "../../inner", O_RDONLY, 0, RESOLVE_IN_ROOT))));
    CHECK_ERR(openat2_(dir, "out", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
    OK(close(dir));
}

TEST(openat2_errors)
{
    create("f");
    struct {
        struct open_how how;
        uint64_t more;
    } big = {{O_RDONLY, 0, 0}, 0};
    OK(close(OK(syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof big))));
    big.more = 1;
    CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof big), E2BIG);
    CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "f", &big, 8), EINVAL);
    CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "f", &big, 0), EINVAL);
    CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "f", &big, 8192), E2BIG);
    CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "f", 8, 24), EFAULT);
    CHECK_ERR(openat2_(AT_FDCWD, "f", O_RDONLY, 0600, 0), EINVAL); // a mode without O_CREAT
    CHECK_ERR(openat2_(AT_FDCWD, "g", O_CREAT | O_RDWR, 010000, 0), EINVAL);
    CHECK_ERR(openat2_(AT_FDCWD, "f", O_RDONLY, 0, 0x1000), EINVAL);
    CHECK_ERR(openat2_(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
    OK(close(OK(openat2_(AT_FDCWD, "g", O_CREAT | O_RDWR, 0600, 0))));
    CHECK_ERR(openat2_(250, "f", O_RDONLY, 0, 0), EBADF);
}

TEST(openat_directories)
{
    OK(mkdir("d", 0755));
    create("d/f");
    int dir = OK(open("d", O_RDONLY)), file = OK(open("d/f", O_RDONLY));
    OK(close(OK(openat(dir, "f", O_RDONLY))));
    CHECK_ERR(openat(dir, "g", O_RDONLY), ENOENT);
    CHECK_ERR(openat(file, "f", O_RDONLY), ENOTDIR);
    CHECK_ERR(openat(250, "f", O_RDONLY), EBADF);
    OK(close(OK(openat(250, "/dev/null", O_RDONLY)))); // absolute: the descriptor is not looked at
    OK(rename("d", "moved"));
    OK(close(OK(openat(dir, "f", O_RDONLY)))); // the directory, not its name
    OK(unlink("moved/f"));
    OK(rmdir("moved"));
    CHECK_ERR(openat(dir, "g", O_CREAT | O_RDWR, 0600), ENOENT); // removed
    OK(close(dir));
    OK(close(file));
}

TEST(dup_family)
{
    int fd = mt_file("f", 100);
    int a = OK(dup(fd));
    OK(lseek(a, 42, SEEK_SET));
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 42); // one file position
    CHECK_EQ(dup2(fd, 100), 100);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(100, F_GETFD), 0);
    CHECK_EQ(dup3(fd, 100, O_CLOEXEC), 100); // replaces what was there
    CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(dup3(fd, fd, 0), EINVAL);
    CHECK_ERR(dup3(fd, 101, O_APPEND), EINVAL);
    CHECK_ERR(dup(250), EBADF);
    CHECK_ERR(dup2(250, 101), EBADF);
    CHECK_ERR(dup2(250, 250), EBADF);
    CHECK_ERR(dup2(fd, -1), EBADF);
    CHECK_ERR(dup2(fd, 1 << 30), EBADF);
    CHECK_EQ(fcntl(fd, F_DUPFD, 120), 120);
    CHECK_EQ(fcntl(fd, F_DUPFD, 120), 121);
    CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 120), 122);
    CHECK_EQ(fcntl(122, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_ERR(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
    const int fds[] = {fd, a, 100, 120, 121, 122};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(getfl_and_setfl)
{
    int fd = OK(open("f", O_CREAT | O_RDWR | O_APPEND | O_NOCTTY | O_TRUNC, 0600));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | 0100000 /* O_LARGEFILE */);
    OK(fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY | O_CREAT)); // access mode and creation flags stay as they are
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK | 0100000);
    int copy = OK(dup(fd));
    OK(fcntl(copy, F_SETFL, 0));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | 0100000); // shared
    CHECK_ERR(fcntl(fd, 9999, 0), EINVAL);
    CHECK_ERR(fcntl(250, F_GETFL), EBADF);
    OK(close(fd));
    OK(close(copy));
}

TEST(close_ranges)
{
    int fd = OK(open("/dev/null", O_RDONLY));
    for (int i = 200; i < 220; i++)
        CHECK_EQ(dup2(fd, i), i);
    OK(syscall(SYS_close_range, 205, 209, 0));
    for (int i = 200; i < 220; i++)
        CHECK_EQ(fcntl(i, F_GETFD), i >= 205 && i <= 209 ? -1 : 0);
    OK(syscall(SYS_close_range, 200, 212, 4 /* CLOSE_RANGE_CLOEXEC */));
    for (int i = 200; i < 220; i++)
        CHECK_EQ(fcntl(i, F_GETFD), i >= 205 && i <= 209 ? -1 : i <= 212 ? FD_CLOEXEC : 0);
    CHECK_ERR(syscall(SYS_close_range, 212, 211, 0), EINVAL);
    CHECK_ERR(syscall(SYS_close_range, 212, 213, 64), EINVAL);
    OK(syscall(SYS_close_range, 200, ~0u, 0));
    CHECK_ERR(close(219), EBADF);
    OK(close(fd));
}

TEST(descriptor_limit)
{
    struct rlimit old, tight;
    OK(getrlimit(RLIMIT_NOFILE, &old));
    int base = OK(open("/dev/null", O_RDONLY));
    tight = (struct rlimit){base + 4, old.rlim_max};
    OK(setrlimit(RLIMIT_NOFILE, &tight));
    for (int i = 1; i < 4; i++)
        CHECK_EQ(open("/dev/null", O_RDONLY), base + i);
    int p[2];
    CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERR(dup(base), EMFILE);
    CHECK_ERR(fcntl(base, F_DUPFD, 0), EMFILE);
    CHECK_ERR(fcntl(base, F_DUPFD, base + 4), EINVAL);
    CHECK_ERR(dup2(base, base + 4), EBADF);
    CHECK_ERR(pipe(p), EMFILE);
    OK(close(base + 3));
    CHECK_ERR(pipe(p), EMFILE); // room for one, not for two
    CHECK_ERR(fcntl(base + 3, F_GETFD), EBADF); // and the one is not taken
    OK(setrlimit(RLIMIT_NOFILE, &old));
    for (int i = 0; i < 3; i++)
        OK(close(base + i));
}

TEST(high_descriptors)
{
    struct rlimit l;
    OK(getrlimit(RLIMIT_NOFILE, &l));
    int top = (int)(l.rlim_cur > 5000 ? 5000 : l.rlim_cur) - 1;
    int fd = OK(open("/dev/zero", O_RDONLY));
    CHECK_EQ(dup2(fd, top), top);
    OK(close(fd));
    char c = 1;
    CHECK_EQ(read(top, &c, 1), 1);
    CHECK_EQ(c, 0);
    OK(close(top));
}

TEST(flocks)
{
    create("f");
    int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY)), copy = OK(dup(a));
    OK(flock(a, LOCK_EX));
    CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    OK(flock(copy, LOCK_EX | LOCK_NB)); // one open file, one lock
    OK(flock(copy, LOCK_SH));           // converted
    OK(flock(b, LOCK_SH | LOCK_NB));
    CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    OK(flock(b, LOCK_UN));
    OK(flock(a, LOCK_EX | LOCK_NB));
    OK(close(a));
    CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK); // the duplicate holds it
    OK(close(copy));
    OK(flock(b, LOCK_EX | LOCK_NB));
    CHECK_ERR(flock(b, LOCK_SH | LOCK_EX), EINVAL);
    CHECK_ERR(flock(b, LOCK_NB), EINVAL);
    CHECK_ERR(flock(250, LOCK_SH), EBADF);
    OK(close(b));
}

static void *waits_for_lock(void *arg)
{
    int *s = arg;
    s[1] = flock(s[0], LOCK_EX) == 0 ? 1 : -errno;
    return NULL;
}

TEST(flock_blocks)
{
    create("f");
    int a = OK(open("f", O_RDONLY)), s[2] = {OK(open("f", O_RDONLY)), 0};
    OK(flock(a, LOCK_EX));
    pthread_t t = mt_thread(waits_for_lock, s);
    mt_sleep_us(10000);
    CHECK_EQ(__atomic_load_n(&s[1], __ATOMIC_SEQ_CST), 0);
    OK(flock(a, LOCK_UN));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(s[1], 1);
    OK(close(a));
    OK(close(s[0]));
}

static int lock(int fd, int cmd, int type, long start, long len)
{
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &l);
}

TEST(open_file_description_locks)
{
    int a = mt_file("f", 100), b = OK(open("f", O_RDWR));
    OK(lock(a, F_OFD_SETLK, F_WRLCK, 10, 10));
    CHECK_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 15, 1), EAGAIN);
    CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 20, 10));
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
    struct flock q = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 100};
    OK(fcntl(b, F_OFD_GETLK, &q));
    CHECK_EQ(q.l_type, F_WRLCK);
    CHECK_EQ(q.l_start, 10);
    CHECK_EQ(q.l_len, 10);
    CHECK_EQ(q.l_pid, -1);
    OK(lock(a, F_OFD_SETLK, F_UNLCK, 12, 4)); // a hole in it
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 12, 4));
    CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 11, 1), EAGAIN);
    CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 16, 1), EAGAIN);
    OK(close(a));
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
    struct flock bad = {.l_type = F_WRLCK, .l_pid = 1};
    CHECK_ERR(fcntl(b, F_OFD_SETLK, &bad), EINVAL);
    OK(close(b));
}

TEST(posix_locks)
{
    int a = mt_file("f", 100), b = OK(open("f", O_RDWR)), ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));
    OK(lock(a, F_SETLK, F_WRLCK, 0, 50));
    OK(lock(b, F_SETLK, F_WRLCK, 0, 50)); // the process owns it, not the descriptor
    struct flock q = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(b, F_GETLK, &q));
    CHECK_EQ(q.l_type, F_UNLCK);
    CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10), EAGAIN); // but against the other kind it counts
    q = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(b, F_OFD_GETLK, &q));
    CHECK_EQ(q.l_type, F_WRLCK);
    CHECK_EQ(q.l_pid, getpid());
    OK(close(a)); // closing any descriptor of the file drops them all
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
    CHECK_ERR(lock(ro, F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERR(lock(wo, F_SETLK, F_RDLCK, 0, 1), EBADF);
    CHECK_ERR(lock(b, F_SETLK, 99, 0, 1), EINVAL);
    CHECK_ERR(lock(b, F_SETLK, F_WRLCK, -5, 1), EINVAL);
    OK(close(b));
    OK(close(ro));
    OK(close(wo));
}

TEST(two_opens_have_two_positions)
{
    int a = mt_file("f", 100), b = OK(open("f", O_RDWR));
    OK(lseek(a, 50, SEEK_SET));
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 0);
    OK(close(a));
    OK(close(b));
}

TEST(unlinked_file_lives_on)
{
    int fd = mt_file("f", 5000);
    OK(unlink("f"));
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    char b[5000];
    CHECK_EQ(pread(fd, b, sizeof b, 0), 5000);
    CHECK_EQ(mt_differs(b, 5000, 0), -1);
    CHECK_EQ(pwrite(fd, "more", 4, 5000), 4);
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 5004);
    create("f"); // a new file of the name
    OK(stat("f", &st));
    CHECK_EQ(st.st_size, 0);
    OK(close(fd));
}

static void *opens_and_closes(void *arg)
{
    for (int i = 0; i < 500; i++) {
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
            return arg;
    }
    return NULL;
}

TEST(threads_share_the_table)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(opens_and_closes, (void *)1);
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
}
