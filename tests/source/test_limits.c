/* SPDX-License-Identifier: MPL-2.0 */
/* Too many, too large, too deep, meant by two: what is refused of a repository and of files, and
 * who writes the notes. */
#include "tests/source/repository_scene.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include "reconciler/source/note.h"

#define PROJECT(name) "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: " name "}\n"

static void check(struct scene *scene, const char *const *paths, size_t count,
                  const struct set **set)
{
    size_t files = 0;
    report_init(&scene->report, scene->arena);
    if (files_load(scene->arena, paths, count, set, &files, &scene->report, &scene->err) < 0)
        fail_msg("%s", scene->err.message);
}

static void files_are_bounded_and_read_once_each(void **state)
{
    struct scene *scene = *state;
    const struct set *set = NULL;
    size_t files = 0;
    assert_int_equal(files_load(scene->arena, NULL, 0, &set, &files, &scene->report, &scene->err),
                     ERR_INVALID);
    git(scene,
        "mkdir many && cd many && for i in $(seq 100 140); do printf "
        "'apiVersion: spinel/v1\\nkind: Project\\nmetadata: {name: p%%d}\\n' $i >$i.yaml; done\n"
        "ln -s 100.yaml again.yaml; ln 101.yaml twice.yaml\n"
        "mkdir ../big && head -c 17000000 /dev/zero | tr '\\0' '#' >../big/big.yaml\n"
        "d=../deep; for i in $(seq 70); do d=$d/d; done; mkdir -p $d; echo >$d/a.yaml");
    const char *many[] = {arena_printf(scene->arena, "%s/many/", scene->repo),
                          arena_printf(scene->arena, "%s/many/100.yaml", scene->repo)};
    check(scene, many, 2, &set);
    assert_int_equal(set->declared, 41); /* the same file by another name is one */
    assert_int_equal(scene->report.count, 1);
    assert_non_null(strstr(scene->report.problems[0].message, "a symbolic link is not followed"));
    const char *big = arena_printf(scene->arena, "%s/big", scene->repo);
    check(scene, &big, 1, &set);
    assert_string_equal(scene->report.problems[0].code, "too-big");
    const char *deep = arena_printf(scene->arena, "%s/deep", scene->repo);
    check(scene, &deep, 1, &set);
    assert_string_equal(scene->report.problems[0].code, "too-deep");
}

static void a_commit_with_more_manifests_than_may_be_is_refused(void **state)
{
    struct scene *scene = *state;
    const struct set *set = NULL;
    char *commit = commit_files(
        scene, FILES("a.yaml", PROJECT("a"), "b.yaml", PROJECT("b"), "c.yaml", PROJECT("c")));
    scene->site.repository.max_files = 3;
    struct source *source = source_for(scene);
    assert_int_equal(
        source_load(source, NULL, scene->arena, commit, &set, &scene->report, &scene->err), 0);
    source_close(source);
    scene->site.repository.max_files = 2;
    source = source_for(scene);
    assert_int_equal(
        source_load(source, NULL, scene->arena, commit, &set, &scene->report, &scene->err),
        ERR_INVALID);
    assert_non_null(strstr(scene->err.message, "more than 2 manifests"));
    source_close(source);
}

/* Of a thousand objects two begin alike, as far as four digits go. */
static void an_id_that_two_objects_begin_with_means_neither(void **state)
{
    struct scene *scene = *state;
    char commit[65];
    commit_files(scene, FILES("a.yaml", PROJECT("a")));
    const char *twice =
        git(scene, "mkdir names; for i in $(seq 1500); do echo $i >names/$i; done\n"
                   "ls names/* | git hash-object -w --stdin-paths | cut -c1-4 | sort | "
                   "uniq -d | head -1");
    assert_int_equal(strlen(twice), 4);
    struct source *source = source_for(scene);
    assert_int_equal(source_resolve(source, twice, commit, &scene->err), ERR_INVALID);
    assert_non_null(strstr(scene->err.message, "more than one object begins with it"));
    source_close(source);
}

static void a_folder_of_the_site_that_is_a_file_declares_nothing(void **state)
{
    struct scene *scene = *state;
    const struct set *set = NULL;
    char *commit = commit_files(scene, FILES("racks", PROJECT("a")));
    scene->site.repository.subdir = "./racks/";
    struct source *source = source_for(scene);
    assert_int_equal(
        source_load(source, NULL, scene->arena, commit, &set, &scene->report, &scene->err), 0);
    assert_int_equal(set->declared, 0);
    source_close(source);
}

/* What note_write() returns in a process of its own: it may become somebody else. */
static int note(struct scene *scene, const char *commit, const char *text)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(note_write(&scene->site, commit, text, &scene->err) < 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void notes_are_written_as_the_repositorys_owner(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    char path[160];
    char *commit = commit_files(scene, FILES("a.yaml", PROJECT("a")));
    assert_int_equal(note(scene, commit, "converged"), 0);
    assert_int_equal(note(scene, commit, "converged"), 0); /* nothing to write */
    assert_string_equal(git(scene, "git notes --ref=spinel show %s", commit), "converged");
    assert_string_equal(git(scene, "git rev-list --count refs/notes/spinel"), "1");
    assert_int_equal(note(scene, "0123456789012345678901234567890123456789", "of none"), 0);
    assert_int_equal(note(scene, "no commit", "of none"), 1);
    if (geteuid() != 0) {
        print_message("# SKIP only root gives a repository to another user\n");
        skip();
    }
    git(scene, "chmod 755 %s && chown -R 65534:65534 .", scene->dir);
    scene->site.repository.owner = "nobody";
    assert_int_equal(note(scene, commit, "converged again"), 0);
    snprintf(path, sizeof path, "%s/refs/notes/spinel", scene->repo);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    git(scene, "chown -R 54321:54321 .");
    scene->site.repository.owner = NULL;
    assert_int_equal(note(scene, commit, "of a user without a name"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 54321);
    scene->site.repository.path = "/nonexistent";
    assert_int_equal(note(scene, commit, "of no repository"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_are_bounded_and_read_once_each),
        CASE(a_commit_with_more_manifests_than_may_be_is_refused),
        CASE(an_id_that_two_objects_begin_with_means_neither),
        CASE(a_folder_of_the_site_that_is_a_file_declares_nothing),
        CASE(notes_are_written_as_the_repositorys_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
