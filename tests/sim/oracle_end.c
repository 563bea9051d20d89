/* SPDX-License-Identifier: MPL-2.0 */
/* What must hold once faults have ceased and the rack has come to rest. */
#include "tests/sim/oracles.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"

enum { PASSES_MAX = 7, ROUNDS_MAX = 8 };

static const struct step *step_of(const struct plan *plan, const char *uid)
{
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (strcmp(plan->steps[i].uid, uid) == 0)
            return &plan->steps[i];
    return NULL;
}

static const struct thing *thing_named(const struct truth *truth, const struct resource *resource)
{
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (thing->exists && thing->is_ours && thing->tag && !thing->is_released &&
            strcmp(thing->kind, resource->kind->name) == 0 &&
            strcmp(thing->project, resource->project ? resource->project : "") == 0 &&
            strcmp(thing->name, resource->name) == 0)
            return thing;
    }
    return NULL;
}

static const struct step *step_named(const struct plan *plan, const struct resource *resource)
{
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (plan->steps[i].resource == resource ||
            (plan->steps[i].kind == resource->kind &&
             strcmp(plan->steps[i].name, resource->name) == 0 &&
             strcmp(plan->steps[i].project ? plan->steps[i].project : "",
                    resource->project ? resource->project : "") == 0))
            return &plan->steps[i];
    return NULL;
}

/* A running machine names its volumes as they were called when it was told of them. */
static bool are_same_disks(const struct truth *truth, const struct value *wanted,
                           const struct thing *machine)
{
    const struct value *disks = value_get(machine->spec, "disks");
    if (!value_is_list(wanted) || !value_is_list(disks) || wanted->count != disks->count)
        return false;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct thing *volume =
            truth_volume(truth, machine->project, value_get_text(wanted->items[i], "volume", ""));
        if (!volume || !truth_has_open(machine, volume->uid))
            return false;
    }
    return true;
}

static bool is_parked(const struct step *step)
{
    return step && step->disposition != RUN && step->reason && *step->reason;
}

/* The step says of this field, or of the object as a whole, why it is not as declared. */
static bool is_field_parked(const struct step *step, const char *name)
{
    if (!step || (step->field_count == 0 && is_parked(step)))
        return step != NULL;
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];
        if (strncmp(field->path, "spec.", 5) == 0 &&
            strncmp(field->path + 5, name, strlen(name)) == 0 &&
            strchr(".[", field->path[5 + strlen(name)]) && field->disposition != RUN)
            return (field->reason && *field->reason) || is_parked(step);
    }
    return false;
}

/* The first field in which the real one is not as declared, unreported; NULL: none. */
static const char *difference(const struct truth *truth, const struct resource *resource,
                              const struct thing *thing, const struct step *step)
{
    for (size_t i = 0; i < resource->kind->spec->field_count; i++) {
        const struct field *field = resource->kind->spec->fields[i];
        const struct value *wanted = value_get(resource->spec, field->name);
        if (!wanted || field->is_sensitive || field->change == CHANGE_METADATA)
            continue;
        if (field->grows_only && value_get_int(thing->spec, field->name, 0) > wanted->integer)
            continue; /* it never shrinks, and every try says so */
        if (strcmp(field->name, "disks") == 0 && are_same_disks(truth, wanted, thing))
            continue;
        if (!value_equal(wanted, value_get(thing->spec, field->name)) &&
            !is_field_parked(step, field->name))
            return field->name;
    }
    return NULL;
}

bool loses_no_intent(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    struct report report;
    struct error err = ERROR_INIT;
    const struct set *set = NULL;
    const struct plan *plan = core_plan(sim->host.core);
    const struct commit *head = &sim->git.commits[sim->git.head];
    bool holds = true;
    (void)moment;
    report_init(&report, arena);
    if (strcmp(core_commit(sim->host.core), head->id) != 0 && !head->is_missing &&
        !head->is_corrupt && !head->is_invalid)
        holds = broken(why, "the head %.12s was not taken", head->id);
    if (git_load(sim, arena, core_commit(sim->host.core), &set, &report, &err) == 0) {
        for (size_t i = 0; holds && i < set->count; i++) {
            const struct resource *resource = set->resources[i];
            const struct thing *thing = thing_named(&sim->truth, resource);
            const struct step *step = step_named(plan, resource);
            if (!resource->kind->driver || (!thing && is_parked(step)))
                continue;
            const char *field = thing ? difference(&sim->truth, resource, thing, step) : NULL;
            if (!thing)
                holds = broken(why, "%s %s is declared, not there, and not reported",
                               resource->kind->name, resource->name);
            else if (field)
                holds = broken(why, "%s %s: %s is %s, should be %s, and that is not reported",
                               resource->kind->name, resource->name, field,
                               json_text(arena, value_get(thing->spec, field)),
                               json_text(arena, value_get(resource->spec, field)));
        }
    }
    arena_free(arena);
    return holds;
}

/* `spinel released` lists it. That is a report of what was sent, or of an old copy of the store. */
static bool is_reported_released(struct sim *sim, const char *uid)
{
    const struct sent *sent = truth_last_sent(&sim->truth, uid);
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    bool is_kept = false;
    if ((sent && sent->is_release) || sim->host.was_restored)
        store_objects(sim->host.store, arena, &rows, &count, &err);
    for (size_t i = 0; i < count; i++)
        is_kept |= strcmp(rows[i].uid, uid) == 0 && rows[i].life == LIFE_RELEASED;
    arena_free(arena);
    return is_kept;
}

bool leaves_nothing_behind(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    struct report report;
    struct error err = ERROR_INIT;
    const struct set *set = NULL;
    bool holds = true;
    (void)moment;
    report_init(&report, arena);
    if (git_load(sim, arena, core_commit(sim->host.core), &set, &report, &err) == 0)
        for (size_t i = 0; holds && i < sim->truth.count; i++) {
            const struct thing *thing = &sim->truth.things[i];
            const char *project = thing->project[0] ? thing->project : NULL;
            if (!thing->exists || !thing->is_ours || !thing->tag || thing->is_released ||
                set_find(set, thing->kind, project, thing->name) ||
                step_of(core_plan(sim->host.core), thing->uid) ||
                is_reported_released(sim, thing->uid) || is_orphan(sim, thing))
                continue;
            holds = broken(why, "%s %s/%s is not declared, still there, and not reported",
                           thing->kind, thing->project, thing->name);
        }
    arena_free(arena);
    return holds;
}

bool hides_secret(struct sim *sim, const struct moment *moment, char *why)
{
    bool is_clean = true;
    (void)moment;
    daemon_store_save(sim);
    for (size_t i = 0; i < 2; i++)
        if (sim->host.saved[i] &&
            memmem(sim->host.saved[i], sim->host.saved_len[i], wish_secret, strlen(wish_secret)))
            is_clean = false;
    return is_clean || broken(why, "a secret is in the store");
}

bool converges(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    if (!quiet.is_settled)
        return broken(why, "it found no rest after the faults had ceased");
    return (quiet.looks <= PASSES_MAX && quiet.rounds <= ROUNDS_MAX) ||
           broken(why, "it took %" PRIu64 " looks, or %u decisions", quiet.looks, quiet.rounds);
}

bool rests(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    return (quiet.again_applies == 0 && quiet.again_writes == 0) ||
           broken(why, "one more look sent %" PRIu64 " operations and wrote %" PRIu64 " times",
                  quiet.again_applies, quiet.again_writes);
}

bool repeats_nothing(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    return quiet.same_applies == 0 ||
           broken(why, "the same commit again sent %" PRIu64 " operations", quiet.same_applies);
}
