/* SPDX-License-Identifier: MPL-2.0 */
/* What comes before what, in the cases that are rare: many, twice, in a circle, seen by nobody. */
#include "tests/plan/expect.h"

#define NOW \
    "cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, disks: [{name: root, volume: "

static void machines_that_swap_do_not_hold_up_the_order_of_others(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("a", NOW "data}]")
                          INSTANCE("b", NOW "more}]"));
    world_declare(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("a", NOW "more}]") INSTANCE(
                         "b", NOW "data}]") VOLUME("new", "size: 1GiB") INSTANCE("c", NOW "new}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "a")->action, ACTION_RESTART);
    assert_true(waits_for(world_step(w, "Instance", "c"), world_step(w, "Volume", "new")));
}

static void two_volumes_that_change_hands_are_one_wait(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP VOLUME("more", "size: 1GiB")
                          INSTANCE("a", NOW "data}, {name: more, volume: more}]"));
    world_declare(w, SHOP VOLUME("more", "size: 1GiB")
                         INSTANCE("b", NOW "data}, {name: more, volume: more}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "a")->action, ACTION_DELETE);
    assert_true(waits_for(world_step(w, "Instance", "b"), world_step(w, "Instance", "a")));
    assert_int_equal(world_step(w, "Instance", "b")->after_count, 1);
}

/* A machine gives its volume up only at its next stop: until then nobody else may have it. */
static void a_volume_that_is_given_up_at_the_next_stop_is_not_taken_before(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE(
                          "a", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}]"));
    world_declare(
        w, SHOP VOLUME("more", "size: 1GiB")
               INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: more}]")
                   INSTANCE("b", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "a")->disposition, DEFERRED);
    assert_int_equal(world_step(w, "Instance", "b")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "b")->reason, "still in use by Instance shop/a");
    world_stop(w, "a", "guest-shutdown");
    assert_int_equal(world_apply(w), 0);
    assert_string_equal(
        value_at_text(world_row(w, "Instance", "b")->applied, "disks[root].volume", ""), "data");
}

/* An update may have had its effect although it was reported as failed; until somebody can look at
 * the machine it has what it was told to have. */
static void what_a_machine_may_have_taken_is_left_to_it(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB"));
    row = world_row(w, "Instance", "a");
    row->tried = json(w, "{\"disks\":[{\"name\":\"root\",\"volume\":\"data\"}]}");
    row->observed = (struct observation){0};
    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB") INSTANCE("b", NOW "data}]"));
    world_plan(w);
    assert_null(world_step(w, "Instance", "a"));
    assert_int_equal(world_step(w, "Instance", "b")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "b")->reason, "still in use by Instance shop/a");

    row = world_row(w, "Volume", "data");
    row->protect = false;
    row->remove_deletes = true;
    world_declare(w, PROJECT NETWORK INSTANCE("a", "cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_DELETE);
    assert_int_equal(world_step(w, "Volume", "data")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Volume", "data")->reason, "still in use by Instance shop/a");

    world_row(w, "Instance", "a")->observed.known = true;
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->disposition, RUN);
}

/* What was seen is as good as what was applied: it goes off the machine first. */
static void a_volume_goes_after_it_was_taken_off_whoever_put_it_there(void **state)
{
    struct world *w = *state;

    world_converge(w,
                   SHOP VOLUME("more", "size: 1GiB, onRemove: delete") INSTANCE("a", NOW "data}]"));
    world_tamper(w, "Instance", "a", "spec.disks",
                 "[{\"name\":\"root\",\"volume\":\"data\"},{\"name\":\"x\",\"volume\":\"more\"}]");
    world_declare(w, SHOP INSTANCE("a", NOW "data}]"));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Volume", "more"), world_step(w, "Instance", "a")));
}

/* Its memory changes, and the disk that somebody put into it stays for now. */
static void a_disk_that_is_frozen_where_it_is_goes_to_nobody(void **state)
{
    static const struct freeze freeze = {"healing", "ann", "why", 0};
    struct world *w = *state;

    world_converge(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, maxMemory: 1GiB"));
    world_tamper(w, "Instance", "a", "spec.disks",
                 "[{\"name\":\"x\",\"volume\":\"data\",\"bus\":\"virtio\"}]");
    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 512MiB, maxMemory: 1GiB")
                         INSTANCE("b", NOW "data}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "b")->disposition, RUN);
    assert_true(waits_for(world_step(w, "Instance", "b"), world_step(w, "Instance", "a")));
    w->input.freezes = &freeze;
    w->input.freeze_count = 1;
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "a")->disposition, RUN);
    assert_int_equal(world_step(w, "Instance", "b")->disposition, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "b")->reason, "waits for Instance shop/a");
}

static void a_disk_that_was_detached_by_hand_lets_its_volume_go(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB, onRemove: delete")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [{name: more, volume: "
                                        "more}, {name: root, volume: data}]"));
    world_row(w, "Instance", "a")->observed.spec =
        json(w, "{\"power\":\"on\",\"disks\":[{\"name\":\"root\",\"volume\":\"data\"}]}");
    world_declare(
        w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: data}]"));
    world_plan(w);
    assert_null(world_step(w, "Instance", "a"));
    assert_int_equal(world_step(w, "Volume", "more")->disposition, RUN);
}

static void a_rack_of_hundreds_has_an_order(void **state)
{
    struct world *w = *state;
    struct text yaml = TEXT_INIT;

    text_add(&yaml, SHOP);
    for (int i = 0; i < 60; i++)
        text_printf(&yaml, INSTANCE("m%02d", "cpus: 1, memory: 256MiB, " NIC), i);
    world_declare(w, arena_text(w->arena, yaml.data));
    text_free(&yaml);
    world_plan(w);
    for (size_t i = 0; i < w->plan->step_count; i++)
        for (size_t a = 0; a < w->plan->steps[i].after_count; a++)
            assert_true(w->plan->steps[i].after[a] < w->plan->steps[i].id);
    assert_true(waits_for(world_step(w, "Instance", "m59"), world_step(w, "NIC", "m59.eth0")));
}

static void projects_come_one_after_the_other(void **state)
{
    struct world *w = *state;

    world_declare(w, PROJECT DOC("Project", "name: art", "{}") VOLUME("a", "size: 1GiB")
                         DOC("Volume", "project: art, name: z", "{size: 1GiB}"));
    world_plan(w);
    assert_true(world_step(w, "Volume", "z")->id < world_step(w, "Volume", "a")->id);
}

#define RULE(target)                                      \
    DOC("Firewall", "project: shop, name: f",             \
        "{vpc: net, rules: [{name: a, targets: [{" target \
        "}], protocols: [{protocol: tcp, ports: [80]}]}]}")

/* A firewall refers to machines weakly: it outlives them, and waits for none. */
static void a_machine_goes_before_the_rule_that_names_it_changes(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB") RULE("instance: web-1"));
    world_declare(w, SHOP RULE("label: a=b"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, RUN);
    assert_false(waits_for(world_step(w, "Instance", "web-1"), world_step(w, "Firewall", "f")));
}

/* Two records that claim one thing, as a restored store may have: each goes. */
static void records_that_claim_the_same_do_not_wait_for_each_other(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("a", NOW "data}]")
                          INSTANCE("b", NOW "more}]"));
    world_row(w, "Instance", "b")->applied = world_row(w, "Instance", "a")->applied;
    world_row(w, "Instance", "b")->observed.spec = world_row(w, "Instance", "a")->observed.spec;
    world_declare(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("c", NOW "data}]"));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "c"), world_step(w, "Instance", "a")));
    assert_true(waits_for(world_step(w, "Instance", "c"), world_step(w, "Instance", "b")));
}

static void what_is_adopted_comes_before_what_needs_it(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->life = LIFE_RELEASED;
    world_row(w, "Volume", "data")->observed.released = true;
    world_declare(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_ADOPT);
    assert_true(waits_for(world_step(w, "Instance", "web-1"), world_step(w, "Volume", "data")));
}

static void hand_overs_beside_a_circle_still_count(void **state)
{
    struct world *w = *state;
    const char *volumes =
        VOLUME("b", "size: 1GiB") VOLUME("x", "size: 1GiB") VOLUME("y", "size: 1GiB");
    struct text before = TEXT_INIT, after = TEXT_INIT;

    w->input.policy.collapse_percent = 100;
    text_printf(&before, "%s%s%s", SHOP, volumes,
                INSTANCE("m", NOW "data}]") INSTANCE("n", NOW "b}]") INSTANCE("o", NOW "x}]")
                    INSTANCE("p", NOW "y}]"));
    text_printf(&after, "%s%s%s", SHOP, volumes,
                INSTANCE("m", NOW "b}, {name: more, volume: y}]") INSTANCE("n", NOW "data}]")
                    INSTANCE("q", NOW "x}]"));
    world_converge(w, before.data);
    world_declare(w, after.data);
    text_free(&before);
    text_free(&after);
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "q"), world_step(w, "Instance", "o")));
    assert_true(waits_for(world_step(w, "Instance", "m"), world_step(w, "Instance", "p")));
}

/* They get it from one that swaps: it has to give it up first. */
static void who_takes_from_a_circle_waits_for_it(void **state)
{
    struct world *w = *state;
    const char *volumes = SHOP VOLUME("b", "size: 1GiB") VOLUME("x", "size: 1GiB");

    world_converge(w, arena_printf(w->arena, "%s%s", volumes,
                                   INSTANCE("m", NOW "data}, {name: more, volume: x}]")
                                       INSTANCE("n", NOW "b}]")));
    world_declare(w, arena_printf(w->arena, "%s%s", volumes,
                                  INSTANCE("m", NOW "b}]") INSTANCE("n", NOW "data}]")
                                      INSTANCE("a", NOW "x}]")));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "a"), world_step(w, "Instance", "m")));
}

#define SMALL                                                               \
    PROJECT VOLUME("data", "size: 4GiB")                                    \
        DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}") \
            DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/30}")
#define FORWARD(instance)                          \
    DOC("PortForward", "project: shop, name: ssh", \
        "{vpc: net, port: 2222, instance: " instance ", targetPort: 22}")

/* Found by the simulator: the new machine was made while the old one had the volume, for the sake
 * of a forward that is to lead to the new one before the old one goes. */
static void a_forward_follows_a_volume_to_another_machine(void **state)
{
    struct world *w = *state;
    const struct step *old, *new, *forward;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP INSTANCE("old", NOW "data}], " NIC) FORWARD("old"));
    world_declare(w, SHOP INSTANCE("new", NOW "data}], " NIC) FORWARD("new"));
    world_plan(w);
    old = world_step(w, "Instance", "old");
    new = world_step(w, "Instance", "new");
    forward = world_step(w, "PortForward", "ssh");
    assert_true(waits_for(new, old));
    assert_true(waits_for(forward, new));
    assert_int_equal(forward->action, ACTION_UPDATE);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
}

/* Nothing else moves with it: the old machine goes when nothing leads there any more. */
static void a_forward_leads_elsewhere_before_its_machine_goes(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP INSTANCE("old", NOW "data}], " NIC) FORWARD("old"));
    world_declare(w, SHOP INSTANCE("new", "cpus: 1, memory: 256MiB, " NIC) FORWARD("new"));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "old"), world_step(w, "PortForward", "ssh")));
    assert_true(waits_for(world_step(w, "PortForward", "ssh"), world_step(w, "Instance", "new")));
}

/* The old machine stays as long as the forward cannot follow: its tag is gone. */
static void a_machine_stays_with_a_forward_that_is_held(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP INSTANCE("old", NOW "data}], " NIC) FORWARD("old"));
    world_declare(w, SHOP INSTANCE("new", "cpus: 1, memory: 256MiB, " NIC) FORWARD("new"));
    world_row(w, "PortForward", "ssh")->observed.status = json(w, "{\"foreign\":true}");
    world_plan(w);
    assert_int_equal(world_step(w, "PortForward", "ssh")->disposition, HELD);
    assert_int_equal(world_step(w, "Instance", "old")->disposition, HELD);
    assert_int_equal(world_step(w, "Instance", "new")->disposition, RUN);
}

/* What the new machine lacks the old one has, and gives only when it goes. */
static void a_forward_follows_an_address_to_another_machine(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SMALL INSTANCE("old", NOW "data}], " NIC) FORWARD("old"));
    world_declare(w, SMALL INSTANCE("new", "cpus: 1, memory: 256MiB, " NIC) FORWARD("new"));
    world_plan(w);
    assert_int_equal(world_step(w, "NIC", "new.eth0")->disposition, DEFERRED);
    assert_int_equal(world_step(w, "Instance", "old")->disposition, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(w->plan->step_count, 0);
}

/* Beside a circle that the forward opens there is one that is left: two machines swap. */
static void a_forward_gives_way_and_then_a_swap(void **state)
{
    struct world *w = *state;
    const char *volumes = VOLUME("b", "size: 1GiB") VOLUME("c", "size: 1GiB");

    w->input.policy.collapse_percent = 100;
    world_converge(w, arena_printf(w->arena, "%s%s%s", SHOP, volumes,
                                   INSTANCE("old", NOW "data}], " NIC) FORWARD("old")
                                       INSTANCE("m", NOW "b}]") INSTANCE("n", NOW "c}]")));
    world_declare(w, arena_printf(w->arena, "%s%s%s", SHOP, volumes,
                                  INSTANCE("new", NOW "data}], " NIC) FORWARD("new")
                                      INSTANCE("m", NOW "c}]") INSTANCE("n", NOW "b}]")));
    world_plan(w);
    assert_true(waits_for(world_step(w, "Instance", "new"), world_step(w, "Instance", "old")));
    assert_int_equal(world_step(w, "Instance", "m")->action, ACTION_RESTART);
    assert_int_equal(world_apply(w), 0);
}

/* One that goes from another subnet frees nothing there, and one that stays frees nothing. */
static void an_address_is_freed_in_its_subnet_only(void **state)
{
    struct world *w = *state;
    const char *other = DOC("Subnet", "project: shop, name: back", "{vpc: net, cidr: 10.0.7.0/29}");
    const char *there =
        INSTANCE("stays", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: back}]");

    w->input.policy.collapse_percent = 100;
    world_converge(
        w,
        arena_printf(w->arena, "%s%s%s%s", SMALL, other, there,
                     INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC) INSTANCE(
                         "goes", "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: back}]")));
    world_declare(w, arena_printf(w->arena, "%s%s%s%s", SMALL, other, there,
                                  INSTANCE("a", "cpus: 1, memory: 256MiB, " NIC)
                                      INSTANCE("b", "cpus: 1, memory: 256MiB, " NIC)));
    world_plan(w);
    assert_int_equal(world_step(w, "NIC", "b.eth0")->disposition, DEFERRED);
    assert_int_equal(world_step(w, "NIC", "goes.eth0")->disposition, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(world_step(w, "NIC", "b.eth0")->disposition, DEFERRED);
}

/* It runs, and would be another machine with the volume that somebody keeps: it waits as a whole.
 */
static void a_machine_is_not_replaced_without_its_volume(void **state)
{
    struct world *w = *state;

    world_converge(
        w,
        SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, disks: [{name: root, volume: "
                           "data}]")
            INSTANCE(
                "b",
                "cpus: 1, memory: 256MiB, updatePolicy: {replace: allowed, restart: immediate}"));
    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB") INSTANCE(
                         "b", "cpus: 1, memory: 256MiB, firmware: uefi, updatePolicy: {replace: "
                              "allowed, restart: immediate}, disks: [{name: root, volume: data}]"));
    world_row(w, "Instance", "a")->observed = (struct observation){0};
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "b")->disposition, DEFERRED);
}

static void an_update_waits_with_the_volume_that_is_held(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("v", "size: 1GiB") WEB("cpus: 1, memory: 256MiB"));
    world_gone(w, "Volume", "v");
    world_declare(w, SHOP VOLUME("v", "size: 1GiB") INSTANCE(
                         "web-1", "cpus: 1, memory: 256MiB, " NIC
                                  ", disks: [{name: root, volume: data}, {name: v, volume: v}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "web-1")->disposition, HELD);
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_UPDATE);
    assert_string_equal(world_step(w, "Instance", "web-1")->reason,
                        "waits for Volume shop/v, which is held");
}

/* What lost its tag is never touched: its step is held, after the order was made. */
static void strip_tag(struct world *w, const char *instance)
{
    world_row(w, "Instance", instance)->observed.status = json(w, "{\"foreign\":true}");
}

static void assert_waits_for_held(struct world *w, const char *instance, const char *before)
{
    const struct step *step = world_step(w, "Instance", instance);
    const char *why = arena_printf(w->arena, "waits for Instance shop/%s, which is held", before);

    assert_int_equal(step->disposition, HELD);
    assert_string_equal(step->reason, why);
    assert_string_equal(step->hold, world_step(w, "Instance", before)->hold);
}

/* The order between two that swap was let go: what one of them keeps the other cannot take. */
static void who_swaps_with_a_machine_that_is_held_waits(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("a", NOW "data}]")
                          INSTANCE("b", NOW "more}]"));
    world_declare(w, SHOP VOLUME("more", "size: 1GiB") INSTANCE("a", NOW "more}]")
                         INSTANCE("b", NOW "data}]"));
    world_plan(w);
    assert_int_equal(world_step(w, "Instance", "a")->disposition, RUN);
    assert_int_equal(world_step(w, "Instance", "b")->disposition, RUN);
    strip_tag(w, "a");
    world_plan(w);
    assert_waits_for_held(w, "b", "a");
    world_row(w, "Instance", "a")->observed.status = NULL;
    strip_tag(w, "b");
    world_plan(w);
    assert_waits_for_held(w, "a", "b");
}

/* One machine swaps with two others, of which either is held. */
static void who_swaps_with_two_waits_for_each(void **state)
{
    struct world *w = *state;
    const char *const others[] = {"n", "o"};

    for (size_t i = 0; i < 2; i++) {
        world_converge(w, SHOP VOLUME("b", "size: 1GiB") VOLUME("c", "size: 1GiB")
                              VOLUME("d", "size: 1GiB")
                                  INSTANCE("m", NOW "data}, {name: more, volume: b}]")
                                      INSTANCE("n", NOW "c}]") INSTANCE("o", NOW "d}]"));
        world_declare(w, SHOP VOLUME("b", "size: 1GiB") VOLUME("c", "size: 1GiB")
                             VOLUME("d", "size: 1GiB")
                                 INSTANCE("m", NOW "c}, {name: more, volume: d}]")
                                     INSTANCE("n", NOW "data}]") INSTANCE("o", NOW "b}]"));
        strip_tag(w, others[i]);
        world_plan(w);
        assert_waits_for_held(w, "m", others[i]);
        world_row(w, "Instance", others[i])->observed.status = NULL;
    }
}

#define THREE VOLUME("b", "size: 1GiB") VOLUME("c", "size: 1GiB")

/* In a circle of three it does not matter which is held, nor how they are numbered. */
static void all_of_a_circle_wait_for_the_one_that_is_held(void **state)
{
    struct world *w = *state;
    const char *const names[] = {"m", "n", "o"};

    world_converge(w, SHOP THREE INSTANCE("m", NOW "data}]") INSTANCE("n", NOW "b}]")
                          INSTANCE("o", NOW "c}]"));
    for (size_t way = 0; way < 2; way++) {
        world_declare(w, way ? SHOP THREE INSTANCE("m", NOW "b}]") INSTANCE("n", NOW "c}]")
                                   INSTANCE("o", NOW "data}]")
                             : SHOP THREE INSTANCE("m", NOW "c}]") INSTANCE("n", NOW "data}]")
                                   INSTANCE("o", NOW "b}]"));
        for (size_t held = 0; held < 3; held++) {
            strip_tag(w, names[held]);
            world_plan(w);
            for (size_t i = 0; i < 3; i++)
                assert_int_equal(world_step(w, "Instance", names[i])->disposition, HELD);
            world_row(w, "Instance", names[held])->observed.status = NULL;
        }
    }
}

/* It is not held itself: it waits for a volume whose data are lost. */
static void who_swaps_with_a_machine_that_waits_waits_too(void **state)
{
    struct world *w = *state;

    for (size_t way = 0; way < 2; way++) {
        const char *waits = way ? "b" : "a", *other = way ? "a" : "b";

        world_converge(w, SHOP THREE INSTANCE("a", NOW "data}]") INSTANCE("b", NOW "b}]"));
        world_gone(w, "Volume", "c");
        world_declare(w, way ? SHOP THREE INSTANCE("a", NOW "b}]")
                                   INSTANCE("b", NOW "data}, {name: more, volume: c}]")
                             : SHOP THREE INSTANCE("a", NOW "b}, {name: more, volume: c}]")
                                   INSTANCE("b", NOW "data}]"));
        world_plan(w);
        assert_string_equal(world_step(w, "Instance", waits)->reason,
                            "waits for Volume shop/c, which is held");
        assert_int_equal(world_step(w, "Instance", other)->disposition, HELD);
        w->count = 0;
    }
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_forward_gives_way_and_then_a_swap),
        WORLD_TEST(an_address_is_freed_in_its_subnet_only),
        WORLD_TEST(a_machine_is_not_replaced_without_its_volume),
        WORLD_TEST(hand_overs_beside_a_circle_still_count),
        WORLD_TEST(who_takes_from_a_circle_waits_for_it),
        WORLD_TEST(a_forward_follows_a_volume_to_another_machine),
        WORLD_TEST(a_forward_leads_elsewhere_before_its_machine_goes),
        WORLD_TEST(a_machine_stays_with_a_forward_that_is_held),
        WORLD_TEST(a_forward_follows_an_address_to_another_machine),
        WORLD_TEST(an_update_waits_with_the_volume_that_is_held),
        WORLD_TEST(who_swaps_with_a_machine_that_is_held_waits),
        WORLD_TEST(who_swaps_with_two_waits_for_each),
        WORLD_TEST(all_of_a_circle_wait_for_the_one_that_is_held),
        WORLD_TEST(who_swaps_with_a_machine_that_waits_waits_too),
        WORLD_TEST(machines_that_swap_do_not_hold_up_the_order_of_others),
        WORLD_TEST(two_volumes_that_change_hands_are_one_wait),
        WORLD_TEST(a_volume_that_is_given_up_at_the_next_stop_is_not_taken_before),
        WORLD_TEST(what_a_machine_may_have_taken_is_left_to_it),
        WORLD_TEST(a_disk_that_is_frozen_where_it_is_goes_to_nobody),
        WORLD_TEST(a_volume_goes_after_it_was_taken_off_whoever_put_it_there),
        WORLD_TEST(a_disk_that_was_detached_by_hand_lets_its_volume_go),
        WORLD_TEST(a_rack_of_hundreds_has_an_order),
        WORLD_TEST(projects_come_one_after_the_other),
        WORLD_TEST(a_machine_goes_before_the_rule_that_names_it_changes),
        WORLD_TEST(records_that_claim_the_same_do_not_wait_for_each_other),
        WORLD_TEST(what_is_adopted_comes_before_what_needs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
