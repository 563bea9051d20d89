/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The collapse of a desired set, over a day: what counts as gone, and of how much it is a share.
 * Every set here is a pool, a project, and volumes that are released when they leave, or projects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000, DAY_MINUTES = 24 * 60 };

static int rack_setup(void **state)
{
    *state = rack_new();
    return 0;
}

/* Volumes v`from` to v`to`, and projects p`first` to p`last`, without the last of each. */
static void declare(struct rack *rack, const char *commit, int from, int to, int first, int last)
{
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    for (int i = from; i < to; i++)
        text_printf(&yaml, KEPT("v%d", "size: 1GiB"), i);
    for (int i = first; i < last; i++)
        text_printf(&yaml,
                    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p%d}\nspec: {}\n---\n",
                    i);
    rack->commits[commit[0] - '0'] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
}

static void volumes_start(struct rack *rack, int count)
{
    declare(rack, "4", 0, count, 0, 0);
    rack_settle(rack, "4");
}

static const struct plan *target(struct rack *rack, const char *commit)
{
    rack_target(rack, commit);
    rack_run(rack, MINUTE_MS);
    return core_plan(rack->core);
}

static const struct plan *volumes_left(struct rack *rack, const char *commit, int count)
{
    declare(rack, commit, 0, count, 0, 0);
    return target(rack, commit);
}

static const char *collapse_of(const struct plan *plan)
{
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, "collapse"))
            return plan->holds[i].reason;
    return NULL;
}

static void collapse_let_through(struct rack *rack)
{
    struct error err = ERROR_INIT;
    const struct plan *plan = core_plan(rack->core);
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, "collapse"))
            assert_int_equal(store_hold_approve(rack->store, plan->holds[i].id, "ann", 1, &err), 0);
    core_policy_changed(rack->core);
    rack_run(rack, MINUTE_MS);
    assert_null(collapse_of(core_plan(rack->core)));
}

static void minutes_pass(struct rack *rack, int64_t minutes)
{
    rack->now_ms += minutes * MINUTE_MS;
    core_look(rack->core);
    rack_run(rack, MINUTE_MS);
}

static bool is_released(struct rack *rack, const char *volume)
{
    return rack_object(rack, "Volume", volume)->released;
}

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

/* 8 of 22 go, and 8 others come with the same commit: nobody approves, and they go all the same. */
static void what_a_commit_adds_does_not_let_it_remove_more(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    declare(rack, "5", 8, 28, 0, 0);
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 10);
    assert_non_null(rack_object(rack, "Volume", "v27"));
    assert_false(is_released(rack, "v0"));
    assert_non_null(collapse_of(core_plan(rack->core)));
    declare(rack, "6", 8, 28, 0, 1); /* nor does the next one, in which they are still missing */
    const char *id = arena_text(rack->arena, core_plan(rack->core)->holds[0].id);
    assert_non_null(collapse_of(target(rack, "6")));
    assert_false(is_released(rack, "v0"));
    struct error err = ERROR_INIT; /* a yes to the earlier one comes too late */
    assert_int_equal(store_hold_approve(rack->store, id, "ann", 1, &err), ERR_NOT_FOUND);
    rack_die(rack);
    rack_boot(rack, "6");
    rack_run(rack, MINUTE_MS);
    assert_false(is_released(rack, "v0"));
    collapse_let_through(rack);
    assert_true(is_released(rack, "v0"));
}

static void what_was_taken_back_is_held_no_more(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_non_null(collapse_of(volumes_left(rack, "5", 10)));
    assert_int_equal(target(rack, "4")->hold_count, 0);
    assert_int_equal(volumes_left(rack, "6", 19)->hold_count, 0);
    assert_true(is_released(rack, "v19"));
}

static void text_add_volumes(struct text *yaml, int from, int to, bool is_deleted)
{
    for (int i = from; i < to; i++)
        if (is_deleted)
            text_printf(yaml, VOLUME("v%d", "1GiB"), i);
        else
            text_printf(yaml, KEPT("v%d", "size: 1GiB"), i);
}

/* 4 of 20 are destroyed, 3 are allowed; the same commit makes 80. */
static void what_a_commit_adds_does_not_let_it_destroy_more(void **state)
{
    struct rack *rack = *state;
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, 0, 20, true);
    rack->commits[4] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
    yaml = (struct text)TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, 4, 120, true);
    rack->commits[5] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
    rack_settle(rack, "4");
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "v119")->exists);
    assert_true(rack_object(rack, "Volume", "v0")->exists);
    assert_int_equal(core_plan(rack->core)->hold_count, 1);
    assert_string_equal(core_plan(rack->core)->holds[0].reason,
                        "4 would be destroyed; what was held stays so until you approve it or take "
                        "it back");
}

/* RFD 13: an approval does not survive a revert and its re-revert. */
static void an_approval_does_not_outlive_its_steps_while_a_driver_is_away(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    rack->mute = "net";
    rack_lose_driver(rack, "net");
    rack_run(rack, MINUTE_MS);
    assert_non_null(collapse_of(volumes_left(rack, "5", 5)));
    collapse_let_through(rack);
    assert_true(is_released(rack, "v6"));
    minutes_pass(rack, 2 * DAY_MINUTES);
    rack_target(rack, "4");
    rack_run(rack, 5 * MINUTE_MS);
    assert_false(is_released(rack, "v6"));
    minutes_pass(rack, 2 * DAY_MINUTES);
    rack_target(rack, "5");
    rack_run(rack, 5 * MINUTE_MS);
    assert_false(is_released(rack, "v6"));
    assert_non_null(collapse_of(core_plan(rack->core)));
}

static void approve_collapse(struct rack *rack)
{
    struct error err = ERROR_INIT;
    const struct plan *plan = core_plan(rack->core);
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, "collapse"))
            assert_int_equal(store_hold_approve(rack->store, plan->holds[i].id, "ann", 1, &err), 0);
    core_policy_changed(rack->core);
}

/* A collapse was approved and begun when its driver died; the commit was taken back. A later one
 * takes six of them away, which nobody approves, and the next four. */
static void an_approval_is_not_one_of_a_later_commit(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_non_null(collapse_of(volumes_left(rack, "5", 5)));
    rack->lose_applies = 15;
    approve_collapse(rack);
    rack_run(rack, 1000);
    rack->mute = "disk";
    rack_lose_driver(rack, "disk");
    rack_run(rack, MINUTE_MS);
    rack_target(rack, "4");
    rack_run(rack, 5 * MINUTE_MS);
    assert_null(collapse_of(core_plan(rack->core)));
    declare(rack, "6", 0, 14, 0, 0);
    rack_target(rack, "6");
    rack_run(rack, MINUTE_MS);
    rack->mute = NULL;
    rack->lose_applies = 0;
    rack_lose_driver(rack, "disk");
    minutes_pass(rack, 10);
    assert_true(is_released(rack, "v14"));
    assert_false(is_released(rack, "v13"));
    assert_non_null(collapse_of(volumes_left(rack, "7", 10)));
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

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(a_collapse_is_counted_over_a_day_and_over_starts),
        RACK_TEST(an_approved_collapse_counts_no_more),
        RACK_TEST(an_approval_is_for_what_went_before_as_well),
        RACK_TEST(a_driver_that_is_away_does_not_keep_the_measure_of_before),
        RACK_TEST(nor_does_a_hold_that_nobody_answers),
        RACK_TEST(what_was_never_there_is_not_gone),
        RACK_TEST(what_came_back_under_its_name_has_not_left),
        RACK_TEST(one_name_that_comes_and_goes_counts_once),
        RACK_TEST(what_a_commit_adds_does_not_let_it_remove_more),
        RACK_TEST(what_was_taken_back_is_held_no_more),
        RACK_TEST(what_left_in_a_year_to_come_counts_until_an_approval),
        RACK_TEST(what_a_commit_adds_does_not_let_it_destroy_more),
        RACK_TEST(an_approval_does_not_outlive_its_steps_while_a_driver_is_away),
        RACK_TEST(an_approval_is_not_one_of_a_later_commit),
        RACK_TEST(an_approval_sets_the_measure_anew),
        RACK_TEST(what_a_list_lacks_and_a_look_leaves_out_is_not_converged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
