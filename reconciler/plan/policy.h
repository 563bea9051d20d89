/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_POLICY_H
#define RECONCILER_PLAN_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "model/arena.h"

struct subject;

/* "2026-11-24 02:00:00 UTC", for reasons. Unix seconds. */
const char *time_words(struct arena *arena, int64_t at);

/* Whether a change that needs a new object makes one: it has no data, and its manifest allows it.
 */
bool subject_may_be_replaced(const struct subject *subject);

#endif
