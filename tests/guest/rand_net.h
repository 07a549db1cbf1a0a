// The state of the random requests on sockets, and one request of each kind.
#ifndef MOAT_RAND_NET_H
#define MOAT_RAND_NET_H

#include "rand_seen.h"
#include <netinet/udp.h>

enum {
    PAIRS = 6, SPARE = 2 * PAIRS, SLOTS = SPARE + 4, RINGS = 2, INCREMENTAL = 1, LIST = 2, BUFS = 8, SIZE = 256, ROOMS = 32,
    NO_GROUP = 77, PARTS = 3, FLAG_CANCEL_ANY = 4, U_OP_CMD = 46, U_REGISTER_PBUF_STATUS = 26,
};

// SEND_ZC of TCP is told of only when the other side has acknowledged, some time later.
enum { UNIX_STREAM, UNIX_PACKET, UNIX_DATAGRAM, TCP, UDP, UNIX_STREAM_TOO };

static struct ring r;
static bool drains; // of a ring: some of its requests have IO_DRAIN; else some are to be silent
static int pairs[PAIRS][2], listener, clients[16], client_count;
static const struct sockaddr_un listener_name = {AF_UNIX, "listener"}, other_name = {AF_UNIX, "other"};
static struct pbuf_ring groups[RINGS];
static char data[1 << 16], rooms[ROOMS][SIZE], pool[RINGS + 1][2 * BUFS][SIZE];
static struct iovec parts[ROOMS][PARTS];
static struct msghdr messages[ROOMS];
static char names[ROOMS][128], controls[ROOMS][64];
static int option[ROOMS];
static uint64_t next_data;
static uint8_t op_of[1 << 20];
static uint32_t tally[64][134];
static const struct __kernel_timespec long_time = {1000, 0};

static void make_pair(int i)
{
    int *s = pairs[i];
    if (i == TCP) {
        tcp_pair(s);
        for (int k = 0; k < 2; k++)
            OK(setsockopt(s[k], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
    } else if (i == UDP) {
        struct sockaddr_in a[2];
        socklen_t n = sizeof a[0];
        for (int k = 0; k < 2; k++) {
            a[k] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            s[k] = OK(socket(AF_INET, SOCK_DGRAM, 0));
            OK(bind(s[k], (struct sockaddr *)&a[k], n));
            OK(getsockname(s[k], (struct sockaddr *)&a[k], &n));
        }
        for (int k = 0; k < 2; k++)
            OK(connect(s[k], (struct sockaddr *)&a[!k], n));
    } else {
        pair_of(i == UNIX_PACKET ? SOCK_SEQPACKET : i == UNIX_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, s);
    }
    for (int k = 0; k < 2; k++)
        OK(fcntl(s[k], F_SETFL, O_NONBLOCK));
}

// More buffers for a ring, never more than it has entries.
static void fill(int g, uint32_t n)
{
    struct {
        uint32_t group, head, resv[8];
    } status = {.group = (uint32_t)g};
    OK(u_register(r.fd, U_REGISTER_PBUF_STATUS, &status, 1));
    while (n-- > 0 && (uint16_t)(groups[g].tail - status.head) < BUFS) {
        uint32_t id = groups[g].tail % (2 * BUFS);
        pbuf_add(&groups[g], pool[g][id], odds(3) ? SIZE : 1 + pick(SIZE), (int)id);
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

static void show(const sqe_t *s)
{
    op_of[s->user_data % sizeof op_of] = s->opcode;
    note("  %lu: op %d fd %d flags %x ioprio %x len %u rw %x group %d\n", (unsigned long)s->user_data, s->opcode, s->flags & IOSQE_FIXED_FILE ? s->fd : -1, s->flags, s->ioprio,
         s->len, s->rw_flags, s->buf_group);
    if (loud)
        printf("      on %d, addr %s, off %lx, index %x, splice %x\n", s->fd, s->addr < 1 << 20 ? "small" : "set", s->off < 1 << 20 ? (unsigned long)s->off : 0xaddul, s->file_index, s->splice_fd_in);
}

// Counts, and closes what was made: its number is not told. True: the request has ended.
static bool settle(struct seen *c)
{
    uint8_t op = op_of[c->data % sizeof op_of];
    uint32_t e = c->res < 0 ? -(uint32_t)c->res : 0;
    tally[op & 63][e < 134 ? e : 133]++;
    if (c->res > SLOTS && (op == IORING_OP_SOCKET || op == IORING_OP_ACCEPT)) {
        OK(close(c->res));
        c->res = 3;
    }
    return !(c->flags & IORING_CQE_F_MORE);
}

static void tell_tally(void)
{
    for (int op = 0; op < 64; op++) {
        bool any = false;
        for (int e = 0; e < 134; e++)
            if (tally[op][e] != 0) {
                if (!any)
                    printf("op %d:", op);
                any = true;
                printf(" %s %u", e ? mt_errno(e) : "ok", tally[op][e]);
            }
        if (any)
            printf("\n");
    }
}

// What receives have written into their headers.
static uint64_t messages_seen(void)
{
    uint64_t h = 1;
    for (int i = 0; i < ROOMS; i++)
        h = (h ^ (uint64_t)messages[i].msg_flags ^ messages[i].msg_controllen << 20 ^ (uint64_t)messages[i].msg_namelen << 40 ^ (uint32_t)option[i]) * 0x9e3779b97f4a7c15ull;
    return h;
}

static uint64_t some_data(void) { return odds(8) ? 1 << 30 : next_data - pick(next_data < 12 ? (uint32_t)next_data + 1 : 12); }

// An end of a pair, as a descriptor or a registered file. What workers and time decide is left to others: few bytes on TCP, whose room is its own.
static int set_socket(sqe_t *s, int pair)
{
    int end = (int)pick(2);
    s->fd = pairs[pair][end];
    if (odds(3)) {
        s->fd = 2 * pair + end;
        s->flags |= IOSQE_FIXED_FILE;
    }
    return pair;
}

// Who hears first of what comes over the network is open: what requests share, and polls, are left to the other pairs.
static int stay_local(sqe_t *s, int pair)
{
    if (pair != TCP && pair != UDP)
        return pair;
    s->fd = pairs[UNIX_STREAM_TOO][0];
    s->flags &= ~IOSQE_FIXED_FILE;
    return UNIX_STREAM_TOO;
}

static uint32_t some_length(int pair) { return pair != TCP && pair != UDP && odds(10) ? pick(9000) : odds(20) ? 0 : pick(300); }

static void set_group(sqe_t *s)
{
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = (uint16_t)(odds(20) ? NO_GROUP : pick(RINGS + 1));
}

static struct msghdr *set_message(unsigned room, int pair, bool sends)
{
    struct msghdr *m = &messages[room];
    unsigned at = pick(SIZE / 2);
    for (unsigned i = 0; i < PARTS; i++)
        parts[room][i] = (struct iovec){sends ? data + pick(1000) : rooms[room] + at / (i + 1), pick(SIZE / 2)};
    *m = (struct msghdr){.msg_iov = parts[room], .msg_iovlen = pick(PARTS + 1)};
    if (!sends && pair != TCP && pair != UDP && odds(3)) {
        m->msg_name = names[room];
        m->msg_namelen = odds(2) ? sizeof names[room] : pick(40);
        m->msg_control = controls[room];
        m->msg_controllen = odds(2) ? sizeof controls[room] : pick(64);
    }
    return m;
}

static void prepare_send(sqe_t *s, unsigned room)
{
    static const uint32_t some[] = {MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL, MSG_MORE, MSG_EOR, MSG_OOB, MSG_CONFIRM};
    int pair = set_socket(s, (int)pick(PAIRS));
    uint64_t id = s->user_data;
    char *at = data + pick(20000);
    uint8_t flags = s->flags;
    int fd = s->fd;
    struct msghdr *m = set_message(room, pair, true);
    switch (pick(8)) {
    case 0:
    case 1: prep(s, IORING_OP_SEND, fd, at, some_length(pair), 0, id); break;
    case 2: prep(s, IORING_OP_SENDMSG, fd, m, 1, 0, id); break;
    case 3: prep(s, IORING_OP_SEND, fd, parts[room], pick(PARTS + 1), 0, id)->ioprio = U_VECTORIZED; break;
    case 4:
        if (pair == TCP)
            pair = UDP, fd = pairs[UDP][0], flags = 0;
        prep(s, IORING_OP_SEND_ZC, fd, at, some_length(pair), 0, id)->ioprio = (odds(2) ? U_FIXED_BUF : 0) | (odds(2) ? U_REPORT_USAGE : 0);
        s->buf_index = odds(9) ? pick(3) : 0;
        break;
    case 5:
        if (pair == TCP)
            pair = UDP, fd = pairs[UDP][0], flags = 0;
        prep(s, U_OP_SENDMSG_ZC, fd, m, 1, 0, id)->ioprio = (odds(2) ? U_FIXED_BUF : 0) | (odds(3) ? U_REPORT_USAGE : 0);
        break;
    default: // provided buffers
        s->flags = flags;
        s->fd = fd;
        stay_local(s, pair);
        flags = s->flags;
        fd = s->fd;
        prep(s, IORING_OP_SEND, fd, NULL, odds(2) ? 0 : pick(700), 0, id)->ioprio = odds(2) ? U_BUNDLE : 0;
        s->flags = flags;
        set_group(s);
        flags = s->flags;
        break;
    }
    s->flags = flags;
    s->ioprio |= odds(12) ? U_POLL_FIRST : 0;
    s->ioprio |= odds(60) ? 1u << pick(8) : 0;
    s->msg_flags = odds(3) ? some[pick(pair == TCP ? 3 : countof(some))] : 0;
}

static void prepare_receive(sqe_t *s, unsigned room)
{
    static const uint32_t some[] = {MSG_DONTWAIT, MSG_WAITALL, MSG_PEEK, MSG_TRUNC, MSG_CMSG_CLOEXEC, MSG_PEEK | MSG_TRUNC, MSG_ERRQUEUE | MSG_DONTWAIT, MSG_OOB};
    int pair = set_socket(s, (int)pick(PAIRS)), kind = (int)pick(6);
    uint64_t id = s->user_data;
    if (kind >= 3)
        pair = stay_local(s, pair);
    uint8_t flags = s->flags;
    struct msghdr *m = set_message(room, pair, false);
    switch (kind) {
    case 0:
    case 1: prep(s, IORING_OP_RECV, s->fd, rooms[room], pick(SIZE), 0, id); break;
    case 2: prep(s, IORING_OP_RECVMSG, s->fd, m, 1, 0, id); break;
    case 3: // one at a time
        prep(s, IORING_OP_RECV, s->fd, NULL, odds(2) ? 0 : pick(400), 0, id)->ioprio = odds(3) ? U_BUNDLE : 0;
        set_group(s);
        flags = s->flags;
        break;
    case 4:
        m->msg_iovlen = odds(9) ? 2 : pick(2);
        prep(s, IORING_OP_RECVMSG, s->fd, m, 1, 0, id)->ioprio = odds(2) ? U_RECV_MULTISHOT : 0;
        set_group(s);
        flags = s->flags;
        break;
    default:
        prep(s, IORING_OP_RECV, s->fd, NULL, odds(2) ? 0 : pick(300), 0, id)->ioprio = U_RECV_MULTISHOT | (odds(2) ? U_BUNDLE : 0);
        set_group(s);
        flags = s->flags;
        s->splice_fd_in = odds(6) ? (int)pick(500) : 0; // the most in all
        break;
    }
    s->flags = flags;
    s->ioprio |= odds(9) ? U_POLL_FIRST : 0;
    s->ioprio |= odds(60) ? 1u << pick(8) : 0;
    s->msg_flags = odds(2) ? some[pick(countof(some))] : 0;
}

// Sockets in slots: made, joined, accepted, closed.
static void prepare_slot(sqe_t *s, unsigned room)
{
    uint64_t id = s->user_data;
    int slot = SPARE + (int)pick(SLOTS - SPARE);
    switch (pick(12)) {
    case 0:
    case 1:
    case 10:
    case 11:
        prep(s, IORING_OP_SOCKET, odds(12) ? 100 : odds(5) ? AF_INET : AF_UNIX, NULL, odds(20) ? pick(4) : 0, odds(12) ? pick(9) : SOCK_STREAM | (odds(2) ? SOCK_NONBLOCK : 0), id);
        s->file_index = odds(4) ? 0 : odds(2) ? U_ALLOC : (uint32_t)slot + 1;
        s->rw_flags = odds(50);
        return;
    case 2:
    case 3: prep(s, U_OP_LISTEN, slot, NULL, pick(5), 0, id); break;
    case 4:
    case 5: prep(s, IORING_OP_CONNECT, slot, odds(4) ? &other_name : &listener_name, 0, odds(20) ? pick(130) : sizeof listener_name, id); break;
    case 6:
        prep(s, IORING_OP_CLOSE, 0, NULL, 0, 0, id)->file_index = (uint32_t)slot + 1;
        return;
    default: {
        bool one = odds(2);
        prep(s, IORING_OP_ACCEPT, odds(8) ? slot : listener, NULL, 0, 0, id)->ioprio = one ? 0 : odds(6) ? pick(16) : U_ACCEPT_MULTISHOT;
        if (s->fd == slot)
            s->flags |= IOSQE_FIXED_FILE;
        s->file_index = odds(3) ? 0 : odds(2) || !one ? U_ALLOC : (uint32_t)slot + 1;
        s->accept_flags = odds(4) ? SOCK_NONBLOCK : odds(6) ? SOCK_CLOEXEC : 0;
        if (one && odds(4)) {
            messages[room].msg_namelen = sizeof names[room];
            s->addr = (uintptr_t)names[room];
            s->addr2 = (uintptr_t)&messages[room].msg_namelen;
        }
        return;
    }
    }
    s->flags |= IOSQE_FIXED_FILE;
}

static void prepare_command(sqe_t *s, unsigned room, bool ends)
{
    static const int options[] = {SO_TYPE, SO_PASSCRED, SO_RCVLOWAT, SO_KEEPALIVE, SO_ERROR, SO_DOMAIN, 999};
    set_socket(s, (int)pick(PAIRS));
    uint8_t flags = s->flags;
    prep(s, U_OP_CMD, s->fd, NULL, 0, ends ? pick(4) : pick(6), s->user_data)->flags = flags;
    if (s->off == 2 || s->off == 3) {
        bool sets = s->off == 3;
        option[room] = sets;
        s->addr = SOL_SOCKET | (uint64_t)(unsigned)options[sets ? 1 + pick(3) : pick(countof(options))] << 32;
        s->splice_fd_in = odds(9) ? (int)pick(5) : 4;
        s->addr3 = (uintptr_t)&option[room];
    }
}

// A request that may wait.
static void prepare(sqe_t *s)
{
    unsigned room = s->user_data % ROOMS;
    uint64_t id = s->user_data;
    switch (pick(20)) {
    case 0: prep(s, IORING_OP_NOP, -1, NULL, 0, 0, id); break;
    case 1: {
        static const uint32_t some[] = {0, 0, 0, 1, 2, 3, 4, 5, 8, 9, 16, 32, 33, 34, 35, 48};
        set_socket(s, (int)pick(PAIRS));
        prep(s, IORING_OP_ASYNC_CANCEL, s->fd, (void *)some_data(), 0, 0, id)->cancel_flags = some[pick(countof(some))];
        s->flags &= ~IOSQE_FIXED_FILE;
        s->len = s->cancel_flags & 32 ? IORING_OP_RECV : 0;
        break;
    }
    case 2: {
        static const uint32_t some[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, POLLHUP, POLLRDHUP, POLLPRI, 1u << 31 | POLLIN};
        stay_local(s, set_socket(s, (int)pick(PAIRS)));
        uint8_t flags = s->flags;
        prep(s, IORING_OP_POLL_ADD, s->fd, NULL, odds(2), 0, id)->poll32_events = some[pick(countof(some))];
        s->flags = flags;
        break;
    }
    case 3:
        prep(s, IORING_OP_PROVIDE_BUFFERS, 1 + (int)pick(4), pool[LIST][pick(BUFS)], 1 + pick(SIZE), pick(BUFS), id)->buf_group = LIST;
        break;
    case 4: prep(s, IORING_OP_REMOVE_BUFFERS, (int)pick(4), NULL, 0, 0, id)->buf_group = odds(9) ? NO_GROUP : LIST; break;
    case 5:
    case 6:
    case 7: prepare_slot(s, room); break;
    case 8: prepare_command(s, room, false); break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13: prepare_send(s, room); break;
    default: prepare_receive(s, room); break;
    }
}

// A request that does not wait, wherever it runs.
static void prepare_ending(sqe_t *s)
{
    unsigned room = s->user_data % ROOMS;
    uint64_t id = s->user_data;
    switch (pick(6)) {
    case 0: prepare_command(s, room, true); break;
    case 1: {
        int pair = set_socket(s, (int)pick(PAIRS));
        uint8_t flags = s->flags;
        prep(s, pair != TCP && pair != UDP && pair != UNIX_DATAGRAM && odds(3) ? IORING_OP_SHUTDOWN : IORING_OP_NOP, s->fd, NULL, 0, 0, id)->flags = flags;
        if (s->opcode == IORING_OP_SHUTDOWN)
            s->len = pick(4);
        break;
    }
    case 2:
        prep(s, U_OP_BIND, SPARE + (int)pick(SLOTS - SPARE), &other_name, odds(20), sizeof other_name, id);
        s->flags = IOSQE_FIXED_FILE;
        break;
    case 3: prepare_send(s, room); break;
    default:
        prepare_receive(s, room);
        s->ioprio &= ~U_RECV_MULTISHOT;
        s->splice_fd_in = 0;
        break;
    }
    if (s->opcode != IORING_OP_NOP && s->opcode != U_OP_BIND && s->opcode != IORING_OP_SHUTDOWN && s->opcode != U_OP_CMD) {
        s->ioprio &= ~U_POLL_FIRST;
        s->msg_flags |= MSG_DONTWAIT;
    }
}

// What somebody waits for, by system calls.
static void happen(void)
{
    int pair = (int)pick(PAIRS), *s = pairs[pair];
    long n = -2;
    const char *what = "";
    static char got[4096];
    switch (pick(8)) {
    case 0:
    case 1:
    case 2: n = send(s[pick(2)], data + pick(1000), some_length(pair), MSG_NOSIGNAL | MSG_DONTWAIT), what = "send"; break;
    case 3: n = recv(s[pick(2)], got, pick(300), MSG_DONTWAIT), what = "recv"; break;
    case 4: {
        int c = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        n = connect(c, (struct sockaddr *)&listener_name, sizeof listener_name), what = "connect";
        if (n == 0 && client_count < (int)countof(clients))
            clients[client_count++] = c;
        else
            OK(close(c));
        break;
    }
    case 5:
        if (pair != TCP && pair != UDP && pair != UNIX_DATAGRAM && odds(4))
            n = shutdown(s[pick(2)], (int)pick(3)), what = "shutdown";
        break;
    default: fill((int)pick(RINGS), pick(BUFS)); break;
    }
    note("  %s = %ld %s on %d\n", what, n, n == -1 ? mt_errno(errno) : "", pair);
}

#endif
