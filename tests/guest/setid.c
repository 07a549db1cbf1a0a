// Set-user-id and set-group-id programs: this program makes a copy of itself and runs it as other users.
#include "moat_test.h"
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

// What the copy answers with: it is run as "report NAME".
__attribute__((constructor)) static void report(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "report") != 0)
        return;
    uid_t r, e, s;
    gid_t gr, ge, gs;
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    if (getresuid(&r, &e, &s) || getresgid(&gr, &ge, &gs) || syscall(SYS_capget, &h, d))
        _exit(9);
    char line[200];
    int n = snprintf(line, sizeof line, "uid %d %d %d gid %d %d %d secure %lu caps %d %d dumpable %d", r, e, s, gr, ge, gs,
                     getauxval(AT_SECURE), d[0].effective != 0, d[0].permitted != 0, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    _exit(write(1, line, n) == n ? 0 : 9);
}

static void make_copy(uid_t uid, gid_t gid, mode_t mode)
{
    static char buf[65536];
    int in = OK(open("/proc/self/exe", O_RDONLY)), out = OK(open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0755));
    for (ssize_t n; (n = OK(read(in, buf, sizeof buf))) > 0;)
        CHECK_EQ(write(out, buf, n), n);
    OK(fchown(out, uid, gid));
    OK(fchmod(out, mode));
    close(in);
    close(out);
}

static const char *run(uid_t uid, bool no_new)
{
    static char said[200];
    int p[2];
    OK(pipe(p));
    pid_t pid = OK(fork());
    if (pid == 0) {
        dup2(p[1], 1);
        if (syscall(SYS_setresgid, uid, uid, uid) || syscall(SYS_setresuid, uid, uid, uid) || (no_new && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
            _exit(1);
        execl("./copy", "copy", "report", NULL);
        _exit(2);
    }
    close(p[1]);
    ssize_t n = read(p[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = 0;
    close(p[0]);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    return said;
}

TEST(set_ids)
{
    if (geteuid() != 0)
        SKIP("for user 0");
    OK(chmod(".", 0755));
    make_copy(4000, 4001, 0755);
    CHECK_STR(run(3000, false), "uid 3000 3000 3000 gid 3000 3000 3000 secure 0 caps 0 0 dumpable 1");
    make_copy(4000, 4001, 04755);
    CHECK_STR(run(3000, false), "uid 3000 4000 4000 gid 3000 3000 3000 secure 1 caps 0 0 dumpable 0");
    CHECK_STR(run(3000, true), "uid 3000 3000 3000 gid 3000 3000 3000 secure 0 caps 0 0 dumpable 1");
    make_copy(4000, 4001, 02755);
    CHECK_STR(run(3000, false), "uid 3000 3000 3000 gid 3000 4001 4001 secure 1 caps 0 0 dumpable 0");
    make_copy(4000, 4001, 02745); // without execution by the group it means something else
    CHECK_STR(run(3000, false), "uid 3000 3000 3000 gid 3000 3000 3000 secure 0 caps 0 0 dumpable 1");
    make_copy(0, 0, 04755);
    CHECK_STR(run(3000, false), "uid 3000 0 0 gid 3000 3000 3000 secure 1 caps 1 1 dumpable 0");
    make_copy(4000, 4001, 06755);
    CHECK_STR(run(0, false), "uid 0 4000 4000 gid 0 4001 4001 secure 1 caps 0 1 dumpable 0");
}
