/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a driver is sent for a step (docs/driver-protocol.md), but for op, epoch and
 * deadline. What was chosen is in the specs; only the paths of fields that run are in
 * `changed`; and the references of an object that left Git come from what was
 * applied to them last.
 */
#include <string.h>

#include "reconciler/plan/steps.h"
#include "model/invariant.h"

struct refs_context {
    struct arena *arena;
    const struct match *match;
    struct value *out;
};

static struct value *copy_for_driver(struct arena *arena, const struct value *spec)
{
    return spec_without_digests(arena, spec);
}

static const char *verb_text(const struct step *step)
{
    return step->action == ACTION_REPLACE ? "delete" : action_text(step->action);
}

static struct value *changed_paths(struct arena *arena, const struct step *step)
{
    struct value *paths = value_list(arena);

    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition == RUN)
            value_append(arena, paths, value_text(arena, step->fields[i].path));
    return paths;
}

/* ---- references --------------------------------------------------------------------- */

static const struct value *subject_spec(const struct subject *subject)
{
    if (subject->settled)
        return subject->settled;
    if (subject->spec)
        return subject->spec;
    if (known_applied(subject->known))
        return known_applied(subject->known);
    return known_observed(subject->known);
}

static void decorate(void *context, struct arena *arena, const struct resource *ref,
                     struct value *entry)
{
    const struct match *match = context;
    const struct subject *subject = match_declared(match, ref);

    invariant(subject->uid, "%s %s is declared, and has no uid", ref->kind->name, ref->name);
    value_set_text(arena, entry, "uid", subject->uid);
    value_set(arena, entry, "spec", copy_for_driver(arena, subject_spec(subject)));
}

/* Returns false if it was there already. */
static bool refs_put(struct arena *arena, struct value *refs, const struct subject *subject)
{
    invariant(subject->uid, "a reference to %s, which has no uid", subject->name);
    struct value *of_kind = (struct value *)(size_t)value_get(refs, subject->kind->name);
    struct value *entry;

    if (value_get(of_kind, subject->name))
        return false;
    if (!of_kind)
        of_kind = value_set(arena, refs, subject->kind->name, value_map(arena));
    entry = value_set(arena, of_kind, subject->name, value_map(arena));
    value_set_text(arena, entry, "uid", subject->uid);
    value_set(arena, entry, "spec", copy_for_driver(arena, subject_spec(subject)));
    return true;
}

/* References of what left the set, directly and beyond. Those to higher ranks are weak. */
static void refs_collect(struct refs_context *context, const struct subject *subject,
                         const struct value *spec)
{
    struct subject_list list = spec_refs(context->arena, context->match, subject->kind,
                                         subject->project, subject->name, spec);

    for (size_t i = 0; i < list.count; i++)
        if (list.items[i]->kind->rank < subject->kind->rank &&
            refs_put(context->arena, context->out, list.items[i]))
            refs_collect(context, list.items[i], subject_spec(list.items[i]));
}

static bool grows(const struct step *step)
{
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition == RUN && strcmp(step->fields[i].path, "spec.size") == 0)
            return true;
    return false;
}

/* A volume that a machine has open is grown by the machine's driver. */
static bool is_grown_open(const struct step *step)
{
    return step->subject->holder && step->action == ACTION_UPDATE && grows(step);
}

static struct value *step_refs(struct arena *arena, const struct plan *plan,
                               const struct step *step)
{
    struct refs_context context = {arena, plan->match, value_map(arena)};

    if (step->resource)
        context.out = resource_refs(arena, step->resource, decorate, (void *)(size_t)plan->match);
    /* A field that is not carried out, and an object that goes, still use what they had. */
    refs_collect(&context, step->subject, step->spec);
    if (step->subject->owner && !step->resource)
        refs_put(arena, context.out, step->subject->owner);
    if (is_grown_open(step))
        refs_put(arena, context.out, step->subject->holder);
    return context.out;
}

/* ---- the step ----------------------------------------------------------------------- */

const char *step_driver_class(const struct step *step)
{
    return is_grown_open(step) ? "instance" : step->kind->driver;
}

struct value *step_arguments(struct arena *arena, const struct plan *plan,
                             const struct plan_input *input, const struct step *step)
{
    struct value *out = value_map(arena);

    invariant(step->disposition == RUN, "%s is sent, and is %s", step->name,
              disposition_text(step->disposition));
    invariant(step->resource || step->known, "step %u is of nothing", step->id);
    invariant(step->action > ACTION_NONE && step->action <= ACTION_RELEASE, "%s: action %d is sent",
              step->name, step->action);
    invariant(step->resource ? true : step_removes(step), "%s: %s of what left Git", step->name,
              action_text(step->action));
    const struct value *labels = step->resource ? step->resource->labels : step->known->labels;

    (void)input;
    value_set_text(arena, out, "uid", step->uid);
    value_set_text(arena, out, "verb", verb_text(step));
    value_set_text(arena, out, "kind", step->kind->name);
    value_set_text(arena, out, "project", step->project);
    value_set_text(arena, out, "name", step->name);
    value_set_int(arena, out, "generation", (int64_t)step->generation);
    if (step->action == ACTION_DELETE && step->known->life == LIFE_RELEASED)
        value_set_bool(arena, out, "purge", true);
    value_set(arena, out, "spec", copy_for_driver(arena, step->spec));
    value_set(arena, out, "labels", labels ? value_copy(arena, labels) : value_map(arena));
    value_set(arena, out, "changed", changed_paths(arena, step));
    value_set(arena, out, "refs", step_refs(arena, plan, step));
    return out;
}
