/* SPDX-License-Identifier: MPL-2.0 */
/* What a plan decides: actions, causes, classes, dispositions, order, choices. */
#include "tests/plan/world.h"

static void assert_step(const struct world *w, const char *kind, const char *name,
                        enum action action, enum disposition disposition)
{
    const struct step *step = world_step(w, kind, name);

    if (!step)
        fail_msg("no step for %s %s", kind, name);
    assert_string_equal(action_text(step->action), action_text(action));
    assert_string_equal(disposition_text(step->disposition), disposition_text(disposition));
}

static void assert_field(const struct world *w, const char *kind, const char *name,
                         const char *path, enum change change, enum disposition disposition)
{
    const struct plan_field *field = world_field(w, kind, name, path);

    assert_string_equal(change_text(field->change), change_text(change));
    assert_string_equal(disposition_text(field->disposition), disposition_text(disposition));
}

static bool waits_for(const struct step *step, const struct step *before)
{
    for (size_t i = 0; i < step->after_count; i++)
        if (step->after[i] == before->id)
            return true;
    return false;
}

/* ---- making and order --------------------------------------------------------------- */

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
    struct known *volume = world_row(w, "Volume", "data");
    struct value *chosen = value_copy(w->arena, volume->chosen);
    value_append(w->arena, value_set(w->arena, chosen, "formerly", value_list(w->arena)),
                 value_text(w->arena, "data"));
    volume->chosen = chosen;
    volume->name = "moved";
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

/* ---- choices ------------------------------------------------------------------------ */

static void addresses_are_the_lowest_that_nobody_has(void **state)
{
    struct world *w = *state;

    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC)
                         INSTANCE("b", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: "
                                       "front, address: 10.0.1.2}]"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "a.eth0")->spec, "address", ""),
                        "10.0.1.3"); /* .1 is the gateway */
    assert_string_equal(value_get_text(world_step(w, "NIC", "b.eth0")->chosen, "address", ""),
                        "10.0.1.2");
}

static void a_chosen_address_is_kept(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC));
    world_converge(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC)
                          INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC));
    assert_string_equal(value_get_text(world_row(w, "NIC", "b.eth0")->chosen, "address", ""),
                        "10.0.1.2");
    assert_string_equal(value_get_text(world_row(w, "NIC", "a.eth0")->chosen, "address", ""),
                        "10.0.1.3");
}

static void a_full_subnet_defers_and_says_so(void **state)
{
    struct world *w = *state;

    world_declare(w,
                  PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
                      DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/30}")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC)
                              INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC));
    world_plan(w);
    assert_step(w, "NIC", "a.eth0", ACTION_CREATE, RUN);
    assert_step(w, "NIC", "b.eth0", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "NIC", "b.eth0")->reason,
                        "Subnet front has no free address left");
    assert_step(w, "Instance", "b", ACTION_CREATE, DEFERRED);
}

static uint64_t one_before(void *context, const char *kind, const char *project, const char *name)
{
    (void)context, (void)kind, (void)project, (void)name;
    return 1;
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

/* ---- live, restart, replace --------------------------------------------------------- */

#define BOUNDED "cpus: 2, maxCpus: 4, memory: 256MiB"

static void cpus_within_the_boot_reserve_are_live(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 4, maxCpus: 4, memory: 256MiB"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_LIVE, RUN);
    assert_string_equal(world_field(w, "Instance", "web-1", "spec.cpus")->reason,
                        "4 reserved at boot");
}

static void a_deferred_field_does_not_block_a_live_one(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 3, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    step = world_step(w, "Instance", "web-1");
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_LIVE, RUN);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, DEFERRED);
    assert_int_equal(value_get_int(step->spec, "cpus", 0), 3);
    assert_int_equal(value_get_int(step->spec, "maxCpus", 0), 4); /* as it was booted */
}

static void cpus_beyond_the_reserve_wait_for_a_restart(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_RESTART, DEFERRED);
    assert_non_null(
        strstr(world_field(w, "Instance", "web-1", "spec.cpus")->reason, "8 > 4 reserved"));
    assert_int_equal(plan_exit(w->plan), 0);
}

static void a_pending_restart_comes_with_the_next_start(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    world_stop(w, "web-1", "guest-shutdown");
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_LIVE, RUN);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(
        value_get_int(world_row(w, "Instance", "web-1")->observed.booted, "maxCpus", 0), 8);
}

static void policy_immediate_restarts(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, "
                              "updatePolicy: {restart: immediate}"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_RESTART, RUN);
    assert_int_equal(world_step(w, "Instance", "web-1")->impact, CHANGE_RESTART);
    assert_int_equal(world_apply(w), 0);
}

static void policy_never_only_reports(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, "
                              "updatePolicy: {restart: never}"));
    assert_int_equal(world_apply(w), 0);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, REPORTED);
}

static void a_window_names_its_next_opening_and_then_restarts(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, updatePolicy: "
                              "{restart: window, window: {start: \"02:00\", duration: 1h}}"));
    assert_int_equal(world_apply(w), 0); /* the policy itself */
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, DEFERRED);
    assert_non_null(strstr(world_field(w, "Instance", "web-1", "spec.maxCpus")->reason,
                           "opens 2027-01-16 02:00:00 UTC"));
    w->input.now += 18 * 3600 + 30 * 60;
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_RESTART, RUN);
    w->input.now += 3600;
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, DEFERRED);
}

static void a_revert_takes_a_pending_restart_back(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_apply(w);
    world_declare(w, SHOP WEB(BOUNDED));
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
}

static void replacing_needs_leave(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB(BOUNDED ", firmware: uefi"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, REPORTED);
    world_declare(w, SHOP WEB(BOUNDED ", firmware: uefi, updatePolicy: {replace: allowed}"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_REPLACE, RUN);
    assert_true(world_step(w, "Instance", "web-1")->is_destructive);
    assert_null(world_step(w, "Volume", "data"));
    w->input.incarnations = one_before;
    assert_int_equal(world_apply(w), 0);
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

/* ---- the world moves ---------------------------------------------------------------- */

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

static void power_follows_the_restart_policy(void **state)
{
    static const struct {
        const char *mode, *reason;
        enum disposition want;
    } cases[] = {
        {"always", "guest-shutdown", RUN},
        {"always", "killed", RUN},
        {"onFailure", "guest-shutdown", REPORTED},
        {"onFailure", "crash", RUN},
        {"onFailure", "guest-panic", RUN},
        {"onFailure", "host-signal", RUN},
        {"onFailure", "", RUN},
        {"never", "crash", REPORTED},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *yaml =
            arena_printf(w->arena, "%sspec: {cpus: 1, memory: 256MiB, restartPolicy: {mode: %s}}\n",
                         PROJECT "---\napiVersion: spinel/v1\nkind: Instance\n"
                                 "metadata: {project: shop, name: web-1}\n",
                         cases[i].mode);

        world_converge(w, yaml);
        world_stop(w, "web-1", cases[i].reason);
        world_plan(w);
        assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, cases[i].want);
        world_tamper(w, "Instance", "web-1", "spec.power", "\"on\"");
        world_row(w, "Instance", "web-1")->observed.booted =
            world_row(w, "Instance", "web-1")->observed.spec;
    }
}

static void back_off_says_when_it_starts_again(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_stop(w, "web-1", "crash");
    world_row(w, "Instance", "web-1")->next_start = WORLD_START + 5;
    world_row(w, "Instance", "web-1")->start_failures = 3;
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, DEFERRED);
    assert_string_equal(world_field(w, "Instance", "web-1", "spec.power")->reason,
                        "it stopped (crash); starts again at 2027-01-15 08:00:05 UTC (stopped 3 "
                        "times in a row)");
    w->input.now += 5;
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
}

static void git_turns_power_on_whatever_the_policy(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED ", power: \"off\", restartPolicy: {mode: never}"));
    assert_null(world_row(w, "Instance", "web-1")->observed.booted);
    world_declare(w, SHOP WEB(BOUNDED ", power: \"on\", restartPolicy: {mode: never}"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
}

/* ---- leaving and coming back -------------------------------------------------------- */

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

/* ---- cloud-init and secrets --------------------------------------------------------- */

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
    document = json_text(w->arena, plan_save(w->arena, w->plan));
    assert_null(strstr(document, "hunter2"));
    assert_null(strstr(document, "keyed:"));
    assert_non_null(strstr(document, "{\"sensitive\":\"changed\"}"));
    assert_non_null(strstr(json_text(w->arena, step_arguments(w->arena, w->plan, &w->input,
                                                              world_step(w, "Seed", "web-1"))),
                           "hunter2")); /* the driver needs it */
}

/* ---- arguments and saved plans ------------------------------------------------------ */

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
    saved = plan_save(w->arena, w->plan);
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

static void labels_are_recorded_without_touching_the_machine(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP DOC("Instance", "project: shop, name: web-1, labels: {tier: front}",
                              "{" DISK ", " NIC ", " BOUNDED "}"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "metadata.labels", CHANGE_METADATA, RUN);
    assert_int_equal(world_step(w, "Instance", "web-1")->impact, CHANGE_LIVE);
    assert_int_equal(world_apply(w), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_resources_are_created_in_reference_order),
        TEST(what_could_not_be_looked_at_is_not_said_to_match),
        TEST(nothing_is_left_after_an_apply),
        TEST(same_inputs_give_the_same_hash),
        TEST(removals_go_from_the_top_down),
        TEST(a_volume_goes_after_the_update_that_detaches_it),
        TEST(a_volume_in_use_until_the_next_stop_waits),
        TEST(what_is_freed_is_taken_only_then),
        TEST(two_machines_that_swap_volumes_still_get_an_order),
        TEST(a_volume_that_another_keeps_until_its_stop_is_not_taken),
        TEST(a_stopped_machine_has_nothing_open),
        TEST(what_a_held_volume_is_called_is_told_before_it_grows),
        TEST(a_size_that_is_refused_does_not_go_along),
        TEST(a_rename_that_was_accepted_is_kept_until_it_is_done),
        TEST(a_name_that_a_record_still_uses_is_not_given_anew),
        TEST(what_was_made_and_not_confirmed_follows_a_later_commit),
        TEST(addresses_are_the_lowest_that_nobody_has),
        TEST(a_chosen_address_is_kept),
        TEST(a_full_subnet_defers_and_says_so),
        TEST(a_new_object_under_an_old_name_has_a_new_uid),
        TEST(cpus_within_the_boot_reserve_are_live),
        TEST(a_deferred_field_does_not_block_a_live_one),
        TEST(cpus_beyond_the_reserve_wait_for_a_restart),
        TEST(a_pending_restart_comes_with_the_next_start),
        TEST(policy_immediate_restarts),
        TEST(policy_never_only_reports),
        TEST(a_window_names_its_next_opening_and_then_restarts),
        TEST(a_revert_takes_a_pending_restart_back),
        TEST(replacing_needs_leave),
        TEST(a_volume_is_never_replaced_or_shrunk),
        TEST(growth_goes_to_the_machine_that_holds_the_volume),
        TEST(drift_is_told_from_what_git_moved),
        TEST(damage_beside_the_fields_is_drift),
        TEST(a_contested_field_waits_for_its_turn),
        TEST(unknown_is_not_absent),
        TEST(an_unfinished_creation_is_taken_up_again),
        TEST(power_follows_the_restart_policy),
        TEST(back_off_says_when_it_starts_again),
        TEST(git_turns_power_on_whatever_the_policy),
        TEST(a_released_volume_is_adopted_with_its_uid),
        TEST(on_remove_delete_counts_only_from_an_earlier_revision),
        TEST(a_rename_moves_the_object),
        TEST(a_booted_record_with_the_old_name_is_no_difference),
        TEST(a_frozen_seed_is_kept_and_shown),
        TEST(no_secret_is_in_any_document),
        TEST(arguments_carry_what_was_chosen_and_every_uid),
        TEST(a_removed_nic_still_finds_its_network),
        TEST(references_carry_what_is_and_not_what_was_refused),
        TEST(a_saved_plan_that_was_altered_is_refused),
        TEST(labels_are_recorded_without_touching_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
