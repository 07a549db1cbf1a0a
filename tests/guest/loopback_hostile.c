// inet_hostile on the loopback of a sandbox without the host's network.
// moat: --network none
#include "inet_hostile.c"
