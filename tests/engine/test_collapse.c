/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The collapse of a desired set, over a day: what counts as gone, and of how much it is a share.
 * Every set here is a pool, a project, and volumes that are released when they leave, or projects.
 */
#include "tests/engine/volumes.h"

/* 22 resources, and two commits take three each; the third would take them to 13. */
static void a_collapse_is_counted_over_a_day_and_over_starts(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    volumes_left(rack, "5", 17);
    assert_int_equal(volumes_left(rack, "4", 14)->hold_count, 0);
    rack_die(rack);
    rack_boot(rack, "4");
    assert_true(rack_run(rack, MINUTE_MS));
    const struct plan *plan = volumes_left(rack, "5", 11);
    assert_int_equal(plan->hold_count, 1);
    assert_non_null(collapse_of(plan));
    assert_int_equal(plan->holds[0].steps, 3);
    minutes_pass(rack, DAY_MINUTES + 1); /* nobody has said yes to it meanwhile */
    assert_string_equal(collapse_of(core_plan(rack->core)),
                        "3 of 16 resources would be gone; what was held stays so until you approve "
                        "it or take it back");
    assert_false(is_released(rack, "v12"));
    collapse_let_through(rack);
    assert_true(is_released(rack, "v12"));
}

/* A person who let a collapse through begins anew. */
static void an_approved_collapse_counts_no_more(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_int_equal(volumes_left(rack, "5", 10)->hold_count, 1);
    collapse_let_through(rack);
    assert_true(is_released(rack, "v10"));
    assert_int_equal(volumes_left(rack, "4", 8)->hold_count, 0);
    assert_true(is_released(rack, "v8"));
}

/* Six went and came back, and go once more with four others, approved. */
static void an_approval_is_for_what_went_before_as_well(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_int_equal(volumes_left(rack, "5", 14)->hold_count, 0);
    assert_int_equal(volumes_left(rack, "4", 20)->hold_count, 0);
    assert_false(is_released(rack, "v19"));
    assert_non_null(collapse_of(volumes_left(rack, "5", 10)));
    collapse_let_through(rack);
    assert_int_equal(volumes_left(rack, "4", 8)->hold_count, 0);
    assert_true(is_released(rack, "v8"));
}

/* The rack was never quite as declared since it had all of them: of what is left too much goes. */
static void a_driver_that_is_away_does_not_keep_the_measure_of_before(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    rack->mute = "net";
    rack_lose_driver(rack, "net");
    rack_run(rack, MINUTE_MS);
    assert_non_null(collapse_of(volumes_left(rack, "5", 5)));
    collapse_let_through(rack);
    assert_true(is_released(rack, "v6"));
    minutes_pass(rack, 30 * DAY_MINUTES);
    assert_string_equal(collapse_of(volumes_left(rack, "6", 0)),
                        "5 of 7 resources would be gone; more than 30% is held");
    assert_false(is_released(rack, "v0"));
}

static void nor_does_a_hold_that_nobody_answers(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    rack_object(rack, "Volume", "v0")->exists = false;
    core_look(rack->core);
    rack_run(rack, MINUTE_MS);
    assert_string_equal(core_plan(rack->core)->holds[0].rule, "lost-data");
    assert_non_null(collapse_of(volumes_left(rack, "5", 6)));
    collapse_let_through(rack);
    minutes_pass(rack, 30 * DAY_MINUTES);
    assert_string_equal(collapse_of(volumes_left(rack, "6", 1)),
                        "5 of 8 resources would be gone; more than 30% is held");
    assert_false(is_released(rack, "v1"));
}

/* A commit that adds eight volumes is taken back before any was made. */
static void what_was_never_there_is_not_gone(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    declare(rack, "5", 0, 28, 0, 0);
    rack->lose_applies = 8;
    rack_target(rack, "5");
    rack_run(rack, 1000);
    assert_int_equal(core_plan(rack->core)->run, 8);
    rack->lose_applies = 16;
    rack_target(rack, "4");
    for (int i = 0; i < 60; i++) {
        rack_run(rack, MINUTE_MS);
        assert_null(collapse_of(core_plan(rack->core)));
    }
    assert_int_equal(core_plan(rack->core)->step_count, 0);
}

/* They are others than before, of the same names. */
static void what_came_back_under_its_name_has_not_left(void **state)
{
    struct rack *rack = *state;
    declare(rack, "4", 0, 0, 0, 20);
    declare(rack, "5", 0, 0, 0, 14);
    declare(rack, "6", 0, 0, 0, 17);
    declare(rack, "7", 0, 0, 0, 10);
    rack_settle(rack, "4");
    assert_int_equal(target(rack, "5")->hold_count, 0);
    assert_int_equal(target(rack, "4")->hold_count, 0);
    assert_int_equal(target(rack, "6")->hold_count, 0); /* 3 of 22 */
    assert_string_equal(collapse_of(target(rack, "7")),
                        "10 of 22 resources would be gone, with 3 that went in the last 24 hours; "
                        "more than 30% is held");
}

static void one_name_that_comes_and_goes_counts_once(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 2);
    declare(rack, "5", 0, 2, 0, 1);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(target(rack, "5")->hold_count, 0);
        assert_int_equal(target(rack, "4")->hold_count, 0);
        assert_true(core_is_converged(rack->core));
    }
}

static void an_approval_sets_the_measure_anew(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_int_equal(volumes_left(rack, "5", 14)->hold_count, 0);
    assert_string_equal(collapse_of(volumes_left(rack, "6", 10)),
                        "10 of 22 resources would be gone, with 6 that went in the last 24 hours; "
                        "more than 30% is held");
    collapse_let_through(rack);
    assert_null(collapse_of(volumes_left(rack, "7", 9))); /* 1 of 12 */
}

/* A list lacks it, and the answer to the look leaves it out. */
static void what_a_list_lacks_and_a_look_leaves_out_is_not_converged(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 5);
    core_look(rack->core);
    rack_run(rack, MINUTE_MS);
    assert_true(core_is_converged(rack->core));
    rack_object(rack, "Volume", "v0")->exists = false;
    rack->hide = "v0";
    for (int i = 0; i < 5; i++) {
        rack->now_ms += 300000;
        core_timer(rack->core);
        rack_run(rack, MINUTE_MS);
    }
    assert_false(core_is_converged(rack->core));
}

/* The clock was a year ahead while six went, and was set right. */
static void what_left_in_a_year_to_come_counts_until_an_approval(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    int64_t year = (int64_t)365 * DAY_MINUTES * MINUTE_MS;
    rack->wall_ahead_ms = year;
    assert_int_equal(volumes_left(rack, "5", 14)->hold_count, 0);
    rack->wall_ahead_ms = 0;
    minutes_pass(rack, 2 * DAY_MINUTES);
    assert_non_null(collapse_of(volumes_left(rack, "4", 13)));
    collapse_let_through(rack);
    assert_true(is_released(rack, "v13"));
    assert_int_equal(volumes_left(rack, "5", 11)->hold_count, 0);
}

/* Six went. Six others are approved while deletions are frozen, and taken back: nothing came of it.
 * Four more are 10 of 22 in a day. */
static void an_approval_that_let_nothing_through_is_no_measure(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    const struct freeze freeze = {.what = "deletions", .who = "ann", .why = "audit"};
    volumes_start(rack, 20);
    assert_int_equal(volumes_left(rack, "5", 14)->hold_count, 0);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    assert_non_null(collapse_of(volumes_left(rack, "6", 8)));
    approve_collapse(rack);
    rack_run(rack, 10 * MINUTE_MS);
    assert_false(is_released(rack, "v13"));
    volumes_left(rack, "4", 14); /* taken back: nothing is to go */
    assert_int_equal(core_plan(rack->core)->step_count, 0);
    assert_int_equal(store_freeze_lift(rack->store, "deletions", &err), 0);
    core_policy_changed(rack->core);
    volumes_left(rack, "7", 10);
    assert_false(is_released(rack, "v13"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACK_TEST(a_collapse_is_counted_over_a_day_and_over_starts),
        RACK_TEST(an_approved_collapse_counts_no_more),
        RACK_TEST(an_approval_is_for_what_went_before_as_well),
        RACK_TEST(a_driver_that_is_away_does_not_keep_the_measure_of_before),
        RACK_TEST(nor_does_a_hold_that_nobody_answers),
        RACK_TEST(what_was_never_there_is_not_gone),
        RACK_TEST(what_came_back_under_its_name_has_not_left),
        RACK_TEST(one_name_that_comes_and_goes_counts_once),
        RACK_TEST(an_approval_sets_the_measure_anew),
        RACK_TEST(what_a_list_lacks_and_a_look_leaves_out_is_not_converged),
        RACK_TEST(what_left_in_a_year_to_come_counts_until_an_approval),
        RACK_TEST(an_approval_that_let_nothing_through_is_no_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
