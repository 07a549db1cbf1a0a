// Requests on names and files: open, close, stat, directories, links, sync, allocation, advice; descriptors that live
// in the ring's table.
#include "uring.h"
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define PAGE 4096ul

static struct ring r;

static int run(uint64_t data) { return ring_result(&r, data); }

static int op_open(int dir, const char *path, int flags, int mode, uint32_t slot, uint8_t sqe_flags)
{
    sqe_t *s = ADD(&r, OPENAT, dir, path, mode, 0, 1);
    s->open_flags = flags;
    s->file_index = slot;
    s->flags = sqe_flags;
    return run(1);
}

static int op_close(int fd) { return ADD(&r, CLOSE, fd, NULL, 0, 0, 2), run(2); }

static int op_close_slot(uint32_t slot) { return ADD(&r, CLOSE, 0, NULL, 0, 0, 2)->file_index = slot + 1, run(2); }

static bool exists(const char *name)
{
    struct stat st;
    return lstat(name, &st) == 0;
}

// proves: IORING_OP_CLOSE
TEST(opening_and_closing)
{
    ring_init(&r, 8, 0);
    OK(close(mt_file("f", 100)));
    int fd = op_open(AT_FDCWD, "f", O_RDWR, 0, 0, 0);
    CHECK(fd >= 3);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    char b[10];
    CHECK_EQ(pread(fd, b, 10, 50), 10);
    CHECK_EQ(op_close(fd), 0);
    CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
    CHECK_EQ(op_close(fd), -EBADF);
    fd = op_open(AT_FDCWD, "new", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640, 0, 0);
    CHECK(fd >= 3);
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(op_close(fd), 0);
    CHECK_EQ(op_open(AT_FDCWD, "new", O_CREAT | O_EXCL, 0640, 0, 0), -EEXIST);
    CHECK_EQ(op_open(AT_FDCWD, "none", O_RDONLY, 0, 0, 0), -ENOENT);
    CHECK_EQ(op_open(AT_FDCWD, (char *)8, O_RDONLY, 0, 0, 0), -EFAULT);
    CHECK_EQ(op_open(250, "f", O_RDONLY, 0, 0, 0), -EBADF);
    int dir = OK(open(".", O_RDONLY));
    fd = op_open(dir, "f", O_RDONLY, 0, 0, IOSQE_ASYNC);
    CHECK(fd >= 3);
    CHECK_EQ(op_close(fd), 0);
    CHECK_EQ(op_open(dir, "f", O_RDONLY, 0, 0, IOSQE_FIXED_FILE), -EBADF);
    CHECK_EQ(op_close(r.fd), -EBADF); // not the ring itself
    ring_exit(&r);
    OK(close(dir));
}

// proves: IORING_OP_OPENAT2
TEST(openat2)
{
    struct open_how how = {O_RDONLY, 0, RESOLVE_BENEATH}, bad = {O_RDONLY, 0600, 0};
    ring_init(&r, 8, 0);
    OK(close(mt_file("f", 10)));
    ADD(&r, OPENAT2, AT_FDCWD, "f", sizeof how, (uintptr_t)&how, 1);
    int fd = run(1);
    CHECK(fd >= 3);
    OK(close(fd));
    ADD(&r, OPENAT2, AT_FDCWD, "/etc/passwd", sizeof how, (uintptr_t)&how, 1);
    CHECK_EQ(run(1), -EXDEV);
    ADD(&r, OPENAT2, AT_FDCWD, "f", sizeof how, (uintptr_t)&bad, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, OPENAT2, AT_FDCWD, "f", 8, (uintptr_t)&how, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, OPENAT2, AT_FDCWD, "f", sizeof how, 8, 1);
    CHECK_EQ(run(1), -EFAULT);
    ring_exit(&r);
}

// proves: IORING_OP_OPENAT
TEST(names_are_copied_at_submission)
{
    char name[16] = "f";
    int ev = OK(eventfd(0, 0));
    OK(close(mt_file("f", 10)));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, OPENAT, AT_FDCWD, name, 0, 0, 2)->open_flags = O_RDONLY;
    ring_submit(&r);
    strcpy(name, "other");
    uint64_t v = 1;
    CHECK_EQ(write(ev, &v, 8), 8);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK(c[1].res >= 3);
    OK(close(c[1].res));
    ring_exit(&r);
    OK(close(ev));
}

TEST(descriptors_in_the_table)
{
    int slots[4] = {-1, -1, -1, -1};
    char b[10];
    OK(close(mt_file("f", 100)));
    OK(close(mt_file("g", 5)));
    ring_init(&r, 8, 0);
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY, 0, 1, 0), -ENXIO); // no table
    CHECK_EQ(op_close_slot(0), -ENXIO);
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, 4));
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY, 0, 2 + 1, 0), 0);
    ADD(&r, READ, 2, b, 10, 50, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(3), 10);
    CHECK_EQ(mt_differs(b, 10, 50), -1);
    CHECK_ERR(fcntl(4, F_GETFD), EBADF); // no ordinary descriptor was made
    CHECK_EQ(op_open(AT_FDCWD, "g", O_RDONLY, 0, 2 + 1, 0), 0); // replaces
    ADD(&r, READ, 2, b, 10, 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(3), 5);
    CHECK_EQ(op_close_slot(2), 0);
    CHECK_EQ(op_close_slot(2), -EBADF);
    ADD(&r, READ, 2, b, 10, 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(3), -EBADF);
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY, 0, 4 + 1, 0), -EINVAL); // beyond the table
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY | O_CLOEXEC, 0, 1, 0), -EINVAL);
    CHECK_EQ(op_open(AT_FDCWD, "none", O_RDONLY, 0, 1, 0), -ENOENT);
    CHECK_EQ(op_close_slot(100), -EINVAL);
    ring_exit(&r);
}

TEST(slots_are_allocated)
{
    int slots[3] = {-1, -1, -1};
    OK(close(mt_file("f", 100)));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, 3));
    bool seen[3] = {false};
    for (int i = 0; i < 3; i++) {
        int slot = op_open(AT_FDCWD, "f", O_RDONLY, 0, IORING_FILE_INDEX_ALLOC, 0);
        CHECK(slot >= 0 && slot < 3 && !seen[slot]);
        seen[slot] = true;
    }
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY, 0, IORING_FILE_INDEX_ALLOC, 0), -ENFILE);
    CHECK_EQ(op_close_slot(1), 0);
    CHECK_EQ(op_open(AT_FDCWD, "f", O_RDONLY, 0, IORING_FILE_INDEX_ALLOC, 0), 1);
    ring_exit(&r);
}

TEST(close_errors)
{
    ring_init(&r, 8, 0);
    int null = OK(open("/dev/null", O_RDONLY));
    ADD(&r, CLOSE, null, NULL, 1, 0, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, CLOSE, null, (void *)1, 0, 0, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, CLOSE, null, NULL, 0, 1, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, CLOSE, null, NULL, 0, 0, 1)->buf_index = 1;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, CLOSE, null, NULL, 0, 0, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(1), -EBADF);
    sqe_t *s = ADD(&r, CLOSE, null, NULL, 0, 0, 1); // one or the other
    s->file_index = 1;
    CHECK_EQ(run(1), -EINVAL);
    CHECK_EQ(op_close(-1), -EBADF);
    CHECK_EQ(op_close(null), 0);
    ring_exit(&r);
}

// proves: IORING_OP_STATX
TEST(statx_requests)
{
    int fd = mt_file("f", 777);
    struct statx x, y;
    memset(&x, 0, sizeof x);
    ring_init(&r, 8, 0);
    ADD(&r, STATX, AT_FDCWD, "f", STATX_BASIC_STATS, (uintptr_t)&x, 1);
    CHECK_EQ(run(1), 0);
    OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &y));
    CHECK_EQ(x.stx_size, 777);
    CHECK_EQ(x.stx_ino, y.stx_ino);
    CHECK_EQ(x.stx_mode, y.stx_mode);
    CHECK_EQ(x.stx_mtime.tv_nsec, y.stx_mtime.tv_nsec);
    ADD(&r, STATX, fd, "", STATX_SIZE, (uintptr_t)&x, 1)->statx_flags = AT_EMPTY_PATH;
    CHECK_EQ(run(1), 0);
    ADD(&r, STATX, AT_FDCWD, "none", STATX_SIZE, (uintptr_t)&x, 1);
    CHECK_EQ(run(1), -ENOENT);
    ADD(&r, STATX, AT_FDCWD, "f", STATX_SIZE, 8, 1);
    CHECK_EQ(run(1), -EFAULT);
    ADD(&r, STATX, AT_FDCWD, (void *)8, STATX_SIZE, (uintptr_t)&x, 1);
    CHECK_EQ(run(1), -EFAULT);
    ADD(&r, STATX, AT_FDCWD, "f", 0x80000000, (uintptr_t)&x, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, STATX, AT_FDCWD, "f", STATX_SIZE, (uintptr_t)&x, 1)->statx_flags = 1;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, STATX, 0, "f", STATX_SIZE, (uintptr_t)&x, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(1), -EBADF);
    ADD(&r, STATX, AT_FDCWD, "f", STATX_SIZE, (uintptr_t)&x, 1)->buf_index = 1;
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(close(fd));
}

static int op_rename(const char *from, const char *to, uint32_t flags)
{
    sqe_t *s = ADD(&r, RENAMEAT, AT_FDCWD, from, (uint32_t)AT_FDCWD, (uintptr_t)to, 4);
    s->rename_flags = flags;
    return run(4);
}

static int op_unlink(const char *name, uint32_t flags)
{
    ADD(&r, UNLINKAT, AT_FDCWD, name, 0, 0, 5)->unlink_flags = flags;
    return run(5);
}

// proves: IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT
TEST(names)
{
    struct stat st;
    char b[16] = "";
    ring_init(&r, 8, 0);
    OK(close(mt_file("f", 10)));
    ADD(&r, MKDIRAT, AT_FDCWD, "d", 0750, 0, 1);
    CHECK_EQ(run(1), 0);
    OK(stat("d", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 0750);
    ADD(&r, MKDIRAT, AT_FDCWD, "d", 0750, 0, 1);
    CHECK_EQ(run(1), -EEXIST);
    ADD(&r, SYMLINKAT, AT_FDCWD, "target", 0, (uintptr_t)"l", 2);
    CHECK_EQ(run(2), 0);
    CHECK_EQ(readlink("l", b, sizeof b), 6);
    CHECK_STR(b, "target");
    ADD(&r, SYMLINKAT, AT_FDCWD, "target", 0, (uintptr_t)"l", 2);
    CHECK_EQ(run(2), -EEXIST);
    ADD(&r, LINKAT, AT_FDCWD, "f", (uint32_t)AT_FDCWD, (uintptr_t)"d/g", 3);
    CHECK_EQ(run(3), 0);
    OK(stat("d/g", &st));
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(op_rename("f", "d/h", 0), 0);
    CHECK(!exists("f") && exists("d/h"));
    CHECK_EQ(op_rename("none", "x", 0), -ENOENT);
    CHECK_EQ(op_rename("l", "d/h", RENAME_NOREPLACE), -EEXIST);
    CHECK_EQ(op_rename("l", "d/h", RENAME_EXCHANGE), 0);
    OK(lstat("d/h", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(op_unlink("d", AT_REMOVEDIR), -ENOTEMPTY);
    CHECK_EQ(op_unlink("d", 0), -EISDIR);
    CHECK_EQ(op_unlink("d/g", 0), 0);
    CHECK_EQ(op_unlink("d/h", 0), 0);
    CHECK_EQ(op_unlink("d", AT_REMOVEDIR), 0);
    CHECK(!exists("d"));
    CHECK_EQ(op_unlink("d", 0), -ENOENT);
    CHECK_EQ(op_unlink("l", 8), -EINVAL);
    ring_exit(&r);
}

// proves: IORING_OP_RENAMEAT, IORING_OP_UNLINKAT
TEST(names_relative_to_directories)
{
    OK(mkdir("d", 0755));
    int dir = OK(open("d", O_RDONLY)), file = mt_file("f", 1);
    ring_init(&r, 8, 0);
    ADD(&r, MKDIRAT, dir, "sub", 0755, 0, 1);
    CHECK_EQ(run(1), 0);
    ADD(&r, RENAMEAT, AT_FDCWD, "f", (uint32_t)dir, (uintptr_t)"sub/f", 1);
    CHECK_EQ(run(1), 0);
    ADD(&r, LINKAT, dir, "sub/f", (uint32_t)AT_FDCWD, (uintptr_t)"again", 1);
    CHECK_EQ(run(1), 0);
    ADD(&r, SYMLINKAT, dir, "t", 0, (uintptr_t)"l", 1);
    CHECK_EQ(run(1), 0);
    CHECK(exists("d/sub/f") && exists("again") && exists("d/l"));
    ADD(&r, UNLINKAT, dir, "l", 0, 0, 1);
    CHECK_EQ(run(1), 0);
    ADD(&r, MKDIRAT, file, "x", 0755, 0, 1);
    CHECK_EQ(run(1), -ENOTDIR);
    ADD(&r, MKDIRAT, 250, "x", 0755, 0, 1);
    CHECK_EQ(run(1), -EBADF);
    ring_exit(&r);
    OK(close(dir));
    OK(close(file));
}

TEST(names_bad_requests)
{
    const int ops[] = {IORING_OP_RENAMEAT, IORING_OP_UNLINKAT, IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT};
    ring_init(&r, 8, 0);
    OK(close(mt_file("f", 1)));
    for (unsigned i = 0; i < countof(ops); i++) {
        bool two = ops[i] != IORING_OP_UNLINKAT && ops[i] != IORING_OP_MKDIRAT;
        uint32_t len = ops[i] == IORING_OP_RENAMEAT || ops[i] == IORING_OP_LINKAT ? (uint32_t)AT_FDCWD : 0;
        uint64_t second = two ? (uintptr_t)"x" : 0;
        prep(ring_sqe(&r), ops[i], AT_FDCWD, (void *)8, len, second, 1);
        CHECK_EQ(run(1), -EFAULT);
        if (two) {
            prep(ring_sqe(&r), ops[i], AT_FDCWD, "f", len, 8, 1);
            CHECK_EQ(run(1), -EFAULT);
        }
        prep(ring_sqe(&r), ops[i], AT_FDCWD, "f", len, second, 1)->buf_index = 3;
        CHECK_EQ(run(1), -EINVAL);
        prep(ring_sqe(&r), ops[i], AT_FDCWD, "f", len, second, 1)->splice_fd_in = 3;
        CHECK_EQ(run(1), -EINVAL);
        prep(ring_sqe(&r), ops[i], AT_FDCWD, "f", len, second, 1)->flags = IOSQE_FIXED_FILE;
        CHECK_EQ(run(1), -EBADF);
    }
    CHECK(exists("f") && !exists("x"));
    ring_exit(&r);
}

// proves: IORING_OP_FSYNC, IORING_OP_SYNC_FILE_RANGE
TEST(syncs)
{
    int fd = mt_file("f", 10000), p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, FSYNC, fd, NULL, 0, 0, 1);
    CHECK_EQ(run(1), 0);
    ADD(&r, FSYNC, fd, NULL, 0, 0, 1)->fsync_flags = IORING_FSYNC_DATASYNC;
    CHECK_EQ(run(1), 0);
    ADD(&r, FSYNC, fd, NULL, 100, 50, 1); // a range
    CHECK_EQ(run(1), 0);
    ADD(&r, FSYNC, fd, NULL, 0, 0, 1)->fsync_flags = 2;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, FSYNC, fd, (void *)1, 0, 0, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, FSYNC, 250, NULL, 0, 0, 1);
    CHECK_EQ(run(1), -EBADF);
    ADD(&r, FSYNC, p[0], NULL, 0, 0, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, SYNC_FILE_RANGE, fd, NULL, 0, 0, 1)->sync_range_flags = SYNC_FILE_RANGE_WRITE;
    CHECK_EQ(run(1), 0);
    ADD(&r, SYNC_FILE_RANGE, fd, NULL, 0, 0, 1)->sync_range_flags = 99;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, SYNC_FILE_RANGE, p[1], NULL, 0, 0, 1);
    CHECK_EQ(run(1), -ESPIPE);
    ADD(&r, SYNC_FILE_RANGE, fd, NULL, 10, -5, 1);
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

static int op_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
    ADD(&r, FALLOCATE, fd, (void *)len, mode, off, 1);
    return run(1);
}

// proves: IORING_OP_FALLOCATE
TEST(allocations)
{
    int fd = mt_file("f", 4 * PAGE), p[2];
    struct stat st;
    char b[100];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(op_fallocate(fd, 0, 0, 8 * PAGE), 0);
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 8 * PAGE);
    CHECK_EQ(op_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE), 0);
    CHECK_EQ(pread(fd, b, 100, PAGE), 100);
    CHECK_EQ(b[0], 0);
    CHECK_EQ(op_fallocate(fd, 0, 0, 0), -EINVAL);
    CHECK_EQ(op_fallocate(fd, 0, -1, 10), -EINVAL);
    CHECK_EQ(op_fallocate(fd, 0x8000, 0, 10), -EOPNOTSUPP);
    CHECK_EQ(op_fallocate(p[1], 0, 0, 10), -ESPIPE);
    CHECK_EQ(op_fallocate(250, 0, 0, 10), -EBADF);
    ADD(&r, FALLOCATE, fd, (void *)PAGE, 0, 0, 1)->rw_flags = 1;
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_OP_FADVISE, IORING_OP_MADVISE
TEST(advice)
{
    int fd = mt_file("f", 4 * PAGE), p[2];
    char *m = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    OK(pipe(p));
    memset(m, 5, 4 * PAGE);
    ring_init(&r, 8, 0);
    const int advices[] = {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM, POSIX_FADV_WILLNEED,
                           POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
    for (unsigned i = 0; i < countof(advices); i++) {
        ADD(&r, FADVISE, fd, NULL, 2 * PAGE, 0, 1)->fadvise_advice = advices[i];
        CHECK_EQ(run(1), 0);
    }
    ADD(&r, FADVISE, fd, NULL, 0, 0, 1)->fadvise_advice = 99;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, FADVISE, p[0], NULL, 0, 0, 1)->fadvise_advice = POSIX_FADV_NORMAL;
    CHECK_EQ(run(1), -ESPIPE);
    ADD(&r, MADVISE, -1, m + PAGE, PAGE, 0, 1)->fadvise_advice = MADV_DONTNEED;
    CHECK_EQ(run(1), 0);
    CHECK_EQ(m[PAGE - 1], 5);
    CHECK_EQ(m[PAGE], 0);
    CHECK_EQ(m[2 * PAGE], 5);
    ADD(&r, MADVISE, -1, m + 1, PAGE, 0, 1)->fadvise_advice = MADV_DONTNEED;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, MADVISE, -1, m, PAGE, 0, 1)->fadvise_advice = 999;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, MADVISE, -1, (void *)PAGE, PAGE, 0, 1)->fadvise_advice = MADV_NORMAL;
    CHECK_EQ(run(1), -ENOMEM);
    ADD(&r, MADVISE, -1, m, PAGE, 0, 1)->buf_index = 1;
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(munmap(m, 4 * PAGE));
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

static int op_files_update(const int *fds, uint32_t n, uint64_t offset)
{
    ADD(&r, FILES_UPDATE, -1, fds, n, offset, 1);
    return run(1);
}

// proves: IORING_OP_FILES_UPDATE
TEST(files_update)
{
    int a = mt_file("a", 3), b = mt_file("b", 5), slots[4] = {-1, -1, -1, -1}, fds[] = {a, b};
    char c[8];
    ring_init(&r, 8, 0);
    CHECK_EQ(op_files_update(fds, 2, 0), -ENXIO);
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, 4));
    CHECK_EQ(op_files_update(fds, 2, 1), 2);
    ADD(&r, READ, 2, c, 8, 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(2), 5);
    CHECK_EQ(op_files_update((int[]){-1}, 1, 2), 1);
    ADD(&r, READ, 2, c, 8, 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(2), -EBADF);
    CHECK_EQ(op_files_update(fds, 2, 3), -EINVAL);
    CHECK_EQ(op_files_update(fds, 0, 0), -EINVAL);
    CHECK_EQ(op_files_update((int *)8, 1, 0), -EFAULT);
    CHECK_EQ(op_files_update((int[]){250}, 1, 0), -EBADF);
    ADD(&r, FILES_UPDATE, -1, fds, 1, 0, 1)->rw_flags = 1;
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, FILES_UPDATE, -1, fds, 1, 0, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(close(a));
    OK(close(b));
}

TEST(files_update_allocates)
{
    int f = mt_file("f", 3), slots[3] = {-1, -1, -1}, fds[2] = {f, f};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, 3));
    CHECK_EQ(op_files_update(fds, 2, IORING_FILE_INDEX_ALLOC), 2);
    CHECK(fds[0] >= 0 && fds[0] < 3 && fds[1] >= 0 && fds[1] < 3 && fds[0] != fds[1]); // the slots, written back
    int more[2] = {f, f};
    CHECK_EQ(op_files_update(more, 2, IORING_FILE_INDEX_ALLOC), 1); // one was left
    ring_exit(&r);
    OK(close(f));
}

// proves: IORING_OP_EPOLL_CTL
TEST(epoll_changes)
{
    int ep = OK(epoll_create1(0)), ev = OK(eventfd(1, 0));
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 77}, got;
    ring_init(&r, 8, 0);
    ADD(&r, EPOLL_CTL, ep, &e, EPOLL_CTL_ADD, ev, 1);
    CHECK_EQ(run(1), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(got.data.u64, 77);
    ADD(&r, EPOLL_CTL, ep, &e, EPOLL_CTL_ADD, ev, 1);
    CHECK_EQ(run(1), -EEXIST);
    e.data.u64 = 78;
    ADD(&r, EPOLL_CTL, ep, &e, EPOLL_CTL_MOD, ev, 1);
    CHECK_EQ(run(1), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(got.data.u64, 78);
    ADD(&r, EPOLL_CTL, ep, NULL, EPOLL_CTL_DEL, ev, 1);
    CHECK_EQ(run(1), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    ADD(&r, EPOLL_CTL, ep, NULL, EPOLL_CTL_DEL, ev, 1);
    CHECK_EQ(run(1), -ENOENT);
    ADD(&r, EPOLL_CTL, ep, (void *)8, EPOLL_CTL_ADD, ev, 1);
    CHECK_EQ(run(1), -EFAULT);
    ADD(&r, EPOLL_CTL, ev, &e, EPOLL_CTL_ADD, ep, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, EPOLL_CTL, 250, &e, EPOLL_CTL_ADD, ev, 1);
    CHECK_EQ(run(1), -EBADF);
    ADD(&r, EPOLL_CTL, ep, &e, 77, ev, 1);
    CHECK_EQ(run(1), -EINVAL);
    ADD(&r, EPOLL_CTL, ep, &e, EPOLL_CTL_ADD, ev, 1)->buf_index = 1;
    CHECK_EQ(run(1), -EINVAL);
    ring_exit(&r);
    OK(close(ep));
    OK(close(ev));
}

static sqe_t *add_splice(int in, uint64_t in_off, int out, uint64_t out_off, uint32_t len, uint32_t flags, uint64_t data)
{
    sqe_t *s = ADD(&r, SPLICE, out, NULL, len, out_off, data);
    s->splice_off_in = in_off;
    s->splice_fd_in = in;
    s->splice_flags = flags;
    return s;
}

// proves: IORING_OP_SPLICE, IORING_OP_TEE
TEST(splices)
{
    int fd = mt_file("f", 10000), out = OK(open("g", O_CREAT | O_RDWR, 0600)), p[2], q[2];
    static char b[10000];
    OK(pipe(p));
    OK(pipe(q));
    ring_init(&r, 8, 0);
    add_splice(fd, 1000, p[1], -1, 5000, 0, 1);
    CHECK_EQ(run(1), 5000);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    sqe_t *s = ADD(&r, TEE, q[1], NULL, 2000, 0, 2);
    s->splice_fd_in = p[0];
    CHECK_EQ(run(2), 2000);
    add_splice(p[0], -1, out, 100, 5000, 0, 3);
    CHECK_EQ(run(3), 5000);
    CHECK_EQ(pread(out, b, 10000, 0), 5100);
    CHECK_EQ(mt_differs(b + 100, 5000, 1000), -1);
    CHECK_EQ(read(q[0], b, 10000), 2000);
    CHECK_EQ(mt_differs(b, 2000, 1000), -1);
    add_splice(fd, -1, p[1], -1, 100, 0, 4); // with the position
    CHECK_EQ(run(4), 100);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &fd, 1));
    add_splice(0, 50, p[1], -1, 100, SPLICE_F_FD_IN_FIXED, 5);
    CHECK_EQ(run(5), 100);
    CHECK_EQ(read(p[0], b, 10000), 200);
    CHECK_EQ(mt_differs(b + 100, 100, 50), -1);
    add_splice(fd, -1, out, -1, 10, 0, 6);
    CHECK_EQ(run(6), -EINVAL); // no pipe
    add_splice(250, -1, p[1], -1, 10, 0, 7);
    CHECK_EQ(run(7), -EBADF);
    add_splice(7, -1, p[1], -1, 10, SPLICE_F_FD_IN_FIXED, 7);
    CHECK_EQ(run(7), -EBADF);
    add_splice(fd, -1, p[1], -1, 10, 0x100, 8);
    CHECK_EQ(run(8), -EINVAL);
    add_splice(p[0], 5, out, -1, 10, 0, 9);
    int e = run(9);
    CHECK(e == -ESPIPE || e == -EINVAL);
    add_splice(fd, -1, p[1], -1, 0, 0, 10);
    CHECK_EQ(run(10), 0);
    s = ADD(&r, TEE, q[1], NULL, 10, 0, 11);
    s->splice_fd_in = fd;
    CHECK_EQ(run(11), -EINVAL);
    ring_exit(&r);
    const int fds[] = {fd, out, p[0], p[1], q[0], q[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(a_splice_waits_for_its_pipe)
{
    int out = OK(open("g", O_CREAT | O_RDWR, 0600)), p[2];
    char b[10] = "";
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_splice(p[0], -1, out, -1, 100, 0, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "later", 5), 5);
    CHECK_EQ(ring_wait(&r).res, 5);
    CHECK_EQ(pread(out, b, 10, 0), 5);
    CHECK_STR(b, "later");
    ring_exit(&r);
    OK(close(out));
    OK(close(p[0]));
    OK(close(p[1]));
}

// Without a free descriptor nothing is looked for, and nothing made.
TEST(no_free_descriptor)
{
    struct rlimit old, few;
    int fds[64], n = 0, fd;
    ring_init(&r, 8, 0);
    OK(getrlimit(RLIMIT_NOFILE, &old));
    few = (struct rlimit){.rlim_cur = 30, .rlim_max = old.rlim_max};
    OK(setrlimit(RLIMIT_NOFILE, &few));
    while ((fd = dup(STDIN_FILENO)) >= 0)
        fds[n++] = fd;
    CHECK_EQ(errno, EMFILE);
    CHECK_ERR(open("not there", O_RDONLY), EMFILE);
    CHECK_ERR(open("new", O_RDWR | O_CREAT, 0600), EMFILE);
    ADD(&r, OPENAT, AT_FDCWD, "new", 0600, 0, 1)->open_flags = O_RDWR | O_CREAT;
    CHECK_EQ(ring_result(&r, 1), -EMFILE);
    ADD(&r, ACCEPT, STDIN_FILENO, NULL, 0, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EMFILE);
    CHECK_ERR(access("new", F_OK), ENOENT);
    while (n > 0)
        OK(close(fds[--n]));
    OK(setrlimit(RLIMIT_NOFILE, &old));
    ring_exit(&r);
}
