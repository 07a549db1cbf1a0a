// System calls of every number with arguments by chance: valid, nearly so, or anything; from two threads of one process.
#define MT_OWN_MAIN
#include "hostile.h"
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

enum { CALLS = 3000, AREA = 256 * 1024, FILES = 24 };

static char *area, *edge; // edge: the last page before nothing
static int files[FILES];
static uint64_t ring_words;
static bool privileged;

// By number alone: what would end the process or others, or stop it for good.
static bool spared(long nr)
{
    switch (nr) {
    case SYS_fcntl: return privileged; // F_SETOWN and F_SETSIG: a signal to anybody
    case SYS_exit: case SYS_exit_group: case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo: case SYS_pidfd_send_signal: case SYS_rt_sigreturn: case SYS_setrlimit: case SYS_prlimit64:
        return true;
    case SYS_munmap: case SYS_mremap: case SYS_mprotect: case SYS_rt_sigprocmask: case SYS_rt_sigaction: case SYS_close_range:
    case SYS_setuid: case SYS_setitimer: case SYS_pause: case SYS_rt_sigsuspend: case SYS_rt_sigtimedwait: case SYS_brk: case SYS_alarm:
    case SYS_sync: case SYS_syncfs: case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_clone3:
        return !odds(20); // seldom: little happens afterwards, or it takes long
    default: return false;
    }
}

static uint64_t any_address(void)
{
    switch (pick(12)) {
    case 0: return 0;
    case 1: return mt_random(&seed);
    case 2: return (uintptr_t)edge + 4096 - pick(64);
    case 3: return (uintptr_t)edge + 4096 - pick(4096);
    case 4: return 0xffff800000000000ull + pick(100);
    case 5: return 0x7ffffffff000ull - pick(3) * 8;
    case 6: return (uintptr_t)&ring_words & ~4095ull;
    default: return (uintptr_t)area + pick(AREA / 4096) * 4096 + (odds(3) ? pick(4096) : 0);
    }
}

static uint64_t any_size(void)
{
    switch (pick(8)) {
    case 0: return ~0ull >> pick(64);
    case 1: return 1ull << pick(64);
    case 2: return 0;
    default: return odds(2) ? pick(200) : pick(70000);
    }
}

static uint64_t any_word(void)
{
    switch (pick(14)) {
    case 0: return mt_random(&seed);
    case 1: return ~0ull - pick(3);
    case 2: return 1ull << pick(64);
    case 3: return any_size();
    case 4: return (uint64_t)(int64_t)AT_FDCWD;
    case 5: return 1ull << pick(32) | 1ull << pick(32) | pick(8);
    case 6:
    case 7: return pick(64);
    case 8:
    case 9: return (uint64_t)files[pick(FILES)];
    default: return any_address();
    }
}

// The number is the last thing that is done on this stack: a child that shares it only ends.
static long call(long nr, const uint64_t a[6])
{
    register long r10 __asm__("r10") = (long)a[3];
    register long r8 __asm__("r8") = (long)a[4];
    register long r9 __asm__("r9") = (long)a[5];
    bool forks = nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3;
    long r, b = forks;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "test %%rbx, %%rbx\n\t"
                     "jz 1f\n\t"
                     "mov $60, %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "1:"
                     : "=a"(r), "+D"(*(long[]){(long)a[0]}), "+S"(*(long[]){(long)a[1]}), "+d"(*(long[]){(long)a[2]}), "+b"(b), "+r"(r10), "+r"(r8),
                       "+r"(r9)
                     : "a"(nr)
                     : "rcx", "r11", "memory");
    return r;
}

static void on_alarm(int s) { (void)s; }

static void scatter(void)
{
    static const char *const names[] = {"a", "d", "d/a", "l", "/proc/self/maps", "/dev/null", "..", "/proc/self/fd/5", "", "s", "user.a", "/dev/ptmx"};
    for (int i = 0; i < AREA / 4096; i++) {
        uint64_t *w = (uint64_t *)(area + i * 4096);
        switch (pick(4)) {
        case 0: strcpy((char *)w, names[pick(countof(names))]); break;
        case 1: // iovecs, msghdrs, arrays of descriptors
            for (int j = 0; j < 64; j++)
                w[j] = odds(2) ? any_address() : pick(5000);
            break;
        case 2:
            for (int j = 0; j < 128; j++)
                ((uint32_t *)w)[j] = odds(3) ? (uint32_t)any_word() : (uint32_t)files[pick(FILES)];
            break;
        default:
            for (int j = 0; j < 64; j++)
                w[j] = any_word();
            break;
        }
    }
}

static void *calls(void *arg)
{
    sow((uintptr_t)arg);
    interrupt_every(3000);
    for (int i = 0; i < CALLS; i++) {
        long nr = odds(100) ? (long)any_word() : odds(3) ? 424 + pick(50) : pick(336);
        if (spared(nr))
            continue;
        if (odds(40))
            scatter();
        uint64_t a[6];
        for (int j = 0; j < 6; j++)
            a[j] = any_word();
        if (odds(2))
            a[0] = (uint64_t)files[pick(FILES)];
        if (odds(2))
            a[1] = any_address();
        if (odds(2))
            a[2] = any_size();
        // Not the harness's own: standard streams, and the parent's counter.
        if ((nr == SYS_close || nr == SYS_dup2 || nr == SYS_dup3) && (uint32_t)a[nr == SYS_close ? 0 : 1] < 3)
            continue;
        if (getenv("MOAT_HOSTILE_SHOW"))
            dprintf(2, "%d %ld(%lx, %lx, %lx, %lx, %lx, %lx)\n", gettid(), nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        call(nr, a);
        atomic_fetch_add(made, 1);
    }
    return NULL;
}

static int opened(int n)
{
    struct io_uring_params p = {0};
    sigset_t all;
    int two[2];
    sigfillset(&all);
    switch (n) {
    case 0: return open("a", O_RDWR | O_CREAT, 0644);
    case 1: return open(".", O_RDONLY | O_DIRECTORY);
    case 2: return open("d", O_PATH);
    case 3: return eventfd(pick(3), EFD_NONBLOCK);
    case 4: return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    case 5: return signalfd(-1, &all, SFD_NONBLOCK);
    case 6: return epoll_create1(0);
    case 7: return u_setup(8, &p);
    case 8: return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    case 9: return socket(AF_UNIX, SOCK_DGRAM, 0);
    case 10: return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    case 11: return socket(AF_INET6, SOCK_DGRAM, 0);
    case 12: return socket(AF_NETLINK, SOCK_RAW, 0);
    case 13: return memfd_create("m", MFD_ALLOW_SEALING);
    case 14: return open("/dev/zero", O_RDWR);
    case 15: return open("/proc/self/status", O_RDONLY);
    case 16: return open("/proc/self/mem", O_RDWR);
    case 17: return pipe2(two, O_NONBLOCK) == 0 ? files[18] = two[1], two[0] : -1;
    case 19: return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, two) == 0 ? files[20] = two[1], two[0] : -1;
    case 21: return open("/dev/ptmx", O_RDWR | O_NOCTTY);
    case 22: return open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    default: return (int)syscall(SYS_pidfd_open, getpid(), 0);
    }
}

static void a_process(uint64_t n)
{
    sow(n);
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(edge + 4096, 4096);
    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/hostile.%lu", (unsigned long)n % 16);
    mkdir(dir, 0777);
    chmod(dir, 0777);
    if (chdir(dir) != 0)
        return;
    mkdir("d", 0777);
    for (int i = 0; i < FILES; i++)
        if (i != 18 && i != 20)
            files[i] = opened(i);
    // A ring's own memory is an argument like any other.
    void *rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, files[7], IORING_OFF_SQES);
    if (rings != MAP_FAILED)
        area = odds(8) ? rings : area;
    for (int i = 0; area != rings && i < 1; i++)
        scatter();
    struct sigaction sa = {.sa_handler = on_alarm};
    for (int s = 1; s < 32; s++)
        if (s != SIGSEGV && s != SIGBUS && s != SIGILL && s != SIGFPE && s != SIGSYS && s != SIGTRAP)
            sigaction(s, &sa, NULL);
    privileged = odds(4);
    if (!privileged && setuid(65534) != 0)
        return;
    pthread_t t;
    bool two = pthread_create(&t, NULL, calls, (void *)(n * 2 + 1)) == 0;
    calls((void *)(n * 2));
    if (two)
        pthread_join(t, NULL);
}

int main(int argc, char **argv) { return hostile_main(argc, argv, 2, a_process); }
