/* SPDX-License-Identifier: MPL-2.0 */
/* Rows that lack something, or say more than this program knows: what is planned all the same. */
#include "tests/plan/expect.h"

static struct known *row_like(struct world *w, const char *kind, const char *name, const char *uid)
{
    struct known *row = &w->rows[w->count++];

    *row = *world_row(w, kind, name);
    row->uid = uid;
    return row;
}

static void rows_that_lack_what_was_chosen_are_chosen_for_anew(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB(BOUNDED));
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].chosen = NULL;
    assert_int_equal(world_plan(w)->step_count, 0); /* and it is what they have */
    world_declare(w, PROJECT);
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_DELETE, RUN);
    assert_step(w, "NIC", "web-1.eth0", ACTION_DELETE, RUN);
}

static void kinds_of_a_newer_program_come_last_by_their_names(void **state)
{
    const struct known volume = {.kind = "Volume", .name = "z", .uid = "1"};
    const struct known twin = {.kind = "Volume", .name = "z", .uid = "4"};
    const struct known gpu = {.kind = "Gpu", .name = "a", .uid = "2"};
    const struct known queue = {.kind = "Queue", .name = "a", .uid = "3"};

    (void)state;
    assert_true(plan_known_order(&volume, &gpu) < 0);
    assert_true(plan_known_order(&gpu, &volume) > 0);
    assert_true(plan_known_order(&gpu, &queue) < 0);
    assert_true(plan_known_order(&queue, &gpu) > 0);
    assert_true(plan_known_order(&volume, &twin) < 0);
}

static void row_becomes(struct world *w, struct known *row, const char *name)
{
    struct value *chosen = value_copy(w->arena, row->chosen);

    value_set_text(w->arena, chosen, "becomes", name);
    row->chosen = chosen;
}

/* Each of these was to get a new name, and none of them that of the volume which is declared. */
static void an_accepted_rename_of_something_else_takes_no_name(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT NETWORK VOLUME("old", "size: 1GiB") VOLUME("kept", "size: 1GiB")
                          VOLUME("zeta", "size: 1GiB"));
    row_becomes(w, world_row(w, "VPC", "net"), "new");
    row_becomes(w, world_row(w, "Volume", "kept"), "new");
    row_becomes(w, world_row(w, "Volume", "old"), "another");
    struct known *released = row_like(w, "Volume", "old", "ffff0000ffff0000ffff0000ffff0000");
    released->name = "gone";
    released->life = LIFE_RELEASED;
    row_becomes(w, released, "new");
    struct known *elsewhere = row_like(w, "Volume", "old", "eeee0000ffff0000ffff0000ffff0000");
    elsewhere->project = "other";
    row_becomes(w, elsewhere, "new");
    row_becomes(w, world_row(w, "Volume", "zeta"), "new"); /* and is still declared */
    world_declare(w, PROJECT NETWORK VOLUME("new", "size: 1GiB") VOLUME("kept", "size: 1GiB")
                         VOLUME("zeta", "size: 1GiB"));
    world_plan(w);
    assert_step(w, "Volume", "new", ACTION_CREATE, RUN);
    assert_null(world_step(w, "Volume", "new")->renamed_from);
}

/* A rename was taken back, and is wanted again before its object has the former name. */
static void a_name_that_its_object_still_bears_is_not_given_to_another(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    struct known *row = world_row(w, "Volume", "a");
    struct value *chosen = value_copy(w->arena, row->chosen);
    value_set_text(w->arena, chosen, "called", "b");
    row->chosen = chosen;
    world_declare(w, PROJECT VOLUME("b", "size: 1GiB"));
    world_plan(w);
    assert_step(w, "Volume", "b", ACTION_UPDATE, RUN);
    assert_string_equal(world_step(w, "Volume", "b")->uid, row->uid);
    assert_string_equal(world_step(w, "Volume", "b")->renamed_from, "a");
    assert_null(world_step(w, "Volume", "a"));
    world_declare(w, PROJECT VOLUME("a", "size: 1GiB") VOLUME("b", "size: 1GiB"));
    world_plan(w);
    assert_step(w, "Volume", "b", ACTION_CREATE, RUN);
    assert_string_equal(world_step(w, "Volume", "a")->uid, row->uid);
}

/* Only the running machine still has the volume by its former name, beside a field that this
 * program does not know. */
static void a_name_that_was_only_seen_in_use_is_not_given_anew(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP DOC("Project", "name: other", "{}") WEB(BOUNDED));
    world_called(w, "Volume", "data", "moved");
    struct known *machine = world_row(w, "Instance", "web-1");
    machine->applied = json(w, "{\"novelty\":{\"volume\":\"data\"},\"disks\":null,\"cpus\":2,"
                               "\"nics\":[{\"name\":\"eth0\",\"subnet\":7}]}");
    world_tamper(w, "Instance", "web-1", "spec.disks",
                 "[{\"name\":\"a\",\"volume\":\"data\"},{\"name\":\"b\",\"volume\":\"data\"}]");
    row_like(w, "Instance", "web-1", "ffff0000ffff0000ffff0000ffff0000")->project = "other";
    world_row(w, "VPC", "net")->applied = NULL;
    world_declare(w, SHOP DOC("Project", "name: other", "{}") WEB(BOUNDED)
                         VOLUME("moved", "size: 4GiB"));
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "Volume", "data")->reason,
                        "Instance shop/web-1 still has Volume moved on record by this name");
}

static void a_name_of_the_racks_own_is_in_use_in_any_project(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT DOC("Pool", "name: fast", "{}")
                          VOLUME("data", "size: 1GiB, pool: fast"));
    world_converge(w, PROJECT DOC("Pool", "name: quick, renamedFrom: fast", "{}")
                          VOLUME("data", "size: 1GiB, pool: quick"));
    world_tamper(w, "Volume", "data", "spec.pool", "\"fast\"");
    world_declare(w, PROJECT DOC("Pool", "name: quick", "{}") DOC("Pool", "name: fast", "{}")
                         VOLUME("data", "size: 1GiB, pool: quick"));
    world_plan(w);
    assert_step(w, "Pool", "fast", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "Pool", "fast")->reason,
                        "Volume shop/data still has Pool quick on record by this name");
}

/* As an older program wrote it: the router is where the manifest says. */
static void a_subnet_on_record_without_a_gateway(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Subnet", "front")->applied =
        json(w, "{\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\"}");
    world_declare(w, SHOP WEB(BOUNDED));
    world_plan(w);
    assert_step(w, "NIC", "web-1.eth0", ACTION_CREATE, RUN);
    world_row(w, "Subnet", "front")->applied = json(w, "{\"vpc\":\"net\"}");
    world_plan(w);
    assert_step(w, "NIC", "web-1.eth0", ACTION_CREATE, RUN);
}

/* A driver that tells of an object, and not what it is like. */
static void what_was_seen_without_a_spec(void **state)
{
    struct world *w = *state;
    struct known *machine;

    world_converge(w, PROJECT INSTANCE("web-1", BOUNDED));
    machine = world_row(w, "Instance", "web-1");
    machine->applied = machine->observed.spec = machine->observed.booted = NULL;
    world_declare(w, PROJECT INSTANCE("web-1", BOUNDED ", firmware: uefi"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.firmware", CHANGE_REPLACE, REPORTED);
    machine->life = LIFE_NEW;
    world_plan(w);
    assert_null(world_step(w, "Instance", "web-1")); /* it was sent like this, and is there */
}

/* Its driver leaves out what there is none of: it was not sent like this. */
static void what_was_made_without_what_is_wanted_now(void **state)
{
    struct world *w = *state;
    struct known *machine;

    world_converge(w, PROJECT INSTANCE("web-1", BOUNDED));
    machine = world_row(w, "Instance", "web-1");
    machine->applied = NULL;
    machine->life = LIFE_NEW;
    world_declare(w, PROJECT INSTANCE("web-1", BOUNDED ", cpuModel: host"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.cpuModel", CHANGE_RESTART, DEFERRED);
}

/* A machine that nobody has looked at has what was applied, for all that is known. */
static void an_unseen_machine_keeps_its_disk_from_others(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, " DISK)
                          INSTANCE("b", "cpus: 1, memory: 256MiB"));
    world_row(w, "Instance", "a")->observed = (struct observation){0};
    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB")
                         INSTANCE("b", "cpus: 1, memory: 256MiB, " DISK));
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_UPDATE, DEFERRED);
    assert_field(w, "Instance", "b", "spec.disks[root]", CHANGE_LIVE, DEFERRED);
    assert_string_equal(world_field(w, "Instance", "b", "spec.disks[root]")->reason,
                        "still in use by Instance shop/a");
}

/* Its pool may not be mounted; or what lies there is not the volume. */
static void a_machine_waits_for_a_volume_that_could_not_be_looked_at(void **state)
{
    struct world *w = *state;
    struct known *volume;

    world_converge(w, SHOP);
    world_declare(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, " DISK)
                         INSTANCE("b", "cpus: 1, memory: 256MiB"));
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_CREATE, RUN);
    volume = world_row(w, "Volume", "data");
    volume->observed.known = false;
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_CREATE, DEFERRED);
    assert_string_equal(world_step(w, "Instance", "a")->reason,
                        "Volume shop/data could not be looked at");
    assert_step(w, "Instance", "b", ACTION_CREATE, RUN);
    volume->observed.known = true;
    world_converge(w, SHOP INSTANCE("a", "cpus: 1, memory: 256MiB, " DISK));
    world_row(w, "Volume", "data")->observed.known = false;
    world_row(w, "Instance", "a")->observed.absent = true;
    world_plan(w);
    assert_step(w, "Instance", "a", ACTION_CREATE, DEFERRED);
}

static void what_is_not_there_can_be_taken_away(void **state)
{
    struct world *w = *state;
    const struct kind *kind = kind_find("Instance");
    struct value *spec = json(w, "{\"cpus\":1,\"restartPolicy\":null}");

    spec = spec_put(w->arena, kind, spec, "spec.updatePolicy.restart", NULL);
    spec = spec_put(w->arena, kind, spec, "spec.restartPolicy.mode", NULL);
    assert_string_equal(json_text(w->arena, spec), "{\"cpus\":1,\"restartPolicy\":null}");
}

/* It was begun and never confirmed: what is there decides whether it is begun once more. */
static void what_was_begun_and_is_wanted_otherwise(void **state)
{
    struct world *w = *state;
    struct known *volume, *machine;

    world_converge(w, SHOP WEB(BOUNDED));
    machine = world_row(w, "Instance", "web-1");
    volume = world_row(w, "Volume", "data");
    volume->life = machine->life = LIFE_NEW;
    volume->applied = machine->applied = NULL;
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB")
                         WEB("cpus: 2, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    assert_field(w, "Volume", "data", "spec.size", CHANGE_REFUSE, REPORTED);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, DEFERRED);
    assert_int_equal(world_step(w, "Instance", "web-1")->action, ACTION_UPDATE);
    volume->observed.absent = machine->observed.absent = true;
    world_plan(w);
    assert_step(w, "Volume", "data", ACTION_CREATE, RUN);
    assert_step(w, "Instance", "web-1", ACTION_CREATE, RUN);
}

/* Protected by its row alone: the driver's record of it was lost. */
static void what_is_protected_and_given_up_is_kept(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->remove_deletes = true;
    world_row(w, "Volume", "data")->protect = true;
    world_declare(w, PROJECT NETWORK);
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_RELEASE);
    world_row(w, "Volume", "data")->life = LIFE_RELEASED;
    world_row(w, "Volume", "data")->observed.released = true;
    world_plan(w);
    assert_null(world_step(w, "Volume", "data"));
    world_row(w, "Volume", "data")->protect = false;
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "data")->action, ACTION_DELETE);
}

/* What a commit in between promised and this one does not is taken back from the record. */
static void a_promise_that_is_no_longer_given_is_to_be_recorded(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("a", "size: 1GiB") VOLUME("b", "size: 1GiB"));
    assert_int_equal(w->plan->unrecorded_count, 0);
    world_row(w, "Volume", "data")->protect = world_row(w, "Volume", "a")->protect =
        world_row(w, "Volume", "b")->protect = true;
    assert_int_equal(world_plan(w)->unrecorded_count, 3);
    world_row(w, "Volume", "a")->protect = world_row(w, "Volume", "b")->protect = false;
    world_row(w, "Volume", "data")->protect = true;
    assert_int_equal(world_plan(w)->unrecorded_count, 1);
    world_row(w, "Volume", "data")->protect = false;
    world_row(w, "Volume", "data")->remove_deletes = true;
    assert_int_equal(world_plan(w)->unrecorded_count, 1);
    assert_int_equal(w->plan->step_count, 0);
}

/* Rows that share their content are written to the digest once: it is the same as without. */
static void the_digest_of_a_world_does_not_depend_on_what_rows_share(void **state)
{
    enum { ROWS = 1200 };
    struct world *w = *state;
    struct known *rows = arena_array(w->arena, ROWS, sizeof *rows);
    struct value *spec = json(w, "{\"cpus\":1}");
    char digest[DIGEST_TEXT];

    world_declare(w, PROJECT);
    for (size_t i = 0; i < ROWS; i++) {
        const char *text = arena_printf(w->arena, "{\"cpus\":%zu}", i % 3);
        rows[i] = (struct known){.uid = arena_printf(w->arena, "%032zu", i),
                                 .kind = "Instance",
                                 .project = "shop",
                                 .name = arena_printf(w->arena, "m%04zu", i),
                                 .life = LIFE_RELEASED,
                                 .observed = {.known = true, .spec = spec}};
        if (i % 2)
            rows[i].observed.booted = json(w, text);
        else if (i % 4)
            rows[i].observed.damage = json(w, "[]");
    }
    w->input.known = rows;
    w->input.known_count = ROWS;
    memcpy(digest, plan_make(w->arena, &w->input)->world, sizeof digest);
    for (size_t i = 0; i < ROWS; i++) {
        rows[i].observed.spec = value_copy(w->arena, spec);
        if (rows[i].observed.booted)
            rows[i].observed.booted = value_copy(w->arena, rows[i].observed.booted);
    }
    assert_string_equal(plan_make(w->arena, &w->input)->world, digest);
    rows[7].observed.booted = json(w, "{\"cpus\":9}");
    assert_string_not_equal(plan_make(w->arena, &w->input)->world, digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_that_lack_what_was_chosen_are_chosen_for_anew),
        TEST(kinds_of_a_newer_program_come_last_by_their_names),
        TEST(a_name_that_its_object_still_bears_is_not_given_to_another),
        TEST(an_accepted_rename_of_something_else_takes_no_name),
        TEST(a_name_that_was_only_seen_in_use_is_not_given_anew),
        TEST(a_name_of_the_racks_own_is_in_use_in_any_project),
        TEST(a_subnet_on_record_without_a_gateway),
        TEST(what_was_seen_without_a_spec),
        TEST(what_was_made_without_what_is_wanted_now),
        TEST(an_unseen_machine_keeps_its_disk_from_others),
        TEST(a_machine_waits_for_a_volume_that_could_not_be_looked_at),
        TEST(what_is_not_there_can_be_taken_away),
        TEST(what_was_begun_and_is_wanted_otherwise),
        TEST(what_is_protected_and_given_up_is_kept),
        TEST(a_promise_that_is_no_longer_given_is_to_be_recorded),
        TEST(the_digest_of_a_world_does_not_depend_on_what_rows_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
