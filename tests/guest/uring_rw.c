// READ, WRITE, READV, WRITEV, READ_FIXED, WRITE_FIXED on files, pipes and eventfds.
#include "uring.h"
#include <sys/eventfd.h>
#include <sys/resource.h>

#define PAGE 4096ul

// One ring for most of the subtests: they differ in the requests alone.
static struct ring r;

static int rw(int op, int fd, const void *buf, uint32_t len, uint64_t off)
{
    prep(ring_sqe(&r), op, fd, buf, len, off, 42);
    return ring_result(&r, 42);
}

static int rd(int fd, void *buf, uint32_t len, uint64_t off) { return rw(IORING_OP_READ, fd, buf, len, off); }
static int wr(int fd, const void *buf, uint32_t len, uint64_t off) { return rw(IORING_OP_WRITE, fd, buf, len, off); }

static off_t size_of(int fd)
{
    struct stat st;
    OK(fstat(fd, &st));
    return st.st_size;
}

TEST(read_and_write)
{
    int fd = mt_file("f", 10000);
    static char b[20000];
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(fd, b, 100, 0), 100);
    CHECK_EQ(mt_differs(b, 100, 0), -1);
    CHECK_EQ(rd(fd, b + 1, 5001, 777), 5001); // nothing aligned
    CHECK_EQ(mt_differs(b + 1, 5001, 777), -1);
    CHECK_EQ(rd(fd, b, 20000, 0), 10000); // short at the end
    CHECK_EQ(rd(fd, b, 100, 9950), 50);
    CHECK_EQ(rd(fd, b, 100, 10000), 0);
    CHECK_EQ(rd(fd, b, 100, 1ull << 40), 0);
    CHECK_EQ(rd(fd, b, 0, 0), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0); // offsets leave the position alone
    memset(b, 'w', 100);
    CHECK_EQ(wr(fd, b, 100, 50), 100);
    CHECK_EQ(wr(fd, b, 100, 20000), 100); // a hole before it
    CHECK_EQ(size_of(fd), 20100);
    CHECK_EQ(rd(fd, b, 200, 0), 200);
    CHECK_EQ(mt_differs(b, 50, 0), -1);
    CHECK_EQ(b[50], 'w');
    CHECK_EQ(b[149], 'w');
    CHECK_EQ(mt_differs(b + 150, 50, 150), -1);
    CHECK_EQ(wr(fd, b, 0, 0), 0);
    ring_exit(&r);
    OK(close(fd));
}

TEST(the_file_position)
{
    int fd = mt_file("f", 1000);
    char b[100];
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(fd, b, 100, -1), 100);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
    CHECK_EQ(rd(fd, b, 100, -1), 100);
    CHECK_EQ(mt_differs(b, 100, 100), -1);
    CHECK_EQ(wr(fd, b, 10, -1), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 210);
    OK(lseek(fd, 0, SEEK_END));
    CHECK_EQ(rd(fd, b, 100, -1), 0);
    CHECK_EQ(wr(fd, "tail", 4, -1), 4);
    CHECK_EQ(size_of(fd), 1004);
    int append = OK(open("f", O_WRONLY | O_APPEND));
    CHECK_EQ(wr(append, "more", 4, 0), 4); // at the end
    CHECK_EQ(size_of(fd), 1008);
    ring_exit(&r);
    OK(close(append));
    OK(close(fd));
}

// proves: IORING_OP_READV, IORING_OP_WRITEV, IORING_FEAT_RW_CUR_POS
TEST(vectors)
{
    int fd = mt_file("f", 1000);
    char a[10], b[20], c[5];
    struct iovec v[] = {{a, 10}, {NULL, 0}, {b, 20}, {c, 5}};
    ring_init(&r, 8, 0);
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 4, 100), 35);
    CHECK_EQ(mt_differs(a, 10, 100), -1);
    CHECK_EQ(mt_differs(b, 20, 110), -1);
    CHECK_EQ(mt_differs(c, 5, 130), -1);
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 4, 980), 20);
    CHECK_EQ(rw(IORING_OP_WRITEV, fd, v, 4, 2000), 35);
    CHECK_EQ(size_of(fd), 2035);
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 0, 0), 0);
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 1025, 0), -EINVAL);
    CHECK_EQ(rw(IORING_OP_READV, fd, (void *)8, 2, 0), -EFAULT);
    v[1] = (struct iovec){a, SIZE_MAX};
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 4, 0), -EINVAL);
    v[1] = (struct iovec){(void *)8, 10};
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 4, 0), 10);
    v[0] = (struct iovec){(void *)8, 10};
    CHECK_EQ(rw(IORING_OP_READV, fd, v, 4, 0), -EFAULT);
    CHECK_EQ(rw(IORING_OP_WRITEV, fd, v, 4, 0), -EFAULT);
    static struct iovec many[1024];
    static char m[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){m + i, 1};
    CHECK_EQ(rw(IORING_OP_READV, fd, many, 1024, 0), 1024);
    CHECK_EQ(mt_differs(m, 1000, 0), -1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(rw(IORING_OP_READV, fd, many, 10, -1), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_FEAT_SUBMIT_STABLE
TEST(vectors_are_stable_after_submission)
{
    // The vector may go once enter has returned, even if the request waits.
    int p[2];
    char a[4] = "", b[4] = "";
    struct iovec v[2] = {{a, 3}, {b, 3}};
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READV, p[0], v, 2, -1, 1);
    ring_submit(&r);
    memset(v, 0xff, sizeof v);
    CHECK_EQ(write(p[1], "abcdef", 6), 6);
    CHECK_EQ(ring_wait(&r).res, 6);
    CHECK_STR(a, "abc");
    CHECK_STR(b, "def");
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(requests_are_stable_after_submission)
{
    int p[2];
    char b[8] = "";
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b, 7, -1, 1);
    ring_submit(&r);
    memset(r.sqes, 0xff, r.sqe_size); // submitted requests are the kernel's copy
    CHECK_EQ(write(p[1], "stable", 6), 6);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 1);
    CHECK_EQ(c.res, 6);
    CHECK_STR(b, "stable");
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(bad_memory)
{
    int fd = mt_file("f", 3 * PAGE);
    char *m = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    OK(mprotect(m + PAGE, PAGE, PROT_NONE));
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(fd, (void *)8, 100, 0), -EFAULT);
    CHECK_EQ(wr(fd, (void *)8, 100, 0), -EFAULT);
    CHECK_EQ(rd(fd, (void *)0xffff888000000000, 100, 0), -EFAULT);
    CHECK_EQ(rd(fd, m + PAGE - 100, 200, 0), 100); // as far as it goes
    CHECK_EQ(mt_differs(m + PAGE - 100, 100, 0), -1);
    CHECK_EQ(wr(fd, m + PAGE - 100, 200, 5000), 100);
    CHECK_EQ(rd(fd, m + PAGE, 200, 0), -EFAULT);
    CHECK_EQ(rd(fd, (void *)~0ul, 10, 0), -EFAULT);
    CHECK_EQ(rd(fd, m, 0x7fffffff, 0), PAGE);
    CHECK_EQ(rd(fd, m, 0xffffffff, 0), PAGE); // clipped
    OK(mprotect(m, PAGE, PROT_READ));
    CHECK_EQ(rd(fd, m, 10, 0), -EFAULT);
    CHECK_EQ(wr(fd, m, 10, 0), 10);
    ring_exit(&r);
    OK(munmap(m, 2 * PAGE));
    OK(close(fd));
}

TEST(bad_descriptors)
{
    char b[10];
    int ro, wo, dir = OK(open(".", O_RDONLY)), path;
    OK(close(mt_file("f", 100)));
    ro = OK(open("f", O_RDONLY));
    wo = OK(open("f", O_WRONLY));
    path = OK(open("f", O_PATH));
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(-1, b, 10, 0), -EBADF);
    CHECK_EQ(rd(250, b, 10, 0), -EBADF);
    CHECK_EQ(rd(INT_MIN, b, 10, 0), -EBADF);
    CHECK_EQ(rd(wo, b, 10, 0), -EBADF);
    CHECK_EQ(wr(ro, b, 10, 0), -EBADF);
    CHECK_EQ(rd(path, b, 10, 0), -EBADF);
    CHECK_EQ(rd(dir, b, 10, 0), -EISDIR);
    CHECK_EQ(wr(dir, b, 10, 0), -EBADF);
    CHECK_EQ(wr(r.fd, b, 10, 0), -EINVAL);
    ring_exit(&r);
    OK(close(ro));
    OK(close(wo));
    OK(close(dir));
    OK(close(path));
}

TEST(bad_offsets_and_fields)
{
    int fd = mt_file("f", 100), p[2];
    char b[10];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(fd, b, 10, -2), -EINVAL);
    CHECK_EQ(rd(fd, b, 10, 1ull << 63), -EINVAL);
    CHECK_EQ(wr(p[1], "x", 1, 0), 1); // a stream has no position: any is accepted
    CHECK_EQ(rd(p[0], b, 10, 5), 1);
    ADD(&r, READ, fd, b, 10, 0, 1)->rw_flags = 0x8000;
    CHECK_EQ(ring_result(&r, 1), -EOPNOTSUPP);
    ADD(&r, READ, fd, b, 10, 0, 2)->ioprio = 0x8888;
    CHECK_EQ(ring_result(&r, 2), -EINVAL);
    ADD(&r, READ, fd, b, 10, 0, 3)->buf_index = 5; // unused here
    CHECK_EQ(ring_result(&r, 3), 10);
    ring_exit(&r);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(flags_of_one_call)
{
    int fd = mt_file("f", 100);
    char b[100];
    ring_init(&r, 8, 0);
    ADD(&r, READ, fd, b, 100, 0, 1)->rw_flags = RWF_NOWAIT;
    int n = ring_result(&r, 1);
    CHECK(n == 100 || n == -EOPNOTSUPP); // tmpfs does not know it
    ADD(&r, WRITE, fd, b, 10, 0, 2)->rw_flags = RWF_APPEND;
    CHECK_EQ(ring_result(&r, 2), 10);
    CHECK_EQ(size_of(fd), 110);
    ADD(&r, WRITE, fd, b, 10, 0, 3)->rw_flags = RWF_DSYNC;
    CHECK_EQ(ring_result(&r, 3), 10);
    ADD(&r, WRITE, fd, b, 10, 0, 4)->rw_flags = RWF_SYNC;
    CHECK_EQ(ring_result(&r, 4), 10);
    ring_exit(&r);
    OK(close(fd));
}

TEST(in_a_worker)
{
    int fd = mt_file("f", 10000);
    static char b[8][2000];
    ring_init(&r, 8, 0);
    for (int i = 0; i < 8; i++)
        ADD(&r, READ, fd, b[i], 1000, i * 1000, i + 1)->flags = IOSQE_ASYNC;
    ring_submit(&r);
    cqe_t c[8];
    ring_collect(&r, c, 8);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(c[i].res, 1000);
        CHECK_EQ(mt_differs(b[i], 1000, i * 1000), -1);
    }
    for (int i = 0; i < 8; i++) {
        mt_pattern(b[i], 1000, 5000 + i * 1000);
        ADD(&r, WRITE, fd, b[i], 1000, 5000 + i * 1000, i + 1)->flags = IOSQE_ASYNC;
    }
    ring_submit(&r);
    ring_collect(&r, c, 8);
    CHECK_EQ(size_of(fd), 13000);
    ADD(&r, READ, 250, b, 10, 0, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    ADD(&r, READ, fd, (void *)8, 10, 0, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), -EFAULT);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED
TEST(fixed_buffers)
{
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    char *m = OK(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct iovec v = {m, 16 * PAGE};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    mt_pattern(m, 8 * PAGE, 0);
    CHECK_EQ(rw(IORING_OP_WRITE_FIXED, fd, m + 3, 8 * PAGE - 3, 3), 8 * PAGE - 3);
    CHECK_EQ(rw(IORING_OP_WRITE_FIXED, fd, m, 3, 0), 3);
    CHECK_EQ(rw(IORING_OP_READ_FIXED, fd, m + 8 * PAGE, 8 * PAGE, 0), 8 * PAGE);
    CHECK_EQ(mt_differs(m + 8 * PAGE, 8 * PAGE, 0), -1);
    CHECK_EQ(rw(IORING_OP_READ_FIXED, fd, m + 7, 100, 8 * PAGE - 50), 50);
    CHECK_EQ(rw(IORING_OP_READ_FIXED, fd, m, 100, -1), 100); // with the position
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
    ADD(&r, READ_FIXED, fd, m, 100, 0, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), 100);
    int p[2];
    OK(pipe(p));
    CHECK_EQ(rw(IORING_OP_WRITE_FIXED, p[1], m, 5000, 0), 5000);
    CHECK_EQ(rw(IORING_OP_READ_FIXED, p[0], m + 8 * PAGE, 8000, 0), 5000);
    CHECK_EQ(memcmp(m, m + 8 * PAGE, 5000), 0);
    ring_exit(&r);
    OK(munmap(m, 16 * PAGE));
    const int fds[] = {fd, p[0], p[1]};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

// proves: IOSQE_FIXED_FILE
TEST(fixed_files)
{
    int fds[2] = {mt_file("f", 1000), OK(open("g", O_CREAT | O_RDWR, 0600))};
    char b[100];
    struct iovec v = {b, 100};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, fds, 2));
    OK(close(fds[0]));
    ADD(&r, READ, 0, b, 100, 10, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), 100);
    CHECK_EQ(mt_differs(b, 100, 10), -1);
    ADD(&r, WRITEV, 1, &v, 1, 0, 2)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 2), 100);
    CHECK_EQ(size_of(fds[1]), 100);
    ADD(&r, READ, 0, b, 100, -1, 3)->flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 3), 100);
    ADD(&r, READ, 2, b, 100, 0, 4)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 4), -EBADF);
    ring_exit(&r);
    OK(close(fds[1]));
}

TEST(eight_megabytes)
{
    enum { N = 8 << 20 };
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    char *m = OK(mmap(NULL, 2 * N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ring_init(&r, 8, 0);
    mt_pattern(m, N, 0);
    CHECK_EQ(wr(fd, m, N, 0), N);
    CHECK_EQ(rd(fd, m + N, N, 0), N);
    CHECK_EQ(memcmp(m, m + N, N), 0);
    memset(m + N, 0, N);
    for (int i = 0; i < 8; i++)
        ADD(&r, READ, fd, m + N + i * (N / 8), N / 8, i * (N / 8), i + 1);
    ring_submit(&r);
    cqe_t c[8];
    ring_collect(&r, c, 8);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(c[i].res, N / 8);
    CHECK_EQ(memcmp(m, m + N, N), 0);
    ring_exit(&r);
    OK(munmap(m, 2 * N));
    OK(close(fd));
}

// proves: IORING_OP_READ, IORING_FEAT_FAST_POLL
TEST(a_pipe_read_waits)
{
    int p[2];
    char b[64];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b, sizeof b, -1, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "hello", 5), 5);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, 5);
    CHECK_EQ(memcmp(b, "hello", 5), 0);
    ADD(&r, READ, p[0], b, sizeof b, 0, 2)->flags = IOSQE_ASYNC; // a worker waits in its place
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "again", 5), 5);
    CHECK_EQ(ring_wait(&r).res, 5);
    ADD(&r, READ, p[0], b, sizeof b, -1, 3);
    ring_submit(&r);
    OK(close(p[1])); // the end of the file
    CHECK_EQ(ring_wait(&r).res, 0);
    ring_exit(&r);
    OK(close(p[0]));
}

TEST(several_reads_of_one_pipe)
{
    int p[2];
    char b[4][8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++)
        ADD(&r, READ, p[0], b[i], 2, -1, i + 1);
    ring_submit(&r);
    CHECK_EQ(write(p[1], "aabbccdd", 8), 8);
    cqe_t c[4];
    ring_collect(&r, c, 4);
    int seen[4] = {0};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(c[i].res, 2);
        CHECK_EQ(b[i][0], b[i][1]);
        seen[b[i][0] - 'a']++;
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(seen[i], 1); // each byte once
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_OP_WRITE
TEST(a_full_pipe_waits)
{
    int p[2];
    static char big[65536], b[65536];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    CHECK_EQ(wr(p[1], big, sizeof big, 0), sizeof big);
    ADD(&r, WRITE, p[1], "more", 4, 0, 1);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(read(p[0], b, sizeof b), sizeof b);
    CHECK_EQ(ring_wait(&r).res, 4);
    CHECK_EQ(read(p[0], b, sizeof b), 4);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(a_broken_pipe)
{
    int p[2];
    OK(pipe(p));
    OK(close(p[0]));
    OK(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    ring_init(&r, 8, 0);
    CHECK_EQ(wr(p[1], "x", 1, 0), -EPIPE);
    ring_exit(&r);
    OK(close(p[1]));
}

TEST(nonblocking_descriptors_wait_too)
{
    // O_NONBLOCK is for the calls; a request waits unless it says RWF_NOWAIT itself.
    int p[2], ev = OK(eventfd(0, EFD_NONBLOCK));
    char b[2][8];
    uint64_t v = 3;
    OK(pipe2(p, O_NONBLOCK));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b[0], 8, -1, 1);
    ADD(&r, READ, ev, b[1], 8, -1, 2);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(write(ev, &v, 8), 8);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, 3);
    CHECK_EQ(c[1].res, 8);
    ADD(&r, READ, p[0], b[0], 8, -1, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    ADD(&r, READ, ev, b[1], 8, -1, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    ADD(&r, READ, p[0], b[0], 8, -1, 1)->flags = IOSQE_ASYNC;
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "ab", 2), 2);
    CHECK_EQ(ring_wait(&r).res, 2);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(ev));
}

TEST(nowait_on_a_blocking_pipe)
{
    int p[2];
    char b[8];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    ADD(&r, READ, p[0], b, 8, -1, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    CHECK_EQ(write(p[1], "x", 1), 1);
    ADD(&r, READ, p[0], b, 8, -1, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), 1);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(eventfds)
{
    int ev = OK(eventfd(0, 0)), count = OK(eventfd(3, EFD_SEMAPHORE));
    uint64_t v = 0, w = 7;
    ring_init(&r, 8, 0);
    ADD(&r, READ, ev, &v, 8, 0, 1);
    ring_submit(&r);
    ring_quiet(&r);
    ADD(&r, WRITE, ev, &w, 8, 0, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, 8);
    CHECK_EQ(c[1].res, 8);
    CHECK_EQ(v, 7);
    CHECK_EQ(rd(count, &v, 8, 0), 8);
    CHECK_EQ(v, 1);
    CHECK_EQ(rd(count, &v, 4, 0), -EINVAL);
    CHECK_EQ(wr(ev, &w, 4, 0), -EINVAL);
    ring_exit(&r);
    OK(close(ev));
    OK(close(count));
}

TEST(special_files)
{
    int zero = OK(open("/dev/zero", O_RDWR)), null = OK(open("/dev/null", O_RDWR)), full = OK(open("/dev/full", O_RDWR));
    int proc = OK(open("/proc/self/status", O_RDONLY)), random = OK(open("/dev/urandom", O_RDONLY));
    char b[100] = "x";
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(zero, b, 100, 0), 100);
    CHECK_EQ(b[0], 0);
    CHECK_EQ(rd(null, b, 100, 0), 0);
    CHECK_EQ(wr(null, b, 100, 0), 100);
    CHECK_EQ(wr(full, b, 100, 0), -ENOSPC);
    CHECK_EQ(rd(random, b, 100, 0), 100);
    CHECK_EQ(rd(proc, b, 5, 0), 5);
    CHECK_EQ(memcmp(b, "Name:", 5), 0);
    ring_exit(&r);
    const int fds[] = {zero, null, full, proc, random};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(the_file_size_limit)
{
    int fd = mt_file("f", 500);
    static char b[800];
    struct rlimit old, tight;
    OK(getrlimit(RLIMIT_FSIZE, &old));
    tight = (struct rlimit){1000, old.rlim_max};
    OK(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    ring_init(&r, 8, 0);
    OK(setrlimit(RLIMIT_FSIZE, &tight));
    int at = wr(fd, b, 800, 500), beyond = wr(fd, b, 1, 1000);
    OK(setrlimit(RLIMIT_FSIZE, &old));
    CHECK_EQ(at, 500);
    CHECK_EQ(beyond, -EFBIG);
    ring_exit(&r);
    OK(close(fd));
}

TEST(memory_maps_of_the_file)
{
    int fd = mt_file("f", 4 * PAGE);
    char *m = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ring_init(&r, 8, 0);
    CHECK_EQ(rd(fd, m + 2 * PAGE, PAGE, 0), PAGE); // into a map of itself
    CHECK_EQ(mt_differs(m + 2 * PAGE, PAGE, 0), -1);
    CHECK_EQ(wr(fd, m + PAGE, PAGE, 3 * PAGE), PAGE);
    CHECK_EQ(mt_differs(m + 3 * PAGE, PAGE, PAGE), -1);
    ring_exit(&r);
    OK(munmap(m, 4 * PAGE));
    OK(close(fd));
}

TEST(batches_against_memory)
{
    // Random reads and writes of disjoint pieces, each batch checked against a copy in memory.
    enum { SIZE = 1 << 20, PIECE = SIZE / 64 };
    int fd = mt_file("f", SIZE);
    static unsigned char model[SIZE], bufs[64][PIECE];
    uint64_t seed = 20240607;
    mt_pattern(model, SIZE, 0);
    ring_init(&r, 64, 0);
    for (int round = 0; round < 40; round++) {
        struct {
            uint32_t off, len;
            bool write;
        } op[64];
        int n = 1 + (int)(mt_random(&seed) % 64);
        for (int i = 0; i < n; i++) {
            op[i].write = mt_random(&seed) & 1;
            op[i].len = (uint32_t)(1 + mt_random(&seed) % PIECE);
            op[i].off = (uint32_t)(i * PIECE + mt_random(&seed) % (PIECE - op[i].len + 1));
            if (op[i].write)
                for (uint32_t j = 0; j < op[i].len; j++)
                    bufs[i][j] = (unsigned char)mt_random(&seed);
            sqe_t *s = prep(ring_sqe(&r), op[i].write ? IORING_OP_WRITE : IORING_OP_READ, fd, bufs[i], op[i].len, op[i].off, i + 1);
            if (mt_random(&seed) % 5 == 0)
                s->flags |= IOSQE_ASYNC;
        }
        ring_submit(&r);
        cqe_t c[64];
        ring_collect(&r, c, n);
        for (int i = 0; i < n; i++) {
            CHECK_EQ(c[i].res, op[i].len);
            if (op[i].write)
                memcpy(model + op[i].off, bufs[i], op[i].len);
            else
                CHECK_EQ(memcmp(model + op[i].off, bufs[i], op[i].len), 0);
        }
    }
    static unsigned char all[SIZE];
    CHECK_EQ(pread(fd, all, SIZE, 0), SIZE);
    CHECK_EQ(memcmp(all, model, SIZE), 0);
    ring_exit(&r);
    OK(close(fd));
}

TEST(direct_reads_of_the_program)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT), plain = OK(open("/proc/self/exe", O_RDONLY));
    if (fd < 0)
        SKIP("no O_DIRECT here");
    char *b = OK(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *c = b + 8 * PAGE;
    struct stat st;
    OK(fstat(fd, &st));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 40; i++) {
        off_t at = PAGE * (i % 5);
        CHECK_EQ(rd(fd, b, PAGE, at), PAGE);
        CHECK_EQ(pread(plain, c, PAGE, at), PAGE);
        CHECK_EQ(memcmp(b, c, PAGE), 0);
    }
    CHECK_EQ(rd(fd, b, 100, 0), -EINVAL);
    CHECK_EQ(rd(fd, b, PAGE, 100), -EINVAL);
    CHECK_EQ(rd(fd, b + 1, PAGE, 0), -EINVAL);
    CHECK_EQ(rd(fd, b, 7, st.st_size + 1), 0);
    CHECK_EQ(rd(fd, b, PAGE, st.st_size & ~(PAGE - 1)), st.st_size % PAGE);
    OK(fcntl(fd, F_SETFL, 0));
    CHECK_EQ(rd(fd, b, 100, 0), 100);
    ring_exit(&r);
    OK(munmap(b, 16 * PAGE));
    OK(close(fd));
    OK(close(plain));
}

// What a disk asks of direct I/O, and which flags files of a disk, of memory and of /proc take.
TEST(direct_io_is_aligned)
{
    struct ring r;
    ring_init(&r, 8, 0);
    char *b = OK(mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644);
    if (fd < 0)
        SKIP("no O_DIRECT here");
    struct statx st;
    OK(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x2000 | STATX_BASIC_STATS, &st));
    if ((st.stx_mask & 0x2000) == 0)
        SKIP("the file system does not tell what it asks for");
    ADD(&r, WRITE, fd, b, 8192, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 8192);
    for (int off = 1; off < 512; off = off * 3 + 1) {
        ADD(&r, WRITE, fd, b + off, 4096, 0, 1);
        CHECK_EQ(ring_result(&r, 1), -EINVAL);
        ADD(&r, WRITE, fd, b, 4096, off, 1);
        CHECK_EQ(ring_result(&r, 1), -EINVAL);
        ADD(&r, WRITE, fd, b, off, 0, 1);
        CHECK_EQ(ring_result(&r, 1), -EINVAL);
        ADD(&r, READ, fd, b + off, 4096, 0, 1);
        CHECK_EQ(ring_result(&r, 1), -EINVAL);
        ADD(&r, READ, fd, b, 4096, off, 1);
        CHECK_EQ(ring_result(&r, 1), -EINVAL);
        ADD(&r, READ, fd, b, 4096, 8192 + off, 1);
        CHECK_EQ(ring_result(&r, 1), 0);
    }
    ADD(&r, READ, fd, b + 512, 1024, 7680, 1);
    CHECK_EQ(ring_result(&r, 1), 512);
    OK(ftruncate(fd, 5000));
    ADD(&r, READ, fd, b, 8192, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 5000);
    OK(close(fd));
    ring_exit(&r);
}

TEST(flags_by_kind_of_file)
{
    struct ring r;
    ring_init(&r, 8, 0);
    char b[64] = "";
    uint64_t one = 1;
    const int RWF_DONTCACHE_ = 0x80;
    int fd = OK(open("plain", O_RDWR | O_CREAT, 0644)), proc = OK(open("/proc/self/stat", O_RDONLY)), ev = OK(eventfd(1, 0)), mem = OK(memfd_create("m", 0));
    ADD(&r, WRITE, fd, b, 64, 0, 1)->rw_flags = RWF_DONTCACHE_;
    CHECK_EQ(ring_result(&r, 1), 64);
    ADD(&r, READ, fd, b, 64, 0, 1)->rw_flags = RWF_DONTCACHE_;
    CHECK_EQ(ring_result(&r, 1), 64);
    ADD(&r, WRITE, mem, b, 64, 0, 1)->rw_flags = RWF_DONTCACHE_;
    CHECK_EQ(ring_result(&r, 1), -EOPNOTSUPP);
    ADD(&r, WRITE, fd, b, 64, 0, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    struct iovec v = { b, 64 };
    CHECK_ERR(pwritev2(fd, &v, 1, 0, RWF_NOWAIT), EOPNOTSUPP);
    struct io_uring_sqe *s = ADD(&r, WRITE, fd, b, 64, 0, 1);
    s->rw_flags = RWF_NOWAIT, s->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), 64);
    ADD(&r, READ, proc, b, 10, 0, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EOPNOTSUPP);
    ADD(&r, WRITE, ev, &one, 8, 0, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), -EAGAIN);
    ADD(&r, READ, ev, &one, 8, 0, 1)->rw_flags = RWF_NOWAIT;
    CHECK_EQ(ring_result(&r, 1), 8);
    CHECK_EQ(one, 1);
    CHECK_ERR(fallocate(mem, FALLOC_FL_ZERO_RANGE, 0, 64), EOPNOTSUPP);
    OK(close(fd));
    OK(close(proc));
    OK(close(ev));
    OK(close(mem));
    ring_exit(&r);
}
