/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_YAML_PLAIN_H
#define MODEL_YAML_PLAIN_H

#include <stddef.h>
#include "model/value.h"

struct arena;
struct report;

/*
 * The fast path of yaml_read() for manifests in the plain block style: maps and lists by
 * indentation, scalars, flow maps and lists on one line, comments. Private to yaml_read.c.
 */

/* All documents as the slow path gives them, places included; NULL for all else, valid or
 * not. */
struct value *yaml_plain_read(struct arena *arena, const char *file, const char *data, size_t len);

/* The slow path, by libyaml: what yaml_read() was without the other. */
int yaml_read_any(struct arena *arena, const char *file, const char *data, size_t len,
                  struct value **docs, struct report *report);

#endif
