// POLL_ADD once and again and again, POLL_REMOVE, updates, hang-ups, files that are always ready.
#include "uring.h"
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static struct ring r;

static void put(int fd)
{
    uint64_t v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
}

static void take(int fd)
{
    uint64_t v;
    CHECK_EQ(read(fd, &v, 8), 8);
}

static sqe_t *add_multi(int fd, uint32_t events, uint64_t data)
{
    sqe_t *s = add_poll(&r, fd, events, data);
    s->len = IORING_POLL_ADD_MULTI;
    return s;
}

static sqe_t *add_remove(uint64_t target, uint64_t data)
{
    return ADD(&r, POLL_REMOVE, -1, (void *)(uintptr_t)target, 0, 0, data);
}

static cqe_t expect(uint64_t data, int res, uint32_t flags)
{
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, data);
    CHECK_EQ(c.res, res);
    CHECK_EQ(c.flags, flags);
    return c;
}

TEST(ready_already)
{
    int ev = OK(eventfd(1, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 1); // in the submission itself
    expect(1, POLLIN, 0);
    add_poll(&r, ev, POLLIN | POLLOUT | POLLPRI, 2);
    ring_submit(&r);
    expect(2, POLLIN | POLLOUT, 0);
    add_poll(&r, ev, POLLOUT, 3);
    ring_submit(&r);
    expect(3, POLLOUT, 0);
    ring_exit(&r);
    OK(close(ev));
}

// proves: IORING_OP_POLL_ADD
TEST(ready_later_and_only_once)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    ring_quiet(&r);
    put(ev);
    expect(1, POLLIN, 0);
    take(ev);
    put(ev);
    ring_quiet(&r);
    ring_exit(&r);
    OK(close(ev));
}

TEST(the_wrong_event_does_not_count)
{
    int p[2];
    char c;
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, p[0], POLLPRI, 1);
    ring_submit(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    ring_quiet(&r);
    OK(close(p[1]));
    expect(1, POLLHUP, 0); // a hang-up always counts
    CHECK_EQ(read(p[0], &c, 1), 1);
    ring_exit(&r);
    OK(close(p[0]));
}

// An event beyond the first sixteen: EPOLLEXCLUSIVE, which makes of several that wait one.
// proves: IORING_FEAT_POLL_32BITS
TEST(one_of_several)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    for (uint64_t i = 1; i <= 3; i++)
        add_poll(&r, p[0], POLLIN | 1u << 28, i);
    ring_submit(&r);
    for (uint64_t i = 1; i <= 3; i++) {
        put(p[1]);
        expect(i, POLLIN, 0);
        ring_quiet(&r);
        take(p[0]);
    }
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(hangups_and_errors)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, p[0], POLLIN, 1);
    ring_submit(&r);
    OK(close(p[1]));
    expect(1, POLLHUP, 0);
    add_poll(&r, p[0], 0, 2);
    ring_submit(&r);
    expect(2, POLLHUP, 0);
    OK(close(p[0]));
    OK(pipe(p));
    add_poll(&r, p[1], 0, 3);
    ring_submit(&r);
    OK(close(p[0]));
    expect(3, POLLERR, 0);
    ring_exit(&r);
    OK(close(p[1]));
}

TEST(files_always_ready)
{
    int fd = mt_file("f", 10);
    ring_init(&r, 8, 0);
    add_poll(&r, fd, POLLIN | POLLOUT, 1);
    ring_submit(&r);
    expect(1, POLLIN | POLLOUT, 0);
    ring_exit(&r);
    OK(close(fd));
}

TEST(bad_requests)
{
    int ev = OK(eventfd(1, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, 250, POLLIN, 1);
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    add_poll(&r, ev, POLLIN, 2)->off = 1;
    CHECK_EQ(ring_result(&r, 2), -EINVAL);
    add_poll(&r, ev, POLLIN, 3)->addr = 1;
    CHECK_EQ(ring_result(&r, 3), -EINVAL);
    add_poll(&r, ev, POLLIN, 4)->len = 0x100;
    CHECK_EQ(ring_result(&r, 4), -EINVAL);
    add_poll(&r, ev, POLLIN, 5)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 5), -EINVAL);
    sqe_t *s = add_multi(ev, POLLIN, 6);
    s->flags = IOSQE_CQE_SKIP_SUCCESS; // would never be heard of
    CHECK_EQ(ring_result(&r, 6), -EINVAL);
    add_poll(&r, ev, POLLIN, 7)->len = IORING_POLL_UPDATE_EVENTS;
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    int path = OK(open(".", O_PATH));
    add_poll(&r, path, POLLIN, 8);
    CHECK_EQ(ring_result(&r, 8), -EBADF);
    OK(close(path));
    ring_exit(&r);
    OK(close(ev));
}

TEST(multishot)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_multi(ev, POLLIN, 1);
    ring_submit(&r);
    ring_quiet(&r);
    for (int i = 0; i < 5; i++) {
        put(ev);
        expect(1, POLLIN, IORING_CQE_F_MORE);
        take(ev);
        ring_quiet(&r);
    }
    add_remove(1, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[0].flags, 0); // the last of it
    CHECK_EQ(c[1].res, 0);
    put(ev);
    ring_quiet(&r);
    ring_exit(&r);
    OK(close(ev));
}

// proves: IORING_CQE_F_MORE
TEST(multishot_ready_at_first)
{
    int ev = OK(eventfd(1, 0));
    ring_init(&r, 8, 0);
    add_multi(ev, POLLIN, 1);
    ring_submit(&r);
    expect(1, POLLIN, IORING_CQE_F_MORE);
    ring_quiet(&r); // edges: still readable is nothing new
    put(ev);
    expect(1, POLLIN, IORING_CQE_F_MORE);
    add_remove(1, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    ring_exit(&r);
    OK(close(ev));
}

TEST(multishot_ends_with_the_file)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_multi(p[0], POLLIN, 1);
    ring_submit(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    expect(1, POLLIN, IORING_CQE_F_MORE);
    OK(close(p[1]));
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, POLLIN | POLLHUP);
    if (c.flags & IORING_CQE_F_MORE) {
        add_remove(1, 2);
        ring_submit(&r);
        cqe_t d[2];
        ring_collect(&r, d, 2);
    }
    ring_exit(&r);
    OK(close(p[0]));
}

TEST(multishot_when_the_queue_is_full)
{
    int ev = OK(eventfd(0, 0));
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 2};
    ring_init_params(&r, 2, &p);
    add_multi(ev, POLLIN, 1);
    ring_submit(&r);
    bool more = true;
    for (int i = 0; i < 6; i++) {
        put(ev);
        OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    }
    int n = 0;
    while (ring_ready(&r) || *r.sq_flags & IORING_SQ_CQ_OVERFLOW) {
        if (!ring_ready(&r))
            OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
        cqe_t c;
        CHECK(ring_peek(&r, &c));
        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.res, POLLIN);
        CHECK(more); // nothing after one without F_MORE
        more = c.flags & IORING_CQE_F_MORE;
        n++;
    }
    CHECK(n >= 3);
    if (more) {
        add_remove(1, 2);
        ring_submit(&r);
        cqe_t c[2];
        ring_collect(&r, c, 2);
    }
    ring_exit(&r);
    OK(close(ev));
}

TEST(several_on_one_file)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    for (int i = 0; i < 4; i++)
        add_poll(&r, ev, POLLIN, i + 1);
    ring_submit(&r);
    put(ev);
    cqe_t c[4];
    ring_collect(&r, c, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(c[i].res, POLLIN);
    ring_exit(&r);
    OK(close(ev));
}

// Who came last is told first; a multishot stays where it is.
TEST(the_newest_first)
{
    int p[2];
    char b[8] = {0};
    ring_init(&r, 8, 0);
    OK(pipe(p));
    for (int multi = 0; multi < 2; multi++) {
        for (uint64_t i = 1; i <= 3; i++) {
            if (multi)
                add_multi(p[0], POLLIN, i);
            else
                add_poll(&r, p[0], POLLIN, i);
            ring_submit(&r);
        }
        for (int again = 0; again <= multi; again++) {
            put(p[1]);
            for (uint64_t i = 3; i >= 1; i--)
                expect(i, POLLIN, multi ? IORING_CQE_F_MORE : 0);
            take(p[0]);
        }
    }
    for (uint64_t i = 1; i <= 3; i++)
        add_remove(i, 0)->flags = IOSQE_CQE_SKIP_SUCCESS;
    ring_submit(&r);
    for (uint64_t i = 1; i <= 3; i++)
        expect(i, -ECANCELED, 0);
    // Reads too: who got nothing enters anew, and so is the first next time.
    static const int order[] = {4, 1, 3, 2};
    for (int i = 1; i <= 4; i++)
        ADD(&r, READ, p[0], b + i, 1, -1, i);
    ring_submit(&r);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(write(p[1], &"abcd"[i], 1), 1);
        expect(order[i], 1, 0);
    }
    CHECK_STR(b + 1, "bdca");
    for (int i = 1; i <= 4; i++)
        ADD(&r, READ, p[0], b + i, 1, -1, i);
    ring_submit(&r);
    CHECK_EQ(write(p[1], "abcd", 4), 4);
    for (int i = 4; i >= 1; i--)
        expect(i, 1, 0);
    CHECK_STR(b + 1, "dcba");
    OK(close(p[0]));
    OK(close(p[1]));
    ring_exit(&r);
}

// proves: IORING_OP_POLL_REMOVE
TEST(removals)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1);
    ring_submit(&r);
    add_remove(1, 2);
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ECANCELED);
    CHECK_EQ(c[1].res, 0);
    add_remove(1, 3);
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    add_remove(0x1122334455667788, 4);
    CHECK_EQ(ring_result(&r, 4), -ENOENT);
    put(ev);
    add_poll(&r, ev, POLLIN, 5);
    ring_submit(&r);
    expect(5, POLLIN, 0);
    add_remove(5, 6); // over already
    CHECK_EQ(ring_result(&r, 6), -ENOENT);
    add_remove(1, 7)->buf_index = 1;
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    add_remove(1, 8)->len = 0x80;
    CHECK_EQ(ring_result(&r, 8), -EINVAL);
    add_remove(1, 9)->off = 5; // only for updates
    CHECK_EQ(ring_result(&r, 9), -EINVAL);
    add_remove(1, 10)->poll32_events = 1;
    CHECK_EQ(ring_result(&r, 10), -EINVAL);
    ring_exit(&r);
    OK(close(ev));
}

static sqe_t *add_update(uint64_t target, uint32_t how, uint64_t new_data, uint32_t events, uint64_t data)
{
    sqe_t *s = ADD(&r, POLL_REMOVE, -1, (void *)(uintptr_t)target, how, new_data, data);
    s->poll32_events = events;
    return s;
}

// proves: IORING_OP_POLL_REMOVE
TEST(updates_of_events)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, p[0], POLLPRI, 1);
    ring_submit(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    ring_quiet(&r);
    add_update(1, IORING_POLL_UPDATE_EVENTS, 0, POLLIN, 2); // ready by that
    ring_submit(&r);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, POLLIN);
    CHECK_EQ(c[1].res, 0);
    add_update(1, IORING_POLL_UPDATE_EVENTS, 0, POLLIN, 3);
    CHECK_EQ(ring_result(&r, 3), -ENOENT);
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

TEST(updates_of_data)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_multi(ev, POLLIN, 1);
    ring_submit(&r);
    add_update(1, IORING_POLL_UPDATE_USER_DATA | IORING_POLL_ADD_MULTI, 77, 0, 2);
    ring_submit(&r);
    expect(2, 0, 0);
    put(ev);
    expect(77, POLLIN, IORING_CQE_F_MORE);
    take(ev);
    add_update(77, IORING_POLL_UPDATE_USER_DATA | IORING_POLL_UPDATE_EVENTS, 78, POLLIN, 3); // once, from now on
    ring_submit(&r);
    expect(3, 0, 0);
    put(ev);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 78);
    CHECK_EQ(c.res, POLLIN);
    if (c.flags & IORING_CQE_F_MORE) {
        add_remove(78, 2);
        ring_submit(&r);
        ring_wait(&r);
        ring_wait(&r);
    }
    ring_exit(&r);
    OK(close(ev));
}

TEST(in_a_worker)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    add_poll(&r, ev, POLLIN, 1)->flags = IOSQE_ASYNC;
    ring_submit(&r);
    put(ev);
    expect(1, POLLIN, 0);
    ring_exit(&r);
    OK(close(ev));
}

TEST(of_a_fixed_file)
{
    int ev = OK(eventfd(0, 0));
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, &ev, 1));
    add_poll(&r, 0, POLLIN, 1)->flags = IOSQE_FIXED_FILE;
    ring_submit(&r);
    put(ev);
    expect(1, POLLIN, 0);
    ring_exit(&r);
    OK(close(ev));
}

TEST(of_a_timer)
{
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec s = {{0, 0}, {0, 5000000}};
    ring_init(&r, 8, 0);
    add_poll(&r, fd, POLLIN, 1);
    ring_submit(&r);
    OK(timerfd_settime(fd, 0, &s, NULL));
    expect(1, POLLIN, 0);
    ring_exit(&r);
    OK(close(fd));
}

TEST(closing_the_descriptor_keeps_the_poll)
{
    int p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, p[0], POLLIN, 1);
    ring_submit(&r);
    OK(close(p[0])); // the request holds the file
    CHECK_EQ(write(p[1], "x", 1), 1);
    expect(1, POLLIN, 0);
    ring_exit(&r);
    OK(close(p[1]));
}

static void *puts_many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        uint64_t v = 1;
        if (write(*(int *)arg, &v, 8) != 8)
            return (void *)1;
        if (i % 16 == 0)
            mt_sleep_us(100);
    }
    return NULL;
}

TEST(no_event_is_lost)
{
    // A one-shot poll and a read in turn, against a writer that does not wait.
    int ev = OK(eventfd(0, EFD_NONBLOCK));
    ring_init(&r, 8, 0);
    pthread_t t = mt_thread(puts_many, &ev);
    uint64_t sum = 0, v;
    while (sum < 200) {
        add_poll(&r, ev, POLLIN, 1);
        ring_submit(&r);
        CHECK_EQ(ring_wait(&r).res, POLLIN);
        if (read(ev, &v, 8) == 8)
            sum += v;
    }
    CHECK_EQ(sum, 200);
    OK0(pthread_join(t, NULL));
    // And the same with a multishot one.
    add_multi(ev, POLLIN, 2);
    ring_submit(&r);
    t = mt_thread(puts_many, &ev);
    for (sum = 0; sum < 200;) {
        cqe_t c = ring_wait(&r);
        CHECK_EQ(c.user_data, 2);
        CHECK_EQ(c.flags, IORING_CQE_F_MORE);
        while (read(ev, &v, 8) == 8)
            sum += v;
    }
    CHECK_EQ(sum, 200);
    OK0(pthread_join(t, NULL));
    add_remove(2, 3);
    ring_submit(&r);
    for (bool removed = false, ended = false; !removed || !ended;) {
        cqe_t c = ring_wait(&r);
        removed |= c.user_data == 3 && c.res == 0;
        ended |= c.user_data == 2 && !(c.flags & IORING_CQE_F_MORE); // wake-ups under way come before it
    }
    ring_exit(&r);
    OK(close(ev));
}

TEST(polls_and_reads_in_one_chain)
{
    // Poll, then read what it announced.
    int p[2];
    char b[8] = "";
    OK(pipe(p));
    ring_init(&r, 8, 0);
    add_poll(&r, p[0], POLLIN, 1)->flags = IOSQE_IO_LINK;
    ADD(&r, READ, p[0], b, 7, -1, 2);
    ring_submit(&r);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "linked", 6), 6);
    cqe_t c[2];
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, POLLIN);
    CHECK_EQ(c[1].res, 6);
    CHECK_STR(b, "linked");
    ring_exit(&r);
    OK(close(p[0]));
    OK(close(p[1]));
}

// Whatever a poll asks for, that the other side sends no more is told as well.
TEST(half_a_hang_up_comes_unasked)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int l = OK(socket(AF_INET, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM, 0)), u[2];
    OK(bind(l, (struct sockaddr *)&a, n));
    OK(listen(l, 1));
    OK(getsockname(l, (struct sockaddr *)&a, &n));
    OK(connect(c, (struct sockaddr *)&a, n));
    int s = OK(accept(l, NULL, NULL));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, u));
    ring_init(&r, 8, 0);
    add_poll(&r, c, POLLPRI, 1);
    add_poll(&r, u[0], POLLPRI, 2);
    ring_submit(&r);
    OK(shutdown(s, SHUT_WR));
    OK(shutdown(u[1], SHUT_WR));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(ring_wait(&r).res, POLLRDHUP);
    add_poll(&r, u[0], POLLIN, 3);
    CHECK_EQ(ring_result(&r, 3), POLLIN | POLLRDHUP);
    ring_exit(&r);
    OK(close(u[0]));
    OK(close(u[1]));
    OK(close(s));
    OK(close(c));
    OK(close(l));
}
