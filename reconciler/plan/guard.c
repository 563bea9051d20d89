/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The guard. Each rule looks at the plan in turn and holds what must not happen
 * without a person; what a rule holds, later rules leave alone. A hold that is
 * about one step has an id of that step; a hold that is about a whole revision
 * (collapse, budget) has an id of the revision and the rule, so that an approval
 * stays good while the approved steps are carried out one after the other. Once
 * they have ended, the core takes the approval back: the next time asks again.
 */
#include <stdlib.h>
#include <string.h>

#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/plan/guard.h"
#include "reconciler/plan/policy.h"
#include "reconciler/plan/steps.h"

enum { HOLD_ID_TEXT = 17, APPROVALS_ROOM = 8192 };

#define STILL_HELD "; what was held stays so until you approve it or take it back"

struct guard {
    struct arena *arena;
    const struct plan_input *input;
    struct plan *plan;
    size_t hold_room;
    bool *is_cleared; /* of each step: a person approved a rule on the whole revision */
    int64_t baseline;
};

static bool would_happen(const struct step *step)
{
    return step->disposition == RUN || step->disposition == DEFERRED;
}

/* ---- holds -------------------------------------------------------------------------- */

/* Who writes commits must not know it beforehand: two with the same one would share an approval. */
static const char *hold_id(const struct guard *guard, const char *rule, const struct step *step)
{
    struct value *about = value_list(guard->arena);
    const uint8_t *seed = guard->input->seed;
    struct text text = TEXT_INIT;
    char digest[DIGEST_TEXT];

    value_append(guard->arena, about, value_text(guard->arena, guard->input->commit));
    value_append(guard->arena, about, value_text(guard->arena, rule));
    if (step) {
        value_append(guard->arena, about, value_text(guard->arena, step->uid));
        value_append(guard->arena, about, value_text(guard->arena, action_text(step->action)));
    }
    json_write_canonical(&text, about);
    digest_keyed(seed, sizeof(guard->input->seed), text.data, text.len, digest);
    text_free(&text);
    return arena_text_n(guard->arena, digest, HOLD_ID_TEXT - 1);
}

/* Where the approval counts the steps that it lets through; NULL if there is none. */
static size_t *find_approval(const struct guard *guard, const char *id)
{
    for (size_t i = 0; i < guard->input->approved_count; i++)
        if (strcmp(guard->input->approved[i], id) == 0)
            return &guard->plan->approval_steps[i];
    return NULL;
}

static struct hold *hold_add(struct guard *guard, const char *id, const char *rule,
                             const char *reason, bool approvable)
{
    struct plan *plan = guard->plan;

    invariant(id && id[0] && rule && reason, "a hold without an id, a rule or a reason: %s",
              rule ? rule : "");
    plan->holds = arena_grow(guard->arena, plan->holds, plan->hold_count, &guard->hold_room,
                             sizeof(*plan->holds));
    plan->holds[plan->hold_count] = (struct hold){id, rule, reason, 0, approvable};
    return &plan->holds[plan->hold_count++];
}

static void hold_step(struct step *step, const struct hold *hold)
{
    invariant(would_happen(step), "%s is held by %s, and would not happen: it is %s", step->name,
              hold->rule, disposition_text(step->disposition));
    step_withhold(step, HELD, hold->reason);
    step->hold = hold->id;
}

/* ---- rules about one step ----------------------------------------------------------- */

static const char *why_foreign(const struct guard *guard, const struct step *step)
{
    const struct value *status = step->known ? step->known->observed.status : NULL;

    (void)guard;
    return value_get_bool(status, "foreign", false)
               ? "what is there does not carry our tag; it is never touched"
               : NULL;
}

static const char *why_epoch(const struct guard *guard, const struct step *step)
{
    const struct known *known = step->known;

    if (!known || !known->observed.known || known->observed.absent ||
        known->observed.epoch <= known->epoch)
        return NULL;
    return arena_printf(guard->arena,
                        "the object has seen epoch %llu, the store only %llu: was the store "
                        "restored, or does another daemon write?",
                        (unsigned long long)known->observed.epoch,
                        (unsigned long long)known->epoch);
}

static const char *why_lost(const struct guard *guard, const struct step *step)
{
    (void)guard;
    if (step->action != ACTION_CREATE || !step->kind->holds_data || !step->known ||
        step->known->life == LIFE_NEW)
        return NULL;
    return "its data are gone; making it again gives an empty one in their place";
}

static const char *why_protected(const struct guard *guard, const struct step *step)
{
    (void)guard;
    if (!step->known || !known_protects(step->known))
        return NULL;
    if (step->action != ACTION_DELETE && step->action != ACTION_REPLACE)
        return NULL;
    return "it is protected: lift protect in one commit, remove it in a later one";
}

/* A commit promised that it becomes another, which has an object of its own. */
static const char *why_renamed(const struct guard *guard, const struct step *step)
{
    const struct known *known = step->known;
    const char *becomes = known ? value_get_text(known->chosen, "becomes", NULL) : NULL;

    if (!becomes || step->action != ACTION_DELETE || !step->kind->holds_data ||
        !set_find(guard->input->set, known->kind, known->project, becomes))
        return NULL;
    return arena_printf(guard->arena,
                        "a commit renamed it to %s, which was declared before and has an object of "
                        "its own; its data would be destroyed, not moved",
                        becomes);
}

static const struct {
    const char *rule;
    bool approvable;
    const char *(*why)(const struct guard *guard, const struct step *step);
} step_rules[] = {
    {RULE_OWNERSHIP, false, why_foreign}, {"epoch", true, why_epoch},
    {"lost-data", true, why_lost},        {RULE_PROTECT, false, why_protected},
    {RULE_RENAMED, true, why_renamed},
};

static void judge_step(struct guard *guard, struct step *step)
{
    for (size_t r = 0; r < sizeof(step_rules) / sizeof(*step_rules); r++) {
        const char *reason = step_rules[r].why(guard, step);
        size_t *approval;
        const char *id;

        if (!reason)
            continue;
        id = hold_id(guard, step_rules[r].rule, step);
        approval = step_rules[r].approvable ? find_approval(guard, id) : NULL;
        if (approval) {
            step->hold = id;
            ++*approval;
            guard->plan->approval_ends[approval - guard->plan->approval_steps] = true;
            continue;
        }
        hold_step(step, hold_add(guard, id, step_rules[r].rule, reason, step_rules[r].approvable));
        return;
    }
}

static const size_t *approval_of(const struct guard *guard, const char *rule)
{
    return find_approval(guard, hold_id(guard, rule, NULL));
}

static void approval_wait(const struct guard *guard, const size_t *approval)
{
    if (approval)
        guard->plan->approval_waits[approval - guard->plan->approval_steps] = true;
}

static void approvals_of_one_wait(const struct guard *guard, const char *uid)
{
    struct arena *scratch = arena_new_sized(APPROVALS_ROOM);
    struct guard one = *guard;
    struct step step = {.uid = uid};

    one.arena = scratch;
    for (size_t r = 0; r < sizeof(step_rules) / sizeof(*step_rules); r++)
        for (step.action = ACTION_CREATE; step.action <= ACTION_RELEASE; step.action++)
            if (step_rules[r].approvable)
                approval_wait(&one, find_approval(&one, hold_id(&one, step_rules[r].rule, &step)));
    arena_free(scratch);
}

/* One that lets nothing through in this plan: it is used up, or waits. */
static bool has_idle_approval(const struct guard *guard)
{
    for (size_t i = 0; i < guard->input->approved_count; i++)
        if (!guard->plan->approval_steps[i])
            return true;
    return false;
}

/* Of what nobody can look at it is not known whether what was let through is still to be done. */
static void approvals_wait(const struct guard *guard)
{
    const struct match *match = guard->plan->match;
    bool is_idle = has_idle_approval(guard);

    for (size_t i = 0; is_idle && i < match->count; i++) {
        const struct subject *subject = &match->subjects[i];

        if (!subject->known || !subject->kind->driver || subject->known->observed.known)
            continue;
        approvals_of_one_wait(guard, subject->uid);
        if (subject_may_be_replaced(subject))
            approval_wait(guard, approval_of(guard, RULE_BUDGET));
    }
}

static void judge_steps(struct guard *guard)
{
    for (size_t i = 0; i < guard->plan->step_count; i++)
        if (would_happen(&guard->plan->steps[i]))
            judge_step(guard, &guard->plan->steps[i]);
}

/* ---- rules about the whole revision ------------------------------------------------- */

/* What other rules hold is gone from Git all the same. */
static bool is_gone_from_git(const struct step *step)
{
    return step_leaves_git(step) && step->disposition != REPORTED;
}

static bool is_removal(const struct step *step)
{
    return step_removes(step) && step->known->life != LIFE_RELEASED && would_happen(step);
}

static bool is_destroyed(const struct step *step)
{
    return step->is_destructive && would_happen(step);
}

/* A machine that is replaced once it can be looked at, or starts. */
static bool is_replaced_later(const struct step *step)
{
    bool is_change = !step_removes(step) && step->action != ACTION_CREATE;

    for (size_t i = 0; is_change && i < step->field_count; i++)
        if (step->fields[i].change == CHANGE_REPLACE &&
            (step->fields[i].disposition == DEFERRED || step->fields[i].disposition == CONTESTED))
            return true;
    return false;
}

/* It may have been destroyed already, or will be once its driver is back: it counts, and is held by
 * nothing but that. */
static bool is_destroyed_unseen(const struct step *step)
{
    return (step->action == ACTION_DELETE && step->disposition == DEFERRED &&
            !step->kind->is_derived) ||
           is_replaced_later(step);
}

static bool is_destructive(const struct step *step)
{
    return step->is_destructive;
}

static int64_t count_steps(const struct guard *guard, bool (*matches)(const struct step *))
{
    int64_t count = 0;

    for (size_t i = 0; i < guard->plan->step_count; i++)
        if (matches(&guard->plan->steps[i]) && !guard->is_cleared[i])
            count++;
    return count;
}

/* Holds all that match, or clears them for the rules that follow if it was approved. */
static void hold_all(struct guard *guard, const char *rule, const char *reason,
                     bool (*matches)(const struct step *))
{
    const char *id = hold_id(guard, rule, NULL);
    size_t *approval = find_approval(guard, id);
    const struct hold *hold = NULL;

    invariant(!guard->input->report_only, "%s is judged on a plan that is for reading", rule);
    if (!approval)
        hold = hold_add(guard, id, rule, reason, true);
    for (size_t i = 0; i < guard->plan->step_count; i++) {
        struct step *step = &guard->plan->steps[i];

        if (!matches(step) || guard->is_cleared[i])
            continue;
        if (hold) {
            hold_step(step, hold);
        } else {
            step->hold = id;
            guard->is_cleared[i] = true;
            ++*approval;
        }
    }
}

static bool collapse_is_over(const struct guard *guard, int64_t gone)
{
    return (gone + guard->input->left) * 100 >
           guard->input->policy.collapse_percent * guard->baseline;
}

static const char *collapse_reason(const struct guard *guard, int64_t gone)
{
    int64_t left = guard->input->left;
    const char *lately =
        left ? arena_printf(guard->arena, ", with %lld that went in the last 24 hours",
                            (long long)left)
             : "";

    if (guard->input->set->declared == 0)
        return arena_printf(guard->arena,
                            "the revision declares nothing at all; it would remove all "
                            "%lld resources",
                            (long long)gone);
    if (!collapse_is_over(guard, gone))
        return arena_printf(guard->arena, "%lld of %lld resources would be gone%s" STILL_HELD,
                            (long long)(gone + left), (long long)guard->baseline, lately);
    return arena_printf(guard->arena,
                        "%lld of %lld resources would be gone%s; more than %lld%% is held",
                        (long long)(gone + left), (long long)guard->baseline, lately,
                        (long long)guard->input->policy.collapse_percent);
}

/* What was approved stays so while its steps end one after the other and the rest of them
 * is no longer over the limit; and what was held stays so while other steps of the revision, or
 * later ones, make more of what is there. */
static void judge_collapse(struct guard *guard)
{
    int64_t gone = count_steps(guard, is_gone_from_git);
    bool is_empty = guard->input->set->declared == 0;
    bool is_over = is_empty || collapse_is_over(guard, gone) || guard->input->was_collapsing;
    const char *rule = is_empty ? RULE_EMPTY : RULE_COLLAPSE;
    const size_t *approval = approval_of(guard, rule);

    if (gone == 0)
        return;
    if ((is_over || approval) && count_steps(guard, is_removal) > 0)
        hold_all(guard, rule, collapse_reason(guard, gone), is_removal);
    guard->plan->collapses = is_over;
}

/* Of a kind, or of all: what is there, with what was until it was destroyed lately, so that the
 * share is the same from the first step of a revision to its last. */
struct toll {
    int64_t there, lately, planned;
};

static bool is_of(const struct kind *kind, const struct kind *wanted)
{
    return !wanted || kind == wanted;
}

static struct toll toll_of(const struct guard *guard, const struct kind *kind)
{
    const struct plan *plan = guard->plan;
    struct toll toll = {0};

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];

        if (is_of(step->kind, kind) && !guard->is_cleared[i])
            toll.planned += is_destroyed(step) || is_destroyed_unseen(step);
    }
    for (size_t i = 0; toll.planned && i < plan->match->count; i++) {
        const struct subject *subject = &plan->match->subjects[i];

        if (is_of(subject->kind, kind) && subject->kind->driver && !subject->kind->is_derived)
            toll.there += subject->known && subject->known->life == LIFE_LIVE;
    }
    for (size_t i = 0; i < guard->input->loss_count; i++) {
        const struct loss *loss = &guard->input->losses[i];

        invariant(loss->kind && loss->gone >= 0 && loss->gone <= loss->count,
                  "%lld of %lld destroyed objects are gone", (long long)loss->gone,
                  (long long)loss->count);
        if (!kind || !loss->kind[0] || strcmp(loss->kind, kind->name) == 0) {
            toll.there += loss->gone;
            toll.lately += loss->count;
        }
    }
    return toll;
}

static int64_t toll_allowed(const struct guard *guard, const struct toll *toll)
{
    const struct plan_policy *policy = &guard->input->policy;
    int64_t share = policy->budget_percent * toll->there / 100;

    return share > policy->budget_count ? share : policy->budget_count;
}

static bool toll_is_over(const struct guard *guard, const struct toll *toll)
{
    return toll->planned && toll->lately + toll->planned > toll_allowed(guard, toll);
}

static const char *toll_reason(const struct guard *guard, const struct toll *toll, const char *what)
{
    if (!toll_is_over(guard, toll))
        return arena_printf(guard->arena, "%lld would be destroyed" STILL_HELD,
                            (long long)count_steps(guard, is_destroyed));
    return arena_printf(guard->arena,
                        "%lld%s would be destroyed and %lld were in the last 24 hours; %lld are "
                        "allowed without approval",
                        (long long)toll->planned, what, (long long)toll->lately,
                        (long long)toll_allowed(guard, toll));
}

/* Each kind by its own number as well: many that cost nothing to make again are no reason to lose
 * all of the few that hold data. */
static void judge_budget(struct guard *guard)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    const size_t *approval = approval_of(guard, RULE_BUDGET);
    int64_t unseen = count_steps(guard, is_destroyed_unseen);
    struct toll toll;
    const char *what = "";
    bool is_over;

    guard->plan->unseen = (size_t)unseen;
    if (unseen)
        approval_wait(guard, approval);
    if (unseen + count_steps(guard, is_destroyed) == 0) { /* another rule may withhold it */
        guard->plan->overspends =
            guard->input->was_over_budget && count_steps(guard, is_destructive) > 0;
        return;
    }
    toll = toll_of(guard, NULL);
    is_over = toll_is_over(guard, &toll);
    for (size_t i = 0; i < count && !is_over; i++) {
        toll = toll_of(guard, kinds[i]);
        is_over = toll_is_over(guard, &toll);
        what = is_over ? arena_printf(guard->arena, " of kind %s", kinds[i]->name) : "";
    }
    is_over = is_over || guard->input->was_over_budget;
    if ((is_over || approval) && count_steps(guard, is_destroyed) > 0)
        hold_all(guard, RULE_BUDGET, toll_reason(guard, &toll, what), is_destroyed);
    guard->plan->overspends = is_over;
}

/* What a set can lose: what there is of it, and what left it within a day, or since a person last
 * let a collapse through. Not what was declared when the rack last converged: one that is never
 * quite done would lose ever more of what it no longer has. */
static int64_t baseline(const struct plan *plan, const struct plan_input *input)
{
    int64_t there = 0;

    invariant(input->left >= 0 && input->live >= 0, "%lld objects left Git, %lld are live",
              (long long)input->left, (long long)input->live);
    for (size_t i = 0; i < plan->match->count; i++) {
        const struct subject *subject = &plan->match->subjects[i];

        if (!subject->kind->is_derived && subject->known && subject->known->life == LIFE_LIVE)
            there++;
    }
    return input->left + (there > input->live ? there : input->live);
}

/* ---- freezes ------------------------------------------------------------------------ */

static const struct freeze *find_freeze(const struct guard *guard, const char *what)
{
    const struct plan_input *input = guard->input;

    for (size_t i = 0; i < input->freeze_count; i++) {
        const struct freeze *freeze = &input->freezes[i];

        if (strcmp(freeze->what, what) == 0 && (freeze->until == 0 || freeze->until > input->now))
            return freeze;
    }
    return NULL;
}

static const char *freeze_reason(const struct guard *guard, const struct freeze *freeze)
{
    invariant(freeze->who && freeze->why, "%s are frozen by nobody or for nothing", freeze->what);
    return arena_printf(guard->arena, "%s %s frozen by %s: %s", freeze->what,
                        strcmp(freeze->what, "healing") == 0 ? "is" : "are", freeze->who,
                        freeze->why);
}

static void freeze_fields(struct guard *guard, struct step *step, enum cause cause,
                          const char *reason)
{
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].cause == cause && step->fields[i].disposition == RUN) {
            step->fields[i].disposition = FROZEN;
            step->fields[i].reason = reason;
        }
    step_settle(guard->arena, step);
}

static bool is_partly_frozen(const struct step *step)
{
    return step->action == ACTION_UPDATE || step->action == ACTION_RESTART;
}

static void freeze_cause(struct guard *guard, const char *what, enum cause cause)
{
    const struct freeze *freeze = find_freeze(guard, what);
    const char *reason = freeze ? freeze_reason(guard, freeze) : NULL;

    for (size_t i = 0; freeze && i < guard->plan->step_count; i++) {
        struct step *step = &guard->plan->steps[i];

        if (step->disposition != RUN)
            continue;
        if (is_partly_frozen(step))
            freeze_fields(guard, step, cause, reason);
        else if (step->cause == cause)
            step_withhold(step, FROZEN, reason);
    }
}

static void freeze_deletions(struct guard *guard)
{
    const struct freeze *freeze = find_freeze(guard, "deletions");

    for (size_t i = 0; freeze && i < guard->plan->step_count; i++) {
        struct step *step = &guard->plan->steps[i];

        if (step->disposition == RUN && (step_removes(step) || step->action == ACTION_REPLACE))
            step_withhold(step, FROZEN, freeze_reason(guard, freeze));
        invariant(!step->is_destructive || step->disposition != RUN,
                  "%s would be destroyed while deletions are frozen", step->name);
    }
}

/* ---- all ---------------------------------------------------------------------------- */

/* One hold for all, under the id that the core raised it by. */
static void hold_rebuilt(struct guard *guard)
{
    const struct hold *hold =
        hold_add(guard, "rebuild", "rebuild",
                 "the store was lost or restored and rebuilt from the world; see whether this is "
                 "what you expect before anything is changed",
                 true);

    for (size_t i = 0; i < guard->plan->step_count; i++)
        if (would_happen(&guard->plan->steps[i]))
            hold_step(&guard->plan->steps[i], hold);
}

static int hold_order(const void *left, const void *right)
{
    const struct hold *const *a = left, *const *b = right;

    return strcmp((*a)->id, (*b)->id);
}

/* Each step may have a hold of its own. */
static void count_held(struct arena *arena, struct plan *plan)
{
    struct hold **sorted = arena_array(arena, plan->hold_count + 1, sizeof(struct hold *));

    for (size_t i = 0; i < plan->hold_count; i++)
        sorted[i] = &plan->holds[i];
    qsort(sorted, plan->hold_count, sizeof(*sorted), hold_order);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const struct hold key = {.id = step->hold}, *wanted = &key;
        struct hold **found;

        if (step->disposition != HELD)
            continue;
        invariant(step->hold, "%s is held by nothing", step->name);
        found = bsearch(&wanted, sorted, plan->hold_count, sizeof(*sorted), hold_order);
        invariant(found, "%s is held by %s, which nobody raised", step->name, step->hold);
        (*found)->steps++;
    }
}

void guard_judge(struct arena *arena, const struct plan_input *input, struct plan *plan)
{
    struct guard guard = {.arena = arena, .input = input, .plan = plan};

    invariant(plan->match && plan->hold_count == 0 && !plan->approval_steps,
              "the guard judges what was judged, or what is no plan yet");
    plan->approval_steps = arena_array(arena, input->approved_count + 1, sizeof(size_t));
    plan->approval_ends = arena_array(arena, input->approved_count + 1, sizeof(bool));
    plan->approval_waits = arena_array(arena, input->approved_count + 1, sizeof(bool));
    if (input->report_only) {
        hold_rebuilt(&guard);
        count_held(arena, plan);
        return;
    }
    guard.is_cleared = arena_array(arena, plan->step_count + 1, sizeof(bool));
    guard.baseline = baseline(plan, input);
    judge_steps(&guard);
    judge_collapse(&guard);
    judge_budget(&guard);
    approvals_wait(&guard);
    freeze_deletions(&guard);
    freeze_cause(&guard, "changes", CAUSE_PENDING);
    freeze_cause(&guard, "healing", CAUSE_DRIFT);
    steps_wait(arena, plan);
    count_held(arena, plan);
}
