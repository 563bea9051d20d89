/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_ACTOR_H
#define TESTS_SIM_ACTOR_H

#include <stdbool.h>

struct sim;

/* Somebody with root on the machine, guests, and the operator. */
void actor_acts(struct sim *sim);
/* Approves everything that may be approved, or one of it. True if anything was. */
bool operator_approves(struct sim *sim, bool approves_all);
void operator_acts(struct sim *sim);
/* What lost its tag is in the way until somebody who knows what it is has moved it. */
void operator_clears_strays(struct sim *sim);
/* What the core reports as an orphan somebody has looked at, and removed. */
bool operator_clears_orphans(struct sim *sim);
void operator_thaws(struct sim *sim);

#endif
