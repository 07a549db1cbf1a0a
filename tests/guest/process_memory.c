// Memory of forked processes: whoever writes, the others do not see it, however much there is.
#include "moat_test.h"
#include <sys/uio.h>
#include <sys/wait.h>

#define EXPECT(cond) do { if (!(cond)) _exit(__LINE__ % 200 + 1); } while (0)
#define MIB (1ul << 20)

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static unsigned char *big(size_t size)
{
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    mt_pattern(p, size, 0);
    return p;
}

// Two processes take turns through a pair of pipes.
struct turns { int to_child[2], to_parent[2]; };

static struct turns turns_make(void)
{
    struct turns t;
    OK(pipe(t.to_child));
    OK(pipe(t.to_parent));
    return t;
}

static void turns_close(struct turns t)
{
    close(t.to_child[0]), close(t.to_child[1]), close(t.to_parent[0]), close(t.to_parent[1]);
}

static void give(int fd) { if (write(fd, "x", 1) != 1) abort(); }
static void await(int fd) { char c; if (read(fd, &c, 1) != 1) _exit(99); }

TEST(both_sides_write_much)
{
    const size_t size = 24 * MIB;
    unsigned char *p = big(size);
    struct turns t = turns_make();
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < size; i += 4096 * 3)
            p[i] = 0xcc;
        give(t.to_parent[1]);
        await(t.to_child[0]);
        for (size_t i = 0; i < size; i += 4096)
            EXPECT(p[i] == (i % (4096 * 3) == 0 ? 0xcc : mt_byte(i)) && p[i + 1] == mt_byte(i + 1));
        _exit(0);
    }
    await(t.to_parent[0]);
    CHECK_EQ(mt_differs(p, size, 0), -1);
    for (size_t i = 0; i < size; i += 4096 * 5)
        p[i] = 0xdd;
    for (size_t i = 0; i < size; i += 4096)
        CHECK(p[i] == (i % (4096 * 5) == 0 ? 0xdd : mt_byte(i)));
    give(t.to_child[1]);
    CHECK_EQ(wait_for(pid), 0);
    for (size_t i = 0; i < size; i += 4096)
        CHECK(p[i] == (i % (4096 * 5) == 0 ? 0xdd : mt_byte(i)));
    turns_close(t);
    munmap(p, size);
}

TEST(random_writes_of_four_processes)
{
    const size_t size = 8 * MIB;
    unsigned char *p = big(size);
    uint64_t seed = 12345;
    pid_t pids[4];
    for (int c = 0; c < 4; c++) {
        // Each child starts from what the parent has by then.
        for (int i = 0; i < 50; i++)
            p[mt_random(&seed) % size] = c;
        unsigned char *copy = malloc(size);
        memcpy(copy, p, size);
        pids[c] = fork();
        if (pids[c] == 0) {
            uint64_t s = c + 99;
            for (int i = 0; i < 2000; i++) {
                size_t at = mt_random(&s) % size;
                unsigned char v = mt_random(&s);
                EXPECT(p[at] == copy[at]);
                p[at] = copy[at] = v;
            }
            EXPECT(memcmp(p, copy, size) == 0);
            if (c == 1) { // a grandchild in between
                pid_t g = fork();
                if (g == 0) {
                    memset(p, 1, size / 2);
                    EXPECT(memcmp(p + size / 2, copy + size / 2, size / 2) == 0);
                    _exit(0);
                }
                int status;
                EXPECT(waitpid(g, &status, 0) == g && status == 0);
                EXPECT(memcmp(p, copy, size) == 0);
            }
            _exit(0);
        }
        free(copy);
    }
    for (int c = 0; c < 4; c++)
        CHECK_EQ(wait_for(pids[c]), 0);
    munmap(p, size);
}

TEST(the_kernel_writes_into_shared_pages)
{
    const size_t size = 8 * MIB;
    unsigned char *p = big(size);
    int fd = mt_file("data", 1 * MIB);
    struct turns t = turns_make();
    pid_t pid = fork();
    if (pid == 0) {
        await(t.to_child[0]);
        EXPECT(mt_differs(p, size, 0) == -1);
        struct iovec v[3] = {{p + 100, 5000}, {p + 3 * MIB + 7, 100000}, {p + 7 * MIB, 10}};
        EXPECT(preadv(fd, v, 3, 12) == 105010);
        EXPECT(mt_differs(p + 100, 5000, 12) == -1 && mt_differs(p + 3 * MIB + 7, 100000, 5012) == -1 && mt_differs(p, 100, 0) == -1);
        _exit(0);
    }
    CHECK_EQ(pread(fd, p + 5, MIB, 3), MIB - 3);
    CHECK_EQ(mt_differs(p + 5, MIB - 3, 3), -1);
    CHECK_EQ(mt_differs(p, 5, 0), -1);
    CHECK_EQ(mt_differs(p + MIB + 2, size - MIB - 2, MIB + 2), -1);
    struct timespec *ts = (struct timespec *)(p + 5 * MIB);
    CHECK_EQ(clock_getres(CLOCK_MONOTONIC, ts), 0);
    struct stat *st = (struct stat *)(p + 6 * MIB + 4000);
    CHECK_EQ(fstat(fd, st), 0);
    CHECK_EQ(st->st_size, MIB);
    give(t.to_child[1]);
    CHECK_EQ(wait_for(pid), 0);
    turns_close(t);
    close(fd);
    munmap(p, size);
}

TEST(mprotect_and_mremap_of_shared_pages)
{
    const size_t size = 8 * MIB;
    unsigned char *p = big(size);
    struct turns t = turns_make();
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(mprotect(p, size, PROT_READ) == 0 && mprotect(p, size, PROT_READ | PROT_WRITE) == 0);
        p[0] = 1;
        unsigned char *q = mremap(p, size, size * 2, MREMAP_MAYMOVE);
        EXPECT(q != MAP_FAILED && q[0] == 1 && mt_differs(q + 1, size - 1, 1) == -1 && q[size] == 0);
        q[5] = 2;
        EXPECT(madvise(q + MIB, MIB, MADV_DONTNEED) == 0 && q[MIB] == 0 && mt_differs(q + 2 * MIB, MIB, 2 * MIB) == -1);
        EXPECT(munmap(q + 3 * MIB, MIB) == 0);
        q[4 * MIB] = 9;
        give(t.to_parent[1]);
        await(t.to_child[0]);
        _exit(0);
    }
    await(t.to_parent[0]);
    CHECK_EQ(mt_differs(p, size, 0), -1);
    CHECK_EQ(madvise(p, MIB, MADV_DONTNEED), 0);
    CHECK_EQ(p[0], 0);
    p[2 * MIB] = 3;
    CHECK_EQ(mt_differs(p + 2 * MIB + 1, size - 2 * MIB - 1, 2 * MIB + 1), -1);
    give(t.to_child[1]);
    CHECK_EQ(wait_for(pid), 0);
    turns_close(t);
    munmap(p, size);
}

TEST(memory_of_children_that_ended_is_the_parents_again)
{
    const size_t size = 16 * MIB;
    unsigned char *p = big(size);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            p[i * 4096] = 200;
            EXPECT(mt_differs(p + 30 * 4096, size - 30 * 4096, 30 * 4096) == -1);
            _exit(0);
        }
        p[MIB * (i % 16) + 3] = mt_byte(MIB * (i % 16) + 3);
        CHECK_EQ(wait_for(pid), 0);
    }
    CHECK_EQ(mt_differs(p, size, 0), -1);
    mt_pattern(p, size, 5);
    CHECK_EQ(mt_differs(p, size, 5), -1);
    munmap(p, size);
}

static atomic_int stop;

static void *writes(void *arg)
{
    unsigned char *p = arg;
    for (unsigned i = 0; !stop; i++) {
        // A pair of words that every snapshot sees in order.
        ((volatile unsigned *)p)[0] = i;
        ((volatile unsigned *)p)[1024 * 40] = i;
    }
    return NULL;
}

TEST(a_thread_writes_during_forks)
{
    const size_t size = 8 * MIB;
    unsigned char *p = big(size);
    memset(p, 0, 1024 * 200);
    stop = 0;
    pthread_t t = mt_thread(writes, p);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            unsigned a = ((volatile unsigned *)p)[0], b = ((volatile unsigned *)p)[1024 * 40];
            EXPECT(a == b || a == b + 1);
            mt_sleep_us(500);
            EXPECT(((volatile unsigned *)p)[0] == a && ((volatile unsigned *)p)[1024 * 40] == b);
            _exit(0);
        }
        CHECK_EQ(wait_for(pid), 0);
    }
    stop = 1;
    OK0(pthread_join(t, NULL));
    munmap(p, size);
}

TEST(private_file_pages)
{
    int fd = mt_file("data", 6 * MIB);
    unsigned char *p = mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    for (size_t i = 0; i < 6 * MIB; i += 4096)
        p[i] = 0x11;
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < 6 * MIB; i += 8192)
            p[i] = 0x22;
        for (size_t i = 0; i < 6 * MIB; i += 4096)
            EXPECT(p[i] == (i % 8192 ? 0x11 : 0x22) && p[i + 9] == mt_byte(i + 9));
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    for (size_t i = 0; i < 6 * MIB; i += 4096)
        CHECK_EQ(p[i], 0x11);
    char b;
    CHECK_EQ(pread(fd, &b, 1, 4096), 1);
    CHECK_EQ((unsigned char)b, mt_byte(4096));
    munmap(p, 6 * MIB);
    close(fd);
}

TEST(a_gigabyte)
{
    const size_t size = 1024 * MIB;
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < size; i += 4096)
        *(size_t *)(p + i) = i;
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < size; i += 31 * MIB)
            EXPECT(*(size_t *)(p + i) == i);
        p[size - 1] = 5;
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(p[size - 1], 0);
    munmap(p, size);
}
