// System calls that are made so often that whoever runs the program may replace the instruction: the result, the comparison behind the call,
// and threads that wait in it at that moment. Each test has call instructions of its own.
#include "moat_test.h"
#include <signal.h>

#define ROUNDS 3000
#define THREADS 4

// read(2) as libc makes it: no number in an instruction of its own, and a comparison right behind the call.
#define HOT_READ(name)                                                                                          \
    __attribute__((noinline, aligned(64))) static long name(int fd, void *to, size_t length, unsigned char *failed) \
    {                                                                                                           \
        long result = 0;                                                                                        \
        __asm__ volatile("xor %%eax, %%eax\n\tsyscall\n\tcmp $-4096, %%rax\n\tseta %1"                          \
                         : "+a"(result), "=q"(*failed)                                                          \
                         : "D"(fd), "S"(to), "d"(length)                                                        \
                         : "rcx", "r11", "memory", "cc");                                                       \
        return result;                                                                                          \
    }

typedef long hot_read(int, void *, size_t, unsigned char *);

struct reader {
    hot_read *read;
    int pipe[2];
    long rounds, interrupted;
};

static void check_read(struct reader *r, unsigned char expected)
{
    unsigned char byte = expected + 1, failed = 2;
    long n = r->read(r->pipe[0], &byte, 1, &failed);
    CHECK_EQ(failed, n < 0);
    if (n == -EINTR) {
        r->interrupted++;
        check_read(r, expected);
        return;
    }
    CHECK_EQ(n, 1);
    CHECK_EQ(byte, expected);
}

static void *reads(void *arg)
{
    struct reader *r = arg;
    for (long i = 0; i < r->rounds; i++)
        check_read(r, (unsigned char)i);
    return NULL;
}

static void send_byte(struct reader *r, long i)
{
    unsigned char byte = i;
    CHECK_EQ(write(r->pipe[1], &byte, 1), 1);
}

static void open_reader(struct reader *r, hot_read *read, long rounds)
{
    *r = (struct reader){ .read = read, .rounds = rounds };
    OK0(pipe(r->pipe));
}

static void close_reader(struct reader *r)
{
    close(r->pipe[0]);
    close(r->pipe[1]);
}

HOT_READ(alone_read)

TEST(one_thread)
{
    struct reader r;
    open_reader(&r, alone_read, ROUNDS);
    for (long i = 0; i < ROUNDS; i++) {
        send_byte(&r, i);
        check_read(&r, (unsigned char)i);
    }
    unsigned char failed = 0;
    CHECK_EQ(alone_read(-1, &r, 1, &failed), -EBADF);
    CHECK_EQ(failed, 1);
    close_reader(&r);
}

HOT_READ(waited_read)

// All but one wait in the call while it becomes hot, and return through what is there then.
TEST(others_wait_in_the_call)
{
    struct reader r[THREADS + 1];
    pthread_t t[THREADS];
    for (int i = 0; i <= THREADS; i++)
        open_reader(&r[i], waited_read, 100);
    for (int i = 0; i < THREADS; i++)
        t[i] = mt_thread(reads, &r[i]);
    for (long round = 0; round < 100; round++) {
        for (long i = 0; i < ROUNDS / 100; i++) {
            send_byte(&r[THREADS], i);
            check_read(&r[THREADS], (unsigned char)i);
        }
        for (int i = 0; i < THREADS; i++)
            send_byte(&r[i], round);
    }
    for (int i = 0; i < THREADS; i++)
        OK0(pthread_join(t[i], NULL));
    for (int i = 0; i <= THREADS; i++)
        close_reader(&r[i]);
}

HOT_READ(busy_read)

TEST(others_run)
{
    struct reader r[THREADS];
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        open_reader(&r[i], busy_read, ROUNDS);
        t[i] = mt_thread(reads, &r[i]);
    }
    for (long round = 0; round < ROUNDS; round++)
        for (int i = 0; i < THREADS; i++)
            send_byte(&r[i], round);
    for (int i = 0; i < THREADS; i++) {
        OK0(pthread_join(t[i], NULL));
        close_reader(&r[i]);
    }
}

HOT_READ(signalled_read)

static void on_signal(int signal)
{
    (void)signal;
}

// Handlers return to the address behind the call, which may have moved since.
TEST(handlers_return_into_the_call)
{
    struct sigaction action = { .sa_handler = on_signal };
    OK0(sigaction(SIGUSR2, &action, NULL));
    struct reader r, hot;
    open_reader(&r, signalled_read, 200);
    open_reader(&hot, signalled_read, ROUNDS);
    pthread_t t = mt_thread(reads, &r);
    for (long round = 0; round < 200; round++) {
        for (long i = 0; i < ROUNDS / 200; i++) {
            send_byte(&hot, i);
            check_read(&hot, (unsigned char)i);
        }
        OK0(pthread_kill(t, SIGUSR2));
        sched_yield();
        send_byte(&r, round);
    }
    OK0(pthread_join(t, NULL));
    CHECK(r.interrupted <= 200);
    close_reader(&r);
    close_reader(&hot);
}
