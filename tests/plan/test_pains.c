/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What users of other tools suffered from, as stories at the level of a manifest.
 * Each names the thread in which it was told.
 */
#include "tests/plan/world.h"

#define WEB_OF(spec) SHOP WEB("cpus: 2, maxCpus: 4, memory: 256MiB" spec)

static const struct step *only_step(const struct world *w)
{
    assert_int_equal(w->plan->step_count, 1);
    return &w->plan->steps[0];
}

static void assert_impact_none(const struct step *step)
{
    assert_int_equal(step->action, ACTION_UPDATE);
    assert_int_equal(step->impact, CHANGE_LIVE);
    assert_false(step->is_destructive);
}

/* bpg/terraform-provider-proxmox#103, #1138 */
static void adding_a_disk_does_not_re_create_the_machine(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, SHOP VOLUME("logs", "size: 1GiB")
                         INSTANCE("web-1", "cpus: 2, maxCpus: 4, memory: 256MiB, " NIC
                                           ", disks: [{name: logs, volume: logs}, {name: root, "
                                           "volume: data}]"));
    world_plan(w);
    assert_int_equal(w->plan->step_count, 2);
    assert_impact_none(world_step(w, "Instance", "web-1"));
    assert_non_null(world_field(w, "Instance", "web-1", "spec.disks[logs]"));
}

/* bpg/terraform-provider-proxmox#185, #2199: by name, never by position */
static void reordered_disks_and_nics_are_no_difference(void **state)
{
    struct world *w = *state;
    static const char *const orders[] = {
        SHOP VOLUME("logs", "size: 1GiB") INSTANCE(
            "web-1", "cpus: 2, memory: 256MiB, disks: [{name: root, volume: data}, {name: logs, "
                     "volume: logs}], nics: [{name: a, subnet: front}, {name: b, subnet: front}]"),
        SHOP VOLUME("logs", "size: 1GiB") INSTANCE(
            "web-1", "cpus: 2, memory: 256MiB, disks: [{name: logs, volume: logs}, {name: root, "
                     "volume: data}], nics: [{name: b, subnet: front}, {name: a, subnet: front}]"),
    };

    world_converge(w, orders[0]);
    world_declare(w, orders[1]);
    assert_int_equal(world_plan(w)->step_count, 0);
}

/* bpg/terraform-provider-proxmox#1763 */
static void a_persistent_disk_outlives_its_machine(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, SHOP);
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_DELETE);
}

/* hashicorp/terraform#17599: prevent_destroy vanished with the deleted block */
static void protection_does_not_leave_with_the_manifest(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT VOLUME("data", "size: 1GiB, protect: true, onRemove: delete"));
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(only_step(w)->action, ACTION_RELEASE);
}

/* hashicorp/terraform#16392: one guarded object failed the whole plan */
static void one_held_object_holds_nothing_else(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_gone(w, "Volume", "data");
    world_declare(w, SHOP VOLUME("more", "size: 1GiB"));
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->disposition, HELD);
    assert_int_equal(world_step(w, "Volume", "more")->disposition, RUN);
    assert_int_equal(w->plan->hold_count, 1);
}

/* hashicorp/terraform#591, fluxcd/flux2#2421 */
static void a_rename_destroys_nothing(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_declare(w, PROJECT NETWORK DOC("Volume", "project: shop, name: db, renamedFrom: data",
                                         "{size: 4GiB}"));
    world_plan(w);
    assert_string_equal(only_step(w)->renamed_from, "data");
    assert_int_equal(only_step(w)->action, ACTION_UPDATE);
    assert_string_equal(only_step(w)->uid, world_row(w, "Volume", "data")->uid);
}

/* hashicorp/terraform#28540: the name, class and reason of a hidden field are shown */
static void a_sensitive_field_is_named(void **state)
{
    struct world *w = *state;
    const struct plan_field *field;

    world_converge(w, WEB_OF(", cloudInit: {userData: one, instanceIdPolicy: bump}"));
    world_declare(w, WEB_OF(", cloudInit: {userData: two, instanceIdPolicy: bump}"));
    world_plan(w);
    field = world_field(w, "Seed", "web-1", "spec.userData");
    assert_int_equal(field->disposition, RUN);
    assert_int_equal(field->change, CHANGE_LIVE);
}

/* vmware/terraform-provider-vsphere#1004: said no reboot, and rebooted */
static void an_edit_that_needs_a_restart_does_not_restart(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, WEB_OF(", machine: pc-q35-8.0"));
    world_plan(w);
    assert_int_equal(only_step(w)->disposition, DEFERRED);
    assert_int_equal(plan_exit(w->plan), 0);
}

/* bpg/terraform-provider-proxmox#2516: the needed reboot was forgotten */
static void a_pending_restart_is_told_until_it_happened(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, WEB_OF(", machine: pc-q35-8.0"));
    for (int pass = 0; pass < 3; pass++) {
        world_apply(w);
        assert_int_equal(only_step(w)->disposition, DEFERRED);
    }
    world_stop(w, "web-1", "guest-shutdown");
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
}

/* kubevirt/kubevirt#14602: the mark of a needed restart blocked later live changes */
static void a_pending_restart_blocks_no_later_live_change(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, WEB_OF(", machine: pc-q35-8.0"));
    world_apply(w);
    world_declare(w, SHOP WEB("cpus: 3, maxCpus: 4, memory: 256MiB, machine: pc-q35-8.0"));
    world_plan(w);
    assert_int_equal(world_field(w, "Instance", "web-1", "spec.cpus")->disposition, RUN);
    assert_impact_none(world_step(w, "Instance", "web-1"));
}

/* Telmate/terraform-provider-proxmox#215 */
static void a_machine_deleted_by_hand_is_made_again(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_gone(w, "Instance", "web-1");
    world_plan(w);
    assert_int_equal(only_step(w)->action, ACTION_CREATE);
    assert_int_equal(only_step(w)->cause, CAUSE_DRIFT);
    assert_string_equal(only_step(w)->uid, world_row(w, "Instance", "web-1")->uid);
}

/* dmacvicar/terraform-provider-libvirt#668 */
static void a_machine_that_the_host_stopped_starts_again(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_stop(w, "web-1", "");
    world_plan(w);
    assert_int_equal(world_field(w, "Instance", "web-1", "spec.power")->disposition, RUN);
}

/* argoproj/argo-cd#15898, Telmate/terraform-provider-proxmox#1164 */
static void a_default_written_out_is_no_difference(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, WEB_OF(", power: \"on\", firmware: bios, updatePolicy: {restart: "
                            "onNextStop, replace: never}, shutdown: {timeout: 60s}"));
    assert_int_equal(world_plan(w)->step_count, 0);
}

/* lxc/terraform-provider-incus#371: addresses churned in every plan */
static void what_a_driver_tells_beyond_the_manifest_is_no_difference(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_tamper(w, "Instance", "web-1", "spec.nics[eth0].address", "\"10.0.1.2\"");
    world_tamper(w, "Instance", "web-1", "spec.cpuModel", "\"max\"");
    assert_int_equal(world_plan(w)->step_count, 0);
}

/* argoproj/argo-cd#9227: an error was taken for an empty list */
static void an_error_is_not_an_empty_world(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].observed = (struct observation){0};
    assert_int_equal(world_plan(w)->step_count, 0);
}

/* fluxcd/kustomize-controller#187 */
static void deleting_every_file_is_a_named_state(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(w, "# nothing\n");
    world_plan(w);
    assert_int_equal(w->plan->run, 0);
    assert_string_equal(w->plan->holds[0].rule, "empty-set");
    assert_int_equal(plan_exit(w->plan), 3);
}

/* hashicorp/terraform#24078: a plan of an empty state could be applied twice */
static void an_empty_world_is_not_the_world_after(void **state)
{
    struct world *w = *state;
    char empty[DIGEST_TEXT];

    world_declare(w, SHOP);
    memcpy(empty, world_plan(w)->world, sizeof(empty));
    world_apply(w);
    assert_string_not_equal(w->plan->world, empty);
}

/* argoproj/argo-cd#6520, #19136: text, JSON and exit status say the same */
static void document_and_exit_status_come_from_one_list(void **state)
{
    struct world *w = *state;
    const struct value *document;
    int64_t run = 0;

    world_converge(w, WEB_OF(""));
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    world_plan(w);
    document = plan_value(w->arena, w->plan);
    for (size_t i = 0; i < value_get(document, "steps")->count; i++)
        if (strcmp(value_get_text(value_get(document, "steps")->items[i], "disposition", ""),
                   "run") == 0)
            run++;
    assert_int_equal(run, value_at_int(document, "summary.run", -1));
    assert_int_equal(plan_exit(w->plan), run ? 2 : 0);
}

/* pulumi/pulumi#2247: only what the plan lists is sent */
static void only_listed_fields_are_changed(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, WEB_OF(""));
    world_declare(w, SHOP WEB("cpus: 4, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    step = only_step(w);
    assert_string_equal(
        json_text(w->arena,
                  value_get(step_arguments(w->arena, w->plan, &w->input, step), "changed")),
        "[\"spec.cpus\"]");
}

/* AshleyYakeley/NixVirt#8 */
static void a_network_is_changed_in_place(void **state)
{
    struct world *w = *state;

    world_converge(w, WEB_OF(""));
    world_declare(
        w, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16], mtu: 1400}")
               DOC("Subnet", "project: shop, name: front",
                   "{vpc: net, cidr: 10.0.1.0/24, dhcp: false}") VOLUME("data", "size: 4GiB")
                   WEB("cpus: 2, maxCpus: 4, memory: 256MiB"));
    world_plan(w);
    assert_int_equal(w->plan->step_count, 2);
    assert_int_equal(world_step(w, "VPC", "net")->action, ACTION_UPDATE);
    assert_int_equal(world_step(w, "Subnet", "front")->action, ACTION_UPDATE);
}

#define POLICY(words)                                                                      \
    SHOP DOC("Instance", "project: shop, name: web-1, driftPolicy: " words,                \
             "{cpus: 2, maxCpus: 4, memory: 256MiB, disks: [{name: root, volume: data}], " \
             "nics: [{name: a, subnet: front}]}")

static enum disposition cpus_drift(struct world *w, const char *manifests)
{
    world_converge(w, manifests);
    world_tamper(w, "Instance", "web-1", "spec.cpus", "1");
    world_plan(w);
    return world_field(w, "Instance", "web-1", "spec.cpus")->disposition;
}

static void drift_of_a_field_is_reported_where_the_manifest_says_so(void **state)
{
    struct world *w = *state;

    assert_int_equal(cpus_drift(w, POLICY("{spec.cpus: report}")), REPORTED);
    assert_int_equal(only_step(w)->disposition, REPORTED);
    assert_int_equal(plan_exit(w->plan), 0);
}

/* The path that is closest decides, and the policy concerns drift alone. */
static void the_nearest_path_of_a_drift_policy_decides(void **state)
{
    struct world *w = *state;

    assert_int_equal(cpus_drift(w, POLICY("{default: ignore, spec.cpus: heal}")), RUN);
}

static void a_change_in_git_is_made_whatever_the_drift_policy_says(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, maxCpus: 4, memory: 256MiB"));
    world_declare(w, POLICY("{default: ignore}"));
    world_plan(w);
    assert_int_equal(world_field(w, "Instance", "web-1", "spec.cpus")->disposition, RUN);
}

static void what_is_gone_and_ignored_is_not_made_again(void **state)
{
    struct world *w = *state;

    world_converge(w, POLICY("{object: ignore}"));
    world_gone(w, "Instance", "web-1");
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, IGNORED);
    assert_int_equal(plan_exit(w->plan), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adding_a_disk_does_not_re_create_the_machine),
        TEST(reordered_disks_and_nics_are_no_difference),
        TEST(a_persistent_disk_outlives_its_machine),
        TEST(protection_does_not_leave_with_the_manifest),
        TEST(one_held_object_holds_nothing_else),
        TEST(a_rename_destroys_nothing),
        TEST(a_sensitive_field_is_named),
        TEST(an_edit_that_needs_a_restart_does_not_restart),
        TEST(a_pending_restart_is_told_until_it_happened),
        TEST(a_pending_restart_blocks_no_later_live_change),
        TEST(a_machine_deleted_by_hand_is_made_again),
        TEST(a_machine_that_the_host_stopped_starts_again),
        TEST(a_default_written_out_is_no_difference),
        TEST(what_a_driver_tells_beyond_the_manifest_is_no_difference),
        TEST(an_error_is_not_an_empty_world),
        TEST(deleting_every_file_is_a_named_state),
        TEST(an_empty_world_is_not_the_world_after),
        TEST(document_and_exit_status_come_from_one_list),
        TEST(only_listed_fields_are_changed),
        TEST(a_network_is_changed_in_place),
        TEST(drift_of_a_field_is_reported_where_the_manifest_says_so),
        TEST(the_nearest_path_of_a_drift_policy_decides),
        TEST(a_change_in_git_is_made_whatever_the_drift_policy_says),
        TEST(what_is_gone_and_ignored_is_not_made_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
