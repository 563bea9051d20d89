/* SPDX-License-Identifier: MPL-2.0 */
/* Addresses that are kept or chosen anew, and what a driver is sent for a step. */
#include "tests/plan/expect.h"

#define SUBNET(cidr, more)                                                      \
    PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}") \
        DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: " cidr more "}")
#define MACHINE(name) INSTANCE(name, "cpus: 1, memory: 256MiB, " NIC)

/* What was chosen, as the plan has it of a NIC whose record says `before`. */
static const char *kept(struct world *w, const char *before, const char *yaml)
{
    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a"));
    world_row(w, "NIC", "a.eth0")->chosen = json(
        w, arena_printf(w->arena, "{\"address\":\"%s\",\"mac\":\"02:00:00:00:00:01\"}", before));
    world_declare(w, yaml);
    world_plan(w);
    return value_get_text(world_step(w, "NIC", "a.eth0")->chosen, "address", "none");
}

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

/* One goes from there; another one goes whose record names no subnet that there is. */
static void all_who_lack_an_address_come_after_who_leaves(void **state)
{
    struct world *w = *state;
    const char *front = PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
        DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/30}");
    const char *side = DOC("Subnet", "project: shop, name: side", "{vpc: net, cidr: 10.0.2.0/24}");

    w->input.policy.collapse_percent = 100;
    world_converge(w, arena_printf(w->arena, "%s%s%s%s", front, side,
                                   INSTANCE("x", "cpus: 1, memory: 256MiB, " NIC),
                                   INSTANCE("y", "cpus: 1, memory: 256MiB, nics: [{name: eth0, "
                                                 "subnet: side}]")));
    world_row(w, "NIC", "y.eth0")->applied = json(w, "{\"subnet\":\"nowhere\"}");
    world_declare(w, arena_printf(w->arena, "%s%s%s%s", front, side,
                                  INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC),
                                  INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC)));
    world_plan(w);
    assert_step(w, "NIC", "a.eth0", ACTION_CREATE, DEFERRED);
    assert_step(w, "NIC", "b.eth0", ACTION_CREATE, DEFERRED);
    assert_true(waits_for(world_step(w, "NIC", "a.eth0"), world_step(w, "NIC", "x.eth0")));
    assert_true(waits_for(world_step(w, "NIC", "b.eth0"), world_step(w, "NIC", "x.eth0")));
}

static void a_cidr_that_is_refused_moves_nobody(void **state)
{
    struct world *w = *state;

    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a"));
    world_declare(w, SUBNET("10.0.2.0/24", "") MACHINE("a") MACHINE("b")
                         INSTANCE("c", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: "
                                       "front, address: 10.0.2.9}]"));
    world_plan(w);
    assert_field(w, "Subnet", "front", "spec.cidr", CHANGE_REFUSE, REPORTED);
    assert_field(w, "Subnet", "front", "spec.gateway", CHANGE_REFUSE, REPORTED);
    assert_null(world_step(w, "NIC", "a.eth0"));
    assert_string_equal(value_get_text(world_step(w, "NIC", "b.eth0")->spec, "address", ""),
                        "10.0.1.3");
    assert_step(w, "NIC", "c.eth0", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "NIC", "c.eth0")->reason,
                        "Subnet front keeps the cidr that it has, and 10.0.2.9 is no address of a "
                        "guest there");
}

/* Of a subnet, as it is on record, what a new machine's address is when another cidr is declared.
 */
static const char *next_address(struct world *w, const char *applied, bool is_seen,
                                const char *declared)
{
    struct known *row;

    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a"));
    row = world_row(w, "Subnet", "front");
    row->applied = json(w, applied);
    row->observed.known = is_seen;
    world_declare(
        w, arena_printf(w->arena,
                        PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
                            DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: %s}")
                                MACHINE("a") MACHINE("b"),
                        declared));
    world_plan(w);
    return value_get_text(world_step(w, "NIC", "b.eth0")->spec, "address", "none");
}

#define ON_RECORD "{\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\",\"gateway\":\"10.0.1.1\"}"

static void a_subnet_that_nobody_can_look_at_keeps_its_prefix(void **state)
{
    assert_string_equal(next_address(*state, ON_RECORD, false, "10.0.2.0/24"), "10.0.1.3");
}

static void a_wider_prefix_is_another(void **state)
{
    assert_string_equal(next_address(*state, ON_RECORD, true, "10.0.0.0/22"), "10.0.1.3");
}

static void a_record_of_a_subnet_without_a_router_says_nothing(void **state)
{
    const char *applied = "{\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\"}";

    assert_string_equal(next_address(*state, applied, true, "10.0.2.0/24"), "10.0.2.3");
}

static void a_subnet_that_is_lost_is_made_with_its_new_cidr(void **state)
{
    struct world *w = *state;

    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a"));
    world_row(w, "Subnet", "front")->observed.absent = true;
    world_declare(w, SUBNET("10.0.2.0/24", "") MACHINE("a"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "a.eth0")->spec, "address", ""),
                        "10.0.2.2");
}

static void a_record_that_is_no_address_is_chosen_anew(void **state)
{
    assert_string_equal(kept(*state, "nonsense", SUBNET("10.0.1.0/24", "") MACHINE("a")),
                        "10.0.1.2");
}

static void an_address_of_another_family_is_chosen_anew(void **state)
{
    assert_string_equal(kept(*state, "fd00::7", SUBNET("10.0.1.0/24", "") MACHINE("a")),
                        "10.0.1.2");
}

static void an_address_outside_its_subnet_is_chosen_anew(void **state)
{
    assert_string_equal(kept(*state, "10.0.9.9", SUBNET("10.0.1.0/24", "") MACHINE("a")),
                        "10.0.1.2");
}

static void an_address_that_became_the_gateway_is_chosen_anew(void **state)
{
    assert_string_equal(
        kept(*state, "10.0.1.9", SUBNET("10.0.1.0/24", ", gateway: 10.0.1.9") MACHINE("a")),
        "10.0.1.1");
}

static void an_address_that_a_manifest_gives_to_another_is_chosen_anew(void **state)
{
    assert_string_equal(kept(*state, "10.0.1.2",
                             SUBNET("10.0.1.0/24", "") MACHINE("a") INSTANCE(
                                 "b", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: "
                                      "front, address: 10.0.1.2}]")),
                        "10.0.1.3");
}

/* As after a restored store: both go on as they were, nobody loses what it uses. */
static void two_that_were_given_the_same_address_keep_it(void **state)
{
    struct world *w = *state;

    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a") MACHINE("b"));
    world_row(w, "NIC", "b.eth0")->chosen = world_row(w, "NIC", "a.eth0")->chosen;
    world_tamper(w, "NIC", "a.eth0", "spec.address", "\"10.0.1.77\"");
    world_tamper(w, "NIC", "b.eth0", "spec.address", "\"10.0.1.78\"");
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "a.eth0")->chosen, "address", ""),
                        "10.0.1.2");
    assert_string_equal(value_get_text(world_step(w, "NIC", "b.eth0")->chosen, "address", ""),
                        "10.0.1.2");
}

static void a_subnet_gives_all_but_gateway_and_broadcast(void **state)
{
    struct world *w = *state;

    world_declare(w, SUBNET("10.0.1.0/29", "") MACHINE("a") MACHINE("b") MACHINE("c") MACHINE("d")
                         MACHINE("e") MACHINE("f"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "e.eth0")->chosen, "address", ""),
                        "10.0.1.6");
    assert_int_equal(world_step(w, "NIC", "f.eth0")->disposition, DEFERRED);
}

static void a_mac_that_is_declared_is_used(void **state)
{
    struct world *w = *state;

    world_declare(w, SUBNET("10.0.1.0/24", "") INSTANCE(
                         "a", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: front, mac: "
                              "\"02:11:22:33:44:55\"}]"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "a.eth0")->spec, "mac", ""),
                        "02:11:22:33:44:55");
}

/* ---- what a driver is sent ---------------------------------------------------------- */

static struct value *arguments(struct world *w, const char *kind, const char *name)
{
    return step_arguments(w->arena, w->plan, &w->input, world_step(w, kind, name));
}

#define REPLACED(firmware)                                                                     \
    SHOP WEB("cpus: 1, memory: 256MiB, updatePolicy: {replace: allowed}, firmware: " firmware) \
        DOC("FloatingIP", "project: shop, name: out",                                          \
            "{vpc: net, instance: web-1, address: 192.0.2.7}")

static void a_machine_that_is_replaced_is_deleted_first(void **state)
{
    struct world *w = *state;
    const struct step *outside;

    world_converge(w, REPLACED("bios"));
    world_tamper(w, "FloatingIP", "out", "spec.instance", "\"gone\"");
    world_declare(w, REPLACED("uefi"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_REPLACE);
    assert_string_equal(value_get_text(arguments(w, "Instance", "web-1"), "verb", ""), "delete");
    outside = world_step(w, "FloatingIP", "out");
    assert_int_equal(outside->after_count, 1);
    assert_true(outside->after_must[0]);
}

/* The store was lost: what was seen is all that is known of them. */
static void what_goes_and_was_never_applied_is_told_as_it_was_seen(void **state)
{
    struct world *w = *state;
    struct value *sent;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE(
                          "web-1", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}, "
                                   "{name: more, volume: more}], " NIC));
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].applied = w->rows[i].labels = NULL;
    world_declare(w, PROJECT);
    world_plan(w);
    sent = arguments(w, "NIC", "web-1.eth0");
    assert_string_equal(value_get_text(sent, "verb", ""), "delete");
    assert_int_equal(value_get(sent, "labels")->pair_count, 0);
    assert_non_null(world_step(w, "Volume", "more"));
    assert_string_equal(value_at_text(arguments(w, "Volume", "more"), "verb", ""), "release");
}

static void what_a_machine_used_is_told_when_it_goes(void **state)
{
    struct world *w = *state;
    struct value *sent;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE(
                          "web-1", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}, "
                                   "{name: more, volume: more}], " NIC));
    world_declare(w, PROJECT);
    world_plan(w);
    sent = arguments(w, "Instance", "web-1");
    assert_non_null(value_at(sent, "refs.Volume.data"));
    assert_non_null(value_at(sent, "refs.Volume.more"));
    assert_non_null(value_at(sent, "refs.VPC.net"));
    assert_non_null(value_at(arguments(w, "NIC", "web-1.eth0"), "refs.Instance"));
}

#define RULE                                                                                  \
    "{vpc: net, rules: [{name: a, targets: [{instance: web-1}], protocols: [{protocol: tcp, " \
    "ports: [80]}]}]}"

static void a_firewall_that_goes_does_not_carry_its_targets(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_declare(w, SHOP WEB("cpus: 1, memory: 256MiB")
                         DOC("Firewall", "project: shop, name: f", RULE));
    world_plan(w);
    assert_true(world_step(w, "Firewall", "f")->id < world_step(w, "Instance", "web-1")->id);
    assert_int_equal(world_apply(w), 0);
    world_declare(w, SHOP);
    world_plan(w);
    assert_null(value_at(arguments(w, "Firewall", "f"), "refs.Instance"));
    assert_non_null(value_at(arguments(w, "Firewall", "f"), "refs.VPC.net"));
}

static void a_volume_in_use_goes_to_its_own_driver_for_all_but_growing(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, PROJECT NETWORK DOC("Volume", "project: shop, name: data, labels: {a: b}",
                                         "{size: 2GiB}") WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_int_equal(world_field(w, "Volume", "data", "spec.size")->disposition, REPORTED);
    assert_int_equal(world_field(w, "Volume", "data", "metadata.labels")->disposition, RUN);
    assert_string_equal(step_driver_class(world_step(w, "Volume", "data")), "volume");
    assert_int_equal(value_get(arguments(w, "Volume", "data"), "changed")->count, 1);
}

static void what_is_being_made_has_its_address_already(void **state)
{
    struct world *w = *state;

    world_converge(w, SUBNET("10.0.1.0/24", "") MACHINE("a"));
    world_row(w, "NIC", "a.eth0")->life = LIFE_NEW;
    world_row(w, "NIC", "a.eth0")->applied = NULL;
    world_row(w, "NIC", "a.eth0")->observed = (struct observation){0};
    world_declare(w, SUBNET("10.0.1.0/24", "") MACHINE("a") MACHINE("b"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "b.eth0")->chosen, "address", ""),
                        "10.0.1.3");
}

static void a_subnet_of_the_sixth_version_has_no_broadcast_address(void **state)
{
    struct world *w = *state;

    world_declare(w, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [\"fd00::/48\"]}")
                         DOC("Subnet", "project: shop, name: front",
                             "{vpc: net, cidr: \"fd00::/64\"}") MACHINE("a"));
    world_plan(w);
    assert_string_equal(value_get_text(world_step(w, "NIC", "a.eth0")->chosen, "address", ""),
                        "fd00::2");
}

/* Of another program, or of a newer one: what it means is not known, that it is there is. */
static void records_of_an_odd_shape_refer_to_what_they_can(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "web-1")->applied = json(
        w,
        "{\"zzz\":1,\"kernel\":{\"image\":7},\"cpuModel\":null,\"nics\":[{},{\"name\":\"eth0\"}],"
        "\"disks\":[{\"name\":\"root\",\"volume\":\"data\"}]}");
    world_declare(w, SHOP);
    world_plan(w);
    assert_non_null(value_at(arguments(w, "Instance", "web-1"), "refs.Volume.data"));
    assert_non_null(value_at(arguments(w, "Instance", "web-1"), "refs.NIC"));
    world_row(w, "Instance", "web-1")->applied = json(w, "{\"nics\":7}");
    world_plan(w);
    assert_int_equal(value_get(arguments(w, "Instance", "web-1"), "refs")->pair_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_being_made_has_its_address_already),
        TEST(a_subnet_of_the_sixth_version_has_no_broadcast_address),
        TEST(records_of_an_odd_shape_refer_to_what_they_can),
        TEST(addresses_are_the_lowest_that_nobody_has),
        TEST(a_chosen_address_is_kept),
        TEST(a_full_subnet_defers_and_says_so),
        TEST(all_who_lack_an_address_come_after_who_leaves),
        TEST(a_cidr_that_is_refused_moves_nobody),
        TEST(a_subnet_that_nobody_can_look_at_keeps_its_prefix),
        TEST(a_wider_prefix_is_another),
        TEST(a_record_of_a_subnet_without_a_router_says_nothing),
        TEST(a_subnet_that_is_lost_is_made_with_its_new_cidr),
        TEST(a_record_that_is_no_address_is_chosen_anew),
        TEST(an_address_of_another_family_is_chosen_anew),
        TEST(an_address_outside_its_subnet_is_chosen_anew),
        TEST(an_address_that_became_the_gateway_is_chosen_anew),
        TEST(an_address_that_a_manifest_gives_to_another_is_chosen_anew),
        TEST(two_that_were_given_the_same_address_keep_it),
        TEST(a_subnet_gives_all_but_gateway_and_broadcast),
        TEST(a_mac_that_is_declared_is_used),
        TEST(a_machine_that_is_replaced_is_deleted_first),
        TEST(what_goes_and_was_never_applied_is_told_as_it_was_seen),
        TEST(what_a_machine_used_is_told_when_it_goes),
        TEST(a_firewall_that_goes_does_not_carry_its_targets),
        TEST(a_volume_in_use_goes_to_its_own_driver_for_all_but_growing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
