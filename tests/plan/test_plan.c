/* SPDX-License-Identifier: MPL-2.0 */
/* What a plan decides: actions, causes, dispositions, and an order; and nothing twice. */
#include "tests/plan/expect.h"

static void new_resources_are_created_in_reference_order(void **state)
{
    struct world *w = *state;

    world_declare(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    world_plan(w);
    assert_int_equal(plan_exit(w->plan), 2);
    assert_int_equal(w->plan->action_counts[ACTION_CREATE], 5);
    assert_int_equal(w->plan->step_count, 6); /* and the NIC */
    assert_step(w, "Instance", "web-1", ACTION_CREATE, RUN);
    assert_true(waits_for(world_step(w, "Subnet", "front"), world_step(w, "VPC", "net")));
    assert_true(waits_for(world_step(w, "Instance", "web-1"), world_step(w, "NIC", "web-1.eth0")));
    assert_true(waits_for(world_step(w, "Instance", "web-1"), world_step(w, "Volume", "data")));
    assert_null(step_driver_class(world_step(w, "Project", "shop")));
    for (size_t i = 0; i < w->plan->step_count; i++)
        for (size_t a = 0; a < w->plan->steps[i].after_count; a++)
            assert_true(w->plan->steps[i].after[a] < w->plan->steps[i].id);
}

static void what_could_not_be_looked_at_is_not_said_to_match(void **state)
{
    struct world *w = *state;
    struct text text = TEXT_INIT;

    world_converge(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    assert_int_equal(w->plan->unknown, 0);
    world_row(w, "Volume", "data")->observed = (struct observation){0};
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
    assert_int_equal(w->plan->unknown, 1);
    plan_text(&text, plan_value(w->arena, w->plan), (struct plan_text_options){.columns = 80});
    assert_non_null(strstr(text.data, "1 object of"));
    assert_null(strstr(text.data, "matches"));
    text_reset(&text);
    world_row(w, "VPC", "net")->observed = (struct observation){0};
    world_plan(w);
    plan_text(&text, plan_value(w->arena, w->plan), (struct plan_text_options){.columns = 80});
    assert_non_null(strstr(text.data, "2 objects of"));
    text_free(&text);
}

static void nothing_is_left_after_an_apply(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    assert_int_equal(w->plan->step_count, 0);
    assert_int_equal(plan_exit(w->plan), 0);
}

static void same_inputs_give_the_same_hash(void **state)
{
    struct world *w = *state;
    char first[DIGEST_TEXT];

    world_declare(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    memcpy(first, world_plan(w)->hash, sizeof(first));
    w->input.now += 1000;
    assert_string_equal(world_plan(w)->hash, first);
    world_declare(w, SHOP WEB("cpus: 3, memory: 256MiB"));
    assert_string_not_equal(world_plan(w)->hash, first);
}

static void removals_go_from_the_top_down(void **state)
{
    struct world *w = *state;
    const struct step *instance, *nic, *volume, *subnet, *vpc;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    world_declare(w, PROJECT);
    world_plan(w);
    instance = world_step(w, "Instance", "web-1");
    nic = world_step(w, "NIC", "web-1.eth0");
    volume = world_step(w, "Volume", "data");
    subnet = world_step(w, "Subnet", "front");
    vpc = world_step(w, "VPC", "net");
    assert_true(waits_for(nic, instance) && waits_for(volume, instance));
    assert_true(waits_for(subnet, nic) && waits_for(vpc, subnet));
    assert_step(w, "Volume", "data", ACTION_RELEASE, RUN);
    assert_false(volume->is_destructive);
    assert_true(instance->is_destructive);
    assert_false(nic->is_destructive);
}

/* Found by the simulator: it was created again and again, and stayed as it was. */
static void what_was_made_and_not_confirmed_follows_a_later_commit(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB, firmware: uefi"));
    world_row(w, "Instance", "web-1")->life = LIFE_NEW;
    world_row(w, "Instance", "web-1")->applied = NULL;
    world_declare(w, SHOP WEB("cpus: 1, memory: 256MiB, firmware: bios"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.firmware", CHANGE_REPLACE, REPORTED);
}

static void drift_is_told_from_what_git_moved(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    world_plan(w);
    assert_step(w, "VPC", "net", ACTION_UPDATE, RUN);
    assert_int_equal(world_field(w, "VPC", "net", "spec.mtu")->cause, CAUSE_DRIFT);
    world_declare(
        w, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16], mtu: 1400}")
               DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")
                   VOLUME("data", "size: 4GiB"));
    world_plan(w);
    assert_int_equal(world_field(w, "VPC", "net", "spec.mtu")->cause, CAUSE_PENDING);
}

static void damage_beside_the_fields_is_drift(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "VPC", "net")->observed.damage =
        json(w, "[{\"path\":\"status.table\",\"desired\":\"present\",\"observed\":\"missing\"}]");
    world_plan(w);
    assert_field(w, "VPC", "net", "status.table", CHANGE_LIVE, RUN);
    assert_int_equal(w->plan->steps[0].cause, CAUSE_DRIFT);
}

static void a_contested_field_waits_for_its_turn(void **state)
{
    struct world *w = *state;
    struct contest contest = {.path = "spec.mtu", .count = 3, .next_try = WORLD_START + 60};

    world_converge(w, SHOP);
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    contest.uid = world_row(w, "VPC", "net")->uid;
    w->input.contests = &contest;
    w->input.contest_count = 1;
    world_plan(w);
    assert_step(w, "VPC", "net", ACTION_UPDATE, CONTESTED);
    w->input.now += 60;
    world_plan(w);
    assert_step(w, "VPC", "net", ACTION_UPDATE, RUN);
}

static void unknown_is_not_absent(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].observed = (struct observation){.known = false};
    assert_int_equal(world_plan(w)->step_count, 0);
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_UPDATE, DEFERRED);
    world_declare(w, PROJECT NETWORK);
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_RELEASE, DEFERRED);
}

static void an_unfinished_creation_is_taken_up_again(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, SHOP);
    row = world_row(w, "VPC", "net");
    row->life = LIFE_NEW;
    row->applied = NULL;
    assert_int_equal(world_plan(w)->step_count, 0); /* it is as it should be */
    world_tamper(w, "VPC", "net", "spec.mtu", "1300");
    world_plan(w);
    assert_step(w, "VPC", "net", ACTION_CREATE, RUN);
    assert_string_equal(world_step(w, "VPC", "net")->uid, row->uid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_resources_are_created_in_reference_order),
        TEST(what_could_not_be_looked_at_is_not_said_to_match),
        TEST(nothing_is_left_after_an_apply),
        TEST(same_inputs_give_the_same_hash),
        TEST(removals_go_from_the_top_down),
        TEST(what_was_made_and_not_confirmed_follows_a_later_commit),
        TEST(drift_is_told_from_what_git_moved),
        TEST(damage_beside_the_fields_is_drift),
        TEST(a_contested_field_waits_for_its_turn),
        TEST(unknown_is_not_absent),
        TEST(an_unfinished_creation_is_taken_up_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
