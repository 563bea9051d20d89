/* SPDX-License-Identifier: MPL-2.0 */
/* What the guard holds, and what it lets through: every rule, on both sides; but for how much may
 * go, which is test_budget.c. */
#include "tests/plan/hold.h"

static void freeze(struct world *w, const char *what, int64_t until)
{
    struct freeze *freeze = arena_alloc(w->arena, sizeof(*freeze));

    *freeze = (struct freeze){what, "ana", "the fair", until};
    w->input.freezes = freeze;
    w->input.freeze_count = 1;
    world_plan(w);
}

static void protection_is_of_the_last_applied_revision(void **state)
{
    struct world *w = *state;
    const char *id;

    world_converge(w, SIX TEN_VOLUMES);
    world_row(w, "Instance", "a")->protect = true;
    world_declare(w, PROJECT I("b") I("c") I("d") I("e") I("f") TEN_VOLUMES V("new"));
    world_plan(w);
    assert_disposition(w, "Instance", "a", HELD);
    assert_disposition(w, "Volume", "new", RUN);
    assert_false(find_hold(w, "protect")->approvable);
    id = find_hold(w, "protect")->id;
    approve(w, id);
    assert_disposition(w, "Instance", "a", HELD); /* no approval lifts it */
    world_row(w, "Instance", "a")->protect = false;
    world_plan(w);
    assert_disposition(w, "Instance", "a", RUN);
}

static void a_protected_object_is_not_replaced(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT I("a"));
    world_row(w, "Instance", "a")->protect = true;
    world_declare(w, PROJECT INSTANCE("a", "cpus: 1, memory: 256MiB, firmware: uefi, "
                                           "updatePolicy: {replace: allowed}"));
    world_plan(w);
    assert_disposition(w, "Instance", "a", HELD);
    assert_int_equal(world_step(w, "Instance", "a")->action, ACTION_REPLACE);
}

/* One bit of the record may have turned; the object says it, too. */
static void an_object_that_says_so_is_protected(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, PROJECT VOLUME("v1", "size: 1GiB, onRemove: delete, protect: true"));
    row = world_row(w, "Volume", "v1");
    row->protect = false;
    assert_true(value_get_bool(row->observed.spec, "protect", false));
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_RELEASE);
    row->life = LIFE_RELEASED; /* and somebody has given it up */
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_DELETE);
    assert_int_equal(world_step(w, "Volume", "v1")->disposition, HELD);
}

static void a_protected_object_may_be_changed(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_row(w, "Volume", "v1")->protect = true;
    world_declare(w, PROJECT VOLUME("v1", "size: 2GiB, protect: true"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void what_does_not_carry_our_tag_is_never_touched(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_row(w, "Volume", "v1")->observed.status = json(w, "{\"foreign\":true}");
    world_declare(w, PROJECT VOLUME("v1", "size: 2GiB"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_false(find_hold(w, "ownership")->approvable);
}

static void a_higher_epoch_stops_and_asks(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1") V("v2") V("v3") V("v4"));
    world_row(w, "Volume", "v1")->observed.epoch = 9;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_non_null(strstr(find_hold(w, "epoch")->reason, "epoch 9, the store only 1"));
    approve(w, find_hold(w, "epoch")->id);
    assert_disposition(w, "Volume", "v1", RUN);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_ADOPT);
    world_declare(w, PROJECT V("v2") V("v3") V("v4"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD); /* leaving is no way around it */
}

static void each_of_many_lost_volumes_has_a_hold_of_its_own(void **state)
{
    struct world *w = *state;
    struct text yaml = TEXT_INIT;

    text_add(&yaml, PROJECT);
    for (int i = 0; i < 200; i++)
        text_printf(&yaml, VOLUME("v%d", "size: 1GiB"), i);
    world_converge(w, yaml.data);
    text_free(&yaml);
    for (int i = 0; i < 200; i++)
        world_gone(w, "Volume", arena_printf(w->arena, "v%d", i));
    world_plan(w);
    assert_int_equal(w->plan->held, 200);
    assert_int_equal(w->plan->hold_count, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(w->plan->holds[i].steps, 1);
        assert_string_equal(w->plan->holds[i].id, w->plan->steps[i].hold);
    }
}

static void a_lost_volume_is_not_made_anew_in_silence(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_gone(w, "Volume", "data");
    world_gone(w, "Instance", "web-1");
    world_plan(w);
    assert_disposition(w, "Volume", "data", HELD);
    assert_disposition(w, "Instance", "web-1", HELD); /* it waits for the volume */
    assert_string_equal(world_step(w, "Instance", "web-1")->hold, find_hold(w, "lost-data")->id);
    assert_string_equal(world_step(w, "Instance", "web-1")->reason,
                        "waits for Volume shop/data, which is held");
    assert_int_equal(find_hold(w, "lost-data")->steps, 2);
    approve(w, find_hold(w, "lost-data")->id);
    assert_disposition(w, "Volume", "data", RUN);
    assert_disposition(w, "Instance", "web-1", RUN);
}

static void a_new_volume_and_one_half_made_are_not_lost(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_gone(w, "Volume", "v1");
    world_row(w, "Volume", "v1")->life = LIFE_NEW;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void frozen_changes_leave_healing_alone(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, SHOP);
    world_tamper(w, "VPC", "net", "spec.nat", "false");
    world_declare(
        w, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16], mtu: 1400}")
               DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")
                   V("data2") VOLUME("data", "size: 4GiB"));
    freeze(w, "changes", 0);
    step = world_step(w, "VPC", "net");
    assert_int_equal(step->disposition, RUN);
    assert_int_equal(world_field(w, "VPC", "net", "spec.nat")->disposition, RUN);
    assert_int_equal(world_field(w, "VPC", "net", "spec.mtu")->disposition, FROZEN);
    assert_int_equal(value_get_int(step->spec, "mtu", 0), 1500);
    assert_disposition(w, "Volume", "data2", FROZEN);
    assert_string_equal(world_step(w, "Volume", "data2")->reason,
                        "changes are frozen by ana: the fair");
}

static void frozen_healing_leaves_changes_alone(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2"));
    world_gone(w, "VPC", "net");
    world_tamper(w, "Volume", "data", "spec.size", "1073741824");
    world_declare(w, SHOP VOLUME("v2", "size: 2GiB"));
    freeze(w, "healing", 0);
    assert_disposition(w, "VPC", "net", FROZEN);
    assert_disposition(w, "Volume", "data", FROZEN);
    assert_disposition(w, "Volume", "v2", RUN);
}

static void frozen_deletions_stop_releases_and_replacements(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT V("v1") I("a") I("b"));
    world_declare(w, PROJECT V("v2") INSTANCE("a", "cpus: 1, memory: 256MiB, firmware: uefi, "
                                                   "updatePolicy: {replace: allowed}"));
    freeze(w, "deletions", 0);
    assert_disposition(w, "Volume", "v1", FROZEN);
    assert_disposition(w, "Instance", "a", FROZEN);
    assert_disposition(w, "Instance", "b", FROZEN);
    assert_disposition(w, "Volume", "v2", RUN);
    assert_int_equal(plan_exit(w->plan), 2);
}

static void a_freeze_ends_by_itself(void **state)
{
    struct world *w = *state;

    world_declare(w, PROJECT V("v1"));
    freeze(w, "changes", WORLD_START + 10);
    assert_disposition(w, "Volume", "v1", FROZEN);
    w->input.now += 10;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void a_rebuilt_store_holds_everything_until_a_person_confirms(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_declare(w, PROJECT V("v2"));
    w->input.report_only = true;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_disposition(w, "Volume", "v2", HELD);
    assert_int_equal(find_hold(w, "rebuild")->steps, 2);
    assert_true(find_hold(w, "rebuild")->approvable);
    assert_int_equal(plan_exit(w->plan), 3);
}

static void what_is_reported_anyway_is_not_judged(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("v1", "size: 2GiB"));
    world_row(w, "Volume", "v1")->observed.status = json(w, "{\"foreign\":true}");
    world_declare(w, PROJECT V("v1"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", REPORTED);
    w->input.report_only = true;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", REPORTED);
    assert_int_equal(find_hold(w, "rebuild")->steps, 0);
}

static void each_hold_names_its_own_steps(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT I("a") I("b") V("v1"));
    world_row(w, "Instance", "a")->protect = true;
    world_row(w, "Instance", "b")->protect = true;
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(w->plan->hold_count, 3);
    assert_string_not_equal(world_step(w, "Instance", "a")->hold,
                            world_step(w, "Instance", "b")->hold);
    assert_int_equal(find_hold(w, "protect")->steps, 1);
    assert_int_equal(find_hold(w, "collapse")->steps, 1); /* only the volume is left to it */
}

static void a_second_row_of_an_identity_is_left_to_a_person(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, PROJECT V("v1") V("v2"));
    row = &w->rows[w->count++];
    *row = *world_row(w, "Volume", "v1");
    row->uid = "ffffffffffffffffffffffffffffffff";
    world_plan(w);
    assert_int_equal(w->plan->step_count, 1);
    assert_disposition(w, "Volume", "v1", REPORTED);
    assert_int_equal(w->plan->hold_count, 0);
}

static void what_was_not_looked_at_yet_counts_as_gone(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].observed.known = false;
    world_declare(w, PROJECT V("v1"));
    world_plan(w);
    assert_int_equal(find_hold(w, "collapse")->steps, 15);
}

static void a_freeze_touches_only_what_would_run(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2") INSTANCE("a", "cpus: 1, memory: 256MiB, maxCpus: 2")
                          INSTANCE("b", "cpus: 1, memory: 256MiB, maxCpus: 2"));
    world_tamper(w, "Instance", "a", "spec.memory", "134217728");
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB")
                         INSTANCE("a", "cpus: 2, memory: 256MiB, maxCpus: 4")
                             INSTANCE("b", "cpus: 1, memory: 256MiB, maxCpus: 4, updatePolicy: "
                                           "{restart: immediate}"));
    freeze(w, "changes", 0);
    assert_disposition(w, "Volume", "data", REPORTED);
    assert_disposition(w, "Volume", "v2", FROZEN);
    assert_disposition(w, "Instance", "a", RUN);
    assert_disposition(w, "Instance", "b", FROZEN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.memory")->disposition, RUN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.cpus")->disposition, FROZEN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.maxCpus")->disposition, DEFERRED);
    freeze(w, "deletions", 0);
    assert_disposition(w, "Volume", "data", REPORTED);
    assert_disposition(w, "Volume", "v2", FROZEN);
    assert_disposition(w, "Instance", "a", RUN);
}

static void a_freeze_of_another_thing_stops_nothing(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2"));
    world_tamper(w, "VPC", "net", "spec.mtu", "1400");
    world_declare(w, SHOP V("v3"));
    freeze(w, "healing", 0);
    assert_disposition(w, "Volume", "v2", RUN);
    assert_disposition(w, "Volume", "v3", RUN);
    assert_disposition(w, "VPC", "net", FROZEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(protection_is_of_the_last_applied_revision),
        TEST(a_protected_object_is_not_replaced),
        TEST(an_object_that_says_so_is_protected),
        TEST(a_protected_object_may_be_changed),
        TEST(what_does_not_carry_our_tag_is_never_touched),
        TEST(a_higher_epoch_stops_and_asks),
        TEST(each_of_many_lost_volumes_has_a_hold_of_its_own),
        TEST(a_lost_volume_is_not_made_anew_in_silence),
        TEST(a_new_volume_and_one_half_made_are_not_lost),
        TEST(frozen_changes_leave_healing_alone),
        TEST(frozen_healing_leaves_changes_alone),
        TEST(frozen_deletions_stop_releases_and_replacements),
        TEST(a_freeze_ends_by_itself),
        TEST(a_rebuilt_store_holds_everything_until_a_person_confirms),
        TEST(what_is_reported_anyway_is_not_judged),
        TEST(each_hold_names_its_own_steps),
        TEST(a_second_row_of_an_identity_is_left_to_a_person),
        TEST(what_was_not_looked_at_yet_counts_as_gone),
        TEST(a_freeze_touches_only_what_would_run),
        TEST(a_freeze_of_another_thing_stops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
