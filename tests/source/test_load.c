/* SPDX-License-Identifier: MPL-2.0 */
/* From commits and files to sets: the parse cache, what it never holds, and overlays. */
#include "tests/source/repository_scene.h"

#include <sys/stat.h>
#include "model/json.h"
#include "reconciler/store/store.h"

#define PROJECT "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n"
#define VOLUME(name, size)                                        \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: " name \
    ", project: shop}\nspec: {size: " size "}\n"
#define SECRET                                                                      \
    ("apiVersion: spinel/v1\nkind: Instance\nmetadata: {name: vm, project: shop}\n" \
     "spec: {cpus: 1, memory: 64MiB, cloudInit: {userData: hunter2}}\n")

static const struct set *load(struct scene *scene, struct source *source, struct store *store,
                              const char *commit)
{
    const struct set *set = NULL;
    report_init(&scene->report, scene->arena);
    if (source_load(source, store, scene->arena, commit, &set, &scene->report, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return set;
}

static struct store *store_for(struct scene *scene)
{
    struct store *store = NULL;
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/state", scene->dir);
    if (store_open(dir, STORE_WRITE, &store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return store;
}

static const struct value *cached(struct scene *scene, struct store *store, const char *text)
{
    const struct value *documents = NULL;
    assert_int_equal(
        store_parse_get(store, scene->arena, blob(scene, text), &documents, &scene->err), 0);
    return documents;
}

static void a_commit_becomes_its_set(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(
        scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GiB") "---\n" VOLUME("b", "2GiB")));
    struct source *source = source_for(scene);

    const struct set *set = load(scene, source, NULL, commit);

    assert_int_equal(scene->report.count, 0);
    assert_int_equal(set->declared, 3);
    const struct resource *b = set_find(set, "Volume", "shop", "b");
    assert_string_equal(b->at.file, "v.yaml");
    assert_int_equal(value_get_int(b->spec, "size", 0), 2147483648);
    source_close(source);
}

static void the_second_load_reads_no_blob_and_gives_the_same(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(
        scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GiB") "---\n" VOLUME("b", "2GiB")));
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);

    const struct set *first = load(scene, source, store, commit);
    uint64_t blobs = source->blobs_read;
    const struct set *second = load(scene, source, store, commit);

    assert_int_equal(blobs, 2);
    assert_int_equal(source->blobs_read, blobs);
    assert_int_equal(first->count, second->count);
    for (size_t i = 0; i < first->count; i++) {
        char hex[2][DIGEST_TEXT];
        assert_string_equal(resource_digest(first->resources[i], hex[0]),
                            resource_digest(second->resources[i], hex[1]));
        assert_string_equal(first->resources[i]->at.file, second->resources[i]->at.file);
        assert_int_equal(first->resources[i]->at.line, second->resources[i]->at.line);
    }
    source_close(source);
    store_close(store);
}

static void one_edit_reads_one_blob(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GiB")));
    char *new = commit_files(scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "2GiB")));
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);
    load(scene, source, store, old);
    uint64_t blobs = source->blobs_read;

    load(scene, source, store, new);

    assert_int_equal(source->blobs_read - blobs, 1);
    source_close(source);
    store_close(store);
}

static void a_manifest_with_a_secret_is_never_cached(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("p.yaml", PROJECT, "vm.yaml", SECRET));
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);

    const struct set *set = load(scene, source, store, commit);

    assert_int_equal(scene->report.count, 0);
    assert_non_null(set_find(set, "Instance", "shop", "vm"));
    assert_non_null(cached(scene, store, PROJECT));
    assert_null(cached(scene, store, SECRET));
    source_close(source);
    store_close(store);
    char *hits = git(scene, "grep -l hunter2 ../state/* || true");
    assert_string_equal(hits, "");
}

static void a_manifest_with_a_problem_is_not_cached_and_keeps_its_place(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GB")));
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);

    for (int i = 0; i < 2; i++) {
        load(scene, source, store, commit);
        assert_int_equal(scene->report.count, 1);
        assert_string_equal(scene->report.problems[0].at.file, "v.yaml");
        assert_int_equal(scene->report.problems[0].at.line, 4);
        assert_string_equal(scene->report.problems[0].source, "spec: {size: 1GB}");
    }
    assert_null(cached(scene, store, VOLUME("a", "1GB")));
    source_close(source);
    store_close(store);
}

static void a_problem_of_the_whole_points_into_a_cached_manifest(void **state)
{
    struct scene *scene = *state;
    char *good = commit_files(scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GiB")));
    char *bad = commit_files(scene, FILES("p.yaml", PROJECT, "v.yaml", VOLUME("a", "1GiB"),
                                          "w.yaml", VOLUME("a", "2GiB")));
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);
    load(scene, source, store, good);

    load(scene, source, store, bad);

    assert_true(scene->report.count > 0);
    assert_non_null(scene->report.problems[0].source);
    assert_true(scene->report.problems[0].at.line > 0);
    source_close(source);
    store_close(store);
}

static void the_cache_is_not_written_without_the_lock(void **state)
{
    struct scene *scene = *state;
    char dir[128];
    struct store *reader = NULL;
    char *commit = commit_files(scene, FILES("p.yaml", PROJECT));
    store_close(store_for(scene));
    snprintf(dir, sizeof(dir), "%s/state", scene->dir);
    assert_int_equal(store_open(dir, STORE_READ, &reader, &scene->err), 0);
    struct source *source = source_for(scene);

    assert_int_equal(load(scene, source, reader, commit)->declared, 1);
    assert_null(cached(scene, reader, PROJECT));
    source_close(source);
    store_close(reader);
}

/* ---- overlays ----------------------------------------------------------------------- */

static const struct set *overlay(struct scene *scene, struct source *source, struct store *store,
                                 const char *base, const struct changed *changes, size_t count)
{
    const struct set *set = NULL;
    if (source_overlay(source, store, scene->arena, base, changes, count, &set, &scene->report,
                       &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return set;
}

static void an_overlay_replaces_adds_and_removes(void **state)
{
    struct scene *scene = *state;
    char *base = commit_files(scene, FILES("p.yaml", PROJECT, "a.yaml", VOLUME("a", "1GiB"),
                                           "b.yaml", VOLUME("b", "1GiB")));
    const char *bigger = VOLUME("a", "4GiB"), *more = VOLUME("c", "1GiB");
    const struct changed changes[] = {
        {.path = "a.yaml", .data = bigger, .len = strlen(bigger)},
        {.path = "b.yaml"},
        {.path = "sub/c.yaml", .data = more, .len = strlen(more)},
    };
    struct source *source = source_for(scene);

    const struct set *set = overlay(scene, source, NULL, base, changes, 3);

    assert_int_equal(scene->report.count, 0);
    assert_int_equal(set->declared, 3);
    assert_int_equal(value_get_int(set_find(set, "Volume", "shop", "a")->spec, "size", 0),
                     4294967296);
    assert_null(set_find(set, "Volume", "shop", "b"));
    assert_non_null(set_find(set, "Volume", "shop", "c"));
    source_close(source);
}

static void a_claimed_blob_id_does_not_poison_the_cache(void **state)
{
    struct scene *scene = *state;
    const char *mine = VOLUME("mine", "1GiB");
    const struct changed changes[] = {
        {.path = "a.yaml", .blob = blob(scene, PROJECT), .data = mine, .len = strlen(mine)},
    };
    struct store *store = store_for(scene);
    struct source *source = source_for(scene);

    overlay(scene, source, store, NULL, changes, 1);

    assert_null(cached(scene, store, PROJECT));
    source_close(source);
    store_close(store);
}

static void an_overlay_outside_the_repository_is_a_problem(void **state)
{
    struct scene *scene = *state;
    static const char *const paths[] = {
        "../x.yaml", "/etc/x.yaml", "a/.git/x.yaml", "x.txt", "a//b.yaml", "a\\b.yaml", ""};
    struct source *source = source_for(scene);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct changed change = {.path = paths[i], .data = PROJECT, .len = strlen(PROJECT)};
        report_init(&scene->report, scene->arena);
        assert_int_equal(overlay(scene, source, NULL, NULL, &change, 1)->declared, 0);
        assert_string_equal(problem_code(scene, paths[i]), "bad-name");
    }
    source_close(source);
}

/* ---- files -------------------------------------------------------------------------- */

static void file_write(struct scene *scene, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", scene->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const struct set *check(struct scene *scene, const char *const *paths, size_t count,
                               size_t *files)
{
    const struct set *set = NULL;
    if (files_load(scene->arena, paths, count, &set, files, &scene->report, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return set;
}

static void a_folder_is_read_in_order_and_skips_what_is_hidden(void **state)
{
    struct scene *scene = *state;
    const char *paths[] = {scene->dir};
    size_t files = 0;
    git(scene, "mkdir ../sub ../.hidden");
    file_write(scene, "sub/p.yml", PROJECT);
    file_write(scene, "v.yaml", VOLUME("a", "1GiB"));
    file_write(scene, ".hidden/v.yaml", VOLUME("h", "1GiB"));
    file_write(scene, "spinel.yaml", "kind: Site\n");
    file_write(scene, "README", "words");

    const struct set *set = check(scene, paths, 1, &files);

    assert_int_equal(files, 2);
    assert_int_equal(scene->report.count, 0);
    assert_int_equal(set->declared, 2);
}

static void a_file_that_two_paths_lead_to_is_read_once(void **state)
{
    struct scene *scene = *state;
    size_t files = 0;
    file_write(scene, "p.yaml", PROJECT);
    char *file = arena_printf(scene->arena, "%s/p.yaml", scene->dir);
    const char *paths[] = {scene->dir, file};

    check(scene, paths, 2, &files);

    assert_int_equal(files, 1);
    assert_int_equal(scene->report.count, 0);
}

static void a_link_counts_only_where_it_is_named(void **state)
{
    struct scene *scene = *state;
    size_t files = 0;
    git(scene, "mkdir ../links ../elsewhere && ln -s ../elsewhere/p.yaml ../links/p.yaml");
    file_write(scene, "elsewhere/p.yaml", PROJECT);
    char *folder = arena_printf(scene->arena, "%s/links", scene->dir);
    char *link = arena_printf(scene->arena, "%s/links/p.yaml", scene->dir);

    assert_int_equal(check(scene, (const char *[]){folder}, 1, &files)->declared, 0);
    assert_string_equal(problem_code(scene, link), "not-a-file");
    report_init(&scene->report, scene->arena);
    assert_int_equal(check(scene, (const char *[]){link}, 1, &files)->declared, 1);
    assert_int_equal(scene->report.count, 0);
}

static void a_pipe_in_a_folder_does_not_hang(void **state)
{
    struct scene *scene = *state;
    size_t files = 0;
    char *pipe = arena_printf(scene->arena, "%s/p.yaml", scene->dir);
    assert_int_equal(mkfifo(pipe, 0600), 0);

    check(scene, (const char *[]){scene->dir}, 1, &files);

    assert_string_equal(problem_code(scene, pipe), "not-a-file");
}

static void what_cannot_be_read_or_is_empty_is_a_problem(void **state)
{
    struct scene *scene = *state;
    size_t files = 9;
    char *missing = arena_printf(scene->arena, "%s/missing.yaml", scene->dir);
    git(scene, "mkdir ../empty");
    char *empty = arena_printf(scene->arena, "%s/empty", scene->dir);

    check(scene, (const char *[]){missing, empty}, 2, &files);

    assert_int_equal(files, 0);
    assert_string_equal(problem_code(scene, missing), "unreadable");
    assert_string_equal(problem_code(scene, empty), "no-manifests");
}

static void standard_input_is_named_so(void **state)
{
    struct scene *scene = *state;
    size_t files = 0;
    int ends[2], saved = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(write(ends[1], "kind: [", 7) == 7);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);

    check(scene, (const char *[]){"-"}, 1, &files);

    dup2(saved, STDIN_FILENO);
    close(saved);
    close(ends[0]);
    assert_int_equal(files, 1);
    assert_non_null(problem_code(scene, "<stdin>"));
    assert_non_null(scene->report.problems[0].source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_commit_becomes_its_set),
        CASE(the_second_load_reads_no_blob_and_gives_the_same),
        CASE(one_edit_reads_one_blob),
        CASE(a_manifest_with_a_secret_is_never_cached),
        CASE(a_manifest_with_a_problem_is_not_cached_and_keeps_its_place),
        CASE(a_problem_of_the_whole_points_into_a_cached_manifest),
        CASE(the_cache_is_not_written_without_the_lock),
        CASE(an_overlay_replaces_adds_and_removes),
        CASE(a_claimed_blob_id_does_not_poison_the_cache),
        CASE(an_overlay_outside_the_repository_is_a_problem),
        CASE(a_folder_is_read_in_order_and_skips_what_is_hidden),
        CASE(a_file_that_two_paths_lead_to_is_read_once),
        CASE(a_link_counts_only_where_it_is_named),
        CASE(a_pipe_in_a_folder_does_not_hang),
        CASE(what_cannot_be_read_or_is_empty_is_a_problem),
        CASE(standard_input_is_named_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
