/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The making of a task: what a step does, its intent with the epoch that it gets, the row as it is
 * from now on and as it will be once the step is confirmed. All of it is in the batch, and durable
 * before anything is sent (R2 of docs/model/README.md).
 */
#include "reconciler/engine/core_state.h"

#include <string.h>
#include "model/invariant.h"
#include "model/text.h"
#include "reconciler/plan/fields.h"

enum { TASK_ROOM = 5632 /* bytes: what a volume's task takes, and a little more */ };

static const char *const verbs[] = {
    [ACTION_CREATE] = "create",   [ACTION_UPDATE] = "update", [ACTION_RESTART] = "restart",
    [ACTION_REPLACE] = "delete",  [ACTION_DELETE] = "delete", [ACTION_ADOPT] = "adopt",
    [ACTION_RELEASE] = "release", [ACTION_NONE] = "update",
};

const char *step_what(const struct step *step, char *what)
{
    struct text text = TEXT_INIT;
    text_add(&text, verbs[step->action]);
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition == RUN)
            text_printf(&text, "\n%s", step->fields[i].path);
    digest_bytes(text.data, text.len, what);
    text_free(&text);
    return what;
}

/* Of a row as it will be confirmed: nothing that was tried is left of it. */
static void known_copy(struct arena *arena, struct known *row)
{
    invariant(!row->tried, "%s is confirmed, and something is still tried", row->uid);
    row->uid = arena_text(arena, row->uid);
    row->kind = arena_text(arena, row->kind);
    row->project = arena_text(arena, row->project);
    row->name = arena_text(arena, row->name);
    row->chosen = value_copy(arena, row->chosen);
    row->applied = row->applied ? value_copy(arena, row->applied) : NULL;
    row->labels = row->labels ? value_copy(arena, row->labels) : NULL;
    row->observed = (struct observation){0};
}

/* For `history`: what the step does, without anything sensitive. */
static const struct value *step_record(struct arena *arena, const struct step *step)
{
    struct value *record = value_map(arena), *fields = value_list(arena);
    value_set_text(arena, record, "action", action_text(step->action));
    value_set_text(arena, record, "kind", step->kind->name);
    value_set_text(arena, record, "project", step->project);
    value_set_text(arena, record, "name", step->name);
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];
        if (field->disposition != RUN)
            continue;
        struct value *entry = value_append(arena, fields, value_map(arena));
        value_set_text(arena, entry, "path", field->path);
        if (field->from)
            value_set(arena, entry, "from", diff_value_json(arena, field->field, field->from));
        if (field->to)
            value_set(arena, entry, "to", diff_value_json(arena, field->field, field->to));
    }
    value_set(arena, record, "fields", fields);
    value_set_text(arena, record, "reason", step->reason);
    return record;
}

static void task_keep_fields(struct task *task, const struct step *step)
{
    struct plan_field *kept = arena_array(task->arena, step->field_count + 1, sizeof *kept);
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];
        if (field->disposition != RUN)
            continue;
        struct plan_field *copy = &kept[task->field_count++];
        *copy = *field;
        copy->path = arena_text(task->arena, field->path);
        copy->from = field->from ? value_copy(task->arena, field->from) : NULL;
        copy->to = field->to ? value_copy(task->arena, field->to) : NULL;
        copy->means = copy->reason = NULL;
    }
    task->fields = kept;
}

static struct known row_of_step(struct core *core, const struct step *step)
{
    struct known row = {.uid = step->uid, .kind = step->kind->name, .life = LIFE_NEW};
    (void)core;
    if (step->known)
        row = *step->known;
    else {
        row.project = step->project;
        row.name = step->name;
    }
    row.chosen = step->chosen;
    return row;
}

static void task_rows(struct core *core, struct task *task, const struct step *step, uint64_t epoch)
{
    struct known row = row_of_step(core, step);
    row.epoch = epoch;
    invariant(row.chosen, "%s: nothing was chosen for it", step->name);
    invariant(epoch > 0 && (!step->known || epoch >= step->known->epoch),
              "%s: epoch %llu after %llu", step->name, (unsigned long long)epoch,
              step->known ? (unsigned long long)step->known->epoch : 0);

    bool is_delete = step->action == ACTION_DELETE || step->action == ACTION_REPLACE;
    bool is_release = step->action == ACTION_RELEASE;
    enum lifecycle life = is_delete ? LIFE_GONE : is_release ? LIFE_RELEASED : LIFE_LIVE;
    task->after = row_confirmed(core, core->plan_arena, &row, life,
                                is_delete || is_release ? NULL : step->resource, step->spec);
    if (!is_delete && !is_release && plan_kind_claims(step->kind))
        row.tried = task->after.applied;
    save_object(core, &row);
    seen_set_row(core, &row);
    task->after.project = step->project;
    task->after.name = step->name;
    task->after.generation = step->generation;
    known_copy(task->arena, &task->after);
    invariant(task->after.epoch == task->intent.epoch && !strcmp(task->after.uid, task->intent.uid),
              "%s: the row would have epoch %llu, its intent %llu", step->name,
              (unsigned long long)task->after.epoch, (unsigned long long)task->intent.epoch);
    if (step->renamed_from) { /* until it is confirmed the row remembers what it is to be called */
        value_unset((struct value *)(size_t)task->after.chosen, "becomes");
        value_unset((struct value *)(size_t)task->after.chosen, "called");
    }
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* R3: the highest epoch that the store, the object or its driver has told of. */
static uint64_t epoch_known(struct core *core, const struct step *step)
{
    const struct known *known = step->known;
    const struct seen *seen = seen_find(core, step->uid);
    uint64_t epoch = seen ? seen_rare(seen)->fence : 0;
    if (known)
        epoch = higher(epoch, higher(known->epoch, known->observed.epoch));
    invariant(epoch <= (uint64_t)EPOCH_MAX, "%s: epoch %llu", step->name,
              (unsigned long long)epoch);
    return epoch;
}

/* Arguments may hold what is sensitive: only a keyed digest of them is kept. */
static const char *arguments_digest(const struct core *core, struct task *task)
{
    char plain[DIGEST_TEXT], keyed[DIGEST_TEXT];
    digest_value(task->arguments, plain);
    digest_keyed(core->config.seed, sizeof core->config.seed, plain, DIGEST_TEXT - 1, keyed);
    return arena_text(task->arena, keyed);
}

static void task_intent(struct core *core, struct task *task, const struct step *step,
                        const struct intent *open)
{
    const char *verb = verbs[step->action];
    const char *digest = arguments_digest(core, task);
    char op[DIGEST_TEXT];
    uint64_t epoch = epoch_known(core, step);
    bool is_same = open && !strcmp(open->verb, verb) && !strcmp(open->arguments_digest, digest) &&
                   open->epoch >= epoch;
    epoch = is_same ? open->epoch : higher(epoch, open ? open->epoch : 0) + 1;
    digest_op(step->uid, epoch, verb, value_text(task->arena, digest), op);
    invariant(!is_same || !strcmp(op, open->op), "%s: the same intent has two names: %s and %s",
              step->name, op, open->op);
    task->intent = (struct intent){
        .op = arena_text(task->arena, op),
        .uid = arena_text(task->arena, step->uid),
        .epoch = epoch,
        .verb = verb,
        .plan = arena_text(task->arena, core->plan->hash),
        .arguments_digest = digest,
        .state = "pending",
        .attempts = is_same ? open->attempts : 0,
        .created_at = is_same ? open->created_at : core_now_s(core),
        .error = "",
        /* Sent again after its effect, it finds nothing to destroy; it did all the same. */
        .is_destructive = step->is_destructive || (is_same && open->is_destructive),
        .is_approved = step->hold != NULL || (is_same && open->is_approved),
        .leaves_git = step_leaves_git(step),
    };
}

/* One that lets this step through and no other. */
static const char *approval_of(const struct core *core, const struct step *step)
{
    for (size_t i = 0; step->hold && i < core->input->approved_count; i++)
        if (!strcmp(core->input->approved[i], step->hold) && core->plan->approval_ends[i])
            return step->hold;
    return NULL;
}

struct task *task_new(struct core *core, const struct step *step, const struct intent *open)
{
    struct arena *arena = arena_new_sized(TASK_ROOM);
    struct task *task = arena_alloc(arena, sizeof *task);
    invariant(core->config.effects && step->disposition == RUN, "%s is %s and would be begun",
              step->name, disposition_text(step->disposition));
    invariant(!task_of_uid(core, step->uid), "%s is under way already", step->name);
    task->arena = arena;
    task->kind = step->kind;
    task->cause = step->cause;
    task->driver = driver_of_class(core, step_driver_class(step));
    task->look_driver = driver_of_kind(core, step->kind->name);
    invariant(!task->driver || task->look_driver, "%s: nobody could look whether it is done",
              step->name);
    task->approval = arena_text(arena, approval_of(core, step));
    task->revision = core->revision;
    task->is_measure = step_leaves_git(step) && hold_is_of_set(core, step->hold);
    task->step = ++core->step_count;
    task->of = (unsigned)core->plan->run;
    struct arena *scratch = arena_new(); /* of what is written or copied at once */
    task->arguments = value_copy(arena, step_arguments(scratch, core->plan, core->input, step));
    step_what(step, task->what);
    task_keep_fields(task, step);
    task_intent(core, task, step, open);
    task_rows(core, task, step, task->intent.epoch);
    task->intent.step = step_record(scratch, step);
    save_intent(core, &task->intent); /* R2: durable before anything is sent */
    task->intent.step = NULL;         /* it stays as it was written */
    arena_free(scratch);
    HASH_ADD_KEYPTR(hh, core->tasks, task->intent.uid, strlen(task->intent.uid), task);
    task_list(task, task->driver ? &task->driver->waiting : &core->waiting);
    return task;
}

void task_link(struct task *task, struct task *before)
{
    struct dependant *link = arena_alloc(before->arena, sizeof *link);
    invariant(task != before && task->state == TASK_WAITING, "%s waits for itself, or too late",
              task->intent.op);
    *link = (struct dependant){.task = task, .next = before->dependants};
    before->dependants = link;
    task->pending++;
}
