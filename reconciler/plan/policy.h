/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_POLICY_H
#define RECONCILER_PLAN_POLICY_H

#include <stdint.h>
#include "model/arena.h"

/* "2026-11-24 02:00:00 UTC", for reasons. Unix seconds. */
const char *time_words(struct arena *arena, int64_t at);

#endif
