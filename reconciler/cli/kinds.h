/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_KINDS_H
#define RECONCILER_CLI_KINDS_H

#include "model/kind.h"
#include "reconciler/cli/command.h"

/* Kinds as people type and read them. */

/* The kind that `word` means; NULL after saying on standard error which one is near. */
const struct kind *kind_asked(const struct cli *cli, const char *word);

/* A table of the kinds that manifests may declare. */
void kinds_print(struct arena *arena);

#endif
