/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The steps of a plan that run become tasks with durable intents. A step whose uid has a task under
 * way is left to it; one whose intent is open already, with the same arguments, is sent again under
 * the same epoch and op; any other gets the object's next epoch and replaces what was open (R3 of
 * docs/model/README.md).
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/text.h"

/* ---- intents ------------------------------------------------------------------------ */

static int intent_order(const void *left, const void *right)
{
    const struct intent *a = left, *b = right;
    int by_uid = strcmp(a->uid, b->uid);
    return by_uid ? by_uid : a->epoch < b->epoch ? -1 : a->epoch > b->epoch;
}

/* The newest of a uid; `open` is in intent_order(). */
static const struct intent *intent_of(const struct intent *open, size_t count, const char *uid)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(open[middle].uid, uid) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low && !strcmp(open[low - 1].uid, uid) ? &open[low - 1] : NULL;
}

static void intent_finish(struct core *core, const struct intent *intent, const char *state)
{
    struct intent ended = *intent;
    invariant(!strcmp(intent->state, "pending") || !strcmp(intent->state, "claimed"),
              "op %s, which is %s, would be %s", intent->op, intent->state, state);
    ended.state = state;
    ended.finished_at = core_now_s(core);
    save_intent(core, &ended);
    if (strcmp(state, "superseded"))
        return;
    struct value *data = value_map(batch_arena(core));
    value_set_text(batch_arena(core), data, "op", intent->op);
    const struct about about = {intent->uid, value_get_text(intent->step, "kind", NULL),
                                value_get_text(intent->step, "project", NULL),
                                value_get_text(intent->step, "name", NULL)};
    core_event(core, "op.superseded", &about, data, "%s of %s %s: a newer intent took its place",
               intent->verb, about.kind ? about.kind : "object", about.name ? about.name : "");
}

static int row_order(const void *left, const void *right)
{
    const struct known *const *a = left, *const *b = right;
    return strcmp((*a)->uid, (*b)->uid);
}

static const struct known **rows_by_uid(struct arena *arena, const struct plan_input *input)
{
    const struct known **rows = arena_array(arena, input->known_count + 1, sizeof *rows);
    for (size_t i = 0; i < input->known_count; i++)
        rows[i] = &input->known[i];
    qsort(rows, input->known_count, sizeof *rows, row_order);
    return rows;
}

static const struct known *row_find(const struct known *const *rows, size_t count, const char *uid)
{
    const struct known key = {.uid = uid}, *wanted = &key;
    const struct known *const *found = bsearch(&wanted, rows, count, sizeof *rows, row_order);
    return found ? *found : NULL;
}

/* The declared spec with what was chosen for this object, as a step would have it. */
static const struct value *spec_with_chosen(struct arena *arena, const struct resource *resource,
                                            const struct value *chosen)
{
    struct value *spec = value_copy(arena, resource->spec);
    for (size_t i = 0; i < resource->kind->spec->field_count; i++) {
        const struct field *field = resource->kind->spec->fields[i];
        const struct value *value = value_get(chosen, field->name);
        if (value && !value_get(spec, field->name))
            value_set(arena, spec, field->name, value_copy(arena, value));
    }
    return spec;
}

/* Of what the plan still waits with the step has what was before: that was not applied. */
static const struct value *spec_settled(const struct core *core, const struct known *row,
                                        const struct resource *resource)
{
    for (size_t i = 0; i < core->plan->step_count; i++) {
        const struct step *step = &core->plan->steps[i];
        if (step->disposition != RUN && step->spec && !strcmp(step->uid, row->uid))
            return step->spec;
    }
    return spec_with_chosen(core->plan_arena, resource, row->chosen);
}

/* It is there, and something is to be done to it that was not said when it was made. */
static bool is_to_be_finished(const struct core *core, const struct known *row)
{
    for (size_t i = 0; row->life == LIFE_NEW && i < core->plan->step_count; i++)
        if (core->plan->steps[i].action == ACTION_CREATE &&
            !strcmp(core->plan->steps[i].uid, row->uid))
            return true;
    return false;
}

/* An open intent that the plan no longer asks for: its effect is there (the last process
 * died before it could say so), or something else is wanted now. */
static void intent_settle(struct core *core, const struct intent *intent, const struct known *row)
{
    if (!row) {
        intent_finish(core, intent, "superseded");
        return;
    }
    const struct observation *seen = &row->observed;
    invariant(strcmp(row->uid, intent->uid) == 0, "op %s of %s is settled by %s", intent->op,
              intent->uid, row->uid);
    invariant(intent->epoch > 0, "op %s is settled, and has no epoch", intent->op);
    if (!seen->known || is_to_be_finished(core, row))
        return;
    const struct resource *resource = set_find(core->set, row->kind, row->project, row->name);
    bool is_delete = !strcmp(intent->verb, "delete");
    bool is_acknowledged = seen->epoch >= intent->epoch;
    if (is_acknowledged && is_delete && seen->absent) {
        struct known gone = row_confirmed(core, core->plan_arena, row, LIFE_GONE, NULL, NULL);
        save_object(core, &gone);
        seen_set_row(core, &gone);
        intent_finish(core, intent, "confirmed");
    } else if (is_acknowledged && !is_delete && !seen->absent && resource) {
        row_settle(core, row, resource, spec_settled(core, row, resource));
        intent_finish(core, intent, "confirmed");
    } else {
        intent_finish(core, intent, "superseded");
    }
}

/* ---- tasks -------------------------------------------------------------------------- */

struct schedule {
    struct core *core;
    struct task **task_of_step; /* by step id; NULL: none is under way for it */
    bool *is_blocked;           /* by step id: it does not begin in this pass */
    bool *is_busy;              /* by step id: something else of its uid is under way */
    struct intent *open;
    size_t open_count;
    bool *is_used; /* by open intent */
};

static bool waits_for_blocked(const struct schedule *schedule, const struct step *step)
{
    invariant(!schedule->is_blocked[step->id], "step %u was judged before", step->id);
    for (size_t i = 0; i < step->after_count; i++)
        if (schedule->is_blocked[step->after[i]] && step->after_must[i])
            return true;
    return false;
}

/* For what runs and only comes first, too: once the other thing has ended, it begins. */
static bool waits_for_busy(const struct schedule *schedule, const struct step *step)
{
    for (size_t i = 0; i < step->after_count; i++)
        if (schedule->is_busy[step->after[i]])
            return true;
    return false;
}

static bool driver_is_ready(struct core *core, const struct step *step)
{
    const char *class = step_driver_class(step);
    const struct driver *carrier = driver_of_class(core, class);
    const struct driver *holder = driver_of_kind(core, step->kind->name);
    if (!class)
        return true;
    if (holder && holder->has_nameless && step->action == ACTION_CREATE)
        return false;
    return carrier && carrier->state == DRIVER_READY && holder && holder->is_listed;
}

static bool has_volume(const struct value *spec, const struct value *disk)
{
    const struct value *disks = value_get(spec, "disks");
    const char *volume = value_get_text(disk, "volume", "");
    for (size_t i = 0; *volume && value_is_list(disks) && i < disks->count; i++)
        if (!value_get_bool(disks->items[i], "readOnly", false) &&
            !strcmp(value_get_text(disks->items[i], "volume", ""), volume))
            return true;
    return false;
}

/* A step of an older plan that is still under way may be giving one of its volumes to another
 * machine, which no look shows yet. */
static bool is_being_given_away(const struct core *core, const struct step *step)
{
    const struct value *disks = value_get(step->spec, "disks");
    const struct task *task;
    if (!value_is_list(disks) || !disks->count || strcmp(step->kind->name, "Instance"))
        return false;
    DL_FOREACH(core->active, task) {
        if (task->kind != step->kind || !strcmp(task->intent.uid, step->uid) ||
            text_compare(value_get_text(task->arguments, "project", NULL), step->project))
            continue;
        for (size_t i = 0; i < disks->count; i++)
            if (!value_get_bool(disks->items[i], "readOnly", false) &&
                has_volume(value_get(task->arguments, "spec"), disks->items[i]))
                return true;
    }
    return false;
}

/* Why the step may not begin in this pass. */
static bool step_is_blocked(struct schedule *schedule, const struct step *step)
{
    struct core *core = schedule->core;
    char what[DIGEST_TEXT];
    if (retry_blocks(core, step->uid, step_what(step, what))) {
        core->blocked++;
        core->stuck += retry_find(core, step->uid)->until_target;
        return true;
    }
    if (waits_for_blocked(schedule, step)) {
        core->blocked++;
        core->stuck++; /* as many as it takes: what it waits for decides */
        return true;
    }
    if (!driver_is_ready(core, step) || is_being_given_away(core, step))
        return true;
    bool has_no_room = room_blocks(core, step);
    core->blocked += has_no_room;
    return has_no_room;
}

static void step_schedule(struct schedule *schedule, const struct step *step)
{
    invariant(step->id >= 1 && step->id <= schedule->core->plan->step_count, "step %u of %zu",
              step->id, schedule->core->plan->step_count);
    struct core *core = schedule->core;
    const struct intent *open = intent_of(schedule->open, schedule->open_count, step->uid);
    if (open)
        schedule->is_used[open - schedule->open] = true;
    struct task *task = task_of_uid(core, step->uid);
    char what[DIGEST_TEXT];
    invariant(step->disposition == RUN, "%s is %s and would be begun", step->name,
              disposition_text(step->disposition));
    invariant(!task || task->kind == step->kind, "%s is under way as a %s", step->name,
              task ? task->kind->name : "");
    if (task ? strcmp(task->what, step_what(step, what)) != 0 : waits_for_busy(schedule, step)) {
        schedule->is_busy[step->id] = schedule->is_blocked[step->id] = true;
        return;
    }
    if (!task && step_is_blocked(schedule, step)) {
        schedule->is_blocked[step->id] = true;
        return;
    }
    if (!task) {
        task = task_new(core, step, open);
        invariant(task->intent.epoch > 0 && task->intent.op[0], "%s begins without an intent",
                  step->name);
        invariant(!open || task->intent.epoch >= open->epoch, "%s: epoch %llu is begun after %llu",
                  step->name, (unsigned long long)task->intent.epoch,
                  open ? (unsigned long long)open->epoch : 0);
        if (open && strcmp(open->op, task->intent.op))
            intent_finish(core, open, "superseded");
        for (size_t i = 0; i < step->after_count; i++)
            if (schedule->task_of_step[step->after[i]])
                task_link(task, schedule->task_of_step[step->after[i]]);
    }
    schedule->task_of_step[step->id] = task;
}

void tasks_schedule(struct core *core)
{
    struct error err = ERROR_INIT;
    struct arena *arena = core->plan_arena;
    const struct plan *plan = core->plan;
    struct schedule schedule = {.core = core};
    invariant(core->config.effects && plan, "a core that only reads schedules tasks");
    tasks_drop_waiting(core);
    core->blocked = core->stuck = core->step_count = 0;
    invariant(!core->waiting, "a step of an older plan still waits to be recorded");
    rooms_schedule(core);
    if (core->env->ledger->intents_open(core->env->store, arena, &schedule.open,
                                        &schedule.open_count, &err) < 0) {
        core_fail(core, &err);
        return;
    }
    if (schedule.open_count)
        qsort(schedule.open, schedule.open_count, sizeof *schedule.open, intent_order);
    schedule.task_of_step = arena_array(arena, plan->step_count + 2, sizeof(struct task *));
    schedule.is_blocked = arena_array(arena, plan->step_count + 2, sizeof(bool));
    schedule.is_busy = arena_array(arena, plan->step_count + 2, sizeof(bool));
    schedule.is_used = arena_array(arena, schedule.open_count + 1, sizeof(bool));
    for (size_t i = 0; i < plan->step_count && !core->failure.code; i++)
        if (plan->steps[i].disposition == RUN)
            step_schedule(&schedule, &plan->steps[i]);
    const struct known **rows = NULL;
    for (size_t i = 0; i < schedule.open_count; i++) {
        const struct intent *intent = &schedule.open[i];
        if (schedule.is_used[i] || task_of_uid(core, intent->uid))
            continue;
        if (!rows)
            rows = rows_by_uid(arena, core->input);
        intent_settle(core, intent, row_find(rows, core->input->known_count, intent->uid));
    }
    invariant(core->stuck <= core->blocked, "%u steps are stuck of %u that wait", core->stuck,
              core->blocked);
}
