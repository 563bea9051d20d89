/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Values are plain structs in an arena. Lists and maps grow by doubling and leave
 * their old arrays to the arena. Maps are arrays of pairs: those of a manifest
 * have a handful of keys, and their order is what people wrote.
 */
#include "model/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"

enum { LARGE = 1 << 20, VALUES_MAX = 1 << 17 };

static struct value *value_new(struct arena *arena, enum value_type type)
{
    struct value *value = arena_alloc(arena, sizeof(*value));

    value->type = type;
    return value;
}

struct value *value_null(struct arena *arena)
{
    return value_new(arena, VALUE_NULL);
}

struct value *value_bool(struct arena *arena, bool boolean)
{
    struct value *value = value_new(arena, VALUE_BOOL);

    value->boolean = boolean;
    return value;
}

struct value *value_int(struct arena *arena, int64_t integer)
{
    struct value *value = value_new(arena, VALUE_INT);

    value->integer = integer;
    return value;
}

struct value *value_text_n(struct arena *arena, const char *data, size_t len)
{
    struct value *value = value_new(arena, VALUE_STRING);

    invariant(data || len == 0, "%zu bytes of no text", len);
    value->text = arena_text_n(arena, data, len);
    value->text_len = len;
    return value;
}

struct value *value_text(struct arena *arena, const char *text)
{
    return text ? value_text_n(arena, text, strlen(text)) : value_null(arena);
}

struct value *value_printf(struct arena *arena, const char *fmt, ...)
{
    struct value *value = value_new(arena, VALUE_STRING);
    char *text;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    invariant(len >= 0, "'%s' cannot be printed", fmt);
    text = arena_alloc(arena, (size_t)len + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    value->text = text;
    value->text_len = (size_t)len;
    return value;
}

struct value *value_list(struct arena *arena)
{
    return value_new(arena, VALUE_LIST);
}

struct value *value_map(struct arena *arena)
{
    return value_new(arena, VALUE_MAP);
}

size_t value_count_max(size_t len)
{
    return len > LARGE ? len / 4 : VALUES_MAX;
}

static struct value *list_copy(struct arena *arena, const struct value *list)
{
    struct value *copy = value_list(arena);

    copy->items = arena_array(arena, list->count, sizeof(*copy->items));
    copy->room = copy->count = list->count;
    for (size_t i = 0; i < list->count; i++)
        copy->items[i] = value_copy(arena, list->items[i]);
    return copy;
}

static struct value *map_copy(struct arena *arena, const struct value *map)
{
    struct value *copy = value_map(arena);

    copy->pairs = arena_array(arena, map->pair_count, sizeof(*copy->pairs));
    copy->pair_room = copy->pair_count = map->pair_count;
    for (size_t i = 0; i < map->pair_count; i++) {
        copy->pairs[i].key = arena_text(arena, map->pairs[i].key);
        copy->pairs[i].at = map->pairs[i].at;
        copy->pairs[i].value = value_copy(arena, map->pairs[i].value);
    }
    return copy;
}

struct value *value_copy(struct arena *arena, const struct value *value)
{
    struct value *copy;

    if (!value)
        return value_null(arena);
    switch (value->type) {
    case VALUE_BOOL:
        copy = value_bool(arena, value->boolean);
        break;
    case VALUE_INT:
        copy = value_int(arena, value->integer);
        break;
    case VALUE_STRING:
        copy = value_text_n(arena, value->text, value->text_len);
        break;
    case VALUE_LIST:
        copy = list_copy(arena, value);
        break;
    case VALUE_MAP:
        copy = map_copy(arena, value);
        break;
    case VALUE_NULL:
    default:
        copy = value_null(arena);
        break;
    }
    copy->at = value->at;
    return copy;
}

struct value *value_append(struct arena *arena, struct value *list, struct value *item)
{
    invariant(list->type == VALUE_LIST, "an item is added to a value of type %d", list->type);
    invariant(item != list, "a list of %zu is put into itself", list->count);
    invariant(list->count <= list->room, "a list of %zu in room for %zu", list->count, list->room);
    if (!item)
        item = value_null(arena);
    if (list->count == list->room)
        list->items =
            arena_grow(arena, list->items, list->count, &list->room, sizeof(*list->items));
    list->items[list->count++] = item;
    return item;
}

struct value *value_push_owned(struct arena *arena, struct value *map, const char *key,
                               struct position at, struct value *item)
{
    invariant(map->type == VALUE_MAP, "%s is added to a value of type %d", key, map->type);
    invariant(key, "a pair of %zu has no key", map->pair_count);
    invariant(map->pair_count <= map->pair_room, "a map of %zu in room for %zu", map->pair_count,
              map->pair_room);
    if (!item)
        item = value_null(arena);
    if (map->pair_count == map->pair_room)
        map->pairs =
            arena_grow(arena, map->pairs, map->pair_count, &map->pair_room, sizeof(*map->pairs));
    map->pairs[map->pair_count++] = (struct pair){.key = key, .at = at, .value = item};
    return item;
}

struct value *value_push(struct arena *arena, struct value *map, const char *key,
                         struct value *item)
{
    return value_push_owned(arena, map, arena_text(arena, key), (struct position){0}, item);
}

static struct pair *map_pair(const struct value *map, const char *key)
{
    for (size_t i = 0; i < map->pair_count; i++)
        if (map->pairs[i].key[0] == key[0] && strcmp(map->pairs[i].key, key) == 0)
            return &map->pairs[i];
    return NULL;
}

struct value *value_set(struct arena *arena, struct value *map, const char *key, struct value *item)
{
    struct pair *pair;

    invariant(map->type == VALUE_MAP, "%s is set in a value of type %d", key, map->type);
    pair = map_pair(map, key);
    if (!pair)
        return value_push(arena, map, key, item);
    pair->value = item ? item : value_null(arena);
    return pair->value;
}

void value_unset(struct value *map, const char *key)
{
    struct pair *pair = map_pair(map, key);

    if (!pair)
        return;
    invariant(map->type == VALUE_MAP && map->pair_count > 0, "%s goes from where it is not", key);
    map->pair_count--;
    memmove(pair, pair + 1, (size_t)(map->pairs + map->pair_count - pair) * sizeof(*pair));
}

void value_set_text(struct arena *arena, struct value *map, const char *key, const char *text)
{
    value_set(arena, map, key, value_text(arena, text));
}

void value_set_int(struct arena *arena, struct value *map, const char *key, int64_t integer)
{
    value_set(arena, map, key, value_int(arena, integer));
}

void value_set_bool(struct arena *arena, struct value *map, const char *key, bool boolean)
{
    value_set(arena, map, key, value_bool(arena, boolean));
}

bool value_is_map(const struct value *value)
{
    return value && value->type == VALUE_MAP;
}

bool value_is_list(const struct value *value)
{
    return value && value->type == VALUE_LIST;
}

bool value_is_text(const struct value *value)
{
    return value && value->type == VALUE_STRING;
}

static bool list_equal(const struct value *a, const struct value *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!value_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

static int pair_compare(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

enum { FEW_PAIRS = 16 };

static struct pair *pairs_sorted(const struct value *map)
{
    struct pair *pairs = memory_need(malloc(map->pair_count * sizeof(*pairs)));

    memcpy(pairs, map->pairs, map->pair_count * sizeof(*pairs));
    qsort(pairs, map->pair_count, sizeof(*pairs), pair_compare);
    return pairs;
}

/* Of maps of one size in two orders. */
static bool sorted_equal(const struct value *a, const struct value *b)
{
    struct pair *left = pairs_sorted(a), *right = pairs_sorted(b);
    bool is_equal = true;

    for (size_t i = 0; is_equal && i < a->pair_count; i++)
        is_equal =
            strcmp(left[i].key, right[i].key) == 0 && value_equal(left[i].value, right[i].value);
    free(left);
    free(right);
    return is_equal;
}

static bool map_equal(const struct value *a, const struct value *b)
{
    if (a->pair_count != b->pair_count)
        return false;
    for (size_t i = 0; i < a->pair_count; i++) {
        const struct pair *other = &b->pairs[i];

        if (strcmp(a->pairs[i].key, other->key) != 0) {
            if (a->pair_count > FEW_PAIRS)
                return sorted_equal(a, b);
            other = map_pair(b, a->pairs[i].key);
        }
        if (!other || !value_equal(a->pairs[i].value, other->value))
            return false;
    }
    return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
    enum value_type type = a ? a->type : VALUE_NULL;

    if (a == b)
        return true;
    if (type != (b ? b->type : VALUE_NULL))
        return false;
    switch (type) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_STRING:
        return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    case VALUE_LIST:
        return list_equal(a, b);
    case VALUE_MAP:
        return map_equal(a, b);
    case VALUE_NULL:
    default:
        return true;
    }
}

void value_sort(struct value *value)
{
    if (value->type == VALUE_LIST) {
        for (size_t i = 0; i < value->count; i++)
            value_sort(value->items[i]);
    } else if (value->type == VALUE_MAP) {
        if (value->pair_count > 1)
            qsort(value->pairs, value->pair_count, sizeof(*value->pairs), pair_compare);
        for (size_t i = 0; i < value->pair_count; i++)
            value_sort(value->pairs[i].value);
    }
}
