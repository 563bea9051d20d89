/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The floor under writing a rack's rows: SQLite by itself, in WAL mode with
 * synchronous=FULL, `N` rows of 500 bytes in transactions of 256.
 *
 *     floor_store FILE N
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3 *db;

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return;
    fprintf(stderr, "floor: %s: %s\n", sql, sqlite3_errmsg(db));
    exit(1);
}

int main(int argc, char **argv)
{
    sqlite3_stmt *insert;
    char body[500], uid[33];
    if (argc != 3 || sqlite3_open(argv[1], &db) != SQLITE_OK)
        return 64;
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE object (uid TEXT PRIMARY KEY, body TEXT NOT NULL)");
    sqlite3_prepare_v2(db, "INSERT INTO object VALUES (?, ?)", -1, &insert, NULL);
    memset(body, 'x', sizeof body);
    long count = atol(argv[2]);
    for (long i = 0; i < count; i++) {
        if (i % 256 == 0)
            run(i ? "COMMIT; BEGIN IMMEDIATE" : "BEGIN IMMEDIATE");
        snprintf(uid, sizeof uid, "%032lx", i * 2654435761L);
        sqlite3_bind_text(insert, 1, uid, 32, SQLITE_TRANSIENT);
        sqlite3_bind_text(insert, 2, body, sizeof body, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            return 1;
        sqlite3_reset(insert);
    }
    if (count > 0)
        run("COMMIT");
    sqlite3_finalize(insert);
    return sqlite3_close(db) != SQLITE_OK;
}
