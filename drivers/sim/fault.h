/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdint.h>
#include "model/error.h"
#include "model/value.h"

struct world;

enum fault {
    FAULT_FAIL_BEFORE,  /* an error, and nothing was done */
    FAULT_FAIL_AFTER,   /* an error, but all was done */
    FAULT_HANG,         /* no answer, ever: the driver stands still until it is killed */
    FAULT_LIE,          /* success, and nothing was done */
    FAULT_PARTIAL_LIST, /* a list that breaks off */
    FAULT_CRASH,        /* the driver dies in the middle */
    FAULT_COUNT,
};

/* How often each fault comes, per mille, and the generator that decides. */
struct faults {
    int64_t rates[FAULT_COUNT];
    uint64_t seed;
    uint64_t draws;
};

/* From settings.seed and settings.faults ({"failBefore":50,...}); ERR_INVALID if unknown. */
int faults_read(struct faults *faults, const struct value *settings, struct error *err);

/* Draws once. When the fault comes, the position of the generator is noted in the world,
 * so that a driver that is started again does not meet the same one for ever. */
bool fault_strikes(struct faults *faults, struct world *world, enum fault fault);

#endif
