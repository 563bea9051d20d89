/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The end of every run: faults cease, the operator answers what is asked, and the rack
 * must come to rest with everything done or said. Then it is looked at once more, and
 * told the same commit again: nothing may happen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/actor.h"
#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

enum { HOUR_MS = 3600000, PATIENCE = 8, ROUNDS_MAX = 40 };

struct quiet quiet;

static bool is_settled(struct sim *sim)
{
    return daemon_is_up(sim) && core_is_settled(sim->host.core);
}

static bool run_until_settled(struct sim *sim, int64_t limit_ms)
{
    int64_t until = sim->now_ms + limit_ms;
    while (sim->violated < 0 && !is_settled(sim))
        if (!sim_step(sim, until))
            return is_settled(sim);
    return sim->violated < 0;
}

/* Settled for good: not only until an approval was used up or a late effect came. */
bool quiet_settle(struct sim *sim)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        uint64_t looks = daemon_is_up(sim) ? core_looks(sim->host.core) : 0;
        bool is_at_rest = run_until_settled(sim, HOUR_MS);
        if (sim->violated >= 0 || !daemon_is_up(sim))
            return false;
        looks = core_looks(sim->host.core) - looks;
        quiet.looks = looks > quiet.looks ? looks : quiet.looks;
        quiet.rounds = (unsigned)i + 1;
        if (operator_approves(sim, true) || operator_clears_orphans(sim))
            continue;
        if (!daemon_is_up(sim)) { /* it died at the operator's own write, who then tries again */
            daemon_pump(sim);
            continue;
        }
        if (is_at_rest || i >= PATIENCE)
            return is_at_rest;
    }
    return false;
}

/* ---- what is parked ----------------------------------------------------------------- */

static bool is_running(const struct sim *sim, const struct step *step)
{
    const struct thing *thing = thing_of_uid(&sim->truth, step->uid);
    return thing && thing->exists && thing->booted;
}

static bool is_off(const struct sim *sim, const struct step *step)
{
    return !is_running(sim, step);
}

/* "still in use by KIND [PROJECT/]NAME": one is there that bears this name, or did when it began;
 * or is to be made once more, and waits itself. That one is looked at, too. */
static bool has_user(const struct sim *sim, const struct step *step)
{
    char kind[32] = "", project[32] = "", name[64] = "";
    const char *at = strstr(step->reason, "still in use by ");
    if (!at || (sscanf(at, "still in use by %31s %31[^/]/%63s", kind, project, name) != 3 &&
                sscanf(at, "still in use by %31s %63s", kind, name) != 2))
        return false;
    for (size_t i = 0; i < sim->truth.count; i++) {
        const struct thing *thing = &sim->truth.things[i];
        if (thing->exists && strcmp(thing->kind, kind) == 0 &&
            strcmp(thing->project, project) == 0 && strcmp(thing->name, name) == 0)
            return true;
    }
    const struct plan *plan = core_plan(sim->host.core);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *user = &plan->steps[i];
        if (user->disposition != RUN && strcmp(user->kind->name, kind) == 0 &&
            strcmp(user->project ? user->project : "", project) == 0 &&
            strcmp(user->name, name) == 0)
            return true;
    }
    return false;
}

static bool is_larger(const struct sim *sim, const struct step *step)
{
    const struct thing *thing = thing_of_uid(&sim->truth, step->uid);
    return thing && thing->exists && step->resource &&
           value_get_int(thing->spec, "size", 0) > value_get_int(step->resource->spec, "size", 0);
}

/* By the last commit that declared it, or by its own tag: one that was to lift protection and left
 * Git before that had come through. */
static bool is_protected(const struct sim *sim, const struct step *step)
{
    const struct thing *thing = thing_of_uid(&sim->truth, step->uid);
    const struct last_word *word =
        thing ? truth_last_word(&sim->truth, thing->project, thing->name) : NULL;
    return (word && word->is_protected) || (thing && value_get_bool(thing->spec, "protect", false));
}

static bool is_so(const struct sim *sim, const struct step *step)
{
    (void)sim;
    (void)step;
    return true;
}

/* All that a step may wait for once faults have ceased and a person has approved what can be, and
 * whether it is true. */
static const struct {
    enum disposition disposition;
    const char *reason; /* that it holds */
    bool (*holds)(const struct sim *sim, const struct step *step);
} parkings[] = {
    {REPORTED, "volumes never shrink", is_larger},
    {REPORTED, "updatePolicy.replace is never", is_so},
    {REPORTED, "updatePolicy.restart is never", is_running},
    {REPORTED, "restartPolicy is", is_off},
    {REPORTED, "kept as it was at the first boot", is_so},
    {DEFERRED, "comes with the next start", is_off},
    {DEFERRED, "waits until the machine stops", is_running},
    {DEFERRED, "waits for the window", is_running},
    {DEFERRED, "still in use by", has_user},
    {DEFERRED, "waits for ", is_so}, /* a step that waits itself; that one is looked at, too */
    {HELD, "it is protected", is_protected},
};

static bool is_parked_well(const struct sim *sim, const struct step *step)
{
    for (size_t i = 0; i < sizeof parkings / sizeof *parkings; i++)
        if (step->disposition == parkings[i].disposition &&
            strstr(step->reason, parkings[i].reason) && parkings[i].holds(sim, step))
            return true;
    return false;
}

/* A step that does not run must be one that only a person, a stop of the machine or
 * time can let go on; the plan says which. */
static const char *parked_wrongly(struct sim *sim)
{
    static char why[MESSAGE_MAX];
    const struct plan *plan = core_plan(sim->host.core);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const char *what = step->disposition == RUN                   ? NULL
                           : !step->reason || !*step->reason          ? "without a reason"
                           : step->disposition == HELD && !step->hold ? "with no id to approve"
                           : !is_parked_well(sim, step)               ? step->reason
                                                                      : NULL;
        if (!what)
            continue;
        snprintf(why, sizeof why, "%s %s is %s: %s", step->kind->name, step->name,
                 disposition_text(step->disposition), what);
        return why;
    }
    return NULL;
}

static void look_again(struct sim *sim)
{
    struct host *host = &sim->host;
    uint64_t applies = host->applies, writes = host->writes;
    core_look(host->core);
    daemon_pump(sim);
    run_until_settled(sim, HOUR_MS);
    quiet.again_applies = host->applies - applies;
    quiet.again_writes = host->writes - writes;
    applies = host->applies;
    daemon_head(sim);
    run_until_settled(sim, HOUR_MS);
    quiet.same_applies = host->applies - applies;
}

void quiet_run(struct sim *sim)
{
    const struct moment end = {.when = AT_END};
    quiet = (struct quiet){.is_settled = false};
    sim->is_quiet = true;
    daemon_disk_heals(sim);
    sim->host.crash_at = 0;
    sim_clock_steadies(sim);
    TRACE(sim, "quiet");
    while (!daemon_is_up(sim) && sim->violated < 0 && sim_step(sim, sim->now_ms + HOUR_MS))
        continue;
    if (sim->violated >= 0)
        return;
    operator_thaws(sim);
    operator_clears_strays(sim);
    git_push_plain(sim);
    daemon_head(sim);
    /* An hour lets hung calls end and what was to come late come. */
    for (int64_t until = sim->now_ms + HOUR_MS; sim->violated < 0 && sim_step(sim, until);)
        continue;
    operator_clears_orphans(sim);
    core_look(sim->host.core);
    daemon_pump(sim);
    quiet.is_settled = quiet_settle(sim);
    if (sim->violated < 0 && quiet.is_settled) {
        quiet.parked = parked_wrongly(sim);
        look_again(sim);
    }
    if (sim->violated < 0)
        invariants_check(sim, &end);
}
