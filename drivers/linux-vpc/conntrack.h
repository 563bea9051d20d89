/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_CONNTRACK_H
#define LINUX_VPC_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include "drivers/linux-vpc/network.h"
#include "drivers/linux-vpc/policy.h"

struct arena;
struct error;

/*
 * Established connections pass without being asked again; so when rules or
 * translations change, those that could not begin now are ended here.
 */

/* Whether a connection, as conntrack shows it, may go on: its translation is still
 * what the maps say and the policy would let it begin. Pure. `original` is where the
 * first packet went, `flow` the two real ends. */
bool conntrack_may_go_on(const struct network *network, const struct policy *policy,
                         const struct address *original_to, int original_port,
                         const struct address *reply_to, const struct flow *flow);

/* Ends what may not go on; `*ended` counts them. */
int conntrack_flush(struct arena *arena, const struct network *network, const struct policy *policy,
                    size_t *ended, struct error *err);

#endif
