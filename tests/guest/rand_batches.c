// run: 1 8000
// run: 2 8000
// run: 4 8000
// run: 6 8000
// run: 7 8000
// run: 8 8000
// run: 10 8000
// run: 11 8000
// Requests of every operation that ends by itself, by chance, on rings of every kind: batches of chains that run at the same time, with
// wrong fields here and there. What every completion, buffer, file and position came to is printed as one number for each
// block of steps; with a third argument, what is seen from that step on is printed itself, for two blocks or as many steps as a
// fourth argument says.
#include "rand_batches.h"
#include "rand_batches_mix.h"

enum { BLOCK = 50, EPOCH = 200 };

static void make_pair(struct lane *l, int lane)
{
    close(l->pair[0]);
    close(l->pair[1]);
    OK(socketpair(AF_UNIX, lane % 3 == 2 ? SOCK_SEQPACKET : SOCK_STREAM, 0, l->pair));
    for (int i = 0; i < 2; i++)
        OK(fcntl(l->pair[i], F_SETFL, O_NONBLOCK));
}

static void make_lane(struct lane *l, int lane)
{
    char name[24];
    snprintf(l->dir, sizeof l->dir, "L%d", lane);
    OK(mkdir(l->dir, 0755));
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "L%d/f%d", lane, i);
        l->files[i] = mt_file(name, i ? 1000 : 20000);
    }
    OK(pipe2(l->pipe, O_NONBLOCK));
    OK(pipe2(l->more, O_NONBLOCK));
    l->pair[0] = l->pair[1] = -1;
    l->event = OK(eventfd(0, EFD_NONBLOCK));
    l->epoll = OK(epoll_create1(0));
    l->area = every_area + lane * AREA;
    l->pool = OK(mmap(NULL, 2 * BUFS * BUF_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    l->name.sun_family = AF_UNIX;
    snprintf(l->name.sun_path, sizeof l->name.sun_path, "L%d/s", lane);
    make_pair(l, lane);
}

// The ring buffers that the kernel has not: all of them after this.
static void fill_group(struct lane *l)
{
    l->bufs.tail = 0;
    for (int i = 0; i < BUFS; i++)
        pbuf_add(&l->bufs, l->pool + (BUFS + i) * BUF_SIZE, BUF_SIZE, i);
}

static void make_rings(void)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG};
    struct io_uring_params p = {.flags = odds(12) ? IORING_SETUP_SQPOLL : kinds[pick(countof(kinds))], .sq_thread_idle = 1};
    p.flags |= (odds(2) ? IORING_SETUP_SUBMIT_ALL : 0) | (odds(3) ? U_SETUP_NO_SQARRAY : 0) | (odds(4) ? IORING_SETUP_SQE128 : 0);
    p.flags |= (odds(8) ? IORING_SETUP_R_DISABLED : 0) | (odds(8) ? IORING_SETUP_CLAMP : 0);
    p.flags |= odds(4) ? IORING_SETUP_CQE32 : odds(3) ? U_SETUP_CQE_MIXED : 0;
    if (odds(4)) {
        p.flags |= IORING_SETUP_CQSIZE; // too small here and there
        p.cq_entries = 64 << pick(3);
    }
    ring_init_params(&r, 64, &p);
    sq_polls = p.flags & IORING_SETUP_SQPOLL;
    large_sqe = p.flags & IORING_SETUP_SQE128;
    drains = odds(3);
    skips = !drains && !sq_polls && odds(3);
    for (int i = 0; i < 20; i++)
        tally_setup[i] += p.flags >> i & 1;
    note("ring of kind %x\n", p.flags);
    struct io_uring_params q = {.flags = kinds[odds(2) ? 0 : 4] | IORING_SETUP_CQSIZE, .cq_entries = 256};
    ring_init_params(&peer, 8, &q);
    int none[TABLE];
    memset(none, 0xff, sizeof none);
    OK(u_register(peer.fd, IORING_REGISTER_FILES, none, TABLE));
    for (int i = 0; i < LANES; i++)
        lanes[i].used = false;
    struct iovec fixed[LANES + 3];
    memset(fixed, 0, sizeof fixed);
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &lanes[i];
        const int own[SLOTS] = {l->files[0], l->pipe[0], l->pipe[1], l->pair[0], -1, -1, -1, -1};
        memcpy(none + i * SLOTS, own, sizeof own);
        fixed[i] = (struct iovec){l->area, AREA};
    }
    if (p.flags & IORING_SETUP_R_DISABLED) {
        CHECK_ERR(u_enter(r.fd, 0, 0, 0, NULL, 0), EBADFD);
        OK(u_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    }
    OK(u_register(r.fd, IORING_REGISTER_FILES, none, TABLE));
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, fixed, countof(fixed)));
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &lanes[i];
        if (l->bufs.e != NULL)
            munmap(l->bufs.e, l->bufs.size);
        pbuf_init(&r, &l->bufs, BUFS, RING_GROUP + i);
        fill_group(l);
        sqe_t *s = prep(next_sqe(), IORING_OP_PROVIDE_BUFFERS, BUFS, l->pool, BUF_SIZE, 0, BARRIER);
        s->buf_group = (uint16_t)i;
    }
    struct seen all[16];
    int n = 0;
    submit_all();
    CHECK(collect(all, &n, countof(all), LANES));
}

static void drop_rings(void)
{
    ring_drop(&r);
    ring_drop(&peer);
}

static void drain_fd(int fd, const char *what)
{
    static char all[65536];
    ssize_t n = read(fd, all, sizeof all);
    if (n > 0)
        note("    in the %s: %zd bytes %x\n", what, n, hash(all, (size_t)n));
}

// A provided buffer that was taken goes back.
static void give_back(const struct seen *c)
{
    struct lane *l = &lanes[(c->data - 1000) / 16];
    uint32_t bid = c->flags >> 16;
    if (!(c->flags & IORING_CQE_F_BUFFER) || c->data < 1000 || c->data >= 1000 + LANES * 16)
        return;
    note("    buffer %u %lx\n", bid, (unsigned long)hash_words(l->pool + bid * BUF_SIZE % (2 * BUFS * BUF_SIZE), BUF_SIZE));
}

static void look_at(struct lane *l)
{
    drain_fd(l->pipe[0], "pipe");
    drain_fd(l->more[0], "second pipe");
    drain_fd(l->pair[0], "pair");
    drain_fd(l->pair[1], "pair");
    struct stat st[2];
    for (int i = 0; i < 2; i++)
        OK(fstat(l->files[i], &st[i]));
    note("    sizes %ld %ld\n", (long)st[0].st_size, (long)st[1].st_size);
    note("    area %lx pool %lx positions %ld %ld stat %x %lx %x\n", (unsigned long)hash_words(l->area, AREA),
         (unsigned long)hash_words(l->pool, 2 * BUFS * BUF_SIZE), (long)lseek(l->files[0], 0, SEEK_CUR), (long)lseek(l->files[1], 0, SEEK_CUR),
         l->stats.stx_mode, S_ISDIR(l->stats.stx_mode) ? 0 : (unsigned long)l->stats.stx_size, l->stats.stx_nlink);
}

// A batch: a chain in each of some lanes; then everything that came of it.
static void batch(void)
{
    static struct seen all[1024];
    bool barrier = drains && odds(3);
    int made = 0, n = 0;
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &lanes[i];
        l->used = !odds(4);
        if (!l->used)
            continue;
        int length = odds(3) ? 1 : 1 + (int)pick(CHAIN);
        sqe_t *before = NULL;
        l->length = length;
        l->ended = false;
        for (int k = 0; k < length; k++, made++) {
            sqe_t *s = next_sqe();
            bool last = k == length - 1;
            s->user_data = (uint64_t)(1000 + i * 16 + k);
            alone = length == 1;
            bool limit = k > 0 && odds(12);
            if (limit && (before->flags & IOSQE_CQE_SKIP_SUCCESS)) // a silent one's timeout may be told of after the chain's end
                before->flags &= ~IOSQE_CQE_SKIP_SUCCESS, l->flags[k - 1] = before->flags;
            if (limit)
                prep(s, IORING_OP_LINK_TIMEOUT, -1, &long_time, 1, 0, s->user_data)->timeout_flags = odds(9) ? pick(64) & ~3u : 0;
            else
                prepare(s, l, i, k, last);
            s->flags |= (last ? 0 : odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK)
                | (odds(6) && !(s->flags & IOSQE_BUFFER_SELECT) ? IOSQE_ASYNC : 0) | (drains && odds(20) ? IOSQE_IO_DRAIN : 0)
                | (skips && !last && odds(3) ? IOSQE_CQE_SKIP_SUCCESS : 0) | (skips && odds(50) ? IOSQE_IO_DRAIN : 0);
            if (s->flags & IOSQE_CQE_SKIP_SUCCESS) // so that what is told of a silent one is always the end of its chain
                s->flags &= ~IOSQE_IO_HARDLINK, s->flags |= IOSQE_IO_LINK;
            before = s;
            l->ops[k] = s->opcode;
            l->flags[k] = s->flags;
            for (int b = 0; b < 8; b++)
                tally_flag[b] += s->flags >> b & 1;
            if (loud)
                printf("  %lu: op %d flags %x ioprio %x fd %d off %lx addr %s len %u rw %x buf %u index %x addr3 %lx\n", (unsigned long)s->user_data, s->opcode,
                     s->flags, s->ioprio, s->fd, s->off < 1 << 20 || s->off > 1ull << 62 ? (unsigned long)s->off : 0xaddul, s->addr < 100000 ? "small" : "set", s->len,
                     s->rw_flags, s->buf_index, s->file_index, s->addr3 < 1 << 20 ? (unsigned long)s->addr3 : 0xaddul);
        }
    }
    if (barrier) {
        prep(next_sqe(), IORING_OP_NOP, -1, NULL, 0, 0, BARRIER)->flags = IOSQE_IO_DRAIN;
        made++;
    }
    submit_all();
    if (!collect(all, &n, countof(all), barrier ? -1 : skips ? -2 : made))
        stuck(all, &n, countof(all));
    for (enter_for(&r, 0, 0, 0); skips && n < (int)countof(all) && take(&r, &all[n]); n++)
        settle(&all[n]);
    tell(all, n, "cqe");
    for (int i = 0; i < n; i++)
        give_back(&all[i]);
    n = 0;
    enter_for(&peer, 0, 0, 0);
    while (n < 1024 && take(&peer, &all[n]))
        n++;
    tell(all, n, "peer");
    for (int i = 0; i < LANES; i++)
        if (lanes[i].used)
            look_at(&lanes[i]);
}

int main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 1000, from = argc > 3 ? atoi(argv[3]) : INT_MAX, told = argc > 4 ? atoi(argv[4]) : 2 * BLOCK;
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    every_area = OK(mmap(NULL, LANES * AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mt_pattern(every_area, LANES * AREA, 5);
    for (int i = 0; i < LANES; i++)
        make_lane(&lanes[i], i);
    for (rand_step = 0; rand_step < steps; rand_step++) {
        loud = rand_step >= from && rand_step < from + told;
        if (rand_step % EPOCH == 0) {
            if (rand_step > 0)
                drop_rings();
            make_rings();
        }
        if (rand_step % BLOCK == 0) {
            for (int i = 0; i < LANES; i++) {
                make_pair(&lanes[i], i);
                OK(u_register(r.fd, IORING_REGISTER_FILES_UPDATE, &(struct io_uring_files_update){(uint32_t)(i * SLOTS + 3), 0, (uintptr_t)&lanes[i].pair[0]}, 1));
                fill_group(&lanes[i]);
            }
            printf("%d %lx\n", rand_step, (unsigned long)seen_hash);
        }
        note("step %d\n", rand_step);
        batch();
    }
    drop_rings();
    tell_tally();
    static char all[200000];
    for (int i = 0; i < LANES; i++)
        for (int f = 0; f < 2; f++) {
            ssize_t n = pread(lanes[i].files[f], all, sizeof all, 0);
            note("file %d: %zd bytes %x\n", i, n, n > 0 ? hash(all, (size_t)n) : 0);
        }
    printf("%lu requests, %lx\n", (unsigned long)requests_made, (unsigned long)seen_hash);
    return rand_end();
}
