// Data: reads, writes and vectors, positions, holes, truncation, allocation, copies between files, memory files.
#include "moat_test.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define PAGE 4096ul

static off_t size_of(int fd)
{
    struct stat st;
    OK(fstat(fd, &st));
    return st.st_size;
}

TEST(read_and_write)
{
    int fd = mt_file("f", 10000);
    static unsigned char b[20000];
    CHECK_EQ(read(fd, b, 100), 100);
    CHECK_EQ(mt_differs(b, 100, 0), -1);
    CHECK_EQ(read(fd, b, 5000), 5000);
    CHECK_EQ(mt_differs(b, 5000, 100), -1);
    CHECK_EQ(read(fd, b, sizeof b), 4900); // what is left
    CHECK_EQ(read(fd, b, sizeof b), 0);
    CHECK_EQ(read(fd, b, 0), 0);
    CHECK_EQ(write(fd, b, 0), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10000);
    CHECK_EQ(write(fd, "tail", 4), 4);
    CHECK_EQ(size_of(fd), 10004);
    CHECK_EQ(pread(fd, b, 10, 9999), 5);
    CHECK_EQ(pread(fd, b, 10, 10004), 0);
    CHECK_EQ(pread(fd, b, 10, 1l << 40), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10004); // pread leaves it alone
    OK(close(fd));
}

TEST(lseeks)
{
    int fd = mt_file("f", 100), p[2];
    CHECK_EQ(lseek(fd, 10, SEEK_SET), 10);
    CHECK_EQ(lseek(fd, 5, SEEK_CUR), 15);
    CHECK_EQ(lseek(fd, -15, SEEK_CUR), 0);
    CHECK_ERR(lseek(fd, -1, SEEK_CUR), EINVAL);
    CHECK_EQ(lseek(fd, -1, SEEK_END), 99);
    CHECK_EQ(lseek(fd, 1000, SEEK_END), 1100);
    char c;
    CHECK_EQ(read(fd, &c, 1), 0);
    CHECK_ERR(lseek(fd, -101, SEEK_END), EINVAL);
    CHECK_ERR(lseek(fd, 0, 17), EINVAL);
    CHECK_ERR(lseek(fd, LONG_MIN, SEEK_SET), EINVAL);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1100); // the failed ones changed nothing
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(size_of(fd), 1101);
    CHECK_EQ(pread(fd, &c, 1, 500), 1);
    CHECK_EQ(c, 0); // the gap reads as zeros
    CHECK_ERR(lseek(250, 0, SEEK_SET), EBADF);
    OK(pipe(p));
    CHECK_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERR(pread(p[0], &c, 1, 0), ESPIPE);
    CHECK_ERR(pwrite(p[1], &c, 1, 0), ESPIPE);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(fd));
}

TEST(holes)
{
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    OK(ftruncate(fd, 1 << 20));
    CHECK_EQ(pwrite(fd, "data", 4, 512 * 1024), 4);
    off_t data = OK(lseek(fd, 0, SEEK_DATA)), hole = OK(lseek(fd, 512 * 1024, SEEK_HOLE));
    CHECK(data <= 512 * 1024); // a file system may call everything data
    CHECK(hole > 512 * 1024 && hole <= 1 << 20);
    CHECK_EQ(lseek(fd, 512 * 1024 + 2, SEEK_DATA), 512 * 1024 + 2);
    CHECK_ERR(lseek(fd, 1 << 20, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(fd, 1 << 20, SEEK_HOLE), ENXIO);
    CHECK_ERR(lseek(fd, -1, SEEK_DATA), ENXIO);
    OK(close(fd));
}

TEST(limits_of_offsets)
{
    int fd = mt_file("f", 10);
    char c = 'x';
    CHECK_ERR(pread(fd, &c, 1, -1), EINVAL);
    CHECK_ERR(pwrite(fd, &c, 1, -1), EINVAL);
    CHECK_ERR(pread(fd, &c, 1, LONG_MIN), EINVAL);
    CHECK_EQ(pread(fd, &c, 1, LONG_MAX - 1), 0);
    CHECK_ERR(pread(fd, &c, 10, LONG_MAX - 5), EINVAL);
    long n = pwrite(fd, &c, 1, LONG_MAX - 1);
    CHECK(n == 1 || (n == -1 && errno == EFBIG)); // the file system's limit, which tmpfs has none of
    CHECK_ERR(ftruncate(fd, -1), EINVAL);
    CHECK_ERR(read(fd, &c, (size_t)SSIZE_MAX + 1), EFAULT); // the count is clipped, the range is not in user space
    OK(close(fd));
}

TEST(vectors)
{
    int fd = mt_file("f", 1000);
    char a[10], b[20], c[5];
    struct iovec v[] = {{a, 10}, {NULL, 0}, {b, 20}, {c, 5}};
    CHECK_EQ(readv(fd, v, 4), 35);
    CHECK_EQ(mt_differs(a, 10, 0), -1);
    CHECK_EQ(mt_differs(b, 20, 10), -1);
    CHECK_EQ(mt_differs(c, 5, 30), -1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 35);
    CHECK_EQ(preadv(fd, v, 4, 980), 20);
    CHECK_EQ(mt_differs(b, 10, 990), -1);
    CHECK_EQ(pwritev(fd, v, 4, 2000), 35);
    CHECK_EQ(size_of(fd), 2035);
    CHECK_EQ(readv(fd, v, 0), 0);
    CHECK_EQ(writev(fd, v, 0), 0);
    static struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){a, 1};
    CHECK_EQ(preadv(fd, many, 1024, 0), 1024);
    CHECK_ERR(preadv(fd, many, 1025, 0), EINVAL);
    CHECK_ERR(readv(fd, v, -1), EINVAL);
    v[1] = (struct iovec){a, SIZE_MAX};
    CHECK_ERR(readv(fd, v, 4), EINVAL);
    CHECK_ERR(readv(fd, (void *)8, 1), EFAULT);
    v[1] = (struct iovec){(void *)8, 10};
    CHECK_EQ(preadv(fd, v, 4, 0), 10); // up to the bad one
    v[0] = (struct iovec){(void *)8, 10};
    CHECK_ERR(preadv(fd, v, 4, 0), EFAULT);
    CHECK_EQ(preadv(fd, v, 4, 1 << 20), 0); // nothing to copy, so nothing faults
    OK(close(fd));
}

TEST(rwf_flags)
{
    int fd = mt_file("f", 100);
    char b[200];
    struct iovec v = {b, sizeof b};
    OK(lseek(fd, 90, SEEK_SET));
    CHECK_EQ(preadv2(fd, &v, 1, -1, 0), 10); // -1: the file position, which moves
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
    CHECK_ERR(preadv2(fd, &v, 1, -2, 0), EINVAL);
    long n = preadv2(fd, &v, 1, 0, RWF_NOWAIT);
    CHECK(n == 100 || (n == -1 && errno == EOPNOTSUPP)); // in memory, just written; tmpfs does not know the flag
    v.iov_len = 10;
    CHECK_ERR(pwritev2(fd, &v, 1, 0, RWF_NOWAIT), EOPNOTSUPP); // neither tmpfs nor, through its page cache, ext4
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_APPEND), 10);
    CHECK_EQ(size_of(fd), 110);
    CHECK_EQ(pwritev2(fd, &v, 1, -1, RWF_APPEND), 10);
    CHECK_EQ(size_of(fd), 120);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 120);
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_DSYNC), 10);
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_SYNC), 10);
    CHECK_ERR(preadv2(fd, &v, 1, 0, 0x8000), EOPNOTSUPP);
    CHECK_ERR(pwritev2(fd, &v, 1, 0, 0x8000), EOPNOTSUPP);
    OK(close(fd));
    int app = OK(open("f", O_WRONLY | O_APPEND));
    CHECK_EQ(pwritev2(app, &v, 1, 5, 0x20 /* RWF_NOAPPEND */), 10);
    CHECK_EQ(size_of(app), 120);
    OK(close(app));
}

TEST(truncations)
{
    int fd = mt_file("f", 3 * PAGE);
    static unsigned char b[8 * PAGE];
    OK(ftruncate(fd, 100));
    CHECK_EQ(pread(fd, b, sizeof b, 0), 100);
    OK(ftruncate(fd, 2 * PAGE)); // what was cut off does not come back
    CHECK_EQ(pread(fd, b, sizeof b, 0), 2 * PAGE);
    CHECK_EQ(mt_differs(b, 100, 0), -1);
    for (size_t i = 100; i < 2 * PAGE; i++)
        CHECK(b[i] == 0);
    OK(truncate("f", 50));
    CHECK_EQ(size_of(fd), 50);
    OK(ftruncate(fd, 1l << 33)); // sparse
    CHECK_EQ(size_of(fd), 1l << 33);
    CHECK_EQ(pread(fd, b, 10, (1l << 33) - 5), 5);
    OK(close(fd));
    OK(mkdir("d", 0755));
    CHECK_ERR(truncate("d", 0), EISDIR);
    CHECK_ERR(truncate("no", 0), ENOENT);
    CHECK_ERR(truncate("f", -1), EINVAL);
    CHECK_ERR(truncate("f/x", 0), ENOTDIR);
    CHECK_ERR(ftruncate(250, 0), EBADF);
    int p[2];
    OK(pipe(p));
    CHECK_ERR(ftruncate(p[1], 0), EINVAL);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(allocations)
{
    int fd = mt_file("f", 4 * PAGE);
    struct stat st;
    unsigned char b[3 * PAGE];
    OK(fallocate(fd, 0, 0, 8 * PAGE));
    CHECK_EQ(size_of(fd), 8 * PAGE);
    CHECK_EQ(pread(fd, b, 10, 6 * PAGE), 10);
    CHECK_EQ(b[0], 0);
    OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, 8 * PAGE));
    CHECK_EQ(size_of(fd), 8 * PAGE);
    OK(fstat(fd, &st));
    CHECK(st.st_blocks * 512 >= 16 * (blkcnt_t)PAGE);
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE - 10, PAGE + 20)); // not at page borders
    CHECK_EQ(pread(fd, b, sizeof b, 0), 3 * PAGE);
    CHECK_EQ(mt_differs(b, PAGE - 10, 0), -1);
    for (size_t i = PAGE - 10; i < 2 * PAGE + 10; i++)
        CHECK(b[i] == 0);
    CHECK_EQ(mt_differs(b + 2 * PAGE + 10, PAGE - 10, 2 * PAGE + 10), -1);
    CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERR(fallocate(fd, 0, 0, -1), EINVAL);
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP); // only with KEEP_SIZE
    CHECK_ERR(fallocate(fd, 0x8000, 0, PAGE), EOPNOTSUPP);
    CHECK_ERR(fallocate(fd, 0, LONG_MAX - 5, 100), EFBIG);
    CHECK_ERR(fallocate(250, 0, 0, 1), EBADF);
    OK(close(fd));
    fd = OK(open("f", O_RDONLY));
    CHECK_ERR(fallocate(fd, 0, 0, PAGE), EBADF);
    OK(close(fd));
    int p[2], dir = OK(open(".", O_RDONLY));
    OK(pipe(p));
    CHECK_ERR(fallocate(p[1], 0, 0, PAGE), ESPIPE);
    CHECK_ERR(fallocate(dir, 0, 0, PAGE), EBADF); // open for reading
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(dir));
}

TEST(zeroed_ranges)
{
    int fd = mt_file("f", 3 * PAGE);
    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, PAGE) != 0) {
        CHECK_EQ(errno, EOPNOTSUPP); // tmpfs
        OK(close(fd));
        return;
    }
    unsigned char b[3 * PAGE];
    CHECK_EQ(pread(fd, b, sizeof b, 0), sizeof b);
    CHECK_EQ(mt_differs(b, 100, 0), -1);
    CHECK_EQ(b[100], 0);
    CHECK_EQ(b[PAGE + 99], 0);
    CHECK_EQ(mt_differs(b + PAGE + 100, 1000, PAGE + 100), -1);
    OK(close(fd));
}

TEST(file_size_limit)
{
    struct rlimit old, tight;
    OK(getrlimit(RLIMIT_FSIZE, &old));
    tight = (struct rlimit){1000, old.rlim_max};
    int fd = mt_file("f", 500);
    OK(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    OK(setrlimit(RLIMIT_FSIZE, &tight));
    char b[800] = "";
    long at_limit = pwrite(fd, b, 800, 500), beyond = pwrite(fd, b, 1, 1000), e1 = errno;
    long cut = ftruncate(fd, 2000), e2 = errno;
    OK(setrlimit(RLIMIT_FSIZE, &old));
    CHECK_EQ(at_limit, 500); // up to the limit
    CHECK_EQ(beyond, -1);
    CHECK_EQ(e1, EFBIG);
    CHECK_EQ(cut, -1);
    CHECK_EQ(e2, EFBIG);
    OK(close(fd));
}

TEST(copy_file_ranges)
{
    int in = mt_file("in", 10000), out = OK(open("out", O_CREAT | O_RDWR, 0600));
    static unsigned char b[10000];
    CHECK_EQ(copy_file_range(in, NULL, out, NULL, 4000, 0), 4000);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 4000);
    CHECK_EQ(lseek(out, 0, SEEK_CUR), 4000);
    loff_t from = 9000, to = 4000;
    CHECK_EQ(copy_file_range(in, &from, out, &to, 5000, 0), 1000); // to the end of the source
    CHECK_EQ(from, 10000);
    CHECK_EQ(to, 5000);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 4000);
    CHECK_EQ(copy_file_range(in, &from, out, &to, 5000, 0), 0);
    CHECK_EQ(pread(out, b, sizeof b, 0), 5000);
    CHECK_EQ(mt_differs(b, 4000, 0), -1);
    CHECK_EQ(mt_differs(b + 4000, 1000, 9000), -1);
    from = 0;
    to = 100;
    CHECK_ERR(copy_file_range(in, &from, in, &to, 200, 0), EINVAL); // overlap
    to = 20000;
    CHECK_EQ(copy_file_range(in, &from, in, &to, 200, 0), 200); // within one file
    CHECK_ERR(copy_file_range(in, NULL, out, NULL, 10, 1), EINVAL);
    CHECK_ERR(copy_file_range(250, NULL, out, NULL, 10, 0), EBADF);
    from = -1;
    CHECK_ERR(copy_file_range(in, &from, out, NULL, 10, 0), EOVERFLOW);
    int ro = OK(open("out", O_RDONLY)), dir = OK(open(".", O_RDONLY)), app = OK(open("out", O_WRONLY | O_APPEND)), p[2];
    CHECK_ERR(copy_file_range(in, NULL, ro, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(in, NULL, app, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(dir, NULL, out, NULL, 10, 0), EISDIR);
    OK(pipe(p));
    CHECK_ERR(copy_file_range(in, NULL, p[1], NULL, 10, 0), EINVAL);
    const int fds[] = {in, out, ro, dir, app, p[0], p[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(sendfiles)
{
    int in = mt_file("in", 10000), out = OK(open("out", O_CREAT | O_RDWR, 0600)), p[2];
    OK(pipe(p));
    static unsigned char b[10000];
    CHECK_EQ(sendfile(p[1], in, NULL, 100), 100);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 100);
    CHECK_EQ(read(p[0], b, sizeof b), 100);
    CHECK_EQ(mt_differs(b, 100, 0), -1);
    off_t at = 9950;
    CHECK_EQ(sendfile(p[1], in, &at, 100), 50);
    CHECK_EQ(at, 10000);
    CHECK_EQ(sendfile(p[1], in, &at, 100), 0);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 100);
    CHECK_EQ(read(p[0], b, sizeof b), 50);
    CHECK_EQ(mt_differs(b, 50, 9950), -1);
    at = 0;
    CHECK_EQ(sendfile(out, in, &at, 20000), 10000); // file to file
    CHECK_EQ(pread(out, b, sizeof b, 0), 10000);
    CHECK_EQ(mt_differs(b, 10000, 0), -1);
    at = -1;
    CHECK_ERR(sendfile(out, in, &at, 10), EINVAL);
    CHECK_ERR(sendfile(250, in, NULL, 10), EBADF);
    CHECK_ERR(sendfile(out, 250, NULL, 10), EBADF);
    CHECK_ERR(sendfile(p[0], in, NULL, 10), EBADF);
    CHECK_ERR(sendfile(out, in, (off_t *)8, 10), EFAULT);
    OK(fcntl(p[1], F_SETFL, O_NONBLOCK));
    at = 0;
    long filled = 0;
    for (long n; (n = sendfile(p[1], in, &at, 10000)) > 0; at = 0)
        filled += n;
    CHECK_EQ(errno, EAGAIN);
    CHECK(filled > 0);
    const int fds[] = {in, out, p[0], p[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(memory_files)
{
    int fd = OK(memfd_create("m", 0));
    CHECK_EQ(write(fd, "hello", 5), 5);
    char b[8];
    CHECK_EQ(pread(fd, b, 8, 0), 5);
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0777);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL); // sealing was not asked for
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    OK(ftruncate(fd, 100000));
    CHECK_EQ(pread(fd, b, 8, 99999), 1);
    OK(close(fd));
    char name[251];
    memset(name, 'n', 250);
    name[250] = 0;
    CHECK_ERR(memfd_create(name, 0), EINVAL);
    name[249] = 0;
    OK(close(OK(memfd_create(name, 0))));
    OK(close(OK(memfd_create("", MFD_CLOEXEC))));
    CHECK_ERR(memfd_create("m", 0x4000), EINVAL);
    CHECK_ERR(memfd_create((char *)8, 0), EFAULT);
}

TEST(seals)
{
    int fd = OK(memfd_create("m", MFD_ALLOW_SEALING));
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    OK(ftruncate(fd, 2 * PAGE));
    OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    CHECK_ERR(ftruncate(fd, PAGE), EPERM);
    OK(ftruncate(fd, 3 * PAGE));
    OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK_ERR(ftruncate(fd, 4 * PAGE), EPERM);
    CHECK_ERR(pwrite(fd, "x", 1, 3 * PAGE), EPERM);
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    void *p = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); // mapped writable
    OK(munmap(p, PAGE));
    OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    p = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    OK(munmap(p, PAGE));
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
    OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    OK(close(fd));
    fd = mt_file("f", 10);
    OK(close(fd));
}

// Who may execute the file stays as it is; one that somebody may execute is not written any more either.
TEST(the_seal_of_execution)
{
    enum { SEAL_EXEC = 0x20, NOEXEC_SEAL = 8 };
    for (int executable = 0; executable < 2; executable++) {
        int fd = OK(memfd_create("m", executable ? MFD_ALLOW_SEALING : NOEXEC_SEAL));
        OK(fcntl(fd, F_ADD_SEALS, SEAL_EXEC));
        CHECK_EQ(fcntl(fd, F_GET_SEALS), SEAL_EXEC | (executable ? F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE : 0));
        CHECK_ERR(fchmod(fd, 0700), EPERM);
        CHECK_ERR(fchmod(fd, executable ? 0666 : 0777), EPERM);
        OK(fchmod(fd, executable ? 0511 : 0400));
        if (executable)
            CHECK_ERR(write(fd, "x", 1), EPERM);
        else
            CHECK_EQ(write(fd, "x", 1), 1);
        OK(close(fd));
    }
}

TEST(syncs)
{
    int fd = mt_file("f", 10000), p[2];
    OK(fsync(fd));
    OK(fdatasync(fd));
    OK(syncfs(fd));
    OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
    CHECK_ERR(sync_file_range(fd, -1, 0, 0), EINVAL);
    CHECK_ERR(sync_file_range(fd, 0, 0, 99), EINVAL);
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED) == 0 ? 0 : -1);
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
    CHECK_EQ(posix_fadvise(250, 0, 0, 0), EBADF);
    OK(pipe(p));
    CHECK_ERR(fsync(p[0]), EINVAL);
    CHECK_EQ(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
    CHECK_ERR(sync_file_range(p[1], 0, 0, 0), ESPIPE);
    CHECK_ERR(fsync(250), EBADF);
    int dir = OK(open(".", O_RDONLY));
    OK(fsync(dir));
    OK(close(dir));
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(eight_megabytes)
{
    enum { N = 8 << 20 };
    int fd = OK(open("big", O_CREAT | O_RDWR, 0600));
    unsigned char *p = malloc(N), *q = malloc(N + 100);
    mt_pattern(p, N, 0);
    CHECK_EQ(write(fd, p, N), N);
    CHECK_EQ(pread(fd, q + 3, N + 97, 0), N);
    CHECK_EQ(memcmp(p, q + 3, N), 0);
    CHECK_EQ(pread(fd, q + 1, 1 << 20, 12345), 1 << 20);
    CHECK_EQ(memcmp(p + 12345, q + 1, 1 << 20), 0);
    free(p);
    free(q);
    OK(close(fd));
}

TEST(buffers_that_end_in_nothing)
{
    int fd = mt_file("f", 3 * PAGE), out = OK(open("out", O_CREAT | O_RDWR, 0600)), p[2];
    char *m = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    OK(munmap(m + PAGE, PAGE));
    CHECK_EQ(pread(fd, m + PAGE - 100, 200, 0), 100); // what fits
    CHECK_EQ(mt_differs(m + PAGE - 100, 100, 0), -1);
    CHECK_ERR(pread(fd, m + PAGE, 200, 0), EFAULT);
    OK(lseek(fd, 50, SEEK_SET));
    CHECK_EQ(read(fd, m + PAGE - 10, 20), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 60);
    CHECK_EQ(write(out, m + PAGE - 100, 200), 100);
    CHECK_ERR(write(out, m + PAGE, 1), EFAULT);
    CHECK_EQ(size_of(out), 100);
    OK(pipe(p));
    CHECK_ERR(write(p[1], m + PAGE - 100, 200), EFAULT); // one page of the pipe: all or nothing
    CHECK_EQ(write(p[1], "0123456789", 10), 10);
    CHECK_ERR(read(p[0], m + PAGE - 5, 10), EFAULT);
    OK(mprotect(m, PAGE, PROT_READ));
    CHECK_ERR(pread(fd, m, 10, 0), EFAULT);
    CHECK_EQ(pwrite(out, m + PAGE - 100, 100, 0), 100);
    OK(munmap(m, PAGE));
    const int fds[] = {fd, out, p[0], p[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(reading_into_a_map_of_the_file)
{
    int fd = mt_file("f", 4 * PAGE);
    unsigned char *m = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    CHECK_EQ(pread(fd, m + 2 * PAGE, PAGE, 0), PAGE);
    CHECK_EQ(mt_differs(m + 2 * PAGE, PAGE, 0), -1);
    CHECK_EQ(pwrite(fd, m + PAGE, PAGE, 3 * PAGE), PAGE);
    CHECK_EQ(mt_differs(m + 3 * PAGE, PAGE, PAGE), -1);
    OK(munmap(m, 4 * PAGE));
    OK(close(fd));
}

TEST(fionread)
{
    int fd = mt_file("f", 100), n = 0, p[2];
    OK(lseek(fd, 30, SEEK_SET));
    OK(ioctl(fd, FIONREAD, &n));
    CHECK_EQ(n, 70);
    OK(pipe(p));
    CHECK_EQ(write(p[1], "12345", 5), 5);
    OK(ioctl(p[0], FIONREAD, &n));
    CHECK_EQ(n, 5);
    CHECK_ERR(ioctl(p[0], FIONREAD, 8), EFAULT);
    CHECK_ERR(ioctl(fd, 0x5401 /* TCGETS */, &n), ENOTTY);
    CHECK_ERR(ioctl(fd, 0x12345678, &n), ENOTTY);
    CHECK_ERR(ioctl(250, FIONREAD, &n), EBADF);
    n = 1;
    OK(ioctl(p[0], FIONBIO, &n));
    CHECK(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    OK(ioctl(p[0], FIOCLEX));
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    OK(ioctl(p[0], FIONCLEX));
    CHECK_EQ(fcntl(p[0], F_GETFD), 0);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

static void *appends(void *arg)
{
    int fd = open("log", O_WRONLY | O_APPEND);
    char line[32];
    memset(line, (char)(intptr_t)arg, sizeof line);
    for (int i = 0; i < 200 && fd >= 0; i++)
        if (write(fd, line, sizeof line) != sizeof line)
            return (void *)1;
    return (void *)(intptr_t)(close(fd) != 0);
}

TEST(appenders_do_not_tear)
{
    int fd = OK(open("log", O_CREAT | O_RDWR, 0600)), seen[4] = {0};
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++)
        t[i] = mt_thread(appends, (void *)('a' + i));
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
    char line[32];
    for (int i = 0; i < 800; i++) {
        CHECK_EQ(read(fd, line, 32), 32);
        for (int j = 1; j < 32; j++)
            CHECK_EQ(line[j], line[0]);
        seen[line[0] - 'a']++;
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(seen[i], 200);
    OK(close(fd));
}

static void *reads_on(void *arg)
{
    long sum = 0;
    for (char b[10]; read(*(int *)arg, b, 10) == 10;)
        sum += 10;
    return (void *)sum;
}

TEST(threads_share_a_position)
{
    int fd = mt_file("f", 10000);
    pthread_t t[4];
    long sum = 0;
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(reads_on, &fd);
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        sum += (long)ret;
    }
    CHECK_EQ(sum, 10000); // each byte is read once
    OK(close(fd));
}
