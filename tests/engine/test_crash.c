/* SPDX-License-Identifier: MPL-2.0 */
/* The core ends at any call to the outside, or an answer is lost: nothing is made twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

static const int64_t minute = 60000;

/* What a process has in memory when it is killed is no leak. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
static void __lsan_disable(void)
{
}
static void __lsan_enable(void)
{
}
#endif

/* Boots and runs; false if the core died at the call that was chosen for it. */
static bool survives(struct rack *rack, const char *commit)
{
    __lsan_disable();
    if (setjmp(rack->crash)) {
        __lsan_enable();
        return false;
    }
    rack_boot(rack, commit);
    rack_run(rack, 10 * minute);
    __lsan_enable();
    return true;
}

static struct rack *rack_at(const struct rack *like, const char *commit)
{
    struct rack *rack = rack_new();
    memcpy(rack->commits, like->commits, sizeof rack->commits);
    if (commit) {
        rack_boot(rack, commit);
        assert_true(rack_run(rack, minute));
    }
    rack->calls = 0;
    return rack;
}

/* From a converged commit to another, with the core dying at its n-th call to the outside,
 * for every n: the end is the same, and nothing was done twice. */
static void crash_everywhere(const struct rack *like, const char *from, const char *to,
                             void (*check)(struct rack *rack))
{
    bool has_survived = false;
    for (int at = 1; !has_survived; at++) {
        struct rack *rack = rack_at(like, from);
        rack->crash_at = at;
        has_survived = survives(rack, to);
        rack->crash_at = 0;
        if (!has_survived) {
            rack_boot(rack, to);
            assert_true(rack_run(rack, 30 * minute));
        }
        check(rack);
        rack_free(rack);
    }
}

static void created_once(struct rack *rack)
{
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->applied, 1);
    assert_int_equal(rack_object(rack, "VPC", "net")->applied, 1);
}

static void grown_once(struct rack *rack)
{
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_size(rack), 2LL << 30);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->applied, 2);
}

static void deleted_once(struct rack *rack)
{
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

static void crash_at_any_call_of_a_create_makes_one_object(void **state)
{
    crash_everywhere(*state, NULL, "1", created_once);
}

static void crash_at_any_call_of_an_update_updates_once(void **state)
{
    crash_everywhere(*state, "1", "2", grown_once);
}

static void crash_at_any_call_of_a_delete_deletes(void **state)
{
    crash_everywhere(*state, "1", "3", deleted_once);
}

static void lost_reply_is_found_out_by_looking(void **state)
{
    struct rack *rack = *state;
    rack->lose_replies = 1;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, 10 * minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_object(rack, "VPC", "net")->applied, 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

/* Under a new op the driver could not tell the repeat from a second wish. */
static void what_was_sent_before_a_crash_is_sent_again_as_the_same_op(void **state)
{
    struct rack *rack = *state;
    rack->lose_applies = 1;
    rack_boot(rack, "1");
    assert_false(rack_run(rack, 1000));
    assert_int_equal(rack->lose_applies, 0);
    rack_die(rack);
    rack_boot(rack, "1");
    assert_true(rack_run(rack, 10 * minute));
    unsigned repeats = 0;
    for (size_t i = 0; i < rack->object_count; i++) {
        assert_int_equal(rack->objects[i].ops, 1);
        assert_int_equal(rack->objects[i].epoch, 1);
        assert_int_equal(rack->objects[i].made, 1);
        repeats += rack->objects[i].repeats;
    }
    assert_int_equal(repeats, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup_volume, rack_teardown)
        RACK_TEST(crash_at_any_call_of_a_create_makes_one_object),
        RACK_TEST(crash_at_any_call_of_an_update_updates_once),
        RACK_TEST(crash_at_any_call_of_a_delete_deletes),
        RACK_TEST(lost_reply_is_found_out_by_looking),
        RACK_TEST(what_was_sent_before_a_crash_is_sent_again_as_the_same_op),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
