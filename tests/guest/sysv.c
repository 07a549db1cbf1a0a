// System V shared memory, semaphores and message queues, between threads of one process.
#include "moat_test.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>

static int key(void)
{
    static uint64_t seed;
    if (!seed)
        seed = mt_now_ns(CLOCK_MONOTONIC) ^ ((uint64_t)getpid() << 40);
    return (int)(mt_random(&seed) | 1);
}

static struct shmid_ds shm_stat(int id)
{
    struct shmid_ds s;
    OK(shmctl(id, IPC_STAT, &s));
    return s;
}

TEST(shm_attach_twice)
{
    int id = OK(shmget(IPC_PRIVATE, 10000, 0600));
    char *a = OK(shmat(id, NULL, 0)), *b = OK(shmat(id, NULL, SHM_RDONLY));
    CHECK(a != b);
    strcpy(a + 8000, "hello");
    CHECK_STR(b + 8000, "hello");
    CHECK_EQ(a[9999], 0);
    struct shmid_ds s = shm_stat(id);
    CHECK_EQ(s.shm_nattch, 2);
    CHECK_EQ(s.shm_segsz, 10000);
    CHECK_EQ(s.shm_perm.mode & 0777, 0600);
    CHECK_EQ(s.shm_cpid, getpid());
    CHECK_EQ(s.shm_lpid, getpid());
    CHECK(s.shm_atime != 0 && s.shm_ctime != 0);
    CHECK_EQ(s.shm_dtime, 0);
    CHECK_ERR(mprotect(b, 4096, PROT_READ | PROT_WRITE), EACCES);
    OK(shmdt(b));
    CHECK_EQ(shm_stat(id).shm_nattch, 1);
    CHECK_ERR(shmdt(b), EINVAL);
    CHECK_ERR(shmdt(a + 4096), EINVAL);
    CHECK_ERR(shmdt(a + 1), EINVAL);
    OK(shmctl(id, IPC_RMID, NULL));
    s = shm_stat(id); // it lives while it is attached
    CHECK(s.shm_perm.mode & SHM_DEST);
    char *c = OK(shmat(id, NULL, 0));
    CHECK_STR(c + 8000, "hello");
    OK(shmdt(a));
    OK(shmdt(c));
    CHECK_ERR(shmctl(id, IPC_STAT, &s), EINVAL);
    CHECK_ERR(shmat(id, NULL, 0), EINVAL);
}

TEST(shm_keys)
{
    int k = key();
    CHECK_ERR(shmget(k, 4096, 0600), ENOENT);
    CHECK_ERR(shmget(k, 0, IPC_CREAT | 0600), EINVAL);
    int id = OK(shmget(k, 4096, IPC_CREAT | 0600));
    CHECK_EQ(shmget(k, 4096, IPC_CREAT | 0600), id);
    CHECK_EQ(shmget(k, 0, 0), id);
    CHECK_ERR(shmget(k, 4097, 0), EINVAL);
    CHECK_ERR(shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    OK(shmctl(id, IPC_RMID, NULL));
    CHECK_ERR(shmget(k, 4096, 0600), ENOENT);
    int again = OK(shmget(k, 8192, IPC_CREAT | 0600));
    CHECK(again != id);
    OK(shmctl(again, IPC_RMID, NULL));
    CHECK_ERR(shmctl(id, IPC_RMID, NULL), EINVAL);
    CHECK_ERR(shmctl(-1, IPC_RMID, NULL), EINVAL);
    CHECK_ERR(shmctl(again, 77, NULL), EINVAL);
}

TEST(shm_where)
{
    int id = OK(shmget(IPC_PRIVATE, 3 * 4096, 0600));
    char *room = OK(mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    strcpy(room, "before");
    CHECK_ERR(shmat(id, room, 0), EINVAL); // taken
    CHECK_ERR(shmat(id, room + 1, 0), EINVAL);
    CHECK_ERR(shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK_EQ(shmat(id, room + 4096 + 5, SHM_RND | SHM_REMAP), room + 4096);
    CHECK_EQ(room[4096], 0);
    CHECK_STR(room, "before");
    OK(munmap(room + 2 * 4096, 4096)); // a hole in the middle
    OK(shmdt(room + 4096));
    CHECK_EQ(shm_stat(id).shm_nattch, 0);
    unsigned char v;
    CHECK_ERR(mincore(room + 4096, 4096, &v), ENOMEM);
    CHECK_ERR(mincore(room + 3 * 4096, 4096, &v), ENOMEM);
    OK(mincore(room + 4 * 4096, 4096, &v));
    OK(shmctl(id, IPC_RMID, NULL));
    OK(munmap(room, 8 * 4096));
}

TEST(shm_unmapped_is_detached)
{
    int id = OK(shmget(IPC_PRIVATE, 2 * 4096, 0600));
    char *a = OK(shmat(id, NULL, 0));
    OK(shmctl(id, IPC_RMID, NULL));
    OK(munmap(a, 4096));
    CHECK_EQ(shm_stat(id).shm_nattch, 1);
    OK(munmap(a + 4096, 4096));
    struct shmid_ds s;
    CHECK_ERR(shmctl(id, IPC_STAT, &s), EINVAL);
}

TEST(shm_set_and_info)
{
    int id = OK(shmget(IPC_PRIVATE, 4096, 0600));
    struct shmid_ds s = shm_stat(id);
    s.shm_perm.mode = 0640;
    OK(shmctl(id, IPC_SET, &s));
    CHECK_EQ(shm_stat(id).shm_perm.mode, 0640);
    OK(shmctl(id, SHM_LOCK, NULL));
    CHECK(shm_stat(id).shm_perm.mode & SHM_LOCKED);
    OK(shmctl(id, SHM_UNLOCK, NULL));
    struct shminfo info;
    OK(shmctl(0, IPC_INFO, (void *)&info));
    CHECK_EQ(info.shmmni, 4096);
    CHECK_EQ(info.shmmin, 1);
    struct shm_info now;
    int last = OK(shmctl(0, SHM_INFO, (void *)&now));
    CHECK(now.used_ids >= 1);
    bool found = false;
    for (int i = 0; i <= last; i++)
        found |= shmctl(i, SHM_STAT, &s) == id;
    CHECK(found);
    CHECK_ERR(shmctl(id, IPC_SET, NULL), EFAULT);
    CHECK_ERR(shmctl(id, IPC_STAT, NULL), EFAULT);
    OK(shmctl(id, IPC_RMID, NULL));
}

static int sem_value(int id, int n) { return OK(semctl(id, n, GETVAL)); }

TEST(sem_atomic)
{
    int id = OK(semget(IPC_PRIVATE, 3, 0600));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(sem_value(id, i), 0);
    struct sembuf up[] = {{0, 2, 0}, {2, 1, 0}};
    OK(semop(id, up, 2));
    CHECK_EQ(sem_value(id, 0), 2);
    struct sembuf half[] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}};
    CHECK_ERR(semop(id, half, 2), EAGAIN);
    CHECK_EQ(sem_value(id, 0), 2); // nothing was done
    struct sembuf zero[] = {{1, 0, 0}, {1, 5, 0}, {0, 0, IPC_NOWAIT}};
    CHECK_ERR(semop(id, zero, 3), EAGAIN);
    CHECK_EQ(sem_value(id, 1), 0);
    OK(semop(id, zero, 2));
    CHECK_EQ(sem_value(id, 1), 5);
    struct sembuf seq[] = {{1, -5, 0}, {1, 0, 0}, {1, 7, 0}, {1, -3, 0}};
    OK(semop(id, seq, 4));
    CHECK_EQ(sem_value(id, 1), 4);
    struct sembuf big[] = {{0, 32767, IPC_NOWAIT}};
    CHECK_ERR(semop(id, big, 1), ERANGE);
    struct sembuf far[] = {{3, 1, 0}};
    CHECK_ERR(semop(id, far, 1), EFBIG);
    CHECK_ERR(semop(id, far, 0), EINVAL);
    static struct sembuf many[600];
    CHECK_ERR(semop(id, many, 501), E2BIG);
    CHECK_ERR(semop(id, NULL, 1), EFAULT);
    CHECK_ERR(semop(id + 1, up, 1), EINVAL);
    CHECK_EQ(OK(semctl(id, 0, GETPID)), getpid());
    OK(semctl(id, 0, IPC_RMID));
    CHECK_ERR(semop(id, up, 1), EINVAL);
}

TEST(sem_control)
{
    int k = key(), id = OK(semget(k, 4, IPC_CREAT | 0600));
    CHECK_ERR(semget(k, 5, 0), EINVAL);
    CHECK_EQ(semget(k, 2, 0), id);
    CHECK_ERR(semget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
    unsigned short v[4] = {1, 2, 3, 4}, got[4];
    OK(semctl(id, 0, SETALL, v));
    OK(semctl(id, 0, GETALL, got));
    CHECK_EQ(memcmp(v, got, sizeof v), 0);
    OK(semctl(id, 2, SETVAL, 30));
    CHECK_EQ(sem_value(id, 2), 30);
    CHECK_ERR(semctl(id, 2, SETVAL, 32768), ERANGE);
    CHECK_ERR(semctl(id, 2, SETVAL, -1), ERANGE);
    CHECK_ERR(semctl(id, 4, GETVAL), EINVAL);
    CHECK_ERR(semctl(id, -1, SETVAL, 1), EINVAL);
    v[1] = 40000;
    CHECK_ERR(semctl(id, 0, SETALL, v), ERANGE);
    CHECK_ERR(semctl(id, 0, GETALL, NULL), EFAULT);
    struct semid_ds s;
    OK(semctl(id, 0, IPC_STAT, &s));
    CHECK_EQ(s.sem_nsems, 4);
    CHECK_EQ(s.sem_otime, 0);
    CHECK(s.sem_ctime != 0);
    CHECK_EQ(s.sem_perm.__key, k);
    struct sembuf op = {0, 1, 0};
    OK(semop(id, &op, 1));
    OK(semctl(id, 0, IPC_STAT, &s));
    CHECK(s.sem_otime != 0);
    struct seminfo info;
    OK(semctl(0, 0, IPC_INFO, &info));
    CHECK_EQ(info.semmsl, 32000);
    CHECK_EQ(info.semopm, 500);
    CHECK_EQ(info.semvmx, 32767);
    OK(semctl(0, 0, SEM_INFO, &info));
    CHECK(info.semaem >= 4);
    OK(semctl(id, 0, IPC_RMID));
}

static int sem_id;
static atomic_int step;

static void *taker(void *arg)
{
    struct sembuf op[] = {{0, -(int)(long)arg, 0}, {1, 1, 0}};
    long r = semop(sem_id, op, 2);
    return (void *)(r == 0 ? 0L : (long)errno);
}

TEST(sem_waiting)
{
    sem_id = OK(semget(IPC_PRIVATE, 2, 0600));
    pthread_t two = mt_thread(taker, (void *)2L);
    UNTIL(semctl(sem_id, 0, GETNCNT) == 1);
    pthread_t one = mt_thread(taker, (void *)1L);
    UNTIL(semctl(sem_id, 0, GETNCNT) == 2);
    CHECK_EQ(semctl(sem_id, 0, GETZCNT), 0);
    struct sembuf up = {0, 1, 0};
    OK(semop(sem_id, &up, 1)); // enough for the second only
    void *r;
    OK0(pthread_join(one, &r));
    CHECK_EQ((long)r, 0);
    CHECK_EQ(semctl(sem_id, 0, GETNCNT), 1);
    OK(semctl(sem_id, 0, SETVAL, 2));
    OK0(pthread_join(two, &r));
    CHECK_EQ((long)r, 0);
    CHECK_EQ(sem_value(sem_id, 0), 0);
    CHECK_EQ(sem_value(sem_id, 1), 2);
    OK(semctl(sem_id, 0, IPC_RMID));
}

static void *wait_zero(void *arg)
{
    struct sembuf op = {0, 0, 0};
    long r = semop(sem_id, &op, 1);
    return (void *)(r == 0 ? 0L : (long)errno);
}

TEST(sem_waiting_for_zero)
{
    sem_id = OK(semget(IPC_PRIVATE, 1, 0600));
    OK(semctl(sem_id, 0, SETVAL, 3));
    pthread_t t = mt_thread(wait_zero, NULL);
    UNTIL(semctl(sem_id, 0, GETZCNT) == 1);
    struct sembuf down = {0, -3, 0};
    OK(semop(sem_id, &down, 1));
    void *r;
    OK0(pthread_join(t, &r));
    CHECK_EQ((long)r, 0);
    OK(semctl(sem_id, 0, IPC_RMID));
}

TEST(sem_removed_while_waiting)
{
    sem_id = OK(semget(IPC_PRIVATE, 2, 0600));
    pthread_t t = mt_thread(taker, (void *)1L);
    UNTIL(semctl(sem_id, 0, GETNCNT) == 1);
    OK(semctl(sem_id, 0, IPC_RMID));
    void *r;
    OK0(pthread_join(t, &r));
    CHECK_EQ((long)r, EIDRM);
}

static void on_signal(int s) { (void)s; }

TEST(sem_time_and_signals)
{
    int id = OK(semget(IPC_PRIVATE, 1, 0600));
    struct sembuf down = {0, -1, 0};
    struct timespec t = {0, 20000000};
    uint64_t begin = mt_now_ns(CLOCK_MONOTONIC);
    CHECK_ERR(semtimedop(id, &down, 1, &t), EAGAIN);
    CHECK(mt_now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
    t.tv_nsec = -1;
    CHECK_ERR(semtimedop(id, &down, 1, &t), EINVAL);
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    OK(sigaction(SIGALRM, &act, NULL));
    struct itimerval it = {{0, 20000}, {0, 20000}};
    OK(setitimer(ITIMER_REAL, &it, NULL));
    CHECK_ERR(semop(id, &down, 1), EINTR); // never restarted
    OK(setitimer(ITIMER_REAL, &(struct itimerval){}, NULL));
    CHECK_EQ(semctl(id, 0, GETNCNT), 0);
    OK(semctl(id, 0, IPC_RMID));
}

TEST(sem_undo_is_kept_and_forgotten)
{
    int id = OK(semget(IPC_PRIVATE, 1, 0600));
    struct sembuf up = {0, 20000, SEM_UNDO}, more = {0, 12769, SEM_UNDO | IPC_NOWAIT}, down = {0, -20000, 0};
    OK(semop(id, &up, 1));
    OK(semop(id, &down, 1));
    CHECK_ERR(semop(id, &more, 1), ERANGE); // the sum to undo would be out of range
    OK(semctl(id, 0, SETVAL, 0));           // forgets it
    OK(semop(id, &more, 1));
    OK(semctl(id, 0, IPC_RMID));
}

struct msg {
    long type;
    char text[64];
};

static void put(int q, long type, const char *text)
{
    struct msg m = {type, ""};
    strcpy(m.text, text);
    OK(msgsnd(q, &m, strlen(text), IPC_NOWAIT));
}

static const char *take(int q, long type, int flags)
{
    static struct msg m;
    memset(&m, 0, sizeof m);
    long n = msgrcv(q, &m, sizeof m.text - 1, type, flags | IPC_NOWAIT);
    return n < 0 ? mt_errno(errno) : m.text;
}

TEST(msg_order_and_types)
{
    int q = OK(msgget(IPC_PRIVATE, 0600));
    put(q, 3, "c");
    put(q, 1, "a");
    put(q, 2, "b");
    put(q, 1, "a2");
    put(q, 9, "");
    CHECK_STR(take(q, 2, 0), "b");
    CHECK_STR(take(q, -2, 0), "a");
    CHECK_STR(take(q, 3, MSG_EXCEPT), "a2");
    CHECK_STR(take(q, 5, 0), "ENOMSG");
    CHECK_STR(take(q, -2, 0), "ENOMSG");
    CHECK_STR(take(q, 0, 0), "c");
    CHECK_STR(take(q, -100, 0), "");
    CHECK_STR(take(q, 0, 0), "ENOMSG");
    OK(msgctl(q, IPC_RMID, NULL));
    CHECK_STR(take(q, 0, 0), "EINVAL");
}

TEST(msg_sizes)
{
    int q = OK(msgget(IPC_PRIVATE, 0600));
    static struct {
        long type;
        char text[9000];
    } m = {1, ""};
    CHECK_ERR(msgsnd(q, &m, 8193, 0), EINVAL);
    CHECK_ERR(msgsnd(q, &m, -1, 0), EINVAL);
    m.type = 0;
    CHECK_ERR(msgsnd(q, &m, 1, 0), EINVAL);
    m.type = 1;
    CHECK_ERR(msgsnd(q, NULL, 1, 0), EFAULT);
    CHECK_ERR(msgsnd(-1, &m, 1, 0), EINVAL);
    mt_pattern(m.text, 8192, 5);
    OK(msgsnd(q, &m, 8192, 0));
    OK(msgsnd(q, &m, 8192, 0));
    CHECK_ERR(msgsnd(q, &m, 1, IPC_NOWAIT), EAGAIN);
    struct msqid_ds s;
    OK(msgctl(q, IPC_STAT, &s));
    CHECK_EQ(s.msg_qnum, 2);
    CHECK_EQ(s.__msg_cbytes, 16384);
    CHECK_EQ(s.msg_qbytes, 16384);
    CHECK_EQ(s.msg_lspid, getpid());
    CHECK_EQ(s.msg_lrpid, 0);
    CHECK_ERR(msgrcv(q, &m, 100, 0, IPC_NOWAIT), E2BIG);
    CHECK_ERR(msgrcv(q, &m, -1, 0, IPC_NOWAIT), EINVAL);
    memset(&m, 0, sizeof m);
    CHECK_EQ(msgrcv(q, &m, 100, 0, IPC_NOWAIT | MSG_NOERROR), 100);
    CHECK_EQ(mt_differs(m.text, 100, 5), -1);
    CHECK_EQ(m.text[100], 0);
    CHECK_EQ(msgrcv(q, &m, sizeof m.text, 0, IPC_NOWAIT), 8192);
    CHECK_EQ(mt_differs(m.text, 8192, 5), -1);
    OK(msgctl(q, IPC_STAT, &s));
    CHECK_EQ(s.msg_qnum, 0);
    CHECK_EQ(s.msg_lrpid, getpid());
    s.msg_qbytes = 100;
    s.msg_perm.mode = 0620;
    OK(msgctl(q, IPC_SET, &s));
    CHECK_ERR(msgsnd(q, &m, 101, IPC_NOWAIT), EAGAIN);
    OK(msgctl(q, IPC_RMID, NULL));
}

static int queue;

static void *receiver(void *arg)
{
    struct msg m;
    long n = msgrcv(queue, &m, sizeof m.text, (long)arg, 0);
    return (void *)(n < 0 ? -(long)errno : n);
}

TEST(msg_waiting)
{
    queue = OK(msgget(IPC_PRIVATE, 0600));
    pthread_t a = mt_thread(receiver, (void *)1L), b = mt_thread(receiver, (void *)2L);
    mt_sleep_us(20000);
    put(queue, 2, "four");
    void *r;
    OK0(pthread_join(b, &r));
    CHECK_EQ((long)r, 4);
    put(queue, 1, "sixsix");
    OK0(pthread_join(a, &r));
    CHECK_EQ((long)r, 6);
    a = mt_thread(receiver, (void *)1L);
    mt_sleep_us(20000);
    OK(msgctl(queue, IPC_RMID, NULL));
    OK0(pthread_join(a, &r));
    CHECK_EQ((long)r, -EIDRM);
}

static void *sender(void *arg)
{
    static struct {
        long type;
        char text[8192];
    } m = {1, ""};
    long n = msgsnd(queue, &m, sizeof m.text, 0);
    atomic_store(&step, 1);
    return (void *)(n < 0 ? -(long)errno : n);
}

TEST(msg_waiting_for_room)
{
    queue = OK(msgget(IPC_PRIVATE, 0600));
    static char text[8200];
    for (int i = 0; i < 2; i++)
        OK(msgsnd(queue, &(struct {long t; char c[8192];}){1, ""}, 8192, 0));
    atomic_store(&step, 0);
    pthread_t t = mt_thread(sender, NULL);
    mt_sleep_us(20000);
    CHECK_EQ(atomic_load(&step), 0);
    CHECK_EQ(msgrcv(queue, text, 8192, 0, 0), 8192);
    void *r;
    OK0(pthread_join(t, &r));
    CHECK_EQ((long)r, 0);
    OK(msgctl(queue, IPC_RMID, NULL));
}

TEST(msg_copy_and_info)
{
    int q = OK(msgget(IPC_PRIVATE, 0600));
    put(q, 1, "one");
    put(q, 2, "two");
    CHECK_STR(take(q, 1, MSG_COPY), "two");
    CHECK_STR(take(q, 2, MSG_COPY), "ENOMSG");
    struct msg m;
    CHECK_ERR(msgrcv(q, &m, 60, 0, MSG_COPY), EINVAL);
    CHECK_STR(take(q, 0, 0), "one");
    struct msginfo info;
    OK(msgctl(0, IPC_INFO, (void *)&info));
    CHECK_EQ(info.msgmax, 8192);
    CHECK_EQ(info.msgmnb, 16384);
    OK(msgctl(0, MSG_INFO, (void *)&info));
    CHECK(info.msgpool >= 1 && info.msgmap >= 1 && info.msgtql >= 3);
    OK(msgctl(q, IPC_RMID, NULL));
}

static void *no_access(void *arg)
{
    int *ids = arg;
    OK(syscall(SYS_setresuid, 1234, 1234, 1234));
    CHECK_ERR(shmat(ids[0], NULL, 0), EACCES);
    void *p = OK(shmat(ids[0], NULL, SHM_RDONLY));
    OK(shmdt(p));
    struct sembuf op = {0, 1, 0};
    CHECK_ERR(semop(ids[1], &op, 1), EACCES);
    CHECK_EQ(semctl(ids[1], 0, GETVAL), 0);
    CHECK_ERR(semctl(ids[1], 0, SETVAL, 1), EACCES);
    struct msg m = {1, ""};
    CHECK_ERR(msgsnd(ids[2], &m, 1, IPC_NOWAIT), EACCES);
    CHECK_ERR(msgctl(ids[2], IPC_RMID, NULL), EPERM);
    CHECK_ERR(shmctl(ids[0], IPC_RMID, NULL), EPERM);
    CHECK_ERR(semctl(ids[1], 0, IPC_RMID), EPERM);
    return NULL;
}

TEST(permissions)
{
    if (geteuid() != 0)
        SKIP("for user 0");
    int ids[] = {OK(shmget(IPC_PRIVATE, 4096, 0644)), OK(semget(IPC_PRIVATE, 1, 0644)), OK(msgget(IPC_PRIVATE, 0644))};
    OK0(pthread_join(mt_thread(no_access, ids), NULL));
    OK(shmctl(ids[0], IPC_RMID, NULL));
    OK(semctl(ids[1], 0, IPC_RMID));
    OK(msgctl(ids[2], IPC_RMID, NULL));
}
