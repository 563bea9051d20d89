/* SPDX-License-Identifier: MPL-2.0 */
/* Open addressing over numbers of rows, at most half of them taken. */
#include "model/packed.h"

#include <stdlib.h>
#include <string.h>
#include "model/hash.h"
#include "model/invariant.h"

enum { ROOM_FIRST = 64 };

static size_t slot_first(const struct packed *table, const void *key)
{
    return (size_t)hash_bytes(key, table->key_bytes) & (table->slot_count - 1);
}

void *packed_row(const struct packed *table, size_t i)
{
    invariant(i < table->count, "row %zu of %zu", i, table->count);
    return table->rows + i * table->row_bytes;
}

/* The slot that has the key, or the free one where it would be. */
static uint32_t *slot_of(const struct packed *table, const void *key)
{
    size_t at = slot_first(table, key);
    while (table->slots[at] &&
           memcmp(packed_row(table, table->slots[at] - 1), key, table->key_bytes) != 0)
        at = (at + 1) & (table->slot_count - 1);
    return &table->slots[at];
}

void *packed_find(const struct packed *table, const void *key)
{
    uint32_t number = table->count ? *slot_of(table, key) : 0;
    return number ? packed_row(table, number - 1) : NULL;
}

static void slots_grow(struct packed *table)
{
    free(table->slots);
    table->slot_count = table->slot_count ? 2 * table->slot_count : 2 * ROOM_FIRST;
    table->slots = memory_need(calloc(table->slot_count, sizeof(*table->slots)));
    for (size_t i = 0; i < table->count; i++)
        *slot_of(table, packed_row(table, i)) = (uint32_t)i + 1;
}

void *packed_add(struct packed *table, const void *key)
{
    invariant(table->key_bytes > 0 && table->key_bytes <= table->row_bytes,
              "rows of %zu bytes by keys of %zu", table->row_bytes, table->key_bytes);
    invariant(table->count < UINT32_MAX - 1, "a table of %zu rows", table->count);
    if (2 * (table->count + 1) > table->slot_count)
        slots_grow(table);
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : ROOM_FIRST;
        table->rows = memory_need(reallocarray(table->rows, table->room, table->row_bytes));
    }
    uint32_t *slot = slot_of(table, key);
    invariant(*slot == 0, "row %u has this key already", *slot);
    *slot = (uint32_t)++table->count;
    void *row = packed_row(table, table->count - 1);
    memset(row, 0, table->row_bytes);
    memcpy(row, key, table->key_bytes);
    return row;
}

void packed_clear(struct packed *table)
{
    free(table->rows);
    free(table->slots);
    table->rows = NULL;
    table->slots = NULL;
    table->count = table->room = table->slot_count = 0;
}
