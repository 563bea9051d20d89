/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_VPC_H
#define LINUX_VPC_VPC_H

#include "drivers/linux-vpc/dhcp.h"
#include "drivers/spinel-driver.h"

/* What the site file sets for this driver; fixed at start. */
struct vpc_settings {
    struct dhcp_settings dhcp;
    const char *transit_pool;
};

/* Carries out steps (apply.c), tells what is there (observe.c), and notices when
 * somebody else changes it (watch.c). */
int vpc_apply(struct spinel_host *host, const struct vpc_settings *settings,
              const struct spinel_op *op, struct error *err);
/* Several, with an outcome each; those of one VPC cost hardly more than one. */
void vpc_apply_all(struct spinel_host *host, const struct vpc_settings *settings,
                   const struct spinel_op *const *ops, size_t count, struct error *outcomes);
/* The VPC's uid for a step in one, NULL for one of a VPC itself. */
const char *vpc_group(struct spinel_host *host, const struct spinel_op *op);
int vpc_list(struct spinel_host *host, struct spinel_list *list, struct error *err);
struct network;
/* Whether the VPC's record bears our tag of its namespace. `network->vpc` is not NULL. */
bool vpc_tag_verifies(struct spinel_host *host, const struct network *network);

int vpc_look(struct spinel_host *host, struct spinel_object *object, struct error *err);
/* Looks at each VPC once. */
int vpc_look_all(struct spinel_host *host, struct spinel_list *list, struct error *err);
int vpc_watch_start(struct spinel_host *host, struct error *err);

#endif
