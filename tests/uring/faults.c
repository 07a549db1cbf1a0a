// Programs whose requests meet with faults (--uring-inject), and that go on correctly.
//
//   faults file       writes and reads a file with many requests in flight, repeats what failed or was short, compares
//   faults stream     the same with both ends of a stream of sockets
//   faults order      the order in which 64 NOPs complete
//   faults chain      a short read breaks a chain, and not a hard one
//   faults late       delayed completions obey links and drains, and a timeout ends the wait for them
//   faults overflow   a CQE that finds no room comes when the program enters the kernel
//
// Prints what happened, which is the same in each run, and "right" at the end.
#define MT_OWN_MAIN
#include "uring.h"
#include <sys/socket.h>

#define BLOCK 3000
#define BLOCKS 400
#define DEPTH 32

static struct ring r;
static unsigned shorts, agains, interrupts;
static char data[BLOCKS * BLOCK], back[BLOCKS * BLOCK];

static void fail(const char *what)
{
    printf("WRONG: %s\n", what);
    exit(1);
}

// What a completion means for a transfer of `left` bytes: bytes done.
static unsigned progress(int res, unsigned left)
{
    if (res == -EAGAIN)
        agains++;
    else if (res == -EINTR)
        interrupts++;
    else if (res <= 0 || (unsigned)res > left)
        fail("a result");
    else if ((unsigned)res < left)
        shorts++;
    return res < 0 ? 0 : (unsigned)res;
}

// All blocks, in any order, DEPTH at a time.
static void transfer(int fd, int op, char *at)
{
    static unsigned done[BLOCKS];
    static bool busy[BLOCKS];
    memset(done, 0, sizeof done);
    unsigned flying = 0, next = 0, finished = 0, again[BLOCKS], repeats = 0;
    while (finished < BLOCKS) {
        while (flying < DEPTH && (repeats > 0 || next < BLOCKS)) {
            unsigned i = repeats > 0 ? again[--repeats] : next++;
            sqe_t *sqe = ring_sqe(&r);
            sqe->opcode = (uint8_t)op;
            sqe->fd = fd;
            sqe->addr = (uintptr_t)(at + i * BLOCK + done[i]);
            sqe->len = BLOCK - done[i];
            sqe->off = i * BLOCK + done[i];
            sqe->user_data = i;
            busy[i] = true;
            flying++;
        }
        ring_submit(&r);
        cqe_t c = ring_wait(&r);
        if (c.user_data >= BLOCKS || !busy[c.user_data])
            fail("a completion of nothing");
        unsigned i = (unsigned)c.user_data;
        busy[i] = false;
        flying--;
        done[i] += progress(c.res, BLOCK - done[i]);
        if (done[i] == BLOCK)
            finished++;
        else
            again[repeats++] = i;
    }
}

static void file(void)
{
    FILE *f = tmpfile();
    transfer(fileno(f), IORING_OP_WRITE, data);
    transfer(fileno(f), IORING_OP_READ, back);
    if (memcmp(data, back, sizeof data) != 0)
        fail("the content");
    fclose(f);
}

static void stream(void)
{
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    unsigned sent = 0, received = 0;
    bool sending = false, receiving = false;
    while (received < sizeof data || sending) { // what was sent may be told later than that it was received
        for (int i = 0; i < 2; i++) {
            bool *on = i ? &receiving : &sending;
            unsigned at = i ? received : sent;
            if (*on || at == sizeof data)
                continue;
            sqe_t *sqe = ring_sqe(&r);
            sqe->opcode = i ? IORING_OP_RECV : IORING_OP_SEND;
            sqe->fd = s[i];
            sqe->addr = (uintptr_t)((i ? back : data) + at);
            sqe->len = sizeof data - at < 5000 ? (uint32_t)(sizeof data - at) : 5000;
            sqe->user_data = (uint64_t)i;
            *on = true;
        }
        ring_submit(&r);
        cqe_t c = ring_wait(&r);
        if (c.user_data == 0) {
            sending = false;
            sent += progress(c.res, (unsigned)sizeof data - sent);
        } else {
            receiving = false;
            received += progress(c.res, (unsigned)sizeof data - received);
        }
    }
    if (memcmp(data, back, sizeof data) != 0)
        fail("the content");
    close(s[0]);
    close(s[1]);
    shorts = 0; // How much there is to receive is a matter of time.
}

static sqe_t *nop(unsigned number, unsigned flags)
{
    sqe_t *sqe = ring_sqe(&r);
    sqe->opcode = IORING_OP_NOP;
    sqe->flags = (uint8_t)flags;
    sqe->user_data = number;
    return sqe;
}

static void order(void)
{
    bool seen[64] = { false };
    unsigned last = 0, back_steps = 0;
    for (unsigned i = 0; i < 64; i++)
        nop(i, 0);
    ring_submit(&r);
    for (int i = 0; i < 64; i++) {
        cqe_t c = ring_wait(&r);
        if (c.user_data >= 64 || seen[c.user_data] || c.res != 0)
            fail("a completion");
        seen[c.user_data] = true;
        back_steps += c.user_data < last;
        last = (unsigned)c.user_data;
        printf("%u ", last);
    }
    printf("\n%s\n", back_steps ? "out of order" : "in order");
}

static void chain(void)
{
    FILE *f = tmpfile();
    fwrite(data, 1, 100, f);
    fflush(f);
    for (int hard = 0; hard < 2; hard++) {
        sqe_t *sqe = ring_sqe(&r);
        sqe->opcode = IORING_OP_READ;
        sqe->flags = hard ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
        sqe->fd = fileno(f);
        sqe->addr = (uintptr_t)back;
        sqe->len = 100;
        sqe->user_data = 1;
        nop(2, 0);
        ring_submit(&r);
        for (int i = 0; i < 2; i++) {
            cqe_t c = ring_wait(&r);
            if (c.user_data == 1)
                printf("read %s, ", c.res > 0 && c.res < 100 && !memcmp(data, back, (size_t)c.res) ? "short" : "whole");
            else
                printf("next %d\n", c.res);
        }
    }
    fclose(f);
}

static void late(void)
{
    struct __kernel_timespec ts = { .tv_nsec = 1000000 };
    struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };
    nop(1, IOSQE_IO_LINK);
    nop(2, IOSQE_IO_LINK);
    nop(3, 0);
    nop(4, IOSQE_IO_DRAIN);
    nop(5, 0);
    ring_submit(&r);
    errno = 0;
    u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
    printf("%s:", errno == ETIME ? "late" : "in time");
    for (int i = 0; i < 5; i++)
        printf(" %llu", (unsigned long long)ring_wait(&r).user_data);
    printf("\n");
}

static void overflow(void)
{
    for (unsigned i = 0; i < 3; i++)
        nop(i, 0);
    ring_submit(&r);
    printf("%u ready, flag %u", ring_ready(&r), (atomic_load(r.sq_flags) & IORING_SQ_CQ_OVERFLOW) != 0);
    for (int i = 0; i < 3; i++)
        printf(" %llu", (unsigned long long)ring_wait(&r).user_data);
    printf(", lost %u, flag %u\n", atomic_load(r.cq_overflow), (atomic_load(r.sq_flags) & IORING_SQ_CQ_OVERFLOW) != 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "file";
    uint32_t flags = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    ring_init(&r, 64, flags);
    if (!strcmp(what, "file"))
        file();
    else if (!strcmp(what, "stream"))
        stream();
    else if (!strcmp(what, "order"))
        order();
    else if (!strcmp(what, "chain"))
        chain();
    else if (!strcmp(what, "late"))
        late();
    else
        overflow();
    cqe_t extra;
    u_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    if (ring_peek(&r, &extra))
        fail("a completion too many");
    if (shorts | agains | interrupts)
        printf("%u short, %u EAGAIN, %u EINTR\n", shorts, agains, interrupts);
    printf("right\n");
    return 0;
}
