/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The seam as the simulator binds it. Every call may be the core's last: from then on
 * it still runs, because a process cannot be cut off in the middle of a function from
 * within, but nothing that it does has an effect, and the store tells it that it failed.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"
#include "tests/sim/invariants.h"
#include "reconciler/engine/part.h"
#include "tests/sim/posix.h"
#include "tests/sim/sim.h"
#include "tests/sim/vfs.h"

/* The ledger's functions have no context. A process runs one seed at a time. */
static struct sim *bound;

/* False: the daemon is dead, and this call comes to nothing. */
static bool called(struct sim *sim)
{
    struct host *host = &sim->host;
    if (host->is_dead)
        return false;
    if (++host->calls == host->crash_at) {
        host->is_dead = true;
        host->crash_at = 0;
        host->deaths++;
        if (host->has_no_power)
            sim_disk_lose_power(&host->disk, host->loss);
        else
            sim_disk_stop(&host->disk);
        sim_fault_note(sim, host->has_no_power ? FAULT_POWER_LOSS : FAULT_CORE_CRASH);
        TRACE(sim, "the daemon dies at call %llu", (unsigned long long)host->calls);
    }
    return !host->is_dead;
}

/* ---- clock, chance, timer ----------------------------------------------------------- */

static int64_t seam_mono(void *context)
{
    return ((struct sim *)context)->now_ms;
}

static int64_t seam_wall(void *context)
{
    return sim_wall_ms(context);
}

static void seam_random(void *context, void *out, size_t len)
{
    prng_fill(&((struct sim *)context)->chance, out, len);
}

static void timer_fires(struct sim *sim, void *data)
{
    uint64_t *number = data;
    if (sim->host.core && !sim->host.is_dead && *number == sim->host.timer) {
        core_timer(sim->host.core);
        daemon_pump(sim);
    }
    free(number);
}

static void seam_timer(void *context, int64_t mono_ms)
{
    struct sim *sim = context;
    if (!called(sim))
        return;
    sim->host.timer++;
    if (mono_ms < 0)
        return;
    uint64_t *number = malloc(sizeof *number);
    if (!number)
        abort();
    *number = sim->host.timer;
    int64_t at = mono_ms > sim->now_ms ? mono_ms : sim->now_ms + 1;
    events_add(&sim->events, at, timer_fires, number);
}

/* ---- drivers ------------------------------------------------------------------------ */

static struct sim_driver *driver_named(struct sim *sim, const char *name)
{
    for (int i = 0; i < DRIVERS; i++)
        if (strcmp(driver_names[i], name) == 0)
            return &sim->drivers[i];
    abort();
}

static void seam_driver_start(void *context, const char *driver)
{
    struct sim *sim = context;
    if (!called(sim))
        return;
    TRACE(sim, "%s starts", driver);
    sim_driver_start(driver_named(sim, driver));
}

static void seam_driver_send(void *context, const char *driver, const struct value *message)
{
    struct sim *sim = context;
    struct text line = TEXT_INIT;
    if (!called(sim))
        return;
    if (strcmp(value_get_text(message, "method", ""), "apply") == 0) {
        const struct moment moment = {.when = ON_SEND, .message = message};
        invariants_check(sim, &moment);
        struct note *note = book_find(&sim->book, value_at_text(message, "params.op", ""));
        sim->host.applies++;
        truth_sent(&sim->truth, value_get(message, "params"));
        if (note) {
            note->sent++;
            note->was_let = note->is_approved;
            note->phase = PHASE_SENT;
            sim_driver_asked(driver_named(sim, driver), value_get_int(message, "id", 0), note->op);
            sim_misfortune_near(sim, note->verb);
            if (note->verb < VERBS)
                tally_add(&sim->tally->ops[note->verb], 1);
        }
    }
    json_write(&line, message);
    sim_driver_send(driver_named(sim, driver), line.data, line.len);
    text_free(&line);
}

static void seam_driver_kill(void *context, const char *driver)
{
    struct sim *sim = context;
    if (called(sim))
        sim_driver_kill(driver_named(sim, driver));
}

/* ---- events ------------------------------------------------------------------------- */

static void deletion_note(struct sim *sim, const struct event *event)
{
    const struct note *note = book_find(&sim->book, value_get_text(event->data, "op", ""));
    struct thing *thing = event->uid ? thing_of_uid(&sim->truth, event->uid) : NULL;
    if (!note || note->verb >= VERBS)
        return;
    tally_add(&sim->tally->confirmed[note->verb], 1);
    if (thing && note->verb == VERB_DELETE)
        thing->gone_epoch = note->epoch;
}

static void seam_emit(void *context, const struct event *event)
{
    struct sim *sim = context;
    if (!called(sim))
        return;
    const struct moment moment = {.when = ON_EMIT, .event = event};
    TRACE(sim, "event %s %s", event->type, event->text);
    invariants_check(sim, &moment);
    sim->host.seq = event->seq;
    sim->host.may_skip = sim->host.has_begun = false;
    if (strcmp(event->type, "op.confirmed") == 0)
        deletion_note(sim, event);
    if (strcmp(event->type, "converged") == 0)
        snprintf(sim->host.said_converged, sizeof sim->host.said_converged, "%s",
                 value_get_text(event->data, "commit", ""));
}

static void seam_log(void *context, const char *name, const char *text)
{
    struct sim *sim = context;
    if (sim->host.is_dead)
        return;
    const struct event event = {.type = name, .text = text};
    const struct moment moment = {.when = ON_LOG, .event = &event};
    TRACE(sim, "log %s %s", name, text);
    invariants_check(sim, &moment);
}

/* ---- repository --------------------------------------------------------------------- */

static int seam_load(void *context, struct arena *arena, const char *commit, const struct set **set,
                     struct report *report, struct error *err)
{
    struct sim *sim = context;
    if (!called(sim))
        return error_set(err, ERR_SYSTEM, "dead");
    return git_load(sim, arena, commit, set, report, err);
}

static bool seam_part_make(void *context, struct arena *arena, const struct part_change *change,
                           struct part *part)
{
    return called(context) && git_part(context, arena, change, part);
}

static bool seam_part_covers(void *context, const struct part *part, const struct plan *plan)
{
    return called(context) && part_covers(part, plan);
}

static void seam_part_free(void *context, struct part *part)
{
    (void)context;
    part_free(part);
}

static int seam_describe(void *context, struct arena *arena, const char *commit,
                         const char **author, const char **subject, struct error *err)
{
    (void)context;
    (void)arena;
    (void)commit;
    (void)err;
    *author = "Ann <ann@example.org>";
    *subject = "an edit";
    return 0;
}

/* ---- the store ---------------------------------------------------------------------- */

static int dead(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "the daemon is dead");
}

/* What changes the store counts as a write. */
static int writes(struct error *err)
{
    if (!called(bound))
        return dead(err);
    bound->host.writes++;
    bound->host.is_writing = true;
    return 0;
}

/* Whatever the core makes of it. */
static int written(int status)
{
    struct host *host = &bound->host;
    host->is_writing = false;
    if (status < 0 && !host->is_dead)
        host->failed_in_life = host->life + 1;
    return status;
}

static int seam_begin(struct store *store, struct error *err)
{
    return called(bound) ? store_begin(store, err) : dead(err);
}

static int seam_commit(struct store *store, struct error *err)
{
    if (!called(bound))
        return dead(err);
    bound->host.is_writing = true;
    int status = written(store_commit(store, err));
    if (status == 0) {
        book_commit(&bound->book);
        if (bound->host.accepting[0])
            host_accept(bound, bound->host.accepting);
        bound->host.accepting[0] = '\0';
    }
    return called(bound) ? status : dead(err);
}

static void seam_rollback(struct store *store)
{
    book_rollback(&bound->book);
    memcpy(bound->host.maybe, bound->host.accepting, sizeof bound->host.maybe);
    bound->host.accepting[0] = '\0';
    store_rollback(store);
}

static int seam_intent_put(struct store *store, const struct intent *intent, struct error *err)
{
    if (writes(err) < 0)
        return err->code;
    book_intent(&bound->book, intent);
    return written(store_intent_put(store, intent, err));
}

static int seam_plan_put(struct store *store, const char *hash, const char *commit, int64_t at,
                         const struct value *document, struct error *err)
{
    if (writes(err) < 0)
        return err->code;
    book_plan(&bound->book, bound->arena, hash, document, bound->now_ms);
    return written(store_plan_put(store, hash, commit, at, document, err));
}

static int seam_object_put(struct store *store, const struct known *known, struct error *err)
{
    if (writes(err) < 0)
        return err->code;
    book_object(&bound->book, known);
    return written(store_object_put(store, known, err));
}

static int seam_revision_add(struct store *store, const struct revision *revision, int64_t *id,
                             struct error *err)
{
    if (writes(err) < 0)
        return err->code;
    if (!strcmp(revision->state, "target"))
        strncpy(bound->host.accepting, revision->commit, sizeof bound->host.accepting - 1);
    return written(store_revision_add(store, revision, id, err));
}

#define WRITES(name, parameters, ...)                                            \
    static int seam_##name parameters                                            \
    {                                                                            \
        return writes(err) < 0 ? err->code : written(store_##name(__VA_ARGS__)); \
    }
#define READS(name, parameters, ...)                                  \
    static int seam_##name parameters                                 \
    {                                                                 \
        return called(bound) ? store_##name(__VA_ARGS__) : dead(err); \
    }

WRITES(revision_state,
       (struct store * store, int64_t id, const char *state, int64_t at, struct error *err), store,
       id, state, at, err)
WRITES(observation_put,
       (struct store * store, const char *uid, const struct observation *observation,
        const char *etag, struct error *err),
       store, uid, observation, etag, err)
WRITES(hold_put,
       (struct store * store, const char *id, const char *rule, const char *reason, int64_t at,
        struct error *err),
       store, id, rule, reason, at, err)
WRITES(leavings_forget, (struct store * store, struct error *err), store, err)
WRITES(hold_drop, (struct store * store, const char *id, struct error *err), store, id, err)
WRITES(event_add,
       (struct store * store, const struct event *event, int64_t *seq, struct error *err), store,
       event, seq, err)
WRITES(drift_seen, (struct store * store, const struct drift_row *row, struct error *err), store,
       row, err)
WRITES(drift_healed,
       (struct store * store, const char *uid, const char *path, int64_t at, const char *by,
        struct error *err),
       store, uid, path, at, by, err)
WRITES(fact_put, (struct store * store, const char *key, const char *text, struct error *err),
       store, key, text, err)
WRITES(etags_drop, (struct store * store, struct error *err), store, err)
READS(observed_at, (struct store * store, int64_t *at, struct error *err), store, at, err)
READS(revision_target,
      (struct store * store, struct arena *arena, struct revision *out, struct error *err), store,
      arena, out, err)
READS(objects,
      (struct store * store, struct arena *arena, struct known **out, size_t *count,
       struct error *err),
      store, arena, out, count, err)
READS(objects_each,
      (struct store * store, struct arena *arena, store_row_taken *taken, void *context,
       struct error *err),
      store, arena, taken, context, err)
READS(sightings_each,
      (struct store * store, store_sighting_taken *taken, void *context, struct error *err), store,
      taken, context, err)
READS(objects_named,
      (struct store * store, struct arena *arena, const char *kind, const char *project,
       const char *name, struct known **out, size_t *count, struct error *err),
      store, arena, kind, project, name, out, count, err)
READS(objects_renamed,
      (struct store * store, struct arena *arena, size_t limit, struct known **out, size_t *count,
       struct error *err),
      store, arena, limit, out, count, err)
READS(incarnations,
      (struct store * store, const char *kind, const char *project, const char *name,
       uint64_t *count, struct error *err),
      store, kind, project, name, count, err)
READS(intents_open,
      (struct store * store, struct arena *arena, struct intent **out, size_t *count,
       struct error *err),
      store, arena, out, count, err)
READS(destroyed_since,
      (struct store * store, struct arena *arena, int64_t since, struct loss **out, size_t *count,
       struct error *err),
      store, arena, since, out, count, err)
READS(left_since, (struct store * store, int64_t since, int64_t *count, struct error *err), store,
      since, count, err)
READS(holds, (struct store * store, struct arena *arena, struct value **list, struct error *err),
      store, arena, list, err)
READS(freezes,
      (struct store * store, struct arena *arena, struct freeze **out, size_t *count,
       struct error *err),
      store, arena, out, count, err)
READS(drifts,
      (struct store * store, struct arena *arena, int64_t since, struct drift_row **out,
       size_t *count, struct error *err),
      store, arena, since, out, count, err)
READS(fact_get,
      (struct store * store, struct arena *arena, const char *key, const char **text,
       struct error *err),
      store, arena, key, text, err)

static const struct ledger seam_ledger = {
    .begin = seam_begin,
    .commit = seam_commit,
    .rollback = seam_rollback,
    .revision_add = seam_revision_add,
    .revision_state = seam_revision_state,
    .revision_target = seam_revision_target,
    .objects = seam_objects,
    .objects_each = seam_objects_each,
    .sightings_each = seam_sightings_each,
    .objects_named = seam_objects_named,
    .objects_renamed = seam_objects_renamed,
    .object_put = seam_object_put,
    .observation_put = seam_observation_put,
    .etags_drop = seam_etags_drop,
    .observed_at = seam_observed_at,
    .incarnations = seam_incarnations,
    .intent_put = seam_intent_put,
    .intents_open = seam_intents_open,
    .destroyed_since = seam_destroyed_since,
    .left_since = seam_left_since,
    .leavings_forget = seam_leavings_forget,
    .plan_put = seam_plan_put,
    .hold_put = seam_hold_put,
    .hold_drop = seam_hold_drop,
    .holds = seam_holds,
    .freezes = seam_freezes,
    .event_add = seam_event_add,
    .drift_seen = seam_drift_seen,
    .drift_healed = seam_drift_healed,
    .drifts = seam_drifts,
    .fact_put = seam_fact_put,
    .fact_get = seam_fact_get,
};

/* ---- the disk ----------------------------------------------------------------------- */

static uint64_t disk_random(void *context)
{
    return prng_next(&((struct sim *)context)->chance);
}

static void disk_called(void *context, enum sim_call call, const char *path)
{
    struct sim *sim = context;
    (void)call;
    (void)path;
    if (sim->host.core || sim->host.is_booting)
        called(sim);
}

/* What the log cannot take is not durable, whatever the store says of it. What cannot go on from
 * there to the database is no loss, and for that the log is synced once more. */
static bool is_lost(const struct host *host, enum sim_call call, const char *path,
                    enum sim_fault fault)
{
    size_t len = path ? strlen(path) : 0;
    if (!host->is_writing || fault == SIM_BUSY || len <= 4 || strcmp(path + len - 4, "-wal") != 0)
        return false;
    return call == SIM_WRITE || (call == SIM_SYNC && !sim_disk_is_synced(&host->disk, path));
}

/* Calls of the daemon's, as above. */
static void disk_fault_met(void *context, enum sim_call call, const char *path,
                           enum sim_fault fault)
{
    static const enum fault kinds[SIM_FAULTS] = {[SIM_EIO] = FAULT_DISK_ERROR,
                                                 [SIM_READ_ONLY] = FAULT_DISK_READ_ONLY,
                                                 [SIM_NO_SPACE] = FAULT_DISK_FULL,
                                                 [SIM_SHORT] = FAULT_SHORT_READ,
                                                 [SIM_BUSY] = FAULT_STORE_BUSY};
    struct sim *sim = context;
    if (sim->host.core || sim->host.is_booting)
        sim_fault_met(sim, kinds[fault]);
    if (is_lost(&sim->host, call, path, fault))
        sim->host.failed_in_life = sim->host.life + 1;
}

/* The daemon waits for a lock, and the world goes on meanwhile. */
static void disk_slept(void *context, int us)
{
    ((struct sim *)context)->now_ms += us / 1000;
}

void seam_bind(struct sim *sim)
{
    bound = sim;
    sim->host.ledger = seam_ledger;
    sim->host.env = (struct env){
        .context = sim,
        .mono_ms = seam_mono,
        .wall_ms = seam_wall,
        .random = seam_random,
        .timer = seam_timer,
        .driver_start = seam_driver_start,
        .driver_send = seam_driver_send,
        .driver_kill = seam_driver_kill,
        .emit = seam_emit,
        .log = seam_log,
        .load = seam_load,
        .describe = seam_describe,
        .part_make = seam_part_make,
        .part_covers = seam_part_covers,
        .part_free = seam_part_free,
        .ledger = &sim->host.ledger,
    };
    sim_disk_init(&sim->host.disk, disk_random, sim);
    sim->host.disk.boundary = disk_called;
    sim->host.disk.met = disk_fault_met;
    sim->host.disk.slept = disk_slept;
    sim->host.disk.now_ms = seam_wall;
    sim_vfs_register(&sim->host.disk, "sim");
    sim_posix_use(&sim->host.disk);
    if (sodium_init() < 0)
        abort();
}
