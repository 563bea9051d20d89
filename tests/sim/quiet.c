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
    if (sim->violated < 0 && quiet.is_settled)
        look_again(sim);
    if (sim->violated < 0)
        invariants_check(sim, &end);
}
