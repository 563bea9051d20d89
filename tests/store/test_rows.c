/* SPDX-License-Identifier: MPL-2.0 */
/* Every kind of row: what is put is what is read, in the promised order, pruned as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"
#include "reconciler/store/query.h"

#define U1 "11111111111111111111111111111111"
#define U2 "22222222222222222222222222222222"
#define U3 "33333333333333333333333333333333"
#define U4 "44444444444444444444444444444444"
#define U5 "55555555555555555555555555555555"
#define U6 "66666666666666666666666666666666"
#define U9 "99999999999999999999999999999999"

enum { DAY_S = 24 * 3600 };

struct scene {
    char dir[64];
    struct store *store;
    struct arena *arena;
    struct error err;
};

static int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    strcpy(scene->dir, "/tmp/spinel-rows-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->arena = arena_new();
    if (store_open(scene->dir, STORE_WRITE, &scene->store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    *state = scene;
    return 0;
}

static int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[96];
    store_close(scene->store);
    snprintf(script, sizeof(script), "rm -rf %s", scene->dir);
    int rc = system(script);
    arena_free(scene->arena);
    free(scene);
    return rc;
}

static void ok(struct scene *scene, int rc)
{
    if (rc != 0)
        fail_msg("%d: %s", rc, scene->err.message);
}

static struct value *json(struct scene *scene, const char *text)
{
    struct value *value = NULL;
    ok(scene, json_read(scene->arena, text, strlen(text), &value, &scene->err));
    return value;
}

/* ---- revisions ---------------------------------------------------------------------- */

static int64_t revision_put(struct scene *scene, const char *commit, const char *state)
{
    const struct revision revision = {
        .commit = commit, .author = "Ann", .state = state, .at = 5, .resources = 3};
    int64_t id = 0;
    ok(scene, store_revision_add(scene->store, &revision, &id, &scene->err));
    return id;
}

static void there_is_no_target_before_the_first_revision(void **state)
{
    struct scene *scene = *state;
    struct revision target;
    assert_int_equal(store_revision_target(scene->store, scene->arena, &target, &scene->err),
                     ERR_NOT_FOUND);
}

static void the_target_is_the_newest_accepted_revision(void **state)
{
    struct scene *scene = *state;
    struct revision target, *rows = NULL;
    size_t count = 0;
    int64_t first = revision_put(scene, "aa", "target");
    revision_put(scene, "bb", "target");
    revision_put(scene, "cc", "refused");

    ok(scene, store_revision_state(scene->store, first, "superseded", 0, &scene->err));
    ok(scene, store_revision_target(scene->store, scene->arena, &target, &scene->err));
    assert_string_equal(target.commit, "bb");
    assert_string_equal(target.parent, "");
    ok(scene, store_revision_state(scene->store, target.id, "applied", 99, &scene->err));
    ok(scene, store_revision_target(scene->store, scene->arena, &target, &scene->err));
    assert_int_equal(target.converged_at, 99);
    ok(scene, store_revisions(scene->store, scene->arena, (struct page){.limit = 2}, &rows, &count,
                              &scene->err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].commit, "cc");
    assert_int_equal(rows[1].resources, 3);
    assert_int_equal(store_revision_state(scene->store, 77, "applied", 0, &scene->err),
                     ERR_NOT_FOUND);
}

/* ---- parses ------------------------------------------------------------------------- */

static void a_parse_of_other_kinds_is_not_seen_and_dropped_at_a_start(void **state)
{
    struct scene *scene = *state;
    const struct value *documents = NULL;
    ok(scene, store_parse_put(scene->store, "aa", json(scene, "[]"), &scene->err));
    ok(scene, store_parse_get(scene->store, scene->arena, "aa", &documents, &scene->err));
    assert_non_null(documents);

    assert_int_equal(sqlite3_exec(scene->store->db,
                                  "UPDATE parse SET schema = 'old';"
                                  "UPDATE fact SET text = 'old' WHERE key = 'parseSchema'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ok(scene, store_parse_get(scene->store, scene->arena, "aa", &documents, &scene->err));
    assert_null(documents);
    store_close(scene->store);
    ok(scene, store_open(scene->dir, STORE_WRITE, &scene->store, &scene->err));
    struct query query;
    query_start(&query, scene->store, "SELECT count(*) FROM parse", &scene->err);
    assert_int_equal(query_next(&query), 1);
    assert_int_equal(query_int(&query), 0);
    query_end(&query);
}

/* ---- objects ------------------------------------------------------------------------ */

static struct known known_of(struct scene *scene, const char *kind, const char *project,
                             const char *name, const char *uid)
{
    return (struct known){.uid = uid,
                          .kind = kind,
                          .project = project,
                          .name = name,
                          .life = LIFE_LIVE,
                          .generation = 2,
                          .epoch = UINT64_C(1) << 53,
                          .protect = true,
                          .chosen = json(scene, "{\"mac\":\"02:00\"}"),
                          .applied = json(scene, "{\"size\":1}"),
                          .tried = json(scene, "{\"size\":3}"),
                          .start_failures = 4,
                          .stopped_by_guest_at = 8,
                          .next_start = 9,
                          .remove_deletes = true};
}

static void an_object_comes_back_whole_with_its_observation(void **state)
{
    struct scene *scene = *state;
    struct known *rows = NULL;
    size_t count = 0;
    struct known known = known_of(scene, "Volume", "shop", "db", U1);
    const struct observation seen = {.known = true,
                                     .released = true,
                                     .epoch = 7,
                                     .at = 11,
                                     .spec = json(scene, "{\"size\":2}"),
                                     .damage = json(scene, "[{\"path\":\"tap\"}]")};
    ok(scene, store_object_put(scene->store, &known, &scene->err));
    ok(scene, store_observation_put(scene->store, U1, &seen, "etag", &scene->err));
    known.generation = 3;
    ok(scene, store_object_put(scene->store, &known, &scene->err));

    ok(scene, store_objects(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].generation, 3);
    assert_true(rows[0].epoch == UINT64_C(1) << 53);
    assert_true(rows[0].protect && rows[0].remove_deletes);
    assert_true(value_equal(rows[0].chosen, known.chosen));
    assert_true(value_equal(rows[0].applied, known.applied));
    assert_true(value_equal(rows[0].tried, known.tried));
    assert_null(rows[0].labels);
    assert_int_equal(rows[0].start_failures, 4);
    assert_int_equal(rows[0].stopped_by_guest_at, 8);
    assert_int_equal(rows[0].next_start, 9);
    assert_true(rows[0].observed.known && rows[0].observed.released && !rows[0].observed.absent);
    assert_int_equal(rows[0].observed.epoch, 7);
    assert_int_equal(rows[0].observed.at, 11);
    assert_true(value_equal(rows[0].observed.spec, seen.spec));
    assert_true(value_equal(rows[0].observed.damage, seen.damage));
    assert_null(rows[0].observed.booted);
}

static void each_row_keeps_its_own_values(void **state)
{
    struct scene *scene = *state;
    struct known *rows = NULL;
    size_t count = 0;
    char name[8], uid[33], text[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "%05d", i);
        snprintf(uid, sizeof(uid), "%032x", (unsigned)i);
        snprintf(text, sizeof(text), "{\"n\":%d}", i % 1500);
        struct known known = known_of(scene, "Volume", "shop", name, uid);
        known.applied = json(scene, text);
        ok(scene, store_object_put(scene->store, &known, &scene->err));
        if (i == 0)
            ok(scene, store_begin(scene->store, &scene->err));
    }
    ok(scene, store_commit(scene->store, &scene->err));

    ok(scene, store_objects(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 3000);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(value_get_int(rows[i].applied, "n", -1), i % 1500);
        assert_string_equal(value_get_text(rows[i].chosen, "mac", ""), "02:00");
    }
}

static void an_observation_of_nothing_recorded_is_refused(void **state)
{
    struct scene *scene = *state;
    const struct observation seen = {.known = true};
    assert_int_equal(store_observation_put(scene->store, U9, &seen, NULL, &scene->err),
                     ERR_NOT_FOUND);
}

static void objects_come_in_the_plans_order(void **state)
{
    struct scene *scene = *state;
    struct known *rows = NULL;
    size_t count = 0;
    const struct known given[] = {
        known_of(scene, "Instance", "a", "x", U1), known_of(scene, "Volume", "b", "a", U2),
        known_of(scene, "Volume", "a", "z", U3),   known_of(scene, "Pool", NULL, "p", U4),
        known_of(scene, "Image", "a", "i", U6),    known_of(scene, "Image", NULL, "i", U5),
    };
    static const char *const expected[] = {U4, U5, U6, U3, U2, U1};
    for (size_t i = 0; i < 6; i++)
        ok(scene, store_object_put(scene->store, &given[i], &scene->err));

    ok(scene, store_objects(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(rows[i].uid, expected[i]);
}

/* There are partial indexes on one kind: what a statement is asked for must not compile it anew. */
static void a_statement_is_compiled_once(void **state)
{
    struct scene *scene = *state;
    static const char *const kinds[] = {"Volume", "NIC", "VPC"};
    uint64_t gone;

    for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(*kinds); i++)
        ok(scene, store_incarnations(scene->store, kinds[i % 3], "shop", "db", &gone, &scene->err));
    for (size_t i = 0; i < scene->store->cached; i++)
        assert_int_equal(
            sqlite3_stmt_status(scene->store->cache[i].stmt, SQLITE_STMTSTATUS_REPREPARE, 0), 0);
    assert_true(scene->store->cached > 0);
}

static void gone_objects_are_counted_and_not_listed(void **state)
{
    struct scene *scene = *state;
    struct known *rows = NULL;
    size_t count = 9;
    uint64_t gone = 9;
    struct known known = known_of(scene, "Volume", "shop", "db", U1);
    known.life = LIFE_GONE;
    ok(scene, store_object_put(scene->store, &known, &scene->err));
    known.uid = U2;
    ok(scene, store_object_put(scene->store, &known, &scene->err));
    known.uid = U3;
    known.project = NULL;
    ok(scene, store_object_put(scene->store, &known, &scene->err));

    ok(scene, store_objects(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 0);
    ok(scene, store_incarnations(scene->store, "Volume", "shop", "db", &gone, &scene->err));
    assert_int_equal(gone, 2);
    ok(scene, store_incarnations(scene->store, "Volume", NULL, "db", &gone, &scene->err));
    assert_int_equal(gone, 1);
    ok(scene, store_incarnations(scene->store, "Volume", "shop", "other", &gone, &scene->err));
    assert_int_equal(gone, 0);
}

/* ---- intents ------------------------------------------------------------------------ */

static struct intent intent_of(const char *op, const char *state, int64_t created, int64_t finished)
{
    return (struct intent){.op = op,
                           .uid = U1,
                           .epoch = 3,
                           .verb = "create",
                           .state = state,
                           .created_at = created,
                           .finished_at = finished};
}

static void intent_put(struct scene *scene, struct intent intent)
{
    ok(scene, store_intent_put(scene->store, &intent, &scene->err));
}

static void open_intents_come_oldest_first(void **state)
{
    struct scene *scene = *state;
    struct intent *rows = NULL;
    size_t count = 0;
    intent_put(scene, intent_of("z", "pending", 1, 0));
    intent_put(scene, intent_of("a", "claimed", 2, 0));
    intent_put(scene, intent_of("m", "confirmed", 1, 3));
    struct intent again = intent_of("z", "claimed", 1, 0);
    again.attempts = 2;
    again.error = "no room";
    again.step = json(scene, "{\"action\":\"create\"}");
    intent_put(scene, again);
    const struct value *written = again.step;
    again.step = NULL; /* what was written stays */
    intent_put(scene, again);

    ok(scene, store_intents_open(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].op, "z");
    assert_int_equal(rows[0].attempts, 2);
    assert_string_equal(rows[0].error, "no room");
    assert_true(value_equal(rows[0].step, written));
    assert_string_equal(rows[1].op, "a");
    assert_string_equal(rows[1].error, "");
}

static void history_is_newest_first_and_limited(void **state)
{
    struct scene *scene = *state;
    struct intent *rows = NULL, other = intent_of("o", "failed", 2, 2);
    size_t count = 0;
    other.uid = U2;
    intent_put(scene, intent_of("a", "confirmed", 1, 1));
    intent_put(scene, other);
    intent_put(scene, intent_of("b", "confirmed", 3, 3));

    ok(scene, store_intents(scene->store, scene->arena, U1, (struct page){.limit = 10}, &rows,
                            &count, &scene->err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].op, "b");
    ok(scene, store_intents(scene->store, scene->arena, NULL, (struct page){.limit = 2}, &rows,
                            &count, &scene->err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[1].op, "o");
    ok(scene, store_intents(scene->store, scene->arena, NULL, (struct page){.limit = SIZE_MAX},
                            &rows, &count, &scene->err));
    assert_int_equal(count, 3);
}

static void intents_put(struct scene *scene, const char *name, int count, int64_t finished)
{
    for (int i = 0; i < count; i++)
        intent_put(scene, intent_of(arena_printf(scene->arena, "%s-%d", name, i), "confirmed", 1,
                                    finished));
}

static void finished_intents_are_kept_for_90_days_and_the_newest_1000_longer(void **state)
{
    struct scene *scene = *state;
    struct intent *rows = NULL;
    size_t count = 0;
    int64_t now = 1000 * DAY_S;
    intents_put(scene, "old", 3, now - 91 * DAY_S);
    intent_put(scene, intent_of("young", "confirmed", 1, now - 89 * DAY_S));
    intent_put(scene, intent_of("open", "pending", 1, 0));
    intents_put(scene, "new", 996, now);
    ok(scene, store_intents(scene->store, scene->arena, NULL, (struct page){.limit = 2000}, &rows,
                            &count, &scene->err));
    assert_int_equal(count, 1000);
    assert_string_equal(rows[999].op, "old-1");
    intents_put(scene, "newer", 4, now);
    ok(scene, store_intents(scene->store, scene->arena, NULL, (struct page){.limit = 2000}, &rows,
                            &count, &scene->err));
    assert_int_equal(count, 1002);
    assert_string_equal(rows[1001].op, "young");
}

static int64_t destroyed_since(struct scene *scene, int64_t since)
{
    struct loss *losses = NULL;
    size_t count = 0;
    int64_t sum = 0;
    ok(scene,
       store_destroyed_since(scene->store, scene->arena, since, &losses, &count, &scene->err));
    for (size_t i = 0; i < count; i++)
        sum += losses[i].count;
    return sum;
}

static void only_unapproved_destruction_counts(void **state)
{
    struct scene *scene = *state;
    struct intent intent = intent_of("a", "confirmed", 100, 110);
    intent.is_destructive = true;
    intent_put(scene, intent);
    intent.op = "b", intent.state = "claimed", intent.finished_at = 0;
    intent_put(scene, intent);
    intent.op = "c", intent.is_approved = true;
    intent_put(scene, intent);
    intent.op = "d", intent.is_approved = false, intent.state = "pending";
    intent_put(scene, intent);
    intent_put(scene, intent_of("e", "confirmed", 100, 110));

    assert_int_equal(destroyed_since(scene, 100), 2);
    assert_int_equal(destroyed_since(scene, 105), 1);
    assert_int_equal(destroyed_since(scene, 111), 0);
}

/* Found by the simulator: what had failed after its effect, or was given up, cost nothing. */
static void destruction_that_may_have_happened_counts(void **state)
{
    struct scene *scene = *state;
    struct intent intent = intent_of("failed", "failed", 100, 110);
    intent.is_destructive = true;
    intent.uid = "11111111111111111111111111111111";
    intent_put(scene, intent);
    intent.op = "again"; /* the same object: it is lost once */
    intent_put(scene, intent);
    intent.op = "given-up", intent.state = "superseded";
    intent.uid = "22222222222222222222222222222222";
    intent_put(scene, intent);
    assert_int_equal(destroyed_since(scene, 100), 2);
}

/* What is gone was there, and counts in the share that may be destroyed. */
static void destruction_is_told_by_kind(void **state)
{
    struct scene *scene = *state;
    static const char *const uids[] = {"11111111111111111111111111111111",
                                       "22222222222222222222222222222222",
                                       "33333333333333333333333333333333"};
    const enum lifecycle lives[] = {LIFE_GONE, LIFE_LIVE, LIFE_GONE};
    struct loss *losses = NULL;
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        struct known row = {.uid = uids[i],
                            .kind = i < 2 ? "Instance" : "Volume",
                            .project = "shop",
                            .name = uids[i],
                            .life = lives[i],
                            .generation = 1,
                            .epoch = 1,
                            .chosen = value_map(scene->arena)};
        struct intent intent = intent_of(uids[i], "confirmed", 100, 110);
        ok(scene, store_object_put(scene->store, &row, &scene->err));
        intent.uid = uids[i];
        intent.is_destructive = true;
        intent_put(scene, intent);
    }
    ok(scene, store_destroyed_since(scene->store, scene->arena, 100, &losses, &count, &scene->err));
    assert_int_equal(count, 2);
    assert_string_equal(losses[0].kind, "Instance");
    assert_int_equal(losses[0].count, 2);
    assert_int_equal(losses[0].gone, 1);
    assert_string_equal(losses[1].kind, "Volume");
    assert_int_equal(losses[1].count, 1);
    assert_int_equal(losses[1].gone, 1);
}

/* What is live again or still, or was approved, has not left; what failed may have. */
static void what_left_git_is_counted_by_objects(void **state)
{
    struct scene *scene = *state;
    int64_t count = -1;
    struct intent intent = intent_of("a", "confirmed", 100, 110);
    intent.verb = "release";
    intent.leaves_git = true;
    intent.uid = U1;
    intent_put(scene, intent);
    intent.op = "b", intent.verb = "delete", intent.state = "failed"; /* the same object */
    intent_put(scene, intent);
    intent.op = "c", intent.uid = U2, intent.state = "claimed", intent.finished_at = 0;
    intent_put(scene, intent);
    intent.op = "d", intent.uid = U3, intent.is_approved = true;
    intent_put(scene, intent);
    intent.op = "e", intent.uid = U4, intent.is_approved = intent.leaves_git = false;
    intent_put(scene, intent);
    ok(scene, store_left_since(scene->store, 110, &count, &scene->err));
    assert_int_equal(count, 2);
    ok(scene, store_left_since(scene->store, 111, &count, &scene->err));
    assert_int_equal(count, 1); /* under way */
    struct known row = {.uid = U2,
                        .kind = "Volume",
                        .project = "shop",
                        .name = "v",
                        .life = LIFE_LIVE,
                        .generation = 1,
                        .epoch = 1,
                        .chosen = value_map(scene->arena)};
    ok(scene, store_object_put(scene->store, &row, &scene->err));
    ok(scene, store_left_since(scene->store, 110, &count, &scene->err));
    assert_int_equal(count, 1);
    row.life = LIFE_RELEASED;
    ok(scene, store_object_put(scene->store, &row, &scene->err));
    ok(scene, store_left_since(scene->store, 110, &count, &scene->err));
    assert_int_equal(count, 2);
}

/* ---- what does not grow with the rack ----------------------------------------------- */

static void rack_fill(struct scene *scene, unsigned from, unsigned to)
{
    ok(scene, store_begin(scene->store, &scene->err));
    for (unsigned i = from; i < to; i++) {
        struct value *chosen = value_map(scene->arena);
        value_set_text(scene->arena, chosen, "address",
                       arena_printf(scene->arena, "10.0.%u.%u", i / 200, i % 200));
        value_set_text(scene->arena, chosen, "mac", "02:00:00:00:00:01");
        const struct known row = {.uid = arena_printf(scene->arena, "%032u", i),
                                  .kind = "NIC",
                                  .project = "shop",
                                  .name = arena_printf(scene->arena, "vm%u.eth0", i),
                                  .life = LIFE_LIVE,
                                  .chosen = chosen};
        ok(scene, store_object_put(scene->store, &row, &scene->err));
        ok(scene, store_mention_put(scene->store, i, "a.yaml", &scene->err));
        struct intent intent =
            intent_of(arena_printf(scene->arena, "op%u", i), "confirmed", 100, 110);
        intent.uid = row.uid;
        intent_put(scene, intent);
    }
    ok(scene, store_commit(scene->store, &scene->err));
}

/* SQLite's steps of all statements since the last call. */
static int64_t steps_taken(struct scene *scene)
{
    int64_t steps = 0;
    for (sqlite3_stmt *stmt = NULL; (stmt = sqlite3_next_stmt(scene->store->db, stmt));)
        steps += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 1);
    return steps;
}

static int64_t look_ups(struct scene *scene)
{
    struct arena *arena = scene->arena;
    struct known *rows = NULL;
    const char *const *paths = NULL;
    size_t count = 0;
    uint64_t incarnations = 0;
    steps_taken(scene);
    ok(scene, store_objects_named(scene->store, arena, "NIC", "shop", "vm3.eth0", &rows, &count,
                                  &scene->err));
    assert_int_equal(count, 1);
    ok(scene, store_nics_at(scene->store, arena, "shop", "10.0.0.3", &rows, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].name, "vm3.eth0");
    ok(scene, store_nics_at(scene->store, arena, "shop", "10.0.0.", &rows, &count, &scene->err));
    assert_int_equal(count, 0);
    ok(scene, store_objects_renamed(scene->store, arena, 9, &rows, &count, &scene->err));
    assert_int_equal(count, 0);
    ok(scene, store_mentions(scene->store, arena, 3, 9, &paths, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_int_equal(
        store_has_object(scene->store, "00000000000000000000000000000003", &scene->err), 1);
    ok(scene,
       store_incarnations(scene->store, "NIC", "shop", "vm3.eth0", &incarnations, &scene->err));
    assert_int_equal(destroyed_since(scene, 100), 0);
    return steps_taken(scene);
}

/* The day's destructions were counted by a walk through all intents ever made. */
static void what_a_change_looks_up_takes_the_same_steps_in_any_rack(void **state)
{
    struct scene *scene = *state;
    rack_fill(scene, 0, 10);
    int64_t small = look_ups(scene);
    rack_fill(scene, 10, 1000);

    assert_true(small > 0);
    assert_int_equal(look_ups(scene), small);
}

static void an_object_that_bore_or_was_promised_another_name_is_found(void **state)
{
    struct scene *scene = *state;
    struct known *rows = NULL;
    size_t count = 0;
    const char *const chosen[] = {"{}", "{\"formerly\":[\"a\"]}", "{\"becomes\":\"b\"}"};
    for (unsigned i = 0; i < 3; i++) {
        struct value *value = NULL;
        ok(scene, json_read(scene->arena, chosen[i], strlen(chosen[i]), &value, &scene->err));
        const struct known row = {.uid = arena_printf(scene->arena, "%032x", i),
                                  .kind = "Volume",
                                  .project = "shop",
                                  .name = "v",
                                  .life = LIFE_LIVE,
                                  .chosen = value};
        ok(scene, store_object_put(scene->store, &row, &scene->err));
    }
    ok(scene, store_objects_renamed(scene->store, scene->arena, 9, &rows, &count, &scene->err));
    assert_int_equal(count, 2);
    ok(scene, store_objects_renamed(scene->store, scene->arena, 1, &rows, &count, &scene->err));
    assert_int_equal(count, 1);
}

static void what_was_released_or_is_gone_is_given_up_unless_it_is_protected(void **state)
{
    static const struct {
        const char *kind;
        enum lifecycle life;
        bool protect;
        int code;
    } rows[] = {
        {"Volume", LIFE_RELEASED, false, 0},
        {"Volume", LIFE_GONE, false, 0},
        {"Volume", LIFE_RELEASED, true, ERR_DENIED},
        {"Volume", LIFE_GONE, true, ERR_DENIED}, /* it was lost, and may come back */
        {"Volume", LIFE_LIVE, false, ERR_NOT_FOUND},
        {"Instance", LIFE_GONE, false, ERR_NOT_FOUND},
    };
    struct scene *scene = *state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct known row = {.uid = arena_printf(scene->arena, "%032x", i),
                                  .kind = rows[i].kind,
                                  .project = "shop",
                                  .name = arena_printf(scene->arena, "v%u", i),
                                  .life = rows[i].life,
                                  .protect = rows[i].protect,
                                  .chosen = json(scene, "{}")};
        struct known *now = NULL;
        size_t count = 0;
        ok(scene, store_object_put(scene->store, &row, &scene->err));
        assert_int_equal(store_object_purge(scene->store, row.uid, &scene->err), rows[i].code);
        if (rows[i].code == ERR_DENIED)
            assert_non_null(strstr(scene->err.message, "is protected"));
        ok(scene, store_objects(scene->store, scene->arena, &now, &count, &scene->err));
        for (size_t n = 0; n < count; n++)
            if (strcmp(now[n].uid, row.uid) == 0)
                assert_int_equal(now[n].remove_deletes, rows[i].code == 0);
    }
}

/* ---- plans, holds, freezes ---------------------------------------------------------- */

static void a_plan_is_used_once(void **state)
{
    struct scene *scene = *state;
    const struct value *document = NULL;
    struct value *list = NULL;
    ok(scene, store_plan_put(scene->store, "h1", "aa", 5, json(scene, "{\"n\":1}"), &scene->err));
    ok(scene, store_plan_put(scene->store, "h1", "bb", 6, json(scene, "{\"n\":2}"), &scene->err));
    ok(scene, store_plan_use(scene->store, "h1", 7, &scene->err));
    assert_int_equal(store_plan_use(scene->store, "h1", 8, &scene->err), ERR_CONFLICT);
    assert_true(scene->err.hint[0] != '\0');

    ok(scene, store_plan_get(scene->store, scene->arena, "h1", &document, &scene->err));
    assert_int_equal(value_get_int(document, "n", 0), 1);
    ok(scene, store_plans(scene->store, scene->arena, 9, &list, &scene->err));
    assert_string_equal(json_text(scene->arena, list),
                        "[{\"hash\":\"h1\",\"commit\":\"aa\",\"at\":5,\"used\":7}]");
}

static void plans_are_kept_for_90_days_and_the_newest_100_longer(void **state)
{
    struct scene *scene = *state;
    const struct value *document = json(scene, "{}");
    struct value *list = NULL;
    int64_t now = 1000 * DAY_S;
    ok(scene, store_plan_put(scene->store, "old", "aa", 1, document, &scene->err));
    ok(scene, store_plan_put(scene->store, "used", "aa", 2, document, &scene->err));
    ok(scene, store_plan_use(scene->store, "used", now - DAY_S, &scene->err));
    for (int i = 0; i < 98; i++)
        ok(scene, store_plan_put(scene->store, arena_printf(scene->arena, "new-%d", i), "aa", now,
                                 document, &scene->err));
    ok(scene, store_plan_get(scene->store, scene->arena, "old", &document, &scene->err));
    for (int i = 0; i < 2; i++)
        ok(scene, store_plan_put(scene->store, arena_printf(scene->arena, "newer-%d", i), "aa", now,
                                 document, &scene->err));
    ok(scene, store_plans(scene->store, scene->arena, 200, &list, &scene->err));
    assert_int_equal(list->count, 101);
    assert_int_equal(store_plan_get(scene->store, scene->arena, "old", &document, &scene->err),
                     ERR_NOT_FOUND);
}

static void a_plan_known_only_by_its_file_is_used_once_too(void **state)
{
    struct scene *scene = *state;
    const struct value *document = NULL;
    ok(scene, store_plan_use(scene->store, "h2", 7, &scene->err));
    assert_int_equal(store_plan_use(scene->store, "h2", 8, &scene->err), ERR_CONFLICT);
    assert_int_equal(store_plan_get(scene->store, scene->arena, "h2", &document, &scene->err),
                     ERR_NOT_FOUND);
}

static void a_hold_is_approved_once_by_somebody(void **state)
{
    struct scene *scene = *state;
    struct value *list = NULL, *told = NULL;
    ok(scene, store_hold_put(scene->store, "k1", "collapse", "half is gone", 5, &scene->err));
    ok(scene, store_hold_put(scene->store, "k1", "collapse", "half is gone", 6, &scene->err));
    assert_int_equal(store_hold_approve(scene->store, "k9", "ann", 7, &scene->err), ERR_NOT_FOUND);
    ok(scene, store_holds(scene->store, scene->arena, &list, &scene->err));
    assert_int_equal(list->count, 1);
    assert_null(value_get_text(list->items[0], "approvedBy", NULL));

    assert_int_equal(store_hold_get(scene->store, scene->arena, "k9", &told, &scene->err),
                     ERR_NOT_FOUND);
    ok(scene, store_hold_get(scene->store, scene->arena, "k1", &told, &scene->err));
    assert_string_equal(json_text(scene->arena, told),
                        "{\"hold\":\"k1\",\"rule\":\"collapse\",\"reason\":\"half is gone\"}");
    ok(scene,
       store_plan_put(scene->store, "h1", "aa", 6,
                      json(scene, "{\"holds\":[{\"id\":\"k1\",\"steps\":3}]}"), &scene->err));
    ok(scene,
       store_plan_put(scene->store, "h2", "bb", 6,
                      json(scene, "{\"holds\":[{\"id\":\"k11\",\"steps\":4}]}"), &scene->err));
    ok(scene, store_hold_get(scene->store, scene->arena, "k1", &told, &scene->err));
    assert_string_equal(value_get_text(told, "commit", ""), "aa");
    assert_int_equal(value_get_int(told, "steps", 0), 3);

    ok(scene, store_hold_approve(scene->store, "k1", "ann", 7, &scene->err));
    assert_int_equal(store_hold_approve(scene->store, "k1", "bob", 8, &scene->err), ERR_CONFLICT);
    assert_non_null(strstr(scene->err.message, "ann"));
    ok(scene, store_holds(scene->store, scene->arena, &list, &scene->err));
    assert_string_equal(value_get_text(list->items[0], "approvedBy", ""), "ann");
    assert_int_equal(value_get_int(list->items[0], "approvedAt", 0), 7);
}

static void freezes_are_replaced_and_lifted(void **state)
{
    struct scene *scene = *state;
    struct freeze *rows = NULL;
    size_t count = 0;
    struct freeze freeze = {.what = "healing", .who = "ann", .why = "work", .until = 0};
    ok(scene, store_freeze_put(scene->store, &freeze, 5, &scene->err));
    freeze.until = 99;
    ok(scene, store_freeze_put(scene->store, &freeze, 6, &scene->err));

    ok(scene, store_freezes(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].until, 99);
    assert_string_equal(rows[0].why, "work");
    freeze.until = -1; /* what could not be read again is not written */
    assert_int_equal(store_freeze_put(scene->store, &freeze, 7, &scene->err), ERR_INVALID);
    freeze.until = INT64_MAX;
    assert_int_equal(store_freeze_put(scene->store, &freeze, 7, &scene->err), ERR_INVALID);
    freeze.until = 7; /* it would be no freeze */
    assert_int_equal(store_freeze_put(scene->store, &freeze, 7, &scene->err), ERR_INVALID);
    char *essay = arena_text_room(scene->arena, 1001);
    memset(essay, 'x', 1001);
    struct freeze wordy = {.what = "healing", .who = "ann", .why = essay};
    assert_int_equal(store_freeze_put(scene->store, &wordy, 7, &scene->err), ERR_INVALID);
    ok(scene, store_freezes(scene->store, scene->arena, &rows, &count, &scene->err));
    assert_int_equal(rows[0].until, 99);
    ok(scene, store_freeze_lift(scene->store, "healing", &scene->err));
    assert_int_equal(store_freeze_lift(scene->store, "healing", &scene->err), ERR_NOT_FOUND);
}

/* ---- events and drift --------------------------------------------------------------- */

static void events_are_followed_by_number(void **state)
{
    struct scene *scene = *state;
    struct event *rows = NULL;
    size_t count = 0;
    int64_t seq[3];
    for (int i = 0; i < 3; i++) {
        struct event event = {.at_ms = i,
                              .type = "converged",
                              .text = "done",
                              .data = i ? json(scene, "{\"n\":1}") : NULL};
        ok(scene, store_event_add(scene->store, &event, &seq[i], &scene->err));
    }
    assert_int_equal(seq[2], seq[0] + 2);

    ok(scene, store_events(scene->store, scene->arena, seq[0], 9, &rows, &count, &scene->err));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].seq, seq[1]);
    assert_non_null(rows[0].data);
    assert_null(rows[0].uid);
    ok(scene, store_events(scene->store, scene->arena, -1, 1, &rows, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].seq, seq[2]);
}

static void the_newest_100000_events_are_kept(void **state)
{
    struct scene *scene = *state;
    struct event *rows = NULL, event = {.type = "t", .text = "x"};
    size_t count = 0;
    int64_t seq = 0;
    ok(scene, store_begin(scene->store, &scene->err));
    for (int i = 0; i < 100010; i++)
        ok(scene, store_event_add(scene->store, &event, &seq, &scene->err));
    ok(scene, store_commit(scene->store, &scene->err));

    ok(scene, store_events(scene->store, scene->arena, 0, SIZE_MAX, &rows, &count, &scene->err));
    assert_int_equal(count, 100000);
    assert_int_equal(rows[0].seq, 11);
}

static struct drift_row drift_of(int64_t at)
{
    return (struct drift_row){.uid = U1,
                              .kind = "Volume",
                              .project = "shop",
                              .name = "db",
                              .path = "spec.size",
                              .desired = "1",
                              .observed = "2",
                              .since = at,
                              .last_seen = at,
                              .detected_by = "resync",
                              .cause = "unknown",
                              .disposition = "run"};
}

static void drift_opens_once_and_is_refreshed(void **state)
{
    struct scene *scene = *state;
    struct drift_row *rows = NULL, row = drift_of(5);
    size_t count = 0;
    ok(scene, store_drift_seen(scene->store, &row, &scene->err));
    row = drift_of(9);
    row.observed = "3";
    ok(scene, store_drift_seen(scene->store, &row, &scene->err));

    ok(scene, store_drifts(scene->store, scene->arena, 0, &rows, &count, &scene->err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].since, 5);
    assert_int_equal(rows[0].last_seen, 9);
    assert_string_equal(rows[0].observed, "3");
    assert_int_equal(rows[0].count, 0);
}

static void drift_that_comes_back_is_counted(void **state)
{
    struct scene *scene = *state;
    struct drift_row *rows = NULL;
    size_t count = 0;
    for (int i = 0; i < 3; i++) {
        struct drift_row row = drift_of(10 * i);
        ok(scene, store_drift_seen(scene->store, &row, &scene->err));
        if (i < 2)
            ok(scene,
               store_drift_healed(scene->store, U1, "spec.size", 10 * i + 5, "op", &scene->err));
    }
    ok(scene, store_drift_healed(scene->store, U1, "spec.other", 5, "op", &scene->err));

    ok(scene, store_drifts(scene->store, scene->arena, 15, &rows, &count, &scene->err));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].healed_at, 15);
    assert_string_equal(rows[0].healed_by, "op");
    assert_int_equal(rows[1].healed_at, 0);
    assert_int_equal(rows[1].count, 2);
}

static void drift_heals(struct scene *scene, const char *path, int64_t at)
{
    struct drift_row row = drift_of(at - 1);
    row.path = path;
    ok(scene, store_drift_seen(scene->store, &row, &scene->err));
    ok(scene, store_drift_healed(scene->store, U1, path, at, "op", &scene->err));
}

static void healed_drift_is_kept_for_90_days_and_the_newest_1000_longer(void **state)
{
    struct scene *scene = *state;
    struct drift_row *rows = NULL;
    size_t count = 0;
    drift_heals(scene, "spec.old", 100 * DAY_S);
    drift_heals(scene, "spec.young", 102 * DAY_S);
    for (int i = 0; i < 998; i++)
        drift_heals(scene, arena_printf(scene->arena, "spec.%d", i), 191 * DAY_S);
    ok(scene, store_drifts(scene->store, scene->arena, 1, &rows, &count, &scene->err));
    assert_int_equal(count, 1000);
    assert_string_equal(rows[0].path, "spec.old");
    drift_heals(scene, "spec.newest", 191 * DAY_S);
    ok(scene, store_drifts(scene->store, scene->arena, 1, &rows, &count, &scene->err));
    assert_int_equal(count, 1000);
    assert_string_equal(rows[0].path, "spec.young");
}

static void of_a_field_that_flaps_the_newest_100_are_kept(void **state)
{
    struct scene *scene = *state;
    struct drift_row *rows = NULL;
    size_t count = 0;
    for (int i = 1; i <= 150; i++) {
        struct drift_row row = drift_of(10 * i);
        ok(scene, store_drift_seen(scene->store, &row, &scene->err));
        ok(scene, store_drift_healed(scene->store, U1, "spec.size", 10 * i + 5, "op", &scene->err));
    }
    ok(scene, store_drifts(scene->store, scene->arena, 1, &rows, &count, &scene->err));
    assert_int_equal(count, 100);
    assert_int_equal(rows[99].count, 149);
    assert_int_equal(rows[0].healed_at, 515);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(there_is_no_target_before_the_first_revision),
        CASE(the_target_is_the_newest_accepted_revision),
        CASE(a_parse_of_other_kinds_is_not_seen_and_dropped_at_a_start),
        CASE(an_object_comes_back_whole_with_its_observation),
        CASE(each_row_keeps_its_own_values),
        CASE(an_observation_of_nothing_recorded_is_refused),
        CASE(objects_come_in_the_plans_order),
        CASE(a_statement_is_compiled_once),
        CASE(gone_objects_are_counted_and_not_listed),
        CASE(open_intents_come_oldest_first),
        CASE(history_is_newest_first_and_limited),
        CASE(finished_intents_are_kept_for_90_days_and_the_newest_1000_longer),
        CASE(only_unapproved_destruction_counts),
        CASE(destruction_that_may_have_happened_counts),
        CASE(destruction_is_told_by_kind),
        CASE(what_left_git_is_counted_by_objects),
        CASE(what_a_change_looks_up_takes_the_same_steps_in_any_rack),
        CASE(an_object_that_bore_or_was_promised_another_name_is_found),
        CASE(what_was_released_or_is_gone_is_given_up_unless_it_is_protected),
        CASE(a_plan_is_used_once),
        CASE(plans_are_kept_for_90_days_and_the_newest_100_longer),
        CASE(a_plan_known_only_by_its_file_is_used_once_too),
        CASE(a_hold_is_approved_once_by_somebody),
        CASE(freezes_are_replaced_and_lifted),
        CASE(events_are_followed_by_number),
        CASE(the_newest_100000_events_are_kept),
        CASE(drift_opens_once_and_is_refreshed),
        CASE(drift_that_comes_back_is_counted),
        CASE(healed_drift_is_kept_for_90_days_and_the_newest_1000_longer),
        CASE(of_a_field_that_flaps_the_newest_100_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
