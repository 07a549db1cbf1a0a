// Capabilities as a program sees them: capget, capset, the bounding and ambient sets, secure bits, and what changing ids does.
// Each subtest works in a thread of its own, whose credentials are its own with the raw calls.
#include "moat_test.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

struct caps {
    uint64_t effective, permitted, inheritable;
};

static struct caps get(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    OK(syscall(SYS_capget, &h, d));
    return (struct caps){d[0].effective | (uint64_t)d[1].effective << 32, d[0].permitted | (uint64_t)d[1].permitted << 32,
                         d[0].inheritable | (uint64_t)d[1].inheritable << 32};
}

static long set(struct caps c)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{c.effective, c.permitted, c.inheritable},
                                          {c.effective >> 32, c.permitted >> 32, c.inheritable >> 32}};
    return syscall(SYS_capset, &h, d);
}

#define BIT(cap) (1ull << (cap))

static void in_thread(void *(*body)(void *))
{
    if (geteuid() != 0)
        SKIP("for user 0");
    OK0(pthread_join(mt_thread(body, NULL), NULL));
}

static void *drop(void *arg)
{
    struct caps c = get();
    CHECK(c.permitted & BIT(CAP_CHOWN));
    CHECK_EQ(c.effective, c.permitted);
    struct caps less = {c.effective & ~BIT(CAP_CHOWN), c.permitted, 0};
    OK(set(less));
    CHECK_EQ(get().effective, less.effective);
    int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
    CHECK_ERR(fchown(fd, 1, 1), EPERM);
    OK(set(c)); // permitted still: it can come back
    OK(fchown(fd, 1, 1));
    close(fd);
    less.permitted = less.effective;
    OK(set(less));
    CHECK_ERR(set(c), EPERM); // gone for good
    less.effective |= BIT(CAP_CHOWN);
    CHECK_ERR(set(less), EPERM); // effective beyond permitted
    return arg;
}
TEST(capset_takes_away) { in_thread(drop); }

static void *ids(void *arg)
{
    struct caps c = get();
    OK(syscall(SYS_setresuid, 1000, 1000, 0));
    CHECK_EQ(get().effective, 0);
    CHECK_EQ(get().permitted, c.permitted);
    OK(syscall(SYS_setresuid, -1, 0, -1));
    CHECK_EQ(get().effective, c.permitted);
    OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_EQ(get().effective, 0);
    CHECK_EQ(get().permitted, 0);
    CHECK_ERR(syscall(SYS_setuid, 0), EPERM);
    return arg;
}
TEST(changing_users_drops_them) { in_thread(ids); }

static void *keep(void *arg)
{
    struct caps c = get();
    OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
    CHECK_EQ(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), SECBIT_KEEP_CAPS);
    OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_EQ(get().effective, 0);
    CHECK_EQ(get().permitted, c.permitted);
    OK(set((struct caps){BIT(CAP_SETUID), c.permitted, 0}));
    OK(syscall(SYS_setresuid, 7, 8, 9)); // by capability, not by number
    return arg;
}
TEST(keepcaps) { in_thread(keep); }

static void *no_fixup(void *arg)
{
    struct caps c = get();
    OK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0));
    CHECK_ERR(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0), EPERM);
    CHECK_ERR(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0), EPERM);
    CHECK_ERR(prctl(PR_SET_SECUREBITS, 1 << 20, 0, 0, 0), EPERM);
    OK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK_EQ(get().effective, c.effective);
    return arg;
}
TEST(secure_bits) { in_thread(no_fixup); }

static void *fs_user(void *arg)
{
    struct caps c = get();
    syscall(SYS_setfsuid, 1000);
    uint64_t files = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
                     BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MKNOD) | BIT(CAP_MAC_OVERRIDE);
    CHECK_EQ(get().effective, c.effective & ~files);
    CHECK_EQ(syscall(SYS_setfsuid, -1), 1000);
    syscall(SYS_setfsuid, 0);
    CHECK_EQ(get().effective, c.effective);
    return arg;
}
TEST(the_user_of_files) { in_thread(fs_user); }

static void *bounding(void *arg)
{
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_NICE, 0, 0, 0), 1);
    OK(prctl(PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0));
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_NICE, 0, 0, 0), 0);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 99, 0, 0, 0), EINVAL);
    CHECK_ERR(prctl(PR_CAPBSET_DROP, 99, 0, 0, 0), EINVAL);
    struct caps c = get();
    c.inheritable = BIT(CAP_SYS_NICE);
    CHECK_ERR(set(c), EPERM); // outside the bounding set
    c.inheritable = BIT(CAP_CHOWN);
    OK(set(c));
    return arg;
}
TEST(the_bounding_set) { in_thread(bounding); }

static void *ambient(void *arg)
{
    CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM); // not inheritable
    struct caps c = get();
    c.inheritable = BIT(CAP_CHOWN) | BIT(CAP_KILL);
    OK(set(c));
    OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
    OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 1);
    OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL, 0, 0));
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
    c.inheritable = 0;
    OK(set(c)); // takes it from the ambient set too
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0);
    CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL);
    OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    return arg;
}
TEST(the_ambient_set) { in_thread(ambient); }

static void *reading(void *arg)
{
    int fd = OK(open("secret", O_CREAT | O_RDWR, 0));
    close(fd);
    OK(fd = open("secret", O_RDWR));
    close(fd);
    struct caps c = get();
    OK(set((struct caps){BIT(CAP_DAC_READ_SEARCH), c.permitted, 0}));
    OK(fd = open("secret", O_RDONLY));
    close(fd);
    CHECK_ERR(open("secret", O_RDWR), EACCES);
    OK(set((struct caps){0, c.permitted, 0}));
    CHECK_ERR(open("secret", O_RDONLY), EACCES);
    OK(access("secret", R_OK | W_OK)); // the real user may, with all that is permitted
    return arg;
}
TEST(reading_past_modes) { in_thread(reading); }

TEST(headers)
{
    struct __user_cap_header_struct h = {0x12345, 0};
    struct __user_cap_data_struct d[2];
    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
    CHECK_EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
    h.version = 0x12345;
    CHECK_EQ(syscall(SYS_capget, &h, NULL), 0);
    h.pid = -1;
    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
    h.pid = 1 << 22;
    CHECK_ERR(syscall(SYS_capget, &h, d), ESRCH);
    CHECK_ERR(syscall(SYS_capset, &h, d), EPERM);
    CHECK_ERR(syscall(SYS_capget, NULL, d), EFAULT);
}

TEST(low_addresses)
{
    if (geteuid() != 0)
        SKIP("for user 0");
    void *p = mmap((void *)4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        SKIP("no CAP_SYS_RAWIO on this host");
    *(volatile int *)p = 1;
    OK(munmap(p, 4096));
    CHECK(mmap((void *)4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != p); // a hint is moved up
}
