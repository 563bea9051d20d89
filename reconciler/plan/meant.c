/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Records refer by name, and a name can pass to a new object while a record still has it for the
 * one that bore it before. The new one waits for the record (names_in_use() in match.c), and the
 * two differ in nothing by their text. So that nobody waits for ever, what the manifest says by
 * that name is first read as what the record means: the record gets that one's present name. The
 * new object is made then, and what the manifest means follows.
 */
#include <string.h>

#include "reconciler/plan/match.h"
#include "model/invariant.h"

struct meaning {
    struct arena *arena;
    const struct match *match;
    const char *project;
};

static const struct value *meant(const struct meaning *meaning, const struct field *field,
                                 const struct value *wanted, const struct value *had);

static const struct value *name_meant(const struct meaning *meaning, const struct field *field,
                                      const struct value *wanted, const struct value *had)
{
    const struct subject *subject =
        match_resolve(meaning->match, field->ref, meaning->project, wanted->text);

    if (!subject || strcmp(subject->name, wanted->text) == 0 || !value_is_text(had) ||
        match_resolve(meaning->match, field->ref, meaning->project, had->text) != subject)
        return wanted;
    return value_text(meaning->arena, subject->name);
}

static const struct value *map_meant(const struct meaning *meaning, const struct field *field,
                                     const struct value *wanted, const struct value *had)
{
    struct value *copy = NULL;

    for (size_t i = 0; i < wanted->pair_count; i++) {
        const char *key = wanted->pairs[i].key;
        const struct value *is =
            meant(meaning, field_child(field, key), wanted->pairs[i].value, value_get(had, key));

        if (is == wanted->pairs[i].value)
            continue;
        copy = copy ? copy : value_copy(meaning->arena, wanted);
        value_set(meaning->arena, copy, key, (struct value *)(size_t)is);
    }
    return copy ? copy : wanted;
}

static const struct value *element_of(const struct value *list, const char *key, const char *name)
{
    for (size_t i = 0; value_is_list(list) && i < list->count; i++)
        if (strcmp(value_get_text(list->items[i], key, ""), name) == 0)
            return list->items[i];
    return NULL;
}

static const struct value *list_meant(const struct meaning *meaning, const struct field *field,
                                      const struct value *wanted, const struct value *had)
{
    struct value *copy = NULL;

    for (size_t i = 0; field->list_key && i < wanted->count; i++) {
        const char *name = value_get_text(wanted->items[i], field->list_key, "");
        const struct value *is =
            meant(meaning, field->item, wanted->items[i], element_of(had, field->list_key, name));

        if (is == wanted->items[i])
            continue;
        copy = copy ? copy : value_copy(meaning->arena, wanted);
        copy->items[i] = (struct value *)(size_t)is;
    }
    return copy ? copy : wanted;
}

/* `wanted` itself if it says what is meant. */
static const struct value *meant(const struct meaning *meaning, const struct field *field,
                                 const struct value *wanted, const struct value *had)
{
    if (!field || !had)
        return wanted;
    if (field->ref && value_is_text(wanted))
        return name_meant(meaning, field, wanted, had);
    if (value_is_map(wanted))
        return map_meant(meaning, field, wanted, had);
    return value_is_list(wanted) ? list_meant(meaning, field, wanted, had) : wanted;
}

void match_keep_meaning(struct arena *arena, const struct match *match, struct subject *subject)
{
    struct meaning meaning = {arena, match, subject->project};
    const struct value *spec;

    invariant(match->has_names_in_use, "no name of %s means anything else", subject->name);
    if (!subject->known || !subject->resource)
        return;
    spec = meant(&meaning, subject->kind->spec, subject->spec, known_applied(subject->known));
    subject->keeps_meaning = spec != subject->spec;
    subject->spec = spec;
}
