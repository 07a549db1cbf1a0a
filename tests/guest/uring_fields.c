// run: plain 0 16
// run: plain 16 31
// run: plain 31 49
// run: plain 49 66
// run: iopoll 0 66
// Each operation with a request that is right, and then with one field of it changed: what each answers. Run natively
// and in Moat, the outputs have to be the same.
#include "rand.h"
#include "uring.h"
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { FILE_FD = 40, DIR_FD, READ_FD, WRITE_FD, SOCK_FD, PEER_FD, LISTEN_FD, CLIENT_FD, EPOLL_FD, EVENT_FD, OTHER_FD,
       FRESH_FD, PATH_FD, TARGET_FD, LAST_FD };
enum { BUFFER = 65536, GROUPS = 3 };

static struct ring r;
static unsigned setup_flags;
static char *buffer;
static uint32_t word = 7;
static struct __kernel_timespec soon = {0, 5000000}, later = {100, 0};
static struct iovec vectors[70001];
static struct msghdr message;
static struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0644};
static struct sockaddr_un address;
static socklen_t address_size;
static struct epoll_event event = {EPOLLIN, {0}}, events[4];
static struct statx stats;
static siginfo_t info;
static int fds[4];
static struct { uint64_t val, uaddr; uint32_t flags, reserved; } waitv[2];

static void at(int fd, int place)
{
    OK(dup2(fd, place));
    close(fd);
}

static void make_objects(int op)
{
    int p[2];
    unlink("f");
    int fd = OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
    CHECK_EQ(pwrite(fd, buffer, 8192, 0), 8192);
    at(fd, FILE_FD);
    at(OK(open(".", O_RDONLY | O_DIRECTORY)), DIR_FD);
    OK(pipe(p));
    at(p[0], READ_FD);
    at(p[1], WRITE_FD);
    CHECK_EQ(write(WRITE_FD, buffer, 100), 100);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    at(p[0], SOCK_FD);
    at(p[1], PEER_FD);
    CHECK_EQ(write(PEER_FD, buffer, 50), 50);
    at(OK(socket(AF_UNIX, SOCK_STREAM, 0)), LISTEN_FD);
    unlink("s");
    address = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "s"};
    OK(bind(LISTEN_FD, (void *)&address, sizeof address));
    OK(listen(LISTEN_FD, 5));
    at(OK(socket(AF_UNIX, SOCK_STREAM, 0)), CLIENT_FD);
    OK(connect(CLIENT_FD, (void *)&address, sizeof address));
    at(OK(epoll_create1(0)), EPOLL_FD);
    at(OK(eventfd(1, 0)), EVENT_FD);
    OK(epoll_ctl(EPOLL_FD, EPOLL_CTL_ADD, EVENT_FD, &event));
    at(OK(open("/dev/null", O_RDWR)), OTHER_FD);
    at(OK(socket(AF_UNIX, SOCK_STREAM, 0)), FRESH_FD);
    at(OK(open("f", O_PATH)), PATH_FD);
    unlink("new");
    unlink("renamed");
    rmdir("made");
    rmdir("new");
    rmdir("renamed");
    struct io_uring_params q = {0};
    at(OK(u_setup(4, &q)), TARGET_FD);
    if (op == 50) { // WAITID
        pid_t child = OK(fork());
        if (child == 0)
            _exit(3);
        siginfo_t si;
        OK(waitid(P_PID, child, &si, WEXITED | WNOWAIT));
    }
    struct io_uring_params params = {.flags = setup_flags};
    memset(&r, 0, sizeof r);
    r.p = params;
    r.fd = OK(u_setup(16, &r.p));
    at(r.fd, LAST_FD);
    r.fd = LAST_FD;
    ring_map(&r);
    int files[8] = {FILE_FD, READ_FD, WRITE_FD, SOCK_FD, -1, -1, -1, -1};
    OK(u_register(r.fd, IORING_REGISTER_FILES, files, 8));
    struct iovec reg[2] = {{buffer, BUFFER}, {NULL, 0}};
    OK(u_register(r.fd, IORING_REGISTER_BUFFERS, reg, 2));
    word = 7;
    soon = (struct __kernel_timespec){0, 5000000};
    memset(buffer, 'a', BUFFER);
    address_size = sizeof address;
    for (unsigned i = 2; i < countof(vectors); i++)
        vectors[i] = (struct iovec){NULL, 0};
    message = (struct msghdr){.msg_iov = vectors, .msg_iovlen = 2};
    vectors[0] = (struct iovec){buffer, 16};
    vectors[1] = (struct iovec){buffer + 4096, 16};
    how = (struct open_how){.flags = O_RDWR | O_CREAT, .mode = 0644};
    for (int i = 0; i < 2; i++) {
        waitv[i].val = 7;
        waitv[i].uaddr = (uintptr_t)&word;
        waitv[i].flags = 2;
    }
}

static void drop_objects(int op)
{
    OK(munmap(r.ring_map, r.ring_size));
    OK(munmap(r.sqe_map, r.sqe_size));
    for (int i = 3; i <= LAST_FD + 8; i++)
        close(i);
    while (op == 50 && waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

// A request of this operation that is right. False: there is no more to do with it.
static bool base(sqe_t *s, int op)
{
    memset(s, 0, sizeof *s);
    switch (op) {
    case 0: prep(s, op, -1, NULL, 0, 0, 0); break;
    case 1: prep(s, op, FILE_FD, vectors, 2, 0, 0); break;
    case 2: prep(s, op, FILE_FD, vectors, 2, 0, 0); break;
    case 3: prep(s, op, FILE_FD, NULL, 0, 0, 0); break;
    case 4:
    case 5: prep(s, op, FILE_FD, buffer, 64, 0, 0); break;
    case 6: prep(s, op, READ_FD, NULL, 0, 0, 0)->poll32_events = POLLIN; break;
    case 7: prep(s, op, 0, NULL, 0, 0, 0)->addr = 99; break;
    case 8: prep(s, op, FILE_FD, NULL, 4096, 0, 0); break;
    case 9:
    case 10: prep(s, op, SOCK_FD, &message, 1, 0, 0); break;
    case 11: prep(s, op, 0, &soon, 1, 0, 0); break;
    case 12: prep(s, op, 0, NULL, 0, 0, 0)->addr = 99; break;
    case 13: prep(s, op, LISTEN_FD, NULL, 0, 0, 0); break;
    case 14: prep(s, op, 0, NULL, 0, 0, 0)->addr = 99; break;
    case 15: prep(s, op, 0, &later, 1, 0, 0); break;
    case 16: prep(s, op, FRESH_FD, &address, 0, sizeof address, 0); break;
    case 17: prep(s, op, FILE_FD, (void *)4096ul, 0, 0, 0); break;
    case 18: prep(s, op, AT_FDCWD, "new", 0644, 0, 0)->open_flags = O_RDWR | O_CREAT; break;
    case 19: prep(s, op, OTHER_FD, NULL, 0, 0, 0); break;
    case 20: fds[0] = FILE_FD; fds[1] = -1; prep(s, op, 0, fds, 2, 4, 0); break;
    case 21: prep(s, op, AT_FDCWD, "f", STATX_SIZE, (uintptr_t)&stats, 0); break;
    case 22:
    case 23: prep(s, op, FILE_FD, buffer, 64, 0, 0); break;
    case 24: prep(s, op, FILE_FD, NULL, 4096, 0, 0); break;
    case 25: prep(s, op, 0, buffer + 8192, 4096, 0, 0); break;
    case 26: prep(s, op, SOCK_FD, buffer, 64, 0, 0); break;
    case 27: prep(s, op, SOCK_FD, buffer, 64, 0, 0); break;
    case 28: prep(s, op, AT_FDCWD, "new", sizeof how, (uintptr_t)&how, 0); break;
    case 29: prep(s, op, EPOLL_FD, &event, EPOLL_CTL_ADD, READ_FD, 0); break;
    case 30: prep(s, op, WRITE_FD, (void *)0, 64, ~0ull, 0)->splice_fd_in = FILE_FD; break;
    case 31: prep(s, op, 2, buffer, 64, 0, 0)->buf_group = 5; break;
    case 32: prep(s, op, 2, NULL, 0, 0, 0)->buf_group = GROUPS; break;
    case 33: prep(s, op, WRITE_FD, NULL, 64, 0, 0)->splice_fd_in = READ_FD; break;
    case 34: prep(s, op, SOCK_FD, NULL, 1, 0, 0); break;
    case 35: prep(s, op, AT_FDCWD, "f", (uint32_t)AT_FDCWD, (uintptr_t) "renamed", 0); break;
    case 36: prep(s, op, AT_FDCWD, "s", 0, 0, 0); break;
    case 37: prep(s, op, AT_FDCWD, "made", 0755, 0, 0); break;
    case 38: prep(s, op, AT_FDCWD, "to", 0, (uintptr_t) "new", 0); break;
    case 39: prep(s, op, AT_FDCWD, "f", (uint32_t)AT_FDCWD, (uintptr_t) "new", 0); break;
    case 40: prep(s, op, TARGET_FD, NULL, 5, 6, 0); break;
    case 41: prep(s, op, FILE_FD, "user.a", 3, (uintptr_t)buffer, 0); break;
    case 42: prep(s, op, 0, "user.a", 3, (uintptr_t)buffer, 0)->addr3 = (uintptr_t) "f"; break;
    case 43: prep(s, op, FILE_FD, "user.a", 3, (uintptr_t)buffer, 0); break;
    case 44: prep(s, op, 0, "user.a", 3, (uintptr_t)buffer, 0)->addr3 = (uintptr_t) "f"; break;
    case 45: prep(s, op, AF_UNIX, NULL, 0, SOCK_STREAM, 0); break;
    case 46: prep(s, op, SOCK_FD, NULL, 0, 0, 0); break;
    case 47: prep(s, op, SOCK_FD, buffer, 64, 0, 0); break;
    case 48: prep(s, op, SOCK_FD, &message, 1, 0, 0); break;
    case 49: prep(s, op, READ_FD, NULL, 0, ~0ull, 0)->flags = IOSQE_BUFFER_SELECT; s->buf_group = GROUPS; break;
    case 50: prep(s, op, 0, NULL, P_ALL, (uintptr_t)&info, 0)->file_index = WEXITED; break;
    case 51: prep(s, op, 2, &word, 0, 7, 0)->addr3 = ~0u; break;
    case 52: prep(s, op, 2, &word, 0, 7, 0)->addr3 = ~0u; break;
    case 53: prep(s, op, 0, waitv, 2, 0, 0); break;
    case 54: prep(s, op, 0, NULL, 0, 0, 0)->flags = IOSQE_FIXED_FILE; break;
    case 55: prep(s, op, FILE_FD, NULL, 0, 100, 0); break;
    case 56: prep(s, op, FRESH_FD, &address, 0, 2, 0); break;
    case 57: prep(s, op, LISTEN_FD, NULL, 5, 0, 0); break;
    case 58: prep(s, op, SOCK_FD, NULL, 0, 0, 0)->ioprio = 2; break;
    case 59: prep(s, op, EPOLL_FD, events, 4, 0, 0); break;
    case 60:
    case 61: prep(s, op, FILE_FD, vectors, 2, 0, 0); break;
    case 62: prep(s, op, 0, fds, 0, 0, 0); break;
    default: prep(s, op, 0, NULL, 0, 0, 0); break;
    }
    s->user_data = 1;
    return op < 66;
}

static bool waits(int op) // may never end by itself
{
    switch (op) {
    case 6: case 11: case 13: case 15: case 51: case 53: case 49: case 58: case 10: case 27: case 59: case 22: case 1: return true;
    default: return false;
    }
}

static void tell(const char *what, const cqe_t *c)
{
    printf(" %s%d", what, c->res);
    if (c->flags != 0)
        printf("/%x", c->flags);
}

static bool take(cqe_t *c)
{
    uint32_t head = atomic_load(r.cq_head);
    if (head == atomic_load(r.cq_tail))
        return false;
    *c = *(cqe_t *)((char *)r.cqes + ((head & (r.p.cq_entries - 1)) * sizeof(cqe_t) << !!(r.p.flags & IORING_SETUP_CQE32)));
    atomic_store(r.cq_head, head + 1);
    return true;
}

static sqe_t *next_sqe(void)
{
    uint32_t i = r.tail++ & (r.p.sq_entries - 1);
    sqe_t *s = (void *)((char *)r.sqes + (i * sizeof *s << !!(r.p.flags & IORING_SETUP_SQE128)));
    memset(s, 0, sizeof *s << !!(r.p.flags & IORING_SETUP_SQE128));
    return s;
}

static bool wait_one(cqe_t *c, int ms)
{
    struct __kernel_timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    if (take(c))
        return true;
    for (int i = 0; i < ms; i++) {
        u_enter(r.fd, 0, !(setup_flags & IORING_SETUP_IOPOLL), IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
        if (take(c))
            return true;
        if (!(setup_flags & IORING_SETUP_IOPOLL)) // where nothing is being polled for, it does not wait
            return false;
        mt_sleep_us(1000);
    }
    return false;
}

struct change {
    const char *field;
    uint64_t value;
};

static void set(sqe_t *s, const struct change *c)
{
    uint64_t v = c->value;
    switch (c->field[0]) {
    case 'i': s->ioprio ^= v; break;
    case 'f': s->flags ^= v; break;
    case 'd': s->fd = v; break;
    case 'o': s->off = v; break;
    case 'a': s->addr = v; break;
    case 'l': s->len = v; break;
    case 'w': s->rw_flags ^= v; break;
    case 'b': s->buf_index ^= v; break;
    case 'p': s->personality = v; break;
    case 'x': s->file_index ^= v; break;
    case '3': s->addr3 = v; break;
    case '2': s->__pad2[0] = v; break;
    }
}

// What depends on the file system or on the machine, or never ends natively.
static bool is_left_out(int op, const struct change *c)
{
    bool writes = op == 2 || op == 5 || op == 23 || op == 61, moves = writes || op == 1 || op == 4 || op == 22 || op == 60;
    switch (c->field[0]) {
    case 'd':
        return (op == 45 && (c->value == FILE_FD || c->value == SOCK_FD)) // families
            || ((op == 51 || op == 52) && c->value == 6); // futexes that know their node
    case 'f': return (op == 47 || op == 48) && c->value == IOSQE_IO_DRAIN; // waits for its own notification
    case 'l': return (op == 17 && c->value == 8) || (op == 26 && (c->value == 70000 || c->value == INT_MAX));
    case 'w':
        return (moves && c->value == 0x80) || (writes && c->value == RWF_NOWAIT) || (op == 35 && c->value == 4)
            || ((op == 9 || op == 26) && (c->value == MSG_OOB || c->value == UINT_MAX));
    case 'o': return op == 29 && c->value < 3; // wherever the output goes
    default: return false;
    }
}

static void probe(int op, const struct change *c)
{
    if (is_left_out(op, c))
        return;
    make_objects(op);
    // Buffers for those that pick one: groups 0 and GROUPS.
    if (!(setup_flags & IORING_SETUP_IOPOLL)) {
        for (int g = 0; g <= GROUPS; g += GROUPS) {
            sqe_t *p = next_sqe();
            prep(p, IORING_OP_PROVIDE_BUFFERS, 4, buffer + 32768, 64, 0, 9)->buf_group = g;
            cqe_t cqe;
            OK(u_enter(r.fd, ring_publish(&r), 0, 0, NULL, 0));
            CHECK(wait_one(&cqe, 1000));
        }
    }
    sqe_t *s = next_sqe();
    base(s, op);
    if (c->field[0] == 'd' && (int)c->value == s->fd) {
        drop_objects(op);
        return;
    }
    set(s, c);
    uint8_t flags = s->flags;
    bool skips = flags & IOSQE_CQE_SKIP_SUCCESS, multi;
    int submitted = u_enter(r.fd, ring_publish(&r), 0, 0, NULL, 0);
    printf("%d %s=%llx:", op, c->field, (unsigned long long)c->value);
    if (submitted != 1)
        printf(" submitted %d errno %d", submitted, errno);
    cqe_t cqe, last = {0, 0, 0};
    bool over = false, any = false;
    int ms = skips ? 20 : !waits(op) ? 5000 : op == 11 || (flags & IOSQE_ASYNC) ? 100 : 4;
    for (int i = 0; !over && i < (op == 11 ? 2 : 40) && wait_one(&cqe, ms); i++) {
        multi = any && cqe.res == last.res && cqe.flags == last.flags;
        if (!multi)
            tell("", &cqe);
        last = cqe;
        any = true;
        over = !(cqe.flags & IORING_CQE_F_MORE);
    }
    if (!over && !(setup_flags & IORING_SETUP_IOPOLL)) {
        sqe_t *p = next_sqe();
        prep(p, IORING_OP_ASYNC_CANCEL, -1, NULL, 0, 0, 2)->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
        OK(u_enter(r.fd, ring_publish(&r), 0, 0, NULL, 0));
        int canceled = 0, result = 0;
        bool answered = false;
        while ((!answered || canceled < result) && wait_one(&cqe, 200)) {
            if (cqe.user_data == 2) {
                answered = true;
                result = cqe.res;
                continue;
            }
            if (!any || cqe.res != last.res || cqe.flags != last.flags)
                tell(">", &cqe);
            last = cqe;
            any = true;
            canceled += !(cqe.flags & IORING_CQE_F_MORE);
        }
    }
    printf("\n");
    drop_objects(op);
}

int main(int argc, char **argv)
{
    rand_start(1, argv);
    const char *kind = argc > 1 ? argv[1] : "plain";
    setup_flags = strcmp(kind, "defer") == 0 ? IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER
        : strcmp(kind, "large") == 0 ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32
        : strcmp(kind, "iopoll") == 0 ? IORING_SETUP_IOPOLL : 0;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit = {1 << 20, 1 << 20};
    OK(setrlimit(RLIMIT_FSIZE, &limit));
    limit = (struct rlimit){256, 256};
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    buffer = OK(mmap((void *)0x200000000ul, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    int first = argc > 2 ? atoi(argv[2]) : 0, end = argc > 3 ? atoi(argv[3]) : 66;
    for (int op = first; op < end; op++) {
        probe(op, &(struct change){"none", 0});
        for (int i = 0; i < 16; i++)
            probe(op, &(struct change){"ioprio", 1u << i});
        for (int i = 0; i < 8; i++)
            probe(op, &(struct change){"flags", 1u << i});
        probe(op, &(struct change){"flags", IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS});
        probe(op, &(struct change){"flags", IOSQE_ASYNC | IOSQE_BUFFER_SELECT});
        static const int files[] = {0, 1, 3, -1, 6, 1000, INT_MAX, AT_FDCWD, FILE_FD, DIR_FD, READ_FD, WRITE_FD, SOCK_FD, LISTEN_FD,
                                    CLIENT_FD, EPOLL_FD, EVENT_FD, OTHER_FD, FRESH_FD, PATH_FD, TARGET_FD, LAST_FD};
        for (unsigned i = op == 54 ? 0 : 3; i < countof(files); i++)
            probe(op, &(struct change){"d", files[i]});
        static const uint64_t values[] = {0, 1, 2, 100, 4096, 1ull << 31, (1ull << 32) - 1, 1ull << 32, 1ull << 63, ~0ull};
        for (unsigned i = 0; i < countof(values); i++)
            probe(op, &(struct change){"off", values[i]});
        for (unsigned i = 0; i < countof(values); i++)
            probe(op, &(struct change){"addr", values[i]});
        static const uint64_t lengths[] = {0, 1, 2, 3, 8, 17, 70, 1025, 70000, INT_MAX, 1u << 31, UINT_MAX};
        for (unsigned i = 0; i < countof(lengths); i++)
            probe(op, &(struct change){"len", lengths[i]});
        for (int i = 0; i < 32; i++)
            probe(op, &(struct change){"w", 1u << i});
        probe(op, &(struct change){"w", UINT_MAX});
        static const uint64_t small[] = {1, 2, 5, 0xffff};
        for (unsigned i = 0; i < countof(small); i++)
            probe(op, &(struct change){"buf_index", small[i]});
        for (unsigned i = 0; i < countof(small); i++)
            probe(op, &(struct change){"personality", small[i]});
        static const uint64_t indices[] = {1, 2, 5, 8, 9, 1 << 16, 1u << 31, UINT_MAX - 1, UINT_MAX};
        for (unsigned i = 0; i < countof(indices); i++)
            probe(op, &(struct change){"x", indices[i]});
        for (unsigned i = 0; i < countof(values); i++)
            probe(op, &(struct change){"3", values[i]});
        for (unsigned i = 0; i < countof(values); i++)
            probe(op, &(struct change){"2", values[i]});
    }
    return rand_end();
}
