// run: 1
// run: 2
// run: 3
// run: 4
// run: 5
// run: 6
// run: 7
// run: 8
// Random calls on a small tree of names and a few descriptors, then the whole tree.
#include "rand.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { SLOTS = 6, STEPS = 2500 };

static int fds[SLOTS];
static char data[100000];

static const char *const names[] = {"a", "b", "c", "d", "d/a", "d/b", "e", "e/d", "e/d/a", "l", "d/l", "no/x", "a/x",
                                    "d/../b", "l/a", "e/", "./a", "d/.", "e/..", "", "../top/c", "e/d/../../d/b"};
static const char *const targets[] = {"a", "d", "../b", "l", "no", "e/d", ".", "d/l"};

static const char *any_name(void) { return names[pick(odds(2) ? countof(names) : 9)]; }
static int any_slot(void) { return (int)pick(SLOTS); }

static bool is_file(int slot)
{
    struct stat st;
    return fds[slot] >= 0 && fstat(fds[slot], &st) == 0 && S_ISREG(st.st_mode);
}

static void show_stat(const char *what, int r, const struct stat *st)
{
    if (r < 0) {
        SHOW(r, "%s", what);
        return;
    }
    long size = S_ISDIR(st->st_mode) ? 0 : (long)st->st_size;
    printf("%d %s: mode %o links %lu size %ld mtime %ld\n", rand_step, what, st->st_mode, (unsigned long)st->st_nlink, size,
           st->st_mtime < 100000 ? (long)st->st_mtime : -1);
}

static void op_open(void)
{
    static const int flags[] = {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_PATH, O_NONBLOCK};
    int f = (int)pick(3), s = any_slot(), mode = odds(4) ? 0400 : 0644;
    f |= odds(2) ? O_CREAT : 0;
    for (unsigned i = 0; i < countof(flags); i++)
        f |= odds(16) ? flags[i] : 0;
    const char *name = any_name();
    if (fds[s] >= 0)
        close(fds[s]);
    fds[s] = open(name, f, mode);
    SHOW(fds[s], "open(%s, %o, %o)", name, f, mode);
}

static void op_data(void)
{
    int s = any_slot(), fd = fds[s];
    size_t n = pick(4) ? pick(500) : pick(20000);
    off_t off = pick(4) ? pick(3000) : pick(60000);
    struct iovec v[3] = {{data, n / 3}, {data + n / 3, n - n / 3}, {data + n, 0}};
    long r;
    switch (pick(7)) {
    case 0:
        r = read(fd, data, n);
        SHOW(r, "read(%d, %zu) %x", s, n, r > 0 ? hash(data, r) : 0);
        return;
    case 1:
        r = pread(fd, data, n, off);
        SHOW(r, "pread(%d, %zu, %ld) %x", s, n, off, r > 0 ? hash(data, r) : 0);
        return;
    case 2:
        r = preadv(fd, v, 3, off);
        SHOW(r, "preadv(%d, %zu, %ld) %x", s, n, off, r > 0 ? hash(data, r) : 0);
        return;
    default:
        break;
    }
    mt_pattern(data, n, mt_random(&rand_seed));
    switch (pick(4)) {
    case 0:
        r = write(fd, data, n);
        SHOW(r, "write(%d, %zu)", s, n);
        return;
    case 1:
        r = pwritev2(fd, v, 3, off, odds(3) ? RWF_APPEND : 0);
        SHOW(r, "pwritev2(%d, %zu, %ld)", s, n, off);
        return;
    default:
        r = pwrite(fd, data, n, off);
        SHOW(r, "pwrite(%d, %zu, %ld)", s, n, off);
        return;
    }
}

static void op_size(void)
{
    int s = any_slot(), mode = odds(2) ? 0 : odds(2) ? FALLOC_FL_KEEP_SIZE : FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
    const char *name = any_name();
    long n = odds(10) ? -1 : pick(80000), off = pick(50000);
    long r;
    switch (pick(4)) {
    case 0:
        r = ftruncate(fds[s], n);
        SHOW(r, "ftruncate(%d, %ld)", s, n);
        return;
    case 1:
        r = truncate(name, n);
        SHOW(r, "truncate(%s, %ld)", name, n);
        return;
    case 2:
        if (!is_file(s))
            return;
        r = fallocate(fds[s], mode, off, n);
        SHOW(r, "fallocate(%d, %d, %ld, %ld)", s, mode, off, n);
        return;
    default:
        if (!is_file(s))
            return;
        int whence = (int)pick(3);
        n = odds(3) ? -(long)pick(5000) : pick(5000);
        r = lseek(fds[s], n, whence);
        SHOW(r, "lseek(%d, %ld, %d)", s, n, whence);
        return;
    }
}

static void op_names(void)
{
    const char *a = any_name(), *b = any_name();
    long r;
    switch (pick(9)) {
    case 0:
        r = mkdir(a, odds(2) ? 0755 : 0700);
        SHOW(r, "mkdir(%s)", a);
        return;
    case 1:
        r = rmdir(a);
        SHOW(r, "rmdir(%s)", a);
        return;
    case 2:
        r = unlink(a);
        SHOW(r, "unlink(%s)", a);
        return;
    case 3:
        r = link(a, b);
        SHOW(r, "link(%s, %s)", a, b);
        return;
    case 4:
        b = targets[pick(countof(targets))];
        r = symlink(b, a);
        SHOW(r, "symlink(%s, %s)", b, a);
        return;
    case 5:
        r = readlink(a, data, 100);
        SHOW(r, "readlink(%s) %.*s", a, r > 0 ? (int)r : 0, data);
        return;
    case 6: {
        unsigned flags = odds(2) ? 0 : pick(4);
        r = renameat2(AT_FDCWD, a, AT_FDCWD, b, flags);
        SHOW(r, "renameat2(%s, %s, %u)", a, b, flags);
        return;
    }
    case 7:
        r = linkat(AT_FDCWD, a, AT_FDCWD, b, AT_SYMLINK_FOLLOW);
        SHOW(r, "linkat follow(%s, %s)", a, b);
        return;
    default:
        r = rename(a, b);
        SHOW(r, "rename(%s, %s)", a, b);
        return;
    }
}

static void op_meta(void)
{
    const char *a = any_name();
    char what[64];
    struct stat st;
    struct timespec t[2] = {{pick(90000), 0}, {pick(90000), 0}};
    int s = any_slot();
    long r;
    switch (pick(7)) {
    case 0:
        r = stat(a, &st);
        snprintf(what, sizeof what, "stat(%s)", a);
        show_stat(what, (int)r, &st);
        return;
    case 1:
        r = lstat(a, &st);
        snprintf(what, sizeof what, "lstat(%s)", a);
        show_stat(what, (int)r, &st);
        return;
    case 2:
        r = fstat(fds[s], &st);
        snprintf(what, sizeof what, "fstat(%d)", s);
        show_stat(what, (int)r, &st);
        return;
    case 3:
        r = chmod(a, 0400 | pick(0400));
        SHOW(r, "chmod(%s)", a);
        return;
    case 4:
        r = utimensat(AT_FDCWD, a, t, odds(3) ? AT_SYMLINK_NOFOLLOW : 0);
        SHOW(r, "utimensat(%s)", a);
        return;
    case 5:
        r = access(a, F_OK);
        SHOW(r, "access(%s)", a);
        return;
    default:
        r = fcntl(fds[s], odds(2) ? F_GETFL : F_GETFD);
        SHOW(r, "fcntl(%d)", s);
        return;
    }
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *name, int depth)
{
    DIR *d = opendir(name);
    char *entries[200];
    int n = 0;
    if (!d) {
        printf("%d opendir(%s): %s\n", rand_step, name, mt_errno(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d)) && n < 200;)
        entries[n++] = strdup(e->d_name);
    closedir(d);
    qsort(entries, n, sizeof *entries, compare);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX], link[100];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", name, entries[i]);
        bool dot = strcmp(entries[i], ".") == 0 || strcmp(entries[i], "..") == 0;
        if (depth == 0 || dot || lstat(path, &st) != 0) {
            printf("%d   %s\n", rand_step, entries[i]);
        } else {
            show_stat(path, 0, &st);
            long k = S_ISLNK(st.st_mode) ? readlink(path, link, sizeof link) : 0;
            if (k > 0)
                printf("    -> %.*s\n", (int)k, link);
            int fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY) : -1;
            if (fd >= 0) {
                k = read(fd, data, sizeof data);
                printf("    %ld bytes %x\n", k, k > 0 ? hash(data, k) : 0);
                close(fd);
            }
            if (S_ISDIR(st.st_mode))
                list(path, depth - 1);
        }
        free(entries[i]);
    }
}

static void op_others(void)
{
    int s = any_slot(), t = any_slot();
    const char *a = any_name();
    off_t off = pick(2000);
    size_t n = pick(5000);
    long r;
    switch (pick(7)) {
    case 0:
        r = close(fds[s]);
        SHOW(r, "close(%d)", s);
        fds[s] = -1;
        return;
    case 1:
        if (fds[t] < 0)
            return;
        r = dup2(fds[s], fds[t]);
        SHOW(r, "dup2(%d, %d)", s, t);
        return;
    case 2:
        list(a, 0);
        return;
    case 3:
        r = chdir(a);
        SHOW(r, "chdir(%s)", a);
        if (getcwd(data, sizeof data) == NULL)
            printf("%d getcwd: %s\n", rand_step, mt_errno(errno));
        else if (strncmp(data, rand_base, strlen(rand_base)) == 0)
            printf("%d getcwd: %s\n", rand_step, data + strlen(rand_base));
        if (odds(3) || r < 0 || strncmp(data, rand_base, strlen(rand_base)) != 0)
            OK(chdir(rand_base));
        return;
    case 4:
        if (!is_file(s) || !is_file(t))
            return;
        r = copy_file_range(fds[s], odds(2) ? &off : NULL, fds[t], NULL, n, 0);
        SHOW(r, "copy_file_range(%d, %d, %zu) %ld", s, t, n, off);
        return;
    case 5:
        if (!is_file(s) || !is_file(t))
            return;
        r = sendfile(fds[t], fds[s], odds(2) ? &off : NULL, n);
        SHOW(r, "sendfile(%d, %d, %zu) %ld", t, s, n, off);
        return;
    default:
        if (fds[s] < 0)
            return;
        r = fcntl(fds[s], F_SETFL, odds(2) ? O_APPEND : 0);
        SHOW(r, "setfl(%d)", s);
        return;
    }
}

int main(int argc, char **argv)
{
    rand_start(argc, argv);
    for (int i = 0; i < SLOTS; i++)
        fds[i] = -1;
    for (rand_step = 0; rand_step < STEPS; rand_step++) {
        switch (pick(12)) {
        case 0: op_open(); break;
        case 1:
        case 2:
        case 3: op_data(); break;
        case 4: op_size(); break;
        case 5:
        case 6:
        case 7: op_names(); break;
        case 8:
        case 9: op_meta(); break;
        case 10: op_open(); break;
        default: op_others(); break;
        }
    }
    OK(chdir(rand_base));
    list(".", 6);
    return rand_end();
}
