/* SPDX-License-Identifier: MPL-2.0 */
/* What differs between two commits, what it costs to know, and what is refused on the way. */
#include "tests/source/repository_scene.h"

struct found {
    struct changed *items;
    size_t count;
};

static int changes_code(struct scene *scene, struct source *source, const char *from,
                        const char *to, struct found *found)
{
    return source_changes(source, scene->arena, from, to, &found->items, &found->count,
                          &scene->report, &scene->err);
}

static struct found changes(struct scene *scene, const char *from, const char *to)
{
    struct source *source = source_for(scene);
    struct found found = {0};
    if (changes_code(scene, source, from, to, &found) != 0)
        fail_msg("%s", scene->err.message);
    source_close(source);
    return found;
}

static const struct changed *change_of(const struct found *found, const char *path)
{
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->items[i].path, path) == 0)
            return &found->items[i];
    return NULL;
}

static void the_first_commit_is_all_new(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1", "sub/b.yml", "b: 2", "README", "x"));

    struct found found = changes(scene, NULL, commit);

    assert_int_equal(found.count, 2);
    assert_string_equal(change_of(&found, "a.yaml")->data, "a: 1");
    assert_int_equal(change_of(&found, "sub/b.yml")->len, 4);
    assert_int_equal(strlen(change_of(&found, "a.yaml")->blob), 40);
}

static void an_edit_is_one_change(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("a.yaml", "a: 1", "sub/b.yaml", "b: 2"));
    char *new = commit_files(scene, FILES("a.yaml", "a: 1", "sub/b.yaml", "b: 3"));

    struct found found = changes(scene, old, new);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].path, "sub/b.yaml");
    assert_string_equal(found.items[0].data, "b: 3");
}

static void a_removed_manifest_has_no_blob(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("a.yaml", "a: 1", "b.yaml", "b: 2"));
    char *new = commit_files(scene, FILES("a.yaml", "a: 1"));

    struct found found = changes(scene, old, new);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].path, "b.yaml");
    assert_null(found.items[0].blob);
    assert_null(found.items[0].data);
}

static void a_rename_is_one_gone_and_one_new(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("one/a.yaml", "a: 1"));
    char *new = commit_files(scene, FILES("two/a.yaml", "a: 1"));

    struct found found = changes(scene, old, new);

    assert_int_equal(found.count, 2);
    assert_null(change_of(&found, "one/a.yaml")->blob);
    assert_string_equal(change_of(&found, "two/a.yaml")->data, "a: 1");
}

static void a_mode_change_alone_is_none(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("a.yaml", "a: 1"));
    char script[128];
    snprintf(script, sizeof(script), "printf '100755 blob %s\\ta.yaml\\n' | git mktree",
             blob(scene, "a: 1"));
    char *new = commit_script(scene, script);

    assert_int_equal(changes(scene, old, new).count, 0);
    assert_int_equal(scene->report.count, 0);
}

static void a_file_that_becomes_a_folder_is_both(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("a.yaml", "a: 1", "a.yaml.yaml", "x: 1"));
    char *new = commit_files(scene, FILES("a.yaml/b.yaml", "b: 1", "a.yaml.yaml", "x: 1"));

    struct found found = changes(scene, old, new);

    assert_int_equal(found.count, 2);
    assert_null(change_of(&found, "a.yaml")->blob);
    assert_string_equal(change_of(&found, "a.yaml/b.yaml")->data, "b: 1");
}

static void equal_subtrees_are_not_read(void **state)
{
    struct scene *scene = *state;
    const char *files[2 * 60 + 1] = {NULL};
    char paths[60][32];
    for (int i = 0; i < 60; i++) {
        snprintf(paths[i], sizeof(paths[i]), "p%d/m.yaml", i);
        files[2 * i] = paths[i];
        files[2 * i + 1] = "x: 1";
    }
    char *old = commit_files(scene, files);
    files[2 * 7 + 1] = "x: 2";
    char *new = commit_files(scene, files);
    struct source *source = source_for(scene);
    struct found found = {0};

    assert_int_equal(changes_code(scene, source, old, new, &found), 0);

    assert_int_equal(found.count, 1);
    assert_int_equal(source->trees_read, 4); /* two roots, and p7 twice */
    assert_int_equal(source->blobs_read, 1);
    source_close(source);
}

static void only_the_subdir_of_the_site_counts(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("rack/a.yaml", "a: 1", "other/b.yaml", "b: 1"));
    scene->site.repository.subdir = "./rack/";

    struct found found = changes(scene, NULL, commit);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].path, "rack/a.yaml");
}

static void a_missing_subdir_declares_nothing(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    scene->site.repository.subdir = "rack";
    assert_int_equal(changes(scene, NULL, commit).count, 0);
}

static void hidden_names_and_spinel_yaml_are_skipped(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES(".ci/x.yaml", "a: 1", ".x.yaml", "a: 1", "spinel.yaml",
                                             "a: 1", "sub/spinel.yaml", "a: 1", "ok.yaml", "a: 1"));

    struct found found = changes(scene, NULL, commit);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].path, "ok.yaml");
}

/* ---- what is refused ---------------------------------------------------------------- */

/* `entries` as printf(1) prints them to `git mktree -z`; %s is a blob. */
static char *commit_entries(struct scene *scene, const char *entries)
{
    struct text script = TEXT_INIT;
    text_add(&script, "printf '");
    for (const char *at = entries; *at != '\0'; at++) {
        if (at[0] == '@')
            text_add(&script, blob(scene, "a: 1"));
        else
            text_add_char(&script, *at);
    }
    text_add(&script, "' | git mktree -z --missing");
    char *commit = commit_script(scene, script.data);
    text_free(&script);
    return commit;
}

static void a_link_named_like_a_manifest_is_a_problem(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_entries(scene, "120000 blob @\\tlink.yaml\\000");

    assert_int_equal(changes(scene, NULL, commit).count, 0);
    assert_string_equal(problem_code(scene, "link.yaml"), "not-a-file");
}

static void a_manifest_that_becomes_a_link_is_gone_and_a_problem(void **state)
{
    struct scene *scene = *state;
    char *old = commit_files(scene, FILES("a.yaml", "a: 1"));
    char *new = commit_entries(scene, "120000 blob @\\ta.yaml\\000");

    struct found found = changes(scene, old, new);

    assert_int_equal(found.count, 1);
    assert_null(found.items[0].blob);
    assert_string_equal(problem_code(scene, "a.yaml"), "not-a-file");
}

static void a_submodule_is_a_problem(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_entries(scene, "160000 commit 1111111111111111111111111111111111111111\\t"
                                         "module\\000");

    changes(scene, NULL, commit);
    assert_string_equal(problem_code(scene, "module"), "not-a-file");
}

static void names_that_deceive_are_problems(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_entries(scene, "100644 blob @\\ta\\001.yaml\\000"
                                         "100644 blob @\\ta\\\\b.yaml\\000"
                                         "100644 blob @\\tbad\\377.yaml\\000"
                                         "100644 blob @\\trlo\\342\\200\\256.yaml\\000"
                                         "100644 blob @\\tfine-\\303\\244.yaml\\000");

    struct found found = changes(scene, NULL, commit);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].path, "fine-\xc3\xa4.yaml");
    assert_string_equal(problem_code(scene, "a\\x01.yaml"), "bad-name");
    assert_string_equal(problem_code(scene, "a\\x5cb.yaml"), "bad-name");
    assert_string_equal(problem_code(scene, "bad\\xff.yaml"), "bad-name");
    assert_int_equal(scene->report.count, 4);
}

/* A tree written byte by byte, as git's own commands would not. */
static char *commit_raw_tree(struct scene *scene, const char *names[], size_t count)
{
    struct text script = TEXT_INIT;
    char *id = blob(scene, "a: 1");
    text_add(&script, "{ ");
    for (size_t i = 0; i < count; i++) {
        text_printf(&script, "printf '100644 %s\\0'; printf '", names[i]);
        for (int k = 0; k < 40; k += 2)
            text_printf(&script, "\\\\x%.2s", id + k);
        text_add(&script, "'; ");
    }
    text_add(&script, "} | git hash-object -t tree --literally -w --stdin");
    char *wrapped = arena_printf(scene->arena, "bash -c \"%s\"", script.data);
    text_free(&script);
    return commit_script(scene, wrapped);
}

static void dots_and_dot_git_are_problems(void **state)
{
    struct scene *scene = *state;
    const char *names[] = {"..", ".GIT", ".git"};
    char *commit = commit_raw_tree(scene, names, 3);

    changes(scene, NULL, commit);
    assert_int_equal(scene->report.count, 3);
    assert_string_equal(problem_code(scene, ".."), "bad-name");
    assert_string_equal(problem_code(scene, ".git"), "bad-name");
}

static void what_a_file_system_takes_for_dot_git_is_a_problem(void **state)
{
    struct scene *scene = *state;
    const char *names[] = {".GIT ",
                           ".git. .",
                           ".git...",
                           ".git::s",
                           ".g\\\\xe2\\\\x80\\\\x8cit",
                           "GIT~1",
                           "git~1",
                           "git~1 .",
                           "git~1:s",
                           "x ",
                           "x.",
                           "x.yaml.",
                           "\\\\xef\\\\xbb\\\\xbf.git"};
    const char *fine[] = {"..git", ".g",  ".gi:", ".git-x", ".github", ".gitignore", "a.b.c",
                          "g.it",  "git", "git~", "git~10", "git~2",   "x .y"};
    size_t count = sizeof names / sizeof *names;
    changes(scene, NULL, commit_raw_tree(scene, names, count));
    assert_int_equal(scene->report.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(scene->report.problems[i].code, "bad-name");

    report_init(&scene->report, scene->arena);
    changes(scene, NULL, commit_raw_tree(scene, fine, sizeof fine / sizeof *fine));
    assert_int_equal(scene->report.count, 0);
}

static void an_unsorted_tree_is_refused(void **state)
{
    struct scene *scene = *state;
    const char *names[] = {"b.yaml", "a.yaml"};
    char *commit = commit_raw_tree(scene, names, 2);
    struct source *source = source_for(scene);
    struct found found = {0};

    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_INVALID);
    assert_non_null(strstr(scene->err.message, "sorted"));
    source_close(source);
}

static void a_huge_blob_is_a_problem_and_not_read(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_script(scene, "id=$(head -c 17000000 /dev/zero | git hash-object -w "
                                        "--stdin); printf '100644 blob %s\\thuge.yaml\\n' $id | "
                                        "git mktree");
    struct source *source = source_for(scene);
    struct found found = {0};

    assert_int_equal(changes_code(scene, source, NULL, commit, &found), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(source->blobs_read, 0);
    assert_string_equal(problem_code(scene, "huge.yaml"), "too-big");
    source_close(source);
}

static void limits_name_the_setting(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1", "b.yaml", "b: 12345678"));
    struct found found = {0};

    scene->site.repository.max_files = 1;
    struct source *source = source_for(scene);
    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_INVALID);
    assert_non_null(strstr(scene->err.hint, "maxFiles"));
    source_close(source);

    scene->site.repository.max_files = 10;
    scene->site.repository.max_bytes = 10;
    source = source_for(scene);
    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_INVALID);
    assert_non_null(strstr(scene->err.hint, "maxBytes"));
    source_close(source);
}

static void a_tree_bomb_ends_at_the_limit(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_script(
        scene, "id=$(printf x | git hash-object -w --stdin); t=$(printf '100644 blob %s\\tf\\n' "
               "$id | git mktree); for i in 1 2 3 4 5 6 7 8 9; do t=$(for n in a b c d e f g h; do "
               "printf '040000 tree %s\\t%s\\n' $t $n; done | git mktree); done; echo $t");
    struct source *source = source_for(scene);
    struct found found = {0};
    scene->site.repository.max_files = 1000;
    source_close(source);
    source = source_for(scene);

    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_INVALID);
    assert_true(source->trees_read <= 50000);
    source_close(source);
}

static void folders_nested_too_deep_are_refused(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_script(
        scene, "t=$(git mktree </dev/null); for i in $(seq 70); do t=$(printf '040000 tree "
               "%s\\td\\n' $t | git mktree); done; echo $t");
    struct source *source = source_for(scene);
    struct found found = {0};
    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_INVALID);
    assert_non_null(strstr(scene->err.message, "deep"));
    source_close(source);
}

static void a_missing_object_is_corrupt(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);
    struct found found = {0};
    git(scene, "id=$(git rev-parse %s:a.yaml); rm -f objects/$(echo $id | sed 's|^..|&/|')",
        commit);

    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_CORRUPT);
    assert_non_null(strstr(scene->err.hint, "fsck"));
    source_close(source);
}

static void an_object_with_other_bytes_than_its_id_is_corrupt(void **state)
{
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);
    struct found found = {0};
    git(scene,
        "id=$(git rev-parse %s:a.yaml); other=$(printf 'a: 2' | git hash-object -w --stdin)\n"
        "cp -f objects/$(echo $other | sed 's|^..|&/|') objects/$(echo $id | sed 's|^..|&/|')",
        commit);

    assert_int_equal(changes_code(scene, source, NULL, commit, &found), ERR_CORRUPT);
    source_close(source);
}

/* Of what is told from "they differ": that nobody can say. */
static void whether_two_commits_declare_the_same_is_told_or_refused(void **state)
{
    static const char none[] = "0123456789012345678901234567890123456789";
    struct scene *scene = *state;
    char *first = commit_files(scene, FILES("a.yaml", "a: 1"));
    char *noted = commit_files(scene, FILES("a.yaml", "a: 1", "README", "of it"));
    char *other = commit_files(scene, FILES("a.yaml", "a: 2"));
    char *empty = commit_files(scene, FILES("README", "no manifest"));
    char *odd = commit_script(scene, "printf '120000 blob %s\\ta.yaml\\n' "
                                     "$(printf x | git hash-object -w --stdin) | git mktree");
    struct source *source = source_for(scene);
    assert_int_equal(source_same_manifests(source, first, noted, &scene->err), 1);
    assert_int_equal(source_same_manifests(source, first, other, &scene->err), 0);
    assert_int_equal(source_same_manifests(source, NULL, empty, &scene->err), 1);
    assert_int_equal(source_same_manifests(source, first, NULL, &scene->err), 0);
    assert_int_equal(source_same_manifests(source, NULL, odd, &scene->err), 0);
    assert_int_equal(source_same_manifests(source, none, first, &scene->err), ERR_NOT_FOUND);
    assert_int_equal(source_same_manifests(source, first, none, &scene->err), ERR_NOT_FOUND);
    source_close(source);

    git(scene, "id=$(git rev-parse %s^{tree}); rm -f objects/$(echo $id | sed 's|^..|&/|')", other);
    source = source_for(scene);
    scene->err = (struct error)ERROR_INIT;
    assert_int_equal(source_same_manifests(source, first, other, &scene->err), ERR_CORRUPT);
    assert_non_null(strstr(scene->err.hint, "fsck"));
    source_close(source);
}

static void changes_of_a_commit_that_is_not_there_are_refused(void **state)
{
    static const char none[] = "0123456789012345678901234567890123456789";
    struct scene *scene = *state;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);
    struct found found = {0};
    assert_int_equal(changes_code(scene, source, none, commit, &found), ERR_NOT_FOUND);
    assert_int_equal(changes_code(scene, source, commit, none, &found), ERR_NOT_FOUND);
    source_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_commit_is_all_new),
        CASE(an_edit_is_one_change),
        CASE(a_removed_manifest_has_no_blob),
        CASE(a_rename_is_one_gone_and_one_new),
        CASE(a_mode_change_alone_is_none),
        CASE(a_file_that_becomes_a_folder_is_both),
        CASE(equal_subtrees_are_not_read),
        CASE(only_the_subdir_of_the_site_counts),
        CASE(a_missing_subdir_declares_nothing),
        CASE(hidden_names_and_spinel_yaml_are_skipped),
        CASE(a_link_named_like_a_manifest_is_a_problem),
        CASE(a_manifest_that_becomes_a_link_is_gone_and_a_problem),
        CASE(a_submodule_is_a_problem),
        CASE(names_that_deceive_are_problems),
        CASE(dots_and_dot_git_are_problems),
        CASE(what_a_file_system_takes_for_dot_git_is_a_problem),
        CASE(an_unsorted_tree_is_refused),
        CASE(a_huge_blob_is_a_problem_and_not_read),
        CASE(limits_name_the_setting),
        CASE(a_tree_bomb_ends_at_the_limit),
        CASE(folders_nested_too_deep_are_refused),
        CASE(a_missing_object_is_corrupt),
        CASE(an_object_with_other_bytes_than_its_id_is_corrupt),
        CASE(whether_two_commits_declare_the_same_is_told_or_refused),
        CASE(changes_of_a_commit_that_is_not_there_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
