// Processes that end in the middle of things: threads execute programs, fork, trace, stop, kill, filter and write into one another
// while io_uring requests, locks, semaphores, queues and terminals are in use; programs that are no programs; code that is changed
// while it runs. Each process lives a second or two, and so do those it makes.
#define MT_OWN_MAIN
#include "hostile.h"
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <termios.h>

enum { ACTS = 60, PAGE = 4096, AREA = 64 * PAGE, KIN = 16 };

static char *area;
static pid_t kin[KIN]; // processes and threads that were there
static _Atomic uint32_t words[16];
static uint8_t *code;
static atomic_int depth;

static void remember(pid_t pid)
{
    if (pid > 0)
        kin[pick(KIN)] = pid;
}
// Not the first process, which looks on.
static pid_t any_kin(void)
{
    pid_t pid = odds(9) ? getppid() : odds(9) ? getpid() : kin[pick(KIN)];
    return pid == 1 ? getpid() : pid;
}
static void nothing(int s) { (void)s; }

static void a_ring(void)
{
    static const uint32_t kinds[] = {0, IORING_SETUP_SQPOLL, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_IOPOLL,
        IORING_SETUP_SUBMIT_ALL};
    struct ring r = {.p = {.flags = kinds[pick(countof(kinds))], .sq_thread_idle = 1 + pick(20)}};
    int p[2];
    r.fd = u_setup(16, &r.p);
    if (r.fd < 0 || pipe(p) != 0)
        return;
    ring_map(&r);
    static struct __kernel_timespec ts = {0, 900000};
    for (int i = 0; i < 16; i++) {
        sqe_t q = {0};
        uint8_t async = odds(3) ? IOSQE_ASYNC : 0;
        switch (pick(8)) {
        case 0: prep(&q, IORING_OP_READ, p[0], area + pick(32) * PAGE, PAGE, -1, i); break;
        case 1: prep(&q, IORING_OP_POLL_ADD, p[0], NULL, odds(2), 0, i)->poll32_events = POLLIN; break;
        case 2: prep(&q, IORING_OP_TIMEOUT, -1, &ts, 1, 0, i); break;
        case 3: prep(&q, 51, FUTEX_PRIVATE_FLAG | 2, (void *)&words[pick(4)], 0, 0, i)->addr3 = ~0u; break;
        case 4: prep(&q, 50, (int)any_kin(), NULL, P_PID, (uintptr_t)area + 60 * PAGE, i)->file_index = WEXITED; break;
        case 5: prep(&q, IORING_OP_WRITE, p[1], area + pick(32) * PAGE, PAGE * 8, -1, i); break;
        case 6: prep(&q, IORING_OP_ASYNC_CANCEL, -1, (void *)(uintptr_t)pick(16), 0, 0, i)->cancel_flags = pick(2); break;
        default: prep(&q, IORING_OP_NOP, -1, NULL, 0, 0, i); break;
        }
        q.flags = async | (odds(4) ? IOSQE_IO_LINK : 0);
        r.sqes[i] = q;
    }
    atomic_store(r.sq_tail, 16);
    int n = u_enter(r.fd, 16, odds(3) ? 1 : 0, IORING_ENTER_GETEVENTS | (r.p.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0);
    atomic_fetch_add(&counts->made, n > 0 ? (uint64_t)n : 0);
    if (odds(2)) { // else it stays, with what it has in flight
        munmap(r.ring_map, r.ring_size);
        munmap(r.sqe_map, r.sqe_size);
    }
    if (odds(2))
        close(r.fd);
    if (odds(2))
        close(p[1]);
    if (odds(2))
        close(p[0]);
}

static void again(void)
{
    char n[32], d[16];
    snprintf(n, sizeof n, "%lu", (unsigned long)(mt_random(&seed) >> 20));
    snprintf(d, sizeof d, "%d", atomic_load(&depth) + 1);
    if (odds(3))
        execl("/bin/true", "true", NULL);
    else if (atomic_load(&depth) < 4)
        execl("/proc/self/exe", "lives", "again", n, d, NULL);
}

static void acts(uint64_t n, int count);

static void forks(void)
{
    uint64_t n = mt_random(&seed) >> 16;
    if (atomic_load(&depth) > 3)
        return;
    pid_t pid = odds(4) ? vfork() : fork();
    if (pid == 0) {
        if (odds(4))
            execl("/bin/true", "true", NULL);
        atomic_fetch_add(&depth, 1);
        if (odds(3))
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (odds(2))
            acts(n, (int)(n % 12));
        if (odds(4))
            again();
        if (odds(4))
            kill(getpid(), SIGKILL);
        _exit((int)n);
    }
    remember(pid);
    if (pid > 0 && odds(3))
        kill(pid, SIGKILL);
}

static int in_clone(void *arg)
{
    sow((uintptr_t)arg);
    acts((uintptr_t)arg, 2);
    return 0;
}

// Processes that share some of what threads share.
static void clones(void)
{
    int flags = (odds(2) ? CLONE_VM : 0) | (odds(2) ? CLONE_FILES : 0) | (odds(2) ? CLONE_FS : 0) | (odds(3) ? CLONE_PARENT : 0) |
        (odds(6) ? CLONE_NEWUTS : 0) | (odds(3) ? CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID : 0) | (odds(9) ? CLONE_PTRACE : 0) | (odds(9) ? CLONE_SYSVSEM : 0);
    if (flags & CLONE_VM && odds(2))
        flags |= CLONE_SIGHAND;
    char *stack = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED || atomic_load(&depth) > 3)
        return;
    if (flags & CLONE_VM) { // it has no thread area of its own: it may only end
        char *top = stack + 16 * PAGE;
        *(uint64_t *)(top - 8) = 0;
        int (*body)(void *) = (int (*)(void *))(void *)(code + PAGE);
        remember(clone(body, top - 16, flags | SIGCHLD, NULL, NULL, NULL, &words[15]));
    } else {
        remember(clone(in_clone, stack + 16 * PAGE - 16, flags | SIGCHLD, (void *)(uintptr_t)(mt_random(&seed) >> 20), NULL, NULL, &words[15]));
    }
}

static void signals(void)
{
    static const int some[] = {SIGUSR1, SIGUSR2, SIGSTOP, SIGCONT, SIGKILL, SIGTERM, SIGCHLD, SIGURG, SIGTSTP};
    int s = odds(9) ? SIGRTMIN + (int)pick(30) : some[pick(countof(some))];
    pid_t to = any_kin();
    if (to <= 0 || (to == getpid() && (s == SIGKILL || s == SIGSTOP || s == SIGTSTP || s == SIGTERM) && !odds(60)))
        return;
    switch (pick(5)) {
    case 0: syscall(SYS_tkill, to, s); break;
    case 1: sigqueue(to, s, (union sigval){.sival_int = 7}); break;
    case 2: syscall(SYS_tgkill, getpid(), to, s == SIGKILL || s == SIGSTOP || s == SIGTSTP ? SIGUSR1 : s); break;
    default: kill(to, s); break;
    }
    if (s == SIGSTOP && odds(2))
        kill(to, SIGCONT);
}

static void traced(pid_t pid, int rounds)
{
    struct user_regs_struct regs;
    struct iovec v = {area + 40 * PAGE, PAGE};
    siginfo_t info;
    int st;
    for (int i = 0; i < rounds; i++) {
        pid_t at = waitpid(odds(3) ? -1 : pid, &st, __WALL | (odds(2) ? WNOHANG : 0) | (odds(4) ? WUNTRACED : 0));
        if (at <= 0 && !odds(3))
            mt_sleep_us(200);
        pid_t who = at > 0 && odds(2) ? at : pid;
        atomic_fetch_add(&counts->made, 1);
        switch (pick(22)) {
        case 0: case 1: case 2: ptrace(PTRACE_CONT, who, 0, odds(3) ? pick(32) : 0); break;
        case 3: case 4: case 5: ptrace(PTRACE_SYSCALL, who, 0, 0); break;
        case 6: case 7: ptrace(PTRACE_SINGLESTEP, who, 0, 0); break;
        case 8:
            if (ptrace(PTRACE_GETREGS, who, 0, &regs) == 0) {
                ((unsigned long *)&regs)[pick(sizeof regs / 8)] = odds(2) ? mt_random(&seed) : pick(64);
                if (odds(3))
                    ptrace(PTRACE_SETREGS, who, 0, &regs);
            }
            break;
        case 9: ptrace(PTRACE_POKEDATA, who, area + pick(AREA), pick(1000)); break;
        case 10: ptrace(PTRACE_PEEKDATA, who, odds(2) ? (void *)area : (void *)code, 0); break;
        case 11: ptrace(PTRACE_SETOPTIONS, who, 0, pick(256) | (odds(2) ? PTRACE_O_EXITKILL : 0)); break;
        case 12: ptrace(PTRACE_INTERRUPT, who, 0, 0); break;
        case 13: ptrace(PTRACE_LISTEN, who, 0, 0); break;
        case 14: ptrace(PTRACE_DETACH, who, 0, odds(3) ? SIGCONT : 0); break;
        case 15: ptrace(PTRACE_GETREGSET, who, ((long[]){1, 2, 0x202, 0x200, 7})[pick(5)], &v); break;
        case 16: v.iov_len = pick(3000); ptrace(PTRACE_SETREGSET, who, odds(2) ? 1 : 0x202, &v); break;
        case 17:
            if (ptrace(PTRACE_GETSIGINFO, who, 0, &info) == 0)
                ptrace(PTRACE_SETSIGINFO, who, 0, &info);
            break;
        case 18: ptrace(0x420e, who, 80, area + 41 * PAGE); break; // GET_SYSCALL_INFO
        case 19: ptrace(PTRACE_GETEVENTMSG, who, 0, area + 41 * PAGE); break;
        case 20: ptrace(PTRACE_KILL, who, 0, 0); break;
        default: kill(who, odds(2) ? SIGSTOP : SIGUSR1); break;
        }
    }
}

static void traces(void)
{
    uint64_t n = mt_random(&seed) >> 16;
    pid_t pid = any_kin();
    if (atomic_load(&depth) > 3)
        return;
    if (odds(2)) {
        pid = fork();
        if (pid == 0) {
            atomic_fetch_add(&depth, 1);
            if (odds(2)) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(odds(2) ? SIGSTOP : SIGUSR1);
            }
            acts(n, 6);
            if (odds(2))
                again();
            _exit(1);
        }
        remember(pid);
    }
    if (pid <= 1)
        return;
    if (odds(2))
        ptrace(odds(3) ? PTRACE_ATTACH : PTRACE_SEIZE, pid, 0, odds(2) ? PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT : 0);
    traced(pid, 12); // and then forgotten: it stays stopped, or its tracer ends
    if (odds(2))
        kill(pid, SIGCONT);
}

// Filters that let the process go on, mostly.
static void filters(void)
{
    static const uint32_t ends[] = {SECCOMP_RET_ERRNO | 5, SECCOMP_RET_ERRNO | 5, SECCOMP_RET_TRACE | 3, SECCOMP_RET_TRAP | 9, SECCOMP_RET_LOG, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_KILL_THREAD,
        SECCOMP_RET_KILL_PROCESS};
    static const uint32_t calls[] = {SYS_getppid, SYS_getpriority, SYS_io_uring_enter, SYS_execve, SYS_fork, SYS_ptrace, SYS_semop, SYS_mq_timedsend};
    struct sock_filter f[40] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    uint16_t n = 1;
    for (uint32_t i = 0; i < 4; i++) {
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[pick(countof(calls))], 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ends[pick(countof(ends) - !odds(20) - !odds(20))]);
    }
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (odds(5))
        ((uint64_t *)f)[pick(n)] = mt_random(&seed);
    struct sock_fprog p = {n, f};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, odds(2) ? SECCOMP_FILTER_FLAG_TSYNC : odds(4) ? pick(32) : 0, &p);
}

static void others_memory(void)
{
    pid_t pid = any_kin();
    struct iovec mine = {area + pick(32) * PAGE, pick(5 * PAGE)}, its = {odds(3) ? (void *)(uintptr_t)mt_random(&seed) : odds(3) ? (void *)code : area + pick(AREA), pick(5 * PAGE)};
    static const char *const names[] = {"maps", "status", "stat", "environ", "cmdline", "mem", "task", "fd", "fdinfo", "exe", "cwd", "ns/uts", "smaps", "limits", "wchan", "syscall"};
    char path[64];
    syscall(odds(3) ? SYS_process_vm_writev : SYS_process_vm_readv, pid, &mine, 1, &its, 1, 0);
    snprintf(path, sizeof path, "/proc/%d/%s", pid, names[pick(countof(names))]);
    int fd = open(path, odds(3) ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return;
    pread(fd, area + 33 * PAGE, PAGE, odds(2) ? 0 : (off_t)(uintptr_t)area);
    if (odds(2))
        pwrite(fd, area, 100, (off_t)((uintptr_t)area + pick(AREA)));
    if (odds(4))
        setns(fd, 0);
    syscall(SYS_getdents64, fd, area + 34 * PAGE, PAGE);
    close(fd);
}

static void system_v(void)
{
    struct timespec soon = {0, 400000};
    int id;
    switch (pick(3)) {
    case 0: {
        id = shmget((key_t)(1 + pick(3)), PAGE * (1 + pick(8)), IPC_CREAT | 0666);
        char *m = shmat(id, NULL, odds(4) ? SHM_RDONLY : 0);
        if (m != (void *)-1 && odds(2))
            *(volatile char *)m += 1; // may be for reading only
        if (odds(2))
            shmctl(id, IPC_RMID, NULL);
        if (m != (void *)-1 && odds(2))
            shmdt(m);
        break;
    }
    case 1: {
        id = semget((key_t)(1 + pick(3)), 4, IPC_CREAT | 0666);
        struct sembuf b[3];
        for (int i = 0; i < 3; i++)
            b[i] = (struct sembuf){(unsigned short)pick(4), (short)((int)pick(5) - 2), (short)(odds(2) ? SEM_UNDO : odds(3) ? IPC_NOWAIT : 0)};
        semtimedop(id, b, 1 + pick(3), &soon);
        if (odds(5))
            semctl(id, 0, IPC_RMID);
        if (odds(3))
            semctl(id, (int)pick(4), SETVAL, pick(4));
        break;
    }
    default:
        id = msgget((key_t)(1 + pick(3)), IPC_CREAT | 0666);
        *(long *)area = 1 + pick(3);
        msgsnd(id, area, pick(2000), odds(2) ? IPC_NOWAIT : 0); // the timer interrupts the other half
        msgrcv(id, area + 2 * PAGE, pick(2000), (long)pick(5) - 2, (odds(2) ? IPC_NOWAIT : 0) | (odds(2) ? MSG_NOERROR : 0));
        if (odds(5))
            msgctl(id, IPC_RMID, NULL);
        break;
    }
}

static void queues(void)
{
    struct mq_attr attr = {.mq_maxmsg = 1 + pick(10), .mq_msgsize = 64};
    char path[16];
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    snprintf(path, sizeof path, "/q%u", pick(3));
    mqd_t q = mq_open(path, O_RDWR | O_CREAT | (odds(2) ? O_NONBLOCK : 0), 0666, &attr);
    if (q < 0)
        return;
    struct sigevent e = {.sigev_notify = odds(2) ? SIGEV_SIGNAL : SIGEV_NONE, .sigev_signo = SIGUSR1};
    if (odds(2))
        mq_notify(q, &e);
    mq_timedsend(q, area, pick(65), pick(4), &soon);
    mq_timedreceive(q, area + PAGE, 64, NULL, &soon);
    if (odds(3))
        mq_unlink(path);
    if (odds(2))
        mq_close(q);
}

static void terminals(void)
{
    int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK), n = 0;
    struct termios t;
    struct winsize w = {10, 20, 0, 0};
    if (m < 0)
        return;
    ioctl(m, TIOCSPTLCK, &n);
    int s = ioctl(m, _IO('T', 0x41), O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (odds(4) && fork() == 0) {
        setsid();
        ioctl(s, TIOCSCTTY, 0);
        close(m);
        acts(pick(1000), 3);
        _exit(0);
    }
    if (s >= 0 && tcgetattr(s, &t) == 0) {
        t.c_lflag ^= 1u << pick(16);
        t.c_oflag ^= 1u << pick(8);
        t.c_iflag ^= 1u << pick(12);
        tcsetattr(s, (int)pick(3), &t);
    }
    write(m, "a\003b\032c\004\n\021\023\177\027\n", 12);
    write(s, area, pick(6000));
    read(m, area + PAGE, pick(6000));
    read(s, area + PAGE, pick(6000));
    ioctl(m, TIOCSWINSZ, &w);
    ioctl(odds(2) ? m : s, TIOCPKT, &n);
    if (odds(2))
        close(m);
    if (odds(2))
        close(s);
}

// Code that makes calls, by several threads, while it is written, protected, moved and taken away.
static void calls_from_code(void)
{
    static const uint8_t body[] = {0xb8, 0x6e, 0, 0, 0, 0x0f, 0x05, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xc3, // mov eax, getppid; syscall; cmp; ret
        0x90, 0x90, 0x90, 0x6a, 0x6e, 0x58, 0x0f, 0x05, 0x48, 0x89, 0xc2, 0x48, 0x89, 0xd0, 0xc3};   // push; pop; syscall; mov; mov; ret
    switch (pick(7)) {
    case 0:
        memcpy(code, body, sizeof body);
        break;
    case 1: mprotect(code, PAGE, PROT_READ | PROT_EXEC); break;
    case 2: mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC); break;
    case 3:
        if (odds(9))
            mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memcpy(code, body, sizeof body);
        break;
    default:
        for (int i = 0; i < 40; i++) {
            if (code[0] == 0xb8 || code[0] == 0xff || code[0] == 0xe9)
                ((long (*)(void))(void *)code)();
            ((long (*)(void))(void *)(code + 16))();
        }
        break;
    }
}

static void locks(void)
{
    struct timespec soon = {0, 300000};
    _Atomic uint32_t *w = &words[pick(8)];
    static const int ops[] = {FUTEX_WAIT, FUTEX_WAKE, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET};
    int op = ops[pick(countof(ops))];
    syscall(SYS_futex, w, op | (odds(2) ? FUTEX_PRIVATE_FLAG : 0), op == FUTEX_WAKE ? 9 : atomic_load(w), op == FUTEX_LOCK_PI ? NULL : &soon, NULL, ~0);
    syscall(SYS_futex, w, FUTEX_CMP_REQUEUE, 1, 5, &words[pick(8)], atomic_load(w));
    if (odds(9))
        syscall(SYS_set_robust_list, odds(2) ? (void *)area : (void *)(uintptr_t)mt_random(&seed), 24);
    if (odds(3))
        *(uint64_t *)(area + pick(8) * 8) = odds(2) ? (uintptr_t)area + pick(64) : mt_random(&seed);
}

// Programs that are none, or nearly one.
static void wrong_programs(void)
{
    char path[32];
    static char b[48 * 1024];
    snprintf(path, sizeof path, "x%d", gettid());
    int in = open("/bin/true", O_RDONLY), out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
    ssize_t n = in < 0 ? 0 : read(in, b, sizeof b);
    close(in);
    if (out < 0)
        return;
    if (odds(5))
        n = snprintf(b, sizeof b, "#!%s %s\n", odds(2) ? path : "/bin/true", odds(2) ? "a b" : "");
    else
        for (uint32_t i = 0, k = 1 + pick(4); i < k && n > 0; i++) {
            uint32_t at = odds(2) ? pick(64) : pick(odds(2) ? 64 + 13 * 56 : (uint32_t)n);
            if (odds(2))
                b[at] = (char)pick(256);
            else
                memcpy(&b[at & ~7u], (uint64_t[]){odds(2) ? ~0ull >> pick(64) : 1ull << pick(64)}, 8);
        }
    if (odds(6))
        n = pick((uint32_t)n + 1);
    write(out, b, (size_t)n);
    close(out);
    pid_t pid = odds(2) ? vfork() : fork();
    if (pid == 0) {
        execl(path, "x", NULL);
        _exit(0);
    }
    remember(pid);
    if (odds(2))
        unlink(path);
}

static void aio(void)
{
    aio_context_t c = 0;
    int p[2];
    if (pipe(p) != 0 || syscall(SYS_io_setup, 8, &c) != 0)
        return;
    struct iocb one = {.aio_lio_opcode = odds(2) ? IOCB_CMD_POLL : IOCB_CMD_PREAD, .aio_fildes = (uint32_t)p[0], .aio_buf = odds(2) ? POLLIN : (uintptr_t)area, .aio_nbytes = 0}, *list = &one;
    syscall(SYS_io_submit, c, 1, &list);
    if (odds(2))
        write(p[1], "x", 1);
    if (odds(2))
        syscall(SYS_io_cancel, c, &one, area + 50 * PAGE);
    if (odds(2))
        syscall(SYS_io_destroy, c);
    close(p[0]);
    close(p[1]);
}

static void passes(void)
{
    int s[2];
    if (socketpair(AF_UNIX, odds(2) ? SOCK_STREAM : SOCK_DGRAM, 0, s) != 0)
        return;
    char c[CMSG_SPACE(12)];
    struct iovec v = {area, 5};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){CMSG_LEN(12), SOL_SOCKET, SCM_RIGHTS};
    struct io_uring_params p = {0};
    int r = u_setup(4, &p);
    memcpy(CMSG_DATA(h), (int[]){s[0], s[1], r < 0 ? 0 : r}, 12);
    sendmsg(s[0], &m, MSG_DONTWAIT); // they hold themselves
    if (odds(3))
        recvmsg(s[1], &m, MSG_DONTWAIT);
    close(s[0]);
    close(s[1]);
    close(r);
}

static void memory(void)
{
    char *at = area + pick(32) * PAGE;
    switch (pick(8)) {
    case 0: mmap(at, PAGE * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
    case 1: madvise(at, PAGE * 3, (int)pick(26)); break;
    case 2: mprotect(at, PAGE, PROT_READ); mprotect(at, PAGE, PROT_READ | PROT_WRITE); break;
    case 3: {
        char *m = mmap(NULL, PAGE * 9, PROT_READ | PROT_WRITE, (odds(2) ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS, -1, 0);
        char *n = m == MAP_FAILED ? m : mremap(m, PAGE * 9, PAGE * (1 + pick(40)), MREMAP_MAYMOVE);
        if (n != MAP_FAILED && odds(2))
            munmap(n, PAGE);
        break;
    }
    case 4: sbrk(PAGE * (long)pick(4)); break;
    case 5: msync(at, PAGE, MS_SYNC); mlock(at, PAGE * 4); break;
    case 6: syscall(SYS_membarrier, 1 << pick(5), 0, 0); break;
    default: memset(at, (int)pick(256), PAGE); break;
    }
}

static void states(void)
{
    char host[9] = "hostile";
    switch (pick(12)) {
    case 0: unshare(CLONE_NEWUTS); sethostname(host, 1 + pick(7)); break;
    case 1: unshare((int)(1u << (8 + pick(24)))); break;
    case 2: prctl((int)pick(70), pick(4), pick(4), 0, 0); break;
    case 3: setpgid(0, odds(2) ? 0 : any_kin()); break;
    case 4: setsid(); break;
    case 5: setrlimit((int[]){RLIMIT_AS, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_SIGPENDING}[pick(6)], &(struct rlimit){pick(1u << pick(30)) + 1000, RLIM_INFINITY}); break;
    case 6: setpriority(PRIO_PROCESS, 0, 10 + (int)pick(9)); break;
    case 7: syscall(SYS_personality, odds(2) ? 0xffffffffu : 0x40000); break;
    case 8: syscall(SYS_kcmp, getpid(), any_kin(), pick(8), pick(9), pick(9)); break;
    case 9: syscall(SYS_set_tid_address, odds(2) ? (void *)&words[9] : (void *)(uintptr_t)mt_random(&seed)); break;
    case 10: {
        stack_t ss = {area + 48 * PAGE, 0, 8 * PAGE};
        sigaltstack(&ss, NULL);
        break;
    }
    default: {
        struct sigaction sa = {.sa_handler = nothing, .sa_flags = (int)pick(8) << 28 | (odds(2) ? SA_ONSTACK : 0)};
        sa.sa_flags &= ~SA_RESETHAND;
        sigaction(((int[]){SIGUSR1, SIGALRM, SIGCHLD, SIGSEGV, SIGSYS})[pick(5)], &sa, NULL);
        break;
    }
    }
}

static void waits(void)
{
    int st;
    siginfo_t i;
    for (int k = 0; k < 3; k++)
        if (odds(2))
            waitpid(-1, &st, (int)(WNOHANG | (pick(2) ? WUNTRACED | WCONTINUED : 0) | (pick(2) ? __WALL : 0)));
        else
            waitid(odds(2) ? P_ALL : P_PID, (id_t)any_kin(), &i, WNOHANG | WEXITED | (odds(2) ? WNOWAIT : 0) | WSTOPPED);
    int fd = (int)syscall(SYS_pidfd_open, any_kin(), 0);
    syscall(SYS_pidfd_getfd, fd, pick(30), 0);
    syscall(SYS_pidfd_send_signal, fd, odds(2) ? 0 : SIGUSR1, NULL, 0);
    close(fd);
}

static void *in_thread(void *arg)
{
    uint64_t n = (uintptr_t)arg;
    sow(n);
    interrupt_every(3000);
    remember(gettid());
    acts(n, ACTS / 2);
    if (odds(3))
        syscall(SYS_exit, 0); // not as a thread ends
    return NULL;
}

static void threads(void)
{
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 * 1024);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    if (atomic_load(&depth) < 3)
        pthread_create(&t, &a, in_thread, (void *)(uintptr_t)(mt_random(&seed) >> 20));
}

static void (*const all[])(void) = {a_ring, a_ring, forks, clones, signals, signals, traces, filters, others_memory, system_v, queues, terminals, calls_from_code, calls_from_code,
    locks, wrong_programs, aio, passes, memory, memory, states, waits, waits, threads};

static void acts(uint64_t n, int count)
{
    sow(n);
    for (int i = 0; i < count; i++) {
        uint32_t k = pick(countof(all));
        if (all[k] == filters && !odds(6))
            continue;
        atomic_fetch_add(&counts->acts[k].tried, 1);
        all[k]();
        atomic_fetch_add(&counts->acts[k].good, 1);
        atomic_fetch_add(&counts->made, 1);
        if (odds(100))
            again();
        if (odds(200))
            kill(getpid(), SIGKILL);
    }
}

static void a_process(uint64_t n)
{
    sow(n);
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(code, 0xc3, 32);
    memcpy(code + PAGE, "\x31\xff\xb8\x3c\0\0\0\x0f\x05", 9); // exit(0)
    mkdir("/tmp/lives", 0777);
    if (chdir("/tmp/lives") != 0)
        return;
    for (int s = 1; s < 64; s++)
        if (s != SIGSEGV && s != SIGBUS && s != SIGILL && s != SIGFPE && s != SIGTRAP && (s < 32 || s > 33) && s != SIGTERM && s != SIGSYS)
            signal(s, nothing);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){200, 200});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){4 << 20, 4 << 20});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    interrupt_every(3000);
    for (int i = 0; i < 2; i++)
        threads();
    acts(n, ACTS);
    if (odds(3))
        again();
    if (odds(3))
        syscall(SYS_exit, 0); // the others go on without the first
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "again") == 0) {
        open_counts();
        atomic_store(&depth, atoi(argv[3]));
        a_process(strtoull(argv[2], NULL, 0));
        return 0;
    }
    return hostile_main(argc, argv, 3, a_process);
}
