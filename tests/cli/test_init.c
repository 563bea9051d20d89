/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel init` makes a whole site or touches nothing; and a hook that is called as none. */
#include "tests/cli/rack.h"

static void what_cannot_become_a_site_is_left_as_it_is(void **state)
{
    struct scene *scene = *state;
    shell(scene, "mkdir full empty; echo mine >full/file; echo mine >file; mkdir bad\n"
                 "printf 'kind: Nothing\\n' >bad/a.yaml");
    struct ran ran = RUN(scene, "init", "full", "--drivers=sim");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "full is not empty: it holds file");
    assert_says(ran.err, "nothing was touched");
    ran = RUN(scene, "init", "file", "--drivers=sim");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot look into file");
    assert_int_equal(RUN(scene, "init", "missing/lab", "--drivers=sim").status, 1);
    assert_int_equal(RUN(scene, "init", "lab", "--drivers=magic").status, 64);
    ran = RUN(scene, "init", "lab", "--drivers=sim", "--example=nothing-like-it");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no example 'nothing-like-it'");
    ran = RUN(scene, "init", "lab", "--drivers=sim", "--example=bad");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "the example bad is not valid");
    shell(scene, "test ! -e lab; test \"$(ls full)\" = file");
}

/* Its last call of git fails: a disk that is full, no leave to commit. */
static void half_a_site_is_removed_again(void **state)
{
    struct scene *scene = *state;
    const char *path = arena_text(scene->arena, getenv("PATH"));
    shell(scene, "mkdir bin there\n"
                 "printf '#!/bin/sh\\ncase $1 in commit) echo no leave >&2; exit 1 ;; esac\\n"
                 "exec %s \"$@\"\\n' \"$(command -v git)\" >bin/git; chmod +x bin/git");
    setenv("PATH", arena_printf(scene->arena, "%s/bin:%s", scene->dir, path), 1);
    setenv("HOME", scene->dir, 1);
    struct ran ran = RUN(scene, "init", "lab", "--drivers=sim");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "lab was removed again");
    ran = RUN(scene, "init", "there", "--drivers=sim");
    assert_int_equal(ran.status, 1);
    setenv("PATH", path, 1);
    shell(scene, "test ! -e lab; test -d there; test -z \"$(ls -A there)\"");
    assert_int_equal(RUN(scene, "init", "there", "--drivers=sim").status, 0);
}

static void a_site_has_a_repository_and_a_clone_with_the_example(void **state)
{
    struct scene *scene = *state;
    shell(scene,
          "mkdir -p mine/more mine/.hidden ready\n"
          "echo none >mine/.hidden/a.yaml; echo none >mine/readme.txt; mkdir mine/folder.yaml\n"
          "echo 'apiVersion: spinel/v1' >mine/spinel.yaml");
    file_put(scene, "mine/a.yaml", DOC("Project", "name: shop", "{}"));
    file_put(scene, "mine/more/b.yml", DOC("Project", "name: blog", "{}"));
    setenv("HOME", scene->dir, 1);
    struct ran ran = RUN(scene, "init", "My_Lab--", "--drivers=sim", "--example=./mine");
    if (ran.status != 0)
        fail_msg("%s", ran.err);
    assert_says(ran.out, "with the example committed and not yet pushed");
    assert_says(file_get(scene, "My_Lab--/spinel.yaml"), "metadata: {name: my-lab}\n");
    shell(
        scene,
        "cd My_Lab--/manifests && test \"$(git ls-files | tr '\\n' ' ')\" = 'a.yaml more/b.yml '\n"
        "test -x ../manifests.git/hooks/pre-receive");
    ran = RUN(scene, "--site=My_Lab--/spinel.yaml", "status");
    assert_int_equal(ran.status, 0);
    ran = RUN(scene, "init", "ready", "--drivers=sim", "--example=mine"); /* a folder beside us */
    assert_int_equal(ran.status, 0);
}

static void a_hook_is_one_of_gits_two(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "hook", "update");
    assert_int_equal(ran.status, 64);
    assert_says(ran.err, "not for 'update'");
    ran = RUN(scene, "hook", "post-receive"); /* nothing was pushed, and there is no repository */
    assert_not_says(ran.out, "converged");
    assert_int_equal(RUN(scene, "hook", "pre-receive").status, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_cannot_become_a_site_is_left_as_it_is),
        CASE(half_a_site_is_removed_again),
        CASE(a_site_has_a_repository_and_a_clone_with_the_example),
        CASE(a_hook_is_one_of_gits_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
