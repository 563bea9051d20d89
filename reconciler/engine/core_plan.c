/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A pass, after the look: gather the inputs, plan, record what the plan says (drift, holds, the
 * plan itself), and begin the steps that run (core_schedule.c).
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/sort.h"
#include "model/text.h"

enum { DAY_S = 86400, LASTING_START_S = 600 };

/* ---- input -------------------------------------------------------------------------- */

/* R8 of docs/model/README.md: the plan counts the tombstones of a name for its next uid. */
static uint64_t incarnations(void *context, const char *kind, const char *project, const char *name)
{
    struct core *core = context;
    struct error err = ERROR_INIT;
    uint64_t count = 0;
    if (core->env->ledger->incarnations(core->env->store, kind, project, name, &count, &err) < 0)
        core_fail(core, &err);
    return count;
}

void observation_refresh(struct core *core, struct arena *arena, struct known *row)
{
    const struct driver *driver = core->config.cached ? NULL : driver_of_kind(core, row->kind);
    if (!driver)
        return;
    const struct seen *seen = seen_find(core, row->uid);
    if (seen && seen_rare(seen)->object)
        row->observed = observation_read(core, arena, seen_rare(seen)->object);
    if (!driver->is_listed || !seen || !seen->has_details)
        row->observed.known = false;
    else if (row->observed.at < driver->listed_at)
        row->observed.at = driver->listed_at;
}

/* When a guest stopped by itself: counts starts that did not last, and says from when
 * restartPolicy may start it again. */
static void restart_policy_note(struct core *core, struct known *row)
{
    struct seen *seen = strcmp(row->kind, "Instance") ? NULL : seen_find(core, row->uid);
    if (!seen || !row->observed.known)
        return;
    int64_t now = core_now_s(core);
    const struct value *policy = value_get(row->applied, "restartPolicy");
    struct known before = *row;
    if (seen->has_stopped) {
        seen->has_stopped = false;
        int64_t pause = value_get_int(policy, "backoff", 1);
        int64_t longest = value_get_int(policy, "maxBackoff", 300);
        bool has_lasted = !seen_rare(seen)->running_since ||
                          now - seen_rare(seen)->running_since >= LASTING_START_S;
        unsigned failures = has_lasted ? 0 : row->start_failures;
        for (unsigned i = 1; i < failures && pause < longest; i++)
            pause *= 2;
        row->next_start = failures ? now + (pause < longest ? pause : longest) : 0;
        row->start_failures = failures + 1;
        if (!strcmp(value_at_text(row->observed.status, "exit.reason", ""), "guest-shutdown"))
            row->stopped_by_guest_at = now;
    } else if (seen->is_running) {
        row->stopped_by_guest_at = 0;
        row->next_start = 0;
    }
    if (before.next_start != row->next_start || before.start_failures != row->start_failures ||
        before.stopped_by_guest_at != row->stopped_by_guest_at)
        save_object(core, row);
}

static void freezes_read(struct core *core, struct arena *arena, struct plan_input *input)
{
    struct error err = ERROR_INIT;
    struct freeze *freezes = NULL;
    size_t count = 0, kept = 0;
    if (core->env->ledger->freezes(core->env->store, arena, &freezes, &count, &err) < 0) {
        core_fail(core, &err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!freezes[i].until || freezes[i].until > input->now)
            freezes[kept++] = freezes[i];
    invariant(kept <= count, "%zu freezes of %zu hold", kept, count);
    input->freezes = freezes;
    input->freeze_count = kept;
}

static void budget_read(struct core *core, struct arena *arena, struct plan_input *input)
{
    struct error err = ERROR_INIT;
    struct loss *losses = NULL;
    if (core->env->ledger->destroyed_since(core->env->store, arena, input->now - DAY_S, &losses,
                                           &input->loss_count, &err) < 0)
        core_fail(core, &err);
    input->losses = losses;
    if (core->env->ledger->left_since(core->env->store, input->now - DAY_S, &input->left, &err) < 0)
        core_fail(core, &err);
}

static bool rows_read(struct core *core, struct arena *arena, struct known **rows, size_t *count)
{
    struct error err = ERROR_INIT;
    if (core->part) { /* which may have none */
        *rows = core->part->rows;
        *count = core->part->row_count;
        return true;
    }
    if (core->env->ledger->objects(core->env->store, arena, rows, count, &err) < 0) {
        core_fail(core, &err);
        return false;
    }
    if (!core->config.cached)
        seen_take_rows(core, *rows, *count);
    return true;
}

struct plan_input *input_make(struct core *core, struct arena *arena, const struct set *set,
                              const char *commit)
{
    struct known *rows = NULL;
    size_t count = 0;
    invariant(set && commit, "a plan without a set, or of no commit");
    if (!rows_read(core, arena, &rows, &count))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        observation_refresh(core, arena, &rows[i]);
        restart_policy_note(core, &rows[i]);
    }
    struct plan_input *input = arena_alloc(arena, sizeof *input);
    *input = (struct plan_input){
        .set = set,
        .commit = arena_text(arena, commit),
        .parent = arena_text(arena, core->parent),
        .known = rows,
        .known_count = count,
        .incarnations = incarnations,
        .incarnations_context = core,
        .now = core_now_s(core),
        .policy = core->config.policy,
    };
    memcpy(input->seed, core->config.seed, sizeof input->seed);
    holds_read(core, arena, input);
    freezes_read(core, arena, input);
    budget_read(core, arena, input);
    input->contests = contests_input(core, arena, &input->contest_count);
    if (!core->config.cached && !core->part) /* which are of a rack that lacks nothing */
        rebuild_input(core, input, arena);
    return core->failure.code ? NULL : input;
}

/* ---- what is recorded --------------------------------------------------------------- */

struct known row_confirmed(struct core *core, struct arena *arena, const struct known *row,
                           enum lifecycle life, const struct resource *resource,
                           const struct value *spec)
{
    struct known after = *row;
    invariant(resource ? spec && life == LIFE_LIVE : life == LIFE_GONE || life == LIFE_RELEASED,
              "%s %s is confirmed with life %d", row->kind, row->name, life);
    invariant(!resource || !strcmp(resource->kind->name, row->kind), "%s %s is confirmed as a %s",
              row->kind, row->name, resource ? resource->kind->name : "");
    after.life = life;
    after.tried = NULL;
    if (!resource)
        return after;
    after.applied = plan_redact(arena, resource->kind, spec, core->config.seed);
    after.labels = resource->labels;
    after.protect = value_get_bool(resource->spec, "protect", false);
    after.remove_deletes = spec_removes_data(resource->spec);
    return after;
}

void row_settle(struct core *core, const struct known *row, const struct resource *resource,
                const struct value *spec)
{
    struct known live = row_confirmed(core, core->plan_arena, row, LIFE_LIVE, resource, spec);
    if (!live.generation)
        live.generation = 1;
    save_object(core, &live);
}

static void step_uids_sort(struct core *core)
{
    const struct plan *plan = core->plan;
    size_t count = 0;
    core->step_uids = arena_array(core->plan_arena, plan->run + 1, sizeof *core->step_uids);
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].disposition == RUN)
            core->step_uids[count++] = plan->steps[i].uid;
    invariant(count == plan->run, "%zu steps run, and the plan counts %zu", count, plan->run);
    qsort(core->step_uids, count, sizeof *core->step_uids, text_order);
}

bool plan_runs(const struct core *core, const char *uid)
{
    invariant(core->plan && core->step_uids, "what runs of a plan that is none");
    return bsearch(&uid, core->step_uids, core->plan->run, sizeof *core->step_uids, text_order);
}

/* Objects that are as declared, and whose rows do not say so yet. */
static void rows_settle(struct core *core)
{
    for (size_t i = 0; i < core->plan->unrecorded_count; i++) {
        const struct unrecorded *object = &core->plan->unrecorded[i];
        struct known row = *object->known;
        row.chosen = object->chosen;
        invariant(object->resource && object->spec, "%s is as declared, and is not", row.name);
        if (!task_of_uid(core, row.uid))
            row_settle(core, &row, object->resource, object->spec);
    }
}

static void plan_record(struct core *core)
{
    const struct plan *plan = core->plan;
    struct error err = ERROR_INIT;
    invariant(strcmp(plan->commit, core->commit) == 0, "the plan is of %.12s, the target %.12s",
              plan->commit, core->commit);
    if (!strcmp(core->last_plan, plan->hash) || (!plan->run && !plan->held && !plan->deferred))
        return;
    memcpy(core->last_plan, plan->hash, sizeof core->last_plan);
    memcpy(core->parent, plan->hash, sizeof core->parent);
    invariant(strlen(core->last_plan) == sizeof core->last_plan - 1, "a plan of hash '%.80s'",
              plan->hash);
    struct arena *scratch = arena_new();
    struct value *document = plan_value(scratch, plan);
    if (batch_open(core) && core->env->ledger->plan_put(core->env->store, plan->hash, plan->commit,
                                                        core_now_s(core), document, &err) < 0)
        core_fail(core, &err);
    struct arena *arena = batch_arena(core);
    const struct value *summary = value_get(document, "summary");
    struct value *data = value_map(arena);
    value_set_text(arena, data, "hash", plan->hash);
    value_set_int(arena, data, "revision", core->revision);
    value_set_int(arena, data, "lookMs", core->round.took_ms);
    value_set_int(arena, data, "ms", core->plan_ms);
    value_set(arena, data, "summary", summary ? value_copy(arena, summary) : value_map(arena));
    core_event(core, "plan.made", NULL, data, "plan %.12s: %zu to run, %zu deferred, %zu held",
               plan->hash, plan->run, plan->deferred, plan->held);
    arena_free(scratch);
}

/* ---- the pass ----------------------------------------------------------------------- */

/* Whether a plan that was expected has come; without one, always. */
static bool plan_is_expected(struct core *core)
{
    if (core->refusal.code || !core->expected_hash[0])
        return !core->refusal.code;
    if (!core->plan_is_fresh)
        return false;
    bool is_same_world = !strcmp(core->plan->world, core->expected_world);
    if (strcmp(core->plan->hash, core->expected_hash)) {
        error_set(&core->refusal, ERR_STALE, "the saved plan is stale: %s",
                  is_same_world ? "approvals, freezes or time have changed what it would do"
                                : "the world has changed since it was made");
        error_hint(&core->refusal, "Make a new plan: spinel plan -o FILE");
        return false;
    }
    core->expected_hash[0] = '\0';
    return true;
}

static void pass_tell(struct core *core)
{
    struct round *round = &core->round;
    const struct pass pass = {
        .has_looked = round->is_news,
        .is_full = round->is_full,
        .detected_by = round->detected_by ? round->detected_by : "plan",
        .look_ms = round->took_ms,
        .plan_ms = core->plan_ms,
        .objects = core->row_count,
    };
    round->is_news = false;
    if (core->env->passed && core->config.effects)
        core->env->passed(core->env->context, &pass);
}

/* Rows that the core comes back to after the pass: nobody could look at them, or they start later.
 */
static bool is_looked_at_later(const struct core *core, const struct known *row)
{
    return row->next_start > core->input->now || (!row->observed.known && row->life == LIFE_LIVE);
}

static struct known row_rest(struct arena *arena, const struct known *row)
{
    return (struct known){
        .uid = arena_text(arena, row->uid),
        .kind = arena_text(arena, row->kind),
        .project = arena_text(arena, row->project),
        .name = arena_text(arena, row->name),
        .life = row->life,
        .next_start = row->next_start,
        .observed = {.known = row->observed.known},
    };
}

static struct plan_input *input_rest(const struct core *core, struct arena *arena)
{
    const struct plan_input *input = core->input;
    struct plan_input *rest = arena_alloc(arena, sizeof *rest);
    struct freeze *freezes = arena_array(arena, input->freeze_count + 1, sizeof *freezes);
    size_t later = 0;
    for (size_t i = 0; i < input->known_count; i++)
        later += is_looked_at_later(core, &input->known[i]);
    struct known *rows = arena_array(arena, later + 1, sizeof *rows);
    *rest = (struct plan_input){.set = input->set, .now = input->now, .known = rows};
    for (size_t i = 0; i < input->known_count; i++)
        if (is_looked_at_later(core, &input->known[i]))
            rows[rest->known_count++] = row_rest(arena, &input->known[i]);
    invariant(rest->known_count == later, "%zu rows of %zu are looked at later", rest->known_count,
              later);
    for (size_t i = 0; i < input->freeze_count; i++)
        freezes[i] = (struct freeze){.what = arena_text(arena, input->freezes[i].what),
                                     .who = arena_text(arena, input->freezes[i].who),
                                     .why = arena_text(arena, input->freezes[i].why),
                                     .until = input->freezes[i].until};
    rest->freezes = freezes;
    rest->freeze_count = input->freeze_count;
    return rest;
}

/* A plan without a line needs nothing of what it was made from, which would be most of what the
 * daemon holds while it has nothing to do. */
static struct plan *pass_rest(struct core *core)
{
    invariant(!core->plan->step_count && !core->plan->hold_count && !core->tasks,
              "a plan of %zu steps is at rest", core->plan->step_count);
    struct arena *arena = arena_new();
    struct plan *plan = arena_alloc(arena, sizeof *plan);
    struct plan_input *input = input_rest(core, arena);
    *plan = *core->plan;
    plan->commit = input->commit = arena_text(arena, plan->commit);
    plan->parent = input->parent = arena_text(arena, plan->parent);
    plan->steps = NULL;
    plan->holds = NULL;
    plan->approval_steps = NULL;
    plan->approval_ends = NULL;
    plan->approval_waits = NULL;
    plan->match = NULL;
    core->step_uids = arena_array(arena, 1, sizeof *core->step_uids);
    arena_free(core->plan_arena);
    core->plan_arena = arena;
    core->plan = plan;
    core->input = input;
    return plan;
}

/* Of the objects that are there, all were looked at again: not before the first of these lists. */
static int64_t listed_at(const struct core *core)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < core->config.driver_count; i++)
        if (core->drivers[i].listed_at < at)
            at = core->drivers[i].listed_at;
    return at == INT64_MAX ? 0 : at;
}

void pass_renew(struct core *core)
{
    invariant(core->plan && !core->plan->step_count && !core->tasks,
              "a plan of %zu steps is taken for the next one",
              core->plan ? core->plan->step_count : 0);
    struct plan *plan = pass_rest(core);
    if (plan->observed_at)
        plan->observed_at = listed_at(core);
    core->plan_ms = 0;
    pass_tell(core);
}

/* The old plan goes once there is a new one. */
static bool plan_take(struct core *core, struct arena *arena, const struct plan *plan)
{
    if (!plan) {
        arena_free(arena);
        return false;
    }
    arena_free(core->plan_arena);
    core->plan_arena = arena;
    core->plan = plan;
    return true;
}

static bool quiet_plan(struct core *core)
{
    struct arena *arena = arena_new();
    return plan_take(core, arena, quiet_find(core, arena));
}

static bool whole_plan(struct core *core)
{
    struct arena *arena = arena_new();
    struct plan_input *input = input_make(core, arena, core->set, core->commit);
    if (input)
        core->input = input;
    bool is_made = plan_take(core, arena, input ? plan_make(arena, input) : NULL);
    if (is_made)
        core->planned_write = core->writes;
    return is_made;
}

static bool plan_of_all(struct core *core)
{
    if (!target_follow(core) || (!quiet_plan(core) && !whole_plan(core)))
        return false;
    invariant(core->input && core->input->set == core->set, "the plan is of another set");
    core->row_count = (int64_t)core->input->known_count;
    return true;
}

static void pass_of_all(struct core *core)
{
    drift_record(core);
    holds_settle(core);
    plan_record(core);
    nameless_find(core);
    tasks_schedule(core);
    rows_settle(core);
    if (core->plan_is_fresh)
        retries_settle(core);
    if (!core->plan->step_count && !core->plan->hold_count && !core->tasks)
        pass_rest(core);
}

/* Of a rack at rest: nothing has drifted, is held or waits for a person, and only what the part's
 * plan has is to be begun. */
static void pass_of_part(struct core *core)
{
    invariant(!core->plan->hold_count && core->plan->run == core->plan->step_count,
              "%zu steps of a part do not run", core->plan->step_count - core->plan->run);
    plan_record(core);
    tasks_schedule(core);
    core->wants_full |= !core->tasks;
}

void core_replan(struct core *core)
{
    int64_t began_ms = core->env->mono_ms(core->env->context);
    core->wants_plan = false;
    core->round.is_still = false; /* what it ends in is not what it began with */
    bool was_taken = core->taken.arena != NULL, is_of_part = take_plan(core);
    if (was_taken && !is_of_part)
        return; /* the whole is looked at first */
    if (!is_of_part && !plan_of_all(core))
        return;
    invariant(core->config.effects || !core->tasks, "a plan that is only shown has tasks");
    core->planned_ms = core->env->mono_ms(core->env->context);
    core->plan_ms = core->planned_ms - began_ms;
    invariant(core->plan_ms >= 0, "a plan took %lld ms", (long long)core->plan_ms);
    step_uids_sort(core);
    pass_tell(core);
    core->plan_is_fresh =
        !core->round.is_active && core->round.is_full && all_drivers_are_listed(core);
    if (core->plan->run || !all_drivers_are_listed(core))
        core->is_converged = false;
    if (!core->config.effects || !plan_is_expected(core))
        return;
    if (is_of_part)
        pass_of_part(core);
    else
        pass_of_all(core);
}
