/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_UNSEEN_H
#define RECONCILER_ENGINE_UNSEEN_H

#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/value.h"

/* As identity_label(): what an object {"kind","project","name"} is counted under. What is derived
 * ("NIC shop/web.eth0") is so under its owner ("Instance shop/web"). Lives in the arena. */
char *counted_under(struct arena *arena, const struct value *object);

/* How many resources are unknown: a part of each is in `unseen`, which nobody could look at, and
 * its label is none of `touched`, of which the plan says more. */
int64_t unseen_count(struct arena *arena, const struct value *unseen, const char *const *touched,
                     size_t touched_count);

#endif
