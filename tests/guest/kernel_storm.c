// Random use of terminals, watches, queues and native asynchronous I/O from several threads: nothing hangs, crashes or leaks.
#include "moat_test.h"
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <termios.h>

#define ROUNDS 4000

static int fds[8];
static atomic_uint seeds;

static uint32_t next(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    return *s ^= *s << 5;
}

static void run(void *(*body)(void *))
{
    pthread_t t[4];
    seeds = 12345;
    for (int i = 0; i < 4; i++)
        OK(pthread_create(&t[i], NULL, body, NULL));
    for (int i = 0; i < 4; i++)
        OK(pthread_join(t[i], NULL));
}

static void *terminal(void *arg)
{
    static const unsigned long commands[] = {
        TCGETS, TCSETS, TCSETSW, TCSETSF, TCSBRK, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCGPGRP, TIOCOUTQ, TIOCGWINSZ, TIOCSWINSZ, FIONREAD,
        TIOCPKT, TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK, TIOCGPKT, TIOCGSID, TIOCGETD, TIOCSETD, 0x5405, 0x5406, 0x802C542A, 0x402C542B,
    };
    uint32_t s = atomic_fetch_add(&seeds, 7919);
    char b[4096];
    for (int i = 0; i < ROUNDS; i++) {
        int fd = fds[next(&s) & 1];
        for (size_t k = 0; k < 64; k += 4)
            *(uint32_t *)(b + k) = next(&s);
        switch (next(&s) % 4) {
        case 0:
            (void)!write(fd, b, next(&s) % 65);
            break;
        case 1:
            (void)!read(fd, b, next(&s) % sizeof b);
            break;
        case 2: {
            struct pollfd p = { fd, next(&s) & 0x7f, 0 };
            poll(&p, 1, 0);
            break;
        }
        default: {
            unsigned long c = commands[next(&s) % countof(commands)];
            if (c == TIOCEXCL || c == TIOCSPTLCK || c == TCXONC)
                *(int *)b = 0;
            ioctl(fd, c, next(&s) & 1 ? (void *)b : (void *)(uintptr_t)(next(&s) & 3));
            break;
        }
        }
    }
    return arg;
}

TEST(terminals)
{
    signal(SIGHUP, SIG_IGN);
    for (int round = 0; round < 3; round++) {
        int number, lock = 0;
        fds[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
        OK(ioctl(fds[0], TIOCGPTN, &number));
        OK(ioctl(fds[0], TIOCSPTLCK, &lock));
        char name[64];
        snprintf(name, sizeof name, "/dev/pts/%d", number);
        fds[1] = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
        CHECK(fds[1] >= 0);
        run(terminal);
        close(fds[round & 1]);
        close(fds[!(round & 1)]);
    }
}

static void *watcher(void *arg)
{
    uint32_t s = atomic_fetch_add(&seeds, 7919);
    char b[2048], from[16], to[16];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(from, sizeof from, "%c", 'a' + next(&s) % 4);
        snprintf(to, sizeof to, "%c", 'a' + next(&s) % 4);
        switch (next(&s) % 9) {
        case 0:
            inotify_add_watch(fds[0], from, next(&s) & 0xb7000fff);
            break;
        case 1:
            inotify_rm_watch(fds[0], next(&s) % 32);
            break;
        case 2:
            (void)!read(fds[0], b, next(&s) % sizeof b);
            break;
        case 3: {
            int fd = open(from, O_CREAT | O_RDWR, 0600);
            if (fd >= 0) {
                (void)!write(fd, "x", 1);
                close(fd);
            }
            break;
        }
        case 4:
            rename(from, to);
            break;
        case 5:
            unlink(from);
            break;
        case 6:
            mkdir(from, 0700);
            break;
        case 7:
            rmdir(from);
            break;
        default:
            link(from, to);
            break;
        }
    }
    return arg;
}

TEST(watches)
{
    fds[0] = inotify_init1(IN_NONBLOCK);
    CHECK(inotify_add_watch(fds[0], ".", IN_ALL_EVENTS) > 0);
    run(watcher);
    char b[4096];
    while (read(fds[0], b, sizeof b) > 0)
        ;
    close(fds[0]);
}

static _Atomic aio_context_t context;

static void *submitter(void *arg)
{
    static char memory[65536];
    uint32_t s = atomic_fetch_add(&seeds, 7919);
    struct io_event e[16];
    struct timespec none = { 0, 0 };
    for (int i = 0; i < ROUNDS; i++) {
        struct iocb r[4], *list[4];
        for (int k = 0; k < 4; k++) {
            memset(&r[k], 0, sizeof r[k]);
            r[k].aio_lio_opcode = next(&s) % 9;
            r[k].aio_fildes = fds[next(&s) % 5];
            r[k].aio_buf = next(&s) % 8 ? (uintptr_t)memory + next(&s) % 32768 : next(&s);
            r[k].aio_nbytes = next(&s) % 4096;
            r[k].aio_offset = next(&s) % 65536;
            if (r[k].aio_lio_opcode == IOCB_CMD_POLL) {
                r[k].aio_buf &= 0x7f;
                r[k].aio_nbytes = r[k].aio_offset = 0;
            }
            if (next(&s) % 4 == 0) {
                r[k].aio_flags = IOCB_FLAG_RESFD;
                r[k].aio_resfd = fds[4];
            }
            list[k] = &r[k];
        }
        aio_context_t c = context;
        switch (next(&s) % 8) {
        case 0:
            syscall(SYS_io_cancel, c, &r[0], e);
            break;
        case 1:
            if (next(&s) % 64 == 0) {
                aio_context_t fresh = 0;
                if (syscall(SYS_io_setup, 32, &fresh) == 0)
                    syscall(SYS_io_destroy, atomic_exchange(&context, fresh));
            }
            break;
        case 2 ... 4:
            syscall(SYS_io_getevents, c, 0, 16, e, &none);
            break;
        default:
            syscall(SYS_io_submit, c, 1 + next(&s) % 4, list);
            break;
        }
    }
    return arg;
}

TEST(native_aio)
{
    int p[2];
    aio_context_t c = 0;
    OK(syscall(SYS_io_setup, 32, &c));
    context = c;
    OK(pipe2(p, O_NONBLOCK));
    fds[0] = open("f", O_CREAT | O_RDWR, 0600);
    fds[1] = open("g", O_CREAT | O_RDWR, 0600);
    fds[2] = p[0];
    fds[3] = p[1];
    fds[4] = eventfd(0, EFD_NONBLOCK);
    run(submitter);
    OK(syscall(SYS_io_destroy, context));
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}

static void *messenger(void *arg)
{
    uint32_t s = atomic_fetch_add(&seeds, 7919);
    char b[64], name[32];
    for (int i = 0; i < ROUNDS; i++) {
        unsigned p;
        int fd = fds[next(&s) % 2];
        switch (next(&s) % 6) {
        case 0:
        case 1:
            mq_send(fd, b, next(&s) % 70, next(&s) % 5);
            break;
        case 2:
        case 3:
            mq_receive(fd, b, sizeof b, &p);
            break;
        case 4: {
            struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
            mq_notify(fd, next(&s) & 1 ? &e : NULL);
            break;
        }
        default:
            snprintf(name, sizeof name, "/moat-storm-%d-%d", getpid(), next(&s) % 4);
            if (next(&s) & 1) {
                mqd_t q = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
                if (q >= 0)
                    mq_close(q);
            } else {
                mq_unlink(name);
            }
            break;
        }
    }
    return arg;
}

TEST(queues)
{
    char name[32];
    signal(SIGUSR1, SIG_IGN);
    struct mq_attr a = { .mq_maxmsg = 5, .mq_msgsize = 64 };
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "/moat-two-%d-%d", getpid(), i);
        fds[i] = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &a);
        CHECK(fds[i] >= 0);
        OK(mq_unlink(name));
    }
    run(messenger);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "/moat-storm-%d-%d", getpid(), i);
        mq_unlink(name);
    }
    close(fds[0]);
    close(fds[1]);
}
