/* SPDX-License-Identifier: MPL-2.0 */
/* Opening, locking, migrating and batching. */
#include "tests/store/store_scene.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "model/invariant.h"

/* ---- opening ------------------------------------------------------------------------ */

static void a_missing_state_directory_is_made_private(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    char deep[128];
    struct store *store = NULL;
    snprintf(deep, sizeof(deep), "%s/a/b", scene->dir);

    assert_int_equal(store_open(deep, STORE_WRITE, &store, &scene->err), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0027, 0);
    store_close(store);
}

static void the_store_is_not_readable_by_others(void **state)
{
    struct scene *scene = *state;
    struct stat st;

    store_close(store_for(scene, STORE_WRITE));
    assert_int_equal(stat(scene->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_state_directory_that_is_a_file_is_refused_by_name(void **state)
{
    struct scene *scene = *state;
    struct store *store = NULL;
    char path[96];
    snprintf(path, sizeof(path), "%s/file", scene->dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));

    assert_int_equal(store_open(path, STORE_WRITE, &store, &scene->err), ERR_INVALID);
    assert_non_null(strstr(scene->err.message, path));
    assert_int_equal(store_open(path, STORE_READ, &store, &scene->err), ERR_SYSTEM);
    assert_non_null(strstr(scene->err.message, path));
}

static void an_unwritable_state_directory_says_so(void **state)
{
    struct scene *scene = *state;
    if (geteuid() != 0) {
        print_message("# SKIP only root takes another user's place\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = NULL;
        chmod(scene->dir, 0755);
        if (setuid(65534) != 0)
            _exit(9);
        int rc = store_open(scene->dir, STORE_WRITE, &store, &scene->err);
        _exit(rc == ERR_DENIED && strstr(scene->err.message, scene->dir) && scene->err.hint[0] ? 0
                                                                                               : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A reader that is root has just made the index of the log, and not given it away yet. */
static void what_is_roots_for_a_moment_is_waited_for(void **state)
{
    struct scene *scene = *state;
    char path[128];
    if (geteuid() != 0) {
        print_message("# SKIP only root takes another user's place\n");
        skip();
    }
    store_close(store_for(scene, STORE_WRITE));
    static const char *const names[] = {"spinel.db", "spinel.db-wal", "lock", "rack"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", scene->dir, names[i]);
        assert_int_equal(chown(path, 65534, 65534), 0);
    }
    assert_int_equal(chown(scene->dir, 65534, 65534), 0);
    snprintf(path, sizeof(path), "%s/spinel.db-shm", scene->dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, 0, 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = NULL;
        _exit(setuid(65534) != 0                                         ? 9
              : store_open(scene->dir, STORE_WRITE, &store, &scene->err) ? 1
                                                                         : 0);
    }
    const struct timespec moment = {.tv_nsec = 30000000};
    nanosleep(&moment, NULL);
    assert_int_equal(fchown(fd, 65534, 65534), 0);
    close(fd);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void reading_before_there_is_a_store_is_not_found(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(open_code(scene, STORE_READ), ERR_NOT_FOUND);
    assert_int_not_equal(access(scene->file, F_OK), 0);
}

static void a_first_start_that_was_cut_short_is_no_store_yet(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(sqlite3_exec(store->db, "DELETE FROM rack", NULL, NULL, NULL), SQLITE_OK);
    store_close(store);

    assert_int_equal(open_code(scene, STORE_READ), ERR_NOT_FOUND);
    assert_int_equal(open_code(scene, STORE_WRITE), 0);
    assert_int_equal(open_code(scene, STORE_READ), 0);
}

static void seed_and_rack_are_random_and_stay(void **state)
{
    struct scene *scene = *state;
    uint8_t seed[32], again[32], nothing[32] = {0};
    char rack[33], rack_again[33];

    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_seed(store, seed, &scene->err), 0);
    assert_int_equal(store_rack_id(store, rack, &scene->err), 0);
    store_close(store);
    store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_seed(store, again, &scene->err), 0);
    assert_int_equal(store_rack_id(store, rack_again, &scene->err), 0);
    store_close(store);

    assert_memory_equal(seed, again, 32);
    assert_memory_not_equal(seed, nothing, 32);
    assert_int_equal(strlen(rack), 32);
    assert_string_equal(rack, rack_again);
}

static void facts_are_kept_and_replaced(void **state)
{
    struct scene *scene = *state;
    const char *text = "untouched";
    struct store *store = store_for(scene, STORE_WRITE);

    assert_int_equal(store_fact_get(store, scene->arena, "unmanaged", &text, &scene->err), 0);
    assert_null(text);
    assert_int_equal(store_fact_put(store, "unmanaged", "[12]", &scene->err), 0);
    assert_int_equal(store_fact_put(store, "unmanaged", "[13]", &scene->err), 0);
    assert_int_equal(store_fact_get(store, scene->arena, "unmanaged", &text, &scene->err), 0);
    assert_string_equal(text, "[13]");
    store_close(store);
}

/* Root opens a store that lies in a directory of somebody else's. */
static void links_beside_the_store_are_not_followed(void **state)
{
    struct scene *scene = *state;
    char victim[128], name[128], text[16] = "";
    static const char *const names[] = {"rack.new", "lock", "spinel.db"};
    snprintf(victim, sizeof(victim), "%s/victim", scene->dir);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        FILE *file = fopen(victim, "w");
        assert_true(file && fputs("precious", file) > 0 && fclose(file) == 0);
        snprintf(name, sizeof(name), "%s/%s", scene->dir, names[i]);
        unlink(name);
        assert_int_equal(symlink(victim, name), 0);
        scene->err = (struct error)ERROR_INIT;
        int code = open_code(scene, STORE_WRITE);
        assert_true(i == 0 ? code == 0 : code < 0);
        assert_true(i != 2 || open_code(scene, STORE_READ) < 0);
        file = fopen(victim, "r");
        assert_true(file && fgets(text, sizeof(text), file) && fclose(file) == 0);
        assert_string_equal(text, "precious");
        unlink(name);
    }
}

static void a_store_with_a_home_is_in_it(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s/core", scene->dir);
    assert_int_equal(mkdir(path, 0750), 0);
    store_close(store_for(scene, STORE_WRITE));
    assert_int_equal(stat(scene->file, &st), -1);
    snprintf(path, sizeof(path), "%s/core/spinel.db", scene->dir);
    assert_int_equal(stat(path, &st), 0);
}

/* ---- the lock ----------------------------------------------------------------------- */

static void a_second_writer_is_told_the_pid_of_the_first(void **state)
{
    struct scene *scene = *state;
    int ready[2], done[2];
    char byte = 0, expected[64];
    assert_int_equal(pipe(ready) | pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = store_for(scene, STORE_WRITE);
        close(done[1]);
        ssize_t n = write(ready[1], "x", 1);
        n += read(done[0], &byte, 1);
        store_close(store);
        _exit(n == 1 ? 0 : 1);
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);

    snprintf(expected, sizeof(expected), "another spinel (pid %d) uses this state directory", pid);
    assert_int_equal(open_code(scene, STORE_WRITE), ERR_BUSY);
    assert_string_equal(scene->err.message, expected);

    close(done[1]);
    close(ready[0]);
    close(ready[1]);
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(open_code(scene, STORE_WRITE), 0);
}

static void a_killed_writer_leaves_nothing_to_clear(void **state)
{
    struct scene *scene = *state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = store_for(scene, STORE_WRITE);
        store_fact_put(store, "done", "yes", &scene->err);
        store_begin(store, &scene->err);
        store_fact_put(store, "half", "yes", &scene->err);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);

    const char *done = NULL, *half = NULL;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_fact_get(store, scene->arena, "done", &done, &scene->err), 0);
    assert_int_equal(store_fact_get(store, scene->arena, "half", &half, &scene->err), 0);
    assert_string_equal(done, "yes");
    assert_null(half);
    store_close(store);
}

static void a_broken_invariant_ends_the_process_and_the_next_start_recovers(void **state)
{
    struct scene *scene = *state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = store_for(scene, STORE_WRITE);
        close(STDERR_FILENO);
        store_fact_put(store, "done", "yes", &scene->err);
        store_begin(store, &scene->err);
        store_fact_put(store, "half", "yes", &scene->err);
        invariant(!store_in_batch(store), "this one does not hold");
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);

    const char *done = NULL, *half = NULL;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_fact_get(store, scene->arena, "done", &done, &scene->err), 0);
    assert_int_equal(store_fact_get(store, scene->arena, "half", &half, &scene->err), 0);
    assert_string_equal(done, "yes");
    assert_null(half);
    store_close(store);
}

/* ---- reading beside a writer -------------------------------------------------------- */

static void a_reader_sees_commits_and_not_what_is_under_way(void **state)
{
    struct scene *scene = *state;
    const char *text = NULL;
    struct store *writer = store_for(scene, STORE_WRITE);
    struct store *reader = store_for(scene, STORE_READ);

    assert_int_equal(store_begin(writer, &scene->err), 0);
    assert_int_equal(store_fact_put(writer, "k", "new", &scene->err), 0);
    assert_int_equal(store_fact_get(reader, scene->arena, "k", &text, &scene->err), 0);
    assert_null(text);
    assert_int_equal(store_commit(writer, &scene->err), 0);
    assert_int_equal(store_fact_get(reader, scene->arena, "k", &text, &scene->err), 0);
    assert_string_equal(text, "new");

    store_close(reader);
    store_close(writer);
}

static void a_reader_cannot_write(void **state)
{
    struct scene *scene = *state;
    store_close(store_for(scene, STORE_WRITE));
    struct store *reader = store_for(scene, STORE_READ);

    assert_false(store_is_writable(reader));
    assert_int_equal(store_fact_put(reader, "k", "v", &scene->err), ERR_DENIED);
    store_close(reader);
}

static void a_reader_without_rights_to_the_directory_reads_after_the_writer_ended(void **state)
{
    struct scene *scene = *state;
    if (geteuid() != 0) {
        print_message("# SKIP only root takes another user's place\n");
        skip();
    }
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_fact_put(store, "k", "v", &scene->err), 0);
    store_close(store);
    char path[128];
    chmod(scene->dir, 0755);
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        snprintf(path, sizeof(path), "%s%s", scene->file, *end);
        assert_int_equal(chmod(path, 0644), 0);
    }
    pid_t pid = fork();
    if (pid == 0) {
        const char *text = NULL;
        struct store *reader = NULL;
        int rc = setuid(65534);
        rc = rc ? rc : store_open(scene->dir, STORE_READ, &reader, &scene->err);
        rc = rc ? rc : store_fact_get(reader, scene->arena, "k", &text, &scene->err);
        if (rc != 0)
            fprintf(stderr, "# %s\n", scene->err.message);
        _exit(rc == 0 && text && strcmp(text, "v") == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

/* ---- batches ------------------------------------------------------------------------ */

static void a_rolled_back_batch_leaves_nothing(void **state)
{
    struct scene *scene = *state;
    const char *text = "untouched";
    int64_t seq = 0;
    struct store *store = store_for(scene, STORE_WRITE);

    assert_int_equal(store_begin(store, &scene->err), 0);
    assert_true(store_in_batch(store));
    assert_int_equal(store_fact_put(store, "k", "v", &scene->err), 0);
    assert_int_equal(store_event_add(store, &(struct event){.type = "t"}, &seq, &scene->err), 0);
    store_rollback(store);

    assert_false(store_in_batch(store));
    assert_int_equal(store_fact_get(store, scene->arena, "k", &text, &scene->err), 0);
    assert_null(text);
    store_rollback(store);
    store_close(store);
}

static void closing_within_a_batch_drops_it(void **state)
{
    struct scene *scene = *state;
    const char *text = "untouched";
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_begin(store, &scene->err), 0);
    assert_int_equal(store_fact_put(store, "k", "v", &scene->err), 0);
    store_close(store);

    store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_fact_get(store, scene->arena, "k", &text, &scene->err), 0);
    assert_null(text);
    store_close(store);
}

static int64_t pragma(struct store *store, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void commits_are_synced_in_full(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(pragma(store, "PRAGMA synchronous"), 2);
    assert_int_equal(pragma(store, "PRAGMA foreign_keys"), 1);
    assert_int_equal(pragma(store, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    store_close(store);
}

/* ---- versions ----------------------------------------------------------------------- */

/* An older Spinel's file: the schema as it was after `version` steps. */
static void store_make_old(struct scene *scene, int version)
{
    struct store old = {.path = scene->file, .lock_fd = -1, .mode = STORE_WRITE};
    assert_int_equal(sqlite3_open(scene->file, &old.db), SQLITE_OK);
    assert_int_equal(migrate_database_to(&old, version, &scene->err), 0);
    assert_int_equal(
        sqlite3_exec(old.db, "INSERT INTO fact VALUES ('from', 'old')", NULL, NULL, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < old.cached; i++)
        sqlite3_finalize(old.cache[i].stmt);
    assert_int_equal(sqlite3_close(old.db), SQLITE_OK);
}

static void every_older_version_is_migrated_with_its_rows(void **state)
{
    struct scene *scene = *state;
    for (int version = 1; version <= migrate_version(); version++) {
        const char *text = NULL;
        unlink(scene->file);
        store_make_old(scene, version);
        struct store *store = store_for(scene, STORE_WRITE);
        assert_int_equal(pragma(store, "PRAGMA user_version"), migrate_version());
        assert_int_equal(store_fact_get(store, scene->arena, "from", &text, &scene->err), 0);
        assert_string_equal(text, "old");
        assert_int_equal(
            store_event_add(store, &(struct event){.type = "t", .text = "x"}, NULL, &scene->err),
            0);
        store_close(store);
    }
}

static void a_reader_does_not_migrate(void **state)
{
    struct scene *scene = *state;
    store_make_old(scene, 1);
    assert_int_equal(open_code(scene, STORE_READ), ERR_STALE);
    assert_true(scene->err.hint[0] != '\0');
}

static void database_run(struct scene *scene, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(scene->file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_newer_version_is_refused_and_left_as_it_is(void **state)
{
    struct scene *scene = *state;
    store_close(store_for(scene, STORE_WRITE));
    database_run(scene, "PRAGMA user_version = 99");

    assert_int_equal(open_code(scene, STORE_WRITE), ERR_STALE);
    assert_non_null(strstr(scene->err.message, "newer"));
    assert_true(scene->err.hint[0] != '\0');
    assert_int_equal(open_code(scene, STORE_READ), ERR_STALE);
}

static void a_foreign_database_is_refused_and_left_as_it_is(void **state)
{
    struct scene *scene = *state;
    database_run(scene, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");

    assert_int_equal(open_code(scene, STORE_WRITE), ERR_CORRUPT);
    database_run(scene, "SELECT x FROM theirs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_missing_state_directory_is_made_private),
        CASE(the_store_is_not_readable_by_others),
        CASE(a_state_directory_that_is_a_file_is_refused_by_name),
        CASE(an_unwritable_state_directory_says_so),
        CASE(what_is_roots_for_a_moment_is_waited_for),
        CASE(reading_before_there_is_a_store_is_not_found),
        CASE(a_first_start_that_was_cut_short_is_no_store_yet),
        CASE(seed_and_rack_are_random_and_stay),
        CASE(facts_are_kept_and_replaced),
        CASE(a_second_writer_is_told_the_pid_of_the_first),
        CASE(a_killed_writer_leaves_nothing_to_clear),
        CASE(a_broken_invariant_ends_the_process_and_the_next_start_recovers),
        CASE(a_reader_sees_commits_and_not_what_is_under_way),
        CASE(a_reader_cannot_write),
        CASE(a_reader_without_rights_to_the_directory_reads_after_the_writer_ended),
        CASE(a_rolled_back_batch_leaves_nothing),
        CASE(closing_within_a_batch_drops_it),
        CASE(commits_are_synced_in_full),
        CASE(every_older_version_is_migrated_with_its_rows),
        CASE(a_reader_does_not_migrate),
        CASE(a_newer_version_is_refused_and_left_as_it_is),
        CASE(a_foreign_database_is_refused_and_left_as_it_is),
        CASE(links_beside_the_store_are_not_followed),
        CASE(a_store_with_a_home_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
