// Names: directories and their listing, links, symbolic links, renames, removal, the working directory.
#include "moat_test.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void create(const char *name) { OK(close(OK(open(name, O_CREAT | O_WRONLY | O_EXCL, 0644)))); }

static ino_t inode(const char *name)
{
    struct stat st;
    OK(lstat(name, &st));
    return st.st_ino;
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(name, &st) == 0;
}

TEST(mkdir_and_rmdir)
{
    OK(mkdir("d", 0750));
    struct stat st;
    OK(stat("d", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 0750);
    CHECK_ERR(mkdir("d", 0755), EEXIST);
    CHECK_ERR(mkdir("no/d", 0755), ENOENT);
    CHECK_ERR(mkdir("", 0755), ENOENT);
    CHECK_ERR(mkdir("/", 0755), EEXIST);
    CHECK_ERR(mkdir("d/.", 0755), EEXIST);
    CHECK_ERR(mkdir("d/..", 0755), EEXIST);
    OK(mkdir("e/", 0755)); // a trailing slash is fine for a directory
    create("f");
    CHECK_ERR(mkdir("f/d", 0755), ENOTDIR);
    CHECK_ERR(mkdir("f", 0755), EEXIST);
    CHECK_ERR(rmdir("f"), ENOTDIR);
    CHECK_ERR(rmdir("no"), ENOENT);
    CHECK_ERR(rmdir("d/."), EINVAL);
    CHECK_ERR(rmdir("d/.."), ENOTEMPTY);
    CHECK_ERR(rmdir("/"), EBUSY);
    OK(mkdir("d/sub", 0755));
    CHECK_ERR(rmdir("d"), ENOTEMPTY);
    OK(rmdir("d/sub"));
    OK(rmdir("d/"));
    CHECK(!exists("d"));
    OK(symlink("e", "to_e"));
    CHECK_ERR(rmdir("to_e"), ENOTDIR);
    CHECK_ERR(mkdir("to_e", 0755), EEXIST);
}

TEST(link_counts_of_directories)
{
    OK(mkdir("d", 0755));
    struct stat st;
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "d/%d", i);
        OK(mkdir(name, 0755));
    }
    OK(stat("d", &st));
    CHECK_EQ(st.st_nlink, 6);
    OK(rmdir("d/2"));
    OK(stat("d", &st));
    CHECK_EQ(st.st_nlink, 5);
}

TEST(unlinks)
{
    create("f");
    OK(mkdir("d", 0755));
    OK(symlink("f", "l"));
    CHECK_ERR(unlink("d"), EISDIR);
    CHECK_ERR(unlink("no"), ENOENT);
    CHECK_ERR(unlink("f/"), ENOTDIR);
    CHECK_ERR(unlink("f/x"), ENOTDIR);
    CHECK_ERR(unlink("d/."), EISDIR);
    CHECK_ERR(unlink(""), ENOENT);
    OK(unlink("l"));
    CHECK(exists("f"));
    CHECK_ERR(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERR(unlinkat(AT_FDCWD, "f", 1), EINVAL);
    CHECK_ERR(unlinkat(250, "f", 0), EBADF);
    OK(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    OK(unlink("f"));
    CHECK_ERR(unlink("f"), ENOENT);
}

TEST(hard_links)
{
    OK(close(mt_file("f", 100)));
    OK(mkdir("d", 0755));
    OK(link("f", "d/g"));
    CHECK_EQ(inode("f"), inode("d/g"));
    struct stat st;
    OK(stat("f", &st));
    CHECK_EQ(st.st_nlink, 2);
    CHECK_ERR(link("f", "d/g"), EEXIST);
    CHECK_ERR(link("no", "x"), ENOENT);
    CHECK_ERR(link("d", "x"), EPERM);
    CHECK_ERR(link("f", "no/x"), ENOENT);
    CHECK_ERR(link("f", "f/x"), ENOTDIR);
    int fd = OK(open("d/g", O_WRONLY));
    CHECK_EQ(write(fd, "Z", 1), 1);
    OK(close(fd));
    char c;
    fd = OK(open("f", O_RDONLY));
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'Z');
    OK(close(fd));
    OK(unlink("f"));
    OK(stat("d/g", &st));
    CHECK_EQ(st.st_nlink, 1);
    OK(symlink("d/g", "s"));
    OK(link("s", "copy_of_s")); // of the symbolic link itself
    CHECK_EQ(inode("s"), inode("copy_of_s"));
    OK(linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    CHECK_EQ(inode("followed"), inode("d/g"));
    CHECK_ERR(linkat(AT_FDCWD, "s", AT_FDCWD, "y", 1), EINVAL);
}

TEST(symbolic_links)
{
    char b[300], target[256];
    OK(symlink("some/where", "l"));
    CHECK_EQ(readlink("l", b, sizeof b), 10);
    CHECK_EQ(memcmp(b, "some/where", 10), 0);
    CHECK_EQ(readlink("l", b, 4), 4); // cut, without an error
    CHECK_ERR(readlink("l", b, 0), EINVAL);
    struct stat st;
    OK(lstat("l", &st));
    CHECK_EQ(st.st_mode, S_IFLNK | 0777);
    CHECK_EQ(st.st_size, 10);
    CHECK_ERR(stat("l", &st), ENOENT);
    CHECK_ERR(symlink("x", "l"), EEXIST);
    CHECK_ERR(symlink("", "e"), ENOENT);
    CHECK_ERR(symlink("x", ""), ENOENT);
    CHECK_ERR(symlink("x", "no/l"), ENOENT);
    create("f");
    CHECK_ERR(readlink("f", b, sizeof b), EINVAL);
    CHECK_ERR(readlink("no", b, sizeof b), ENOENT);
    memset(target, 'a', 255);
    target[255] = 0;
    OK(symlink(target, "long")); // a name that could not exist
    CHECK_EQ(readlink("long", b, sizeof b), 255);
    CHECK_ERR(readlinkat(250, "l", b, sizeof b), EBADF);
}

TEST(symbolic_links_are_followed)
{
    OK(mkdir("a", 0755));
    OK(mkdir("a/b", 0755));
    create("a/b/f");
    OK(symlink("a/b", "ab"));
    OK(symlink("../b/f", "a/b/up"));
    OK(symlink("ab/up", "chain"));
    CHECK(access("ab/f", F_OK) == 0);
    struct stat st;
    OK(stat("chain", &st));
    CHECK_EQ(st.st_ino, inode("a/b/f"));
    OK(stat("ab/..", &st)); // the parent of where it leads
    CHECK_EQ(st.st_ino, inode("a"));
    OK(stat("ab/../../ab/./f", &st));
    CHECK_EQ(st.st_ino, inode("a/b/f"));
    OK(stat("ab///f", &st));
    CHECK_ERR(stat("ab/f/", &st), ENOTDIR);
    CHECK_ERR(stat("ab/f/.", &st), ENOTDIR);
    CHECK_ERR(stat("ab/no/../f", &st), ENOENT);
    OK(lstat("ab/", &st)); // the slash makes lstat follow
    CHECK(S_ISDIR(st.st_mode));
    char cwd[PATH_MAX];
    OK(symlink(getcwd(cwd, sizeof cwd), "absolute"));
    OK(stat("absolute/absolute/ab/f", &st));
    CHECK_EQ(st.st_ino, inode("a/b/f"));
}

TEST(loops)
{
    OK(symlink("self", "self"));
    OK(symlink("b", "a"));
    OK(symlink("a", "b"));
    struct stat st;
    CHECK_ERR(stat("self", &st), ELOOP);
    CHECK_ERR(stat("a", &st), ELOOP);
    CHECK_ERR(open("a", O_RDONLY), ELOOP);
    CHECK_ERR(open("a", O_CREAT | O_RDWR, 0600), ELOOP);
    CHECK_ERR(chdir("self/x"), ELOOP);
    OK(lstat("self", &st));
    // Forty in a chain are followed, one more is too many.
    create("l0");
    for (int i = 1; i <= 41; i++) {
        char name[16], to[16];
        snprintf(name, sizeof name, "l%d", i);
        snprintf(to, sizeof to, "l%d", i - 1);
        OK(symlink(to, name));
    }
    OK(stat("l40", &st));
    CHECK_ERR(stat("l41", &st), ELOOP);
}

TEST(names_too_long)
{
    char name[300], path[5000];
    memset(name, 'n', sizeof name);
    name[255] = 0;
    create(name);
    CHECK(exists(name));
    name[255] = 'n';
    name[256] = 0;
    struct stat st;
    CHECK_ERR(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
    CHECK_ERR(stat(name, &st), ENAMETOOLONG);
    CHECK_ERR(mkdir(name, 0755), ENAMETOOLONG);
    CHECK_ERR(unlink(name), ENAMETOOLONG);
    CHECK_ERR(symlink("x", name), ENAMETOOLONG);
    CHECK_ERR(rename("no", name), ENOENT); // the old name is looked up first
    create("f");
    CHECK_ERR(rename("f", name), ENAMETOOLONG);
    for (size_t i = 0; i < sizeof path - 1; i += 2)
        memcpy(path + i, "./", 3);
    path[4094] = '.';
    path[4095] = 0;
    OK(stat(path, &st)); // 4095 bytes and the end
    path[4095] = '/';
    path[4096] = 0;
    CHECK_ERR(stat(path, &st), ENAMETOOLONG);
    CHECK_ERR(open(path, O_RDONLY), ENAMETOOLONG);
    CHECK_ERR(symlink(path, "l"), ENAMETOOLONG);
}

TEST(deep_directories)
{
    char cwd[PATH_MAX];
    for (int i = 0; i < 100; i++) {
        OK(mkdir("deep", 0755));
        OK(chdir("deep"));
    }
    create("bottom");
    CHECK(getcwd(cwd, sizeof cwd) != NULL);
    CHECK_EQ(strlen(cwd), strlen(mt.dir) + 500);
    CHECK(access(cwd, F_OK) == 0);
    for (int i = 0; i < 100; i++)
        OK(chdir(".."));
    char here[PATH_MAX];
    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK_STR(here, mt.dir);
    CHECK(strncmp(cwd, here, strlen(here)) == 0);
}

TEST(working_directory)
{
    char b[PATH_MAX], start[PATH_MAX];
    CHECK(getcwd(start, sizeof start) != NULL);
    CHECK_EQ(syscall(SYS_getcwd, b, sizeof b), strlen(start) + 1); // the call counts the end
    CHECK_ERR(syscall(SYS_getcwd, b, strlen(start)), ERANGE);
    CHECK_EQ(syscall(SYS_getcwd, b, strlen(start) + 1), strlen(start) + 1);
    CHECK_ERR(syscall(SYS_getcwd, 8, sizeof b), EFAULT);
    OK(mkdir("d", 0755));
    create("f");
    CHECK_ERR(chdir("f"), ENOTDIR);
    CHECK_ERR(chdir("no"), ENOENT);
    CHECK_ERR(chdir(""), ENOENT);
    int dir = OK(open("d", O_RDONLY)), file = OK(open("f", O_RDONLY));
    CHECK_ERR(fchdir(file), ENOTDIR);
    CHECK_ERR(fchdir(250), EBADF);
    OK(fchdir(dir));
    create("inside");
    OK(rename("../d", "../renamed")); // the working directory follows
    CHECK(getcwd(b, sizeof b) != NULL);
    CHECK_STR(strrchr(b, '/'), "/renamed");
    OK(unlink("inside"));
    OK(rmdir("../renamed"));
    CHECK_ERR(syscall(SYS_getcwd, b, sizeof b), ENOENT);
    CHECK_ERR(open("new", O_CREAT | O_RDWR, 0600), ENOENT);
    CHECK_ERR(mkdir("new", 0700), ENOENT);
    OK(close(OK(open(".", O_RDONLY))));
    OK(chdir(start));
    OK(chdir("/"));
    OK(chdir("..")); // the root is its own parent
    CHECK_EQ(syscall(SYS_getcwd, b, sizeof b), 2);
    CHECK_STR(b, "/");
    OK(close(dir));
    OK(close(file));
}

TEST(renames)
{
    OK(close(mt_file("a", 10)));
    OK(close(mt_file("b", 20)));
    ino_t a = inode("a");
    OK(rename("a", "b")); // over another file
    CHECK(!exists("a"));
    CHECK_EQ(inode("b"), a);
    OK(rename("b", "b"));
    CHECK(exists("b"));
    OK(link("b", "c"));
    OK(rename("b", "c")); // two names of one file: nothing happens
    CHECK(exists("b") && exists("c"));
    CHECK_ERR(rename("no", "x"), ENOENT);
    CHECK_ERR(rename("b", "no/x"), ENOENT);
    CHECK_ERR(rename("b", "c/x"), ENOTDIR);
    CHECK_ERR(rename("b", "b/"), ENOTDIR);
    CHECK_ERR(rename("b", ""), ENOENT);
    CHECK_ERR(rename("b", "."), EBUSY);
    CHECK_ERR(rename(".", "x"), EBUSY);
    CHECK_ERR(rename("..", "x"), EBUSY);
}

TEST(renames_of_directories)
{
    OK(mkdir("d", 0755));
    OK(mkdir("d/sub", 0755));
    OK(mkdir("empty", 0755));
    OK(mkdir("full", 0755));
    create("full/f");
    create("file");
    CHECK_ERR(rename("d", "full"), ENOTEMPTY);
    CHECK_ERR(rename("d", "file"), ENOTDIR);
    CHECK_ERR(rename("file", "empty"), EISDIR);
    CHECK_ERR(rename("d", "d/sub/x"), EINVAL); // into itself
    CHECK_ERR(rename("d/sub", "d"), ENOTEMPTY);
    ino_t d = inode("d");
    OK(rename("d", "empty")); // over an empty one
    CHECK_EQ(inode("empty"), d);
    OK(rename("empty/sub/", "moved/"));
    CHECK(exists("moved"));
    struct stat st;
    OK(rename("moved", "full/moved"));
    OK(stat("full/moved/..", &st));
    CHECK_EQ(st.st_ino, inode("full")); // ".." leads to the new parent
    CHECK_EQ(st.st_nlink, 3);
    OK(symlink("full", "l"));
    OK(rename("l", "l2")); // the link, not what it names
    CHECK(exists("full") && exists("l2"));
}

TEST(rename_flags)
{
    OK(close(mt_file("a", 10)));
    OK(mkdir("d", 0755));
    create("d/x");
    ino_t a = inode("a"), d = inode("d");
    CHECK_ERR(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE), EEXIST);
    OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    CHECK_EQ(inode("b"), a);
    OK(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE)); // a file and a directory change places
    CHECK_EQ(inode("d"), a);
    CHECK_EQ(inode("b"), d);
    CHECK(exists("b/x"));
    CHECK_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "no", RENAME_EXCHANGE), ENOENT);
    CHECK_ERR(renameat2(AT_FDCWD, "d", AT_FDCWD, "b/x/y", RENAME_EXCHANGE), ENOTDIR);
    CHECK_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    CHECK_ERR(renameat2(AT_FDCWD, "b", AT_FDCWD, "e", 8), EINVAL);
    CHECK_ERR(renameat2(250, "b", AT_FDCWD, "e", 0), EBADF);
}

TEST(rename_replaces_an_open_file)
{
    int fd = mt_file("old", 100);
    OK(close(mt_file("new", 50)));
    OK(rename("new", "old"));
    struct stat st;
    OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(st.st_size, 100);
    OK(stat("old", &st));
    CHECK_EQ(st.st_size, 50);
    OK(close(fd));
}

struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

TEST(getdents_of_a_big_directory)
{
    enum { N = 1500 };
    OK(mkdir("d", 0755));
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "d/a-file-of-some-length-%04d", i);
        create(name);
    }
    int fd = OK(open("d", O_RDONLY | O_DIRECTORY));
    static bool seen[N];
    static int64_t offsets[N + 2];
    static char names[N + 2][32];
    for (int pass = 0; pass < 2; pass++) {
        char b[2000];
        int dots = 0, files = 0, at = 0;
        memset(seen, 0, sizeof seen);
        for (long n; (n = OK(getdents64(fd, b, sizeof b))) > 0;) {
            for (long p = 0; p < n;) {
                struct entry *e = (struct entry *)(b + p);
                CHECK(e->len % 8 == 0 && p + e->len <= n);
                p += e->len;
                offsets[at] = e->off;
                snprintf(names[at++], 32, "%s", e->name);
                if (e->name[0] == '.') {
                    CHECK_EQ(e->type, DT_DIR);
                    dots++;
                    continue;
                }
                int i = atoi(e->name + strlen("a-file-of-some-length-"));
                CHECK(!seen[i]);
                seen[i] = true;
                CHECK_EQ(e->type, DT_REG);
                CHECK(e->ino != 0);
                files++;
            }
        }
        CHECK_EQ(dots, 2);
        CHECK_EQ(files, N);
        CHECK_EQ(getdents64(fd, b, sizeof b), 0); // stays at the end
        CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    }
    // d_off is where the next entry begins.
    const int picks[] = {0, 5, 700, N - 1};
    for (unsigned i = 0; i < countof(picks); i++) {
        char b[2000];
        OK(lseek(fd, offsets[picks[i]], SEEK_SET));
        CHECK(getdents64(fd, b, sizeof b) > 0);
        CHECK_STR(((struct entry *)b)->name, names[picks[i] + 1]);
    }
    OK(close(fd));
}

TEST(getdents_types_and_inodes)
{
    create("f");
    OK(mkdir("d", 0755));
    OK(symlink("f", "l"));
    OK(mkfifo("p", 0600));
    int fd = OK(open(".", O_RDONLY));
    char b[4096];
    long n = OK(getdents64(fd, b, sizeof b)), count = 0;
    for (long p = 0; p < n; p += ((struct entry *)(b + p))->len) {
        struct entry *e = (struct entry *)(b + p);
        count++;
        if (e->name[0] == '.')
            continue;
        CHECK_EQ(e->ino, inode(e->name));
        CHECK_EQ(e->type, e->name[0] == 'f' ? DT_REG : e->name[0] == 'd' ? DT_DIR : e->name[0] == 'l' ? DT_LNK : DT_FIFO);
    }
    CHECK_EQ(count, 6);
    CHECK_EQ(getdents64(fd, b, sizeof b), 0);
    OK(lseek(fd, 0, SEEK_SET));
    CHECK_ERR(getdents64(fd, b, 10), EINVAL); // too small for one entry
    CHECK_ERR(getdents64(fd, (void *)8, 4096), EFAULT);
    OK(close(fd));
    fd = OK(open("f", O_RDONLY));
    CHECK_ERR(getdents64(fd, b, sizeof b), ENOTDIR);
    OK(close(fd));
}

TEST(listing_while_it_changes)
{
    // What is there throughout is listed exactly once, whatever comes and goes meanwhile.
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "stays-%03d", i);
        create(name);
        snprintf(name, sizeof name, "goes-%03d", i);
        create(name);
    }
    int fd = OK(open(".", O_RDONLY)), stays = 0, step = 0;
    char b[512];
    for (long n; (n = OK(getdents64(fd, b, sizeof b))) > 0; step++) {
        for (long p = 0; p < n; p += ((struct entry *)(b + p))->len)
            stays += strncmp(((struct entry *)(b + p))->name, "stays-", 6) == 0;
        char name[32];
        for (int i = 0; i < 10 && step < 20; i++) {
            snprintf(name, sizeof name, "goes-%03d", step * 10 + i);
            OK(unlink(name));
        }
        if (step < 50) {
            snprintf(name, sizeof name, "comes-%03d", step);
            create(name);
        }
    }
    CHECK_EQ(stays, 200);
    OK(close(fd));
}

TEST(listing_of_a_removed_directory)
{
    OK(mkdir("d", 0755));
    int fd = OK(open("d", O_RDONLY));
    OK(rmdir("d"));
    char b[512];
    long n = getdents64(fd, b, sizeof b);
    CHECK(n == 0 || (n == -1 && errno == ENOENT));
    OK(close(fd));
}

TEST(fifos_and_nodes)
{
    struct stat st;
    OK(mkfifo("p", 0640));
    OK(stat("p", &st));
    CHECK_EQ(st.st_mode, S_IFIFO | 0640);
    CHECK_ERR(mkfifo("p", 0600), EEXIST);
    CHECK_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO); // no reader yet
    int r = OK(open("p", O_RDONLY | O_NONBLOCK)), w = OK(open("p", O_WRONLY | O_NONBLOCK));
    CHECK_EQ(write(w, "fifo", 4), 4);
    char b[8];
    CHECK_EQ(read(r, b, 8), 4);
    CHECK_ERR(read(r, b, 8), EAGAIN);
    OK(close(w));
    CHECK_EQ(read(r, b, 8), 0);
    OK(close(r));
    OK(mknod("reg", S_IFREG | 0600, 0));
    OK(stat("reg", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    CHECK_ERR(mknod("dir", S_IFDIR | 0700, 0), EPERM);
    CHECK_ERR(mknod("odd", 0170000 | 0600, 0), EINVAL);
}

TEST(statfs_calls)
{
    struct statfs a, b;
    OK(statfs(".", &a));
    CHECK(a.f_bsize > 0 && a.f_blocks > 0 && a.f_namelen == 255 && a.f_bfree <= a.f_blocks && a.f_bavail <= a.f_bfree);
    int fd = OK(open(".", O_RDONLY));
    OK(fstatfs(fd, &b));
    CHECK_EQ(a.f_type, b.f_type);
    OK(close(fd));
    OK(statfs("/proc", &b));
    CHECK_EQ(b.f_type, 0x9fa0);
    CHECK_ERR(statfs("no", &a), ENOENT);
    CHECK_ERR(fstatfs(250, &a), EBADF);
    CHECK_ERR(statfs(".", (void *)8), EFAULT);
}

TEST(one_inode_number_each)
{
    ino_t seen[30];
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        create(name);
        seen[i] = inode(name);
        for (int j = 0; j < i; j++)
            CHECK(seen[j] != seen[i]);
    }
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        CHECK_EQ(inode(name), seen[i]); // and it stays
    }
}

TEST(system_files)
{
    // Files of the root file system: readable, stable, not the program's to change unnoticed.
    struct stat st, again;
    OK(stat("/etc/passwd", &st));
    CHECK(S_ISREG(st.st_mode) && st.st_size > 0);
    OK(stat("/etc/../etc/./passwd", &again));
    CHECK_EQ(st.st_ino, again.st_ino);
    CHECK_EQ(st.st_dev, again.st_dev);
    OK(stat("/", &st));
    OK(stat("/..", &again));
    CHECK_EQ(st.st_ino, again.st_ino);
    CHECK_ERR(open("/etc/passwd/x", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("/no-such-directory/x", O_RDONLY), ENOENT);
    DIR *d = opendir("/");
    CHECK(d != NULL);
    int found = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        found += strcmp(e->d_name, "etc") == 0 || strcmp(e->d_name, "proc") == 0 || strcmp(e->d_name, "dev") == 0 ||
                 strcmp(e->d_name, "tmp") == 0;
    OK(closedir(d));
    CHECK_EQ(found, 4);
}

static void *makes_and_removes(void *arg)
{
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "t%ld-%d", (long)(intptr_t)arg, i);
        int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
        if (fd < 0 || write(fd, name, 3) != 3 || close(fd) != 0 || rename(name, "shared") != 0)
            return (void *)1;
    }
    return NULL;
}

TEST(threads_in_one_directory)
{
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++)
        t[i] = mt_thread(makes_and_removes, (void *)i);
    for (int i = 0; i < 4; i++) {
        void *ret;
        OK0(pthread_join(t[i], &ret));
        CHECK(ret == NULL);
    }
    OK(unlink("shared"));
    CHECK_ERR(rmdir("."), EINVAL);
    OK(chdir("/"));
    OK(rmdir(mt.dir)); // empty
}
