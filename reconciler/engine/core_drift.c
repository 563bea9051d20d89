/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drift: what the plan says that the world has moved by itself. A row is open from
 * the look that first shows it to the look that no longer does. A field that is
 * healed three times within ten minutes is contested: somebody else wants it
 * otherwise, and it is tried again only after pauses that double, while everything
 * else goes on. Of a state that nobody sets the pauses stay as short as the first.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/diff.h"
#include "model/json.h"
#include "model/kind.h"

enum {
    CONTEST_HEALS = 3,
    CONTEST_WINDOW_S = 600,
    CONTEST_FIRST_S = 60,
    CONTEST_LAST_S = 3600,
    REFRESH_S = 60, /* how often last_seen of an open row is written */
};

/* ---- contests ----------------------------------------------------------------------- */

/* What nobody sets, such as a disk that is full or a process that dies, is no quarrel: it may be
 * gone the next minute, and is mended then. */
static bool is_state(const char *path)
{
    return strncmp(path, "status.", 7) == 0;
}

static int64_t contest_pause_s(const char *path, unsigned count)
{
    unsigned doublings = count > CONTEST_HEALS && !is_state(path) ? count - CONTEST_HEALS : 0;
    int64_t pause = doublings >= 6 ? CONTEST_LAST_S : (int64_t)CONTEST_FIRST_S << doublings;
    invariant(pause >= CONTEST_FIRST_S, "a contest of %u pauses %lld s", count, (long long)pause);
    return pause < CONTEST_LAST_S ? pause : CONTEST_LAST_S;
}

static void contest_drop(struct core *core, struct contested *contest)
{
    DL_DELETE(core->contests, contest);
    free(contest->path);
    free(contest);
}

void contests_free(struct core *core)
{
    struct contested *contest, *next;
    DL_FOREACH_SAFE(core->contests, contest, next)
        contest_drop(core, contest);
}

static struct contested *contest_get(struct core *core, const char *uid, const char *path)
{
    struct contested *contest;
    DL_FOREACH(core->contests, contest)
        if (!strcmp(contest->uid, uid) && !strcmp(contest->path, path))
            return contest;
    contest = memory_need(calloc(1, sizeof *contest));
    char *copy = memory_need(strdup(path));
    strncpy(contest->uid, uid, sizeof contest->uid - 1);
    contest->path = copy;
    DL_APPEND(core->contests, contest);
    return contest;
}

static bool contest_is_over(const struct contested *contest, int64_t now)
{
    int64_t pause =
        contest->count < CONTEST_HEALS ? 0 : 2 * contest_pause_s(contest->path, contest->count);
    return now - contest->last > (pause > CONTEST_WINDOW_S ? pause : CONTEST_WINDOW_S);
}

static void contests_save(struct core *core)
{
    struct arena *arena = arena_new();
    struct value *list = value_list(arena);
    const struct contested *contest;
    DL_FOREACH(core->contests, contest) {
        struct value *entry = value_append(arena, list, value_map(arena));
        value_set_text(arena, entry, "uid", contest->uid);
        value_set_text(arena, entry, "path", contest->path);
        value_set_int(arena, entry, "count", contest->count);
        value_set_int(arena, entry, "last", contest->last);
        value_set_int(arena, entry, "nextTry", contest->next_try);
    }
    save_fact(core, "contests", json_text(arena, list));
    arena_free(arena);
}

void contests_load(struct core *core)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *list = NULL;
    const char *text = load_fact(core, arena, "contests");
    if (text && json_read(arena, text, strlen(text), &list, &err) == 0 && value_is_list(list))
        for (size_t i = 0; i < list->count; i++) {
            const struct value *entry = list->items[i];
            if (value_get_int(entry, "last", 0) < 0 || value_get_int(entry, "nextTry", 0) < 0)
                continue; /* no time that was ever written */
            struct contested *contest = contest_get(core, value_get_text(entry, "uid", ""),
                                                    value_get_text(entry, "path", ""));
            contest->count = (unsigned)value_get_int(entry, "count", 0);
            contest->last = value_get_int(entry, "last", 0);
            contest->next_try = value_get_int(entry, "nextTry", 0);
        }
    arena_free(arena);
}

const struct contest *contests_input(struct core *core, struct arena *arena, size_t *count)
{
    int64_t now = core_now_s(core);
    struct contested *contest, *next;
    size_t room = 0;
    DL_FOREACH_SAFE(core->contests, contest, next) {
        if (contest_is_over(contest, now))
            contest_drop(core, contest);
        else
            room++;
    }
    struct contest *list = arena_array(arena, room + 1, sizeof *list);
    *count = 0;
    DL_FOREACH(core->contests, contest)
        if (contest->count >= CONTEST_HEALS && contest->next_try > now)
            list[(*count)++] = (struct contest){
                .uid = arena_text(arena, contest->uid),
                .path = arena_text(arena, contest->path),
                .count = contest->count,
                .next_try = contest->next_try,
            };
    invariant(*count <= room, "%zu contests of %zu", *count, room);
    return list;
}

int64_t contests_next_s(const struct core *core)
{
    int64_t soonest = INT64_MAX, now = core_now_s(core);
    const struct contested *contest;
    DL_FOREACH(core->contests, contest)
        if (contest->count >= CONTEST_HEALS && contest->next_try > now &&
            contest->next_try < soonest)
            soonest = contest->next_try;
    return soonest;
}

static void contest_note(struct core *core, const struct task *task, const char *path)
{
    /* restartPolicy has a back-off of its own. */
    if (!strcmp(task->after.kind, "Instance") && !strcmp(path, "spec.power"))
        return;
    invariant(task->cause == CAUSE_DRIFT, "%s: %s is set back, and was no drift", task->intent.uid,
              path);
    struct contested *contest = contest_get(core, task->intent.uid, path);
    contest->last = core_now_s(core);
    contest->count++;
    invariant(contest->uid[0], "%s is contested by nobody", path);
    if (contest->count >= CONTEST_HEALS)
        contest->next_try = contest->last + contest_pause_s(path, contest->count);
    contests_save(core);
    if (contest->count < CONTEST_HEALS)
        return;
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "path", path);
    value_set_int(arena, data, "count", contest->count);
    value_set_text(arena, data, "nextTry", core_time_text(arena, 1000 * contest->next_try));
    const struct about about = {task->intent.uid, task->after.kind, task->after.project,
                                task->after.name};
    core_event(core, "drift.contested", &about, data, "%s: %s %s %u times; next try at %s",
               identity_label(arena, about.kind, about.project, about.name), path,
               is_state(path) ? "came back" : "was set back", contest->count,
               value_get_text(data, "nextTry", ""));
}

/* ---- rows --------------------------------------------------------------------------- */

struct open_rows {
    struct drift_row *rows;
    size_t count;
    bool *is_there; /* in this plan too */
};

static struct drift_row *open_find(struct open_rows *open, const char *uid, const char *path)
{
    invariant(open->is_there, "drift is compared with rows that were not read");
    for (size_t i = 0; i < open->count; i++)
        if (!strcmp(open->rows[i].uid, uid) && !strcmp(open->rows[i].path, path)) {
            open->is_there[i] = true;
            return &open->rows[i];
        }
    return NULL;
}

static const char *leaf_text(struct arena *arena, const struct plan_field *field,
                             const struct value *value)
{
    return value ? json_text(arena, diff_value_json(arena, field->field, value)) : "null";
}

/* As people read it, in the units of its field. */
static const char *side_text(struct arena *arena, const struct drift_row *row, const char *json)
{
    struct error ignored = ERROR_INIT;
    struct value *value = NULL;
    const struct kind *kind = kind_find(row->kind);
    const struct field *field = kind ? kind_field(kind, row->path) : NULL;
    if (json_read(arena, json, strlen(json), &value, &ignored) < 0)
        return json;
    return diff_value_text(arena, field, value);
}

/* `op` healed it; NULL: it was found, or ended by itself. */
static void drift_event(struct core *core, const char *type, const struct drift_row *row,
                        const char *op)
{
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "path", row->path);
    value_set_text(arena, data, "desired", row->desired);
    value_set_text(arena, data, "observed", row->observed);
    value_set_text(arena, data, "cause", row->cause);
    value_set_text(arena, data, "detectedBy", row->detected_by);
    if (op && *op)
        value_set_text(arena, data, "op", op);
    const struct about about = {row->uid, row->kind, row->project, row->name};
    const char *label = identity_label(arena, row->kind, row->project, row->name);
    const char *desired = side_text(arena, row, row->desired);
    invariant(op || strcmp(type, "drift.healed") != 0, "%s healed, and nobody says by what",
              row->path);
    if (!strcmp(type, "drift.healed"))
        core_event(core, type, &about, data, "%s: %s is %s again", label, row->path, desired);
    else
        core_event(core, type, &about, data, "%s: %s is %s, should be %s", label, row->path,
                   side_text(arena, row, row->observed), desired);
}

/* What the driver said of it since it was last looked at; NULL: nothing. */
static const char *seen_why(struct core *core, const char *uid)
{
    const struct seen *seen = seen_find(core, uid);
    return seen ? seen_rare(seen)->why : NULL;
}

/* Never more than there is evidence for. */
static const char *cause_of(struct core *core, const char *uid)
{
    const char *why = seen_why(core, uid);
    if (why)
        return why;
    return core->looks <= 1 ? "unknown: it changed before the first look since Spinel started"
                            : "unknown";
}

static void drift_seen(struct core *core, struct open_rows *open, struct drift_row *row)
{
    struct error err = ERROR_INIT;
    invariant(row->path && row->desired && row->observed && row->disposition && row->reason,
              "drift of %s lacks a member", row->uid);
    const struct drift_row *before = open_find(open, row->uid, row->path);
    invariant(!before || before->healed_at == 0, "drift of %s %s is open, and healed", row->uid,
              row->path);
    if (before && !seen_why(core, row->uid))
        row->cause = before->cause; /* what was known when it was found stays known */
    if (before && row->last_seen - before->last_seen < REFRESH_S &&
        !strcmp(before->observed, row->observed) && !strcmp(before->desired, row->desired) &&
        !strcmp(before->disposition, row->disposition) && !strcmp(before->reason, row->reason))
        return;
    if (batch_open(core) && core->env->ledger->drift_seen(core->env->store, row, &err) < 0)
        core_fail(core, &err);
    if (!before && strcmp(row->disposition, disposition_text(IGNORED))) {
        core->was_announced = false;
        drift_event(core, "drift.found", row, NULL);
    }
}

static struct drift_row drift_row_of(struct core *core, const struct step *step)
{
    int64_t now = core_now_s(core);
    return (struct drift_row){
        .uid = step->uid,
        .kind = step->kind->name,
        .project = step->project,
        .name = step->name,
        .since = now,
        .last_seen = now,
        .detected_by = core->round.detected_by ? core->round.detected_by : "plan",
        .cause = cause_of(core, step->uid),
        .healed_by = "",
    };
}

/* Why it is not simply healed; "" if it is. */
static const char *reason_of(enum disposition disposition, const char *reason)
{
    return disposition == RUN || !reason ? "" : reason;
}

static void step_drift(struct core *core, struct open_rows *open, const struct step *step)
{
    struct drift_row row = drift_row_of(core, step);
    bool is_gone = step->action == ACTION_CREATE && step->cause == CAUSE_DRIFT;
    invariant(!is_gone || step->known, "%s is gone, and was never there", step->name);
    for (size_t i = 0; i < step->field_count && !is_gone; i++) {
        const struct plan_field *field = &step->fields[i];
        if (field->cause != CAUSE_DRIFT)
            continue;
        row.path = field->path;
        row.desired = leaf_text(core->plan_arena, field, field->to);
        row.observed = leaf_text(core->plan_arena, field, field->from);
        row.disposition = disposition_text(field->disposition);
        row.reason = reason_of(field->disposition, field->reason ? field->reason : step->reason);
        drift_seen(core, open, &row);
    }
    if (!is_gone)
        return;
    row.path = DRIFT_WHOLE;
    row.desired = "\"present\"";
    row.observed = "\"absent\"";
    row.disposition = disposition_text(step->disposition);
    row.reason = reason_of(step->disposition, step->reason);
    drift_seen(core, open, &row);
}

static void row_heal(struct core *core, const struct drift_row *row, const char *by)
{
    invariant(row->healed_at == 0, "drift of %s %s was healed before", row->uid, row->path);
    struct error err = ERROR_INIT;
    if (batch_open(core) && core->env->ledger->drift_healed(core->env->store, row->uid, row->path,
                                                            core_now_s(core), by, &err) < 0)
        core_fail(core, &err);
    if (strcmp(row->disposition, disposition_text(IGNORED)))
        drift_event(core, "drift.healed", row, by);
}

static bool is_unknown(const struct core *core, const char *uid)
{
    for (size_t i = 0; i < core->input->known_count; i++)
        if (!strcmp(core->input->known[i].uid, uid))
            return !core->input->known[i].observed.known;
    return false; /* no longer ours */
}

static bool open_load(struct core *core, struct open_rows *open)
{
    struct error err = ERROR_INIT;
    struct arena *arena = core->plan_arena;
    invariant(arena, "drift is read into no plan");
    if (core->env->ledger->drifts(core->env->store, arena, INT64_MAX, &open->rows, &open->count,
                                  &err) < 0) {
        core_fail(core, &err);
        return false;
    }
    open->is_there = arena_array(arena, open->count + 1, sizeof *open->is_there);
    return true;
}

static void why_forget(struct seen *seen)
{
    if (!seen->rare)
        return;
    free(seen->rare->why);
    seen->rare->why = NULL;
}

/* A notice explains what the look after it shows, and nothing that comes later. */
static void whys_settle(struct core *core)
{
    for (struct seen *seen = core->seen.first; seen; seen = seen->next)
        if (seen_rare(seen)->why && !seen->is_dirty && !task_of_uid(core, seen->uid))
            why_forget(seen);
}

void drift_record(struct core *core)
{
    struct open_rows open = {0};
    invariant(core->plan && core->input && core->config.effects, "drift of a plan that is none");
    if (!open_load(core, &open))
        return;
    for (size_t i = 0; i < core->plan->step_count; i++)
        if (!task_of_uid(core, core->plan->steps[i].uid))
            step_drift(core, &open, &core->plan->steps[i]);
    for (size_t i = 0; i < open.count; i++)
        if (!open.is_there[i] && !task_of_uid(core, open.rows[i].uid) &&
            !is_unknown(core, open.rows[i].uid))
            row_heal(core, &open.rows[i], "");
    whys_settle(core);
}

void drift_healed_by(struct core *core, const struct task *task)
{
    struct open_rows open = {0};
    if (task->cause != CAUSE_DRIFT || !core->plan_arena || !open_load(core, &open))
        return;
    for (size_t i = 0; i < open.count; i++) {
        if (strcmp(open.rows[i].uid, task->intent.uid))
            continue;
        invariant(task->intent.op && task->intent.op[0], "drift of %s is healed by nothing",
                  task->intent.uid);
        row_heal(core, &open.rows[i], task->intent.op);
        contest_note(core, task, open.rows[i].path);
    }
    struct seen *seen = seen_find(core, task->intent.uid);
    if (seen)
        why_forget(seen);
}
