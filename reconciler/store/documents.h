/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_DOCUMENTS_H
#define RECONCILER_STORE_DOCUMENTS_H

#include "model/arena.h"
#include "model/value.h"
#include "reconciler/store/store.h"

/* Rows of the store as the documents that --json prints (docs/json.md). */
struct value *revision_value(struct arena *arena, const struct revision *revision);
struct value *intent_value(struct arena *arena, const struct intent *intent);
struct value *event_value(struct arena *arena, const struct event *event);
struct value *drift_value(struct arena *arena, const struct drift_row *row);

/* "live", "released", "missing", "unknown", or what its driver says ("running"). */
const char *object_state(const struct known *row);

#endif
