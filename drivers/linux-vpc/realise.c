/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Links, addresses and settings. What a namespace forwards it forwards as a
 * router: ports of a bridge are isolated and the bridge answers ARP for everyone,
 * so that two guests of one subnet meet the same rules as two of different ones.
 */
#include "drivers/linux-vpc/realise.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/route.h"
#include "drivers/linux-vpc/rtnl.h"
#include "drivers/linux-vpc/sysctl.h"
#include "model/arena.h"
#include "model/error.h"

enum { TRANSIT_LENGTH = 30, ALIAS_MAX = 255 };

const struct mac realise_gateway_mac = {{0x06, 0x53, 0x50, 0x00, 0x00, 0x01}};

const struct realise_setting realise_inside_settings[] = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv4/conf/all/send_redirects", "0"},
    {"net/ipv4/conf/default/send_redirects", "0"},
    {"net/ipv4/conf/all/accept_redirects", "0"},
    {"net/ipv4/conf/all/rp_filter", "0"},
    {"net/ipv4/conf/default/rp_filter", "0"},
    {"net/ipv6/conf/all/disable_ipv6", "1"},
    {"net/ipv6/conf/default/disable_ipv6", "1"},
    {"net/bridge/bridge-nf-call-iptables", "0"},
    {"net/bridge/bridge-nf-call-ip6tables", "0"},
    {"net/bridge/bridge-nf-call-arptables", "0"},
    {NULL, NULL},
};

const struct realise_setting realise_bridge_settings[] = {
    {"net/ipv4/conf/%s/proxy_arp", "1"},
    {"net/ipv4/conf/%s/proxy_arp_pvlan", "1"},
    {"net/ipv4/conf/%s/send_redirects", "0"},
    {"net/ipv4/neigh/%s/proxy_delay", "0"},
    {NULL, NULL},
};

static const struct realise_setting host_uplink_settings[] = {
    {"net/ipv4/conf/%s/route_localnet", "1"},
    {"net/ipv4/conf/%s/send_redirects", "0"},
    {"net/ipv4/conf/%s/accept_redirects", "0"},
    {"net/ipv6/conf/%s/disable_ipv6", "1"},
    {NULL, NULL},
};

/* Writes settings in the current namespace; one that this kernel does not have (no
 * IPv6, no bridge netfilter) needs no setting. */
static int settings_write(const struct realise_setting *settings, const char *link,
                          struct error *err)
{
    char name[128];
    char path[160];
    for (; settings->name; settings++) {
        const char *percent = strstr(settings->name, "%s");
        size_t head = percent ? (size_t)(percent - settings->name) : strlen(settings->name);
        snprintf(name, sizeof name, "%.*s%s%s", (int)head, settings->name, percent ? link : "",
                 percent ? percent + 2 : "");
        snprintf(path, sizeof path, "/proc/sys/%s", name);
        if (access(path, F_OK) == 0 && sysctl_write(name, settings->value, err) < 0)
            return err->code;
    }
    return 0;
}

static int settings_write_inside(const struct network *network,
                                 const struct realise_setting *settings, const char *link,
                                 struct error *err)
{
    int home;
    if (netns_enter(network->netns, &home, err) < 0)
        return err->code;
    int result = settings_write(settings, link, err);
    netns_leave(home);
    return result;
}

static const char *alias_of(char alias[ALIAS_MAX], const struct record *record)
{
    snprintf(alias, ALIAS_MAX, "spinel %s %s/%s %s", record_kind_text(record->kind),
             record->project ? record->project : "-", record->name, record->uid);
    return alias;
}

static int session_open(const struct realise *realise, struct error *err)
{
    if (realise->session->inside)
        return 0;
    return rtnl_open_in(realise->network->netns, NETLINK_ROUTE, &realise->session->inside, err);
}

void realise_session_close(struct realise_session *session)
{
    rtnl_close(session->inside);
    *session = (struct realise_session){0};
}

/* ---- VPC ---------------------------------------------------------------------------- */

static int uplink_end(struct rtnl *rtnl, const struct network *network, const char *name,
                      const struct address *address, struct error *err)
{
    char alias[ALIAS_MAX];
    struct prefix prefix = {.address = *address, .length = TRANSIT_LENGTH};
    struct link_change change = {
        .mtu = network->mtu, .up = true, .alias = alias_of(alias, network->vpc)};
    if (link_set(rtnl, name, &change, err) < 0)
        return err->code;
    return route_set_address(rtnl, link_index(rtnl, name), &prefix, err);
}

static int uplink_make(const struct network *network, struct rtnl *host, struct rtnl *inside,
                       struct error *err)
{
    static const struct prefix everywhere = {.address = {.family = 4}, .length = 0};
    bool is_whole = link_index(host, network->uplink) && link_index(inside, NETWORK_UPLINK);
    if (!is_whole) {
        int fd = netns_open(network->netns, err);
        if (fd < 0)
            return fd;
        int result = link_delete(host, network->uplink, err);
        if (result == 0)
            result = link_add_pair(host, network->uplink, NETWORK_UPLINK, fd, err);
        close(fd);
        if (result < 0)
            return result;
    }
    if (settings_write(host_uplink_settings, network->uplink, err) < 0 ||
        uplink_end(host, network, network->uplink, &network->host_end, err) < 0 ||
        uplink_end(inside, network, NETWORK_UPLINK, &network->guest_end, err) < 0 ||
        link_set(inside, "lo", &(struct link_change){.up = true}, err) < 0)
        return err->code;
    return route_set(inside, &everywhere, &network->host_end, link_index(inside, NETWORK_UPLINK),
                     err);
}

int realise_vpc(const struct realise *realise, struct error *err)
{
    const struct network *network = realise->network;
    struct rtnl *host = NULL;
    struct rtnl *inside = NULL;
    if (settings_write_inside(network, realise_inside_settings, "", err) < 0 ||
        sysctl_change(realise->own_dir, "net/ipv4/ip_forward", "1", err) < 0)
        return err->code;
    int result = rtnl_open(NETLINK_ROUTE, &host, err);
    if (result == 0)
        result = rtnl_open_in(network->netns, NETLINK_ROUTE, &inside, err);
    if (result == 0)
        result = uplink_make(network, host, inside, err);
    rtnl_close(inside);
    rtnl_close(host);
    return result;
}

/* ---- Subnet ------------------------------------------------------------------------- */

static int bridge_make(struct rtnl *inside, const struct network *network,
                       const struct network_subnet *subnet, struct error *err)
{
    char alias[ALIAS_MAX];
    struct prefix address = {.address = subnet->gateway, .length = subnet->cidr.length};
    struct link_change change = {.mtu = network->mtu,
                                 .up = true,
                                 .mac = &realise_gateway_mac,
                                 .alias = alias_of(alias, subnet->record)};
    if (link_add_bridge(inside, subnet->bridge, &realise_gateway_mac, err) < 0 ||
        settings_write_inside(network, realise_bridge_settings, subnet->bridge, err) < 0 ||
        link_set(inside, subnet->bridge, &change, err) < 0)
        return err->code;
    return route_set_address(inside, link_index(inside, subnet->bridge), &address, err);
}

int realise_subnet(const struct realise *realise, const struct network_subnet *subnet,
                   struct error *err)
{
    struct rtnl *inside;
    if (rtnl_open_in(realise->network->netns, NETLINK_ROUTE, &inside, err) < 0)
        return err->code;
    int result = bridge_make(inside, realise->network, subnet, err);
    rtnl_close(inside);
    return result;
}

/* ---- NIC ---------------------------------------------------------------------------- */

/* Whether a neighbour that bears this NIC's MAC or address is one it should not have. */
static bool is_old_neighbour(const struct route_neighbour *neighbour, const struct network_nic *nic,
                             int bridge)
{
    bool is_its_mac = memcmp(neighbour->mac.bytes, nic->mac.bytes, sizeof nic->mac.bytes) == 0;
    bool is_its_address = address_equal(&neighbour->address, &nic->address);
    return (is_its_mac || is_its_address) &&
           !(is_its_mac && is_its_address && neighbour->index == bridge);
}

/* Removes all that `is_old` says of; what is gone is not removed again by the next one. */
static int neighbours_remove(const struct realise *realise, const struct network_nic *nic,
                             int bridge,
                             bool (*is_old)(const struct route_neighbour *,
                                            const struct network_nic *, int bridge),
                             struct error *err)
{
    struct realise_session *session = realise->session;
    if (!session->has_neighbours &&
        route_neighbours(session->inside, realise->arena, &session->neighbours, err) < 0)
        return err->code;
    session->has_neighbours = true;
    for (size_t i = 0; i < session->neighbours.count; i++) {
        struct route_neighbour *neighbour = &session->neighbours.items[i];
        if (neighbour->index == 0 || !is_old(neighbour, nic, bridge))
            continue;
        if (route_delete_neighbour(session->inside, neighbour->index, &neighbour->address, err) < 0)
            return err->code;
        neighbour->index = 0;
    }
    return 0;
}

/* Spares the first packet the question. No promise rests on it: dnsmasq makes it an
 * ordinary one with each lease, and what a guest may answer is for the tap's chain. */
static int neighbour_make(const struct realise *realise, const struct network_nic *nic, int bridge,
                          struct error *err)
{
    if (neighbours_remove(realise, nic, bridge, is_old_neighbour, err) < 0)
        return err->code;
    return route_set_neighbour(realise->session->inside, bridge, &nic->address, &nic->mac, err);
}

static int tap_make(const struct realise *realise, const struct network_nic *nic, int bridge,
                    struct error *err)
{
    char alias[ALIAS_MAX];
    const struct network *network = realise->network;
    struct rtnl *inside = realise->session->inside;
    int tap = link_index(inside, nic->tap);
    if (!tap && link_add_tap(network->netns, nic->tap, err) < 0)
        return err->code;
    if (!tap)
        tap = link_index(inside, nic->tap);
    struct link_change change = {
        .mtu = network->mtu, .master = bridge, .up = true, .alias = alias_of(alias, nic->record)};
    if (link_set_at(inside, tap, nic->tap, &change, err) < 0 ||
        link_close_port(inside, tap, nic->tap, err) < 0 ||
        route_set_forwarding(inside, tap, &nic->mac, err) < 0)
        return err->code;
    return neighbour_make(realise, nic, bridge, err);
}

int realise_nic(const struct realise *realise, const struct network_nic *nic, struct error *err)
{
    if (!nic->subnet)
        return error_set(err, ERR_BUSY, "NIC %s waits for its subnet %s", nic->record->name,
                         value_get_text(nic->record->spec, "subnet", "?"));
    if (session_open(realise, err) < 0)
        return err->code;
    struct rtnl *inside = realise->session->inside;
    int bridge = link_index(inside, nic->subnet->bridge);
    if (!bridge && bridge_make(inside, realise->network, nic->subnet, err) < 0)
        return err->code;
    if (!bridge)
        bridge = link_index(inside, nic->subnet->bridge);
    return tap_make(realise, nic, bridge, err);
}

int realise_remove_link(const struct realise *realise, const char *name, struct error *err)
{
    int result = session_open(realise, err);
    if (result == ERR_NOT_FOUND)
        return 0;
    return result < 0 ? result : link_delete(realise->session->inside, name, err);
}

int realise_remove_links(const struct realise *realise, const char *const *names, size_t count,
                         struct error *err)
{
    int result = session_open(realise, err);
    if (result == ERR_NOT_FOUND)
        return 0;
    return result < 0 ? result
                      : links_delete(realise->session->inside, realise->arena, names, count, err);
}

static bool has_its_address(const struct route_neighbour *neighbour, const struct network_nic *nic,
                            int bridge)
{
    (void)bridge;
    return address_equal(&neighbour->address, &nic->address);
}

int realise_remove_neighbour(const struct realise *realise, const struct network_nic *nic,
                             struct error *err)
{
    int result = session_open(realise, err);
    if (result == ERR_NOT_FOUND)
        return 0;
    return result < 0 ? result : neighbours_remove(realise, nic, 0, has_its_address, err);
}
