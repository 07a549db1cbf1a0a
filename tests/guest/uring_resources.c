// Registered files and buffers with tags, sparse tables, updates, cloning, allocation ranges, descriptors made of registered
// files; registered ring descriptors; personalities; restrictions; limits of workers; clocks; queries.
#include "uring.h"
#include <sys/resource.h>

#define PAGE 4096ul
#define REGISTER_CLOCK 29
#define REGISTER_CLONE_BUFFERS 30
#define REGISTER_QUERY 35
#define OP_FIXED_FD_INSTALL 54

static struct ring r;
static char area[16][PAGE] __attribute__((aligned(4096)));

static int files2(uint32_t nr, uint32_t flags, const int *fds, const uint64_t *tags)
{
    struct rsrc_register a = {nr, flags, 0, (uintptr_t)fds, (uintptr_t)tags};
    return u_register(r.fd, IORING_REGISTER_FILES2, &a, sizeof a) < 0 ? -errno : 0;
}

static int buffers2(uint32_t nr, uint32_t flags, const struct iovec *v, const uint64_t *tags)
{
    struct rsrc_register a = {nr, flags, 0, (uintptr_t)v, (uintptr_t)tags};
    return u_register(r.fd, IORING_REGISTER_BUFFERS2, &a, sizeof a) < 0 ? -errno : 0;
}

static int update(int op, uint32_t offset, uint32_t nr, const void *data, const uint64_t *tags)
{
    struct rsrc_update2 a = {offset, 0, (uintptr_t)data, (uintptr_t)tags, nr, 0};
    int n = u_register(r.fd, op, &a, sizeof a);
    return n < 0 ? -errno : n;
}

static int fixed_read(int slot, void *at, uint32_t len, uint64_t off)
{
    ADD(&r, READ, slot, at, len, off, 1)->flags = IOSQE_FIXED_FILE;
    return ring_result(&r, 1);
}

static int from_buffer(int fd, int index, void *at, uint32_t len)
{
    ADD(&r, READ_FIXED, fd, at, len, 0, 2)->buf_index = (uint16_t)index;
    return ring_result(&r, 2);
}

static void expect_tag(uint64_t tag)
{
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, tag);
    CHECK_EQ(c.res, 0);
    CHECK_EQ(c.flags, 0);
}

TEST(the_order_of_tags)
{
    int fds[3] = {STDIN_FILENO, -1, STDOUT_FILENO};
    uint64_t tags[3] = {1, 0, 3};
    ring_init(&r, 8, 0);
    CHECK_EQ(files2(3, 0, fds, tags), 0);
    OK(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    CHECK_EQ(ring_wait(&r).user_data, 3);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    ring_exit(&r);
}

TEST(files_with_tags)
{
    int a = mt_file("a", 100), b = mt_file("b", 200), p[2];
    OK(pipe(p));
    ring_init(&r, 8, 0);
    int fds[3] = {a, -1, b};
    uint64_t tags[3] = {101, 0, 103};
    CHECK_EQ(files2(3, 0, fds, tags), 0);
    CHECK_EQ(files2(3, 0, fds, tags), -EBUSY);
    CHECK_EQ(fixed_read(0, area, 500, 0), 100);
    CHECK_EQ(fixed_read(1, area, 500, 0), -EBADF);
    CHECK_EQ(fixed_read(2, area, 500, 0), 200);
    uint64_t more[2] = {201, 202};
    int other[2] = {b, p[0]};
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 2, other, more), 2);
    expect_tag(101);
    CHECK_EQ(fixed_read(0, area, 500, 0), 200);
    // In use: its tag comes when the request is done.
    ADD(&r, READ, 1, area, 10, -1, 9)->flags = IOSQE_FIXED_FILE;
    ring_submit(&r);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 1, 1, (int[]){-1}, NULL), 1);
    ring_quiet(&r);
    CHECK_EQ(write(p[1], "x", 1), 1);
    cqe_t c = ring_wait(&r);
    CHECK_EQ(c.user_data, 9);
    CHECK_EQ(c.res, 1);
    expect_tag(202);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 1, (int[]){-1}, more), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 1, (int[]){-2}, more), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 2, (int[]){-2, a}, NULL), 2);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 2, 2, fds, NULL), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, ~0u, 2, fds, NULL), -EOVERFLOW);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 0, fds, NULL), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 2, (int[]){a, 250}, NULL), 1);
    expect_tag(201);
    OK(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    expect_tag(103);
    CHECK_EQ(files2(2, 0, (int[]){-1, -1}, tags), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 0, 1, fds, NULL), -ENXIO);
    ring_exit(&r);
    OK(close(a));
    OK(close(b));
    OK(close(p[0]));
    OK(close(p[1]));
}

// proves: IORING_REGISTER_FILES2, IORING_REGISTER_FILES_UPDATE2, IORING_REGISTER_BUFFERS_UPDATE
TEST(sparse_tables)
{
    int fd = mt_file("a", 100);
    ring_init(&r, 8, 0);
    CHECK_EQ(files2(8, 1, NULL, NULL), 0);
    CHECK_EQ(fixed_read(3, area, 500, 0), -EBADF);
    CHECK_EQ(update(IORING_REGISTER_FILES_UPDATE2, 3, 1, &fd, NULL), 1);
    CHECK_EQ(fixed_read(3, area, 500, 0), 100);
    OK(u_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0));
    CHECK_EQ(files2(8, 1, &fd, NULL), -EINVAL);
    CHECK_EQ(files2(8, 2, &fd, NULL), -EINVAL);
    CHECK_EQ(files2(0, 1, NULL, NULL), -EINVAL);
    struct rsrc_register a = {4, 1, 0, 0, 0};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES2, &a, 24), EINVAL);
    a.resv2 = 1;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES2, &a, sizeof a), EINVAL);
    CHECK_EQ(buffers2(4, 1, NULL, NULL), 0);
    CHECK_EQ(from_buffer(fd, 1, area[0], 10), -EFAULT);
    struct iovec v = {area[0], PAGE};
    uint64_t tag = 77;
    CHECK_EQ(update(IORING_REGISTER_BUFFERS_UPDATE, 1, 1, &v, &tag), 1);
    CHECK_EQ(from_buffer(fd, 1, area[0] + 5, 10), 10);
    CHECK_EQ(from_buffer(fd, 1, area[1], 10), -EFAULT);
    CHECK_EQ(from_buffer(fd, 4, area[1], 10), -EFAULT);
    v = (struct iovec){NULL, 0};
    CHECK_EQ(update(IORING_REGISTER_BUFFERS_UPDATE, 1, 1, &v, &tag), -EINVAL);
    CHECK_EQ(update(IORING_REGISTER_BUFFERS_UPDATE, 1, 1, &v, NULL), 1);
    expect_tag(77);
    CHECK_EQ(update(IORING_REGISTER_BUFFERS_UPDATE, 4, 1, &v, NULL), -EINVAL);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    CHECK_EQ(update(IORING_REGISTER_BUFFERS_UPDATE, 0, 1, &v, NULL), -ENXIO);
    struct iovec two[2] = {{area[0], 100}, {NULL, 0}};
    uint64_t tags[2] = {5, 6};
    CHECK_EQ(buffers2(2, 0, two, tags), -EINVAL);
    tags[1] = 0;
    CHECK_EQ(buffers2(2, 0, two, tags), 0);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    expect_tag(5);
    ring_exit(&r);
    OK(close(fd));
}

static int clone_of(const struct ring *from, uint32_t flags, uint32_t src, uint32_t dst, uint32_t nr)
{
    struct clone_buffers a = {(uint32_t)from->fd, flags, src, dst, nr, {0}};
    return u_register(r.fd, REGISTER_CLONE_BUFFERS, &a, 1) < 0 ? -errno : 0;
}

// proves: IORING_REGISTER_CLONE_BUFFERS
TEST(cloned_buffers)
{
    struct ring s;
    int fd = mt_file("a", 100);
    ring_init(&r, 8, 0);
    ring_init(&s, 8, 0);
    CHECK_EQ(clone_of(&s, 0, 0, 0, 0), -ENXIO);
    struct iovec v[3] = {{area[0], PAGE}, {area[1], PAGE}, {area[2], PAGE}};
    OK(u_register(s.fd, IORING_REGISTER_BUFFERS, v, 3));
    CHECK_EQ(clone_of(&s, 0, 0, 0, 0), 0);
    CHECK_EQ(clone_of(&s, 0, 0, 0, 0), -EBUSY);
    OK(u_register(s.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    CHECK_EQ(from_buffer(fd, 2, area[2] + 5, 10), 10);
    CHECK_EQ(mt_differs(area[2] + 5, 10, 0), -1);
    OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
    OK(u_register(s.fd, IORING_REGISTER_BUFFERS, v, 3));
    CHECK_EQ(clone_of(&s, 0, 1, 4, 2), 0);
    CHECK_EQ(from_buffer(fd, 4, area[1], 10), 10);
    CHECK_EQ(from_buffer(fd, 5, area[2], 10), 10);
    CHECK_EQ(from_buffer(fd, 3, area[2], 10), -EFAULT);
    CHECK_EQ(clone_of(&s, 2, 0, 5, 1), 0); // over what is there
    CHECK_EQ(from_buffer(fd, 5, area[2], 10), -EFAULT);
    CHECK_EQ(from_buffer(fd, 5, area[0], 10), 10);
    CHECK_EQ(from_buffer(fd, 4, area[1], 10), 10);
    CHECK_EQ(clone_of(&s, 2, 2, 0, 2), -EOVERFLOW);
    CHECK_EQ(clone_of(&s, 2, 0, 0, 4), -EINVAL);
    CHECK_EQ(clone_of(&s, 2, 1, 0, 0), -EINVAL);
    CHECK_EQ(clone_of(&s, 2, ~0u, 0, 1), -EOVERFLOW);
    CHECK_EQ(clone_of(&s, 4, 0, 0, 1), -EINVAL);
    struct clone_buffers a = {(uint32_t)fd, 2, 0, 0, 1, {0}};
    CHECK_ERR(u_register(r.fd, REGISTER_CLONE_BUFFERS, &a, 1), EOPNOTSUPP);
    a.src_fd = 250;
    CHECK_ERR(u_register(r.fd, REGISTER_CLONE_BUFFERS, &a, 1), EBADF);
    CHECK_ERR(u_register(r.fd, REGISTER_CLONE_BUFFERS, &a, 2), EINVAL);
    a = (struct clone_buffers){(uint32_t)s.fd, 2, 0, 0, 1, {0, 1}};
    CHECK_ERR(u_register(r.fd, REGISTER_CLONE_BUFFERS, &a, 1), EINVAL);
    ring_exit(&r);
    ring_exit(&s);
    OK(close(fd));
}

static int open_direct(uint32_t slot)
{
    ADD(&r, OPENAT, AT_FDCWD, "a", 0, 0, 3)->file_index = slot;
    return ring_result(&r, 3);
}

// proves: IORING_REGISTER_FILE_ALLOC_RANGE
TEST(allocation_ranges)
{
    OK(close(mt_file("a", 100)));
    ring_init(&r, 8, 0);
    struct { uint32_t off, len; uint64_t resv; } range = {4, 2, 0};
    CHECK_ERR(u_register(r.fd, 25, &range, 0), EINVAL);
    CHECK_EQ(files2(8, 1, NULL, NULL), 0);
    OK(u_register(r.fd, 25, &range, 0));
    CHECK_EQ(open_direct(~0u), 4);
    CHECK_EQ(open_direct(~0u), 5);
    CHECK_EQ(open_direct(~0u), -ENFILE);
    CHECK_EQ(open_direct(1), 0);
    ADD(&r, CLOSE, 0, NULL, 0, 0, 4)->file_index = 5;
    CHECK_EQ(ring_result(&r, 4), 0);
    CHECK_EQ(open_direct(~0u), 4);
    range.off = 7;
    CHECK_ERR(u_register(r.fd, 25, &range, 0), EINVAL);
    range.off = ~0u;
    CHECK_ERR(u_register(r.fd, 25, &range, 0), EOVERFLOW);
    range.off = 0;
    CHECK_ERR(u_register(r.fd, 25, &range, 1), EINVAL);
    range.resv = 1;
    CHECK_ERR(u_register(r.fd, 25, &range, 0), EINVAL);
    ring_exit(&r);
}

// proves: IORING_OP_FIXED_FD_INSTALL
TEST(descriptors_of_registered_files)
{
    int fd = mt_file("a", 100);
    ring_init(&r, 8, 0);
    CHECK_EQ(files2(1, 0, &fd, NULL), 0);
    prep(ring_sqe(&r), OP_FIXED_FD_INSTALL, 0, NULL, 0, 0, 1)->flags = IOSQE_FIXED_FILE;
    int n = ring_result(&r, 1);
    CHECK(n > 0);
    CHECK_EQ(fcntl(n, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(lseek(fd, 7, SEEK_SET), 7);
    CHECK_EQ(lseek(n, 0, SEEK_CUR), 7);
    OK(close(n));
    sqe_t *s = prep(ring_sqe(&r), OP_FIXED_FD_INSTALL, 0, NULL, 0, 0, 1);
    s->flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
    s->rw_flags = 1; // IORING_FIXED_FD_NO_CLOEXEC
    n = ring_result(&r, 1);
    CHECK(n > 0);
    CHECK_EQ(fcntl(n, F_GETFD), 0);
    OK(close(n));
    prep(ring_sqe(&r), OP_FIXED_FD_INSTALL, fd, NULL, 0, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    prep(ring_sqe(&r), OP_FIXED_FD_INSTALL, 1, NULL, 0, 0, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    s = prep(ring_sqe(&r), OP_FIXED_FD_INSTALL, 0, NULL, 0, 0, 1);
    s->flags = IOSQE_FIXED_FILE;
    s->rw_flags = 2;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_ENTER_REGISTERED_RING, IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS, IORING_FEAT_REG_REG_RING
TEST(registered_rings)
{
    struct ring s;
    ring_init(&r, 8, 0);
    ring_init(&s, 8, 0);
    CHECK_ERR(u_enter(0, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EBADF);
    struct rsrc_update u[3] = {{~0u, 0, (uint64_t)r.fd}, {5, 0, (uint64_t)s.fd}, {5, 0, (uint64_t)s.fd}};
    CHECK_EQ(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 3), 2); // the place is taken
    CHECK_EQ(u[0].offset, 0);
    CHECK_EQ(u[1].offset, 5);
    add_nop(&r, 1);
    ring_publish(&r);
    CHECK_EQ(u_enter(0, 1, 1, IORING_ENTER_REGISTERED_RING | IORING_ENTER_GETEVENTS, NULL, 0), 1);
    CHECK_EQ(ring_wait(&r).user_data, 1);
    CHECK_ERR(u_enter(1, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EBADF);
    CHECK_ERR(u_enter(16, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EINVAL);
    uint32_t limits[2] = {0, 0};
    OK(u_register(5, IORING_REGISTER_IOWQ_MAX_WORKERS | 1u << 31, limits, 2));
    CHECK_ERR(u_register(4, IORING_REGISTER_IOWQ_MAX_WORKERS | 1u << 31, limits, 2), EBADF);
    struct rsrc_update d = {5, 0, 0};
    CHECK_EQ(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 1), 1);
    CHECK_EQ(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 1), 1);
    CHECK_ERR(u_enter(5, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), EBADF);
    d.offset = 16;
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 1), EINVAL);
    d = (struct rsrc_update){0, 0, 1};
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 17), EINVAL);
    u[0] = (struct rsrc_update){~0u, 0, 250};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 1), EBADF);
    u[0] = (struct rsrc_update){16, 0, (uint64_t)r.fd};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 1), EINVAL);
    u[0] = (struct rsrc_update){1, 1, (uint64_t)r.fd};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 1), EINVAL);
    for (int i = 0; i < 15; i++) {
        u[0] = (struct rsrc_update){~0u, 0, (uint64_t)s.fd};
        CHECK_EQ(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 1), 1);
        CHECK_EQ(u[0].offset, i + 1);
    }
    u[0] = (struct rsrc_update){~0u, 0, (uint64_t)s.fd};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RING_FDS, u, 1), EBUSY);
    for (unsigned i = 0; i < 16; i++) {
        d = (struct rsrc_update){i, 0, 0};
        CHECK_EQ(u_register(r.fd, IORING_UNREGISTER_RING_FDS, &d, 1), 1);
    }
    ring_exit(&r);
    ring_exit(&s);
}

// proves: IORING_REGISTER_PERSONALITY, IORING_UNREGISTER_PERSONALITY
TEST(personalities)
{
    OK(close(mt_file("a", 100)));
    ring_init(&r, 8, 0);
    int id = OK(u_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0)), id2 = OK(u_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0));
    CHECK(id > 0 && id2 == id + 1);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PERSONALITY, area, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 1), EINVAL);
    add_nop(&r, 1)->personality = (uint16_t)id;
    CHECK_EQ(ring_result(&r, 1), 0);
    add_nop(&r, 1)->personality = 99;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    ADD(&r, OPENAT, AT_FDCWD, "a", 0, 0, 2)->personality = (uint16_t)id;
    int fd = ring_result(&r, 2);
    CHECK(fd > 0);
    OK(close(fd));
    OK(u_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (uint32_t)id));
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (uint32_t)id), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_PERSONALITY, area, (uint32_t)id2), EINVAL);
    add_nop(&r, 1)->personality = (uint16_t)id;
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    OK(u_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (uint32_t)id2));
    ring_exit(&r);
}

// proves: IORING_FEAT_CUR_PERSONALITY, IORING_REGISTER_PERSONALITY
TEST(a_personality_keeps_its_rights)
{
    if (geteuid() != 0)
        SKIP("not root");
    int fd = mt_file("a", 100);
    OK(fchmod(fd, 0600));
    OK(close(fd));
    OK(chmod(".", 0755));
    ring_init(&r, 8, 0);
    int root = OK(u_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0));
    OK((int)syscall(SYS_setresuid, -1, 1000, -1));
    ADD(&r, OPENAT, AT_FDCWD, "a", 0, 0, 1);
    int refused = ring_result(&r, 1);
    ADD(&r, OPENAT, AT_FDCWD, "a", 0, 0, 2)->personality = (uint16_t)root;
    int opened = ring_result(&r, 2);
    OK((int)syscall(SYS_setresuid, -1, 0, -1));
    CHECK_EQ(refused, -EACCES);
    CHECK(opened > 0);
    OK(close(opened));
    OK(u_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (uint32_t)root));
    ring_exit(&r);
}

struct restriction {
    uint16_t opcode;
    uint8_t value, resv;
    uint32_t resv2[3];
};

// proves: IORING_REGISTER_RESTRICTIONS
TEST(restrictions)
{
    int fd = mt_file("a", 100);
    ring_init(&r, 8, 0);
    struct restriction x[6] = {{0, IORING_REGISTER_BUFFERS}, {1, IORING_OP_NOP}, {1, IORING_OP_READ}, {2, IOSQE_IO_LINK}, {0, IORING_REGISTER_ENABLE_RINGS}};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 5), EBADFD);
    ring_exit(&r);
    ring_init(&r, 8, IORING_SETUP_R_DISABLED);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, NULL, 5), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 1000), EINVAL);
    struct restriction wrong[2] = {{1, IORING_OP_NOP}, {4, 0}};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, wrong, 2), EINVAL);
    wrong[1] = (struct restriction){1, 200};
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, wrong, 2), EINVAL);
    OK(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 4));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 4), EBUSY);
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    add_nop(&r, 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    ADD(&r, READ, fd, area, 10, 0, 1);
    CHECK_EQ(ring_result(&r, 1), 10);
    ADD(&r, WRITE, fd, area, 10, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EACCES);
    add_nop(&r, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), -EACCES);
    add_nop(&r, 1)->flags = IOSQE_IO_LINK;
    CHECK_EQ(ring_result(&r, 1), 0);
    struct iovec v = {area, PAGE};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1));
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), EACCES);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_FILES, &fd, 1), EACCES);
    ring_exit(&r);
    ring_init(&r, 8, IORING_SETUP_R_DISABLED);
    struct restriction must[2] = {{1, IORING_OP_READ}, {3, IOSQE_FIXED_FILE}};
    OK(u_register(r.fd, IORING_REGISTER_FILES, &fd, 1));
    OK(u_register(r.fd, IORING_REGISTER_RESTRICTIONS, must, 2));
    OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    ADD(&r, READ, fd, area, 10, 0, 1);
    CHECK_EQ(ring_result(&r, 1), -EACCES);
    CHECK_EQ(fixed_read(0, area, 10, 0), 10);
    ring_exit(&r);
    OK(close(fd));
}

// proves: IORING_REGISTER_IOWQ_AFF, IORING_UNREGISTER_IOWQ_AFF, IORING_REGISTER_IOWQ_MAX_WORKERS
TEST(limits_of_workers)
{
    ring_init(&r, 8, 0);
    uint32_t n[2] = {3, 5};
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 2));
    CHECK(n[0] > 0 && n[1] > 0);
    n[0] = n[1] = 0;
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 2));
    CHECK_EQ(n[0], 3);
    CHECK_EQ(n[1], 5);
    // No more than the user may have processes.
    struct rlimit most;
    OK(getrlimit(RLIMIT_NPROC, &most));
    if (most.rlim_cur < INT_MAX) {
        n[0] = n[1] = INT_MAX;
        OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 2));
        n[0] = n[1] = 0;
        OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 2));
        CHECK_EQ(n[0], most.rlim_cur);
        CHECK_EQ(n[1], most.rlim_cur);
    }
    n[0] = ~0u;
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 2), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, n, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, NULL, 2), EINVAL);
    uint64_t mask = 1, none = 0;
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, &none, 8));
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, &mask, 1));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, (void *)8, 8), EFAULT);
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, &mask, 8));
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, &mask, 0), EINVAL);
    CHECK_ERR(u_register(r.fd, IORING_REGISTER_IOWQ_AFF, NULL, 8), EINVAL);
    add_nop(&r, 1)->flags = IOSQE_ASYNC;
    CHECK_EQ(ring_result(&r, 1), 0);
    OK(u_register(r.fd, IORING_UNREGISTER_IOWQ_AFF, NULL, 0));
    CHECK_ERR(u_register(r.fd, IORING_UNREGISTER_IOWQ_AFF, NULL, 1), EINVAL);
    ring_exit(&r);
}

// proves: IORING_ENTER_EXT_ARG, IORING_REGISTER_CLOCK
TEST(clocks)
{
    ring_init(&r, 8, 0);
    struct { uint32_t id, resv[3]; } c = {CLOCK_BOOTTIME, {0}};
    OK(u_register(r.fd, REGISTER_CLOCK, &c, 0));
    struct timespec now;
    OK(clock_gettime(CLOCK_BOOTTIME, &now));
    struct __kernel_timespec ts = {now.tv_sec, now.tv_nsec};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | U_ENTER_ABS_TIMER, &arg, sizeof arg), ETIME);
    ts = (struct __kernel_timespec){0, 1000000};
    CHECK_ERR(u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), ETIME);
    c.id = CLOCK_REALTIME;
    CHECK_ERR(u_register(r.fd, REGISTER_CLOCK, &c, 0), EINVAL);
    c.id = CLOCK_MONOTONIC;
    CHECK_ERR(u_register(r.fd, REGISTER_CLOCK, &c, 1), EINVAL);
    CHECK_ERR(u_register(r.fd, REGISTER_CLOCK, NULL, 0), EINVAL);
    OK(u_register(r.fd, REGISTER_CLOCK, &c, 0));
    c.resv[1] = 1;
    CHECK_ERR(u_register(r.fd, REGISTER_CLOCK, &c, 0), EINVAL);
    ring_exit(&r);
}

struct query_hdr {
    uint64_t next, data;
    uint32_t op, size;
    int32_t result;
    uint32_t resv[3];
};

TEST(queries)
{
    struct { uint32_t ops, regs; uint64_t features, setup, enter, sqe; uint32_t queries, pad; } q = {0};
    struct query_hdr h = {.data = (uintptr_t)&q, .size = sizeof q}, second = {.data = (uintptr_t)&q, .op = 7, .size = 8};
    memset(&q, 1, sizeof q);
    h.next = (uintptr_t)&second;
    OK(u_register(-1, REGISTER_QUERY, &h, 0));
    CHECK_EQ(h.result, 0);
    CHECK_EQ(h.size, sizeof q);
    CHECK_EQ(second.result, -EOPNOTSUPP);
    CHECK_EQ(second.size, 0);
    CHECK_EQ(q.ops, 0); // 8 bytes of nothing
    h.next = 0;
    OK(u_register(-1, REGISTER_QUERY, &h, 0));
    CHECK_EQ(q.enter, 0xff);
    CHECK_EQ(q.sqe, 0x7f);
    CHECK_EQ(q.queries, 1);
    struct io_uring_params p = {0};
    int fd = OK(u_setup_patient(4, &p));
    CHECK_EQ(p.features, q.features);
    CHECK_ERR(u_register(fd, 36, &h, 0), EINVAL);
    struct { struct io_uring_probe head; struct io_uring_probe_op ops[256]; } probe = {0};
    OK(u_register(fd, IORING_REGISTER_PROBE, &probe, 256));
    CHECK_EQ(q.ops, probe.head.last_op + 1u);
    h = (struct query_hdr){.data = (uintptr_t)&q, .size = sizeof q, .result = 1};
    OK(u_register(fd, REGISTER_QUERY, &h, 0));
    CHECK_EQ(h.result, -EINVAL);
    memset(area[0], 1, 300);
    h = (struct query_hdr){.data = (uintptr_t)area[0], .size = 200};
    OK(u_register(fd, REGISTER_QUERY, &h, 0));
    CHECK_EQ(h.size, sizeof q);
    CHECK_EQ(area[0][199], 0); // filled up
    CHECK_EQ(area[0][200], 1);
    h = (struct query_hdr){.data = (uintptr_t)area[0], .size = 12};
    OK(u_register(fd, REGISTER_QUERY, &h, 0));
    CHECK_EQ(h.size, 12);
    h = (struct query_hdr){.data = 8, .size = 48};
    CHECK_ERR(u_register(fd, REGISTER_QUERY, &h, 0), EFAULT);
    h = (struct query_hdr){.data = (uintptr_t)&q, .size = sizeof q, .next = (uintptr_t)&h};
    CHECK_ERR(u_register(-1, REGISTER_QUERY, &h, 0), ERANGE);
    CHECK_ERR(u_register(-1, REGISTER_QUERY, &h, 1), EINVAL);
    CHECK_ERR(u_register(-1, IORING_REGISTER_PROBE, &probe, 256), EINVAL);
    OK(close(fd));
}

// proves: IORING_REGISTER_NAPI, IORING_UNREGISTER_NAPI
TEST(busy_polling_is_remembered)
{
    struct { uint32_t to; uint8_t prefer, op, pad[2]; uint32_t param, resv; } n = {50, 1, 0, {0}, 0, 0};
    ring_init(&r, 8, 0);
    OK(u_register(r.fd, 27, &n, 1));
    CHECK_EQ(n.to, 0);
    CHECK_EQ(n.prefer, 0);
    CHECK_ERR(u_register(r.fd, 28, &n, 0), EINVAL);
    OK(u_register(r.fd, 28, &n, 1));
    CHECK_EQ(n.to, 50);
    CHECK_EQ(n.prefer, 1);
    OK(u_register(r.fd, 28, NULL, 1));
    CHECK_ERR(u_register(r.fd, 27, NULL, 1), EINVAL);
    n.op = 7;
    CHECK_ERR(u_register(r.fd, 27, &n, 1), EINVAL);
    n.op = 0;
    n.param = 2;
    CHECK_ERR(u_register(r.fd, 27, &n, 1), EINVAL);
    ring_exit(&r);
}
