/* SPDX-License-Identifier: MPL-2.0 */
/* The simulated disk does what it says; and the store keeps what it committed on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "reconciler/store/query.h"
#include "tests/sim/disk.c"
#include "tests/sim/posix.c"
#include "tests/sim/vfs.c"

#define DIR "/sim/state"
#define DATABASE DIR "/spinel.db"
#define LOG DIR "/spinel.db-wal"

struct scene {
    struct sim_disk disk;
    uint64_t seed;
    struct arena *arena;
    struct store *store;
    struct error err;
    uint64_t calls, stop_at; /* 0: never */
    char rack[33];           /* as an open that succeeded said */
    enum sim_loss loss;
    bool only_process;
};

static uint64_t draw(void *context)
{
    struct scene *scene = context;
    uint64_t z = scene->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void count_calls(void *context, enum sim_call call, const char *path)
{
    struct scene *scene = context;
    (void)call;
    (void)path;
    if (++scene->calls != scene->stop_at)
        return;
    if (scene->only_process)
        sim_disk_stop(&scene->disk);
    else
        sim_disk_lose_power(&scene->disk, scene->loss);
}

static int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    scene->seed = 1;
    sim_disk_init(&scene->disk, draw, scene);
    scene->disk.boundary = count_calls;
    sim_vfs_register(&scene->disk, "sim");
    sim_posix_use(&scene->disk);
    scene->arena = arena_new();
    *state = scene;
    return 0;
}

static int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    store_close(scene->store); /* where a test failed */
    sim_vfs_unregister("sim");
    sim_disk_free(&scene->disk);
    arena_free(scene->arena);
    sim_posix_use(NULL);
    free(scene);
    return 0;
}

/* A fresh disk, as after the factory. */
static void scene_renew(struct scene *scene, uint64_t seed)
{
    sim_disk_free(&scene->disk);
    sim_disk_init(&scene->disk, draw, scene);
    scene->disk.boundary = count_calls;
    sim_posix_use(&scene->disk);
    scene->seed = seed;
    scene->calls = scene->stop_at = 0;
    scene->rack[0] = '\0';
}

static void store_start(struct scene *scene)
{
    if (store_open(DIR, STORE_WRITE, &scene->store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
}

static void store_stop(struct scene *scene)
{
    store_close(scene->store); /* NULL where opening failed */
    scene->store = NULL;
}

/* The machine goes down and comes up again. */
static void power_cycle(struct scene *scene, enum sim_loss loss)
{
    sim_disk_lose_power(&scene->disk, loss);
    store_stop(scene);
    sim_disk_start(&scene->disk);
}

static int put(struct scene *scene, const char *key, const char *text)
{
    return store_fact_put(scene->store, key, text, &scene->err);
}

static const char *get(struct scene *scene, const char *key)
{
    const char *text = NULL;
    if (store_fact_get(scene->store, scene->arena, key, &text, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return text;
}

/* ---- the disk ----------------------------------------------------------------------- */

/* Two whole sectors and a bit, over what was synced before; what of it is there after a loss. */
static void disk_outcomes(struct scene *scene, enum sim_loss loss, unsigned seen[8])
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_open file;
        bool is_new;
        uint8_t old[1200], new[1200];
        size_t size = 0;
        scene_renew(scene, seed);
        memset(old, 'o', sizeof(old));
        memset(new, 'n', sizeof(new));
        assert_int_equal(sim_open(&scene->disk, "/f", true, false, &file, &is_new), 0);
        sim_write(&file, 0, old, sizeof(old));
        sim_sync(&file);
        sim_sync_directory(&scene->disk);
        sim_write(&file, 0, new, 600);
        sim_write(&file, 600, new, 600);
        sim_disk_lose_power(&scene->disk, loss);
        const uint8_t *bytes = sim_disk_bytes(&scene->disk, "/f", &size);
        assert_int_equal(size, sizeof(old));
        seen[(bytes[0] == 'n') | (bytes[599] == 'n') << 1 | (bytes[1199] == 'n') << 2]++;
        sim_close(&file);
        sim_disk_start(&scene->disk);
    }
}

static void losing_all_leaves_what_was_synced(void **state)
{
    unsigned seen[8] = {0};
    disk_outcomes(*state, SIM_LOSS_ALL, seen);
    assert_int_equal(seen[0], 200);
}

static void losing_sectors_splits_a_write(void **state)
{
    unsigned seen[8] = {0};
    disk_outcomes(*state, SIM_LOSS_SECTORS, seen);
    for (int i = 0; i < 8; i++)
        assert_true(seen[i] > 0);
}

static void a_torn_write_keeps_all_before_it_and_nothing_after(void **state)
{
    struct scene *scene = *state;
    unsigned seen[8] = {0};
    disk_outcomes(scene, SIM_LOSS_TORN, seen);
    assert_true(seen[1] > 0 && seen[3] > 0 && seen[7] > 0);
    assert_int_equal(seen[2] + seen[4] + seen[5] + seen[6], 0);
}

static void reordering_may_keep_the_later_write_alone(void **state)
{
    unsigned seen[8] = {0};
    disk_outcomes(*state, SIM_LOSS_REORDERED, seen);
    assert_true(seen[0] > 0 && seen[3] > 0 && seen[4] > 0 && seen[7] > 0);
    assert_int_equal(seen[1] + seen[2] + seen[5] + seen[6], 0);
}

static void a_torn_sector_is_not_always_new_or_old(void **state)
{
    struct scene *scene = *state;
    unsigned junk = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct sim_open file;
        bool is_new;
        uint8_t new[512];
        size_t size = 0;
        scene_renew(scene, seed);
        memset(new, 'n', sizeof(new));
        assert_int_equal(sim_open(&scene->disk, "/f", true, false, &file, &is_new), 0);
        sim_sync_directory(&scene->disk);
        sim_write(&file, 0, new, sizeof(new));
        sim_disk_lose_power(&scene->disk, SIM_LOSS_TORN);
        const uint8_t *bytes = sim_disk_bytes(&scene->disk, "/f", &size);
        for (size_t i = 0; i < size; i++)
            if (bytes[i] != 'n' && bytes[i] != 0) {
                junk++;
                break;
            }
        sim_close(&file);
        sim_disk_start(&scene->disk);
    }
    assert_true(junk > 10);
}

static void names_last_only_when_the_directory_was_synced(void **state)
{
    struct scene *scene = *state;
    struct sim_open file;
    bool is_new;
    assert_int_equal(sim_open(&scene->disk, "/a", true, false, &file, &is_new), 0);
    sim_write(&file, 0, "a", 1);
    sim_sync(&file);
    sim_sync_directory(&scene->disk);
    sim_close(&file);
    assert_int_equal(sim_open(&scene->disk, "/b", true, false, &file, &is_new), 0);
    sim_write(&file, 0, "b", 1);
    sim_sync(&file);
    sim_close(&file);
    assert_int_equal(sim_rename(&scene->disk, "/b", "/a"), 0);
    assert_int_equal(*sim_disk_bytes(&scene->disk, "/a", &(size_t){0}), 'b');

    sim_disk_lose_power(&scene->disk, SIM_LOSS_ALL);
    assert_int_equal(*sim_disk_bytes(&scene->disk, "/a", &(size_t){0}), 'a');
    assert_false(sim_exists(&scene->disk, "/b", NULL));
    assert_int_equal(scene->disk.lost_changes, 2);
}

static void after_a_failed_sync_a_good_one_does_not_bring_the_bytes_back(void **state)
{
    struct scene *scene = *state;
    struct sim_open file;
    bool is_new;
    assert_int_equal(sim_open(&scene->disk, "/a", true, false, &file, &is_new), 0);
    sim_sync_directory(&scene->disk);
    sim_write(&file, 0, "a", 1);
    sim_sync_failed(&file);
    sim_sync(&file);
    sim_close(&file);
    sim_disk_lose_power(&scene->disk, SIM_LOSS_ALL);
    size_t size = 1;
    assert_non_null(sim_disk_bytes(&scene->disk, "/a", &size));
    assert_int_equal(size, 0);
}

/* ---- the store: what is committed stays --------------------------------------------- */

static const enum sim_loss every_loss[] = {SIM_LOSS_ALL, SIM_LOSS_SECTORS, SIM_LOSS_TORN,
                                           SIM_LOSS_REORDERED};

static void the_store_lives_on_the_disk(void **state)
{
    struct scene *scene = *state;
    size_t size = 0;
    store_start(scene);
    assert_int_equal(put(scene, "k", "v"), 0);
    store_stop(scene);
    assert_non_null(sim_disk_bytes(&scene->disk, DATABASE, &size));
    assert_true(size > 4096);
    assert_non_null(sim_disk_bytes(&scene->disk, LOG, &size));
    assert_true(scene->disk.calls[SIM_SYNC] > 0 && scene->disk.calls[SIM_SHM] > 0);
}

static void a_committed_batch_survives_every_power_loss(void **state)
{
    struct scene *scene = *state;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        scene_renew(scene, seed);
        store_start(scene);
        assert_int_equal(put(scene, "a", "committed"), 0);
        assert_int_equal(store_begin(scene->store, &scene->err), 0);
        assert_int_equal(put(scene, "b", "half"), 0);
        power_cycle(scene, every_loss[seed % 4]);
        store_start(scene);
        assert_string_equal(get(scene, "a"), "committed");
        assert_null(get(scene, "b"));
        store_stop(scene);
    }
}

/* The test of the test: what is not synced is lost, and that is seen. */
static void without_synchronous_a_committed_batch_is_lost(void **state)
{
    struct scene *scene = *state;
    unsigned lost[SIM_LOSSES] = {0};
    for (uint64_t seed = 1; seed <= 120; seed++) {
        scene_renew(scene, seed);
        store_start(scene);
        assert_int_equal(put(scene, "before", "synced"), 0);
        assert_int_equal(sqlite3_exec(scene->store->db, "PRAGMA synchronous=OFF", 0, 0, 0), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(put(scene, "a", "committed"), 0);
        power_cycle(scene, every_loss[seed % 4]);
        store_start(scene);
        assert_string_equal(get(scene, "before"), "synced");
        lost[every_loss[seed % 4]] += get(scene, "a") == NULL;
        store_stop(scene);
    }
    assert_int_equal(lost[SIM_LOSS_ALL], 30);
    for (int loss = 1; loss < SIM_LOSSES; loss++)
        assert_true(lost[loss] > 0);
}

static void a_killed_process_loses_nothing_that_it_wrote(void **state)
{
    struct scene *scene = *state;
    store_start(scene);
    assert_int_equal(sqlite3_exec(scene->store->db, "PRAGMA synchronous=OFF", 0, 0, 0), 0);
    assert_int_equal(put(scene, "a", "committed"), 0);
    assert_true(sim_disk_unsynced(&scene->disk) > 0);
    sim_disk_stop(&scene->disk);
    assert_int_not_equal(put(scene, "b", "too late"), 0);
    store_stop(scene);
    sim_disk_start(&scene->disk);
    store_start(scene);
    assert_string_equal(get(scene, "a"), "committed");
    assert_null(get(scene, "b"));
    store_stop(scene);
}

/* Batches of two facts each; returns how many were acknowledged. */
static int batches_run(struct scene *scene, int count)
{
    char text[16];
    int done = 0;
    if (store_open(DIR, STORE_WRITE, &scene->store, &scene->err) != 0)
        return 0;
    if (store_rack_id(scene->store, scene->rack, &scene->err) != 0)
        scene->rack[0] = '\0';
    for (int i = 1; i <= count; i++) {
        snprintf(text, sizeof(text), "%d", i);
        if (store_begin(scene->store, &scene->err) != 0)
            break;
        int rc = put(scene, "left", text);
        rc = rc == 0 ? put(scene, "right", text) : rc;
        if (rc != 0 || store_commit(scene->store, &scene->err) != 0) {
            store_rollback(scene->store);
            break;
        }
        done = i;
    }
    return done;
}

static int number(const char *text)
{
    return text ? atoi(text) : 0;
}

/* Each fact is of a batch that was acknowledged or of the one under way, and of the same. */
static void batches_check(struct scene *scene, int acknowledged)
{
    char rack[33];
    store_start(scene);
    assert_int_equal(store_rack_id(scene->store, rack, &scene->err), 0);
    if (scene->rack[0] != '\0')
        assert_string_equal(rack, scene->rack);
    int left = number(get(scene, "left")), right = number(get(scene, "right"));
    if (left != right || left < acknowledged || left > acknowledged + 1)
        fail_msg(
            "%d batches acknowledged, found %d and %d: stopped at call %llu, lost %s, seed %llu",
            acknowledged, left, right, (unsigned long long)scene->stop_at,
            scene->only_process ? "nothing" : sim_loss_name(scene->loss),
            (unsigned long long)scene->seed);
    store_stop(scene);
}

/* Opening a new store, then three batches: stopped at each call there is. */
static void stopped_at_every_call(struct scene *scene, enum sim_loss loss, bool only_process)
{
    uint64_t points = 1;
    for (uint64_t stop_at = 1; stop_at <= points; stop_at++) {
        scene_renew(scene, stop_at);
        scene->loss = loss;
        scene->only_process = only_process;
        scene->stop_at = stop_at;
        int acknowledged = batches_run(scene, 3);
        points = scene->disk.is_stopped ? stop_at + 1 : stop_at;
        store_stop(scene);
        sim_disk_start(&scene->disk);
        batches_check(scene, acknowledged);
    }
    assert_true(points > 100);
}

static void every_call_may_be_the_last_of_the_process(void **state)
{
    stopped_at_every_call(*state, SIM_LOSS_ALL, true);
}

static void every_call_may_be_the_last_before_the_power_goes(void **state)
{
    for (size_t i = 0; i < SIM_LOSSES; i++)
        stopped_at_every_call(*state, every_loss[i], false);
}

/* ---- the store: what the disk refuses ----------------------------------------------- */

static void every_failing_call_is_told_and_halves_nothing(void **state)
{
    struct scene *scene = *state;
    static const enum sim_fault faults[] = {SIM_EIO, SIM_NO_SPACE, SIM_BUSY};
    unsigned tried = 0, failed_runs = 0;
    for (int call = 0; call < SIM_CALLS; call++)
        for (size_t f = 0; f < sizeof(faults) / sizeof(*faults); f++) {
            if ((faults[f] == SIM_NO_SPACE && call != SIM_WRITE) ||
                (faults[f] == SIM_BUSY && call != SIM_LOCK && call != SIM_SHM_LOCK &&
                 call != SIM_WRITER_LOCK))
                continue;
            for (unsigned nth = 1; nth < 400; nth++) {
                scene_renew(scene, nth);
                scene->disk.rules[0] =
                    (struct sim_rule){.call = (enum sim_call)call, .fault = faults[f], .nth = nth};
                int acknowledged = batches_run(scene, 3);
                bool has_met = scene->disk.faults[call][faults[f]] > 0;
                store_stop(scene);
                scene->disk.rules[0] = (struct sim_rule){0};
                sim_disk_lose_power(&scene->disk, every_loss[nth % 4]);
                sim_disk_start(&scene->disk);
                batches_check(scene, acknowledged);
                if (!has_met)
                    break;
                tried++;
                failed_runs += acknowledged < 3;
            }
        }
    print_message("# %u calls failed, %u of them ended the run\n", tried, failed_runs);
    assert_true(tried > 100 && failed_runs > 50);
}

static void a_second_writer_is_refused_until_the_first_is_dead(void **state)
{
    struct scene *scene = *state;
    struct store *second = NULL;
    store_start(scene);
    assert_int_equal(store_open(DIR, STORE_WRITE, &second, &scene->err), ERR_BUSY);
    sim_disk_stop(&scene->disk);
    sim_disk_start(&scene->disk);
    assert_int_equal(store_open(DIR, STORE_WRITE, &second, &scene->err), 0);
    assert_int_not_equal(put(scene, "k", "of the dead"), 0);
    store_stop(scene);
    store_close(second);
}

/* A new store after the old one was lost: the identity in the file beside it lives on. */
static void the_racks_identity_outlives_a_lost_store(void **state)
{
    struct scene *scene = *state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        char rack[33];
        scene_renew(scene, seed);
        store_start(scene);
        assert_int_equal(store_rack_id(scene->store, scene->rack, &scene->err), 0);
        power_cycle(scene, every_loss[seed % 4]);
        assert_int_equal(sim_delete(&scene->disk, DATABASE), 0);
        sim_delete(&scene->disk, LOG);
        store_start(scene);
        assert_int_equal(store_rack_id(scene->store, rack, &scene->err), 0);
        assert_string_equal(rack, scene->rack);
        store_stop(scene);
    }
}

static void store_lose(struct scene *scene)
{
    store_stop(scene);
    assert_int_equal(sim_delete(&scene->disk, DATABASE), 0);
    assert_int_equal(sim_delete(&scene->disk, LOG), 0);
}

static void an_identity_that_cannot_be_read_is_not_drawn_anew(void **state)
{
    struct scene *scene = *state;
    char rack[33];
    store_start(scene);
    assert_int_equal(store_rack_id(scene->store, scene->rack, &scene->err), 0);
    store_lose(scene);
    for (int call = 0; call < SIM_CALLS; call++) {
        scene->disk.rules[0] = (struct sim_rule){
            .call = (enum sim_call)call, .fault = SIM_EIO, .nth = 1, .ends = "/rack"};
        store_open(DIR, STORE_WRITE, &scene->store, &scene->err);
        store_stop(scene);
        scene->disk.rules[0] = (struct sim_rule){0};
        store_start(scene);
        assert_int_equal(store_rack_id(scene->store, rack, &scene->err), 0);
        assert_string_equal(rack, scene->rack);
        store_lose(scene);
    }
    assert_true(scene->disk.faults[SIM_OPEN][SIM_EIO] > 0 &&
                scene->disk.faults[SIM_READ][SIM_EIO] > 0);
}

static void a_damaged_identity_is_mended_from_the_store_or_refused(void **state)
{
    struct scene *scene = *state;
    size_t size = 0;
    store_start(scene);
    store_stop(scene);
    assert_true(sim_disk_flip(&scene->disk, DIR "/rack", 7));
    store_start(scene);
    assert_true(sim_disk_bytes(&scene->disk, DIR "/rack", &size)[0] < 0x80);

    store_lose(scene);
    assert_true(sim_disk_flip(&scene->disk, DIR "/rack", 7));
    assert_int_equal(store_open(DIR, STORE_WRITE, &scene->store, &scene->err), ERR_CORRUPT);
    assert_non_null(strstr(scene->err.hint, "backup"));
}

static void a_full_disk_is_told_apart(void **state)
{
    struct scene *scene = *state;
    int rc = 0;
    store_start(scene);
    scene->disk.capacity_bytes = 400 << 10;
    for (int i = 0; rc == 0 && i < 200; i++) /* the same again would not be written */
        rc = put(scene, "k", i % 2 ? "u" : "v");
    assert_int_equal(rc, ERR_NO_SPACE);
    scene->disk.capacity_bytes = 0;
    assert_int_equal(put(scene, "k", "w"), 0);
    store_stop(scene);
}

static void a_disk_that_became_read_only_keeps_its_reader(void **state)
{
    struct scene *scene = *state;
    store_start(scene);
    assert_int_equal(put(scene, "k", "v"), 0);
    scene->disk.is_read_only = true;
    assert_int_not_equal(put(scene, "k", "w"), 0);
    assert_string_equal(get(scene, "k"), "v");
    store_stop(scene);
}

/* All that the store holds, as one number. */
static uint64_t content(struct scene *scene)
{
    static const char *const tables[] = {"rack", "fact", "object", "intent", "event"};
    uint64_t sum = 7;
    for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++) {
        char sql[64];
        sqlite3_stmt *stmt = NULL;
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", tables[t]);
        if (sqlite3_prepare_v2(scene->store->db, sql, -1, &stmt, NULL) != SQLITE_OK)
            return 0;
        int rc;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                const unsigned char *text = sqlite3_column_text(stmt, c);
                for (; text && *text; text++)
                    sum = sum * 1099511628211u ^ *text;
            }
        sqlite3_finalize(stmt);
        if (rc != SQLITE_DONE)
            return 0;
    }
    return sum;
}

static void rows_fill(struct scene *scene)
{
    for (int i = 0; i < 60; i++) {
        char uid[33], name[16];
        snprintf(uid, sizeof(uid), "%032x", i);
        snprintf(name, sizeof(name), "web-%d", i);
        const struct known known = {.uid = uid,
                                    .kind = "Instance",
                                    .project = "shop",
                                    .name = name,
                                    .life = LIFE_LIVE,
                                    .epoch = (uint64_t)i + 1,
                                    .protect = true,
                                    .chosen = value_map(scene->arena),
                                    .applied = value_map(scene->arena)};
        assert_int_equal(store_object_put(scene->store, &known, &scene->err), 0);
        assert_int_equal(put(scene, name, "a fact that somebody relies on"), 0);
    }
}

/* SQLite finds what breaks its own structure. A bit within a value is not its business: RFD 20
 * says what would find it, and what that costs. */
static void a_flipped_bit_in_the_structure_is_refused(void **state)
{
    struct scene *scene = *state;
    unsigned refused = 0, harmless = 0, silent = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        scene_renew(scene, seed);
        store_start(scene);
        rows_fill(scene);
        uint64_t before = content(scene);
        store_stop(scene);
        assert_true(sim_disk_flip_any(&scene->disk, DATABASE));
        uint64_t after = 0;
        if (store_open(DIR, STORE_WRITE, &scene->store, &scene->err) == 0)
            after = content(scene);
        store_stop(scene);
        refused += after == 0;
        harmless += after == before;
        silent += after != 0 && after != before;
    }
    print_message("# of 400 flipped bits %u were refused, %u changed nothing, %u went unnoticed\n",
                  refused, harmless, silent);
    assert_true(refused > 0);
    assert_true(silent <= 400 / 10);
}

/* For SQLite the log ends there: no error, and whole batches are gone. */
static void a_flipped_bit_in_the_log_leaves_an_older_store(void **state)
{
    struct scene *scene = *state;
    unsigned older = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        scene_renew(scene, seed);
        assert_int_equal(batches_run(scene, 3), 3);
        power_cycle(scene, SIM_LOSS_ALL); /* a store that is closed leaves an empty log */
        assert_true(sim_disk_flip_any(&scene->disk, LOG));
        store_start(scene);
        int left = number(get(scene, "left")), right = number(get(scene, "right"));
        store_stop(scene);
        assert_int_equal(left, right);
        older += left < 3;
    }
    print_message("# of 100 flipped bits of the log %u lost a batch\n", older);
    assert_true(older > 0);
}

static void a_second_connection_reads_beside_the_writer(void **state)
{
    struct scene *scene = *state;
    struct store *reader = NULL;
    const char *text = NULL;
    store_start(scene);
    assert_int_equal(put(scene, "k", "1"), 0);
    assert_int_equal(store_open(DIR, STORE_READ, &reader, &scene->err), 0);
    assert_int_equal(store_begin(scene->store, &scene->err), 0);
    assert_int_equal(put(scene, "k", "2"), 0);
    assert_int_equal(store_fact_get(reader, scene->arena, "k", &text, &scene->err), 0);
    assert_string_equal(text, "1");
    assert_int_equal(store_commit(scene->store, &scene->err), 0);
    assert_int_equal(store_fact_get(reader, scene->arena, "k", &text, &scene->err), 0);
    assert_string_equal(text, "2");
    store_close(reader);
    store_stop(scene);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    struct scene *scene = *state;
    uint64_t sums[2] = {0};
    for (int round = 0; round < 2; round++) {
        scene_renew(scene, 42);
        sim_vfs_unregister("sim");
        sim_vfs_register(&scene->disk, "sim");
        store_start(scene);
        for (int i = 0; i < 8; i++)
            assert_int_equal(put(scene, "k", i % 2 ? "u" : "v"), 0);
        power_cycle(scene, SIM_LOSS_TORN);
        size_t size = 0;
        const uint8_t *bytes = sim_disk_bytes(&scene->disk, LOG, &size);
        for (size_t i = 0; i < size; i++)
            sums[round] = sums[round] * 31 + bytes[i];
    }
    assert_true(sums[0] != 0);
    assert_int_equal(sums[0], sums[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(losing_all_leaves_what_was_synced),
        CASE(losing_sectors_splits_a_write),
        CASE(a_torn_write_keeps_all_before_it_and_nothing_after),
        CASE(reordering_may_keep_the_later_write_alone),
        CASE(a_torn_sector_is_not_always_new_or_old),
        CASE(names_last_only_when_the_directory_was_synced),
        CASE(after_a_failed_sync_a_good_one_does_not_bring_the_bytes_back),
        CASE(the_store_lives_on_the_disk),
        CASE(a_committed_batch_survives_every_power_loss),
        CASE(without_synchronous_a_committed_batch_is_lost),
        CASE(a_killed_process_loses_nothing_that_it_wrote),
        CASE(every_call_may_be_the_last_of_the_process),
        CASE(every_call_may_be_the_last_before_the_power_goes),
        CASE(every_failing_call_is_told_and_halves_nothing),
        CASE(a_second_writer_is_refused_until_the_first_is_dead),
        CASE(the_racks_identity_outlives_a_lost_store),
        CASE(an_identity_that_cannot_be_read_is_not_drawn_anew),
        CASE(a_damaged_identity_is_mended_from_the_store_or_refused),
        CASE(a_full_disk_is_told_apart),
        CASE(a_disk_that_became_read_only_keeps_its_reader),
        CASE(a_flipped_bit_in_the_structure_is_refused),
        CASE(a_flipped_bit_in_the_log_leaves_an_older_store),
        CASE(a_second_connection_reads_beside_the_writer),
        CASE(the_same_seed_gives_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
