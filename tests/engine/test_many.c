/* SPDX-License-Identifier: MPL-2.0 */
/* Many steps at once: how many a driver is given, and what was approved for all of them while some
 * are done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/text.h"
#include "reconciler/engine/core_state.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

static const int64_t minute = 60000;

static int rack_setup(void **state)
{
    struct rack *rack = rack_new();
    rack->config.policy.collapse_percent = 100;
    *state = rack;
    return 0;
}

/* A project of so many volumes. */
static const char *volumes(struct rack *rack, int count)
{
    struct text text = TEXT_INIT;
    text_add(&text, POOL PROJECT);
    for (int i = 0; i < count; i++)
        text_printf(&text,
                    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%03d}\n"
                    "spec: {size: 1GiB, pool: fast, onRemove: delete}\n---\n",
                    i);
    const char *made = arena_text(rack->arena, text.data);
    text_free(&text);
    return made;
}

/* The most that are under way at once until all is done. */
static int64_t most_under_way(struct rack *rack, const char *commit, int64_t answer_ms)
{
    rack->answer_ms = answer_ms;
    rack->most_under_way = 0;
    rack_target(rack, commit);
    assert_true(rack_run(rack, 60 * minute));
    return rack->most_under_way;
}

static void a_driver_with_a_queue_is_given_more_for_each_quick_answer(void **state)
{
    struct rack *rack = *state;
    rack->has_queue = true;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 400);
    rack->commits[3] = volumes(rack, 401);
    rack->commits[4] = volumes(rack, 440);
    rack_settle(rack, "1");
    assert_true(most_under_way(rack, "2", 0) > rack->config.parallelism);
    most_under_way(rack, "3", 3000); /* one that is slow, and they are few again */
    assert_int_equal(most_under_way(rack, "4", 3000), rack->config.parallelism);
}

static void a_driver_without_one_is_given_as_many_as_the_site_allows(void **state)
{
    struct rack *rack = *state;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 40);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), rack->config.parallelism);
}

static void a_driver_that_makes_groups_is_given_many_at_once(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 600);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), 512);
}

/* A project of so many volumes, made from an image. */
static const char *copies(struct rack *rack, int count)
{
    struct text text = TEXT_INIT;
    text_add(&text, POOL PROJECT IMAGE);
    for (int i = 0; i < count; i++)
        text_printf(&text,
                    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: c%03d}\n"
                    "spec: {size: 1GiB, pool: fast, image: os}\n---\n",
                    i);
    const char *made = arena_text(rack->arena, text.data);
    text_free(&text);
    return made;
}

static void of_what_may_take_long_few_are_sent_to_a_driver_that_makes_groups(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT IMAGE;
    rack->commits[2] = copies(rack, 40);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), rack->config.parallelism);
}

/* They are few at once, and none of them holds up what goes together. */
static void what_may_take_long_holds_up_no_group(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT IMAGE;
    rack->commits[2] = arena_printf(rack->arena, "%s%s", copies(rack, 40),
                                    strstr(volumes(rack, 100), "apiVersion: spinel/v1\nkind: Vol"));
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), 100 + rack->config.parallelism);
}

/* A group was slow, so that few are sent at once: copies do not count among them. */
static void what_may_take_long_holds_up_no_group_that_was_slow(void **state)
{
    struct rack *rack = *state;
    unsigned alone = 0, grouped = 0;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT IMAGE;
    rack->commits[2] = arena_printf(rack->arena, "%s%s", copies(rack, 40),
                                    strstr(volumes(rack, 100), "apiVersion: spinel/v1\nkind: Vol"));
    rack_settle(rack, "1");
    for (size_t i = 0; i < rack->core->config.driver_count; i++)
        rack->core->drivers[i].window = rack->config.parallelism;
    rack_target(rack, "2");
    for (core_pump(rack->core); !rack->core->active; core_pump(rack->core))
        message_deliver(rack);
    for (const struct task *task = rack->core->active; task; task = task->next)
        *(task->is_alone ? &alone : &grouped) += 1;
    assert_int_equal(alone, rack->config.parallelism);
    assert_int_equal(grouped, rack->config.parallelism);
}

static void a_copy_that_took_long_says_nothing_of_groups(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT IMAGE;
    rack->commits[2] = copies(rack, 1);
    rack->commits[3] = volumes(rack, 600);
    rack_settle(rack, "1");
    most_under_way(rack, "2", 25000);
    rack->answer_ms = 0;
    assert_int_equal(most_under_way(rack, "3", 0), 512);
}

static void a_driver_that_groups_these_kinds_is_given_many_at_once(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->group_kind = "Volume";
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 40);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), 40);
}

static void a_driver_that_groups_other_kinds_is_given_as_many_as_the_site_allows(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->group_kind = "NIC";
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 40);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), rack->config.parallelism);
}

/* Steps that are sent before the first of them is answered. */
static int64_t sent_at_once(struct rack *rack, const char *commit)
{
    rack->lose_replies = RACK_OBJECTS;
    rack_target(rack, commit);
    assert_false(rack_run(rack, 1000));
    return core_load(rack->core).under_way;
}

/* One volume fails in this way; then many come. */
static int64_t sent_after_a_failure(struct rack *rack, const char *kind)
{
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 1);
    rack->commits[3] = volumes(rack, 600);
    rack_settle(rack, "1");
    rack->refuse = "v000";
    rack->refuse_kind = kind;
    rack_target(rack, "2");
    rack_run(rack, 1000);
    assert_true(rack->events_failed > 0);
    return sent_at_once(rack, "3");
}

static void after_a_group_that_died_few_are_sent_at_once(void **state)
{
    struct rack *rack = *state;
    assert_int_equal(sent_after_a_failure(rack, "busy"), rack->config.parallelism);
}

static void after_a_refusal_as_many_as_before_are_sent(void **state)
{
    assert_int_equal(sent_after_a_failure(*state, "invalid"), 512);
}

static void after_a_group_that_was_slow_few_are_sent_at_once(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 1);
    rack->commits[3] = volumes(rack, 600);
    rack_settle(rack, "1");
    most_under_way(rack, "2", 25000);
    rack->answer_ms = 0;
    assert_int_equal(sent_at_once(rack, "3"), rack->config.parallelism);
}

static void a_site_may_allow_more_than_a_group_is_given(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->config.parallelism = 560;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 600);
    rack_settle(rack, "1");
    assert_int_equal(most_under_way(rack, "2", 0), 560);
}

/* Requests to look at objects, from the commit until all forty are made; the round's own look at
 * all of them is one. */
static unsigned looks_of_forty(struct rack *rack)
{
    rack->in_bursts = true;
    rack->config.parallelism = 40;
    rack->commits[1] = POOL PROJECT;
    rack->commits[2] = volumes(rack, 40);
    rack_settle(rack, "1");
    rack->looks = rack->applies = 0;
    rack_target(rack, "2");
    assert_true(rack_run(rack, 60 * minute));
    assert_int_equal(rack->applies, 40);
    return rack->looks;
}

static void what_goes_together_is_looked_at_by_one_request(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    assert_int_equal(looks_of_forty(rack), 1 + 1);
}

static void what_goes_one_by_one_is_looked_at_one_by_one(void **state)
{
    assert_int_equal(looks_of_forty(*state), 40 + 1);
}

/* Nobody knows what became of any of them; the next round finds all as declared, and none is sent
 * once more. */
static void a_look_of_many_that_hangs_sends_none_again(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true;
    rack->hang_looks_of = 40;
    assert_int_equal(looks_of_forty(rack), 1);
    assert_int_equal(rack->hang_looks_of, 0);
    assert_int_equal(rack->events_failed, 40);
}

/* When a volume whose step failed is tried again, if plans take two seconds each. */
static int64_t tried_again_ms(bool has_notice)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT VPC("net");
    rack->commits[2] = POOL PROJECT VPC("net") VOLUME("db", "1GiB");
    rack_settle(rack, "1");
    rack->refuse = "db";
    rack->refuse_kind = "busy";
    rack->plan_ms = 2000;
    rack_target(rack, "2");
    while (!rack->events_failed)
        rack_run(rack, 1);
    rack->refuse = NULL;
    unsigned before = rack->applies;
    int64_t began_ms = rack->now_ms;
    if (has_notice)
        rack_notice(rack, "net", rack_object(rack, "VPC", "net")->uid, "changed from outside");
    assert_true(rack_run(rack, 60 * minute));
    assert_int_equal(rack->applies, before + 1);
    int64_t tried_ms = rack->applied_at[before % 256] - began_ms;
    rack_free(rack);
    return tried_ms;
}

/* Notices wait for each other, and a plan of all is not made for each; a step does not. */
static void a_notice_holds_up_no_step_that_is_due(void **state)
{
    (void)state;
    int64_t alone_ms = tried_again_ms(false), noticed_ms = tried_again_ms(true);
    print_message("# after %lld ms, with a notice after %lld ms\n", (long long)alone_ms,
                  (long long)noticed_ms);
    assert_true(noticed_ms <= alone_ms + 2500);
}

#define KEY(name)                                                                      \
    "apiVersion: spinel/v1\nkind: SSHKey\nmetadata: {project: shop, name: " name "}\n" \
    "spec: {publicKey: \"ssh-ed25519 "                                                 \
    "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"}\n---\n"

/* No driver carries out what becomes of a key; it waits for its machine's all the same. */
static void a_key_goes_after_the_machine_that_has_it(void **state)
{
    struct rack *rack = *state;
    rack->commits[1] = POOL PROJECT KEY("ann") MACHINE("cloudInit: {sshKeys: [ann]}");
    rack->commits[2] = POOL PROJECT;
    rack_settle(rack, "1");
    rack->refuse = "web";
    rack->refuse_kind = "busy";
    rack_target(rack, "2");
    rack_run(rack, 1000);
    assert_non_null(rack_row(rack, "SSHKey"));
    rack->refuse = NULL;
    assert_true(rack_run(rack, 60 * minute));
    assert_int_equal(rack_count(rack, "Instance", "web"), 0);
    assert_null(rack_row(rack, "SSHKey"));
}

/* Five go, two more than may; once some are gone the rest would need no approval, and still is
 * what somebody approved. */
static void what_was_approved_stays_so_when_it_is_sent_again(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct loss *losses = NULL;
    size_t loss_count = 9;
    rack->commits[1] = volumes(rack, 5);
    rack->commits[2] = POOL PROJECT;
    rack_settle(rack, "1");
    rack_target(rack, "2");
    rack_run(rack, minute);
    assert_int_equal(rack_count(rack, "Volume", "v000"), 1);
    rack->lose_applies = 2;
    rack_approve_all(rack);
    rack_run(rack, 5000);
    assert_int_equal(rack_count(rack, "Volume", "v000"), 1);
    assert_int_equal(rack_count(rack, "Volume", "v004"), 0);
    rack_die(rack);
    rack_boot(rack, "2");
    assert_true(rack_run(rack, 60 * minute));
    for (int i = 0; i < 5; i++)
        assert_int_equal(rack_count(rack, "Volume", arena_printf(rack->arena, "v%03d", i)), 0);
    assert_int_equal(store_destroyed_since(rack->store, rack->arena, 0, &losses, &loss_count, &err),
                     0);
    assert_int_equal(loss_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
        RACK_TEST(a_driver_with_a_queue_is_given_more_for_each_quick_answer),
        RACK_TEST(a_driver_without_one_is_given_as_many_as_the_site_allows),
        RACK_TEST(a_driver_that_makes_groups_is_given_many_at_once),
        RACK_TEST(after_a_group_that_died_few_are_sent_at_once),
        RACK_TEST(after_a_refusal_as_many_as_before_are_sent),
        RACK_TEST(after_a_group_that_was_slow_few_are_sent_at_once),
        RACK_TEST(of_what_may_take_long_few_are_sent_to_a_driver_that_makes_groups),
        RACK_TEST(what_may_take_long_holds_up_no_group),
        RACK_TEST(what_may_take_long_holds_up_no_group_that_was_slow),
        RACK_TEST(a_copy_that_took_long_says_nothing_of_groups),
        RACK_TEST(a_driver_that_groups_these_kinds_is_given_many_at_once),
        RACK_TEST(a_driver_that_groups_other_kinds_is_given_as_many_as_the_site_allows),
        RACK_TEST(a_site_may_allow_more_than_a_group_is_given),
        RACK_TEST(what_goes_together_is_looked_at_by_one_request),
        RACK_TEST(what_goes_one_by_one_is_looked_at_one_by_one),
        RACK_TEST(a_look_of_many_that_hangs_sends_none_again),
        cmocka_unit_test(a_notice_holds_up_no_step_that_is_due),
        RACK_TEST(a_key_goes_after_the_machine_that_has_it),
        RACK_TEST(what_was_approved_stays_so_when_it_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
