/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_JSON_H
#define MODEL_JSON_H

#include <stddef.h>
#include "model/value.h"

struct arena;
struct error;
struct text;

/*
 * JSON in and out. Reading is jansson's, behind this header: duplicate keys are
 * refused, so are numbers with a fraction or beyond 64 bits, nesting over 64
 * levels, more values than value_count_max() (a map is two), invalid UTF-8 and NUL characters.
 * Writing is deterministic: value order as it stands, or canonical (keys sorted
 * bytewise, no space, RFC 8785 for the value types that we have).
 */

/* Reads one JSON document of `len` bytes. `*out` is written on success only and
 * lives in `arena`. ERR_INVALID names line and column. */
int json_read(struct arena *arena, const char *data, size_t len, struct value **out,
              struct error *err);

/* The same for what we wrote ourselves, however many values it has: what is in the store can be
 * read. */
int json_read_own(struct arena *arena, const char *data, size_t len, struct value **out,
                  struct error *err);

/*
 * The same for an answer whose "list" in its "result" may be long. If each of its elements is a
 * plain list of texts and numbers, they are checked and left as text, and in their place stands an
 * empty list: `rows` gives them one by one, and borrows from `data`. As values they would be many
 * times as large. In any other case there are no rows, and the list is where it belongs.
 */
struct json_rows {
    const char *at, *end;
};
int json_read_message(struct arena *arena, const char *data, size_t len, struct value **out,
                      struct json_rows *rows, struct error *err);
/* The next row, in the arena; NULL if there is none. `rows` NULL has none. */
const struct value *json_rows_next(struct json_rows *rows, struct arena *arena);

/* Appends to `out`: one line, in key order as built. NULL writes null. */
void json_write(struct text *out, const struct value *value);

/* Appends the canonical form: keys sorted, nothing optional. */
void json_write_canonical(struct text *out, const struct value *value);

/* Appends with line breaks and two spaces a level, for people; ends without newline. */
void json_write_pretty(struct text *out, const struct value *value);

/* One-line JSON as a string in the arena. */
char *json_text(struct arena *arena, const struct value *value);

#endif
