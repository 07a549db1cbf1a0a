// run:
// cflags: -fPIE -pie
// A dynamically linked program: the interpreter, libc's relocations, a thread with TLS, dlopen of libm.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static __thread int counter = 40;

static void *body(void *arg)
{
    counter += 2;
    *(int *)arg = counter;
    return NULL;
}

int main(void)
{
    printf("hello from a dynamic program\n");
    pthread_t t;
    int seen = 0;
    if (pthread_create(&t, NULL, body, &seen) != 0 || pthread_join(t, NULL) != 0)
        return 1;
    printf("the thread saw %d, the main thread %d\n", seen, counter);

    void *m = dlopen("libm.so.6", RTLD_NOW);
    if (!m) {
        printf("dlopen: %s\n", dlerror());
        return 2;
    }
    double (*cosine)(double) = (double (*)(double))dlsym(m, "cos");
    printf("cos(0) = %.1f\n", cosine ? cosine(0.0) : -1.0);
    printf("dlclose: %d\n", dlclose(m));
    printf("no such library: %s\n", dlopen("libno-such.so.9", RTLD_NOW) ? "?" : "refused");
    return 0;
}
