// What inotify tells of a long story of changes: the output is compared with the host's.
// run:
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int queue;

static void show(const char *what)
{
    static char buffer[65536] __attribute__((aligned(8)));
    int available;
    ssize_t n;
    ioctl(queue, FIONREAD, &available);
    printf("%s: [%d]", what, available);
    while ((n = read(queue, buffer, sizeof buffer)) > 0) {
        for (char *p = buffer; p < buffer + n;) {
            struct inotify_event *e = (void *)p;
            printf(" %d:%x:%s:%d:%d", e->wd, e->mask, e->len ? e->name : "", e->cookie != 0, e->len);
            p += sizeof *e + e->len;
        }
    }
    puts("");
}

static void watch(const char *path, uint32_t mask)
{
    int wd = inotify_add_watch(queue, path, mask);
    printf("watch %s %x: %d %s\n", path, mask, wd, wd < 0 ? strerror(errno) : "");
}

static void touch(const char *path, int flags)
{
    int fd = open(path, flags, 0644);
    if (fd < 0 || close(fd) != 0)
        perror(path);
}

#define DO(call) do { int r = (call); if (r != 0) printf("%s: %d %s\n", #call, r, strerror(errno)); show(#call); } while (0)

int main(void)
{
    char dir[4096], b[16];
    snprintf(dir, sizeof dir, "%s/story.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return 1;
    mkdir("d", 0755);
    mkdir("e", 0755);
    queue = inotify_init1(IN_NONBLOCK);
    watch("d", IN_ALL_EVENTS);
    watch("e", IN_ALL_EVENTS);
    int f = open("d/f", O_CREAT | O_RDWR, 0644);
    show("create");
    watch("d/f", IN_ALL_EVENTS);
    DO(write(f, "abc", 3) != 3);
    DO(pread(f, b, 3, 0) != 3);
    DO(ftruncate(f, 1));
    DO(fchmod(f, 0600));
    DO(fchown(f, -1, -1));
    DO(link("d/f", "e/l"));
    DO(rename("d/f", "e/g"));
    DO(rename("e/g", "e/l"));
    DO(unlink("e/l"));
    DO((touch("e/new", O_CREAT | O_WRONLY), 0));
    watch("e/new", IN_ALL_EVENTS);
    DO(rename("e/g", "e/new"));
    DO(unlink("e/new"));
    DO(close(f));
    DO(mkdir("d/sub", 0755));
    watch("d/sub", IN_ALL_EVENTS);
    DO(rename("d/sub", "e/sub"));
    DO(rmdir("e/sub"));
    DO(symlink("x", "d/s"));
    DO((touch("d/t", O_CREAT | O_WRONLY | O_TRUNC), 0));
    DO((touch("d/t", O_WRONLY | O_TRUNC), 0));
    DO(truncate("d/t", 5));
    DO(utimensat(AT_FDCWD, "d/t", NULL, 0));
    f = open("d/t", O_RDWR);
    DO(posix_fallocate(f, 0, 100));
    DO(close(f));
    touch("e/a", O_CREAT | O_WRONLY);
    show("a");
    DO(renameat2(AT_FDCWD, "d/t", AT_FDCWD, "e/a", RENAME_EXCHANGE));
    DO(inotify_rm_watch(queue, 1));
    DO(inotify_rm_watch(queue, 1));
    watch("d", 0);
    watch("d/t", IN_ONLYDIR | IN_MODIFY);
    watch("e", IN_MASK_CREATE | IN_MODIFY);
    watch("e", IN_MASK_CREATE | IN_MASK_ADD | IN_MODIFY);
    watch("none", IN_MODIFY);
    watch("d", IN_CREATE | IN_ONESHOT);
    touch("d/o1", O_CREAT | O_WRONLY);
    touch("d/o2", O_CREAT | O_WRONLY);
    show("one shot");
    watch("d", IN_OPEN);
    watch("d", IN_CLOSE | IN_MASK_ADD);
    DO((touch("d/o1", O_RDONLY), 0));
    f = open("d/o1", O_RDWR);
    DO(unlink("d/o1"));
    DO(write(f, "x", 1) != 1);
    DO(close(f));
    watch("d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
    f = open("d/o2", O_RDWR);
    unlink("d/o2");
    show("excluded");
    DO(write(f, "x", 1) != 1);
    DO(close(f));
    touch("d/t", O_RDONLY);
    printf("%zd", read(queue, b, 3));
    printf(" %s\n", strerror(errno));
    show("rest");
    DO(rename("d", "h"));
    DO((touch("h/t", O_PATH), 0));
    f = open("h/t", O_RDWR);
    int g = dup(f), p[2];
    show("open");
    DO(close(f));
    if (pipe(p) != 0 || write(g, "12", 2) != 2)
        return 1;
    show("write");
    DO(lseek(g, 0, SEEK_SET));
    DO(splice(g, NULL, p[1], NULL, 1, 0) != 1);
    DO(splice(p[0], NULL, g, NULL, 1, 0) != 1);
    f = open("e/copy", O_CREAT | O_WRONLY, 0600);
    show("copy");
    lseek(g, 0, SEEK_SET);
    DO(copy_file_range(g, NULL, f, NULL, 2, 0) != 2);
    watch("e/copy", IN_DELETE_SELF);
    close(f);
    show("close");
    DO(unlink("e/copy"));
    // A queue that overflows says so once, and repeats are told once.
    watch("h", IN_ATTRIB);
    watch("e", IN_ATTRIB);
    for (int i = 0; i < 1000; i++)
        chmod("h/t", 0600);
    show("repeats");
    for (int i = 0; i < 40000; i++)
        chmod(i & 1 ? "h/t" : "e/a", 0600);
    static char all[2 << 20];
    int last = 0, count = 0;
    ssize_t n;
    while ((n = read(queue, all, sizeof all)) > 0) {
        for (char *at = all; at < all + n; count++) {
            struct inotify_event *e = (void *)at;
            last = e->mask;
            at += sizeof *e + e->len;
        }
    }
    printf("overflow: %x %d\n", last, count);
    return 0;
}
