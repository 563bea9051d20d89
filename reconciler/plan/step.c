/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One step for one subject. What is desired, what is recorded and what was seen
 * decide the action; nothing destructive or creating is planned from an
 * observation that is no observation. An update carries every difference with
 * its own disposition, and its spec holds back what is not to be carried out.
 */
#include <string.h>

#include "reconciler/plan/steps.h"
#include "model/invariant.h"

static bool is_instance(const struct step *step)
{
    return strcmp(step->kind->name, "Instance") == 0;
}

bool step_removes(const struct step *step)
{
    return step->action == ACTION_DELETE || step->action == ACTION_RELEASE;
}

bool step_leaves_git(const struct step *step)
{
    invariant(!step_removes(step) || step->known, "%s: %s of what has no row", step->name,
              action_text(step->action));
    return step_removes(step) && step->known->life == LIFE_LIVE && !step->kind->is_derived;
}

static bool is_update(const struct step *step)
{
    return step->action == ACTION_UPDATE || step->action == ACTION_RESTART ||
           step->action == ACTION_REPLACE;
}

void step_withhold(struct step *step, enum disposition disposition, const char *reason)
{
    invariant(disposition != RUN && reason, "%s is withheld for nothing", step->name);
    for (size_t i = 0; i < step->field_count; i++) {
        if (step->fields[i].disposition != RUN)
            continue;
        step->fields[i].disposition = disposition;
        if (is_update(step))
            step->fields[i].reason = reason;
    }
    step->disposition = disposition;
    step->reason = reason;
}

/* ---- settling ----------------------------------------------------------------------- */

/* What of an update is worth telling first when nothing of it runs. */
static const int weights[] = {[RUN] = 0,       [HELD] = 1,     [DEFERRED] = 2, [FROZEN] = 3,
                              [CONTESTED] = 4, [REPORTED] = 5, [IGNORED] = 6};

static void settle_disposition(struct step *step)
{
    invariant(step->field_count, "an update has fields");
    step->disposition = step->fields[0].disposition;
    for (size_t i = 1; i < step->field_count; i++)
        if (weights[step->fields[i].disposition] < weights[step->disposition])
            step->disposition = step->fields[i].disposition;
}

static void settle_action(struct step *step)
{
    step->action = ACTION_UPDATE;
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];

        if (field->disposition != RUN && field->disposition != HELD)
            continue;
        if (field->change == CHANGE_REPLACE)
            step->action = ACTION_REPLACE;
        else if (field->change == CHANGE_RESTART && is_instance(step) &&
                 step->action == ACTION_UPDATE)
            step->action = ACTION_RESTART;
    }
    step->is_destructive = step->action == ACTION_REPLACE;
    invariant(step->action != ACTION_RESTART || is_instance(step), "%s is no machine to restart",
              step->name);
}

static void settle_impact(struct step *step)
{
    step->impact = CHANGE_LIVE;
    if (step->action == ACTION_REPLACE)
        step->impact = CHANGE_REPLACE;
    else if (step->action == ACTION_RESTART)
        step->impact = CHANGE_RESTART;
}

static size_t count_cause(const struct step *step, enum cause cause, const char **path)
{
    size_t count = 0;

    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition == RUN && step->fields[i].cause == cause) {
            *path = step->fields[i].path;
            count++;
        }
    return count;
}

static const char *reason_not_run(const struct step *step)
{
    size_t i = 0;

    while (step->fields[i].disposition != step->disposition) {
        i++;
        invariant(i < step->field_count, "an update has the disposition of one of its fields");
    }
    return step->fields[i].reason;
}

static void settle_reason(struct arena *arena, struct step *step)
{
    const char *path = "";
    size_t pending = count_cause(step, CAUSE_PENDING, &path);
    size_t drift = count_cause(step, CAUSE_DRIFT, &path);

    if (step->disposition != RUN) {
        step->cause = step->fields[0].cause;
        step->reason = reason_not_run(step);
        return;
    }
    invariant(pending + drift > 0, "%s runs, and none of its fields does", step->name);
    step->cause = pending ? CAUSE_PENDING : CAUSE_DRIFT;
    if (step->renamed_from)
        step->reason = arena_printf(arena, "was %s; the same object moves", step->renamed_from);
    else if (pending && drift)
        step->reason =
            arena_printf(arena, "Git changed %zu of its fields, %zu drifted", pending, drift);
    else if (pending + drift == 1)
        step->reason = arena_printf(arena, pending ? "Git changed %s" : "%s drifted", path);
    else
        step->reason = arena_printf(
            arena, pending ? "Git changed %zu fields" : "%zu fields drifted", pending + drift);
}

/* Desired, but for the fields that are not to be carried out: they stay as applied, or as
 * they were seen if nothing was applied yet; what only grows stays as large as it is. */
static void settle_spec(struct arena *arena, struct step *step)
{
    const struct known *known = step->known;
    const struct value *kept = known_applied(known) ? known_applied(known) : known_observed(known);
    struct value *copy = NULL;

    step->spec = step->subject->spec;
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];

        if (field->disposition == RUN || !kept || !field->field)
            continue;
        if (!copy)
            copy = value_copy(arena, step->subject->spec);
        spec_put(arena, step->kind, copy, field->path,
                 field->field->grows_only && field->from ? field->from
                                                         : spec_at(kept, field->path));
    }
    invariant(!copy || kept, "%s keeps fields of nothing", step->name);
    if (copy)
        step->spec = copy;
}

void step_settle(struct arena *arena, struct step *step)
{
    if (is_update(step)) {
        settle_disposition(step);
        settle_action(step);
        if (step->disposition != HELD)
            settle_reason(arena, step);
        settle_spec(arena, step);
    } else if (step->action == ACTION_ADOPT) {
        settle_spec(arena, step);
    }
    settle_impact(step);
}

/* ---- making ------------------------------------------------------------------------- */

static uint64_t next_generation(const struct step *step)
{
    bool is_pending = false;

    invariant(!step->known || step->known->generation < INT64_MAX, "%s has had %llu forms",
              step->name, (unsigned long long)step->known->generation);
    if (!step->known || !step->known->generation)
        return 1;
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].cause == CAUSE_PENDING)
            is_pending = true;
    return step->known->generation + (is_pending && step->action != ACTION_CREATE ? 1 : 0);
}

static void take_fields(struct step *step, struct field_list list)
{
    step->fields = list.items;
    step->field_count = list.count;
}

static bool make_create(const struct states *states, struct step *step, enum cause cause,
                        const char *reason)
{
    step->action = ACTION_CREATE;
    step->cause = cause;
    step->reason = reason;
    invariant(step->resource && states->subject->spec, "%s would be made, and nothing says how",
              step->name);
    step->spec = states->subject->spec;
    take_fields(step, fields_new(states));
    for (size_t i = 0; i < step->field_count; i++)
        step->fields[i].cause = cause;
    if (states->subject->lacks)
        step_withhold(step, DEFERRED, states->subject->lacks);
    return true;
}

static bool make_adopt(const struct states *states, struct step *step, const char *reason)
{
    invariant(step->known, "%s would be adopted, and has no row", step->name);
    take_fields(step, fields_find(states));
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition == RUN) {
            step->fields[i].disposition = DEFERRED;
            step->fields[i].reason = "comes once it is adopted";
        }
    step->action = ACTION_ADOPT;
    step->cause = CAUSE_PENDING;
    step->reason = reason;
    return true;
}

/* Nobody could look: what Git moved is shown, and waits. */
static bool make_unseen(const struct states *states, struct step *step)
{
    struct field_list list = fields_unseen(states);

    if (list.count == 0)
        return false;
    step->action = ACTION_UPDATE;
    take_fields(step, list);
    step_withhold(step, DEFERRED, "not observed yet");
    return true;
}

/* A volume that a machine has open is grown by the machine's driver, which does nothing else:
 * names and policies go to the volume's own first. */
static void growth_wait(const struct states *states, struct field_list *list)
{
    struct plan_field *growth = NULL;
    size_t others = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].disposition != RUN)
            continue;
        if (strcmp(list->items[i].path, "spec.size") == 0)
            growth = &list->items[i];
        else
            others++;
    }
    if (!growth || !others || !states->subject->holder)
        return;
    growth->disposition = DEFERRED;
    growth->reason = "comes once the rest of it is done";
}

/* It is there, only nobody has confirmed it, and what is wanted has changed since in a way that to
 * create it once more would not bring about. */
static bool is_made_otherwise(const struct field_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].change == CHANGE_RESTART || list->items[i].change == CHANGE_REPLACE ||
            list->items[i].change == CHANGE_REFUSE)
            return true;
    return false;
}

static bool make_update(const struct states *states, struct step *step)
{
    struct field_list list = fields_find(states);

    step->is_unrecorded = list.count == 0 && list.is_unrecorded && !states->subject->lacks_until;
    if (list.count == 0)
        return false;
    if (step->known->life == LIFE_NEW && !is_made_otherwise(&list))
        return make_create(states, step, CAUSE_PENDING, "its creation was not finished");
    growth_wait(states, &list);
    step->action = ACTION_UPDATE;
    take_fields(step, list);
    if (states->subject->lacks && !states->subject->is_renewed)
        step_withhold(step, DEFERRED, states->subject->lacks);
    return true;
}

/* Kinds without a driver are what is recorded of them. */
static bool make_record(const struct states *states, struct step *step)
{
    struct field_list list;

    if (step->known->life != LIFE_LIVE)
        return make_create(states, step, CAUSE_PENDING, "it is not recorded yet");
    list = fields_unseen(states);
    step->action = ACTION_UPDATE;
    take_fields(step, list);
    return list.count > 0;
}

static bool make_absent(const struct states *states, struct step *step)
{
    enum disposition wanted = drift_disposition(states->subject->resource, "object");

    if (step->known->life == LIFE_NEW)
        return make_create(states, step, CAUSE_PENDING, "it does not exist yet");
    make_create(states, step, CAUSE_DRIFT, "it is gone");
    if (wanted != RUN)
        step_withhold(step, wanted,
                      wanted == IGNORED ? "it is gone, and driftPolicy is ignore"
                                        : "it is gone, and driftPolicy is report");
    return true;
}

static bool make_desired(const struct states *states, struct step *step)
{
    const struct known *known = step->known;
    const struct observation *seen = known ? &known->observed : NULL;

    if (!known)
        return make_create(states, step, CAUSE_PENDING, "it does not exist yet");
    if (!step->kind->driver)
        return make_record(states, step);
    if (!seen->known && known->life == LIFE_LIVE)
        return make_unseen(states, step);
    if (!seen->known) {
        make_create(states, step, CAUSE_PENDING, "");
        if (known->life == LIFE_RELEASED)
            step->action = ACTION_ADOPT;
        step_withhold(step, DEFERRED, "not observed yet");
        return true;
    }
    if (seen->absent)
        return make_absent(states, step);
    if (seen->epoch > known->epoch)
        return make_adopt(states, step, "another record of it wrote to it");
    if (known->life == LIFE_RELEASED || seen->released)
        return make_adopt(states, step, "it was released, and is wanted again");
    return make_update(states, step);
}

static bool make_left(struct step *step)
{
    const struct known *known = step->known;
    const struct observation *seen = &known->observed;
    bool is_there = seen->known && !seen->absent;

    invariant(!step->resource, "%s is declared, and would go", step->name);
    step->action = ACTION_DELETE;
    step->cause = CAUSE_PENDING;
    step->spec = known_applied(known);
    step->reason =
        known->life == LIFE_RELEASED ? "it was released, and is given up" : "its manifest left Git";
    if (step->subject->is_twin) {
        step_withhold(step, REPORTED, "another object has the same identity; remove one by hand");
        return true;
    }
    if (!step->kind->driver)
        return true;
    /* What a person has given up is not released once more; the guard holds what is protected.
     * Also what was seen to be absent is only released: it may be back by then. */
    if (known_was_released(known)) {
        step->action = ACTION_RELEASE;
        step->reason = "it was released, and does not say so; the data are kept";
    } else if (step->kind->holds_data && known->life != LIFE_RELEASED &&
               (!known->remove_deletes || known_protects(known))) {
        step->action = ACTION_RELEASE;
        step->reason = seen->known && seen->absent ? "its manifest left Git, and it is gone already"
                                                   : "its manifest left Git; the data are kept";
    } else if (seen->known && seen->absent) {
        step->reason = known->life == LIFE_RELEASED
                           ? "it is given up, in the trash too"
                           : "its manifest left Git, and it is gone already";
    }
    step->is_destructive = is_there && step->action == ACTION_DELETE && !step->kind->is_derived;
    invariant(!step->is_destructive || !step->kind->holds_data ||
                  (known->remove_deletes && !known->protect),
              "%s holds data, nobody gave it up, and it would be destroyed", step->name);
    if (!seen->known)
        step_withhold(step, DEFERRED, "not observed yet");
    return true;
}

bool step_make(struct arena *arena, const struct match *match, const struct subject *subject,
               struct step *step)
{
    struct states states;
    bool is_needed;

    *step = (struct step){.action = ACTION_NONE,
                          .disposition = RUN,
                          .kind = subject->kind,
                          .project = subject->project,
                          .name = subject->name,
                          .uid = subject->uid,
                          .resource = subject->resource,
                          .known = subject->known,
                          .chosen = subject->chosen,
                          .renamed_from = subject->renamed_from,
                          .subject = subject};
    if (subject->resource) {
        states = states_of(arena, match, subject);
        is_needed = make_desired(&states, step);
    } else {
        is_needed = make_left(step);
    }
    if (!is_needed)
        return false;
    step->generation = next_generation(step);
    step_settle(arena, step);
    return true;
}
