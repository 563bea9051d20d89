/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The client's end of the driver protocol. Each driver is on its own: one that
 * does not start, answer or end costs what it holds and nothing else. Whatever it
 * says is taken as a claim; a message that is not of the protocol is logged and
 * dropped, and the request it may have meant runs into its deadline.
 *
 *   DOWN ──start──► STARTING ──initialized──► READY
 *     ▲                │ error                  │ deadline of a cancel or look passed
 *     └───── end ◄── DYING ◄────────────────────┘
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/json.h"

enum {
    INITIALIZE_MS = 30000,
    LASTING_MS = 60000,  /* a driver that was up this long starts again at once */
    STALE_CODE = -32009, /* a lower epoch than the object's */
    SAID_MAX = 200,      /* bytes of a sentence that are kept */
    PROGRESS_MS = 1000,  /* between two words of one op's progress that are kept */
    GARBAGE_MAX = 1000,  /* lines of one run that are no messages */
    DEPTH_MAX = 40,      /* of a message: what is kept of it stands within documents of ours, and
                          * nothing that is nested deeper than 64 reads again */
};

struct driver *driver_find(struct core *core, const char *name)
{
    for (size_t i = 0; name && i < core->config.driver_count; i++)
        if (!strcmp(core->drivers[i].name, name))
            return &core->drivers[i];
    return NULL;
}

struct driver *driver_of_class(struct core *core, const char *class)
{
    if (!class)
        return NULL;
    return driver_find(core, core->config.driver_of(core->config.context, class));
}

struct driver *driver_of_kind(struct core *core, const char *kind)
{
    const struct kind *found = kind_find(kind);
    return found ? driver_of_class(core, found->driver) : NULL;
}

struct request *driver_request(struct core *core, struct driver *driver, enum request_kind kind,
                               const char *method, struct value *params, int64_t timeout_ms)
{
    struct request *request = memory_need(calloc(1, sizeof *request));
    invariant(driver && timeout_ms > 0, "%s is asked of nobody, or for no time", method);
    invariant(driver->state != DRIVER_DOWN, "%s is asked of driver %s, which is down", method,
              driver->name); /* one that was killed may be asked to cancel: it answers by its end */
    invariant(core->config.effects || (kind != REQUEST_APPLY && kind != REQUEST_CANCEL),
              "driver %s is asked for an effect by who only reads", driver->name);
    invariant(driver->state != DRIVER_STARTING || kind == REQUEST_INITIALIZE,
              "driver %s is asked for %s before it is up", driver->name, method);
    request->id = ++driver->last_id;
    request->kind = kind;
    request->deadline_ms = core->env->mono_ms(core->env->context) + timeout_ms;
    request->round = core->round.number;
    request->asked = core->notices;
    DL_APPEND(driver->requests, request);

    struct arena *arena = batch_arena(core);
    struct value *message = value_map(arena);
    value_set_text(arena, message, "jsonrpc", "2.0");
    value_set_int(arena, message, "id", request->id);
    value_set_text(arena, message, "method", method);
    value_set(arena, message, "params", params);
    struct outgoing *out = arena_alloc(arena, sizeof *out);
    *out = (struct outgoing){.driver = driver, .message = message};
    invariant(!*core->outgoing_end, "what leaves for driver %s is not the last", driver->name);
    *core->outgoing_end = out;
    core->outgoing_end = &out->next;
    return request;
}

/* ---- start and end ------------------------------------------------------------------ */

static struct value *initialize_params(struct core *core, const struct driver *driver)
{
    struct arena *arena = batch_arena(core);
    const struct core_config *config = &core->config;
    struct value *params = value_map(arena), *rack = value_map(arena);
    value_set_int(arena, params, "protocol", 1);
    value_set_text(arena, rack, "name", config->rack);
    value_set_text(arena, rack, "id", config->rack_id);
    value_set(arena, params, "rack", rack);
    value_set_text(arena, params, "stateDir", config->state_dir);
    value_set_text(arena, params, "keyFile", config->key_file);
    const struct value *settings = config->settings_of(config->context, driver->name);
    value_set(arena, params, "settings", settings ? value_copy(arena, settings) : value_map(arena));
    return params;
}

static void driver_start(struct core *core, struct driver *driver)
{
    invariant(driver->state == DRIVER_DOWN && driver->in_flight == 0,
              "driver %s is started in state %d with %u ops in flight", driver->name, driver->state,
              driver->in_flight);
    driver->state = DRIVER_STARTING;
    invariant(!driver->requests, "driver %s is started, and the one before is still asked",
              driver->name);
    driver->started_ms = core->env->mono_ms(core->env->context);
    core->env->driver_start(core->env->context, driver->name);
    driver_request(core, driver, REQUEST_INITIALIZE, "initialize", initialize_params(core, driver),
                   INITIALIZE_MS);
}

void drivers_start_due(struct core *core)
{
    int64_t now = core->env->mono_ms(core->env->context);
    for (size_t i = 0; i < core->config.driver_count && !core->is_stopping; i++) {
        struct driver *driver = &core->drivers[i];
        if (driver->state == DRIVER_DOWN && driver->restart_at_ms <= now)
            driver_start(core, driver);
        if (driver->state != DRIVER_READY || !driver->relist_at_ms || driver->relist_at_ms > now)
            continue;
        driver->relist_at_ms = 0;
        core->wants_full = true;
    }
}

void driver_kill(struct core *core, struct driver *driver, const char *why)
{
    if (driver->state == DRIVER_DOWN || driver->state == DRIVER_DYING)
        return;
    invariant(why && why[0], "driver %s is killed without a reason", driver->name);
    error_set(&driver->problem, ERR_BUSY, "driver %s: %s", driver->name, why);
    driver->state = DRIVER_DYING;
    core->env->driver_kill(core->env->context, driver->name);
}

static void requests_drop(struct core *core, struct driver *driver)
{
    struct request *request, *next;
    DL_FOREACH_SAFE(driver->requests, request, next) {
        DL_DELETE(driver->requests, request);
        if (request->kind == REQUEST_LIST || request->kind == REQUEST_DETAILS)
            round_lost(core, driver, request->round);
        free(request);
    }
    invariant(!driver->requests, "driver %s was asked while its end was told", driver->name);
}

/* What was decided for it in this very turn is not for the one that is started next. */
static void outgoing_drop(struct core *core, const struct driver *driver)
{
    struct outgoing **link = &core->outgoing;
    while (*link)
        if ((*link)->driver == driver)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    core->outgoing_end = link;
    invariant(!*core->outgoing_end, "what leaves has no end");
}

void core_driver_down(struct core *core, const char *name, const char *why)
{
    struct driver *driver = driver_find(core, name);
    if (!driver || driver->state == DRIVER_DOWN)
        return;
    int64_t now = core->env->mono_ms(core->env->context);
    bool was_lasting = driver->ready_since_ms && now - driver->ready_since_ms > LASTING_MS;
    driver->failures = was_lasting ? 0 : driver->failures + 1;
    driver->restart_at_ms =
        now + (driver->failures > 1 ? backoff_ms(core, driver->failures - 1) : 0);
    if (driver->state != DRIVER_DYING) /* else it is known already, why it had to end */
        error_set(&driver->problem, ERR_BUSY, "driver %s ended: %s", name, why);
    driver->state = DRIVER_DOWN;
    driver->garbage = 0;
    driver->ready_since_ms = 0;
    driver->is_listed = core->round.is_still = false;
    requests_drop(core, driver);
    outgoing_drop(core, driver);
    tasks_driver_lost(core, driver); /* R9 of docs/model/README.md: its children died with it */
    invariant(driver->in_flight == 0, "driver %s is down with %u ops in flight", name,
              driver->in_flight);
    core->wants_plan = true; /* what it holds is unknown now */
    invariant(!driver->requests && !driver->is_listed, "driver %s is down, and is still heard",
              name);

    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "driver", name);
    value_set_text(arena, data, "why", driver->problem.message);
    core_event(core, "driver.stopped", NULL, data, "%s%s%s", driver->problem.message,
               driver->problem.hint[0] ? ". " : "", driver->problem.hint);
}

static bool has_driver(const struct core *core, const char *class)
{
    const char *name = core->config.driver_of(core->config.context, class);
    size_t i = 0;
    while (name && i < core->config.driver_count && strcmp(core->drivers[i].name, name) != 0)
        i++;
    return name && i < core->config.driver_count;
}

static bool is_undriven(const struct core *core, const struct step *step)
{
    return step->disposition == RUN && step->kind->driver && !has_driver(core, step->kind->driver);
}

bool core_is_undriven(const struct core *core, struct error *err)
{
    bool is_any = false;
    if (!core->config.effects || !core->plan || HASH_COUNT(core->tasks))
        return false;
    for (size_t i = 0; i < core->plan->step_count; i++) {
        const struct step *step = &core->plan->steps[i];
        if (step->disposition == RUN && !is_undriven(core, step))
            return false;
        is_any |= is_undriven(core, step);
    }
    return is_any && core_driver_problem(core, err);
}

/* What is to be done, and nobody is there who could ever do it. */
static int undriven_find(const struct core *core, struct error *err)
{
    for (size_t i = 0; core->plan && i < core->plan->step_count; i++) {
        const struct step *step = &core->plan->steps[i];
        if (!is_undriven(core, step))
            continue;
        error_set(err, ERR_UNSUPPORTED,
                  "no driver looks after a %s: spec.drivers in the site file names none for it",
                  step->kind->name);
        return error_hint(err, "Name one there, or one as the default: drivers: {default: ...}");
    }
    return 0;
}

int core_driver_problem(const struct core *core, struct error *err)
{
    for (size_t i = 0; i < core->config.driver_count; i++) {
        const struct driver *driver = &core->drivers[i];
        if (driver->problem.code) {
            *err = driver->problem;
            return err->code;
        }
    }
    return undriven_find(core, err);
}

void driver_log(const struct core *core, const struct driver *driver, const char *text)
{
    char event[96] = "driver.";
    strncat(event, driver->name, sizeof event - 16);
    core->env->log(core->env->context, event, text);
}

bool core_list_fails(const struct core *core)
{
    enum { TRIES = 3 };
    bool has_failed = false;
    for (size_t i = 0; i < core->config.driver_count; i++) {
        bool fails = core->drivers[i].list_failures >= TRIES;
        if (!core->drivers[i].is_listed && !fails)
            return false; /* it may still come */
        has_failed |= !core->drivers[i].is_listed;
    }
    return has_failed && !core->config.effects;
}

bool core_driver_unusable(const struct core *core, struct error *err)
{
    for (size_t i = 0; i < core->config.driver_count; i++) {
        const struct driver *driver = &core->drivers[i];
        if (driver->was_ready || !driver->problem.code || driver->state != DRIVER_DOWN)
            continue;
        *err = driver->problem;
        return true;
    }
    return false;
}

/* ---- answers ------------------------------------------------------------------------ */

static const struct {
    const char *word;
    enum error_code code;
} error_words[] = {
    {"invalid", ERR_INVALID}, {"not-found", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT},
    {"busy", ERR_BUSY},       {"denied", ERR_DENIED},       {"no-space", ERR_NO_SPACE},
    {"stale", ERR_STALE},     {"corrupt", ERR_CORRUPT},     {"unsupported", ERR_UNSUPPORTED},
};

static struct error refusal_read(const struct driver *driver, const struct value *error)
{
    struct error err = ERROR_INIT;
    const struct value *data = value_get(error, "data");
    const char *word = value_get_text(data, "kind", "system");
    enum error_code code = ERR_SYSTEM;
    for (size_t i = 0; i < sizeof error_words / sizeof *error_words; i++)
        if (!strcmp(word, error_words[i].word))
            code = error_words[i].code;
    if (value_get_int(error, "code", 0) == STALE_CODE)
        code = ERR_STALE;
    error_set(&err, code, "driver %s: %s", driver->name,
              value_get_text(error, "message", "it gave no reason"));
    const char *hint = value_get_text(data, "hint", "");
    if (*hint)
        error_hint(&err, "%s", hint);
    invariant(err.code < 0, "driver %s refused, and it is no error", driver->name);
    return err;
}

/* A driver that says by what its etags are made, and still says the same, need not tell again
 * what was seen of an object that it lists under the same etag. When it says something else
 * (a new version of it, other kinds here), all it ever told is asked for anew. */
static void etags_judge(struct core *core, struct driver *driver, const struct value *result)
{
    struct arena *arena = batch_arena(core);
    struct error err = ERROR_INIT;
    const char *made_by = value_at_text(result, "capabilities.etags", NULL);
    driver->keeps_etags = false;
    if (!made_by)
        return;
    const char *key = arena_printf(arena, "etags.%s", driver->name);
    const char *now = arena_printf(arena, "%s %s", kinds_digest(), made_by);
    const char *then = load_fact(core, arena, key);
    driver->keeps_etags = then && strcmp(then, now) == 0;
    if (driver->keeps_etags)
        return;
    seen_forget(core, driver);
    if (!batch_open(core))
        return;
    if (core->env->ledger->etags_drop(core->env->store, &err) < 0)
        core_fail(core, &err);
    save_fact(core, key, now);
}

/* `groups` is true, or a list of kinds. */
static void groups_read(struct driver *driver, const struct value *groups)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    bool is_all = groups && groups->type == VALUE_BOOL && groups->boolean;
    invariant(count <= 64, "%zu kinds, and a bit for 64", count);
    driver->grouped_kinds = is_all ? UINT64_MAX : 0;
    for (size_t i = 0; value_is_list(groups) && i < groups->count; i++)
        for (size_t k = 0; k < count; k++)
            if (!strcmp(value_item_text(groups, i), kinds[k]->name))
                driver->grouped_kinds |= UINT64_C(1) << k;
    driver->makes_groups = driver->grouped_kinds != 0;
    invariant(!driver->in_flight, "driver %s says what it can with %u ops in flight", driver->name,
              driver->in_flight);
}

static void initialize_answered(struct core *core, struct driver *driver, const struct value *error,
                                const struct value *result)
{
    invariant(driver->state == DRIVER_STARTING, "driver %s is initialized in state %d",
              driver->name, driver->state);
    if (error) {
        driver->problem = refusal_read(driver, error);
        driver->state = DRIVER_DYING;
        core->env->driver_kill(core->env->context, driver->name);
        return;
    }
    etags_judge(core, driver, result);
    driver->keeps_queue = value_at_bool(result, "capabilities.queue", false);
    groups_read(driver, value_at(result, "capabilities.groups"));
    driver->window = window_begin(core, driver);
    driver->state = DRIVER_READY;
    driver->was_ready = true;
    driver->problem = (struct error)ERROR_INIT;
    driver->ready_since_ms = core->env->mono_ms(core->env->context);
    core->wants_full = true;
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "driver", driver->name);
    invariant(driver->window > 0, "driver %s may have no op in flight", driver->name);
    core_event(core, "driver.started", NULL, data, "driver %s is up", driver->name);
}

static void look_answered(struct core *core, struct driver *driver, const struct request *request,
                          const struct value *result)
{
    const struct value *objects = value_get(result, "objects");
    struct task *task;
    invariant(request->kind == REQUEST_LOOK, "request %lld is no look", (long long)request->id);
    while ((task = task_of_look(core, driver, request->id))) {
        const struct value *object =
            value_is_list(objects) ? value_find(objects, "uid", task->intent.uid) : NULL;
        if (object)
            object_observed(core, driver, request, object);
        task_looked(core, task, object);
    }
}

static void apply_answered(struct core *core, struct driver *driver, struct task *task,
                           const struct value *error)
{
    if (!error) {
        task_answered(core, task, NULL, false);
        return;
    }
    struct error refusal = refusal_read(driver, error);
    invariant(task->driver == driver, "op %s is answered by driver %s, and was sent to another",
              task->intent.op, driver->name);
    if (refusal.code == ERR_STALE)
        task_fenced(core, task, value_at_int(error, "data.epoch", 0));
    task_answered(core, task, &refusal,
                  refusal.code == ERR_INVALID || refusal.code == ERR_UNSUPPORTED);
}

static void request_answered(struct core *core, struct driver *driver,
                             const struct request *request, const struct value *message,
                             struct json_rows *rows)
{
    const struct value *error = value_get(message, "error");
    const struct value *result = value_get(message, "result");
    if (value_is_map(error))
        result = NULL;
    else
        error = NULL;
    switch (request->kind) {
    case REQUEST_INITIALIZE:
        initialize_answered(core, driver, error, result);
        return;
    case REQUEST_LIST:
        if (error)
            driver->problem = refusal_read(driver, error);
        round_list_answer(core, driver, request->round, result, rows);
        return;
    case REQUEST_DETAILS:
        round_details_answer(core, driver, request, result);
        return;
    case REQUEST_LOOK:
        look_answered(core, driver, request, result);
        return;
    case REQUEST_APPLY:
        if (request->task)
            apply_answered(core, driver, request->task, error);
        return;
    case REQUEST_CANCEL:
        if (request->task)
            task_cancelled(core, request->task);
        return;
    }
}

/* ---- notices ------------------------------------------------------------------------ */

/* Of a sentence, as much as anybody reads; whole characters. */
static const char *said(struct arena *arena, const struct value *params, const char *key)
{
    const char *text = value_get_text(params, key, NULL);
    size_t len = text ? strlen(text) : 0;
    if (len <= SAID_MAX)
        return text;
    for (len = SAID_MAX; len && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
        ;
    return arena_text_n(arena, text, len);
}

static void notice_changed(struct core *core, struct driver *driver, const struct value *params)
{
    seen_mark_dirty(core, driver, value_get_text(params, "uid", NULL),
                    said(batch_arena(core), params, "why"));
}

static void progress_tell(struct core *core, const struct task *task, const struct value *params)
{
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    const char *what = said(arena, params, "what");
    int64_t told = value_get_int(params, "percent", 0);
    int64_t percent = told < 0 ? 0 : told > 100 ? 100 : told;
    invariant(task->intent.op[0], "progress of an op without a name");
    value_set_text(arena, data, "op", task->intent.op);
    value_set_int(arena, data, "percent", percent);
    value_set_text(arena, data, "what", what ? what : "");
    const struct about about = {task->intent.uid, task->after.kind, task->after.project,
                                task->after.name};
    core_event(core, "op.progress", &about, data, "%s %s: %s %lld%%", task->after.kind,
               task->after.name, what ? what : "", (long long)percent);
}

/* Each word is a row of the store and a line of everybody who follows: one a second will do, and
 * that it is done once more. */
static void notice_progress(struct core *core, struct driver *driver, const struct value *params)
{
    const char *op = value_get_text(params, "op", "");
    int64_t now = core->env->mono_ms(core->env->context);
    for (struct task *task = core->tasks; task; task = task->hh.next) {
        if (task->driver != driver || strcmp(task->intent.op, op))
            continue;
        bool is_whole = value_get_int(params, "percent", 0) >= 100;
        if (task->progress_ms && now - task->progress_ms < PROGRESS_MS &&
            !(is_whole && !task->is_told_whole))
            return;
        task->progress_ms = now;
        task->is_told_whole |= is_whole;
        progress_tell(core, task, params);
        return;
    }
}

static void notice_log(struct core *core, struct driver *driver, const struct value *params)
{
    driver_log(core, driver, value_get_text(params, "message", ""));
}

static const struct {
    const char *method;
    void (*take)(struct core *core, struct driver *driver, const struct value *params);
} notices[] = {
    {"changed", notice_changed},
    {"progress", notice_progress},
    {"log", notice_log},
};

static bool is_deep(const struct value *value, unsigned left)
{
    if (left == 0)
        return true;
    for (size_t i = 0; value_is_list(value) && i < value->count; i++)
        if (is_deep(value->items[i], left - 1))
            return true;
    for (size_t i = 0; value_is_map(value) && i < value->pair_count; i++)
        if (is_deep(value->pairs[i].value, left - 1))
            return true;
    return false;
}

static void message_take(struct core *core, struct driver *driver, const struct value *message,
                         struct json_rows *rows)
{
    if (is_deep(message, DEPTH_MAX)) {
        driver_kill(core, driver, "it sent a message that is nested deeper than 40 levels");
        return;
    }
    const char *method = value_get_text(message, "method", NULL);
    for (size_t i = 0; method && i < sizeof notices / sizeof *notices; i++)
        if (!strcmp(method, notices[i].method))
            notices[i].take(core, driver, value_get(message, "params"));
    if (method)
        return;
    int64_t id = value_get_int(message, "id", 0);
    struct request *request;
    DL_FOREACH(driver->requests, request)
        if (request->id == id)
            break;
    if (!request) {
        driver_log(core, driver, "it answers what it was not asked");
        return;
    }
    DL_DELETE(driver->requests, request);
    invariant(request->id > 0 && request->id <= driver->last_id,
              "driver %s was asked %lld, and %lld", driver->name, (long long)driver->last_id,
              (long long)request->id);
    request_answered(core, driver, request, message, rows);
    free(request);
}

int core_line(struct core *core, const char *name, const char *line, size_t len, struct error *err)
{
    struct driver *driver = driver_find(core, name);
    if (!driver || driver->state == DRIVER_DOWN || driver->state == DRIVER_DYING)
        return 0;
    struct arena *arena = arena_new();
    struct value *message = NULL;
    struct json_rows rows;
    int status = json_read_message(arena, line, len, &message, &rows, err);
    if (status == 0 && !value_is_map(message))
        status = error_set(err, ERR_INVALID, "it is no map");
    if (status == 0)
        message_take(core, driver, message, &rows);
    else if (++driver->garbage == GARBAGE_MAX)
        driver_kill(core, driver, "it wrote 1000 lines that are no JSON-RPC");
    arena_free(arena);
    return status;
}

/* ---- deadlines ---------------------------------------------------------------------- */

void driver_forget_task(struct core *core, const struct task *task)
{
    for (size_t i = 0; i < core->config.driver_count; i++) {
        struct request *request;
        DL_FOREACH(core->drivers[i].requests, request)
            if (request->task == task)
                request->task = NULL;
    }
}

/* Overdue: an observation is "unknown" and costs nothing more; a driver that does not even
 * answer initialize or cancel is killed, and its children with it. */
static void request_expired(struct core *core, struct driver *driver, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_INITIALIZE:
        driver_kill(core, driver, "it does not answer initialize");
        return;
    case REQUEST_LIST:
    case REQUEST_DETAILS:
        round_lost(core, driver, request->round);
        driver_kill(core, driver, "it does not answer observe");
        return;
    case REQUEST_LOOK:
        look_answered(core, driver, request, NULL);
        return;
    case REQUEST_CANCEL:
        driver_kill(core, driver, "it does not answer cancel");
        return;
    case REQUEST_APPLY: /* its task has the deadline */
        return;
    }
}

void drivers_expire(struct core *core)
{
    int64_t now = core->env->mono_ms(core->env->context);
    for (size_t i = 0; i < core->config.driver_count; i++) {
        struct driver *driver = &core->drivers[i];
        struct request *request, *next;
        DL_FOREACH_SAFE(driver->requests, request, next) {
            if (request->deadline_ms > now || request->kind == REQUEST_APPLY)
                continue;
            invariant(driver->state != DRIVER_DOWN, "driver %s is down, and still asked",
                      driver->name);
            DL_DELETE(driver->requests, request);
            request_expired(core, driver, request);
            free(request);
        }
    }
}

int64_t drivers_next_try_ms(const struct core *core)
{
    int64_t soonest = INT64_MAX;
    for (size_t i = 0; i < core->config.driver_count; i++) {
        const struct driver *driver = &core->drivers[i];
        if (driver->state == DRIVER_DOWN && driver->restart_at_ms < soonest)
            soonest = driver->restart_at_ms;
        if (driver->state == DRIVER_READY && driver->relist_at_ms && driver->relist_at_ms < soonest)
            soonest = driver->relist_at_ms;
    }
    return soonest;
}

int64_t drivers_next_ms(const struct core *core)
{
    int64_t soonest = drivers_next_try_ms(core);
    for (size_t i = 0; i < core->config.driver_count; i++) {
        const struct request *request;
        DL_FOREACH(core->drivers[i].requests, request)
            if (request->kind != REQUEST_APPLY && request->deadline_ms < soonest)
                soonest = request->deadline_ms;
    }
    return soonest;
}
