/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What stands behind taps in place of machines.
 *
 *     wire guest NETNS TAP GUEST-NETNS MAC
 *     wire flood NETNS TAP-A MAC-A IP-A TAP-B MAC-B IP-B GATEWAY-MAC COUNT
 *
 * guest: carries frames between the tap and a tap "eth0" in a namespace of its own, whole
 * segments and offloads included, as QEMU does; prints "ready"; ends on SIGTERM.
 * flood: sends COUNT UDP packets of 18 bytes (frames of 60) into A and takes them from B, after
 * one in each direction, so that the flow is established. The kernel forwards within the write,
 * so the CPU time of this one process is that of the whole path. Prints how many came, wall and
 * CPU seconds.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <time.h>
#include "../e2e/linux-vpc/tap.h"

enum { FRAME_LEN = 60, PORT = 5201, HEADER_LEN = 12 };

static int tap_open_whole(const char *name)
{
    int fd = tap_open(name, IFF_VNET_HDR);
    int header = HEADER_LEN;
    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        fail(name);
    return fd;
}

static int guest_run(char **argv)
{
    enter(argv[0]);
    int outer = tap_open_whole(argv[1]);
    enter(argv[2]);
    int inner = tap_open_whole("eth0");
    tap_up("eth0", argv[3]);
    return carry_all(outer, inner);
}

struct end {
    int fd;
    unsigned char mac[6];
    struct in_addr address;
};

static struct end end_open(char **argv)
{
    struct end end = {.fd = tap_open(argv[0], 0)};
    mac_read(argv[1], end.mac);
    inet_pton(AF_INET, argv[2], &end.address);
    fcntl(end.fd, F_SETFL, O_NONBLOCK);
    return end;
}

static void frame_make(unsigned char frame[FRAME_LEN], const struct end *from, const struct end *to,
                       const unsigned char gateway[6])
{
    const unsigned char ip[20] = {0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 17};
    const unsigned char udp[8] = {PORT >> 8, PORT & 255, PORT >> 8, PORT & 255, 0, 26};
    memset(frame, 0, FRAME_LEN);
    memcpy(frame, gateway, 6);
    memcpy(frame + 6, from->mac, 6);
    frame[12] = 8;
    memcpy(frame + 14, ip, sizeof ip);
    memcpy(frame + 26, &from->address, 4);
    memcpy(frame + 30, &to->address, 4);
    memcpy(frame + 34, udp, sizeof udp);
    uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    frame[24] = (unsigned char)(sum >> 8);
    frame[25] = (unsigned char)sum;
}

/* How many of our packets wait at this end; what else comes (ARP, DHCP) is not counted. */
static long end_drain(const struct end *end)
{
    unsigned char frame[2048];
    long count = 0;
    for (ssize_t got; (got = read(end->fd, frame, sizeof frame)) > 0;)
        count += got >= FRAME_LEN && frame[23] == 17 && frame[36] == PORT >> 8 &&
                 frame[37] == (PORT & 255);
    return count;
}

static double now_s(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void packet_pass(const struct end *from, const struct end *to, const unsigned char *frame)
{
    for (int tries = 0; tries < 200; tries++) {
        if (write(from->fd, frame, FRAME_LEN) < 0)
            fail("write");
        if (end_drain(to) > 0)
            return;
        usleep(10000);
    }
    fprintf(stderr, "wire: no packet comes through\n");
    exit(1);
}

static int flood_run(char **argv)
{
    unsigned char gateway[6], there[FRAME_LEN], back[FRAME_LEN];
    enter(argv[0]);
    struct end a = end_open(argv + 1), b = end_open(argv + 4);
    mac_read(argv[7], gateway);
    frame_make(there, &a, &b, gateway);
    frame_make(back, &b, &a, gateway);
    packet_pass(&a, &b, there);
    packet_pass(&b, &a, back);
    long count = atol(argv[8]), came = 0;
    double wall_s = now_s(CLOCK_MONOTONIC), cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < count; i++) {
        if (write(a.fd, there, FRAME_LEN) < 0)
            fail("write");
        if (i % 64 == 63)
            came += end_drain(&b);
    }
    came += end_drain(&b);
    printf("%ld %f %f\n", came, now_s(CLOCK_MONOTONIC) - wall_s,
           now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "guest") == 0)
        return guest_run(argv + 2);
    if (argc == 11 && strcmp(argv[1], "flood") == 0)
        return flood_run(argv + 2);
    return 64;
}
