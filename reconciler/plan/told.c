/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is seen of an object refers to others by the names that it was told. A driver that knows
 * more says by uid whom it means (status.refs, by path). Where such a name is another's by now,
 * what was seen is read by the name that the one that is meant bears now. A uid without a row says
 * nothing: its object may be one that nobody has listed yet.
 */
#include <stdlib.h>
#include <string.h>

#include "reconciler/plan/match.h"
#include "model/invariant.h"

#define ROOT "spec."

static int compare_uids(const void *left, const void *right)
{
    const struct subject *const *a = left, *const *b = right;

    return strcmp((*a)->known->uid, (*b)->known->uid);
}

/* Made when it is asked for, which is hardly ever. */
static void uids_index(struct arena *arena, struct match *match)
{
    match->by_uid = arena_array(arena, match->count + 1, sizeof(const struct subject *));
    for (size_t i = 0; i < match->count; i++)
        if (match->subjects[i].known)
            match->by_uid[match->uid_count++] = &match->subjects[i];
    qsort(match->by_uid, match->uid_count, sizeof(const struct subject *), compare_uids);
}

static const struct subject *subject_of_uid(struct arena *arena, struct match *match,
                                            const char *kind, const char *uid)
{
    const struct known known = {.uid = uid};
    const struct subject key = {.known = &known}, *wanted = &key;
    const struct subject **found;

    if (!match->by_uid)
        uids_index(arena, match);
    found = bsearch(&wanted, match->by_uid, match->uid_count, sizeof(const struct subject *),
                    compare_uids);
    return found && strcmp((*found)->kind->name, kind) == 0 ? *found : NULL;
}

/* What `name` is to be read as; NULL: as it stands. */
static const char *name_now(struct arena *arena, struct match *match, const char *kind,
                            const char *project, const char *name, const char *uid)
{
    const struct subject *found = match_resolve(match, kind, project, name);
    const struct subject *meant;

    if (found && found->known && strcmp(found->known->uid, uid) == 0)
        return NULL;
    meant = subject_of_uid(arena, match, kind, uid);
    return meant && match_resolve(match, kind, project, meant->name) == meant ? meant->name : NULL;
}

/* As name_now(), of the member of `seen` at a path that a driver has named. */
static const char *name_at(struct arena *arena, struct match *match, const struct subject *subject,
                           const struct value *seen, const char *path, const struct value *uid)
{
    const struct field *field = kind_field(subject->kind, path);
    bool is_member = strncmp(path, ROOT, sizeof(ROOT) - 1) == 0 && path[strlen(path) - 1] != ']';
    const struct value *name = is_member ? value_at(seen, path + sizeof(ROOT) - 1) : NULL;

    if (!field || !field->ref || !value_is_text(name) || !value_is_text(uid))
        return NULL;
    return name_now(arena, match, field->ref, subject->project, name->text, uid->text);
}

/* Of a path at which there is something. */
static void name_put(struct arena *arena, struct value *spec, const char *path, const char *name)
{
    const char *inside = path + sizeof(ROOT) - 1, *dot = strrchr(inside, '.');
    const struct value *map =
        dot ? value_at(spec, arena_text_n(arena, inside, (size_t)(dot - inside))) : spec;

    invariant(value_is_map(map) && name[0], "%s is read as '%s', and nothing is there", path, name);
    value_set_text(arena, (struct value *)(size_t)map, dot ? dot + 1 : inside, name);
}

static const struct value *spec_read(struct arena *arena, struct match *match,
                                     const struct subject *subject, const struct value *refs,
                                     const struct value *seen)
{
    struct value *copy = NULL;

    invariant(value_is_map(refs), "what %s %s refers to is of type %d", subject->kind->name,
              subject->name, (int)refs->type);
    for (size_t i = 0; i < refs->pair_count; i++) {
        const char *path = refs->pairs[i].key;
        const char *name = name_at(arena, match, subject, seen, path, refs->pairs[i].value);

        if (!name)
            continue;
        copy = copy ? copy : value_copy(arena, seen);
        name_put(arena, copy, path, name);
    }
    return copy ? copy : seen;
}

void match_read_told(struct arena *arena, struct match *match, struct subject *subject)
{
    const struct known *known = subject->known;
    const struct value *refs =
        known && known->observed.known ? value_get(known->observed.status, "refs") : NULL;
    const struct value *spec, *booted;
    struct known *row;

    if (!value_is_map(refs))
        return;
    spec = spec_read(arena, match, subject, refs, known->observed.spec);
    booted = spec_read(arena, match, subject, refs, known->observed.booted);
    if (spec == known->observed.spec && booted == known->observed.booted)
        return;
    row = arena_alloc(arena, sizeof(*row));
    *row = *known;
    invariant(row->observed.known && strcmp(row->uid, known->uid) == 0,
              "%s %s is read anew, and was not seen", subject->kind->name, subject->name);
    row->observed.spec = spec;
    row->observed.booted = booted;
    subject->known = row;
}
