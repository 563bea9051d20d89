/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_ORACLES_H
#define TESTS_SIM_ORACLES_H

#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

/* The functions of the table in invariants.c, by what they are about. */
typedef bool holds_fn(struct sim *sim, const struct moment *moment, char *why);

/* Fills `why`; false. */
bool broken(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* It bears our tag, has no row and no manifest: it is reported, and nothing is planned with it. */
bool is_orphan(struct sim *sim, const struct thing *thing);

/* oracle_effect.c */
holds_fn touches_ours_only;
holds_fn is_open_once;
holds_fn opens_once;
holds_fn is_unique;
holds_fn stays_dead;
holds_fn stays_with_tenant;
holds_fn keeps_budget;
holds_fn keeps_most;
holds_fn is_fenced;

/* oracle_send.c */
holds_fn grants_destruction;
holds_fn spares_protected;
holds_fn is_planned;
holds_fn is_recorded;
holds_fn has_looked;
holds_fn stops_after_failure;
holds_fn backs_off;

/* oracle_end.c */
holds_fn loses_no_intent;
holds_fn leaves_nothing_behind;
holds_fn hides_secret;
holds_fn converges;
holds_fn rests;
holds_fn repeats_nothing;

/* oracle_parked.c */
holds_fn parks_for_people;

#endif
