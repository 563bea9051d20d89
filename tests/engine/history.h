/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_ENGINE_HISTORY_H
#define TESTS_ENGINE_HISTORY_H

/*
 * A history of commits for tests of the part (reconciler/engine/part.h): a world that is true to
 * each of them, and both plans of the next.
 */
#include "tests/plan/world.h"
#include "tests/source/repository_scene.h"

#include "reconciler/engine/part.h"
#include "reconciler/store/query.h"

enum { ITEMS_MAX = 96, FILES = 24, FOLDERS = 4, NAME = 16 };

#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA b"

/* A manifest as numbers: what they mean is its kind's. */
struct item {
    const char *kind;
    int project; /* -1: rack-wide */
    char name[NAME], renamed_from[NAME];
    const char *spec; /* as it is written; NULL: by the numbers */
    unsigned numbers[8];
    unsigned file;
};

struct rack {
    struct item items[ITEMS_MAX];
    size_t count;
};

struct history {
    struct scene *scene;
    struct world *world;
    struct store *store;
    struct source *source;
    git_repository *repo;
    uint64_t random;
    struct rack rack; /* that the world is true to */
    char commit[65];
    unsigned renamed; /* rests at which an object had another name before */
    unsigned taken, left, refused, steps[ACTION_RELEASE + 1];
};

/* ---- manifests ---------------------------------------------------------------------- */

WORLD_FN void volume_write(struct text *out, const unsigned *n)
{
    text_printf(out, "size: %uMiB", 64 + n[0] % 3 * 64);
    if (n[1] % 3 == 0)
        text_printf(out, ", image: img%u", n[2] % 2);
    if (n[3] % 3 == 0)
        text_printf(out, ", pool: pool%u", n[4] % 2);
    if (n[5] % 3 == 0)
        text_add(out, ", onRemove: delete");
    if (n[6] % 8 == 0)
        text_add(out, ", protect: true");
}

WORLD_FN void nic_write(struct text *out, unsigned number, unsigned n, unsigned m)
{
    text_printf(out, "%s{name: eth%u, subnet: sub%u", number ? ", " : "", number, n % 4);
    if (m % 3 == 0) /* of the subnet most of the time */
        text_printf(out, ", address: 10.0.%u.%u", n % 4, 1 + m / 3 % 6);
    if (m % 7 == 0)
        text_printf(out, ", mac: \"02:00:00:00:00:%02u\"", m / 7 % 4);
    text_add(out, "}");
}

WORLD_FN void instance_write(struct text *out, const unsigned *n)
{
    text_printf(out, "cpus: %u, memory: 64MiB, updatePolicy: {restart: %s}, disks: [", 1 + n[0] % 2,
                n[0] % 5 ? "immediate" : "onNextStop");
    for (unsigned i = 0; i < n[1] % 3; i++)
        text_printf(out, "%s{name: disk%u, volume: vol%u, readOnly: %s}", i ? ", " : "", i,
                    (n[2] + i) % 8, n[3] % 4 ? "false" : "true");
    text_add(out, "], nics: [");
    for (unsigned i = 0; i < n[4] % 3; i++)
        nic_write(out, i, n[5] + i, n[6] + i);
    text_add(out, "]");
    if (n[7] % 3 == 0)
        text_printf(out, ", cloudInit: {sshKeys: [key%u], instanceIdPolicy: bump, userData: x%u}",
                    n[7] % 2, n[7] % 5);
}

WORLD_FN void firewall_write(struct text *out, const unsigned *n)
{
    text_printf(out,
                "vpc: net%u, rules: [{name: web, targets: [{%s%u}],"
                " hosts: [{cidr: 10.0.0.0/8}], protocols: [{protocol: tcp, ports: [%u]}]}]",
                n[0] % 2, n[1] % 2 ? "instance: vm" : "subnet: sub", n[2] % 4, 80 + n[3] % 3);
}

WORLD_FN void spec_write(struct text *out, const struct item *item)
{
    const unsigned *n = item->numbers;
    if (item->spec)
        text_add(out, item->spec);
    else if (strcmp(item->kind, "Pool") == 0)
        text_printf(out, "path: /srv/%u", n[0] % 4);
    else if (strcmp(item->kind, "Image") == 0)
        text_printf(out, "url: \"https://example.org/%u\", digest: \"sha256:%064u\"", n[0] % 3, 7);
    else if (strcmp(item->kind, "SSHKey") == 0)
        text_printf(out, "publicKey: \"%s\"", n[0] % 2 ? KEY_A : KEY_B);
    else if (strcmp(item->kind, "Volume") == 0)
        volume_write(out, n);
    else if (strcmp(item->kind, "VPC") == 0)
        text_printf(out, "prefixes: [%s]", n[0] % 8 ? "10.0.0.0/16" : "10.0.0.0/23");
    else if (strcmp(item->kind, "Subnet") == 0)
        text_printf(out, "vpc: net%u, cidr: 10.0.%u.0/%u", n[0] % 4 == 0,
                    n[1] % 5 ? (unsigned)(item->name[3] - '0') : n[2] % 4, 28 + n[3] % 2);
    else if (strcmp(item->kind, "Instance") == 0)
        instance_write(out, n);
    else if (strcmp(item->kind, "Firewall") == 0)
        firewall_write(out, n);
    else if (strcmp(item->kind, "FloatingIP") == 0)
        text_printf(out, "address: 192.0.2.%u, vpc: net%u%s%.*u", n[0] % 4, n[1] % 4 == 0,
                    n[2] % 3 ? ", instance: vm" : "", n[2] % 3 ? 1 : 0, n[2] % 3 ? n[3] % 5 : 0);
    else if (strcmp(item->kind, "PortForward") == 0)
        text_printf(out, "vpc: net%u, port: %u, instance: vm%u, protocol: %s%s", n[0] % 4 == 0,
                    8000 + n[1] % 3, n[2] % 5, n[3] % 2 ? "tcp" : "udp",
                    n[4] % 2 ? ", address: 192.0.2.9" : "");
}

WORLD_FN void item_write(struct text *out, const struct item *item)
{
    text_printf(out, "---\napiVersion: spinel/v1\nkind: %s\nmetadata:\n  name: %s\n", item->kind,
                item->name);
    if (item->project >= 0)
        text_printf(out, "  project: p%d\n", item->project);
    if (item->renamed_from[0])
        text_printf(out, "  renamedFrom: %s\n", item->renamed_from);
    if (item->numbers[7] % 4 == 0)
        text_printf(out, "  labels: {tier: t%u}\n", item->numbers[6] % 3);
    text_add(out, "spec: {");
    spec_write(out, item);
    text_add(out, "}\n");
}

/* ---- commits ------------------------------------------------------------------------ */

WORLD_FN void folder_write(struct history *history, const struct rack *rack, unsigned folder,
                           git_oid *id)
{
    git_treebuilder *builder;
    assert_int_equal(git_treebuilder_new(&builder, history->repo, NULL), 0);
    for (unsigned file = folder; file < FILES; file += FOLDERS) {
        struct text text = TEXT_INIT;
        char name[32];
        git_oid blob;
        for (size_t i = 0; i < rack->count; i++)
            if (rack->items[i].file == file)
                item_write(&text, &rack->items[i]);
        if (text.len > 0) {
            snprintf(name, sizeof(name), "f%02u.yaml", file);
            assert_int_equal(git_blob_create_from_buffer(&blob, history->repo, text.data, text.len),
                             0);
            assert_int_equal(git_treebuilder_insert(NULL, builder, name, &blob, GIT_FILEMODE_BLOB),
                             0);
        }
        text_free(&text);
    }
    assert_int_equal(git_treebuilder_write(id, builder), 0);
    git_treebuilder_free(builder);
}

WORLD_FN void rack_commit(struct history *history, const struct rack *rack, char hex[65])
{
    git_treebuilder *builder;
    git_signature *who;
    git_oid id;
    git_tree *tree;
    assert_int_equal(git_treebuilder_new(&builder, history->repo, NULL), 0);
    for (unsigned folder = 0; folder < FOLDERS; folder++) {
        char name[32];
        folder_write(history, rack, folder, &id);
        snprintf(name, sizeof(name), "d%u", folder);
        git_treebuilder_insert(NULL, builder, name, &id, GIT_FILEMODE_TREE);
    }
    assert_int_equal(git_treebuilder_write(&id, builder), 0);
    git_treebuilder_free(builder);
    assert_int_equal(git_tree_lookup(&tree, history->repo, &id), 0);
    assert_int_equal(git_signature_new(&who, "Ann", "ann@example.org", 1700000000, 0), 0);
    assert_int_equal(
        git_commit_create(&id, history->repo, NULL, who, who, NULL, "A change", tree, 0, NULL), 0);
    git_signature_free(who);
    git_tree_free(tree);
    git_oid_tostr(hex, 65, &id);
}

WORLD_FN const struct set *whole_load(struct history *history, const char *commit,
                                      struct report *report)
{
    const struct set *set = NULL;
    report_init(report, history->world->arena);
    assert_int_equal(source_load(history->source, NULL, history->world->arena, commit, &set, report,
                                 &history->scene->err),
                     0);
    return set;
}

/* ---- the world ---------------------------------------------------------------------- */

WORLD_FN void rows_store(struct history *history)
{
    struct error *err = &history->scene->err;
    struct world *w = history->world;
    assert_int_equal(store_begin(history->store, err), 0);
    assert_int_equal(sqlite3_exec(history->store->db, "DELETE FROM object", NULL, NULL, NULL), 0);
    for (size_t i = 0; i < w->count; i++) {
        assert_int_equal(store_object_put(history->store, &w->rows[i], err), 0);
        assert_int_equal(
            store_observation_put(history->store, w->rows[i].uid, &w->rows[i].observed, NULL, err),
            0);
    }
    assert_int_equal(store_commit(history->store, err), 0);
}

/* Machines stop by themselves and start again, so that nothing waits for that. */
WORLD_FN void guests_restart(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->rows[i].kind, "Instance") == 0 && w->rows[i].observed.booted)
            world_stop(w, w->rows[i].name, "guest-shutdown");
    world_apply(w);
}

/* Makes the world true to a valid commit; false if the plan still has a line then. */
WORLD_FN bool world_settle(struct history *history, const struct set *set, const char *commit)
{
    struct world *w = history->world;
    w->input.set = set;
    w->input.commit = arena_text(w->arena, commit);
    world_apply(w);
    if (w->plan->step_count)
        guests_restart(w);
    return w->plan->step_count == 0;
}

/* ---- both plans --------------------------------------------------------------------- */

WORLD_FN const char *document(struct history *history, const struct plan *plan)
{
    return json_text(history->world->arena, plan_value(history->world->arena, plan));
}

WORLD_FN struct plan_input whole_input(struct history *history, const struct set *set,
                                       const char *commit)
{
    struct plan_input input = history->world->input;
    struct known *rows = NULL;
    assert_int_equal(store_objects(history->store, history->world->arena, &rows, &input.known_count,
                                   &history->scene->err),
                     0);
    input.set = set;
    input.commit = commit;
    input.known = rows;
    return input;
}

/* What drivers would be sent. */
WORLD_FN void arguments_compare(struct history *history, const struct plan_input *input,
                                const struct plan *of_part, const struct plan *whole)
{
    struct arena *arena = history->world->arena;
    for (size_t i = 0; i < whole->step_count; i++)
        if (whole->steps[i].disposition == RUN)
            assert_string_equal(
                json_text(arena, step_arguments(arena, of_part, input, &of_part->steps[i])),
                json_text(arena, step_arguments(arena, whole, input, &whole->steps[i])));
}

WORLD_FN void steps_count(struct history *history, const struct plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++)
        history->steps[plan->steps[i].action]++;
}

WORLD_FN struct part_ask ask_for(struct history *history, const struct plan *settled,
                                 const char *commit)
{
    struct part_source *source = arena_alloc(history->world->arena, sizeof(*source));
    *source = (struct part_source){history->source, history->store, "test"};
    return (struct part_ask){.reader = &part_reader_source,
                             .context = source,
                             .store = history->store,
                             .from = history->commit,
                             .declared = settled ? settled->resources : 0,
                             .to = commit,
                             .max_files = 10000,
                             .max_bytes = 1 << 30};
}

/* `set` is NULL for a commit that is not valid. */
WORLD_FN void compare(struct history *history, const struct plan *settled, const struct set *set,
                      const char *commit)
{
    const struct part_ask ask = ask_for(history, settled, commit);
    struct part part;
    if (!part_make(history->world->arena, &ask, &part)) {
        history->left += set != NULL;
        history->refused += set == NULL;
        return;
    }
    assert_non_null(set);
    struct plan_input input = whole_input(history, set, commit);
    const struct plan *whole = plan_make(history->world->arena, &input);
    input.set = part.set;
    input.known = part.rows;
    input.known_count = part.row_count;
    input.world = settled->world;
    input.world_at = settled->observed_at;
    const struct plan *of_part = plan_make(history->world->arena, &input);
    if (part_covers(&part, of_part)) {
        assert_string_equal(document(history, of_part), document(history, whole));
        arguments_compare(history, &input, of_part, whole);
        history->taken++;
        steps_count(history, whole);
    } else {
        history->left++;
    }
    part_free(&part);
}

/* ---- a history ---------------------------------------------------------------------- */

/* The world begins anew, in an arena of its own, with nothing but what is declared. */
WORLD_FN void world_anew(struct history *history)
{
    void *state = history->world;
    if (state)
        world_teardown(&state);
    assert_int_equal(world_setup(&state), 0);
    history->world = state;
    history->world->input.policy = (struct plan_policy){4, 10, 60};
}

/* The state that the part's plan starts from: rows and keys of a commit with an empty plan. */
WORLD_FN const struct plan *rest(struct history *history)
{
    struct report report;
    const struct set *set = whole_load(history, history->commit, &report);
    assert_int_equal(report.count, 0);
    if (!world_settle(history, set, history->commit)) {
        world_anew(history);
        set = whole_load(history, history->commit, &report);
        assert_true(world_settle(history, set, history->commit));
    }
    rows_store(history);
    if (source_mentions_put(history->source, history->store, "test", history->commit, set,
                            &history->scene->err) < 0)
        fail_msg("%s", history->scene->err.message);
    struct known *renamed = NULL;
    size_t renamed_count = 0;
    store_objects_renamed(history->store, history->world->arena, 1, &renamed, &renamed_count,
                          &history->scene->err);
    history->renamed += renamed_count > 0;
    struct plan_input input = whole_input(history, set, history->commit);
    return plan_make(history->world->arena, &input);
}

/* Plans a commit both ways, and goes on from it if it is valid. */
WORLD_FN bool rack_try(struct history *history, const struct plan *settled, struct rack next)
{
    struct report report;
    char commit[65];
    rack_commit(history, &next, commit);
    const struct set *set = whole_load(history, commit, &report);
    compare(history, settled, report.count ? NULL : set, commit);
    if (report.count)
        return false;
    history->rack = next;
    memcpy(history->commit, commit, sizeof(commit));
    return true;
}

WORLD_FN void history_begin(struct history *history, struct scene *scene, unsigned seed)
{
    char dir[128];
    *history = (struct history){.scene = scene, .random = 88172645463325252u + seed};
    snprintf(dir, sizeof(dir), "%s/state", scene->dir);
    if (store_open(dir, STORE_WRITE, &history->store, &scene->err) < 0)
        fail_msg("%s", scene->err.message);
    sqlite3_exec(history->store->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    history->source = source_for(scene);
    assert_int_equal(git_repository_open(&history->repo, scene->repo), 0);
    world_anew(history);
    for (unsigned i = 0; i < 2; i++) {
        struct item *project = &history->rack.items[history->rack.count++];
        *project = (struct item){.kind = "Project", .project = -1, .file = i};
        snprintf(project->name, sizeof(project->name), "p%u", i);
    }
    rack_commit(history, &history->rack, history->commit);
}

WORLD_FN void history_end(struct history *history)
{
    void *state = history->world;
    world_teardown(&state);
    git_repository_free(history->repo);
    source_close(history->source);
    store_close(history->store);
}

#endif
