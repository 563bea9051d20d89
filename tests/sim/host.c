/* SPDX-License-Identifier: MPL-2.0 */
/* The daemon's life on its machine: it starts, is told of heads, dies and starts again. */
#include "tests/sim/host.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/digest.h"
#include "reconciler/store/query.h"
#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

enum { RESTART_MIN_MS = 100, RESTART_MAX_MS = 20000 };

static const char *const driver_list[] = {"disk", "net", "vm"};
static const char *const store_files[] = {"/sim/state/spinel.db", "/sim/state/spinel.db-wal"};
const char store_dir[] = "/sim/state";
/* The same in every run, and another one in every process. */
static const char drivers_dir[] = "/proc/self/cwd";
enum { FILES = sizeof store_files / sizeof *store_files };

static const char *driver_of(void *context, const char *class)
{
    (void)context;
    return strcmp(class, "volume") == 0     ? driver_list[DRIVER_DISK]
           : strcmp(class, "instance") == 0 ? driver_list[DRIVER_VM]
                                            : driver_list[DRIVER_NET];
}

static const struct value *settings_of(void *context, const char *driver)
{
    (void)context;
    (void)driver;
    return NULL;
}

void daemon_open(struct sim *sim)
{
    struct host *host = &sim->host;
    snprintf(host->dir, sizeof host->dir, "%s/spinel-sim-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(host->dir))
        abort();
    if (chdir(host->dir) < 0)
        abort();
    snprintf(host->key_file, sizeof host->key_file, "%s/key", drivers_dir);
    seam_bind(sim);
    host->config = (struct core_config){
        .rack = "sim",
        .rack_id = host->rack_id,
        .state_dir = drivers_dir,
        .key_file = host->key_file,
        .drivers = driver_list,
        .driver_count = DRIVERS,
        .driver_of = driver_of,
        .settings_of = settings_of,
        .parallelism = 4,
        .resync_ms = sim->swarm.resync_ms,
        .policy = {3, 5, 30},
        .effects = true,
    };
}

bool daemon_is_up(const struct sim *sim)
{
    return sim->host.core && !sim->host.is_dead;
}

/* ---- down --------------------------------------------------------------------------- */

static bool disk_is_well(const struct sim_disk *disk)
{
    bool is_well = !disk->is_read_only;
    for (size_t i = 0; i < SIM_RULES; i++)
        is_well &= disk->rules[i].fault == SIM_OK || disk->rules[i].nth == 0;
    return is_well;
}

/* The store is refused for what it is: a person moves it aside, as the hint of the error says. */
static void refusal_mend(struct sim *sim, const struct error *err)
{
    struct host *host = &sim->host;
    bool is_of_flip = (host->is_damaged || host->is_misled) && disk_is_well(&host->disk);
    if (err->code != ERR_CORRUPT && !is_of_flip)
        return;
    if (host->is_damaged)
        tally_add(&sim->tally->flips[FLIP_REFUSED], 1);
    sim_fault_note(sim, FAULT_STORE_LOST);
    daemon_store_lose(sim);
}

static void daemon_boots(struct sim *sim, void *data)
{
    (void)data;
    daemon_boot(sim);
}

static void boot_later(struct sim *sim)
{
    events_add(&sim->events,
               sim->now_ms + prng_between(&sim->schedule, RESTART_MIN_MS, RESTART_MAX_MS),
               daemon_boots, NULL);
}

/* It dies once more, from the first call of the restart on, before anything settles. */
static void death_arm(struct host *host)
{
    if (host->storm_left) {
        host->storm_left--;
        host->again_at = 1 + splitmix64(&host->storm_state) % host->storm_span;
    }
    if (!host->again_at)
        return;
    host->crash_at = host->calls + host->again_at;
    host->has_no_power = host->again_has_no_power;
    host->again_at = 0;
}

/* Those that drivers have not said to be done are on no disk yet: from one on, all. */
static void effects_lose(struct sim *sim)
{
    size_t lost = (size_t)prng_below(&sim->later, sim->truth.undo_count + 1);
    for (size_t i = 0; i < lost; i++)
        sim_fault_note(sim, FAULT_EFFECT_UNSYNCED);
    truth_undo(&sim->truth, lost);
}

/* What is left of a dead daemon. Its drivers notice that their input has ended. */
static void daemon_sweep(struct sim *sim)
{
    struct host *host = &sim->host;
    host->is_dead = true; /* whatever the sweeping calls comes to nothing */
    core_free(host->core);
    host->core = NULL;
    store_close(host->store);
    host->store = NULL;
    sim_disk_start(&host->disk);
    host->timer++;
    book_rollback(&sim->book);
    truth_forgotten(&sim->truth);
    if (host->accepting[0])
        memcpy(host->maybe, host->accepting, sizeof host->maybe);
    host->accepting[0] = '\0';
    for (int i = 0; i < DRIVERS; i++) {
        sim_driver_end(&sim->drivers[i]);
        sim->drivers[i].has_told = false;
        if (host->has_no_power)
            sim_driver_power_loss(&sim->drivers[i]);
    }
    if (host->has_no_power) {
        if (sim->swarm.rates[FAULT_EFFECT_UNSYNCED] && !sim->is_quiet)
            effects_lose(sim);
        else
            truth_undo(&sim->truth, 0); /* all was on the disk by then */
        truth_power_loss(&sim->truth, sim->arena);
    }
    host->is_dead = host->has_no_power = false;
    host->crash_at = 0;
    host->life++;
    host->swept_calls = host->calls;
    if (host->deaths)
        death_arm(host);
}

void daemon_crash(struct sim *sim, bool has_no_power)
{
    if (!sim->host.core)
        return;
    TRACE(sim, has_no_power ? "power loss" : "the daemon is killed");
    sim->host.has_no_power = has_no_power;
    if (has_no_power)
        sim_disk_lose_power(&sim->host.disk, sim->host.loss);
    else
        sim_disk_stop(&sim->host.disk);
    daemon_sweep(sim);
    boot_later(sim);
}

/* As status does it without a daemon. */
static void full_disk_check(struct sim *sim)
{
    const struct sim_rule *rules = sim->host.disk.rules;
    struct error err = ERROR_INIT;
    struct store *store = NULL;
    struct known *rows = NULL;
    size_t count = 0;
    if (rules[0].fault != SIM_NO_SPACE || rules[0].nth > 1 || rules[1].fault || rules[2].fault ||
        rules[3].fault || sim->host.disk.is_read_only)
        return;
    struct arena *arena = arena_new();
    int status = store_open(store_dir, STORE_READ, &store, &err);
    if (status == 0)
        status = store_objects(store, arena, &rows, &count, &err);
    store_close(store);
    const struct moment moment = {.when = ON_FULL, .status = status};
    invariants_check(sim, &moment);
    if (status < 0)
        TRACE(sim, "a reader: %s", err.message);
    arena_free(arena);
}

void daemon_pump(struct sim *sim)
{
    struct host *host = &sim->host;
    struct error err = ERROR_INIT;
    if (!host->core)
        return;
    if (!host->is_dead)
        core_pump(host->core);
    if (!host->is_dead && !core_has_failed(host->core, &err))
        return;
    bool has_ended = !host->is_dead;
    if (has_ended)
        TRACE(sim, "the daemon ends: %s", err.message);
    daemon_sweep(sim);
    if (has_ended) {
        full_disk_check(sim);
        refusal_mend(sim, &err);
    }
    boot_later(sim);
}

/* For whoever wants to look into it: the store as it was, as files. */
static void store_export(struct sim *sim)
{
    for (size_t i = 0; i < FILES; i++) {
        size_t size = 0;
        const uint8_t *bytes = sim_disk_bytes(&sim->host.disk, store_files[i], &size);
        FILE *file = bytes ? fopen(strrchr(store_files[i], '/') + 1, "w") : NULL;
        if (file && fwrite(bytes, 1, size, file) != size)
            fprintf(stderr, "cannot write the store\n");
        if (file)
            fclose(file);
    }
    printf("%s is kept\n", sim->host.dir);
}

void daemon_close(struct sim *sim)
{
    struct host *host = &sim->host;
    char command[128];
    if (host->core)
        daemon_sweep(sim);
    for (int i = 0; i < DRIVERS; i++) {
        sim_driver_end(&sim->drivers[i]);
        text_free(&sim->drivers[i].waiting);
        lines_free(&sim->drivers[i].said);
    }
    for (size_t i = 0; i < FILES; i++)
        free(host->saved[i]);
    snprintf(command, sizeof command, "rm -rf '%s'", host->dir);
    if (getenv("SIM_KEEP"))
        store_export(sim);
    else if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", host->dir);
}

/* ---- up ----------------------------------------------------------------------------- */

static int store_begins(struct sim *sim, struct error *err)
{
    struct host *host = &sim->host;
    host->is_booting = true;
    int status = store_open(store_dir, STORE_WRITE, &host->store, err);
    if (status == 0)
        status = store_seed(host->store, host->config.seed, err);
    if (status == 0)
        status = store_rack_id(host->store, host->rack_id, err);
    if (status < 0) {
        store_close(host->store);
        host->store = NULL;
    }
    host->is_booting = false;
    return status;
}

static void boot_failed(struct sim *sim, const struct error *err)
{
    TRACE(sim, "the daemon cannot start: %s", err->message);
    refusal_mend(sim, err);
    boot_later(sim);
}

/* What counts is what the store has made durable. */
static void target_declare(struct sim *sim)
{
    const struct commit *target =
        daemon_is_up(sim) ? git_find(&sim->git, core_commit(sim->host.core)) : NULL;
    if (target)
        truth_declare(&sim->truth, &target->wish);
}

void daemon_head(struct sim *sim)
{
    struct error err = ERROR_INIT;
    const char *id = sim->git.commits[sim->git.head].id;
    struct host *host = &sim->host;
    if (!daemon_is_up(sim))
        return;
    int status = core_target(host->core, id, "ann", NULL, NULL, &err);
    if (status < 0 && !host->is_dead)
        TRACE(sim, "head %.12s refused: %s", id, err.message);
    daemon_pump(sim);
    if (status == 0)
        target_declare(sim);
}

/* What is read to check a start is no call of the daemon's, and cannot be its last. */
static void boot_check(struct sim *sim)
{
    struct host *host = &sim->host;
    const struct moment moment = {.when = ON_BOOT};
    const uint64_t calls = host->calls, crash_at = host->crash_at;
    host->crash_at = 0;
    host->disk.is_spared = true;
    invariants_check(sim, &moment);
    host->disk.is_spared = false;
    host->calls = calls;
    host->crash_at = crash_at;
}

void host_accept(struct sim *sim, const char *commit)
{
    struct host *host = &sim->host;
    if (strcmp(host->accepted, commit) != 0)
        host->accepted_ms = sim->now_ms;
    snprintf(host->accepted, sizeof host->accepted, "%s", commit);
}

void daemon_boot(struct sim *sim)
{
    struct host *host = &sim->host;
    struct error err = ERROR_INIT;
    if (host->core)
        return;
    if (store_begins(sim, &err) < 0) {
        if (host->is_dead) {
            daemon_sweep(sim);
            boot_later(sim);
        } else
            boot_failed(sim, &err);
        return;
    }
    TRACE(sim, "the daemon starts");
    sim->host.has_begun = true;
    tally_add(&sim->tally->restarts, 1);
    host->env.store = host->store;
    host->booted_ms = sim->now_ms;
    host->core = core_new(&host->env, &host->config);
    if (core_start(host->core, &err) < 0) {
        bool was_killed = host->is_dead;
        if (!was_killed)
            TRACE(sim, "the core cannot start: %s", err.message);
        daemon_sweep(sim);
        if (!was_killed)
            refusal_mend(sim, &err);
        boot_later(sim);
        return;
    }
    if (!host->is_dead && host->is_damaged) {
        tally_add(&sim->tally->flips[FLIP_BELIEVED], 1);
        host->is_damaged = false;
        host->is_misled = true;
    }
    if (!host->is_dead)
        boot_check(sim);
    host_accept(sim, core_commit(host->core));
    target_declare(sim);
    daemon_pump(sim);
    daemon_head(sim);
}

/* ---- the store as files ------------------------------------------------------------- */

static void durable_is_gone(struct sim *sim)
{
    sim->host.is_damaged = false;
    book_forget(&sim->book);
    sim->host.accepted[0] = '\0';
    sim->host.may_skip = true;
    sim->truth.destroyed = 0; /* and with it what was spent of the budget; a person is asked */
    truth_leavers_forget(&sim->truth); /* it can no longer tell what left Git */
}

void daemon_store_lose(struct sim *sim)
{
    TRACE(sim, "the store is lost");
    for (size_t i = 0; i < FILES; i++)
        sim_delete(&sim->host.disk, store_files[i]);
    sim_sync_directory(&sim->host.disk);
    durable_is_gone(sim);
}

void daemon_store_save(struct sim *sim)
{
    struct host *host = &sim->host;
    for (size_t i = 0; i < FILES; i++) {
        size_t size = 0;
        const uint8_t *bytes = sim_disk_bytes(&host->disk, store_files[i], &size);
        free(host->saved[i]);
        host->saved[i] = bytes ? malloc(size + 1) : NULL;
        host->saved_len[i] = bytes ? size : 0;
        if (bytes)
            memcpy(host->saved[i], bytes, size);
    }
    TRACE(sim, "the store is copied");
}

static void file_put(struct sim *sim, const char *path, const char *bytes, size_t len)
{
    struct sim_open file;
    bool created;
    if (sim_open(&sim->host.disk, path, true, false, &file, &created) < 0)
        abort();
    sim_truncate(&file, 0);
    sim_write(&file, 0, bytes, len);
    sim_sync(&file);
    sim_close(&file);
}

bool daemon_store_restore(struct sim *sim)
{
    struct host *host = &sim->host;
    if (!host->saved[0])
        return false;
    TRACE(sim, "an old copy of the store is put back");
    host->disk.is_read_only = false; /* whoever does this has made it writable */
    for (size_t i = 0; i < FILES; i++) {
        sim_delete(&host->disk, store_files[i]);
        if (host->saved[i])
            file_put(sim, store_files[i], host->saved[i], host->saved_len[i]);
    }
    sim_sync_directory(&host->disk);
    durable_is_gone(sim);
    host->was_restored = true;
    return true;
}

/* ---- the disk's faults -------------------------------------------------------------- */

void daemon_disk_fills(struct sim *sim)
{
    sim_fault_arm(sim, FAULT_DISK_FULL);
    sim->host.disk.rules[0] = (struct sim_rule){.call = SIM_WRITE,
                                                .fault = SIM_NO_SPACE,
                                                .nth = (unsigned)prng_between(&sim->faults, 1, 30),
                                                .lasts = true};
}

void daemon_disk_fails(struct sim *sim)
{
    static const enum sim_call calls[] = {SIM_READ, SIM_WRITE, SIM_SYNC};
    sim_fault_arm(sim, FAULT_DISK_ERROR);
    sim->host.disk.rules[1] = (struct sim_rule){.call = calls[prng_below(&sim->faults, 3)],
                                                .fault = SIM_EIO,
                                                .nth = (unsigned)prng_between(&sim->faults, 1, 12)};
}

void daemon_disk_stiffens(struct sim *sim)
{
    sim_fault_arm(sim, FAULT_DISK_READ_ONLY);
    sim->host.disk.is_read_only = true;
}

/* For a moment, as a reader does that recovers the index or makes room in the log: SQLite waits for
 * it. Or for as long as somebody has a transaction open that writes, in a shell: no wait is as
 * long.
 */
void daemon_disk_busy(struct sim *sim)
{
    static const enum sim_call calls[] = {SIM_LOCK, SIM_SHM_LOCK, SIM_WRITER_LOCK};
    enum sim_call call = calls[prng_below(&sim->extra, 3)];
    sim_fault_arm(sim, FAULT_STORE_BUSY);
    sim->host.disk.rules[2] = (struct sim_rule){.call = call,
                                                .fault = SIM_BUSY,
                                                .lasts = call == SIM_WRITER_LOCK,
                                                .nth = (unsigned)prng_between(&sim->extra, 1, 12)};
}

void daemon_disk_reads_short(struct sim *sim)
{
    sim_fault_arm(sim, FAULT_SHORT_READ);
    sim->host.disk.rules[3] = (struct sim_rule){.call = SIM_READ,
                                                .fault = SIM_SHORT,
                                                .ends = "spinel.db",
                                                .nth = (unsigned)prng_between(&sim->later, 1, 12)};
}

void daemon_disk_heals(struct sim *sim)
{
    sim->host.disk.is_read_only = false;
    for (size_t i = 0; i < SIM_RULES; i++)
        sim->host.disk.rules[i].fault = SIM_OK;
    memset(sim->is_armed, 0, sizeof sim->is_armed);
}

/* ---- a bit that turns --------------------------------------------------------------- */

static int rows_digest(sqlite3 *db, const char *sql, crypto_generichash_state *hash)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        for (int i = 0; rc == SQLITE_ROW && i < sqlite3_column_count(stmt); i++) {
            const int type = sqlite3_column_type(stmt, i);
            const void *bytes = sqlite3_column_blob(stmt, i);
            const int len = sqlite3_column_bytes(stmt, i);
            crypto_generichash_update(hash, (const void *)&type, sizeof type);
            crypto_generichash_update(hash, (const void *)&len, sizeof len);
            crypto_generichash_update(hash, bytes ? bytes : (const void *)"",
                                      (unsigned long long)len);
        }
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int tables_digest(sqlite3 *db, crypto_generichash_state *hash)
{
    sqlite3_stmt *tables = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1,
                                &tables, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(tables)) == SQLITE_ROW) {
        char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", sqlite3_column_text(tables, 0));
        rc = rows_digest(db, sql, hash);
        sqlite3_free(sql);
    }
    sqlite3_finalize(tables);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* All that a reader sees in the store, and whether its indexes agree with its rows. */
static void content_digest(struct sim *sim, unsigned char out[32])
{
    static const char *const also[] = {"SELECT * FROM sqlite_schema", "PRAGMA user_version",
                                       "PRAGMA application_id", "PRAGMA integrity_check(1)"};
    crypto_generichash_state hash;
    sqlite3 *db = NULL;
    crypto_generichash_init(&hash, NULL, 0, 32);
    sim->host.disk.is_spared = true;
    int rc = sqlite3_open_v2(store_files[0], &db, SQLITE_OPEN_READONLY, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof also / sizeof *also; i++)
        rc = rows_digest(db, also[i], &hash);
    if (rc == SQLITE_OK)
        rc = tables_digest(db, &hash);
    sqlite3_close(db);
    sim->host.disk.is_spared = false;
    crypto_generichash_update(&hash, (const void *)&rc, sizeof rc);
    crypto_generichash_final(&hash, out, 32);
}

/* Whether a frame of the log was copied into the database: then what the log would say without its
 * end was never so. */
static bool log_is_copied(const struct sim *sim)
{
    enum { HEAD = 32, FRAME = 24, PAGE = 4096, SALTS = 8 };
    size_t size = 0, log_size = 0;
    const uint8_t *db = sim_disk_bytes(&sim->host.disk, store_files[0], &size);
    const uint8_t *log = sim_disk_bytes(&sim->host.disk, store_files[1], &log_size);
    for (size_t at = HEAD;
         db && log && at + FRAME + PAGE <= log_size && memcmp(log + at + 8, log + 16, SALTS) == 0;
         at += FRAME + PAGE) {
        const uint8_t *page = log + at;
        size_t nth = (size_t)page[0] << 24 | (size_t)page[1] << 16 | (size_t)page[2] << 8 | page[3];
        if (nth * PAGE <= size && memcmp(db + (nth - 1) * PAGE, page + FRAME, PAGE) == 0)
            return true;
    }
    return false;
}

void daemon_bit_flips(struct sim *sim)
{
    struct host *host = &sim->host;
    const size_t which = (size_t)prng_below(&sim->later, FILES);
    unsigned char before[32], after[32];
    sim_fault_note(sim, FAULT_BIT_FLIP);
    daemon_crash(sim, false);
    const bool is_copied = log_is_copied(sim);
    content_digest(sim, before);
    if (!sim_disk_flip_any(&host->disk, store_files[which]))
        return;
    content_digest(sim, after);
    const bool is_same = memcmp(before, after, sizeof before) == 0;
    TRACE(sim, "a bit of %s has turned: %s", store_files[which],
          is_same ? "it reads as before" : "it reads otherwise");
    if (is_same) {
        tally_add(&sim->tally->flips[FLIP_HARMLESS], 1);
    } else if (which == 1 && !is_copied) { /* an old copy, as if it were put back */
        tally_add(&sim->tally->flips[FLIP_OLDER], 1);
        durable_is_gone(sim);
        host->was_restored = true;
    } else {
        host->is_damaged = true;
    }
}

/* ---- another version ---------------------------------------------------------------- */

/* What leads back from each version of the schema to the one before, as an older program has it.
 * reconciler/store/migrate.c goes the other way. */
static const char back_to_5[] =
    "DROP TABLE mention; DROP INDEX object_name; DROP INDEX object_renamed;"
    " DROP INDEX object_address;"
    " CREATE INDEX object_gone ON object (kind, name, project) WHERE life = 3";
static const char *const back[] = {
    [4] = "ALTER TABLE drift DROP COLUMN reason; DROP INDEX event_uid",
    [5] = "DROP TRIGGER object_added; DROP TRIGGER object_changed; DROP TRIGGER object_dropped",
    [6] = back_to_5,
    [7] = "ALTER TABLE object DROP COLUMN tried",
    [8] = "DROP INDEX intent_left; ALTER TABLE intent DROP COLUMN leaves_git",
};
enum { OLDEST = 3, LEAVING = 8, NEWEST = sizeof back / sizeof *back - 1 };

/* By another program, on a machine that is well. */
static void store_rework(const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    if (sqlite3_open(store_files[0], &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "the simulator cannot rework the store: %s\n", why ? why : "?");
        abort();
    }
    sqlite3_close(db);
}

static void store_age(struct sim *sim, int version)
{
    char sql[64];
    for (int v = NEWEST; v > version; v--)
        store_rework(back[v]);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    store_rework(sql);
    if (version < LEAVING)
        truth_leavers_forget(&sim->truth); /* it can no longer tell what left Git */
}

static void store_digest(struct sim *sim, char out[DIGEST_TEXT])
{
    char each[FILES][DIGEST_TEXT];
    for (size_t i = 0; i < FILES; i++) {
        size_t size = 0;
        const uint8_t *bytes = sim_disk_bytes(&sim->host.disk, store_files[i], &size);
        digest_bytes(bytes ? (const char *)bytes : "", bytes ? size : 0, each[i]);
    }
    digest_bytes(each[0], sizeof each, out);
}

/* A newer program has had the store, and this one is put in its place by mistake: it must
 * leave the store alone, to the byte, until the newer one is back. */
static void newer_is_refused(struct sim *sim)
{
    struct error err = ERROR_INIT;
    struct store *store = NULL;
    char sql[64];
    store_rework("CREATE TABLE of_tomorrow (one INTEGER)");
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", NEWEST + 1);
    store_rework(sql);
    char before[DIGEST_TEXT], after[DIGEST_TEXT];
    store_digest(sim, before);
    int status = store_open(store_dir, STORE_WRITE, &store, &err);
    store_close(store);
    store_digest(sim, after);
    const struct moment moment = {
        .when = ON_REFUSAL, .status = status, .is_changed = strcmp(before, after) != 0};
    invariants_check(sim, &moment);
    TRACE(sim, "refused: %s", err.message);
    store_rework("DROP TABLE of_tomorrow");
    store_age(sim, NEWEST);
}

void daemon_version_changes(struct sim *sim)
{
    if (migrate_version() != NEWEST) {
        fprintf(stderr, "back[] in tests/sim/host.c does not know schema %d\n", migrate_version());
        abort();
    }
    daemon_crash(sim, false);
    daemon_disk_heals(sim);
    if (prng_chance(&sim->faults, 500)) {
        newer_is_refused(sim);
        return;
    }
    int version = (int)prng_between(&sim->faults, OLDEST, NEWEST - 1);
    store_age(sim, version);
    TRACE(sim, "an older program has left the store at schema %d", version);
}
