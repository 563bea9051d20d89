/* SPDX-License-Identifier: MPL-2.0 */
/*
 * When a hold or its approval ends, what the approval is of, and what the hold says (RFD 13, 36).
 */
#include "tests/engine/volumes.h"

enum { MACHINES = 10 };

/* As many kept volumes, volumes that are destroyed once they leave, and machines, of which the
 * first `bad` have another firmware; and one that needs a restart for another `type`. */
static void mix_declare(struct rack *rack, int commit, int kept, int volumes, int machines, int bad,
                        const char *type)
{
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, 0, volumes, true);
    for (int i = 0; i < kept; i++)
        text_printf(&yaml, KEPT("kept%d", "size: 1GiB"), i);
    text_add_machines(&yaml, machines, bad);
    if (type)
        text_printf(&yaml, MACHINE("machine: %s"), type);
    rack->commits[commit] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
}

static struct rack_object *machine(struct rack *rack, int i)
{
    return rack_object(rack, "Instance", arena_printf(rack->arena, "m%d", i));
}

/* Somebody gives them another firmware by hand. */
static void machines_drift(struct rack *rack, int from)
{
    for (int i = from; i < MACHINES; i++) {
        struct value *spec = value_copy(rack->arena, machine(rack, i)->spec);
        value_set_text(rack->arena, spec, "firmware", "uefi");
        machine(rack, i)->spec = spec;
    }
    minutes_pass(rack, 10);
    minutes_pass(rack, 10);
}

static int machines_replaced(struct rack *rack, int from)
{
    int gone = 0;
    for (int i = from; i < MACHINES; i++)
        gone += !machine(rack, i)->exists; /* the new one has another uid */
    return gone;
}

static int approve(struct rack *rack, const char *id)
{
    struct error err = ERROR_INIT;
    int rc = store_hold_approve(rack->store, id, "ann", 1, &err);
    core_policy_changed(rack->core);
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    return rc;
}

/* ---- the process must not end --------------------------------------------------------- */

static void an_empty_set_after_what_was_never_made(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = IMAGE;
    rack->commits[5] = "";
    rack->lose_applies = 100;
    rack_boot(rack, "4");
    rack_run(rack, 1000);
    target(rack, "5");
    rack->lose_applies = 0;
    rack_run(rack, 60 * MINUTE_MS); /* an image may take half an hour */
    assert_int_equal(core_plan(rack->core)->step_count, 0);
}

static void the_last_of_an_approved_empty_set_was_never_made(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT KEPT("v0", "size: 1GiB");
    rack->commits[5] = "";
    rack->refuse = "v0";
    rack->refuse_kind = "busy";
    rack_boot(rack, "4");
    rack_run(rack, 1000);
    assert_non_null(rule_of(target(rack, "5"), RULE_EMPTY));
    rack_approve_all(rack);
    rack_run(rack, MINUTE_MS);
    rack->refuse = NULL;
    minutes_pass(rack, 10);
    assert_int_equal(core_plan(rack->core)->step_count, 0);
}

/* ---- a step's approval ---------------------------------------------------------------- */

/* Made again and not said so, while another driver is away; ten days later it is lost once more. */
static void an_approval_of_a_loss_is_not_one_of_a_second_loss(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 5);
    rack->mute = "net";
    rack_lose_driver(rack, "net");
    rack_run(rack, MINUTE_MS);
    struct rack_object *v0 = rack_object(rack, "Volume", "v0");
    v0->exists = false;
    minutes_pass(rack, 10);
    assert_string_equal(core_plan(rack->core)->holds[0].rule, "lost-data");
    rack->lose_replies = 1;
    rack_approve_all(rack);
    rack_run(rack, 1000);
    assert_int_equal(v0->made, 2);
    rack_die(rack);
    rack_boot(rack, "4");
    rack_run(rack, 5 * MINUTE_MS);
    minutes_pass(rack, 10 * DAY_MINUTES);
    assert_int_equal(core_plan(rack->core)->step_count, 0);
    v0->exists = false;
    minutes_pass(rack, 10);
    assert_int_equal(v0->made, 2);
}

/* It came back by itself, and a person says yes to what was held of it before. */
static void a_late_yes_is_not_one_of_the_next_loss(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 5);
    struct rack_object *v0 = rack_object(rack, "Volume", "v0");
    v0->exists = false;
    minutes_pass(rack, 1);
    const char *id = hold_of(rack, "lost-data");
    v0->exists = true;
    minutes_pass(rack, 10);
    assert_int_equal(core_plan(rack->core)->step_count, 0);
    rack->mute = "net";
    rack_lose_driver(rack, "net");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(approve(rack, id), ERR_NOT_FOUND);
    minutes_pass(rack, 10 * DAY_MINUTES);
    v0->exists = false;
    minutes_pass(rack, 10);
    assert_int_equal(v0->made, 1);
}

static void one_look_without_word_ends_no_approval_of_a_step(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 5);
    struct rack_object *v0 = rack_object(rack, "Volume", "v0");
    v0->exists = false;
    minutes_pass(rack, 1);
    const char *id = hold_of(rack, "lost-data");
    v0->exists = true; /* it is listed, and cannot be told about */
    rack->blur = "v0";
    rack_notice(rack, "disk", v0->uid, "its pool is away");
    assert_int_equal(approve(rack, id), 0);
    rack->blur = NULL;
    v0->exists = false;
    rack_notice(rack, "disk", v0->uid, "its pool is back");
    minutes_pass(rack, 10);
    assert_int_equal(core_plan(rack->core)->hold_count, 0);
    assert_true(v0->exists);
}

/* ---- a budget's approval -------------------------------------------------------------- */

/* The restart waits for its guest, as it does if nobody says otherwise. */
static void an_approval_of_a_budget_ends_while_a_restart_waits(void **state)
{
    struct rack *rack = *state;
    mix_declare(rack, 4, 0, 20, MACHINES, 0, "pc-q35-7.2");
    mix_declare(rack, 5, 0, 16, MACHINES, 0, "pc-q35-8.0");
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    assert_int_equal(core_plan(rack->core)->deferred, 1);
    assert_int_equal(approve(rack, hold_of(rack, RULE_BUDGET)), 0);
    assert_false(rack_object(rack, "Volume", "v19")->exists);
    minutes_pass(rack, 10 * DAY_MINUTES);
    machines_drift(rack, 4);
    assert_int_equal(machines_replaced(rack, 4), 0);
    assert_non_null(rule_of(core_plan(rack->core), RULE_BUDGET));
}

static void an_approval_of_a_budget_ends_while_a_driver_is_away(void **state)
{
    struct rack *rack = *state;
    mix_declare(rack, 4, 0, 20, MACHINES, 0, NULL);
    mix_declare(rack, 5, 0, 20, MACHINES, 4, NULL);
    rack_settle(rack, "4");
    rack->mute = "disk";
    rack_lose_driver(rack, "disk");
    rack_run(rack, MINUTE_MS);
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    assert_int_equal(approve(rack, hold_of(rack, RULE_BUDGET)), 0);
    assert_int_equal(machines_replaced(rack, 0), 4);
    minutes_pass(rack, 10 * DAY_MINUTES);
    machines_drift(rack, 4);
    assert_int_equal(machines_replaced(rack, 4), 0);
}

/* Of machines that drifted, which nobody has looked at yet when the daemon starts again. */
static void an_approval_of_a_budget_outlives_a_start(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    mix_declare(rack, 4, 0, 0, MACHINES, 0, NULL);
    rack_settle(rack, "4");
    machines_drift(rack, 4);
    assert_int_equal(machines_replaced(rack, 4), 0);
    assert_int_equal(store_hold_approve(rack->store, hold_of(rack, RULE_BUDGET), "ann", 1, &err),
                     0);
    rack_die(rack);
    rack->answer_ms = 1100; /* a plan is made after two seconds, with what has come */
    rack_boot(rack, "4");
    rack_run(rack, 5 * MINUTE_MS);
    assert_int_equal(machines_replaced(rack, 4), 6);
}

static void what_was_taken_back_is_held_no_more_while_a_restart_waits(void **state)
{
    struct rack *rack = *state;
    mix_declare(rack, 4, 0, 20, MACHINES, 0, "pc-q35-7.2");
    mix_declare(rack, 5, 0, 15, MACHINES, 0, "pc-q35-8.0");
    mix_declare(rack, 6, 0, 20, MACHINES, 0, "pc-q35-8.0");
    mix_declare(rack, 7, 0, 19, MACHINES, 0, "pc-q35-8.0");
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    assert_int_equal(target(rack, "6")->hold_count, 0);
    minutes_pass(rack, 10);
    assert_int_equal(target(rack, "7")->hold_count, 0); /* 1 of 20 */
}

/* Nobody can tell about the ten that there are; those that come meanwhile, m10 to m129, are not
 * among them. */
static void machines_blur(struct rack *rack, struct rack_object *old[MACHINES])
{
    rack->blur_all = "blur";
    for (int i = 0; i < MACHINES; i++) {
        old[i] = machine(rack, i);
        snprintf(old[i]->name, sizeof old[i]->name, "blur%d", i);
        rack_notice(rack, "net", old[i]->uid, "its monitor does not answer");
    }
}

static void machines_unblur(struct rack *rack, struct rack_object *old[MACHINES])
{
    rack->blur_all = NULL;
    for (int i = 0; i < MACHINES; i++) {
        snprintf(old[i]->name, sizeof old[i]->name, "m%d", i);
        rack_notice(rack, "net", old[i]->uid, "it does again");
    }
}

/* Four of ten are to be replaced, of which nobody can tell for an hour; what the commit adds is
 * made meanwhile. */
static void what_is_replaced_and_not_looked_at_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    struct rack_object *old[MACHINES];
    mix_declare(rack, 4, 0, 0, MACHINES, 0, NULL);
    mix_declare(rack, 5, 0, 0, 130, 4, NULL);
    rack_settle(rack, "4");
    machines_blur(rack, old);
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 60);
    assert_true(rack_object(rack, "Instance", "m129")->exists);
    machines_unblur(rack, old);
    minutes_pass(rack, 10);
    minutes_pass(rack, 10);
    for (int i = 0; i < 4; i++)
        assert_true(old[i]->exists);
}

/* Six of ten drifted, and are held; what drifted of a machine that does not answer is not known. */
static void what_drifted_and_is_not_looked_at_is_not_diluted(void **state)
{
    struct rack *rack = *state;
    struct rack_object *old[MACHINES];
    mix_declare(rack, 4, 0, 0, MACHINES, 0, NULL);
    mix_declare(rack, 5, 0, 0, 130, 0, NULL);
    rack_settle(rack, "4");
    machines_drift(rack, 4);
    assert_non_null(rule_of(core_plan(rack->core), RULE_BUDGET));
    machines_blur(rack, old);
    rack_target(rack, "5");
    rack_run(rack, 10 * MINUTE_MS);
    minutes_pass(rack, 60);
    assert_true(rack_object(rack, "Instance", "m129")->exists);
    machines_unblur(rack, old);
    minutes_pass(rack, 10);
    minutes_pass(rack, 10);
    for (int i = 4; i < MACHINES; i++)
        assert_true(old[i]->exists);
}

/* ---- approved while another rule holds it ----------------------------------------------- */

/* 8 of 22 go and 8 others come; a person says yes while the tags of the 8 cannot be read. The next
 * commit takes one more. */
static void what_is_approved_and_held_by_another_rule_is_asked_about_again(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 12, 8, false);
    olds_declare(rack, 5, 0, 20, 0, false);
    olds_declare(rack, 6, 1, 20, 0, false);
    rack_settle(rack, "4");
    assert_non_null(collapse_of(target(rack, "5")));
    const char *id = hold_of(rack, RULE_COLLAPSE);
    rack->foreign_all = "old";
    olds_notice(rack, 8, "its tag is gone");
    assert_int_equal(approve(rack, id), 0);
    assert_false(is_released(rack, "old0"));
    target(rack, "6");
    rack->foreign_all = NULL;
    olds_notice(rack, 8, "its tag is back");
    minutes_pass(rack, 10);
    assert_false(is_released(rack, "v0"));
    assert_false(is_released(rack, "old0"));
}

static void the_same_of_what_is_destroyed(void **state)
{
    struct rack *rack = *state;
    olds_declare(rack, 4, 0, 16, 4, true);
    olds_declare(rack, 5, 0, 120, 0, true);
    olds_declare(rack, 6, 1, 120, 0, true);
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    const char *id = hold_of(rack, RULE_BUDGET);
    rack->foreign_all = "old";
    rack_run(rack, 10 * MINUTE_MS);
    struct error err = ERROR_INIT;
    for (int i = 0; i < 4; i++)
        rack_notice(rack, "disk",
                    rack_object(rack, "Volume", arena_printf(rack->arena, "old%d", i))->uid, "tag");
    rack_run(rack, 100); /* the look */
    store_hold_approve(rack->store, id, "ann", 1, &err);
    core_policy_changed(rack->core);
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "old0")->exists);
    target(rack, "6");
    rack->foreign_all = NULL;
    olds_notice(rack, 4, "its tag is back");
    minutes_pass(rack, 10);
    assert_true(rack_object(rack, "Volume", "v0")->exists);
    assert_true(rack_object(rack, "Volume", "old0")->exists);
}

/* Who was at it when the next commit came had its yes; who is sent again has none. */
static void what_is_sent_again_for_another_commit_was_not_approved(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct intent *open = NULL;
    size_t count = 0;
    volumes_start(rack, 20);
    assert_non_null(collapse_of(volumes_left(rack, "5", 5)));
    rack->lose_applies = 15;
    approve_collapse(rack);
    rack_run(rack, 1000);
    declare(rack, "6", 0, 4, 0, 0);
    rack_target(rack, "6");
    rack_run(rack, 1000);
    rack->mute = "disk";
    rack_lose_driver(rack, "disk");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(store_intents_open(rack->store, rack->arena, &open, &count, &err), 0);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_false(open[i].is_approved);
}

/* ---- the measure ---------------------------------------------------------------------- */

/* Six went. A seventh is approved, which its driver refuses, and taken back: nothing came of it. */
static void an_approval_of_what_was_refused_is_no_measure(void **state)
{
    struct rack *rack = *state;
    volumes_start(rack, 20);
    assert_int_equal(volumes_left(rack, "5", 14)->hold_count, 0);
    rack->refuse = "v13";
    rack->refuse_kind = "unsupported";
    assert_non_null(collapse_of(volumes_left(rack, "6", 13)));
    approve_collapse(rack);
    rack_run(rack, 10 * MINUTE_MS);
    assert_false(is_released(rack, "v13"));
    volumes_left(rack, "4", 14);
    assert_int_equal(core_plan(rack->core)->step_count, 0);
    rack->refuse = NULL;
    assert_non_null(collapse_of(volumes_left(rack, "7", 10))); /* 10 of 22 in a day */
    assert_false(is_released(rack, "v13"));
}

static void a_collapse_that_is_let_with_a_budget_is_the_measure(void **state)
{
    struct rack *rack = *state;
    mix_declare(rack, 4, 6, 14, MACHINES, 0, NULL);
    mix_declare(rack, 5, 0, 14, MACHINES, 0, NULL);
    mix_declare(rack, 6, 0, 7, MACHINES, 4, NULL);
    mix_declare(rack, 7, 0, 4, MACHINES, 4, NULL);
    rack_settle(rack, "4");
    assert_int_equal(target(rack, "5")->hold_count, 0);
    assert_int_equal(target(rack, "6")->hold_count, 2);
    rack_approve_all(rack);
    rack_run(rack, MINUTE_MS);
    minutes_pass(rack, 10);
    assert_int_equal(core_plan(rack->core)->step_count, 0);
    assert_int_equal(target(rack, "7")->hold_count, 0); /* 3 of 19 */
}

/* ---- what a hold says ----------------------------------------------------------------- */

static void a_hold_says_what_it_holds_now(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct value *hold = NULL;
    mix_declare(rack, 4, 0, 0, MACHINES, 0, NULL);
    mix_declare(rack, 5, 0, 0, MACHINES, 4, NULL);
    rack_settle(rack, "4");
    assert_non_null(rule_of(target(rack, "5"), RULE_BUDGET));
    machines_drift(rack, 4);
    assert_int_equal(
        store_hold_get(rack->store, rack->arena, hold_of(rack, RULE_BUDGET), &hold, &err), 0);
    assert_int_equal(value_get_int(hold, "steps", 0), 10);
    assert_string_equal(value_get_text(hold, "reason", ""),
                        rule_of(core_plan(rack->core), RULE_BUDGET));
}

static void what_no_approval_lifts_is_not_approved(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct value *hold = NULL;
    volumes_start(rack, 20);
    rack->foreign_all = "v0";
    rack_notice(rack, "disk", rack_object(rack, "Volume", "v0")->uid, "its tag is gone");
    rack_run(rack, MINUTE_MS);
    declare(rack, "5", 1, 20, 0, 0);
    target(rack, "5");
    const char *id = hold_of(rack, "ownership");
    int rc = approve(rack, id);
    assert_int_equal(core_plan(rack->core)->hold_count, 1);
    assert_int_equal(store_hold_get(rack->store, rack->arena, id, &hold, &err), 0);
    assert_int_equal(rc, ERR_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACK_TEST(an_approval_of_a_loss_is_not_one_of_a_second_loss),
        RACK_TEST(a_late_yes_is_not_one_of_the_next_loss),
        RACK_TEST(one_look_without_word_ends_no_approval_of_a_step),
        RACK_TEST(an_approval_of_a_budget_ends_while_a_restart_waits),
        RACK_TEST(an_approval_of_a_budget_ends_while_a_driver_is_away),
        RACK_TEST(an_approval_of_a_budget_outlives_a_start),
        RACK_TEST(what_was_taken_back_is_held_no_more_while_a_restart_waits),
        RACK_TEST(what_is_replaced_and_not_looked_at_is_not_diluted),
        RACK_TEST(what_drifted_and_is_not_looked_at_is_not_diluted),
        RACK_TEST(what_is_approved_and_held_by_another_rule_is_asked_about_again),
        RACK_TEST(the_same_of_what_is_destroyed),
        RACK_TEST(what_is_sent_again_for_another_commit_was_not_approved),
        RACK_TEST(an_approval_of_what_was_refused_is_no_measure),
        RACK_TEST(a_collapse_that_is_let_with_a_budget_is_the_measure),
        RACK_TEST(a_hold_says_what_it_holds_now),
        RACK_TEST(what_no_approval_lifts_is_not_approved),
        RACK_TEST(the_last_of_an_approved_empty_set_was_never_made),
        RACK_TEST(an_empty_set_after_what_was_never_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
