// POSIX message queues.
#include "moat_test.h"
#include <mqueue.h>
#include <poll.h>
#include <sys/wait.h>

static char name[64];

static mqd_t open_queue(long messages, long size, int flags)
{
    snprintf(name, sizeof name, "/moat-test-%d", getpid());
    mq_unlink(name);
    struct mq_attr a = { .mq_maxmsg = messages, .mq_msgsize = size };
    mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);
    if (q == (mqd_t)-1 && errno == ENOSYS)
        SKIP("no POSIX queues here");
    CHECK(q >= 0);
    return q;
}

TEST(order_of_priorities)
{
    mqd_t q = open_queue(4, 16, 0);
    char b[16];
    unsigned p;
    CHECK_EQ(mq_send(q, "low", 3, 1), 0);
    CHECK_EQ(mq_send(q, "high", 4, 9), 0);
    CHECK_EQ(mq_send(q, "low2", 4, 1), 0);
    struct mq_attr a;
    CHECK_EQ(mq_getattr(q, &a), 0);
    CHECK_EQ(a.mq_curmsgs, 3);
    CHECK_EQ(a.mq_maxmsg, 4);
    CHECK_EQ(a.mq_msgsize, 16);
    CHECK_EQ(mq_receive(q, b, sizeof b, &p), 4);
    CHECK_EQ(p, 9);
    CHECK_EQ(mq_receive(q, b, sizeof b, &p), 3);
    CHECK_EQ(mq_receive(q, b, sizeof b, NULL), 4);
    CHECK_EQ(memcmp(b, "low2", 4), 0);
    CHECK_EQ(mq_send(q, "", 0, 32767), 0);
    CHECK_EQ(mq_receive(q, b, sizeof b, &p), 0);
    CHECK_EQ(p, 32767);
    CHECK_ERR(mq_send(q, "x", 1, 32768), EINVAL);
    CHECK_ERR(mq_send(q, "12345678901234567", 17, 0), EMSGSIZE);
    CHECK_ERR(mq_receive(q, b, 15, NULL), EMSGSIZE);
    struct timespec past = { 1, 0 }, wrong = { 0, -1 };
    CHECK_ERR(mq_timedreceive(q, b, sizeof b, NULL, &past), ETIMEDOUT);
    CHECK_ERR(mq_timedreceive(q, b, sizeof b, NULL, &wrong), EINVAL);
    CHECK_EQ(mq_unlink(name), 0);
    CHECK_ERR(mq_unlink(name), ENOENT);
    CHECK_EQ(mq_send(q, "still", 5, 0), 0);
    CHECK_EQ(mq_close(q), 0);
}

TEST(opening)
{
    mqd_t q = open_queue(2, 8, 0);
    struct mq_attr bad = { .mq_maxmsg = 0, .mq_msgsize = 8 };
    CHECK_ERR(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
    CHECK_ERR(mq_open("/moat-none", O_RDWR), ENOENT);
    CHECK_ERR(mq_open("/moat-bad", O_CREAT | O_RDWR, 0600, &bad), EINVAL);
    CHECK_ERR(mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
    mqd_t r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY | O_NONBLOCK);
    CHECK(r >= 0 && w >= 0);
    char b[8];
    CHECK_ERR(mq_send(r, "x", 1, 0), EBADF);
    CHECK_ERR(mq_receive(w, b, sizeof b, NULL), EBADF);
    CHECK_EQ(mq_send(w, "1", 1, 0), 0);
    CHECK_EQ(mq_send(w, "2", 1, 0), 0);
    CHECK_ERR(mq_send(w, "3", 1, 0), EAGAIN);
    CHECK_EQ(fcntl(r, F_GETFD), FD_CLOEXEC);
    struct stat st;
    CHECK_EQ(fstat(r, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0600);
    char text[128] = { 0 };
    CHECK(pread(r, text, sizeof text - 1, 0) > 0);
    CHECK(strncmp(text, "QSIZE:2 ", 8) == 0);
    struct pollfd p[2] = { { r, POLLIN | POLLOUT, 0 }, { w, POLLIN | POLLOUT, 0 } };
    CHECK_EQ(poll(p, 2, 0), 2);
    CHECK_EQ(p[0].revents, POLLIN);
    struct mq_attr block = { .mq_flags = O_NONBLOCK }, old;
    CHECK_EQ(mq_setattr(r, &block, &old), 0);
    CHECK_EQ(old.mq_flags, 0);
    CHECK_EQ(mq_receive(r, b, sizeof b, NULL), 1);
    CHECK_EQ(mq_receive(r, b, sizeof b, NULL), 1);
    CHECK_ERR(mq_receive(r, b, sizeof b, NULL), EAGAIN);
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLOUT);
    mq_close(r);
    mq_close(w);
    mq_close(q);
    CHECK_EQ(mq_unlink(name), 0);
    CHECK_ERR(mq_getattr(q, &old), EBADF);
}

TEST(two_processes)
{
    mqd_t q = open_queue(2, 64, 0);
    pid_t pid = fork();
    if (pid == 0) {
        char b[64];
        for (int i = 0; i < 500; i++) {
            unsigned p;
            if (mq_receive(q, b, sizeof b, &p) != 4 || memcmp(b, &i, 4) != 0)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 500; i++)
        CHECK_EQ(mq_send(q, (char *)&i, 4, 3), 0);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    mq_close(q);
    mq_unlink(name);
}

static volatile sig_atomic_t told;
static void on_message(int s, siginfo_t *i, void *c)
{
    (void)c;
    told = s == SIGUSR1 && i->si_code == SI_MESGQ && i->si_value.sival_int == 7 && i->si_pid == getpid() ? 1 : -1;
}

TEST(notification)
{
    mqd_t q = open_queue(4, 8, 0);
    struct sigaction sa = { .sa_sigaction = on_message, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &sa, NULL);
    struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 7 };
    char b[8];
    CHECK_EQ(mq_notify(q, &e), 0);
    CHECK_ERR(mq_notify(q, &e), EBUSY);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(told, 1);
    told = 0;
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(told, 0);
    CHECK_EQ(mq_notify(q, &e), 0);
    // Not empty: nothing yet.
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(told, 0);
    CHECK_EQ(mq_notify(q, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(mq_receive(q, b, sizeof b, NULL), 1);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(told, 0);
    e.sigev_notify = 9;
    CHECK_ERR(mq_notify(q, &e), EINVAL);
    mq_close(q);
    mq_unlink(name);
}
