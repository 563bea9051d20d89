/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is seen of an object refers to others by the names that it was told. A driver that knows
 * more says by uid whom it means (status.refs, by path). Where such a name is another's by now,
 * what was seen is read by the name that the one that is meant bears now. A uid without a row says
 * nothing: its object may be one that nobody has listed yet.
 */
#include <string.h>

#include "reconciler/plan/match.h"

struct reading {
    struct arena *arena;
    const struct match *match;
    const char *project;
    const struct value *refs; /* path: uid */
    bool is_other;            /* a name is to be replaced, or was */
    bool writes;
};

/* Hardly ever asked for: linear. */
static const struct subject *subject_of_uid(const struct match *match, const char *kind,
                                            const char *uid)
{
    for (size_t i = 0; i < match->count; i++) {
        const struct subject *subject = &match->subjects[i];

        if (subject->known && strcmp(subject->known->uid, uid) == 0 &&
            strcmp(subject->kind->name, kind) == 0)
            return subject;
    }
    return NULL;
}

/* What `name` is to be read as; NULL: as it stands. */
static const char *name_now(const struct reading *reading, const char *kind, const char *name,
                            const char *uid)
{
    const struct subject *found = match_resolve(reading->match, kind, reading->project, name);
    const struct subject *meant;

    if (!uid || (found && found->known && strcmp(found->known->uid, uid) == 0))
        return NULL;
    meant = subject_of_uid(reading->match, kind, uid);
    return meant && match_resolve(reading->match, kind, reading->project, meant->name) == meant
               ? meant->name
               : NULL;
}

static void read_map(struct reading *reading, const struct field *field, struct value *map,
                     const char *path);

static void read_list(struct reading *reading, const struct field *field, struct value *list,
                      const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *key = value_get_text(list->items[i], field->list_key, NULL);

        if (key)
            read_map(reading, field->item, list->items[i],
                     arena_printf(reading->arena, "%s[%s]", path, key));
    }
}

static void read_map(struct reading *reading, const struct field *field, struct value *map,
                     const char *path)
{
    for (size_t i = 0; i < map->pair_count; i++) {
        const char *key = map->pairs[i].key;
        struct value *value = map->pairs[i].value;
        const struct field *child = field_child(field, key);
        const char *at = arena_printf(reading->arena, "%s.%s", path, key), *name;

        if (child && child->ref && value_is_text(value)) {
            name =
                name_now(reading, child->ref, value->text, value_get_text(reading->refs, at, NULL));
            reading->is_other |= name != NULL;
            if (name && reading->writes)
                value_set_text(reading->arena, map, key, name);
        } else if (child && value_is_map(value)) {
            read_map(reading, child, value, at);
        } else if (child && child->list_key && value_is_list(value)) {
            read_list(reading, child, value, at);
        }
    }
}

static const struct value *spec_read(struct reading reading, const struct field *spec,
                                     const struct value *seen)
{
    struct value *copy;

    if (!value_is_map(seen))
        return seen;
    read_map(&reading, spec, (struct value *)(size_t)seen, "spec");
    if (!reading.is_other)
        return seen;
    copy = value_copy(reading.arena, seen);
    reading.writes = true;
    read_map(&reading, spec, copy, "spec");
    return copy;
}

void match_read_told(struct arena *arena, struct match *match, struct subject *subject)
{
    const struct known *known = subject->known;
    const struct value *refs =
        known && known->observed.known ? value_get(known->observed.status, "refs") : NULL;
    struct reading reading = {
        .arena = arena, .match = match, .project = subject->project, .refs = refs};
    const struct value *spec, *booted;
    struct known *row;

    if (!value_is_map(refs) || refs->pair_count == 0)
        return;
    spec = spec_read(reading, subject->kind->spec, known->observed.spec);
    booted = spec_read(reading, subject->kind->spec, known->observed.booted);
    if (spec == known->observed.spec && booted == known->observed.booted)
        return;
    row = arena_alloc(arena, sizeof(*row));
    *row = *known;
    row->observed.spec = spec;
    row->observed.booted = booted;
    subject->known = row;
}
