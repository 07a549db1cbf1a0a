// Zero-copy receive on a machine whose devices do not offer it: ZCRX_IFQ says what is wrong in Linux's order, RECV_ZC is refused.
#include "uring_net.h"

struct area {
    uint64_t addr, len, token;
    uint32_t flags, dmabuf;
    uint64_t resv[2];
};

struct region {
    uint64_t user_addr, size;
    uint32_t flags, id;
    uint64_t mmap_offset, resv[4];
};

struct queue {
    uint32_t device, rxq, entries, flags;
    struct area *area;
    struct region *region;
    uint32_t off[4];
    uint64_t off_resv[2];
    uint32_t id, pad;
    uint64_t resv[3];
};

#define WANTED (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQE32)
#define BAD ((void *)8)

static struct ring ring;
static void *memory, *pages;

static int answer(struct queue *q, uint32_t count)
{
    return u_register(ring.fd, 32, q, count) < 0 ? errno : 0;
}

#define TRY(expected, ...)                                                                                             \
    do {                                                                                                               \
        struct area area = {.addr = (uintptr_t)pages, .len = 1 << 20};                                                 \
        struct region region = {.user_addr = (uintptr_t)memory, .size = 8192, .flags = 1};                             \
        struct queue queue = {.device = 1, .entries = 64, .area = &area, .region = &region}, *q = &queue;              \
        uint32_t count = 1;                                                                                            \
        __VA_ARGS__;                                                                                                   \
        CHECK_EQ(answer(q, count), expected);                                                                          \
    } while (0)

static void begin(uint32_t setup)
{
    ring_init(&ring, 8, setup);
    memory = aligned(1 << 20);
    pages = aligned(1 << 20);
}

static void end(void)
{
    ring_drop(&ring);
    OK(munmap(memory, 1 << 20));
    OK(munmap(pages, 1 << 20));
}

TEST(setup)
{
    const uint32_t wrong[] = {0, IORING_SETUP_CQE32, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER};
    if (geteuid() != 0)
        SKIP("needs CAP_NET_ADMIN");
    for (size_t i = 0; i < countof(wrong); i++) {
        begin(wrong[i]);
        TRY(EINVAL, );
        TRY(EINVAL, q = BAD);
        TRY(EINVAL, queue.device = 999);
        end();
    }
    begin(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | U_SETUP_CQE_MIXED);
    TRY(EOPNOTSUPP, );
    end();
}

TEST(order)
{
    if (geteuid() != 0)
        SKIP("needs CAP_NET_ADMIN");
    begin(WANTED);
    TRY(EOPNOTSUPP, );
    TRY(EINVAL, count = 0);
    TRY(EINVAL, count = 2);
    TRY(EINVAL, q = NULL);
    TRY(EFAULT, q = BAD);
    TRY(EFAULT, queue.region = BAD; queue.entries = 0);
    TRY(EINVAL, queue.area = BAD; queue.entries = 0);
    TRY(EFAULT, queue.area = BAD; region.size = 0);
    TRY(EINVAL, queue.entries = 0; queue.device = 999);
    TRY(EINVAL, queue.entries = 32769);
    TRY(EINVAL, queue.rxq = UINT32_MAX);
    TRY(EINVAL, queue.flags = 1);
    TRY(EINVAL, queue.id = 1);
    TRY(EINVAL, queue.pad = 1);
    TRY(EINVAL, queue.resv[2] = 1);
    TRY(EOPNOTSUPP, queue.off[0] = 1);
    TRY(EOPNOTSUPP, queue.off_resv[1] = 1);
    TRY(ENODEV, queue.device = 0);
    TRY(ENODEV, queue.device = UINT32_MAX);
    // The ring of buffers has to fit: entries rounded up, and a head.
    TRY(EOPNOTSUPP, queue.entries = 256);
    TRY(EINVAL, queue.entries = 257);
    TRY(EINVAL, region.size = 0; queue.device = 999);
    TRY(EINVAL, region.size = 8191);
    TRY(EINVAL, region.user_addr++);
    TRY(EINVAL, region.flags = 2);
    TRY(EINVAL, region.id = 1);
    TRY(EINVAL, region.mmap_offset = 1);
    TRY(EINVAL, region.resv[3] = 1);
    TRY(EFAULT, region.flags = 0);
    TRY(EFAULT, region.user_addr = 0);
    TRY(EOPNOTSUPP, region.flags = 0; region.user_addr = 0);
    TRY(EFAULT, region.user_addr = 0x10000; queue.device = 999);
    // What the area is like is looked at after the device.
    TRY(EOPNOTSUPP, area.len = 0);
    TRY(ENODEV, area.flags = 2; queue.device = 999);
    end();
}

TEST(clamp)
{
    if (geteuid() != 0)
        SKIP("needs CAP_NET_ADMIN");
    begin(WANTED | IORING_SETUP_CLAMP);
    TRY(EINVAL, queue.entries = 40000);
    TRY(EOPNOTSUPP, queue.entries = 40000; region.size = 1 << 20);
    end();
}

TEST(receive)
{
    struct ring r;
    int s[2];
    ring_init(&r, 8, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
    tcp_pair(s);
    for (int i = 0; i < 10; i++) {
        sqe_t *q = ring_sqe(&r);
        q->opcode = 58;
        q->fd = i == 1 ? 999 : s[0];
        q->ioprio = i == 2 ? 0 : i == 3 ? U_RECV_MULTISHOT | U_POLL_FIRST : U_RECV_MULTISHOT;
        q->addr = i == 4;
        q->len = i == 5;
        q->msg_flags = i == 6 ? MSG_DONTWAIT : 0;
        q->splice_fd_in = i == 7;
        q->flags = i == 8 ? IOSQE_BUFFER_SELECT : i == 9 ? IOSQE_ASYNC : 0;
        q->user_data = 1;
        CHECK_EQ(ring_result(&r, 1), i == 8 ? -EOPNOTSUPP : -EINVAL);
    }
    drop(s);
    ring_exit(&r);
}
