/* SPDX-License-Identifier: MPL-2.0 */
/* The store was lost, or an older copy of it put back: what is there is taken up, and nothing is
 * made twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "reconciler/engine/core_state.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000 };

static void lost_store_makes_nothing_twice_and_asks_first(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    unsigned before = rack->applies;
    rack_forget(rack); /* the database is gone, the world is not */
    rack_boot(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->applies, before);
    rack_approve_rebuild(rack);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
    assert_int_equal(rack_size(rack), 2LL << 30);
}

static void lost_store_with_a_machine_that_runs_converges(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = NETWORK MACHINE("nics: [{name: eth0, subnet: front}]");
    rack_settle(rack, "4");
    rack_forget(rack);
    rack_rebuild(rack, "4");
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->events_failed, 0);
}

/* The machine's driver has let in many growths of the volume that the volume's own driver
 * knows nothing of. */
static void volume_that_a_machine_holds_grows_after_the_store_was_lost(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") MACHINE("disks: [{name: a, volume: db}]");
    rack->commits[5] = POOL PROJECT VOLUME("db", "2GiB") MACHINE("disks: [{name: a, volume: db}]");
    rack_settle(rack, "4");
    rack_object(rack, "Volume", "db")->fence[1] = 40;
    rack_forget(rack);
    rack_rebuild(rack, "4");
    rack_target(rack, "5");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_size(rack), 2LL << 30);
    assert_int_equal(rack->events_failed, 1);
}

/* The row's object was deleted and made anew after the backup: it is there, under its later
 * uid, with its data. */
static void store_from_a_backup_takes_the_later_object_and_makes_none(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    rack_backup(rack);
    rack_settle(rack, "3");
    rack_boot(rack, "1");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    rack_restore(rack);
    rack_rebuild(rack, "1");
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

static void backup_restored(struct rack *rack, const char *name, const char *commit)
{
    struct error err = ERROR_INIT;
    assert_int_equal(rename(arena_printf(rack->arena, "%s/%s", rack->dir, name),
                            arena_printf(rack->arena, "%s/backup", rack->dir)),
                     0);
    rack_restore(rack);
    rack_boot(rack, commit);
    rack_run(rack, 10 * MINUTE_MS);
    store_hold_approve(rack->store, "rebuild", "ann", 1, &err);
    core_policy_changed(rack->core);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_true(core_is_converged(rack->core));
}

static void backup_named(struct rack *rack, const char *name)
{
    rack_backup(rack);
    assert_int_equal(rename(arena_printf(rack->arena, "%s/backup", rack->dir),
                            arena_printf(rack->arena, "%s/%s", rack->dir, name)),
                     0);
}

/* Two copies of the store came back, the older one first: what was made meanwhile has a uid from
 * before that of the row. */
static void store_from_a_backup_takes_what_an_older_backup_has_made(void **state)
{
    struct rack *rack = *state;
    static const char *const commits[] = {"4", "1", "4", "1", "4"};
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB");
    for (size_t i = 0; i < sizeof commits / sizeof *commits; i++) {
        rack_settle(rack, commits[i]);
        if (i == 0)
            backup_named(rack, "older");
        if (i == 3)
            backup_named(rack, "newer");
    }
    backup_restored(rack, "older", "1");
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
    backup_restored(rack, "newer", "1");
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
}

/* The store does not know that the volume was grown, and there is nothing left to do: what is
 * shown of it, and what counts as drift, still follow from what Git says. */
static void store_from_a_backup_learns_what_was_applied_since(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    rack_backup(rack);
    rack_settle(rack, "2");
    rack_restore(rack);
    rack_rebuild(rack, "2");
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_object(rack, "Volume", "db")->applied, 2);
    assert_int_equal(value_get_int(rack_row(rack, "Volume")->applied, "size", 0), 2LL << 30);
}

#define OUTSIDE(spec)                                                                              \
    NETWORK MACHINE(                                                                               \
        "nics: [{name: eth0, subnet: front}]") "apiVersion: spinel/v1\nkind: "                     \
                                               "FloatingIP\nmetadata: {project: shop, name: ip}\n" \
                                               "spec: {address: 203.0.113.9, vpc: net" spec "}\n"

/* Whom an address belonged to was taken away by a commit that the store does not know; its driver
 * leaves out what there is none of. */
static void store_from_a_backup_gives_back_what_was_taken_away_since(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = OUTSIDE(", instance: web, nic: eth0");
    rack->commits[5] = OUTSIDE("");
    rack_settle(rack, "4");
    rack_backup(rack);
    rack_settle(rack, "5");
    assert_null(value_get(rack_object(rack, "FloatingIP", "ip")->spec, "nic"));
    rack_restore(rack);
    rack_rebuild(rack, "4");
    assert_true(core_is_converged(rack->core));
    assert_string_equal(value_get_text(rack_object(rack, "FloatingIP", "ip")->spec, "instance", ""),
                        "web");
    assert_string_equal(value_get_text(rack_object(rack, "FloatingIP", "ip")->spec, "nic", ""),
                        "eth0");
}

/* What bears our tag and cannot be told about may be what is about to be made. */
static void what_cannot_be_named_is_not_made_again(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    static const char *const history[] = {"1", "3", "1"}; /* its uid is not the first of its name */
    for (size_t i = 0; i < 3; i++) {
        rack_settle(rack, history[i]);
    }
    rack_forget(rack);
    rack->blur = "db";
    rack_boot(rack, "1");
    rack_run(rack, MINUTE_MS);
    store_hold_approve(rack->store, "rebuild", "ann", 1, &err);
    core_policy_changed(rack->core);
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    rack->blur = NULL;
    rack_run(rack, 10 * MINUTE_MS);
    store_hold_approve(rack->store, "rebuild", "ann", 1, &err);
    core_policy_changed(rack->core);
    assert_true(rack_run(rack, 30 * MINUTE_MS));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

/* A commit said that the data stay, and the next left them out; the old copy knows of neither. */
static void old_copy_destroys_nothing_that_git_does_not_declare(void **state)
{
    struct rack *rack = *state;
    rack->config.policy.collapse_percent = 100;
    rack->commits[4] = POOL PROJECT KEPT("db", "size: 2GiB, onRemove: release") VPC("net");
    rack_settle(rack, "1");
    rack_backup(rack);
    rack_settle(rack, "4");
    rack_restore(rack);
    rack_rebuild(rack, "3");
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_row(rack, "Volume")->life, LIFE_RELEASED);
}

static const char *subnet_of(struct rack *rack)
{
    const struct value *nics = value_get(rack_object(rack, "Instance", "web")->spec, "nics");
    return value_get_text(value_find(nics, "name", "eth0"), "subnet", "");
}

static void nic_comes_back(struct rack *rack, const char *nics, const char *subnet)
{
    rack->commits[4] = NETWORK MACHINE("nics: [{name: eth0, subnet: front}]");
    rack->commits[5] = nics;
    rack_settle(rack, "4");
    rack_backup(rack);
    rack_settle(rack, "5");
    assert_string_equal(subnet_of(rack), subnet);
    rack_restore(rack);
    rack_rebuild(rack, "4");
    assert_true(core_is_converged(rack->core));
    assert_string_equal(subnet_of(rack), "front");
}

/* Where a NIC is plugged in is a part of one of a list, and its driver does not tell. */
static void store_from_a_backup_gives_back_a_part_of_a_list(void **state)
{
    nic_comes_back(*state, NETWORK MACHINE("nics: [{name: eth0, subnet: back}]"), "back");
}

static void store_from_a_backup_gives_back_one_of_a_list(void **state)
{
    nic_comes_back(*state, NETWORK MACHINE("nics: []"), "");
}

/* One more of the same name, of that incarnation; 0 is the first. */
static struct rack_object *other_put(struct rack *rack, const struct rack_object *like,
                                     uint64_t incarnation)
{
    char uid[UID_TEXT];
    digest_uid(rack->config.seed, like->kind, "shop", like->name, incarnation, uid);
    struct rack_object *other = object_get(rack, uid);
    snprintf(other->kind, sizeof other->kind, "%s", like->kind);
    snprintf(other->name, sizeof other->name, "%s", like->name);
    other->spec = like->spec;
    other->exists = true;
    other->epoch = other->fence[0] = other->fence[1] = 1;
    return other;
}

/* Nothing else says that the store is an old copy: the first was deleted, and the second made,
 * after it. */
static void a_later_object_of_its_name_has_the_place_of_one_that_is_gone(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    struct rack_object *volume = rack_object(rack, "Volume", "db");
    struct rack_object *later = other_put(rack, volume, 1);
    volume->exists = false;
    rack_rebuild(rack, "1");
    assert_true(core_is_converged(rack->core));
    assert_string_equal(rack_row(rack, "Volume")->uid, later->uid);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(volume->made, 1);
}

/* It is left as it is, and nothing is made beside it. */
static void left_to_itself(struct rack *rack, struct rack_object *volume, struct rack_object *other)
{
    const unsigned applied = other->applied, made = volume->made;
    rack_boot(rack, "1");
    rack_run(rack, 10 * MINUTE_MS);
    assert_string_equal(rack_row(rack, "Volume")->uid, volume->uid);
    assert_int_equal(other->applied, applied);
    assert_int_equal(volume->made, made);
}

static void an_earlier_object_of_its_name_is_no_successor(void **state)
{
    struct rack *rack = *state;
    static const char *const history[] = {"1", "3", "1", "3", "1"};
    struct rack_object *held[5] = {NULL};
    rack->config.policy.collapse_percent = 100;
    for (size_t i = 0; i < 5; i++) {
        rack_settle(rack, history[i]);
        held[i] = i % 2 ? NULL : object_get(rack, rack_row(rack, "Volume")->uid);
    }
    struct rack_object *second = held[2], *volume = held[4];
    assert_ptr_not_equal(volume, second);
    second->exists = true;
    volume->exists = false;
    left_to_itself(rack, volume, second);
}

static void an_object_of_no_incarnation_is_no_successor(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    struct rack_object *volume = rack_object(rack, "Volume", "db");
    struct rack_object *other = other_put(rack, volume, 1 << 20);
    volume->exists = false;
    left_to_itself(rack, volume, other);
}

/* Two of one name are for a person to tell apart, and so are one and another that is not known. */
static void what_is_there_or_may_be_gives_way_to_none(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    struct rack_object *volume = rack_object(rack, "Volume", "db");
    struct rack_object *other = other_put(rack, volume, 1);
    left_to_itself(rack, volume, other);
    rack->hide = volume->name;
    left_to_itself(rack, volume, other);
}

/* A driver that has lost its head: a row that took such an epoch over would end there. */
static void an_epoch_that_nobody_can_have_sent_is_not_taken_over(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    const uint64_t before = rack_row(rack, "Volume")->epoch;
    unsigned applies = rack->applies;
    rack->lie_epoch = EPOCH_CREDIBLE;
    rack_boot(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->applies, applies);
    assert_int_equal(rack_row(rack, "Volume")->epoch, before);
    assert_false(core_is_converged(rack->core));
    rack->lie_epoch = 0;
    rack_settle(rack, "2");
    assert_int_equal(rack_size(rack), 2LL << 30);
}

static void what_was_chosen_comes_back_from_who_keeps_it(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    rack_forget(rack);
    rack->keeps_chosen = true;
    rack_rebuild(rack, "1");
    assert_string_equal(value_get_text(rack_row(rack, "Volume")->chosen, "kept", ""), "before");
}

static void an_approval_of_something_else_lets_no_rebuild_through(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    rack_settle(rack, "1");
    rack_forget(rack);
    rack_boot(rack, "2");
    rack_run(rack, MINUTE_MS);
    unsigned before = rack->applies;
    assert_int_equal(store_hold_put(rack->store, "a1", "budget", "a test", 1, &err), 0);
    assert_int_equal(store_hold_approve(rack->store, "a1", "ann", 1, &err), 0);
    core_policy_changed(rack->core);
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->applies, before);
    rack_approve_rebuild(rack);
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(rack_size(rack), 2LL << 30);
}

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup_volume, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(old_copy_destroys_nothing_that_git_does_not_declare),
        RACK_TEST(lost_store_makes_nothing_twice_and_asks_first),
        RACK_TEST(lost_store_with_a_machine_that_runs_converges),
        RACK_TEST(volume_that_a_machine_holds_grows_after_the_store_was_lost),
        RACK_TEST(store_from_a_backup_takes_the_later_object_and_makes_none),
        RACK_TEST(store_from_a_backup_takes_what_an_older_backup_has_made),
        RACK_TEST(store_from_a_backup_learns_what_was_applied_since),
        RACK_TEST(store_from_a_backup_gives_back_what_was_taken_away_since),
        RACK_TEST(what_cannot_be_named_is_not_made_again),
        RACK_TEST(store_from_a_backup_gives_back_a_part_of_a_list),
        RACK_TEST(store_from_a_backup_gives_back_one_of_a_list),
        RACK_TEST(a_later_object_of_its_name_has_the_place_of_one_that_is_gone),
        RACK_TEST(an_earlier_object_of_its_name_is_no_successor),
        RACK_TEST(an_object_of_no_incarnation_is_no_successor),
        RACK_TEST(what_is_there_or_may_be_gives_way_to_none),
        RACK_TEST(an_epoch_that_nobody_can_have_sent_is_not_taken_over),
        RACK_TEST(what_was_chosen_comes_back_from_who_keeps_it),
        RACK_TEST(an_approval_of_something_else_lets_no_rebuild_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
