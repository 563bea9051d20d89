/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_TABLE_H
#define TESTS_SIM_TABLE_H

#include "tests/sim/tally.h"

/* What was injected, done and checked, for people. */
void table_print(const struct tally *tally, double seconds);

#endif
