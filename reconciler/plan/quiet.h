/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_QUIET_H
#define RECONCILER_PLAN_QUIET_H

#include "reconciler/plan/plan.h"

/*
 * The plan of a rack that is as declared, made row by row. plan_make() holds all rows, matches
 * them and orders what is to be done; where nothing is, each row can be judged by itself as it
 * is read, and dropped. Rows are judged by the same function (step.c). Whatever is not plainly
 * quiet is left to plan_make(): what differs, has no row or no manifest, was ever renamed, is
 * unknown, or has an address to choose.
 */
struct quiet;

/* `input` needs no rows; it is used until quiet_end(). What lives longer than a row is in `arena`.
 */
struct quiet *quiet_begin(struct arena *arena, const struct plan_input *input);
/* A row as plan_input would have it, in any order: false if the whole has to be planned. What rows
 * share must live until quiet_end(), what only this one has need not. */
bool quiet_row(struct quiet *quiet, const struct known *row);
/* The plan, or NULL if the whole has to be planned. To be called in any case. */
const struct plan *quiet_end(struct quiet *quiet);

#endif
