/* SPDX-License-Identifier: MPL-2.0 */
/* What becomes of a difference where policies meet odd records, odd drivers and odd moments. */
#include "tests/plan/world.h"

#include "model/kind_read.h"

static const struct plan_field *field_of(const struct world *w, const char *path)
{
    return world_field(w, "Instance", "web-1", path);
}

static void assert_disposition(const struct plan_field *field, enum disposition disposition)
{
    assert_string_equal(disposition_text(field->disposition), disposition_text(disposition));
}

/* ---- what a driver says ------------------------------------------------------------- */

static void damage_may_say_anything_about_power(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.damage =
        json(w, "[{\"path\":\"spec.power\",\"observed\":\"smoke\"}]");
    world_plan(w);
    assert_disposition(field_of(w, "spec.power"), RUN);
    assert_string_equal(
        value_get_text(value_get(plan_value(w->arena, w->plan), "steps")->items[0], "impact", ""),
        "none");
}

static void elements_without_a_name_are_no_elements(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.spec = json(
        w,
        "{\"power\":\"on\",\"cpuModel\":null,\"nics\":[{\"connected\":true},{\"name\":\"eth0\"}]}");
    assert_int_equal(world_plan(w)->step_count, 0);
}

/* As after a lost store, with a driver that looks at little. */
static void what_was_neither_applied_nor_seen_is_to_be_applied(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, SHOP DOC("Instance", "project: shop, name: web-1, labels: {a: b}",
                               "{cpus: 1, memory: 256MiB, cpuModel: max, accel: tcg, cloudInit: "
                               "{hostname: x}, shutdown: {timeout: 7s}, " DISK ", " NIC "}"));
    row = world_row(w, "Instance", "web-1");
    row->applied = row->labels = NULL;
    row->generation = 0;
    row->observed.spec = json(w, "{\"power\":\"on\",\"cpus\":1,\"memory\":268435456}");
    row->observed.booted = json(w, "{\"cpus\":1,\"memory\":268435456}");
    world_plan(w);
    assert_disposition(field_of(w, "spec.disks[root]"), RUN);
    assert_disposition(field_of(w, "spec.shutdown.timeout"), RUN);
    assert_disposition(field_of(w, "spec.cpuModel"), DEFERRED);
    assert_int_equal(field_of(w, "spec.cpuModel")->cause, CAUSE_PENDING);
}

static void labels_that_left_git_are_taken_off(void **state)
{
    struct world *w = *state;

    world_converge(w,
                   PROJECT DOC("Volume", "project: shop, name: a, labels: {x: y}", "{size: 1GiB}"));
    world_declare(w, PROJECT VOLUME("a", "size: 1GiB"));
    world_plan(w);
    assert_null(world_field(w, "Volume", "a", "metadata.labels")->to);
}

/* ---- live, if ----------------------------------------------------------------------- */

static void without_a_record_of_the_start_cpus_change_live(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.booted = json(w, "{\"memory\":\"lots\"}");
    world_declare(w, SHOP WEB("cpus: 2, memory: 512MiB"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.cpus"), RUN);
    assert_disposition(field_of(w, "spec.memory"), RUN);
}

static void without_a_bound_what_it_was_started_with_is_the_bound(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.booted = json(w, "{\"cpus\":1}");
    world_declare(w, SHOP WEB("cpus: 2, memory: 256MiB"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.cpus"), DEFERRED);
}

/* A driver may be able to do less than the kind's table says. */
static void below_what_the_driver_can_take_away_waits_for_a_restart(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 3, maxCpus: 4, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.status =
        json(w, "{\"bounds\":{\"spec.cpus\":{\"atLeast\":2,\"reason\":\"two stay\"}}}");
    world_declare(w, SHOP WEB("cpus: 2, maxCpus: 4, memory: 256MiB"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.cpus"), RUN);
    world_declare(w, SHOP WEB("cpus: 1, maxCpus: 4, memory: 256MiB"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.cpus"), DEFERRED);
    assert_int_equal(field_of(w, "spec.cpus")->change, CHANGE_RESTART);
    assert_string_equal(field_of(w, "spec.cpus")->reason,
                        "two stay; waits until the machine stops by itself");
    assert_int_equal(plan_exit(w->plan), 0);
}

static void bounds_that_are_none_bound_nothing(void **state)
{
    struct world *w = *state;
    static const char *const statuses[] = {"{\"bounds\":7}", "{\"bounds\":{\"spec.cpus\":\"all\"}}",
                                           "{\"bounds\":{\"spec.cpus\":{\"atLeast\":\"2\"}}}"};

    world_converge(w, SHOP WEB("cpus: 3, maxCpus: 4, memory: 256MiB"));
    world_declare(w, SHOP WEB("cpus: 1, maxCpus: 4, memory: 256MiB"));
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        world_row(w, "Instance", "web-1")->observed.status = json(w, statuses[i]);
        world_plan(w);
        assert_disposition(field_of(w, "spec.cpus"), RUN);
    }
}

/* ---- restart ------------------------------------------------------------------------ */

#define KERNEL                                               \
    DOC("Image", "name: k",                                  \
        "{url: \"https://example.org/k\", digest: \"sha256:" \
        "0000000000000000000000000000000000000000000000000000000000000000\", format: raw}")

static void what_waits_for_a_restart_stays_in_what_the_driver_is_sent(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w,
                   SHOP KERNEL WEB("cpus: 1, memory: 256MiB, kernel: {image: k, cmdline: quiet}"));
    world_declare(w, SHOP KERNEL WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    step = world_step(w, "Instance", "web-1");
    assert_int_equal(step->disposition, DEFERRED);
    assert_string_equal(value_at_text(step->spec, "kernel.image", ""), "k");
}

/* Applied and desired agree that there is none; the running one still has it. */
static void what_only_the_running_machine_has_goes_at_its_restart(void **state)
{
    struct world *w = *state;
    struct value *booted;

    world_converge(w, SHOP KERNEL WEB("cpus: 1, memory: 256MiB"));
    booted = value_copy(w->arena, world_row(w, "Instance", "web-1")->observed.booted);
    value_set(w->arena, booted, "kernel", json(w, "{\"image\":\"k\"}"));
    world_row(w, "Instance", "web-1")->observed.booted = booted;
    world_declare(w, SHOP KERNEL WEB("cpus: 1, memory: 512MiB"));
    world_plan(w);
    assert_null(value_get(world_step(w, "Instance", "web-1")->spec, "kernel"));
}

static void a_nics_mac_follows_its_machines_restart_policy(void **state)
{
    struct world *w = *state;

    world_converge(
        w, SHOP INSTANCE("web-1",
                         "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, " NIC));
    world_declare(
        w,
        SHOP INSTANCE("web-1", "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, nics: "
                               "[{name: eth0, subnet: front, mac: \"02:11:22:33:44:55\"}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->action, ACTION_UPDATE);
}

#define REPLACED(more) \
    WEB("cpus: 1, memory: 256MiB, updatePolicy: {replace: allowed, restart: immediate}" more)

static void a_replacement_brings_what_would_take_a_restart(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP REPLACED(""));
    world_declare(w, SHOP REPLACED(", firmware: uefi, machine: pc-q35-8.0"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_REPLACE);
    assert_disposition(field_of(w, "spec.machine"), RUN);
}

static void replacements_beyond_the_budget_are_held_with_their_reason(void **state)
{
    struct world *w = *state;

    w->input.policy.budget_count = 0;
    w->input.policy.budget_percent = 0;
    world_converge(w, SHOP REPLACED("") INSTANCE("b", "cpus: 1, memory: 256MiB"));
    world_declare(w, SHOP REPLACED(", firmware: uefi")
                         DOC("Instance", "project: shop, name: b", "{cpus: 1, memory: 256MiB}"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, HELD);
    assert_disposition(field_of(w, "spec.firmware"), HELD);
    assert_non_null(strstr(world_step(w, "Instance", "web-1")->reason, "would be destroyed"));
    w->input.approved = (const char *const[]){world_step(w, "Instance", "web-1")->hold};
    w->input.approved_count = 1;
    w->input.policy.budget_count = 9; /* what was approved stays so below the limit */
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, RUN);
    assert_non_null(world_step(w, "Instance", "web-1")->hold);
}

/* ---- power -------------------------------------------------------------------------- */

static void a_machine_that_somebody_started_is_stopped(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB, power: \"off\""));
    world_tamper(w, "Instance", "web-1", "spec.power", "\"on\"");
    world_plan(w);
    assert_disposition(field_of(w, "spec.power"), RUN);
    assert_int_equal(field_of(w, "spec.power")->cause, CAUSE_DRIFT);
}

static void a_guests_own_reset_is_in_order(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB, restartPolicy: {mode: onFailure}"));
    world_stop(w, "web-1", "guest-reset");
    world_plan(w);
    assert_disposition(field_of(w, "spec.power"), REPORTED);
}

static void what_needs_a_restart_comes_with_a_stop(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, SHOP WEB("cpus: 1, memory: 256MiB, power: \"off\", machine: pc-q35-8.0, "
                              "shutdown: {timeout: 9s}"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.machine"), RUN);
    assert_int_equal(field_of(w, "spec.machine")->change, CHANGE_LIVE);
}

static void while_a_start_waits_the_rest_waits_for_it(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_stop(w, "web-1", "crash");
    world_row(w, "Instance", "web-1")->next_start = w->input.now + 60;
    world_declare(
        w, SHOP DOC("Instance", "project: shop, name: web-1, labels: {a: b}",
                    "{cpus: 1, memory: 512MiB, firmware: uefi, shutdown: {timeout: 9s}, " DISK
                    ", " NIC "}"));
    world_plan(w);
    assert_disposition(field_of(w, "spec.power"), DEFERRED);
    assert_disposition(field_of(w, "spec.memory"), DEFERRED);
    assert_disposition(field_of(w, "spec.firmware"), REPORTED);
    assert_disposition(field_of(w, "spec.shutdown.timeout"), RUN);
    assert_disposition(field_of(w, "metadata.labels"), RUN);
}

/* ---- drift policy ------------------------------------------------------------------- */

#define WATCHED(policy)                                                           \
    SHOP DOC("Instance", "project: shop, name: web-1, driftPolicy: {" policy "}", \
             "{cpus: 1, memory: 256MiB, " DISK ", " NIC "}")

static void the_longest_path_of_a_drift_policy_decides(void **state)
{
    struct world *w = *state;

    world_converge(
        w, WATCHED("default: report, spec.disks: ignore, \"spec.disks[root].readOnly\": heal, "
                   "spec.nics: ignore"));
    world_tamper(w, "Instance", "web-1", "spec.nics[eth0].connected", "false");
    world_tamper(w, "Instance", "web-1", "spec.cpus", "3");
    world_row(w, "Instance", "web-1")->observed.damage = json(
        w, "[{\"path\":\"spec.nics\",\"observed\":\"x\"},{\"path\":\"spec.disks[root].readOnly\"},"
           "{\"path\":\"spec.disks.x\"},{\"path\":\"spec.disksome\"}]");
    world_plan(w);
    assert_disposition(field_of(w, "spec.nics[eth0].connected"), IGNORED);
    assert_disposition(field_of(w, "spec.nics"), IGNORED);
    assert_disposition(field_of(w, "spec.cpus"), REPORTED);
    assert_disposition(field_of(w, "spec.disks[root].readOnly"), RUN);
    assert_disposition(field_of(w, "spec.disks.x"), IGNORED);
    assert_disposition(field_of(w, "spec.disksome"), REPORTED);
}

static void an_object_that_is_gone_may_be_reported_or_ignored(void **state)
{
    struct world *w = *state;

    world_converge(w, WATCHED("object: ignore"));
    world_gone(w, "Instance", "web-1");
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, IGNORED);
    world_declare(w, WATCHED("object: report"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, REPORTED);
}

/* ---- the seed ----------------------------------------------------------------------- */

#define SEEDED(data) SHOP WEB("cpus: 1, memory: 256MiB, cloudInit: {userData: \"" data "\"}")

static void nothing_of_a_frozen_seed_is_rewritten_while_its_secret_is_kept_back(void **state)
{
    struct world *w = *state;
    const struct step *seed;

    world_converge(w, SEEDED("one"));
    world_tamper(w, "Seed", "web-1", "spec.metaData", "\"changed by hand\"");
    world_declare(w, SEEDED("two"));
    world_plan(w);
    seed = world_step(w, "Seed", "web-1");
    assert_disposition(step_field(seed, "spec.userData"), REPORTED);
    assert_disposition(step_field(seed, "spec.metaData"), REPORTED);
}

static void a_frozen_seed_that_was_changed_by_hand_is_healed(void **state)
{
    struct world *w = *state;

    world_converge(w, SEEDED("one"));
    world_tamper(w, "Seed", "web-1", "spec.metaData", "\"changed by hand\"");
    world_plan(w);
    assert_disposition(world_field(w, "Seed", "web-1", "spec.metaData"), RUN);
    world_row(w, "Seed", "web-1")->applied = NULL; /* never confirmed: nothing was booted with it */
    world_plan(w);
    assert_disposition(world_field(w, "Seed", "web-1", "spec.metaData"), RUN);
}

/* ---- lives -------------------------------------------------------------------------- */

static void an_object_whose_creation_nobody_has_seen_waits(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "VPC", "net")->life = LIFE_NEW;
    world_row(w, "VPC", "net")->observed.known = false;
    world_row(w, "Project", "shop")->life = LIFE_NEW;
    world_row(w, "Volume", "data")->life = LIFE_RELEASED;
    world_row(w, "Volume", "data")->observed.known = false;
    world_plan(w);
    assert_int_equal(world_step(w, "VPC", "net")->disposition, DEFERRED);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_ADOPT);
    assert_int_equal(world_step(w, "Volume", "data")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Project", "shop")->reason, "it is not recorded yet");
}

static void a_nic_in_a_full_subnet_keeps_what_else_changed(void **state)
{
    struct world *w = *state;

    world_converge(w,
                   PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
                       DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/30}")
                           INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC));
    world_row(w, "NIC", "a.eth0")->chosen = json(w, "{\"address\":\"10.9.9.9\"}");
    world_declare(
        w,
        PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
            DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/30}") INSTANCE(
                "b",
                "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: front, address: 10.0.1.2}]")
                DOC("Instance", "project: shop, name: a, labels: {x: y}",
                    "{cpus: 1, memory: 256MiB, " NIC "}"));
    world_plan(w);
    assert_int_equal(world_step(w, "NIC", "a.eth0")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "NIC", "a.eth0")->reason,
                        "Subnet front has no free address left");
}

static void what_is_wanted_again_shows_what_it_cannot_become(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->observed.released =
        true; /* live in the store, not by its tag */
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB"));
    world_plan(w);
    step = world_step(w, "Volume", "data");
    assert_int_equal(step->action, ACTION_ADOPT);
    assert_disposition(step_field(step, "spec.size"), REPORTED);
}

static void what_leaves_git_unseen_waits_until_it_is_seen(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->observed.known = false;
    world_row(w, "Volume", "data")->observed.known = false;
    world_gone(w, "Subnet", "front");
    world_gone(w, "NIC", "web-1.eth0");
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, DEFERRED);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_RELEASE);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->disposition, DEFERRED);
}

/* It may be back by the time that its driver is asked. */
static void what_leaves_git_and_is_gone_already_is_released_all_the_same(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_gone(w, "Volume", "data");
    world_declare(w, PROJECT NETWORK);
    world_row(w, "Volume", "data")->protect = true;
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_RELEASE);
    assert_int_equal(world_step(w, "Volume", "data")->disposition, RUN);
    assert_string_equal(world_step(w, "Volume", "data")->reason,
                        "its manifest left Git, and it is gone already");
    world_row(w, "Volume", "data")->protect = false;
    world_row(w, "Volume", "data")->remove_deletes = true;
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_DELETE);
}

static void a_released_volume_that_is_given_up_is_purged(void **state)
{
    struct world *w = *state;
    struct known *row;
    const struct step *step;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP);
    row = world_row(w, "Volume", "data");
    row->life = LIFE_RELEASED;
    row->remove_deletes = true;
    world_declare(w, PROJECT NETWORK);
    world_plan(w);
    step = world_step(w, "Volume", "data");
    assert_int_equal(step->action, ACTION_DELETE);
    assert_string_equal(step->reason, "it was released, and is given up");
    assert_true(value_get_bool(step_arguments(w->arena, w->plan, &w->input, step), "purge", false));
    world_gone(w, "Volume", "data");
    world_plan(w);
    assert_string_equal(world_step(w, "Volume", "data")->reason,
                        "it is given up, in the trash too");
}

static void two_fields_that_drifted_are_counted(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    world_row(w, "VPC", "net")->observed.damage = json(w, "[{\"path\":\"status.table\"}]");
    world_row(w, "VPC", "net")->observed.at = WORLD_START - 60;
    world_plan(w);
    assert_string_equal(world_step(w, "VPC", "net")->reason, "2 fields drifted");
    assert_int_equal(w->plan->observed_at, WORLD_START - 60);
}

/* ---- secrets ------------------------------------------------------------------------ */

static const char vault[] =
    "kind: Vault\nplural: vaults\nrank: 5\nscope: project\ndriver: volume\ndoc: A test.\n"
    "spec:\n  type: object\n  properties:\n"
    "    keys:\n      type: array\n      x-list-key: name\n      doc: Keys.\n      items:\n"
    "        type: object\n        properties:\n"
    "          name: {type: string, doc: Name.}\n"
    "          secret: {type: string, x-sensitive: true, doc: Secret.}\n";

static void secrets_in_lists_are_digested_and_what_has_no_such_shape_stays(void **state)
{
    struct world *w = *state;
    const struct kind_file file = {"vault.yaml", vault, sizeof(vault) - 1};
    const struct kind *kind = kind_read(w->arena, &file);
    struct value *out = plan_redact(w->arena, kind,
                                    json(w, "{\"keys\":[{\"name\":\"a\",\"secret\":\"s3cret\","
                                            "\"other\":1},\"odd\",null],\"more\":2}"),
                                    w->input.seed);
    char near_miss[7 + DIGEST_TEXT];

    assert_null(strstr(json_text(w->arena, out), "s3cret"));
    assert_true(value_is_redacted(value_at(out, "keys[a].secret")));
    assert_string_equal(value_get(out, "keys")->items[1]->text, "odd");
    assert_null(plan_redact(w->arena, kind, NULL, w->input.seed));
    memset(near_miss, 'x', sizeof(near_miss));
    near_miss[6 + DIGEST_TEXT - 1] = '\0';
    assert_false(value_is_redacted(value_text(w->arena, near_miss)));
}

static void no_driver_is_sent_a_digest_for_a_secret(void **state)
{
    struct world *w = *state;
    struct value *sent;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SEEDED("one"));
    world_declare(w, SHOP);
    world_plan(w);
    sent = step_arguments(w->arena, w->plan, &w->input, world_step(w, "Seed", "web-1"));
    assert_null(strstr(json_text(w->arena, sent), "keyed:"));
}

/* ---- saved -------------------------------------------------------------------------- */

static void a_saved_plan_that_lacks_a_part_is_refused(void **state)
{
    static const char *const documents[] = {"{}", "{\"hash\":\"a\"}",
                                            "{\"hash\":\"a\",\"commit\":\"b\"}"};
    struct world *w = *state;
    const char *hash, *commit, *world;

    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_INIT;
        struct value *saved = plan_save_document(w->arena, json(w, documents[i]));

        assert_int_equal(plan_saved_check(saved, &hash, &commit, &world, &err), ERR_INVALID);
        assert_non_null(strstr(err.message, "the saved plan has no "));
    }
    struct error err = ERROR_INIT;
    assert_int_equal(plan_saved_check(json(w, "{\"schema\":\"spinel/saved-plan/v1\",\"plan\":7}"),
                                      &hash, &commit, &world, &err),
                     ERR_INVALID);
}

static void a_default_that_goes_with_its_map_is_no_difference(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP KERNEL WEB("cpus: 1, memory: 256MiB, kernel: {image: k}"));
    world_declare(w, SHOP KERNEL WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_non_null(step_field(world_step(w, "Instance", "web-1"), "spec.kernel.image"));
    assert_null(step_field(world_step(w, "Instance", "web-1"), "spec.kernel.cmdline"));
}

static void a_size_that_nobody_has_seen_is_no_shrinking(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->applied = NULL;
    world_row(w, "Volume", "data")->observed.spec = json(w, "{\"pool\":\"default\"}");
    world_plan(w);
    assert_disposition(world_field(w, "Volume", "data", "spec.size"), RUN);
}

static void a_rename_is_recorded_while_a_secret_is_kept_back(void **state)
{
    struct world *w = *state;
    const struct step *seed;

    world_converge(w, SEEDED("one"));
    world_row(w, "Seed", "web-1")->observed.damage = json(w, "[{\"path\":\"status.file\"}]");
    world_declare(w, SHOP DOC("Instance", "project: shop, name: web-2, renamedFrom: web-1",
                              "{cpus: 1, memory: 256MiB, cloudInit: {userData: two}, " DISK ", " NIC
                              "}"));
    world_plan(w);
    seed = world_step(w, "Seed", "web-2");
    assert_disposition(step_field(seed, "metadata.name"), RUN);
    assert_disposition(step_field(seed, "status.file"), REPORTED);
}

static void a_machine_that_may_run_by_hand_holds_nothing_else_up(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP DOC("Instance",
                               "project: shop, name: web-1, driftPolicy: {spec.power: ignore}",
                               "{cpus: 1, memory: 256MiB, power: \"off\", " DISK ", " NIC "}"));
    world_tamper(w, "Instance", "web-1", "spec.power", "\"on\"");
    world_tamper(w, "Instance", "web-1", "spec.cpus", "2");
    world_plan(w);
    assert_disposition(field_of(w, "spec.power"), IGNORED);
    assert_disposition(field_of(w, "spec.cpus"), RUN);
}

static void the_reason_of_a_step_is_that_of_its_weightiest_field(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, SHOP WEB("cpus: 1, memory: 256MiB, firmware: uefi, machine: pc-q35-8.0"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "web-1")->reason,
                        "waits until the machine stops by itself");
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_default_that_goes_with_its_map_is_no_difference),
        WORLD_TEST(a_size_that_nobody_has_seen_is_no_shrinking),
        WORLD_TEST(a_rename_is_recorded_while_a_secret_is_kept_back),
        WORLD_TEST(a_machine_that_may_run_by_hand_holds_nothing_else_up),
        WORLD_TEST(the_reason_of_a_step_is_that_of_its_weightiest_field),
        WORLD_TEST(damage_may_say_anything_about_power),
        WORLD_TEST(elements_without_a_name_are_no_elements),
        WORLD_TEST(what_was_neither_applied_nor_seen_is_to_be_applied),
        WORLD_TEST(labels_that_left_git_are_taken_off),
        WORLD_TEST(without_a_record_of_the_start_cpus_change_live),
        WORLD_TEST(without_a_bound_what_it_was_started_with_is_the_bound),
        WORLD_TEST(below_what_the_driver_can_take_away_waits_for_a_restart),
        WORLD_TEST(bounds_that_are_none_bound_nothing),
        WORLD_TEST(what_waits_for_a_restart_stays_in_what_the_driver_is_sent),
        WORLD_TEST(what_only_the_running_machine_has_goes_at_its_restart),
        WORLD_TEST(a_nics_mac_follows_its_machines_restart_policy),
        WORLD_TEST(a_replacement_brings_what_would_take_a_restart),
        WORLD_TEST(replacements_beyond_the_budget_are_held_with_their_reason),
        WORLD_TEST(a_machine_that_somebody_started_is_stopped),
        WORLD_TEST(a_guests_own_reset_is_in_order),
        WORLD_TEST(what_needs_a_restart_comes_with_a_stop),
        WORLD_TEST(while_a_start_waits_the_rest_waits_for_it),
        WORLD_TEST(the_longest_path_of_a_drift_policy_decides),
        WORLD_TEST(an_object_that_is_gone_may_be_reported_or_ignored),
        WORLD_TEST(nothing_of_a_frozen_seed_is_rewritten_while_its_secret_is_kept_back),
        WORLD_TEST(a_frozen_seed_that_was_changed_by_hand_is_healed),
        WORLD_TEST(an_object_whose_creation_nobody_has_seen_waits),
        WORLD_TEST(a_nic_in_a_full_subnet_keeps_what_else_changed),
        WORLD_TEST(what_is_wanted_again_shows_what_it_cannot_become),
        WORLD_TEST(what_leaves_git_unseen_waits_until_it_is_seen),
        WORLD_TEST(what_leaves_git_and_is_gone_already_is_released_all_the_same),
        WORLD_TEST(a_released_volume_that_is_given_up_is_purged),
        WORLD_TEST(two_fields_that_drifted_are_counted),
        WORLD_TEST(secrets_in_lists_are_digested_and_what_has_no_such_shape_stays),
        WORLD_TEST(no_driver_is_sent_a_digest_for_a_secret),
        WORLD_TEST(a_saved_plan_that_lacks_a_part_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
