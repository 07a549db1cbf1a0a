// run: polls
// run: reads
// run: workers
// run: timeouts
// run: thread
// run: abort
// run: full
// A process that ends with requests in flight: at once, with its own exit code, and nothing stays behind.
#define MT_OWN_MAIN
#include "uring.h"

static struct ring r;
static int p[2];
static char b[64];
static struct __kernel_timespec ts = {100000, 0};

static void *exits(void *arg)
{
    (void)arg;
    exit(7);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    mt.thread = pthread_self();
    if (sigsetjmp(mt.out, 1) != 0) {
        printf("%s\n", mt.why);
        return 1;
    }
    OK(pipe(p));
    ring_init(&r, 64, 0);
    printf("leaving with %s\n", how);
    fflush(stdout);
    for (int i = 0; i < 40; i++) {
        if (strcmp(how, "polls") == 0)
            add_poll(&r, p[0], POLLIN, i);
        else if (strcmp(how, "timeouts") == 0)
            add_timeout(&r, &ts, 0, 0, i);
        else
            ADD(&r, READ, p[0], b, 8, -1, i)->flags = strcmp(how, "workers") == 0 ? IOSQE_ASYNC : 0;
    }
    if (strcmp(how, "full") != 0) // "full": requests made and never submitted
        ring_submit(&r);
    else
        ring_publish(&r);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "thread") == 0) {
        mt_thread(exits, NULL);
        for (;;)
            u_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    }
    return 5;
}
