/* SPDX-License-Identifier: MPL-2.0 */
/* A run of one seed: the swarm's choice, the events of the active phase, the quiet one. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/actor.h"
#include "tests/sim/invariants.h"

enum {
    MINUTE_MS = 60000,
    HOUR_MS = 3600000,
    EVENTS_MAX = 400000,
    BOOT_MS = 1000,
    SECOND_TRIES_MS = 5000
};
#define YEARS_MS INT64_C(315576000000) /* ten of them */

/* ---- faults ------------------------------------------------------------------------- */

static void cell_hit(struct sim *sim, enum fault fault, enum verb verb, enum phase phase)
{
    if (verb < VERBS && phase < PHASES)
        tally_add(&sim->tally->cells[verb][phase][fault], 1);
}

bool sim_fault(struct sim *sim, enum fault fault, enum verb verb, enum phase phase)
{
    unsigned rate = sim->swarm.rates[fault];
    if (sim->is_quiet || rate == 0 ||
        !prng_chance(fault < FAULT_EXTRA   ? &sim->faults
                     : fault < FAULT_LATER ? &sim->extra
                     : fault < FAULT_ABLE  ? &sim->later
                                           : &sim->groups,
                     rate))
        return false;
    cell_hit(sim, fault, verb, phase);
    tally_add(&sim->tally->faults[fault], 1);
    sim->faults_met[fault]++;
    TRACE(sim, "fault %s", fault_names[fault]);
    return true;
}

void sim_fault_strikes(struct sim *sim, enum fault fault, const struct sim_driver *driver)
{
    for (size_t i = 0; i < sim->book.count; i++) {
        const struct note *note = &sim->book.notes[i];
        if (note_is_open(note) && (!driver || sim_driver_of_kind(sim, note->kind) == driver))
            cell_hit(sim, fault, note->verb, note->phase);
    }
}

void sim_fault_note(struct sim *sim, enum fault fault)
{
    sim_fault_strikes(sim, fault, NULL);
    tally_add(&sim->tally->faults[fault], 1);
    sim->faults_met[fault]++;
    TRACE(sim, "fault %s", fault_names[fault]);
}

void sim_fault_arm(struct sim *sim, enum fault fault)
{
    tally_add(&sim->tally->armed[fault], 1);
    sim->is_armed[fault] = true;
}

void sim_fault_met(struct sim *sim, enum fault fault)
{
    if (sim->is_armed[fault])
        sim_fault_note(sim, fault);
    sim->is_armed[fault] = false;
}

/* As much happens in a time that is so much longer. */
static void swarm_slow(struct swarm *swarm, int64_t times)
{
    swarm->active_ms *= times;
    swarm->edit_every_ms *= times * 3 / 4;
    swarm->act_every_ms *= times * 3 / 4;
    swarm->fault_every_ms *= times * 3 / 4;
}

/* Of faults from `first` on, in a quarter of all seeds. */
static void extras_choose(struct swarm *swarm, int first, int end, struct prng *prng,
                          const struct options *options)
{
    static const unsigned rates[] = {3, 10, 30, 80};
    const bool has_any = prng_chance(prng, 250);
    for (int i = first; i < end; i++) {
        bool is_on = prng_chance(prng, 500) && has_any;
        unsigned rate = rates[prng_below(prng, 4)];
        swarm->rates[i] = is_on && !(options->without[0] >> i & 1) ? rate : 0;
    }
}

static struct able able_choose(struct prng *prng)
{
    static const size_t most[] = {0, 0, 2, 3};
    return (struct able){.groups = prng_chance(prng, 500),
                         .group_max = most[prng_below(prng, 4)],
                         .etags = prng_chance(prng, 500),
                         .tells_etag = prng_chance(prng, 500),
                         .knows = prng_chance(prng, 300)};
}

static struct swarm swarm_choose(struct sim *sim, const struct options *options)
{
    struct prng *prng = &sim->schedule;
    static const unsigned rates[] = {3, 10, 30, 80, 200};
    static const int64_t hops[] = {0, 2, 20, 400}, works[] = {1, 20, 300, 4000};
    struct swarm swarm = {
        .active_ms = prng_between(prng, 20 * MINUTE_MS, 6 * HOUR_MS),
        .edit_every_ms = prng_between(prng, 2 * MINUTE_MS, 40 * MINUTE_MS),
        .act_every_ms = prng_between(prng, 2 * MINUTE_MS, 60 * MINUTE_MS),
        .fault_every_ms = prng_between(prng, 2 * MINUTE_MS, 60 * MINUTE_MS),
        .resync_ms = prng_chance(prng, 500) ? 300000 : HOUR_MS,
        .hop_ms = hops[prng_below(prng, 4)],
        .work_ms = works[prng_below(prng, 4)],
    };
    swarm.taste = prng_chance(prng, 300) ? (enum wish_taste)prng_below(prng, TASTES) : TASTE_ALL;
    swarm.near_rate = prng_chance(prng, 500) ? 0 : (unsigned)prng_between(prng, 5, 60);
    extras_choose(&swarm, FAULT_EXTRA, FAULT_LATER, &sim->extra, options);
    extras_choose(&swarm, FAULT_LATER, FAULT_ABLE, &sim->later, options);
    extras_choose(&swarm, FAULT_ABLE, FAULT_COUNT, &sim->groups, options);
    for (int i = 0; i < DRIVERS; i++)
        swarm.able[i] = able_choose(&sim->groups);
    for (int i = 0; i < FAULT_EXTRA; i++) {
        bool is_on = prng_chance(prng, 330);
        unsigned rate = rates[prng_below(prng, 5)];
        bool is_left_out = options->without[0] >> i & 1;
        swarm.rates[i] = is_on && !is_left_out ? rate : 0;
    }
    if (prng_chance(prng, 60)) { /* at times a long and slow one */
        swarm_slow(&swarm, 40);
        swarm.resync_ms = HOUR_MS;
        if (prng_chance(prng, 600)) { /* of up to a year, for what is kept for days or months */
            swarm_slow(&swarm, 40);
            swarm.resync_ms = 12 * HOUR_MS;
        }
    }
    if (options->active_ms)
        swarm.active_ms = options->active_ms;
    return swarm;
}

/* ---- what comes by itself ----------------------------------------------------------- */

static void again(struct sim *sim, int64_t every_ms, event_fn *run)
{
    if (!sim->is_quiet)
        events_add(&sim->events, sim->now_ms + prng_between(&sim->schedule, 1, 2 * every_ms), run,
                   NULL);
}

static void head_arrives(struct sim *sim, void *data)
{
    (void)data;
    daemon_head(sim);
}

static void edit(struct sim *sim, void *data)
{
    (void)data;
    if (sim->is_quiet)
        return;
    git_push(sim);
    bool stalls = sim_fault(sim, FAULT_GIT_STALL, VERBS, PHASES);
    events_add(&sim->events,
               sim->now_ms + (stalls ? prng_between(&sim->latency, MINUTE_MS, 30 * MINUTE_MS) : 5),
               head_arrives, NULL);
    again(sim, sim->swarm.edit_every_ms, edit);
}

static void act(struct sim *sim, void *data)
{
    (void)data;
    if (sim->is_quiet)
        return;
    actor_acts(sim);
    operator_acts(sim);
    again(sim, sim->swarm.act_every_ms, act);
}

static void disk_heals(struct sim *sim, void *data)
{
    (void)data;
    daemon_disk_heals(sim);
}

/* The lock keeps it out while the first lives, and passes to it as soon as the first is dead, with
 * whatever that had under way. */
static void second_tries(struct sim *sim, void *data)
{
    struct store *second = NULL;
    struct error err = ERROR_INIT;
    (void)data;
    if (sim->is_quiet || sim->now_ms > sim->second_until_ms) {
        sim->second_until_ms = 0;
        return;
    }
    events_add(&sim->events, sim->now_ms + prng_between(&sim->later, 10, SECOND_TRIES_MS),
               second_tries, NULL);
    if (!sim->host.core) {
        TRACE(sim, "the second daemon has its turn");
        daemon_boot(sim);
    } else if (daemon_is_up(sim) && store_open(store_dir, STORE_WRITE, &second, &err) == 0) {
        store_close(second);
        sim_violate(sim, invariant_find("S9"), "a second daemon has opened the store");
    }
}

/* It is started by mistake, and again by whoever starts what ends, until somebody notices. */
static void second_daemon(struct sim *sim)
{
    bool is_trying = sim->second_until_ms != 0;
    sim->second_until_ms = sim->now_ms + prng_between(&sim->faults, MINUTE_MS, 30 * MINUTE_MS);
    if (!is_trying)
        second_tries(sim, NULL);
}

static int64_t clock_jump(struct prng *prng)
{
    static const int64_t spans[] = {2000, HOUR_MS, 24 * HOUR_MS, YEARS_MS};
    int64_t span = spans[prng_below(prng, 4)];
    return prng_between(prng, -span, span);
}

/* One of those that the seed has on; FAULT_COUNT: it has none. */
static enum fault misfortune_choose(struct sim *sim)
{
    static const enum fault kinds[] = {
        FAULT_CORE_CRASH,    FAULT_POWER_LOSS,   FAULT_PAUSE,      FAULT_CLOCK_JUMP,
        FAULT_DISK_FULL,     FAULT_DISK_ERROR,   FAULT_STORE_LOST, FAULT_STORE_RESTORED,
        FAULT_SECOND_DAEMON, FAULT_OTHER_VERSION};
    enum fault on[sizeof kinds / sizeof *kinds];
    size_t count = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (sim->swarm.rates[kinds[i]])
            on[count++] = kinds[i];
    return count ? on[prng_below(&sim->faults, count)] : FAULT_COUNT;
}

/* The host's faults: one at each turn, most turns. */
static void misfortune(struct sim *sim, void *is_extra)
{
    if (sim->is_quiet)
        return;
    enum fault kind = misfortune_choose(sim);
    if (!is_extra)
        again(sim, sim->swarm.fault_every_ms, misfortune);
    if (kind == FAULT_COUNT || prng_chance(&sim->faults, is_extra ? 100 : 500))
        return;
    struct host *host = &sim->host;
    switch (kind) {
    case FAULT_CORE_CRASH:
    case FAULT_POWER_LOSS:
        if (!daemon_is_up(sim) || host->crash_at)
            break;
        host->has_no_power = kind == FAULT_POWER_LOSS;
        host->loss = (enum sim_loss)prng_below(&sim->faults, SIM_LOSSES);
        host->crash_at = host->calls + 1 +
                         prng_below(&sim->faults, is_extra ? 10 : 400); /* at one of the next */
        break;
    case FAULT_PAUSE:
        sim_fault_note(sim, kind);
        sim->now_ms += prng_between(&sim->faults, 1000, 20 * MINUTE_MS);
        break;
    case FAULT_CLOCK_JUMP:
        sim_fault_note(sim, kind);
        sim->wall_ms += clock_jump(&sim->faults);
        if (sim->wall_ms + sim->now_ms < 0 || sim->wall_ms > 3 * YEARS_MS + INT64_C(1700000000000))
            sim->wall_ms = INT64_C(1700000000000);
        TRACE(sim, "the clock says %lld", (long long)(sim->now_ms + sim->wall_ms));
        break;
    case FAULT_DISK_FULL:
        daemon_disk_fills(sim);
        events_add(&sim->events,
                   sim->now_ms + prng_between(&sim->faults, MINUTE_MS, 20 * MINUTE_MS), disk_heals,
                   NULL);
        break;
    case FAULT_DISK_ERROR:
        daemon_disk_fails(sim);
        break;
    case FAULT_SECOND_DAEMON:
        if (!daemon_is_up(sim))
            break;
        sim_fault_note(sim, kind);
        second_daemon(sim);
        break;
    case FAULT_OTHER_VERSION:
        if (!daemon_is_up(sim))
            break;
        sim_fault_note(sim, kind);
        daemon_version_changes(sim);
        break;
    case FAULT_STORE_LOST:
    case FAULT_STORE_RESTORED:
        if (prng_chance(&sim->faults, 500) || !daemon_is_up(sim)) {
            if (daemon_is_up(sim))
                daemon_store_save(sim);
            break;
        }
        sim_fault_note(sim, kind);
        daemon_crash(sim, false);
        if (kind == FAULT_STORE_LOST || !daemon_store_restore(sim))
            daemon_store_lose(sim);
        break;
    default:
        break;
    }
}

int64_t sim_wall_ms(const struct sim *sim)
{
    int64_t drift_ms = sim->now_ms / 1000 * sim->drift_ppm / 1000;
    return sim->frozen_ms ? sim->frozen_ms : sim->now_ms + sim->wall_ms + drift_ms;
}

/* A clock that nobody sets: a bad crystal, or a virtual machine's that is starved. */
static void clock_drifts(struct sim *sim)
{
    static const int64_t rates[] = {50, 2000, 100000};
    if (!sim->swarm.rates[FAULT_CLOCK_DRIFT])
        return;
    int64_t rate = rates[prng_below(&sim->later, 3)];
    sim_fault_note(sim, FAULT_CLOCK_DRIFT);
    sim->drift_ppm = prng_between(&sim->later, -rate, rate);
}

/* It is told the time, and keeps it. */
void sim_clock_steadies(struct sim *sim)
{
    sim->frozen_ms = 0;
    sim->wall_ms = sim_wall_ms(sim) - sim->now_ms;
    sim->drift_ppm = 0;
}

static void clock_goes(struct sim *sim, void *data)
{
    (void)data;
    sim->frozen_ms = 0;
}

static void accident_end(struct sim *sim, event_fn *end)
{
    events_add(&sim->events, sim->now_ms + prng_between(&sim->extra, MINUTE_MS, 30 * MINUTE_MS),
               end, NULL);
}

/* The host's faults that came later. */
static void accident(struct sim *sim, void *data)
{
    static const enum fault kinds[] = {FAULT_CLOCK_FROZEN, FAULT_DISK_READ_ONLY, FAULT_STORE_BUSY};
    (void)data;
    if (sim->is_quiet)
        return;
    enum fault kind = kinds[prng_below(&sim->extra, 3)];
    events_add(&sim->events,
               sim->now_ms + prng_between(&sim->extra, 1, 2 * sim->swarm.fault_every_ms), accident,
               NULL);
    if (!sim->swarm.rates[kind])
        return;
    if (kind == FAULT_CLOCK_FROZEN) {
        sim_fault_note(sim, kind);
        sim->frozen_ms = sim_wall_ms(sim);
        accident_end(sim, clock_goes);
    } else if (kind == FAULT_DISK_READ_ONLY) {
        daemon_disk_stiffens(sim);
        accident_end(sim, disk_heals);
    } else {
        daemon_disk_busy(sim);
        accident_end(sim, disk_heals);
    }
}

/* Of the store, by the running daemon, now and then. */
static void read_ends_early(struct sim *sim, void *data)
{
    (void)data;
    if (sim->is_quiet)
        return;
    events_add(&sim->events,
               sim->now_ms + prng_between(&sim->later, 1, 2 * sim->swarm.fault_every_ms),
               read_ends_early, NULL);
    if (daemon_is_up(sim) && !sim->is_armed[FAULT_SHORT_READ])
        daemon_disk_reads_short(sim);
}

static void bit_turns(struct sim *sim, void *data)
{
    (void)data;
    if (sim->is_quiet)
        return;
    events_add(&sim->events,
               sim->now_ms + prng_between(&sim->later, 1, 4 * sim->swarm.fault_every_ms), bit_turns,
               NULL);
    if (daemon_is_up(sim) && !sim->host.crash_at)
        daemon_bit_flips(sim);
}

static bool has_accidents(const struct sim *sim)
{
    return sim->swarm.rates[FAULT_CLOCK_FROZEN] || sim->swarm.rates[FAULT_DISK_READ_ONLY] ||
           sim->swarm.rates[FAULT_STORE_BUSY];
}

void sim_misfortune_near(struct sim *sim, enum verb verb)
{
    bool is_rare = verb != VERB_CREATE && verb != VERB_UPDATE;
    unsigned rate = is_rare ? 4 * sim->swarm.near_rate : sim->swarm.near_rate;
    if (sim->is_quiet || !rate || !prng_chance(&sim->faults, rate))
        return;
    int64_t wait = prng_between(&sim->faults, 0, 2 * sim->swarm.work_ms + 4 * sim->swarm.hop_ms);
    events_add(&sim->events, sim->now_ms + wait, misfortune, sim);
}

/* ---- the run ------------------------------------------------------------------------ */

bool sim_step(struct sim *sim, int64_t until_ms)
{
    struct due due;
    if (events_next_ms(&sim->events) > until_ms || !events_take(&sim->events, &due)) {
        if (until_ms > sim->now_ms)
            sim->now_ms = until_ms;
        return false;
    }
    if (due.at_ms > sim->now_ms)
        sim->now_ms = due.at_ms;
    due.run(sim, due.data);
    if (sim->host.is_dead) /* it died at a call that nobody was waiting for */
        daemon_pump(sim);
    const struct moment moment = {.when = AFTER_EVENT};
    invariants_check(sim, &moment);
    /* What is refused for good is tried again each five minutes, for all of a long life. */
    if (++sim->events_run > EVENTS_MAX + (uint64_t)sim->now_ms / 2000)
        sim_violate(sim, invariant_find("L3"), "%" PRIu64 " events and no end", sim->events_run);
    return true;
}

static void boot(struct sim *sim, void *data)
{
    (void)data;
    daemon_boot(sim);
}

static void streams_seed(struct sim *sim, uint64_t seed)
{
    uint64_t state = seed;
    prng_seed(&sim->workload, &state);
    prng_seed(&sim->faults, &state);
    prng_seed(&sim->schedule, &state);
    prng_seed(&sim->latency, &state);
    prng_seed(&sim->chance, &state);
    prng_seed(&sim->extra, &state); /* the last ones: the others stay as they were */
    prng_seed(&sim->later, &state);
    prng_seed(&sim->groups, &state);
}

static void world_begin(struct sim *sim, uint64_t seed, bool is_shown, struct tally *tally)
{
    *sim = (struct sim){.seed = seed,
                        .tally = tally,
                        .violated = -1,
                        .now_ms = 1000,
                        .wall_ms = INT64_C(1700000000000)};
    streams_seed(sim, seed);
    sim->events.prng = &sim->schedule;
    sim->arena = arena_new();
    trace_begin(&sim->trace, is_shown);
    for (int i = 0; i < DRIVERS; i++)
        sim_driver_open(&sim->drivers[i], sim, (enum driver_id)i);
}

void sim_end(struct sim *sim)
{
    daemon_close(sim);
    git_free(&sim->git);
    truth_free(&sim->truth);
    book_free(&sim->book);
    events_free(&sim->events);
    arena_free(sim->arena);
}

bool sim_begin_calm(struct sim *sim, const struct wish *first, const struct able *able,
                    bool is_shown, struct tally *tally)
{
    world_begin(sim, 1, is_shown, tally);
    sim->is_quiet = true;
    sim->swarm = (struct swarm){.resync_ms = 300000, .hop_ms = 0, .work_ms = 1};
    for (int i = 0; i < DRIVERS; i++)
        sim_driver_able(&sim->drivers[i], able);
    git_open(sim, first);
    daemon_open(sim);
    daemon_boot(sim);
    return quiet_settle(sim) && sim->violated < 0;
}

static void swarm_trace(struct sim *sim)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (sim->swarm.rates[i])
            TRACE(sim, "swarm %s %u", fault_names[i], sim->swarm.rates[i]);
    for (int i = 0; i < DRIVERS; i++) {
        const struct able *able = &sim->swarm.able[i];
        TRACE(sim, "able %s:%s%s%s%s, %zu", driver_names[i], able->groups ? " groups" : "",
              able->etags ? " etags" : "", able->tells_etag ? " etag-in-look" : "",
              able->knows ? " unchanged" : "", able->group_max);
    }
    TRACE(sim, "active for %lld s, hop %lld ms, work %lld ms",
          (long long)sim->swarm.active_ms / 1000, (long long)sim->swarm.hop_ms,
          (long long)sim->swarm.work_ms);
}

struct swarm sim_swarm(uint64_t seed)
{
    static struct sim sim;
    const struct options options = {.is_shown = false};
    streams_seed(&sim, seed);
    return swarm_choose(&sim, &options);
}

struct verdict sim_run(uint64_t seed, const struct options *options, struct tally *tally)
{
    static struct sim sim;
    struct verdict verdict;
    world_begin(&sim, seed, options->is_shown, tally);
    sim.swarm = swarm_choose(&sim, options);
    for (int i = 0; i < DRIVERS; i++)
        sim_driver_able(&sim.drivers[i], &sim.swarm.able[i]);
    struct wish first = wish_first(&sim.workload);
    git_open(&sim, &first);
    daemon_open(&sim);
    swarm_trace(&sim);
    events_add(&sim.events, BOOT_MS, boot, NULL);
    again(&sim, sim.swarm.edit_every_ms, edit);
    again(&sim, sim.swarm.act_every_ms, act);
    again(&sim, sim.swarm.fault_every_ms, misfortune);
    if (has_accidents(&sim))
        events_add(&sim.events, BOOT_MS + 1, accident, NULL);
    if (sim.swarm.rates[FAULT_SHORT_READ])
        events_add(&sim.events, BOOT_MS + 2, read_ends_early, NULL);
    if (sim.swarm.rates[FAULT_BIT_FLIP])
        events_add(&sim.events, BOOT_MS + 3, bit_turns, NULL);
    clock_drifts(&sim);
    while (sim.violated < 0 && sim_step(&sim, 1000 + sim.swarm.active_ms))
        continue;
    if (sim.violated < 0)
        quiet_run(&sim);
    verdict = (struct verdict){.violated = sim.violated,
                               .events = sim.events_run,
                               .lines = sim.trace.lines,
                               .now_ms = sim.now_ms};
    memcpy(verdict.faults, sim.faults_met, sizeof verdict.faults);
    memcpy(verdict.message, sim.message, sizeof verdict.message);
    trace_end(&sim.trace, verdict.hash);
    tally_add(&tally->seeds, 1);
    tally_add(&tally->events, sim.events_run);
    tally_add(&tally->simulated_ms, (uint64_t)sim.now_ms);
    sim_end(&sim);
    return verdict;
}
