/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Racks drawn from seeds: volumes that are renamed before their machines' records know it, machines
 * that stop or are gone, and forwards and outside addresses that follow. Whatever is declared next,
 * no plan gives one volume to two, or twice, or before it is made; and in the end nothing is left.
 */
#include "reconciler/plan/match.h"
#include "tests/plan/expect.h"

enum { SEEDS = 600, VOLUMES = 3, MACHINES = 4, KEPT_MAX = 2 * VOLUMES, PASSES = 10 };

struct draw {
    uint64_t state;
    const char *kept[KEPT_MAX]; /* volumes of this rack, renamed or not */
    int kept_count;
};

static unsigned below(struct draw *draw, unsigned limit)
{
    draw->state ^= draw->state << 13;
    draw->state ^= draw->state >> 7;
    draw->state ^= draw->state << 17;
    return (unsigned)(draw->state >> 20) % limit;
}

static void draw_machine(struct draw *draw, struct text *yaml, int machine, const int *holders)
{
    const char *comma = "";

    text_printf(yaml,
                "---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: m%d}\n"
                "spec: {cpus: 1, memory: 256MiB, updatePolicy: {restart: immediate}, "
                "nics: [{name: eth0, subnet: front}], disks: [",
                machine);
    for (int v = 0; v < draw->kept_count; v++)
        if (holders[v] == machine) {
            text_printf(yaml, "%s{name: k%u, volume: %s}", comma, (unsigned)v % VOLUMES,
                        draw->kept[v]);
            comma = ", ";
        }
    text_add(yaml, "]}\n");
}

/* To `machine`, under one of a few names, or not at all. */
static void draw_outside(struct draw *draw, struct text *yaml, int machine)
{
    if (below(draw, 4))
        text_printf(yaml,
                    "---\napiVersion: spinel/v1\nkind: PortForward\n"
                    "metadata: {project: shop, name: f%u}\n"
                    "spec: {vpc: net, port: 2222, instance: m%d, targetPort: 22}\n",
                    below(draw, 3), machine);
    if (below(draw, 4))
        text_printf(yaml,
                    "---\napiVersion: spinel/v1\nkind: FloatingIP\n"
                    "metadata: {project: shop, name: p%u}\n"
                    "spec: {vpc: net, address: 192.0.2.5, instance: m%d}\n",
                    below(draw, 2), machine);
}

/* The subnet has room for three machines at a time. */
static const char *draw_rack(struct world *w, struct draw *draw)
{
    struct text yaml = TEXT_INIT;
    const char *text;
    int holders[KEPT_MAX], last = -1;

    text_add(&yaml, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}") DOC(
                        "Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/29}"));
    for (int v = 0; v < draw->kept_count; v++) {
        text_printf(&yaml, VOLUME("%s", "size: 1GiB"), draw->kept[v]);
        holders[v] = (int)below(draw, MACHINES + 1);
    }
    for (int m = 0; m < MACHINES; m++)
        if (below(draw, 3)) {
            draw_machine(draw, &yaml, m, holders);
            last = m;
        }
    if (last >= 0)
        draw_outside(draw, &yaml, last);
    text = arena_text(w->arena, yaml.data);
    text_free(&yaml);
    return text;
}

/* Some have another name, that their machines' records do not know; some are declared by it. */
static void rename_some(struct world *w, struct draw *draw)
{
    for (int v = 0; v < VOLUMES; v++) {
        struct known *row = world_row(w, "Volume", draw->kept[v]);
        struct value *chosen = value_copy(w->arena, row->chosen);

        if (below(draw, 2))
            continue;
        value_append(w->arena, value_set(w->arena, chosen, "formerly", value_list(w->arena)),
                     value_text(w->arena, row->name));
        row->chosen = chosen;
        row->name = arena_printf(w->arena, "r%d", v);
        if (below(draw, 2))
            draw->kept[draw->kept_count++] = row->name;
    }
}

static void stop_some(struct world *w, struct draw *draw)
{
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->rows[i].kind, "Instance") != 0 || below(draw, 6))
            continue;
        if (below(draw, 2))
            world_gone(w, "Instance", w->rows[i].name);
        else
            world_stop(w, w->rows[i].name, "guest-crash");
    }
}

static const struct value *disks_of(const struct step *step)
{
    bool has = step->disposition == RUN && strcmp(step->kind->name, "Instance") == 0 &&
               step->action != ACTION_DELETE;

    return has ? value_get(step->spec, "disks") : NULL;
}

static const struct subject *volume_at(struct world *w, const struct value *disks, size_t i)
{
    return match_resolve(w->plan->match, "Volume", "shop",
                         value_get_text(disks->items[i], "volume", NULL));
}

static bool has_volume(struct world *w, const struct value *disks, const struct subject *volume)
{
    for (size_t i = 0; disks && i < disks->count; i++)
        if (volume_at(w, disks, i) == volume)
            return true;
    return false;
}

static void disk_check(struct world *w, unsigned seed, size_t at, const struct value *disks,
                       size_t disk)
{
    const struct step *step = &w->plan->steps[at];
    const char *name = value_get_text(disks->items[disk], "volume", "");
    const struct subject *volume = volume_at(w, disks, disk);

    for (size_t i = 0; i < disk; i++)
        if (volume_at(w, disks, i) == volume)
            fail_msg("seed %u: %s gets %s twice", seed, step->name, name);
    for (size_t i = 0; i < w->plan->step_count; i++) {
        const struct step *other = &w->plan->steps[i];

        if (i > at && has_volume(w, disks_of(other), volume))
            fail_msg("seed %u: %s and %s get %s", seed, step->name, other->name, name);
        if (other->action == ACTION_CREATE && other->subject == volume &&
            (other->disposition != RUN || !waits_for(step, other)))
            fail_msg("seed %u: %s gets %s before it is made", seed, step->name, name);
    }
}

static void plan_check_disks(struct world *w, unsigned seed)
{
    for (size_t at = 0; at < w->plan->step_count; at++) {
        const struct value *disks = disks_of(&w->plan->steps[at]);

        for (size_t d = 0; disks && d < disks->count; d++)
            disk_check(w, seed, at, disks, d);
    }
}

static void rack_converges(struct world *w, unsigned seed)
{
    int pass = 0;

    do {
        world_plan(w);
        plan_check_disks(w, seed);
        for (size_t i = 0; i < w->plan->step_count; i++)
            if (w->plan->steps[i].disposition == RUN)
                carry_out(w, &w->plan->steps[i]);
        drop_gone(w);
    } while (w->plan->run && ++pass < PASSES);
    if (w->plan->step_count)
        fail_msg("seed %u: %s %s is left: %s", seed, w->plan->steps[0].kind->name,
                 w->plan->steps[0].name, w->plan->steps[0].reason);
}

static bool seed_try(struct world *w, unsigned seed)
{
    struct draw draw = {
        .state = seed * 0x9E3779B97F4A7C15u, .kept = {"v0", "v1", "v2"}, .kept_count = VOLUMES};
    struct report report;

    w->input.policy = (struct plan_policy){1000, 100, 100};
    world_try_declare(w, draw_rack(w, &draw), &report);
    if (report.count)
        return false;
    world_apply(w);
    rename_some(w, &draw);
    stop_some(w, &draw);
    world_try_declare(w, draw_rack(w, &draw), &report);
    if (report.count)
        return false;
    rack_converges(w, seed);
    return true;
}

static void racks_with_names_that_pass_on(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        void *world;

        world_setup(&world);
        tried += seed_try(world, seed);
        world_teardown(&world);
    }
    print_message("# %u racks\n", tried);
    assert_true(tried > SEEDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(racks_with_names_that_pass_on)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
