/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Dependency order by Kahn's algorithm over the refs: what is referred to comes
 * first, ties in the set's own order. What is left over when nothing is ready
 * any more lies on a cycle or behind one.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/set_build.h"

struct order {
    const struct set *set;
    size_t *missing; /* by index in the set: refs that are not out yet */
    size_t *first;   /* by index: where its users start in `users`, and one beyond */
    size_t *users;   /* indices of those that refer to it */
    size_t *queue;
    size_t queued;
};

static size_t index_of(const struct set *set, const struct resource *resource)
{
    struct resource **found =
        bsearch(&resource, set->resources, set->count, sizeof(struct resource *), resource_compare);

    invariant(found, "%s %s is referred to and not in the set", resource->kind->name,
              resource->name);
    return (size_t)(found - set->resources);
}

static void users_fill(struct arena *arena, struct order *order)
{
    const struct set *set = order->set;
    size_t *next = arena_array(arena, set->count + 1, sizeof(*next));
    size_t total = 0;

    order->first = arena_array(arena, set->count + 2, sizeof(*order->first));
    for (size_t i = 0; i < set->count; i++) {
        order->missing[i] = set->resources[i]->ref_count;
        total += set->resources[i]->ref_count;
        for (size_t n = 0; n < set->resources[i]->ref_count; n++)
            order->first[index_of(set, set->resources[i]->refs[n]) + 1]++;
    }
    for (size_t i = 0; i < set->count; i++)
        order->first[i + 1] += order->first[i];
    invariant(order->first[set->count] == total, "%zu references are %zu", order->first[set->count],
              total);
    memcpy(next, order->first, set->count * sizeof(*next));
    order->users = arena_array(arena, total, sizeof(*order->users));
    for (size_t i = 0; i < set->count; i++)
        for (size_t n = 0; n < set->resources[i]->ref_count; n++)
            order->users[next[index_of(set, set->resources[i]->refs[n])]++] = i;
}

/* Fills order.queue with the indices that can be ordered; those on or behind a
 * cycle keep a `missing` above 0. */
static struct order order_make(struct arena *arena, const struct set *set)
{
    struct order order = {.set = set};

    order.missing = arena_array(arena, set->count, sizeof(*order.missing));
    order.queue = arena_array(arena, set->count, sizeof(*order.queue));
    users_fill(arena, &order);
    for (size_t i = 0; i < set->count; i++)
        if (order.missing[i] == 0)
            order.queue[order.queued++] = i;
    for (size_t done = 0; done < order.queued; done++) {
        size_t at = order.queue[done];

        for (size_t n = order.first[at]; n < order.first[at + 1]; n++)
            if (--order.missing[order.users[n]] == 0)
                order.queue[order.queued++] = order.users[n];
    }
    invariant(order.queued <= set->count, "%zu of %zu resources are in order", order.queued,
              set->count);
    return order;
}

const struct resource **set_order(struct arena *arena, const struct set *set)
{
    const struct resource **ordered = arena_array(arena, set->count, sizeof(*ordered));
    struct order order = order_make(arena, set);
    size_t count = 0;

    for (size_t i = 0; i < order.queued; i++)
        ordered[count++] = set->resources[order.queue[i]];
    for (size_t i = 0; i < set->count; i++) /* an invalid set: nothing is lost */
        if (order.missing[i] > 0)
            ordered[count++] = set->resources[i];
    invariant(count == set->count, "%zu of %zu resources are ordered", count, set->count);
    return ordered;
}

/* The first reference of `at` that is itself on or behind a cycle. */
static size_t step_on(const struct order *order, size_t at)
{
    const struct resource *resource = order->set->resources[at];

    for (size_t n = 0; n < resource->ref_count; n++) {
        size_t next = index_of(order->set, resource->refs[n]);

        if (order->missing[next] > 0)
            return next;
    }
    invariant(false, "%s %s is left over, and all that it refers to is in order",
              resource->kind->name, resource->name);
    return at;
}

static void cycle_report(struct checker *checker, const struct order *order, size_t start)
{
    const struct resource *first = order->set->resources[start];
    char *links = resource_label(checker->arena, first);
    size_t at = start;

    do {
        at = step_on(order, at);
        links = arena_printf(checker->arena, "%s -> %s", links,
                             resource_label(checker->arena, order->set->resources[at]));
    } while (at != start);
    report_add(checker->report, first->at, "cycle", "references go in a circle: %s", links);
}

static void cycles_report(struct checker *checker, const struct set *set, struct order order)
{
    size_t *seen = arena_array(checker->arena, set->count, sizeof(*seen));

    for (size_t i = 0; i < set->count; i++) {
        size_t at = i;

        if (order.missing[i] == 0)
            continue;
        for (; seen[at] == 0; at = step_on(&order, at))
            seen[at] = i + 1;
        if (seen[at] == i + 1)
            cycle_report(checker, &order, at);
    }
}

void set_check_cycles(struct checker *checker, const struct set *set)
{
    struct arena *scratch = arena_new();
    struct order order = order_make(scratch, set);

    if (order.queued < set->count)
        cycles_report(checker, set, order);
    arena_free(scratch);
}
