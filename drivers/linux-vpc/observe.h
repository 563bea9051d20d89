/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_OBSERVE_H
#define LINUX_VPC_OBSERVE_H

#include "drivers/linux-vpc/view.h"
#include "drivers/spinel-driver.h"

/*
 * Tells one object from a view: its spec as it is, its status, and its damage.
 * `object` gets maps and a list to fill in; each kind has a file or a part of one.
 */
struct observation {
    const struct view *view;
    struct arena *arena;
    const struct record *record;
    struct value *spec; /* begins as a copy of what was asked for */
    struct value *status;
    struct value *damage;
};

/* Adds {"path","desired","observed"}. */
void observation_damage(struct observation *observation, const char *path, const char *desired,
                        const char *observed);

/* The common case: something that should be there is not. */
void observation_missing(struct observation *observation, const char *path);

void observe_vpc(struct observation *observation);
void observe_subnet(struct observation *observation);
void observe_nic(struct observation *observation);
void observe_firewall(struct observation *observation);
void observe_floating(struct observation *observation);
void observe_forward(struct observation *observation);

/* Adds the differences of one table that `is_mine` says are this object's. */
void observe_changes(struct observation *observation, enum view_table table,
                     bool (*is_mine)(const struct observation *, const struct nft_entry *));

#endif
