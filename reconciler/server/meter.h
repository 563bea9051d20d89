/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_METER_H
#define RECONCILER_SERVER_METER_H

#include <stdint.h>
#include "model/error.h"
#include "model/value.h"
#include "reconciler/engine/env.h"

/*
 * What the core counts and the viewer shows at /metrics: a page of memory that the
 * supervisor maps before it forks either, so that neither has to ask the other, and
 * the counts outlive both. One writer, the core; a reader may see one number a moment
 * before the next, which OpenMetrics allows.
 */
enum {
    METER_BUCKETS = 14, /* and one more for what is beyond the last */
    METER_VERBS = 8,
    METER_OUTCOMES = 2, /* confirmed, failed */
    METER_DRIVERS = 32,
    METER_NAME = 32,
};

/* Upper bounds in nanoseconds, and as OpenMetrics writes them in seconds. */
extern const int64_t meter_bounds_ns[METER_BUCKETS];
extern const char *const meter_bounds_text[METER_BUCKETS];
extern const char *const meter_verbs[METER_VERBS];
extern const char *const meter_outcomes[METER_OUTCOMES];

struct histogram {
    uint64_t counts[METER_BUCKETS + 1]; /* of each bucket alone, not cumulative */
    uint64_t sum_ns;
};

struct meter {
    struct histogram operations[METER_VERBS][METER_OUTCOMES];
    struct histogram looks, plans, commits;
    struct {
        char name[METER_NAME]; /* "" beyond the last */
        uint64_t starts;
    } drivers[METER_DRIVERS];
    uint64_t core_starts, events;
    uint64_t drift_found, drift_healed, contested;
    uint64_t revisions_accepted, revisions_refused;
    int64_t queued, under_way, blocked; /* operations now */
    int64_t looked_at;                  /* unix seconds of the last pass; 0: none yet */
};

/* Shared with children that are forked later; lives as long as the process. */
int meter_map(struct meter **out, struct error *err);
void meter_add(struct histogram *histogram, int64_t ns);
/* Counts an event of docs/control-protocol.md. */
void meter_event(struct meter *meter, const struct event *event);
void meter_pass(struct meter *meter, const struct pass *pass, int64_t now);

#endif
