/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the guard holds, and what a person let through. A hold of a whole revision stands from
 * the plan that raised it until it is approved or nothing is left of what it held: what the same
 * commit, or a later one, adds meanwhile makes no smaller share of it. An approval is one of its
 * commit, and ends with the last step that it lets through (RFD 13).
 */
#include "reconciler/engine/core_state.h"

#include <string.h>
#include "model/invariant.h"

static struct value *holds_of(struct core *core, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct value *holds = NULL;
    if (core->env->ledger->holds(core->env->store, arena, &holds, &err) < 0)
        core_fail(core, &err);
    return holds;
}

static bool is_approved(const struct value *hold)
{
    return *value_get_text(hold, "approvedBy", "") != '\0';
}

static bool is_of(const struct value *hold, const char *rule)
{
    return strcmp(value_get_text(hold, "rule", ""), rule) == 0;
}

/* Facts, since a hold's id is one of its commit. */
static const char collapse_stands[] = "held." RULE_COLLAPSE;
static const char budget_stands[] = "held." RULE_BUDGET;

static bool stands(struct core *core, struct arena *arena, const char *fact)
{
    const char *text = load_fact(core, arena, fact);
    return text && *text;
}

static void stand(struct core *core, const char *fact, bool was_so, bool is_so)
{
    if (was_so != is_so)
        save_fact(core, fact, is_so ? "held" : "");
}

void holds_read(struct core *core, struct arena *arena, struct plan_input *input)
{
    const struct value *holds = holds_of(core, arena);
    if (!holds)
        return;
    const char **approved = arena_array(arena, holds->count + 1, sizeof *approved);
    for (size_t i = 0; i < holds->count; i++)
        if (is_approved(holds->items[i]))
            approved[input->approved_count++] = value_get_text(holds->items[i], "id", "");
    invariant(input->approved_count <= holds->count, "%zu of %zu holds are approved",
              input->approved_count, holds->count);
    input->approved = approved;
    input->holds = holds;
    input->was_collapsing = stands(core, arena, collapse_stands);
    input->was_over_budget = stands(core, arena, budget_stands);
}

static void hold_put(struct core *core, const struct hold *hold, int64_t at)
{
    struct error err = ERROR_INIT;
    if (batch_open(core) && core->env->ledger->hold_put(core->env->store, hold->id, hold->rule,
                                                        hold->reason, at, &err) < 0)
        core_fail(core, &err);
}

static void hold_raise(struct core *core, const struct hold *hold)
{
    if (!batch_open(core))
        return;
    hold_put(core, hold, core_now_s(core));
    struct value *data = value_map(batch_arena(core));
    value_set_text(batch_arena(core), data, "hold", hold->id);
    value_set_text(batch_arena(core), data, "rule", hold->rule);
    value_set_text(batch_arena(core), data, "reason", hold->reason);
    core_event(core, "hold.raised", NULL, data, "held (%s): %s", hold->id, hold->reason);
}

static void holds_raise(struct core *core, const struct value *known)
{
    for (size_t i = 0; i < core->plan->hold_count; i++) {
        const struct hold *hold = &core->plan->holds[i];
        invariant(hold->id && hold->id[0] && hold->reason, "hold %zu has no name", i);
        const struct value *was = value_find(known, "id", hold->id);
        if (!was)
            hold_raise(core, hold);
        else if (!is_approved(was) && strcmp(value_get_text(was, "reason", ""), hold->reason))
            hold_put(core, hold, value_get_int(was, "at", 0));
    }
}

void hold_drop(struct core *core, const char *id)
{
    struct error err = ERROR_INIT;
    if (batch_open(core) && core->env->ledger->hold_drop(core->env->store, id, &err) < 0)
        core_fail(core, &err);
}

/* An operation that is sent again for another commit has no approval but that one's. Who is at it
 * now was let through, and says so once more when it ends. */
static void intents_end(struct core *core, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct intent *open = NULL;
    size_t count = 0;
    if (core->env->ledger->intents_open(core->env->store, arena, &open, &count, &err) < 0)
        core_fail(core, &err);
    for (size_t i = 0; i < count; i++)
        if (open[i].is_approved) {
            open[i].is_approved = false;
            save_intent(core, &open[i]);
        }
}

void holds_end(struct core *core)
{
    struct arena *arena = arena_new();
    const struct value *holds = holds_of(core, arena);
    for (size_t i = 0; holds && i < holds->count; i++)
        if (!is_of(holds->items[i], RULE_REBUILD))
            hold_drop(core, value_get_text(holds->items[i], "id", ""));
    intents_end(core, arena);
    arena_free(arena);
}

static bool approval_is_used(const struct core *core, const char *id)
{
    for (const struct task *task = core->tasks; task; task = task->hh.next)
        if (task->approval && !strcmp(task->approval, id))
            return true;
    return false;
}

/* Whether what cannot be looked at will be destroyed is not known. */
static bool is_all_told(const struct core *core)
{
    return core->plan_is_fresh && !core->plan->unseen && !core->plan->unknown;
}

static bool is_raised(const struct plan *plan, const char *id)
{
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].id, id))
            return true;
    return false;
}

/* Approvals that let nothing through and wait for nothing that cannot be looked at; and holds of
 * which nothing is left. */
static void holds_drop(struct core *core, const struct value *holds)
{
    bool is_fresh = core->plan_is_fresh && !core->plan->unknown; /* else it would come and go */
    for (size_t i = 0; i < core->input->approved_count; i++) {
        const char *id = core->input->approved[i];
        if (!core->plan->approval_steps[i] && !core->plan->approval_waits[i] &&
            !approval_is_used(core, id))
            hold_drop(core, id);
    }
    for (size_t i = 0; is_fresh && i < holds->count; i++) {
        const char *id = value_get_text(holds->items[i], "id", "");
        if (!is_approved(holds->items[i]) && !is_of(holds->items[i], RULE_REBUILD) &&
            !is_raised(core->plan, id))
            hold_drop(core, id);
    }
}

bool hold_is_of_set(const struct core *core, const char *id)
{
    const struct value *hold = id ? value_find(core->input->holds, "id", id) : NULL;
    return hold && (is_of(hold, RULE_COLLAPSE) || is_of(hold, RULE_EMPTY));
}

/* Who lets a collapse through has seen what went before: it is the measure from then on. */
void leavings_forget(struct core *core)
{
    struct error err = ERROR_INIT;
    if (batch_open(core) && core->env->ledger->leavings_forget(core->env->store, &err) < 0)
        core_fail(core, &err);
}

static void standing_settle(struct core *core)
{
    const struct plan_input *input = core->input;
    const struct plan *plan = core->plan;
    stand(core, collapse_stands, input->was_collapsing, plan->collapses);
    stand(core, budget_stands, input->was_over_budget,
          plan->overspends || (input->was_over_budget && !is_all_told(core)));
}

void holds_settle(struct core *core)
{
    const struct plan_input *input = core->input;
    if (!input->report_only)
        standing_settle(core);
    if (!input->holds)
        return;
    holds_raise(core, input->holds);
    holds_drop(core, input->holds);
}
