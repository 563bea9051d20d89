/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_YAML_TEXT_H
#define MODEL_YAML_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/value.h"

struct report;

/* Characters of manifests: what may stand in them, and what plain scalars mean.
 * Private to yaml_read.c and yaml_write.c. */

/* Why a code point is refused ("control character", ...), or NULL if it is not.
 * Line feed, tab and the carriage return are left to the caller. */
const char *yaml_refused(int32_t point);

/* Reports every character of `data` that may not be there, and every document
 * that is too large. False if nothing of the bytes may reach the parser. */
bool yaml_check_text(const char *file, const char *data, size_t len, struct report *report);

/* True at the first byte of a line that starts or ends a document. */
bool yaml_is_boundary(const char *data, size_t len, size_t at);

/* What a plain scalar is by the YAML 1.2 core schema, without fractions: writes
 * boolean or integer into `value` and its type; everything else is text. */
enum value_type yaml_resolve(const char *text, size_t len, struct value *value);

#endif
