/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plan as a document (docs/plan-schema.md). Everything that shows a plan shows
 * this: terminal, push output, page, saved file. Values of sensitive fields are not
 * in it, only that they changed.
 */
#include <string.h>

#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "model/when.h"
#include "reconciler/plan/steps.h"

static struct value *field_value(struct arena *arena, const struct plan_field *field)
{
    struct value *out = value_map(arena);

    value_set_text(arena, out, "path", field->path);
    if (field->from)
        value_set(arena, out, "from", diff_value_json(arena, field->field, field->from));
    if (field->to)
        value_set(arena, out, "to", diff_value_json(arena, field->field, field->to));
    value_set_text(arena, out, "change", change_text(field->change));
    value_set_text(arena, out, "cause", cause_text(field->cause));
    value_set_text(arena, out, "disposition", disposition_text(field->disposition));
    value_set_text(arena, out, "means", field->means);
    value_set_text(arena, out, "reason", field->reason);
    return out;
}

static const char *power_impact(const struct step *step)
{
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];

        if (field->disposition == RUN && strcmp(field->path, "spec.power") == 0 &&
            value_is_text(field->to))
            return strcmp(field->to->text, "on") == 0 ? "start" : "stop";
    }
    return "none";
}

/* What the step does to the machine itself. */
static const char *impact_text(const struct step *step)
{
    if (step->disposition != RUN)
        return "none";
    if (step->action == ACTION_RESTART || step->action == ACTION_REPLACE)
        return action_text(step->action);
    if (step->action == ACTION_DELETE)
        return step->subject->is_running ? "destroy" : "none";
    return power_impact(step);
}

static struct value *step_value(struct arena *arena, const struct step *step)
{
    struct value *out = value_map(arena), *after = value_list(arena), *fields = value_list(arena);

    for (size_t i = 0; i < step->after_count; i++)
        value_append(arena, after, value_int(arena, step->after[i]));
    for (size_t i = 0; i < step->field_count; i++)
        value_append(arena, fields, field_value(arena, &step->fields[i]));
    invariant(step->id > 0 && step->uid, "%s is shown before it has an id or a uid", step->name);
    value_set_int(arena, out, "id", step->id);
    value_set_text(arena, out, "action", action_text(step->action));
    value_set_text(arena, out, "kind", step->kind->name);
    value_set_text(arena, out, "project", step->project);
    value_set_text(arena, out, "name", step->name);
    value_set_text(arena, out, "uid", step->uid);
    value_set_text(arena, out, "disposition", disposition_text(step->disposition));
    value_set_text(arena, out, "cause", cause_text(step->cause));
    value_set_text(arena, out, "reason", step->reason);
    value_set(arena, out, "after", after);
    value_set_text(arena, out, "hold", step->hold);
    value_set_bool(arena, out, "destructive", step->is_destructive);
    value_set_bool(arena, out, "derived", step->kind->is_derived);
    if (step->resource && step->resource->owner) {
        struct value *owner = value_set(arena, out, "owner", value_map(arena));
        value_set_text(arena, owner, "kind", step->resource->owner->kind->name);
        value_set_text(arena, owner, "name", step->resource->owner->name);
    }
    if (step->renamed_from)
        value_set_text(arena, out, "renamedFrom", step->renamed_from);
    if (strcmp(step->kind->name, "Instance") == 0) {
        value_set_text(arena, out, "impact", impact_text(step));
        value_set_bool(arena, out, "running", step->subject->is_running);
    }
    value_set(arena, out, "fields", fields);
    return out;
}

static struct value *hold_value(struct arena *arena, const struct hold *hold)
{
    struct value *out = value_map(arena);

    value_set_text(arena, out, "id", hold->id);
    value_set_text(arena, out, "rule", hold->rule);
    value_set_text(arena, out, "reason", hold->reason);
    value_set_int(arena, out, "steps", (int64_t)hold->steps);
    value_set_bool(arena, out, "approvable", hold->approvable);
    return out;
}

static struct value *summary_value(struct arena *arena, const struct plan *plan)
{
    struct value *out = value_map(arena);

    for (int action = ACTION_CREATE; action <= ACTION_RELEASE; action++)
        value_set_int(arena, out, action_text((enum action)action),
                      (int64_t)plan->action_counts[action]);
    value_set_int(arena, out, "run", (int64_t)plan->run);
    value_set_int(arena, out, "deferred", (int64_t)plan->deferred);
    value_set_int(arena, out, "held", (int64_t)plan->held);
    value_set_int(arena, out, "reported", (int64_t)plan->reported);
    return out;
}

/* The document without its steps. */
static struct value *frame_value(struct arena *arena, const struct plan *plan)
{
    struct value *out = value_map(arena), *observed = value_map(arena);
    struct value *holds = value_list(arena);

    invariant(plan->commit && plan->parent, "a plan is shown that is of no commit");
    for (size_t i = 0; i < plan->hold_count; i++)
        value_append(arena, holds, hold_value(arena, &plan->holds[i]));
    value_set_text(arena, observed, "at",
                   plan->observed_at ? when_rfc3339(arena, plan->observed_at) : NULL);
    value_set_int(arena, observed, "unknown", (int64_t)plan->unknown);
    value_set_text(arena, out, "schema", "spinel/plan/v1");
    value_set_text(arena, out, "commit", plan->commit);
    value_set_text(arena, out, "hash", plan->hash);
    value_set_text(arena, out, "parent", plan->parent);
    value_set_text(arena, out, "world", plan->world);
    value_set_int(arena, out, "resources", (int64_t)plan->resources);
    value_set(arena, out, "observed", observed);
    value_set(arena, out, "steps", value_list(arena));
    value_set(arena, out, "holds", holds);
    value_set(arena, out, "summary", summary_value(arena, plan));
    return out;
}

struct value *plan_value(struct arena *arena, const struct plan *plan)
{
    struct value *out = frame_value(arena, plan), *steps = value_list(arena);

    for (size_t i = 0; i < plan->step_count; i++)
        value_append(arena, steps, step_value(arena, &plan->steps[i]));
    value_set(arena, out, "steps", steps);
    return out;
}

static void steps_digest(struct digest_sum *sum, const struct plan *plan)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;

    for (size_t i = 0; i < plan->step_count; i++) {
        text_reset(&text);
        text_add(&text, i ? "," : "");
        json_write_canonical(&text, step_value(arena, &plan->steps[i]));
        digest_sum_add(sum, text.data, text.len);
        arena_reset(arena);
    }
    text_free(&text);
    arena_free(arena);
}

/* A step at a time: those of a first apply are megabytes, and would be written twice over. */
void plan_digest(const struct plan *plan, char hash[DIGEST_TEXT])
{
    static const char before_steps[] = "\"steps\":[";
    struct arena *arena = arena_new();
    struct value *frame = frame_value(arena, plan);
    struct digest_sum *sum = digest_sum_new(arena);
    struct text text = TEXT_INIT;

    value_unset(frame, "hash");
    value_unset(frame, "parent");
    value_unset(frame, "observed");
    json_write_canonical(&text, frame);
    /* No text of a hold can say it: a quote in it is escaped. */
    const char *at = strstr(text.data, before_steps);
    invariant(at, "a plan's document has no place for steps");
    at += strlen(before_steps);
    digest_sum_add(sum, text.data, (size_t)(at - text.data));
    steps_digest(sum, plan);
    digest_sum_add(sum, at, text.len - (size_t)(at - text.data));
    digest_sum_end(sum, hash);
    text_free(&text);
    arena_free(arena);
}
