/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_CLAIMS_H
#define RECONCILER_PLAN_CLAIMS_H

#include "reconciler/plan/steps.h"

/*
 * Claims on what only one object may have, before and after the plan, of all that
 * has a step and of what nobody can look at; sorted by key. Private to plan/.
 */
struct claim_on {
    const char *key;
    const struct subject *subject;
    const struct step *step; /* NULL: of one that cannot be looked at, and keeps what it may have */
};

struct claim_list {
    struct arena *arena;
    struct claim_on *items;
    size_t count, room;
};

struct claim_list claims_before(struct arena *arena, const struct plan *plan);
struct claim_list claims_after(struct arena *arena, const struct plan *plan);

#endif
