/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Looking at the world. A full round asks every driver for its list, compactly,
 * and then for details of what differs from what is stored, and of what the store
 * has and the list lacks; a small round asks for single uids only. A list counts
 * when it is complete; anything else makes the driver's objects unknown, and
 * unknown is never absent. A driver that takes its time holds a round up for two
 * seconds and no longer: the plan is made without it, and again when it answers.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"

enum {
    OBSERVE_MS = 30000,
    EACH_MS = 16000, /* of a uid: a driver gives one that hangs 15 s before it is unknown */
    PATIENCE_MS = 2000,
    COALESCE_MS = 100,
    DETAILS_MAX = 256, /* uids in one request */
    DAMAGE_MAX = 100,  /* of one object: each is a row of drift, and an event */
    ETAG_MAX = 4096,
};

static int64_t mono(const struct core *core)
{
    return core->env->mono_ms(core->env->context);
}

static char *text_dup(const char *text)
{
    return text ? memory_need(strdup(text)) : NULL;
}

/* ---- what was seen ------------------------------------------------------------------ */

static struct seen *seen_get(struct core *core, struct driver *driver, const char *uid)
{
    struct seen *seen = seen_find(core, uid);
    if (!seen)
        seen = seen_add(core, uid);
    if (driver)
        seen->driver = driver;
    return seen;
}

void seen_forget(struct core *core, const struct driver *driver)
{
    for (struct seen *seen = core->seen.first; seen; seen = seen->next)
        if (seen->driver == driver)
            seen->has_details = false;
}

void seen_free(struct core *core)
{
    seen_clear(core);
    for (size_t i = 0; i < core->config.driver_count; i++) {
        strangers_free(&core->drivers[i]);
        free(core->drivers[i].token);
    }
}

/* A rack that changes by itself, or by a driver that works for long, tells of it all the time, and
 * each plan is of the whole rack: plans have at most a fifth of the time. */
static int64_t rested_ms(const struct core *core)
{
    return core->planned_ms + 4 * core->plan_ms;
}

static int64_t notices_end_ms(const struct core *core)
{
    int64_t soon_ms = mono(core) + COALESCE_MS;
    return soon_ms > rested_ms(core) ? soon_ms : rested_ms(core);
}

void seen_mark_dirty(struct core *core, struct driver *driver, const char *uid, const char *why)
{
    struct seen *seen = uid ? seen_find(core, uid) : NULL;
    if (uid && !seen && !driver) {
        core->wants_plan = true; /* nobody holds it: nothing to look at */
        return;
    }
    if (seen && !seen->driver)
        core->wants_plan = true;
    else if (seen) {
        seen->is_dirty = true;
        seen_rare_set(seen)->noticed = ++core->notices;
    } else if (driver)
        driver->is_dirty = true;
    if (seen && why) {
        struct seen_rare *rare = seen_rare_set(seen);
        free(rare->why);
        rare->why = text_dup(why);
    }
    int64_t at_ms = driver ? notices_end_ms(core) : mono(core);
    if (!core->coalesce_at_ms || at_ms < core->coalesce_at_ms)
        core->coalesce_at_ms = at_ms;
}

void seen_set_row(struct core *core, const struct known *row)
{
    struct seen *seen = seen_get(core, driver_of_kind(core, row->kind), row->uid);
    invariant(row->life == LIFE_GONE || row->epoch >= seen->row_epoch || !seen->has_row,
              "%s goes back from epoch %llu to %llu", row->uid, (unsigned long long)seen->row_epoch,
              (unsigned long long)row->epoch);
    seen->has_row = row->life != LIFE_GONE;
    seen->row_epoch = row->epoch;
}

/* What a process before this one saw, to be told apart by its etag from what is there now. */
static void seen_recall(struct seen *seen, const struct sighting *row)
{
    if (!seen->driver || !seen->driver->keeps_etags || !row->etag || !*row->etag ||
        !row->is_known || row->is_absent)
        return;
    seen->etag = text_dup(row->etag);
    seen->epoch = row->seen_epoch;
    invariant(seen->etag[0] && !seen->is_dirty, "%s is recalled, and is not as it was", seen->uid);
    seen->has_details = true;
}

static void sighting_take(void *context, const struct sighting *row)
{
    struct core *core = context;
    struct seen *seen = seen_find(core, row->uid);
    if (!seen) {
        seen = seen_add(core, row->uid);
        seen->driver = driver_of_kind(core, row->kind);
        seen->epoch = row->epoch;
        seen->is_running = row->is_known && row->is_running;
        seen_recall(seen, row);
    }
    invariant(!seen->has_row, "two rows of uid %s", row->uid);
    seen->has_row = true;
    seen->row_epoch = row->epoch;
}

static void rows_forget(struct core *core)
{
    for (struct seen *seen = core->seen.first; seen; seen = seen->next)
        seen->has_row = false;
}

void seen_take_rows(struct core *core, const struct known *rows, size_t count)
{
    rows_forget(core);
    for (size_t i = 0; i < count; i++) {
        const struct known *row = &rows[i];
        invariant(row->life != LIFE_GONE, "%s is gone, and is among the rows", row->uid);
        sighting_take(core, &(struct sighting){.uid = row->uid,
                                               .kind = row->kind,
                                               .etag = row->etag,
                                               .epoch = row->epoch,
                                               .seen_epoch = row->observed.epoch,
                                               .is_known = row->observed.known,
                                               .is_absent = row->observed.absent,
                                               .is_running = value_is_map(row->observed.booted)});
    }
}

/* Rows themselves are read for a plan: by then there is more to know. */
static bool stock_take(struct core *core)
{
    struct error err = ERROR_INIT;
    rows_forget(core);
    if (core->env->ledger->sightings_each(core->env->store, sighting_take, core, &err) < 0) {
        core_fail(core, &err);
        return false;
    }
    return true;
}

/* ---- objects ------------------------------------------------------------------------ */

/* What has a row belongs to the driver of its kind: another one that names it, by mistake or
 * not, is not heard. */
static bool is_of_another(struct core *core, const struct driver *driver, const char *uid)
{
    const struct seen *seen = seen_find(core, uid);
    if (!seen || !seen->has_row || !seen->driver || seen->driver == driver)
        return false;
    driver_log(core, driver, "it tells of an object that another driver looks after");
    return true;
}

static bool epoch_is_possible(int64_t epoch)
{
    return epoch >= 0 && epoch <= EPOCH_MAX;
}

/* A driver may say what it was given; a secret goes no further than this. */
static const struct value *redacted(const struct core *core, struct arena *arena,
                                    const struct kind *kind, const struct value *spec)
{
    return kind && spec ? spec_redacted(arena, kind, spec, core->config.seed) : spec;
}

static const struct value *damage_redacted(struct arena *arena, const struct kind *kind,
                                           const struct value *damage)
{
    struct value *safe = NULL;
    if (damage->count > DAMAGE_MAX) {
        safe = value_copy(arena, damage);
        safe->count = DAMAGE_MAX;
        damage = safe;
    }
    invariant(damage->count <= DAMAGE_MAX, "%zu damages of one object", damage->count);
    for (size_t i = 0; i < damage->count; i++) {
        const char *path = value_get_text(damage->items[i], "path", "");
        const struct field *field = kind ? kind_field(kind, path) : NULL;
        if (!field || !field->is_sensitive)
            continue;
        safe = safe ? safe : value_copy(arena, damage);
        value_set_text(arena, safe->items[i], "desired", "(sensitive)");
        value_set_text(arena, safe->items[i], "observed", "(sensitive)");
    }
    return safe ? safe : damage;
}

/* "absent":"true" is neither yes nor no. */
static bool is_of_types(const struct value *object)
{
    static const char *const flags[] = {"unknown", "absent", "released"};
    const struct value *epoch = value_get(object, "epoch");
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const struct value *flag = value_get(object, flags[i]);
        if (flag && flag->type != VALUE_BOOL && flag->type != VALUE_NULL)
            return false;
    }
    return !epoch || epoch->type == VALUE_INT || epoch->type == VALUE_NULL;
}

struct observation observation_read(const struct core *core, struct arena *arena,
                                    const struct value *object)
{
    const struct kind *kind = kind_find(value_get_text(object, "kind", ""));
    const struct value *booted = value_get(object, "booted");
    const struct value *damage = value_get(object, "damage");
    struct observation seen = {.known =
                                   is_of_types(object) && !value_get_bool(object, "unknown", false),
                               .at = core_now_s(core)};
    if (!seen.known)
        return seen;
    int64_t epoch = value_get_int(object, "epoch", 0);
    if (!epoch_is_possible(epoch)) /* one that nobody could ever have sent */
        return (struct observation){.at = seen.at};
    seen.absent = value_get_bool(object, "absent", false);
    seen.epoch = (uint64_t)epoch;
    if (seen.absent)
        return seen;
    seen.released = value_get_bool(object, "released", false);
    seen.spec = redacted(core, arena, kind, value_get(object, "spec"));
    seen.booted = value_is_map(booted) ? redacted(core, arena, kind, booted) : NULL;
    seen.status = value_get(object, "status");
    if (value_is_list(damage) && damage->count)
        seen.damage = damage_redacted(arena, kind, damage);
    return seen;
}

/* A guest that stopped without our doing is remembered for restartPolicy. */
static void running_observed(struct core *core, struct seen *seen,
                             const struct observation *observation)
{
    bool is_running = observation->booted != NULL;
    invariant(observation->known && !(is_running && observation->absent),
              "%s runs, and is not there or not known", seen->uid);
    if (is_running && !seen->is_running)
        seen_rare_set(seen)->running_since = core_now_s(core);
    if (!is_running && seen->is_running && !task_of_uid(core, seen->uid))
        seen->has_stopped = true;
    seen->is_running = is_running;
}

/* What was chosen for it: as the driver kept it, else as the fields show it. */
static struct value *chosen_read(struct arena *arena, const struct value *object)
{
    const struct value *kept = value_get(object, "chosen");
    const struct value *spec = value_get(object, "spec");
    const struct kind *kind = kind_find(value_get_text(object, "kind", ""));
    if (value_is_map(kept))
        return value_copy(arena, kept);
    struct value *chosen = value_map(arena);
    for (size_t i = 0; kind && i < kind->spec->field_count; i++) {
        const struct field *field = kind->spec->fields[i];
        const struct value *value = value_get(spec, field->name);
        if (field->origin == ORIGIN_CHOSEN && value)
            value_set(arena, chosen, field->name, value_copy(arena, value));
    }
    return chosen;
}

static void identity_keep(struct seen *seen, const struct value *object)
{
    struct arena *arena = arena_new();
    struct value *identity = value_map(arena);
    value_set(arena, identity, "chosen", chosen_read(arena, object));
    static const char *const members[] = {"kind", "project", "name"};
    for (size_t i = 0; i < 3; i++)
        value_set_text(arena, identity, members[i], value_get_text(object, members[i], NULL));
    free(seen_rare(seen)->identity);
    seen_rare_set(seen)->identity = text_dup(json_text(arena, identity));
    arena_free(arena);
}

/* What was told belongs to an etag: its own, or in a full look that of the list just before.
 * Any other is older, and a list that has it again would be taken for what was told now. */
static void etag_keep(struct seen *seen, const struct request *request, const struct value *object)
{
    const char *told = value_get_text(object, "etag", NULL);
    if (told && strlen(told) > ETAG_MAX)
        told = "";
    bool is_of_list =
        request->kind == REQUEST_DETAILS && seen->etag && seen->listed_round == request->round;
    if (!told && is_of_list)
        return;
    char *etag = text_dup(told ? told : ""); /* "": there, and not listed yet */
    invariant(strlen(etag) <= ETAG_MAX, "%s has an etag of %zu bytes", seen->uid, strlen(etag));
    free(seen->etag);
    seen->etag = etag;
}

void object_observed(struct core *core, struct driver *driver, const struct request *request,
                     const struct value *object)
{
    const char *uid = value_get_text(object, "uid", NULL);
    if (!digest_is_uid(uid) || is_of_another(core, driver, uid))
        return;
    struct seen *seen = seen_get(core, driver, uid);
    core->round.is_still = false;
    struct observation observation = observation_read(core, batch_arena(core), object);
    invariant(seen->driver == driver, "%s is told of by driver %s, and looked after by another",
              uid, driver->name);
    if (take_note(core, request, uid, &observation))
        return; /* there is nothing to write */
    if (seen->is_dirty)
        seen_rare_set(seen)->looked = request->asked;
    seen->is_dirty = seen->is_dirty && seen_rare(seen)->noticed > request->asked;
    seen->has_details = observation.known;
    invariant(core->round.number >= request->round, "an answer of round %llu in round %llu",
              (unsigned long long)request->round, (unsigned long long)core->round.number);
    if (observation.known) {
        seen->epoch = observation.epoch;
        running_observed(core, seen, &observation);
        if (observation.absent) {
            free(seen->etag);
            seen->etag = NULL;
        } else {
            if (!seen->has_row || observation.epoch > seen->row_epoch)
                identity_keep(seen, object);
            etag_keep(seen, request, object);
        }
    }
    if (!core->config.effects)
        seen_rare_set(seen)->object = value_copy(core->object_arena, object);
    if (seen->has_row)
        save_observation(core, uid, &observation, seen->etag);
}

/* ---- rounds ------------------------------------------------------------------------- */

void round_ask(struct core *core, struct driver *driver, struct value *uids)
{
    struct arena *arena = batch_arena(core);
    struct value *params = value_map(arena);
    value_set(arena, params, "uids", uids);
    invariant(uids->count > 0 && uids->count <= DETAILS_MAX, "driver %s is asked for %zu objects",
              driver->name, uids->count);
    invariant(core->round.is_active, "driver %s is asked for objects outside of a round",
              driver->name);
    int64_t patience_ms = OBSERVE_MS + (int64_t)uids->count * EACH_MS;
    driver_request(core, driver, REQUEST_DETAILS, "observe", params, patience_ms);
    core->round.waiting++;
}

struct asking {
    struct core *core;
    struct driver *driver;
    struct value *uids;
};

static void asking_add(struct asking *asking, const char *uid)
{
    struct arena *arena = batch_arena(asking->core);
    invariant(asking->driver->state == DRIVER_READY, "driver %s is asked for %s in state %d",
              asking->driver->name, uid, asking->driver->state);
    if (!asking->uids)
        asking->uids = value_list(arena);
    value_append(arena, asking->uids, value_text(arena, uid));
    invariant(asking->uids->count <= DETAILS_MAX, "%zu objects in one request",
              asking->uids->count);
    if (asking->uids->count < DETAILS_MAX)
        return;
    round_ask(asking->core, asking->driver, asking->uids);
    asking->uids = NULL;
}

static void asking_end(struct asking *asking)
{
    if (asking->uids)
        round_ask(asking->core, asking->driver, asking->uids);
}

static void list_ask(struct core *core, struct driver *driver)
{
    invariant(core->round.is_active && driver->state == DRIVER_READY,
              "driver %s is asked for its list in state %d", driver->name, driver->state);
    struct value *params = value_map(batch_arena(core));
    driver->is_dirty = false;
    if (core->round.is_still && !core->is_asked && driver->token) {
        value_set_text(batch_arena(core), params, "since", driver->token);
        driver->since_round = core->round.number;
    }
    driver_request(core, driver, REQUEST_LIST, "observe", params, OBSERVE_MS);
    core->round.waiting++;
}

/* At the start all drivers get a moment, so that the first plan knows the whole world. */
static bool drivers_are_starting(const struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++)
        if (core->drivers[i].state == DRIVER_STARTING &&
            mono(core) < core->drivers[i].started_ms + PATIENCE_MS)
            return true;
    return false;
}

static void dirty_ask(struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++) {
        struct driver *driver = &core->drivers[i];
        struct asking asking = {.core = core, .driver = driver};
        if (driver->state != DRIVER_READY)
            continue;
        for (struct seen *seen = core->seen.first; seen; seen = seen->next)
            if (seen->is_dirty && seen->driver == driver)
                asking_add(&asking, seen->uid);
        asking_end(&asking);
    }
}

/* Whether the last plan is of a full look, has no line, and nothing has come since that it does not
 * know of. If the next look finds all as it was, that plan would be made once more. */
static bool is_still(const struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++)
        if (core->drivers[i].state != DRIVER_READY || !core->drivers[i].is_listed ||
            core->drivers[i].has_nameless)
            return false;
    return core->config.effects && core_is_settled(core) && core->plan_is_fresh &&
           core->is_converged && core->was_announced && !core->plan->step_count &&
           !core->plan->hold_count && !core->retries && !core->contests && !core->is_restored &&
           core->planned_write == core->writes && !strcmp(core->plan->commit, core->commit);
}

void round_open(struct core *core, bool is_full)
{
    struct round *round = &core->round;
    invariant(!round->is_active && round->waiting == 0,
              "round %llu begins, and %u answers of the "
              "last are out",
              (unsigned long long)round->number + 1, round->waiting);
    round->is_active = true;
    round->is_full = is_full;
    round->is_still = round->is_overdue = round->has_more = false;
    round->number++;
    round->waiting = 0;
    round->began_ms = mono(core);
    round->patience_ms = round->began_ms + PATIENCE_MS;
}

void round_abandon(struct core *core)
{
    core->round.is_active = false;
    core->round.waiting = 0;
}

void round_begin(struct core *core)
{
    bool is_due = core->coalesce_at_ms && core->coalesce_at_ms <= mono(core);
    if (core->round.is_active || core->is_stopping || (!core->wants_full && !is_due))
        return;
    bool is_full = core->wants_full;
    if (is_full && drivers_are_starting(core))
        return;
    struct round *round = &core->round;
    core->wants_full = false; /* so that nothing is wanted any more, if nothing else is */
    bool is_still_so_far = is_full && is_still(core);
    if (!is_still_so_far && !stock_take(core))
        return;
    round_open(core, is_full);
    round->is_still = is_still_so_far;
    round->detected_by = !round->is_full                    ? "notice"
                         : mono(core) >= core->resync_at_ms ? "resync"
                                                            : "plan";
    if (round->is_full) {
        core->has_run = false;
        core->resync_at_ms = mono(core) + core->config.resync_ms;
    }
    core->coalesce_at_ms = 0;
    for (size_t i = 0; i < core->config.driver_count; i++)
        if (core->drivers[i].state == DRIVER_READY && (round->is_full || core->drivers[i].is_dirty))
            list_ask(core, &core->drivers[i]);
    if (!round->is_full)
        dirty_ask(core);
    else
        core->is_asked = false;
}

/* Asked again soon: until then what it holds is unknown. */
void driver_list_failed(struct core *core, struct driver *driver)
{
    driver->is_listed = core->round.is_still = false;
    driver->relist_at_ms = mono(core) + backoff_ms(core, ++driver->list_failures);
    invariant(driver->relist_at_ms > mono(core), "driver %s is asked again at once", driver->name);
    if (!driver->problem.code)
        error_set(&driver->problem, ERR_BUSY, "driver %s: its answer to observe was not complete",
                  driver->name);
}

static void round_answered(struct core *core, const struct driver *driver)
{
    invariant(core->round.waiting > 0, "driver %s answers round %llu, which waits for nobody",
              driver->name, (unsigned long long)core->round.number);
    core->round.waiting--;
}

void round_lost(struct core *core, struct driver *driver, uint64_t round)
{
    driver_list_failed(core, driver);
    if (round == core->round.number && core->round.is_active)
        round_answered(core, driver);
    else
        core->wants_plan = true; /* the last plan was made with what it had listed */
}

/* Of the list: [uid, epoch, etag]. False: it is none. */
static bool entry_take(struct core *core, struct driver *driver, const struct value *entry)
{
    if (!value_is_list(entry) || entry->count < 3 || !value_is_text(entry->items[0]) ||
        !digest_is_uid(entry->items[0]->text) || entry->items[1]->type != VALUE_INT ||
        !epoch_is_possible(entry->items[1]->integer) ||
        (value_is_text(entry->items[2]) && entry->items[2]->text_len > ETAG_MAX))
        return false;
    if (is_of_another(core, driver, entry->items[0]->text))
        return true;
    struct seen *seen = seen_get(core, driver, entry->items[0]->text);
    const char *etag = value_is_text(entry->items[2]) ? entry->items[2]->text : "";
    uint64_t epoch = (uint64_t)entry->items[1]->integer;
    seen->listed_round = core->round.number;
    if (seen->etag && !strcmp(seen->etag, etag) && seen->epoch == epoch)
        return true;
    core->round.is_still = false;
    free(seen->etag);
    seen->etag = text_dup(etag);
    seen->epoch = epoch;
    invariant(epoch <= (uint64_t)EPOCH_MAX, "%s is listed at epoch %llu", seen->uid,
              (unsigned long long)epoch);
    seen->has_details = false;
    return true;
}

static void token_take(struct driver *driver, const struct value *result)
{
    const char *token = value_get_text(result, "token", NULL);
    free(driver->token);
    driver->token = token && strlen(token) <= ETAG_MAX ? text_dup(token) : NULL;
}

/* What was listed and is not known as it is now, and what has a row and was not listed. */
static void details_wanted(struct core *core, struct driver *driver)
{
    struct asking asking = {.core = core, .driver = driver};
    invariant(driver->is_listed, "driver %s has given no list, and what it lacks is asked for",
              driver->name);
    for (struct seen *seen = core->seen.first, *next; seen; seen = next) {
        next = seen->next;
        if (seen->driver != driver)
            continue;
        bool is_listed = seen->listed_round == core->round.number;
        bool is_missing = !is_listed && seen->has_row && seen->etag;
        if (!is_listed && !seen->has_row) {
            seen_drop(core, seen); /* a stranger that has left */
            core->round.is_still = false;
            continue;
        }
        if (is_missing) { /* it is not as it was, and the round may be overdue */
            seen->has_details = false;
            core->round.is_still = false;
        }
        if (seen->is_dirty || !seen->has_details)
            asking_add(&asking, seen->uid);
    }
    asking_end(&asking);
}

/* What is in the list itself, then what was left as text (model/json.h). */
static bool listing_take(struct core *core, struct driver *driver, const struct value *list,
                         struct json_rows *rows)
{
    struct arena *scratch = arena_new();
    const struct value *row;
    bool is_fit = true;
    invariant(core->round.is_active, "driver %s lists outside of a round", driver->name);
    for (size_t i = 0; is_fit && i < list->count; i++)
        is_fit = entry_take(core, driver, list->items[i]);
    while (is_fit && (row = json_rows_next(rows, scratch))) {
        is_fit = entry_take(core, driver, row);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return is_fit;
}

/* Said of the list that we named, as we did in this round: another driver may have told something
 * since, but what we hold of this one is still of that list. */
static bool is_same_as_before(const struct core *core, const struct driver *driver,
                              const struct value *result)
{
    const char *token = value_get_text(result, "unchanged", NULL);
    return token && driver->token && driver->since_round == core->round.number &&
           !strcmp(token, driver->token);
}

void round_list_answer(struct core *core, struct driver *driver, uint64_t round,
                       const struct value *result, struct json_rows *rows)
{
    const struct value *list = value_get(result, "list");
    bool is_current = round == core->round.number && core->round.is_active;
    if (!is_current)
        return;
    round_answered(core, driver);
    bool is_unchanged = is_same_as_before(core, driver, result);
    driver->is_listed =
        value_get_bool(result, "complete", false) &&
        (is_unchanged || (value_is_list(list) && listing_take(core, driver, list, rows)));
    if (!driver->is_listed) {
        driver_list_failed(core, driver);
        return;
    }
    driver->relist_at_ms = 0;
    driver->list_failures = 0;
    driver->problem = (struct error)ERROR_INIT;
    driver->listed_at = core_now_s(core);
    invariant(!is_unchanged || driver->token, "driver %s says that what it never said still holds",
              driver->name);
    core->round.has_more |= core->round.is_overdue;
    if (is_unchanged)
        return;
    token_take(driver, result);
    if (strangers_take(driver, result))
        core->round.is_still = false;
    details_wanted(core, driver);
}

void round_details_answer(struct core *core, struct driver *driver, const struct request *request,
                          const struct value *result)
{
    const struct value *objects = value_get(result, "objects");
    if (request->round != core->round.number || !core->round.is_active)
        return; /* it was given up, and a later look tells: nobody would plan with what this says */
    round_answered(core, driver);
    core->round.has_more |= core->round.is_overdue;
    if (!value_get_bool(result, "complete", false) || !value_is_list(objects)) {
        driver_list_failed(core, driver);
        return;
    }
    invariant(request->kind == REQUEST_DETAILS, "request %lld is none for details",
              (long long)request->id);
    for (size_t i = 0; i < objects->count; i++)
        object_observed(core, driver, request, objects->items[i]);
}

/* A round ends when all have answered; one that is overdue plans with what there is, and again with
 * what has come since, of which a large rack has hundreds of parts. */
void round_expire(struct core *core)
{
    struct round *round = &core->round;
    if (!round->is_active)
        return;
    if (round->waiting && !round->is_overdue && mono(core) >= round->patience_ms) {
        round->is_overdue = round->has_more = true;
    }
    if (round->waiting && round->has_more && mono(core) >= rested_ms(core)) {
        round->has_more = false;
        core->wants_plan = true;
    }
    if (round->waiting)
        return;
    invariant(round->number > 0 && mono(core) >= round->began_ms, "round %llu ends before it began",
              (unsigned long long)round->number);
    round->is_active = false;
    round->took_ms = mono(core) - round->began_ms;
    invariant(!round->is_still || (core->plan && !core->plan->step_count),
              "round %llu found all as it was, and there is something to do",
              (unsigned long long)round->number);
    invariant(!round->has_more || round->is_overdue, "round %llu has more, and is in time",
              (unsigned long long)round->number);
    round->is_news = true;
    core->looks += round->is_full;
    if (round->is_full && !round->is_still)
        strangers_save(core);
    if (round->is_still)
        pass_renew(core);
    else
        core->wants_plan = true;
}

int64_t round_next_ms(const struct core *core)
{
    if (core->round.is_active && core->round.is_overdue)
        return core->round.has_more ? rested_ms(core) : INT64_MAX;
    if (core->round.is_active)
        return core->round.patience_ms;
    int64_t soonest = core->coalesce_at_ms ? core->coalesce_at_ms : INT64_MAX;
    for (size_t i = 0; core->wants_full && i < core->config.driver_count; i++)
        if (core->drivers[i].state == DRIVER_STARTING &&
            core->drivers[i].started_ms + PATIENCE_MS < soonest)
            soonest = core->drivers[i].started_ms + PATIENCE_MS;
    return !core->wants_full && core->resync_at_ms < soonest ? core->resync_at_ms : soonest;
}

/* It bears a name that nobody has told yet: it has no row, or was changed by an intent that its row
 * does not know of, which may have been a rename. */
static bool is_nameless(const struct seen *seen)
{
    return seen->driver && seen->etag && !seen_rare(seen)->identity &&
           (!seen->has_row || seen->epoch > seen->row_epoch);
}

void nameless_find(struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++)
        core->drivers[i].has_nameless = false;
    for (const struct seen *seen = core->seen.first; seen; seen = seen->next)
        if (is_nameless(seen))
            seen->driver->has_nameless = true;
    for (size_t i = 0; i < core->config.driver_count; i++) {
        struct driver *driver = &core->drivers[i];
        if (driver->has_nameless && driver->state == DRIVER_READY && !driver->relist_at_ms)
            driver->relist_at_ms = mono(core) + backoff_ms(core, ++driver->list_failures);
    }
}
