// The guest half of the benchmarks: each prints the nanoseconds of one operation, the median of several rounds; with
// `-n COUNT` first it does COUNT operations and prints nothing.
//
//   bench getppid | sigsys | mmap | thread | fork | fork-big | exec | ping-pong | pread FILE | pread-shm | socket | nop BATCH | read BATCH FILE | net BATCH
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define BLOCK 4096
#define FILE_BYTES (4 << 20)
#define ROUNDS 9
#define ROUND_NS 50000000ull

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Runs `work(n)`, which does n operations, in rounds of about ROUND_NS each; the median.
static double measure(void (*work)(long))
{
    long n = 1;
    uint64_t t;
    do {
        n *= 2;
        uint64_t begin = now();
        work(n);
        t = now() - begin;
    } while (t < ROUND_NS / 4);
    n = n * ((double)ROUND_NS / t);
    if (n < 1)
        n = 1;
    double rounds[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t begin = now();
        work(n);
        rounds[i] = (double)(now() - begin) / n;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, compare);
    return rounds[ROUNDS / 2];
}

static void getppid_work(long n)
{
    while (n--)
        syscall(SYS_getppid);
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 1;
}

// getppid traps into a handler in this process: the least that a trap can cost.
static void trap_getppid(void)
{
    struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &action, NULL);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = 4, .filter = filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        die("seccomp");
}

static void mmap_work(long n)
{
    while (n--) {
        char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            die("mmap");
        munmap(p, 65536);
    }
}

static void *nothing(void *p)
{
    return p;
}

static void thread_work(long n)
{
    while (n--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, nothing, NULL))
            die("pthread_create");
        pthread_join(thread, NULL);
    }
}

static void end_child(pid_t pid)
{
    int status;
    if (pid < 0)
        die("fork");
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("waitpid");
}

static void fork_work(long n)
{
    while (n--) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        end_child(pid);
    }
}

static void exec_work(long n)
{
    while (n--) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        end_child(pid);
    }
}

static int there[2], back[2];

static void make_partner(void)
{
    if (pipe(there) || pipe(back))
        die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        close(there[1]);
        for (char c; read(there[0], &c, 1) == 1;)
            if (write(back[1], &c, 1) != 1)
                break;
        _exit(0);
    }
}

static void ping_pong_work(long n)
{
    char c = 0;
    while (n--)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
            die("a pipe");
}

static int file;
static char *buffer;

static void pread_work(long n)
{
    off_t at = 0;
    while (n--) {
        if (pread(file, buffer, BLOCK, at) != BLOCK)
            die("pread");
        at = (at + BLOCK) % FILE_BYTES;
    }
}

static void open_file(const char *path, int create)
{
    file = open(path, create ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0600);
    if (file < 0)
        die(path);
    for (off_t at = 0; at < FILE_BYTES; at += BLOCK) {
        if (create ? pwrite(file, buffer, BLOCK, at) != BLOCK : pread(file, buffer, BLOCK, at) != BLOCK)
            die(path);
    }
}

static int pair[2];

static void make_pair(void)
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        die("socketpair");
}

// A message through a pair of sockets: two calls.
static void socket_work(long n)
{
    while (n--) {
        if (send(pair[0], buffer, 1000, 0) != 1000 || recv(pair[1], buffer, BLOCK, 0) != 1000)
            die("send, recv");
    }
}

static struct {
    int fd;
    unsigned *sq_tail, *sq_array, *cq_head, *cq_tail, sq_mask, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;
static int batch, opcode, expected;

static void ring_setup(void)
{
    struct io_uring_params p = { 0 };
    ring.fd = syscall(SYS_io_uring_setup, 128, &p);
    if (ring.fd < 0)
        die("io_uring_setup");
    size_t sq = p.sq_off.array + p.sq_entries * 4, cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
    ring.sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
    if (rings == MAP_FAILED || ring.sqes == MAP_FAILED)
        die("mmap of the rings");
    ring.sq_tail = (unsigned *)(rings + p.sq_off.tail);
    ring.sq_mask = *(unsigned *)(rings + p.sq_off.ring_mask);
    ring.sq_array = (unsigned *)(rings + p.sq_off.array);
    ring.cq_head = (unsigned *)(rings + p.cq_off.head);
    ring.cq_tail = (unsigned *)(rings + p.cq_off.tail);
    ring.cq_mask = *(unsigned *)(rings + p.cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
}

static void ring_work(long n)
{
    static off_t at;
    for (long done = 0; done < n; done += batch) {
        unsigned tail = *ring.sq_tail;
        for (int i = 0; i < batch; i++, tail++) {
            struct io_uring_sqe *sqe = &ring.sqes[tail & ring.sq_mask];
            memset(sqe, 0, sizeof *sqe);
            sqe->opcode = opcode;
            sqe->user_data = i;
            if (opcode == IORING_OP_READ) {
                sqe->fd = file;
                sqe->addr = (uintptr_t)(buffer + (size_t)i * BLOCK);
                sqe->len = BLOCK;
                sqe->off = at;
                at = (at + BLOCK) % FILE_BYTES;
            }
            if (opcode == IORING_OP_SEND) {
                // One message that is there when it is asked for, one that is waited for.
                bool sends = i % 4 == 0 || i % 4 == 3;
                sqe->opcode = sends ? IORING_OP_SEND : IORING_OP_RECV;
                sqe->fd = pair[sends ? 0 : 1];
                sqe->addr = (uintptr_t)(buffer + (size_t)i * BLOCK);
                sqe->len = expected;
            }
            ring.sq_array[tail & ring.sq_mask] = tail & ring.sq_mask;
        }
        __atomic_store_n(ring.sq_tail, tail, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, ring.fd, batch, batch, IORING_ENTER_GETEVENTS, NULL, 0) != batch)
            die("io_uring_enter");
        unsigned head = *ring.cq_head, end = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
        if (end - head != (unsigned)batch)
            die("completions are missing");
        for (; head != end; head++) {
            if (ring.cqes[head & ring.cq_mask].res != expected)
                die("a completion is wrong");
        }
        __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
    }
}

int main(int argc, char **argv)
{
    long count = 0;
    if (argc > 2 && !strcmp(argv[1], "-n")) {
        count = atol(argv[2]);
        argv += 2, argc -= 2;
    }
    const char *name = argc > 1 ? argv[1] : "";
    void (*work)(long) = NULL;
    buffer = aligned_alloc(BLOCK, 128 * BLOCK);
    memset(buffer, 1, 128 * BLOCK);
    if (!strcmp(name, "getppid")) {
        work = getppid_work;
    } else if (!strcmp(name, "sigsys")) {
        trap_getppid();
        work = getppid_work;
    } else if (!strcmp(name, "mmap")) {
        work = mmap_work;
    } else if (!strcmp(name, "thread")) {
        work = thread_work;
    } else if (!strcmp(name, "fork")) {
        work = fork_work;
    } else if (!strcmp(name, "fork-big")) {
        size_t size = 1ul << 30;
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            die("mmap");
        memset(memory, 1, size);
        work = fork_work;
    } else if (!strcmp(name, "exec")) {
        work = exec_work;
    } else if (!strcmp(name, "ping-pong")) {
        make_partner();
        work = ping_pong_work;
    } else if (!strcmp(name, "pread") && argc > 2) {
        open_file(argv[2], 0);
        work = pread_work;
    } else if (!strcmp(name, "pread-shm")) {
        char path[64];
        snprintf(path, sizeof path, "/dev/shm/moat-bench.%d", getpid());
        open_file(path, 1);
        unlink(path);
        work = pread_work;
    } else if (!strcmp(name, "socket")) {
        make_pair();
        work = socket_work;
    } else if (argc > 2 && !strcmp(name, "net")) {
        batch = atoi(argv[2]);
        if (batch < 4 || batch > 128 || batch % 4)
            return 2;
        opcode = IORING_OP_SEND;
        expected = 64;
        make_pair();
        ring_setup();
        work = ring_work;
    } else if (argc > 2 && (!strcmp(name, "nop") || (!strcmp(name, "read") && argc > 3))) {
        batch = atoi(argv[2]);
        opcode = *name == 'n' ? IORING_OP_NOP : IORING_OP_READ;
        if (batch < 1 || batch > 128)
            return 2;
        if (opcode == IORING_OP_READ) {
            expected = BLOCK;
            open_file(argv[3], 0);
        }
        ring_setup();
        work = ring_work;
    } else {
        fprintf(stderr, "usage: see the head of bench.c\n");
        return 2;
    }
    if (count > 0)
        work(count);
    else
        printf("%.1f\n", measure(work));
    return 0;
}
