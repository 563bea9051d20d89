/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Making a plan: match what is desired with what is known, make a step for each
 * that differs, order them, let the guard judge, count and hash. Pure: no clock,
 * no randomness, no input or output, no state between calls.
 */
#include <string.h>

#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/plan/check.h"
#include "reconciler/plan/guard.h"
#include "reconciler/plan/steps.h"

const char *action_text(enum action action)
{
    static const char *const texts[] = {
        [ACTION_NONE] = "none",       [ACTION_CREATE] = "create",   [ACTION_UPDATE] = "update",
        [ACTION_RESTART] = "restart", [ACTION_REPLACE] = "replace", [ACTION_DELETE] = "delete",
        [ACTION_ADOPT] = "adopt",     [ACTION_RELEASE] = "release",
    };

    invariant(action >= ACTION_NONE && action <= ACTION_RELEASE, "there is no action %d", action);
    return texts[action];
}

const char *cause_text(enum cause cause)
{
    return cause == CAUSE_PENDING ? "pending" : "drift";
}

const char *disposition_text(enum disposition disposition)
{
    static const char *const texts[] = {
        [RUN] = "run",           [DEFERRED] = "deferred", [HELD] = "held",
        [REPORTED] = "reported", [IGNORED] = "ignored",   [CONTESTED] = "contested",
        [FROZEN] = "frozen",
    };

    invariant(disposition >= RUN && disposition <= FROZEN, "there is no disposition %d",
              disposition);
    return texts[disposition];
}

static void add_unrecorded(struct arena *arena, struct plan *plan, const struct subject *subject)
{
    size_t count = plan->unrecorded_count;

    if ((count & (count - 1)) == 0) { /* 0 or full: it holds a power of two */
        struct unrecorded *items = arena_array(arena, count ? 2 * count : 1, sizeof(*items));

        if (count)
            memcpy(items, plan->unrecorded, count * sizeof(*items));
        plan->unrecorded = items;
    }
    plan->unrecorded[plan->unrecorded_count++] =
        (struct unrecorded){subject->known, subject->resource, subject->spec, subject->chosen};
}

static void make_steps(struct arena *arena, struct plan *plan)
{
    const struct match *match = plan->match;

    plan->steps = arena_array(arena, match->count + 1, sizeof(struct step));
    for (size_t i = 0; i < match->count; i++) {
        struct step *step = &plan->steps[plan->step_count];

        if (step_make(arena, match, &match->subjects[i], step))
            plan->step_count++;
        else if (step->is_unrecorded)
            add_unrecorded(arena, plan, &match->subjects[i]);
    }
    invariant(plan->step_count <= match->count, "%zu steps for %zu subjects", plan->step_count,
              match->count);
}

static const struct value *settled_spec(const struct step *step)
{
    if (step->action == ACTION_CREATE || step_removes(step))
        return NULL;
    return step->disposition == RUN ? step->spec : known_applied(step->known);
}

/* What others are told of an object is what it is, not what it was refused to become. */
static void settle_subjects(struct plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];

        invariant(step->subject >= plan->match->subjects &&
                      step->subject < plan->match->subjects + plan->match->count,
                  "step %u (%s) is of a subject of another plan", step->id, step->name);
        plan->match->subjects[step->subject - plan->match->subjects].settled = settled_spec(step);
    }
}

static void count_steps(struct plan *plan)
{
    size_t *const counters[] = {
        [RUN] = &plan->run,           [DEFERRED] = &plan->deferred, [HELD] = &plan->held,
        [REPORTED] = &plan->reported, [IGNORED] = &plan->reported,  [CONTESTED] = &plan->deferred,
        [FROZEN] = &plan->deferred,
    };

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];

        (*counters[step->disposition])++;
        if (!step->kind->is_derived)
            plan->action_counts[step->action]++;
    }
}

/* Of these a plan cannot say whether they are as declared, step or no step. */
static void count_unknown(struct plan *plan)
{
    for (size_t i = 0; i < plan->match->count; i++) {
        const struct subject *subject = &plan->match->subjects[i];

        plan->unknown += subject->resource && subject->known && subject->kind->driver &&
                         !subject->known->observed.known;
    }
}

/* ---- the whole ---------------------------------------------------------------------- */

const struct plan *plan_make(struct arena *arena, const struct plan_input *input)
{
    struct plan *plan = arena_alloc(arena, sizeof(*plan));

    invariant(input->set && input->commit && input->parent,
              "a plan of nothing: not even an empty set");
    plan->commit = input->commit;
    plan->parent = input->parent;
    plan->resources = input->set->declared;
    plan->match = match_make(arena, input);
    make_steps(arena, plan);
    steps_order(arena, plan);
    guard_judge(arena, input, plan);
    settle_subjects(plan);
    count_steps(plan);
    count_unknown(plan);
    world_digest(arena, input, plan);
    plan_digest(plan, plan->hash);
    plan_check(plan, input);
    invariant(plan->hash[0] && plan->world[0], "the plan for %s has no hash or no world",
              plan->commit);
    return plan;
}

const struct plan *plan_settled(struct arena *arena, const char *commit, const char *parent,
                                size_t resources, const char *world, int64_t observed_at)
{
    struct plan *plan = arena_alloc(arena, sizeof(*plan));

    invariant(commit && world && strlen(world) < sizeof(plan->world),
              "a settled plan without a commit or a world");
    plan->commit = arena_text(arena, commit);
    plan->parent = arena_text(arena, parent);
    plan->resources = resources;
    plan->observed_at = observed_at;
    strncpy(plan->world, world, sizeof(plan->world) - 1);
    plan_digest(plan, plan->hash);
    return plan;
}

int plan_exit(const struct plan *plan)
{
    if (plan->run)
        return 2;
    return plan->held ? 3 : 0;
}
