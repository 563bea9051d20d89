/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_TRACE_H
#define RECONCILER_STORE_TRACE_H

#include "reconciler/store/store.h"

/*
 * One revision from push to converged, as spans: made from the events on record,
 * so that it can be asked for long after, and twice the same.
 *
 *   revision ─┬─ check      what the push waited for
 *             ├─ load       the commit's manifests read and validated
 *             ├─ observe    the look that a plan was made of
 *             ├─ plan
 *             └─ VERB KIND PROJECT/NAME ─┬─ call    the driver has it
 *                                        └─ confirm looked at until it is true
 */

/* What `rev` means: "" the newest revision, a number, or a commit's id or the first digits
 * of it. ERR_NOT_FOUND if there is none. */
int revision_find(struct store *store, struct arena *arena, const char *rev, struct revision *out,
                  struct error *err);

/* {"schema":"spinel/trace/v1","trace",...,"spans":[...]}, docs/json.md. ERR_NOT_FOUND: its events
 * are no longer kept. */
int trace_make(struct store *store, struct arena *arena, const struct revision *revision,
               struct value **out, struct error *err);

/* The same as an OTLP ExportTraceServiceRequest in JSON (opentelemetry-proto 1.x: ids in
 * hexadecimal, times as text in nanoseconds). */
struct value *trace_otlp(struct arena *arena, const struct value *trace, const char *rack,
                         const char *version);

/* The outcome in lines, as it is noted in Git; in `arena`. */
const char *trace_note(struct arena *arena, const struct value *trace);

#endif
