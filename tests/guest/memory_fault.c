// What a fault tells the program, stacks and their guards, and handlers that repair what faulted.
#include "fault.h"
#include <sys/wait.h>
#include <alloca.h>
#include <sys/resource.h>
#include <ucontext.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t len, int prot) { return OK(mmap(NULL, len, prot, ANON, -1, 0)); }

TEST(null)
{
    CHECK_FAULT(0, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_FAULT(8, FAULT_WRITE, SIGSEGV, SEGV_MAPERR);
    CHECK_FAULT(4095, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_FAULT(0, FAULT_EXEC, SIGSEGV, SEGV_MAPERR);
}

TEST(kernel_half)
{
    CHECK_FAULT(0xffff800000000000ul, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_FAULT(0xfffffffffffff000ul, FAULT_WRITE, SIGSEGV, SEGV_MAPERR);
}

TEST(non_canonical)
{
    CHECK_EQ(fault((void *)0x800000000000ul, FAULT_READ), SIGSEGV);
    CHECK_EQ(fault_info.si_code, SI_KERNEL);
    CHECK_EQ(fault_info.si_addr, 0);
    CHECK_EQ(fault((void *)0xdead000000000000ul, FAULT_WRITE), SIGSEGV);
    CHECK_EQ(fault_info.si_code, SI_KERNEL);
    CHECK_EQ(fault_info.si_addr, 0);
}

TEST(protections)
{
    char *p = map(4 * PAGE, PROT_NONE);
    OK(mprotect(p + PAGE, PAGE, PROT_READ));
    OK(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_EXEC));
    CHECK_FAULT(p + 9, FAULT_READ, SIGSEGV, SEGV_ACCERR);
    CHECK_FAULT(p + 9, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_FAULT(p + 9, FAULT_EXEC, SIGSEGV, SEGV_ACCERR);
    CHECK_NO_FAULT(p + PAGE, FAULT_READ);
    CHECK_FAULT(p + PAGE + 1, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_FAULT(p + PAGE + 1, FAULT_EXEC, SIGSEGV, SEGV_ACCERR);
    CHECK_FAULT(p + 2 * PAGE + 1, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    OK(munmap(p, 4 * PAGE));
    CHECK_FAULT(p + 9, FAULT_EXEC, SIGSEGV, SEGV_MAPERR);
}

TEST(program_text_is_read_only)
{
    CHECK_FAULT((char *)(uintptr_t)mt_main, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_FAULT("a literal", FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
}

TEST(crossing_a_page)
{
    char *p = map(2 * PAGE, RW);
    OK(mprotect(p + PAGE, PAGE, PROT_NONE));
    struct sigaction act = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    volatile bool faulted = false;
    if (sigsetjmp(fault_out, 1) == 0)
        *(volatile uint64_t *)(p + PAGE - 4) = ~0ull;
    else
        faulted = true;
    CHECK(faulted);
    CHECK_EQ(fault_info.si_addr, p + PAGE); // the first byte that faults, not the start of the access
    CHECK_EQ(p[PAGE - 1], 0);
    OK(munmap(p, 2 * PAGE));
}

// The context of a fault: trap number, error code, address and the faulting instruction.
static greg_t context[NGREG];

static void keep_context(int signo, siginfo_t *info, void *uc)
{
    (void)signo;
    (void)info;
    memcpy(context, ((ucontext_t *)uc)->uc_mcontext.gregs, sizeof context);
    siglongjmp(fault_out, 1);
}

TEST(context_of_a_fault)
{
    char *p = map(PAGE, PROT_READ);
    struct sigaction act = {.sa_sigaction = keep_context, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("mov %0, %%rdi\n mov $0x1122334455667788, %%r9\n movb $1, 16(%%rdi)" ::"r"(p) : "rdi", "r9", "memory");
    CHECK_EQ(context[REG_TRAPNO], 14);
    CHECK_EQ(context[REG_ERR] & 6, 6); // write, user; "present" depends on history
    CHECK_EQ(context[REG_CR2], p + 16);
    CHECK_EQ(context[REG_RDI], p);
    CHECK_EQ(context[REG_R9], 0x1122334455667788);
    CHECK_EQ(*(unsigned char *)context[REG_RIP], 0xc6); // the mov itself
    CHECK_EQ((unsigned long)context[REG_CSGSFS] & 0xffff, 0x33);
    OK(munmap(p, PAGE));
    memset(context, 0, sizeof context);
    if (sigsetjmp(fault_out, 1) == 0)
        *(volatile char *)p;
    CHECK_EQ(context[REG_ERR], 4); // not present, read, user
    CHECK_EQ(context[REG_CR2], p);
}

TEST(traps)
{
    struct sigaction act = {.sa_sigaction = keep_context, .sa_flags = SA_SIGINFO};
    const int signals[] = {SIGILL, SIGFPE, SIGTRAP, SIGSEGV};
    for (int i = 0; i < 4; i++)
        OK(sigaction(signals[i], &act, NULL));
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("ud2");
    CHECK_EQ(context[REG_TRAPNO], 6);
    CHECK_EQ(*(uint16_t *)context[REG_RIP], 0x0b0f); // at the instruction
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx");
    CHECK_EQ(context[REG_TRAPNO], 0);
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("int3");
    CHECK_EQ(context[REG_TRAPNO], 3);
    CHECK_EQ(((unsigned char *)context[REG_RIP])[-1], 0xcc); // behind the instruction
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("hlt");
    CHECK_EQ(context[REG_TRAPNO], 13);
}

static siginfo_t trap_info;

static void keep_info(int signo, siginfo_t *info, void *uc)
{
    (void)signo;
    (void)uc;
    trap_info = *info;
    siglongjmp(fault_out, 1);
}

TEST(trap_codes)
{
    struct sigaction act = {.sa_sigaction = keep_info, .sa_flags = SA_SIGINFO};
    const int signals[] = {SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 3; i++)
        OK(sigaction(signals[i], &act, NULL));
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("ud2");
    CHECK_EQ(trap_info.si_signo, SIGILL);
    CHECK_EQ(trap_info.si_code, ILL_ILLOPN);
    CHECK_EQ(*(uint16_t *)trap_info.si_addr, 0x0b0f);
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx");
    CHECK_EQ(trap_info.si_signo, SIGFPE);
    CHECK_EQ(trap_info.si_code, FPE_INTDIV);
    if (sigsetjmp(fault_out, 1) == 0)
        __asm__ volatile("int3");
    CHECK_EQ(trap_info.si_signo, SIGTRAP);
    CHECK_EQ(trap_info.si_code, SI_KERNEL);
}

static char *repair_page;
static volatile int repairs;

static void repair(int signo, siginfo_t *info, void *uc)
{
    (void)uc;
    repairs++;
    if (signo != SIGSEGV || (char *)info->si_addr < repair_page || (char *)info->si_addr >= repair_page + 64 * PAGE)
        _exit(99);
    char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
    if (mprotect(page, PAGE, RW) != 0)
        _exit(98);
}

TEST(handler_repairs_and_returns)
{
    repair_page = map(64 * PAGE, PROT_NONE);
    repairs = 0;
    struct sigaction act = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    for (int i = 0; i < 64; i++)
        repair_page[i * PAGE + 100] = (char)i; // the instruction runs again after the handler
    CHECK_EQ(repairs, 64);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(repair_page[i * PAGE + 100], i);
    CHECK_EQ(repairs, 64);
    OK(munmap(repair_page, 64 * PAGE));
}

static void map_it(int signo, siginfo_t *info, void *uc)
{
    (void)signo;
    (void)uc;
    repairs++;
    char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
    if (mmap(page, PAGE, RW, ANON | MAP_FIXED, -1, 0) != page)
        _exit(97);
}

TEST(handler_maps_and_returns)
{
    char *p = map(16 * PAGE, RW);
    OK(munmap(p, 16 * PAGE));
    repairs = 0;
    struct sigaction act = {.sa_sigaction = map_it, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    for (int i = 0; i < 16; i++)
        p[i * PAGE] += 5;
    CHECK_EQ(repairs, 16);
    CHECK_EQ(p[15 * PAGE], 5);
    OK(munmap(p, 16 * PAGE));
}

static void skip_instruction(int signo, siginfo_t *info, void *uc)
{
    (void)signo;
    (void)info;
    greg_t *r = ((ucontext_t *)uc)->uc_mcontext.gregs;
    r[REG_RAX] = 0x1234;
    r[REG_RIP] += 3;
}

TEST(handler_changes_registers)
{
    struct sigaction act = {.sa_sigaction = skip_instruction, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSEGV, &act, NULL));
    uint64_t got;
    __asm__ volatile("xor %%ecx, %%ecx\n mov (%%rcx), %%rax\n" : "=a"(got)::"rcx", "memory"); // 3 bytes
    CHECK_EQ(got, 0x1234);
}

__attribute__((noinline)) static size_t dig(size_t depth)
{
    volatile char frame[8192];
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = (char)depth;
    size_t below = depth ? dig(depth - 1) : 0;
    return below + 1 + (frame[512] != (char)depth);
}

TEST(main_stack_grows)
{
    CHECK_EQ(dig(700), 701); // 5.6 of 8 MiB
    volatile char *p = alloca(1 << 20);
    p[0] = 1; // the far end first
    p[(1 << 20) - 1] = 2;
    CHECK_EQ(p[0], 1);
}

TEST(stack_limit_is_reported)
{
    struct rlimit l;
    OK(getrlimit(RLIMIT_STACK, &l));
    CHECK(l.rlim_cur >= 1 << 20);
    char *here = __builtin_frame_address(0);
    CHECK_FAULT(here - (64ul << 20), FAULT_READ, SIGSEGV, SEGV_MAPERR);
}

static void on_alternate(int signo, siginfo_t *info, void *uc)
{
    keep_info(signo, info, uc);
}

static __attribute__((noinline)) int endless(int n)
{
    volatile char frame[1024];
    frame[0] = (char)n;
    return n < 1 << 30 ? endless(n + 1) + frame[0] : 0;
}

TEST(main_stack_overflow)
{
    char *alternate = map(16 * PAGE, RW);
    stack_t ss = {.ss_sp = alternate, .ss_size = 16 * PAGE};
    OK(sigaltstack(&ss, NULL));
    struct sigaction act = {.sa_sigaction = on_alternate, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    OK(sigaction(SIGSEGV, &act, NULL));
    memset(&trap_info, 0, sizeof trap_info);
    if (sigsetjmp(fault_out, 1) == 0)
        endless(0);
    CHECK_EQ(trap_info.si_signo, SIGSEGV);
    CHECK_EQ(trap_info.si_code, SEGV_MAPERR);
    char *here = __builtin_frame_address(0);
    CHECK((char *)trap_info.si_addr < here && (char *)trap_info.si_addr > here - (9 << 20));
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
    OK(munmap(alternate, 16 * PAGE));
}

static sigjmp_buf thread_out;
static siginfo_t thread_info;

static void thread_fault(int signo, siginfo_t *info, void *uc)
{
    (void)signo;
    (void)uc;
    thread_info = *info;
    siglongjmp(thread_out, 1);
}

static void *overflowing(void *arg)
{
    stack_t ss = {.ss_sp = arg, .ss_size = 16 * PAGE}, off = {.ss_flags = SS_DISABLE};
    OK(sigaltstack(&ss, NULL));
    if (sigsetjmp(thread_out, 1) == 0)
        endless(0);
    OK(sigaltstack(&off, NULL));
    return NULL;
}

TEST(thread_stack_guard)
{
    char *stack = map(64 * PAGE, RW), *alternate = map(16 * PAGE, RW);
    OK(mprotect(stack, PAGE, PROT_NONE));
    pthread_attr_t attr;
    OK0(pthread_attr_init(&attr));
    OK0(pthread_attr_setstack(&attr, stack, 64 * PAGE));
    struct sigaction act = {.sa_sigaction = thread_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    OK(sigaction(SIGSEGV, &act, NULL));
    memset(&thread_info, 0, sizeof thread_info);
    pthread_t t;
    OK0(pthread_create(&t, &attr, overflowing, alternate));
    OK0(pthread_join(t, NULL));
    CHECK_EQ(thread_info.si_signo, SIGSEGV);
    CHECK_EQ(thread_info.si_code, SEGV_ACCERR);
    CHECK((char *)thread_info.si_addr >= stack && (char *)thread_info.si_addr < stack + PAGE);
    OK0(pthread_attr_destroy(&attr));
    OK(munmap(stack, 64 * PAGE));
    OK(munmap(alternate, 16 * PAGE));
}

TEST(growing_below_a_mapping)
{
    // MAP_GROWSDOWN grows on a touch just below it.
    char *p = OK(mmap(NULL, 600 * PAGE, PROT_NONE, ANON, -1, 0));
    OK(munmap(p, 600 * PAGE));
    char *top = OK(mmap(p + 560 * PAGE, 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0));
    for (int i = 1; i <= 20; i++)
        top[-i * (long)PAGE + 64] = (char)i;
    CHECK_EQ(top[-20 * (long)PAGE + 64], 20);
    OK(munmap(top - 20 * PAGE, 22 * PAGE));
}

struct racer {
    char *page;
    atomic_bool stop;
};

static void *flips(void *arg)
{
    struct racer *r = arg;
    while (!atomic_load(&r->stop)) {
        mprotect(r->page, PAGE, PROT_NONE);
        mprotect(r->page, PAGE, RW);
    }
    return NULL;
}

TEST(protection_flips_under_access)
{
    // Whatever the outcome of one access is, it is a store that counts or a SIGSEGV, never anything else.
    struct racer r = {.page = map(PAGE, RW)};
    pthread_t t = mt_thread(flips, &r);
    int stores = 0, faults = 0;
    for (int i = 0; i < 2000; i++) {
        int s = fault(r.page + i, FAULT_WRITE);
        CHECK(s == 0 || s == SIGSEGV);
        stores += s == 0;
        faults += s != 0;
        if (s != 0)
            CHECK_EQ(fault_info.si_addr, r.page + i);
    }
    atomic_store(&r.stop, true);
    OK0(pthread_join(t, NULL));
    CHECK_EQ(stores + faults, 2000);
    int set = 0;
    for (int i = 0; i < 2000; i++)
        set += r.page[i];
    CHECK_EQ(set, stores);
    OK(munmap(r.page, PAGE));
}

// What a file that shrinks no longer has goes from private copies too, also from those shared with a child.
TEST(truncated_under_private_copies)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    static char block[4096];
    memset(block, 'f', sizeof block);
    for (int i = 0; i < 256; i++)
        CHECK_EQ(write(fd, block, sizeof block), (ssize_t)sizeof block);
    char *p = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 256; i++)
        p[i * 4096] = 'c';
    int go[2], status;
    OK(pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(go[1]);
        _exit(read(go[0], &c, 1) == 0 && p[4095] == 'f' && fault(p + 8192, FAULT_WRITE) == SIGBUS ? 0 : 1);
    }
    OK(ftruncate(fd, 4096));
    CHECK_FAULT(p + 8192, FAULT_READ, SIGBUS, BUS_ADRERR);
    CHECK_FAULT(p + 8192, FAULT_WRITE, SIGBUS, BUS_ADRERR);
    CHECK_EQ(p[0], 'c');
    p[1] = 'd';
    close(go[1]);
    close(go[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    OK(ftruncate(fd, 256 * 4096));
    CHECK_EQ(p[8192], 0);
    p[8192] = 'x';
    CHECK_EQ(pread(fd, block, 1, 8192), 1);
    CHECK_EQ(block[0], 0);
    OK(munmap(p, 256 * 4096));
    close(fd);
}
