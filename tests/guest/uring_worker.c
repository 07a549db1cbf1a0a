// Where the rest of a chain runs: behind what a worker has done it goes on there, and may wait within the attempt; with deferred task work it
// takes its turn when the task comes by.
#include "uring.h"
#include <sys/socket.h>

static struct ring r;
static int p[2], file;
static char b[64];

static void begin(uint32_t flags)
{
    ring_init(&r, 64, flags);
    OK(pipe(p));
    file = mt_file("f", 100);
}

static void end(void)
{
    OK(close(p[0]));
    OK(close(p[1]));
    OK(close(file));
    ring_exit(&r);
}

static void expect(uint64_t data, int res)
{
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, data);
    CHECK_EQ(c.res, res);
}

// fsync never completes in place.
static void behind_fsync(void)
{
    ADD(&r, FSYNC, file, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK;
}

static sqe_t *reads(uint64_t data) { return ADD(&r, READ, p[0], b, 1, -1, data); }

static void begun(void)
{
    ring_submit(&r);
    expect(1, 0);
    mt_sleep_us(10000);
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
}

// Its cancellation is told as `told`, and it ends with `res`.
static void cancelled(uint64_t data, int told, int res)
{
    cqe_t c[2];
    add_cancel(&r, data, 0, 9);
    ring_submit(&r);
    for (int i = 0; i < 2; i++)
        c[i] = ring_wait(&r);
    int at = c[0].user_data == 9 ? 0 : 1;
    CHECK_EQ(c[at].res, told);
    CHECK_EQ(c[!at].user_data, data);
    CHECK_EQ(c[!at].res, res);
}

// proves: IORING_FEAT_NATIVE_WORKERS
TEST(a_read_behind_a_worker_is_interrupted)
{
    begin(0);
    behind_fsync();
    reads(2);
    begun();
    cancelled(2, -EALREADY, -EINTR);
    behind_fsync();
    add_nop(&r, 3)->flags = IOSQE_IO_LINK;
    reads(2);
    begun();
    expect(3, 0);
    cancelled(2, -EALREADY, -EINTR);
    // A poll that is ready where a worker looks.
    CHECK_EQ(write(p[1], "x", 1), 1);
    add_poll(&r, p[0], POLLIN, 1)->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
    reads(2)->flags = IOSQE_IO_LINK;
    reads(3);
    ring_submit(&r);
    expect(1, POLLIN);
    expect(2, 1);
    mt_sleep_us(10000);
    cancelled(3, -EALREADY, -EINTR);
    // The chain behind it is told as ever.
    behind_fsync();
    reads(2)->flags = IOSQE_IO_LINK;
    add_nop(&r, 4);
    begun();
    cancelled(2, -EALREADY, -EINTR);
    expect(4, -ECANCELED);
    behind_fsync();
    reads(2);
    begun();
    CHECK_EQ(write(p[1], "x", 1), 1);
    expect(2, 1);
    end();
}

TEST(what_can_only_be_interrupted_is_not_counted)
{
    static const uint32_t how[] = {IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY};
    begin(0);
    for (unsigned i = 0; i < countof(how); i++) {
        cqe_t c[2];
        behind_fsync();
        reads(2);
        begun();
        add_cancel(&r, 2, how[i], 1);
        ring_submit(&r);
        ring_collect(&r, c, 2);
        CHECK_EQ(c[0].res, 0);
        CHECK_EQ(c[1].res, -EINTR);
    }
    end();
}

TEST(what_is_polled_for_everywhere)
{
    struct __kernel_timespec ts = {60, 0}, soon = {0, 1000000};
    begin(0);
    behind_fsync();
    reads(2)->flags = IOSQE_ASYNC;
    begun();
    cancelled(2, 0, -ECANCELED);
    behind_fsync();
    add_poll(&r, p[0], POLLIN, 2);
    begun();
    cancelled(2, 0, -ECANCELED);
    behind_fsync();
    add_timeout(&r, &ts, 0, 0, 2);
    begun();
    cancelled(2, 0, -ECANCELED);
    // A timer is not of the worker: what follows is in the task.
    behind_fsync();
    add_timeout(&r, &soon, 0, IORING_TIMEOUT_ETIME_SUCCESS, 2)->flags = IOSQE_IO_LINK;
    reads(3);
    begun();
    expect(2, -ETIME);
    // The read begins at the latest when the task comes by.
    OK(u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    cancelled(3, 0, -ECANCELED);
    // Nor is what is done in place.
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    reads(2);
    begun();
    cancelled(2, 0, -ECANCELED);
    end();
}

TEST(what_must_not_wait_fails_on_a_worker)
{
    int s[2];
    begin(0);
    OK(fcntl(p[0], F_SETFL, O_NONBLOCK));
    reads(2);
    ring_submit(&r);
    ring_quiet(&r); // in place it is polled for
    cancelled(2, 0, -ECANCELED);
    behind_fsync();
    reads(2);
    begun();
    expect(2, -EAGAIN);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    behind_fsync();
    ADD(&r, RECV, s[0], b, 1, 0, 2)->ioprio = IORING_RECVSEND_POLL_FIRST;
    begun();
    expect(2, -EAGAIN);
    OK(fcntl(s[0], F_SETFL, O_NONBLOCK));
    behind_fsync();
    ADD(&r, RECV, s[0], b, 1, 0, 2);
    begun();
    cancelled(2, -EALREADY, -EINTR);
    OK(close(s[0]));
    OK(close(s[1]));
    end();
}

TEST(a_timeout_of_what_a_worker_waits_in_does_not_begin)
{
    struct __kernel_timespec ts = {0, 1000000};
    begin(0);
    behind_fsync();
    reads(2)->flags = IOSQE_IO_LINK;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 3)->flags = IOSQE_IO_LINK;
    add_nop(&r, 4);
    begun();
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    expect(2, 1);
    cqe_t c[2] = {ring_wait(&r), ring_wait(&r)};
    int at = c[0].user_data == 4 ? 0 : 1;
    CHECK_EQ(c[at].res, 0);
    CHECK_EQ(c[!at].user_data, 3);
    CHECK_EQ(c[!at].res, -ECANCELED);
    // One that a worker polls for has it.
    reads(2)->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
    ADD(&r, LINK_TIMEOUT, -1, &ts, 1, 0, 1);
    ring_submit(&r);
    ring_collect(&r, c, 2);
    CHECK_EQ(c[0].res, -ETIME);
    CHECK_EQ(c[1].res, -ECANCELED);
    end();
}

TEST(with_deferred_work_the_task_goes_on)
{
    begin(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    behind_fsync();
    reads(2);
    begun();
    cancelled(2, 0, -ECANCELED);
    end();
}

static uint32_t come_by(uint32_t wanted)
{
    OK(u_enter(r.fd, 0, wanted, IORING_ENTER_GETEVENTS, NULL, 0));
    return ring_ready(&r);
}

static void chain(int n)
{
    for (int i = 1; i <= n; i++)
        add_nop(&r, i)->flags = i < n ? IOSQE_IO_LINK : 0;
}

static void takes(int n)
{
    for (int i = 1; i <= n; i++)
        expect(i, 0);
}

TEST(a_deferred_chain_goes_on_a_step_at_a_time)
{
    begin(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    chain(6);
    ring_submit(&r);
    CHECK_EQ(ring_ready(&r), 1);
    for (uint32_t i = 2; i <= 6; i++) {
        CHECK(atomic_load(r.sq_flags) & IORING_SQ_TASKRUN);
        CHECK_EQ(come_by(0), i);
    }
    CHECK(!(atomic_load(r.sq_flags) & IORING_SQ_TASKRUN));
    takes(6);
    chain(6);
    ring_submit(&r);
    CHECK_EQ(come_by(5), 6);
    takes(6);
    // Who submits and waits comes by twice.
    chain(6);
    ring_publish(&r);
    CHECK_EQ(u_enter(r.fd, 6, 0, IORING_ENTER_GETEVENTS, NULL, 0), 6);
    CHECK_EQ(ring_ready(&r), 3);
    CHECK_EQ(come_by(6), 6);
    takes(6);
    end();
}

TEST(deferred_work_is_done_in_part)
{
    begin(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    int q[30][2];
    for (int i = 0; i < 30; i++) {
        OK(pipe(q[i]));
        ADD(&r, READ, q[i][0], b + i, 1, -1, i + 1);
    }
    ring_submit(&r);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(write(q[i][1], "x", 1), 1);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(come_by(0), 20);
    CHECK_EQ(come_by(0), 30);
    for (int i = 1; i <= 30; i++)
        expect(i, 1);
    for (int i = 0; i < 30; i++) {
        ADD(&r, READ, q[i][0], b + i, 1, -1, i + 1);
    }
    ring_submit(&r);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(write(q[i][1], "x", 1), 1);
    CHECK_EQ(come_by(25), 25);
    CHECK_EQ(come_by(0), 30);
    for (int i = 1; i <= 30; i++)
        expect(i, 1);
    for (int i = 0; i < 30; i++) {
        OK(close(q[i][0]));
        OK(close(q[i][1]));
    }
    end();
}
