// inet_udp on the loopback of a sandbox without the host's network.
// moat: --network none
#define OWN_LOOPBACK
#include "inet_udp.c"
