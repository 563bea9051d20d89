/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_ROUTE_H
#define LINUX_VPC_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/net.h"

struct arena;
struct error;
struct rtnl;

/*
 * Addresses, routes, neighbours and forwarding entries of bridges (IPv4), by
 * netlink. Our routes bear a protocol number of their own, so that they can be
 * told from everybody else's.
 */
enum { ROUTE_PROTOCOL = 201 };

struct route_address {
    int index;            /* of the link */
    struct prefix prefix; /* the address with the length of its network */
};
struct route_addresses {
    struct route_address *items;
    size_t count;
};

/* All IPv4 addresses of the namespace, in the arena. */
int route_addresses(struct rtnl *rtnl, struct arena *arena, struct route_addresses *out,
                    struct error *err);

/* Makes `prefix` the only address of the link. */
int route_set_address(struct rtnl *rtnl, int index, const struct prefix *prefix, struct error *err);

/* Route to `to` by way of `via` (NULL: directly) out of the link; there already is
 * replaced. Length 0 is the default route. */
int route_set(struct rtnl *rtnl, const struct prefix *to, const struct address *via, int index,
              struct error *err);
int route_delete(struct rtnl *rtnl, const struct prefix *to, int index, struct error *err);
/* Whether our route to exactly `to` out of the link is there. */
bool route_has(struct rtnl *rtnl, const struct prefix *to, int index);
/* Our routes out of the link, in the arena. */
int route_list(struct rtnl *rtnl, struct arena *arena, int index, struct prefix **out,
               size_t *count, struct error *err);

struct route_neighbour {
    int index;
    bool is_proxy;
    struct address address;
    struct mac mac;
};
struct route_neighbours {
    struct route_neighbour *items;
    size_t count;
};

/* All IPv4 neighbours of the namespace; the second form only proxy entries. */
int route_neighbours(struct rtnl *rtnl, struct arena *arena, struct route_neighbours *out,
                     struct error *err);
int route_proxies(struct rtnl *rtnl, struct arena *arena, struct route_neighbours *out,
                  struct error *err);

/* A permanent neighbour; answering ARP for an address that is elsewhere. */
int route_set_neighbour(struct rtnl *rtnl, int index, const struct address *address,
                        const struct mac *mac, struct error *err);
int route_delete_neighbour(struct rtnl *rtnl, int index, const struct address *address,
                           struct error *err);
int route_set_proxy(struct rtnl *rtnl, int index, const struct address *address, struct error *err);
int route_delete_proxy(struct rtnl *rtnl, int index, const struct address *address,
                       struct error *err);

/* A static forwarding entry: frames for `mac` leave by the bridge port `index`. */
int route_set_forwarding(struct rtnl *rtnl, int index, const struct mac *mac, struct error *err);

#endif
