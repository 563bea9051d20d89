/* SPDX-License-Identifier: MPL-2.0 */
/* Every kind of row: what is put is what is read, in the promised order, pruned as promised. */
#include "tests/store/row_scene.h"

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

static void what_no_approval_lifts_takes_none(void **state)
{
    struct scene *scene = *state;
    ok(scene, store_hold_put(scene->store, "k2", RULE_OWNERSHIP, "not ours", 1, &scene->err));
    assert_int_equal(store_hold_approve(scene->store, "k2", "ann", 8, &scene->err), ERR_CONFLICT);
    assert_non_null(strstr(scene->err.message, "no approval lifts"));
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
        CASE(a_plan_is_used_once),
        CASE(plans_are_kept_for_90_days_and_the_newest_100_longer),
        CASE(a_plan_known_only_by_its_file_is_used_once_too),
        CASE(a_hold_is_approved_once_by_somebody),
        CASE(what_no_approval_lifts_takes_none),
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
