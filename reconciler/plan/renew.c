/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Records refer by name, and a name can pass to a new object while a record still has it for the
 * one that bore it before. The new one waits for the record (names_in_use() in match.c), and the
 * two may differ in nothing by their text. So that nobody waits for ever, the record is brought up
 * to date first: in this plan its object is to have what it has, by present names. The next plan
 * finds the name free.
 */
#include "reconciler/plan/match.h"
#include "model/invariant.h"

struct renewal {
    struct arena *arena;
    const struct match *match;
    const char *project;
    const char *kind, *name; /* the last that passes on, of those met */
};

static const struct value *renewed(struct renewal *renewal, const struct field *field,
                                   const struct value *had);

static const struct value *map_renewed(struct renewal *renewal, const struct field *field,
                                       const struct value *had)
{
    struct value *copy = NULL;

    for (size_t i = 0; i < had->pair_count; i++) {
        const char *key = had->pairs[i].key;
        const struct value *is = renewed(renewal, field_child(field, key), had->pairs[i].value);

        if (is == had->pairs[i].value)
            continue;
        copy = copy ? copy : value_copy(renewal->arena, had);
        value_set(renewal->arena, copy, key, (struct value *)(size_t)is);
    }
    return copy ? copy : had;
}

static const struct value *list_renewed(struct renewal *renewal, const struct field *field,
                                        const struct value *had)
{
    struct value *copy = NULL;

    for (size_t i = 0; i < had->count; i++) {
        const struct value *is = renewed(renewal, field->item, had->items[i]);

        if (is == had->items[i])
            continue;
        copy = copy ? copy : value_copy(renewal->arena, had);
        copy->items[i] = (struct value *)(size_t)is;
    }
    return copy ? copy : had;
}

/* `had` itself if it has no name that passes on. */
static const struct value *renewed(struct renewal *renewal, const struct field *field,
                                   const struct value *had)
{
    const char *name;

    if (!field)
        return had;
    if (value_is_map(had))
        return map_renewed(renewal, field, had);
    if (value_is_list(had))
        return list_renewed(renewal, field, had);
    name = field->ref && value_is_text(had)
               ? match_present_name(renewal->match, field->ref, renewal->project, had->text)
               : NULL;
    if (!name)
        return had;
    renewal->kind = field->ref;
    renewal->name = had->text;
    return value_text(renewal->arena, name);
}

/* What a manifest says by a name that passes on cannot be done yet. */
static void wait_for_name(struct renewal *renewal, struct subject *subject)
{
    const struct subject *wanted;

    if (!subject->resource || subject->lacks ||
        renewed(renewal, subject->kind->spec, subject->spec) == subject->spec)
        return;
    wanted = match_wanted(renewal->match, renewal->kind, subject->project, renewal->name);
    invariant(wanted && wanted->lacks, "%s waits for %s, which waits for nobody", subject->name,
              renewal->name);
    subject->lacks = wanted->lacks;
    subject->lacks_until = wanted->lacks_until;
}

void match_renew(struct arena *arena, const struct match *match, struct subject *subject)
{
    const struct known *known = subject->known;
    struct renewal renewal = {.arena = arena, .match = match, .project = subject->project};
    const struct value *applied = known && subject->resource ? known_applied(known) : NULL;
    const struct value *spec = NULL;

    invariant(match->has_names_in_use, "no name of %s means anything else", subject->name);
    if (applied && !(known->observed.known && known->observed.absent)) {
        spec = renewed(&renewal, subject->kind->spec, applied);
        subject->is_renewed = spec != applied;
    }
    if (subject->is_renewed)
        subject->spec = spec;
    else
        wait_for_name(&renewal, subject);
}
