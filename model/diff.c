/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two normal specs side by side, led by the kind: maps field by field, keyed
 * lists by key, sets as a whole, everything else as a leaf. Because both sides
 * are normal, a leaf differs exactly if its value does.
 */
#include "model/diff.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/sort.h"
#include "model/unit.h"

struct differ {
    struct arena *arena;
    enum diff_mode mode;
    struct diff diff;
    size_t room;
};

/* Where the differ stands. Most of what is compared is equal, and its path is never written. */
struct path {
    const struct path *parent; /* NULL: the spec itself */
    const char *name;
    bool is_key; /* "[name]", else ".name" */
};

static void diff_values(struct differ *differ, const struct field *field, const struct path *path,
                        const struct value *from, const struct value *to);

static char *path_text(struct arena *arena, const struct path *path)
{
    if (!path->parent)
        return arena_text(arena, path->name);
    return arena_printf(arena, path->is_key ? "%s[%s]" : "%s.%s", path_text(arena, path->parent),
                        path->name);
}

static void difference_add(struct differ *differ, const struct field *field,
                           const struct path *path, const struct value *from,
                           const struct value *to)
{
    struct diff *diff = &differ->diff;

    invariant(field && (from || to), "a difference of nothing to nothing at %s", path->name);
    diff->items =
        arena_grow(differ->arena, diff->items, diff->count, &differ->room, sizeof(*diff->items));
    invariant(diff->count < differ->room, "difference %zu of %zu", diff->count, differ->room);
    diff->items[diff->count++] =
        (struct difference){path_text(differ->arena, path), field, from, to};
}

/* Null is the same as nothing. */
static const struct value *something(const struct value *value)
{
    return value && value->type != VALUE_NULL ? value : NULL;
}

static bool is_skipped(const struct differ *differ, const struct field *field,
                       const struct value *from, const struct value *to)
{
    if (field->origin == ORIGIN_OBSERVED)
        return true;
    if (field->origin == ORIGIN_CHOSEN && (!from || !to))
        return true;
    return differ->mode == DIFF_OBSERVED && !from;
}

static void diff_field(struct differ *differ, const struct field *field, const struct path *path,
                       const struct value *from, const struct value *to)
{
    from = something(from);
    to = something(to);
    if (!is_skipped(differ, field, from, to))
        diff_values(differ, field, path, from, to);
}

static void diff_map(struct differ *differ, const struct field *field, const struct path *path,
                     const struct value *from, const struct value *to)
{
    size_t before = differ->diff.count;

    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];

        const struct path at = {path, child->name, false};

        diff_field(differ, child, &at, value_get(from, child->name), value_get(to, child->name));
    }
    if (field->parent && differ->mode == DIFF_FULL && !from != !to && differ->diff.count == before)
        difference_add(differ, field, path, from, to);
}

/* "[key]" for keys that would not read back as one step of a path. */
static struct path open_path(const struct path *path, const char *key)
{
    return (struct path){path, key, key[strcspn(key, ".[]")] != '\0'};
}

/* Labels and the like: what one side has, key by key, in full in either mode. */
static void diff_open(struct differ *differ, const struct field *field, const struct path *path,
                      const struct value *from, const struct value *to)
{
    const struct field *item = field->item ? field->item : field;

    for (size_t i = 0; value_is_map(from) && i < from->pair_count; i++) {
        const char *key = from->pairs[i].key;
        const struct value *other = value_get(to, key);

        const struct path at = open_path(path, key);

        if (!value_equal(from->pairs[i].value, other))
            difference_add(differ, item, &at, from->pairs[i].value, something(other));
    }
    for (size_t i = 0; value_is_map(to) && i < to->pair_count; i++) {
        const char *key = to->pairs[i].key;

        const struct path at = open_path(path, key);

        if (!something(value_get(from, key)) && something(to->pairs[i].value))
            difference_add(differ, item, &at, NULL, to->pairs[i].value);
    }
}

static const char *key_of(const struct field *field, const struct value *element)
{
    return value_get_text(element, field->list_key, "");
}

static void diff_keyed(struct differ *differ, const struct field *field, const struct path *path,
                       const struct value *from, const struct value *to)
{
    invariant(field->list_key && field->item, "%s is no list by key", field->name);
    for (size_t i = 0; value_is_list(from) && i < from->count; i++) {
        const char *key = key_of(field, from->items[i]);
        const struct value *other = value_find_near(to, field->list_key, key, i);
        const struct path at = {path, key, true};

        if (other)
            diff_values(differ, field->item, &at, from->items[i], other);
        else
            difference_add(differ, field, &at, from->items[i], NULL);
    }
    for (size_t i = 0; value_is_list(to) && i < to->count; i++) {
        const char *key = key_of(field, to->items[i]);

        const struct path at = {path, key, true};

        if (!value_find_near(from, field->list_key, key, i))
            difference_add(differ, field, &at, NULL, to->items[i]);
    }
}

static const char **set_texts(struct arena *arena, const struct value *set)
{
    const char **texts = arena_array(arena, set->count, sizeof(*texts));

    for (size_t i = 0; i < set->count; i++) {
        struct value *copy = value_copy(arena, set->items[i]);

        value_sort(copy);
        texts[i] = json_text(arena, copy);
    }
    if (set->count > 1)
        qsort(texts, set->count, sizeof(const char *), text_order);
    return texts;
}

/* Sets that a driver reports may stand in any order. */
static bool set_equal(struct arena *arena, const struct value *a, const struct value *b)
{
    const char **x;
    const char **y;

    if (value_equal(a, b))
        return true;
    if (!value_is_list(a) || !value_is_list(b) || a->count != b->count)
        return false;
    x = set_texts(arena, a);
    y = set_texts(arena, b);
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(x[i], y[i]) != 0)
            return false;
    return true;
}

static void diff_leaf(struct differ *differ, const struct field *field, const struct path *path,
                      const struct value *from, const struct value *to)
{
    bool is_same = field->is_set ? set_equal(differ->arena, from, to) : value_equal(from, to);

    if (!is_same)
        difference_add(differ, field, path, from, to);
}

static bool both(bool (*is)(const struct value *), const struct value *a, const struct value *b)
{
    return (!a || is(a)) && (!b || is(b));
}

static void diff_values(struct differ *differ, const struct field *field, const struct path *path,
                        const struct value *from, const struct value *to)
{
    bool is_map = field->type == FIELD_MAP && both(value_is_map, from, to);
    bool is_keyed = field->list_key && both(value_is_list, from, to);

    if (is_map && field->is_open)
        diff_open(differ, field, path, from, to);
    else if (is_map)
        diff_map(differ, field, path, from, to);
    else if (is_keyed)
        diff_keyed(differ, field, path, from, to);
    else
        diff_leaf(differ, field, path, from, to);
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct difference *)a)->path, ((const struct difference *)b)->path);
}

struct diff diff_specs(struct arena *arena, const struct kind *kind, const struct value *from,
                       const struct value *to, enum diff_mode mode)
{
    struct differ differ = {.arena = arena, .mode = mode};
    const struct path path = {.name = "spec"};

    invariant(kind->spec && kind->spec->type == FIELD_MAP, "the spec of %s is no map", kind->name);
    invariant(mode == DIFF_FULL || mode == DIFF_OBSERVED, "specs are compared in mode %d", mode);
    diff_values(&differ, kind->spec, &path, something(from), something(to));
    if (differ.diff.count > 1)
        qsort(differ.diff.items, differ.diff.count, sizeof(*differ.diff.items), path_compare);
    return differ.diff;
}

static bool has_sensitive(const struct field *field)
{
    if (field->is_sensitive || (field->item && has_sensitive(field->item)))
        return true;
    for (size_t i = 0; i < field->field_count; i++)
        if (has_sensitive(field->fields[i]))
            return true;
    return false;
}

/* The value with every sensitive field inside it replaced by `mask`. */
static struct value *masked(struct arena *arena, const struct field *field,
                            const struct value *value, const struct value *mask)
{
    struct value *copy;

    if (field->is_sensitive)
        return value_copy(arena, mask);
    if (!has_sensitive(field))
        return value_copy(arena, value);
    if (value_is_list(value)) {
        copy = value_list(arena);
        for (size_t i = 0; i < value->count; i++)
            value_append(arena, copy, masked(arena, field->item, value->items[i], mask));
        return copy;
    }
    if (!value_is_map(value))
        return value_copy(arena, value);
    copy = value_map(arena);
    for (size_t i = 0; i < value->pair_count; i++) {
        const struct pair *pair = &value->pairs[i];
        const struct field *child = field_child(field, pair->key);

        value_push(arena, copy, pair->key,
                   child ? masked(arena, child, pair->value, mask)
                         : value_copy(arena, pair->value));
    }
    return copy;
}

/* A difference at an element of a keyed list or at an open map carries the field
 * of the whole; its value is the element. */
static const struct field *field_of(const struct field *field, const struct value *value)
{
    if (field && field->type == FIELD_LIST && value_is_map(value))
        return field->item;
    return field;
}

char *diff_value_text(struct arena *arena, const struct field *field, const struct value *value)
{
    char buf[UNIT_MAX_TEXT];

    value = something(value);
    field = field_of(field, value);
    if (!value)
        return arena_printf(arena, "nothing");
    if (field && field->is_sensitive)
        return arena_printf(arena, "(sensitive)");
    if (field && value->type == VALUE_INT && field->unit == UNIT_BYTES)
        return arena_printf(arena, "%s", size_text(value->integer, buf));
    if (field && value->type == VALUE_INT && field->unit == UNIT_SECONDS)
        return arena_printf(arena, "%s", duration_text(value->integer, buf));
    if (value->type == VALUE_STRING)
        return arena_text_n(arena, value->text, value->text_len);
    if (field)
        value = masked(arena, field, value, value_text(arena, "(sensitive)"));
    return json_text(arena, value);
}

struct value *diff_value_json(struct arena *arena, const struct field *field,
                              const struct value *value)
{
    struct value *mask;

    field = field_of(field, value);
    if (!field || !has_sensitive(field))
        return value_copy(arena, value);
    mask = value_map(arena);
    value_set_text(arena, mask, "sensitive", "changed");
    return masked(arena, field, value, mask);
}
