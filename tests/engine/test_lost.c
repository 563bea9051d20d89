/* SPDX-License-Identifier: MPL-2.0 */
/* What is made of records that were lost, or never told the whole: each found by the simulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000 };

#define ADDRESS(to)                                                                   \
    "apiVersion: spinel/v1\nkind: FloatingIP\nmetadata: {project: shop, name: out}\n" \
    "spec: {address: 192.0.2.9, vpc: net" to "}\n---\n"
#define DISK "disks: [{name: a, volume: db}]"

static int rack_setup(void **state)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT VOLUME("db", "1GiB");
    rack->commits[2] = POOL PROJECT RENAMED("moved", "db");
    rack->commits[3] = POOL PROJECT VOLUME("moved", "1GiB");
    rack->commits[4] = POOL PROJECT VOLUME("db", "2GiB");
    rack->commits[5] = POOL PROJECT VOLUME("db", "1GiB") MACHINE("maxCpus: 2");
    rack->commits[6] = POOL PROJECT VOLUME("db", "1GiB") MACHINE("maxCpus: 4, " DISK);
    rack->commits[7] = POOL PROJECT;
    rack->commits[0] = POOL PROJECT KEPT("db", "size: 1GiB, protect: true");
    *state = rack;
    return 0;
}

/* A driver said "this is all" and left it out while the store was lost: a second one was chosen,
 * and not yet made when the first was seen. It had another name when its uid was chosen. */
static void row_that_never_had_an_object_gives_way_to_one_that_is_there(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "2");
    assert_true(rack_run(rack, MINUTE_MS));
    struct rack_object *volume = rack_object(rack, "Volume", "moved");
    rack_forget(rack);
    rack_object(rack, "Pool", "fast")->exists = volume->exists = false; /* nobody tells of them */
    rack->refuse = "moved";
    rack->refuse_kind = "busy";
    rack_boot(rack, "3");
    rack_run(rack, MINUTE_MS);
    assert_string_not_equal(rack_row(rack, "Volume")->uid, volume->uid);
    volume->exists = true;
    rack->refuse = NULL;
    rack_boot(rack, "3");
    rack_run(rack, MINUTE_MS);
    rack_approve_rebuild(rack);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "moved"), 1);
    assert_string_equal(rack_row(rack, "Volume")->uid, volume->uid);
    assert_int_equal(volume->made, 1);
}

/* The object is named as the first commit says, and no other field would ever tell. After a loss of
 * the store it would be taken for another one. */
static void rename_that_was_taken_back_is_undone_on_the_object(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "2");
    rack->lose_replies = 1;
    assert_false(rack_run(rack, 3000));
    struct rack_object *volume = rack_object(rack, "Volume", "moved");
    rack_die(rack);
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_string_equal(volume->name, "db");
    assert_string_equal(rack_row(rack, "Volume")->uid, volume->uid);
    assert_null(value_get(rack_row(rack, "Volume")->chosen, "called"));
    unsigned applies = rack->applies;
    core_look(rack->core);
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, applies);
}

/* A look tells of what was acknowledged: what the driver let in and did not finish is higher. One
 * more at each try would take as many tries. */
static void epoch_that_was_only_let_in_is_learnt_from_the_refusal(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_object(rack, "Volume", "db")->fence[0] = 40;
    rack_target(rack, "4");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->events_failed, 1);
    assert_true(core_is_converged(rack->core));
    assert_true(rack_row(rack, "Volume")->epoch > 40);
}

/* The disk is added while it runs, the rest waits for its stop; the daemon died before it could
 * say so. To record all of it as done would take what is left for somebody else's change. */
static void what_waits_is_not_recorded_as_done_after_a_crash(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "5");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "6");
    rack->lose_replies = 1;
    assert_false(rack_run(rack, 3000));
    rack_die(rack);
    struct rack_object *machine = rack_object(rack, "Instance", "web");
    struct value *spec = value_copy(rack->arena, machine->spec);
    value_set_int(rack->arena, spec, "maxCpus", 2); /* its driver keeps what it runs with */
    machine->spec = spec;
    rack_boot(rack, "6");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(value_get_int(rack_row(rack, "Instance")->applied, "maxCpus", 0), 2);
    const struct plan *plan = core_plan(rack->core);
    assert_int_equal(plan->step_count, 1);
    assert_int_equal(plan->steps[0].cause, CAUSE_PENDING);
}

/* Nothing asks for it any more once deletions are frozen, and the driver has acknowledged it. */
static void
deletion_that_was_done_before_a_crash_is_recorded_while_deletions_are_frozen(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    const struct freeze freeze = {.what = "deletions", .who = "ann", .why = "the fair"};
    rack->config.policy.collapse_percent = 100;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "7");
    rack->lose_replies = 1;
    assert_false(rack_run(rack, 3000));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    rack_die(rack);
    rack_boot(rack, "7");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_null(rack_row(rack, "Volume"));
}

/* What its driver does not tell is not there, and the next commit has it. Somebody freezes changes
 * before the daemon is back; what was made was what the commit before said, and is not on record as
 * if it were as this one says. */
static void what_a_creation_that_was_not_confirmed_lacks_is_applied(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    const struct freeze freeze = {.what = "changes", .who = "ann", .why = "the fair"};
    rack->commits[3] = NETWORK;
    rack->commits[4] = NETWORK ADDRESS("");
    rack->commits[5] =
        NETWORK MACHINE("nics: [{name: eth0, subnet: front}]") ADDRESS(", instance: web");
    rack_settle(rack, "3");
    rack->lose_replies = 1;
    rack_target(rack, "4");
    rack_run(rack, 3000);
    assert_true(rack_object(rack, "FloatingIP", "out")->exists);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    rack_die(rack);
    rack_boot(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(store_freeze_lift(rack->store, "changes", &err), 0);
    core_policy_changed(rack->core);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_string_equal(
        value_get_text(rack_object(rack, "FloatingIP", "out")->spec, "instance", ""), "web");
}

/* Its driver is asked to release it, for by then it may be back. What is back later is an orphan.
 */
static void what_is_gone_and_left_git_is_forgotten_and_never_destroyed(void **state)
{
    struct rack *rack = *state;
    rack->config.policy.collapse_percent = 100;
    rack_boot(rack, "0");
    assert_true(rack_run(rack, MINUTE_MS));
    struct rack_object *volume = rack_object(rack, "Volume", "db");
    volume->exists = false;
    core_look(rack->core);
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "7");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(core_plan(rack->core)->hold_count, 0);
    assert_null(rack_row(rack, "Volume"));
    assert_true(volume->released);
    volume->exists = true;
    core_look(rack->core);
    assert_true(rack_run(rack, MINUTE_MS));
    assert_true(volume->exists);
}

static bool is_list_of(const struct rack_message *message, const char *driver)
{
    return message->driver && !strcmp(message->driver, driver) &&
           value_at(message->message, "result.list");
}

/* A machine goes, and its volume after it. The list of the volume's driver breaks off, and the
 * other one is not there yet, so that there is no new plan. */
static void what_waits_to_be_removed_waits_for_a_whole_list(void **state)
{
    struct rack *rack = *state;
    rack->config.policy.collapse_percent = 100;
    rack_boot(rack, "6");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "7");
    while (rack_count(rack, "Instance", "web")) {
        core_pump(rack->core);
        if (rack->queue_first < rack->queue_end)
            message_deliver(rack);
    }
    while (rack->queue_first < rack->queue_end)
        message_deliver(rack); /* "done" */
    rack->partial = "disk";
    core_look(rack->core);
    core_pump(rack->core);
    size_t lists = 0;
    for (size_t left = rack->queue_end - rack->queue_first; left > 0; left--) {
        const struct rack_message message = rack->queue[rack->queue_first];
        if (!is_list_of(&message, "net")) {
            lists += is_list_of(&message, "disk");
            message_deliver(rack);
            continue;
        }
        rack->queue_first++;
        rack->queue[rack->queue_end++] = message;
    }
    assert_int_equal(lists, 1);
    core_pump(rack->core);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    rack->partial = NULL;
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
}

/* Nothing would run, because nobody knows whether anything should. */
static void what_cannot_be_looked_at_is_not_converged(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    rack->blur = "db";
    rack_boot(rack, "1");
    rack_run(rack, MINUTE_MS);
    assert_false(core_is_converged(rack->core));
    rack->blur = NULL;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_true(core_is_converged(rack->core));
}

/* It has the disk, and nobody can say so: the record of what was tried is all that there is. */
static void what_was_tried_is_on_record_until_it_is_confirmed(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") MACHINE("maxCpus: 2, " DISK);
    rack_boot(rack, "5");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_null(rack_row(rack, "Instance")->tried);
    rack->lose_replies = 1;
    rack->blur = "web";
    rack_target(rack, "4");
    rack_run(rack, 10 * MINUTE_MS);
    const struct known *row = rack_row(rack, "Instance");
    assert_false(row->observed.known);
    assert_null(value_at(row->applied, "disks[a]"));
    assert_string_equal(value_at_text(row->tried, "disks[a].volume", ""), "db");
    rack->blur = NULL;
    rack_boot(rack, "4");
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    row = rack_row(rack, "Instance");
    assert_null(row->tried);
    assert_string_equal(value_at_text(row->applied, "disks[a].volume", ""), "db");
}

/* Its list is whole, and the look at what it lacks takes long: the daemon of before saw it there.
 */
static void what_a_list_lacks_is_not_as_it_was_seen(void **state)
{
    struct rack *rack = *state;
    rack->etags = "1";
    rack_settle(rack, "1");
    rack_die(rack);
    rack_object(rack, "Volume", "db")->exists = false;
    unsigned applied = rack->applies;
    rack->hang_looks_of = 1;
    rack_boot(rack, "2"); /* which makes it larger */
    rack_run(rack, 5000);
    assert_int_equal(rack->hang_looks_of, 0);
    assert_true(core_plan(rack->core)->step_count > 0); /* with what there was */
    assert_int_equal(rack->applies, applied);
    rack_run(rack, 5 * MINUTE_MS);
    assert_string_equal(core_plan(rack->core)->holds[0].rule, "lost-data");
    assert_int_equal(rack->applies, applied);
}

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(row_that_never_had_an_object_gives_way_to_one_that_is_there),
        RACK_TEST(rename_that_was_taken_back_is_undone_on_the_object),
        RACK_TEST(what_a_creation_that_was_not_confirmed_lacks_is_applied),
        RACK_TEST(what_is_gone_and_left_git_is_forgotten_and_never_destroyed),
        RACK_TEST(what_waits_to_be_removed_waits_for_a_whole_list),
        RACK_TEST(what_cannot_be_looked_at_is_not_converged),
        RACK_TEST(epoch_that_was_only_let_in_is_learnt_from_the_refusal),
        RACK_TEST(what_waits_is_not_recorded_as_done_after_a_crash),
        RACK_TEST(what_a_list_lacks_is_not_as_it_was_seen),
        RACK_TEST(what_was_tried_is_on_record_until_it_is_confirmed),
        RACK_TEST(deletion_that_was_done_before_a_crash_is_recorded_while_deletions_are_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
