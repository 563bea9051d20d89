/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_STATUS_H
#define RECONCILER_CLI_STATUS_H

#include "model/site.h"
#include "model/value.h"
#include "reconciler/cli/command.h"

/* The document of `spinel status --json`: the daemon's own, or without one what the store
 * and the last observation say. */
int status_make(struct cli *cli, const struct site *site, struct value **document,
                struct error *err);

#endif
