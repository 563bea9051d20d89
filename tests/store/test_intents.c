/* SPDX-License-Identifier: MPL-2.0 */
/* Intents: their history, and what of it counts for the guard; look-ups cost the same in any rack.
 */
#include "tests/store/row_scene.h"

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

static int64_t left_since(struct scene *scene, int64_t since)
{
    int64_t count = -1;
    ok(scene, store_left_since(scene->store, since, &count, &scene->err));
    return count;
}

static void namesake_put(struct scene *scene, const char *uid, enum lifecycle life,
                         const char *formerly)
{
    struct value *chosen = value_map(scene->arena), *names = value_list(scene->arena);
    if (formerly) {
        value_append(scene->arena, names, value_text(scene->arena, formerly));
        value_set(scene->arena, chosen, "formerly", names);
    }
    const struct known row = {.uid = uid,
                              .kind = "Volume",
                              .project = "shop",
                              .name = "v",
                              .life = life,
                              .generation = 1,
                              .epoch = 1,
                              .chosen = chosen};
    ok(scene, store_object_put(scene->store, &row, &scene->err));
}

/* What is live again or still, or was approved, has not left; what failed may have. */
static void what_left_git_is_counted_by_objects(void **state)
{
    struct scene *scene = *state;
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
    assert_int_equal(left_since(scene, 110), 2);
    assert_int_equal(left_since(scene, 111), 1); /* under way */
    namesake_put(scene, U2, LIFE_LIVE, NULL);
    assert_int_equal(left_since(scene, 110), 1);
    namesake_put(scene, U2, LIFE_RELEASED, NULL);
    assert_int_equal(left_since(scene, 110), 2);
}

static void leaver_put(struct scene *scene, const char *op, const char *uid, bool is_approved)
{
    struct intent intent = intent_of(op, "confirmed", 100, 110);
    intent.verb = "delete";
    intent.uid = uid;
    intent.leaves_git = true;
    intent.is_approved = is_approved;
    intent_put(scene, intent);
}

/* One after the other bore the name, and only the last of them counts, unless a name was passed on:
 * who was renamed to it is somebody else. */
static void what_left_git_is_counted_by_names(void **state)
{
    struct scene *scene = *state;
    leaver_put(scene, "a", U1, false);
    namesake_put(scene, U1, LIFE_GONE, NULL);
    leaver_put(scene, "b", U2, false);
    namesake_put(scene, U2, LIFE_GONE, NULL);
    assert_int_equal(left_since(scene, 110), 1);
    namesake_put(scene, U3, LIFE_LIVE, "w");
    assert_int_equal(left_since(scene, 110), 1);
    leaver_put(scene, "c", U3, false);
    namesake_put(scene, U3, LIFE_RELEASED, "w");
    assert_int_equal(left_since(scene, 110), 2);
    namesake_put(scene, U4, LIFE_LIVE, NULL);
    assert_int_equal(left_since(scene, 110), 1);
}

/* It lets go what went before under this name, and not what goes after it. */
static void an_approved_leaving_begins_anew(void **state)
{
    struct scene *scene = *state;
    leaver_put(scene, "a", U1, false);
    namesake_put(scene, U1, LIFE_GONE, NULL);
    leaver_put(scene, "b", U2, true);
    namesake_put(scene, U2, LIFE_GONE, NULL);
    assert_int_equal(left_since(scene, 110), 0);
    leaver_put(scene, "c", U1, false);
    assert_int_equal(left_since(scene, 110), 1);
    leaver_put(scene, "d", U1, true);
    assert_int_equal(left_since(scene, 110), 0);
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
        intent.leaves_git = true;
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
    int64_t left = -1;
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
    ok(scene, store_left_since(scene->store, 111, &left, &scene->err));
    assert_int_equal(left, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(open_intents_come_oldest_first),
        CASE(history_is_newest_first_and_limited),
        CASE(finished_intents_are_kept_for_90_days_and_the_newest_1000_longer),
        CASE(only_unapproved_destruction_counts),
        CASE(destruction_that_may_have_happened_counts),
        CASE(destruction_is_told_by_kind),
        CASE(what_left_git_is_counted_by_objects),
        CASE(what_left_git_is_counted_by_names),
        CASE(an_approved_leaving_begins_anew),
        CASE(what_a_change_looks_up_takes_the_same_steps_in_any_rack),
        CASE(an_object_that_bore_or_was_promised_another_name_is_found),
        CASE(what_was_released_or_is_gone_is_given_up_unless_it_is_protected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
