/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H

#include "model/kind.h"
#include "model/report.h"
#include "model/value.h"

/* Values against fields. Private to the model. */
struct checker {
    struct arena *arena;
    struct report *report;
    size_t searched; /* names that were looked at for one that could have been meant */
};

/* The normal form of `given` (positions kept), or NULL when nothing of it can be
 * used. Everything wrong is in the report. */
struct value *check_field(struct checker *checker, const struct field *field,
                          const struct value *given);

/* As check_field() for the spec of a kind; `given` may be NULL or null (an empty
 * spec), and the answer is never NULL. `at` is where a missing field is reported. */
struct value *check_spec(struct checker *checker, const struct kind *kind,
                         const struct value *given, struct position at);

/* Reports each key of `map` that is not among `names`, with the nearest one. */
void check_unknown(struct checker *checker, const struct value *map, const char *const *names,
                   size_t count);

/* What a value is, for "expected ..., found ...": text "two", the whole number 5. */
char *check_found(struct arena *arena, const struct value *value);

#endif
