// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
// Random use of pipes and eventfds, never blocking, with poll and epoll asked what they see in between.
#include "rand.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

enum { FDS = 10, EPS = 2, STEPS = 6000 };

// 0..5: the ends of three pipes; 6..9: eventfds.
static int fds[FDS], eps[EPS];
static char data[200000];

static void make(int i)
{
    int p[2];
    if (i < 6) {
        i &= ~1;
        OK(pipe2(p, O_NONBLOCK | (odds(6) ? O_DIRECT : 0)));
        fds[i] = p[0];
        fds[i + 1] = p[1];
        if (odds(2))
            SHOW(fcntl(p[0], F_SETPIPE_SZ, 4096 << pick(4)), "setpipe_sz(%d)", i);
        return;
    }
    fds[i] = OK(eventfd(pick(3), EFD_NONBLOCK | (odds(2) ? EFD_SEMAPHORE : 0)));
}

static void op_data(void)
{
    int i = (int)pick(FDS);
    size_t n = i >= 6 ? 8 : odds(3) ? pick(60000) : pick(300);
    long r;
    if (odds(2)) {
        r = read(fds[i], data, n);
        SHOW(r, "read(%d, %zu) %x", i, n, r > 0 ? hash(data, r) : 0);
        return;
    }
    mt_pattern(data, n, rand_step);
    if (i >= 6) {
        uint64_t v = odds(5) ? UINT64_MAX - pick(3) : pick(5);
        memcpy(data, &v, 8);
    }
    r = write(fds[i], data, n);
    SHOW(r, "write(%d, %zu)", i, n);
}

static const uint32_t bits[] = {EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLWRNORM};

static uint32_t any_events(void)
{
    uint32_t e = odds(2) ? EPOLLIN : odds(2) ? EPOLLOUT : EPOLLIN | EPOLLOUT;
    if (odds(6))
        e = bits[pick(countof(bits))];
    return e;
}

static void op_ctl(void)
{
    int ep = (int)pick(EPS), i = (int)pick(FDS), op = 1 + (int)pick(3);
    struct epoll_event e = {.events = any_events(), .data.u64 = i};
    if (odds(3))
        e.events |= EPOLLET;
    if (odds(5))
        e.events |= EPOLLONESHOT;
    long r = epoll_ctl(eps[ep], op, fds[i], &e);
    SHOW(r, "epoll_ctl(%d, %d, %d, %x)", ep, op, i, e.events);
}

static int by_data(const void *a, const void *b)
{
    return (int)((const struct epoll_event *)a)->data.u64 - (int)((const struct epoll_event *)b)->data.u64;
}

static void op_wait(void)
{
    int ep = (int)pick(EPS);
    struct epoll_event e[FDS];
    int r = epoll_wait(eps[ep], e, FDS, 0);
    SHOW(r, "epoll_wait(%d)", ep);
    if (r <= 0)
        return;
    qsort(e, r, sizeof *e, by_data);
    for (int i = 0; i < r; i++)
        printf("    %d: %x\n", (int)e[i].data.u64, e[i].events);
}

static void op_poll(void)
{
    struct pollfd p[FDS + EPS];
    for (int i = 0; i < FDS; i++)
        p[i] = (struct pollfd){fds[i], (short)(any_events() & 0xffff), 0};
    for (int i = 0; i < EPS; i++)
        p[FDS + i] = (struct pollfd){eps[i], POLLIN, 0};
    int r = poll(p, FDS + EPS, 0);
    SHOW(r, "poll");
    for (int i = 0; i < FDS + EPS; i++)
        if (p[i].revents)
            printf("    %d: %x\n", i, p[i].revents);
}

static void op_close(void)
{
    int i = (int)pick(FDS);
    if (i >= 6) {
        OK(close(fds[i]));
        make(i);
        return;
    }
    if (odds(2)) { // one end: the other sees it
        if (fds[i] >= 0)
            SHOW(close(fds[i]), "close(%d)", i);
        fds[i] = -1;
        return;
    }
    for (int j = i & ~1; j <= (i | 1); j++)
        if (fds[j] >= 0)
            OK(close(fds[j]));
    make(i);
    printf("%d a new pipe %d\n", rand_step, i & ~1);
}

static void op_ask(void)
{
    int i = (int)pick(FDS), n = -1;
    long r;
    if (odds(3)) {
        r = fcntl(fds[i], F_SETPIPE_SZ, 1 << pick(18));
        SHOW(r, "setpipe_sz(%d)", i);
        return;
    }
    if (i >= 6)
        return;
    r = ioctl(fds[i], FIONREAD, &n);
    SHOW(r, "fionread(%d) %d", i, n);
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < FDS; i += i < 6 ? 2 : 1)
        make(i);
    for (int i = 0; i < EPS; i++)
        eps[i] = OK(epoll_create1(0));
    for (rand_step = 0; rand_step < STEPS; rand_step++) {
        switch (pick(10)) {
        case 0:
        case 1:
        case 2:
        case 3: op_data(); break;
        case 4:
        case 5: op_ctl(); break;
        case 6: op_wait(); break;
        case 7: op_poll(); break;
        case 8: op_ask(); break;
        default:
            if (odds(4))
                op_close();
            else
                op_wait();
            break;
        }
    }
    return rand_end();
}
