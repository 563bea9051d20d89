/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the kernel answers and tells of links, addresses, routes, neighbours and connections,
 * and what dnsmasq noted of its leases. The first byte says which. Each datagram lies in a
 * heap block of its own length, so that what is read beyond it is seen.
 */
#include <libmnl/libmnl.h>
#include "drivers/lib/host.h"
#include "drivers/linux-vpc/rtnl.h"
#include "tests/fuzz/fuzz.h"

static ssize_t told_send(const struct mnl_socket *socket, const void *request, size_t len);
static ssize_t told_receive(const struct mnl_socket *socket, void *buffer, size_t room);
static int told_run(const void *data, size_t len, unsigned seq, unsigned port, mnl_cb_t each,
                    void *context);

#define mnl_socket_sendto told_send
#define mnl_socket_recvfrom told_receive
#define mnl_cb_run told_run
int rtnl_open_there(const char *netns, int bus, struct rtnl **out, struct error *err);
#define rtnl_open_in rtnl_open_there
#include "drivers/linux-vpc/rtnl.c"
#undef rtnl_open_in
#undef mnl_cb_run
#include "drivers/linux-vpc/conntrack.h"
#include "drivers/linux-vpc/dhcp.c"
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/route.h"
#include "drivers/linux-vpc/watch.c"

#define UID "0123456789abcdef0123456789abcdef"

static struct told {
    const uint8_t *data;
    size_t size;
} told;

static ssize_t told_send(const struct mnl_socket *socket, const void *request, size_t len)
{
    (void)socket, (void)request;
    return (ssize_t)len;
}

/* Up to the first length that is none: libmnl 1.0.4 takes 2 GiB and more for a negative one and
 * goes wherever that leads. The kernel says no such thing. */
static size_t sound_len(const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (len - at >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr head;
        memcpy(&head, data + at, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > len - at)
            return at;
        size_t step = ((size_t)head.nlmsg_len + 3) & ~(size_t)3;
        at += step < len - at ? step : len - at;
    }
    return at;
}

/* All at once, and then nothing more ever. */
static ssize_t told_receive(const struct mnl_socket *socket, void *buffer, size_t room)
{
    size_t len = sound_len(told.data, told.size < room ? told.size : room);
    (void)socket;
    if (!len) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(buffer, told.data, len);
    told.size = 0;
    return (ssize_t)len;
}

static struct nlmsghdr *exact(const void *data, size_t len)
{
    void *copy = malloc(len ? len : 1);
    MUST(copy);
    return memcpy(copy, data, len);
}

static int told_run(const void *data, size_t len, unsigned seq, unsigned port, mnl_cb_t each,
                    void *context)
{
    struct nlmsghdr *messages = exact(data, len);
    int more = mnl_cb_run(messages, len, seq, port, each, context);
    free(messages);
    return more;
}

int rtnl_open_in(const char *netns, int bus, struct rtnl **out, struct error *err)
{
    (void)netns, (void)bus, (void)err;
    *out = memory_need(calloc(1, sizeof **out));
    return 0;
}

/* ---- dumps -------------------------------------------------------------------------- */

static void links_try(struct rtnl *rtnl, struct arena *arena)
{
    struct link_list links;
    struct error err = ERROR_INIT;
    if (link_list(rtnl, arena, &links, &err) < 0)
        return;
    for (size_t i = 0; i < links.count; i++) {
        MUST(memchr(links.items[i].name, '\0', sizeof links.items[i].name));
        MUST(link_find(&links, links.items[i].name) && link_at(&links, links.items[i].index));
    }
}

static void addresses_try(struct rtnl *rtnl, struct arena *arena)
{
    struct route_addresses addresses;
    struct error err = ERROR_INIT;
    char text[PREFIX_MAX_TEXT];
    if (route_addresses(rtnl, arena, &addresses, &err) < 0)
        return;
    for (size_t i = 0; i < addresses.count; i++)
        MUST(strlen(prefix_text(&addresses.items[i].prefix, text)) < sizeof text);
}

static void routes_try(struct rtnl *rtnl, struct arena *arena)
{
    struct prefix *routes;
    size_t count;
    struct error err = ERROR_INIT;
    char text[PREFIX_MAX_TEXT];
    if (route_list(rtnl, arena, 7, &routes, &count, &err) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        MUST(strlen(prefix_text(&routes[i], text)) < sizeof text);
}

static void neighbours_try(struct rtnl *rtnl, struct arena *arena)
{
    struct route_neighbours neighbours;
    struct error err = ERROR_INIT;
    char text[ADDRESS_MAX_TEXT];
    if (route_neighbours(rtnl, arena, &neighbours, &err) < 0)
        return;
    for (size_t i = 0; i < neighbours.count; i++)
        MUST(address_text(&neighbours.items[i].address, text));
}

static void index_try(struct rtnl *rtnl, struct arena *arena)
{
    (void)arena;
    (void)link_index(rtnl, "uplink");
}

/* ---- a network that the rest is compared with ---------------------------------------- */

static void network_small(struct network *network, struct network_nic nics[2],
                          struct network_floating *floating)
{
    struct error err = ERROR_INIT;
    *network = (struct network){.netns = "sp-0", .nics = nics, .nic_count = 2};
    for (size_t i = 0; i < 2; i++) {
        nics[i] = (struct network_nic){.instance = "web", .interface = "eth0"};
        MUST(address_read(i ? "10.0.1.6" : "10.0.1.5", &nics[i].address, &err) == 0);
        MUST(mac_read(i ? "02:00:00:00:00:06" : "02:00:00:00:00:05", &nics[i].mac, &err) == 0);
    }
    MUST(address_read("203.0.113.10", &floating->address, &err) == 0);
    MUST(address_read("100.64.0.2", &network->guest_end, &err) == 0);
    floating->nic = &nics[0];
    network->floating = floating;
    network->floating_count = 1;
    network->has_nat = true;
}

static void connections_try(struct rtnl *rtnl, struct arena *arena)
{
    struct network network;
    struct network_nic nics[2];
    struct network_floating floating = {0};
    struct policy policy = {0};
    struct error err = ERROR_INIT;
    size_t ended;
    (void)rtnl;
    network_small(&network, nics, &floating);
    (void)conntrack_flush(arena, &network, &policy, &ended, &err);
}

static void leases_try(struct arena *arena, const char *leases)
{
    struct network network;
    struct network_nic nics[2];
    struct network_floating floating = {0};
    network_small(&network, nics, &floating);
    const char *kept = leases_kept(arena, &network, leases);
    MUST(strlen(kept) <= strlen(leases) + 1);
    MUST(strcmp(leases_kept(arena, &network, kept), kept) == 0);
}

/* ---- events ------------------------------------------------------------------------- */

static char own_dir[] = "/nonexistent";

static void events_try(const uint8_t *data, size_t size,
                       void (*each)(struct spinel_host *, const struct watched *,
                                    const struct nlmsghdr *))
{
    struct watched vpc = {.vpc = UID}, host_wide = {.next = &vpc};
    struct spinel_host host = {.own_dir = own_dir}; /* there are no records: nobody is told */
    int left = (int)sound_len(data, size);
    struct nlmsghdr *messages = exact(data, (size_t)left);
    watched_first = &host_wide;
    for (struct nlmsghdr *message = messages; left > 0 && mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
        each(&host, &host_wide, message);
    watched_first = NULL;
    free(messages);
}

static void dump_try(struct arena *arena, unsigned which)
{
    static void (*const dumps[])(struct rtnl *, struct arena *) = {
        links_try, addresses_try, routes_try, neighbours_try, index_try, connections_try};
    struct rtnl *rtnl = memory_need(calloc(1, sizeof *rtnl));
    dumps[which](rtnl, arena);
    rtnl_close(rtnl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { DUMPS = 6 };
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    char *text = fuzz_text(data + 1, size - 1);
    unsigned which = data[0] % (DUMPS + 3);
    told = (struct told){data + 1, size - 1};
    if (which < DUMPS)
        dump_try(arena, which);
    else if (which == DUMPS)
        events_try(data + 1, size - 1, link_event_tell);
    else if (which == DUMPS + 1)
        events_try(data + 1, size - 1, commit_event_tell);
    else
        leases_try(arena, text);
    free(text);
    arena_free(arena);
    return 0;
}
