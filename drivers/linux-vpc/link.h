/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_LINK_H
#define LINUX_VPC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/linux-vpc/names.h"
#include "model/net.h"

struct arena;
struct error;
struct rtnl;

/*
 * Links by netlink: bridges, veth pairs, persistent taps, and what is set on
 * them. A `struct rtnl` decides the namespace.
 */
struct link {
    int index;
    int master; /* index of the bridge, 0 if none */
    int mtu;
    bool is_up; /* administratively */
    struct mac mac;
    char name[16];
    bool is_port; /* of a bridge: the three below were read */
    bool is_isolated;
    bool is_learning;
    bool is_flooded; /* unknown unicast is sent to it */
    uint32_t group;  /* a number that several may share */
};

/* All links of the namespace, in the arena. */
struct link_list {
    struct link *items;
    size_t count;
    struct names by_name;
};
int link_list(struct rtnl *rtnl, struct arena *arena, struct link_list *out, struct error *err);

/* By name; NULL if it is not there. */
const struct link *link_find(const struct link_list *list, const char *name);
const struct link *link_at(const struct link_list *list, int index);

/* Index of a link, 0 if there is none of that name. */
int link_index(struct rtnl *rtnl, const char *name);

/* Each makes a link unless there is one of that name. The bridge has no spanning
 * tree and no multicast snooping. The peer of the pair is born in the namespace
 * `peer_netns_fd`. */
int link_add_bridge(struct rtnl *rtnl, const char *name, const struct mac *mac, struct error *err);
int link_add_pair(struct rtnl *rtnl, const char *name, const char *peer, int peer_netns_fd,
                  struct error *err);

/* A tap that stays when nothing has it open, in the namespace of that name. */
int link_add_tap(const char *netns, const char *name, struct error *err);

/* What to set; a zero or NULL member is left as it is. */
struct link_change {
    int mtu;
    int master;
    bool up;
    bool down;
    const struct mac *mac;
    const char *alias;
};
int link_set(struct rtnl *rtnl, const char *name, const struct link_change *change,
             struct error *err);
/* The same of one whose index is known; the name is for the error. */
int link_set_at(struct rtnl *rtnl, int index, const char *name, const struct link_change *change,
                struct error *err);

/* Makes a bridge port isolated, without learning and without unknown unicast. */
int link_close_port(struct rtnl *rtnl, int index, const char *name, struct error *err);

/* Absent already is success. */
int link_delete(struct rtnl *rtnl, const char *name, struct error *err);

/* The same of many at once, by their names: the kernel waits for its readers once, and not for each
 * of them. */
int links_delete(struct rtnl *rtnl, struct arena *arena, const char *const *names, size_t count,
                 struct error *err);

#endif
