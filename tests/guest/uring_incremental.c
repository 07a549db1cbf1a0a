// run:
// Buffers of a ring that are used in part (IOU_PBUF_RING_INC), with and without a least rest, by single and multishot receives,
// one by one and in bundles: what every completion says, and what is left in the ring.
#include "rand.h"
#include "uring.h"
#include <sys/socket.h>

enum { GROUP = 5, SIZE = 100, INC = 2 };

static struct ring r;
static char *entries; // of the buffer ring
static char data[1000];

static bool wait_short(cqe_t *c)
{
    struct __kernel_timespec ts = {0, 50000000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    if (ring_peek(&r, c))
        return true;
    u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
    return ring_peek(&r, c);
}

static uint32_t left_of(int i)
{
    uint32_t len;
    memcpy(&len, entries + i * 16 + 8, sizeof len);
    return len;
}

static void receive(uint32_t least, bool multishot, bool bundle, uint32_t length, const int *sizes)
{
    int sockets[2];
    ring_init(&r, 8, 0);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    memset(entries, 0, 4096);
    uint32_t reg[10] = {0};
    uint64_t address = (uintptr_t)entries;
    memcpy(reg, &address, sizeof address);
    reg[2] = 4;
    reg[3] = GROUP | INC << 16;
    reg[4] = least;
    OK(u_register(r.fd, IORING_REGISTER_PBUF_RING, reg, 1));
    for (int i = 0; i < 3; i++) {
        struct io_uring_buf b = {.addr = (uintptr_t)data + i * SIZE, .len = SIZE, .bid = 10 + i};
        memcpy(entries + i * 16, &b, 14);
    }
    uint16_t tail = 3;
    memcpy(entries + 14, &tail, sizeof tail);
    printf("least %u multishot %d bundle %d length %u:", least, multishot, bundle, length);
    bool runs = false;
    for (int k = 0; sizes[k] != 0; k++) {
        if (!runs) {
            sqe_t *s = ADD(&r, RECV, sockets[0], NULL, length, 0, 1);
            s->flags = IOSQE_BUFFER_SELECT;
            s->buf_group = GROUP;
            s->ioprio = (multishot ? IORING_RECV_MULTISHOT : 0) | (bundle ? 1 << 4 : 0);
            ring_submit(&r);
        }
        CHECK_EQ(send(sockets[1], data + 500, sizes[k], 0), sizes[k]);
        cqe_t c = {0, -9999, 0};
        bool any = wait_short(&c);
        printf(" %d:", sizes[k]);
        do {
            printf(" %d/%x", c.res, c.flags);
            runs = any && (c.flags & IORING_CQE_F_MORE);
        } while (ring_peek(&r, &c));
        printf("[%u %u %u]", left_of(0), left_of(1), left_of(2));
    }
    uint32_t status[10] = {GROUP};
    OK(u_register(r.fd, 26, status, 1));
    printf(" head %u\n", status[1]);
    ring_drop(&r);
    close(sockets[0]);
    close(sockets[1]);
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    entries = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    static const int sizes[][5] = {{60, 20, 10}, {70, 1, 99}, {150, 30, 60}, {69, 31}, {71, 100, 1}, {300, 5}, {200, 100}};
    static const uint32_t leasts[] = {0, 30, 100, UINT32_MAX}, lengths[] = {0, 50, 150};
    for (unsigned l = 0; l < countof(leasts); l++) {
        for (int how = 0; how < 4; how++) {
            for (unsigned n = 0; n < countof(lengths); n++) {
                for (unsigned i = 0; i < countof(sizes); i++)
                    receive(leasts[l], how & 1, how & 2, lengths[n], sizes[i]);
            }
        }
    }
    return rand_end();
}
