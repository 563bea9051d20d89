/* SPDX-License-Identifier: MPL-2.0 */
/* Volumes: who has one open, who takes it over and when, who is told of its size. */
#include "tests/plan/expect.h"

static void a_volume_goes_after_the_update_that_detaches_it(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE(
                          "web-1", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}, "
                                   "{name: more, volume: more}]"));
    world_declare(w, SHOP INSTANCE("web-1", "cpus: 1, memory: 256MiB, " DISK));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.disks[more]", CHANGE_LIVE, RUN);
    assert_true(waits_for(world_step(w, "Volume", "more"), world_step(w, "Instance", "web-1")));
}

static void a_volume_in_use_until_the_next_stop_waits(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(
        w, PROJECT NETWORK VOLUME("other", "size: 4GiB") INSTANCE(
               "web-1", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: other}], " NIC));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
    assert_step(w, "Volume", "data", ACTION_RELEASE, DEFERRED);
    assert_string_equal(world_step(w, "Volume", "data")->reason,
                        "still in use by Instance shop/web-1");
}

static void what_is_freed_is_taken_only_then(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, SHOP INSTANCE("web-2", "cpus: 1, memory: 256MiB, " DISK));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "web-2"), world_step(w, "Instance", "web-1")));
}

static void two_machines_that_swap_volumes_still_get_an_order(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, updatePolicy: {restart: "
                                        "immediate}, disks: [{name: root, volume: data}]")
                              INSTANCE("b", "cpus: 1, memory: 256MiB, updatePolicy: {restart: "
                                            "immediate}, disks: [{name: root, volume: more}]"));
    world_declare(w, SHOP VOLUME("more", "size: 1GiB")
                         INSTANCE("a", "cpus: 1, memory: 256MiB, updatePolicy: {restart: "
                                       "immediate}, disks: [{name: root, volume: more}]")
                             INSTANCE("b", "cpus: 1, memory: 256MiB, updatePolicy: {restart: "
                                           "immediate}, disks: [{name: root, volume: data}]"));
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_RESTART, RUN);
    assert_step(w, "Instance", "b", ACTION_RESTART, RUN);
}

#define TWO_DISKS(a, b, policy)                                                              \
    PROJECT NETWORK VOLUME("data", "size: 4GiB") VOLUME("more", "size: 1GiB") INSTANCE(      \
        "a", "cpus: 1, memory: 256MiB, updatePolicy: {restart: " policy "}, disks: [" a "]") \
        INSTANCE("b",                                                                        \
                 "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, disks: [" b "]")
#define ROOT(volume) "{name: root, volume: " volume "}"

/* Found by the simulator: the taker went first, into the volume that the other had open. */
static void a_volume_that_another_keeps_until_its_stop_is_not_taken(void **state)
{
    struct world *w = *state;

    world_converge(w, TWO_DISKS(ROOT("data"), "", "onNextStop"));
    world_declare(w, TWO_DISKS(ROOT("more"), ROOT("data"), "onNextStop"));
    world_plan(w);
    assert_field(w, "Instance", "a", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
    assert_field(w, "Instance", "b", "spec.disks[root]", CHANGE_LIVE, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "b")->fields[0].reason,
                        "still in use by Instance shop/a");
}

static void one_that_would_restart_into_it_waits_with_its_disk(void **state)
{
    struct world *w = *state;

    world_converge(w, TWO_DISKS(ROOT("data"), ROOT("more"), "onNextStop"));
    world_declare(w, TWO_DISKS(ROOT("more"), ROOT("data"), "onNextStop"));
    world_plan(w);
    assert_field(w, "Instance", "a", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
    assert_field(w, "Instance", "b", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "b")->fields[0].reason,
                        "still in use by Instance shop/a");
}

static void a_stopped_machine_has_nothing_open(void **state)
{
    struct world *w = *state;

    world_converge(w, TWO_DISKS(ROOT("data"), "", "immediate"));
    world_row(w, "Instance", "a")->observed.booted = NULL;
    world_declare(w, TWO_DISKS("", ROOT("data"), "immediate"));
    world_plan(w);
    assert_false(waits_for(world_step(w, "Instance", "b"), world_step(w, "Instance", "a")));
}

/* Found by the simulator: a machine's driver grows and does nothing else, and the new name
 * was taken for told. */
static void what_a_held_volume_is_called_is_told_before_it_grows(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB, onRemove: delete")
                         WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_field(w, "Volume", "data", "spec.size", CHANGE_LIVE, DEFERRED);
    assert_string_equal(step_driver_class(world_step(w, "Volume", "data")), "volume");
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(value_get_int(world_row(w, "Volume", "data")->observed.spec, "size", 0),
                     INT64_C(8) << 30);
}

/* Found by the simulator: the driver was sent the smaller size with the rest, and refused. */
static void a_size_that_is_refused_does_not_go_along(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    struct value *seen = value_copy(w->arena, world_row(w, "Volume", "data")->observed.spec);
    value_set_int(w->arena, seen, "size", INT64_C(9) << 30);
    world_row(w, "Volume", "data")->observed.spec = seen;
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 4GiB, onRemove: delete"));
    world_plan(w);
    assert_field(w, "Volume", "data", "spec.onRemove", CHANGE_METADATA, RUN);
    assert_int_equal(value_get_int(world_step(w, "Volume", "data")->spec, "size", 0), INT64_C(9)
                                                                                          << 30);
}

static void a_volume_is_never_replaced_or_shrunk(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB, format: qcow2"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_UPDATE, REPORTED);
    assert_field(w, "Volume", "data", "spec.size", CHANGE_REFUSE, REPORTED);
    assert_string_equal(world_field(w, "Volume", "data", "spec.size")->reason,
                        "volumes never shrink");
    assert_field(w, "Volume", "data", "spec.format", CHANGE_REFUSE, REPORTED);
    assert_int_equal(plan_exit(w->plan), 0);
}

static void growth_goes_to_the_machine_that_holds_the_volume(void **state)
{
    struct world *w = *state;
    const struct step *step;
    struct value *arguments;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB") WEB(BOUNDED));
    world_plan(w);
    step = world_step(w, "Volume", "data");
    assert_string_equal(step_driver_class(step), "instance");
    arguments = step_arguments(w->arena, w->plan, &w->input, step);
    assert_string_equal(json_text(w->arena, value_get(arguments, "changed")), "[\"spec.size\"]");
    assert_string_equal(value_at_text(arguments, "refs.Instance[web-1].uid", ""),
                        world_row(w, "Instance", "web-1")->uid);
    world_stop(w, "web-1", "guest-shutdown");
    world_plan(w);
    assert_string_equal(step_driver_class(world_step(w, "Volume", "data")), "volume");
}

static void a_released_volume_is_adopted_with_its_uid(void **state)
{
    struct world *w = *state;
    const char *uid;

    world_converge(w, SHOP);
    uid = world_row(w, "Volume", "data")->uid;
    world_converge(w, PROJECT NETWORK);
    assert_int_equal(world_row(w, "Volume", "data")->life, LIFE_RELEASED);
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_ADOPT, RUN);
    assert_string_equal(world_step(w, "Volume", "data")->uid, uid);
    assert_int_equal(value_get_int(world_step(w, "Volume", "data")->spec, "size", 0), 4LL << 30);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(value_get_int(world_row(w, "Volume", "data")->observed.spec, "size", 0),
                     8LL << 30);
}

/* An adoption that was not confirmed came through, and the commit that asked for it is no more. */
static void what_was_released_and_does_not_say_so_is_released_again(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_converge(w, PROJECT NETWORK);
    struct known *row = world_row(w, "Volume", "data");
    assert_true(row->observed.released);
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    row->observed.released = false;
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_RELEASE, RUN);
    assert_false(world_step(w, "Volume", "data")->is_destructive);
    row->observed.absent = true;
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    row->observed = (struct observation){0};
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    row->remove_deletes = true; /* somebody has given it up */
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_DELETE);
}

static void on_remove_delete_counts_only_from_an_earlier_revision(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT NETWORK VOLUME("data", "size: 4GiB, onRemove: delete"));
    world_declare(w, PROJECT NETWORK);
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_DELETE, RUN);
    assert_true(world_step(w, "Volume", "data")->is_destructive);
    world_row(w, "Volume", "data")->protect = true;
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_RELEASE, RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_volume_goes_after_the_update_that_detaches_it),
        TEST(a_volume_in_use_until_the_next_stop_waits),
        TEST(what_is_freed_is_taken_only_then),
        TEST(two_machines_that_swap_volumes_still_get_an_order),
        TEST(a_volume_that_another_keeps_until_its_stop_is_not_taken),
        TEST(one_that_would_restart_into_it_waits_with_its_disk),
        TEST(a_stopped_machine_has_nothing_open),
        TEST(what_a_held_volume_is_called_is_told_before_it_grows),
        TEST(a_size_that_is_refused_does_not_go_along),
        TEST(a_volume_is_never_replaced_or_shrunk),
        TEST(growth_goes_to_the_machine_that_holds_the_volume),
        TEST(a_released_volume_is_adopted_with_its_uid),
        TEST(what_was_released_and_does_not_say_so_is_released_again),
        TEST(on_remove_delete_counts_only_from_an_earlier_revision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
