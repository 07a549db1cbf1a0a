// netlink_route about the loopback of a sandbox without the host's network.
// moat: --network none
#include "netlink_route.c"
