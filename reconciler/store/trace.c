/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/store/trace.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/hash.h"

#include "model/invariant.h"
#include "model/resource.h"
#include "model/text.h"
#include "model/when.h"
#include "reconciler/store/documents.h"
#include "reconciler/plan/text.h"
#include "reconciler/store/query.h"

enum { SPANS_MAX = 100000, NOTE_FAILURES = 20 };

/* ---- which revision ----------------------------------------------------------------- */

static bool is_meant(const struct revision *revision, const char *rev)
{
    char *end;
    long long number = strtoll(rev, &end, 10);
    size_t len = strlen(rev);
    if (len < 7 && !*end)
        return number == revision->id;
    return strncmp(revision->commit, rev, len) == 0;
}

int revision_find(struct store *store, struct arena *arena, const char *rev, struct revision *out,
                  struct error *err)
{
    struct revision *revisions = NULL;
    size_t count = 0;
    int rc =
        store_revisions(store, arena, (struct page){.limit = SIZE_MAX}, &revisions, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool is_refused = strcmp(revisions[i].state, "refused") == 0;
        if (*rev ? !is_meant(&revisions[i], rev) : is_refused)
            continue;
        if (is_refused)
            return error_set(err, ERR_NOT_FOUND,
                             "revision %lld was refused, so that there is no trace of it: %s",
                             (long long)revisions[i].id, revisions[i].message);
        *out = revisions[i];
        return 0;
    }
    if (rc < 0)
        return rc;
    error_set(err, ERR_NOT_FOUND,
              *rev ? "no revision is or begins with '%s'" : "there is no revision yet%s", rev);
    return error_hint(err, "'spinel history' lists them; a revision is a number or a commit");
}

/* ---- its events --------------------------------------------------------------------- */

static int seq_find(struct store *store, const char *sql, int64_t by, int64_t *seq,
                    struct error *err)
{
    struct query query;
    query_start(&query, store, sql, err);
    query_bind_int(&query, by);
    int found = query_next(&query);
    *seq = found > 0 ? query_int(&query) : 0;
    return query_end(&query);
}

/* From the push, if there was one, to where it ended: at the first "converged" that left nothing
 * held, else at the first at all, else at the next revision. */
static int events_read(struct store *store, struct arena *arena, int64_t revision,
                       struct event **events, size_t *count, struct error *err)
{
    int64_t first = 0, last = 0;
    int rc = seq_find(store,
                      "SELECT seq FROM event WHERE type = 'revision.accepted'"
                      " AND json_extract(data, '$.revision') = ? ORDER BY seq DESC LIMIT 1",
                      revision, &first, err);
    if (rc == 0 && !first)
        return error_set(err, ERR_NOT_FOUND,
                         "the events of revision %lld are no longer kept: there is no trace of it",
                         (long long)revision);
    if (rc == 0)
        rc = seq_find(store,
                      "SELECT seq FROM event WHERE seq > ?1 AND type IN ('converged',"
                      " 'revision.accepted') AND seq <= coalesce((SELECT seq FROM event"
                      " WHERE seq > ?1 AND type = 'revision.accepted' ORDER BY seq LIMIT 1),"
                      " 9223372036854775807) ORDER BY type = 'revision.accepted',"
                      " coalesce(json_extract(data, '$.held'), 0) > 0, seq LIMIT 1",
                      first, &last, err);
    if (rc < 0)
        return rc;
    invariant(!last || last > first, "the revision of event %lld ended with event %lld",
              (long long)first, (long long)last);
    size_t limit = last ? (size_t)(last - first) + 2 : SPANS_MAX;
    rc = store_events(store, arena, first > 2 ? first - 2 : 0, limit, events, count, err);
    while (rc == 0 && *count && (*events)[0].seq < first &&
           strcmp((*events)[0].type, "push.received") != 0) {
        ++*events;
        --*count;
    }
    while (last && *count && (*events)[*count - 1].seq > last)
        --*count;
    return rc;
}

/* ---- spans -------------------------------------------------------------------------- */

struct making {
    struct arena *arena;
    struct value *trace, *spans;
    struct value *root;
    const char *id; /* of the trace */
    int64_t began_ms;
    size_t failures;
};

static const char *id_make(struct arena *arena, const char *text, size_t bytes)
{
    unsigned char digest[16];
    char hex[33];
    invariant(bytes <= sizeof digest, "an id of %zu bytes", bytes);
    crypto_generichash(digest, bytes, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(hex, sizeof hex, digest, bytes);
    return arena_text(arena, hex);
}

/* How long something took, as an event tells it: what it cannot be is nothing. */
static int64_t took_ms(const struct value *data, const char *key)
{
    const int64_t most = INT64_C(1000) * 86400 * 36500;
    int64_t ms = value_get_int(data, key, 0);
    return ms < 0 || ms > most ? 0 : ms;
}

/* Of RFC 3339 with milliseconds; 0 if it is not. */
static int64_t ms_read(struct arena *arena, const char *text)
{
    struct error ignored = ERROR_INIT;
    int64_t at = 0;
    if (strlen(text) != sizeof "2026-01-31T23:59:59.999Z" - 1 ||
        when_read(arena_printf(arena, "%.19sZ", text), -1, &at, &ignored) < 0)
        return 0;
    return at * 1000 + atoi(text + 20);
}

static void span_end(struct making *making, struct value *span, int64_t end_ms, const char *status)
{
    int64_t start = making->began_ms + value_get_int(span, "offset", 0);
    value_set_text(making->arena, span, "end", when_rfc3339_ms(making->arena, end_ms));
    value_set_int(making->arena, span, "ms", end_ms - start);
    value_set_text(making->arena, span, "status", status);
}

static struct value *span_begin(struct making *making, const struct value *parent, const char *name,
                                int64_t start_ms)
{
    struct arena *arena = making->arena;
    struct value *span = value_append(arena, making->spans, value_map(arena));
    const char *text = arena_printf(arena, "%s/%zu", making->id, making->spans->count);
    value_set_text(arena, span, "span", id_make(arena, text, 8));
    value_set_text(arena, span, "parent", parent ? value_get_text(parent, "span", NULL) : NULL);
    value_set_text(arena, span, "name", name);
    value_set_text(arena, span, "start", when_rfc3339_ms(arena, start_ms));
    value_set_int(arena, span, "offset", start_ms - making->began_ms);
    value_set(arena, span, "end", value_null(arena));
    value_set(arena, span, "ms", value_null(arena));
    value_set_text(arena, span, "status", "open");
    value_set(arena, span, "attributes", value_map(arena));
    return span;
}

static struct value *attributes_of(struct value *span)
{
    size_t i = 0;
    while (i < span->pair_count && strcmp(span->pairs[i].key, "attributes") != 0)
        i++;
    invariant(i < span->pair_count, "a span was made without attributes: %s",
              value_get_text(span, "name", ""));
    return span->pairs[i].value;
}

static void attribute(struct making *making, struct value *span, const char *key,
                      const struct value *value)
{
    if (value && value->type != VALUE_NULL)
        value_set(making->arena, attributes_of(span), key, value_copy(making->arena, value));
}

static void attribute_text(struct making *making, struct value *span, const char *key,
                           const char *text)
{
    if (text && *text)
        value_set_text(making->arena, attributes_of(span), key, text);
}

static void span_whole(struct making *making, const char *name, int64_t start_ms, int64_t ms)
{
    span_end(making, span_begin(making, making->root, name, start_ms), start_ms + ms, "ok");
}

static void plan_take(struct making *making, const struct event *event)
{
    int64_t ms = took_ms(event->data, "ms");
    int64_t look_ms = took_ms(event->data, "lookMs");
    int64_t look_at = event->at_ms - ms - look_ms;
    span_whole(making, "observe", look_at > making->began_ms ? look_at : making->began_ms, look_ms);
    struct value *span = span_begin(making, making->root, "plan", event->at_ms - ms);
    attribute(making, span, "plan", value_get(event->data, "hash"));
    attribute(making, span, "run", value_at(event->data, "summary.run"));
    attribute(making, span, "held", value_at(event->data, "summary.held"));
    attribute_text(making, span, "summary",
                   plan_summary_text(making->arena, value_get(event->data, "summary")));
    span_end(making, span, event->at_ms, "ok");
}

static void op_begin(struct making *making, const struct event *event)
{
    static const char *const keys[] = {"op", "verb", "plan", "driver", "call"};
    struct arena *arena = making->arena;
    const char *name = arena_printf(arena, "%s %s", value_get_text(event->data, "verb", "op"),
                                    identity_label(arena, event->kind ? event->kind : "",
                                                   event->project, event->name ? event->name : ""));
    struct value *span = span_begin(making, making->root, name, event->at_ms);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        attribute(making, span, keys[i], value_get(event->data, keys[i]));
    attribute_text(making, span, "uid", event->uid);
    attribute_text(making, span, "kind", event->kind);
    attribute_text(making, span, "project", event->project);
    attribute_text(making, span, "name", event->name);
}

static struct value *op_find(struct making *making, const struct event *event)
{
    const char *op = value_get_text(event->data, "op", "");
    for (size_t i = making->spans->count; i-- > 0;) {
        struct value *span = making->spans->items[i];
        if (value_get(span, "end")->type == VALUE_NULL &&
            strcmp(value_at_text(span, "attributes.op", ""), op) == 0)
            return span;
    }
    return NULL;
}

static void op_end(struct making *making, const struct event *event)
{
    struct value *span = op_find(making, event);
    const struct value *call = value_get(event->data, "callMs");
    if (!span)
        return;
    bool is_good = strcmp(event->type, "op.confirmed") == 0;
    bool is_bad = strcmp(event->type, "op.failed") == 0;
    int64_t start = making->began_ms + value_get_int(span, "offset", 0);
    making->failures += is_bad;
    attribute(making, span, "error", value_get(event->data, "message"));
    span_end(making, span, event->at_ms, is_good ? "ok" : is_bad ? "error" : "superseded");
    if (!call || call->type != VALUE_INT)
        return;
    int64_t answered = start + took_ms(event->data, "callMs");
    answered = answered < event->at_ms ? answered : event->at_ms;
    struct value *part = span_begin(making, span, "call", start);
    attribute(making, part, "driver", value_at(span, "attributes.driver"));
    attribute(making, part, "call", value_at(span, "attributes.call"));
    span_end(making, part, answered, is_bad && answered == event->at_ms ? "error" : "ok");
    if (answered < event->at_ms || is_good)
        span_end(making, span_begin(making, span, "confirm", answered), event->at_ms,
                 is_good ? "ok" : "error");
}

static void event_take(struct making *making, const struct event *event)
{
    static const struct {
        const char *type;
        void (*take)(struct making *making, const struct event *event);
    } takers[] = {
        {"plan.made", plan_take}, {"op.started", op_begin},  {"op.confirmed", op_end},
        {"op.failed", op_end},    {"op.superseded", op_end},
    };
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (strcmp(event->type, takers[i].type) == 0)
            takers[i].take(making, event);
}

static const char *outcome_of(const struct revision *revision, const struct event *last)
{
    if (strcmp(last->type, "converged") == 0)
        return value_get_int(last->data, "held", 0) ? "held" : "converged";
    if (strcmp(last->type, "revision.accepted") == 0 &&
        value_get_int(last->data, "revision", 0) != revision->id)
        return "superseded";
    return "open";
}

static int64_t check_at_ms(struct arena *arena, const struct event *push)
{
    int64_t at = ms_read(arena, value_get_text(push->data, "checkedAt", ""));
    return at ? at : push->at_ms;
}

/* The push and the load; returns how many events they were. */
static size_t start_take(struct making *making, const struct event *events, size_t count)
{
    const struct event *push = strcmp(events[0].type, "push.received") == 0 ? &events[0] : NULL;
    size_t at = 0;
    while (at < count && strcmp(events[at].type, "revision.accepted") != 0)
        at++;
    invariant(at < count, "none of %zu events accepts the revision", count);
    const struct event *accepted = &events[at];
    int64_t load_ms = took_ms(accepted->data, "ms");
    making->began_ms = push ? check_at_ms(making->arena, push) : accepted->at_ms - load_ms;
    making->root = span_begin(making, NULL, "revision", making->began_ms);
    attribute(making, making->root, "commit", value_get(accepted->data, "commit"));
    attribute(making, making->root, "who", value_get(accepted->data, "who"));
    if (push && value_get(push->data, "checkMs")) {
        int64_t check_ms = took_ms(push->data, "checkMs");
        int64_t checked = making->began_ms + check_ms;
        span_whole(making, "check", making->began_ms, check_ms);
        if (accepted->at_ms - load_ms > checked) /* its own work, and our second hook's start */
            span_whole(making, "git", checked, accepted->at_ms - load_ms - checked);
    }
    span_whole(making, "load", accepted->at_ms - load_ms, load_ms);
    return at + 1;
}

struct placed {
    const char *id; /* of the span */
    struct value *span;
    size_t at, group; /* its place, and that of the operation it is part of */
    UT_hash_handle hh;
};

static int placed_compare(const void *a, const void *b)
{
    const struct placed *left = a, *right = b;
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* What is part of an operation comes right after it. */
static void spans_order(struct making *making)
{
    size_t count = making->spans->count;
    struct placed *placed = arena_array(making->arena, count + 1, sizeof *placed);
    struct placed *by_id = NULL, *parent;
    for (size_t i = 0; i < count; i++) {
        struct value *span = making->spans->items[i];
        placed[i] = (struct placed){
            .id = value_get_text(span, "span", ""), .span = span, .at = i, .group = i};
        HASH_FIND_STR(by_id, value_get_text(span, "parent", ""), parent);
        if (parent && parent->at > 0) /* the first is the revision itself */
            placed[i].group = parent->at;
        HASH_ADD_KEYPTR(hh, by_id, placed[i].id, strlen(placed[i].id), &placed[i]);
    }
    invariant(HASH_COUNT(by_id) == count, "%zu spans have %u ids", count, HASH_COUNT(by_id));
    HASH_CLEAR(hh, by_id);
    qsort(placed, count, sizeof *placed, placed_compare);
    for (size_t i = 0; i < count; i++)
        making->spans->items[i] = placed[i].span;
}

int trace_make(struct store *store, struct arena *arena, const struct revision *revision,
               struct value **out, struct error *err)
{
    struct making making = {.arena = arena, .trace = value_map(arena), .spans = value_list(arena)};
    struct event *events = NULL;
    size_t count = 0;
    char rack[33];
    int rc = store_rack_id(store, rack, err);
    if (rc == 0)
        rc = events_read(store, arena, revision->id, &events, &count, err);
    if (rc < 0)
        return rc;
    invariant(count > 0, "revision %lld was accepted, and has no events", (long long)revision->id);
    const struct event *last = &events[count - 1];
    making.id = id_make(
        arena, arena_printf(arena, "%s/%lld/%s", rack, (long long)revision->id, revision->commit),
        16);
    for (size_t i = start_take(&making, events, count); i < count; i++)
        event_take(&making, &events[i]);
    const char *outcome = outcome_of(revision, last);
    if (strcmp(outcome, "open") != 0)
        span_end(&making, making.root, last->at_ms, "ok");
    spans_order(&making);
    struct value *trace = making.trace;
    value_set_text(arena, trace, "schema", "spinel/trace/v1");
    value_set_text(arena, trace, "trace", making.id);
    value_set(arena, trace, "revision", revision_value(arena, revision));
    value_set_text(arena, trace, "outcome", outcome);
    value_set_int(arena, trace, "failures", (int64_t)making.failures);
    value_set(arena, trace, "ms", value_copy(arena, value_get(making.root, "ms")));
    value_set(arena, trace, "spans", making.spans);
    *out = trace;
    return 0;
}

/* ---- for others --------------------------------------------------------------------- */

static void otlp_attribute(struct arena *arena, struct value *list, const char *key,
                           const struct value *value)
{
    struct value *entry = value_append(arena, list, value_map(arena));
    struct value *typed = value_map(arena);
    value_set_text(arena, entry, "key", key);
    if (value->type == VALUE_INT)
        value_set(arena, typed, "intValue", value_printf(arena, "%lld", (long long)value->integer));
    else
        value_set_text(arena, typed, "stringValue", value_is_text(value) ? value->text : "");
    value_set(arena, entry, "value", typed);
}

static struct value *otlp_span(struct arena *arena, const struct value *trace, int64_t began_ms,
                               const struct value *span)
{
    enum { INTERNAL = 1, STATUS_OK = 1, STATUS_ERROR = 2 };
    struct value *out = value_map(arena), *attributes = value_list(arena);
    const struct value *given = value_get(span, "attributes");
    int64_t start = began_ms + value_get_int(span, "offset", 0);
    value_set(arena, out, "traceId", value_copy(arena, value_get(trace, "trace")));
    value_set(arena, out, "spanId", value_copy(arena, value_get(span, "span")));
    if (value_get_text(span, "parent", NULL))
        value_set(arena, out, "parentSpanId", value_copy(arena, value_get(span, "parent")));
    value_set(arena, out, "name", value_copy(arena, value_get(span, "name")));
    value_set_int(arena, out, "kind", INTERNAL);
    value_set(arena, out, "startTimeUnixNano", value_printf(arena, "%lld000000", (long long)start));
    value_set(arena, out, "endTimeUnixNano",
              value_printf(arena, "%lld000000",
                           (long long)start + (long long)value_get_int(span, "ms", 0)));
    for (size_t i = 0; i < given->pair_count; i++)
        otlp_attribute(arena, attributes, arena_printf(arena, "spinel.%s", given->pairs[i].key),
                       given->pairs[i].value);
    value_set(arena, out, "attributes", attributes);
    const char *status = value_get_text(span, "status", "");
    struct value *code = value_set(arena, out, "status", value_map(arena));
    if (strcmp(status, "ok") == 0)
        value_set_int(arena, code, "code", STATUS_OK);
    if (strcmp(status, "error") == 0)
        value_set_int(arena, code, "code", STATUS_ERROR);
    return out;
}

struct value *trace_otlp(struct arena *arena, const struct value *trace, const char *rack,
                         const char *version)
{
    const struct value *spans = value_get(trace, "spans");
    invariant(value_is_list(spans) && spans->count > 0, "a trace without spans");
    int64_t began = ms_read(arena, value_get_text(spans->items[0], "start", ""));
    struct value *resource = value_map(arena), *scope = value_map(arena), *list = value_list(arena);
    struct value *attributes = value_set(arena, resource, "attributes", value_list(arena));
    otlp_attribute(arena, attributes, "service.name", value_text(arena, "spinel"));
    otlp_attribute(arena, attributes, "service.version", value_text(arena, version));
    otlp_attribute(arena, attributes, "service.instance.id", value_text(arena, rack));
    value_set_text(arena, scope, "name", "spinel");
    value_set_text(arena, scope, "version", version);
    for (size_t i = 0; i < spans->count; i++)
        value_append(arena, list, otlp_span(arena, trace, began, spans->items[i]));
    struct value *scoped = value_map(arena), *whole = value_map(arena), *request = value_map(arena);
    value_set(arena, scoped, "scope", scope);
    value_set(arena, scoped, "spans", list);
    value_set(arena, whole, "resource", resource);
    value_append(arena, value_set(arena, whole, "scopeSpans", value_list(arena)), scoped);
    value_append(arena, value_set(arena, request, "resourceSpans", value_list(arena)), whole);
    return request;
}

static void note_failures(struct text *out, const struct value *spans)
{
    size_t told = 0;
    for (size_t i = 0; i < spans->count && told < NOTE_FAILURES; i++) {
        const char *why = value_at_text(spans->items[i], "attributes.error", NULL);
        if (!why)
            continue;
        text_printf(out, "  %s: ", value_get_text(spans->items[i], "name", ""));
        text_add_shown(out, why, strlen(why));
        text_add_char(out, '\n');
        told++;
    }
}

static const struct value *plan_first(const struct value *spans)
{
    for (size_t i = 0; i < spans->count; i++)
        if (strcmp(value_get_text(spans->items[i], "name", ""), "plan") == 0)
            return spans->items[i];
    return NULL;
}

const char *trace_note(struct arena *arena, const struct value *trace)
{
    const struct value *spans = value_get(trace, "spans"), *plan = plan_first(spans);
    int64_t ms = value_get_int(trace, "ms", 0), failures = value_get_int(trace, "failures", 0);
    const char *who = value_at_text(trace, "revision.pushedBy", NULL);
    struct text out = TEXT_INIT;
    text_printf(&out, "%s after %lld.%03lld s\n\n", value_get_text(trace, "outcome", ""),
                (long long)(ms / 1000), (long long)(ms % 1000));
    text_printf(&out, "Revision: %lld\nCommit: %s\n",
                (long long)value_at_int(trace, "revision.revision", 0),
                value_at_text(trace, "revision.commit", ""));
    if (who)
        text_printf(&out, "Pushed-By: %s\n", who);
    if (plan)
        text_printf(&out, "Plan: %.12s, %s\n", value_at_text(plan, "attributes.plan", ""),
                    value_at_text(plan, "attributes.summary", ""));
    else
        text_add(&out, "Plan: nothing to do\n");
    text_printf(&out, "Failures: %lld\n", (long long)failures);
    note_failures(&out, spans);
    text_printf(&out, "Trace: %s\n", value_get_text(trace, "trace", ""));
    const char *note = arena_text(arena, out.data);
    text_free(&out);
    return note;
}
