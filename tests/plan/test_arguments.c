/* SPDX-License-Identifier: MPL-2.0 */
/* What a driver is sent, and what a saved plan says: all that was chosen, and no secret. */
#include "tests/plan/expect.h"

#define SEEDED(more) \
    INSTANCE("web-1", BOUNDED ", cloudInit: {userData: \"#cloud-config # hunter2\"" more "}")

static void a_frozen_seed_is_kept_and_shown(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP SEEDED(""));
    world_declare(w, SHOP SEEDED(", networkConfig: \"version: 2\""));
    assert_int_equal(world_apply(w), 0);
    assert_step(w, "Seed", "web-1", ACTION_UPDATE, REPORTED);
    world_declare(w, SHOP SEEDED(", networkConfig: \"version: 2\", instanceIdPolicy: bump"));
    world_plan(w);
    assert_step(w, "Seed", "web-1", ACTION_UPDATE, RUN);
    assert_int_equal(world_apply(w), 0);
}

static void no_secret_is_in_any_document(void **state)
{
    struct world *w = *state;
    const char *document;

    world_declare(w, SHOP SEEDED(""));
    world_plan(w);
    document = json_text(w->arena, plan_save_document(w->arena, plan_value(w->arena, w->plan)));
    assert_null(strstr(document, "hunter2"));
    assert_null(strstr(document, "keyed:"));
    assert_non_null(strstr(document, "{\"sensitive\":\"changed\"}"));
    assert_non_null(strstr(json_text(w->arena, step_arguments(w->arena, w->plan, &w->input,
                                                              world_step(w, "Seed", "web-1"))),
                           "hunter2")); /* the driver needs it */
}

static void arguments_carry_what_was_chosen_and_every_uid(void **state)
{
    struct world *w = *state;
    const struct value *arguments;

    world_declare(w, SHOP WEB(BOUNDED));
    world_plan(w);
    arguments = step_arguments(w->arena, w->plan, &w->input, world_step(w, "Instance", "web-1"));
    assert_string_equal(value_get_text(arguments, "verb", ""), "create");
    arguments = value_get(arguments, "refs");
    assert_string_equal(value_get_text(value_at(arguments, "Volume"), "x", "none"), "none");
    assert_string_equal(
        value_get_text(value_get(value_get(value_get(arguments, "NIC"), "web-1.eth0"), "spec"),
                       "address", ""),
        "10.0.1.2");
    assert_string_equal(value_at_text(arguments, "VPC.net.uid", ""),
                        world_step(w, "VPC", "net")->uid);
}

static void a_removed_nic_still_finds_its_network(void **state)
{
    struct world *w = *state;
    const struct value *arguments;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, PROJECT);
    world_plan(w);
    arguments = step_arguments(w->arena, w->plan, &w->input, world_step(w, "NIC", "web-1.eth0"));
    assert_string_equal(value_get_text(arguments, "verb", ""), "delete");
    assert_string_equal(value_at_text(arguments, "refs.VPC.net.uid", ""),
                        world_row(w, "VPC", "net")->uid);
    assert_string_equal(value_at_text(arguments, "spec.address", ""), "10.0.1.2");
}

static void references_carry_what_is_and_not_what_was_refused(void **state)
{
    struct world *w = *state;
    const struct value *arguments;
    const struct step *step;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 4GiB, format: qcow2") WEB(BOUNDED));
    world_stop(w, "web-1", "crashed");
    world_plan(w);
    assert_true(world_step(w, "Volume", "data")->disposition != RUN);
    step = world_step(w, "Instance", "web-1");
    arguments = step_arguments(w->arena, w->plan, &w->input, step);
    assert_string_equal(value_at_text(arguments, "refs.Volume.data.spec.format", ""), "raw");
}

static void a_saved_plan_that_was_altered_is_refused(void **state)
{
    struct world *w = *state;
    struct error err = ERROR_INIT;
    const char *hash, *commit, *world;
    struct value *saved;

    world_declare(w, SHOP);
    world_plan(w);
    saved = plan_save_document(w->arena, plan_value(w->arena, w->plan));
    assert_int_equal(plan_saved_check(saved, &hash, &commit, &world, &err), 0);
    assert_string_equal(hash, w->plan->hash);
    assert_string_equal(world, w->plan->world);
    assert_int_equal(strlen(world), 64); /* an empty world has a digest too */
    saved = json(w, json_text(w->arena, saved));
    assert_int_equal(plan_saved_check(saved, &hash, &commit, &world, &err), 0);
    value_set_text(w->arena, (struct value *)(size_t)value_get(saved, "plan"), "commit", "abc");
    assert_int_equal(plan_saved_check(saved, &hash, &commit, &world, &err), ERR_INVALID);
    assert_int_equal(plan_saved_check(json(w, "{}"), &hash, &commit, &world, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frozen_seed_is_kept_and_shown),
        TEST(no_secret_is_in_any_document),
        TEST(arguments_carry_what_was_chosen_and_every_uid),
        TEST(a_removed_nic_still_finds_its_network),
        TEST(references_carry_what_is_and_not_what_was_refused),
        TEST(a_saved_plan_that_was_altered_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
