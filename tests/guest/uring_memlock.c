// run:
// What of a ring counts as locked memory of an ordinary user (RLIMIT_MEMLOCK): for each use of a ring the smallest limit,
// in pages, with which it works, and the error with one page less. Run natively and in Moat, the outputs have to be the
// same. Every attempt is another user's: Linux gives the memory of closed rings back late.
#include "rand.h"
#include "uring.h"
#include <sys/resource.h>
#include <sys/wait.h>

enum { PAGE = 4096, MOST = 200 };

static int next_user = 6000;
static char *memory;

static int new_ring(unsigned entries, unsigned flags, struct ring *r)
{
    memset(r, 0, sizeof *r);
    r->p.flags = flags;
    r->fd = u_setup(entries, &r->p);
    return r->fd < 0 ? errno : 0;
}

static int reg(struct ring *r, int op, const void *arg, int n) { return u_register(r->fd, op, arg, n) < 0 ? errno : 0; }

static int buffers(struct ring *r, int n, const struct iovec *v) { return reg(r, IORING_REGISTER_BUFFERS, v, n); }

static int entries_1(void) { struct ring r; return new_ring(1, 0, &r); }
static int entries_128(void) { struct ring r; return new_ring(128, 0, &r); }
static int entries_128_large(void) { struct ring r; return new_ring(128, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, &r); }
static int entries_128_no_array(void) { struct ring r; return new_ring(128, U_SETUP_NO_SQARRAY, &r); }
static int entries_1024(void) { struct ring r; return new_ring(1024, 0, &r); }
static int polled(void) { struct ring r; return new_ring(8, IORING_SETUP_SQPOLL, &r); }

static int cq_4096(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4096};
    return u_setup(8, &p) < 0 ? errno : 0;
}

static int two_rings(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    return e ? e : new_ring(8, 0, &r);
}

static int my_memory(void)
{
    struct io_uring_params p = {.flags = U_SETUP_NO_MMAP};
    p.cq_off.resv2 = (uintptr_t)memory;
    p.sq_off.resv2 = (uintptr_t)memory + 16 * PAGE;
    return u_setup(128, &p) < 0 ? errno : 0;
}

static int a_buffer(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    return e ? e : buffers(&r, 1, &(struct iovec){memory, 3 * PAGE});
}

static int a_buffer_across_pages(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    return e ? e : buffers(&r, 1, &(struct iovec){memory + 100, PAGE});
}

static int a_buffer_twice(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    return e ? e : buffers(&r, 2, (struct iovec[]){{memory, 3 * PAGE}, {memory, 3 * PAGE}});
}

static int a_buffer_in_two_rings(void)
{
    struct ring r, s;
    int e = new_ring(8, 0, &r);
    if (!e)
        e = new_ring(8, 0, &s);
    if (!e)
        e = buffers(&r, 1, &(struct iovec){memory, 3 * PAGE});
    return e ? e : buffers(&s, 1, &(struct iovec){memory, 3 * PAGE});
}

static int a_cloned_buffer(void)
{
    struct ring r, s;
    int e = new_ring(8, 0, &r);
    if (!e)
        e = new_ring(8, 0, &s);
    if (!e)
        e = buffers(&r, 1, &(struct iovec){memory, 3 * PAGE});
    struct { uint32_t src_fd, flags, src_off, dst_off, nr, pad[3]; } clone = {.src_fd = r.fd};
    return e ? e : reg(&s, 30, &clone, 1);
}

static int sparse_buffers(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    struct io_uring_rsrc_register sparse = {.nr = 1000, .flags = IORING_RSRC_REGISTER_SPARSE};
    return e ? e : reg(&r, IORING_REGISTER_BUFFERS2, &sparse, sizeof sparse);
}

static int a_buffer_replaced(void)
{
    struct ring r;
    struct iovec v = {memory, 3 * PAGE}, w = {memory, 5 * PAGE};
    struct io_uring_rsrc_update2 update = {.data = (uintptr_t)&w, .nr = 1};
    int e = new_ring(8, 0, &r);
    if (!e)
        e = buffers(&r, 1, &v);
    return e ? e : reg(&r, IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof update);
}

static int a_buffer_again_and_again(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    for (int i = 0; !e && i < 5; i++) {
        e = buffers(&r, 1, &(struct iovec){memory, 3 * PAGE});
        if (!e)
            e = reg(&r, IORING_UNREGISTER_BUFFERS, NULL, 0);
    }
    return e;
}

static int files(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r), fds[100];
    memset(fds, 0, sizeof fds);
    return e ? e : reg(&r, IORING_REGISTER_FILES, fds, 100);
}

static int buffer_ring(unsigned entries, unsigned flags, void *at)
{
    struct ring r;
    struct io_uring_buf_reg b = {.ring_addr = (uintptr_t)at, .ring_entries = entries, .bgid = 1};
    b.pad = flags;
    int e = new_ring(8, 0, &r);
    return e ? e : reg(&r, IORING_REGISTER_PBUF_RING, &b, 1);
}

static int a_buffer_ring(void) { return buffer_ring(1024, 0, memory); }
static int a_small_buffer_ring(void) { return buffer_ring(1, 0, memory); }
static int a_mapped_buffer_ring(void) { return buffer_ring(1024, 1, NULL); }

static int buffer_rings_again_and_again(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    for (int i = 0; !e && i < 6; i++) {
        struct io_uring_buf_reg b = {.ring_addr = i & 1 ? 0 : (uintptr_t)memory, .ring_entries = 512, .bgid = i, .pad = i & 1};
        e = reg(&r, IORING_REGISTER_PBUF_RING, &b, 1);
        b = (struct io_uring_buf_reg){.bgid = i};
        if (!e)
            e = reg(&r, IORING_UNREGISTER_PBUF_RING, &b, 1);
    }
    return e;
}

static int region(void *at)
{
    struct ring r;
    struct { uint64_t user_addr, size; uint32_t flags, id; uint64_t mmap_offset, resv[4]; } desc
        = {.user_addr = (uintptr_t)at, .size = 2 * PAGE, .flags = at != NULL};
    struct { uint64_t desc, flags, resv[2]; } m = {(uintptr_t)&desc, 0, {0}};
    int e = new_ring(8, 0, &r);
    return e ? e : reg(&r, 34, &m, 1);
}

static int a_region(void) { return region(memory); }
static int a_mapped_region(void) { return region(NULL); }

static int resized(unsigned from, unsigned to, int times)
{
    struct ring r;
    int e = new_ring(from, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, &r);
    for (int i = 0; !e && i < times; i++) {
        struct io_uring_params p = {.sq_entries = i & 1 ? from : to};
        e = reg(&r, 33, &p, 1);
    }
    return e;
}

static int larger(void) { return resized(8, 128, 1); }
static int smaller(void) { return resized(128, 8, 1); }
static int larger_and_smaller(void) { return resized(8, 128, 8); }

static int smaller_then_more(void)
{
    struct ring r, s;
    int e = new_ring(128, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, &r);
    struct io_uring_params p = {.sq_entries = 8};
    if (!e)
        e = reg(&r, 33, &p, 1);
    return e ? e : new_ring(8, 0, &s);
}

static int many_requests(void)
{
    struct ring r;
    int e = new_ring(8, 0, &r);
    if (e)
        return e;
    ring_map(&r);
    for (int i = 0; i < 300; i++) {
        add_poll(&r, 0, POLLPRI, i);
        ring_submit(&r);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} uses[] = {
#define USE(f) {#f, f}
    USE(entries_1), USE(entries_128), USE(entries_128_large), USE(entries_128_no_array), USE(entries_1024), USE(polled),
    USE(cq_4096), USE(two_rings), USE(my_memory), USE(a_buffer), USE(a_buffer_across_pages), USE(a_buffer_twice),
    USE(a_buffer_in_two_rings), USE(a_cloned_buffer), USE(sparse_buffers), USE(a_buffer_replaced), USE(a_buffer_again_and_again),
    USE(files), USE(a_buffer_ring), USE(a_small_buffer_ring), USE(a_mapped_buffer_ring), USE(buffer_rings_again_and_again),
    USE(a_region), USE(a_mapped_region), USE(larger), USE(smaller), USE(larger_and_smaller), USE(smaller_then_more),
    USE(many_requests),
};

// The use as another user with a limit of so many pages: its errno, or 0.
static int attempt(int (*run)(void), int pages, bool keeps)
{
    pid_t child = OK(fork());
    if (child == 0) {
        struct rlimit limit = {pages * PAGE, pages * PAGE};
        OK(setrlimit(RLIMIT_MEMLOCK, &limit));
        if (!keeps) {
            OK(setgid(next_user));
            OK(setuid(next_user));
        }
        _exit(run());
    }
    next_user++;
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    if (geteuid() != 0) {
        printf("only root can be others\n");
        return rand_end();
    }
    memory = OK(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(memory, 1, 64 * PAGE);
    for (unsigned i = 0; i < countof(uses); i++) {
        // What works with a limit works with any larger one.
        int low = -1, high = MOST, error = 0;
        while (high - low > 1) {
            int middle = (low + high) / 2, e = attempt(uses[i].run, middle, false);
            if (e != 0) {
                low = middle;
                error = e;
            } else {
                high = middle;
            }
        }
        printf("%s: %d pages, with less %s; without a limit for root: %d\n", uses[i].name, high, mt_errno(error),
               attempt(uses[i].run, 0, true));
    }
    return rand_end();
}
