// Keeps a ring busy until somebody ends it: NOPs served in place, a read that waits for its pipe, an fsync on a worker. A second ring has one request that
// waits for ever. Prints "busy" once it is.
#define MT_OWN_MAIN
#include "uring.h"

int main(void)
{
    static struct ring r, idle;
    int p[2], forever[2];
    char b[8];
    OK(pipe(p));
    OK(pipe(forever));
    FILE *f = tmpfile();
    ring_init(&r, 16, 0);
    ring_init(&idle, 4, IORING_SETUP_SINGLE_ISSUER);
    sqe_t *sqe = ring_sqe(&idle);
    sqe->opcode = IORING_OP_READ;
    sqe->fd = forever[0];
    sqe->addr = (uintptr_t)b;
    sqe->len = sizeof b;
    ring_submit(&idle);
    for (int round = 0;; round++) {
        for (int i = 0; i < 8; i++)
            ring_sqe(&r)->opcode = IORING_OP_NOP;
        sqe = ring_sqe(&r);
        sqe->opcode = IORING_OP_READ;
        sqe->fd = p[0];
        sqe->addr = (uintptr_t)b;
        sqe->len = sizeof b;
        sqe = ring_sqe(&r);
        sqe->opcode = IORING_OP_FSYNC;
        sqe->fd = fileno(f);
        sqe->flags = IOSQE_ASYNC;
        ring_submit(&r);
        OK(write(p[1], "x", 1));
        for (int i = 0; i < 10; i++)
            ring_wait(&r);
        if (round == 3) {
            printf("busy\n");
            fflush(stdout);
        }
        mt_sleep_us(500);
    }
}
