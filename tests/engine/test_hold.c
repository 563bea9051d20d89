/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How long what is held stays so, and what an approval lets through: whatever is added, cannot be
 * looked at or comes next (RFD 13, RFD 36).
 */
#include "tests/engine/volumes.h"

/* 8 of 22 go, and 8 others come with the same commit. */
static void what_a_commit_adds_does_not_let_it_remove_more(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    declare(rack, "5", 8, 28, 0, 0);
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "v27")->exists);
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

/* 4 of 20 are destroyed, 3 are allowed; the same commit makes 80. */
static void what_a_commit_adds_does_not_let_it_destroy_more(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 20, 0, true);
    olds_declare(rack, 5, 4, 120, 0, true);
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

/* The first `bad` of `machines` have another firmware. */
static void machines_declare(struct rack *rack, int commit, int machines, int bad)
{
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_machines(&yaml, machines, bad);
    rack->commits[commit] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
}

/* Four machines are to be replaced, and are held; a later commit takes three of them back. The
 * fourth one cannot be told about in one look. */
static void one_look_without_word_lifts_no_hold(void **state)
{
    struct rack *rack = *state;
    machines_declare(rack, 4, 10, 0);
    machines_declare(rack, 5, 10, 4);
    machines_declare(rack, 6, 10, 1);
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), "deletion-budget"));
    assert_non_null(rule_of(target(rack, "6"), "deletion-budget"));
    minutes_pass(rack, 10);
    assert_non_null(rule_of(core_plan(rack->core), "deletion-budget"));
    struct rack_object *machine = rack_object(rack, "Instance", "m0");
    assert_string_equal(value_get_text(machine->spec, "firmware", ""), "bios");
    rack->blur = "m0";
    rack_notice(rack, "net", machine->uid, "its monitor does not answer");
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    rack->blur = NULL;
    rack_notice(rack, "net", machine->uid, "it does again");
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    assert_true(machine->exists);
}

/* Four of 22 are destroyed, of which nobody can tell for an hour; what the commit adds is made
 * meanwhile. */
static void what_could_not_be_looked_at_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 16, 4, true);
    olds_declare(rack, 5, 0, 120, 0, true);
    rack_settle(rack, "4");
    rack->blur_all = "old";
    olds_notice(rack, 4, "its pool is away");
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 60);
    assert_true(rack_object(rack, "Volume", "v119")->exists);
    rack->blur_all = NULL;
    olds_notice(rack, 4, "its pool is back");
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "old0")->exists);
}

/* Four of 20 are destroyed, which is held; their tags cannot be read for an hour, in which what the
 * commit adds is made. */
static void what_another_rule_holds_meanwhile_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 16, 4, true);
    olds_declare(rack, 5, 0, 120, 0, true);
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    rack->foreign_all = "old";
    olds_notice(rack, 4, "its tag is gone");
    minutes_pass(rack, 60);
    assert_null(rule_of(core_plan(rack->core), RULE_BUDGET));
    assert_true(rack_object(rack, "Volume", "v119")->exists);
    rack->foreign_all = NULL;
    olds_notice(rack, 4, "its tag is back");
    minutes_pass(rack, 10);
    assert_non_null(rule_of(core_plan(rack->core), RULE_BUDGET));
    assert_true(rack_object(rack, "Volume", "old0")->exists);
}

static void images_add(struct text *yaml, int count)
{
    for (int i = 0; i < count; i++)
        text_printf(
            yaml,
            "apiVersion: spinel/v1\nkind: Image\nmetadata: {name: os%d}\nspec: {path: /os%d,"
            " digest: \"sha256:%064d\", format: raw}\n---\n",
            i, i, i);
}

/* Two volumes and two images go while their driver starts anew, and 80 networks come with them. */
static void what_a_driver_that_is_away_holds_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, 0, 16, true);
    images_add(&yaml, 2);
    rack->commits[4] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
    yaml = (struct text)TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, 2, 16, true);
    for (int i = 0; i < 80; i++)
        text_printf(&yaml, VPC("n%d"), i);
    rack->commits[5] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
    rack_settle(rack, "4");
    rack->mute = "disk";
    rack_lose_driver(rack, "disk");
    rack_run(rack, MINUTE_MS);
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    assert_true(rack_object(rack, "VPC", "n79")->exists);
    rack->mute = NULL;
    rack_lose_driver(rack, "disk");
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "v0")->exists);
    assert_true(rack_object(rack, "Image", "os0")->exists);
}

/* 8 of 22 go and 8 others come, while the tags of the 8 cannot be read. */
static void what_is_held_by_another_rule_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 12, 8, false);
    declare(rack, "5", 0, 20, 0, 0);
    rack_settle(rack, "4");
    rack->foreign_all = "old";
    olds_notice(rack, 8, "its tag is gone");
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 60);
    assert_true(rack_object(rack, "Volume", "v19")->exists);
    rack->foreign_all = NULL;
    olds_notice(rack, 8, "its tag is back");
    minutes_pass(rack, 10);
    assert_false(is_released(rack, "old0"));
}

/* All were held, since nothing was declared; a commit takes most of it back, and not all. */
static void the_rest_of_an_empty_set_is_asked_about(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    rack->commits[5] = "";
    assert_non_null(rule_of(target(rack, "5"), "empty-set"));
    volumes_left(rack, "6", 14);
    assert_false(is_released(rack, "v19"));
}

/* 8 of 22 go and 8 others come; a person says yes while deletions are frozen. The approval ends
 * with its commit; the next commit takes 9 of what was there before. */
static void what_is_approved_and_not_done_is_asked_about_again(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    const struct freeze freeze = {.what = "deletions", .who = "ann", .why = "audit"};
    volumes_start(rack, 20);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    declare(rack, "5", 8, 28, 0, 0);
    assert_non_null(collapse_of(target(rack, "5")));
    approve_collapse(rack);
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 10);
    assert_false(is_released(rack, "v0"));
    assert_true(rack_object(rack, "Volume", "v27")->exists);
    declare(rack, "6", 9, 28, 0, 0); /* v8 goes too, of which nobody was asked */
    target(rack, "6");
    assert_int_equal(store_freeze_lift(rack->store, "deletions", &err), 0);
    core_policy_changed(rack->core);
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    assert_false(is_released(rack, "v8"));
}

/* Five are to go and a person said yes; in one look four of them cannot be told about. */
static void one_look_without_word_ends_no_approval(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    olds_declare(rack, 4, 0, 30, 4, true);
    olds_declare(rack, 5, 0, 29, 0, true);
    rack_settle(rack, "4");
    const struct plan *plan = target(rack, "5");
    assert_int_equal(plan->hold_count, 1);
    const char *id = arena_text(rack->arena, plan->holds[0].id);
    rack->blur_all = "old";
    olds_notice(rack, 4, "its pool is away");
    assert_int_equal(store_hold_approve(rack->store, id, "ann", 1, &err), 0);
    rack_run(rack, MINUTE_MS);
    core_policy_changed(rack->core);
    minutes_pass(rack, 10);
    rack->blur_all = NULL;
    olds_notice(rack, 4, "its pool is back");
    minutes_pass(rack, 10);
    assert_int_equal(core_plan(rack->core)->hold_count, 0);
    assert_false(rack_object(rack, "Volume", "old0")->exists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACK_TEST(what_a_commit_adds_does_not_let_it_remove_more),
        RACK_TEST(what_was_taken_back_is_held_no_more),
        RACK_TEST(what_a_commit_adds_does_not_let_it_destroy_more),
        RACK_TEST(an_approval_does_not_outlive_its_steps_while_a_driver_is_away),
        RACK_TEST(an_approval_is_not_one_of_a_later_commit),
        RACK_TEST(one_look_without_word_lifts_no_hold),
        RACK_TEST(what_could_not_be_looked_at_is_not_diluted),
        RACK_TEST(what_another_rule_holds_meanwhile_is_not_diluted),
        RACK_TEST(what_a_driver_that_is_away_holds_is_not_diluted),
        RACK_TEST(what_is_held_by_another_rule_is_not_diluted),
        RACK_TEST(the_rest_of_an_empty_set_is_asked_about),
        RACK_TEST(what_is_approved_and_not_done_is_asked_about_again),
        RACK_TEST(one_look_without_word_ends_no_approval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
