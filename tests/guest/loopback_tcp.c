// inet_tcp on the loopback of a sandbox without the host's network, and what only that can be asked.
// moat: --network none
#define OWN_LOOPBACK
#include "inet_tcp.c"

TEST(full_backlog)
{
    int l = listener(0), c[2];
    struct sockaddr_in a = local(port_of(l));
    c[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(c[0], (void *)&a, sizeof a));
    c[1] = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK_ERR(connect(c[1], (void *)&a, sizeof a), EINPROGRESS);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(ready(l, POLLIN, 10000), POLLIN);
        int s = OK(accept(l, NULL, NULL));
        OK(close(s));
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(ready(c[i], POLLOUT, 10000) & POLLOUT, POLLOUT);
        OK(close(c[i]));
    }
    OK(close(l));
}

TEST(listener_goes)
{
    int l = listener(4);
    char b[1];
    struct sockaddr_in a = local(port_of(l));
    int c = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(c, (void *)&a, sizeof a));
    OK(close(l));
    CHECK(ready(c, POLLIN, 5000) & POLLHUP);
    CHECK_ERR(recv(c, b, 1, 0), ECONNRESET);
    OK(close(c));
}

TEST(shared_port)
{
    int one = 1, s[3];
    struct sockaddr_in a = local(0);
    for (int i = 0; i < 2; i++) {
        s[i] = OK(socket(AF_INET, SOCK_STREAM, 0));
        OK(setsockopt(s[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
        OK(bind(s[i], (void *)&a, sizeof a));
        a = local(port_of(s[i]));
        OK(listen(s[i], 4));
    }
    s[2] = OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_ERR(bind(s[2], (void *)&a, sizeof a), EADDRINUSE);
    for (int i = 0; i < 20; i++) {
        int c = OK(socket(AF_INET, SOCK_STREAM, 0));
        OK(connect(c, (void *)&a, sizeof a));
        struct pollfd p[2] = { { s[0], POLLIN, 0 }, { s[1], POLLIN, 0 } };
        CHECK_EQ(poll(p, 2, 5000), 1);
        int t = OK(accept(p[0].revents ? s[0] : s[1], NULL, NULL));
        OK(close(t));
        OK(close(c));
    }
    for (int i = 0; i < 3; i++)
        OK(close(s[i]));
}

TEST(both_versions)
{
    int l = OK(socket(AF_INET6, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM, 0)), d = OK(socket(AF_INET6, SOCK_STREAM, 0));
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
    socklen_t n = sizeof a;
    OK(bind(l, (void *)&a, sizeof a));
    OK(listen(l, 4));
    OK(getsockname(l, (void *)&a, &n));
    struct sockaddr_in four = local(ntohs(a.sin6_port));
    OK(connect(c, (void *)&four, sizeof four));
    n = sizeof a;
    int s = OK(accept(l, (void *)&a, &n));
    CHECK(IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
    OK(close(s));
    a.sin6_port = four.sin_port;
    a.sin6_addr = in6addr_loopback;
    OK(connect(d, (void *)&a, sizeof a));
    n = sizeof a;
    s = OK(accept(l, (void *)&a, &n));
    CHECK_EQ(memcmp(&a.sin6_addr, &in6addr_loopback, 16), 0);
    OK(close(s));
    OK(close(c));
    OK(close(d));
    OK(close(l));
}
