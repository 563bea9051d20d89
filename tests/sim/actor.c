/* SPDX-License-Identifier: MPL-2.0 */
/* Everybody who changes the world but Spinel. */
#include "tests/sim/actor.h"

#include <stdio.h>
#include <string.h>
#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

/* A thing that exists, any; NULL: none does. */
static struct thing *thing_any(struct sim *sim, const char *kind)
{
    struct truth *truth = &sim->truth;
    size_t from = truth->count ? (size_t)prng_below(&sim->faults, truth->count) : 0;
    for (size_t i = 0; i < truth->count; i++) {
        struct thing *thing = &truth->things[(from + i) % truth->count];
        if (thing->exists && thing->is_ours && (!kind || strcmp(thing->kind, kind) == 0))
            return thing;
    }
    return NULL;
}

static void noticed(struct sim *sim, struct thing *thing, const char *what)
{
    struct sim_driver *driver = sim_driver_of_kind(sim, thing->kind);
    thing->version++;
    TRACE(sim, "someone: %s %s %s/%s", what, thing->kind, thing->project, thing->name);
    if (driver)
        sim_driver_notice(driver, thing->uid, what);
}

static void delete_it(struct sim *sim, struct thing *thing)
{
    thing->exists = false;
    thing->booted = NULL;
    thing->writes = 0;
    noticed(sim, thing, "deleted from outside");
}

/* The tag covers the name on the machine: under another one it is nobody's. */
static void rename_it(struct sim *sim, struct thing *thing)
{
    struct thing copy = *thing;
    thing->exists = false;
    noticed(sim, thing, "renamed from outside");
    struct thing *stray = thing_add(&sim->truth);
    *stray = copy;
    stray->is_ours = false;
    stray->is_meddled = true;
    snprintf(stray->native, sizeof stray->native, "renamed-%zu", sim->truth.count);
}

static void resize_it(struct sim *sim, struct thing *thing)
{
    struct value *spec = value_copy(sim->arena, thing->spec);
    static const char *const numbers[] = {"size", "mtu", "cpus", "memory"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (value_get(spec, numbers[i]))
            value_set_int(sim->arena, spec, numbers[i], value_get_int(spec, numbers[i], 0) / 2 + 1);
    thing->spec = spec;
    if (thing->booted)
        thing->booted = spec;
    noticed(sim, thing, "resized from outside");
}

static void strip_tag(struct sim *sim, struct thing *thing)
{
    thing->tag = NULL;
    thing->is_meddled = true;
    noticed(sim, thing, "tag removed from outside");
}

static void clone_it(struct sim *sim, struct thing *thing)
{
    struct thing copy = *thing;
    struct thing *clone = thing_add(&sim->truth);
    *clone = copy;
    clone->is_ours = false;
    clone->is_meddled = true;
    clone->booted = NULL;
    snprintf(clone->native, sizeof clone->native, "clone-%zu", sim->truth.count);
    noticed(sim, clone, "cloned from outside");
}

/* A name of ours on something that never was. */
static void look_alike(struct sim *sim, struct thing *thing)
{
    struct thing copy = *thing;
    struct thing *fake = thing_add(&sim->truth);
    *fake = (struct thing){.exists = true, .is_meddled = true, .spec = copy.spec};
    memcpy(fake->kind, copy.kind, sizeof fake->kind);
    snprintf(fake->name, sizeof fake->name, "%s", copy.name);
    snprintf(fake->native, sizeof fake->native, "sp-%s-like-%zu", copy.kind, sim->truth.count);
    noticed(sim, fake, "made from outside");
}

static void stop_guest(struct sim *sim, struct thing *thing)
{
    if (!thing->booted)
        return;
    struct value *spec = value_copy(sim->arena, thing->spec);
    value_set_text(sim->arena, spec, "power", "off");
    thing->spec = spec;
    thing->booted = NULL;
    thing->exit_reason = "guest-shutdown";
    noticed(sim, thing, "the guest shut down");
}

static void crash_guest(struct sim *sim, struct thing *thing)
{
    stop_guest(sim, thing);
    thing->exit_reason = "crash";
}

static const struct {
    enum fault fault;
    const char *kind;
    void (*act)(struct sim *, struct thing *);
} acts[] = {
    {FAULT_SOMEONE_DELETES, NULL, delete_it},    {FAULT_SOMEONE_RENAMES, NULL, rename_it},
    {FAULT_SOMEONE_RESIZES, NULL, resize_it},    {FAULT_SOMEONE_STRIPS_TAG, NULL, strip_tag},
    {FAULT_SOMEONE_CLONES, NULL, clone_it},      {FAULT_LOOKALIKE, NULL, look_alike},
    {FAULT_GUEST_STOPS, "Instance", stop_guest}, {FAULT_GUEST_CRASHES, "Instance", crash_guest},
};

void actor_acts(struct sim *sim)
{
    truth_write(&sim->truth);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct thing *thing = thing_any(sim, acts[i].kind);
        if (thing && sim_fault(sim, acts[i].fault, VERBS, PHASES))
            acts[i].act(sim, thing);
    }
    if (sim_fault(sim, FAULT_NOTICE_FALSE, VERBS, PHASES))
        sim_driver_notice_false(&sim->drivers[prng_below(&sim->faults, DRIVERS)]);
}

/* ---- the operator ------------------------------------------------------------------- */

/* Its data are not the ones that another bears now. */
static void given_up(struct sim *sim, const struct plan *plan, const char *hold)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        bool is_of_it = plan->steps[i].hold && strcmp(plan->steps[i].hold, hold) == 0;
        struct thing *thing = is_of_it ? thing_of_uid(&sim->truth, plan->steps[i].uid) : NULL;
        if (thing)
            thing->is_purged = true;
    }
}

bool operator_approves(struct sim *sim, bool approves_all)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    const struct plan *plan = daemon_is_up(sim) ? core_plan(sim->host.core) : NULL;
    bool has_approved = false;
    for (size_t i = 0; plan && i < plan->hold_count && (approves_all || !has_approved); i++) {
        if (!plan->holds[i].approvable)
            continue;
        if (store_hold_approve(sim->host.store, plan->holds[i].id, "ann", sim_wall_ms(sim) / 1000,
                               &err) == 0) {
            TRACE(sim, "operator approves %s (%s)", plan->holds[i].id, plan->holds[i].rule);
            has_approved = true;
            if (strcmp(plan->holds[i].rule, RULE_RENAMED) == 0)
                given_up(sim, plan, plan->holds[i].id);
            if (strcmp(plan->holds[i].rule, RULE_COLLAPSE) == 0 ||
                strcmp(plan->holds[i].rule, RULE_EMPTY) == 0)
                truth_leavers_forget(&sim->truth);
        }
        err = (struct error)ERROR_INIT;
    }
    arena_free(arena);
    if (has_approved) {
        core_policy_changed(sim->host.core);
        daemon_pump(sim);
    }
    return has_approved;
}

static void freeze_something(struct sim *sim)
{
    static const char *const what[] = {"changes", "healing", "deletions"};
    struct error err = ERROR_INIT;
    struct freeze freeze = {.what = what[prng_below(&sim->faults, 3)],
                            .who = "ann",
                            .why = "an incident",
                            .until =
                                prng_chance(&sim->faults, 500) ? sim_wall_ms(sim) / 1000 + 600 : 0};
    if (store_freeze_put(sim->host.store, &freeze, sim_wall_ms(sim) / 1000, &err) < 0)
        return;
    TRACE(sim, "operator freezes %s", freeze.what);
    core_policy_changed(sim->host.core);
    daemon_pump(sim);
}

void operator_thaws(struct sim *sim)
{
    static const char *const what[] = {"changes", "healing", "deletions"};
    struct error err = ERROR_INIT;
    if (!daemon_is_up(sim))
        return;
    for (size_t i = 0; i < 3; i++)
        store_freeze_lift(sim->host.store, what[i], &err);
    core_policy_changed(sim->host.core);
    daemon_pump(sim);
}

static void purge_something(struct sim *sim)
{
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < sim->truth.count; i++) {
        struct thing *thing = &sim->truth.things[i];
        if (!thing->exists || !thing->is_released || !thing->is_ours)
            continue;
        if (store_object_purge(sim->host.store, thing->uid, &err) < 0)
            continue;
        TRACE(sim, "operator purges %s/%s", thing->project, thing->name);
        thing->is_purged = true;
        book_row_forget(&sim->book, thing->uid);
        core_policy_changed(sim->host.core);
        daemon_pump(sim);
        return;
    }
}

void operator_clears_strays(struct sim *sim)
{
    for (size_t i = 0; i < sim->truth.count; i++) {
        struct thing *thing = &sim->truth.things[i];
        if (thing->exists && (!thing->is_ours || !thing->tag)) {
            if (!thing->is_meddled)
                sim_violate(sim, invariant_find("S7b"), "%s is nobody's, and no person made it so",
                            thing->native);
            thing->exists = false;
            thing->booted = NULL;
            noticed(sim, thing, "moved away");
        }
    }
}

bool operator_clears_orphans(struct sim *sim)
{
    struct arena *arena = arena_new();
    const struct value *orphans =
        daemon_is_up(sim) ? value_get(core_strangers(sim->host.core, arena), "orphans") : NULL;
    bool has_cleared = false;
    for (size_t i = 0; orphans && i < orphans->count; i++) {
        struct thing *thing =
            thing_of_uid(&sim->truth, value_get_text(orphans->items[i], "uid", ""));
        if (!thing || !thing->exists)
            continue;
        /* One that is back after its deletion was confirmed, and then lost with the power, is. */
        if (book_knows(&sim->book, thing->uid) && !thing->gone_epoch)
            sim_violate(sim, invariant_find("S7b"), "%s is called an orphan, and was on record",
                        thing->native);
        thing->exists = false;
        thing->booted = NULL;
        noticed(sim, thing, "orphan removed");
        has_cleared = true;
    }
    arena_free(arena);
    if (has_cleared) {
        core_look(sim->host.core);
        daemon_pump(sim);
    }
    return has_cleared;
}

void operator_acts(struct sim *sim)
{
    if (daemon_is_up(sim) && sim_fault(sim, FAULT_OPERATOR_APPROVES, VERBS, PHASES))
        operator_approves(sim, false);
    if (daemon_is_up(sim) && sim_fault(sim, FAULT_OPERATOR_FREEZES, VERBS, PHASES))
        freeze_something(sim);
    else if (daemon_is_up(sim) && prng_chance(&sim->schedule, 100))
        operator_thaws(sim);
    if (daemon_is_up(sim) && sim_fault(sim, FAULT_OPERATOR_PURGES, VERBS, PHASES))
        purge_something(sim);
}
