/* SPDX-License-Identifier: MPL-2.0 */
/* Nothing leaves the core before it is durable: the store fails at each of its calls in
 * turn, and what was decided in that turn is neither sent nor told. */
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
    rack->commits[1] = POOL PROJECT VOLUME("db", "1GiB") VPC("net");
    rack->commits[2] = POOL PROJECT VOLUME("db", "2GiB") VPC("net");
    *state = rack;
    return 0;
}

/* On the way from a converged commit to the next, the n-th of these calls fails, for every n:
 * effects end there, the core says why, and the next start finishes the work once. */
static void fail_each(struct rack *like, enum ledger_call call)
{
    for (int at = 1;; at++) {
        struct error err = ERROR_INIT;
        struct rack *rack = rack_new();
        memcpy(rack->commits, like->commits, sizeof rack->commits);
        rack_boot(rack, "1");
        assert_true(rack_run(rack, minute));
        rack->fail_at[call] = at;
        int status = core_target(rack->core, "2", NULL, NULL, NULL, &err);
        if (status == 0)
            rack_run(rack, minute);
        bool has_failed = core_has_failed(rack->core, &err);
        unsigned applies = rack->applies;
        if (has_failed) {
            assert_int_equal(err.code, ERR_NO_SPACE);
            core_look(rack->core);
            core_pump(rack->core);
            core_driver_down(rack->core, "disk", "signal 9 (Killed)");
            core_pump(rack->core);
            assert_int_equal(rack->applies, applies);
        }
        rack->fail_at[call] = 0;
        rack_boot(rack, "2");
        assert_true(rack_run(rack, 30 * minute));
        assert_true(core_is_converged(rack->core));
        assert_int_equal(rack_object(rack, "Volume", "db")->applied, 2);
        rack_free(rack);
        if (!has_failed && status == 0)
            return;
    }
}

static void a_begin_that_fails_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_BEGIN);
}

static void a_commit_that_fails_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_COMMIT);
}

static void an_object_that_cannot_be_written_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_OBJECT);
}

static void an_intent_that_cannot_be_written_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_INTENT);
}

static void an_observation_that_cannot_be_written_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_OBSERVATION);
}

static void an_event_that_cannot_be_written_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_EVENT);
}

static void a_fact_that_cannot_be_read_ends_all_effects(void **state)
{
    fail_each(*state, LEDGER_FACT);
}

static void the_first_failure_is_the_one_that_is_told(void **state)
{
    struct rack *rack = *state;
    struct error first = ERROR_INIT, second = ERROR_INIT, told = ERROR_INIT;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    error_set(&first, ERR_NO_SPACE, "the disk is full");
    error_set(&second, ERR_CORRUPT, "the rest of it is broken too");
    core_fail(rack->core, &first);
    core_fail(rack->core, &second);
    assert_true(core_has_failed(rack->core, &told));
    assert_string_equal(told.message, "the disk is full");
}

/* As `spinel plan` without a daemon: it looks, and writes nothing. */
static void without_effects_nothing_is_written_and_nothing_sent(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    unsigned applies = rack->applies;
    rack->config.effects = false;
    rack->fail_at[LEDGER_BEGIN] = 1;
    rack_boot(rack, "2");
    rack_run(rack, minute);
    assert_int_equal(rack->fail_at[LEDGER_BEGIN], 1); /* it was never called */
    assert_int_equal(rack->applies, applies);
    assert_int_equal(value_get_int(rack_object(rack, "Volume", "db")->spec, "size", 0), 1LL << 30);
}

/* A control request opens it before it writes beside the core. */
static void a_batch_is_opened_once(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    core_begin(rack->core);
    rack->fail_at[LEDGER_BEGIN] = 1;
    core_begin(rack->core);
    assert_int_equal(rack->fail_at[LEDGER_BEGIN], 1);
    rack->fail_at[LEDGER_BEGIN] = 0;
    core_pump(rack->core);
    assert_false(store_in_batch(rack->store));
}

static void a_batch_holds_as_many_events_as_there_are(void **state)
{
    struct rack *rack = *state;
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    for (int i = 0; i < 40; i++)
        text_printf(&yaml, VPC("n%d"), i);
    rack->commits[3] = yaml.data;
    rack->config.parallelism = 40;
    rack_boot(rack, "3");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_count(rack, "VPC", "n39"), 1);
    text_free(&yaml);
}

/* What was decided for a driver that ended in the same turn is not sent to the next one. */
static void nothing_is_sent_to_a_driver_that_has_ended(void **state)
{
    struct rack *rack = *state;
    rack->commits[3] = PROJECT VPC("net");
    rack->keep_replies = true;
    rack_boot(rack, "3");
    rack_run(rack, 1000);
    size_t before = rack->queue_end;
    rack_say(rack, "net", rack->kept); /* and now it is to be looked at */
    rack_lose_driver(rack, "net");
    core_pump(rack->core);
    assert_int_equal(rack->queue_end, before + 1); /* initialize, of the next one */
    rack->keep_replies = false;
    assert_true(rack_run(rack, 10 * minute));
    assert_true(core_is_converged(rack->core));
}

static void nothing_is_sent_to_a_driver_that_is_being_killed(void **state)
{
    struct rack *rack = *state;
    rack->commits[3] = PROJECT VPC("net");
    rack->keep_replies = true;
    rack_boot(rack, "3");
    rack_run(rack, 1000);
    size_t before = rack->queue_end;
    rack_say(rack, "net", rack->kept);
    driver_kill(rack->core, driver_find(rack->core, "net"), "it talks nonsense");
    core_pump(rack->core);
    assert_int_equal(rack->queue_end, before + 1); /* the word of its end */
    rack->keep_replies = false;
    assert_true(rack_run(rack, 10 * minute));
    assert_true(core_is_converged(rack->core));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
        RACK_TEST(a_begin_that_fails_ends_all_effects),
        RACK_TEST(a_commit_that_fails_ends_all_effects),
        RACK_TEST(an_object_that_cannot_be_written_ends_all_effects),
        RACK_TEST(an_intent_that_cannot_be_written_ends_all_effects),
        RACK_TEST(an_observation_that_cannot_be_written_ends_all_effects),
        RACK_TEST(an_event_that_cannot_be_written_ends_all_effects),
        RACK_TEST(a_fact_that_cannot_be_read_ends_all_effects),
        RACK_TEST(the_first_failure_is_the_one_that_is_told),
        RACK_TEST(without_effects_nothing_is_written_and_nothing_sent),
        RACK_TEST(a_batch_is_opened_once),
        RACK_TEST(a_batch_holds_as_many_events_as_there_are),
        RACK_TEST(nothing_is_sent_to_a_driver_that_has_ended),
        RACK_TEST(nothing_is_sent_to_a_driver_that_is_being_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
