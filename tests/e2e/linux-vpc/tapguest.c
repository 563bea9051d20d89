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
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

enum { FRAME_MAX = 65536 };

static void enter(const char *netns)
{
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
}

static int tap_open(const char *name)
{
    struct ifreq want = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    strncpy(want.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &want) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

static void tap_up(const char *name, const char *mac)
{
    struct ifreq request = {0};
    unsigned char *bytes = (unsigned char *)request.ifr_hwaddr.sa_data;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
               &bytes[4], &bytes[5]) != 6 ||
        ioctl(fd, SIOCSIFHWADDR, &request) < 0) {
        perror(mac);
        exit(1);
    }
    memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
    request.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
        perror(name);
        exit(1);
    }
    close(fd);
}

static int carry(int from, int to)
{
    static char frame[FRAME_MAX];
    ssize_t got = read(from, frame, sizeof frame);
    if (got > 0 && write(to, frame, (size_t)got) < 0)
        return 0; /* a full queue drops a frame, as a wire does */
    return got > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: tapguest VPC-NETNS TAP GUEST-NETNS MAC\n");
        return 64;
    }
    enter(argv[1]);
    int outer = tap_open(argv[2]);
    enter(argv[3]);
    int inner = tap_open("eth0");
    tap_up("eth0", argv[4]);
    puts("ready");
    fflush(stdout);
    struct pollfd ready[2] = {{.fd = outer, .events = POLLIN}, {.fd = inner, .events = POLLIN}};
    while (poll(ready, 2, -1) > 0) {
        if (ready[0].revents && carry(outer, inner) < 0)
            return 0;
        if (ready[1].revents && carry(inner, outer) < 0)
            return 0;
    }
    return 0;
}
