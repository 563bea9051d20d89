/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_INTERN_H
#define MODEL_INTERN_H

#include "model/value.h"

struct arena;

/*
 * Equal texts and equal values kept once. A rack's manifests come from a few templates: most
 * labels and many specs of a set are the same, and stand on the same lines of their files.
 * What is kept is a copy in the arena, so that what was given may go. Private to the model.
 */
struct intern;

struct intern *intern_new(struct arena *arena);
/* What was kept stays; nothing more is kept. */
void intern_close(struct intern *intern);

const char *intern_text(struct intern *intern, const char *text); /* NULL for NULL */

/* Equal in type, content, order of keys, lines and columns; the file is that of the first. */
const struct value *intern_value(struct intern *intern, const struct value *value);

#endif
