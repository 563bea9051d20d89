/* SPDX-License-Identifier: MPL-2.0 */
/* A rename that was accepted holds, whatever comes between it and its being carried out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000 };

static int rack_setup(void **state)
{
    rack_setup_volume(state);
    ((struct rack *)*state)->commits[4] = POOL PROJECT RENAMED("moved", "db") VPC("net");
    return 0;
}

/* Found by the simulator: a commit that renames was followed by one that no longer says so before
 * it was carried out. The data was deleted, and an empty volume made under the new name. */
static void rename_that_was_accepted_holds_until_it_is_done(void **state)
{
    struct rack *rack = *state;
    char uid[33];
    rack->commits[5] = POOL PROJECT VOLUME("moved", "1GiB") VPC("net");
    rack_settle(rack, "1");
    strcpy(uid, rack_object(rack, "Volume", "db")->uid);
    rack_target(rack, "4");
    rack_target(rack, "5");
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    assert_string_equal(rack_object(rack, "Volume", "moved")->uid, uid);
    assert_int_equal(rack_object(rack, "Volume", "moved")->made, 1);
}

/* Found by the simulator: what was made under its new name, and could not be confirmed, was made
 * once more after a commit that no longer said where the name came from. */
static void rename_of_what_was_never_confirmed_holds(void **state)
{
    struct rack *rack = *state;
    rack->commits[5] = POOL PROJECT VOLUME("moved", "1GiB") VPC("net");
    rack->lie = "db";
    rack_boot(rack, "1");
    rack_run(rack, 20000); /* it was said to be done, and is not there */
    rack->blur = "moved";
    rack_target(rack, "4");
    rack_run(rack, MINUTE_MS); /* it is there, and nobody can tell its state */
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    rack_target(rack, "5");
    rack_run(rack, MINUTE_MS);
    rack->blur = NULL;
    assert_true(rack_run(rack, 30 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    assert_int_equal(rack_object(rack, "Volume", "moved")->made, 1);
    for (size_t i = 0; i < rack->object_count; i++)
        assert_true(rack->objects[i].exists || !rack->objects[i].made);
}

static void second_rename_goes_on_from_the_first(void **state)
{
    struct rack *rack = *state;
    char uid[33];
    rack->commits[5] = POOL PROJECT RENAMED("again", "moved") VPC("net");
    rack_settle(rack, "1");
    strcpy(uid, rack_object(rack, "Volume", "db")->uid);
    rack_target(rack, "4");
    rack_target(rack, "5");
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_string_equal(rack_object(rack, "Volume", "again")->uid, uid);
    rack_target(rack, "1"); /* and back, with no word of where from: another volume */
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_string_not_equal(rack_object(rack, "Volume", "db")->uid, uid);
}

static void rename_of_what_is_under_way_is_kept(void **state)
{
    struct rack *rack = *state;
    char uid[33];
    rack->commits[5] = POOL PROJECT VOLUME("moved", "2GiB") VPC("net");
    rack_settle(rack, "1");
    strcpy(uid, rack_object(rack, "Volume", "db")->uid);
    rack->lose_replies = 1;
    rack_target(rack, "2");
    assert_false(rack_run(rack, 3000)); /* the growth is with the driver */
    rack_target(rack, "4");
    rack_target(rack, "5");
    assert_true(rack_run(rack, 30 * MINUTE_MS));
    assert_string_equal(rack_object(rack, "Volume", "moved")->uid, uid);
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
}

static void rename_is_known_after_a_backup_came_back(void **state)
{
    struct rack *rack = *state;
    char uid[33];
    rack->commits[5] = POOL PROJECT VOLUME("moved", "1GiB") VPC("net");
    rack_settle(rack, "1");
    strcpy(uid, rack_object(rack, "Volume", "db")->uid);
    rack_backup(rack);
    rack_settle(rack, "4");
    rack_restore(rack);
    rack_boot(rack, "3"); /* it is not declared when its epoch is seen */
    rack_run(rack, MINUTE_MS);
    rack_target(rack, "5");
    rack_run(rack, MINUTE_MS);
    rack_approve_rebuild(rack);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    assert_string_equal(rack_object(rack, "Volume", "moved")->uid, uid);
}

/* The copy of the store is from before the rename, and Git has gone back, too: only the object
 * itself still bears the new name. Were it not told, a store that is lost next would find nothing
 * of the name that is declared. */
static void rename_that_store_and_git_took_back_is_told_to_the_object(void **state)
{
    struct rack *rack = *state;
    char uid[33];
    rack_settle(rack, "1");
    strcpy(uid, rack_object(rack, "Volume", "db")->uid);
    rack_backup(rack);
    rack_settle(rack, "4");
    rack_restore(rack);
    rack_rebuild(rack, "1");
    assert_int_equal(rack_count(rack, "Volume", "moved"), 0);
    assert_string_equal(rack_object(rack, "Volume", "db")->uid, uid);
    rack_forget(rack);
    rack_rebuild(rack, "1");
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_string_equal(rack_object(rack, "Volume", "db")->uid, uid);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

/* Its list says that more was done to it than the old copy knows, and not yet under which name. */
static void name_is_waited_for_after_a_backup_came_back(void **state)
{
    struct rack *rack = *state;
    rack->commits[5] = POOL PROJECT VOLUME("moved", "1GiB") VPC("net");
    rack_settle(rack, "1");
    rack_backup(rack);
    rack_settle(rack, "4");
    rack_restore(rack);
    rack->answer_ms = 1100; /* a plan is made after two seconds, with what has come */
    rack_rebuild(rack, "5");
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    assert_int_equal(rack_object(rack, "Volume", "moved")->made, 1);
}

/* Found by the simulator: the new name had been declared before, and its volume was never made. So
 * the rename moved nothing; the data went with the former name, and nobody was asked. */
static void data_that_a_rename_did_not_move_are_not_destroyed(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") VOLUME("moved", "1GiB") VPC("net");
    rack->commits[5] = POOL PROJECT RENAMED("moved", "db") VPC("net");
    rack->commits[6] = POOL PROJECT VOLUME("moved", "1GiB") VPC("net");
    rack_settle(rack, "1");
    rack->refuse = "moved";
    rack->refuse_kind = "busy";
    rack_target(rack, "4");
    rack_run(rack, MINUTE_MS);
    rack_target(rack, "5");
    rack->refuse = NULL;
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    rack_target(rack, "6");
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(core_plan(rack->core)->hold_count, 1);
    assert_string_equal(core_plan(rack->core)->holds[0].rule, RULE_RENAMED);
    assert_int_equal(
        store_hold_approve(rack->store, core_plan(rack->core)->holds[0].id, "ann", 1, &err), 0);
    core_policy_changed(rack->core);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
}

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(name_is_waited_for_after_a_backup_came_back),
        RACK_TEST(rename_that_was_accepted_holds_until_it_is_done),
        RACK_TEST(rename_of_what_was_never_confirmed_holds),
        RACK_TEST(second_rename_goes_on_from_the_first),
        RACK_TEST(rename_of_what_is_under_way_is_kept),
        RACK_TEST(rename_that_store_and_git_took_back_is_told_to_the_object),
        RACK_TEST(data_that_a_rename_did_not_move_are_not_destroyed),
        RACK_TEST(rename_is_known_after_a_backup_came_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
