/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_JSON_PLAIN_H
#define MODEL_JSON_PLAIN_H

#include <stddef.h>
#include "model/json.h"
#include "model/value.h"

struct arena;
struct error;

/*
 * The fast path of json_read() for what our own programs write: printable ASCII, no
 * escapes by number and none in keys, whole numbers of up to 18 digits. Private to json_read.c.
 */

/* The value, of at most so many (value_count_max()), the same as the slow path gives; NULL for all
 * else, valid or not. */
struct value *json_plain_read(struct arena *arena, const char *data, size_t len, size_t values_max);

/* The same, with `rows` as json_read_message() gives them. */
struct value *json_plain_message(struct arena *arena, const char *data, size_t len,
                                 size_t values_max, struct json_rows *rows);

/* The slow path, by jansson: what json_read() was without the other. */
int json_read_any(struct arena *arena, const char *data, size_t len, size_t values_max,
                  struct value **out, struct error *err);

#endif
