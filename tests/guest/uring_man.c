// What the manual pages say of io_uring that no other program looks at: which error is told first, and polled waits.
#include "uring.h"
#include <sys/socket.h>

static struct ring r;

// Rings that poll look at the extended argument's size and address, and at nothing in it.
TEST(polled_waits_ignore_what_they_are_told)
{
    static const uint32_t kinds[] = {IORING_SETUP_IOPOLL,
                                     IORING_SETUP_IOPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct __kernel_timespec ts = {0, 100};
    struct io_uring_getevents_arg good = {.ts = (uintptr_t)&ts}, bad = {.ts = 8, .sigmask = 8, .sigmask_sz = 3};
    const uint32_t get = IORING_ENTER_GETEVENTS, extended = get | IORING_ENTER_EXT_ARG;
    for (unsigned i = 0; i < countof(kinds); i++) {
        ring_init(&r, 4, kinds[i]);
        CHECK_EQ(u_enter(r.fd, 0, 0, extended, &good, sizeof good), 0);
        CHECK_EQ(u_enter(r.fd, 0, 1, extended, &good, sizeof good), 0); // nothing is in flight: no wait
        CHECK_EQ(u_enter(r.fd, 0, 1, get, NULL, 0), 0);
        CHECK_EQ(u_enter(r.fd, 0, 1, get, (void *)8, 3), 0);
        CHECK_EQ(u_enter(r.fd, 0, 1, extended, &bad, sizeof bad), 0);
        CHECK_ERR(u_enter(r.fd, 0, 1, extended, &good, sizeof good - 1), EINVAL);
        CHECK_ERR(u_enter(r.fd, 0, 1, extended, (void *)8, sizeof good), EFAULT);
        CHECK_ERR(u_enter(r.fd, 0, 1, extended | U_ENTER_EXT_ARG_REG, NULL, 64), EINVAL);
        add_nop(&r, 1);
        CHECK_EQ(ring_result(&r, 1), 0);
        ring_exit(&r);
    }
}

TEST(a_nop_looks_for_its_file_first)
{
    enum { FILE = 1 << 1, FIXED_BUFFER = 1 << 3 };
    ring_init(&r, 4, 0);
    sqe_t *s = add_nop(&r, 1);
    s->rw_flags = FILE | FIXED_BUFFER;
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    s = add_nop(&r, 2);
    s->rw_flags = FILE | FIXED_BUFFER;
    s->fd = 0;
    CHECK_EQ(ring_result(&r, 2), -EFAULT);
    ring_exit(&r);
}

TEST(rings_at_odd_addresses)
{
    struct io_uring_params p = {.flags = U_SETUP_NO_MMAP};
    ((uint64_t *)&p.cq_off)[4] = 4097; // user_addr
    CHECK_ERR(u_setup(4, &p), EINVAL);
}

TEST(a_polled_ring_takes_no_napi)
{
    ring_init(&r, 4, IORING_SETUP_IOPOLL);
    CHECK_ERR(u_register(r.fd, 27, (void *)8, 1), EINVAL);
    ring_exit(&r);
}

// The socket that cannot do it is told after the buffer that is not there.
TEST(sendmsg_zc_of_no_registered_buffer)
{
    int sv[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    struct msghdr m = {0};
    ring_init(&r, 4, 0);
    ADD(&r, NOP, sv[0], &m, 1, 0, 1)->opcode = 48;
    r.sqes[0].ioprio = 1 << 2; // IORING_RECVSEND_FIXED_BUF
    ring_submit(&r);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.res, -EFAULT);
    ring_drop(&r);
    OK(close(sv[0]));
    OK(close(sv[1]));
}
