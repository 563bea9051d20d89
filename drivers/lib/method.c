/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The methods of the protocol and admission: what is refused before a callback sees it.
 *
 * An apply is let in when its epoch is not below any that was let in before, running
 * ones among them. A newer one for the same uid ends the older first; the new call
 * waits in the list until the old one's process group is empty. R4 and R9 are rules of
 * docs/model/README.md.
 */
#include "drivers/lib/method.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "drivers/lib/call.h"
#include "drivers/lib/callback.h"
#include "drivers/lib/list.h"
#include "drivers/lib/lock.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"

enum {
    PROTOCOL = 1,
    LIST_TIMEOUT_MS = 60000,
    LOOK_TIMEOUT_MS = 15000,
    APPLY_TIMEOUT_S = 30,
    APPLY_TIMEOUT_MAX_S = 7 * 24 * 3600,
};

static const char *const verbs[] = {"create", "update", "restart", "delete", "release", "adopt"};

const char *verb_text(enum spinel_verb verb)
{
    invariant(verb < sizeof verbs / sizeof *verbs, "there is no verb %u", verb);
    return verbs[verb];
}

int verb_read(const char *word, enum spinel_verb *verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i], word) == 0) {
            *verb = (enum spinel_verb)i;
            return 0;
        }
    }
    return -1;
}

int apply_acknowledge(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    return ledger_acknowledge(host->ledger, op, err);
}

/* ---- initialize --------------------------------------------------------------------- */

static struct value *kinds_list(struct arena *arena, const char *kinds)
{
    struct value *list = value_list(arena);
    invariant(kinds && *kinds, "a driver of no kinds");
    for (const char *at = kinds; *(at += strspn(at, " "));) {
        size_t len = strcspn(at, " ");
        value_append(arena, list, value_text_n(arena, at, len));
        at += len;
    }
    return list;
}

static int driver_start(struct spinel_host *host, const struct request *request,
                        struct value *capabilities, struct error *err)
{
    const struct spinel_driver *driver = host->driver;
    if (value_get_int(request->params, "protocol", 0) != PROTOCOL)
        return error_set(err, ERR_UNSUPPORTED, "driver %s speaks protocol %d only", driver->name,
                         PROTOCOL);
    int result = host_open(host, request->params, err);
    if (result < 0)
        return result;
    host->arena = host->forever;
    host->deadline_ms = INT64_MAX;
    /* The settings stay for good: a driver may keep pointers into them. */
    const struct value *settings = value_get(request->params, "settings");
    settings = settings ? value_copy(host->forever, settings) : NULL;
    if (driver->start)
        result = give_reason(host, driver->start(host, settings, capabilities, err), err);
    int fd = result == 0 && driver->watch_fd ? driver->watch_fd(host) : -1;
    if (fd >= 0)
        spinel_watch(host, fd, NULL);
    return result;
}

/* Tells this program from any other that was or will be installed under its name. */
static const char *program_stamp(struct arena *arena)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) < 0)
        return NULL;
    return arena_printf(arena, "%jx.%jx.%jx", (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
                        (uintmax_t)st.st_mtim.tv_sec * 1000000000 + (uintmax_t)st.st_mtim.tv_nsec);
}

static void initialize(struct spinel_host *host, struct request *request)
{
    struct error err = ERROR_INIT;
    struct value *capabilities = value_map(request->arena), *reply = value_map(request->arena);
    if (host->ledger) {
        wire_refuse(&host->wire, request->id, RPC_REQUEST, "initialize was sent twice");
        return;
    }
    if (driver_start(host, request, capabilities, &err) < 0) {
        wire_failure(&host->wire, request->id, &err);
        host->exit_status = 1;
        return;
    }
    invariant(host->ledger && host->arena == host->forever, "driver %s began without a ledger",
              host->driver->name);
    if (host->driver->flags & SPINEL_LASTING_ETAGS)
        value_set_text(request->arena, capabilities, "etags", program_stamp(request->arena));
    if (host->driver->flags & SPINEL_IN_PROCESS)
        value_set_bool(request->arena, capabilities, "queue", true);
    if (host->driver->group && host->driver->group_kinds)
        value_set(request->arena, capabilities, "groups",
                  kinds_list(request->arena, host->driver->group_kinds));
    else if (host->driver->group)
        value_set_bool(request->arena, capabilities, "groups", true);
    value_set_text(request->arena, reply, "name", host->driver->name);
    value_set_text(request->arena, reply, "version", host->driver->version);
    value_set(request->arena, reply, "kinds", kinds_list(request->arena, host->driver->kinds));
    value_set_bool(request->arena, reply, "notices", host->watch_count > 0);
    value_set(request->arena, reply, "capabilities", capabilities);
    const char *json = json_text(request->arena, reply);
    wire_result(&host->wire, request->id, json, strlen(json));
}

/* ---- observe ------------------------------------------------------------------------ */

static const char **uids_read(struct arena *arena, const struct value *list)
{
    const char **uids = arena_array(arena, list->count + 1, sizeof *uids);
    for (size_t i = 0; i < list->count; i++) {
        if (!value_is_text(list->items[i]) || !digest_is_uid(list->items[i]->text))
            return NULL;
        uids[i] = list->items[i]->text;
    }
    return uids;
}

static void list_here(struct spinel_host *host, struct request *request, const char *since)
{
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    host->arena = request->arena;
    host->deadline_ms = host_now_ms() + LIST_TIMEOUT_MS;
    if (callback_list(host, since, &answer, &err) < 0)
        wire_failure(&host->wire, request->id, &err);
    else
        wire_result(&host->wire, request->id, answer.data, answer.len);
    text_free(&answer);
    host->arena = host->forever;
}

void objects_answer(struct spinel_host *host, const char *id, const struct text *objects)
{
    struct text answer = TEXT_INIT;
    text_add(&answer, "{\"objects\":[");
    text_add_n(&answer, objects->data, objects->len);
    text_add(&answer, "],\"complete\":true}");
    wire_result(&host->wire, id, answer.data, answer.len);
    text_free(&answer);
}

static void look_here(struct spinel_host *host, struct request *request, const char **uids,
                      size_t count)
{
    struct text objects = TEXT_INIT;
    host->deadline_ms = host_now_ms() + LOOK_TIMEOUT_MS;
    if (host->driver->look_all)
        callback_look_all(host, uids, count, &objects);
    for (size_t i = 0; i < count && !host->driver->look_all; i++) {
        host->deadline_ms = host_now_ms() + LOOK_TIMEOUT_MS;
        if (i > 0)
            text_add_char(&objects, ',');
        callback_look(host, uids[i], &objects);
    }
    objects_answer(host, request->id, &objects);
    text_free(&objects);
}

static void look_begin(struct spinel_host *host, struct request *request, const struct value *list)
{
    const char **uids = value_is_list(list) ? uids_read(request->arena, list) : NULL;
    if (!uids) {
        wire_refuse(&host->wire, request->id, RPC_PARAMS,
                    "uids is not a list of 32 hexadecimal digits each");
        return;
    }
    if (host->driver->flags & SPINEL_IN_PROCESS) {
        look_here(host, request, uids, list->count);
        return;
    }
    struct call *call = call_new(host, request->arena, CALL_LOOK, request->id);
    request->arena = NULL;
    call->uids = uids;
    call->uid_count = list->count;
    call->timeout_ms = LOOK_TIMEOUT_MS;
}

static void observe(struct spinel_host *host, struct request *request)
{
    struct error err = ERROR_INIT;
    const struct value *uids = value_get(request->params, "uids");
    const char *since = value_get_text(request->params, "since", NULL);
    if (!host->is_driving && ledger_refresh(host->ledger, &err) < 0) {
        wire_failure(&host->wire, request->id, &err);
    } else if (uids) {
        look_begin(host, request, uids);
    } else if (host->driver->flags & SPINEL_IN_PROCESS) {
        list_here(host, request, since);
    } else {
        struct call *call = call_new(host, request->arena, CALL_LIST, request->id);
        request->arena = NULL;
        call->since = since;
        call->timeout_ms = LIST_TIMEOUT_MS;
    }
}

/* ---- apply -------------------------------------------------------------------------- */

/* Their uids become names of directories and of the kernel's objects, as the op's own does. */
static bool refs_are_fit(const struct value *refs)
{
    for (size_t k = 0; value_is_map(refs) && k < refs->pair_count; k++) {
        const struct value *kind = refs->pairs[k].value;
        for (size_t i = 0; value_is_map(kind) && i < kind->pair_count; i++) {
            const struct value *uid = value_get(kind->pairs[i].value, "uid");
            if (uid && !(value_is_text(uid) && digest_is_uid(uid->text)))
                return false;
        }
    }
    return true;
}

/* NULL, or what is wrong with the parameters. */
static const char *op_read(const struct value *params, struct spinel_op *op)
{
    const char *verb = value_get_text(params, "verb", "");
    int64_t epoch = value_get_int(params, "epoch", 0);
    *op = (struct spinel_op){
        .op = value_get_text(params, "op", ""),
        .uid = value_get_text(params, "uid", NULL),
        .epoch = (uint64_t)epoch,
        .kind = value_get_text(params, "kind", NULL),
        .project = value_get_text(params, "project", NULL),
        .name = value_get_text(params, "name", NULL),
        .generation = (uint64_t)value_get_int(params, "generation", 0),
        .is_purge = value_get_bool(params, "purge", false),
        .spec = value_get(params, "spec"),
        .changed = value_get(params, "changed"),
        .refs = value_get(params, "refs"),
        .labels = value_get(params, "labels"),
    };
    if (op->spec && op->spec->type == VALUE_NULL)
        op->spec = NULL;
    if (!ledger_takes(op->op))
        return "op is not 1 to 128 printable characters";
    if (!digest_is_uid(op->uid))
        return "uid is not 32 hexadecimal digits";
    if (!refs_are_fit(op->refs))
        return "refs has a uid that is not 32 hexadecimal digits";
    if (epoch < 1)
        return "epoch is not a positive number";
    if (verb_read(verb, &op->verb) < 0)
        return "verb is none of create, update, restart, delete, release, adopt";
    if (!op->kind || !op->name)
        return "kind or name is missing";
    if (op->spec
            ? !value_is_map(op->spec)
            : op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART)
        return "spec is not a map";
    return NULL;
}

static bool has_kind(const struct spinel_driver *driver, const char *kind)
{
    size_t len = strlen(kind);
    for (const char *at = driver->kinds; (at = strstr(at, kind)); at += len)
        if ((at == driver->kinds || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return len > 0;
    return false;
}

/* Growing a volume that an instance holds is its driver's business. */
static bool takes_kind(const struct spinel_driver *driver, const struct spinel_op *op)
{
    return has_kind(driver, op->kind) ||
           (strcmp(op->kind, "Volume") == 0 && op->verb == SPINEL_UPDATE &&
            has_kind(driver, "Instance"));
}

static int become_driving(struct spinel_host *host, struct error *err)
{
    if (host->is_driving)
        return 0;
    int result = lock_take(host, err);
    if (result == 0)
        result = ledger_claim(host->ledger, err);
    host->is_driving = result == 0;
    return result;
}

/* R4: refuses what is older than anything let in before; notes the epoch otherwise. */
static int apply_admit(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    int result = become_driving(host, err);
    if (result < 0)
        return result;
    uint64_t admitted = ledger_admitted(host->ledger, op->uid);
    if (op->epoch < admitted) {
        error_set(err, ERR_STALE,
                  "epoch %" PRIu64 " of %s %s is older than %" PRIu64
                  ", which this driver has seen",
                  op->epoch, op->kind, op->name, admitted);
        return error_hint(err, "Someone else drives this object, or the store was restored.");
    }
    /* A callback in this process ends before the next one is let in: its end says enough. */
    return host->driver->flags & SPINEL_IN_PROCESS ? 0 : ledger_admit(host->ledger, op, err);
}

static void apply_here(struct spinel_host *host, struct request *request,
                       const struct spinel_op *op, int64_t timeout_ms)
{
    invariant(host->is_driving && op->epoch >= ledger_admitted(host->ledger, op->uid),
              "%s %s is changed at epoch %" PRIu64 " by who may not", op->kind, op->name,
              op->epoch);
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    host->deadline_ms = host_now_ms() + timeout_ms;
    if (callback_apply(host, op, &answer, &err) < 0 || apply_acknowledge(host, op, &err) < 0)
        wire_failure(&host->wire, request->id, &err);
    else
        wire_result(&host->wire, request->id, answer.data, answer.len);
    text_free(&answer);
}

/* R9: what runs for this uid is dead before the next begins. */
static void older_applies_kill(struct spinel_host *host, const struct spinel_op *op)
{
    struct error why = ERROR_INIT;
    invariant(host->call_fd < 0, "a call kills another one for %s", op->uid);
    error_set(&why, ERR_CONFLICT, "superseded by epoch %" PRIu64, op->epoch);
    for (struct call *call = host->calls, *next; call; call = next) {
        next = call->next;
        if (call->kind == CALL_APPLY && strcmp(call->op.uid, op->uid) == 0)
            call_kill(host, call, &why);
    }
}

static void apply_begin(struct spinel_host *host, struct request *request,
                        const struct spinel_op *op, int64_t timeout_ms)
{
    if (host->driver->flags & SPINEL_IN_PROCESS) {
        apply_here(host, request, op, timeout_ms);
        return;
    }
    older_applies_kill(host, op);
    invariant(host->is_driving && op->epoch == ledger_admitted(host->ledger, op->uid),
              "%s %s is changed at epoch %" PRIu64 ", which was not let in", op->kind, op->name,
              op->epoch);
    struct call *call = call_new(host, request->arena, CALL_APPLY, request->id);
    request->arena = NULL;
    call->op = *op;
    call->timeout_ms = timeout_ms;
    if (host->driver->group) {
        host->arena = call->arena;
        call->group = host->driver->group(host, &call->op);
        host->arena = host->forever;
    }
}

static void apply(struct spinel_host *host, struct request *request)
{
    struct error err = ERROR_INIT;
    struct spinel_op op;
    const char *wrong = op_read(request->params, &op);
    int64_t deadline_s = value_get_int(request->params, "deadline", APPLY_TIMEOUT_S);
    if (!wrong && (deadline_s < 1 || deadline_s > APPLY_TIMEOUT_MAX_S))
        wrong = "deadline is not 1 to 604800 seconds";
    if (wrong) {
        wire_refuse(&host->wire, request->id, RPC_PARAMS, "apply: %s", wrong);
        return;
    }
    if (!takes_kind(host->driver, &op)) {
        wire_refuse(&host->wire, request->id, RPC_PARAMS, "driver %s knows no kind %s",
                    host->driver->name, op.kind);
        return;
    }
    if (apply_admit(host, &op, &err) < 0) {
        if (err.code == ERR_STALE)
            wire_stale(&host->wire, request->id, &err, ledger_admitted(host->ledger, op.uid));
        else
            wire_failure(&host->wire, request->id, &err);
        return;
    }
    if (ledger_has_deleted(host->ledger, &op)) {
        struct text answer = TEXT_INIT;
        applied_write(&answer, &op);
        wire_result(&host->wire, request->id, answer.data, answer.len);
        text_free(&answer);
        return;
    }
    apply_begin(host, request, &op, deadline_s * 1000);
}

static void cancel(struct spinel_host *host, struct request *request)
{
    const char *op = value_get_text(request->params, "op", NULL);
    if (!op) {
        wire_refuse(&host->wire, request->id, RPC_PARAMS, "cancel: op is missing");
        return;
    }
    struct call *call = host->calls;
    while (call && (call->kind != CALL_APPLY || strcmp(call->op.op, op) != 0))
        call = call->next;
    if (!call) {
        wire_result(&host->wire, request->id, "{\"killed\":false}", 16);
        return;
    }
    struct error why = ERROR_INIT;
    error_set(&why, ERR_BUSY, "cancelled");
    if (request->id) {
        struct waiter *waiter = arena_alloc(call->arena, sizeof *waiter);
        *waiter = (struct waiter){arena_text(call->arena, request->id), call->waiters};
        call->waiters = waiter;
    }
    call_kill(host, call, &why);
}

/* ---- dispatch ----------------------------------------------------------------------- */

static const struct method {
    const char *name;
    void (*handle)(struct spinel_host *host, struct request *request);
} methods[] = {
    {"initialize", initialize},
    {"observe", observe},
    {"apply", apply},
    {"cancel", cancel},
};

static void request_handle(struct spinel_host *host, struct request *request)
{
    const size_t count = sizeof methods / sizeof *methods;
    size_t i = 0;
    while (i < count && strcmp(methods[i].name, request->method) != 0)
        i++;
    if (i == count)
        wire_refuse(&host->wire, request->id, RPC_METHOD, "no method %.64s", request->method);
    else if (!host->ledger && methods[i].handle != initialize)
        wire_refuse(&host->wire, request->id, RPC_REQUEST, "initialize comes first");
    else
        methods[i].handle(host, request);
}

void line_handle(struct spinel_host *host, const char *line, size_t len)
{
    struct request request = {.arena = arena_new()};
    if (request_read(&host->wire, line, len, &request) == 0)
        request_handle(host, &request);
    if (request.arena) /* a call has not taken it over */
        arena_free(request.arena);
}
