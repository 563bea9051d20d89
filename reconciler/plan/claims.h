/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_CLAIMS_H
#define RECONCILER_PLAN_CLAIMS_H

#include "reconciler/plan/steps.h"

/*
 * Claims of steps on what only one object may have, before and after the plan;
 * sorted by key. Private to plan/.
 */
struct claim_on {
    const char *key;
    const struct step *step;
};

struct claim_list {
    struct arena *arena;
    struct claim_on *items;
    size_t count, room;
};

struct claim_list claims_before(struct arena *arena, const struct plan *plan);
struct claim_list claims_after(struct arena *arena, const struct plan *plan);

#endif
