// run: plain
// run: defer
// run: disabled
// Each registration with an argument that is right, and then with one word of it changed: what io_uring_register(2) answers,
// and what it has written. Run natively and in Moat, the outputs have to be the same.
#include "rand.h"
#include "uring.h"
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { RING_FD = 20, OTHER_FD, EVENT_FD, FILE_FD, PLAIN_FD, WORDS = 40, LAST_OP = 38 };

static struct ring r;
static unsigned setup_flags;
static char *memory;
static uint32_t argument[WORDS];
static struct { uint64_t user_addr, size; uint32_t flags, id; uint64_t mmap_offset, resv[4]; } region;
static int files[4];
static uint64_t tags[4];
static struct iovec buffers[0x1200];
static uint32_t *opcodes;

static void at(int fd, int place)
{
    OK(dup2(fd, place));
    close(fd);
}

static void word(int i, uint32_t v) { argument[i] = v; }

static void address(int i, const void *p)
{
    uint64_t v = (uintptr_t)p;
    memcpy(argument + i, &v, sizeof v);
}

// A right argument, and how many words of it there are to change; *nr is the count that goes with it.
static int base(int op, uint32_t *nr)
{
    memset(argument, 0, sizeof argument);
    files[0] = FILE_FD;
    files[1] = -1;
    files[2] = PLAIN_FD;
    files[3] = -1;
    memset(tags, 0, sizeof tags);
    buffers[0] = (struct iovec){memory, 8192};
    buffers[1] = (struct iovec){memory + 8192, 100};
    memset(opcodes, 0, 64);
    *nr = 1;
    switch (op) {
    case 0: address(0, memory); word(2, 8192); return 4;
    case 2: word(0, FILE_FD); word(1, (uint32_t)-1); *nr = 2; return 2;
    case 4:
    case 7: word(0, EVENT_FD); return 1;
    case 6: word(0, 1); address(2, files); return 4;
    case 8: *nr = 6; return 16;
    case 10: *nr = 1; return 0;
    case 11: word(0, 1); *nr = 1; return 4; // IORING_RESTRICTION_SQE_OP
    case 13: word(0, 3); address(4, files); *nr = 32; return 8;
    case 15: word(0, 2); address(4, buffers); *nr = 32; return 8;
    case 14: word(0, 1); address(2, files); address(4, tags); word(6, 2); *nr = 32; return 8;
    case 16: word(0, 0); address(2, buffers); word(6, 1); *nr = 32; return 8;
    case 17: word(0, 1); *nr = 8; return 2;
    case 19: *nr = 2; return 2;
    case 20: word(0, (uint32_t)-1); word(2, OTHER_FD); return 4;
    case 21: word(0, 0); return 4;
    case 22: address(0, memory); word(2, 8); word(3, 3); return 10;
    case 23: word(3, 7); return 10;
    case 24: word(0, 5); word(4, 0); word(6, 0); return 16;
    case 25: word(0, 1); word(1, 2); *nr = 0; return 4;
    case 26: word(0, 7); return 10;
    case 27:
    case 28: word(0, 50); return 8;
    case 29: word(0, CLOCK_BOOTTIME); *nr = 0; return 4;
    case 30: word(0, OTHER_FD); return 8;
    case 31: word(0, IORING_OP_MSG_RING); word(1, OTHER_FD); return 16;
    case 32: return 24;
    case 33: word(0, 32); return 30;
    case 34:
        region.user_addr = (uintptr_t)memory + 16384;
        region.size = 4096;
        region.flags = 1;
        region.id = 0;
        region.mmap_offset = 0;
        memset(region.resv, 0, sizeof region.resv);
        address(0, &region);
        return 8;
    case 35: address(2, opcodes); word(5, 48); *nr = 0; return 10;
    default: *nr = 0; return 0;
    }
}

static void make(void)
{
    struct io_uring_params p = {.flags = setup_flags};
    memset(&r, 0, sizeof r);
    at(OK(u_setup(8, &p)), RING_FD);
    memset(&p, 0, sizeof p);
    at(OK(u_setup(8, &p)), OTHER_FD);
    at(OK(eventfd(0, 0)), EVENT_FD);
    at(OK(open("f", O_RDWR | O_CREAT, 0644)), FILE_FD);
    at(OK(open("/dev/null", O_RDWR)), PLAIN_FD);
}

// What a registration that changes something needs to be there.
static void prepare(int op)
{
    int fds[4] = {FILE_FD, -1, PLAIN_FD, -1};
    struct iovec v[2] = {{memory, 4096}, {NULL, 0}};
    struct io_uring_buf_reg b = {.ring_addr = (uintptr_t)memory, .ring_entries = 8, .bgid = 7};
    if (op == 3 || op == 6 || op == 14 || op == 25)
        OK(u_register(RING_FD, IORING_REGISTER_FILES, fds, 4));
    if (op == 1 || op == 16)
        OK(u_register(RING_FD, IORING_REGISTER_BUFFERS, v, 2));
    if (op == 30)
        OK(u_register(OTHER_FD, IORING_REGISTER_BUFFERS, v, 2));
    if (op == 5)
        OK(u_register(RING_FD, IORING_REGISTER_EVENTFD, &(int){EVENT_FD}, 1));
    if (op == 10)
        OK(u_register(RING_FD, IORING_REGISTER_PERSONALITY, NULL, 0));
    if (op == 23 || op == 26)
        OK(u_register(RING_FD, IORING_REGISTER_PBUF_RING, &b, 1));
    if (op == 28) {
        uint32_t napi[8] = {70, 1};
        OK(u_register(RING_FD, 27, napi, 1));
    }
}

static void tell(int op, const char *what, int i, uint64_t v, int result, const uint32_t *before)
{
    printf("%d %s %d=%llx: %d %s", op, what, i, (unsigned long long)v, result, error_of(result));
    // Offsets of rings are whatever they are.
    if (op != 33 && op != 19) {
        for (int k = 0; k < WORDS; k++) {
            if (argument[k] != before[k])
                printf(" [%d]=%x", k, argument[k]);
        }
    }
    if (op == 35) {
        for (unsigned k = 0; k < 16; k++)
            printf(" %x", opcodes[k]);
    }
    printf("\n");
}

static void attempt(int op, int fd, const char *what, int i, uint32_t v)
{
    uint32_t nr, before[WORDS];
    make();
    prepare(op);
    int words = base(op, &nr);
    const void *arg = words == 0 ? NULL : argument;
    if (what[0] == 'w' && words != 0)
        argument[i] ^= v;
    else if (what[0] == 'r')
        ((uint32_t *)&region)[i] ^= v;
    else if (what[0] == 't')
        tags[i] = v;
    else if (what[0] == 'n')
        nr = v;
    else if (what[0] == 'a')
        arg = (void *)(uintptr_t)v;
    memcpy(before, argument, sizeof before);
    int result = u_register(fd, op, arg, nr);
    if (what[0] == 'x') // once more
        result = u_register(fd, op, arg, nr);
    tell(op & ~(1 << 31), what, i, v, result, before);
    if (op == 17)
        u_register(RING_FD, 18, NULL, 0);
    if (op == 20 && result > 0)
        u_register(RING_FD, 21, argument, 1);
    for (int f = RING_FD; f <= PLAIN_FD; f++)
        close(f);
}

int main(int argc, char **argv)
{
    rand_start(1, argv);
    const char *kind = argc > 1 ? argv[1] : "plain";
    setup_flags = strcmp(kind, "defer") == 0 ? IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER
        : strcmp(kind, "disabled") == 0 ? IORING_SETUP_R_DISABLED : 0;
    struct rlimit limit = {64, 64};
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    memory = OK(mmap((void *)0x200000000ul, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    opcodes = (uint32_t *)(memory + 32768);
    static const uint32_t changes[] = {1, 2, 4, 8, 0x100, 0x1000, 1u << 28, 1u << 31, UINT_MAX};
    static const uint32_t counts[] = {0, 1, 2, 3, 8, 31, 32, 33, 256, 257, INT_MAX, 1u << 31, UINT_MAX};
    for (int op = 0; op < LAST_OP; op++) {
        uint32_t nr;
        int words = base(op, &nr);
        if (op == 24) // waits for nothing, whatever the time
            words = 6;
        attempt(op, RING_FD, "right", 0, 0);
        if (op != 21 && op != 12)
            attempt(op, RING_FD, "x twice", 0, 0);
        attempt(op, -1, "fd -1", 0, 0);
        attempt(op, FILE_FD, "fd file", 0, 0);
        attempt(op, 60, "fd closed", 0, 0);
        attempt(op | 1 << 31, 0, "registered", 0, 0);
        attempt(op, RING_FD, "argument", 0, 0);
        attempt(op, RING_FD, "argument", 0, 8);
        for (unsigned i = 0; i < countof(counts); i++) {
            // More than is there to be read would be what lies behind it.
            if ((op == 0 || op == 2 || op == 11 || op == 20 || op == 21 || op == 6 || op == 8 || op == 17) && counts[i] > 1 && counts[i] < 1000)
                continue;
            attempt(op, RING_FD, "n", 0, counts[i]);
        }
        for (int w = 0; w < words; w++) {
            for (unsigned i = 0; i < countof(changes); i++)
                attempt(op, RING_FD, "word", w, changes[i]);
        }
        for (unsigned w = 0; op == 34 && w < sizeof region / 4; w++) {
            for (unsigned i = 0; i < countof(changes); i++)
                attempt(op, RING_FD, "region", w, changes[i]);
        }
        for (int w = 0; op == 14 && w < 2; w++)
            attempt(op, RING_FD, "tag", w, 9);
    }
    return rand_end();
}
