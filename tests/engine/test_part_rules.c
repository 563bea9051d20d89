/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a part holds and what it leaves to the whole, rule by rule: drawn histories (test_part.c)
 * hardly come to names on record, to rows that are not as they should be, and to limits.
 */
#include "tests/engine/history.h"

#include "model/mention.h"

static struct rack rack_with(struct rack rack, const char *name, const char *renamed_from)
{
    struct item *item = &rack.items[rack.count++];
    *item = (struct item){.kind = "Volume", .project = 0, .file = (unsigned)rack.count};
    item->numbers[1] = item->numbers[3] = item->numbers[6] = item->numbers[7] = 1;
    snprintf(item->name, sizeof(item->name), "%s", name);
    snprintf(item->renamed_from, sizeof(item->renamed_from), "%s", renamed_from);
    return rack;
}

/* Whoever has it on record would have to be asked. */
static void a_name_that_an_object_bore_before_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    struct rack projects = history.rack;
    assert_true(rack_try(&history, rest(&history), rack_with(projects, "vol0", "")));
    assert_true(rack_try(&history, rest(&history), rack_with(projects, "vol1", "vol0")));
    const struct plan *settled = rest(&history);
    assert_int_equal(history.renamed, 1);
    assert_int_equal(history.taken, 2);

    assert_true(rack_try(&history, settled, rack_with(history.rack, "vol2", "")));
    assert_int_equal(history.taken, 3);
    history.rack = rack_with(projects, "vol1", "");
    assert_true(rack_try(&history, settled, rack_with(history.rack, "vol0", "")));
    assert_int_equal(history.left, 1);
    history_end(&history);
}

static struct item *item_put(struct rack *rack, const char *kind, int project, const char *name,
                             const char *spec)
{
    struct item *item = &rack->items[rack->count];
    *item = (struct item){
        .kind = kind, .project = project, .spec = spec, .file = (unsigned)rack->count++ % FILES};
    snprintf(item->name, sizeof(item->name), "%s", name);
    item->numbers[7] = 1; /* no labels */
    return item;
}

static void item_rename(struct item *item, const char *name)
{
    memcpy(item->renamed_from, item->name, sizeof(item->name));
    snprintf(item->name, sizeof(item->name), "%s", name);
}

#define MACHINE(disks) "cpus: 1, memory: 64MiB, updatePolicy: {restart: immediate}, " disks
#define URL(n) \
    "url: \"https://example.org/" n "\", digest: \"sha256:" n n n n n n n n n n n n n n n n "\""

/* A record that still has it then means another: the new one waits until the record is made anew.
 * The first of its names gave the object its uid, the second nothing. */
static void a_former_name_that_is_on_record_is_not_given_by_a_part(void **state)
{
    static const char *const former[] = {"vol0", "vol1"};
    for (size_t i = 0; i < 2; i++) {
        struct history history;
        history_begin(&history, *state, 1);
        struct rack rack = history.rack;
        struct item *volume = item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
        struct item *machine =
            item_put(&rack, "Instance", 0, "vm0", MACHINE("disks: [{name: root, volume: vol0}]"));
        assert_true(rack_try(&history, rest(&history), rack));
        item_rename(volume, "vol1");
        machine->spec = MACHINE("disks: [{name: root, volume: vol1}]");
        assert_true(rack_try(&history, rest(&history), rack));
        item_rename(volume, "vol2");
        machine->spec = MACHINE("disks: [{name: root, volume: vol2}]");
        assert_true(rack_try(&history, rest(&history), rack));
        volume->renamed_from[0] = '\0';
        assert_true(rack_try(&history, rest(&history), rack));
        assert_int_equal(history.taken, 4);

        rest(&history); /* the driver still says what the machine was started with */
        world_tamper(history.world, "Instance", "vm0", "spec.disks[root].volume",
                     arena_printf(history.world->arena, "\"%s\"", former[i]));
        const struct plan *settled = rest(&history);
        assert_int_equal(settled->step_count, 0);
        item_put(&rack, "Volume", 0, former[i], "size: 64MiB");
        assert_true(rack_try(&history, settled, rack));
        assert_int_equal(history.left, 1);
        history_end(&history);
    }
}

/* Rebuilt from tags, a row has lost the names that its object bore, and has the uid that the first
 * of them gave it. */
static void a_uid_that_an_unrelated_row_has_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    struct rack rack = history.rack;
    struct item *volume = item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    assert_true(rack_try(&history, rest(&history), rack));
    item_rename(volume, "vol1");
    assert_true(rack_try(&history, rest(&history), rack));
    volume->renamed_from[0] = '\0';
    assert_true(rack_try(&history, rest(&history), rack));
    rest(&history);
    world_row(history.world, "Volume", "vol1")->chosen = value_map(history.world->arena);
    const struct plan *settled = rest(&history);
    assert_int_equal(settled->step_count, 0);
    item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    assert_true(rack_try(&history, settled, rack));
    assert_int_equal(history.left, 1);
    history_end(&history);
}

/* What the driver says, and what was applied; either may be all that there is. */
static void record_image(struct history *history, const char *seen, const char *applied)
{
    struct arena *arena = history->world->arena;
    struct known *row = world_row(history->world, "Volume", "vol0");
    struct value *spec = value_copy(arena, row->applied);
    world_tamper(history->world, "Volume", "vol0", "spec.image", seen);
    spec_put(arena, kind_find("Volume"), spec, "spec.image",
             applied ? value_text(arena, applied) : NULL);
    row->applied = spec;
}

/* The project and the rack have an image of the same name, and the rack's gets another: what was
 * made of the project's was not made of that. */
static void what_a_record_refers_to_is_in_the_part(void **state)
{
    for (unsigned way = 0; way < 2; way++) {
        struct history history;
        history_begin(&history, *state, 1);
        struct rack rack = history.rack;
        item_put(&rack, "Image", 0, "img0", URL("0001"));
        struct item *image = item_put(&rack, "Image", -1, "img0", URL("0002"));
        struct item *volume = item_put(&rack, "Volume", 0, "vol0", "size: 64MiB, image: img0");
        assert_true(rack_try(&history, rest(&history), rack));
        item_rename(image, "img1");
        assert_true(rack_try(&history, rest(&history), rack));
        rest(&history);
        record_image(&history, way ? "\"img0\"" : NULL, way ? NULL : "img0");
        const struct plan *settled = rest(&history);
        assert_int_equal(settled->step_count, 0);
        volume->spec = "size: 64MiB, image: img1";
        assert_true(rack_try(&history, settled, rack));
        assert_int_equal(history.taken, 3);
        assert_int_equal(history.left, 0);
        history_end(&history);
    }
}

/* Whoever has an address by choice is concerned when a manifest takes it. */
static void who_gives_way_to_an_address_is_in_the_part(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    struct rack rack = history.rack;
    item_put(&rack, "VPC", 0, "net0", "prefixes: [10.0.0.0/16]");
    item_put(&rack, "Subnet", 0, "sub0", "vpc: net0, cidr: 10.0.0.0/24");
    item_put(&rack, "Instance", 0, "vm0", MACHINE("nics: [{name: eth0, subnet: sub0}]"));
    assert_true(rack_try(&history, rest(&history), rack));
    const struct plan *settled = rest(&history);
    assert_string_equal(
        value_get_text(world_row(history.world, "NIC", "vm0.eth0")->chosen, "address", ""),
        "10.0.0.2");
    item_put(&rack, "Instance", 0, "vm1",
             MACHINE("nics: [{name: eth0, subnet: sub0, address: 10.0.0.2}]"));
    assert_true(rack_try(&history, settled, rack));
    assert_int_equal(history.taken, 2);
    assert_int_equal(history.left, 0);
    history_end(&history);
}

/* ---- what a part does not take ------------------------------------------------------ */

static void a_plan_with_a_step_beside_the_change_is_not_of_the_part(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    struct rack rack = history.rack, more;
    char commit[65];
    struct report report;
    struct part part;
    struct item *volume = item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    assert_true(rack_try(&history, rest(&history), rack));
    const struct plan *settled = rest(&history);
    item_put(&rack, "Volume", 0, "vol1", "size: 64MiB");
    more = rack;
    more.items[volume - rack.items].spec = "size: 128MiB";
    rack_commit(&history, &rack, commit);
    const struct part_ask ask = ask_for(&history, settled, commit);
    assert_true(part_make(history.world->arena, &ask, &part));
    struct plan_input input = whole_input(&history, whole_load(&history, commit, &report), commit);
    assert_true(part_covers(&part, plan_make(history.world->arena, &input)));
    char wider[65];
    rack_commit(&history, &more, wider);
    input = whole_input(&history, whole_load(&history, wider, &report), wider);
    const struct plan *plan = plan_make(history.world->arena, &input);
    assert_int_equal(plan->step_count, 2);
    assert_false(part_covers(&part, plan));
    part_free(&part);
    history_end(&history);
}

/* A commit with any number of files that all have one text. */
static void files_commit(struct history *history, const struct rack *rack, unsigned count,
                         const char *text, char hex[65])
{
    git_treebuilder *builder;
    git_signature *who;
    git_commit *commit;
    git_tree *tree;
    git_oid blob, id;
    rack_commit(history, rack, hex);
    assert_int_equal(git_oid_fromstr(&id, hex), 0);
    assert_int_equal(git_commit_lookup(&commit, history->repo, &id), 0);
    assert_int_equal(git_commit_tree(&tree, commit), 0);
    git_commit_free(commit);
    assert_int_equal(git_treebuilder_new(&builder, history->repo, tree), 0);
    git_tree_free(tree);
    assert_int_equal(git_blob_create_from_buffer(&blob, history->repo, text, strlen(text)), 0);
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "z%04u.yaml", i);
        assert_int_equal(git_treebuilder_insert(NULL, builder, name, &blob, GIT_FILEMODE_BLOB), 0);
    }
    assert_int_equal(git_treebuilder_write(&id, builder), 0);
    git_treebuilder_free(builder);
    assert_int_equal(git_tree_lookup(&tree, history->repo, &id), 0);
    assert_int_equal(git_signature_new(&who, "Ann", "ann@example.org", 1700000000, 0), 0);
    assert_int_equal(
        git_commit_create(&id, history->repo, NULL, who, who, NULL, "Many", tree, 0, NULL), 0);
    git_signature_free(who);
    git_tree_free(tree);
    git_oid_tostr(hex, 65, &id);
}

static bool is_made(struct history *history, const struct part_ask *ask)
{
    struct part part;
    bool is_made = part_make(history->world->arena, ask, &part);
    if (is_made)
        part_free(&part);
    return is_made;
}

/* The keys are of another commit, or written by a program that made them in another way. */
static void keys_that_are_not_of_this_commit_are_not_used(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    char commit[65];
    struct rack rack = history.rack;
    const struct plan *settled = rest(&history);
    item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    rack_commit(&history, &rack, commit);
    struct part_ask ask = ask_for(&history, settled, commit);
    assert_true(is_made(&history, &ask));
    struct part_source *source = ask.context;
    source->by = "another";
    assert_false(is_made(&history, &ask));
    source->by = "test";
    ask.from = ask.to;
    assert_false(is_made(&history, &ask));
    history_end(&history);
}

/* As many files as the site allows, and one more. */
static void a_commit_with_too_many_files_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    char commit[65];
    struct rack rack = history.rack;
    const struct plan *settled = rest(&history);
    item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    rack_commit(&history, &rack, commit);
    struct part_ask ask = ask_for(&history, settled, commit);
    ask.max_files = 3;
    assert_true(is_made(&history, &ask));
    ask.max_files = 2;
    assert_false(is_made(&history, &ask));
    history_end(&history);
}

static void a_change_of_too_many_files_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    char commit[65];
    const struct plan *settled = rest(&history);
    files_commit(&history, &history.rack, 256, "# nothing\n", commit);
    const struct part_ask ask = ask_for(&history, settled, commit);
    assert_true(is_made(&history, &ask));
    files_commit(&history, &history.rack, 257, "# nothing\n", commit);
    assert_false(is_made(&history, &ask));
    history_end(&history);
}

/* What any number refer to has to do with all of them: here files are said to, and declare
 * nothing. */
static void a_change_with_too_wide_a_reach_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    struct rack rack = history.rack;
    char commit[65];
    files_commit(&history, &rack, 4097, "# nothing\n", history.commit);
    const struct plan *settled = rest(&history);
    rack.items[0].numbers[6] = 1; /* a label of the project */
    files_commit(&history, &rack, 4097, "# nothing\n", commit);
    const struct part_ask ask = ask_for(&history, settled, commit);
    for (unsigned i = 0; i < 4097; i++) {
        if (i == 4096)
            assert_true(is_made(&history, &ask));
        assert_int_equal(store_mention_put(history.store,
                                           mention_key(MENTION_REF, "Project", NULL, "p0"),
                                           arena_printf(history.world->arena, "z%04u.yaml", i),
                                           &history.scene->err),
                         0);
    }
    assert_false(is_made(&history, &ask));
    history_end(&history);
}

/* One file declares them all. */
static void a_part_of_too_many_is_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    for (unsigned count = 4095; count <= 4096; count++) { /* beside the project that they are of */
        struct text text = TEXT_INIT;
        struct report report;
        char commit[65];
        struct rack rack = history.rack;
        for (unsigned i = 0; i < count; i++)
            text_printf(&text,
                        "---\napiVersion: spinel/v1\nkind: SSHKey\n"
                        "metadata: {name: k%u, project: p0}\nspec: {publicKey: \"%s\"}\n",
                        i, KEY_A);
        files_commit(&history, &rack, 1, text.data, history.commit);
        rack.items[0].numbers[6] = 1;
        files_commit(&history, &rack, 1, text.data, commit);
        text_free(&text);
        const struct set *set = whole_load(&history, history.commit, &report);
        assert_int_equal(report.count, 0);
        assert_int_equal(source_mentions_put(history.source, history.store, "test", history.commit,
                                             set, &history.scene->err),
                         0);
        struct part_ask ask = ask_for(&history, NULL, commit);
        assert_int_equal(is_made(&history, &ask), count == 4095);
    }
    history_end(&history);
}

/* All that ever had another name are in each part. */
static void more_renamed_objects_than_a_part_holds_are_left_to_the_whole(void **state)
{
    struct history history;
    history_begin(&history, *state, 1);
    char commit[65];
    struct rack rack = history.rack;
    const struct plan *settled = rest(&history);
    item_put(&rack, "Volume", 0, "vol0", "size: 64MiB");
    rack_commit(&history, &rack, commit);
    const struct part_ask ask = ask_for(&history, settled, commit);
    for (unsigned i = 0; i < 257; i++) {
        struct arena *arena = history.world->arena;
        struct known known = {
            .uid = arena_printf(arena, "%032u", i),
            .kind = "Volume",
            .project = "p1",
            .name = arena_printf(arena, "other%u", i),
            .life = LIFE_LIVE,
            .chosen = json(history.world, "{\"formerly\":[\"another\"]}"),
        };
        if (i == 256)
            assert_true(is_made(&history, &ask));
        assert_int_equal(store_object_put(history.store, &known, &history.scene->err), 0);
    }
    assert_false(is_made(&history, &ask));
    history_end(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_name_that_an_object_bore_before_is_left_to_the_whole),
        CASE(a_former_name_that_is_on_record_is_not_given_by_a_part),
        CASE(a_uid_that_an_unrelated_row_has_is_left_to_the_whole),
        CASE(what_a_record_refers_to_is_in_the_part),
        CASE(who_gives_way_to_an_address_is_in_the_part),
        CASE(a_plan_with_a_step_beside_the_change_is_not_of_the_part),
        CASE(keys_that_are_not_of_this_commit_are_not_used),
        CASE(a_commit_with_too_many_files_is_left_to_the_whole),
        CASE(a_change_of_too_many_files_is_left_to_the_whole),
        CASE(a_change_with_too_wide_a_reach_is_left_to_the_whole),
        CASE(a_part_of_too_many_is_left_to_the_whole),
        CASE(more_renamed_objects_than_a_part_holds_are_left_to_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
