/* SPDX-License-Identifier: MPL-2.0 */
/* A target that is taken by its part (reconciler/engine/core_take.c): what is, what is left to the
 * whole, and when it is. test_take_drawn.c has the two beside each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/text.h"
#include "reconciler/engine/core_state.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"
#include "tests/engine/rack_rows.h"

enum { MINUTE_MS = 60000 };

/* ---- what is taken, and what is left to the whole ----------------------------------- */

static int setup(void **state)
{
    rack_setup_volume(state);
    struct rack *rack = *state;
    rack->config.made_by = "a test";
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") VOLUME("more", "1GiB") VPC("net");
    rack->commits[5] = POOL PROJECT RENAMED("data", "db") VPC("net");
    rack->commits[6] = POOL PROJECT VOLUME("db", "3GiB") VPC("net");
    rack->commits[7] =
        POOL PROJECT KEPT("db", "size: 2GiB, onRemove: delete, protect: true") VPC("net");
    rack_take_parts(rack);
    rack_settle(rack, "1");
    rack->loads = 1;
    rack->loads_at_apply = 0;
    rack->applies = 0;
    return 0;
}

static void end_is(struct rack *rack, int64_t gib)
{
    assert_true(rack_run(rack, 20 * (int64_t)MINUTE_MS));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_size(rack), gib << 30);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

static bool was_of_part(const struct rack *rack)
{
    assert_true(rack->loads_at_apply >= 1);
    return rack->loads_at_apply == 1;
}

static void a_step_is_sent_before_the_rest_is_read(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_true(was_of_part(rack));
    assert_int_equal(rack->loads, 2);
    assert_int_equal(rack->applies, 1);
}

/* The same part of the same rack again and again. */
static void each_of_many_commits_is_taken_by_its_part(void **state)
{
    struct rack *rack = *state;
    static const char *const commits[] = {"2", "6"};
    for (unsigned i = 0; i < 2; i++) {
        rack->loads = 1;
        rack->loads_at_apply = 0;
        rack_target(rack, commits[i]);
        end_is(rack, 2 + i);
        assert_true(was_of_part(rack));
    }
}

static void what_a_part_promises_holds_before_it_is_looked_at(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "7");
    core_pump(rack->core);
    assert_int_equal(rack->loads, 1);
    assert_int_equal(rack->applies, 0);
    assert_true(rack_row(rack, "Volume")->protect);
    rack_target(rack, "3"); /* which leaves it out */
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
}

static void left_to_the_whole(struct rack *rack, const char *commit)
{
    rack_target(rack, commit);
    assert_true(rack_run(rack, MINUTE_MS));
    assert_true(core_is_converged(rack->core));
    assert_false(was_of_part(rack));
}

static void what_is_to_be_made_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "4");
}

static void what_is_to_be_destroyed_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "3");
}

static void a_new_name_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "5");
}

static void what_was_changed_by_hand_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack_resize(rack, rack_object(rack, "Volume", "db"), 1 << 29);
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

/* Whatever is not as it was: by the whole, or not at all. */
static void is_left_to_the_whole_if(void (*differs)(struct rack *rack, struct rack_object *object))
{
    void *state = NULL;
    setup(&state);
    struct rack *rack = state;
    differs(rack, rack_object(rack, "Volume", "db"));
    rack_target(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->loads, 2);
    assert_int_not_equal(rack->loads_at_apply, 1);
    rack_free(rack);
}

static void is_released(struct rack *rack, struct rack_object *object)
{
    (void)rack;
    object->released = true;
}

static void is_damaged(struct rack *rack, struct rack_object *object)
{
    (void)rack;
    object->damages = 1;
}

static void is_of_a_later_epoch(struct rack *rack, struct rack_object *object)
{
    (void)object;
    rack->lie_epoch = 7;
}

static void is_unknown(struct rack *rack, struct rack_object *object)
{
    rack->blur = object->name;
}

static void what_is_not_as_it_was_is_left_to_the_whole(void **state)
{
    (void)state;
    is_left_to_the_whole_if(is_released);
    is_left_to_the_whole_if(is_damaged);
    is_left_to_the_whole_if(is_of_a_later_epoch);
    is_left_to_the_whole_if(is_unknown);
}

/* It may be of something that this commit would do. */
static void an_approval_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(store_hold_put(rack->store, "a1", RULE_REBUILD, "a test", 1, &err), 0);
    assert_int_equal(store_hold_approve(rack->store, "a1", "ann", 1, &err), 0);
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

/* Before it is looked at. */
static void news_before_the_look_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    core_policy_changed(rack->core);
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void what_stops_looks_at_nothing_more(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    core_stop(rack->core);
    core_pump(rack->core);
    assert_null(rack->core->taken.arena);
    assert_int_equal(rack->queue_first, rack->queue_end);
}

static void more_objects_than_are_asked_for_are_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    struct text few = TEXT_INIT, many = TEXT_INIT;
    text_add(&few, POOL PROJECT);
    text_add(&many, POOL PROJECT);
    for (unsigned i = 0; i < 65; i++) {
        text_printf(&few, VOLUME("v%u", "1GiB"), i);
        text_printf(&many, VOLUME("v%u", "2GiB"), i);
    }
    rack->commits[3] = arena_text(rack->arena, few.data);
    rack->commits[4] = arena_text(rack->arena, many.data);
    text_free(&few);
    text_free(&many);
    rack_settle(rack, "3");
    rack->loads = 1;
    rack->loads_at_apply = 0;
    left_to_the_whole(rack, "4");
}

static void what_is_gone_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack_object(rack, "Volume", "db")->exists = false;
    rack_target(rack, "2");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0); /* its data are lost: that is for a person */
    assert_int_equal(core_plan(rack->core)->held, 1);
    assert_int_equal(rack->loads, 2);
}

/* Who has asked for a look at its part, and waits for the answer. */
static void is_looked_at(struct rack *rack)
{
    rack_target(rack, "2");
    core_pump(rack->core);
    assert_int_equal(rack->loads, 1);
    assert_non_null(rack->core->taken.arena);
    assert_int_equal(rack->core->taken.round, rack->core->round.number);
}

static void what_the_look_leaves_out_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->hide = "db";
    is_looked_at(rack);
    rack->hide = NULL;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_notice_meanwhile_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_notice(rack, "net", rack_object(rack, "VPC", "net")->uid, "somebody");
    struct rack_message last = rack->queue[rack->queue_end - 1]; /* which comes first */
    for (size_t i = rack->queue_end - 1; i > rack->queue_first; i--)
        rack->queue[i] = rack->queue[i - 1];
    rack->queue[rack->queue_first] = last;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_driver_that_ends_meanwhile_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_lose_driver(rack, "disk");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_driver_that_hangs_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->mute = "disk";
    is_looked_at(rack);
    rack_run(rack, 3000);
    assert_null(rack->core->taken.arena);
    assert_true(rack->core->round.is_full); /* which waits for it in its turn */
    assert_int_equal(rack->loads, 1);
    rack_run(rack, 10000);
    assert_int_equal(rack->loads, 2);
    rack->mute = NULL;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void another_commit_meanwhile_takes_its_place(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_target(rack, "6");
    end_is(rack, 3);
    assert_false(was_of_part(rack));
    assert_int_equal(rack->applies, 1);
}

static void the_same_commit_meanwhile_changes_nothing(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_true(was_of_part(rack));
    assert_int_equal(rack->applies, 1);
}

static void another_commit_while_the_step_is_under_way_is_taken_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    while (!rack->applies) {
        message_deliver(rack);
        core_pump(rack->core);
    }
    assert_true(was_of_part(rack));
    assert_null(rack->core->set);
    rack_target(rack, "6");
    end_is(rack, 3);
    assert_int_equal(rack->applies, 2);
}

static void freeze(struct rack *rack, const char *what)
{
    const struct freeze freeze = {.what = what, .who = "ann", .why = "a test"};
    struct error err = ERROR_INIT;
    core_begin(rack->core);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    core_policy_changed(rack->core);
}

static void a_freeze_holds_for_a_part(void **state)
{
    struct rack *rack = *state;
    freeze(rack, "changes");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "2");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0);
    assert_int_equal(core_plan(rack->core)->deferred, 1);
}

static void a_freeze_that_comes_meanwhile_holds_for_a_part(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    freeze(rack, "changes");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0);
    assert_int_equal(core_plan(rack->core)->deferred, 1);
}

/* It was sent, is confirmed, and the rest of its commit cannot be read: as at a start. */
static void a_rest_that_cannot_be_read_ends_the_core(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    is_looked_at(rack);
    rack->torn = "2";
    assert_false(rack_run(rack, MINUTE_MS));
    assert_true(core_has_failed(rack->core, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(rack->applies, 1);
    rack->torn = NULL;
    rack_boot(rack, "2");
    end_is(rack, 2);
    assert_int_equal(rack->applies, 1);
}

static void what_cannot_be_read_is_refused_as_ever(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    rack->torn = "2";
    assert_int_equal(core_target(rack->core, "2", "ann", NULL, NULL, &err), ERR_CORRUPT);
    assert_string_equal(core_commit(rack->core), "1");
    end_is(rack, 1);
}

static void a_step_that_fails_is_tried_again_by_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->refuse = "db";
    rack->refuse_kind = "busy";
    rack_target(rack, "2");
    rack_run(rack, 20000);
    assert_true(was_of_part(rack));
    assert_true(rack->events_failed > 1);
    assert_int_equal(rack->loads, 2);
    rack->refuse = NULL;
    end_is(rack, 2);
}

/* Who plans from the store has nothing to look at, and is done at once. */
static void a_reader_of_the_store_wants_no_look(void **state)
{
    struct rack *rack = *state;
    rack->config.effects = false;
    rack->config.cached = true;
    rack_boot(rack, "2");
    unsigned looks = rack->looks;
    core_pump(rack->core);
    assert_true(core_is_settled(rack->core));
    assert_int_equal(core_plan(rack->core)->run, 1);
    assert_int_equal(rack->looks, looks);
}

/* ---- a crash at each call ----------------------------------------------------------- */

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

static bool survives(struct rack *rack, int at)
{
    __lsan_disable();
    rack->calls = 0;
    rack->crash_at = at;
    if (setjmp(rack->crash)) {
        __lsan_enable();
        return false;
    }
    rack_target(rack, "2");
    rack_run(rack, 10 * (int64_t)MINUTE_MS);
    rack->crash_at = 0;
    __lsan_enable();
    return true;
}

static void a_crash_at_any_call_leaves_one_step_behind(void **state)
{
    struct rack *like = *state;
    const char *const intents = "SELECT op, epoch, verb, plan, arguments_digest, state, step"
                                " FROM intent WHERE id > 3";
    bool has_survived = false;
    rack_target(like, "2");
    end_is(like, 2);
    const char *journal = rack_rows(like, intents);
    int at = 1;
    for (; !has_survived; at++) {
        void *fresh = NULL;
        setup(&fresh);
        struct rack *rack = fresh;
        has_survived = survives(rack, at);
        rack->crash_at = 0;
        if (!has_survived)
            rack_boot(rack, "2");
        end_is(rack, 2);
        assert_int_equal(rack_object(rack, "Volume", "db")->applied, 2);
        assert_string_equal(rack_rows(rack, intents), journal);
        rack_free(rack);
    }
    assert_true(at > 20);
}

static struct request *request_left(struct rack *rack, const char **driver)
{
    for (size_t i = 0; i < rack->core->config.driver_count; i++) {
        *driver = rack->core->drivers[i].name;
        if (rack->core->drivers[i].requests)
            return rack->core->drivers[i].requests;
    }
    return NULL;
}

/* It was read before the step that has been confirmed since. */
static void late_answer_of_a_look_that_was_given_up_is_not_believed(void **state)
{
    struct rack *rack = *state;
    const char *driver = NULL;
    rack->hang_looks_of = 2;
    is_looked_at(rack);
    struct value *old = object_make(rack, rack_object(rack, "Volume", "db")->uid);
    rack_run(rack, 8000);
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
    struct request *request = request_left(rack, &driver);
    assert_non_null(request);
    struct value *answer = value_map(rack->arena), *result = value_map(rack->arena);
    value_set_int(rack->arena, answer, "id", request->id);
    value_set(rack->arena, answer, "result", result);
    value_append(rack->arena, value_set(rack->arena, result, "objects", value_list(rack->arena)),
                 old);
    value_set_bool(rack->arena, result, "complete", true);
    queue_put(rack, driver, answer);
    unsigned applies = rack->applies;
    rack_run(rack, MINUTE_MS);
    const struct known *row = rack_row(rack, "Volume");
    assert_int_equal(value_get_int(row->observed.spec, "size", 0), INT64_C(2) << 30);
    rack_notice(rack, "net", rack_object(rack, "VPC", "net")->uid, "somebody came by");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, applies);
}

/* A pool has less room at each look, a disk more of its bytes. */
static void status_for_people_is_no_news(void **state)
{
    struct rack *rack = *state;
    rack->is_restless = true;
    unsigned loads = rack->loads;
    is_looked_at(rack);
    while (!rack->core->tasks) {
        message_deliver(rack);
        core_pump(rack->core);
    }
    assert_int_equal(rack->loads, loads);
}

/* All is converged on what was asked later, when that answer is overdue. */
static void answer_that_never_comes_starts_its_driver_anew(void **state)
{
    struct rack *rack = *state;
    const char *driver = NULL;
    rack->hang_looks_of = 2;
    is_looked_at(rack);
    rack_run(rack, 8000);
    assert_true(core_is_converged(rack->core));
    assert_non_null(request_left(rack, &driver));
    for (int i = 0; i < 100 && rack->kills[0] == 0; i++) {
        rack->now_ms += 1000;
        core_timer(rack->core);
        core_pump(rack->core);
    }
    assert_int_equal(rack->kills[0], 1);
    assert_false(core_is_converged(rack->core));
    end_is(rack, 2);
}

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(a_step_is_sent_before_the_rest_is_read),
        RACK_TEST(late_answer_of_a_look_that_was_given_up_is_not_believed),
        RACK_TEST(answer_that_never_comes_starts_its_driver_anew),
        RACK_TEST(status_for_people_is_no_news),
        RACK_TEST(each_of_many_commits_is_taken_by_its_part),
        RACK_TEST(what_a_part_promises_holds_before_it_is_looked_at),
        RACK_TEST(what_is_to_be_made_is_left_to_the_whole),
        RACK_TEST(what_is_to_be_destroyed_is_left_to_the_whole),
        RACK_TEST(a_new_name_is_left_to_the_whole),
        RACK_TEST(what_was_changed_by_hand_is_left_to_the_whole),
        RACK_TEST(what_is_gone_is_left_to_the_whole),
        cmocka_unit_test(what_is_not_as_it_was_is_left_to_the_whole),
        RACK_TEST(an_approval_leaves_it_to_the_whole),
        RACK_TEST(news_before_the_look_leaves_it_to_the_whole),
        RACK_TEST(what_stops_looks_at_nothing_more),
        RACK_TEST(more_objects_than_are_asked_for_are_left_to_the_whole),
        RACK_TEST(what_the_look_leaves_out_is_left_to_the_whole),
        RACK_TEST(a_notice_meanwhile_leaves_it_to_the_whole),
        RACK_TEST(a_driver_that_ends_meanwhile_leaves_it_to_the_whole),
        RACK_TEST(a_driver_that_hangs_leaves_it_to_the_whole),
        RACK_TEST(another_commit_meanwhile_takes_its_place),
        RACK_TEST(the_same_commit_meanwhile_changes_nothing),
        RACK_TEST(another_commit_while_the_step_is_under_way_is_taken_whole),
        RACK_TEST(a_freeze_holds_for_a_part),
        RACK_TEST(a_freeze_that_comes_meanwhile_holds_for_a_part),
        RACK_TEST(a_rest_that_cannot_be_read_ends_the_core),
        RACK_TEST(what_cannot_be_read_is_refused_as_ever),
        RACK_TEST(a_step_that_fails_is_tried_again_by_the_whole),
        RACK_TEST(a_reader_of_the_store_wants_no_look),
        RACK_TEST(a_crash_at_any_call_leaves_one_step_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
