/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/events.h"

#include <stdlib.h>

static bool is_before(const struct due *a, const struct due *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    return a->tie != b->tie ? a->tie < b->tie : a->number < b->number;
}

static void swap(struct due *a, struct due *b)
{
    struct due kept = *a;
    *a = *b;
    *b = kept;
}

static void heap_add(struct events *events, struct due due)
{
    if (events->count == events->room) {
        events->room = events->room ? 2 * events->room : 64;
        events->heap = reallocarray(events->heap, events->room, sizeof *events->heap);
        if (!events->heap)
            abort();
    }
    size_t at = events->count++;
    events->heap[at] = due;
    while (at > 0 && is_before(&events->heap[at], &events->heap[(at - 1) / 2])) {
        swap(&events->heap[at], &events->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

void events_add(struct events *events, int64_t at_ms, event_fn *run, void *data)
{
    heap_add(events, (struct due){.at_ms = at_ms,
                                  .tie = prng_next(events->prng) | 1,
                                  .number = events->number++,
                                  .run = run,
                                  .data = data});
}

void events_add_ordered(struct events *events, int64_t at_ms, event_fn *run, void *data)
{
    heap_add(events,
             (struct due){.at_ms = at_ms, .number = events->number++, .run = run, .data = data});
}

static void sink(struct events *events)
{
    size_t at = 0;
    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < events->count && is_before(&events->heap[left], &events->heap[least]))
            least = left;
        if (right < events->count && is_before(&events->heap[right], &events->heap[least]))
            least = right;
        if (least == at)
            return;
        swap(&events->heap[at], &events->heap[least]);
        at = least;
    }
}

bool events_take(struct events *events, struct due *due)
{
    if (events->count == 0)
        return false;
    *due = events->heap[0];
    events->heap[0] = events->heap[--events->count];
    sink(events);
    return true;
}

int64_t events_next_ms(const struct events *events)
{
    return events->count ? events->heap[0].at_ms : INT64_MAX;
}

void events_free(struct events *events)
{
    free(events->heap);
    *events = (struct events){.heap = NULL};
}
