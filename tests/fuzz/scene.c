/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/fuzz/scene.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/arena.h"
#include "model/report.h"
#include "tests/fuzz/fuzz.h"

static const char manifests[] =
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"
    "spec: {size: 1GiB, pool: fast}\n---\n"
    "apiVersion: spinel/v1\nkind: VPC\nmetadata: {project: shop, name: net}\n"
    "spec: {prefixes: [10.0.0.0/16]}\n";

static const char site_file[] =
    "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n"
    "spec:\n  repository: {path: ./manifests.git, branch: main}\n  stateDir: ./state\n"
    "  drivers: {default: sim}\n  driverDirs: [./drivers]\n"
    "  web: {listen: \"127.0.0.1:8420\", tokenFile: ./token}\n";

static void file_put(const char *dir, const char *name, const void *data, size_t len, mode_t mode)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    MUST(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    close(fd);
}

static void directory_put(const char *dir, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    MUST(mkdir(path, 0700) == 0);
}

static void commit_put(const char *dir)
{
    char path[160];
    git_repository *repo = NULL;
    git_treebuilder *builder = NULL;
    git_tree *tree = NULL;
    git_signature *who = NULL;
    git_oid id;
    snprintf(path, sizeof path, "%s/manifests.git", dir);
    git_libgit2_init();
    MUST(git_repository_init(&repo, path, 1) == 0);
    MUST(git_blob_create_from_buffer(&id, repo, manifests, sizeof manifests - 1) == 0);
    MUST(git_treebuilder_new(&builder, repo, NULL) == 0);
    MUST(git_treebuilder_insert(NULL, builder, "a.yaml", &id, GIT_FILEMODE_BLOB) == 0);
    MUST(git_treebuilder_write(&id, builder) == 0 && git_tree_lookup(&tree, repo, &id) == 0);
    MUST(git_signature_new(&who, "Ann", "ann@example.org", 1700000000, 0) == 0);
    MUST(git_commit_create(&id, repo, "refs/heads/main", who, who, NULL, "A rack\n", tree, 0,
                           NULL) == 0);
    git_signature_free(who);
    git_tree_free(tree);
    git_treebuilder_free(builder);
    git_repository_free(repo);
}

const struct site *fuzz_site(void)
{
    static struct site *site;
    static char dir[64];
    if (site)
        return site;
    fuzz_directory(dir);
    directory_put(dir, "drivers");
    directory_put(dir, "state");
    file_put(dir, "drivers/sim", "#!/bin/false\n", 13, 0700);
    file_put(dir, "token", FUZZ_TOKEN "\n", sizeof FUZZ_TOKEN, 0600);
    commit_put(dir);
    static struct arena *arena; /* as long as the process */
    arena = arena_new();
    char *file = arena_printf(arena, "%s/spinel.yaml", dir);
    struct report report;
    report_init(&report, arena);
    MUST(site_read(arena, file, NULL, site_file, sizeof site_file - 1, &site, &report) == 0);
    return site;
}

/* ---- the token ---------------------------------------------------------------------- */

/* Uncounted and by hand: a fuzzer learns what it is compared with, and would then say it. */
#ifdef __clang__
__attribute__((no_sanitize("coverage")))
#endif
bool fuzz_tells_token(const char *said, size_t len)
{
    static const char token[] = FUZZ_TOKEN;
    for (size_t i = 0; i + sizeof token - 1 <= len; i++) {
        size_t n = 0;
        while (n < sizeof token - 1 && said[i + n] == token[n])
            n++;
        if (n == sizeof token - 1)
            return true;
    }
    return false;
}

/* ---- rows --------------------------------------------------------------------------- */

enum { TABLES_MAX = 32 };

static struct {
    sqlite3_stmt *clear[TABLES_MAX], *fill[TABLES_MAX];
    size_t count;
    sqlite3_int64 changes;
} kept;

static void must_run(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, why);
        abort();
    }
}

static sqlite3_stmt *statement(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *made = NULL;
    MUST(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) == SQLITE_OK);
    return made;
}

static void table_keep(sqlite3 *db, const char *table)
{
    char sql[200];
    MUST(kept.count < TABLES_MAX);
    snprintf(sql, sizeof sql, "CREATE TABLE pristine.\"kept_%s\" AS SELECT * FROM main.\"%s\"",
             table, table);
    must_run(db, sql);
    snprintf(sql, sizeof sql, "DELETE FROM main.\"%s\"", table);
    kept.clear[kept.count] = statement(db, sql);
    snprintf(sql, sizeof sql, "INSERT INTO main.\"%s\" SELECT * FROM pristine.\"kept_%s\"", table,
             table);
    kept.fill[kept.count++] = statement(db, sql);
}

void fuzz_rows_keep(struct store *store)
{
    char *names[TABLES_MAX];
    size_t count = 0;
    must_run(store->db, "ATTACH ':memory:' AS pristine");
    sqlite3_stmt *tables =
        statement(store->db, "SELECT name FROM main.sqlite_schema WHERE type = 'table'");
    while (sqlite3_step(tables) == SQLITE_ROW && count < TABLES_MAX)
        names[count++] = strdup((const char *)sqlite3_column_text(tables, 0));
    sqlite3_finalize(tables);
    for (size_t i = 0; i < count; i++) {
        table_keep(store->db, names[i]);
        free(names[i]);
    }
    kept.changes = sqlite3_total_changes64(store->db);
}

void fuzz_rows_restore(struct store *store)
{
    int triggers = 0;
    MUST(!store_in_batch(store));
    if (sqlite3_total_changes64(store->db) == kept.changes)
        return;
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &triggers);
    must_run(store->db, "BEGIN; PRAGMA defer_foreign_keys = ON");
    for (size_t i = 0; i < kept.count; i++) {
        MUST(sqlite3_step(kept.clear[i]) == SQLITE_DONE);
        MUST(sqlite3_step(kept.fill[i]) == SQLITE_DONE);
        sqlite3_reset(kept.clear[i]);
        sqlite3_reset(kept.fill[i]);
    }
    must_run(store->db, "COMMIT");
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, &triggers);
    kept.changes = sqlite3_total_changes64(store->db);
}
