/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_DIFF_H
#define MODEL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include "model/kind.h"
#include "model/value.h"

struct arena;

/*
 * Field-level difference of two specs of one kind. Lists are compared by key or
 * as sets where the kind says so, never by position; leaves are reported, and a
 * keyed element that is new or gone is reported once, at the element.
 * Paths are text such as "spec.disks[root].volume".
 */
struct difference {
    const char *path;
    const struct field *field; /* what the kind says of it; NULL for "damage" */
    const struct value *from;  /* NULL where there was nothing */
    const struct value *to;    /* NULL where there is to be nothing */
};

struct diff {
    struct difference *items; /* ordered by path */
    size_t count;
};

enum diff_mode {
    DIFF_FULL,     /* what `from` lacks counts as nothing */
    DIFF_OBSERVED, /* a field that `from` lacks was not observed, and is not compared;
                    * a keyed list or map that `from` has is compared in full by key,
                    * and within an element the same rule holds again */
};

/* Both specs are normalised; either may be NULL (everything new, or gone).
 * Observed-only fields are never compared; chosen ones are when both have them. */
struct diff diff_specs(struct arena *arena, const struct kind *kind, const struct value *from,
                       const struct value *to, enum diff_mode mode);

/* How a leaf reads to people: sizes as "4GiB", durations as "1h30m", text as it is,
 * maps and lists as short JSON, sensitive as "(sensitive)"; NULL as "nothing". */
char *diff_value_text(struct arena *arena, const struct field *field, const struct value *value);

/* The leaf for JSON: the value itself, or {"sensitive":"changed"}. */
struct value *diff_value_json(struct arena *arena, const struct field *field,
                              const struct value *value);

#endif
