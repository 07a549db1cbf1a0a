// UDP and IPv6 over loopback: names, borders of messages, control messages, errors; interfaces by ioctl.
#include "moat_test.h"
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(struct sockaddr_in *a)
{
    int s = OK(socket(AF_INET, SOCK_DGRAM, 0));
    socklen_t n = sizeof *a;
    *a = local(0);
    OK(bind(s, (void *)a, sizeof *a));
    OK(getsockname(s, (void *)a, &n));
    return s;
}

static int ready(int fd, int events, int timeout)
{
    struct pollfd p = { fd, events, 0 };
    OK(poll(&p, 1, timeout));
    return p.revents;
}

TEST(names)
{
    struct sockaddr_in a, b, from;
    int s = bound(&a), t = bound(&b);
    char buf[64];
    socklen_t n = sizeof from;
    CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
    CHECK_EQ(sendto(s, "hello", 5, 0, (void *)&b, sizeof b), 5);
    CHECK_EQ(recvfrom(t, buf, sizeof buf, 0, (void *)&from, &n), 5);
    CHECK_EQ(n, sizeof from);
    CHECK_EQ(from.sin_port, a.sin_port);
    CHECK_EQ(from.sin_addr.s_addr, a.sin_addr.s_addr);
    OK(connect(s, (void *)&b, sizeof b));
    CHECK_EQ(send(s, "again", 5, 0), 5);
    n = 4;
    CHECK_EQ(recvfrom(t, buf, sizeof buf, 0, (void *)&from, &n), 5);
    CHECK_EQ(n, sizeof from);
    n = sizeof from;
    OK(getpeername(s, (void *)&from, &n));
    CHECK_EQ(from.sin_port, b.sin_port);
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    OK(connect(s, &none, sizeof none));
    CHECK_ERR(getpeername(s, (void *)&from, &n), ENOTCONN);
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&b, 3), EINVAL);
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&b, 300), EINVAL);
    CHECK_ERR(listen(s, 1), EOPNOTSUPP);
    CHECK_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
    OK(close(s));
    OK(close(t));
}

TEST(borders)
{
    struct sockaddr_in a, b;
    int s = bound(&a), t = bound(&b), q;
    char buf[64];
    OK(connect(s, (void *)&b, sizeof b));
    CHECK_EQ(send(s, "first", 5, 0), 5);
    CHECK_EQ(send(s, "", 0, 0), 0);
    CHECK_EQ(write(s, "third one", 9), 9);
    OK(ioctl(t, FIONREAD, &q));
    CHECK_EQ(q, 5);
    CHECK_EQ(recv(t, buf, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(t, buf, 2, MSG_PEEK | MSG_TRUNC), 5);
    CHECK_EQ(recv(t, buf, 2, 0), 2); // the rest is lost
    CHECK_EQ(recv(t, buf, 64, 0), 0);
    struct iovec iov[2] = { { buf, 3 }, { buf + 32, 3 } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
    CHECK_EQ(recvmsg(t, &m, 0), 6);
    CHECK_EQ(m.msg_flags, MSG_TRUNC);
    CHECK_EQ(memcmp(buf + 32, "rd ", 3), 0);
    CHECK_ERR(recv(t, buf, 64, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(ready(t, POLLIN | POLLOUT, 0), POLLOUT);
    static char big[70000];
    CHECK_ERR(send(s, big, 66000, 0), EMSGSIZE);
    CHECK_EQ(send(s, big, 30000, 0), 30000);
    CHECK_EQ(recv(t, big, 70000, 0), 30000);
    OK(close(s));
    OK(close(t));
}

TEST(many_messages)
{
    struct sockaddr_in a, b;
    int s = bound(&a), t = bound(&b);
    OK(connect(s, (void *)&b, sizeof b));
    struct mmsghdr m[4];
    struct iovec iov[4];
    struct sockaddr_in names[4];
    char text[4][8];
    memset(m, 0, sizeof m);
    for (int i = 0; i < 4; i++) {
        sprintf(text[i], "m%d", i);
        iov[i] = (struct iovec){ text[i], 2 };
        m[i].msg_hdr.msg_iov = &iov[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(sendmmsg(s, m, 4, 0), 4);
    CHECK_EQ(m[3].msg_len, 2);
    for (int i = 0; i < 4; i++) {
        memset(text[i], 0, 8);
        iov[i].iov_len = 8;
        m[i].msg_hdr.msg_name = &names[i];
        m[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    CHECK_EQ(recvmmsg(t, m, 3, 0, NULL), 3);
    CHECK_EQ(recvmmsg(t, m + 3, 1, MSG_DONTWAIT, NULL), 1);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(text[i][1], '0' + i);
        CHECK_EQ(m[i].msg_len, 2);
        CHECK_EQ(names[i].sin_port, a.sin_port);
    }
    CHECK_ERR(recvmmsg(t, m, 3, MSG_DONTWAIT, NULL), EAGAIN);
    OK(close(s));
    OK(close(t));
}

TEST(refused)
{
    struct sockaddr_in a, b;
    int s = bound(&a), t = bound(&b), e;
    socklen_t n = sizeof e;
    char buf[8];
    OK(close(t));
    OK(connect(s, (void *)&b, sizeof b));
    CHECK_EQ(send(s, "x", 1, 0), 1);
    CHECK_EQ(ready(s, POLLIN | POLLOUT, 1000) & POLLERR, POLLERR);
    CHECK_ERR(recv(s, buf, 8, 0), ECONNREFUSED);
    CHECK_EQ(send(s, "x", 1, 0), 1);
    OK(ready(s, POLLIN, 1000));
    OK(getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &n));
    CHECK_EQ(e, ECONNREFUSED);
    OK(getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &n));
    CHECK_EQ(e, 0);
    OK(close(s));
}

#ifndef OWN_LOOPBACK // which brings no control messages
static struct cmsghdr *find(struct msghdr *m, int level, int type)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == level && c->cmsg_type == type)
            return c;
    return NULL;
}

TEST(control)
{
    struct sockaddr_in a, b;
    int s = bound(&a), t = bound(&b), one = 1, ttl = 33;
    OK(setsockopt(t, IPPROTO_IP, IP_PKTINFO, &one, sizeof one));
    OK(setsockopt(t, IPPROTO_IP, IP_RECVTTL, &one, sizeof one));
    OK(setsockopt(t, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one));
    char buf[16], control[256], out[64] = { 0 };
    struct iovec iov = { "data", 4 };
    struct msghdr m = { .msg_name = &b, .msg_namelen = sizeof b, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = out, .msg_controllen = CMSG_SPACE(4) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(4), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_TTL };
    memcpy(CMSG_DATA(c), &ttl, 4);
    CHECK_EQ(sendmsg(s, &m, 0), 4);
    struct iovec in = { buf, sizeof buf };
    struct msghdr r = { .msg_iov = &in, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    CHECK_EQ(recvmsg(t, &r, 0), 4);
    CHECK_EQ(r.msg_flags, 0);
    c = find(&r, IPPROTO_IP, IP_PKTINFO);
    CHECK(c != NULL);
    struct in_pktinfo *info = (void *)CMSG_DATA(c);
    CHECK_EQ(info->ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQ(info->ipi_ifindex, (int)if_nametoindex("lo"));
    c = find(&r, IPPROTO_IP, IP_TTL);
    CHECK(c != NULL);
    CHECK_EQ(*(int *)CMSG_DATA(c), 33);
    c = find(&r, SOL_SOCKET, SO_TIMESTAMP);
    CHECK(c != NULL);
    struct timeval *tv = (void *)CMSG_DATA(c);
    CHECK(labs(tv->tv_sec - time(NULL)) <= 2);
    // No room: cut, and said so.
    m.msg_controllen = 0;
    CHECK_EQ(sendmsg(s, &m, 0), 4);
    r.msg_controllen = 20;
    CHECK_EQ(recvmsg(t, &r, 0), 4);
    CHECK_EQ(r.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
    CHECK(r.msg_controllen <= 24);
    // What is no control message.
    m.msg_control = out;
    m.msg_controllen = sizeof out;
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_len = 3;
    CHECK_ERR(sendmsg(s, &m, 0), EINVAL);
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(4), .cmsg_level = SOL_SOCKET, .cmsg_type = 9999 };
    m.msg_controllen = CMSG_SPACE(4);
    CHECK_ERR(sendmsg(s, &m, 0), EINVAL);
    // Descriptors mean nothing here.
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(4), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(c), &s, 4);
    CHECK_EQ(sendmsg(s, &m, 0), 4);
    r.msg_controllen = sizeof control;
    CHECK_EQ(recvmsg(t, &r, 0), 4);
    CHECK(find(&r, SOL_SOCKET, SCM_RIGHTS) == NULL);
    OK(close(s));
    OK(close(t));
}

TEST(error_queue)
{
    struct sockaddr_in a, b;
    int s = bound(&a), t = bound(&b), one = 1;
    OK(close(t));
    OK(setsockopt(s, IPPROTO_IP, IP_RECVERR, &one, sizeof one));
    CHECK_EQ(sendto(s, "lost", 4, 0, (void *)&b, sizeof b), 4);
    CHECK_EQ(ready(s, 0, 1000), POLLERR);
    char buf[16], control[256];
    struct iovec in = { buf, sizeof buf };
    struct sockaddr_in name;
    struct msghdr r = { .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &in, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    CHECK_EQ(recvmsg(s, &r, MSG_ERRQUEUE), 4);
    CHECK_EQ(r.msg_flags, MSG_ERRQUEUE);
    CHECK_EQ(name.sin_port, b.sin_port);
    struct cmsghdr *c = find(&r, IPPROTO_IP, IP_RECVERR);
    CHECK(c != NULL);
    CHECK_EQ(*(uint32_t *)CMSG_DATA(c), ECONNREFUSED);
    CHECK_ERR(recvmsg(s, &r, MSG_ERRQUEUE), EAGAIN);
    OK(close(s));
}
#endif

TEST(version6)
{
    int s = OK(socket(AF_INET6, SOCK_DGRAM, 0)), t = OK(socket(AF_INET6, SOCK_DGRAM, 0)), v = -1;
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT }, from;
    socklen_t n = sizeof a;
    char buf[8];
    OK(bind(s, (void *)&a, sizeof a));
    OK(getsockname(s, (void *)&a, &n));
    CHECK_EQ(n, sizeof a);
    CHECK_EQ(sendto(t, "six", 3, 0, (void *)&a, sizeof a), 3);
    n = sizeof from;
    CHECK_EQ(recvfrom(s, buf, 8, 0, (void *)&from, &n), 3);
    CHECK_EQ(n, sizeof from);
    CHECK_EQ(memcmp(&from.sin6_addr, &in6addr_loopback, 16), 0);
    n = sizeof v;
    OK(getsockopt(t, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n));
    v = 1;
    int u = OK(socket(AF_INET6, SOCK_STREAM, 0));
    OK(setsockopt(u, IPPROTO_IPV6, IPV6_V6ONLY, &v, sizeof v));
    OK(getsockopt(u, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n));
    CHECK_EQ(v, 1);
    OK(close(s));
    OK(close(t));
    OK(close(u));
}

TEST(interfaces)
{
    int s = OK(socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq r = { .ifr_name = "lo" };
    OK(ioctl(s, SIOCGIFINDEX, &r));
    int index = r.ifr_ifindex;
    CHECK_EQ(index, 1);
    memset(&r, 0, sizeof r);
    r.ifr_ifindex = index;
    OK(ioctl(s, SIOCGIFNAME, &r));
    CHECK_STR(r.ifr_name, "lo");
    OK(ioctl(s, SIOCGIFFLAGS, &r));
    CHECK_EQ(r.ifr_flags & (IFF_UP | IFF_LOOPBACK), IFF_UP | IFF_LOOPBACK);
    OK(ioctl(s, SIOCGIFADDR, &r));
    CHECK_EQ(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    OK(ioctl(s, SIOCGIFNETMASK, &r));
    CHECK_EQ(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr, htonl(0xff000000));
    OK(ioctl(s, SIOCGIFMTU, &r));
    CHECK_EQ(r.ifr_mtu, 65536);
    OK(ioctl(s, SIOCGIFHWADDR, &r));
    struct ifreq all[16];
    struct ifconf c = { .ifc_len = sizeof all, .ifc_req = all };
    OK(ioctl(s, SIOCGIFCONF, &c));
    CHECK(c.ifc_len >= (int)sizeof all[0]);
    CHECK_STR(all[0].ifr_name, "lo");
    int whole = c.ifc_len;
    c = (struct ifconf){ .ifc_len = 0, .ifc_req = NULL };
    OK(ioctl(s, SIOCGIFCONF, &c));
    CHECK_EQ(c.ifc_len, whole);
    strcpy(r.ifr_name, "none0");
    CHECK_ERR(ioctl(s, SIOCGIFFLAGS, &r), ENODEV);
    CHECK_ERR(ioctl(s, SIOCGIFFLAGS, 8), EFAULT);
    CHECK_ERR(ioctl(s, 0x1234, 0), ENOTTY);
    OK(close(s));
}
