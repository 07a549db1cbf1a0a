// Registered regions and the waits whose arguments lie in them; rings that get another size; what /proc shows of a ring.
#include "uring.h"

#define PAGE 4096ul
#define REGISTER_RESIZE_RINGS 33
#define REGISTER_MEM_REGION 34
#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | U_SETUP_NO_SQARRAY)

struct region {
    uint64_t addr, size;
    uint32_t flags, id;
    uint64_t off, resv[4];
};

struct mem_reg {
    uint64_t uptr, flags, resv[2];
};

struct reg_wait {
    struct __kernel_timespec ts;
    uint32_t min, flags;
    uint64_t sigmask;
    uint32_t sigmask_sz, pad[3];
    uint64_t pad2[2];
};

static struct ring r;
static char area[16384] __attribute__((aligned(4096)));

// proves: IORING_REGISTER_MEM_REGION
TEST(regions)
{
    struct region g = {(uintptr_t)area, PAGE, 1, 0, 0, {0}};
    struct mem_reg m = {(uintptr_t)&g, 0, {0}};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, REGISTER_MEM_REGION, &m, 1));
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), EBUSY);
    ring_exit(&r);
    m.flags = 1;
    ring_init(&r, 8, 0);
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), EINVAL); // not disabled
    ring_exit(&r);
    ring_init(&r, 8, IORING_SETUP_R_DISABLED);
#define BAD(field, value, e) do { struct region old = g; g.field = value; CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), e); g = old; } while (0)
    BAD(addr, 0, EFAULT);
    BAD(addr, (uintptr_t)area + 8, EINVAL);
    BAD(addr, 1ul << 40, EFAULT);
    BAD(size, 0, EINVAL);
    BAD(size, 100, EINVAL);
    BAD(flags, 0, EFAULT);
    BAD(flags, 2, EINVAL);
    BAD(id, 1, EINVAL);
    BAD(off, 1, EINVAL);
    BAD(resv[1], 1, EINVAL);
    m.flags = 2;
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), EINVAL);
    m.flags = 1;
    m.resv[0] = 1;
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), EINVAL);
    m.resv[0] = 0;
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 0), EINVAL);
    m.uptr = 8;
    CHECK_ERR(u_register(r.fd, REGISTER_MEM_REGION, &m, 1), EFAULT);
    ring_exit(&r);
}

static int enter_reg(uint64_t at, size_t size, uint32_t min)
{
    return u_enter(r.fd, 0, min, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | U_ENTER_EXT_ARG_REG, (void *)(uintptr_t)at, size);
}

static void registered_waits(bool mapped)
{
    struct region g = {mapped ? 0 : (uintptr_t)area, PAGE, mapped ? 0 : 1, 0, 0, {0}};
    struct mem_reg m = {(uintptr_t)&g, 1, {0}};
    ring_init(&r, 8, IORING_SETUP_R_DISABLED);
    OK(u_register(r.fd, REGISTER_MEM_REGION, &m, 1));
    struct reg_wait *w = mapped ? OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, (off_t)g.off)) : (void *)area;
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    memset(w, 0, PAGE);
    w[0].flags = w[63].flags = 1;
    w[0].ts.tv_nsec = w[63].ts.tv_nsec = 1000000;
    CHECK_ERR(enter_reg(0, 64, 1), ETIME);
    CHECK_ERR(enter_reg(63 * 64, 64, 1), ETIME);
    CHECK_ERR(enter_reg(0, 24, 1), EINVAL);
    CHECK_ERR(enter_reg(PAGE, 64, 1), EFAULT);
    CHECK_ERR(enter_reg(PAGE - 8, 64, 1), EFAULT);
    CHECK_ERR(enter_reg(-64ul, 64, 1), EFAULT);
    w[0].flags = 2;
    CHECK_ERR(enter_reg(0, 64, 1), EINVAL);
    w[0].flags = 1;
    w[0].min = 500;
    add_nop(&r, 1);
    ring_submit(&r);
    CHECK_EQ(enter_reg(0, 64, 2), 0); // one is enough after a while
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
    if (mapped)
        OK(munmap(w, PAGE));
}

// proves: IORING_ENTER_EXT_ARG_REG, IORING_REGISTER_MEM_REGION
TEST(waits_from_my_memory) { registered_waits(false); }

TEST(waits_from_mapped_memory) { registered_waits(true); }

static int resize(struct io_uring_params *p) { return u_register(r.fd, REGISTER_RESIZE_RINGS, p, 1) < 0 ? -errno : 0; }

static void map_again(struct io_uring_params *p)
{
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
    r.p = *p;
    r.p.flags = DEFER;
    ring_map(&r);
}

TEST(the_index_array_is_not_told_twice)
{
    ring_init(&r, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    CHECK(r.p.sq_off.array != 0);
    struct io_uring_params p = {.sq_entries = 16};
    CHECK_EQ(resize(&p), 0);
    CHECK_EQ(p.sq_off.array, 0);
    ring_drop(&r);
}

// proves: IORING_REGISTER_RESIZE_RINGS
TEST(other_sizes)
{
    struct io_uring_params p = {.sq_entries = 32};
    ring_init(&r, 8, 0);
    CHECK_EQ(resize(&p), -EINVAL); // needs DEFER_TASKRUN
    ring_exit(&r);
    ring_init(&r, 8, DEFER);
    for (uint64_t i = 0; i < 5; i++)
        add_nop(&r, 10 + i);
    ring_submit(&r);
    p = (struct io_uring_params){.sq_entries = 32};
    CHECK_EQ(resize(&p), 0);
    CHECK_EQ(p.sq_entries, 32);
    CHECK_EQ(p.cq_entries, 64);
    map_again(&p);
    CHECK_EQ(ring_ready(&r), 5);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(ring_wait(&r).user_data, 10 + i);
    for (uint64_t i = 0; i < 100; i++) {
        add_nop(&r, i + 1);
        CHECK_EQ(ring_result(&r, i + 1), 0);
    }
    p = (struct io_uring_params){.sq_entries = 4, .cq_entries = 16, .flags = IORING_SETUP_CQSIZE};
    CHECK_EQ(resize(&p), 0);
    CHECK_EQ(p.sq_entries, 4);
    CHECK_EQ(p.cq_entries, 16);
    map_again(&p);
    for (uint64_t i = 0; i < 100; i++) {
        add_nop(&r, i + 1);
        CHECK_EQ(ring_result(&r, i + 1), 0);
    }
    for (uint64_t i = 0; i < 10; i++) {
        add_nop(&r, 10 + i);
        ring_submit(&r);
    }
    p = (struct io_uring_params){.sq_entries = 4, .cq_entries = 4, .flags = IORING_SETUP_CQSIZE};
    CHECK_EQ(resize(&p), -EOVERFLOW);
    for (uint64_t i = 0; i < 10; i++)
        CHECK_EQ(ring_wait(&r).user_data, 10 + i);
    p = (struct io_uring_params){.sq_entries = 4, .flags = DEFER};
    CHECK_EQ(resize(&p), -EINVAL);
    p = (struct io_uring_params){.sq_entries = 0};
    CHECK_EQ(resize(&p), -EINVAL);
    p = (struct io_uring_params){.sq_entries = 100000};
    CHECK_EQ(resize(&p), -EINVAL);
    CHECK_ERR(u_register(r.fd, REGISTER_RESIZE_RINGS, &p, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, REGISTER_RESIZE_RINGS, NULL, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, REGISTER_RESIZE_RINGS, (void *)8, 1), EFAULT);
    ring_exit(&r);
}

TEST(fdinfo)
{
    static const char *const keys[] = {"SqMask:\t0x7\n", "SqHead:\t1\n", "SqTail:\t3\n", "CachedSqHead:\t1\n", "CqMask:\t0xf\n", "CqHead:\t0\n",
        "CqTail:\t1\n", "CachedCqTail:\t1\n", "SQEs:\t2\n", "    1: opcode:NOP, fd:-1, flags:4, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data:11\n",
        "    2: opcode:WRITE, fd:9, flags:0, off:20, addr:0x0, rw_flags:0x4, buf_index:0 user_data:12\n", "CQEs:\t1\n",
        "    0: user_data:5, res:0, flag:0\n", "SqThread:\t-1\n", "SqThreadCpu:\t-1\n", "SqTotalTime:\t0\n", "SqWorkTime:\t0\n",
        "UserFiles:\t3\n    0: ", "/f\n    2: pipe:[", "UserBufs:\t2\n    0: 0x", "/4096\n    1: <none>\n", "PollList:\n", "CqOverflowList:\n", "NAPI:\tdisabled\n"};
    static char text[16384];
    char name[64];
    int fd = mt_file("f", 10), p[2], fds[3] = {fd, -1, -1};
    OK(pipe(p));
    fds[2] = p[0];
    struct iovec v[2] = {{area, PAGE}, {NULL, 0}};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, IORING_REGISTER_FILES, fds, 3));
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, v, 2));
    OK(u_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0));
    add_nop(&r, 5);
    ring_submit(&r);
    add_nop(&r, 11)->flags = IOSQE_IO_LINK;
    ADD(&r, WRITE, 9, NULL, 10, 20, 12)->rw_flags = 4;
    ring_publish(&r);
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", r.fd);
    int info = OK(open(name, O_RDONLY));
    ssize_t n = OK(read(info, text, sizeof text - 1));
    text[n] = 0;
    OK(close(info));
    for (unsigned i = 0; i < countof(keys); i++)
        if (!strstr(text, keys[i]))
            FAIL("no %s", keys[i]);
    CHECK(strstr(text, "Personalities") == NULL);
    ring_drop(&r);
    OK(close(fd));
    OK(close(p[0]));
    OK(close(p[1]));
}
