/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Events: numbered, append-only, the newest 100,000 kept. A number is never used
 * again, so a follower that comes back knows whether it missed any.
 */
#include "reconciler/store/query.h"

#include "model/invariant.h"

enum { EVENTS_KEPT = 100000 };

#define COLUMNS "seq, at_ms, type, text, uid, kind, project, name, data"

static int event_write(struct store *store, const struct event *event, struct error *err)
{
    struct query query;
    invariant(event->type && event->type[0], "an event without a type: %s",
              event->text ? event->text : "");
    invariant(!event->data || value_is_map(event->data), "event %s has data that is no map",
              event->type);
    query_start(&query, store,
                "INSERT INTO event (at_ms, type, text, uid, kind, project, name, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                err);
    query_bind_int(&query, event->at_ms);
    query_bind_word(&query, event->type);
    query_bind_word(&query, event->text);
    query_bind_text(&query, event->uid);
    query_bind_text(&query, event->kind);
    query_bind_text(&query, event->project);
    query_bind_text(&query, event->name);
    query_bind_json(&query, event->data);
    return query_run(&query, NULL);
}

static int events_prune(struct store *store, int64_t newest, struct error *err)
{
    struct query query;
    invariant(newest > 0 && store_in_batch(store), "events before number %lld go",
              (long long)newest);
    query_start(&query, store, "DELETE FROM event WHERE seq <= ?", err);
    query_bind_int(&query, newest - EVENTS_KEPT);
    return query_run(&query, NULL);
}

int store_event_add(struct store *store, const struct event *event, int64_t *seq, struct error *err)
{
    bool own = false;
    int rc = query_batch_begin(store, &own, err);
    if (rc < 0)
        return rc;
    rc = event_write(store, event, err);
    int64_t added = sqlite3_last_insert_rowid(store->db);
    invariant(rc < 0 || added > 0, "event %s has number %lld", event->type, (long long)added);
    if (rc == 0)
        rc = events_prune(store, added, err);
    rc = query_batch_end(store, own, rc, err);
    if (rc == 0 && seq)
        *seq = added;
    return rc;
}

static struct event event_read(struct query *query, struct arena *arena)
{
    struct event event = {.seq = query_int(query)};
    event.at_ms = query_time_ms(query);
    event.type = query_text(query, arena);
    event.text = query_text(query, arena);
    event.uid = query_text(query, arena);
    event.kind = query_text(query, arena);
    event.project = query_text(query, arena);
    event.name = query_text(query, arena);
    event.data = query_json(query, arena);
    return event;
}

static int events_collect(struct query *query, struct arena *arena, struct event **out,
                          size_t *count)
{
    struct event *rows = NULL;
    size_t n = 0, room = 0;
    while (query_next(query) > 0) {
        rows = arena_grow(arena, rows, n, &room, sizeof(*rows));
        rows[n++] = event_read(query, arena);
        invariant(n <= room, "%zu events in room for %zu", n, room);
    }
    int rc = query_end(query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}

int store_events(struct store *store, struct arena *arena, int64_t seq, size_t limit,
                 struct event **out, size_t *count, struct error *err)
{
    struct query query;
    if (seq >= 0) {
        query_start(&query, store,
                    "SELECT " COLUMNS " FROM event WHERE seq > ? ORDER BY seq LIMIT ?", err);
        query_bind_int(&query, seq);
    } else {
        query_start(&query, store,
                    "SELECT " COLUMNS " FROM (SELECT * FROM event ORDER BY seq DESC LIMIT ?)"
                    " ORDER BY seq",
                    err);
    }
    query_bind_limit(&query, limit);
    return events_collect(&query, arena, out, count);
}

int store_events_before(struct store *store, struct arena *arena, const char *uid, int64_t seq,
                        size_t limit, struct event **out, size_t *count, struct error *err)
{
    struct query query;
    query_start(&query, store,
                uid ? "SELECT " COLUMNS " FROM event WHERE seq < ? AND uid = ?"
                      " ORDER BY seq DESC LIMIT ?"
                    : "SELECT " COLUMNS " FROM event WHERE seq < ? ORDER BY seq DESC LIMIT ?",
                err);
    query_bind_int(&query, seq);
    if (uid)
        query_bind_text(&query, uid);
    query_bind_limit(&query, limit);
    return events_collect(&query, arena, out, count);
}
