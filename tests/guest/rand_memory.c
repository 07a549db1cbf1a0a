// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
// run: 7
// run: 8
// Random mappings, protections, moves, accesses and file changes in an arena of a few pages; what each page answers is
// printed now and then.
#include "rand.h"

#define PAGE 4096ul
#define ARENA ((char *)0x10000000000ul)

enum { PAGES = 48, FILE_PAGES = 20, STEPS = 2500 };

static int file, read_only, other, pipes[2];
static sigjmp_buf fault_out;
static volatile sig_atomic_t probing;
static siginfo_t fault_info;
static char data[8 * 4096];

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    if (!probing)
        _exit(98);
    fault_info = *info;
    siglongjmp(fault_out, 1);
}

// Reads (value < 0) or writes one byte; the byte read, or -signal * 100 - code when it faults.
static int touch(char *at, int value)
{
    volatile int result = 0;
    probing = 1;
    if (sigsetjmp(fault_out, 1) != 0)
        result = -fault_info.si_signo * 100 - fault_info.si_code;
    else if (value < 0)
        result = *(volatile unsigned char *)at;
    else
        *(volatile char *)at = (char)value;
    probing = 0;
    if (result < 0 && fault_info.si_addr != at)
        printf("%d the fault is at another address\n", rand_step);
    return result;
}

// The pages whose contents or fault changed since the last time.
static void show_state(void)
{
    static uint32_t last[PAGES];
    printf("%d state", rand_step);
    for (int i = 0; i < PAGES; i++) {
        char *p = ARENA + i * PAGE;
        int r = touch(p, -1);
        uint32_t now = r < 0 ? (uint32_t)r : hash(p, PAGE);
        if (now != last[i] && r < 0)
            printf(" %d:fault%d", i, r);
        else if (now != last[i])
            printf(" %d:%x", i, now);
        last[i] = now;
    }
    printf("\n");
}

static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_WRITE,
                            PROT_READ | PROT_EXEC};

// A range of the arena, mostly short.
static char *range(size_t *len)
{
    uint32_t first = pick(PAGES), n = 1 + (odds(3) ? pick(PAGES) : pick(5));
    if (n > PAGES - first)
        n = PAGES - first;
    *len = n * PAGE - (odds(10) ? pick(PAGE) : 0);
    return ARENA + first * PAGE;
}

static void op_map(void)
{
    size_t len;
    char *at = range(&len);
    int prot = prots[pick(countof(prots))], kind = (int)pick(6);
    static const int flags[] = {MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
                                MAP_PRIVATE, MAP_SHARED, MAP_SHARED};
    int fd = kind < 3 ? -1 : kind == 5 ? read_only : file;
    int f = flags[kind] | (odds(5) ? MAP_FIXED_NOREPLACE : MAP_FIXED) | (odds(8) ? MAP_POPULATE : 0) |
            (odds(8) ? MAP_NORESERVE : 0);
    off_t off = kind < 3 ? 0 : pick(FILE_PAGES + 3) * PAGE;
    char *r = mmap(at, len, prot, f, fd, off);
    SHOW(r == at ? 0 : r == MAP_FAILED ? -1 : 1, "mmap(%ld, %zu, %d, %x, kind %d, %ld)", (at - ARENA) / PAGE, len, prot, f, kind,
         off / PAGE);
}

static void op_change(void)
{
    size_t len;
    char *at = range(&len);
    long r;
    int prot = prots[pick(countof(prots))];
    switch (pick(5)) {
    case 0:
        r = munmap(at, len);
        SHOW(r, "munmap(%ld, %zu)", (at - ARENA) / PAGE, len);
        return;
    case 1:
    case 2:
        r = mprotect(at, len, prot);
        SHOW(r, "mprotect(%ld, %zu, %d)", (at - ARENA) / PAGE, len, prot);
        return;
    case 3:
        r = madvise(at, len, MADV_DONTNEED);
        SHOW(r, "dontneed(%ld, %zu)", (at - ARENA) / PAGE, len);
        return;
    default:
        r = msync(at, len, odds(2) ? MS_SYNC : MS_ASYNC);
        SHOW(r, "msync(%ld, %zu)", (at - ARENA) / PAGE, len);
        return;
    }
}

static void op_move(void)
{
    // One page is one mapping, so the result does not depend on how mappings were merged.
    char *from = ARENA + pick(PAGES) * PAGE, *to = ARENA + pick(PAGES - 3) * PAGE;
    size_t len = (1 + pick(3)) * PAGE;
    char *r;
    if (odds(3)) {
        if (from + len > ARENA + PAGES * PAGE)
            return;
        r = mremap(from, PAGE, len, 0);
        SHOW(r == MAP_FAILED ? -1 : 0, "mremap(%ld, %ld)", (from - ARENA) / PAGE, len / PAGE);
        return;
    }
    r = mremap(from, PAGE, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    SHOW(r == MAP_FAILED ? -1 : 0, "mremap(%ld, %ld, to %ld)", (from - ARENA) / PAGE, len / PAGE, (to - ARENA) / PAGE);
}

static void op_touch(void)
{
    char *at = ARENA + pick(PAGES * PAGE);
    int value = odds(3) ? -1 : (int)pick(256);
    int r = touch(at, value);
    printf("%d touch(%ld, %d) %d\n", rand_step, at - ARENA, value, r);
}

static void op_file(void)
{
    size_t n = odds(4) ? 6 * PAGE : pick(3 * PAGE);
    off_t off = pick(FILE_PAGES * PAGE), size = pick(FILE_PAGES + 3) * PAGE;
    long r;
    if (odds(3)) {
        r = ftruncate(file, size);
        SHOW(r, "ftruncate(%ld)", size);
        return;
    }
    if (odds(2)) {
        mt_pattern(data, n, mt_random(&rand_seed));
        r = pwrite(file, data, n, off);
        SHOW(r, "pwrite(%zu, %ld)", n, off);
        // The end stays at a page's: file systems differ in what becomes of stores behind it when the file grows.
        struct stat st;
        OK(fstat(file, &st));
        OK(ftruncate(file, (st.st_size + PAGE - 1) & ~(PAGE - 1)));
        return;
    }
    r = pread(file, data, n, off);
    SHOW(r, "pread(%zu, %ld) %x", n, off, r > 0 ? hash(data, r) : 0);
}

// System calls whose buffers lie in the arena.
static void op_buffers(void)
{
    size_t n = odds(3) ? 4 * PAGE : pick(2 * PAGE);
    char *at = ARENA + pick(PAGES * PAGE);
    if (at + n > ARENA + PAGES * PAGE)
        n = ARENA + PAGES * PAGE - at;
    off_t off = pick(FILE_PAGES * PAGE);
    long r;
    switch (pick(4)) {
    case 0:
        // Of a file that nobody maps, and never short: what a read does over the very pages that it reads, and to private pages behind
        // its end, is nobody's business.
        r = pread(other, at, n, off);
        SHOW(r, "pread into(%ld, %zu, %ld)", at - ARENA, n, off);
        return;
    case 1:
        n = n > 4096 ? 4096 : n; // one page of a pipe is written whole or not at all
        r = write(pipes[1], at, n);
        SHOW(r, "write from(%ld, %zu)", at - ARENA, n);
        if (r > 0) {
            r = read(pipes[0], data, sizeof data);
            SHOW(r, "read %x", r > 0 ? hash(data, r) : 0);
        }
        return;
    case 2: // within a page: what a call that fails has written until then is nobody's business
        n = n > PAGE - (uintptr_t)at % PAGE ? PAGE - (uintptr_t)at % PAGE : n;
        mt_pattern(data, n, rand_step);
        if (write(pipes[1], data, n) != (ssize_t)n)
            return;
        r = read(pipes[0], at, n);
        SHOW(r, "read into(%ld, %zu)", at - ARENA, n);
        if (r < 0)
            CHECK_EQ(read(pipes[0], data, sizeof data), n);
        return;
    default:
        at = (char *)((uintptr_t)at & ~15ul);
        r = syscall(SYS_clock_getres, CLOCK_MONOTONIC, at);
        SHOW(r, "clock_getres into(%ld)", at - ARENA);
        return;
    }
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    file = mt_file("f", FILE_PAGES * PAGE);
    read_only = OK(open("f", O_RDONLY));
    other = mt_file("g", (FILE_PAGES + 4) * PAGE);
    OK(pipe2(pipes, O_NONBLOCK));
    CHECK_EQ(mmap(ARENA, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), ARENA);
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    OK(sigaction(SIGBUS, &act, NULL));
    for (rand_step = 0; rand_step < STEPS; rand_step++) {
        switch (pick(14)) {
        case 0:
        case 1:
        case 2: op_map(); break;
        case 3:
        case 4: op_change(); break;
        case 5: op_move(); break;
        case 6:
        case 7: op_file(); break;
        case 8:
        case 9: op_buffers(); break;
        default: op_touch(); break;
        }
        if (rand_step % 20 == 0)
            show_state();
    }
    show_state();
    return rand_end();
}
