/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_QUERY_H
#define RECONCILER_STORE_QUERY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "reconciler/store/store.h"

/*
 * What the files of this folder share: the open database and one way to ask it.
 * SQL is a string literal; its prepared form is kept until the store closes, found
 * again by the literal's address. Binding and reading go left to right. A failure
 * to bind or to read a column is remembered, and query_next(), query_run() or
 * query_end() returns it: so a row is read without a check per column.
 */
enum { QUERY_CACHE = 96 };

struct cached_statement {
    const char *sql;
    sqlite3_stmt *stmt;
};

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd; /* -1 when reading */
    enum store_mode mode;
    bool is_unchecked; /* see check.c */
    struct cached_statement cache[QUERY_CACHE];
    size_t cached;
    void (*committed)(void *context, int64_t ns); /* NULL: nobody asks */
    void *committed_context;
};

struct query {
    struct store *store;
    sqlite3_stmt *stmt;
    int next;   /* column or parameter that comes next */
    int failed; /* first failure, or 0 */
    bool is_running;
    struct error *err;
};

/* Says what SQLite's `rc` means for the caller; `doing` as in "cannot <doing>". */
int query_error(sqlite3 *db, int rc, const char *path, const char *doing, struct error *err);

/* On failure, too, the query may be bound, run and ended: it stays failed. */
void query_start(struct query *query, struct store *store, const char *sql, struct error *err);

void query_bind_int(struct query *query, int64_t integer);
void query_bind_limit(struct query *query, size_t limit);             /* of any size */
void query_bind_page(struct query *query, struct page page);          /* LIMIT ? OFFSET ? */
void query_bind_text(struct query *query, const char *text);          /* NULL is SQL's NULL */
void query_bind_word(struct query *query, const char *text);          /* NULL is "" */
void query_bind_json(struct query *query, const struct value *value); /* NULL is SQL's NULL */

/* 1: there is a row to read; 0: no more; negative: failed. */
int query_next(struct query *query);
int64_t query_int(struct query *query);
/* Unix seconds and milliseconds; the query fails as corrupt if no clock can have said them. */
int64_t query_time(struct query *query);
int64_t query_time_ms(struct query *query);
/* NULL for NULL; SQLite's own, until the query goes on. */
const char *query_peek(struct query *query);
const char *query_text(struct query *query, struct arena *arena); /* NULL for NULL */
const struct value *query_json(struct query *query, struct arena *arena);

/* A row that Spinel cannot have written: the query fails as corrupt. */
void query_refuse(struct query *query, const char *why);

/* Gives the statement back. 0, or the first failure. */
int query_end(struct query *query);
/* Runs a statement without rows and ends it; `*changes` (may be NULL) rows were touched. */
int query_run(struct query *query, int64_t *changes);

/* Starts a transaction unless the caller is in one; query_batch_end() commits it when `rc`
 * is 0, else rolls it back, and returns `rc` or why the commit failed. */
int query_batch_begin(struct store *store, bool *own, struct error *err);
int query_batch_end(struct store *store, bool own, int rc, struct error *err);

/* Brings an open database to this program's version, or says why it cannot. */
int migrate_database(struct store *store, struct error *err);
/* For tests: stops at an older version. */
int migrate_database_to(struct store *store, int version, struct error *err);
int migrate_version(void);
/* Checks without changing anything: what a reader needs. */
int migrate_check(struct store *store, struct error *err);

/* Sees to it that the rack's identity is in the database and beside it. */
int rack_prepare(struct store *store, struct error *err);

/* Of a writer, before it writes: ERR_CORRUPT, or it is whole as far as SQLite tells, or too large
 * to be read now. */
int check_at_start(struct store *store, struct error *err);
/* It is whole: what a check found before is over. */
void check_passed(const struct store *store);
/* ERR_CORRUPT names the first object row whose uid, kind, project or name cannot be one. */
int object_identities_check(struct store *store, struct error *err);

/* Drops cached parses that this program cannot use, and the oldest beyond a limit. */
int manifest_cache_prune(struct store *store, struct error *err);

#endif
