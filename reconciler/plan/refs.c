/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a spec refers to, by the kind's own x-ref fields: for objects that left the
 * set and so have no resolved resource, and for what an object still uses after a
 * step. An Instance refers to its NICs and its Seed by their derived names.
 */
#include <string.h>

#include "model/invariant.h"
#include "reconciler/plan/steps.h"

struct refs {
    struct arena *arena;
    const struct match *match;
    const char *project;
    struct subject_list list;
    size_t room;
};

static void add(struct refs *refs, const char *kind, const char *name)
{
    const struct subject *subject = match_resolve(refs->match, kind, refs->project, name);
    struct subject_list *list = &refs->list;
    invariant(list->count <= refs->room, "%zu references in room for %zu", list->count, refs->room);

    if (!subject)
        return;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == subject)
            return;
    list->items =
        arena_grow(refs->arena, list->items, list->count, &refs->room, sizeof(*list->items));
    invariant(list->count < refs->room, "reference %zu of %zu", list->count, refs->room);
    list->items[list->count++] = subject;
}

static void walk(struct refs *refs, const struct field *field, const struct value *value)
{
    if (!field || !value)
        return;
    if (field->ref && value_is_text(value))
        add(refs, field->ref, value->text);
    if (value_is_map(value))
        for (size_t i = 0; i < value->pair_count; i++)
            walk(refs, field_child(field, value->pairs[i].key), value->pairs[i].value);
    if (value_is_list(value))
        for (size_t i = 0; i < value->count; i++)
            walk(refs, field->item, value->items[i]);
}

static void add_derived(struct refs *refs, const char *instance, const struct value *spec)
{
    const struct value *nics = value_get(spec, "nics");

    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++) {
        const char *nic = value_get_text(nics->items[i], "name", NULL);

        if (nic)
            add(refs, "NIC", arena_printf(refs->arena, "%s.%s", instance, nic));
    }
    add(refs, "Seed", instance);
}

struct subject_list spec_refs(struct arena *arena, const struct match *match,
                              const struct kind *kind, const char *project, const char *name,
                              const struct value *spec)
{
    struct refs refs = {.arena = arena, .match = match, .project = project};

    invariant(kind->spec && name, "the references of a kind without a spec, or of nobody");
    walk(&refs, kind->spec, spec);
    if (spec && strcmp(kind->name, "Instance") == 0)
        add_derived(&refs, name, spec);
    return refs.list;
}
