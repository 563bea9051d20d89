/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_DRIFT_H
#define RECONCILER_CLI_DRIFT_H

#include "model/site.h"
#include "model/value.h"
#include "reconciler/cli/command.h"

/* The document of `spinel drift --json` from a fresh look at the world: the daemon's, or
 * without one made here, with what the store knows of earlier looks. What was healed at
 * or after `since` (unix seconds) is in it too. */
int drift_make(struct cli *cli, const struct site *site, int64_t since, struct value **document,
               struct error *err);

#endif
