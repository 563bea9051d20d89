/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SIM_SHAPE_H
#define SIM_SHAPE_H

#include <stdbool.h>
#include "model/error.h"
#include "model/kind.h"
#include "model/value.h"

struct arena;

/* What a real driver could do to a spec, decided by the change classes of its fields. */

/* A copy without sensitive fields: the world is a file, and they are never stored. */
struct value *shape_strip(struct arena *arena, const struct field *field, const struct value *spec);

/* `now` with the fields that `changed` names (NULL: all) brought to `wanted`, as far as
 * their classes let them change at once. `is_running`: restart fields keep their booted
 * values, and live-if fields stay within the booted headroom. */
struct value *shape_merge(struct arena *arena, const struct field *field, const struct value *now,
                          const struct value *wanted, const struct value *changed, bool is_running);

/* By uid, whom a running machine means by the volumes of its disks, as status.refs tells it. A disk
 * that was there `before` (NULL: it was started anew) with the same volume keeps what `had` says;
 * of another, `told` does: the operation's refs. */
struct value *shape_refs(struct arena *arena, const struct value *spec, const struct value *told,
                         const struct value *before, const struct value *had);

/* ERR_INVALID if a field that only grows would shrink. */
int shape_check(const struct field *field, const struct value *now, const struct value *wanted,
                struct error *err);

#endif
