// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
// run: 7
// run: 8
// Random requests, one chain after the other so that the order is given, with wrong fields here and there; then what
// they left in the directory.
#include "rand.h"
#include "uring.h"
#include <linux/openat2.h>

enum { STEPS = 1200, BUFFER = 65536, SLOTS = 6 };

static struct ring r;
static int files[2], pipes[2];
static char *buffer; // registered as fixed buffer 0
static struct statx stats;
static struct iovec vectors[4];
static struct __kernel_timespec no_time = {0, 0};
static const struct open_how how = {O_RDWR | O_CREAT, 0644, 0};

static const char *const names[] = {"a", "b", "d", "d/a", "d/b", "l", "no/x", ""};

static const char *any_name(void) { return names[pick(countof(names))]; }

static void prepare(sqe_t *s, bool last)
{
    uint32_t len = odds(3) ? pick(20000) : pick(600);
    uint64_t off = odds(4) ? ~0ull : pick(40000);
    char *at = buffer + pick(BUFFER - 20000);
    int fd = files[pick(2)];
    uint64_t data = s->user_data;
    for (int i = 0; i < 4; i++)
        vectors[i] = (struct iovec){buffer + i * 1000, odds(4) ? 0 : 1 + pick(900)};
    switch (pick(last ? 24 : 23)) { // a splice comes last: the pipe may hold the file's own pages, which change with it
    case 0: prep(s, IORING_OP_NOP, -1, NULL, 0, 0, data); break;
    case 1:
    case 2: prep(s, IORING_OP_READ, fd, at, len, off, data); break;
    case 3:
    case 4: prep(s, IORING_OP_WRITE, fd, at, len, off, data); break;
    case 5: prep(s, IORING_OP_READV, fd, vectors, pick(5), off, data); break;
    case 6: prep(s, IORING_OP_WRITEV, fd, vectors, pick(5), off, data); break;
    case 7: prep(s, odds(2) ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED, fd, at, len, off, data); break;
    case 8:
        prep(s, IORING_OP_READ, pick(SLOTS), at, len, off, data)->flags |= IOSQE_FIXED_FILE;
        break;
    case 9: prep(s, IORING_OP_WRITE, pipes[1], at, len % 2000, -1, data)->rw_flags = RWF_NOWAIT; break;
    case 10: prep(s, IORING_OP_READ, pipes[0], at, len, -1, data)->rw_flags = RWF_NOWAIT; break;
    case 11: prep(s, IORING_OP_FSYNC, fd, NULL, 0, 0, data)->fsync_flags = pick(2); break;
    case 12:
        prep(s, IORING_OP_FALLOCATE, fd, (void *)(uintptr_t)pick(30000), odds(2) ? 0 : odds(2) ? 1 : 3, pick(30000), data);
        break;
    case 13: // straight into the table
        prep(s, IORING_OP_OPENAT, AT_FDCWD, any_name(), 0644, 0, data);
        s->open_flags = O_RDWR | (odds(2) ? O_CREAT : 0) | (odds(6) ? O_TRUNC : 0) | (odds(6) ? O_EXCL : 0);
        s->file_index = odds(6) ? IORING_FILE_INDEX_ALLOC : 1 + pick(SLOTS + 1);
        break;
    case 14:
        prep(s, IORING_OP_OPENAT2, AT_FDCWD, any_name(), odds(8) ? pick(40) : sizeof how, (uintptr_t)&how, data);
        s->file_index = 1 + pick(SLOTS);
        break;
    case 15:
        prep(s, IORING_OP_CLOSE, 0, NULL, 0, 0, data)->file_index = 1 + pick(SLOTS + 1);
        break;
    case 16:
        prep(s, IORING_OP_STATX, AT_FDCWD, any_name(), STATX_SIZE | STATX_NLINK, (uintptr_t)&stats, data);
        break;
    case 17: prep(s, IORING_OP_MKDIRAT, AT_FDCWD, any_name(), 0755, 0, data); break;
    case 18: prep(s, IORING_OP_UNLINKAT, AT_FDCWD, any_name(), 0, 0, data)->unlink_flags = odds(3) ? AT_REMOVEDIR : 0; break;
    case 19:
        prep(s, IORING_OP_RENAMEAT, AT_FDCWD, any_name(), (uint32_t)AT_FDCWD, (uintptr_t)any_name(), data);
        s->rename_flags = odds(2) ? 0 : pick(4);
        break;
    case 20:
        if (odds(2))
            prep(s, IORING_OP_SYMLINKAT, AT_FDCWD, any_name(), 0, (uintptr_t)any_name(), data);
        else
            prep(s, IORING_OP_LINKAT, AT_FDCWD, any_name(), (uint32_t)AT_FDCWD, (uintptr_t)any_name(), data);
        break;
    case 21:
        if (odds(2)) {
            prep(s, IORING_OP_TIMEOUT, -1, &no_time, 1, 0, data)->timeout_flags = odds(2) ? IORING_TIMEOUT_ETIME_SUCCESS : 0;
        } else {
            prep(s, odds(2) ? IORING_OP_TIMEOUT_REMOVE : IORING_OP_ASYNC_CANCEL, -1, (void *)99999, 0, 0, data);
        }
        break;
    case 22:
        prep(s, IORING_OP_POLL_ADD, odds(2) ? pipes[1] : fd, NULL, 0, 0, data)->poll32_events = POLLOUT | (odds(2) ? POLLIN : 0);
        break;
    default: // a little from a file into the pipe
        prep(s, IORING_OP_SPLICE, pipes[1], NULL, 1 + pick(1500), -1, data);
        s->splice_off_in = odds(2) ? ~0ull : pick(20000);
        s->splice_fd_in = fd;
        s->splice_flags = SPLICE_F_NONBLOCK;
        break;
    }
    // Wrong here and there, where the answer does not depend on what the field would otherwise mean.
    switch (pick(60)) {
    case 0: s->opcode = (uint8_t)(U_OP_LAST_6_18 + pick(100)); break;
    case 1: s->flags |= 0x80; break;
    case 2: s->personality = 7; break;
    case 3: s->addr = 8; break;
    case 4: s->fd = 250; break;
    case 5: s->buf_index = 1 + pick(3); break;
    case 6: s->off = 1ull << 63 | pick(100); break;
    default: break;
    }
}

static void drain_pipe(void)
{
    char all[65536];
    ssize_t n = read(pipes[0], all, sizeof all);
    if (n > 0)
        printf("    in the pipe: %zd bytes %x\n", n, hash(all, n));
}

static void step(void)
{
    int n = odds(2) ? 1 : 1 + (int)pick(5);
    for (int i = 0; i < n; i++) {
        sqe_t *s = ring_sqe(&r);
        s->user_data = i + 1;
        uint8_t flags = i < n - 1 ? odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK : 0;
        flags |= odds(6) ? IOSQE_ASYNC : 0;
        prepare(s, i == n - 1);
        s->flags |= flags;
        printf("%d.%d op %d flags %x fd %s off %ld len %u\n", rand_step, i + 1, s->opcode, s->flags,
               s->fd == files[0] ? "f0" : s->fd == files[1] ? "f1" : s->fd == pipes[0] ? "p0" : s->fd == pipes[1] ? "p1" : "-",
               s->off < 1 << 20 ? (long)s->off : -1, s->len);
    }
    ring_publish(&r);
    int taken = 0;
    while (taken < n) { // a wrong request ends the batch
        int k = u_enter(r.fd, n - taken, 0, 0, NULL, 0);
        printf("    enter %d\n", k);
        if (k <= 0)
            break;
        taken += k;
    }
    cqe_t c[8];
    ring_collect(&r, c, n);
    for (int i = 0; i < n; i++)
        printf("    %d: %s %d flags %x\n", i + 1, c[i].res < 0 ? mt_errno(-c[i].res) : "", c[i].res < 0 ? 0 : c[i].res, c[i].flags);
    drain_pipe();
    printf("    buffer %x positions %ld %ld\n", hash(buffer, BUFFER), (long)lseek(files[0], 0, SEEK_CUR),
           (long)lseek(files[1], 0, SEEK_CUR));
}

int main(int argc, char **argv)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_SUBMIT_ALL, U_SETUP_NO_SQARRAY, IORING_SETUP_COOP_TASKRUN,
                                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    rand_start(argc, argv);
    ring_init(&r, 16, kinds[pick(countof(kinds))]);
    files[0] = mt_file("f0", 30000);
    files[1] = mt_file("f1", 1000);
    OK(pipe2(pipes, O_NONBLOCK));
    buffer = OK(mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mt_pattern(buffer, BUFFER, 5);
    struct iovec fixed = {buffer, BUFFER};
    int slots[SLOTS] = {files[0], -1, files[1], -1, -1, -1};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, &fixed, 1));
    OK(u_register(r.fd, IORING_REGISTER_FILES, slots, SLOTS));
    OK(mkdir("d", 0755));
    for (rand_step = 0; rand_step < STEPS; rand_step++)
        step();
    ring_exit(&r);
    static char all[200000];
    for (int i = 0; i < 2; i++) {
        ssize_t n = pread(files[i], all, sizeof all, 0);
        printf("file %d: %zd bytes %x\n", i, n, hash(all, n));
    }
    for (unsigned i = 0; i < countof(names); i++) {
        struct stat st;
        if (lstat(names[i], &st) == 0)
            printf("%s: mode %o links %lu size %ld\n", names[i], st.st_mode, (unsigned long)st.st_nlink,
                   S_ISREG(st.st_mode) ? (long)st.st_size : 0);
    }
    return rand_end();
}
