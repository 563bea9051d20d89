/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A guest for tests: opens a tap by name in the VPC's namespace, as the launcher
 * of VMs does, makes a tap of its own in a namespace that plays the guest, and
 * carries frames between the two, so that a real kernel stack stands behind the NIC.
 *
 *     tapguest VPC-NETNS TAP GUEST-NETNS MAC
 *
 * Prints "ready" when frames can flow; ends on SIGTERM or when a tap goes away.
 */
#include "tap.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: tapguest VPC-NETNS TAP GUEST-NETNS MAC\n");
        return 64;
    }
    enter(argv[1]);
    int outer = tap_open(argv[2], 0);
    enter(argv[3]);
    int inner = tap_open("eth0", 0);
    tap_up("eth0", argv[4]);
    return carry_all(outer, inner);
}
