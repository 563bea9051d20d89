/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_PLANNING_H
#define RECONCILER_CLI_PLANNING_H

#include <stdbool.h>
#include "model/site.h"
#include "model/value.h"
#include "reconciler/cli/command.h"

/* A plan document of the site for `rev` (NULL: the branch's head), from the daemon if one
 * is up, else made in this process. Work of over a second is said on standard error. */
int planning_make(struct cli *cli, const struct site *site, const char *rev, bool is_cached,
                  struct value **document, struct error *err);

/* 2 if anything would run, else 3 if anything is held, else 1 if not all could be looked at,
 * which is said on standard error; else 0. */
int planning_exit(const struct value *document);
/* The same without a word about it. */
int planning_status(const struct value *document);

/* The plan for people, on standard output. */
void planning_print(const struct value *document);

#endif
