// settles: threads and processes that come to rest
// run: 2 600
// run: 4 600
// run: 3 600
// Requests of several tasks by chance: threads and forked children that share rings of every kind, submit, wait, cancel, close, unmap,
// take signals while they wait, end, execute a program and are killed. One call at a time (rand_life.h), and what takes
// data is one task's alone, so every result is given. Printed like rand_batches: a number for a block of steps, or from a step on.
#include "rand_life_mix.h"

// What was not taken is made undone: the next who enters is somebody else.
static void take_back(struct slot *k)
{
    if (kid_of_step >= 0 && atomic_load(k->r.sq_head) == k->r.tail)
        waited[kid_of_step] = true;
    if (k->r.p.flags & IORING_SETUP_SQPOLL)
        return;
    k->r.tail = k->r.published = atomic_load(k->r.sq_head);
    atomic_store(k->r.sq_tail, k->r.tail);
}

static void submit(void)
{
    struct slot *k = any_ring();
    struct actor *a = any_idle();
    if (k == NULL)
        return;
    if (k->r.p.flags & IORING_SETUP_SINGLE_ISSUER && actors[k->owner].alive && !actors[k->owner].busy && !odds(6))
        a = &actors[k->owner];
    uint32_t n = make_requests(k, (int)(a - actors));
    note(" actor %d ring %d\n", (int)(a - actors), (int)(k - rings));
    bool polled = k->r.p.flags & IORING_SETUP_SQPOLL;
    for (uint32_t taken = 0; taken < n;) {
        long got = CALL_IN(a, SYS_io_uring_enter, k->r.fd, n - taken, 0, polled ? IORING_ENTER_SQ_WAKEUP : 0, 0, 0);
        note("    enter %ld %s\n", got, error_of(got));
        if (got <= 0 || polled)
            break;
        taken += (uint32_t)got;
    }
    for (int i = 0; polled && i < 2000 && k->open && atomic_load(k->r.sq_head) != k->r.tail; i++)
        mt_sleep_us(100);
    take_back(k);
}

// An actor waits for completions: until there are enough, or a signal comes, or for a short time.
static void wait_in_ring(void)
{
    struct actor *a = &actors[1 + pick(ACTORS - 1)];
    struct slot *k = &rings[pick(RINGS)];
    if (!a->alive || a->busy)
        return;
    uint32_t want = 1 + pick(2), n = 0, flags = IORING_ENTER_GETEVENTS | (odds(4) ? U_ENTER_NO_IOWAIT : 0);
    bool brief = odds(3);
    if (k->open && k->mapped && odds(3) && !(k->r.p.flags & IORING_SETUP_SQPOLL)) {
        prepare_wait(begin(k), &sets[a - actors]);
        told_sqe(&k->r.sqes[(k->r.tail - 1) & (k->r.p.sq_entries - 1)]);
        n = ring_publish(&k->r);
    }
    long args[6] = {k->r.fd, n, want, flags, 0, 0};
    arena->sigmask = odds(2) ? 0 : 1ull << (SIGUSR1 - 1);
    if (brief || odds(3)) {
        arena->ts = brief ? short_time : long_time;
        arena->arg.sigmask = odds(2) ? (uintptr_t)&arena->sigmask : 0;
        arena->arg.size = 8;
        arena->arg.min_wait = odds(4) ? 200 : 0;
        arena->arg.ts = (uintptr_t)&arena->ts;
        args[3] |= IORING_ENTER_EXT_ARG;
        args[4] = (long)&arena->arg;
        args[5] = sizeof arena->arg;
    } else if (odds(2)) {
        args[4] = (long)&arena->sigmask;
        args[5] = 8;
    }
    note(" actor %d waits in ring %d for %u flags %lx mask %d\n", (int)(a - actors), (int)(k - rings), want, args[3], (int)arena->sigmask);
    start_in(a, CALL, SYS_io_uring_enter, args);
    a->busy = true;
    if (brief) {
        finish_in(a);
    } else {
        UNTIL(is_at_rest(a));
    }
}

// What has come of those who wait.
static void look_at_busy(void)
{
    for (int i = 1; i < ACTORS; i++) {
        struct actor *a = &actors[i];
        if (!a->alive || !a->busy)
            continue;
        for (int n = 0; !is_at_rest(a); n++) {
            if (n > 50000)
                stuck_in("a wait", a);
            mt_sleep_us(100);
        }
        if (!is_done(a))
            continue;
        a->busy = false;
        errno = a->error;
        note(" actor %d is back: %ld %s\n", i, a->result, error_of(a->result));
        for (int k = 0; k < RINGS; k++)
            if (rings[k].open && rings[k].mapped)
                take_back(&rings[k]);
    }
}

static void send_signal(void)
{
    struct actor *a = &actors[1 + pick(ACTORS - 1)];
    int s = odds(2) ? SIGUSR1 : SIGUSR2;
    if (!a->alive)
        return;
    note(" signal %d to actor %d\n", s == SIGUSR2, (int)(a - actors));
    OK(syscall(SYS_tgkill, is_kid(a) ? a->tid : getpid(), a->tid, s));
}

static void change_mask(void)
{
    struct actor *a = any_idle();
    if (a == actors)
        return;
    arena->sigmask = pick(4) << (SIGUSR1 - 1) & (1ull << (SIGUSR1 - 1) | 1ull << (SIGUSR2 - 1));
    long n = CALL_IN(a, SYS_rt_sigprocmask, SIG_SETMASK, (long)&arena->sigmask, 0, 8, 0, 0);
    note(" mask of actor %d: %ld\n", (int)(a - actors), n);
}

static void watch_ring(int i, int op)
{
    int n = epoll_ctl(epoll, op, rings[i].r.fd, &(struct epoll_event){EPOLLIN, {.u64 = (uint64_t)i}});
    note(" watch %d: %d %s\n", i, n, error_of(n));
}

static void open_ring(int i)
{
    static const uint32_t kinds[] = {0, 0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SQPOLL};
    struct slot *k = &rings[i];
    struct actor *a = any_idle();
    if (is_kid(a))
        a = actors;
    struct io_uring_params p = {.flags = kinds[pick(countof(kinds))], .sq_thread_idle = 1};
    p.flags |= IORING_SETUP_CQSIZE | (odds(4) ? IORING_SETUP_R_DISABLED : 0) | (odds(3) ? IORING_SETUP_SUBMIT_ALL : 0);
    p.cq_entries = 128;
    int attach = pick(RINGS);
    if (odds(4) && rings[attach].open) {
        p.flags |= IORING_SETUP_ATTACH_WQ;
        p.wq_fd = (uint32_t)rings[attach].r.fd;
    }
    arena->params = p;
    memset(&k->r, 0, sizeof k->r);
    long fd = CALL_IN(a, SYS_io_uring_setup, ENTRIES, (long)&arena->params, 0, 0, 0, 0);
    note(" ring %d of kind %x by actor %d: %s\n", i, p.flags, (int)(a - actors), error_of(fd));
    k->r.fd = (int)fd;
    k->open = k->mapped = fd >= 0;
    if (fd < 0)
        return;
    bool shares = p.flags & IORING_SETUP_SQPOLL && p.flags & IORING_SETUP_ATTACH_WQ && rings[attach].r.p.flags & IORING_SETUP_SQPOLL;
    k->set = shares ? rings[attach].set : ACTORS + i;
    k->r.p = arena->params;
    memset(arena->params.resv, 0, sizeof arena->params.resv);
    arena->params.resv[0] = 1;
    ring_map(&k->r);
    k->owner = (int)(a - actors);
    if (odds(2)) {
        long n = u_register(k->r.fd, odds(2) ? IORING_REGISTER_EVENTFD : IORING_REGISTER_EVENTFD_ASYNC, &notice[i], 1);
        note("    eventfd %ld %s\n", n, error_of(n));
    }
    if (odds(2))
        watch_ring(i, EPOLL_CTL_ADD);
}

static void unmap_ring(struct slot *k)
{
    if (!k->mapped)
        return;
    OK(munmap(k->r.ring_map, k->r.ring_size));
    OK(munmap(k->r.sqe_map, k->r.sqe_size));
    k->mapped = false;
}

static void close_ring(int i)
{
    struct slot *k = &rings[i];
    struct actor *a = any_idle();
    if (is_kid(a)) { // only its own descriptor
        long n = CALL_IN(a, SYS_close, k->r.fd, 0, 0, 0, 0, 0);
        note(" actor %d closes ring %d: %ld %s\n", (int)(a - actors), i, n, error_of(n));
        slow = true;
        return;
    }
    if (!k->open)
        return;
    bool lives = k->mapped && odds(3);
    note(" actor %d closes ring %d\n", (int)(a - actors), i);
    if (!lives)
        unmap_ring(k);
    CHECK_EQ(CALL_IN(a, SYS_close, k->r.fd, 0, 0, 0, 0, 0), 0);
    unmap_ring(k);
    k->open = false;
    k->r.fd = -1;
    slow = true;
}

static void reap(int kid)
{
    struct actor *a = &actors[FIRST_KID + kid];
    siginfo_t info;
    int status = 0;
    waitid(P_PID, (id_t)a->tid, &info, WEXITED | WNOWAIT); // it may be a request's to reap it
    for (int i = 0; waited[kid] && i < 20; i++)
        mt_sleep_us(200);
    a->alive = a->busy = false;
    if (waited[kid])
        for (int i = 0; i < ACTORS; i++)
            if (actors[i].alive && !actors[i].busy)
                CALL_IN(&actors[i], SYS_getppid, 0);
    mt_sleep_us(2000);
    int n = waitpid(a->tid, &status, WNOHANG);
    note(" child %d has ended: %s status %x\n", kid, n < 0 ? error_of(n) : n > 0 ? "reaped" : "runs", status);
    waited[kid] = false;
    slow = true;
}

static void end_kid(int kid)
{
    struct actor *a = &actors[FIRST_KID + kid];
    uint32_t way = pick(4);
    if (!a->alive)
        return;
    if (a->busy || way == 0) {
        note(" kill %d\n", kid);
        OK(kill(a->tid, way == 1 ? SIGTERM : SIGKILL));
    } else {
        note(" %s %d\n", way == 1 ? "exec" : "exit", kid);
        start_in(a, way == 1 ? EXEC : END, 0, (const long[6]){1 + pick(100)});
    }
    reap(kid);
}

static void end_thread(int i)
{
    struct actor *a = &actors[i];
    if (a->busy)
        return;
    note(" thread %d ends\n", i);
    start_in(a, END, 0, (const long[6]){0});
    OK0(pthread_join(a->thread, NULL));
    slow = true;
    start_thread(a);
}

static void happen(void)
{
    struct actor *a = any_idle();
    struct set *s = any_set();
    struct slot *k = &rings[pick(RINGS)];
    uint32_t what = pick(20);
    long n = -2;
    const char *name = "nothing";
    actions[what]++;
    switch (what) {
    case 0:
    case 1: n = CALL_IN(a, SYS_write, s->pipe[1], (long)(arena->data + pick(60)), 1 + pick(100)), name = "write"; break;
    case 2: n = CALL_IN(a, SYS_sendto, s->pair[1], (long)(arena->data + pick(60)), 1 + pick(100), MSG_NOSIGNAL), name = "send"; break;
    case 3: n = CALL_IN(a, SYS_write, s->event, (long)&arena->params.resv[0], 8), name = "event"; break;
    case 4: n = CALL_IN(a, 454, (long)&arena->words[pick(WORDS)], -1l, 1 + pick(3), FUTEX_32), name = "wake"; break;
    case 5: { // what is left of a pipe or pair, whose other end a child may have too
        int *fds = odds(2) ? s->pipe : s->pair;
        n = CALL_IN(a, SYS_close, fds[1]), name = "close";
        if (!is_kid(a)) {
            OK(close(fds[0]));
            if (fds == s->pipe)
                OK(pipe2(fds, O_NONBLOCK));
            else
                OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
        }
        break;
    }
    case 6: {
        struct io_uring_sync_cancel_reg *c = (void *)arena->data;
        struct io_uring_sync_cancel_reg before = *c;
        *c = (struct io_uring_sync_cancel_reg){.addr = some_data(), .fd = any_fd(), .flags = odds(2) ? 0 : pick(8), .timeout = {-1, -1}};
        n = CALL_IN(a, SYS_io_uring_register, k->r.fd, IORING_REGISTER_SYNC_CANCEL, (long)c, 1), name = "sync cancel";
        *c = before;
        break;
    }
    case 7:
        n = CALL_IN(a, SYS_io_uring_register, k->r.fd, IORING_REGISTER_ENABLE_RINGS, 0, 0), name = "enable";
        if (n == 0)
            k->owner = (int)(a - actors);
        break;
    case 8: {
        sqe_t *m = (void *)arena->rooms[0];
        memset(m, 0, sizeof *m);
        prep(m, IORING_OP_MSG_RING, k->r.fd, NULL, pick(100), 1 << 22, 0);
        n = CALL_IN(a, SYS_io_uring_register, -1, U_SEND_MSG_RING, (long)m, 1), name = "message";
        memset(m, 0, sizeof *m);
        break;
    }
    case 9:
    case 10:
        if (k->open)
            close_ring((int)(k - rings));
        else
            open_ring((int)(k - rings));
        return;
    case 11:
        end_thread(1 + (int)pick(THREADS));
        return;
    case 12: {
        int kid = pick(KIDS);
        if (actors[FIRST_KID + kid].alive) {
            if (odds(2))
                end_kid(kid);
        } else {
            a = is_kid(a) ? actors : a;
            note(" actor %d forks child %d\n", (int)(a - actors), kid);
            start_kid(a, &actors[FIRST_KID + kid]);
        }
        return;
    }
    case 13:
    case 14: send_signal(); return;
    case 15: change_mask(); return;
    case 16: watch_ring((int)(k - rings), odds(2) ? EPOLL_CTL_ADD : EPOLL_CTL_DEL); return;
    case 17:
        if (k->open && k->mapped && odds(3)) {
            unmap_ring(k);
            name = "unmap";
        } else if (k->open && !k->mapped) {
            uint32_t tail = k->r.tail;
            ring_map(&k->r);
            k->mapped = true;
            n = (int)(tail - k->r.tail), name = "map";
        }
        break;
    default: wait_in_ring(); return;
    }
    note(" actor %d ring %d %s = %ld %s\n", (int)(a - actors), (int)(k - rings), name, n, n == -1 ? mt_errno(errno) : "");
}

// What changes while what was set off goes on.
static uint32_t progress(void)
{
    uint32_t n = 0;
    for (int i = 0; i < RINGS; i++)
        n += rings[i].mapped ? atomic_load(rings[i].r.cq_tail) + atomic_load(rings[i].r.sq_head) : 0;
    for (int i = 1; i < ACTORS; i++)
        n += atomic_load(&actors[i].done) + (uint32_t)(actors[i].signals[0] + actors[i].signals[1]) + actors[i].busy;
    return n;
}

// Has everybody pass through the kernel, until nothing changes any more.
static void settle(void)
{
    for (int quiet = 0, round = 0; quiet < 2 && round < 50; round++) {
        uint32_t calls = 0, before = progress();
        for (int i = 0; i < ACTORS; i++) {
            struct actor *a = &actors[i];
            if (!a->alive || a->busy)
                continue;
            CALL_IN(a, SYS_getppid, 0), calls += i > 0;
            for (int k = 0; k < RINGS; k++)
                if (rings[k].open && rings[k].owner == i && !(rings[k].r.p.flags & IORING_SETUP_R_DISABLED))
                    CALL_IN(a, SYS_io_uring_enter, rings[k].r.fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 0), calls += i > 0;
        }
        mt_sleep_us(slow ? 5000 : 300);
        look_at_busy();
        quiet = progress() == before + calls ? quiet + 1 : 0;
    }
    slow = false;
}

static void look(void)
{
    static struct seen all[512];
    struct epoll_event ready[RINGS];
    settle();
    kid_of_step = -1;
    int n = epoll_wait(epoll, ready, RINGS, 0);
    uint32_t set = 0;
    for (int i = 0; i < n; i++)
        set |= ready[i].events << (8 * ready[i].data.u64);
    note("    ready %x signals", set);
    for (int i = 0; i < ACTORS; i++)
        note(" %d %d", actors[i].signals[0], actors[i].signals[1]);
    note("\n");
    for (int i = 0; i < RINGS; i++) {
        uint64_t count = 0;
        char name[12];
        snprintf(name, sizeof name, "ring %d", i);
        n = 0;
        while (rings[i].mapped && n < (int)countof(all) && take(&rings[i].r, &all[n])) {
            uint8_t op = all[n].data < sizeof op_of ? op_of[all[n].data] : 0;
            ended[op & 63]++;
            if (op == U_OP_WAITID && all[n].res == 0) {
                const siginfo_t *info = &arena->infos[all[n].data % ROOMS];
                note("    child's end: %d %d\n", info->si_code, info->si_status);
            }
            n++;
        }
        tell(all, n, name);
        if (read(notice[i], &count, 8) == 8)
            note("    %s notified\n", name);
    }
    note("    memory %lx\n", (unsigned long)hash_words(arena->rooms, sizeof arena->rooms));
}

static void open_all(void)
{
    for (int i = 0; i < SETS; i++)
        make_set(&sets[i], i);
    for (int i = 0; i < RINGS; i++)
        notice[i] = OK(eventfd(0, EFD_NONBLOCK));
    epoll = OK(epoll_create1(0));
    for (int i = 0; i < RINGS; i++)
        open_ring(i);
}

static void close_all(void)
{
    for (int i = 1; i < ACTORS; i++)
        if (actors[i].alive && actors[i].busy && !is_kid(&actors[i])) {
            for (int n = 0; !is_done(&actors[i]); n++) {
                syscall(SYS_tgkill, getpid(), actors[i].tid, n % 2 ? SIGUSR1 : SIGUSR2);
                mt_sleep_us(500);
                if (n > 5000)
                    stuck_in("the end", &actors[i]);
            }
            actors[i].busy = false;
        }
    for (int i = 0; i < ACTORS; i++) // how many it took depends on time
        actors[i].signals[0] = actors[i].signals[1] = 0;
    for (int i = 0; i < KIDS; i++)
        if (actors[FIRST_KID + i].alive) {
            kill(actors[FIRST_KID + i].tid, SIGKILL);
            reap(i);
        }
    for (int i = 0; i < RINGS; i++) {
        unmap_ring(&rings[i]);
        if (rings[i].open)
            OK(close(rings[i].r.fd));
        rings[i].open = false;
        OK(close(notice[i]));
    }
    OK(close(epoll));
    for (int i = 0; i < SETS; i++)
        drop_set(&sets[i]);
    mt_sleep_us(20000);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--end") == 0)
        return atoi(argv[2]);
    int steps = argc > 2 ? atoi(argv[2]) : 1000, from = argc > 3 ? atoi(argv[3]) : INT_MAX, told = argc > 4 ? atoi(argv[4]) : 2 * BLOCK;
    rand_start(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    arena = OK(mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    mt_pattern(arena->data, sizeof arena->data, 3);
    actors = arena->actors;
    self = actors;
    director = getpid();
    actors->alive = true;
    struct sigaction once = {.sa_handler = on_signal}, again = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    OK(sigaction(SIGUSR1, &once, NULL));
    OK(sigaction(SIGUSR2, &again, NULL));
    for (int i = 1; i <= THREADS; i++)
        start_thread(&actors[i]);
    for (rand_step = 0; rand_step < steps; rand_step++) {
        begin_step(from, told, BLOCK);
        if (rand_step % EPOCH == 0) {
            if (rand_step > 0)
                close_all();
            open_all();
        }
        if (odds(2))
            submit();
        else
            happen();
        look();
    }
    close_all();
    for (int i = 0; i < 64; i++)
        if (tally[i] != 0)
            printf("op %d: %u requests, %u completions\n", i, tally[i], ended[i]);
    printf("%lx\n", (unsigned long)seen_hash);
    fflush(stdout);
    return rand_end();
}
