/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_TEXT_H
#define RECONCILER_PLAN_TEXT_H

#include <stdbool.h>
#include "model/text.h"
#include "model/value.h"

struct plan_text_options {
    bool color;  /* ANSI colours */
    int columns; /* to wrap at; 0: 80 */
};

/* Appends a plan document (plan_value(), or one that came by socket or from a file) as
 * people read it. What a newer program added to the document is skipped. */
void plan_text(struct text *out, const struct value *document, struct plan_text_options options);

/* "2 to create, 1 to delete. 3 steps would run, 1 held.", of a plan document's summary. */
const char *plan_summary_text(struct arena *arena, const struct value *summary);

#endif
