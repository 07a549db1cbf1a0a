// What a signal leaves untouched and what its handler may change: registers, vector and x87 state, stacks, masks,
// non-local exits; and frames that are garbage.
#include "moat_test.h"
#include <sys/ucontext.h>
#include <ucontext.h>

static atomic_int hits;

// Spoils every vector register, the x87 stack and both control words.
__attribute__((noinline)) static void spoil(void)
{
    static const uint32_t mxcsr = 0x7f80;
    static const uint16_t control = 0x0b7f;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n movdqa %%xmm0, %%xmm1\n movdqa %%xmm0, %%xmm2\n movdqa %%xmm0, %%xmm3\n"
                     "movdqa %%xmm0, %%xmm4\n movdqa %%xmm0, %%xmm5\n movdqa %%xmm0, %%xmm6\n movdqa %%xmm0, %%xmm7\n"
                     "movdqa %%xmm0, %%xmm8\n movdqa %%xmm0, %%xmm9\n movdqa %%xmm0, %%xmm10\n movdqa %%xmm0, %%xmm11\n"
                     "movdqa %%xmm0, %%xmm12\n movdqa %%xmm0, %%xmm13\n movdqa %%xmm0, %%xmm14\n movdqa %%xmm0, %%xmm15\n"
                     "fninit\n fldpi\n fldpi\n fldpi\n ldmxcsr %0\n fldcw %1\n" ::"m"(mxcsr), "m"(control)
                     : "memory");
    if (__builtin_cpu_supports("avx2"))
        __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n vmovdqa %%ymm0, %%ymm7\n vmovdqa %%ymm0, %%ymm15\n" ::: "memory");
}

static void spoiler(int signo)
{
    (void)signo;
    spoil();
    atomic_fetch_add(&hits, 1);
}

static atomic_bool stop;

static void *pesters(void *arg)
{
    while (!atomic_load(&stop)) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        mt_sleep_us(300);
    }
    return NULL;
}

static pthread_t self, pester;

static void start_pestering(void (*handler)(int), int flags)
{
    struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
    OK(sigaction(SIGUSR1, &act, NULL));
    atomic_store(&hits, 0);
    atomic_store(&stop, false);
    self = pthread_self();
    pester = mt_thread(pesters, &self);
}

static void stop_pestering(void)
{
    atomic_store(&stop, true);
    OK0(pthread_join(pester, NULL));
}

// Loads a pattern into every general register but rsp and rbp, spins, and tells whether all of it is still there.
__attribute__((noinline)) static bool registers_survive(void)
{
    uint64_t bad;
    __asm__ volatile("mov $0x1111, %%rbx\n mov $0x2222, %%rdx\n mov $0x3333, %%rsi\n mov $0x4444, %%rdi\n"
                     "mov $0x8888, %%r8\n mov $0x9999, %%r9\n mov $0xaaaa, %%r10\n mov $0xbbbb, %%r11\n"
                     "mov $0xcccc, %%r12\n mov $0xdddd, %%r13\n mov $0xeeee, %%r14\n mov $0xffff, %%r15\n"
                     "mov $200000, %%ecx\n mov $0x5a5a5a5a, %%eax\n stc\n"
                     "1: dec %%ecx\n jnz 1b\n" // dec leaves the carry flag
                     "jnc 2f\n"
                     "cmp $0x5a5a5a5a, %%rax\n jne 2f\n cmp $0x1111, %%rbx\n jne 2f\n cmp $0x2222, %%rdx\n jne 2f\n"
                     "cmp $0x3333, %%rsi\n jne 2f\n cmp $0x4444, %%rdi\n jne 2f\n cmp $0x8888, %%r8\n jne 2f\n"
                     "cmp $0x9999, %%r9\n jne 2f\n cmp $0xaaaa, %%r10\n jne 2f\n cmp $0xbbbb, %%r11\n jne 2f\n"
                     "cmp $0xcccc, %%r12\n jne 2f\n cmp $0xdddd, %%r13\n jne 2f\n cmp $0xeeee, %%r14\n jne 2f\n"
                     "cmp $0xffff, %%r15\n jne 2f\n"
                     "xor %%eax, %%eax\n jmp 3f\n 2: mov $1, %%eax\n 3:\n"
                     : "=a"(bad)::"rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "cc");
    return !bad;
}

TEST(general_registers_and_flags)
{
    start_pestering(spoiler, 0);
    while (atomic_load(&hits) < 50)
        CHECK(registers_survive());
    stop_pestering();
}

__attribute__((noinline)) static bool vectors_survive(void)
{
    static _Alignas(32) uint32_t in[16][8], out[16][8];
    static uint32_t mxcsr_in = 0x1f80 | 0x2000, mxcsr_out;
    static uint16_t control_in = 0x027f, control_out;
    static long double x87_in = 1.25L, x87_out;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            in[i][j] = i * 100 + j;
    if (__builtin_cpu_supports("avx2")) {
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define LOAD(n) "vmovdqa " #n "*32(%[in]), %%ymm" #n "\n"
#define STORE(n) "vmovdqa %%ymm" #n ", " #n "*32(%[out])\n"
        __asm__ volatile("ldmxcsr %2\n fldcw %4\n fldt %6\n" EACH(LOAD) "mov $200000, %%ecx\n 1: dec %%ecx\n jnz 1b\n" EACH(
                             STORE) "vzeroupper\n fstpt %7\n stmxcsr %3\n fnstcw %5\n" ::[in] "r"(in),
                         [out] "r"(out), "m"(mxcsr_in), "m"(mxcsr_out), "m"(control_in), "m"(control_out), "m"(x87_in),
                         "m"(x87_out)
                         : "rcx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    } else {
#define LOADX(n) "movdqa " #n "*32(%[in]), %%xmm" #n "\n"
#define STOREX(n) "movdqa %%xmm" #n ", " #n "*32(%[out])\n"
        memcpy(out, in, sizeof out);
        __asm__ volatile("ldmxcsr %2\n fldcw %4\n fldt %6\n" EACH(LOADX) "mov $200000, %%ecx\n 1: dec %%ecx\n jnz 1b\n" EACH(
                             STOREX) "fstpt %7\n stmxcsr %3\n fnstcw %5\n" ::[in] "r"(in),
                         [out] "r"(out), "m"(mxcsr_in), "m"(mxcsr_out), "m"(control_in), "m"(control_out), "m"(x87_in),
                         "m"(x87_out)
                         : "rcx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    }
    static const uint32_t mxcsr_default = 0x1f80;
    static const uint16_t control_default = 0x037f;
    __asm__ volatile("ldmxcsr %0\n fldcw %1\n" ::"m"(mxcsr_default), "m"(control_default));
    return memcmp(in, out, sizeof in) == 0 && mxcsr_in == mxcsr_out && control_in == control_out && x87_in == x87_out;
}

TEST(vector_and_x87_state)
{
    start_pestering(spoiler, 0);
    while (atomic_load(&hits) < 50)
        CHECK(vectors_survive());
    stop_pestering();
}

__attribute__((noinline)) static bool vectors_survive_a_call(void)
{
    static _Alignas(32) uint32_t in[16][8], out[16][8];
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            in[i][j] = i * 7 + j;
    long ret;
    if (!__builtin_cpu_supports("avx2"))
        return true;
    __asm__ volatile(EACH(LOAD) "syscall\n" EACH(STORE) "vzeroupper\n"
                     : "=a"(ret)
                     : [in] "r"(in), [out] "r"(out), "0"((long)SYS_getppid)
                     : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return memcmp(in, out, sizeof in) == 0 && ret == getppid();
}
#undef LOAD
#undef STORE

TEST(a_system_call_keeps_registers)
{
    for (int i = 0; i < 100; i++) {
        uint64_t rdi = 0x11, rsi = 0x22, rdx = 0x33, rbx = 0x44;
        register uint64_t r8 __asm__("r8") = 0x88, r9 __asm__("r9") = 0x99, r10 __asm__("r10") = 0xaa;
        register uint64_t r12 __asm__("r12") = 0xcc, r13 __asm__("r13") = 0xdd, r14 __asm__("r14") = 0xee;
        long ret, next;
        __asm__ volatile("stc\n std\n syscall\n cld\n lea (%%rip), %%r15\n mov %%r15, %1"
                         : "=a"(ret), "=&c"(next), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+b"(rbx), "+r"(r8), "+r"(r9),
                           "+r"(r10), "+r"(r12), "+r"(r13), "+r"(r14)
                         : "0"((long)SYS_getpid)
                         : "r11", "r15", "memory", "cc");
        CHECK_EQ(ret, getpid());
        CHECK_EQ(rdi, 0x11);
        CHECK_EQ(rsi, 0x22);
        CHECK_EQ(rdx, 0x33);
        CHECK_EQ(rbx, 0x44);
        CHECK_EQ(r8, 0x88);
        CHECK_EQ(r9, 0x99);
        CHECK_EQ(r10, 0xaa);
        CHECK_EQ(r12, 0xcc);
        CHECK_EQ(r13, 0xdd);
        CHECK_EQ(r14, 0xee);
        CHECK(vectors_survive_a_call());
    }
}

TEST(red_zone)
{
    start_pestering(spoiler, 0);
    while (atomic_load(&hits) < 50) {
        uint64_t a, b;
        __asm__ volatile("movq $0x1234567, -8(%%rsp)\n movq $0x7654321, -120(%%rsp)\n mov $200000, %%ecx\n"
                         "1: dec %%ecx\n jnz 1b\n mov -8(%%rsp), %0\n mov -120(%%rsp), %1\n"
                         : "=r"(a), "=r"(b)::"rcx", "memory", "cc");
        CHECK_EQ(a, 0x1234567);
        CHECK_EQ(b, 0x7654321);
    }
    stop_pestering();
}

static volatile uintptr_t frame_at;

static void looks_at_stack(int signo)
{
    (void)signo;
    frame_at = (uintptr_t)__builtin_frame_address(0); // rbp: behind the return address and the saved rbp
}

TEST(handler_stack_is_aligned)
{
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = looks_at_stack}, NULL));
    for (int i = 0; i < 64; i += 8) {
        volatile char *space = __builtin_alloca(i + 1);
        space[0] = 0;
        OK(raise(SIGUSR1));
        CHECK_EQ(frame_at % 16, 0);
    }
}

static volatile int depth, deepest; // volatile: raise is declared as a leaf, which calls nobody back

static void recurses(int signo)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (depth < 20)
        raise(signo);
    depth--;
}

TEST(nested_handlers)
{
    depth = deepest = 0;
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = recurses, .sa_flags = SA_NODEFER}, NULL));
    OK(raise(SIGUSR1));
    CHECK_EQ(deepest, 20);
    CHECK_EQ(depth, 0);
}

static sigjmp_buf jump;

static void jumps(int signo) { siglongjmp(jump, signo); }

TEST(siglongjmp_out_of_a_handler)
{
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jumps}, NULL));
    for (volatile int i = 0; i < 100; i++) {
        int r = sigsetjmp(jump, 1);
        if (r == 0) {
            raise(SIGUSR1);
            FAIL("raise returned");
        }
        CHECK_EQ(r, SIGUSR1);
        sigset_t now;
        OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
        CHECK(!sigismember(&now, SIGUSR1));
    }
}

static char alternate[65536];
static stack_t inside;

static void on_stack(int signo)
{
    frame_at = (uintptr_t)__builtin_frame_address(0);
    sigaltstack(NULL, &inside);
    if (signo == SIGUSR1)
        raise(SIGUSR2); // a second handler stays on the same stack, below the first
}

static volatile uintptr_t second_at;

static void on_stack_again(int signo)
{
    (void)signo;
    second_at = (uintptr_t)__builtin_frame_address(0);
}

static bool in_alternate(uintptr_t p) { return p > (uintptr_t)alternate && p < (uintptr_t)alternate + sizeof alternate; }

TEST(alternate_stack)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
    OK(sigaltstack(&ss, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_stack, .sa_flags = SA_ONSTACK}, NULL));
    OK(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = on_stack_again, .sa_flags = SA_ONSTACK}, NULL));
    OK(raise(SIGUSR1));
    CHECK(in_alternate(frame_at));
    CHECK(in_alternate(second_at));
    CHECK(second_at < frame_at);
    CHECK_EQ(inside.ss_flags, SS_ONSTACK);
    CHECK_EQ((uintptr_t)inside.ss_sp, (uintptr_t)alternate);
    OK(sigaltstack(NULL, &old));
    CHECK_EQ(old.ss_flags, 0);
    CHECK_EQ(old.ss_size, sizeof alternate);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_stack_again}, NULL)); // without SA_ONSTACK
    OK(raise(SIGUSR1));
    CHECK(!in_alternate(second_at));
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
}

static int change_error;

static void changes_stack(int signo)
{
    (void)signo;
    stack_t ss = {.ss_sp = alternate, .ss_size = 32768};
    change_error = sigaltstack(&ss, NULL) == 0 ? 0 : errno;
}

TEST(sigaltstack_errors)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = 1024};
    CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
    ss = (stack_t){.ss_sp = alternate, .ss_size = sizeof alternate, .ss_flags = 4};
    CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
    CHECK_ERR(sigaltstack((stack_t *)8, NULL), EFAULT);
    ss.ss_flags = 0;
    OK(sigaltstack(&ss, NULL));
    CHECK_ERR(sigaltstack(NULL, (stack_t *)8), EFAULT);
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = changes_stack, .sa_flags = SA_ONSTACK}, NULL));
    OK(raise(SIGUSR1));
    CHECK_EQ(change_error, EPERM); // in use
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
}

static void *has_no_alternate(void *arg)
{
    OK(sigaltstack(NULL, arg));
    return NULL;
}

TEST(alternate_stack_is_per_thread)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate}, other = {.ss_flags = 77};
    OK(sigaltstack(&ss, NULL));
    OK0(pthread_join(mt_thread(has_no_alternate, &other), NULL));
    CHECK_EQ(other.ss_flags, SS_DISABLE);
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
}

TEST(autodisarm)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate, .ss_flags = (int)(1u << 31)}, old;
    OK(sigaltstack(&ss, NULL));
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_stack, .sa_flags = SA_ONSTACK}, NULL));
    OK(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    OK(raise(SIGUSR1));
    CHECK(in_alternate(frame_at));
    CHECK_EQ(inside.ss_flags, SS_DISABLE); // off while the handler runs
    OK(sigaltstack(NULL, &old));
    CHECK_EQ(old.ss_flags, (int)(1u << 31)); // and back after it
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
}

static void edits_context(int signo, siginfo_t *info, void *arg)
{
    (void)signo;
    (void)info;
    ucontext_t *uc = arg;
    uc->uc_mcontext.gregs[REG_RBX] = 0x600d;
    uc->uc_mcontext.fpregs->_xmm[9].element[0] = 0xfeed;
    uc->uc_mcontext.fpregs->mxcsr = 0x3f80;
    sigaddset(&uc->uc_sigmask, SIGHUP);
}

TEST(context_edits_take_effect)
{
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = edits_context, .sa_flags = SA_SIGINFO}, NULL));
    uint64_t rbx = 1, ret;
    uint32_t low, mxcsr;
    static const uint32_t mxcsr_default = 0x1f80;
    register long r10 __asm__("r10") = 0;
    __asm__ volatile("pxor %%xmm9, %%xmm9\n syscall\n movd %%xmm9, %2\n stmxcsr %3\n ldmxcsr %7\n"
                     : "=a"(ret), "+b"(rbx), "=&r"(low), "=m"(mxcsr)
                     : "0"((long)SYS_tgkill), "D"((long)getpid()), "S"((long)gettid()), "m"(mxcsr_default),
                       "d"((long)SIGUSR1), "r"(r10)
                     : "rcx", "r11", "memory", "xmm9");
    CHECK_EQ(ret, 0);
    CHECK_EQ(rbx, 0x600d);
    CHECK_EQ(low, 0xfeed);
    CHECK_EQ(mxcsr, 0x3f80);
    sigset_t now;
    OK0(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK(sigismember(&now, SIGHUP));
}

static volatile uint64_t seen_rax, seen_rcx_is_rip, seen_mask;

static void looks_at_context(int signo, siginfo_t *info, void *arg)
{
    (void)signo;
    (void)info;
    ucontext_t *uc = arg;
    seen_rax = uc->uc_mcontext.gregs[REG_RAX];
    seen_rcx_is_rip = uc->uc_mcontext.gregs[REG_RCX] == uc->uc_mcontext.gregs[REG_RIP];
    memcpy((void *)&seen_mask, &uc->uc_sigmask, 8);
}

TEST(context_of_a_system_call)
{
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = looks_at_context, .sa_flags = SA_SIGINFO}, NULL));
    sigset_t hup;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    OK0(pthread_sigmask(SIG_BLOCK, &hup, NULL));
    seen_rax = 77;
    OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
    CHECK_EQ(seen_rax, 0); // the call's result is in place already
    CHECK(seen_rcx_is_rip);
    CHECK_EQ(seen_mask, 1ull << (SIGHUP - 1)); // what was blocked before
}

static siginfo_t bad_info;

static void bad_frame(int signo, siginfo_t *info, void *arg)
{
    (void)signo;
    (void)arg;
    bad_info = *info;
    siglongjmp(jump, 1);
}

static void sigreturn_with(void *rsp)
{
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
    OK(sigaltstack(&ss, NULL));
    struct sigaction act = {.sa_sigaction = bad_frame, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    OK(sigaction(SIGSEGV, &act, NULL));
    memset(&bad_info, 0, sizeof bad_info);
    if (sigsetjmp(jump, 1) == 0)
        __asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" ::"r"(rsp) : "rax", "rcx", "r11", "memory");
    CHECK_EQ(bad_info.si_signo, SIGSEGV);
    CHECK_EQ(bad_info.si_code, SI_KERNEL);
    ss.ss_flags = SS_DISABLE;
    OK(sigaltstack(&ss, NULL));
}

TEST(sigreturn_from_nowhere)
{
    sigreturn_with((void *)0x1000);
    sigreturn_with((void *)0x7ffffffff000ul);
    sigreturn_with((void *)0xffffffff80000000ul);
    sigreturn_with((void *)0x8000000000000000ul);
}

TEST(sigreturn_with_a_bad_fpu_pointer)
{
    static _Alignas(64) char frame[4096];
    ucontext_t *uc = (ucontext_t *)(frame + 1024);
    uc->uc_mcontext.fpregs = (void *)(uintptr_t)0x1000;
    sigreturn_with(uc);
    uc->uc_mcontext.fpregs = (void *)0xffffffff81000000ul;
    sigreturn_with(uc);
}

static void *takes_signals(void *arg)
{
    while (!atomic_load(&stop))
        if (!registers_survive())
            return (void *)1;
    return arg;
}

TEST(storm_between_threads)
{
    pthread_t t[4];
    OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = spoiler, .sa_flags = SA_RESTART}, NULL));
    atomic_store(&stop, false);
    atomic_store(&hits, 0);
    for (int i = 0; i < 4; i++)
        t[i] = mt_thread(takes_signals, NULL);
    for (int i = 0; i < 1000; i++)
        OK0(pthread_kill(t[i % 4], SIGUSR1));
    UNTIL(atomic_load(&hits) >= 4);
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
}
