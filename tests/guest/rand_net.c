// settles: what the network moves on
// run: 1 1000
// run: 3 800
// run: 9 1000
// run: 12 2000
// run: 1 6000
// run: 3 6000
// run: 4 6000
// run: 5 6000
// Requests of the network family, by chance: on pairs of every kind of socket, with buffers of every kind, once, many times or in bundles,
// in chains, behind drains and on workers. Printed like rand_batches: a number for a block of steps, or from a step on.
// What a step's requests do is done when the ring is entered next, but for what workers do: such a step begins with nothing under way, and
// its requests end by themselves, one after the other.
#include "rand_net.h"

enum { BLOCK = 100, EPOCH = 40 };

static void open_all(void)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct io_uring_params p = {.flags = kinds[pick(countof(kinds))] | IORING_SETUP_CQSIZE | (odds(2) ? IORING_SETUP_SUBMIT_ALL : 0), .cq_entries = odds(3) ? 16 : 256};
    p.flags |= (odds(4) ? IORING_SETUP_CQE32 : odds(3) ? U_SETUP_CQE_MIXED : 0) | (odds(4) ? IORING_SETUP_SQE128 : 0) | (odds(4) ? U_SETUP_NO_SQARRAY : 0);
    ring_init_params(&r, 16, &p);
    drains = odds(3);
    note("ring of kind %x\n", p.flags);
    listener = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    unlink("listener");
    unlink("other");
    OK(bind(listener, (struct sockaddr *)&listener_name, sizeof listener_name));
    OK(listen(listener, 8));
    int files[SLOTS];
    memset(files, 0xff, sizeof files);
    for (int i = 0; i < PAIRS; i++) {
        make_pair(i);
        files[2 * i] = pairs[i][0];
        files[2 * i + 1] = pairs[i][1];
    }
    OK(u_register(r.fd, IORING_REGISTER_FILES, files, SLOTS));
    struct io_uring_file_index_range own = {SPARE, SLOTS - SPARE, 0};
    OK(u_register(r.fd, IORING_REGISTER_FILE_ALLOC_RANGE, &own, 0));
    struct iovec fixed[2] = {{data, sizeof data}, {rooms, sizeof rooms}};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, fixed, 2));
    for (int g = 0; g < RINGS; g++) {
        struct pbuf_ring *b = &groups[g];
        struct io_uring_buf_reg reg = {.ring_entries = BUFS, .bgid = (uint16_t)g, .pad = g == INCREMENTAL ? 2 : 0};
        *b = (struct pbuf_ring){.e = aligned(4096), .entries = BUFS, .size = 4096};
        reg.ring_addr = (uintptr_t)b->e;
        OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
        fill(g, BUFS);
    }
}

static void close_all(void)
{
    ring_drop(&r);
    for (int i = 0; i < PAIRS; i++)
        drop(pairs[i]);
    while (client_count > 0)
        OK(close(clients[--client_count]));
    OK(close(listener));
    for (int g = 0; g < RINGS; g++)
        OK(munmap(groups[g].e, groups[g].size));
}

// What completes is told by number: the order of requests that one event completes is open in places.
static void look(int wanted, uint64_t first)
{
    static struct seen all[1024];
    int n = 0, ended = 0;
    uint64_t end = mt_now_ns(CLOCK_MONOTONIC) + 5000000000ull;
    for (int quiet = 0; quiet < 2 || (ended < wanted && mt_now_ns(CLOCK_MONOTONIC) < end);) {
        enter_for(&r, 0, ended < wanted, 100);
        int before = n;
        while (n < (int)countof(all) && take(&r, &all[n])) {
            ended += settle(&all[n]) && all[n].data >= first;
            n++;
        }
        quiet = n > before ? 0 : quiet + 1;
    }
    tell(all, n, "cqe");
    note("    memory %lx %lx %lx\n", (unsigned long)hash_words(rooms, sizeof rooms), (unsigned long)hash_words(pool, sizeof pool), (unsigned long)messages_seen());
}

static int submit_all(void)
{
    uint32_t all = ring_publish(&r);
    int taken = 0;
    while (taken < (int)all) {
        int k = u_enter(r.fd, all - taken, 0, 0, NULL, 0);
        note("    enter %d %s\n", k, error_of(k));
        if (k <= 0)
            break;
        taken += k;
    }
    return taken;
}

// Ends what is under way, and what only begins then.
static void cancel_all(void)
{
    for (int i = 0; i < 20; i++) {
        struct io_uring_sync_cancel_reg c = {.flags = FLAG_CANCEL_ANY, .timeout = {-1, -1}};
        int n = u_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &c, 1);
        note("  cancel = %d %s\n", n, error_of(n));
        look(0, 0);
        if (n <= 0)
            break;
    }
}

// A chain on workers, or behind a drain, which is one too: of requests that do not wait. What comes next may be drained too.
static void run_async(void)
{
    cancel_all();
    int n = 1 + (int)pick(4);
    uint64_t first = next_data + 1;
    for (int i = 0; i < n; i++) {
        sqe_t *s = begin();
        prepare_ending(s);
        // Linux has a drain wait for the notification behind it, for ever; and what a worker picks up depends on who comes first.
        bool notifies = s->opcode == IORING_OP_SEND_ZC || s->opcode == U_OP_SENDMSG_ZC;
        if ((drains && notifies) || (i > 0 && s->flags & IOSQE_BUFFER_SELECT)) {
            uint64_t id = s->user_data;
            memset(s, 0, sizeof *s);
            prep(s, IORING_OP_NOP, -1, NULL, 0, 0, id);
        }
        s->flags |= (odds(2) ? IOSQE_ASYNC : 0) | (drains && odds(4) ? IOSQE_IO_DRAIN : 0) | (i < n - 1 ? odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK : 0);
        show(s);
    }
    for (int i = 0; i < 1 + 2 * drains; i++) {
        sqe_t *s = begin();
        show(prep(s, IORING_OP_NOP, -1, NULL, 0, 0, s->user_data));
        submit_all();
        look(i == 0 ? n + 1 : 1, first);
    }
}

static void run(void)
{
    int n = odds(2) ? 1 + (int)pick(5) : 1;
    for (int i = 0; i < n; i++) {
        sqe_t *s = begin();
        if (i > 0 && odds(9))
            prep(s, IORING_OP_LINK_TIMEOUT, -1, &long_time, 1, 0, s->user_data);
        else
            prepare(s);
        s->flags |= i < n - 1 && odds(3) ? odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK : 0;
        s->flags |= !drains && odds(30) ? IOSQE_CQE_SKIP_SUCCESS : 0;
        show(s);
    }
    submit_all();
}

int main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 1000, from = argc > 3 ? atoi(argv[3]) : INT_MAX, told = argc > 4 ? atoi(argv[4]) : 2 * BLOCK;
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    mt_pattern(data, sizeof data, 7);
    for (rand_step = 0; rand_step < steps; rand_step++) {
        begin_step(from, told, BLOCK);
        if (rand_step % EPOCH == 0) {
            if (rand_step > 0)
                close_all();
            open_all();
        }
        if (odds(12))
            run_async();
        else if (odds(3))
            happen();
        else
            run();
        look(0, 0);
    }
    close_all();
    tell_tally();
    printf("%lu requests, %lx\n", (unsigned long)next_data, (unsigned long)seen_hash);
    return rand_end();
}
