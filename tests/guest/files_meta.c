// What is known of a file besides its data: stat, statx, modes, owners, times, masks, attributes.
#include "moat_test.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define NS(t) ((t).tv_sec * 1000000000ll + (t).tv_nsec)

static mode_t mode_of(const char *name)
{
    struct stat st;
    OK(lstat(name, &st));
    return st.st_mode & 07777;
}

static void tick(void) { mt_sleep_us(12000); } // more than the grain of file times (a timer interrupt, 10 ms at most)

TEST(stat_of_a_file)
{
    time_t before = time(NULL);
    int fd = mt_file("f", 5000);
    struct stat st, other;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0644);
    CHECK_EQ(st.st_size, 5000);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(st.st_gid, getegid());
    CHECK(st.st_ino != 0);
    CHECK(st.st_blksize >= 512);
    OK(fsync(fd)); // blocks are given late
    OK(fstat(fd, &st));
    CHECK(st.st_blocks * 512 >= 5000);
    CHECK(st.st_mtime >= before - 1 && st.st_mtime <= time(NULL));
    OK(stat("f", &other));
    CHECK_EQ(memcmp(&st, &other, sizeof st), 0);
    OK(lstat("f", &other));
    CHECK_EQ(memcmp(&st, &other, sizeof st), 0);
    OK(fstatat(fd, "", &other, AT_EMPTY_PATH));
    CHECK_EQ(memcmp(&st, &other, sizeof st), 0);
    OK(close(fd));
}

TEST(stat_of_other_things)
{
    struct stat st;
    int p[2];
    OK(stat(".", &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK_EQ(st.st_nlink, 2);
    OK(stat("/dev/null", &st));
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, makedev(1, 3));
    CHECK_EQ(st.st_mode & 0777, 0666);
    OK(stat("/dev/zero", &st));
    CHECK_EQ(st.st_rdev, makedev(1, 5));
    OK(pipe(p));
    OK(fstat(p[0], &st));
    CHECK_EQ(st.st_mode, S_IFIFO | 0600);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_nlink, 1);
    ino_t ino = st.st_ino;
    OK(fstat(p[1], &st));
    CHECK_EQ(st.st_ino, ino);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(stat_errors)
{
    struct stat st;
    int fd = mt_file("f", 1);
    CHECK_ERR(stat("no", &st), ENOENT);
    CHECK_ERR(stat("", &st), ENOENT);
    CHECK_ERR(stat("f/x", &st), ENOTDIR);
    CHECK_ERR(fstat(250, &st), EBADF);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "f", 8, 0), EFAULT);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, 8, &st, 0), EFAULT);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "f", &st, 1), EINVAL);
    CHECK_ERR(syscall(SYS_newfstatat, 250, "f", &st, 0), EBADF);
    CHECK_ERR(syscall(SYS_newfstatat, fd, "f", &st, 0), ENOTDIR);
    CHECK_ERR(syscall(SYS_newfstatat, fd, "", &st, 0), ENOENT); // without AT_EMPTY_PATH
    OK(syscall(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH)); // the working directory
    CHECK(S_ISDIR(st.st_mode));
    OK(close(fd));
}

TEST(statx_fields)
{
    int fd = mt_file("f", 777);
    struct statx x;
    struct stat st;
    memset(&x, 0xff, sizeof x);
    OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
    OK(stat("f", &st));
    CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(x.stx_mode, st.st_mode);
    CHECK_EQ(x.stx_size, 777);
    CHECK_EQ(x.stx_ino, st.st_ino);
    CHECK_EQ(x.stx_nlink, 1);
    CHECK_EQ(x.stx_uid, st.st_uid);
    CHECK_EQ(x.stx_gid, st.st_gid);
    CHECK_EQ(x.stx_blocks, st.st_blocks);
    CHECK_EQ(x.stx_blksize, st.st_blksize);
    CHECK_EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
    CHECK_EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
    CHECK_EQ(x.stx_ctime.tv_nsec, st.st_ctim.tv_nsec);
    CHECK_EQ(x.stx_atime.tv_nsec, st.st_atim.tv_nsec);
    CHECK_EQ(makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
    OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    CHECK_EQ(x.stx_size, 777);
    OK(syscall(SYS_statx, fd, NULL, AT_EMPTY_PATH, STATX_SIZE, &x)); // NULL counts as ""
    OK(symlink("f", "l"));
    OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
    CHECK(S_ISLNK(x.stx_mode));
    OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, 0, &x));
    OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_ALL, &x));
    CHECK_ERR(statx(AT_FDCWD, "f", 1, STATX_ALL, &x), EINVAL);
    CHECK_ERR(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_ALL, &x), EINVAL);
    CHECK_ERR(statx(AT_FDCWD, "f", 0, 0x80000000, &x), EINVAL);
    CHECK_ERR(statx(AT_FDCWD, "f", 0, STATX_ALL, (void *)8), EFAULT);
    CHECK_ERR(statx(250, "f", 0, STATX_ALL, &x), EBADF);
    CHECK_ERR(statx(AT_FDCWD, "no", 0, STATX_ALL, &x), ENOENT);
    OK(close(fd));
}

TEST(accesses)
{
    OK(close(mt_file("f", 1)));
    OK(mkdir("d", 0755));
    CHECK_EQ(access("f", F_OK), 0);
    CHECK_EQ(access("f", R_OK | W_OK), 0);
    CHECK_ERR(access("f", X_OK), EACCES); // for root too: no x bit at all
    CHECK_EQ(access("d", R_OK | W_OK | X_OK), 0);
    CHECK_ERR(access("no", F_OK), ENOENT);
    CHECK_ERR(access("f/x", F_OK), ENOTDIR);
    CHECK_ERR(access("f", 8), EINVAL);
    OK(chmod("f", 0100));
    CHECK_EQ(access("f", X_OK), 0);
    OK(symlink("no", "l"));
    CHECK_ERR(access("l", F_OK), ENOENT);
    CHECK_EQ(syscall(439 /* faccessat2 */, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(syscall(439, AT_FDCWD, "d", X_OK, AT_EACCESS), 0);
    int fd = OK(open("d", O_PATH));
    CHECK_EQ(syscall(439, fd, "", X_OK, AT_EMPTY_PATH), 0);
    CHECK_ERR(syscall(439, AT_FDCWD, "d", X_OK, 1), EINVAL);
    CHECK_EQ(faccessat(fd, ".", X_OK, 0), 0);
    OK(close(fd));
    if (geteuid() == 0)
        return;
    OK(chmod("f", 0));
    CHECK_ERR(access("f", R_OK), EACCES);
    OK(chmod("d", 0));
    CHECK_ERR(access("d/x", F_OK), EACCES);
    CHECK_ERR(chdir("d"), EACCES);
}

TEST(umasks)
{
    CHECK_EQ(umask(027), 022);
    OK(close(OK(open("f", O_CREAT | O_RDWR, 0666))));
    OK(mkdir("d", 0777));
    CHECK_EQ(mode_of("f"), 0640);
    CHECK_EQ(mode_of("d"), 0750);
    OK(mkfifo("p", 0666));
    CHECK_EQ(mode_of("p"), 0640);
    OK(chmod("f", 0666)); // chmod is not masked
    CHECK_EQ(mode_of("f"), 0666);
    CHECK_EQ(umask(07777), 027);
    CHECK_EQ(umask(022), 0777); // only permission bits are kept
}

static void *masks(void *arg)
{
    *(mode_t *)arg = umask(077);
    return NULL;
}

TEST(umask_is_the_process_s)
{
    mode_t seen = 0;
    OK0(pthread_join(mt_thread(masks, &seen), NULL));
    CHECK_EQ(seen, 022);
    CHECK_EQ(umask(022), 077);
}

TEST(chmods)
{
    int fd = mt_file("f", 1);
    OK(chmod("f", 0751));
    CHECK_EQ(mode_of("f"), 0751);
    OK(fchmod(fd, 04755));
    CHECK_EQ(mode_of("f"), 04755);
    OK(fchmodat(AT_FDCWD, "f", 01640, 0));
    CHECK_EQ(mode_of("f"), 01640);
    OK(chmod("f", 0177777)); // type bits are ignored
    CHECK_EQ(mode_of("f"), 07777);
    struct stat st;
    OK(stat("f", &st));
    CHECK(S_ISREG(st.st_mode));
    OK(symlink("f", "l"));
    OK(chmod("l", 0600)); // through the link
    CHECK_EQ(mode_of("f"), 0600);
    CHECK_ERR(chmod("no", 0600), ENOENT);
    CHECK_ERR(chmod("f/x", 0600), ENOTDIR);
    CHECK_ERR(fchmod(250, 0600), EBADF);
    OK(mkdir("d", 0755));
    OK(chmod("d", 01777));
    CHECK_EQ(mode_of("d"), 01777);
    OK(close(fd));
}

TEST(chowns)
{
    int fd = mt_file("f", 1);
    struct stat st;
    OK(chown("f", -1, -1));
    OK(chown("f", geteuid(), getegid()));
    OK(fchown(fd, geteuid(), -1));
    OK(symlink("no", "l"));
    OK(lchown("l", geteuid(), getegid()));
    CHECK_ERR(chown("l", -1, -1), ENOENT);
    OK(fchownat(fd, "", -1, getegid(), AT_EMPTY_PATH));
    CHECK_ERR(fchownat(AT_FDCWD, "f", -1, -1, 1), EINVAL);
    CHECK_ERR(chown("no", -1, -1), ENOENT);
    CHECK_ERR(fchown(250, -1, -1), EBADF);
    if (geteuid() == 0) {
        OK(chown("f", 1000, 1001));
        OK(stat("f", &st));
        CHECK_EQ(st.st_uid, 1000);
        CHECK_EQ(st.st_gid, 1001);
        OK(fchown(fd, -1, 7));
        OK(stat("f", &st));
        CHECK_EQ(st.st_uid, 1000);
        CHECK_EQ(st.st_gid, 7);
        OK(chmod("f", 06755));
        OK(chown("f", 0, 0)); // takes set-user-id and set-group-id away
        CHECK_EQ(mode_of("f"), 0755);
    } else {
        CHECK_ERR(chown("f", 0, -1), EPERM);
    }
    OK(close(fd));
}

TEST(writing_clears_set_id_bits)
{
    if (geteuid() == 0)
        SKIP("root keeps them");
    int fd = mt_file("f", 1);
    OK(fchmod(fd, 06777));
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    CHECK_EQ(mode_of("f"), 0777);
    OK(close(fd));
}

TEST(utimensat_sets_times)
{
    int fd = mt_file("f", 1);
    struct stat st;
    struct timespec t[2] = {{1000000000, 123456789}, {1234567890, 987654321}};
    OK(utimensat(AT_FDCWD, "f", t, 0));
    OK(stat("f", &st));
    CHECK_EQ(NS(st.st_atim), 1000000000123456789ll);
    CHECK_EQ(NS(st.st_mtim), 1234567890987654321ll);
    CHECK(NS(st.st_ctim) > 1500000000000000000ll); // of the change itself
    t[0] = (struct timespec){0, UTIME_OMIT};
    t[1] = (struct timespec){5, 6};
    OK(futimens(fd, t));
    OK(stat("f", &st));
    CHECK_EQ(NS(st.st_atim), 1000000000123456789ll);
    CHECK_EQ(NS(st.st_mtim), 5000000006ll);
    time_t before = time(NULL) - 1;
    t[0] = (struct timespec){0, UTIME_NOW};
    t[1] = (struct timespec){0, UTIME_OMIT};
    OK(futimens(fd, t));
    OK(stat("f", &st));
    CHECK(st.st_atime >= before);
    CHECK_EQ(NS(st.st_mtim), 5000000006ll);
    OK(utimensat(AT_FDCWD, "f", NULL, 0));
    OK(stat("f", &st));
    CHECK(st.st_mtime >= before);
    t[0] = t[1] = (struct timespec){-1000, 0}; // before 1970
    OK(utimensat(AT_FDCWD, "f", t, 0));
    OK(stat("f", &st));
    CHECK_EQ(st.st_mtime, -1000);
    OK(symlink("f", "l"));
    t[0] = t[1] = (struct timespec){77, 0};
    OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
    OK(lstat("l", &st));
    CHECK_EQ(st.st_mtime, 77);
    OK(stat("f", &st));
    CHECK_EQ(st.st_mtime, -1000);
    t[0] = (struct timespec){0, 1000000000};
    CHECK_ERR(utimensat(AT_FDCWD, "f", t, 0), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "no", NULL, 0), ENOENT);
    CHECK_ERR(utimensat(AT_FDCWD, "f", NULL, 1), EINVAL);
    CHECK_ERR(syscall(SYS_utimensat, 250, NULL, NULL, 0), EBADF);
    CHECK_ERR(syscall(SYS_utimensat, AT_FDCWD, "f", 8, 0), EFAULT);
    OK(close(fd));
}

TEST(times_follow_changes)
{
    int fd = mt_file("f", 100);
    struct stat a, b;
    char c;
    OK(fstat(fd, &a));
    tick();
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    OK(fstat(fd, &b));
    CHECK(NS(b.st_mtim) > NS(a.st_mtim));
    CHECK(NS(b.st_ctim) > NS(a.st_ctim));
    a = b;
    tick();
    OK(fchmod(fd, 0600));
    OK(fstat(fd, &b));
    CHECK_EQ(NS(b.st_mtim), NS(a.st_mtim));
    CHECK(NS(b.st_ctim) > NS(a.st_ctim));
    a = b;
    tick();
    OK(ftruncate(fd, 10));
    OK(fstat(fd, &b));
    CHECK(NS(b.st_mtim) > NS(a.st_mtim));
    a = b;
    tick();
    OK(link("f", "g"));
    OK(fstat(fd, &b));
    CHECK_EQ(NS(b.st_mtim), NS(a.st_mtim));
    CHECK(NS(b.st_ctim) > NS(a.st_ctim)); // the count of links
    a = b;
    tick();
    CHECK_EQ(pread(fd, &c, 1, 0), 1);
    OK(fstat(fd, &b));
    CHECK_EQ(NS(b.st_mtim), NS(a.st_mtim));
    CHECK(NS(b.st_atim) >= NS(a.st_atim));
    CHECK_EQ(write(fd, &c, 0), 0);
    OK(fstat(fd, &b));
    CHECK_EQ(NS(b.st_mtim), NS(a.st_mtim)); // nothing written
    OK(close(fd));
}

TEST(times_of_directories)
{
    struct stat a, b;
    OK(mkdir("d", 0755));
    OK(stat("d", &a));
    const char *const steps[] = {"create", "rename", "unlink"};
    for (unsigned i = 0; i < countof(steps); i++) {
        tick();
        if (i == 0)
            OK(close(OK(open("d/f", O_CREAT | O_RDWR, 0600))));
        else if (i == 1)
            OK(rename("d/f", "d/g"));
        else
            OK(unlink("d/g"));
        OK(stat("d", &b));
        if (NS(b.st_mtim) <= NS(a.st_mtim) || NS(b.st_ctim) <= NS(a.st_ctim))
            FAIL("%s leaves the directory's times", steps[i]);
        a = b;
    }
}

TEST(noatime)
{
    OK(close(mt_file("f", 10)));
    struct timespec t[2] = {{1000, 0}, {2000, 0}}; // read access would update this one
    OK(utimensat(AT_FDCWD, "f", t, 0));
    int fd = OK(open("f", O_RDONLY | O_NOATIME));
    char c;
    CHECK_EQ(read(fd, &c, 1), 1);
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_atime, 1000);
    OK(close(fd));
}

TEST(extended_attributes)
{
    int fd = mt_file("f", 1);
    char b[256];
    if (setxattr("f", "user.one", "1234", 4, 0) != 0) {
        CHECK_EQ(errno, EOPNOTSUPP);
        SKIP("the file system has no user attributes");
    }
    CHECK_EQ(getxattr("f", "user.one", b, sizeof b), 4);
    CHECK_EQ(memcmp(b, "1234", 4), 0);
    CHECK_EQ(getxattr("f", "user.one", NULL, 0), 4);
    CHECK_ERR(getxattr("f", "user.one", b, 3), ERANGE);
    CHECK_ERR(getxattr("f", "user.two", b, sizeof b), ENODATA);
    CHECK_ERR(setxattr("f", "user.one", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERR(setxattr("f", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
    OK(setxattr("f", "user.one", "", 0, XATTR_REPLACE));
    CHECK_EQ(getxattr("f", "user.one", b, sizeof b), 0);
    OK(fsetxattr(fd, "user.two", "22", 2, XATTR_CREATE));
    CHECK_EQ(fgetxattr(fd, "user.two", b, sizeof b), 2);
    long n = OK(listxattr("f", b, sizeof b));
    int found = 0;
    for (long i = 0; i < n; i += (long)strlen(b + i) + 1)
        found += strcmp(b + i, "user.one") == 0 || strcmp(b + i, "user.two") == 0;
    CHECK_EQ(found, 2);
    CHECK_EQ(flistxattr(fd, NULL, 0), n);
    CHECK_ERR(listxattr("f", b, 5), ERANGE);
    OK(removexattr("f", "user.one"));
    CHECK_ERR(removexattr("f", "user.one"), ENODATA);
    OK(fremovexattr(fd, "user.two"));
    CHECK_ERR(setxattr("f", "user.", "x", 1, 0), EINVAL);
    CHECK_ERR(setxattr("f", "nonsense", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERR(setxattr("f", "", "x", 1, 0), ERANGE);
    CHECK_ERR(setxattr("f", "user.a", "x", 1, 8), EINVAL);
    CHECK_ERR(setxattr("no", "user.a", "x", 1, 0), ENOENT);
    CHECK_ERR(fgetxattr(250, "user.a", b, 1), EBADF);
    CHECK_ERR(setxattr("f", "user.a", (void *)8, 4, 0), EFAULT);
    char name[300] = "user.";
    memset(name + 5, 'n', 251);
    CHECK_ERR(setxattr("f", name, "x", 1, 0), ERANGE); // 256 bytes
    OK(symlink("f", "l"));
    OK(setxattr("l", "user.via", "x", 1, 0));
    CHECK_EQ(getxattr("f", "user.via", b, 1), 1);
    CHECK_ERR(lsetxattr("l", "user.via", "x", 1, 0), EPERM); // no user attributes on links
    OK(mkdir("d", 0755));
    OK(setxattr("d", "user.dir", "x", 1, 0));
    CHECK_EQ(getxattr("d", "user.dir", b, 1), 1);
    OK(close(fd));
}

TEST(write_protected_directory)
{
    OK(mkdir("d", 0555));
    if (geteuid() == 0) {
        OK(close(OK(open("d/f", O_CREAT | O_RDWR, 0600))));
        return;
    }
    CHECK_ERR(open("d/f", O_CREAT | O_RDWR, 0600), EACCES);
    CHECK_ERR(mkdir("d/d", 0755), EACCES);
    CHECK_ERR(symlink("x", "d/l"), EACCES);
    OK(chmod("d", 0666)); // no search permission
    CHECK_ERR(stat("d/f", &(struct stat){0}), EACCES);
    OK(chmod("d", 0755));
}

struct xattr_arguments { uint64_t value; uint32_t size, flags; };

TEST(xattr_at)
{
    char b[16] = { 0 };
    struct xattr_arguments a = { (uintptr_t)"one", 3, 0 }, get = { (uintptr_t)b, sizeof b, 0 };
    int dir = open(".", O_RDONLY), fd = open("f", O_CREAT | O_RDWR, 0600);
    long r = syscall(463, dir, "f", 0, "user.a", &a, sizeof a);
    if (r == -1 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
        close(dir);
        close(fd);
        SKIP("not here");
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(syscall(464, dir, "f", 0, "user.a", &get, sizeof get), 3);
    CHECK_STR(b, "one");
    CHECK_EQ(syscall(464, fd, "", AT_EMPTY_PATH, "user.a", &get, sizeof get), 3);
    CHECK_ERR(syscall(464, fd, "", 0, "user.a", &get, sizeof get), ENOENT);
    CHECK_ERR(syscall(464, dir, "f", 1, "user.a", &get, sizeof get), EINVAL);
    CHECK_ERR(syscall(464, dir, "f", 0, "user.a", &get, 8), EINVAL);
    CHECK_ERR(syscall(464, dir, "f", 0, "user.b", &get, sizeof get), ENODATA);
    a.flags = 1;
    CHECK_ERR(syscall(463, dir, "f", 0, "user.a", &a, sizeof a), EEXIST);
    CHECK(syscall(465, dir, "f", 0, b, sizeof b) >= 7);
    CHECK_EQ(syscall(466, dir, "f", 0, "user.a"), 0);
    CHECK_ERR(syscall(466, dir, "f", 0, "user.a"), ENODATA);
    close(dir);
    close(fd);
}
