// run: exit 0
// run: exit 1
// run: exit 511
// run: _exit 9
// run: return 5
// run: abort
// run: segv
// run: segv-blocked
// run: segv-ignored
// run: ill
// run: fpe
// run: trap
// run: kill 15
// run: kill 9
// run: raise 34
// run: ignored 15
// run: blocked 15
// run: thread-exit 6
// run: main-leaves
// run: atexit
// run: pipe
// run: loop-stack
// The ways a process ends: the exit code, or the signal it died of (which the shell makes 128 + signal).
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int arg;

static void *exits(void *p)
{
    exit(*(int *)p);
}

static void *late(void *p)
{
    (void)p;
    usleep(20000);
    puts("the last thread");
    fflush(stdout);
    return NULL; // the process ends with 0 when its last thread does
}

static void bye(void) { puts("atexit ran"); }

__attribute__((noinline)) static int deeper(int n)
{
    volatile char frame[4096];
    frame[0] = (char)n;
    return n < 1 << 30 ? deeper(n + 1) + frame[0] : 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    arg = argc > 2 ? atoi(argv[2]) : 0;
    printf("how: %s\n", how);
    fflush(stdout);
    if (strcmp(how, "exit") == 0)
        exit(arg);
    if (strcmp(how, "_exit") == 0)
        _exit(arg);
    if (strcmp(how, "return") == 0)
        return arg;
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        *(volatile int *)(uintptr_t)(arg + 8) = 1;
    if (strcmp(how, "segv-blocked") == 0 || strcmp(how, "segv-ignored") == 0) {
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGSEGV);
        if (how[5] == 'b')
            sigprocmask(SIG_BLOCK, &s, NULL);
        else
            signal(SIGSEGV, SIG_IGN);
        *(volatile int *)(uintptr_t)(arg + 8) = 1; // deadly all the same
    }
    if (strcmp(how, "ill") == 0)
        __asm__ volatile("ud2");
    if (strcmp(how, "fpe") == 0)
        __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx");
    if (strcmp(how, "trap") == 0)
        __asm__ volatile("int3");
    if (strcmp(how, "kill") == 0)
        kill(getpid(), arg);
    if (strcmp(how, "raise") == 0)
        raise(arg);
    if (strcmp(how, "ignored") == 0) {
        signal(arg, SIG_IGN);
        raise(arg);
        puts("still here");
    }
    if (strcmp(how, "blocked") == 0) {
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, arg);
        sigprocmask(SIG_BLOCK, &s, NULL);
        raise(arg);
        puts("not yet");
        fflush(stdout);
        sigprocmask(SIG_UNBLOCK, &s, NULL);
        puts("never printed");
    }
    pthread_t t;
    if (strcmp(how, "thread-exit") == 0) {
        pthread_create(&t, NULL, exits, &arg);
        for (;;)
            pause();
    }
    if (strcmp(how, "main-leaves") == 0) {
        pthread_create(&t, NULL, late, NULL);
        pthread_exit(NULL);
    }
    if (strcmp(how, "atexit") == 0)
        atexit(bye);
    if (strcmp(how, "pipe") == 0) {
        int p[2];
        if (pipe(p) != 0)
            return 99;
        close(p[0]);
        return write(p[1], "x", 1) == 1 ? 98 : 97; // SIGPIPE comes first
    }
    if (strcmp(how, "loop-stack") == 0)
        return deeper(0);
    return 0;
}
