/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A commit that threads read ahead, beside the same commit without them: the set, its places, the
 * problems in their order, the parse cache and the errors are the same. Manifests are drawn, good
 * and bad, small and large.
 */
#include "tests/source/repository_scene.h"

#include <signal.h>
#include "model/json.h"
#include "reconciler/source/ahead.h"
#include "reconciler/source/bound.h"
#include "reconciler/store/query.h"

enum { FILES_DRAWN = 700, LARGE_BYTES = 70000, HUGE_BYTES = 9 << 20, THREADS = 4 };

static uint64_t random_state;

static unsigned draw(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % below;
}

/* ---- a commit ----------------------------------------------------------------------- */

static void document_add(struct text *out, unsigned i, bool is_bad)
{
    text_printf(out, "apiVersion: spinel/v1\nkind: %s\nmetadata:\n  name: v%u\n  project: shop\n",
                is_bad && draw(3) == 0 ? "Volum" : "Volume", is_bad && draw(3) == 0 ? 7 : i);
    text_printf(out, "  labels: {tier: t%u}\n  annotations: {note: \"n%u\"}\nspec:\n", draw(3),
                draw(9));
    text_printf(out, "  size: %s\n", is_bad && draw(2) ? "many" : "1GiB");
    if (is_bad && draw(2))
        text_add(out, "  colour: red\n  pool: nowhere\n");
}

static void manifest_draw(struct text *out, unsigned i, unsigned bad)
{
    unsigned documents = draw(8) ? 1 : draw(4);
    bool is_bad = bad > 0 && draw(bad) == 0;
    for (unsigned n = 0; n < documents; n++) {
        text_add(out, n ? "---\n" : "");
        document_add(out, 10 * i + n, is_bad);
    }
    if (is_bad && draw(4) == 0)
        text_add(out, "\t: [");
    if (draw(100) == 0)
        while (out->len < LARGE_BYTES)
            text_add(out, "# a long comment, and nothing in it\n");
}

static bool has_huge; /* one file of each commit */

static void tree_fill(git_repository *repo, git_treebuilder *tree, unsigned bad)
{
    static const char project[] = "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n";
    git_oid id;
    assert_int_equal(git_blob_create_from_buffer(&id, repo, project, strlen(project)), 0);
    assert_int_equal(git_treebuilder_insert(NULL, tree, "p.yaml", &id, GIT_FILEMODE_BLOB), 0);
    for (unsigned i = 0; i < FILES_DRAWN; i++) {
        struct text text = TEXT_INIT;
        char name[32];
        manifest_draw(&text, i, bad);
        while (has_huge && i == FILES_DRAWN / 2 && text.len < HUGE_BYTES)
            text_add(&text, "# a very long comment, and nothing in it\n");
        snprintf(name, sizeof(name), "f%u.yaml", i);
        assert_int_equal(git_blob_create_from_buffer(&id, repo, text.data, text.len), 0);
        assert_int_equal(git_treebuilder_insert(NULL, tree, name, &id, GIT_FILEMODE_BLOB), 0);
        text_free(&text);
    }
}

/* One file in `bad` has something wrong with it; 0: none. */
static char *commit_draw(struct scene *scene, unsigned bad)
{
    git_repository *repo = NULL;
    git_treebuilder *builder = NULL;
    git_signature *who = NULL;
    git_tree *tree = NULL;
    git_oid id;
    char hex[65];
    assert_int_equal(git_repository_open(&repo, scene->repo), 0);
    assert_int_equal(git_treebuilder_new(&builder, repo, NULL), 0);
    tree_fill(repo, builder, bad);
    assert_int_equal(git_treebuilder_write(&id, builder), 0);
    assert_int_equal(git_tree_lookup(&tree, repo, &id), 0);
    assert_int_equal(git_signature_new(&who, "Ann", "ann@example.org", 1700000000, 0), 0);
    assert_int_equal(git_commit_create(&id, repo, NULL, who, who, NULL, "A change", tree, 0, NULL),
                     0);
    git_oid_tostr(hex, sizeof(hex), &id);
    git_signature_free(who);
    git_tree_free(tree);
    git_treebuilder_free(builder);
    git_repository_free(repo);
    return arena_text(scene->arena, hex);
}

/* ---- both ways ---------------------------------------------------------------------- */

static void set_tell(struct text *out, struct arena *arena, const struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];
        text_printf(out, "%s:%u:%u %u %s\n", resource->at.file, resource->at.line,
                    resource->at.column, resource->project_at.line,
                    json_text(arena, resource_value(arena, resource)));
    }
}

static void cache_tell(struct text *out, struct store *store)
{
    struct error err = ERROR_INIT;
    struct query query;
    query_start(&query, store, "SELECT blob, documents FROM parse ORDER BY id", &err);
    while (query_next(&query) > 0) {
        text_printf(out, "%s ", query_peek(&query));
        text_printf(out, "%s\n", query_peek(&query));
    }
    assert_int_equal(query_end(&query), 0);
}

static bool is_pushed; /* what there is, is in quarantine yet */

static struct source *source_of(struct scene *scene)
{
    struct source *source = NULL;
    if (!is_pushed)
        return source_for(scene);
    assert_int_equal(source_open_quarantine(&scene->site, &source, &scene->err), 0);
    return source;
}

/* All that a load comes to, as text. */
static char *load_tell(struct scene *scene, const char *commit, int threads, bool has_cache)
{
    struct source *source = source_of(scene);
    struct store *store = NULL;
    struct text out = TEXT_INIT;
    struct report report;
    struct error err = ERROR_INIT;
    const struct set *set = NULL;
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/state%d", scene->dir, threads);
    report_init(&report, scene->arena);
    if (has_cache)
        assert_int_equal(store_open(dir, STORE_WRITE, &store, &err), 0);
    source->ahead_threads = threads;
    int rc = source_load(source, store, scene->arena, commit, &set, &report, &err);
    text_printf(&out, "%d %s %s\n", rc, err.message, err.hint);
    text_printf(&out, "%zu %zu %s\n", report.count, report.kept,
                json_text(scene->arena, report_value(scene->arena, &report)));
    text_printf(&out, "%llu blobs\n", (unsigned long long)source->blobs_read);
    for (size_t i = 0; i < report.kept; i++)
        text_printf(&out, "%s\n", report.problems[i].source ? report.problems[i].source : "-");
    if (rc == 0)
        set_tell(&out, scene->arena, set);
    if (store)
        cache_tell(&out, store);
    char *told = arena_text_n(scene->arena, out.data, out.len);
    text_free(&out);
    store_close(store);
    source_close(source);
    return told;
}

static void compare(struct scene *scene, const char *commit, bool has_cache)
{
    const char *alone = load_tell(scene, commit, -1, has_cache);
    for (int threads = 1; threads <= THREADS; threads++) {
        const char *ahead = load_tell(scene, commit, threads, has_cache);
        assert_true(strcmp(ahead, alone) == 0);
    }
}

static void a_set_is_the_same(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325252u;
    for (unsigned i = 0; i < 3; i++)
        compare(scene, commit_draw(scene, 0), false);
}

static void what_a_thread_may_not_read_is_read_after_all(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325257u;
    has_huge = true;
    compare(scene, commit_draw(scene, 0), false);
    has_huge = false;
}

static void a_push_in_quarantine_is_the_same(void **state)
{
    struct scene *scene = *state;
    char quarantine[128];
    random_state = 88172645463325258u;
    const char *commit = commit_draw(scene, 50);
    git(scene, "mkdir objects/incoming && mv objects/[0-9a-f][0-9a-f] objects/incoming/");
    snprintf(quarantine, sizeof(quarantine), "%s/objects/incoming", scene->repo);
    setenv("GIT_QUARANTINE_PATH", quarantine, 1);
    is_pushed = true;
    const char *told = load_tell(scene, commit, THREADS, false);
    assert_true(strncmp(told, "0 ", 2) == 0);
    compare(scene, commit, false);
    is_pushed = false;
    unsetenv("GIT_QUARANTINE_PATH");
}

/* ---- what threads do ---------------------------------------------------------------- */

struct asked {
    git_repository *repo; /* of the thread that is tested */
    git_oid good, bad, large, huge;
    bool is_undisturbed, is_bounded;
};

static struct ahead_file asked_file(const void *context, size_t i)
{
    struct asked *asked = (struct asked *)(size_t)context;
    const git_oid *const blobs[] = {&asked->good, &asked->bad, &asked->large, NULL};
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (i == 0) { /* by one thread; who joins it sees it */
        asked->is_undisturbed =
            sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1;
        asked->is_bounded = git_repository_odb(&odb, asked->repo) == 0 &&
                            git_odb_read(&object, odb, &asked->huge) < 0;
        git_odb_object_free(object);
        git_odb_free(odb);
    }
    return (struct ahead_file){.path = "a.yaml", .blob = blobs[i % 4]};
}

static git_oid blob_of(const struct asked *asked, const char *text, size_t len)
{
    struct text whole = TEXT_INIT;
    git_oid id;
    text_add(&whole, text);
    while (whole.len < len)
        text_add(&whole, "# a comment, and nothing in it\n");
    assert_int_equal(git_blob_create_from_buffer(&id, asked->repo, whole.data, whole.len), 0);
    text_free(&whole);
    return id;
}

static void assert_read_ahead(const struct source *source, struct asked *asked)
{
    enum { FILES = 2000 };
    struct ahead *ahead = ahead_start(source, FILES, asked_file, asked);
    assert_non_null(ahead);
    for (size_t i = 0; i < FILES; i++) {
        struct ahead_taken taken = ahead_take(ahead, i);
        assert_int_equal(taken.made != NULL, i % 4 == 0);
        assert_int_equal(taken.count, i % 4 == 0);
    }
    ahead_stop(ahead);
    assert_true(asked->is_undisturbed);
    assert_true(asked->is_bounded);
}

static void threads_read_what_is_small_and_good_and_leave_the_rest(void **state)
{
    static const char good[] = "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n";
    struct scene *scene = *state;
    struct asked asked = {0};
    struct source *source = source_for(scene);
    char quarantine[128];
    assert_int_equal(git_repository_open(&asked.repo, scene->repo), 0);
    asked.good = blob_of(&asked, good, 0);
    asked.bad = blob_of(&asked, "kind: Volum\n", 0);
    asked.large = blob_of(&asked, good, LARGE_BYTES);
    asked.huge = blob_of(&asked, good, HUGE_BYTES);
    source->ahead_threads = 3;
    assert_read_ahead(source, &asked);
    source_close(source);

    git(scene, "mkdir objects/incoming && mv objects/[0-9a-f][0-9a-f] objects/incoming/");
    snprintf(quarantine, sizeof(quarantine), "%s/objects/incoming", scene->repo);
    setenv("GIT_QUARANTINE_PATH", quarantine, 1);
    is_pushed = true;
    source = source_of(scene);
    source->ahead_threads = 3;
    assert_read_ahead(source, &asked);
    source_close(source);
    is_pushed = false;
    unsetenv("GIT_QUARANTINE_PATH");
    git_repository_free(asked.repo);
}

static void a_parse_cache_is_the_same(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325253u;
    compare(scene, commit_draw(scene, 0), true);
    compare(scene, commit_draw(scene, 5), true);
}

static void problems_are_the_same_and_in_order(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325254u;
    for (unsigned bad = 1; bad < 200; bad *= 4)
        compare(scene, commit_draw(scene, bad), false);
}

static void a_missing_object_is_the_same_error(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325255u;
    const char *commit = commit_draw(scene, 50);
    git(scene,
        "id=$(git rev-parse %s:f300.yaml); rm -f objects/$(echo $id | cut -c1-2)/$(echo $id | "
        "cut -c3-)",
        commit);
    compare(scene, commit, false);
}

static void the_limit_is_met_at_the_same_file(void **state)
{
    struct scene *scene = *state;
    random_state = 88172645463325256u;
    scene->site.repository.max_bytes = 50000;
    compare(scene, commit_draw(scene, 20), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_set_is_the_same),
        CASE(what_a_thread_may_not_read_is_read_after_all),
        CASE(a_push_in_quarantine_is_the_same),
        CASE(threads_read_what_is_small_and_good_and_leave_the_rest),
        CASE(a_parse_cache_is_the_same),
        CASE(problems_are_the_same_and_in_order),
        CASE(a_missing_object_is_the_same_error),
        CASE(the_limit_is_met_at_the_same_file),
    };
    git_libgit2_init();
    bound_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    git_libgit2_shutdown();
    return failed;
}
