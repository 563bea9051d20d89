/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Rules and what goes with them: routes and ARP of floating IPs, DHCP, and the end of what the
 * rules forbid. The tables themselves are in realise_tables.c.
 */
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/conntrack.h"
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/nft.h"
#include "drivers/linux-vpc/realise.h"
#include "drivers/linux-vpc/route.h"
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/text.h"

static int links_read(const struct realise *realise, struct link_list *links, struct error *err)
{
    struct rtnl *inside;
    if (rtnl_open_in(realise->network->netns, NETLINK_ROUTE, &inside, err) < 0)
        return err->code;
    int result = link_list(inside, realise->arena, links, err);
    rtnl_close(inside);
    return result;
}

/* ---- floating IPs on the host ------------------------------------------------------- */

static const struct network_floating *floating_of(const struct network *network,
                                                  const struct prefix *route)
{
    for (size_t i = 0; i < network->floating_count; i++)
        if (route->length == 32 && address_equal(&network->floating[i].address, &route->address))
            return &network->floating[i];
    return NULL;
}

static int routes_make(const struct realise *realise, struct rtnl *host, struct error *err)
{
    const struct network *network = realise->network;
    struct prefix *routes;
    size_t count;
    int uplink = link_index(host, network->uplink);
    if (route_list(host, realise->arena, uplink, &routes, &count, err) < 0)
        return err->code;
    for (size_t i = 0; i < count; i++)
        if (!floating_of(network, &routes[i]) && route_delete(host, &routes[i], uplink, err) < 0)
            return err->code;
    for (size_t i = 0; i < network->floating_count; i++) {
        struct prefix to = {.address = network->floating[i].address, .length = 32};
        if (route_set(host, &to, &network->guest_end, uplink, err) < 0)
            return err->code;
    }
    return 0;
}

/* Answers ARP for the address on each link whose network it lies in. */
static int proxies_make(const struct realise *realise, struct rtnl *host, struct error *err)
{
    struct route_addresses addresses;
    if (route_addresses(host, realise->arena, &addresses, err) < 0)
        return err->code;
    for (size_t i = 0; i < addresses.count * realise->network->floating_count; i++) {
        const struct route_address *on = &addresses.items[i / realise->network->floating_count];
        const struct address *address =
            &realise->network->floating[i % realise->network->floating_count].address;
        if (on->prefix.length < 31 && prefix_has(&on->prefix, address) &&
            route_set_proxy(host, on->index, address, err) < 0)
            return err->code;
    }
    return 0;
}

static int floating_make(const struct realise *realise, struct error *err)
{
    struct rtnl *host;
    if (rtnl_open(NETLINK_ROUTE, &host, err) < 0)
        return err->code;
    int result = routes_make(realise, host, err);
    if (result == 0)
        result = proxies_make(realise, host, err);
    rtnl_close(host);
    return result;
}

int realise_remove_proxy(const struct realise *realise, const struct address *address,
                         struct error *err)
{
    struct rtnl *host;
    struct route_neighbours proxies;
    if (rtnl_open(NETLINK_ROUTE, &host, err) < 0)
        return err->code;
    int result = route_proxies(host, realise->arena, &proxies, err);
    for (size_t i = 0; result == 0 && i < proxies.count; i++)
        if (address_equal(&proxies.items[i].address, address))
            result = route_delete_proxy(host, proxies.items[i].index, address, err);
    rtnl_close(host);
    return result;
}

/* ---- all together ------------------------------------------------------------------- */

int realise_rules(const struct realise *realise, size_t *ended, struct error *err)
{
    struct policy policy = policy_make(realise->arena, realise->network);
    struct link_list links;
    size_t count = 0;
    if (links_read(realise, &links, err) < 0 || realise_tables(realise, &policy, &links, err) < 0 ||
        floating_make(realise, err) < 0 ||
        dhcp_converge(realise->arena, realise->own_dir, realise->network, realise->dhcp, err) < 0 ||
        conntrack_flush(realise->arena, realise->network, &policy, &count, err) < 0)
        return err->code;
    *ended = count;
    return 0;
}

static int host_side_remove(const struct realise *realise, struct error *err)
{
    struct rtnl *host;
    struct text text = TEXT_INIT;
    compile_host_removal(&text, realise->network);
    int result = nft_apply(NULL, text.data, err);
    text_free(&text);
    for (size_t i = 0; result == 0 && i < realise->network->floating_count; i++)
        result = realise_remove_proxy(realise, &realise->network->floating[i].address, err);
    if (result < 0 || rtnl_open(NETLINK_ROUTE, &host, err) < 0)
        return err->code;
    result = link_delete(host, realise->network->uplink, err);
    rtnl_close(host);
    return result;
}

int realise_remove_vpc(const struct realise *realise, struct error *err)
{
    const struct network *network = realise->network;
    if (dhcp_remove(realise->arena, realise->own_dir, network, realise->dhcp, err) < 0 ||
        host_side_remove(realise, err) < 0 || netns_delete(network->netns, err) < 0)
        return err->code;
    return records_forget(realise->own_dir, network->records->vpc, err);
}
