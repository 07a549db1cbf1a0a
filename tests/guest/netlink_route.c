// NETLINK_ROUTE: what getifaddrs and ip(8) ask.
#include "moat_test.h"
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

TEST(create)
{
    CHECK_ERR(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
    int s = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)), t = OK(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE));
    struct sockaddr_nl a = { .nl_family = AF_NETLINK }, b;
    socklen_t n = sizeof b;
    CHECK_ERR(bind(s, (void *)&a, 11), EINVAL);
    OK(bind(s, (void *)&a, sizeof a));
    OK(getsockname(s, (void *)&b, &n));
    CHECK_EQ(n, sizeof b);
    CHECK_EQ(b.nl_pid, (unsigned)getpid());
    CHECK_ERR(bind(t, (void *)&b, sizeof b), EADDRINUSE);
    OK(bind(t, (void *)&a, sizeof a));
    OK(getsockname(t, (void *)&b, &n));
    CHECK(b.nl_pid != 0 && b.nl_pid != (unsigned)getpid());
    a.nl_pid = 77;
    CHECK_ERR(bind(t, (void *)&a, sizeof a), EINVAL);
    CHECK_ERR(listen(s, 1), EOPNOTSUPP);
    char buf[8];
    CHECK_ERR(recv(s, buf, 8, MSG_DONTWAIT), EAGAIN);
    OK(close(s));
    OK(close(t));
}

TEST(nobody_reads)
{
    // Acknowledgements that do not fit are lost, which is told first.
    int s = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)), got = 0;
    struct nlmsghdr h = { .nlmsg_len = sizeof h, .nlmsg_flags = NLM_F_ACK };
    char buf[64];
    for (int i = 0; i < 3000; i++) {
        h.nlmsg_seq = i;
        CHECK_EQ(send(s, &h, sizeof h, 0), sizeof h);
    }
    struct pollfd p = { s, POLLIN, 0 };
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLERR);
    CHECK_ERR(recv(s, buf, sizeof buf, MSG_DONTWAIT), ENOBUFS);
    while (recv(s, buf, sizeof buf, MSG_DONTWAIT) > 0)
        got++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(got > 10 && got < 3000);
    CHECK_EQ(send(s, &h, sizeof h, 0), sizeof h);
    CHECK(recv(s, buf, sizeof buf, MSG_DONTWAIT) > 0);
    OK(close(s));
}

static int ask(int s, int type, int flags, int family, int sequence)
{
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
        char pad[15];
    } q = { .h = { .nlmsg_len = NLMSG_LENGTH(16), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = sequence }, .g = { family } };
    return send(s, &q, q.h.nlmsg_len, 0);
}

TEST(links)
{
    int s = OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)), done = 0, found = 0;
    static char buf[65536];
    OK(ask(s, RTM_GETLINK, NLM_F_DUMP, AF_UNSPEC, 5));
    struct sockaddr_nl me;
    socklen_t l = sizeof me;
    OK(getsockname(s, (void *)&me, &l));
    struct pollfd p = { s, POLLIN, 0 };
    CHECK_EQ(poll(&p, 1, 0), 1);
    while (!done) {
        struct sockaddr_nl from;
        struct iovec iov = { buf, sizeof buf };
        struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1 };
        CHECK(recv(s, NULL, 0, MSG_PEEK | MSG_TRUNC) >= 20);
        long n = OK(recvmsg(s, &m, 0));
        CHECK_EQ(m.msg_flags, 0);
        CHECK_EQ(m.msg_namelen, sizeof from);
        CHECK_EQ(from.nl_pid, 0);
        for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            CHECK_EQ(h->nlmsg_seq, 5);
            CHECK_EQ(h->nlmsg_pid, me.nl_pid);
            CHECK_EQ(h->nlmsg_flags & NLM_F_MULTI, NLM_F_MULTI);
            if (h->nlmsg_type == NLMSG_DONE) {
                done = 1;
                continue;
            }
            CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
            struct ifinfomsg *i = NLMSG_DATA(h);
            int left = IFLA_PAYLOAD(h);
            for (struct rtattr *a = IFLA_RTA(i); RTA_OK(a, left); a = RTA_NEXT(a, left))
                if (a->rta_type == IFLA_IFNAME && !strcmp(RTA_DATA(a), "lo")) {
                    found = 1;
                    CHECK_EQ(i->ifi_index, 1);
                    CHECK_EQ(i->ifi_flags & (IFF_UP | IFF_LOOPBACK), IFF_UP | IFF_LOOPBACK);
                }
        }
    }
    CHECK(found);
    CHECK_ERR(recv(s, buf, sizeof buf, MSG_DONTWAIT), EAGAIN);
    OK(close(s));
}

TEST(errors)
{
    int s = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    char buf[8192];
    struct nlmsghdr *h = (void *)buf;
    struct {
        struct nlmsghdr h;
        struct ifinfomsg i;
    } q = { .h = { .nlmsg_len = sizeof q, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 9 }, .i = { .ifi_index = 987654 } };
    CHECK_EQ(send(s, &q, sizeof q, 0), sizeof q);
    CHECK(recv(s, buf, sizeof buf, 0) >= (int)NLMSG_LENGTH(sizeof(struct nlmsgerr)));
    CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
    CHECK_EQ(h->nlmsg_seq, 9);
    CHECK_EQ(((struct nlmsgerr *)NLMSG_DATA(h))->error, -ENODEV);
    q.h.nlmsg_type = NLMSG_NOOP;
    q.h.nlmsg_flags |= NLM_F_ACK;
    CHECK_EQ(send(s, &q, sizeof q, 0), sizeof q);
    CHECK(recv(s, buf, sizeof buf, 0) > 0);
    CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
    CHECK_EQ(((struct nlmsgerr *)NLMSG_DATA(h))->error, 0);
    q.h.nlmsg_len = 5; // no message: nothing happens
    CHECK_EQ(send(s, &q, 16, 0), 16);
    CHECK_ERR(recv(s, buf, sizeof buf, MSG_DONTWAIT), EAGAIN);
    struct sockaddr_nl other = { .nl_family = AF_NETLINK, .nl_pid = 4000000 };
    CHECK_ERR(sendto(s, &q, 16, 0, (void *)&other, sizeof other), ECONNREFUSED);
    OK(close(s));
}

TEST(addresses)
{
    struct ifaddrs *all;
    int four = 0, six = 0;
    OK(getifaddrs(&all));
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || strcmp(i->ifa_name, "lo"))
            continue;
        CHECK(i->ifa_flags & IFF_LOOPBACK);
        if (i->ifa_addr->sa_family == AF_INET)
            four = ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
        if (i->ifa_addr->sa_family == AF_INET6)
            six = 1;
    }
    freeifaddrs(all);
    CHECK(four);
    (void)six;
    CHECK_EQ(if_nametoindex("lo"), 1);
    char name[IF_NAMESIZE];
    CHECK(if_indextoname(1, name) != NULL);
    CHECK_STR(name, "lo");
}
