// A close that waits in the host: SO_LINGER with data that the peer never takes.
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    static char b[1 << 16];
    struct linger wait = { 1, 14 };
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, (void *)&a, n); listen(l, 1); getsockname(l, (void *)&a, &n);
    connect(c, (void *)&a, n);
    int s = accept(l, 0, 0);
    fcntl(c, F_SETFL, O_NONBLOCK);
    while (write(c, b, sizeof b) > 0);
    setsockopt(c, SOL_SOCKET, SO_LINGER, &wait, sizeof wait);
    close(c); // waits until the peer has taken everything, which it never does
    puts("closed");
    return s < 0;
}
