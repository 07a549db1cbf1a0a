// Sealed memory, limits on memory, barriers, other processes' memory, pages in the cache, private pages of files.
#include "moat_test.h"
#include <linux/membarrier.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#define P 4096

static char *anon(size_t pages, int prot)
{
    return OK(mmap(NULL, pages * P, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int seal(void *at, size_t len) { return syscall(SYS_mseal, at, len, 0); }

// Runs in a child, which reports by its exit code; what is sealed or limited stays there.
static void in_child(void (*body)(void))
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        mt.thread = pthread_self();
        if (sigsetjmp(mt.out, 1) == 0) {
            body();
            _exit(0);
        }
        mt_put("# %s\n", mt.why);
        _exit(1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void sealing(void)
{
    char *p = anon(6, PROT_READ | PROT_WRITE);
    CHECK_ERR(syscall(SYS_mseal, p, P, 1), EINVAL);
    CHECK_ERR(seal(p + 1, P), EINVAL);
    CHECK_ERR(seal(p, -1ul), EINVAL);
    OK(seal(p, 0));
    OK(munmap(p + 5 * P, P));
    CHECK_ERR(seal(p + 3 * P, 3 * P), ENOMEM);
    OK(mprotect(p + 3 * P, P, PROT_READ)); // nothing was sealed
    OK(mprotect(p + 3 * P, P, PROT_READ | PROT_WRITE));
    OK(seal(p + P, 2 * P));
    OK(seal(p + P, P));
    CHECK_ERR(munmap(p, 6 * P), EPERM);
    p[0] = p[4 * P] = 1; // all or nothing
    CHECK_ERR(mprotect(p + P, P, PROT_READ), EPERM);
    CHECK_ERR(mmap(p + 2 * P, 2 * P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0, EPERM);
    CHECK_ERR(mremap(p + P, P, 2 * P, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EPERM);
    CHECK_ERR(mremap(p + P, 2 * P, P, 0) == MAP_FAILED ? -1 : 0, EPERM);
    CHECK_ERR(mremap(p, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, p + P) == MAP_FAILED ? -1 : 0, EPERM);
    OK(madvise(p + P, P, MADV_DONTNEED)); // it may be written anyway
    OK(madvise(p + P, P, MADV_WILLNEED));
    OK(munmap(p, P));
    OK(munmap(p + 3 * P, 2 * P));

    char *r = anon(2, PROT_READ | PROT_WRITE);
    r[0] = 7;
    OK(mprotect(r, 2 * P, PROT_READ));
    OK(seal(r, P));
    CHECK_ERR(madvise(r, P, MADV_DONTNEED), EPERM);
    CHECK_ERR(madvise(r, P, MADV_FREE), EPERM);
    CHECK_ERR(madvise(r, P, MADV_DONTFORK), EPERM);
    CHECK_ERR(madvise(r, P, MADV_WIPEONFORK), EPERM);
    CHECK_EQ(r[0], 7);
    OK(madvise(r + P, P, MADV_DONTNEED));
}
TEST(mseal) { in_child(sealing); }

static void address_space(void)
{
    char *p = anon(4, PROT_READ);
    OK(setrlimit(RLIMIT_AS, &(struct rlimit){0, RLIM_INFINITY}));
    CHECK_ERR(mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
    CHECK_ERR(mremap(p, 4 * P, 5 * P, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, ENOMEM);
    void *now = sbrk(0);
    CHECK_ERR(brk((char *)now + 64 * P), ENOMEM);
    OK(mprotect(p, P, PROT_READ | PROT_WRITE));
    OK(munmap(p, P));
    OK(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
    anon(1, PROT_READ);
}
TEST(rlimit_as) { in_child(address_space); }

static void data(void)
{
    char *p = anon(8, PROT_READ), *s = anon(4, PROT_READ | PROT_WRITE);
    OK(setrlimit(RLIMIT_DATA, &(struct rlimit){P, RLIM_INFINITY}));
    CHECK_ERR(mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
    CHECK_ERR(mprotect(p, P, PROT_READ | PROT_WRITE), ENOMEM);
    void *now = sbrk(0);
    CHECK_ERR(brk((char *)now + 64 * P), ENOMEM);
    anon(1, PROT_READ); // not writable, or shared: no data
    OK(mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    OK(mprotect(s, 4 * P, PROT_READ));
    OK(setrlimit(RLIMIT_DATA, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
    OK(mprotect(p, P, PROT_READ | PROT_WRITE));
}
TEST(rlimit_data) { in_child(data); }

static volatile sig_atomic_t signals;
static void count(int s) { (void)s, signals++; }

static void cpu(void)
{
    signal(SIGXCPU, count);
    OK(setrlimit(RLIMIT_CPU, &(struct rlimit){1, RLIM_INFINITY}));
    while (!signals)
        ;
    struct rlimit now;
    OK(getrlimit(RLIMIT_CPU, &now));
    CHECK_EQ(now.rlim_cur, 2); // the next one comes a second later
    OK(setrlimit(RLIMIT_CPU, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
}
TEST(rlimit_cpu) { in_child(cpu); }

TEST(rlimit_cpu_kills)
{
    for (int hard = 0; hard < 2; hard++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            if (hard)
                signal(SIGXCPU, SIG_IGN);
            setrlimit(RLIMIT_CPU, &(struct rlimit){0, hard ? 1 : RLIM_INFINITY});
            for (;;)
                ;
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), hard ? SIGKILL : SIGXCPU);
    }
}

static void size(void)
{
    signal(SIGXFSZ, count);
    int fd = mt_file("f", 100);
    OK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){200, RLIM_INFINITY}));
    char buf[150] = "";
    CHECK_EQ(pwrite(fd, buf, 150, 100), 100);
    CHECK_EQ(signals, 0);
    CHECK_ERR(pwrite(fd, buf, 1, 200), EFBIG);
    CHECK_EQ(signals, 1);
    CHECK_ERR(ftruncate(fd, 201), EFBIG);
    CHECK_EQ(signals, 2);
    OK(ftruncate(fd, 150));
    CHECK_ERR(posix_fallocate(fd, 0, 201) ? (errno = EFBIG, -1) : 0, EFBIG);
    CHECK_EQ(signals, 3);
}
TEST(rlimit_fsize) { in_child(size); }

static void barriers(void)
{
    long known = OK(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0));
    CHECK(known & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK(known & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
    CHECK(known & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    if (known & MEMBARRIER_CMD_GLOBAL)
        OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
    CHECK_EQ(syscall(SYS_membarrier, 512, 0, 0), 0); // GET_REGISTRATIONS
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0), EPERM);
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0), EPERM);
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
    OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
    CHECK_EQ(syscall(SYS_membarrier, 512, 0, 0), MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
             MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 2, 0), EINVAL);
    CHECK_ERR(syscall(SYS_membarrier, 3, 0, 0), EINVAL);
}
TEST(membarrier_commands) { in_child(barriers); }

TEST(process_vm)
{
    char *p = anon(4, PROT_READ | PROT_WRITE);
    strcpy(p, "parent");
    int go[2], ready[2];
    OK(pipe(go));
    OK(pipe(ready));
    pid_t pid = OK(fork());
    if (pid == 0) {
        mt_pattern(p + P, 2 * P, 77);
        munmap(p + 3 * P, P);
        char c = 0;
        if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
            _exit(2);
        _exit(strcmp(p, "from outside") == 0 ? 0 : 1);
    }
    char c, buf[3 * P];
    CHECK_EQ(read(ready[0], &c, 1), 1);
    struct iovec here[] = {{buf, 100}, {buf + 100, 2 * P - 100}}, there[] = {{p + P, P + 1}, {p + 2 * P + 1, P - 1}};
    CHECK_EQ(process_vm_readv(pid, here, 2, there, 2, 0), 2 * P);
    CHECK_EQ(mt_differs(buf, 2 * P, 77), -1);
    there[0] = (struct iovec){p + 2 * P, 2 * P}; // the second page is not there
    here[0] = (struct iovec){buf, 3 * P};
    CHECK_EQ(process_vm_readv(pid, here, 1, there, 1, 0), P);
    there[0] = (struct iovec){p + 3 * P, P};
    CHECK_ERR(process_vm_readv(pid, here, 1, there, 1, 0), EFAULT);
    CHECK_ERR(process_vm_readv(pid, here, 1, there, 1, 1), EINVAL);
    CHECK_ERR(process_vm_readv(pid, here, 1025, there, 1, 0), EINVAL);
    CHECK_ERR(process_vm_readv(1 << 22, here, 1, there, 1, 0), ESRCH);
    CHECK_EQ(process_vm_readv(pid, here, 0, there, 1, 0), 0);
    there[0] = (struct iovec){p, 13};
    here[0] = (struct iovec){"from outside", 13};
    CHECK_EQ(process_vm_writev(pid, here, 1, there, 1, 0), 13);
    CHECK_STR(p, "parent");
    CHECK_EQ(write(go[1], &c, 1), 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    for (int i = 0; i < 2; i++)
        close(go[i]), close(ready[i]);
    OK(munmap(p, 4 * P));
}

TEST(process_madvise_self)
{
    char *p = anon(3, PROT_READ | PROT_WRITE);
    memset(p, 1, 3 * P);
    int fd = OK(syscall(SYS_pidfd_open, getpid(), 0));
    struct iovec v[] = {{p, P}, {p + 2 * P, P}};
    CHECK_EQ(syscall(SYS_process_madvise, fd, v, 2, MADV_DONTNEED, 0), 2 * P);
    CHECK_EQ(p[0], 0);
    CHECK_EQ(p[P], 1);
    CHECK_EQ(p[2 * P], 0);
    OK(munmap(p + 2 * P, P));
    CHECK_EQ(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0), P);
    CHECK_ERR(syscall(SYS_process_madvise, fd, v + 1, 1, MADV_COLD, 0), ENOMEM);
    CHECK_ERR(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 1), EINVAL);
    CHECK_ERR(syscall(SYS_process_madvise, -1, v, 1, MADV_COLD, 0), EBADF);
    CHECK_ERR(syscall(SYS_process_madvise, fd, v, 1025, MADV_COLD, 0), EINVAL);
    close(fd);
    OK(munmap(p, 2 * P));
}

TEST(cachestats)
{
    struct { uint64_t off, len; } range = {0, 0};
    struct { uint64_t cached, dirty, writeback, evicted, recent; } now;
    int fd = mt_file("f", 10 * P);
    OK(syscall(SYS_cachestat, fd, &range, &now, 0));
    CHECK_EQ(now.cached, 10);
    range.off = 2 * P + 5;
    range.len = P;
    OK(syscall(SYS_cachestat, fd, &range, &now, 0));
    CHECK_EQ(now.cached, 2);
    CHECK_ERR(syscall(SYS_cachestat, fd, &range, &now, 1), EINVAL);
    CHECK_ERR(syscall(SYS_cachestat, fd, NULL, &now, 0), EFAULT);
    CHECK_ERR(syscall(SYS_cachestat, fd, &range, NULL, 0), EFAULT);
    CHECK_ERR(syscall(SYS_cachestat, -1, &range, &now, 0), EBADF);
    close(fd);
}

static sigjmp_buf out;
static volatile int fault;
static void on_fault(int s) { fault = s, siglongjmp(out, 1); }

static int touch(volatile char *p)
{
    fault = 0;
    if (sigsetjmp(out, 1) == 0)
        *p;
    return fault;
}

TEST(private_pages_follow_the_file_until_written)
{
    signal(SIGBUS, on_fault);
    int fd = mt_file("f", 4 * P), pipes[2];
    char *p = OK(mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    CHECK_EQ(pwrite(fd, "new", 4, 0), 4);
    CHECK_EQ(pwrite(fd, "new", 4, P), 4);
    CHECK_STR(p, "new");
    p[1] = 'o'; // now it is its own
    CHECK_EQ(pwrite(fd, "newer", 6, 0), 6);
    CHECK_STR(p, "now");
    OK(pipe(pipes)); // written by a system call
    CHECK_EQ(write(pipes[1], "pipe", 5), 5);
    CHECK_EQ(read(pipes[0], p + P, 5), 5);
    CHECK_EQ(pwrite(fd, "newest", 7, P), 7);
    CHECK_STR(p + P, "pipe");
    char check[8];
    CHECK_EQ(pread(fd, check, 7, P), 7);
    CHECK_STR(check, "newest");
    OK(madvise(p, P, MADV_DONTNEED));
    CHECK_STR(p, "newer");
    p[3 * P] = 1;
    OK(ftruncate(fd, P));
    CHECK_EQ(touch(p), 0);
    CHECK_EQ(touch(p + P), SIGBUS); // own pages beyond the end go, too
    CHECK_EQ(touch(p + 3 * P), SIGBUS);
    OK(ftruncate(fd, 4 * P));
    CHECK_EQ(touch(p + 3 * P), 0);
    CHECK_EQ(p[3 * P], 0);
    close(pipes[0]);
    close(pipes[1]);
    close(fd);
    OK(munmap(p, 4 * P));
}

// A private page of a file that nobody has written yet, and one shared with a child, through /proc/self/mem.
TEST(written_through_proc)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600), mem = open("/proc/self/mem", O_RDWR);
    CHECK(fd >= 0 && mem >= 0);
    char *block = malloc(16384);
    memset(block, 'f', 16384);
    CHECK_EQ(write(fd, block, 16384), 16384);
    char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(pwrite(mem, "new", 3, (off_t)(uintptr_t)p + 5000), 3);
    CHECK_EQ(memcmp(p + 4999, "fnewf", 5), 0);
    CHECK_EQ(pread(fd, block, 5, 4999), 5);
    CHECK_EQ(memcmp(block, "fffff", 5), 0);
    munmap(p, 16384);
    free(block);
    close(fd);
    close(mem);
}
