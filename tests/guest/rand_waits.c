// run: 1 3000
// run: 2 3000
// run: 3 3000
// run: 4 3000
// Requests that wait, by chance: armed on pipes, sockets, counters, futexes and timers that never fire; then what they wait for happens,
// or they are cancelled, changed or left behind in a ring that closes. One thread and no workers: what completes has completed when
// the ring is entered next. Printed like rand_batches: a number for a block of steps, or from a step on.
#include "rand_seen.h"
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { BLOCK = 100, EPOCH = 50, PIPES = 3, PAIRS = 3, EVENTS = 2, WORDS = 2, SLOTS = 12, BUFS = 8, SIZE = 128, ROOMS = 64, GROUP = 3, LIST = 4 };

static struct ring r, peer;
static int pipes[PIPES][2], pairs[PAIRS][2], events[EVENTS], epoll, listener, clients[16], client_count;
static uint32_t *words, every_word[1 << 16]; // of its own for each ring: requests of one that was closed wait a little longer
static struct pbuf_ring bufs;
static char pool[2 * BUFS * SIZE], rooms[ROOMS][SIZE];
static struct iovec parts[ROOMS];
static struct msghdr messages[ROOMS];
static struct futex_waitv waits[ROOMS][2];
static struct epoll_event happened[ROOMS];
static struct sockaddr_un name;
static socklen_t name_size;
static uint64_t next_data;
static uint32_t tally[64], ended[64];
static uint8_t op_of[1 << 20];
static const struct __kernel_timespec long_time = {1000, 0}, longer_time = {2000, 0};

static int any_fd(void)
{
    switch (pick(5)) {
    case 0: return pipes[pick(PIPES)][pick(2)];
    case 1: return events[pick(EVENTS)];
    case 2: return odds(4) ? listener : epoll;
    default: return pairs[pick(PAIRS)][pick(2)];
    }
}

static sqe_t *begin(void)
{
    CHECK(r.tail - atomic_load(r.sq_head) < r.p.sq_entries);
    int shift = r.p.flags & IORING_SETUP_SQE128 ? 7 : 6;
    sqe_t *s = (sqe_t *)((char *)r.sqes + ((size_t)(r.tail++ & (r.p.sq_entries - 1)) << shift));
    memset(s, 0, 1 << shift);
    s->user_data = ++next_data;
    return s;
}

// A request that was made not long ago, or never.
static uint64_t some_data(void) { return odds(8) ? 1 << 30 : next_data - pick(next_data < 12 ? (uint32_t)next_data + 1 : 12); }

static void choose_buffer(sqe_t *s)
{
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = odds(3) ? LIST : odds(12) ? 77 : GROUP;
    s->addr = 0;
    s->len = odds(2) ? 0 : pick(200);
}

static void prepare_wait(sqe_t *s)
{
    uint64_t data = s->user_data;
    unsigned room = data % ROOMS;
    char *at = rooms[room];
    int fd;
    parts[room] = (struct iovec){at, odds(3) ? SIZE : pick(SIZE)};
    messages[room] = (struct msghdr){.msg_iov = &parts[room], .msg_iovlen = 1};
    switch (pick(16)) {
    case 0:
    case 1: {
        static const uint32_t some[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, POLLHUP, POLLRDHUP, POLLPRI, POLLIN | POLLRDHUP, 0, 1u << 31 | POLLIN, 1u << 30 | POLLIN};
        prep(s, IORING_OP_POLL_ADD, any_fd(), NULL, odds(2) ? 0 : odds(6) ? pick(16) : 1, 0, data)->poll32_events = some[pick(countof(some))];
        return;
    }
    case 2: prep(s, IORING_OP_READ, pipes[pick(PIPES)][0], at, pick(SIZE), ~0ull, data); break;
    case 3: prep(s, IORING_OP_READV, odds(3) ? events[pick(EVENTS)] : pipes[pick(PIPES)][0], &parts[room], 1, ~0ull, data); break;
    case 4:
        prep(s, odds(2) ? U_OP_READ_MULTISHOT : IORING_OP_READ, odds(4) ? pairs[0][0] : pipes[pick(PIPES)][0], NULL, 0, odds(5) ? 0 : ~0ull, data);
        choose_buffer(s);
        if (s->opcode == U_OP_READ_MULTISHOT && !odds(9))
            s->len = 0;
        break;
    case 5:
    case 6: prep(s, IORING_OP_RECV, pairs[pick(PAIRS)][pick(2)], at, pick(SIZE), 0, data)->msg_flags = odds(3) ? MSG_WAITALL : odds(4) ? MSG_PEEK : 0; break;
    case 7:
    case 8: // with provided buffers
        fd = pairs[pick(PAIRS)][pick(2)];
        prep(s, IORING_OP_RECV, fd, NULL, 0, 0, data);
        choose_buffer(s);
        s->ioprio = (odds(2) ? U_RECV_MULTISHOT : 0) | (odds(3) ? U_BUNDLE : 0) | (odds(5) ? U_POLL_FIRST : 0);
        if (s->ioprio & U_RECV_MULTISHOT && !odds(9))
            s->len = odds(2) ? 0 : pick(300); // the most in all
        break;
    case 9:
        prep(s, IORING_OP_RECVMSG, pairs[pick(PAIRS)][pick(2)], &messages[room], 1, 0, data)->ioprio = odds(4) ? U_POLL_FIRST : 0;
        if (odds(2)) {
            choose_buffer(s);
            s->len = 1;
            s->addr = (uintptr_t)&messages[room];
            s->ioprio |= odds(2) ? U_RECV_MULTISHOT : 0;
        }
        break;
    case 10: // into free slots; the kernel's choice
        prep(s, IORING_OP_ACCEPT, listener, NULL, 0, 0, data)->file_index = U_ALLOC;
        s->ioprio = odds(2) ? U_ACCEPT_MULTISHOT : odds(4) ? pick(8) : 0;
        break;
    case 11:
        prep(s, 51, FUTEX_32 | (odds(2) ? 128 : 0), &words[2 * pick(WORDS)], 0, odds(8) ? 1 : 0, data)->addr3 = odds(3) ? 1u << pick(3) : ~0u;
        break;
    case 12:
        waits[room][0] = (struct futex_waitv){0, (uintptr_t)&words[0], FUTEX_32, 0};
        waits[room][1] = (struct futex_waitv){odds(8), (uintptr_t)&words[2], FUTEX_32, 0};
        prep(s, 53, 0, waits[room], 1 + pick(2), 0, data);
        break;
    case 13: prep(s, 59, epoll, &happened[room], 1, 0, data); break;
    case 14:
        prep(s, IORING_OP_TIMEOUT, -1, &long_time, 1, odds(2) ? 1 + pick(6) : 0, data)->timeout_flags = odds(3) ? U_TIMEOUT_MULTISHOT : odds(4) ? IORING_TIMEOUT_ETIME_SUCCESS : 0;
        break;
    default: // behind what does not fit
        prep(s, IORING_OP_SEND, pairs[pick(PAIRS)][pick(2)], pool, pick(SIZE), 0, data);
        break;
    }
    s->flags |= odds(25) ? IOSQE_CQE_SKIP_SUCCESS : 0;
}

static void prepare_change(sqe_t *s)
{
    uint64_t data = s->user_data;
    switch (pick(9)) {
    case 0:
    case 1: {
        static const uint32_t some[] = {0, 0, 0, 1, 2, 3, 4, 5, 16, 32, 33, 34, 35, 48, 8, 10, 64};
        prep(s, IORING_OP_ASYNC_CANCEL, any_fd(), (void *)some_data(), 0, 0, data)->cancel_flags = some[pick(countof(some))];
        if (s->cancel_flags & 32)
            s->len = odds(3) ? IORING_OP_POLL_ADD : odds(2) ? IORING_OP_RECV : IORING_OP_READ;
        break;
    }
    case 2:
        prep(s, IORING_OP_POLL_REMOVE, -1, (void *)some_data(), odds(2) ? 0 : pick(16), odds(2) ? ++next_data : 0, data);
        s->poll32_events = s->len & 2 ? POLLIN | POLLOUT : 0;
        break;
    case 3: prep(s, IORING_OP_TIMEOUT_REMOVE, -1, (void *)some_data(), 0, 0, data); break;
    case 4: prep(s, IORING_OP_TIMEOUT_REMOVE, -1, (void *)some_data(), 0, (uintptr_t)&longer_time, data)->timeout_flags = IORING_TIMEOUT_UPDATE | (odds(3) ? 16 : 0); break;
    case 5: prep(s, 52, FUTEX_32 | (odds(2) ? 128 : 0), &words[2 * pick(WORDS)], 0, pick(4), data)->addr3 = odds(3) ? 1u << pick(3) : ~0u; break;
    case 6: prep(s, IORING_OP_PROVIDE_BUFFERS, 1 + (int)pick(4), pool, SIZE, pick(4), data)->buf_group = LIST; break;
    case 7: prep(s, IORING_OP_MSG_RING, odds(3) ? r.fd : peer.fd, NULL, pick(100), 1 << 21, data); break;
    default: prep(s, IORING_OP_NOP, -1, NULL, 0, 0, data); break;
    }
}

// What somebody waits for, by system calls.
static void happen(void)
{
    static char data[4096];
    int *p = pipes[pick(PIPES)], *s = pairs[pick(PAIRS)];
    long n = -2;
    const char *what = "";
    switch (pick(14)) {
    case 0:
    case 1: n = write(p[1], data + pick(100), 1 + pick(300)), what = "write"; break;
    case 2: n = read(p[0], data, 1 + pick(300)), what = "read"; break;
    case 3:
    case 4:
    case 5: n = send(s[pick(2)], data + pick(100), pick(300), MSG_NOSIGNAL), what = "send"; break;
    case 6: n = recv(s[pick(2)], data, pick(300), 0), what = "recv"; break;
    case 7: // a datagram socket that is shut is ready and has nothing: that ends on a worker
        n = odds(4) && s != pairs[2] ? shutdown(s[pick(2)], (int)pick(3)) : 0, what = "shutdown";
        break;
    case 8: n = eventfd_write(events[pick(EVENTS)], pick(3)), what = "event"; break;
    case 9: n = syscall(454, &words[2 * pick(WORDS)], ~0ul, pick(3), FUTEX_32 | (odds(2) ? 128 : 0)), what = "wake"; break;
    case 10: {
        int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        n = connect(c, (struct sockaddr *)&name, name_size), what = "connect";
        if (n == 0 && client_count < (int)countof(clients))
            clients[client_count++] = c;
        else
            OK(close(c));
        break;
    }
    case 11: // what is left of a pipe or pair
        if (odds(3)) {
            n = close(p[1]), what = "close pipe";
            p[1] = OK(eventfd(0, EFD_NONBLOCK)); // what nobody can wait for would be a worker's
        } else if (odds(2)) {
            int i = pick(2);
            n = close(s[i]), what = "close pair";
            s[i] = OK(eventfd(0, EFD_NONBLOCK));
        }
        break;
    case 12: {
        struct io_uring_sync_cancel_reg c = {.addr = some_data(), .fd = any_fd(), .flags = odds(2) ? 0 : pick(16), .timeout = {-1, -1}};
        n = u_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &c, 1), what = "cancel";
        break;
    }
    default:
        if (bufs.tail < 60000)
            for (uint32_t i = 0, k = pick(4); i < k; i++)
                pbuf_add(&bufs, pool + (BUFS + bufs.tail % BUFS) * SIZE, 1 + pick(SIZE), (int)(bufs.tail % BUFS));
        break;
    }
    if (loud)
        printf("    on %d %d\n", p[0], s[0]);
    note("  %s = %ld %s\n", what, n, n == -1 ? mt_errno(errno) : "");
}

// Linux leaves open in which order requests are cancelled: what one step makes complete is told by number. Completions of one request
// keep their order, and whose data is whose shows anyway.
static void look(void)
{
    static struct seen all[512];
    int n = 0;
    for (int i = 0; i < 2; i++)
        enter_for(&r, 0, 0, 0);
    while (n < (int)countof(all) && take(&r, &all[n])) {
        uint8_t op = all[n].data < sizeof op_of ? op_of[all[n].data] : 0;
        ended[op & 63]++;
        n++;
        if (atomic_load(r.cq_head) == atomic_load(r.cq_tail))
            enter_for(&r, 0, 0, 0); // what has overflowed
    }
    tell(all, n, "cqe");
    n = 0;
    enter_for(&peer, 0, 0, 0);
    while (n < (int)countof(all) && take(&peer, &all[n]))
        n++;
    tell(all, n, "peer");
    note("    memory %lx %lx\n", (unsigned long)hash_words(rooms, sizeof rooms), (unsigned long)hash_words(pool, sizeof pool));
}

static void open_all(void)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct io_uring_params p = {.flags = kinds[pick(countof(kinds))] | IORING_SETUP_CQSIZE | (odds(2) ? IORING_SETUP_SUBMIT_ALL : 0), .cq_entries = odds(3) ? 8 : 128};
    p.flags |= (odds(4) ? IORING_SETUP_CQE32 : odds(3) ? U_SETUP_CQE_MIXED : 0) | (odds(4) ? IORING_SETUP_SQE128 : 0) | (odds(4) ? U_SETUP_NO_SQARRAY : 0);
    ring_init_params(&r, 8, &p);
    ring_init(&peer, 8, 0);
    note("ring of kind %x\n", p.flags);
    words = every_word + rand_step / EPOCH * 2 * WORDS % countof(every_word);
    for (int i = 0; i < PIPES; i++)
        OK(pipe2(pipes[i], O_NONBLOCK));
    for (int i = 0; i < PAIRS; i++) {
        OK(socketpair(AF_UNIX, i == 2 ? SOCK_DGRAM : i == 1 ? SOCK_SEQPACKET : SOCK_STREAM, 0, pairs[i]));
        for (int k = 0; k < 2; k++)
            OK(fcntl(pairs[i][k], F_SETFL, O_NONBLOCK));
    }
    for (int i = 0; i < EVENTS; i++)
        events[i] = OK(eventfd(0, EFD_NONBLOCK));
    epoll = OK(epoll_create1(0));
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, events[0], &(struct epoll_event){EPOLLIN, {.u64 = 5}}));
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0][0], &(struct epoll_event){EPOLLIN | EPOLLET, {.u64 = 6}}));
    listener = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    unlink("listener");
    name = (struct sockaddr_un){AF_UNIX, "listener"};
    name_size = sizeof name;
    OK(bind(listener, (struct sockaddr *)&name, name_size));
    OK(listen(listener, 8));
    int none[SLOTS];
    memset(none, 0xff, sizeof none);
    OK(u_register(r.fd, IORING_REGISTER_FILES, none, SLOTS));
    pbuf_init(&r, &bufs, BUFS, GROUP);
    for (int i = 0; i < BUFS; i++)
        pbuf_add(&bufs, pool + (BUFS + i) * SIZE, SIZE, i);
}

static void close_all(void)
{
    ring_drop(&r);
    ring_drop(&peer);
    for (int i = 0; i < PIPES; i++)
        drop(pipes[i]);
    for (int i = 0; i < PAIRS; i++)
        drop(pairs[i]);
    for (int i = 0; i < EVENTS; i++)
        OK(close(events[i]));
    while (client_count > 0)
        OK(close(clients[--client_count]));
    OK(close(epoll));
    OK(close(listener));
    OK(munmap(bufs.e, bufs.size));
}

static void submit_some(void)
{
    int n = odds(3) ? 1 + (int)pick(4) : 1;
    for (int i = 0; i < n; i++) {
        sqe_t *s = begin();
        if (i > 0 && odds(4))
            prep(s, IORING_OP_LINK_TIMEOUT, -1, &long_time, 1, 0, s->user_data);
        else if (odds(3))
            prepare_change(s);
        else
            prepare_wait(s);
        s->flags |= i < n - 1 && odds(3) ? odds(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK : 0;
        tally[s->opcode & 63]++;
        if (s->user_data < sizeof op_of)
            op_of[s->user_data] = s->opcode;
        note("  %lu: op %d flags %x ioprio %x len %u rw %x\n", (unsigned long)s->user_data, s->opcode, s->flags, s->ioprio, s->len, s->rw_flags);
        if (loud)
            printf("      fd %d group %d addr %s off %lx\n", s->fd, s->buf_group, s->opcode == IORING_OP_ASYNC_CANCEL || s->addr < 1 << 20 ? "small" : "set", s->addr < 1 << 20 ? (unsigned long)s->addr : 0);
    }
    uint32_t all = ring_publish(&r);
    for (uint32_t taken = 0; taken < all;) {
        int k = u_enter(r.fd, all - taken, 0, 0, NULL, 0);
        note("    enter %d %s\n", k, error_of(k));
        if (k <= 0)
            break;
        taken += (uint32_t)k;
    }
}

int main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 1000, from = argc > 3 ? atoi(argv[3]) : INT_MAX, told = argc > 4 ? atoi(argv[4]) : 2 * BLOCK;
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    for (rand_step = 0; rand_step < steps; rand_step++) {
        begin_step(from, told, BLOCK);
        if (rand_step % EPOCH == 0) {
            if (rand_step > 0)
                close_all();
            open_all();
        }
        if (odds(2))
            submit_some();
        else
            happen();
        look();
    }
    close_all();
    for (int i = 0; i < 64; i++)
        if (tally[i] != 0)
            printf("op %d: %u requests, %u completions\n", i, tally[i], ended[i]);
    printf("%lu\n", (unsigned long)seen_hash);
    return rand_end();
}
