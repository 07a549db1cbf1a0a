// inotify: waiting, io_uring, limits, lifetimes.
#include "moat_test.h"
#include "uring.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/wait.h>

static int touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    return fd < 0 ? -1 : close(fd);
}

TEST(blocking_read)
{
    int queue = inotify_init1(IN_CLOEXEC);
    CHECK(queue >= 0);
    CHECK(inotify_add_watch(queue, ".", IN_CREATE) > 0);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(20000);
        _exit(touch("late") != 0);
    }
    char b[512] __attribute__((aligned(8)));
    ssize_t n = read(queue, b, sizeof b);
    CHECK(n > (ssize_t)sizeof(struct inotify_event));
    CHECK_STR(((struct inotify_event *)b)->name, "late");
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(queue);
}

TEST(poll_and_epoll)
{
    int queue = inotify_init1(IN_NONBLOCK), e = epoll_create1(0);
    CHECK(inotify_add_watch(queue, ".", IN_CREATE | IN_DELETE) > 0);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    CHECK_EQ(epoll_ctl(e, EPOLL_CTL_ADD, queue, &ev), 0);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    CHECK_EQ(touch("a"), 0);
    CHECK_EQ(epoll_wait(e, &ev, 1, 5000), 1);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    struct pollfd p = { queue, POLLIN | POLLOUT, 0 };
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    char b[512];
    CHECK(read(queue, b, sizeof b) > 0);
    CHECK_ERR(read(queue, b, sizeof b), EAGAIN);
    CHECK_EQ(unlink("a"), 0);
    CHECK_EQ(epoll_wait(e, &ev, 1, 5000), 1);
    close(e);
    close(queue);
}

TEST(uring_read)
{
    struct ring r;
    int queue = inotify_init1(0);
    CHECK(inotify_add_watch(queue, ".", IN_CREATE) > 0);
    ring_init(&r, 4, 0);
    char b[512] __attribute__((aligned(8)));
    sqe_t *sqe = ring_sqe(&r);
    sqe->opcode = IORING_OP_READ;
    sqe->fd = queue;
    sqe->addr = (uintptr_t)b;
    sqe->len = sizeof b;
    sqe->off = -1;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(touch("b"), 0);
    cqe_t cqe = ring_wait(&r);
    CHECK(cqe.res > (int)sizeof(struct inotify_event));
    CHECK_STR(((struct inotify_event *)b)->name, "b");
    ring_exit(&r);
    close(queue);
}

TEST(errors)
{
    CHECK_ERR(inotify_init1(1), EINVAL);
    int queue = inotify_init1(0), other = open(".", O_RDONLY);
    CHECK_ERR(inotify_add_watch(other, ".", IN_CREATE), EINVAL);
    CHECK_ERR(inotify_add_watch(-1, ".", IN_CREATE), EBADF);
    CHECK_ERR(inotify_add_watch(queue, NULL, IN_CREATE), EFAULT);
    CHECK_ERR(inotify_rm_watch(queue, 1), EINVAL);
    CHECK_ERR(inotify_rm_watch(other, 1), EINVAL);
    char c;
    CHECK_ERR(write(queue, "x", 1), EBADF);
    CHECK_ERR(pread(queue, &c, 1, 0), ESPIPE);
    close(queue);
    close(other);
}

TEST(closing_with_events)
{
    for (int i = 0; i < 200; i++) {
        int queue = inotify_init1(0);
        CHECK(queue >= 0);
        CHECK(inotify_add_watch(queue, ".", IN_ALL_EVENTS) > 0);
        CHECK_EQ(touch("x"), 0);
        close(queue);
    }
}
