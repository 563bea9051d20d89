/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_INVARIANTS_H
#define TESTS_SIM_INVARIANTS_H

#include "drivers/spinel-driver.h"
#include "reconciler/store/store.h"
#include "tests/sim/truth.h"

struct sim;

/* When something is checked, and what of. */
enum when {
    ON_EFFECT = 1 << 0, /* a driver is about to carry out `op` on `thing` (NULL: not there) */
    ON_SEND = 1 << 1,   /* `message`, an apply, leaves for a driver */
    ON_EMIT = 1 << 2,   /* `event` */
    ON_BOOT = 1 << 3,
    AFTER_EVENT = 1 << 4, /* of any kind: how the world is */
    AT_END = 1 << 5,      /* after the quiet phase */
    ON_LOG = 1 << 9,      /* the daemon logs: `event` has its name and text */
    AT_REST = 1 << 8,     /* all that came of a change has come, and no fault is about */
    ON_FULL =
        1 << 7, /* the daemon has ended, for its disk is full: `status` of a read without it */
    ON_REFUSAL = 1 << 6, /* the store is of a newer version: `status` says what opening it gave */
};

struct moment {
    enum when when;
    const struct sim_driver *driver; /* ON_EFFECT */
    const struct thing *thing;
    const struct spinel_op *op;
    const struct value *message;
    const struct event *event;
    int status;
    bool is_changed; /* the store, by opening it */
    bool is_late;    /* of an operation that was given up: whoever was handed it carries it out */
};

void invariants_check(struct sim *sim, const struct moment *moment);
void sim_violate(struct sim *sim, int invariant, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct invariant {
    const char *id, *sentence;
    unsigned when;
    /* False, and `why` filled, if it does not hold. */
    bool (*holds)(struct sim *sim, const struct moment *moment, char *why);
};
extern const struct invariant invariants[];
extern const int invariant_count;
int invariant_find(const char *id);

/* quiet.c: what the phase without faults has measured, for those AT_END. */
struct quiet {
    bool is_settled;
    uint64_t looks;  /* full ones until it was settled: of the decision after which it took most */
    unsigned rounds; /* decisions of a person that it took, and one */
    uint64_t again_applies; /* sent by one more look */
    uint64_t again_writes;
    uint64_t same_applies; /* sent because the same commit came again */
};
void quiet_run(struct sim *sim);
/* Runs until nothing is left to do, approving what may be approved; false: it found no rest. */
bool quiet_settle(struct sim *sim);
extern struct quiet quiet;

#endif
