/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drift: where the world differed from what was applied. At most one row of a
 * (uid, path) is open, which the schema enforces; when a healed one comes back it
 * is a new row whose count says how often. Healed rows are kept for 90 days, counted
 * from the healing that is being written, and at most 100 of one field.
 */
#include "reconciler/store/query.h"

#include "model/invariant.h"

enum { HEALED_KEPT_S = 90 * 24 * 3600, HEALED_KEPT_LEAST = 1000, FIELD_KEPT = 100 };

int store_drift_seen(struct store *store, const struct drift_row *row, struct error *err)
{
    struct query query;
    invariant(row->uid && row->uid[0] && row->path && row->path[0], "drift of nothing");
    invariant(row->kind && row->name, "drift of %s, which has no kind or no name", row->uid);
    invariant(row->since <= row->last_seen, "drift of %s %s since %lld was last seen at %lld",
              row->uid, row->path, (long long)row->since, (long long)row->last_seen);
    invariant(row->healed_at == 0, "drift of %s %s is seen, and was healed at %lld", row->uid,
              row->path, (long long)row->healed_at);
    query_start(&query, store,
                "INSERT INTO drift (uid, path, kind, project, name, desired, observed, since,"
                " last_seen, detected_by, cause, disposition, reason, healed_at, healed_by, count)"
                " VALUES (?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', coalesce("
                "(SELECT count + 1 FROM drift WHERE uid = ?1 AND path = ?2"
                " ORDER BY id DESC LIMIT 1), 0))"
                " ON CONFLICT (uid, path) WHERE healed_at = 0 DO UPDATE SET kind = excluded.kind,"
                " project = excluded.project, name = excluded.name, desired = excluded.desired,"
                " observed = excluded.observed, last_seen = max(last_seen, excluded.last_seen),"
                " cause = excluded.cause, disposition = excluded.disposition,"
                " reason = excluded.reason",
                err);
    query_bind_text(&query, row->uid);
    query_bind_text(&query, row->path);
    query_bind_word(&query, row->kind);
    query_bind_text(&query, row->project);
    query_bind_word(&query, row->name);
    query_bind_text(&query, row->desired);
    query_bind_text(&query, row->observed);
    query_bind_int(&query, row->since);
    query_bind_int(&query, row->last_seen);
    query_bind_word(&query, row->detected_by);
    query_bind_word(&query, row->cause);
    query_bind_word(&query, row->disposition);
    query_bind_word(&query, row->reason);
    return query_run(&query, NULL);
}

static int healed_prune(struct store *store, int64_t before, struct error *err)
{
    struct query query;
    invariant(store_in_batch(store), "%s: drift of before %lld goes by itself", store->path,
              (long long)before);
    query_start(&query, store,
                "DELETE FROM drift WHERE healed_at > 0 AND healed_at < ?"
                " AND id <= (SELECT max(id) FROM drift) - ?",
                err);
    query_bind_int(&query, before);
    query_bind_int(&query, HEALED_KEPT_LEAST);
    return query_run(&query, NULL);
}

/* A field that flaps all day shows how often by its count, not by as many rows. */
static int field_prune(struct store *store, const char *uid, const char *path, struct error *err)
{
    struct query query;
    query_start(&query, store,
                "DELETE FROM drift WHERE uid = ?1 AND path = ?2 AND healed_at > 0 AND id <="
                " (SELECT id FROM drift WHERE uid = ?1 AND path = ?2 ORDER BY id DESC"
                " LIMIT 1 OFFSET ?3)",
                err);
    query_bind_text(&query, uid);
    query_bind_text(&query, path);
    query_bind_int(&query, FIELD_KEPT);
    return query_run(&query, NULL);
}

int store_drift_healed(struct store *store, const char *uid, const char *path, int64_t at,
                       const char *by, struct error *err)
{
    struct query query;
    bool own = false;
    invariant(uid && uid[0] && path && path[0], "drift of nothing is healed");
    invariant(at > 0, "drift of %s %s is healed at %lld, which says that it is open", uid, path,
              (long long)at);
    int rc = query_batch_begin(store, &own, err);
    if (rc < 0)
        return rc;
    query_start(&query, store,
                "UPDATE drift SET healed_at = ?, healed_by = ?"
                " WHERE uid = ? AND path = ? AND healed_at = 0",
                err);
    query_bind_int(&query, at);
    query_bind_word(&query, by);
    query_bind_text(&query, uid);
    query_bind_text(&query, path);
    rc = query_run(&query, NULL);
    if (rc == 0)
        rc = field_prune(store, uid, path, err);
    if (rc == 0)
        rc = healed_prune(store, at - HEALED_KEPT_S, err);
    return query_batch_end(store, own, rc, err);
}

static const char *json_text_read(struct query *query, struct arena *arena)
{
    const char *text = query_text(query, arena);
    return text ? text : "null";
}

static struct drift_row drift_read(struct query *query, struct arena *arena)
{
    struct drift_row row = {.id = query_int(query)};
    row.uid = query_text(query, arena);
    row.kind = query_text(query, arena);
    row.project = query_text(query, arena);
    row.name = query_text(query, arena);
    row.path = query_text(query, arena);
    row.desired = json_text_read(query, arena);
    row.observed = json_text_read(query, arena);
    row.since = query_time(query);
    row.last_seen = query_time(query);
    row.detected_by = query_text(query, arena);
    row.cause = query_text(query, arena);
    row.disposition = query_text(query, arena);
    row.reason = query_text(query, arena);
    row.healed_at = query_time(query);
    row.healed_by = query_text(query, arena);
    row.count = query_int(query);
    return row;
}

int store_drifts(struct store *store, struct arena *arena, int64_t since, struct drift_row **out,
                 size_t *count, struct error *err)
{
    struct drift_row *rows = NULL;
    size_t n = 0, room = 0;
    struct query query;
    query_start(&query, store,
                "SELECT id, uid, kind, project, name, path, desired, observed, since, last_seen,"
                " detected_by, cause, disposition, reason, healed_at, healed_by, count FROM drift"
                " WHERE healed_at = 0 OR healed_at >= ? ORDER BY since, id",
                err);
    query_bind_int(&query, since);
    while (query_next(&query) > 0) {
        rows = arena_grow(arena, rows, n, &room, sizeof(*rows));
        rows[n++] = drift_read(&query, arena);
        invariant(n <= room, "%zu rows of drift in room for %zu", n, room);
    }
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}
