/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Objects: one row for each uid ever chosen, and in the same row what was last
 * seen of it. The two halves are written apart (an intent never touches the
 * observation, an observation never the record) and read together. A GONE row
 * stays: it is the tombstone that a later object of the name counts from.
 */
#include "reconciler/store/query.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/sort.h"

static void known_check(const struct known *known)
{
    invariant(known->uid && known->uid[0] && known->kind && known->name, "a row of nobody");
    invariant(strlen(known->uid) < UID_TEXT, "%s %s has uid '%.80s'", known->kind, known->name,
              known->uid);
    invariant(known->next_start >= 0 && known->stopped_by_guest_at >= 0,
              "%s %s: next start at %lld, stopped at %lld", known->kind, known->name,
              (long long)known->next_start, (long long)known->stopped_by_guest_at);
    invariant(known->epoch <= INT64_MAX && known->generation <= INT64_MAX,
              "%s %s: epoch %llu, generation %llu", known->kind, known->name,
              (unsigned long long)known->epoch, (unsigned long long)known->generation);
    invariant(known->life >= LIFE_NEW && known->life <= LIFE_GONE, "%s %s has life %d", known->kind,
              known->name, known->life);
    invariant(known->life != LIFE_LIVE || value_is_map(known->chosen),
              "%s %s lives, and nothing was chosen for it", known->kind, known->name);
}

int store_object_put(struct store *store, const struct known *known, struct error *err)
{
    known_check(known);
    struct query query;
    query_start(&query, store,
                "INSERT INTO object (uid, kind, project, name, life, generation, epoch, protect,"
                " remove_deletes, chosen, applied, tried, labels, stopped_by_guest_at,"
                " start_failures, next_start)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (uid) DO UPDATE SET kind = excluded.kind,"
                " project = excluded.project, name = excluded.name, life = excluded.life,"
                " generation = excluded.generation, epoch = excluded.epoch,"
                " protect = excluded.protect, remove_deletes = excluded.remove_deletes,"
                " chosen = excluded.chosen, applied = excluded.applied, tried = excluded.tried,"
                " labels = excluded.labels,"
                " stopped_by_guest_at = excluded.stopped_by_guest_at,"
                " start_failures = excluded.start_failures, next_start = excluded.next_start",
                err);
    query_bind_text(&query, known->uid);
    query_bind_text(&query, known->kind);
    query_bind_text(&query, known->project);
    query_bind_text(&query, known->name);
    query_bind_int(&query, known->life);
    query_bind_int(&query, (int64_t)known->generation);
    query_bind_int(&query, (int64_t)known->epoch);
    query_bind_int(&query, known->protect);
    query_bind_int(&query, known->remove_deletes);
    query_bind_json(&query, known->chosen);
    query_bind_json(&query, known->applied);
    query_bind_json(&query, known->tried);
    query_bind_json(&query, known->labels);
    query_bind_int(&query, known->stopped_by_guest_at);
    query_bind_int(&query, known->start_failures);
    query_bind_int(&query, known->next_start);
    return query_run(&query, NULL);
}

static int purge_refused(struct store *store, const char *uid, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT protect FROM object WHERE uid = ? AND life = ?", err);
    query_bind_text(&query, uid);
    query_bind_int(&query, LIFE_RELEASED);
    bool is_released = query_next(&query) > 0;
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    if (is_released) {
        error_set(err, ERR_DENIED, "%s is protected", uid);
        return error_hint(err, "Commit it again without 'protect', let that be applied, and remove "
                               "it in a later commit.");
    }
    error_set(err, ERR_NOT_FOUND, "nothing that was released has the uid %s", uid);
    return error_hint(err, "List what is released: spinel purge");
}

int store_object_purge(struct store *store, const char *uid, struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(uid, "a purge of nobody");
    query_start(&query, store,
                "UPDATE object SET life = ?, remove_deletes = 1"
                " WHERE uid = ? AND (life = ? AND protect = 0 OR life = ? AND kind = 'Volume')",
                err);
    query_bind_int(&query, LIFE_RELEASED);
    query_bind_text(&query, uid);
    query_bind_int(&query, LIFE_RELEASED);
    query_bind_int(&query, LIFE_GONE);
    int rc = query_run(&query, &changes);
    return rc == 0 && changes == 0 ? purge_refused(store, uid, err) : rc;
}

int store_observation_put(struct store *store, const char *uid,
                          const struct observation *observation, const char *etag,
                          struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(uid && uid[0], "an observation of nobody");
    invariant(observation->epoch <= INT64_MAX && observation->at >= 0,
              "%s was seen at %lld with epoch %llu", uid, (long long)observation->at,
              (unsigned long long)observation->epoch);
    invariant(observation->known || !(observation->absent || observation->spec),
              "%s is unknown, and something is known of it", uid);
    invariant(!observation->absent || !(observation->spec || observation->booted),
              "%s is not there, and has a form", uid);
    query_start(&query, store,
                "UPDATE object SET seen = ?, seen_absent = ?, seen_released = ?, seen_epoch = ?,"
                " seen_at = ?, seen_spec = ?, seen_booted = ?, seen_status = ?, seen_damage = ?,"
                " seen_etag = ? WHERE uid = ?",
                err);
    query_bind_int(&query, observation->known);
    query_bind_int(&query, observation->absent);
    query_bind_int(&query, observation->released);
    query_bind_int(&query, (int64_t)observation->epoch);
    query_bind_int(&query, observation->at);
    query_bind_json(&query, observation->spec);
    query_bind_json(&query, observation->booted);
    query_bind_json(&query, observation->status);
    query_bind_json(&query, observation->damage);
    query_bind_text(&query, etag);
    query_bind_text(&query, uid);
    int rc = query_run(&query, &changes);
    if (rc == 0 && changes == 0)
        return error_set(err, ERR_NOT_FOUND, "no object with uid %s is recorded", uid);
    return rc;
}

int store_observed_at(struct store *store, int64_t *at, struct error *err)
{
    struct query query;
    query_start(&query, store,
                "SELECT coalesce(min(seen_at), 0) FROM object WHERE life <> 3 AND seen <> 0", err);
    int64_t found = query_next(&query) > 0 ? query_int(&query) : 0;
    int rc = query_end(&query);
    if (rc == 0)
        *at = found;
    return rc;
}

int store_etags_drop(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "UPDATE object SET seen_etag = NULL WHERE seen_etag IS NOT NULL",
                err);
    return query_run(&query, NULL);
}

/* ---- reading ------------------------------------------------------------------------ */

/*
 * Most columns of a rack hold one of a few texts (no labels, one flavour of volume, a spec
 * that is applied and seen alike), and parsing is what reading costs. A value is
 * read-only, so rows share one: the memo keeps the last value of each hash of a text.
 */
enum { MEMO_SLOTS = 1024 };

struct memo {
    struct {
        const char *text;
        const struct value *value;
    } slots[MEMO_SLOTS];
    const char *kind, *project; /* of the last row: many in a row have one */
};

static size_t memo_slot(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (size_t)((hash ^ hash >> 32) % MEMO_SLOTS);
}

static const struct value *json_shared(struct query *query, struct arena *arena, struct memo *memo)
{
    const char *text = (const char *)sqlite3_column_text(query->stmt, query->next);
    if (!text)
        return query_json(query, arena);
    size_t slot = memo_slot(text);
    if (memo->slots[slot].text && strcmp(memo->slots[slot].text, text) == 0) {
        query->next++;
        return memo->slots[slot].value;
    }
    const char *kept = arena_text(arena, text);
    memo->slots[slot].value = query_json(query, arena);
    memo->slots[slot].text = kept;
    return memo->slots[slot].value;
}

static const char *text_shared(struct query *query, struct arena *arena, const char **last)
{
    const char *text = (const char *)sqlite3_column_text(query->stmt, query->next);
    if (!text || !*last || strcmp(text, *last) != 0) {
        const char *read = query_text(query, arena);
        *last = read ? read : *last;
        return read;
    }
    query->next++;
    return *last;
}

static struct known known_read(struct query *query, struct arena *arena, struct memo *memo)
{
    struct known known = {.uid = query_text(query, arena)};
    known.kind = text_shared(query, arena, &memo->kind);
    known.project = text_shared(query, arena, &memo->project);
    known.name = query_text(query, arena);
    known.life = (enum lifecycle)query_int(query);
    known.generation = (uint64_t)query_int(query);
    known.epoch = (uint64_t)query_int(query);
    known.protect = query_int(query) != 0;
    known.remove_deletes = query_int(query) != 0;
    known.chosen = json_shared(query, arena, memo);
    known.applied = json_shared(query, arena, memo);
    known.tried = json_shared(query, arena, memo);
    known.labels = json_shared(query, arena, memo);
    known.stopped_by_guest_at = query_int(query);
    known.start_failures = (unsigned)query_int(query);
    known.next_start = query_int(query);
    return known;
}

static struct observation observation_read(struct query *query, struct arena *arena,
                                           struct memo *memo)
{
    struct observation seen = {.known = query_int(query) != 0};
    seen.absent = query_int(query) != 0;
    seen.released = query_int(query) != 0;
    seen.epoch = (uint64_t)query_int(query);
    seen.at = query_int(query);
    seen.spec = json_shared(query, arena, memo);
    seen.booted = json_shared(query, arena, memo);
    seen.status = json_shared(query, arena, memo);
    seen.damage = json_shared(query, arena, memo);
    return seen;
}

/* What the rest of the program relies on, of a row that may have been damaged or edited. */
static const char *known_wrong(const struct known *row)
{
    const uint64_t highest = UINT64_C(1) << 53;
    if (row->life < LIFE_NEW || row->life > LIFE_RELEASED)
        return "a row has a life that there is not";
    if (row->epoch > highest || row->generation > highest || row->observed.epoch > highest)
        return "a row has an epoch or generation that nobody can have reached";
    if (row->next_start < 0 || row->stopped_by_guest_at < 0 || row->observed.at < 0)
        return "a row has a time before there was any";
    if (!row->uid[0] || strlen(row->uid) >= UID_TEXT || !row->name[0])
        return "a row has no uid or no name";
    if (row->life == LIFE_LIVE && !value_is_map(row->chosen))
        return "a row lives, and nothing was chosen for it";
    return NULL;
}

/* So that the array is made once, in its size: it is the largest thing that is read. */
static size_t objects_count(struct store *store)
{
    struct error ignored = ERROR_INIT;
    struct query query;
    query_start(&query, store, "SELECT count(*) FROM object", &ignored);
    int64_t count = query_next(&query) > 0 ? query_int(&query) : 0;
    query_end(&query);
    return (size_t)count;
}

#define OBJECT_COLUMNS                                                           \
    "SELECT uid, kind, project, name, life, generation, epoch, protect,"         \
    " remove_deletes, chosen, applied, tried, labels, stopped_by_guest_at,"      \
    " start_failures, next_start, seen, seen_absent, seen_released, seen_epoch," \
    " seen_at, seen_spec, seen_booted, seen_status, seen_damage, seen_etag"      \
    " FROM object"

struct row_list {
    struct known *items;
    size_t count, room;
};

/* Runs a query of OBJECT_COLUMNS to its end. */
static int rows_read(struct query *query, struct arena *arena, struct row_list *rows)
{
    struct memo *memo = arena_alloc(arena, sizeof(*memo));
    while (query_next(query) > 0) {
        rows->items =
            query_room(arena, rows->items, rows->count, &rows->room, sizeof(*rows->items));
        struct known *row = &rows->items[rows->count];
        *row = known_read(query, arena, memo);
        row->observed = observation_read(query, arena, memo);
        const char *wrong = query->failed == 0 ? known_wrong(row) : NULL;
        if (wrong)
            query_refuse(query, wrong);
        row->etag = query_text(query, arena);
        rows->count++;
    }
    return query_end(query);
}

int store_objects(struct store *store, struct arena *arena, struct known **out, size_t *count,
                  struct error *err)
{
    struct row_list rows = {.room = objects_count(store)};
    rows.items = rows.room ? arena_array(arena, rows.room, sizeof(*rows.items)) : NULL;
    struct query query;
    query_start(&query, store, OBJECT_COLUMNS " WHERE life <> 3", err);
    int rc = rows_read(&query, arena, &rows);
    if (rc < 0)
        return rc;
    invariant(rows.count <= rows.room, "%zu objects where there is room for %zu", rows.count,
              rows.room);
    if (rows.count > 0)
        sort_items(rows.items, rows.count, sizeof(*rows.items), plan_known_order);
    *out = rows.items;
    *count = rows.count;
    return 0;
}

static int few_read(struct query *query, struct arena *arena, struct known **out, size_t *count)
{
    struct row_list rows = {0};
    int rc = rows_read(query, arena, &rows);
    *out = rows.items;
    *count = rows.count;
    return rc;
}

int store_objects_named(struct store *store, struct arena *arena, const char *kind,
                        const char *project, const char *name, struct known **out, size_t *count,
                        struct error *err)
{
    struct query query;
    query_start(&query, store,
                OBJECT_COLUMNS " WHERE kind = ? AND name = ? AND project IS ? AND life <> 3", err);
    query_bind_text(&query, kind);
    query_bind_text(&query, name);
    query_bind_text(&query, project);
    return few_read(&query, arena, out, count);
}

int store_objects_renamed(struct store *store, struct arena *arena, size_t limit,
                          struct known **out, size_t *count, struct error *err)
{
    struct query query;
    query_start(&query, store,
                OBJECT_COLUMNS " WHERE (instr(chosen, '\"formerly\"') > 0 OR"
                               " instr(chosen, '\"becomes\"') > 0) AND life <> 3 LIMIT ?",
                err);
    query_bind_limit(&query, limit);
    return few_read(&query, arena, out, count);
}

/* The text behind "address": in what was chosen; SQLite's own JSON functions are not for a schema
 * that is not trusted. */
int store_nics_at(struct store *store, struct arena *arena, const char *project,
                  const char *address, struct known **out, size_t *count, struct error *err)
{
    struct query query;
    query_start(&query, store,
                OBJECT_COLUMNS
                " WHERE kind = 'NIC' AND life <> 3 AND project IS ?1"
                " AND substr(chosen, instr(chosen, '\"address\":\"') + 11, 48) >= ?2 || '\"'"
                " AND substr(chosen, instr(chosen, '\"address\":\"') + 11, 48) < ?2 || '#'",
                err);
    query_bind_text(&query, project);
    query_bind_text(&query, address);
    return few_read(&query, arena, out, count);
}

int store_has_object(struct store *store, const char *uid, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT 1 FROM object WHERE uid = ? AND life <> 3", err);
    query_bind_text(&query, uid);
    bool is_there = query_next(&query) > 0;
    int rc = query_end(&query);
    return rc < 0 ? rc : is_there;
}

int store_incarnations(struct store *store, const char *kind, const char *project, const char *name,
                       uint64_t *count, struct error *err)
{
    struct query query;
    invariant(kind && kind[0] && name && name[0], "incarnations of nobody");
    query_start(&query, store,
                "SELECT count(*) FROM object"
                " WHERE life = 3 AND kind = ? AND name = ? AND project IS ?",
                err);
    query_bind_text(&query, kind);
    query_bind_text(&query, name);
    query_bind_text(&query, project);
    uint64_t n = query_next(&query) > 0 ? (uint64_t)query_int(&query) : 0;
    int rc = query_end(&query);
    if (rc == 0)
        *count = n;
    return rc;
}
