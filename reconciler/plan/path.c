/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Setting one leaf of a spec by its path ("spec.disks[root].volume"), so that what
 * a driver is sent holds back the fields that are not to be carried out. Only
 * trees that were copied for this are written to.
 */
#include <assert.h>
#include <string.h>

#include "reconciler/plan/fields.h"

struct place {
    struct arena *arena;
    const char *rest;          /* of the path: "name", ".name", "[key]", ... */
    const struct value *value; /* NULL: take it out */
};

/* Cuts the next part off the path. */
static const char *next_part(struct place *place, bool *in_brackets)
{
    const char *from = place->rest;
    size_t len;

    *in_brackets = *from == '[';
    if (*from == '[' || *from == '.')
        from++;
    len = strcspn(from, *in_brackets ? "]" : ".[");
    place->rest = from + len + *in_brackets; /* past the closing one */
    return arena_text_n(place->arena, from, len);
}

static void put_in(struct place *place, const struct field *field, struct value *at);

static void put_in_map(struct place *place, const struct field *field, struct value *map,
                       const char *key)
{
    struct value *member = (struct value *)(size_t)value_get(map, key);

    if (*place->rest == '\0') {
        if (place->value)
            value_set(place->arena, map, key, value_copy(place->arena, place->value));
        else
            value_unset(map, key);
        return;
    }
    if (!member) {
        assert(place->value && "what neither has is no difference");
        assert(*place->rest == '.' && "a keyed list that is left out is an empty one");
        member = value_set(place->arena, map, key, value_map(place->arena));
    }
    put_in(place, field_child(field, key), member);
}

static const char *element_key(const struct field *field, const struct value *element)
{
    return value_get_text(element, field->list_key, "");
}

/* Keyed lists are ordered by key: the new element sinks to its place. */
static void insert_element(struct arena *arena, const struct field *field, struct value *list,
                           struct value *element)
{
    size_t i;

    value_append(arena, list, element);
    for (i = list->count - 1; i > 0; i--) {
        struct value *before = list->items[i - 1];

        if (strcmp(element_key(field, before), element_key(field, element)) <= 0)
            break;
        list->items[i] = before;
    }
    list->items[i] = element;
}

static void remove_element(struct value *list, size_t index)
{
    memmove(&list->items[index], &list->items[index + 1],
            (list->count - index - 1) * sizeof(list->items[0]));
    list->count--;
}

static void put_in_list(struct place *place, const struct field *field, struct value *list,
                        const char *key)
{
    size_t i = 0;

    assert(field->list_key);
    while (i < list->count && strcmp(element_key(field, list->items[i]), key) != 0)
        i++;
    if (*place->rest != '\0') {
        assert(i < list->count && "elements that only one side has differ as a whole");
        put_in(place, field->item, list->items[i]);
        return;
    }
    if (i < list->count)
        remove_element(list, i);
    if (place->value)
        insert_element(place->arena, field, list, value_copy(place->arena, place->value));
}

static void put_in(struct place *place, const struct field *field, struct value *at)
{
    bool in_brackets;
    const char *key = next_part(place, &in_brackets);

    if (value_is_map(at))
        put_in_map(place, field, at, key);
    else
        put_in_list(place, field, at, key);
}

struct value *spec_put(struct arena *arena, const struct kind *kind, struct value *spec,
                       const char *path, const struct value *value)
{
    struct place place = {arena, path, value};

    if (strncmp(path, "spec.", 5) != 0)
        return spec;
    place.rest += 5;
    put_in(&place, kind->spec, spec);
    return spec;
}
