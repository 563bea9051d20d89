/* SPDX-License-Identifier: MPL-2.0 */
/* What happened: drift, operations, events and revisions, newest first and a page at a time;
 * of drift, what is open comes before what was healed. */
#include "reconciler/server/web_view.h"

#include <string.h>

#include "reconciler/store/documents.h"
#include "reconciler/store/trace.h"

enum { PAGE_DEFAULT = 200, PAGE_MAX = 500, DRIFT_MAX = 5000 };

static struct page page_asked(struct asked *asked, int64_t fallback, int64_t most)
{
    return (struct page){.offset = (size_t)asked_int(asked, "offset", 0, 0, INT32_MAX),
                         .limit = (size_t)asked_int(asked, "limit", fallback, 1, most)};
}

int drift_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
              int64_t since, struct page page, struct error *err)
{
    struct value *list = value_set(arena, document, "drift", value_list(arena));
    struct drift_row *rows = NULL;
    size_t count = 0, total = 0, open = 0;
    int status = store_drifts(view->shell->store, arena, since, &rows, &count, err);
    for (int wants_open = 1; wants_open >= 0; wants_open--) {
        for (size_t n = count; n-- > 0;) {
            const struct drift_row *row = &rows[n];
            if ((row->healed_at == 0) != wants_open || (uid && strcmp(row->uid, uid) != 0))
                continue;
            if (total >= page.offset && list->count < page.limit)
                unit_put(arena, value_append(arena, list, drift_value(arena, row)), row->kind);
            total++;
            open += row->healed_at == 0;
        }
    }
    value_set_int(arena, document, "total", (int64_t)total);
    value_set_int(arena, document, "open", (int64_t)open);
    return status;
}

/* What the last full look found that is not ours, or not in Git, and what it could not look at. */
static int strangers_put(struct view *view, struct arena *arena, struct value *document,
                         struct error *err)
{
    static const struct {
        const char *key, *fact;
    } lists[] = {{"unmanaged", "unmanaged"}, {"orphans", "orphans"}, {"unknown", "unseen"}};
    int status = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists && status == 0; i++) {
        struct value *list = NULL;
        status = store_fact_list(view->shell->store, arena, lists[i].fact, &list, err);
        value_set(arena, document, lists[i].key, list ? list : value_list(arena));
    }
    return status;
}

int operations_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
                   struct page page, struct error *err)
{
    struct value *list = value_set(arena, document, "operations", value_list(arena));
    struct intent *intents = NULL;
    size_t count = 0;
    int status = store_intents(view->shell->store, arena, uid, page, &intents, &count, err);
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, intent_value(arena, &intents[i]));
    return status;
}

int events_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
               int64_t before, size_t limit, struct error *err)
{
    struct value *list = value_set(arena, document, "events", value_list(arena));
    struct event *events = NULL;
    size_t count = 0;
    int status =
        store_events_before(view->shell->store, arena, uid, before, limit, &events, &count, err);
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, event_value(arena, &events[i]));
    return status;
}

/* ---- documents ---------------------------------------------------------------------- */

struct value *view_drift(struct view *view, struct asked *asked, struct error *err)
{
    struct value *document = value_map(asked->arena);
    int64_t since = asked_int(asked, "since", 1, 1, INT64_MAX);
    int status = drift_put(view, asked->arena, document, asked_text(asked, "uid"), since,
                           page_asked(asked, PAGE_DEFAULT, DRIFT_MAX), err);
    if (status == 0)
        status = strangers_put(view, asked->arena, document, err);
    return status < 0 ? NULL : document;
}

int view_open_drift(struct view *view, struct arena *arena, struct open_drift *out,
                    struct error *err)
{
    struct drift_row *rows = NULL;
    size_t count = 0;
    int status = store_drifts(view->shell->store, arena, INT64_MAX, &rows, &count, err);
    *out = (struct open_drift){0};
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (strcmp(rows[i].disposition, "ignored") == 0) {
            out->ignored++;
            continue;
        }
        out->fields++;
        out->oldest = out->oldest && out->oldest < rows[i].since ? out->oldest : rows[i].since;
    }
    return status;
}

int view_good(struct view *view, struct arena *arena, struct revision *out, struct error *err)
{
    *out = (struct revision){0};
    int status = store_revision_good(view->shell->store, arena, out, err);
    return status == ERR_NOT_FOUND ? 0 : status;
}

struct value *view_events(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    struct value *document = value_map(arena);
    size_t limit = (size_t)asked_int(asked, "limit", PAGE_DEFAULT, 1, PAGE_MAX), count = 0;
    int64_t before = asked_int(asked, "before", 0, 0, INT64_MAX);
    const char *uid = asked_text(asked, "uid");
    if (before || uid)
        return events_put(view, arena, document, uid, before ? before : INT64_MAX, limit, err) < 0
                   ? NULL
                   : document;
    struct value *list = value_set(arena, document, "events", value_list(arena));
    struct event *events = NULL;
    if (store_events(view->shell->store, arena, asked_int(asked, "after", -1, -1, INT64_MAX), limit,
                     &events, &count, err) < 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, event_value(arena, &events[i]));
    return document;
}

struct value *view_revisions(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    struct value *document = value_map(arena);
    struct value *list = value_set(arena, document, "revisions", value_list(arena));
    struct revision *revisions = NULL;
    size_t count = 0;
    if (store_revisions(view->shell->store, arena, page_asked(asked, 50, PAGE_MAX), &revisions,
                        &count, err) < 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, revision_value(arena, &revisions[i]));
    return document;
}

struct value *view_trace(struct view *view, struct asked *asked, struct error *err)
{
    struct store *store = view->shell->store;
    const char *rev = asked_text(asked, "revision");
    struct revision revision;
    struct value *trace = NULL;
    int status = revision_find(store, asked->arena, rev ? rev : "", &revision, err);
    if (status == 0)
        status = trace_make(store, asked->arena, &revision, &trace, err);
    if (status < 0)
        return NULL;
    size_t limit = (size_t)asked_int(asked, "limit", 1000, 1, 100000);
    struct value *spans = (struct value *)(size_t)value_get(trace, "spans");
    value_set_int(asked->arena, trace, "total", (int64_t)spans->count);
    spans->count = spans->count < limit ? spans->count : limit;
    return trace;
}

struct value *view_operations(struct view *view, struct asked *asked, struct error *err)
{
    struct value *document = value_map(asked->arena);
    return operations_put(view, asked->arena, document, asked_text(asked, "uid"),
                          page_asked(asked, 50, PAGE_MAX), err) < 0
               ? NULL
               : document;
}
