/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The differences of one object. The one list that text, JSON, page, push output
 * and exit status come from starts here: what is current (current.c) against what
 * is desired, then labels, the name, and damage that the driver reports. Only what
 * was ever desired is compared: what a driver tells beyond that is no difference.
 */
#include <string.h>

#include "reconciler/plan/fields.h"
#include "model/invariant.h"

const struct value *spec_at(const struct value *spec, const char *path)
{
    invariant(strncmp(path, "spec.", 5) == 0, "%s is no path of a spec", path);
    return spec ? value_at(spec, path + 5) : NULL;
}

struct states states_of(struct arena *arena, const struct match *match,
                        const struct subject *subject)
{
    const struct known *known = subject->known;
    const uint8_t *key = match->input->seed;
    struct states states = {.arena = arena, .match = match, .subject = subject};

    states.desired = spec_redacted(arena, subject->kind, subject->spec, key);
    states.is_running = subject->is_running;
    if (!known)
        return states;
    states.applied = known_applied(known);
    states.is_confirmed = states.applied != NULL;
    if (!states.applied && known->life == LIFE_NEW)
        states.applied = states.desired;
    states.observed = spec_redacted(arena, subject->kind, known_observed(known), key);
    states.booted = spec_redacted(arena, subject->kind, known_booted(known), key);
    return states;
}

static struct plan_field *list_add(struct arena *arena, struct field_list *list)
{
    list->items = arena_grow(arena, list->items, list->count, &list->room, sizeof(*list->items));
    invariant(list->count < list->room, "field %zu of %zu", list->count, list->room);
    return &list->items[list->count++];
}

/* ---- what counts as a difference ---------------------------------------------------- */

static bool is_element(const char *path)
{
    invariant(path[0], "a difference at no path");
    return path[strlen(path) - 1] == ']';
}

static bool is_empty(const struct value *value)
{
    return !value || (value_is_list(value) && value->count == 0) ||
           (value_is_map(value) && value->pair_count == 0);
}

/* Nothing, an empty list and a field at its default mean the same. */
static bool means_same(const struct field *field, const struct value *a, const struct value *b)
{
    if (is_empty(a))
        return is_empty(b) || (field->fallback && value_equal(field->fallback, b));
    if (is_empty(b))
        return field->fallback && value_equal(field->fallback, a);
    return value_equal(a, b);
}

static bool was_never_desired(const struct states *states, const struct difference *difference)
{
    return !difference->to && !is_element(difference->path) &&
           !spec_at(states->applied, difference->path);
}

static enum cause cause_of(const struct states *states, const char *path)
{
    if (!states->is_confirmed)
        return CAUSE_PENDING;
    return value_equal(spec_at(states->applied, path), spec_at(states->desired, path))
               ? CAUSE_DRIFT
               : CAUSE_PENDING;
}

/* The means of a leaf are those of the nearest field above of the same class. */
static const char *means_of(const struct field *field)
{
    enum change change = field->change;

    for (; field && field->change == change; field = field->parent)
        if (field->means)
            return field->means;
    return NULL;
}

static void add_difference(const struct states *states, struct field_list *list,
                           const struct difference *difference)
{
    struct plan_field field;

    invariant(states->desired || states->subject->known, "%s is compared with nothing",
              states->subject->name);
    if (was_never_desired(states, difference) ||
        means_same(difference->field, difference->from, difference->to))
        return;
    invariant(difference->field && (difference->from || difference->to),
              "%s: a difference of nothing", difference->path);
    field = (struct plan_field){
        .path = difference->path,
        .field = difference->field,
        .from = difference->from,
        .to = difference->to,
        .change = difference->field->change,
        .cause = cause_of(states, difference->path),
        .means = means_of(difference->field),
    };
    invariant(field.cause == CAUSE_PENDING || states->is_confirmed,
              "%s of %s drifted, and never was", field.path, states->subject->name);
    if (field.cause == CAUSE_DRIFT && field_leads_to_same(states, &field))
        return; /* a record that still has the old name of what it means */
    field_judge(states, &field);
    if (states->subject->is_renewed && field.change != CHANGE_METADATA)
        return; /* for the next plan */
    *list_add(states->arena, list) = field;
}

static void add_specs(const struct states *states, struct field_list *list,
                      const struct value *from)
{
    struct diff diff =
        diff_specs(states->arena, states->subject->kind, from, states->desired, DIFF_FULL);

    for (size_t i = 0; i < diff.count; i++)
        add_difference(states, list, &diff.items[i]);
}

/* ---- beside the spec ---------------------------------------------------------------- */

static void add_metadata(const struct states *states, struct field_list *list, const char *path,
                         const struct value *from, const struct value *to)
{
    *list_add(states->arena, list) = (struct plan_field){
        .path = path,
        .from = is_empty(from) ? NULL : from,
        .to = is_empty(to) ? NULL : to,
        .change = CHANGE_METADATA,
        .cause = CAUSE_PENDING,
        .disposition = RUN,
    };
}

static void add_name_and_labels(const struct states *states, struct field_list *list)
{
    const struct subject *subject = states->subject;
    invariant(subject->known && subject->resource, "%s is compared, and is not on both sides",
              subject->name);
    const struct value *had = subject->known->labels;
    const struct value *wanted = subject->resource->labels;

    if (subject->renamed_from)
        add_metadata(states, list, "metadata.name",
                     value_text(states->arena, subject->renamed_from),
                     value_text(states->arena, subject->name));
    if (subject->kind->is_derived || (is_empty(had) && is_empty(wanted)))
        return;
    if (!value_equal(had, wanted))
        add_metadata(states, list, "metadata.labels", had, wanted);
}

static void add_damage(const struct states *states, struct field_list *list)
{
    const struct value *damage = states->subject->known->observed.damage;

    for (size_t i = 0; value_is_list(damage) && i < damage->count; i++) {
        const struct value *item = damage->items[i];
        struct plan_field *field = list_add(states->arena, list);

        *field = (struct plan_field){
            .path = value_get_text(item, "path", "status"),
            .from = value_get(item, "observed"),
            .to = value_get(item, "desired"),
            .change = CHANGE_LIVE,
            .cause = CAUSE_DRIFT,
        };
        field_judge(states, field);
    }
}

/* ---- lists -------------------------------------------------------------------------- */

static bool is_as_applied(const struct states *states)
{
    return value_equal(states->applied, states->desired);
}

/* With it all three states say the same: then what is current is what is desired, whichever of
 * them each field is taken from. The usual case, and the cheap one. */
static bool is_as_seen(const struct states *states)
{
    const struct value *booted = states->is_running ? states->booted : NULL;

    return value_equal(states->observed, states->desired) &&
           (!booted || value_equal(booted, states->desired));
}

/* A promise of a commit in between may be stricter than what was applied before and is again. */
static bool is_as_promised(const struct states *states)
{
    const struct known *known = states->subject->known;
    const struct value *spec = states->subject->spec;

    return !states->subject->kind->holds_data ||
           (known->protect == value_get_bool(spec, "protect", false) &&
            known->remove_deletes == spec_removes_data(spec));
}

struct field_list fields_find(const struct states *states)
{
    bool is_applied = is_as_applied(states);
    struct field_list list = {.is_unrecorded =
                                  !is_applied || !states->is_confirmed || !is_as_promised(states)};

    add_name_and_labels(states, &list);
    if (!is_applied || !is_as_seen(states))
        add_specs(states, &list, states_current(states));
    if (!states->subject->is_renewed)
        add_damage(states, &list);
    fields_settle(states, &list);
    return list;
}

struct field_list fields_unseen(const struct states *states)
{
    struct field_list list = {0};

    add_name_and_labels(states, &list);
    invariant(!states->observed, "%s was seen, and is judged unseen", states->subject->name);
    if (!is_as_applied(states))
        add_specs(states, &list, states->applied);
    fields_settle(states, &list);
    return list;
}

/* The differ leaves out what only one side has of what is chosen; in a new object it is
 * what people want to see. */
static void add_chosen(const struct states *states, struct field_list *list)
{
    const struct field *spec = states->subject->kind->spec;

    for (size_t i = 0; i < spec->field_count; i++) {
        const struct field *field = spec->fields[i];
        const struct value *value = value_get(states->desired, field->name);

        if (field->origin != ORIGIN_CHOSEN || is_empty(value))
            continue;
        *list_add(states->arena, list) = (struct plan_field){
            .path = arena_printf(states->arena, "spec.%s", field->name),
            .field = field,
            .to = value,
            .change = field->change,
            .cause = CAUSE_PENDING,
            .disposition = RUN,
            .reason = value_equal(value, value_get(states->subject->resource->spec, field->name))
                          ? NULL
                          : "chosen once, and kept",
        };
    }
}

struct field_list fields_new(const struct states *states)
{
    struct field_list list = {0};
    struct diff diff =
        diff_specs(states->arena, states->subject->kind, NULL, states->desired, DIFF_FULL);

    invariant(states->subject->resource, "%s is new, and is not declared", states->subject->name);
    for (size_t i = 0; i < diff.count; i++) {
        const struct difference *difference = &diff.items[i];

        if (is_empty(difference->to))
            continue;
        *list_add(states->arena, &list) = (struct plan_field){
            .path = difference->path,
            .field = difference->field,
            .to = difference->to,
            .change = difference->field->change,
            .cause = CAUSE_PENDING,
            .disposition = RUN,
        };
    }
    add_chosen(states, &list);
    return list;
}
