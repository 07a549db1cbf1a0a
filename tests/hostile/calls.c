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
static char *scratch;       // to be mapped, protected and unmapped
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

// What calls take, a letter for each argument: f a descriptor, d a directory's or AT_FDCWD, p q names, y an attribute's name, A room, a words, v vectors,
// h a message, s L an address and its size, e an event, t a short time, g 8 a set of signals, w a futex, m M b j memory, l o a length and an offset,
// n x a small number and flags, c a clock, P S a process and a signal, u a user, k K of System V, i a timer, r a limit, 0 nothing.
#define C(name, arguments) [SYS_##name] = arguments
static const char *const takes[480] = {
    C(read, "fAl"), C(write, "fal"), C(open, "pxn"), C(close, "F"), C(stat, "pA"), C(fstat, "fA"), C(lstat, "pA"), C(poll, "Bn0"), C(lseek, "fon"), C(mmap, "mMbjfo"),
    C(mprotect, "mMb"), C(munmap, "mM"), C(rt_sigaction, "S0A8"), C(rt_sigprocmask, "ngA8"), C(ioctl, "fYA"), C(pread64, "fAlo"), C(pwrite64, "falo"), C(readv, "fvn"),
    C(writev, "fvn"), C(access, "pn"), C(pipe, "A"), C(select, "nAA0t"), C(sched_yield, ""), C(mremap, "mMMn0"), C(msync, "mMn"), C(mincore, "mMA"), C(madvise, "mMn"),
    C(shmget, "KMx"), C(shmat, "k0x"), C(shmctl, "knA"), C(dup, "f"), C(dup2, "fG"), C(nanosleep, "tA"), C(getitimer, "nA"), C(setitimer, "n0A"), C(sendfile, "ff0l"),
    C(socket, "nn0"), C(connect, "fsL"), C(accept, "f00"), C(sendto, "falX00"), C(recvfrom, "fAlX00"), C(sendmsg, "fhX"), C(recvmsg, "fhX"), C(shutdown, "fn"), C(bind, "fsL"),
    C(listen, "fn"), C(getsockname, "fAW"), C(getpeername, "fAW"), C(socketpair, "1n0A"), C(setsockopt, "f1na4"), C(getsockopt, "f1nAW"), C(uname, "A"), C(semget, "Knx"),
    C(semop, "kan"), C(semctl, "knnA"), C(shmdt, "m"), C(msgget, "Kx"), C(msgsnd, "kalX"), C(msgrcv, "kAlnX"), C(msgctl, "knA"), C(fcntl, "fn0"), C(flock, "fn"), C(fsync, "f"),
    C(fdatasync, "f"), C(truncate, "po"), C(ftruncate, "fo"), C(getdents, "fAl"), C(getcwd, "Al"), C(chdir, "p"), C(fchdir, "d"), C(rename, "pq"), C(mkdir, "px"), C(rmdir, "p"),
    C(creat, "px"), C(link, "pq"), C(unlink, "p"), C(symlink, "pq"), C(readlink, "pAl"), C(chmod, "px"), C(fchmod, "fx"), C(chown, "puu"), C(fchown, "fuu"), C(lchown, "puu"),
    C(umask, "x"), C(getrlimit, "rA"), C(getrusage, "0A"), C(sysinfo, "A"), C(times, "A"), C(ptrace, "nPAA"), C(setreuid, "uu"), C(getgroups, "nA"), C(getresuid, "AAA"),
    C(getpgid, "P"), C(capget, "aA"), C(capset, "aa"), C(rt_sigpending, "A8"), C(rt_sigtimedwait, "g0t8"), C(sigaltstack, "aA"), C(utime, "pa"), C(mknod, "px0"), C(personality, "n"),
    C(statfs, "pA"), C(fstatfs, "fA"), C(getpriority, "nP"), C(setpriority, "nPn"), C(sched_setparam, "Pa"), C(sched_getparam, "PA"), C(sched_setscheduler, "Pna"),
    C(sched_getscheduler, "P"), C(sched_rr_get_interval, "PA"), C(mlock, "mM"), C(munlock, "mM"), C(prctl, "Znnnn"), C(arch_prctl, "nA"), C(setrlimit, "ra"), C(sync, ""),
    C(settimeofday, "t0"), C(sethostname, "an"), C(gettid, ""), C(readahead, "fol"), C(setxattr, "pyalx"), C(fsetxattr, "fyaln"), C(lsetxattr, "pyaln"), C(getxattr, "pyAl"),
    C(fgetxattr, "fyAl"), C(listxattr, "pAl"), C(flistxattr, "fAl"), C(removexattr, "py"), C(fremovexattr, "fy"), C(time, "A"), C(futex, "wnnt00"), C(sched_setaffinity, "P8a"),
    C(sched_getaffinity, "PlA"), C(io_setup, "nA"), C(io_destroy, "n"), C(io_getevents, "nnnAt"), C(io_submit, "nna"), C(io_cancel, "naA"), C(epoll_create, "n"), C(getdents64, "fAl"),
    C(set_tid_address, "A"), C(semtimedop, "kant"), C(fadvise64, "foln"), C(timer_create, "c0A"), C(timer_settime, "inat"), C(timer_gettime, "iA"), C(timer_getoverrun, "i"),
    C(timer_delete, "i"), C(clock_settime, "ct"), C(clock_gettime, "cA"), C(clock_getres, "cA"), C(clock_nanosleep, "c0tA"), C(epoll_wait, "fAn0"), C(epoll_ctl, "fnfe"),
    C(utimes, "pa"), C(mbind, "mM0A00"), C(get_mempolicy, "A0000"), C(mq_open, "yxx0"), C(mq_unlink, "y"), C(mq_timedsend, "falnt"), C(mq_timedreceive, "fAlAt"), C(mq_notify, "f0"),
    C(mq_getsetattr, "f0A"), C(waitid, "nPAX0"), C(inotify_init, ""), C(inotify_add_watch, "fpx"), C(inotify_rm_watch, "fn"), C(openat, "dpxx"), C(mkdirat, "dpx"), C(mknodat, "dpx0"),
    C(fchownat, "dpuun"), C(futimesat, "dpa"), C(newfstatat, "dpA0"), C(unlinkat, "dpZ"), C(renameat, "dpdq"), C(linkat, "dpdq0"), C(symlinkat, "pdq"), C(readlinkat, "dpAl"),
    C(fchmodat, "dpx"), C(faccessat, "dpn"), C(pselect6, "nAA0t0"), C(ppoll, "Bnt08"), C(unshare, "Z"), C(set_robust_list, "AZ"), C(get_robust_list, "PAA"), C(splice, "f0f0lX"),
    C(tee, "fflX"), C(sync_file_range, "foln"), C(vmsplice, "fvnX"), C(move_pages, "PnaaA0"), C(utimensat, "dpa0"), C(epoll_pwait, "fAn008"), C(signalfd, "fg8"), C(timerfd_create, "c0"),
    C(eventfd, "n"), C(fallocate, "fnol"), C(timerfd_settime, "f0aA"), C(timerfd_gettime, "fA"), C(accept4, "f00n"), C(signalfd4, "fg80"), C(eventfd2, "n0"), C(epoll_create1, "0"),
    C(dup3, "fG0"), C(pipe2, "A0"), C(inotify_init1, "0"), C(preadv, "fvno0"), C(pwritev, "fvno0"), C(recvmmsg, "fhnXt"), C(prlimit64, "Pr0A"), C(name_to_handle_at, "dpAA0"),
    C(syncfs, "f"), C(sendmmsg, "fhnX"), C(setns, "f0"), C(getcpu, "AA0"), C(process_vm_readv, "Pvnvn0"), C(process_vm_writev, "Pvnvn0"), C(kcmp, "PPnff"), C(sched_setattr, "Pa0"),
    C(sched_getattr, "PAl0"), C(renameat2, "dpdqn"), C(seccomp, "n0a"), C(getrandom, "AlX"), C(memfd_create, "yn"), C(execveat, "ip000"), C(membarrier, "Z00"), C(mlock2, "mMn"),
    C(copy_file_range, "f0f0l0"), C(preadv2, "fvno00"), C(pwritev2, "fvno00"), C(statx, "dp0xA"), C(pidfd_send_signal, "f000"), C(io_uring_setup, "na"), C(io_uring_enter, "fnnn08"),
    C(io_uring_register, "fZan"), C(pidfd_open, "P0"), C(close_range, "GG0"), C(openat2, "dpaz"), C(pidfd_getfd, "ff0"), C(faccessat2, "dpn0"), C(process_madvise, "fvnn0"), C(epoll_pwait2, "fAnt08"),
    [446] = "nf0n", [447] = "0", [449] = "an0tc", [452] = "dpx0", [454] = "wxnx", [455] = "wXnxt0", [456] = "aXnn", [462] = "mM0", [463] = "dp0yaz", [464] = "dp0yAz",
};
#undef C

static uint64_t as_taken(char c)
{
    char *page = area + pick(AREA / 4096) * 4096;
    uint64_t *w = (uint64_t *)page;
    static const char *const names[] = {"a", "b", "d", "d/a", "d/b", "l", "/proc/self/maps", "/dev/null", "..", "/proc/self/fd/5", "", "/dev/ptmx", "/dev/shm/x"};
    switch (c) {
    case 'f': return (uint64_t)files[pick(FILES)];
    case 'F': return (uint64_t)dup(files[pick(FILES)]);
    case 'G': return 40 + pick(20);
    case 'd': return odds(2) ? (uint64_t)AT_FDCWD : (uint64_t)files[1];
    case 'p': case 'q': strcpy(page, names[pick(countof(names))]); return (uintptr_t)page;
    case 'y': strcpy(page, odds(2) ? "user.a" : "user.b"); return (uintptr_t)page;
    case 'A': case 'a': return (uintptr_t)page;
    case 'v':
        for (int i = 0; i < 8; i += 2)
            w[i] = (uintptr_t)area + pick(AREA - 4096), w[i + 1] = pick(3000);
        return (uintptr_t)page;
    case 'h':
        memset(page, 0, 256);
        w[2] = as_taken('v');
        w[3] = 1 + pick(2);
        return (uintptr_t)page;
    case 'B':
        for (int i = 0; i < 8; i++)
            w[i] = (uint64_t)(uint32_t)files[pick(FILES)] | 5ull << 32;
        return (uintptr_t)page;
    case 's':
        *(struct sockaddr_in *)page = (struct sockaddr_in){.sin_family = odds(2) ? AF_INET : AF_UNIX, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        return (uintptr_t)page;
    case 'L': return 16;
    case 'W': *(uint32_t *)page = 64; return (uintptr_t)page;
    case 'e': *(struct epoll_event *)page = (struct epoll_event){EPOLLIN | pick(8), {0}}; return (uintptr_t)page;
    case 't': w[0] = 0, w[1] = pick(2000000); return (uintptr_t)page;
    case 'g': w[0] = 1ull << pick(64); return (uintptr_t)page;
    case '8': return 8;
    case '4': return 4;
    case '1': return 1;
    case 'z': return 24;
    case 'w': *(uint32_t *)page = pick(3); return (uintptr_t)page;
    case 'm': return (uintptr_t)scratch + pick(64) * 4096;
    case 'M': return (1 + pick(8)) * 4096;
    case 'b': return pick(4);
    case 'j': return MAP_FIXED | (odds(2) ? MAP_PRIVATE : MAP_SHARED) | (odds(2) ? MAP_ANONYMOUS : 0);
    case 'l': return pick(4096);
    case 'o': return pick(odds(2) ? 5000 : 100000);
    case 'x': return odds(2) ? 0644 : 1ull << pick(16) | pick(3);
    case 'X': return odds(2) ? 0 : 1ull << pick(8);
    case 'Y': return odds(3) ? 0x5400 + pick(64) : ((uint32_t[]){0x5421, 0x541b, 0x5411, 0x8901, 0x8910, 0x8912})[pick(6)];
    case 'Z': return odds(4) ? 1ull << pick(30) : pick(70);
    case 'c': return pick(12);
    case 'P': return odds(2) ? 0 : (uint64_t)getpid() + pick(3);
    case 'S': return SIGUSR1;
    case 'u': return odds(2) ? 65534 : 0xffffffff;
    case 'k': return pick(4);
    case 'K': return pick(4);
    case 'i': return pick(4);
    case 'r': return pick(16);
    case 'n': return pick(6);
    default: return 0;
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
        if (!odds(3) && (unsigned long)nr < countof(takes) && takes[nr] != NULL) {
            // As the call wants it, but for one argument now and then.
            memset(a, 0, sizeof a);
            for (int j = 0; takes[nr][j] != 0; j++)
                a[j] = as_taken(takes[nr][j]);
            if (odds(3))
                a[pick(6)] = any_word();
        } else {
            if (odds(2))
                a[0] = (uint64_t)files[pick(FILES)];
            if (odds(2))
                a[1] = any_address();
            if (odds(2))
                a[2] = any_size();
        }
        // Not the harness's own: standard streams, and the parent's counter.
        if ((nr == SYS_close || nr == SYS_dup2 || nr == SYS_dup3) && (uint32_t)a[nr == SYS_close ? 0 : 1] < 3)
            continue;
        if (getenv("MOAT_HOSTILE_SHOW"))
            dprintf(2, "%d %ld(%lx, %lx, %lx, %lx, %lx, %lx)\n", gettid(), nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        long r = call(nr, a);
        atomic_fetch_add(&counts->made, 1);
        if ((unsigned long)nr < countof(counts->calls)) {
            atomic_fetch_add(&counts->calls[nr].tried, 1);
            atomic_fetch_add(&counts->calls[nr].good, r >= 0 || r < -4095);
        }
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
    scratch = mmap(NULL, 72 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!enter_directory(n))
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
