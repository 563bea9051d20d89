/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was last seen of each object, by uid: most of what a core holds at rest. A chained hash
 * table over a list in the order in which uids came, so that whoever walks it finds the same order
 * each time. What few objects have (a notice, a name that their row does not tell) stands apart.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/hash.h"
#include "model/invariant.h"

enum { SLOTS_FIRST = 64 };

static size_t slot_of(const struct seen_table *table, const char *uid)
{
    return (size_t)hash_text(uid) & (table->slot_count - 1);
}

static void chain_add(struct seen_table *table, struct seen *seen)
{
    struct seen **slot = &table->slots[slot_of(table, seen->uid)];
    seen->chained = *slot;
    *slot = seen;
}

static void table_grow(struct seen_table *table)
{
    free(table->slots);
    table->slot_count = table->slot_count ? 2 * table->slot_count : SLOTS_FIRST;
    table->slots = memory_need(calloc(table->slot_count, sizeof(struct seen *)));
    invariant((table->slot_count & (table->slot_count - 1)) == 0, "%zu slots for what was seen",
              table->slot_count);
    for (struct seen *seen = table->first; seen; seen = seen->next)
        chain_add(table, seen);
}

struct seen *seen_find(struct core *core, const char *uid)
{
    const struct seen_table *table = &core->seen;
    struct seen *seen = table->count ? table->slots[slot_of(table, uid)] : NULL;
    invariant(table->count <= table->slot_count, "%zu objects in %zu slots", table->count,
              table->slot_count);
    while (seen && strcmp(seen->uid, uid) != 0)
        seen = seen->chained;
    return seen;
}

static struct seen *seen_new(struct seen_table *table)
{
    struct seen *seen = table->spare;
    if (!table->arena)
        table->arena = arena_new();
    if (!seen)
        return arena_alloc(table->arena, sizeof *seen);
    table->spare = seen->next;
    *seen = (struct seen){0};
    return seen;
}

struct seen *seen_add(struct core *core, const char *uid)
{
    struct seen_table *table = &core->seen;
    struct seen *seen = seen_new(table);
    invariant(uid[0] && strlen(uid) < sizeof seen->uid, "an object of uid '%.80s'", uid);
    if (table->count == table->slot_count)
        table_grow(table);
    strncpy(seen->uid, uid, sizeof seen->uid - 1);
    chain_add(table, seen);
    seen->prev = table->last;
    *(table->last ? &table->last->next : &table->first) = seen;
    table->last = seen;
    table->count++;
    invariant(!seen->next && !seen->has_row, "%s is new, and something is known of it", uid);
    return seen;
}

/* What it owns. */
static void seen_release(struct seen *seen)
{
    if (seen->rare) {
        free(seen->rare->why);
        free(seen->rare->identity);
        free(seen->rare);
    }
    free(seen->etag);
}

void seen_drop(struct core *core, struct seen *seen)
{
    struct seen_table *table = &core->seen;
    struct seen **at = &table->slots[slot_of(table, seen->uid)];
    while (*at != seen) {
        invariant(*at, "%s was seen, and is not in its chain", seen->uid);
        at = &(*at)->chained;
    }
    *at = seen->chained;
    invariant(table->count > 0 && (table->count > 1) == (table->first != table->last),
              "%s is dropped from %zu objects", seen->uid, table->count);
    *(seen->prev ? &seen->prev->next : &table->first) = seen->next;
    *(seen->next ? &seen->next->prev : &table->last) = seen->prev;
    table->count--;
    seen_release(seen);
    seen->next = table->spare;
    table->spare = seen;
}

void seen_clear(struct core *core)
{
    for (struct seen *seen = core->seen.first; seen; seen = seen->next)
        seen_release(seen);
    arena_free(core->seen.arena);
    free(core->seen.slots);
    core->seen = (struct seen_table){0};
}

const struct seen_rare *seen_rare(const struct seen *seen)
{
    static const struct seen_rare nothing;
    return seen->rare ? seen->rare : &nothing;
}

struct seen_rare *seen_rare_set(struct seen *seen)
{
    if (!seen->rare)
        seen->rare = memory_need(calloc(1, sizeof *seen->rare));
    return seen->rare;
}
