/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A target that is taken by its part (reconciler/engine/core_take.c), beside the same one that is
 * taken as a whole: two racks go through one history, and what the stores and the drivers have
 * come to is the same. Then what is left to the whole, and when it is. TAKE_TURNS and TAKE_SEED
 * draw more and others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/json.h"
#include "model/text.h"
#include "reconciler/engine/core_state.h"
#include "reconciler/store/query.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

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

static const char *ledger_text(struct rack *rack, const char *query)
{
    struct text text = TEXT_INIT;
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(rack->store->db, query, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            text_printf(&text, "%s | ",
                        sqlite3_column_text(rows, i) ? (const char *)sqlite3_column_text(rows, i)
                                                     : "-");
        text_add(&text, "\n");
    }
    sqlite3_finalize(rows);
    const char *kept = arena_text(rack->arena, text.data ? text.data : "");
    text_free(&text);
    return kept;
}

static void ledgers_compare(struct rack *a, struct rack *b)
{
    for (size_t i = 0; i < LEDGERS; i++)
        assert_string_equal(ledger_text(a, ledgers[i]), ledger_text(b, ledgers[i]));
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
static void shrink(struct rack *rack, struct rack_object *object)
{
    struct value *spec = value_copy(rack->arena, object->spec);
    value_set_int(rack->arena, spec, "size", 1 << 29);
    object->spec = spec;
}

static void disturb(struct rack *rack, unsigned what, unsigned which)
{
    struct rack_object *object = &rack->objects[which % rack->object_count];
    const char *driver = holds("disk", object) ? "disk" : "net";
    if (what == 0)
        rack_notice(rack, driver, object->uid, "a test");
    else if (what == 1 && object->exists && !strcmp(object->kind, "Volume"))
        shrink(rack, object);
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

/* ---- what is taken, and what is left to the whole ----------------------------------- */

static int setup(void **state)
{
    rack_setup_volume(state);
    struct rack *rack = *state;
    rack->config.made_by = "a test";
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") VOLUME("more", "1GiB") VPC("net");
    rack->commits[5] = POOL PROJECT RENAMED("data", "db") VPC("net");
    rack->commits[6] = POOL PROJECT VOLUME("db", "3GiB") VPC("net");
    rack->commits[7] =
        POOL PROJECT KEPT("db", "size: 2GiB, onRemove: delete, protect: true") VPC("net");
    rack_take_parts(rack);
    rack_settle(rack, "1");
    rack->loads = 1;
    rack->loads_at_apply = 0;
    rack->applies = 0;
    return 0;
}

static void end_is(struct rack *rack, int64_t gib)
{
    assert_true(rack_run(rack, 20 * (int64_t)MINUTE_MS));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_size(rack), gib << 30);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

static bool was_of_part(const struct rack *rack)
{
    assert_true(rack->loads_at_apply >= 1);
    return rack->loads_at_apply == 1;
}

static void a_step_is_sent_before_the_rest_is_read(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_true(was_of_part(rack));
    assert_int_equal(rack->loads, 2);
    assert_int_equal(rack->applies, 1);
}

/* The same part of the same rack again and again. */
static void each_of_many_commits_is_taken_by_its_part(void **state)
{
    struct rack *rack = *state;
    static const char *const commits[] = {"2", "6"};
    for (unsigned i = 0; i < 2; i++) {
        rack->loads = 1;
        rack->loads_at_apply = 0;
        rack_target(rack, commits[i]);
        end_is(rack, 2 + i);
        assert_true(was_of_part(rack));
    }
}

static void what_a_part_promises_holds_before_it_is_looked_at(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "7");
    core_pump(rack->core);
    assert_int_equal(rack->loads, 1);
    assert_int_equal(rack->applies, 0);
    assert_true(rack_row(rack, "Volume")->protect);
    rack_target(rack, "3"); /* which leaves it out */
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
}

static void left_to_the_whole(struct rack *rack, const char *commit)
{
    rack_target(rack, commit);
    assert_true(rack_run(rack, MINUTE_MS));
    assert_true(core_is_converged(rack->core));
    assert_false(was_of_part(rack));
}

static void what_is_to_be_made_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "4");
}

static void what_is_to_be_destroyed_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "3");
}

static void a_new_name_is_left_to_the_whole(void **state)
{
    left_to_the_whole(*state, "5");
}

static void what_was_changed_by_hand_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    shrink(rack, rack_object(rack, "Volume", "db"));
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

/* Whatever is not as it was: by the whole, or not at all. */
static void is_left_to_the_whole_if(void (*differs)(struct rack *rack, struct rack_object *object))
{
    void *state = NULL;
    setup(&state);
    struct rack *rack = state;
    differs(rack, rack_object(rack, "Volume", "db"));
    rack_target(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->loads, 2);
    assert_int_not_equal(rack->loads_at_apply, 1);
    rack_free(rack);
}

static void is_released(struct rack *rack, struct rack_object *object)
{
    (void)rack;
    object->released = true;
}

static void is_damaged(struct rack *rack, struct rack_object *object)
{
    (void)rack;
    object->damages = 1;
}

static void is_of_a_later_epoch(struct rack *rack, struct rack_object *object)
{
    (void)object;
    rack->lie_epoch = 7;
}

static void is_unknown(struct rack *rack, struct rack_object *object)
{
    rack->blur = object->name;
}

static void what_is_not_as_it_was_is_left_to_the_whole(void **state)
{
    (void)state;
    is_left_to_the_whole_if(is_released);
    is_left_to_the_whole_if(is_damaged);
    is_left_to_the_whole_if(is_of_a_later_epoch);
    is_left_to_the_whole_if(is_unknown);
}

/* It may be of something that this commit would do. */
static void an_approval_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(store_hold_put(rack->store, "a1", "budget", "a test", 1, &err), 0);
    assert_int_equal(store_hold_approve(rack->store, "a1", "ann", 1, &err), 0);
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

/* Before it is looked at. */
static void news_before_the_look_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    core_policy_changed(rack->core);
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void what_stops_looks_at_nothing_more(void **state)
{
    struct rack *rack = *state;
    rack_target(rack, "2");
    core_stop(rack->core);
    core_pump(rack->core);
    assert_null(rack->core->taken.arena);
    assert_int_equal(rack->queue_first, rack->queue_end);
}

static void more_objects_than_are_asked_for_are_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    struct text few = TEXT_INIT, many = TEXT_INIT;
    text_add(&few, POOL PROJECT);
    text_add(&many, POOL PROJECT);
    for (unsigned i = 0; i < 65; i++) {
        volume_write(&few, i, &(struct volume){.size = 1});
        volume_write(&many, i, &(struct volume){.size = 2});
    }
    rack->commits[3] = arena_text(rack->arena, few.data);
    rack->commits[4] = arena_text(rack->arena, many.data);
    text_free(&few);
    text_free(&many);
    rack_settle(rack, "3");
    rack->loads = 1;
    rack->loads_at_apply = 0;
    left_to_the_whole(rack, "4");
}

static void what_is_gone_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack_object(rack, "Volume", "db")->exists = false;
    rack_target(rack, "2");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0); /* its data are lost: that is for a person */
    assert_int_equal(core_plan(rack->core)->held, 1);
    assert_int_equal(rack->loads, 2);
}

/* Who has asked for a look at its part, and waits for the answer. */
static void is_looked_at(struct rack *rack)
{
    rack_target(rack, "2");
    core_pump(rack->core);
    assert_int_equal(rack->loads, 1);
    assert_non_null(rack->core->taken.arena);
    assert_int_equal(rack->core->taken.round, rack->core->round.number);
}

static void what_the_look_leaves_out_is_left_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->hide = "db";
    is_looked_at(rack);
    rack->hide = NULL;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_notice_meanwhile_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_notice(rack, "net", rack_object(rack, "VPC", "net")->uid, "somebody");
    struct rack_message last = rack->queue[rack->queue_end - 1]; /* which comes first */
    for (size_t i = rack->queue_end - 1; i > rack->queue_first; i--)
        rack->queue[i] = rack->queue[i - 1];
    rack->queue[rack->queue_first] = last;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_driver_that_ends_meanwhile_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_lose_driver(rack, "disk");
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void a_driver_that_hangs_leaves_it_to_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->mute = "disk";
    is_looked_at(rack);
    rack_run(rack, 3000);
    assert_null(rack->core->taken.arena);
    assert_true(rack->core->round.is_full); /* which waits for it in its turn */
    assert_int_equal(rack->loads, 1);
    rack_run(rack, 10000);
    assert_int_equal(rack->loads, 2);
    rack->mute = NULL;
    end_is(rack, 2);
    assert_false(was_of_part(rack));
}

static void another_commit_meanwhile_takes_its_place(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_target(rack, "6");
    end_is(rack, 3);
    assert_false(was_of_part(rack));
    assert_int_equal(rack->applies, 1);
}

static void the_same_commit_meanwhile_changes_nothing(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    rack_target(rack, "2");
    end_is(rack, 2);
    assert_true(was_of_part(rack));
    assert_int_equal(rack->applies, 1);
}

static void another_commit_while_the_step_is_under_way_is_taken_whole(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    while (!rack->applies) {
        message_deliver(rack);
        core_pump(rack->core);
    }
    assert_true(was_of_part(rack));
    assert_null(rack->core->set);
    rack_target(rack, "6");
    end_is(rack, 3);
    assert_int_equal(rack->applies, 2);
}

static void freeze(struct rack *rack, const char *what)
{
    const struct freeze freeze = {.what = what, .who = "ann", .why = "a test"};
    struct error err = ERROR_INIT;
    core_begin(rack->core);
    assert_int_equal(store_freeze_put(rack->store, &freeze, 1, &err), 0);
    core_policy_changed(rack->core);
}

static void a_freeze_holds_for_a_part(void **state)
{
    struct rack *rack = *state;
    freeze(rack, "changes");
    assert_true(rack_run(rack, MINUTE_MS));
    rack_target(rack, "2");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0);
    assert_int_equal(core_plan(rack->core)->deferred, 1);
}

static void a_freeze_that_comes_meanwhile_holds_for_a_part(void **state)
{
    struct rack *rack = *state;
    is_looked_at(rack);
    freeze(rack, "changes");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, 0);
    assert_int_equal(core_plan(rack->core)->deferred, 1);
}

/* It was sent, is confirmed, and the rest of its commit cannot be read: as at a start. */
static void a_rest_that_cannot_be_read_ends_the_core(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    is_looked_at(rack);
    rack->torn = "2";
    assert_false(rack_run(rack, MINUTE_MS));
    assert_true(core_has_failed(rack->core, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(rack->applies, 1);
    rack->torn = NULL;
    rack_boot(rack, "2");
    end_is(rack, 2);
    assert_int_equal(rack->applies, 1);
}

static void what_cannot_be_read_is_refused_as_ever(void **state)
{
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    rack->torn = "2";
    assert_int_equal(core_target(rack->core, "2", "ann", NULL, NULL, &err), ERR_CORRUPT);
    assert_string_equal(core_commit(rack->core), "1");
    end_is(rack, 1);
}

static void a_step_that_fails_is_tried_again_by_the_whole(void **state)
{
    struct rack *rack = *state;
    rack->refuse = "db";
    rack->refuse_kind = "busy";
    rack_target(rack, "2");
    rack_run(rack, 20000);
    assert_true(was_of_part(rack));
    assert_true(rack->events_failed > 1);
    assert_int_equal(rack->loads, 2);
    rack->refuse = NULL;
    end_is(rack, 2);
}

/* Who plans from the store has nothing to look at, and is done at once. */
static void a_reader_of_the_store_wants_no_look(void **state)
{
    struct rack *rack = *state;
    rack->config.effects = false;
    rack->config.cached = true;
    rack_boot(rack, "2");
    unsigned looks = rack->looks;
    core_pump(rack->core);
    assert_true(core_is_settled(rack->core));
    assert_int_equal(core_plan(rack->core)->run, 1);
    assert_int_equal(rack->looks, looks);
}

/* ---- a crash at each call ----------------------------------------------------------- */

/* What a process has in memory when it is killed is no leak. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
static void __lsan_disable(void)
{
}
static void __lsan_enable(void)
{
}
#endif

static bool survives(struct rack *rack, int at)
{
    __lsan_disable();
    rack->calls = 0;
    rack->crash_at = at;
    if (setjmp(rack->crash)) {
        __lsan_enable();
        return false;
    }
    rack_target(rack, "2");
    rack_run(rack, 10 * (int64_t)MINUTE_MS);
    rack->crash_at = 0;
    __lsan_enable();
    return true;
}

static void a_crash_at_any_call_leaves_one_step_behind(void **state)
{
    struct rack *like = *state;
    const char *const intents = "SELECT op, epoch, verb, plan, arguments_digest, state, step"
                                " FROM intent WHERE id > 3";
    bool has_survived = false;
    rack_target(like, "2");
    end_is(like, 2);
    const char *journal = ledger_text(like, intents);
    int at = 1;
    for (; !has_survived; at++) {
        void *fresh = NULL;
        setup(&fresh);
        struct rack *rack = fresh;
        has_survived = survives(rack, at);
        rack->crash_at = 0;
        if (!has_survived)
            rack_boot(rack, "2");
        end_is(rack, 2);
        assert_int_equal(rack_object(rack, "Volume", "db")->applied, 2);
        assert_string_equal(ledger_text(rack, intents), journal);
        rack_free(rack);
    }
    assert_true(at > 20);
}

static struct request *request_left(struct rack *rack, const char **driver)
{
    for (size_t i = 0; i < rack->core->config.driver_count; i++) {
        *driver = rack->core->drivers[i].name;
        if (rack->core->drivers[i].requests)
            return rack->core->drivers[i].requests;
    }
    return NULL;
}

/* It was read before the step that has been confirmed since. */
static void late_answer_of_a_look_that_was_given_up_is_not_believed(void **state)
{
    struct rack *rack = *state;
    const char *driver = NULL;
    rack->hang_looks_of = 2;
    is_looked_at(rack);
    struct value *old = object_make(rack, rack_object(rack, "Volume", "db")->uid);
    rack_run(rack, 8000);
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
    struct request *request = request_left(rack, &driver);
    assert_non_null(request);
    struct value *answer = value_map(rack->arena), *result = value_map(rack->arena);
    value_set_int(rack->arena, answer, "id", request->id);
    value_set(rack->arena, answer, "result", result);
    value_append(rack->arena, value_set(rack->arena, result, "objects", value_list(rack->arena)),
                 old);
    value_set_bool(rack->arena, result, "complete", true);
    queue_put(rack, driver, answer);
    unsigned applies = rack->applies;
    rack_run(rack, MINUTE_MS);
    const struct known *row = rack_row(rack, "Volume");
    assert_int_equal(value_get_int(row->observed.spec, "size", 0), INT64_C(2) << 30);
    rack_notice(rack, "net", rack_object(rack, "VPC", "net")->uid, "somebody came by");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(rack->applies, applies);
}

/* A pool has less room at each look, a disk more of its bytes. */
static void status_for_people_is_no_news(void **state)
{
    struct rack *rack = *state;
    rack->is_restless = true;
    unsigned loads = rack->loads;
    is_looked_at(rack);
    while (!rack->core->tasks) {
        message_deliver(rack);
        core_pump(rack->core);
    }
    assert_int_equal(rack->loads, loads);
}

int main(void)
{
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, rack_teardown)
    const struct CMUnitTest tests[] = {
        RACK_TEST(a_step_is_sent_before_the_rest_is_read),
        RACK_TEST(late_answer_of_a_look_that_was_given_up_is_not_believed),
        RACK_TEST(status_for_people_is_no_news),
        RACK_TEST(each_of_many_commits_is_taken_by_its_part),
        RACK_TEST(what_a_part_promises_holds_before_it_is_looked_at),
        RACK_TEST(what_is_to_be_made_is_left_to_the_whole),
        RACK_TEST(what_is_to_be_destroyed_is_left_to_the_whole),
        RACK_TEST(a_new_name_is_left_to_the_whole),
        RACK_TEST(what_was_changed_by_hand_is_left_to_the_whole),
        RACK_TEST(what_is_gone_is_left_to_the_whole),
        cmocka_unit_test(what_is_not_as_it_was_is_left_to_the_whole),
        RACK_TEST(an_approval_leaves_it_to_the_whole),
        RACK_TEST(news_before_the_look_leaves_it_to_the_whole),
        RACK_TEST(what_stops_looks_at_nothing_more),
        RACK_TEST(more_objects_than_are_asked_for_are_left_to_the_whole),
        RACK_TEST(what_the_look_leaves_out_is_left_to_the_whole),
        RACK_TEST(a_notice_meanwhile_leaves_it_to_the_whole),
        RACK_TEST(a_driver_that_ends_meanwhile_leaves_it_to_the_whole),
        RACK_TEST(a_driver_that_hangs_leaves_it_to_the_whole),
        RACK_TEST(another_commit_meanwhile_takes_its_place),
        RACK_TEST(the_same_commit_meanwhile_changes_nothing),
        RACK_TEST(another_commit_while_the_step_is_under_way_is_taken_whole),
        RACK_TEST(a_freeze_holds_for_a_part),
        RACK_TEST(a_freeze_that_comes_meanwhile_holds_for_a_part),
        RACK_TEST(a_rest_that_cannot_be_read_ends_the_core),
        RACK_TEST(what_cannot_be_read_is_refused_as_ever),
        RACK_TEST(a_step_that_fails_is_tried_again_by_the_whole),
        RACK_TEST(a_reader_of_the_store_wants_no_look),
        RACK_TEST(a_crash_at_any_call_leaves_one_step_behind),
        cmocka_unit_test(both_ways_leave_the_same_behind),
        cmocka_unit_test(both_ways_end_the_same_whatever_comes_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
