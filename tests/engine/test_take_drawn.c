/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A target that is taken by its part (reconciler/engine/core_take.c), beside the same one that is
 * taken as a whole: two racks go through one drawn history, and what the stores and the drivers
 * have come to is the same. TAKE_TURNS and TAKE_SEED draw more and others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/json.h"
#include "model/text.h"
#include "reconciler/engine/core_state.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"
#include "tests/engine/rack_rows.h"

enum { MINUTE_MS = 60000, VOLUMES = 6, MACHINES = 3, SUBNETS = 3 };

/* ---- what a store has come to ------------------------------------------------------- */

/* All but when it was and how long it took. */
static const char *const ledgers[] = {
    "SELECT commit_id, parent, author, subject, pushed_by, state, message, resources FROM revision",
    "SELECT uid, kind, project, name, life, generation, epoch, protect, remove_deletes, chosen,"
    " applied, tried, labels, start_failures, seen, seen_absent, seen_released, seen_epoch,"
    " seen_spec, seen_booted, seen_status, seen_damage FROM object ORDER BY uid",
    "SELECT op, uid, epoch, verb, plan, arguments_digest, state, attempts, error, step,"
    " is_destructive, is_approved FROM intent ORDER BY id",
    "SELECT hash, commit_id, json_remove(document, '$.observed') FROM plan ORDER BY id",
    "SELECT id, rule, reason, approved_by FROM hold ORDER BY id",
    "SELECT uid, path, desired, observed, cause, disposition, healed_by FROM drift ORDER BY id",
    "SELECT type, text, uid, json_remove(data, '$.ms', '$.callMs', '$.lookMs', '$.call',"
    " '$.nextTry') FROM event ORDER BY seq",
    "SELECT key, CASE key WHEN 'settled' THEN json_remove(text, '$.observedAt') ELSE text END"
    " FROM fact ORDER BY key",
};
enum { LEDGERS = sizeof(ledgers) / sizeof(*ledgers) };

static void ledgers_compare(struct rack *a, struct rack *b)
{
    for (size_t i = 0; i < LEDGERS; i++)
        assert_string_equal(rack_rows(a, ledgers[i]), rack_rows(b, ledgers[i]));
}

static const char *json_of(struct rack *rack, const struct value *value)
{
    return value ? json_text(rack->arena, value) : "-";
}

/* What exists, as what, and by how many effects. */
static void worlds_compare(struct rack *a, struct rack *b)
{
    for (size_t i = 0; i < a->object_count; i++) {
        const struct rack_object *left = &a->objects[i], *right = NULL;
        for (size_t j = 0; j < b->object_count; j++)
            if (!strcmp(b->objects[j].uid, left->uid))
                right = &b->objects[j];
        if (!left->exists && !right)
            continue;
        assert_non_null(right);
        assert_int_equal(left->exists, right->exists);
        if (!left->exists)
            continue;
        assert_int_equal(left->released, right->released);
        assert_string_equal(left->name, right->name);
        assert_string_equal(json_of(a, left->spec), json_of(b, right->spec));
        assert_string_equal(json_of(a, left->booted), json_of(b, right->booted));
        assert_int_equal(left->made, right->made);
        assert_string_equal(left->op, right->op);
        assert_int_equal(left->applied, right->applied);
    }
}

/* ---- drawn histories ---------------------------------------------------------------- */

static uint64_t drawn = 88172645463325252u;

static unsigned draw(unsigned below)
{
    drawn ^= drawn << 13;
    drawn ^= drawn >> 7;
    drawn ^= drawn << 17;
    return (unsigned)(drawn >> 33) % below;
}

struct volume {
    bool is_there, is_protected, is_given_up, has_label;
    unsigned size;
};
struct machine {
    bool is_there, is_labelled;
    unsigned cpus, disk, subnet, policy;
};
struct wish {
    struct volume volumes[VOLUMES];
    struct machine machines[MACHINES];
    bool subnets[SUBNETS];
};

static void volume_write(struct text *text, unsigned i, const struct volume *volume)
{
    text_printf(text,
                "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%u%s}\n", i,
                volume->has_label ? ", labels: {tier: gold}" : "");
    text_printf(text, "spec: {pool: fast, size: %uGiB, protect: %s, onRemove: %s}\n---\n",
                volume->size, volume->is_protected ? "true" : "false",
                volume->is_given_up ? "delete" : "release");
}

static void machine_write(struct text *text, const struct wish *wish, unsigned i)
{
    static const char *const policies[] = {"immediate", "immediate", "onNextStop"};
    const struct machine *machine = &wish->machines[i];
    text_printf(text,
                "apiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: m%u%s}\n",
                i, machine->is_labelled ? ", labels: {tier: gold}" : "");
    text_printf(text, "spec: {cpus: %u, memory: 256MiB, updatePolicy: {restart: %s}", machine->cpus,
                policies[machine->policy]);
    if (wish->volumes[machine->disk].is_there && machine->disk % MACHINES == i)
        text_printf(text, ", disks: [{name: a, volume: v%u}]", machine->disk);
    if (wish->subnets[machine->subnet])
        text_printf(text, ", nics: [{name: eth0, subnet: s%u}]", machine->subnet);
    text_add(text, "}\n---\n");
}

static const char *wish_text(struct arena *arena, const struct wish *wish)
{
    struct text text = TEXT_INIT;
    text_add(&text, POOL PROJECT VPC("net"));
    for (unsigned i = 0; i < SUBNETS; i++)
        if (wish->subnets[i])
            text_printf(
                &text,
                "apiVersion: spinel/v1\nkind: Subnet\nmetadata: {project: shop, name: s%u}\n"
                "spec: {vpc: net, cidr: 10.0.%u.0/24}\n---\n",
                i, i);
    for (unsigned i = 0; i < VOLUMES; i++)
        if (wish->volumes[i].is_there)
            volume_write(&text, i, &wish->volumes[i]);
    for (unsigned i = 0; i < MACHINES; i++)
        if (wish->machines[i].is_there)
            machine_write(&text, wish, i);
    const char *kept = arena_text(arena, text.data);
    text_free(&text);
    return kept;
}

static void volume_edit(struct volume *volume)
{
    unsigned what = draw(12);
    if (!volume->is_there)
        *volume = (struct volume){.is_there = true, .size = 1, .is_given_up = draw(2)};
    else if (what == 0)
        volume->is_there = false;
    else if (what == 1)
        volume->is_protected = !volume->is_protected;
    else if (what == 2)
        volume->is_given_up = !volume->is_given_up;
    else if (what == 3)
        volume->has_label = !volume->has_label;
    else
        volume->size += volume->size < 60;
}

static void machine_edit(struct machine *machine)
{
    unsigned what = draw(8);
    if (!machine->is_there)
        *machine = (struct machine){.is_there = true, .cpus = 1, .disk = draw(VOLUMES)};
    else if (what == 0)
        machine->is_there = false;
    else if (what == 1)
        machine->is_labelled = !machine->is_labelled;
    else if (what == 2)
        machine->disk = draw(VOLUMES);
    else if (what == 3)
        machine->subnet = draw(SUBNETS);
    else if (what == 4)
        machine->policy = draw(3);
    else
        machine->cpus = 1 + draw(4);
}

static void wish_edit(struct wish *wish)
{
    for (unsigned edits = 1 + draw(2); edits > 0; edits--) {
        unsigned what = draw(12);
        if (what < 7)
            volume_edit(&wish->volumes[draw(VOLUMES)]);
        else if (what < 11)
            machine_edit(&wish->machines[draw(MACHINES)]);
        else
            wish->subnets[draw(SUBNETS)] ^= true;
    }
}

struct racks {
    struct rack *of_part, *of_all;
    struct wish wish;
    unsigned commit; /* that is the target */
};

static void racks_begin(struct racks *racks)
{
    *racks = (struct racks){rack_new(), rack_new(), .commit = 1};
    rack_take_parts(racks->of_part);
    for (unsigned i = 0; i < SUBNETS; i++)
        racks->wish.subnets[i] = true;
    struct rack *const both[] = {racks->of_part, racks->of_all};
    for (unsigned i = 0; i < 2; i++) {
        both[i]->commits[1] = wish_text(both[i]->arena, &racks->wish);
        both[i]->config.made_by = "a test";
        rack_settle(both[i], "1");
    }
}

static void racks_end(struct racks *racks)
{
    rack_free(racks->of_part);
    rack_free(racks->of_all);
}

static void run(struct rack *rack, int64_t ms)
{
    crashing = rack;
    rack_run(rack, ms);
}

static bool pushed(struct rack *rack, const struct wish *wish, unsigned commit)
{
    struct error err = ERROR_INIT;
    char id[2] = {(char)('0' + commit), '\0'};
    crashing = rack;
    rack->commits[commit] = wish_text(rack->arena, wish);
    rack->loads_at_apply = 0;
    rack->loads = 1;
    return core_target(rack->core, id, "ann", NULL, NULL, &err) == 0;
}

/* The same wish to both; false: neither takes it. */
static bool racks_push(struct racks *racks, const struct wish *wish)
{
    unsigned commit = 1 + racks->commit % 7;
    bool is_valid = pushed(racks->of_part, wish, commit);
    assert_int_equal(pushed(racks->of_all, wish, commit), is_valid);
    if (!is_valid)
        return false;
    racks->wish = *wish;
    racks->commit = commit;
    return true;
}

/* Whatever is held is let through, until nothing is. */
static void settle_held(struct rack *rack)
{
    struct error err = ERROR_INIT;
    struct value *holds = NULL;
    run(rack, MINUTE_MS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(store_holds(rack->store, rack->arena, &holds, &err), 0);
        for (size_t h = 0; h < holds->count; h++)
            (void)store_hold_approve(rack->store, value_get_text(holds->items[h], "id", ""), "ann",
                                     1, &err);
        core_policy_changed(rack->core);
        run(rack, MINUTE_MS);
    }
}

static void clocks_set(struct racks *racks)
{
    int64_t now = racks->of_part->now_ms > racks->of_all->now_ms ? racks->of_part->now_ms
                                                                 : racks->of_all->now_ms;
    racks->of_part->now_ms = racks->of_all->now_ms = now + 700000; /* beyond every back-off */
    core_look(racks->of_part->core);
    core_look(racks->of_all->core);
    run(racks->of_part, MINUTE_MS);
    run(racks->of_all, MINUTE_MS);
}

static unsigned setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void both_ways_leave_the_same_behind(void **state)
{
    struct racks racks;
    unsigned taken = 0, whole = 0, refused = 0, turns = setting("TAKE_TURNS", 400);
    (void)state;
    drawn += setting("TAKE_SEED", 1);
    racks_begin(&racks);
    for (unsigned i = 0; i < turns; i++) {
        struct wish wish = racks.wish;
        wish_edit(&wish);
        if (!racks_push(&racks, &wish)) {
            refused++;
            continue;
        }
        settle_held(racks.of_part);
        settle_held(racks.of_all);
        taken += racks.of_part->loads_at_apply == 1;
        whole += racks.of_part->loads_at_apply > 1;
        assert_int_not_equal(racks.of_all->loads_at_apply, 1);
        clocks_set(&racks);
        ledgers_compare(racks.of_part, racks.of_all);
        worlds_compare(racks.of_part, racks.of_all);
        if (i % 20 == 19) { /* a store from the beginning costs more with each turn */
            racks_end(&racks);
            racks_begin(&racks);
        }
    }
    print_message("# %u taken by their part, %u as a whole, %u refused\n", taken, whole, refused);
    assert_true(taken > turns / 8 && whole > turns / 8);
    racks_end(&racks);
}

/* The next comes before the last has ended, and things happen in between: what it comes to in the
 * end is the same. */
static void disturb(struct rack *rack, unsigned what, unsigned which)
{
    struct rack_object *object = &rack->objects[which % rack->object_count];
    const char *driver = holds("disk", object) ? "disk" : "net";
    if (what == 0)
        rack_notice(rack, driver, object->uid, "a test");
    else if (what == 1 && object->exists && !strcmp(object->kind, "Volume"))
        rack_resize(rack, object, 1 << 29);
    else if (what == 2)
        rack_lose_driver(rack, driver);
    else if (what == 3)
        core_policy_changed(rack->core);
    else if (what == 4)
        core_look(rack->core);
    else if (what == 5)
        rack->lose_replies = 1;
    else if (what == 6)
        rack->hide = object->name;
}

/* What is declared under a name, of which there is one. */
static const struct rack_object *the_only(struct rack *rack, const char *kind, char letter,
                                          unsigned number)
{
    const struct rack_object *found = NULL;
    char name[16];
    snprintf(name, sizeof name, "%c%u", letter, number);
    assert_int_equal(rack_count(rack, kind, name), 1);
    for (size_t i = 0; i < rack->object_count; i++)
        if (rack->objects[i].exists && !strcmp(rack->objects[i].kind, kind) &&
            !strcmp(rack->objects[i].name, name))
            found = &rack->objects[i];
    return found;
}

static void is_as_wished(struct rack *rack, const struct wish *wish)
{
    assert_true(core_is_converged(rack->core));
    for (unsigned i = 0; i < VOLUMES; i++)
        if (wish->volumes[i].is_there) /* what was adopted may be larger */
            assert_true(value_get_int(the_only(rack, "Volume", 'v', i)->spec, "size", 0) >=
                        (int64_t)wish->volumes[i].size << 30);
    for (unsigned i = 0; i < MACHINES; i++)
        if (wish->machines[i].is_there && wish->machines[i].policy < 2)
            assert_int_equal(value_get_int(the_only(rack, "Instance", 'm', i)->booted, "cpus", 0),
                             wish->machines[i].cpus);
}

static void run_some(struct rack *rack, unsigned messages)
{
    crashing = rack;
    for (unsigned i = 0; i < messages; i++) {
        core_pump(rack->core);
        if (rack->queue_first < rack->queue_end)
            message_deliver(rack);
    }
}

static void both_ways_end_the_same_whatever_comes_between(void **state)
{
    struct racks racks;
    unsigned turns = setting("TAKE_TURNS", 400), taken = 0;
    (void)state;
    drawn += setting("TAKE_SEED", 1);
    racks_begin(&racks);
    for (unsigned i = 0; i < turns; i++) {
        struct rack *const both[] = {racks.of_part, racks.of_all};
        struct wish wish = racks.wish;
        unsigned first = draw(6), what = draw(9), which = draw(100), second = draw(6);
        wish_edit(&wish);
        if (!racks_push(&racks, &wish))
            continue;
        for (unsigned r = 0; r < 2; r++) {
            run_some(both[r], first);
            disturb(both[r], what, which);
            run_some(both[r], second);
            both[r]->hide = NULL;
        }
        taken += racks.of_part->loads_at_apply == 1;
        if (draw(3) == 0)
            continue; /* and the next is pushed */
        settle_held(racks.of_part);
        settle_held(racks.of_all);
        clocks_set(&racks);
        is_as_wished(racks.of_part, &racks.wish);
        is_as_wished(racks.of_all, &racks.wish);
        racks_end(&racks);
        wish = racks.wish;
        racks_begin(&racks);
        assert_true(racks_push(&racks, &wish));
        run(racks.of_part, MINUTE_MS);
        run(racks.of_all, MINUTE_MS);
    }
    print_message("# %u taken by their part\n", taken);
    assert_true(taken > turns / 20);
    racks_end(&racks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_leave_the_same_behind),
        cmocka_unit_test(both_ways_end_the_same_whatever_comes_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
