/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Looking things up in values: by key, by path, by the name of a list's element.
 * A look-up that misses is an answer, not an error: NULL or the caller's fallback.
 */
#include <string.h>

#include "model/value.h"
#include "model/invariant.h"

static const struct value *get_n(const struct value *map, const char *key, size_t len)
{
    if (!value_is_map(map))
        return NULL;
    for (size_t i = 0; i < map->pair_count; i++)
        if ((len == 0 || map->pairs[i].key[0] == key[0]) &&
            strncmp(map->pairs[i].key, key, len) == 0 && map->pairs[i].key[len] == '\0')
            return map->pairs[i].value;
    return NULL;
}

const struct value *value_get(const struct value *map, const char *key)
{
    return get_n(map, key, strlen(key));
}

static bool text_is(const struct value *value, const char *text, size_t len)
{
    return value_is_text(value) && value->text_len == len && memcmp(value->text, text, len) == 0;
}

static const struct value *find_between(const struct value *list, const char *key, const char *name,
                                        size_t from, size_t to)
{
    size_t len = strlen(name);

    for (size_t i = from; i < to; i++)
        if (text_is(value_get(list->items[i], key), name, len))
            return list->items[i];
    return NULL;
}

const struct value *value_find(const struct value *list, const char *key, const char *name)
{
    return value_is_list(list) ? find_between(list, key, name, 0, list->count) : NULL;
}

const struct value *value_find_near(const struct value *list, const char *key, const char *name,
                                    size_t near)
{
    const struct value *found;

    if (!value_is_list(list))
        return NULL;
    near = near < list->count ? near : list->count;
    invariant(list->count == 0 || list->items, "a list of %zu has no items", list->count);
    found = find_between(list, key, name, near, list->count);
    return found ? found : find_between(list, key, name, 0, near);
}

/* The list's element whose "name", or else any text of its own, is `word`. */
static const struct value *find_named(const struct value *list, const char *word, size_t len)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_is(value_get(list->items[i], "name"), word, len) ||
            text_is(list->items[i], word, len))
            return list->items[i];
    return NULL;
}

static const struct value *find_indexed(const struct value *list, const char *word, size_t len)
{
    size_t index = 0;

    if (len == 0 || len > 9)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(word[i] - '0');
    }
    return index < list->count ? list->items[index] : NULL;
}

static const struct value *element(const struct value *of, const char *word, size_t len)
{
    const struct value *found;

    if (value_is_map(of))
        return get_n(of, word, len);
    if (!value_is_list(of))
        return NULL;
    found = find_named(of, word, len);
    return found ? found : find_indexed(of, word, len);
}

const struct value *value_at(const struct value *root, const char *path)
{
    while (root && *path) {
        if (*path == '[') {
            size_t len = strcspn(++path, "]");

            root = element(root, path, len);
            path += len;
            if (*path == ']')
                path++;
        } else {
            size_t len = strcspn(path, ".[");

            root = get_n(root, path, len);
            path += len;
        }
        if (*path == '.')
            path++;
    }
    return root;
}

static const char *text_or(const struct value *value, const char *fallback)
{
    return value_is_text(value) ? value->text : fallback;
}

static int64_t int_or(const struct value *value, int64_t fallback)
{
    return value && value->type == VALUE_INT ? value->integer : fallback;
}

static bool bool_or(const struct value *value, bool fallback)
{
    return value && value->type == VALUE_BOOL ? value->boolean : fallback;
}

const char *value_item_text(const struct value *list, size_t i)
{
    return text_or(list->items[i], "");
}

const char *value_get_text(const struct value *map, const char *key, const char *fallback)
{
    return text_or(value_get(map, key), fallback);
}

int64_t value_get_int(const struct value *map, const char *key, int64_t fallback)
{
    return int_or(value_get(map, key), fallback);
}

bool value_get_bool(const struct value *map, const char *key, bool fallback)
{
    return bool_or(value_get(map, key), fallback);
}

const char *value_at_text(const struct value *root, const char *path, const char *fallback)
{
    return text_or(value_at(root, path), fallback);
}

int64_t value_at_int(const struct value *root, const char *path, int64_t fallback)
{
    return int_or(value_at(root, path), fallback);
}

bool value_at_bool(const struct value *root, const char *path, bool fallback)
{
    return bool_or(value_at(root, path), fallback);
}
