/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_FORMAT_H
#define MODEL_FORMAT_H

#include <stdbool.h>
#include "model/error.h"

struct arena;

/* x-format: texts with a grammar of their own and one canonical form. */

/* Checks `text` against `format` and writes its canonical form to `*canonical`
 * (`text` itself or a copy in the arena). ERR_INVALID says what is wrong; the
 * format must be one that format_is_known(). */
int format_read(struct arena *arena, const char *format, const char *text, const char **canonical,
                struct error *err);
bool format_is_known(const char *format);

/* RFC 1123 label: a-z, 0-9 and - inside, 1 to 63 characters. */
bool format_is_label(const char *text);

/* Labels as Kubernetes writes them: the key, and the value. */
int format_label_key(const char *key, struct error *err);
int format_label_value(const char *value, struct error *err);

#endif
