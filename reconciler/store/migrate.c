/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The store's schema, as the steps that lead to it. Step n takes a database from
 * user_version n to n + 1, and is never changed once it was released: a change of
 * the schema is a new step at the end. All steps that are due run in one
 * transaction, so a crash leaves the old version or the new one.
 */
#include "reconciler/store/query.h"

#include "model/invariant.h"

/* "spnl": tells our file from any other SQLite database. */
enum { APPLICATION_ID = 0x73706e6c };

static const char *const steps[] = {
    /* 1: what is declared, and what is known of each object */
    "CREATE TABLE rack (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL,"
    " seed BLOB NOT NULL CHECK (length(seed) = 32)) STRICT;"
    "CREATE TABLE fact (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE revision (id INTEGER PRIMARY KEY, commit_id TEXT NOT NULL,"
    " parent TEXT NOT NULL, author TEXT NOT NULL, subject TEXT NOT NULL,"
    " pushed_by TEXT NOT NULL, state TEXT NOT NULL, message TEXT NOT NULL,"
    " at INTEGER NOT NULL, converged_at INTEGER NOT NULL, resources INTEGER NOT NULL) STRICT;"
    "CREATE INDEX revision_target ON revision (id) WHERE state IN ('target', 'applied');"
    "CREATE TABLE manifest (path TEXT PRIMARY KEY, blob TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifest_blob ON manifest (blob);"
    "CREATE TABLE parse (id INTEGER PRIMARY KEY, blob TEXT NOT NULL UNIQUE,"
    " schema TEXT NOT NULL, documents TEXT NOT NULL) STRICT;"
    "CREATE TABLE object (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " project TEXT, name TEXT NOT NULL, life INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, protect INTEGER NOT NULL, remove_deletes INTEGER NOT NULL,"
    " chosen TEXT, applied TEXT, labels TEXT, stopped_by_guest_at INTEGER NOT NULL,"
    " start_failures INTEGER NOT NULL, next_start INTEGER NOT NULL,"
    " seen INTEGER NOT NULL DEFAULT 0, seen_absent INTEGER NOT NULL DEFAULT 0,"
    " seen_released INTEGER NOT NULL DEFAULT 0, seen_epoch INTEGER NOT NULL DEFAULT 0,"
    " seen_at INTEGER NOT NULL DEFAULT 0, seen_spec TEXT, seen_booted TEXT, seen_status TEXT,"
    " seen_damage TEXT, seen_etag TEXT) STRICT;"
    "CREATE INDEX object_gone ON object (kind, name, project) WHERE life = 3;",

    /* 2: what was decided and done */
    "CREATE TABLE intent (id INTEGER PRIMARY KEY, op TEXT NOT NULL UNIQUE, uid TEXT NOT NULL,"
    " epoch INTEGER NOT NULL, verb TEXT NOT NULL, plan TEXT NOT NULL,"
    " arguments_digest TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, not_before INTEGER NOT NULL,"
    " error TEXT NOT NULL, step TEXT, is_destructive INTEGER NOT NULL,"
    " is_approved INTEGER NOT NULL) STRICT;"
    "CREATE INDEX intent_open ON intent (id) WHERE state IN ('pending', 'claimed');"
    "CREATE INDEX intent_uid ON intent (uid, id);"
    "CREATE INDEX intent_finished ON intent (finished_at) WHERE finished_at > 0;"
    "CREATE INDEX intent_destructive ON intent (id) WHERE is_destructive AND NOT is_approved;"
    "CREATE TABLE plan (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,"
    " commit_id TEXT NOT NULL, at INTEGER NOT NULL, used_at INTEGER NOT NULL,"
    " document TEXT) STRICT;"
    "CREATE INDEX plan_at ON plan (at);"
    "CREATE TABLE hold (id TEXT PRIMARY KEY, rule TEXT NOT NULL, reason TEXT NOT NULL,"
    " at INTEGER NOT NULL, approved_by TEXT, approved_at INTEGER) STRICT;"
    "CREATE TABLE freeze (what TEXT PRIMARY KEY, who TEXT NOT NULL, why TEXT NOT NULL,"
    " until INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    /* 3: what happened, and where the world differed */
    "CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " type TEXT NOT NULL, text TEXT NOT NULL, uid TEXT, kind TEXT, project TEXT, name TEXT,"
    " data TEXT) STRICT;"
    "CREATE TABLE drift (id INTEGER PRIMARY KEY, uid TEXT NOT NULL, kind TEXT NOT NULL,"
    " project TEXT, name TEXT NOT NULL, path TEXT NOT NULL, desired TEXT, observed TEXT,"
    " since INTEGER NOT NULL, last_seen INTEGER NOT NULL, detected_by TEXT NOT NULL,"
    " cause TEXT NOT NULL, disposition TEXT NOT NULL, healed_at INTEGER NOT NULL,"
    " healed_by TEXT NOT NULL, count INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX drift_open ON drift (uid, path) WHERE healed_at = 0;"
    "CREATE INDEX drift_field ON drift (uid, path, id);"
    "CREATE INDEX drift_healed ON drift (healed_at);",

    /* 4: why drift is dealt with as it is, and what happened to one object */
    ("ALTER TABLE drift ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
     "CREATE INDEX event_uid ON event (uid, seq) WHERE uid IS NOT NULL;"),

    /* 5: that a rack was as declared holds until something is recorded of an object, whoever
     * writes it */
    "CREATE TRIGGER object_added AFTER INSERT ON object"
    " BEGIN DELETE FROM fact WHERE key = 'settled'; END;"
    "CREATE TRIGGER object_changed AFTER UPDATE ON object"
    " BEGIN DELETE FROM fact WHERE key = 'settled'; END;"
    "CREATE TRIGGER object_dropped AFTER DELETE ON object"
    " BEGIN DELETE FROM fact WHERE key = 'settled'; END;",

    /* 6: whom a change of one manifest may concern: who has a key in common with it, and which
     * rows are found by a name, by a former one or by an address */
    ("CREATE TABLE mention (key INTEGER NOT NULL, path TEXT NOT NULL,"
     " PRIMARY KEY (key, path)) STRICT, WITHOUT ROWID;"
     "DROP INDEX object_gone;"
     "CREATE INDEX object_name ON object (kind, name, project);"
     "CREATE INDEX object_renamed ON object (id)"
     " WHERE (instr(chosen, '\"formerly\"') > 0 OR instr(chosen, '\"becomes\"') > 0) AND life <> 3;"
     "CREATE INDEX object_address ON object (project,"
     " substr(chosen, instr(chosen, '\"address\":\"') + 11, 48)) WHERE kind = 'NIC' AND life <> "
     "3;"),

    /* 7: what an object may have although it was never confirmed */
    "ALTER TABLE object ADD COLUMN tried TEXT;",

    /* 8: how much of the desired set went in a day, whatever became of the objects */
    ("ALTER TABLE intent ADD COLUMN leaves_git INTEGER NOT NULL DEFAULT 0;"
     "CREATE INDEX intent_left ON intent (finished_at) WHERE leaves_git AND NOT is_approved;"),
};
enum { VERSION = sizeof(steps) / sizeof(steps[0]) };

int migrate_version(void)
{
    return VERSION;
}

static int run(struct store *store, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return query_error(store->db, rc, store->path, "prepare the store", err);
    return 0;
}

static int pragma_int(struct store *store, const char *sql, int64_t *out, struct error *err)
{
    struct query query;
    query_start(&query, store, sql, err);
    int rc = query_next(&query);
    if (rc > 0)
        *out = query_int(&query);
    return query_end(&query);
}

static int odd_schema(const struct store *store, const char *what, struct error *err)
{
    error_set(err, ERR_CORRUPT, "%s has %s, which Spinel did not make", store->path, what);
    return error_hint(err, "Stop Spinel and move the file and its -wal and -shm aside: the next "
                           "start rebuilds it from Git and the tags of the real objects, and only "
                           "reports until you approve.");
}

/* Of what is written, a foreign one would make something else, at each write anew. */
static int triggers_check(struct store *store, struct error *err)
{
    int64_t foreign = 0;
    int rc = pragma_int(store,
                        "SELECT count(*) FROM sqlite_schema WHERE type = 'view' OR type = 'trigger'"
                        " AND name NOT IN ('object_added', 'object_changed', 'object_dropped')",
                        &foreign, err);
    return rc == 0 && foreign ? odd_schema(store, "a trigger or a view", err) : rc;
}

/* A database that is not ours is left alone; an empty one becomes ours. */
static int version_read(struct store *store, int *version, struct error *err)
{
    int64_t application = 0, user = 0, objects = 0;
    int rc = pragma_int(store, "PRAGMA application_id", &application, err);
    if (rc == 0)
        rc = pragma_int(store, "PRAGMA user_version", &user, err);
    if (rc == 0)
        rc = pragma_int(store, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (rc < 0)
        return rc;
    if (application != APPLICATION_ID && (objects > 0 || user != 0)) {
        error_set(err, ERR_CORRUPT, "%s is a database, but not one of Spinel's", store->path);
        return error_hint(err, "Name another stateDir in the site file, or move this file aside.");
    }
    if (user > VERSION) {
        error_set(err, ERR_STALE, "%s was made by a newer Spinel (schema %lld, this one knows %d)",
                  store->path, (long long)user, VERSION);
        return error_hint(err, "Install that version again; an older one never changes it.");
    }
    *version = (int)user;
    invariant(user < 0 || *version == user, "schema %lld is no number", (long long)user);
    return user < 0 ? odd_schema(store, "a schema below 0", err) : triggers_check(store, err);
}

static int steps_run(struct store *store, int from, int to, struct error *err)
{
    invariant(store_in_batch(store), "%s: a schema changes outside of a batch", store->path);
    for (int i = from; i < to; i++) {
        int rc = run(store, steps[i], err);
        if (rc < 0)
            return rc;
    }
    invariant(from < to && to <= VERSION, "schema %d does not lead to %d", from, to);
    char stamp[96];
    sqlite3_snprintf(sizeof(stamp), stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                     APPLICATION_ID, to);
    return run(store, stamp, err);
}

int migrate_database_to(struct store *store, int version, struct error *err)
{
    invariant(version > 0 && version <= VERSION, "there is no schema %d", version);
    int from = 0;
    int rc = version_read(store, &from, err);
    if (rc < 0 || from >= version)
        return rc;
    rc = store_begin(store, err);
    if (rc < 0)
        return rc;
    rc = steps_run(store, from, version, err);
    return query_batch_end(store, true, rc, err);
}

int migrate_database(struct store *store, struct error *err)
{
    return migrate_database_to(store, VERSION, err);
}

/* Whoever made it ended before it knew its rack; the next writer goes on from there. */
static int rack_check(struct store *store, struct error *err)
{
    int64_t racks = 0;
    int rc = pragma_int(store, "SELECT count(*) FROM rack", &racks, err);
    if (rc < 0 || racks > 0)
        return rc;
    return error_set(err, ERR_NOT_FOUND, "%s holds no rack yet", store->path);
}

int migrate_check(struct store *store, struct error *err)
{
    int version = 0;
    int rc = version_read(store, &version, err);
    if (rc < 0)
        return rc;
    if (version == VERSION)
        return rack_check(store, err);
    if (version == 0)
        return error_set(err, ERR_NOT_FOUND, "%s is empty: nothing was recorded yet", store->path);
    error_set(err, ERR_STALE, "%s was made by an older Spinel (schema %d, this one needs %d)",
              store->path, version, VERSION);
    return error_hint(err, "Start the daemon or run `spinel apply` once: it brings it up to date.");
}
