/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_REALISE_H
#define LINUX_VPC_REALISE_H

#include <stddef.h>
#include "drivers/linux-vpc/dhcp.h"
#include "drivers/linux-vpc/network.h"
#include "drivers/linux-vpc/route.h"

struct arena;
struct error;
struct value;

/*
 * Makes the kernel agree with the records of a VPC. Every step is idempotent and
 * looks first; order matters: namespace, uplink, bridges, taps, then the rules in
 * one transaction, which also need to know which taps there are.
 */
struct realise {
    struct arena *arena;
    const char *own_dir;
    const struct dhcp_settings *dhcp;
    const struct network *network;
    struct realise_session *session;
};

/* What the steps of a group need of the namespace and have together: hundreds of NICs would each
 * open a socket and list the neighbours of all. Begins as all zero; to be closed. */
struct realise_session {
    struct rtnl *inside;
    bool has_neighbours;
    struct route_neighbours neighbours; /* those that were removed since have index 0 */
};
void realise_session_close(struct realise_session *session);

/* The namespace, its settings and the link to the host. */
int realise_vpc(const struct realise *realise, struct error *err);
int realise_subnet(const struct realise *realise, const struct network_subnet *subnet,
                   struct error *err);
/* With its subnet's bridge. */
int realise_nic(const struct realise *realise, const struct network_nic *nic, struct error *err);

/* Rules inside and on the host, routes and ARP of floating IPs, DHCP, and the end of
 * connections that the new rules forbid (`*ended`). What the kernel then shows is
 * kept in the VPC's directory, for the observer to compare. */
int realise_rules(const struct realise *realise, size_t *ended, struct error *err);

/* Of these, the tables: written and read back as far as they differ from what is known to be there
 * (realise_tables.c). `links` are those of the namespace. */
struct link_list;
struct policy;
int realise_tables(const struct realise *realise, const struct policy *policy,
                   const struct link_list *links, struct error *err);

/* Absent already is success. */
int realise_remove_link(const struct realise *realise, const char *name, struct error *err);
int realise_remove_links(const struct realise *realise, const char *const *names, size_t count,
                         struct error *err);
int realise_remove_vpc(const struct realise *realise, struct error *err);

int realise_remove_neighbour(const struct realise *realise, const struct network_nic *nic,
                             struct error *err);

/* Ends answering ARP for an address that is no longer ours. */
int realise_remove_proxy(const struct realise *realise, const struct address *address,
                         struct error *err);

/* Settings inside the namespace: name and value, ended by a NULL name. */
struct realise_setting {
    const char *name;
    const char *value;
};
extern const struct realise_setting realise_inside_settings[];
/* Names have a %s for the bridge. */
extern const struct realise_setting realise_bridge_settings[];

/* MAC of every gateway, so that a guest that moves finds its router where it was. */
extern const struct mac realise_gateway_mac;

#define REALISE_COMMITTED "committed.json"
#define REALISE_COMMITTED_SPOOF "committed-spoof.json" /* of the table of the taps' chains */
/* See seal.h; taken for nothing as soon as it does not fit. */
#define REALISE_SEAL "seal.json"
/* There while records say what the kernel may not have been told yet. */
#define REALISE_UNFINISHED "unfinished.json"

/* "inet spinel_<uplink>" */
const char *realise_host_table(struct arena *arena, const struct network *network);

#endif
