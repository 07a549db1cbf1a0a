// Rings and forks: what is under way belongs to who submitted it; rings are shared as their descriptors and mappings are.
#include "moat_test.h"
#include "uring.h"
#include <poll.h>
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
    memset(p, 'p', size);
    return p;
}

TEST(a_read_under_way_is_the_parents)
{
    // Small memory is copied at the fork, large memory when somebody writes.
    for (size_t size = MIB; size <= 16 * MIB; size *= 16) {
        unsigned char *p = big(size);
        struct ring r;
        ring_init(&r, 8, 0);
        int data[2], turn[2];
        OK(pipe(data));
        OK(pipe(turn));
        ADD(&r, READ, data[0], p + 5000, 6, 0, 7);
        ring_submit(&r);
        pid_t pid = fork();
        if (pid == 0) {
            char c;
            EXPECT(read(turn[0], &c, 1) == 1);
            EXPECT(memcmp(p + 5000, "pppppp", 6) == 0);
            _exit(0);
        }
        p[4000] = 'q';
        CHECK_EQ(write(data[1], "answer", 6), 6);
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, 7);
        CHECK_EQ(c.res, 6);
        CHECK(memcmp(p + 4999, "panswerp", 8) == 0);
        CHECK_EQ(write(turn[1], "x", 1), 1);
        CHECK_EQ(wait_for(pid), 0);
        ring_exit(&r);
        close(data[0]), close(data[1]), close(turn[0]), close(turn[1]);
        munmap(p, size);
    }
}

TEST(registered_buffers_stay_the_parents)
{
    const size_t size = 16 * MIB;
    unsigned char *p = big(size);
    struct ring r;
    ring_init(&r, 8, 0);
    struct iovec v = {p + 6 * MIB, 64 << 10};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    int fd = mt_file("data", 64 << 10), turn[2];
    OK(pipe(turn));
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        EXPECT(read(turn[0], &c, 1) == 1);
        for (size_t i = 0; i < size; i += 1000)
            EXPECT(p[i] == 'p');
        memset(p, 'c', size);
        _exit(0);
    }
    p[6 * MIB - 1] = 'q'; // next to what is pinned
    ADD(&r, READ_FIXED, fd, p + 6 * MIB, 64 << 10, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 64 << 10);
    CHECK_EQ(mt_differs(p + 6 * MIB, 64 << 10, 0), -1);
    CHECK_EQ(write(turn[1], "x", 1), 1);
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(mt_differs(p + 6 * MIB, 64 << 10, 0), -1);
    CHECK(p[0] == 'p' && p[size - 1] == 'p');
    ADD(&r, WRITE_FIXED, fd, p + 6 * MIB, 100, 64 << 10, 2);
    CHECK_EQ(ring_result(&r, 2), 100);
    ring_exit(&r);
    close(fd), close(turn[0]), close(turn[1]);
    munmap(p, size);
}

TEST(reads_of_a_file_into_memory_that_is_copied_on_write)
{
    const size_t size = 16 * MIB;
    unsigned char *p = big(size);
    struct ring r;
    ring_init(&r, 16, 0);
    int fd = mt_file("data", MIB), turn[2];
    OK(pipe(turn));
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        EXPECT(read(turn[0], &c, 1) == 1);
        for (size_t i = 0; i < size; i += 500)
            EXPECT(p[i] == 'p');
        _exit(0);
    }
    for (int i = 0; i < 8; i++) {
        sqe_t *s = ADD(&r, READ, fd, p + i * 2 * MIB + 77, 100000, i * 1000, i + 1);
        if (i & 1)
            s->flags |= IOSQE_ASYNC;
    }
    ring_submit(&r);
    cqe_t c[8];
    ring_collect(&r, c, 8);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(c[i].res, 100000);
        CHECK_EQ(mt_differs(p + i * 2 * MIB + 77, 100000, i * 1000), -1);
        CHECK(p[i * 2 * MIB + 76] == 'p' && p[i * 2 * MIB + 77 + 100000] == 'p');
    }
    CHECK_EQ(write(turn[1], "x", 1), 1);
    CHECK_EQ(wait_for(pid), 0);
    ring_exit(&r);
    close(fd), close(turn[0]), close(turn[1]);
    munmap(p, size);
}

TEST(a_child_submits_to_the_ring_it_inherited)
{
    struct ring r;
    ring_init(&r, 8, 0);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char private[16] = "parent";
    int fd = mt_file("data", 4096);
    pid_t pid = fork();
    if (pid == 0) {
        // In the child's memory.
        ADD(&r, READ, fd, private, 8, 0, 5);
        ring_publish(&r);
        EXPECT(u_enter(r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
        cqe_t c;
        EXPECT(ring_peek(&r, &c) && c.user_data == 5 && c.res == 8 && mt_differs(private, 8, 0) == -1);
        shared[0] = 1;
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(shared[0], 1);
    CHECK_STR(private, "parent");
    r.tail = r.published = atomic_load(r.sq_tail);
    add_nop(&r, 9);
    CHECK_EQ(ring_result(&r, 9), 0);
    ring_exit(&r);
    close(fd);
    munmap(shared, 4096);
}

TEST(what_a_child_submitted_is_cancelled_when_it_could_go_on)
{
    struct ring r;
    ring_init(&r, 8, 0);
    int p[2];
    OK(pipe(p));
    pid_t pid = fork();
    if (pid == 0) {
        char b;
        ADD(&r, READ, p[0], &b, 1, 0, 3);
        ring_publish(&r);
        EXPECT(u_enter(r.fd, 1, 0, 0, NULL, 0) == 1);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    r.tail = r.published = atomic_load(r.sq_tail);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 3);
    CHECK_EQ(c.res, -ECANCELED);
    ring_exit(&r);
    close(p[0]), close(p[1]);
}

TEST(what_the_parent_submitted_outlives_a_child)
{
    struct ring r;
    ring_init(&r, 8, 0);
    int p[2];
    OK(pipe(p));
    char b = 0;
    ADD(&r, READ, p[0], &b, 1, 0, 3);
    ring_submit(&r);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        CHECK_EQ(wait_for(pid), 0);
    }
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "z", 1), 1);
    cqe_t c = ring_wait(&r);
    CHECK(c.user_data == 3 && c.res == 1 && b == 'z');
    ring_exit(&r);
    close(p[0]), close(p[1]);
}

TEST(a_program_that_is_executed_ends_the_requests)
{
    // The write end that the request holds goes with the ring.
    int p[2];
    OK(pipe(p));
    int full[2];
    OK(pipe(full));
    pid_t pid = fork();
    if (pid == 0) {
        struct ring r;
        ring_init(&r, 8, 0);
        fcntl(r.fd, F_SETFD, FD_CLOEXEC);
        fcntl(p[0], F_SETFD, FD_CLOEXEC);
        fcntl(p[1], F_SETFD, FD_CLOEXEC);
        add_poll(&r, p[1], POLLERR, 1);
        ring_publish(&r);
        EXPECT(u_enter(r.fd, 1, 0, 0, NULL, 0) == 1);
        execl("/bin/sleep", "sleep", "100", NULL);
        _exit(1);
    }
    close(p[1]);
    char b;
    CHECK_EQ(read(p[0], &b, 1), 0);
    close(p[0]), close(full[0]), close(full[1]);
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
}

#include <sys/socket.h>
#include <sys/uio.h>

TEST(several_buffers_that_are_copied_on_write)
{
    const size_t size = 16 * MIB;
    unsigned char *p = big(size);
    struct ring r;
    ring_init(&r, 8, 0);
    int fd = mt_file("data", 64 << 10), turn[2], pair[2];
    OK(pipe(turn));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        EXPECT(read(turn[0], &c, 1) == 1);
        for (size_t i = 0; i < size; i += 100)
            EXPECT(p[i] == 'p');
        _exit(0);
    }
    struct iovec v[4];
    for (int i = 0; i < 4; i++)
        v[i] = (struct iovec){p + i * 2 * MIB + 10, 1000};
    ADD(&r, READV, fd, v, 4, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 4000);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(mt_differs(v[i].iov_base, 1000, i * 1000), -1);
        v[i].iov_base = p + (8 + i * 2) * MIB + 10;
    }
    static char text[4000];
    memset(text, 't', sizeof text);
    CHECK_EQ(write(pair[1], text, sizeof text), sizeof text);
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 4};
    CHECK_EQ(recvmsg(pair[0], &m, 0), 4000);
    for (int i = 0; i < 4; i++)
        CHECK(memcmp(v[i].iov_base, text, 1000) == 0 && p[(8 + i * 2) * MIB + 9] == 'p');
    CHECK_EQ(write(turn[1], "x", 1), 1);
    CHECK_EQ(wait_for(pid), 0);
    ring_exit(&r);
    close(fd), close(turn[0]), close(turn[1]), close(pair[0]), close(pair[1]);
    munmap(p, size);
}
