/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A target that is taken by its part. While the rack is at rest, which is as its commit declares
 * and with nothing under way, only what the next commit concerns can have a step (part.h). That
 * part is checked, accepted, looked at and planned, and its steps are on their way before the rest
 * of the commit is read; the set of the whole follows when the next plan of the whole needs it,
 * which is once the steps have ended, or as soon as anything else happens.
 *
 *   at rest ──part_make──► accepted ──► its objects are looked at ──► plan ──► steps, as any
 *      │                                       │                       │
 *      └── the whole is accepted               └──── the whole is looked at, and planned
 *
 * A fast path: it takes what is surely simple, which is steps that change what is there, seen just
 * now to be as it was, and that all run. Anything else goes the way of the whole, from wherever it
 * is: what was written until then is what that writes, too. Nothing is remembered of it: a core
 * that starts loads the whole.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/text.h"

/* More objects than these are sooner listed than looked at one by one. */
enum { LOOKED_AT_MAX = 64 };

/* ---- may it be taken? --------------------------------------------------------------- */

static bool drivers_are_at_rest(const struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++) {
        const struct driver *driver = &core->drivers[i];
        if (driver->state != DRIVER_READY || !driver->is_listed)
            return false;
    }
    return true;
}

/* The last plan is of the whole, without a line, and nothing was written since. */
static bool plan_is_quiet(const struct core *core)
{
    const struct plan *plan = core->plan;
    return !plan->step_count && !plan->hold_count && !plan->unrecorded_count && !plan->unknown &&
           core->planned_write == core->writes;
}

bool core_is_at_rest(const struct core *core)
{
    return core->config.effects && core->set && core_is_settled(core) && core->is_converged &&
           plan_is_quiet(core) && drivers_are_at_rest(core) && !core->is_restored &&
           !core->expected_hash[0];
}

static bool has_row(const struct part *part, const struct resource *resource)
{
    for (size_t i = 0; i < part->row_count; i++) {
        const struct known *row = &part->rows[i];
        if (row->life == LIFE_LIVE && !strcmp(row->kind, resource->kind->name) &&
            !strcmp(row->name, resource->name) && !text_compare(row->project, resource->project))
            return true;
    }
    return false;
}

/* Else something is to be made: a list has to show first that it is not there under another uid. */
static bool has_all_rows(const struct part *part)
{
    bool has = part->set->count <= LOOKED_AT_MAX && part->row_count <= LOOKED_AT_MAX;
    for (size_t i = 0; has && i < part->set->count; i++)
        has = has_row(part, part->set->resources[i]);
    return has;
}

bool take_make(struct core *core, const char *commit, struct taken *taken)
{
    if (!core->env->part_make || !core_is_at_rest(core))
        return false;
    invariant(!core->taken.arena && !core->tasks, "a part is made while another is under way");
    const struct part_change change = {core->commit, commit, core->plan->resources};
    *taken = (struct taken){.arena = arena_new(),
                            .observed_at = core->plan->observed_at,
                            .live = (int64_t)core->plan->resources};
    if (!core->env->part_make(core->env->context, taken->arena, &change, &taken->part)) {
        arena_free(taken->arena);
        return false;
    }
    if (taken->part.row_count)
        qsort(taken->part.rows, taken->part.row_count, sizeof(struct known), plan_known_order);
    if (!has_all_rows(&taken->part) || !promises_find(taken)) {
        take_drop(core, taken);
        return false;
    }
    memcpy(taken->world, core->plan->world, sizeof taken->world);
    taken->is_looked = arena_array(taken->arena, taken->part.row_count + 1, sizeof(bool));
    return true;
}

void take_drop(struct core *core, struct taken *taken)
{
    if (!taken->arena)
        return;
    invariant(taken->round <= core->round.number, "a part waits for round %llu of %llu",
              (unsigned long long)taken->round, (unsigned long long)core->round.number);
    if (taken->round)
        round_abandon(core);
    core->env->part_free(core->env->context, &taken->part);
    arena_free(taken->arena);
    *taken = (struct taken){0};
}

static void take_give_up(struct core *core)
{
    take_drop(core, &core->taken);
    core->wants_full = true;
}

/* ---- the look ----------------------------------------------------------------------- */

static void objects_ask(struct core *core, struct driver *driver)
{
    const struct part *part = &core->taken.part;
    struct arena *arena = batch_arena(core);
    struct value *uids = value_list(arena);
    for (size_t i = 0; i < part->row_count; i++)
        if (driver_of_kind(core, part->rows[i].kind) == driver)
            value_append(arena, uids, value_text(arena, part->rows[i].uid));
    invariant(uids->count <= LOOKED_AT_MAX, "%zu objects of a part are looked at", uids->count);
    if (uids->count)
        round_ask(core, driver, uids);
}

void take_look(struct core *core)
{
    struct taken *taken = &core->taken;
    if (!taken->arena || taken->round)
        return;
    invariant(!core->round.is_active, "a part is taken while round %llu goes on",
              (unsigned long long)core->round.number);
    if (core->wants_full || core->wants_plan || core->coalesce_at_ms || core->is_stopping ||
        !drivers_are_at_rest(core)) {
        take_give_up(core);
        return;
    }
    round_open(core, false);
    core->round.detected_by = "plan";
    taken->round = core->round.number;
    for (size_t i = 0; i < core->config.driver_count; i++)
        objects_ask(core, &core->drivers[i]);
}

/* All that a plan is made of (the digest of the world is of less). A status is for people, and what
 * it tells of room and use may be another one at each look. */
static bool is_same_status(const struct value *was, const struct value *now)
{
    return value_equal(value_get(was, "bounds"), value_get(now, "bounds")) &&
           value_equal(value_get(was, "refs"), value_get(now, "refs")) &&
           value_equal(value_get(was, "foreign"), value_get(now, "foreign")) &&
           !strcmp(value_at_text(was, "exit.reason", ""), value_at_text(now, "exit.reason", ""));
}

static bool is_same(const struct known *row, const struct observation *now)
{
    const struct observation *was = &row->observed;
    return was->known && now->known && was->absent == now->absent &&
           was->released == now->released && was->epoch == now->epoch && now->epoch <= row->epoch &&
           value_equal(was->spec, now->spec) && value_equal(was->booted, now->booted) &&
           is_same_status(was->status, now->status) && value_equal(was->damage, now->damage);
}

bool take_note(struct core *core, const struct request *request, const char *uid,
               const struct observation *now)
{
    struct taken *taken = &core->taken;
    if (!taken->arena || request->round != taken->round)
        return false;
    for (size_t i = 0; i < taken->part.row_count; i++)
        if (strcmp(taken->part.rows[i].uid, uid) == 0)
            return taken->is_looked[i] = is_same(&taken->part.rows[i], now);
    return false;
}

/* ---- is it as it was? --------------------------------------------------------------- */

static bool rows_are_looked_at(struct core *core)
{
    const struct taken *taken = &core->taken;
    for (size_t i = 0; i < taken->part.row_count; i++) {
        const struct known *row = &taken->part.rows[i];
        if (driver_of_kind(core, row->kind) &&
            (!taken->is_looked[i] || seen_find(core, row->uid)->is_dirty))
            return false;
    }
    return true;
}

/* Its look has ended, and nothing else has happened since it was taken. */
static bool is_as_it_was(struct core *core)
{
    const struct taken *taken = &core->taken;
    const struct round *round = &core->round;
    return taken->round == round->number && !round->is_active && !round->is_overdue &&
           !core->coalesce_at_ms && drivers_are_at_rest(core) && !core->is_restored &&
           core->writes == taken->writes && rows_are_looked_at(core);
}

/* ---- is it simple? ------------------------------------------------------------------ */

static bool fields_are_simple(const struct step *step)
{
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition != RUN || step->fields[i].cause != CAUSE_PENDING)
            return false;
    return true;
}

/* It changes what is there, by its own name, and nobody is to be asked. */
static bool step_is_simple(const struct step *step)
{
    return (step->action == ACTION_UPDATE || step->action == ACTION_RESTART) &&
           step->disposition == RUN && step->cause == CAUSE_PENDING && !step->hold &&
           !step->renamed_from && fields_are_simple(step);
}

static bool plan_is_simple(struct core *core, const struct plan *plan,
                           const struct plan_input *input)
{
    bool is_simple =
        plan->step_count && !plan->unrecorded_count && !plan->unknown && !input->approved_count;
    for (size_t i = 0; is_simple && i < plan->step_count; i++)
        is_simple = step_is_simple(&plan->steps[i]);
    return is_simple && core->env->part_covers(core->env->context, &core->taken.part, plan);
}

/* One that is open was begun before the rack came to rest: the whole knows what became of it. */
static bool has_open_intents(struct core *core, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct intent *open = NULL;
    size_t count = 0;
    if (core->env->ledger->intents_open(core->env->store, arena, &open, &count, &err) < 0)
        core_fail(core, &err);
    return count > 0;
}

/* ---- the plan ----------------------------------------------------------------------- */

static const struct plan *part_plan(struct core *core, struct plan_input **input)
{
    const struct taken *taken = &core->taken;
    const struct part_world world = {taken->world, taken->observed_at, taken->live};
    if (!is_as_it_was(core) || has_open_intents(core, taken->arena))
        return NULL;
    *input = part_input_make(core, taken->arena, &taken->part, &world, core->commit);
    const struct plan *plan = *input ? plan_make(taken->arena, *input) : NULL;
    return plan && plan_is_simple(core, plan, *input) ? plan : NULL;
}

bool take_plan(struct core *core)
{
    struct taken *taken = &core->taken;
    struct plan_input *input = NULL;
    if (!taken->arena)
        return false;
    const struct plan *plan = part_plan(core, &input);
    if (!plan || core->failure.code) {
        take_give_up(core);
        return false;
    }
    invariant(taken->round && plan->step_count, "a part is planned that was not looked at");
    core->env->part_free(core->env->context, &taken->part);
    invariant(!core->plan_arena && !core->tasks, "a part is planned over another plan");
    core->plan_arena = taken->arena; /* which the plan lives in, with all that it is of */
    core->plan = plan;
    core->input = input;
    *taken = (struct taken){0};
    return true;
}
