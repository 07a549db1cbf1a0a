// run:
// cflags: -nostdlib -nostartfiles -ffreestanding -fno-stack-protector
// A program without libc: what the kernel puts on the stack, and nothing but write and exit_group.
#include <elf.h>
#include <stddef.h>
#include <sys/syscall.h>

static long call3(long nr, long a, long b, long c)
{
    long ret;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return ret;
}

static void put(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    call3(SYS_write, 1, (long)s, (long)n);
}

static void check(int ok, const char *what)
{
    put(ok ? "ok " : "WRONG ");
    put(what);
    put("\n");
}

__attribute__((used)) void start(unsigned long *sp)
{
    check(((unsigned long)sp & 15) == 0, "stack aligned to 16");
    unsigned long argc = sp[0];
    check(argc == 1, "argc is 1");
    char **argv = (char **)(sp + 1);
    check(argv[0] && argv[argc] == NULL, "argv ends with NULL");
    char **env = argv + argc + 1;
    while (*env)
        env++;
    Elf64_auxv_t *aux = (Elf64_auxv_t *)(env + 1);
    unsigned long v[64] = {0}, seen = 0;
    for (; aux->a_type != AT_NULL; aux++)
        if (aux->a_type < 64) {
            v[aux->a_type] = aux->a_un.a_val;
            seen |= 1ul << aux->a_type;
        }
    check(v[AT_PAGESZ] == 4096, "AT_PAGESZ");
    check(v[AT_PHENT] == sizeof(Elf64_Phdr) && v[AT_PHNUM] > 0 && v[AT_PHDR] != 0, "AT_PHDR, AT_PHENT, AT_PHNUM");
    check(v[AT_CLKTCK] == 100, "AT_CLKTCK");
    check((seen >> AT_BASE & 1) && v[AT_BASE] == 0, "AT_BASE is 0 without an interpreter");
    extern char _start[];
    check(v[AT_ENTRY] == (unsigned long)_start, "AT_ENTRY");
    check(v[AT_RANDOM] != 0, "AT_RANDOM");
    check(v[AT_EXECFN] != 0 && *(char *)v[AT_EXECFN] != 0, "AT_EXECFN");
    check((seen >> AT_UID & 1) && (seen >> AT_EUID & 1) && (seen >> AT_GID & 1) && (seen >> AT_EGID & 1), "AT_UID ...");
    check((seen >> AT_SECURE & 1) && v[AT_SECURE] == 0, "AT_SECURE is 0");
    check(v[AT_PLATFORM] && *(char *)v[AT_PLATFORM] == 'x', "AT_PLATFORM");
    check(v[AT_HWCAP] != 0, "AT_HWCAP");
    unsigned zero = 0;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)v[AT_PHDR];
    for (unsigned long i = 0; i < v[AT_PHNUM]; i++)
        zero |= ph[i].p_type == PT_LOAD;
    check(zero, "program headers readable");
    check(call3(SYS_write, 1, 0, 1) == -14, "write from NULL is -EFAULT");
    check(call3(0x3fffffff, 0, 0, 0) == -38, "an unknown call is -ENOSYS");
    call3(SYS_exit_group, 3, 0, 0);
}

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n call start\n");
