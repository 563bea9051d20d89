/* SPDX-License-Identifier: MPL-2.0 */
/* Pushes, by a real `git push` into a hook that is this program. */
#include "tests/source/repository_scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "reconciler/source/receive.h"

#define PROJECT "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n"

/* ---- the hook: reads, judges, prints one line, as the command will ------------------ */

static int hook_judge(struct source *source, struct arena *arena, struct report *report,
                      struct error *err)
{
    struct ref_update *updates = NULL;
    const struct ref_update *update = NULL;
    struct received received;
    size_t count = 0;
    int rc = receive_read(arena, STDIN_FILENO, &updates, &count, err);
    if (rc == 0)
        rc = receive_branch(source, updates, count, &update, err);
    if (rc < 0 || !update)
        return rc;
    rc = receive_judge(source, NULL, arena, update, &received, report, err);
    if (rc < 0)
        return rc;
    printf("%s forced=%d changes=%zu declared=%zu problems=%zu\n", received.ref, received.forced,
           received.count, received.set->declared, report->count);
    return report->count > 0 ? ERR_INVALID : 0;
}

static int hook_main(const char *path)
{
    struct site site = {
        .repository = {
            .path = path, .branch = "main", .subdir = "", .max_files = 1000, .max_bytes = 1 << 20}};
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    struct report report;
    struct source *source = NULL;
    report_init(&report, arena);
    int rc = source_open_quarantine(&site, &source, &err);
    if (rc == 0)
        rc = hook_judge(source, arena, &report, &err);
    if (rc < 0)
        printf("refused: %s. %s\n", err.message, err.hint);
    source_close(source);
    arena_free(arena);
    return rc < 0 ? 1 : 0;
}

/* ---- pushing ------------------------------------------------------------------------ */

static int receive_set_up(void **state)
{
    char self[512] = "", path[192];
    scene_set_up(state);
    struct scene *scene = *state;
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(len > 0);
    snprintf(path, sizeof(path), "%s/hooks/pre-receive", scene->repo);
    FILE *hook = fopen(path, "w");
    assert_non_null(hook);
    fprintf(hook, "#!/bin/sh\nexec '%s' --hook '%s'\n", self, scene->repo);
    fclose(hook);
    assert_int_equal(chmod(path, 0755), 0);
    git(scene,
        "unset GIT_DIR; git clone -q . ../clone 2>/dev/null; cd ../clone; "
        "git checkout -q -b main 2>/dev/null || true; printf '%s' >p.yaml; git add .; "
        "git commit -q -m one",
        PROJECT);
    return 0;
}

/* What `git push` says; it may fail. */
static char *push(struct scene *scene, const char *change, const char *arguments)
{
    return git(scene,
               "unset GIT_DIR; cd ../clone; { %s; } >/dev/null; "
               "git push %s 2>&1 || echo 'push failed'",
               change, arguments);
}

static void said(const char *output, const char *expected)
{
    if (!output || !strstr(output, expected))
        fail_msg("\"%s\" is not in: %s", expected, output ? output : "(nothing)");
}

static void a_push_is_judged_from_quarantine(void **state)
{
    struct scene *scene = *state;
    char *output = push(scene, ":", "origin main");
    said(output, "refs/heads/main forced=0 changes=1 declared=1 problems=0");
    assert_null(strstr(output, "push failed"));
    said(git(scene, "git log --format=%%s main"), "one");
}

static void a_large_push_arrives_as_a_pack_and_is_judged_too(void **state)
{
    struct scene *scene = *state;
    char *output = push(scene,
                        "for i in $(seq 150); do printf 'apiVersion: spinel/v1\\nkind: "
                        "Volume\\nmetadata: {name: v%s, project: shop}\\nspec: {size: "
                        "1GiB}\\n' $i >v$i.yaml; done; git add .; git commit -qm many",
                        "origin main");
    said(output, "changes=151 declared=151 problems=0");
}

static void an_invalid_push_is_refused_and_changes_nothing(void **state)
{
    struct scene *scene = *state;
    push(scene, ":", "origin main");
    char *before = git(scene, "git rev-parse main; find objects -type f | sort");
    char *output =
        push(scene, "printf 'kind: [' >bad.yaml; git add .; git commit -qm bad", "origin main");
    said(output, "push failed");
    assert_null(strstr(output, "problems=0"));
    assert_string_equal(git(scene, "git rev-parse main; find objects -type f | sort"), before);
}

static void a_push_to_another_branch_says_what_to_do(void **state)
{
    struct scene *scene = *state;
    char *output = push(scene, ":", "origin main:feature");
    said(output, "only main is applied here");
    said(output, "git push origin feature:main");
    said(output, "push failed");
}

static void deleting_the_branch_is_refused(void **state)
{
    struct scene *scene = *state;
    push(scene, ":", "origin main");
    git(scene, "git config receive.denyDeleteCurrent ignore");
    said(push(scene, ":", "origin :main"), "is not deleted");
    said(git(scene, "git rev-parse main"), "");
}

static void a_forced_push_is_told_as_such(void **state)
{
    struct scene *scene = *state;
    push(scene, ":", "origin main");
    said(push(scene, "git commit -q --amend -m two", "-f origin main"), "forced=1 changes=0");
}

static void tags_pass_and_replacements_do_not(void **state)
{
    struct scene *scene = *state;
    push(scene, ":", "origin main");
    assert_null(strstr(push(scene, "git tag v1", "origin v1"), "push failed"));
    said(push(scene, ":", "origin HEAD:refs/replace/1111111111111111111111111111111111111111"),
         "push failed");
}

static void objects_outside_the_repository_are_not_read(void **state)
{
    struct scene *scene = *state;
    struct source *source = NULL;
    setenv("GIT_OBJECT_DIRECTORY", "/tmp", 1);
    int rc = source_open_quarantine(&scene->site, &source, &scene->err);
    unsetenv("GIT_OBJECT_DIRECTORY");
    assert_int_equal(rc, ERR_DENIED);
    assert_null(source);
}

/* ---- what git says ------------------------------------------------------------------ */

static int read_code(struct scene *scene, const char *input, struct ref_update **updates,
                     size_t *count)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], input, strlen(input)), strlen(input));
    close(ends[1]);
    int rc = receive_read(scene->arena, ends[0], updates, count, &scene->err);
    close(ends[0]);
    return rc;
}

#define ZERO "0000000000000000000000000000000000000000"
#define ONE "1111111111111111111111111111111111111111"

static void lines_are_read_and_zero_is_none(void **state)
{
    struct scene *scene = *state;
    struct ref_update *updates = NULL;
    size_t count = 0;
    assert_int_equal(read_code(scene,
                               ZERO " " ONE " refs/heads/main\n" ONE " " ZERO " refs/heads/x\n",
                               &updates, &count),
                     0);
    assert_int_equal(count, 2);
    assert_null(updates[0].old);
    assert_string_equal(updates[0].new, ONE);
    assert_string_equal(updates[0].ref, "refs/heads/main");
    assert_null(updates[1].new);
}

static void lines_that_are_not_gits_are_refused(void **state)
{
    struct scene *scene = *state;
    struct ref_update *updates = NULL;
    size_t count = 0;
    static const char *const inputs[] = {"hello\n", "a b c\n", ONE " " ONE "\n", ONE " " ONE " \n",
                                         ONE "1 " ONE " refs/heads/main\n"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        assert_int_equal(read_code(scene, inputs[i], &updates, &count), ERR_INVALID);
}

#define PUSH_CASE(name) cmocka_unit_test_setup_teardown(name, receive_set_up, scene_tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PUSH_CASE(a_push_is_judged_from_quarantine),
        PUSH_CASE(a_large_push_arrives_as_a_pack_and_is_judged_too),
        PUSH_CASE(an_invalid_push_is_refused_and_changes_nothing),
        PUSH_CASE(a_push_to_another_branch_says_what_to_do),
        PUSH_CASE(deleting_the_branch_is_refused),
        PUSH_CASE(a_forced_push_is_told_as_such),
        PUSH_CASE(tags_pass_and_replacements_do_not),
        CASE(objects_outside_the_repository_are_not_read),
        CASE(lines_are_read_and_zero_is_none),
        CASE(lines_that_are_not_gits_are_refused),
    };
    if (argc == 3 && strcmp(argv[1], "--hook") == 0)
        return hook_main(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
