/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Statements of the store: prepared once, bound and read left to right. SQLite's
 * result codes become ours in one place, because the caller's next move hangs on
 * them: a full disk and an I/O error stop effects, corruption wants the store
 * moved aside, busy is tried again.
 */
#include "reconciler/store/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "model/when.h"

static bool is_full(int rc, int sys)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT));
}

static int corrupt(const char *path, const char *doing, const char *why, struct error *err)
{
    error_set(err, ERR_CORRUPT, "cannot %s: %s does not read as Spinel wrote it (%s)", doing, path,
              why);
    return error_hint(err, "Stop Spinel and move the file and its -wal and -shm aside: the next "
                           "start rebuilds it from Git and the tags of the real objects, and only "
                           "reports until you approve.");
}

/* Of what failed while it was committed SQLite tells no errno, but the file that it was written to,
 * which is the log, knows it. */
static int system_errno(sqlite3 *db, int rc)
{
    sqlite3_file *log = NULL;
    int sys = sqlite3_system_errno(db);
    if (sys == 0 && rc == SQLITE_IOERR_WRITE &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &sys);
    return sys;
}

int query_error(sqlite3 *db, int rc, const char *path, const char *doing, struct error *err)
{
    invariant(rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE, "%d is no failure to %s",
              rc, doing);
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    int sys = db ? system_errno(db, rc) : 0;
    if (db && is_full(rc, sys)) {
        error_set(err, ERR_NO_SPACE, "cannot %s: the disk of %s is full", doing, path);
        err->sys_errno = ENOSPC;
        return error_hint(err, "Make room there; nothing more is done until the store can write.");
    }
    if (sys == EFBIG && (rc & 0xff) == SQLITE_IOERR) {
        error_set(err, ERR_NO_SPACE, "cannot %s: %s: %s", doing, path, strerror(sys));
        err->sys_errno = sys;
        return error_hint(err, "A limit on the size of files stands in the way: 'ulimit -f', or "
                               "LimitFSIZE= of the service.");
    }
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return corrupt(path, doing, why, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERR_BUSY, "cannot %s: %s is in use by another process", doing, path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return error_set(err, ERR_DENIED, "cannot %s: %s: %s", doing, path, why);
    case SQLITE_CONSTRAINT:
        return error_set(err, ERR_CONFLICT, "cannot %s: %s: %s", doing, path, why);
    default:
        break;
    }
    if (sys == EACCES || sys == EPERM)
        error_set(err, ERR_DENIED, "cannot %s: %s: %s", doing, path, strerror(sys));
    else if (sys != 0)
        error_set(err, ERR_SYSTEM, "cannot %s: %s: %s: %s", doing, path, why, strerror(sys));
    else
        error_set(err, ERR_SYSTEM, "cannot %s: %s: %s", doing, path, why);
    err->sys_errno = sys;
    return err->code;
}

static void fail(struct query *query, int rc, const char *doing)
{
    invariant(doing && doing[0], "SQLite failed with %d, and nobody says at what", rc);
    if (query->failed == 0)
        query->failed = query_error(query->store->db, rc, query->store->path, doing, query->err);
}

static sqlite3_stmt *statement_find(struct store *store, const char *sql)
{
    for (size_t i = 0; i < store->cached; i++)
        if (store->cache[i].sql == sql)
            return store->cache[i].stmt;
    return NULL;
}

void query_start(struct query *query, struct store *store, const char *sql, struct error *err)
{
    invariant(store->db && err, "a query of a store that is closed, or without an error: %s", sql);
    *query = (struct query){.store = store, .err = err};
    query->stmt = statement_find(store, sql);
    if (query->stmt) {
        invariant(!sqlite3_stmt_busy(query->stmt), "started again before it ended: %s", sql);
        return;
    }
    int rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->stmt, NULL);
    if (rc != SQLITE_OK) {
        fail(query, rc, "read the store");
        return;
    }
    invariant(store->cached < QUERY_CACHE, "more than %d statements; the next is %s", QUERY_CACHE,
              sql);
    store->cache[store->cached++] = (struct cached_statement){.sql = sql, .stmt = query->stmt};
}

static void bound(struct query *query, int rc)
{
    invariant(!query->is_running, "parameter %d gets its value while rows are read: %s",
              query->next, sqlite3_sql(query->stmt));
    invariant(rc != SQLITE_RANGE, "there is no parameter %d: %s", query->next,
              sqlite3_sql(query->stmt));
    if (rc != SQLITE_OK)
        fail(query, rc, "write to the store");
}

void query_bind_int(struct query *query, int64_t integer)
{
    if (query->failed == 0)
        bound(query, sqlite3_bind_int64(query->stmt, ++query->next, integer));
}

void query_bind_limit(struct query *query, size_t limit)
{
    query_bind_int(query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
}

void query_bind_page(struct query *query, struct page page)
{
    query_bind_limit(query, page.limit);
    query_bind_limit(query, page.offset);
}

void query_bind_text(struct query *query, const char *text)
{
    if (query->failed == 0)
        bound(query, sqlite3_bind_text(query->stmt, ++query->next, text, -1, SQLITE_STATIC));
}

void query_bind_word(struct query *query, const char *text)
{
    query_bind_text(query, text ? text : "");
}

void query_bind_json(struct query *query, const struct value *value)
{
    if (query->failed != 0)
        return;
    if (!value) {
        bound(query, sqlite3_bind_null(query->stmt, ++query->next));
        return;
    }
    struct text text = TEXT_INIT;
    json_write(&text, value);
    size_t len = text.len;
    invariant(len > 0, "a value was written as nothing");
    bound(query, sqlite3_bind_text64(query->stmt, ++query->next, text_take(&text), len, free,
                                     SQLITE_UTF8));
}

int query_next(struct query *query)
{
    if (query->failed != 0)
        return query->failed;
    if (!query->is_running)
        invariant(query->next == sqlite3_bind_parameter_count(query->stmt),
                  "%d of %d parameters have a value: %s", query->next,
                  sqlite3_bind_parameter_count(query->stmt), sqlite3_sql(query->stmt));
    invariant(query->stmt, "a query that never began is run");
    query->is_running = true;
    query->next = 0;
    int rc = sqlite3_step(query->stmt);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    fail(query, rc, sqlite3_stmt_readonly(query->stmt) ? "read the store" : "write to the store");
    invariant(query->failed < 0, "SQLite failed with %d, and the query did not", rc);
    return query->failed;
}

static int column_next(struct query *query)
{
    invariant(query->next < sqlite3_data_count(query->stmt), "there is no column %d: %s",
              query->next, sqlite3_sql(query->stmt));
    return query->next++;
}

int64_t query_int(struct query *query)
{
    return sqlite3_column_int64(query->stmt, column_next(query));
}

static int64_t time_within(struct query *query, int64_t last)
{
    int64_t at = query_int(query);
    if (at >= 0 && at <= last)
        return at;
    query_refuse(query, "a row has a time that no clock can have said");
    return 0;
}

int64_t query_time(struct query *query)
{
    return time_within(query, WHEN_LAST);
}

int64_t query_time_ms(struct query *query)
{
    return time_within(query, WHEN_LAST * 1000 + 999);
}

/* Text that SQLite had no memory to terminate looks like NULL, and must not pass for it. */
const char *query_peek(struct query *query)
{
    invariant(query->is_running, "a column is read before its row: %s", sqlite3_sql(query->stmt));
    const char *text = (const char *)sqlite3_column_text(query->stmt, column_next(query));
    if (!text && sqlite3_errcode(query->store->db) == SQLITE_NOMEM)
        fail(query, SQLITE_NOMEM, "read the store");
    return text;
}

const char *query_text(struct query *query, struct arena *arena)
{
    int column = query->next;
    const char *text = query_peek(query);
    if (!text)
        return NULL;
    size_t len = (size_t)sqlite3_column_bytes(query->stmt, column);
    if (memchr(text, '\0', len)) /* what SQLite tells apart would be the same to us */
        query_refuse(query, "a text goes on behind its end");
    return arena_text_n(arena, text, len);
}

const struct value *query_json(struct query *query, struct arena *arena)
{
    int column = query->next;
    const char *text = query_peek(query);
    if (!text || query->failed != 0)
        return NULL;
    struct value *value = NULL;
    struct error why = ERROR_INIT;
    size_t len = (size_t)sqlite3_column_bytes(query->stmt, column);
    if (json_read_own(arena, text, len, &value, &why) < 0)
        query->failed = corrupt(query->store->path, "read the store", why.message, query->err);
    return value;
}

void query_refuse(struct query *query, const char *why)
{
    invariant(why && why[0], "a row is refused without a reason: %s", sqlite3_sql(query->stmt));
    if (query->failed == 0)
        query->failed = corrupt(query->store->path, "read the store", why, query->err);
}

int query_end(struct query *query)
{
    invariant(query->failed <= 0, "a query failed with %d", query->failed);
    invariant(query->stmt || query->failed < 0, "a query ends that never began");
    if (query->stmt) {
        sqlite3_reset(query->stmt);
        sqlite3_clear_bindings(query->stmt);
    }
    return query->failed;
}

int query_run(struct query *query, int64_t *changes)
{
    int rc = query_next(query);
    invariant(rc <= 0, "a statement that is run has rows: %s", sqlite3_sql(query->stmt));
    invariant(rc == 0 || query->failed == rc, "a statement failed with %d, and its query with %d",
              rc, query->failed);
    if (rc == 0 && changes)
        *changes = sqlite3_changes64(query->store->db);
    return query_end(query);
}

int query_batch_begin(struct store *store, bool *own, struct error *err)
{
    invariant(store->db, "a batch in a store that is closed");
    *own = !store_in_batch(store);
    invariant(store->mode == STORE_WRITE, "%s is written to by a reader", store->path);
    return *own ? store_begin(store, err) : 0;
}

int query_batch_end(struct store *store, bool own, int rc, struct error *err)
{
    invariant(rc <= 0, "a batch ends with %d", rc);
    if (!own)
        return rc;
    if (rc == 0)
        return store_commit(store, err);
    store_rollback(store);
    return rc;
}
