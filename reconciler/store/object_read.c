/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reading objects: all of them in the plan's order, those of a name, or one at a time for who
 * need not hold them all.
 */
#include "reconciler/store/query.h"

#include <stdlib.h>
#include <string.h>
#include "model/digest.h"
#include "model/format.h"
#include "model/hash.h"
#include "model/invariant.h"
#include "model/sort.h"
#include "model/text.h"

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
    return (size_t)(hash_text(text) % MEMO_SLOTS);
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

static struct known known_read(struct query *query, struct arena *own, struct arena *arena,
                               struct memo *memo)
{
    struct known known = {.uid = query_text(query, own)};
    known.kind = text_shared(query, arena, &memo->kind);
    known.project = text_shared(query, arena, &memo->project);
    known.name = query_text(query, own);
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

#define EPOCH_HIGHEST (UINT64_C(1) << 53)

enum { KIND_MAX = 63, NAME_MAX_TEXT = 64, SHOWN_MAX = 80 };

/* Of a kind that this program does not know, too: another version may. */
static bool kind_is_fit(const char *kind)
{
    size_t len = strspn(kind, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return kind[0] >= 'A' && kind[0] <= 'Z' && !kind[len] && len <= KIND_MAX;
}

/* A label, or two with a dot between: what an Instance implies is named after it and the part. */
static bool name_is_fit(const char *name)
{
    char owner[NAME_MAX_TEXT];
    const char *dot = strchr(name, '.');
    size_t len = dot ? (size_t)(dot - name) : 0;
    if (!dot || len >= sizeof owner)
        return format_is_label(name);
    memcpy(owner, name, len);
    owner[len] = '\0';
    return format_is_label(owner) && format_is_label(dot + 1);
}

/* What becomes part of paths, of kernel names and of what drivers are told. */
static const char *identity_wrong(const struct known *row)
{
    if (!digest_is_uid(row->uid))
        return "its uid is not 32 hexadecimal digits";
    if (!row->kind || !kind_is_fit(row->kind))
        return "its kind is no word that a kind is called by";
    if (!row->name || !name_is_fit(row->name) || (row->project && !format_is_label(row->project)))
        return "its name or project is none that a manifest can give";
    return NULL;
}

/* What the rest of the program relies on, of a row that may have been damaged or edited. */
static const char *known_wrong(const struct known *row)
{
    const uint64_t highest = EPOCH_HIGHEST;
    const char *wrong = identity_wrong(row);
    if (wrong)
        return wrong;
    if (row->life < LIFE_NEW || row->life > LIFE_RELEASED)
        return "it has a life that there is not";
    if (row->epoch > highest || row->generation > highest || row->observed.epoch > highest)
        return "it has an epoch or generation that nobody can have reached";
    if (row->next_start < 0 || row->stopped_by_guest_at < 0 || row->observed.at < 0)
        return "it has a time before there was any";
    if (row->life == LIFE_LIVE && !value_is_map(row->chosen))
        return "it lives, and nothing was chosen for it";
    return NULL;
}

/* Which row it is and what is wrong with it: who has to see to it finds it by that. */
static void row_refuse(struct query *query, const struct known *row, const char *wrong)
{
    const char *const parts[] = {"the row of ",
                                 row->kind,
                                 row->name ? " " : NULL,
                                 row->project,
                                 row->project ? "/" : NULL,
                                 row->name,
                                 ", uid ",
                                 row->uid};
    struct text text = TEXT_INIT;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i])
            text_add_shown(&text, parts[i], strnlen(parts[i], SHOWN_MAX));
    text_printf(&text, ": %s", wrong);
    query_refuse(query, text.data);
    text_free(&text);
}

int object_identities_check(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT uid, kind, project, name FROM object WHERE life <> 3", err);
    while (query_next(&query) > 0) {
        struct known row = {.uid = query_peek(&query), .kind = query_peek(&query)};
        row.project = query_peek(&query);
        row.name = query_peek(&query);
        const char *wrong = query.failed == 0 ? identity_wrong(&row) : NULL;
        if (wrong)
            row_refuse(&query, &row, wrong);
    }
    return query_end(&query);
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

/* A row of OBJECT_COLUMNS: what only it has in `own`, what rows share in `arena`. */
static struct known row_read(struct query *query, struct arena *own, struct arena *arena,
                             struct memo *memo)
{
    struct known row = known_read(query, own, arena, memo);
    row.observed = observation_read(query, arena, memo);
    const char *wrong = query->failed == 0 ? known_wrong(&row) : NULL;
    if (wrong)
        row_refuse(query, &row, wrong);
    row.etag = query_text(query, own);
    return row;
}

/* Runs a query of OBJECT_COLUMNS to its end. */
static int rows_read(struct query *query, struct arena *arena, struct row_list *rows)
{
    struct memo *memo = arena_alloc(arena, sizeof(*memo));
    while (query_next(query) > 0) {
        rows->items =
            arena_grow(arena, rows->items, rows->count, &rows->room, sizeof(*rows->items));
        rows->items[rows->count++] = row_read(query, arena, arena, memo);
    }
    return query_end(query);
}

int store_objects_each(struct store *store, struct arena *arena, store_row_taken *taken,
                       void *context, struct error *err)
{
    struct memo *memo = arena_alloc(arena, sizeof(*memo));
    struct arena *own = arena_new();
    bool goes_on = true;
    struct query query;
    query_start(&query, store, OBJECT_COLUMNS " WHERE life <> 3", err);
    while (goes_on && query_next(&query) > 0) {
        struct known row = row_read(&query, own, arena, memo);
        goes_on = query.failed == 0 && taken(context, &row);
        arena_reset(own);
    }
    arena_free(own);
    return query_end(&query);
}

static void sighting_refuse(struct query *query, const struct sighting *sighting)
{
    const struct known row = {.uid = sighting->uid, .kind = sighting->kind};
    row_refuse(query, &row,
               "its uid is not 32 hexadecimal digits, or nobody can have reached its epoch");
}

int store_sightings_each(struct store *store, store_sighting_taken *taken, void *context,
                         struct error *err)
{
    struct query query;
    query_start(
        &query, store,
        "SELECT uid, kind, epoch, seen_epoch, seen <> 0, seen_absent <> 0,"
        " seen_booted IS NOT NULL AND seen_booted <> 'null', seen_etag FROM object WHERE life <> 3",
        err);
    while (query_next(&query) > 0) {
        struct sighting sighting = {.uid = query_peek(&query), .kind = query_peek(&query)};
        sighting.epoch = (uint64_t)query_int(&query);
        sighting.seen_epoch = (uint64_t)query_int(&query);
        sighting.is_known = query_int(&query) != 0;
        sighting.is_absent = query_int(&query) != 0;
        sighting.is_running = query_int(&query) != 0;
        sighting.etag = query_peek(&query);
        if (query.failed == 0 && (!digest_is_uid(sighting.uid) || sighting.epoch > EPOCH_HIGHEST ||
                                  sighting.seen_epoch > EPOCH_HIGHEST))
            sighting_refuse(&query, &sighting);
        if (query.failed == 0)
            taken(context, &sighting);
    }
    return query_end(&query);
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
