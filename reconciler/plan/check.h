/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_CHECK_H
#define RECONCILER_PLAN_CHECK_H

#include "reconciler/plan/plan.h"

/* Ends the process if a finished plan breaks what each plan keeps. Private to plan/. */
void plan_check(const struct plan *plan, const struct plan_input *input);

#endif
