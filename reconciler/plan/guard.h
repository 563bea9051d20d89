/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_GUARD_H
#define RECONCILER_PLAN_GUARD_H

#include "reconciler/plan/plan.h"

/*
 * The guard stands between plan and engine: it takes a plan whose steps are
 * otherwise ready and holds what must not happen without a person. Small, pure,
 * and tested to every branch. First the rules on one step (step_rules in guard.c), then a
 * collapsing or empty desired set, the deletion budget, freezes. A held step holds
 * those that wait for it and nothing else. What a rule on the whole revision held
 * it holds until a person says yes, or all of it is wanted back (RFD 36).
 */
void guard_judge(struct arena *arena, const struct plan_input *input, struct plan *plan);

#endif
