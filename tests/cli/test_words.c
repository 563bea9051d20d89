/* SPDX-License-Identifier: MPL-2.0 */
/* The command line itself: what is wrong with it is said, and nothing is done. */
#include "tests/cli/rack.h"

static void what_is_no_command_or_option_is_told_with_the_nearest_one(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "statsu");
    assert_int_equal(ran.status, 64);
    assert_says(ran.err, "did you mean 'status'?");
    assert_not_says(RUN(scene, "frobnicate").err, "did you mean");
    assert_says(RUN(scene, "plan", "--jsn").err,
                "there is no option '--jsn', did you mean '--json'?");
    assert_says(RUN(scene, "plan", "--jsn=1").err, "did you mean '--json'?");
    assert_not_says(RUN(scene, "plan", "--colourful-words").err, "did you mean");
    assert_says(RUN(scene, "plan", "-x").err, "there is no option '-x'");
    assert_says(RUN(scene, "top", "--hlp").err, "did you mean '--help'?");
    ran = RUN(scene, "plan", "--rev");
    assert_int_equal(ran.status, 64);
    assert_says(ran.err, "--rev: ");
    assert_int_equal(RUN(scene, "--colour=always", "status").status, 64);
    assert_int_equal(RUN(scene, "events", "--limit=many").status, 64);
    assert_says(RUN(scene, "get").err, " is missing");
    assert_says(RUN(scene, "plan", "now").err, "'now' is one operand too many");
}

static void help_is_for_the_program_and_for_each_command(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "--help");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "Usage: spinel");
    assert_string_equal(RUN(scene, "help").out, ran.out);
    assert_says(RUN(scene, "help", "drift").out, "--junit=FILE");
    assert_says(RUN(scene, "top", "--help").out, "Usage: spinel top\n");
    assert_int_equal(RUN(scene, "help", "drfit").status, 64);
    assert_says(RUN(scene, "help", "--words").out, "drift\n");
    assert_says(RUN(scene, "help", "--words", "drift").out, "--junit=\n--watch\n");
    assert_says(RUN(scene, "help", "--words", "top").out, "--site=\n");
    assert_int_equal(RUN(scene, "help", "--words", "drfit").status, 64);
    assert_says(RUN(scene, "--version").out, "spinel ");
    assert_says(RUN(scene, "version", "--json").out, "\"version\": ");
}

static void output_that_reached_nobody_is_an_error(void **state)
{
    struct scene *scene = *state;
    scene->out = "/dev/full";
    struct ran ran = RUN(scene, "help");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot write the output: No space left on device");
    ran = RUN(scene, "help", "--words");
    assert_int_equal(ran.status, 1);
    scene->out = "";
    ran = RUN(scene, "help"); /* nobody gave it a standard output */
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot write the output");
}

static void a_site_file_is_looked_for_in_its_places(void **state)
{
    struct scene *scene = *state;
    shell(scene,
          "mv spinel.yaml elsewhere.yaml; head -c 1100000 /dev/zero | tr '\\0' '#' >big.yaml;"
          "mkdir folder");
    struct ran ran = RUN(scene, "status");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "neither --site nor $SPINEL_SITE names one");
    assert_int_equal(RUN(scene, "--site=elsewhere.yaml", "status").status, 0);
    assert_int_equal(RUN(scene, "status", "--site=elsewhere.yaml").status, 0);
    assert_says(RUN(scene, "--site=big.yaml", "status").err, "is over 1MiB");
    assert_says(RUN(scene, "--site=folder", "status").err, "cannot read the site file folder");
    assert_says(RUN(scene, "--site=missing.yaml", "status").err, "cannot read the site file");
    file_put(scene, "bad.yaml", "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n");
    ran = RUN(scene, "--site=bad.yaml", "status");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "bad.yaml:");
    assert_says(ran.err, "'spinel explain site' tells");
}

static void manifests_are_counted_or_their_errors_are(void **state)
{
    struct scene *scene = *state;
    file_put(scene, "one.yaml", DOC("Project", "name: shop", "{}"));
    file_put(scene, "two.yaml", DOC("Project", "name: blog", "{}"));
    file_put(scene, "bad.yaml", DOC("Project", "name: Shop", "{}") DOC("Projekt", "name: x", "{}"));
    assert_string_equal(RUN(scene, "check", "one.yaml").out, "1 resource in 1 file\n");
    assert_string_equal(RUN(scene, "check", "one.yaml", "two.yaml").out,
                        "2 resources in 2 files\n");
    assert_int_equal(RUN(scene, "check").status, 64);
    assert_int_equal(RUN(scene, "check", "one.yaml", "--rev=main").status, 64);
    struct ran ran = RUN(scene, "check", "bad.yaml", "--color=always");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "2 errors in 1 file");
    assert_says(RUN(scene, "check", "bad.yaml", "--json").out, "\"errorCount\": 2");
    ran = RUN(scene, "check", "missing.yaml", "--json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "\"valid\": false");
    assert_int_equal(RUN(scene, "check", "missing.yaml").status, 1);
    ran = RUN(scene, "check", "--rev=main", "--json"); /* there is no repository */
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "\"code\": \"unreadable\"");
    commit_put(scene, MANIFESTS);
    assert_string_equal(RUN(scene, "check", "--rev=main").out, "5 resources in 1 file\n");
    assert_int_equal(RUN(scene, "check", "--rev=master").status, 1);
}

static void more_errors_than_are_kept_are_counted(void **state)
{
    struct scene *scene = *state;
    shell(scene,
          "for i in $(seq 3000); do printf -- '---\\nkind: Nothing%d\\n' $i; done >many.yaml");
    struct ran ran = RUN(scene, "check", "many.yaml");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, " errors; these are the first ");
}

static void a_field_is_explained_by_its_path(void **state)
{
    struct scene *scene = *state;
    assert_says(RUN(scene, "explain", "instance.spec.memory").out, "memory");
    assert_int_equal(RUN(scene, "explain", "instance.spec.memry").status, 64);
    assert_int_equal(RUN(scene, "explain", "instnce").status, 64);
    assert_says(RUN(scene, "schema", "instance").out, "\"properties\"");
    assert_int_equal(RUN(scene, "schema", "instnce").status, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_command_or_option_is_told_with_the_nearest_one),
        CASE(help_is_for_the_program_and_for_each_command),
        CASE(output_that_reached_nobody_is_an_error),
        CASE(a_site_file_is_looked_for_in_its_places),
        CASE(manifests_are_counted_or_their_errors_are),
        CASE(more_errors_than_are_kept_are_counted),
        CASE(a_field_is_explained_by_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
