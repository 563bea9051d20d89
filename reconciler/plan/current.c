/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One tree out of three: what an object is now. Each leaf is taken from where its
 * change class says the truth is: live fields from the observation, restart
 * fields from the record of how the running thing was booted (of what does not run: from
 * what is seen of it, with which it would start), metadata from what was applied last. What
 * a driver did not look at is taken to be as applied, once something was. The
 * difference of this tree to the desired one is then the whole difference. Leaves are
 * shared with where they come from.
 */
#include <string.h>

#include "model/invariant.h"
#include "reconciler/plan/fields.h"

struct sources {
    const struct value *applied;
    const struct value *observed;
    const struct value *booted; /* NULL if nothing runs */
    bool is_running, is_confirmed;
};

static struct value *current_of(struct arena *arena, const struct field *field,
                                struct sources from);

static const struct value *truth(const struct field *field, struct sources from)
{
    switch (field->change) {
    case CHANGE_METADATA:
        return from.applied;
    case CHANGE_RESTART:
        if (from.booted)
            return from.booted;
        if (from.applied && from.is_confirmed && (from.is_running || !from.observed))
            return from.applied;
        break;
    case CHANGE_LIVE:
    case CHANGE_LIVE_IF:
    case CHANGE_REPLACE:
    case CHANGE_REFUSE:
        break;
    }
    return from.observed || !from.is_confirmed ? from.observed : from.applied;
}

static struct sources sources_member(struct sources from, const char *key)
{
    return (struct sources){value_get(from.applied, key), value_get(from.observed, key),
                            value_get(from.booted, key), from.is_running, from.is_confirmed};
}

/* Of the element that is the i-th of one of them. */
static struct sources sources_element(struct sources from, const char *list_key, const char *name,
                                      size_t i)
{
    return (struct sources){value_find_near(from.applied, list_key, name, i),
                            value_find_near(from.observed, list_key, name, i),
                            value_find_near(from.booted, list_key, name, i), from.is_running,
                            from.is_confirmed};
}

static struct value *current_map(struct arena *arena, const struct field *field,
                                 struct sources from)
{
    struct value *map = value_map(arena);

    for (size_t i = 0; i < field->field_count; i++) {
        struct value *child =
            current_of(arena, field->fields[i], sources_member(from, field->fields[i]->name));

        if (child)
            value_set(arena, map, field->fields[i]->name, child);
    }
    return map;
}

static struct value *current_list(struct arena *arena, const struct field *field,
                                  struct sources from)
{
    const struct value *base = truth(field, from);
    struct value *list;

    invariant(field->item && field->item->type == FIELD_MAP,
              "%s is a list by key %s of what are no maps", field->name, field->list_key);
    if (!value_is_list(base))
        return NULL;
    list = value_list(arena);
    for (size_t i = 0; i < base->count; i++) {
        const char *name = value_get_text(base->items[i], field->list_key, NULL);
        struct value *element;

        if (!name)
            continue;
        invariant(field->list_key, "%s is a list without a key", field->name);
        element = current_map(arena, field->item, sources_element(from, field->list_key, name, i));
        value_set_text(arena, element, field->list_key, name);
        value_append(arena, list, element);
    }
    return list;
}

static struct value *current_of(struct arena *arena, const struct field *field, struct sources from)
{
    const struct value *leaf;

    if (field->type == FIELD_MAP && field->field_count > 0) {
        struct value *map = current_map(arena, field, from);

        return map->pair_count ? map : NULL;
    }
    if (field->list_key)
        return current_list(arena, field, from);
    leaf = truth(field, from);
    return leaf && leaf->type != VALUE_NULL ? (struct value *)(size_t)leaf : NULL;
}

const struct value *states_current(const struct states *states)
{
    struct sources from = {states->applied, states->observed,
                           states->is_running ? states->booted : NULL, states->is_running,
                           states->is_confirmed || !states->observed};

    invariant(states->subject->kind->spec->type == FIELD_MAP, "the spec of %s is no map",
              states->subject->kind->name);
    return current_of(states->arena, states->subject->kind->spec, from);
}
