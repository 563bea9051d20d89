/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core's life: what it starts from, what it is told, and the pump that turns
 * news into decisions. The order within a turn matters: whoever is due is started
 * or given up, a round begins or ends, a plan follows the round, tasks follow the
 * plan, and at the very end one commit lets all messages and events go.
 */
#include "reconciler/engine/core_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"

int64_t core_now_ms(const struct core *core)
{
    return core->env->wall_ms(core->env->context);
}

int64_t core_now_s(const struct core *core)
{
    return core_now_ms(core) / 1000;
}

/* Civil date from days since 1970 (Howard Hinnant's algorithm): no clock, no zone. */
const char *core_time_text(struct arena *arena, int64_t wall_ms)
{
    int64_t seconds = wall_ms / 1000, days = seconds / 86400, rest = seconds % 86400;
    int64_t shifted = days + 719468, era = shifted / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_index + 2) / 5 + 1;
    int64_t month = month_index < 10 ? month_index + 3 : month_index - 9;
    invariant(month >= 1 && month <= 12 && day >= 1 && day <= 31,
              "%lld ms is on day %lld of month %lld", (long long)wall_ms, (long long)day,
              (long long)month);
    int64_t year = year_of_era + era * 400 + (month <= 2);
    return arena_printf(arena, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ", (long long)year,
                        (long long)month, (long long)day, (long long)(rest / 3600),
                        (long long)(rest / 60 % 60), (long long)(rest % 60),
                        (long long)(wall_ms % 1000));
}

/* ---- life --------------------------------------------------------------------------- */

struct core *core_new(const struct env *env, const struct core_config *config)
{
    struct arena *own = arena_new();
    struct core *core = arena_alloc(own, sizeof *core);
    invariant(env && env->ledger && env->mono_ms && env->random, "a core without its surroundings");
    invariant(config->resync_ms > 0, "a resync every %lld ms", (long long)config->resync_ms);
    invariant(config->parallelism > 0, "no step may be under way");
    invariant(config->drivers || config->driver_count == 0, "%zu drivers, and none has a name",
              config->driver_count);
    core->own = own;
    core->env = env;
    core->config = *config;
    core->is_reader = !config->effects;
    core->object_arena = arena_new();
    core->outgoing_end = &core->outgoing;
    core->drivers = arena_array(own, config->driver_count + 1, sizeof *core->drivers);
    for (size_t i = 0; i < config->driver_count; i++)
        core->drivers[i].name = config->drivers[i];
    return core;
}

static void requests_free(struct driver *driver)
{
    for (struct request *request = driver->requests, *next; request; request = next) {
        next = request->next;
        free(request);
    }
}

void core_free(struct core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->config.driver_count; i++) {
        requests_free(&core->drivers[i]);
        core->drivers[i].requests = NULL;
    }
    tasks_free(core);
    retries_reset(core);
    contests_free(core);
    take_drop(core, &core->taken);
    seen_free(core);
    free(core->orphans_text);
    free(core->unseen_text);
    arena_free(core->batch_arena);
    arena_free(core->plan_arena);
    arena_free(core->target_arena);
    arena_free(core->object_arena);
    arena_free(core->own);
}

/* Another commit is the target; what it declares comes next. */
static void target_change(struct core *core, const char *commit, int64_t revision)
{
    invariant(commit[0] && strlen(commit) < sizeof core->commit, "a target of nothing: '%s'",
              commit);
    arena_free(core->plan_arena); /* it points into the old set */
    core->plan_arena = NULL;
    core->plan = NULL;
    core->input = NULL;
    invariant(!core->config.effects || revision > core->revision,
              "revision %lld follows revision %lld", (long long)revision,
              (long long)core->revision);
    core->set = NULL;
    core->round.is_still = false; /* there is no plan left that it could end in */
    core->revision = revision;
    core->target_ms = core->env->mono_ms(core->env->context);
    strncpy(core->commit, commit, sizeof core->commit - 1);
    core->is_converged = core->was_announced = core->is_applied = false;
    take_drop(core, &core->taken);
    tasks_drop_waiting(core); /* what the older one asked for and nobody has begun */
    retries_reset(core);
    invariant(!core->retries && !core->awaited && !core->rooms,
              "what failed of the last target is held against this one");
}

static void target_take(struct core *core, struct arena *arena, const struct set *set,
                        const char *commit, int64_t revision)
{
    invariant(set, "commit %.12s is the target, and declares nothing", commit);
    target_change(core, commit, revision);
    arena_free(core->target_arena);
    core->target_arena = arena;
    core->set = set;
    core->wants_full = true;
}

static int target_resume(struct core *core, struct error *err)
{
    struct arena *arena = arena_new();
    struct revision target;
    int status = core->env->ledger->revision_target(core->env->store, arena, &target, err);
    if (status == ERR_NOT_FOUND) {
        arena_free(arena);
        return 0;
    }
    const struct set *set = NULL;
    struct report report;
    report_init(&report, arena);
    if (status == 0)
        status = core->env->load(core->env->context, arena, target.commit, &set, &report, err);
    if (status == 0 && report.count)
        status = error_set(err, ERR_INVALID, "commit %.12s, the target, is no longer valid: %s",
                           target.commit, report.problems[0].message);
    if (status == ERR_NOT_FOUND || status == ERR_INVALID || status == ERR_CORRUPT) {
        /* History was rewritten, a newer schema is stricter, or the repository is damaged there:
         * the branch's head decides anew, and is refused if it cannot be read either. */
        core_event(core, "target.lost", NULL, NULL, "%s; the branch's head is taken instead",
                   err->message);
        *err = (struct error)ERROR_INIT;
        arena_free(arena);
        return 0;
    }
    if (status < 0) {
        arena_free(arena);
        return status;
    }
    target_take(core, arena, set, target.commit, target.id);
    core->is_applied = !strcmp(target.state, "applied");
    return 0;
}

int core_start(struct core *core, struct error *err)
{
    struct arena *arena = arena_new();
    invariant(!core->set && !core->plan && !core->tasks, "a core is started twice");
    const char *rebuild = load_fact(core, arena, "rebuild");
    core->is_restored = rebuild && !strcmp(rebuild, "pending");
    arena_free(arena);
    if (core->config.effects) {
        int status = target_resume(core, err);
        if (status < 0)
            return status;
    }
    contests_load(core);
    core->resync_at_ms = core->env->mono_ms(core->env->context) + core->config.resync_ms;
    core->wants_full = !core->config.cached;
    core->wants_plan = core->config.cached;
    if (core->failure.code)
        *err = core->failure;
    return core->failure.code;
}

/* ---- the target --------------------------------------------------------------------- */

static struct value *target_data(struct core *core, const char *commit, const char *who)
{
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "commit", commit);
    value_set_text(arena, data, "old", core->commit[0] ? core->commit : NULL);
    value_set_text(arena, data, "who", who);
    return data;
}

static const char *shown_text(struct arena *arena, const char *from)
{
    struct text text = TEXT_INIT;
    text_add_shown(&text, from ? from : "", from ? strlen(from) : 0);
    const char *shown = arena_text(arena, text.data ? text.data : "");
    text_free(&text);
    return shown;
}

int core_refused(struct core *core, const struct refusal *refusal, struct error *err)
{
    struct arena *arena = batch_arena(core);
    struct value *data = target_data(core, refusal->commit, refusal->who);
    const struct revision revision = {
        .commit = refusal->commit,
        .parent = core->commit,
        .author = shown_text(arena, refusal->author),
        .subject = shown_text(arena, refusal->subject),
        .pushed_by = shown_text(arena, refusal->who),
        .state = "refused",
        .message = shown_text(arena, refusal->why),
        .at = core_now_s(core),
    };
    int64_t id = 0;
    invariant(refusal->commit && refusal->why && refusal->why[0], "%s is refused without a reason",
              refusal->commit ? refusal->commit : "no commit");
    if (!batch_open(core))
        return core->failure.code ? (*err = core->failure, core->failure.code) : 0;
    int status = core->env->ledger->revision_add(core->env->store, &revision, &id, err);
    if (status < 0) {
        core_fail(core, err);
        return status;
    }
    value_set_int(arena, data, "revision", id);
    if (refusal->problems)
        value_set(arena, data, "problems", value_copy(arena, refusal->problems));
    core_event(core, "revision.refused", NULL, data, "commit %.12s was refused: %s",
               refusal->commit, revision.message);
    return 0;
}

static int target_refuse(struct core *core, const char *commit, const char *who,
                         const struct report *report, struct error *err)
{
    struct arena *arena = batch_arena(core);
    struct error ignored = ERROR_INIT;
    invariant(report->count > 0, "commit %.12s is refused, and nothing is wrong with it", commit);
    struct refusal refusal = {.commit = commit,
                              .who = who,
                              .why = report->problems[0].message,
                              .problems = report_value(arena, report)};
    if (core->env->describe(core->env->context, arena, commit, &refusal.author, &refusal.subject,
                            &ignored) < 0)
        refusal.author = refusal.subject = NULL;
    int status = core_refused(core, &refusal, err);
    if (status < 0)
        return status;
    return error_set(err, ERR_INVALID, "commit %.12s is not valid: %zu errors, the first: %s",
                     commit, report->count, report->problems[0].message);
}

static int revision_write(struct core *core, struct arena *arena, const char *commit,
                          const char *who, size_t declared, int64_t *id, struct error *err)
{
    const char *author = "", *subject = "";
    if (!batch_open(core))
        return core->failure.code ? (*err = core->failure, core->failure.code) : 0;
    int status = core->env->describe(core->env->context, arena, commit, &author, &subject, err);
    if (status < 0)
        return status;
    const struct revision revision = {
        .commit = commit,
        .parent = core->commit,
        .author = author,
        .subject = subject,
        .pushed_by = who ? who : "",
        .state = "target",
        .message = "",
        .at = core_now_s(core),
        .resources = (int64_t)declared,
    };
    if (core->revision && !core->is_applied) /* one that was made true stays so in history */
        status = core->env->ledger->revision_state(core->env->store, core->revision, "superseded",
                                                   0, err);
    if (status == 0)
        status = core->env->ledger->revision_add(core->env->store, &revision, id, err);
    if (status < 0)
        core_fail(core, err);
    else
        holds_end(core);
    return status;
}

static void target_announce(struct core *core, const char *commit, const char *who, size_t declared,
                            int64_t id, int64_t began_ms)
{
    struct value *data = target_data(core, commit, who);
    value_set_int(batch_arena(core), data, "revision", id);
    value_set_int(batch_arena(core), data, "ms", core->env->mono_ms(core->env->context) - began_ms);
    core_event(core, "revision.accepted", NULL, data, "commit %.12s is the target: %zu resources",
               commit, declared);
}

static int target_of_all(struct core *core, const char *commit, const char *who,
                         struct report *report, int64_t *id, struct error *err)
{
    int64_t began_ms = core->env->mono_ms(core->env->context);
    struct arena *arena = arena_new();
    const struct set *set = NULL;
    struct report found;
    report_init(&found, report ? report->arena : arena);
    int status = core->env->load(core->env->context, arena, commit, &set, &found, err);
    if (status == 0 && found.count)
        status = target_refuse(core, commit, who, &found, err);
    if (status == 0)
        status = revision_write(core, arena, commit, who, set->declared, id, err);
    if (status == 0)
        promises_keep(core, arena, set);
    if (report)
        *report = found;
    if (status < 0) {
        arena_free(arena);
        return status;
    }
    target_announce(core, commit, who, set->declared, *id, began_ms);
    target_take(core, arena, set, commit, *id);
    return 0;
}

/* 1: it was taken by its part (core_take.c); 0: all of it has to be. */
static int target_of_part(struct core *core, const char *commit, const char *who, int64_t *id,
                          struct error *err)
{
    int64_t began_ms = core->env->mono_ms(core->env->context);
    struct taken taken;
    if (!take_make(core, commit, &taken))
        return 0;
    size_t declared = taken.part.set->declared;
    int status = revision_write(core, taken.arena, commit, who, declared, id, err);
    if (status < 0) {
        take_drop(core, &taken);
        return status;
    }
    promises_write(core, &taken);
    target_announce(core, commit, who, declared, *id, began_ms);
    invariant(!core->taken.arena, "a part is taken while another is under way");
    target_change(core, commit, *id);
    taken.writes = core->writes;
    core->taken = taken;
    return 1;
}

int core_target(struct core *core, const char *commit, const char *who, struct report *report,
                int64_t *revision, struct error *err)
{
    int64_t id = core->revision;
    int is_taken = 0;
    invariant(commit && commit[0], "the target is no commit");
    if (strcmp(core->commit, commit)) {
        is_taken = target_of_part(core, commit, who, &id, err);
        int status = is_taken ? is_taken : target_of_all(core, commit, who, report, &id, err);
        if (status < 0)
            return status;
    }
    invariant(strcmp(core->commit, commit) == 0, "commit %.12s was taken, and the target is %.12s",
              commit, core->commit);
    invariant(!is_taken || (core->taken.arena && !core->set),
              "commit %.12s was taken by its part, and there is none", commit);
    if (!is_taken)
        core->wants_full = !core->config.cached;
    core->wants_plan |= core->config.cached;
    core->was_announced = false; /* who asks for the same target again waits for the word too */
    if (revision)
        *revision = id;
    return 0;
}

bool target_follow(struct core *core)
{
    struct error err = ERROR_INIT;
    struct report report;
    if (core->set || !core->commit[0])
        return core->set != NULL;
    arena_free(core->target_arena); /* of the commit before */
    core->target_arena = arena_new();
    report_init(&report, core->target_arena);
    int status = core->env->load(core->env->context, core->target_arena, core->commit, &core->set,
                                 &report, &err);
    if (status == 0 && report.count)
        status = error_set(&err, ERR_INVALID, "commit %.12s, the target, is not valid: %s",
                           core->commit, report.problems[0].message);
    if (status < 0) { /* as at a start: the next one says what becomes of it */
        core->set = NULL;
        core_fail(core, &err);
    }
    return core->set != NULL;
}

/* ---- what it is told ---------------------------------------------------------------- */

void core_timer(struct core *core)
{
    if (core->env->mono_ms(core->env->context) >= core->resync_at_ms && !core->config.cached)
        core->wants_full = true;
    if (core->replan_at_s && core_now_s(core) >= core->replan_at_s) {
        core->replan_at_s = 0;
        core->wants_plan = true;
    }
}

void core_policy_changed(struct core *core)
{
    core->was_announced = false;
    core->wants_plan = true;
}

void core_look(struct core *core)
{
    core->wants_full = core->is_asked = true;
}

void core_stop(struct core *core)
{
    core->is_stopping = true;
}

void core_expect(struct core *core, const char *hash, const char *world)
{
    strncpy(core->expected_hash, hash, sizeof core->expected_hash - 1);
    invariant(hash[0] && strlen(hash) < sizeof core->expected_hash, "plan '%.80s' is expected",
              hash);
    invariant(strlen(world) < sizeof core->expected_world, "world '%.80s' is expected", world);
    strncpy(core->expected_world, world, sizeof core->expected_world - 1);
}

bool core_is_expecting(const struct core *core)
{
    return core->expected_hash[0] != '\0';
}

bool core_is_refused(const struct core *core, struct error *err)
{
    if (core->refusal.code && err)
        *err = core->refusal;
    return core->refusal.code != ERR_NONE;
}

void core_announce(struct core *core, const char *type, struct value *data, const char *text)
{
    struct arena *arena = batch_arena(core);
    core_event(core, type, NULL, data ? value_copy(arena, data) : NULL, "%s", text);
}

/* ---- what it has come to ------------------------------------------------------------ */

bool core_has_failed(const struct core *core, struct error *err)
{
    if (core->failure.code && err)
        *err = core->failure;
    return core->failure.code != ERR_NONE;
}

uint64_t core_looks(const struct core *core)
{
    return core->looks;
}

uint64_t core_look_goal(const struct core *core)
{
    return core->looks + (core->round.is_active && core->round.is_full ? 2 : 1);
}

static bool is_busy(const struct core *core)
{
    return core->tasks || core->taken.arena || core->round.is_active || core->wants_full ||
           core->wants_plan || core->coalesce_at_ms;
}

bool core_is_settled(const struct core *core)
{
    if (!core->plan || is_busy(core) || core->has_run)
        return false;
    if (core->config.cached) /* nothing will be looked at, so nothing gets fresher */
        return true;
    if (!core->plan_is_fresh && !core->is_converged)
        return false;
    return !core->plan->run || !core->config.effects ||
           (core->blocked && core->blocked == core->stuck);
}

bool core_is_converged(const struct core *core)
{
    return core->is_converged;
}

int64_t core_next_try(const struct core *core)
{
    int64_t now_mono = core->env->mono_ms(core->env->context), now = core_now_ms(core);
    int64_t at = core->replan_at_s ? core->replan_at_s * 1000 : INT64_MAX;
    int64_t retry = retries_next_ms(core);
    int64_t driver = drivers_next_try_ms(core), room = rooms_next_ms(core);
    if (driver < retry)
        retry = driver;
    if (room < retry)
        retry = room;
    if (retry != INT64_MAX && now + retry - now_mono < at)
        at = now + retry - now_mono;
    return at == INT64_MAX ? 0 : at;
}

const struct plan *core_plan(const struct core *core)
{
    return core->plan;
}

const struct plan *core_plan_for(struct core *core, struct arena *arena, const struct set *set,
                                 const char *commit, struct error *err)
{
    bool had_effects = core->config.effects;
    core->config.effects = false; /* this plan is for reading: it must write nothing */
    struct plan_input *input = input_make(core, arena, set, commit);
    core->config.effects = had_effects;
    if (!input) {
        *err = core->failure;
        return NULL;
    }
    invariant(input->set == set, "a plan for reading is of another set");
    return plan_make(arena, input);
}

struct core_load core_load(const struct core *core)
{
    struct core_load load = {.blocked = core->blocked};
    for (size_t i = 0; i < core->config.driver_count; i++)
        load.under_way += core->drivers[i].in_flight;
    load.queued = (int64_t)HASH_COUNT(core->tasks) - load.under_way;
    invariant(load.queued >= 0, "%lld operations are under way, and %u are known",
              (long long)load.under_way, HASH_COUNT(core->tasks));
    return load;
}

const char *core_commit(const struct core *core)
{
    return core->commit;
}

/* ---- the pump ----------------------------------------------------------------------- */

/* What Git asks for and no driver may do. */
static size_t steps_refused(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->step_count; i++)
        count += plan->steps[i].disposition == REPORTED && plan->steps[i].cause == CAUSE_PENDING;
    return count;
}

/* For `plan --cached`: nothing is to be done for this commit, until an object's row changes. */
static void settled_record(struct core *core)
{
    const struct plan *plan = core->plan;
    struct error err = ERROR_INIT;
    int64_t at = 0;
    if (!core->config.made_by || plan->step_count || plan->hold_count || core->is_restored ||
        !batch_open(core))
        return;
    if (core->env->ledger->observed_at(core->env->store, &at, &err) < 0) {
        core_fail(core, &err);
        return;
    }
    invariant(core->is_converged && plan->run == 0 && plan->held == 0,
              "settled with %zu steps to run and %zu held", plan->run, plan->held);
    struct arena *arena = batch_arena(core);
    struct value *settled = value_map(arena);
    value_set_text(arena, settled, "by", core->config.made_by);
    value_set_text(arena, settled, "commit", core->commit);
    value_set_int(arena, settled, "resources", (int64_t)plan->resources);
    value_set_text(arena, settled, "world", plan->world);
    value_set_int(arena, settled, "observedAt", at);
    save_fact(core, "settled", json_text(arena, settled));
}

static void converged_record(struct core *core)
{
    struct error err = ERROR_INIT;
    invariant(core->plan_is_fresh && core->plan->run == 0 && !core->tasks,
              "converged with %zu steps to run and %u under way", core->plan->run,
              HASH_COUNT(core->tasks));
    invariant(!core->round.is_active && all_drivers_are_listed(core),
              "converged on what was not looked at");
    core->is_converged = true;
    if (core->was_announced || !core->config.effects)
        return;
    core->was_announced = true;
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_int(arena, data, "revision", core->revision);
    value_set_text(arena, data, "commit", core->commit);
    value_set_int(arena, data, "deferred", (int64_t)core->plan->deferred);
    value_set_int(arena, data, "held", (int64_t)core->plan->held);
    value_set_int(arena, data, "ms", core->env->mono_ms(core->env->context) - core->target_ms);
    if (core->plan->held) {
        core_event(core, "converged", NULL, data,
                   "%.12s: nothing more to run; %zu steps are held until a person decides",
                   core->commit, core->plan->held);
        return;
    }
    size_t refused = steps_refused(core->plan);
    core_event(core, "converged", NULL, data, "converged on %.12s: %zu resources, nothing to run%s",
               core->commit, core->plan->resources,
               refused == 1
                   ? arena_text(arena, "; 1 of them stays as it was, 'spinel plan' says why")
               : refused > 1 ? arena_printf(arena,
                                            "; %zu of them stay as they were, 'spinel plan' "
                                            "says why",
                                            refused)
                             : "");
    settled_record(core);
    if (core->is_applied)
        return; /* when it was made true first is on record */
    core->is_applied = true;
    if (batch_open(core) &&
        core->env->ledger->revision_state(core->env->store, core->revision, "applied",
                                          core_now_s(core), &err) < 0)
        core_fail(core, &err);
}

/* Without word of an object nobody can say that it is as declared. */
static bool unknown_record(struct core *core)
{
    const struct known *first = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < core->input->known_count; i++) {
        const struct known *row = &core->input->known[i];
        if (!row_is_unseen(core, row))
            continue;
        first = first ? first : row;
        count++;
    }
    if (count)
        unseen_announce(core, first, count);
    core->is_converged = core->is_converged && !count;
    invariant(!core->is_converged || !first, "converged, and %s cannot be looked at", first->name);
    return count > 0;
}

static void waiting_record(struct core *core)
{
    int64_t next = core_next_try(core);
    if (!core->config.effects || !core->blocked || !next || core->announced_try == next / 1000)
        return;
    core->announced_try = next / 1000;
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "nextTry", core_time_text(arena, next));
    value_set_text(arena, data, "why", "steps that failed are tried again");
    core_event(core, "waiting", NULL, data, "%u step%s; the next try is at %s", core->blocked,
               core->blocked == 1 ? " waits" : "s wait", value_get_text(data, "nextTry", ""));
}

bool all_drivers_are_listed(const struct core *core)
{
    for (size_t i = 0; i < core->config.driver_count; i++)
        if (!core->drivers[i].is_listed)
            return false;
    return true;
}

/* When nothing is under way: true if one more turn is needed. */
static bool settle(struct core *core)
{
    if (!core->plan || is_busy(core) || core->failure.code || core->config.cached)
        return false;
    bool is_doubtful = !core->plan->run && !core->is_converged && !core->plan_is_fresh;
    if (core->has_run || (is_doubtful && all_drivers_are_listed(core))) {
        core->wants_full = true;
        return true;
    }
    if (core->plan_is_fresh && !core->plan->run && !unknown_record(core))
        converged_record(core);
    else
        waiting_record(core);
    return false;
}

static void replan_time(struct core *core)
{
    int64_t soonest = contests_next_s(core), now = core_now_s(core);
    for (size_t i = 0; i < core->input->known_count; i++) {
        int64_t start = core->input->known[i].next_start;
        if (start > now && start < soonest)
            soonest = start;
    }
    for (size_t i = 0; i < core->input->freeze_count; i++) {
        int64_t until = core->input->freezes[i].until;
        if (until > now && until < soonest)
            soonest = until;
    }
    invariant(soonest > now, "to plan again at %lld, when it is %lld", (long long)soonest,
              (long long)now);
    core->replan_at_s = soonest == INT64_MAX ? 0 : soonest;
}

static void turn(struct core *core)
{
    if (!core->config.cached) {
        drivers_start_due(core);
        drivers_expire(core);
        retries_wake(core);
        rooms_wake(core);
        take_look(core);
        round_begin(core);
        round_expire(core);
    }
    if (core->wants_plan && !core->failure.code) {
        core_replan(core);
        if (core->input && core->set) { /* of a part, what the whole waits for stays as it is */
            replan_time(core);
            unseen_save(core);
        }
    }
    if (!core->failure.code)
        tasks_advance(core);
}

static void timer_arm(struct core *core)
{
    int64_t at = INT64_MAX;
    const int64_t times[] = {drivers_next_ms(core), round_next_ms(core), tasks_next_ms(core),
                             retries_next_ms(core), rooms_next_ms(core)};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i] < at)
            at = times[i];
    int64_t now = core->env->mono_ms(core->env->context);
    if (core->replan_at_s) {
        int64_t wait = core->replan_at_s * 1000 - core_now_ms(core);
        if (now + wait < at)
            at = now + (wait > 0 ? wait : 0);
    }
    bool is_idle = core->config.cached || core->is_stopping || at == INT64_MAX;
    core->env->timer(core->env->context, is_idle ? -1 : at);
}

/* A plan may ask for a fresh look itself, after the turn's rounds had their chance. */
static bool wants_round(const struct core *core)
{
    return core->wants_full && !core->round.is_active && !core->is_stopping &&
           !core->config.cached && !core->failure.code;
}

void core_pump(struct core *core)
{
    enum { TURNS_MAX = 8 }; /* a turn that always wants another would be our mistake */
    unsigned turns = 0;
    do
        turn(core);
    while ((settle(core) || wants_round(core)) && ++turns < TURNS_MAX);
    batch_commit(core);
    invariant(!core->outgoing && !core->event_count, "something of the batch was left behind");
    invariant(!core->is_open && !core->batch_arena, "a turn ends in an open batch");
    timer_arm(core);
}
