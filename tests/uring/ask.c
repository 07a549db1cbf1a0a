// Asks the kernel about its io_uring; one answer for each argument, on one line.
//
//   setup:FLAGS      io_uring_setup with these flags: 0 or the errno
//   op:N[:FLAGS]     cqe.res of a request with opcode N, sqe.flags FLAGS, no descriptor and nothing else
//   register:N       io_uring_register with opcode N on the ring, or (N+1000) on no ring: the result or -errno
//   probe:N          1 when the probe says that opcode N is supported
//   probes:0         the opcodes that the probe says are supported, with commas
//   query:flags      the setup flags that IORING_REGISTER_QUERY tells, in hexadecimal
#define MT_OWN_MAIN
#include "uring.h"

#define U_REGISTER_QUERY 35

static struct ring r;

static int request(int opcode, int flags)
{
    sqe_t *sqe = ring_sqe(&r);
    sqe->opcode = (uint8_t)opcode;
    sqe->flags = (uint8_t)flags;
    sqe->fd = -1;
    ring_submit(&r);
    return ring_wait(&r).res;
}

static int probe(int opcode)
{
    struct {
        struct io_uring_probe head;
        struct io_uring_probe_op ops[64];
    } p;
    memset(&p, 0, sizeof p);
    if (u_register(r.fd, IORING_REGISTER_PROBE, &p, 64) < 0)
        return -errno;
    return opcode <= p.head.last_op && (p.ops[opcode].flags & IO_URING_OP_SUPPORTED) != 0;
}

static void probes(void)
{
    for (int op = 0, n = 0; op < 64; op++)
        if (probe(op) > 0)
            printf(n++ ? ",%d" : "%d", op);
}

static uint64_t query(void)
{
    struct { uint32_t ops, registers; uint64_t features, setup, enter, sqe; } answer;
    struct { uint64_t next, data; uint32_t op, size; int32_t result; uint32_t pad[3]; } head = { 0, (uintptr_t)&answer, 0, sizeof answer, 0, { 0 } };
    return u_register(-1, U_REGISTER_QUERY, &head, 0) < 0 || head.result < 0 ? 0 : answer.setup;
}

int main(int argc, char **argv)
{
    bool made = false;
    for (int i = 1; i < argc; i++) {
        char what[16] = "";
        int number = 0, flags = 0;
        sscanf(argv[i], "%15[a-z]:%i:%i", what, &number, &flags);
        if (!strcmp(what, "setup")) {
            struct io_uring_params p = { .flags = (uint32_t)number };
            int fd = u_setup(4, &p);
            printf("%d ", fd < 0 ? errno : 0);
            if (fd >= 0)
                close(fd);
            continue;
        }
        if (!made)
            ring_init(&r, 8, 0);
        made = true;
        if (!strcmp(what, "op"))
            printf("%d ", request(number, flags));
        else if (!strcmp(what, "probe"))
            printf("%d ", probe(number));
        else if (!strcmp(what, "probes"))
            probes();
        else if (!strcmp(what, "query"))
            printf("%llx ", (unsigned long long)query());
        else {
            int result = u_register(number >= 1000 ? -1 : r.fd, (uint32_t)number % 1000, NULL, 0);
            printf("%d ", result < 0 ? -errno : result);
        }
    }
    printf("\n");
    return 0;
}
