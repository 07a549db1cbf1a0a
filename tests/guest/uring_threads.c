// What io_uring adds to a process that others see: threads in /proc (workers, pollers), limits of workers, mappings of rings.
#include "uring.h"
#include <sys/resource.h>
#include <sys/wait.h>

#define U_REGISTER_PBUF_RING 22
#define U_OFF_PBUF_RING 0x80000000ul

struct u_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};

static int read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int n = (int)read(fd, text, size - 1);
    text[n > 0 ? n : 0] = 0;
    close(fd);
    return n;
}

// How many threads have such a name; the last one's id.
static int threads_named(const char *name, int *id)
{
    DIR *d = opendir("/proc/self/task");
    CHECK(d != NULL);
    int found = 0;
    struct dirent *e;
    while ((e = readdir(d))) {
        char path[300], comm[64];
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        if (e->d_name[0] == '.' || read_text(path, comm, sizeof comm) <= 0 || strncmp(comm, name, strlen(name)) != 0)
            continue;
        found++;
        if (id)
            *id = atoi(e->d_name);
    }
    closedir(d);
    return found;
}

static void wait_for_threads(const char *name, int count)
{
    for (int i = 0; i < 500 && threads_named(name, NULL) != count; i++)
        mt_sleep_us(10000);
    CHECK_EQ(threads_named(name, NULL), count);
}

static long status_value(int tid, const char *key, int base)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    CHECK(read_text(path, text, sizeof text) > 0);
    char *at = strstr(text, key);
    CHECK(at != NULL);
    return (long)strtoull(at + strlen(key), NULL, base);
}

// Opens of a FIFO that nobody writes to: each keeps a worker.
static void open_fifo(struct ring *r, int count)
{
    for (int i = 0; i < count; i++)
        ADD(r, OPENAT, AT_FDCWD, "fifo", 0, 0, i + 1)->flags = IOSQE_ASYNC;
    ring_submit(r);
}

static void finish_opens(struct ring *r, int count)
{
    int fd = OK(open("fifo", O_RDWR));
    for (int i = 0; i < count; i++)
        OK(close(OK(ring_wait(r).res)));
    OK(close(fd));
}

TEST(workers_are_threads_of_the_process)
{
    struct ring r;
    OK(mkfifo("fifo", 0600));
    ring_init(&r, 8, 0);
    int before = (int)status_value(getpid(), "\nThreads:", 10), id = 0;
    open_fifo(&r, 3);
    char name[32], text[1024], path[64];
    snprintf(name, sizeof name, "iou-wrk-%d\n", getpid());
    wait_for_threads(name, 3);
    CHECK_EQ(threads_named(name, &id), 3);
    CHECK_EQ(status_value(getpid(), "\nThreads:", 10), before + 3);
    CHECK_EQ(status_value(id, "\nTgid:", 10), getpid());
    CHECK_EQ(status_value(id, "\nPid:", 10), id);
    CHECK_EQ(status_value(id, "\nSigBlk:", 16), (long)0xfffffffffffbfeff);
    CHECK_EQ(status_value(id, "\nSigPnd:", 16), 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    CHECK(read_text(path, text, sizeof text) > 0);
    unsigned flags = 0;
    char state = 0;
    CHECK_EQ(sscanf(strrchr(text, ')'), ") %c %*d %*d %*d %*d %*d %u", &state, &flags), 2);
    CHECK_EQ(state, 'S');
    CHECK_EQ(flags & 0x4050, 0x4050); // PF_USER_WORKER, PF_FORKNOEXEC, PF_IO_WORKER
    struct stat st;
    OK(stat("/proc/self/task", &st));
    CHECK_EQ(st.st_nlink, before + 3 + 2);
    snprintf(path, sizeof path, "/proc/self/task/%d/exe", id);
    CHECK(readlink(path, text, sizeof text) > 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/fd", id);
    OK(access(path, R_OK));
    finish_opens(&r, 3);
    ring_exit(&r);
    wait_for_threads("iou-wrk-", 0); // with the last ring
    CHECK_EQ(access("/proc/self/task/999999999/comm", F_OK), -1);
}

TEST(a_worker_that_opens_is_interrupted)
{
    struct ring r;
    OK(mkfifo("fifo", 0600));
    ring_init(&r, 8, 0);
    open_fifo(&r, 1);
    wait_for_threads("iou-wrk-", 1);
    mt_sleep_us(20000);
    add_cancel(&r, 1, 0, 2);
    ring_submit(&r);
    cqe_t done[2];
    ring_collect(&r, done, 2);
    CHECK_EQ(done[0].res, -512); // ERESTARTSYS as it is
    CHECK_EQ(done[1].res, -EALREADY);
    ring_exit(&r);
}

TEST(no_more_workers_than_allowed)
{
    struct ring r;
    uint32_t limits[2] = {2, 0};
    OK(mkfifo("fifo", 0600));
    ring_init(&r, 16, 0);
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2));
    open_fifo(&r, 6);
    wait_for_threads("iou-wrk-", 2);
    mt_sleep_us(20000);
    CHECK_EQ(threads_named("iou-wrk-", NULL), 2);
    finish_opens(&r, 6);
    uint32_t again[2] = {0, 0};
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, again, 2));
    CHECK_EQ(again[0], 2);
    limits[0] = limits[0] ? limits[0] : 1;
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2)); // what it was, for the others
    ring_exit(&r);
}

static void limits_of(int fd, uint32_t bounded, uint32_t unbounded)
{
    uint32_t limits[2] = {0, 0};
    OK(u_register(fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2));
    CHECK_EQ(limits[0], bounded);
    CHECK_EQ(limits[1], unbounded);
}

static void *limits_of_a_thread(void *shared)
{
    struct ring *r = shared, own;
    uint32_t limits[2] = {5, 6};
    struct rlimit processes;
    OK(getrlimit(RLIMIT_NPROC, &processes));
    limits_of(r->fd, 0, 0); // it has used no ring
    unsigned char mask = 1;
    CHECK_ERR(u_register(r->fd, IORING_REGISTER_IOWQ_AFF, &mask, 1), EINVAL);
    ring_init(&own, 1, 0); // the first one counts
    limits_of(own.fd, 1, (uint32_t)processes.rlim_cur);
    limits_of(r->fd, 1, (uint32_t)processes.rlim_cur);
    struct ring other;
    ring_init(&other, 64, 0);
    limits_of(other.fd, 1, (uint32_t)processes.rlim_cur);
    OK(u_register(other.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2));
    limits_of(own.fd, 5, 6);
    ring_exit(&own);
    ring_exit(&other);
    ring_init(&own, 2, 0);
    limits_of(own.fd, 5, 6); // the thread's, not the ring's
    ring_exit(&own);
    add_nop(r, 1);
    CHECK_EQ(ring_result(r, 1), 0);
    limits[0] = 3;
    limits[1] = 4;
    OK(u_register(r->fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2)); // for all that use the ring
    CHECK_EQ(limits[0], 5);
    return NULL;
}

static void *limits_of_another(void *shared)
{
    struct ring *r = shared;
    add_nop(r, 1);
    CHECK_EQ(ring_result(r, 1), 0);
    limits_of(r->fd, 3, 4); // the ring's, since it is the first that the thread uses
    return NULL;
}

TEST(limits_are_each_threads)
{
    struct ring r;
    ring_init(&r, 8, 0);
    uint32_t before[2] = {0, 0};
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, before, 2));
    pthread_join(mt_thread(limits_of_a_thread, &r), NULL);
    limits_of(r.fd, 3, 4);
    pthread_join(mt_thread(limits_of_another, &r), NULL);
    pid_t child = OK(fork());
    if (child == 0) {
        uint32_t none[2] = {0, 0}, some[2] = {7, 0};
        if (u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, none, 2) != 0 || none[0] != 0 || none[1] != 0)
            _exit(1);
        _exit(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, some, 2) != 0 || some[0] != 0);
    }
    int status;
    CHECK_EQ(OK(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
    limits_of(r.fd, 7, 4);
    OK(u_register(r.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, before, 2));
    ring_exit(&r);
}

TEST(the_poller_is_a_thread_of_the_process)
{
    struct ring r, shared;
    ring_init(&r, 8, IORING_SETUP_SQPOLL);
    char name[32];
    int id = 0;
    snprintf(name, sizeof name, "iou-sqp-%d\n", getpid());
    wait_for_threads(name, 1);
    CHECK_EQ(threads_named(name, &id), 1);
    CHECK_EQ(status_value(id, "\nTgid:", 10), getpid());
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ, .wq_fd = (uint32_t)r.fd};
    ring_init_params(&shared, 8, &p);
    CHECK_EQ(threads_named(name, NULL), 1);
    char path[64], text[4096], expected[32];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", shared.fd);
    snprintf(expected, sizeof expected, "SqThread:\t%d\n", id);
    CHECK(read_text(path, text, sizeof text) > 0);
    CHECK(strstr(text, expected) != NULL);
    ring_exit(&r);
    CHECK_EQ(threads_named(name, NULL), 1);
    ring_exit(&shared);
}

// Whether /proc/self/smaps has the mapping with this offset, and its VmFlags.
static void mapping_of(void *at, unsigned long *offset, char *flags)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    CHECK(f != NULL);
    char line[512];
    unsigned long start, end, off;
    bool here = false;
    *flags = 0;
    *offset = ~0ul;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx %*s %lx ", &start, &end, &off) == 3) {
            here = start == (uintptr_t)at;
            if (here) {
                *offset = off;
                CHECK(strstr(line, "anon_inode:[io_uring]") != NULL);
            }
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            strcpy(flags, line + 8);
        }
    }
    fclose(f);
}

static void check_mapping(int fd, unsigned long offset, size_t size)
{
    char *map = OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset)), flags[512];
    unsigned long shown;
    unsigned char present[64] = {0};
    OK(mincore(map, size, present));
    for (size_t i = 0; i < size / 4096; i++)
        CHECK_EQ(present[i], 1);
    mapping_of(map, &shown, flags);
    CHECK_EQ(shown, offset);
    CHECK_STR(flags, " rd wr sh mr mw ms de mm \n");
    OK(mlock(map, size));
    mapping_of(map, &shown, flags);
    CHECK_STR(flags, " rd wr sh mr mw ms de mm \n");
    OK(munlock(map, size));
    CHECK_ERR(msync(map, size, MS_SYNC), EINVAL);
    OK(msync(map, size, MS_ASYNC));
    OK(madvise(map, size, 22)); // MADV_POPULATE_READ
    char *elsewhere = OK(mmap(NULL, size * 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK_ERR((long)mremap(map, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere), EINVAL);
    CHECK_ERR((long)mremap(map, size, size, MREMAP_MAYMOVE | 4, NULL), EINVAL); // MREMAP_DONTUNMAP
    CHECK_ERR((long)mremap(map, size, size * 2, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERR((long)mremap(map, 0, size, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERR(remap_file_pages(map, size, 0, 1, 0), EINVAL);
    munmap(elsewhere, size * 2);
    OK(munmap(map, size));
    // A part of it is refused, but of the rings themselves; more than it is not.
    if (offset == IORING_OFF_SQ_RING || offset == IORING_OFF_CQ_RING)
        OK(munmap(OK(mmap(NULL, size - 4096, PROT_READ, MAP_SHARED, fd, (off_t)offset)), size - 4096));
    else
        CHECK_ERR((long)mmap(NULL, size - 4096, PROT_READ, MAP_SHARED, fd, (off_t)offset), EFAULT);
    map = OK(mmap(NULL, size + 4096, PROT_READ, MAP_SHARED, fd, (off_t)offset));
    OK(munmap(map, size + 4096));
    map = OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (off_t)offset));
    mapping_of(map, &shown, flags);
    CHECK_STR(flags, " rd wr mr mw de ac mm \n");
    OK(munmap(map, size));
}

TEST(mappings_of_rings)
{
    struct ring r;
    ring_init(&r, 512, 0);
    check_mapping(r.fd, 0, (r.ring_size + 4095) & ~4095ul);
    check_mapping(r.fd, IORING_OFF_CQ_RING, (r.ring_size + 4095) & ~4095ul);
    check_mapping(r.fd, IORING_OFF_SQES, 512 * 64);
    struct u_buf_reg buffers = {.ring_entries = 512, .bgid = 3, .flags = 1};
    OK(u_register(r.fd, U_REGISTER_PBUF_RING, &buffers, 1));
    check_mapping(r.fd, U_OFF_PBUF_RING | 3ul << 16, 8192);
    ring_exit(&r);
}

TEST(buffers_of_files)
{
    struct ring r;
    ring_init(&r, 8, 0);
    int disk = mt_file("f", 8192), memory = OK(memfd_create("m", MFD_CLOEXEC));
    OK(ftruncate(memory, 8192));
    static const struct {
        int prot, flags;
        bool on_disk;
        int error;
    } kinds[] = {
        {PROT_READ | PROT_WRITE, MAP_SHARED, true, -EFAULT}, // its pages are the file's, which has to know of writes
        {PROT_READ | PROT_WRITE, MAP_PRIVATE, true, 0},
        {PROT_READ, MAP_PRIVATE, true, -EFAULT},
        {PROT_READ, MAP_SHARED, true, -EFAULT},
        {PROT_READ | PROT_WRITE, MAP_SHARED, false, 0},
        {PROT_READ | PROT_WRITE, MAP_PRIVATE, false, 0},
        {PROT_READ, MAP_SHARED, false, -EFAULT},
    };
    for (unsigned i = 0; i < countof(kinds); i++) {
        char *map = OK(mmap(NULL, 8192, kinds[i].prot, kinds[i].flags, kinds[i].on_disk ? disk : memory, 0));
        struct iovec v = {map + 100, 5000};
        int result = u_register(r.fd, IORING_REGISTER_BUFFERS, &v, 1);
        if ((result < 0 ? -errno : result) != kinds[i].error)
            FAIL("kind %u: %d (%s), expected %d", i, result, mt_errno(errno), kinds[i].error);
        if (result == 0) {
            sqe_t *s = ADD(&r, READ_FIXED, disk, map + 200, 4096, 0, 1);
            s->buf_index = 0;
            CHECK_EQ(ring_result(&r, 1), 4096);
            CHECK_EQ(mt_differs(map + 200, 4096, 0), -1);
            OK(u_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
        }
        OK(munmap(map, 8192));
    }
    OK(close(disk));
    OK(close(memory));
    ring_exit(&r);
}

TEST(opens_that_meet_their_other_end)
{
    // The other end comes at any moment of the worker's open.
    struct ring r;
    ring_init(&r, 8, 0);
    OK(mkfifo("fifo", 0600));
    for (int i = 0; i < 200; i++) {
        ADD(&r, OPENAT, AT_FDCWD, "fifo", 0, 0, i)->flags = IOSQE_ASYNC;
        ring_submit(&r);
        if (i % 4)
            mt_sleep_us(i % 50);
        int fd = OK(open("fifo", O_RDWR));
        OK(close(OK(ring_wait(&r).res)));
        OK(close(fd));
    }
    ring_exit(&r);
}

TEST(rings_made_used_and_closed)
{
    // What a thread remembers of the rings that it has used does not grow with them.
    for (int i = 0; i < 300; i++) {
        struct ring r;
        ring_init(&r, 2, 0);
        add_nop(&r, 1);
        CHECK_EQ(ring_result(&r, 1), 0);
        ring_drop(&r);
    }
}
