/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "tests/sim/sim.h"

/* Seeds in processes of their own, so that an assertion costs one seed. */
struct outcome {
    uint64_t seed;
    bool has_died;    /* of a signal, an assertion, or its limit of time */
    bool is_too_long; /* that limit */
    struct verdict verdict;
};

/* Runs `count` seeds from `from` on `jobs` processes at a time until `seconds` are over (0: until
 * all are done). `report` hears of each. */
void run_seeds(uint64_t from, uint64_t count, int64_t seconds, unsigned jobs,
               const struct options *options, struct tally *tally,
               void (*report)(void *context, const struct outcome *outcome), void *context);
struct outcome run_one(uint64_t seed, const struct options *options, struct tally *tally);
struct tally *tally_share(void);

#endif
