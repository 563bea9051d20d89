/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plan of a change, made of a part of the rack, beside the plan of the whole: histories drawn
 * from a seed, of manifests that often clash, are renamed, swap what they hold and leave. Each
 * commit is loaded and planned in full; where the part is taken its plan must be the same document
 * byte for byte, and a commit with a problem must never be taken. PART_TURNS and PART_SEED draw
 * more and others.
 */
#include "tests/plan/world.h"
#include "tests/source/repository_scene.h"

#include "model/mention.h"
#include "reconciler/engine/part.h"
#include "reconciler/store/query.h"

enum { ITEMS_MAX = 96, GOAL = 50, FILES = 24, FOLDERS = 4, NAME = 16 };

#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA b"

/* ---- a drawn rack ------------------------------------------------------------------- */

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

static unsigned draw(struct history *history, unsigned below)
{
    history->random ^= history->random << 13;
    history->random ^= history->random >> 7;
    history->random ^= history->random << 17;
    return (unsigned)(history->random >> 33) % below;
}

static const struct {
    const char *kind, *names;
    unsigned name_count, weight;
    bool is_rack, is_either;
} sorts[] = {
    {"Project", "p", 2, 1, true, false},        {"Pool", "pool", 2, 1, true, false},
    {"Image", "img", 2, 2, false, true},        {"SSHKey", "key", 2, 2, false, true},
    {"Volume", "vol", 8, 8, false, false},      {"VPC", "net", 2, 2, false, false},
    {"Subnet", "sub", 4, 4, false, false},      {"Instance", "vm", 5, 8, false, false},
    {"Firewall", "wall", 2, 2, false, false},   {"FloatingIP", "out", 3, 3, false, false},
    {"PortForward", "fwd", 3, 3, false, false},
};
enum { SORTS = sizeof(sorts) / sizeof(*sorts) };

static void item_roll(struct history *history, struct item *item)
{
    for (size_t i = 0; i < sizeof(item->numbers) / sizeof(*item->numbers); i++)
        item->numbers[i] = draw(history, 1000);
}

static void item_draw(struct history *history, struct item *item)
{
    unsigned at = draw(history, 36), sort = 0;
    while (at >= sorts[sort].weight) {
        at -= sorts[sort].weight;
        sort++;
    }
    *item = (struct item){.kind = sorts[sort].kind, .file = draw(history, FILES)};
    bool is_rack = sorts[sort].is_rack || (sorts[sort].is_either && draw(history, 2));
    item->project = is_rack ? -1 : (int)draw(history, 2);
    snprintf(item->name, sizeof(item->name), "%s%u", sorts[sort].names,
             draw(history, sorts[sort].name_count));
    item_roll(history, item);
}

static void volume_write(struct text *out, const unsigned *n)
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

static void nic_write(struct text *out, unsigned number, unsigned n, unsigned m)
{
    text_printf(out, "%s{name: eth%u, subnet: sub%u", number ? ", " : "", number, n % 4);
    if (m % 3 == 0) /* of the subnet most of the time */
        text_printf(out, ", address: 10.0.%u.%u", n % 4, 1 + m / 3 % 6);
    if (m % 7 == 0)
        text_printf(out, ", mac: \"02:00:00:00:00:%02u\"", m / 7 % 4);
    text_add(out, "}");
}

static void instance_write(struct text *out, const unsigned *n)
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

static void firewall_write(struct text *out, const unsigned *n)
{
    text_printf(out,
                "vpc: net%u, rules: [{name: web, targets: [{%s%u}],"
                " hosts: [{cidr: 10.0.0.0/8}], protocols: [{protocol: tcp, ports: [%u]}]}]",
                n[0] % 2, n[1] % 2 ? "instance: vm" : "subnet: sub", n[2] % 4, 80 + n[3] % 3);
}

static void spec_write(struct text *out, const struct item *item)
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

static void item_write(struct text *out, const struct item *item)
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

/* Machines whose first disk is the volume follow it to its new name. */
static void users_follow(struct rack *rack, const struct item *volume, char was)
{
    for (size_t i = 0; i < rack->count; i++) {
        struct item *user = &rack->items[i];
        if (strcmp(user->kind, "Instance") == 0 && user->project == volume->project &&
            user->numbers[2] % 8 == (unsigned)(was - '0'))
            user->numbers[2] = (unsigned)(volume->name[3] - '0');
    }
}

/* ---- edits -------------------------------------------------------------------------- */

static void edit(struct history *history, struct rack *rack)
{
    struct item *item = rack->count ? &rack->items[draw(history, (unsigned)rack->count)] : NULL;
    bool is_small = rack->count < GOAL;
    unsigned kind = draw(history, 14);
    if (!item || (kind < (is_small ? 6u : 3u) && rack->count < ITEMS_MAX)) {
        item_draw(history, &rack->items[rack->count++]);
    } else if (kind < (is_small ? 7u : 8u)) {
        *item = rack->items[--rack->count];
    } else if (kind < 11) {
        item->numbers[draw(history, 8)] = draw(history, 1000);
    } else if (kind == 11) {
        item_roll(history, item);
    } else if (kind == 12) {
        char was = item->name[strlen(item->name) - 1];
        memcpy(item->renamed_from, item->name, sizeof(item->name));
        item->name[strlen(item->name) - 1] = (char)('0' + draw(history, 8));
        if (strcmp(item->kind, "Volume") == 0)
            users_follow(rack, item, was);
    } else {
        item->file = draw(history, FILES);
        item->renamed_from[0] = '\0';
        if (draw(history, 3) == 0) { /* from any name, in use or not */
            memcpy(item->renamed_from, item->name, sizeof(item->name));
            item->renamed_from[strlen(item->name) - 1] = (char)('0' + draw(history, 8));
        }
    }
}

/* ---- commits ------------------------------------------------------------------------ */

static void folder_write(struct history *history, const struct rack *rack, unsigned folder,
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

static void rack_commit(struct history *history, const struct rack *rack, char hex[65])
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

static const struct set *whole_load(struct history *history, const char *commit,
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

static void rows_store(struct history *history)
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
static void guests_restart(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->rows[i].kind, "Instance") == 0 && w->rows[i].observed.booted)
            world_stop(w, w->rows[i].name, "guest-shutdown");
    world_apply(w);
}

/* Makes the world true to a valid commit; false if the plan still has a line then. */
static bool world_settle(struct history *history, const struct set *set, const char *commit)
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

static const char *document(struct history *history, const struct plan *plan)
{
    return json_text(history->world->arena, plan_value(history->world->arena, plan));
}

static struct plan_input whole_input(struct history *history, const struct set *set,
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

static void steps_count(struct history *history, const struct plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++)
        history->steps[plan->steps[i].action]++;
}

static struct part_ask ask_for(struct history *history, const struct plan *settled,
                               const char *commit)
{
    return (struct part_ask){.source = history->source,
                             .store = history->store,
                             .by = "test",
                             .from = history->commit,
                             .declared = settled ? settled->resources : 0,
                             .to = commit,
                             .max_files = 10000};
}

/* `set` is NULL for a commit that is not valid. */
static void compare(struct history *history, const struct plan *settled, const struct set *set,
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
        history->taken++;
        steps_count(history, whole);
    } else {
        history->left++;
    }
    part_free(&part);
}

/* ---- a history ---------------------------------------------------------------------- */

/* The world begins anew, in an arena of its own, with nothing but what is declared. */
static void world_anew(struct history *history)
{
    void *state = history->world;
    if (state)
        world_teardown(&state);
    assert_int_equal(world_setup(&state), 0);
    history->world = state;
    history->world->input.policy = (struct plan_policy){4, 10, 60};
}

/* The state that the part's plan starts from: rows and keys of a commit with an empty plan. */
static const struct plan *rest(struct history *history)
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
    history->world->input.baseline = (int64_t)set->declared; /* as a core that has converged says */
    struct plan_input input = whole_input(history, set, history->commit);
    return plan_make(history->world->arena, &input);
}

/* Plans a commit both ways, and goes on from it if it is valid. */
static bool rack_try(struct history *history, const struct plan *settled, struct rack next)
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

static bool turn(struct history *history, const struct plan *settled)
{
    struct rack next = history->rack;
    for (unsigned edits = 1 + draw(history, 3); edits > 0; edits--)
        edit(history, &next);
    return rack_try(history, settled, next);
}

static unsigned setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void history_begin(struct history *history, struct scene *scene, unsigned seed)
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

static void history_end(struct history *history)
{
    void *state = history->world;
    world_teardown(&state);
    git_repository_free(history->repo);
    source_close(history->source);
    store_close(history->store);
}

/* A rack to begin with: what can be added is. */
static void history_grow(struct history *history)
{
    for (unsigned i = 0; i < 1000 && history->rack.count < GOAL; i++) {
        struct rack next = history->rack;
        struct report report;
        char commit[65];
        item_draw(history, &next.items[next.count++]);
        rack_commit(history, &next, commit);
        whole_load(history, commit, &report);
        if (report.count)
            continue;
        history->rack = next;
        memcpy(history->commit, commit, sizeof(commit));
    }
}

static void the_plan_of_a_part_is_the_plan_of_the_whole(void **state)
{
    struct history history;
    unsigned turns = setting("PART_TURNS", 300);
    history_begin(&history, *state, setting("PART_SEED", 1));
    history_grow(&history);
    for (unsigned i = 0; i < turns; i++) {
        const struct plan *settled = rest(&history);
        assert_int_equal(settled->step_count, 0);
        for (unsigned tries = 0; tries < 3; tries++) {
            struct rack before = history.rack;
            char commit[65];
            memcpy(commit, history.commit, sizeof(commit));
            turn(&history, settled);
            history.rack = before;
            memcpy(history.commit, commit, sizeof(commit));
        }
        for (unsigned tries = 0; tries < 8 && !turn(&history, settled); tries++)
            ; /* that is the one to go on from */
    }
    print_message("# %u taken, %u left to the whole, %u not valid; steps: %u create, %u update, %u"
                  " restart, %u delete, %u release, %u adopt; %u rests with other names before; "
                  "%zu manifests at the end\n",
                  history.taken, history.left, history.refused, history.steps[ACTION_CREATE],
                  history.steps[ACTION_UPDATE], history.steps[ACTION_RESTART],
                  history.steps[ACTION_DELETE], history.steps[ACTION_RELEASE],
                  history.steps[ACTION_ADOPT], history.renamed, history.rack.count);
    assert_true(history.taken > turns / 2);
    assert_true(history.refused > turns / 8);
    assert_true(history.left < history.taken / 8);
    history_end(&history);
}

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
    ask.by = "another";
    assert_false(is_made(&history, &ask));
    ask.by = "test";
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
        CASE(the_plan_of_a_part_is_the_plan_of_the_whole),
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
