/* SPDX-License-Identifier: MPL-2.0 */
/* Which row is whose: names that moved, rows that say the same, rows that nobody knows. */
#include "tests/plan/world.h"

static struct known *row_add(struct world *w, const struct known *like, const char *uid)
{
    struct known *row = &w->rows[w->count++];

    *row = *like;
    row->uid = uid;
    return row;
}

static void a_new_object_under_an_old_name_has_another_uid(void **state)
{
    struct world *w = *state;
    const char *uid;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    uid = world_row(w, "Volume", "a")->uid;
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: b, renamedFrom: a", "{size: 1GiB}"));
    assert_string_equal(world_row(w, "Volume", "b")->uid, uid);
    world_converge(w, PROJECT VOLUME("b", "size: 1GiB") VOLUME("a", "size: 1GiB"));
    assert_string_not_equal(world_row(w, "Volume", "a")->uid, uid);
}

static void names_that_were_given_up_are_remembered_once_each(void **state)
{
    struct world *w = *state;
    const struct value *formerly;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: b, renamedFrom: a", "{size: 1GiB}"));
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: a, renamedFrom: b", "{size: 1GiB}"));
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: c, renamedFrom: a", "{size: 1GiB}"));
    formerly = value_get(world_row(w, "Volume", "c")->chosen, "formerly");
    assert_int_equal(formerly->count, 2);
    assert_string_equal(formerly->items[0]->text, "b");
    assert_string_equal(formerly->items[1]->text, "a");
}

static void a_name_that_two_objects_had_leads_to_one_of_them(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: b, renamedFrom: a", "{size: 1GiB}"));
    world_converge(w, PROJECT VOLUME("b", "size: 1GiB") VOLUME("a", "size: 1GiB"));
    world_converge(w, PROJECT VOLUME("b", "size: 1GiB")
                          DOC("Volume", "project: shop, name: c, renamedFrom: a", "{size: 1GiB}"));
    assert_int_equal(w->plan->step_count, 0);
}

/* What an object was called comes back with its tag from a world that anybody may write to. */
static void a_record_of_names_that_holds_no_names_harms_nothing(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    world_row(w, "Volume", "a")->chosen = json(w, "{\"formerly\":[7,null,\"x\"]}");
    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: b, renamedFrom: a", "{size: 1GiB}"));
    assert_int_equal(value_get(world_row(w, "Volume", "b")->chosen, "formerly")->count, 4);
}

static void a_renamed_instance_takes_its_nics_and_its_seed_along(void **state)
{
    struct world *w = *state;
    const char *nic, *seed;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB, cloudInit: {hostname: web}"));
    nic = world_row(w, "NIC", "web-1.eth0")->uid;
    seed = world_row(w, "Seed", "web-1")->uid;
    world_converge(w, SHOP DOC("Instance", "project: shop, name: web-2, renamedFrom: web-1",
                               "{cpus: 1, memory: 256MiB, cloudInit: {hostname: web}, " DISK
                               ", " NIC "}"));
    assert_string_equal(world_row(w, "NIC", "web-2.eth0")->uid, nic);
    assert_string_equal(world_row(w, "Seed", "web-2")->uid, seed);
}

static void a_rename_of_what_is_not_known_makes_it(void **state)
{
    struct world *w = *state;

    world_declare(w,
                  PROJECT DOC("Volume", "project: shop, name: b, renamedFrom: a", "{size: 1GiB}"));
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "b")->action, ACTION_CREATE);
    assert_null(world_step(w, "Volume", "b")->renamed_from);
}

static void rows_of_kinds_of_a_newer_program_are_left_alone(void **state)
{
    struct world *w = *state;
    struct known row;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    row = *world_row(w, "Volume", "a");
    row.kind = "Quasar";
    row_add(w, &row, "ffff0000ffff0000ffff0000ffff0000");
    assert_int_equal(world_plan(w)->step_count, 0);
}

static void a_tombstone_is_no_object(void **state)
{
    struct world *w = *state;
    struct known row;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    row = *world_row(w, "Volume", "a");
    row.life = LIFE_GONE;
    row.name = "b";
    row_add(w, &row, "ffff0000ffff0000ffff0000ffff0000");
    assert_int_equal(world_plan(w)->step_count, 0);
}

static void two_rows_of_one_identity_are_told_and_neither_is_touched(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    row_add(w, world_row(w, "Volume", "a"), "ffff0000ffff0000ffff0000ffff0000");
    row_add(w, world_row(w, "Volume", "a"), "ffff0000ffff0000ffff0000ffff0001");
    world_plan(w);
    assert_int_equal(w->plan->step_count, 2);
    assert_int_equal(w->plan->steps[0].disposition, REPORTED);
    assert_int_equal(w->plan->steps[1].disposition, REPORTED);
    assert_true(strcmp(w->plan->steps[0].uid, w->plan->steps[1].uid) < 0);
}

static void twins_that_left_git_go_in_the_order_of_their_uids(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT VOLUME("a", "size: 1GiB, onRemove: delete"));
    row_add(w, world_row(w, "Volume", "a"), "ffff0000ffff0000ffff0000ffff0000");
    row_add(w, world_row(w, "Volume", "a"), "0000000000000000000000000000aaaa");
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(w->plan->step_count, 3);
    assert_string_equal(w->plan->steps[0].uid, "0000000000000000000000000000aaaa");
    assert_string_equal(w->plan->steps[2].uid, "ffff0000ffff0000ffff0000ffff0000");
}

static void a_released_volume_that_is_protected_is_kept_though_it_was_given_up(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, SHOP);
    row = world_row(w, "Volume", "data");
    row->life = LIFE_RELEASED;
    row->remove_deletes = row->protect = row->observed.released = true;
    w->input.policy.collapse_percent = 100;
    world_declare(w, PROJECT NETWORK);
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
}

static void a_released_row_beside_the_live_one_of_the_same_name_stays_released(void **state)
{
    struct world *w = *state;
    struct known row;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    row = *world_row(w, "Volume", "a");
    row.life = LIFE_RELEASED;
    row.observed.released = true;
    row_add(w, &row, "ffff0000ffff0000ffff0000ffff0000");
    assert_int_equal(world_plan(w)->step_count, 0); /* the released one of the same name is kept */
}

static void records_that_name_what_is_no_more_are_no_obstacle(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    spec_put(w->arena, kind_find("Instance"),
             (struct value *)(size_t)world_row(w, "Instance", "web-1")->applied,
             "spec.disks[root].volume", value_text(w->arena, "lost"));
    spec_put(w->arena, kind_find("NIC"),
             (struct value *)(size_t)world_row(w, "NIC", "web-1.eth0")->applied, "spec.subnet",
             value_text(w->arena, "zzz-lost"));
    world_tamper(w, "Instance", "web-1", "spec.disks[root].volume", "\"lost\"");
    world_declare(w, SHOP);
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_DELETE);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->action, ACTION_DELETE);
}

/* Before its driver has told of the disks, what was last applied counts. */
static void volumes_of_a_machine_whose_disks_were_not_told_are_still_held(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.spec = json(w, "{\"power\":\"on\"}");
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB") WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_string_equal(step_driver_class(world_step(w, "Volume", "data")), "instance");
}

static void contests_of_one_object_are_told_apart_by_their_paths(void **state)
{
    struct world *w = *state;
    struct contest contests[4] = {{.uid = "ffff", .path = "spec.mtu"}};

    world_converge(w, SHOP);
    for (size_t i = 0; i < 3; i++)
        contests[i + 1] = (struct contest){world_row(w, "VPC", "net")->uid,
                                           i ? (i == 1 ? "spec.mtu" : "spec.a") : "spec.nat", 4,
                                           WORLD_START + (i == 1 ? INT64_MAX / 4 : 60)};
    w->input.contests = contests;
    w->input.contest_count = 4;
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    world_plan(w);
    assert_int_equal(world_field(w, "VPC", "net", "spec.mtu")->disposition, CONTESTED);
    assert_non_null(strstr(world_field(w, "VPC", "net", "spec.mtu")->reason, "next try later"));
}

static void a_nic_whose_machine_nobody_knows_has_no_owner(void **state)
{
    struct world *w = *state;
    size_t kept = 0;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->rows[i].kind, "Instance") != 0)
            w->rows[kept++] = w->rows[i];
    w->count = kept;
    world_declare(w, SHOP);
    world_plan(w);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->action, ACTION_DELETE);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_nic_whose_machine_nobody_knows_has_no_owner),
        WORLD_TEST(a_new_object_under_an_old_name_has_another_uid),
        WORLD_TEST(names_that_were_given_up_are_remembered_once_each),
        WORLD_TEST(a_name_that_two_objects_had_leads_to_one_of_them),
        WORLD_TEST(a_record_of_names_that_holds_no_names_harms_nothing),
        WORLD_TEST(a_renamed_instance_takes_its_nics_and_its_seed_along),
        WORLD_TEST(a_rename_of_what_is_not_known_makes_it),
        WORLD_TEST(rows_of_kinds_of_a_newer_program_are_left_alone),
        WORLD_TEST(a_tombstone_is_no_object),
        WORLD_TEST(two_rows_of_one_identity_are_told_and_neither_is_touched),
        WORLD_TEST(twins_that_left_git_go_in_the_order_of_their_uids),
        WORLD_TEST(a_released_volume_that_is_protected_is_kept_though_it_was_given_up),
        WORLD_TEST(a_released_row_beside_the_live_one_of_the_same_name_stays_released),
        WORLD_TEST(records_that_name_what_is_no_more_are_no_obstacle),
        WORLD_TEST(volumes_of_a_machine_whose_disks_were_not_told_are_still_held),
        WORLD_TEST(contests_of_one_object_are_told_apart_by_their_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
