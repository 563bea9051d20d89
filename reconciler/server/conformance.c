/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The conformance suite. Each check is one promise of docs/driver-protocol.md and looks
 * at nothing but what the driver says; they run in this order, on one object.
 */
#include "reconciler/server/conformance.h"

#include <ftw.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/server/subject.h"

#define OBJECT_UID "0c0f0c0f0c0f0c0f0c0f0c0f0c0f0c0f"
#define NOBODY_UID "0dead0dead0dead0dead0dead0dead00"

enum { MAX_LINE = 64 << 20, CODE_STALE = -32009 };

struct suite {
    struct subject subject;
    struct arena *arena;
    const struct value *started; /* answer to initialize */
    const char *kind;
    const struct value *spec;
    const char *token; /* of its list before the object was there; NULL: it gives none */
    FILE *out;
    unsigned count, failures;
};

/* A harmless object of each kind; the first that the driver has is used. */
static const struct {
    const char *kind, *spec;
} samples[] = {
    {"Volume", "{\"size\":1048576,\"format\":\"raw\",\"protect\":false,\"onRemove\":\"release\"}"},
    {"NIC", "{\"instance\":\"sample\",\"interface\":\"eth0\",\"subnet\":\"sample\","
            "\"address\":\"192.0.2.5\",\"mac\":\"02:00:5e:00:53:01\",\"labels\":{}}"},
    {"VPC", "{\"prefixes\":[\"192.0.2.0/24\"],\"nat\":false,\"mtu\":1500}"},
    {"Instance", "{\"cpus\":1,\"maxCpus\":1,\"memory\":67108864,\"maxMemory\":67108864,"
                 "\"power\":\"off\",\"disks\":[],\"nics\":[]}"},
};

/* ---- asking ------------------------------------------------------------------------- */

static const struct value *result_of(const struct value *message)
{
    return value_get(message, "result");
}

static int64_t code_of(const struct value *message)
{
    return value_at_int(message, "error.code", 0);
}

static const struct value *ask(struct suite *suite, const char *method, const char *params)
{
    struct value *value;
    struct error err = ERROR_INIT;
    if (json_read(suite->arena, params, strlen(params), &value, &err) < 0)
        return NULL;
    return subject_call(&suite->subject, method, value);
}

static const struct value *list_ask(struct suite *suite)
{
    return result_of(ask(suite, "observe", "{}"));
}

static const struct value *look_ask(struct suite *suite, const char *uid)
{
    const char *params = arena_printf(suite->arena, "{\"uids\":[\"%s\"]}", uid);
    const struct value *objects = value_get(result_of(ask(suite, "observe", params)), "objects");
    return value_is_list(objects) && objects->count == 1 ? objects->items[0] : NULL;
}

static const struct value *list_ask_since(struct suite *suite, const char *token)
{
    struct value *params = value_map(suite->arena);
    value_set_text(suite->arena, params, "since", token);
    return result_of(subject_call(&suite->subject, "observe", params));
}

static bool rows_have(const struct value *rows, const char *uid)
{
    for (size_t i = 0; value_is_list(rows) && i < rows->count; i++) {
        const struct value *row = rows->items[i];
        if (value_is_list(row) && row->count == 3 && value_is_text(row->items[0]) &&
            strcmp(row->items[0]->text, uid) == 0)
            return true;
    }
    return false;
}

static bool list_has(struct suite *suite, const char *uid)
{
    return rows_have(value_get(list_ask(suite), "list"), uid);
}

static struct value *apply_params(struct suite *suite, const char *uid, int64_t epoch,
                                  const char *verb)
{
    struct arena *arena = suite->arena;
    struct value *params = value_map(arena);
    value_set(arena, params, "op",
              value_printf(arena, "%.8s-%lld-%s", uid, (long long)epoch, verb));
    value_set_text(arena, params, "uid", uid);
    value_set_int(arena, params, "epoch", epoch);
    value_set_text(arena, params, "verb", verb);
    value_set_text(arena, params, "kind", suite->kind);
    value_set_text(arena, params, "project", "conformance");
    value_set_text(arena, params, "name", "sample");
    value_set_int(arena, params, "generation", 1);
    value_set(arena, params, "spec", value_copy(arena, suite->spec));
    value_set(arena, params, "labels", value_map(arena));
    value_set(arena, params, "changed", value_list(arena));
    value_set(arena, params, "refs", value_map(arena));
    value_set_int(arena, params, "deadline", 30);
    return params;
}

static const struct value *apply_ask(struct suite *suite, const char *uid, int64_t epoch,
                                     const char *verb)
{
    return subject_call(&suite->subject, "apply", apply_params(suite, uid, epoch, verb));
}

static bool is_acknowledged(const struct value *message, int64_t epoch)
{
    return value_get_int(result_of(message), "epoch", -1) == epoch;
}

static bool is_absent(const struct value *object, int64_t epoch)
{
    return value_get_bool(object, "absent", false) && value_get_int(object, "epoch", -1) == epoch;
}

/* ---- the promises ------------------------------------------------------------------- */

static bool says_who_it_is(struct suite *suite)
{
    const struct value *said = result_of(suite->started), *kinds = value_get(said, "kinds");
    return value_get_text(said, "name", NULL) && value_get_text(said, "version", NULL) &&
           value_is_list(kinds) && kinds->count > 0;
}

static bool refuses_an_unknown_method(struct suite *suite)
{
    return code_of(ask(suite, "conjure", "{}")) == -32601;
}

static bool survives_a_line_of_garbage(struct suite *suite)
{
    static const char garbage[] = "\x01{nonsense]\xff\n";
    return subject_write(&suite->subject, garbage, sizeof garbage - 1) &&
           code_of(subject_receive(&suite->subject, SUBJECT_NULL_ID)) == -32700 &&
           value_get_bool(list_ask(suite), "complete", false);
}

static bool refuses_what_is_no_request(struct suite *suite)
{
    static const char line[] = "{\"jsonrpc\":\"2.0\",\"word\":1}\n";
    return subject_write(&suite->subject, line, sizeof line - 1) &&
           code_of(subject_receive(&suite->subject, SUBJECT_NULL_ID)) == -32600;
}

static bool says_that_its_list_is_complete(struct suite *suite)
{
    const struct value *said = list_ask(suite);
    return value_get_bool(said, "complete", false) && value_is_list(value_get(said, "list"));
}

static bool tells_absent_from_unknown(struct suite *suite)
{
    return is_absent(look_ask(suite, NOBODY_UID), 0);
}

/* Before the object is made, whose list is then another one. */
static bool lists_or_says_unchanged(struct suite *suite)
{
    suite->token = value_get_text(list_ask(suite), "token", NULL);
    const struct value *again = list_ask_since(suite, suite->token ? suite->token : "none");
    const char *unchanged = value_get_text(again, "unchanged", NULL);
    return value_get_bool(again, "complete", false) &&
           (unchanged ? suite->token && strcmp(unchanged, suite->token) == 0
                      : value_is_list(value_get(again, "list")));
}

static bool refuses_an_unknown_verb(struct suite *suite)
{
    return code_of(apply_ask(suite, OBJECT_UID, 1, "polish")) == -32602;
}

static bool acknowledges_a_create_with_its_epoch(struct suite *suite)
{
    return is_acknowledged(apply_ask(suite, OBJECT_UID, 5, "create"), 5);
}

static bool shows_what_it_created(struct suite *suite)
{
    const struct value *object = look_ask(suite, OBJECT_UID);
    return list_has(suite, OBJECT_UID) && !value_get_bool(object, "absent", false) &&
           value_get_int(object, "epoch", -1) == 5 &&
           strcmp(value_get_text(object, "kind", ""), suite->kind) == 0 &&
           strcmp(value_get_text(object, "name", ""), "sample") == 0 &&
           value_is_map(value_get(object, "spec"));
}

static bool lists_anew_what_changed(struct suite *suite)
{
    const struct value *said = list_ask_since(suite, suite->token ? suite->token : "none");
    return rows_have(value_get(said, "list"), OBJECT_UID);
}

static bool answers_a_repeated_operation_alike(struct suite *suite)
{
    const struct value *before = look_ask(suite, OBJECT_UID);
    return is_acknowledged(apply_ask(suite, OBJECT_UID, 5, "create"), 5) &&
           value_equal(value_get(before, "spec"), value_get(look_ask(suite, OBJECT_UID), "spec"));
}

static bool refuses_a_lower_epoch(struct suite *suite)
{
    return code_of(apply_ask(suite, OBJECT_UID, 4, "update")) == CODE_STALE &&
           value_get_int(look_ask(suite, OBJECT_UID), "epoch", -1) == 5;
}

static bool keeps_what_it_releases(struct suite *suite)
{
    return is_acknowledged(apply_ask(suite, OBJECT_UID, 6, "release"), 6) &&
           value_get_bool(look_ask(suite, OBJECT_UID), "released", false) &&
           is_acknowledged(apply_ask(suite, OBJECT_UID, 7, "adopt"), 7) &&
           !value_get_bool(look_ask(suite, OBJECT_UID), "released", true);
}

static bool keeps_epochs_over_a_kill(struct suite *suite)
{
    subject_kill(&suite->subject);
    suite->started = subject_start(&suite->subject);
    return says_who_it_is(suite) && value_get_int(look_ask(suite, OBJECT_UID), "epoch", -1) == 7 &&
           code_of(apply_ask(suite, OBJECT_UID, 6, "update")) == CODE_STALE;
}

/* Whatever the cancel met, both are answered, and the driver goes on. */
static bool answers_a_cancelled_operation_and_its_cancel(struct suite *suite)
{
    struct value *params = apply_params(suite, OBJECT_UID, 8, "update");
    struct value *which = value_map(suite->arena);
    value_set_text(suite->arena, which, "op", value_get_text(params, "op", ""));
    int apply = subject_send(&suite->subject, "apply", params);
    int cancel = subject_send(&suite->subject, "cancel", which);
    const struct value *applied = subject_receive(&suite->subject, apply);
    const struct value *cancelled = subject_receive(&suite->subject, cancel);
    return (result_of(applied) || code_of(applied) != 0) && result_of(cancelled) &&
           value_get_bool(list_ask(suite), "complete", false);
}

static bool acknowledges_a_delete_while_absent(struct suite *suite)
{
    return is_acknowledged(apply_ask(suite, OBJECT_UID, 9, "delete"), 9) &&
           is_absent(look_ask(suite, OBJECT_UID), 9) && !list_has(suite, OBJECT_UID) &&
           is_acknowledged(apply_ask(suite, OBJECT_UID, 9, "delete"), 9);
}

static bool acknowledges_a_delete_of_what_never_was(struct suite *suite)
{
    return is_acknowledged(apply_ask(suite, NOBODY_UID, 3, "delete"), 3) &&
           is_absent(look_ask(suite, NOBODY_UID), 3);
}

static bool remembers_deletes_over_a_kill(struct suite *suite)
{
    subject_kill(&suite->subject);
    suite->started = subject_start(&suite->subject);
    return is_absent(look_ask(suite, OBJECT_UID), 9) &&
           code_of(apply_ask(suite, OBJECT_UID, 8, "create")) == CODE_STALE &&
           is_absent(look_ask(suite, OBJECT_UID), 9);
}

static bool ends_with_its_input(struct suite *suite)
{
    return subject_end(&suite->subject) == 0;
}

static bool refuses_an_endless_line(struct suite *suite)
{
    static char part[1 << 20];
    memset(part, 'a', sizeof part);
    suite->started = subject_start(&suite->subject);
    for (size_t len = 0; len <= MAX_LINE; len += sizeof part)
        if (!subject_write(&suite->subject, part, sizeof part))
            break; /* it may well hang up in the middle */
    int status = subject_end(&suite->subject);
    return status > 0 && status < 128;
}

static const struct promise {
    const char *name;
    bool (*is_kept)(struct suite *suite);
} promises[] = {
    {"says its name, version and kinds", says_who_it_is},
    {"refuses an unknown method", refuses_an_unknown_method},
    {"survives a line of garbage", survives_a_line_of_garbage},
    {"refuses what is no request", refuses_what_is_no_request},
    {"says that its list is complete", says_that_its_list_is_complete},
    {"tells what is absent, with epoch 0", tells_absent_from_unknown},
    {"lists since a token, or says unchanged", lists_or_says_unchanged},
    {"refuses an unknown verb", refuses_an_unknown_verb},
    {"acknowledges a create with its epoch", acknowledges_a_create_with_its_epoch},
    {"shows what it created", shows_what_it_created},
    {"lists anew since a token", lists_anew_what_changed},
    {"answers a repeated operation alike", answers_a_repeated_operation_alike},
    {"refuses a lower epoch", refuses_a_lower_epoch},
    {"keeps what it releases, and takes it back", keeps_what_it_releases},
    {"keeps epochs over kill -9", keeps_epochs_over_a_kill},
    {"answers an operation and its cancel", answers_a_cancelled_operation_and_its_cancel},
    {"acknowledges a delete, also when repeated", acknowledges_a_delete_while_absent},
    {"acknowledges a delete of what never was", acknowledges_a_delete_of_what_never_was},
    {"remembers deletes over kill -9", remembers_deletes_over_a_kill},
    {"ends with status 0 when its input ends", ends_with_its_input},
    {"refuses a line over 64 MiB and ends", refuses_an_endless_line},
};
enum { PROMISE_COUNT = sizeof promises / sizeof *promises };

/* ---- running them ------------------------------------------------------------------- */

static bool sample_choose(struct suite *suite)
{
    const struct value *kinds = value_get(result_of(suite->started), "kinds");
    struct error err = ERROR_INIT;
    struct value *spec;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (size_t k = 0; value_is_list(kinds) && k < kinds->count; k++) {
            if (!value_is_text(kinds->items[k]) ||
                strcmp(kinds->items[k]->text, samples[i].kind) != 0)
                continue;
            json_read(suite->arena, samples[i].spec, strlen(samples[i].spec), &spec, &err);
            suite->kind = samples[i].kind;
            suite->spec = spec;
            return true;
        }
    }
    return false;
}

static void promises_check(struct suite *suite)
{
    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        bool is_kept = promises[i].is_kept(suite);
        suite->failures += !is_kept;
        fprintf(suite->out, "%sok %zu - %s\n", is_kept ? "" : "not ", i + 1, promises[i].name);
        fflush(suite->out);
    }
}

static void suite_run(struct suite *suite)
{
    fprintf(suite->out, "TAP version 13\n1..%d\n", PROMISE_COUNT);
    suite->started = subject_start(&suite->subject);
    if (!result_of(suite->started)) {
        const char *why = value_at_text(suite->started, "error.message", "no answer to initialize");
        struct text shown = TEXT_INIT; /* TAP ends on terminals, too */
        text_add_shown(&shown, why, strlen(why));
        fprintf(suite->out, "Bail out! it does not start: %s\n", shown.data);
        text_free(&shown);
        suite->failures++;
    } else if (!sample_choose(suite)) {
        fprintf(suite->out, "Bail out! no sample object for any of its kinds\n");
        suite->failures++;
    } else {
        promises_check(suite);
    }
    subject_kill(&suite->subject);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int conformance_run_with(const char *const argv[], const struct value *settings, FILE *out)
{
    char dir[] = "/tmp/spinel-conformance-XXXXXX";
    if (!mkdtemp(dir)) {
        fprintf(out, "Bail out! no temporary directory\n");
        return 1;
    }
    struct arena *arena = arena_new();
    struct suite suite = {.arena = arena, .out = out};
    suite.subject = (struct subject){.argv = argv,
                                     .settings = settings,
                                     .arena = arena,
                                     .in = -1,
                                     .out = -1,
                                     .lines = LINES_INIT};
    suite.subject.state_dir = arena_printf(arena, "%s/state", dir);
    suite_run(&suite);
    lines_free(&suite.subject.lines);
    nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(arena);
    return suite.failures > 0;
}

int conformance_run(const char *const argv[], FILE *out)
{
    return conformance_run_with(argv, NULL, out);
}
