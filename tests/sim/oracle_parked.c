/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is parked once the rack has come to rest: whether what the plan says that it waits for is
 * so, in the world and by what was declared. What waits for another step is as good as that one,
 * and the way from one to the next has an end.
 */
#include "tests/sim/oracles.h"

#include <stdio.h>
#include <string.h>

/* Something that does not run, and why: a step or one of its fields. */
struct parked {
    struct sim *sim;
    const struct step *step;
    enum disposition disposition;
    const char *reason;
    size_t depth; /* of the way that led here */
};

static const struct thing *thing_of(const struct parked *parked)
{
    const struct thing *thing = thing_of_uid(&parked->sim->truth, parked->step->uid);
    return thing && thing->exists ? thing : NULL;
}

/* ---- what was declared -------------------------------------------------------------- */

/* The machine that the step is of, or of what belongs to it; NULL: none is declared. */
static const struct wish_machine *machine_wished(const struct parked *parked)
{
    const struct commit *commit = git_find(&parked->sim->git, core_commit(parked->sim->host.core));
    const struct resource *resource = parked->step->resource;
    const char *project = parked->step->project ? parked->step->project : "";
    if (!commit || !resource)
        return NULL;
    if (resource->owner)
        resource = resource->owner;
    const struct wish_project *wished = &commit->wish.projects[strcmp(project, "west") == 0];
    for (int i = 0; wished->is_declared && i < WISH_MACHINES; i++) {
        char name[WISH_NAME];
        wish_machine_name(name, i, wished->machines[i].name);
        if (wished->machines[i].is_declared && strcmp(name, resource->name) == 0)
            return &wished->machines[i];
    }
    return NULL;
}

enum { ON_NEXT_STOP, IMMEDIATE, WINDOW, NEVER };         /* wish_machine.restart */
enum { STARTS_ALWAYS, STARTS_ON_FAILURE, STARTS_NEVER }; /* wish_machine.restart_policy */

static bool has_policy(const struct parked *parked, int restart)
{
    const struct wish_machine *machine = machine_wished(parked);
    const struct thing *thing = thing_of(parked);
    return machine && machine->restart == restart && thing && thing->booted;
}

static bool waits_for_stop(const struct parked *parked)
{
    return has_policy(parked, ON_NEXT_STOP);
}

static bool waits_for_window(const struct parked *parked)
{
    return has_policy(parked, WINDOW);
}

static bool is_never_restarted(const struct parked *parked)
{
    return has_policy(parked, NEVER);
}

/* Only its firmware asks for a new one. */
static bool is_never_replaced(const struct parked *parked)
{
    const struct wish_machine *machine = machine_wished(parked);
    const struct thing *thing = thing_of(parked);
    return machine && !machine->may_be_replaced && thing &&
           strcmp(value_get_text(thing->spec, "firmware", ""),
                  machine->is_uefi ? "uefi" : "bios") != 0;
}

static bool is_off(const struct parked *parked)
{
    const struct thing *thing = thing_of(parked);
    return !thing || !thing->booted;
}

static bool stays_off(const struct parked *parked)
{
    const struct wish_machine *machine = machine_wished(parked);
    return machine && machine->is_on && machine->restart_policy != STARTS_ALWAYS && is_off(parked);
}

static bool has_first_seed(const struct parked *parked)
{
    const struct wish_machine *machine = machine_wished(parked);
    return machine && machine->has_cloud_init && strcmp(parked->step->kind->name, "Seed") == 0 &&
           thing_of(parked);
}

static bool is_larger(const struct parked *parked)
{
    const struct thing *thing = thing_of(parked);
    return thing && parked->step->resource &&
           value_get_int(thing->spec, "size", 0) >
               value_get_int(parked->step->resource->spec, "size", 0);
}

/* By the last commit that declared it, or by its own tag: one that was to lift protection and left
 * Git before that had come through. */
static bool is_protected(const struct parked *parked)
{
    const struct thing *thing = thing_of_uid(&parked->sim->truth, parked->step->uid);
    const struct last_word *word =
        thing ? truth_last_word(&parked->sim->truth, thing->project, thing->name) : NULL;
    return (word && word->is_protected) || (thing && value_get_bool(thing->spec, "protect", false));
}

/* ---- other steps -------------------------------------------------------------------- */

/* As the reasons of steps call an object: "KIND [PROJECT/]NAME". */
static bool is_label(const char *label, const char *kind, const char *project, const char *name)
{
    char own[160];
    bool has_project = project && *project;
    snprintf(own, sizeof own, "%s %s%s%s", kind, has_project ? project : "", has_project ? "/" : "",
             name);
    return strcmp(label, own) == 0;
}

static const struct step *step_labelled(const struct plan *plan, const char *label)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (is_label(label, plan->steps[i].kind->name, plan->steps[i].project, plan->steps[i].name))
            return &plan->steps[i];
    return NULL;
}

static const char *wrong_with(const struct parked *from, const struct step *step);

/* It is there, does not run either, and what it waits for is so. */
static bool is_behind(const struct parked *parked, const char *label)
{
    const struct step *before = step_labelled(core_plan(parked->sim->host.core), label);
    return before && !wrong_with(parked, before);
}

static bool waits_well(const struct parked *parked)
{
    return is_behind(parked, strstr(parked->reason, "waits for ") + strlen("waits for "));
}

/* One is there that bears this name, and goes on as it is; or it waits itself. */
static bool has_user(const struct parked *parked)
{
    const char *label = strstr(parked->reason, "still in use by ") + strlen("still in use by ");
    const struct truth *truth = &parked->sim->truth;
    if (step_labelled(core_plan(parked->sim->host.core), label))
        return is_behind(parked, label);
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (thing->exists && is_label(label, thing->kind, thing->project, thing->name) &&
            (strcmp(parked->step->kind->name, "Volume") != 0 ||
             truth_has_open(thing, parked->step->uid)))
            return true;
    }
    return false;
}

/* ---- the table ---------------------------------------------------------------------- */

/* All that may be waited for once faults have ceased and a person has approved what can be. */
static const struct {
    enum disposition disposition;
    const char *reason; /* that it holds */
    bool (*holds)(const struct parked *parked);
} parkings[] = {
    {REPORTED, "volumes never shrink", is_larger},
    {REPORTED, "updatePolicy.replace is never", is_never_replaced},
    {REPORTED, "updatePolicy.restart is never", is_never_restarted},
    {REPORTED, "restartPolicy is", stays_off},
    {REPORTED, "kept as it was at the first boot", has_first_seed},
    {DEFERRED, "comes with the next start", is_off},
    {DEFERRED, "waits until the machine stops", waits_for_stop},
    {DEFERRED, "waits for the window", waits_for_window},
    {DEFERRED, "still in use by", has_user},
    {DEFERRED, "waits for ", waits_well},
    {HELD, "it is protected", is_protected},
};

static bool is_so(const struct parked *parked)
{
    for (size_t i = 0; i < sizeof parkings / sizeof *parkings; i++)
        if (parked->disposition == parkings[i].disposition &&
            strstr(parked->reason, parkings[i].reason))
            return parkings[i].holds(parked);
    return false;
}

/* NULL: it waits for what is so. `from` is what waits for it. */
static const char *wrong_with(const struct parked *from, const struct step *step)
{
    struct parked parked = {from->sim, step, step->disposition, step->reason, from->depth + 1};
    if (parked.depth > core_plan(from->sim->host.core)->step_count)
        return "it waits for what waits for it";
    if (step->disposition == RUN)
        return "it could go on";
    if (!step->reason || !*step->reason)
        return "without a reason";
    if (step->disposition == HELD && !step->hold)
        return "with no id to approve";
    if (!is_so(&parked))
        return step->reason;
    for (size_t i = 0; i < step->field_count; i++) {
        parked.disposition = step->fields[i].disposition;
        parked.reason = step->fields[i].reason;
        if (parked.disposition != RUN && parked.reason && !is_so(&parked))
            return parked.reason;
    }
    return NULL;
}

bool parks_for_people(struct sim *sim, const struct moment *moment, char *why)
{
    const struct plan *plan = core_plan(sim->host.core);
    const struct parked nothing = {.sim = sim};
    (void)moment;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const char *what = wrong_with(&nothing, step);
        if (what)
            return broken(why, "%s %s is %s: %s", step->kind->name, step->name,
                          disposition_text(step->disposition), what);
    }
    return true;
}
