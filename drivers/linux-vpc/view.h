/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_VIEW_H
#define LINUX_VPC_VIEW_H

#include <stdbool.h>
#include <sys/types.h>
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/network.h"
#include "drivers/linux-vpc/nft.h"
#include "drivers/linux-vpc/policy.h"
#include "drivers/linux-vpc/route.h"

struct arena;
struct error;

/*
 * Everything that the kernel shows of one VPC, read once, beside what was
 * committed; objects are then told from it without asking the kernel again.
 */
/* Kinds of objects, a bit each (1 << RECORD_NIC), that are to be told: what only others need is not
 * read. */
enum { VIEW_OF_ALL = (1 << RECORD_KINDS) - 1 };

enum view_table { VIEW_INSIDE, VIEW_SPOOF, VIEW_HOST, VIEW_TABLES };

struct view {
    struct arena *arena;
    unsigned kinds;
    struct records records;
    struct network network;
    struct policy policy; /* made only if there are changes */
    bool is_there;        /* the namespace that we made, by its inode number */
    bool is_foreign;      /* a namespace of that name that we did not make */
    bool is_unfinished;   /* of what the records say the rules may lack something */
    struct link_list inside;
    struct link_list host;
    struct route_addresses addresses; /* inside */
    struct route_addresses host_addresses;
    struct route_neighbours proxies; /* of the host */
    struct prefix *routes;           /* ours, of the host, to the uplink */
    size_t route_count;
    bool has_default_route;
    struct nft_table expected[VIEW_TABLES];
    struct nft_table observed[VIEW_TABLES];
    struct nft_change *changes[VIEW_TABLES]; /* none for a table that is not there */
    size_t change_count[VIEW_TABLES];
    bool *inside_settings_ok; /* by index in realise_inside_settings */
    bool is_host_forwarding;
    pid_t dhcp_pid;
    const char *dhcp_damage; /* or NULL */
};

/* Reads it all under the VPC's lock. An error means that it cannot be told. */
int view_make(struct arena *arena, const char *own_dir, const char *vpc, unsigned kinds,
              struct view *out, struct error *err);

/* The definition of a set or map as observed, or NULL. */
const char *view_definition(const struct view *view, enum view_table table, const char *place);

#endif
