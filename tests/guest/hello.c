// run:
// run: one "two words" ''
// run: --exit 7
// The smallest program with libc: arguments, environment, both output streams, the exit code.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    printf("hello, world\n");
    for (int i = 1; i < argc; i++)
        printf("argument %d: [%s]\n", i, argv[i]);
    printf("HELLO_ENV=%s\n", getenv("HELLO_ENV") ? getenv("HELLO_ENV") : "(unset)");
    fprintf(stderr, "to stderr\n");
    if (argc == 3 && strcmp(argv[1], "--exit") == 0)
        return atoi(argv[2]);
    return 0;
}
