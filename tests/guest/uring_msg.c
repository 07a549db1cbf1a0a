// Messages between rings: data, flags, registered files; without a ring of one's own; cancelling and waiting for it.
#include "uring.h"

#define REGISTER_SEND_MSG_RING 31
#define MSG_CQE_SKIP 1
#define MSG_FLAGS_PASS 2

static struct ring a, b;

static sqe_t *add_msg(struct ring *from, int fd, uint64_t cmd, uint32_t len, uint64_t off, uint64_t data)
{
    return ADD(from, MSG_RING, fd, (void *)(uintptr_t)cmd, len, off, data);
}

static void both(uint32_t flags)
{
    ring_init(&a, 8, 0);
    ring_init(&b, 8, flags);
}

static void done(void)
{
    ring_exit(&a);
    ring_exit(&b);
}

// proves: IORING_OP_MSG_RING
TEST(data)
{
    both(0);
    add_msg(&a, b.fd, 0, 0x12345, 0xabcdef, 1);
    CHECK_EQ(ring_result(&a, 1), 0);
    cqe_t c = ring_wait(&b);
    CHECK_EQ(c.user_data, 0xabcdef);
    CHECK_EQ(c.res, 0x12345);
    CHECK_EQ(c.flags, 0);
    sqe_t *s = add_msg(&a, b.fd, 0, 7, 8, 1);
    s->msg_ring_flags = MSG_FLAGS_PASS;
    s->file_index = 0x1234;
    CHECK_EQ(ring_result(&a, 1), 0);
    c = ring_wait(&b);
    CHECK_EQ(c.flags, 0x1234);
    add_msg(&a, b.fd, 0, (uint32_t)-5, 8, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&a, 1), 0);
    CHECK_EQ(ring_wait(&b).res, -5);
    add_msg(&a, a.fd, 0, 3, 2, 1); // to itself
    ring_submit(&a);
    cqe_t two[2];
    ring_collect(&a, two, 2);
    CHECK_EQ(two[1].res, 3);
    done();
}

TEST(refusals)
{
    int fd = mt_file("f", 10);
    both(0);
    add_msg(&a, fd, 0, 1, 2, 1);
    CHECK_EQ(ring_result(&a, 1), -EBADFD);
    add_msg(&a, 250, 0, 1, 2, 1);
    CHECK_EQ(ring_result(&a, 1), -EBADF);
    add_msg(&a, b.fd, 2, 1, 2, 1);
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, b.fd, 0, 1, 2, 1)->file_index = 1;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, b.fd, 0, 1, 2, 1)->msg_ring_flags = 4;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, b.fd, 0, 1, 2, 1)->msg_ring_flags = MSG_CQE_SKIP;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, b.fd, 0, 1, 2, 1)->addr3 = 1;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, b.fd, 0, 1, 2, 1)->buf_index = 1;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    struct ring off;
    ring_init(&off, 8, IORING_SETUP_R_DISABLED);
    add_msg(&a, off.fd, 0, 1, 2, 1);
    CHECK_EQ(ring_result(&a, 1), -EBADFD);
    ring_exit(&off);
    done();
    OK(close(fd));
}

// proves: IORING_OP_MSG_RING
TEST(files)
{
    char buf[20];
    int fd = mt_file("f", 10), none[4] = {-1, -1, -1, -1};
    both(0);
    add_msg(&a, b.fd, 1, 0, 2, 1);
    CHECK_EQ(ring_result(&a, 1), -EBADF);
    OK(u_register(a.fd, IORING_REGISTER_FILES, &fd, 1));
    add_msg(&a, b.fd, 1, 0, 2, 1)->file_index = 1;
    CHECK_EQ(ring_result(&a, 1), -ENXIO);
    OK(u_register(b.fd, IORING_REGISTER_FILES, none, 4));
    add_msg(&a, b.fd, 1, 0, 2, 1)->file_index = 3;
    CHECK_EQ(ring_result(&a, 1), 0);
    CHECK_EQ(ring_wait(&b).user_data, 2);
    ADD(&b, READ, 2, buf, 20, 0, 3)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&b, 3), 10);
    add_msg(&a, b.fd, 1, 0, 5, 1)->file_index = ~0u;
    CHECK_EQ(ring_result(&a, 1), 3); // behind the last one
    cqe_t c = ring_wait(&b);
    CHECK_EQ(c.user_data, 5);
    CHECK_EQ(c.res, 3);
    sqe_t *s = add_msg(&a, b.fd, 1, 0, 5, 1);
    s->file_index = 1;
    s->msg_ring_flags = MSG_CQE_SKIP;
    CHECK_EQ(ring_result(&a, 1), 0);
    ring_quiet(&b);
    add_msg(&a, b.fd, 1, 1, 5, 1)->file_index = 1;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    add_msg(&a, a.fd, 1, 0, 5, 1)->file_index = 1;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    s = add_msg(&a, b.fd, 1, 0, 5, 1);
    s->file_index = 1;
    s->addr3 = 3;
    CHECK_EQ(ring_result(&a, 1), -EBADF);
    add_msg(&a, b.fd, 1, 0, 6, 1)->file_index = 9;
    CHECK_EQ(ring_result(&a, 1), -EINVAL);
    done();
    OK(close(fd));
}

static void *waits(void *p)
{
    struct ring *r = p;
    cqe_t c = ring_wait(r);
    return (void *)(uintptr_t)c.user_data;
}

TEST(wakes_who_waits)
{
    pthread_t t;
    void *got;
    both(0);
    for (uintptr_t i = 1; i < 100; i++) {
        OK(-pthread_create(&t, NULL, waits, &b));
        add_msg(&a, b.fd, 0, 1, i, 1)->flags = i % 5 ? 0 : IOSQE_ASYNC;
        CHECK_EQ(ring_result(&a, 1), 0);
        OK(-pthread_join(t, &got));
        CHECK_EQ((uintptr_t)got, i);
    }
    done();
}

TEST(to_a_ring_that_defers)
{
    both(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    add_msg(&a, b.fd, 0, 4, 6, 1);
    CHECK_EQ(ring_result(&a, 1), 0);
    CHECK_EQ(ring_ready(&b), 0);
    cqe_t c = ring_wait(&b);
    CHECK_EQ(c.user_data, 6);
    CHECK_EQ(c.res, 4);
    done();
}

static void *talks(void *p)
{
    struct ring *r = p;
    struct ring *to = r == &a ? &b : &a;
    for (int i = 0; i < 3000; i++) {
        add_msg(r, to->fd, 0, 1, 1000 + i, 1)->flags = i % 50 ? 0 : IOSQE_ASYNC;
        ring_submit(r);
        for (cqe_t c = {0}; c.user_data != 1;)
            c = ring_wait(r);
    }
    return NULL;
}

TEST(two_that_talk_at_once)
{
    pthread_t t[2];
    both(0);
    OK(-pthread_create(&t[0], NULL, talks, &a));
    OK(-pthread_create(&t[1], NULL, talks, &b));
    OK(-pthread_join(t[0], NULL));
    OK(-pthread_join(t[1], NULL));
    for (int i = 0; i < 2; i++) { // what is left of the other's
        struct ring *r = i ? &a : &b;
        cqe_t c;
        do
            OK(u_enter(r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
        while (ring_peek(r, &c));
    }
    done();
}

static void *makes_b(void *arg)
{
    int none[2] = {-1, -1};
    ring_init(&b, 8, *(uint32_t *)arg);
    OK(u_register(b.fd, IORING_REGISTER_FILES, none, 2));
    return NULL;
}

// A ring whose work only its maker may do takes no file once that has ended; data can still be posted.
TEST(to_a_ring_without_its_task)
{
    static uint32_t kinds[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER, 0};
    for (unsigned i = 0; i < countof(kinds); i++) {
        pthread_join(mt_thread(makes_b, &kinds[i]), NULL);
        mt_sleep_us(20000); // joined a little before it is gone
        ring_init(&a, 8, 0);
        int fd = OK(dup(1));
        OK(u_register(a.fd, IORING_REGISTER_FILES, &fd, 1));
        for (int async = 0; async < 2; async++) {
            sqe_t *s = add_msg(&a, b.fd, 1, 0, 5, 1);
            s->file_index = 1;
            s->flags = async ? IOSQE_ASYNC : 0;
            CHECK_EQ(ring_result(&a, 1), i == 0 ? -EOWNERDEAD : 0);
        }
        if (i == 0) {
            add_msg(&a, b.fd, 0, 7, 8, 1);
            CHECK_EQ(ring_result(&a, 1), 0);
        }
        OK(close(fd));
        ring_exit(&a);
        ring_drop(&b);
    }
}

// proves: IORING_REGISTER_SEND_MSG_RING
TEST(without_a_ring)
{
    both(0);
    sqe_t s = {.opcode = IORING_OP_MSG_RING, .fd = b.fd, .len = 9, .off = 33};
    OK(u_register(-1, REGISTER_SEND_MSG_RING, &s, 1));
    cqe_t c = ring_wait(&b);
    CHECK_EQ(c.user_data, 33);
    CHECK_EQ(c.res, 9);
    CHECK_ERR(u_register(-1, REGISTER_SEND_MSG_RING, &s, 2), EINVAL);
    CHECK_ERR(u_register(-1, REGISTER_SEND_MSG_RING, NULL, 1), EINVAL);
    CHECK_ERR(u_register(a.fd, REGISTER_SEND_MSG_RING, &s, 1), EINVAL);
#define BAD(field, value, e) do { sqe_t x = s; x.field = value; CHECK_ERR(u_register(-1, REGISTER_SEND_MSG_RING, &x, 1), e); } while (0)
    BAD(flags, IOSQE_ASYNC, EINVAL);
    BAD(opcode, IORING_OP_NOP, EINVAL);
    BAD(addr, 1, EINVAL);
    BAD(fd, 0, EBADFD);
    BAD(fd, 250, EBADF);
    BAD(personality, 1, EINVAL);
    BAD(msg_ring_flags, MSG_CQE_SKIP, EINVAL);
    done();
}

struct sync_cancel {
    uint64_t addr;
    int32_t fd;
    uint32_t flags;
    struct __kernel_timespec timeout;
    uint8_t opcode, pad[7];
    uint64_t pad2[3];
};

static int sync_cancel(struct sync_cancel *c)
{
    int n = u_register(a.fd, IORING_REGISTER_SYNC_CANCEL, c, 1);
    return n < 0 ? -errno : n;
}

// proves: IORING_REGISTER_SYNC_CANCEL
TEST(cancelling_without_a_request)
{
    char buf[8];
    int p[2], q[2];
    OK(pipe(p));
    OK(pipe(q));
    both(0);
    struct sync_cancel c = {.addr = 5, .timeout = {-1, -1}};
    CHECK_EQ(sync_cancel(&c), -ENOENT);
    ADD(&a, READ, p[0], buf, 8, -1, 5);
    ring_submit(&a);
    CHECK_EQ(sync_cancel(&c), 0);
    CHECK_EQ(ring_wait(&a).res, -ECANCELED);
    for (int i = 0; i < 3; i++)
        ADD(&a, READ, i < 2 ? p[0] : q[0], buf, 8, -1, 5 + i);
    ring_submit(&a);
    c = (struct sync_cancel){.fd = p[0], .flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL, .timeout = {-1, -1}};
    CHECK_EQ(sync_cancel(&c), 2);
    CHECK_EQ(ring_wait(&a).res, -ECANCELED);
    CHECK_EQ(ring_wait(&a).res, -ECANCELED);
    CHECK_EQ(sync_cancel(&c), 0);
    c = (struct sync_cancel){.flags = IORING_ASYNC_CANCEL_ANY, .timeout = {-1, -1}};
    CHECK_EQ(sync_cancel(&c), 1);
    CHECK_EQ(ring_wait(&a).user_data, 7);
    ADD(&a, READ, p[0], buf, 8, -1, 5);
    add_poll(&a, p[0], POLLIN, 6);
    ring_submit(&a);
    c = (struct sync_cancel){.flags = 1u << 5, .opcode = IORING_OP_POLL_ADD, .timeout = {-1, -1}};
    CHECK_EQ(sync_cancel(&c), 0);
    CHECK_EQ(ring_wait(&a).user_data, 6);
    c.opcode = IORING_OP_READ;
    CHECK_EQ(sync_cancel(&c), 0);
    CHECK_EQ(ring_wait(&a).user_data, 5);
    c = (struct sync_cancel){.fd = 250, .flags = IORING_ASYNC_CANCEL_FD};
    CHECK_EQ(sync_cancel(&c), -EBADF);
    c.flags |= IORING_ASYNC_CANCEL_FD_FIXED;
    c.fd = 0;
    CHECK_EQ(sync_cancel(&c), -EBADF);
    c.flags = 1u << 6;
    CHECK_EQ(sync_cancel(&c), -EINVAL);
    c = (struct sync_cancel){.pad = {0, 1}};
    CHECK_EQ(sync_cancel(&c), -EINVAL);
    c = (struct sync_cancel){.pad2 = {0, 1}};
    CHECK_EQ(sync_cancel(&c), -EINVAL);
    CHECK_ERR(u_register(a.fd, IORING_REGISTER_SYNC_CANCEL, &c, 2), EINVAL);
    CHECK_ERR(u_register(a.fd, IORING_REGISTER_SYNC_CANCEL, NULL, 1), EINVAL);
    done();
    for (int i = 0; i < 2; i++) {
        OK(close(p[i]));
        OK(close(q[i]));
    }
}
