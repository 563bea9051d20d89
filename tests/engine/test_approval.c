/* SPDX-License-Identifier: MPL-2.0 */
/* What a person let through, and when that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

static const int64_t minute = 60000;

/* Approves the one hold that there is. */
static void approve(struct rack *rack)
{
    struct error err = ERROR_INIT;
    struct value *holds = NULL;
    assert_int_equal(store_holds(rack->store, rack->arena, &holds, &err), 0);
    assert_int_equal(holds->count, 1);
    assert_int_equal(
        store_hold_approve(rack->store, value_get_text(holds->items[0], "id", ""), "ann", 1, &err),
        0);
    core_policy_changed(rack->core);
}

static void lose(struct rack *rack, const char *name)
{
    struct rack_object *volume = rack_object(rack, "Volume", name);
    volume->exists = false;
    rack_notice(rack, "disk", volume->uid, "file is gone");
    rack_run(rack, minute);
}

static void approval_is_good_for_one_loss(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    lose(rack, "db");
    assert_int_equal(rack_count(rack, "Volume", "db"), 0); /* held */
    approve(rack);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    lose(rack, "db"); /* the same commit, the same rule, the same step */
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
    approve(rack);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
}

static void approval_of_a_revision_ends_with_its_last_step(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct value *holds = NULL;
    rack->commits[4] = POOL PROJECT VOLUME("a", "1GiB") VOLUME("b", "1GiB") VOLUME("c", "1GiB");
    rack->commits[5] = POOL PROJECT VOLUME("a", "1GiB");
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    rack_boot(rack, "5");
    rack_run(rack, minute);
    assert_int_equal(rack_count(rack, "Volume", "b"), 1);
    rack->refuse = "c"; /* one is done long before the other */
    rack->refuse_kind = "busy";
    approve(rack);
    rack_run(rack, minute);
    assert_int_equal(rack_count(rack, "Volume", "b"), 0);
    assert_int_equal(rack_count(rack, "Volume", "c"), 1);
    rack->refuse = NULL;
    assert_true(rack_run(rack, 10 * minute));
    assert_int_equal(rack_count(rack, "Volume", "c"), 0);
    assert_int_equal(store_holds(rack->store, rack->arena, &holds, &err), 0);
    assert_int_equal(holds->count, 0);
}

/* Sent again after its effect it destroys nothing, and so needs no approval: what a person let
 * through does not count against the budget all the same. */
static void approved_step_that_is_sent_again_stays_approved(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct loss *losses = NULL;
    size_t loss_count = 9;
    rack->commits[4] = POOL PROJECT VOLUME("a", "1GiB") VOLUME("b", "1GiB") VOLUME("c", "1GiB");
    rack->commits[5] = POOL PROJECT VOLUME("a", "1GiB");
    rack->config.policy = (struct plan_policy){1, 0, 100}; /* the budget alone holds it */
    rack_settle(rack, "4");
    rack_boot(rack, "5");
    rack_run(rack, minute);
    rack->lose_replies = 2;
    approve(rack);
    rack_run(rack, 1000);
    assert_int_equal(rack->lose_replies, 0);
    rack_settle(rack, "5");
    assert_int_equal(rack_count(rack, "Volume", "b") + rack_count(rack, "Volume", "c"), 0);
    assert_int_equal(store_destroyed_since(rack->store, rack->arena, 0, &losses, &loss_count, &err),
                     0);
    assert_int_equal(loss_count, 0);
}

/* What was destroyed before its answer was lost, and is sent again and finds nothing: it is gone.
 */
static void destruction_that_is_sent_again_counts(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct loss *losses = NULL;
    size_t loss_count = 9;
    rack->commits[4] = POOL PROJECT VOLUME("a", "1GiB") VOLUME("b", "1GiB") VOLUME("c", "1GiB");
    rack->commits[5] = POOL PROJECT VOLUME("a", "1GiB") VOLUME("b", "1GiB");
    rack_settle(rack, "4");
    rack->lose_replies = 1;
    rack_boot(rack, "5");
    rack_run(rack, 1000);
    assert_int_equal(rack->lose_replies, 0);
    rack_settle(rack, "5");
    assert_int_equal(rack_count(rack, "Volume", "c"), 0);
    assert_int_equal(store_destroyed_since(rack->store, rack->arena, 0, &losses, &loss_count, &err),
                     0);
    assert_int_equal(loss_count, 1);
    assert_int_equal(losses[0].count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup_volume, rack_teardown)
        RACK_TEST(approval_is_good_for_one_loss),
        RACK_TEST(approval_of_a_revision_ends_with_its_last_step),
        RACK_TEST(approved_step_that_is_sent_again_stays_approved),
        RACK_TEST(destruction_that_is_sent_again_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
