/* SPDX-License-Identifier: MPL-2.0 */
/* Looks at a rack that is as declared, and of which nothing new is told: rows are not read and no
 * plan is made, and lists are asked for by their token. Anything else is planned as ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/rack.c"

static const int64_t minute = 60000;

static int setup(void **state)
{
    rack_setup_volume(state);
    struct rack *rack = *state;
    rack->has_tokens = true;
    rack_settle(rack, "1");
    rack->reads = rack->plans = rack->lists = rack->lists_unchanged = rack->looks = 0;
    return 0;
}

static void resync(struct rack *rack)
{
    rack->now_ms += rack->config.resync_ms;
    core_timer(rack->core);
    assert_true(rack_run(rack, minute));
}

/* Drivers were asked, and none has answered yet. */
static void look_begins(struct rack *rack)
{
    rack->now_ms += rack->config.resync_ms;
    core_timer(rack->core);
    core_pump(rack->core);
    assert_true(core_load(rack->core).queued == 0 && rack->queue_first < rack->queue_end);
}

static void asked_look(struct rack *rack)
{
    core_look(rack->core);
    assert_true(rack_run(rack, minute));
}

static void is_quiet(struct rack *rack)
{
    assert_int_equal(rack->reads, 0);
    assert_int_equal(rack->looks, 0);
    assert_int_equal(rack->applies, 3); /* of the beginning */
    assert_true(core_is_converged(rack->core));
}

static void nothing_is_read_or_listed_while_all_is_unchanged(void **state)
{
    struct rack *rack = *state;
    uint64_t looks = core_looks(rack->core);
    resync(rack);
    resync(rack);
    is_quiet(rack);
    assert_int_equal(rack->lists, 0);
    assert_int_equal(rack->lists_unchanged, 4);
    assert_int_equal(rack->plans, 2);
    assert_int_equal(core_looks(rack->core), looks + 2);
}

static void who_asks_gets_whole_lists(void **state)
{
    struct rack *rack = *state;
    asked_look(rack);
    is_quiet(rack);
    assert_int_equal(rack->lists, 2);
    resync(rack);
    assert_int_equal(rack->lists_unchanged, 2);
}

static void without_tokens_lists_are_whole(void **state)
{
    struct rack *rack = *state;
    rack->has_tokens = false;
    asked_look(rack);
    resync(rack);
    is_quiet(rack);
    assert_int_equal(rack->lists, 4);
}

/* The plan that is kept is the one that would be made, but for when the rack was looked at. */
static void plan_that_is_kept_is_the_one_that_would_be_made(void **state)
{
    struct rack *rack = *state;
    resync(rack);
    const struct plan *kept = core_plan(rack->core);
    char hash[DIGEST_TEXT], world[DIGEST_TEXT];
    int64_t at = kept->observed_at;
    snprintf(hash, sizeof hash, "%s", kept->hash);
    snprintf(world, sizeof world, "%s", kept->world);
    assert_int_equal(at, rack_wall(rack) / 1000);
    core_policy_changed(rack->core);
    assert_true(rack_run(rack, minute));
    const struct plan *made = core_plan(rack->core);
    assert_true(rack->reads > 0);
    assert_string_equal(made->hash, hash);
    assert_string_equal(made->world, world);
    assert_int_equal(made->observed_at, at);
}

static void what_changed_unseen_is_found(void **state)
{
    struct rack *rack = *state;
    struct rack_object *db = rack_object(rack, "Volume", "db");
    rack_resize(rack, db, 7);
    resync(rack);
    assert_int_equal(rack_size(rack), INT64_C(1) << 30);
    resync(rack);
    rack_object(rack, "VPC", "net")->exists = false;
    resync(rack);
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
    assert_true(core_is_converged(rack->core));
}

static void notice_during_the_look_is_not_lost(void **state)
{
    struct rack *rack = *state;
    struct rack_object *db = rack_object(rack, "Volume", "db");
    look_begins(rack);
    db->damages = 1; /* which its etag does not tell */
    rack_notice(rack, "disk", db->uid, "it was hurt");
    assert_true(rack_run(rack, minute));
    assert_int_equal(db->damages, 0);
}

static bool has_unmanaged(struct rack *rack, const char *native)
{
    struct error err = ERROR_INIT;
    const char *text = NULL;
    assert_int_equal(store_fact_get(rack->store, rack->arena, "unmanaged", &text, &err), 0);
    return text && strstr(text, native);
}

static void stranger_alone_is_news(void **state)
{
    struct rack *rack = *state;
    rack->stranger = "a-stray-file";
    resync(rack);
    assert_true(has_unmanaged(rack, "a-stray-file"));
    resync(rack);
    rack->stranger = NULL;
    resync(rack);
    assert_false(has_unmanaged(rack, "a-stray-file"));
}

/* That nothing changed since a list that the core does not have is no list. */
static void unchanged_that_was_not_asked_for_is_no_list(void **state)
{
    struct rack *rack = *state;
    rack->unchanged = "0123";
    core_look(rack->core);
    rack_run(rack, 1000);
    assert_true(rack->lists_unchanged >= 2);
    assert_false(core_is_converged(rack->core));
    rack->unchanged = NULL;
    assert_true(rack_run(rack, 2 * minute));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->applies, 3);
}

static void unchanged_of_another_token_is_no_list(void **state)
{
    struct rack *rack = *state;
    rack->unchanged = "0123";
    rack->now_ms += rack->config.resync_ms;
    core_timer(rack->core);
    rack_run(rack, 1000);
    assert_false(core_is_converged(rack->core));
    rack->unchanged = NULL;
    assert_true(rack_run(rack, 2 * minute));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->applies, 3);
}

static void driver_that_was_lost_gives_its_list_anew(void **state)
{
    struct rack *rack = *state;
    rack_lose_driver(rack, "disk");
    assert_true(rack_run(rack, minute));
    assert_true(rack->lists >= 1);
    assert_true(core_is_converged(rack->core));
    rack->reads = 0;
    resync(rack);
    is_quiet(rack);
}

static void new_target_is_planned(void **state)
{
    struct rack *rack = *state;
    resync(rack);
    rack_target(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
}

static void new_target_during_the_look_is_planned(void **state)
{
    struct rack *rack = *state;
    look_begins(rack);
    rack_target(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
}

static void plan_with_steps_during_the_look_is_followed_by_another(void **state)
{
    struct rack *rack = *state;
    look_begins(rack);
    rack_target(rack, "2");
    core_policy_changed(rack->core); /* so that it is planned before the look has ended */
    core_pump(rack->core);
    assert_true(core_plan(rack->core)->run > 0);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
}

/* Somebody who pushes what is there already waits for the word. */
static void same_target_again_is_announced(void **state)
{
    struct rack *rack = *state;
    unsigned before = rack->events_converged;
    resync(rack);
    assert_int_equal(rack->events_converged, before);
    rack_target(rack, "1");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack->events_converged, before + 1);
}

/* A list by token would not bring up again what could not be told of yet. */
static void object_without_a_name_is_asked_for_again(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    const char *text = NULL;
    struct rack_object *stray = object_get(rack, "00112233445566778899aabbccddeeff");
    snprintf(stray->kind, sizeof stray->kind, "Volume");
    snprintf(stray->name, sizeof stray->name, "stray");
    stray->spec = rack_object(rack, "Volume", "db")->spec;
    stray->exists = true;
    stray->epoch = 1;
    rack->blur = "stray";
    resync(rack);
    rack->blur = NULL;
    rack_run(rack, minute);
    resync(rack);
    assert_int_equal(store_fact_get(rack->store, rack->arena, "orphans", &text, &err), 0);
    assert_non_null(strstr(text, "stray"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STILL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, rack_teardown)
        STILL_TEST(nothing_is_read_or_listed_while_all_is_unchanged),
        STILL_TEST(who_asks_gets_whole_lists),
        STILL_TEST(without_tokens_lists_are_whole),
        STILL_TEST(plan_that_is_kept_is_the_one_that_would_be_made),
        STILL_TEST(what_changed_unseen_is_found),
        STILL_TEST(notice_during_the_look_is_not_lost),
        STILL_TEST(stranger_alone_is_news),
        STILL_TEST(unchanged_that_was_not_asked_for_is_no_list),
        STILL_TEST(unchanged_of_another_token_is_no_list),
        STILL_TEST(driver_that_was_lost_gives_its_list_anew),
        STILL_TEST(new_target_is_planned),
        STILL_TEST(new_target_during_the_look_is_planned),
        STILL_TEST(plan_with_steps_during_the_look_is_followed_by_another),
        STILL_TEST(object_without_a_name_is_asked_for_again),
        STILL_TEST(same_target_again_is_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
