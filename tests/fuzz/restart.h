/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_RESTART_H
#define TESTS_FUZZ_RESTART_H

#include "reconciler/engine/env.h"

/*
 * A start of the real core on this store, in which a transaction is open: once to plan from what
 * was last seen, and once to work, with a driver that finds nothing that was ever made. `set` is
 * what every commit declares.
 */
void fuzz_restart(struct store *store, const struct set *set);

#endif
