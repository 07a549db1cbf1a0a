// AF_UNIX sockets: descriptors and credentials, headers of messages, readiness, splicing, signals, other processes.
#include "sockets.h"
#include <sys/wait.h>

static int put_fds(int sock, const int *fds, int n, const char *data, int len)
{
    char c[CMSG_SPACE(sizeof(int) * 254)] = { 0 };
    struct iovec v = { (void *)data, len };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_LEN(sizeof(int) * n) };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS };
    memcpy(CMSG_DATA(h), fds, sizeof(int) * n);
    return sendmsg(sock, &m, 0);
}

// Returns bytes; fills fds and the flags.
static int get_fds(int sock, int *fds, int *n, int room, int flags, int *out)
{
    char c[CMSG_SPACE(sizeof(int) * 254)], b[64];
    struct iovec v = { b, sizeof b };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = room };
    int r = recvmsg(sock, &m, flags);
    *n = 0;
    if (out)
        *out = m.msg_flags;
    for (struct cmsghdr *h = r >= 0 ? CMSG_FIRSTHDR(&m) : NULL; h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type == SCM_RIGHTS) {
            *n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(h), *n * sizeof(int));
        }
    }
    return r;
}

TEST(rights)
{
    int s[2], p[2], fds[254], n, flags;
    char b[8];
    pair_of(SOCK_STREAM, s);
    OK(pipe(p));
    CHECK_EQ(put_fds(s[0], p, 2, "x", 1), 1);
    OK(close(p[0]));
    OK(close(p[1]));
    CHECK_EQ(get_fds(s[1], fds, &n, 200, MSG_CMSG_CLOEXEC, &flags), 1);
    CHECK_EQ(flags, MSG_CMSG_CLOEXEC);
    CHECK_EQ(n, 2);
    CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fds[1], "hi", 2), 2);
    CHECK_EQ(read(fds[0], b, 8), 2);
    // Bytes before it are read together with it, bytes behind it are not.
    CHECK_EQ(write(s[0], "ab", 2), 2);
    CHECK_EQ(put_fds(s[0], fds, 1, "cd", 2), 2);
    CHECK_EQ(write(s[0], "ef", 2), 2);
    int m, got[254];
    CHECK_EQ(get_fds(s[1], got, &m, 200, MSG_PEEK, &flags), 4);
    CHECK_EQ(m, 1);
    OK(close(got[0]));
    CHECK_EQ(get_fds(s[1], got, &m, 200, 0, &flags), 4);
    CHECK_EQ(m, 1);
    OK(close(got[0]));
    CHECK_EQ(get_fds(s[1], got, &m, 200, 0, &flags), 2);
    CHECK_EQ(m, 0);
    // Not enough room.
    CHECK_EQ(put_fds(s[0], fds, 2, "x", 1), 1);
    CHECK_EQ(get_fds(s[1], got, &m, CMSG_LEN(4), 0, &flags), 1);
    CHECK_EQ(m, 1);
    CHECK_EQ(flags, MSG_CTRUNC);
    OK(close(got[0]));
    CHECK_EQ(put_fds(s[0], fds, 2, "x", 1), 1);
    CHECK_EQ(get_fds(s[1], got, &m, 0, 0, &flags), 1);
    CHECK_EQ(m, 0);
    CHECK_EQ(flags, MSG_CTRUNC);
    CHECK_EQ(put_fds(s[0], fds, 2, "x", 1), 1);
    CHECK_EQ(read(s[1], b, 8), 1);
    // Mistakes.
    fds[2] = 1000;
    CHECK_ERR(put_fds(s[0], fds, 3, "x", 1), EBADF);
    for (int i = 0; i < 254; i++)
        got[i] = fds[0];
    CHECK_ERR(put_fds(s[0], got, 254, "x", 1), EINVAL);
    CHECK_EQ(put_fds(s[0], got, 253, "x", 1), 1);
    CHECK_EQ(put_fds(s[0], got, 0, "x", 1), 1);
    OK(close(fds[0]));
    OK(close(fds[1]));
    drop(s);
}

TEST(rights_datagram)
{
    int s[2], e = OK(eventfd(3, 0)), fds[4], n, flags;
    pair_of(SOCK_DGRAM, s);
    CHECK_EQ(put_fds(s[0], &e, 1, "", 0), 0);
    CHECK_EQ(get_fds(s[1], fds, &n, 64, MSG_PEEK, &flags), 0);
    CHECK_EQ(n, 1);
    OK(close(fds[0]));
    CHECK_EQ(get_fds(s[1], fds, &n, 64, 0, &flags), 0);
    CHECK_EQ(n, 1);
    uint64_t v;
    CHECK_EQ(read(fds[0], &v, 8), 8);
    CHECK_EQ(v, 3);
    OK(close(fds[0]));
    CHECK_EQ(put_fds(s[0], &e, 1, "x", 1), 1);
    OK(close(e));
    drop(s);
}

// Every kind of descriptor.
TEST(rights_kinds)
{
    int s[2], fds[4], n, flags;
    pair_of(SOCK_SEQPACKET, s);
    int kinds[] = { OK(open("file", O_CREAT | O_RDWR, 0600)), OK(open(".", O_RDONLY | O_DIRECTORY)), OK(open("/dev/null", O_RDWR)),
        OK(epoll_create1(0)), OK(eventfd(0, 0)), OK(open(".", O_PATH)), OK(socket(AF_UNIX, SOCK_STREAM, 0)), OK(dup(s[0])), OK(dup(s[1])) };
    for (int i = 0; i < (int)countof(kinds); i++) {
        struct stat a, b;
        CHECK_EQ(put_fds(s[0], kinds + i, 1, "x", 1), 1);
        CHECK_EQ(get_fds(s[1], fds, &n, 64, 0, &flags), 1);
        CHECK_EQ(n, 1);
        OK(fstat(kinds[i], &a));
        OK(fstat(fds[0], &b));
        CHECK_EQ(a.st_ino, b.st_ino);
        CHECK_EQ(fcntl(fds[0], F_GETFL), fcntl(kinds[i], F_GETFL));
        OK(close(fds[0]));
        OK(close(kinds[i]));
    }
    drop(s);
}

// A pipe whose write end is only held by sockets that nobody can reach: once they are collected the read end is at its end.
TEST(rights_cycles)
{
    int s[2], t[2], p[2];
    OK(pipe2(p, O_NONBLOCK));
    pair_of(SOCK_STREAM, s);
    pair_of(SOCK_DGRAM, t);
    CHECK_EQ(put_fds(s[0], &p[1], 1, "x", 1), 1);
    CHECK_EQ(put_fds(s[0], s, 2, "x", 1), 1);
    CHECK_EQ(put_fds(s[1], t, 2, "x", 1), 1);
    CHECK_EQ(put_fds(t[0], s, 2, "x", 1), 1);
    OK(close(p[1]));
    drop(s);
    drop(t);
    char b;
    pair_of(SOCK_STREAM, s); // another socket's end makes Linux look
    drop(s);
    for (int i = 0; i < 400 && read(p[0], &b, 1) != 0; i++)
        usleep(5000);
    CHECK_EQ(read(p[0], &b, 1), 0);
    OK(close(p[0]));
}

// Sockets within sockets, thousands deep, end without trouble.
TEST(rights_nested)
{
    int s[2], inner = -1;
    for (int i = 0; i < 3000; i++) {
        pair_of(SOCK_DGRAM, s);
        if (inner >= 0) {
            if (put_fds(s[0], &inner, 1, "x", 1) != 1) {
                CHECK_EQ(errno, ETOOMANYREFS);
                drop(s);
                break;
            }
            OK(close(inner));
        }
        OK(close(s[0]));
        inner = s[1];
    }
    OK(close(inner));
}

TEST(credentials)
{
    int s[2], v = 1;
    struct ucred u;
    socklen_t l = sizeof u;
    pair_of(SOCK_STREAM, s);
    OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &l));
    CHECK_EQ(u.pid, getpid());
    CHECK_EQ(u.uid, geteuid());
    CHECK_EQ(write(s[0], "a", 1), 1);
    OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, sizeof v));
    CHECK_EQ(write(s[0], "b", 1), 1);
    for (int i = 0; i < 2; i++) {
        char c[64], b[8];
        struct iovec iov = { b, sizeof b };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
        CHECK_EQ(recvmsg(s[1], &m, 0), 1);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        CHECK(h && h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof u));
        memcpy(&u, CMSG_DATA(h), sizeof u);
        CHECK_EQ(u.pid, i ? getpid() : 0);
        CHECK_EQ(u.uid, i ? getuid() : 65534);
        CHECK_EQ(m.msg_controllen, CMSG_SPACE(sizeof u));
    }
    // Said by the sender.
    char c[CMSG_SPACE(sizeof u)] = { 0 };
    struct iovec iov = { "x", 1 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof u), SOL_SOCKET, SCM_CREDENTIALS };
    u = (struct ucred){ getpid(), getuid(), getgid() };
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &u, sizeof u);
    CHECK_EQ(sendmsg(s[0], &m, 0), 1);
    CMSG_FIRSTHDR(&m)->cmsg_len--;
    CHECK_ERR(sendmsg(s[0], &m, 0), EINVAL);
    CMSG_FIRSTHDR(&m)->cmsg_len = 8;
    CHECK_ERR(sendmsg(s[0], &m, 0), EINVAL);
    CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof u);
    CMSG_FIRSTHDR(&m)->cmsg_type = 99;
    CHECK_ERR(sendmsg(s[0], &m, 0), EINVAL);
    CMSG_FIRSTHDR(&m)->cmsg_level = 99;
    CHECK_EQ(sendmsg(s[0], &m, 0), 1);
    drop(s);
    int x = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(getsockopt(x, SOL_SOCKET, SO_PEERCRED, &u, &l));
    CHECK_EQ(u.pid, 0);
    CHECK_EQ(u.uid, (uid_t)-1);
    OK(close(x));
}

TEST(message_headers)
{
    int s[2];
    char b[16], c[64];
    pair_of(SOCK_DGRAM, s);
    struct iovec v = { "abc", 3 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1025 };
    CHECK_ERR(sendmsg(s[0], &m, 0), EMSGSIZE);
    CHECK_ERR(sendmsg(s[0], (void *)8, 0), EFAULT);
    m.msg_iovlen = 1;
    m.msg_name = b;
    m.msg_namelen = -1;
    CHECK_ERR(sendmsg(s[0], &m, 0), EINVAL);
    m.msg_name = NULL;
    CHECK_EQ(sendmsg(s[0], &m, 0), 3);
    m.msg_control = c;
    m.msg_controllen = 1 << 20;
    CHECK_ERR(sendmsg(s[0], &m, 0), ENOBUFS);
    m.msg_controllen = 0;
    v.iov_base = (void *)8;
    CHECK_ERR(sendmsg(s[0], &m, 0), EFAULT);
    CHECK_ERR(recvmsg(s[1], &m, 0), EFAULT);
    CHECK_ERR(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN); // it is lost
    CHECK_ERR(send(s[0], (void *)8, 1, 0), EFAULT);
    v.iov_len = -1;
    CHECK_ERR(sendmsg(s[0], &m, 0), EINVAL);
    drop(s);
    pair_of(SOCK_STREAM, s);
    CHECK_EQ(write(s[0], "abc", 3), 3);
    CHECK_ERR(recv(s[1], (void *)8, 3, 0), EFAULT);
    CHECK_EQ(recv(s[1], b, 3, 0), 3);
    drop(s);
}

TEST(many_messages)
{
    int s[2];
    char b[4][8];
    pair_of(SOCK_DGRAM, s);
    struct iovec v[4];
    struct mmsghdr m[4] = { 0 };
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){ "abcdef", i + 1 };
        m[i].msg_hdr.msg_iov = v + i;
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(sendmmsg(s[0], m, 4, 0), 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(m[i].msg_len, i + 1);
        v[i] = (struct iovec){ b[i], 8 };
        m[i].msg_len = 0;
    }
    struct timespec t = { 5, 0 };
    CHECK_EQ(recvmmsg(s[1], m, 4, 0, &t), 4);
    CHECK(t.tv_sec < 5);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(m[i].msg_len, i + 1);
    CHECK_EQ(send(s[0], "xy", 2, 0), 2);
    CHECK_EQ(recvmmsg(s[1], m, 4, MSG_WAITFORONE, NULL), 1);
    CHECK_ERR(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_EQ(recvmmsg(s[1], m, 0, 0, NULL), 0);
    t.tv_nsec = -1;
    CHECK_ERR(recvmmsg(s[1], m, 4, 0, &t), EINVAL);
    m[1].msg_hdr.msg_iovlen = 2000;
    CHECK_EQ(sendmmsg(s[0], m, 4, 0), 1);
    drop(s);
}

TEST(epoll_edges)
{
    int s[2], e = OK(epoll_create1(0));
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    pair_of(SOCK_STREAM, s);
    OK(epoll_ctl(e, EPOLL_CTL_ADD, s[0], &ev));
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 1);
    CHECK_EQ(ev.events, EPOLLOUT);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    CHECK_EQ(write(s[1], "a", 1), 1);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 1);
    CHECK_EQ(ev.events, EPOLLIN | EPOLLOUT);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 0);
    CHECK_EQ(write(s[1], "a", 1), 1);
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 1);
    OK(close(s[1]));
    CHECK_EQ(epoll_wait(e, &ev, 1, 0), 1);
    CHECK_EQ(ev.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    OK(close(s[0]));
    OK(close(e));
}

TEST(splicing)
{
    int s[2], p[2], f = OK(open("file", O_CREAT | O_RDWR, 0600));
    char b[64];
    pair_of(SOCK_STREAM, s);
    OK(pipe(p));
    CHECK_EQ(write(s[0], "hello world", 11), 11);
    CHECK_EQ(splice(s[1], NULL, p[1], NULL, 5, 0), 5);
    CHECK_EQ(read(p[0], b, 64), 5);
    CHECK_EQ(splice(s[1], NULL, p[1], NULL, 64, 0), 6);
    CHECK_EQ(splice(p[0], NULL, s[0], NULL, 64, 0), 6);
    CHECK_EQ(read(s[1], b, 64), 6);
    CHECK_EQ(memcmp(b, " world", 6), 0);
    CHECK_ERR(splice(s[1], NULL, p[1], NULL, 64, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_EQ(write(f, "from a file", 11), 11);
    off_t at = 5;
    CHECK_EQ(syscall(SYS_sendfile, s[0], f, &at, 100), 6);
    CHECK_EQ(read(s[1], b, 64), 6);
    CHECK_EQ(memcmp(b, "a file", 6), 0);
    OK(close(f));
    OK(close(p[0]));
    OK(close(p[1]));
    drop(s);
}

static void *blocked_reader(void *arg)
{
    char b;
    errno = 0;
    long r = read((int)(long)arg, &b, 1);
    return (void *)(r < 0 ? -(long)errno : r);
}

static void nothing(int sig) { (void)sig; }

TEST(interrupted)
{
    int s[2];
    pthread_t t;
    void *r;
    struct sigaction act = { .sa_handler = nothing };
    sigaction(SIGUSR1, &act, NULL);
    pair_of(SOCK_STREAM, s);
    pthread_create(&t, NULL, blocked_reader, (void *)(long)s[0]);
    usleep(20000);
    pthread_kill(t, SIGUSR1);
    pthread_join(t, &r);
    CHECK_EQ((long)r, -EINTR);
    act.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &act, NULL);
    pthread_create(&t, NULL, blocked_reader, (void *)(long)s[0]);
    usleep(20000);
    pthread_kill(t, SIGUSR1);
    usleep(5000);
    CHECK_EQ(write(s[1], "x", 1), 1);
    pthread_join(t, &r);
    CHECK_EQ((long)r, 1);
    pthread_create(&t, NULL, blocked_reader, (void *)(long)s[0]);
    usleep(10000);
    OK(shutdown(s[0], SHUT_RDWR));
    pthread_join(t, &r);
    CHECK_EQ((long)r, 0);
    drop(s);
}

TEST(ping_pong)
{
    int s[2];
    pthread_t t;
    void *r;
    pair_of(SOCK_STREAM, s);
    pthread_create(&t, NULL, drain, (void *)(long)s[1]);
    for (int i = 0; i < 20000; i++)
        CHECK_EQ(write(s[0], "0123456789", 10), 10);
    OK(shutdown(s[0], SHUT_WR));
    pthread_join(t, &r);
    CHECK_EQ((long)r, 200000);
    drop(s);
}


TEST(proc_table)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "table");
    int s = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(listen(s, 1));
    struct stat st;
    OK(fstat(s, &st));
    char line[512], want[128], inode[32];
    snprintf(want, sizeof want, "@%s", a.sun_path + 1);
    snprintf(inode, sizeof inode, " %lu ", (unsigned long)st.st_ino);
    FILE *f = fopen("/proc/net/unix", "r");
    CHECK(f != NULL);
    int found = 0;
    while (fgets(line, sizeof line, f)) {
        if (strstr(line, want)) {
            found++;
            CHECK(strstr(line, " 00010000 0005 01 ") != NULL);
            CHECK(strstr(line, inode) != NULL);
        }
    }
    fclose(f);
    CHECK_EQ(found, 1);
    OK(close(s));
}

// A child that connects, says who it is, and passes a descriptor.
TEST(between_processes)
{
    struct sockaddr_un a;
    socklen_t n = path_name(&a, "processes");
    int s = OK(socket(AF_UNIX, SOCK_STREAM, 0)), v = 1, status, flags, fds[4], got;
    OK(bind(s, (struct sockaddr *)&a, n));
    OK(listen(s, 1));
    OK(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &v, sizeof v));
    pid_t child = OK(fork());
    if (child == 0) {
        int c = socket(AF_UNIX, SOCK_STREAM, 0), p[2];
        if (connect(c, (struct sockaddr *)&a, n) || pipe(p) || write(p[1], "from the child", 14) != 14 || put_fds(c, p, 1, "x", 1) != 1)
            _exit(1);
        _exit(read(c, &status, 1) == 1 ? 7 : 2);
    }
    int c = OK(accept(s, NULL, NULL));
    struct ucred u;
    socklen_t l = sizeof u;
    OK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &l));
    CHECK_EQ(u.pid, child);
    CHECK_EQ(get_fds(c, fds, &got, 200, 0, &flags), 1);
    CHECK_EQ(got, 1);
    CHECK_EQ(read(fds[0], big, 100), 14);
    CHECK_EQ(write(c, "y", 1), 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 7);
    CHECK_EQ(read(c, big, 1), 0);
    OK(close(fds[0]));
    OK(close(c));
    OK(close(s));
}

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#define U_SCM_PIDFD 4

static long process_of(int fd)
{
    char path[64], line[256];
    long pid = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "Pid: %ld", &pid);
    if (f)
        fclose(f);
    return pid;
}

TEST(process_descriptors)
{
    int s[2], v = 1, fd;
    socklen_t l = sizeof fd;
    pair_of(SOCK_DGRAM, s);
    OK(getsockopt(s[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &l));
    CHECK_EQ(process_of(fd), getpid());
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    OK(close(fd));
    OK(setsockopt(s[1], SOL_SOCKET, SO_PASSPIDFD, &v, sizeof v));
    CHECK_EQ(write(s[0], "x", 1), 1);
    char c[64], b[8];
    struct iovec iov = { b, sizeof b };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_type == U_SCM_PIDFD && h->cmsg_len == CMSG_LEN(4));
    memcpy(&fd, CMSG_DATA(h), 4);
    CHECK_EQ(process_of(fd), getpid());
    OK(close(fd));
    drop(s);
    v = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(getsockopt(v, SOL_SOCKET, SO_PEERPIDFD, &fd, &l), ENODATA);
    OK(close(v));
}
