/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What every finished plan keeps, said a second time and in other words than the code that
 * made it: a plan that breaks one of these is not carried out, the process ends. It looks at
 * steps and totals only, so it costs what the plan costs. Nothing here is about input; that
 * is what holds, reasons and dispositions are for.
 */
#include <stdlib.h>
#include <string.h>

#include "model/invariant.h"
#include "model/sort.h"
#include "reconciler/plan/check.h"
#include "reconciler/plan/steps.h"

static bool is_active(const struct plan_input *input, const char *what)
{
    for (size_t i = 0; i < input->freeze_count; i++) {
        const struct freeze *freeze = &input->freezes[i];

        if (strcmp(freeze->what, what) == 0 && (freeze->until == 0 || freeze->until > input->now))
            return true;
    }
    return false;
}

static bool is_approved(const struct plan_input *input, const char *hold)
{
    for (size_t i = 0; i < input->approved_count; i++)
        if (strcmp(input->approved[i], hold) == 0)
            return true;
    return false;
}

/* The ids of a plan's holds, sorted; heap. */
static const char **raised_sort(const struct plan *plan)
{
    const char **raised = memory_need(malloc((plan->hold_count + 1) * sizeof(*raised)));

    for (size_t i = 0; i < plan->hold_count; i++)
        raised[i] = plan->holds[i].id;
    qsort(raised, plan->hold_count, sizeof(*raised), text_order);
    return raised;
}

/* ---- one step ----------------------------------------------------------------------- */

static void check_shape(const struct step *step, unsigned id)
{
    invariant(step->id == id, "step %u stands at place %u", step->id, id);
    invariant(step->kind && step->name && step->uid && step->uid[0], "step %u is of nobody", id);
    invariant(step->action > ACTION_NONE && step->action <= ACTION_RELEASE, "%s has action %d",
              step->name, step->action);
    invariant(step->disposition >= RUN && step->disposition <= FROZEN, "%s has disposition %d",
              step->name, step->disposition);
    invariant(step->uid == step->subject->uid, "%s: step and subject have two uids", step->name);
    invariant(!step->known || strcmp(step->known->uid, step->uid) == 0,
              "%s: the row is of uid %s, the step of %s", step->name, step->known->uid, step->uid);
    invariant(!step->known || step->generation >= step->known->generation,
              "%s: generation goes back to %llu", step->name, (unsigned long long)step->generation);
    invariant((step->impact == CHANGE_REPLACE) == (step->action == ACTION_REPLACE),
              "%s: impact %d of %s", step->name, step->impact, action_text(step->action));
    invariant((step->impact == CHANGE_RESTART) == (step->action == ACTION_RESTART),
              "%s: impact %d of %s", step->name, step->impact, action_text(step->action));
}

static void check_action(const struct step *step)
{
    const char *action = action_text(step->action);

    invariant(step_removes(step) == !step->resource, "%s: %s of what is%s in Git", step->name,
              action, step->resource ? "" : " not");
    invariant(step->known || step->action == ACTION_CREATE, "%s: %s of what has no row", step->name,
              action);
    invariant(step->spec || step_removes(step), "%s: %s to nothing", step->name, action);
    invariant(!step->renamed_from || step->known, "%s: a new name of nothing", step->name);
    invariant(!step->is_destructive || step->action == ACTION_DELETE ||
                  step->action == ACTION_REPLACE,
              "%s: %s counts as destructive", step->name, action);
    invariant(step->action != ACTION_REPLACE || step->is_destructive,
              "%s: a replacement that costs nothing", step->name);
    invariant(step->action != ACTION_RESTART || strcmp(step->kind->name, "Instance") == 0,
              "%s: a %s is restarted", step->name, step->kind->name);
}

static void check_waits(const struct plan *plan, const struct step *step, bool is_report)
{
    for (size_t i = 0; i < step->after_count; i++) {
        unsigned id = step->after[i];

        invariant(id >= 1 && id < step->id, "step %u (%s) waits for %u", step->id, step->name, id);
        invariant(i == 0 || step->after[i - 1] < id, "step %u waits for %u twice", step->id, id);
        bool runs = plan->steps[id - 1].disposition == RUN;
        invariant(runs || step->disposition != RUN || !step->after_must[i],
                  "step %u (%s) runs without %u, which it needs", step->id, step->name, id);
        invariant(runs || step->after_must[i] || is_report,
                  "step %u (%s) waits for %u, which it does not need and which does not run",
                  step->id, step->name, id);
    }
}

static void check_hold(const char **raised, size_t count, const struct plan_input *input,
                       const struct step *step)
{
    invariant(step->disposition != HELD ||
                  (step->hold && bsearch(&step->hold, raised, count, sizeof(*raised), text_order)),
              "%s is held by nothing", step->name);
    invariant(step->disposition != HELD || step->reason, "%s is held without a reason", step->name);
    invariant(step->disposition != RUN || !step->hold || is_approved(input, step->hold),
              "%s runs under hold %s, which nobody approved", step->name, step->hold);
}

/* ---- one step that runs ------------------------------------------------------------- */

/* Nothing is done to what nobody looked at, what is not ours, or what others wrote to. */
static void check_seen(const struct step *step)
{
    const struct observation *seen = step->known ? &step->known->observed : NULL;
    const char *action = action_text(step->action);

    if (!seen || !step->kind->driver)
        return;
    invariant(seen->known, "%s: %s of what was not observed", step->name, action);
    invariant(!value_get_bool(seen->status, "foreign", false), "%s: %s of a foreign object",
              step->name, action);
    invariant(seen->absent || seen->epoch <= step->known->epoch || step->hold,
              "%s: %s over epoch %llu, with %llu on record and no approval", step->name, action,
              (unsigned long long)seen->epoch, (unsigned long long)step->known->epoch);
    invariant(step->action != ACTION_CREATE || seen->absent || step->known->life == LIFE_NEW,
              "%s: it is there and would be made again", step->name);
    invariant(!seen->absent || step->action == ACTION_CREATE || step_removes(step),
              "%s: %s of what is not there", step->name, action);
}

/* What was declared once to be worth more than a manifest's absence. */
static void check_data(const struct step *step)
{
    const struct known *known = step->known;
    bool ends = step->action == ACTION_DELETE || step->action == ACTION_REPLACE;

    if (!known || !ends)
        return;
    invariant(!known->protect, "%s is protected and would be %sd", step->name,
              action_text(step->action));
    invariant(step->action != ACTION_DELETE || !step->kind->holds_data || known->remove_deletes,
              "%s holds data that nobody gave up and would be deleted", step->name);
    invariant(!step->subject->is_twin, "%s is one of two and would be deleted", step->name);
}

static void check_frozen(const struct plan_input *input, const struct step *step)
{
    bool has_fields = step->action == ACTION_UPDATE || step->action == ACTION_RESTART;

    invariant(!is_active(input, "deletions") ||
                  !(step_removes(step) || step->action == ACTION_REPLACE),
              "%s: %s while deletions are frozen", step->name, action_text(step->action));
    for (size_t i = 0; has_fields && i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];
        const char *what = field->cause == CAUSE_DRIFT ? "healing" : "changes";

        invariant(field->disposition != RUN || !is_active(input, what),
                  "%s: %s would be set while %s are frozen", step->name, field->path, what);
    }
    invariant(has_fields || !is_active(input, step->cause == CAUSE_DRIFT ? "healing" : "changes"),
              "%s: %s for a cause that is frozen", step->name, action_text(step->action));
}

static void check_fields(const struct step *step)
{
    size_t runs = 0;

    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];

        runs += field->disposition == RUN;
        invariant(field->path && field->path[0], "%s: a field without a path", step->name);
        invariant(field->disposition != RUN || field->change != CHANGE_REPLACE ||
                      step->action == ACTION_REPLACE || step->action == ACTION_CREATE ||
                      step_removes(step),
                  "%s: %s asks for a replacement, and the step is %s", step->name, field->path,
                  action_text(step->action));
    }
    invariant(runs > 0 || step->action != ACTION_UPDATE || step->renamed_from,
              "%s: an update that changes nothing", step->name);
}

/* ---- the plan ----------------------------------------------------------------------- */

/* Of a kind, or of all kinds. False: nothing would be destroyed. */
static bool check_budget(const struct plan *plan, const struct plan_input *input, const char *kind)
{
    int64_t destroyed = 0, lately = 0, there = 0, allowed;

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];

        if (!kind || strcmp(step->kind->name, kind) == 0)
            destroyed += step->disposition == RUN && !step->hold && step->is_destructive;
    }
    if (destroyed == 0)
        return false;
    for (size_t i = 0; i < plan->match->count; i++) {
        const struct kind *its = plan->match->subjects[i].kind;
        const struct known *known = plan->match->subjects[i].known;

        if (its->driver && !its->is_derived && (!kind || strcmp(its->name, kind) == 0))
            there += known && known->life == LIFE_LIVE;
    }
    for (size_t i = 0; i < input->loss_count; i++)
        if (!kind || !*input->losses[i].kind || strcmp(input->losses[i].kind, kind) == 0) {
            lately += input->losses[i].count;
            there += input->losses[i].gone;
        }
    allowed = there * input->policy.budget_percent / 100;
    if (allowed < input->policy.budget_count)
        allowed = input->policy.budget_count;
    invariant(!input->was_over_budget, "%lld (%s) would be destroyed while others are held",
              (long long)destroyed, kind ? kind : "of all kinds");
    invariant(lately + destroyed <= allowed,
              "%lld (%s) would be destroyed after %lld in the last day; %lld are allowed",
              (long long)destroyed, kind ? kind : "of all kinds", (long long)lately,
              (long long)allowed);
    return true;
}

static void check_collapse(const struct plan *plan, const struct plan_input *input)
{
    int64_t gone = input->left, there = 0;

    for (size_t i = 0; i < plan->step_count; i++)
        gone += plan->steps[i].disposition == RUN && !plan->steps[i].hold &&
                step_leaves_git(&plan->steps[i]);
    if (gone == input->left)
        return;
    for (size_t i = 0; i < plan->match->count; i++) {
        const struct known *known = plan->match->subjects[i].known;

        there += known && known->life == LIFE_LIVE && !plan->match->subjects[i].kind->is_derived;
    }
    if (there < input->live)
        there = input->live;
    there += input->left;
    invariant(!input->was_collapsing, "%lld resources would go of a set whose collapse is held",
              (long long)(gone - input->left));
    invariant(gone * 100 <= there * input->policy.collapse_percent,
              "%lld of %lld resources would have gone in a day; %lld%% are allowed",
              (long long)gone, (long long)there, (long long)input->policy.collapse_percent);
}

/* The guard's rules on a whole revision, counted once more. */
static void check_limits(const struct plan *plan, const struct plan_input *input)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        bool is_free = step->disposition == RUN && !step->hold;

        invariant(!is_free || !step_leaves_git(step) || input->set->declared > 0,
                  "%s would go with a set that declares nothing", step->name);
    }
    check_collapse(plan, input);
    if (!check_budget(plan, input, NULL))
        return;
    for (size_t i = 0; i < count; i++)
        check_budget(plan, input, kinds[i]->name);
}

static void check_totals(const struct plan *plan, const struct plan_input *input)
{
    size_t held = 0;

    for (size_t i = 0; i < plan->hold_count; i++) {
        const struct hold *hold = &plan->holds[i];

        held += hold->steps;
        invariant(hold->id && hold->rule && hold->reason, "hold %zu says nothing", i);
    }
    invariant(held >= plan->held, "%zu steps are held by holds that count %zu", plan->held, held);
    invariant(plan->run + plan->deferred + plan->held + plan->reported == plan->step_count,
              "%zu + %zu + %zu + %zu are not %zu steps", plan->run, plan->deferred, plan->held,
              plan->reported, plan->step_count);
    invariant(!input->report_only || plan->run == 0,
              "%zu steps would run in a plan that only reports", plan->run);
    for (size_t i = 0; i < input->approved_count; i++)
        invariant(plan->approval_steps[i] <= plan->step_count, "an approval of %zu steps of %zu",
                  plan->approval_steps[i], plan->step_count);
}

void plan_check(const struct plan *plan, const struct plan_input *input)
{
    const char **raised = raised_sort(plan);

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];

        check_shape(step, (unsigned)i + 1);
        check_action(step);
        check_waits(plan, step, input->report_only);
        check_hold(raised, plan->hold_count, input, step);
        if (step->disposition != RUN)
            continue;
        check_seen(step);
        check_data(step);
        check_frozen(input, step);
        check_fields(step);
    }
    free(raised);
    check_limits(plan, input);
    check_totals(plan, input);
}
