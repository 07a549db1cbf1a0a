// What requests of deep.c are made of: descriptors of every kind, buffers, names and structures, and requests that Linux would take.
#ifndef MOAT_HOSTILE_DEEP_H
#define MOAT_HOSTILE_DEEP_H

#include "hostile.h"
#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/xattr.h>

enum { ENTERS = 500, ENTRIES = 64, PAGE = 4096, BUFFER = 16 * PAGE, BUFFERS = 8, DATA = BUFFERS * BUFFER, SLOTS = 256, SLOT = 1024, GROUPS = 6, BRING = 16 };
enum { OPEN_SLOTS = 32, AREA = DATA + SLOTS * SLOT + GROUPS * PAGE };
enum { REG, DIRECT, DIR_FD, PIPE_R, PIPE_W, FULL_R, FULL_W, STREAM_A, STREAM_B, DGRAM_A, DGRAM_B, SEQ_A, SEQ_B, TCP_L, TCP_A, TCP_B, UDP_A, UDP_B, UNIX_L,
    EVENT, TIMER, EPOLL, INOTIFY, PIDFD, MEMFD, ZERO, RING_A, RING_B, PTY_M, PTY_S, SIGNALS, BARE, KINDS };

static char *area;
static int files[KINDS];
static struct ring rings[2];
static atomic_bool done;
static struct sockaddr_in tcp_name, udp_name;
static struct sockaddr_un unix_name;
static pid_t child;

#define ONE_OF(...) ((const uint32_t[]){__VA_ARGS__}[pick(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))])

static void *data(void) { return area + pick(DATA - PAGE); }
static char *slot(void) { return area + DATA + pick(SLOTS) * SLOT; }
static char *buffer_ring(uint32_t group) { return area + DATA + SLOTS * SLOT + group * PAGE; }
static uint64_t data_of(uint32_t op) { return op | pick(8) << 8; }
// The user data of what may be waiting.
static uint64_t any_data(void)
{
    return data_of(odds(3) ? pick(U_OP_LAST_6_18) : ONE_OF(IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_RECV, IORING_OP_ACCEPT, IORING_OP_TIMEOUT, IORING_OP_SEND,
        IORING_OP_RECVMSG, U_OP_READ_MULTISHOT, 50, 51, 53, IORING_OP_SPLICE));
}

static uint64_t any_number(void)
{
    switch (pick(9)) {
    case 0: return mt_random(&seed) >> pick(64);
    case 1: return ~0ull - pick(3);
    case 2: return 1ull << pick(64);
    case 3: return (uintptr_t)area + pick(AREA);
    case 4: return pick(70000);
    case 5: return 1ull << pick(32) | 1ull << pick(32);
    case 6: return 0xffff800000000000ull + pick(64);
    default: return odds(2) ? pick(4) : pick(600);
    }
}

// Vectors, names and structures as requests want them.
static void *vectors(uint32_t n, uint32_t buffer)
{
    struct iovec *v = (void *)slot();
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct iovec){area + buffer * BUFFER + pick(BUFFER / 2), pick(odds(4) ? BUFFER / 2 : 900)};
    return v;
}

static char *name(void)
{
    char *s = slot();
    static const char *const odd[] = {".", "..", "", "/", "/dev/null", "/proc/self/maps", "/proc/self/fd/0", "d/../a0"};
    if (odds(12))
        strcpy(s, odd[pick(countof(odd))]);
    else
        snprintf(s, 16, "%s%c%u", odds(4) ? "d/" : "", "ad"[odds(5)], pick(6));
    return s;
}

static struct __kernel_timespec *soon(void)
{
    struct __kernel_timespec *t = (void *)slot();
    *t = (struct __kernel_timespec){odds(9), pick(3000000)};
    return t;
}

static uint32_t socket_kind(void) { return ONE_OF(STREAM_A, STREAM_B, DGRAM_A, DGRAM_B, SEQ_A, SEQ_B, TCP_A, TCP_B, UDP_A, UDP_B); }

static struct msghdr *message(bool sends, uint32_t kind, bool vectorized)
{
    struct msghdr *m = (void *)slot();
    *m = (struct msghdr){.msg_iov = vectors(3, pick(BUFFERS)), .msg_iovlen = vectorized ? 1 + pick(2) : 1};
    if (odds(3)) {
        char *c = slot();
        m->msg_control = c;
        m->msg_controllen = 64;
        if (sends && kind >= STREAM_A && kind <= SEQ_B) {
            struct cmsghdr h = {CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS};
            memcpy(c, &h, sizeof h);
            for (int i = 0; i < 2; i++)
                ((int *)CMSG_DATA((struct cmsghdr *)c))[i] = files[pick(KINDS)]; // rings and the sockets themselves, too
            m->msg_controllen = CMSG_SPACE(8);
        } else if (sends) {
            m->msg_control = NULL;
            m->msg_controllen = 0;
        }
    }
    if (kind == UDP_B && (!sends || odds(2))) {
        m->msg_name = memcpy(slot(), &udp_name, sizeof udp_name);
        m->msg_namelen = sizeof udp_name;
    }
    return m;
}

static uint32_t direct_slot(void) { return odds(3) ? ~0u : KINDS + 1 + pick(OPEN_SLOTS); }

// A request that Linux would take; `k` is the kind of its file, KINDS where it has none.
static uint32_t right(sqe_t *q, uint8_t op)
{
    uint32_t k = KINDS, b = pick(BUFFERS);
    q->opcode = op;
    q->fd = -1;
    q->user_data = data_of(op);
    switch (op) {
    case IORING_OP_NOP:
        q->rw_flags = odds(3) ? (int)pick(32) : 0;
        q->len = pick(3);
        break;
    case IORING_OP_READV: case IORING_OP_WRITEV: case 60: case 61:
        k = odds(2) ? REG : op == IORING_OP_READV || op == 60 ? ONE_OF(DIRECT, FULL_R, ZERO, MEMFD, STREAM_A, PIPE_R) : ONE_OF(DIRECT, PIPE_W, ZERO, MEMFD, STREAM_B);
        q->len = 1 + pick(4);
        q->addr = (uintptr_t)vectors(q->len, b);
        q->buf_index = op >= 60 ? b : 0;
        q->off = k > DIRECT && k != MEMFD ? 0 : odds(4) ? ~0ull : pick(40000);
        break;
    case IORING_OP_READ: case IORING_OP_WRITE: case IORING_OP_READ_FIXED: case IORING_OP_WRITE_FIXED: case U_OP_READ_MULTISHOT:
        k = op == U_OP_READ_MULTISHOT ? ONE_OF(PIPE_R, FULL_R, EVENT, STREAM_A, SIGNALS, TIMER, PTY_M) : odds(2) ? ONE_OF(REG, DIRECT, MEMFD) :
            op == IORING_OP_READ || op == IORING_OP_READ_FIXED ? ONE_OF(PIPE_R, FULL_R, EVENT, TIMER, INOTIFY, SIGNALS, PTY_M, PTY_S, STREAM_A, TCP_A, ZERO, EPOLL) :
            ONE_OF(PIPE_W, FULL_W, EVENT, PTY_M, PTY_S, STREAM_B, TCP_B, ZERO);
        q->addr = (uintptr_t)area + b * BUFFER + pick(BUFFER / 2);
        q->len = k == EVENT ? 8 : pick(odds(4) ? BUFFER / 2 : 3000);
        if (k == DIRECT)
            q->addr &= ~511ull, q->len &= ~511u;
        q->buf_index = op == IORING_OP_READ_FIXED || op == IORING_OP_WRITE_FIXED ? b : 0;
        q->off = k == REG || k == DIRECT || k == MEMFD ? pick(64) * 512 : 0;
        q->rw_flags = odds(6) ? (int)ONE_OF(RWF_NOWAIT, RWF_DSYNC, RWF_HIPRI, RWF_APPEND) : 0;
        if (op == U_OP_READ_MULTISHOT) {
            q->addr = q->off = q->len = 0;
            q->flags = IOSQE_BUFFER_SELECT;
            q->buf_group = pick(GROUPS);
        }
        break;
    case IORING_OP_FSYNC: k = ONE_OF(REG, DIRECT, MEMFD, DIR_FD); q->fsync_flags = pick(2); break;
    case IORING_OP_SYNC_FILE_RANGE: k = ONE_OF(REG, MEMFD); q->len = pick(9000); q->sync_range_flags = pick(8); break;
    case IORING_OP_FALLOCATE: k = ONE_OF(REG, MEMFD); q->addr = pick(100000); q->off = pick(100000); q->len = pick(4); break;
    case IORING_OP_FADVISE: k = ONE_OF(REG, MEMFD, DIRECT); q->len = pick(9000); q->fadvise_advice = pick(6); break;
    case 55: k = ONE_OF(REG, MEMFD); q->off = pick(200000); break;
    case IORING_OP_MADVISE:
        q->addr = ((uintptr_t)data()) & ~4095ull;
        q->len = pick(4) * PAGE;
        q->fadvise_advice = ONE_OF(MADV_DONTNEED, MADV_WILLNEED, MADV_FREE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTFORK, MADV_COLD, MADV_WIPEONFORK);
        break;
    case IORING_OP_POLL_ADD:
        k = odds(3) ? pick(KINDS) : ONE_OF(PIPE_R, PIPE_W, EVENT, STREAM_A, TCP_A, RING_A, RING_B, EPOLL, TIMER, PIDFD);
        q->poll32_events = ONE_OF(POLLIN, POLLOUT, POLLIN | POLLOUT, POLLRDHUP, POLLPRI, 1u << 30 | POLLIN, 1u << 31 | POLLIN);
        q->len = odds(3) ? IORING_POLL_ADD_MULTI : 0;
        break;
    case IORING_OP_POLL_REMOVE:
        q->addr = data_of(IORING_OP_POLL_ADD);
        q->len = pick(2) ? pick(8) : 0;
        q->poll32_events = q->len & 2 ? POLLIN : 0;
        q->off = q->len & 4 ? any_data() : 0;
        break;
    case IORING_OP_SENDMSG: case 48:
        k = odds(9) ? TCP_L : socket_kind();
        q->addr = (uintptr_t)message(true, k, true);
        q->len = 1;
        q->msg_flags = MSG_NOSIGNAL | (odds(2) ? MSG_DONTWAIT : 0);
        q->ioprio = odds(4) ? (uint16_t)ONE_OF(1, 8) : 0;
        break;
    case IORING_OP_RECVMSG:
        k = socket_kind();
        q->len = 1;
        q->ioprio = odds(3) ? (uint16_t)ONE_OF(1, 2) : 0;
        q->addr = (uintptr_t)message(false, k, true);
        if ((q->ioprio & 2) || odds(3)) {
            ((struct msghdr *)(uintptr_t)q->addr)->msg_iovlen = pick(2);
            q->flags = IOSQE_BUFFER_SELECT;
            q->buf_group = pick(GROUPS);
        }
        q->msg_flags = odds(3) ? ONE_OF(MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL) : 0;
        break;
    case IORING_OP_SEND: case IORING_OP_SEND_ZC:
        k = socket_kind();
        q->addr = (uintptr_t)area + b * BUFFER + pick(BUFFER / 2);
        q->len = pick(2000);
        q->msg_flags = MSG_NOSIGNAL | (odds(2) ? MSG_DONTWAIT : 0);
        q->ioprio = odds(3) ? (uint16_t)ONE_OF(1, 4, 8, 16, 32, 5) : 0;
        if (q->ioprio & 4)
            q->buf_index = b;
        if (q->ioprio & 16)
            q->flags = IOSQE_BUFFER_SELECT, q->buf_group = pick(GROUPS), q->addr = 0;
        if (q->ioprio & 32)
            q->len = 2, q->addr = (uintptr_t)vectors(2, b);
        if (k == UDP_B)
            q->off = (uintptr_t)memcpy(slot(), &udp_name, sizeof udp_name), q->addr_len = sizeof udp_name;
        break;
    case IORING_OP_RECV:
        k = socket_kind();
        q->addr = (uintptr_t)data();
        q->len = pick(2000);
        q->ioprio = odds(3) ? (uint16_t)ONE_OF(1, 2, 16, 18) : 0;
        if (q->ioprio > 1 || odds(3))
            q->flags = IOSQE_BUFFER_SELECT, q->buf_group = pick(GROUPS), q->addr = 0, q->len = q->ioprio & 2 ? 0 : q->len;
        q->msg_flags = odds(3) ? ONE_OF(MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL) : 0;
        break;
    case 58: k = TCP_A; q->ioprio = 2; break;
    case IORING_OP_TIMEOUT: case IORING_OP_LINK_TIMEOUT:
        q->addr = (uintptr_t)soon();
        q->len = 1;
        q->off = op == IORING_OP_TIMEOUT ? pick(4) : 0;
        q->timeout_flags = odds(3) ? ONE_OF(1, 4, 8, 32, 64) & (op == IORING_OP_TIMEOUT ? ~0u : 63) : 0;
        break;
    case IORING_OP_TIMEOUT_REMOVE:
        q->addr = odds(4) ? any_data() : data_of(ONE_OF(IORING_OP_TIMEOUT, IORING_OP_LINK_TIMEOUT));
        if (odds(2))
            q->timeout_flags = ONE_OF(2, 18, 3), q->off = (uintptr_t)soon();
        break;
    case IORING_OP_ACCEPT:
        k = odds(2) ? TCP_L : UNIX_L;
        q->ioprio = odds(2) ? (uint16_t)pick(8) : 0;
        q->accept_flags = odds(3) ? SOCK_NONBLOCK : 0;
        if (odds(2))
            q->file_index = q->ioprio & 1 ? ~0u : direct_slot();
        if (!(q->ioprio & 1) && odds(2)) {
            q->addr = (uintptr_t)slot();
            q->off = q->addr + 512;
            *(socklen_t *)(uintptr_t)q->off = 128;
        }
        break;
    case IORING_OP_CONNECT: {
        bool tcp = odds(2);
        k = odds(3) ? UDP_B : BARE;
        int s = k == BARE ? socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | (odds(2) ? SOCK_NONBLOCK : 0), 0) : -1;
        if (s >= 0)
            q->fd = s, k = KINDS;
        q->addr = (uintptr_t)(k == UDP_B ? memcpy(slot(), &udp_name, sizeof udp_name) : tcp ? memcpy(slot(), &tcp_name, sizeof tcp_name) :
            memcpy(slot(), &unix_name, sizeof unix_name));
        q->off = k == UDP_B || tcp ? sizeof tcp_name : sizeof unix_name;
        break;
    }
    case 56: case 57: {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        q->fd = s;
        q->addr = op == 56 ? (uintptr_t)memcpy(slot(), &any, sizeof any) : 0;
        q->off = op == 56 ? sizeof any : 0;
        q->len = op == 57 ? pick(5) : 0;
        break;
    }
    case IORING_OP_ASYNC_CANCEL:
        q->addr = any_data();
        q->cancel_flags = odds(2) ? pick(64) : 0;
        if (q->cancel_flags & 4)
            q->cancel_flags = odds(3) ? 4 | 1 : 1;
        if (q->cancel_flags & 32)
            q->len = pick(U_OP_LAST_6_18), q->addr = q->cancel_flags & 16 ? q->addr : 0;
        if (q->cancel_flags & 2)
            q->fd = q->cancel_flags & 8 ? (int)pick(KINDS) : files[pick(KINDS)], q->addr = q->cancel_flags & 16 ? q->addr : 0;
        break;
    case IORING_OP_OPENAT: case IORING_OP_OPENAT2:
        k = odds(2) ? DIR_FD : KINDS;
        q->fd = AT_FDCWD;
        q->addr = (uintptr_t)name();
        q->file_index = odds(2) ? direct_slot() : 0;
        uint32_t how = ONE_OF(O_RDWR | O_CREAT, O_RDONLY, O_RDWR | O_CREAT | O_TRUNC, O_DIRECTORY, O_PATH, O_WRONLY | O_APPEND, O_TMPFILE | O_RDWR, O_CREAT | O_EXCL);
        if (op == IORING_OP_OPENAT)
            q->open_flags = how, q->len = 0644;
        else
            q->off = (uintptr_t)memcpy(slot(), (uint64_t[]){how, how & (O_CREAT | O_TMPFILE) ? 0644 : 0, odds(2) ? 0 : pick(32)}, q->len = 24);
        break;
    case IORING_OP_CLOSE:
        if (odds(2))
            q->fd = 0, q->file_index = KINDS + 1 + pick(OPEN_SLOTS);
        else
            q->fd = dup(files[pick(KINDS)]);
        break;
    case IORING_OP_FILES_UPDATE: {
        int *n = (void *)slot();
        q->len = 1 + pick(5);
        q->off = odds(4) ? ~0ull >> 32 : KINDS + pick(OPEN_SLOTS - 6);
        for (uint32_t i = 0; i < q->len; i++)
            n[i] = odds(3) ? -(int)pick(3) : files[pick(KINDS)];
        q->addr = (uintptr_t)n;
        break;
    }
    case IORING_OP_STATX:
        k = odds(2) ? DIR_FD : KINDS;
        q->fd = AT_FDCWD;
        q->addr = (uintptr_t)name();
        q->off = (uintptr_t)slot();
        q->len = 0xfff;
        q->statx_flags = odds(2) ? ONE_OF(AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, 0x2000, 0x4000) : 0;
        break;
    case IORING_OP_EPOLL_CTL: {
        struct epoll_event e = {EPOLLIN | (odds(3) ? EPOLLET : 0), {0}};
        k = EPOLL;
        q->len = 1 + pick(3);
        q->off = (uint64_t)files[pick(KINDS)];
        q->addr = (uintptr_t)memcpy(slot(), &e, sizeof e);
        break;
    }
    case 59: k = EPOLL; q->addr = (uintptr_t)slot(); q->len = 1 + pick(9); break;
    case IORING_OP_SPLICE: case IORING_OP_TEE: {
        uint32_t in = op == IORING_OP_TEE || odds(2) ? ONE_OF(FULL_R, PIPE_R) : ONE_OF(REG, MEMFD, STREAM_A, TCP_A, ZERO);
        k = op == IORING_OP_TEE || in != FULL_R ? PIPE_W : ONE_OF(REG, PIPE_W, STREAM_B, ZERO, TCP_B);
        bool fixed = odds(4);
        q->splice_fd_in = fixed ? (int)in : files[in];
        q->splice_flags = (fixed ? SPLICE_F_FD_IN_FIXED : 0) | pick(8);
        q->splice_off_in = in == REG || in == MEMFD ? pick(3000) : op == IORING_OP_TEE ? 0 : ~0ull;
        q->off = k == REG ? pick(3000) : op == IORING_OP_TEE ? 0 : ~0ull;
        q->len = pick(9000);
        break;
    }
    case IORING_OP_PROVIDE_BUFFERS:
        q->fd = 1 + (int)pick(20);
        q->buf_group = 4 + pick(2);
        q->len = 1 + pick(500);
        q->addr = (uintptr_t)area + pick(BUFFERS / 2) * BUFFER;
        q->off = pick(30);
        break;
    case IORING_OP_REMOVE_BUFFERS: q->fd = 1 + (int)pick(20); q->buf_group = 4 + pick(2); break;
    case IORING_OP_SHUTDOWN: {
        int s[2] = {-1, -1};
        if (odds(2) && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0)
            close(s[1]);
        k = s[0] < 0 ? TCP_B : KINDS;
        q->fd = s[0];
        q->len = pick(3);
        if (k == TCP_B && !odds(30))
            k = TCP_L, q->len = 0, q->opcode = IORING_OP_NOP;
        break;
    }
    case IORING_OP_RENAMEAT: case IORING_OP_LINKAT:
        k = odds(2) ? DIR_FD : KINDS;
        q->fd = AT_FDCWD;
        q->len = (uint32_t)AT_FDCWD;
        q->addr = (uintptr_t)name();
        q->off = (uintptr_t)name();
        q->rename_flags = odds(4) ? (op == IORING_OP_LINKAT ? AT_SYMLINK_FOLLOW : pick(3)) : 0;
        break;
    case IORING_OP_UNLINKAT: case IORING_OP_MKDIRAT:
        k = odds(2) ? DIR_FD : KINDS;
        q->fd = AT_FDCWD;
        q->addr = (uintptr_t)name();
        q->len = op == IORING_OP_MKDIRAT ? 0755 : 0;
        q->unlink_flags = op == IORING_OP_UNLINKAT && odds(2) ? AT_REMOVEDIR : 0;
        break;
    case IORING_OP_SYMLINKAT: q->fd = AT_FDCWD; q->addr = (uintptr_t)name(); q->off = (uintptr_t)name(); break;
    case IORING_OP_MSG_RING:
        k = odds(2) ? RING_A : RING_B;
        q->addr = odds(3); // MSG_SEND_FD
        q->len = pick(100);
        q->off = any_data();
        q->addr3 = q->addr ? pick(KINDS) : 0;
        q->file_index = q->addr ? direct_slot() : odds(4) ? pick(64) : 0;
        q->msg_ring_flags = odds(3) ? 1 + (!q->addr && q->file_index != 0) : !q->addr && q->file_index != 0 ? 2 : 0;
        break;
    case IORING_OP_FSETXATTR: case IORING_OP_FGETXATTR: case IORING_OP_SETXATTR: case IORING_OP_GETXATTR:
        if (op == IORING_OP_FSETXATTR || op == IORING_OP_FGETXATTR)
            k = ONE_OF(REG, DIRECT);
        else
            q->addr3 = (uintptr_t)name();
        q->addr = (uintptr_t)strcpy(slot(), odds(3) ? "user.b" : "user.a");
        q->off = (uintptr_t)data();
        q->len = pick(200);
        q->xattr_flags = odds(4) && (op == IORING_OP_FSETXATTR || op == IORING_OP_SETXATTR) ? pick(3) : 0;
        break;
    case IORING_OP_SOCKET:
        q->fd = (int)ONE_OF(AF_UNIX, AF_INET, AF_INET6, AF_NETLINK);
        q->off = ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_RAW);
        q->file_index = odds(2) ? direct_slot() : 0;
        break;
    case IORING_OP_URING_CMD: {
        k = ONE_OF(STREAM_A, TCP_A, UDP_A, TCP_L);
        uint32_t cmd = pick(5);
        q->off = cmd;
        if (cmd >= 2) {
            q->addr = SOL_SOCKET | (uint64_t)ONE_OF(SO_RCVBUF, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_LINGER) << 32;
            q->addr3 = (uintptr_t)slot();
            q->file_index = 4;
        }
        break;
    }
    case 50: // the sort of the number is in len, the number in fd
        q->len = ONE_OF(P_PID, P_ALL);
        q->fd = q->len == P_PID ? child : 0;
        q->file_index = WEXITED | (odds(3) ? WNOHANG : 0) | (odds(3) ? WNOWAIT : 0);
        q->off = (uintptr_t)slot();
        break;
    case 51: case 52: {
        uint32_t *w = (uint32_t *)area + pick(8);
        q->addr = (uintptr_t)w;
        q->fd = FUTEX_PRIVATE_FLAG | 2; // FUTEX2_SIZE_U32
        q->off = op == 52 ? pick(4) : *w;
        q->addr3 = ~0u;
        break;
    }
    case 53: {
        struct { uint64_t val, addr; uint32_t flags, pad; } *v = (void *)slot();
        q->len = 1 + pick(8);
        for (uint32_t i = 0; i < q->len; i++) {
            uint32_t *w = (uint32_t *)area + pick(8);
            v[i].val = *w, v[i].addr = (uintptr_t)w, v[i].flags = 2 | FUTEX_PRIVATE_FLAG, v[i].pad = 0;
        }
        q->addr = (uintptr_t)v;
        break;
    }
    case 54: k = pick(KINDS); q->flags = IOSQE_FIXED_FILE; q->file_index = 0; q->rw_flags = (int)pick(2); break;
    case 62: q->fd = 0; q->addr = (uintptr_t)slot(); q->rw_flags = (int)ONE_OF(0, O_NONBLOCK, O_CLOEXEC, O_DIRECT); q->file_index = odds(2) ? direct_slot() : 0; break;
    default: break;
    }
    return k;
}

#endif
