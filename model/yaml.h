/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_YAML_H
#define MODEL_YAML_H

#include <stddef.h>
#include "model/value.h"

struct arena;
struct text;
struct report;

/*
 * Manifest bytes to values, by libyaml's events. YAML 1.2 core scalars only:
 * true, false, null and ~, decimal integers (also 0x and 0o); `no`, `on`, dates
 * and fractions are strings. Refused, each with its place: anchors, aliases,
 * merge keys, tags, directives but for %YAML 1.1 or 1.2, duplicate keys, keys that are not scalars,
 * depth over 64, documents over 1 MiB, more values than value_count_max(), invalid UTF-8, a
 * byte-order mark inside, control and bidirectional formatting characters.
 */
enum { YAML_MAX_DEPTH = 64, YAML_MAX_DOCUMENT = 1 << 20 };

/*
 * Reads all documents of `data` into `*docs` (a list; empty documents are left
 * out). `file` is named in positions and errors, is borrowed and must outlive
 * the values. Problems go to `report`, as many as can be found. Returns 0, or
 * ERR_INVALID if any was reported; `*docs` then holds the documents before it.
 */
int yaml_read(struct arena *arena, const char *file, const char *data, size_t len,
              struct value **docs, struct report *report);

/* Appends `value` as block-style YAML that yaml_read() reads back equal. */
void yaml_write(struct text *out, const struct value *value);

#endif
