// Pseudoterminals: the line discipline, job control, hangups, packet mode.
// cflags: -static
#include "moat_test.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave;
static char name[64];

static void open_pair(void)
{
    int number, lock = 0;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK(master >= 0);
    CHECK_EQ(ioctl(master, TIOCGPTN, &number), 0);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    CHECK_EQ(ioctl(master, TIOCSPTLCK, &lock), 0);
    slave = open(name, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
}

static void close_pair(void)
{
    close(slave);
    close(master);
}

static void modes(tcflag_t set, tcflag_t clear)
{
    struct termios t;
    CHECK_EQ(tcgetattr(slave, &t), 0);
    t.c_lflag = (t.c_lflag | set) & ~clear;
    CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
}

static void type(const char *text) { CHECK_EQ(write(master, text, strlen(text)), (ssize_t)strlen(text)); }

static int ready(int fd, int events, int timeout)
{
    struct pollfd p = { fd, events, 0 };
    return poll(&p, 1, timeout) <= 0 ? 0 : p.revents;
}

// What the slave reads in one call, waiting for it.
static const char *line(void)
{
    static char text[8192];
    CHECK(ready(slave, POLLIN, 5000) & POLLIN);
    ssize_t n = read(slave, text, sizeof text - 1);
    CHECK(n >= 0);
    text[n < 0 ? 0 : n] = 0;
    return text;
}

// What arrives at the screen until it is as long as what is expected.
static const char *screen(const char *expected)
{
    static char text[8192];
    size_t done = 0;
    while (done < strlen(expected) && (ready(master, POLLIN, 5000) & POLLIN)) {
        ssize_t n = read(master, text + done, sizeof text - 1 - done);
        if (n <= 0)
            break;
        done += n;
    }
    text[done] = 0;
    return text;
}

#define SCREEN(expected) CHECK_STR(screen(expected), expected)

TEST(names_and_numbers)
{
    open_pair();
    struct stat st, fst;
    struct statfs fs;
    CHECK_EQ(stat(name, &st), 0);
    CHECK_EQ(fstat(slave, &fst), 0);
    CHECK_EQ(st.st_ino, fst.st_ino);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_mode & 0600, 0600);
    CHECK_EQ(st.st_rdev >> 8, 136);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(statfs(name, &fs), 0);
    CHECK_EQ(fs.f_type, 0x1cd1);
    CHECK(isatty(slave) && isatty(master));
    char own[128];
    CHECK_EQ(ttyname_r(slave, own, sizeof own), 0);
    CHECK_STR(own, name);
    CHECK_EQ(fstat(master, &fst), 0);
    CHECK_EQ(fst.st_rdev, (5 << 8) | 2);
    int lock = 1;
    CHECK_EQ(ioctl(master, TIOCSPTLCK, &lock), 0);
    CHECK_ERR(open(name, O_RDWR), EIO);
    CHECK_EQ(ioctl(master, TIOCGPTLCK, &lock), 0);
    CHECK_EQ(lock, 1);
    lock = 0;
    CHECK_EQ(ioctl(master, TIOCSPTLCK, &lock), 0);
    CHECK_ERR(ioctl(slave, TIOCGPTN, &lock), ENOTTY);
    CHECK_ERR(ioctl(slave, TIOCPKT, &lock), ENOTTY);
    CHECK_ERR(ioctl(slave, TIOCGPGRP, &lock), ENOTTY);
    CHECK_EQ(ioctl(master, TIOCGPGRP, &lock), 0);
    CHECK_EQ(lock, 0);
    CHECK_ERR(ioctl(master, TIOCGSID, &lock), ENOTTY);
    CHECK_ERR(lseek(slave, 0, SEEK_SET), ESPIPE);
    CHECK_ERR(ioctl(slave, 0x5499, &lock), ENOTTY);
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    CHECK(peer >= 0);
    CHECK_EQ(fstat(peer, &fst), 0);
    CHECK_EQ(st.st_ino, fst.st_ino);
    close(peer);
    CHECK_EQ(fchmod(slave, 0600), 0);
    CHECK_EQ(stat(name, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    close_pair();
    CHECK_ERR(stat(name, &st), ENOENT);
}

TEST(standard_modes)
{
    open_pair();
    struct termios s, m;
    CHECK_EQ(tcgetattr(slave, &s), 0);
    CHECK_EQ(s.c_iflag, 0x500);
    CHECK_EQ(s.c_oflag, 5);
    CHECK_EQ(s.c_cflag, 0xbf);
    CHECK_EQ(s.c_lflag, 0x8a3b);
    CHECK_EQ(s.c_cc[VINTR], 3);
    CHECK_EQ(s.c_cc[VEOF], 4);
    CHECK_EQ(s.c_cc[VMIN], 1);
    CHECK_EQ(cfgetospeed(&s), B38400);
    s.c_lflag &= ~ECHO;
    CHECK_EQ(tcsetattr(slave, TCSANOW, &s), 0);
    CHECK_EQ(tcgetattr(master, &m), 0);
    CHECK_EQ(m.c_lflag, 0x8a33);
    struct winsize w = { 24, 80, 1, 2 }, got;
    CHECK_EQ(ioctl(slave, TIOCGWINSZ, &got), 0);
    CHECK_EQ(got.ws_row, 0);
    CHECK_EQ(ioctl(master, TIOCSWINSZ, &w), 0);
    CHECK_EQ(ioctl(slave, TIOCGWINSZ, &got), 0);
    CHECK_EQ(memcmp(&w, &got, sizeof w), 0);
    close_pair();
}

TEST(locked_modes)
{
    open_pair();
    struct termios lock, t;
    char raw[64] = { 0 };
    CHECK_EQ(ioctl(slave, TIOCGLCKTRMIOS, raw), 0);
    for (int i = 0; i < 36; i++)
        CHECK_EQ(raw[i], 0);
    memset(&lock, 0, sizeof lock);
    lock.c_lflag = ECHO;
    memcpy(raw, &lock, 36);
    if (ioctl(slave, TIOCSLCKTRMIOS, raw) == 0) {
        CHECK_EQ(tcgetattr(slave, &t), 0);
        t.c_lflag &= ~(ECHO | ICANON);
        CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
        CHECK_EQ(tcgetattr(slave, &t), 0);
        CHECK_EQ(t.c_lflag & (ECHO | ICANON), ECHO);
    }
    close_pair();
}

TEST(lines)
{
    open_pair();
    type("ab");
    CHECK_EQ(ready(slave, POLLIN, 20), 0);
    type("c\r");
    CHECK_STR(line(), "abc\n");
    SCREEN("abc\r\n");
    type("one\ntwo\n");
    CHECK_STR(line(), "one\n");
    CHECK_STR(line(), "two\n");
    SCREEN("one\r\ntwo\r\n");
    // The end of a file: what is there without the character, then nothing.
    type("xy\4");
    CHECK_STR(line(), "xy");
    type("\4");
    CHECK_STR(line(), "");
    SCREEN("xy");
    // A line is given in pieces when asked for.
    type("pieces\n");
    char piece[4] = { 0 };
    CHECK(ready(slave, POLLIN, 5000));
    CHECK_EQ(read(slave, piece, 3), 3);
    CHECK_STR(piece, "pie");
    int left;
    CHECK_EQ(ioctl(slave, FIONREAD, &left), 0);
    CHECK_EQ(left, 4);
    CHECK_STR(line(), "ces\n");
    SCREEN("pieces\r\n");
    close_pair();
}

TEST(editing)
{
    open_pair();
    type("abd\177c\n");
    CHECK_STR(line(), "abc\n");
    SCREEN("abd\b \bc\r\n");
    type("gone\25kept\n");
    CHECK_STR(line(), "kept\n");
    SCREEN("gone\b \b\b \b\b \b\b \bkept\r\n");
    type("two words \27x\n");
    CHECK_STR(line(), "two x\n");
    SCREEN("two words \b \b\b \b\b \b\b \b\b \b\b \bx\r\n");
    type("\1\177b\n");
    CHECK_STR(line(), "b\n");
    SCREEN("^A\b \b\b \bb\r\n");
    type("a\tb\177\177c\n");
    CHECK_STR(line(), "ac\n");
    SCREEN("a\tb\b \b\b\b\b\b\b\b\bc\r\n");
    type("\26\3\n");
    CHECK_STR(line(), "\3\n");
    SCREEN("^\b^C\r\n");
    type("ab\22c\n");
    CHECK_STR(line(), "abc\n");
    SCREEN("ab^R\r\nabc\r\n");
    modes(0, ECHOKE);
    type("ab\25c\n");
    CHECK_STR(line(), "c\n");
    SCREEN("ab^U\r\nc\r\n");
    modes(0, ECHOE);
    type("ab\177\n");
    CHECK_STR(line(), "a\n");
    SCREEN("ab^?\r\n");
    modes(ECHONL, ECHO);
    type("hidden\n");
    CHECK_STR(line(), "hidden\n");
    SCREEN("\r\n");
    struct termios t;
    tcgetattr(slave, &t);
    t.c_lflag |= ECHO | ECHOE;
    t.c_iflag |= IUTF8;
    tcsetattr(slave, TCSANOW, &t);
    type("\303\244x\177\177b\n");
    CHECK_STR(line(), "b\n");
    SCREEN("\303\244x\b \b\b \bb\r\n");
    close_pair();
}

TEST(output_modes)
{
    open_pair();
    CHECK_EQ(write(slave, "a\nb\tc\r\n", 7), 7);
    SCREEN("a\r\nb\tc\r\r\n");
    struct termios t;
    tcgetattr(slave, &t);
    t.c_oflag |= TAB3 | OLCUC;
    tcsetattr(slave, TCSADRAIN, &t);
    CHECK_EQ(write(slave, "ab\tc\n", 5), 5);
    SCREEN("AB      C\r\n");
    t.c_oflag = OPOST | OCRNL;
    tcsetattr(slave, TCSANOW, &t);
    CHECK_EQ(write(slave, "x\r\n", 3), 3);
    SCREEN("x\n\n");
    t.c_oflag = 0;
    tcsetattr(slave, TCSANOW, &t);
    CHECK_EQ(write(slave, "y\n\tz", 4), 4);
    SCREEN("y\n\tz");
    close_pair();
}

TEST(raw_minimum_and_time)
{
    open_pair();
    struct termios t;
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    t.c_cc[VMIN] = 3;
    tcsetattr(slave, TCSANOW, &t);
    type("ab");
    CHECK_EQ(ready(slave, POLLIN, 20), 0);
    type("c\3\r");
    CHECK_STR(line(), "abc\3\r");
    t.c_cc[VMIN] = 0;
    tcsetattr(slave, TCSANOW, &t);
    char c;
    CHECK_EQ(read(slave, &c, 1), 0);
    t.c_cc[VTIME] = 1;
    tcsetattr(slave, TCSANOW, &t);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_EQ(read(slave, &c, 1), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 80);
    type("q");
    CHECK_EQ(read(slave, &c, 1), 1);
    CHECK_EQ(c, 'q');
    // What was typed as a line is there when lines are no more.
    t.c_lflag |= ICANON;
    tcsetattr(slave, TCSANOW, &t);
    type("half");
    usleep(10000);
    t.c_lflag &= ~ICANON;
    tcsetattr(slave, TCSANOW, &t);
    CHECK_STR(line(), "half");
    CHECK_EQ(fcntl(slave, F_SETFL, O_NONBLOCK), 0);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(slave, TCSANOW, &t);
    CHECK_ERR(read(slave, &c, 1), EAGAIN);
    type("to be flushed");
    usleep(10000);
    CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
    CHECK_ERR(read(slave, &c, 1), EAGAIN);
    close_pair();
}

TEST(full_queues)
{
    open_pair();
    modes(0, ICANON | ECHO);
    CHECK_EQ(fcntl(slave, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    char block[1000];
    memset(block, 'x', sizeof block);
    for (int way = 0; way < 2; way++) {
        int from = way ? master : slave, to = way ? slave : master;
        size_t put = 0, got = 0;
        ssize_t n;
        while ((n = write(from, block, sizeof block)) > 0)
            put += n;
        CHECK_EQ(errno, EAGAIN);
        CHECK(put >= 4096 && put < 1 << 20);
        CHECK_EQ(ready(from, POLLOUT, 0), 0);
        for (int i = 0; i < 1000 && got < put; i++) {
            while ((n = read(to, block, sizeof block)) > 0)
                got += n;
            usleep(1000);
        }
        CHECK_EQ(got, put);
        CHECK(ready(from, POLLOUT, 5000) & POLLOUT);
    }
    close_pair();
}

TEST(slave_closes_and_reopens)
{
    open_pair();
    CHECK_EQ(write(slave, "last", 4), 4);
    CHECK_EQ(ready(master, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
    close(slave);
    CHECK_EQ(ready(master, POLLIN | POLLOUT, 0), POLLIN | POLLOUT | POLLHUP);
    SCREEN("last");
    char c;
    CHECK_ERR(read(master, &c, 1), EIO);
    slave = open(name, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    CHECK_EQ(ready(master, POLLIN | POLLOUT, 0), POLLOUT);
    close(master);
    CHECK_EQ(ready(slave, POLLIN | POLLOUT, 0), POLLIN | POLLOUT | POLLERR | POLLHUP);
    CHECK_EQ(read(slave, &c, 1), 0);
    CHECK_ERR(write(slave, "x", 1), EIO);
    struct termios t;
    CHECK_ERR(tcgetattr(slave, &t), EIO);
    CHECK_ERR(open(name, O_RDWR), ENOENT);
    close(slave);
}

TEST(packet_mode)
{
    open_pair();
    int on = 1;
    char b[16];
    CHECK_EQ(ioctl(master, TIOCPKT, &on), 0);
    CHECK_EQ(write(slave, "hi", 2), 2);
    CHECK(ready(master, POLLIN, 5000));
    CHECK_EQ(read(master, b, sizeof b), 3);
    CHECK_EQ(b[0], TIOCPKT_DATA);
    CHECK_EQ(b[1], 'h');
    CHECK_EQ(tcflush(slave, TCIFLUSH), 0);
    CHECK_EQ(ready(master, POLLIN | POLLPRI, 0), POLLIN | POLLPRI);
    CHECK_EQ(read(master, b, sizeof b), 1);
    CHECK_EQ(b[0], TIOCPKT_FLUSHREAD);
    struct termios t;
    tcgetattr(slave, &t);
    t.c_iflag &= ~IXON;
    tcsetattr(slave, TCSANOW, &t);
    CHECK_EQ(read(master, b, sizeof b), 1);
    CHECK_EQ(b[0], TIOCPKT_NOSTOP);
    on = 0;
    CHECK_EQ(ioctl(master, TIOCPKT, &on), 0);
    CHECK_EQ(ready(master, POLLIN | POLLPRI, 0), 0);
    close_pair();
}

TEST(flow_control)
{
    open_pair();
    CHECK_EQ(fcntl(slave, F_SETFL, O_NONBLOCK), 0);
    type("\23");
    usleep(20000);
    CHECK_ERR(write(slave, "x", 1), EAGAIN);
    CHECK_EQ(ready(slave, POLLOUT, 0), 0);
    type("\21");
    CHECK_EQ(ready(slave, POLLOUT, 5000), POLLOUT);
    CHECK_EQ(write(slave, "x", 1), 1);
    SCREEN("x");
    CHECK_EQ(tcflow(slave, TCOOFF), 0);
    CHECK_ERR(write(slave, "x", 1), EAGAIN);
    CHECK_EQ(tcflow(slave, TCOON), 0);
    CHECK_EQ(tcflow(slave, TCIOFF), 0);
    SCREEN("\23");
    close_pair();
}

TEST(epoll_and_blocking)
{
    open_pair();
    int e = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    CHECK_EQ(epoll_ctl(e, EPOLL_CTL_ADD, slave, &ev), 0);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(20000);
        _exit(write(master, "late\n", 5) != 5);
    }
    CHECK_EQ(epoll_wait(e, &ev, 1, 5000), 1);
    CHECK_STR(line(), "late\n");
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    pid = fork();
    if (pid == 0) {
        usleep(20000);
        _exit(write(slave, "out", 3) != 3);
    }
    char b[64];
    ssize_t n = read(master, b, sizeof b);
    CHECK(n > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(e);
    close_pair();
}

// Runs body in a session of its own whose terminal is the slave; returns its wait status.
static pid_t in_session(void (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        close(master);
        if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) != 0)
            _exit(99);
        body();
        _exit(98);
    }
    CHECK(pid > 0);
    return pid;
}

static int end_of(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void own_terminal(void)
{
    int group, tty = open("/dev/tty", O_RDWR);
    if (tty < 0 || ioctl(slave, TIOCGPGRP, &group) != 0 || group != getpid() || tcgetsid(tty) != getpid())
        _exit(1);
    if (write(tty, "tty", 3) != 3)
        _exit(2);
    if (ioctl(tty, TIOCNOTTY, 0) != 0)
        _exit(3);
    _exit(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 0 : 4);
}

TEST(controlling_terminal)
{
    open_pair();
    pid_t pid = in_session(own_terminal);
    SCREEN("tty");
    int status = end_of(pid);
    // The leader that gives it up gets SIGHUP with the foreground group.
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    close_pair();
}

static void wait_for_signal(void)
{
    if (write(slave, "!", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

TEST(signals_of_keys)
{
    static const struct { const char *key; int signal; } keys[] = { { "\3", SIGINT }, { "\34", SIGQUIT } };
    for (size_t i = 0; i < countof(keys); i++) {
        open_pair();
        pid_t pid = in_session(wait_for_signal);
        SCREEN("!");
        type(keys[i].key);
        int status = end_of(pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), keys[i].signal);
        close_pair();
    }
}

static volatile sig_atomic_t winches;
static void on_winch(int s) { winches++; (void)s; }

static void wait_for_winch(void)
{
    signal(SIGWINCH, on_winch);
    if (write(slave, "!", 1) != 1)
        _exit(1);
    while (!winches)
        usleep(1000);
    struct winsize w;
    _exit(ioctl(slave, TIOCGWINSZ, &w) == 0 && w.ws_col == 132 ? 0 : 2);
}

TEST(window_changes)
{
    open_pair();
    pid_t pid = in_session(wait_for_winch);
    SCREEN("!");
    struct winsize w = { 50, 132, 0, 0 };
    CHECK_EQ(ioctl(master, TIOCSWINSZ, &w), 0);
    CHECK_EQ(end_of(pid), 0);
    close_pair();
}

TEST(hangup_at_close)
{
    open_pair();
    pid_t pid = in_session(wait_for_signal);
    SCREEN("!");
    close(slave);
    close(master);
    int status = end_of(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGHUP);
}

static void background_job(void)
{
    signal(SIGTTOU, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTTOU, SIG_DFL);
        setpgid(0, 0);
        char c;
        ssize_t n = read(slave, &c, 1); // stopped until it is in the foreground
        _exit(n == 1 && c == 'k' ? 0 : 1);
    }
    setpgid(child, child);
    int status;
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTIN)
        _exit(1);
    if (tcsetpgrp(slave, child) != 0)
        _exit(2);
    kill(child, SIGCONT);
    if (write(slave, "!", 1) != 1)
        _exit(3);
    if (waitpid(child, &status, 0) != child || status != 0)
        _exit(4);
    if (tcgetpgrp(slave) != child || tcsetpgrp(slave, getpid()) != 0)
        _exit(5);
    // ^Z stops the job in the foreground.
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(child, child);
    tcsetpgrp(slave, child);
    if (write(slave, "?", 1) != 1)
        _exit(6);
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTSTP)
        _exit(7);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    _exit(tcsetpgrp(slave, 1 << 21) < 0 && errno == ESRCH ? 0 : 8);
}

TEST(job_control)
{
    open_pair();
    pid_t pid = in_session(background_job);
    SCREEN("!");
    type("k\n");
    SCREEN("k\r\n?");
    type("\32");
    CHECK_EQ(end_of(pid), 0);
    close_pair();
}

static void leave_child(void)
{
    if (fork() == 0) {
        if (write(slave, "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    usleep(50000);
    _exit(0);
}

TEST(leader_ends)
{
    open_pair();
    pid_t pid = in_session(leave_child);
    close(slave);
    SCREEN("!");
    CHECK_EQ(end_of(pid), 0);
    // The child of the foreground group is hung up and closes the last descriptor.
    char c;
    CHECK(ready(master, POLLIN, 5000) & POLLHUP);
    CHECK_ERR(read(master, &c, 1), EIO);
    close(master);
}
