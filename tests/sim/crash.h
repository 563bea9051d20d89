/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_CRASH_H
#define TESTS_SIM_CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/sim/tally.h"

/*
 * Every canonical change, with the daemon dying at every call that it makes to the
 * outside, by kill -9 and by each way in which a disk can lose what was not synced, and
 * dying once more while it recovers. The end must be that of an undisturbed run.
 */
struct crash_options {
    const char *only; /* name of a scenario; NULL: all */
    uint64_t at;      /* 0: every call */
    int loss;         /* -1: all; 0: kill -9; else 1 + enum sim_loss */
    uint64_t second;  /* 0: chosen for each point in turn */
    unsigned storm;   /* 0: a hundred deaths; else only these, and no other points */
    unsigned sample;  /* every nth point only; 1: all */
    unsigned jobs;
    bool is_shown;
};

/* Number of scenarios that failed; a name that none has is one. */
uint64_t crash_run(const struct crash_options *options, struct tally *tally);

#endif
