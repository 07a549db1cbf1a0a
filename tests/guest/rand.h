// For programs that make a seeded random sequence of calls and print every result: run natively and in Moat, the two
// outputs have to be the same. Nothing printed may depend on the machine, the directory or the time.
#ifndef MOAT_RAND_H
#define MOAT_RAND_H

#define MT_OWN_MAIN
#include "moat_test.h"

static uint64_t rand_seed;
MT_UNUSED static int rand_step;
static char rand_base[PATH_MAX + 8];

static inline uint32_t pick(uint32_t n) { return (uint32_t)(mt_random(&rand_seed) >> 33) % n; }
static inline bool odds(uint32_t n) { return pick(n) == 0; } // one in n

static inline const char *error_of(long r) { return r < 0 ? mt_errno(errno) : ""; }

// One line: the step, what was called, its result and errno.
#define SHOW(r, ...)                                                                                                   \
    do {                                                                                                               \
        int rand_e = errno;                                                                                            \
        printf("%d ", rand_step);                                                                                      \
        printf(__VA_ARGS__);                                                                                           \
        errno = rand_e;                                                                                                \
        printf(" = %ld %s\n", (long)(r), error_of((long)(r)));                                                         \
    } while (0)

static inline uint32_t hash(const void *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 16777619u;
    return h;
}

// Seeds from argv[1], closes what is open beyond 2 and makes a directory to work in, two levels below $TMPDIR.
MT_UNUSED static void rand_start(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    rand_seed = 0x9e3779b97f4a7c15ull * (argc > 1 ? strtoull(argv[1], NULL, 0) : 1) + 1;
    for (int i = 0; i < 10; i++)
        mt_random(&rand_seed);
    mt.thread = pthread_self();
    if (sigsetjmp(mt.out, 1) != 0) {
        printf("%s\n", mt.why);
        exit(1);
    }
    for (int fd = 3; fd < MT_FDS; fd++)
        close(fd);
    setvbuf(stdout, NULL, _IOLBF, 0); // whatever ends the program, what it printed shows where
    umask(022);
    snprintf(mt.dir, sizeof mt.dir, "%s/moat-rand.%d.XXXXXX", tmp && *tmp ? tmp : "/tmp", (int)getpid());
    CHECK(mkdtemp(mt.dir) != NULL);
    snprintf(rand_base, sizeof rand_base, "%s/top", mt.dir);
    OK(mkdir(rand_base, 0755));
    OK(chdir(rand_base));
}

MT_UNUSED static int rand_end(void)
{
    if (chdir("/") == 0)
        mt_remove_at(AT_FDCWD, mt.dir, 0);
    printf("end\n");
    return 0;
}

#endif
