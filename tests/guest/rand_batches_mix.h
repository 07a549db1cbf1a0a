// One request by chance that ends by itself: what would wait is non-blocking. Fields are wrong here and there.
#ifndef MOAT_RAND_BATCHES_MIX_H
#define MOAT_RAND_BATCHES_MIX_H

#include "rand_batches.h"

static const struct __kernel_timespec no_time = {0, 0}, long_time = {100, 0};
static const struct sockaddr_un nobody = {AF_UNIX, "no/socket"};
static struct open_how how = {O_RDWR | O_CREAT | O_NONBLOCK, 0644, 0};
static struct epoll_event event_to_watch = {.events = EPOLLIN, .data.u64 = 5};

static char *path_of(struct lane *l)
{
    static const char *const names[] = {"a", "b", "d", "d/a", "d/b", "l", "no/x", "", "s", "."};
    unsigned i = pick(countof(names));
    if (l->paths[i][0] == 0)
        snprintf(l->paths[i], sizeof l->paths[i], *names[i] ? "%s/%s" : "%.0s%s", l->dir, names[i]);
    return l->paths[i];
}

// Slots of the lane that requests make and close; not those of its own files.
static uint32_t spare_slot(int lane) { return (uint32_t)(lane * SLOTS + SLOTS - SPARE) + pick(SPARE); }

// Where a new descriptor goes: mostly a slot. Among the slots the kernel never chooses: its hint is the one that any lane closed last.
static uint32_t new_slot(int lane) { return odds(6) ? 0 : spare_slot(lane) + 1; }

// A descriptor or a slot of the lane, of the given kind (see prepare_lane) or any.
static void set_file(sqe_t *s, struct lane *l, int lane, int kind)
{
    const int fds[] = {l->files[0], l->files[1], l->pipe[0], l->pipe[1], l->pair[0], l->pair[1], l->event};
    static const int slots[] = {0, -1, 1, 2, 3, -1, -1};
    bool vectors = s->opcode == IORING_OP_READV || s->opcode == IORING_OP_WRITEV || s->opcode == 60 || s->opcode == 61;
    if (odds(30) && !vectors) // an eventfd is written part by part
        kind = (int)pick(countof(fds));
    s->fd = fds[kind];
    if (slots[kind] >= 0 && odds(3)) {
        s->fd = lane * SLOTS + slots[kind];
        s->flags |= IOSQE_FIXED_FILE;
    } else if (kind >= 4 && odds(25)) {
        s->fd = (int)spare_slot(lane);
        s->flags |= IOSQE_FIXED_FILE;
    }
}

// O_NONBLOCK alone does not keep a request from waiting for readiness.
static void never_wait(sqe_t *s, const struct lane *l, int lane)
{
    bool regular = s->flags & IOSQE_FIXED_FILE ? s->fd == lane * SLOTS : s->fd == l->files[0] || s->fd == l->files[1];
    switch (s->opcode) {
    case IORING_OP_READ: case IORING_OP_WRITE: case IORING_OP_READV: case IORING_OP_WRITEV: case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED: case 60: case 61:
        s->rw_flags |= regular ? 0 : RWF_NOWAIT;
        break;
    case IORING_OP_SEND: case IORING_OP_RECV: case IORING_OP_SENDMSG: case IORING_OP_RECVMSG: case IORING_OP_SEND_ZC: case U_OP_SENDMSG_ZC:
        s->msg_flags |= MSG_DONTWAIT;
        break;
    case IORING_OP_ACCEPT: s->ioprio |= U_ACCEPT_DONTWAIT; break;
    case U_OP_READ_MULTISHOT:
        if (!regular)
            s->opcode = IORING_OP_NOP;
        break;
    default: break;
    }
}

static void select_buffer(sqe_t *s, int lane)
{
    // On a worker a buffer is used up even by an error, and what follows a worker's request or something that drains runs on one,
    // which depends on time: so only alone.
    s->flags |= alone && !drains ? IOSQE_BUFFER_SELECT : 0;
    s->buf_group = (uint16_t)(odds(2) ? lane : RING_GROUP + lane);
    s->len = odds(3) ? 0 : pick(700);
    s->addr = 0;
}

static void prepare_socket(sqe_t *s, struct lane *l, int lane, struct iovec *v, struct msghdr *m, char *at, uint32_t len)
{
    uint64_t data = s->user_data;
    set_file(s, l, lane, 4 + (int)pick(2));
    int fd = s->fd;
    uint8_t flags = s->flags;
    *m = (struct msghdr){.msg_iov = v, .msg_iovlen = pick(5)};
    switch (pick(9)) {
    case 0: prep(s, IORING_OP_SEND, fd, at, len % 3000, 0, data); break;
    case 1: prep(s, IORING_OP_RECV, fd, at, len, 0, data); break;
    case 2: prep(s, IORING_OP_SENDMSG, fd, m, 1, 0, data); break;
    case 3: prep(s, IORING_OP_RECVMSG, fd, m, 1, 0, data); break;
    case 4:
        prep(s, IORING_OP_RECV, fd, NULL, 0, 0, data)->flags = flags;
        select_buffer(s, lane);
        flags = s->flags;
        break;
    case 5: // in parts from a fixed buffer
        prep(s, IORING_OP_SEND, fd, v, m->msg_iovlen, 0, data)->ioprio = U_VECTORIZED | (odds(2) ? U_FIXED_BUF : 0);
        s->buf_index = (uint16_t)lane;
        break;
    case 6:
        if (odds(8))
            prep(s, IORING_OP_SHUTDOWN, fd, NULL, pick(4), 0, data);
        break;
    case 7: // SIOCINQ, SIOCOUTQ and numbers that no socket knows
        prep(s, IORING_OP_URING_CMD, fd, NULL, 0, odds(4) ? 5 + pick(9) : pick(2), data);
        break;
    default: prep(s, 58, fd, NULL, 0, 0, data); break;
    }
    s->flags = flags;
    if (s->opcode == IORING_OP_RECV || s->opcode == IORING_OP_SEND || s->opcode == IORING_OP_RECVMSG || s->opcode == IORING_OP_SENDMSG) {
        static const int some[] = {MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_NOSIGNAL, MSG_DONTWAIT, MSG_CTRUNC, MSG_EOR, MSG_MORE};
        s->msg_flags = odds(3) ? (uint32_t)some[pick(countof(some))] : 0;
    }
}

// Sockets that are made and joined in spare slots.
static void prepare_new_socket(sqe_t *s, struct lane *l, int lane)
{
    uint64_t data = s->user_data;
    int slot = (int)spare_slot(lane);
    switch (pick(6)) {
    case 0:
        prep(s, IORING_OP_SOCKET, odds(8) ? 100 : AF_UNIX, NULL, odds(8) ? pick(4) : 0, SOCK_NONBLOCK | (1 + pick(5)), data);
        s->file_index = new_slot(lane);
        return;
    case 1: prep(s, U_OP_BIND, slot, &l->name, 0, sizeof l->name, data); break;
    case 2: prep(s, U_OP_LISTEN, slot, NULL, 100 + pick(4), 0, data); break;
    case 3: // nobody listens: whether a socket that was closed still does depends on time
        prep(s, IORING_OP_CONNECT, slot, &nobody, 0, sizeof nobody, data);
        break;
    case 4:
        prep(s, IORING_OP_ACCEPT, l->pair[0], NULL, 0, 0, data);
        s->file_index = new_slot(lane);
        s->accept_flags = SOCK_NONBLOCK;
        return;
    default: prep(s, IORING_OP_SHUTDOWN, slot, NULL, pick(4), 0, data); break;
    }
    s->flags |= IOSQE_FIXED_FILE;
}

static void prepare_path(sqe_t *s, struct lane *l, int lane, char *at)
{
    uint64_t data = s->user_data;
    switch (pick(12)) {
    case 0:
    case 1: // straight into the table
        prep(s, IORING_OP_OPENAT, AT_FDCWD, path_of(l), 0644, 0, data);
        s->open_flags = O_RDWR | O_NONBLOCK | (odds(2) ? O_CREAT : 0) | (odds(6) ? O_TRUNC : 0) | (odds(6) ? O_EXCL : 0) | (odds(9) ? O_APPEND : 0);
        s->file_index = new_slot(lane);
        break;
    case 2:
        prep(s, IORING_OP_OPENAT2, AT_FDCWD, path_of(l), odds(8) ? pick(40) : sizeof how, (uintptr_t)&how, data);
        s->file_index = new_slot(lane);
        break;
    case 3: prep(s, IORING_OP_CLOSE, 0, NULL, 0, 0, data)->file_index = spare_slot(lane) + 1; break;
    case 4: prep(s, IORING_OP_STATX, AT_FDCWD, path_of(l), STATX_SIZE | STATX_NLINK | STATX_MODE, (uintptr_t)&l->stats, data); break;
    case 5: prep(s, IORING_OP_MKDIRAT, AT_FDCWD, path_of(l), 0755, 0, data); break;
    case 6:
    case 7: prep(s, IORING_OP_UNLINKAT, AT_FDCWD, path_of(l), 0, 0, data)->unlink_flags = odds(3) ? AT_REMOVEDIR : 0; break;
    case 8:
        prep(s, IORING_OP_RENAMEAT, AT_FDCWD, path_of(l), (uint32_t)AT_FDCWD, (uintptr_t)path_of(l), data);
        s->rename_flags = odds(2) ? 0 : pick(4);
        break;
    case 9: prep(s, IORING_OP_SYMLINKAT, AT_FDCWD, path_of(l), 0, (uintptr_t)path_of(l), data); break;
    case 10:
        prep(s, IORING_OP_LINKAT, AT_FDCWD, path_of(l), (uint32_t)AT_FDCWD, (uintptr_t)path_of(l), data);
        s->hardlink_flags = odds(5) ? AT_SYMLINK_FOLLOW : 0;
        break;
    default: { // extended attributes
        bool set = odds(2), by_path = odds(2);
        prep(s, set ? by_path ? IORING_OP_SETXATTR : IORING_OP_FSETXATTR : by_path ? IORING_OP_GETXATTR : IORING_OP_FGETXATTR, l->files[0],
             odds(2) ? "user.a" : odds(4) ? "system.none" : "user.b", odds(3) ? 0 : pick(40), (uintptr_t)at, data);
        s->addr3 = by_path ? (uintptr_t)path_of(l) : 0;
        s->xattr_flags = set && odds(3) ? pick(4) : 0;
        break;
    }
    }
}

static void prepare_other(sqe_t *s, struct lane *l, int lane, char *at)
{
    uint64_t data = s->user_data;
    switch (pick(20)) {
    case 17: // a word that does not have the value
        l->words[0] = l->words[1] = (struct futex_waitv){1 + pick(3), (uintptr_t)&l->word, FUTEX_32 | (odds(6) ? pick(256) : 0), odds(20)};
        prep(s, 53, 0, l->words, odds(9) ? pick(200) : 1 + pick(2), 0, data);
        break;
    case 18:
        prep(s, U_OP_FD_INSTALL, lane * SLOTS + (int)pick(SLOTS), NULL, 0, 0, data)->flags = odds(9) ? 0 : IOSQE_FIXED_FILE;
        s->rw_flags = odds(3) ? (int)pick(3) : 0;
        break;
    case 19: // one that is cancelled in its chain is told of twice, at different times; one behind a drain waits for itself
        if (alone && !drains)
            prep(s, odds(2) ? IORING_OP_SEND_ZC : U_OP_SENDMSG_ZC, l->pair[0], at, 1 + pick(2), 0, data)->ioprio = odds(3) ? 1 << pick(7) : 0;
        l->messages[0] = (struct msghdr){.msg_iov = l->vectors[0], .msg_iovlen = pick(5)};
        if (s->opcode == IORING_OP_SEND_ZC)
            s->len = pick(3000);
        else
            s->addr = (uintptr_t)&l->messages[0];
        break;
    case 0:
        prep(s, IORING_OP_TIMEOUT, -1, &no_time, 1, 0, data)->timeout_flags = odds(2) ? IORING_TIMEOUT_ETIME_SUCCESS : 0;
        break;
    case 1: prep(s, odds(2) ? IORING_OP_TIMEOUT_REMOVE : IORING_OP_ASYNC_CANCEL, -1, (void *)99999, 0, 0, data); break;
    case 2: prep(s, IORING_OP_POLL_REMOVE, -1, (void *)99999, odds(2) ? 0 : pick(8), 0, data); break;
    case 3: prep(s, IORING_OP_POLL_ADD, l->files[0], NULL, 0, 0, data)->poll32_events = POLLOUT | (odds(2) ? POLLIN : 0); break;
    case 4: // the files of spare slots
        *(int32_t *)at = odds(3) ? -1 : odds(3) ? -2 : l->files[pick(2)];
        prep(s, IORING_OP_FILES_UPDATE, -1, at, 1, spare_slot(lane), data);
        break;
    case 5:
        if (odds(2))
            prep(s, IORING_OP_PROVIDE_BUFFERS, 1 + (int)pick(BUFS), l->pool, BUF_SIZE, 0, data)->buf_group = (uint16_t)lane;
        else
            prep(s, IORING_OP_REMOVE_BUFFERS, (int)pick(BUFS), NULL, 0, 0, data)->buf_group = (uint16_t)lane;
        break;
    case 6: // data to the other ring, here and there without a completion
        prep(s, IORING_OP_MSG_RING, peer.fd, NULL, pick(1000), data + 100000, data)->msg_ring_flags = odds(4) ? 1 : 0;
        if (odds(4)) {
            s->msg_ring_flags = 2;
            s->file_index = pick(1 << 16);
        }
        break;
    case 7: // a file to the other ring
        prep(s, IORING_OP_MSG_RING, peer.fd, (void *)1, 0, data + 100000, data);
        s->addr3 = (uint32_t)(lane * SLOTS) + pick(SLOTS);
        s->file_index = spare_slot(lane) + 1;
        break;
    case 8: prep(s, 52, 2, &l->word, 0, pick(4), data)->addr3 = odds(3) ? 0 : ~0u; break;
    case 9: prep(s, 51, odds(6) ? (int)pick(200) : 2, &l->word, 0, 1 + pick(4), data)->addr3 = odds(3) ? 0 : ~0u; break;
    case 10: // nobody's parent
        prep(s, 50, 0, NULL, odds(6) ? pick(4) : 0, (uintptr_t)&l->child, data)->file_index = odds(8) ? 0 : WEXITED;
        break;
    case 11:
        prep(s, IORING_OP_EPOLL_CTL, l->epoll, &event_to_watch, 1 + pick(3), (uint64_t)(odds(3) ? l->files[0] : odds(2) ? l->event : l->pipe[0]), data);
        break;
    case 12:
        prep(s, 62, 0, at, 0, 0, data)->rw_flags = O_NONBLOCK;
        s->file_index = (uint32_t)(lane * SLOTS + SLOTS - SPARE) + 1 + pick(SPARE - 1);
        break;
    case 13: prep(s, IORING_OP_FADVISE, l->files[0], NULL, pick(9000), pick(9000), data)->fadvise_advice = pick(8); break;
    case 14:
        prep(s, IORING_OP_MADVISE, -1, l->area + pick(4) * 4096, 4096, 0, data)->fadvise_advice = odds(4) ? 50 + pick(3) : pick(3);
        break;
    case 15: prep(s, 55, l->files[pick(2)], NULL, 0, odds(9) ? ~0ull : pick(40000), data); break;
    default: { // NOP with everything it has
        uint32_t flags = odds(2) ? 0 : pick(64);
        prep(s, IORING_OP_NOP, odds(3) ? l->files[0] : lane * SLOTS, NULL, 0, 0, data)->rw_flags = flags;
        if (flags & 1)
            s->len = odds(2) ? pick(100) : (uint32_t)-(int)pick(100);
        s->buf_index = odds(3) ? pick(LANES + 3) : 0;
        break;
    }
    }
}

static void prepare_data(sqe_t *s, struct lane *l, int lane, int place, bool last, char *at, uint32_t len)
{
    uint64_t off = odds(3) ? ~0ull : pick(30000), data = s->user_data;
    struct iovec *v = l->vectors[place];
    bool write = odds(2);
    if (write && off == ~0ull) // whether a write that goes on on a worker moves the position depends on time
        off = pick(30000);
    switch (pick(last ? 14 : 13)) { // a splice from a file comes last: the pipe may hold the file's own pages
    case 0:
    case 1:
    case 2:
        prep(s, write ? IORING_OP_WRITE : IORING_OP_READ, 0, at, len, off, data);
        set_file(s, l, lane, (int)pick(2));
        break;
    case 3:
    case 4:
        prep(s, write ? IORING_OP_WRITEV : IORING_OP_READV, 0, v, pick(5), off, data);
        set_file(s, l, lane, (int)pick(2));
        break;
    case 5:
        prep(s, write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED, 0, at, len, off, data)->buf_index = (uint16_t)lane;
        set_file(s, l, lane, (int)pick(2));
        break;
    case 6:
        prep(s, write ? 61 : 60, 0, v, pick(5), off, data)->buf_index = (uint16_t)lane;
        set_file(s, l, lane, (int)pick(2));
        break;
    case 7:
        prep(s, IORING_OP_WRITE, 0, at, len % 2000, odds(9) ? 5 : ~0ull, data);
        set_file(s, l, lane, 3);
        break;
    case 8:
        prep(s, IORING_OP_READ, 0, at, len, odds(9) ? 5 : ~0ull, data);
        set_file(s, l, lane, 2);
        break;
    case 9:
        prep(s, odds(4) ? U_OP_READ_MULTISHOT : odds(3) ? IORING_OP_READV : IORING_OP_READ, 0, v, 1, off, data);
        set_file(s, l, lane, odds(3) && s->opcode != U_OP_READ_MULTISHOT ? 2 : (int)pick(2));
        select_buffer(s, lane);
        if (s->opcode == IORING_OP_READV) {
            s->addr = (uintptr_t)v;
            s->len = 1;
        }
        break;
    case 10:
        prep(s, write ? IORING_OP_WRITE : IORING_OP_READ, l->event, at, 8, ~0ull, data);
        if (write)
            *(uint64_t *)at = odds(5) ? ~0ull : pick(100);
        break;
    case 11:
        if (odds(4))
            prep(s, odds(8) ? IORING_OP_FSYNC : IORING_OP_SYNC_FILE_RANGE, l->files[1], NULL, 0, 0, data)->fsync_flags = odds(2) ? 1 : 0;
        else
            prep(s, IORING_OP_FALLOCATE, l->files[pick(2)], (void *)(uintptr_t)pick(20000), odds(2) ? 0 : odds(2) ? 1 : 3, pick(20000), data);
        break;
    case 12: // from one pipe into another, or into a file
        prep(s, odds(2) ? IORING_OP_SPLICE : IORING_OP_TEE, odds(3) ? l->files[0] : l->more[1], NULL, 1 + pick(1500), ~0ull, data);
        s->splice_off_in = s->opcode == IORING_OP_TEE ? 0 : ~0ull;
        s->off = s->opcode == IORING_OP_TEE ? 0 : ~0ull;
        s->splice_fd_in = l->pipe[0];
        s->splice_flags = SPLICE_F_NONBLOCK;
        break;
    default:
        prep(s, IORING_OP_SPLICE, l->pipe[1], NULL, 1 + pick(1500), ~0ull, data);
        s->splice_off_in = odds(2) ? ~0ull : pick(20000);
        s->splice_fd_in = l->files[0];
        s->splice_flags = SPLICE_F_NONBLOCK;
        break;
    }
}

static void prepare(sqe_t *s, struct lane *l, int lane, int place, bool last)
{
    uint32_t len = odds(4) ? pick(5000) : pick(400);
    char *at = l->area + pick(AREA - 5000) / 8 * 8;
    for (int i = 0; i < 4; i++)
        l->vectors[place][i] = (struct iovec){l->area + 8 * pick(1500), odds(4) ? 0 : 1 + pick(600)};
    switch (pick(10)) {
    case 0:
    case 1:
    case 2:
    case 3: prepare_data(s, l, lane, place, last, at, len); break;
    case 4:
    case 5: prepare_path(s, l, lane, at); break;
    case 6:
    case 7: prepare_socket(s, l, lane, l->vectors[place], &l->messages[place], at, len); break;
    case 8: prepare_new_socket(s, l, lane); break;
    default: prepare_other(s, l, lane, at); break;
    }
    // Wrong here and there, where the answer does not depend on what the field would otherwise mean.
    switch (pick(70)) {
    case 0: s->opcode = (uint8_t)(U_OP_LAST_6_18 + pick(100)); break;
    case 1: s->flags |= 0x80; break;
    case 2: s->personality = 7; break;
    case 3: // a host file system may grow a file by a write that fails
        s->addr = s->opcode == IORING_OP_WRITE ? s->addr : 8;
        break;
    case 4: s->fd = s->opcode == IORING_OP_PROVIDE_BUFFERS ? -1 : 1000; break;
    case 5: s->buf_index = (uint16_t)(LANES + 1 + lane); break;
    case 6: // the lower half is what counts: no other lane's place in the table, no completions that a time-out of no time would race
        s->off = 1ull << 63 | (s->opcode == IORING_OP_FILES_UPDATE ? spare_slot(lane) : s->opcode == IORING_OP_TIMEOUT ? 1u << 20 : pick(100));
        break;
    case 7: s->ioprio = (uint16_t)(1u << (6 + pick(10))); break;
    case 8: s->file_index ^= 1u << (20 + pick(10)); break;
    case 9: s->addr3 ^= 1ull << (s->addr3 >> 20 ? 48 + pick(16) : 8 + pick(56)); break; // never another address
    case 10: ((uint64_t *)s)[7] ^= 1; break;
    case 11: s->rw_flags |= (int)(1u << (16 + pick(16))); break;
    default: break;
    }
    never_wait(s, l, lane);
}

#endif
