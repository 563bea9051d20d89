/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The methods of the control socket, one function each. What changes the world goes
 * through the core and is answered once it is durable; what reports is answered
 * from what the core knows, after a fresh look where the protocol says so.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "model/json.h"
#include "model/when.h"
#include "reconciler/server/server.h"

struct request {
    struct client *client;
    struct server *server;
    struct shell *shell;
    int64_t id;
    struct arena *arena;
    const struct value *params;
    const struct value *problems; /* for the error's data */
};

/* A handler returns 0 with *result (NULL: {}), a negative error code, or LATER. KEPT is for what
 * no handler has seen yet. */
enum { LATER = 1, KEPT = 2 };

static const char *who_of(const struct request *request)
{
    const char *who = value_get_text(request->params, "who", "");
    return *who && request->client->is_trusted ? who : request->client->who;
}

static int64_t last_seq(struct store *store, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct event *events = NULL;
    size_t count = 0;
    if (store_events(store, arena, -1, 1, &events, &count, &err) < 0 || !count)
        return 0;
    return events[count - 1].seq;
}

/* Decides and commits now, so that an answer tells what is durable. */
static int pump_now(struct shell *shell, struct error *err)
{
    shell->has_news = true;
    core_pump(shell->core);
    return core_has_failed(shell->core, err) ? err->code : 0;
}

/* ---- reports ------------------------------------------------------------------------ */

static int status_method(struct request *request, struct value **result, struct error *err)
{
    (void)err;
    *result = status_report(request->server, request->arena);
    if (value_get_bool(request->params, "marks", false))
        value_set(request->arena, *result, "marks", marks_report(request->server, request->arena));
    return 0;
}

/* Of `commit` as the world was last seen; it lives in `arena` or in the core. */
static int plan_find(struct shell *shell, struct arena *arena, const char *commit,
                     const struct plan **out, struct error *err)
{
    const struct plan *plan = core_plan(shell->core);
    if (strcmp(commit, core_commit(shell->core))) {
        const struct set *set = NULL;
        struct report report;
        report_init(&report, arena);
        int status = shell_load(shell, arena, commit, &set, &report, err);
        if (status < 0)
            return status;
        if (report.count)
            return error_set(err, ERR_INVALID, "commit %.12s is not valid: %s", commit,
                             report.problems[0].message);
        plan = core_plan_for(shell->core, arena, set, commit, err);
        if (!plan)
            return err->code;
    }
    if (!plan) {
        error_set(err, ERR_NOT_FOUND,
                  "there is no plan yet: the branch has no commit, "
                  "or no driver has answered");
        return error_hint(err, "Push a commit, or see what is up: spinel status");
    }
    *out = plan;
    return 0;
}

/* A fast path: of another commit than the target, while the target has nothing to plan. */
static bool plan_is_of_change(struct shell *shell, struct arena *arena, const char *commit,
                              struct value **document)
{
    const struct plan *now = core_plan(shell->core);
    struct error ignored = ERROR_INIT;
    return now && strcmp(commit, core_commit(shell->core)) &&
           core_driver_problem(shell->core, &ignored) == 0 &&
           shell_change(shell, arena, commit, now, document) > 0;
}

/* `commit` "": the branch's head, which may be ahead of the target. */
static int plan_now(struct shell *shell, struct arena *arena, const char *commit,
                    struct value **result, struct error *err)
{
    const struct plan *plan;
    char head[65];
    int status = *commit ? 0 : source_head(shell->source, head, err);
    commit = *commit ? commit : head;
    if (status == 0 && plan_is_of_change(shell, arena, commit, result))
        return 0;
    if (status == 0)
        status = plan_find(shell, arena, commit, &plan, err);
    if (status == 0)
        *result = plan_value(arena, plan);
    return status;
}

static void plan_later(const struct waiter *waiter)
{
    struct client *client = waiter->client;
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *result = NULL;
    if (plan_now(client->server->shell, arena, waiter->commit, &result, &err) < 0)
        client_refuse(client, waiter->id, &err, NULL);
    else
        client_answer(client, waiter->id, result);
    arena_free(arena);
}

static int plan_method(struct request *request, struct value **result, struct error *err)
{
    const char *commit = value_get_text(request->params, "commit", "");
    if (value_get_bool(request->params, "cached", false))
        return plan_now(request->shell, request->arena, commit, result, err);
    struct waiter asked = {.client = request->client, .id = request->id, .answer = plan_later};
    snprintf(asked.commit, sizeof asked.commit, "%s", commit);
    client_wait(&asked);
    return LATER;
}

static void observed_later(const struct waiter *waiter)
{
    struct arena *arena = arena_new();
    struct value *result = value_map(arena);
    value_set_text(arena, result, "at", when_rfc3339(arena, when_now()));
    client_answer(waiter->client, waiter->id, result);
    arena_free(arena);
}

static int observe_method(struct request *request, struct value **result, struct error *err)
{
    (void)result;
    (void)err;
    client_wait(
        &(struct waiter){.client = request->client, .id = request->id, .answer = observed_later});
    return LATER;
}

static void drift_later(const struct waiter *waiter)
{
    struct client *client = waiter->client;
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *result = NULL;
    if (drift_report(client->server, arena, waiter->since, &result, &err) < 0)
        client_refuse(client, waiter->id, &err, NULL);
    else
        client_answer(client, waiter->id, result);
    arena_free(arena);
}

static int drift_method(struct request *request, struct value **result, struct error *err)
{
    (void)result;
    (void)err;
    client_wait(&(struct waiter){.client = request->client,
                                 .id = request->id,
                                 .since = value_get_int(request->params, "since", 0),
                                 .answer = drift_later});
    return LATER;
}

/* ---- pushes ------------------------------------------------------------------------- */

static struct changed *changes_read(struct arena *arena, const struct value *list, size_t *count)
{
    *count = value_is_list(list) ? list->count : 0;
    struct changed *changes = arena_array(arena, *count + 1, sizeof *changes);
    for (size_t i = 0; i < *count; i++) {
        const struct value *entry = list->items[i];
        const struct value *data = value_get(entry, "data");
        changes[i].path = value_get_text(entry, "path", "");
        changes[i].blob = value_get_text(entry, "blob", NULL);
        changes[i].data = value_is_text(data) ? data->text : NULL;
        changes[i].len = value_is_text(data) ? data->text_len : 0;
    }
    return changes;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* So that the push's trace begins where the pusher's wait does. */
static void check_remember(struct server *server, const char *commit, int64_t began_ms)
{
    snprintf(server->checked.commit, sizeof server->checked.commit, "%s", commit);
    server->checked.at_ms = began_ms;
    server->checked.took_ms = wall_ms() - began_ms;
}

static void push_announce(struct request *request, const char *commit)
{
    struct arena *arena = request->arena;
    struct server *server = request->server;
    struct value *data = value_map(arena);
    value_set_text(arena, data, "commit", commit);
    value_set_text(arena, data, "who", who_of(request));
    if (strcmp(server->checked.commit, commit) == 0) {
        value_set(arena, data, "checkedAt",
                  value_text(arena, core_time_text(arena, server->checked.at_ms)));
        value_set_int(arena, data, "checkMs", server->checked.took_ms);
    }
    core_begin(request->shell->core);
    core_announce(request->shell->core, "push.received", data,
                  arena_printf(arena, "%s pushed %.12s", who_of(request), commit));
}

/* Of all that would be declared. */
static const struct plan *whole_check(struct request *request, const char *commit, const char *base,
                                      const struct changed *changes, size_t count,
                                      struct error *err)
{
    struct arena *arena = request->arena;
    struct shell *shell = request->shell;
    const struct set *set = NULL;
    struct report report;
    report_init(&report, arena);
    if (source_overlay(shell->source, shell->store, arena, base, changes, count, &set, &report,
                       err) < 0)
        return NULL;
    if (report.count) {
        request->problems = report_value(arena, &report);
        error_set(err, ERR_INVALID, "the commit is not valid: %zu errors", report.count);
        return NULL;
    }
    return core_plan_for(shell->core, arena, set, commit, err);
}

/* What a push would lead to; nothing is written or sent to a driver. */
static int check_method(struct request *request, struct value **result, struct error *err)
{
    struct arena *arena = request->arena;
    const char *commit = value_get_text(request->params, "commit", "");
    const char *base = value_get_text(request->params, "base", NULL);
    int64_t began_ms = wall_ms();
    size_t count;
    const struct changed *changes =
        changes_read(arena, value_get(request->params, "changes"), &count);
    const struct plan *plan = shell_push_plan(request->shell, arena, base, commit, changes, count);
    if (!plan)
        plan = whole_check(request, commit, base, changes, count, err);
    if (!plan)
        return err->code;
    *result = value_map(arena);
    value_set(arena, *result, "plan", plan_value(arena, plan));
    check_remember(request->server, commit, began_ms);
    return 0;
}

/* What the hook refused before git took it: nothing changes, but it is on record. */
static int refused_method(struct request *request, struct value **result, struct error *err)
{
    enum { PROBLEMS_MAX = 20 };
    const struct value *params = request->params, *given = value_get(params, "problems");
    struct value *problems = value_list(request->arena);
    const struct refusal refusal = {.commit = value_get_text(params, "commit", ""),
                                    .who = who_of(request),
                                    .author = value_get_text(params, "author", NULL),
                                    .subject = value_get_text(params, "subject", NULL),
                                    .why = value_get_text(params, "why", ""),
                                    .problems = problems};
    (void)result;
    if (strlen(refusal.commit) < 40 || strlen(refusal.commit) > 64 ||
        refusal.commit[strspn(refusal.commit, "0123456789abcdef")])
        return error_set(err, ERR_INVALID, "refused: %.70s is no commit", refusal.commit);
    if (!refusal.why[0])
        return error_set(err, ERR_INVALID, "refused: it does not say why");
    for (size_t i = 0; value_is_list(given) && i < given->count && i < PROBLEMS_MAX; i++)
        value_append(request->arena, problems, given->items[i]);
    int status = core_refused(request->shell->core, &refusal, err);
    return status < 0 ? status : pump_now(request->shell, err);
}

static int head_apply(struct request *request, const char *commit, struct value **result,
                      struct error *err)
{
    struct arena *arena = request->arena;
    struct shell *shell = request->shell;
    struct report report;
    int64_t revision = 0, seq = last_seq(shell->store, arena);
    report_init(&report, arena);
    int status = core_target(shell->core, commit, who_of(request), &report, &revision, err);
    if (status < 0) {
        struct error ignored = ERROR_INIT;
        request->problems = report.count ? report_value(arena, &report) : NULL;
        (void)pump_now(shell, &ignored); /* the refusal is on record */
        return status;
    }
    status = pump_now(shell, err);
    if (status < 0)
        return status;
    *result = value_map(arena);
    value_set_int(arena, *result, "revision", revision);
    value_set_int(arena, *result, "seq", seq);
    return 0;
}

static int pushed_method(struct request *request, struct value **result, struct error *err)
{
    char head[65];
    int status = source_head(request->shell->source, head, err);
    if (status < 0)
        return status;
    if (strcmp(head, core_commit(request->shell->core)) != 0)
        push_announce(request, head);
    return head_apply(request, head, result, err);
}

/* The plan that was agreed to must be the plan of now; then its commit is the target. */
static int agreed_apply(struct request *request, const struct waiter *waiter, struct value **result,
                        struct error *err)
{
    const struct plan *plan;
    int status = plan_find(request->shell, request->arena, waiter->commit, &plan, err);
    if (status < 0)
        return status;
    if (strcmp(plan->hash, waiter->hash))
        return agreed_refuse(&(struct agreed){.is_saved = waiter->is_saved},
                             "the world, approvals, freezes or time have changed what it would do",
                             err);
    if (waiter->is_saved)
        status = store_plan_use(request->shell->store, waiter->hash, when_now(), err);
    return status < 0 ? status : head_apply(request, waiter->commit, result, err);
}

static void apply_later(const struct waiter *waiter)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *result = NULL;
    struct request request = {.client = waiter->client,
                              .server = waiter->client->server,
                              .shell = waiter->client->server->shell,
                              .arena = arena};
    if (agreed_apply(&request, waiter, &result, &err) < 0)
        client_refuse(waiter->client, waiter->id, &err, request.problems);
    else
        client_answer(waiter->client, waiter->id, result);
    arena_free(arena);
}

/* 1 with what was agreed to, 0 if nobody was asked. */
static int agreed_read(const struct request *request, struct agreed *agreed, struct error *err)
{
    const struct value *saved = value_get(request->params, "saved");
    const struct value *shown = value_get(request->params, "shown");
    *agreed = (struct agreed){.commit = value_get_text(shown, "commit", ""),
                              .hash = value_get_text(shown, "hash", ""),
                              .is_saved = value_is_map(saved)};
    if (agreed->is_saved) {
        int status = plan_saved_check(saved, &agreed->hash, &agreed->commit, &agreed->world, err);
        return status < 0 ? status : 1;
    }
    if (!value_is_map(shown))
        return 0;
    if (!*agreed->commit)
        return error_set(err, ERR_INVALID, "shown is the commit and the hash of a plan");
    return 1;
}

static int apply_method(struct request *request, struct value **result, struct error *err)
{
    struct waiter asked = {.client = request->client, .id = request->id, .answer = apply_later};
    struct agreed agreed;
    char head[65];
    int status = source_head(request->shell->source, head, err);
    if (status < 0)
        return status;
    status = agreed_read(request, &agreed, err);
    if (status == 0)
        return head_apply(request, head, result, err);
    if (status > 0)
        status = agreed_commit_check(&agreed, head, err);
    if (status < 0)
        return status;
    /* The target goes on by itself, and its plan has changed with each step since it was shown. */
    if (!agreed.is_saved && (!*agreed.hash || strcmp(head, core_commit(request->shell->core)) == 0))
        return head_apply(request, head, result, err);
    snprintf(asked.commit, sizeof asked.commit, "%s", head);
    snprintf(asked.hash, sizeof asked.hash, "%s", agreed.hash);
    asked.is_saved = agreed.is_saved;
    client_wait(&asked);
    return LATER;
}

/* ---- following ---------------------------------------------------------------------- */

static int follow_method(struct request *request, struct value **result, struct error *err)
{
    const struct value *seq = value_get(request->params, "seq");
    int64_t last = last_seq(server_reader(request->server), request->arena);
    (void)err;
    request->client->is_following = true;
    request->client->is_behind = true;
    request->client->followed_seq = seq && seq->type == VALUE_INT ? seq->integer : last;
    *result = value_map(request->arena);
    value_set_int(request->arena, *result, "seq", last);
    return 0;
}

/* ---- what a person decides ---------------------------------------------------------- */

/* A decision and the event that tells of it are one transaction. */
static void decision_begin(struct request *request)
{
    core_begin(request->shell->core);
    request->shell->has_news = true; /* a pump ends it, also after a refusal */
}

static int decided(struct request *request, const char *type, struct value *data, const char *text,
                   struct error *err)
{
    core_announce(request->shell->core, type, data, text);
    core_policy_changed(request->shell->core);
    return pump_now(request->shell, err);
}

static int approve_method(struct request *request, struct value **result, struct error *err)
{
    struct arena *arena = request->arena;
    const char *hold = value_get_text(request->params, "hold", "");
    struct value *told = NULL;
    decision_begin(request);
    int status = store_hold_get(request->shell->store, arena, hold, &told, err);
    if (status == 0)
        status = store_hold_approve(request->shell->store, hold, who_of(request),
                                    (int64_t)time(NULL), err);
    if (status < 0)
        return status;
    struct value *data = value_map(arena);
    value_set_text(arena, data, "hold", hold);
    value_set_text(arena, data, "who", who_of(request));
    *result = told;
    return decided(request, "hold.approved", data,
                   arena_printf(arena, "%s approved %s", who_of(request), hold), err);
}

static bool can_be_frozen(const char *what)
{
    static const char *const whats[] = {"changes", "healing", "deletions"};
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        if (!strcmp(what, whats[i]))
            return true;
    return false;
}

static int freeze_method(struct request *request, struct value **result, struct error *err)
{
    struct arena *arena = request->arena;
    const struct freeze freeze = {
        .what = value_get_text(request->params, "what", ""),
        .who = who_of(request),
        .why = value_get_text(request->params, "why", ""),
        .until = value_get_int(request->params, "until", 0),
    };
    (void)result;
    if (!can_be_frozen(freeze.what))
        return error_set(err, ERR_INVALID, "what is frozen is changes, healing or deletions");
    if (!*freeze.why)
        return error_set(err, ERR_INVALID, "a freeze says why: the next person will ask");
    decision_begin(request);
    int status = store_freeze_put(request->shell->store, &freeze, (int64_t)time(NULL), err);
    if (status < 0)
        return status;
    struct value *data = value_map(arena);
    value_set_text(arena, data, "what", freeze.what);
    value_set_text(arena, data, "who", freeze.who);
    value_set_text(arena, data, "why", freeze.why);
    value_set_int(arena, data, "until", freeze.until);
    return decided(request, "freeze.set", data,
                   arena_printf(arena, "%s froze %s: %s", freeze.who, freeze.what, freeze.why),
                   err);
}

static int lift_method(struct request *request, struct value **result, struct error *err)
{
    struct arena *arena = request->arena;
    const char *what = value_get_text(request->params, "what", "");
    (void)result;
    decision_begin(request);
    int status = store_freeze_lift(request->shell->store, what, err);
    if (status < 0)
        return status;
    struct value *data = value_map(arena);
    value_set_text(arena, data, "what", what);
    value_set_text(arena, data, "who", who_of(request));
    return decided(request, "freeze.lifted", data,
                   arena_printf(arena, "%s lifted the freeze of %s", who_of(request), what), err);
}

static int purge_method(struct request *request, struct value **result, struct error *err)
{
    struct arena *arena = request->arena;
    const char *uid = value_get_text(request->params, "uid", "");
    (void)result;
    decision_begin(request);
    int status = store_object_purge(request->shell->store, uid, err);
    if (status < 0)
        return status;
    struct value *data = value_map(arena);
    value_set_text(arena, data, "uid", uid);
    value_set_text(arena, data, "who", who_of(request));
    return decided(
        request, "purge.asked", data,
        arena_printf(arena, "%s asked to destroy what was released as %s", who_of(request), uid),
        err);
}

static int stop_method(struct request *request, struct value **result, struct error *err)
{
    (void)result;
    (void)err;
    server_stop(request->server);
    return 0;
}

/* ---- dispatch ----------------------------------------------------------------------- */

static const struct method {
    const char *name;
    int (*serve)(struct request *request, struct value **result, struct error *err);
    bool needs_core; /* and waits until it is loaded */
} methods[] = {
    {"status", status_method, false}, {"follow", follow_method, false},
    {"stop", stop_method, false},     {"plan", plan_method, true},
    {"check", check_method, true},    {"pushed", pushed_method, true},
    {"apply", apply_method, true},    {"observe", observe_method, true},
    {"drift", drift_method, true},    {"approve", approve_method, true},
    {"freeze", freeze_method, true},  {"lift", lift_method, true},
    {"purge", purge_method, true},    {"refused", refused_method, true},
};

static const struct method *method_find(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(methods[i].name, name))
            return &methods[i];
    return NULL;
}

static int request_dispatch(struct request *request, const char *name, struct value **result,
                            struct error *err)
{
    const struct method *method = method_find(name);
    if (!method)
        return error_set(err, ERR_UNSUPPORTED, "the daemon has no method %s", name);
    if (method->needs_core && request->server->loading)
        return KEPT;
    return method->serve(request, result, err);
}

/* Each name means the same in every method. Of another type it is a mistake, and not the same as
 * left out: without `saved` the head is applied. */
static int params_check(const struct value *params, struct error *err)
{
    static const struct {
        const char *name;
        enum value_type type;
    } types[] = {
        {"author", VALUE_STRING},  {"base", VALUE_STRING},   {"cached", VALUE_BOOL},
        {"changes", VALUE_LIST},   {"commit", VALUE_STRING}, {"forced", VALUE_BOOL},
        {"hold", VALUE_STRING},    {"marks", VALUE_BOOL},    {"old", VALUE_STRING},
        {"problems", VALUE_LIST},  {"ref", VALUE_STRING},    {"saved", VALUE_MAP},
        {"seq", VALUE_INT},        {"shown", VALUE_MAP},     {"since", VALUE_INT},
        {"subject", VALUE_STRING}, {"uid", VALUE_STRING},    {"until", VALUE_INT},
        {"what", VALUE_STRING},    {"who", VALUE_STRING},    {"why", VALUE_STRING},
    };
    static const char *const words[] = {
        [VALUE_NULL] = "nothing",  [VALUE_BOOL] = "true or false", [VALUE_INT] = "a whole number",
        [VALUE_STRING] = "a text", [VALUE_LIST] = "a list",        [VALUE_MAP] = "a map"};
    if (params && params->type != VALUE_NULL && params->type != VALUE_MAP)
        return error_set(err, ERR_INVALID, "params is a map, and not %s", words[params->type]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct value *value = value_get(params, types[i].name);
        if (value && value->type != VALUE_NULL && value->type != types[i].type)
            return error_set(err, ERR_INVALID, "%s is %s, and not %s", types[i].name,
                             words[types[i].type], words[value->type]);
    }
    return 0;
}

static int request_read(struct request *request, const struct value *message, struct error *err)
{
    const struct value *id = value_get(message, "id");
    if (!value_is_map(message))
        return error_set(err, ERR_INVALID, "a request is a map of id, method and params");
    if (id && id->type != VALUE_INT && id->type != VALUE_NULL)
        return error_set(err, ERR_INVALID, "an id is a whole number here");
    request->id = value_get_int(message, "id", 0);
    request->params = value_get(message, "params");
    return params_check(request->params, err);
}

bool request_serve(struct client *client, const char *line, size_t len)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *message = NULL, *result = NULL;
    struct request request = {
        .client = client, .server = client->server, .shell = client->server->shell, .arena = arena};
    int status = json_read(arena, line, len, &message, &err);
    if (status == 0)
        status = request_read(&request, message, &err);
    if (status == 0)
        status = request_dispatch(&request, value_get_text(message, "method", ""), &result, &err);
    if (status < 0)
        client_refuse(client, request.id, &err, request.problems);
    else if (status == 0)
        client_answer(client, request.id, result);
    arena_free(arena);
    return status != KEPT;
}
