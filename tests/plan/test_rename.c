/* SPDX-License-Identifier: MPL-2.0 */
/* Names: what a rename takes along, and a name that something else still uses. */
#include "tests/plan/expect.h"

#define ROOT(volume) "{name: root, volume: " volume "}"

/* Found by the simulator: the commit that renamed it was followed by one that no longer said
 * so before it was carried out, and the data went. */
static void a_rename_that_was_accepted_is_kept_until_it_is_done(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("old", "size: 4GiB"));
    struct value *chosen = value_copy(w->arena, world_row(w, "Volume", "old")->chosen);
    value_set_text(w->arena, chosen, "becomes", "new");
    world_row(w, "Volume", "old")->chosen = chosen;
    world_declare(w, PROJECT VOLUME("new", "size: 4GiB"));
    world_plan(w);
    assert_int_equal(w->plan->step_count, 1);
    assert_step(w, "Volume", "new", ACTION_UPDATE, RUN);
    assert_string_equal(world_step(w, "Volume", "new")->renamed_from, "old");
}

/* Found by the simulator: what a machine has open was taken for the new volume that bore the
 * former name, and the renamed one given to another machine. */
static void a_name_that_a_record_still_uses_is_not_given_anew(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT NETWORK VOLUME("data", "size: 4GiB")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_called(w, "Volume", "data", "moved");
    world_declare(w, PROJECT NETWORK VOLUME("moved", "size: 4GiB") VOLUME("data", "size: 1GiB")
                         INSTANCE("b", "cpus: 1, memory: 256MiB, disks: [" ROOT("moved") "]")
                             INSTANCE("c", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "Volume", "data")->reason,
                        "Instance shop/a still has Volume moved on record by this name");
    assert_step(w, "Instance", "c", ACTION_CREATE, DEFERRED);
    assert_true(waits_for(world_step(w, "Instance", "b"), world_step(w, "Instance", "a")));
    assert_int_equal(world_apply(w), 0);
    assert_non_null(world_row(w, "Volume", "data"));
}

/* The driver tells whom the machine means by its root disk. */
static void told_by_uid(struct world *w, const char *machine, const char *uid)
{
    world_row(w, "Instance", machine)->observed.status =
        json(w, arena_printf(w->arena, "{\"refs\":{\"spec.disks[root].volume\":\"%s\"}}", uid));
}

/* Of two volumes, one is called otherwise by now and the other has got its name. The machine that
 * has the first open calls it as it was told. */
static void name_passed_on(struct world *w)
{
    w->input.policy.collapse_percent = 1; /* what leaves Git is held */
    world_converge(w, PROJECT NETWORK VOLUME("data", "size: 4GiB") VOLUME("other", "size: 4GiB")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    told_by_uid(w, "a", world_row(w, "Volume", "data")->uid);
    world_row(w, "Volume", "data")->name = "moved";
    world_row(w, "Volume", "other")->name = "data";
}

/* Found by the simulator: the renamed one was given to another machine, and only the storage's lock
 * was in the way. */
static void what_a_machine_has_open_is_told_by_uid(void **state)
{
    struct world *w = *state;

    name_passed_on(w);
    world_declare(w, PROJECT NETWORK VOLUME("moved", "size: 4GiB") VOLUME("data", "size: 4GiB")
                         INSTANCE("b", "cpus: 1, memory: 256MiB, disks: [" ROOT("moved") "]")
                             INSTANCE("c", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_DELETE, HELD);
    assert_step(w, "Instance", "b", ACTION_CREATE, HELD);
    assert_string_equal(world_step(w, "Instance", "b")->reason,
                        "waits for Instance shop/a, which is held");
    assert_step(w, "Instance", "c", ACTION_CREATE, RUN);
}

static void a_volume_that_a_machine_has_by_another_name_is_not_removed(void **state)
{
    struct world *w = *state;

    name_passed_on(w);
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 4GiB"));
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_DELETE, HELD);
    assert_true(waits_for(world_step(w, "Volume", "moved"), world_step(w, "Instance", "a")) ||
                strcmp(world_step(w, "Volume", "moved")->reason,
                       "waits for Instance shop/a, which is held") == 0);
}

/* It has the first, and is to have the one that is called so now. */
static void a_machine_gets_what_is_called_so_now(void **state)
{
    struct world *w = *state;

    name_passed_on(w);
    world_declare(w, PROJECT NETWORK VOLUME("moved", "size: 4GiB") VOLUME("data", "size: 4GiB")
                         INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_plan(w);
    assert_field(w, "Instance", "a", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
    assert_string_equal(world_field(w, "Instance", "a", "spec.disks[root].volume")->from->text,
                        "moved");
}

static void uids_that_say_nothing_new_change_nothing(void **state)
{
    struct world *w = *state;
    static const char *const statuses[] = {
        "{\"refs\":7}",
        "{\"refs\":{\"spec.disks[root].volume\":7,\"spec.cpus\":\"x\",\"\":\"x\"}}",
        "{\"refs\":{\"spec.disks[more].volume\":\"x\",\"spec.disks[root]\":\"x\"}}",
    };

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        world_row(w, "Instance", "web-1")->observed.status = json(w, statuses[i]);
        assert_int_equal(world_plan(w)->step_count, 0);
    }
    told_by_uid(w, "web-1", "0123456789abcdef0123456789abcdef");
    assert_int_equal(world_plan(w)->step_count, 0);
    told_by_uid(w, "web-1", world_row(w, "Volume", "data")->uid);
    assert_int_equal(world_plan(w)->step_count, 0);
}

static void told(struct world *w, const char *kind, const char *name, const char *refs)
{
    world_row(w, kind, name)->observed.status = json(w, refs);
}

/* Of several names that a driver tells by uid each is read by itself, in what is seen and in what
 * was booted. */
static void each_name_is_told_by_its_uid(void **state)
{
    struct world *w = *state;
    const char *first, *second;

    world_converge(w, PROJECT NETWORK VOLUME("a", "size: 1GiB") VOLUME("b", "size: 1GiB")
                          VOLUME("c", "size: 1GiB") VOLUME("d", "size: 1GiB")
                              INSTANCE("m", "cpus: 1, memory: 256MiB, disks: [{name: x, volume: "
                                            "a}, {name: y, volume: b}]"));
    first = world_row(w, "Volume", "a")->uid;
    second = world_row(w, "Volume", "b")->uid;
    world_row(w, "Volume", "a")->name = "e";
    world_row(w, "Volume", "b")->name = "f";
    world_row(w, "Volume", "c")->name = "a";
    world_row(w, "Volume", "d")->name = "b";
    told(w, "Instance", "m",
         arena_printf(w->arena,
                      "{\"refs\":{\"spec.disks[x].volume\":\"%s\","
                      "\"spec.disks[y].volume\":\"%s\"}}",
                      first, second));
    world_row(w, "Instance", "m")->observed.spec = json(
        w, "{\"disks\":[{\"name\":\"x\",\"volume\":\"e\"},{\"name\":\"y\",\"volume\":\"f\"}]}");
    world_declare(w, PROJECT NETWORK VOLUME("a", "size: 1GiB") VOLUME("b", "size: 1GiB")
                         VOLUME("e", "size: 1GiB") VOLUME("f", "size: 1GiB")
                             INSTANCE("m", "cpus: 1, memory: 256MiB, disks: [{name: x, volume: "
                                           "a}, {name: y, volume: b}]"));
    world_plan(w);
    assert_string_equal(world_field(w, "Instance", "m", "spec.disks[x].volume")->from->text, "e");
    assert_string_equal(world_field(w, "Instance", "m", "spec.disks[y].volume")->from->text, "f");
}

/* A reference of the object itself, not of a part of it; and uids of what can be no such thing. */
static void a_volumes_pool_is_told_by_its_uid(void **state)
{
    struct world *w = *state;
    const char *uid;

    world_converge(w, PROJECT DOC("Pool", "name: fast", "{}") DOC("Pool", "name: slow", "{}")
                          VOLUME("data", "size: 1GiB, pool: fast"));
    uid = world_row(w, "Pool", "fast")->uid;
    world_row(w, "Pool", "fast")->name = "quick";
    world_row(w, "Pool", "slow")->name = "fast";
    told(w, "Volume", "data",
         arena_printf(w->arena, "{\"refs\":{\"spec.pool\":\"%s\",\"status.pool\":\"%s\"}}", uid,
                      uid));
    world_declare(w, PROJECT DOC("Pool", "name: fast", "{}") DOC("Pool", "name: quick", "{}")
                         VOLUME("data", "size: 1GiB, pool: quick"));
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    assert_int_equal(w->plan->unrecorded_count, 1);
    told(w, "Volume", "data",
         arena_printf(w->arena, "{\"refs\":{\"spec.pool\":\"%s\"}}",
                      world_row(w, "Volume", "data")->uid));
    world_plan(w);
    assert_field(w, "Volume", "data", "spec.pool", CHANGE_REFUSE, REPORTED);
}

/* Who bears the name that is told has no row yet, or another one has that name as well. */
static void a_name_that_leads_elsewhere_is_left_as_told(void **state)
{
    struct world *w = *state;
    const char *uid;
    struct known *twin;

    world_converge(w, PROJECT NETWORK VOLUME("data", "size: 1GiB") VOLUME("more", "size: 1GiB")
                          INSTANCE("m", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    uid = world_row(w, "Volume", "data")->uid;
    twin = world_row(w, "Volume", "data");
    twin->name = "more"; /* as the other, which comes first */
    twin->life = LIFE_NEW;
    told_by_uid(w, "m", uid);
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB") VOLUME("more", "size: 1GiB")
                         INSTANCE("m", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_plan(w);
    assert_null(world_step(w, "Instance", "m"));
    told_by_uid(w, "m", "7");
    world_tamper(w, "Instance", "m", "spec.disks[root].volume", "\"nobodys\"");
    world_plan(w);
    assert_null(world_step(w, "Instance", "m")); /* it runs with what is declared */
}

static void a_rename_moves_the_object(void **state)
{
    struct world *w = *state;
    const char *uid, *nic, *address;

    world_converge(w, SHOP WEB(BOUNDED));
    uid = world_row(w, "Instance", "web-1")->uid;
    nic = world_row(w, "NIC", "web-1.eth0")->uid;
    address = value_get_text(world_row(w, "NIC", "web-1.eth0")->chosen, "address", "");
    world_declare(w, PROJECT NETWORK DOC("Volume", "project: shop, name: disk, renamedFrom: data",
                                         "{size: 4GiB}")
                         DOC("Instance", "project: shop, name: front-1, renamedFrom: web-1",
                             "{disks: [{name: root, volume: disk}], " NIC ", " BOUNDED "}"));
    world_plan(w);
    assert_step(w, "Instance", "front-1", ACTION_UPDATE, RUN);
    assert_step(w, "Volume", "disk", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "front-1", "spec.disks[root].volume", CHANGE_METADATA, RUN);
    assert_null(world_step(w, "Instance", "web-1"));
    assert_string_equal(world_step(w, "Instance", "front-1")->uid, uid);
    assert_string_equal(world_step(w, "NIC", "front-1.eth0")->uid, nic);
    assert_string_equal(value_get_text(world_step(w, "NIC", "front-1.eth0")->chosen, "address", ""),
                        address);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
}

static void a_booted_record_with_the_old_name_is_no_difference(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_converge(w,
                   PROJECT NETWORK DOC("Volume", "project: shop, name: disk, renamedFrom: data",
                                       "{size: 4GiB}")
                       INSTANCE("web-1", "disks: [{name: root, volume: disk}], " NIC ", " BOUNDED));
    world_declare(w, PROJECT NETWORK VOLUME("disk", "size: 4GiB") INSTANCE(
                         "web-1", "disks: [{name: root, volume: disk}], " NIC ", " BOUNDED));
    world_plan(w);
    for (size_t i = 0; i < w->plan->step_count; i++)
        for (size_t f = 0; f < w->plan->steps[i].field_count; f++)
            assert_int_not_equal(w->plan->steps[i].fields[f].change, CHANGE_RESTART);
}

static void a_new_object_under_an_old_name_has_a_new_uid(void **state)
{
    struct world *w = *state;
    const char *first;

    world_declare(w, SHOP);
    first = world_step((world_plan(w), w), "Volume", "data")->uid;
    w->input.incarnations = one_before;
    world_plan(w);
    assert_string_not_equal(world_step(w, "Volume", "data")->uid, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rename_that_was_accepted_is_kept_until_it_is_done),
        TEST(a_name_that_a_record_still_uses_is_not_given_anew),
        TEST(what_a_machine_has_open_is_told_by_uid),
        TEST(a_volume_that_a_machine_has_by_another_name_is_not_removed),
        TEST(a_machine_gets_what_is_called_so_now),
        TEST(uids_that_say_nothing_new_change_nothing),
        TEST(each_name_is_told_by_its_uid),
        TEST(a_volumes_pool_is_told_by_its_uid),
        TEST(a_name_that_leads_elsewhere_is_left_as_told),
        TEST(a_rename_moves_the_object),
        TEST(a_booted_record_with_the_old_name_is_no_difference),
        TEST(a_new_object_under_an_old_name_has_a_new_uid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
