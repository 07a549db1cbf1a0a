// What happens when memory runs out: the sandbox has 192 MiB, the host natively a limit on addresses.
// moat: --memory 192M
#include "moat_test.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define MiB (1UL << 20)

static int child_status(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

TEST(reservations_are_free)
{
    for (int i = 0; i < 3; i++)
    {
        char *p = mmap(NULL, 8UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(p != MAP_FAILED);
        p[0] = 1;
        p[(8UL << 30) - 1] = 2;
        CHECK(p[0] + p[(8UL << 30) - 1] == 3);
        CHECK(munmap(p, 8UL << 30) == 0);
    }
    char *none = mmap(NULL, 64UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(none != MAP_FAILED);
    CHECK(mprotect(none + MiB, 8 * MiB, PROT_READ | PROT_WRITE) == 0);
    memset(none + MiB, 1, 8 * MiB);
    CHECK(munmap(none, 64UL << 30) == 0);
}

TEST(touching_until_refused)
{
    pid_t pid = fork();
    if (pid == 0)
    {
        struct rlimit limit = { 512 * MiB, 512 * MiB };
        setrlimit(RLIMIT_AS, &limit);
        for (int i = 0; i < 1024; i++)
        {
            char *p = mmap(NULL, MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p == MAP_FAILED)
                _exit(errno == ENOMEM && i > 50 ? 0 : 1);
            memset(p, 1, MiB);
        }
        _exit(2);
    }
    int status = child_status(pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    char *p = mmap(NULL, 32 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 1, 32 * MiB);
    CHECK(munmap(p, 32 * MiB) == 0);
}

TEST(reserved_and_touched_too_much)
{
    pid_t pid = fork();
    if (pid == 0)
    {
        char *p = mmap(NULL, 400 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            _exit(1);
        for (size_t i = 0; i < 400 * MiB; i += 4096)
            p[i] = 1;
        // With that much touched for a while, somebody notices.
        for (int i = 0; i < 20; i++)
            usleep(20000);
        _exit(0);
    }
    int status = child_status(pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    char *p = malloc(16 * MiB);
    CHECK(p != NULL);
    memset(p, 1, 16 * MiB);
    free(p);
}

static int fill(const char *path, size_t most, size_t *written)
{
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    static char block[1 << 16];
    *written = 0;
    while (*written < most)
    {
        ssize_t n = write(fd, block, sizeof block);
        if (n < 0)
        {
            int error = errno;
            close(fd);
            return error;
        }
        *written += n;
    }
    close(fd);
    return 0;
}

TEST(files_in_memory_end_in_enospc)
{
    size_t written;
    struct statfs before, full, after;
    CHECK(statfs("/dev/shm", &before) == 0);
    int error = fill("/dev/shm/moat-fill", 160 * MiB, &written);
    CHECK(error == 0 || error == ENOSPC);
    CHECK(statfs("/dev/shm", &full) == 0);
    CHECK(full.f_blocks == before.f_blocks);
    CHECK(before.f_bfree - full.f_bfree >= written / 4096 * 9 / 10);
    if (error == ENOSPC)
        CHECK(full.f_bfree < 64);
    // The processes' half is still there.
    char *p = mmap(NULL, 40 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 1, 40 * MiB);
    CHECK(munmap(p, 40 * MiB) == 0);
    CHECK(unlink("/dev/shm/moat-fill") == 0);
    CHECK(statfs("/dev/shm", &after) == 0);
    CHECK(after.f_bfree + 256 >= before.f_bfree);
    CHECK(fill("/dev/shm/moat-fill", 32 * MiB, &written) == 0);
    CHECK(unlink("/dev/shm/moat-fill") == 0);
}

TEST(fork_of_much)
{
    char *p = mmap(NULL, 120 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 5, 120 * MiB);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
    {
        p[4096] = 6;
        _exit(p[0] + p[4096]);
    }
    int status = child_status(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 11);
    CHECK(munmap(p, 120 * MiB) == 0);
}

