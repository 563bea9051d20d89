/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Opening, locking and batching. The writer is who holds the kernel's lock on
 * <stateDir>/lock, so that a killed one leaves nothing to clear; the pid in it is
 * only for the message. The write-ahead log and its index stay when the writer
 * ends, so that a reader who may not write to the directory can still read.
 */
#include "reconciler/store/home.h"
#include "reconciler/store/mapping.h"
#include "reconciler/store/query.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/digest.h"
#include "model/durable.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    OPEN_TRIES = 50,
    OPEN_PAUSE_MS = 20,
};

/* ---- state directory and lock ------------------------------------------------------- */

static int directories_make(const char *state_dir, struct error *err)
{
    char *path = memory_need(strdup(state_dir));
    int rc = 0;
    for (char *slash = strchr(path + strspn(path, "/"), '/'); rc == 0;
         slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        rc = directory_make(path, 0750, err);
        if (!slash)
            break;
        *slash = '/';
    }
    free(path);
    return rc < 0 ? error_wrap(err, "the state directory %s", state_dir) : 0;
}

static int directory_check(const char *state_dir, struct error *err)
{
    struct stat st;
    int rc = directories_make(state_dir, err);
    if (rc < 0)
        return rc;
    if (stat(state_dir, &st) != 0)
        return error_sys(err, "cannot look at the state directory %s", state_dir);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERR_INVALID, "the state directory %s is not a directory", state_dir);
    if (access(state_dir, W_OK | X_OK) == 0)
        return 0;
    error_sys(err, "cannot write to the state directory %s", state_dir);
    return error_hint(err, "Run as its owner or as root, or name another stateDir in the site "
                           "file.");
}

static int lock_refused(int fd, struct error *err)
{
    char pid[24] = "";
    ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[got > 0 ? strspn(pid, "0123456789") : 0] = '\0';
    if (pid[0] != '\0')
        error_set(err, ERR_BUSY, "another spinel (pid %s) uses this state directory", pid);
    else
        error_set(err, ERR_BUSY, "another spinel uses this state directory");
    return error_hint(err, "Stop it first, or use it: commands reach a running daemon by its "
                           "control socket.");
}

/* R1 of docs/model/README.md: one process writes and sends. */
static int lock_take(const char *home, int *lock_fd, struct error *err)
{
    invariant(*lock_fd < 0, "%s is locked already, as %d", home, *lock_fd);
    struct text path = TEXT_INIT;
    struct stat st;
    text_printf(&path, "%s/" STORE_LOCK, home);
    int rc = 0;
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        rc = error_sys(err, "cannot open the lock %s", path.data);
        goto out;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        rc = error_set(err, ERR_DENIED, "the lock %s is not a file of one name", path.data);
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? lock_refused(fd, err)
                                  : error_sys(err, "cannot lock %s", path.data);
        goto out;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        rc = error_sys(err, "cannot write to the lock %s", path.data);
        goto out;
    }
    *lock_fd = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    text_free(&path);
    return rc;
}

int store_lock(const char *state_dir, int *lock_fd, struct error *err)
{
    char home[PATH_MAX];
    store_home(state_dir, home);
    return lock_take(home, lock_fd, err);
}

int store_lock_test(const char *state_dir, struct error *err)
{
    int fd = -1;
    int rc = store_lock(state_dir, &fd, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- opening ------------------------------------------------------------------------ */

static int pragmas_run(struct store *store, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : query_error(store->db, rc, store->path, "open the store", err);
}

/* Whoever opens a pipe waits for the other end of it. */
static int file_refused(const char *path, struct error *err)
{
    error_set(err, ERR_CORRUPT, "the store %s is not a regular file", path);
    return error_hint(err, "Move it away: the next start makes a new one.");
}

/* SQLite gives its -wal and -shm the mode and owner of this file. */
static int file_make(const char *path, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return error_sys(err, "cannot make the store %s", path);
    int rc = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) ? file_refused(path, err) : 0;
    close(fd);
    return rc;
}

static int file_find(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return S_ISREG(st.st_mode) ? 0 : file_refused(path, err);
    if (errno != ENOENT)
        return error_sys(err, "cannot look at the store %s", path);
    error_set(err, ERR_NOT_FOUND, "there is no store at %s yet", path);
    return error_hint(err, "Start the daemon with `spinel serve`, or run `spinel apply`.");
}

/* The same file by a path in which no name is a link, so that SQLite can be told to follow none:
 * root opens what lies in a directory of the core's user. */
static int path_resolve(const char *path, char real[PATH_MAX], struct error *err)
{
    char dir[PATH_MAX];
    const char *name = strrchr(path, '/');
    invariant(name, "the store %s is in no directory", path);
    snprintf(dir, sizeof dir, "%.*s", (int)(name - path), path);
    if (!realpath(name == path ? "/" : dir, real))
        return error_sys(err, "cannot find the directory of the store %s", path);
    size_t len = strlen(real);
    if (snprintf(real + len, PATH_MAX - len, "%s", name) >= (int)(PATH_MAX - len))
        return error_set(err, ERR_INVALID, "the path of the store %s is too long", path);
    return 0;
}

static int database_open(struct store *store, struct error *err)
{
    bool writes = store->mode == STORE_WRITE;
    char real[PATH_MAX];
    int rc = writes ? file_make(store->path, err) : file_find(store->path, err);
    if (rc == 0)
        rc = path_resolve(store->path, real, err);
    if (rc < 0)
        return rc;
    mappings_reserve();
    int flags = writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    rc =
        sqlite3_open_v2(real, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (rc != SQLITE_OK)
        return query_error(store->db, rc, store->path, "open the store", err);
    invariant(store->db, "%s was opened, and is not", store->path);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Else each new value of `kind = ?` is held against the partial indexes, by compiling anew. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    return pragmas_run(store, "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON;", err);
}

static int writer_prepare(struct store *store, struct error *err)
{
    int keep_wal = 1;
    invariant(store->lock_fd >= 0, "%s is prepared without its lock", store->path);
    int rc = pragmas_run(store, "PRAGMA synchronous = FULL;", err);
    if (rc == 0)
        rc = check_at_start(store, err);
    if (rc == 0) /* before anything is written: it refuses what is not ours */
        rc = migrate_database(store, err);
    if (rc == 0 && !store->is_unchecked)
        rc = object_identities_check(store, err);
    if (rc == 0 && !store->is_unchecked)
        check_passed(store);
    if (rc == 0)
        rc = pragmas_run(store, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864;",
                         err);
    if (rc == 0)
        rc = rack_prepare(store, err);
    if (rc == 0)
        rc = manifest_cache_prune(store, err);
    if (rc == 0)
        sqlite3_file_control(store->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_wal);
    return rc;
}

static int database_prepare(struct store *store, struct error *err)
{
    int rc = database_open(store, err);
    if (rc == 0)
        rc = store->mode == STORE_WRITE ? writer_prepare(store, err) : migrate_check(store, err);
    return rc;
}

static void database_close(struct store *store)
{
    invariant(store->cached <= QUERY_CACHE, "%s has %zu statements", store->path, store->cached);
    for (size_t i = 0; i < store->cached; i++)
        sqlite3_finalize(store->cache[i].stmt);
    store->cached = 0;
    int rc = sqlite3_close(store->db);
    invariant(rc == SQLITE_OK, "the store closes before a query ended: %s", sqlite3_errstr(rc));
    store->db = NULL;
}

/* A reader that is root makes the files beside the database as root, and gives them to the
 * database's owner a moment later (SQLite, robustFchown()). */
static int database_prepare_again(struct store *store, struct error *err)
{
    const struct timespec pause = {.tv_nsec = OPEN_PAUSE_MS * 1000000L};
    database_close(store);
    nanosleep(&pause, NULL);
    *err = (struct error)ERROR_INIT;
    return database_prepare(store, err);
}

/* A daemon that starts may have moved the store (server/handover.c) before we had the lock. */
static int home_recheck(const char *state_dir, const char *home, struct error *err)
{
    char now[PATH_MAX];
    store_home(state_dir, now);
    return strcmp(now, home) == 0
               ? 0
               : error_set(err, ERR_BUSY, "the store has just been moved to %s", now);
}

int store_open(const char *state_dir, enum store_mode mode, struct store **out, struct error *err)
{
    invariant(state_dir && state_dir[0], "a store without a state directory");
    invariant(mode == STORE_WRITE || mode == STORE_READ, "%s is opened for %d", state_dir, mode);
    struct store *store = memory_need(calloc(1, sizeof(*store)));
    struct text path = TEXT_INIT;
    char home[PATH_MAX];
    int rc = 0;
    store_home(state_dir, home);
    text_printf(&path, "%s/" STORE_FILE, home);
    *store = (struct store){.path = text_take(&path), .lock_fd = -1, .mode = mode};
    if (mode == STORE_WRITE) {
        rc = directory_check(home, err);
        if (rc == 0)
            rc = lock_take(home, &store->lock_fd, err);
        if (rc == 0)
            rc = home_recheck(state_dir, home, err);
    }
    if (rc == 0) {
        rc = database_prepare(store, err);
        for (int i = 1; rc == ERR_DENIED && mode == STORE_WRITE && i < OPEN_TRIES; i++)
            rc = database_prepare_again(store, err);
    }
    if (rc < 0) {
        store_close(store);
        return rc;
    }
    invariant((mode == STORE_WRITE) == (store->lock_fd >= 0), "%s is written to without its lock",
              store->path);
    invariant(!store_in_batch(store), "%s is opened, and a batch is open already", store->path);
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    invariant(store->mode == STORE_WRITE || store->lock_fd < 0, "a reader of %s holds its lock",
              store->path);
    database_close(store);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->path);
    free(store);
}

bool store_is_writable(const struct store *store)
{
    return store->mode == STORE_WRITE;
}

/* ---- batches ------------------------------------------------------------------------ */

bool store_in_batch(const struct store *store)
{
    return sqlite3_get_autocommit(store->db) == 0;
}

int store_begin(struct store *store, struct error *err)
{
    invariant(!store_in_batch(store), "%s: a batch within a batch", store->path);
    struct query query;
    query_start(&query, store, "BEGIN IMMEDIATE", err);
    return query_run(&query, NULL);
}

int store_snapshot_begin(struct store *store, struct error *err)
{
    invariant(!store_in_batch(store), "%s: a snapshot within a batch", store->path);
    struct query query;
    query_start(&query, store, "BEGIN DEFERRED", err);
    return query_run(&query, NULL);
}

void store_snapshot_end(struct store *store)
{
    store_rollback(store); /* nothing was written */
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int store_commit(struct store *store, struct error *err)
{
    if (!store_in_batch(store))
        return error_set(err, ERR_SYSTEM,
                         "cannot commit to the store: the batch was rolled back "
                         "when an earlier write failed");
    struct query query;
    invariant(store->mode == STORE_WRITE, "%s is committed to by a reader", store->path);
    int64_t began_ns = now_ns();
    query_start(&query, store, "COMMIT", err);
    int rc = query_run(&query, NULL);
    if (rc < 0)
        store_rollback(store);
    invariant(rc < 0 || !store_in_batch(store), "%s: a batch is open after its end", store->path);
    if (rc == 0 && store->committed)
        store->committed(store->committed_context, now_ns() - began_ns);
    return rc;
}

void store_watch_commits(struct store *store, void (*committed)(void *context, int64_t ns),
                         void *context)
{
    invariant(!store->committed || !committed, "%s: commits are watched twice", store->path);
    store->committed = committed;
    store->committed_context = context;
}

void store_rollback(struct store *store)
{
    struct error ignored = ERROR_INIT;
    struct query query;
    if (!store_in_batch(store)) /* SQLite did it itself, after a failed write */
        return;
    query_start(&query, store, "ROLLBACK", &ignored);
    query_run(&query, NULL);
}

/* ---- the rack and its facts --------------------------------------------------------- */

int store_seed(struct store *store, uint8_t seed[32], struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT seed FROM rack", err);
    int rc = query_next(&query);
    if (rc > 0)
        memcpy(seed, sqlite3_column_blob(query.stmt, 0), 32);
    int ended = query_end(&query);
    if (rc == 0)
        return error_set(err, ERR_NOT_FOUND, "%s holds no rack yet", store->path);
    return ended;
}

int store_rack_id(struct store *store, char rack_id[33], struct error *err)
{
    struct query query;
    uint8_t bytes[16];
    query_start(&query, store, "SELECT id FROM rack", err);
    int rc = query_next(&query);
    const char *id = rc > 0 ? query_peek(&query) : NULL;
    if (id && hex_read(id, bytes, sizeof(bytes)))
        memcpy(rack_id, id, 33);
    else if (rc > 0)
        query_refuse(&query, "the rack's id is none");
    int ended = query_end(&query);
    if (rc == 0)
        return error_set(err, ERR_NOT_FOUND, "%s holds no rack yet", store->path);
    return ended;
}

int store_fact_put(struct store *store, const char *key, const char *text, struct error *err)
{
    struct query query;
    invariant(key && key[0], "a fact without a key");
    query_start(&query, store,
                "INSERT INTO fact (key, text) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET text = excluded.text",
                err);
    query_bind_text(&query, key);
    query_bind_word(&query, text);
    return query_run(&query, NULL);
}

int store_fact_get(struct store *store, struct arena *arena, const char *key, const char **text,
                   struct error *err)
{
    struct query query;
    invariant(key && key[0] && text, "a fact without a key, or without room for it");
    query_start(&query, store, "SELECT text FROM fact WHERE key = ?", err);
    query_bind_text(&query, key);
    int rc = query_next(&query);
    const char *found = rc > 0 ? query_text(&query, arena) : NULL;
    rc = query_end(&query);
    if (rc == 0)
        *text = found;
    return rc;
}

static bool is_list_of_maps(const struct value *list)
{
    size_t i = 0;
    while (value_is_list(list) && i < list->count && value_is_map(list->items[i]))
        i++;
    return value_is_list(list) && i == list->count;
}

int store_fact_list(struct store *store, struct arena *arena, const char *key, struct value **list,
                    struct error *err)
{
    struct error why = ERROR_INIT;
    struct value *found = value_list(arena);
    const char *text = NULL;
    int rc = store_fact_get(store, arena, key, &text, err);
    if (rc < 0)
        return rc;
    if (text &&
        (json_read_own(arena, text, strlen(text), &found, &why) < 0 || !is_list_of_maps(found))) {
        error_set(err, ERR_CORRUPT, "cannot read the store: '%s' in %s is not as Spinel wrote it",
                  key, store->path);
        return error_hint(err, "The daemon writes it anew with its next full look.");
    }
    *list = found;
    return 0;
}
