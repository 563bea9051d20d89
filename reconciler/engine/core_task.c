/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One step under way. Its intent is durable before it is sent; the driver's "done"
 * is only a claim; the object is looked at, and what the look shows decides. What
 * a driver lost by dying keeps its intent open, so that the next pass sends the
 * same op again if it is still wanted. R1 to R9 are the rules of docs/model/README.md.
 *
 *   WAITING ──► SENT ──claim──► LOOKING ◄──► PAUSED
 *                │ deadline        │ true: confirmed
 *                ▼                 │ not true in time: failed, backs off
 *            CANCELLING ──dead──► LOOKING (once)
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/plan/fields.h"

enum {
    GRACE_MS = 5000, /* for a driver that keeps its own deadline */
    CANCEL_MS = 10000,
    LOOK_MS = 15000,     /* one look */
    LOOK_FOR_MS = 15000, /* how long a claim may take to become true */
    LOOK_PAUSE_MS = 200,
    WINDOW_MAX = 256,   /* tasks with a driver that keeps a queue, while it answers quickly */
    GROUP_WINDOW = 512, /* the same, of a driver that carries out together what waits */
    QUICK_MS = 1000,
    GROUP_QUICK_MS = 20000, /* the same, of groups */
    STEP_S = 60,            /* deadlines of a step */
    IMAGE_S = 1800,
    SHUTDOWN_S = 60,
};

static int64_t mono(const struct core *core)
{
    return core->env->mono_ms(core->env->context);
}

struct task *task_of_uid(struct core *core, const char *uid)
{
    struct task *task;
    HASH_FIND(hh, core->tasks, uid, strlen(uid), task);
    return task;
}

void task_list(struct task *task, struct task **list)
{
    if (task->list)
        DL_DELETE(*task->list, task);
    if (list)
        DL_APPEND(*list, task);
    task->list = list;
}

static int64_t deadline_s(const struct task *task)
{
    if (!strcmp(task->kind->name, "Image") || value_at(task->arguments, "spec.image"))
        return IMAGE_S; /* a volume from an image copies or converts it */
    if (!strcmp(task->kind->name, "Instance"))
        return SHUTDOWN_S + value_at_int(task->arguments, "spec.shutdown.timeout", SHUTDOWN_S);
    return STEP_S;
}

/* ---- ending one --------------------------------------------------------------------- */

static void task_free(struct core *core, struct task *task)
{
    driver_forget_task(core, task);
    HASH_DEL(core->tasks, task);
    task_list(task, NULL);
    arena_free(task->arena);
}

void tasks_free(struct core *core)
{
    while (core->tasks)
        task_free(core, core->tasks);
}

void tasks_drop_waiting(struct core *core)
{
    struct task *task, *next;
    HASH_ITER(hh, core->tasks, task, next) {
        task->dependants = NULL;
        if (task->state == TASK_WAITING)
            task_free(core, task);
    }
}

/* It and all that waits for it are to go. */
static void task_doom(struct task *task)
{
    invariant(task->state != TASK_SENT && task->state != TASK_CANCELLING,
              "op %s is dropped while driver %s has it", task->intent.op, task->driver->name);
    if (task->is_doomed)
        return;
    task->is_doomed = true;
    for (const struct dependant *link = task->dependants; link; link = link->next)
        task_doom(link->task);
}

static void doomed_unlink(struct task *before)
{
    for (struct dependant **link = &before->dependants; *link;)
        if ((*link)->task->is_doomed)
            *link = (*link)->next;
        else
            link = &(*link)->next;
}

/* Of those that stay none may know them any more. However many they are, all tasks are walked
 * once. */
static void doomed_free(struct core *core)
{
    struct task *task, *next;
    for (task = core->tasks; task; task = task->hh.next)
        doomed_unlink(task);
    HASH_ITER(hh, core->tasks, task, next)
        if (task->is_doomed)
            task_free(core, task);
    core->has_run = true;
}

/* Drops what waits for nothing, and all that waits for it; their intents stay open. */
static void task_drop(struct core *core, struct task *task)
{
    invariant(task->pending == 0, "op %s is dropped, and %u others know it", task->intent.op,
              task->pending);
    task_doom(task);
    if (task->dependants) {
        doomed_free(core);
        return;
    }
    task_free(core, task);
    core->has_run = true;
}

/* Whoever waits for the driver and would find no room either, and what waits for these. */
static void tasks_drop_full(struct core *core, const struct driver *driver)
{
    for (struct task *task = driver->waiting; task; task = task->next)
        if (room_is_full_for(core, task))
            task_doom(task);
    doomed_free(core);
}

/* It is no longer the driver's turn. */
static void task_leave_driver(struct task *task)
{
    if (task->state != TASK_SENT && task->state != TASK_CANCELLING)
        return;
    invariant(task->driver->in_flight > 0, "driver %s has op %s, and none in flight",
              task->driver->name, task->intent.op);
    task->driver->in_flight--;
    task->driver->alone_in_flight -= task->is_alone;
    task->is_alone = false;
    task->state = TASK_WAITING; /* nobody has it */
}

static struct about task_about(const struct task *task)
{
    return (struct about){task->intent.uid, task->after.kind, task->after.project,
                          task->after.name};
}

static const char *task_label(struct core *core, const struct task *task)
{
    return identity_label(batch_arena(core), task->after.kind, task->after.project,
                          task->after.name);
}

static struct value *task_data(struct core *core, const struct task *task)
{
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "op", task->intent.op);
    value_set_text(arena, data, "verb", task->intent.verb);
    value_set_text(arena, data, "plan", task->intent.plan);
    return data;
}

/* How long it took in all, and how long of that the driver had it. */
static void task_times(struct core *core, const struct task *task, struct value *data)
{
    struct arena *arena = batch_arena(core);
    value_set_int(arena, data, "ms", mono(core) - task->started_ms);
    if (task->driver)
        value_set_int(arena, data, "callMs",
                      (task->answered_ms ? task->answered_ms : mono(core)) - task->started_ms);
}

static void task_confirm(struct core *core, struct task *task)
{
    const struct about about = task_about(task);
    invariant(task->state == TASK_LOOKING || !task->driver, "op %s is confirmed without a look",
              task->intent.op);
    invariant(task->pending == 0, "op %s is confirmed before %u others", task->intent.op,
              task->pending);
    task->intent.state = "confirmed";
    task->intent.finished_at = core_now_s(core);
    save_object(core, &task->after);
    seen_set_row(core, &task->after);
    save_intent(core, &task->intent);
    if (task->approval)
        hold_drop(core, task->approval);
    if (task->is_measure)
        leavings_forget(core);
    struct value *data = task_data(core, task);
    task_times(core, task, data);
    core_event(core, "op.confirmed", &about, data, "%s: %s confirmed", task_label(core, task),
               task->intent.verb);
    drift_healed_by(core, task);
    room_is_there(core, task);
    retry_confirmed(core, task->intent.uid, task->what);
    for (struct dependant *link = task->dependants; link; link = link->next) {
        invariant(link->task->pending > 0, "op %s waits for nothing, and not for op %s",
                  link->task->intent.op, task->intent.op);
        link->task->pending--;
    }
    core->has_run = true;
    task_free(core, task);
}

static void task_report_failure(struct core *core, struct task *task, const struct error *err,
                                int64_t pause_ms)
{
    struct arena *arena = batch_arena(core);
    const struct about about = task_about(task);
    struct value *data = task_data(core, task);
    task_times(core, task, data);
    value_set_text(arena, data, "message", err->message);
    value_set_text(arena, data, "hint", err->hint);
    value_set_text(arena, data, "nextTry", core_time_text(arena, core_now_ms(core) + pause_ms));
    core_event(core, "op.failed", &about, data, "%s: %s failed: %s", task_label(core, task),
               task->intent.verb, err->message);
}

/* `state` of the intent: "failed" ends it; "pending" keeps it for the same op again, which finds
 * what it has made already (R5). */
static void task_fail(struct core *core, struct task *task, const struct error *err,
                      bool until_target, const char *state)
{
    const struct driver *full = room_lacks(core, task, err) ? task->driver : NULL;
    int64_t pause = retry_failed(core, task->intent.uid, task->what, until_target);
    invariant(pause > 0, "op %s would be tried again without a pause", task->intent.op);
    invariant(err->code != 0, "op %s fails for no reason", task->intent.op);
    task_leave_driver(task);
    task->intent.state = state;
    task->intent.error = err->hint[0] ? arena_printf(task->arena, "%s; %s", err->message, err->hint)
                                      : arena_text(task->arena, err->message);
    task->intent.not_before = (core_now_ms(core) + pause) / 1000;
    if (!strcmp(state, "failed"))
        task->intent.finished_at = core_now_s(core);
    else if (task->revision != core->revision) /* sent again, it is another target's (RFD 13) */
        task->intent.is_approved = false;
    save_intent(core, &task->intent);
    task_report_failure(core, task, err, pause);
    task_drop(core, task);
    if (full)
        tasks_drop_full(core, full);
}

/* ---- is it true? -------------------------------------------------------------------- */

static bool damage_has(const struct value *damage, const char *path)
{
    return value_is_list(damage) && value_find(damage, "path", path) != NULL;
}

static bool field_is_true(const struct plan_field *field, const struct observation *seen,
                          bool may_be_booted)
{
    if (!field->field)
        return !damage_has(seen->damage, field->path);
    if (field->field->is_sensitive || field->change == CHANGE_METADATA)
        return true;
    if (value_is_map(field->to)) /* an element of a keyed list: its fields show at the next pass */
        return true;
    const struct value *now = spec_at(seen->spec, field->path);
    /* Of what changes while it runs, the start proves nothing, neither for nor against. */
    const struct value *then = may_be_booted ? spec_at(seen->booted, field->path) : NULL;
    if (!now && !then)
        return true; /* not looked at, or gone as it should be */
    return value_equal(now, field->to) || (then && value_equal(then, field->to));
}

/* R6: what the look does not bear out, or NULL if the step is done. */
static const char *task_doubt(struct task *task, const struct observation *seen)
{
    const char *verb = task->intent.verb;
    if (!seen->known)
        return "its state cannot be told";
    /* R7: the epoch, for absence alone confirms no delete.
     * What another driver carried out (growing a volume that a machine holds) the object's
     * own driver has no epoch of: there the fields alone tell. */
    if (seen->epoch < task->intent.epoch && task->driver == task->look_driver)
        return arena_printf(task->arena, "the driver has acknowledged epoch %llu, not %llu",
                            (unsigned long long)seen->epoch,
                            (unsigned long long)task->intent.epoch);
    if (!strcmp(verb, "delete"))
        return seen->absent ? NULL : "it is still there";
    if (!strcmp(verb, "release"))
        return seen->absent || seen->released ? NULL : "it is not marked released";
    if (seen->absent)
        return "it is not there";
    if (!strcmp(verb, "adopt") && seen->released)
        return "it is still marked released";
    bool is_boot = !strcmp(verb, "restart") || !strcmp(verb, "create");
    for (size_t i = 0; i < task->field_count; i++)
        if (!field_is_true(&task->fields[i], seen,
                           is_boot || task->fields[i].change == CHANGE_RESTART))
            return arena_printf(task->arena, "%s is not as asked", task->fields[i].path);
    return NULL;
}

/* Its intent stays open: the same op is sent again if it is still wanted. */
static void task_lose(struct core *core, struct task *task, const struct driver *driver)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_BUSY, "driver %s ended meanwhile", driver->name);
    task_fail(core, task, &err, false, "pending");
}

/* Soon: those that are due together may be one request. */
static void task_look(struct core *core, struct task *task)
{
    invariant(task->look_driver, "op %s is looked at by nobody", task->intent.op);
    if (task->look_driver->state != DRIVER_READY) { /* another one has carried it out */
        task_lose(core, task, task->look_driver);
        return;
    }
    task->state = TASK_PAUSED;
    task->look_at_ms = mono(core);
}

static bool is_due(const struct core *core, const struct task *task, const struct driver *driver)
{
    return task->look_driver == driver && task->state == TASK_PAUSED &&
           task->look_at_ms <= mono(core);
}

/* One request for all that are due if the driver looks at them together; else one each, so that
 * an object whose look hangs costs no other's. */
static void tasks_look(struct core *core, struct driver *driver)
{
    struct arena *arena = batch_arena(core);
    struct value *uids = NULL;
    struct task *task;
    int64_t look = 0;
    DL_FOREACH(core->active, task) {
        if (!is_due(core, task, driver))
            continue;
        if (!uids || !driver->makes_groups) {
            struct value *params = value_map(arena);
            uids = value_set(arena, params, "uids", value_list(arena));
            look = driver_request(core, driver, REQUEST_LOOK, "observe", params, LOOK_MS)->id;
        } /* it leaves at the end of the turn, with all that is added until then */
        value_append(arena, uids, value_text(arena, task->intent.uid));
        task->state = TASK_LOOKING;
        task->look = look;
    }
}

struct task *task_of_look(const struct core *core, const struct driver *driver, int64_t look)
{
    struct task *task;
    DL_FOREACH(core->active, task)
        if (task->state == TASK_LOOKING && task->look_driver == driver && task->look == look)
            return task;
    return NULL;
}

void task_looked(struct core *core, struct task *task, const struct value *object)
{
    invariant(task->state == TASK_LOOKING, "a look is answered once");
    struct observation seen = {.known = false};
    if (object)
        seen = observation_read(core, batch_arena(core), object);
    const char *doubt = task_doubt(task, &seen);
    if (!doubt) {
        if (task->after.life == LIFE_RELEASED && seen.absent)
            task->after.life = LIFE_GONE; /* there was nothing to keep */
        task_confirm(core, task);
        return;
    }
    if (task->is_late || mono(core) >= task->look_until_ms) {
        struct error err = ERROR_INIT;
        error_set(&err, ERR_BUSY,
                  task->is_late ? "it was not done by its deadline: %s"
                                : "the driver said done, but %s",
                  doubt);
        task_fail(core, task, &err, false, "failed");
        return;
    }
    task->state = TASK_PAUSED;
    task->look_at_ms = mono(core) + task->look_pause_ms;
    task->look_pause_ms *= 2;
}

unsigned window_begin(const struct core *core, const struct driver *driver)
{
    return driver->makes_groups && core->config.parallelism < GROUP_WINDOW
               ? GROUP_WINDOW
               : core->config.parallelism;
}

static bool is_grouped(const struct driver *driver, const struct kind *kind)
{
    size_t i = 0, count;
    const struct kind *const *kinds = kinds_get(&count);
    for (; kinds[i] != kind; i++)
        invariant(i + 1 < count, "%s is no kind", kind->name);
    return driver->grouped_kinds >> i & 1;
}

/* Of what a driver carries out together many are sent at once. What may take long it does not. */
static bool goes_alone(const struct task *task)
{
    return task->driver->makes_groups &&
           (deadline_s(task) > STEP_S || !is_grouped(task->driver, task->kind));
}

/* A group that died goes one by one for a while, and each has its deadline from when it was sent.
 * What is in no group says nothing of them. */
static void window_narrow(const struct core *core, const struct task *task)
{
    if (task->driver->makes_groups && !goes_alone(task))
        task->driver->window = core->config.parallelism;
}

/* A driver that works one after the other is not asked for more at once by being sent more; but
 * what comes together is made durable together, on both sides. It is sent more for each quick
 * answer, and what the site allows once one was slow: each task has its deadline from when it
 * was sent. */
static void window_adapt(const struct core *core, const struct task *task)
{
    struct driver *driver = task->driver;
    int64_t took_ms = task->answered_ms - task->started_ms;
    unsigned most = window_begin(core, driver), more = driver->window + core->config.parallelism;
    if (driver->makes_groups && took_ms > GROUP_QUICK_MS)
        window_narrow(core, task);
    else if (driver->makes_groups)
        driver->window = more < most ? more : most;
    else if (driver->keeps_queue && took_ms > QUICK_MS)
        driver->window = core->config.parallelism;
    else if (driver->keeps_queue && driver->window < WINDOW_MAX)
        driver->window++;
}

/* ---- what the driver says ----------------------------------------------------------- */

/* R4, of which R3 takes account. An object's own driver tells by a look what it has acknowledged,
 * and what it let in and never ended only here; another one, which holds the object open, tells
 * everything here or nowhere. */
void task_fenced(struct core *core, const struct task *task, int64_t epoch)
{
    struct seen *seen = seen_find(core, task->intent.uid);
    invariant(seen, "%s has an intent and no row", task->intent.uid);
    if (epoch > 0 && epoch < EPOCH_CREDIBLE)
        seen_rare_set(seen)->fence = (uint64_t)epoch;
}

void task_answered(struct core *core, struct task *task, const struct error *refusal, bool is_final)
{
    if (task->state != TASK_SENT)
        return; /* being cancelled: the look decides */
    if (refusal) {
        if (refusal->code == ERR_SYSTEM || refusal->code == ERR_BUSY)
            window_narrow(core, task);
        if (refusal->code == ERR_STALE)
            seen_mark_dirty(core, task->look_driver, task->intent.uid, NULL);
        task_fail(core, task, refusal, is_final, "failed");
        return;
    }
    task_leave_driver(task);
    task->answered_ms = mono(core);
    window_adapt(core, task);
    task->intent.state = "claimed";
    save_intent(core, &task->intent);
    task->look_pause_ms = LOOK_PAUSE_MS;
    task->look_until_ms = mono(core) + LOOK_FOR_MS;
    task_look(core, task);
}

void task_cancelled(struct core *core, struct task *task)
{
    invariant(task->state == TASK_CANCELLING, "a cancel is answered once");
    window_narrow(core, task);
    task_leave_driver(task);
    task->answered_ms = mono(core);
    task->is_late = true;
    task_look(core, task);
}

void tasks_driver_lost(struct core *core, struct driver *driver)
{
    for (struct task *task = core->tasks; task;) {
        bool was_sent =
            task->driver == driver && (task->state == TASK_SENT || task->state == TASK_CANCELLING);
        bool was_looking = task->look_driver == driver &&
                           (task->state == TASK_LOOKING || task->state == TASK_PAUSED);
        if (!was_sent && !was_looking) {
            task = task->hh.next;
            continue;
        }
        task_lose(core, task, driver);
        task = core->tasks; /* what waited for it is gone too */
    }
    driver->in_flight = driver->alone_in_flight = 0;
}

/* ---- going on ----------------------------------------------------------------------- */

static void task_send(struct core *core, struct task *task)
{
    struct arena *arena = batch_arena(core);
    const struct about about = task_about(task);
    int64_t seconds = deadline_s(task);
    invariant(task->state == TASK_WAITING && task->pending == 0,
              "op %s is sent in state %d, before %u others", task->intent.op, task->state,
              task->pending);
    task->started_ms = mono(core);
    task->answered_ms = 0;
    core->was_announced = false;
    struct value *data = task_data(core, task);
    value_set_int(arena, data, "step", task->step);
    value_set_int(arena, data, "of", task->of);
    if (task->driver) {
        value_set_text(arena, data, "driver", task->driver->name);
        value_set_int(arena, data, "call", task->driver->last_id + 1);
    }
    core_event(core, "op.started", &about, data, "%s: %s", task_label(core, task),
               task->intent.verb);
    if (!task->driver) { /* our records are all there is of it */
        task_confirm(core, task);
        return;
    }
    struct value *params = value_copy(arena, task->arguments);
    value_set_text(arena, params, "op", task->intent.op);
    value_set_text(arena, params, "verb", task->intent.verb);
    value_set_int(arena, params, "epoch", (int64_t)task->intent.epoch);
    value_set_int(arena, params, "deadline", seconds);
    task->intent.attempts++;
    task->state = TASK_SENT;
    task_list(task, &core->active);
    task->deadline_ms = task->started_ms + 1000 * seconds + GRACE_MS;
    task->driver->in_flight++;
    task->is_alone = goes_alone(task);
    task->driver->alone_in_flight += task->is_alone;
    driver_request(core, task->driver, REQUEST_APPLY, "apply", params, INT32_MAX)->task = task;
}

static void task_cancel(struct core *core, struct task *task)
{
    struct value *params = value_map(batch_arena(core));
    invariant(task->state == TASK_SENT, "op %s is cancelled in state %d", task->intent.op,
              task->state);
    value_set_text(batch_arena(core), params, "op", task->intent.op);
    task->state = TASK_CANCELLING;
    driver_request(core, task->driver, REQUEST_CANCEL, "cancel", params, CANCEL_MS)->task = task;
}

static void tasks_go_on(struct core *core)
{
    int64_t now = mono(core);
    struct task *task;
    DL_FOREACH(core->active, task)
        if (task->state == TASK_SENT && task->deadline_ms <= now)
            task_cancel(core, task);
    for (size_t i = 0; i < core->config.driver_count; i++)
        tasks_look(core, &core->drivers[i]);
}

static bool driver_has_room(const struct driver *driver)
{
    return driver->state == DRIVER_READY &&
           driver->in_flight - driver->alone_in_flight < driver->window;
}

/* It was planned by a whole list, and the one that came since is not: the next plan decides. */
static bool is_in_doubt(const struct task *task)
{
    bool removes = !strcmp(task->intent.verb, "delete") || !strcmp(task->intent.verb, "release");
    return removes && !task->look_driver->is_listed;
}

static bool may_be_sent(const struct core *core, const struct task *task)
{
    return !task->pending && !is_in_doubt(task) &&
           (task->driver->alone_in_flight < core->config.parallelism || !goes_alone(task));
}

void tasks_advance(struct core *core)
{
    struct task *task, *next;
    tasks_go_on(core);
    if (core->is_stopping)
        return;
    DL_FOREACH_SAFE(core->waiting, task, next)
        if (!task->pending)
            task_send(core, task); /* and it is confirmed: what waits for it may begin, too */
    for (size_t i = 0; i < core->config.driver_count; i++) {
        struct driver *driver = &core->drivers[i];
        for (task = driver->waiting; task && driver_has_room(driver); task = next) {
            next = task->next;
            if (may_be_sent(core, task))
                task_send(core, task);
        }
    }
}

int64_t tasks_next_ms(const struct core *core)
{
    int64_t soonest = INT64_MAX;
    for (const struct task *task = core->active; task; task = task->next) {
        int64_t at = task->state == TASK_SENT     ? task->deadline_ms
                     : task->state == TASK_PAUSED ? task->look_at_ms
                                                  : INT64_MAX;
        if (at < soonest)
            soonest = at;
    }
    return soonest;
}
