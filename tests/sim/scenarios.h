/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_SCENARIOS_H
#define TESTS_SIM_SCENARIOS_H

#include <stddef.h>
#include "tests/sim/sim.h"

/*
 * The canonical changes: what is declared first, what then, and what somebody does. The
 * crash enumeration dies at every call that each of them makes.
 */
struct scenario {
    const char *name;
    void (*from)(struct wish *wish);   /* NULL: as the base has it */
    void (*middle)(struct wish *wish); /* a commit between the two; NULL: none */
    void (*to)(struct wish *wish);     /* NULL: no commit */
    void (*act)(struct sim *sim);      /* NULL: nobody does anything */
    struct able able;                  /* what its drivers are able to */
};
extern const struct scenario scenarios[];
extern const size_t scenario_count;
struct wish scenario_base(void);

#endif
