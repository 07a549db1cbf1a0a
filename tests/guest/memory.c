// mmap, munmap, mprotect, mremap, brk, madvise, msync and what /proc/self/maps says of them.
#include "fault.h"
#include <sys/resource.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t len) { return OK(mmap(NULL, len, RW, ANON, -1, 0)); }

struct line {
    unsigned long start, end, offset, inode;
    char perms[8], path[512];
};

// The line of /proc/self/maps that covers the address.
static bool find_line(const void *addr, struct line *l)
{
    FILE *f = fopen("/proc/self/maps", "re");
    CHECK(f != NULL);
    char text[1024];
    bool found = false;
    while (!found && fgets(text, sizeof text, f)) {
        int at = 0, major, minor;
        l->path[0] = 0;
        int n = sscanf(text, "%lx-%lx %7s %lx %x:%x %lu %n", &l->start, &l->end, l->perms, &l->offset, &major, &minor,
                       &l->inode, &at);
        if (n != 7) {
            fclose(f);
            FAIL("not a maps line: %s", text);
        }
        text[strcspn(text, "\n")] = 0;
        snprintf(l->path, sizeof l->path, "%s", text + at);
        found = l->start <= (unsigned long)addr && (unsigned long)addr < l->end;
    }
    fclose(f);
    return found;
}

TEST(anon_is_zero_and_writable)
{
    char *p = map(64 * PAGE);
    CHECK_EQ((uintptr_t)p % PAGE, 0);
    for (size_t i = 0; i < 64 * PAGE; i++)
        CHECK(p[i] == 0);
    memset(p, 0xab, 64 * PAGE);
    OK(munmap(p, 64 * PAGE));
    CHECK_FAULT(p, FAULT_READ, SIGSEGV, SEGV_MAPERR);
}

TEST(munmap_in_the_middle)
{
    char *p = map(8 * PAGE);
    memset(p, 1, 8 * PAGE);
    OK(munmap(p + 3 * PAGE, 2 * PAGE));
    CHECK_NO_FAULT(p + 3 * PAGE - 1, FAULT_WRITE);
    CHECK_FAULT(p + 3 * PAGE, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_FAULT(p + 5 * PAGE - 1, FAULT_WRITE, SIGSEGV, SEGV_MAPERR);
    CHECK_NO_FAULT(p + 5 * PAGE, FAULT_WRITE);
    CHECK_EQ(p[5 * PAGE + 1], 1);
    OK(munmap(p, 8 * PAGE)); // over a hole
    OK(munmap(p, 8 * PAGE)); // of nothing
}

TEST(munmap_errors)
{
    char *p = map(2 * PAGE);
    CHECK_ERR(munmap(p + 1, PAGE), EINVAL);
    CHECK_ERR(munmap(p, 0), EINVAL);
    CHECK_ERR(munmap((void *)(1ul << 60), PAGE), EINVAL);
    CHECK_ERR(munmap(p, ~0ul - PAGE), EINVAL);
    OK(munmap(p, 1)); // rounded up
    CHECK_FAULT(p + PAGE - 1, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_NO_FAULT(p + PAGE, FAULT_READ);
    OK(munmap(p + PAGE, PAGE));
}

TEST(mmap_errors)
{
    int fd = mt_file("f", 3 * PAGE), dir = OK(open(".", O_RDONLY)), p[2];
    CHECK_ERR(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, 250, 0), EBADF);
    CHECK_ERR((void *)syscall(SYS_mmap, NULL, PAGE, RW, MAP_PRIVATE, fd, 1), EINVAL);
    CHECK_ERR(mmap((void *)(16 * PAGE + 1), PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, ~0ul, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(mmap(NULL, 1ul << 47, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
    CHECK_ERR(mmap((void *)(1ul << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(mmap((void *)((1ul << 47) - 2 * PAGE), 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, (off_t)(LLONG_MAX & ~(PAGE - 1))), EOVERFLOW);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | (1 << 21), fd, 0), EOPNOTSUPP);
    OK(pipe(p));
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, p[0], 0), ENODEV);
    int path = OK(open("f", O_PATH));
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, path, 0), EBADF);
    int fds[] = {fd, dir, p[0], p[1], path};
    for (unsigned i = 0; i < countof(fds); i++)
        OK(close(fds[i]));
}

TEST(access_mode_of_the_descriptor)
{
    OK(close(mt_file("f", PAGE)));
    int ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), EACCES);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0), EACCES);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
    CHECK_ERR(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0), EACCES);
    char *p = OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0)); // private: the file is never written
    p[0] ^= 1;
    char *s = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
    CHECK_ERR(mprotect(s, PAGE, RW), EACCES);
    CHECK_EQ((unsigned char)s[0], mt_byte(0));
    OK(munmap(p, PAGE));
    OK(munmap(s, PAGE));
    OK(close(ro));
    OK(close(wo));
}

TEST(fixed_replaces)
{
    char *p = map(4 * PAGE);
    memset(p, 7, 4 * PAGE);
    CHECK_EQ(mmap(p + PAGE, 2 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), p + PAGE);
    CHECK_EQ(p[PAGE - 1], 7);
    CHECK_EQ(p[PAGE], 0);
    CHECK_FAULT(p + PAGE, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_EQ(p[3 * PAGE], 7);
    OK(munmap(p, 4 * PAGE));
}

TEST(fixed_noreplace)
{
    char *p = map(4 * PAGE);
    p[0] = 5;
    CHECK_ERR(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_ERR(mmap(p + 3 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_EQ(p[0], 5);
    OK(munmap(p + PAGE, PAGE));
    CHECK_EQ(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p + PAGE);
    OK(munmap(p, 4 * PAGE));
}

TEST(hints)
{
    char *p = map(16 * PAGE);
    OK(munmap(p, 16 * PAGE));
    char *q = OK(mmap(p, 4 * PAGE, RW, ANON, -1, 0)); // free: taken
    CHECK_EQ(q, p);
    char *r = OK(mmap(p, 4 * PAGE, RW, ANON, -1, 0)); // taken: elsewhere
    CHECK(r != p);
    OK(munmap(q, 4 * PAGE));
    OK(munmap(r, 4 * PAGE));
    char *low = OK(mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0));
    CHECK((uintptr_t)low < 1ul << 31);
    OK(munmap(low, PAGE));
    // A hint below 2 GiB counts with it, one above does not.
    char *hinted = OK(mmap((void *)0x50000000, PAGE, RW, ANON | MAP_32BIT, -1, 0));
    CHECK_EQ((uintptr_t)hinted, 0x50000000);
    char *above = OK(mmap((void *)0x550000000, PAGE, RW, ANON | MAP_32BIT, -1, 0));
    CHECK((uintptr_t)above < 1ul << 31);
    OK(munmap(hinted, PAGE));
    OK(munmap(above, PAGE));
}

TEST(large_reservations)
{
    // Language runtimes reserve far more than there is memory.
    char *p = OK(mmap(NULL, 1ul << 38, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    OK(mprotect(p + (1ul << 37), 16 * PAGE, RW));
    p[(1ul << 37) + 5] = 9;
    CHECK_EQ(p[(1ul << 37) + 5], 9);
    CHECK_FAULT(p + (1ul << 36), FAULT_READ, SIGSEGV, SEGV_ACCERR);
    OK(munmap(p, 1ul << 38));
    char *q = OK(mmap(NULL, 8ul << 30, RW, ANON | MAP_NORESERVE, -1, 0)); // sparse, never filled
    for (size_t off = 0; off < 8ul << 30; off += 512ul << 20)
        q[off] = 1;
    OK(munmap(q, 8ul << 30));
}

TEST(mprotect_splits_and_faults)
{
    char *p = map(5 * PAGE);
    memset(p, 3, 5 * PAGE);
    OK(mprotect(p + PAGE, PAGE, PROT_READ));
    OK(mprotect(p + 3 * PAGE, PAGE, PROT_NONE));
    CHECK_NO_FAULT(p, FAULT_WRITE);
    CHECK_NO_FAULT(p + PAGE, FAULT_READ);
    CHECK_FAULT(p + PAGE + 8, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_NO_FAULT(p + 2 * PAGE, FAULT_WRITE);
    CHECK_FAULT(p + 3 * PAGE, FAULT_READ, SIGSEGV, SEGV_ACCERR);
    OK(mprotect(p, 5 * PAGE, RW));
    CHECK_EQ(p[3 * PAGE + 1], 3);
    CHECK_NO_FAULT(p + PAGE, FAULT_WRITE);
    OK(munmap(p, 5 * PAGE));
}

TEST(mprotect_errors)
{
    char *p = map(4 * PAGE);
    CHECK_ERR(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
    CHECK_ERR(mprotect(p, PAGE, 0x40), EINVAL);
    CHECK_ERR(mprotect(p, PAGE, PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
    CHECK_ERR(mprotect(p, ~0ul & ~(PAGE - 1), PROT_READ), ENOMEM);
    OK(mprotect(p, 0, PROT_READ));
    CHECK_NO_FAULT(p, FAULT_WRITE);
    OK(munmap(p + 2 * PAGE, PAGE));
    CHECK_ERR(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
    CHECK_FAULT(p + PAGE, FAULT_WRITE, SIGSEGV, SEGV_ACCERR); // what lies before the hole was changed
    CHECK_NO_FAULT(p + 3 * PAGE, FAULT_WRITE);
    OK(munmap(p, 4 * PAGE));
}

TEST(code_made_at_run_time)
{
    unsigned char *p = OK(mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0));
    int (*fn)(void) = (int (*)(void))p;
    for (int i = 0; i < 200; i++) {
        memcpy(p, "\xb8\x00\x00\x00\x00\xc3", 6); // mov eax, imm32; ret
        p[1] = (unsigned char)i;
        CHECK_EQ(fn(), i);
    }
    OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    CHECK_EQ(fn(), 199);
    CHECK_FAULT(p, FAULT_WRITE, SIGSEGV, SEGV_ACCERR);
    OK(mprotect(p, PAGE, RW));
    CHECK_FAULT(p, FAULT_EXEC, SIGSEGV, SEGV_ACCERR);
    // A system call from fresh code, and from code that is written over afterwards.
    memcpy(p, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8); // mov eax, 39 (getpid); syscall; ret
    OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    for (int i = 0; i < 100; i++)
        CHECK_EQ(fn(), getpid());
    OK(mprotect(p, PAGE, RW));
    p[1] = 0x6e; // getppid
    OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    for (int i = 0; i < 100; i++)
        CHECK_EQ(fn(), getppid());
    OK(munmap(p, PAGE));
}

TEST(private_file_map)
{
    int fd = mt_file("f", 3 * PAGE);
    unsigned char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, PAGE));
    CHECK_EQ(mt_differs(p, 2 * PAGE, PAGE), -1);
    p[10] = 0xee;
    unsigned char b;
    CHECK_EQ(pread(fd, &b, 1, PAGE + 10), 1);
    CHECK_EQ(b, mt_byte(PAGE + 10));
    CHECK_EQ(pwrite(fd, "Z", 1, PAGE + 20), 1); // the page has a private copy now
    CHECK_EQ(p[20], mt_byte(PAGE + 20));
    OK(close(fd));
    CHECK_EQ(p[10], 0xee); // the mapping keeps the file
    OK(munmap(p, 2 * PAGE));
}

TEST(private_read_only_map_sees_the_file)
{
    int fd = mt_file("f", 2 * PAGE);
    unsigned char *p = OK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    CHECK_EQ(p[100], mt_byte(100));
    CHECK_EQ(pwrite(fd, "Z", 1, 100), 1);
    CHECK_EQ(p[100], 'Z');
    OK(mprotect(p, 2 * PAGE, RW));
    p[101] = 'Y';
    CHECK_EQ(p[100], 'Z');
    unsigned char b[2];
    CHECK_EQ(pread(fd, b, 2, 100), 2);
    CHECK_EQ(b[1], mt_byte(101));
    OK(munmap(p, 2 * PAGE));
    OK(close(fd));
}

TEST(shared_file_map)
{
    int fd = mt_file("f", 4 * PAGE);
    unsigned char *p = OK(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));
    unsigned char *q = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 2 * PAGE));
    CHECK_EQ(mt_differs(p, 4 * PAGE, 0), -1);
    memcpy(p + 2 * PAGE - 2, "abcd", 4);
    CHECK_EQ(q[0], 'c');
    q[1] = 'X';
    CHECK_EQ(p[2 * PAGE + 1], 'X');
    char b[5] = "";
    CHECK_EQ(pread(fd, b, 4, 2 * PAGE - 2), 4);
    CHECK_STR(b, "abcX");
    CHECK_EQ(pwrite(fd, "1234", 4, 2 * PAGE - 2), 4);
    CHECK_EQ(memcmp(p + 2 * PAGE - 2, "1234", 4), 0);
    OK(msync(p, 4 * PAGE, MS_SYNC));
    OK(munmap(p, 4 * PAGE));
    OK(close(fd));
    q[3] = 'Q'; // still mapped
    OK(munmap(q, PAGE));
    fd = OK(open("f", O_RDONLY));
    CHECK_EQ(pread(fd, b, 1, 2 * PAGE + 3), 1);
    CHECK_EQ(b[0], 'Q');
    OK(close(fd));
}

TEST(last_page_of_a_file)
{
    int fd = mt_file("f", PAGE + 100);
    unsigned char *p = OK(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));
    CHECK_EQ(p[PAGE + 99], mt_byte(PAGE + 99));
    for (size_t i = PAGE + 100; i < 2 * PAGE; i++)
        CHECK(p[i] == 0);
    p[PAGE + 100] = 'x'; // beyond the end: never part of the file
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, PAGE + 100);
    CHECK_FAULT(p + 2 * PAGE, FAULT_READ, SIGBUS, BUS_ADRERR);
    CHECK_FAULT(p + 3 * PAGE + 5, FAULT_WRITE, SIGBUS, BUS_ADRERR);
    OK(ftruncate(fd, 3 * PAGE));
    CHECK_EQ(p[2 * PAGE], 0);
    p[2 * PAGE] = 'k';
    OK(ftruncate(fd, 50));
    CHECK_FAULT(p + PAGE, FAULT_READ, SIGBUS, BUS_ADRERR);
    CHECK_EQ(p[49], mt_byte(49));
    CHECK_EQ(p[50], 0);
    OK(ftruncate(fd, 3 * PAGE));
    CHECK_EQ(p[2 * PAGE], 0); // cut off and gone
    OK(munmap(p, 4 * PAGE));
    OK(close(fd));
}

TEST(private_map_beyond_the_end)
{
    int fd = mt_file("f", 10);
    unsigned char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));
    CHECK_EQ(p[9], mt_byte(9));
    CHECK_EQ(p[10], 0);
    CHECK_FAULT(p + PAGE, FAULT_WRITE, SIGBUS, BUS_ADRERR);
    CHECK_FAULT(p + PAGE + 1, FAULT_READ, SIGBUS, BUS_ADRERR);
    char b[16];
    CHECK_ERR(read(fd, p + PAGE, 8), EFAULT); // a system call gets EFAULT, not SIGBUS
    CHECK_EQ(pread(fd, b, sizeof b, 0), 10);
    OK(munmap(p, 2 * PAGE));
    OK(close(fd));
}

TEST(memfd_and_dev_zero)
{
    int fd = OK(memfd_create("shared", MFD_CLOEXEC));
    OK(ftruncate(fd, 2 * PAGE));
    char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0)), *q = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
    p[PAGE] = 'm';
    CHECK_EQ(q[PAGE], 'm');
    struct line l;
    CHECK(find_line(p, &l));
    CHECK_STR(l.perms, "rw-s");
    CHECK_STR(l.path, "/memfd:shared (deleted)");
    OK(munmap(p, 2 * PAGE));
    OK(munmap(q, 2 * PAGE));
    OK(close(fd));
    fd = OK(open("/dev/zero", O_RDWR));
    p = OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));
    CHECK_EQ(p[PAGE + 1], 0);
    p[PAGE + 1] = 1;
    OK(munmap(p, 2 * PAGE));
    p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
    p[PAGE] = 2;
    OK(munmap(p, 2 * PAGE));
    OK(close(fd));
    p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    CHECK_EQ(p[0], 0);
    p[PAGE] = 3;
    OK(madvise(p, 2 * PAGE, MADV_DONTNEED)); // shared: the contents stay
    CHECK_EQ(p[PAGE], 3);
    OK(munmap(p, 2 * PAGE));
}

TEST(populate_and_lock)
{
    char *p = OK(mmap(NULL, 64 * PAGE, RW, ANON | MAP_POPULATE, -1, 0));
    unsigned char in[64];
    OK(mincore(p, 64 * PAGE, in));
    for (int i = 0; i < 64; i++)
        CHECK_EQ(in[i] & 1, 1);
    OK(mlock(p, 4 * PAGE));
    OK(munlock(p, 4 * PAGE));
    OK(munmap(p, 64 * PAGE));
    CHECK_ERR(mincore(p, PAGE, in), ENOMEM);
    CHECK_ERR(mlock(p, PAGE), ENOMEM);
    int fd = mt_file("f", PAGE);
    p = OK(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0)); // beyond the end: no error
    CHECK_EQ((unsigned char)p[1], mt_byte(1));
    OK(munmap(p, 4 * PAGE));
    OK(close(fd));
}

TEST(mremap_grows_and_shrinks)
{
    char *p = map(16 * PAGE);
    memset(p, 5, 16 * PAGE);
    CHECK_EQ(mremap(p, 16 * PAGE, 4 * PAGE, 0), p);
    CHECK_FAULT(p + 4 * PAGE, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(mremap(p, 4 * PAGE, 8 * PAGE, 0), p); // room behind it: in place
    CHECK_EQ(p[4 * PAGE - 1], 5);
    CHECK_EQ(p[4 * PAGE], 0);
    CHECK_EQ(mmap(p + 8 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0), p + 8 * PAGE);
    CHECK_ERR(mremap(p, 8 * PAGE, 9 * PAGE, 0), ENOMEM); // no room and may not move
    char *q = OK(mremap(p, 8 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE));
    CHECK(q != p);
    CHECK_FAULT(p, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(q[0], 5);
    CHECK_EQ(q[1023 * PAGE], 0);
    q[1023 * PAGE] = 6;
    OK(munmap(q, 1024 * PAGE));
    OK(munmap(p + 8 * PAGE, PAGE));
}

TEST(mremap_fixed)
{
    char *p = map(4 * PAGE), *target = map(8 * PAGE);
    memset(p, 1, 4 * PAGE);
    memset(target, 2, 8 * PAGE);
    CHECK_EQ(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + 2 * PAGE), target + 2 * PAGE);
    CHECK_FAULT(p, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(target[2 * PAGE - 1], 2);
    CHECK_EQ(target[2 * PAGE], 1);
    CHECK_EQ(target[6 * PAGE], 2);
    // Part of a mapping moves; the rest stays.
    char *elsewhere = map(PAGE);
    CHECK_EQ(mremap(target + 3 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere), elsewhere);
    CHECK_EQ(elsewhere[0], 1);
    CHECK_FAULT(target + 3 * PAGE, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(target[4 * PAGE], 1);
    OK(munmap(target, 8 * PAGE));
    OK(munmap(elsewhere, PAGE));
}

TEST(mremap_dontunmap)
{
    char *p = map(4 * PAGE);
    memset(p, 1, 4 * PAGE);
    char *q = OK(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */, NULL));
    CHECK(q != p);
    CHECK_EQ(q[PAGE], 1);
    CHECK_EQ(p[PAGE], 0); // mapped still, and empty
    p[PAGE] = 3;
    CHECK_EQ(q[PAGE], 1);
    CHECK_ERR(mremap(p, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | 4, NULL), EINVAL);
    OK(munmap(p, 4 * PAGE));
    OK(munmap(q, 4 * PAGE));
}

TEST(mremap_of_files)
{
    int fd = mt_file("f", 8 * PAGE);
    unsigned char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, PAGE));
    unsigned char *copy = OK(mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE)); // old size 0: a second view
    copy[5] = 'c';
    CHECK_EQ(p[5], 'c');
    OK(munmap(copy, 2 * PAGE));
    unsigned char *q = OK(mremap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
    CHECK_EQ(mt_differs(q + PAGE, 5 * PAGE, 2 * PAGE), -1);
    q[5 * PAGE] = 'z';
    unsigned char b;
    CHECK_EQ(pread(fd, &b, 1, 6 * PAGE), 1);
    CHECK_EQ(b, 'z');
    OK(munmap(q, 6 * PAGE));
    OK(close(fd));
}

TEST(mremap_errors)
{
    char *p = map(4 * PAGE);
    CHECK_ERR(mremap(p + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERR(mremap(p, PAGE, 0, 0), EINVAL);
    CHECK_ERR(mremap(p, PAGE, PAGE, 64), EINVAL);
    CHECK_ERR(mremap(p, PAGE, PAGE, MREMAP_FIXED, p + 2 * PAGE), EINVAL);                      // FIXED needs MAYMOVE
    CHECK_ERR(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL); // overlap
    CHECK_ERR(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * PAGE + 1), EINVAL);
    OK(munmap(p + 2 * PAGE, 2 * PAGE));
    CHECK_ERR(mremap(p + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERR(mremap(p, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERR(mremap(p, 2 * PAGE, 1ul << 50, MREMAP_MAYMOVE), EINVAL);
    OK(munmap(p, 2 * PAGE));
}

TEST(brk_moves)
{
    char *start = (char *)syscall(SYS_brk, 0);
    char *end = (char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1));
    CHECK_EQ(syscall(SYS_brk, start), start);
    CHECK_EQ(syscall(SYS_brk, end + 10 * PAGE), end + 10 * PAGE);
    for (size_t i = 0; i < 10 * PAGE; i++)
        CHECK(end[i] == 0);
    memset(end, 9, 10 * PAGE);
    struct line l;
    CHECK(find_line(end, &l));
    CHECK_STR(l.path, "[heap]");
    CHECK_STR(l.perms, "rw-p");
    CHECK_EQ(syscall(SYS_brk, end + 5 * PAGE + 1), end + 5 * PAGE + 1); // any byte
    CHECK_EQ(end[5 * PAGE], 9);
    CHECK_FAULT(end + 6 * PAGE, FAULT_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(syscall(SYS_brk, 1), end + 5 * PAGE + 1); // below the start: nothing changes, no error
    CHECK_EQ(syscall(SYS_brk, 1ul << 60), end + 5 * PAGE + 1);
    CHECK_EQ(syscall(SYS_brk, end + 10 * PAGE), end + 10 * PAGE);
    CHECK_EQ(end[7 * PAGE], 0); // given back, so zero again
    CHECK_EQ(syscall(SYS_brk, start), start);
}

TEST(madvise_dontneed)
{
    char *p = map(8 * PAGE);
    memset(p, 4, 8 * PAGE);
    OK(madvise(p + 2 * PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK_EQ(p[2 * PAGE - 1], 4);
    CHECK_EQ(p[2 * PAGE], 0);
    CHECK_EQ(p[4 * PAGE - 1], 0);
    CHECK_EQ(p[4 * PAGE], 4);
    p[2 * PAGE] = 1;
    CHECK_EQ(p[2 * PAGE], 1);
    OK(munmap(p, 8 * PAGE));
    int fd = mt_file("f", PAGE);
    unsigned char *q = OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
    q[7] = 0;
    OK(madvise(q, PAGE, MADV_DONTNEED));
    CHECK_EQ(q[7], mt_byte(7)); // back to the file
    OK(munmap(q, PAGE));
    OK(close(fd));
}

TEST(madvise_kinds_and_errors)
{
    char *p = map(4 * PAGE);
    const int fine[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK,
                        MADV_DONTDUMP, MADV_DODUMP};
    for (unsigned i = 0; i < countof(fine); i++)
        OK(madvise(p, 4 * PAGE, fine[i]));
    OK(madvise(p, 4 * PAGE, 23 /* MADV_POPULATE_WRITE */));
    OK(madvise(p, 4 * PAGE, 22 /* MADV_POPULATE_READ */));
    OK(madvise(p, 0, MADV_NORMAL));
    CHECK_ERR(madvise(p, PAGE, 999), EINVAL);
    CHECK_ERR(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
    CHECK_ERR(madvise(p, -PAGE + 1, MADV_NORMAL), EINVAL);
    OK(munmap(p + PAGE, PAGE));
    memset(p + 2 * PAGE, 7, PAGE);
    CHECK_ERR(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_EQ(p[2 * PAGE], 0); // done behind the hole all the same
    CHECK_ERR(madvise(p, PAGE, MADV_REMOVE), EINVAL); // private
    OK(munmap(p, 4 * PAGE));
}

TEST(msync_errors)
{
    int fd = mt_file("f", 4 * PAGE);
    char *p = OK(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));
    OK(msync(p, 4 * PAGE, MS_ASYNC));
    OK(msync(p, 4 * PAGE, MS_SYNC | MS_INVALIDATE));
    OK(msync(p, 0, MS_SYNC));
    CHECK_ERR(msync(p, PAGE, MS_ASYNC | MS_SYNC), EINVAL);
    CHECK_ERR(msync(p, PAGE, 0x100), EINVAL);
    CHECK_ERR(msync(p + 1, PAGE, MS_SYNC), EINVAL);
    OK(munmap(p + PAGE, PAGE));
    CHECK_ERR(msync(p, 4 * PAGE, MS_SYNC), ENOMEM);
    OK(munmap(p, 4 * PAGE));
    OK(close(fd));
}

TEST(maps_lines)
{
    int fd = mt_file("mapped file", 8 * PAGE);
    struct stat st;
    OK(fstat(fd, &st));
    char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 2 * PAGE)), path[PATH_MAX];
    struct line l;
    CHECK(find_line(p + PAGE, &l));
    CHECK_EQ(l.start, p);
    CHECK_EQ(l.end, p + 4 * PAGE);
    CHECK_STR(l.perms, "r-xp");
    CHECK_EQ(l.offset, 2 * PAGE);
    CHECK_EQ(l.inode, st.st_ino);
    snprintf(path, sizeof path, "%s/mapped file", getcwd(path, sizeof path) ? strdupa(path) : "?");
    CHECK_STR(l.path, path);
    OK(mprotect(p + PAGE, PAGE, PROT_NONE));
    CHECK(find_line(p + 3 * PAGE, &l));
    CHECK_EQ(l.start, p + 2 * PAGE);
    CHECK_EQ(l.offset, 4 * PAGE);
    CHECK(find_line(p + PAGE, &l));
    CHECK_STR(l.perms, "---p");
    OK(unlink("mapped file"));
    CHECK(find_line(p, &l));
    CHECK(strlen(l.path) > 10 && strcmp(l.path + strlen(l.path) - 10, " (deleted)") == 0);
    OK(munmap(p, 4 * PAGE));
    CHECK(!find_line(p, &l));
    OK(close(fd));
    // Neighbours of one kind are one line.
    p = OK(mmap(NULL, 3 * PAGE, PROT_NONE, ANON, -1, 0));
    for (int i = 0; i < 3; i++)
        OK(mmap(p + i * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    CHECK(find_line(p, &l));
    CHECK(l.start <= (uintptr_t)p && l.end >= (uintptr_t)p + 3 * PAGE);
    OK(munmap(p, 3 * PAGE));
    int local;
    CHECK(find_line(&local, &l));
    CHECK_STR(l.path, "[stack]");
    CHECK(find_line((void *)(uintptr_t)find_line, &l));
    CHECK_STR(l.perms, "r-xp");
}

TEST(address_space_limit)
{
    struct rlimit old, tight;
    OK(getrlimit(RLIMIT_AS, &old));
    tight = old;
    tight.rlim_cur = 512ul << 20;
    OK(setrlimit(RLIMIT_AS, &tight));
    void *p = mmap(NULL, 1ul << 30, RW, ANON, -1, 0);
    int e = errno;
    OK(setrlimit(RLIMIT_AS, &old));
    CHECK_EQ((long)p, -1);
    CHECK_EQ(e, ENOMEM);
}

TEST(many_mappings)
{
    enum { N = 4000 };
    char *p = map(2 * N * PAGE);
    for (int i = 0; i < N; i++)
        OK(mprotect(p + 2 * i * PAGE, PAGE, i % 2 ? PROT_READ : PROT_NONE));
    for (int i = 0; i < N; i++)
        p[(2 * i + 1) * PAGE] = (char)i;
    for (int i = 0; i < N; i++)
        CHECK_EQ(p[(2 * i + 1) * PAGE], (char)i);
    OK(munmap(p, 2 * N * PAGE));
}

struct churn {
    uint64_t seed;
    long bad;
};

static void *churn(void *arg)
{
    struct churn *c = arg;
    for (int i = 0; i < 300 && !c->bad; i++) {
        size_t pages = 1 + mt_random(&c->seed) % 32;
        char *p = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
        if (p == MAP_FAILED) {
            c->bad = -errno;
            break;
        }
        for (size_t j = 0; j < pages; j++)
            p[j * PAGE] = (char)(i + j);
        if (pages > 4 && mprotect(p + PAGE, PAGE, PROT_READ) != 0)
            c->bad = 1;
        for (size_t j = 0; j < pages; j++)
            if (p[j * PAGE] != (char)(i + j))
                c->bad = 2;
        if (munmap(p, pages * PAGE) != 0)
            c->bad = 3;
    }
    return NULL;
}

TEST(threads_map_and_unmap)
{
    struct churn c[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        c[i] = (struct churn){.seed = 77 + i};
        t[i] = mt_thread(churn, &c[i]);
    }
    for (int i = 0; i < 4; i++)
        OK0(pthread_join(t[i], NULL));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(c[i].bad, 0);
}
