// Provokes memory faults and tells what the signal said: `fault(addr, FAULT_WRITE)` returns the signal number, or 0
// when the access went through. One at a time, on the thread that runs the subtests.
#ifndef MOAT_FAULT_H
#define MOAT_FAULT_H

#include "moat_test.h"

enum fault_kind { FAULT_READ, FAULT_WRITE, FAULT_EXEC };

static sigjmp_buf fault_out;
static siginfo_t fault_info;

static void fault_handler(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    fault_info = *info;
    siglongjmp(fault_out, 1);
}

MT_UNUSED static int fault(volatile void *addr, enum fault_kind kind)
{
    struct sigaction act = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO}, old[4];
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
    volatile int result = 0;
    for (int i = 0; i < 4; i++)
        OK(sigaction(signals[i], &act, &old[i]));
    memset(&fault_info, 0, sizeof fault_info);
    if (sigsetjmp(fault_out, 1) == 0) {
        if (kind == FAULT_READ)
            (void)*(volatile char *)addr;
        else if (kind == FAULT_WRITE)
            *(volatile char *)addr = 1;
        else
            ((void (*)(void))addr)();
    } else {
        result = fault_info.si_signo;
    }
    for (int i = 0; i < 4; i++)
        OK(sigaction(signals[i], &old[i], NULL));
    return result;
}

#define CHECK_FAULT(addr, kind, signo, code)                                                                           \
    do {                                                                                                               \
        CHECK_EQ(fault((void *)(addr), kind), signo);                                                                  \
        CHECK_EQ(fault_info.si_code, code);                                                                            \
        CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)(addr));                                                    \
    } while (0)

#define CHECK_NO_FAULT(addr, kind) CHECK_EQ(fault((void *)(addr), kind), 0)

#endif
