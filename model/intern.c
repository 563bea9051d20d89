/* SPDX-License-Identifier: MPL-2.0 */
/* Two open-addressing tables, one of texts and one of values, each at most half full. They are on
 * the heap: only what is kept lives as long as the arena. */
#include "model/intern.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/hash.h"
#include "model/invariant.h"

struct slot {
    uint64_t hash;
    const void *item; /* NULL: free */
};

struct table {
    struct slot *slots;
    size_t count;
    size_t room; /* a power of two, or 0 */
};

struct intern {
    struct arena *arena;
    struct table texts;
    struct table values;
};

typedef bool is_equal(const void *a, const void *b);

struct intern *intern_new(struct arena *arena)
{
    struct intern *intern = arena_alloc(arena, sizeof(*intern));

    intern->arena = arena;
    return intern;
}

void intern_close(struct intern *intern)
{
    free(intern->texts.slots);
    free(intern->values.slots);
    intern->texts = intern->values = (struct table){0};
}

/* ---- hashing and comparing ---------------------------------------------------------- */

static void text_add(struct hash *hash, const char *text, size_t len)
{
    hash_word(hash, len);
    hash_add(hash, text, len);
}

static void place_add(struct hash *hash, struct position at)
{
    hash_word(hash, (uint64_t)at.line << 32 | at.column);
}

/* Each part says its type and length first, so that no two values are the same words. */
static void value_add(struct hash *hash, const struct value *value)
{
    hash_word(hash, value->type);
    place_add(hash, value->at);
    switch (value->type) {
    case VALUE_BOOL:
        hash_word(hash, value->boolean);
        return;
    case VALUE_INT:
        hash_word(hash, (uint64_t)value->integer);
        return;
    case VALUE_STRING:
        text_add(hash, value->text, value->text_len);
        return;
    case VALUE_LIST:
        hash_word(hash, value->count);
        for (size_t i = 0; i < value->count; i++)
            value_add(hash, value->items[i]);
        return;
    case VALUE_MAP:
        hash_word(hash, value->pair_count);
        for (size_t i = 0; i < value->pair_count; i++) {
            text_add(hash, value->pairs[i].key, strlen(value->pairs[i].key));
            place_add(hash, value->pairs[i].at);
            value_add(hash, value->pairs[i].value);
        }
        return;
    case VALUE_NULL:
    default:
        return;
    }
}

static uint64_t value_hash(const struct value *value)
{
    struct hash hash = hash_begin(&hash_key_own);

    value_add(&hash, value);
    return hash_end(&hash);
}

static bool same_place(struct position a, struct position b)
{
    return a.line == b.line && a.column == b.column;
}

static bool text_is_equal(const void *a, const void *b)
{
    return strcmp(a, b) == 0;
}

static bool value_is_equal(const void *left, const void *right);

static bool lists_are_equal(const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (!value_is_equal(a->items[i], b->items[i]))
            return false;
    return a->count == b->count;
}

static bool maps_are_equal(const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < a->pair_count && i < b->pair_count; i++)
        if (strcmp(a->pairs[i].key, b->pairs[i].key) != 0 ||
            !same_place(a->pairs[i].at, b->pairs[i].at) ||
            !value_is_equal(a->pairs[i].value, b->pairs[i].value))
            return false;
    return a->pair_count == b->pair_count;
}

static bool value_is_equal(const void *left, const void *right)
{
    const struct value *a = left, *b = right;

    if (a->type != b->type || !same_place(a->at, b->at))
        return false;
    switch (a->type) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_STRING:
        return strcmp(a->text, b->text) == 0;
    case VALUE_LIST:
        return lists_are_equal(a, b);
    case VALUE_MAP:
        return maps_are_equal(a, b);
    case VALUE_NULL:
    default:
        return true;
    }
}

/* ---- the tables --------------------------------------------------------------------- */

static struct slot *slot_find(const struct table *table, uint64_t hash, const void *item,
                              is_equal *equal)
{
    size_t at = hash & (table->room - 1);

    invariant(table->count < table->room && (table->room & (table->room - 1)) == 0,
              "a table of %zu in room for %zu", table->count, table->room);
    for (;; at = (at + 1) & (table->room - 1)) {
        struct slot *slot = &table->slots[at];

        if (!slot->item || (slot->hash == hash && equal(slot->item, item)))
            return slot;
    }
}

static void table_grow(struct table *table)
{
    struct table bigger = {.count = table->count, .room = table->room ? 2 * table->room : 64};

    bigger.slots = memory_need(calloc(bigger.room, sizeof(*bigger.slots)));
    for (size_t i = 0; i < table->room; i++) {
        const struct slot *slot = &table->slots[i];
        size_t at = slot->hash & (bigger.room - 1);

        if (!slot->item)
            continue;
        while (bigger.slots[at].item)
            at = (at + 1) & (bigger.room - 1);
        bigger.slots[at] = *slot;
    }
    free(table->slots);
    *table = bigger;
}

/* The slot of an equal item, or a free one that is counted as taken. */
static struct slot *slot_take(struct table *table, uint64_t hash, const void *item, is_equal *equal)
{
    struct slot *slot;

    if (2 * table->count >= table->room)
        table_grow(table);
    slot = slot_find(table, hash, item, equal);
    if (!slot->item) {
        slot->hash = hash;
        table->count++;
    }
    return slot;
}

const char *intern_text(struct intern *intern, const char *text)
{
    struct slot *slot;

    if (!text)
        return NULL;
    slot = slot_take(&intern->texts, hash_text(text), text, text_is_equal);
    if (!slot->item)
        slot->item = arena_text(intern->arena, text);
    return slot->item;
}

const struct value *intern_value(struct intern *intern, const struct value *value)
{
    struct slot *slot = slot_take(&intern->values, value_hash(value), value, value_is_equal);

    if (!slot->item)
        slot->item = value_copy(intern->arena, value);
    return slot->item;
}
