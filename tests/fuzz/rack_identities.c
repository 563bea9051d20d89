/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who the rack is, as its file and the store's row say it: written by us, and then restored,
 * edited, torn. The first byte says which of them there are; the file's text follows, and behind a
 * line "====" the row's id and seed. Whoever opens the store knows the same rack then and the next
 * time, or is told that it is damaged, and nothing that might say who it was is lost.
 */
#include <sqlite3.h>
#include <sys/stat.h>
#include "reconciler/store/rack.c"
#include "tests/fuzz/fuzz.h"

enum { HAS_FILE = 1, HAS_ROW = 2 };

static char directory[64], file_path[96], store_path[96];
static struct store store = {.lock_fd = -1, .mode = STORE_WRITE, .path = store_path};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = ERROR_INIT;
    (void)argc, (void)argv;
    fuzz_directory(directory);
    snprintf(store_path, sizeof store_path, "%s/spinel.db", directory);
    snprintf(file_path, sizeof file_path, "%s/rack", directory);
    MUST(sqlite3_open_v2(":memory:", &store.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
         SQLITE_OK);
    MUST(migrate_database(&store, &err) == 0);
    return 0;
}

static void file_put(const char *text, size_t len)
{
    FILE *file = fopen(file_path, "we");
    MUST(file && fwrite(text, 1, len, file) == len && fclose(file) == 0);
}

static size_t file_get(char text[256])
{
    FILE *file = fopen(file_path, "re");
    size_t len = file ? fread(text, 1, 255, file) : 0;
    if (file)
        fclose(file);
    text[len] = '\0';
    return len;
}

static void row_put(const char *id, size_t id_len, const char *seed, size_t seed_len)
{
    sqlite3_stmt *stmt = NULL;
    MUST(sqlite3_prepare_v2(store.db, "INSERT INTO rack VALUES (1, ?, ?)", -1, &stmt, NULL) ==
         SQLITE_OK);
    sqlite3_bind_text(stmt, 1, id, (int)id_len, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 2, seed, (int)seed_len, SQLITE_STATIC);
    sqlite3_step(stmt);
    sqlite3_finalize(stmt);
}

static void who(char text[256])
{
    sqlite3_stmt *stmt = NULL;
    MUST(sqlite3_prepare_v2(store.db, "SELECT id || ' ' || lower(hex(seed)) || char(10) FROM rack",
                            -1, &stmt, NULL) == SQLITE_OK);
    MUST(sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == 98);
    memcpy(text, sqlite3_column_text(stmt, 0), 99);
    sqlite3_finalize(stmt);
}

/* Whose file it is who opens this store: one of our own hand. */
static void known_check(bool had_row, const char *before, size_t before_len)
{
    struct error err = ERROR_INIT;
    char known[256], kept[256], again[256];
    size_t kept_len = file_get(kept);
    who(known);
    MUST(strspn(known, "0123456789abcdef") == 32 && kept_len >= 97 && !strpbrk(kept, "\t\r"));
    MUST(kept_len == 97 + strspn(kept + 97, "\n") || memchr(kept, 0, kept_len));
    if (kept_len == before_len && memcmp(kept, before, kept_len) == 0)
        MUST(had_row || strncmp(kept, known, 97) == 0);
    else
        MUST(strcmp(kept, known) == 0);
    MUST(rack_prepare(&store, &err) == 0);
    who(again);
    MUST(strcmp(known, again) == 0);
    MUST(sqlite3_exec(store.db, "DELETE FROM rack", NULL, NULL, NULL) == SQLITE_OK);
    MUST(rack_prepare(&store, &err) == 0); /* of a store that was lost */
    who(again);
    MUST(strncmp(again, kept, 97) == 0);
}

static void input_put(const char *text, size_t len, uint8_t what)
{
    const char *mark = memmem(text, len, "\n====\n", 6), *end = text + len;
    const char *row = mark ? mark + 6 : end;
    size_t row_len = (size_t)(end - row);
    const char *newline = row_len ? memchr(row, '\n', row_len) : NULL;
    const char *seed = newline ? newline + 1 : end;
    if (what & HAS_FILE)
        file_put(text, mark ? (size_t)(mark + 1 - text) : len);
    if (what & HAS_ROW)
        row_put(row, (size_t)((newline ? newline : end) - row), seed, (size_t)(end - seed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    char before[256], after[256];
    if (size == 0)
        return 0;
    unlink(file_path);
    MUST(sqlite3_exec(store.db, "DELETE FROM rack", NULL, NULL, NULL) == SQLITE_OK);
    input_put((const char *)data + 1, size - 1, data[0]);
    bool had_row = sqlite3_total_changes(store.db) > 0 && data[0] & HAS_ROW;
    size_t len = file_get(before);
    if (rack_prepare(&store, &err) == 0) {
        known_check(had_row, before, len);
        return 0;
    }
    MUST(err.message[0] && file_get(after) == len && memcmp(before, after, len) == 0);
    return 0;
}
