/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A name that passes to a new object while a record still has it for the one that bore it before.
 */
#include "tests/plan/expect.h"

#define ROOT(volume) "{name: root, volume: " volume "}"
#define ONE "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, "
#define M(name, disks) INSTANCE(name, ONE "disks: [" disks "]")
#define VOL(name) VOLUME(name, "size: 1GiB")
#define BASE PROJECT NETWORK
#define FORWARD_TO(instance)                       \
    DOC("PortForward", "project: shop, name: ssh", \
        "{vpc: net, port: 2222, instance: " instance ", targetPort: 22}")
#define SSH_KEY(k) DOC("SSHKey", "project: shop, name: ops", "{publicKey: \"" k "\"}")
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define WALL                                  \
    DOC("Firewall", "project: shop, name: f", \
        "{vpc: net, rules: [{name: r, hosts: [{subnet: front}]}]}")

/* The driver tells whom the machine means by its root disk. */
static void told_by_uid(struct world *w, const char *machine, const char *uid)
{
    world_row(w, "Instance", machine)->observed.status =
        json(w, arena_printf(w->arena, "{\"refs\":{\"spec.disks[root].volume\":\"%s\"}}", uid));
}

/* It was renamed, and dropped before the record of its machine had the new name; the machine is to
 * have a new one under the former name. Found by the simulator: each waited for another. */
static void a_record_gets_the_new_name_of_what_it_means_before_another_has_the_former(void **state)
{
    struct world *w = *state;
    const char *uid;

    w->input.policy.collapse_percent = 100;
    world_converge(w,
                   PROJECT NETWORK VOLUME("data", "size: 4GiB") VOLUME("more", "size: 1GiB")
                       INSTANCE("a", "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, "
                                     "disks: [" ROOT("data") ", {name: x, volume: more}]"));
    uid = world_row(w, "Volume", "data")->uid;
    world_called(w, "Volume", "data", "moved");
    world_declare(w,
                  PROJECT NETWORK VOLUME("data", "size: 4GiB") VOLUME("more", "size: 1GiB")
                      INSTANCE("a", "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, "
                                    "disks: [" ROOT("data") ", {name: x, volume: more}]"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, DEFERRED);
    assert_step(w, "Volume", "moved", ACTION_RELEASE, DEFERRED);
    assert_step(w, "Instance", "a", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "a", "spec.disks[root].volume", CHANGE_METADATA, RUN);
    assert_int_equal(world_step(w, "Instance", "a")->field_count, 1);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
    assert_string_not_equal(world_row(w, "Volume", "data")->uid, uid);
    assert_int_equal(world_row(w, "Volume", "moved")->life, LIFE_RELEASED);
}

/* The record of it is all that has the former name: it is put right without an operation. */
static void a_name_that_only_the_record_uses_is_free_once_it_is_put_right(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT NETWORK VOLUME("data", "size: 4GiB")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    told_by_uid(w, "a", world_row(w, "Volume", "data")->uid);
    world_called(w, "Volume", "data", "moved");
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 4GiB")
                         INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [" ROOT("data") "]"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, DEFERRED);
    assert_null(world_step(w, "Instance", "a"));
    assert_int_equal(w->plan->unrecorded_count, 1);
    assert_string_equal(value_at_text(w->plan->unrecorded[0].spec, "disks[root].volume", ""),
                        "moved");
    world_row(w, "Instance", "a")->applied = w->plan->unrecorded[0].spec;
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, RUN);
    assert_field(w, "Instance", "a", "spec.disks[root].volume", CHANGE_RESTART, DEFERRED);
}

/* As with a volume: the guests are in the one that bore the name, which nobody declares any more,
 * and keep their addresses there until they are in the new one. */
static void a_subnet_gets_the_name_of_one_that_left_and_has_guests(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_called(w, "Subnet", "front", "moved");
    world_declare(w, PROJECT VOLUME("data", "size: 4GiB")
                         DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
                             DOC("Subnet", "project: shop, name: front",
                                 "{vpc: net, cidr: 10.0.2.0/24}") WEB("cpus: 1, memory: 256MiB")
                                 INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC));
    world_plan(w);
    assert_step(w, "Subnet", "front", ACTION_CREATE, DEFERRED);
    assert_int_equal(world_step(w, "NIC", "b.eth0")->disposition, DEFERRED);
    assert_field(w, "NIC", "web-1.eth0", "spec.subnet", CHANGE_METADATA, RUN);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->field_count, 1);
    assert_int_equal(world_apply(w), 0);
    assert_non_null(world_row(w, "Subnet", "front"));
    assert_int_equal(w->plan->step_count, 0);
    assert_memory_equal(value_get_text(world_row(w, "NIC", "web-1.eth0")->applied, "address", ""),
                        "10.0.2.", 7);
}

/* Its NIC and its Seed are on record by their names of before, as parts of the one that left. */
static void a_machine_gets_the_name_of_one_that_left(void **state)
{
    struct world *w = *state;
    const char *web = SHOP WEB("cpus: 1, memory: 256MiB, cloudInit: {userData: \"#cloud-config\"}")
        FORWARD_TO("web-1");
    const char *uid;

    w->input.policy.collapse_percent = 100;
    world_converge(w, web);
    uid = world_row(w, "Instance", "web-1")->uid;
    world_called(w, "Instance", "web-1", "moved");
    world_declare(w, web);
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_CREATE, DEFERRED);
    assert_step(w, "PortForward", "ssh", ACTION_UPDATE, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
    assert_string_not_equal(world_row(w, "Instance", "web-1")->uid, uid);
}

/* One of the two has it on record, and cannot be looked at. */
static void a_record_that_was_put_right_stays_so_while_another_is_not(void **state)
{
    const char *volumes =
        VOLUME("a", "size: 1GiB, pool: fast") VOLUME("b", "size: 1GiB, pool: fast");
    struct world *w = *state;
    struct known *volume;

    world_converge(
        w, arena_printf(w->arena, "%s%s", PROJECT DOC("Pool", "name: fast", "{}"), volumes));
    world_called(w, "Pool", "fast", "quick");
    volume = world_row(w, "Volume", "a");
    volume->observed = (struct observation){0};
    world_declare(w,
                  arena_printf(w->arena, "%s%s", PROJECT DOC("Pool", "name: fast", "{}"), volumes));
    world_plan(w);
    assert_field(w, "Volume", "b", "spec.pool", CHANGE_METADATA, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_not_equal(world_step(w, "Volume", "b")->disposition, RUN);
    assert_step(w, "Pool", "fast", ACTION_CREATE, DEFERRED);
    assert_string_equal(value_get_text(world_row(w, "Volume", "b")->applied, "pool", ""), "quick");
}

static const char *disk(const struct step *step, const char *path)
{
    return value_at_text(step->spec, path, "");
}

static void begins(struct world *w, const char *yaml)
{
    w->input.policy.collapse_percent = 100;
    world_converge(w, yaml);
}

static void ends(struct world *w)
{
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
}

static void no_machine_gets_a_volume_twice(void **state)
{
    struct world *w = *state;
    const struct step *a;

    begins(w, BASE VOL("data") M("a", ROOT("data")));
    world_called(w, "Volume", "data", "moved");
    world_declare(w,
                  BASE VOL("data") VOL("moved") M("a", ROOT("data") ", {name: x, volume: moved}"));
    world_plan(w);
    a = world_step(w, "Instance", "a");
    assert_non_null(a);
    assert_string_not_equal(disk(a, "disks[root].volume"), disk(a, "disks[x].volume"));
}

static void two_machines_do_not_get_one_volume(void **state, bool is_gone)
{
    struct world *w = *state;
    const struct step *a, *b;

    begins(w, BASE VOL("data") M("a", ROOT("data")));
    world_called(w, "Volume", "data", "moved");
    if (is_gone)
        world_gone(w, "Instance", "a");
    else
        world_stop(w, "a", "guest-crash");
    world_declare(w, BASE VOL("data") VOL("moved") M("a", ROOT("data")) M("b", ROOT("moved")));
    world_plan(w);
    a = world_step(w, "Instance", "a");
    b = world_step(w, "Instance", "b");
    assert_false(a && b && a->disposition == RUN && b->disposition == RUN && !waits_for(a, b) &&
                 !waits_for(b, a) &&
                 strcmp(disk(a, "disks[root].volume"), disk(b, "disks[root].volume")) == 0);
}

static void of_a_gone_machine(void **state)
{
    two_machines_do_not_get_one_volume(state, true);
}
static void of_a_stopped_machine(void **state)
{
    two_machines_do_not_get_one_volume(state, false);
}

static void what_is_not_made_is_not_attached(void **state)
{
    struct world *w = *state;
    const struct step *a;

    begins(w, BASE VOL("data") VOL("fresh") M("a", ROOT("data")) M("b", ROOT("fresh")));
    world_called(w, "Volume", "data", "moved");
    world_called(w, "Volume", "fresh", "moved2");
    world_declare(w,
                  BASE VOL("data") VOL("fresh") M("a", ROOT("data") ", {name: y, volume: fresh}"));
    world_plan(w);
    assert_step(w, "Volume", "fresh", ACTION_CREATE, DEFERRED);
    a = world_step(w, "Instance", "a");
    assert_false(a && a->disposition == RUN && strcmp(disk(a, "disks[y].volume"), "fresh") == 0);
}

static void two_that_exchange_what_was_renamed(void **state)
{
    struct world *w = *state;

    begins(w, BASE VOL("v") VOL("u") M("a", ROOT("v")) M("b", ROOT("u")));
    world_called(w, "Volume", "v", "oldv");
    world_called(w, "Volume", "u", "oldu");
    world_declare(w, BASE VOL("v") VOL("u") VOL("oldv") VOL("oldu")
                         M("a", ROOT("v") ", {name: x, volume: oldu}")
                             M("b", ROOT("u") ", {name: x, volume: oldv}"));
    ends(w);
}

static void a_forward_and_a_former_name(void **state)
{
    struct world *w = *state;

    begins(w,
           BASE VOL("data") INSTANCE("a", ONE "disks: [" ROOT("data") "], " NIC) FORWARD_TO("a"));
    world_called(w, "Volume", "data", "moved");
    world_declare(w, BASE VOL("data") VOL("moved")
                         INSTANCE("b", ONE "disks: [" ROOT("data") "], " NIC) FORWARD_TO("b"));
    ends(w);
}

static void a_former_name_in_a_set_of_maps(void **state)
{
    struct world *w = *state;

    begins(w, BASE WALL);
    world_called(w, "Subnet", "front", "back");
    world_declare(w, BASE WALL);
    ends(w);
}

static void a_former_name_in_a_set_of_texts(void **state)
{
    struct world *w = *state;

    begins(w,
           BASE VOL("data") SSH_KEY(
               "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB")
               INSTANCE("a", ONE "disks: [" ROOT("data") "], cloudInit: {sshKeys: [ops]}"));
    world_called(w, "SSHKey", "ops", "gone");
    world_declare(
        w, BASE VOL("data") SSH_KEY(
               "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC")
               INSTANCE("a", ONE "disks: [" ROOT("data") "], cloudInit: {sshKeys: [ops]}"));
    world_apply(w);
    assert_null(world_step(w, "SSHKey", "ops"));
}

/* Both references of one record. */
static void all_names_of_a_record_are_renewed(void **state)
{
    struct world *w = *state;
    const char *yaml = PROJECT DOC("Pool", "name: fast", "{}")
        DOC("Image", "name: base", "{url: \"https://example.org/a\", digest: \"sha256:" ZEROS "\"}")
            VOLUME("data", "size: 1GiB, pool: fast, image: base");

    begins(w, yaml);
    world_called(w, "Pool", "fast", "quick");
    world_called(w, "Image", "base", "first");
    world_declare(w, yaml);
    world_plan(w);
    assert_field(w, "Volume", "data", "spec.pool", CHANGE_METADATA, RUN);
    assert_field(w, "Volume", "data", "spec.image", CHANGE_METADATA, RUN);
    assert_string_equal(value_get_text(world_step(w, "Volume", "data")->spec, "image", ""),
                        "first");
}

/* What was seen is of no type that a name has, or a name of nobody's. */
static void garbage_names_nobody(void **state)
{
    struct world *w = *state;
    const char *yaml =
        BASE VOL("data") VOL("more") INSTANCE("a", ONE "disks: [" ROOT("data") "], " NIC)
            M("b", "{name: x, volume: more}") FORWARD_TO("a");
    struct value *ghost;

    begins(w, yaml);
    world_called(w, "Volume", "data", "moved");
    ghost = value_copy(w->arena, world_row(w, "Instance", "b")->applied);
    ghost = spec_put(w->arena, kind_find("Instance"), ghost, "spec.disks[x].volume",
                     value_text(w->arena, "ghost"));
    world_row(w, "Instance", "b")->applied = ghost;
    world_tamper(w, "Instance", "b", "spec.disks[x].volume", "7");
    world_tamper(w, "PortForward", "ssh", "spec.instance", "7");
    world_declare(w, yaml);
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_UPDATE, RUN);
    assert_step(w, "Volume", "data", ACTION_CREATE, DEFERRED);
    assert_int_equal(world_field(w, "PortForward", "ssh", "spec.instance")->disposition, RUN);
}

static void a_nics_owner_is_told_as_garbage(void **state)
{
    struct world *w = *state;
    const struct step *step;
    struct known *nic;

    begins(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    nic = world_row(w, "NIC", "web-1.eth0");
    world_tamper(w, "NIC", "web-1.eth0", "spec.instance", "7");
    nic->observed.damage =
        json(w, "[{\"path\":\"spec.instance\",\"observed\":\"web-1\",\"desired\":\"nobody\"},"
                "{\"path\":\"spec.instance\",\"observed\":\"web-1\"}]");
    world_plan(w);
    assert_step(w, "NIC", "web-1.eth0", ACTION_UPDATE, RUN);
    step = world_step(w, "NIC", "web-1.eth0");
    assert_int_equal(step->field_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(step->fields[i].path, "spec.instance");
        assert_string_equal(step->fields[i].from->text, "web-1");
        assert_string_equal(change_text(step->fields[i].change), change_text(CHANGE_LIVE));
        assert_int_equal(step->fields[i].cause, CAUSE_DRIFT);
        assert_int_equal(step->fields[i].disposition, RUN);
    }
    assert_string_equal(step->fields[0].to->text, "nobody");
    assert_null(step->fields[1].to);
}

/* It is seen with the former name once more, while another record has that, too. */
static void a_record_is_not_given_a_name_that_passes_on(void **state)
{
    const char *yaml = PROJECT DOC("Pool", "name: fast", "{}") VOLUME("a", "size: 1GiB, pool: fast")
        VOLUME("b", "size: 1GiB, pool: fast");
    struct world *w = *state;

    begins(w, yaml);
    world_called(w, "Pool", "fast", "quick");
    world_row(w, "Volume", "a")->observed = (struct observation){0};
    world_declare(w, yaml);
    world_apply(w);
    world_tamper(w, "Volume", "b", "spec.pool", "\"fast\"");
    world_plan(w);
    assert_null(world_step(w, "Volume", "b"));
    assert_int_equal(w->plan->unrecorded_count, 0);
}

/* The new subnet has one address, which another NIC has by its manifest. */
static void a_nic_is_renewed_although_it_lacks_an_address(void **state)
{
    struct world *w = *state;

    begins(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_called(w, "Subnet", "front", "moved");
    world_declare(w, PROJECT VOLUME("data", "size: 4GiB")
                         DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")
                             DOC("Subnet", "project: shop, name: front",
                                 "{vpc: net, cidr: 10.0.2.0/30}") WEB("cpus: 1, memory: 256MiB")
                                 INSTANCE("b", "cpus: 1, memory: 256MiB, nics: [{name: eth0, "
                                               "subnet: front, address: 10.0.2.2}]"));
    world_plan(w);
    assert_field(w, "NIC", "web-1.eth0", "spec.subnet", CHANGE_METADATA, RUN);
    world_apply(w);
    assert_int_equal(world_step(w, "NIC", "web-1.eth0")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "NIC", "web-1.eth0")->reason,
                        "Subnet front has no free address left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_gets_the_new_name_of_what_it_means_before_another_has_the_former),
        TEST(a_name_that_only_the_record_uses_is_free_once_it_is_put_right),
        TEST(a_subnet_gets_the_name_of_one_that_left_and_has_guests),
        TEST(a_machine_gets_the_name_of_one_that_left),
        TEST(a_record_that_was_put_right_stays_so_while_another_is_not),
        TEST(no_machine_gets_a_volume_twice),
        TEST(of_a_gone_machine),
        TEST(of_a_stopped_machine),
        TEST(what_is_not_made_is_not_attached),
        TEST(two_that_exchange_what_was_renamed),
        TEST(a_forward_and_a_former_name),
        TEST(a_former_name_in_a_set_of_maps),
        TEST(a_former_name_in_a_set_of_texts),
        TEST(all_names_of_a_record_are_renewed),
        TEST(garbage_names_nobody),
        TEST(a_nics_owner_is_told_as_garbage),
        TEST(a_record_is_not_given_a_name_that_passes_on),
        TEST(a_nic_is_renewed_although_it_lacks_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
