/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_DRIFT_ROWS_H
#define RECONCILER_CLI_DRIFT_ROWS_H

#include <stdbool.h>

#include "model/arena.h"
#include "model/value.h"

/* Rows of the drift document as people read them: in the table and in the HTML file. */

bool drift_is_open(const struct value *row);
bool drift_is_ignored(const struct value *row);

/* "desired" or "observed", in the units of its field. */
char *drift_side_text(struct arena *arena, const struct value *row, const char *side);
/* How long ago it was first seen. */
const char *drift_age_text(struct arena *arena, const struct value *row);
/* What becomes of it, and how often it came back. */
const char *drift_state_text(struct arena *arena, const struct value *row);
/* What Spinel did about it, or does, and why; a sentence. */
const char *drift_outcome_text(struct arena *arena, const struct value *row);
/* A field that came back again and again is one row, its last: with "times", and "within" in
 * seconds from the first to the last. */
struct value *drift_rows_folded(struct arena *arena, const struct value *rows);

#endif
