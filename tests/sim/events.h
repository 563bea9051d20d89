/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_EVENTS_H
#define TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/sim/prng.h"

/*
 * What is still to happen: a heap by virtual time. What is due at the same millisecond
 * comes in an order that the seed decides, unless the caller wants its own.
 */
struct sim;
typedef void event_fn(struct sim *sim, void *data);

struct due {
    int64_t at_ms;
    uint64_t tie;
    uint64_t number; /* of its making: the last word */
    event_fn *run;
    void *data; /* the handler's to free */
};

struct events {
    struct due *heap;
    size_t count, room;
    uint64_t number;
    struct prng *prng;
};

void events_add(struct events *events, int64_t at_ms, event_fn *run, void *data);
/* In the order of their making among themselves: a pipe. */
void events_add_ordered(struct events *events, int64_t at_ms, event_fn *run, void *data);
bool events_take(struct events *events, struct due *due);
/* When the first is due; INT64_MAX if there is none. */
int64_t events_next_ms(const struct events *events);
void events_free(struct events *events);

#endif
