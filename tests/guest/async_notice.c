// O_ASYNC: signals about readiness (man 2 fcntl, "Managing signals").
#define _GNU_SOURCE
#include "moat_test.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void block(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static int next_signal(int signal, siginfo_t *info, int seconds)
{
    sigset_t set;
    struct timespec limit = {.tv_sec = seconds};
    sigemptyset(&set);
    sigaddset(&set, signal);
    return sigtimedwait(&set, info, &limit);
}

TEST(owner_is_remembered)
{
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK(fcntl(p[0], F_GETOWN) == 0);
    CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
    CHECK(fcntl(p[0], F_GETOWN) == getpid());
    struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};
    CHECK(fcntl(p[0], F_SETOWN_EX, &owner) == 0);
    memset(&owner, 0, sizeof owner);
    CHECK(fcntl(p[0], F_GETOWN_EX, &owner) == 0);
    CHECK(owner.type == F_OWNER_TID && owner.pid == (pid_t)syscall(SYS_gettid));
    CHECK(fcntl(p[0], F_SETOWN, 0) == 0);
    CHECK(fcntl(p[0], F_GETOWN) == 0);
    owner.type = F_OWNER_PGRP;
    owner.pid = getpgrp();
    CHECK(fcntl(p[0], F_SETOWN_EX, &owner) == 0);
    CHECK(fcntl(p[0], F_GETOWN_EX, &owner) == 0);
    CHECK(owner.type == F_OWNER_PGRP && owner.pid == getpgrp());
    close(p[0]);
    close(p[1]);
}

TEST(wrong_owners)
{
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK(fcntl(p[0], F_SETOWN, 0x3ffffff0) == -1 && errno == ESRCH);
    CHECK(fcntl(p[0], F_SETOWN, (long)(int)0x80000000) == -1 && errno == EINVAL);
    struct f_owner_ex owner = {7, getpid()};
    CHECK(fcntl(p[0], F_SETOWN_EX, &owner) == -1 && errno == EINVAL);
    CHECK(fcntl(p[0], F_SETOWN_EX, (void *)8) == -1 && errno == EFAULT);
    CHECK(fcntl(p[0], F_SETSIG, 65) == -1 && errno == EINVAL);
    CHECK(fcntl(p[0], F_SETSIG, -1) == -1 && errno == EINVAL);
    CHECK(fcntl(p[0], F_GETSIG) == 0);
    close(p[0]);
    close(p[1]);
}

TEST(a_pipe_tells_by_sigio)
{
    int p[2];
    siginfo_t info;
    block(SIGIO);
    CHECK(pipe(p) == 0);
    CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
    CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
    CHECK((fcntl(p[0], F_GETFL) & O_ASYNC) != 0);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK(next_signal(SIGIO, &info, 10) == SIGIO);
    CHECK(info.si_code == SI_KERNEL);
    CHECK(fcntl(p[0], F_SETFL, 0) == 0);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK(next_signal(SIGIO, &info, 0) == -1);
    close(p[0]);
    close(p[1]);
}

TEST(a_socket_tells_which_and_why)
{
    int s[2], on = 1;
    siginfo_t info;
    block(SIGRTMIN + 3);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(fcntl(s[0], F_SETOWN, getpid()) == 0);
    CHECK(fcntl(s[0], F_SETSIG, SIGRTMIN + 3) == 0);
    CHECK(fcntl(s[0], F_GETSIG) == SIGRTMIN + 3);
    CHECK(ioctl(s[0], FIOASYNC, &on) == 0);
    CHECK(write(s[1], "x", 1) == 1);
    CHECK(next_signal(SIGRTMIN + 3, &info, 10) == SIGRTMIN + 3);
    CHECK(info.si_code == POLL_IN);
    CHECK(info.si_fd == s[0]);
    CHECK((info.si_band & POLLIN) != 0);
    close(s[0]);
    close(s[1]);
}

TEST(an_eventfd_does_not)
{
    int e = eventfd(0, 0), on = 1;
    CHECK(e >= 0);
    CHECK(ioctl(e, FIOASYNC, &on) == -1 && errno == ENOTTY);
    close(e);
}

