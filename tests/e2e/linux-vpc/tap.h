/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

/* Taps in namespaces, and the frames between two of them: for programs that play machines. A
 * failure ends the program. */
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

enum { TAP_FRAME_MAX = 70000 };

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void enter(const char *netns)
{
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        fail(path);
    close(fd);
}

static int tap_open(const char *name, int flags)
{
    struct ifreq want = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    strncpy(want.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &want) < 0)
        fail(name);
    return fd;
}

static void mac_read(const char *text, unsigned char out[6])
{
    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3], &out[4],
               &out[5]) != 6)
        fail(text);
}

static void tap_up(const char *name, const char *mac)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    mac_read(mac, (unsigned char *)request.ifr_hwaddr.sa_data);
    if (ioctl(fd, SIOCSIFHWADDR, &request) < 0)
        fail(mac);
    memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
    request.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail(name);
    close(fd);
}

static int carry(int from, int to)
{
    static char frame[TAP_FRAME_MAX];
    ssize_t got = read(from, frame, sizeof frame);
    if (got > 0 && write(to, frame, (size_t)got) < 0)
        return 0; /* a full queue drops a frame, as a wire does */
    return got > 0 ? 0 : -1;
}

/* Says that it is ready, and carries frames until a tap goes away. */
static int carry_all(int outer, int inner)
{
    puts("ready");
    fflush(stdout);
    struct pollfd ready[2] = {{.fd = outer, .events = POLLIN}, {.fd = inner, .events = POLLIN}};
    while (poll(ready, 2, -1) > 0)
        for (int i = 0; i < 2; i++)
            if (ready[i].revents && carry(ready[i].fd, ready[!i].fd) < 0)
                return 0;
    return 0;
}

#endif
