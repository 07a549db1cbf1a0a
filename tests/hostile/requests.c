// io_uring requests and registrations by chance, on rings of every kind: two threads enter and register, a third one changes ring words,
// requests, buffer rings and arguments while they are read.
#define MT_OWN_MAIN
#include "hostile.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { ENTERS = 1500, AREA = 256 * 1024, FILES = 20, ENTRIES = 64 };

static char *area;
static int files[FILES];
static struct ring rings[2];
static atomic_bool done;

static uint64_t any_address(void)
{
    switch (pick(10)) {
    case 0: return 0;
    case 1: return mt_random(&seed);
    case 2: return 0xffff800000000000ull + pick(64);
    case 3: return (uintptr_t)rings[pick(2)].ring_map + pick(4096);
    case 4: return (uintptr_t)rings[pick(2)].sqe_map + pick(4096);
    default: return (uintptr_t)area + pick(AREA / 512) * 512 + (odds(4) ? pick(512) : 0);
    }
}

static uint64_t any_number(void)
{
    switch (pick(10)) {
    case 0: return mt_random(&seed) >> pick(64);
    case 1: return ~0ull - pick(3);
    case 2: return 1ull << pick(64);
    case 3: return any_address();
    case 4: return pick(70000);
    case 5: return 1ull << pick(20) | 1ull << pick(20);
    default: return odds(2) ? pick(4) : pick(600);
    }
}

static int any_file(void) { return !odds(12) ? files[pick(FILES)] : odds(2) ? -(int)pick(101) : 3 + (int)pick(100); }

static void any_request(sqe_t *s, bool big)
{
    sqe_t q = {0};
    uint8_t op = (uint8_t)(odds(20) ? pick(256) : pick(U_OP_LAST_6_18));
    if (op == IORING_OP_CLOSE && !odds(10))
        op = IORING_OP_NOP;
    prep(&q, op, any_file(), (void *)(uintptr_t)any_address(), (uint32_t)any_number(), odds(3) ? any_number() : odds(2) ? ~0ull : 0, pick(50));
    q.flags = odds(2) ? 0 : (uint8_t)pick(odds(10) ? 256 : 128);
    q.ioprio = odds(3) ? (uint16_t)any_number() : 0;
    q.rw_flags = odds(3) ? (int)any_number() : 0;
    q.buf_index = odds(3) ? (uint16_t)any_number() : pick(4);
    q.personality = odds(20) ? (uint16_t)pick(4) : 0;
    q.file_index = odds(3) ? (uint32_t)any_number() : 0;
    q.addr3 = odds(3) ? any_number() : 0;
    *s = q;
    if (big)
        s[1] = q;
}

// Groups 0 to 3: pages of the area, with addresses and lengths by chance.
static void any_buffer_ring(struct ring *r)
{
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)area + pick(AREA / 4096) * 4096, .ring_entries = 1u << pick(7), .bgid = (uint16_t)pick(4)};
    ((uint16_t *)&reg)[7] = (uint16_t)pick(4); // flags
    if (odds(3))
        u_register(r->fd, IORING_UNREGISTER_PBUF_RING, &reg, 1);
    u_register(r->fd, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static void any_registration(struct ring *r)
{
    uint32_t op = odds(5) ? IORING_REGISTER_BUFFERS : odds(5) ? IORING_REGISTER_FILES : pick(40);
    uint64_t words[32];
    for (unsigned i = 0; i < countof(words); i++)
        words[i] = odds(3) ? any_number() : odds(2) ? any_address() : 0;
    if (op == IORING_REGISTER_RESTRICTIONS && !odds(50))
        return;
    void *at = odds(4) ? (void *)(uintptr_t)any_address() : (void *)words;
    if (op == IORING_REGISTER_FILES)
        at = files;
    if (odds(4))
        any_buffer_ring(r);
    u_register(r->fd, op | (odds(30) ? 1u << 31 : 0), odds(6) ? NULL : at, odds(3) ? (uint32_t)any_number() % 70000 : pick(5));
}

static void *enters(void *arg)
{
    uint64_t n = (uintptr_t)arg;
    struct ring *r = &rings[n & 1];
    bool big = (r->p.flags & IORING_SETUP_SQE128) != 0;
    sow(n);
    interrupt_every(5000);
    for (int i = 0; i < ENTERS; i++) {
        if (odds(4))
            any_registration(r);
        uint32_t count = pick(ENTRIES / 2), size = r->p.sq_entries;
        for (uint32_t k = 0; k < count; k++)
            any_request(&r->sqes[(r->tail++ & (size - 1)) << big], big);
        atomic_store(r->sq_tail, odds(40) ? (uint32_t)any_number() : atomic_load(r->sq_head) + count);
        uint32_t flags = pick(2) ? IORING_ENTER_GETEVENTS : odds(30) ? (uint32_t)any_number() : 0;
        if (r->p.flags & IORING_SETUP_SQPOLL)
            flags |= IORING_ENTER_SQ_WAKEUP;
        int k = u_enter(r->fd, count, odds(30) ? pick(3) : 0, flags & ~(uint32_t)IORING_ENTER_SQ_WAIT, NULL, 0);
        if (k > 0)
            atomic_fetch_add(&counts->made, (uint64_t)k);
        atomic_store(r->cq_head, atomic_load(r->cq_tail));
    }
    return NULL;
}

static void *scribbles(void *arg)
{
    sow((uintptr_t)arg);
    while (!atomic_load(&done)) {
        struct ring *r = &rings[pick(2)];
        uint32_t w = (uint32_t)any_number();
        switch (pick(16)) {
        case 0: atomic_store(r->sq_tail, atomic_load(r->sq_head) + w % ENTRIES); break;
        case 1: atomic_store(odds(4) ? r->sq_tail : r->cq_head, w); break;
        case 2: atomic_store(r->sq_head, w); break;
        case 3: atomic_store(r->cq_tail, w); break;
        case 4: atomic_store(odds(2) ? r->sq_flags : r->cq_flags, w); break;
        case 5:
            if (r->sq_array)
                __atomic_store_n(&r->sq_array[w % r->p.sq_entries], odds(3) ? w : w % r->p.sq_entries, __ATOMIC_RELAXED);
            break;
        case 6: case 7: case 8: ((volatile unsigned char *)r->sqes)[pick(r->p.sq_entries * 64)] = (unsigned char)w; break;
        case 9: atomic_store(r->cq_head, atomic_load(r->cq_tail)); break;
        case 10: mt_sleep_us(50); break;
        default: ((volatile uint64_t *)area)[pick(AREA / 8)] = odds(2) ? any_address() : any_number(); break;
        }
    }
    return NULL;
}

static void a_process(uint64_t n)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_SUBMIT_ALL, U_SETUP_NO_SQARRAY, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_CQE32, U_SETUP_CQE_MIXED, IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL,
        IORING_SETUP_SQE128, IORING_SETUP_IOPOLL | U_SETUP_HYBRID_IOPOLL, IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL,
        IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SQE128 | IORING_SETUP_CQE32};
    sow(n);
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < AREA; i += 8)
        *(uint64_t *)(area + i) = odds(2) ? any_address() : any_number();
    if (!enter_directory(n))
        return;
    catch_signals();
    for (int i = 0; i < 2; i++) {
        struct ring *r = &rings[i];
        r->p.flags = kinds[pick(countof(kinds))] | (odds(3) ? IORING_SETUP_CQSIZE : 0);
        r->p.cq_entries = ENTRIES << pick(3);
        r->p.sq_thread_idle = 1;
        r->fd = u_setup(ENTRIES, &r->p);
        if (r->fd < 0)
            return;
        ring_map(r);
    }
    int two[2];
    for (int i = 0; i < 8; i += 2) {
        int e = i < 4 ? pipe2(two, odds(2) ? O_NONBLOCK : 0) : socketpair(AF_UNIX, i == 4 ? SOCK_STREAM : SOCK_DGRAM, 0, two);
        files[i] = e == 0 ? two[0] : -1;
        files[i + 1] = e == 0 ? two[1] : -1;
    }
    files[8] = eventfd(0, EFD_NONBLOCK);
    files[9] = rings[0].fd;
    files[10] = rings[1].fd;
    files[11] = open("/dev/zero", O_RDWR);
    files[12] = open("f", O_RDWR | O_CREAT, 0644);
    files[13] = open("g", O_RDWR | O_CREAT | O_DIRECT, 0644);
    files[14] = open(".", O_RDONLY | O_DIRECTORY);
    files[15] = epoll_create1(0);
    files[16] = socket(AF_INET, SOCK_STREAM, 0);
    files[17] = socket(AF_INET6, SOCK_DGRAM, 0);
    files[18] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    files[19] = -1;
    if (!odds(4) && setuid(65534) != 0)
        return;
    pthread_t t[2];
    if (pthread_create(&t[0], NULL, scribbles, (void *)(n + 77)) != 0 || pthread_create(&t[1], NULL, enters, (void *)(n * 2)) != 0)
        return;
    enters((void *)(n * 2 + 1));
    pthread_join(t[1], NULL);
    atomic_store(&done, true);
    pthread_join(t[0], NULL);
}

int main(int argc, char **argv) { return hostile_main(argc, argv, 3, a_process); }
